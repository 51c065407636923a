"""The same scenario on real connections and in the sandbox, and the two compared."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
import threading
import time
import unittest
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy import URL

from dbtestcase import embedded
from dbtestcase.engines import redirect
from dbtestcase.errors import SandboxConflict, UncommittedDataWarning
from dbtestcase.sandbox import Sandbox, open_sandbox

SCHEMA = """
CREATE TABLE item (id serial PRIMARY KEY, name text UNIQUE, n int DEFAULT 0);
CREATE TABLE parent (id int PRIMARY KEY, name text);
CREATE TABLE child (id int PRIMARY KEY, parent_id int REFERENCES parent (id)
    DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE pair (id int PRIMARY KEY, other int UNIQUE DEFERRABLE INITIALLY IMMEDIATE);
CREATE FUNCTION add_item(text) RETURNS void LANGUAGE sql
    AS $$ INSERT INTO item (name) VALUES ($1) $$;
INSERT INTO item (name) VALUES ('first');
INSERT INTO parent VALUES (1, 'one');
"""

CONTENT = """
SELECT 'item', id, name, n FROM item UNION ALL
SELECT 'parent', id, name, 0 FROM parent UNION ALL
SELECT 'child', id, '', parent_id FROM child UNION ALL
SELECT 'pair', id, '', other FROM pair ORDER BY 1, 2
"""


class Actor:
    """One connection of a scenario, which notes all that happens to it."""

    def __init__(self, stage: Stage, name: str, **options: Any) -> None:
        self._stage = stage
        self._name = name
        self.fairy: Any = stage.engine.raw_connection()
        self.con: Any = self.fairy.dbapi_connection
        self.fairy.detach()  # the scenario closes it, not the pool
        self.cur = self.con.cursor(**options)

    def __call__(self, query: Any, vars: Any = None) -> Any:
        """Execute *query* and give its rows; an error is noted, and None."""

        def call() -> Any:
            self.cur.execute(query, vars)
            return self.cur.fetchall() if self.cur.description else None

        return self.note(query, call)

    def note(self, what: object, call: Callable[[], Any]) -> Any:
        """Call, and keep the answer or the error for the comparison."""
        return self._stage.note(f"{self._name}: {what}", call)

    def commit(self) -> None:
        self.note("commit()", self.con.commit)

    def rollback(self) -> None:
        self.note("rollback()", self.con.rollback)

    def close(self) -> None:
        pid = self.con.info.backend_pid
        self.note("close()", self.con.close)
        # a real server takes its time
        while self._stage.sandbox is None and self._stage.is_running(pid):
            time.sleep(0.01)

    def status(self) -> None:
        """Note what the driver and the server say of the transaction."""
        # psycopg 3 believes what the server says
        self.note(
            "status", lambda: (getattr(self.con, "status", None), self.con.info.transaction_status)
        )

    def session(
        self,
        *,
        isolation_level: str | None = None,
        readonly: bool | None = None,
        autocommit: bool | None = None,
    ) -> None:
        """Set what later transactions are like, by the means of the driver."""
        if hasattr(self.con, "set_session"):
            self.con.set_session(isolation_level, readonly, None, autocommit)
            return
        if isolation_level is not None:
            level = psycopg.IsolationLevel[isolation_level.replace(" ", "_")]
            self.con.isolation_level = level
        if readonly is not None:
            self.con.read_only = readonly
        if autocommit is not None:
            self.con.autocommit = autocommit


class Stage:
    """Where a scenario is played: with real connections, or in a sandbox.

    :ivar sandbox: None on real connections.
    """

    def __init__(self, engine: sa.Engine, sandbox: Sandbox | None) -> None:
        self.engine = engine
        self.sandbox = sandbox
        self.log: list[tuple[str, Any]] = []
        self.conflicts: list[str] = []
        self._names = iter("ABCDEFGHIJ")
        self._actors: list[Actor] = []

    def actor(self, **options: Any) -> Actor:
        """Connect."""
        actor = Actor(self, next(self._names), **options)
        self._actors.append(actor)
        return actor

    def note(self, what: str, call: Callable[[], Any]) -> Any:
        try:
            answer = call()
        except SandboxConflict as error:
            self.conflicts.append(str(error))
            raise
        except AssertionError:
            raise
        except Exception as e:
            original = getattr(e, "orig", e)
            first = str(original).splitlines()[0] if str(original) else ""
            state = getattr(original, "pgcode", None) or getattr(original, "sqlstate", None)
            self.log.append((what, (type(original).__name__, state, first)))
            return None
        self.log.append((what, answer))
        return answer

    def is_running(self, pid: int) -> bool:
        with self.engine.connect() as connection:
            asked = connection.exec_driver_sql(
                f"SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}"
            )
            return bool(asked.scalar())

    def close(self) -> None:
        for actor in self._actors:
            with contextlib.suppress(self.engine.dialect.loaded_dbapi.Error):
                actor.con.close()


Scenario = Callable[[Stage], object]


class TwinTestCase(unittest.TestCase):
    """Plays scenarios twice; see :meth:`assertSame`. Has two databases for each class."""

    url: URL
    #: the tests' own connection past everything, to the database of the sandbox
    judge: Any
    #: what the scenarios are played with
    driver = "postgresql+psycopg2"

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        server = cls.server_url().set(drivername=cls.driver)
        cls._server = sa.create_engine(
            server.set(database="postgres"), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool
        )
        cls.addClassCleanup(cls._server.dispose)
        # two runs of the suite at the same moment do not meet
        names = {
            which: f"dbtestcase_twin_{which}_{cls.__name__.lower()}_{os.getpid()}" for which in "rs"
        }
        cls.real_url = server.set(database=names["r"])
        cls.url = server.set(database=names["s"])
        with cls._server.connect() as connection:
            for name in names.values():
                connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
                connection.exec_driver_sql(f"CREATE DATABASE {name}")
                cls.addClassCleanup(cls._drop, name)
        cls.judge = sa.create_engine(
            cls.url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool
        )

    @classmethod
    def server_url(cls) -> URL:
        return embedded.server().url()

    @classmethod
    def _drop(cls, name: str) -> None:
        with cls._server.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")

    def setUp(self) -> None:
        super().setUp()
        for url in (self.real_url, self.url):
            engine = sa.create_engine(url, poolclass=sa.NullPool)
            with engine.begin() as connection:
                connection.exec_driver_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
                connection.exec_driver_sql(SCHEMA)

    def content(self, url: URL) -> list[Any]:
        """Give what an independent connection finds in a database."""
        with sa.create_engine(url, poolclass=sa.NullPool).connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(CONTENT)]

    @contextlib.contextmanager
    def sandbox(self, *, data: bool = False, **options: Any) -> Iterator[Stage]:
        """Open a sandbox in which a test has begun; at its end nothing may be left of it."""
        before = self.content(self.url)
        options = {"reset_sequences": True, **options}
        sandbox = open_sandbox(self.url, owner="TwinTest", **options)
        engine = sa.create_engine(self.url, poolclass=sa.NullPool)
        undo = redirect(engine, sandbox)
        try:
            if data:
                with engine.begin() as connection:
                    connection.exec_driver_sql("UPDATE parent SET name = name")
            sandbox.freeze()
            sandbox.begin_test()
            stage = Stage(engine, sandbox)
            yield stage
            stage.close()
        finally:
            sandbox.closing()
            try:
                sandbox.end_test()
            finally:
                undo()
                sandbox.close()
                engine.dispose()
        self.assertEqual(self.content(self.url), before)

    def _play_really(self, scenario: Scenario) -> tuple[list[Any], list[Any]]:
        engine = sa.create_engine(
            self.real_url, poolclass=sa.NullPool, connect_args={"options": "-c lock_timeout=300ms"}
        )
        stage = Stage(engine, None)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                scenario(stage)
        finally:
            stage.close()
            engine.dispose()
        return stage.log, self.content(self.real_url)

    def assertSame(self, scenario: Scenario, *, warns: int = 0) -> None:
        """Assert that rows, errors and the final content are those of real connections.

        :param warns: how many times the sandbox warns of uncommitted data.
        """
        log, content = self._play_really(scenario)
        for data in (False, True):
            with self.subTest(data=data), warnings.catch_warnings(record=True) as warned:
                warnings.simplefilter("always")
                with self.sandbox(data=data) as stage:
                    scenario(stage)
                    self.assertEqual(stage.log, log)
                    stage.close()
                    seen = stage.actor()(CONTENT)
                    self.assertEqual(seen, content)
                    assert stage.sandbox is not None
                    self.assertEqual(stage.sandbox.conflicts, [])
                texts = [
                    str(w.message) for w in warned if w.category is UncommittedDataWarning
                ]
                self.assertEqual(len(texts), warns, texts)

    def assertConflict(self, scenario: Scenario, message: str) -> None:
        """Assert that the sandbox refuses, and that real connections play it."""
        self._play_really(scenario)
        for data in (False, True):
            with self.subTest(data=data), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with self.sandbox(data=data) as stage:
                    with self.assertRaises(SandboxConflict) as caught:
                        scenario(stage)
                    self.assertRegex(str(caught.exception), f"^{message}$")
                    assert stage.sandbox is not None
                    # noted, so that it fails a test whose program swallows it
                    self.assertIn(caught.exception, stage.sandbox.conflicts)


class Relay:
    """Passes on what a client and the server say, and counts the server's ReadyForQuery.

    That is one for each message that the client waits for.
    """

    def __init__(self, url: URL) -> None:
        self.count = 0
        directory = tempfile.mkdtemp(prefix="dbtestcase-relay-")
        port = url.query.get("port") or url.port or 5432
        self._target = f"{url.query['host']}/.s.PGSQL.{port}"
        self._path = f"{directory}/.s.PGSQL.{port}"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self._path)
        self._listener.listen()
        self.url = url.update_query_dict({"host": directory})
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        shutil.rmtree(os.path.dirname(self._path))

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._target)
            threading.Thread(target=self._pass_on, args=(client, server), daemon=True).start()
            threading.Thread(target=self._count, args=(server, client), daemon=True).start()

    @staticmethod
    def _pass_on(client: socket.socket, server: socket.socket) -> None:
        # the other thread closes both as soon as the server has
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                server.sendall(data)
            server.shutdown(socket.SHUT_RDWR)

    def _count(self, server: socket.socket, client: socket.socket) -> None:
        with client, server:
            buffer = b""
            while data := server.recv(65536):
                buffer += data
                while len(buffer) >= 5:
                    length = 1 + int.from_bytes(buffer[1:5], "big")
                    if len(buffer) < length:
                        break
                    # counted before it is passed on, so that whoever was answered finds it counted
                    self.count += buffer[:1] == b"Z"
                    client.sendall(buffer[:length])
                    buffer = buffer[length:]

"""The door, redirected engines and one engine per URL."""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
import tempfile
import threading
import time
import types
import unittest
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg2
from psycopg2.extensions import ISOLATION_LEVEL_AUTOCOMMIT
from psycopg2.extensions import connection as PsycopgConnection
from sqlalchemy import URL, create_engine, event, exc, make_url, text
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import (
    AssertionPool,
    NullPool,
    Pool,
    QueuePool,
    SingletonThreadPool,
    StaticPool,
)

from dbtestcase import engines
from dbtestcase.embedded import server
from dbtestcase.engines import PRIVATE, UNKNOWN, Door, dispose_all, engine_for, private, redirect
from dbtestcase.engines.places import Place, place_of
from dbtestcase.errors import DatabaseTestWarning, SetUpError, UnsafeDatabaseError

POOLS: tuple[type[Pool], ...] = (
    QueuePool,
    NullPool,
    StaticPool,
    SingletonThreadPool,
    AssertionPool,
    type("PoolOfTheApp", (QueuePool,), {}),
)


# -- doubles: a source of virtual connections, and a server that counts who knocks ----------------


class Virtual:
    """Stands before a real connection; ends nothing of it."""

    def __init__(self, real: Any, autocommit: bool) -> None:
        self.__dict__.update(real=real, autocommit=autocommit, closed=0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self.__dict__[name] = value  # autocommit, isolation_level: never the real one's

    def commit(self) -> None:
        pass

    def rollback(self) -> None:
        pass

    def close(self) -> None:
        self.__dict__["closed"] = 1


class SQLiteReal(sqlite3.Connection):
    auto = False
    executed: list[str]

    def rollback(self) -> None:
        pass

    def close(self) -> None:
        pass


class PsycopgReal(PsycopgConnection):
    auto = False
    autocommit = property(lambda self: self.auto, lambda self, on: setattr(self, "auto", on))

    def set_isolation_level(self, level: Any) -> None:
        self.auto = level == ISOLATION_LEVEL_AUTOCOMMIT

    def rollback(self) -> None:
        pass

    def close(self) -> None:
        pass


class Source:
    """A ConnectionSource on one real connection, which is opened at the first call."""

    def __init__(self, url: URL | None = None) -> None:
        self.url = url
        self.open_each = False
        self.real: Any = None
        self.asked: list[tuple[str, dict[str, Any] | None]] = []
        self.virtuals: list[Virtual] = []
        self._lock = threading.Lock()
        self._begun = threading.local()

    def connect(self, dialect: Any, cparams: dict[str, Any] | None) -> Any:
        with self._lock:
            self.asked.append((dialect.driver, cparams))
            if self.real is None or self.open_each:
                self.real = self._open()
            self._begun.real = self.real
        return self._begun.real

    def _open(self) -> Any:
        if self.url is None:
            return sqlite3.connect(":memory:", check_same_thread=False, factory=SQLiteReal)
        arguments = self.url.translate_connect_args(username="user", database="dbname")
        arguments.update(self.url.query)
        return psycopg2.connect(**arguments, connection_factory=PsycopgReal)

    def virtual(self, real: Any) -> Any:
        if self._begun.__dict__.pop("real", None) is not real:
            raise AssertionError("virtual() for a connection that connect() did not give")
        virtual = Virtual(real, real.auto)
        real.auto = False
        self.virtuals.append(virtual)
        return virtual

    def close(self) -> None:
        for real in {virtual.real for virtual in self.virtuals} | {self.real} - {None}:
            super(type(real), real).close()


class Knocks:
    """A server that takes connections, counts them and hangs up."""

    def __init__(self) -> None:
        self.count = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            with connection:
                if connection.recv(4) == b"stop":
                    return
                self.count += 1

    def close(self) -> None:
        # through the queue of the socket: whoever knocked before has been counted by then
        with socket.create_connection(("127.0.0.1", self.port)) as last:
            last.sendall(b"stop")
        self._thread.join()
        self._socket.close()


class EnginesTestCase(unittest.TestCase):
    """A directory, a source and engines that are closed at the end."""

    def setUp(self) -> None:
        self.directory = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.file = self.directory / "shop.db"
        self.url = f"sqlite+pysqlite:///{self.file}"
        self.source = Source()
        self.addCleanup(self.source.close)

    def engine(self, url: str | URL | None = None, **options: Any) -> Engine:
        engine = create_engine(self.url if url is None else url, **options)
        self.addCleanup(engine.dispose)
        return engine

    def redirected(self, engine: Engine, source: Source | None = None) -> Engine:
        self.addCleanup(redirect(engine, source or self.source))
        return engine

    def assertRedirected(self, engine: Engine, source: Source | None = None) -> None:
        with engine.connect() as connection:
            self.assertIn(connection.connection.dbapi_connection, (source or self.source).virtuals)
            self.assertEqual(connection.scalar(text("SELECT 1")), 1)

    def assertOwn(self, engine: Engine) -> None:
        """The engine connects to the file of its URL, by a connection of the driver."""
        with engine.connect() as connection:
            self.assertIs(type(connection.connection.dbapi_connection), sqlite3.Connection)
            name = connection.execute(text("PRAGMA database_list")).one()[2]
        self.assertEqual(os.path.realpath(name), os.path.realpath(str(engine.url.database)))

    def assertRefused(self, message: str, act: Any) -> None:
        with self.assertRaises(UnsafeDatabaseError) as caught:
            act()
        self.assertEqual(str(caught.exception), message)

    def knocks(self) -> Knocks:
        knocks = Knocks()
        self.addCleanup(knocks.close)
        return knocks


def options_of(pool: Pool) -> dict[str, Any]:
    """What makes two pools the same in all but their connections."""
    names = ("_recycle", "_pre_ping", "_reset_on_return", "_creator", "_dialect", "_timeout")
    return {
        "class": type(pool),
        "overflow": private.overflow_of(pool),
        "size": pool.size() if isinstance(pool, QueuePool) else None,
        **{name: getattr(pool, name, None) for name in names},
        **{
            name: list(getattr(pool.dispatch, name))
            for name in ("connect", "checkout", "checkin", "reset", "close", "invalidate")
        },
    }


# -- redirect() -----------------------------------------------------------------------------------


class TestRedirect(EnginesTestCase):
    def test_every_pool(self):
        """Engines with any kind of pool take connections from the source, until they are let go."""
        for poolclass in POOLS:
            with self.subTest(poolclass.__name__):
                engine = self.engine(poolclass=poolclass)
                event.listen(engine, "checkout", lambda *arguments: None)
                before = options_of(engine.pool)
                undo = redirect(engine, self.source)
                self.assertIs(type(engine.pool), poolclass)
                self.assertRedirected(engine)
                self.assertRedirected(engine)
                self.assertFalse(self.file.exists())
                undo()
                self.assertEqual(options_of(engine.pool), before)
                self.assertOwn(engine)
                engine.dispose()
                self.file.unlink()

    def test_options_of_the_pool(self):
        """The copy keeps the options of the pool; limits are lifted and put back."""
        engine = self.engine(
            pool_size=2,
            max_overflow=3,
            pool_timeout=4,
            pool_recycle=500,
            pool_pre_ping=True,
            pool_use_lifo=True,
            pool_reset_on_return="commit",
            pool_logging_name="shop",
        )
        before = options_of(engine.pool)
        undo = redirect(engine, self.source)
        now = options_of(engine.pool)
        changed = {name for name in before if before[name] != now[name]}
        self.assertEqual(changed, {"overflow", "_creator", "connect"})
        self.assertEqual(engine.pool.logging_name, "shop")
        undo()
        self.assertEqual(options_of(engine.pool), before)

    def test_pool_of_one(self):
        """A test and the request that it makes do not wait for each other on a pool of one."""
        engine = self.engine(pool_size=1, max_overflow=0, pool_timeout=0.01)
        undo = redirect(engine, self.source)
        with engine.connect(), engine.connect(), engine.connect():
            self.assertEqual(len(self.source.virtuals), 3)
        engine.dispose()
        with engine.connect(), engine.connect():
            self.assertEqual(len(self.source.virtuals), 5)
        undo()
        with engine.connect(), self.assertRaises(exc.TimeoutError):
            engine.connect()

    def test_creator_of_the_user(self):
        """A ``creator=`` is not called while the engine is redirected, and again afterwards."""
        calls = []

        def creator():
            calls.append(1)
            return sqlite3.connect(self.file)

        engine = self.engine(creator=creator)
        undo = redirect(engine, self.source)
        self.assertRedirected(engine)
        self.assertEqual(self.source.asked, [("pysqlite", None)])
        self.assertEqual(calls, [])
        undo()
        self.assertOwn(engine)
        self.assertEqual(calls, [1])

    def test_pool_of_another_engine(self):
        """A pool that was made apart and given to the engine is redirected too."""
        apart = self.engine().pool
        engine = self.engine(pool=apart)
        self.redirected(engine)
        self.assertRedirected(engine)

    def test_connect_args(self):
        """The source is told the arguments with which the driver would have been called."""
        engine = self.redirected(self.engine(connect_args={"timeout": 7}))
        self.assertRedirected(engine)
        self.assertEqual(
            self.source.asked, [("pysqlite", {"check_same_thread": False, "timeout": 7})]
        )

    def test_do_connect_listeners(self):
        """No other ``do_connect`` listener is called: it might fetch a token, or connect itself."""
        calls = []

        def early(dialect, record, cargs, cparams):
            calls.append("class")
            return sqlite3.connect(self.file)

        event.listen(Engine, "do_connect", early)
        self.addCleanup(event.remove, Engine, "do_connect", early)
        engine = self.engine()
        event.listen(engine, "do_connect", lambda *arguments: calls.append("engine"))
        undo = redirect(engine, self.source)
        self.assertRedirected(engine)
        self.assertEqual(calls, [])
        self.assertFalse(self.file.exists())
        undo()
        self.assertOwn(engine)
        self.assertEqual(calls, ["class"])

    def test_option_engines(self):
        """Option engines, made before or after, go with their engine, and it with them."""
        engine = self.engine()
        before = engine.execution_options(isolation_level="AUTOCOMMIT")
        undo = redirect(engine, self.source)
        self.assertRedirected(before)
        self.assertRedirected(engine.execution_options(stream_results=True))
        undo()
        undo = redirect(before, self.source)
        self.assertRedirected(engine)
        undo()
        self.assertOwn(engine)
        self.assertOwn(before)

    def test_listeners_get_the_real_connection(self):
        """``connect`` listeners get a connection of the driver; afterwards all see the virtual."""
        engine = self.engine()
        seen = []
        event.listen(engine, "connect", lambda connection, record: seen.append(connection))
        event.listen(engine, "checkout", lambda connection, *rest: seen.append(connection))
        self.redirected(engine)
        with engine.connect() as connection:
            self.assertIs(connection.connection.driver_connection, self.source.virtuals[0])
        self.assertEqual(seen, [self.source.real, self.source.virtuals[0]])

    def test_late_listeners(self):
        """A listener that is added to a redirected engine runs before the virtual one is made."""
        engine = self.redirected(self.engine())
        self.assertRedirected(engine)

        def late(connection, record):
            connection.auto = True
            seen.append((connection, record.dbapi_connection))

        seen: list[Any] = []
        for target in (engine, engine.pool, Engine):
            event.listen(target, "connect", late)
            self.addCleanup(event.remove, target, "connect", late)
        with engine.connect(), engine.connect():
            pass
        real = self.source.real
        self.assertEqual(seen, [(real, real)] * 3)  # the first of the two was pooled already
        self.assertTrue(self.source.virtuals[-1].autocommit)
        engine.dispose()
        self.assertRedirected(engine)
        self.assertEqual(len(seen), 6)

    def test_listeners_added_meanwhile_stay(self):
        """A listener that the app adds while it is tested is kept, as dispose() keeps it."""
        engine = self.engine()
        undo = redirect(engine, self.source)
        calls = []
        event.listen(engine, "connect", lambda *arguments: calls.append(1))
        self.assertRedirected(engine)
        undo()
        self.assertOwn(engine)
        self.assertEqual(calls, [1, 1])

    def test_listener_that_raises(self):
        """After a ``connect`` listener that raised, the engine can connect again."""
        engine = self.redirected(self.engine())
        fails = [True]

        def listener(connection, record):
            if fails:
                fails.pop()
                raise RuntimeError("no")

        event.listen(engine, "connect", listener)
        with self.assertRaisesRegex(RuntimeError, "^no$"):
            engine.connect()
        self.assertEqual(self.source.virtuals, [])
        self.assertRedirected(engine)

    def test_pid_recipe(self):
        """SQLAlchemy's recipe for forks, which reads ``record.info["pid"]``, finds what it set."""
        engine = self.engine()

        @event.listens_for(engine, "connect")
        def connect(connection, record):
            record.info["pid"] = os.getpid()

        @event.listens_for(engine, "checkout")
        def checkout(connection, record, proxy):
            if record.info["pid"] != os.getpid():
                record.dbapi_connection = proxy.dbapi_connection = None
                raise exc.DisconnectionError("of another process")

        self.redirected(engine)
        self.assertRedirected(engine)
        self.assertRedirected(engine)
        self.assertEqual(len(self.source.virtuals), 1)
        with mock.patch("os.getpid", return_value=-1):
            self.assertRedirected(engine)
        self.assertEqual(len(self.source.virtuals), 2)

    def test_pre_ping(self):
        """``pool_pre_ping`` asks the virtual connection, and gets a new one when that is dead."""
        engine = self.redirected(self.engine(pool_pre_ping=True))
        self.assertRedirected(engine)
        self.assertRedirected(engine)
        self.assertEqual(len(self.source.virtuals), 1)
        dead = sqlite3.ProgrammingError("Cannot operate on a closed database.")
        self.source.virtuals[0].cursor = mock.Mock(side_effect=dead)
        self.assertRedirected(engine)
        self.assertEqual(len(self.source.virtuals), 2)

    def test_dispose_and_invalidate(self):
        """After ``dispose()`` or ``invalidate()`` by the app the engine is redirected still."""
        engine = self.engine()
        undo = redirect(engine, self.source)
        with engine.connect() as connection:
            engine.dispose()
            connection.invalidate()
            self.assertEqual(connection.scalar(text("SELECT 1")), 1)
        engine.dispose()
        self.assertRedirected(engine)
        self.assertEqual([each.closed for each in self.source.virtuals], [1, 1, 0])
        undo()
        self.assertEqual(self.source.virtuals[-1].closed, 1)
        self.assertOwn(engine)

    def test_stragglers(self):
        """A connection that is still open when its engine is let go does no harm afterwards."""
        for poolclass in POOLS:
            with self.subTest(poolclass.__name__):
                engine = self.engine(poolclass=poolclass)
                undo = redirect(engine, self.source)
                straggler = engine.connect()
                undo()
                self.assertOwn(engine)
                self.assertEqual(straggler.scalar(text("SELECT 1")), 1)
                straggler.close()
                self.assertOwn(engine)

    def test_kept_pool(self):
        """A pool that somebody kept from a test is of no use after it."""
        engine = self.engine()
        undo = redirect(engine, self.source)
        pool = engine.pool
        undo()
        self.assertRefused(
            f"refusing to connect through a pool that Engine({self.url}) had during tests which "
            "are over. Ask the engine for the connection, not a pool that was kept.",
            pool.connect,
        )

    def test_pool_replaced_by_the_app(self):
        """A pool that the app itself put into the engine is left alone."""
        engine = self.engine()
        undo = redirect(engine, self.source)
        engine.pool = own = self.engine().pool
        undo()
        self.assertIs(engine.pool, own)

    def test_undo_twice(self):
        """Undoing again changes nothing, also where the engine is redirected again by then."""
        engine = self.engine()
        first = redirect(engine, self.source)
        first()
        other = Source()
        self.addCleanup(other.close)
        self.redirected(engine, other)
        first()
        self.assertRedirected(engine, other)

    def test_own_connections_are_closed(self):
        """Idle connections that the engine had to its own database do not stay open."""
        engine = self.engine()
        self.assertOwn(engine)
        closed = []
        event.listen(engine, "close", lambda connection, record: closed.append(connection))
        self.redirected(engine)
        self.assertEqual([type(each) for each in closed], [sqlite3.Connection])

    def test_private_memory_is_kept(self):
        """What a private database in memory held is there again afterwards."""
        for poolclass in (StaticPool, SingletonThreadPool):
            with self.subTest(poolclass.__name__):
                engine = self.engine("sqlite://", poolclass=poolclass)
                with engine.begin() as connection:
                    connection.execute(text("CREATE TABLE kept (id INTEGER)"))
                undo = redirect(engine, self.source)
                with engine.connect() as connection, self.assertRaises(exc.OperationalError):
                    connection.execute(text("SELECT * FROM kept"))
                calls: list[int] = []
                event.listen(engine, "checkout", lambda *a, calls=calls: calls.append(1))
                undo()
                with engine.connect() as connection:
                    connection.execute(text("SELECT * FROM kept"))
                self.assertEqual(calls, [1])
                listeners = list(engine.pool.dispatch.connect)
                redirect(engine, self.source)()
                self.assertEqual(list(engine.pool.dispatch.connect), listeners)

    def test_connections_in_use(self):
        """Connections that are in use when the engine is redirected are warned of, by name."""
        for poolclass in POOLS:
            if poolclass is NullPool:  # keeps no account of its connections
                continue
            with self.subTest(poolclass.__name__):
                engine = self.engine(poolclass=poolclass)
                self.assertOwn(engine)
                with engine.connect(), warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    redirect(engine, self.source)()
                self.assertEqual(
                    [(each.category, str(each.message)) for each in caught],
                    [
                        (
                            DatabaseTestWarning,
                            f"Engine({self.url}) has 1 connection in use from before it was "
                            "redirected to the database of the tests: what is done there is real "
                            "and will not be undone. Close sessions and connections before the "
                            "test class starts.",
                        )
                    ],
                )
        engine = self.engine()
        with (
            engine.connect(),
            engine.connect(),
            self.assertWarnsRegex(DatabaseTestWarning, " has 2 connections in use "),
        ):
            redirect(engine, self.source)()

    def test_redirected_already(self):
        """An engine cannot lead to two places at once."""
        engine = self.redirected(self.engine())
        with self.assertRaises(SetUpError) as caught:
            redirect(engine, Source())
        self.assertEqual(
            str(caught.exception),
            f"Engine({self.url}) is redirected to a test database already, by a test class or by "
            "sandboxed() that is still active. Let one of the two leave this engine out.",
        )
        self.assertRedirected(engine)

    def test_async_engine(self):
        """An AsyncEngine is refused by name, as is the engine beneath it."""
        engine = async_engine()
        for each in (engine, types.SimpleNamespace(sync_engine=engine)):
            self.assertRefused(
                'refusing to connect an AsyncEngine to database "shop" on db.example: async '
                "engines cannot be redirected to a test database yet, and asyncpg would contact "
                "its own. Give the tests a synchronous engine, or name the database in "
                "let_through.",
                lambda each=each: redirect(each, self.source),
            )

    def test_source_that_gives_nothing(self):
        """A source that returns None does not make SQLAlchemy connect by itself."""
        engine = self.redirected(self.engine())
        with (
            mock.patch.object(self.source, "connect", return_value=None),
            self.assertRaisesRegex(TypeError, r"\.connect\(\) returned None$"),
        ):
            engine.connect()
        self.assertFalse(self.file.exists())

    def test_nothing_is_left(self):
        """With the last engine let go, SQLAlchemy has no listener of ours."""
        first, second = self.engine(), self.engine()
        undo_first, undo_second = redirect(first, self.source), redirect(second, self.source)
        undo_first()
        self.assertRedirected(second)
        undo_second()
        self.assertEqual(list(first.dialect.dispatch.do_connect), [])


class TestRedirectPostgreSQL(EnginesTestCase):
    """What the driver has its own ways for."""

    def setUp(self) -> None:
        super().setUp()
        self.knocking = self.knocks()
        self.url = f"postgresql+psycopg2://app:secret@127.0.0.1:{self.knocking.port}/shop"
        self.source = Source(server().url().set(database="postgres"))
        self.addCleanup(self.source.close)

    def test_own_server_is_not_contacted(self):
        """The server of the engine's URL hears nothing until the engine is let go."""
        for options in ({}, {"poolclass": NullPool}, {"pool_pre_ping": True}):
            with self.subTest(options):
                knocked = self.knocking.count
                engine = self.engine(**options)
                undo = redirect(engine, self.source)
                self.assertRedirected(engine)
                engine.dispose()
                self.assertRedirected(engine)
                self.assertEqual(self.knocking.count, knocked)
                undo()
                self.assertEqual(self.knocking.count, knocked)
                with self.assertRaises(exc.OperationalError):
                    engine.connect()
                self.assertEqual(self.knocking.count, knocked + 1)

    def test_autocommit_of_the_engine(self):
        """``isolation_level="AUTOCOMMIT"`` of create_engine() reaches the virtual connection."""
        engine = self.redirected(self.engine(isolation_level="AUTOCOMMIT"))
        self.assertRedirected(engine)
        self.assertTrue(self.source.virtuals[0].autocommit)
        self.assertFalse(self.source.real.autocommit)

    def test_connect_args(self):
        """The source is told the arguments with which psycopg2 would have been called."""
        engine = self.redirected(self.engine(connect_args={"options": "-c search_path=audit"}))
        self.assertRedirected(engine)
        self.assertEqual(
            self.source.asked,
            [
                (
                    "psycopg2",
                    {
                        "host": "127.0.0.1",
                        "port": self.knocking.port,
                        "dbname": "shop",
                        "user": "app",
                        "password": "secret",
                        "options": "-c search_path=audit",
                    },
                )
            ],
        )

    def test_types_are_registered(self):
        """What psycopg2 insists on doing with a connection of its own is done."""
        engine = self.redirected(self.engine())
        with engine.connect() as connection:
            value = connection.exec_driver_sql("SELECT gen_random_uuid()").scalar()
        self.assertIsInstance(value, uuid.UUID)

    def test_no_knock_of_strangers(self):
        """The server of an engine that is refused hears nothing, in whatever way it is asked."""
        with door(urls={None: make_url("postgresql+psycopg2:///dbtestcase_shop_1")}):
            for engine in (
                self.engine(),
                self.engine(poolclass=NullPool),
                self.engine("postgresql+psycopg2://", connect_args=connect_args(self.url)),
                self.engine().execution_options(stream_results=True),
            ):
                for contact in (
                    engine.connect,
                    engine.raw_connection,
                    engine.pool.connect,
                    engine.begin().__enter__,
                    lambda engine=engine: Session(engine).execute(text("SELECT 1")),
                ):
                    with self.assertRaises(UnsafeDatabaseError) as caught:
                        contact()
                    self.assertNotIn("secret", str(caught.exception))
        self.assertEqual(self.knocking.count, 0)

    def test_known_engine(self):
        """An engine that the class knows is redirected, whatever its URL says."""
        known = self.engine()
        with door(self.source, {None: self.source.url}, known={None: known}):
            self.assertRedirected(known)
            self.assertRedirected(known.execution_options(isolation_level="AUTOCOMMIT"))
        self.assertEqual(self.knocking.count, 0)
        with self.assertRaises(exc.OperationalError):
            known.connect()
        self.assertEqual(self.knocking.count, 1)


# -- Door -----------------------------------------------------------------------------------------


@contextlib.contextmanager
def door(
    source: Source | None = None,
    urls: dict[str | None, URL | None] | None = None,
    *,
    known: dict[str | None, Engine] | None = None,
    owner: str = "SignupTest",
    **options: Any,
) -> Iterator[Door]:
    def key_of(engine: Engine) -> Any:
        for key, each in (known or {}).items():
            if each.dialect is engine.dialect:
                return key
        return UNKNOWN

    with Door(
        owner=owner,
        known=key_of,
        urls=lambda: urls or {},  # type: ignore[arg-type, return-value]
        source=lambda key, engine: source or Source(),
        **options,
    ) as opened:
        yield opened


def connect_args(url: str) -> dict[str, Any]:
    return make_url(url).translate_connect_args(username="user", database="dbname")


#: Stands for a driver that need not be installed.
DRIVER = types.SimpleNamespace(
    paramstyle="numeric_dollar", Error=type("DriverError", (Exception,), {})
)


def async_engine(url: str = "postgresql+asyncpg://app:secret@db.example/shop") -> Engine:
    """Give an engine as an AsyncEngine has it."""
    return create_engine(url, module=DRIVER)


def not_ours(label: str) -> str:
    return (
        f"refusing to connect to {label}: it is not a database of SignupTest. Point the engine at "
        "cls.database_url, return it from create_engine(), or name the database in let_through."
    )


class TestDoor(EnginesTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.ours = self.directory / "shop_test.db"
        self.urls: dict[str | None, URL | None] = {None: make_url(f"sqlite:///{self.ours}")}

    def open(self, **options: Any) -> Door:
        return self.enterContext(door(self.source, self.urls, **options))

    def test_by_url(self):
        """An engine whose URL leads to a database of the class is redirected."""
        early = self.engine(f"sqlite:///{self.ours}")
        self.open()
        late = self.engine(f"sqlite+pysqlite:///{self.ours}")
        (self.directory / "link").symlink_to(self.directory)
        linked = self.engine(f"sqlite:///{self.directory}/link/shop_test.db")
        labelled = self.engine(self.urls[None], creator=lambda: self.fail("called"))
        for engine in (early, late, linked, labelled, early.execution_options(a=1)):
            self.assertRedirected(engine)
        self.assertFalse(self.ours.exists())

    def test_every_way_in(self):
        """Connections, sessions and raw connections all pass the door."""
        self.open()
        for number in range(5):
            engine = self.engine(f"sqlite:///{self.ours}")
            asked = len(self.source.asked)
            with contextlib.ExitStack() as stack:
                if number == 0:
                    stack.enter_context(engine.connect())
                elif number == 1:
                    stack.enter_context(engine.begin())
                elif number == 2:
                    stack.enter_context(Session(engine)).execute(text("SELECT 1"))
                elif number == 3:
                    stack.callback(engine.raw_connection().close)
                else:
                    stack.enter_context(engine.execution_options(a=1).connect())
                self.assertEqual(len(self.source.asked), asked + 1)

    def test_own_database_afterwards(self):
        """With the door closed every engine has its own pool, and SQLAlchemy its own methods."""
        raw_connection, pool_connect = Engine.raw_connection, Pool.connect
        engine = self.engine(f"sqlite:///{self.ours}")
        before = options_of(engine.pool)
        with door(self.source, self.urls):
            self.assertRedirected(engine)
            self.assertIsNot(Engine.raw_connection, raw_connection)
        self.assertIs(Engine.raw_connection, raw_connection)
        self.assertIs(Pool.connect, pool_connect)
        self.assertEqual(options_of(engine.pool), before)
        self.assertEqual(list(engine.dialect.dispatch.do_connect), [])
        self.assertEqual(list(Session().dispatch.after_begin), [])
        self.assertOwn(engine)

    def test_known_before_url(self):
        """An engine that the class knows is redirected under its key, whatever its URL says."""
        audit = Source()
        self.addCleanup(audit.close)
        sources = {None: self.source, "audit": audit}
        known = self.engine()
        self.urls["audit"] = make_url(f"sqlite:///{self.directory}/audit_test.db")
        with Door(
            owner="SignupTest",
            known=lambda engine: "audit" if engine.dialect is known.dialect else UNKNOWN,
            urls=lambda: self.urls,
            source=lambda key, engine: sources[key],
        ):
            self.assertRedirected(known, audit)
            self.assertRedirected(self.engine(self.urls["audit"]), audit)
            self.assertRedirected(self.engine(self.urls[None]))
        self.assertFalse(self.file.exists())

    def test_default_bind_is_a_key(self):
        """``known`` giving None means the default bind, not an unknown engine."""
        known = self.engine()
        self.open(known={None: known})
        self.assertRedirected(known)

    def test_stranger(self):
        """An engine to any other database is refused by name, before contact."""
        self.open()
        for url, label in {
            self.url: f'SQLite file "{os.path.realpath(self.file)}"',
            f"sqlite:///file:{self.file}?mode=ro&uri=true": (
                f'SQLite file "{os.path.realpath(self.file)}"'
            ),
            "sqlite:///file:/shop?vfs=memdb&uri=true": 'SQLite memory database "/shop"',
            "sqlite:///file:shop?mode=memory&cache=shared&uri=true": (
                'SQLite memory database "shop"'
            ),
            "postgresql+psycopg2://app:secret@db.example/shop": 'database "shop" on db.example',
            "postgresql+psycopg2://db.example:5433/shop": 'database "shop" on db.example:5433',
            "postgresql+psycopg2:///shop": 'database "shop" on this machine',
            "postgresql+psycopg2:///shop?host=/run/postgresql": (
                'database "shop" on /run/postgresql'
            ),
            "postgresql+psycopg2:///shop?host=a:1&host=b:2": 'database "shop" on a,b:1,2',
        }.items():
            with self.subTest(url), warnings.catch_warnings():
                warnings.simplefilter("ignore", exc.SADeprecationWarning)  # mode=memory, in 2.1
                engine = self.engine(url, poolclass=QueuePool)
                self.assertRefused(not_ours(label), engine.connect)
                self.assertRefused(not_ours(label), engine.raw_connection)
        self.assertFalse(self.file.exists())

    def test_stranger_of_another_kind(self):
        """Databases that the library cannot test on are refused by name as well."""
        engine = self.engine("mysql+pymysql://app:secret@db.example/shop", module=DRIVER)
        self.open()
        self.assertRefused(not_ours('database "shop" on db.example'), engine.connect)

    def test_connect_args_decide(self):
        """``connect_args`` that lead elsewhere than the URL are believed."""
        ours = "postgresql+psycopg2://db.example/shop_test"
        self.urls[None] = make_url(ours)
        self.open()
        engine = self.engine(ours, connect_args={"dbname": "shop"})
        self.assertRefused(not_ours('database "shop" on db.example'), engine.connect)

    def test_stranger_without_a_name(self):
        """An engine whose URL names no database cannot be one of ours."""
        self.open()
        for url, shown in {
            "postgresql+psycopg2://": "postgresql+psycopg2://",
            "sqlite://": "sqlite://",
            "postgresql+psycopg2://app:secret@db.example": (
                "postgresql+psycopg2://app:***@db.example"
            ),
        }.items():
            with self.subTest(url):
                engine = self.engine(url, creator=lambda: self.fail("called"))
                self.assertRefused(
                    f"refusing to connect Engine({shown}): its URL names no database, so nothing "
                    "tells whether it is one of SignupTest. Point the engine at cls.database_url, "
                    "return it from create_engine(), or let it through by its URL: "
                    f'let_through = ("{shown}",).',
                    engine.connect,
                )

    def test_pool_of_a_stranger(self):
        """``engine.pool.connect()`` does not lead past the door."""
        self.open()
        listener = mock.Mock(return_value=None)
        event.listen(Engine, "do_connect", listener)
        self.addCleanup(event.remove, Engine, "do_connect", listener)
        for engine, label in {
            self.engine(): f'SQLite file "{os.path.realpath(self.file)}"',
            self.engine(self.urls[None]): f'SQLite file "{os.path.realpath(self.ours)}"',
            self.engine("postgresql+psycopg2://"): "a database",
        }.items():
            self.assertRefused(
                f"refusing to connect to {label} by engine.pool.connect(): SignupTest does not "
                "know the pool, because its engine has not connected yet. Use engine.connect() or "
                "engine.raw_connection(), or name the database in let_through.",
                engine.pool.connect,
            )
        listener.assert_not_called()

    def test_pool_of_a_stranger_with_a_creator(self):
        """``engine.pool.connect()`` does not call the ``creator=`` of an engine unknown so far."""
        opened = self.open()
        creator = mock.Mock(side_effect=lambda: sqlite3.connect(":memory:"))
        for poolclass in POOLS:
            with self.subTest(poolclass.__name__):
                engine = self.engine(creator=creator, poolclass=poolclass)
                self.assertRefused(
                    "refusing to connect to what a creator= would connect to by "
                    "engine.pool.connect(): SignupTest does not know the pool, because its engine "
                    "has not connected yet. Use engine.connect() or engine.raw_connection(), or "
                    "name the database in let_through.",
                    engine.pool.connect,
                )
        creator.assert_not_called()
        self.assertEqual(len(opened.refusals), len(POOLS))
        opened.refusals.clear()

    def test_pools_that_may_connect(self):
        """A pool of an engine that was let through, or of no engine, is not ours to refuse."""
        self.open(let_through=("outside",))
        creator = mock.Mock(side_effect=lambda: sqlite3.connect(":memory:"))
        engine = self.engine(f"sqlite:///{self.directory}/outside.db", creator=creator)
        engine.connect().close()
        for pool in (engine.pool, QueuePool(creator)):
            with contextlib.closing(pool.connect()) as connection:
                self.assertEqual(connection.cursor().execute("SELECT 1").fetchone(), (1,))

    def test_pool_of_a_redirected_engine(self):
        """``engine.pool.connect()`` works where the engine has been there before."""
        door = self.open()
        engine = self.engine(self.urls[None])
        door.enlist(engine)
        self.assertEqual(self.source.asked, [])
        with contextlib.closing(engine.pool.connect()) as connection:
            self.assertIs(connection.dbapi_connection, self.source.virtuals[-1])

    def test_let_through(self):
        """Databases that the class names stay outside, be they of the app or of strangers."""
        for let_through in (
            ("shop",),
            "shop",
            ("shop.db",),
            [str(self.file)],
            {os.path.realpath(self.file)},
            (self.url,),
        ):
            engine = self.engine()
            with (
                self.subTest(let_through),
                door(self.source, self.urls, known={None: engine}, let_through=let_through),
            ):
                self.assertOwn(engine)
                engine.dispose()
                self.assertOwn(engine.execution_options(a=1))
                engine.dispose()
                engine.pool.connect().close()
                with self.assertRaises(UnsafeDatabaseError):
                    self.engine(f"sqlite:///{self.directory}/other.db").connect()
        self.assertEqual(self.source.asked, [])

    def test_let_through_by_url(self):
        """An engine whose URL names no database is let through by its URL."""
        engine = self.engine("sqlite://", creator=lambda: sqlite3.connect(":memory:"))
        self.open(let_through=("sqlite://",))
        with engine.connect() as connection:
            self.assertEqual(connection.scalar(text("SELECT 1")), 1)

    def test_let_through_asks_listeners(self):
        """An engine that is let through keeps its own ``do_connect`` listeners."""
        engine = self.engine()
        listener = mock.Mock(return_value=None)
        event.listen(engine, "do_connect", listener)
        self.open(let_through=("shop",))
        self.assertOwn(engine)
        listener.assert_called_once()

    def test_private_memory(self):
        """A private SQLite database in memory passes; one that is known is redirected."""
        known = self.engine("sqlite://")
        self.open(known={None: known})
        for url in (
            "sqlite://",
            "sqlite:///:memory:",
            "sqlite:///file::memory:?uri=true",
            "sqlite:///file:?uri=true",
            "sqlite:///file:shop?mode=memory&uri=true",
            "sqlite:///file:shop?vfs=memdb&uri=true",
        ):
            with self.subTest(url):
                engine = self.engine(url, poolclass=QueuePool)
                with contextlib.closing(engine.pool.connect()) as connection:
                    self.assertIs(type(connection.dbapi_connection), sqlite3.Connection)
                with engine.connect() as connection:
                    self.assertIs(type(connection.connection.dbapi_connection), sqlite3.Connection)
        self.assertRedirected(known)

    def test_private_engines(self):
        """Engines of the library itself go round the door."""
        engine = self.engine(poolclass=NullPool, execution_options={PRIVATE: True})
        with door(self.source, {}):
            self.assertOwn(engine)
            self.assertOwn(engine.execution_options(isolation_level="AUTOCOMMIT"))

    def test_async_engine(self):
        """An AsyncEngine is refused by name, unless it is let through."""
        engine = async_engine()
        message = (
            'refusing to connect an AsyncEngine to database "shop" on db.example: async engines '
            "cannot be redirected to a test database yet, and asyncpg would contact its own. Give "
            "the tests a synchronous engine, or name the database in let_through."
        )
        for known in ({}, {None: engine}):
            with door(self.source, self.urls, known=known):
                self.assertRefused(message, engine.raw_connection)
        with door(self.source, self.urls, let_through=("shop",)) as opened:
            opened.enlist(engine)

    def test_another_dialect(self):
        """An engine cannot be redirected to another kind of database."""
        default = self.engine("postgresql+psycopg2://app:secret@db.example/shop")
        audit = self.engine("postgresql+psycopg2://app:secret@db.example/audit")
        self.urls["audit"] = make_url(f"sqlite:///{self.directory}/audit_test.db")
        opened = self.open(known={None: default, "audit": audit})
        opened._source = mock.Mock(side_effect=AssertionError("a database was prepared"))
        for engine, database, wanted in (
            (default, "shop", "cls.database_url"),
            (audit, "audit", "cls.database_urls['audit']"),
        ):
            self.assertRefused(
                f"refusing to connect Engine(postgresql+psycopg2://app:***@db.example/{database}): "
                "it speaks postgresql, but the database of SignupTest is sqlite, and an engine can "
                f"only be redirected to a database of its own kind. Point the engine at {wanted}.",
                engine.connect,
            )
        self.assertEqual(self.source.asked, [])

    def test_dialect_of_a_bind_leased_late(self):
        """A bind whose database is taken when its engine is first seen is checked too."""
        engine = self.engine("postgresql+psycopg2://db.example/audit")
        urls: dict[str | None, URL] = {}

        def source(key, engine):
            urls[key] = make_url("sqlite://")
            return self.source

        with (
            Door(owner="A", known=lambda e: "audit", urls=lambda: urls, source=source),
            self.assertRaisesRegex(UnsafeDatabaseError, "it speaks postgresql, "),
        ):
            engine.connect()

    def test_redirected_by_somebody_else(self):
        """An engine that ``sandboxed()`` redirected is left to it, as is a class's own one."""
        engine = self.engine()
        self.open()
        undo = redirect(engine, self.source)
        self.assertRedirected(engine)
        undo()
        self.assertRefused(not_ours(f'SQLite file "{os.path.realpath(self.file)}"'), engine.connect)

    def test_first_contact_of_four_threads(self):
        """Threads that contact an engine at the same moment redirect it once."""
        engine = self.engine(self.urls[None])
        start = threading.Barrier(4)
        sources, errors = [], []
        # SQLite takes no two statements at once, and nothing here keeps them apart
        self.source.open_each = True

        def source(key, engine):
            sources.append(key)
            time.sleep(0.02)  # preparing a database takes its time
            return self.source

        def contact():
            start.wait()
            try:
                with engine.connect() as connection:
                    connection.scalar(text("SELECT 1"))
            except BaseException as error:
                errors.append(error)

        with Door(
            owner="A", known=lambda e: UNKNOWN, urls=lambda: self.urls, source=source
        ) as opened:
            threads = [threading.Thread(target=contact) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(errors, [])
            self.assertEqual(sources, [None])
            self.assertEqual(opened.mark(), 1)
            self.assertLessEqual(len(self.source.asked), 4)
        self.assertOwn(engine)

    def test_let_go(self):
        """Engines that were first seen after a mark are let go, the others are not."""
        door = self.open()
        first, second = self.engine(self.urls[None]), self.engine(self.urls[None])
        before = options_of(second.pool)
        self.assertRedirected(first)
        mark = door.mark()
        self.assertRedirected(second)
        door.let_go(mark)
        self.assertEqual(options_of(second.pool), before)
        self.assertTrue(private.is_standard(before["_creator"]))
        self.assertFalse(private.is_standard(private.creator_of(first.pool)))
        self.assertEqual(door.mark(), mark)
        self.assertRedirected(second)
        self.assertEqual(door.mark(), mark + 1)

    def test_two_doors(self):
        """A second door is refused while one is open, and no trace of it is left."""
        raw_connection = Engine.raw_connection
        with door(owner="SignupTest"):
            inside = Engine.raw_connection
            with self.assertRaises(SetUpError) as caught, door(owner="OrderTest"):
                self.fail("opened")
            self.assertIs(Engine.raw_connection, inside)
        self.assertEqual(
            str(caught.exception),
            "OrderTest cannot open its databases, because those of SignupTest are still open: test "
            "classes cannot run inside one another, nor in two threads of one process. Let "
            "SignupTest end first (tearDownClass and class cleanups), or run the two in processes "
            "of their own.",
        )
        self.assertIs(Engine.raw_connection, raw_connection)
        with door(owner="OrderTest"):
            self.assertIsNot(Engine.raw_connection, raw_connection)

    def test_door_opens_again(self):
        """The same door can be opened once more."""
        engine = self.engine(self.urls[None])
        opened = Door(
            owner="A",
            known=lambda e: UNKNOWN,
            urls=lambda: self.urls,
            source=lambda k, e: self.source,
        )
        for _ in range(2):
            with opened:
                self.assertRedirected(engine)
            self.assertOwn(engine)

    def test_wrapped_by_another_library(self):
        """What another library put round ``raw_connection`` meanwhile stays, and works."""
        original = Engine.raw_connection
        self.addCleanup(setattr, Engine, "raw_connection", original)
        calls = []
        with door(self.source, self.urls):
            ours = Engine.raw_connection

            def theirs(engine):
                calls.append(1)
                return ours(engine)

            Engine.raw_connection = theirs
        self.assertIs(Engine.raw_connection, theirs)
        self.assertOwn(self.engine())
        with door(self.source, self.urls):
            self.assertRedirected(self.engine(self.urls[None]))
        self.assertEqual(calls, [1, 1])

    def test_error_of_a_callback(self):
        """An error while a database is prepared reaches the code that connects; none is kept."""
        engine = self.engine(self.urls[None])
        source = mock.Mock(side_effect=[RuntimeError("no"), self.source])
        with Door(owner="A", known=lambda e: UNKNOWN, urls=lambda: self.urls, source=source):
            with self.assertRaisesRegex(RuntimeError, "^no$"):
                engine.connect()
            self.assertRedirected(engine)

    def test_sessions_are_closed(self):
        """Sessions that somebody left open are closed; those that did nothing are not touched."""
        door = self.open()
        engine = self.engine(self.urls[None])
        left, thread_left, idle = Session(engine), Session(engine), Session(engine)
        left.execute(text("SELECT 1"))
        thread = threading.Thread(target=thread_left.execute, args=(text("SELECT 1"),))
        thread.start()
        thread.join()
        with mock.patch.object(idle, "close") as close:
            door.close_sessions()
            close.assert_not_called()
        self.assertFalse(left.in_transaction())
        self.assertFalse(thread_left.in_transaction())
        self.assertEqual(engine.pool.checkedout(), 0)
        with mock.patch.object(left, "close") as close:
            door.close_sessions()
            close.assert_not_called()

    def test_sessions_that_cannot_be_closed(self):
        """Every session is closed, whatever fails, and then all that failed is reported."""
        door = self.open()
        engine = self.engine(self.urls[None])

        class Stubborn(Session):
            def close(self):
                super().close()
                raise RuntimeError("no")

        sessions = [Stubborn(engine), Session(engine), Stubborn(engine)]
        for session in sessions:
            session.execute(text("SELECT 1"))
        with self.assertRaises(ExceptionGroup) as caught:
            door.close_sessions()
        self.assertEqual(str(caught.exception), "closing sessions of SignupTest (2 sub-exceptions)")
        self.assertEqual([str(each) for each in caught.exception.exceptions], ["no", "no"])
        self.assertEqual([session.in_transaction() for session in sessions], [False] * 3)
        sessions[0].execute(text("SELECT 1"))
        with self.assertRaisesRegex(RuntimeError, "^no$"):
            door.close_sessions()

    def test_closes_in_spite_of_errors(self):
        """A session that cannot be closed does not keep the door open."""
        raw_connection = Engine.raw_connection
        engine = self.engine(self.urls[None])
        session = Session(engine)
        with self.assertRaisesRegex(KeyboardInterrupt, "^now$"), door(self.source, self.urls):
            session.execute(text("SELECT 1"))
            session.close = mock.Mock(side_effect=KeyboardInterrupt("now"))
        self.assertIs(Engine.raw_connection, raw_connection)
        self.assertIsNone(private_redirection(engine))
        with door(owner="OrderTest"):
            pass
        Session.close(session)


def private_redirection(engine: Engine) -> Any:
    return engines.redirecting.redirection_of(engine.pool)


# -- where a URL leads ----------------------------------------------------------------------------


class TestPlaceOf(unittest.TestCase):
    def place(self, url: str | URL, **connect_args: Any) -> Place:
        engine = create_engine(url, connect_args=connect_args, poolclass=QueuePool)
        self.addCleanup(engine.dispose)
        return engines.redirecting.place_of_engine(engine)

    def assertSame(self, *urls: str | URL) -> None:
        places = [self.place(url) for url in urls]
        for url, place in zip(urls, places, strict=True):
            with self.subTest(url):
                self.assertIsNotNone(place.key)
                self.assertEqual(place.key, places[0].key)

    def assertDifferent(self, *urls: str) -> None:
        keys = [self.place(url).key for url in urls]
        self.assertNotIn(None, keys)
        self.assertEqual(len(set(keys)), len(urls), keys)

    def setUp(self) -> None:
        hidden = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        self.enterContext(mock.patch.dict(os.environ, hidden, clear=True))

    def test_same_postgresql(self):
        """User, password, driver's defaults and spelling do not make another database."""
        self.assertSame(
            "postgresql+psycopg2://db.example/shop",
            "postgresql+psycopg2://app:secret@DB.Example.:5432/shop",
            "postgresql+psycopg2:///shop?host=db.example",
            "postgresql+psycopg2:///shop?host=db.example&port=5432&application_name=x",
        )

    def test_loopback(self):
        """The names of this machine's loopback interface are one host; a socket is another."""
        self.assertSame(
            "postgresql+psycopg2://localhost/shop",
            "postgresql+psycopg2://127.0.0.1/shop",
            "postgresql+psycopg2://[::1]/shop",
        )
        self.assertDifferent(
            "postgresql+psycopg2://localhost/shop",
            "postgresql+psycopg2:///shop",
            "postgresql+psycopg2:///shop?host=/run/postgresql",
        )

    def test_socket_directory(self):
        """Directories of Unix sockets are compared with their links resolved."""
        with tempfile.TemporaryDirectory() as directory:
            os.symlink(directory, link := f"{directory}/link")
            self.assertSame(
                f"postgresql+psycopg2:///shop?host={directory}",
                f"postgresql+psycopg2:///shop?host={directory}/",
                f"postgresql+psycopg2:///shop?host={link}",
            )

    def test_different_postgresql(self):
        """Host, port and database each make another database, as does a named service."""
        self.assertDifferent(
            "postgresql+psycopg2://db.example/shop",
            "postgresql+psycopg2://db.example/Shop",
            "postgresql+psycopg2://db2.example/shop",
            "postgresql+psycopg2://db.example:5433/shop",
            "postgresql+psycopg2://db.example/shop?service=shop",
            "postgresql+psycopg2://db.example/shop?hostaddr=192.0.2.1",
            "postgresql+psycopg2:///shop?host=db.example,db2.example",
        )

    def test_several_hosts(self):
        """Several hosts are compared with their ports, in whichever form they are written."""
        self.assertSame(
            "postgresql+psycopg2:///shop?host=a:5432&host=b:5432",
            "postgresql+psycopg2:///shop?host=a,b&port=5432,5432",
            "postgresql+psycopg2:///shop?host=a,b",
        )
        self.assertEqual(
            self.place("postgresql+psycopg2:///shop", host="a,b", port=5432).key,
            self.place("postgresql+psycopg2:///shop?host=a,b").key,
        )

    def test_environment(self):
        """What a URL leaves out comes from libpq's environment variables."""
        named = self.place("postgresql+psycopg2://db.example:5433/shop")
        self.assertIsNone(self.place("postgresql+psycopg2://").key)
        environment = {"PGHOST": "db.example", "PGPORT": "5433", "PGDATABASE": "shop"}
        with mock.patch.dict(os.environ, environment):
            self.assertEqual(self.place("postgresql+psycopg2://").key, named.key)

    def test_connect_args(self):
        """``connect_args`` count as the driver would count them."""
        url = "postgresql+psycopg2://db.example/shop"
        self.assertEqual(
            self.place("postgresql+psycopg2://", host="db.example", dbname="shop").key,
            self.place(url).key,
        )
        self.assertNotEqual(self.place(url, host="db2.example").key, self.place(url).key)
        self.assertNotEqual(self.place(url, dsn="host=db2.example").key, self.place(url).key)

    def test_sqlite_files(self):
        """SQLite files are compared by absolute path, whichever way that is written."""
        with tempfile.TemporaryDirectory() as directory, contextlib.chdir(directory):
            os.symlink(directory, f"{directory}/link")
            self.assertSame(
                f"sqlite:///{directory}/shop 1.db",
                "sqlite:///shop 1.db",
                "sqlite:///./link/../shop 1.db",
                "sqlite:///link/shop 1.db",
                # in 2.0 make_url() leaves %20 to SQLite, in 2.1 it decodes it
                *(
                    URL.create("sqlite", database=name, query={"uri": "true", "mode": "rwc"})
                    for name in (
                        "file:shop%201.db",
                        f"file:{directory}/shop%201.db",
                        f"file://{directory}/shop%201.db",
                        f"file://localhost{directory}/shop 1.db",
                    )
                ),
            )
            self.assertEqual(os.listdir(), ["link"])

    def test_sqlite_memory(self):
        """Shared databases in memory are compared by their name."""
        self.assertSame(
            "sqlite:///file:/shop?vfs=memdb&uri=true", "sqlite:///file:///shop?vfs=memdb&uri=true"
        )
        self.assertSame(
            "sqlite:///file:shop?mode=memory&cache=shared&uri=true",
            "sqlite:///file:shop?cache=shared&mode=memory&uri=true",
        )
        self.assertDifferent(
            "sqlite:///file:/shop?vfs=memdb&uri=true",
            "sqlite:///file:/shop2?vfs=memdb&uri=true",
            "sqlite:///file:/shop?mode=memory&cache=shared&uri=true",
            "sqlite:///file::memory:?cache=shared&uri=true",
            "sqlite:////shop",
        )

    def test_made_with_creator(self):
        """Of an engine with ``creator=`` the URL is all that is known."""
        postgresql = create_engine("postgresql+psycopg2://")
        with mock.patch.dict(os.environ, {"PGDATABASE": "shop"}):
            place = place_of(postgresql.dialect, postgresql.url)
        self.assertIsNone(place.key)
        sqlite = create_engine("sqlite://")
        self.assertFalse(place_of(sqlite.dialect, sqlite.url).private)


# -- one engine per URL ---------------------------------------------------------------------------


class SharedTestCase(EnginesTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.enterContext(mock.patch.dict(engines.shared._engines, clear=True))
        self.addCleanup(dispose_all)


class TestEngineFor(SharedTestCase):
    def test_one_per_url(self):
        """Whoever asks for a URL gets the same engine, and nothing is contacted."""
        engine = engine_for(self.url)
        self.assertIs(engine_for(self.url), engine)
        self.assertIs(engine_for(make_url(self.url)), engine)
        self.assertIsNot(engine_for(f"{self.url}2"), engine)
        self.assertFalse(self.file.exists())

    def test_password_counts(self):
        """URLs that differ in the password alone have two engines."""
        url = "postgresql+psycopg2://app:{}@db.example/shop"
        first, second = engine_for(url.format("a")), engine_for(url.format("b"))
        self.assertIsNot(first, second)
        self.assertEqual((first.url.password, second.url.password), ("a", "b"))

    def test_threads(self):
        """Threads that ask at the same moment get the same engine."""
        start = threading.Barrier(4)
        found = []

        def ask():
            start.wait()
            found.append(engine_for(self.url))

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(set(found)), 1)

    @unittest.skipUnless(hasattr(os, "fork"), "the system has no fork()")
    def test_fork(self):
        """A child process does not use, or close, connections of its parent."""
        engine = engine_for(self.url)
        with engine.connect():
            pass
        pool = engine.pool
        with engines.shared._lock, warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # other threads may be alive
            child = os.fork()
            if not child:  # pragma: no cover
                try:
                    ok = engine_for(self.url) is engine and engine.pool is not pool
                    os._exit(0 if ok and pool.checkedin() == 1 else 1)
                finally:
                    os._exit(2)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)
        self.assertIs(engine.pool, pool)


class TestDisposeAll(SharedTestCase):
    def test_idle_connections_are_closed(self):
        """Idle connections are closed; the engines stay what they are."""
        found = [engine_for(self.url), engine_for(f"{self.url}2")]
        for engine in found:
            self.assertOwn(engine)
            self.assertEqual(engine.pool.checkedin(), 1)
        dispose_all()
        self.assertEqual([engine.pool.checkedin() for engine in found], [0, 0])
        self.assertIs(engine_for(self.url), found[0])
        self.assertOwn(found[0])


# -- private names --------------------------------------------------------------------------------


class TestPrivateNames(EnginesTestCase):
    """One test per private name of SQLAlchemy: it fails when that name moves."""

    def test_creator(self):
        """``Pool._creator`` is what a pool calls; recreate() hands it on."""
        engine = self.engine(creator=(creator := mock.Mock(side_effect=RuntimeError("called"))))
        self.assertIs(private.creator_of(engine.pool), creator)
        self.assertIs(private.creator_of(engine.pool.recreate()), creator)
        private.set_creator(engine.pool, lambda: sqlite3.connect(":memory:"))
        engine.connect().close()
        creator.assert_not_called()

    def test_standard_creator(self):
        """The creator of create_engine() is told from others, and asks ``do_connect``."""
        self.assertTrue(private.is_standard(private.creator_of(self.engine().pool)))
        self.assertTrue(private.is_standard(private.creator_of(async_engine().pool)))
        for creator in (lambda: None, mock.Mock(), sqlite3.connect, print):
            self.assertFalse(private.is_standard(creator))

    def test_dialect_of(self):
        """``Pool._dialect`` is that of the pool's engine, and a stub where there is none."""
        engine = self.engine()
        self.assertIs(private.dialect_of(engine.pool), engine.dialect)
        self.assertIs(private.dialect_of(engine.pool.recreate()), engine.dialect)
        self.assertIsNone(private.dialect_of(QueuePool(lambda: sqlite3.connect(":memory:"))))

    def test_overflow(self):
        """``QueuePool._max_overflow`` is the limit; -1 is none."""
        engine = self.engine(pool_size=1, max_overflow=0, pool_timeout=0.01)
        self.assertEqual(private.overflow_of(engine.pool), 0)
        private.set_overflow(engine.pool, private.NO_LIMIT)
        with engine.connect(), engine.connect(), engine.connect():
            pass
        private.set_overflow(engine.pool, 0)
        with engine.connect(), self.assertRaises(exc.TimeoutError):
            engine.connect()
        self.assertIsNone(private.overflow_of(self.engine(poolclass=NullPool).pool))

    def test_in_use(self):
        """Connections in use are counted without opening one."""
        for poolclass in POOLS:
            with self.subTest(poolclass.__name__):
                engine = self.engine(poolclass=poolclass)
                self.assertEqual(private.in_use(engine.pool), 0)
                self.assertFalse(self.file.exists())
                with engine.connect():
                    expected = 0 if poolclass is NullPool else 1
                    self.assertEqual(private.in_use(engine.pool), expected)
                self.assertEqual(private.in_use(engine.pool), 0)
                engine.dispose()
                self.file.unlink()

    def test_pool_of_a_record(self):
        """A connection record knows its pool."""
        for poolclass in POOLS:
            engine = self.engine(poolclass=poolclass)
            found = []
            event.listen(engine, "connect", lambda c, record, f=found: f.append(record))
            engine.connect().close()
            self.assertIs(private.pool_of(found[0]), engine.pool)

    def test_keep_last(self):
        """The ``connect`` listeners of a pool are called in the order of a deque."""
        engine = self.engine()
        calls = []
        event.listen(engine, "connect", first := lambda *a: calls.append("first"))
        event.listen(engine, "connect", lambda *a: calls.append("second"))
        private.keep_last(engine.pool, first)
        engine.connect().close()
        self.assertEqual(calls, ["second", "first"])
        event.remove(engine, "connect", first)
        engine.dispose()
        engine.connect().close()
        self.assertEqual(calls, ["second", "first", "second"])

    def test_keep_first(self):
        """A ``do_connect`` listener of the class can be made the first for every engine."""
        before, calls = self.engine(), []
        for name in ("first", "second"):
            listener = lambda *a, name=name: calls.append(name)  # noqa: E731
            event.listen(Engine, "do_connect", listener)
            self.addCleanup(event.remove, Engine, "do_connect", listener)
        private.keep_first(listener)
        for engine in (before, self.engine()):
            event.listen(engine, "do_connect", lambda *a: calls.append("third"))
            engine.connect().close()
            self.assertEqual(calls, ["second", "first", "third"])
            calls.clear()

    def test_take_over_listeners(self):
        """A pool takes over the listeners that only the other has."""
        one, other = self.engine(), self.engine()
        calls = []
        event.listen(one, "checkout", both := lambda *a: calls.append("both"))
        event.listen(other, "checkout", both)
        event.listen(other, "checkout", lambda *a: calls.append("other"))
        private.take_over_listeners(one.pool, other.pool)
        one.connect().close()
        self.assertEqual(calls, ["both", "other"])

    def test_no_other_module(self):
        """Only ``engines/private.py`` and nothing else of the package names them."""
        names = ("_creator_arg", "_max_overflow", "_all_conns", "_checked_out", "_clslevel")
        package = Path(engines.__file__).parents[1]
        found = [
            f"{path.relative_to(package)}: {name}"
            for path in package.rglob("*.py")
            for name in (*names, "_ConnectionRecord", "dispatch._", ".pool._", "pool)._")
            if name in path.read_text() and path.name != "private.py"
        ]
        self.assertEqual(found, [])


if __name__ == "__main__":
    unittest.main()

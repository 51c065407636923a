"""Tests for :mod:`dbtestcase.sandbox`: its life, its engines, and what may befall them."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import threading
import warnings
from collections.abc import Iterator
from typing import Any
from unittest import mock

import sqlalchemy as sa
from psycopg2 import extras
from sqlalchemy.orm import Session

from dbtestcase.engines import redirect
from dbtestcase.errors import EscapeError, SandboxConflict, UncommittedDataWarning
from dbtestcase.sandbox import Phase, Sandbox, open_sandbox, sandboxed
from dbtestcase.sandbox.segments import Wrote

from .support import without_lines
from .twins import Relay, TwinTestCase

INSERT = sa.text("INSERT INTO item (name) VALUES (:name) RETURNING id")
NAMES = "SELECT name FROM item ORDER BY id"


class SandboxTestCase(TwinTestCase):
    """Has a sandbox in its set-up, and an engine redirected to it."""

    def setUp(self) -> None:
        super().setUp()
        self.box = self.enterContext(self._opened())
        self.engine = self.redirected()

    @contextlib.contextmanager
    def _opened(self, **options: Any) -> Iterator[Sandbox]:
        box = open_sandbox(self.url, owner="LifeTest", **{"reset_sequences": True, **options})
        try:
            yield box
        finally:
            box.close()

    def redirected(self, **options: Any) -> sa.Engine:
        """Make an engine whose connections the sandbox gives."""
        engine = sa.create_engine(self.url, **options)
        self.addCleanup(engine.dispose)
        self.addCleanup(redirect(engine, self.box))
        return engine

    def insert(self, name: str, engine: sa.Engine | None = None) -> int:
        with (engine or self.engine).begin() as connection:
            found: int = connection.execute(INSERT, {"name": name}).scalar_one()
            return found

    def names(self, engine: sa.Engine | None = None) -> list[str]:
        with (engine or self.engine).connect() as connection:
            return list(connection.execute(sa.text(NAMES)).scalars())

    def real_names(self) -> list[str]:
        """Give what an independent connection sees."""
        with self.judge.connect() as connection:
            return list(connection.execute(sa.text(NAMES)).scalars())

    @contextlib.contextmanager
    def a_test(self) -> Iterator[None]:
        """A test, as the test classes run it."""
        self.box.begin_test()
        try:
            yield
            self.box.closing()
        finally:
            self.box.end_test()

    def without_deferrable(self) -> None:
        """Drop what has deferrable constraints, which are checked at each commit."""
        with self.judge.connect() as connection:
            connection.exec_driver_sql("DROP TABLE child, pair")

    def kill(self) -> None:
        """End the real connection, from the server's side."""
        with self.judge.connect() as connection:
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )


class TestLife(SandboxTestCase):
    def test_tests_are_undone(self) -> None:
        """Each test begins with what the set-up left, and nothing is ever really committed."""
        self.insert("class")
        self.box.freeze()
        self.assertTrue(self.box.shared)
        for _ in range(3):
            with self.a_test():
                self.assertEqual(self.insert("a"), 3)
                self.assertEqual(self.names(), ["first", "class", "a"])
        self.assertEqual(self.real_names(), ["first"])
        self.box.close()
        self.assertEqual(self.real_names(), ["first"])

    def test_failure_after_a_commit(self) -> None:
        """A statement that fails undoes nothing that was committed before it in the test."""
        self.without_deferrable()
        self.box.freeze()
        with self.a_test():
            for _ in range(2):
                with contextlib.suppress(sa.exc.IntegrityError):
                    self.insert("a")
                self.assertEqual(self.names(), ["first", "a"])

    def test_own_transactions(self) -> None:
        """Where the set-up wrote nothing, each test has a transaction, and a now(), of its own."""
        self.names()
        self.box.freeze()
        self.assertFalse(self.box.shared)
        times = []
        for _ in range(2):
            with self.a_test():
                self.assertEqual(self.insert("a"), 2)
                with self.engine.connect() as connection:
                    times.append(connection.scalar(sa.text("SELECT now()")))
        self.assertNotEqual(*times)
        self.assertEqual(self.names(), ["first"])

    def test_begin_without_freeze(self) -> None:
        """A test that begins ends the set-up."""
        self.insert("class")
        self.box.begin_test()
        self.assertIs(self.box.phase, Phase.TEST)
        self.insert("a")
        self.box.end_test()
        self.assertEqual(self.names(), ["first", "class"])

    def test_left_uncommitted(self) -> None:
        """What the set-up did not commit is undone with a warning."""
        connection = self.engine.connect()
        self.addCleanup(connection.close)
        connection.execute(INSERT, {"name": "lost"})
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            self.box.freeze()
        self.assertRegex(
            str(warned[0].message),
            r"^the class's set-up left uncommitted data in connection 1 \(its transaction began at "
            r"tests/test_sandbox.py:\d+\): on real connections no test would see it, so it is "
            r"undone\. Commit it, or close the session that wrote it\.$",
        )
        self.assertIs(warned[0].category, UncommittedDataWarning)
        self.assertEqual(len(warned), 1)
        with self.a_test():
            self.assertEqual(self.names(), ["first"])

    def test_between_tests(self) -> None:
        """What is written between tests is undone before the next, which a warning tells."""
        for write in (True, False):
            if write:
                self.insert("class")
            self.box.freeze()
            with self.a_test():
                self.insert("a")
            self.insert("between")
            with self.assertWarns(UncommittedDataWarning), self.a_test():
                self.assertNotIn("between", self.names())

    def test_asked_from_outside(self) -> None:
        """Whoever asks what is uncommitted, as at a request's start, leaves the question open."""
        with self.a_test(), self.engine.connect() as connection:
            connection.exec_driver_sql("DO $$ BEGIN PERFORM 1; END $$")
            self.assertEqual(self.box.uncommitted(), [])
            self.assertFalse(self.box.wrote())
            self.assertIs(self.box.stack.top.wrote, Wrote.UNASKED)

    def test_closing(self) -> None:
        """In the closing phase statements run, and nothing ends anything."""
        for data in (False, True):
            if data:
                self.box.close()
                self.engine.dispose()
                self.insert("class")
            self.box.freeze()
            self.box.begin_test()
            a, b = self.engine.connect(), self.engine.connect()
            a.execute(INSERT, {"name": "a"})
            b.exec_driver_sql("INSERT INTO parent VALUES (2, 'two')")
            b.commit()
            self.box.closing()
            a.rollback()
            a.exec_driver_sql("COMMIT")
            with self.assertRaises(sa.exc.ProgrammingError):
                b.exec_driver_sql("SELECT * FROM missing")
            b.rollback()
            b.exec_driver_sql("COMMIT; SELECT 1")
            b.execute(INSERT, {"name": "b"})
            b.commit()
            self.assertEqual(a.execute(sa.text(NAMES)).scalars().all()[-2:], ["a", "b"])
            a.close()
            b.close()
            self.box.end_test()
            self.assertEqual(self.box.conflicts, [])
            self.assertEqual(self.real_names(), ["first"])
            self.assertEqual(self.names(), ["first", "class"] if data else ["first"])

    def test_connection_of_an_earlier_test(self) -> None:
        """A connection that a test left open starts anew in the next."""
        self.box.freeze()
        with self.engine.connect() as connection:
            with self.a_test():
                connection.exec_driver_sql("SET search_path = x, public")
                connection.execute(INSERT, {"name": "a"})
            with self.a_test():
                connection.execute(INSERT, {"name": "b"})
                self.assertEqual(
                    connection.exec_driver_sql("SHOW search_path").scalar(), '"$user", public'
                )
                connection.rollback()
                self.assertEqual(connection.execute(sa.text(NAMES)).scalars().all(), ["first"])

    def test_swallowed(self) -> None:
        """A conflict that the program caught fails its test all the same, once."""
        self.box.freeze()
        with self.a_test():
            a, b = self.engine.connect(), self.engine.connect()
            a.execute(INSERT, {"name": "a"})
            b.exec_driver_sql("INSERT INTO parent VALUES (2, 'two')")
            b.commit()
            a.rollback()
            self.box.raise_swallowed()
            with contextlib.suppress(SandboxConflict):
                b.exec_driver_sql("SELECT 1")
            a.close()
            b.close()
        with self.assertRaisesRegex(SandboxConflict, "rolled back what it had written"):
            self.box.raise_swallowed()
        self.box.raise_swallowed()

    def test_untouched(self) -> None:
        """A test that does not touch the database sends nothing."""
        self.insert("class")
        self.box.freeze()
        sent = self.box.wire.messages  # type: ignore[attr-defined]
        with self.a_test():
            pass
        self.assertEqual(self.box.wire.messages, sent)  # type: ignore[attr-defined]

    def test_prepared_statements(self) -> None:
        """Statements that a test prepared, or forgot, do not reach the next."""
        self.insert("class")
        self.box.freeze()
        for last in ("SELECT 1", "DEALLOCATE ALL", "DEALLOCATE p"):
            with self.a_test():
                with self.engine.begin() as connection:
                    connection.exec_driver_sql("PREPARE p AS SELECT 1")
                    connection.exec_driver_sql(last)
                self.assertEqual(self.insert("a"), 3)


class TestEscape(SandboxTestCase):
    def test_noticed(self) -> None:
        """A COMMIT that went past the sandbox fails the test, and the connection is given up."""
        for data in (True, False):
            with self.subTest(data=data):
                self.box.close()
                self.engine.dispose()
                if data:
                    self.insert("class")
                self.box.freeze()
                self.box.begin_test()
                self.names()
                self.box._send("COMMIT")  # type: ignore[attr-defined]
                with self.assertRaises(EscapeError) as caught:
                    self.box.end_test()
                self.assertEqual(
                    str(caught.exception),
                    "the transaction in which LifeTest plays everything was ended past the "
                    "sandbox, so something was really committed to database "
                    f"{self.url.database!r}. Look for a COMMIT that went to the real "
                    "connection, from a C extension for example.",
                )
                self.assertTrue(self.box.died)

    def test_noticed_by_the_savepoint(self) -> None:
        """Beside class data a new transaction in the place of ours is noticed as well."""
        self.insert("class")
        self.box.freeze()
        self.box.begin_test()
        self.names()
        self.box._send("COMMIT; BEGIN")  # type: ignore[attr-defined]
        with self.assertRaisesRegex(EscapeError, "was ended past the sandbox"):
            self.box.end_test()
        self.assertTrue(self.box.died)


class TestLostConnection(SandboxTestCase):
    LOST = (
        r"^the real connection of LifeTest's sandbox was lost, and with it what was done since the "
        r"class's set-up began, committed or not\. A new connection would show none of it\. Let "
        r"the test end here; the next one starts anew\.$"
    )

    def test_in_a_test(self) -> None:
        """The test fails, also where it goes on; the next starts anew, sequences put back."""
        for data in (False, True):
            with self.subTest(data=data):
                if data:
                    self.insert("class")
                self.box.freeze()
                self.box.begin_test()
                for _ in range(3):
                    self.insert(f"a{_}")
                connection = self.engine.connect()
                connection.execute(INSERT, {"name": "b"})
                self.kill()
                with self.assertRaises(sa.exc.OperationalError):
                    connection.execute(INSERT, {"name": "c"})
                connection.close()
                self.assertTrue(self.box.died)
                with self.assertRaisesRegex(SandboxConflict, self.LOST):
                    self.names()
                self.box.closing()
                self.box.end_test()
                self.assertEqual(self.box.revive(), data)
                if data:
                    self.assertIs(self.box.phase, Phase.SETUP)
                    self.insert("class")
                    self.box.freeze()
                with self.a_test():
                    self.assertEqual(self.insert("a"), 3 if data else 2)

    def test_close(self) -> None:
        """A connection that was lost can be closed, as the driver's can."""
        self.box.freeze()
        with self.a_test():
            fairy = self.engine.raw_connection()
            connection: Any = fairy.driver_connection
            connection.cursor().execute("INSERT INTO item (name) VALUES ('a')")
            fairy.detach()
            self.kill()
            with self.assertRaises(self.engine.dialect.loaded_dbapi.OperationalError):
                connection.cursor().execute("SELECT 1")
            connection.close()
            self.assertTrue(connection.closed)
            with self.assertLogs("sqlalchemy.pool", "ERROR") as logged:
                fairy.close()
            self.assertEqual(
                [record.getMessage() for record in logged.records],
                ["Exception during reset or similar"],
            )

    def test_between_tests(self) -> None:
        """A connection that was ended meanwhile fails the next test, and no later one."""
        self.box.freeze()
        with self.a_test():
            self.insert("a")
        self.kill()
        self.box.begin_test()
        with self.assertRaises(sa.exc.OperationalError):
            self.names()
        self.box.closing()
        self.box.end_test()
        self.assertFalse(self.box.revive())
        with self.a_test():
            self.assertEqual(self.insert("a"), 2)

    def test_unnoticed(self) -> None:
        """A loss after the last statement took nothing from the test; sequences are put back."""
        self.box.freeze()
        self.box.begin_test()
        self.insert("a")
        self.kill()
        self.box.closing()
        self.box.end_test()
        self.assertTrue(self.box.died)
        self.box.close()
        with self.judge.connect() as connection:
            self.assertEqual(
                connection.exec_driver_sql("SELECT nextval('item_id_seq')").scalar(), 2
            )

    def test_in_the_set_up(self) -> None:
        """What the set-up did is lost, which is said."""
        self.insert("class")
        self.kill()
        with self.assertRaises(sa.exc.OperationalError):
            self.names()
        with self.assertRaisesRegex(SandboxConflict, self.LOST):
            self.names()
        self.box.freeze()

    def test_pre_ping(self) -> None:
        """A pool that pings finds the loss; nothing is lost where nothing was done."""
        engine = self.redirected(pool_pre_ping=True)
        self.names(engine)
        self.box.freeze()
        self.kill()
        with self.a_test():
            self.assertEqual(self.insert("a", engine), 2)


class TestEngines(SandboxTestCase):
    @staticmethod
    def register(connection: Any) -> None:
        """Do what the driver's functions for types do to a connection."""
        extras.register_uuid(None, connection)

    def test_listeners(self) -> None:
        """What listeners SET holds for their connections in every test, and not for others."""
        engine = self.redirected()
        dbapi: Any = engine.dialect.loaded_dbapi

        @sa.event.listens_for(engine, "connect")
        def listen(connection: Any, record: Any) -> None:
            with connection.cursor() as cursor:
                cursor.execute("SET search_path = pg_catalog, public")
            connection.commit()
            with contextlib.suppress(dbapi.Error), connection.cursor() as cursor:
                cursor.execute("SELECT * FROM missing")
            connection.rollback()
            before, connection.autocommit = connection.autocommit, True
            with connection.cursor() as cursor:
                cursor.execute("SET work_mem = '5MB'")
            connection.autocommit = before
            self.register(connection)

        show = sa.text("SELECT current_setting('search_path'), current_setting('work_mem')")

        def seen(engine: sa.Engine) -> tuple[Any, ...]:
            with engine.connect() as connection:
                return tuple(connection.execute(show).one())

        for _ in range(2):
            self.box.freeze()
            with self.a_test():
                self.assertEqual(seen(engine), ("pg_catalog, public", "5MB"))
                self.assertEqual(seen(self.engine), ('"$user", public', "4MB"))
                self.insert("a", engine)

    def test_listener_that_raises(self) -> None:
        """What a failing listener did is undone, and the next contact starts anew."""
        engine = self.redirected(poolclass=sa.NullPool)
        fail = [True]

        @sa.event.listens_for(engine, "connect")
        def listen(connection: Any, record: Any) -> None:
            connection.cursor().execute("INSERT INTO item (name) VALUES ('listener')")
            if fail.pop():
                raise ValueError("not today")

        self.box.freeze()
        with self.a_test():
            with self.assertRaisesRegex(ValueError, "not today"):
                engine.connect()
            self.assertEqual(self.names(), ["first"])
            fail[:] = [False]
            self.assertEqual(self.names(engine), ["first", "listener"])
            self.assertEqual(self.names(), ["first"])

    def test_listener_that_rolls_back(self) -> None:
        """A listener that catches an error and rolls back undoes nothing of others."""
        engine = self.redirected()

        @sa.event.listens_for(engine, "connect")
        def listen(connection: Any, record: Any) -> None:
            missing = contextlib.suppress(engine.dialect.loaded_dbapi.Error)
            with missing, connection.cursor() as cursor:
                cursor.execute("INSERT INTO item (name) VALUES ('listener')")
                cursor.execute("SELECT * FROM missing")
            connection.rollback()

        with self.engine.connect() as open_one:
            open_one.execute(INSERT, {"name": "a"})
            with engine.connect() as connection:
                self.assertEqual(connection.exec_driver_sql("SELECT 1").scalar(), 1)
            open_one.commit()
        self.assertEqual(self.names(), ["first", "a"])

    def test_isolation_levels(self) -> None:
        """AUTOCOMMIT and SERIALIZABLE, of an engine, an option or a connection."""
        auto = self.redirected(isolation_level="AUTOCOMMIT")
        self.box.freeze()
        with self.a_test():
            with auto.connect() as connection:
                connection.execute(INSERT, {"name": "1"})
            with self.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as c:
                c.execute(INSERT, {"name": "2"})
            with self.engine.connect() as connection:
                c = connection.execution_options(isolation_level="SERIALIZABLE")
                self.assertEqual(c.get_isolation_level(), "SERIALIZABLE")
                c.execute(INSERT, {"name": "3"})
                c.rollback()
            with self.engine.connect() as connection:
                self.assertEqual(connection.get_isolation_level(), "READ COMMITTED")
            self.assertEqual(self.names(), ["first", "1", "2"])
        self.assertEqual(self.real_names(), ["first"])

    def test_other_connect_args(self) -> None:
        """connect_args are kept; an engine with others is refused."""
        with self._opened() as self.box:
            engine = self.redirected(connect_args={"options": "-c search_path=pg_catalog"})
            with engine.connect() as connection:
                shown = connection.exec_driver_sql("SHOW search_path").scalar()
            self.assertEqual(shown, "pg_catalog")
            other = self.redirected()
            with self.assertRaises(SandboxConflict) as caught:
                other.connect()
            self.assertEqual(
                without_lines(caught.exception),
                "an engine connects at tests/test_sandbox.py:LINE with {}, and the connection of "
                "LifeTest's sandbox was made at tests/test_sandbox.py:LINE with {'options': '-c "
                "search_path=pg_catalog'}. All engines of one database share one connection there. "
                "Give them the same connect_args.",
            )

    def test_other_url(self) -> None:
        """Whatever server, database and role an engine names, it shares the connection."""
        engine = sa.create_engine(f"{self.driver}://shop:secret@production.example:1/shop")
        self.addCleanup(engine.dispose)
        self.addCleanup(redirect(engine, self.box))
        self.insert("a")
        self.assertEqual(self.names(engine), ["first", "a"])

    def test_creator(self) -> None:
        """A creator= is not called, and its engine shares the connection."""
        engine = self.redirected(creator=lambda: self.fail("called"))
        self.insert("a")
        self.assertEqual(self.names(engine), ["first", "a"])

    def test_pools(self) -> None:
        """dispose(), invalidate() and pings end only what is theirs."""
        engine = self.redirected(pool_pre_ping=True, pool_size=1, max_overflow=0)
        self.box.freeze()
        with self.a_test():
            self.insert("a", engine)
            with engine.connect() as connection:
                connection.execute(INSERT, {"name": "b"})
                connection.invalidate()
                connection.rollback()
                connection.execute(INSERT, {"name": "c"})
                connection.commit()
                self.insert("d", engine)
            engine.dispose()
            self.assertEqual(self.names(engine), ["first", "a", "c", "d"])
            connection = engine.connect()
            connection.execute(INSERT, {"name": "e"})
            connection.detach()
            connection.close()
            self.assertEqual(self.names(), ["first", "a", "c", "d"])

    def test_stream_of_a_pooled_connection(self) -> None:
        """A streamed result works on a connection that an earlier test has put into the pool."""
        for _ in range(2):
            with self.a_test(), self.engine.connect() as connection:
                streaming = connection.execution_options(stream_results=True)
                self.assertEqual(streaming.execute(sa.text(NAMES)).scalars().all(), ["first"])

    def test_session(self) -> None:
        """An ORM session goes on after an IntegrityError in a savepoint, and streams."""
        self.box.freeze()
        with self.a_test(), Session(self.engine) as session:
            session.execute(INSERT, {"name": "a"})
            with self.assertRaises(sa.exc.IntegrityError), session.begin_nested():
                session.execute(INSERT, {"name": "a"})
            session.commit()
            rows = session.execute(
                sa.text(NAMES), execution_options={"stream_results": True, "max_row_buffer": 1}
            )
            first = next(rows)
            self.insert("b")
            session.execute(INSERT, {"name": "c"})
            self.assertEqual([first[0], *rows.scalars()], ["first", "a"])
            session.commit()
            self.assertEqual(self.names(), ["first", "a", "b", "c"])

    def test_json_of_each_engine(self) -> None:
        """Each engine reads JSON with its own function."""

        def read(name: str, text: Any) -> str:
            # psycopg 3 gives bytes
            return f"{name} {text if isinstance(text, str) else bytes(text).decode()}"

        # no closures, of which psycopg 3 logs that they may leak
        one = self.redirected(json_deserializer=functools.partial(read, "one"))
        two = self.redirected(json_deserializer=functools.partial(read, "two"))
        found = []
        for engine in (one, two, self.engine, one):
            with engine.connect() as connection:
                found.append(
                    connection.scalar(sa.select(sa.literal_column("'[1]'::json", sa.JSON)))
                )
        self.assertEqual(found, ["one [1]", "two [1]", [1], "one [1]"])


class TestPsycopg2(SandboxTestCase):
    """What psycopg2 alone has."""

    def test_listener_after_its_end(self) -> None:
        """The real connection that a listener kept is of no use later."""
        kept = []
        engine = self.redirected()
        sa.event.listen(engine, "connect", lambda connection, record: kept.append(connection))
        self.names(engine)
        with self.assertRaises(SandboxConflict) as caught:
            kept[0].cursor()
        self.assertEqual(
            str(caught.exception),
            "the connection that a `connect` listener was given is used after the listener "
            "returned. All virtual connections share it. Keep the one that the engine gives.",
        )
        kept[0].close()
        self.assertEqual(self.names(engine), ["first"])

    def test_connection_factory(self) -> None:
        """The program's connection class is kept, with the cursors that it makes."""
        with self._opened() as self.box:
            log = logging.getLogger("tests.test_sandbox")
            engine = self.redirected(
                connect_args={"connection_factory": extras.LoggingConnection}
            )

            @sa.event.listens_for(engine, "connect", insert=True)
            def listen(connection: Any, record: Any) -> None:
                connection.initialize(log)

            with self.assertLogs(log, "DEBUG") as logged:
                self.insert("a", engine)
            self.assertTrue([text for text in logged.output if "INSERT INTO item" in text])
            other = self.redirected(
                connect_args={"connection_factory": extras.RealDictConnection}
            )
            with self.assertRaises(SandboxConflict) as caught:
                other.connect()
            self.assertEqual(
                without_lines(caught.exception),
                "an engine connects at tests/test_sandbox.py:LINE with "
                "connection_factory=RealDictConnection, and the connection of LifeTest's sandbox "
                "was made at tests/test_sandbox.py:LINE as a LoggingConnection. All engines of one "
                "database share one connection there. Give them the same connect_args.",
            )

    def test_client_encoding(self) -> None:
        """Another client encoding is refused."""
        with self.engine.connect() as connection:
            driver: Any = connection.connection.dbapi_connection
            driver.set_client_encoding("utf-8")
            with self.assertRaises(SandboxConflict) as caught:
                driver.set_client_encoding("LATIN1")
        self.assertEqual(
            str(caught.exception),
            "client encoding 'LATIN1' differs from 'UTF8' of the real connection, which all "
            "connections of a sandbox share. Set it for the database, or test this code on real "
            "connections: in a unittest.TestCase, on a database of its own.",
        )

    def test_large_objects(self) -> None:
        """connection.lobject() is refused."""
        with self.engine.connect() as connection:
            driver: Any = connection.connection.dbapi_connection
            with self.assertRaises(SandboxConflict) as caught:
                driver.lobject()
        self.assertEqual(
            str(caught.exception),
            "large objects by connection.lobject() cannot be played in a sandbox, because they "
            "talk to the real connection themselves. Use the server's lo_* functions in SQL, or "
            "test this code on real connections: in a unittest.TestCase, on a database of its own.",
        )


class TestThreads(SandboxTestCase):
    def run_all(self, *targets: Any) -> None:
        """Run functions in threads, and raise what they raise."""
        errors: list[BaseException] = []

        def guarded(target: Any) -> None:
            try:
                target()
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=guarded, args=(target,)) for target in targets]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        if errors:
            raise errors[0]

    def test_first_contact(self) -> None:
        """Four threads at the first contact share one real connection; all commits stay."""

        def write(number: int) -> None:
            for each in range(5):
                self.insert(f"{number}.{each}")

        self.run_all(*(lambda number=number: write(number) for number in range(4)))
        self.assertEqual(len(self.names()), 21)
        with self.judge.connect() as connection:
            count = connection.exec_driver_sql(
                "SELECT count(*) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            self.assertEqual(count.scalar(), 1)

    def test_one_at_a_time(self) -> None:
        """A statement and its messages are not interrupted by another thread's."""
        done = threading.Event()

        def read() -> None:
            with self.engine.connect() as connection:
                connection.exec_driver_sql("SELECT 1")
            done.set()

        self.names()
        with self.box.entered():
            thread = threading.Thread(target=read)
            thread.start()
            self.assertFalse(done.wait(0.3))
        self.assertTrue(done.wait(30))
        thread.join(30)

    def test_goes_on_after_a_while(self) -> None:
        """A write does not wait for ever: after some seconds it goes on beside the other's."""
        self.box.freeze()
        done = threading.Event()

        def write() -> None:
            self.insert("b")
            done.set()

        with (
            self.a_test(),
            self.engine.connect() as connection,
            mock.patch("dbtestcase.sandbox.threads.PATIENCE", 0.1),
        ):
            connection.execute(INSERT, {"name": "a"})
            thread = threading.Thread(target=write)
            thread.start()
            waited = done.wait(20)
            connection.commit()
            thread.join(30)
            self.assertTrue(waited)
            self.assertEqual(self.names(), ["first", "a", "b"])

    def test_waits_for_a_writer(self) -> None:
        """A write beside another thread's uncommitted write waits for its end."""
        self.box.freeze()
        wrote, order = threading.Event(), []

        def first() -> None:
            with self.engine.begin() as connection:
                connection.execute(INSERT, {"name": "a"})
                wrote.set()
                threading.Event().wait(0.2)
                order.append("first")

        def second() -> None:
            wrote.wait(10)
            self.insert("b")
            order.append("second")

        with self.a_test():
            self.run_all(first, second)
            self.assertEqual(order, ["first", "second"])
            self.assertEqual(self.names(), ["first", "a", "b"])

    def test_waits_for_locks(self) -> None:
        """So does what locks rows or a table that another thread has locked, or a write is lost."""
        self.box.freeze()

        def count_up(lock: str, may: threading.Event, locked: threading.Event) -> None:
            may.wait(10)
            with self.engine.begin() as connection:
                connection.exec_driver_sql(lock)
                locked.set()
                n = connection.exec_driver_sql("SELECT n FROM item").scalar_one()
                threading.Event().wait(0.2)
                connection.exec_driver_sql(f"UPDATE item SET n = {n} + 1")

        def play(lock: str) -> object:
            begin, first, second = (threading.Event() for _ in range(3))
            begin.set()
            self.run_all(
                lambda: count_up(lock, begin, first), lambda: count_up(lock, first, second)
            )
            with self.engine.connect() as connection:
                return connection.exec_driver_sql("SELECT n FROM item").scalar()

        for lock in ("SELECT 1 FROM item FOR UPDATE", "LOCK TABLE item IN EXCLUSIVE MODE"):
            with self.subTest(lock), self.a_test():
                self.assertEqual(play(lock), 2)
                # by now the real transaction has locked the rows for good, which leaves no trace
                self.assertEqual(play(lock), 4)

    def test_waits_for_a_locked_table(self) -> None:
        """What names a table that another thread has locked waits for the lock's end."""
        self.box.freeze()
        locked = threading.Event()

        def write() -> None:
            with self.engine.begin() as connection:
                connection.exec_driver_sql("LOCK TABLE item")
                locked.set()
                threading.Event().wait(0.2)
                connection.execute(INSERT, {"name": "a"})

        def read() -> None:
            locked.wait(10)
            self.assertEqual(self.names(), ["first", "a"])

        with self.a_test():
            self.run_all(write, read)

    def test_does_not_wait_for_a_reader(self) -> None:
        """A transaction of another thread that only reads is in nobody's way."""
        self.box.freeze()
        with self.a_test(), self.engine.connect() as connection:
            connection.execute(sa.text(NAMES))
            self.run_all(lambda: self.insert("a"))
            # as it has not waited the reader is not asked, and may write
            connection.execute(INSERT, {"name": "b"})
            connection.rollback()
            self.assertEqual(self.names(), ["first", "a"])

    def test_does_not_wait_for_what_has_read(self) -> None:
        """Nor is one that turns out to have only read, which is asked of the server."""
        self.box.freeze()
        done = threading.Event()

        def write() -> None:
            self.insert("a")
            done.set()

        with (
            self.a_test(),
            self.engine.connect() as connection,
            mock.patch("dbtestcase.sandbox.threads.PATIENCE", 60),
        ):
            connection.exec_driver_sql("DO $$ BEGIN PERFORM 1; END $$")
            thread = threading.Thread(target=write)
            thread.start()
            waited = not done.wait(20)
            connection.rollback()
            thread.join(30)
            self.assertFalse(waited)
            self.assertEqual(self.names(), ["first", "a"])

    def test_outlives_its_test(self) -> None:
        """A thread that waits when its test ends does not write into the next."""
        self.box.freeze()
        self.box.begin_test()
        connection = self.engine.connect()
        connection.execute(INSERT, {"name": "a"})
        errors: list[BaseException] = []
        ready = threading.Event()

        def write() -> None:
            try:
                with self.engine.connect() as other:
                    other.exec_driver_sql("SELECT 1")
                    ready.set()
                    other.execute(INSERT, {"name": "late"})
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=write)
        thread.start()
        ready.wait(10)
        while not self.box.changed.waiting:
            threading.Event().wait(0.01)
        self.box.closing()
        self.box.end_test()
        self.box.begin_test()
        thread.join(30)
        connection.close()
        self.assertEqual(
            without_lines(errors[0]),
            "connection 2 (its transaction began at tests/test_sandbox.py:LINE) waited for the "
            "transaction of connection 1 (its transaction began at tests/test_sandbox.py:LINE), "
            "which another thread began, and meanwhile its test has ended. What it writes now "
            "would be in no test. Join the threads that a test starts before it ends.",
        )
        self.assertEqual(self.names(), ["first"])


class TestFork(SandboxTestCase):
    def test_child(self) -> None:
        """A child that uses the engine is refused, and its end leaves the parent's work alone."""
        self.box.freeze()
        with self.a_test():
            connection = self.engine.connect()
            connection.execute(INSERT, {"name": "a"})
            read, write = os.pipe()
            child = os.fork()
            if child == 0:  # no exception may get out of here
                said = b""
                try:
                    connection.rollback()
                    connection.close()
                    with self.engine.connect() as other:
                        other.exec_driver_sql("SELECT 1")
                except SandboxConflict as error:
                    said = str(error).encode()
                except BaseException as error:
                    said = repr(error).encode()
                finally:
                    with contextlib.suppress(BaseException):
                        self.box.closing()
                        self.box.end_test()
                        self.box.close()
                    os.write(write, said or b"nothing was raised")
                    os._exit(0)
            os.waitpid(child, 0)
            os.close(write)
            with os.fdopen(read, "rb") as pipe:
                said = pipe.read().decode()
            self.assertEqual(
                said,
                "a forked process uses a connection of LifeTest's sandbox. It shares the socket "
                "of its parent, and would take its parent's answers. Let the child make an engine "
                "for a database of its own, which let_through names, or test this code on real "
                "connections: in a unittest.TestCase, on a database of its own.",
            )
            connection.commit()
            connection.close()
            self.assertEqual(self.names(), ["first", "a"])


class TestMessages(SandboxTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.relay = Relay(self.url)
        self.addCleanup(self.relay.close)
        self.box.url = self.relay.url

    def sent(self, *actions: Any, data: bool) -> int:
        """Give how many messages a test sends that does *actions*, its end among them."""
        if data:
            self.insert("class")
        self.names()
        self.box.freeze()
        counts = []
        for _ in range(3):
            before = self.relay.count
            with self.a_test():
                for action in actions:
                    action()
            counts.append(self.relay.count - before)
        self.assertEqual(counts[1], counts[2])
        return counts[2]

    def write(self) -> None:
        self.insert("a")
        self.box.warned.clear()

    def change(self) -> None:
        with self.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE item SET n = n + 1")

    def test_one_insert(self) -> None:
        """One INSERT is 2 round trips: itself, and the test's end.

        Where the driver cannot send the BEGIN of the test with it, that is a third.
        """
        self.without_deferrable()
        self.assertEqual(self.sent(self.write, data=False), 2 if self.box.joins else 3)
        self.box.close()
        self.engine.dispose()
        self.assertEqual(self.sent(self.write, data=True), 2)

    def test_deferrable(self) -> None:
        """Where deferrable constraints exist, a commit that wrote checks them: one more."""
        self.assertEqual(self.sent(self.write, data=True), 3)

    def test_deferrable_before_others(self) -> None:
        """The check opens the next savepoint, so what follows costs nothing but its own check."""
        actions = self.write, self.names, self.change, self.change, self.names
        self.assertEqual(self.sent(*actions, data=True), 5 + 3 + 1)

    def test_temporary_table_before_a_commit(self) -> None:
        """What is known of the schema is asked again in a test that changes it, and not after."""

        def make() -> None:
            with self.engine.begin() as connection:
                connection.exec_driver_sql("CREATE TEMPORARY TABLE seen (id int)")

        # the question and the check after the change; then the check alone
        self.assertEqual(self.sent(self.write, make, data=True), 2 + 3 + 1)

    def test_further_transactions(self) -> None:
        """A transaction that follows one that wrote costs one message, in whatever order."""
        self.without_deferrable()
        self.assertEqual(self.sent(self.write, self.change, self.change, data=True), 3 + 2 + 1)

    def test_savepoints(self) -> None:
        """The program's own savepoints send nothing, but where both sides of one wrote."""
        self.without_deferrable()

        def nested() -> None:
            with self.engine.begin() as connection:
                connection.begin_nested().commit()
                connection.begin_nested().rollback()
                with connection.begin_nested(), connection.begin_nested():
                    connection.execute(INSERT, {"name": "a"})

        self.assertEqual(self.sent(nested, data=True), 2)

    def test_readers(self) -> None:
        """Transactions that only read send nothing of ours, beside deferrable constraints too."""
        self.assertEqual(self.sent(*[self.names] * 5, data=True), 5 + 1)

    def test_who_holds_uncommitted_work(self) -> None:
        """It is asked of the server only where somebody's transaction is open."""
        self.without_deferrable()

        def look() -> None:
            self.assertEqual(self.box.uncommitted(), [])

        actions = [look, self.write, look, self.names, look]
        self.assertEqual(self.sent(*actions, data=True), 1 + 2 + 1)

    def test_functions_in_c(self) -> None:
        """Functions in C, as extensions bring them, have nothing asked where none is named."""
        self.without_deferrable()
        with self.judge.connect() as connection:
            connection.exec_driver_sql(
                "CREATE FUNCTION dice() RETURNS float8 LANGUAGE internal VOLATILE AS 'drandom'"
            )
        actions = [self.write, self.names, self.names]
        self.assertEqual(self.sent(*actions, data=True), 3 + 1 + 1)

    def test_reader_after_a_writer(self) -> None:
        """The first reader after a writer sets a savepoint in one message, the next has it."""
        self.without_deferrable()
        actions = [self.write, self.names, self.names, self.change, self.names]
        self.assertEqual(self.sent(*actions, data=True), 5 + 1 + 0 + 0 + 1 + 1)


class TestSandboxed(TwinTestCase):
    def test_anything_but_engines(self) -> None:
        """What is no engine, and no engine at all, are refused."""
        for given, found in ((("sqlite:///x",), "str"), ((), "nothing")):
            with self.subTest(found), self.assertRaises(TypeError) as caught, sandboxed(*given):
                self.fail("not reached")
            self.assertEqual(
                str(caught.exception),
                f"sandboxed() needs the engines whose work is to be undone, and was given {found}. "
                f"Give it what sqlalchemy.create_engine() returned: sandboxed(engine).",
            )

    def test_undone(self) -> None:
        """Whatever is done through the engines is undone, and they are as before."""
        engine = sa.create_engine(self.url)
        replica = sa.create_engine(self.url)
        self.addCleanup(engine.dispose)
        self.addCleanup(replica.dispose)
        before = self.content(self.url)
        pool = engine.pool
        with sandboxed(engine, replica):
            with engine.begin() as connection:
                connection.execute(INSERT, {"name": "a"})
            with replica.connect() as connection:
                self.assertEqual(connection.execute(sa.text(NAMES)).scalars().all()[-1], "a")
            self.assertEqual(self.content(self.url), before)
        self.assertEqual(self.content(self.url), before)
        self.assertIs(type(engine.pool), type(pool))
        with engine.connect() as connection:
            self.assertEqual(connection.exec_driver_sql("SELECT 1").scalar(), 1)

    def test_error(self) -> None:
        """An error goes through, and all is undone."""
        engine = sa.create_engine(self.url)
        self.addCleanup(engine.dispose)
        before = self.content(self.url)
        with self.assertRaisesRegex(ValueError, "out"), sandboxed(engine):
            with engine.begin() as connection:
                connection.execute(INSERT, {"name": "a"})
            raise ValueError("out")
        self.assertEqual(self.content(self.url), before)

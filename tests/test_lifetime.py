"""Tests for :mod:`dbtestcase.sandbox.postgresql.lifetime`: the end of a test that waits."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any
from unittest import mock

import psycopg2
import sqlalchemy as sa
from psycopg2 import extensions, extras

from dbtestcase.errors import EscapeError

from .test_sandbox import INSERT, NAMES, SandboxTestCase
from .twins import Relay

VISITORS = "dbtestcase.sandbox.postgresql.visitors"
ROW = "INSERT INTO item (name) VALUES ('a') RETURNING id"


class LifetimeTestCase(SandboxTestCase):
    """Has tests that are over before anybody can have connected, however slow the machine is."""

    def setUp(self) -> None:
        super().setUp()
        self.patience(60.0)
        self.without_deferrable()
        self.relay = Relay(self.url)
        self.addCleanup(self.relay.close)
        self.box.url = self.relay.url
        self.box.watched = True

    def patience(self, seconds: float) -> None:
        """Say how long it takes to connect."""
        self.enterContext(mock.patch.multiple(VISITORS, CONNECTING=seconds, PATIENCE=seconds))

    def modes(self) -> Iterator[bool]:
        """Begin anew with class data, and without."""
        for data in (True, False):
            self.box.close()
            self.engine.dispose()
            if data:
                self.insert("class")
            self.names()
            self.box.freeze()
            self.assertEqual(self.box.shared, data)
            yield data

    @contextlib.contextmanager
    def behind_an_end(self) -> Iterator[Any]:
        """A test behind one whose end waits, with a connection of the driver that did nothing."""
        for _ in range(2):  # the end of a class's first test does not wait
            with self.a_test():
                self.insert("of the test before")
        waiting = self.relay.count
        with self.a_test(), contextlib.closing(self.engine.raw_connection()) as connection:
            self.assertEqual(self.relay.count, waiting)
            yield connection.driver_connection

    def real_error(self, run: Any) -> psycopg2.Error:
        """Give what the driver says on a connection of its own."""
        with contextlib.closing(self.judge.raw_connection()) as connection:
            return self.error(run, connection.driver_connection)

    def error(self, run: Any, connection: Any) -> psycopg2.Error:
        with self.assertRaises(psycopg2.Error) as caught, connection.cursor() as cursor:
            run(cursor)
        return caught.exception


class TestMessages(LifetimeTestCase):
    def sent(self) -> int:
        """Give how many messages a test of one INSERT comes to, beside its neighbours."""
        counts = []
        for _ in range(3):
            before = self.relay.count
            with self.a_test():
                self.insert("a")
            counts.append(self.relay.count - before)
        self.assertEqual(counts[1], counts[2])
        return counts[2]

    def test_quick(self) -> None:
        """A quick test of one statement is one message."""
        for _ in self.modes():
            self.assertEqual(self.sent(), 1)

    def test_slow(self) -> None:
        """Where somebody may have connected meanwhile, the end is sent at once."""
        self.patience(0.0)
        for _ in self.modes():
            self.assertEqual(self.sent(), 2)

    def test_somebody_is_connected(self) -> None:
        """So it is where somebody was connected when the class began."""
        for data in (True, False):
            self.box.close()
            self.engine.dispose()
            with self.judge.connect():
                if data:
                    self.insert("class")
                self.names()
                self.box.freeze()
                self.assertEqual(self.sent(), 2)

    def test_database_of_somebody_else(self) -> None:
        """So it is on a database that is not ours alone, where nobody is asked who connects."""
        self.box.watched = False
        for _ in self.modes():
            self.assertEqual(self.sent(), 2)

    def test_slow_test_without_a_statement(self) -> None:
        """A test in which somebody may have connected sends the end of the one before, too."""
        for data in self.modes():
            for _ in range(2):
                with self.a_test():
                    self.insert("a")
                self.box.visited(self.box.began)
            self.box.begin_test()
            with mock.patch.multiple(VISITORS, CONNECTING=0.0, PATIENCE=0.0):
                self.box.end_test()
                self.box.visited(self.box.began)
            with self.judge.connect() as connection:
                last = connection.scalar(sa.text("SELECT last_value FROM item_id_seq"))
                self.assertEqual(last, 2 if data else 1)
                held = "SELECT count(*) FROM pg_locks WHERE relation = 'item'::regclass"
                # of the class data there are locks for as long as the class lives
                self.assertEqual(connection.scalar(sa.text(held)) > 0, data)
            with self.a_test():
                self.assertEqual(self.insert("b"), 3 if data else 2)

    def test_no_statement(self) -> None:
        """A test that sends nothing leaves the end of the one before waiting."""
        for data in self.modes():
            with self.a_test():
                self.insert("a")
            before = self.relay.count
            with self.a_test():
                pass
            self.assertEqual(self.relay.count, before)
            with self.a_test():
                self.assertEqual(self.insert("b"), 3 if data else 2)
                self.assertEqual(self.names(), ["first", *["class"] * data, "b"])


class TestNextTest(LifetimeTestCase):
    """The test behind an end that waits begins with what the class left."""

    def test_content(self) -> None:
        """Rows and sequences are as the class left them, whatever comes first."""

        def select(connection: Any, cursor: Any) -> None:
            cursor.execute(NAMES)
            self.assertEqual([name for (name,) in cursor], self.expected)

        def in_autocommit(connection: Any, cursor: Any) -> None:
            connection.autocommit = True
            select(connection, cursor)
            connection.autocommit = False

        def setting(connection: Any, cursor: Any) -> None:
            cursor.execute("SET work_mem = '5MB'")

        def many(connection: Any, cursor: Any) -> None:
            cursor.executemany("UPDATE item SET n = %s", [(1,), (2,)])

        def named(connection: Any, cursor: Any) -> None:
            with connection.cursor("named") as server_side:
                select(connection, server_side)

        def copied(connection: Any, cursor: Any) -> None:
            cursor.copy_expert("COPY (SELECT 1) TO STDOUT", mock.Mock())

        def two(connection: Any, cursor: Any) -> None:
            with self.engine.connect() as other:
                other.execute(sa.text(NAMES))

        for data in self.modes():
            self.expected = ["first", *["class"] * data]
            for first in (select, in_autocommit, setting, many, named, copied, two):
                with (
                    self.subTest(first.__name__),
                    self.behind_an_end() as connection,
                    connection.cursor() as cursor,
                ):
                    first(connection, cursor)
                    cursor.execute(ROW)
                    self.assertEqual(cursor.fetchone(), (3 if data else 2,))
                    cursor.execute(NAMES)
                    self.assertEqual([name for (name,) in cursor], [*self.expected, "a"])
        self.assertEqual(self.real_names(), ["first"])

    def test_isolation_level(self) -> None:
        """It may choose its isolation level, as the first in its transaction."""
        for _ in self.modes():
            with self.a_test():
                self.insert("a")
            with self.a_test():
                engine = self.engine.execution_options(isolation_level="SERIALIZABLE")
                self.assertIn("first", self.names(engine))

    def test_nothing_written(self) -> None:
        """What its end does to sequences is not taken for the work of the next test."""
        for _ in self.modes():
            with self.a_test():
                self.insert("a")
            with self.a_test(), self.engine.connect() as connection:
                connection.exec_driver_sql("UPDATE item SET n = 1 WHERE false")
                self.assertFalse(self.box.wrote())

    def test_now(self) -> None:
        """Without class data its now() is its own."""
        times = []
        for data in self.modes():
            for _ in range(3):
                with self.a_test(), self.engine.connect() as connection:
                    times.append(connection.scalar(sa.text("SELECT now()")))
            if not data:
                self.assertEqual(len(set(times[-3:])), 3)

    def test_sequence_restarted_by_a_function(self) -> None:
        """A sequence that a function restarts goes back to where the class left it."""
        self.box.close()
        self.engine.dispose()
        with self.judge.begin() as connection:
            connection.exec_driver_sql(
                "CREATE FUNCTION wipe() RETURNS void LANGUAGE sql AS "
                "'TRUNCATE item RESTART IDENTITY; INSERT INTO item (name) VALUES (''a'')'"
            )
        for data in self.modes():
            for _ in range(2):
                with self.a_test(), self.engine.begin() as connection:
                    connection.exec_driver_sql(ROW)
                    connection.exec_driver_sql("SELECT wipe()")
                with self.a_test():
                    self.assertEqual(self.insert("a"), 3 if data else 2)

    def test_class_ends(self) -> None:
        """A class that ends so leaves neither rows nor moved sequences."""
        for _ in self.modes():
            with self.a_test():
                self.insert("a")
            self.box.close()
            self.assertEqual(self.real_names(), ["first"])
            with self.judge.connect() as connection:
                last = connection.scalar(sa.text("SELECT last_value FROM item_id_seq"))
                self.assertEqual(last, 1)

    def test_written_between_tests(self) -> None:
        """What is written between two tests is undone as ever."""
        for data in self.modes():
            with self.a_test():
                self.insert("a")
            self.insert("between")
            with self.assertWarns(UserWarning):
                self.box.begin_test()
            self.assertEqual(self.names(), ["first", *["class"] * data])
            self.box.closing()
            self.box.end_test()


class TestErrors(LifetimeTestCase):
    """An error of the first statement is what it would be on a connection of its own."""

    def test_equal(self) -> None:
        """Its text, its position and its query are those of the statement alone."""

        def syntax(cursor: Any) -> None:
            cursor.execute("SELECT %s FROM", (1,))

        def column(cursor: Any) -> None:
            cursor.execute("INSERT INTO item (nome) VALUES ('a')")

        def unique(cursor: Any) -> None:
            cursor.execute("INSERT INTO item (name) VALUES (%(name)s)", {"name": "first"})

        def division(cursor: Any) -> None:
            cursor.execute("SELECT 1 / 0")

        for data in self.modes():
            for run in (syntax, column, unique, division):
                with self.subTest(run.__name__):
                    real = self.real_error(run)
                    with self.behind_an_end() as connection:
                        ours = self.error(run, connection)
                        self.assertEqual(
                            (type(ours), str(ours), ours.diag.statement_position),
                            (type(real), str(real), real.diag.statement_position),
                        )
                        self.assertEqual(ours.cursor.query, real.cursor.query)
                        with self.assertRaises(psycopg2.errors.InFailedSqlTransaction):
                            connection.cursor().execute("SELECT 1")
                        connection.rollback()
                        self.assertEqual(self.names(), ["first", *["class"] * data])
                    with self.a_test():
                        self.assertEqual(self.insert("a"), 3 if data else 2)

    def test_only_the_begin(self) -> None:
        """So it is behind the BEGIN alone, where the end was sent at once."""

        def syntax(cursor: Any) -> None:
            cursor.execute("SELECT 1 FROM")

        real = self.real_error(syntax)
        self.patience(0.0)
        self.box.freeze()
        for _ in range(2):
            with self.a_test(), contextlib.closing(self.engine.raw_connection()) as connection:
                self.assertEqual(str(self.error(syntax, connection)), str(real))
                self.assertEqual(connection.driver_connection.notices, [])
                connection.rollback()
                self.assertEqual(self.insert("a"), 2)

    def test_prepared_statements_dropped(self) -> None:
        """So it is behind a test that dropped what ours had prepared on the server."""
        for data in self.modes():
            with self.a_test(), self.engine.begin() as connection:
                connection.exec_driver_sql("DEALLOCATE ALL")
            with self.a_test():
                with self.assertRaisesRegex(sa.exc.IntegrityError, "item_name_key"):
                    self.insert("first")
                self.assertEqual(self.insert("a"), 4 if data else 3)

    def test_cancelled(self) -> None:
        """A statement that was cancelled is not sent again, and leaves nothing behind."""
        sql = "INSERT INTO item (name) SELECT 'slow' FROM pg_sleep(60)"
        cancel = (
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE state = 'active' "
            "AND datname = current_database() AND query LIKE '%%pg_sleep(60)'"
        )
        cancels = []

        def cancel_it(over: threading.Event) -> None:
            with self.judge.connect() as connection:
                for _ in range(2):  # once more, so that a failure does not take a minute
                    while not over.is_set() and not connection.exec_driver_sql(cancel).all():
                        over.wait(0.01)
                    cancels.append(over)
                    if over.wait(5):
                        return

        for data in self.modes():
            cancels.clear()
            over = threading.Event()
            thread = threading.Thread(target=cancel_it, args=[over])
            with self.behind_an_end() as connection, connection.cursor() as cursor:
                thread.start()
                with self.assertRaises(psycopg2.errors.QueryCanceled):
                    cursor.execute(sql)
                over.set()
                thread.join()
                self.assertEqual(cancels, [over])
                with self.assertRaises(psycopg2.errors.InFailedSqlTransaction):
                    cursor.execute("SELECT 1")
                connection.rollback()
                self.assertEqual(self.names(), ["first", *["class"] * data])
            with self.a_test():
                self.assertEqual(self.insert("a"), 3 if data else 2)

    def test_signal(self) -> None:
        """What a signal's handler raises when a statement is done undoes nothing of it."""

        def interrupt(number: int, frame: object) -> None:
            raise TimeoutError("too long")

        self.addCleanup(signal.signal, signal.SIGALRM, signal.signal(signal.SIGALRM, interrupt))
        sql = "INSERT INTO item (name) SELECT 'slow' FROM pg_sleep(0.2)"
        for data in self.modes():
            with self.behind_an_end() as connection, connection.cursor() as cursor:
                signal.setitimer(signal.ITIMER_REAL, 0.05)
                with self.assertRaises(TimeoutError):
                    cursor.execute(sql)
                connection.commit()
                self.assertEqual(self.names(), ["first", *["class"] * data, "slow"])

    def test_number_of_the_next(self) -> None:
        """A statement that failed has taken one number of a sequence, as ever, and not two."""
        for data in self.modes():
            with self.behind_an_end() as connection, connection.cursor() as cursor:
                with self.assertRaises(psycopg2.errors.UniqueViolation):
                    cursor.execute("INSERT INTO item (name) VALUES ('first')")
                connection.rollback()
                cursor.execute(ROW)
                self.assertEqual(cursor.fetchone(), (4 if data else 3,))

    def test_not_sent(self) -> None:
        """Where the driver cannot send it, the end goes on waiting."""

        def cannot_be_adapted(cursor: Any) -> None:
            cursor.execute("SELECT %s", (object(),))

        def too_few(cursor: Any) -> None:
            cursor.execute("SELECT %s, %s", (1,))

        for data in self.modes():
            for run in (cannot_be_adapted, too_few):
                with self.subTest(run.__name__), self.behind_an_end() as connection:
                    with self.assertRaises((psycopg2.ProgrammingError, IndexError)):
                        run(connection.cursor())
                    connection.rollback()
                    self.assertEqual(self.names(), ["first", *["class"] * data])
                    with connection.cursor() as cursor:
                        cursor.execute(ROW)
                        self.assertEqual(cursor.fetchone(), (3 if data else 2,))

    def test_escape(self) -> None:
        """What really committed meanwhile is told by the statement, and again by the test's end."""
        self.insert("class")
        self.box.freeze()
        with self.a_test():
            self.names()
        with self.a_test():
            self.names()
            self.box._send("COMMIT; BEGIN")  # type: ignore[attr-defined]
        self.box.begin_test()
        connection = self.engine.connect()
        with self.assertRaisesRegex(EscapeError, "was ended past the sandbox"):
            connection.execute(sa.text(NAMES))
        connection.invalidate()
        connection.close()
        with self.assertRaisesRegex(EscapeError, "was ended past the sandbox"):
            self.box.end_test()
        self.assertTrue(self.box.died)
        self.engine.dispose()
        self.box.revive()
        self.insert("anew")
        self.box.freeze()
        with self.a_test():  # and that is the end of it
            self.assertIn("anew", self.names())


class TestLocks(LifetimeTestCase):
    def test_other_than_rows(self) -> None:
        """A test that may have locked more than rows ends at once, and nobody waits for it."""
        for text in ("TRUNCATE item", "ALTER TABLE item ADD more int", "LOCK TABLE item"):
            for _ in self.modes():
                with self.subTest(text), self.a_test(), self.engine.begin() as connection:
                    connection.exec_driver_sql(text)
                with self.judge.begin() as connection:
                    connection.exec_driver_sql("SET LOCAL lock_timeout = '3s'")
                    self.assertEqual(connection.execute(sa.text(NAMES)).scalars().all(), ["first"])


class TestText(LifetimeTestCase):
    """Nothing that the program can see shows what its statement was sent with."""

    def behind(self, sql: str, **options: Any) -> Any:
        """Give the first value of the first statement of a test behind an end that waits."""
        with self.behind_an_end() as connection, connection.cursor(**options) as cursor:
            cursor.execute(sql)
            return cursor.fetchone()[0]

    def test_cursor(self) -> None:
        """The cursor has the query, the status, the rows and the number of them."""
        for data in self.modes():
            count = 2 if data else 1
            with self.behind_an_end() as connection, connection.cursor() as cursor:
                cursor.execute("UPDATE item SET n = %s", (1,))
                self.assertEqual(cursor.query, b"UPDATE item SET n = 1")
                self.assertEqual(cursor.rowcount, count)
                self.assertEqual(cursor.statusmessage, f"UPDATE {count}")
                self.assertIsNone(cursor.description)

    def test_named_by_the_statement(self) -> None:
        """A statement that asks for its own text, or for who is active, is sent alone."""
        activity = "SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid()"
        for _ in self.modes():
            for sql in ("SELECT current_query()", activity):
                self.assertEqual(self.behind(sql), sql)

    def test_read_by_the_schema(self) -> None:
        """So is one that a trigger, a default, a rule or a function may ask for."""
        audit = (
            "CREATE TABLE audit (told text);"
            "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN INSERT INTO audit VALUES (current_query()); RETURN NEW; END $$;"
            "CREATE TRIGGER tell AFTER INSERT ON item FOR EACH ROW EXECUTE FUNCTION tell()"
        )
        default = (
            "CREATE TABLE audit (told text);"
            "ALTER TABLE item ADD told text DEFAULT pg_catalog.Current_Query();"
            "CREATE RULE copy AS ON INSERT TO item DO ALSO INSERT INTO audit VALUES (NEW.told)"
        )
        rule = (
            "CREATE TABLE audit (told text);"
            "CREATE RULE tell AS ON INSERT TO item DO ALSO INSERT INTO audit "
            "VALUES (current_query())"
        )
        domain = (
            "CREATE DOMAIN told AS text DEFAULT current_query();"
            "CREATE TABLE audit (told text); ALTER TABLE item ADD told told;"
            "CREATE RULE copy AS ON INSERT TO item DO ALSO INSERT INTO audit VALUES (NEW.told)"
        )
        view = (
            "CREATE TABLE audit (told text); CREATE VIEW telling AS SELECT current_query() AS q;"
            "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN INSERT INTO audit SELECT q FROM telling; RETURN NEW; END $$;"
            "CREATE TRIGGER tell AFTER INSERT ON item FOR EACH ROW EXECUTE FUNCTION tell()"
        )
        activity = (
            "CREATE TABLE audit (told text);"
            "CREATE RULE tell AS ON INSERT TO item DO ALSO INSERT INTO audit "
            "SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid()"
        )
        sql = "INSERT INTO item (name) VALUES ('a')"
        undo = (
            "DROP TABLE audit CASCADE; DROP TRIGGER IF EXISTS tell ON item;"
            "DROP FUNCTION IF EXISTS tell; ALTER TABLE item DROP COLUMN IF EXISTS told;"
            "DROP DOMAIN IF EXISTS told; DROP VIEW IF EXISTS telling;"
            "DROP RULE IF EXISTS tell ON item; DROP RULE IF EXISTS copy ON item"
        )
        for schema in (audit, default, rule, domain, view, activity):
            with self.subTest(schema):
                self.box.close()
                self.engine.dispose()
                with self.judge.begin() as connection:
                    connection.exec_driver_sql(schema)
                for data in self.modes():
                    if data and schema is activity:
                        continue  # a transaction is shown what it was shown at first
                    with self.behind_an_end() as connection, connection.cursor() as cursor:
                        cursor.execute(sql)
                        cursor.execute("SELECT told FROM audit")
                        self.assertEqual(cursor.fetchall()[-1], (sql,))
                self.box.close()
                self.engine.dispose()
                with self.judge.begin() as connection:
                    connection.exec_driver_sql(undo)

    def test_cursor_classes(self) -> None:
        """A cursor class of the program's is given what the program sends, and no more."""
        seen = []

        class Logged(extensions.cursor):
            def execute(self, query: Any, vars: Any = None) -> None:
                seen.append(query)
                super().execute(query, vars)

        for _ in self.modes():
            self.assertEqual(self.behind("SELECT 1", cursor_factory=Logged), 1)
            with (
                self.behind_an_end() as connection,
                connection.cursor(cursor_factory=extras.RealDictCursor) as cursor,
            ):
                cursor.execute("SELECT 1 AS one")
                self.assertEqual(cursor.fetchall(), [{"one": 1}])
        self.assertEqual(seen, ["SELECT 1"] * 2)

    def test_notices(self) -> None:
        """A notice comes once, also where the statement fails; what keeps notices is kept."""
        with self.judge.connect() as connection:
            connection.exec_driver_sql(
                "CREATE FUNCTION notice() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE NOTICE 'seen %%', NEW.name; RETURN NEW; END $$;"
                "CREATE TRIGGER notice BEFORE INSERT ON item "
                "FOR EACH ROW EXECUTE FUNCTION notice()"
            )
        for _ in self.modes():
            for name in ("a", "first"):
                with self.behind_an_end() as connection, connection.cursor() as cursor:
                    kept = connection.notices = []
                    with contextlib.suppress(psycopg2.errors.UniqueViolation):
                        cursor.execute(INSERT.text.replace(":name", "%s"), (name,))
                    self.assertEqual(kept, [f"NOTICE:  seen {name}\n"])
                    self.assertIs(connection.notices, kept)

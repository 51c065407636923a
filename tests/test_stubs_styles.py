"""What only one driver has is played as that driver plays it."""

from __future__ import annotations

import contextlib
import datetime
import decimal
import functools
import importlib.util
import itertools
import re
import sqlite3
import sys
import threading
import types
import unittest
import uuid
import warnings
from collections.abc import Callable
from typing import Any
from unittest import mock
from unittest.mock import ANY

import psycopg2
import psycopg2.extras
import psycopg2.pool
import snowflake.connector
from psycopg2 import sql
from snowflake.connector import DictCursor

from dbtestcase import (
    ConnectionStub,
    ConnectionStubMixin,
    StubError,
    UnexpectedQueryError,
    stub_connection,
)
from dbtestcase.stubs import pep249

from .dbapi_checks import BY_ID, COUNT, NONE, ROWS, SELECT, UPDATE, WRONG, Bench
from .snowflake_offline import offline
from .test_stubs_drivers import connect_to_embedded, script

Step = Callable[[Bench, Any], None]

NOON = datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.UTC)


class StyleTest(ConnectionStubMixin, unittest.TestCase):
    """Plays a few steps on the real driver and on its stub."""

    maxDiff = None

    def assertSame(
        self, real: Callable[..., Any], stub: Callable[..., Any], step: Step
    ) -> list[Any]:
        """Fail unless a step notes the same on both; give what it notes."""
        played = []
        for connect in (real, stub):
            bench = Bench(connect)
            connection = connect()
            try:
                step(bench, connection)
            finally:
                with contextlib.suppress(Exception):
                    connection.close()
            played.append(bench.notes)
        self.assertEqual(played[1], played[0])
        return played[0]


class TestPsycopg2(StyleTest):
    """The style ``psycopg2``."""

    def setUp(self) -> None:
        self.stub = self.stub_connection("psycopg2.connect", strict=False)
        script(self.stub, "%s", psycopg2.errors.UndefinedTable('relation "nowhere" does not exist'))

    def same(self, step: Step) -> list[Any]:
        with mock.patch.object(psycopg2, "connect", self.stub.connect.original):
            real = connect_to_embedded
            stub = self.stub.connect
            return self.assertSame(lambda: self.real(real), lambda: stub("dbname=shop"), step)

    def real(self, connect: Callable[[], Any]) -> Any:
        from dbtestcase.stubs.patching.connecting import for_real

        with for_real():
            return connect()

    def test_failed_transaction(self) -> None:
        """After an error nothing is executed until a rollback, but in autocommit."""

        def step(bench: Bench, connection: Any) -> None:
            cursor = connection.cursor()
            bench.note("status", lambda: (connection.status, connection.get_transaction_status()))
            bench.note("wrong", lambda: cursor.execute(WRONG))
            bench.note("next", lambda: cursor.execute(SELECT))
            bench.note("status", lambda: (connection.status, connection.get_transaction_status()))
            bench.note("autocommit", lambda: setattr(connection, "autocommit", True))
            bench.note("commit", connection.commit)
            bench.note("after", lambda: cursor.execute(SELECT))
            bench.note("rows", cursor.fetchall)
            connection.rollback()
            connection.autocommit = True
            bench.note("wrong", lambda: cursor.execute(WRONG))
            bench.note("next", lambda: cursor.execute(SELECT))
            bench.note("status", lambda: (connection.status, connection.get_transaction_status()))

        self.same(step)
        cursor = self.stub.connect("dbname=shop").cursor()
        self.assertRaises(psycopg2.errors.UndefinedTable, cursor.execute, WRONG)
        self.assertRaises(psycopg2.errors.InFailedSqlTransaction, cursor.execute, SELECT)

    def test_with_in_autocommit(self) -> None:
        """A ``with`` begins a transaction in autocommit, too, which fails as others do."""

        def step(bench: Bench, connection: Any) -> None:
            connection.autocommit = True
            cursor = connection.cursor()
            for _ in range(2):
                with connection:
                    bench.note("in with", connection.get_transaction_status)
                    bench.note("execute", lambda: cursor.execute(SELECT))
                    bench.note("executed", connection.get_transaction_status)
                    bench.note("change", lambda: setattr(connection, "autocommit", False))
                    bench.note("error", lambda: cursor.execute(WRONG))
                    bench.note("failed", connection.get_transaction_status)
                    bench.note("again", lambda: cursor.execute(SELECT))
                    bench.note("rollback", connection.rollback)
                    bench.note("after", lambda: cursor.execute(SELECT))
                    bench.note("anew", connection.get_transaction_status)
                bench.note("at its end", connection.get_transaction_status)
            bench.note("error", lambda: cursor.execute(WRONG))
            bench.note("without", lambda: cursor.execute(SELECT))

        self.same(step)
        connection = self.stub.connect("dbname=shop")
        connection.autocommit = True
        self.stub.on("insert").returns(rowcount=1)
        with contextlib.suppress(ZeroDivisionError), connection:
            connection.cursor().execute("insert")
            raise ZeroDivisionError
        self.assertRolledBack(self.stub)

    def test_with_in_with(self) -> None:
        """A connection's ``with`` cannot be in another one of it."""

        def step(bench: Bench, connection: Any) -> None:
            def twice() -> None:
                with connection:
                    connection.cursor().execute(SELECT)
                    with connection:
                        pass

            bench.note("twice", twice)
            bench.note("status", connection.get_transaction_status)
            for _ in range(2):
                with connection:
                    bench.note("once", connection.get_transaction_status)

        self.same(step)

    def test_rows_of_classes(self) -> None:
        """The cursor classes of psycopg2.extras give their rows."""

        def step(bench: Bench, connection: Any) -> None:
            for factory in (
                psycopg2.extras.RealDictCursor,
                psycopg2.extras.DictCursor,
                psycopg2.extras.NamedTupleCursor,
                psycopg2.extensions.cursor,
            ):
                cursor = connection.cursor(cursor_factory=factory)
                cursor.execute(SELECT)
                row = cursor.fetchone()
                bench.note("row", lambda row=row: repr(row))  # type: ignore[misc]
                bench.note("class", lambda row=row: type(row).__name__)  # type: ignore[misc]
                bench.note("by name", lambda row=row: row["name"])  # type: ignore[misc]
                bench.note("by place", lambda row=row: row[1])  # type: ignore[misc]
                bench.note("attribute", lambda row=row: row.name)  # type: ignore[misc]
                bench.note("rest", lambda cursor=cursor: [tuple(r) for r in cursor])  # type: ignore[misc]

        self.same(step)

    def test_factory_of_the_connection(self) -> None:
        """``cursor_factory`` of connect() holds for its cursors."""
        connection = self.stub.connect("dbname=shop", cursor_factory=psycopg2.extras.RealDictCursor)
        cursor = connection.cursor()
        cursor.execute(SELECT)
        self.assertEqual(cursor.fetchone(), {"id": 1, "name": "one"})

    def test_own_factories(self) -> None:
        """Classes of the program's own are refused."""

        class Own(psycopg2.extensions.cursor):
            pass

        connection = self.stub.connect("dbname=shop")
        with self.assertRaises(StubError) as caught:
            connection.cursor(cursor_factory=Own)
        self.assertRegex(
            str(caught.exception),
            r"^a cursor of class .*Own was asked for, and the stub of a connection plays only "
            r"psycopg2's own: cursor, DictCursor, RealDictCursor and NamedTupleCursor\. Replace "
            r"the code that needs this class in the test\.$",
        )
        with self.assertRaises(StubError) as caught:
            self.stub.connect("dbname=shop", connection_factory=int)
        self.assertEqual(
            str(caught.exception),
            "psycopg2.connect was given the connection_factory <class 'int'>, and the stub of a "
            "connection cannot be of that class. Replace the code that needs it in the test.",
        )

    def test_statements(self) -> None:
        """Statements are texts, bytes, or what psycopg2.sql composes."""

        def step(bench: Bench, connection: Any) -> None:
            cursor = connection.cursor()
            for statement in (
                SELECT.encode(),
                sql.SQL(SELECT),
                sql.SQL("SELECT {}, {} FROM {} ORDER BY id").format(
                    sql.Identifier("id"), sql.Identifier("name"), sql.Identifier("item")
                ),
                3,
                None,
                "",
                " ",
            ):
                bench.note(str(statement), lambda s=statement: cursor.execute(s))  # type: ignore[misc]
                bench.note("rows", cursor.fetchall)
                bench.note("query", lambda: cursor.query)
                bench.note("status", lambda: cursor.statusmessage)
                connection.rollback()

        self.stub.on('SELECT "id", "name" FROM "item" ORDER BY id').returns(ROWS, ["id", "name"])
        self.same(step)

    def test_mogrify(self) -> None:
        """Parameters are put into the text as psycopg2 does it."""

        def step(bench: Bench, connection: Any) -> None:
            cursor = connection.cursor()
            for statement, params in (
                ("select %s", ("it's ü",)),
                ("select %s, %s, %s", (1, None, True)),
                ("select %(a)s %%", {"a": decimal.Decimal("1.5")}),
                ("select %s", (datetime.date(2024, 2, 29),)),
                ("select %s", ([1, 2],)),
                ("select 1 %%", None),
                ("select %s", (1, 2)),
                ("select %s, %s", (1,)),
            ):
                bench.note(statement, lambda s=statement, p=params: cursor.mogrify(s, p))  # type: ignore[misc]
            cursor.execute(BY_ID.format("%s"), (1,))
            bench.note("query", lambda: cursor.query)
            cursor.executemany(BY_ID.format("%s"), [(1,), (2,)])
            bench.note("query of many", lambda: cursor.query)

        self.stub.on(BY_ID.format("%s"), params=ANY).returns([("one",)], columns=["name"])
        self.same(step)

    def test_execute_values(self) -> None:
        """Helpers of psycopg2.extras work on a stub."""
        connection = self.stub.connect("dbname=shop")
        cursor = connection.cursor()
        self.stub.on("insert into item values (1,'a'),(2,'b')").returns(rowcount=2)
        psycopg2.extras.execute_values(cursor, "insert into item values %s", [(1, "a"), (2, "b")])
        self.assertEqual(cursor.rowcount, 2)
        self.stub.on("update item set id = 1;update item set id = 2").returns(rowcount=1)
        psycopg2.extras.execute_batch(cursor, "update item set id = %s", [(1,), (2,)])

    def test_scroll(self) -> None:
        """A cursor can go back."""

        def step(bench: Bench, connection: Any) -> None:
            cursor = connection.cursor()
            cursor.execute(SELECT)
            for arguments in ((2,), (-1,), (0, "absolute"), (5,), (-5, "absolute"), (0, "up")):
                bench.note(str(arguments), lambda a=arguments: cursor.scroll(*a))  # type: ignore[misc]
                bench.note("at", lambda: cursor.rownumber)
            bench.note("row", cursor.fetchone)

        self.same(step)

    def test_named_cursor(self) -> None:
        """A cursor on the server has a name, and counts no rows."""

        def step(bench: Bench, connection: Any) -> None:
            cursor = connection.cursor("of_test", scrollable=True)
            bench.note("name", lambda: cursor.name)
            cursor.itersize = 2
            cursor.execute(SELECT)
            bench.note("rowcount", lambda: cursor.rowcount)
            bench.note("rows", lambda: list(cursor))
            cursor.close()

        self.same(step)

    def test_life_of_a_named_cursor(self) -> None:
        """A cursor on the server is executed once, and ends with its transaction."""

        def step(bench: Bench, connection: Any) -> None:
            def fetches(cursor: Any) -> None:
                bench.note("description", lambda: cursor.description is None)
                bench.note("one", cursor.fetchone)
                bench.note("count", lambda: (cursor.rowcount, cursor.rownumber))
                bench.note("described", lambda: cursor.description is None)
                bench.note("all", cursor.fetchall)
                bench.note("end", cursor.fetchone)
                bench.note("status", connection.get_transaction_status)

            new = connection.cursor("new")
            fetches(new)
            connection.rollback()
            cursor = connection.cursor("of_test")
            bench.note("many", lambda: cursor.executemany(SELECT, [()]))
            bench.note("callproc", lambda: cursor.callproc("now"))
            bench.note("empty", lambda: cursor.execute(""))
            bench.note("execute", lambda: cursor.execute(SELECT))
            bench.note("count", lambda: (cursor.rowcount, cursor.rownumber))
            fetches(cursor)
            bench.note("again", lambda: cursor.execute(SELECT))
            connection.commit()
            bench.note("committed", cursor.fetchone)
            bench.note("iterated", lambda: next(cursor))
            bench.note("many", lambda: cursor.fetchmany(1))
            bench.note("close", cursor.close)
            cursor = connection.cursor("late")
            connection.commit()
            bench.note("late", lambda: cursor.execute(SELECT))
            held = connection.cursor("held", withhold=True)
            held.execute(SELECT)
            connection.commit()
            bench.note("held", held.fetchone)
            bench.note("closed", held.close)
            connection.commit()
            wrong = connection.cursor("wrong")
            bench.note("wrong", lambda: wrong.execute(WRONG) and None)
            bench.note("after it", wrong.fetchone)
            bench.note("again", lambda: wrong.execute(SELECT))
            connection.rollback()
            connection.autocommit = True
            auto = connection.cursor("auto")
            bench.note("auto", lambda: auto.execute(SELECT))
            bench.note("nothing", auto.fetchone)
            with connection:
                bench.note("in with", lambda: auto.execute(SELECT))

        self.same(step)

    def test_autocommit(self) -> None:
        """Nothing that is committed by itself waits for a commit."""
        self.stub.on("insert").returns(rowcount=1)
        connection = self.stub.connect("dbname=shop")
        connection.autocommit = True
        connection.cursor().execute("insert")
        connection.commit()
        self.assertCommitted(self.stub)
        self.assertEqual(connection.closed, 0)
        connection.close()
        self.assertEqual(connection.closed, 1)


    def test_callproc(self) -> None:
        """Functions are called by a statement, which the script knows."""

        def step(bench: Bench, connection: Any) -> None:
            cursor = connection.cursor()
            for name, params in (
                ("upper", ["a"]),
                ("upper", ("a",)),
                ("upper", "a"),
                ("make_date", {"year": 2024, "month": 2, "day": 29}),
                ("pi", None),
                ("pi", ()),
                ("upper", 5),
            ):
                bench.note(name, functools.partial(cursor.callproc, name, params))
                bench.note("query", lambda: cursor.query)
                bench.note("rows", lambda: [str(*row) for row in cursor.fetchall()])

        self.stub.on("SELECT * FROM upper(%s)", params=ANY).returns([("A",)])
        statement = 'SELECT * FROM make_date("year":=%s,"month":=%s,"day":=%s)'
        self.stub.on(statement, params=(2024, 2, 29)).returns([(datetime.date(2024, 2, 29),)])
        self.stub.on("SELECT * FROM pi()").returns([(3.141592653589793,)])
        self.same(step)

    def test_rows_of_a_named_cursor(self) -> None:
        """A cursor on the server counts the rows of each fetch, and moves as it was declared."""

        def step(bench: Bench, connection: Any) -> None:
            for scrollable in (True, False):
                cursor = connection.cursor("of_test", scrollable=scrollable)
                cursor.itersize = 2
                cursor.execute(SELECT)

                def note(label: str, call: Callable[[], object], cursor: Any = cursor) -> None:
                    bench.note(label, call)
                    bench.note("at", lambda: (cursor.rownumber, cursor.rowcount))

                note("two", lambda cursor=cursor: cursor.fetchmany(2))  # type: ignore[misc]
                note("one", cursor.fetchone)
                note("end", cursor.fetchone)
                note("all", cursor.fetchall)
                note("back", lambda cursor=cursor: cursor.scroll(0, "absolute"))  # type: ignore[misc]
                for _ in range(4):
                    note("next", lambda cursor=cursor: next(cursor))  # type: ignore[misc]
                note("up", lambda cursor=cursor: cursor.scroll(1, "up"))  # type: ignore[misc]
                note("on", lambda cursor=cursor: cursor.scroll(10))  # type: ignore[misc]
                note("close", cursor.close)
                connection.rollback()

        self.same(step)

    def test_reset(self) -> None:
        """``reset()`` takes the settings back."""

        def step(bench: Bench, connection: Any) -> None:
            connection.set_session("serializable", readonly=True, autocommit=True)
            connection.reset()
            for name in ("isolation_level", "readonly", "autocommit"):
                bench.note(name, lambda name=name: getattr(connection, name))  # type: ignore[misc]

        self.same(step)

    def test_settings(self) -> None:
        """How transactions begin is set between them, and read as psycopg2 reads it."""

        def step(bench: Bench, connection: Any) -> None:
            names = ("isolation_level", "readonly", "deferrable", "autocommit")

            def states() -> list[Any]:
                return [getattr(connection, name) for name in names]

            for name, value in itertools.product(
                names[:-1],
                (*(1, 3, 0, 9, None, "serializable", "READ COMMITTED", "repeatable  read"),
                 *("default", "bogus", True, False, 1.5)),
            ):  # fmt: skip
                bench.note(name, lambda n=name, v=value: setattr(connection, n, v))  # type: ignore[misc]
                bench.note("is", lambda name=name: getattr(connection, name))  # type: ignore[misc]
            calls: list[dict[str, Any]] = [
                {"isolation_level": 0},
                {"isolation_level": "SERIALIZABLE", "readonly": True},
                {"readonly": "x"},
                {"deferrable": True, "autocommit": True},
                {"readonly": "default", "autocommit": False},
            ]
            for options in calls:
                bench.note("session", lambda o=options: connection.set_session(**o))  # type: ignore[misc]
                bench.note("are", states)
            for level in (0, 3, 5, None, 1):
                bench.note("level", lambda v=level: connection.set_isolation_level(v))  # type: ignore[misc]
                bench.note("are", states)
            connection.cursor().execute(SELECT)
            for name in names:
                bench.note("in transaction", lambda name=name: setattr(connection, name, None))  # type: ignore[misc]
            bench.note("in transaction", connection.set_session)
            bench.note("level", lambda: connection.set_isolation_level(1))
            bench.note("rolls back", connection.get_transaction_status)
            connection.close()
            for name in names:
                bench.note("closed", lambda name=name: setattr(connection, name, None))  # type: ignore[misc]
            bench.note("closed", connection.set_session)
            bench.note("are", states)

        self.same(step)

    def test_info(self) -> None:
        """``info`` tells what a pool asks for, and what connect() was given."""

        def step(bench: Bench, connection: Any) -> None:
            info = connection.info

            def note() -> None:
                for name in ("transaction_status", "status"):
                    bench.note(name, lambda name=name: getattr(info, name))  # type: ignore[misc]

            note()
            connection.cursor().execute(SELECT)
            note()
            bench.note("wrong", lambda: connection.cursor().execute(WRONG))
            note()
            connection.close()
            note()
            bench.note("name", lambda: info.dbname)

        self.same(step)
        connection = self.stub.connect("postgresql://ann:geheim@shop.example:5433/shop")
        info = connection.info
        self.assertEqual(
            (info.dbname, info.user, info.host, info.port, info.password),
            ("shop", "ann", "shop.example", 5433, "geheim"),
        )
        self.assertEqual(
            connection.dsn, "user=ann password=xxx dbname=shop host=shop.example port=5433"
        )
        with self.assertRaisesRegex(StubError, "^ConnectionInfo.options is not played by the stub"):
            _ = info.options
        with self.assertRaisesRegex(AttributeError, "^'ConnectionInfo' object has no attribute"):
            _ = info.nothing

    def test_pool(self) -> None:
        """Connections of psycopg2's pools are the stub's."""
        self.stub.on("insert").returns(rowcount=1)
        pool = psycopg2.pool.SimpleConnectionPool(1, 2, dbname="shop")
        connection = pool.getconn()
        connection.cursor().execute("insert")
        pool.putconn(connection)
        self.assertRolledBack(self.stub, times=1)
        self.assertIs(pool.getconn(), connection)
        pool.closeall()
        self.assertClosed(self.stub)


class TestSQLite3(StyleTest):
    """The style ``sqlite3``."""

    def setUp(self) -> None:
        self.stub = self.stub_connection("sqlite3.connect", strict=False)
        script(self.stub, "?", sqlite3.OperationalError('near "nothing": syntax error'))
        self.stub.on("insert into item values (4, 'four')").returns(rowcount=1)

    def same(self, step: Step) -> list[Any]:
        from .dbapi_checks import SETUP

        def real() -> Any:
            connection = sqlite3.Connection(":memory:")
            for statement in SETUP:
                connection.execute(statement)
            connection.commit()
            return connection

        return self.assertSame(real, lambda: self.stub.connect(":memory:"), step)

    def test_row_factory(self) -> None:
        """Rows are ``sqlite3.Row``, or what a function makes of them."""

        def step(bench: Bench, connection: Any) -> None:
            connection.row_factory = sqlite3.Row
            row = connection.execute(SELECT).fetchone()
            bench.note("keys", row.keys)
            bench.note("by name", lambda: row["NAME"])
            bench.note("tuple", lambda: tuple(row))
            bench.note("class", lambda: type(row) is sqlite3.Row)
            bench.note("all", lambda: [dict(r) for r in connection.execute(SELECT)])
            connection.row_factory = lambda cursor, row: {
                column[0]: value for column, value in zip(cursor.description, row, strict=True)
            }
            bench.note("function", lambda: connection.execute(SELECT).fetchmany(2))
            connection.row_factory = None
            bench.note("none", lambda: connection.execute(SELECT).fetchone())

        self.same(step)

    def test_transactions(self) -> None:
        """What changes rows opens a transaction, which ``with`` commits."""

        def step(bench: Bench, connection: Any) -> None:
            bench.note("before", lambda: connection.in_transaction)
            connection.execute(SELECT)
            bench.note("select", lambda: connection.in_transaction)
            cursor = connection.execute("insert into item values (4, 'four')")
            bench.note("insert", lambda: (connection.in_transaction, cursor.rowcount))
            connection.commit()
            bench.note("commit", lambda: connection.in_transaction)
            with connection:
                connection.execute(UPDATE)
                bench.note("with", lambda: connection.in_transaction)
            bench.note("after", lambda: connection.in_transaction)

        self.same(step)

    @unittest.skipUnless(hasattr(sqlite3.Connection, "autocommit"), "needs Python 3.12")
    def test_autocommit(self) -> None:
        """``autocommit`` of Python 3.12 says how transactions begin, and the level no more."""

        def step(bench: Bench, connection: Any) -> None:
            def state() -> tuple[Any, ...]:
                return connection.autocommit, connection.in_transaction

            def changes() -> None:
                bench.note("begun", state)
                connection.execute(SELECT)
                bench.note("selected", state)
                connection.execute(UPDATE)
                bench.note("updated", state)
                connection.isolation_level = None
                connection.isolation_level = ""
                bench.note("level", state)
                connection.executescript(f"{UPDATE}; {UPDATE}")
                bench.note("script", state)
                connection.commit()
                bench.note("committed", state)
                with connection:
                    connection.execute(UPDATE)
                    bench.note("with", state)
                bench.note("after", state)
                bench.note("error", lambda: connection.execute(WRONG))
                connection.rollback()
                bench.note("rolled back", state)

            for value in (True, False, sqlite3.LEGACY_TRANSACTION_CONTROL, False, True, 1, "x", 0):
                bench.note("set", functools.partial(setattr, connection, "autocommit", value))
                changes()
            connection.autocommit = True
            for end in (connection.commit, connection.rollback):
                bench.note("begin", lambda: bool(connection.execute("BEGIN")))
                bench.note("in it", state)
                end()
                bench.note("goes on", state)
                with connection:
                    pass
                bench.note("goes on", state)
                bench.note("end", lambda: bool(connection.execute("COMMIT")))
                bench.note("ended", state)
            connection.close()
            bench.note("closed", lambda: connection.autocommit)
            bench.note("closed", lambda: setattr(connection, "autocommit", True))

        for statement in ("BEGIN", "COMMIT"):
            self.stub.on(statement).returns()
        self.same(step)
        for value in (True, False):
            connection = self.stub.connect("shop.db", autocommit=value)
            self.assertEqual((connection.autocommit, connection.in_transaction), (value, not value))
            connection.execute(UPDATE)
            connection.close()
        with self.assertRaisesRegex(ValueError, "^autocommit must be True, False, or"):
            self.stub.connect("shop.db", autocommit="x")

    def test_class(self) -> None:
        """The driver's class may be stubbed itself, and stubs are of it all the same."""
        real = (sqlite3.Connection, sqlite3.Cursor)
        with stub_connection("sqlite3.Connection") as stub:
            stub.on("select 1").returns([(1,)], columns=["n"])
            connection = sqlite3.Connection("shop.db")
            connection.row_factory = sqlite3.Row
            cursor = connection.execute("select 1")
            self.assertEqual(cursor.fetchone()["n"], 1)
            self.assertIsInstance(connection, real[0])
            self.assertIsInstance(connection, sqlite3.Connection)
            self.assertIsInstance(cursor, real[1])

    def test_wrong_arguments(self) -> None:
        """What connect() was given is refused as the driver refuses it."""
        for args, options in (
            ((), {"bogus": 1}),
            ((), {"isolation_level": "foo"}),
            ((), {"isolation_level": 5}),
            ((), {"isolation_level": "deferred"}),
            ((), {"isolation_level": None}),
            ((), {"timeout": "x"}),
            ((), {"timeout": None}),
            ((), {"detect_types": "a"}),
            ((), {"cached_statements": "a"}),
            ((5, 0, ""), {}),
            ((5, "a", ""), {}),
            ((), {"database": "other"}),
        ):
            with self.subTest(args=args, options=options):
                told = []
                for connect in (self.stub.connect.original, self.stub.connect):
                    try:
                        connection = connect(":memory:", *args, **options)
                    except Exception as error:  # whatever it is
                        told.append((type(error).__name__, str(error)))
                    else:
                        told.append((connection.isolation_level, ""))
                        connection.close()
                self.assertEqual(told[1], told[0])
        for database in (None, 5.5):
            with self.assertRaisesRegex(TypeError, "^expected str, bytes or os.PathLike object"):
                self.stub.connect(database)

    def test_isolation_level(self) -> None:
        """A level that there is none of is refused; None ends a transaction."""

        def step(bench: Bench, connection: Any) -> None:
            for level in ("x", 5, "immediate", None, "", "EXCLUSIVE"):
                bench.note("set", functools.partial(setattr, connection, "isolation_level", level))
                bench.note("level", lambda: connection.isolation_level)
            connection.execute(UPDATE)
            bench.note("begun", lambda: connection.in_transaction)
            connection.isolation_level = None
            bench.note("ended", lambda: connection.in_transaction)

        self.same(step)

    def test_own_factory(self) -> None:
        """A connection class of the program's own is refused, and the driver's own is not."""

        class Own(sqlite3.Connection):
            pass

        for args, options in (((), {"factory": Own}), ((5.0, 0, "", True, Own), {})):
            with self.assertRaises(StubError) as caught:
                self.stub.connect("shop.db", *args, **options)
            self.assertEqual(
                str(caught.exception),
                f"sqlite3.connect was given the factory {Own!r}, and the stub of a connection "
                f"cannot be of that class. Replace the code that needs it in the test, or use a "
                f"real database in memory.",
            )
        self.stub.connect("shop.db", factory=sqlite3.Connection).close()

    def test_execute_of_the_connection(self) -> None:
        """Connections execute by themselves."""

        def step(bench: Bench, connection: Any) -> None:
            bench.note("execute", lambda: connection.execute(SELECT).fetchall())
            bench.note(
                "many",
                lambda: (
                    connection.executemany(
                        "INSERT INTO item (id, name) VALUES (?, ?)", [(4, "a"), (5, "b")]
                    ).rowcount
                ),
            )
            bench.note(
                "script", lambda: connection.executescript(f"{UPDATE}; {UPDATE};").fetchall()
            )
            trigger = "CREATE TRIGGER x AFTER UPDATE ON item BEGIN DELETE FROM item; END"
            bench.note("trigger", lambda: connection.execute(trigger).fetchall())
            bench.note("trigger", lambda: connection.execute("DROP TRIGGER x").fetchall())
            script = f"{trigger}; DROP TRIGGER x; -- done"
            bench.note("script", lambda: connection.executescript(script).fetchall())
            bench.note("query", lambda: connection.executemany("SELECT 1", [()]))
            bench.note("bytes", lambda: connection.execute(b"SELECT 1"))
            bench.note("wrong", lambda: connection.execute(WRONG))

        self.stub.on(re.compile("^(CREATE|DROP) TRIGGER")).returns()
        self.same(step)

    def test_functions(self) -> None:
        """Functions and collations are accepted, and not called."""
        connection = self.stub.connect(":memory:")
        connection.create_function("f", 1, lambda value: value, deterministic=True)
        connection.create_aggregate("a", 1, type)
        connection.create_collation("c", lambda one, other: 0)
        connection.interrupt()

    def test_own_cursor_class(self) -> None:
        """A cursor class of the program's own is refused."""
        connection = self.stub.connect(":memory:")
        with self.assertRaises(StubError) as caught:
            connection.cursor(int)
        self.assertEqual(
            str(caught.exception),
            "cursor() was given the factory <class 'int'>, and the stub of a connection can only "
            "make cursors of its own. Replace the code that needs this class in the test, or use "
            "a real database in memory.",
        )

    def test_arguments_of_connect(self) -> None:
        """connect() wants a database."""
        self.assertRaises(TypeError, sqlite3.connect)
        connection: Any = sqlite3.connect("shop.db", isolation_level=None)
        self.assertIsNone(connection.isolation_level)


class TestSnowflake(StyleTest):
    """The style ``snowflake``."""

    def setUp(self) -> None:
        self.stub = self.stub_connection("snowflake.connector.connect", strict=False)
        error = snowflake.connector.ProgrammingError("Object 'NOWHERE' does not exist", errno=2003)
        script(self.stub, "%s", error, upper=True)
        self.options = {"account": "a", "user": "u", "password": "p"}

    def same(self, step: Step, **options: Any) -> list[Any]:
        options = {**self.options, **options}
        with offline() as connection, warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            return self.assertSame(
                lambda: connection(**options), lambda: self.stub.connect(**options), step
            )

    def test_dict_cursor(self) -> None:
        """``DictCursor`` gives dictionaries."""

        def step(bench: Bench, connection: Any) -> None:
            cursor = connection.cursor(DictCursor)
            cursor.execute(SELECT)
            bench.note("one", cursor.fetchone)
            bench.note("many", lambda: cursor.fetchmany(1))
            bench.note("rest", lambda: list(cursor))
            bench.note("update", lambda: cursor.execute(UPDATE).fetchall())

        self.same(step)

    def test_attributes(self) -> None:
        """What a cursor tells of its statement, before it and after."""

        def step(bench: Bench, connection: Any) -> None:
            cursor = connection.cursor()
            names = ("sfqid", "query", "sqlstate", "rownumber", "is_file_transfer")
            for name in names:
                bench.note(name, lambda name=name: getattr(cursor, name))  # type: ignore[misc]
            bench.note("messages", lambda: len(cursor.messages))
            cursor.execute(SELECT)
            for name in names[1:]:
                bench.note(name, lambda name=name: getattr(cursor, name))  # type: ignore[misc]
            bench.note("sfqid", lambda: str(uuid.UUID(cursor.sfqid)) == cursor.sfqid)
            bench.note("the same", lambda: cursor.sfqid == cursor.sfqid)
            before = cursor.sfqid
            cursor.execute(SELECT)
            bench.note("a new one", lambda: cursor.sfqid != before)
            bench.note("empty", lambda: cursor.execute(" \n") is cursor)
            bench.note("both", lambda: cursor.execute(SELECT, (1,), params=(2,)))
            bench.note("alias", lambda: cursor.execute(SELECT, params=None).fetchone())
            bench.note("no sets", lambda: cursor.executemany(UPDATE, []) is cursor)
            bench.note("closed", lambda: (cursor.is_closed(), cursor.close(), cursor.is_closed()))
            bench.note("scroll", lambda: cursor.scroll(1))
            bench.note("reset", cursor.reset)

        self.same(step)

    def test_transactions(self) -> None:
        """``with`` ends a transaction only without autocommit, and closes."""

        def step(bench: Bench, connection: Any) -> None:
            calls: list[str] = []
            with contextlib.suppress(LookupError), connection:
                connection.cursor().execute(UPDATE)
                raise LookupError
            bench.note("closed", connection.is_closed)
            bench.note("again", connection.close)
            bench.note("calls", lambda: calls)

        self.same(step)
        self.assertEqual((self.stub.commits, self.stub.rollbacks), (0, 0))
        with self.stub.connect(**self.options, autocommit=False) as connection:
            connection.cursor().execute(UPDATE)
        self.assertCommitted(self.stub, times=1)
        connection = self.stub.connect(**self.options)
        connection.autocommit(False)
        with contextlib.suppress(LookupError), connection:
            raise LookupError
        self.assertRolledBack(self.stub, times=1)

    def test_execute_string(self) -> None:
        """Several statements give a cursor each."""

        def step(bench: Bench, connection: Any) -> None:
            cursors = connection.execute_string(f"{SELECT}; {UPDATE};\n{SELECT}")
            bench.note("rows", lambda: [cursor.fetchall() for cursor in cursors])
            dicts = connection.execute_string(SELECT + ";", cursor_class=DictCursor)
            bench.note("dicts", lambda: [cursor.fetchone() for cursor in dicts])
            bench.note("none", lambda: connection.execute_string(SELECT, return_cursors=False))
            script = f"{SELECT}; {UPDATE}; -- all"
            without = connection.execute_string(script, remove_comments=True)
            bench.note("without comments", lambda: [cursor.fetchall() for cursor in without])

        self.same(step)
        self.assertExecuted(self.stub, UPDATE, times=2)

    def test_what_connect_was_given(self) -> None:
        """The connection knows what it was made with."""
        connection = self.stub.connect(**self.options, warehouse="small", paramstyle="qmark")
        self.assertEqual(
            (connection.account, connection.user, connection.warehouse, connection.role),
            ("a", "u", "small", None),
        )
        self.assertEqual((connection.paramstyle, connection.is_pyformat), ("qmark", False))
        self.stub.on("select ?", params=(1,)).returns([(1,)])
        self.assertEqual(connection.cursor().execute("select ?", (1,)).fetchone(), (1,))
        self.assertTrue(connection.is_valid())
        self.assertFalse(connection.is_expired())

    SEVERAL = f"{SELECT}; {UPDATE};\n{COUNT};"

    def state(self, bench: Bench, cursor: Any) -> None:
        """Note what a cursor tells of the result that it has."""
        for name in ("rowcount", "rownumber", "query", "sqlstate"):
            bench.note(name, lambda name=name: getattr(cursor, name))  # type: ignore[misc]
        bench.note("columns", lambda: [column.name for column in cursor.description])
        bench.note("ids", lambda: len(cursor.multi_statement_savedIds))
        bench.note("parent", lambda: cursor.multi_statement_parent_sfqid is None)
        bench.note(
            "id", lambda: cursor.sfqid and cursor.sfqid in [*cursor.multi_statement_savedIds]
        )

    def results(self, bench: Bench, cursor: Any) -> None:
        """Note all results that a cursor has, one after the other."""
        self.state(bench, cursor)
        bench.note("rows", cursor.fetchmany)
        while bench.note("next", lambda: cursor.nextset() is cursor):
            self.state(bench, cursor)
            bench.note("rows", cursor.fetchall)
        self.state(bench, cursor)
        bench.note("no more", cursor.fetchall)

    def test_several_statements(self) -> None:
        """Several statements in one text have a result each, which ``nextset()`` goes to."""

        def step(bench: Bench, connection: Any) -> None:
            cursor = connection.cursor()
            bench.note("new", cursor.nextset)
            self.state(bench, cursor)
            bench.note("several", lambda: cursor.execute(self.SEVERAL, num_statements=3) is cursor)
            self.results(bench, cursor)
            cursor.execute(SELECT)
            self.results(bench, cursor)
            cursor.execute(self.SEVERAL, num_statements=0)
            bench.note("reset", cursor.reset)
            bench.note("next", cursor.nextset)
            cursor.set_statement_parameter("MULTI_STATEMENT_COUNT", 3)
            cursor.execute(self.SEVERAL)
            self.results(bench, cursor)
            cursor.execute(SELECT, num_statements=1)
            self.results(bench, cursor)
            bench.note("error", lambda: cursor.execute(f"{SELECT}; {WRONG}", num_statements=2))
            self.results(bench, cursor)
            cursor = connection.cursor(DictCursor)
            cursor.execute(self.SEVERAL, num_statements=3)
            self.results(bench, cursor)
            cursor.execute(self.SEVERAL, _statement_params={"MULTI_STATEMENT_COUNT": 3})
            cursor.close()
            bench.note("next", cursor.nextset)
            bench.note("set", lambda: cursor.set_statement_parameter("QUERY_TAG", "test"))

        self.same(step)
        self.assertExecuted(self.stub, UPDATE, times=5)

    def test_several_statements_of_many(self) -> None:
        """``executemany()`` executes several statements for each set of parameters."""
        statements = f"{BY_ID}; {UPDATE}".format("%s")

        def step(bench: Bench, connection: Any) -> None:
            cursor = connection.cursor()
            several = functools.partial(cursor.executemany, statements, [(1,), (2,)])
            bench.note("many", lambda: several(num_statements=2) is cursor)
            self.results(bench, cursor)

        self.same(step)
        self.assertExecuted(self.stub, UPDATE, times=2)
        self.assertExecuted(self.stub, BY_ID.format("%s"), (2,), times=1)

    def test_parameters_of_several_statements(self) -> None:
        """Each statement has the parameters whose placeholders are in it."""
        cases: list[tuple[str, str, Any, list[tuple[str, Any]]]] = [
            (
                "pyformat",
                "insert into a values (%s, '%%'); delete from b; insert into c values (%s, %s)",
                (1, 2, 3),
                [
                    ("insert into a values (%s, '%%')", (1,)),
                    ("delete from b", None),
                    ("insert into c values (%s, %s)", (2, 3)),
                ],
            ),
            (
                "pyformat",
                "insert into a values (%(x)s); delete from b where y = %(y)s or x = %(x)s",
                {"x": 1, "y": 2, "z": 3},
                [
                    ("insert into a values (%(x)s)", {"x": 1}),
                    ("delete from b where y = %(y)s or x = %(x)s", {"x": 1, "y": 2}),
                ],
            ),
            (
                "qmark",
                "insert into a values (?, '?'); delete from b where y = ?",
                [1, 2, 3],
                [
                    ("insert into a values (?, '?')", (1,)),
                    # one too many is the server's to refuse, and so is not what was expected
                    ("delete from b where y = ?", (2, 3)),
                ],
            ),
            (
                "numeric",
                "insert into a values (:2); delete from b; select a::int from c where x = :1",
                (1, 2),
                [
                    ("insert into a values (:2)", (1, 2)),
                    ("delete from b", None),
                    ("select a::int from c where x = :1", (1, 2)),
                ],
            ),
        ]
        for style, text, params, expected in cases:
            with (
                self.subTest(text),
                stub_connection("snowflake.connector.connect") as stub,
                stub.connect(**self.options, paramstyle=style) as connection,
            ):
                for statement, given in expected:
                    stub.on(statement, params=given).returns(rowcount=1)
                connection.cursor().execute(text, params, num_statements=0)
                stub.assert_executed_in_order(*expected)

    def test_count_of_statements(self) -> None:
        """Snowflake refuses another number of statements than it was told, which is one."""
        text = "select 1; -- all\nselect 2;;"
        self.stub.on("select 1;").returns([(1,)])
        self.stub.on("-- all\nselect 2").returns([(2,)])
        cursor = self.stub.connect(**self.options).cursor()
        for given, wanted in ((None, 1), (1, 1), (3, 3)):
            with self.assertRaises(snowflake.connector.ProgrammingError) as caught:
                cursor.execute(text, num_statements=given)
            self.assertEqual(
                str(caught.exception),
                f"000008 (0A000): Actual statement count 2 did not match the desired statement "
                f"count {wanted}.",
            )
            self.assertRaises(
                snowflake.connector.ProgrammingError, cursor.execute_async, text, None, given
            )
        session = {"session_parameters": {"MULTI_STATEMENT_COUNT": 0}}
        other = self.stub.connect(**self.options, **session).cursor()
        self.stub.on("alter session set MULTI_STATEMENT_COUNT = 0").returns()
        cursor.execute("ALTER SESSION SET MULTI_STATEMENT_COUNT=0")
        for each in (cursor, other):
            self.assertEqual(each.execute(text).fetchall(), [(1,)])
            self.assertEqual(each.nextset().fetchall(), [(2,)])

    def test_one_statement(self) -> None:
        """A semicolon in a string, a comment or a path, or at the end, begins no other one."""
        cursor = self.stub.connect(**self.options).cursor()
        for text in (
            "select 'a; b', \"c;d\", $$ e; 'f $$; -- g;",
            "select 'it\\'s; a';",
            "select 1; // don't; a",
            "/* ; */ select 1;;",
        ):
            self.stub.on(text).returns([(1,)])
            self.assertEqual(cursor.execute(text).fetchall(), [(1,)])
        for text in (" -- nothing;", "// nothing;", ";"):
            self.assertRaises(UnexpectedQueryError, cursor.execute, text)

    def test_blocks(self) -> None:
        """A block of Snowflake's language is one statement, whatever is in it."""
        cursor = self.stub.connect(**self.options).cursor()
        blocks = (
            "begin\n  let x := 1;\n  return x;\nend;",
            "declare x int; begin x := 1; return x; end",
            "create procedure p() returns int as begin delete from a; return 1; end",
            "execute immediate $$ begin delete from a; return 1; end $$",
        )
        for text in blocks:
            self.stub.on(text).returns([(1,)])
            self.assertEqual(cursor.execute(text).fetchall(), [(1,)])
        for text in ("begin", "begin transaction", "select 1"):
            self.stub.on(text).returns()
        cursor.execute("begin; select 1", num_statements=2)
        cursor.execute("begin transaction; select 1; ", num_statements=2)
        with self.assertRaises(StubError) as caught:
            cursor.execute("select 1; begin let x := 1; end", num_statements=2)
        self.assertEqual(
            str(caught.exception),
            '"select 1; begin let x := 1; end" was executed as several statements, and a stub does '
            "not know where a block of Snowflake's language ends. Put the block into EXECUTE "
            "IMMEDIATE $$...$$, or execute it by itself.",
        )

    def test_paramstyle(self) -> None:
        """Only PEP 249's names of what the connector knows are accepted."""

        def step(bench: Bench, connection: Any) -> None:
            def change(value: Any) -> str:
                connection.paramstyle = value
                return str(connection.paramstyle)

            for value in ("QMARK ", "named", 5, "numeric", "format"):
                bench.note("paramstyle", functools.partial(change, value))

        self.same(step)
        with self.assertRaisesRegex(
            snowflake.connector.ProgrammingError,
            r"Invalid paramstyle: 'bogus'\. Supported: format, numeric, pyformat, qmark$",
        ):
            self.stub.connect(**self.options, paramstyle="bogus")

    def test_sets_of_several_sizes(self) -> None:
        """What is bound on the server is sent as columns, which must be of one size."""
        insert = "INSERT INTO item VALUES (?, ?)"
        self.stub.on(insert, params=ANY).returns(rowcount=2)

        def step(bench: Bench, connection: Any) -> None:
            connection.paramstyle = "qmark"
            for sets in ([(1, "a"), (2,)], [(1,), (2, "b")], [(1, "a"), 5]):
                many = functools.partial(connection.cursor().executemany, insert, sets)
                bench.note("sizes", many)

        self.same(step)

    def test_forced_qmark(self) -> None:
        """A call may have placeholders of its own, as those of write_pandas() have."""
        connection = self.stub.connect(**self.options)
        self.stub.on("select ?, '%s'", params=(1,)).returns([(1, "%s")])
        self.stub.on("insert into item values (?)", params=[(1,), (2,)]).returns(rowcount=2)
        cursor = connection.cursor()
        cursor.execute("select ?, '%s'", (1,), _force_qmark_paramstyle=True)
        self.assertEqual(cursor.fetchall(), [(1, "%s")])
        cursor.executemany(
            "insert into item values (?)", [(1,), (2,)], _force_qmark_paramstyle=True
        )
        self.assertEqual((cursor.rowcount, connection.paramstyle), (2, "pyformat"))
        with self.assertRaisesRegex(TypeError, "^not all arguments converted"):
            cursor.execute("select ?", (1,))

        def step(bench: Bench, connection: Any) -> None:
            cursor = connection.cursor()
            statement = "SELECT id, name FROM item WHERE id = ?"
            several: list[Any] = [(1,), {"id": 1}, ({},)]
            for params in several:

                def forced(params: Any = params) -> bool:
                    return bool(cursor.execute(statement, params, _force_qmark_paramstyle=True))

                bench.note("forced", forced)

        self.stub.on("SELECT id, name FROM item WHERE id = ?", params=ANY).returns([])
        self.same(step)

    def test_query(self) -> None:
        """The text of a statement is told with the parameters that the connector puts into it."""

        def step(bench: Bench, connection: Any) -> None:
            cursor = connection.cursor()
            for params in ((1,), ("it's",), (None,), ([1, "a"],), None):
                cursor.execute("SELECT id, name FROM item WHERE id = %s", params)
                bench.note("query", lambda: cursor.query)
            cursor.execute("SELECT id, name FROM item WHERE id = %(a)s", {"a": NOON})
            bench.note("query", lambda: cursor.query)
            connection.paramstyle = "qmark"
            cursor.execute("SELECT id, name FROM item WHERE id = ?", (1,))
            bench.note("query", lambda: cursor.query)

        self.stub.on(re.compile("WHERE id = "), params=ANY).returns([])
        self.stub.on(re.compile("WHERE id = ")).returns([])
        self.same(step)

    def test_callproc(self) -> None:
        """Procedures are called by a statement, which the script knows."""

        def step(bench: Bench, connection: Any) -> None:
            for style in ("pyformat", "qmark", "numeric", "format"):
                connection.paramstyle = style
                cursor = connection.cursor()
                for params in ((1, "a"), [1], (), None, "a", {"a": 1}, 5):
                    bench.note("call", functools.partial(cursor.callproc, "total", params))
                    bench.note("query", lambda cursor=cursor: cursor.query)  # type: ignore[misc]
                    bench.note("rows", cursor.fetchall)

        self.stub.on(re.compile(r"^CALL total\("), params=ANY).returns([(6,)], columns=["TOTAL"])
        self.stub.on("CALL total()").returns([(6,)], columns=["TOTAL"])
        self.same(step)

    def test_settings_of_the_session(self) -> None:
        """Autocommit may be switched off by what connect() is given, and by a statement."""
        self.stub.on("alter session set AUTOCOMMIT = false").returns()
        for options, expected in (
            ({"autocommit": False}, False),
            ({"autocommit": None}, True),
            ({"session_parameters": {"autocommit": False}}, False),
        ):
            connection = self.stub.connect(**self.options, **options)
            self.assertEqual(connection.get_autocommit(), expected)
            connection.cursor().execute("ALTER SESSION SET AUTOCOMMIT = FALSE")
            self.assertFalse(connection.get_autocommit())

    def test_autocommit(self) -> None:
        """autocommit() wants True or False."""

        def step(bench: Bench, connection: Any) -> None:
            bench.note("wrong", lambda: connection.autocommit("yes"))

        self.same(step)
        connection = self.stub.connect(**self.options)
        self.assertTrue(connection.get_autocommit())
        connection.autocommit(False)
        self.assertFalse(connection.get_autocommit())

    def test_asynchronous(self) -> None:
        """What is executed asynchronously is fetched by its id."""

        def step(bench: Bench, connection: Any) -> None:
            cursor = connection.cursor()
            cursor.execute(COUNT)
            for text, count in ((SELECT, None), (self.SEVERAL, 3)):
                given = cursor.execute_async(text, num_statements=count)
                bench.note("given", lambda given=given: given == {"queryId": cursor.sfqid})  # type: ignore[misc]
                self.state(bench, cursor)
                bench.note("too early", cursor.fetchone)
                for method in ("get_query_status", "get_query_status_throw_if_error"):
                    status = getattr(connection, method)(cursor.sfqid)
                    bench.note("status", lambda status=status: status.name)  # type: ignore[misc]
                    bench.note("runs", lambda status=status: connection.is_still_running(status))  # type: ignore[misc]
                    bench.note("failed", lambda status=status: connection.is_an_error(status))  # type: ignore[misc]
                for _ in range(2):
                    bench.note("none", lambda: cursor.get_results_from_sfqid(given["queryId"]))  # noqa: B023
                    bench.note("rows", cursor.fetchone)
                    self.results(bench, cursor)

        self.same(step)
        cursor = self.stub.connect(**self.options).cursor()
        query_id = cursor.execute_async(SELECT)["queryId"]
        cursor.get_results_from_sfqid(query_id)
        self.assertEqual((cursor.fetchall(), cursor.sfqid), (ROWS, query_id))
        for ask in (cursor.get_results_from_sfqid, cursor.connection.get_query_status):
            with self.assertRaisesRegex(snowflake.connector.ProgrammingError, "Query another"):
                ask("another")

    def test_memory_of_asynchronous(self) -> None:
        """A bounded history bounds the results that wait, too."""
        with stub_connection("snowflake.connector.connect", keep_history=2) as stub:
            stub.on("select 1").returns([(1,)])
            cursor = stub.connect(**self.options).cursor()
            ids = [cursor.execute_async("select 1")["queryId"] for _ in range(5)]
            self.assertRaises(
                snowflake.connector.ProgrammingError, cursor.get_results_from_sfqid, ids[0]
            )
            for each in ids[-2:]:
                cursor.get_results_from_sfqid(each)
                self.assertEqual(cursor.fetchall(), [(1,)])

    def test_query_id_of_the_script(self) -> None:
        """A script may say the query's id."""
        self.stub.on("select 1").returns([(1,)], sfqid="of-the-test")
        cursor = self.stub.connect(**self.options).cursor()
        self.assertEqual(cursor.execute("select 1").sfqid, "of-the-test")

    @unittest.skipUnless(importlib.util.find_spec("pyarrow"), "needs pandas and pyarrow")
    def test_pandas(self) -> None:
        """Frames are those that the connector makes."""

        def step(bench: Bench, connection: Any) -> None:
            for kind in (None, DictCursor):
                cursor = connection.cursor(kind)
                bench.note("new", cursor.fetch_pandas_all)
                for statement in (SELECT, COUNT, UPDATE):
                    cursor.execute(statement)
                    frame = cursor.fetch_pandas_all(force_microsecond_precision=True)
                    bench.note("frame", lambda f=frame: f.to_dict())  # type: ignore[misc]
                    bench.note("types", lambda f=frame: [*map(str, f.dtypes)])  # type: ignore[misc]
                cursor.execute(SELECT)
                batches = cursor.fetch_pandas_batches(split_blocks=True)
                bench.note("batches", lambda b=batches: [frame.to_dict() for frame in b])  # type: ignore[misc]
                cursor.execute(NONE)
                frame = cursor.fetch_pandas_all()
                bench.note("none", lambda f=frame: (len(f), list(f.columns)))  # type: ignore[misc]
                cursor.close()
                bench.note("closed", cursor.fetch_pandas_all)

        self.same(step)

    @unittest.skipUnless(importlib.util.find_spec("pyarrow"), "needs pandas and pyarrow")
    def test_types_of_frames(self) -> None:
        """Decimals are floats in a frame where connect() does not say otherwise."""
        value = decimal.Decimal("1.5")
        self.stub.on("select price").returns([(value,), (None,)], columns=["PRICE"])
        self.stub.on("select of two types").returns([(1,), ("one",)], columns=["N"])
        for options, expected in (({}, 1.5), ({"arrow_number_to_decimal": True}, value)):
            cursor = self.stub.connect(**self.options, **options).cursor()
            frame = cursor.execute("select price").fetch_pandas_all()
            self.assertEqual(frame["PRICE"][0], expected)
            self.assertIsInstance(frame["PRICE"][0], type(expected))
            with self.assertRaisesRegex(
                StubError,
                '^the answer to "select of two types" has a column whose values are not of one '
                r"type, and no frame can be made of it \(.*\)\. Give the column values of one "
                r"type\.$",
            ):
                cursor.execute("select of two types").fetch_pandas_all()

    def test_without_pandas(self) -> None:
        """Frames are refused as by the connector where something is missing."""

        def step(bench: Bench, connection: Any) -> None:
            cursor = connection.cursor()
            cursor.execute(SELECT)
            bench.note("frame", cursor.fetch_pandas_all)

        if importlib.util.find_spec("pandas") is None:
            self.same(step)
        cursor = self.stub.connect(**self.options).cursor().execute(SELECT)
        there: Any = types.ModuleType("pandas")
        for modules, missing in (
            ({"pandas": None}, "pandas"),
            ({"pandas": there, "pyarrow": None}, "pyarrow"),
        ):
            with (
                mock.patch.dict(sys.modules, modules),
                self.assertRaises(snowflake.connector.ProgrammingError) as caught,
            ):
                cursor.fetch_pandas_all()
            self.assertTrue(
                str(caught.exception).startswith(
                    f"255002: Optional dependency: '{missing}' is not installed, please see"
                ),
                caught.exception,
            )

    def test_other_cursor_class(self) -> None:
        """A cursor class of the program's own is refused."""

        class Own(DictCursor):  # type: ignore[misc]
            pass

        with self.assertRaises(StubError) as caught:
            self.stub.connect(**self.options).cursor(Own)
        self.assertEqual(
            str(caught.exception),
            "a cursor of class Own was asked for, and the stub of a connection plays only "
            "SnowflakeCursor and DictCursor. Replace the code that needs this class in the test.",
        )

    def test_without_the_connector(self) -> None:
        """The style works where the connector is not installed, with exceptions of PEP 249."""
        hidden = {name: None for name in sys.modules if name.startswith("snowflake")}
        with (
            mock.patch.dict(sys.modules, hidden),
            stub_connection("sqlite3.connect", style="snowflake") as stub,
        ):
            stub.on("select 1").returns([(1,)])
            connection: Any = sqlite3.connect(account="a")  # type: ignore[call-overload]
            cursor = connection.cursor()
            self.assertEqual(cursor.execute("select 1").fetchall(), [(1,)])
            self.assertEqual(cursor.description[0].name, "column1")
            self.assertRaises(pep249.NotSupportedError, cursor.scroll, 1)
            with self.assertRaisesRegex(AttributeError, "has no attribute 'nothing'"):
                cursor.nothing  # noqa: B018
            connection.close()
            self.assertRaises(pep249.DatabaseError, connection.cursor)
            self.assertRaises(pep249.InterfaceError, cursor.execute, "select 1")


class TestPEP249(StyleTest):
    """The style ``pep249``, which follows the PEP to the letter."""

    def connected(self) -> tuple[ConnectionStub, Any]:
        stub = self.stub_connection("sqlite3.connect", style="pep249", strict=False)
        script(stub, "%s", sqlite3.OperationalError("wrong"))
        return stub, sqlite3.connect("shop")

    def test_states(self) -> None:
        """A fetch without a result is an Error; what is closed is unusable."""
        _, connection = self.connected()
        cursor = connection.cursor()
        self.assertEqual((cursor.description, cursor.rowcount, cursor.arraysize), (None, -1, 1))
        for fetch in (cursor.fetchone, cursor.fetchmany, cursor.fetchall):
            self.assertRaises(sqlite3.ProgrammingError, fetch)
        self.assertIsNone(cursor.execute(SELECT))
        self.assertEqual((cursor.rowcount, cursor.rownumber), (3, 0))
        self.assertEqual([len(column) for column in cursor.description], [7, 7])
        self.assertEqual(
            [column[1] for column in cursor.description], [pep249.NUMBER, pep249.STRING]
        )
        self.assertEqual(cursor.fetchmany(), ROWS[:1])
        self.assertEqual(cursor.fetchone(), ROWS[1])
        self.assertEqual(list(cursor), ROWS[2:])
        self.assertIsNone(cursor.fetchone())
        self.assertIsNone(cursor.nextset())
        cursor.execute(UPDATE)
        self.assertEqual((cursor.description, cursor.rowcount), (None, 3))
        self.assertRaises(sqlite3.ProgrammingError, cursor.fetchall)
        cursor.close()
        self.assertRaises(sqlite3.InterfaceError, cursor.execute, SELECT)
        other = connection.cursor()
        connection.close()
        for call in (connection.close, connection.commit, connection.rollback, connection.cursor):
            self.assertRaises(sqlite3.InterfaceError, call)
        self.assertRaises(sqlite3.InterfaceError, other.fetchone)

    def test_executemany(self) -> None:
        """Each set of parameters counts, of a generator too."""
        stub, connection = self.connected()
        stub.on("delete %s", params=[(1,), (2,), (3,)]).returns()
        cursor = connection.cursor()
        self.assertIsNone(cursor.executemany("delete %s", ((n,) for n in (1, 2, 3))))
        self.assertEqual(cursor.rowcount, 3)
        self.assertExecuted(stub, "delete %s", [(1,), (2,), (3,)], times=1)

    def test_callproc(self) -> None:
        """A procedure is a statement of the script."""
        stub, connection = self.connected()
        stub.on("CALL total", params=(1,)).returns([(5,)])
        cursor = connection.cursor()
        self.assertEqual(cursor.callproc("total", (1,)), (1,))
        self.assertEqual(cursor.fetchall(), [(5,)])

    def test_no_context_managers(self) -> None:
        """PEP 249 has no ``with``, and drivers differ in what it does."""
        _, connection = self.connected()
        for each in (connection, connection.cursor()):
            with self.assertRaisesRegex(TypeError, "context manager"), each:
                pass

    def test_names(self) -> None:
        """There is what the PEP names, and nothing else."""
        _, connection = self.connected()
        public = {name for name in dir(connection) if not name.startswith("_")}
        self.assertEqual(public, {"close", "commit", "cursor", "rollback"})
        public = {name for name in dir(connection.cursor()) if not name.startswith("_")}
        self.assertEqual(
            public,
            {
                *("arraysize", "callproc", "close", "description", "execute", "executemany"),
                *("fetchall", "fetchmany", "fetchone", "nextset", "rowcount", "setinputsizes"),
                # extensions that all drivers have
                *("setoutputsize", "connection", "lastrowid", "rownumber"),
            },
        )
        with self.assertRaisesRegex(AttributeError, "'Connection' object has no attribute 'ping'"):
            connection.ping()

    def test_unexpected_parameters(self) -> None:
        """Objects that cannot be pickled or copied are parameters like others."""
        stub, connection = self.connected()
        lock = threading.Lock()
        stub.on("lock %s", params=(ANY,)).returns(rowcount=1)
        cursor = connection.cursor()
        cursor.execute("lock %s", (lock,))
        self.assertExecuted(stub, "lock %s", (lock,))


if __name__ == "__main__":
    unittest.main()

"""What only one driver has is played as that driver plays it."""

from __future__ import annotations

import contextlib
import datetime
import decimal
import importlib.util
import re
import sqlite3
import sys
import threading
import unittest
import uuid
import warnings
from collections.abc import Callable
from typing import Any
from unittest import mock
from unittest.mock import ANY

import psycopg2
import psycopg2.extras
import snowflake.connector
from psycopg2 import sql
from snowflake.connector import DictCursor

from dbtestcase import ConnectionStub, ConnectionStubMixin, StubError, stub_connection
from dbtestcase.stubs import pep249

from .dbapi_checks import BY_ID, ROWS, SELECT, UPDATE, WRONG, Bench
from .snowflake_offline import offline
from .test_stubs_drivers import connect_to_embedded, script

Step = Callable[[Bench, Any], None]


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
        cursor = self.stub.connect(**self.options).cursor()
        query_id = cursor.execute_async(SELECT)["queryId"]
        cursor.get_results_from_sfqid(query_id)
        self.assertEqual((cursor.fetchall(), cursor.sfqid), (ROWS, query_id))
        with self.assertRaises(snowflake.connector.ProgrammingError):
            cursor.get_results_from_sfqid("another")

    def test_query_id_of_the_script(self) -> None:
        """A script may say the query's id."""
        self.stub.on("select 1").returns([(1,)], sfqid="of-the-test")
        cursor = self.stub.connect(**self.options).cursor()
        self.assertEqual(cursor.execute("select 1").sfqid, "of-the-test")

    def test_pandas(self) -> None:
        """Frames are given where pandas is, and refused as by the connector where it is not."""
        cursor = self.stub.connect(**self.options).cursor()
        cursor.execute(SELECT)
        if importlib.util.find_spec("pandas") is not None:
            frame = cursor.fetch_pandas_all()
            self.assertEqual(list(frame.columns), ["ID", "NAME"])
            self.assertEqual(list(frame["ID"]), [1, 2, 3])
            return

        def step(bench: Bench, connection: Any) -> None:
            cursor = connection.cursor()
            cursor.execute(SELECT)
            bench.note("pandas", cursor.fetch_pandas_all)

        self.same(step)

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

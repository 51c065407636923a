"""Scripted connections answer each check as the driver does for which they stand."""

from __future__ import annotations

import datetime
import decimal
import random
import re
import sqlite3
import unittest
import warnings
from collections.abc import Callable
from typing import Any
from unittest.mock import ANY

import psycopg2
import psycopg2.extensions
import snowflake.connector
import snowflake.connector.cursor

from dbtestcase import embedded
from dbtestcase.errors import StubError
from dbtestcase.stubs import ConnectionStub, pep249, stub_connection
from dbtestcase.stubs.pep249 import ERRORS
from dbtestcase.stubs.styles import psycopg2_values, sqlite3_values

from .dbapi_checks import (
    BOUND,
    BY_ID,
    CHECKS,
    COUNT,
    CREATE,
    INSERT,
    NONE,
    ONE,
    ROWS,
    SELECT,
    SETUP,
    UPDATE,
    WRONG,
    Bench,
    play,
)
from .snowflake_offline import offline


def script(stub: ConnectionStub, mark: str, error: Exception, upper: bool = False) -> None:
    """Script what the real drivers answer in the checks."""

    def names(*given: str) -> list[str]:
        return [name.upper() if upper else name for name in given]

    stub.on(SELECT).returns(ROWS, names("id", "name"))
    stub.on(NONE).returns([], names("id", "name"))
    stub.on(COUNT).returns([(3,)], names("n"))
    for number, name, *_ in ROWS:
        stub.on(BY_ID.format(mark), params=(number,)).returns([(name,)], names("name"))
    stub.on(INSERT.format(mark), params=ANY).returns(rowcount=2)
    stub.on(UPDATE).returns(rowcount=3)
    stub.on(CREATE).returns()
    stub.on(WRONG).raises(error)
    stub.on(ONE.format(mark), params=ANY).returns(rowcount=1)
    for statement in {statement.strip() for statement, _ in BOUND[mark]} - {""}:
        stub.on(statement, params=ANY).returns([(1,)], names("n"))
        stub.on(statement).returns([(1,)], names("n"))


class SameAnswers:
    """Each check gives the same notes on the real driver and on its stub."""

    target: str
    style: str
    mark = "%s"
    error: Exception
    upper = False

    def real(self: Any) -> Callable[..., Any]:
        raise NotImplementedError

    def arguments(self) -> dict[str, Any]:
        return {}

    def adapted(self, notes: list[Any]) -> list[Any]:
        """Leave out what cannot be equal."""
        return list(map(without_module, notes))

    def test_same_answers(self: Any) -> None:
        """All that a program can ask of a connection is answered as the driver answers it."""
        connect = self.real()
        expected = {name: play(Bench(connect, self.mark), name) for name in CHECKS}
        stub = self.enterContext(stub_connection(self.target, style=self.style, strict=False))
        script(stub, self.mark, self.error, self.upper)
        bench = Bench(lambda: stub.connect(**self.arguments()), self.mark)
        for name in CHECKS:
            with self.subTest(name):
                self.assertEqual(
                    self.adapted(play(bench, name)), self.adapted(expected[name]), name
                )


def without_module(note: Any) -> Any:
    """Leave out of a text what Python adds to the names of classes of C's."""
    *before, text = note
    if isinstance(text, str):
        return (*before, re.sub(r"'(?:sqlite3|psycopg2\.extensions)\.", "'", text))
    return note


class TestSQLite3(SameAnswers, unittest.TestCase):
    """The style ``sqlite3``, beside a database in memory."""

    maxDiff = None
    target, style, mark = "sqlite3.connect", "sqlite3", "?"
    error = sqlite3.OperationalError('near "nothing": syntax error')

    def arguments(self) -> dict[str, Any]:
        return {"database": ":memory:"}

    def real(self) -> Callable[..., Any]:
        return connect_to_memory

    def test_names(self) -> None:
        """The stub has no public name that the driver's classes have not."""
        with stub_connection("sqlite3.connect") as stub:
            connection = stub.connect(":memory:")
            check_names(self, connection, sqlite3.Connection)
            check_names(self, connection.cursor(), sqlite3.Cursor)


def connect_to_memory() -> sqlite3.Connection:
    """Connect to a database in memory, and make the table of the checks."""
    connection = sqlite3.Connection(":memory:")
    for statement in SETUP:
        connection.execute(statement)
    connection.commit()
    return connection


class TestPsycopg2(SameAnswers, unittest.TestCase):
    """The style ``psycopg2``, beside the embedded server."""

    maxDiff = None
    target, style = "psycopg2.connect", "psycopg2"
    error = psycopg2.ProgrammingError('relation "nowhere" does not exist')

    def arguments(self) -> dict[str, Any]:
        return {"dbname": "shop"}

    def adapted(self, notes: list[Any]) -> list[Any]:
        # a script knows numbers and texts, and not how long a text may be
        return [
            ("types", [25 if each == 1043 else each for each in note[1]])
            if note[0] == "types"
            else without_module(note)
            for note in notes
        ]

    def real(self) -> Callable[..., Any]:
        return connect_to_embedded

    def test_names(self) -> None:
        """The stub has no public name that the driver's classes have not."""
        with stub_connection("psycopg2.connect") as stub:
            connection = stub.connect(dbname="shop")
            check_names(self, connection, psycopg2.extensions.connection)
            check_names(self, connection.cursor(), psycopg2.extensions.cursor)


def connect_to_embedded() -> Any:
    """Connect to the embedded server, and make the table of the checks, a temporary one."""
    url = embedded.server().url()
    options = {**url.translate_connect_args(username="user", database="dbname"), **url.query}
    connection = psycopg2.connect(**{"dbname": "postgres", **options})
    with connection, connection.cursor() as cursor:
        for statement in SETUP:
            cursor.execute(statement.replace("CREATE TABLE", "CREATE TEMP TABLE"))
    return connection


class TestSnowflake(SameAnswers, unittest.TestCase):
    """The style ``snowflake``, beside the connector's own classes without a network."""

    maxDiff = None
    target, style = "snowflake.connector.connect", "snowflake"
    upper = True
    error = snowflake.connector.ProgrammingError("Object 'NOWHERE' does not exist", errno=2003)

    def arguments(self) -> dict[str, Any]:
        return {"account": "a", "user": "u", "password": "p"}

    def real(self) -> Callable[..., Any]:
        connection = self.enterContext(offline())  # type: ignore[attr-defined]
        # of options of the connector's that nobody here gives
        self.enterContext(warnings.catch_warnings(category=FutureWarning, action="ignore"))  # type: ignore[attr-defined]
        return lambda: connection(**self.arguments())

    def test_names(self) -> None:
        """The stub has no public name that the connector's classes have not."""
        with stub_connection("snowflake.connector.connect") as stub:
            connection = stub.connect(**self.arguments())
            check_names(self, connection, snowflake.connector.SnowflakeConnection)
            check_names(self, connection.cursor(), snowflake.connector.cursor.SnowflakeCursor)
            cursor = connection.cursor(snowflake.connector.DictCursor)
            check_names(self, cursor, snowflake.connector.DictCursor)


class TestParameters(unittest.TestCase):
    """Parameters are refused where the driver refuses them, and nowhere else."""

    VALUES = (1, None, "x", b"b", 1.5, object(), datetime.date(2024, 2, 29), decimal.Decimal(1))

    def params(self, drawn: random.Random, known: tuple[Any, ...]) -> Any:
        def values(most: int) -> list[Any]:
            return [drawn.choice(known) for _ in range(drawn.randrange(most))]

        names = drawn.sample(["a", "b", "1", "2"], drawn.randrange(4))
        named = {name: drawn.choice(known) for name in names}
        return drawn.choice(
            [tuple(values(4)), tuple(values(4)), values(3), named, named, None, 5, "ab", {1}]
        )

    def same(
        self, pieces: list[str], real: Any, stub: Any, values: tuple[Any, ...] = VALUES
    ) -> None:
        """Hold both against each other for many statements that are made of these pieces."""

        def told(call: Any, statement: str, params: Any) -> Any:
            try:
                return call(statement, params)
            except Exception as error:  # whatever it is, the other one must raise it, too
                return type(error).__name__, str(error).partition("\n")[0]

        drawn = random.Random(1)
        for _ in range(2000):
            statement = "SELECT " + ", ".join(drawn.choices(pieces, k=drawn.randrange(1, 4)))
            params = self.params(drawn, values)
            with self.subTest(statement=statement, params=params):
                self.assertEqual(told(stub, statement, params), told(real, statement, params))

    def test_sqlite3(self) -> None:
        """Placeholders are counted where SQLite finds them."""
        connection = sqlite3.connect(":memory:")
        self.addCleanup(connection.close)

        def stub(statement: str, params: Any) -> None:
            sqlite3_values.check_single(statement)
            sqlite3_values.check_parameters(statement, params)

        self.same(
            ["?", "?1", "?2", ":a", "@b", "$b", ":1", "'?'", "NULL -- ?\n", "1 /* :a */", "x'00'"],
            lambda statement, params: connection.execute(statement, params) and None,
            stub,
        )

    def test_psycopg2(self) -> None:
        """What is sent is what psycopg2 would send."""
        connection = connect_to_embedded()
        self.addCleanup(connection.close)
        self.same(
            ["%s", "%(a)s", "%(b)s", "%%", "'%'", "%d", "%(a)d", "%(a", "%()s", "%5s", "%", "%%%s"],
            connection.cursor().mogrify,
            psycopg2_values.quoted,
        )

    def test_snowflake(self) -> None:
        """Each of its ways to write placeholders has its own rules."""
        self.enterContext(warnings.catch_warnings(category=FutureWarning, action="ignore"))
        connection = self.enterContext(offline())
        stub = self.enterContext(stub_connection("snowflake.connector.connect", strict=False))
        stub.on(re.compile("SELECT"), params=ANY).returns([(1,)])
        stub.on(re.compile("SELECT")).returns([(1,)])
        for style in ("pyformat", "format", "qmark", "numeric"):
            options = {"account": "a", "user": "u", "password": "p", "paramstyle": style}
            real, played = connection(**options), snowflake.connector.connect(**options)
            self.same(
                ["%s", "%(a)s", "%(b)s", "%%", "'%'", "%d", "%(a", "%()s", "%", "%%%s", "1"],
                lambda statement, params, real=real: bool(real.cursor().execute(statement, params)),
                lambda statement, params, c=played: bool(c.cursor().execute(statement, params)),
                # the connector knows other types than a test could write down
                values=(1, None, "x", b"b", 1.5, True),
            )


def check_names(test: unittest.TestCase, stub: Any, real: type) -> None:
    """Hold a stub's names against those of the driver's class, of which it is an instance."""
    test.assertIsInstance(stub, real)

    def public(thing: Any) -> set[str]:
        protocols = {"__enter__", "__exit__", "__iter__", "__next__", "__call__"}
        return {name for name in dir(thing) if not name.startswith("_") or name in protocols}

    test.assertEqual(public(stub) - public(real), set())
    with test.assertRaises(AttributeError) as caught:
        stub.fetch_everything()
    test.assertEqual(
        str(caught.exception), f"'{real.__name__}' object has no attribute 'fetch_everything'"
    )
    for name in ERRORS:
        if hasattr(real, name):
            test.assertEqual(getattr(stub, name).__name__, name)
            test.assertNotEqual(getattr(stub, name).__module__, pep249.__name__)
    for name in sorted(public(real) - public(stub) - {"__call__", *ERRORS}):
        with test.subTest(name), test.assertRaises(StubError) as refused:
            getattr(stub, name)
        test.assertEqual(
            str(refused.exception),
            f"{real.__name__}.{name} is not played by the stub of a connection: a script of "
            f"statements and answers cannot tell what it would give. Test the code that uses it "
            f"against a real database, or replace that code in the test.",
        )


if __name__ == "__main__":
    unittest.main()

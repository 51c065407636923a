"""What a script does not answer: real databases behind a stub, recordings, and engines on it."""

from __future__ import annotations

import datetime
import decimal
import json
import math
import re
import sqlite3
import tempfile
import unittest
import uuid
import zoneinfo
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import psycopg2
import snowflake.connector
import sqlalchemy as sa
from sqlalchemy import orm

from dbtestcase import (
    ConnectionStubMixin,
    DatabaseTestCase,
    MetadataSchema,
    StubError,
    UnexpectedQueryError,
    embedded,
    stub_connection,
)
from dbtestcase.stubs.backing import translated
from dbtestcase.stubs.values import from_json, to_json

from .support import no_settings, run

metadata = sa.MetaData()
item = sa.Table(
    "item",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, unique=True),
)


class BackingTest(ConnectionStubMixin, unittest.TestCase):
    """Tests with a database behind the stub."""

    maxDiff = None

    def sqlite(self) -> sa.Engine:
        """Give an engine whose database has two items."""
        engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
        self.addCleanup(engine.dispose)
        metadata.create_all(engine)
        with engine.begin() as connection:
            connection.execute(item.insert(), [{"name": "pen"}, {"name": "100%"}])
        return engine

    def assertText(self, error: type[BaseException], call: Callable[[], object], text: str) -> None:
        """Fail unless an error is raised, with exactly this text."""
        with self.assertRaises(error) as caught:
            call()
        self.assertEqual(str(caught.exception), text)


class TestBackedBy(BackingTest):
    """``stub.backed_by(engine)``: a database answers."""

    def test_snowflake_on_sqlite(self) -> None:
        """Placeholders are translated; results are those of the style."""
        engine = self.sqlite()
        stub = self.stub_connection("snowflake.connector.connect").backed_by(engine)
        stub.on("select current_warehouse()").returns([("small",)])
        connection: Any = snowflake.connector.connect(account="a", user="u")
        cursor = connection.cursor(snowflake.connector.DictCursor)
        cursor.execute("select id, name from item where name like %s or id = %s", ("p%", 7))
        self.assertEqual(cursor.fetchall(), [{"id": 1, "name": "pen"}])
        self.assertEqual(type(cursor.description[0]).__name__, "ResultMetadata")
        cursor.execute("select name from item where id = %(id)s", {"id": 2})
        self.assertEqual(cursor.fetchone(), {"name": "100%"})
        cursor.execute("select name from item where name = '100%' and name like '%%%%'")
        self.assertEqual(cursor.fetchone(), {"name": "100%"})
        cursor.execute(
            "select name, '%%' as p from item where name like '%%\\%%' escape '\\' and id = %s",
            (2,),
        )
        self.assertEqual(cursor.fetchone(), {"name": "100%", "p": "%"})
        cursor.execute("insert into item (name) values (%s)", ("ink",))
        self.assertEqual((cursor.rowcount, cursor.fetchone()), (1, {"number of rows inserted": 1}))
        cursor.executemany("insert into item (name) values (%s)", [("a",), ("b",)])
        self.assertEqual(cursor.rowcount, 2)
        cursor.execute("select current_warehouse()")
        self.assertEqual(len(cursor.fetchall()), 1)

    def test_errors_are_of_the_style(self) -> None:
        """What the database refuses is an error of the program's driver."""
        engine = self.sqlite()
        self.stub_connection("snowflake.connector.connect").backed_by(engine)
        cursor: Any = snowflake.connector.connect(account="a", user="u").cursor()
        with self.assertRaisesRegex(snowflake.connector.IntegrityError, "UNIQUE") as caught:
            cursor.execute("insert into item (name) values ('pen')")
        self.assertIsInstance(caught.exception.__cause__, sqlite3.IntegrityError)
        with self.assertRaisesRegex(snowflake.connector.OperationalError, "no such table"):
            cursor.execute("select * from nowhere")

    def test_the_driver_that_is_stubbed(self) -> None:
        """The engine connects for real, also by the function that is stubbed."""
        engine = sa.create_engine("sqlite://")
        self.addCleanup(engine.dispose)
        stub = self.stub_connection("sqlite3.connect").backed_by(engine)
        self.assertEqual(sqlite3.connect("x").execute("select ? + 1", (1,)).fetchone(), (2,))
        stub.connect.assert_called_once_with("x")

    def test_transactions(self) -> None:
        """commit() and rollback() reach the database; a close undoes what was not committed."""
        engine = self.sqlite()
        stub = self.stub_connection("psycopg2.connect").backed_by(engine)
        for end, count in (("rollback", 2), ("get_transaction_status", 2), ("commit", 3)):
            connection: Any = psycopg2.connect("dbname=shop")
            connection.cursor().execute("insert into item (name) values (%s)", ("ink",))
            getattr(connection, end)()
            connection.close()
            with engine.connect() as look:
                self.assertEqual(look.scalar(sa.select(sa.func.count(item.c.id))), count)
        self.assertEqual((stub.commits, stub.rollbacks), (1, 1))
        self.assertClosed(stub)

    def test_snowflake_commits_by_itself(self) -> None:
        """A style in autocommit commits each statement."""
        engine = self.sqlite()
        self.stub_connection("snowflake.connector.connect").backed_by(engine)
        connection = snowflake.connector.connect(account="a", user="u")
        connection.cursor().execute("insert into item (name) values ('ink')")
        connection.close()
        with engine.connect() as look:
            self.assertEqual(look.scalar(sa.select(sa.func.count(item.c.id))), 3)

    def test_missing_parameter(self) -> None:
        """A placeholder without its parameter is told."""
        engine = self.sqlite()
        self.stub_connection("psycopg2.connect", style="pep249").backed_by(engine)
        cursor: Any = psycopg2.connect("dbname=shop").cursor()
        self.assertText(
            StubError,
            lambda: cursor.execute("select %s, %s", (1,)),
            "the statement 'select %s, %s' has a placeholder for which no parameter was given: "
            "'tuple index out of range'. Give execute() a value for each of its placeholders.",
        )

    def test_no_engine(self) -> None:
        """What is no engine is refused where it is given."""
        stub = self.stub_connection("sqlite3.connect")
        for given in ("sqlite://", None):
            self.assertText(
                StubError,
                lambda given=given: stub.backed_by(given),  # type: ignore[misc]
                f"backed_by() was given {given}, which is no engine of SQLAlchemy's. Give it "
                f"create_engine(...), or self.engine in a DatabaseTestCase.",
            )

    def test_other_placeholders(self) -> None:
        """A driver with placeholders of a third kind cannot be behind a stub."""
        self.assertText(
            StubError,
            lambda: translated("select %s", (1,), False, "pyformat", "numeric_dollar"),
            "the engine's driver writes placeholders in the way that PEP 249 calls "
            "numeric_dollar, and a stub can be backed by SQLite and PostgreSQL only. Give "
            "backed_by() an engine for one of them.",
        )

    def test_placeholders(self) -> None:
        """Each way to write placeholders is understood, and left alone in strings."""
        for source, text, params, expected in (
            ("qmark", "select ?, '?', \"?\", 5 % 2", (1,), ("select %s, '?', \"?\", 5 %% 2", (1,))),
            ("numeric", "select :2, :1, a::int", (1, 2), ("select %s, %s, a::int", (2, 1))),
            ("qmark", "select :a, @a -- :a", {"a": 1}, ("select %s, %s -- :a", (1, 1))),
        ):
            with self.subTest(text):
                self.assertEqual(translated(text, params, False, source, "pyformat"), expected)
        self.assertEqual(
            translated("insert %(a)s", [{"a": 1}, {"a": 2}], True, "pyformat", "qmark"),
            ("insert ?", [(1,), (2,)]),
        )

    def test_two_sources(self) -> None:
        """One thing answers what is not scripted."""
        engine = self.sqlite()
        stub = self.stub_connection("psycopg2.connect").backed_by(engine)
        self.assertText(
            StubError,
            lambda: stub.backed_by(engine),
            "the stub of psycopg2.connect has something that answers what its script does not. "
            "Use one backed_by() or record() for a stub.",
        )

    def test_sandboxed_engine(self) -> None:
        """In a ``DatabaseTestCase`` the program's rows are the test's, and are undone with it."""

        class Backed(ConnectionStubMixin, DatabaseTestCase):
            schema = MetadataSchema(metadata)

            def test_one(self) -> None:
                self.session.execute(item.insert(), {"name": "pen"})
                self.session.commit()
                self.stub_connection("snowflake.connector.connect").backed_by(self.engine)
                connection: Any = snowflake.connector.connect(account="a", user="u")
                cursor = connection.cursor()
                cursor.execute("select name from item where name = %s", ("pen",))
                self.assertEqual(cursor.fetchall(), [("pen",)])
                cursor.execute("insert into item (name) values ('ink')")
                connection.close()
                self.assertEqual(self.session.query(item).count(), 2)

            def test_two(self) -> None:
                self.test_one()

        for database in ("sqlite", "postgresql"):
            with self.subTest(database), no_settings(DBTESTCASE_DATABASE=database):
                self.assertEqual(run(Backed).messages, [])


class TestBesideADatabase(BackingTest):
    """A test with a database of its own may stub the driver that this is reached by."""

    def test_driver_of_the_tests(self) -> None:
        """The library and the program's engine connect for real, the program itself to the stub."""

        class Beside(ConnectionStubMixin, DatabaseTestCase):
            schema = MetadataSchema(metadata)

            def stub_both(self) -> None:
                for target in ("psycopg2.connect", "sqlite3.connect"):
                    stub = self.stub_connection(target)
                    stub.on("select 1").returns([("of the stub",)])
                    cursor = stub.connect("dbname=shop").cursor()
                    cursor.execute("select 1")
                    self.assertEqual(cursor.fetchone(), ("of the stub",))

            def test_one(self) -> None:
                self.stub_both()
                self.session.execute(item.insert(), {"name": "pen"})
                self.session.commit()
                self.assertEqual(self.session.query(item).count(), 1)

            def test_two(self) -> None:
                self.test_one()

        class FromTheBeginning(Beside):
            @classmethod
            def setUpClass(cls) -> None:
                cls.stub_connection("psycopg2.connect")
                cls.stub_connection("sqlite3.connect")
                super().setUpClass()

        for database in ("sqlite", "postgresql"):
            with self.subTest(database), no_settings(DBTESTCASE_DATABASE=database):
                self.assertEqual(run(Beside, FromTheBeginning).messages, [])

    def test_engine_that_is_let_through(self) -> None:
        """An engine of the program for another database connects to the stub."""

        class LetThrough(ConnectionStubMixin, DatabaseTestCase):
            schema = MetadataSchema(metadata)
            let_through = ("warehouse",)

            def test(self) -> None:
                stub = self.stub_connection("psycopg2.connect", strict=False)
                stub.connect.side_effect = psycopg2.OperationalError("of the stub")
                engine = sa.create_engine("postgresql+psycopg2://u:p@127.0.0.1:1/warehouse")
                with self.assertRaisesRegex(sa.exc.OperationalError, "of the stub"):
                    engine.connect()
                stub.connect.assert_called_once()

        for database in ("sqlite", "postgresql"):
            with self.subTest(database), no_settings(DBTESTCASE_DATABASE=database):
                self.assertEqual(run(LetThrough).messages, [])


class TestRecord(BackingTest):
    """``stub.record()`` and ``stub.replay()``: what a real driver answered."""

    def setUp(self) -> None:
        self.path = Path(self.enterContext(tempfile.TemporaryDirectory())) / "answers.json"

    def test_types_on_postgresql(self) -> None:
        """What psycopg2 gave is given again, with its types."""
        url = embedded.server().url()
        options = {**url.translate_connect_args(username="user", database="dbname"), **url.query}
        options = {"dbname": "postgres", **options}

        def program() -> list[Any]:
            connection: Any = psycopg2.connect(**options)
            cursor = connection.cursor()
            cursor.execute(
                "select 1, 1.50::numeric, 'NaN'::float8, '-Infinity'::float8, null, true, "
                "'2024-02-29'::date, '2024-02-29 12:00:00.000001'::timestamp, "
                "'2024-02-29 12:00+02'::timestamptz, '12:30'::time, '1 day 2 seconds'::interval, "
                "'\\xdeadbeef'::bytea, array[1, 2], '{\"a\": [1]}'::jsonb, 'ü', %s",
                (datetime.date(2024, 1, 1),),
            )
            found: list[Any] = [cursor.rowcount, [c[:2] for c in cursor.description]]
            found.append([bytes(v) if isinstance(v, memoryview) else v for v in cursor.fetchone()])
            found.append([type(v) for v in found[-1]])
            connection.rollback()
            try:
                cursor.execute("select * from nowhere")
            except psycopg2.Error as error:
                found += [type(error), str(error), error.pgcode, error.pgerror]
            connection.close()
            return found

        real = (psycopg2.connect,)
        with stub_connection("psycopg2.connect") as stub:
            stub.record(real[0], self.path)
            recorded = program()
        with stub_connection("psycopg2.connect") as stub:
            stub.replay(self.path)
            replayed = program()
        self.assertEqual(str(replayed), str(recorded))
        self.assertEqual(recorded[4], psycopg2.errors.UndefinedTable)

    def test_in_turn(self) -> None:
        """The same query before and after a change is answered as it was."""

        def program() -> list[Any]:
            connection = sqlite3.connect(":memory:")
            connection.execute("create table item (name text)")
            found = [connection.execute("select count(*) from item").fetchone()]
            connection.executemany("insert into item values (?)", [("a",), ("b",)])
            cursor = connection.execute("insert into item values (?)", ("c",))
            found += [cursor.lastrowid, cursor.rowcount]
            found.append(connection.execute("select count(*) from item").fetchone())
            connection.commit()
            connection.close()
            return found

        with stub_connection("sqlite3.connect") as stub:
            stub.record(stub.connect.original, self.path)
            recorded = program()
        self.assertEqual(recorded, [(0,), 3, 1, (3,)])
        with stub_connection("sqlite3.connect") as stub:
            stub.replay(self.path)
            self.assertEqual(program(), recorded)
            self.assertRaises(UnexpectedQueryError, program)

    def test_unused(self) -> None:
        """A recording that is not played to its end is told."""
        with stub_connection("sqlite3.connect") as stub:
            stub.record(sqlite3.connect, self.path)
            sqlite3.connect(":memory:").execute("select 1")
        stub = stub_connection("sqlite3.connect").replay(self.path)
        with self.assertRaisesRegex(AssertionError, "1 of 1 expectations"), stub:
            pass

    def test_written_after_an_error(self) -> None:
        """What was answered before a test failed is written."""
        with self.assertRaises(LookupError), stub_connection("sqlite3.connect") as stub:
            stub.record(sqlite3.connect, self.path)
            sqlite3.connect(":memory:").execute("select 1")
            raise LookupError
        self.assertEqual(len(json.loads(self.path.read_text())["executed"]), 1)

    def test_secrets_of_connect(self) -> None:
        """Nothing that was given to connect() is in the file."""
        secrets = ["geheim-1", "geheim-2", "geheim-3", "geheim-4"]

        class Driver:
            """Answers what it was given, as error messages of drivers may."""

            def __init__(self, *args: Any, **kwargs: Any) -> None:
                self.given = f"{args} {kwargs}"
                self.real = sqlite3.Connection(":memory:")

            def __getattr__(self, name: str) -> Any:
                return getattr(self.real, name)

            def cursor(self) -> Any:
                driver = self

                class Cursor(sqlite3.Cursor):
                    def execute(self, sql: str, *args: Any) -> Any:
                        if sql == "fail":
                            raise snowflake.connector.DatabaseError(f"refused: {driver.given}")
                        return super().execute(sql, *args)

                return Cursor(self.real)

        with stub_connection("snowflake.connector.connect") as stub:
            stub.record(Driver, self.path)
            connection = snowflake.connector.connect(
                account="a",
                user="u",
                password=secrets[0],
                proxy_password=secrets[1],
                private_key=secrets[2].encode(),
                session_parameters={"TOKEN": secrets[3]},
            )
            cursor = connection.cursor()
            cursor.execute("select 1 as n")
            with self.assertRaises(snowflake.connector.DatabaseError):
                cursor.execute("fail")
            connection.close()
        content = self.path.read_bytes()
        for secret in secrets:
            self.assertNotIn(secret.encode(), content)
        self.assertIn(b"refused", content)
        with stub_connection("snowflake.connector.connect") as stub:
            stub.replay(self.path)
            cursor = snowflake.connector.connect(account="a", password="other").cursor()
            self.assertEqual(cursor.execute("select 1 as n").fetchall(), [(1,)])
            with self.assertRaisesRegex(snowflake.connector.DatabaseError, "refused: .*\\*\\*\\*"):
                cursor.execute("fail")

    def test_secret_in_a_statement(self) -> None:
        """A secret in a statement, a parameter or an answer is refused, and nothing written."""
        for statement, params in (
            ("select 'geheim!'", ()),
            ("select ?", ("geheim!",)),
            ("select 'ge' || 'heim!'", ()),
        ):
            stub = stub_connection("sqlite3.connect")
            stub.record(lambda *args: sqlite3.Connection(":memory:"), self.path)
            with self.subTest(statement), self.assertRaises(StubError) as caught, stub:
                stub.connect("shop.db;password=geheim!").execute(statement, params)
            self.assertRegex(
                str(caught.exception),
                r"^.*answers\.json is not written, as the (statement of|params of|answer to) "
                r'"select .*" holds what connect\(\) was given as a password or another secret\. '
                r"Record with another one, or script this statement by stub\.on\(\)\.$",
            )
            self.assertNotIn("geheim!", str(caught.exception))
            self.assertFalse(self.path.exists())

    def test_value_that_cannot_be_recorded(self) -> None:
        """A value that JSON cannot tell is refused at once, with its statement."""
        stub = self.stub_connection("sqlite3.connect").record(sqlite3.connect, self.path)
        connection = stub.connect(":memory:")
        self.assertText(
            StubError,
            lambda: connection.execute("select ?", (range(3),)),
            '"select ?" cannot be recorded: a value of type builtins.range cannot be written down: '
            "range(0, 3). Let the statement give another type, by a CAST for example, or script "
            "its answer.",
        )

    def test_recording_of_another_version(self) -> None:
        """A value of a type that nobody knows is told."""
        self.assertText(
            StubError,
            lambda: from_json({"$": "point", "value": [1, 2]}),
            'a recording has a value of type "point", which this version does not know. Make the '
            "recording anew.",
        )

    def test_no_recording(self) -> None:
        """A file that is not there, or is something else, is told."""
        stub = self.stub_connection("sqlite3.connect")
        self.assertText(
            StubError,
            lambda: stub.replay(self.path),
            f"there is no recording {self.path}. Make it by stub.record(connect, path), with the "
            f"driver's real connect, where its database can be reached.",
        )
        good = {
            "statement": "select 1",
            "result": {
                "rows": [{"$": "tuple", "value": [1]}],
                "columns": ["n"],
                "rowcount": None,
                "lastrowid": None,
            },
        }
        for content, why in (
            ("", "JSONDecodeError: Expecting value: line 1 column 1 (char 0)"),
            ([], "TypeError: list indices must be integers or slices, not str"),
            ({}, "it has no 'dbtestcase'"),
            ([{"statement": 5}], "TypeError: a statement is 5"),
            ([{"statement": "select 1"}], "it has no 'result'"),
            ([{**good, "error": {}}], "it has no 'module'"),
            ([{**good, "result": {"rows": None}}], "it has no 'columns'"),
            (
                [{**good, "result": {**good["result"], "rows": [[1]]}}],  # type: ignore[dict-item]
                "ValueError: [1] is no row of 1 columns",
            ),
            (
                [{**good, "result": {**good["result"], "columns": ["a", "b"]}}],  # type: ignore[dict-item]
                "ValueError: (1,) is no row of 2 columns",
            ),
            (
                [{**good, "params": {"$": "decimal", "value": "x"}}],
                "InvalidOperation: [<class 'decimal.ConversionSyntax'>]",
            ),
        ):
            if isinstance(content, list) and content:
                content = {"dbtestcase": 1, "style": "sqlite3", "executed": content}
            self.path.write_text(content if isinstance(content, str) else json.dumps(content))
            self.assertText(
                StubError,
                lambda: stub.replay(self.path),
                f"{self.path} is no recording that this version can read ({why}). Make it anew by "
                f"stub.record(connect, path).",
            )
        self.path.write_text('{"dbtestcase": 2, "style": "sqlite3", "statements": []}')
        self.assertText(
            StubError,
            lambda: stub.replay(self.path),
            f"{self.path} was recorded by another version of the library. Make it anew by "
            f"stub.record(connect, path).",
        )

    def test_other_style(self) -> None:
        """A recording of another driver's would answer what that one does."""
        self.path.write_text('{"dbtestcase": 1, "style": "snowflake", "executed": []}')
        stub = self.stub_connection("sqlite3.connect")
        self.assertText(
            StubError,
            lambda: stub.replay(self.path),
            f'{self.path} was recorded on connections of the style "snowflake", and those of the '
            f'stub of sqlite3.connect have the style "sqlite3". Replay it on a stub of the same '
            f'driver, or with style="snowflake".',
        )

    def test_no_place(self) -> None:
        """Where nothing can be written, that is told before anything is recorded."""
        stub = self.stub_connection("sqlite3.connect")
        for path, what in (
            (self.path.parent, "is a folder"),
            (self.path.parent / "missing" / "x.json", "is in a folder that is not there"),
        ):
            self.assertText(
                StubError,
                lambda path=path: stub.record(sqlite3.connect, path),  # type: ignore[misc]
                f"{path} {what}, so nothing can be recorded in it. Give record() the path of a "
                f"file, in a folder that is there.",
            )

    def test_refused_by_the_driver(self) -> None:
        """What the driver refuses by itself is refused in the same way when it is replayed."""

        def use() -> list[str]:
            connection = sqlite3.connect(":memory:")
            told = []
            for statement in ("select 1; select 2", "select ?", "selec"):
                with self.assertRaises(sqlite3.Error) as caught:
                    connection.execute(statement)
                told.append(str(caught.exception))
            connection.close()
            return told

        with stub_connection("sqlite3.connect").record(sqlite3.connect, self.path):
            recorded = use()
        with stub_connection("sqlite3.connect").replay(self.path):
            self.assertEqual(use(), recorded)
        self.assertEqual(len(json.loads(self.path.read_text())["executed"]), 1)

    def test_no_function(self) -> None:
        """record() wants the driver's function first."""
        stub = self.stub_connection("sqlite3.connect")
        self.assertText(
            StubError,
            lambda: stub.record("file.json", sqlite3.connect),  # type: ignore[arg-type]
            "record() was given file.json, which cannot be called. Give the driver's function "
            "that connects, and then the path of the file.",
        )


class TestValues(BackingTest):
    """Values as JSON, and back."""

    def test_round_trip(self) -> None:
        """Each value comes back equal and of its type."""
        zone = zoneinfo.ZoneInfo("Europe/Zurich")
        for value in (
            None, True, False, 0, -(10**30), 1.5, -0.0, 1e300, math.inf, -math.inf, "", "ü\ud800",
            b"", b"\x00\xff", bytearray(b"x"), decimal.Decimal("1.50"), decimal.Decimal("NaN"),
            decimal.Decimal("-Infinity"), datetime.date.min, datetime.time(1, 2, 3, 4),
            datetime.datetime(2024, 2, 29, 1, 2, 3, 4),
            datetime.datetime(2024, 2, 29, tzinfo=datetime.UTC),
            datetime.datetime(2024, 2, 29, tzinfo=datetime.timezone(datetime.timedelta(hours=-3))),
            datetime.datetime(2024, 10, 27, 2, 30, tzinfo=zone, fold=1),
            datetime.time(2, 30, fold=1), datetime.timedelta(-1, 2, 3), uuid.UUID(int=7),
            (1, (2, [3])), [1, (2,)], {"a": (1,)}, {1: 2, (3,): 4}, {"$": 1}, [], (), {},
        ):  # fmt: skip
            with self.subTest(repr(value)):
                back = from_json(json.loads(json.dumps(to_json(value), allow_nan=False)))
                self.assertEqual(repr(back), repr(value))
                self.assertIs(type(back), type(value))
                self.assertEqual(getattr(back, "fold", 0), getattr(value, "fold", 0))
        self.assertTrue(math.isnan(from_json(to_json(math.nan))))
        self.assertEqual(bytes(from_json(to_json(memoryview(b"ab")))), b"ab")

    def test_unknown_type(self) -> None:
        """A type that cannot be written is told."""
        with self.assertRaises(StubError) as caught:
            to_json([object])
        self.assertEqual(
            str(caught.exception),
            "a value of type builtins.type cannot be written down: <class 'object'>. Let the "
            "statement give another type, by a CAST for example, or script its answer.",
        )


class Base(orm.DeclarativeBase):
    """Of the mapped class below."""


class User(Base):
    """A mapped class."""

    __tablename__ = "users"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]


class TestEngine(BackingTest):
    """``stub.engine()``: SQLAlchemy on a stub."""

    def test_repository(self) -> None:
        """A session reads and writes scripted rows, by the SQL of each dialect."""
        for dialect, select, params, insert, rows in (
            ("postgresql", "%(id_1)s", {"id_1": 1}, "(%(name)s) RETURNING users.id", [(7,)]),
            ("sqlite", "?", (1,), "(?)", None),
        ):
            with self.subTest(dialect), stub_connection("snowflake.connector.connect") as stub:
                engine = stub.engine(dialect)
                self.assertEqual(engine.dialect.name, dialect)
                stub.on(
                    f"select users.id, users.name from users where users.id = {select}",
                    params=params,
                ).returns([(1, "ann")], columns=["id", "name"])
                stub.on(f"INSERT INTO users (name) VALUES {insert}", params=ANY).returns(
                    rows, lastrowid=7
                )
                with orm.Session(engine) as session:
                    found = session.scalars(sa.select(User).where(User.id == 1)).one()
                    self.assertEqual(found.name, "ann")
                    user = User(name="bob")
                    session.add(user)
                    session.flush()
                    self.assertEqual(user.id, 7)
                    session.commit()
                stub.assert_committed(times=1)
                stub.assert_closed()
                stub.connect.assert_not_called()

    def test_snowflake(self) -> None:
        """Its dialect is that of snowflake-sqlalchemy, whose keys come from a sequence."""
        table = sa.Table(
            "users",
            sa.MetaData(),
            sa.Column("id", sa.Integer, sa.Sequence("user_ids"), primary_key=True),
            sa.Column("name", sa.String),
        )
        stub = self.stub_connection("snowflake.connector.connect")
        stub.on("select user_ids.nextval").returns([(7,)])
        stub.on("insert into users (id, name) values (%(id)s, %(name)s)", params=ANY).returns(
            rowcount=1
        )
        stub.on("select users.name from users where users.id = %(id_1)s", params=ANY).returns(
            [("bob",)]
        )
        engine = stub.engine("snowflake")
        with engine.begin() as connection:
            inserted = connection.execute(table.insert(), {"name": "bob"})
            self.assertEqual(tuple(inserted.inserted_primary_key or ()), (7,))
            names = connection.scalars(sa.select(table.c.name).where(table.c.id == 7)).all()
        self.assertEqual((engine.dialect.name, names), ("snowflake", ["bob"]))
        self.assertExecuted(stub, re.compile("insert into", re.I), {"id": 7, "name": "bob"})
        self.assertCommitted(stub, times=1)
        self.assertClosed(stub)
        stub.connect.assert_not_called()

    def test_errors_are_wrapped(self) -> None:
        """An error of the driver's is SQLAlchemy's; one of the script is the library's."""
        stub = self.stub_connection("psycopg2.connect")
        stub.on("select 1").raises(psycopg2.errors.UniqueViolation("twice"))
        with stub.engine("postgresql").connect() as connection:
            with self.assertRaisesRegex(sa.exc.IntegrityError, "twice"):
                connection.execute(sa.text("select 1"))
            connection.rollback()
            with self.assertRaises(UnexpectedQueryError):
                connection.execute(sa.text("select 2"))

    def test_other_dialect(self) -> None:
        """A dialect whose driver is not installed works as well, to the letter of PEP 249."""
        stub = self.stub_connection("psycopg2.connect")
        stub.on("select `key` from item").returns([("a",)])
        engine = stub.engine("mysql")
        statement = sa.select(sa.column("key")).select_from(sa.table("item"))
        with engine.connect() as connection:
            self.assertEqual(connection.execute(statement).all(), [("a",)])

    def test_no_dialect(self) -> None:
        """A dialect that is not there is told, with the near name."""
        stub = self.stub_connection("sqlite3.connect")
        for dialect, text in {
            "postgres": 'Did you mean "postgresql"?',
            "snowflake_": "Install the package snowflake-sqlalchemy, which brings it.",
        }.items():
            self.assertText(
                StubError,
                lambda dialect=dialect: stub.engine(dialect),  # type: ignore[misc]
                f'SQLAlchemy has no dialect "{dialect}" here, so there can be no engine for it. '
                + text,
            )
        self.assertText(
            StubError,
            lambda: stub.engine(None),  # type: ignore[arg-type]
            "engine() was given None, which is no name of a dialect. Write "
            'stub.engine("postgresql"), for example.',
        )
        self.assertText(
            StubError,
            lambda: stub.engine("postgresql+psycopg"),
            'there is no engine on a stub for "postgresql+psycopg", as connections of psycopg are '
            'not played. Write stub.engine("postgresql"), which has the same SQL.',
        )


if __name__ == "__main__":
    unittest.main()

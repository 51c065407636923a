from __future__ import annotations

import doctest
import functools
import os
import subprocess
import sys
import tempfile
import textwrap
import unittest
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.pool import NullPool

from dbtestcase import schemas
from dbtestcase.embedded import server
from dbtestcase.errors import SchemaError
from dbtestcase.schemas import MetadataSchema, Schema, SQLSchema

VERSION = "postgresql 18.1"


def shop() -> sa.MetaData:
    metadata = sa.MetaData()
    sa.Table(
        "item",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(20), index=True),
        sa.Column("kind", sa.Enum("book", "toy", name="kind"), index=True),
        sa.Column("price", sa.Numeric(8, 2), server_default="0", index=True),
    )
    return metadata


def call_for_nothing(*arguments: object, **keywords: object) -> None:
    raise AssertionError("called")


class SchemaTest(unittest.TestCase):
    def setUp(self) -> None:
        self.directory = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def write(self, text: str, name: str = "schema.sql") -> Path:
        path = self.directory / name
        path.write_text(textwrap.dedent(text))
        return path

    def connect(self, url: str | sa.URL = "sqlite://") -> sa.Connection:
        """Open a connection whose work is undone at the end of the test."""
        connection = sa.create_engine(url, poolclass=NullPool).connect()
        self.addCleanup(connection.close)
        return connection

    def postgresql(self) -> sa.Connection:
        return self.connect(server().url().set(database="postgres"))


class TestMetadataSchema(SchemaTest):
    def assert_differs(self, change: Any) -> None:
        before = MetadataSchema(shop()).fingerprint(VERSION)
        self.assertRegex(before, "^[0-9a-f]{16}$")
        metadata = shop()
        change(metadata)
        self.assertNotEqual(MetadataSchema(metadata).fingerprint(VERSION), before)

    def test_is_a_schema(self) -> None:
        """It is what the rest of the library asks for."""
        self.assertIsInstance(MetadataSchema(shop()), Schema)

    def test_something_else_than_metadata(self) -> None:
        """What is no metadata is refused where it is given, and its own metadata are named."""

        class Base(DeclarativeBase):
            pass

        db: Any = SQLAlchemy()
        no_metadata: Any = "shop"
        no_class: Any = dict
        for given, message in [
            (
                db,
                "MetadataSchema was given a SQLAlchemy, which is no MetaData. Give it "
                "db.metadata: schema = MetadataSchema(db.metadata).",
            ),
            (
                Base,
                "MetadataSchema was given the class Base, which is no MetaData. Give it "
                "Base.metadata: schema = MetadataSchema(Base.metadata).",
            ),
            (
                no_metadata,
                "MetadataSchema was given a str, which is no MetaData. Give it that of your "
                "models: schema = MetadataSchema(Base.metadata).",
            ),
            (
                no_class,
                "MetadataSchema was given the class dict, which is no MetaData. Give it that of "
                "your models: schema = MetadataSchema(Base.metadata).",
            ),
        ]:
            with self.subTest(given=given):
                with self.assertRaises(SchemaError) as caught:
                    MetadataSchema(given)
                self.assertEqual(str(caught.exception), message)

    def test_build(self) -> None:
        """It creates the tables."""
        connection = self.connect()
        MetadataSchema(shop()).build(connection)
        self.assertEqual(sa.inspect(connection).get_table_names(), ["item"])

    def test_build_in_schemas(self) -> None:
        """On PostgreSQL it creates the schemas that the tables name, quotes and all."""
        metadata = sa.MetaData(schema='au"dit')
        sa.Table("entry", metadata, sa.Column("id", sa.Integer))
        connection = self.postgresql()
        MetadataSchema(metadata).build(connection)
        self.assertEqual(sa.inspect(connection).get_table_names(schema='au"dit'), ["entry"])

    def test_build_in_a_schema_that_exists(self) -> None:
        """A role that may not create schemas can use those that are there."""
        metadata = sa.MetaData(schema="audit")
        sa.Table("entry", metadata, sa.Column("id", sa.Integer))
        connection = self.postgresql()
        connection.exec_driver_sql("CREATE ROLE clerk; CREATE SCHEMA audit AUTHORIZATION clerk")
        connection.exec_driver_sql("SET LOCAL ROLE clerk")
        MetadataSchema(metadata).build(connection)

    def test_fingerprint_is_the_same_in_every_process(self) -> None:
        """The order in sets, which differs from process to process, does not count."""
        code = (
            "from tests.test_schemas import *; print(MetadataSchema(shop()).fingerprint(VERSION))"
        )
        found = {
            subprocess.run(
                [sys.executable, "-c", code],
                env={**os.environ, "PYTHONHASHSEED": seed},
                check=True,
                capture_output=True,
            ).stdout
            for seed in "1234"
        }
        found.add(f"{MetadataSchema(shop()).fingerprint(VERSION)}\n".encode())
        self.assertEqual(len(found), 1)

    def test_fingerprint_of_tables(self) -> None:
        """Every part of a table counts."""
        self.assert_differs(lambda m: sa.Table("new", m))
        self.assert_differs(lambda m: m.tables["item"].append_column(sa.Column("x", sa.Integer)))
        self.assert_differs(lambda m: sa.Index("ix", m.tables["item"].c.price))
        self.assert_differs(
            lambda m: m.tables["item"].append_constraint(sa.CheckConstraint("price > 0"))
        )
        self.assert_differs(lambda m: sa.Sequence("numbers", metadata=m))

    def test_fingerprint_of_details(self) -> None:
        """So do types, defaults, comments and the values of an enum."""

        def fingerprint(*arguments: Any, **keywords: Any) -> str:
            metadata = sa.MetaData()
            sa.Table("t", metadata, sa.Column("c", *arguments, **keywords))
            return MetadataSchema(metadata).fingerprint(VERSION)

        found = [
            fingerprint(sa.String(10)),
            fingerprint(sa.String(11)),
            fingerprint(sa.String(10), server_default="x"),
            fingerprint(sa.String(10), nullable=False),
            fingerprint(sa.String(10), comment="x"),
            fingerprint(sa.Enum("a", "b", name="e")),
            fingerprint(sa.Enum("b", "a", name="e")),
        ]
        self.assertEqual(len(set(found)), len(found))

    def test_fingerprint_of_models_imported_later(self) -> None:
        """A table that is added to the metadata of a known schema counts."""
        metadata = shop()
        schema = MetadataSchema(metadata)
        before = schema.fingerprint(VERSION)
        self.assertEqual(schema.fingerprint(VERSION), before)
        sa.Table("later", metadata)
        self.assertNotEqual(schema.fingerprint(VERSION), before)

    def test_fingerprint_of_version_and_backend(self) -> None:
        """The server's version counts, and what the tables are on it."""
        schema = MetadataSchema(shop())
        versions = ("postgresql 18.1", "postgresql 18.2", "sqlite 18.1")
        self.assertEqual(len({schema.fingerprint(version) for version in versions}), 3)

    def test_fingerprint_of_ddl_listeners(self) -> None:
        """DDL() on the metadata or a table counts, and its place in the order."""

        def listen(*statements: str) -> str:
            metadata = shop()
            for statement in statements:
                event.listen(metadata.tables["item"], "after_create", sa.DDL(statement))
            return MetadataSchema(metadata).fingerprint(VERSION)

        one, two = "INSERT INTO %(table)s DEFAULT VALUES", "CREATE VIEW v AS SELECT ':x', 100 %% 7"
        found = {listen(), listen(one), listen(two), listen(one, two), listen(two, one)}
        self.assertEqual(len(found), 5)
        self.assert_differs(lambda m: event.listen(m, "before_create", sa.DDL("CREATE SCHEMA x")))

    def test_fingerprint_of_functions(self) -> None:
        """A function that listens counts by its source, and is not called for it."""

        def listen(*listeners: Any) -> str:
            metadata = shop()
            for listener in listeners:
                event.listen(metadata, "after_create", listener)
            return MetadataSchema(metadata).fingerprint(VERSION)

        one: Any = functools.partial(call_for_nothing, "argument")
        two: Any = lambda *a, **k: call_for_nothing()  # noqa: E731
        three: Any = eval("lambda *a, **k: call_for_nothing(1)")
        found = {listen(), listen(one), listen(two), listen(three), listen(one, two)}
        self.assertEqual(len(found), 5)

    def test_fingerprint_beside_functions(self) -> None:
        """Where a function listens, all else still counts."""

        def listen(metadata: sa.MetaData) -> None:
            event.listen(metadata.tables["item"], "after_create", call_for_nothing)

        plain, changed, indexed, enum = shop(), shop(), shop(), shop()
        changed.tables["item"].append_column(sa.Column("x", sa.Integer))
        sa.Index("ix", indexed.tables["item"].c.id)
        enum.tables["item"].c.kind.type = sa.Enum("book", "car", name="kind")
        found = set()
        for metadata in (plain, changed, indexed, enum):
            listen(metadata)
            found.add(MetadataSchema(metadata).fingerprint(VERSION))
        self.assertEqual(len(found), 4)

    def test_fingerprint_of_class_listener(self) -> None:
        """A listener on all tables, as GeoAlchemy2 has one, is not called either."""
        event.listen(sa.Table, "before_create", call_for_nothing)
        self.addCleanup(event.remove, sa.Table, "before_create", call_for_nothing)
        MetadataSchema(shop()).fingerprint(VERSION)


class TestSQLSchema(SchemaTest):
    AWKWARD = """\
        -- a comment; with a semicolon
        CREATE TABLE word (id integer, name text);
        INSERT INTO word VALUES (1, '100% :name %s ; it''s'); INSERT INTO word VALUES (2, 'two');
    """

    def words(self, connection: sa.Connection) -> list[str]:
        return list(connection.execute(sa.text("SELECT name FROM word ORDER BY id")).scalars())

    def assert_fails(self, message: str, schema: Schema, connection: sa.Connection) -> None:
        with self.assertRaises(SchemaError) as caught:
            schema.build(connection)
        self.assertEqual(str(caught.exception), message)

    def test_is_a_schema(self) -> None:
        """It is what the rest of the library asks for."""
        self.assertIsInstance(SQLSchema("schema.sql"), Schema)

    def test_build_on_postgresql(self) -> None:
        """Per cent signs, colons, dollar quotes and several statements arrive as they stand."""
        schema = SQLSchema(
            self.write(self.AWKWARD),
            self.write(
                """\
                CREATE FUNCTION twice(n integer) RETURNS integer LANGUAGE plpgsql AS $body$
                BEGIN
                  RETURN n % 1000 * 2; -- :n
                END; $body$;
                INSERT INTO word SELECT twice(3), 'six'
                """,
                "more.sql",
            ),
        )
        connection = self.postgresql()
        schema.build(connection)
        self.assertEqual(self.words(connection), ["100% :name %s ; it's", "two", "six"])

    def test_build_on_sqlite(self) -> None:
        """There the statements are split, triggers stay whole, and nothing is committed."""
        schema = SQLSchema(
            self.write(self.AWKWARD),
            self.write(
                """\
                PRAGMA foreign_keys = OFF;
                BEGIN TRANSACTION;
                CREATE TRIGGER twice AFTER INSERT ON word WHEN new.id = 3 BEGIN
                  UPDATE word SET name = 'six; 6' WHERE id = 3; DELETE FROM word WHERE id = 2;
                END;
                INSERT INTO word VALUES (3, 'three');
                COMMIT;
                /* the end; */
                """,
                "more.sql",
            ),
        )
        connection = self.connect()
        connection.exec_driver_sql("BEGIN")
        schema.build(connection)
        self.assertEqual(self.words(connection), ["100% :name %s ; it's", "six; 6"])
        connection.exec_driver_sql("ROLLBACK")
        self.assertEqual(sa.inspect(connection).get_table_names(), [])

    def test_build_from_nothing(self) -> None:
        """A file without any statement builds nothing."""
        path = self.write("-- nothing yet\n/* nor here */\n")
        SQLSchema(path).build(self.postgresql())
        SQLSchema(path).build(self.connect())

    def test_build_from_pg_dump(self) -> None:
        """The lines that pg_dump adds for psql alone are passed over."""
        path = self.write("\\restrict aB3\nSELECT 1;\n\\unrestrict aB3\n")
        SQLSchema(path).build(self.postgresql())

    def test_psql_commands(self) -> None:
        """Commands of psql are named with their line."""
        path = self.write("CREATE TABLE a (id integer);\n\\connect shop\n")
        self.assert_fails(
            f'"\\connect" in line 2 of {path} is for psql, and no SQL that the server knows. '
            "Remove it, or dump with pg_dump --inserts.",
            SQLSchema(path),
            self.postgresql(),
        )
        path = self.write("CREATE TABLE a (id integer);\nCOPY a (id) FROM stdin;\n1\n\\.\n")
        self.assert_fails(
            f'"COPY a (id) FROM stdin" in line 2 of {path} is for psql, and no SQL that the '
            "server knows. Remove it, or dump with pg_dump --inserts.",
            SQLSchema(path),
            self.postgresql(),
        )

    def test_backslash_in_string(self) -> None:
        """A backslash at the start of a line is no command where it stands in a string."""
        SQLSchema(self.write("SELECT '\n\\connect';")).build(self.postgresql())

    def test_failing_statement(self) -> None:
        """A statement that fails is named by file and line, with what the database says."""
        path = self.write("CREATE TABLE a (id integer);\n\nINSERT INTO b VALUES (1);\n")
        self.assert_fails(
            f'{path}, line 3 failed: relation "b" does not exist. The database is left as it '
            "was; correct the statement.",
            SQLSchema(path),
            self.postgresql(),
        )
        self.assert_fails(
            f"{path}, line 3 failed: no such table: b. The database is left as it was; correct "
            "the statement.",
            SQLSchema(path),
            self.connect(),
        )
        path = self.write("CREATE TABLE a (id integer UNIQUE); INSERT INTO a VALUES (1), (1);")
        with self.assertRaisesRegex(SchemaError, "schema.sql failed: duplicate key") as caught:
            SQLSchema(path).build(self.postgresql())
        self.assertIsInstance(caught.exception.__cause__, DBAPIError)

    def test_missing_file(self) -> None:
        """A file that is not there is named, and the directory where it was looked for."""
        schema = SQLSchema("not/there.sql")
        message = (
            "cannot read not/there.sql of SQLSchema of not/there.sql: No such file or directory. "
            f"Relative paths start at the working directory, {Path.cwd()}."
        )
        self.assert_fails(message, schema, self.connect())
        with self.assertRaises(SchemaError) as caught:
            schema.fingerprint(VERSION)
        self.assertEqual(str(caught.exception), message)

    def test_file_in_another_encoding(self) -> None:
        """A file that is not in UTF-8 is named."""
        path = self.directory / "schema.sql"
        path.write_bytes(b"SELECT '\xe9'")
        self.assert_fails(
            f"cannot read {path} of SQLSchema of {path}: it is not in UTF-8 (invalid "
            "continuation byte at byte 8). Save it in UTF-8.",
            SQLSchema(path),
            self.connect(),
        )

    def test_byte_order_mark(self) -> None:
        """A byte order mark, as editors on Windows leave it, does no harm."""
        path = self.directory / "schema.sql"
        path.write_text("SELECT 1", encoding="utf-8-sig")
        SQLSchema(path).build(self.postgresql())

    def test_fingerprint(self) -> None:
        """What the files hold counts, and where one ends; not what they are called."""
        a, b = self.write("SELECT 1;", "a.sql"), self.write("SELECT 2;", "b.sql")
        both = self.write("SELECT 1;SELECT 2;", "both.sql")
        same = self.write("SELECT 1;", "same.sql")
        found = [
            SQLSchema(*files).fingerprint(VERSION) for files in ([a], [b], [a, b], [b, a], [both])
        ]
        self.assertEqual(len(set(found)), len(found))
        self.assertEqual(SQLSchema(same).fingerprint(VERSION), found[0])
        self.assertNotEqual(SQLSchema(a).fingerprint("postgresql 17"), found[0])


def load_tests(
    loader: unittest.TestLoader, tests: unittest.TestSuite, pattern: str | None
) -> unittest.TestSuite:
    """Run the examples in the docstrings, too."""
    tests.addTests(doctest.DocTestSuite(schemas))
    return tests

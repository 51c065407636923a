"""The databases of one class, without unittest's hooks and without Flask."""

from __future__ import annotations

import contextlib
import doctest
import secrets
import unittest
import warnings
from typing import Any

import psycopg2
import psycopg2.extensions
import sqlalchemy as sa

from dbtestcase import MetadataSchema, embedded, fixture
from dbtestcase.databases import clean, release_all
from dbtestcase.errors import EscapeError, SandboxConflict, UncommittedDataWarning
from dbtestcase.fixture import DatabaseFixture
from dbtestcase.settings import choose

from .support import Project, connect_past_sqlalchemy, look, no_settings, without_lines

metadata = sa.MetaData()
item = sa.Table(
    "item",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text),
)


def setUpModule() -> None:
    unittest.enterModuleContext(no_settings())


def load_tests(
    loader: unittest.TestLoader, tests: unittest.TestSuite, pattern: str | None
) -> unittest.TestSuite:
    tests.addTests(doctest.DocTestSuite(fixture))
    return tests


def names(connection: sa.Connection) -> list[str]:
    return list(connection.scalars(sa.select(item.c.name).order_by(item.c.id)))


class FixtureTest(unittest.TestCase):
    def fixture(self, database: str = "postgresql", **options: Any) -> DatabaseFixture:
        options.setdefault("schema", lambda key: (MetadataSchema(metadata), True))
        return DatabaseFixture(
            "ItemTest", setting=lambda key: choose(database, bind=key), **options
        )

    def insert(self, engine: sa.Engine, name: str) -> int:
        with engine.begin() as connection:
            result = connection.execute(item.insert(), {"name": name})
            assert result.inserted_primary_key is not None
            return int(result.inserted_primary_key[0])


class TestDatabaseFixture(FixtureTest):
    def test_database_is_filled_and_put_back(self) -> None:
        """The schema is there, commits are seen by all engines, and nothing is left."""
        for database in ("postgresql", "sqlite"):
            with self.subTest(database), self.fixture(database) as fixture:
                engine = fixture.engine(None)
                self.assertEqual(self.insert(engine, "one"), 1)
                with sa.create_engine(fixture.urls[None]).connect() as connection:
                    self.assertEqual(names(connection), ["one"])
                self.assertEqual(look(fixture.urls[None]).rows, {})
            self.assertEqual(look(fixture.urls[None]).rows, {})

    def test_set_up_is_the_base_of_every_test(self) -> None:
        """What is committed before freeze() stays until the end; a test's work does not."""
        with self.fixture() as fixture:
            engine = fixture.engine(None)
            self.insert(engine, "of the class")
            fixture.freeze()
            for _ in range(2):
                fixture.begin_test()
                self.assertEqual(self.insert(engine, "of the test"), 2)
                with engine.connect() as connection:
                    self.assertEqual(names(connection), ["of the class", "of the test"])
                fixture.end_test()

    def test_uncommitted_work_of_the_set_up(self) -> None:
        """What the set-up did not commit is undone, and a warning names it."""
        with self.fixture() as fixture, fixture.engine(None).connect() as connection:
            connection.execute(item.insert(), {"name": "forgotten"})
            with self.assertWarnsRegex(
                UncommittedDataWarning, "^the class's set-up left uncommitted data in connection"
            ):
                fixture.freeze()
            fixture.begin_test()
            with fixture.engine(None).connect() as other:
                self.assertEqual(names(other), [])
            fixture.end_test()

    def test_what_cannot_be_put_back(self) -> None:
        """Where the end of a class fails, a warning says so, and the next use is of a new one."""
        with self.fixture() as fixture:
            self.insert(fixture.engine(None), "one")
            fixture.freeze()
            sandbox: Any = fixture.sandboxes[None]
            sandbox._first_sequences = "SELECT 1 / 0"
            before = self.oid(fixture.urls[None])
            caught = self.enterContext(warnings.catch_warnings(record=True))
            warnings.simplefilter("always")
        self.assertEqual(
            [str(warning.message) for warning in caught],
            [
                "the database of ItemTest could not be put back after its tests: division by "
                "zero. It is built anew before its next use."
            ],
        )
        with self.fixture() as fixture:
            self.assertEqual(self.insert(fixture.engine(None), "one"), 1)
            self.assertNotEqual(self.oid(fixture.urls[None]), before)

    def test_dead_rows(self) -> None:
        """What rolled back rows left on the disk is cleared away at the end."""
        with self.fixture() as fixture:
            fixture.engine(None).connect().close()
            fixture.freeze()
            fixture.begin_test()
            self.insert(fixture.engine(None), "one")
            fixture.end_test()
            self.assertGreater(self.size(fixture.urls[None]), 0)
        self.assertEqual(self.size(fixture.urls[None]), 0)

    def size(self, url: str) -> int:
        """Give how many bytes the table has on the disk."""
        with connect_past_sqlalchemy(url) as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT pg_relation_size('item')")
            return int(cursor.fetchone()[0])

    def oid(self, url: str) -> int:
        """Give the number of a database, which a new one of the same name does not have."""
        with connect_past_sqlalchemy(url) as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT oid FROM pg_database WHERE datname = current_database()")
            return int(cursor.fetchone()[0])

    def test_bind_that_is_first_asked_for_in_a_test(self) -> None:
        """A database that comes late is undone like the others."""
        with self.fixture() as fixture:
            fixture.freeze()
            for _ in range(2):
                fixture.begin_test()
                mark = fixture.mark()
                late = sa.create_engine(fixture.urls["late"])
                fixture.add_engines({"late": late})
                self.assertEqual(self.insert(late, "one"), 1)
                fixture.let_go(mark)
                fixture.end_test()
            self.assertNotEqual(fixture.urls["late"], fixture.urls[None])
        self.assertEqual(look(fixture.urls["late"]).rows, {})

    def test_tables_of_models_that_come_late(self) -> None:
        """Models that were imported after the first contact get their tables, until the end."""
        found = sa.MetaData()
        with self.fixture(schema=lambda key: (MetadataSchema(found), False)) as fixture:
            engine = fixture.engine(None)
            late = item.to_metadata(found)
            fixture.build_missing()
            with engine.begin() as connection:
                connection.execute(late.insert(), {"name": "one"})
            self.assertEqual(look(fixture.urls[None]).tables, set())
        self.assertEqual(look(fixture.urls[None]).tables, set())

    def test_two_drivers_for_one_database(self) -> None:
        """A second driver is refused, and both are named."""
        with self.fixture() as fixture:
            engine = fixture.engine(None)
            self.insert(engine, "one")
            other = sa.create_engine(fixture.urls[None])
            other.dialect.driver = "another"
            where = sa.make_url(fixture.urls[None]).render_as_string(hide_password=True)
            with self.assertRaises(SandboxConflict) as caught:
                other.connect()
            self.assertEqual(
                without_lines(caught.exception),
                f"{other!r} connects at tests/test_fixture.py:LINE by postgresql+another, and the "
                f"connection of ItemTest was made at tests/test_fixture.py:LINE by "
                f"postgresql+psycopg2. Two drivers cannot share one connection. Use one driver for "
                f"{where}.",
            )

    def test_two_binds_of_one_database(self) -> None:
        """A read replica leads to the database of its primary, and sees what it commits."""
        url = self.named_database()
        setting = choose(url)
        fixture = DatabaseFixture(
            "ItemTest",
            setting=lambda key: setting,
            schema=lambda key: (MetadataSchema(metadata), True),
        )
        with fixture:
            self.insert(fixture.engine(None), "one")
            with sa.create_engine(fixture.urls["replica"]).connect() as connection:
                self.assertEqual(names(connection), ["one"])
            self.assertEqual(look(url).tables, set())
        self.assertEqual(look(url).tables, set())

    def test_option_engine_of_the_app(self) -> None:
        """An engine of the app is known by its option engines, too, whatever its URL says."""
        app = sa.create_engine("postgresql+psycopg2://shop@production.example/shop")
        self.addCleanup(app.dispose)
        with self.fixture(app_engines=lambda: {None: app}) as fixture:
            self.insert(app.execution_options(isolation_level="AUTOCOMMIT"), "one")
            with app.connect() as connection:
                self.assertEqual(names(connection), ["one"])
            self.assertEqual(look(fixture.urls[None]).rows, {})

    def named_database(self) -> str:
        """Make a database that is taken as it is, and drop it at the end."""
        name = f"named_{secrets.token_hex(4)}_test"
        url = embedded.server().url()
        admin = sa.create_engine(url.set(database="postgres"), isolation_level="AUTOCOMMIT")
        self.addCleanup(admin.dispose)
        with admin.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")

        def drop() -> None:
            release_all()
            with admin.connect() as connection:
                connection.exec_driver_sql(f"DROP DATABASE {name}")

        self.addCleanup(drop)
        return url.set(database=name).render_as_string(hide_password=False)

    def test_build_that_fails(self) -> None:
        """A schema that fails in a database taken as it is leaves no transaction open."""
        failing = sa.MetaData()
        sa.Table("item", failing, sa.Column("id", sa.Integer, primary_key=True))
        calls = []

        @sa.event.listens_for(failing, "after_create")
        def fail(*args: Any, **options: Any) -> None:
            calls.append(1)
            if len(calls) == 1:
                raise ValueError("the first time")

        url = self.named_database()
        kept = None
        for _ in range(2):
            with self.fixture(url, schema=lambda key: (MetadataSchema(failing), True)) as fixture:
                try:
                    fixture.engine(None).connect().close()
                except ValueError as error:
                    kept = error  # as pytest keeps it, with all that its traceback holds
        self.assertEqual((str(kept), len(calls)), ("the first time", 2))
        self.assertEqual(look(url).tables, set())

    def test_sequences_of_a_named_database(self) -> None:
        """They go on from test to test, for such a database may not be ours alone."""
        url = self.named_database()
        with connect_past_sqlalchemy(url) as connection:
            connection.cursor().execute("CREATE TABLE item (id serial PRIMARY KEY, name text)")
            connection.commit()
        with self.fixture(url, schema=lambda key: (None, False)) as fixture:
            engine = fixture.engine(None)
            fixture.freeze()
            ids = []
            for _ in range(2):
                fixture.begin_test()
                ids.append(self.insert(engine, "one"))
                fixture.end_test()
        self.assertEqual(ids, [1, 2])

    def test_schemas_of_two_binds_in_one_database(self) -> None:
        """Each bind's schema is there, whichever engine comes first, and in every test."""
        other = sa.MetaData()
        entry = sa.Table("entry", other, sa.Column("id", sa.Integer, primary_key=True))
        schemas = {None: MetadataSchema(metadata), "audit": MetadataSchema(other)}
        url = self.named_database()
        with self.fixture(url, schema=lambda key: (schemas[key], True)) as fixture:
            same = choose(url)
            fixture._setting = lambda key: same
            self.assertEqual(fixture.urls["audit"], fixture.urls[None])
            for _ in range(2):
                fixture.begin_test()
                mark = fixture.mark()
                engine = sa.create_engine(fixture.urls["audit"])
                with engine.begin() as connection:
                    connection.execute(entry.insert())
                    self.assertEqual(names(connection), [])
                fixture.let_go(mark)
                fixture.end_test()

    def test_tables_that_a_test_builds(self) -> None:
        """What was built in a test is undone with it, and built again in the next."""
        found = sa.MetaData()
        with self.fixture(schema=lambda key: (MetadataSchema(found), False)) as fixture:
            engine = fixture.engine(None)
            fixture.freeze()
            late = item.to_metadata(found)
            for _ in range(2):
                fixture.begin_test()
                fixture.build_missing()
                with engine.begin() as connection:
                    connection.execute(late.insert(), {"name": "one"})
                    self.assertEqual(names(connection), ["one"])
                fixture.end_test()

    def test_lost_connection(self) -> None:
        """After a connection died the set-up begins again, and is told what it lost."""
        with self.fixture() as fixture:
            engine = fixture.engine(None)
            self.insert(engine, "of the class")
            fixture.freeze()
            fixture.begin_test()
            with engine.connect() as connection:
                pid = connection.scalar(sa.text("SELECT pg_backend_pid()"))
                self.kill(pid)
                with self.assertRaises(sa.exc.OperationalError):
                    names(connection)
            fixture.closing()
            fixture.end_test()
            self.assertTrue(fixture.revive())
            self.assertEqual(self.insert(engine, "again"), 1)
            fixture.freeze()
            self.assertFalse(fixture.revive())
            fixture.begin_test()
            with engine.connect() as connection:
                self.assertEqual(names(connection), ["again"])
            fixture.end_test()

    def test_use_after_the_connection_was_lost(self) -> None:
        """A test that goes on after its connection died is told that its work is gone."""
        with self.fixture() as fixture:
            engine = fixture.engine(None)
            fixture.freeze()
            fixture.begin_test()
            self.insert(engine, "one")
            with engine.connect() as connection:
                pid = connection.scalar(sa.text("SELECT pg_backend_pid()"))
                self.kill(pid)
                with self.assertRaises(sa.exc.OperationalError):
                    names(connection)
            text = (
                "the real connection of ItemTest's sandbox was lost, and with it what was done "
                "since the class's set-up began, committed or not. A new connection would show "
                "none of it. Let the test end here; the next one starts anew."
            )
            with self.assertRaises(SandboxConflict) as caught:
                engine.connect()
            self.assertEqual(str(caught.exception), text)
            with contextlib.suppress(SandboxConflict):
                engine.connect()
            fixture.closing()
            fixture.end_test()
            with self.assertRaises(SandboxConflict):
                fixture.raise_swallowed()

    def test_connection_that_dies_at_the_end(self) -> None:
        """A connection that died after the last statement is no error of the test."""
        with self.fixture() as fixture:
            engine = fixture.engine(None)
            fixture.freeze()
            fixture.begin_test()
            with engine.begin() as connection:
                pid = connection.scalar(sa.text("SELECT pg_backend_pid()"))
            self.kill(pid)
            fixture.closing()
            fixture.end_test()
            fixture.revive()
            fixture.begin_test()
            self.assertEqual(self.insert(engine, "one"), 1)
            fixture.end_test()

    def test_commit_past_the_sandbox(self) -> None:
        """A real COMMIT is an error of its test, and the next one has a new database."""
        with self.fixture() as fixture:
            engine = fixture.engine(None)
            self.insert(engine, "of the class")
            fixture.freeze()
            fixture.begin_test()
            self.insert(engine, "escaped")
            real: Any = fixture.sandboxes[None].real  # type: ignore[attr-defined]
            with psycopg2.extensions.connection.cursor(
                real, cursor_factory=psycopg2.extensions.cursor
            ) as cursor:
                psycopg2.extensions.cursor.execute(cursor, "COMMIT")
            self.assertEqual(look(fixture.urls[None]).rows, {"item": ["of the class", "escaped"]})
            fixture.closing()
            with self.assertRaisesRegex(EscapeError, "^the transaction in which ItemTest plays"):
                fixture.end_test()
            self.assertTrue(fixture.revive())
            self.assertEqual(look(fixture.urls[None]).rows, {})
            self.assertEqual(self.insert(engine, "again"), 1)
            fixture.freeze()
        self.assertEqual(look(fixture.urls[None]).rows, {})

    def test_commit_past_the_sandbox_and_another_template(self) -> None:
        """The new database may be of a new template, whose sequences have other numbers."""
        Project(self, {}).enter(self)
        with self.fixture() as fixture:
            engine = fixture.engine(None)
            self.insert(engine, "of the class")
            fixture.freeze()
            fixture.begin_test()
            real: Any = fixture.sandboxes[None].real  # type: ignore[attr-defined]
            with psycopg2.extensions.connection.cursor(
                real, cursor_factory=psycopg2.extensions.cursor
            ) as cursor:
                self.insert(engine, "escaped")
                psycopg2.extensions.cursor.execute(cursor, "COMMIT")
            fixture.closing()
            with self.assertRaises(EscapeError):
                fixture.end_test()
            clean(choose("postgresql"), templates_too=True)
            fixture.revive()
            fixture.begin_test()
            self.assertEqual(self.insert(engine, "again"), 1)
            fixture.end_test()
        self.assertEqual(look(fixture.urls[None]).rows, {})

    def kill(self, pid: Any) -> None:
        admin = sa.create_engine(embedded.server().url().set(database="postgres"))
        private = admin.execution_options(dbtestcase_private=True)
        with private.connect() as connection:
            connection.scalar(sa.text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        admin.dispose()


class TestDatabaseURLs(FixtureTest):
    def test_url_names_its_driver(self) -> None:
        """A URL can be given to SQLAlchemy 2.1, which reads a bare one as psycopg 3."""
        with self.fixture() as fixture:
            self.assertRegex(fixture.urls[None], r"^postgresql\+psycopg2://")
            self.assertEqual(dict(fixture.urls), {None: fixture.urls[None]})

    def test_bind_is_leased_when_it_is_asked_for(self) -> None:
        """Each bind key has a database of its own."""
        with self.fixture("sqlite") as fixture:
            self.assertNotEqual(fixture.urls["audit"], fixture.urls[None])
            self.assertEqual(set(fixture.urls), {"audit", None})


if __name__ == "__main__":
    unittest.main()

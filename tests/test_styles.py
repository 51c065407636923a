"""Every style of application code, over every kind of app, on every kind of database.

The same tests are run twice: with real commits on real connections, which says what is right, and
as the tests of a ``DatabaseTestCase``. The judge is a connection that knows nothing of either.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
import unittest
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import psycopg2
from sqlalchemy import create_engine, insert, select
from sqlalchemy.orm import Session

from dbtestcase import DatabaseTestCase, embedded
from dbtestcase.errors import DatabaseTestWarning, SandboxConflict

from .apps import kinds, styles
from .support import connect_past_sqlalchemy, look, no_settings, run

TABLES = {None: {"users", "posts", "invitations"}, "audit": {"audit_entries"}}


class Everywhere(
    styles.ORMStyles,
    styles.CoreStyles,
    styles.AutocommitStyles,
    styles.SeveralConnectionsStyles,
    styles.SchemaStyles,
    styles.TextualStyles,
):
    """The styles that need nothing but an engine and a session."""


class WithRequests(Everywhere, styles.RequestStyles):
    """The styles of a Flask app."""


class WithBinds(WithRequests, styles.BindStyles):
    """The styles of a Flask app with two databases."""


# -- real connections ------------------------------------------------------------------------------


class Real:
    """Runs styles on scratch databases, without the library: each commit is one."""

    database_urls: ClassVar[dict[str | None, str]]

    @classmethod
    def setUpClass(cls) -> None:
        cls.database_urls = cls.enterClassContext(cls.scratch_databases())
        cls.database_url = cls.import_url = cls.database_urls[None]
        super().setUpClass()
        if hasattr(cls, "create_engine"):
            cls.create_engine()
        if hasattr(cls, "create_app"):
            cls.app = cls.create_app()

    @classmethod
    @contextlib.contextmanager
    def scratch_databases(cls) -> Iterator[dict[str | None, str]]:
        """Make two databases, and drop them at last."""
        raise NotImplementedError
        yield

    def empty(self, url: str) -> None:
        """Drop all that is in a database."""
        raise NotImplementedError

    def setUp(self) -> None:
        self.client = self.app.test_client() if self.has_requests else None
        self.addCleanup(self.let_go)
        for key, url in self.database_urls.items():
            self.empty(url)
            if key is None or self.has_binds:
                model = self.shop.User if key is None else self.shop.AuditEntry
                engine = create_engine(url)
                model.metadata.create_all(engine)
                if key is None and isinstance(self, styles.WithAlice):
                    with Session(engine) as session:
                        session.add(self.shop.User(name="alice"))
                        session.commit()
                engine.dispose()
        super().setUp()

    def let_go(self) -> None:
        if hasattr(self.shop, "db_session"):
            self.shop.db_session.remove()
        for key in self.database_urls if self.has_binds else [None]:
            self.engine_of(key).dispose()

    def assert_visible_to_others(self, table: str, rows: list[Any]) -> None:
        key = "audit" if table == "audit_entries" else None
        self.assertEqual(look(self.database_urls[key]).rows.get(table, []), rows)


class RealPostgreSQL(Real):
    @classmethod
    @contextlib.contextmanager
    def scratch_databases(cls) -> Iterator[dict[str | None, str]]:
        server = embedded.server().url()
        urls = {
            key: server.set(database=f"test_styles_{os.getpid()}{name}")
            for key, name in [(None, ""), ("audit", "_audit")]
        }
        arguments = server.translate_connect_args(username="user", database="dbname")
        with contextlib.closing(
            psycopg2.connect(**arguments, **server.query, dbname="postgres")
        ) as admin:
            admin.autocommit = True
            cursor = admin.cursor()
            for url in urls.values():
                cursor.execute(f"CREATE DATABASE {url.database}")
            try:
                yield {k: url.render_as_string(hide_password=False) for k, url in urls.items()}
            finally:
                for url in urls.values():
                    cursor.execute(f"DROP DATABASE {url.database} WITH (FORCE)")

    def empty(self, url: str) -> None:
        engine = create_engine(url)
        with engine.begin() as connection:
            connection.exec_driver_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        engine.dispose()


class RealFile(Real):
    @classmethod
    @contextlib.contextmanager
    def scratch_databases(cls) -> Iterator[dict[str | None, str]]:
        with tempfile.TemporaryDirectory() as directory:
            yield {
                None: f"sqlite:///{directory}/shop_test.db",
                "audit": f"sqlite:///{directory}/audit_test.db",
            }

    def empty(self, url: str) -> None:
        Path(url.removeprefix("sqlite:///")).unlink(missing_ok=True)


class RealMemory(Real):
    places: ClassVar[dict[str | None, str]] = {
        None: "file:/real_styles?vfs=memdb",
        "audit": "file:/real_styles_audit?vfs=memdb",
    }

    @classmethod
    @contextlib.contextmanager
    def scratch_databases(cls) -> Iterator[dict[str | None, str]]:
        yield {key: f"sqlite:///{name}&uri=true" for key, name in cls.places.items()}

    def setUp(self) -> None:
        # the databases live as long as these connections
        for name in self.places.values():
            keeper = sqlite3.connect(name, uri=True)
            self.addCleanup(keeper.close)
        super().setUp()

    def empty(self, url: str) -> None:
        # a pool that was disposed of while a connection was out keeps the database alive
        with connect_past_sqlalchemy(url) as connection:
            for table in look(url).tables:
                connection.execute(f"DROP TABLE {table}")


class TestFactoryOnRealPostgreSQL(
    RealPostgreSQL,
    kinds.FlaskSQLAlchemyFactory,
    styles.WithAlice,
    WithBinds,
    styles.PostgreSQLStyles,
    unittest.TestCase,
):
    """What is right for a Flask-SQLAlchemy app on PostgreSQL."""


class TestScopedSessionOnRealPostgreSQL(
    RealPostgreSQL,
    kinds.ScopedSessionAtImport,
    WithRequests,
    styles.PostgreSQLStyles,
    unittest.TestCase,
):
    """What is right for an app with a scoped_session on PostgreSQL."""


class TestPlainOnRealPostgreSQL(
    RealPostgreSQL,
    kinds.Plain,
    styles.WithAlice,
    Everywhere,
    styles.PostgreSQLStyles,
    unittest.TestCase,
):
    """What is right for a program without Flask on PostgreSQL."""


class TestFactoryOnRealFile(
    RealFile,
    kinds.FlaskSQLAlchemyFactory,
    styles.WithAlice,
    WithBinds,
    styles.SQLiteStyles,
    unittest.TestCase,
):
    """What is right for a Flask-SQLAlchemy app on SQLite."""


class TestSessionmakerOnRealFile(
    RealFile,
    kinds.SessionmakerAtImport,
    WithRequests,
    styles.SQLiteStyles,
    unittest.TestCase,
):
    """What is right for an app with a sessionmaker on SQLite."""


class TestPlainOnRealMemory(
    RealMemory,
    kinds.Plain,
    styles.WithAlice,
    Everywhere,
    styles.SQLiteStyles,
    unittest.TestCase,
):
    """What is right for a program without Flask on SQLite in memory."""


# -- in the sandbox --------------------------------------------------------------------------------


class Sandboxed:
    """Runs styles as tests of a ``DatabaseTestCase``, judged while and after they run."""

    found_tables: ClassVar[dict[str | None, set[str]]] = TABLES
    """What stands in the databases while the class runs."""
    judged: ClassVar[dict[str | None, str]]

    @classmethod
    def setUpClass(cls) -> None:
        cls.judged = {}
        # registered before anything of the library: it is called when the class has ended
        cls.addClassCleanup(cls.judge_class)
        cls.enterClassContext(no_settings())
        cls.enterClassContext(warnings.catch_warnings())
        warnings.simplefilter("error", DatabaseTestWarning)
        super().setUpClass()
        cls.judged = {key: cls.database_urls[key] for key in cls.bind_keys()}

    @classmethod
    def bind_keys(cls) -> list[str | None]:
        return [None, "audit"] if cls.has_binds else [None]

    @classmethod
    def judge_class(cls) -> None:
        for key, url in cls.judged.items():
            content = look(url)
            assert content.rows == {}, f"{cls.__name__} left {content.rows} in {key}"
            assert content.sequences == {}, f"{cls.__name__} left {content.sequences} in {key}"

    def run(self, result: unittest.TestResult | None = None) -> unittest.TestResult | None:
        # registered before anything of the library: it is called when the test has ended
        self.addCleanup(self.judge_test)
        return super().run(result)

    def judge_test(self) -> None:
        for key, url in self.judged.items():
            content = look(url)
            self.assertEqual(content.rows, {})
            if not content.locked:
                self.assertEqual(content.tables, self.found_tables[key])
            alice = self.postgresql and key is None and isinstance(self, styles.WithAlice)
            self.assertEqual(content.sequences, {"users_id_seq": 1} if alice else {})

    def assert_visible_to_others(self, table: str, rows: list[Any]) -> None:
        for url in self.judged.values():
            self.assertEqual(look(url).rows, {})


class OnPostgreSQL(Sandboxed, styles.PostgreSQLStyles):
    """The embedded server; what the app finds at its import leads into nowhere."""

    database = "postgresql"
    import_url = "postgresql+psycopg2://shop:secret@db.shop.example/shop"


class InMemory(Sandboxed, styles.SQLiteStyles):
    """SQLite in memory."""

    database = "sqlite"
    import_url = "sqlite:////srv/shop.example/shop.db"


class InFile(Sandboxed, styles.SQLiteStyles):
    """A SQLite file that a URL names: it is taken as it is, so the schema is in nobody's sight."""

    database: ClassVar[Any]
    import_url = "sqlite:////srv/shop.example/shop.db"
    found_tables: ClassVar[dict[str | None, set[str]]] = {None: set(), "audit": set()}

    @classmethod
    def setUpClass(cls) -> None:
        directory = cls.enterClassContext(tempfile.TemporaryDirectory())
        cls.database = {
            None: f"sqlite:///{directory}/shop_test.db",
            "audit": f"sqlite:///{directory}/audit_test.db",
        }
        super().setUpClass()


class TestFactory(
    OnPostgreSQL, kinds.FlaskSQLAlchemyFactory, styles.WithAlice, WithBinds, DatabaseTestCase
):
    """A Flask-SQLAlchemy app from a factory."""


class TestFactoryWithoutData(
    OnPostgreSQL, kinds.FlaskSQLAlchemyFactory, WithBinds, DatabaseTestCase
):
    """The same in a class without data: the outer transaction is the test's own."""


class TestFactoryInMemory(
    InMemory, kinds.FlaskSQLAlchemyFactory, styles.WithAlice, WithBinds, DatabaseTestCase
):
    """A Flask-SQLAlchemy app from a factory, in memory."""


class TestFactoryInFile(
    InFile, kinds.FlaskSQLAlchemyFactory, styles.WithAlice, WithBinds, DatabaseTestCase
):
    """A Flask-SQLAlchemy app from a factory, in files."""


class TestLite(
    OnPostgreSQL, kinds.FlaskSQLAlchemyLite, styles.WithAlice, WithBinds, DatabaseTestCase
):
    """A Flask-SQLAlchemy-Lite app."""


class TestLiteInMemory(
    InMemory, kinds.FlaskSQLAlchemyLite, styles.WithAlice, WithBinds, DatabaseTestCase
):
    """A Flask-SQLAlchemy-Lite app, in memory."""


class TestAlchemical(
    OnPostgreSQL, kinds.AlchemicalFactory, styles.WithAlice, WithBinds, DatabaseTestCase
):
    """An Alchemical app."""


class TestAlchemicalInMemory(
    InMemory, kinds.AlchemicalFactory, styles.WithAlice, WithBinds, DatabaseTestCase
):
    """An Alchemical app, in memory."""


class TestSessionmaker(
    OnPostgreSQL, kinds.SessionmakerAtImport, styles.WithAlice, WithRequests, DatabaseTestCase
):
    """A Flask app with a sessionmaker over an engine made at import."""


class TestSessionmakerWithoutData(
    OnPostgreSQL, kinds.SessionmakerAtImport, WithRequests, DatabaseTestCase
):
    """The same in a class without data."""


class TestSessionmakerInMemory(
    InMemory, kinds.SessionmakerAtImport, styles.WithAlice, WithRequests, DatabaseTestCase
):
    """A Flask app with a sessionmaker over an engine made at import, in memory."""


class TestSessionmakerInFile(
    InFile, kinds.SessionmakerAtImport, styles.WithAlice, WithRequests, DatabaseTestCase
):
    """A Flask app with a sessionmaker over an engine made at import, in a file."""


class TestScopedSession(
    OnPostgreSQL, kinds.ScopedSessionAtImport, styles.WithAlice, WithRequests, DatabaseTestCase
):
    """A Flask app with a scoped_session over an engine made at import."""


class TestScopedSessionInMemory(
    InMemory, kinds.ScopedSessionAtImport, styles.WithAlice, WithRequests, DatabaseTestCase
):
    """A Flask app with a scoped_session over an engine made at import, in memory."""


class TestModuleLevelApp(
    OnPostgreSQL, kinds.ModuleLevelApp, styles.WithAlice, WithRequests, DatabaseTestCase
):
    """A module-level Flask-SQLAlchemy app."""


class TestModuleLevelAppAgain(OnPostgreSQL, kinds.ModuleLevelApp, WithRequests, DatabaseTestCase):
    """The next class has the same app, and finds it as it was."""


class TestModuleLevelAppInMemory(
    InMemory, kinds.ModuleLevelApp, styles.WithAlice, WithRequests, DatabaseTestCase
):
    """A module-level Flask-SQLAlchemy app, in memory."""


class TestPlain(OnPostgreSQL, kinds.Plain, styles.WithAlice, Everywhere, DatabaseTestCase):
    """A program without Flask."""


class TestPlainWithoutData(OnPostgreSQL, kinds.Plain, Everywhere, DatabaseTestCase):
    """The same in a class without data."""


class TestPlainInMemory(InMemory, kinds.Plain, styles.WithAlice, Everywhere, DatabaseTestCase):
    """A program without Flask, in memory."""


class TestPlainInMemoryWithoutData(InMemory, kinds.Plain, Everywhere, DatabaseTestCase):
    """The same in a class without data."""


class TestPlainInFile(InFile, kinds.Plain, styles.WithAlice, Everywhere, DatabaseTestCase):
    """A program without Flask, in a file."""


class TestPlainInFileWithoutData(InFile, kinds.Plain, Everywhere, DatabaseTestCase):
    """The same in a class without data."""


# -- what is refused -------------------------------------------------------------------------------


class TestRefusals(unittest.TestCase):
    """What one connection cannot show ends in an error, and the next test is not disturbed."""

    def refused(self, code: Callable[[Any], None], database: str = "postgresql") -> str:
        """Run application code in a test of its own and return the one error that it ends in."""

        class Refused(kinds.Plain, DatabaseTestCase):
            def test_1_refused(self) -> None:
                self.add = lambda connection, name: connection.execute(
                    insert(self.shop.User.__table__).values(name=name)
                )
                code(self)

            def test_2_next(self) -> None:
                with self.engine.begin() as connection:
                    users = self.shop.User.__table__
                    assert connection.execute(select(users)).all() == []
                    added = connection.execute(insert(users).values(name="bob"))
                    assert added.inserted_primary_key == (1,)

            @classmethod
            def setUpClass(cls) -> None:
                super().setUpClass()
                urls.append(cls.database_url)

        Refused.database = database
        urls: list[str] = []
        with no_settings():
            report = run(Refused)
        if database == "postgresql":
            self.assertEqual((look(urls[0]).rows, look(urls[0]).sequences), ({}, {}))
        self.assertEqual(report.ran, 2)
        self.assertEqual({name.split()[0] for name, _ in report.problems}, {"test_1_refused"})
        self.assertIsInstance(report.problems[0][1], SandboxConflict)
        return "\n".join(report.messages)

    def test_two_phase(self) -> None:
        """A two-phase transaction is refused when it begins."""

        def code(test: Any) -> None:
            with test.engine.connect() as connection, connection.begin_twophase():
                test.add(connection, "bob")

        self.assertEqual(self.refused(code), "?")

    def test_two_phase_session(self) -> None:
        """So is a session's."""

        def code(test: Any) -> None:
            with Session(test.engine, twophase=True) as session:
                session.add(test.shop.User(name="bob"))
                session.commit()

        self.assertEqual(self.refused(code), "?")

    def write_beneath(self, test: Any) -> None:
        with test.engine.connect() as below:
            test.add(below, "bob")
            with test.engine.begin() as above:
                above.execute(insert(test.shop.Invitation.__table__).values(user_id=None))
            below.rollback()
            with test.engine.connect() as connection:
                connection.execute(select(test.shop.Invitation.__table__)).all()

    def test_rollback_beneath_committed_work(self) -> None:
        """A writer that rolls back beneath another's committed work: the next statement says so."""
        self.assertEqual(self.refused(self.write_beneath), "?")

    def test_rollback_beneath_that_nobody_looks_at(self) -> None:
        """Where no statement follows, nobody was misled."""

        def code(test: Any) -> None:
            with test.engine.connect() as below:
                test.add(below, "bob")
                with test.engine.begin() as above:
                    above.execute(insert(test.shop.Invitation.__table__).values(user_id=None))
                below.rollback()
            raise SandboxConflict("reached the end")

        self.assertEqual(self.refused(code), "SandboxConflict: reached the end")

    def test_conflict_that_is_swallowed(self) -> None:
        """A conflict that the tested code swallows fails its test all the same."""

        def code(test: Any) -> None:
            with contextlib.suppress(Exception):
                self.write_beneath(test)

        self.assertEqual(self.refused(code), "?")

    def test_serializable_beside_a_commit(self) -> None:
        """Another's commit between two statements at a higher isolation level is refused."""

        def code(test: Any) -> None:
            with test.engine.connect() as connection:
                reader = connection.execution_options(isolation_level="SERIALIZABLE")
                users = select(test.shop.User.__table__)
                reader.execute(users).all()
                with test.engine.begin() as writer:
                    test.add(writer, "bob")
                reader.execute(users).all()

        self.assertEqual(self.refused(code), "?")

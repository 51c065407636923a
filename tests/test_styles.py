"""Every style of application code, over every kind of app, on every kind of database.

The same tests are run twice: with real commits on real connections, which says what is right, and
as the tests of a ``DatabaseTestCase``. The judge is a connection that knows nothing of either.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import tempfile
import unittest
import warnings
from collections.abc import Callable, Iterator
from typing import Any, ClassVar
from unittest import mock

import psycopg2
from sqlalchemy import Connection, MetaData, create_engine, delete, insert, select
from sqlalchemy.orm import Session

from dbtestcase import DatabaseTestCase, embedded
from dbtestcase.errors import DatabaseTestWarning, SandboxConflict
from dbtestcase.sandbox.postgresql import visitors

from .apps import kinds, styles
from .support import Content, connect_past_sqlalchemy, look, look_through, no_settings, run

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
    last_test: ClassVar[str]
    """Says whether the tables may have changed; none was before the first, which makes them."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.last_test = "test_create_table"
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

    def fill(self, connection: Connection, metadata: MetaData) -> None:
        """Make a database have a metadata's tables, all empty."""
        if hasattr(styles.SchemaStyles, self.last_test):
            found = MetaData()
            found.reflect(connection)
            found.drop_all(connection)
            metadata.create_all(connection)
        elif connection.dialect.name == "postgresql":
            names = ", ".join(metadata.tables)
            connection.exec_driver_sql(f"TRUNCATE {names} RESTART IDENTITY")
        else:
            for table in reversed(metadata.sorted_tables):
                connection.execute(delete(table))

    def setUp(self) -> None:
        self.client = self.app.test_client() if self.has_requests else None
        self.addCleanup(self.let_go)
        metadatas = {None: self.shop.User.metadata}
        if self.has_binds:
            metadatas["audit"] = self.shop.AuditEntry.metadata
        for key, metadata in metadatas.items():
            engine = create_engine(self.database_urls[key])
            with engine.begin() as connection:
                self.fill(connection, metadata)
                if key is None and isinstance(self, styles.WithAlice):
                    connection.execute(insert(self.shop.User.__table__).values(name="alice"))
            engine.dispose()
        super().setUp()

    def let_go(self) -> None:
        type(self).last_test = self._testMethodName
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
            try:
                for url in urls.values():
                    cursor.execute(f"CREATE DATABASE {url.database}")
                yield {k: url.render_as_string(hide_password=False) for k, url in urls.items()}
            finally:
                for url in urls.values():
                    cursor.execute(f"DROP DATABASE IF EXISTS {url.database} WITH (FORCE)")


class RealFile(Real):
    @classmethod
    @contextlib.contextmanager
    def scratch_databases(cls) -> Iterator[dict[str | None, str]]:
        with tempfile.TemporaryDirectory() as directory:
            yield {
                None: f"sqlite:///{directory}/shop_test.db",
                "audit": f"sqlite:///{directory}/audit_test.db",
            }


class RealMemory(Real):
    places: ClassVar[dict[str | None, str]] = {
        None: "file:/real_styles?vfs=memdb",
        "audit": "file:/real_styles_audit?vfs=memdb",
    }

    @classmethod
    @contextlib.contextmanager
    def scratch_databases(cls) -> Iterator[dict[str | None, str]]:
        with contextlib.ExitStack() as stack:
            for name in cls.places.values():
                # a database in memory lives as long as a connection to it
                stack.enter_context(contextlib.closing(sqlite3.connect(name, uri=True)))
            yield {key: f"sqlite:///{name}&uri=true" for key, name in cls.places.items()}


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


class TestFactoryOnRealFile(
    RealFile,
    kinds.FlaskSQLAlchemyFactory,
    styles.WithAlice,
    WithBinds,
    styles.SQLiteStyles,
    unittest.TestCase,
):
    """What is right for a Flask-SQLAlchemy app on SQLite."""


class TestForeignKeysOnRealFile(
    RealFile, kinds.PlainWithForeignKeys, styles.WithAlice, styles.DeferredStyles, unittest.TestCase
):
    """What is right for a program that makes SQLite check foreign keys."""


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
    """What may stand in the databases while the class runs; one is filled at its first contact."""
    judged: ClassVar[dict[str | None, str]]

    @classmethod
    def setUpClass(cls) -> None:
        cls.judged = {}
        # registered before anything of the library: it is called when the class has ended
        cls.addClassCleanup(cls.judge_class)
        cls.enterClassContext(no_settings())
        cls.enterClassContext(warnings.catch_warnings())
        warnings.simplefilter("error", DatabaseTestWarning)
        # or the judge may come before the end of a test that was quick
        cls.enterClassContext(mock.patch.multiple(visitors, CONNECTING=0, PATIENCE=0))
        super().setUpClass()
        cls.judged = {key: cls.database_urls[key] for key in cls.bind_keys()}
        # closed before the class ends, which ends strangers
        cls.judges: dict[str, Any] = {}
        cls.addClassCleanup(lambda: [judge.close() for judge in cls.judges.values()])

    def look(self, url: str) -> Content:
        if url.startswith("sqlite"):
            return look(url)
        try:
            return look_through(self.judges[url])
        except (KeyError, psycopg2.OperationalError, psycopg2.InterfaceError):
            # a database may be made, or replaced, until its first contact
            try:
                self.judges[url] = connect_past_sqlalchemy(url).thing
            except psycopg2.OperationalError as error:
                if "does not exist" in str(error):
                    return Content()
                raise
            return look_through(self.judges[url])

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
            content = self.look(url)
            self.assertEqual(content.rows, {})
            if not content.locked:
                self.assertLessEqual(content.tables, self.found_tables[key])
            # in memory the lock may be that of what the class wrote
            self.assertFalse(content.locked and self.postgresql)
            alice = "users" in content.tables and isinstance(self, styles.WithAlice)
            used = {"users_id_seq": 1} if alice and self.postgresql else {}
            self.assertEqual(content.sequences, used)

    def assert_visible_to_others(self, table: str, rows: list[Any]) -> None:
        for url in self.judged.values():
            self.assertEqual(self.look(url).rows, {})


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


class InNamedDatabase(Sandboxed, styles.PostgreSQLStyles):
    """A database that a URL names: it is taken as it is, so the schema is in nobody's sight."""

    import_url = OnPostgreSQL.import_url
    found_tables: ClassVar[dict[str | None, set[str]]] = {None: set(), "audit": set()}

    @classmethod
    def setUpClass(cls) -> None:
        cls.database = cls.enterClassContext(RealPostgreSQL.scratch_databases())
        super().setUpClass()

    def test_ids(self) -> None:
        """Ids go on from test to test: the sequences of such a database are not put back."""
        with self.engine_in_use.begin() as connection:
            added = connection.execute(self.add("bob")).inserted_primary_key
        self.assertGreater(added[0], len(self.before))


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


class TestFactoryInNamedDatabase(
    InNamedDatabase, kinds.FlaskSQLAlchemyFactory, styles.WithAlice, WithBinds, DatabaseTestCase
):
    """A Flask-SQLAlchemy app from a factory, in two databases that are named."""


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


class TestPlainInNamedDatabase(InNamedDatabase, kinds.Plain, Everywhere, DatabaseTestCase):
    """A program without Flask, in a database that is named."""


class TestPlainInMemory(InMemory, kinds.Plain, styles.WithAlice, Everywhere, DatabaseTestCase):
    """A program without Flask, in memory."""


class TestPlainInMemoryWithoutData(InMemory, kinds.Plain, Everywhere, DatabaseTestCase):
    """The same in a class without data."""


class TestForeignKeysInMemory(
    InMemory,
    kinds.PlainWithForeignKeys,
    styles.WithAlice,
    styles.ORMStyles,
    styles.DeferredStyles,
    DatabaseTestCase,
):
    """A program that makes SQLite check foreign keys, in memory."""


class TestForeignKeysInFile(
    InFile,
    kinds.PlainWithForeignKeys,
    styles.WithAlice,
    styles.ORMStyles,
    styles.DeferredStyles,
    DatabaseTestCase,
):
    """A program that makes SQLite check foreign keys, in a file."""


class TestForeignKeysInFileWithoutData(
    InFile, kinds.PlainWithForeignKeys, styles.DeferredStyles, DatabaseTestCase
):
    """The same in a class without data."""


class TestPlainInFile(InFile, kinds.Plain, styles.WithAlice, Everywhere, DatabaseTestCase):
    """A program without Flask, in a file."""


class TestPlainInFileWithoutData(InFile, kinds.Plain, Everywhere, DatabaseTestCase):
    """The same in a class without data."""


# -- what is refused -------------------------------------------------------------------------------


class TestRefusals(unittest.TestCase):
    """What one connection cannot show ends in an error, and the next test is not disturbed."""

    maxDiff = None

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
        self.assertEqual({type(error) for _, error in report.problems}, {SandboxConflict})
        messages = {re.sub(r"(?<=test_styles.py:)\d+", "LINE", each) for each in report.messages}
        self.assertEqual(len(messages), 1)
        return messages.pop()

    def test_two_phase(self) -> None:
        """A two-phase transaction is refused when it begins."""

        def code(test: Any) -> None:
            with test.engine.connect() as connection, connection.begin_twophase():
                test.add(connection, "bob")

        self.assertEqual(
            self.refused(code),
            "SandboxConflict: two-phase transactions cannot be played in a sandbox: a prepared "
            "transaction outlives its connection, and nothing may outlive the test. Test this code "
            "on real connections: in a unittest.TestCase, on a database of its own.",
        )

    def test_two_phase_session(self) -> None:
        """So is a session's."""

        def code(test: Any) -> None:
            with Session(test.engine, twophase=True) as session:
                session.add(test.shop.User(name="bob"))
                session.commit()

        self.assertEqual(
            self.refused(code),
            "SandboxConflict: two-phase transactions cannot be played in a sandbox: a prepared "
            "transaction outlives its connection, and nothing may outlive the test. Test this code "
            "on real connections: in a unittest.TestCase, on a database of its own.",
        )

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
        self.assertEqual(
            self.refused(self.write_beneath),
            "SandboxConflict: connection 1 (its transaction began at tests/test_styles.py:LINE) "
            "rolled back what it had written, but above it lies work of connection 2 (its "
            "transaction began at tests/test_styles.py:LINE), which committed it. The rollback was "
            "called at tests/test_styles.py:LINE. On one connection the one cannot be undone "
            "without the other. Let the transactions end in the order in which they wrote, or test "
            "this code on real connections: in a unittest.TestCase, on a database of its own.",
        )

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

        self.assertEqual(
            self.refused(code),
            "SandboxConflict: connection 1 (its transaction began at tests/test_styles.py:LINE) "
            "rolled back what it had written, but above it lies work of connection 2 (its "
            "transaction began at tests/test_styles.py:LINE), which committed it. The rollback was "
            "called at tests/test_styles.py:LINE. On one connection the one cannot be undone "
            "without the other. Let the transactions end in the order in which they wrote, or test "
            "this code on real connections: in a unittest.TestCase, on a database of its own.",
        )

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

        self.assertEqual(
            self.refused(code),
            "SandboxConflict: connection 1 (its transaction began at tests/test_styles.py:LINE) "
            "is SERIALIZABLE, and connection 2 (its transaction began at "
            "tests/test_styles.py:LINE) has committed since it began. One connection cannot show "
            "the old snapshot. End the first transaction before the other commits, or test this "
            "code on real connections: in a unittest.TestCase, on a database of its own.",
        )

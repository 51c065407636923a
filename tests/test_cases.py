"""What a class that derives from ``DatabaseTestCase`` can rely on."""

from __future__ import annotations

import contextlib
import linecache
import os
import re
import threading
import time
import unittest
from typing import Any, ClassVar
from unittest import mock

import click
import psycopg2
from flask import Flask, current_app, g, has_app_context
from sqlalchemy import Engine, create_engine, insert, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from dbtestcase import DatabaseTestCase, MetadataSchema, embedded, requires
from dbtestcase.errors import SetUpError, UncommittedDataWarning

from .apps import flask_sqlalchemy_factory, load, plain
from .apps.flask_sqlalchemy_factory import AuditEntry, Post, User, db
from .support import (
    Project,
    Report,
    connect_past_sqlalchemy,
    look,
    no_settings,
    run,
    without_lines,
)

PRODUCTION = "postgresql+psycopg2://shop:secret@db.shop.example/shop"
users = plain.User.__table__


def setUpModule() -> None:
    unittest.enterModuleContext(no_settings())


class Shop(DatabaseTestCase):
    """A Flask-SQLAlchemy app, whose tests are written in each test below."""

    database = "postgresql"
    made: ClassVar[list[Flask]] = []

    @classmethod
    def create_app(cls) -> Flask:
        app = flask_sqlalchemy_factory.create_app(
            {"SQLALCHEMY_DATABASE_URI": cls.database_url, "COLOR": "red"}
        )
        cls.made.append(app)
        return app


class Plain(DatabaseTestCase):
    """A program without Flask."""

    database = "postgresql"
    schema = MetadataSchema(plain.Base.metadata)


class CaseTest(unittest.TestCase):
    """Runs the classes that a test defines."""

    maxDiff = None
    database = "postgresql"

    def setUp(self) -> None:
        Shop.made = []
        for case in (Shop, Plain):
            self.enterContext(mock.patch.object(case, "database", self.database))

    def assert_passed(self, *classes: type[unittest.TestCase]) -> Report:
        report = run(*classes)
        self.assertEqual(report.messages, [])
        self.assertEqual([str(warning.message) for warning in report.warned], [])
        self.assertGreater(report.ran, 0)
        return report

    def assert_problems(self, *messages: str, of: type[unittest.TestCase]) -> Report:
        report = run(of)
        self.assertEqual(report.messages, list(messages))
        return report


class TestSetUp(CaseTest):
    """What surrounds a test is there whatever its author forgets to call."""

    def test_super_of_set_up_is_not_needed(self) -> None:
        """A forgotten super().setUp() or super().tearDown() harms nobody."""
        seen = []

        class Forgetful(Shop):
            def setUp(self) -> None:
                db.session.add(User(name="bob"))
                db.session.commit()

            def tearDown(self) -> None:
                seen.append(list(db.session.scalars(select(User.id))))

            def test_1(self) -> None:
                self.assertEqual(self.client.get("/users").json, ["bob"])

            def test_2(self) -> None:
                self.assertEqual(self.client.get("/users").json, ["bob"])

        self.assert_passed(Forgetful)
        self.assertEqual(seen, [[1], [1]])

    def test_forgotten_super_of_set_up_class(self) -> None:
        """A forgotten super().setUpClass() is an error in each test, and the next class runs."""

        class Forgetful(Shop):
            @classmethod
            def setUpClass(cls) -> None:
                pass

            def test_1(self) -> None:
                raise AssertionError("not reached")

            def test_2(self) -> None:
                raise AssertionError("not reached")

        message = (
            "SetUpError: Forgetful.setUpClass() does not call super().setUpClass(), so there is no "
            "database for its tests. Make it the first line of Forgetful.setUpClass()."
        )
        self.assert_problems(message, message, of=Forgetful)
        self.assert_passed(self.class_that_adds_bob())

    def test_forgotten_super_of_a_subclass(self) -> None:
        """It is noticed in a subclass of a class that remembers, too."""

        class Base(Shop):
            @classmethod
            def setUpClass(cls) -> None:
                super().setUpClass()

            def test_it(self) -> None:
                pass

        class Forgetful(Base):
            @classmethod
            def setUpClass(cls) -> None:
                pass

        report = run(Base, Forgetful)
        self.assertEqual(len(report.messages), 1)
        self.assertIn("Forgetful.setUpClass() does not call super()", report.messages[0])

    def class_that_adds_bob(self) -> type[DatabaseTestCase]:
        class Adding(Shop):
            def test_it(self) -> None:
                bob = User(name="bob")
                db.session.add(bob)
                db.session.commit()
                self.assertEqual(bob.id, 1)

        return Adding

    def test_set_up_class_that_fails(self) -> None:
        """What setUpClass did before it raised is undone, and the next class runs."""

        class Failing(Shop):
            @classmethod
            def setUpClass(cls) -> None:
                super().setUpClass()
                urls.append(cls.database_url)
                db.session.add(User(name="bob"))
                db.session.commit()
                raise ZeroDivisionError("in setUpClass")

            def test_it(self) -> None:
                raise AssertionError("not reached")

        urls: list[str] = []
        self.assert_problems("ZeroDivisionError: in setUpClass", of=Failing)
        self.assertFalse(has_app_context())
        self.assertEqual((look(urls[0]).rows, look(urls[0]).sequences), ({}, {}))
        self.assert_passed(self.class_that_adds_bob())

    def test_set_up_that_fails(self) -> None:
        """What setUp did before it raised is undone."""

        class Failing(Shop):
            def setUp(self) -> None:
                self.assertEqual(db.session.scalars(select(User)).all(), [])
                db.session.add(User(name="bob"))
                db.session.commit()
                raise ZeroDivisionError("in setUp")

            def test_1(self) -> None:
                raise AssertionError("not reached")

            def test_2(self) -> None:
                raise AssertionError("not reached")

        message = "ZeroDivisionError: in setUp"
        self.assert_problems(message, message, of=Failing)

    def test_outcomes_of_unittest(self) -> None:
        """Skips, expected failures and subtests work as ever."""

        class Mixed(Shop):
            def test_skip(self) -> None:
                self.skipTest("not today")

            @unittest.skip("never")
            def test_skip_by_decorator(self) -> None:
                raise AssertionError("not reached")

            @unittest.expectedFailure
            def test_expected_failure(self) -> None:
                db.session.add(User(name="bob"))
                db.session.commit()
                self.fail("as expected")

            def test_subtests(self) -> None:
                for name in ("bob", "carol"):
                    with self.subTest(name):
                        db.session.add(User(name=name))
                        db.session.commit()
                        self.fail(name)
                self.assertEqual(db.session.scalars(select(User.id)).all(), [1, 2])

        report = run(Mixed)
        self.assertEqual(report.messages, ["AssertionError: bob", "AssertionError: carol"])
        self.assertEqual([reason for _, reason in report.skipped], ["not today", "never"])

    def test_debug(self) -> None:
        """``debug()`` surrounds a test as ``run()`` does."""

        class Debugged(Shop):
            def test_it(self) -> None:
                db.session.add(User(name="bob"))
                db.session.commit()
                ids.append(db.session.scalars(select(User.id)).one())

        ids: list[int] = []
        suite = unittest.defaultTestLoader.loadTestsFromTestCase(Debugged)
        suite.debug()
        suite = unittest.defaultTestLoader.loadTestsFromTestCase(Debugged)
        suite.debug()
        self.assertEqual(ids, [1, 1])

    def test_async_tests(self) -> None:
        """With IsolatedAsyncioTestCase the app context is there where the test runs."""

        class Asynchronous(Shop, unittest.IsolatedAsyncioTestCase):
            async def asyncSetUp(self) -> None:
                db.session.add(User(name="bob"))
                db.session.commit()

            async def test_1(self) -> None:
                self.assertEqual(db.session.scalars(select(User.id)).all(), [1])
                self.assertEqual(self.client.get("/users").json, ["bob"])

            async def test_2(self) -> None:
                self.assertEqual(db.session.scalars(select(User.id)).all(), [1])

        self.assert_passed(Asynchronous)

    def test_mixin_right_of_test_case(self) -> None:
        """A mixin that unittest would silently never run is refused where the class is made."""
        from dbtestcase import EngineMixin

        with self.assertRaises(SetUpError) as caught:
            type("Misplaced", (unittest.TestCase, EngineMixin), {})
        self.assertEqual(
            str(caught.exception),
            "Misplaced has EngineMixin to the right of TestCase, where unittest would silently "
            "never run it. Write the mixins first: "
            "class Misplaced(EngineMixin, unittest.TestCase).",
        )


class TestSetUpInMemory(TestSetUp):
    """The same on SQLite in memory."""

    database = "sqlite"


class TestClassData(CaseTest):
    """``setUpTestData`` runs once, and its objects are new in each test."""

    def test_objects_are_new_in_each_test(self) -> None:
        """A test that changes or deletes the class's objects does so for itself."""
        calls = []

        class WithData(Shop):
            @classmethod
            def setUpTestData(cls) -> None:
                calls.append(cls)
                cls.alice = User(name="alice")
                cls.everybody = [cls.alice, User(name="bob")]
                db.session.add_all(cls.everybody)
                db.session.commit()

            def check(self) -> None:
                self.assertEqual((self.alice.id, self.alice.name), (1, "alice"))
                self.assertEqual([user.name for user in self.everybody], ["alice", "bob"])
                self.assertIs(self.everybody[0], self.alice)
                self.assertIn(self.alice, db.session)
                self.alice.name = "changed"
                db.session.delete(self.everybody.pop())
                db.session.commit()
                self.assertEqual(self.client.get("/users").json, ["changed"])
                carol = User(name="carol")
                db.session.add(carol)
                db.session.commit()
                # SQLite gives the id of a deleted row anew
                self.assertEqual(carol.id, 2 if self.database == "sqlite" else 3)

            test_1 = test_2 = check

        self.assert_passed(WithData)
        self.assertEqual(calls, [WithData])

    def test_session_of_the_class(self) -> None:
        """``cls.session`` is there for setUpTestData, and not for the class afterwards."""

        class WithData(Plain):
            @classmethod
            def setUpTestData(cls) -> None:
                cls.alice = plain.User(name="alice")
                cls.session.add(cls.alice)
                cls.session.commit()

            def test_it(self) -> None:
                self.assertEqual(self.alice.name, "alice")
                self.assertIn(self.alice, self.session)

        self.assert_passed(WithData)

    def test_set_up_test_data_that_fails(self) -> None:
        """Its error is the class's, nothing of it is left, and the next class runs."""

        class Failing(Shop):
            @classmethod
            def setUpTestData(cls) -> None:
                urls.append(cls.database_url)
                db.session.add(User(name="alice"))
                db.session.commit()
                raise ZeroDivisionError("in setUpTestData")

            def test_it(self) -> None:
                raise AssertionError("not reached")

        class Next(Shop):
            def test_it(self) -> None:
                self.assertEqual(self.client.get("/users").json, [])

        urls: list[str] = []
        self.assert_problems("ZeroDivisionError: in setUpTestData", of=Failing)
        self.assertEqual((look(urls[0]).rows, look(urls[0]).sequences), ({}, {}))
        self.assert_passed(Next)

    def test_inherited_data(self) -> None:
        """A subclass has its own copy of what its base class sets up."""

        class Base(Shop):
            @classmethod
            def setUpTestData(cls) -> None:
                cls.alice = User(name="alice")
                db.session.add(cls.alice)
                db.session.commit()

            def test_it(self) -> None:
                self.assertEqual((self.alice.id, self.alice.name), (1, "alice"))

        class Derived(Base):
            @classmethod
            def setUpTestData(cls) -> None:
                super().setUpTestData()
                cls.post = Post(title="hello", user_id=cls.alice.id)
                db.session.add(cls.post)
                db.session.commit()

            def test_post(self) -> None:
                self.assertEqual((self.post.id, self.post.user_id), (1, self.alice.id))

        self.assert_passed(Base, Derived, Base)


class TestClassDataInMemory(TestClassData):
    """The same on SQLite in memory."""

    database = "sqlite"


class TestApp(CaseTest):
    """The app of a class."""

    production = PRODUCTION

    def test_create_app_is_called_once_per_class(self) -> None:
        """All tests of a class have the same app; a subclass has its own."""

        class First(Shop):
            @classmethod
            def setUpTestData(cls) -> None:
                db.session.add(User(name="alice"))
                db.session.commit()

            def check(self) -> None:
                self.assertIs(self.app, self.made[-1])
                self.assertIs(current_app._get_current_object(), self.app)

            test_1 = test_2 = check

        class Second(First):
            pass

        self.assert_passed(First, Second)
        self.assertEqual(len(Shop.made), 2)

    def test_app_for_each_test(self) -> None:
        """With app_scope "test" each test has an app of its own, and what it seeded is undone."""

        class PerTest(Shop):
            app_scope = "test"

            @classmethod
            def create_app(cls) -> Flask:
                app = super().create_app()
                with app.app_context():
                    db.create_all(None)
                    db.session.add(User(name="seed"))
                    db.session.commit()
                return app

            def check(self) -> None:
                self.assertIs(self.app, self.made[-1])
                self.assertEqual(self.client.get("/users").json, ["seed"])
                self.assertEqual(db.session.scalars(select(User.id)).all(), [1])

            test_1 = test_2 = test_3 = check

        self.assert_passed(PerTest)
        self.assertEqual(len(set(map(id, Shop.made))), 3)

    def test_app_for_each_test_with_class_data(self) -> None:
        """Where setUpTestData is overridden, it has an app as well."""

        class PerTest(Shop):
            app_scope = "test"

            @classmethod
            def setUpTestData(cls) -> None:
                cls.alice = User(name="alice")
                db.session.add(cls.alice)
                db.session.commit()

            def check(self) -> None:
                self.assertEqual(self.alice.name, "alice")
                self.assertEqual(self.client.get("/users").json, ["alice"])

            test_1 = test_2 = check

        self.assert_passed(PerTest)
        self.assertEqual(len(Shop.made), 3)

    def test_seeding_create_app(self) -> None:
        """What create_app commits is the class's, and undone with it."""

        class Seeded(Shop):
            @classmethod
            def create_app(cls) -> Flask:
                app = super().create_app()
                with app.app_context():
                    db.create_all(None)
                    db.session.add(User(name="seed"))
                    db.session.commit()
                return app

            def check(self) -> None:
                self.assertEqual(self.client.get("/users").json, ["seed"])
                self.client.post("/users", data={"name": "bob"})
                self.assertEqual(db.session.scalars(select(User.id)).all(), [1, 2])

            test_1 = test_2 = check

        class Next(Shop):
            def test_it(self) -> None:
                self.assertEqual(self.client.get("/users").json, [])
                self.client.post("/users", data={"name": "bob"})
                self.assertEqual(db.session.scalars(select(User.id)).all(), [1])

        self.assert_passed(Seeded, Next, Seeded)

    def test_config_is_put_back(self) -> None:
        """What a test does to the app's configuration is undone after it."""

        class Configured(Shop):
            def check(self) -> None:
                self.assertEqual(self.app.config["COLOR"], "red")
                self.assertNotIn("SIZE", self.app.config)
                self.app.config.update(COLOR="blue", SIZE=3)
                self.app.testing = True

            test_1 = test_2 = check

            @classmethod
            def tearDownClass(cls) -> None:
                states.append((cls.app.config["COLOR"], cls.app.testing))
                cls.app.config["COLOR"] = "green"
                super().tearDownClass()

        states: list[Any] = []
        self.assert_passed(Configured)
        self.assertEqual(states, [("red", False)])

    def test_class_attribute_app(self) -> None:
        """``app = Flask(...)`` stands for create_app, and is put back after the class."""
        module = load("module_level_app", self.production)
        module.app.config["COLOR"] = "red"
        before = dict(module.app.config)
        wsgi_app = module.app.wsgi_app
        with module.app.app_context():
            pool = module.db.engine.pool

        class WithApp(DatabaseTestCase):
            database = self.database
            app = module.app

            def test_it(self) -> None:
                self.app.config["COLOR"] = "blue"
                self.client.post("/users", data={"name": "bob"})
                self.assertEqual(module.db.session.scalars(select(module.User.id)).all(), [1])

            @classmethod
            def setUpClass(cls) -> None:
                super().setUpClass()
                cls.app.config["SIZE"] = 3

        class Derived(WithApp):
            pass

        self.assert_passed(WithApp, Derived, WithApp)
        self.assertIs(WithApp.app, module.app)
        self.assertEqual(dict(module.app.config), before)
        self.assertEqual(module.app.wsgi_app, wsgi_app)
        with module.app.app_context():
            engine = module.db.engine
        self.assertIs(type(engine.pool), type(pool))
        self.assertEqual(engine.url.render_as_string(hide_password=False), self.production)
        with self.assertRaisesRegex(OperationalError, "shop.example|unable to open database file"):
            engine.connect()

    def test_class_attribute_app_on_a_subclass(self) -> None:
        """An app on a subclass goes before the base's create_app, and the other way round."""
        module = load("module_level_app", self.production)

        class WithApp(Shop):
            app = module.app

            def test_it(self) -> None:
                self.assertIs(current_app._get_current_object(), module.app)

        class WithFactory(WithApp):
            create_app = Shop.__dict__["create_app"]

            def test_it(self) -> None:
                self.assertIs(current_app._get_current_object(), self.made[-1])

        self.assert_passed(WithApp, WithFactory)
        self.assertEqual(len(Shop.made), 1)

    def test_without_pushed_context(self) -> None:
        """With push_app_context = False there is no app context in a test."""

        class Contextless(Shop):
            push_app_context = False

            def test_it(self) -> None:
                self.assertFalse(has_app_context())
                self.client.post("/users", data={"name": "bob"})
                with self.app.app_context():
                    self.assertEqual(db.session.scalars(select(User.id)).all(), [1])

        self.assert_passed(Contextless)


class TestAppInMemory(TestApp):
    """The same on SQLite in memory, where the module-level app has a URL of its kind."""

    database = "sqlite"
    production = "sqlite:////srv/shop.example/shop.db"


class TestClientAndSession(CaseTest):
    """What is given to a test."""

    def test_client_is_new_in_each_test(self) -> None:
        """Cookies of one test are not there in the next."""

        class WithClient(Shop):
            def check(self) -> None:
                self.assertIs(self.client, self.client)
                self.assertIsNone(self.client.get_cookie("visited"))
                self.client.set_cookie("visited", "yes")

            test_1 = test_2 = check

        self.assert_passed(WithClient)

    def test_context_is_new_in_each_test(self) -> None:
        """``g`` starts empty in each test, and a request has its own."""

        class WithContext(Shop):
            def check(self) -> None:
                self.assertNotIn("token", g)
                g.token = "secret"
                with self.client:
                    self.client.get("/users")
                    self.assertNotIn("token", g)
                self.assertEqual(g.token, "secret")

            test_1 = test_2 = check

        self.assert_passed(WithContext)

    def test_session_of_flask_sqlalchemy(self) -> None:
        """``self.session`` is the one that the app's own code has in this context."""

        class WithSession(Shop):
            def test_it(self) -> None:
                self.assertIs(self.session, db.session())
                self.session.add(User(name="bob"))
                self.session.commit()
                self.assertEqual(self.client.get("/users").json, ["bob"])

        self.assert_passed(WithSession)

    def test_session_without_flask(self) -> None:
        """``self.session`` is bound to ``self.engine``, new in each test and closed after it."""
        sessions: list[Session] = []

        class WithSession(Plain):
            def check(self) -> None:
                self.assertIs(self.session, self.session)
                self.assertNotIn(self.session, sessions)
                self.assertIs(self.session.get_bind(), self.engine)
                sessions.append(self.session)
                bob = plain.User(name="bob")
                self.session.add(bob)
                self.session.flush()
                self.assertEqual(bob.id, 1)

            test_1 = test_2 = check

        self.assert_passed(WithSession)
        self.assertEqual([list(session) for session in sessions], [[], []])
        self.assertFalse(any(session.in_transaction() for session in sessions))

    def test_names_that_users_overwrite(self) -> None:
        """The library reads references of its own, whatever a test stores under its names."""

        class Overwriting(Shop):
            @classmethod
            def setUpTestData(cls) -> None:
                cls.alice = User(name="alice")
                db.session.add(cls.alice)
                db.session.commit()

            def setUp(self) -> None:
                self.client = self.app.test_client()
                self.app = self.client
                self.session = self.engine = "mine"

            def check(self) -> None:
                self.assertEqual(self.alice.name, "alice")
                self.assertEqual(self.app.get("/users").json, ["alice"])
                self.app.post("/users", data={"name": "bob"})
                self.assertEqual(db.session.scalars(select(User.id)).all(), [1, 2])

            test_1 = test_2 = check

        class OverwritingTheClass(Overwriting):
            @classmethod
            def setUpClass(cls) -> None:
                super().setUpClass()
                cls.app = cls.app.test_client()
                cls.client = cls.session = cls.engine = "mine"

            def setUp(self) -> None:
                pass

        self.assert_passed(Overwriting, OverwritingTheClass, Overwriting)

    def test_command_of_the_app(self) -> None:
        """A command has contexts and a session of its own, as from a shell."""

        class WithCommand(Shop):
            @classmethod
            def create_app(cls) -> Flask:
                app = super().create_app()

                @app.cli.command("add")
                @click.argument("name")
                @click.option("--commit", is_flag=True)
                def add(name: str, commit: bool) -> None:
                    db.session.add(User(name=name))
                    db.session.flush()
                    if commit:
                        db.session.commit()
                    click.echo(f"added {name}")

                return app

            def check(self) -> None:
                runner = self.app.test_cli_runner()
                result = runner.invoke(args=["add", "--commit", "bob"])
                self.assertEqual((result.exit_code, result.output), (0, "added bob\n"))
                result = runner.invoke(args=["add", "carol"])
                self.assertEqual((result.exit_code, result.output), (0, "added carol\n"))
                self.assertEqual(list(db.session.scalars(select(User.name))), ["bob"])

            test_1 = test_2 = check

        self.assert_passed(WithCommand)

    def test_request_beside_uncommitted_writes(self) -> None:
        """A request that is made while the test holds uncommitted writes warns."""

        class Forgetting(Shop):
            def test_it(self) -> None:
                db.session.add(User(name="bob"))
                db.session.flush()
                self.app.add_url_rule("/ping", view_func=lambda: "pong")
                self.assertEqual(self.client.get("/ping").text, "pong")

        report = run(Forgetting)
        self.assertEqual(report.messages, [])
        self.assertEqual([each.category for each in report.warned], [UncommittedDataWarning])
        self.assertEqual(report.warned[0].filename, __file__)  # and not Werkzeug's
        self.assertEqual(
            re.sub(r"(?<=test_cases.py:)\d+", "LINE", str(report.warned[0].message)),
            "a request is made at tests/test_cases.py:LINE while connection 1 (its transaction "
            "began at tests/test_cases.py:LINE) holds data that is not committed: on real "
            "connections the request, which has a connection of its own, would not see it, or "
            "would wait for its locks. Commit it before the request.",
        )
        line = linecache.getline(report.warned[0].filename, report.warned[0].lineno)
        self.assertIn('self.client.get("/ping")', line)

    def test_request_reads_anew(self) -> None:
        """After a request the test's objects show what the database holds."""

        class Renaming(Shop):
            def test_it(self) -> None:
                @self.app.post("/rename")
                def rename() -> str:
                    db.session.scalars(select(User)).one().name = "robert"
                    db.session.commit()
                    return ""

                bob = User(name="bob")
                db.session.add(bob)
                db.session.commit()
                self.assertEqual(bob.name, "bob")
                self.client.post("/rename")
                self.assertEqual(bob.name, "robert")

        self.assert_passed(Renaming)


class TestClientAndSessionInMemory(TestClientAndSession):
    """The same on SQLite in memory."""

    database = "sqlite"


class TestEngines(CaseTest):
    """The engines of a class."""

    def test_default_engine(self) -> None:
        """Without create_engine and create_app there is an engine for ``database_url``."""

        class Default(Plain):
            def test_it(self) -> None:
                self.assertEqual(
                    self.engine.url.render_as_string(hide_password=False), self.database_url
                )
                self.assertEqual(self.engine.url.drivername, "postgresql+psycopg2")
                self.assertIs(self.engines[None], self.engine)
                self.assertIs(type(self).engine, self.engine)

        self.assert_passed(Default)

    def test_engine_made_at_import(self) -> None:
        """create_engine may return an engine whose own URL is never contacted."""
        engine = create_engine(PRODUCTION, pool_size=1, max_overflow=0)
        pool = engine.pool

        class Imported(Plain):
            @classmethod
            def create_engine(cls) -> Engine:
                return engine

            def test_it(self) -> None:
                self.assertIs(self.engine, engine)
                with engine.connect() as first, engine.begin() as second:
                    first.execute(select(users)).all()
                    second.execute(insert(users).values(name="bob"))

        self.assert_passed(Imported, Imported)
        self.assertIs(type(engine.pool), type(pool))
        self.assertEqual((engine.pool.size(), engine.pool._max_overflow), (1, 0))
        with self.assertRaisesRegex(OperationalError, "db.shop.example"):
            engine.connect()

    def test_mapping_of_bind_keys(self) -> None:
        """create_engine may return an engine for each bind key."""

        class Mapped(DatabaseTestCase):
            database = "postgresql"
            schema = {
                None: MetadataSchema(plain.Base.metadata),
                "audit": MetadataSchema(AuditEntry.metadata),
            }

            @classmethod
            def create_engine(cls) -> dict[str | None, Engine]:
                return {
                    None: create_engine(cls.database_url),
                    "audit": create_engine(cls.database_urls["audit"]),
                }

            def check(self) -> None:
                self.assertNotEqual(self.database_urls["audit"], self.database_url)
                self.assertEqual(self.database_urls[None], self.database_url)
                entries = AuditEntry.__table__
                with self.engines["audit"].begin() as audit, self.engine.begin() as connection:
                    added = audit.execute(insert(entries).values(action="sign-up"))
                    self.assertEqual(added.inserted_primary_key, (1,))
                    connection.execute(insert(users).values(name="bob"))
                    self.assertEqual(look(self.database_urls["audit"]).rows, {})
                with self.engines["audit"].connect() as audit:
                    self.assertEqual(len(audit.execute(select(entries)).all()), 1)

            test_1 = test_2 = check

        self.assert_passed(Mapped)

    def test_engines_of_the_app(self) -> None:
        """The engines of the app are there by their bind keys."""

        class Binds(Shop):
            @classmethod
            def create_app(cls) -> Flask:
                return flask_sqlalchemy_factory.create_app(
                    {
                        "SQLALCHEMY_DATABASE_URI": cls.database_url,
                        "SQLALCHEMY_BINDS": {"audit": cls.database_urls["audit"]},
                    }
                )

            def test_it(self) -> None:
                self.assertIs(self.engine, db.engine)
                self.assertEqual(dict(self.engines), dict(db.engines))

        self.assert_passed(Binds)

    def test_engine_is_disposed(self) -> None:
        """After the class its engine holds no connection."""
        engines = []

        class Disposed(Plain):
            def test_it(self) -> None:
                engines.append(self.engine)
                with self.engine.connect() as connection:
                    connection.execute(select(users))

        self.assert_passed(Disposed)
        self.assertEqual(engines[0].pool.checkedin(), 0)

    def test_stranger_is_refused(self) -> None:
        """An engine that leads elsewhere is refused by name, before contact."""

        class Reaching(Plain):
            def test_it(self) -> None:
                create_engine(PRODUCTION).connect()

        self.assert_problems(
            'UnsafeDatabaseError: refusing to connect to database "shop" on db.shop.example: it '
            "is not a database of Reaching. Point the engine at cls.database_url, return it from "
            "create_engine(), or name the database in let_through.",
            of=Reaching,
        )

    def test_let_through(self) -> None:
        """A database that the class names stays outside of the sandbox."""
        server = embedded.server().url()

        class Letting(Plain):
            let_through = ("postgres",)

            def test_it(self) -> None:
                outside = create_engine(server.set(database="postgres"))
                with outside.connect() as connection:
                    names.append(connection.scalar(text("SELECT current_database()")))
                outside.dispose()

        names: list[str] = []
        self.assert_passed(Letting)
        self.assertEqual(names, ["postgres"])


class TestRequires(CaseTest):
    """``requires`` skips what another database cannot run."""

    def test_requires(self) -> None:
        """A test or class that needs another database is skipped, with the reason."""

        class Mixed(Plain):
            @requires("postgresql")
            def test_postgresql(self) -> None:
                ran.append(self.engine.dialect.name)

            @requires("sqlite")
            def test_sqlite(self) -> None:
                ran.append(self.engine.dialect.name)

        class InMemory(Mixed):
            database = "sqlite"

        @requires("sqlite")
        class OnlySQLite(Plain):
            def test_it(self) -> None:
                raise AssertionError("not reached")

        ran: list[str] = []
        report = self.assert_passed(Mixed, InMemory, OnlySQLite)
        self.assertEqual(ran, ["postgresql", "sqlite"])
        self.assertEqual(
            [reason for _, reason in report.skipped],
            [
                "needs sqlite, and the database is postgresql (database of Plain)",
                "needs postgresql, and the database is sqlite (database of InMemory)",
                "needs sqlite, and the database is postgresql (database of Plain)",
            ],
        )


    def test_requires_of_an_async_test(self) -> None:
        """A decorated coroutine is awaited."""

        class Async(DatabaseTestCase, unittest.IsolatedAsyncioTestCase):
            database = "sqlite"

            @requires("sqlite")
            async def test_it(self) -> None:
                self.fail("awaited")

        self.assertEqual(run(Async).messages, ["AssertionError: awaited"])

    def test_requires_what_cannot_be(self) -> None:
        """A kind that no test can run on, and a class that nothing would skip, are refused."""
        for kinds, given in ((("postgres",), "'postgres'"), ((), "none")):
            with self.subTest(given), self.assertRaises(ValueError) as caught:
                requires(*kinds)
            self.assertEqual(
                str(caught.exception),
                f"requires() was given {given}, and needs one or more of 'postgresql', 'sqlite': a "
                f"test that needs another kind would always be skipped. Write "
                f'@requires("postgresql"), for example.',
            )
        with self.assertRaises(TypeError) as refused:
            requires("sqlite")(type("Search", (), {}))
        self.assertEqual(
            str(refused.exception),
            "requires() on Search, which is no TestCase: nothing would call its setUpClass. "
            "Decorate its test functions.",
        )


class TestIsolation(CaseTest):
    """``isolation`` says when a test's work is undone."""

    def test_isolation_by_class(self) -> None:
        """With isolation "class" tests build on each other; the class is undone as a whole."""

        class Steps(Shop):
            isolation = "class"

            def test_1(self) -> None:
                self.client.post("/users", data={"name": "bob"})
                db.session.add(User(name="carol"))
                db.session.commit()

            def test_2(self) -> None:
                self.assertEqual(self.client.get("/users").json, ["bob", "carol"])
                self.client.post("/users", data={"name": "dave"})

            def test_3(self) -> None:
                self.assertEqual(db.session.scalars(select(User.id)).all(), [1, 2, 3])

        class Next(Shop):
            def test_it(self) -> None:
                self.assertEqual(self.client.get("/users").json, [])

        self.assert_passed(Steps, Next, Steps)

    def test_work_between_tests(self) -> None:
        """What is written between two tests is undone before the next."""

        class Between(Plain):
            def test_1(self) -> None:
                pass

            def test_2(self) -> None:
                with self.engine.connect() as connection:
                    self.assertEqual(connection.execute(select(users)).all(), [])

        def write(test: Any) -> None:
            with test.engine.begin() as connection:
                connection.execute(insert(users).values(name="bob"))

        original = Between.run

        def run_and_write(self: Any, result: Any = None) -> Any:
            outcome = original(self, result)
            write(self)
            return outcome

        Between.run = run_and_write  # type: ignore[method-assign]
        report = run(Between)
        self.assertEqual((report.ran, report.messages), (2, []))
        self.assertEqual(
            [without_lines(warning.message) for warning in report.warned],
            [
                "what was written by connection 1 (its transaction began at "
                "tests/test_cases.py:LINE) to the database of Between between two tests is undone: "
                "each test begins with what the class's set-up left. Write it in setUp(), or for "
                "all tests of the class in setUpTestData()."
            ],
        )


class TestIsolationInMemory(TestIsolation):
    """The same on SQLite in memory."""

    database = "sqlite"


class TestEndOfTest(CaseTest):
    """The end of a test, in its order."""

    def test_order(self) -> None:
        """tearDown and cleanups have their database, then the app's teardown has, then it ends."""
        events: list[str] = []

        class Ordered(Shop):
            @classmethod
            def create_app(cls) -> Flask:
                app = super().create_app()

                @app.teardown_appcontext
                def audit(error: BaseException | None) -> None:
                    with Session(db.engine) as session:
                        names = list(session.scalars(select(User.name)))
                        session.add(User(name="teardown"))
                        session.commit()
                    events.append(f"app {names} {app.config['COLOR']}")

                return app

            def test_it(self) -> None:
                events.clear()
                self.app.config["COLOR"] = "blue"
                db.session.add(User(name="bob"))
                db.session.commit()
                self.addCleanup(self.note, "cleanup")

            def tearDown(self) -> None:
                self.note("tearDown")

            def note(self, word: str) -> None:
                db.session.add(User(name=word))
                db.session.commit()
                events.append(f"{word} {list(db.session.scalars(select(User.name)))}")

            @classmethod
            def setUpClass(cls) -> None:
                super().setUpClass()
                urls.append(cls.database_url)

        urls: list[str] = []
        self.assert_passed(Ordered)
        self.assertEqual(
            events[:3],
            [
                "tearDown ['bob', 'tearDown']",
                "cleanup ['bob', 'tearDown', 'cleanup']",
                "app ['bob', 'tearDown', 'cleanup'] blue",
            ],
        )
        self.assertEqual(look(urls[0]).rows, {})

    def test_errors_of_several_cleanups(self) -> None:
        """Errors of a test, its tearDown, its cleanups and the app's teardown are all reported."""

        class Failing(Shop):
            @classmethod
            def create_app(cls) -> Flask:
                app = super().create_app()

                @app.teardown_appcontext
                def fail(error: BaseException | None) -> None:
                    if armed:
                        armed.clear()
                        raise ZeroDivisionError("in teardown_appcontext")

                return app

            def fail_in(self, place: str) -> None:
                raise ZeroDivisionError(f"in {place}")

            def test_1(self) -> None:
                armed.append(True)
                db.session.add(User(name="bob"))
                db.session.commit()
                self.addCleanup(self.fail_in, "the first cleanup")
                self.addCleanup(self.fail_in, "the second cleanup")
                raise ZeroDivisionError("in the test")

            def tearDown(self) -> None:
                if armed:
                    raise ZeroDivisionError("in tearDown")

            def test_2(self) -> None:
                self.assertEqual(self.client.get("/users").json, [])

        armed: list[bool] = []
        self.assert_problems(
            "ZeroDivisionError: in the test",
            "ZeroDivisionError: in tearDown",
            "ZeroDivisionError: in the second cleanup",
            "ZeroDivisionError: in the first cleanup",
            "ZeroDivisionError: in teardown_appcontext",
            of=Failing,
        )

    def test_errors_at_the_end_of_a_class(self) -> None:
        """A tearDownClass that fails leaves nothing, and the next class runs."""

        class Failing(Shop):
            def test_it(self) -> None:
                pass

            @classmethod
            def tearDownClass(cls) -> None:
                db.session.add(User(name="late"))
                db.session.commit()
                raise ZeroDivisionError("in tearDownClass")

        class Next(Shop):
            def test_it(self) -> None:
                self.client.post("/users", data={"name": "bob"})
                self.assertEqual(db.session.scalars(select(User.id)).all(), [1])

        self.assert_problems("ZeroDivisionError: in tearDownClass", of=Failing)
        self.assertFalse(has_app_context())
        self.assert_passed(Next)

    def test_session_that_is_left_open(self) -> None:
        """A session that nobody closed is closed at the end of its test."""
        left = []

        class Leaving(Plain):
            def check(self) -> None:
                session = Session(self.engine)
                session.add(plain.User(name="bob"))
                session.flush()
                left.append(session)

            test_1 = test_2 = check

        run(Leaving)
        self.assertEqual([session.in_transaction() for session in left], [False, False])


class TestEndOfTestInMemory(TestEndOfTest):
    """The same on SQLite in memory."""

    database = "sqlite"


class TestConnections(CaseTest):
    """One real connection, whatever happens."""

    @contextlib.contextmanager
    def server(self) -> Any:
        url = embedded.server().url().set(database="postgres")
        with connect_past_sqlalchemy(url) as connection:
            connection.autocommit = True
            yield connection.cursor()

    def test_thousand_classes(self) -> None:
        """1,000 classes have one database, one lease and never more than one connection."""
        places: set[str] = set()
        counts: set[tuple[int, int]] = set()

        def count() -> tuple[int, int]:
            cursor.execute(
                "SELECT (SELECT count(*) FROM pg_stat_activity WHERE datname = ANY(%s)),"
                " (SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)"
                "  WHERE locktype = 'advisory' AND application_name = %s)",
                (list(places), f"dbtestcase {os.getpid()}"),
            )
            return cursor.fetchone()

        class Base(Shop):
            def test_it(self) -> None:
                places.add(db.engine.url.database)
                db.session.add(User(name="bob"))
                db.session.commit()
                assert db.session.scalars(select(User.id)).one() == 1
                counts.add(count())

        classes = [type(f"Test{number}", (Base,), {}) for number in range(1000)]
        replaced: dict[int, float] = {}
        lingered = [0.0]

        def sample() -> None:
            # the server process of a closed connection takes its time to end on a busy machine;
            # that of an open one would stay
            with self.server() as sampler:
                while not done.wait(0.002):
                    sampler.execute(
                        "SELECT pid FROM pg_stat_activity WHERE datname = ANY(%s)"
                        " ORDER BY backend_start DESC OFFSET 1",
                        (list(places),),
                    )
                    now = time.monotonic()
                    for (pid,) in sampler.fetchall():
                        lingered.append(now - replaced.setdefault(pid, now))

        done = threading.Event()
        with self.server() as cursor:
            thread = threading.Thread(target=sample)
            thread.start()
            try:
                report = run(*classes)
            finally:
                done.set()
                thread.join()
        self.assertEqual((report.ran, report.messages), (1000, []))
        self.assertEqual(len(places), 1)
        self.assertEqual(counts, {(1, 1)})
        self.assertLess(max(lingered), 5)

    def test_dead_connection(self) -> None:
        """A test whose connection dies errors; the next one passes, with the class's data."""

        class Dying(Shop):
            @classmethod
            def setUpTestData(cls) -> None:
                cls.alice = User(name="alice")
                db.session.add(cls.alice)
                db.session.commit()

            def test_1(self) -> None:
                pid = db.session.scalar(text("SELECT pg_backend_pid()"))
                db.session.add(User(name="bob"))
                db.session.commit()
                test.kill(pid)
                self.client.post("/users", data={"name": "carol"})
                db.session.scalars(select(User)).all()

            def test_2(self) -> None:
                self.assertEqual(self.alice.name, "alice")
                self.client.post("/users", data={"name": "bob"})
                self.assertEqual(db.session.scalars(select(User.id)).all(), [1, 2])

        test = self
        with self.assertLogs("tests.apps.flask_sqlalchemy_factory", "ERROR") as logged:
            report = run(Dying)
        self.assertEqual(
            [record.getMessage() for record in logged.records], ["Exception on /users [POST]"]
        )
        self.assertEqual(report.ran, 2)
        self.assertEqual({name.split()[0] for name, _ in report.problems}, {"test_1"})
        # the view had the driver's error, and answered 500
        self.assertIn("the real connection of Dying's sandbox was lost", report.messages[0])

    def test_connection_that_dies_unseen(self) -> None:
        """A connection that died after a test's last statement harms neither it nor the next."""

        class Dying(Plain):
            def test_1(self) -> None:
                with self.engine.connect() as connection:
                    pid = connection.scalar(text("SELECT pg_backend_pid()"))
                test.kill(pid)

            def test_2(self) -> None:
                with self.engine.begin() as connection:
                    added = connection.execute(insert(users).values(name="bob"))
                    self.assertEqual(added.inserted_primary_key, (1,))

        test = self
        report = run(Dying)
        self.assertEqual(report.ran, 2)
        self.assertLessEqual({name.split()[0] for name, _ in report.problems}, {"test_1"})

    def kill(self, pid: int) -> None:
        with self.server() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
            self.assertEqual(cursor.fetchone(), (True,))

    def test_escape_past_the_sandbox(self) -> None:
        """A stranger that writes to the database is named, and the next class is clean."""
        Project(self, {}).enter(self)

        class Escaping(Plain):
            def test_it(self) -> None:
                url = self.engine.url.translate_connect_args(username="user", database="dbname")
                arguments = {**url, **self.engine.url.query}
                stranger = psycopg2.connect(**arguments, application_name="stranger")
                stranger.cursor().execute("INSERT INTO users (name) VALUES ('eve')")
                stranger.commit()
                strangers.append(stranger)

        class Next(Plain):
            def test_it(self) -> None:
                with self.engine.begin() as connection:
                    self.assertEqual(connection.execute(select(users)).all(), [])
                    added = connection.execute(insert(users).values(name="bob"))
                    self.assertEqual(added.inserted_primary_key, (1,))

        strangers: list[Any] = []
        report = run(Escaping)
        for stranger in strangers:
            stranger.close()
        self.assertEqual(len(report.messages), 1, report.messages)
        self.assertRegex(
            report.messages[0],
            r"^EscapeError: something was really committed to database \"\w+\" on \S+ in this "
            r"test: rows of users; connected still: pid \d+ \(stranger\), last query: COMMIT\. It "
            r"came past SQLAlchemy's engines, by a connection of its own or another process\. Let "
            r"the program take its connections from the engine: engine\.raw_connection\(\)\. The "
            r"database is built anew\.$",
        )
        self.assert_passed(Next)

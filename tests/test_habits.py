"""What existing suites do by themselves goes on working in a ``DatabaseTestCase``."""

from __future__ import annotations

import unittest

from flask import Flask
from sqlalchemy import Engine, create_engine, event, insert, select
from sqlalchemy.exc import IntegrityError

from dbtestcase import DatabaseTestCase, MetadataSchema

from .apps import flask_sqlalchemy_factory, load, plain
from .apps.flask_sqlalchemy_factory import AuditEntry, User, db
from .support import no_settings, run
from .test_cases import PRODUCTION, CaseTest, Plain, Shop, users


def setUpModule() -> None:
    unittest.enterModuleContext(no_settings())


class TestHabits(CaseTest):
    """What existing suites do by themselves, and go on doing."""

    production = PRODUCTION

    def test_app_made_in_set_up(self) -> None:
        """A suite that makes app and tables in each setUp, and drops them in tearDown."""

        class Tutorial(DatabaseTestCase):
            database = self.database

            def setUp(self) -> None:
                self.app = flask_sqlalchemy_factory.create_app(
                    {"SQLALCHEMY_DATABASE_URI": self.database_url}
                )
                self.app_context = self.app.app_context()
                self.app_context.push()
                db.create_all(None)
                self.client = self.app.test_client()

            def tearDown(self) -> None:
                db.session.remove()
                db.drop_all(None)
                self.app_context.pop()

            def check(self) -> None:
                self.assertEqual(self.client.get("/users").json, [])
                self.client.post("/users", data={"name": "bob"})
                db.session.add(User(name="carol"))
                db.session.commit()
                self.assertEqual(db.session.scalars(select(User.id)).all(), [1, 2])

            test_1 = test_2 = test_3 = check

        self.assert_passed(Tutorial)

    def test_client_instead_of_app(self) -> None:
        """A suite that makes one more app in each setUp, and keeps its client as ``self.app``."""

        class Second(Shop):
            def setUp(self) -> None:
                self.app = self.create_app().test_client()

            def check(self) -> None:
                self.assertEqual(self.app.get("/users").json, [])
                self.app.post("/users", data={"name": "bob"})
                self.assertEqual(self.app.get("/users").json, ["bob"])

            test_1 = test_2 = check

        self.assert_passed(Second)

    def test_contexts_of_its_own(self) -> None:
        """A suite that pushes and pops contexts where some are pushed already."""

        class Pushing(Shop):
            @classmethod
            def setUpClass(cls) -> None:
                super().setUpClass()
                cls.context = cls.app.app_context()
                cls.context.push()

            @classmethod
            def tearDownClass(cls) -> None:
                cls.context.pop()
                super().tearDownClass()

            def setUp(self) -> None:
                self.context = self.app.test_request_context()
                self.context.push()
                self.addCleanup(self.context.pop)

            def check(self) -> None:
                with self.app.app_context():
                    db.session.add(User(name="bob"))
                    db.session.commit()
                self.assertEqual(self.client.get("/users").json, ["bob"])
                self.assertEqual(db.session.scalars(select(User.id)).all(), [1])

            test_1 = test_2 = check

        self.assert_passed(Pushing)

    def test_truncating_tear_down(self) -> None:
        """A suite that empties all tables after each test."""

        class Truncating(Shop):
            def tearDown(self) -> None:
                for table in reversed(db.metadata.sorted_tables):
                    db.session.execute(table.delete())
                db.session.commit()
                super().tearDown()

            def check(self) -> None:
                db.session.add(User(name="bob"))
                db.session.commit()
                self.assertEqual(db.session.scalars(select(User.id)).all(), [1])

            test_1 = test_2 = check

        self.assert_passed(Truncating)

    def test_connection_kept_by_the_class(self) -> None:
        """A connection that setUpClass opened can be used in each test."""

        class Keeping(Plain):
            @classmethod
            def setUpClass(cls) -> None:
                super().setUpClass()
                cls.connection = cls.engine.connect()
                cls.addClassCleanup(cls.connection.close)

            def check(self) -> None:
                self.assertEqual(self.connection.execute(select(users)).all(), [])
                self.connection.execute(insert(users).values(name="bob"))
                self.connection.commit()
                with self.engine.connect() as connection:
                    self.assertEqual(len(connection.execute(select(users)).all()), 1)

            test_1 = test_2 = check

        self.assert_passed(Keeping)

    def test_session_kept_by_the_module(self) -> None:
        """A scoped_session of a module is shared by tests, and none sees the last one's objects."""
        module = load("scoped_session_at_import", self.production)

        class Scoped(DatabaseTestCase):
            database = self.database
            schema = MetadataSchema(module.Base.metadata)

            @classmethod
            def create_engine(cls) -> Engine:
                return module.engine

            def check(self) -> None:
                self.assertEqual(module.db_session.scalars(select(module.User)).all(), [])
                bob = module.User(name="bob")
                module.db_session.add(bob)
                module.db_session.commit()
                self.assertEqual(bob.id, 1)
                module.db_session.add(module.User(name="carol"))

            test_1 = test_2 = check

        self.assert_passed(Scoped)
        module.db_session.remove()

    def test_skips_in_hooks(self) -> None:
        """SkipTest in a hook skips the class."""

        class SkippingSetUp(Shop):
            @classmethod
            def setUpClass(cls) -> None:
                super().setUpClass()
                raise unittest.SkipTest("in setUpClass")

            def test_it(self) -> None:
                raise AssertionError("not reached")

        class SkippingApp(Shop):
            @classmethod
            def create_app(cls) -> Flask:
                raise unittest.SkipTest("in create_app")

            def test_it(self) -> None:
                raise AssertionError("not reached")

        class SkippingData(Shop):
            @classmethod
            def setUpTestData(cls) -> None:
                raise unittest.SkipTest("in setUpTestData")

            def test_it(self) -> None:
                raise AssertionError("not reached")

        report = run(SkippingSetUp, SkippingApp, SkippingData)
        self.assertEqual(report.messages, [])
        self.assertEqual(
            [reason for _, reason in report.skipped],
            ["in setUpClass", "in create_app", "in setUpTestData"],
        )

    def test_replica(self) -> None:
        """Two binds may lead to one database; each connection sees what is committed."""

        class Replicated(Shop):
            @classmethod
            def create_app(cls) -> Flask:
                return flask_sqlalchemy_factory.create_app(
                    {
                        "SQLALCHEMY_DATABASE_URI": cls.database_url,
                        "SQLALCHEMY_BINDS": {"replica": cls.database_url},
                    }
                )

            def check(self) -> None:
                replica = self.engines["replica"]
                db.session.add(User(name="bob"))
                db.session.commit()
                with replica.connect() as connection:
                    self.assertEqual(connection.execute(select(User.__table__)).all(), [(1, "bob")])

            test_1 = test_2 = check

        self.assert_passed(Replicated)

    def test_bind_first_asked_for_in_a_test(self) -> None:
        """The database of a bind is leased when its URL is first asked for, in a test too."""

        class Late(Plain):
            schema = {
                None: MetadataSchema(plain.Base.metadata),
                "late": MetadataSchema(AuditEntry.metadata),
            }

            def check(self) -> None:
                engine = create_engine(self.database_urls["late"])
                self.addCleanup(engine.dispose)
                with engine.begin() as connection:
                    statement = insert(AuditEntry.__table__).values(action="sign-up")
                    self.assertEqual(connection.execute(statement).inserted_primary_key, (1,))

            test_1 = test_2 = check

        self.assert_passed(Late)

    def test_counted_statements(self) -> None:
        """A listener of the program sees its own statements only."""

        class Counting(Shop):
            def check(self) -> None:
                statements: list[str] = []
                listener = lambda *args: statements.append(args[2].split()[0])  # noqa: E731
                event.listen(db.engine, "before_cursor_execute", listener)
                self.addCleanup(event.remove, db.engine, "before_cursor_execute", listener)
                db.session.add(User(name="bob"))
                db.session.commit()
                with db.session.begin_nested():
                    db.session.add(User(name="carol"))
                db.session.commit()
                self.assertEqual(statements, ["INSERT", "SAVEPOINT", "INSERT", "RELEASE"])

            test_1 = test_2 = check

        self.assert_passed(Counting)

    def test_steps_with_data_and_a_failure(self) -> None:
        """With isolation "class" a failed test does not take away what others did."""

        class Steps(Shop):
            isolation = "class"

            @classmethod
            def setUpTestData(cls) -> None:
                cls.alice = User(name="alice")
                db.session.add(cls.alice)
                db.session.commit()

            def test_1(self) -> None:
                self.alice.name = "anna"
                db.session.commit()

            def test_2(self) -> None:
                db.session.add(User(name="anna"))
                db.session.flush()

            def test_3(self) -> None:
                self.assertEqual(self.client.get("/users").json, ["anna"])
                self.assertEqual(self.alice.name, "anna")

        report = run(Steps)
        self.assertEqual([name.split()[0] for name, _ in report.problems], ["test_2"])
        self.assertIsInstance(report.problems[0][1], IntegrityError)


class TestHabitsInMemory(TestHabits):
    """The same on SQLite in memory."""

    database = "sqlite"
    production = "sqlite:////srv/shop.example/shop.db"

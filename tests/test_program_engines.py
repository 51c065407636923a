"""Engines that programs make, wherever and however, in a ``DatabaseTestCase``."""

from __future__ import annotations

import os
import threading
import unittest
from typing import Any
from unittest import mock

import psycopg2
from flask import Flask
from sqlalchemy import Engine, create_engine, event, exc, insert, select, text
from sqlalchemy.orm import Session
from sqlalchemy.pool import AssertionPool, NullPool, QueuePool, StaticPool

from dbtestcase import DatabaseTestCase, MetadataSchema
from dbtestcase.errors import SandboxConflict, UnsafeDatabaseError

from .apps import load, plain
from .apps.flask_sqlalchemy_factory import User, db
from .support import look, no_settings, run
from .test_cases import CaseTest, Plain, Shop, users
from .test_engines import Knocks


def setUpModule() -> None:
    unittest.enterModuleContext(no_settings())


class ProductionTest(CaseTest):
    """Has a server of production, which counts who knocks."""

    def setUp(self) -> None:
        super().setUp()
        self.production = Knocks()
        self.addCleanup(self.production.close)
        self.url = f"postgresql+psycopg2://shop:secret@127.0.0.1:{self.production.port}/shop"
        self.databases: set[str] = set()

    def engine(self, url: str | None = None, **options: Any) -> Engine:
        engine = create_engine(url or self.url, **options)
        self.addCleanup(engine.dispose)
        return engine

    def case(self, engine: Engine) -> type[Plain]:
        """Give a class whose tests use the engine as programs do, beside class data."""
        databases = self.databases

        class Program(Plain):
            @classmethod
            def create_engine(cls) -> Engine:
                return engine

            @classmethod
            def setUpTestData(cls) -> None:
                databases.add(cls.database_url)
                with engine.begin() as connection:
                    connection.execute(insert(users).values(name="alice"))

            def check(self) -> None:
                with engine.connect() as reader:
                    with engine.begin() as writer:
                        writer.execute(insert(users).values(name="bob"))
                    self.assertEqual(reader.execute(select(users.c.id)).all(), [(1,), (2,)])
                with Session(engine) as session:
                    session.add(plain.User(name="carol"))
                    session.flush()
                with engine.connect() as again:
                    found = again.scalars(select(users.c.name).order_by(users.c.id))
                    self.assertEqual(list(found), ["alice", "bob"])

            test_1 = test_2 = check

        return Program

    def assert_program(self, engine: Engine) -> None:
        """The engine works in two classes, production hears nothing, and nothing is left."""
        case = self.case(engine)
        self.assert_passed(case, case)
        self.assertEqual([look(url).rows for url in self.databases], [{}])
        self.assertEqual(self.production.count, 0)

    def assert_own_again(self, engine: Engine) -> None:
        """After the run the engine leads where it led before."""
        with self.assertRaises(exc.OperationalError):
            engine.connect()
        self.assertEqual(self.production.count, 1)


class TestEnginesOfPrograms(ProductionTest):
    """An engine with production's URL, by the options that it was made with."""

    def test_pools(self) -> None:
        """Any pool: tests and requests do not wait for each other, whatever its limit."""
        for options in (
            {"pool_size": 1, "max_overflow": 0, "pool_timeout": 1},
            {"poolclass": NullPool},
            {"poolclass": StaticPool},
            {"pool_pre_ping": True},
            {"pool_recycle": 0},
            {"poolclass": QueuePool, "pool_use_lifo": True},
        ):
            with self.subTest(**options):
                self.databases.clear()
                if options.get("poolclass") is StaticPool:
                    self.assert_static(self.engine(**options))
                else:
                    engine = self.engine(**options)
                    self.assert_program(engine)
                    for name, value in options.items():
                        if name == "pool_size":
                            self.assertEqual(engine.pool.size(), value)

    def assert_static(self, engine: Engine) -> None:
        # one connection for everybody is what the program asked for
        class Program(self.case(engine)):  # type: ignore[misc]
            def check(self) -> None:
                with engine.begin() as writer:
                    writer.execute(insert(users).values(name="bob"))
                with engine.connect() as reader:
                    self.assertEqual(reader.execute(select(users.c.id)).all(), [(1,), (2,)])

            test_1 = test_2 = check

        self.assert_passed(Program, Program)
        self.assertEqual([look(url).rows for url in self.databases], [{}])
        self.assertEqual(self.production.count, 0)

    def test_assertion_pool(self) -> None:
        """An AssertionPool goes on asserting that there is one connection at a time."""
        engine = self.engine(poolclass=AssertionPool)

        class Program(Plain):
            @classmethod
            def create_engine(cls) -> Engine:
                return engine

            def test_it(self) -> None:
                with engine.connect(), self.assertRaises(AssertionError):
                    engine.connect()

        self.assert_passed(Program)
        self.assertEqual(self.production.count, 0)

    def test_creator(self) -> None:
        """A creator= is not called while the class runs, and again afterwards."""
        creator = mock.Mock(side_effect=lambda: psycopg2.connect(self.url.replace("+psycopg2", "")))
        engine = self.engine("postgresql+psycopg2://", creator=creator)
        self.assert_program(engine)
        creator.assert_not_called()
        self.assert_own_again(engine)
        creator.assert_called()

    def test_pool_of_a_creator(self) -> None:
        """A creator= of an engine that the class does not know is not called, by no way in."""
        creator = mock.Mock()
        engine = self.engine(creator=creator)

        class Program(Plain):
            def test_it(self) -> None:
                for contact in (engine.connect, engine.raw_connection, engine.pool.connect):
                    self.assertRaises(UnsafeDatabaseError, contact)

        self.assert_passed(Program)
        creator.assert_not_called()

    def test_autocommit(self) -> None:
        """isolation_level="AUTOCOMMIT" commits each statement, and the test's end undoes it."""
        engine = self.engine(isolation_level="AUTOCOMMIT")

        class Program(self.case(engine)):  # type: ignore[misc]
            def check(self) -> None:
                with engine.connect() as connection:
                    connection.execute(insert(users).values(name="bob"))
                    connection.rollback()
                    driver = connection.connection.dbapi_connection
                    self.assertTrue(driver.autocommit)
                with engine.connect() as connection:
                    self.assertEqual(connection.execute(select(users.c.id)).all(), [(1,), (2,)])

            test_1 = test_2 = check

        self.assert_passed(Program, Program)
        self.assertEqual([look(url).rows for url in self.databases], [{}])
        self.assertEqual(self.production.count, 0)

    def test_other_connect_args_first(self) -> None:
        """An engine of one test with arguments of its own is refused there, and not the others."""

        class Other(Plain):
            database = self.database

            def test_1(self) -> None:
                arguments = {"options": "-c statement_timeout=100"}
                engine = create_engine(self.database_url, connect_args=arguments)
                with self.assertRaisesRegex(SandboxConflict, "^an engine connects at .*timeout"):
                    engine.connect()

            def test_2(self) -> None:
                with self.engine.connect() as connection:
                    self.assertEqual(connection.scalar(text("SELECT 1")), 1)

        self.assert_passed(Other)

    def test_search_path(self) -> None:
        """connect_args that set the search_path hold; an engine with others is refused."""
        options = {"options": "-c search_path=extra,public"}
        engine = self.engine(connect_args=options)

        class Program(Plain):
            @classmethod
            def create_engine(cls) -> Engine:
                return engine

            def test_it(self) -> None:
                with engine.begin() as connection:
                    connection.execute(text("CREATE SCHEMA extra"))
                    connection.execute(text("CREATE TABLE item (id int)"))
                    found = connection.scalar(text("SELECT 'extra.item'::regclass::text"))
                    self.assertEqual(found, "item")

        self.assert_passed(Program)

        class Both(Plain):
            @classmethod
            def create_engine(cls) -> Engine:
                return engine

            def test_it(self) -> None:
                with engine.connect():
                    pass
                stranger = create_engine(
                    self.database_url, connect_args={"options": "-c search_path=other"}
                )
                with self.assertRaisesRegex(SandboxConflict, "^an engine connects .*other"):
                    stranger.connect()

        self.assert_passed(Both)
        self.assertEqual(self.production.count, 0)

    def test_pid_recipe(self) -> None:
        """SQLAlchemy's recipe for forked processes keeps its connections."""
        engine = self.engine()

        @event.listens_for(engine, "connect")
        def connect(connection: Any, record: Any) -> None:
            record.info["pid"] = os.getpid()

        @event.listens_for(engine, "checkout")
        def checkout(connection: Any, record: Any, proxy: Any) -> None:
            if record.info["pid"] != os.getpid():
                record.dbapi_connection = proxy.dbapi_connection = None
                raise exc.DisconnectionError("of another process")

        self.assert_program(engine)

    def test_four_threads(self) -> None:
        """Four threads at the first contact share one connection; all that they commit is there."""
        engine = self.engine(pool_size=1, max_overflow=0)
        pids = set()

        class Program(Plain):
            @classmethod
            def create_engine(cls) -> Engine:
                return engine

            def check(self) -> None:
                barrier = threading.Barrier(4)

                def add(name: str) -> None:
                    barrier.wait()
                    with engine.begin() as connection:
                        pids.add(connection.scalar(text("SELECT pg_backend_pid()")))
                        connection.execute(insert(users).values(name=name))

                threads = [threading.Thread(target=add, args=[f"user {n}"]) for n in range(4)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                with engine.connect() as connection:
                    found = connection.scalars(select(users.c.name).order_by(users.c.name)).all()
                self.assertEqual(found, [f"user {number}" for number in range(4)])

            test_1 = test_2 = check

        self.assert_passed(Program)
        self.assertEqual(len(pids), 1)
        self.assertEqual(self.production.count, 0)

    def test_module_level_engine(self) -> None:
        """A program's engine and sessionmaker of the module, in each class and after the run."""
        shop = load("sessionmaker_at_import", self.url)
        self.addCleanup(shop.engine.dispose)
        pool = shop.engine.pool

        class First(DatabaseTestCase):
            database = "postgresql"
            schema = MetadataSchema(shop.Base.metadata)

            @classmethod
            def create_engine(cls) -> Engine:
                return shop.engine

            @classmethod
            def create_app(cls) -> Flask:
                return shop.create_app()

            def check(self) -> None:
                self.client.post("/users", data={"name": "bob"})
                with shop.Session() as session:
                    self.assertEqual(session.scalars(select(shop.User.id)).all(), [1])
                self.assertEqual(self.client.get("/users").json, ["bob"])

            test_1 = test_2 = check

        class Second(First):
            pass

        self.assert_passed(First, Second, First)
        self.assertEqual(self.production.count, 0)
        self.assertEqual((type(shop.engine.pool), shop.engine.pool.size()), (type(pool), 5))
        self.assert_own_again(shop.engine)

    def test_engine_of_production_that_nobody_named(self) -> None:
        """An engine of the program that the class was not told of is refused, unheard."""
        engine = self.engine()

        class Program(Plain):
            def test_it(self) -> None:
                with self.assertRaises(UnsafeDatabaseError) as caught, Session(engine) as session:
                    session.execute(text("SELECT 1"))
                messages.append(str(caught.exception))

        messages: list[str] = []
        self.assert_passed(Program)
        self.assertEqual(
            messages,
            [
                f'refusing to connect to database "shop" on 127.0.0.1:{self.production.port}: it '
                f"is not a database of Program. Point the engine at cls.database_url, return it "
                f"from create_engine(), or name the database in let_through."
            ],
        )
        self.assertEqual(self.production.count, 0)


class TestLateEngines(ProductionTest):
    """Engines that are made, or first used, in the middle of a test."""

    def test_late(self) -> None:
        """An engine that a view or a test makes of the database's URL shares the sandbox."""

        class Late(Shop):
            def check(self) -> None:
                db.session.add(User(name="bob"))
                db.session.commit()
                late = create_engine(self.database_url)
                with Session(late) as session:
                    self.assertEqual(session.scalars(select(User.name)).all(), ["bob"])
                    session.add(User(name="carol"))
                    session.commit()
                self.assertEqual(db.session.scalars(select(User.id)).all(), [1, 2])
                kept.append(late)

            test_1 = test_2 = check

        kept: list[Engine] = []
        self.assert_passed(Late)
        for late in kept:
            # let go at its test's end: nothing of it leads into the sandbox any more
            with late.connect() as connection:
                self.assertEqual(connection.execute(select(User.__table__)).all(), [])
            late.dispose()

    def test_kept_from_test_to_test(self) -> None:
        """An engine that a test made and the module keeps can be used by the next test."""
        kept: list[Engine] = []

        class Keeping(Plain):
            def check(self) -> None:
                if not kept:
                    kept.append(create_engine(self.database_url))
                with kept[0].begin() as connection:
                    added = connection.execute(insert(users).values(name="bob"))
                    self.assertEqual(added.inserted_primary_key, (1,))

            test_1 = test_2 = test_3 = check

        self.assert_passed(Keeping, Keeping)
        kept[0].dispose()

    def test_another_server(self) -> None:
        """An engine to another server is refused in test, request and thread, unheard."""

        class Elsewhere(Shop):
            @classmethod
            def create_app(cls) -> Flask:
                app = super().create_app()
                engine = create_engine(test.url)

                @app.get("/elsewhere")
                def elsewhere() -> str:
                    with engine.connect() as connection:
                        return str(connection.scalar(text("SELECT 1")))

                return app

            def test_request(self) -> None:
                self.app.testing = True
                self.assertRaises(UnsafeDatabaseError, self.client.get, "/elsewhere")

            def test_swallowed(self) -> None:
                self.assertEqual(self.client.get("/elsewhere").status_code, 500)

            def test_thread(self) -> None:
                def work() -> None:
                    try:
                        create_engine(test.url).connect()
                    except Exception as error:
                        caught.append(type(error))

                thread = threading.Thread(target=work)
                thread.start()
                thread.join()

        test = self
        caught: list[type[Exception]] = []
        with self.assertLogs("tests.apps.flask_sqlalchemy_factory", "ERROR"):
            report = run(Elsewhere)
        self.assertEqual(
            [name.split()[0] for name, _ in report.problems], ["test_swallowed", "test_thread"]
        )
        self.assertEqual({type(error) for _, error in report.problems}, {UnsafeDatabaseError})
        self.assertEqual(caught, [UnsafeDatabaseError])
        self.assertEqual(self.production.count, 0)

    def test_dispose_by_the_program(self) -> None:
        """A program that disposes of its engine in a test goes on in the sandbox."""
        engine = self.engine()

        class Disposing(self.case(engine)):  # type: ignore[misc]
            def setUp(self) -> None:
                engine.dispose()

            def tearDown(self) -> None:
                engine.dispose()
                with engine.connect() as connection:
                    self.assertEqual(connection.execute(select(users.c.id)).all(), [(1,), (2,)])

        self.assert_passed(Disposing)
        self.assertEqual([look(url).rows for url in self.databases], [{}])
        self.assertEqual(self.production.count, 0)


if __name__ == "__main__":
    unittest.main()

"""However a test or a class ends, nothing of it is left, and what comes next works."""

from __future__ import annotations

import contextlib
import signal
import time
import unittest
from typing import Any

import flask
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from dbtestcase import embedded
from dbtestcase.errors import UncommittedDataWarning

from .apps.flask_sqlalchemy_factory import User, db
from .support import SHOP, Project, connect_past_sqlalchemy, look, no_settings, run
from .test_cases import CaseTest, Plain, Shop


def setUpModule() -> None:
    unittest.enterModuleContext(no_settings())


INTERRUPTED = """
    import os, pathlib, signal, threading, time, unittest
    from dbtestcase import DatabaseTestCase
    from shop import User, create_app, db
    from sqlalchemy import text

    class Shop(DatabaseTestCase):
        @classmethod
        def create_app(cls):
            return create_app(cls.database_url)

        @classmethod
        def setUpTestData(cls):
            db.session.add(User(name="alice"))
            db.session.commit()

        def reach(self):
            db.session.add(User(name="bob"))
            db.session.commit()
            db.session.add(User(name="carol"))
            db.session.flush()
            pathlib.Path("reached").write_text(self.database_url)

    class TestInterrupted(Shop):
        def test_it(self):
            if pathlib.Path("WHERE").name == "test":
                self.wait()
            if pathlib.Path("WHERE").name == "cleanup":
                self.addCleanup(self.wait)

        def tearDown(self):
            if pathlib.Path("WHERE").name == "tearDown":
                self.wait()

        def wait(self):
            if not pathlib.Path("again").exists():
                Shop.reach(self)
                HOW

        @classmethod
        def tearDownClass(cls):
            if pathlib.Path("WHERE").name == "tearDownClass":
                cls.wait(cls)
            super().tearDownClass()

    class TestNext(Shop):
        def test_it(self):
            db.session.add(User(name="bob"))
            db.session.commit()
            self.assertEqual(db.session.scalars(db.select(User.id)).all(), [1, 2])
"""
PYTHON = "time.sleep(60)"
STATEMENT = 'db.session.execute(text("SELECT pg_sleep(2)"))'


class TestInterrupt(unittest.TestCase):
    """Ctrl-C, as the terminal sends it."""

    def interrupted(self, where: str, how: str) -> None:
        suite = INTERRUPTED.replace("WHERE", where).replace("HOW", how)
        project = Project(self, {"shop.py": SHOP, "test_shop.py": suite})
        process = project.start("unittest")
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        reached = project.directory / "reached"
        until = time.monotonic() + 60
        while not (reached.exists() and reached.read_text()):
            self.assertIsNone(process.poll(), "it ended too early")
            self.assertLess(time.monotonic(), until)
            time.sleep(0.01)
        url = reached.read_text()
        if how == STATEMENT:
            self.wait_for_statement(url)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
        self.assertIn("KeyboardInterrupt", output)
        self.assertNotEqual(process.returncode, 0)
        # a server learns of a client's death a moment later
        while self.connected(url):
            self.assertLess(time.monotonic(), until)
            time.sleep(0.01)
        self.assertEqual(look(url).rows, {})
        (project.directory / "again").touch()
        code, output = project.run("unittest")
        self.assertEqual(code, 0, output)
        self.assertEqual((look(url).rows, look(url).sequences), ({}, {}))

    def server(self) -> Any:
        return connect_past_sqlalchemy(embedded.server().url().set(database="postgres"))

    def connected(self, url: str) -> int:
        with self.server() as connection, connection.cursor() as cursor:
            name = url.rpartition("/")[2].partition("?")[0]
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = %s", (name,))
            return int(cursor.fetchone()[0])

    def wait_for_statement(self, url: str) -> None:
        with self.server() as connection, connection.cursor() as cursor:
            connection.autocommit = True
            name = url.rpartition("/")[2].partition("?")[0]
            while True:
                cursor.execute(
                    "SELECT FROM pg_stat_activity WHERE datname = %s AND state = 'active'"
                    " AND wait_event = 'PgSleep'",
                    (name,),
                )
                if cursor.fetchone() is not None:
                    return
                time.sleep(0.01)

    def test_in_a_test(self) -> None:
        """Ctrl-C in a test leaves nothing, and the next runs pass in the same database."""
        self.interrupted("test", PYTHON)

    def test_in_tear_down(self) -> None:
        """So does Ctrl-C in tearDown()."""
        self.interrupted("tearDown", PYTHON)

    def test_in_a_cleanup(self) -> None:
        """So does Ctrl-C in a cleanup."""
        self.interrupted("cleanup", PYTHON)

    def test_in_tear_down_class(self) -> None:
        """So does Ctrl-C in tearDownClass()."""
        self.interrupted("tearDownClass", PYTHON)

    def test_in_a_statement(self) -> None:
        """So does Ctrl-C while the driver waits for the server."""
        self.interrupted("test", STATEMENT)


class TestInterruptInProcess(CaseTest):
    """What goes on in the same process after Ctrl-C, as in a debugger or a notebook."""

    def test_next_class(self) -> None:
        """Wherever Ctrl-C comes, the next class of the process finds nothing of it."""

        class Interrupted(Shop):
            where = ""

            def stop(self, where: str) -> None:
                db.session.add(User(name="bob"))
                db.session.commit()
                db.session.add(User(name="carol"))
                db.session.flush()
                if where == self.where:
                    raise KeyboardInterrupt

            def setUp(self) -> None:
                if self.where == "setUp":
                    self.stop("setUp")

            def test_it(self) -> None:
                self.addCleanup(self.stop, "cleanup")
                if self.where == "a request":
                    self.app.add_url_rule("/stop", view_func=lambda: self.stop("a request"))
                    self.client.get("/stop")
                if self.where == "the test":
                    self.stop("the test")

            def tearDown(self) -> None:
                if self.where == "tearDown":
                    self.stop("tearDown")

        class Next(Shop):
            def test_it(self) -> None:
                self.assertEqual(self.client.get("/users").json, [])
                self.client.post("/users", data={"name": "bob"})
                self.assertEqual(db.session.scalars(select(User.id)).all(), [1])

        for where in ("setUp", "the test", "a request", "tearDown", "cleanup"):
            with self.subTest(where):
                Interrupted.where = where
                with self.assertRaises(KeyboardInterrupt):
                    run(Interrupted)
                self.assert_passed(Next)
                self.assertFalse(flask.has_app_context())


class TestInterruptInMemory(TestInterruptInProcess):
    """The same on SQLite in memory."""

    database = "sqlite"


class TestHooks(CaseTest):
    """What authors write in the hooks, and forget there."""

    def test_contexts_that_create_app_leaves(self) -> None:
        """A context that create_app pushed and left is popped with the class, with its teardown."""
        events: list[str] = []

        class Pushing(Shop):
            @classmethod
            def create_app(cls) -> Flask:
                app = super().create_app()

                @app.teardown_appcontext
                def end(error: BaseException | None) -> None:
                    events.append(f"{len(db.session.scalars(select(User)).all())} users")

                app.app_context().push()
                app.test_request_context("/left").push()
                db.session.add(User(name="seeded"))
                db.session.commit()
                return app

            def check(self) -> None:
                self.assertEqual(self.client.get("/users").json, ["seeded"])
                self.client.post("/users", data={"name": "bob"})
                self.assertEqual(db.session.scalars(select(User.id)).all(), [1, 2])

            test_1 = test_2 = check

        class PushingForEachTest(Pushing):
            app_scope = "test"

        class Next(Shop):
            def test_it(self) -> None:
                self.assertFalse(flask.has_request_context())
                self.assertEqual(self.client.get("/users").json, [])

        for case in (Pushing, PushingForEachTest):
            with self.subTest(case.__name__):
                events.clear()
                self.assert_passed(case)
                self.assertFalse(flask.has_app_context())
                # the functions still had their database, and what the class had seeded
                self.assertIn("1 users", events)
                self.assertNotIn("0 users", events)
                self.assert_passed(Next)

    def test_static_methods(self) -> None:
        """create_app may be a static method; the other hooks, which need the class, say so."""

        class Static(Plain):
            @staticmethod
            def create_app() -> Flask:
                return Flask(__name__)

            def test_it(self) -> None:
                self.assertEqual(self.client.get("/").status_code, 404)

        self.assert_passed(Static)

        class StaticEngine(Plain):
            @staticmethod
            def create_engine() -> Any:  # type: ignore[override]
                raise AssertionError("not reached")

            def test_it(self) -> None:
                raise AssertionError("not reached")

        class StaticData(Plain):
            @staticmethod
            def setUpTestData() -> None:  # type: ignore[override]
                raise AssertionError("not reached")

            def test_it(self) -> None:
                raise AssertionError("not reached")

        for case, hook in ((StaticEngine, "create_engine"), (StaticData, "setUpTestData")):
            self.assert_problems(
                f"SetUpError: {case.__name__}.{hook} is a static method, but it is called once "
                f"for the class, before there is a test. Make it a class method: add "
                f"@classmethod above it and write def {hook}(cls).",
                of=case,
            )

    def test_forgotten_super(self) -> None:
        """No hook but setUpClass needs super(), be it forgotten in a base or in a subclass."""

        class Base(Shop):
            @classmethod
            def setUpTestData(cls) -> None:
                cls.alice = User(name="alice")
                db.session.add(cls.alice)
                db.session.commit()

            def setUp(self) -> None:
                self.client.post("/users", data={"name": "bob"})

            def tearDown(self) -> None:
                self.client.post("/users", data={"name": "late"})

            @classmethod
            def tearDownClass(cls) -> None:
                db.session.add(User(name="last"))
                db.session.commit()

        class Sub(Base):
            def setUp(self) -> None:
                db.session.add(User(name="carol"))
                db.session.commit()

            def tearDown(self) -> None:
                pass

            def check(self) -> None:
                self.assertEqual(self.client.get("/users").json, ["alice", "carol"])
                self.assertEqual(self.alice.name, "alice")

            test_1 = test_2 = check

            @classmethod
            def tearDownClass(cls) -> None:
                urls.append(cls.database_url)

        urls: list[str] = []
        self.assert_passed(Sub, Sub)
        self.assertEqual(look(urls[0]).rows, {})

    def test_work_that_is_left_uncommitted(self) -> None:
        """Neither what a test nor what its tearDown left open reaches the next test."""

        class Leaving(Shop):
            def check(self) -> None:
                self.assertEqual(self.client.get("/users").json, [])
                db.session.add(User(name="bob"))
                db.session.flush()
                kept.append(Session(db.engine))
                kept[-1].begin()

            def tearDown(self) -> None:
                kept[-1].rollback()
                db.session.add(User(name="carol"))
                db.session.flush()

            test_1 = test_2 = check

        kept: list[Session] = []
        report = run(Leaving)
        self.assertEqual(report.messages, [])
        self.assertLessEqual({each.category for each in report.warned}, {UncommittedDataWarning})

    def test_errors_at_every_end(self) -> None:
        """Errors of the test, its cleanups, the app and the class are told, and all is undone."""

        class Failing(Shop):
            @classmethod
            def setUpClass(cls) -> None:
                super().setUpClass()
                urls.append(cls.database_url)
                cls.addClassCleanup(cls.fail_in, "a class cleanup")
                cls.addClassCleanup(cls.fail_in, "another class cleanup")

            @classmethod
            def fail_in(cls, where: str) -> None:
                with contextlib.closing(Session(db.engine)) as session:
                    session.add(User(name=where))
                    session.commit()
                raise ZeroDivisionError(f"in {where}")

            def test_it(self) -> None:
                self.addCleanup(self.fail_in, "a cleanup")
                self.addCleanup(self.fail_in, "another cleanup")
                self.fail_in("the test")

            def tearDown(self) -> None:
                self.fail_in("tearDown")

            @classmethod
            def tearDownClass(cls) -> None:
                cls.fail_in("tearDownClass")

        urls: list[str] = []
        self.assert_problems(
            "ZeroDivisionError: in the test",
            "ZeroDivisionError: in tearDown",
            "ZeroDivisionError: in another cleanup",
            "ZeroDivisionError: in a cleanup",
            "ZeroDivisionError: in tearDownClass",
            "ZeroDivisionError: in another class cleanup",
            "ZeroDivisionError: in a class cleanup",
            of=Failing,
        )
        self.assertEqual(look(urls[0]).rows, {})
        self.assertFalse(flask.has_app_context())

    def test_error_that_is_its_own_cause(self) -> None:
        """An error that is raised from itself ends its test like any other."""

        class Failing(Shop):
            def test_it(self) -> None:
                try:
                    raise ZeroDivisionError("in the test")
                except ZeroDivisionError as error:
                    raise error from error

        self.assert_problems("ZeroDivisionError: in the test", of=Failing)


class TestHooksInMemory(TestHooks):
    """The same on SQLite in memory."""

    database = "sqlite"


if __name__ == "__main__":
    unittest.main()

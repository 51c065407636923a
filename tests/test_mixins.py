"""What the mixins do by themselves; test_cases.py shows them together."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import unittest
from collections.abc import AsyncIterator, Callable
from typing import Any
from unittest import mock

import sqlalchemy as sa
from flask import Flask

from dbtestcase import (
    DatabaseTestCase,
    EngineMixin,
    FlaskMixin,
    MetadataSchema,
    SandboxConflict,
    SandboxMixin,
    SetUpError,
    UnsafeDatabaseError,
    requires,
)

from .support import no_settings, run

metadata = sa.MetaData()
item = sa.Table(
    "item",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text),
)


def setUpModule() -> None:
    unittest.enterModuleContext(no_settings())


class TestEngineMixin(unittest.TestCase):
    def test_right_of_test_case(self) -> None:
        """A mixin that unittest would never run is refused when the class is defined."""
        for mixin in (EngineMixin, FlaskMixin, SandboxMixin):
            with self.subTest(mixin.__name__), self.assertRaises(SetUpError) as caught:
                type("ShopTest", (unittest.TestCase, mixin), {})
            self.assertEqual(
                str(caught.exception),
                f"ShopTest has {mixin.__name__} to the right of TestCase, where unittest would "
                f"silently never run it. Write the mixins first: "
                f"class ShopTest({mixin.__name__}, unittest.TestCase).",
            )

    def test_left_of_test_case(self) -> None:
        """The mixins can be put beside another base class of unittest's."""

        class ShopTest(SandboxMixin, FlaskMixin, unittest.IsolatedAsyncioTestCase):
            database = "sqlite"

            async def test_it(self) -> None:
                with self.engine.connect() as connection:
                    self.assertEqual(connection.exec_driver_sql("SELECT 1").scalar(), 1)

        report = run(ShopTest)
        self.assertEqual((report.ran, report.messages), (1, []))

    def test_create_engine_as_an_instance_method(self) -> None:
        """A hook that is no class method says which decorator is missing."""

        class ShopTest(DatabaseTestCase):
            database = "sqlite"

            def create_engine(self) -> None:  # type: ignore[override]
                pass

            def test_it(self) -> None:
                raise AssertionError("not reached")

        self.assertEqual(
            run(ShopTest).messages,
            [
                "SetUpError: ShopTest.create_engine is an instance method, but it is called once "
                "for the class, before there is a test. Make it a class method: add @classmethod "
                "above it and write def create_engine(cls)."
            ],
        )

    def test_create_engine_that_raises(self) -> None:
        """An error of the hook is told with the hook's name."""

        class ShopTest(DatabaseTestCase):
            database = "sqlite"

            @classmethod
            def create_engine(cls) -> None:
                raise KeyError("DATABASE_URL")

            def test_it(self) -> None:
                raise AssertionError("not reached")

        self.assertEqual(
            run(ShopTest).messages,
            [
                "AppError: ShopTest.create_engine() raised KeyError: 'DATABASE_URL'\nNo test of "
                "ShopTest can run without its engine; the traceback above this one shows where "
                "it failed."
            ],
        )

    def test_class_is_put_back(self) -> None:
        """What the class is given is taken from it at its end, what it had is there again."""

        class ShopTest(DatabaseTestCase):
            database = "sqlite"
            engines = "the user's own"  # type: ignore[assignment]

            def test_it(self) -> None:
                self.assertEqual(list(self.engines), [None])

        before = dict(vars(ShopTest))
        self.assertEqual(run(ShopTest).messages, [])
        after = dict(vars(ShopTest))
        for each in (before, after):
            each.pop("_class_cleanups", None)
            each.pop("tearDown_exceptions", None)
        self.assertEqual(after, before)

    def test_hook_that_is_async(self) -> None:
        """A hook that nobody would await is refused."""

        class ShopTest(DatabaseTestCase):
            database = "sqlite"

            @classmethod
            async def setUpTestData(cls) -> None:  # type: ignore[override]
                pass

            def test_it(self) -> None:
                raise AssertionError("not reached")

        self.assertEqual(
            run(ShopTest).messages,
            [
                "SetUpError: ShopTest.setUpTestData is async, and would never be awaited: it is "
                "called once for the class, before there is an event loop. Write it without async."
            ],
        )

    def test_schema_that_is_none(self) -> None:
        """What is no schema is named, with what to write."""
        for schema, what in (
            (metadata, "a MetaData"),
            ("schema.sql", "a str"),
            (MetadataSchema, "a class"),
            ({None: metadata}, "a MetaData"),
        ):

            class ShopTest(DatabaseTestCase):
                database = "sqlite"

                def test_it(self) -> None:
                    raise AssertionError("not reached")

            ShopTest.schema = schema  # type: ignore[assignment,misc]
            with self.subTest(what):
                self.assertEqual(
                    run(ShopTest).messages,
                    [
                        f"SetUpError: ShopTest.schema is {what}, which is no schema. Write "
                        f"MetadataSchema(Base.metadata), or SQLSchema with the paths of SQL files."
                    ],
                )

    def test_refusal_that_is_swallowed(self) -> None:
        """A test whose program caught the refusal of another database fails all the same."""

        class ShopTest(DatabaseTestCase):
            database = "sqlite"

            def test_swallowed(self) -> None:
                with contextlib.suppress(Exception):
                    sa.create_engine("postgresql+psycopg2://x@db.example/shop").connect()

            def test_told_once(self) -> None:
                sa.create_engine("postgresql+psycopg2://x@db.example/shop").connect()

        messages = run(ShopTest).messages
        self.assertEqual(len(messages), 2, messages)
        for message in messages:
            self.assertRegex(message, '^UnsafeDatabaseError: refusing to connect to .*"shop"')

    def test_refusal_that_is_asserted(self) -> None:
        """A refusal that the test itself expects by assertRaises() was not swallowed."""

        class ShopTest(DatabaseTestCase):
            database = "sqlite"

            def connect(self) -> None:
                sa.create_engine("postgresql+psycopg2://x@db.example/shop").connect()

            def test_with(self) -> None:
                with self.assertRaises(UnsafeDatabaseError):
                    self.connect()

            def test_call(self) -> None:
                self.assertRaisesRegex(UnsafeDatabaseError, "^refusing", self.connect)

            def test_another_is_swallowed(self) -> None:
                with contextlib.suppress(Exception):
                    self.connect()
                self.assertRaises(UnsafeDatabaseError, self.connect)

        report = run(ShopTest)
        self.assertEqual(report.ran, 3)
        self.assertEqual(
            [name.split()[0] for name, _ in report.problems], ["test_another_is_swallowed"]
        )

    def test_hook_that_is_hidden(self) -> None:
        """A hook of a class to the right of ours would never be called, and is refused."""

        class Hooks:
            @classmethod
            def setUpTestData(cls) -> None:
                raise AssertionError("not reached")

        with self.assertRaises(SetUpError) as caught:
            type("ShopTest", (DatabaseTestCase, Hooks), {})
        self.assertEqual(
            str(caught.exception),
            "ShopTest would never call Hooks.setUpTestData, because Hooks stands to the right of "
            "SandboxMixin, which has one of its own. Write it first: class ShopTest(Hooks, ...).",
        )
        type("ShopTest", (Hooks, DatabaseTestCase), {})

    def test_set_up_class_that_the_runner_leaves_out(self) -> None:
        """A runner that runs single tests is told from a forgotten super()."""

        class ShopTest(DatabaseTestCase):
            database = "sqlite"

            def test_it(self) -> None:
                raise AssertionError("not reached")

        result = unittest.TestResult()
        ShopTest("test_it").run(result)
        self.assertIn(
            "SetUpError: ShopTest.setUpClass() was not called by what runs its tests, so there is "
            "no database for them. Let it run whole classes: unittest-parallel --level=class, "
            "for example.",
            result.errors[0][1],
        )

    def test_work_of_set_up_class(self) -> None:
        """What a setUpClass writes after super() stays for all tests, with either isolation."""
        for isolation in ("test", "class"):

            class ShopTest(DatabaseTestCase):
                database = "sqlite"

                @classmethod
                def setUpClass(cls) -> None:
                    super().setUpClass()
                    with cls.engine.begin() as connection:
                        connection.exec_driver_sql("CREATE TABLE item (name TEXT)")
                        connection.exec_driver_sql("INSERT INTO item VALUES ('one')")

                def test_1(self) -> None:
                    with self.engine.connect() as connection:
                        rows = connection.exec_driver_sql("SELECT name FROM item").all()
                    self.assertEqual(rows, [("one",)])

                test_2 = test_1

            ShopTest.isolation = isolation  # type: ignore[misc,assignment]
            with self.subTest(isolation):
                report = run(ShopTest)
                self.assertEqual((report.ran, report.messages, report.warned), (2, [], []))

    def test_end_that_no_exception_brings(self) -> None:
        """After an exit in a class's set-up the next class finds its door open."""

        class Outcome(BaseException):
            """As pytest.skip() raises, and Ctrl-C: no Exception, so no cleanups are called."""

        class Skipping(DatabaseTestCase):
            database = "sqlite"

            @classmethod
            def setUpTestData(cls) -> None:
                raise Outcome

        class Later(DatabaseTestCase):
            database = "sqlite"

            @classmethod
            def setUpClass(cls) -> None:
                super().setUpClass()
                raise Outcome

        class Next(DatabaseTestCase):
            database = "sqlite"

            def test_it(self) -> None:
                with self.engine.connect() as connection:
                    connection.exec_driver_sql("SELECT 1")

        for case in (Skipping, Later):
            with self.subTest(case.__name__):
                with self.assertRaises(Outcome):
                    case.setUpClass()
                self.assertEqual(run(Next).messages, [])
                self.assertNotIn("database_url", vars(case))

    def test_interrupt_in_a_test(self) -> None:
        """After Ctrl-C in a test, another class of the same process can run."""

        class Interrupted(DatabaseTestCase):
            database = "sqlite"

            def test_it(self) -> None:
                with self.engine.begin() as connection:
                    connection.exec_driver_sql("CREATE TABLE item (name TEXT)")
                raise KeyboardInterrupt

        class Next(DatabaseTestCase):
            database = "sqlite"

            def test_it(self) -> None:
                with self.engine.connect() as connection:
                    found = connection.exec_driver_sql("SELECT count(*) FROM sqlite_master")
                    self.assertEqual(found.scalar(), 0)

        with self.assertRaises(KeyboardInterrupt):
            run(Interrupted)
        self.assertEqual(run(Next).messages, [])

    def test_properties_of_the_user(self) -> None:
        """A property that has one of our names is left alone."""

        class ShopTest(DatabaseTestCase):
            database = "sqlite"

            @property
            def engine(self) -> str:  # type: ignore[override]
                return "mine"

            def test_it(self) -> None:
                self.assertEqual(self.engine, "mine")
                self.session.connection().exec_driver_sql("SELECT 1")

        self.assertEqual(run(ShopTest).messages, [])

    def test_names_that_users_have(self) -> None:
        """Methods and attributes with common private names are the user's own."""

        class ShopTest(DatabaseTestCase):
            database = "sqlite"

            def _make_app(self) -> None: ...

            def _revive(self) -> None: ...

            def _push_context(self) -> None: ...

            def setUp(self) -> None:
                self._state = "new"

            def test_it(self) -> None:
                self.session.connection().exec_driver_sql("SELECT 1")

        self.assertEqual(run(ShopTest).messages, [])

    def test_session_without_default_engine(self) -> None:
        """Engines for binds only give no session, and the error says which there are."""

        class ShopTest(DatabaseTestCase):
            database = "sqlite"

            @classmethod
            def create_engine(cls) -> dict[str, sa.Engine]:
                return {"audit": sa.create_engine(cls.database_urls["audit"])}

            def test_it(self) -> None:
                self.session.connection()

        self.assertEqual(
            run(ShopTest).messages,
            [
                "SetUpError: ShopTest.session has no engine to be bound to: create_engine() gives "
                "none for the default bind, only for 'audit'. Add one under the key None, or make "
                "sessions of your own."
            ],
        )

    def test_session_in_a_cleanup(self) -> None:
        """A cleanup that was registered before the session was read still has it."""
        seen = []

        class ShopTest(DatabaseTestCase):
            database = "sqlite"

            def setUp(self) -> None:
                self.addCleanup(lambda: seen.append(self.session is self.first))

            def test_it(self) -> None:
                self.first = self.session

        self.assertEqual(run(ShopTest).messages, [])
        self.assertEqual(seen, [True])

    def test_class_data_after_two_losses(self) -> None:
        """Where class data cannot be made anew, no test runs without them."""
        calls = []

        class ShopTest(DatabaseTestCase):
            database = "postgresql"
            schema = MetadataSchema(metadata)

            @classmethod
            def setUpTestData(cls) -> None:
                calls.append(1)
                if len(calls) == 2:
                    raise RuntimeError("not yet")
                with cls.engine.begin() as connection:
                    connection.execute(item.insert(), {"name": "one"})

            def test_1(self) -> None:
                with self.engine.connect() as connection:
                    query = "SELECT pg_terminate_backend(pg_backend_pid())"
                    connection.exec_driver_sql(query)

            def test_2(self) -> None:
                raise AssertionError("not reached")

            def test_3(self) -> None:
                with self.engine.connect() as connection:
                    self.assertEqual(len(connection.execute(item.select()).all()), 1)

        report = run(ShopTest)
        self.assertEqual(report.ran, 3)
        self.assertEqual(len(report.messages), 2)
        self.assertRegex(report.messages[0], "^OperationalError: ")
        self.assertEqual(report.messages[1], "RuntimeError: not yet")


class TestCallTestMethod(unittest.TestCase):
    """How a test method is called."""

    def test_returned_value(self) -> None:
        """unittest's warning of a returned value names the test."""

        class ShopTest(DatabaseTestCase):
            database = "sqlite"

            def test_it(self) -> int:
                return 1

        report = run(ShopTest)
        self.assertEqual(report.messages, [])
        self.assertEqual(len(report.warned), 1)
        self.assertIn("ShopTest.test_it", str(report.warned[0]))

    def test_called_by_another_class(self) -> None:
        """A base class that calls test methods in its own way does so."""
        called = []

        class Twice(unittest.TestCase):
            def _callTestMethod(self, method: Callable[[], Any]) -> None:
                method()
                method()

        class BeforeTest(Twice, DatabaseTestCase):
            database = "sqlite"

            def test_before(self) -> None:
                called.append("before")

        class AfterTest(DatabaseTestCase, Twice):
            database = "sqlite"

            def test_after(self) -> None:
                called.append("after")

        self.assertEqual(run(BeforeTest, AfterTest).messages, [])
        self.assertEqual(called, ["before", "before", "after", "after"])



class TestAsyncTests(unittest.TestCase):
    """A test that is async and never awaited would pass without being run."""

    def never_awaited(self, name: str, case: str) -> str:
        return (
            f"SetUpError: {name} is async, and would pass without being awaited. Write it without "
            f"async, or class {case}(DatabaseTestCase, unittest.IsolatedAsyncioTestCase)."
        )

    def test_method(self) -> None:
        """It is refused when its class is set up, also where another class has written it."""

        class Base(DatabaseTestCase):
            database = "sqlite"

            async def test_it(self) -> None:
                raise AssertionError("not reached")

        class ShopTest(Base):
            def test_other(self) -> None:
                raise AssertionError("not reached")

        class OverridingTest(Base):
            def test_it(self) -> None:  # type: ignore[override]
                pass

        self.assertEqual(
            run(Base, ShopTest, OverridingTest).messages,
            [self.never_awaited("Base.test_it", case) for case in ("Base", "ShopTest")],
        )

    def test_decorated(self) -> None:
        """So is one that a decorator leaves async, and a generator that is async."""

        class RequiringTest(DatabaseTestCase):
            database = "sqlite"

            @requires("sqlite")
            async def test_it(self) -> None:
                raise AssertionError("not reached")

        class PatchingTest(DatabaseTestCase):
            database = "sqlite"

            @mock.patch.dict("os.environ")
            @unittest.skipIf(False, "not skipped")
            async def test_it(self) -> None:
                raise AssertionError("not reached")

        class YieldingTest(DatabaseTestCase):
            database = "sqlite"

            async def test_it(self) -> AsyncIterator[None]:
                yield

        for case in (RequiringTest, PatchingTest, YieldingTest):
            name = case.__name__
            with self.subTest(name):
                self.assertEqual(run(case).messages, [self.never_awaited(f"{name}.test_it", name)])

    def test_hidden(self) -> None:
        """One that a decorator hides is refused when it has returned its coroutine."""

        def logged(test: Callable[..., Any]) -> Callable[..., Any]:
            def call(self: Any) -> Any:
                return test(self)

            return call

        class ShopTest(DatabaseTestCase):
            database = "sqlite"

            @logged
            async def test_it(self) -> None:
                raise AssertionError("not reached")

            def test_other(self) -> None:
                pass

        report = run(ShopTest)
        self.assertEqual(
            (report.ran, report.messages), (2, [self.never_awaited("ShopTest.test_it", "ShopTest")])
        )
        self.assertEqual(report.warned, [])  # that nobody awaited it, for one

    def test_awaited(self) -> None:
        """One that a decorator or its class awaits is run, and one that is skipped is skipped."""

        def awaited(test: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(test)
            def call(self: Any) -> None:
                asyncio.run(test(self))

            return call

        reached = []

        class ShopTest(DatabaseTestCase):
            database = "sqlite"

            @awaited
            async def test_it(self) -> None:
                reached.append(self._testMethodName)

            @unittest.skip("not today")
            async def test_skipped(self) -> None:
                raise AssertionError("not reached")

        class AsyncTest(DatabaseTestCase, unittest.IsolatedAsyncioTestCase):
            database = "sqlite"

            async def test_async(self) -> None:
                reached.append(self._testMethodName)

            async def testimony(self) -> None:
                reached.append(self._testMethodName)

        self.assertEqual(run(ShopTest, AsyncTest).messages, [])
        self.assertEqual(reached, ["test_it", "test_async", "testimony"])


class TestFlaskMixin(unittest.TestCase):
    def test_app_scope(self) -> None:
        """A scope that does not exist names those that do."""

        class ShopTest(DatabaseTestCase):
            database = "sqlite"
            app_scope = "module"  # type: ignore[assignment]

            def test_it(self) -> None:
                raise AssertionError("not reached")

        self.assertEqual(
            run(ShopTest).messages,
            ['SetUpError: ShopTest.app_scope is \'module\'. It may be "class" or "test".'],
        )

    def test_without_app(self) -> None:
        """Without a create_app there is no app, and the client says what is missing."""

        class ShopTest(DatabaseTestCase):
            database = "sqlite"

            def test_app(self) -> None:
                self.assertIsNone(self.app)

            def test_client(self) -> None:
                self.client.get("/users")

        report = run(ShopTest)
        self.assertEqual(
            report.messages,
            [
                "SetUpError: ShopTest.client has no app to send requests to: ShopTest has no "
                "create_app, and no Flask app as its class attribute app. Write one of the two; "
                "create_app is a class method that returns the app."
            ],
        )
        self.assertEqual(report.ran, 2)

    def test_client_of_an_app_that_a_test_sets(self) -> None:
        """An app that only a test knows is not the class's, but a client of its own serves."""

        class ShopTest(DatabaseTestCase):
            database = "sqlite"

            def setUp(self) -> None:
                self.app = Flask(__name__)
                self.client = self.app.test_client()

            def test_client(self) -> None:
                self.assertEqual(self.client.get("/").status_code, 404)

        self.assertEqual(run(ShopTest).messages, [])


class TestSandboxMixin(unittest.TestCase):
    def test_isolation(self) -> None:
        """A kind of isolation that does not exist names those that do."""

        class ShopTest(DatabaseTestCase):
            database = "sqlite"
            isolation = "module"  # type: ignore[assignment]

            def test_it(self) -> None:
                raise AssertionError("not reached")

        self.assertEqual(
            run(ShopTest).messages,
            ['SetUpError: ShopTest.isolation is \'module\'. It may be "test" or "class".'],
        )

    def test_set_up_test_data_as_an_instance_method(self) -> None:
        """A hook that is no class method says which decorator is missing."""

        class ShopTest(DatabaseTestCase):
            database = "sqlite"

            def setUpTestData(self) -> None:  # type: ignore[override]
                pass

            def test_it(self) -> None:
                raise AssertionError("not reached")

        self.assertEqual(
            run(ShopTest).messages,
            [
                "SetUpError: ShopTest.setUpTestData is an instance method, but it is called once "
                "for the class, before there is a test. Make it a class method: add @classmethod "
                "above it and write def setUpTestData(cls)."
            ],
        )

    def test_class_cleanup_in_set_up_test_data(self) -> None:
        """A cleanup that setUpTestData registers still has the data, and a database."""
        seen = []

        class ShopTest(DatabaseTestCase):
            database = "sqlite"

            @classmethod
            def setUpTestData(cls) -> None:
                cls.name = ["one"]
                cls.addClassCleanup(lambda: seen.append(cls.name))

            def test_it(self) -> None:
                pass

        self.assertEqual(run(ShopTest).messages, [])
        self.assertEqual(seen, [["one"]])

    def test_swallowed_conflict(self) -> None:
        """A conflict that the program swallowed is an error, in set-up and in both isolations."""

        def swallow(cls: Any) -> None:
            with contextlib.suppress(Exception), cls.engine.connect() as connection:
                connection.exec_driver_sql("VACUUM")

        class InSetUp(DatabaseTestCase):
            database = "sqlite"
            setUpTestData = classmethod(swallow)

            def test_it(self) -> None:
                raise AssertionError("not reached")

        class InTest(DatabaseTestCase):
            database = "sqlite"
            isolation = "class"

            def test_it(self) -> None:
                swallow(self)

        for case in (InSetUp, InTest):
            with self.subTest(case.__name__):
                messages = run(case).messages
                self.assertEqual(len(messages), 1, messages)
                self.assertRegex(messages[0], "^SandboxConflict: VACUUM cannot be run")

    def test_engine_first_seen_in_a_test(self) -> None:
        """An engine that a test makes is let go with it: its pool is nobody's afterwards."""
        kept: list[sa.Engine] = []

        class ShopTest(DatabaseTestCase):
            database = "sqlite"

            def test_1(self) -> None:
                kept.append(sa.create_engine(self.database_url))
                with kept[0].connect() as connection:
                    self.assertEqual(connection.exec_driver_sql("SELECT 1").scalar(), 1)

            def test_2(self) -> None:
                with self.assertRaises(UnsafeDatabaseError):
                    kept[0].pool.connect()

        self.assertEqual(run(ShopTest).messages, [])
        kept[0].dispose()

    def test_conflict_that_is_asserted(self) -> None:
        """A conflict that the test itself expects by its class is no error at its end."""

        class ShopTest(DatabaseTestCase):
            database = "sqlite"

            def test_with(self) -> None:
                with self.assertRaises(SandboxConflict) as caught, self.engine.connect() as c:
                    c.exec_driver_sql("VACUUM")
                self.assertIn("VACUUM", str(caught.exception))

            def test_one_of(self) -> None:
                with self.assertRaises((SandboxConflict, ZeroDivisionError)):
                    self.engine.connect().exec_driver_sql("VACUUM")

            def test_any_error(self) -> None:
                with self.assertRaises(Exception), self.engine.connect() as c:  # noqa: B017
                    c.exec_driver_sql("VACUUM")

            def test_text(self) -> None:
                with self.assertRaisesRegex(Exception, "VACUUM"), self.engine.connect() as c:
                    c.exec_driver_sql("VACUUM")

            def test_without_traceback(self) -> None:
                try:
                    self.engine.connect().exec_driver_sql("VACUUM")
                except Exception as error:
                    error.with_traceback(None)

            def test_its_cause(self) -> None:
                with self.assertRaises(ZeroDivisionError):
                    try:
                        with self.engine.connect() as connection:
                            connection.exec_driver_sql("VACUUM")
                    except Exception as error:
                        raise ZeroDivisionError from error

        report = run(ShopTest)
        self.assertEqual(report.ran, 6)
        self.assertEqual(
            [name.split()[0] for name, _ in report.problems],
            ["test_any_error", "test_its_cause", "test_text", "test_without_traceback"],
        )
        for message in report.messages:
            self.assertRegex(message, "^SandboxConflict: VACUUM cannot be run")

    def test_set_up_test_data_that_raises(self) -> None:
        """What it had left on the class is taken away, and its error is told as it is."""

        class ShopTest(DatabaseTestCase):
            database = "sqlite"

            kind = "own"

            @classmethod
            def setUpTestData(cls) -> None:
                cls.left = 1
                cls.kind = "set"
                raise ZeroDivisionError("in setUpTestData")

            def test_it(self) -> None:
                raise AssertionError("not reached")

        self.assertEqual(run(ShopTest).messages, ["ZeroDivisionError: in setUpTestData"])
        self.assertFalse(hasattr(ShopTest, "left"))
        self.assertEqual(ShopTest.kind, "own")


if __name__ == "__main__":
    unittest.main()

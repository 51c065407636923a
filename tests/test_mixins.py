"""What the mixins do by themselves; test_cases.py shows them together."""

from __future__ import annotations

import unittest

from dbtestcase import DatabaseTestCase, EngineMixin, FlaskMixin, SandboxMixin, SetUpError

from .support import no_settings, run


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
            ["SetUpError: ShopTest.app_scope is 'module'. It may be \"class\" or \"test\"."],
        )

    def test_without_app(self) -> None:
        """Without a create_app there is neither app nor client."""

        class ShopTest(DatabaseTestCase):
            database = "sqlite"

            def test_it(self) -> None:
                self.assertEqual((self.app, self.client), (None, None))

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
            ["SetUpError: ShopTest.isolation is 'module'. It may be \"test\" or \"class\"."],
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

    def test_set_up_test_data_that_raises(self) -> None:
        """What it had left on the class is taken away, and its error is told as it is."""

        class ShopTest(DatabaseTestCase):
            database = "sqlite"

            @classmethod
            def setUpTestData(cls) -> None:
                cls.left = 1
                raise ZeroDivisionError("in setUpTestData")

            def test_it(self) -> None:
                raise AssertionError("not reached")

        self.assertEqual(run(ShopTest).messages, ["ZeroDivisionError: in setUpTestData"])
        self.assertFalse(hasattr(ShopTest, "left"))


if __name__ == "__main__":
    unittest.main()

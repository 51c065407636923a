"""Classes that are derived from one which is stubbed do not connect for real."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
import types
import unittest
from typing import Any

import psycopg2.extensions
import snowflake.connector

from dbtestcase import ConnectionStubMixin, StubError, stub_connection
from dbtestcase.stubs.patching import for_real

from .support import run


class Plain:
    """A class in Python that connects, of a driver that nobody knows."""

    def __init__(self, database: str) -> None:
        self.database = database


class Abstract(Plain):
    """A class that looks at what is derived from it."""

    derived: list[str] = []

    def __init_subclass__(cls, *, label: str = "", **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.derived.append(label)


TARGETS: dict[str, type] = {
    "sqlite3.Connection": sqlite3.Connection,
    "psycopg2.extensions.connection": psycopg2.extensions.connection,
    "snowflake.connector.SnowflakeConnection": snowflake.connector.SnowflakeConnection,
    f"{__name__}.Plain": Plain,
    f"{__name__}.Abstract": Abstract,
}


def derived_from(base: Any) -> list[type]:
    """Derive classes in some ways."""

    class Mixin:
        pass

    class Bare(base):  # type: ignore[misc]
        pass

    class Own(base):  # type: ignore[misc]
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self.own = True

    class Several(Mixin, base):  # type: ignore[misc]
        pass

    class Slots(base, Mixin):  # type: ignore[misc]
        __slots__ = ("one",)

    class Again(Bare):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)

    return [Bare, Own, Several, Slots, Again]


class TestDerived(ConnectionStubMixin, unittest.TestCase):
    """A class that is stubbed, and what is derived from it."""

    def assertRefused(self, kind: type, target: str) -> None:
        """Fail unless objects of a class are refused."""
        with self.assertRaises(StubError) as caught:
            kind("shop")
        name = f"{kind.__module__}.{kind.__qualname__}"
        self.assertEqual(
            str(caught.exception),
            f"{name} is derived from {target}, which is stubbed, and would connect for real. Stub "
            f'it as well, by stub_connection("{name}"), or replace it in the test.',
        )

    def test_refused(self) -> None:
        """Classes that were there before, and those that are made meanwhile."""
        for target, base in TARGETS.items():
            before = derived_from(base)
            were = [(dict(vars(each)), each.__mro__) for each in before]
            with self.subTest(target), stub_connection(target, strict=False) as stub:
                held: Any = stub.connect
                for kind in (*before, *(meanwhile := derived_from(held))):
                    self.assertRefused(kind, target)
                    self.assertTrue(issubclass(kind, base))
            self.assertEqual([(dict(vars(each)), each.__mro__) for each in before], were)
            for kind, other in zip(meanwhile, before, strict=True):
                names = [each.__name__ for each in kind.__mro__]
                self.assertEqual(names, [each.__name__ for each in other.__mro__])
                self.assertEqual("__init__" in vars(kind), "__init__" in vars(other))

    def test_afterwards(self) -> None:
        """Afterwards they connect as before."""
        before = derived_from(sqlite3.Connection)
        with stub_connection("sqlite3.Connection") as stub:
            held: Any = stub.connect
            meanwhile = derived_from(held)
        later = derived_from(held)  # who has kept the stub derives from the class
        for kind in (*before, *meanwhile, *later):
            with contextlib.closing(kind(":memory:")) as connection:
                self.assertEqual(connection.execute("select 1").fetchone(), (1,))

    def test_arguments_of_a_class(self) -> None:
        """A class that looks at those derived from it does so once."""
        with stub_connection(f"{__name__}.Abstract") as stub:
            held: Any = stub.connect
            Abstract.derived.clear()

            class Labelled(held, label="one"):  # type: ignore[misc,call-arg]
                pass

        self.assertEqual(Abstract.derived, ["one"])
        self.assertEqual(Labelled.__bases__, (Abstract,))

    def test_for_real(self) -> None:
        """What may connect for real makes such objects, too."""
        kinds = derived_from(sqlite3.Connection)
        with stub_connection("sqlite3.Connection"), for_real():
            for kind in kinds:
                with contextlib.closing(kind(":memory:")) as connection:
                    self.assertEqual(connection.execute("select 1").fetchone(), (1,))

    def test_crossed(self) -> None:
        """Stubs that end in another order leave the classes as they were."""

        class Own(Plain):
            pass

        before = dict(vars(Own))
        first = stub_connection(f"{__name__}.Plain").start()
        self.addCleanup(first.stop)
        second = stub_connection(f"{__name__}.Plain").start()
        self.addCleanup(second.stop)
        first.stop()
        self.assertRaises(StubError, Own, "shop")
        second.stop()
        self.assertEqual(Own("shop").database, "shop")
        self.assertEqual(dict(vars(Own)), before)

    def test_stubbed_as_well(self) -> None:
        """A class that is derived may be stubbed, in the style of what it is derived from."""
        module = types.ModuleType("shop_of_tests")
        self.addCleanup(sys.modules.pop, module.__name__)
        sys.modules[module.__name__] = module
        exec("import sqlite3\nclass Own(sqlite3.Connection): pass", vars(module))
        self.stub_connection("sqlite3.Connection")
        stub = self.stub_connection("shop_of_tests.Own")
        stub.on("select 1").returns([(1,)])
        connection = module.Own("shop.db")
        self.assertIsInstance(connection, sqlite3.Connection)
        self.assertEqual(connection.execute("select 1").fetchone(), (1,))

    def test_swallowed(self) -> None:
        """A program that swallows the refusal fails its test."""

        class Own(Plain):
            pass

        class Swallows(ConnectionStubMixin, unittest.TestCase):
            def test(self) -> None:
                self.stub_connection(f"{__name__}.Plain")
                with contextlib.suppress(Exception):
                    Own("shop")

        messages = run(Swallows).messages
        self.assertEqual(len(messages), 1)
        self.assertIn("which is stubbed, and would connect for real", messages[0])


if __name__ == "__main__":
    unittest.main()

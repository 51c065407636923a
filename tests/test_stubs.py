"""Scripted connections: what they answer, what they refuse, and what can be asserted of them."""

from __future__ import annotations

import contextlib
import doctest
import gc
import importlib
import io
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import threading
import tracemalloc
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock
from unittest.mock import ANY

import dbtestcase.mixins.stubs
import dbtestcase.stubs
from dbtestcase import (
    ConnectionStub,
    ConnectionStubMixin,
    SetUpError,
    StubError,
    UnexpectedQueryError,
    stub_connection,
)

from .support import run

ROOT = Path(__file__).parents[1]


def load_tests(
    loader: unittest.TestLoader, tests: unittest.TestSuite, pattern: str | None
) -> unittest.TestSuite:
    """Add the examples in the docstrings."""
    folder = Path(dbtestcase.stubs.__file__).parent
    for path in sorted(folder.rglob("*.py")):
        name = ".".join(path.relative_to(folder.parents[1]).with_suffix("").parts)
        module = importlib.import_module(name.removesuffix(".__init__"))
        if ">>> " in path.read_text("utf-8"):
            tests.addTests(doctest.DocTestSuite(module))
    tests.addTests(doctest.DocTestSuite(dbtestcase.mixins.stubs))
    return tests


class StubTest(ConnectionStubMixin, unittest.TestCase):
    """Tests on connections of the style ``sqlite3``."""

    maxDiff = None

    def connected(self, **options: Any) -> tuple[ConnectionStub, Any]:
        """Give a stub, and a connection that a program made."""
        stub = self.stub_connection("sqlite3.connect", **options)
        return stub, sqlite3.connect("shop.db")

    def assertText(self, error: type[BaseException], call: Callable[[], object], text: str) -> None:
        """Fail unless an error is raised, with exactly this text."""
        with self.assertRaises(error) as caught:
            call()
        self.assertEqual(str(caught.exception), text)


class TestOn(StubTest):
    """``stub.on()``: when a statement is the one that was meant."""

    def test_what_does_not_count(self) -> None:
        """White space, the case of keywords and a semicolon at the end do not count."""
        stub, connection = self.connected()
        stub.on("select count(*), 'a  b' from Item where x>=1").returns([(3, "a  b")])
        for text in (
            "SELECT COUNT( * ),'a  b'\n\tFROM Item\nWHERE x >= 1 ;",
            "select count(*), 'a  b' from Item where x>=1",
            "Select count(*) , 'a  b' from Item where x >=1;;",
        ):
            self.assertEqual(connection.execute(text).fetchall(), [(3, "a  b")])

    def test_what_counts(self) -> None:
        """Names, strings, quoted names and comments count as they stand."""
        stub, connection = self.connected(strict=False)
        stub.on("select 'A', \"B\", name from item -- all").returns([(1, 2, 3)])
        for text in (
            "select 'a', \"B\", name from item -- all",
            "select 'A', \"b\", name from item -- all",
            "select 'A', \"B\", Name from item -- all",
            "select 'A', \"B\", name from item -- some",
            "select 'A', \"B\", name from item",
        ):
            with self.subTest(text), self.assertRaises(UnexpectedQueryError):
                connection.execute(text)

    def test_pattern(self) -> None:
        """A pattern is found anywhere in the text, also where lines are broken."""
        stub, connection = self.connected()
        stub.on(re.compile("from missing$")).raises(sqlite3.OperationalError("no such table"))
        with self.assertRaisesRegex(sqlite3.OperationalError, "no such table"):
            connection.execute("select a, b\n  from missing")

    def test_function(self) -> None:
        """A function is given the text and the parameters."""
        stub, connection = self.connected()
        stub.on(lambda text, params: "item" in text and params == (1,)).returns([("pen",)])
        self.assertEqual(connection.execute("select ? from item", (1,)).fetchone(), ("pen",))

    def test_function_that_asks_the_stub(self) -> None:
        """A function may look at what was executed."""
        stub, connection = self.connected()
        stub.on(lambda text, params: len(stub.executed) == 1).returns([("first",)])
        self.assertEqual(connection.execute("select 1").fetchone(), ("first",))

    def test_parameters(self) -> None:
        """A list and a tuple are alike; ANY stands for a value, or for all."""
        stub, connection = self.connected()
        stub.on("select ?", params=(1,)).returns([("one",)])
        stub.on("select ?", params=[2]).returns([("two",)])
        stub.on("select ?, ?", params=(ANY, 3)).returns([("any",)])
        stub.on("select :a", params={"a": ANY}).returns([("named",)])
        stub.on(re.compile("insert"), params=ANY).returns(rowcount=1)
        self.assertEqual(connection.execute("select ?", [1]).fetchone(), ("one",))
        self.assertEqual(connection.execute("select ?", (2,)).fetchone(), ("two",))
        self.assertEqual(connection.execute("select ?, ?", (b"pen", 3)).fetchone(), ("any",))
        self.assertEqual(connection.execute("select :a", {"a": 1}).fetchone(), ("named",))
        self.assertEqual(connection.execute("insert").rowcount, 1)
        self.assertEqual(connection.execute("insert ?", (1,)).rowcount, 1)

    def test_without_params_means_none(self) -> None:
        """Where no parameters are said there must be none."""
        stub, connection = self.connected(strict=False)
        stub.on(re.compile("select")).returns([(1,)])
        self.assertEqual(connection.execute("select 1", ()).fetchone(), (1,))
        with self.assertRaises(UnexpectedQueryError):
            connection.execute("select ?", (1,))

    def test_parameters_that_cannot_be_compared(self) -> None:
        """Objects whose comparison raises are other parameters."""

        class Array:
            def __eq__(self, other: object) -> bool:
                raise ValueError("ambiguous")

            def __repr__(self) -> str:
                raise ValueError("no text")

        stub, connection = self.connected(strict=False, style="pep249")
        stub.on("select ?", params=(1,)).returns([(1,)])
        with self.assertRaisesRegex(UnexpectedQueryError, "whose repr.. raises ValueError"):
            connection.cursor().execute("select ?", (Array(),))

    def test_later_goes_before_earlier(self) -> None:
        """The same statement once more takes the place of the first."""
        stub, connection = self.connected()
        stub.on("select 1").returns([("set up",)])
        stub.on("SELECT 1;").returns([("test",)])
        self.assertEqual(connection.execute("select 1").fetchone(), ("test",))

    def test_text_goes_before_pattern(self) -> None:
        """What is named exactly goes before what is described."""
        stub, connection = self.connected()
        stub.on("select 1").returns([("text",)])
        stub.on(re.compile("select")).returns([("pattern",)])
        self.assertEqual(connection.execute("select 1").fetchone(), ("text",))
        self.assertEqual(connection.execute("select 2").fetchone(), ("pattern",))

    def test_composed(self) -> None:
        """What psycopg2.sql composes may be expected, and executed."""
        from psycopg2 import sql

        stub = self.stub_connection("psycopg2.connect")
        composed = sql.SQL("select {} from item").format(sql.Identifier("name"))
        stub.on(composed).returns([("pen",)])
        connection: Any = stub.connect("dbname=shop")
        cursor = connection.cursor()
        for statement in (composed, 'SELECT "name" FROM item'):
            cursor.execute(statement)
            self.assertEqual(cursor.fetchone(), ("pen",))

    def test_no_statement(self) -> None:
        """What is no statement is refused."""
        stub, _ = self.connected()
        self.assertText(
            StubError,
            lambda: stub.on(" "),
            "stub.on() was given ' ', which is no statement. Give its text, a compiled pattern, or "
            "a function of the text and the parameters.",
        )

    def test_huge_text(self) -> None:
        """A statement of megabytes is matched, and shown by its beginning."""
        stub, connection = self.connected()
        text = f"insert into item values {', '.join(['(1, 2, 3)'] * 100_000)}"
        stub.on(text).returns(rowcount=100_000)
        self.assertEqual(connection.execute(text.replace("into", "INTO")).rowcount, 100_000)
        with self.assertRaises(UnexpectedQueryError) as caught:
            connection.execute(text + ", (4, 5, 6)")
        self.assertLess(len(str(caught.exception)), 2000)

    def test_percent_signs(self) -> None:
        """Doubled percent signs are matched as they were written."""
        stub, connection = self.connected()
        stub.on("select 10 %% 3 like 'a%%'").returns([(1,)])
        self.assertEqual(connection.execute("select 10 %% 3 like 'a%%'").fetchone(), (1,))


class TestReturns(StubTest):
    """``returns()`` and ``raises()``: what an expectation answers."""

    def test_in_turn(self) -> None:
        """Several answers are given in turn, each once."""
        stub, connection = self.connected()
        stub.on("select 1").returns([(1,)]).raises(sqlite3.OperationalError("gone")).returns([(3,)])
        self.assertEqual(connection.execute("select 1").fetchone(), (1,))
        with self.assertRaisesRegex(sqlite3.OperationalError, "gone"):
            connection.execute("select 1")
        self.assertEqual(connection.execute("select 1").fetchone(), (3,))
        self.assertText(
            UnexpectedQueryError,
            lambda: connection.execute("select 1"),
            "the stub of sqlite3.connect does not know what to answer to\n"
            "  select 1\n"
            "  without parameters\n"
            "The nearest of its 1 expectations:\n"
            "  select 1 -- without parameters (all its answers were given)\n"
            "Script it by stub.on(statement, params=...).returns(...), or correct the program.",
        )

    def test_repeats(self) -> None:
        """The last of several goes on where the test says so."""
        stub, connection = self.connected()
        stub.on("select 1").returns([("waits",)]).returns([("done",)]).repeats()
        found = [connection.execute("select 1").fetchone()[0] for _ in range(4)]
        self.assertEqual(found, ["waits", "done", "done", "done"])

    def test_function(self) -> None:
        """A function makes the answer from the parameters: rows, or how many were changed."""
        stub, connection = self.connected()
        stub.on("select ?", params=ANY).returns(lambda params: [(2 * params[0],)], columns=["n"])
        stub.on("delete ?, ?", params=ANY).returns(lambda params: len(params))
        cursor = connection.execute("select ?", (21,))
        self.assertEqual((cursor.fetchall(), cursor.description[0][0]), ([(42,)], "n"))
        self.assertEqual(connection.execute("delete ?, ?", (1, 2)).rowcount, 2)

    def test_function_that_raises(self) -> None:
        """What a function raises reaches the program, and the next statement works."""
        stub, connection = self.connected()

        def fail(params: Any) -> Any:
            raise LookupError("of the test")

        stub.on("select 1").returns(fail)
        stub.on("select 2").returns([(2,)])
        cursor = connection.cursor()
        with self.assertRaisesRegex(LookupError, "of the test"):
            cursor.execute("select 1")
        self.assertIsNone(cursor.fetchone())
        self.assertEqual(cursor.execute("select 2").fetchone(), (2,))

    def test_delay(self) -> None:
        """An answer may take its time."""
        stub, connection = self.connected()
        stub.on("select 1").returns([(1,)], delay=0.01)
        before = threading.Event()
        timer = threading.Timer(0.001, before.set)
        timer.start()
        connection.execute("select 1")
        timer.join()
        self.assertTrue(before.is_set())

    def test_dictionaries(self) -> None:
        """Rows may be dictionaries, whose keys are the columns."""
        stub, connection = self.connected()
        stub.on("select 1").returns([{"id": 1, "name": "pen"}, {"name": "ink", "id": 2}])
        cursor = connection.execute("select 1")
        self.assertEqual([column[0] for column in cursor.description], ["id", "name"])
        self.assertEqual(cursor.fetchall(), [(1, "pen"), (2, "ink")])

    def test_rows_are_the_scripts_own(self) -> None:
        """What a test or a program does to rows afterwards changes no answer."""
        stub, connection = self.connected()
        rows = [[1], [2]]
        stub.on("select 1").returns(rows)
        rows.clear()
        connection.execute("select 1").fetchall().clear()
        self.assertEqual(connection.execute("select 1").fetchall(), [(1,), (2,)])

    def test_row_that_does_not_fit(self) -> None:
        """A row needs a value for each column."""
        stub, _ = self.connected(strict=False)
        self.assertText(
            StubError,
            lambda: stub.on("select id from item").returns([(1,), (2, 3)], columns=["id"]),
            'the answer to "select id from item" has the row (2, 3) with 2 values, and 1 column: '
            "id. Give each column its value, and each value its column.",
        )
        self.assertText(
            StubError,
            lambda: stub.on("select id from item").returns([{"id": 1}, {"nr": 2}]),
            "the answer to \"select id from item\" has the row {'nr': 2}, and the columns are id. "
            "Give each column its value, and each value its column.",
        )

    def test_no_rows(self) -> None:
        """What is no list of rows is refused."""
        stub, _ = self.connected(strict=False)
        for rows, text in {
            3: "3, which is no list of rows. Write returns([(...), (...)]): a list with a tuple "
            "for each row.",
            "pen": "pen, which is no list of rows. Write returns([(...), (...)]): a list with a "
            "tuple for each row.",
            frozenset(): "frozenset(), which is no list of rows. Write returns([(...), (...)]): a "
            "list with a tuple for each row.",
        }.items():
            self.assertText(
                StubError,
                lambda rows=rows: stub.on("q").returns(rows),  # type: ignore[misc]
                f'the answer to "q" is {text}',
            )
        for row in ((), [], {}):
            self.assertText(
                StubError,
                lambda row=row: stub.on("q").returns([row]),  # type: ignore[misc]
                f'the answer to "q" has the row {row} without a value. Write returns([]) for a '
                f"result without rows, or give the row its values.",
            )
        self.assertText(
            StubError,
            lambda: stub.on("q").returns([1]),
            'the answer to "q" has the row 1, which is no row. Write a tuple for each row, with a '
            "comma where it has one value: (1,).",
        )
        self.assertText(
            StubError,
            lambda: stub.on("q").returns(columns=["id"]),
            'the answer to "q" has columns and no rows. Write returns([], columns=[...]) for a '
            "result without rows.",
        )
        self.assertText(
            StubError,
            lambda: stub.on("q").returns([(1,)], columns="id"),
            'the answer to "q" has columns="id". Write a list of names: columns=["id"].',
        )
        self.assertText(
            StubError,
            lambda: stub.on("q").returns([(1,)], columns=5),  # type: ignore[arg-type]
            'the answer to "q" has columns=5. Write a list of names: columns=["id", "name"].',
        )
        for column in (("id", 1), 1, None, (None,) * 7):
            self.assertText(
                StubError,
                lambda c=column: stub.on("q").returns([(1,)], columns=[c]),  # type: ignore[misc]
                f'the answer to "q" describes a column by {column}. Write its name, or the seven '
                f"items of PEP 249's description.",
            )

    def test_options(self) -> None:
        """Options of another type than they have are refused where they are written."""
        stub, _ = self.connected(strict=False)
        for options, text in (
            ({"rowcount": "2"}, "rowcount='2'. It must be a whole number, or left out."),
            ({"rowcount": 1.5}, "rowcount=1.5. It must be a whole number, or left out."),
            ({"lastrowid": "7"}, "lastrowid='7'. It must be a whole number, or left out."),
            ({"sfqid": 7}, "sfqid=7. It must be a text, or left out."),
            *(
                ({"delay": delay}, f"delay={delay}. Write how many seconds pass before it comes: "
                "delay=0.5.")
                for delay in (-1, "1", float("inf"), float("nan"), None)
            ),
        ):  # fmt: skip
            with self.subTest(**options):
                self.assertText(
                    StubError,
                    lambda options=options: stub.on("q").returns(**options),  # type: ignore[misc]
                    f'the answer to "q" has {text}',
                )

    def test_wrong_answer_is_swallowed(self) -> None:
        """A function's answer that is none fails the test, also where the program goes on."""

        class Swallows(ConnectionStubMixin, unittest.TestCase):
            def test(self) -> None:
                stub = self.stub_connection("sqlite3.connect")
                stub.on("select ?", params=ANY).returns(lambda params: "pen")
                with contextlib.suppress(Exception):
                    sqlite3.connect("shop.db").execute("select ?", (1,))

        self.assertEqual(
            run(Swallows).messages,
            [
                'StubError: the answer to "select ?" is pen, which is no list of rows. Write '
                "returns([(...), (...)]): a list with a tuple for each row."
            ],
        )

    def test_no_exception(self) -> None:
        """Only exceptions can be raised."""
        stub, _ = self.connected(strict=False)
        self.assertText(
            StubError,
            lambda: stub.on("q").raises("no such table"),  # type: ignore[arg-type]
            'raises() for "q" was given no such table, which is no exception. Give one, or its '
            "class.",
        )

    def test_no_answer(self) -> None:
        """An expectation without an answer cannot answer."""
        stub, connection = self.connected(strict=False)
        stub.on("select 1")
        self.assertText(
            StubError,
            lambda: connection.execute("select 1"),
            'the expectation "select 1" has no answer. Write .returns(...) or .raises(...) behind '
            "stub.on(...).",
        )

    def test_error_does_not_grow(self) -> None:
        """An error that is raised many times has the traceback of the last one."""
        stub, connection = self.connected()
        error = sqlite3.OperationalError("locked")
        stub.on("select 1").raises(error)
        for _ in range(3):
            with self.assertRaises(sqlite3.OperationalError):
                connection.execute("select 1")
        self.assertIsNone(error.__traceback__)

    def test_class_of_an_error(self) -> None:
        """An error may be given by its class."""
        stub, connection = self.connected()
        stub.on("select 1").raises(sqlite3.IntegrityError)
        with self.assertRaises(sqlite3.IntegrityError):
            connection.execute("select 1")


class TestUnexpected(StubTest):
    """What no expectation answers is an error that shows what is near."""

    def test_nearest(self) -> None:
        """The nearest expectations are shown, the same statement first."""
        stub, connection = self.connected(strict=False)
        stub.on("select name from item where id = ?", params=(1,)).returns([("pen",)])
        stub.on("select name from item").returns([])
        stub.on("delete from audit").returns()
        self.assertText(
            UnexpectedQueryError,
            lambda: connection.execute("select name from item where id = ?", (2,)),
            "the stub of sqlite3.connect does not know what to answer to\n"
            "  select name from item where id = ?\n"
            "  with the parameters (2,)\n"
            "The nearest of its 3 expectations:\n"
            "  select name from item where id = ? -- with the parameters (1,)\n"
            "  select name from item -- without parameters\n"
            "  delete from audit -- without parameters\n"
            "Script it by stub.on(statement, params=...).returns(...), or correct the program.",
        )

    def test_nothing_scripted(self) -> None:
        """A stub without a script says so."""
        _, connection = self.connected()
        self.assertText(
            UnexpectedQueryError,
            lambda: connection.execute("select 1"),
            "the stub of sqlite3.connect does not know what to answer to\n"
            "  select 1\n"
            "  without parameters\n"
            "It has no expectations at all.\n"
            "Script it by stub.on(statement, params=...).returns(...), or correct the program.",
        )

    def test_nothing_near(self) -> None:
        """A script without anything like it says so."""
        stub, connection = self.connected(strict=False)
        stub.on("vacuum").returns()
        with self.assertRaisesRegex(UnexpectedQueryError, "None of its 1 expectations is like it"):
            connection.execute("select 1 from quite_another_place")

    def test_swallowed(self) -> None:
        """A test whose program swallows the error fails with it at its end."""

        class Swallows(ConnectionStubMixin, unittest.TestCase):
            def test(self) -> None:
                self.stub_connection("sqlite3.connect")
                with contextlib.suppress(Exception):
                    sqlite3.connect("shop.db").execute("select 1")

        report = run(Swallows)
        self.assertEqual(len(report.problems), 1)
        self.assertTrue(report.messages[0].startswith("UnexpectedQueryError: the stub of sqlite3"))

    def test_asserted(self) -> None:
        """A test that asserts it has looked at it."""

        class Asserts(ConnectionStubMixin, unittest.TestCase):
            def test(self) -> None:
                self.stub_connection("sqlite3.connect")
                with self.assertRaises(UnexpectedQueryError):
                    sqlite3.connect("shop.db").execute("select 1")

        self.assertEqual(run(Asserts).messages, [])

    def test_told_once(self) -> None:
        """A test that fails with it does not fail with it again."""

        class Fails(ConnectionStubMixin, unittest.TestCase):
            def test(self) -> None:
                stub = self.stub_connection("sqlite3.connect")
                stub.on("select 2").returns([(2,)])
                sqlite3.connect("shop.db").execute("select 1")

            def test_wrapped(self) -> None:
                self.stub_connection("sqlite3.connect")
                try:
                    sqlite3.connect("shop.db").execute("select 1")
                except Exception as error:
                    raise RuntimeError("of the program") from error

        self.assertEqual(len(run(Fails).problems), 2)

    def test_told_once_outside_the_test_method(self) -> None:
        """So it is for what unittest runs around the test's method, and in a ``subTest()``."""

        def execute(number: int = 1) -> None:
            sqlite3.connect("shop.db").execute(f"select {number}")

        class Fails(ConnectionStubMixin, unittest.TestCase):
            def setUp(self) -> None:
                self.stub = self.stub_connection("sqlite3.connect")
                self.stub.on("select 3").returns([(3,)])

        class InSetUp(Fails):
            def setUp(self) -> None:
                super().setUp()
                execute()

            def test(self) -> None:
                """Never run."""

        class SkipsInSetUp(Fails):
            def setUp(self) -> None:
                super().setUp()
                self.skipTest("not today")

            def test(self) -> None:
                """Never run."""

        class InTearDown(Fails):
            def tearDown(self) -> None:
                execute()

            def test(self) -> None:
                """Do nothing."""

        class InCleanup(Fails):
            def test(self) -> None:
                self.addCleanup(execute)

        class InSubTest(Fails):
            def test(self) -> None:
                for number in (1, 2):
                    with self.subTest(number):
                        execute(number)

        class InAsyncSetUp(ConnectionStubMixin, unittest.IsolatedAsyncioTestCase):
            async def asyncSetUp(self) -> None:
                self.stub_connection("sqlite3.connect")
                execute()

            async def test(self) -> None:
                """Never run."""

        class InSetUpClass(Fails):
            @classmethod
            def setUpClass(cls) -> None:
                cls.stub_connection("sqlite3.connect").on("select 3").returns([(3,)])
                execute()

            def test(self) -> None:
                """Never run."""

        for case, count in {
            InSetUp: 1,
            SkipsInSetUp: 0,
            InTearDown: 1,
            InCleanup: 1,
            InSubTest: 2,
            InAsyncSetUp: 1,
            InSetUpClass: 1,
        }.items():
            with self.subTest(case.__name__):
                kinds = [type(error) for _, error in run(case).problems]
                self.assertEqual(kinds, [UnexpectedQueryError] * count)

    def test_told_once_by_pytest(self) -> None:
        """A fixture of pytest's does not tell again what its test has failed with."""
        script = """
            import sqlite3
            import pytest
            from dbtestcase import stub_connection

            @pytest.fixture
            def stub():
                with stub_connection("sqlite3.connect") as stub:
                    yield stub

            def test_fails(stub):
                stub.on("select 2").returns([(2,)])
                sqlite3.connect("shop.db").execute("select 1")

            def test_swallows(stub):
                try:
                    sqlite3.connect("shop.db").execute("select 1")
                except Exception:
                    pass

            def test_leaves_one(stub):
                stub.on("select 2").returns([(2,)])
        """
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "test_of_pytest.py")
            path.write_text(textwrap.dedent(script))
            done = subprocess.run(
                [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", path],
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                capture_output=True,
                text=True,
            )
        told = re.findall(r"^(\w+) \S*::test_(\w+)", done.stdout, re.M)
        expected = [("FAILED", "fails"), ("ERROR", "swallows"), ("ERROR", "leaves_one")]
        self.assertEqual(told, expected, done.stdout)
        self.assertIn("1 failed, 2 passed, 2 errors", done.stdout)

    def test_swallowed_in_a_failing_set_up(self) -> None:
        """What led to another error is told beside it, as nothing else says so."""

        class Shared(ConnectionStubMixin, unittest.TestCase):
            @classmethod
            def setUpClass(cls) -> None:
                cls.stub_connection("sqlite3.connect")
                with contextlib.suppress(Exception):
                    sqlite3.connect("shop.db").execute("select 1")
                raise LookupError("nothing was found")

            def test(self) -> None:
                """Never run."""

        kinds = [type(error) for _, error in run(Shared).problems]
        self.assertEqual(kinds, [LookupError, UnexpectedQueryError])

    def test_unused(self) -> None:
        """What was scripted and never came fails the test at its end."""

        class Unused(ConnectionStubMixin, unittest.TestCase):
            def test(self) -> None:
                stub = self.stub_connection("sqlite3.connect")
                stub.on("select 1").returns([(1,)])
                stub.on("select 2", params=(3,)).returns([(1,)])
                stub.on("select 4").returns([(1,)]).returns([(2,)])
                connection = sqlite3.connect("shop.db")
                connection.execute("select 1")
                connection.execute("select 4")

        [message] = run(Unused).messages
        self.assertEqual(
            message,
            "AssertionError: 2 of 3 expectations of the stub of sqlite3.connect were never used:\n"
            "  select 2 -- with the parameters (3,)\n"
            "  select 4 -- without parameters (answered 1 of 2 times)\n"
            "Executed was:\n"
            "  select 1\n"
            "  select 4\n"
            "Take them out, or write strict=False where a test need not use all of them.",
        )

    def test_not_strict(self) -> None:
        """``strict=False`` lets them be; what is unexpected is an error all the same."""

        class Relaxed(ConnectionStubMixin, unittest.TestCase):
            def test(self) -> None:
                stub = self.stub_connection("sqlite3.connect", strict=False)
                stub.on("select 1").returns([(1,)])

        self.assertEqual(run(Relaxed).messages, [])


class TestAssertions(StubTest):
    """The assertions pass for what happened, and show what happened where they fail."""

    def setUp(self) -> None:
        self.stub, self.connection = self.connected(strict=False)
        self.stub.on("select 1").returns([(1,)])
        self.stub.on("insert ?", params=ANY).returns(rowcount=1)

    def test_executed(self) -> None:
        """A statement was executed, so often, with these parameters."""
        self.connection.execute("select 1")
        self.connection.execute("insert ?", (1,))
        self.connection.execute("insert ?", (2,))
        self.assertExecuted(self.stub, "SELECT 1;")
        self.assertExecuted(self.stub, "insert ?", times=2)
        self.assertExecuted(self.stub, "insert ?", (2,), times=1)
        self.assertExecuted(self.stub, re.compile("^insert"), params=(ANY,))
        self.assertExecuted(self.stub, "select 1", None)
        self.assertExecuted(self.stub, lambda text, params: params == (1,))
        shown = (
            "\nExecuted was:\n  select 1\n  insert ? -- with the parameters (1,)\n"
            "  insert ? -- with the parameters (2,)"
        )
        for call, text in {
            lambda: self.assertExecuted(self.stub, "select 2"): '"select 2" was to be executed, '
            "and was not executed.",
            lambda: self.assertExecuted(self.stub, "select 1", times=2): '"select 1" was to be '
            "executed twice, and was executed once.",
            lambda: self.assertExecuted(self.stub, "insert ?", (3,)): '"insert ?" with the '
            "parameters (3,) was to be executed, and was not executed.",
            lambda: self.assertNotExecuted(self.stub, "insert ?"): '"insert ?" was not to be '
            "executed, and was, twice.",
        }.items():
            self.assertText(AssertionError, call, text + shown)
        self.assertNotExecuted(self.stub, "select 2")

    def test_nothing_executed(self) -> None:
        """Nothing is said to be nothing."""
        self.assertText(
            AssertionError,
            lambda: self.assertExecuted(self.stub, "select 1"),
            '"select 1" was to be executed, and was not executed.\nNothing was executed.',
        )

    def test_in_order(self) -> None:
        """Statements came one after the other; others may come between."""
        for number in (1, 2, 3):
            self.connection.execute("insert ?", (number,))
        self.assertExecutedInOrder(self.stub, ("insert ?", (1,)), ("insert ?", (3,)))
        self.assertExecutedInOrder(self.stub, "insert ?", "insert ?", "insert ?")
        self.assertText(
            AssertionError,
            lambda: self.assertExecutedInOrder(self.stub, ("insert ?", (2,)), ("insert ?", (1,))),
            '"insert ?" with the parameters (1,) was to be executed as number 2 of 2, after '
            '"insert ?" with the parameters (2,), and was not.\n'
            "Executed was:\n"
            "  insert ? -- with the parameters (1,)\n"
            "  insert ? -- with the parameters (2,)\n"
            "  insert ? -- with the parameters (3,)",
        )

    def test_committed(self) -> None:
        """commit() was called, after all that was changed."""
        shown = "\nExecuted was:\n  insert ? -- with the parameters (1,)"
        self.connection.execute("insert ?", (1,))
        self.assertText(
            AssertionError,
            lambda: self.assertCommitted(self.stub),
            "commit() was not called." + shown,
        )
        self.connection.commit()
        self.assertCommitted(self.stub)
        self.assertText(
            AssertionError,
            lambda: self.assertCommitted(self.stub, times=2),
            "commit() was to be called twice, and was called once." + shown + "\n  commit()",
        )
        self.connection.execute("insert ?", (1,))
        self.assertText(
            AssertionError,
            lambda: self.assertCommitted(self.stub),
            "commit() was called, and not after the last change on connection 1: insert ?"
            + shown
            + "\n  commit()\n  insert ? -- with the parameters (1,)",
        )

    def test_closed_without_commit(self) -> None:
        """A change that was lost when its connection was closed was not committed."""
        self.connection.execute("insert ?", (1,))
        self.connection.commit()
        second = sqlite3.connect("shop.db")
        second.execute("insert ?", (2,))
        second.close()
        with self.assertRaisesRegex(AssertionError, "not after the last change on connection 2"):
            self.assertCommitted(self.stub)

    def test_commit_as_a_statement(self) -> None:
        """COMMIT and ROLLBACK count as well where they are executed."""
        self.stub.on("commit").returns()
        self.stub.on("rollback").returns()
        self.connection.execute("insert ?", (1,))
        self.connection.execute("commit")
        self.assertCommitted(self.stub, times=1)
        self.connection.execute("rollback")
        self.assertRolledBack(self.stub, times=1)

    def test_rolled_back(self) -> None:
        """rollback() was called, also by a ``with`` that an error ends."""
        self.assertText(
            AssertionError,
            lambda: self.assertRolledBack(self.stub),
            "rollback() was not called.\nNothing was executed.",
        )
        with self.assertRaises(LookupError), self.connection:
            self.connection.execute("insert ?", (1,))
            raise LookupError
        self.assertRolledBack(self.stub, times=1)
        self.assertEqual((self.stub.commits, self.stub.rollbacks), (0, 1))

    def test_closed(self) -> None:
        """All connections were closed; those that were not are named by their line."""
        second = sqlite3.connect("shop.db")
        self.connection.close()
        with self.assertRaises(AssertionError) as caught:
            self.assertClosed(self.stub)
        self.assertRegex(
            str(caught.exception),
            r"^1 of 2 connections was not closed:\n  connection 2, made at .*test_stubs\.py:\d+\n",
        )
        second.close()
        self.assertClosed(self.stub)
        other = self.stub_connection("psycopg2.connect")
        self.assertText(
            AssertionError,
            lambda: self.assertClosed(other),
            "No connection was made, so none was closed.\nNothing was executed.",
        )

    def test_several_connections(self) -> None:
        """Messages tell connections apart where there are several."""
        self.connection.execute("select 1")
        sqlite3.connect("shop.db").execute("select 1")
        with self.assertRaisesRegex(AssertionError, r"\n  \[connection 2\] select 1$"):
            self.assertExecuted(self.stub, "select 2")

    def test_bounded_history(self) -> None:
        """What is not kept any more cannot be asserted."""
        self.stub.keep_history = 2
        for _ in range(5):
            self.connection.execute("select 1")
        self.assertEqual(len(self.stub.executed), 2)
        self.assertExecuted(self.stub, "select 1")
        text = (
            "the stub of sqlite3.connect keeps the last 2 of the 5 things that happened, so "
            "nobody knows what was executed before. Give stub_connection() a larger keep_history, "
            "or None for all."
        )
        for call in (
            lambda: self.assertNotExecuted(self.stub, "select 2"),
            lambda: self.assertExecuted(self.stub, "select 2"),
            lambda: self.assertExecuted(self.stub, "select 1", times=5),
            lambda: self.assertExecutedInOrder(self.stub, "select 1"),
        ):
            self.assertText(StubError, call, text)

    def test_parameters_are_those_of_the_time(self) -> None:
        """A list that the program changes afterwards is shown as it was."""
        params = [1]
        self.connection.execute("insert ?", params)
        params[0] = 2
        self.assertExecuted(self.stub, "insert ?", (1,))

    def test_connect_is_a_mock(self) -> None:
        """``stub.connect`` is asked as a Mock is, and may be told to fail."""
        self.stub.connect.assert_called_once_with("shop.db")
        self.assertEqual(self.stub.connect.call_count, 1)
        self.stub.connect.side_effect = sqlite3.OperationalError("unable to open")
        with self.assertRaisesRegex(sqlite3.OperationalError, "unable to open"):
            sqlite3.connect("shop.db")
        with self.assertRaises(AssertionError):
            self.stub.connect.assert_called_once_with("shop.db")
        with self.assertRaisesRegex(
            AttributeError, "connect.timeout cannot be set while sqlite3.connect is stubbed"
        ):
            self.stub.connect.timeout = 1


class TestLife(StubTest):
    """Stubs begin and end, whatever happens."""

    def test_put_back_after_an_error(self) -> None:
        """The driver's function is back after an error in the ``with``."""
        real = sqlite3.Connection
        before = sqlite3.connect
        with self.assertRaises(LookupError), stub_connection("sqlite3.connect") as stub:
            stub.on("select 1").returns([(1,)])
            raise LookupError
        self.assertIs(sqlite3.connect, before)
        self.assertIs(sqlite3.Connection, real)

    def test_stop_twice(self) -> None:
        """Stopping twice is no error, starting twice is one."""
        stub = stub_connection("sqlite3.connect").start()
        stub.stop()
        stub.stop()
        self.assertText(
            StubError,
            stub.start,
            "the stub of sqlite3.connect was started already, and a stub is used once. Make "
            "another by stub_connection().",
        )

    def test_nested(self) -> None:
        """The inner one of two stubs answers, and the outer one after it."""
        before = sqlite3.connect
        with stub_connection("sqlite3.connect") as outer:
            outer.on("select 1").returns([("outer",)])
            with stub_connection("sqlite3.connect") as inner:
                inner.on("select 1").returns([("inner",)])
                self.assertEqual(sqlite3.connect("x").execute("select 1").fetchone(), ("inner",))
            self.assertEqual(sqlite3.connect("x").execute("select 1").fetchone(), ("outer",))
            self.assertEqual(outer.connect.call_count, 1)
        self.assertIs(sqlite3.connect, before)

    def test_crossed(self) -> None:
        """Two stubs that end in the wrong order leave the driver's function behind."""
        before = sqlite3.connect
        first = stub_connection("sqlite3.connect").start()
        second = stub_connection("sqlite3.connect").start()
        first.stop()
        self.assertIs(sqlite3.connect, second.connect)
        second.stop()
        self.assertIs(sqlite3.connect, before)

    def test_kept_connection(self) -> None:
        """A connection that outlives its test says so, and may be closed."""
        with stub_connection("sqlite3.connect") as stub:
            stub.on("select 1").returns([(1,)])
            connection = sqlite3.connect("shop.db")
            cursor = connection.execute("select 1")
        text = (
            "the stub of sqlite3.connect has ended, and the program still uses a connection or a "
            "connect() of it. It keeps them in a global or on an object that outlives the test: "
            "make a new one in each test, or let the test reset it."
        )
        for call in (
            lambda: cursor.execute("select 1"),
            lambda: connection.cursor(),
            lambda: stub.connect("shop.db"),
        ):
            self.assertText(StubError, call, text)
        connection.close()

    def test_of_a_class(self) -> None:
        """A stub of ``setUpClass`` lasts as long as the class, and is checked at its end."""
        before = sqlite3.connect

        class Shared(ConnectionStubMixin, unittest.TestCase):
            stub: ConnectionStub

            @classmethod
            def setUpClass(cls) -> None:
                cls.stub = cls.stub_connection("sqlite3.connect")
                cls.stub.on("select 1").returns([(1,)])
                cls.stub.on("select 2").returns([(1,)])

            def test_one(self) -> None:
                sqlite3.connect("shop.db").execute("select 1")

            def test_two(self) -> None:
                self.assertExecuted(self.stub, "select 1")

        report = run(Shared)
        self.assertIs(sqlite3.connect, before)
        self.assertEqual(report.ran, 2)
        self.assertEqual(len(report.problems), 1)
        self.assertIn("1 of 2 expectations", report.messages[0])

    def test_wrong_arguments_of_assertions(self) -> None:
        """An assertion that would pass for every program is refused."""
        stub, _ = self.connected()
        wrong = "which is no statement. Give its text, a compiled pattern, or a function of the"
        for call, text in (
            (
                lambda: self.assertExecuted(stub, 5),  # type: ignore[arg-type]
                f"assertExecuted() was given 5, {wrong} text and the parameters.",
            ),
            (
                lambda: self.assertNotExecuted(stub, ""),
                f"assertNotExecuted() was given '', {wrong} text and the parameters.",
            ),
            (
                lambda: self.assertExecutedInOrder(stub, "select 1", b"select 2"),  # type: ignore[arg-type]
                f"assertExecutedInOrder() was given b'select 2', {wrong} text and the parameters.",
            ),
            (
                lambda: self.assertExecutedInOrder(stub),
                "assertExecutedInOrder() was given no statement, and would always pass. Give it "
                "those that are to be executed, in their order.",
            ),
            *(
                (
                    lambda times=times: self.assertCommitted(stub, times=times),  # type: ignore[misc]
                    f"times={times!r} is no number of times. Write 0 or more, or leave it out for "
                    f"at least once.",
                )
                for times in (-1, "1", True)
            ),
        ):
            with self.subTest(text[:40]):
                self.assertText(StubError, call, text)

    def test_threads(self) -> None:
        """Threads execute at once, each on its connection, and nothing is lost."""
        stub = self.stub_connection("sqlite3.connect")
        stub.on("select ?", params=ANY).returns(lambda params: [params])
        wrong: list[Any] = []

        def work(number: int) -> None:
            connection = sqlite3.connect("shop.db")
            for turn in range(200):
                row = connection.execute("select ?", (number * turn,)).fetchone()
                if row != (number * turn,):
                    wrong.append(row)
            connection.close()

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])
        self.assertExecuted(stub, "select ?", times=1600)
        self.assertEqual(stub.connect.call_count, 8)
        self.assertClosed(stub)

    def test_other_thread(self) -> None:
        """A connection of another thread is refused as sqlite3 refuses it."""
        _, connection = self.connected()
        found: list[str] = []

        def use() -> None:
            try:
                connection.execute("select 1")
            except sqlite3.ProgrammingError as error:
                found.append(str(error))

        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
        self.assertTrue(found[0].startswith("SQLite objects created in a thread can only be used"))

    def test_fork(self) -> None:
        """A forked process goes on with a copy of the stub, also where a thread was executing."""
        stub, connection = self.connected()
        stub.on("select 1").returns([(1,)])
        connection.execute("select 1")
        held, let_go = threading.Event(), threading.Event()

        def hold() -> None:
            with stub._lock:
                held.set()
                let_go.wait(10)

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait(10)
        child = os.fork()
        if not child:
            status = 1
            try:
                found = connection.execute("select 1").fetchone()
                status = 0 if found == (1,) and len(stub.executed) == 2 else 2
            finally:
                os._exit(status)
        let_go.set()
        thread.join()
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        self.assertExecuted(stub, "select 1", times=1)

    def test_memory_is_flat(self) -> None:
        """100,000 executions leave no more behind than a thousand, where the history is bounded."""
        stub = self.stub_connection("sqlite3.connect", keep_history=100)
        stub.on("select ?", params=ANY).returns([(1,)])
        connection = sqlite3.connect("shop.db")

        def execute(times: int) -> None:
            for number in range(times):
                connection.execute("select ?", (number,)).fetchall()

        execute(1000)
        gc.collect()
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        before = tracemalloc.get_traced_memory()[0]
        execute(100_000)
        gc.collect()
        self.assertLess(tracemalloc.get_traced_memory()[0] - before, 50_000)

    def test_what_it_costs(self) -> None:
        """The command that measures runs; what it measures is no matter here."""
        from examples.performance import stubs

        before = dict(sys.modules)
        self.addCleanup(lambda: [sys.modules.pop(name) for name in {*sys.modules} - {*before}])
        with (
            mock.patch.multiple(stubs, TIMES=2, ROUNDS=1, MODULES=len(before) + 3),
            contextlib.redirect_stdout(io.StringIO()) as printed,
        ):
            stubs.main()
        self.assertEqual(len(printed.getvalue().splitlines()), 9)

    def test_many_connects(self) -> None:
        """Connections that were closed are not kept, nor are their calls."""
        stub = self.stub_connection("sqlite3.connect", keep_history=10)
        for _ in range(50):
            sqlite3.connect("shop.db").close()
        self.assertLessEqual(len(stub.connect.call_args_list), 10)
        self.assertEqual(stub.connections, 50)
        self.assertClosed(stub)

    def test_nothing_is_started(self) -> None:
        """A test with the mixin alone starts no thread, no process and no server."""
        script = (
            "import os, sqlite3, sys, threading, unittest\n"
            "seen = []\n"
            "names = ('socket.connect', 'subprocess.Popen', 'os.posix_spawn', 'os.fork')\n"
            "sys.addaudithook(lambda name, args: seen.append(name) if name in names else None)\n"
            "from dbtestcase import ConnectionStubMixin\n"
            "class T(ConnectionStubMixin, unittest.TestCase):\n"
            "    def test(self):\n"
            "        stub = self.stub_connection('sqlite3.connect')\n"
            "        stub.on('select 1').returns([(1,)])\n"
            "        sqlite3.connect('x').execute('select 1')\n"
            "before = os.listdir('/proc/self/fd') if os.path.isdir('/proc/self/fd') else []\n"
            "ok = T('test').run().wasSuccessful()\n"
            "after = os.listdir('/proc/self/fd') if os.path.isdir('/proc/self/fd') else []\n"
            "print(ok, seen, threading.active_count(), len(after) - len(before))\n"
        )
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "DBTESTCASE_DATABASE": "no://thing"}
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd="/",
            env=environment,
            capture_output=True,
            text=True,
        )
        self.assertEqual((done.stdout, done.stderr), ("True [] 1 0\n", ""))

    def test_right_of_test_case(self) -> None:
        """The mixin stands left of ``TestCase``."""

        def define() -> None:
            class Wrong(unittest.TestCase, ConnectionStubMixin):  # type: ignore[misc]
                pass

        self.assertText(
            SetUpError,
            define,
            "Wrong has ConnectionStubMixin to the right of TestCase. Write the mixins first: "
            "class Wrong(ConnectionStubMixin, unittest.TestCase).",
        )


class TestTargets(StubTest):
    """What can be stubbed, and what is said of what cannot."""

    def test_near_names(self) -> None:
        """A target that is not there is told, with the near name."""
        for target, text in {
            "sqlite3.conect": 'there is no "conect" in sqlite3, so sqlite3.conect cannot be '
            'stubbed. Did you mean "sqlite3.connect"?',
            "sqlite3.dbapi2.Connect": 'there is no "Connect" in sqlite3.dbapi2, so '
            'sqlite3.dbapi2.Connect cannot be stubbed. Did you mean "sqlite3.dbapi2.connect"?',
            "sqlite3.qqqqqq": 'there is no "qqqqqq" in sqlite3, so sqlite3.qqqqqq cannot be '
            "stubbed. Look up in its documentation where sqlite3 has it.",
            "sqlit3.connect": 'there is no module "sqlit3", so sqlit3.connect cannot be stubbed. '
            'Did you mean "sqlite3"?',
            "qqqqqq.connect": 'there is no module "qqqqqq", so qqqqqq.connect cannot be stubbed. '
            "Install the package that brings it, or correct the path.",
            "connect": '"connect" is no dotted path of something in a module. Write '
            '"snowflake.connector.connect", for example, or give the function itself.',
            "sqlite3.version": "sqlite3.version is a str, and cannot be called: no program "
            "connects by it. Name the function or the class that the program calls to connect.",
            "sqlite3.dbapi2": "sqlite3.dbapi2 is a module, and cannot be called: no program "
            "connects by it. Name the function or the class that the program calls to connect.",
        }.items():
            with self.subTest(target):
                self.assertText(StubError, lambda t=target: stub_connection(t), text)  # type: ignore[misc]

    def test_of_python(self) -> None:
        """What is replaced everywhere had better be a driver's."""
        for target, shown in (("builtins.print", "builtins.print"), (int, "<class 'int'>")):
            self.assertText(
                StubError,
                lambda target=target: stub_connection(target),  # type: ignore[misc]
                f"{shown} is a part of Python, and no program connects by it. Name the function or "
                f"the class of the driver that the program calls to connect.",
            )
        self.assertText(
            StubError,
            lambda: stub_connection(None),
            "None is nothing, and cannot be called: no program connects by it. Name the function "
            "or the class that the program calls to connect.",
        )
        method = {}.get
        self.assertText(
            StubError,
            lambda: stub_connection(method),
            f"{method!r} is a method of one object, which Python makes anew each time it is read, "
            f"so the places that hold it cannot be found. Name the function or the class that the "
            f"program calls to connect.",
        )

    def test_options(self) -> None:
        """Options of another type than they have are refused."""
        for options, text in (
            ({"strict": "no"}, "strict=no is neither True nor False. Write strict=False where a "
             "test need not use all expectations."),
            ({"style": ""}, 'there is no style "" for scripted connections. There are "pep249", '
             '"psycopg2", "snowflake" and "sqlite3".'),
            *(
                ({"keep_history": keep}, f"keep_history={keep} is no number of executions. Write "
                 "how many are kept for the assertions, keep_history=1000, or None for all.")
                for keep in ("ten", -1, 1.5, True)
            ),
        ):  # fmt: skip
            with self.subTest(**options):
                self.assertText(
                    StubError,
                    lambda options=options: stub_connection("sqlite3.connect", **options),  # type: ignore[misc]
                    text,
                )

    def test_bound_method(self) -> None:
        """A bound method cannot be found again, and its function is named."""
        self.assertRaisesRegex(
            StubError,
            "is a bound method, .* Name the function: tests.test_stubs.StubTest.connected",
            stub_connection,
            self.connected,
        )

    def test_style(self) -> None:
        """A style that is not there is told, with the near name."""
        self.assertText(
            StubError,
            lambda: stub_connection("sqlite3.connect", style="psycopg"),
            'there is no style "psycopg" for scripted connections. Did you mean "psycopg2"? There '
            'are "pep249", "psycopg2", "snowflake" and "sqlite3".',
        )


if __name__ == "__main__":
    unittest.main()

"""A suite as people write it, ported: each test ends as it does on real connections."""

from __future__ import annotations

import ast
import contextlib
import difflib
import io
import re
import unittest
from typing import ClassVar
from unittest import mock

from .ports import __main__ as command
from .ports.bugs import BUGS
from .ports.copies import HERE, MODULES, Outcomes, Workshop, run
from .ports.figures import Tally, tallied
from .support import no_settings

#: What production ends with, where the port says at once that real connections would differ.
TOLD = {"ApiTest.test_announce": ("AssertionError", "UncommittedDataWarning")}

#: The tests for bugs that pass with the bug where all sessions are one, which is what Flask 3.1
#: does with a context that setUp() pushes. The bugs of the first list, no test finds there.
HIDDEN_BY_CREATE_ALL = {
    "a commit in the wrong place": ["CommentTest.test_count"],
    "an object of a closed session": ["TagTest.test_sidebar"],
    "a lazy load in a stream": ["StreamTest.test_export"],
    "g left over from another request": ["LoginTest.test_locale"],
    "a thread is given an object of the session": ["MailTest.test_welcome"],
    "a teardown function that comes too late": ["PostTest.test_like"],
}
HIDDEN_BY_CREATE_ALL_IN_ONE_TEST = {"a forgotten commit": ["RegistrationTest.test_confirm"]}

#: The only bug that the recipe finds.
FOUND_BY_THE_RECIPE = ["a rollback that undoes too much"]


def setUpModule() -> None:
    unittest.enterModuleContext(no_settings(DBTESTCASE_DATABASE="postgresql"))


class PortTest(unittest.TestCase):
    """Runs copies, each of them once."""

    maxDiff = None
    workshop: ClassVar[Workshop]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.workshop = cls.enterClassContext(Workshop())


class TestTexts(unittest.TestCase):
    """What the port changes, and what the bugs are."""

    def test_difference(self):
        """The port is the same text, with another base class and no setUp() and tearDown()."""
        original = (HERE / "suite" / "base.py").read_text().splitlines()
        port = (HERE / "bases" / "port.py").read_text().splitlines()
        changes = [
            line for line in difflib.ndiff(original, port) if line[0] in "+-" and line[2:].strip()
        ]
        self.assertEqual(
            [line for line in changes if line[0] == "+"],
            [
                "+ from dbtestcase import DatabaseTestCase",
                "+ from ..blog import create_app",
                "+ class BlogTest(Helpers, DatabaseTestCase):",
            ],
        )
        self.assertEqual(
            [line for line in changes if line[0] == "-"],
            [
                "- import unittest",
                "- from ..blog import create_app, db",
                "- class BlogTest(Helpers, unittest.TestCase):",
                "-     def setUp(self):",
                "-         self.app = self.create_app()",
                "-         self.context = self.app.app_context()",
                "-         self.context.push()",
                "-         db.create_all()",
                "-         self.client = self.app.test_client()",
                "-     def tearDown(self):",
                "-         db.session.remove()",
                "-         db.drop_all()",
                "-         db.engine.dispose()",
                "-         self.context.pop()",
            ],
        )

    def test_size(self):
        """The suite has 60 tests or more, and none of them knows this library."""
        texts = [(HERE / "suite" / f"{name}.py").read_text() for name in (*MODULES, "helpers")]
        self.assertGreaterEqual(len(re.findall(r"^    def test_", "".join(texts), re.M)), 60)
        self.assertNotIn("dbtestcase", "".join(texts))

    def test_bugs(self):
        """There are twelve bugs, each changes a text that is there, and has tests of its own."""
        self.assertEqual(len(BUGS), 12)
        for bug in BUGS:
            with self.subTest(bug.name):
                source = (HERE / "blog" / bug.module).read_text()
                planted = bug.plant(source)
                self.assertNotEqual(planted, source)
                ast.parse(planted)
        tests = [test for bug in BUGS for test in bug.tests]
        self.assertEqual(len(tests), len(set(tests)))

    def test_bug_that_has_no_place(self):
        """A bug whose text the app has no more is an error, and not a copy without the bug."""
        with self.assertRaisesRegex(ValueError, "^a forgotten commit: pages.py has no lines"):
            BUGS[0].plant("def confirm(): ...")


class TestRightApp(PortTest):
    """The app as it is meant."""

    port: ClassVar[Outcomes]
    tally: ClassVar[Tally]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        with tallied() as cls.tally:
            cls.port = run(cls.workshop.copy("port"))

    def test_original(self):
        """All tests pass in the original, and in the port."""
        original = run(self.workshop.copy("original"))
        self.assertEqual(original.errors, {})
        self.assertEqual(self.port, original)

    def test_production(self):
        """All tests pass with requests as in production, and in the port."""
        production = run(self.workshop.copy("production"))
        self.assertEqual(production.errors, {})
        self.assertEqual(self.port, production)

    def test_messages(self):
        """A transaction that only reads sends nothing of ours, one that writes one message."""
        tally = self.tally
        self.assertEqual(tally.tests, len(self.port.of))
        kinds = ("only reads, follows a writer", "writes, follows a writer")
        self.assertGreater(min(len(tally.of(kind)) for kind in kinds), 100)
        self.assertEqual(tally.too_many(), [])


class TestBugs(PortTest):
    """The app with twelve bugs."""

    tests: ClassVar = {test for bug in BUGS for test in bug.tests}

    def test_production(self):
        """Each bug fails its tests on real connections, and no other test fails."""
        wanted = {test: outcome for bug in BUGS for test, outcome in bug.tests.items()}
        self.assertEqual(run(self.workshop.copy("production", BUGS)).failed, wanted)

    def assert_port_as_production(self, driver: str) -> None:
        wanted = {test: outcome for bug in BUGS for test, outcome in bug.tests.items()}
        for test, (there, here) in TOLD.items():
            self.assertEqual(wanted[test], there)
            wanted[test] = here
        classes = self.workshop.copy("port", BUGS, driver=driver)
        self.assertEqual(run(classes).failed, wanted)

    def test_port(self):
        """The port ends each test as production does, by the same exception."""
        self.assert_port_as_production("psycopg2")

    def test_port_on_psycopg(self):
        """So it does where the app connects with psycopg 3."""
        self.assert_port_as_production("psycopg")

    def test_recipe(self):
        """One connection for all sessions finds one of the twelve: the others pass with it."""
        right = run(self.workshop.copy("recipe"), self.tests).of
        wrong = run(self.workshop.copy("recipe", BUGS), self.tests).of
        found = [bug.name for bug in BUGS if any(wrong[t] != right[t] for t in bug.tests)]
        self.assertEqual(found, FOUND_BY_THE_RECIPE)
        # not because they fail in any case
        passing = [bug for bug in BUGS if "ok" in {wrong[test] for test in bug.tests}]
        self.assertEqual(len(passing), 11)

    def test_create_all(self):
        """A context that setUp() pushes is the requests' too, and hides what production shows."""
        outcomes = run(self.workshop.copy("original", BUGS), self.tests)
        hidden = {
            bug.name: [test for test in bug.tests if outcomes.of[test] == "ok"] for bug in BUGS
        }
        whole = {bug.name for bug in BUGS if hidden[bug.name] == list(bug.tests)}
        hidden = {name: tests for name, tests in hidden.items() if tests}
        self.assertEqual(hidden, HIDDEN_BY_CREATE_ALL | HIDDEN_BY_CREATE_ALL_IN_ONE_TEST)
        self.assertEqual(whole, set(HIDDEN_BY_CREATE_ALL))


class TestCommand(unittest.TestCase):
    """``python -m tests.ports``."""

    def ended(self, *arguments: str) -> tuple[object, str]:
        """Give how the command ends that runs nothing, and what it printed."""
        printed = io.StringIO()
        with (
            mock.patch("builtins.print", side_effect=AssertionError("it runs")),
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(printed),
            self.assertRaises(SystemExit) as caught,
        ):
            command.main(arguments)
        return caught.exception.code, printed.getvalue()

    def test_help(self) -> None:
        """It says what it does, and runs nothing."""
        code, printed = self.ended("--help")
        self.assertEqual(code, 0)
        self.assertTrue(printed.startswith("usage: python -m tests.ports [-h] [--rounds ROUNDS]\n"))
        self.assertIn(str(command.__doc__).strip(), printed)
        self.assertIn("how often the port and the recipe are timed (default: 7)", printed)

    def test_wrong_arguments(self) -> None:
        """What it does not know is an error."""
        for arguments in (["--fast"], ["all"], ["--rounds", "0"], ["--rounds", "many"]):
            with self.subTest(arguments):
                self.assertEqual(self.ended(*arguments)[0], 2)


if __name__ == "__main__":
    unittest.main()

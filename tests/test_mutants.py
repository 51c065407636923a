"""Every rule can still be taken out, and has tests; ``python -m tests.mutants`` runs them all."""

from __future__ import annotations

import ast
import contextlib
import io
import unittest
from collections import defaultdict
from unittest import mock

from .mutants import __main__ as command
from .mutants.edits import Edit, body, edited, path_of, swap
from .mutants.rules import DRIVERS, Rule, rule
from .mutants.running import Outcome, try_rule
from .mutants.table import RULES

SOURCE = '''\
class Stack:
    """A stack."""

    @property
    def top(self):
        """What lies on top."""
        return self.segments[-1]

    @top.setter
    def top(self, value):
        self.segments[-1] = value

    def trim(self):
        def inner():
            return 1
        return inner() + 1
'''


class TestEdits(unittest.TestCase):
    def test_body(self) -> None:
        """A function gets another body, and keeps its docstring and decorators."""
        self.assertEqual(
            edited(SOURCE, body("x:Stack.top", "return None")),
            SOURCE.replace("return self.segments[-1]", "return None"),
        )
        self.assertEqual(
            edited(SOURCE, body("x:Stack.top.setter", "pass")),
            SOURCE.replace("self.segments[-1] = value", "pass"),
        )

    def test_swap(self) -> None:
        """A piece of a definition is replaced, in an inner function too."""
        self.assertEqual(
            edited(SOURCE, swap("x:Stack.trim.inner", "1", "2")),
            SOURCE.replace("return 1", "return 2"),
        )
        self.assertEqual(
            edited(SOURCE, swap("x:", "A stack.", "No stack.")),
            SOURCE.replace("A stack.", "No stack."),
        )

    def test_drift(self) -> None:
        """A definition, or a text, that is not there exactly once is an error that names it."""
        for edit, message in (
            (swap("x:Stack.trim", "inner", "0"), "x:Stack.trim has 2 times and not once: inner"),
            (swap("x:Stack.top", "gone", "0"), "x:Stack.top has 0 times and not once: gone"),
            (body("x:Stack.gone", "pass"), "x:Stack.gone is there 0 times and not once"),
        ):
            with self.subTest(edit.where), self.assertRaises(LookupError) as caught:
                edited(SOURCE, edit)
            self.assertEqual(str(caught.exception), message)


class TestRules(unittest.TestCase):
    def test_edits_apply(self) -> None:
        """What takes a rule out changes the source as it is now, into a source that compiles."""
        for each in RULES:
            sources: dict[str, str] = {}
            for edit in each.edits:
                with self.subTest(each.name, where=edit.where):
                    path = path_of(edit.module)
                    before = sources.get(edit.module) or path.read_text("utf-8")
                    after = sources[edit.module] = edited(before, edit)
                    self.assertNotEqual(before, after)
                    compile(after, str(path), "exec")

    def test_tests_exist(self) -> None:
        """Each rule has tests that must notice, and each is there under its name."""
        defined: dict[str, set[str]] = defaultdict(set)
        for each in RULES:
            self.assertTrue(each.edits, each.name)
            self.assertTrue(each.tests, each.name)
            self.assertLessEqual(set(each.tests), set(DRIVERS), each.name)
            for names in each.tests.values():
                for name in names:
                    defined[name].add(each.name)
        loader = unittest.TestLoader()
        loader.loadTestsFromNames(list(defined))
        self.assertEqual(loader.errors, [])

    def test_names(self) -> None:
        """No name is there twice, no rule is worded as another, and no number is left out."""
        names = [each.name for each in RULES]
        self.assertEqual(len(set(names)), len(names))
        self.assertEqual(len({each.words for each in RULES}), len(RULES))
        numbers: dict[str, set[int]] = defaultdict(set)
        for name in names:
            group, _, number = name.partition(" ")
            numbers[group].add(int("".join(filter(str.isdigit, number)) or 1))
        self.assertEqual(numbers["engines"], set(range(1, 8)))
        of_statements = numbers["stack"] | numbers["statement"] | numbers["session"]
        self.assertEqual(of_statements | numbers["test"], set(range(1, 19)))


class TestCommand(unittest.TestCase):
    def test_stack(self) -> None:
        """A rule of the stack is missed by the test that is named for it, without a database."""
        rules = {each.name: each for each in RULES}
        for name, test in (
            ("stack 6h", "test_drawn_example"),
            ("stack 2e", "test_many_commits"),
            ("stack 3d", "test_asked_again"),
        ):
            with self.subTest(name):
                outcome = try_rule(rules[name], "no driver")
                self.assertEqual(
                    list(outcome.failed), [f"tests.test_segments.TestSegmentStack.{test}"]
                )

    def test_choice(self) -> None:
        """A rule, a number or a group can be chosen; 2 means 2a as well, and not 20."""
        names = [each.name for each in command.chosen(RULES, ["stack 2"])]
        self.assertIn("stack 2a", names)
        self.assertTrue(all(name.startswith("stack 2") for name in names))
        self.assertEqual([each.name for each in command.chosen(RULES, ["stack 2a"])], ["stack 2a"])
        self.assertEqual(command.chosen(RULES, []), RULES)
        self.assertEqual(command.chosen(RULES, ["nothing"]), [])

    def run_all(self, *outcomes: Outcome, complete: Outcome) -> tuple[int, str]:
        edit = Edit("x", "")
        rules = [
            rule(f"shop {n}", f"Rule {n}.", edit, each=f"shop.TestIt.test_{n}")
            for n, _ in enumerate(outcomes, 1)
        ]
        printed = io.StringIO()
        found = dict(zip([each.name for each in rules], outcomes, strict=True))

        def try_it(each: Rule, driver: str) -> Outcome:
            return found[each.name]

        with (
            mock.patch.object(command, "try_rule", try_it),
            mock.patch.object(command, "run_tests", return_value=complete),
            contextlib.redirect_stdout(printed),
        ):
            status = command.try_all(rules, None, jobs=1)
        return status, printed.getvalue().rsplit(", in ", 1)[0]

    def test_report(self) -> None:
        """Each rule is named with the first test that failed; one that none missed is an error."""
        noticed = Outcome(failed={"tests.test_shop.TestIt.test_1": "AssertionError: no"})
        hangs = Outcome(failed={"tests.test_shop.TestIt.test_2": "hangs"})
        self.assertEqual(
            self.run_all(noticed, hangs, complete=Outcome(ran=2)),
            (
                0,
                "with every rule: 2 tests\n"
                "shop 1         Rule 1.\n"
                "                 any driver  test_shop.TestIt.test_1\n"
                "shop 2         Rule 2.\n"
                "                 any driver  test_shop.TestIt.test_2 (hangs)\n"
                "2 rules, 2 times taken out, 0 times unnoticed",
            ),
        )
        status, printed = self.run_all(noticed, Outcome(ran=1), complete=Outcome(ran=2))
        self.assertEqual(status, 1)
        self.assertIn("any driver  UNNOTICED by tests.test_shop.TestIt.test_2\n", printed)

    def test_failure_with_every_rule(self) -> None:
        """A test that fails though no rule is missing proves nothing, and is named."""
        broken = Outcome(failed={"tests.test_shop.TestIt.test_1": "AssertionError: no"})
        status, printed = self.run_all(Outcome(), complete=broken)
        self.assertEqual(status, 1)
        self.assertIn("tests.test_shop.TestIt.test_1: AssertionError: no", printed)
        self.assertNotIn("UNNOTICED", printed)


class TestPackage(unittest.TestCase):
    def test_without_the_library(self) -> None:
        """The tables import nothing of the library: it must not be there before it is changed."""
        folder = path_of("tests.mutants").parent
        for path in sorted(folder.rglob("*.py")):
            tree = ast.parse(path.read_text("utf-8"))
            for node in tree.body:
                names = [a.name for a in getattr(node, "names", ())] + [getattr(node, "module", "")]
                self.assertFalse(any(str(n).startswith("dbtestcase") for n in names), path)

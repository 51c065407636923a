"""The README is right: its code runs, its errors are the library's, its commands are there."""

from __future__ import annotations

import ast
import configparser
import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import docutils.core
import docutils.nodes
import docutils.utils

from dbtestcase import errors

from . import support

ROOT = Path(__file__).parents[1]
QUICKSTART = ROOT / "examples" / "quickstart"


def read() -> docutils.nodes.document:
    """Parse the README; anything doubtful in it is an exception."""
    return docutils.core.publish_doctree(
        (ROOT / "README.rst").read_text("utf-8"),
        settings_overrides={"halt_level": 2, "report_level": 5, "input_encoding": "unicode"},
    )


def blocks(language: str) -> list[str]:
    """Give the text of each ``.. code-block:: language``."""
    return [
        node.astext()
        for node in read().findall(docutils.nodes.literal_block)
        if language in node["classes"]
    ]


def section(title: str) -> docutils.nodes.section:
    """Give the section with this title."""
    [found] = [node for node in read().findall(docutils.nodes.section) if node[0].astext() == title]
    return found


def texts() -> set[str]:
    """Give every text in the library's source, with ``…`` for what is put into it."""

    class Collect(ast.NodeVisitor):
        def __init__(self) -> None:
            self.found: set[str] = set()

        def visit_Constant(self, node: ast.Constant) -> None:
            if isinstance(node.value, str):
                self.found.add(node.value)

        def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
            self.found.add(
                "".join(
                    str(part.value) if isinstance(part, ast.Constant) else "…"
                    for part in node.values
                )
            )
            self.generic_visit(node)

    collect = Collect()
    for path in (ROOT / "dbtestcase").rglob("*.py"):
        collect.visit(ast.parse(path.read_text("utf-8")))
    return collect.found


class TestText(unittest.TestCase):
    def test_valid(self):
        """The README is valid reStructuredText, without even a warning."""
        read()

    def test_order(self):
        """A reader finds the promise, the two commands, and then how to begin."""
        titles = [
            node[0].astext()
            for node in read().findall(docutils.nodes.section)
            if isinstance(node.parent, docutils.nodes.document)
        ]
        self.assertEqual(
            titles, ["Two commands", "How it works", "Quickstart", "API", "FAQ"], read()[0].astext()
        )

    def test_public_names(self):
        """Every public name is in the API section."""
        import dbtestcase

        api = section("API").astext()
        base = {"DatabaseTestError", "DatabaseTestWarning"}
        names = (set(dbtestcase.__all__) - set(errors.__all__)) | base
        self.assertEqual({name for name in names if name not in api}, set())

    def test_errors_in_the_faq(self):
        """Each error that a heading of the FAQ quotes is in the source, word for word."""
        source = texts()
        quoted = []
        for node in section("The errors").findall(docutils.nodes.section):
            name, colon, text = node[0].astext().partition(": ")
            if not colon or name not in errors.__all__:
                continue
            quoted.append(name)
            with self.subTest(node[0].astext()):
                # what stands in quotes or between two “…” may come from several texts
                pieces = [piece.strip(" \"'.") for piece in text.split("…")]
                for piece in filter(None, pieces):
                    self.assertTrue(any(piece in known for known in source), piece)
        self.assertGreater(len(quoted), 5)

    def test_errors_are_explained(self):
        """Every error class has its entry in the FAQ."""
        titles = "\n".join(
            node[0].astext() for node in section("The errors").findall(docutils.nodes.section)
        )
        leaves = set(errors.__all__) - {"DatabaseTestError", "DatabaseTestWarning"}
        self.assertEqual({name for name in leaves if name not in titles}, set())


class TestCommands(unittest.TestCase):
    def test_two_commands(self):
        """The first two console blocks are one line each, and install what they then run."""
        examples, tests = blocks("console")[:2]
        self.assertEqual(
            examples,
            'python -m pip install -e ".[embedded,examples]"'
            " && python -m unittest discover -s examples -t .",
        )
        self.assertEqual(tests, 'python -m pip install -e ".[dev]" && python -m unittest')

    def test_extras_are_there(self):
        """setup.cfg has each extra that a command names."""
        setup = configparser.ConfigParser()
        setup.read(ROOT / "setup.cfg", "utf-8")
        named = re.findall(r"\[([\w,]+)\]", "\n".join(blocks("console")[:2]))
        for extra in ",".join(named).split(","):
            self.assertIn(extra, setup["options.extras_require"])


class TestQuickstart(unittest.TestCase):
    def test_is_the_example(self):
        """The README's quickstart is, letter for letter, the one that the suite runs."""
        app, tests, *_ = blocks("python")
        self.assertEqual(app + "\n", (QUICKSTART / "app.py").read_text("utf-8"))
        self.assertEqual(tests + "\n", (QUICKSTART / "test_app.py").read_text("utf-8"))

    def test_is_short(self):
        """It is read in a minute: less than 60 lines in all."""
        lines = [line for block in blocks("python")[:2] for line in block.splitlines()]
        self.assertLess(len(lines), 60)

    def test_runs_as_a_reader_runs_it(self):
        """Copied into a new folder as the README says, it passes."""
        app, tests, *_ = blocks("python")
        with tempfile.TemporaryDirectory() as folder:
            signup = Path(folder, "signup")
            signup.mkdir()
            for name, text in {"__init__.py": "", "app.py": app, "test_app.py": tests}.items():
                (signup / name).write_text(text, "utf-8")
            run = subprocess.run(
                [sys.executable, "-m", "unittest"],
                cwd=folder,
                # the project's name, and so that of its databases, is the folder's
                env={**os.environ, "PYTHONPATH": str(ROOT), "DBTESTCASE_DATABASE": "sqlite"},
                capture_output=True,
                text=True,
            )
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertIn("Ran 2 tests", run.stderr)

    def test_other_blocks_run(self):
        """Each further block of Python runs as it stands, in an empty folder."""
        for block in blocks("python")[2:]:
            with self.subTest(block), tempfile.TemporaryDirectory() as folder:
                run = subprocess.run(
                    [sys.executable, "-W", "error", "-c", block],
                    cwd=folder,
                    env={**os.environ, "PYTHONPATH": str(ROOT)},
                    capture_output=True,
                    text=True,
                )
                self.assertEqual(run.returncode, 0, run.stderr)

    def test_settings_block(self):
        """The setup.cfg of the README is understood, and chooses what it says."""
        from dbtestcase import settings

        [block] = blocks("ini")
        with support.no_settings(PASSWORD="geheim"), tempfile.TemporaryDirectory() as folder:
            Path(folder, "setup.cfg").write_text(block, "utf-8")
            self.assertEqual(settings.choose(directory=folder).kind, settings.Kind.MEMORY)
            os.environ["DBTESTCASE_PROFILE"] = "ci"
            chosen = settings.choose(directory=folder)
            self.assertEqual(chosen.kind, settings.Kind.SERVER)
            self.assertEqual(chosen.url.password, "geheim")


if __name__ == "__main__":
    unittest.main()

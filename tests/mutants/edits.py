"""Taking a rule out: a definition gets another source when its module is imported."""

from __future__ import annotations

import ast
import importlib.machinery
import importlib.util
import sys
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType

__all__ = ["Edit", "body", "edited", "install", "swap"]

ROOT = Path(__file__).parents[2]

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Edit:
    """A change of one definition.

    :param where: ``"sandbox.segments:SegmentStack.trim"``, below ``dbtestcase``; the setter of a
        property is ``Class.name.setter``. Without a definition: the module's whole text.
    :param old: a piece of its text, which must be there exactly once; None is all of its body
        but the docstring.
    :param new: what takes its place.
    """

    where: str
    new: str
    old: str | None = None

    @property
    def module(self) -> str:
        return f"dbtestcase.{self.where.partition(':')[0]}"

    @property
    def definition(self) -> str:
        return self.where.partition(":")[2]


def body(where: str, new: str) -> Edit:
    """Give a function another body."""
    return Edit(where, new)


def swap(where: str, old: str, new: str) -> Edit:
    """Put another text for a piece of a definition."""
    return Edit(where, new, old)


def edited(source: str, edit: Edit) -> str:
    """Give the source of a module with the change made.

    :raises LookupError: the definition, or the piece of its text, is not there exactly once.
    """
    lines = source.splitlines(keepends=True)
    first, last = 0, len(lines)
    node = None
    if edit.definition:
        node = _find(ast.parse(source), edit)
        first, last = node.lineno - 1, node.end_lineno or node.lineno
    if edit.old is None:
        assert node is not None, "only a definition has a body"
        inside = node.body[1:] if ast.get_docstring(node) is not None else node.body
        # a function that is nothing but its docstring has its end there
        first = inside[0].lineno - 1 if inside else last
        new = textwrap.indent(f"{edit.new}\n", " " * node.body[0].col_offset)
        return "".join([*lines[:first], new, *lines[last:]])
    text = "".join(lines[first:last])
    if (count := text.count(edit.old)) != 1:
        raise LookupError(f"{edit.where} has {count} times and not once: {edit.old}")
    return "".join([*lines[:first], text.replace(edit.old, edit.new), *lines[last:]])


def _find(tree: ast.Module, edit: Edit) -> Definition:
    names = edit.definition.split(".")
    setter = names[-1] == "setter"
    found: list[ast.Module | Definition] = [tree]
    for name in names[:-1] if setter else names:
        found = [inner for outer in found for inner in _defined_in(outer) if inner.name == name]
    kept = [each for each in found if isinstance(each, Definition)]
    if len(kept) > 1:
        kept = [each for each in kept if _is_setter(each) is setter]
    if len(kept) != 1:
        raise LookupError(f"{edit.where} is there {len(kept)} times and not once")
    return kept[0]


def _defined_in(node: ast.AST) -> Iterator[Definition]:
    """Give the definitions in a module, class or function, but not those in one of these."""
    for each in ast.iter_child_nodes(node):
        if isinstance(each, Definition):
            yield each
        else:
            yield from _defined_in(each)


def _is_setter(node: Definition) -> bool:
    return any(ast.unparse(each).endswith(".setter") for each in node.decorator_list)


def path_of(module: str) -> Path:
    """Give the file of a module."""
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


class _Loader(importlib.machinery.SourceFileLoader):
    """Compiles the changed source, and neither reads nor writes what is kept on the disk."""

    edits: tuple[Edit, ...] = ()

    def get_code(self, fullname: str) -> CodeType:
        source = Path(self.path).read_text("utf-8")
        for edit in self.edits:
            source = edited(source, edit)
        return compile(source, self.path, "exec", dont_inherit=True)


class _Finder:
    def __init__(self, edits: Iterable[Edit]) -> None:
        self._edits: dict[str, tuple[Edit, ...]] = {}
        for edit in edits:
            self._edits[edit.module] = (*self._edits.get(edit.module, ()), edit)

    def find_spec(
        self, fullname: str, path: object = None, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        edits = self._edits.get(fullname)
        if edits is None:
            return None
        loader = _Loader(fullname, str(path_of(fullname)))
        loader.edits = edits
        return importlib.util.spec_from_file_location(fullname, loader.path, loader=loader)


def install(edits: Iterable[Edit]) -> None:
    """Make the changes in this process, which has not imported the package yet."""
    assert "dbtestcase" not in sys.modules, "too late: the package is imported already"
    sys.meta_path.insert(0, _Finder(edits))

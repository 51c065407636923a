"""The revision files as a whole: read, named, and checked for what does not fit together."""

from __future__ import annotations

import ast
import contextlib
import os
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import MigrationError
from . import messages, private
from .directory import MigrationDirectory
from .reasons import told

if TYPE_CHECKING:
    from alembic.script import Script, ScriptDirectory

__all__ = ["History", "slug"]


def slug(revision: str) -> str:
    """Write a revision id as it may stand in the name of a method."""
    return "".join(char if char.isalnum() else "_" for char in revision)


@dataclass(frozen=True)
class Header:
    """What a file says of itself, read without running it."""

    path: Path
    revision: str
    down: tuple[str, ...]


class History:
    """The revisions of a directory and how they follow each other.

    :param directory: where the files are.
    :raises MigrationError: a file cannot be read, or they do not fit together.
    """

    def __init__(self, directory: MigrationDirectory) -> None:
        self.directory = directory
        before = list(sys.path)
        try:
            self.script: ScriptDirectory = private.script_directory(directory)
            added = sys.path[: len(sys.path) - len(before)]
            # "." as it is now: Python remembers what it has found in a relative path
            self._paths = [os.path.abspath(path) for path in added]
            sys.path[:] = [*self._paths, *before]
            self._check_headers()
            self._load()
        finally:
            sys.path[:] = before

    @contextlib.contextmanager
    def importable(self) -> Iterator[None]:
        """Let Python look where the ini says, and forget it afterwards.

        Alembic adds ``prepend_sys_path`` each time that it reads the ini, and many an env.py adds
        more.
        """
        before = list(sys.path)
        sys.path[:0] = self._paths
        try:
            yield
        finally:
            sys.path[:] = before

    def _load(self) -> None:
        try:
            with warnings.catch_warnings():
                # what Alembic warns of is an error here, see _check_headers()
                warnings.filterwarnings("ignore", module=r"alembic\.")
                self.scripts = list(reversed(list(self.script.walk_revisions())))
        except SyntaxError as error:
            raise MigrationError(
                f"cannot read {self.directory.name(error.filename or '?')}, line {error.lineno}: "
                f"{error.msg}. Correct that line."
            ) from error
        except Exception as error:
            raise MigrationError(
                f"{self.directory!r} cannot be read: {told(error).rstrip('.')}. Correct the "
                f"revision file that the traceback shows."
            ) from error

    # -- revisions ------------------------------------------------------------------------------

    @property
    def known(self) -> set[str]:
        """The ids of all revisions."""
        return {script.revision for script in self.scripts}

    def label(self, script: Script) -> str:
        """Name a revision and its file."""
        return f'revision "{script.revision}" ({self.directory.name(script.path)})'

    def heads(self) -> list[Script]:
        """Give the revisions that nothing follows."""
        found = [script for script in self.scripts if script.is_head]
        return sorted(found, key=lambda script: script.revision)

    def no_revisions(self) -> str | None:
        """Say that the history is empty, where it is."""
        if self.scripts:
            return None
        versions = self.directory.name(self.directory.scripts / "versions")
        return messages.no_revisions(repr(self.directory), versions)

    def two_heads(self) -> str | None:
        """Say that the history has several heads, where it has."""
        heads = self.heads()
        if len(heads) < 2:
            return None
        return messages.two_heads(repr(self.directory), [self.label(each) for each in heads])

    def in_order(self) -> list[Script]:
        """Give the revisions as an upgrade from base to all heads takes them."""
        steps = private.upgrade_steps(self.script, "heads", ())
        return [step.revision for step in steps]

    # -- files ----------------------------------------------------------------------------------

    def files(self) -> Iterator[Path]:
        """Give all Python files where revisions are looked for, and below."""
        versions = [str(self.directory.scripts / "versions")]
        for location in self.script.version_locations or versions:
            yield from sorted(Path(location).rglob("*.py"))

    def stray_files(self) -> list[str]:
        """Name the revision files that Alembic does not see, and so never runs."""
        seen = {Path(script.path).resolve() for script in self.scripts}
        return [
            f'{self.directory.name(header.path)} (revision "{header.revision}")'
            for header in self._headers()
            if header.path.resolve() not in seen
        ]

    def _headers(self) -> Iterator[Header]:
        for path in self.files():
            header = read_header(path)
            if header is not None:
                yield header

    def _check_headers(self) -> None:
        """Refuse what Alembic only warns of, or ends in a ``KeyError`` for."""
        headers = list(self._headers())
        by_revision: dict[str, Header] = {}
        for header in headers:
            other = by_revision.setdefault(header.revision, header)
            if other is not header:
                raise MigrationError(
                    f'two files have the revision id "{header.revision}": '
                    f"{self.directory.name(other.path)} and {self.directory.name(header.path)}. "
                    f"Alembic would use one of them and never run the other. Give one a new id, "
                    f"and let its down_revision name what comes before it."
                )
        if len(headers) < sum(1 for _ in self.files()):
            return  # an id may be computed: what is missing, Alembic tells
        for header in headers:
            for down in header.down:
                if down not in by_revision:
                    raise MigrationError(
                        f"{self.directory.name(header.path)} comes after revision "
                        f'"{down}", and no file of {self.directory!r} has that id. The file was '
                        f"removed, or is still on another branch. Get it back, or correct "
                        f"down_revision."
                    )


def read_header(path: Path) -> Header | None:
    """Read ``revision`` and ``down_revision`` of a file; None where it has none or is broken."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return None  # Alembic tells of it
    found: dict[str, Any] = {}
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                pass
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                pass
            case _:
                continue
        if name in ("revision", "down_revision"):
            try:
                found[name] = ast.literal_eval(value)
            except ValueError:
                found[name] = None  # computed
    revision, down = found.get("revision"), found.get("down_revision")
    if not isinstance(revision, str):
        return None
    downs = (down,) if isinstance(down, str) else tuple(down or ())
    return Header(path, revision, downs)

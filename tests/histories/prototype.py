"""The same histories on the prototype that the rules were first tried with, for its figures.

The library shall conflict and warn no more often than it. It is a throw-away program in a folder
of its own, ``segments.py`` and ``flow.py``, and nobody needs it but for this comparison.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import URL

from dbtestcase.errors import SandboxConflict, UncommittedDataWarning

from . import postgresql
from .drivers import Driver
from .stages import Stage

__all__ = ["PrototypeStage", "find"]


def find(given: str | None) -> Path:
    """Give the folder of the prototype: the one given, or the one beside the checkout.

    :raises FileNotFoundError: it is not there.
    """
    beside = Path(__file__).parents[2].parent / "shared" / "prototypes"
    folder = Path(given) if given else beside
    if not (folder / "segments.py").is_file():
        raise FileNotFoundError(f"no prototype in {folder}: name its folder after --prototype")
    return folder


class _Conflict(SandboxConflict):
    """What the prototype raises, which keeps a cause beside its message."""

    def __init__(self, cause: str, message: str = "") -> None:
        super().__init__(cause)
        self.cause = cause


class PrototypeStage(Stage):
    """A sandbox of the prototype's; it takes the class's data for set-up."""

    blocked_warns = False
    #: its conflicts are counted by what it says, and differences are only counted
    strict = False
    forgets_schemas = False

    def __init__(self, url: URL, driver: Driver, folder: Path) -> None:
        sys.path.insert(0, str(folder))
        try:
            self._flow: Any = importlib.import_module("flow")
            self._segments: Any = importlib.import_module("segments")
        finally:
            sys.path.remove(str(folder))
        self._segments.SandboxConflict = self._flow.SandboxConflict = _Conflict
        self._flow.UncommittedDataWarning = UncommittedDataWarning
        self._box = self._flow.Box(url)
        super().__init__(url, driver)
        self._looking = sa.create_engine(url, poolclass=sa.NullPool)
        for engine in (*self.engines, self._looking):
            self._take(engine)

    def _take(self, engine: sa.Engine) -> None:
        @sa.event.listens_for(engine, "do_connect")
        def connect(dialect: Any, record: Any, args: Any, parameters: Any) -> Any:
            return self._box.connection(dialect, parameters)

        @sa.event.listens_for(engine, "connect")
        def connected(connection: Any, record: Any) -> None:
            record.dbapi_connection = self._flow.Virtual(self._box)

    def content(self) -> Any:
        """Give what a new connection of the sandbox finds."""
        with self._looking.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(postgresql.CONTENT)]

    @contextlib.contextmanager
    def test(self) -> Iterator[None]:
        """A test of the sandbox, which a history is played in."""
        self._box.begin_test()
        try:
            yield
        finally:
            self._box.closing = True
            self._box.end_test()
            self._segments.LOG.clear()

    @property
    def conflicts(self) -> list[Any]:
        """What was raised and swallowed."""
        return [said[1] for said in self._segments.LOG if said[0] == "conflict"]

    def warn_again(self) -> None:
        """It always warns again."""

    @property
    def savepoints(self) -> int:
        """How many segments were made."""
        return int(self._box.sand.n) if self._box.sand is not None else 0

    def owners(self) -> list[object]:
        """Give whose the segments are, from the bottom."""
        stack = self._box.sand.stack if self._box.sand is not None else []
        return [entry.owner for entry in stack if entry.owner is not None and not entry.dead]

    def close(self) -> None:
        """Disconnect."""
        self._box.close()
        self._looking.dispose()
        super().close()

"""Deferred foreign keys, which SQLite checks at a COMMIT that the sandbox never sends."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections import Counter
from collections.abc import Iterable
from typing import Any

from .wire import SQLiteWire, as_text

__all__ = ["ForeignKeys"]

_DEFERRED = re.compile(r"\bDEFERRABLE\s+INITIALLY\s+DEFERRED\b", re.I)


class ForeignKeys:
    """What a COMMIT would find violated.

    :param wire: the way to the database.
    """

    def __init__(self, wire: SQLiteWire) -> None:
        self._wire = wire
        self._deferred: tuple[int, list[str]] = (-1, [])
        #: violations that are older than the sandbox; None while they are not known
        self._old: Counter[Any] | None = None
        self._defers = False

    def forget(self) -> None:
        """Forget which violations are old: until now nothing was checked."""
        self._old = None

    def begun(self) -> None:
        """Get to know a new real transaction, and the database at the first one."""
        self._defers = False  # SQLite's own flag ends with its transaction
        if self._old is None and self.enforced:
            self._old = self._violations(self._tables())

    @property
    def enforced(self) -> bool:
        """Whether ``PRAGMA foreign_keys`` is on."""
        return bool(self._wire.ask("PRAGMA foreign_keys")[0][0])

    def defer(self, wanted: bool) -> None:
        """Bring ``PRAGMA defer_foreign_keys`` of the connection that sends something into force."""
        if wanted != self._defers:
            self._defers = wanted
            self._wire.ask(f"PRAGMA defer_foreign_keys = {int(wanted)}")

    def to_check(self, everything: bool) -> list[str | None]:
        """Give the tables that a COMMIT checks; None stands for all of them.

        :param everything: whether the transaction had all foreign keys deferred.
        """
        if not self.enforced:
            return []
        return [None] if everything else list(self._tables())

    def violated(self, tables: Iterable[str | None]) -> bool:
        """Whether a row violates a foreign key that did not before the sandbox began."""
        return bool(self._violations(tables) - (self._old or Counter()))

    def _tables(self) -> list[str]:
        """Give the tables that have a deferred foreign key; SQLite tells it in their text only."""
        version = self._wire.schema_version()
        if self._deferred[0] != version:
            rows = self._wire.ask("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
            found = [as_text(name) for name, sql in rows if _DEFERRED.search(as_text(sql))]
            self._deferred = version, found
        return self._deferred[1]

    def _violations(self, tables: Iterable[str | None]) -> Counter[Any]:
        found: Counter[Any] = Counter()
        for table in tables:
            argument = "" if table is None else '("{}")'.format(table.replace('"', '""'))
            # a parent without a unique key was refused at the write already
            with contextlib.suppress(sqlite3.OperationalError):
                found.update(self._wire.ask(f"PRAGMA foreign_key_check{argument}"))
        return found

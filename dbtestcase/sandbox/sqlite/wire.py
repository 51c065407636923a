"""Our own SQL on SQLite's real connection."""

from __future__ import annotations

import sqlite3
from typing import Any

__all__ = ["NativeConnection", "NativeCursor", "SQLiteWire", "as_text"]

# The driver's classes as they are, for they are called past what subclasses of ours do. Typed
# loosely: what the stubs know of them differs between the Python versions.
NativeConnection: Any = sqlite3.Connection
NativeCursor: Any = sqlite3.Cursor


def as_text(value: Any) -> str:
    """Give a string that SQLite returned, whatever the text_factory in force makes of it."""
    return value.decode() if isinstance(value, bytes) else str(value)


class SQLiteWire:
    """Our own SQL on the real connection, kept apart from what the program sends."""

    asks_free = True

    def __init__(self) -> None:
        self._cursor: Any = None
        self._real: Any = None
        #: whether BEGIN is to be sent before anything else
        self.begin_waits = False
        #: whether what runs now is ours: neither traced nor taken for the program's
        self.own = False

    def attach(self, real: Any) -> None:
        """Talk to that connection from now on, or to none."""
        self._real = real
        self._cursor = None if real is None else NativeCursor(real)
        self.begin_waits = False

    @property
    def in_transaction(self) -> bool:
        """Whether the real transaction has begun and not ended."""
        return self._real is not None and bool(NativeConnection.in_transaction.__get__(self._real))

    @property
    def total_changes(self) -> int:
        """How many rows were changed on the real connection."""
        return int(NativeConnection.total_changes.__get__(self._real))

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Send *sql* and give its rows."""
        self.own = True
        try:
            rows: list[tuple[Any, ...]] = NativeCursor.execute(self._cursor, sql).fetchall()
            return rows
        finally:
            self.own = False

    def nothing(self, cursor: Any) -> Any:
        """Let a cursor of the program forget its last statement, and give it.

        An unknown PRAGMA answers nothing. An empty text would do, too, but Python 3.13 raises
        the last statement's error for it again.
        """
        self.own = True
        try:
            return NativeCursor.execute(cursor, "PRAGMA dbtestcase_nothing")
        finally:
            self.own = False

    def compiles(self, sql: str) -> bool:
        """Whether a statement of the program can be prepared."""
        try:
            self.ask(f"EXPLAIN {sql}")
        except sqlite3.ProgrammingError:
            return True  # its parameters are missing
        except sqlite3.Error:
            return False
        return True

    def queue(self, sql: str) -> None:
        """Send *sql*; a BEGIN waits for the first statement, for it would hold a lock."""
        for part in sql.split("; "):
            if part == "BEGIN":
                self.begin_waits = True
            elif part == "ROLLBACK":
                if self.in_transaction:
                    self.ask(part)
            else:
                self.flush()
                self.ask(part)

    def flush(self) -> None:
        """Send the BEGIN that waits."""
        if self.begin_waits:
            self.ask("BEGIN")
            self.begin_waits = False

    def schema_version(self) -> int:
        """Give the number that each change of the schema raises."""
        return int(self.ask("PRAGMA schema_version")[0][0])

    def mark(self) -> tuple[int, int] | None:
        """Give the counters that tell of writing, None before the transaction begins."""
        if self._real is None or self.begin_waits:
            return None
        return self.total_changes, self.schema_version()

    def wrote(self, savepoints: int, mark: Any) -> bool:
        """Whether the counters have moved since *mark*."""
        return mark is not None and self.mark() != mark

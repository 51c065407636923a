"""Our own SQL on the real connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["PostgreSQLWire", "Rows", "literal", "quoted"]

Rows = list[tuple[Any, ...]]

# A subtransaction gets a transaction id when it writes, and its parents get theirs with it.
_COUNT_XIDS = (
    "SELECT count(*) FROM pg_locks WHERE locktype = 'transactionid' AND pid = pg_backend_pid()"
)


class PostgreSQLWire:
    """Our own SQL on the real connection, in as few messages as possible.

    :param execute: sends a text of one or several statements and gives the last one's rows.
    """

    asks_free = False

    def __init__(self, execute: Callable[[str], Rows]) -> None:
        self._execute = execute
        self.pending: list[str] = []
        #: how many messages of ours were sent.
        self.messages = 0

    def queue(self, sql: str) -> None:
        """Send *sql* with the next message."""
        self.pending.append(sql)

    def flush(self) -> Rows:
        """Send what waits, and give the rows of its last statement."""
        if not self.pending:
            return []
        text = "; ".join(self.pending)
        self.pending.clear()
        self.messages += 1
        return self._execute(text)

    def ask(self, sql: str) -> Rows:
        """Send what waits and *sql*, and give the rows of *sql*."""
        self.pending.append(sql)
        return self.flush()

    def mark(self) -> None:
        """Nothing: an xid belongs to its savepoint, whenever it began."""

    def wrote(self, savepoints: int, mark: Any) -> bool:
        """Whether the topmost savepoint has an xid, and so every one below it."""
        return bool(self.ask(_COUNT_XIDS)[0][0] == savepoints + 1)


def literal(text: str) -> str:
    """Write a text as a literal, in a session whose strings are those of the standard."""
    return "'{}'".format(text.replace("'", "''"))


def quoted(name: str) -> str:
    """Write an identifier so that the server does not fold it."""
    return '"{}"'.format(name.replace('"', '""'))

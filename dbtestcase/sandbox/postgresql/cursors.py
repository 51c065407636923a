"""Server-side cursors: they live in the real transaction, and end with a virtual one."""

from __future__ import annotations

from collections.abc import Iterable

from ..backends import Backend, OpenCursor
from ..statements import Statement
from .wire import PostgreSQLWire, quoted

__all__ = ["ServerCursors"]


class ServerCursors:
    """The cursors of the virtual connections, whose names must not meet.

    :param wire: our way to the server.
    """

    def __init__(self, wire: PostgreSQLWire) -> None:
        self._wire = wire

    @staticmethod
    def stranger(
        backend: Backend, statement: Statement, backends: Iterable[Backend]
    ) -> Backend | None:
        """Give another connection that has the cursor that *statement* names."""
        use = statement.cursor
        if use is None:
            return None
        every = use.verb == "CLOSE" and use.name == "all"
        for other in backends:
            if other is not backend and (use.name in other.cursors or (every and other.cursors)):
                return other
        return None

    @staticmethod
    def note(backend: Backend, statement: Statement, *, beside: bool) -> None:
        """Keep what *statement* did to a cursor of *backend*."""
        use = statement.cursor
        if use is None:
            return
        if use.verb == "DECLARE":
            backend.cursors[use.name] = OpenCursor(backend.level, use.hold, beside)
        elif use.verb == "CLOSE":
            if use.name == "all":
                backend.cursors.clear()
            backend.cursors.pop(use.name, None)

    def end(self, backend: Backend, from_level: int, keep_held: bool) -> None:
        """Close the cursors of *backend* that end with a (sub)transaction."""
        ending = []
        for name, cursor in list(backend.cursors.items()):
            if keep_held and cursor.hold:
                cursor.level = -1  # no later rollback ends it
            elif cursor.level >= from_level:
                ending.append(name)
                del backend.cursors[name]
        if ending:
            # a ROLLBACK TO may have closed some already
            there = {row[0] for row in self._wire.ask("SELECT name FROM pg_cursors")}
            for name in ending:
                if name in there:
                    self._wire.queue(f"CLOSE {quoted(name)}")

"""Prepared statements: each belongs to one session, though all could execute it."""

from __future__ import annotations

from collections.abc import Sized

from ..backends import Backend
from ..statements import Statement
from .wire import literal, quoted

__all__ = ["PreparedStatements"]


class PreparedStatements:
    """Whose the statements are that the program has prepared by SQL in this test.

    A rollback does not take them back; the end of their session does.
    """

    def __init__(self) -> None:
        self._owners: dict[str, Backend] = {}
        #: what is false where there are none
        self.any: Sized = self._owners

    def clear(self) -> None:
        """Forget all: the end of a test takes them away."""
        self._owners.clear()

    def stranger(self, backend: Backend, statement: Statement) -> tuple[str, Backend] | None:
        """Give a prepared statement of another connection that *statement* names, and whose."""
        if (name := statement.prepared) is None or not self._owners:
            return None
        every = statement.verb == "DEALLOCATE" and name == "all"
        for known, owner in self._owners.items():
            if owner is not backend and (every or known == name):
                return known, owner
        return None

    def note(self, backend: Backend, statement: Statement) -> None:
        """Keep what *statement* did."""
        if (name := statement.prepared) is None:
            return
        if statement.verb == "PREPARE":
            self._owners[name] = backend
        elif statement.verb == "DEALLOCATE" and name == "all":
            self._owners.clear()
        elif statement.verb == "DEALLOCATE":
            self._owners.pop(name, None)

    def at_close(self, backend: Backend) -> list[str]:
        """Give what lets go the statements of a session that is closed."""
        mine = [name for name, owner in self._owners.items() if owner is backend]
        for name in mine:
            del self._owners[name]
        # a text of several statements, or a function, may have let it go already
        return [
            f"DO $$ BEGIN EXECUTE {literal(f'DEALLOCATE {quoted(name)}')}; "
            f"EXCEPTION WHEN invalid_sql_statement_name THEN NULL; END $$"
            for name in mine
        ]

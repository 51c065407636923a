"""Deferred constraints: the server checks them at COMMIT, and here none is sent."""

from __future__ import annotations

from .wire import PostgreSQLWire

__all__ = ["Deferrable"]

_DEFERRABLE = """
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.conname), c.condeferred
  FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace WHERE c.condeferrable
"""

_LASTING = ("CREATE", "ALTER", "DROP", "DO", "CALL")


class Deferrable:
    """Which constraints are deferrable: asked once, and again after a change of the schema.

    :param wire: our way to the server.
    """

    def __init__(self, wire: PostgreSQLWire) -> None:
        self._wire = wire
        self._known: list[tuple[str, bool]] | None = None
        self._changed = False

    def forget(self) -> None:
        """Ask again."""
        self._known = None

    def note(self, verb: str) -> None:
        """Ask again after a statement that may have changed the schema."""
        if verb in _LASTING:
            self._known = None
            self._changed = True

    def rolled_back(self) -> None:
        """Ask again where what was undone may have changed the schema."""
        if self._changed:
            self._known = None
            self._changed = False

    def keep(self) -> None:
        """Take the schema as it is for that of every test."""
        self._changed = False

    def check(self) -> str:
        """Give what checks all that is deferred; empty where nothing can be."""
        if self._known is None:
            self._known = [(name, deferred) for name, deferred in self._wire.ask(_DEFERRABLE)]
        if not self._known:
            return ""
        check = "SET CONSTRAINTS ALL IMMEDIATE"
        # setting ALL of them back to DEFERRED would cost more with every commit
        deferred = ", ".join(name for name, initially in self._known if initially)
        return f"{check}; SET CONSTRAINTS {deferred} DEFERRED" if deferred else check

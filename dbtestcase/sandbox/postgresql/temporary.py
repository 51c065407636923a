"""Temporary tables: each belongs to one virtual connection, though all could see it."""

from __future__ import annotations

from collections.abc import Sized

from ..backends import Backend
from ..statements import Statement
from ..texts import words_of
from .wire import PostgreSQLWire, literal, quoted

__all__ = ["TemporaryTables"]


class TemporaryTables:
    """The temporary tables (views, sequences) of the test, as far as texts made them.

    :param wire: our way to the server.
    """

    def __init__(self, wire: PostgreSQLWire) -> None:
        self._wire = wire
        self._owners: dict[str, tuple[Backend, str | None]] = {}
        #: those of the class's set-up, which each test's rollback leaves
        self.kept: dict[str, tuple[Backend, str | None]] = {}
        #: what is false where there are none
        self.any: Sized = self._owners
        #: the names of those that exist
        self.names = self._owners.keys()

    def clear(self) -> None:
        """Forget all: a new real connection has none."""
        self._owners.clear()
        self.kept = {}

    def keep(self) -> None:
        """Take those that there are for part of what each test begins with."""
        self.kept = dict(self._owners)

    def test_rolled_back(self) -> None:
        """Forget those of the test that has ended."""
        self._owners.clear()
        self._owners.update(self.kept)

    def note(self, backend: Backend, statement: Statement) -> None:
        """Keep whose the table that *statement* made is."""
        if statement.temporary is not None:
            self._owners[statement.temporary] = backend, statement.on_commit

    def strangers(self, backend: Backend, statement: Statement) -> tuple[str, Backend] | None:
        """Give a table of another connection that *statement* names, and whose it is."""
        if not self._owners:
            return None
        for name, (owner, _) in list(self._owners.items()):
            if owner is not backend and words_of(name) <= statement.words:
                if self._is_there(name):
                    return name, owner
                del self._owners[name]  # dropped, or rolled back to before it was made
        return None

    def _is_there(self, name: str) -> bool:
        rows = self._wire.ask(f"SELECT to_regclass({_literal(name)}) IS NOT NULL")
        return bool(rows[0][0])

    def rolled_back(self, backend: Backend) -> None:
        """Forget what a rolled back transaction of *backend* made."""
        for name, (owner, _) in list(self._owners.items()):
            if owner is backend and name not in backend.temporary_at_begin:
                del self._owners[name]

    def at_commit(self, backend: Backend) -> list[str]:
        """Give what ON COMMIT asks for: the real transaction goes on, so the server does not."""
        if not self._owners:
            return []
        found = []
        for name, (owner, what) in list(self._owners.items()):
            if owner is backend and what == "drop":
                found.append(f"DROP TABLE IF EXISTS pg_temp.{quoted(name)}")
                del self._owners[name]
            elif owner is backend and what == "delete":
                if self._is_there(name):  # it may have gone with a ROLLBACK TO
                    found.append(f"TRUNCATE pg_temp.{quoted(name)}")
                else:
                    del self._owners[name]
        return found

    def at_close(self, backend: Backend) -> list[str]:
        """Give what drops the tables of a session that is closed."""
        mine = [name for name, (owner, _) in self._owners.items() if owner is backend]
        for name in mine:
            del self._owners[name]
        # DROP knows its kind only from its own word
        return [
            f"DO $$ DECLARE k text := (SELECT relkind FROM pg_class WHERE oid = "
            f"to_regclass({_literal(name)})); BEGIN IF k IS NOT NULL THEN EXECUTE 'DROP ' || "
            f"CASE k WHEN 'v' THEN 'VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END || ' ' || "
            f"{_literal(name)} || ' CASCADE'; END IF; END $$"
            for name in mine
        ]


def _literal(name: str) -> str:
    return literal(f"pg_temp.{quoted(name)}")

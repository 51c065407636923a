"""Which tables the statements of SQLite read and write, as its authorizer callback tells.

SQLite calls it when it prepares a statement. The driver keeps prepared statements by their
text, so what was told is kept by the text, too, and for longer than the driver keeps them.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from dataclasses import dataclass, field

__all__ = ["Tables", "Touched"]

#: More than the driver ever keeps: it would not ask again for what is forgotten here.
_KEPT = 20_000

_CREATE_TEMPORARY = {
    sqlite3.SQLITE_CREATE_TEMP_TABLE,
    sqlite3.SQLITE_CREATE_TEMP_VIEW,
}
_DROP_TEMPORARY = {sqlite3.SQLITE_DROP_TEMP_TABLE, sqlite3.SQLITE_DROP_TEMP_VIEW}
#: Writes that neither ``total_changes`` nor the version of the main schema tells of.
_SILENT = {
    *_CREATE_TEMPORARY,
    *_DROP_TEMPORARY,
    sqlite3.SQLITE_CREATE_TEMP_INDEX,
    sqlite3.SQLITE_CREATE_TEMP_TRIGGER,
    sqlite3.SQLITE_DROP_TEMP_INDEX,
    sqlite3.SQLITE_DROP_TEMP_TRIGGER,
    sqlite3.SQLITE_ANALYZE,
    sqlite3.SQLITE_REINDEX,
}
_ROWS = {sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE}
_WHOLE = {
    sqlite3.SQLITE_CREATE_TABLE,
    sqlite3.SQLITE_DROP_TABLE,
    sqlite3.SQLITE_CREATE_VIEW,
    sqlite3.SQLITE_DROP_VIEW,
    sqlite3.SQLITE_CREATE_VTABLE,
    sqlite3.SQLITE_DROP_VTABLE,
}
_PART_OF = {
    sqlite3.SQLITE_CREATE_INDEX,
    sqlite3.SQLITE_DROP_INDEX,
    sqlite3.SQLITE_CREATE_TRIGGER,
    sqlite3.SQLITE_DROP_TRIGGER,
    sqlite3.SQLITE_ALTER_TABLE,
}


@dataclass(slots=True)
class Touched:
    """What one statement touches. Tables are numbers, see :meth:`Tables.name`.

    :param silent: whether it writes what no counter tells of.
    :param temporary: the temporary tables and views that it makes.
    :param dropped: those that it drops.
    """

    reads: set[int] = field(default_factory=set)
    writes: set[int] = field(default_factory=set)
    silent: bool = False
    temporary: set[str] = field(default_factory=set)
    dropped: set[str] = field(default_factory=set)


class Tables:
    """What is known of each text, and who owns which temporary table."""

    def __init__(self) -> None:
        self._of: OrderedDict[str, Touched] = OrderedDict()
        self._numbers: dict[str, int] = {}
        self._names: list[str] = []
        #: the table in which the schema is kept
        self.schema = self._number("sqlite_master")
        #: what the statement touches that was sent last
        self.touched = Touched()
        #: the temporary tables, and the backend of each
        self.temporary: dict[str, object] = {}

    def learn(self, text: str) -> None:
        """Take what the callback tells from now on as said of *text*."""
        known = self._of.get(text)
        if known is None:
            known = self._of[text] = Touched()
            if len(self._of) > _KEPT:
                self._of.popitem(last=False)
        else:
            self._of.move_to_end(text)
        self.touched = known

    def reads(self, text: str) -> set[int]:
        """Give the tables that *text* reads, as far as that is known."""
        known = self._of.get(text)
        return set() if known is None else known.reads

    def _number(self, name: str) -> int:
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = len(self._names)
            self._names.append(name)
        return number

    def name(self, number: int) -> str:
        """Give the name of a table, in small letters."""
        return self._names[number]

    def seen(self, action: int, one: str | None, two: str | None, where: str | None) -> None:
        """Note what the callback tells."""
        touched = self.touched
        if action == sqlite3.SQLITE_READ:
            if one and where != "temp":
                touched.reads.add(self._number(one.lower()))
        elif action in _ROWS or action in _WHOLE:
            if one and where != "temp":
                touched.writes.add(self._number(one.lower()))
                if action == sqlite3.SQLITE_INSERT:
                    # AUTOINCREMENT is not told
                    touched.writes.add(self._number("sqlite_sequence"))
        elif action in _PART_OF:
            if two:
                touched.writes.add(self._number(two.lower()))
        elif action == sqlite3.SQLITE_PRAGMA:
            if one and one.lower() in ("user_version", "application_id", "schema_version"):
                # they lie beside the schema
                if two is None:
                    touched.reads.add(self.schema)
                else:
                    touched.silent = True
                    touched.writes.add(self.schema)
            elif two is not None:
                # table_info(t)
                touched.reads.add(self._number(two.lower()))
        elif action in _SILENT:
            touched.silent = True
            if one and action in _CREATE_TEMPORARY:
                touched.temporary.add(one.lower())
            elif one and action in _DROP_TEMPORARY:
                touched.dropped.add(one.lower())

"""Locks of tables: a server process gets its own ones again, so one connection never waits.

Each virtual connection keeps what its LOCK TABLE took until its transaction, or savepoint, ends.
What another connection needs of a table is read from the text of a LOCK TABLE, and of any other
statement from the counters that :class:`~.neighbours.Neighbours` compares.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from ..backends import Backend, State, TableLock
from ..statements import Statement, analyse
from ..texts import fold, skeleton, split, words_of
from .wire import Rows, literal

__all__ = ["ROW_CHANGE", "ROW_LOCK", "ROW_READ", "TableLocks", "Wanted", "exclude"]

#: What reading a table's rows needs, what locking some does, and what changing some does.
ROW_READ, ROW_LOCK, ROW_CHANGE = "ACCESS SHARE", "ROW SHARE", "ROW EXCLUSIVE"

# https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES
_MODES = (
    "ACCESS SHARE",
    "ROW SHARE",
    "ROW EXCLUSIVE",
    "SHARE UPDATE EXCLUSIVE",
    "SHARE",
    "SHARE ROW EXCLUSIVE",
    "EXCLUSIVE",
    "ACCESS EXCLUSIVE",
)
#: Of each mode the weakest that it conflicts with: all from there on do, too …
_CONFLICTS_FROM = dict(zip(_MODES, (7, 6, 4, 3, 2, 2, 1, 0), strict=True))
#: … but one.
_SHARED = ("SHARE", "SHARE")

_NAME = r'(?:"(?:[^"]|"")*"|[^\W\d][\w$]*)'
_LOCK = re.compile(
    r"""LOCK (?:\s+TABLE\b)? \s* (?P<names> .+?)
         (?: \s+ IN \s+ (?P<mode> (?:ACCESS|ROW|SHARE|UPDATE|EXCLUSIVE|\s)+?) \s+ MODE )?
         (?P<nowait> \s+ NOWAIT )? \s* \Z""",
    re.I | re.S | re.X,
)
_TABLE = re.compile(rf"(?P<only>ONLY\b\s*)?\(?\s*(?P<name>{_NAME}(?:\s*\.\s*{_NAME})?)", re.I)
_PART = re.compile(_NAME)


class Wanted(NamedTuple):
    """One table that a LOCK TABLE names."""

    lock: TableLock
    nowait: bool


def exclude(one: str, other: str) -> bool:
    """Whether two connections cannot have locks of these modes on one table.

    >>> exclude("SHARE", "ROW EXCLUSIVE"), exclude("SHARE", "SHARE")
    (True, False)
    """
    return (one, other) != _SHARED and _MODES.index(other) >= _CONFLICTS_FROM[one]


class TableLocks:
    """Who has locked which table.

    :param look: asks the server what the program's role may not be allowed to know.
    :param backends: gives the virtual connections of the test.
    """

    def __init__(
        self,
        look: Callable[[str], Rows | None],
        backends: Callable[[], Iterable[Backend]],
    ) -> None:
        self._look = look
        self._backends = backends
        #: whether any was taken in this test
        self.used = False

    def of_others(self, backend: Backend) -> list[tuple[Backend, TableLock]]:
        """Give what others than *backend* have locked."""
        if not self.used:
            return []
        return [
            (other, lock)
            for other in self._backends()
            if other is not backend
            for lock in other.table_locks
            # an error lets go what was taken since the last savepoint
            if other.state is not State.FAILED or lock.level < other.level
        ]

    def in_the_way(self, backend: Backend, statement: Statement) -> list[Backend]:
        """Give who has locked what *statement* names."""
        return [
            other for other, lock in self.of_others(backend) if lock.words <= statement.words
        ]

    def wanted(self, backend: Backend, text: str) -> list[Wanted]:
        """Give what *text* locks, if that are tables that exist."""
        return [
            wanted
            for part in split(text)
            if analyse(part).verb == "LOCK"
            for wanted in self._wanted(backend, skeleton(part))
        ]

    def _wanted(self, backend: Backend, plain: str) -> Iterator[Wanted]:
        found = _LOCK.match(plain.rstrip("; \t\r\n"))
        if found is None:
            return
        mode = " ".join((found["mode"] or "ACCESS EXCLUSIVE").upper().split())
        if mode not in _MODES:
            return
        for table in _TABLE.finditer(found["names"]):
            name = ".".join(fold(part) for part in _PART.findall(table["name"]))
            rows = self._look(_inheriting(table["name"], bool(table["only"])))
            oids = frozenset(oid for (oid,) in rows or ())
            words = words_of(name.rpartition(".")[2])
            lock = TableLock(oids, name, words, mode, backend.level)
            yield Wanted(lock, found["nowait"] is not None)

    def note(self, backend: Backend, wanted: Iterable[Wanted]) -> None:
        """Note that *backend* has got them."""
        self.used = True
        backend.table_locks += [each.lock for each in wanted]

    def needed(
        self, backend: Backend, statement: Statement, touched: Mapping[int, str]
    ) -> tuple[Backend, TableLock] | None:
        """Give whose lock keeps others from what a statement has done.

        :param touched: what that needed, by table.
        """
        for other, lock in self.of_others(backend):
            for table in lock.tables & touched.keys():
                if exclude(lock.mode, touched[table]):
                    return other, lock
            if statement.ddl and lock.words <= statement.words:
                return other, lock  # of what changes a table no counter tells
        return None


def _inheriting(name: str, only: bool) -> str:
    """Ask for the number of a table, and of those that inherit from it."""
    table = f"SELECT to_regclass({literal(name)})::oid"
    if only:
        return f"SELECT oid FROM ({table} AS oid) AS t WHERE oid IS NOT NULL"
    return (
        f"WITH RECURSIVE t (oid) AS ({table} UNION "
        f"SELECT i.inhrelid FROM t JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid) "
        f"SELECT oid FROM t WHERE oid IS NOT NULL"
    )

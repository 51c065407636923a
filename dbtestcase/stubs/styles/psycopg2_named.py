"""Cursors on the server, which have a name and live as long as their transaction."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

import psycopg2
import psycopg2.errors

from ..connections import ReadOnly
from .psycopg2_cursor import Cursor

__all__ = ["NamedCursor"]


class NamedCursor(Cursor):
    """A cursor that behaves as a named one of psycopg2 does.

    :param connection: that made it.
    :param name: on the server.
    :param factory: psycopg2's class, which says how rows are given.
    :param withhold: whether it outlives its transaction.
    :param scrollable: whether it goes back, too; None where the server may say so.
    """

    __slots__ = (
        *("_count", "_fetched", "_is_there", "_mark", "_row", "_used", "scrollable", "withhold"),
    )

    def __init__(
        self, connection: Any, name: str, factory: Any, withhold: bool, scrollable: bool | None
    ) -> None:
        super().__init__(connection, name, factory)
        self.withhold, self.scrollable = withhold, scrollable
        #: the connection's transaction in which it was made
        self._mark = connection._mark
        #: whether execute() was called, whether the server has the cursor, and gave rows of it
        self._used = self._is_there = self._fetched = False
        #: how many rows came with the last fetch, and how many of them were given
        self._count, self._row = -1, 0

    def _refuse(self, text: str) -> NoReturn:
        raise self._connection._error("ProgrammingError", text)

    def _check_mark(self) -> None:
        connection: Any = self._connection
        if self._mark != connection._mark and not self.withhold:
            self._refuse("named cursor isn't valid anymore")

    def _check_fetch(self) -> None:
        self._check_open()
        self._check_mark()
        connection: Any = self._connection
        connection._check_transaction("FETCH")
        if not self._is_there:
            connection._fail()
            raise psycopg2.errors.InvalidCursorName(f'cursor "{self._name}" does not exist\n')
        self._fetched = True

    def _rowcount(self) -> int:
        return self._count

    @ReadOnly
    def rownumber(self) -> int:
        """How many rows of the last fetch were given."""
        return self._row

    def _describe(self) -> Any:
        return super()._describe() if self._fetched else None

    def execute(self, query: Any, vars: Any = None) -> None:
        """Execute a statement, once."""
        self._check_open()
        connection: Any = self._connection
        if query is not None and connection._style.text(query):
            if self._used:
                self._refuse("can't call .execute() on named cursors more than once")
            if connection._autocommit and not self.withhold:
                self._refuse("can't use a named cursor outside of transactions")
            self._check_mark()
            self._used = True
        super().execute(query, vars)
        self._is_there = True
        self._status = "DECLARE CURSOR"

    def executemany(self, query: Any, vars_list: Iterable[Any]) -> None:
        """It has one result."""
        self._check_open()
        self._refuse("can't call .executemany() on named cursors")

    def callproc(self, procname: str, parameters: Any = None, /) -> Any:
        """It is of a query."""
        self._check_open()
        self._refuse("can't call .callproc() on named cursors")

    def close(self) -> None:
        """Close the cursor, on the server, too."""
        if self._closed:
            return
        if self._used and not self._connection._closed:
            self._check_mark()
        self._closed = True

    def _take(self, rows: int) -> None:
        """Note how many rows came with a fetch, and that all of them were given."""
        self._count = self._row = rows

    def fetchone(self) -> Any:
        """Fetch the next row, or None."""
        row = super().fetchone()
        self._take(int(row is not None))
        return row

    def fetchmany(self, size: int | None = None) -> list[Any]:
        """Fetch the next rows."""
        rows = super().fetchmany(size)
        self._take(len(rows))
        return rows

    def fetchall(self) -> list[Any]:
        """Fetch all rows that are left."""
        rows = super().fetchall()
        self._take(len(rows))
        return rows

    def scroll(self, value: int, mode: str = "relative") -> None:
        """Move to another row, also before the first and behind the last."""
        self._check_fetch()
        self._count, self._row = -1, 0
        # psycopg2 looks at the mode of these no closer
        target = value + (0 if mode == "absolute" else self._position)
        if target < self._position and self.scrollable is False:
            connection: Any = self._connection
            connection._fail()
            raise psycopg2.errors.ObjectNotInPrerequisiteState(
                "cursor can only scan forward\n"
                "HINT:  Declare it with SCROLL option to enable backward scan.\n"
            )
        self._position = min(max(target, 0), len(self._rows or ()))

    def __next__(self) -> Any:
        if self._row >= self._count:  # as many more are fetched at once
            self._check_fetch()
            self._count = min(self.itersize, len(self._rows or ()) - self._position)
            self._row = 0
        row = super().fetchone()
        if row is None:
            raise StopIteration
        self._row += 1
        return row

"""Cursors that behave as those of psycopg2 do."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, NoReturn, Self

import psycopg2

from ..connections import NOTHING, ReadOnly, StubCursor
from .psycopg2_values import quoted, rows_maker, status_of

__all__ = ["Cursor"]


class Cursor(StubCursor):
    """A cursor that behaves as that of psycopg2 does.

    :param connection: that made it.
    :param name: of a cursor on the server.
    :param factory: psycopg2's class, which says how rows are given.
    """

    __slots__ = ("_make", "_name", "_query", "_status", "itersize")

    def __init__(self, connection: Any, name: str | None, factory: Any) -> None:
        super().__init__(connection)
        self._name = name
        self._make = rows_maker(factory)
        #: what was executed last, and its parameters
        self._query: tuple[str, Any] | None = None
        #: what the server said of what it was sent last
        self._status: str | None = None
        self.itersize = 2000

    def _check_open(self) -> None:
        if self._closed or self._connection._closed:
            raise self._connection._error("InterfaceError", "cursor already closed")

    def _check_rows(self) -> NoReturn:
        # as psycopg2 asks the server for more then, and finds nothing
        self._answer = dataclasses.replace(self._answer, rowcount=-1)
        raise self._connection._error("ProgrammingError", "no results to fetch")

    def _made(self, rows: list[tuple[Any, ...]]) -> list[Any]:
        return rows if self._make is None else self._make(self._answer.names(), rows)

    @ReadOnly
    def connection(self) -> Any:
        """The connection that made the cursor."""
        return self._connection

    @ReadOnly
    def description(self) -> Any:
        """A ``Column`` for each column, None without a result."""
        return self._describe()

    @ReadOnly
    def rowcount(self) -> int:
        """How many rows were found or changed."""
        return self._rowcount()

    @ReadOnly
    def rownumber(self) -> int:
        """The position of the next row, from 0."""
        return self._position

    @ReadOnly
    def lastrowid(self) -> int:
        """The OID of a row, which PostgreSQL no longer has."""
        return self._answer.lastrowid or 0

    @ReadOnly
    def closed(self) -> bool:
        """Whether the cursor is closed, or its connection."""
        return self._closed or self._connection._closed

    @ReadOnly
    def name(self) -> str | None:
        """The name of a cursor on the server."""
        return self._name

    @ReadOnly
    def query(self) -> bytes | None:
        """What was executed last, as it would have been sent."""
        return None if self._query is None else quoted(*self._query)

    @ReadOnly
    def statusmessage(self) -> str | None:
        """What the server says of the last statement."""
        return self._status

    def callproc(self, procname: str, parameters: Any = None, /) -> Any:
        """Call a function; the script knows it as ``SELECT * FROM name(%s)``."""
        self._check_open()
        named = isinstance(parameters, dict)
        marks = ["%s"] * len(() if parameters is None else parameters)
        if named:
            names = (each.replace('"', '""') for each in parameters)
            marks = [f'"{name}":=%s' for name in names]
        values = list(parameters.values()) if named else parameters
        self._execute(f"SELECT * FROM {procname}({','.join(marks)})", values)
        return None if named else parameters

    def close(self) -> None:
        """Close the cursor."""
        self._closed = True

    def execute(self, query: Any, vars: Any = None) -> None:
        """Execute a statement: a text, bytes, or what ``psycopg2.sql`` composes."""
        self._check_open()
        self._execute(query, vars)

    def executemany(self, query: Any, vars_list: Iterable[Any]) -> None:
        """Execute a statement once for each set of parameters."""
        self._answer = dataclasses.replace(self._answer, rowcount=-1)  # psycopg2's first act
        self._check_open()
        self._execute(query, vars_list, many=True)

    def _execute(self, query: Any, vars: Any, *, many: bool = False) -> None:
        connection: Any = self._connection
        text = "" if query is None else connection._style.text(query)
        empty = connection._error("ProgrammingError", "can't execute an empty query")
        if not text:
            raise empty
        if not many:
            self._rows = self._query = None
        vars = self._check_parameters(text, vars, many=many)
        if many and not vars:  # nothing is sent
            self._answer = dataclasses.replace(self._answer, rowcount=0)
            self._position = len(self._rows or ())
            return
        self._answer, self._rows = NOTHING, None
        self._query = (text, vars[0] if many else vars)
        if not text.strip():  # this one the server refuses
            self._status = ""
            raise empty
        connection._check_transaction(text)
        try:
            self._run(text, vars, many=many)
        except psycopg2.DatabaseError:
            self._status = ""
            connection._fail()
            raise
        if many:  # no rows of it are kept
            self._rows, self._query = None, (text, vars[-1])
        self._status = status_of(text, self._rowcount() // (len(vars) if many else 1))

    def mogrify(self, query: Any, vars: Any = None) -> bytes:
        """Give what would be sent: the statement with its parameters in it."""
        self._check_open()
        return quoted(self._connection._style.text(query), vars)

    def fetchone(self) -> Any:
        """Fetch the next row, or None."""
        self._check_fetch()
        return self._next()

    def fetchmany(self, size: int | None = None) -> list[Any]:
        """Fetch the next rows; all of them for a negative size, as psycopg2 does."""
        self._check_fetch()
        size = self.arraysize if size is None else size
        return self._some(size) if size >= 0 else self._rest()

    def fetchall(self) -> list[Any]:
        """Fetch all rows that are left."""
        self._check_fetch()
        return self._rest()

    def nextset(self) -> NoReturn:
        """PostgreSQL does not have it."""
        raise self._connection._error("NotSupportedError", "not supported by PostgreSQL")

    def scroll(self, value: int, mode: str = "relative") -> None:
        """Move to another row."""
        self._check_open()
        if mode not in ("relative", "absolute"):
            raise self._connection._error(
                "ProgrammingError", "scroll mode must be 'relative' or 'absolute'"
            )
        target = value + (self._position if mode == "relative" else 0)
        if not 0 <= target < self._rowcount():
            raise self._connection._error("ProgrammingError", "scroll destination out of bounds")
        self._position = target

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        row = self.fetchone()
        if row is None:
            raise StopIteration
        return row

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, traceback: object, /) -> None:
        self.close()

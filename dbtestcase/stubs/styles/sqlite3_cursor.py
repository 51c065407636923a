"""Cursors that behave as ``sqlite3.Cursor`` does."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Iterable
from typing import Any, Self

from ..answers import Answer
from ..connections import NOTHING, ReadOnly, StubCursor
from ..statements import is_empty, verb
from .sqlite3_values import check_script, described, statements

__all__ = ["DML", "Cursor"]

#: What opens a transaction.
DML = ("INSERT", "UPDATE", "DELETE", "REPLACE")


class Cursor(StubCursor):
    """A cursor that behaves as ``sqlite3.Cursor`` does.

    :param connection: that made it.
    """

    __slots__ = ("row_factory",)

    def __init__(self, connection: Any) -> None:
        super().__init__(connection)
        self.row_factory = connection.row_factory

    def _check_open(self) -> None:
        self._connection._check_thread()
        if self._closed:
            raise self._connection._error("ProgrammingError", "Cannot operate on a closed cursor.")
        self._connection._check_open()

    def _check_rows(self) -> None:
        """Nothing is an empty list here."""

    def _made(self, rows: list[tuple[Any, ...]]) -> list[Any]:
        factory = self.row_factory
        if factory is None:
            return rows
        if isinstance(factory, type) and issubclass(factory, sqlite3.Row):
            cursor = described(self._answer.names())
            return [factory(cursor, row) for row in rows]
        return [factory(self, row) for row in rows]

    @ReadOnly
    def connection(self) -> Any:
        """The connection that made the cursor."""
        return self._connection

    @ReadOnly
    def description(self) -> Any:
        """The names of the columns, and six times None for each."""
        return self._describe()

    @ReadOnly
    def rowcount(self) -> int:
        """How many rows were changed; -1 after a query."""
        return self._rowcount() if self._rows is None else -1

    @ReadOnly
    def lastrowid(self) -> int | None:
        """The row that was inserted last, where the script says it."""
        return self._answer.lastrowid

    def close(self) -> None:
        """Close the cursor."""
        connection: Any = self._connection
        connection._check_thread()
        connection._check_open()
        self._closed = True

    def execute(self, sql: str, parameters: Any = (), /) -> Self:
        """Execute a statement."""
        self._begin()
        self._check_parameters(sql, parameters, many=False)
        if is_empty(sql):
            return self
        self._run(sql, parameters)
        self._connection._changed(sql, self._rowcount())
        return self

    def _begin(self) -> None:
        """Forget the last statement, also where the next is refused."""
        self._connection._check_thread()
        try:
            self._check_open()
        except sqlite3.ProgrammingError:
            self._answer = dataclasses.replace(self._answer, rowcount=-1)
            raise
        self._answer, self._rows = NOTHING, None

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> Self:
        """Execute a statement that changes rows, once for each set of parameters."""
        self._begin()
        parameters = self._check_parameters(sql, parameters, many=True)
        if verb(sql) not in (*DML, "WITH"):
            raise self._connection._error(
                "ProgrammingError", "executemany() can only execute DML statements."
            )
        if parameters:
            self._run(sql, parameters, many=True)
        else:  # nothing is executed, in a transaction all the same
            self._answer = Answer(rowcount=0)
        self._connection._changed(sql, self._rowcount())
        return self

    def executescript(self, sql_script: str, /) -> Self:
        """Execute several statements; the script answers each by itself."""
        self._check_open()
        connection: Any = self._connection
        script = connection._style.text(sql_script)
        check_script(script)
        if connection.in_transaction and connection._mode is None:
            connection.commit()
        # the cursor's own rows are not touched, nor does a change open a transaction
        runs = Cursor(connection)
        for statement in statements(script):
            runs._run(statement, None)
            connection._changed(statement, runs._rowcount(), in_script=True)
        return self

    def fetchone(self) -> Any:
        """Fetch the next row, or None."""
        self._check_open()
        return self._next()

    def fetchmany(self, size: int | None = None) -> list[Any]:
        """Fetch the next rows; all of them for a size below 1, as the driver does."""
        self._check_open()
        size = self.arraysize if size is None else size
        return self._some(size) if size > 0 else self._rest()

    def fetchall(self) -> list[Any]:
        """Fetch all rows that are left."""
        self._check_open()
        return self._rest()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        self._check_open()
        rows = self._rows
        if rows is None or self._position >= len(rows):
            raise StopIteration
        return self._next()

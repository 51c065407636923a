"""Connections that follow PEP 249 to the letter, for drivers without a style of their own.

They have what the PEP asks for and nothing that it calls an extension but iteration, ``lastrowid``,
``rownumber`` and ``connection``, which all drivers have. So they are no context managers:
what a ``with`` does at its end differs from driver to driver.
"""

from __future__ import annotations

import types
from collections.abc import Iterable
from typing import Any, NoReturn, Self

from ..answers import Answer
from ..connections import StubConnection, StubCursor
from ..pep249 import Errors, type_of
from . import Style, columns

__all__ = ["make"]


class Cursor(StubCursor):
    """A cursor to the letter of PEP 249."""

    __slots__ = ()

    def _check_open(self) -> None:
        if self._closed:
            raise self._connection._error("InterfaceError", "the cursor is closed")
        if self._connection._closed:
            raise self._connection._error("InterfaceError", "the connection is closed")

    def _check_rows(self) -> NoReturn:
        raise self._connection._error(
            "ProgrammingError", "the last statement has no rows, or none was executed"
        )

    @property
    def connection(self) -> StubConnection:
        """The connection that made the cursor."""
        return self._connection

    @property
    def description(self) -> Any:
        """Seven items for each column, None without a result."""
        return self._describe()

    @property
    def rowcount(self) -> int:
        """How many rows were found or changed; -1 where nobody knows."""
        return self._rowcount()

    @property
    def rownumber(self) -> int | None:
        """The position of the next row, from 0; None without a result."""
        return None if self._rows is None else self._position

    @property
    def lastrowid(self) -> int | None:
        """The row that was changed last, where the script says it."""
        return self._answer.lastrowid

    def callproc(self, procname: str, parameters: Any = (), /) -> Any:
        """Call a procedure; the script knows it as ``CALL name``."""
        self._check_open()
        self._run(f"CALL {procname}", parameters)
        return parameters

    def close(self) -> None:
        """Close the cursor."""
        if self._connection._closed:
            self._check_open()
        self._closed = True

    def execute(self, operation: str, parameters: Any = None, /) -> None:
        """Execute a statement."""
        self._check_open()
        self._run(operation, parameters)

    def executemany(self, operation: str, seq_of_parameters: Iterable[Any], /) -> None:
        """Execute a statement once for each set of parameters."""
        self._check_open()
        self._run(operation, seq_of_parameters, many=True)

    def fetchone(self) -> Any:
        """Fetch the next row, or None."""
        self._check_fetch()
        return self._next()

    def fetchmany(self, size: int | None = None) -> list[Any]:
        """Fetch the next rows."""
        self._check_fetch()
        return self._some(self.arraysize if size is None else size)

    def fetchall(self) -> list[Any]:
        """Fetch all rows that are left."""
        self._check_fetch()
        return self._rest()

    def nextset(self) -> None:
        """There is never a second result."""
        self._check_open()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        row = self.fetchone()
        if row is None:
            raise StopIteration
        return row


class Connection(StubConnection):
    """A connection to the letter of PEP 249."""

    __slots__ = ()

    def _check(self) -> None:
        if self._closed:
            raise self._error("InterfaceError", "the connection is closed")

    def close(self) -> None:
        """Close the connection."""
        self._check()
        self._close()

    def commit(self) -> None:
        """Commit."""
        self._check()
        self._commit()

    def rollback(self) -> None:
        """Roll back."""
        self._check()
        self._rollback()

    def cursor(self) -> Cursor:
        """Make a cursor."""
        self._check()
        self._stub.check_running()
        return Cursor(self)


class PEP249Style(Style):
    """PEP 249 to the letter."""

    name = "pep249"
    connection = Connection

    def describe(self, answer: Answer) -> Any:
        return columns(
            answer,
            lambda name, value: (name, type_of(value), None, None, None, None, None),
            tuple,
        )


def make(driver: types.ModuleType | None) -> Style:
    """Make the style, with the exceptions of a driver where one is known."""
    return PEP249Style(Errors({} if driver is None else vars(driver)))

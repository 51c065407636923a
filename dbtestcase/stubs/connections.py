"""What the connections and cursors of all styles have in common.

A connection is open until ``close()``. It counts commits and rollbacks with its stub, and passes
them on to the real connection that backs it, where one does.

A cursor is in one of these states, and each style says what may be done in it:

.. code-block:: text

    new ──execute()──> has rows, or none to fetch ──execute()──> ...
     │                      │
     └──────close()─────────┴──> closed; closing its connection closes it, too

It goes back to *new* where ``execute()`` raises. Rows are read from the answer, which the script
keeps and gives again, so that a cursor itself holds no more than its position.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import StubError
from .answers import Answer
from .expectations import parameters
from .pep249 import ERRORS

if TYPE_CHECKING:
    from .stub import ConnectionStub
    from .styles import Style

__all__ = [
    "NOTHING",
    "ReadOnly",
    "Source",
    "StubConnection",
    "StubCursor",
    "line_of_user",
    "not_scripted",
]


#: What a cursor has where nothing was executed.
NOTHING = Answer()


class ReadOnly:
    """An attribute that refuses to be set as those of drivers in C do.

    :param get: gives its value for an object.
    """

    def __init__(self, get: Any) -> None:
        self._get = get
        self.__doc__ = get.__doc__

    def __get__(self, holder: Any, owner: type) -> Any:
        return self if holder is None else self._get(holder)

    def __set__(self, holder: Any, value: object) -> None:
        raise AttributeError("readonly attribute")


class StubCursor:
    """A cursor on a scripted connection.

    :param connection: that made it.
    """

    __slots__ = (
        "__weakref__",
        "_answer",
        "_closed",
        "_connection",
        "_position",
        "_rows",
        "arraysize",
    )

    def __init__(self, connection: StubConnection) -> None:
        self._connection = connection
        self._closed = False
        self._answer = NOTHING
        self._rows: list[tuple[Any, ...]] | None = None
        self._position = 0
        #: How many rows ``fetchmany()`` gives where no number is given.
        self.arraysize = 1

    # -- what styles differ in

    def _check_open(self) -> None:
        """Raise the error of the driver where the cursor or its connection is closed."""
        raise NotImplementedError

    def _check_rows(self) -> None:
        """Raise the error of the driver where there is nothing to fetch."""
        raise NotImplementedError

    def _check_fetch(self) -> None:
        """Raise the error of the driver where nothing can be fetched."""
        self._check_open()
        if self._rows is None:
            self._check_rows()

    def _made(self, rows: list[tuple[Any, ...]]) -> list[Any]:
        """Give rows as this cursor gives them: tuples, or dictionaries."""
        return rows

    # -- what they share

    def _check_parameters(self, text: str, params: Any, *, many: bool) -> Any:
        """Raise the error of the driver where parameters do not fit the statement.

        :returns: the parameters; of ``executemany()``, which may be given an iterator, a list.
        """
        connection = self._connection
        text = connection._style.text(text)
        params = list(params) if many else params
        if not connection._stub.records:  # there the driver itself is asked
            for each in params if many else (params,):
                connection._style.check_parameters(connection, text, each)
        return params

    def _run(self, statement: Any, params: Any, *, many: bool = False) -> None:
        """Let the script answer, and take over what it gives."""
        self._answer, self._rows, self._position = NOTHING, None, 0
        text = self._connection._style.text(statement)
        if many:
            params = list(params)
        else:
            params = parameters(params)
        answer = self._connection._stub.answer(self._connection, text, params, many)
        self._answer = answer
        self._rows = answer.rows

    def _next(self) -> Any:
        rows = self._rows
        if rows is None or self._position >= len(rows):
            return None
        row = rows[self._position]
        self._position += 1
        return self._made([row])[0]

    def _some(self, size: int) -> list[Any]:
        if self._rows is None:
            return []
        rows = self._rows[self._position : self._position + max(size, 0)]
        self._position += len(rows)
        return self._made(rows)

    def _rest(self) -> list[Any]:
        if self._rows is None:
            return []
        rows = self._rows[self._position :]
        self._position = len(self._rows)
        return self._made(rows)

    def _rowcount(self) -> int:
        """How many rows were found or changed, -1 where that is not known."""
        count = self._answer.rowcount
        if count is not None:
            return count
        return -1 if self._answer.rows is None else len(self._answer.rows)

    def _describe(self) -> Any:
        """Give the ``description``, made once for each answer."""
        answer = self._answer
        if answer.rows is None:
            return None
        style = self._connection._style
        described = answer.described.get(style.name)
        if described is None:
            described = style.describe(answer)
            answer.described[style.name] = described
        return described

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        # by which the cursor is an instance of the driver's class, as those of a Mock are
        return self._connection._style.cursor_class(type(self)) or type(self)

    def __getattr__(self, name: str) -> Any:
        raise not_scripted(self, self._connection._style.cursor_class(type(self)), name)

    # -- what all drivers have

    def setinputsizes(self, sizes: Any, /) -> None:
        """Do nothing: no statement is prepared."""

    def setoutputsize(self, size: int, column: int | None = None, /) -> None:
        """Do nothing: no column is too long."""


def not_scripted(stub: object, real: type | None, name: str) -> Exception:
    """Make the error for a name that a stub does not have.

    :param stub: the connection or cursor.
    :param real: the class of the driver's that it stands for, where that is installed.
    :param name: of the attribute.
    :returns: an ``AttributeError`` where the driver's class has no such name either, else a
        ``StubError``, as ``hasattr()`` would otherwise tell the program something wrong.
    """
    called = real.__name__ if real is not None else type(stub).__name__
    if real is not None and not name.startswith("_") and hasattr(real, name):
        return StubError(
            f"{called}.{name} is not played by the stub of a connection: a script of statements "
            f"and answers cannot tell what it would give. Test the code that uses it against a "
            f"real database, or replace that code in the test."
        )
    return AttributeError(f"'{called}' object has no attribute '{name}'")


class StubConnection:
    """A scripted connection.

    :param stub: whose script answers.
    :param style: how it behaves.
    :param arguments: what ``connect()`` was given, by name.
    :param number: which connection of the stub it is, from 1.
    """

    __slots__ = (
        "__weakref__",
        "_arguments",
        "_closed",
        "_number",
        "_real",
        "_stub",
        "_style",
        "_unsaved",
        "_where",
    )

    #: by which ``isinstance()`` knows it where the driver's class is stubbed
    _dbt_is_stub = True

    def __init__(
        self, stub: ConnectionStub, style: Style, arguments: Mapping[str, Any], number: int
    ) -> None:
        self._stub, self._style = stub, style
        self._arguments, self._number = arguments, number
        self._closed = False
        #: the connection that backs this one, once it was asked
        self._real: Any = None
        #: the first statement that changed something since the last commit
        self._unsaved: str | None = None
        #: the line of code that connected
        self._where = ""

    def _autocommits(self) -> bool:
        return False

    def _commit(self) -> None:
        self._stub.note(self, "commit")
        self._unsaved = None
        if self._real is not None:
            self._real.commit()

    def _rollback(self) -> None:
        self._stub.note(self, "rollback")
        self._unsaved = None
        if self._real is not None:
            self._real.rollback()

    def _close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._stub.note(self, "close")
        real, self._real = self._real, None
        if real is not None:
            real.close()

    def _tell_real(self, tell: Callable[[Any], object]) -> None:
        """Let a real connection of the same driver know a setting, while it is recorded."""
        if self._real is not None and self._stub.records:
            tell(self._real)

    def _error(self, name: str, text: str, **details: Any) -> Exception:
        """Make an error of the driver's.

        :param name: its name in PEP 249.
        :param details: what an error of this style has besides its text.
        """
        return self._style.error(name, text, **details)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        # by which the connection is an instance of the driver's class, as those of a Mock are
        return self._style.connection_class() or type(self)

    def __getattr__(self, name: str) -> Any:
        real = self._style.connection_class()
        if name in ERRORS and hasattr(real, name):
            return self._style.errors[name]
        raise not_scripted(self, real, name)

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open"
        return f"<{type(self).__name__} {self._number} of {self._stub.name}, {state}>"


class Source(Protocol):
    """Answers what the script does not, by a real connection for each of the stub's."""

    #: Whether the real connections are those of the driver for which the stub stands.
    same_driver: bool

    def opened(self, connection: StubConnection, args: Any, kwargs: Any) -> None:
        """A connection was made, with these arguments."""

    def answer(self, connection: StubConnection, text: str, params: Any, many: bool) -> Answer:
        """Let the real connection execute a statement."""
        raise NotImplementedError


_HERE = str(Path(__file__).parent)


def _frames() -> Iterator[Any]:
    frame = sys._getframe(2)
    while frame is not None:
        yield frame
        frame = frame.f_back  # type: ignore[assignment]


def line_of_user() -> str:
    """Tell the line of code that connected, past ours and the driver's."""
    for frame in _frames():
        if not frame.f_code.co_filename.startswith(_HERE):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
    return ""

"""What the connections of all styles have in common.

A connection is open until ``close()``. It counts commits and rollbacks with its stub, and passes
them on to the real connection that backs it, where one does.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from .answers import Answer
from .cursors import not_scripted
from .pep249 import ERRORS

if TYPE_CHECKING:
    from .stub import ConnectionStub
    from .styles import Style

__all__ = ["Source", "StubConnection", "line_of_user"]


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

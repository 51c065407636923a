"""What takes the place of the function or class that connects."""

from __future__ import annotations

import contextlib
import contextvars
import inspect
import os
import sys
import threading
import types
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from unittest import mock

if TYPE_CHECKING:
    from ..stub import ConnectionStub

__all__ = ["StubbedConnect", "for_real"]

_for_real: contextvars.ContextVar[bool] = contextvars.ContextVar("for_real", default=False)

_CONNECTS = object()

_PACKAGE = __name__.partition(".")[0]


@contextlib.contextmanager
def for_real() -> Iterator[None]:
    """Let calls go through to what is stubbed, as a stub's own real connections do.

    >>> from dbtestcase import stub_connection
    >>> with stub_connection("sqlite3.connect"):
    ...     import sqlite3
    ...     with for_real():
    ...         connection = sqlite3.connect(":memory:")
    ...     connection.execute("select 1").fetchone()
    ...     connection.close()
    (1,)
    """
    token = _for_real.set(True)
    try:
        yield
    finally:
        _for_real.reset(token)


class StubbedConnect:
    """Connects to a stub, and is asked about it as a ``Mock`` is.

    It has ``assert_called_once_with()``, ``call_args``, ``side_effect`` and all else that a
    ``unittest.mock.Mock`` has; whatever attributes the original has it has, too.

    >>> from dbtestcase import stub_connection
    >>> with stub_connection("sqlite3.connect") as stub:
    ...     import sqlite3
    ...     connection = sqlite3.connect("shop.db")
    ...     stub.connect.assert_called_once_with("shop.db")

    :param stub: to which it connects.
    :param original: what it takes the place of.
    """

    _stub: ConnectionStub
    _mock: mock.Mock
    _signature: inspect.Signature | None
    _lock: threading.RLock
    # not in a dictionary of its own, as replace_everywhere() would have to ask whose that is
    __slots__ = ("__dict__", "__weakref__", "original")

    def __init__(self, stub: ConnectionStub, original: Any) -> None:
        name = getattr(original, "__name__", "connect")
        # a spec lets the mock tell that a=1 and 1 are the same argument
        plain = isinstance(original, types.FunctionType | type)
        object.__setattr__(self, "original", original)
        self.__dict__.update(
            _stub=stub,
            _mock=mock.Mock(spec=original if plain else None, name=name, return_value=_CONNECTS),
            _signature=_signature(original),
            _lock=threading.RLock(),
            __name__=name,
            __qualname__=getattr(original, "__qualname__", name),
            __module__=getattr(original, "__module__", None),
            __doc__=getattr(original, "__doc__", None),
        )
        _all.add(self)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        if _for_real.get():
            return self.original(*args, **kwargs)
        if _is_ours():
            with for_real():  # also past other stubs of it
                return self.original(*args, **kwargs)
        if self._signature is not None:
            self._signature.bind(*args, **kwargs)  # the TypeError that the original raises
        self._stub.check_running()
        with self._lock:
            result = self._mock(*args, **kwargs)
            self._forget()
        if result is not _CONNECTS:
            return result
        return self._stub.connected(args, kwargs)

    def _forget(self) -> None:
        """Drop old calls where the stub's history is bounded."""
        keep = self._stub.keep_history
        if keep is not None:
            for calls in (self._mock.call_args_list, self._mock.mock_calls):
                del calls[: len(calls) - max(keep, 1)]

    def unlock(self) -> None:
        """Have new locks, in a forked process, where nobody lets the old ones go."""
        self.__dict__["_lock"] = threading.RLock()
        self._stub.unlock()

    def __get__(self, holder: Any, owner: type | None = None) -> Any:
        # as a class attribute, a function becomes a method and a class does not
        if holder is not None and isinstance(self.original, types.FunctionType):
            return types.MethodType(self, holder)
        return self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_dbt") or name in ("_stub", "_mock", "original"):
            raise AttributeError(name)
        if _is_of_mock(name):
            return getattr(self._mock, name)
        return getattr(self.original, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if not _is_of_mock(name):
            raise AttributeError(
                f"{self.__name__}.{name} cannot be set while {self._stub.name} is stubbed"
            )
        setattr(self._mock, name, value)

    # -- what a class is used for besides being called

    def __instancecheck__(self, instance: Any) -> bool:
        if getattr(type(instance), "_dbt_is_stub", False):
            return bool(instance._stub is self._stub)
        return isinstance(self.original, type) and isinstance(instance, self.original)

    def __subclasscheck__(self, subclass: type) -> bool:
        return isinstance(self.original, type) and issubclass(subclass, self.original)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[Any, ...]:
        return (self.original,)

    def __or__(self, other: Any) -> Any:
        return self.original | other

    def __ror__(self, other: Any) -> Any:
        return other | self.original

    def __repr__(self) -> str:
        return f"<stub of {self._stub.name}>"


def _is_ours() -> bool:
    """Tell whether the library connects for itself, as it does where tests have a database, too."""
    frame = sys._getframe(2)
    while frame is not None:
        name = str(frame.f_globals.get("__name__"))
        # what the door of a test class lets through is the program's, not ours
        if not name.startswith(("sqlalchemy.", f"{_PACKAGE}.engines.")):
            return name.startswith(f"{_PACKAGE}.") and "stubs" not in name.split(".")
        frame = frame.f_back  # type: ignore[assignment]
    return False


def _is_of_mock(name: str) -> bool:
    return name.startswith(("assert_", "call")) or name in (
        "mock_calls",
        "reset_mock",
        "return_value",
        "side_effect",
    )


def _signature(original: Any) -> inspect.Signature | None:
    try:
        return inspect.signature(original)
    except (TypeError, ValueError):  # one of C's, which does not tell
        return None


_all: weakref.WeakSet[StubbedConnect] = weakref.WeakSet()


def _after_fork() -> None:
    # a thread that held one is not there in the child
    for each in _all:
        each.unlock()


os.register_at_fork(after_in_child=_after_fork)

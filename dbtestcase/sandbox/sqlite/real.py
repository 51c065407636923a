"""The real connection, as ``connect`` listeners are given it."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from .. import messages
from .connections import VirtualConnection

if TYPE_CHECKING:
    from .sandbox import SQLiteSandbox

__all__ = ["real_class"]

__unittest = True  # its frames are left out of tracebacks

#: What the sandbox asks of a virtual connection, and a listener never does.
_OURS = {"backend", "changes", "close", "forget", "known_backend", "listened", "run", "run_script"}


def _acts_for_virtual(name: str) -> property:
    def get(real: Any) -> Any:
        return getattr(_listening(real), name)

    def put(real: Any, value: Any) -> None:
        setattr(_listening(real), name, value)

    return property(get, put)


def _listening(real: Any) -> VirtualConnection:
    connection: VirtualConnection | None = real.sandbox.listening
    if connection is None:
        raise real.sandbox.conflict(messages.listener_returned())
    return connection


class RealConnection:
    """What is mixed into the driver's class: ``connect`` listeners see a virtual connection."""

    sandbox: SQLiteSandbox

    def close(self) -> None:
        # SQLAlchemy's answer to a listener that raises
        if (connection := self.sandbox.listening) is not None:
            self.sandbox.listened()
            connection.close()

    def __enter__(self) -> VirtualConnection:
        return _listening(self).__enter__()

    def __exit__(self, *error: Any) -> None:
        _listening(self).__exit__(*error)


class Opening:
    """What is mixed in between the program's class and the driver's.

    The program's ``__init__`` may send statements as soon as the driver's is done.
    """

    sandbox: SQLiteSandbox

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sandbox.listening.real = self
        self.sandbox.opened(self)


def real_class(factory: type[sqlite3.Connection], sandbox: SQLiteSandbox) -> Any:
    """Make the class of the real connection.

    :param factory: the class that the engine asked for.
    """
    names = [name for name in vars(VirtualConnection) if not name.startswith("_")]
    names += ["row_factory"]
    virtual = {name: _acts_for_virtual(name) for name in names if name not in _OURS}
    bases = (RealConnection, factory, Opening, sqlite3.Connection)
    if factory is sqlite3.Connection:
        bases = (RealConnection, Opening, sqlite3.Connection)  # type: ignore[assignment]
    return type("RealConnection", bases, {**virtual, "sandbox": sandbox, "asked_for": factory})

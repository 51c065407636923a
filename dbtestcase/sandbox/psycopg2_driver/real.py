"""The real connection: it looks like the driver's, and ends nothing."""

from __future__ import annotations

import functools
import os
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from psycopg2 import extensions

from .. import messages
from .cursors import guarded

if TYPE_CHECKING:
    from .connections import VirtualConnection
    from .sandbox import Psycopg2Sandbox

__all__ = ["Connection", "Cursor", "RealConnection", "forget_in_child", "is_closed", "real_class"]

__unittest = True  # its frames are left out of tracebacks

Connection = extensions.connection
Cursor = extensions.cursor

_closed: Any = Connection.closed
#: Says what the driver says of a real connection: 0 for open.
is_closed: Callable[[Any], int] = _closed.__get__


def _of_virtual(name: str) -> Any:
    """Make an attribute that is the virtual connection's while its listeners run."""

    def get(self: RealConnection) -> Any:
        return getattr(self.listening(), name)

    def put(self: RealConnection, value: Any) -> None:
        setattr(self.listening(), name, value)

    return property(get, put)


class RealConnection:
    """What is mixed into the driver's class: ``connect`` listeners see a virtual connection.

    While they run in a thread, everything that has to do with a transaction goes to the
    virtual connection that is being made there. Afterwards nothing may be ended by it.
    """

    sandbox: Psycopg2Sandbox

    def listening(self) -> VirtualConnection:
        """Give the virtual connection whose listeners run in this thread.

        :raises SandboxConflict: none do.
        """
        connection: VirtualConnection | None = self.sandbox.listening
        if connection is None:
            raise self.sandbox.conflict(messages.listener_returned())
        return connection

    def close(self) -> None:
        # closed twice, or by garbage collection: the sandbox closes it
        if self.sandbox.listening is not None:
            self.sandbox.listening.close()

    for _name in (
        *("cursor", "commit", "rollback", "reset", "__enter__", "__exit__", "lobject"),
        *("set_isolation_level", "set_session", "set_client_encoding", "get_transaction_status"),
        *("tpc_begin", "tpc_prepare", "tpc_commit", "tpc_rollback", "tpc_recover", "xid"),
        *("autocommit", "isolation_level", "readonly", "deferrable", "status"),
    ):
        locals()[_name] = _of_virtual(_name)
    del _name


class CursorMaker(Connection):
    """What lies beneath the connection class that the program asked for: makes the cursors.

    A ``LoggingConnection`` chooses a cursor class before it comes here.
    """

    cursor_factory: Any

    def cursor(  # type: ignore[override]  # its overloads say what this does, too
        self,
        name: str | None = None,
        cursor_factory: Any = None,
        withhold: bool = False,
        scrollable: bool | None = None,
    ) -> Any:
        factory = cursor_factory or self.cursor_factory or Cursor
        made = guarded(factory, name is not None)
        if name is None:
            return Connection.cursor(self, None, made)
        return Connection.cursor(self, name, made, withhold, scrollable)


@functools.lru_cache(maxsize=64)
def real_class(factory: Any) -> Any:
    """Make the class of the real connection from the one that the program asked for."""
    bases: tuple[Any, ...] = (RealConnection, CursorMaker)
    if factory is not Connection:
        bases = (RealConnection, factory, CursorMaker)
    return type("RealConnection", bases, {})


# -- forks ---------------------------------------------------------------------

_open_connections: weakref.WeakSet[Any] = weakref.WeakSet()


def forget_in_child(real: Any) -> None:
    """Let a child process that is forked while *real* is open hold no socket of it."""
    _open_connections.add(real)


def _detach_sockets() -> None:
    # the child's garbage collection would send a goodbye, which ends its parent's connection
    for real in list(_open_connections):
        if not is_closed(real):
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.dup2(nowhere, Connection.fileno(real))
            os.close(nowhere)


os.register_at_fork(after_in_child=_detach_sockets)

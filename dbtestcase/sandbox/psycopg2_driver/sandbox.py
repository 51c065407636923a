"""The sandbox whose engines use psycopg2."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import psycopg2
import psycopg2.errors
from psycopg2 import extensions
from sqlalchemy.engine import Dialect

from .. import messages as shared
from ..backends import Backend, State
from ..places import place
from ..postgresql.connecting import OURS, ConnectingSandbox
from ..postgresql.wire import Rows
from .connections import VirtualConnection
from .real import Connection, Cursor, forget_in_child, is_closed, real_class

__all__ = ["Psycopg2Sandbox"]

__unittest = True  # its frames are left out of tracebacks

_STATES = {
    extensions.TRANSACTION_STATUS_IDLE: State.IDLE,
    extensions.TRANSACTION_STATUS_INERROR: State.FAILED,
}

Types = tuple[dict[int, Any], dict[int, Any]]


class Psycopg2Sandbox(ConnectingSandbox):
    """A sandbox whose engines use psycopg2."""

    driver_error = psycopg2.Error
    joins = True
    #: what is registered on the real connection for reading values, by type
    types: Types
    _own_cursor: Any = None

    def connect(self, dialect: Dialect, cparams: Mapping[str, Any] | None) -> Any:
        """Give the real connection, prepared for a new virtual one in this thread.

        :raises SandboxConflict: when *cparams* differ from those of the connection that exists,
            or that was lost with what the test needs.
        """
        options = {k: v for k, v in (cparams or {}).items() if k not in OURS}
        factory = options.pop("connection_factory", None)
        cursor_factory = options.pop("cursor_factory", None)
        with self.entered():
            self._leave_listener()
            if not self.alive:
                self._refuse_after_loss()
                self._open(dialect, factory or Connection, options)
            elif cparams is not None:
                self._refuse_others(options)
            if factory is not None and factory is not self._factory:
                raise self.conflict(
                    shared.other_factory(self.owner, self.made_at, self._factory, factory, place())
                )
            connection = VirtualConnection(self, self.real)
            connection.cursor_factory = cursor_factory
            self.use_types(self._first_types)
            self.listening = connection
            return self.real

    def _open(self, dialect: Dialect, factory: Any, options: dict[str, Any]) -> None:
        _, self._where = dialect.create_connect_args(self.url)
        self._options, self._factory = options, factory
        self.real = psycopg2.connect(
            **{**options, **self._where}, connection_factory=real_class(factory)
        )
        self.real.sandbox = self
        self._own_cursor = None
        forget_in_child(self.real)
        self._first_types = self.types = dict(self.real.string_types), dict(self.real.binary_types)
        if self.died:
            self._new_generation()
        self._opened()

    @property
    def alive(self) -> bool:
        """Whether there is a real connection, and it is not broken. Not in a forked child."""
        return self.real is not None and not is_closed(self.real) and not self.in_child

    def go_on(self, backend: Backend) -> None:
        """Make room for the next of several statements that are sent by one call."""
        self._claim(backend)
        self._wire.flush()

    # -- how values are read: each engine may have its own JSON loader -----------

    def registered_types(self) -> Types:
        """Give what is registered on the real connection; the same object for the same."""
        types = dict(self.real.string_types), dict(self.real.binary_types)
        for known in (self._first_types, self.types):
            if types == known:
                return known
        self.types = types
        return types

    def use_types(self, types: Types) -> None:
        """Bring what is registered on the real connection to that of a virtual one."""
        if types is self.types:
            return
        for registered, wanted in zip(
            (self.real.string_types, self.real.binary_types), types, strict=True
        ):
            registered.clear()
            registered.update(wanted)
        self.types = types

    # -- the real connection -----------------------------------------------------

    def _send(self, text: str) -> Rows:
        cursor = self._own_cursor
        if cursor is None:  # kept, as most messages are sent at the end of a test
            cursor = self._own_cursor = Connection.cursor(self.real, cursor_factory=Cursor)
        Cursor.execute(cursor, text)
        return cursor.fetchall() if cursor.description else []

    def send_as_is(self, text: str) -> None:
        """Send a statement of the program's that no cursor of the driver would send."""
        self._send(text)

    def _server_version(self) -> int:
        return int(self.real.server_version)

    def _send_apart(self, text: str) -> None:
        connection = psycopg2.connect(**{**self._options, **self._where})
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(text)
        finally:
            connection.close()

    def _quote(self, value: object) -> str:
        adapted: Any = extensions.adapt(value)
        if isinstance(value, str):
            adapted.prepare(self.real)
        quoted: bytes = adapted.getquoted()
        return quoted.decode(extensions.encodings[self.real.encoding])

    def _real_state(self) -> State:
        return _STATES.get(Connection.get_transaction_status(self.real), State.ACTIVE)

    def _roll_back_and_close(self, last_words: Callable[[Callable[[str], object]], None]) -> None:
        real = self.real
        try:
            Connection.rollback(real)
            with Connection.cursor(real, cursor_factory=Cursor) as cursor:
                last_words(lambda text: Cursor.execute(cursor, text))
            Connection.commit(real)
        finally:
            Connection.close(real)

    def error(self, sqlstate: str, message: str) -> Exception:
        """Make the driver's error of that SQLSTATE, as the server's answer would have made it."""
        error: Any = psycopg2.errors.lookup(sqlstate)(f"{message}\n")
        error.__setstate__({"pgcode": sqlstate, "pgerror": f"ERROR:  {message}\n"})
        found: Exception = error
        return found

    def sqlstate(self, error: BaseException) -> str | None:
        """Give the SQLSTATE of a driver's error."""
        return getattr(error, "pgcode", None)

"""Virtual connections for psycopg2.

Three classes play together:

* the *real* connection is an instance of a subclass of the driver's own class, so that the
  driver's C functions and ``connect`` listeners take it; it ends nothing;
* a *virtual* connection is what SQLAlchemy's pool keeps, one for each checkout;
* its *cursors* are real ones, of a subclass of what was asked for, that ask the sandbox first.

psycopg2 believes to be in a transaction from the first statement until ``commit()`` or
``rollback()`` of its own, whatever a textual COMMIT does meanwhile; so does a virtual connection.
"""

from __future__ import annotations

import functools
import os
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import psycopg2
import psycopg2.errors
from psycopg2 import extensions
from psycopg2.sql import Composable
from sqlalchemy.engine import Dialect

from ..errors import SandboxConflict
from .backends import Backend, State
from .base import Phase
from .postgresql import PostgreSQLSandbox
from .statements import analyse

__all__ = ["Psycopg2Sandbox", "VirtualConnection"]

__unittest = True  # its frames are left out of tracebacks

Connection = extensions.connection
Cursor = extensions.cursor

_LEVELS: dict[object, str | None] = {
    None: None,
    extensions.ISOLATION_LEVEL_DEFAULT: None,
    extensions.ISOLATION_LEVEL_READ_UNCOMMITTED: "READ UNCOMMITTED",
    extensions.ISOLATION_LEVEL_READ_COMMITTED: "READ COMMITTED",
    extensions.ISOLATION_LEVEL_REPEATABLE_READ: "REPEATABLE READ",
    extensions.ISOLATION_LEVEL_SERIALIZABLE: "SERIALIZABLE",
}
_NUMBERS = {name: number for number, name in _LEVELS.items() if isinstance(number, int)}

#: What tells which database and who, and is the sandbox's to say.
_OURS = {"host", "hostaddr", "port", "dbname", "database", "user", "password", "service"}
_OURS |= {"passfile", "dsn"}

_TRANSACTION_STATUS = {
    State.IDLE: extensions.TRANSACTION_STATUS_IDLE,
    State.ACTIVE: extensions.TRANSACTION_STATUS_INTRANS,
    State.FAILED: extensions.TRANSACTION_STATUS_INERROR,
}


# -- the real connection -------------------------------------------------------


class RealConnection:
    """What is mixed into the driver's class: ``connect`` listeners see a virtual connection.

    While they run in a thread, everything that has to do with a transaction goes to the
    virtual connection that is being made there. Afterwards nothing may be ended by it.
    """

    sandbox: Psycopg2Sandbox

    def _listening(self) -> VirtualConnection:
        connection: VirtualConnection | None = self.sandbox.listening
        if connection is None:
            raise SandboxConflict(
                "the connection that a `connect` listener was given is used after the listener "
                "returned. All virtual connections share it. Keep the one that the engine gives."
            )
        return connection

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        return self._listening().cursor(*args, **kwargs)

    def commit(self) -> None:
        self._listening().commit()

    def rollback(self) -> None:
        self._listening().rollback()

    def close(self) -> None:
        if (connection := self.sandbox.listening) is not None:
            self.sandbox.listening = None
            connection.close()

    def set_isolation_level(self, level: int | None) -> None:
        self._listening().set_isolation_level(level)

    def set_session(self, *args: Any, **kwargs: Any) -> None:
        self._listening().set_session(*args, **kwargs)

    def set_client_encoding(self, encoding: str) -> None:
        self._listening().set_client_encoding(encoding)

    @property
    def autocommit(self) -> bool:
        return self._listening().autocommit

    @autocommit.setter
    def autocommit(self, value: bool) -> None:
        self._listening().autocommit = value

    @property
    def status(self) -> int:
        return self._listening().status


@functools.lru_cache(maxsize=64)
def _real_class(factory: type[Connection]) -> type[Connection]:
    return type("RealConnection", (RealConnection, factory), {})


# -- cursors -------------------------------------------------------------------


class GuardedCursor:
    """What is mixed into a cursor class: every statement asks the sandbox first."""

    virtual: VirtualConnection
    _rendering = False

    @property
    def connection(self) -> Any:
        # psycopg2.sql needs the real connection to quote for it
        return self.virtual.real if self._rendering else self.virtual

    def execute(self, query: Any, vars: Any = None) -> Any:
        text = self._text(query)
        if analyse(text).parts:
            return self.virtual.run_parts(self, text, vars)
        return self.virtual.run(
            self, text, lambda: super(GuardedCursor, self).execute(query, vars)  # type: ignore[misc]
        )

    def executemany(self, query: Any, vars_list: Iterable[Any]) -> Any:
        text = self._text(query)
        return self.virtual.run(
            self, text, lambda: super(GuardedCursor, self).executemany(query, vars_list)  # type: ignore[misc]
        )

    def callproc(self, procname: str, *args: Any) -> Any:
        return self.virtual.run(
            self,
            f"SELECT {procname}()",
            lambda: super(GuardedCursor, self).callproc(procname, *args),  # type: ignore[misc]
        )

    def copy_expert(self, sql: Any, *args: Any, **kwargs: Any) -> Any:
        return self.virtual.run(
            self,
            self._text(sql),
            lambda: super(GuardedCursor, self).copy_expert(sql, *args, **kwargs),  # type: ignore[misc]
        )

    def copy_from(self, file: Any, table: str, *args: Any, **kwargs: Any) -> Any:
        return self.virtual.run(
            self,
            f"COPY {table} FROM STDIN",
            lambda: super(GuardedCursor, self).copy_from(file, table, *args, **kwargs),  # type: ignore[misc]
        )

    def copy_to(self, file: Any, table: str, *args: Any, **kwargs: Any) -> Any:
        return self.virtual.run(
            self,
            f"COPY {table} TO STDOUT",
            lambda: super(GuardedCursor, self).copy_to(file, table, *args, **kwargs),  # type: ignore[misc]
        )

    def _text(self, query: Any) -> str:
        if isinstance(query, str):
            return query
        if isinstance(query, bytes):
            return query.decode()
        if isinstance(query, Composable):
            self._rendering = True
            try:
                return query.as_string(self)  # type: ignore[arg-type]
            finally:
                self._rendering = False
        return str(query)


def _declared(cursor: Any, text: str) -> str:
    hold = "WITH HOLD " if cursor.withhold else ""
    return 'DECLARE "{}" CURSOR {}FOR {}'.format(cursor.name.replace('"', '""'), hold, text)


class GuardedNamedCursor(GuardedCursor):
    """A server-side cursor: fetching sends a statement, too."""

    name: str

    def execute(self, query: Any, vars: Any = None) -> Any:
        text = _declared(self, self._text(query))
        return self.virtual.run(
            self, text, lambda: super(GuardedCursor, self).execute(query, vars)  # type: ignore[misc]
        )

    def _fetch(self, verb: str, call: Callable[[], Any]) -> Any:
        quoted = self.name.replace('"', '""')
        return self.virtual.run(self, f'{verb} FROM "{quoted}"', call)

    def fetchone(self) -> Any:
        return self._fetch("FETCH 1", super().fetchone)  # type: ignore[misc]

    def fetchmany(self, *args: Any, **kwargs: Any) -> Any:
        return self._fetch("FETCH", lambda: super(GuardedCursor, self).fetchmany(*args, **kwargs))  # type: ignore[misc]

    def fetchall(self) -> Any:
        return self._fetch("FETCH ALL", super().fetchall)  # type: ignore[misc]

    def scroll(self, *args: Any, **kwargs: Any) -> Any:
        return self._fetch("MOVE", lambda: super(GuardedCursor, self).scroll(*args, **kwargs))  # type: ignore[misc]

    def __next__(self) -> Any:
        return self._fetch("FETCH", super().__next__)  # type: ignore[misc]

    def close(self) -> None:
        if self.virtual.knows_cursor(self.name):
            self._fetch("CLOSE", super().close)  # type: ignore[misc]
        else:
            # its transaction has ended, and the server has closed it
            self.virtual.forget_cursor(self)


@functools.lru_cache(maxsize=256)
def _cursor_class(factory: type[Cursor], named: bool) -> type[Cursor]:
    guard = GuardedNamedCursor if named else GuardedCursor
    return type(factory.__name__, (guard, factory), {})


# -- the virtual connection ----------------------------------------------------


class VirtualConnection:
    """A connection of its own for its user, played on the sandbox's real one.

    What it does not define itself is the real connection's, such as ``info`` and ``encoding``.
    """

    def __init__(self, sandbox: Psycopg2Sandbox, real: Any) -> None:
        self.sandbox = sandbox
        self.real = real
        self.cursor_factory: type[Cursor] | None = None
        self._closed = False
        self._generation = -1
        self._backend: Backend | None = None
        self._settings: dict[str, str | None] = {}
        self._begun = False
        self._autocommit = False
        self._level: str | None = None
        self._read_only: bool | None = None
        self._deferrable: bool | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def __repr__(self) -> str:
        name = self._backend.name if self._backend else "unused connection"
        return f"<{name} of {self.sandbox.owner}'s sandbox on {self.sandbox.url!r}>"

    # -- what the sandbox asks -------------------------------------------------

    def listened(self) -> None:
        """Keep what the ``connect`` listeners set: it is this connection's in every test."""
        if self._backend is not None:
            self._settings = dict(self._backend.session)

    def backend(self) -> Backend:
        """Give the server's side of this connection, a new one in each test."""
        sandbox = self.sandbox
        if self._backend is None or self._generation != sandbox.generation:
            if self.real is not sandbox.real:
                raise psycopg2.InterfaceError("connection already closed")
            self._backend = sandbox.new_backend(self._settings)
            self._generation = sandbox.generation
            self._begun = False
            self._characterise()
        return self._backend

    def _characterise(self) -> None:
        if self._backend is not None and self._generation == self.sandbox.generation:
            self._backend.default_isolation = self._level
            self._backend.default_read_only = bool(self._read_only)

    def run(self, cursor: Any, text: str, call: Callable[[], Any]) -> Any:
        """Run one statement of *cursor*."""
        sandbox = self.sandbox
        with sandbox.entered():
            self._check_open()
            if sandbox.phase is Phase.CLOSING:
                sandbox.flush()
                return call()
            backend = self.backend()
            if not self._autocommit and not self._begun:
                if backend.state is State.FAILED:
                    raise sandbox.aborted()
                self._begun = True
                if backend.state is State.IDLE:
                    backend.begin()
            result = backend.execute(text, call)
            if cursor.description is not None and analyse(text).control is not None:
                # nothing was sent: the answer to the last statement must not be taken for its own
                sandbox.flush()
                Cursor.execute(cursor, "SET LOCAL dbtestcase.played = ''")
            return result

    def run_parts(self, cursor: Any, text: str, vars: Any) -> Any:
        """Run several statements, one of which steers the transaction, one by one."""
        if vars:
            text = cursor.mogrify(text, vars).decode()
        result = None
        for part in analyse(text).parts:
            result = cursor.execute(part)
        return result

    # -- PEP 249 ---------------------------------------------------------------

    def cursor(
        self,
        name: str | None = None,
        cursor_factory: type[Cursor] | None = None,
        withhold: bool = False,
        scrollable: bool | None = None,
    ) -> Any:
        """Make a cursor of the class asked for, which asks the sandbox first."""
        self._check_open()
        factory = cursor_factory or self.cursor_factory or self.real.cursor_factory or Cursor
        made: Any = Connection.cursor(
            self.real,
            name,
            cursor_factory=_cursor_class(factory, name is not None),
            withhold=withhold,
            scrollable=scrollable,
        )
        made.virtual = self
        return made

    def commit(self) -> None:
        """Keep the transaction's work, until the test ends."""
        self._end(commit=True)

    def rollback(self) -> None:
        """Undo the transaction's work."""
        self._end(commit=False)

    def close(self) -> None:
        """End this connection, and only this."""
        if not self._closed:
            self._end(commit=False, close=True)
            self._closed = True

    def _end(self, *, commit: bool, close: bool = False) -> None:
        sandbox = self.sandbox
        if self._closed:
            raise psycopg2.InterfaceError("connection already closed")
        with sandbox.lock:
            backend = self._backend
            begun, self._begun = self._begun, False
            if (
                backend is None
                or self._generation != sandbox.generation
                or sandbox.phase is Phase.CLOSING
                or not sandbox.alive
                or os.getpid() != sandbox.pid
            ):
                return
            if close:
                backend.close()
            elif begun:
                backend.end(commit=commit)

    def __enter__(self) -> VirtualConnection:
        self._check_open()
        return self

    def __exit__(self, kind: Any, value: Any, traceback: Any) -> None:
        if kind is None:
            self.commit()
        else:
            self.rollback()

    @property
    def closed(self) -> int:
        """0 while it is open, else what the driver says of the real connection, or 1."""
        return 1 if self._closed else int(Connection.closed.__get__(self.real))  # type: ignore[attr-defined]

    def _check_open(self) -> None:
        if self.closed:
            raise psycopg2.InterfaceError("connection already closed")

    # -- psycopg2's own --------------------------------------------------------

    @property
    def autocommit(self) -> bool:
        """Whether each statement is a transaction of its own."""
        return self._autocommit

    @autocommit.setter
    def autocommit(self, value: bool) -> None:
        self._check_outside("set_session")
        self._autocommit = bool(value)

    def _check_outside(self, function: str) -> None:
        if self._begun and self._generation == self.sandbox.generation:
            raise psycopg2.ProgrammingError(f"{function} cannot be used inside a transaction")

    @property
    def isolation_level(self) -> int:
        """The level as psycopg2's constant, 0 for autocommit."""
        if self._autocommit:
            return extensions.ISOLATION_LEVEL_AUTOCOMMIT
        return extensions.ISOLATION_LEVEL_DEFAULT if self._level is None else _NUMBERS[self._level]

    @isolation_level.setter
    def isolation_level(self, level: int | str | None) -> None:
        self._check_outside("isolation_level")
        self._level = self._named_level(level)
        self._characterise()

    def set_isolation_level(self, level: int | None) -> None:
        """Set the level of later transactions; ends the present one, as psycopg2 does."""
        if self._begun:
            self.rollback()
        if level == extensions.ISOLATION_LEVEL_AUTOCOMMIT:
            self._autocommit = True
            return
        self._level = self._named_level(level)
        self._autocommit = False
        self._characterise()

    @staticmethod
    def _named_level(level: int | str | None) -> str | None:
        if isinstance(level, str):
            name = level.upper()
            if name == "DEFAULT":
                return None
            if name in _NUMBERS:
                return name
            raise ValueError(f"bad value for isolation_level: '{level}'")
        try:
            return _LEVELS[level]
        except KeyError:
            raise ValueError(f"bad value for isolation_level: {level}") from None

    @property
    def readonly(self) -> bool | None:
        """Whether later transactions are READ ONLY; None for the server's default."""
        return self._read_only

    @readonly.setter
    def readonly(self, value: bool | None) -> None:
        self._check_outside("readonly")
        self._read_only = value
        self._characterise()

    @property
    def deferrable(self) -> bool | None:
        """Whether later SERIALIZABLE READ ONLY transactions wait; it changes nothing here."""
        return self._deferrable

    @deferrable.setter
    def deferrable(self, value: bool | None) -> None:
        self._check_outside("deferrable")
        self._deferrable = value

    def set_session(
        self,
        isolation_level: int | str | None = None,
        readonly: bool | str | None = None,
        deferrable: bool | str | None = None,
        autocommit: bool | None = None,
    ) -> None:
        """Set what is given for later transactions; None leaves it as it is."""
        self._check_outside("set_session")
        if isolation_level is not None:
            self._level = self._named_level(isolation_level)
        if readonly is not None:
            self._read_only = None if isinstance(readonly, str) else readonly
        if deferrable is not None:
            self._deferrable = None if isinstance(deferrable, str) else deferrable
        if autocommit is not None:
            self._autocommit = autocommit
        self._characterise()

    def set_client_encoding(self, encoding: str) -> None:
        """Set the client encoding, which all virtual connections share.

        :raises SandboxConflict: when it is not the one that is in force.
        """
        wanted = encoding.upper().replace("-", "").replace("_", "")
        if wanted != self.real.encoding.upper().replace("-", "").replace("_", ""):
            raise SandboxConflict(
                f"client encoding {encoding!r} differs from {self.real.encoding!r} of the real "
                f"connection, which all connections of a sandbox share. Set it for the database, "
                f"or test this code on real connections."
            )

    def reset(self) -> None:
        """Roll back and go back to the defaults."""
        self._end(commit=False, close=True)
        self._autocommit = False
        self._level = self._read_only = self._deferrable = None
        self._characterise()

    @property
    def status(self) -> int:
        """What psycopg2 believes: READY, or BEGIN in a transaction."""
        inside = self._begun and self._generation == self.sandbox.generation
        return extensions.STATUS_BEGIN if inside else extensions.STATUS_READY

    def get_transaction_status(self) -> int:
        """What the server would say."""
        if self._backend is None or self._generation != self.sandbox.generation:
            return extensions.TRANSACTION_STATUS_IDLE
        return _TRANSACTION_STATUS[self._backend.state]

    def knows_cursor(self, name: str) -> bool:
        """Whether the server-side cursor *name* is open in this test."""
        return (
            self._backend is not None
            and self._generation == self.sandbox.generation
            and name in self._backend.cursors
        )

    def forget_cursor(self, cursor: Any) -> None:
        """Nothing to close: the server has done it."""

    def _two_phase(self, *args: Any) -> Any:
        raise SandboxConflict(
            "two-phase transactions cannot be played in a sandbox: a prepared transaction "
            "outlives its connection, and nothing may outlive the test. Test this code on real "
            "connections, on a database of its own."
        )

    tpc_begin = tpc_prepare = tpc_commit = tpc_rollback = tpc_recover = xid = _two_phase

    def lobject(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse large objects, whose reads and writes send statements past the sandbox.

        :raises SandboxConflict: always.
        """
        raise SandboxConflict(
            "large objects by connection.lobject() cannot be played in a sandbox, because they "
            "talk to the real connection themselves. Use the server's lo_* functions in SQL."
        )


# -- the sandbox ---------------------------------------------------------------


class Psycopg2Sandbox(PostgreSQLSandbox):
    """A sandbox whose engines use psycopg2."""

    driver_error = psycopg2.Error
    real: Any = None
    pid = property(lambda self: self._pid)

    def connect(self, dialect: Dialect, cparams: Mapping[str, Any] | None) -> Any:
        """Give the real connection, prepared for a new virtual one in this thread.

        :raises SandboxConflict: when *cparams* differ from those of the connection that exists.
        """
        options = {k: v for k, v in (cparams or {}).items() if k not in _OURS}
        factory = options.pop("connection_factory", None) or Connection
        cursor_factory = options.pop("cursor_factory", None)
        with self.entered():
            if not self.alive:
                self._open(dialect, factory, options)
            elif cparams is not None and options != self._options:
                raise SandboxConflict(
                    f"an engine connects with {options!r}, and the connection of {self.owner}'s "
                    f"sandbox was made with {self._options!r}. All engines of one database share "
                    f"one connection there. Give them the same connect_args."
                )
            connection = VirtualConnection(self, self.real)
            connection.cursor_factory = cursor_factory
            self.listening = connection
            return self.real

    def _open(
        self, dialect: Dialect, factory: type[Connection], options: dict[str, Any]
    ) -> None:
        _, where = dialect.create_connect_args(self.url)
        self._options = options
        self.real = psycopg2.connect(
            **{**options, **where}, connection_factory=_real_class(factory)
        )
        self.real.sandbox = self
        _forget_in_child(self.real)
        self._opened()

    @property
    def alive(self) -> bool:
        """Whether there is a real connection, and it is not broken."""
        return self.real is not None and not Connection.closed.__get__(self.real)  # type: ignore[attr-defined]

    def _send(self, text: str) -> list[tuple[Any, ...]]:
        with Connection.cursor(self.real, cursor_factory=Cursor) as cursor:
            Cursor.execute(cursor, text)
            return cursor.fetchall() if cursor.description is not None else []

    def _quote(self, value: object) -> str:
        adapted = extensions.adapt(value)
        if isinstance(value, str):
            adapted.prepare(self.real)  # type: ignore[attr-defined]
        return adapted.getquoted().decode()

    def _roll_back_and_close(self, last_words: Callable[[Callable[[str], object]], None]) -> None:
        real, self.real = self.real, None
        try:
            Connection.rollback(real)
            with Connection.cursor(real, cursor_factory=Cursor) as cursor:
                last_words(lambda text: Cursor.execute(cursor, text))
            Connection.commit(real)
        finally:
            Connection.close(real)

    def error(self, sqlstate: str, message: str) -> Exception:
        """Make the driver's error of that SQLSTATE, as the server's answer would have made it."""
        error = psycopg2.errors.lookup(sqlstate)(f"{message}\n")
        error.__setstate__({"pgcode": sqlstate, "pgerror": f"ERROR:  {message}\n"})
        return error

    def sqlstate(self, error: BaseException) -> str | None:
        """Give the SQLSTATE of a driver's error."""
        return getattr(error, "pgcode", None)


_open_connections: weakref.WeakSet[Any] = weakref.WeakSet()


def _forget_in_child(real: Any) -> None:
    _open_connections.add(real)


def _detach_sockets() -> None:
    """Let a forked child hold no socket of its parent.

    Its garbage collection would send a goodbye there, which ends the parent's connection.
    """
    for real in list(_open_connections):
        if not Connection.closed.__get__(real):  # type: ignore[attr-defined]
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.dup2(nowhere, Connection.fileno(real))
            os.close(nowhere)


os.register_at_fork(after_in_child=_detach_sockets)

"""Virtual connections for sqlite3.

Three classes play together:

* the *real* connection is an instance of a subclass of what the engine asked for, so that the
  driver's C functions take it; while ``connect`` listeners have it, it acts for a virtual one;
* a *virtual* connection is what SQLAlchemy's pool keeps, one for each checkout;
* its *cursors* are real ones, of a subclass of what was asked for, that ask the sandbox first.

sqlite3 sends BEGIN by itself, and when it does depends on ``isolation_level`` and, since Python
3.12, on ``autocommit``. The real connection never does; a virtual one decides as the driver would:

===========================================  ==================================================
``isolation_level = ""`` (the default),      before INSERT, UPDATE, DELETE and REPLACE only: DDL
``"DEFERRED"``, ``"IMMEDIATE"`` …            and SELECT are transactions of their own
``isolation_level = None``,                  never
``autocommit = True``
``autocommit = False``                       always: a transaction is open all the time
===========================================  ==================================================
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..backends import State
from ..base import Phase
from . import messages
from .cursors import cursor_class
from .pragmas import ANSWERED
from .statements import SQLiteStatement, analyse, keep_others, split_script
from .wire import NativeConnection

if TYPE_CHECKING:
    from ..places import Place
    from .locks import SQLiteBackend
    from .sandbox import SQLiteSandbox

__all__ = ["VirtualConnection"]

__unittest = True  # its frames are left out of tracebacks

#: ``autocommit`` as it was before Python 3.12
LEGACY = getattr(sqlite3, "LEGACY_TRANSACTION_CONTROL", -1)

_LEVELS = ("", "DEFERRED", "IMMEDIATE", "EXCLUSIVE")


class VirtualConnection:
    """A connection of its own for its user, played on the sandbox's real one.

    What it does not define itself is the real connection's.

    :param options: what the engine gave to ``sqlite3.connect``.
    """

    def __init__(self, sandbox: SQLiteSandbox, options: Mapping[str, Any]) -> None:
        self._sandbox = sandbox
        self.real: Any = None
        self.hooks: dict[str, Any] = {}
        #: what it registered by name, and where
        self.registered: dict[tuple[Any, ...], Place] = {}
        self.pragmas: set[str] = set()
        self.row_factory: Any = None
        self.closed = False
        self._isolation_level: str | None = options.get("isolation_level", "")
        self._autocommit: Any = options.get("autocommit", LEGACY)
        #: rows changed, up to when another connection sent a statement
        self.changes = 0
        self._generation = -1
        self._backend: SQLiteBackend | None = None
        self._default_cursor: Any = None

    def __getattr__(self, name: str) -> Any:
        if name == "real" or hasattr(VirtualConnection, name):
            # a property of ours has raised it: the driver knows no such thing
            raise AttributeError(name)
        inherited = getattr(type(self.real), name, None)
        if isinstance(inherited, types.FunctionType):
            # a method of the program's own class acts on this connection
            return types.MethodType(inherited, self)
        return getattr(self.real, name)

    def __repr__(self) -> str:
        return f"<{self.name} of {self._sandbox.owner}'s sandbox on {self._sandbox.url!r}>"

    # -- what the sandbox asks -------------------------------------------------

    @property
    def name(self) -> str:
        """How messages call it."""
        return self._backend.name if self._backend else "unused connection"

    def listened(self) -> None:
        """Compare what the ``connect`` listeners set with what other connections have."""
        try:
            self._sandbox.pragmas.compare(self)
        except BaseException:
            self.close()
            raise

    @property
    def known_backend(self) -> SQLiteBackend | None:
        """SQLite's side of this connection, if there is one in this test."""
        return self._backend if self._generation == self._sandbox.generation else None

    def backend(self) -> SQLiteBackend:
        """Give SQLite's side of this connection, a new one in each test."""
        if self.real is not self._sandbox.real or self.closed:
            raise sqlite3.ProgrammingError("Cannot operate on a closed database.")
        backend = self.known_backend
        if backend is None:
            self._generation = self._sandbox.generation
            backend = self._backend = self._sandbox.new_backend({})
            if self._autocommit is False:
                backend.begin()
        return backend

    def run(self, cursor: Any, sql: Any, send: Callable[[str], Any]) -> Any:
        """Run one statement of *cursor*, by *send* where it is to be sent."""
        sandbox = self._sandbox
        with sandbox.entered():
            backend = self.backend()
            if not isinstance(sql, str):
                return send(sql)  # the driver's own error
            statement = analyse(sql)
            sandbox.callbacks.align(self)
            if sandbox.phase is Phase.CLOSING:
                return self._run_closing(cursor, statement, sql, send)
            if statement.malformed:
                # the driver's own error, without a chance that anything is ended
                return send(f"EXPLAIN {sql}")
            if statement.pragma is not None and statement.alone:
                name = statement.pragma.name

                def ask() -> Any:
                    answers = name in ANSWERED
                    return send(f"PRAGMA {name}") if answers else sandbox.wire.nothing(cursor)

                return sandbox.pragmas.set(self, statement.pragma, lambda: send(sql), ask)
            if statement.control is not None:
                backend.execute(sql, lambda: None)
                # the rows of its last statement must not be taken for those of this one
                return sandbox.wire.nothing(cursor)
            begins = statement.dml and statement.alone and self._begins
            if begins := begins and backend.state is State.IDLE:
                backend.begin(analyse(f"BEGIN {self._isolation_level}"))
            text = keep_others(sql) if statement.ends_transaction else sql
            cursor.sent = sql
            sandbox.count_changes(self)
            before = self.changes
            try:
                return backend.execute(sql, lambda: send(text))
            except sqlite3.OperationalError:
                # sqlite3 compiles a statement before it sends BEGIN
                if begins and sandbox.alive and not sandbox.wire.compiles(sql):
                    backend.end(commit=False)
                raise
            except sqlite3.IntegrityError as error:
                if backend.state is State.IDLE and "FOREIGN KEY" in str(error):
                    # the driver counts nothing of a statement that failed when it committed
                    sandbox.count_changes(self)
                    self.changes = before
                raise

    def before_fetching(self, cursor: Any) -> None:
        """Warn where the rows to come may be others' uncommitted ones."""
        sandbox, backend = self._sandbox, self.known_backend
        if sandbox.has_one or backend is None:
            return
        with sandbox.entered():
            sandbox.fetches_on(backend, cursor.sent)

    def ended_rows(self, error: sqlite3.OperationalError) -> Exception | None:
        """Give the conflict for rows that real connections might still have."""
        if str(error) != "abort due to ROLLBACK":
            return None
        return self._sandbox.conflict(messages.ended_rows(self.backend(), error))

    def _run_closing(
        self, cursor: Any, statement: SQLiteStatement, sql: str, send: Callable[[str], Any]
    ) -> Any:
        if statement.control is not None or statement.malformed:
            return self._sandbox.wire.nothing(cursor)
        self._sandbox.flush()
        return self._sandbox.send(sql, lambda: send(sql))

    @property
    def _begins(self) -> bool:
        return bool(self._autocommit == LEGACY and self._isolation_level is not None)

    def run_script(self, script: str) -> None:
        """Run the statements of a script one by one, after a commit in the legacy mode."""
        if self._autocommit == LEGACY:
            self.commit()
        level, self._isolation_level = self._isolation_level, None
        try:
            for part in split_script(script):
                self.cursor().execute(part).fetchall()
        finally:
            self._isolation_level = level

    # -- PEP 249 ---------------------------------------------------------------

    def cursor(self, factory: Any = None) -> Any:
        """Make a cursor of the class asked for, which asks the sandbox first."""
        if self.real is not self._sandbox.real or self.closed:
            raise sqlite3.ProgrammingError("Cannot operate on a closed database.")
        factory = factory or self._cursor_factory()
        guarded = cursor_class(factory)
        if guarded is None:
            raise self._sandbox.conflict(messages.no_cursor_class(factory))
        made = guarded(self.real)
        if self.row_factory is not None:
            made.row_factory = self.row_factory
        made.virtual = self
        with self._sandbox.lock:
            self._sandbox.cursors.add(made)
        return made

    def forget(self, cursor: Any) -> None:
        """Let a cursor be that is closed."""
        with self._sandbox.lock:
            self._sandbox.cursors.discard(cursor)

    def _cursor_factory(self) -> Any:
        """Give the class of the cursors that the program's own connection class makes."""
        if self._default_cursor is None:
            own = type(self.real).asked_for.cursor
            # probed, as the program's method alone knows which class it takes
            known = own is sqlite3.Connection.cursor
            self._default_cursor = sqlite3.Cursor if known else type(own(self.real))
        return self._default_cursor

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        """Execute a statement by a new cursor, and give the cursor."""
        return self.cursor().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> Any:
        """Execute a statement for each row of *parameters* by a new cursor, and give it."""
        return self.cursor().executemany(sql, parameters)

    def executescript(self, sql_script: str, /) -> Any:
        """Execute the statements of a script by a new cursor, and give it."""
        return self.cursor().executescript(sql_script)

    def commit(self) -> None:
        """Keep the transaction's work, until the test ends.

        :raises sqlite3.IntegrityError: a deferred foreign key is violated; the transaction
            goes on.
        """
        if self._autocommit is not True:
            self._end(commit=True)

    def rollback(self) -> None:
        """Undo the transaction's work."""
        if self._autocommit is not True:
            self._end(commit=False)

    def close(self) -> None:
        """End this connection, and only this."""
        if not self.closed:
            self._end(commit=False, close=True)
            self.closed = True

    def _end(self, *, commit: bool, close: bool = False) -> None:
        sandbox = self._sandbox
        if self.closed:
            raise sqlite3.ProgrammingError("Cannot operate on a closed database.")
        with sandbox.lock:
            backend = self.known_backend
            if (
                backend is None
                or self.real is not sandbox.real
                or sandbox.phase is Phase.CLOSING
                or os.getpid() != sandbox.pid
            ):
                return
            if close:
                backend.close()
                sandbox.ended(self)
                return
            if self._autocommit is False and backend.state is State.IDLE:
                sandbox.ended_twice(commit)  # a text has ended it: the driver's own fails
            backend.end(commit=commit)
            if self._autocommit is False:
                backend.begin()

    def __enter__(self) -> VirtualConnection:
        return self

    def __exit__(self, kind: Any, value: Any, traceback: Any) -> None:
        if kind is not None:
            self.rollback()
            return
        try:
            self.commit()
        except BaseException:
            # as the driver does, so that a failed commit leaves no transaction
            self.rollback()
            raise

    # -- transaction control ---------------------------------------------------

    @property
    def in_transaction(self) -> bool:
        """Whether SQLite would say that a transaction is open."""
        backend = self.known_backend
        return backend is not None and backend.state is State.ACTIVE

    @property
    def isolation_level(self) -> str | None:
        """How sqlite3 begins transactions; None for never."""
        return self._isolation_level

    @isolation_level.setter
    def isolation_level(self, level: str | None) -> None:
        if level is None:
            self._isolation_level = None
            if self._autocommit == LEGACY:
                self.commit()
            return
        if not isinstance(level, str):
            raise TypeError("isolation_level must be str or None")
        if level.upper() not in _LEVELS:
            raise ValueError(
                "isolation_level string must be '', 'DEFERRED', 'IMMEDIATE', or 'EXCLUSIVE'"
            )
        self._isolation_level = level.upper()

    @property
    def autocommit(self) -> Any:
        """Who begins transactions, since Python 3.12: SQLite, sqlite3, or as before."""
        if not hasattr(sqlite3, "LEGACY_TRANSACTION_CONTROL"):
            raise AttributeError("autocommit")
        return self._autocommit

    @autocommit.setter
    def autocommit(self, value: Any) -> None:
        if not hasattr(sqlite3, "LEGACY_TRANSACTION_CONTROL"):
            raise AttributeError("autocommit")
        if value not in (True, False, LEGACY):
            raise ValueError(
                "autocommit must be True, False, or sqlite3.LEGACY_TRANSACTION_CONTROL"
            )
        with self._sandbox.entered():
            backend = self.backend()
            if value is True and self.in_transaction:
                self._end(commit=True)
            self._autocommit = value
            if value is False and backend.state is State.IDLE:
                backend.begin()

    @property
    def total_changes(self) -> int:
        """How many rows this connection has changed."""
        with self._sandbox.entered():
            self.backend()
            self._sandbox.count_changes(self)
            return self.changes

    # -- callbacks, functions and factories ------------------------------------

    @property
    def text_factory(self) -> Any:
        """What makes a value of the TEXT that SQLite returns."""
        return self.hooks.get("text_factory", str)

    @text_factory.setter
    def text_factory(self, factory: Any) -> None:
        self._hook("text_factory", None if factory is str else factory)

    def set_authorizer(self, authorizer_callback: Any) -> None:
        """Ask a function before each statement of this connection is prepared."""
        self._hook("authorizer", authorizer_callback)

    def set_trace_callback(self, trace_callback: Any) -> None:
        """Tell a function of each statement of this connection that is sent."""
        self._hook("trace", trace_callback)

    def set_progress_handler(self, progress_handler: Any, n: int) -> None:
        """Call a function after every *n* instructions of this connection's statements."""
        self._hook("progress", None if progress_handler is None else (progress_handler, n))

    def _hook(self, name: str, value: Any) -> None:
        if value is None:
            self.hooks.pop(name, None)
        else:
            self.hooks[name] = value

    def _register(self, kind: str, name: str, value: Any, *args: Any, **kwargs: Any) -> None:
        """Call ``create_…`` of the driver, unless that is done already."""
        parameters = tuple(a for a in args if a is not value)
        with self._sandbox.entered():
            self.backend()
            self._sandbox.callbacks.register(
                self,
                (kind, name.lower(), *parameters),
                value,
                lambda: getattr(NativeConnection, f"create_{kind}")(
                    self.real, name, *args, **kwargs
                ),
            )

    def create_function(self, name: str, narg: int, func: Any, **kwargs: Any) -> None:
        """Register an SQL function."""
        self._register("function", name, func, narg, func, **kwargs)

    def create_aggregate(self, name: str, n_arg: int, aggregate_class: Any) -> None:
        """Register an SQL aggregate."""
        self._register("aggregate", name, aggregate_class, n_arg, aggregate_class)

    def create_window_function(self, name: str, num_params: int, aggregate_class: Any) -> None:
        """Register an SQL window function."""
        self._register("window_function", name, aggregate_class, num_params, aggregate_class)

    def create_collation(self, name: str, callback: Any) -> None:
        """Register a collation."""
        self._register("collation", name, callback, callback)

    # -- the whole database ----------------------------------------------------

    def iterdump(self, **kwargs: Any) -> Iterator[str]:
        """Give the database as statements of SQL."""
        sandbox = self._sandbox
        with sandbox.entered():
            self.backend()
            # the driver's function asks the real connection for its cursors
            before, sandbox.listening = sandbox.listening, self
            try:
                return iter(list(NativeConnection.iterdump(self.real, **kwargs)))
            finally:
                sandbox.listening = before

    def _alone(self, what: str) -> None:
        """Refuse what would show or store other connections' uncommitted work."""
        others = [b for b in self._sandbox.uncommitted() if b is not self.known_backend]
        if others:
            raise self._sandbox.conflict(
                messages.copied_beside(self.known_backend, what, others[0])
            )
        self._sandbox.flush()

    def backup(self, target: sqlite3.Connection, **kwargs: Any) -> None:
        """Copy the database into another one."""
        with self._sandbox.entered():
            self.backend()
            self._alone("backup()")
            # SQLite itself would wait for the end of the transaction, for ever
            with contextlib.closing(NativeConnection(":memory:")) as copy:
                copy.deserialize(NativeConnection.serialize(self.real))
                copy.backup(target, **kwargs)

    def serialize(self, **kwargs: Any) -> bytes:
        """Give the database as bytes."""
        with self._sandbox.entered():
            self.backend()
            self._alone("serialize()")
            return bytes(NativeConnection.serialize(self.real, **kwargs))

    def blobopen(self, *args: Any, **kwargs: Any) -> Any:
        """Open a BLOB for reading.

        :raises SandboxConflict: for writing, which would go past the sandbox.
        """
        with self._sandbox.entered():
            self.backend()
            if not kwargs.get("readonly", False):
                raise self._sandbox.conflict(messages.blob_for_writing())
            self._sandbox.flush()
            return NativeConnection.blobopen(self.real, *args, **kwargs)

    def deserialize(self, *args: Any, **kwargs: Any) -> None:
        """Refuse to replace the database.

        :raises SandboxConflict: always.
        """
        raise self._sandbox.conflict(messages.deserialized())

    def interrupt(self) -> None:
        """Abort the statement that another thread runs."""
        NativeConnection.interrupt(self.real)

    def enable_load_extension(self, enable: bool) -> None:
        """Allow or forbid extensions, for all connections of the sandbox."""
        NativeConnection.enable_load_extension(self.real, enable)

    def load_extension(self, name: str, **kwargs: Any) -> None:
        """Load an extension, for all connections of the sandbox."""
        NativeConnection.load_extension(self.real, name, **kwargs)

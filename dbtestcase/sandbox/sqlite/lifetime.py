"""The life of a sandbox on SQLite: its connection, its outer transaction, its tests."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sqlite3
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sqlalchemy.engine import URL, Dialect, Engine

from ...engines.private import in_use
from ...engines.redirecting import place_of_engine
from ...errors import EscapeError, SetUpError
from ..base import Sandbox
from ..segments import Wrote
from .callbacks import Callbacks
from .connections import VirtualConnection
from .tables import Tables
from .wire import NativeConnection, SQLiteWire

__all__ = ["SQLiteLifetime", "never_close_in_child"]


class SQLiteLifetime(Sandbox):
    """What a sandbox does between statements: opening, setting up, ending tests, closing."""

    driver_error = sqlite3.Error
    #: which tables the statements touched
    tables: Tables
    callbacks: Callbacks

    def __init__(self, url: URL, *, owner: str = "sandboxed()") -> None:
        self._wire = SQLiteWire()
        self.real: Any = None
        self._snapshot: sqlite3.Connection | None = None
        #: so that none holds a statement open after its time
        self.cursors: weakref.WeakSet[Any] = weakref.WeakSet()
        super().__init__(url, owner=owner)

    # -- the real connection ---------------------------------------------------

    @property
    def wire(self) -> SQLiteWire:
        """The way to the database."""
        return self._wire

    @property
    def alive(self) -> bool:
        """Whether there is a real connection. Not in a forked child, which must not end it."""
        return self.real is not None and not self.in_child

    @property
    def pid(self) -> int:
        """The process that may use it."""
        return self._pid

    @contextlib.contextmanager
    def taking(self, engine: Engine) -> Iterator[None]:
        """Keep what is in memory only, while the engine's own connections are put aside.

        A private database cannot be shared with its connection, so the sandbox gets a copy.

        :raises SetUpError: a connection to the private database is in use.
        """
        place = place_of_engine(engine)
        if place.key is None:
            with contextlib.closing(self._copied(engine)) as self._snapshot:
                yield
            self._snapshot = None
        elif place.key[1] in ("memdb", "memory"):
            # such a database is gone with its last connection
            keeper = self._connect_driver(engine.dialect, sqlite3.Connection, {})
            with contextlib.closing(keeper):
                yield
                engine.connect().close()
        else:
            yield

    @staticmethod
    def _copied(engine: Engine) -> sqlite3.Connection:
        if in_use(engine.pool):
            raise SetUpError(
                f"{engine!r} has a connection in use, and its database lies in that connection's "
                f"memory. Close sessions and connections before sandboxed(), or use a file or a "
                f"shared database: sqlite:///file:/NAME?vfs=memdb&uri=true"
            )
        with contextlib.closing(engine.raw_connection()) as raw:
            copy = sqlite3.connect(":memory:", check_same_thread=False)
            own: Any = raw.driver_connection
            own.backup(copy)
            return copy

    def _connect_driver(
        self, dialect: Dialect, factory: type[sqlite3.Connection], options: dict[str, Any]
    ) -> sqlite3.Connection:
        # typed loosely, as the engine may give what only newer drivers know
        driver: Any = sqlite3
        positional, named = dialect.create_connect_args(self.url)
        arguments: dict[str, Any] = {
            **options,
            **{name: value for name, value in named.items() if name in ("uri", "database")},
            "factory": factory,
            # BEGIN is ours to send, and threads share the connection under the sandbox's lock
            "isolation_level": None,
            "check_same_thread": False,
        }
        made: sqlite3.Connection = driver.connect(*positional, **arguments)
        return made

    def opened(self, real: Any) -> None:
        """Take a new real connection, before the program's own class sends anything on it."""
        if self._snapshot is not None:
            self._snapshot.backup(real)
        self.real = real
        self._wire.attach(real)
        self.callbacks.begin(real)
        self._begin_outer()

    def _roll_back_and_close(
        self, finish: Callable[[Callable[[str], object]], object] | None = None
    ) -> None:
        real, self.real = self.real, None
        self._reset_cursors()
        try:
            self._wire.queue("ROLLBACK")
            if finish is not None:
                finish(self._wire.ask)
        finally:
            self._wire.attach(None)
            NativeConnection.close(real)

    def _reset_cursors(self, connection: VirtualConnection | None = None) -> None:
        """End open statements: they hold locks, and those that write allow no savepoint."""
        for cursor in list(self.cursors):
            if connection is None or cursor.virtual is connection:
                with contextlib.suppress(sqlite3.Error):
                    self._wire.nothing(cursor)

    # -- the life of a class ---------------------------------------------------

    def _rolled_back(self, settings: Mapping[str, str | None]) -> None:
        """PRAGMAs are not undone by a rollback."""

    def _begin_outer(self) -> None:
        self.stack = self._new_stack()
        self._wire.queue("BEGIN")
        self.stack.begin(savepoint=False)

    def _freeze_setup(self) -> None:
        if not self.touched:
            return
        self._reset_cursors()
        self.stack.ask_top()
        self.shared = any(s.wrote is not Wrote.NO for s in self.stack)
        self.tables.temporary.clear()
        if not self.shared:
            self._end_outer()
            return
        self.stack.keep()
        self.stack = self._new_stack()
        self.stack.begin(savepoint=True)

    def _end_outer(self) -> None:
        self._wire.queue("ROLLBACK")
        self._begin_outer()

    def _rewind_test(self) -> None:
        self._reset_cursors()
        self.tables.temporary.clear()
        if not self._wire.begin_waits and not self._wire.in_transaction:
            self._roll_back_and_close()
            raise EscapeError(
                f"the transaction in which {self.owner} plays everything was ended past the "
                f"sandbox, so something was really committed to database {self.url.database!r}, "
                f"or what the class had written was lost. Look for a COMMIT that went to the real "
                f"connection, and for RAISE(ROLLBACK) in a trigger."
            )
        if self.shared:
            self.stack.rewind()
        else:
            self._end_outer()

    def give_up(self) -> None:
        """Close the real connection, since the database is to be filled anew: it counts as lost."""
        if self.alive:
            with self.lock, contextlib.suppress(sqlite3.Error):
                self._roll_back_and_close()
        self._connected = True  # and lost, also where there was no need of one so far

    def _disconnect(self, finish: Callable[[Callable[[str], object]], object] | None) -> None:
        if self.alive:
            self._roll_back_and_close(finish)
        self._connected = False
        self.stack = self._new_stack()


_open_connections: weakref.WeakSet[Any] = weakref.WeakSet()


def never_close_in_child(real: Any) -> None:
    """Let a process that is forked while *real* is open never close it.

    It would roll back by the journal that the parent's transaction needs.
    """
    _open_connections.add(real)


def _keep_in_child() -> None:
    for real in list(_open_connections):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(real))


os.register_at_fork(after_in_child=_keep_in_child)

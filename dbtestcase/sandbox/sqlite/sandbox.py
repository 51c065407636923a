"""The sandbox on SQLite.

SQLite lives in this process, so asking it costs next to nothing: whether a segment wrote is read
from ``total_changes`` and the schema's version, and its authorizer callback tells which tables
a statement reads and writes.

What a program would see on real connections differs from PostgreSQL in three ways: an error
fails its statement and not the transaction; a SAVEPOINT begins a transaction; and only one
connection can write at a time, so that work beside another's uncommitted write, which ends in
"database is locked" there, ends in an :exc:`~dbtestcase.errors.UncommittedDataWarning` here.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import weakref
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy.engine import URL, Dialect

from .. import messages as shared
from ..backends import Backend, State
from ..base import Phase
from ..places import place
from ..segments import Segment, Wrote
from ..statements import Control, Statement
from ..threads import PATIENCE
from . import messages
from .callbacks import Callbacks
from .connections import VirtualConnection
from .foreign_keys import ForeignKeys
from .lifetime import SQLiteLifetime, never_close_in_child
from .locks import Locks, SQLiteBackend
from .pragmas import Pragmas
from .real import real_class
from .statements import SQLiteStatement, analyse
from .tables import Tables

__all__ = ["SQLiteSandbox"]

#: What tells which database, or belongs to each virtual connection.
_OURS = {"database", "uri", "check_same_thread", "isolation_level", "autocommit"}
#: What differs without a difference that a test could see.
_UNSEEN_OPTIONS = {"timeout", "cached_statements"}

_CANNOT_BE_PLAYED = {"VACUUM", "ATTACH", "DETACH"}


class SQLiteSandbox(SQLiteLifetime):
    """Virtual connections on one real connection to an SQLite database."""

    _backend_class = SQLiteBackend
    errors_fail_transactions = False
    savepoint_begins = True
    analyse = staticmethod(analyse)

    def __init__(self, url: URL, *, owner: str = "sandboxed()") -> None:
        self._options: dict[str, Any] = {}
        self._builds: list[Callable[[], None]] = []
        #: whether the connections that are made are of a fill()
        self.filling = False
        #: the thread whose `connect` listeners run
        self._listener: int | None = None
        super().__init__(url, owner=owner)
        self.threads = self._locks = Locks(self)
        self._know_nothing()

    def _know_nothing(self) -> None:
        self.tables = Tables()
        self.temporary_tables = self.tables.temporary.keys()
        self.pragmas = Pragmas(self)
        self.callbacks = Callbacks(self)
        self.foreign_keys = ForeignKeys(self._wire)
        self.connections: weakref.WeakSet[VirtualConnection] = weakref.WeakSet()
        self.cursors = weakref.WeakSet()
        self._counting: tuple[VirtualConnection | None, int] = None, 0
        self.shared = False

    # -- the real connection ---------------------------------------------------

    def connect(self, dialect: Dialect, cparams: Mapping[str, Any] | None) -> Any:
        """Give the real connection, prepared for a new virtual one in this thread.

        :raises SandboxConflict: when *cparams* differ from those of the connection that exists.
        """
        options = {k: v for k, v in (cparams or {}).items() if k not in _OURS}
        with self.entered():
            self._begin_listening()
            connection = VirtualConnection(self, cparams or {})
            self.listening = connection
            if not self.alive:
                self._open(dialect, connection, options)
            elif cparams is not None and _visible(options) != _visible(self._options):
                self.listened()
                found, wanted = _visible(self._options), _visible(options)
                raise self.conflict(
                    shared.other_options(self.owner, self.made_at, found, wanted, place())
                )
            connection.real = self.real
            self.connections.add(connection)
            return self.real

    def _begin_listening(self) -> None:
        """Let one thread's listeners have done their work before another's are compared."""
        mine = threading.get_ident()

        def free() -> bool:
            running = {thread.ident for thread in threading.enumerate()} - {mine}
            return self._listener not in running

        self.changed.wait_for(free, PATIENCE)
        self._listener = mine

    def listened(self) -> None:
        """Let other threads connect: this one's listeners are done."""
        with self.lock:
            self.listening = self._listener = None
            self.changed.notify_all()

    def virtual(self, real: Any) -> Any:
        """Give the virtual connection that :meth:`connect` began in this thread."""
        try:
            connection = super().virtual(real)
        finally:
            self.listened()
        if not self.filling:
            self._fill()
        return connection

    def fill(self, build: Callable[[], None]) -> None:
        """Let *build* put into the database what its users expect to find there.

        Not before the first connection's listeners are done: their PRAGMAs come too late once
        something is written. What *build* sends goes by a connection that need send none.
        """
        self._builds.append(build)
        if self.alive and self.listening is None and not self.filling:
            self._fill()

    def _fill(self) -> None:
        if not self._builds:
            return
        phase, self.phase, self.filling = self.phase, Phase.SETUP, True
        try:
            while self._builds:
                self._builds[0]()
                del self._builds[0]
            if phase is not Phase.SETUP:
                self.freeze()
            if phase is Phase.TEST:
                self.begin_test()
        finally:
            self.phase, self.filling = phase, False

    def _open(
        self, dialect: Dialect, connection: VirtualConnection, options: dict[str, Any]
    ) -> None:
        self._options, self.made_at = options, place()
        self._know_nothing()
        self.connections.add(connection)
        try:
            factory = real_class(options.get("factory") or sqlite3.Connection, self)
            made = self._connect_driver(dialect, factory, options)
            if self.real is not made:
                # the program's class called the driver's __init__ by its name
                connection.real = made
                self.opened(made)
        except BaseException:
            self.real = None
            self._wire.attach(None)
            self.listened()
            raise
        self._connected = True
        never_close_in_child(self.real)

    def others(self, connection: VirtualConnection) -> list[VirtualConnection]:
        """Give the other virtual connections that are open."""
        return [c for c in self.connections if c is not connection and not c.closed]

    # -- errors that SQLite would raise ----------------------------------------

    @staticmethod
    def error(message: str) -> sqlite3.OperationalError:
        """Make the driver's error, as it would have come from SQLite."""
        error = sqlite3.OperationalError(message)
        error.sqlite_errorcode, error.sqlite_errorname = 1, "SQLITE_ERROR"
        return error

    def aborted(self) -> Exception:
        """Never needed: no error fails a transaction."""
        raise AssertionError("SQLite has no failed transactions")

    def no_transaction(self, control: Control | None) -> Exception:
        """Never needed: a SAVEPOINT begins a transaction."""
        raise AssertionError("SQLite has savepoints outside transactions")

    def no_savepoint(self, name: str) -> Exception:
        """Make the error for a savepoint that does not exist."""
        return self.error(f"no such savepoint: {name}")

    def begun_twice(self) -> None:
        """Refuse BEGIN inside a transaction, as SQLite does."""
        raise self.error("cannot start a transaction within a transaction")

    def ended_twice(self, commit: bool) -> None:
        """Refuse COMMIT and ROLLBACK outside a transaction, as SQLite does."""
        verb = "commit" if commit else "rollback"
        raise self.error(f"cannot {verb} - no transaction is active")

    def same_name(self, one: str, other: str) -> bool:
        """Names of savepoints are compared without regard to case."""
        return one.lower() == other.lower()

    # -- one statement ---------------------------------------------------------

    def new_backend(self, session: Mapping[str, str | None]) -> SQLiteBackend:
        """Make SQLite's side of a virtual connection."""
        backend = super().new_backend(session)
        assert isinstance(backend, SQLiteBackend)
        return backend

    def flush(self) -> None:
        """Begin the outer transaction, if it has not begun."""
        self.touched = True
        if self._wire.begin_waits:
            self._wire.flush()
            self.foreign_keys.begun()

    def count_changes(self, connection: VirtualConnection) -> None:
        """Charge changed rows to whose they are: those of a RETURNING count once it is fetched."""
        last, before = self._counting
        now = self._wire.total_changes
        if last is not None:
            last.changes += now - before
        self._counting = connection, now

    def send(self, text: str, call: Callable[[], Any]) -> Any:
        """Send a statement of the program, and learn which tables it touches."""
        self.tables.learn(text)
        return call()

    def run(
        self,
        backend: Backend,
        statement: Statement,
        text: str,
        call: Callable[[], Any],
        *,
        values_only: bool = False,
    ) -> Any:
        """Send one statement of *backend* by *call*, so that it sees what it would see alone.

        :raises SandboxConflict: where one connection cannot show what several would.
        """
        assert isinstance(backend, SQLiteBackend)
        self._refuse(backend, statement)
        self.wait_for_threads(backend, statement)
        self.raise_if_stuck()
        self.flush()
        segment = self._claim(backend)
        others = self.stack.of_others(backend)
        self.foreign_keys.defer(backend.sets_constraints)
        try:
            result = self.send(text, call)
        except sqlite3.Error as error:
            segment.traces.changed |= self.tables.touched.writes
            violation = isinstance(error, sqlite3.IntegrityError)
            if violation:
                backend.has_written = True  # it keeps SQLite's lock all the same
            for other in others:
                if violation or self.tables.schema in other.traces.changed:
                    really = 'gone on, or ended in "database is locked"'
                    raise self.conflict(
                        shared.failed_beside(backend, other.owner, "has written", error, really)
                    ) from error
            if violation:
                self._locks.met(backend, self.tables, text)
            self._explain_failure(backend, statement, error)
            raise
        self._note(backend, segment, statement)
        self._locks.met(backend, self.tables, text)
        return result

    def fetches_on(self, backend: Backend, text: str) -> None:
        """Warn where rows of a statement that was sent before may be others' uncommitted ones."""
        self._locks.meets(backend, self.tables, self.tables.reads(text), text)

    def _claim(self, backend: Backend) -> Segment:
        try:
            return self.stack.claim(backend)
        except sqlite3.OperationalError as error:
            if "in progress" not in str(error):
                raise
            raise self.conflict(messages.unfetched(backend, self.stack.top.author)) from error

    def _refuse(self, backend: Backend, statement: Statement) -> None:
        if statement.verb in _CANNOT_BE_PLAYED:
            raise self.conflict(messages.wants_no_transaction(statement.verb))
        for name, owner in self.tables.temporary.items():
            if owner is not backend and name in statement.words:
                raise self.conflict(shared.temporary_table(backend, owner, name))

    def _explain_failure(
        self, backend: SQLiteBackend, statement: Statement, error: sqlite3.Error
    ) -> None:
        if not self._wire.in_transaction:
            self._ended_by_sqlite(backend, error)
        elif isinstance(statement, SQLiteStatement) and statement.ends_transaction:
            if isinstance(error, sqlite3.IntegrityError) and "FOREIGN KEY" not in str(error):
                # it was sent as OR ABORT, so that SQLite left everybody else's work alone
                backend.end(commit=False)
        elif backend.alone and statement.verb == "PRAGMA" and "is locked" in str(error):
            # wal_checkpoint, for example, waits for the end of the transaction that it is in
            raise self.conflict(shared.cannot_be_run(statement.verb, error)) from error

    def _ended_by_sqlite(self, backend: SQLiteBackend, error: sqlite3.Error) -> None:
        """Begin anew after an error that ended the real transaction."""
        lost = {
            str(s.author)
            for s in self.stack
            if s.owner is not backend and s.wrote is not Wrote.NO and not s.dead
        }
        if self.shared:
            lost.add("the class's set-up")
        self._begin_outer()
        backend.end(commit=False)
        if lost:
            self._roll_back_and_close()
            raise self.conflict(
                messages.ended_by_sqlite(backend.author, error, sorted(lost))
            ) from error

    def _note(self, backend: SQLiteBackend, segment: Segment, statement: Statement) -> None:
        touched = self.tables.touched
        segment.traces.changed |= touched.writes
        backend.has_read |= bool(touched.reads)
        backend.has_written |= bool(touched.writes)
        if touched.silent or (touched.writes and "returning" in statement.words):
            # no counter tells of it, or not before the rows are fetched
            segment.wrote = Wrote.YES
        for name in touched.temporary:
            self.tables.temporary.setdefault(name, backend)
            self.tables.leaving.discard(name)
        self.tables.leaving |= touched.dropped & self.tables.temporary.keys()

    def reserve(self, backend: Backend) -> None:
        """Do what BEGIN IMMEDIATE does: wait for the write lock, as far as one can here."""
        self.wait_for_threads(backend, SQLiteStatement("BEGIN", writes=True))
        self._locks.warn_locked(backend, "BEGIN IMMEDIATE")

    # -- endings ---------------------------------------------------------------

    def before_commit(self, backend: Backend) -> None:
        """Check deferred foreign keys, as SQLite does at COMMIT.

        :raises sqlite3.IntegrityError: one is violated. The transaction goes on.
        """
        # asked of readers, too: what is known to have read only is taken by the next connection
        if not self.alive or not self.stack.has_written(backend):
            return
        tables = self.foreign_keys.to_check(everything=backend.sets_constraints)
        if not tables:
            return
        if (dead := self.stack.stuck()) is not None:
            raise self.conflict(
                shared.checked_above_rollback(
                    backend, dead.author, dead.undone.end, "deferred foreign keys"
                )
            )
        if self.foreign_keys.violated(tables):
            error = sqlite3.IntegrityError("FOREIGN KEY constraint failed")
            error.sqlite_errorcode = sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY
            error.sqlite_errorname = "SQLITE_CONSTRAINT_FOREIGNKEY"
            if others := self.stack.of_others(backend):
                raise self.conflict(
                    shared.constraint_failed_beside(
                        backend, others[0].owner, "a deferred foreign key", error
                    )
                ) from error
            raise error

    def commit(self, backend: Backend) -> None:
        """Let the work of *backend* stay."""
        readers: list[SQLiteBackend] = []
        if isinstance(backend, SQLiteBackend) and backend.held_lock:
            fetching = (other for other in self._fetching() if other is not backend)
            readers = [*self._locks.readers(backend), *fetching]
        super().commit(backend)
        for name in self._leaving(backend):
            self.tables.temporary.pop(name, None)
        self.step_outside()
        # when all is done: where warnings are errors, it is raised, and the work is not lost
        self._locks.warn_readers(backend, readers)

    def _fetching(self) -> list[SQLiteBackend]:
        """Give the connections that may have rows to fetch."""
        found = {
            backend
            for cursor in list(self.cursors)
            if cursor.description is not None
            and (backend := cursor.virtual.known_backend) is not None
        }
        if not found or not self.callbacks.statements_are_open():
            return []
        return sorted(found, key=lambda other: other.name)

    def fetches(self, backend: Backend) -> bool:
        """Whether *backend* may have rows to fetch."""
        return backend in self._fetching()

    def undo(self, backend: Backend, level: int = 0) -> None:
        """Undo the work of *backend* from that level on. Never raises."""
        super().undo(backend, level)
        self._leaving(backend)  # they stay
        if level == 0:
            with contextlib.suppress(sqlite3.Error):
                self.step_outside()

    def ended(self, connection: VirtualConnection) -> None:
        """End what belonged to a virtual connection that is closed."""
        self._reset_cursors(connection)
        backend = connection.known_backend
        names = [name for name, owner in self.tables.temporary.items() if owner is backend]
        if backend is None or not names:
            return
        with contextlib.suppress(sqlite3.Error):
            # others' rollback would bring them back: so they may not name them
            stays = not self.stack.of_others(backend) and self.stack.stuck() is None
            if stays:
                self.stack.claim(backend).wrote = Wrote.YES  # no counter tells of it
            for name in names:
                with contextlib.suppress(sqlite3.Error):  # a view, or one that is still read
                    self._wire.ask('DROP TABLE temp."{}"'.format(name.replace('"', '""')))
                    if stays:
                        del self.tables.temporary[name]
            if stays:
                self.stack.commit(backend)

    def _leaving(self, backend: Backend) -> list[str]:
        """Give the temporary tables that *backend* has dropped, and forget that it has."""
        names = [n for n in self.tables.leaving if self.tables.temporary.get(n) is backend]
        self.tables.leaving.difference_update(names)
        return names

    def drop_temporary(self, backend: Backend) -> None:
        """Forget the temporary tables that the rolled back transaction made."""
        for name, owner in list(self.tables.temporary.items()):
            if owner is backend and name not in backend.temporary_at_begin:
                del self.tables.temporary[name]

    def step_outside(self) -> bool:
        """Leave the real transaction, if nothing is lost with it; BEGIN waits again.

        As long as nothing was written the file is so not kept from others, nor their commits
        from the program, where a program on real connections would hold no lock.

        :returns: whether the connection is outside.
        """
        if not self._wire.in_transaction:
            return True
        segments = self.stack.segments
        if self.shared or len(segments) > 1 or segments[0].wrote is Wrote.YES:
            return False
        # a transaction that has read keeps what it sees
        if any(b.state is State.ACTIVE and b.has_read for b in self._backends()):
            return False
        if self.stack.ask_top() is Wrote.YES:
            return False
        self._wire.queue("ROLLBACK; BEGIN")
        segments[0].clear()
        return True

    def _backends(self) -> list[SQLiteBackend]:
        return [b for b in self.backends if isinstance(b, SQLiteBackend)]

def _visible(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in _UNSEEN_OPTIONS}

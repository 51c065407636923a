"""Where SQLite would have locked a connection out.

Only one connection can write at a time, and nobody can commit beside a reader's transaction. On
one real connection no lock is ever in the way, so that is told by an
:exc:`~dbtestcase.errors.UncommittedDataWarning`. Threads do wait for each other, as they would.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from .. import uncommitted
from ..backends import Author, Backend, State
from ..places import place
from ..statements import Statement
from ..threads import Threads
from .tables import Tables

if TYPE_CHECKING:
    from .sandbox import SQLiteSandbox

__all__ = ["Locks", "SQLiteBackend"]


class SQLiteBackend(Backend):
    """A virtual connection as SQLite itself would see it.

    :param has_read: whether its transaction holds a snapshot.
    :param has_written: whether its transaction holds the write lock, with or without a change.
    """

    sandbox: SQLiteSandbox
    has_read: bool = False
    has_written: bool = False

    def begin(self, statement: Statement | None = None) -> None:
        """Begin a transaction; an IMMEDIATE one waits for those of other threads that write."""
        # what is not fetched yet has a lock, which the transaction keeps to its end
        self.has_read, self.has_written = self.sandbox.fetches(self), False
        if _reserves(statement):
            self.began = place()
            self.author = Author(self.name, self.began)
            self.sandbox.reserve(self)
        super().begin(statement)

    def begin_again(self, statement: Statement) -> None:
        """Fail, as SQLite does: after it has taken the lock."""
        if _reserves(statement):
            self.sandbox.reserve(self)
            self.has_written = True
        super().begin_again(statement)

    @property
    def held_lock(self) -> bool:
        """Whether its last transaction, over or not, held the write lock."""
        return self.has_written or self.isolation in ("IMMEDIATE", "EXCLUSIVE")

    @property
    def locks(self) -> bool:
        """Whether it would hold the write lock."""
        return self.state is State.ACTIVE and self.held_lock


def _reserves(statement: Statement | None) -> bool:
    return statement is not None and statement.isolation in ("IMMEDIATE", "EXCLUSIVE")


class Locks(Threads):
    """The locks that real connections would hold."""

    _sandbox: SQLiteSandbox

    def __init__(self, sandbox: SQLiteSandbox) -> None:
        super().__init__(sandbox)

    def writers(self, backend: Backend) -> list[SQLiteBackend]:
        """Give the other connections that would hold SQLite's write lock."""
        found = [b for b in self._others(backend) if b.locks]
        return sorted(found, key=lambda other: other.name)

    def _others(self, backend: Backend) -> list[SQLiteBackend]:
        backends = self._sandbox.backends
        if len(backends) < 2:  # as in most tests, and going through a WeakSet takes its time
            return []
        return [b for b in backends if isinstance(b, SQLiteBackend) and b is not backend]

    def wait(self, backend: Backend) -> None:
        """Let other threads' transactions that wrote end before *backend* writes."""
        mine = threading.get_ident()

        def in_the_way() -> list[SQLiteBackend]:
            writers = [b for b in self.writers(backend) if b.thread != mine]
            running = {thread.ident for thread in threading.enumerate()} if writers else set()
            return [b for b in writers if b.thread in running]

        if others := in_the_way():
            self.until(lambda: not in_the_way(), backend, others)

    def met(self, backend: Backend, tables: Tables, text: str) -> None:
        """Warn where a statement of *backend* would have met a lock, or other rows."""
        touched = tables.touched
        if touched.writes:
            self.warn_locked(backend, text)
        else:
            self.meets(backend, tables, touched.reads, text)

    def meets(self, backend: Backend, tables: Tables, reads: set[int], text: str) -> None:
        """Warn where a statement reads tables in which others have uncommitted work."""
        for segment in self._sandbox.stack.of_others(backend):
            owner, met = segment.owner, segment.traces.changed & reads
            if isinstance(owner, Backend) and met and self._first_time(backend, owner):
                name = tables.name(min(met))
                what = "the schema" if name == "sqlite_master" else f"table {name}"
                uncommitted.warn(uncommitted.meets(backend, owner, what, "has written to", text))

    def _first_time(self, backend: Backend, other: Backend) -> bool:
        pair = (backend.name, other.name)
        if pair in self._sandbox.warned:
            return False
        self._sandbox.warned.add(pair)
        return True

    def warn_locked(self, backend: Backend, text: str) -> None:
        """Warn that *backend* writes beside others that do."""
        for other in self.writers(backend):
            if self._first_time(backend, other):
                uncommitted.warn(uncommitted.writes_beside(backend, other, text))

    def readers(self, backend: Backend) -> list[SQLiteBackend]:
        """Give the other connections in whose transactions something was read."""
        return [b for b in self._others(backend) if b.has_read and b.state is State.ACTIVE]

    def warn_readers(self, backend: Backend, readers: Iterable[Backend]) -> None:
        """Warn that *backend* commits beside others' transactions in which they read."""
        for other in readers:
            if self._first_time(backend, other):
                uncommitted.warn(uncommitted.commits_beside(backend.author, other))

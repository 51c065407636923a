"""What the sandbox refuses on PostgreSQL, because one connection cannot show it.

Everything here raises a :exc:`~dbtestcase.errors.SandboxConflict` or does nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from .. import messages as shared
from ..backends import SNAPSHOT_LEVELS, Backend, TableLock
from ..segments import Segment
from ..statements import Statement
from . import messages
from .cursors import ServerCursors
from .locks import ROW_CHANGE, ROW_LOCK, ROW_READ, Wanted, exclude
from .neighbours import Neighbours

if TYPE_CHECKING:
    from .sandbox import PostgreSQLSandbox

__all__ = ["Refusals"]

__unittest = True  # its frames are left out of tracebacks

# What needs its own work committed first, or to be outside a transaction. In a transaction of the
# program's the latter are an error on real connections, too.
_CANNOT_BE_PLAYED = {"55P04", "55006"}
_CANNOT_BE_PLAYED_ALONE = {"25001", "2D000"}


class Refusals:
    """The rules by which statements of one sandbox are refused."""

    def __init__(self, sandbox: PostgreSQLSandbox) -> None:
        self._sandbox = sandbox

    def statement(
        self,
        backend: Backend,
        statement: Statement,
        owner_of_table: tuple[str, Backend] | None,
        owner_of_prepared: tuple[str, Backend] | None,
        *,
        only_reads: bool,
    ) -> None:
        """Refuse a statement whose effect on others, or theirs on it, could not be shown.

        :param owner_of_table: the name of a temporary table that the statement names, and its
            owner, where that is another connection.
        :param owner_of_prepared: the same of a prepared statement.
        :param only_reads: whether it is proven that the statement writes nothing.
        """
        sandbox = self._sandbox
        if statement.hides_setting:
            raise sandbox.conflict(messages.hidden_setting())
        if owner_of_table is not None:
            name, owner = owner_of_table
            raise sandbox.conflict(shared.temporary_table(backend, owner, name))
        if owner_of_prepared is not None:
            name, owner = owner_of_prepared
            raise sandbox.conflict(messages.prepared_name(backend, owner, name))
        if backend.isolation in SNAPSHOT_LEVELS:
            self._old_snapshot(backend)
        if sandbox.has_one:
            return  # what follows needs two
        for other in sandbox.backends:
            # constraints are nothing to who only reads
            if other.sets_constraints and other is not backend and not only_reads:
                raise sandbox.conflict(messages.sets_constraints(other, backend))
        if statement.impatient and statement.verb != "LOCK":
            self._unseen_holders(backend, of_rows=True, readers=False)
        stranger = ServerCursors.stranger(backend, statement, sandbox.backends)
        if stranger is not None and statement.cursor is not None:
            raise sandbox.conflict(messages.cursor_name(backend, stranger, statement.cursor.name))

    def _old_snapshot(self, backend: Backend) -> None:
        stack = self._sandbox.stack
        if backend.commits_seen not in (None, stack.commits):
            raise self._sandbox.conflict(
                messages.old_snapshot(backend, backend.isolation, stack.last_commit)
            )

    def serialization(self, backend: Backend) -> None:
        """Refuse a commit that the server might not let stand beside another one since."""
        if backend.isolation != "SERIALIZABLE":
            return
        # who has only read may commit at any time
        if self._sandbox.stack.has_written(backend):
            self._old_snapshot(backend)

    def checked_before(self, backend: Backend) -> None:
        """Refuse a commit that is READ ONLY, and whose rows another's commit has checked."""
        stack = self._sandbox.stack
        if backend.commits_seen not in (None, stack.commits) and stack.has_written(backend):
            raise self._sandbox.conflict(
                messages.constraint_checked_before(backend, stack.last_commit)
            )

    def beside(self, backend: Backend, statement: Statement, others: list[Segment]) -> None:
        """Refuse what cannot be done beside uncommitted work of *others*, whatever it touches."""
        other = others[0].owner
        if statement.sets_constraints:
            raise self._sandbox.conflict(messages.sets_constraints_beside(backend, other))
        if statement.impatient:
            raise self._sandbox.conflict(messages.impatient_beside(backend, other))

    def lock_tables(
        self,
        backend: Backend,
        wanted: Iterable[Wanted],
        others: list[Segment],
        neighbours: Neighbours,
    ) -> None:
        """Refuse a LOCK TABLE for which the server would let wait, or say so in its name.

        :raises Exception: the driver's own error for NOWAIT.
        """
        sandbox = self._sandbox
        for each, nowait in wanted:
            for other, deed in self._holders(backend, each, others, neighbours):
                if nowait:
                    backend.fail()
                    text = f'could not obtain lock on relation "{each.name}"'
                    raise sandbox.error("55P03", text)
                raise sandbox.conflict(messages.would_wait(backend, other, deed))
            if nowait:
                self._unseen_holders(
                    backend,
                    of_rows=exclude(each.mode, ROW_LOCK),
                    readers=exclude(each.mode, ROW_READ),
                )

    def _unseen_holders(self, backend: Backend, *, of_rows: bool, readers: bool) -> None:
        """Refuse NOWAIT where locks that leave no trace may be in the way: of rows, of readers."""
        for other in self._sandbox.backends:
            if other is not backend and (
                (of_rows and other.holds_locks) or (readers and other.has_asked)
            ):
                raise self._sandbox.conflict(messages.impatient_beside(backend, other))

    def _holders(
        self, backend: Backend, wanted: TableLock, others: list[Segment], neighbours: Neighbours
    ) -> Iterator[tuple[object, str]]:
        for other, lock in self._sandbox.table_locks.of_others(backend):
            if lock.tables & wanted.tables and exclude(lock.mode, wanted.mode):
                yield other, lock.deed
        for segment in others:
            if exclude(wanted.mode, ROW_LOCK) and wanted.words <= segment.traces.locking:
                yield segment.owner, f"has locked rows of table {wanted.name}"
            if exclude(wanted.mode, ROW_CHANGE):
                # of deleted rows nothing is left that would say whose deed it was
                written = segment.traces.inserted | segment.traces.changed
                if tables := written & wanted.tables:
                    yield segment.owner, f"has written to {neighbours.name(min(tables))}"

    def locked(
        self,
        backend: Backend,
        statement: Statement,
        neighbours: Neighbours,
        error: Exception | None = None,
    ) -> None:
        """Refuse what a statement has done in a table that another connection has locked."""
        locks = self._sandbox.table_locks
        if (found := locks.needed(backend, statement, neighbours.touched)) is not None:
            other, lock = found
            raise self._sandbox.conflict(messages.would_wait(backend, other, lock.deed)) from error

    def failure(
        self,
        backend: Backend,
        statement: Statement,
        others: list[Segment],
        error: Exception,
        neighbours: Neighbours,
    ) -> None:
        """Refuse to show an error that real connections might not give."""
        sandbox = self._sandbox
        state = sandbox.sqlstate(error)
        said = shared.first_line(error)
        if state in _CANNOT_BE_PLAYED or (state in _CANNOT_BE_PLAYED_ALONE and backend.alone):
            raise sandbox.conflict(shared.cannot_be_run(statement.verb, said)) from error
        locks = sandbox.table_locks
        if not others and not locks.of_others(backend):
            return
        met = neighbours.after(statement, others, error)
        self.locked(backend, statement, neighbours, error)
        diag = getattr(error, "diag", None)
        if met and not neighbours.genuine(state, diag, others, statement):
            other, (what, deed) = next(iter(met.items()))
            raise sandbox.conflict(
                shared.failed_beside(backend, other, f"{deed} {what}", said, "waited, or gone on")
            ) from error

    def commit(self, backend: Backend) -> None:
        """Refuse to check deferred constraints above what could not be rolled back."""
        if (dead := self._sandbox.stack.stuck()) is not None:
            raise self._sandbox.conflict(
                shared.checked_above_rollback(
                    backend, dead.author, dead.undone.end, "deferred constraints"
                )
            )

"""Statements and commits of several connections on one real connection to PostgreSQL.

Where something is asked of the server here, it is because a text cannot tell it: whether a
segment wrote, which tables a statement touched, whether a deferred constraint holds.
"""

from __future__ import annotations

import abc
import threading
from collections.abc import Callable
from typing import Any

from sqlalchemy.engine import URL

from .. import messages as shared
from .. import uncommitted
from ..backends import Backend, State
from ..segments import Segment, Wrote
from ..statements import Control, Statement, analyse
from . import messages
from .cursors import ServerCursors
from .foreign_keys import ForeignKeys
from .lifetime import PostgreSQLLifetime
from .neighbours import Met
from .refusals import Refusals

__all__ = ["PostgreSQLSandbox"]

__unittest = True  # its frames are left out of tracebacks

_CHECK = analyse("SET CONSTRAINTS ALL IMMEDIATE")

# Of these the server takes no snapshot, so that an isolation level may still be chosen after them.
_NO_QUERY = {"SET", "RESET", "SHOW", "LOCK", "LISTEN", "UNLISTEN", "NOTIFY"}

# A subtransaction can be READ ONLY, and the server lifts that with its end.
_BEGIN_READ_ONLY = "SAVEPOINT dbtestcase_ro; SET LOCAL transaction_read_only = on"
_END_READ_ONLY = "RELEASE dbtestcase_ro"
# Where one of these words is, a statement that only reads may ask whether it must, or must not run
# where it may only read.
_MODE_TELLS = {"show", "current_setting", "pg_settings", "nextval", "setval"}


class PostgreSQLSandbox(PostgreSQLLifetime):
    """Virtual connections on one real connection to a PostgreSQL database.

    :param reset_sequences: whether sequences are put back after each test.
    """

    def __init__(
        self, url: URL, *, owner: str = "sandboxed()", reset_sequences: bool = True
    ) -> None:
        super().__init__(url, owner=owner, reset_sequences=reset_sequences)
        self._cursors = ServerCursors(self._wire)
        self._refusals = Refusals(self)

    def _renew(self) -> None:
        super()._renew()
        self._foreign_keys = ForeignKeys(self._wire, self.stack, self._neighbours)

    # -- errors that the server would raise ------------------------------------

    @abc.abstractmethod
    def error(self, sqlstate: str, message: str) -> Exception:
        """Make the driver's error of that SQLSTATE."""

    def aborted(self) -> Exception:
        """Make the error for a statement in a failed transaction."""
        return self.error(
            "25P02",
            "current transaction is aborted, commands ignored until end of transaction block",
        )

    def no_transaction(self, control: Control | None) -> Exception:
        """Make the error for a savepoint statement outside a transaction."""
        name = "" if control is None else control.value.upper()
        name = {"RELEASE": "RELEASE SAVEPOINT", "ROLLBACK TO": "ROLLBACK TO SAVEPOINT"}.get(
            name, name
        )
        return self.error("25P01", f"{name} can only be used in transaction blocks")

    def nothing_to_chain(self, control: Control | None) -> Exception:
        """Make the error for COMMIT AND CHAIN outside a transaction."""
        name = "" if control is None else control.value.upper()
        return self.error("25P01", f"{name} AND CHAIN can only be used in transaction blocks")

    def too_late(self, backend: Backend, statement: Statement) -> Exception | None:
        """Make the error for SET TRANSACTION after a query, or inside a savepoint."""
        begun = "before any query" if backend.commits_seen is not None else ""
        if statement.isolation not in (None, backend.isolation or "READ COMMITTED"):
            name = "SET TRANSACTION ISOLATION LEVEL"
            if begun:
                return self.error("25001", f"{name} must be called {begun}")
            if backend.savepoints:
                return self.error("25001", f"{name} must not be called in a subtransaction")
        if statement.read_only is False and backend.read_only and begun:
            return self.error("25001", f"transaction read-write mode must be set {begun}")
        return None

    def no_savepoint(self, name: str) -> Exception:
        """Make the error for a savepoint that does not exist."""
        return self.error("3B001", f'savepoint "{name}" does not exist')

    # -- one statement ---------------------------------------------------------

    def run(
        self,
        backend: Backend,
        statement: Statement,
        text: str,
        call: Callable[[], Any],
        *,
        values_only: bool = False,
        behind: Callable[[str], Any] | None = None,
    ) -> Any:
        """Send one statement of *backend* by *call*, so that it sees what it would see alone.

        :param values_only: whether the parameters are values, and bring no SQL of their own.
        :param behind: sends it behind another text in one message, where the driver can.
        :raises SandboxConflict: where one connection cannot show what several would.
        """
        only_reads = values_only and self.catalogue.only_reads(statement)
        if (
            statement.plain
            and self.has_one
            and not backend.read_only
            and not self._settings.learned
            and not self._temporary.any
            and not self.catalogue.may_change_by(statement, values_only=values_only)
        ):
            return self._run_alone(
                backend, call, behind, only_reads=only_reads, statement=statement
            )
        if backend.alone:
            self._require_transaction(statement)
        self.wait_for_threads(backend, statement)
        locks = self.table_locks
        if locks.used:
            self.threads.wait_for(lambda: locks.in_the_way(backend, statement), backend)
        # asked again, as another thread may have changed the schema meanwhile
        only_reads = values_only and self.catalogue.only_reads(statement)
        self._refusals.statement(
            backend,
            statement,
            self._temporary.strangers(backend, statement),
            self._prepared.stranger(backend, statement),
            only_reads=only_reads,
        )
        self.raise_if_stuck()
        if backend.commits_seen is None and statement.verb not in _NO_QUERY:
            backend.commits_seen = self.stack.commits
        segment = self._claim(backend, only_reads=only_reads)
        others = self.stack.of_others(backend)
        beside = bool(others or locks.of_others(backend))
        if beside:
            self._neighbours.before()
        else:
            self._neighbours.stale = True
        wanted = locks.wanted(backend, text) if statement.locks else []
        if wanted:
            self._refusals.lock_tables(backend, wanted, others, self._neighbours)
        if others:
            self._refusals.beside(backend, statement, others)
        if statement.settings:
            self._settings.learn(statement)
        advisory = self._advisory.look() if statement.advisory else set()
        guarded = backend.read_only and not (only_reads and _MODE_TELLS.isdisjoint(statement.words))
        if guarded:
            self._wire.queue(_BEGIN_READ_ONLY)
        self._wire.flush()
        try:
            result = call()
        except BaseException as error:
            self._failed(backend, statement, others, error, guarded=bool(guarded))
            raise
        self.answered = True
        if guarded:
            self._wire.queue(_END_READ_ONLY)
        self._note(backend, statement, segment, bool(others))
        self.catalogue.note(statement, values_only=values_only)
        if statement.advisory:
            self._note_advisory(backend, statement, segment, text, advisory)
        if wanted:
            locks.note(backend, wanted)
        if beside:
            self._note_neighbours(backend, statement, text, others)
        if statement.settings:
            self._settings.note(backend, statement)
        return result

    def _run_alone(
        self,
        backend: Backend,
        call: Callable[[], Any],
        behind: Callable[[str], Any] | None,
        *,
        only_reads: bool,
        statement: Statement,
    ) -> Any:
        """Do what :meth:`run` does for nearly every statement of nearly every test.

        With one connection in the test there is nobody to wait for, to be refused for, to be
        watched beside, or to commit what a snapshot does not show. A plain statement leaves
        nothing to be noted but that it was sent. And no earlier one made anything that each later
        one must be compared with: a setting, a temporary table, a function that may change the
        schema.
        """
        backend.thread = threading.get_ident()
        stack = self.stack
        if len(stack.segments) > 1:  # what lies beneath nothing is never stuck
            self.raise_if_stuck()
        if backend.commits_seen is None:
            backend.commits_seen = stack.commits
        self.touched = True
        segment = stack.claim(backend, only_reads=only_reads)
        self._neighbours.stale = True
        try:
            if not self._wire.pending:
                result = call()
            elif (
                behind is not None
                # what was added to the end of the test before, if anything, is none of it
                and self._wire.pending == self._end
                and not self.catalogue.may_tell_message(statement)
            ):
                result = self._send_with_end(behind)
            else:
                self._wire.flush()
                result = call()
        except BaseException as error:
            self._failed(backend, statement, [], error, guarded=False)
            raise
        self.answered = True
        if not only_reads and self.catalogue.may_delete(statement):
            segment.traces.may_delete = True  # who comes beside it asks what it may have done
        return result

    def _require_transaction(self, statement: Statement) -> None:
        """Raise what the server would for a statement that makes no sense alone."""
        use = statement.cursor
        name = "LOCK TABLE" if statement.verb == "LOCK" else ""
        if use is not None and use.verb == "DECLARE" and not use.hold:
            name = "DECLARE CURSOR"
        if name:
            raise self.error("25P01", f"{name} can only be used in transaction blocks")

    def run_closing(self, backend: Backend, statement: Statement, call: Callable[[], Any]) -> Any:
        """Send a statement of a test that has ended, whose transactions end nothing any more."""
        if statement.control is not None:
            return None
        self._claim(backend)
        self._wire.flush()
        try:
            return call()
        except BaseException:
            if self.alive and self._real_state() is State.FAILED:
                self.stack.fail_top()
            raise

    def _claim(self, backend: Backend, *, only_reads: bool = False) -> Segment:
        self.touched, self._only_plain = True, False
        segment = self.stack.claim(backend, only_reads=only_reads)
        self._settings.bring(backend)
        return segment

    # -- failing -----------------------------------------------------------------

    def _failed(
        self,
        backend: Backend,
        statement: Statement,
        others: list[Segment],
        error: BaseException,
        *,
        guarded: bool,
    ) -> None:
        if not self.alive:
            return
        if self._real_state() is not State.FAILED:
            # nothing was sent (a value that has no SQL), or it is the end of an iteration
            if guarded:
                self._wire.queue(_END_READ_ONLY)
            return
        backend.state = State.FAILED
        self.stack.fail_top()
        self.stack.undo_if_above_all(backend, backend.level)
        if isinstance(error, self.driver_error):
            self._refusals.failure(backend, statement, others, error, self._neighbours)

    # -- noting what a statement did -------------------------------------------

    def _note(self, backend: Backend, statement: Statement, segment: Segment, beside: bool) -> None:
        traces = segment.traces
        traces.locked |= statement.locks or statement.temporary is not None
        if statement.locks and statement.verb != "LOCK":
            traces.locking |= statement.words
            if backend.locked_level is None:
                backend.locked_level = backend.level
        traces.ddl |= statement.ddl
        traces.may_delete |= self.catalogue.may_delete(statement)
        self._temporary.note(backend, statement)
        self._prepared.note(backend, statement)
        self._sequences.note(statement)
        if statement.sets_constraints and not backend.alone:
            backend.sets_constraints = True
            # so that a rollback really takes it back: a released savepoint forgets how it was
            segment.wrote, segment.apart = Wrote.YES, True
        if statement.cursor is not None:
            self._cursors.note(backend, statement, beside=beside)
            segment.pinned |= statement.cursor.verb == "DECLARE"
            self._unpin(backend)

    def _note_advisory(
        self, backend: Backend, statement: Statement, segment: Segment, text: str, before: set[Any]
    ) -> None:
        other = self._advisory.note(backend, text, before)
        if other is not None:
            raise self.conflict(messages.locks_beside(backend, other))
        segment.pinned |= bool(backend.transaction_locks)

    def _note_neighbours(
        self, backend: Backend, statement: Statement, text: str, others: list[Segment]
    ) -> None:
        met = self._neighbours.after(statement, others, None)
        self._refusals.locked(backend, statement, self._neighbours)
        use = statement.cursor
        if use is not None and not met:
            # a cursor keeps the snapshot of its DECLARE
            cursor = backend.cursors.get(use.name)
            if use.verb == "DECLARE" or (cursor is not None and cursor.beside):
                owners = (segment.owner for segment in others)
                met = {owner: Met("a table") for owner in owners if isinstance(owner, Backend)}
        for other, (what, deed) in met.items():
            if self._first_time(backend, other):
                uncommitted.warn(uncommitted.meets(backend, other, what, deed, text))
        for other, what in self._neighbours.rows_locked(others):
            if self._first_time(backend, other):
                uncommitted.warn(uncommitted.may_wait(backend, other, what, text))

    def _first_time(self, backend: Backend, other: Backend) -> bool:
        """Whether no warning has named these two yet."""
        pair = backend.name, other.name
        is_new = pair not in self.warned
        self.warned.add(pair)
        return is_new

    def _unpin(self, backend: Backend) -> None:
        if not backend.cursors and not backend.transaction_locks:
            for segment in self.stack.of(backend):
                segment.pinned = False

    # -- endings of virtual transactions and sessions ---------------------------

    def close_cursors(self, backend: Backend, *, from_level: int, keep_held: bool = False) -> None:
        """Close the cursors of *backend* that end with a (sub)transaction."""
        if self.alive and backend.cursors:
            self._cursors.end(backend, from_level, keep_held)
        self._unpin(backend)

    def drop_temporary(self, backend: Backend) -> None:
        """Forget the temporary tables that the rolled back transaction made."""
        self._temporary.rolled_back(backend)

    def end_session(self, backend: Backend) -> None:
        """Let go of advisory locks, temporary tables and prepared statements."""
        if not self.alive:
            return
        self._advisory.end_session(backend)
        drops = self._temporary.at_close(backend) + self._prepared.at_close(backend)
        if drops:
            self._in_a_segment(backend, drops)

    def _in_a_segment(self, backend: Backend, statements: list[str]) -> None:
        self._claim(backend)
        for sql in statements:
            self._wire.queue(sql)
        self._wire.flush()
        self.stack.commit(backend)

    def before_commit(self, backend: Backend) -> None:
        """Check deferred constraints and end temporary tables, as the server does at COMMIT."""
        if (
            self.catalogue.nothing_deferrable
            and not self._temporary.any
            and backend.isolation != "SERIALIZABLE"
        ):
            return
        if ends := self._temporary.at_commit(backend):
            self._claim(backend)
            for sql in ends:
                self._wire.queue(sql)
            self._wire.flush()
        if self.stack.top.owner is backend and self.stack.of_others(backend):
            # what others violate so far is not to be found by one that has only read
            self.stack.ask_top()
        if not any(segment.wrote is not Wrote.NO for segment in self.stack.of(backend)):
            return
        self._refusals.serialization(backend)
        role = self._settings.in_force.get("role")
        if not (check := self.catalogue.check(self._quote(role) if role else "")):
            return
        savepoints = backend.savepoints
        # a READ ONLY that was set inside a savepoint ends with it, before the check
        if savepoints[0].read_only if savepoints else backend.read_only:
            # the check of a foreign key locks rows, which fails then
            self._refusals.checked_before(backend)
            check = f"{_BEGIN_READ_ONLY}; {check}; {_END_READ_ONLY}"
        self._refusals.commit(backend)
        self._claim(backend)
        if others := self.stack.of_others(backend):
            self._check_beside(backend, others, check)
            return
        try:
            if self.holds_snapshots:
                # it may yet matter whether it wrote
                self._wire.ask(check)
            else:
                self.stack.commit_by(backend, lambda more: self._wire.ask(f"{check}; {more}"))
        except self.driver_error:
            self.stack.fail_top()
            raise

    def _check_beside(self, backend: Backend, others: list[Segment], check: str) -> None:
        """Check deferred constraints beside others' work, which is seen and checked with them."""
        keys = self._foreign_keys.look(backend, others)
        if keys is not None:
            for other, (what, deed) in keys.held_by.items():
                raise self.conflict(messages.constraint_holds_by(backend, other, deed, what))
            if keys.of_others and not keys.violated and not keys.doubtful:
                return  # what violates them is checked when those commit whose it is
        self._neighbours.before()
        try:
            self._wire.ask(check)
        except self.driver_error as error:
            self._neighbours.stale = True
            self.stack.fail_top()
            if keys is not None and keys.genuine(getattr(error, "diag", None)):
                raise
            raise self.conflict(
                shared.constraint_failed_beside(
                    backend, others[0].owner, "a deferred constraint", shared.first_line(error)
                )
            ) from error
        met = self._neighbours.after(_CHECK, others, None)
        for other, (what, deed) in met.items():
            if keys is None or other in keys.doubtful:
                raise self.conflict(messages.constraint_holds_by(backend, other, deed, what))

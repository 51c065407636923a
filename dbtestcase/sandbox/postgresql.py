"""The sandbox on PostgreSQL, whatever the driver.

Where this module asks the server something, it is because a text cannot tell it: whether a
segment wrote, which tables a statement touched, whether a deferred constraint holds.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy.engine import URL

from .backends import SNAPSHOT_LEVELS, Backend, OpenCursor, State
from .base import Sandbox
from .segments import Segment, Wrote
from .sequences import Sequences
from .statements import Control, Statement
from .uncommitted import Neighbours, warn

__all__ = ["PostgreSQLSandbox", "PostgreSQLWire"]

# A subtransaction gets a transaction id when it writes, and its parents get theirs with it.
_COUNT_XIDS = (
    "SELECT count(*) FROM pg_locks WHERE locktype = 'transactionid' AND pid = pg_backend_pid()"
)

_DEFERRABLE = """
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.conname), c.condeferred
  FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace WHERE c.condeferrable
"""

_ADVISORY = """
SELECT classid, objid, objsubid FROM pg_locks
 WHERE locktype = 'advisory' AND pid = pg_backend_pid()
"""

# A test may stand at a breakpoint for an hour: no time-out of the server may end its transaction.
_NO_TIMEOUTS = """
SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN
 ('idle_in_transaction_session_timeout', 'idle_session_timeout', 'transaction_timeout')
"""

# What needs to be outside a transaction, or to have its own work committed first.
_CANNOT_BE_PLAYED = {"55P04", "55006"}
_CANNOT_BE_PLAYED_ALONE = {"25001", "2D000"}


class PostgreSQLWire:
    """Our own SQL on the real connection, in as few messages as possible.

    :param execute: sends a text of one or several statements and gives the last one's rows.
    """

    def __init__(self, execute: Callable[[str], list[tuple[Any, ...]]]) -> None:
        self._execute = execute
        self.pending: list[str] = []
        #: how many messages of ours were sent.
        self.messages = 0

    def queue(self, sql: str) -> None:
        """Send *sql* with the next message."""
        self.pending.append(sql)

    def flush(self) -> None:
        """Send what waits."""
        if self.pending:
            self._send("; ".join(self.pending))

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Send what waits and *sql*, and give the rows of *sql*."""
        return self._send("; ".join([*self.pending, sql]))

    def _send(self, text: str) -> list[tuple[Any, ...]]:
        self.pending.clear()
        self.messages += 1
        return self._execute(text)

    def mark(self) -> None:
        """Nothing: an xid belongs to its savepoint, whenever it began."""

    def wrote(self, savepoints: int, mark: Any) -> bool:
        """Whether the topmost savepoint has an xid, and so every one below it."""
        return bool(self.ask(_COUNT_XIDS)[0][0] == savepoints + 1)


class PostgreSQLSandbox(Sandbox):
    """Virtual connections on one real connection to a PostgreSQL database.

    :param reset_sequences: whether sequences are put back after each test.
    """

    def __init__(
        self, url: URL, *, owner: str = "sandboxed()", reset_sequences: bool = True
    ) -> None:
        self._wire = PostgreSQLWire(self._send)
        super().__init__(url, owner=owner)
        self._reset_sequences = reset_sequences
        self._sequences = Sequences(self._wire.ask, url.database)
        self._first_sequences = ""
        self._neighbours = Neighbours(self._wire.ask, self._quote, self.stack)
        self._deferrable: list[tuple[str, bool]] | None = None
        self._temporary: dict[str, tuple[Backend, str | None]] = {}
        #: session settings before anybody changed them, and as they are in force now
        self._baseline: dict[str, str | None] = {}
        self._in_force: dict[str, str | None] = {}
        self._advisory_used = False
        self.stack.settings = lambda: self._in_force

    # -- what the driver decides -----------------------------------------------

    @abc.abstractmethod
    def _send(self, text: str) -> list[tuple[Any, ...]]:
        """Send *text* on the real connection and give the rows of its last statement."""

    @abc.abstractmethod
    def _quote(self, value: object) -> str:
        """Write *value* as an SQL literal."""

    @abc.abstractmethod
    def _roll_back_and_close(self, last_words: Callable[[Callable[[str], object]], None]) -> None:
        """Roll the real transaction back, commit *last_words* and close the connection."""

    @abc.abstractmethod
    def error(self, sqlstate: str, message: str) -> Exception:
        """Make the driver's error of that SQLSTATE."""

    @abc.abstractmethod
    def sqlstate(self, error: BaseException) -> str | None:
        """Give the SQLSTATE of a driver's error."""

    # -- errors that the server would raise ------------------------------------

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

    def no_savepoint(self, name: str) -> Exception:
        """Make the error for a savepoint that does not exist."""
        return self.error("3B001", f'savepoint "{name}" does not exist')

    # -- one statement ---------------------------------------------------------

    @property
    def wire(self) -> PostgreSQLWire:
        """The way to the database."""
        return self._wire

    def flush(self) -> None:
        """Send what waits for the next message."""
        self.touched = True
        self._wire.flush()

    def run(
        self, backend: Backend, statement: Statement, text: str, call: Callable[[], Any]
    ) -> Any:
        """Send one statement of *backend* by *call*, so that it sees what it would see alone.

        :raises SandboxConflict: where one connection cannot show what several would.
        """
        self._refuse(backend, statement)
        self.wait_for_threads(backend, statement)
        self.raise_if_stuck()
        segment = self._claim(backend, statement.writes)
        others = self.stack.of_others(backend)
        if others:
            self._refuse_beside(others, statement)
        self._learn_settings(statement)
        locks = self._advisory_locks(backend, statement)
        if others:
            self._neighbours.before()
        else:
            self._neighbours.unwatched()
        self._wire.flush()
        try:
            result = call()
        except self.driver_error as error:
            if not self.alive:
                raise
            self.stack.fail_top()
            self._explain_failure(backend, statement, others, error)
            raise
        self._note(backend, statement, segment, bool(others))
        if locks is not None or statement.advisory:
            self._note_advisory(backend, statement, segment, locks)
        if others:
            self._note_neighbours(backend, statement, text, others)
        if statement.settings:
            self._note_settings(backend, statement)
        if backend.read_only:
            self._hold_read_only(statement)
        return result

    def _claim(self, backend: Backend, writes: bool) -> Segment:
        self.touched = True
        segment = self.stack.claim(backend, writes=writes)
        wanted = {
            name: backend.local.get(name, backend.session.get(name, first))
            for name, first in self._baseline.items()
        }
        changes = {
            name: value
            for name, value in wanted.items()
            if self._in_force.get(name, self._baseline[name]) != value
        }
        if changes:
            self._wire.queue(
                "SELECT "
                + ", ".join(
                    f"set_config({self._quote(name)}, {self._quote(value or '')}, false)"
                    for name, value in changes.items()
                )
            )
            self._in_force = {**self._in_force, **changes}
        return segment

    def _rolled_back(self, settings: Mapping[str, str | None]) -> None:
        self._in_force = dict(settings)

    # -- refusing what cannot be shown -----------------------------------------

    def _refuse(self, backend: Backend, statement: Statement) -> None:
        for other in self.backends:
            if other.sets_constraints and other is not backend:
                raise self.conflict(
                    f"{other} used SET CONSTRAINTS and has not ended its transaction. On one "
                    f"connection that would hold for {backend.name} too. Let it end first."
                )
        for name, (owner, _) in self._temporary.items():
            if owner is not backend and name in statement.words:
                raise self.conflict(
                    f'{backend.name} names "{name}", which is a temporary table of {owner}. On '
                    f"real connections it would not see that table. Use the same connection, or "
                    f"give the table another name."
                )
        if backend.isolation in SNAPSHOT_LEVELS and backend.commits_seen != self.stack.commits:
            raise self.conflict(
                f"{backend} is {backend.isolation}, and another connection has committed since "
                f"it began. One connection cannot show the old snapshot. Test this code on real "
                f"connections."
            )
        if (use := statement.cursor) is not None:
            for other in self.backends:
                if other is not backend and use.name in other.cursors:
                    raise self.conflict(
                        f'{backend.name} names the cursor "{use.name}", and {other} has one of '
                        f"that name. On one connection the two are the same. Give the cursors "
                        f"different names."
                    )

    def _refuse_beside(self, others: list[Segment], statement: Statement) -> None:
        what = ""
        if statement.sets_constraints:
            what = "SET CONSTRAINTS"
        elif statement.impatient:
            what = "NOWAIT or SKIP LOCKED"
        if what:
            raise self.conflict(
                f"{what} beside uncommitted work of {others[0].owner}: on one connection no lock "
                f"is ever in the way. Commit that work first, or test this code on real "
                f"connections."
            )

    def _explain_failure(
        self, backend: Backend, statement: Statement, others: list[Segment], error: Exception
    ) -> None:
        state = self.sqlstate(error)
        if state in _CANNOT_BE_PLAYED or (
            state in _CANNOT_BE_PLAYED_ALONE and backend.state is State.ACTIVE
        ):
            raise self.conflict(
                f"{statement.verb} cannot be run in a sandbox: {str(error).splitlines()[0]}. "
                f"Everything that a test does is one transaction there. Test this code on real "
                f"connections, on a database of its own."
            ) from error
        if others:
            met = self._neighbours.after(statement, others, error)
            diag = getattr(error, "diag", None)
            if met and not self._neighbours.genuine(state, diag, others, statement):
                other, what = next(iter(met.items()))
                raise self.conflict(
                    f"a statement of {backend} failed beside what {other} has written to {what} "
                    f"and not committed: {str(error).splitlines()[0]}. Real connections might "
                    f"have waited, or gone on. Commit that work first."
                ) from error

    # -- noting what a statement did -------------------------------------------

    def _note(
        self, backend: Backend, statement: Statement, segment: Segment, beside: bool
    ) -> None:
        traces = segment.traces
        if statement.temporary is not None:
            self._temporary[statement.temporary] = backend, statement.on_commit
        elif statement.ddl:
            traces.ddl = True
            self._deferrable = None
        traces.locked |= statement.locks_rows
        if statement.sets_constraints and backend.state is State.ACTIVE:
            backend.sets_constraints = True
            segment.wrote = Wrote.YES  # so that a rollback really takes it back
        if (use := statement.cursor) is not None:
            if use.verb == "DECLARE":
                backend.cursors[use.name] = OpenCursor(backend.level, use.hold, beside)
                segment.pinned = True
            elif use.verb == "CLOSE":
                backend.cursors.pop(use.name, None)
                self._unpin(backend)

    def _note_neighbours(
        self, backend: Backend, statement: Statement, text: str, others: list[Segment]
    ) -> None:
        met = self._neighbours.after(statement, others, None)
        use = statement.cursor
        if use is not None and not met:
            # a cursor keeps the snapshot of its DECLARE
            cursor = backend.cursors.get(use.name)
            if use.verb == "DECLARE" or (cursor is not None and cursor.beside):
                met = {o: "a table" for o in (s.owner for s in others) if isinstance(o, Backend)}
        for other, what in met.items():
            if (pair := (backend.name, other.name)) not in self.warned:
                self.warned.add(pair)
                warn(backend, other, what, text)

    def _hold_read_only(self, statement: Statement) -> None:
        """Raise the server's error where a READ ONLY transaction wrote.

        The server cannot switch a subtransaction back to READ WRITE, so it is not told.
        """
        if self.stack.ask_top() is Wrote.YES:
            self.stack.fail_top()
            raise self.error("25006", f"cannot execute {statement.verb} in a read-only transaction")

    # -- settings --------------------------------------------------------------

    def _learn_settings(self, statement: Statement) -> None:
        for setting in statement.settings:
            if setting.name is not None and setting.name not in self._baseline:
                self._baseline[setting.name] = self._current(setting.name)

    def _current(self, name: str) -> str | None:
        value = self._wire.ask(f"SELECT current_setting({self._quote(name)}, true)")[0][0]
        return None if value is None else str(value)

    def _note_settings(self, backend: Backend, statement: Statement) -> None:
        for setting in statement.settings:
            names = [setting.name] if setting.name is not None else list(self._baseline)
            for name in names:
                value = self._current(name)
                self._in_force = {**self._in_force, name: value}
                if setting.local:
                    backend.local[name] = value
                else:
                    backend.local.pop(name, None)
                    backend.session[name] = value
                if name == "default_transaction_isolation" and value is not None:
                    backend.default_isolation = value.upper()

    # -- advisory locks --------------------------------------------------------

    def _advisory_locks(self, backend: Backend, statement: Statement) -> set[Any] | None:
        if statement.advisory:
            others = [b for b in self.backends if b is not backend and b.holds_advisory_locks]
            if others:
                return set(self._wire.ask(_ADVISORY))
        return None

    def _note_advisory(
        self, backend: Backend, statement: Statement, segment: Segment, before: set[Any] | None
    ) -> None:
        self._advisory_used = True
        if before is not None and not set(self._wire.ask(_ADVISORY)) - before:
            raise self.conflict(
                f"{backend.name} asked for an advisory lock that another connection holds, or "
                f"for none: on one connection it always gets it. Let the other one go first, or "
                f"test this code on real connections."
            )
        backend.holds_advisory_locks = True
        segment.pinned = True

    def _unpin(self, backend: Backend) -> None:
        if not backend.cursors and not backend.holds_advisory_locks:
            for segment in self.stack.of(backend):
                segment.pinned = False

    # -- cursors and temporary tables ------------------------------------------

    def close_cursors(self, backend: Backend, *, from_level: int, keep_held: bool = False) -> None:
        """Close the cursors of *backend* that end with a (sub)transaction."""
        ending = [
            name
            for name, cursor in backend.cursors.items()
            if cursor.level >= from_level and not (keep_held and cursor.hold)
        ]
        if ending and self.alive:
            # a ROLLBACK TO may have closed some already
            there = {row[0] for row in self._wire.ask("SELECT name FROM pg_cursors")}
            for name in ending:
                if name in there:
                    self._wire.queue('CLOSE "{}"'.format(name.replace('"', '""')))
        for name in ending:
            del backend.cursors[name]
        self._unpin(backend)

    def temporary_tables(self) -> frozenset[str]:
        """Give the names of the temporary tables that exist."""
        return frozenset(self._temporary)

    def drop_temporary(self, backend: Backend) -> None:
        """Forget the temporary tables that the rolled back transaction made."""
        for name, (owner, _) in list(self._temporary.items()):
            if owner is backend and name not in backend.temporary_at_begin:
                del self._temporary[name]

    def _end_temporary(self, backend: Backend) -> None:
        """Do what ON COMMIT asks for; the real transaction goes on, so the server does not."""
        mine = {n: what for n, (o, what) in self._temporary.items() if o is backend and what}
        if not mine:
            return
        self._claim(backend, writes=True)
        for name, what in mine.items():
            quoted = '"{}"'.format(name.replace('"', '""'))
            if what == "drop":
                self._wire.queue(f"DROP TABLE IF EXISTS pg_temp.{quoted}")
                del self._temporary[name]
            else:
                self._wire.queue(f"TRUNCATE pg_temp.{quoted}")
        self._wire.flush()

    # -- commit ----------------------------------------------------------------

    def before_commit(self, backend: Backend) -> None:
        """Check deferred constraints and end temporary tables, as the server does at COMMIT."""
        self._end_temporary(backend)
        mine = self.stack.of(backend)
        if not any(s.wrote is not Wrote.NO for s in mine):
            return
        if self._deferrable is None:
            self._deferrable = self._wire.ask(_DEFERRABLE)  # type: ignore[assignment]
        if not self._deferrable:
            return
        if (dead := self.stack.stuck()) is not None:
            raise self.conflict(
                f"{backend.name} commits above what {dead.owner} rolled back. On one connection "
                f"its deferred constraints cannot be checked. Let the transactions end in the "
                f"order in which they wrote."
            )
        self._claim(backend, writes=True)
        check = "SET CONSTRAINTS ALL IMMEDIATE"
        # setting ALL of them back to DEFERRED would cost more with every commit
        deferred = ", ".join(name for name, initially in self._deferrable if initially)
        if deferred:
            check += f"; SET CONSTRAINTS {deferred} DEFERRED"
        try:
            self._wire.ask(check)
        except self.driver_error as error:
            others = self.stack.of_others(backend)
            self.stack.fail_top()
            if others:
                raise self.conflict(
                    f"a deferred constraint failed when {backend} committed, beside uncommitted "
                    f"work of {others[0].owner}: {str(error).splitlines()[0]}. On one connection "
                    f"it cannot be told whose rows violate it. Let the other end first."
                ) from error
            raise

    # -- the life of a class ---------------------------------------------------

    def _opened(self) -> None:
        """Get to know a new real connection, on which the driver begins a transaction."""
        self._connected = True
        self._wire.pending.clear()
        self._baseline, self._in_force = {}, {}
        self._temporary.clear()
        self._deferrable = None
        self._advisory_used = False
        self.shared = False
        self._sequences = Sequences(self._wire.ask, self.url.database)
        self._wire.queue(_NO_TIMEOUTS)
        if self._reset_sequences:
            self._sequences.remember()
        self._first_sequences = self._sequences.statement
        # the driver has sent a BEGIN of its own; what was set in there must outlive the tests
        self._wire.queue("COMMIT")
        self._begin_outer()

    def _begin_outer(self) -> None:
        self.stack = self._new_stack()
        self.stack.settings = lambda: self._in_force
        self._neighbours = Neighbours(self._wire.ask, self._quote, self.stack)
        self._wire.queue("BEGIN")
        self.stack.begin(savepoint=False)

    def _freeze_setup(self) -> None:
        if not self.touched:
            return
        xid = self._wire.ask("SELECT pg_current_xact_id_if_assigned()::text")[0][0]
        self.shared = xid is not None
        if not self.shared:
            self._end_outer("")
            return
        segments = self.stack.segments
        if len(segments) > 1:
            self._wire.queue(f"RELEASE {segments[1 if not segments[0].name else 0].name}")
        if self._reset_sequences:
            self._sequences.remember()
            if prepare := self._sequences.prepare():
                self._wire.queue(prepare)
        # what the set-up SET belongs to its connections, which start anew in each test
        self._wire.queue("SELECT 1")
        self.stack = self._new_stack()
        self.stack.settings = lambda: self._in_force
        self._neighbours = Neighbours(self._wire.ask, self._quote, self.stack)
        self.stack.begin(savepoint=True)

    def _end_outer(self, restore: str) -> None:
        """End a test's own outer transaction; the next begins with its first statement."""
        self._wire.pending.clear()
        parts = ["ROLLBACK", self._release_advisory(), restore]
        self._wire.ask("; ".join(part for part in parts if part))
        self._in_force = {}
        self._temporary.clear()
        self._begin_outer()

    def _release_advisory(self) -> str:
        used, self._advisory_used = self._advisory_used, False
        return "SELECT pg_advisory_unlock_all()" if used else ""

    def _rewind_test(self) -> None:
        if not self.shared:
            self._end_outer(self._sequences.statement)
            return
        self._wire.pending.clear()
        self.stack.rewind()
        self._temporary.clear()
        self._deferrable = None
        for part in (self._release_advisory(), self._sequences.execute):
            if part:
                self._wire.queue(part)
        self._wire.flush()

    def _disconnect(self, finish: Callable[[Callable[[str], object]], object] | None) -> None:
        if self.alive:

            def last_words(send: Callable[[str], object]) -> None:
                if self._first_sequences:
                    send(self._first_sequences)
                if finish is not None:
                    finish(send)

            self._roll_back_and_close(last_words)
        self._connected = False
        self._wire.pending.clear()
        self.stack = self._new_stack()



"""What the server would know of a virtual connection, had it a server process of its own.

PostgreSQL calls that process a *backend*. A driver has beliefs of its own about its
transaction, and the two can differ: after ``cursor.execute("COMMIT")`` psycopg2 still believes
to be in a transaction, while the server is idle and commits each further statement by itself.
So the driver's beliefs live with the driver's classes, and the server's truth lives here.

Transaction control is played here and not sent: a transaction begins with its first statement,
user savepoints are levels of segments, COMMIT and ROLLBACK hand the segments on.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from . import messages
from .places import Place, place
from .quick import plain_members
from .statements import Control, Statement

if TYPE_CHECKING:
    from .base import Sandbox

__all__ = ["Backend", "Lock", "OpenCursor", "State", "TableLock"]

Settings = Mapping[str, "str | None"]
#: An advisory lock, as the server lists it.
Lock = tuple[int, int, int]

_NO_SETTINGS: Settings = {}

#: Levels that keep the snapshot of their first statement.
SNAPSHOT_LEVELS = {"REPEATABLE READ", "SERIALIZABLE"}


@plain_members
class State(enum.Enum):
    """The state of a transaction, as the server reports it."""

    IDLE = "idle"
    ACTIVE = "in transaction"
    FAILED = "failed"


@dataclass(slots=True)
class UserSavepoint:
    """A savepoint that the program set, and the settings to go back to."""

    name: str
    session: Settings
    local: Settings
    read_only: bool | None


@dataclass(slots=True)
class OpenCursor:
    """A server-side cursor.

    :param level: how many savepoints were open when it was declared.
    :param beside: whether others had uncommitted work then, which its snapshot would show.
    """

    level: int
    hold: bool
    beside: bool


@dataclass(slots=True)
class TableLock:
    """What LOCK TABLE took.

    :param tables: by number, with those that inherit from it.
    :param name: as messages call it.
    :param words: of the name; who names the table has them in the text.
    :param mode: such as ``ACCESS EXCLUSIVE``.
    :param level: how many savepoints were open when it was taken.
    """

    tables: frozenset[int]
    name: str
    words: frozenset[str]
    mode: str
    level: int

    @property
    def deed(self) -> str:
        """What its holder did, as messages say it."""
        return f"has locked table {self.name} in {self.mode} mode"


class Author(NamedTuple):
    """A connection, and where its transaction began. Its text is made when somebody reads it.

    :param over: whether it is in no transaction now.
    """

    name: str
    began: Place | None
    over: bool = False

    def __str__(self) -> str:
        if self.began is None:
            return f"{self.name} (it has begun no transaction)"
        which = "its last transaction" if self.over else "its transaction"
        return f"{self.name} ({which} began at {self.began})"


@functools.lru_cache(maxsize=64)
def _of_none(name: str) -> Author:
    """Give what messages say of a connection that has begun no transaction."""
    return Author(name, None)


class Backend:
    """One virtual connection, as its server would see it. Used with the sandbox's lock held.

    One is made for each connection of each test; so what most never change is not set on each.

    :param name: how messages call it, for example ``connection 3``.
    :param session: the session settings that it starts with.
    """

    state: State = State.IDLE
    isolation: str | None = None
    default_isolation: str | None = None
    read_only: bool | None = None
    default_read_only: bool = False
    #: how many commits there were at the transaction's first statement
    commits_seen: int | None = None
    #: whether the transaction is a statement's own
    alone: bool = False
    sets_constraints: bool = False
    #: how many savepoints were open at the first statement that only locked: it may leave no trace
    locked_level: int | None = None
    #: whether a SAVEPOINT began the transaction, so that its RELEASE commits
    begun_by_savepoint: bool = False
    #: the thread that sent the last statement, and the line where the transaction began
    thread: int = 0
    began: Place | None = None
    temporary_at_begin: frozenset[str] = frozenset()
    #: the advisory locks that it holds
    session_locks: frozenset[Lock] = frozenset()
    transaction_locks: frozenset[Lock] = frozenset()

    def __init__(self, sandbox: Sandbox, name: str, session: Settings) -> None:
        self.sandbox = sandbox
        self.name = name
        # mappings of settings are never changed, only replaced: they may be kept without a copy
        self.session = self._session_at_begin = session
        self.local = _NO_SETTINGS
        #: what messages say of the present transaction; may be read after its end
        self.author = _of_none(name)
        self.savepoints: list[UserSavepoint] = []
        self.cursors: dict[str, OpenCursor] = {}
        self.table_locks: list[TableLock] = []

    @property
    def level(self) -> int:
        """How many user savepoints are open."""
        return len(self.savepoints)

    @property
    def holds_advisory_locks(self) -> bool:
        """Whether other connections might have to wait for it."""
        return bool(self.session_locks or self.transaction_locks)

    @property
    def has_asked(self) -> bool:
        """Whether it has sent a query in its present transaction."""
        return self.state is State.ACTIVE and self.commits_seen is not None

    @property
    def holds_locks(self) -> bool:
        """Whether NOWAIT would find what it has locked without writing."""
        if self.locked_level is None:
            return False
        # what a failed statement has doomed is free at once
        return self.state is State.ACTIVE or self.locked_level < self.level

    def __str__(self) -> str:
        return str(Author(self.name, self.began, over=self.state is State.IDLE))

    # -- statements ------------------------------------------------------------

    def execute(
        self,
        text: str,
        call: Callable[[], Any],
        *,
        values_only: bool = False,
        statement: Statement | None = None,
    ) -> Any:
        """Play *text* if it steers the transaction, else send it by *call*.

        :param values_only: whether the parameters are values, and bring no SQL of their own.
        :param statement: what *text* is, where that was asked already.
        :raises SandboxConflict: when one connection cannot show what several would.
        """
        if statement is None:
            statement = self.sandbox.analyse(text)
        if statement.control is not None:
            self._control(statement)
            return None
        self.sandbox.write_hints += statement.writes
        if self.state is State.FAILED:
            raise self.sandbox.aborted()
        if self.state is State.ACTIVE:
            return self.sandbox.run(self, statement, text, call, values_only=values_only)
        self.begin()  # a transaction of the statement's own
        self.alone = True
        try:
            result = self.sandbox.run(self, statement, text, call, values_only=values_only)
        except self.sandbox.driver_error:
            # SQLite keeps the rows that an INSERT OR FAIL had written before it failed
            self.end(commit=not self.sandbox.errors_fail_transactions)
            raise
        except BaseException:
            self.end(commit=False)
            raise
        try:
            self.end(commit=True)
        except self.sandbox.driver_error:
            self.end(commit=False)
            raise
        return result

    def begin(self, statement: Statement | None = None) -> None:
        """Begin a transaction, as BEGIN or the first statement does."""
        self.state = State.ACTIVE
        self.began = began = place()
        self.author = Author(self.name, began)
        self._session_at_begin = self.session
        self.temporary_at_begin = frozenset(self.sandbox.temporary_tables)
        # the server takes its snapshot at the first statement, not at BEGIN
        self.commits_seen, self.alone = None, False
        self.isolation, self.read_only = self.default_isolation, self.default_read_only
        if self.session:
            self.isolation, self.read_only = self.defaults()
        if statement is not None:
            self._characteristics(statement)

    def defaults(self) -> tuple[str | None, bool | None]:
        """Give the isolation level of the next transaction, and whether it is READ ONLY."""
        isolation, read_only = self.default_isolation, self.default_read_only
        if isolation is None and (level := self.session.get("default_transaction_isolation")):
            isolation = level.upper()
        if not read_only:
            read_only = self.session.get("default_transaction_read_only") == "on"
        return isolation, read_only

    def begin_again(self, statement: Statement) -> None:
        """Do what BEGIN does inside a transaction."""
        self.sandbox.begun_twice()
        self._change_characteristics(statement)

    def _characteristics(self, statement: Statement) -> None:
        if statement.isolation is not None:
            self.isolation = statement.isolation
        if statement.read_only is not None:
            self.read_only = statement.read_only

    def _change_characteristics(self, statement: Statement) -> None:
        if (error := self.sandbox.too_late(self, statement)) is not None:
            self.fail()
            raise error
        self._characteristics(statement)

    def fail(self) -> None:
        """Do what the server does at an error that is raised in its name."""
        self.state = State.FAILED
        self.sandbox.stack.undo_if_above_all(self, self.level)

    def _control(self, statement: Statement) -> None:
        match statement.control:
            case Control.COMMIT | Control.ROLLBACK:
                self._end_by_text(statement)
            case Control.BEGIN:
                if self.state is State.FAILED:
                    raise self.sandbox.aborted()
                if self.state is State.IDLE:
                    self.begin(statement)
                else:
                    self.begin_again(statement)
            case Control.SET_TRANSACTION:
                if self.state is State.FAILED:
                    raise self.sandbox.aborted()
                if self.state is State.ACTIVE:
                    self._change_characteristics(statement)
            case Control.PREPARE:
                raise self.sandbox.conflict(messages.two_phase())
            case _:
                self._savepoint(statement)

    def _end_by_text(self, statement: Statement) -> None:
        if self.state is State.IDLE:
            if statement.chain:
                raise self.sandbox.nothing_to_chain(statement.control)
            self.sandbox.ended_twice(statement.control is Control.COMMIT)
            return
        isolation, read_only = self.isolation, self.read_only
        self.end(commit=statement.control is Control.COMMIT)
        if statement.chain:
            self.begin()
            self.isolation, self.read_only = isolation, read_only

    def _savepoint(self, statement: Statement) -> None:
        sandbox, name = self.sandbox, statement.name
        control = statement.control
        if self.state is State.FAILED and control is not Control.ROLLBACK_TO:
            raise sandbox.aborted()
        if self.state is State.IDLE and not sandbox.savepoint_begins:
            raise sandbox.no_transaction(control)
        if control is Control.SAVEPOINT:
            if self.state is State.IDLE:
                self.begin()
                self.begun_by_savepoint = True
            self.savepoints.append(UserSavepoint(name, self.session, self.local, self.read_only))
            return
        # the innermost of that name, as names may shadow each other
        for index in range(len(self.savepoints) - 1, -1, -1):
            if sandbox.same_name(self.savepoints[index].name, name):
                break
        else:
            if sandbox.errors_fail_transactions:
                self.fail()
            raise sandbox.no_savepoint(name)
        # READ ONLY that was set in a subtransaction ends with it, however it ends
        self.read_only = self.savepoints[index].read_only
        if control is Control.RELEASE:
            if index == 0 and self.begun_by_savepoint:
                self.end(commit=True)
                return
            del self.savepoints[index:]
            if self.locked_level is not None:
                self.locked_level = min(self.locked_level, index)
            held: list[OpenCursor | TableLock] = [*self.cursors.values(), *self.table_locks]
            for each in held:
                each.level = min(each.level, index)
            sandbox.stack.release(self, index)
            return
        saved = self.savepoints[index]
        del self.savepoints[index + 1 :]
        if self.locked_level is not None and self.locked_level > index:
            self.locked_level = None
        self.session, self.local = saved.session, saved.local
        self.state = State.ACTIVE
        self.table_locks = [lock for lock in self.table_locks if lock.level <= index]
        sandbox.close_cursors(self, from_level=index + 1)
        sandbox.undo(self, index + 1)

    # -- endings ---------------------------------------------------------------

    def end(self, *, commit: bool) -> None:
        """End the transaction, if there is one.

        COMMIT of a failed transaction undoes it, as on the server. Undoing never raises, for
        SQLAlchemy's pool would swallow that; a conflict shows at the next statement.

        :raises Exception: the driver's own error, when a deferred constraint is violated.
        """
        if self.state is State.IDLE:
            return
        commit = commit and self.state is State.ACTIVE
        sandbox = self.sandbox
        error: BaseException | None = None
        if commit:
            try:
                sandbox.before_commit(self)
            except sandbox.driver_error as exc:
                if not sandbox.errors_fail_transactions:
                    raise  # the transaction stays open
                commit, error = False, exc
            except BaseException:
                self._forget(commit=False)
                sandbox.undo(self)
                raise
        self._forget(commit=commit)
        if commit:
            sandbox.commit(self)
        else:
            sandbox.undo(self)
        if error is not None:
            raise error

    def _forget(self, *, commit: bool) -> None:
        """Leave what belonged to the transaction."""
        self.state = State.IDLE
        if self.savepoints:
            self.savepoints = []
        self.local = _NO_SETTINGS
        self.sets_constraints = self.begun_by_savepoint = False
        if self.locked_level is not None:
            self.locked_level = None
        if self.table_locks:
            self.table_locks = []
        if self.cursors or self.transaction_locks:  # only these pin segments
            self.transaction_locks = frozenset()
            self.sandbox.close_cursors(self, from_level=0, keep_held=commit)
        if not commit:
            self.session = self._session_at_begin
            self.sandbox.drop_temporary(self)

    def close(self) -> None:
        """End the session: everything of its own that was not committed goes."""
        self.end(commit=False)
        self.sandbox.close_cursors(self, from_level=-1)
        self.sandbox.end_session(self)
        self.session = _NO_SETTINGS

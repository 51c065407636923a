"""Virtual connections: what SQLAlchemy's pool and the program get for a connection."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import psycopg2
from psycopg2 import extensions

from .. import messages as shared
from ..backends import Backend, State
from ..base import Phase
from ..postgresql import messages
from ..postgresql.settings import shown_isolation
from ..postgresql.several import play_parts
from ..statements import Statement, analyse
from .characteristics import DEFERRABLE, ISOLATION, READ_ONLY, Characteristics, switch
from .real import Cursor, RealConnection, is_closed

if TYPE_CHECKING:
    from .sandbox import Psycopg2Sandbox

__all__ = ["VirtualConnection"]

__unittest = True  # its frames are left out of tracebacks

_LEVELS: dict[object, str | None] = {
    None: None,
    extensions.ISOLATION_LEVEL_DEFAULT: None,
    extensions.ISOLATION_LEVEL_READ_UNCOMMITTED: "READ UNCOMMITTED",
    extensions.ISOLATION_LEVEL_READ_COMMITTED: "READ COMMITTED",
    extensions.ISOLATION_LEVEL_REPEATABLE_READ: "REPEATABLE READ",
    extensions.ISOLATION_LEVEL_SERIALIZABLE: "SERIALIZABLE",
}
_NUMBERS = {name: number for number, name in _LEVELS.items() if name and isinstance(number, int)}

_NOTHING: Mapping[str, str | None] = {}

_TRANSACTION_STATUS = {
    State.IDLE: extensions.TRANSACTION_STATUS_IDLE,
    State.ACTIVE: extensions.TRANSACTION_STATUS_INTRANS,
    State.FAILED: extensions.TRANSACTION_STATUS_INERROR,
}


class VirtualConnection:
    """A connection of its own for its user, played on the sandbox's real one.

    What it does not define itself is the real connection's, such as ``info`` and ``encoding``.
    """

    def __init__(self, sandbox: Psycopg2Sandbox, real: Any) -> None:
        self.sandbox = sandbox
        self.real = real
        self.cursor_factory: Any = None
        self._ended = 0
        #: what its listeners registered for reading values, by type
        self.types: tuple[dict[int, Any], dict[int, Any]] | None = None
        self._make_cursor = super(RealConnection, real).cursor  # type: ignore[misc]
        self._closed = False
        self._generation = -1
        self._backend: Backend | None = None
        self._settings: Mapping[str, str | None] = {}
        self._begun = False
        self._entered = False
        self._wants = Characteristics()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def __repr__(self) -> str:
        name = self._backend.name if self._backend else "unused connection"
        return f"<{name} of {self.sandbox.owner}'s sandbox on {self.sandbox.url!r}>"

    # -- statements ------------------------------------------------------------

    def listened(self) -> None:
        """Keep what the ``connect`` listeners set: it is this connection's in every test."""
        if self._backend is not None:
            self._settings = self._backend.session
        self.types = self.sandbox.registered_types()

    def backend(self) -> Backend:
        """Give the server's side of this connection, a new one in each test."""
        sandbox = self.sandbox
        if self._backend is None or self._generation != sandbox.generation:
            if self.real is not sandbox.real:
                raise psycopg2.InterfaceError("connection already closed")
            backend = self._backend = sandbox.new_backend(self._settings)
            self._generation = sandbox.generation
            self._begun = False
            if self._wants.of_session and sandbox.phase is not Phase.CLOSING:
                self._wants.begin_session(sandbox, backend)
            return backend
        return self._backend

    def _change(
        self, given: Mapping[str, str | None] = _NOTHING, *, autocommit: bool | None = None
    ) -> None:
        sandbox = self.sandbox
        if (
            self._generation != sandbox.generation
            or sandbox.phase is Phase.CLOSING
            or sandbox.in_child  # where a pool may put back what it is given
        ):
            self._wants.change(given, autocommit, sandbox, None)
            return
        with sandbox.lock:
            self._wants.change(given, autocommit, sandbox, self._backend)

    def run(
        self,
        cursor: Any,
        text: str,
        call: Callable[[], Any],
        *,
        values_only: bool = False,
        statement: Statement | None = None,
        behind: Callable[[str], Any] | None = None,
    ) -> Any:
        """Run one statement of *cursor*.

        :param values_only: whether the parameters are values, and bring no SQL of their own.
        :param behind: sends it behind another text in one message.
        :param statement: what *text* is, where that was asked already.
        """
        sandbox = self.sandbox
        if sandbox.in_child:
            sandbox.refuse_in_child()
        with sandbox.lock:
            if cursor.closed or self._closed or is_closed(self.real):
                raise psycopg2.InterfaceError("cursor already closed")
            if statement is None:
                statement = analyse(text)
            if statement.parts:
                raise sandbox.conflict(messages.several_statements(text))
            if self.types is not None and self.types is not sandbox.types:
                sandbox.use_types(self.types)
            backend = self._backend
            if backend is None or self._generation != sandbox.generation:
                backend = self.backend()
            if sandbox.phase is Phase.CLOSING:
                return sandbox.run_closing(backend, statement, call)
            if not self._begun:
                self._begin(backend)
            if statement.plain and backend.state is State.ACTIVE:
                # what backend.execute() comes to
                sandbox.write_hints += statement.writes
                return sandbox.run(
                    backend, statement, text, call, values_only=values_only, behind=behind
                )
            result = backend.execute(text, call, values_only=values_only, statement=statement)
            if statement.control is not None and (
                cursor.description is not None or cursor.rowcount != -1
            ):
                # nothing was sent: the answer to the last statement must not be taken for its own
                sandbox.flush()
                Cursor.execute(cursor, "SET LOCAL dbtestcase.played = ''")
            return result

    def _begin(self, backend: Backend) -> None:
        wants = self._wants
        if self._entered or not wants.autocommit:
            if backend.state is State.FAILED:
                raise self.sandbox.aborted()
            if backend.state is State.IDLE:
                backend.begin(wants.begin)
            elif wants.begin is not None:  # a text has begun it
                backend.begin_again(wants.begin)
            self._begun = True

    def run_parts(self, cursor: Any, parts: Iterable[str]) -> None:
        """Run several statements, one of which steers the transaction, one by one."""
        with self.sandbox.entered():
            self._check_open()
            backend = self.backend()
            if self.sandbox.phase is not Phase.CLOSING and not self._begun:
                self._begin(backend)
            play_parts(backend, parts, cursor.execute)

    def next_of_many(self) -> None:
        """Go on to the next statement of an executemany(): a transaction of its own, if alone."""
        backend = self.backend()
        if backend.alone:
            backend.end(commit=True)
            backend.begin()
            backend.alone = True
            self.sandbox.go_on(backend)

    def show_isolation(self) -> str | None:
        """Give what answers SHOW transaction_isolation, where the real transaction may differ."""
        begins = not self._begun and (self._entered or not self._wants.autocommit)
        return shown_isolation(self.backend(), self._wants.isolation if begins else None)

    # -- PEP 249 ---------------------------------------------------------------

    def cursor(
        self,
        name: str | None = None,
        cursor_factory: Any = None,
        withhold: bool = False,
        scrollable: bool | None = None,
    ) -> Any:
        """Make a cursor of the class asked for, which asks the sandbox first."""
        if self._closed or is_closed(self.real):
            self._check_open()
        # only what was asked for: the program's connection class has defaults of its own
        factory = cursor_factory or self.cursor_factory
        wanted: dict[str, Any] = {}
        if name is not None:
            wanted.update(name=name, withhold=withhold, scrollable=scrollable)
        if factory:
            wanted["cursor_factory"] = factory
        made = self._make_cursor(**wanted)
        made.virtual = made.connection = self
        if name is not None:
            made._transaction = self.transaction
        return made

    def commit(self) -> None:
        """Keep the transaction's work, until the test ends."""
        self._end(commit=True)

    def rollback(self) -> None:
        """Undo the transaction's work."""
        if not self._begun and not self._closed and not is_closed(self.real):
            return  # SQLAlchemy's pool rolls back whatever was committed
        self._end(commit=False)

    def close(self) -> None:
        """End this connection, and only this."""
        if not self._closed:
            if not is_closed(self.real):
                self._end(commit=False, close=True)
            self._closed = True

    def _end(self, *, commit: bool, close: bool = False) -> None:
        if self._closed or is_closed(self.real):
            self._check_open()
        sandbox = self.sandbox
        begun, self._begun = self._begun, False
        if not begun and not close:
            return
        if sandbox.in_child:
            # another thread of the parent may hold the lock, and never let it go here
            return
        with sandbox.lock:
            self._ended += begun
            backend = self._backend
            if (
                backend is None
                or self._generation != sandbox.generation
                or sandbox.phase is Phase.CLOSING
            ):
                return
            if close:
                backend.close()
            elif begun:
                backend.end(commit=commit)

    def __enter__(self) -> VirtualConnection:
        self._check_open()
        if self._entered:
            raise psycopg2.ProgrammingError("the connection cannot be re-entered recursively")
        self._entered = True
        return self

    def __exit__(self, kind: Any, value: Any, traceback: Any) -> None:
        try:
            if kind is None:
                self.commit()
            else:
                self.rollback()
        finally:
            self._entered = False

    @property
    def closed(self) -> int:
        """0 while it is open, else what the driver says of the real connection, or 1."""
        return 1 if self._closed else is_closed(self.real)

    def _check_open(self) -> None:
        if self.closed:
            raise psycopg2.InterfaceError("connection already closed")

    # -- psycopg2's own --------------------------------------------------------

    @property
    def autocommit(self) -> bool:
        """Whether each statement is a transaction of its own."""
        return self._wants.autocommit

    @autocommit.setter
    def autocommit(self, value: bool) -> None:
        self._check_outside()
        self._change(autocommit=bool(value))

    def _check_outside(self) -> None:
        self._check_open()
        if self._begun and self._generation == self.sandbox.generation:
            raise psycopg2.ProgrammingError("set_session cannot be used inside a transaction")

    @property
    def isolation_level(self) -> int | None:
        """The level as psycopg2's constant, None for the server's default."""
        level = self._wants.isolation
        return None if level is None else _NUMBERS[level]

    @isolation_level.setter
    def isolation_level(self, level: int | str | None) -> None:
        self._check_outside()
        self._change({ISOLATION: self._named_level(level)})

    def set_isolation_level(self, level: int | None) -> None:
        """Set the level of later transactions; ends the present one, as psycopg2 does."""
        if self._begun:
            self.rollback()
        if level == extensions.ISOLATION_LEVEL_AUTOCOMMIT:
            self._change(autocommit=True)
        else:
            self._change({ISOLATION: self._named_level(level)}, autocommit=False)

    @staticmethod
    def _named_level(level: int | str | None) -> str | None:
        if isinstance(level, str):
            name = level.upper()
            if name == "DEFAULT":
                return None
            if name in _NUMBERS:
                return name
            raise ValueError(f"bad value for isolation_level: '{level}'")
        if level not in _LEVELS:
            raise ValueError("isolation_level must be between 1 and 4")
        return _LEVELS[level]

    @property
    def readonly(self) -> bool | None:
        """Whether later transactions are READ ONLY; None for the server's default."""
        return self._wants.is_on(READ_ONLY)

    @readonly.setter
    def readonly(self, value: bool | None) -> None:
        self._check_outside()
        self._change({READ_ONLY: switch(value)})

    @property
    def deferrable(self) -> bool | None:
        """Whether later SERIALIZABLE READ ONLY transactions wait; it changes nothing here."""
        return self._wants.is_on(DEFERRABLE)

    @deferrable.setter
    def deferrable(self, value: bool | None) -> None:
        self._check_outside()
        self._change({DEFERRABLE: switch(value)})

    def set_session(
        self,
        isolation_level: int | str | None = None,
        readonly: bool | str | None = None,
        deferrable: bool | str | None = None,
        autocommit: bool | None = None,
    ) -> None:
        """Set what is given for later transactions; None leaves it as it is."""
        self._check_outside()
        given: dict[str, str | None] = {}
        if isolation_level is not None:
            given[ISOLATION] = self._named_level(isolation_level)
        if readonly is not None:
            given[READ_ONLY] = switch(readonly)
        if deferrable is not None:
            given[DEFERRABLE] = switch(deferrable)
        self._change(given, autocommit=None if autocommit is None else bool(autocommit))

    def set_client_encoding(self, encoding: str) -> None:
        """Set the client encoding, which all virtual connections share.

        :raises SandboxConflict: when it is not the one that is in force.
        """
        if self._begun:
            self.rollback()  # as psycopg2 does
        wanted = encoding.upper().replace("-", "").replace("_", "")
        if wanted != self.real.encoding.upper().replace("-", "").replace("_", ""):
            raise self.sandbox.conflict(messages.client_encoding(encoding, self.real.encoding))

    def reset(self) -> None:
        """Roll back and go back to the defaults."""
        self._end(commit=False, close=True)
        self._wants = Characteristics()

    @property
    def status(self) -> int:
        """What psycopg2 believes: READY, or BEGIN in a transaction."""
        inside = self._begun and self._generation == self.sandbox.generation
        return extensions.STATUS_BEGIN if inside else extensions.STATUS_READY

    def get_transaction_status(self) -> int:
        """What the server would say."""
        if self.closed:
            return extensions.TRANSACTION_STATUS_UNKNOWN
        if self._backend is None or self._generation != self.sandbox.generation:
            return extensions.TRANSACTION_STATUS_IDLE
        return _TRANSACTION_STATUS[self._backend.state]

    @property
    def notices(self) -> Any:
        """What the server has said so far; SQLAlchemy looks at it after each statement."""
        return self.real.notices

    @notices.setter
    def notices(self, kept: Any) -> None:
        self.real.notices = kept

    @property
    def info(self) -> Any:
        """What psycopg2 tells of the connection."""
        return _Info(self)

    @property
    def transaction(self) -> tuple[int, int]:
        """Which of its transactions, past or present, this is: a named cursor is of one."""
        return self.sandbox.generation, self._ended

    def check_named(self, cursor: Any) -> None:
        """Raise what psycopg2 does for a named cursor that cannot be executed."""
        if cursor.withhold:
            return
        if self._wants.autocommit and not self._entered:
            raise psycopg2.ProgrammingError("can't use a named cursor outside of transactions")
        if cursor._transaction != self.transaction:
            raise psycopg2.ProgrammingError("named cursor isn't valid anymore")

    def _two_phase(self, *args: Any) -> Any:
        raise self.sandbox.conflict(shared.two_phase())

    tpc_begin = tpc_prepare = tpc_commit = tpc_rollback = tpc_recover = xid = _two_phase

    def lobject(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse large objects, whose reads and writes send statements past the sandbox.

        :raises SandboxConflict: always.
        """
        raise self.sandbox.conflict(messages.large_object())


class _Info:
    """The driver's ``connection.info``, whose word on the transaction is the real one's."""

    def __init__(self, connection: VirtualConnection) -> None:
        self._connection = connection
        self._info = connection.real.info

    def __getattr__(self, name: str) -> Any:
        return getattr(self._info, name)

    @property
    def transaction_status(self) -> int:
        """What the server would say."""
        return self._connection.get_transaction_status()

"""What every sandbox does, whatever the kind of database: its phases and its endings.

A sandbox holds one real connection in one outer transaction that is never committed. Its life::

    set-up ──freeze()──▶ begin_test() ─ test ─ closing() ─ end_test() ──▶ … ──▶ close()

During the set-up, what is committed belongs to the class. Where something was written there,
the outer transaction spans the class, and each test is undone by ROLLBACK TO a savepoint;
where nothing was, each test has an outer transaction of its own, so that ``now()`` moves on.
"""

from __future__ import annotations

import abc
import enum
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NoReturn

from sqlalchemy.engine import URL, Dialect

from ..errors import SandboxConflict
from . import messages, uncommitted
from .backends import SNAPSHOT_LEVELS, Author, Backend, State
from .kinds import Kind
from .places import Place, trail
from .quick import Changes, plain_members
from .segments import SegmentStack, Wrote
from .statements import Statement
from .threads import Threads

__all__ = ["Phase", "Sandbox"]


@plain_members
class Phase(enum.Enum):
    """Where in the life of its class a sandbox is."""

    SETUP = "set-up"
    TEST = "test"
    CLOSING = "closing"
    BETWEEN = "between tests"


class Sandbox(Kind):
    """Virtual connections on one real connection to one database.

    Implements :class:`dbtestcase.engines.ConnectionSource`.

    :param url: the database.
    :param owner: what messages say it belongs to, usually the name of the test class.
    """

    _backend_class = Backend

    def __init__(self, url: URL, *, owner: str = "sandboxed()") -> None:
        self.url = url
        self.owner = owner
        self.lock = threading.RLock()
        self.changed = Changes(self.lock)
        self.phase = Phase.SETUP
        #: virtual connections of an earlier test start anew when they are used again
        self.generation = 0
        #: the conflicts that were raised since the last test began, swallowed ones too
        self.conflicts: list[SandboxConflict] = []
        self.warned: set[tuple[str, str]] = set()
        # weak references, in the order in which the connections did their first thing: what the
        # program lets go without closing it holds nothing any more
        self._living: list[weakref.ref[Backend]] = []
        #: whether anything was sent since the last test ended
        self.touched = False
        #: whether a statement succeeded since then, which a lost connection would undo
        self.answered = False
        #: whether the outer transaction spans the class, because the set-up wrote to it
        self.shared = False
        self._names = 0
        #: whether only one connection did anything since the last generation began
        self.has_one = False
        self._connected = False
        #: where in the user's code the real connection was made
        self.made_at: Place | None = None
        #: whether the database is the tests' alone, so that nobody else should connect to it
        self.watched = False
        #: the server's process for the real connection, where :attr:`watched`
        self.server_pid = 0
        #: how many statements looked as if they wrote, since the sandbox was made
        self.write_hints = 0
        self._commits_at_begin = 0
        #: when the test began, by :func:`time.monotonic`
        self.began = 0.0
        self._pid = os.getpid()
        #: whether this is a process that was forked while the sandbox was open
        self.in_child = False
        _sandboxes.add(self)
        self._listening = threading.local()
        self.stack = self._new_stack()
        self.threads = Threads(self)

    # -- for the engines -------------------------------------------------------

    @abc.abstractmethod
    def connect(self, dialect: Dialect, cparams: Mapping[str, Any] | None) -> Any:
        """Give the real connection, prepared for a new virtual one in this thread."""

    def virtual(self, real: Any) -> Any:
        """Give the virtual connection that :meth:`connect` began in this thread."""
        connection = self._listening.connection
        self._listening.connection = None
        connection.listened()
        return connection

    @property
    def listening(self) -> Any:
        """The virtual connection whose ``connect`` listeners run in this thread, or None."""
        return getattr(self._listening, "connection", None)

    @listening.setter
    def listening(self, connection: Any) -> None:
        self._listening.connection = connection

    # -- virtual connections ---------------------------------------------------

    def new_backend(self, session: Mapping[str, str | None]) -> Backend:
        """Make the server's side of a virtual connection."""
        self._names += 1
        self.has_one = self._names == 1
        backend = self._backend_class(self, f"connection {self._names}", session)
        self._living.append(weakref.ref(backend))
        return backend

    @property
    def backends(self) -> list[Backend]:
        """The virtual connections that did something since the last generation began."""
        return [backend for each in self._living if (backend := each()) is not None]

    def entered(self) -> AbstractContextManager[bool]:
        """Hold the lock for one statement and its messages: ``with sandbox.entered()``.

        :raises SandboxConflict: in a process that was forked while the sandbox was open.
        """
        if self.in_child:
            self.refuse_in_child()
        return self.lock

    def refuse_in_child(self) -> NoReturn:
        """Raise what :meth:`entered` does in a forked process."""
        raise SandboxConflict(messages.forked(self.owner))

    def raise_if_stuck(self) -> None:
        """Refuse to go on where a rollback could not be shown.

        :raises SandboxConflict: a transaction was rolled back beneath work that survives.
        """
        dead = self.stack.stuck()
        if dead is None:
            return
        whose = sorted(
            {
                f"{segment.author}" + (", which committed it" if segment.owner is None else "")
                for segment in self.stack.above(dead)
            }
        )
        error = self.conflict(messages.stuck(dead.author, dead.undone.end, whose))
        # the program may have called the rollback long ago, and in one of many ways
        error.add_note(f"The rollback was called by (most recent call last):\n{dead.undone}")
        raise error

    def conflict(self, message: str) -> SandboxConflict:
        """Make a conflict, and note it: it fails its test even if the program swallows it."""
        error = SandboxConflict(message)
        self.conflicts.append(error)
        return error

    def wait_for_threads(self, backend: Backend, statement: Statement) -> None:
        """Let another thread's transaction that wrote end before this one writes, or locks."""
        backend.thread = threading.get_ident()
        if statement.writes or statement.locks:
            self.threads.wait(backend)

    @property
    def holds_snapshots(self) -> bool:
        """Whether a transaction is open that would not see what another commits."""
        return not self.has_one and any(
            b.isolation in SNAPSHOT_LEVELS and b.state is not State.IDLE for b in self.backends
        )

    def commit(self, backend: Backend) -> None:
        """Let the work of *backend* stay."""
        if not self.has_one and self.holds_snapshots and self.stack.top.owner is backend:
            # only a commit that wrote puts a snapshot out of date
            self.stack.ask_top()
        self.stack.commit(backend)
        if self.changed.waiting:
            self.changed.notify_all()

    def undo(self, backend: Backend, level: int = 0) -> None:
        """Undo the work of *backend* from that level on. Never raises."""
        if self.alive:
            self.stack.undo(backend, level)
            for segment in self.stack:
                if segment.dead and segment.undone is None:
                    segment.undone = trail()
        if self.changed.waiting:
            self.changed.notify_all()

    @contextmanager
    def leaving_unasked(self) -> Iterator[None]:
        """Ask the topmost segment whether it wrote, for as long as the block takes.

        Whoever asks before its owner's next statement leaves it unasked, for that may write.
        """
        top = self.stack.top
        before = top.wrote
        self.stack.ask_top()
        try:
            yield
        finally:
            if before is Wrote.UNASKED:
                top.wrote = before

    def uncommitted(self) -> list[Backend]:
        """Give the virtual connections that hold uncommitted writes.

        The topmost segment is asked, and left unasked: its owner may send another statement.
        """
        if not self.alive or not self.touched:
            return []
        with self.lock:
            # what is nobody's was committed, and needs no asking
            nobodys = self.stack.top.owner is None
            with nullcontext() if nobodys else self.leaving_unasked():
                found = {segment.owner for segment in self.stack.of_others(None)}
            backends = [owner for owner in found if isinstance(owner, Backend)]
            return sorted(backends, key=lambda backend: backend.name)

    @property
    def died(self) -> bool:
        """Whether the real connection was lost: ended by the server, or broken."""
        return self._connected and not self.alive

    def revive(self) -> bool:
        """Let the next contact make a new real connection.

        :returns: whether what the set-up wrote was lost. Then the set-up begins again.
        """
        with self.lock:
            lost, self.shared = self.shared, False
            self._connected = False
            self._new_generation()
            self.phase = Phase.SETUP if lost else Phase.BETWEEN
            return lost

    # -- the life of a class ---------------------------------------------------

    def _new_stack(self) -> SegmentStack:
        return SegmentStack(_Later(self), self._rolled_back)

    @abc.abstractmethod
    def _rolled_back(self, settings: Mapping[str, str | None]) -> None:
        """Note that a ROLLBACK TO put session settings back."""

    def freeze(self) -> None:
        """End the set-up: what it committed is the base of every test.

        Work that was not committed is undone, with an :exc:`UncommittedDataWarning`: on real
        connections no test would see it.
        """
        with self.lock:
            self._undo_leftovers()
            if self.alive:
                self._freeze_setup()
            self._new_generation()
            self.phase = Phase.BETWEEN

    def warn_of_leftovers(self) -> None:
        """Warn of what the set-up has not committed so far, once for each connection."""
        for backend in self.uncommitted():
            if (backend.name, "") not in self.warned:
                self.warned.add((backend.name, ""))
                uncommitted.warn(uncommitted.left_by_setup(backend), backend.began)

    def _undo_leftovers(self) -> None:
        self.warn_of_leftovers()
        if self.alive:
            for backend in self.backends:
                backend.end(commit=False)
            self.raise_if_stuck()

    def _new_generation(self) -> None:
        self.generation += 1
        self._names = 0
        self.has_one = False
        self._living = []
        if self.warned:
            self.warned.clear()
        self.touched = self.answered = False
        if self.changed.waiting:
            self.changed.notify_all()  # a thread that waits is too late
        self._commits_at_begin = self.stack.commits

    def begin_test(self) -> None:
        """Begin a test. What was written since the last one ended is undone first."""
        if self.phase is Phase.BETWEEN and not self.touched and not self._names:
            self.conflicts.clear()
            self.phase = Phase.TEST
            self.began = time.monotonic()
            return
        with self.lock:
            if self.phase is Phase.SETUP:
                self.freeze()
            elif self.wrote():
                self._warn_between()
            self._rewind()
            self._new_generation()
            self.conflicts.clear()
            self.phase = Phase.TEST
            self.began = time.monotonic()

    def _warn_between(self) -> None:
        authors = {s.author for s in self.stack if isinstance(s.author, Author)}
        whose = sorted(authors, key=str)
        where = whose[0].began if whose else None
        uncommitted.warn(uncommitted.between_tests(whose, self.owner), where)

    def closing(self) -> None:
        """From here on statements still run, and commits and rollbacks do nothing."""
        self.phase = Phase.CLOSING

    def reopen(self) -> None:
        """Go on after :meth:`closing`, without what was left uncommitted."""
        with self.lock:
            self.phase = Phase.TEST
            if self.alive:
                for backend in self.backends:
                    backend.end(commit=False)

    def end_test(self) -> None:
        """Undo everything that was done since :meth:`begin_test`.

        Where no connection did anything, there is nothing to undo and nobody to start anew: a
        test that needs no database pays for none. Asked without the lock: a thread that does its
        first thing just now does it in one test or in the next, as it would with the lock.
        """
        if not self.touched and not self._names:
            self.phase = Phase.BETWEEN
            return
        with self.lock:
            try:
                self._rewind()
            finally:
                self._new_generation()
                self.phase = Phase.BETWEEN

    def _rewind(self) -> None:
        if self.touched and self.alive:
            try:
                self._rewind_test()
            except self.driver_error:
                # a connection that died after the last statement took nothing from the test,
                # and what was to be undone is gone with it
                if self.alive:
                    raise
        elif self.touched:
            self._tell_why_lost()

    def _tell_why_lost(self) -> None:
        """Raise what gave up the connection in the test, unless it simply was lost."""

    def visited(self, since: float) -> bool:
        """Whether anybody else was connected to the database since :meth:`visitors_seen`.

        :param since: when the test began, by :func:`time.monotonic`.
        """
        return False

    def visitors_seen(self, *, stay: bool) -> None:
        """Take those who came so far for known.

        :param stay: whether somebody is connected still.
        """

    def give_up(self) -> None:
        """Close the real connection, since the database is to be built anew: it counts as lost."""

    def close(self, finish: Callable[[Callable[[str], object]], object] | None = None) -> None:
        """Roll everything back and close the real connection.

        :param finish: where the connection is alive, called after the rollback with a function
            that sends SQL on it, and commits.
        """
        with self.lock:
            self._new_generation()
            self.phase = Phase.SETUP
            self._disconnect(finish)

    def wrote(self) -> bool:
        """Whether anything was written since the test began, as far as it is worth asking."""
        with self.lock:
            if not self.touched or not self.alive:
                return False
            if self.stack.commits > self._commits_at_begin:
                return True
            with self.leaving_unasked():
                return any(segment.wrote is not Wrote.NO for segment in self.stack)

    def raise_swallowed(self) -> None:
        """Raise the first conflict of this test that the program caught and went on from.

        One that ``assertRaises()`` caught is what the test is about.

        :raises SandboxConflict: what the test has seen since is not what it would have seen.
        """
        swallowed = [error for error in self.conflicts if not error.asserted]
        self.conflicts.clear()
        if swallowed:
            raise swallowed[0]


_sandboxes: weakref.WeakSet[Sandbox] = weakref.WeakSet()


def _note_fork() -> None:
    # noted here, as it is asked for several times in each statement
    for sandbox in _sandboxes:
        sandbox.in_child = True


os.register_at_fork(after_in_child=_note_fork)


class _Later:
    """The wire of a sandbox that has no connection yet."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    @property
    def asks_free(self) -> bool:
        return self._sandbox.wire.asks_free

    def queue(self, sql: str) -> None:
        self._sandbox.wire.queue(sql)

    def mark(self) -> Any:
        return self._sandbox.wire.mark()

    def wrote(self, savepoints: int, mark: Any) -> bool:
        return self._sandbox.wire.wrote(savepoints, mark)

"""The life of a sandbox on PostgreSQL: its connection, its outer transaction, its tests.

Each test ends with one message: it undoes what the test did, puts sequences back, and opens what
the next test plays in. Where a test was over before anybody else can have connected, nobody waits
for what it locked, and its end waits for the first statement of the next test. The two are then
one message, and so is a test of one statement.
"""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy.engine import URL

from ...errors import EscapeError
from ..backends import State
from ..base import Phase, Sandbox
from ..places import place
from ..segments import SegmentStack
from .advisory import AdvisoryLocks
from .catalogue import Catalogue
from .locks import TableLocks
from .neighbours import Neighbours
from .prepared import PreparedStatements
from .sequences import Sequences
from .settings import NO_TIMEOUTS, SessionSettings
from .temporary import TemporaryTables
from .visitors import Visitors
from .wire import PostgreSQLWire, Rows

__all__ = ["PostgreSQLLifetime"]

__unittest = True  # its frames are left out of tracebacks

# A statement that was cancelled, or met another session, might succeed if it were sent again.
_PASSING = {"40001", "40P01", "55P03", "57014"}


class PostgreSQLLifetime(Sandbox):
    """What a sandbox does between statements: opening, setting up, ending tests, closing.

    :param reset_sequences: whether sequences are put back after each test.
    """

    #: whether the driver begins a transaction before the first statement on a new connection
    driver_begins = True
    #: whether the driver can send a statement in one message with what ends the test before
    joins = False

    def __init__(
        self, url: URL, *, owner: str = "sandboxed()", reset_sequences: bool = True
    ) -> None:
        self._wire = PostgreSQLWire(self._send_ours)
        super().__init__(url, owner=owner)
        self._reset_sequences = reset_sequences
        self._sequences = Sequences(self._wire.ask, url.database)
        self._first_sequences = ""
        self._settings = SessionSettings(self._wire, self._quote)
        self._advisory = AdvisoryLocks(self._wire, lambda: self.backends)
        self.table_locks = TableLocks(
            lambda sql: self._neighbours.look(sql), lambda: self.backends
        )
        self._temporary = TemporaryTables(self._wire)
        self.temporary_tables = self._temporary.names
        self._prepared = PreparedStatements()
        #: what is known of the schema
        self.catalogue = Catalogue(self._wire, self._server_version)
        self._visitors = Visitors(self._send)
        #: whether the message that ended the test has asked for visitors, or need not
        self._looked = False
        #: whether the statements of the test were such as lock nothing but rows
        self._only_plain = True
        # what ends a test and begins the next, as long as it waits for the next statement
        self._end: list[str] | None = None
        #: whether the message got away that the driver raised an error for
        self.was_sent = False
        self._escape: EscapeError | None = None
        self._renew()

    def _new_stack(self) -> SegmentStack:
        return SegmentStack(self._wire, self._rolled_back)

    def _renew(self) -> None:
        """Start a stack for a new real transaction, or a new base."""
        self.stack = self._new_stack()
        self.stack.settings = lambda: self._settings.in_force
        self._neighbours = Neighbours(self._wire, self._quote, self.stack, self.driver_error)

    # -- what the driver decides -----------------------------------------------

    @abc.abstractmethod
    def _send(self, text: str) -> Rows:
        """Send *text* on the real connection and give the rows of its last statement."""

    @abc.abstractmethod
    def _send_apart(self, text: str) -> None:
        """Send *text* on a connection of its own, and commit."""

    @abc.abstractmethod
    def _server_version(self) -> int:
        """Give the server's version, as libpq counts: 180004."""

    @abc.abstractmethod
    def _quote(self, value: object) -> str:
        """Write *value* as an SQL literal."""

    @abc.abstractmethod
    def _roll_back_and_close(self, last_words: Callable[[Callable[[str], object]], None]) -> None:
        """Roll the real transaction back, commit *last_words* and close the connection."""

    @abc.abstractmethod
    def _real_state(self) -> State:
        """Say what the server said last of the real transaction."""

    @abc.abstractmethod
    def sqlstate(self, error: BaseException) -> str | None:
        """Give the SQLSTATE of a driver's error."""

    def _rolled_back(self, settings: Mapping[str, str | None]) -> None:
        self._settings.in_force = settings
        if self.catalogue.changed:
            self.catalogue.partly_rolled_back()

    @property
    def wire(self) -> PostgreSQLWire:
        """The way to the database."""
        return self._wire

    def _send_ours(self, text: str) -> Rows:
        end, self._end = self._end, None
        try:
            return self._send(text)
        except self.driver_error as error:
            if end is None or self.sqlstate(error) not in ("3B001", "25P01"):
                raise
            # the end of the test before may have waited until now
            self._escape = self._escaped()
            raise self._escape from error

    def flush(self) -> None:
        """Send what waits for the next message."""
        self.touched = True
        self._wire.flush()

    # -- the life of a class ---------------------------------------------------

    def _opened(self) -> None:
        """Get to know a new real connection."""
        self._connected, self.made_at = True, place()
        self._wire.pending.clear()
        self._end = self._escape = None
        self._settings.forget()
        self._temporary.clear()
        self._prepared.clear()
        self.catalogue.forget()
        self._advisory.used = False
        self.shared = False
        self._sequences = Sequences(self._wire.ask, self.url.database)
        if not self.driver_begins:
            self._wire.queue("BEGIN")
        if self.watched:
            self.server_pid = self._visitors.begin()
        self._wire.queue(NO_TIMEOUTS)
        if self._reset_sequences:
            if self._first_sequences:
                # an earlier connection was lost, and could not put them back
                self._wire.queue(self._first_sequences)
            self._remember_sequences(for_good=False)
            self._first_sequences = self._sequences.statement
        # what was set in the first transaction must outlive the tests
        self._wire.queue("COMMIT")
        self._begin_outer()
        if self.phase is not Phase.SETUP:
            # before the test may have changed what it does not leave behind
            self.catalogue.learn()

    def _remember_sequences(self, *, for_good: bool) -> None:
        self._sequences.remember(for_good=for_good)
        if define := self._sequences.define():
            self._wire.queue(define)

    def _begin_outer(self) -> None:
        self._renew()
        self._wire.queue("BEGIN")
        self.stack.begin(savepoint=False)

    def _freeze_setup(self) -> None:
        if not self.touched:
            return
        xid = self._wire.ask("SELECT pg_current_xact_id_if_assigned()::text")[0][0]
        self.shared = xid is not None
        self.catalogue.keep()
        self._temporary.keep()
        if self._reset_sequences:
            self._remember_sequences(for_good=self.shared)
        if not self.shared:
            self._end_outer([])
            return
        self.stack.keep()
        self._renew()
        self.stack.begin(savepoint=True)
        self._neighbours.take_baseline()

    def _end_outer(self, restore: list[str], *, waits: bool = False) -> None:
        """End a test's own outer transaction; the next begins with its first statement.

        :param waits: whether the end may wait for that.
        """
        pending = self._wire.pending
        if waits and not self._sequences.owes_send_off:
            # in one message the sequences come first: what stands between ROLLBACK and BEGIN
            # would be of the new transaction, which has written then
            pending += [*restore, "ROLLBACK"]
        else:
            pending.append("ROLLBACK")
            if self._advisory.used:
                pending.append(self._release_advisory())
            pending += [*restore, *self._sequences.send_off()]
            self._end_message()
        self._settings.in_force = {}
        # the stack and what is beside it go on as good as new
        self._neighbours.forget()
        pending.append("BEGIN")
        self.stack.begin(savepoint=False)
        self._end = pending.copy()

    def _release_advisory(self) -> str:
        used, self._advisory.used = self._advisory.used, False
        return "SELECT pg_catalog.pg_advisory_unlock_all()" if used else ""

    def _rewind_test(self) -> None:
        begun = not self._wire.pending or "BEGIN" not in self._wire.pending
        self._wire.pending.clear()
        self._end = None
        if self._temporary.any or self._temporary.kept:
            self._temporary.test_rolled_back()
        if self._prepared.any:
            self._prepared.clear()
        self.table_locks.used = False
        if self.catalogue.changed:
            self.catalogue.rolled_back()
        restore = self._sequences.restore()
        state = self._real_state()
        if begun and state is State.IDLE:
            raise self._escaped()
        # a lock that may be awaited ends with its test: the next one may never come
        waits = (
            self.joins
            and begun
            and state is State.ACTIVE
            and self._only_plain
            and not self._visitors.can_have_come(self.began)
        )
        self._only_plain = self._looked = True
        if not self.shared:
            self._end_outer(restore, waits=waits)
            return
        self.stack.rewind()
        self._settings.in_force = {}
        if self._advisory.used:
            self._wire.queue(self._release_advisory())
        self._wire.pending += restore
        self._end = self._wire.pending.copy()
        if not waits:
            self._end_message()

    def _send_with_end(self, call: Callable[[str], Any]) -> Any:
        """Send a statement behind the end of the test before, in one message.

        :param call: sends the statement behind the text that it is given.
        """
        end, self._end = self._end, None
        assert end is not None
        self._wire.pending.clear()
        try:
            return call("; ".join([*end, ""]))
        except self.driver_error as error:
            if not self.alive:
                raise
            if self.sqlstate(error) in _PASSING and self._real_state() is State.FAILED:
                self._wire.pending[:] = self._apart(end)  # it may not have got through
                raise
        except BaseException:
            # a parameter that cannot be written, or a signal after all was done
            if not self.was_sent:
                self._wire.pending[:0], self._end = end, end.copy()
            raise
        # Which of them failed, and where in its text, the server tells only where they come one
        # by one. All is as it was, for the end of a test goes back to what the class began with.
        for message in self._apart(end):
            self._end = end
            self._wire.ask(message)
        return call("")

    def _apart(self, end: list[str]) -> list[str]:
        """Give the messages that do the same as *end* after it has failed with a statement."""
        if self.shared:
            return ["; ".join(end)]
        if self._real_state() is State.IDLE:
            return ["BEGIN"]
        # what *end* sends before its ROLLBACK the server would refuse now
        return ["; ".join(["ROLLBACK", *self._sequences.restore()]), "BEGIN"]

    def _send_end(self) -> None:
        """Send the end of the test before, if it waits still, and not yet the next one's BEGIN."""
        pending = self._wire.pending
        if self._end != pending or pending == ["BEGIN"]:
            return
        begins = [] if self.shared else [pending.pop()]
        self._wire.flush()
        pending += begins
        self._end = begins or None

    def _tell_why_lost(self) -> None:
        """Raise what gave up the connection in the test, unless it simply was lost.

        :raises EscapeError: something was really committed. The program may have caught it.
        """
        escape, self._escape = self._escape, None
        if escape is not None:
            raise escape

    def _end_message(self) -> None:
        """Send what waits, and with it ask who else is connected, if that is due."""
        visitors = self._visitors
        if visitors.due(self.began):
            visitors.answer(self._wire.ask(visitors.question))
        else:
            self._wire.flush()

    def visited(self, since: float) -> bool:
        """Whether anybody else was connected to the database since :meth:`visitors_seen`."""
        visitors = self._visitors
        looked, self._looked = self._looked, False
        if not looked and visitors.due(since):
            with self.lock:
                if self.alive:
                    self._send_end()  # who has come should not wait for it
                    if self._real_state() is State.FAILED:
                        self._wire.flush()  # what undoes the failure waits
                    visitors.answer(self._send(visitors.question))
        return visitors.somebody and self.alive

    def visitors_seen(self, *, stay: bool) -> None:
        """Take those who came so far for known."""
        with self.lock:
            self._visitors.seen(stay=stay)

    def give_up(self) -> None:
        """Close the real connection, since the database is to be built anew: it counts as lost."""
        if self.alive:
            with self.lock, contextlib.suppress(self.driver_error):
                self._roll_back_and_close(lambda send: None)
        self._connected = True  # and lost, also where there was no need of one so far
        # in the new database sequences may have other numbers
        self._first_sequences = ""

    def _escaped(self) -> EscapeError:
        """Give up the real connection, whose outer transaction is not ours any more."""
        self.give_up()
        return EscapeError(
            f"the transaction in which {self.owner} plays everything was ended past the sandbox, "
            f"so something was really committed to database {self.url.database!r}. Look for a "
            f"COMMIT that went to the real connection, from a C extension for example."
        )

    def _disconnect(self, finish: Callable[[Callable[[str], object]], object] | None) -> None:
        if self.alive:

            def last_words(send: Callable[[str], object]) -> None:
                if self._first_sequences:
                    send(self._first_sequences)
                if finish is not None:
                    finish(send)

            self._roll_back_and_close(last_words)
        elif self.died and self._first_sequences:
            # a server that is gone has nothing to be put back
            with contextlib.suppress(self.driver_error):
                self._send_apart(self._first_sequences)
        self._connected = False
        self._first_sequences = ""
        self._wire.pending.clear()
        self._renew()

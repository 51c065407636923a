"""What the port sends: its own statements, and the sandbox's messages beside them.

Statements and the ends of transactions are those that SQLAlchemy's events tell, which know
nothing of the sandbox; its messages are counted where they are sent.
"""

from __future__ import annotations

import contextlib
import re
import weakref
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from sqlalchemy import Engine, event

from dbtestcase.fixture import DatabaseFixture
from dbtestcase.sandbox.postgresql.wire import PostgreSQLWire

__all__ = ["KINDS", "Tally", "Transaction", "tallied"]

_WRITES = re.compile(r"\s*(INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|TRUNCATE)\b", re.I)

#: Each kind of transaction, and how many messages of ours one of them may cost.
KINDS = {
    "first of its class": 2,  # which deferrable constraints there are is asked once
    "only reads": 0,
    "writes first in its test": 1,
    "writes after another one": 1,
    # what a server would be told by ROLLBACK
    "writes and is rolled back": 2,
    # and by SAVEPOINT, RELEASE and ROLLBACK TO
    "has savepoints of its own": 5,
}


@dataclass
class Transaction:
    """One transaction of the program or its test, as SQLAlchemy's events tell it.

    :param first: whether nothing of its class was sent before.
    :param follows_writer: whether an earlier one of the same test wrote.
    """

    first: bool = False
    follows_writer: bool = False
    statements: list[str] = field(default_factory=list)
    savepoints: int = 0
    rolled_back: bool = False
    messages: list[str] = field(default_factory=list)

    @property
    def wrote(self) -> bool:
        """Whether a statement was meant to write."""
        return any(_WRITES.match(statement) for statement in self.statements)

    @property
    def kind(self) -> str:
        """One of :data:`KINDS`."""
        if self.first:
            return "first of its class"
        if not self.wrote:
            return "only reads"
        if self.savepoints:
            return "has savepoints of its own"
        if self.rolled_back:
            return "writes and is rolled back"
        return "writes after another one" if self.follows_writer else "writes first in its test"


@dataclass
class Tally:
    """What was sent while the tests of the port ran.

    :ivar begins: messages that begin the transaction of a test.
    :ivar ends: messages that end it.
    """

    tests: int = 0
    transactions: list[Transaction] = field(default_factory=list)
    begins: int = 0
    ends: int = 0

    def of(self, kind: str) -> list[Transaction]:
        """Give the transactions of a kind."""
        return [each for each in self.transactions if each.kind == kind]

    def too_many(self) -> list[tuple[str, list[str], list[str]]]:
        """Give kind, statements and messages of each transaction that costs more than it may."""
        return [
            (each.kind, each.statements, each.messages)
            for each in self.transactions
            if len(each.messages) > KINDS[each.kind]
        ]

    def table(self) -> Iterator[str]:
        """Give the lines of a table."""
        yield f"{'':28}{'':>12}{'':>12}   messages of ours per transaction"
        yield f"{'transaction':28}{'how many':>12}{'statements':>12}   (of how many), at most"
        for kind, most in KINDS.items():
            found = self.of(kind)
            statements = sum(len(each.statements) for each in found)
            counts = sorted(Counter(len(each.messages) for each in found).items())
            told = ", ".join(f"{messages} ({how_many})" for messages, how_many in counts)
            yield f"{kind:28}{len(found):12}{statements:12}   {told}; {most}"
        statements = sum(len(each.statements) for each in self.transactions)
        ours = sum(len(each.messages) for each in self.transactions) + self.begins + self.ends
        yield (
            f"{self.tests} tests sent {statements} statements; {ours} messages are ours, of which "
            f"{self.begins} began a test and {self.ends} ended one"
        )


class _Counter:
    """Listens to SQLAlchemy, the wire and the fixture."""

    def __init__(self) -> None:
        self.tally = Tally()
        self._open: weakref.WeakKeyDictionary[Any, Transaction] = weakref.WeakKeyDictionary()
        self._current: Transaction | None = None
        self._causes: weakref.WeakKeyDictionary[PostgreSQLWire, Transaction | None] = (
            weakref.WeakKeyDictionary()
        )
        self._classes: weakref.WeakSet[DatabaseFixture] = weakref.WeakSet()
        self._in_test = self._wrote = self._first = False
        self._queue, self._send = PostgreSQLWire.queue, PostgreSQLWire._send
        self._begin, self._end = DatabaseFixture.begin_test, DatabaseFixture.end_test

    # -- SQLAlchemy --------------------------------------------------------------------

    def _of(self, connection: Any) -> Transaction:
        self._current = self._open.setdefault(connection, Transaction())
        return self._current

    def execute(self, connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        transaction = self._of(connection)
        if self._in_test and not transaction.statements:
            transaction.first, self._first = self._first, False
            transaction.follows_writer = self._wrote
            self.tally.transactions.append(transaction)
        transaction.statements.append(statement)
        self._wrote |= transaction.wrote

    def savepoint(self, connection: Any, *rest: Any) -> None:
        self._of(connection).savepoints += 1

    def commit(self, connection: Any) -> None:
        self._of(connection)
        del self._open[connection]

    def rollback(self, connection: Any) -> None:
        self._of(connection).rolled_back = True
        del self._open[connection]

    # -- the wire: a message is laid to whoever wanted the first part of it ---------------

    def queue(self, wire: PostgreSQLWire, sql: str) -> None:
        if not wire.pending:
            self._causes[wire] = self._current
        self._queue(wire, sql)

    def send(self, wire: PostgreSQLWire, text: str) -> Any:
        cause = self._causes.pop(wire, self._current)
        if self._in_test:
            if text.startswith("BEGIN"):
                self.tally.begins += 1
            elif cause is None:
                self.tally.ends += 1
            else:
                cause.messages.append(text)
        return self._send(wire, text)

    # -- tests -----------------------------------------------------------------------------

    def begin_test(self, fixture: DatabaseFixture) -> None:
        self._begin(fixture)
        self._first = fixture not in self._classes
        self._classes.add(fixture)
        self._in_test, self._wrote, self._current = True, False, None
        self.tally.tests += 1

    def end_test(self, fixture: DatabaseFixture) -> None:
        self._current = None
        self._end(fixture)
        self._in_test = False


@contextlib.contextmanager
def tallied() -> Iterator[Tally]:
    """Count what is sent from the beginning to the end of each test."""
    counter = _Counter()
    listeners = {
        "before_cursor_execute": counter.execute,
        "savepoint": counter.savepoint,
        "rollback_savepoint": counter.savepoint,
        "release_savepoint": counter.savepoint,
        "commit": counter.commit,
        "rollback": counter.rollback,
    }
    with contextlib.ExitStack() as stack:
        for owner, name in (
            (PostgreSQLWire, "queue"),
            (PostgreSQLWire, "_send"),
            (DatabaseFixture, "begin_test"),
            (DatabaseFixture, "end_test"),
        ):
            method = getattr(counter, name.strip("_"))

            # a bound method would not be given the wire
            def replacement(*arguments: Any, method: Any = method) -> Any:
                return method(*arguments)

            stack.enter_context(mock.patch.object(owner, name, replacement))
        for name, listener in listeners.items():
            event.listen(Engine, name, listener)
            stack.callback(event.remove, Engine, name, listener)
        yield counter.tally

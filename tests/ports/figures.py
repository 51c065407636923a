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

_SETS = re.compile(r"\bset_config\(|^\s*SET\s|\bTEMPORARY\s+TABLE\b", re.I)
_WRITES = re.compile(r"\s*(INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|TRUNCATE)\b", re.I)

#: The kinds of transactions. One *follows a writer* where the statement before one of its own was
#: of another transaction, which wrote.
KINDS = (
    "only reads, follows none",
    "only reads, follows a writer",
    "writes, follows none",
    "writes, follows a writer",
    "writes and is rolled back",
    "has savepoints of its own",
    "sets or makes what is local",
)


@dataclass
class Transaction:
    """One transaction of the program or its test, as SQLAlchemy's events tell it.

    :ivar follows_writer: whether one that wrote was at work before one of its statements.
    :ivar follows_local: whether one that set or made something local was.
    :ivar savepoints: how many savepoints of its own it set, released or rolled back to.
    """

    statements: list[str] = field(default_factory=list)
    follows_writer: bool = False
    follows_local: bool = False
    savepoints: int = 0
    rolled_back: bool = False
    messages: list[str] = field(default_factory=list)

    @property
    def wrote(self) -> bool:
        """Whether a statement was meant to write."""
        return any(_WRITES.match(statement) for statement in self.statements)

    @property
    def local(self) -> bool:
        """Whether it set or made something that ends with it: a setting, a temporary table."""
        return any(_SETS.search(statement) for statement in self.statements)

    @property
    def kind(self) -> str:
        """One of :data:`KINDS`."""
        if self.savepoints:
            return "has savepoints of its own"
        if self.local:
            return "sets or makes what is local"
        if self.wrote and self.rolled_back:
            return "writes and is rolled back"
        verb = "writes" if self.wrote else "only reads"
        return f"{verb}, follows {'a writer' if self.follows_writer else 'none'}"

    @property
    def limit(self) -> int:
        """How many messages of ours it may cost."""
        # what was local to another is put back before the next statement
        limit = int(self.follows_local)
        if self.wrote:
            # a server would be told of the savepoints, and would end by itself what is local
            limit += 1 + self.savepoints + 2 * self.local
        return limit


@dataclass
class Tally:
    """What was sent while the tests of the port ran.

    :ivar opens: messages at the first contact of a class, before its first statement.
    :ivar begins: messages that begin the real transaction of a test.
    :ivar ends: messages that end it.
    """

    tests: int = 0
    transactions: list[Transaction] = field(default_factory=list)
    opens: int = 0
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
            if len(each.messages) > each.limit
        ]

    def table(self) -> Iterator[str]:
        """Give the lines of a table."""
        columns = "{:30}{:>8}{:>12}{:>10}{:>10}   {}"
        yield columns.format(
            "a transaction that", "there", "statements", "messages", "too many", "each sends"
        )
        for kind in KINDS:
            found = self.of(kind)
            counts = sorted(Counter(len(each.messages) for each in found).items())
            yield columns.format(
                kind,
                len(found),
                sum(len(each.statements) for each in found),
                sum(len(each.messages) for each in found),
                sum(len(each.messages) > each.limit for each in found),
                ", ".join(f"{messages} ({how_many})" for messages, how_many in counts),
            )
        statements = sum(len(each.statements) for each in self.transactions)
        ours = sum(len(each.messages) for each in self.transactions)
        yield (
            f"{self.tests} tests sent {statements} statements. Messages of ours: {ours} in their "
            f"transactions, {self.begins} to begin a test and {self.ends} to end it, {self.opens} "
            f"at the first contacts of classes."
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
        self._last: Transaction | None = None
        self._in_test = self._first = False
        self._queue, self._flush = PostgreSQLWire.queue, PostgreSQLWire.flush
        self._begin, self._end = DatabaseFixture.begin_test, DatabaseFixture.end_test

    # -- SQLAlchemy --------------------------------------------------------------------

    def _of(self, connection: Any) -> Transaction:
        self._current = self._open.setdefault(connection, Transaction())
        return self._current

    def execute(self, connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        transaction = self._of(connection)
        if self._in_test:
            if not transaction.statements:
                self.tally.transactions.append(transaction)
            last, self._last, self._first = self._last, transaction, False
            if last is not None and last is not transaction:
                transaction.follows_writer |= last.wrote
                transaction.follows_local |= last.local
        transaction.statements.append(statement)

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

    def flush(self, wire: PostgreSQLWire) -> Any:
        text = "; ".join(wire.pending)
        cause = self._causes.pop(wire, self._current)
        if text and self._in_test:
            if text.startswith("BEGIN"):
                self.tally.begins += 1
            elif self._first:
                self.tally.opens += 1
            elif cause is None:
                self.tally.ends += 1
            else:
                cause.messages.append(text)
        return self._flush(wire)

    # -- tests -----------------------------------------------------------------------------

    def begin_test(self, fixture: DatabaseFixture) -> None:
        self._begin(fixture)
        self._first = fixture not in self._classes
        self._classes.add(fixture)
        self._in_test, self._last, self._current = True, None, None
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
            (PostgreSQLWire, "flush"),
            (DatabaseFixture, "begin_test"),
            (DatabaseFixture, "end_test"),
        ):
            method = getattr(counter, name)

            # a bound method would not be given the wire
            def replacement(*arguments: Any, method: Any = method) -> Any:
                return method(*arguments)

            stack.enter_context(mock.patch.object(owner, name, replacement))
        for name, listener in listeners.items():
            event.listen(Engine, name, listener)
            stack.callback(event.remove, Engine, name, listener)
        yield counter.tally

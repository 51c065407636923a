"""What happened to a stub's connections, and what a test can ask of it afterwards."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any
from unittest.mock import ANY

from ..errors import StubError
from .connections import StubConnection
from .expectations import NO_PARAMETERS, Matcher, parameters, with_parameters
from .history import Executed, History, finder, in_order
from .statements import shortened, verb
from .styles import READING

if TYPE_CHECKING:
    from .styles import Style

__all__ = ["Assertions"]

__unittest = True  # its frames are left out of tracebacks


class Assertions:
    """The assertions of a stub, each of which shows what was executed where it fails.

    >>> from dbtestcase import stub_connection
    >>> with stub_connection("sqlite3.connect") as stub:
    ...     expected = stub.on("select 1").returns([(1,)])
    ...     connection = stub.connect("shop.db")
    ...     cursor = connection.execute("select 1")
    ...     connection.close()
    >>> stub.assert_executed("SELECT 1", times=1)
    >>> stub.assert_not_executed("select 2")
    >>> stub.assert_closed()
    >>> stub.assert_committed()
    Traceback (most recent call last):
        ...
    AssertionError: commit() was not called.
    Executed was:
      select 1
      close()
    """

    name: str
    style: Style
    _history: History
    _counts: dict[str, int]
    _open: dict[int, Any]
    _made: int
    _lost: Any
    _lock: Any

    @property
    def executed(self) -> list[Executed]:
        """The statements that were executed, as far as they are kept."""
        return self._history.statements()

    @property
    def keep_history(self) -> int | None:
        """How many executions, commits and the like are kept; None for all."""
        return self._history.keep

    @keep_history.setter
    def keep_history(self, keep: int | None) -> None:
        self._history.keep = keep

    @property
    def commits(self) -> int:
        """How often the program called ``commit()``."""
        return self._counts["commit"]

    @property
    def rollbacks(self) -> int:
        """How often the program called ``rollback()``."""
        return self._counts["rollback"]

    @property
    def connections(self) -> int:
        """How many connections the program made."""
        return self._made

    def _note_change(self, connection: StubConnection, text: str) -> None:
        """Note a change that wants a commit, and commits that are statements."""
        word = verb(text)
        if word in ("COMMIT", "END"):
            connection._unsaved = None
            with self._lock:
                self._counts["commit"] += 1
        elif word == "ROLLBACK":
            connection._unsaved = None
            with self._lock:
                self._counts["rollback"] += 1
        elif connection._unsaved is None and word not in READING and not connection._autocommits():
            connection._unsaved = text

    def note(self, connection: StubConnection, what: str) -> None:
        """Note a commit, a rollback or a close."""
        with self._lock:
            if what == "close" and connection._unsaved is not None and self._lost is None:
                self._lost = connection
            self._history.add(Executed(what, "", NO_PARAMETERS, connection._number))
            self._counts[what] += 1
            if what == "close":
                self._open.pop(connection._number, None)

    def assert_executed(
        self, statement: Matcher, params: Any = ANY, *, times: int | None = None
    ) -> None:
        """Fail unless a statement was executed.

        :param statement: its text, a compiled pattern, or a function, as for ``on()``.
        :param params: the parameters; by default any. None for none.
        :param times: how often; by default at least once.
        """
        statement = self._matcher(statement, "assertExecuted()")
        _check_times(times)
        found = self._count(statement, params, must_be_whole=times is not None)
        if found == times or (times is None and found):
            return
        wanted = "" if times is None else f" {_times(times)}"
        was = "was not executed" if not found else f"was executed {_times(found)}"
        self._fail(f"{_described(statement, params)} was to be executed{wanted}, and {was}.")

    def assert_not_executed(self, statement: Matcher, params: Any = ANY) -> None:
        """Fail where a statement was executed.

        :param statement: its text, a compiled pattern, or a function, as for ``on()``.
        :param params: the parameters; by default any. None for none.
        """
        statement = self._matcher(statement, "assertNotExecuted()")
        found = self._count(statement, params, must_be_whole=True)
        if found:
            self._fail(
                f"{_described(statement, params)} was not to be executed, and was, {_times(found)}."
            )

    def assert_executed_in_order(self, *statements: Matcher | tuple[Matcher, Any]) -> None:
        """Fail unless statements were executed one after the other; others may come between.

        :param statements: each as for ``on()``, or a tuple of that and its parameters.
        """
        self._check_whole()
        if not statements:
            raise StubError(
                "assertExecutedInOrder() was given no statement, and would always pass. Give it "
                "those that are to be executed, in their order."
            )
        name = "assertExecutedInOrder()"
        pairs = [each if isinstance(each, tuple) else (each, ANY) for each in statements]
        pairs = [(self._matcher(each, name), params) for each, params in pairs]
        finders = [finder(each, parameters(params)) for each, params in pairs]
        count = in_order(finders, self.executed)
        if count < len(pairs):
            after = f", after {_described(*pairs[count - 1])}" if count else ""
            self._fail(
                f"{_described(*pairs[count])} was to be executed as number {count + 1} of "
                f"{len(pairs)}{after}, and was not."
            )

    def assert_committed(self, *, times: int | None = None) -> None:
        """Fail unless the program called ``commit()``, and after all that it changed.

        :param times: how often; by default at least once.
        """
        self._check_count("commit", times)
        for connection in (*([self._lost] if self._lost else ()), *self._open.values()):
            if connection._unsaved is not None:
                self._fail(
                    f"commit() was called, and not after the last change on connection "
                    f"{connection._number}: {shortened(connection._unsaved)}"
                )

    def assert_rolled_back(self, *, times: int | None = None) -> None:
        """Fail unless the program called ``rollback()``.

        :param times: how often; by default at least once.
        """
        self._check_count("rollback", times)

    def assert_closed(self) -> None:
        """Fail unless the program connected, and closed all its connections."""
        if not self._made:
            self._fail("No connection was made, so none was closed.")
        if self._open:
            lines = [
                f"  connection {each._number}, made at {each._where}"
                for each in self._open.values()
            ]
            self._fail(
                f"{len(self._open)} of {_counted(self._made, 'connection')} "
                f"{'was' if len(self._open) == 1 else 'were'} not closed:\n" + "\n".join(lines)
            )

    def _matcher(self, statement: Any, method: str) -> Matcher:
        """Give what finds a statement: its text, a pattern or a function.

        :raises StubError: it is none of these.
        """
        with contextlib.suppress(TypeError):
            # what psycopg2.sql composes is a text of its own
            statement = statement if callable(statement) else self.style.text(statement)
        is_text = isinstance(statement, str) and statement.strip()
        if is_text or callable(statement) or isinstance(statement, re.Pattern):
            return statement  # type: ignore[no-any-return]
        raise StubError(
            f"{method} was given {statement!r:.80}, which is no statement. Give its text, a "
            f"compiled pattern, or a function of the text and the parameters."
        )

    def _check_count(self, what: str, times: int | None) -> None:
        _check_times(times)
        found = self._counts[what]
        if times is None and not found:
            self._fail(f"{what}() was not called.")
        if times is not None and found != times:
            self._fail(
                f"{what}() was to be called {_times(times)}, and was called {_times(found)}."
            )

    def _count(self, statement: Matcher, params: Any, *, must_be_whole: bool) -> int:
        is_it = finder(statement, parameters(params))
        found = sum(map(is_it, self.executed))
        if must_be_whole or not found:
            self._check_whole()
        return found

    def _check_whole(self) -> None:
        if not self._history.is_whole:
            raise StubError(
                f"the stub of {self.name} keeps the last {self._history.keep} of the "
                f"{self._history.count} things that happened, so nobody knows what was executed "
                f"before. Give stub_connection() a larger keep_history, or None for all."
            )

    def _fail(self, text: str) -> None:
        raise AssertionError(f"{text}\n{self._history.shown()}")


def _described(statement: Matcher, params: Any) -> str:
    if isinstance(statement, str):
        shown = f'"{shortened(statement)}"'
    else:
        shown = str(getattr(statement, "__qualname__", statement))
    return shown if params is ANY else f"{shown} {with_parameters(parameters(params))}"


def _check_times(times: int | None) -> None:
    is_number = isinstance(times, int) and not isinstance(times, bool) and times >= 0
    if times is not None and not is_number:
        raise StubError(
            f"times={times!r:.80} is no number of times. Write 0 or more, or leave it out for at "
            f"least once."
        )


def _times(count: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(count, f"{count} times")


def _counted(count: int, name: str) -> str:
    return f"{count} {name}" if count == 1 else f"{count} {name}s"

"""Cursors: real ones of the driver, whose every statement asks the sandbox first."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import pq

from ..backends import Backend, State
from ..postgresql.several import play_parts
from ..postgresql.wire import quoted
from ..statements import Control, Statement, analyse
from . import private
from .copying import copy

if TYPE_CHECKING:
    from .connections import VirtualConnection

__all__ = ["guard"]

__unittest = True  # its frames are left out of tracebacks

_TAGS = {
    Control.BEGIN: "BEGIN",
    Control.ROLLBACK: "ROLLBACK",
    Control.SAVEPOINT: "SAVEPOINT",
    Control.RELEASE: "RELEASE",
    Control.ROLLBACK_TO: "ROLLBACK",
    Control.SET_TRANSACTION: "SET",
}


class GuardedCursor:
    """What is mixed into a cursor's class: every statement asks the sandbox first."""

    __slots__ = ()

    connection: VirtualConnection
    closed: bool
    format: pq.Format

    def execute(
        self,
        query: Any,
        params: Any = None,
        *,
        prepare: bool | None = None,
        binary: bool | None = None,
    ) -> Any:
        """Execute *query*, or play it where it steers the transaction."""

        def send(query: Any = query, params: Any = params) -> Any:
            return super(GuardedCursor, self).execute(  # type: ignore[misc]
                query, params, prepare=prepare, binary=binary
            )

        if self.closed:
            return send()
        text = self.connection.text_of(query)
        statement = analyse(text)
        client = isinstance(self, psycopg.ClientCursor)
        if params and (statement.renders or (client and statement.parts)):
            # what it sets, or steers, may come with the parameters
            text = self._rendered(query, params) or text
            statement = analyse(text)
        simple = self.format is pq.Format.TEXT and not binary and not prepare
        if statement.parts and (client or (simple and not params)):
            # the server takes several statements in one message, but not with parameters
            # (where there are none, only an empty list tells the driver to look for "%%")
            self._execute_parts(statement.parts, send, None if client and params else params)
            return self
        if statement.shows_isolation:
            self.connection.begin()
            if (instead := self.connection.show_isolation()) is not None:
                self._run(text, statement, lambda: send(instead, None))
                return self
        # parameters that go to the server apart from the statement are never SQL
        self._run(text, statement, send, values_only=not (client and params))
        return self

    def _run(
        self,
        text: str,
        statement: Statement,
        send: Callable[[], Any],
        *,
        values_only: bool = False,
    ) -> None:
        connection = self.connection
        with connection.sandbox.entered():
            connection.begin()
            backend = connection.backend()
            tag = _tag(statement, backend)
            connection.run(text, send, values_only=values_only)
            if tag is not None:
                private.set_results(self, [connection.sandbox.answers[tag]])

    def _rendered(self, query: Any, params: Any) -> str | None:
        try:
            return self.connection.render(query, params)
        except (psycopg.Error, TypeError, ValueError):
            return None  # the driver says itself what is wrong, or it is a raw query

    def _execute_parts(
        self, parts: Iterable[str], send: Callable[[Any, Any], Any], params: Any
    ) -> None:
        connection = self.connection
        results: list[Any] = []

        def execute(part: str) -> None:
            statement = analyse(part)
            tag = _tag(statement, connection.backend())
            connection.run(part, lambda: send(part, params))
            if tag is not None:
                results.append(connection.sandbox.answers[tag])
            else:
                results.extend(private.results_of(self))

        with connection.sandbox.entered():
            connection.begin()
            play_parts(connection.backend(), parts, execute)
            private.set_results(self, results)

    def executemany(
        self, query: Any, params_seq: Iterable[Any], *, returning: bool = False
    ) -> None:
        """Execute *query* once for each of *params_seq*, which the driver does in one pipeline."""
        # what makes the parameters may send statements, which a pipeline would not take
        every = list(params_seq)

        def send() -> None:
            super(GuardedCursor, self).executemany(  # type: ignore[misc]
                query, every, returning=returning
            )

        if self.closed:
            return send()
        text = self.connection.text_of(query)
        statement = analyse(text)
        if statement.control is not None:
            for params in every:
                self.execute(query, params)
        else:
            self._run(text, statement, send)
        return None

    def stream(
        self,
        query: Any,
        params: Any = None,
        *,
        binary: bool | None = None,
        size: int = 1,
    ) -> Iterator[Any]:
        """Give the rows one by one. All are fetched first, for others use the connection, too."""
        rows: list[Any] = []
        failed: psycopg.Error | None = None

        def send() -> None:
            rows.extend(
                super(GuardedCursor, self).stream(  # type: ignore[misc]
                    query, params, binary=binary, size=size
                )
            )

        if self.closed:
            send()
        text = self.connection.text_of(query)
        try:
            self._run(text, analyse(text), send)
        except psycopg.Error as error:
            failed = error
        yield from rows
        if failed is not None:
            raise failed

    def copy(
        self, statement: Any, params: Any = None, *, writer: Any = None
    ) -> AbstractContextManager[Any]:
        """Copy to or from a table."""
        start = functools.partial(super().copy, statement, params)  # type: ignore[misc]
        return copy(self, self.connection.text_of(statement), start, writer)


def _tag(statement: Statement, backend: Backend) -> str | None:
    """Give the command tag that the server answers with to what is played."""
    if statement.control is Control.COMMIT:
        return "ROLLBACK" if backend.state is State.FAILED else "COMMIT"
    if statement.control is Control.BEGIN and statement.verb == "START":
        return "START TRANSACTION"
    return _TAGS.get(statement.control) if statement.control is not None else None


class GuardedServerCursor(GuardedCursor):
    """A server-side cursor. What it sends to fetch, psycopg sends as commands of its own."""

    __slots__ = ()

    name: str
    withhold: bool

    def execute(
        self, query: Any, params: Any = None, *, binary: bool | None = None, **kwargs: Any
    ) -> Any:
        """Declare the cursor."""

        def send() -> Any:
            return super(GuardedCursor, self).execute(  # type: ignore[misc]
                query, params, binary=binary, **kwargs
            )

        if self.closed:
            return send()
        hold = "WITH HOLD " if self.withhold else ""
        text = f"DECLARE {quoted(self.name)} CURSOR {hold}FOR {self.connection.text_of(query)}"
        self._run(text, analyse(text), send)
        return self

    def executemany(self, *args: Any, **kwargs: Any) -> None:
        """Raise the driver's own error."""
        super(GuardedCursor, self).executemany(*args, **kwargs)  # type: ignore[misc]

    def _describe_gen(self) -> Generator[Any, Any, None]:
        """Ask for the columns; of a cursor that another one declared, at the first fetch."""
        connection = self.connection
        describe = super()._describe_gen  # type: ignore[misc]
        if connection.sandbox.speaking is connection:
            yield from describe()
        else:
            text = f"FETCH 0 FROM {quoted(self.name)}"
            connection.run(text, lambda: connection.wait(describe()))


def guard(cursor: Any) -> None:
    """Let *cursor*, of whatever class, ask the sandbox before each statement."""
    factory: Any = type(cursor)
    cursor.__class__ = _guarded(factory)


@functools.lru_cache(maxsize=256)
def _guarded(factory: Any) -> Any:
    if issubclass(factory, GuardedCursor):
        return factory
    mixin = GuardedServerCursor if issubclass(factory, psycopg.ServerCursor) else GuardedCursor
    names = {"__slots__": (), "__module__": factory.__module__, "__doc__": factory.__doc__}
    return type(factory.__name__, (mixin, factory), names)

"""Cursors: real ones of the driver, whose every statement asks the sandbox first."""

from __future__ import annotations

import datetime
import decimal
import functools
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import psycopg2
from psycopg2 import extensions
from psycopg2.sql import Composable

from ..postgresql.wire import quoted
from ..statements import analyse

if TYPE_CHECKING:
    from .connections import VirtualConnection

__all__ = ["guarded"]

__unittest = True  # its frames are left out of tracebacks

Cursor = extensions.cursor
TRANSACTION_STATUS_INERROR = extensions.TRANSACTION_STATUS_INERROR


_VALUES = {
    *(bool, bytes, int, float, str, type(None), decimal.Decimal, uuid.UUID),
    *(datetime.date, datetime.datetime, datetime.time, datetime.timedelta),
}


def are_values(parameters: Any) -> bool:
    """Whether parameters are written as literals: an ``AsIs`` could be a call of a function."""
    if parameters is None:
        return True
    values = parameters.values() if isinstance(parameters, Mapping) else parameters
    for value in values:
        kind = type(value)
        if kind in (list, tuple):
            if not are_values(value):
                return False
            continue
        # the program may have registered an adapter of its own
        adapter = extensions.adapters.get((kind, extensions.ISQLQuote))
        known = adapter is None or adapter.__module__.startswith("psycopg2")
        if kind not in _VALUES or not known or adapter is extensions.AsIs:
            return False
    return True


class GuardedCursor:
    """What is mixed into a cursor class: every statement asks the sandbox first."""

    virtual: VirtualConnection
    #: the virtual connection, but the real one to psycopg2.sql, which quotes for it
    connection: Any = None
    #: whether nobody but the driver sees the text on its way to the server
    _is_drivers: ClassVar[bool]
    #: what the last statement was sent behind, and the program must not see
    _before = b""

    def execute(self, query: Any, vars: Any = None) -> Any:
        """Execute *query*, or play it where it steers the transaction."""
        if type(query) is not str:
            query = self._text(query)
        statement = analyse(query)
        if vars and statement.renders:
            # what it sets, or steers, may come with the parameters
            query, vars = self._render(query, vars), None
            statement = analyse(query)
        if statement.parts:
            if vars is not None:
                query = self._render(query, vars)
            return self.virtual.run_parts(self, analyse(query).parts)
        sent = query
        if statement.shows_isolation:
            # what answers instead is a SELECT, and the program's SHOW is no query
            sent = self.virtual.show_isolation() or query
        return self.virtual.run(
            self,
            query,
            call := functools.partial(self._send, sent, vars),
            behind=call if self._is_drivers else None,
            values_only=(
                # else it does not matter what the parameters are
                statement.may_only_read or self.virtual.sandbox.catalogue.facts.unsteady
            )
            and are_values(vars),
            statement=None if statement.shows_isolation else statement,
        )

    def _send(self, query: str, vars: Any, before: str = "") -> Any:
        if not before:
            return super().execute(query, vars)  # type: ignore[misc]
        self._before = before.encode()
        real = self.virtual.real
        earlier: bytes | None = super().query  # type: ignore[misc]
        kept, real.notices = real.notices, []
        try:
            result = super().execute(before + query, vars)  # type: ignore[misc]
            # not after an error, for then the statement is sent again, and brings them again
            for notice in real.notices:
                kept.append(notice)
            return result
        except BaseException:
            sent: bytes | None = super().query  # type: ignore[misc]
            self.virtual.sandbox.was_sent = sent is not None and sent is not earlier
            raise
        finally:
            real.notices = kept

    @property
    def query(self) -> bytes | None:
        """The text that was sent last, as the program gave it."""
        sent: bytes | None = super().query  # type: ignore[misc]
        return sent.removeprefix(self._before) if sent and self._before else sent

    def executemany(self, query: Any, vars_list: Iterable[Any]) -> Any:
        """Execute *query* once for each of *vars_list*."""
        query = self._text(query)
        statement = analyse(query)
        if statement.parts or statement.control is not None:
            for vars in vars_list:
                self.execute(query, vars)
            return None
        steps = self._steps(vars_list)
        return self.virtual.run(
            self,
            query,
            lambda: super(GuardedCursor, self).executemany(query, steps),  # type: ignore[misc]
        )

    def _steps(self, vars_list: Iterable[Any]) -> Iterator[Any]:
        """Give the parameters one by one; in autocommit each is a transaction of its own."""
        for number, vars in enumerate(vars_list):
            if number:
                self.virtual.next_of_many()
            yield vars

    def callproc(self, procname: str, *args: Any) -> Any:
        """Call a function."""
        return self.virtual.run(
            self,
            f"SELECT {procname}()",
            lambda: super(GuardedCursor, self).callproc(procname, *args),  # type: ignore[misc]
        )

    def copy_expert(self, sql: Any, *args: Any, **kwargs: Any) -> Any:
        """Copy to or from a file."""
        sql = self._text(sql)
        return self.virtual.run(
            self,
            sql,
            lambda: super(GuardedCursor, self).copy_expert(sql, *args, **kwargs),  # type: ignore[misc]
        )

    def copy_from(self, file: Any, table: str, *args: Any, **kwargs: Any) -> Any:
        """Copy from a file to a table."""
        return self.virtual.run(
            self,
            f"COPY {quoted(table)} FROM STDIN",
            lambda: super(GuardedCursor, self).copy_from(file, table, *args, **kwargs),  # type: ignore[misc]
        )

    def copy_to(self, file: Any, table: str, *args: Any, **kwargs: Any) -> Any:
        """Copy from a table to a file."""
        return self.virtual.run(
            self,
            f"COPY {quoted(table)} TO STDOUT",
            lambda: super(GuardedCursor, self).copy_to(file, table, *args, **kwargs),  # type: ignore[misc]
        )

    def mogrify(self, query: Any, vars: Any = None) -> Any:
        """Give *query* with its parameters."""
        return super().mogrify(self._text(query), vars)  # type: ignore[misc]

    def _render(self, query: str, vars: Any) -> str:
        rendered: bytes = Cursor.mogrify(self, query, vars)  # type: ignore[arg-type]
        return rendered.decode(self._codec)

    @property
    def _codec(self) -> str:
        return extensions.encodings[self.virtual.real.encoding]

    def _text(self, query: Any) -> Any:
        if isinstance(query, bytes):
            return query.decode(self._codec)
        if isinstance(query, Composable):
            self.connection = self.virtual.real
            try:
                return query.as_string(self)  # type: ignore[arg-type]
            finally:
                self.connection = self.virtual
        if not isinstance(query, str):
            raise TypeError(
                f"argument 1 must be a string or unicode object: got {type(query).__name__} instead"
            )
        return query


class GuardedNamedCursor(GuardedCursor):
    """A server-side cursor: fetching sends a statement, too."""

    name: str
    withhold: bool
    _gone = False
    _executed = False
    _transaction: tuple[int, int]

    def execute(self, query: Any, vars: Any = None) -> Any:
        """Declare the cursor."""
        query = self._text(query)
        self.virtual.check_named(self)
        self._executed = True
        hold = "WITH HOLD " if self.withhold else ""
        return self.virtual.run(
            self,
            f"DECLARE {quoted(self.name)} CURSOR {hold}FOR {query}",
            lambda: super(GuardedCursor, self).execute(query, vars),  # type: ignore[misc]
        )

    def executemany(self, query: Any, vars_list: Iterable[Any]) -> Any:
        """Raise the driver's own error."""
        return super(GuardedCursor, self).executemany(query, vars_list)  # type: ignore[misc]

    def callproc(self, procname: str, *args: Any) -> Any:
        """Raise the driver's own error."""
        return super(GuardedCursor, self).callproc(procname, *args)  # type: ignore[misc]

    def _fetch(self, verb: str, call: Callable[[], Any]) -> Any:
        if not self.withhold and self._transaction != self.virtual.transaction:
            raise psycopg2.ProgrammingError("named cursor isn't valid anymore")
        return self.virtual.run(self, f"{verb} FROM {quoted(self.name)}", call)

    def fetchone(self) -> Any:
        """Fetch one row."""
        return self._fetch("FETCH 1", super().fetchone)  # type: ignore[misc]

    def fetchmany(self, *args: Any, **kwargs: Any) -> Any:
        """Fetch some rows."""
        return self._fetch(
            "FETCH",
            lambda: super(GuardedCursor, self).fetchmany(*args, **kwargs),  # type: ignore[misc]
        )

    def fetchall(self) -> Any:
        """Fetch the rows that are left."""
        return self._fetch("FETCH ALL", super().fetchall)  # type: ignore[misc]

    def scroll(self, *args: Any, **kwargs: Any) -> Any:
        """Move the cursor."""
        return self._fetch(
            "MOVE",
            lambda: super(GuardedCursor, self).scroll(*args, **kwargs),  # type: ignore[misc]
        )

    def __next__(self) -> Any:
        return self._fetch("FETCH", super().__next__)  # type: ignore[misc]

    def close(self) -> None:
        """Close the cursor, on the server too where it is still open there."""
        if self._gone:
            return
        failed = self.virtual.get_transaction_status() == TRANSACTION_STATUS_INERROR
        now = self.virtual.transaction
        # the driver sends nothing where the server would not listen, or has nothing to close;
        # and with its test the cursor has ended
        if self._executed and not failed and self._transaction[0] == now[0]:
            if self._transaction != now and not self.withhold:
                raise psycopg2.ProgrammingError("named cursor isn't valid anymore")
            self.virtual.run(self, f"CLOSE {quoted(self.name)}", self._close)
        self._gone = True

    def _close(self) -> None:
        if self.query is None:
            # a DECLARE that the sandbox refused in the server's name: the driver knows of none
            self.virtual.sandbox.send_as_is(f"CLOSE {quoted(self.name)}")
        super().close()  # type: ignore[misc]

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._gone or bool(super().closed)  # type: ignore[misc]


@functools.lru_cache(maxsize=256)
def guarded(factory: Any, named: bool) -> Any:
    """Make the class of guarded cursors from the one that the program asked for."""
    guard = GuardedNamedCursor if named else GuardedCursor
    drivers = factory.execute is Cursor.execute
    return type(factory.__name__, (guard, factory), {"_is_drivers": drivers})

"""Connections that behave as those of psycopg2 do."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, Self

import psycopg2
import psycopg2.errors
import psycopg2.extensions

from ...errors import StubError
from ..answers import Answer
from ..connections import NOTHING, ReadOnly, StubConnection, StubCursor
from ..pep249 import Errors
from ..statements import verb
from . import Style, unstubbed
from .psycopg2_values import (
    check_parameters,
    describe,
    quoted,
    rendered,
    rows_maker,
    status_of,
)

if TYPE_CHECKING:
    from ..stub import ConnectionStub

__all__ = ["make"]

_TPL = "current transaction is aborted, commands ignored until end of transaction block\n"


class Cursor(StubCursor):
    """A cursor that behaves as that of psycopg2 does.

    :param connection: that made it.
    :param name: of a cursor on the server.
    :param factory: psycopg2's class, which says how rows are given.
    """

    __slots__ = ("_make", "_name", "_query", "_status", "itersize")

    def __init__(self, connection: Connection, name: str | None, factory: Any) -> None:
        super().__init__(connection)
        self._name = name
        self._make = rows_maker(factory)
        #: what was executed last, and its parameters
        self._query: tuple[str, Any] | None = None
        #: what the server said of what it was sent last
        self._status: str | None = None
        self.itersize = 2000

    def _check_open(self) -> None:
        if self._closed or self._connection._closed:
            raise self._connection._error("InterfaceError", "cursor already closed")

    def _check_rows(self) -> NoReturn:
        # as psycopg2 asks the server for more then, and finds nothing
        self._answer = dataclasses.replace(self._answer, rowcount=-1)
        raise self._connection._error("ProgrammingError", "no results to fetch")

    def _made(self, rows: list[tuple[Any, ...]]) -> list[Any]:
        return rows if self._make is None else self._make(self._answer.names(), rows)

    @ReadOnly
    def connection(self) -> Any:
        """The connection that made the cursor."""
        return self._connection

    @ReadOnly
    def description(self) -> Any:
        """A ``Column`` for each column, None without a result."""
        return self._describe()

    @ReadOnly
    def rowcount(self) -> int:
        """How many rows were found or changed."""
        return -1 if self._name is not None else self._rowcount()

    @ReadOnly
    def rownumber(self) -> int:
        """The position of the next row, from 0."""
        return self._position

    @ReadOnly
    def lastrowid(self) -> int:
        """The OID of a row, which PostgreSQL no longer has."""
        return self._answer.lastrowid or 0

    @ReadOnly
    def closed(self) -> bool:
        """Whether the cursor is closed, or its connection."""
        return self._closed or self._connection._closed

    @ReadOnly
    def name(self) -> str | None:
        """The name of a cursor on the server."""
        return self._name

    @ReadOnly
    def query(self) -> bytes | None:
        """What was executed last, as it would have been sent."""
        return None if self._query is None else quoted(*self._query)

    @ReadOnly
    def statusmessage(self) -> str | None:
        """What the server says of the last statement."""
        return self._status

    def callproc(self, procname: str, parameters: Any = None, /) -> Any:
        """Call a function; the script knows it as ``SELECT * FROM name(%s)``."""
        self._check_open()
        marks = ",".join(["%s"] * len(parameters or ()))
        self._execute(f"SELECT * FROM {procname}({marks})", parameters)
        return parameters

    def close(self) -> None:
        """Close the cursor."""
        self._closed = True

    def execute(self, query: Any, vars: Any = None) -> None:
        """Execute a statement: a text, bytes, or what ``psycopg2.sql`` composes."""
        self._check_open()
        self._execute(query, vars)

    def executemany(self, query: Any, vars_list: Iterable[Any]) -> None:
        """Execute a statement once for each set of parameters."""
        self._answer = dataclasses.replace(self._answer, rowcount=-1)  # psycopg2's first act
        self._check_open()
        self._execute(query, vars_list, many=True)

    def _execute(self, query: Any, vars: Any, *, many: bool = False) -> None:
        connection: Any = self._connection
        text = "" if query is None else connection._style.text(query)
        empty = connection._error("ProgrammingError", "can't execute an empty query")
        if not text:
            raise empty
        if not many:
            self._rows = self._query = None
        vars = self._check_parameters(text, vars, many=many)
        if many and not vars:  # nothing is sent
            self._answer = dataclasses.replace(self._answer, rowcount=0)
            self._position = len(self._rows or ())
            return
        self._answer, self._rows = NOTHING, None
        self._query = (text, vars[0] if many else vars)
        if not text.strip():  # this one the server refuses
            self._status = ""
            raise empty
        connection._check_transaction(text)
        try:
            self._run(text, vars, many=many)
        except psycopg2.DatabaseError:
            self._status = ""
            connection._fail()
            raise
        if many:  # no rows of it are kept
            self._rows, self._query = None, (text, vars[-1])
        self._status = status_of(text, self._rowcount() // (len(vars) if many else 1))

    def mogrify(self, query: Any, vars: Any = None) -> bytes:
        """Give what would be sent: the statement with its parameters in it."""
        self._check_open()
        return quoted(self._connection._style.text(query), vars)

    def fetchone(self) -> Any:
        """Fetch the next row, or None."""
        self._check_fetch()
        return self._next()

    def fetchmany(self, size: int | None = None) -> list[Any]:
        """Fetch the next rows; all of them for a negative size, as psycopg2 does."""
        self._check_fetch()
        size = self.arraysize if size is None else size
        return self._some(size) if size >= 0 else self._rest()

    def fetchall(self) -> list[Any]:
        """Fetch all rows that are left."""
        self._check_fetch()
        return self._rest()

    def nextset(self) -> NoReturn:
        """PostgreSQL does not have it."""
        raise self._connection._error("NotSupportedError", "not supported by PostgreSQL")

    def scroll(self, value: int, mode: str = "relative") -> None:
        """Move to another row."""
        self._check_open()
        if mode not in ("relative", "absolute"):
            raise self._connection._error(
                "ProgrammingError", "scroll mode must be 'relative' or 'absolute'"
            )
        target = value + (self._position if mode == "relative" else 0)
        if not 0 <= target < self._rowcount():
            raise self._connection._error("ProgrammingError", "scroll destination out of bounds")
        self._position = target

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        row = self.fetchone()
        if row is None:
            raise StopIteration
        return row

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, traceback: object, /) -> None:
        self.close()


class Connection(StubConnection):
    """A connection that behaves as that of psycopg2 does."""

    __slots__ = ("_autocommit", "_dsn", "_status", "cursor_factory", "isolation_level", "notices")

    encoding = ReadOnly(lambda connection: "UTF8")
    server_version = ReadOnly(lambda connection: 160000)
    dsn = ReadOnly(lambda connection: connection._dsn)
    status = ReadOnly(lambda connection: 1 if connection._status == 0 else 2)

    def __init__(
        self, stub: ConnectionStub, style: Style, arguments: Mapping[str, Any], number: int
    ) -> None:
        super().__init__(stub, style, arguments, number)
        self._autocommit = False
        #: 0 idle, 2 in a transaction, 3 in one that failed; libpq's numbers
        self._status = 0
        self._dsn = ""
        self.cursor_factory: Any = arguments.get("cursor_factory")
        self.isolation_level: Any = None
        self.notices: list[str] = []

    def _check(self) -> None:
        if self._closed:
            raise self._error("InterfaceError", "connection already closed")

    def _autocommits(self) -> bool:
        return self._autocommit

    def _check_transaction(self, text: str) -> None:
        """Refuse all but its end in a transaction that failed, as the server does."""
        if self._status == 3 and verb(text) not in ("ROLLBACK", "COMMIT", "ABORT", "END"):
            raise psycopg2.errors.InFailedSqlTransaction(_TPL)
        if not self._autocommit:
            self._status = 2

    def _fail(self) -> None:
        if not self._autocommit:
            self._status = 3

    @ReadOnly
    def closed(self) -> int:
        """0 while the connection is open."""
        return int(self._closed)

    @property
    def autocommit(self) -> bool:
        """Whether each statement is committed by itself."""
        return self._autocommit

    @autocommit.setter
    def autocommit(self, value: bool) -> None:
        self._check()
        if self._status:
            raise self._error("ProgrammingError", "set_session cannot be used inside a transaction")
        self._autocommit = bool(value)
        self._tell_real(lambda real: setattr(real, "autocommit", self._autocommit))

    def close(self) -> None:
        """Close the connection."""
        self._close()

    def commit(self) -> None:
        """Commit."""
        self._check()
        failed, self._status = self._status == 3, 0
        # the server rolls a transaction back that has failed
        self._rollback() if failed else self._commit()

    def rollback(self) -> None:
        """Roll back."""
        self._check()
        self._status = 0
        self._rollback()

    def reset(self) -> None:
        """Roll back, and forget the settings."""
        self.rollback()

    def cursor(
        self,
        name: str | None = None,
        cursor_factory: Any = None,
        withhold: bool = False,
        scrollable: bool | None = None,
    ) -> Cursor:
        """Make a cursor."""
        self._check()
        self._stub.check_running()
        return Cursor(self, name, cursor_factory or self.cursor_factory)

    def set_session(
        self,
        isolation_level: Any = None,
        readonly: bool | None = None,
        deferrable: bool | None = None,
        autocommit: bool | None = None,
    ) -> None:
        """Set how transactions begin."""
        self._check()
        if isolation_level is not None:
            self.isolation_level = isolation_level
        self._tell_real(lambda real: real.set_session(isolation_level, readonly, deferrable))
        if autocommit is not None:
            self.autocommit = autocommit

    def set_isolation_level(self, level: int | None, /) -> None:
        """Set the isolation level; 0 is autocommit."""
        self._check()
        self._status = 0
        self._autocommit = level == 0
        self.isolation_level = level or None
        self._tell_real(lambda real: real.set_isolation_level(level))

    def set_client_encoding(self, encoding: str, /) -> None:
        """Do nothing: no text is encoded."""
        self._check()

    def get_transaction_status(self) -> int:
        """0 where there is no transaction, 2 in one, 3 in one that failed."""
        return 4 if self._closed else self._status

    def __enter__(self) -> Self:
        self._check()
        return self

    def __exit__(self, kind: type | None, error: object, traceback: object, /) -> None:
        if kind is None:
            self.commit()
        else:
            self.rollback()


class Psycopg2Style(Style):
    """psycopg2."""

    name = "psycopg2"
    connection = Connection

    def connect(
        self, stub: ConnectionStub, args: tuple[Any, ...], kwargs: Mapping[str, Any], number: int
    ) -> StubConnection:
        names = ("dsn", "connection_factory", "cursor_factory")
        arguments = {**dict(zip(names, args, strict=False)), **kwargs}
        factory = arguments.pop("connection_factory", None)
        if factory not in (None, psycopg2.extensions.connection):
            raise StubError(
                f"{stub.name} was given the connection_factory {factory!r}, and the stub of a "
                f"connection cannot be of that class. Replace the code that needs it in the test."
            )
        rest = {k: v for k, v in arguments.items() if k not in ("dsn", "cursor_factory")}
        rest.pop("async", None), rest.pop("async_", None)
        if arguments.get("dsn") is None and not rest:
            raise TypeError("missing dsn and no parameters")
        made = super().connect(stub, args, arguments, number)
        # libpq itself says which options there are, and contacts nobody for it
        made._dsn = psycopg2.extensions.make_dsn(arguments.get("dsn"), **rest)  # type: ignore[attr-defined]
        return made

    def describe(self, answer: Answer) -> Any:
        return describe(answer)

    def text(self, statement: Any) -> str:
        return rendered(statement)

    def check_parameters(self, connection: StubConnection, text: str, params: Any) -> None:
        check_parameters(text, params)

    def describes_as(self, driver: str) -> bool:
        return driver == "psycopg2"

    def connection_class(self) -> type | None:
        return unstubbed(psycopg2.extensions.connection)

    def cursor_class(self, stub: type) -> type | None:
        return unstubbed(psycopg2.extensions.cursor)


def make(driver: types.ModuleType | None) -> Style:
    """Make the style."""
    return Psycopg2Style(Errors(vars(psycopg2)))

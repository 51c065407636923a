"""Connections that behave as those of psycopg2 do."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import psycopg2
import psycopg2.errors
import psycopg2.extensions

from ...errors import StubError
from ..answers import Answer
from ..connections import ReadOnly, StubConnection
from ..pep249 import Errors
from ..statements import verb
from . import Style, unstubbed
from .psycopg2_cursor import Cursor
from .psycopg2_named import NamedCursor
from .psycopg2_settings import Info, Setting, flag_of, level_of, without_password
from .psycopg2_values import check_parameters, describe, rendered

if TYPE_CHECKING:
    from ..stub import ConnectionStub

__all__ = ["make"]

_TPL = "current transaction is aborted, commands ignored until end of transaction block\n"


class Connection(StubConnection):
    """A connection that behaves as that of psycopg2 does."""

    __slots__ = (
        "_autocommit",
        "_dsn",
        "_entered",
        "_mark",
        "_session",
        "_status",
        "cursor_factory",
        "notices",
    )

    encoding = ReadOnly(lambda connection: "UTF8")
    server_version = ReadOnly(lambda connection: 160000)
    dsn = ReadOnly(lambda connection: without_password(connection._dsn))
    info = ReadOnly(Info)
    isolation_level = Setting(level_of)
    readonly = Setting(flag_of)
    deferrable = Setting(flag_of)
    status = ReadOnly(lambda connection: 1 if connection._status == 0 else 2)

    def __init__(
        self, stub: ConnectionStub, style: Style, arguments: Mapping[str, Any], number: int
    ) -> None:
        super().__init__(stub, style, arguments, number)
        self._autocommit = False
        #: whether a ``with`` is about it, which begins a transaction also in autocommit
        self._entered = False
        #: a number of the transaction, as cursors on the server end with it
        self._mark = 0
        #: 0 idle, 2 in a transaction, 3 in one that failed; libpq's numbers
        self._status = 0
        self._dsn = ""
        self._session: dict[str, Any] = {}
        self.cursor_factory: Any = arguments.get("cursor_factory")
        self.notices: list[str] = []

    def _check(self) -> None:
        if self._closed:
            raise self._error("InterfaceError", "connection already closed")

    def _check_between(self) -> None:
        self._check()
        if self._status:
            raise self._error("ProgrammingError", "set_session cannot be used inside a transaction")

    def _autocommits(self) -> bool:
        return self._autocommit and not self._entered

    def _check_transaction(self, text: str) -> None:
        """Refuse all but its end in a transaction that failed, as the server does."""
        if self._status == 3 and verb(text) not in ("ROLLBACK", "COMMIT", "ABORT", "END"):
            raise psycopg2.errors.InFailedSqlTransaction(_TPL)
        if not self._autocommits():
            self._status = 2

    def _fail(self) -> None:
        if not self._autocommits():
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
        self._check_between()
        self._autocommit = bool(value)
        self._tell_real(lambda real: setattr(real, "autocommit", self._autocommit))

    def close(self) -> None:
        """Close the connection."""
        self._close()

    def commit(self) -> None:
        """Commit."""
        self._check()
        self._mark += bool(self._status)
        failed, self._status = self._status == 3, 0
        # the server rolls a transaction back that has failed
        self._rollback() if failed else self._commit()

    def rollback(self) -> None:
        """Roll back."""
        self._check()
        self._mark += bool(self._status)
        self._status = 0
        self._rollback()

    def reset(self) -> None:
        """Roll back, and forget the settings."""
        self.rollback()
        self._session.clear()
        self._autocommit = False
        self._tell_real(lambda real: real.reset())

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
        factory = cursor_factory or self.cursor_factory
        with self._stub.noting():
            if name is not None:
                return NamedCursor(self, name, factory, withhold, scrollable)
            return Cursor(self, None, factory)

    def set_session(
        self,
        isolation_level: Any = None,
        readonly: bool | None = None,
        deferrable: bool | None = None,
        autocommit: bool | None = None,
    ) -> None:
        """Set how transactions begin."""
        self._check_between()
        if isolation_level is not None:
            self.isolation_level = isolation_level
        if readonly is not None:
            self.readonly = readonly
        if deferrable is not None:
            self.deferrable = deferrable
        if autocommit is not None:
            self.autocommit = autocommit

    def set_isolation_level(self, level: int | None, /) -> None:
        """Set the isolation level; 0 is autocommit."""
        self._check()
        if level is not None and not 0 <= level <= 4:
            raise ValueError("isolation level must be between 0 and 4")
        if self._status:
            self.rollback()
        self._autocommit = level == 0
        if level != 0:
            self._session["isolation_level"] = level
        self._tell_real(lambda real: real.set_isolation_level(level))

    def set_client_encoding(self, encoding: str, /) -> None:
        """Do nothing: no text is encoded."""
        self._check()

    def get_transaction_status(self) -> int:
        """0 where there is no transaction, 2 in one, 3 in one that failed."""
        return 4 if self._closed else self._status

    def __enter__(self) -> Self:
        self._check()
        if self._entered:
            raise self._error("ProgrammingError", "the connection cannot be re-entered recursively")
        self._entered = True
        return self

    def __exit__(self, kind: type | None, error: object, traceback: object, /) -> None:
        try:
            if kind is None:
                self.commit()
            else:
                self.rollback()
        finally:
            self._entered = False


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

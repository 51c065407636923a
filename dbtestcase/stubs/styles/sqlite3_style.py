"""Connections that behave as those of the standard library's ``sqlite3`` do."""

from __future__ import annotations

import os
import sqlite3
import threading
import types
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Self

from ...errors import StubError
from ..answers import Answer
from ..connections import ReadOnly, StubConnection
from ..pep249 import Errors
from ..statements import verb
from . import Style, columns, style_of, unstubbed
from .sqlite3_cursor import DML, Cursor
from .sqlite3_values import check_parameters, check_single

if TYPE_CHECKING:
    from ..stub import ConnectionStub

__all__ = ["make"]

#: What ``autocommit`` is where nobody has set it.
_LEGACY: int = getattr(sqlite3, "LEGACY_TRANSACTION_CONTROL", -1)


class Connection(StubConnection):
    """A connection that behaves as ``sqlite3.Connection`` does."""

    __slots__ = (
        "_changes",
        "_in_transaction",
        "_level",
        "_mode",
        "_thread",
        "row_factory",
        "text_factory",
    )

    def __init__(
        self, stub: ConnectionStub, style: Style, arguments: Mapping[str, Any], number: int
    ) -> None:
        super().__init__(stub, style, arguments, number)
        self.row_factory: Any = None
        self.text_factory: Any = str
        self._in_transaction = False
        #: what ``autocommit`` is; None where ``isolation_level`` says it, as before Python 3.12
        self._mode: bool | None = None
        if arguments.get("autocommit", _LEGACY) != _LEGACY:
            self._mode = bool(arguments["autocommit"])
        self._level: str | None = None
        self.isolation_level = arguments.get("isolation_level", "")
        self._changes = 0
        same = arguments.get("check_same_thread", True)
        self._thread = threading.get_ident() if same else None

    @property
    def isolation_level(self) -> str | None:
        """How transactions begin by themselves; None where they do not."""
        return self._level

    @isolation_level.setter
    def isolation_level(self, level: str | None) -> None:
        if level is not None and not isinstance(level, str):
            raise TypeError("isolation_level must be str or None")
        if level is not None and level.upper() not in ("", "DEFERRED", "IMMEDIATE", "EXCLUSIVE"):
            raise ValueError(
                "isolation_level string must be '', 'DEFERRED', 'IMMEDIATE', or 'EXCLUSIVE'"
            )
        self._level = level if level is None else level.upper()
        if self._mode is None and level is None and self._in_transaction and not self._closed:
            self.commit()  # as the driver does
        self._tell_real(lambda real: setattr(real, "isolation_level", level))

    if hasattr(sqlite3.Connection, "autocommit"):

        @property
        def autocommit(self) -> int:
            """Whether each statement is committed by itself; -1 where the level says it."""
            self._check()
            return _LEGACY if self._mode is None else self._mode

        @autocommit.setter
        def autocommit(self, value: int) -> None:
            self._check()
            if not isinstance(value, bool) and value != _LEGACY:
                raise ValueError(
                    "autocommit must be True, False, or sqlite3.LEGACY_TRANSACTION_CONTROL"
                )
            # an open one goes on, but for what is committed by itself from now on
            self._in_transaction = self.in_transaction
            if value is True and self._in_transaction:
                self.commit()
            self._mode = value if isinstance(value, bool) else None
            self._tell_real(lambda real: setattr(real, "autocommit", value))

    def _check_thread(self) -> None:
        if self._thread is not None and self._thread != threading.get_ident():
            raise self._error(
                "ProgrammingError",
                f"SQLite objects created in a thread can only be used in that same thread. The "
                f"object was created in thread id {self._thread} and this is thread id "
                f"{threading.get_ident()}.",
            )

    def _check_open(self) -> None:
        if self._closed:
            raise self._error("ProgrammingError", "Cannot operate on a closed database.")

    def _check(self) -> None:
        self._check_thread()
        self._check_open()

    def _autocommits(self) -> bool:
        return self._level is None if self._mode is None else self._mode

    def _changed(self, statement: str, count: int, *, in_script: bool = False) -> None:
        """Note what opens a transaction, and how many rows were changed."""
        word = verb(statement)
        if word in DML:
            begins = self._mode is None and self._level is not None and not in_script
            self._in_transaction |= begins
            self._changes += max(count, 0)
        elif word == "BEGIN":
            self._in_transaction = True
        elif word in ("COMMIT", "END", "ROLLBACK"):
            self._in_transaction = False

    @ReadOnly
    def in_transaction(self) -> bool:
        """Whether something was changed and not committed."""
        self._check_open()
        return self._in_transaction or self._mode is False

    @ReadOnly
    def total_changes(self) -> int:
        """How many rows were changed since the connection was made."""
        self._check_open()
        return self._changes

    def close(self) -> None:
        """Close the connection."""
        self._check_thread()
        self._close()

    def commit(self) -> None:
        """Commit."""
        self._check()
        self._in_transaction &= self._mode is True  # there it does nothing
        self._commit()

    def rollback(self) -> None:
        """Roll back."""
        self._check()
        self._in_transaction &= self._mode is True
        self._rollback()

    def cursor(self, factory: Any = Cursor) -> Any:
        """Make a cursor."""
        self._check()
        self._stub.check_running()
        with self._stub.noting():
            if factory is not Cursor and factory is not sqlite3.Cursor:
                raise StubError(
                    f"cursor() was given the factory {factory!r}, and the stub of a connection can "
                    f"only make cursors of its own. Replace the code that needs this class in the "
                    f"test, or use a real database in memory."
                )
        return Cursor(self)

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        """Make a cursor and execute a statement with it."""
        return self.cursor().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> Any:
        """Make a cursor and execute a statement with it for each set of parameters."""
        return self.cursor().executemany(sql, parameters)

    def executescript(self, sql_script: str, /) -> Any:
        """Make a cursor and execute several statements with it."""
        return self.cursor().executescript(sql_script)

    def create_function(self, name: str, narg: int, func: Any, /, **options: Any) -> None:
        """Do nothing: the script answers, and calls no function."""
        self._check()
        self._tell_real(lambda real: real.create_function(name, narg, func, **options))

    def create_aggregate(self, name: str, n_arg: int, aggregate_class: Any, /) -> None:
        """Do nothing: the script answers, and calls no function."""
        self._check()
        self._tell_real(lambda real: real.create_aggregate(name, n_arg, aggregate_class))

    def create_collation(self, name: str, callback: Any, /) -> None:
        """Do nothing: the script answers, and sorts nothing."""
        self._check()
        self._tell_real(lambda real: real.create_collation(name, callback))

    def interrupt(self) -> None:
        """Do nothing: no statement is running."""
        self._check_open()

    def __enter__(self) -> Self:
        self._check()
        return self

    def __exit__(self, kind: type | None, error: object, traceback: object, /) -> Literal[False]:
        # as the driver does, which has nothing to end where nothing was changed
        if self._closed or (self.in_transaction and self._mode is not True):
            if kind is None:
                self.commit()
            else:
                self.rollback()
        return False


class SQLite3Style(Style):
    """The standard library's ``sqlite3``."""

    name = "sqlite3"
    paramstyle = "qmark"
    connection = Connection

    def connect(
        self, stub: ConnectionStub, args: tuple[Any, ...], kwargs: Mapping[str, Any], number: int
    ) -> StubConnection:
        names = ("database", "timeout", "detect_types", "isolation_level", "check_same_thread")
        arguments = {**dict(zip((*names, "factory"), args, strict=False)), **kwargs}
        if style_of("", stub.connect.original) == self.name:
            _check_arguments(stub.name, arguments, args, kwargs)
        if "database" not in arguments:
            raise TypeError("function missing required argument 'database' (pos 1)")
        return super().connect(stub, args, arguments, number)

    def describe(self, answer: Answer) -> Any:
        nothing = (None,) * 6
        return tuple(columns(answer, lambda name, value: (name, *nothing), tuple))

    def text(self, statement: Any) -> str:
        if isinstance(statement, str):
            return statement
        raise TypeError(f"execute() argument 1 must be str, not {type(statement).__name__}")

    def check_parameters(self, connection: StubConnection, text: str, params: Any) -> None:
        check_single(text)
        check_parameters(text, params)

    def describes_as(self, driver: str) -> bool:
        return driver in ("pysqlite", "sqlite3")

    def connection_class(self) -> type | None:
        return unstubbed(sqlite3.Connection)

    def cursor_class(self, stub: type) -> type | None:
        return unstubbed(sqlite3.Cursor)


def _check_arguments(
    name: str, given: Mapping[str, Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> None:
    """Refuse what the driver refuses, which says so itself: of a database in memory."""
    real = unstubbed(sqlite3.Connection)
    factory = given.get("factory", real)
    if isinstance(factory, type) and factory not in (real, sqlite3.Connection):
        raise StubError(
            f"{name} was given the factory {factory!r}, and the stub of a connection cannot be of "
            f"that class. Replace the code that needs it in the test, or use a real database in "
            f"memory."
        )
    if real is None or "database" not in given:
        return
    os.fspath(given["database"])
    options = {key: value for key, value in kwargs.items() if key not in ("database", "factory")}
    if "database" in kwargs:
        options["database"] = ":memory:"
    real(*(":memory:", *args[1:])[: len(args)], **options).close()


def make(driver: types.ModuleType | None) -> Style:
    """Make the style."""
    return SQLite3Style(Errors(vars(sqlite3)))

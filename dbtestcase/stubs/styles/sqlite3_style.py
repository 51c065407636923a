"""Connections that behave as those of the standard library's ``sqlite3`` do."""

from __future__ import annotations

import dataclasses
import sqlite3
import threading
import types
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Self

from ...errors import StubError
from ..answers import Answer
from ..connections import NOTHING, ReadOnly, StubConnection, StubCursor
from ..pep249 import Errors
from ..statements import is_empty, verb
from . import Style, columns, unstubbed
from .sqlite3_values import check_parameters, check_single, described, statements

if TYPE_CHECKING:
    from ..stub import ConnectionStub

__all__ = ["make"]

#: What opens a transaction.
_DML = ("INSERT", "UPDATE", "DELETE", "REPLACE")


class Cursor(StubCursor):
    """A cursor that behaves as ``sqlite3.Cursor`` does.

    :param connection: that made it.
    """

    __slots__ = ("row_factory",)

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.row_factory = connection.row_factory

    def _check_open(self) -> None:
        self._connection._check_thread()
        if self._closed:
            raise self._connection._error("ProgrammingError", "Cannot operate on a closed cursor.")
        self._connection._check_open()

    def _check_rows(self) -> None:
        """Nothing is an empty list here."""

    def _made(self, rows: list[tuple[Any, ...]]) -> list[Any]:
        factory = self.row_factory
        if factory is None:
            return rows
        if isinstance(factory, type) and issubclass(factory, sqlite3.Row):
            cursor = described(self._answer.names())
            return [factory(cursor, row) for row in rows]
        return [factory(self, row) for row in rows]

    @ReadOnly
    def connection(self) -> Any:
        """The connection that made the cursor."""
        return self._connection

    @ReadOnly
    def description(self) -> Any:
        """The names of the columns, and six times None for each."""
        return self._describe()

    @ReadOnly
    def rowcount(self) -> int:
        """How many rows were changed; -1 after a query."""
        return self._rowcount() if self._rows is None else -1

    @ReadOnly
    def lastrowid(self) -> int | None:
        """The row that was inserted last, where the script says it."""
        return self._answer.lastrowid

    def close(self) -> None:
        """Close the cursor."""
        connection: Any = self._connection
        connection._check_thread()
        connection._check_open()
        self._closed = True

    def execute(self, sql: str, parameters: Any = (), /) -> Self:
        """Execute a statement."""
        self._begin()
        self._check_parameters(sql, parameters, many=False)
        if is_empty(sql):
            return self
        self._run(sql, parameters)
        self._connection._changed(sql, self._rowcount())
        return self

    def _begin(self) -> None:
        """Forget the last statement, also where the next is refused."""
        self._connection._check_thread()
        try:
            self._check_open()
        except sqlite3.ProgrammingError:
            self._answer = dataclasses.replace(self._answer, rowcount=-1)
            raise
        self._answer, self._rows = NOTHING, None

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> Self:
        """Execute a statement that changes rows, once for each set of parameters."""
        self._begin()
        parameters = self._check_parameters(sql, parameters, many=True)
        if verb(sql) not in (*_DML, "WITH"):
            raise self._connection._error(
                "ProgrammingError", "executemany() can only execute DML statements."
            )
        if parameters:
            self._run(sql, parameters, many=True)
        else:  # nothing is executed, in a transaction all the same
            self._answer = Answer(rowcount=0)
        self._connection._changed(sql, self._rowcount())
        return self

    def executescript(self, sql_script: str, /) -> Self:
        """Execute several statements; the script answers each by itself."""
        self._check_open()
        connection: Any = self._connection
        if connection.in_transaction:
            connection.commit()
        # the cursor's own rows are not touched, nor does a change open a transaction
        runs = Cursor(connection)
        for statement in statements(self._connection._style.text(sql_script)):
            runs._run(statement, None)
            connection._changed(statement, runs._rowcount(), in_script=True)
        return self

    def fetchone(self) -> Any:
        """Fetch the next row, or None."""
        self._check_open()
        return self._next()

    def fetchmany(self, size: int | None = None) -> list[Any]:
        """Fetch the next rows; all of them for a size below 1, as the driver does."""
        self._check_open()
        size = self.arraysize if size is None else size
        return self._some(size) if size > 0 else self._rest()

    def fetchall(self) -> list[Any]:
        """Fetch all rows that are left."""
        self._check_open()
        return self._rest()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        self._check_open()
        rows = self._rows
        if rows is None or self._position >= len(rows):
            raise StopIteration
        return self._next()


class Connection(StubConnection):
    """A connection that behaves as ``sqlite3.Connection`` does."""

    __slots__ = (
        "_changes",
        "_in_transaction",
        "_thread",
        "isolation_level",
        "row_factory",
        "text_factory",
    )

    def __init__(
        self, stub: ConnectionStub, style: Style, arguments: Mapping[str, Any], number: int
    ) -> None:
        super().__init__(stub, style, arguments, number)
        self.row_factory: Any = None
        self.text_factory: Any = str
        self.isolation_level = arguments.get("isolation_level", "")
        self._in_transaction = False
        self._changes = 0
        same = arguments.get("check_same_thread", True)
        self._thread = threading.get_ident() if same else None

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
        return self.isolation_level is None

    def _changed(self, statement: str, count: int, *, in_script: bool = False) -> None:
        """Note what opens a transaction, and how many rows were changed."""
        word = verb(statement)
        if word in _DML:
            self._in_transaction |= self.isolation_level is not None and not in_script
            self._changes += max(count, 0)
        elif word == "BEGIN":
            self._in_transaction = True
        elif word in ("COMMIT", "END", "ROLLBACK"):
            self._in_transaction = False

    @ReadOnly
    def in_transaction(self) -> bool:
        """Whether something was changed and not committed."""
        self._check_open()
        return self._in_transaction

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
        self._in_transaction = False
        self._commit()

    def rollback(self) -> None:
        """Roll back."""
        self._check()
        self._in_transaction = False
        self._rollback()

    def cursor(self, factory: Any = Cursor) -> Any:
        """Make a cursor."""
        self._check()
        self._stub.check_running()
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
        if self._in_transaction or self._closed:
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
        arguments = {**dict(zip(names, args, strict=False)), **kwargs}
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


def make(driver: types.ModuleType | None) -> Style:
    """Make the style."""
    return SQLite3Style(Errors(vars(sqlite3)))

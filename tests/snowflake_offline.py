"""Snowflake's own connection and cursor classes, with the network taken out beneath them.

What sends a statement, and what reads the rows of its answer from the wire, is replaced. All
above it is the connector's: states, errors, fetching, descriptions, context managers.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from typing import Any
from unittest import mock

import snowflake.connector
from snowflake.connector import errors
from snowflake.connector._internal.protobuf_gen import database_driver_v1_pb2 as messages
from snowflake.connector.cursor import _base

from .dbapi_checks import ROWS

Answer = tuple[list[tuple[Any, ...]] | None, list[tuple[str, str]], int]

#: A statement's beginning, and what Snowflake answers: rows, columns with their types, and count.
ANSWERS: list[tuple[str, Answer]] = [
    ("SELECT id, name FROM item WHERE", ([], [("ID", "FIXED"), ("NAME", "TEXT")], 0)),
    ("SELECT id, name FROM item", (ROWS, [("ID", "FIXED"), ("NAME", "TEXT")], 3)),
    ("SELECT count(*)", ([(3,)], [("N", "FIXED")], 1)),
    ("SELECT name FROM item WHERE id = 1", ([("one",)], [("NAME", "TEXT")], 1)),
    ("SELECT name FROM item WHERE id = 2", ([("two",)], [("NAME", "TEXT")], 1)),
    ("SELECT", ([(1,)], [("N", "FIXED")], 1)),
    ("UPDATE", ([(3,)], [("number of rows updated", "FIXED")], 3)),
    ("INSERT", ([(2,)], [("number of rows inserted", "FIXED")], 2)),
    ("CREATE", ([("Table OTHER successfully created.",)], [("status", "TEXT")], 1)),
    ("COMMIT", ([("Statement executed successfully.",)], [("status", "TEXT")], 1)),
    ("ROLLBACK", ([("Statement executed successfully.",)], [("status", "TEXT")], 1)),
]


class _Rows:
    """Stands for the iterator over the Arrow stream of an answer."""

    def __init__(self, rows: list[Any]) -> None:
        self._rows = iter(rows)

    def __next__(self) -> Any:
        return next(self._rows)

    def fetch_many(self, size: int) -> list[Any]:
        return [row for _, row in zip(range(size), self._rows, strict=False)]

    def fetch_all(self) -> list[Any]:
        return list(self._rows)


class Connection(snowflake.connector.SnowflakeConnection):  # type: ignore[misc]
    """The connector's connection, which believes that it is connected."""

    open = True

    def _connect(self) -> None:
        self._telemetry_client = mock.Mock()

    def is_closed(self) -> bool:
        return not self.open

    def close(self, retry: bool = True) -> None:
        self.open = False

    def __del__(self) -> None:
        self.open = False


def _execute_query(cursor: Any, statement: str, bindings: Any) -> Any:
    if statement.startswith("SELECT nothing"):
        raise errors.ProgrammingError("Object 'NOWHERE' does not exist", errno=2003)
    rows, columns, count = next(a for text, a in ANSWERS if statement.startswith(text))
    response = messages.ExecuteQueryResponse()
    descriptor = response.single.result_descriptor
    descriptor.query_id = str(uuid.uuid4())
    descriptor.rows_affected = count
    for name, kind in columns:
        descriptor.columns.add(name=name, type=kind, nullable=True)
    response.single.result_set_handle.id = 1
    cursor.rows_of_test = rows
    names = [name for name, _ in columns]
    if cursor._use_dict_result:
        cursor.rows_of_test = [dict(zip(names, row, strict=True)) for row in rows or []]
    return response


@contextlib.contextmanager
def offline() -> Iterator[type[Connection]]:
    """Give the class whose connections and cursors work without a network."""

    @contextlib.contextmanager
    def statement(handle: object, query: str) -> Iterator[str]:
        yield query

    def row_iterator(cursor: Any) -> _Rows:
        cursor._result_set._require_handle()
        return _Rows(cursor.rows_of_test)

    with contextlib.ExitStack() as stack:
        base = _base.SnowflakeCursorBase
        for owner, name, value in (
            (_base, "statement", statement),
            (base, "_execute_query", _execute_query),
            (base, "_create_row_iterator", row_iterator),
            (Connection, "_autocommit_enabled", lambda self: self.of_test_autocommit),
            (_base._ResultSetWrapper, "_do_release", lambda self: self._take_handle()),
        ):
            stack.enter_context(mock.patch.object(owner, name, value))
        Connection.of_test_autocommit = True  # what Snowflake has where nobody says otherwise
        yield Connection

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
from snowflake.connector.constants import QueryStatus
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
    ("CALL", ([(6,)], [("TOTAL", "FIXED")], 1)),
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

    def _get_query_status_with_response(self, sf_qid: str) -> Any:
        return QueryStatus.SUCCESS, None


class _Tables:
    """Stands for the iterator over an answer as tables of Arrow's."""

    def __init__(self, answer: Answer) -> None:
        import pyarrow

        rows, columns, _ = answer
        kinds = {"FIXED": pyarrow.int64(), "TEXT": pyarrow.string()}
        self._schema = pyarrow.schema([(name, kinds[kind]) for name, kind in columns])
        names = [name for name, _ in columns]
        values = [dict(zip(names, row, strict=True)) for row in rows or []]
        self._batch = pyarrow.RecordBatch.from_pylist(values, self._schema)

    def __iter__(self) -> Iterator[Any]:
        return iter([self._batch] if self._batch.num_rows else [])

    def get_converted_schema(self) -> Any:
        return self._schema


class _Server:
    """Executes statements at once, in the place of the library that has the network."""

    def __init__(self) -> None:
        #: the text of each statement, by its query's id
        self.executed: dict[str, str] = {}
        self._ids: list[str] = []

    def execute(self, text: str) -> Any:
        """Answer a text: of one statement by its result, of several by the ids of theirs."""
        pieces = [each.strip() for each in text.split(";") if each.strip()]
        if any(each.startswith("SELECT nothing") for each in pieces):
            raise errors.ProgrammingError("Object 'NOWHERE' does not exist", errno=2003)
        ids = [self.note(each) for each in pieces]
        response = messages.ExecuteQueryResponse()
        if len(ids) == 1:
            response.single.CopyFrom(self.result(ids[0]))
        else:
            response.multi.parent.query_id = self.note(text)
            response.multi.query_ids.extend(ids)
        return response

    def note(self, text: str) -> str:
        query_id = str(uuid.uuid4())
        self.executed[query_id] = text
        self._ids.append(query_id)
        return query_id

    def answer(self, query_id: str) -> Answer:
        text = self.executed[query_id]
        return next(answer for beginning, answer in ANSWERS if text.startswith(beginning))

    def result(self, query_id: str) -> Any:
        """Describe what a statement has answered."""
        _, columns, count = self.answer(query_id)
        response = messages.ResultSetResponse()
        descriptor = response.result_descriptor
        descriptor.query_id = query_id
        descriptor.rows_affected = count
        for name, kind in columns:
            descriptor.columns.add(name=name, type=kind, nullable=True)
        response.result_set_handle.id = self._ids.index(query_id) + 1
        return response

    def tables(self, *, stream_ptr: int, **options: Any) -> _Tables:
        return _Tables(self.answer(self._ids[stream_ptr - 1]))

    def rows(self, cursor: Any) -> _Rows:
        cursor._result_set._require_handle()
        rows, columns, _ = self.answer(cursor.sfqid)
        if cursor._use_dict_result:
            names = [name for name, _ in columns]
            return _Rows([dict(zip(names, row, strict=True)) for row in rows or []])
        return _Rows(rows or [])

    # -- what the connector asks for by these names

    def statement_execute_async(self, stmt_handle: str, bindings: object) -> Any:
        return mock.Mock(query_id=self.note(stmt_handle), request_id=None)

    def connection_get_query_result(self, conn_handle: object, query_id: str) -> Any:
        return self.execute(self.executed[query_id])


@contextlib.contextmanager
def offline() -> Iterator[type[Connection]]:
    """Give the class whose connections and cursors work without a network."""

    @contextlib.contextmanager
    def statement(handle: object, query: str) -> Iterator[str]:
        yield query

    server = _Server()
    with contextlib.ExitStack() as stack:
        base, wrapper = _base.SnowflakeCursorBase, _base._ResultSetWrapper
        for owner, name, value in (
            (_base, "statement", statement),
            (_base, "core_driver", server),
            (base, "_apply_statement_parameters", lambda self, *given: None),
            (base, "_execute_query", lambda self, text, bindings: server.execute(text)),
            (base, "_fetch_result_set_by_query_id", lambda self, number: server.result(number)),
            (base, "_create_row_iterator", lambda self: server.rows(self)),
            (_base, "create_table_iterator", server.tables),
            (wrapper, "get_arrow_stream_ptr", lambda self: self._require_handle().id),
            (Connection, "_autocommit_enabled", lambda self: self.of_test_autocommit),
            (wrapper, "_do_release", lambda self: self._take_handle()),
        ):
            stack.enter_context(mock.patch.object(owner, name, value))
        Connection.of_test_autocommit = True  # what Snowflake has where nobody says otherwise
        yield Connection

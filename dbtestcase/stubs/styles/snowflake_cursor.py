"""Cursors that behave as ``SnowflakeCursor`` and ``DictCursor`` do."""

from __future__ import annotations

import importlib
import uuid
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn, Self

from ..connections import NOTHING, StubCursor

__all__ = ["DictCursor", "SnowflakeCursor"]


class SnowflakeCursor(StubCursor):
    """A cursor that behaves as ``SnowflakeCursor`` does.

    :param connection: that made it.
    """

    # it has attributes of all kinds, as the real one has

    def __init__(self, connection: Any) -> None:
        super().__init__(connection)
        self._executed: str | None = None
        self._id: str | None = None
        self._count: int | None = None
        self._metadata: Any = None
        self._fetched = -1
        #: Errors and warnings of the cursor, which a stub has none of.
        self.messages: list[Any] = []

    def _check_cursor(self) -> None:
        if self._closed:
            raise self._connection._error("InterfaceError", "Cursor is closed.", errno=252006)

    def _check_open(self) -> None:
        if self._closed or self._connection._closed:
            raise self._connection._error("InterfaceError", "Cursor is closed.", errno=252006)

    def _check_rows(self) -> NoReturn:
        raise self._connection._error(
            "ProgrammingError",
            "No results available (not produced by this query)",
            errno=252009,
        )

    def _check_fetch(self) -> None:
        # rows that came are still given when the connection is closed
        self._check_cursor()
        if self._rows is None:
            self._check_rows()

    @property
    def connection(self) -> Any:
        """The connection that made the cursor."""
        return self._connection

    @property
    def description(self) -> Any:
        """A ``ResultMetadata`` for each column, also after the cursor is closed."""
        return self._metadata() if callable(self._metadata) else self._metadata

    @property
    def rowcount(self) -> int | None:
        """How many rows were found or changed; None before the first statement."""
        return self._count

    @property
    def rownumber(self) -> int | None:
        """The position of the row that was fetched last, from 0."""
        return self._fetched if self._fetched >= 0 else None

    @property
    def sfqid(self) -> str | None:
        """The id of the last query; a new one for each, where the script names none."""
        if self._id is None and self._executed is not None:
            self._id = self._answer.query_id or str(uuid.uuid4())
        return self._id

    @property
    def query(self) -> str | None:
        """The text of the last statement."""
        return self._executed

    @property
    def sqlstate(self) -> None:
        """The SQLSTATE, which a success has none of."""
        return None

    @property
    def lastrowid(self) -> None:
        """Snowflake has none."""
        return None

    @property
    def is_file_transfer(self) -> bool:
        """Whether the last statement was a PUT or GET."""
        return (self._executed or "").lstrip()[:4].upper() in ("PUT ", "GET ")

    def is_closed(self) -> bool:
        """Tell whether the cursor is closed, or its connection."""
        return self._closed or self._connection._closed

    def close(self) -> bool:
        """Close the cursor.

        :returns: whether it was open.
        """
        if self._closed:
            return False
        self._closed = True
        self._rows = None
        return True

    def reset(self, closing: bool = False) -> None:
        """Give up the rows."""
        self._check_cursor()
        self._rows = None
        if not closing:
            self._count = None

    def execute(
        self,
        operation: str,
        parameters: Any = None,
        _is_put_get: bool | None = None,
        num_statements: int | None = None,
        _skip_upload_on_content_match: bool = False,
        *,
        params: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Execute a statement.

        :returns: the cursor.
        """
        self._check_open()
        parameters = self._one_of(parameters, params, "parameters", "params")
        if isinstance(operation, str) and not operation.strip(" \t\n\r"):
            self._rows = self._count = None
            return self
        return self._do(operation, parameters)

    def _do(self, operation: Any, params: Any, *, many: bool = False) -> Self:
        self._count = None
        self._answer, self._rows = NOTHING, None
        params = self._check_parameters(operation, params, many=many)
        self._run(operation, params, many=many)
        self._executed, self._id, self._fetched = operation, None, -1
        self._count = self._rowcount()
        # made when it is asked for, and kept when later statements fail
        answer = self._answer
        self._metadata = lambda: self._description_of(answer)
        return self

    def _description_of(self, answer: Any) -> Any:
        current, self._answer = self._answer, answer
        try:
            return self._describe()
        finally:
            self._answer = current

    def executemany(
        self,
        operation: str,
        seq_of_parameters: Iterable[Any] | None = None,
        num_statements: int | None = None,
        *,
        seqparams: Iterable[Any] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Execute a statement once for each set of parameters.

        :returns: the cursor.
        """
        self._check_open()
        sets = self._one_of(seq_of_parameters, seqparams, "seq_of_parameters", "seqparams")
        if not isinstance(sets, Iterable | None):
            raise self._connection._error(
                "ProgrammingError",
                f"executemany() seq_of_parameters must be an iterable of parameter sequences or "
                f"dicts, got {type(sets).__name__}. Pass a list, tuple, or other iterable of rows.",
                errno=251007,
            )
        sets = list(sets or ())
        return self._do(operation, sets, many=True) if sets else self

    def execute_async(self, command: str, params: Any = None, **kwargs: Any) -> dict[str, Any]:
        """Execute a statement at once, and give its id; ``get_results_from_sfqid()`` takes it."""
        self._check_open()
        self._do(command, params)
        style: Any = self._connection._style
        style.waiting[self.sfqid] = self._answer
        self._rows = None
        return {"queryId": self.sfqid}

    def get_results_from_sfqid(self, sfqid: str) -> None:
        """Give the rows of what ``execute_async()`` has executed."""
        self._check_open()
        style: Any = self._connection._style
        # the rows can be asked for once, so that nothing is kept of what was fetched
        answer = style.waiting.pop(sfqid, None)
        if answer is None:
            raise self._connection._error("ProgrammingError", f"Query {sfqid} failed", errno=-1)
        self._answer, self._rows, self._position = answer, answer.rows, 0
        self._id, self._fetched, self._count = sfqid, -1, self._rowcount()
        self._metadata = lambda: self._description_of(answer)

    def callproc(self, procname: str, args: Any = None) -> Any:
        """Call a procedure; the script knows it as ``CALL name(%s)``."""
        marks = ", ".join(["%s"] * len(args or ()))
        self.execute(f"CALL {procname}({marks})", args)
        return args

    def fetchone(self) -> Any:
        """Fetch the next row, or None."""
        self._check_fetch()
        row = self._next()
        if row is not None:
            self._fetched += 1
        return row

    def fetchmany(self, size: int | None = None) -> list[Any]:
        """Fetch the next rows."""
        self._check_cursor()
        size = self.arraysize if size is None else size
        if size < 0:
            raise self._connection._error(
                "ProgrammingError",
                f"The number of rows is not zero or positive number: {size}",
                errno=251007,
            )
        if size == 0:
            return []
        self._check_fetch()
        rows = self._some(size)
        self._fetched += len(rows)
        return rows

    def fetchall(self) -> list[Any]:
        """Fetch all rows that are left."""
        self._check_fetch()
        rows = self._rest()
        self._fetched += len(rows)
        return rows

    def fetch_pandas_all(self, **kwargs: Any) -> Any:
        """Give all rows as a ``DataFrame``, where pandas is installed."""
        self._check_open()
        pandas = self._pandas()
        self._check_fetch()
        return pandas.DataFrame(self._tuples(self._position), columns=self._answer.names())

    def fetch_pandas_batches(self, **kwargs: Any) -> Iterator[Any]:
        """Give all rows as one ``DataFrame``, where pandas is installed."""
        yield self.fetch_pandas_all(**kwargs)

    def _tuples(self, start: int) -> list[tuple[Any, ...]]:
        rows = self._rows or []
        self._position = len(rows)
        return rows[start:]

    def _pandas(self) -> Any:
        try:
            return importlib.import_module("pandas")
        except ModuleNotFoundError:
            style: Any = self._connection._style
            raise style.missing("pandas") from None

    def nextset(self) -> None:
        """There is no second result: ``execute_string()`` gives a cursor for each."""
        self._check_open()

    def scroll(self, value: int, mode: str = "relative") -> NoReturn:
        """Snowflake does not have it."""
        raise self._connection._error("NotSupportedError", "scroll is not supported")

    def _one_of(self, value: Any, alias: Any, name: str, other: str) -> Any:
        if value is not None and alias is not None:
            raise self._connection._error(
                "ProgrammingError",
                f"Cannot supply both '{name}' and '{other}'; pass one only.",
                errno=251007,
            )
        return alias if value is None else value

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        row = self.fetchone()
        if row is None:
            raise StopIteration
        return row

    def next(self) -> Any:
        """Give the next row, as Python 2 asked for it."""
        return self.__next__()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        self.close()


class DictCursor(SnowflakeCursor):
    """A cursor whose rows are dictionaries."""

    def _made(self, rows: list[tuple[Any, ...]]) -> list[Any]:
        names = self._answer.names()
        return [dict(zip(names, row, strict=True)) for row in rows]

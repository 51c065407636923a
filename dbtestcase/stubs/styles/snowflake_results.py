"""Results as Snowflake's cursors have and give them."""

from __future__ import annotations

import decimal
import importlib
import uuid
from collections.abc import Iterator
from typing import Any, NoReturn, Self

from ...errors import StubError
from ..answers import Answer
from ..connections import NOTHING, StubCursor
from ..statements import shortened, verb
from .snowflake_texts import interpolated

__all__ = ["Results", "id_of"]


class Results(StubCursor):
    """A cursor's answers: what it tells of them, and how their rows are fetched.

    :param connection: that made it.
    """

    # it has attributes of all kinds, as the real one has

    def __init__(self, connection: Any) -> None:
        super().__init__(connection)
        #: the last statement, and what of its parameters the connector puts into the text
        self._executed: tuple[str, Any] | None = None
        self._id: str | None = None
        self._count: int | None = None
        #: what the description is of, also after later statements have failed
        self._described: Answer = NOTHING
        self._fetched = -1
        #: the answers to several statements in one text, the ids of their queries and of them all
        self._several: list[Answer] = []
        self._ids: list[str] = []
        self._parent: str | None = None
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
        return self._description_of(self._described)

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
        if self._id == "":
            self._id = id_of(self._answer)
        return self._id

    @property
    def multi_statement_savedIds(self) -> list[str]:
        """The ids of several statements in one text."""
        return self._ids

    @property
    def multi_statement_parent_sfqid(self) -> str | None:
        """The id of all of several statements in one text."""
        return self._parent

    @property
    def query(self) -> str | None:
        """The text of the last statement, with the parameters that the connector puts into it."""
        return None if self._executed is None else interpolated(*self._executed)

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
        return verb(self._executed[0] if self._executed else "") in ("PUT", "GET")

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
        self._several, self._ids, self._parent = [], [], None
        if not closing:
            self._count = None

    def _take(self, answer: Answer, query: tuple[str, Any] | None, query_id: str = "") -> None:
        """Have this answer, as that to the last statement.

        :param query: the statement and its parameters, where the connector knows them.
        :param query_id: its id; by default one that is made when it is asked for.
        """
        self._answer, self._rows, self._position = answer, answer.rows, 0
        self._executed, self._id, self._fetched = query, query_id, -1
        self._count = self._rowcount()
        self._described = answer

    def _have(self, several: list[Answer]) -> None:
        """Have these answers, of which the first is taken already."""
        self._several, self._parent = several[1:], str(uuid.uuid4())
        self._ids = [id_of(each) for each in several]
        self._id = self._ids[0]

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

    def nextset(self) -> Self | None:
        """Go to the result of the next of several statements in one text.

        :returns: the cursor, None where there are no more.
        """
        self._check_open()
        if not self._several:
            return None
        answer = self._several.pop(0)
        self._take(answer, None, self._ids[-1 - len(self._several)])
        return self

    def scroll(self, value: int, mode: str = "relative") -> NoReturn:
        """Snowflake does not have it."""
        raise self._connection._error("NotSupportedError", "scroll is not supported")

    def fetch_pandas_all(self, **kwargs: Any) -> Any:
        """Give all rows as a ``DataFrame``, where pandas is installed.

        :raises StubError: values in a column that no type of Snowflake's has.
        """
        self._import("pandas")
        self._check_open()
        pyarrow = self._import("pyarrow")
        self._check_fetch()
        names = self._answer.names()
        rows = (self._rows or [])[self._position :]
        self._position += len(rows)
        columns = [self._column([row[place] for row in rows]) for place in range(len(names))]
        try:
            arrays = [pyarrow.array(each) for each in columns]
        except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError) as error:
            with self._connection._stub.noting():
                raise StubError(
                    f'the answer to "{shortened(self.query, 80)}" has a column whose values are '
                    f"not of one type, and no frame can be made of it ({error}). Give the column "
                    f"values of one type."
                ) from None
        kwargs.pop("force_microsecond_precision", None)
        return pyarrow.Table.from_arrays(arrays, names).to_pandas(**kwargs)

    def _column(self, values: list[Any]) -> list[Any]:
        """Give the values of a column as they come into a frame."""
        connection: Any = self._connection
        if connection._arguments.get("arrow_number_to_decimal"):
            return values
        return [float(v) if isinstance(v, decimal.Decimal) else v for v in values]

    def fetch_pandas_batches(self, **kwargs: Any) -> Iterator[Any]:
        """Give all rows as one ``DataFrame``, where pandas is installed."""
        yield self.fetch_pandas_all(**kwargs)

    def _import(self, package: str) -> Any:
        try:
            return importlib.import_module(package)
        except ModuleNotFoundError:
            style: Any = self._connection._style
            raise style.missing(package) from None

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


def id_of(answer: Answer) -> str:
    """Give the id of the query that an answer came from, a new one where the script has none."""
    return answer.query_id or str(uuid.uuid4())

"""Cursors that behave as ``SnowflakeCursor`` and ``DictCursor`` do."""

from __future__ import annotations

import contextlib
import importlib
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NoReturn, Self

from ..answers import Answer
from ..connections import NOTHING, StubCursor
from ..statements import verb
from .snowflake_texts import COUNT, interpolated, session_settings, shares, statements

__all__ = ["DictCursor", "SnowflakeCursor"]


class SnowflakeCursor(StubCursor):
    """A cursor that behaves as ``SnowflakeCursor`` does.

    :param connection: that made it.
    """

    # it has attributes of all kinds, as the real one has

    def __init__(self, connection: Any) -> None:
        super().__init__(connection)
        #: the last statement, and what of its parameters the connector puts into the text
        self._executed: tuple[str, Any] | None = None
        self._id: str | None = None
        self._count: int | None = None
        self._metadata: Any = None
        self._fetched = -1
        #: the answers to several statements in one text, the ids of their queries and of them all
        self._several: list[Answer] = []
        self._ids: list[str] = []
        self._parent: str | None = None
        self._settings: dict[str, Any] = {}
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
        if self._id == "":
            self._id = _id_of(self._answer)
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

    def set_statement_parameter(self, key: str, value: Any) -> None:
        """Set a parameter for all statements of the cursor."""
        self._check_open()
        self._settings[key] = value

    def execute(
        self,
        operation: str,
        parameters: Any = None,
        _is_put_get: bool | None = None,
        num_statements: int | None = None,
        _skip_upload_on_content_match: bool = False,
        *,
        params: Any = None,
        _force_qmark_paramstyle: bool = False,
        _statement_params: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Execute a statement, or several in one text where their number is told.

        :returns: the cursor.
        """
        self._check_open()
        parameters = self._one_of(parameters, params, "parameters", "params")
        self.reset()
        connection: Any = self._connection
        if isinstance(operation, str) and not operation.strip(" \t\n\r"):
            return self
        with self._writing("qmark" if _force_qmark_paramstyle else None):
            several = self._do(operation, parameters, num_statements, _statement_params)
            self._take(several[0], (operation, parameters if connection.is_pyformat else None))
            if len(several) > 1:
                self._have(several)
        return self

    @contextlib.contextmanager
    def _writing(self, paramstyle: str | None) -> Iterator[None]:
        """Have placeholders written in another way, where one is given."""
        connection: Any = self._connection
        before = connection.paramstyle
        try:
            self._set_paramstyle(paramstyle or before)
            yield
        finally:
            self._set_paramstyle(before)

    def _set_paramstyle(self, paramstyle: str) -> None:
        connection: Any = self._connection
        if paramstyle != connection.paramstyle:
            connection.paramstyle = paramstyle
            connection._tell_real(lambda real: setattr(real, "paramstyle", paramstyle))

    def _do(
        self, text: Any, params: Any, count: int | None, settings: Mapping[str, Any] | None = None
    ) -> list[Answer]:
        """Let the script answer each statement of a text.

        :param count: how many statements it was said to have, None where nobody said it.
        :param settings: of this call only.
        """
        connection: Any = self._connection
        params = self._check_parameters(text, params, many=False)
        if count is None:
            count = {**connection._settings, **self._settings, **(settings or {})}.get(COUNT, 1)
        try:
            found = statements(text, int(count))
        except ValueError as error:
            kind, text = "ProgrammingError", str(error)
            raise connection._error(kind, text, errno=8, sqlstate="0A000") from None
        if len(found) == 1:
            self._run(text, params)
            return [self._answer]
        answers = []
        for each, given in zip(found, shares(found, params, connection.paramstyle), strict=True):
            self._run(each, given)
            answers.append(self._answer)
        return answers

    def _run(self, statement: Any, params: Any, *, many: bool = False) -> None:
        super()._run(statement, params, many=many)
        connection: Any = self._connection
        connection._set(session_settings(statement))

    def _take(self, answer: Answer, query: tuple[str, Any] | None, query_id: str = "") -> None:
        """Have this answer, as that to the last statement.

        :param query: the statement and its parameters, where the connector knows them.
        :param query_id: its id; by default one that is made when it is asked for.
        """
        self._answer, self._rows, self._position = answer, answer.rows, 0
        self._executed, self._id, self._fetched = query, query_id, -1
        self._count = self._rowcount()
        # made when it is asked for, and kept when later statements fail
        self._metadata = lambda: self._description_of(answer)

    def _have(self, several: list[Answer]) -> None:
        """Have these answers, of which the first is taken already."""
        self._several, self._parent = several[1:], str(uuid.uuid4())
        self._ids = [_id_of(each) for each in several]
        self._id = self._ids[0]

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
        _force_qmark_paramstyle: bool = False,
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
        if not sets:
            return self
        if num_statements not in (None, 1):
            counts = [
                self.execute(operation, each, num_statements=num_statements).rowcount or 0
                for each in sets
            ]
            self._count = sum(counts)
            return self
        self.reset()
        with self._writing("qmark" if _force_qmark_paramstyle else None):
            sets = self._check_parameters(operation, sets, many=True)
            self._run(operation, sets, many=True)
            self._take(self._answer, (operation, None))
        return self

    def _check_parameters(self, text: str, params: Any, *, many: bool) -> Any:
        connection: Any = self._connection
        if many and not connection.is_pyformat and not isinstance(params[0], dict):
            # all go to the server at once, as columns
            size = len(params[0])
            for each in params:
                if len(each) != size:
                    raise connection._error(
                        "InterfaceError",
                        f"Bulk data size don't match. expected: {size}, got: {len(each)}, "
                        f"command: {text}",
                        errno=251007,
                    )
        return super()._check_parameters(text, params, many=many)

    def execute_async(
        self,
        command: str,
        params: Any = None,
        num_statements: int | None = None,
        *,
        _statement_params: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Execute a statement at once, and give its id; ``get_results_from_sfqid()`` takes it."""
        self._check_open()
        self.reset()
        several = self._do(command, params, num_statements, _statement_params)
        self._answer, self._rows, self._executed, self._metadata = NOTHING, None, None, None
        self._id = _id_of(several[0])
        style: Any = self._connection._style
        style.waiting[self._id] = several
        return {"queryId": self._id}

    def get_results_from_sfqid(self, sfqid: str) -> None:
        """Give the rows of what ``execute_async()`` has executed."""
        self._check_open()
        style: Any = self._connection._style
        # the rows can be asked for once, so that nothing is kept of what was fetched
        several = style.waiting.pop(sfqid, None)
        if several is None:
            raise self._connection._error("ProgrammingError", f"Query {sfqid} failed", errno=-1)
        self.reset()
        self._take(several[0], None, sfqid)
        if len(several) > 1:
            self._have(several)

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


def _id_of(answer: Answer) -> str:
    return answer.query_id or str(uuid.uuid4())


class DictCursor(SnowflakeCursor):
    """A cursor whose rows are dictionaries."""

    def _made(self, rows: list[tuple[Any, ...]]) -> list[Any]:
        names = self._answer.names()
        return [dict(zip(names, row, strict=True)) for row in rows]

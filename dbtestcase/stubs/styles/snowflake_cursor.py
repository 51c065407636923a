"""Cursors that behave as ``SnowflakeCursor`` and ``DictCursor`` do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

from ..answers import Answer
from ..connections import NOTHING
from .snowflake_results import Results, id_of
from .snowflake_texts import COUNT, session_settings, shares, statements

__all__ = ["DictCursor", "SnowflakeCursor"]


class SnowflakeCursor(Results):
    """A cursor that behaves as ``SnowflakeCursor`` does.

    :param connection: that made it.
    """

    def __init__(self, connection: Any) -> None:
        super().__init__(connection)
        self._settings: dict[str, Any] = {}

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
        with self._in_qmark() if _force_qmark_paramstyle else contextlib.nullcontext():
            several = self._do(operation, parameters, num_statements, _statement_params)
            self._take(several[0], (operation, parameters if connection.is_pyformat else None))
            if len(several) > 1:
                self._have(several)
        return self

    @contextlib.contextmanager
    def _in_qmark(self) -> Iterator[None]:
        """Have placeholders written as question marks."""
        connection: Any = self._connection
        before = connection.paramstyle
        try:
            self._set_paramstyle("qmark")
            yield
        finally:
            self._set_paramstyle(before)

    def _set_paramstyle(self, paramstyle: str) -> None:
        connection: Any = self._connection
        if paramstyle != connection.paramstyle:
            connection.paramstyle = paramstyle
            connection._tell_real(lambda real: setattr(real, "paramstyle", paramstyle))

    def _statements(
        self, text: str, count: int | None, settings: Mapping[str, Any] | None = None
    ) -> list[str]:
        """Give the statements of a text.

        :param count: how many it was said to have, None where nobody said it.
        :param settings: of this call only.
        """
        connection: Any = self._connection
        text = connection._style.text(text)
        if count is None:
            count = 1
            if connection._settings or self._settings or settings:
                given = {**connection._settings, **self._settings, **(settings or {})}
                count = int(given.get(COUNT, 1))
        if count == 1 and ";" not in text:
            return [text]
        try:
            with connection._stub.noting():
                return statements(text, count)
        except ValueError as error:
            kind, told = "ProgrammingError", str(error)
            raise connection._error(kind, told, errno=8, sqlstate="0A000") from None

    def _do(
        self, text: str, params: Any, count: int | None, settings: Mapping[str, Any] | None
    ) -> list[Answer]:
        """Let the script answer each statement of a text."""
        connection: Any = self._connection
        params = self._check_parameters(text, params, many=False)
        found = self._statements(text, count, settings)
        given = shares(found, params, connection.paramstyle) if len(found) > 1 else [params]
        answers = []
        for each, share in zip(found, given, strict=True):
            self._run(each, share)
            answers.append(self._answer)
        return answers

    def _run(self, statement: Any, params: Any, *, many: bool = False) -> None:
        super()._run(statement, params, many=many)
        connection: Any = self._connection
        connection._set(session_settings(statement))

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
        self.reset()
        with self._in_qmark() if _force_qmark_paramstyle else contextlib.nullcontext():
            if len(self._statements(operation, num_statements)) > 1:
                counts = []
                for each in sets:
                    self.execute(operation, each, num_statements=num_statements)
                    counts.append(self._count or 0)
                self._count = sum(counts)
                return self
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
        self._answer, self._rows, self._executed, self._described = NOTHING, None, None, NOTHING
        self._id = id_of(several[0])
        connection: Any = self._connection
        connection._style.keep_results(self._id, several, connection._stub.keep_history)
        return {"queryId": self._id}

    def get_results_from_sfqid(self, sfqid: str) -> None:
        """Give the rows of what ``execute_async()`` has executed."""
        self._check_open()
        connection: Any = self._connection
        several = connection._style.results_of(sfqid)
        self.reset()
        self._take(several[0], None, sfqid)
        if len(several) > 1:
            self._have(several)

    def callproc(self, procname: str, args: Any = None) -> Any:
        """Call a procedure; the script knows it as ``CALL name(%s)``."""
        args = () if args is None else args
        if isinstance(args, str | bytes) or not isinstance(args, Sequence):
            raise TypeError(
                f"callproc args must be a sequence (e.g. list or tuple), not {type(args).__name__}"
            )
        connection: Any = self._connection
        mark = {"qmark": "?", "numeric": ":{}"}.get(connection.paramstyle, "%s")
        marks = ", ".join(mark.format(number) for number in range(1, len(args) + 1))
        self.execute(f"CALL {procname}({marks})", args)
        return args

    def _one_of(self, value: Any, alias: Any, name: str, other: str) -> Any:
        if value is not None and alias is not None:
            raise self._connection._error(
                "ProgrammingError",
                f"Cannot supply both '{name}' and '{other}'; pass one only.",
                errno=251007,
            )
        return alias if value is None else value

class DictCursor(SnowflakeCursor):
    """A cursor whose rows are dictionaries."""

    def _made(self, rows: list[tuple[Any, ...]]) -> list[Any]:
        names = self._answer.names()
        return [dict(zip(names, row, strict=True)) for row in rows]

"""Connections that behave as those of ``snowflake-connector-python`` do."""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Generator, Iterable, Mapping, Sized
from typing import TYPE_CHECKING, Any, Self

from ...errors import StubError
from ..answers import Answer
from ..connections import StubConnection
from ..pep249 import Errors
from ..statements import verb
from . import Style, unstubbed
from .snowflake_cursor import DictCursor, SnowflakeCursor
from .snowflake_texts import cut
from .snowflake_values import STATUS, UPDATED, describe, unbindable

if TYPE_CHECKING:
    from ..stub import ConnectionStub

__all__ = ["make"]

_PACKAGE = "snowflake.connector"


def _given(name: str) -> Any:
    def get(connection: SnowflakeConnection) -> Any:
        return connection._arguments.get(name)

    get.__doc__ = f"What ``connect()`` was given as ``{name}``."
    return property(get)


class SnowflakeConnection(StubConnection):
    """A connection that behaves as ``SnowflakeConnection`` does."""

    # it has attributes of all kinds, as the real one has

    account = _given("account")
    user = _given("user")
    host = _given("host")
    port = _given("port")
    database = _given("database")
    schema = _given("schema")
    warehouse = _given("warehouse")
    role = _given("role")
    proxy_host = _given("proxy_host")
    proxy_port = _given("proxy_port")
    proxy_user = _given("proxy_user")
    proxy_password = _given("proxy_password")
    login_timeout = _given("login_timeout")
    network_timeout = _given("network_timeout")
    application = _given("application")

    def __init__(
        self, stub: ConnectionStub, style: Style, arguments: Mapping[str, Any], number: int
    ) -> None:
        super().__init__(stub, style, arguments, number)
        #: of the session; Snowflake's own defaults are not in it
        self._settings: dict[str, Any] = {}
        self._auto = True
        self._set(arguments.get("session_parameters") or {})
        if arguments.get("autocommit") is not None:
            self._auto = bool(arguments["autocommit"])
        self.paramstyle = arguments.get("paramstyle") or _default_paramstyle()
        #: Errors and warnings of the connection, which a stub has none of.
        self.messages: list[Any] = []

    def _check(self) -> None:
        if self._closed:
            raise self._error(
                "DatabaseError", "Connection is closed.", errno=250002, sqlstate="08003"
            )

    def _autocommits(self) -> bool:
        return self._auto

    def _set(self, settings: Mapping[str, Any]) -> None:
        """Note settings of the session."""
        for name, value in settings.items():
            self._settings[name.upper()] = value
            if name.upper() == "AUTOCOMMIT":
                self._auto = str(value).lower() in ("true", "on", "1")

    @property
    def paramstyle(self) -> str:
        """How placeholders are written: ``format``, ``numeric``, ``pyformat`` or ``qmark``."""
        return self._paramstyle

    @paramstyle.setter
    def paramstyle(self, value: str) -> None:
        if not isinstance(value, str):
            raise self._error(
                "ProgrammingError",
                f"paramstyle must be str or ParamStyle, got {type(value).__name__}",
            )
        known = ("format", "numeric", "pyformat", "qmark")
        style = str(value).strip().lower()
        if style not in known:
            raise self._error(
                "ProgrammingError",
                f"Invalid paramstyle: {value!r}. Supported: {', '.join(known)}",
            )
        self._paramstyle = style

    @property
    def is_pyformat(self) -> bool:
        """Whether parameters are put into the text by the connector."""
        return self.paramstyle in ("pyformat", "format")

    @property
    def expired(self) -> bool:
        """Whether the session has expired, which one of a stub never has."""
        return False

    @property
    def session_id(self) -> int:
        """The number of the session."""
        return self._number

    def is_closed(self) -> bool:
        """Tell whether the connection is closed."""
        return self._closed

    def is_valid(self) -> bool:
        """Tell whether statements can be sent."""
        return not self._closed

    def is_expired(self) -> bool:
        """Tell whether the session has expired."""
        return False

    def close(self, retry: bool = True) -> None:
        """Close the connection."""
        self._close()

    def commit(self) -> None:
        """Commit."""
        self._check()
        self._commit()

    def rollback(self) -> None:
        """Roll back."""
        self._check()
        self._rollback()

    def autocommit(self, value: bool) -> None:
        """Set whether each statement is committed by itself."""
        self.set_autocommit(value)

    def set_autocommit(self, autocommit: bool) -> None:
        """Set whether each statement is committed by itself."""
        self._check()
        if not isinstance(autocommit, bool):
            raise self._error(
                "ProgrammingError", f"Invalid autocommit parameter: {autocommit!r}", errno=251007
            )
        self._auto = autocommit
        self._tell_real(lambda real: real.set_autocommit(autocommit))

    def get_autocommit(self) -> bool:
        """Tell whether each statement is committed by itself."""
        return self._auto

    def get_query_status(self, sf_qid: str) -> Any:
        """Tell the state of what ``execute_async()`` was given, which is done at once."""
        style: Any = self._style
        style.results_of(sf_qid)
        return importlib.import_module(f"{_PACKAGE}.constants").QueryStatus.SUCCESS

    def get_query_status_throw_if_error(self, sf_qid: str) -> Any:
        """Tell the same: what has failed raised its error at once."""
        return self.get_query_status(sf_qid)

    @staticmethod
    def is_still_running(status: Any) -> bool:
        """Tell whether a state is that of a query which goes on."""
        real: Any = _from_connector("SnowflakeConnection")
        return bool(real.is_still_running(status))

    @staticmethod
    def is_an_error(status: Any) -> bool:
        """Tell whether a state is that of a query which has failed."""
        real: Any = _from_connector("SnowflakeConnection")
        return bool(real.is_an_error(status))

    def cursor(self, cursor_class: Any = None) -> Any:
        """Make a cursor.

        :param cursor_class: the connector's ``SnowflakeCursor``, by default, or ``DictCursor``.
        """
        self._check()
        self._stub.check_running()
        with self._stub.noting():
            return _kind_of(cursor_class)(self)

    def execute_string(
        self,
        sql_text: str,
        remove_comments: bool = False,
        return_cursors: bool = True,
        cursor_class: Any = None,
        **kwargs: Any,
    ) -> list[Any]:
        """Execute several statements; the script answers each by itself.

        :returns: a cursor for each.
        """
        made = list(self._stream(sql_text, remove_comments, cursor_class, kwargs))
        return made if return_cursors else []

    def execute_stream(
        self,
        stream: Any,
        remove_comments: bool = False,
        cursor_class: Any = None,
        **kwargs: Any,
    ) -> Generator[Any, None, None]:
        """Execute the statements of a stream, one by one as they are asked for."""
        yield from self._stream(stream.read(), remove_comments, cursor_class, kwargs)

    def _stream(
        self, text: str, remove_comments: bool, cursor_class: Any, options: Mapping[str, Any]
    ) -> Generator[Any, None, None]:
        for statement in cut(text, remove_comments):
            yield self.cursor(cursor_class).execute(statement, **options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: object, traceback: object) -> None:
        try:
            if not self._closed and not self._auto:
                if kind is None:
                    self.commit()
                else:
                    self.rollback()
        finally:
            self.close()


class SnowflakeStyle(Style):
    """``snowflake-connector-python``."""

    name = "snowflake"
    connection = SnowflakeConnection

    def connect(
        self, stub: ConnectionStub, args: tuple[Any, ...], kwargs: Mapping[str, Any], number: int
    ) -> StubConnection:
        if args:
            raise TypeError(
                f"{stub.name}() takes keyword arguments only, and was given {len(args)} by place"
            )
        return super().connect(stub, args, kwargs, number)

    def error(self, name: str, text: str, **details: Any) -> Exception:
        kind = self.errors[name]
        # the stand-ins of a missing connector take a text only
        return kind(text, **details) if kind.__module__.startswith(_PACKAGE) else kind(text)

    def __init__(self, errors: Errors) -> None:
        super().__init__(errors)
        self._results: dict[str, list[Answer]] = {}

    def keep_results(self, query_id: str, answers: list[Answer], keep: int | None) -> None:
        """Keep the answers to what was executed asynchronously.

        :param keep: how many of these, None for all.
        """
        self._results[query_id] = answers
        while keep is not None and len(self._results) > max(keep, 1):
            del self._results[next(iter(self._results))]

    def results_of(self, query_id: str) -> list[Answer]:
        """Give the answers to what was executed asynchronously.

        :raises ProgrammingError: of the connector, as nothing was executed by this id.
        """
        try:
            return self._results[query_id]
        except KeyError:
            raise self.error("ProgrammingError", f"Query {query_id} failed", errno=-1) from None

    def missing(self, package: str) -> Exception:
        """Make the error for a package that the connector wants and that is not installed."""
        return self.error(
            "ProgrammingError",
            f"Optional dependency: '{package}' is not installed, please see the following link for "
            f"install instructions: "
            f"https://docs.snowflake.com/en/user-guide/python-connector-pandas.html#installation",
            errno=255002,
        )

    def describe(self, answer: Answer) -> Any:
        return describe(answer)

    def prepare(self, answer: Answer, statement: str, params: Any, many: bool) -> Answer:
        """Give the row that Snowflake answers a statement which is no query with."""
        if answer.rows is not None:
            return answer
        count = answer.rowcount
        word = verb(statement)
        if word in UPDATED and count is not None:
            row: tuple[Any, ...] = (count,)
            name = UPDATED[word]
        else:
            row, name = (STATUS,), "status"
            count = 1 if count is None else count
        return Answer([row], (name,), count, answer.lastrowid, answer.query_id)

    def named(self, name: str, statement: str) -> str:
        # Snowflake has those in capitals that are not quoted
        return name if f'"{name}"' in statement else name.upper()

    def describes_as(self, driver: str) -> bool:
        return driver == "snowflake"

    def check_parameters(self, connection: Any, text: str, params: Any) -> None:
        if params is None:
            return
        given = connection.paramstyle
        if given != "pyformat" and isinstance(params, dict):
            why = (
                "Dict parameters not supported with format paramstyle. Use pyformat paramstyle for "
                "named parameters, or use a sequence."
                if given == "format"
                else "Named parameters (dict) not supported with qmark/numeric paramstyle. Use "
                "pyformat paramstyle for named parameters."
            )
            raise self.error("ProgrammingError", why, errno=251007)
        if not connection.is_pyformat:
            len(params)  # the server has the placeholders, and refuses what does not fit
            self._check_values(params, on_server=True)
            return
        if not isinstance(params, Iterable):
            raise TypeError(f"'{type(params).__name__}' object is not iterable")
        if isinstance(params, Sized) and len(params):
            is_mapping = isinstance(params, Mapping)
            values: Iterable[Any] = params
            if isinstance(params, Mapping):
                values = params.values()
            self._check_values(values, on_server=False)
            # values are texts of SQL by then
            text % (dict.fromkeys(params, "") if is_mapping else ("",) * len(params))

    def _check_values(self, values: Iterable[Any], *, on_server: bool) -> None:
        kind = unbindable(values, on_server=on_server)
        if kind is not None:
            raise self.error(
                "ProgrammingError",
                f"Binding data in type ({kind}) is not supported. Convert the value to a "
                f"supported Python type (str, int, float, bool, bytes, "
                f"date/datetime/time/timedelta) before binding it.",
                errno=255001,
            )

    def connection_class(self) -> type | None:
        return _from_connector("SnowflakeConnection")

    def cursor_class(self, stub: type) -> type | None:
        return _from_connector(stub.__name__)


def _kind_of(cursor_class: Any) -> type[SnowflakeCursor]:
    name = "SnowflakeCursor" if cursor_class is None else cursor_class.__name__
    module = getattr(cursor_class, "__module__", _PACKAGE)
    kind = {"SnowflakeCursor": SnowflakeCursor, "DictCursor": DictCursor}.get(name)
    if kind is None or not str(module).startswith((_PACKAGE, __name__.rpartition(".")[0])):
        raise StubError(
            f"a cursor of class {name} was asked for, and the stub of a connection plays only "
            f"SnowflakeCursor and DictCursor. Replace the code that needs this class in the test."
        )
    return kind


def _default_paramstyle() -> str:
    # programs set it on the module, as the connector's documentation tells them
    connector = sys.modules.get(_PACKAGE)
    return str(vars(connector).get("paramstyle", "pyformat")) if connector else "pyformat"


def _from_connector(name: str) -> type | None:
    connector = sys.modules.get(_PACKAGE)
    return unstubbed(vars(connector).get(name)) if connector else None


def make(driver: types.ModuleType | None) -> Style:
    """Make the style, with the connector's exceptions where it is imported."""
    connector = sys.modules.get(_PACKAGE)
    return SnowflakeStyle(Errors(vars(connector) if connector else {}))

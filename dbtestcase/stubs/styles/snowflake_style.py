"""Connections that behave as those of ``snowflake-connector-python`` do."""

from __future__ import annotations

import importlib
import io
import sys
import types
from collections.abc import Generator, Iterable, Mapping, Sized
from typing import TYPE_CHECKING, Any, Self

from ...errors import StubError
from ..answers import Answer
from ..connections import StubConnection
from ..pep249 import Errors
from ..statements import is_empty, split, verb
from . import Style, unstubbed
from .snowflake_cursor import DictCursor, SnowflakeCursor
from .snowflake_values import STATUS, UPDATED, describe

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
        # Snowflake's own default; the program's is sent when it connects
        self._auto = bool(arguments.get("autocommit", True))
        #: How placeholders are written: ``pyformat``, ``qmark`` or another.
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

    def cursor(self, cursor_class: Any = None) -> Any:
        """Make a cursor.

        :param cursor_class: the connector's ``SnowflakeCursor``, by default, or ``DictCursor``.
        """
        self._check()
        self._stub.check_running()
        name = "SnowflakeCursor" if cursor_class is None else cursor_class.__name__
        module = getattr(cursor_class, "__module__", _PACKAGE)
        kind = {"SnowflakeCursor": SnowflakeCursor, "DictCursor": DictCursor}.get(name)
        if kind is None or not str(module).startswith((_PACKAGE, __name__.rpartition(".")[0])):
            raise StubError(
                f"a cursor of class {name} was asked for, and the stub of a connection plays only "
                f"SnowflakeCursor and DictCursor. Replace the code that needs this class in the "
                f"test."
            )
        return kind(self)

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
        for statement in _statements(text, remove_comments):
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
        #: the answers to what was executed asynchronously, by the ids of the queries
        self.waiting: dict[str, Answer] = {}

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

    def text(self, statement: Any) -> str:
        if isinstance(statement, str):
            return statement
        raise TypeError(f"execute() needs the text of a statement, not {type(statement).__name__}")

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
            return
        if not isinstance(params, Iterable):
            raise TypeError(f"'{type(params).__name__}' object is not iterable")
        if isinstance(params, Sized) and len(params):
            is_mapping = isinstance(params, Mapping)
            # values are texts of SQL by then
            text % (dict.fromkeys(params, "") if is_mapping else ("",) * len(params))

    def connection_class(self) -> type | None:
        return _from_connector("SnowflakeConnection")

    def cursor_class(self, stub: type) -> type | None:
        return _from_connector(stub.__name__)


def _statements(text: str, remove_comments: bool) -> list[str]:
    """Cut a script as the connector does, with its own function where it is installed."""
    try:
        theirs: Any = importlib.import_module(f"{_PACKAGE}.util_text")
    except ImportError:
        return [each for each in split(text) if not is_empty(each)]
    found = theirs.split_statements(io.StringIO(text), remove_comments)
    return [each for each, _ in found if each]


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

"""What a real driver answered, written to a file, and given again from it.

The file is JSON: a list of executions, each with its statement, its parameters and either a result
or an error. What was given to ``connect()`` is not in it, and where a password from there turns up
in what would be written, it is taken out of messages and otherwise refused.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Self
from urllib.parse import unquote

from ..errors import StubError
from .answers import Answer
from .backing import execute
from .connections import StubConnection
from .expectations import NO_PARAMETERS
from .patching import StubbedConnect, for_real
from .statements import canonical, shortened
from .values import from_json, to_json

if TYPE_CHECKING:
    from os import PathLike

    from .stub import ConnectionStub

__all__ = ["Recording", "replay"]

#: Of the format of the file.
VERSION = 1

#: What of an error is kept besides its text.
_DETAILS = ("errno", "sqlstate", "pgcode", "pgerror", "sqlite_errorcode", "sqlite_errorname")


class Recording:
    """Lets a real driver answer, and keeps what it answers until it is written.

    :param stub: whose connections are backed by real ones.
    :param connect: the driver's function.
    :param path: of the file.
    """

    same_driver = True

    def __init__(
        self, stub: ConnectionStub, connect: Callable[..., Any], path: str | PathLike[str]
    ) -> None:
        if not callable(connect):
            raise StubError(
                f"record() was given {shortened(connect, 80)}, which cannot be called. Give the "
                f"driver's function that connects, and then the path of the file."
            )
        self._stub, self._path = stub, Path(path)
        if not self._path.parent.is_dir() or self._path.is_dir():
            what = "is a folder" if self._path.is_dir() else "is in a folder that is not there"
            raise StubError(
                f"{path} {what}, so nothing can be recorded in it. Give record() the path of a "
                f"file, in a folder that is there."
            )
        # once the stub runs, the driver's function is the stub's own wherever it is held
        self._connect = connect.original if isinstance(connect, StubbedConnect) else connect
        self._executed: list[dict[str, Any]] = []
        self._secrets: set[str] = set()

    def opened(self, connection: StubConnection, args: Any, kwargs: Any) -> None:
        """Connect for real, with what the program gave."""
        self._secrets.update(secrets_in(args, kwargs))
        with for_real():
            connection._real = self._connect(*args, **kwargs)

    def answer(self, connection: StubConnection, text: str, params: Any, many: bool) -> Answer:
        """Let the real connection execute a statement, and keep its answer."""
        entry: dict[str, Any] = {"statement": text}
        if params is not NO_PARAMETERS:
            entry["params"] = self._written(text, params)
        if many:
            entry["many"] = True
        try:
            found = execute(connection._real, text, params, many)
        except Exception as error:
            is_answer = connection._style.errors.like(error) is not None
            # what the driver refuses by itself, the stub refuses as well when this is replayed
            if is_answer and not _is_refused(connection, text, params, many):
                entry["error"] = _error_to_json(error)
                self._executed.append(entry)
            raise
        entry["result"] = {
            "rows": self._written(text, found.rows),
            "columns": [_column_to_json(column) for column in found.columns],
            "rowcount": found.rowcount,
            "lastrowid": found.lastrowid if isinstance(found.lastrowid, int) else None,
        }
        self._executed.append(entry)
        return found

    def _written(self, text: str, value: Any) -> Any:
        try:
            return to_json(value)
        except StubError as error:
            raise StubError(f'"{shortened(text, 80)}" cannot be recorded: {error}') from None

    def write(self) -> None:
        """Write the file, in the place of an older one.

        :raises StubError: a secret would be in it.
        """
        for entry in self._executed:
            self._check(entry)
        content = {
            "dbtestcase": VERSION,
            "style": self._stub.style.name,
            "executed": self._executed,
        }
        # never half a file, whatever happens
        temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            temporary.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", "utf-8")
            temporary.replace(self._path)
        finally:
            temporary.unlink(missing_ok=True)

    def _check(self, entry: dict[str, Any]) -> None:
        if error := entry.get("error"):
            for name, value in error.items():
                if isinstance(value, str):
                    error[name] = self._without_secrets(value)
        for name, text in _texts({k: v for k, v in entry.items() if k != "error"}):
            for secret in self._secrets:
                # short ones are in every text
                if text == secret or (len(secret) > 3 and secret in text):
                    raise StubError(
                        f"{self._path} is not written, as the "
                        f"{'answer to' if name == 'result' else name + ' of'} "
                        f'"{shortened(self._without_secrets(entry["statement"]), 80)}" holds what '
                        f"connect() was given as a password or another secret. Record with "
                        f"another one, or script this statement by stub.on()."
                    )

    def _without_secrets(self, text: str) -> str:
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, "***") if len(secret) > 3 or text == secret else text
        return text


def _is_refused(connection: StubConnection, text: str, params: Any, many: bool) -> bool:
    try:
        for each in params if many else (() if params is NO_PARAMETERS else params,):
            connection._style.check_parameters(connection, text, each)
    except Exception:
        return True
    return False


def replay(stub: ConnectionStub, path: Path) -> None:
    """Expect each execution of a recording, and answer it as it was answered.

    :raises StubError: there is no such file, it is no recording, or one of another style.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
        version, style = content["dbtestcase"], content["style"]
        if version == VERSION:
            executed = [_Played.read(stub, entry) for entry in content["executed"]]
    except FileNotFoundError:
        raise StubError(
            f"there is no recording {path}. Make it by stub.record(connect, path), with the "
            f"driver's real connect, where its database can be reached."
        ) from None
    except (ArithmeticError, KeyError, OSError, TypeError, ValueError) as error:
        raise StubError(
            f"{path} is no recording that this version can read ({_said(error)}). Make it anew by "
            f"stub.record(connect, path)."
        ) from None
    if version != VERSION:
        raise StubError(
            f"{path} was recorded by another version of the library. Make it anew by "
            f"stub.record(connect, path)."
        )
    if style != stub.style.name:
        raise StubError(
            f'{path} was recorded on connections of the style "{style}", and those of the stub of '
            f'{stub.name} have the style "{stub.style.name}". Replay it on a stub of the same '
            f'driver, or with style="{style}".'
        )
    groups: dict[Any, list[_Played]] = {}
    for each in executed:
        groups.setdefault((canonical(each.statement), each.key), []).append(each)
    for group in groups.values():
        expected = stub.on(group[0].statement, params=group[0].params)
        for each in group:
            expected.gives(each.give)


@dataclasses.dataclass(slots=True)
class _Played:
    """An execution of a recording.

    :param key: tells which parameters are the same.
    :param give: makes its answer.
    """

    statement: str
    params: Any
    key: str
    give: Callable[[Any], Answer]

    @classmethod
    def read(cls, stub: ConnectionStub, entry: Mapping[str, Any]) -> Self:
        """Read one from JSON, all of it, so that what cannot be read is told at once."""
        statement = entry["statement"]
        if not isinstance(statement, str):
            raise TypeError(f"a statement is {statement!r:.80}")
        params = from_json(entry["params"]) if "params" in entry else NO_PARAMETERS
        key = json.dumps(entry.get("params", 0), sort_keys=True)
        if "error" in entry:
            error = entry["error"]
            _error_from_json(stub, error)
            return cls(statement, params, key, lambda params: _raised(stub, error))
        result = entry["result"]
        columns = tuple(c if isinstance(c, str) else tuple(c) for c in result["columns"])
        rows, count, last = result["rows"], result["rowcount"], result["lastrowid"]
        _check_rows(from_json(rows), columns)

        def give(params: Any) -> Answer:
            # read anew each time, as the program may change a list or dictionary in a row
            return Answer(from_json(rows), columns, count, last)

        return cls(statement, params, key, give)


def _check_rows(rows: Any, columns: tuple[Any, ...]) -> None:
    if rows is None:
        return
    for row in rows:
        if not isinstance(row, tuple) or len(row) != len(columns):
            raise ValueError(f"{row!r:.80} is no row of {len(columns)} columns")


def _raised(stub: ConnectionStub, entry: dict[str, Any]) -> NoReturn:
    raise _error_from_json(stub, entry)


def _said(error: Exception) -> str:
    return f"it has no {error}" if type(error) is KeyError else f"{type(error).__name__}: {error}"


def _column_to_json(column: Any) -> Any:
    """Give the seven items of a description, only the name where a driver has classes for types."""
    if all(item is None or type(item) in (str, int, bool) for item in column):
        return list(column)
    return column[0]


def _error_to_json(error: Exception) -> dict[str, Any]:
    kind = type(error)
    details = {name: getattr(error, name, None) for name in _DETAILS}
    return {
        "module": kind.__module__,
        "class": kind.__qualname__,
        # Snowflake's errors put their number before what they were given
        "message": str(getattr(error, "raw_msg", None) or error),
        **{k: v for k, v in details.items() if type(v) in (str, int)},
    }


def _error_from_json(stub: ConnectionStub, entry: dict[str, Any]) -> Exception:
    details = {name: entry[name] for name in _DETAILS if name in entry}
    kind = _class_of_error(stub, entry)
    if "errno" in details:
        try:
            return kind(entry["message"], **details)
        except TypeError:  # the connector is not installed here
            return kind(entry["message"])
    error = kind(entry["message"])
    restore = getattr(error, "__setstate__", None)
    if "pgcode" in details and restore is not None:
        restore(details)
    elif "sqlite_errorcode" in details:
        vars(error).update(details)
    return error


def _class_of_error(stub: ConnectionStub, entry: dict[str, Any]) -> type[Exception]:
    module = sys.modules.get(entry["module"])
    found: Any = vars(module).get(entry["class"]) if module is not None else None
    if isinstance(found, type) and issubclass(found, stub.style.errors["Error"]):
        return found
    try:
        return stub.style.errors[entry["class"]]
    except KeyError:
        return stub.style.errors["DatabaseError"]


def _texts(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Give each text in an entry with the part of it that it is in."""
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each, name)
    elif isinstance(value, dict):
        if value.get("$") in ("bytes", "bytearray", "memoryview"):
            yield name, bytes(from_json(value)).decode("latin-1")
        for key, each in value.items():
            yield name, key
            yield from _texts(each, name or key)


_SECRET = re.compile(r"passw|passphrase|passcode|pwd|token|secret|private_key|credential", re.I)
_IN_DSN = re.compile(r"(?:password|passwd|pwd)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|([^\s;&]+))", re.I)
_IN_URL = re.compile(r"://[^/@:]*:([^@/]*)@")


def secrets_in(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> set[str]:
    """Find the secrets in what was given to ``connect()``.

    >>> sorted(secrets_in(("dbname=shop password=geheim",), {"proxy_password": "auch"}))
    ['auch', 'geheim']

    :returns: each as a text; of bytes one character for each byte.
    """
    found: set[str] = set()
    for value in itertools.chain(args, kwargs.values()):
        if isinstance(value, str):
            for quoted, plain in _IN_DSN.findall(value):
                found.add(quoted or plain)
            for password in _IN_URL.findall(value):
                found.update((password, unquote(password)))
        elif isinstance(value, Mapping):
            found |= secrets_in((), {str(key): each for key, each in value.items()})
    for name, value in kwargs.items():
        if _SECRET.search(name):
            if isinstance(value, str):
                found.add(value)
            elif isinstance(value, bytes | bytearray):
                found.add(bytes(value).decode("latin-1"))
    return found - {""}

"""What a real driver answered, written to a file, and given again from it.

The file is JSON: a list of executions, each with its statement, its parameters and either a result
or an error. What was given to ``connect()`` is not in it, and where a password from there turns up
in what would be written, it is taken out of messages and otherwise refused.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from ..errors import StubError
from .answers import Answer
from .backing import execute
from .connecting import StubbedConnect, for_real
from .connections import StubConnection
from .expectations import NO_PARAMETERS
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
            if connection._style.errors.like(error) is not None:
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


def replay(stub: ConnectionStub, path: Path) -> None:
    """Expect each execution of a recording, and answer it as it was answered.

    :raises StubError: there is no such file, or it is no recording.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
        executed = content["executed"] if content["dbtestcase"] == VERSION else None
    except FileNotFoundError:
        raise StubError(
            f"there is no recording {path}. Make it by stub.record(connect, path), with the "
            f"driver's real connect, where its database can be reached."
        ) from None
    except (ValueError, KeyError, TypeError):
        executed = None
    if not isinstance(executed, list):
        raise StubError(
            f"{path} is no recording that this version can read. Make it anew by "
            f"stub.record(connect, path)."
        )
    groups: dict[Any, list[dict[str, Any]]] = {}
    for entry in executed:
        key = (canonical(entry["statement"]), json.dumps(entry.get("params", 0), sort_keys=True))
        groups.setdefault(key, []).append(entry)
    for group in groups.values():
        first = group[0]
        params = from_json(first["params"]) if "params" in first else NO_PARAMETERS
        expected = stub.on(first["statement"], params=params)
        for entry in group:
            expected.gives(_giver(stub, entry))


def _giver(stub: ConnectionStub, entry: dict[str, Any]) -> Callable[[Any], Answer]:
    def give(params: Any) -> Answer:
        if "error" in entry:
            raise _error_from_json(stub, entry["error"])
        result = entry["result"]
        columns = tuple(c if isinstance(c, str) else tuple(c) for c in result["columns"])
        rows = from_json(result["rows"])
        return Answer(rows, columns, result["rowcount"], result["lastrowid"])

    return give


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

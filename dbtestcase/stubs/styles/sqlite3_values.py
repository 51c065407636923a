"""Statements, parameters and rows as ``sqlite3`` has them, without a connection to ask."""

from __future__ import annotations

import functools
import re
import sqlite3
from collections.abc import Mapping
from typing import Any

from ..statements import is_empty, pieces, split
from . import unstubbed

__all__ = ["check_parameters", "check_single", "described", "statements"]

_MARK = re.compile(r"\?(?P<number>\d*)|[:@$]\w+")
#: The flag of classes that nobody can change, as those of C's are.
_IMMUTABLE = 1 << 8

_PLAIN = frozenset({bool, bytearray, bytes, float, int, memoryview, str, type(None)})


@functools.lru_cache(maxsize=1024)
def statements(script: str) -> tuple[str, ...]:
    """Cut a script into its statements; those of a trigger are in one of them.

    >>> statements("select 1; create trigger t after insert on a begin select 2; end; -- done")
    ('select 1', 'create trigger t after insert on a begin select 2; end')

    :param script: statements with semicolons between them.
    """
    found: list[str] = []
    current = ""
    for each in split(script):
        current = f"{current}; {each}" if current else each
        # the line break ends a comment
        if sqlite3.complete_statement(f"{current}\n;"):
            if not is_empty(current):
                found.append(current)
            current = ""
    return (*found, current) if current else tuple(found)


def check_single(statement: str) -> None:
    """Refuse several statements in one text.

    :raises sqlite3.ProgrammingError: there are several.
    """
    if len(statements(statement)) > 1:
        raise sqlite3.ProgrammingError("You can only execute one statement at a time.")


def check_parameters(statement: str, params: Any) -> None:
    """Refuse what the driver refuses before the database has executed anything.

    >>> check_parameters("select ?", (1, 2))
    Traceback (most recent call last):
        ...
    sqlite3.ProgrammingError: Incorrect number of bindings supplied. The current statement uses 1, \
and there are 2 supplied.

    :param params: of one execution.
    """
    names = _names(statement)
    kind = type(params)
    if kind is not tuple and kind is not list:
        if isinstance(params, Mapping):
            _check_named(names, params)
            return
        if not (hasattr(kind, "__getitem__") and hasattr(kind, "__len__")):
            raise sqlite3.ProgrammingError("parameters are of unsupported type")
    if len(params) != len(names):
        raise sqlite3.ProgrammingError(
            f"Incorrect number of bindings supplied. The current statement uses {len(names)}, and "
            f"there are {len(params)} supplied."
        )
    for number, value in enumerate(params, 1):
        if type(value) not in _PLAIN:
            _check_value(value, number)


def _check_named(names: list[str | None], params: Mapping[Any, Any]) -> None:
    for number, name in enumerate(names, 1):
        if name is None:
            raise sqlite3.ProgrammingError(
                f"Binding {number} has no name, but you supplied a dictionary (which has only "
                f"names)."
            )
        try:
            value = params[name[1:]]
        except LookupError:
            raise sqlite3.ProgrammingError(
                f"You did not supply a value for binding parameter :{name[1:]}."
            ) from None
        if type(value) not in _PLAIN:
            _check_value(value, number)


def _check_value(value: Any, number: int) -> None:
    adapted = sqlite3.adapt(value, sqlite3.PrepareProtocol, value)
    if isinstance(adapted, int | float | str | type(None)):
        return
    try:
        memoryview(adapted)
    except TypeError:
        kind = type(adapted)
        # classes of C's have their module in their names
        is_of_c = kind.__flags__ & _IMMUTABLE and kind.__module__ != "builtins"
        name = f"{kind.__module__}.{kind.__name__}" if is_of_c else kind.__name__
        raise sqlite3.ProgrammingError(
            f"Error binding parameter {number}: type '{name}' is not supported"
        ) from None


@functools.lru_cache(maxsize=1024)
def _names(statement: str) -> list[str | None]:
    """Give each parameter as it is written, by its number; None where it has no name."""
    names: list[str | None] = []
    for piece, is_verbatim in pieces(statement):
        for match in () if is_verbatim else _MARK.finditer(piece):
            if match["number"]:
                number = int(match["number"])
                names.extend([None] * (number - len(names)))
                names[number - 1] = names[number - 1] or match[0]
            elif match[0] == "?" or match[0] not in names:
                names.append(None if match[0] == "?" else match[0])
    return names


def described(names: list[str]) -> sqlite3.Cursor:
    """Make a cursor that has columns of these names, as ``sqlite3.Row`` takes no other."""
    # not by connect(), which is likely to be stubbed
    kind: Any = unstubbed(sqlite3.Connection)
    connection: sqlite3.Connection = kind(":memory:")
    try:
        quoted = ", ".join('NULL AS "' + name.replace('"', '""') + '"' for name in names)
        return connection.execute(f"SELECT {quoted}")
    finally:
        connection.close()

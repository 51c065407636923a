"""Statements, values and rows as psycopg2 has them, without a connection to ask."""

from __future__ import annotations

import collections
import datetime
import decimal
import functools
import re
import uuid
from collections.abc import Callable
from typing import Any

import psycopg2
import psycopg2.extensions
import psycopg2.extras
from psycopg2 import sql

from ...errors import StubError
from ..answers import Answer
from ..statements import verb
from . import columns

__all__ = [
    "check_parameters",
    "describe",
    "oid_of",
    "quoted",
    "rendered",
    "rows_maker",
    "status_of",
]

#: The type that PostgreSQL is likely to have for values of a class.
_OIDS: tuple[tuple[type, int], ...] = (
    (bool, 16),
    (int, 23),
    (float, 701),
    (decimal.Decimal, 1700),
    (datetime.datetime, 1114),
    (datetime.date, 1082),
    (datetime.time, 1083),
    (datetime.timedelta, 1186),
    (uuid.UUID, 2950),
    (dict, 3802),
    (bytes, 17),
    (memoryview, 17),
    (bytearray, 17),
)


def oid_of(value: Any) -> int:
    """Give the number of the type that a column has, from one of its values.

    >>> oid_of("one"), oid_of(1), oid_of(2**40)
    (25, 23, 20)

    :param value: any; None where the column has none.
    """
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**31) <= value < 2**31:
        return 20
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        return 1184
    return next((oid for kind, oid in _OIDS if isinstance(value, kind)), 25)


def describe(answer: Answer) -> tuple[Any, ...]:
    """Make the ``description`` of a result, of psycopg2's own class."""
    column = psycopg2.extensions.Column
    made = columns(
        answer,
        lambda name, value: column(name, oid_of(value), None, None, None, None, None),
        lambda given: column(*given),
    )
    return tuple(made)


_COUNTED = ("SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "FETCH", "MOVE", "COPY")


def status_of(statement: str, count: int) -> str:
    """Give what the server says of a statement that it has executed.

    >>> status_of("insert into item values (1), (2)", 2)
    'INSERT 0 2'

    :param count: how many rows were found or changed.
    """
    word = verb(statement)
    middle = {"INSERT": " 0"}.get(word, "")
    return f"{word}{middle} {max(count, 0)}" if word in _COUNTED else word


def rendered(statement: Any) -> str:
    """Give the text of a statement: of bytes, or of what ``psycopg2.sql`` composed, too.

    >>> rendered(sql.SQL("select {} from {}").format(sql.Placeholder(), sql.Identifier("a", "b")))
    'select %s from "a"."b"'

    :raises TypeError: it is no statement.
    """
    if isinstance(statement, str):
        return statement
    if isinstance(statement, bytes):
        return statement.decode()
    # as_string() of names and literals insists on a connection of C's
    if isinstance(statement, sql.Composed):
        return "".join(map(rendered, statement.seq))
    if isinstance(statement, sql.SQL):
        return statement.string
    if isinstance(statement, sql.Identifier):
        return ".".join('"' + each.replace('"', '""') + '"' for each in statement.strings)
    if isinstance(statement, sql.Placeholder):
        return f"%({statement.name})s" if statement.name else "%s"
    if isinstance(statement, sql.Literal):
        return _adapted(statement.wrapped).decode()
    kind = type(statement).__name__
    raise TypeError(f"argument 1 must be a string or unicode object: got {kind} instead")


def quoted(statement: str, params: Any) -> bytes:
    """Put parameters into a statement, as ``mogrify()`` does.

    >>> quoted("select %s", ("it's",))
    b"select 'it''s'"
    """
    check_parameters(statement, params)
    if params is None or "%" not in statement:
        return statement.encode()
    marks, _ = _marks(statement)
    names = [name for name in marks if name is not None]
    made: Any = {name: _adapted(params[name]).decode() for name in names}
    if not names:
        made = tuple(_adapted(params[place]).decode() for place in range(len(marks)))
    merged: str = statement % made
    return merged.encode()


def check_parameters(statement: str, params: Any) -> None:
    """Refuse what psycopg2 refuses before it sends anything, by the same errors.

    >>> check_parameters("select %s", (1, 2))
    Traceback (most recent call last):
        ...
    TypeError: not all arguments converted during string formatting

    :param params: of one execution.
    """
    if params is None:
        return
    marks, wrong = _marks(statement)
    # as psycopg2 goes through them: one by one
    is_named = None
    for place, name in enumerate(marks):
        if is_named is not None and is_named != (name is not None):
            raise psycopg2.ProgrammingError("argument formats can't be mixed")
        is_named = name is not None
        if name == _INCOMPLETE:
            raise psycopg2.ProgrammingError("incomplete placeholder: '%(' without ')'")
        if not is_named:
            _check_sequence(params)
        value = params[place if name is None else name]
        if type(value) not in _PLAIN:
            psycopg2.extensions.adapt(value)
    if wrong:
        raise ValueError(wrong)
    if is_named is False and len(params) > len(marks):
        raise TypeError("not all arguments converted during string formatting")


def _check_sequence(params: Any) -> None:
    kind = type(params)
    if kind is tuple or kind is list:
        return
    if kind is dict:
        raise TypeError(f"{kind.__name__} is not a sequence")
    if not hasattr(kind, "__getitem__"):
        raise TypeError(f"'{kind.__name__}' object does not support indexing")


_PLAIN = frozenset({bool, bytes, decimal.Decimal, float, int, str, type(None)})
_MARK = re.compile(r"%(?:%|(?:\((?P<name>[^)%]*)(?P<end>\)?))?(?P<kind>.?))", re.S)
_INCOMPLETE = "%("


@functools.lru_cache(maxsize=1024)
def _marks(statement: str) -> tuple[list[str | None], str]:
    """Give the name of each placeholder, None where it has none, and what is wrong with them."""
    marks: list[str | None] = []
    wrong = ""
    for match in _MARK.finditer(statement):
        if match[0] == "%%":
            continue
        kind, name = match["kind"], match["name"]
        marks.append(name if name is None or match["end"] else _INCOMPLETE)
        if kind != "s" and not wrong:
            index = len(statement[: match.start("kind")].encode())
            wrong = "incomplete format"
            if kind:
                wrong = f"unsupported format character '{kind}' ({ord(kind):#x}) at index {index}"
    return marks, wrong


def _adapted(value: Any) -> bytes:
    if isinstance(value, bytes | bytearray | memoryview):
        # the adapter of these asks a connection which way the server knows
        return b"'\\x" + bytes(value).hex().encode() + b"'::bytea"
    adapted: Any = psycopg2.extensions.adapt(value)
    if hasattr(adapted, "encoding"):
        adapted.encoding = "utf8"
    return bytes(adapted.getquoted())


Maker = Callable[[list[str], list[tuple[Any, ...]]], list[Any]]


def rows_maker(factory: Any) -> Maker | None:
    """Give what makes rows as a cursor class of psycopg2's does, None for plain tuples.

    :param factory: the class.
    :raises StubError: it is one of the program's own.
    """
    if factory is None or factory is psycopg2.extensions.cursor:
        return None
    made = _MAKERS.get(factory)
    if made is None:
        name = getattr(factory, "__qualname__", factory)
        raise StubError(
            f"a cursor of class {name} was asked for, and the stub of a connection plays only "
            f"psycopg2's own: cursor, DictCursor, RealDictCursor and NamedTupleCursor. Replace "
            f"the code that needs this class in the test."
        )
    return made


def _real_dict_rows(names: list[str], rows: list[tuple[Any, ...]]) -> list[Any]:
    return [psycopg2.extras.RealDictRow(zip(names, row, strict=True)) for row in rows]


class _Described:
    """What ``DictRow`` asks its cursor for."""

    def __init__(self, names: list[str]) -> None:
        self.description = names
        self.index = collections.OrderedDict((name, place) for place, name in enumerate(names))


def _dict_rows(names: list[str], rows: list[tuple[Any, ...]]) -> list[Any]:
    described = _Described(names)
    made = []
    for row in rows:
        each: Any = psycopg2.extras.DictRow(described)
        each[:] = row
        made.append(each)
    return made


def _named_rows(names: list[str], rows: list[tuple[Any, ...]]) -> list[Any]:
    # the names that psycopg2 makes of those which are none in Python
    fields = [re.sub(r"[^a-zA-Z0-9_]", "_", name) for name in names]
    fields = [f"f{name}" if name[0] == "_" or name[0].isdigit() else name for name in fields]
    record = collections.namedtuple("Record", fields)  # type: ignore[misc]
    return [record(*row) for row in rows]


_MAKERS: dict[Any, Maker] = {
    psycopg2.extras.RealDictCursor: _real_dict_rows,
    psycopg2.extras.DictCursor: _dict_rows,
    psycopg2.extras.NamedTupleCursor: _named_rows,
}

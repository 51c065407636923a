"""Values of a database as JSON, and back, with their types.

What JSON has stays as it is. All else is an object with the one key ``$`` and its type, as
``{"$": "decimal", "value": "1.50"}``.
"""

from __future__ import annotations

import base64
import datetime
import decimal
import math
import uuid
import zoneinfo
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import StubError

__all__ = ["from_json", "to_json"]


def to_json(value: Any) -> Any:
    """Give what ``json`` can write, from which :func:`from_json` makes the same value again.

    >>> import decimal
    >>> to_json((1, decimal.Decimal("1.50")))
    {'$': 'tuple', 'value': [1, {'$': 'decimal', 'value': '1.50'}]}

    :raises StubError: it is of a type that cannot be written.
    """
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return value
    if kind is float:
        return value if math.isfinite(value) else _tagged("float", repr(value))
    if kind is list:
        return [to_json(each) for each in value]
    if kind is dict:
        if all(type(key) is str for key in value) and "$" not in value:
            return {key: to_json(each) for key, each in value.items()}
        return _tagged("dict", [[to_json(key), to_json(each)] for key, each in value.items()])
    for name, (type_, write, _) in _TYPES.items():
        if kind is type_:
            return _tagged(name, write(value))
    # of a driver's own classes, such as psycopg2's rows and SQLAlchemy's texts, what they are
    for base, plain in _BASES.items():
        if isinstance(value, base):
            return to_json(plain(value))
    raise StubError(
        f"a value of type {kind.__module__}.{kind.__qualname__} cannot be written down: "
        f"{value!r:.80}. Let the statement give another type, by a CAST for example, or script "
        f"its answer."
    )


def from_json(value: Any) -> Any:
    """Give the value that :func:`to_json` was given.

    >>> from_json({"$": "date", "value": "2024-02-29"})
    datetime.date(2024, 2, 29)

    :raises StubError: it was not written by :func:`to_json`.
    """
    if isinstance(value, list):
        return [from_json(each) for each in value]
    if not isinstance(value, dict):
        return value
    if "$" not in value:
        return {key: from_json(each) for key, each in value.items()}
    if value["$"] not in _TYPES:
        raise StubError(
            f'a recording has a value of type "{value["$"]}", which this version does not know. '
            f"Make the recording anew."
        )
    return _TYPES[value["$"]][2](value["value"])


def _tagged(name: str, value: Any) -> dict[str, Any]:
    return {"$": name, "value": value}


def _base64(value: Any) -> str:
    return base64.b64encode(bytes(value)).decode()


def _write_iso(value: Any) -> Any:
    zone = value.tzinfo.key if isinstance(value.tzinfo, zoneinfo.ZoneInfo) else None
    text = (value.replace(tzinfo=None) if zone else value).isoformat()
    # the text tells neither the name of a zone nor the second of two equal hours
    return {"iso": text, "zone": zone, "fold": value.fold} if zone or value.fold else text


def _from_iso(kind: Any) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if isinstance(value, str):
            return kind.fromisoformat(value)
        made = kind.fromisoformat(value["iso"]).replace(fold=value["fold"])
        return made.replace(tzinfo=zoneinfo.ZoneInfo(value["zone"])) if value["zone"] else made

    return read


Writer = Callable[[Any], Any]

_TYPES: Mapping[str, tuple[type, Writer, Writer]] = {
    "tuple": (tuple, lambda v: [to_json(each) for each in v], lambda v: tuple(map(from_json, v))),
    "dict": (
        dict,
        lambda v: None,
        lambda v: {from_json(key): from_json(each) for key, each in v},
    ),
    "float": (float, repr, float),
    "datetime": (datetime.datetime, _write_iso, _from_iso(datetime.datetime)),
    "date": (datetime.date, datetime.date.isoformat, datetime.date.fromisoformat),
    "time": (datetime.time, _write_iso, _from_iso(datetime.time)),
    "timedelta": (
        datetime.timedelta,
        lambda v: [v.days, v.seconds, v.microseconds],
        lambda v: datetime.timedelta(*v),
    ),
    "decimal": (decimal.Decimal, str, decimal.Decimal),
    "bytes": (bytes, _base64, base64.b64decode),
    "bytearray": (bytearray, _base64, lambda v: bytearray(base64.b64decode(v))),
    "memoryview": (memoryview, _base64, lambda v: memoryview(base64.b64decode(v))),
    "uuid": (uuid.UUID, str, uuid.UUID),
}

_BASES: Mapping[type, Writer] = {
    str: lambda value: str.__str__(value),
    bool: bool,
    int: lambda value: int.__int__(value),
    float: lambda value: float.__float__(value),
    dict: dict,
    list: list,
    tuple: tuple,
}

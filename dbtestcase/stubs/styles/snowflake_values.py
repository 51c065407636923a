"""Descriptions and counts as Snowflake has them."""

from __future__ import annotations

import datetime
import decimal
import sys
from typing import Any, NamedTuple

from ..answers import Answer
from . import columns

__all__ = ["STATUS", "UPDATED", "describe"]

#: What Snowflake names the column that tells how many rows were changed.
UPDATED = {
    "INSERT": "number of rows inserted",
    "UPDATE": "number of rows updated",
    "DELETE": "number of rows deleted",
    "MERGE": "number of rows updated",
}

#: What it answers a statement with that neither finds nor changes rows.
STATUS = "Statement executed successfully."

_CODES: tuple[tuple[type, int], ...] = (
    (bool, 13),
    (int, 0),
    (decimal.Decimal, 0),
    (float, 1),
    (str, 2),
    (datetime.datetime, 8),
    (datetime.date, 3),
    (datetime.time, 12),
    (bytes, 11),
    (bytearray, 11),
    (dict, 9),
    (list, 10),
)


class ResultMetadata(NamedTuple):
    """Stands for the connector's class of this name, where that is not imported."""

    name: str
    type_code: int
    display_size: int | None
    internal_size: int | None
    precision: int | None
    scale: int | None
    is_nullable: bool | None


def code_of(value: Any) -> int:
    """Give Snowflake's number of the type of a column, from one of its values.

    >>> code_of(1), code_of("one"), code_of(None)
    (0, 2, 2)

    :param value: any; None where the column has none.
    """
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        return 7
    return next((code for kind, code in _CODES if isinstance(value, kind)), 2)


def describe(answer: Answer) -> list[Any]:
    """Make the ``description`` of a result, of the connector's own class where it is imported."""
    connector = sys.modules.get("snowflake.connector.cursor")
    kind: Any = vars(connector).get("ResultMetadata") if connector else None
    kind = kind or ResultMetadata
    return columns(
        answer,
        lambda name, value: kind(name, code_of(value), None, None, None, None, True),
        lambda given: kind(*given),
    )

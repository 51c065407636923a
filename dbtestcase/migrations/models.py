"""The differences between the models and a migrated database, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

__all__ = ["described"]

_THINGS = {"table": "table", "column": "column", "index": "index", "fk": "foreign key"}
_THINGS["constraint"] = "constraint"
_PROPERTIES = {"nullable": "nullable", "type": "type", "default": "server_default"}
_PROPERTIES["comment"] = "comment"


def described(differences: Iterable[Any]) -> list[str]:
    """Say each difference that Alembic has found in a line.

    :param differences: what ``compare_metadata()`` returned.
    """
    return [_line(each) for each in _flat(differences)]


def _flat(differences: Iterable[Any]) -> Iterator[Any]:
    for each in differences:
        # what concerns one column comes as a list
        if isinstance(each, list):
            yield from each
        else:
            yield each


def _line(difference: Any) -> str:
    action, _, what = str(difference[0]).partition("_")
    if action in ("add", "remove") and what in _THINGS:
        where = "in the models, and no migration makes it"
        if action == "remove":
            where = "made by the migrations, and not in the models"
        return f"{_thing(what, difference)} is {where}"
    if action == "modify" and what in _PROPERTIES:
        _, schema, table, column, _, database, models = difference
        return (
            f'column "{column}" of {_table(schema, table)}: {_PROPERTIES[what]} is '
            f"{_value(database)} in the database, and {_value(models)} in the models"
        )
    if what == "table_comment":
        table = difference[1]
        return f"{_table(table.schema, table.name)}: its comment is not the one of the models"
    return repr(difference)  # of an operation that somebody has added to Alembic


def _thing(what: str, difference: Any) -> str:
    if what == "table":
        return _table(difference[1].schema, difference[1].name)
    if what == "column":
        _, schema, table, column = difference
        return f'column "{column.name}" of {_table(schema, table)}'
    item = difference[1]
    columns = ", ".join(column.name for column in getattr(item, "columns", ()))
    name = f' "{item.name}"' if item.name else ""
    return f"{_THINGS[what]}{name} ({columns}) of {_table(item.table.schema, item.table.name)}"


def _table(schema: str | None, name: str) -> str:
    return f'table "{schema}.{name}"' if schema else f'table "{name}"'


def _value(value: Any) -> str:
    argument = getattr(value, "arg", value)  # of a server_default
    return str(getattr(argument, "text", argument))

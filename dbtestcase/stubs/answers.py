"""What a script gives to one execution of a statement: rows, a count, or an error."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

from ..errors import StubError
from .statements import shortened

__all__ = ["Answer", "Column", "answer"]

#: What an option must be, for messages.
_A: Mapping[type, str] = {int: "a whole number", str: "a text"}

#: A column by its name, or by the seven items of PEP 249's ``description``.
Column = str | Sequence[Any]


@dataclasses.dataclass(slots=True, eq=False)
class Answer:
    """What one execution gives.

    :param rows: of the result, None for a statement that has none.
    :param columns: of each its name, or the seven items of its description.
    :param rowcount: None where it is to be told from the rows.
    :param lastrowid: what the cursor's attribute of this name is.
    :param query_id: what Snowflake calls ``sfqid``; None for a new one each time.
    :param described: for each style the ``description``, once it was asked for.
    """

    rows: list[tuple[Any, ...]] | None = None
    columns: tuple[Column, ...] = ()
    rowcount: int | None = None
    lastrowid: int | None = None
    query_id: str | None = None
    described: dict[str, Any] = dataclasses.field(default_factory=dict)

    def names(self) -> list[str]:
        """Give the names of the columns."""
        return [each if isinstance(each, str) else str(each[0]) for each in self.columns]

    def sample(self, position: int) -> Any:
        """Give the first value of a column that is not None, by which its type is told."""
        for row in self.rows or ():
            if row[position] is not None:
                return row[position]
        return None


def answer(
    rows: Iterable[Any] | None = None,
    columns: Iterable[Column] | None = None,
    *,
    rowcount: int | None = None,
    lastrowid: int | None = None,
    query_id: str | None = None,
    to: str = "",
) -> Answer:
    """Make an answer from what a test wrote, and refuse what no driver would give.

    >>> answer([(1, "one")], columns=["id", "name"]).names()
    ['id', 'name']
    >>> answer([{"id": 1}, {"id": 2}]).rows
    [(1,), (2,)]
    >>> answer([(1, "one")], columns=["id"], to="select id from t")
    Traceback (most recent call last):
        ...
    dbtestcase.errors.StubError: the answer to "select id from t" has the row (1, 'one') with 2 \
values, and 1 column: id. Give each column its value, and each value its column.

    :param rows: tuples, lists or dictionaries; None for a statement without a result.
    :param columns: their names, or for each the seven items of ``description``. By default the
        keys of the first dictionary, else ``column1``, ``column2`` and so on.
    :param to: the statement, for messages.
    :raises StubError: rows that are no rows, or that do not fit the columns.
    """
    described = f'the answer to "{shortened(to, 80)}"'
    for name, value, kind in (
        ("rowcount", rowcount, int),
        ("lastrowid", lastrowid, int),
        ("sfqid", query_id, str),
    ):
        if value is not None and not isinstance(value, kind):
            raise StubError(
                f"{described} has {name}={value!r:.80}. It must be {_A[kind]}, or left out."
            )
    if rows is None:
        if columns is not None:
            raise StubError(
                f"{described} has columns and no rows. Write returns([], columns=[...]) for a "
                f"result without rows."
            )
        return Answer(None, (), rowcount, lastrowid, query_id)
    # a set has no order, and its rows would come in another one each time
    not_a_list = isinstance(rows, str | bytes | Mapping | Set)
    if not_a_list or not isinstance(rows, Iterable):
        raise StubError(
            f"{described} is {shortened(rows, 80)}, which is no list of rows. Write "
            f"returns([(...), (...)]): a list with a tuple for each row."
        )
    given = list(rows)
    named = _columns(given, columns, described)
    made = []
    for row in given:
        if isinstance(row, Mapping):
            values = _values(row, named, described)
        elif isinstance(row, str | bytes) or not isinstance(row, Iterable):
            raise StubError(
                f"{described} has the row {shortened(row, 80)}, which is no row. Write a tuple "
                f"for each row, with a comma where it has one value: ({shortened(row, 20)},)."
            )
        else:
            values = tuple(row)
        if not values:
            raise StubError(
                f"{described} has the row {shortened(row, 80)} without a value. Write returns([]) "
                f"for a result without rows, or give the row its values."
            )
        if len(values) != len(named):
            names = ", ".join(each if isinstance(each, str) else str(each[0]) for each in named)
            raise StubError(
                f"{described} has the row {shortened(values, 80)} with {_counted(values, 'value')},"
                f" and {_counted(named, 'column')}: {names}. Give each column its value, and each "
                f"value its column."
            )
        made.append(values)
    return Answer(made, named, rowcount, lastrowid, query_id)


def _columns(
    rows: list[Any], columns: Iterable[Column] | None, described: str
) -> tuple[Column, ...]:
    if isinstance(columns, str):
        raise StubError(
            f'{described} has columns="{columns}". Write a list of names: columns=["{columns}"].'
        )
    if columns is not None:
        if not isinstance(columns, Iterable):
            raise StubError(
                f"{described} has columns={shortened(columns, 80)}. Write a list of names: "
                f'columns=["id", "name"].'
            )
        named = tuple(columns)
        for each in named:
            is_described = isinstance(each, list | tuple) and len(each) == 7
            if not isinstance(each, str) and not (is_described and isinstance(each[0], str)):
                raise StubError(
                    f"{described} describes a column by {shortened(each, 80)}. Write its name, or "
                    f"the seven items of PEP 249's description."
                )
        return named
    if rows and isinstance(rows[0], Mapping):
        return tuple(str(key) for key in rows[0])
    if rows and hasattr(rows[0], "_fields"):
        return tuple(rows[0]._fields)
    width = len(rows[0]) if rows and hasattr(rows[0], "__len__") else 1
    return tuple(f"column{number}" for number in range(1, width + 1))


def _values(row: Mapping[Any, Any], named: tuple[Column, ...], described: str) -> tuple[Any, ...]:
    names = [each if isinstance(each, str) else str(each[0]) for each in named]
    if set(row) != set(names):
        raise StubError(
            f"{described} has the row {shortened(dict(row), 80)}, and the columns are "
            f"{', '.join(names)}. Give each column its value, and each value its column."
        )
    return tuple(row[name] for name in names)


def _counted(things: Sequence[Any], name: str) -> str:
    return f"{len(things)} {name}" if len(things) == 1 else f"{len(things)} {name}s"

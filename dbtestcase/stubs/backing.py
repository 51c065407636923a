"""A real database that answers what a script does not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy.engine import Engine

from ..errors import StubError
from .answers import Answer
from .connections import StubConnection
from .expectations import NO_PARAMETERS
from .patching import for_real
from .statements import pieces, shortened

__all__ = ["Backing", "execute", "translated"]


class Backing:
    """Answers by an engine: each connection of the stub has one of the engine's.

    :param engine: for SQLite or PostgreSQL.
    """

    same_driver = False

    def __init__(self, engine: Engine) -> None:
        if not isinstance(engine, Engine):
            raise StubError(
                f"backed_by() was given {shortened(engine, 80)}, which is no engine of "
                f"SQLAlchemy's. Give it create_engine(...), or self.engine in a DatabaseTestCase."
            )
        self._engine = engine

    def opened(self, connection: StubConnection, args: Any, kwargs: Any) -> None:
        """Wait with the engine's connection for the first statement that needs it."""

    def answer(self, connection: StubConnection, text: str, params: Any, many: bool) -> Answer:
        """Let the engine's connection execute a statement.

        :raises Exception: the error of the stub's driver that means what the database said.
        """
        engine = self._engine
        if connection._real is None:
            # the driver may be the very one that is stubbed
            with for_real():
                connection._real = engine.raw_connection()
        source = getattr(connection, "paramstyle", None) or connection._style.paramstyle
        text, params = translated(text, params, many, source, engine.dialect.paramstyle)
        try:
            found = execute(connection._real, text, params, many)
        except Exception as error:
            kind = connection._style.errors.like(error)
            if kind is None or isinstance(error, kind):
                raise
            raise kind(str(error)) from error
        if connection._autocommits():
            connection._real.commit()
        if not connection._style.describes_as(engine.dialect.driver):
            found.columns = tuple(found.names())
        return found


def execute(real: Any, text: str, params: Any, many: bool) -> Answer:
    """Execute a statement on a driver's connection, and take all that it answers.

    :param real: the connection.
    :param params: as the driver wants them.
    """
    cursor = real.cursor()
    try:
        if many:
            cursor.executemany(text, params)
        elif params is NO_PARAMETERS:
            cursor.execute(text)
        else:
            cursor.execute(text, params)
        description = cursor.description
        rows = None
        if description is not None and not many:
            names = [column[0] for column in description]
            rows = [_tuple(row, names) for row in cursor.fetchall()]
        columns = tuple(tuple(column) for column in description or ()) if rows is not None else ()
        count = cursor.rowcount
        return Answer(
            rows,
            columns,
            None if count is None or count < 0 else count,
            getattr(cursor, "lastrowid", None),
            getattr(cursor, "sfqid", None),
        )
    finally:
        cursor.close()


def _tuple(row: Any, names: list[str]) -> tuple[Any, ...]:
    return tuple(row[name] for name in names) if isinstance(row, Mapping) else tuple(row)


_PERCENT = re.compile(r"%(?:\((?P<name>[^)]*)\)s|(?P<place>s)|(?P<percent>%))")
_MARKS = {
    "qmark": re.compile(r"(?P<place>\?)"),
    "numeric": re.compile(r"(?<![:\w]):(?P<number>\d+)"),
    "named": re.compile(r"(?<![:\w])[:@$](?P<name>[A-Za-z_]\w*)"),
    "format": _PERCENT,
    "pyformat": _PERCENT,
}


def translated(text: str, params: Any, many: bool, source: str, target: str) -> tuple[str, Any]:
    """Write the placeholders of one driver as another one has them.

    >>> translated("select %s, '%%', ':a'", (1,), False, "pyformat", "qmark")
    ("select ?, '%', ':a'", (1,))
    >>> translated("select :a, :b, :a", {"a": 1, "b": 2}, False, "named", "pyformat")
    ('select %s, %s, %s', (1, 2, 1))

    :param text: the statement.
    :param params: the parameters, or the list of them where *many*.
    :param source: PEP 249's word for the placeholders in *text*.
    :param target: for those of the database.
    :raises StubError: a placeholder without its parameter.
    """
    if params is NO_PARAMETERS:
        # both drivers leave a text without parameters alone
        return text, params
    percent = ("format", "pyformat")
    if source == target or (source in percent and target in percent):
        return text, params
    if isinstance(params, Mapping) or (many and params and isinstance(params[0], Mapping)):
        source = "named" if source == "qmark" else source
    keys: list[Any] = []
    mark = {"qmark": "?", "format": "%s", "pyformat": "%s"}.get(target)
    if mark is None:
        raise StubError(
            f"the engine's driver writes placeholders in the way that PEP 249 calls {target}, and "
            f"a stub can be backed by SQLite and PostgreSQL only. Give backed_by() an engine for "
            f"one of them."
        )

    def replace(match: re.Match[str]) -> str:
        found = match.groupdict()
        if found.get("percent"):
            return "%"
        place = sum(isinstance(key, int) for key in keys)
        number = found.get("number")
        keys.append(int(number) - 1 if number else found.get("name") or place)
        return mark

    made = []
    for piece, is_verbatim in pieces(text):
        if is_verbatim:
            piece = piece.replace("%%", "%") if source in percent else piece
            made.append(piece.replace("%", "%%") if target in percent else piece)
        elif target in percent:
            made.append(_MARKS[source].sub(replace, piece.replace("%", "%%")))
        else:
            made.append(_MARKS[source].sub(replace, piece))

    def placed(given: Any) -> tuple[Any, ...]:
        try:
            return tuple(given[key] for key in keys)
        except (KeyError, IndexError) as error:
            raise StubError(
                f"the statement {text!r} has a placeholder for which no parameter was given: "
                f"{error.args[0]!r}. Give execute() a value for each of its placeholders."
            ) from None

    return "".join(made), [placed(each) for each in params] if many else placed(params)

"""How the connections of each driver behave.

``"snowflake"``, ``"psycopg2"`` and ``"sqlite3"`` behave as the drivers of these names do;
``"pep249"`` follows PEP 249 to the letter, for all others. None of them imports its driver before
it is asked for something of it.
"""

from __future__ import annotations

import difflib
import importlib
import sys
import types
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ...errors import StubError
from ..answers import Answer
from ..pep249 import Errors

if TYPE_CHECKING:
    from ..connections import StubConnection
    from ..stub import ConnectionStub

__all__ = ["READING", "Style", "columns", "find_style", "style_of", "unstubbed"]

_MODULES = ("pep249", "psycopg2", "snowflake", "sqlite3")

#: The first words of statements that change nothing.
READING = frozenset(
    {"BEGIN", "DESC", "DESCRIBE", "EXPLAIN", "FETCH", "LIST", "PRAGMA"}
    | {"SELECT", "SET", "SHOW", "START", "USE", "VALUES"}
)


class Style:
    """How the connections of one driver behave.

    :param errors: the driver's exceptions.
    """

    name = "pep249"
    #: How the driver writes placeholders, by PEP 249's word for it.
    paramstyle = "pyformat"
    connection: type[StubConnection]

    def __init__(self, errors: Errors) -> None:
        self.errors = errors

    def connect(
        self, stub: ConnectionStub, args: tuple[Any, ...], kwargs: Mapping[str, Any], number: int
    ) -> StubConnection:
        """Make a connection, from what ``connect()`` was given.

        :raises TypeError: the driver would not accept these arguments.
        """
        return self.connection(stub, self, kwargs, number)

    def error(self, name: str, text: str, **details: Any) -> Exception:
        """Make an error of the driver's, by its name in PEP 249."""
        return self.errors[name](text)

    def describe(self, answer: Answer) -> Any:
        """Make the ``description`` of a result."""
        raise NotImplementedError

    def text(self, statement: Any) -> str:
        """Give the text of what was given to ``execute()``.

        :raises TypeError: the driver would not accept it.
        """
        if isinstance(statement, str):
            return statement
        raise TypeError(f"execute() needs the text of a statement, not {type(statement).__name__}")

    def check_parameters(self, connection: StubConnection, text: str, params: Any) -> None:
        """Refuse parameters that do not fit a statement's placeholders, as the driver does.

        What only the server would refuse is let be; so is all where nobody knows how the driver
        writes placeholders.
        """

    def prepare(self, answer: Answer, statement: str, params: Any, many: bool) -> Answer:
        """Complete an answer by what the driver makes of it for one statement."""
        return answer

    def describes_as(self, driver: str) -> bool:
        """Tell whether the columns of a driver are described as those of this style."""
        return False

    def connection_class(self) -> type | None:
        """Give the driver's own class, where the driver is installed and imported."""
        return None

    def cursor_class(self, stub: type) -> type | None:
        """Give the driver's own class that a class of cursors stands for, where it is imported."""
        return None


def unstubbed(kind: Any) -> type | None:
    """Give a driver's class, also while a stub stands in its place; None for what is no class."""
    original = kind if isinstance(kind, type) else getattr(kind, "original", None)
    return original if isinstance(original, type) else None


def columns(
    answer: Answer, describe: Callable[[str, Any], Any], whole: Callable[[Any], Any]
) -> list[Any]:
    """Describe each column.

    :param describe: makes a description from a name and one of the column's values, or None.
    :param whole: makes one from seven items that the test wrote.
    """
    return [
        describe(each, answer.sample(position)) if isinstance(each, str) else whole(each)
        for position, each in enumerate(answer.columns)
    ]


def find_style(name: str, target: Any = None) -> Style:
    """Give a style by its name.

    >>> find_style("sqlite3").name
    'sqlite3'
    >>> find_style("sqlite")
    Traceback (most recent call last):
        ...
    dbtestcase.errors.StubError: there is no style "sqlite" for scripted connections. Did you mean \
"sqlite3"? There are "pep249", "psycopg2", "snowflake" and "sqlite3".

    :param name: of the style.
    :param target: the function that connects, whose module tells the exceptions of a driver that
        has no style of its own.
    :raises StubError: there is none of this name.
    """
    if name not in _MODULES:
        near = difflib.get_close_matches(str(name), _MODULES, n=1)
        hint = f'Did you mean "{near[0]}"? ' if near else ""
        *others, last = (f'"{each}"' for each in _MODULES)
        raise StubError(
            f'there is no style "{name}" for scripted connections. {hint}'
            f"There are {', '.join(others)} and {last}."
        )
    module = importlib.import_module(f".{name}_style", __name__)
    made: Style = module.make(driver_of(target))
    return made


def style_of(path: str, target: Any) -> str:
    """Tell by which style a function connects: that of the driver which it comes from.

    >>> import sqlite3
    >>> style_of("shop.database.connect", sqlite3.connect)
    'sqlite3'

    :param path: by which the user named it.
    :param target: the function.
    """
    module = getattr(target, "__module__", None) or ""
    for name in (str(module).lstrip("_"), path):
        top = name.partition(".")[0]
        if top in _MODULES:
            return top
    return "pep249"


def driver_of(target: Any) -> types.ModuleType | None:
    """Give the package of a function that connects, where its exceptions are."""
    module = str(getattr(target, "__module__", "") or "")
    while module:
        found = sys.modules.get(module)
        if found is not None and "OperationalError" in vars(found):
            return found
        module = module.rpartition(".")[0]
    return None

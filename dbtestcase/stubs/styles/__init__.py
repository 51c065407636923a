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
from typing import Any

from ...errors import StubError
from .base import READING, Style

__all__ = ["READING", "Style", "find_style", "style_of"]

_MODULES = ("pep249", "psycopg2", "snowflake", "sqlite3")


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

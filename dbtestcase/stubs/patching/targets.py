"""What a dotted path means, and which names are near where it means nothing."""

from __future__ import annotations

import difflib
import gc
import importlib
import inspect
import pkgutil
import sys
import types
from collections.abc import Iterable
from typing import Any

from ...errors import StubError

__all__ = ["name_of", "resolve"]


def resolve(target: object) -> Any:
    """Find what is to be stubbed.

    >>> resolve("sqlite3.connect").__name__
    'connect'
    >>> resolve("sqlite3.conect")
    Traceback (most recent call last):
        ...
    dbtestcase.errors.StubError: there is no "conect" in sqlite3, so sqlite3.conect cannot be \
stubbed. Did you mean "sqlite3.connect"?

    :param target: a dotted path, or the function or class itself.
    :raises StubError: there is no such thing, or it cannot be called.
    """
    if not isinstance(target, str):
        return _callable(target, shown=repr(target))
    parts = target.split(".")
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        raise StubError(
            f'"{target}" is no dotted path of something in a module. Write '
            f'"snowflake.connector.connect", for example, or give the function itself.'
        )
    module, rest = _import(parts)
    found: Any = module
    for position, name in enumerate(rest):
        owner = found
        found = _attribute(owner, name)
        if found is _MISSING:
            path = ".".join(parts[: len(parts) - len(rest) + position])
            raise StubError(
                f'there is no "{name}" in {path}, so {target} cannot be stubbed. '
                + _did_you_mean(name, _names(owner), path)
            )
    return _callable(found, shown=target)


def name_of(target: object, found: object) -> str:
    """Give the name by which messages call what is stubbed.

    >>> import sqlite3
    >>> name_of(sqlite3.connect, sqlite3.connect)
    'sqlite3.connect'

    :param target: what the user gave.
    :param found: what :func:`resolve` found for it.
    """
    if isinstance(target, str):
        return target
    module = str(getattr(found, "__module__", "")).lstrip("_")
    return f"{module}.{getattr(found, '__qualname__', type(found).__name__)}".lstrip(".")


_MISSING = object()


def _import(parts: list[str]) -> tuple[types.ModuleType, list[str]]:
    """Import the longest beginning of a path that is a module."""
    for length in range(len(parts) - 1, 0, -1):
        path = ".".join(parts[:length])
        try:
            return importlib.import_module(path), parts[length:]
        except ModuleNotFoundError as error:
            # a package that the module itself needs is another matter
            if not error.name or not f"{path}.".startswith(f"{error.name}."):
                raise
            missing = error.name
    top = parts[0]
    names = {name.partition(".")[0] for name in sys.modules}
    names.update(each.name for each in pkgutil.iter_modules())
    raise StubError(
        f'there is no module "{missing}", so {".".join(parts)} cannot be stubbed. '
        + _did_you_mean(top, names, "")
    )


def _attribute(owner: Any, name: str) -> Any:
    try:
        found = inspect.getattr_static(owner, name)
    except AttributeError:
        # what a module or a lazy loader gives only to those who ask; the user did, by its name
        return getattr(owner, name, _MISSING)
    if isinstance(found, staticmethod | classmethod):
        return found.__func__
    return found


def _names(owner: object) -> Iterable[str]:
    return [name for name in dir(owner) if not name.startswith("_")]


def _did_you_mean(name: str, names: Iterable[str], path: str) -> str:
    lower = {each.lower(): each for each in names}
    near = [lower[each] for each in difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.7)]
    prefix = f"{path}." if path else ""
    if near:
        return f'Did you mean "{prefix}{near[0]}"?'
    if path:
        return f"Look up in its documentation where {path} has it."
    return "Install the package that brings it, or correct the path."


def _callable(found: Any, *, shown: str) -> Any:
    if not callable(found):
        what = "is nothing" if found is None else f"is {_kind(found)}"
        raise StubError(
            f"{shown} {what}, and cannot be called: no program connects by it. Name "
            f"the function or the class that the program calls to connect."
        )
    if isinstance(found, type | types.BuiltinFunctionType) and found.__module__ == "builtins":
        raise StubError(
            f"{shown} is a part of Python, and no program connects by it. Name the function or "
            f"the class of the driver that the program calls to connect."
        )
    if isinstance(found, types.BuiltinMethodType) and not isinstance(
        found.__self__, types.ModuleType | None
    ):
        raise StubError(
            f"{shown} is a method of one object, which Python makes anew each time it is read, so "
            f"the places that hold it cannot be found. Name the function or the class that the "
            f"program calls to connect."
        )
    if isinstance(found, types.MethodType) and not _is_global(found):
        raise StubError(
            f"{shown} is a bound method, which Python makes anew each time it is read, so the "
            f"places that hold it cannot be found. Name the function: "
            f"{found.__func__.__module__}.{found.__func__.__qualname__}."
        )
    return found


def _is_global(found: object) -> bool:
    """Tell whether a module holds this very object, as psycopg 3 does with its connect()."""
    modules = {id(vars(module)) for module in sys.modules.values() if type(module) is _Module}
    return any(id(each) in modules for each in gc.get_referrers(found) if type(each) is dict)


_Module = types.ModuleType


def _kind(found: object) -> str:
    if isinstance(found, types.ModuleType):
        return "a module"
    name = type(found).__name__
    return f"{'an' if name[0] in 'aeio' else 'a'} {name}"

"""What users may write on a test class, and what of it would silently do nothing.

Names are only called misspelt where that is certain: the name is nearly one of ours, which the
class does not set, and the value is one that ours could have.
"""

from __future__ import annotations

import difflib
import inspect
import sys
import unittest
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import FunctionType
from typing import Any

from sqlalchemy.engine import Engine

from ..errors import SetUpError

__all__ = [
    "awaits_tests",
    "check_names",
    "check_tests",
    "check_values",
    "is_ours",
    "never_awaited",
]

__unittest = True  # its frames are left out of tracebacks

_HOOKS = ("create_app", "create_engine", "setUpTestData")


def is_ours(base: type) -> bool:
    """Whether a class is the library's, and no user's."""
    return base.__module__.partition(".")[0] == __name__.partition(".")[0]


# -- tests ----------------------------------------------------------------------------------------


def awaits_tests(cls: type) -> bool:
    """Whether a test class runs its async tests in an event loop."""
    # loaded only where somebody uses it, and asyncio with it
    module = sys.modules.get("unittest.async_case")
    return module is not None and issubclass(cls, module.IsolatedAsyncioTestCase)


def check_tests(cls: type) -> None:
    """Refuse a test that unittest would call, and take for passed without running it.

    :param cls: a test class.
    :raises SetUpError: naming the test and the class that has it.
    """
    if awaits_tests(cls):
        return
    seen = set()
    for base in cls.__mro__:
        for name, value in list(vars(base).items()):
            if name.startswith(unittest.TestLoader.testMethodPrefix) and name not in seen:
                seen.add(name)
                test = getattr(value, "__func__", value)
                if inspect.iscoroutinefunction(test) or inspect.isasyncgenfunction(test):
                    raise never_awaited(cls, f"{base.__name__}.{name}")


def never_awaited(cls: type, test: str) -> SetUpError:
    """Say that a test is async, and its class is not."""
    return SetUpError(
        f"{test} is async, and would pass without being awaited. Write it without async, or "
        f"class {cls.__name__}(DatabaseTestCase, unittest.IsolatedAsyncioTestCase)."
    )


# -- values ---------------------------------------------------------------------------------------


def check_values(cls: Any) -> None:
    """Refuse an attribute of another type than it must be.

    :param cls: a test class.
    :raises SetUpError: naming class and attribute, what is there and what should be.
    """
    if isinstance(cls.let_through, str) or not isinstance(cls.let_through, Iterable):
        raise SetUpError(
            f"{cls.__name__}.let_through is {cls.let_through!r}, and must be a tuple of names "
            f'of databases. Write let_through = ("warehouse",), with its comma.'
        )
    values = cls.database.values() if isinstance(cls.database, Mapping) else [cls.database]
    for value in values:
        if value is not None and not isinstance(value, str):
            raise SetUpError(
                f"{cls.__name__}.database is a {type(value).__name__}, and must be a string, "
                f'such as "postgresql" or "sqlite", or a mapping of bind keys to strings.'
            )
    for name in ("reset_sequences", "push_app_context"):
        value = getattr(cls, name, False)
        if not isinstance(value, bool):
            raise SetUpError(f"{cls.__name__}.{name} is {value!r}. It may be True or False.")
    _check_app(cls)
    _check_given(cls)


def _check_app(cls: type) -> None:
    app: Any = inspect.getattr_static(cls, "app", None)
    made_by = app.__func__ if isinstance(app, (staticmethod, classmethod)) else app
    # a method that is called so is the user's own
    is_factory = isinstance(made_by, FunctionType) and made_by.__name__ != "app"
    flask = sys.modules.get("flask")
    is_class = isinstance(app, type) and flask is not None and issubclass(app, flask.Flask)
    # many things are called app, and a test without Flask may have any of the others
    if is_factory or is_class or isinstance(app, (str, bytes, int, float)):
        what = "a function" if is_factory else "a class" if is_class else repr(app)
        raise SetUpError(
            f"{cls.__name__}.app is {what}, and must be a Flask app. Write app = create_app() with "
            f"what makes it, or a class method create_app that returns it."
        )


def _check_given(cls: type) -> None:
    """Refuse what would be replaced when the class is set up, and look as if it had been taken."""
    for name, of, remedy in (
        ("database_url", str, "To choose the database, write database = ..."),
        ("engine", Engine, "Return it from a class method create_engine."),
    ):
        if isinstance(inspect.getattr_static(cls, name, None), of):
            raise SetUpError(
                f"{cls.__name__}.{name} is set, but the library gives it to the class, and would "
                f"replace it. {remedy}"
            )


# -- names ----------------------------------------------------------------------------------------


def _is_database(value: object) -> bool:
    return isinstance(value, str) and (value in ("postgresql", "sqlite") or "://" in value)


def _is_schema(value: object) -> bool:
    return not isinstance(value, type) and hasattr(value, "fingerprint") and hasattr(value, "build")


def _each(is_one: Callable[[object], bool]) -> Callable[[object], bool]:
    """Let a value be one, or a mapping of bind keys to such."""

    def are_all(value: object) -> bool:
        values = list(value.values()) if isinstance(value, Mapping) else [value]
        return bool(values) and all(map(is_one, values))

    return are_all


#: Whether a value is one that the attribute could have, and hardly anything else.
_COULD_BE: Mapping[str, Callable[[Any], bool]] = {
    "database": _each(_is_database),
    "schema": _each(_is_schema),
    "reset_sequences": lambda value: isinstance(value, bool),
    "push_app_context": lambda value: isinstance(value, bool),
    "isolation": lambda value: value in ("test", "class"),
    "app_scope": lambda value: value in ("test", "class"),
    "let_through": lambda value: isinstance(value, tuple) and bool(value),
}

#: How much of two names must agree: a letter more, less or another.
_NEAR = 0.87


def check_names(cls: type) -> None:
    """Refuse an attribute or hook that nobody would ever look at, as its name is misspelt.

    :param cls: a test class.
    :raises SetUpError: naming the class that has it, and the right name.
    """
    free = [name for name in (*_COULD_BE, *_HOOKS) if _is_unset(cls, name)]
    for base, name, value in _written(cls):
        meant = next((each for each in free if _is_misspelt(name, value, each)), None)
        if meant is not None:
            what = f"{meant}()" if meant in _HOOKS else meant
            raise SetUpError(
                f"{base.__name__}.{name} would change nothing: there is no such attribute of the "
                f"library. It looks like {what}. Write {meant}, or give it another name if it is "
                f"your own."
            )


def _is_unset(cls: type, name: str) -> bool:
    owner = next((base for base in cls.__mro__ if name in vars(base)), None)
    return owner is not None and is_ours(owner)


def _written(cls: type) -> Iterator[tuple[type, str, Any]]:
    """Give what users have written, but tests and what is private."""
    for base in cls.__mro__:
        if base is not object and not is_ours(base) and base.__module__ != unittest.case.__name__:
            for name, value in list(vars(base).items()):
                if not name.startswith(("_", "test")) and not hasattr(unittest.TestCase, name):
                    yield base, name, value


def _is_misspelt(name: str, value: Any, ours: str) -> bool:
    if name == ours:
        return False
    if ours in _HOOKS:
        is_method = isinstance(value, (FunctionType, staticmethod, classmethod))
        return is_method and _plain(name) == _plain(ours)
    if not _COULD_BE[ours](value) or name[-1].isdigit():  # one of several of the user's own
        return False
    return (
        _plain(name) == _plain(ours) or difflib.SequenceMatcher(None, name, ours).ratio() >= _NEAR
    )


def _plain(name: str) -> str:
    return name.replace("_", "").lower()

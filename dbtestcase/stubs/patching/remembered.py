"""Functions that an object was put into, so that the owners of defaults need no search.

The garbage collector tells of a tuple of default arguments that holds an object, and not whose it
is: that is a second search, as long as the first. A function that had the object among its defaults
when it was put there last, and is the only one that has that tuple, is its owner still.
"""

from __future__ import annotations

import contextlib
import sys
import types
import weakref
from typing import Any

__all__ = ["owners_of_arguments", "remember"]

_known: dict[int, tuple[weakref.ref[Any], list[weakref.ref[types.FunctionType]]]] = {}


def remember(held: object, functions: list[types.FunctionType]) -> None:
    """Keep which functions an object was put into."""
    key = id(held)
    _known.pop(key, None)
    if functions:
        with contextlib.suppress(TypeError):  # not every class allows a weak reference
            reference = weakref.ref(held, lambda gone: _known.pop(key, None))
            _known[key] = reference, [weakref.ref(each) for each in functions]


def owners_of_arguments(old: object) -> dict[int, types.FunctionType]:
    """Give the functions that have an object as a default, of those that it was put into last.

    :returns: each by the ``id()`` of its tuple or dictionary of defaults, which no other one has.
    """
    reference, functions = _known.get(id(old), (None, []))
    if reference is None or reference() is not old:
        return {}
    found = {}
    for function in filter(None, (each() for each in functions)):
        # a function that was copied has the same tuple
        is_alone = _count_defaults(function) == _OF_DEFAULTS
        if is_alone and any(each is old for each in function.__defaults__ or ()):
            found[id(function.__defaults__)] = function
        if any(each is old for each in (function.__kwdefaults__ or {}).values()):
            found[id(function.__kwdefaults__)] = function
    return found


def _count_defaults(function: Any) -> int:
    """Count the references to a function's tuple of defaults, in one way for all."""
    defaults = function.__defaults__
    return sys.getrefcount(defaults)


def _with_default(option: object = object()) -> object:
    return option


# How many there are of one that nobody else has differs between versions of Python.
_OF_DEFAULTS = _count_defaults(_with_default)

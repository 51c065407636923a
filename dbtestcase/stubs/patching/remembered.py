"""Places that held an object when it was put there, so that most stubs need no search for them.

A search asks the garbage collector, which looks at every object of the process. But most tests stub
what the test before has stubbed, and in between nothing was imported. Whether that is so, Python
knows: where all places still hold the object, and it has as many references as there are places,
nothing else can hold it. In all other cases the search goes ahead as if nothing was remembered.
"""

from __future__ import annotations

import sys
import types
import weakref
from typing import Any

from .holders import class_dict, module_dict

__all__ = ["Place", "owners_of_arguments", "put_where_it_was", "remember"]

#: What holds an object: a kind, a weak reference to the holder, and a name or an index in it.
Place = tuple[str, "weakref.ref[Any]", Any]

_known: dict[int, tuple[weakref.ref[Any], list[Place]]] = {}


def remember(held: object, places: list[Place] | None) -> None:
    """Keep where an object was put.

    :param held: the object.
    :param places: all of them; None where there are some of another kind.
    """
    key = id(held)
    _known.pop(key, None)
    if places:
        try:
            reference = weakref.ref(held, lambda gone: _known.pop(key, None))
        except TypeError:  # not every class allows it
            return
        _known[key] = (reference, places)


def put_where_it_was(old: object, new: object, count: int, ours: int) -> bool:
    """Put an object in the place of another one, if all places of that are known.

    :param count: what ``sys.getrefcount()`` said of *old* in the caller, which has it as a
        parameter.
    :param ours: how many of these references are the library's own.
    :returns: whether they were; otherwise nothing was done.
    """
    reference, places = _known.get(id(old), (None, None))
    if reference is None or places is None or reference() is not old:
        return False
    if count - ours - _OF_A_PARAMETER != len(places):
        return False
    if not all(_holds(place, old) for place in places):
        return False
    for place in places:
        _put(place, new)
    remember(new, places)
    return True


def owners_of_arguments(old: object) -> dict[int, types.FunctionType]:
    """Give the functions that had an object as a default when it was put there last.

    :returns: each by the ``id()`` of its tuple or dictionary of defaults, which no other one has.
    """
    reference, places = _known.get(id(old), (None, None))
    if reference is None or places is None or reference() is not old:
        return {}
    found = {}
    for place in places:
        function = place[1]()
        if function is not None and place[0] in ("default", "keyword") and _holds(place, old):
            is_default = place[0] == "default"
            found[id(function.__defaults__ if is_default else function.__kwdefaults__)] = function
    return found


def _holds(place: Place, value: object) -> bool:
    kind, reference, key = place
    holder = reference()
    if holder is None:
        return False
    if kind == "global":
        return module_dict(holder).get(key) is value
    if kind == "attribute":
        return class_dict(holder).get(key) is value
    if kind == "keyword":
        return (holder.__kwdefaults__ or {}).get(key) is value
    defaults = holder.__defaults__
    count = sys.getrefcount(defaults)
    # a function that was copied has the same tuple
    is_alone = defaults is not None and count == _OF_DEFAULTS
    return is_alone and key < len(defaults) and defaults[key] is value


def _put(place: Place, value: Any) -> None:
    kind, reference, key = place
    holder = reference()
    if holder is None:  # with its last reference, a moment ago
        return
    if kind == "global":
        module_dict(holder)[key] = value
    elif kind == "attribute":
        type.__setattr__(holder, key, value)
    elif kind == "keyword":
        holder.__kwdefaults__[key] = value
    else:
        defaults = holder.__defaults__
        holder.__defaults__ = (*defaults[:key], value, *defaults[key + 1 :])


# How many references there are besides those that are looked for differs between versions of
# Python. They are counted in the same way as above.


def _count_parameter(old: object) -> int:
    return sys.getrefcount(old)


def _count_defaults(holder: Any) -> int:
    defaults = holder.__defaults__
    return sys.getrefcount(defaults)


def _with_default(option: object = object()) -> object:
    return option


_OF_A_PARAMETER = _count_parameter(types.SimpleNamespace())
_OF_DEFAULTS = _count_defaults(_with_default)

"""Everything that holds one object, found by identity and given another in its place.

Wherever ``connect`` was imported to, it is the same object there. The garbage collector knows what
refers to it, and asking it is the only way that looks at nothing: no ``==``, no ``isinstance()``
and no attribute is asked for, which would wake lazy modules and proxies. What it cannot tell of
(objects that ``gc.freeze()`` put away, and static types of C, which it does not track) is looked
for in the dictionaries of all modules and classes instead; that takes three times as long.

Found are globals of modules, also of those that are imported later; attributes of classes and of
objects; default arguments; variables that a function has from around it; ``functools.partial()``,
``staticmethod()`` and ``classmethod()``; lists and dictionaries that are globals of a module. Local
variables of functions that are running just now are not.

Left alone is what somebody keeps on purpose: attributes of tests, of mocks and of stubs.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["replace_everywhere"]

# vars() and `__dict__` ask the object's class first, and lazy ones load themselves then
_module_dict: Callable[[Any], dict[str, Any]] = vars(types.ModuleType)["__dict__"].__get__
_class_dict: Callable[[Any], types.MappingProxyType[str, Any]] = type.__dict__["__dict__"].__get__

_WRAPPERS = (staticmethod, classmethod)
_CACHE = type(functools.cache(lambda: None))


def replace_everywhere(old: object, new: object, *, in_mocks: bool = False) -> list[object]:
    """Put an object in the place of another one, wherever that is held.

    >>> import types
    >>> module = types.ModuleType("shop")
    >>> old, new = (lambda: "old"), (lambda: "new")
    >>> module.connect = old
    >>> sys.modules["shop"] = module
    >>> replace_everywhere(old, new), module.connect()
    ([], 'new')
    >>> del sys.modules["shop"]

    :param old: what is looked for, by ``is``.
    :param new: what takes its place.
    :param in_mocks: also in what ``mock.patch()`` is to put back, which may be after us.
    :returns: what holds it where nothing can be put in its place: caches of ``functools``.
    """
    work = _Replacement(old, new, in_mocks)
    work.by_collector()
    if gc.get_freeze_count() or not gc.is_tracked(old):
        work.by_walk()
    return work.out_of_reach


class _Replacement:
    """One object that takes the place of another.

    :param old: what is looked for.
    :param new: what takes its place.
    """

    __slots__ = ("_in_mocks", "_own_cells", "new", "old", "out_of_reach")

    def __init__(self, old: object, new: object, in_mocks: bool) -> None:
        self.old, self.new, self._in_mocks = old, new, in_mocks
        self.out_of_reach: list[object] = []
        self._own_cells = _cells_of_class(old)

    # -- who holds it

    def by_collector(self) -> None:
        """Ask the garbage collector who refers to it, and then who holds those.

        The second question takes as long as the first, and is left out where only modules, classes
        and objects hold it.
        """
        modules = {id(each): each for each in _module_dicts()}
        holders: list[object] = []
        for holder in gc.get_referrers(self.old):
            kind = type(holder)
            if kind is dict and id(holder) in modules:
                self._in_dict(holder)
            elif kind is dict and (owner := _class_of_dict(holder)) is not None:
                self._in_object(owner)
            elif kind in (dict, list, tuple):
                holders.append(holder)
            elif holder is not self:
                self._in_object(holder)
        if not holders:
            return
        found = {id(each) for each in holders}
        for owner in gc.get_referrers(*holders):
            kind = type(owner)
            if kind is dict and id(owner) in modules:
                self._in_containers(owner, found)
            elif kind is not dict and kind is not list and kind is not tuple:
                self._in_object(owner)

    def by_walk(self) -> None:
        """Look through all modules, and the classes and functions in them."""
        seen: set[int] = set()
        for module in _module_dicts():
            self._in_dict(module)
            values = list(module.values())
            while values:
                value = values.pop()
                if id(value) in seen:
                    continue
                kind = type(value)
                if issubclass(kind, type):
                    seen.add(id(value))
                    self._in_object(value)
                    values.extend(_class_dict(value).values())
                elif kind in (types.FunctionType, *_WRAPPERS, functools.partial, _CACHE):
                    seen.add(id(value))
                    self._in_object(value)
                    if kind in _WRAPPERS:
                        values.append(value.__func__)
                    elif kind is types.FunctionType:
                        for cell in value.__closure__ or ():
                            self._in_cell(cell)

    # -- how it is put in

    def _in_object(self, holder: Any) -> None:
        kind = type(holder)
        if kind is types.CellType:
            self._in_cell(holder)
        elif kind is types.FunctionType:
            self._in_function(holder)
        elif issubclass(kind, type):
            for name, value in list(_class_dict(holder).items()):
                if value is self.old:
                    _set_on_class(holder, name, self.new)
        elif issubclass(kind, functools.partial):
            self._in_partial(holder)
        elif kind in _WRAPPERS:
            if holder.__func__ is self.old:
                holder.__init__(self.new)
        elif kind is _CACHE:
            if _dict_of(holder, kind)["__wrapped__"] is self.old:  # type: ignore[index]
                self.out_of_reach.append(holder)
        elif issubclass(kind, types.ModuleType):
            self._in_dict(_module_dict(holder))
        elif (self._in_mocks and _module_of(kind) == "unittest.mock") or not _keeps_on_purpose(
            kind
        ):
            attributes = _dict_of(holder, kind)
            if attributes is not None:
                self._in_dict(attributes)

    def _in_dict(self, holder: dict[Any, Any]) -> None:
        for key, value in list(holder.items()):
            if value is self.old:
                holder[key] = self.new

    def _in_containers(self, module: dict[str, Any], found: set[int]) -> None:
        for name, value in list(module.items()):
            if id(value) not in found or name.startswith("__"):
                continue
            if type(value) is dict:
                self._in_dict(value)
            elif type(value) is list:
                for position, each in enumerate(value):
                    if each is self.old:
                        value[position] = self.new

    def _in_function(self, function: types.FunctionType) -> None:
        defaults = function.__defaults__
        if defaults is not None and any(each is self.old for each in defaults):
            function.__defaults__ = tuple(
                self.new if each is self.old else each for each in defaults
            )
        if function.__kwdefaults__ is not None:
            self._in_dict(function.__kwdefaults__)
        # attributes, such as the __wrapped__ of functools.wraps()
        attributes = _dict_of(function, types.FunctionType)
        if attributes:
            self._in_dict(attributes)

    def _in_partial(self, holder: Any) -> None:
        function, args, keywords, attributes = functools.partial.__reduce__(holder)[2]  # type: ignore
        if function is self.old or any(each is self.old for each in args):
            function = self.new if function is self.old else function
            args = tuple(self.new if each is self.old else each for each in args)
            # the way in which pickle fills one, and the only one to change it where it is
            functools.partial.__setstate__(holder, (function, args, keywords, attributes))  # type: ignore
        self._in_dict(holder.keywords)

    def _in_cell(self, cell: types.CellType) -> None:
        try:
            held = cell.cell_contents
        except ValueError:  # it is empty
            return
        if held is self.old and id(cell) not in self._own_cells:
            cell.cell_contents = self.new


def _module_dicts() -> Iterator[dict[str, Any]]:
    # a copy, as other threads may import meanwhile
    for module in list(sys.modules.values()):
        if issubclass(type(module), types.ModuleType):
            yield _module_dict(module)


def _dict_of(holder: Any, kind: type) -> dict[str, Any] | None:
    """Give an object's attributes as they are stored, whatever its class says when it is asked."""
    for base in kind.__mro__:
        descriptor = _class_dict(base).get("__dict__")
        if type(descriptor) is types.GetSetDescriptorType:
            return descriptor.__get__(holder)  # type: ignore[no-any-return]
        if descriptor is not None:
            break
    return None


def _class_of_dict(holder: dict[str, Any]) -> type | None:
    """Give the class that has these attributes, where one of them tells."""
    for name in ("__dict__", "__weakref__"):
        descriptor = holder.get(name)
        if type(descriptor) is types.GetSetDescriptorType:
            return descriptor.__objclass__
    return None


def _set_on_class(holder: type, name: str, value: object) -> None:
    # one of C cannot be changed, and so nobody put anything there
    with contextlib.suppress(TypeError):
        type.__setattr__(holder, name, value)


def _keeps_on_purpose(kind: type) -> bool:
    return any(
        _module_of(base).partition(".")[0] in ("dbtestcase", "unittest") for base in kind.__mro__
    )


def _module_of(kind: type) -> str:
    module = _class_dict(kind).get("__module__")
    return module if type(module) is str else ""


def _cells_of_class(old: object) -> set[int]:
    """Give the cells by which methods of a class know it, for ``super()``."""
    if not issubclass(type(old), type):
        return set()
    found: set[int] = set()
    seen: set[int] = set()
    values = list(_class_dict(old).values())
    while values:
        value = values.pop()
        if type(value) in _WRAPPERS:
            value = value.__func__
        elif type(value) is property:
            values.extend((value.fget, value.fset, value.fdel))
        if type(value) is not types.FunctionType or id(value) in seen:
            continue
        seen.add(id(value))
        for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=True):
            if name == "__class__":
                found.add(id(cell))
            elif (inner := _content(cell)) is not None:
                values.append(inner)
    return found


def _content(cell: types.CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:
        return None

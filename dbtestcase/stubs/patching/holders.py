"""One object put in the place of another in whatever holds it.

No holder is asked for anything by its own methods or attributes, which would wake lazy modules and
proxies: all goes by what the built-in types do.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import types
from collections import deque
from collections.abc import Callable
from typing import Any

__all__ = ["CONTAINERS", "WRAPPERS", "Swap", "class_dict", "module_dict", "module_of"]

# vars() and `__dict__` ask the object's class first, and lazy ones load themselves then
module_dict: Callable[[Any], dict[str, Any]] = vars(types.ModuleType)["__dict__"].__get__
class_dict: Callable[[Any], types.MappingProxyType[str, Any]] = type.__dict__["__dict__"].__get__

#: What only matters as part of something else.
CONTAINERS = (dict, list, tuple, set, frozenset, deque, types.MappingProxyType)

CACHE = type(functools.cache(lambda: None))

#: What calls the object and cannot be changed; another one is put in its place.
WRAPPERS = (CACHE, property, types.MethodType)

#: Packages whose objects keep things on purpose: what a test or a mock has put away.
_KEEPERS = ("_pytest", "dbtestcase", "inspect", "pluggy", "typing", "unittest")


class Swap:
    """Puts one object in the place of another.

    :param old: what is looked for, by ``is``.
    :param new: what takes its place.
    :param in_mocks: also in what ``mock.patch()`` is to put back.
    """

    __slots__ = ("_in_mocks", "_own_cells", "functions", "new", "old")

    def __init__(self, old: object, new: object, in_mocks: bool = False) -> None:
        self.old, self.new, self._in_mocks = old, new, in_mocks
        #: the functions that it was put into, as a default perhaps
        self.functions: list[types.FunctionType] = []
        self._own_cells = _cells_of_class(old)

    def in_any(self, holder: Any) -> None:
        """Put it into a holder of any kind but a container."""
        kind = type(holder)
        if kind is types.CellType:
            self._in_cell(holder)
        elif kind is types.FunctionType:
            self._in_function(holder)
        elif issubclass(kind, type):
            for name, value in list(class_dict(holder).items()):
                if value is self.old:
                    _set_on_class(holder, name, self.new)
        elif issubclass(kind, functools.partial):
            self._in_partial(holder)
        elif kind in (staticmethod, classmethod):
            if holder.__func__ is self.old:
                holder.__init__(self.new)
        elif issubclass(kind, types.ModuleType):
            self.in_module(holder)
        elif not self.keeps_on_purpose(kind):
            self._in_object(holder, kind)

    def keeps_on_purpose(self, kind: type) -> bool:
        """Tell whether what objects of a class hold is left to them."""
        if self._in_mocks and module_of(kind) == "unittest.mock":
            return False
        return any(module_of(base).partition(".")[0] in _KEEPERS for base in kind.__mro__)

    def in_module(self, module: types.ModuleType) -> None:
        """Put it into the globals of a module."""
        self._in_names(module_dict(module))

    def _in_names(self, names: dict[str, Any]) -> None:
        for name, value in list(dict.items(names)):
            if value is self.old:
                dict.__setitem__(names, name, self.new)

    def in_container(self, container: Any, inner: set[int]) -> Any:
        """Put it into a container.

        :param inner: the ``id()`` of the containers that are to be looked into where this one, or
            one in it, has them.
        :returns: the container; one that cannot be changed is made anew.
        """
        kind = type(container)
        inner = inner - {id(container)}  # one may hold itself

        def made(value: Any) -> Any:
            if value is self.old:
                return self.new
            return self.in_container(value, inner) if id(value) in inner else value

        if issubclass(kind, dict):
            for key, value in list(dict.items(container)):
                if (other := made(value)) is not value:
                    dict.__setitem__(container, key, other)
        elif issubclass(kind, list | deque):
            base: Any = list if issubclass(kind, list) else deque
            for position, value in enumerate(list(base.__iter__(container))):
                if (other := made(value)) is not value:
                    base.__setitem__(container, position, other)
        elif issubclass(kind, tuple):
            values = list(tuple.__iter__(container))
            others = [made(value) for value in values]
            if any(other is not value for other, value in zip(others, values, strict=True)):
                return tuple.__new__(kind, others)
        elif kind is set or kind is frozenset:
            if any(value is self.old for value in container):
                others = [self.new if value is self.old else value for value in container]
                if kind is frozenset:
                    return frozenset(others)
                container.clear()
                container.update(others)
        elif kind is types.MappingProxyType:
            for mapping in gc.get_referents(container):
                self.in_container(mapping, inner)
        return container

    def wrapper(self, holder: Any) -> Any:
        """Make what takes the place of a wrapper that calls the object, None for another one."""
        kind = type(holder)
        if kind is CACHE:
            own = _dict_of(holder, kind) or {}
            if own.get("__wrapped__") is self.old:
                return functools.lru_cache(**holder.cache_parameters())(self.new)
        elif kind is types.MethodType:
            if holder.__func__ is self.old:
                return types.MethodType(self.new, holder.__self__)  # type: ignore[arg-type]
        elif kind is property:
            functions: Any = (holder.fget, holder.fset, holder.fdel)
            if any(each is self.old for each in functions):
                made: Any = [self.new if each is self.old else each for each in functions]
                return property(made[0], made[1], made[2], holder.__doc__)
        return None

    def _in_object(self, holder: Any, kind: type) -> None:
        attributes = _dict_of(holder, kind)
        if attributes is not None:
            self._in_names(attributes)
        for base in kind.__mro__:
            for slot in class_dict(base).values():
                if type(slot) is types.MemberDescriptorType:
                    # an empty one, or one of C's that cannot be set
                    with contextlib.suppress(AttributeError, TypeError):
                        if slot.__get__(holder) is self.old:
                            slot.__set__(holder, self.new)

    def _in_function(self, function: types.FunctionType) -> None:
        defaults = function.__defaults__
        if defaults is not None and defaults is self.old:
            function.__defaults__ = self.new  # type: ignore[assignment]
        elif defaults is not None:
            for index, value in enumerate(defaults):
                if value is self.old:
                    before, after = function.__defaults__[:index], defaults[index + 1 :]  # type: ignore[index]
                    function.__defaults__ = (*before, self.new, *after)
        if function.__kwdefaults__ is not None:
            self._in_names(function.__kwdefaults__)
        self.functions.append(function)
        # attributes, such as the __wrapped__ of functools.wraps()
        attributes = _dict_of(function, types.FunctionType)
        if attributes:
            self._in_names(attributes)

    def _in_partial(self, holder: Any) -> None:
        function, args, keywords, attributes = functools.partial.__reduce__(holder)[2]  # type: ignore
        if function is self.old or any(each is self.old for each in args):
            function = self.new if function is self.old else function
            args = tuple(self.new if each is self.old else each for each in args)
            # the way in which pickle fills one, and the only one to change it where it is
            functools.partial.__setstate__(holder, (function, args, keywords, attributes))  # type: ignore
        self._in_names(holder.keywords)

    def _in_cell(self, cell: types.CellType) -> None:
        if _content(cell) is self.old and id(cell) not in self._own_cells:
            cell.cell_contents = self.new


def module_of(kind: type) -> str:
    """Give the name of the module that a class says it comes from."""
    module = class_dict(kind).get("__module__")
    return module if type(module) is str else ""


def _dict_of(holder: Any, kind: type) -> dict[str, Any] | None:
    """Give an object's attributes as they are stored, whatever its class says when it is asked."""
    for base in kind.__mro__:
        descriptor = class_dict(base).get("__dict__")
        if isinstance(descriptor, types.GetSetDescriptorType | types.MemberDescriptorType):
            return descriptor.__get__(holder)  # type: ignore[no-any-return]
        if descriptor is not None:
            break
    return None


def _set_on_class(holder: type, name: str, value: object) -> None:
    # one of C cannot be changed, and so nobody put anything there
    with contextlib.suppress(TypeError):
        type.__setattr__(holder, name, value)


def _content(cell: types.CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # it is empty
        return None


def _cells_of_class(old: object) -> set[int]:
    """Give the cells by which methods of a class know it, for ``super()``."""
    if not issubclass(type(old), type):
        return set()
    found: set[int] = set()
    seen: set[int] = set()
    values = list(class_dict(old).values())
    while values:
        value = values.pop()
        if type(value) in (staticmethod, classmethod):
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

"""Everything that holds one object, found by identity and given another in its place.

Wherever ``connect`` was imported to, it is the same object there. The garbage collector knows what
refers to it, and asking it is the only way that looks at nothing: no ``==``, no ``isinstance()``
and no attribute is asked for, which would wake lazy modules and proxies. What it cannot tell of
(objects that ``gc.freeze()`` put away, and static types of C, which it does not track) is looked
for in the dictionaries of all modules and classes instead; that takes three times as long.

Found are globals of modules, also of those that are imported later; attributes of classes and of
objects, in slots, too; default arguments; variables that a function has from around it;
``functools.partial()``, ``staticmethod()`` and ``classmethod()``; and lists, dictionaries and other
containers, in one another, that any of these have. Caches of ``functools``, properties and bound
methods cannot be changed, and have others in their places. Local variables of functions that are
running just now, and of generators, are not found.

Left alone is what somebody keeps on purpose: attributes of tests, of mocks and of stubs.
"""

from __future__ import annotations

import functools
import gc
import sys
import types
from collections.abc import Container, Iterable, Iterator
from typing import Any

from .holders import CONTAINERS, WRAPPERS, Swap, class_dict, module_dict
from .remembered import owners_of_arguments, remember

__all__ = ["replace_everywhere"]

#: How deep containers are in one another.
_DEPTH = 4

#: The flag of classes that were made while the program runs, as all of Python's are.
_HEAP_TYPE = 1 << 9

#: What has local variables of code that is running.
_RUNNING = (
    types.FrameType,
    types.GeneratorType,
    types.CoroutineType,
    types.AsyncGeneratorType,
)


def replace_everywhere(
    old: object, new: object, *, in_mocks: bool = False
) -> list[tuple[object, object]]:
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
    :returns: pairs of a wrapper of *old*, such as a cache, and what was put in its place.
    """
    swap = Swap(old, new, in_mocks)
    wrappers = _by_collector(swap)
    if gc.get_freeze_count() or not gc.is_tracked(old):
        wrappers += _by_walk(swap)
    pairs = []
    for wrapper in {id(each): each for each in wrappers}.values():
        other = swap.wrapper(wrapper)
        if other is not None:
            pairs += [(wrapper, other), *replace_everywhere(wrapper, other, in_mocks=in_mocks)]
    remember(new, swap.functions)
    return pairs


def _by_collector(swap: Swap) -> list[object]:
    """Ask the garbage collector who refers to it, and who holds those that are containers.

    The second question takes as long as the first, and is left out where no container holds it.

    :returns: wrappers that hold it.
    """
    modules = {id(module_dict(each)): each for each in _modules()}
    not_ours = _tuples_of_classes(swap.old)
    owners = owners_of_arguments(swap.old)
    containers: list[Any] = []
    wrappers: list[object] = []
    for holder in gc.get_referrers(swap.old):
        kind = type(holder)
        if id(holder) in owners:
            swap.in_any(owners[id(holder)])
        elif kind is dict:
            if id(holder) in modules:
                swap.in_module(modules[id(holder)])
            elif (owner := _class_of_dict(holder)) is not None:
                swap.in_any(owner)
            else:
                containers.append(holder)
        elif kind in WRAPPERS:
            wrappers.append(holder)
        elif issubclass(kind, CONTAINERS):
            if id(holder) not in not_ours:
                containers.append(holder)
            # one of the program's own has attributes as well
            if kind not in CONTAINERS:
                swap.in_any(holder)
        elif holder is not swap and kind not in _RUNNING:
            swap.in_any(holder)
    if containers:
        _in_containers(swap, containers, modules)
    return wrappers


def _in_containers(swap: Swap, level: list[Any], modules: Container[int]) -> None:
    """Find what has these containers, and put it into them there.

    Who has only local variables for one is left alone, as that cannot be told from a test which
    has put something away.
    """
    known = {id(each) for each in level}
    # what is ours holds them, too
    ours = {id(level)}
    for _ in range(_DEPTH):
        above: list[Any] = []
        ours.add(id(above))
        for owner in gc.get_referrers(*level):
            kind = type(owner)
            if id(owner) in ours or kind in _RUNNING:
                continue
            if kind is dict and id(owner) in modules:
                _in_names(swap, owner, known)
            elif kind is dict and (of := _class_of_dict(owner)) is not None:
                _in_owner(swap, of, known)
            elif issubclass(kind, CONTAINERS):
                if id(owner) not in known:
                    known.add(id(owner))
                    above.append(owner)
            else:
                _in_owner(swap, owner, known)
        if not above:
            return
        level = above


def _in_names(swap: Swap, names: dict[str, Any], known: set[int]) -> None:
    for name, value in list(names.items()):
        # __annotations__ and the like tell of the function, and call it nowhere
        if id(value) in known and not name.startswith("__"):
            made = swap.in_container(value, known)
            if made is not value:
                names[name] = made


def _in_owner(swap: Swap, owner: Any, known: set[int]) -> None:
    """Put it into the containers that a class, function or object has."""
    kind = type(owner)
    held: Iterable[Any]
    if issubclass(kind, type):
        # not into its dictionary itself, past which Python remembers what a class has
        swap.in_any(owner)
        held = [each for name, each in class_dict(owner).items() if not name.startswith("__")]
    elif kind is types.FunctionType:
        swap.in_any(owner)
        held = (owner.__defaults__, owner.__kwdefaults__, owner.__dict__)  # and no annotations
    elif issubclass(kind, functools.partial):
        swap.in_any(owner)
        held = gc.get_referents(owner)
    elif not _has_attributes(kind) or swap.keeps_on_purpose(kind):
        return
    else:
        held = gc.get_referents(owner)
    for value in held:
        if id(value) in known:
            made = swap.in_container(value, known)
            if made is not value:
                Swap(value, made).in_any(owner)


def _has_attributes(kind: type) -> bool:
    """Tell objects of programs from iterators and the like, which a test may have of its own."""
    if kind in (types.CellType, types.SimpleNamespace):
        return True
    return bool(kind.__flags__ & _HEAP_TYPE) and kind not in WRAPPERS


def _by_walk(swap: Swap) -> list[object]:
    """Look through all modules, and the classes and functions in them.

    :returns: wrappers that hold it.
    """
    wrappers: list[object] = []
    seen: set[int] = set()
    for each in _modules():
        module = module_dict(each)
        swap.in_module(each)
        for name, value in list(module.items()):
            if type(value) in (dict, list, tuple) and not name.startswith("__"):
                made = swap.in_container(value, set())
                if made is not value:
                    module[name] = made
        values = list(module.values())
        while values:
            value = values.pop()
            kind = type(value)
            if id(value) in seen:
                continue
            if issubclass(kind, type):
                seen.add(id(value))
                swap.in_any(value)
                values.extend(class_dict(value).values())
            elif kind in WRAPPERS:
                seen.add(id(value))
                wrappers.append(value)
            elif kind in (types.FunctionType, staticmethod, classmethod, functools.partial):
                seen.add(id(value))
                swap.in_any(value)
                if kind is types.FunctionType:
                    for cell in value.__closure__ or ():
                        swap.in_any(cell)
                elif kind is not functools.partial:
                    values.append(value.__func__)
    return wrappers


def _modules() -> Iterator[types.ModuleType]:
    # a copy, as other threads may import meanwhile
    for module in list(sys.modules.values()):
        if issubclass(type(module), types.ModuleType):
            yield module


def _class_of_dict(holder: dict[str, Any]) -> type | None:
    """Give the class that has these attributes, where one of them tells."""
    for name in ("__dict__", "__weakref__"):
        descriptor = holder.get(name)
        if type(descriptor) is types.GetSetDescriptorType:
            return descriptor.__objclass__
    return None


def _tuples_of_classes(old: Any) -> set[int]:
    """Give the tuples in which classes have a class as a base, which stay as they are."""
    if not issubclass(type(old), type):
        return set()
    found: set[int] = set()
    classes = [old]
    while classes:
        each = classes.pop()
        found.update((id(each.__mro__), id(each.__bases__)))
        classes.extend(type.__subclasses__(each))
    return found

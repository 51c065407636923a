"""Classes that are derived from one which is stubbed, and would connect for real.

Nothing but a search for calls could find who makes objects of them. So while the stub is there,
each has an ``__init__()`` that refuses the program's objects.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from .holders import class_dict

__all__ = ["Derived"]

_NONE = object()
_GUARD = "_dbt_guard"


class Derived:
    """The classes that are directly derived from a class; others have their ``__init__()``.

    :param original: the class.
    :param check: is given the class of an object that the program is about to make, and refuses
        it, or not.
    """

    def __init__(self, original: type, check: Callable[[type], None]) -> None:
        self._original, self._check = original, check
        #: each class and what it has got
        self._guarded: list[tuple[type, _Guard]] = []

    def guard(self) -> None:
        """Refuse objects of all that there are."""
        derived: list[type] = type.__subclasses__(self._original)
        for each in derived:
            self._guard(each)

    def let_go(self) -> None:
        """Put back what the classes had."""
        guarded, self._guarded = self._guarded, []
        for kind, guard in guarded:
            guard.is_over = True
            found = class_dict(kind).get("__init__")
            if found is not guard.function:
                continue  # that of another stub, which calls ours, and takes it out with its own
            had: object = found
            while (each := getattr(had, _GUARD, None)) is not None and each.is_over:
                had = each.had
            if had is _NONE:
                type.__delattr__(kind, "__init__")
            else:
                type.__setattr__(kind, "__init__", had)

    def bases(self) -> tuple[type, ...]:
        """Give the bases of a class that is made meanwhile: it is guarded, too."""

        class Made:
            __slots__ = ()

            def __init_subclass__(kind, **options: Any) -> None:
                super().__init_subclass__(**options)
                kind.__bases__ = tuple(each for each in kind.__bases__ if each is not Made)
                self._guard(kind)

        return (self._original, Made)

    def _guard(self, kind: type) -> None:
        guard = _Guard(kind, self._check)
        # one of C cannot be changed, and no program has derived it
        with contextlib.suppress(TypeError):
            type.__setattr__(kind, "__init__", guard.function)
            self._guarded.append((kind, guard))


class _Guard:
    """An ``__init__()`` that asks first.

    :param kind: the class that gets it.
    :param check: is given the class of the object.
    """

    def __init__(self, kind: Any, check: Callable[[type], None]) -> None:
        self.had: Any = class_dict(kind).get("__init__", _NONE)
        self.is_over = False

        def __init__(made: Any, /, *args: Any, **options: Any) -> None:
            if not self.is_over:
                check(type(made))
            if self.had is _NONE:
                super(kind, made).__init__(*args, **options)
            else:
                self.had(made, *args, **options)

        setattr(__init__, _GUARD, self)
        self.function = __init__

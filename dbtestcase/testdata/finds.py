"""A value that ``setUpTestData`` left, and all in it that is not simply copied."""

from __future__ import annotations

import contextlib
import copy
import types
from collections import deque, namedtuple
from collections.abc import Iterator
from typing import Any

import sqlalchemy

from .rows import UNCHANGING, Row, is_mapped

__all__ = ["CONTAINERS", "Find"]

__unittest = True  # unittest leaves frames of this module out of tracebacks

CONTAINERS = (dict, list, tuple, set, frozenset, deque)
_CODE = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.MethodType)
# A copy of these would be another app, another engine, a mock that nobody calls.
_MACHINERY = {"alchemical", "click", "dbtestcase", "flask", "sqlalchemy", "unittest", "werkzeug"}


class Find:
    """A value, and all in it that copy.deepcopy() must not copy by itself."""

    def __init__(self, value: Any, path: str) -> None:
        self.value = value
        self.rows: list[Row] = []
        self.shared: list[Any] = []
        self._replaced: list[tuple[Any, Any]] = []  # a collection of SQLAlchemy's, a plain one
        self._objects: list[Any] = []  # all others
        self._explore(path)

    def _explore(self, path: str) -> None:
        queue: list[tuple[Any, str]] = [(self.value, path)]
        seen: dict[int, Any] = {}  # keeps what it names alive: ids are not used again
        while queue:
            value, path = queue.pop()
            kind = type(value)
            if issubclass(kind, UNCHANGING + _CODE) or id(value) in seen:
                continue
            seen[id(value)] = value
            # asked by class throughout: a proxy answers isinstance() for its object, or raises
            packages = {str(base.__module__).partition(".")[0] for base in kind.__mro__}
            if is_mapped(kind):
                row = Row(value, path)
                self.rows.append(row)
                queue += [(extra, f"{path}.{name}") for name, extra in row.extras.items()]
            elif "sqlalchemy" in packages and (plain := _plain(value)) is not None:
                self._replaced.append((value, plain))
                queue.append((plain, path))
            elif issubclass(kind, CONTAINERS) and "flask" not in packages:
                queue += _members(value, path)
            elif packages & _MACHINERY or any(name.startswith("flask_") for name in packages):
                self.shared.append(value)
            else:
                self._objects.append(value)
                with contextlib.suppress(Exception):  # a proxy without its object, for example
                    state = object.__getstate__(value)  # a dict, and one of the __slots__
                    for part in state if isinstance(state, tuple) else (state,):
                        for name, member in (part or {}).items():
                            queue.append((member, f"{path}.{name}"))

    def share_what_cannot_be_copied(self) -> None:
        """Find out what refuses to be copied, here or in a row's attributes, and share it."""
        if self._can_be_copied([self.value, *(list(row.extras.values()) for row in self.rows)]):
            return
        for value in reversed(self._objects):  # inner ones first: one lock spoils all around it
            if not self._can_be_copied(value):
                self.shared.append(value)

    def _can_be_copied(self, value: Any) -> bool:
        memo = {id(row.master): row.master for row in self.rows}
        try:
            self.seed(memo)
            copy.deepcopy(value, memo)
        except Exception:  # whatever the value's own class raises
            return False
        return True

    def is_unchanging(self) -> bool:
        """Whether each test may as well read the value from the class."""
        if self.rows:
            return False
        memo: dict[int, Any] = {}
        self.seed(memo)
        return copy.deepcopy(self.value, memo) is self.value

    def seed(self, memo: dict[int, Any]) -> None:
        """Tell deepcopy() what stands for what. The rows must be in the memo already."""
        for value in self.shared:
            memo[id(value)] = value
        for value, plain in reversed(self._replaced):  # inner ones first
            if id(value) not in memo:
                memo[id(value)] = copy.deepcopy(plain, memo)


def _members(container: Any, path: str) -> Iterator[tuple[Any, str]]:
    """Yield what is in a container, each with its path."""
    if isinstance(container, dict):
        for key, member in container.items():
            yield member, f"{path}[{key!r}]" if isinstance(key, (str, int)) else f"{path}[...]"
            yield key, f"a key of {path}"
    else:
        for index, member in enumerate(container):
            if not isinstance(member, UNCHANGING):  # spares long lists their paths
                yield member, f"{path}[{index}]"


def _plain(value: Any) -> Any:
    """Return a collection of SQLAlchemy's (``alice.posts``, a Row) as one that knows no owner."""
    if issubclass(type(value), sqlalchemy.Row):
        return namedtuple("Row", value._fields, rename=True)(*value)
    for kind in (list, set, dict):
        if issubclass(type(value), kind):
            return kind(value)
    return None

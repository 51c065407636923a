"""The attributes that ``setUpTestData`` left on the class, and what a test gets for each."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any
from unittest import TestCase

from sqlalchemy import inspect
from sqlalchemy.orm import Session

from ..errors import TestDataError
from .finds import CONTAINERS, Find
from .rows import Row, is_mapped, read_rows

__all__ = ["ClassData"]

__unittest = True  # unittest leaves frames of this module out of tracebacks

_MISSING = object()
_COPIES = "_dbtestcase_copies"  # in a test's __dict__: id of an original -> this test's own


class ClassData:
    """What ``setUpTestData`` left on one test class. Made by :meth:`capture`.

    A context manager, too, that puts the class back at its end.
    """

    def __init__(
        self,
        owner: type,
        before: Mapping[str, object],
        session_of: Callable[[TestCase], Session],
        wrote: Callable[[], bool],
    ) -> None:
        self._owner = owner
        self._before = before
        self._session_of = session_of
        self._wrote = wrote
        self._names: list[str] = []  # of attributes that remove() puts back
        self._rows: dict[int, Row] = {}  # by the id of the object that setUpTestData made

    @classmethod
    def capture(
        cls,
        owner: type,
        before: Mapping[str, object],
        *,
        session: Session | None,
        session_of: Callable[[TestCase], Session],
        wrote: Callable[[], bool],
    ) -> ClassData:
        """Make what ``setUpTestData`` left on a class new for each test.

        Rolls back and closes the sessions of all objects that it finds, so what was not
        committed is gone, as it would be in production. Reads each object once.

        :param owner: the test class; attributes are replaced on it, not on its bases.
        :param before: ``dict(vars(owner))`` from before ``setUpTestData`` ran. What is new or
            changed since is captured; and what holds objects that got a row since.
        :param session: the library's session as it is now. Objects in it will be attached to
            ``session_of(test)``. None where the class has no engine.
        :param session_of: gives a test's session.
        :param wrote: tells whether anything was written to the database in this test. Until
            then, objects are made from what the class read, without asking the database.
        :raises TestDataError: an object's row is not in the database. The class is then as it
            was before.
        """
        data = cls(owner, before, session_of, wrote)
        finds: dict[str, Find] = {}
        for name, value in list(vars(owner).items()):
            new = before.get(name, _MISSING) is not value
            if (name.startswith("__") and name.endswith("__")) or hasattr(type(value), "__get__"):
                continue  # what Python keeps there; functions and properties
            if not new and not (issubclass(type(value), CONTAINERS) or is_mapped(type(value))):
                continue
            find = Find(value, f"{owner.__name__}.{name}")
            if new or any(inspect(row.master).key for row in find.rows):
                find.rows = [data._rows.setdefault(id(row.master), row) for row in find.rows]
                data._names.append(name)
                finds[name] = find
        try:
            read_rows(list(data._rows.values()), session)
        except BaseException:
            data.remove()
            raise
        for name, find in finds.items():
            find.share_what_cannot_be_copied()
            if not find.is_unchanging():
                setattr(owner, name, _Attribute(data, name, find))
        return data

    def remove(self) -> None:
        """Put the class's attributes back as they were before ``setUpTestData``."""
        for name in self._names:
            if name in self._before:
                setattr(self._owner, name, self._before[name])
            elif name in vars(self._owner):
                delattr(self._owner, name)
        self._names.clear()
        self._rows.clear()

    def forget(self, test: TestCase) -> None:
        """Take from a test what it has read, so that its next run reads it anew.

        :param test: a test that has ended.
        """
        own = test.__dict__
        own.pop(_COPIES, None)
        for name in self._names:
            own.pop(name, None)

    def __enter__(self) -> ClassData:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.remove()

    def _value_for(self, test: TestCase, find: Find) -> Any:
        # one memo for all attributes, so that objects in several of them stay one object
        memo: dict[int, Any] = test.__dict__.setdefault(_COPIES, {})
        new = [row for row in find.rows if id(row.master) not in memo]
        if any(not row.attached for row in new):
            self._copy_detached(memo)
        for row in new:
            if row.attached:
                memo[id(row.master)] = self._attach(row, test)
        find.seed(memo)
        for row in find.rows:
            row.add_extras(memo)
        return copy.deepcopy(find.value, memo)

    def _attach(self, row: Row, test: TestCase) -> Any:
        session = self._session_of(test)
        state = inspect(row.template)
        instance = session.identity_map.get(state.key)
        if instance is not None:
            return instance
        if not self._wrote():
            with session.no_autoflush:
                instance = session.merge(row.template, load=False)
            row.own_values(instance)
            return instance
        instance = session.get(type(row.template), state.identity)
        if instance is None:
            name = row.path.partition(".")[2]
            raise TestDataError(
                f"{row.path} was deleted in this test before the test first read it. "
                f"Read self.{name}, or what you need of it, before what deletes its row."
            )
        return instance

    def _copy_detached(self, memo: dict[int, Any]) -> None:
        # all at once, so that links between them lead to copies of the same test
        with Session() as scratch:
            for row in self._rows.values():
                if not row.attached:
                    memo[id(row.master)] = scratch.merge(row.template, load=False)
            scratch.expunge_all()
        for row in self._rows.values():
            if not row.attached:
                row.own_values(memo[id(row.master)])


class _Attribute:
    """Stands on the class for one attribute that ``setUpTestData`` left there.

    Has no ``__set__``: what a test assigns, and what it has read, is in its own ``__dict__``.
    """

    def __init__(self, data: ClassData, name: str, find: Find) -> None:
        self._data, self._name, self._find = data, name, find

    def __get__(self, test: TestCase | None, owner: type) -> Any:
        if test is None:
            return self._find.value
        value = test.__dict__[self._name] = self._data._value_for(test, self._find)
        return value

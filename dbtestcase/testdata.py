"""What ``setUpTestData`` leaves on the class, new for each test.

``setUpTestData`` runs once per class. An ORM object that it leaves there belongs to a session
that is over when a test begins, and a test that changed it would change it for the next one.
So each attribute is replaced by a descriptor, and a test that reads it gets objects of its own:

.. code-block:: text

    setUpTestData leaves              a test gets
    ------------------------------    ------------------------------------------------------
    an object of the library's        the same row, attached to the test's session
    session (``cls.session``, or
    Flask-SQLAlchemy's)
    an object of another session      a detached copy, with the links that were loaded
    a list, tuple, set or dict of     a copy of it that holds the above, however deep they
    them, or an object that has       are nested
    them as attributes
    any other value                   a deep copy, as in ``django.test``
    what cannot be copied, and        the very same object
    parts of the machinery: apps,
    clients, engines, sessions,
    mocks

On the class itself the objects that ``setUpTestData`` made stay readable: they are detached,
their columns loaded.

.. code-block:: python

    before = dict(vars(cls))
    cls.setUpTestData()
    data = ClassData.capture(
        cls, before, session=session, session_of=session_of, wrote=sandbox.wrote
    )
    ...
    data.remove()

The copies are made by ``Session.merge(load=False)``, which sends nothing and is made for
objects that come out of a cache: https://docs.sqlalchemy.org/en/20/orm/session_state_management.html
"""

from __future__ import annotations

import contextlib
import copy
import datetime
import decimal
import enum
import types
import uuid
from collections import deque, namedtuple
from collections.abc import Callable, Iterator, Mapping
from inspect import getattr_static
from typing import Any
from unittest import TestCase

from sqlalchemy import Row, inspect
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.ext.mutable import MutableBase
from sqlalchemy.orm import Mapper, Session
from sqlalchemy.orm.attributes import set_committed_value

from .errors import TestDataError

__all__ = ["ClassData"]

__unittest = True  # unittest leaves frames of this module out of tracebacks

_MISSING = object()
_COPIES = "_dbtestcase_copies"  # in a test's __dict__: id of an original -> this test's own
_CONTAINERS = (dict, list, tuple, set, frozenset, deque)
_CODE = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.MethodType)
_UNCHANGING = (
    *(type(None), bool, int, float, complex, str, bytes, decimal.Decimal, uuid.UUID),
    *(datetime.date, datetime.time, datetime.datetime, datetime.timedelta, enum.Enum),
)
# A copy of these would be another app, another engine, a mock that nobody calls.
_MACHINERY = {"alchemical", "click", "dbtestcase", "flask", "sqlalchemy", "unittest", "werkzeug"}


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
        self._rows: dict[int, _Row] = {}  # by the id of the object that setUpTestData made

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
        finds: dict[str, _Find] = {}
        for name, value in list(vars(owner).items()):
            new = before.get(name, _MISSING) is not value
            if (name.startswith("__") and name.endswith("__")) or hasattr(type(value), "__get__"):
                continue  # what Python keeps there; functions and properties
            if not new and not (issubclass(type(value), _CONTAINERS) or _is_mapped(type(value))):
                continue
            find = _Find(value, f"{owner.__name__}.{name}")
            if new or any(inspect(row.master).key for row in find.rows):
                find.rows = [data._rows.setdefault(id(row.master), row) for row in find.rows]
                data._names.append(name)
                finds[name] = find
        try:
            _read(list(data._rows.values()), session)
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
        for name in (*self._names, _COPIES):
            test.__dict__.pop(name, None)

    def __enter__(self) -> ClassData:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.remove()

    def _value_for(self, test: TestCase, find: _Find) -> Any:
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

    def _attach(self, row: _Row, test: TestCase) -> Any:
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

    def __init__(self, data: ClassData, name: str, find: _Find) -> None:
        self._data, self._name, self._find = data, name, find

    def __get__(self, test: TestCase | None, owner: type) -> Any:
        if test is None:
            return self._find.value
        value = test.__dict__[self._name] = self._data._value_for(test, self._find)
        return value


class _Row:
    """One ORM object that ``setUpTestData`` made, and the template of what tests get for it."""

    def __init__(self, master: Any, path: str) -> None:
        self.master = master
        self.path = path
        self.attached = False  # was in the library's session
        # a copy that no user can reach: what is done to the master reaches no test
        self.template: Any = None
        self.values: dict[str, Any] = {}  # of columns that can be changed in place
        self.extras = _extras_of(master)  # attributes that are not mapped

    def make_template(self, scratch: Session) -> None:
        self.template = scratch.merge(self.master, load=False)
        loaded = inspect(self.master).dict
        for name in inspect(self.master).mapper.column_attrs.keys():  # noqa: SIM118
            value = loaded.get(name)
            if not isinstance(value, _UNCHANGING):
                with contextlib.suppress(Exception):  # what cannot be copied is shared
                    self.values[name] = copy.deepcopy(value)
        self.own_values(self.template)

    def own_values(self, instance: Any) -> None:
        """Give an instance its own copies of values that merge() shares with the template."""
        for name, value in self.values.items():
            own = copy.deepcopy(value)
            set_committed_value(instance, name, own)
            if isinstance(own, MutableBase):
                own._parents[inspect(instance)] = name  # it tells them what changes in it

    def add_extras(self, memo: dict[int, Any]) -> None:
        attributes = vars(memo[id(self.master)])
        for name, value in self.extras.items():
            attributes.setdefault(name, copy.deepcopy(value, memo))


class _Find:
    """A value, and all in it that copy.deepcopy() must not copy by itself."""

    def __init__(self, value: Any, path: str) -> None:
        self.value = value
        self.rows: list[_Row] = []
        self.shared: list[Any] = []
        self._replaced: list[tuple[Any, Any]] = []  # a collection of SQLAlchemy's, a plain one
        self._objects: list[Any] = []  # all others
        self._explore(path)

    def _explore(self, path: str) -> None:
        todo: list[tuple[Any, str]] = [(self.value, path)]
        seen: dict[int, Any] = {}  # keeps what it names alive: ids are not used again
        while todo:
            value, path = todo.pop()
            kind = type(value)
            if issubclass(kind, _UNCHANGING + _CODE) or id(value) in seen:
                continue
            seen[id(value)] = value
            # asked by class throughout: a proxy answers isinstance() for its object, or raises
            packages = {str(base.__module__).partition(".")[0] for base in kind.__mro__}
            if _is_mapped(kind):
                row = _Row(value, path)
                self.rows.append(row)
                todo += [(extra, f"{path}.{name}") for name, extra in row.extras.items()]
            elif "sqlalchemy" in packages and (plain := _plain(value)) is not None:
                self._replaced.append((value, plain))
                todo.append((plain, path))
            elif issubclass(kind, _CONTAINERS) and "flask" not in packages:
                todo += _members(value, path)
            elif packages & _MACHINERY or any(name.startswith("flask_") for name in packages):
                self.shared.append(value)
            else:
                self._objects.append(value)
                with contextlib.suppress(Exception):  # a proxy without its object, for example
                    state = object.__getstate__(value)  # a dict, and one of the __slots__
                    for part in state if isinstance(state, tuple) else (state,):
                        for name, member in (part or {}).items():
                            todo.append((member, f"{path}.{name}"))

    def share_what_cannot_be_copied(self) -> None:
        if self._can_be_copied(self.value):
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


def _is_mapped(kind: type) -> bool:
    return isinstance(inspect(kind, raiseerr=False), Mapper)


def _members(container: Any, path: str) -> Iterator[tuple[Any, str]]:
    """Yield what is in a container, each with its path."""
    if isinstance(container, dict):
        for key, member in container.items():
            yield member, f"{path}[{key!r}]" if isinstance(key, (str, int)) else f"{path}[...]"
            yield key, f"a key of {path}"
    else:
        for index, member in enumerate(container):
            if not isinstance(member, _UNCHANGING):  # spares long lists their paths
                yield member, f"{path}[{index}]"


def _plain(value: Any) -> Any:
    """Return a collection of SQLAlchemy's (``alice.posts``, a Row) as one that knows no owner."""
    if issubclass(type(value), Row):
        return namedtuple("Row", value._fields, rename=True)(*value)
    for kind in (list, set, dict):
        if issubclass(type(value), kind):
            return kind(value)
    return None


def _extras_of(master: Any) -> dict[str, Any]:
    """Return the attributes of an ORM object that are not mapped: ``alice.password = "…"``."""
    mapped = inspect(type(master)).attrs
    return {
        name: value
        for name, value in vars(master).items()
        if name not in mapped
        and not name.startswith(("_sa_", "_AssociationProxy"))  # SQLAlchemy's own
        # a cached_property and the like hold what was true in setUpTestData
        and not hasattr(getattr_static(type(master), name, None), "__get__")
    }


def _read(rows: list[_Row], session: Session | None) -> None:
    """Read all rows as the database has them, close their sessions, make the templates.

    :raises TestDataError: a row is not there.
    """
    readers = {}
    for row in rows:
        owner = inspect(row.master).session
        row.attached = owner is not None and owner is session
        readers[id(row)] = owner or session
    sessions = {id(reader): reader for reader in readers.values() if reader is not None}
    attached = [row for row in rows if row.attached]
    detached = [row for row in rows if not row.attached]
    try:
        for other in sessions.values():
            if other is not session:
                for instance in other.dirty:
                    other.expire(instance)  # a change that was not committed is gone
                _reset(other)
        if session is not None:
            session.rollback()
            session.expire_all()
            for row in attached:
                _read_attached(row, session)
            session.expunge_all()
        _make_templates(attached)
        for row in detached:
            _read_detached(row, readers[id(row)])
        _make_templates(detached)
    finally:
        for reader in sessions.values():
            _reset(reader)
        if session is not None:
            _reset(session)


def _make_templates(rows: list[_Row]) -> None:
    with Session() as scratch:
        for row in rows:
            row.make_template(scratch)
        scratch.expunge_all()


def _read_attached(row: _Row, session: Session) -> None:
    if inspect(row.master).key is None:
        raise _not_committed(row)
    try:
        # refresh() and not get(): criteria that the program adds to its queries, as those that
        # hide what is marked as deleted, do not apply to it
        session.refresh(row.master, _column_names(row.master))
    except InvalidRequestError:
        raise _not_committed(row) from None


def _read_detached(row: _Row, reader: Session | None) -> None:
    master, state = row.master, inspect(row.master)
    if state.key is None:
        raise _not_committed(row)
    if state.modified:
        with Session() as scratch:  # merge() refuses it otherwise
            scratch.add(master)
            scratch.expire(master)
            scratch.expunge_all()
    if reader is None:
        return
    try:
        with reader.no_autoflush:
            twin = reader.merge(master, load=False)
    except InvalidRequestError as error:
        raise TestDataError(
            f"{row.path} is linked to an object with changes that were not committed in "
            f"setUpTestData: {error}. Commit them there, before its session is closed."
        ) from error
    try:
        reader.refresh(twin, _column_names(twin))
    except InvalidRequestError:
        raise _not_committed(row) from None
    loaded = inspect(twin).dict
    for name in _column_names(master):
        if name in loaded:  # a query_expression() is not
            set_committed_value(master, name, loaded[name])


def _column_names(instance: Any) -> list[str]:
    return [attr.key for attr in inspect(instance).mapper.column_attrs if not attr.deferred]


def _reset(session: Session) -> None:
    """Close a session so that it can be used again (close() may be final since 2.0.22)."""
    getattr(session, "reset", session.close)()


def _not_committed(row: _Row) -> TestDataError:
    return TestDataError(
        f"{row.path} was not committed in setUpTestData: the database has no row for this "
        f"{type(row.master).__name__}. Add it to a session and commit there; make objects "
        f"without a row in setUp()."
    )

"""One ORM object of ``setUpTestData``: read once, and the template of what tests get for it."""

from __future__ import annotations

import contextlib
import copy
import datetime
import decimal
import enum
import uuid
from inspect import getattr_static
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.ext.mutable import MutableBase
from sqlalchemy.orm import Mapper, Session
from sqlalchemy.orm.attributes import set_committed_value

from ..errors import TestDataError

__all__ = ["UNCHANGING", "Row", "is_mapped", "read_rows"]

__unittest = True  # unittest leaves frames of this module out of tracebacks

UNCHANGING = (
    *(type(None), bool, int, float, complex, str, bytes, decimal.Decimal, uuid.UUID),
    *(datetime.date, datetime.time, datetime.datetime, datetime.timedelta, enum.Enum),
)


def is_mapped(kind: type) -> bool:
    """Tell whether objects of a class are ORM objects."""
    return isinstance(inspect(kind, raiseerr=False), Mapper)


class Row:
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
            if not isinstance(value, UNCHANGING):
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


def read_rows(rows: list[Row], session: Session | None) -> None:
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


def _make_templates(rows: list[Row]) -> None:
    with Session() as scratch:
        for row in rows:
            row.make_template(scratch)
        scratch.expunge_all()


def _read_attached(row: Row, session: Session) -> None:
    if inspect(row.master).key is None:
        raise _not_committed(row)
    try:
        # refresh() and not get(): criteria that the program adds to its queries, as those that
        # hide what is marked as deleted, do not apply to it
        session.refresh(row.master, _column_names(row.master))
    except InvalidRequestError:
        raise _not_committed(row) from None


def _read_detached(row: Row, reader: Session | None) -> None:
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


def _not_committed(row: Row) -> TestDataError:
    return TestDataError(
        f"{row.path} was not committed in setUpTestData: the database has no row for this "
        f"{type(row.master).__name__}. Add it to a session and commit there; make objects "
        f"without a row in setUp()."
    )

"""What the library holds for a test class, and how it gives things to tests."""

from __future__ import annotations

import functools
import inspect
import unittest
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session

from ..engines import Key
from ..schemas import MetadataSchema, Schema
from ..settings import Setting, choose
from ..testdata import ClassData

if TYPE_CHECKING:
    from flask import Flask
    from flask.ctx import AppContext

    from ..flaskapp import config_restored, pushed_context
    from .engines import EngineMixin

__all__ = ["STATE", "ClassState", "Given", "Undo", "declaring", "end_forgotten"]

#: The attribute of a test class that holds its :class:`ClassState`.
STATE = "_dbtestcase"

#: What undoes the surroundings of a test, in the order in which they were made.
Undo = list[Callable[[], object]]


class ClassState:
    """What the library holds for one test class, whatever users do to its attributes."""

    def __init__(self, owner: type[EngineMixin]) -> None:
        self.owner = owner
        self.app: Flask | None = None
        #: what puts the app's config back after each test
        self.config: config_restored | None = None
        self.app_per_test = False
        # what pushes the app contexts of the class and of each test, where they are wanted
        self.context_of_class: pushed_context | None = None
        self.context_of_test: pushed_context | None = None
        self.engines: dict[Key, Engine] = {}
        self.session: Session | None = None
        self.data: ClassData | None = None
        self.test: EngineMixin | None = None
        #: whether a test was begun by pytest's fixture, which ends it as well
        self.begun = False
        #: whether class data were lost with a connection, and not made anew since
        self.data_lost = False
        global _latest
        _latest = self
        self.fixture = owner._dbt_fixture_type(
            owner.__name__,
            setting=self._setting,
            schema=self._schema,
            app_engines=self._app_engines,
            let_through=tuple(owner.let_through),
            reset_sequences=owner.reset_sequences,
        )

    @property
    def context(self) -> AppContext | None:
        """The app context that was pushed last, and is there still."""
        for pushed in (self.context_of_test, self.context_of_class):
            if pushed is not None and pushed.context is not None:
                return pushed.context
        return None

    def _setting(self, key: Key) -> Setting:
        owner = self.owner
        declared = cast("str | Mapping[str | None, str] | None", owner.database)
        return choose(declared, declared_by=declaring(owner, "database"), bind=key)

    def _schema(self, key: Key) -> tuple[Schema | None, bool]:
        named = self.owner._dbt_schema(self)
        if isinstance(named, Mapping):
            named = cast("Mapping[str | None, Schema]", named).get(key)
        if named is not None:
            return named, True
        from ..flaskapp import current_metadatas

        metadata = current_metadatas(self.app).get(key)
        return (None if metadata is None else MetadataSchema(metadata)), False

    def _app_engines(self) -> Mapping[Key, Engine]:
        from ..flaskapp import current_engines

        return current_engines()

    def forget(self) -> None:
        """Take the state from its class: it is over."""
        global _latest
        if STATE in vars(self.owner):
            delattr(self.owner, STATE)
        if _latest is self:
            _latest = None

    def set(self, name: str, value: object) -> None:
        """Set a class attribute until the class's end, unless the user has a property there."""
        owner = self.owner
        if isinstance(inspect.getattr_static(owner, name, None), property):
            return
        had, old = name in vars(owner), vars(owner).get(name)
        setattr(owner, name, value)

        def put_back() -> None:
            if had:
                setattr(owner, name, old)
            elif name in vars(owner):
                delattr(owner, name)

        cast("type[unittest.TestCase]", owner).addClassCleanup(put_back)


_latest: ClassState | None = None


def end_forgotten() -> None:
    """End the class before, where its runner did not: Ctrl-C and pytest.skip() are no Exceptions.

    Nothing is ended while a test runs: classes inside one another are refused by the door.
    """
    if _latest is not None and _latest.test is None:
        cast("type[unittest.TestCase]", _latest.owner).doClassCleanups()


def declaring(owner: type, name: str) -> str:
    """Name the class in which an attribute of *owner* was written."""
    for base in owner.__mro__:
        if name in vars(base):
            return base.__name__
    return owner.__name__


class Given:
    """A non-data descriptor: users may overwrite what it gives, on the class and on a test."""

    def __init__(self, give: Callable[[Any], Any], *, keep: bool) -> None:
        self._give, self._keep = give, keep
        functools.update_wrapper(self, give)  # type: ignore[arg-type]

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, test: Any, owner: type[EngineMixin]) -> Any:
        if test is None:
            state = owner.__dict__.get(STATE)
            return state.session if state is not None and self._name == "session" else None
        value = self._give(test)
        if self._keep:
            test.__dict__[self._name] = value
            # the same test object may be run again
            test.addCleanup(test.__dict__.pop, self._name, None)
        return value

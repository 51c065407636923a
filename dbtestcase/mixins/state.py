"""What the library holds for a test class, and how it gives things to tests."""

from __future__ import annotations

import functools
import unittest
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session

from ..engines import Key
from ..fixture import DatabaseFixture
from ..schemas import MetadataSchema, Schema
from ..settings import Setting, choose
from ..testdata import ClassData

if TYPE_CHECKING:
    from flask import Flask
    from flask.ctx import AppContext

    from .engines import EngineMixin

__all__ = ["STATE", "ClassState", "Given"]

#: The attribute of a test class that holds its :class:`ClassState`.
STATE = "_dbtestcase"


class ClassState:
    """What the library holds for one test class, whatever users do to its attributes."""

    def __init__(self, owner: type[EngineMixin]) -> None:
        self.owner = owner
        self.app: Flask | None = None
        self.context: AppContext | None = None
        self.engines: dict[Key, Engine] = {}
        self.session: Session | None = None
        self.data: ClassData | None = None
        self.test: EngineMixin | None = None
        self.fixture = DatabaseFixture(
            owner.__name__,
            setting=self._setting,
            schema=self._schema,
            app_engines=self._app_engines,
            let_through=tuple(owner.let_through),
            reset_sequences=owner.reset_sequences,
        )

    def _setting(self, key: Key) -> Setting:
        owner = self.owner
        return choose(owner.database, declared_by=_declaring(owner, "database"), bind=key)

    def _schema(self, key: Key) -> tuple[Schema | None, bool]:
        named = self.owner.schema
        if isinstance(named, Mapping):
            named = named.get(key)
        if named is not None:
            return named, True
        from ..flaskapp import current_metadatas

        metadata = current_metadatas(self.app).get(key)
        return (None if metadata is None else MetadataSchema(metadata)), False

    def _app_engines(self) -> Mapping[Key, Engine]:
        from ..flaskapp import current_engines

        return current_engines()

    def set(self, name: str, value: object) -> None:
        """Set a class attribute until the class's end."""
        owner = self.owner
        had, old = name in vars(owner), vars(owner).get(name)
        setattr(owner, name, value)

        def put_back() -> None:
            if had:
                setattr(owner, name, old)
            elif name in vars(owner):
                delattr(owner, name)

        cast("type[unittest.TestCase]", owner).addClassCleanup(put_back)


def _declaring(owner: type, name: str) -> str:
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
        return value

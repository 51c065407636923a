"""Migrations executed around each class: up before it, down after it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from ..databases.base import private_engine
from ..errors import SetUpError
from ..migrations.schema import ExecutedSchema
from .engines import EngineMixin
from .state import ClassState

__all__ = ["MigrationMixin"]

__unittest = True  # its frames are left out of tracebacks

_EXECUTED = "_dbt_executed"


class _Executed:
    """What a class executes, and how far its set-up has come."""

    def __init__(self, schema: ExecutedSchema) -> None:
        self.schema = schema
        self.state: ClassState | None = None
        self.ready = False

    @property
    def to_undo(self) -> bool:
        """Whether there is something, and an app in which env.py can run."""
        # a set-up that failed has told why
        return self.ready and self.schema.built


class MigrationMixin(EngineMixin):
    """The database is upgraded before the class, and downgraded to base after it.

    Both are really executed, each time, and the downgrade must leave nothing behind. Where the
    tables are all that is wanted, ``schema = AlembicSchema("migrations")`` is quicker: there the
    database is copied.

    .. code-block:: python

        class SignupTest(MigrationMixin, DatabaseTestCase):
            migrations = "migrations"

    In a database that the library has made, the migrations are committed, and the tests run in
    between. In one that a URL names they are played in the transaction of the class.
    """

    #: The directory of ``env.py``, or the path of ``alembic.ini``.
    migrations: ClassVar[str | os.PathLike[str] | None] = None
    #: ``"class"`` (the default): around each class; ``None``: not at all.
    migrate: ClassVar[str | None] = "class"

    @classmethod
    def _dbt_set_up_class(cls) -> None:
        cls._dbt_check_migrations()
        if cls.migrate is not None:
            assert cls.migrations is not None
            setattr(cls, _EXECUTED, _Executed(ExecutedSchema(cls.migrations)))
            # first, so that they come last: when the outer transaction is over
            cls.addClassCleanup(delattr, cls, _EXECUTED)
            cls.addClassCleanup(cls._dbt_downgrade)
        super()._dbt_set_up_class()

    @classmethod
    def _dbt_check_migrations(cls) -> None:
        if cls.migrate not in ("class", None):
            raise SetUpError(
                f'{cls.__name__}.migrate is {cls.migrate!r}. It may be "class" or None.'
            )
        if cls.migrate is None:
            return
        if not isinstance(cls.migrations, (str, os.PathLike)):
            raise SetUpError(
                f"{cls.__name__}.migrations is {cls.migrations!r}, so there is nothing to migrate. "
                f'Write the directory of env.py: migrations = "migrations".'
            )
        if cls.schema is not None and not isinstance(cls.schema, Mapping):
            raise SetUpError(
                f"{cls.__name__} has both migrations and a schema, and only one can fill the "
                f"database. Remove schema, or write migrate = None."
            )
        if cls._dbt_makes_app_per_test():
            raise SetUpError(
                f'{cls.__name__} has app_scope = "test", so there is no app around the class in '
                f'which its migrations could run. Write app_scope = "class", or instead of migrate '
                f"schema = AlembicSchema(...)."
            )

    @classmethod
    def _dbt_schema(cls, state: ClassState) -> Any:
        executed: _Executed | None = vars(cls).get(_EXECUTED)
        if executed is None:
            return super()._dbt_schema(state)
        executed.state = state
        others = cls.schema if isinstance(cls.schema, Mapping) else {}
        return {**others, None: executed.schema}

    @classmethod
    def _dbt_set_up_data(cls, state: ClassState) -> None:
        executed: _Executed | None = vars(cls).get(_EXECUTED)
        if executed is not None:
            # on a database that is taken as it is, it would be built when a test connects
            (state.engines.get(None) or state.fixture.engine(None)).connect().close()
        super()._dbt_set_up_data(state)
        if executed is not None:
            executed.ready = True
            # while commits still do what they should, on a database that is taken as it is
            cls.addClassCleanup(cls._dbt_downgrade_in_sandbox, state, executed)

    @classmethod
    def _dbt_downgrade_in_sandbox(cls, state: ClassState, executed: _Executed) -> None:
        held = state.fixture.lease_of(None)
        if held is None or held.ours or not executed.to_undo:
            return
        state.fixture.begin_test()
        try:
            with _in_app(state), state.fixture.private_connection(None) as connection:
                executed.schema.undo(connection.engine)
        finally:
            state.fixture.end_test()

    @classmethod
    def _dbt_downgrade(cls) -> None:
        executed: _Executed = vars(cls)[_EXECUTED]
        state = executed.state
        held = None if state is None else state.fixture.lease_of(None)
        if state is None or held is None or not held.ours:
            return
        try:
            if executed.to_undo:
                with _in_app(state):
                    executed.schema.undo(private_engine(held.url, "the database of the tests"))
        finally:
            held.spoil()


@contextlib.contextmanager
def _in_app(state: ClassState) -> Iterator[None]:
    """Push the app's context, which an env.py may ask for."""
    if state.app is None:
        yield
        return
    with state.app.app_context():
        yield

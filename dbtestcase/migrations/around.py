"""Migrations around a part of a test: up before it, and down after it."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy.engine import Engine

from ..errors import MigrationError
from . import messages, objects
from .directory import MigrationDirectory
from .running import Migrator

__all__ = ["Block", "migrated"]

__unittest = True  # its frames are left out of tracebacks

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])


def migrated(
    engine: Engine | Callable[[], Engine],
    directory: str | os.PathLike[str],
    to: str = "heads",
    then: str = "base",
) -> Migrated:
    """Upgrade a database, and downgrade it again at the end, also when the body raises.

    A context manager, and a decorator for functions, coroutine functions and test methods.

    >>> with migrated(engine, "migrations", to="3f2a"):
    ...     sorted(inspect(engine).get_table_names())
    ['alembic_version', 'person']
    >>> @migrated(lambda: engine, "migrations")
    ... def tables():
    ...     return sorted(inspect(engine).get_table_names())
    >>> tables()
    ['alembic_version', 'person', 'visit']
    >>> inspect(engine).get_table_names()
    ['alembic_version']

    The migrations are really executed: in a test of ``DatabaseTestCase`` within its transaction,
    elsewhere on the engine's own database, where they are committed.

    :param engine: of the database, or a function that gives it when the block begins.
    :param directory: the directory of ``env.py``, or the path of ``alembic.ini``.
    :param to: the revision to upgrade to; ``"heads"`` by default.
    :param then: the revision to downgrade to at the end; ``"base"`` by default.
    :raises MigrationError: a revision failed, or the downgrade leaves something behind.
    :raises MissingExtraError: Alembic is not installed.
    :raises TypeError: it decorates a class or a generator.
    """
    return Migrated(engine, directory, to, then)


class Migrated:
    """What :func:`migrated` returns."""

    def __init__(
        self,
        engine: Engine | Callable[[], Engine],
        directory: str | os.PathLike[str],
        to: str,
        then: str,
    ) -> None:
        if not isinstance(engine, Engine) and not callable(engine):
            raise TypeError(
                f"migrated() needs an engine, or a function that returns one, and was given a "
                f"{type(engine).__name__}. Write migrated(engine, directory)."
            )
        self._engine, self._directory = engine, MigrationDirectory(directory)
        self._to, self._then = to, then
        self._entered: list[tuple[Block, Migrator]] = []  # a decorated function may call itself

    def __enter__(self) -> None:
        engine = self._engine if isinstance(self._engine, Engine) else self._engine()
        # the first contact: while a test class runs, it redirects the engine
        engine.connect().close()
        migrator, block = Migrator(self._directory, engine), Block(self._to, self._then)
        try:
            block.begin(migrator)
        except BaseException as error:
            block.undo_after(error, migrator)
            raise
        self._entered.append((block, migrator))

    def __exit__(self, *exception: object) -> None:
        block, migrator = self._entered.pop()
        block.end(migrator)

    def __call__(self, decorated: _Decorated) -> _Decorated:
        """Decorate a function: the block is around each call."""
        if isinstance(decorated, type) or inspect.isgeneratorfunction(decorated):
            what = "a class" if isinstance(decorated, type) else "a generator"
            raise TypeError(
                f"migrated() cannot decorate {what}, whose body is not run by the call. Decorate "
                f"its functions, or write: with migrated(...)"
            )
        if inspect.iscoroutinefunction(decorated):

            @functools.wraps(decorated)
            async def async_wrapper(*args: Any, **kwargs: Any) -> Any:
                with self:
                    return await decorated(*args, **kwargs)

            return async_wrapper  # type: ignore[return-value]

        @functools.wraps(decorated)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with self:
                return decorated(*args, **kwargs)

        return wrapper  # type: ignore[return-value]


class Block:
    """One upgrade and its downgrade.

    :param to: the revision to upgrade to.
    :param then: the revision to downgrade to.
    """

    def __init__(self, to: str, then: str) -> None:
        self._to, self._then = to, then
        #: whether there is something to undo
        self.begun = False

    def begin(self, migrator: Migrator) -> None:
        """Upgrade.

        :raises MigrationError: a revision failed.
        """
        self._heads, self._before = migrator.heads(), migrator.look()
        migrator.upgrade(self._to)
        self._heads, self._after = migrator.started_at, migrator.look()
        self.begun = True

    def undo_after(self, error: BaseException, migrator: Migrator) -> None:
        """Take back what an upgrade that failed has committed."""
        try:
            if migrator.heads() != self._heads:
                migrator.downgrade(self._then)
        except Exception as another:
            error.add_note(f"It could not be undone either. {type(another).__name__}: {another}")

    def end(self, migrator: Migrator) -> None:
        """Downgrade, and make sure that nothing is left.

        :raises MigrationError: a revision failed, or something is left.
        """
        now = migrator.look()
        try:
            migrator.downgrade(self._then)
        except MigrationError as error:
            if gone := objects.difference(self._after, now, apart_from=migrator.own_tables):
                raise MigrationError(messages.gone_meanwhile(objects.names(gone), error)) from error
            raise
        if migrator.heads() != self._heads:
            return  # to another revision than it came from
        # what was made meanwhile is not the downgrade's to undo
        migrator.check_undone(self._before, self._then, apart_from=now - self._after)

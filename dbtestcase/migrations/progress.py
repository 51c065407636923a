"""One run of ``env.py``: the steps that Alembic takes in it, and how far it has come."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from ..engines import PRIVATE, Leading
from ..engines.redirecting import place_of_engine
from ..errors import MigrationError
from . import messages, objects, private

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext
    from alembic.script import Script

    from .running import Migrator

__all__ = ["Progress", "Steps"]

__unittest = True  # its frames are left out of tracebacks

#: Gives the steps from the revisions at which a database stands.
Steps = Callable[[tuple[str, ...]], list[private.Step]]


class Progress:
    """One run of ``env.py``, and how far it has come."""

    def __init__(
        self,
        migrator: Migrator,
        target: str,
        steps: Steps,
        ask: Callable[[MigrationContext], None] | None,
        before: frozenset[objects.Found] | None,
    ) -> None:
        self._migrator, self._target, self._steps, self._ask = migrator, target, steps, ask
        self._known = before
        self._engines: list[sa.Engine] = []
        #: what was led here
        self.leading: Leading
        #: what was raised, be it that env.py has caught it
        self.error: BaseException | None = None
        #: the step that is being taken
        self.step: Any = None
        self.before: frozenset[objects.Found] = frozenset()
        #: at which revisions the database stood before the step, and after the last one
        self.standing: frozenset[str] = frozenset()
        self.reached: frozenset[str] = frozenset()
        self.ended = self.offline = False
        #: the revisions during which a transaction came to its end
        self.ended_transaction: list[Script] = []

    def work(self, heads: tuple[str, ...], context: MigrationContext) -> Iterator[private.Step]:
        """Give Alembic the steps to take, while it takes them."""
        connection = context.connection
        assert connection is not None
        self._refuse_stranger(connection)  # it may come here past guarded()
        self._refuse_another(connection.engine)
        migrator = self._migrator
        migrator.version_tables.discard(("alembic_version", None))
        migrator.version_tables.add((context.version_table, context.version_table_schema))
        migrator.started_at = frozenset(heads)
        self.ended = False
        # else Alembic ends one after each step
        in_one = context.impl.transactional_ddl and not context.opts.get(
            "transaction_per_migration"
        )
        for number, step in enumerate(self._steps_from(heads)):
            if not migrator.made:
                self.standing = frozenset(context.get_current_heads() if number else heads)
                known, self._known = self._known, None
                self.before = known if known is not None else objects.look(connection)
            self.step = step
            transaction = connection.get_transaction() if in_one else None
            yield step
            if transaction is not None and not transaction.is_active:
                self.ended_transaction.append(step.revision)
        self.step = None
        if self._ask is not None:
            self._ask(context)
        self.reached |= frozenset(context.get_current_heads())
        self.ended = True

    @contextlib.contextmanager
    def guarded(self, connection: sa.Connection | None) -> Iterator[None]:
        """Look at the connection before anything is written, and keep what is raised.

        :param connection: None in offline mode.
        """
        try:
            if connection is not None:
                self._refuse_stranger(connection)
            yield
        except BaseException as error:
            self.error = error
            raise

    def _refuse_stranger(self, connection: sa.Connection) -> None:
        """Refuse what was not led here: it may be anybody's database."""
        if not self.leading.reaches(connection):
            engine = connection.engine
            place = place_of_engine(engine).label or str(engine.url)
            raise MigrationError(messages.stranger(self._migrator.directory.env_name, place))

    def _refuse_another(self, engine: sa.Engine) -> None:
        """Refuse an env.py that migrates several databases: all would be the same one here."""
        if not engine.get_execution_options().get(PRIVATE):
            self._engines.append(engine)
        if (several := self.several(self._engines)) is not None:
            raise several

    def several(self, engines: Sequence[sa.Engine]) -> MigrationError | None:
        """Say that engines lead to several databases, where they do."""
        places = {}
        for engine in engines:
            place = place_of_engine(engine)
            places[place.key or engine.dialect] = place.label or str(engine.url)
        if len(places) < 2:
            return None
        env = self._migrator.directory.env_name
        first, second, *_ = places.values()
        return MigrationError(messages.several_databases(env, first, second))

    def _steps_from(self, heads: tuple[str, ...]) -> list[private.Step]:
        migrator = self._migrator
        history = migrator.history
        where = repr(migrator.directory)
        unknown = set(heads) - history.known
        if unknown:
            place = migrator.place
            raise MigrationError(messages.unknown_in_database(unknown, where, place))
        try:
            return self._steps(heads)
        except private.command_error() as error:
            if "ultiple head" in str(error) and (several := history.two_heads()) is not None:
                raise MigrationError(several) from error
            reason = " ".join(str(error).split()).rstrip(".")
            raise MigrationError(messages.unknown_target(self._target, where, reason)) from error

    def note_offline(self, environment: Any) -> None:
        """Note whether env.py has configured a URL instead of a connection."""
        try:
            self.offline = environment.get_context().connection is None
        except Exception:  # it has not configured anything
            self.offline = False

"""Running migrations on one database, whatever ``env.py`` does to get there.

Alembic runs ``env.py``, which connects and asks back which steps to take. Meanwhile every engine
that connects in this thread is led to the database, the program's logging is kept, and
``sys.exit()`` ends nothing. Afterwards the database is asked where it stands.
"""

from __future__ import annotations

import contextlib
import unittest
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn

import sqlalchemy as sa

from ..engines import leading_to
from ..engines.redirecting import place_of_engine
from ..errors import DatabaseTestError, MigrationError, SandboxConflict, UnsafeDatabaseError
from . import messages, objects, private
from .directory import MigrationDirectory
from .logs import logging_kept
from .progress import Progress, Steps
from .reasons import is_duplicate, reason_of, told, wants_autocommit
from .revisions import History

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext
    from alembic.script import Script

__all__ = ["Migrator"]

__unittest = True  # its frames are left out of tracebacks


#: Raised by others for others, or saying all that there is to say.
_AS_THEY_ARE = (
    *(KeyboardInterrupt, GeneratorExit, unittest.SkipTest),
    *(MigrationError, UnsafeDatabaseError),
)


class Migrator:
    """Runs the migrations of a directory on the database of an engine.

    :param directory: where they are.
    :param engine: of the database. Where it is redirected to a sandbox, all is played there.
    :param made: whether the library has made the database, so that it was empty at first and is
        thrown away where a migration fails.
    :param history: the revisions, where they were read already.
    :raises MigrationError: the revision files cannot be read, or do not fit together.
    """

    def __init__(
        self,
        directory: MigrationDirectory,
        engine: sa.Engine,
        *,
        made: bool = False,
        history: History | None = None,
    ) -> None:
        self.directory = directory
        self.engine = engine
        self.made = made
        self.history = history or History(directory)
        #: Alembic's own tables, as env.py has named them: (table, schema)
        self.version_tables: set[tuple[str, str | None]] = {("alembic_version", None)}
        #: at which revisions the database stood when the last run began
        self.started_at: frozenset[str] = frozenset()

    @property
    def place(self) -> str:
        """Name the database, for messages."""
        return place_of_engine(self.engine).label or "the database"

    # -- what can be asked for --------------------------------------------------------------------

    def upgrade(self, target: str) -> None:
        """Bring the database up to *target*, as ``alembic upgrade`` does.

        :raises MigrationError: a revision failed, or the database is not where it should be.
        """
        self._run(target, lambda heads: private.upgrade_steps(self.history.script, target, heads))

    def downgrade(self, target: str) -> None:
        """Bring the database down to *target*, as ``alembic downgrade`` does.

        :raises MigrationError: a revision failed, or the database is not where it should be.
        """
        self._run(target, lambda heads: private.downgrade_steps(self.history.script, target, heads))

    def step(
        self, *scripts: Script, up: bool, before: frozenset[objects.Found] | None = None
    ) -> None:
        """Run single revisions up or down, which must be the next ones.

        :param before: what the database holds now, if that is known.
        :raises MigrationError: one failed.
        """
        steps = [private.single_step(self.history.script, each, up=up) for each in scripts]
        self._run("the next revision", lambda heads: steps, before=before)

    def compare(self, metadata: object = None) -> tuple[list[Any], bool]:
        """Compare the database with the models, with the options that ``env.py`` gives.

        :param metadata: of the models; by default what ``env.py`` gives as ``target_metadata``.
        :returns: the differences, as Alembic has them, and whether there was any metadata.
        :raises MigrationError: env.py failed.
        """
        found: list[Any] = []
        compared = False

        def ask(context: MigrationContext) -> None:
            nonlocal compared
            models = metadata if metadata is not None else context.opts.get("target_metadata")
            if models is not None:
                compared = True
                found.extend(private.compare(context, models))

        self._run("heads", lambda heads: [], ask=ask)
        return found, compared

    def heads(self) -> frozenset[str]:
        """Ask the database at which revisions it stands."""
        found: set[str] = set()
        with self.connected() as connection:
            for table, schema in self.version_tables:
                found.update(private.heads_in(connection, table, schema))
        return frozenset(found)

    def look(self) -> frozenset[objects.Found]:
        """Ask the database what it holds."""
        with self.connected() as connection:
            return objects.look(connection)

    def check_undone(
        self,
        before: frozenset[objects.Found],
        then: str,
        *,
        apart_from: frozenset[objects.Found] = frozenset(),
    ) -> None:
        """Make sure that a downgrade has brought back what was.

        :param before: what the database held before the upgrade.
        :param then: where the downgrade has led.
        :param apart_from: what somebody else has made meanwhile.
        :raises MigrationError: it has left something behind, or not brought something back.
        """
        left, lost = self.not_undone(before, apart_from)
        if left or lost:
            where = repr(self.directory)
            raise MigrationError(messages.not_all_undone(where, then, left, lost))

    def not_undone(
        self, before: frozenset[objects.Found], own: frozenset[objects.Found] = frozenset()
    ) -> tuple[str, str]:
        """Name what a downgrade has left behind, and what it has not brought back."""
        now = self.look()
        left = objects.difference(now - own, before, apart_from=self.own_tables)
        lost = objects.difference(before, now, apart_from=self.own_tables)
        return objects.names(left), objects.names(lost)

    @property
    def own_tables(self) -> set[str]:
        """Alembic's own tables, and the schemas for them, as :mod:`.objects` names them."""
        found = set()
        for table, schema in self.version_tables:
            inside = schema not in (None, "public")
            found |= {f"{schema}.{table}", str(schema)} if inside else {table}
        return found

    @contextlib.contextmanager
    def connected(self) -> Iterator[sa.Connection]:
        """Connect to the database for a look, or for work that is committed at the end."""
        with self.engine.connect() as connection:
            yield connection
            connection.commit()

    # -- a run ------------------------------------------------------------------------------------

    def _run(
        self,
        target: str,
        steps: Steps,
        *,
        ask: Callable[[MigrationContext], None] | None = None,
        before: frozenset[objects.Found] | None = None,
    ) -> None:
        run = Progress(self, target, steps, ask, before)
        try:
            with (
                self.history.importable(),
                logging_kept(),
                _quiet(),
                leading_to(self.engine) as run.leading,
                self._given() as connection,
            ):
                config = private.configure(self.directory, self.engine.url)
                config.attributes["connection"] = connection
                script = self.history.script
                with private.environment(
                    config, script, run.work, target, run.guarded
                ) as environment:
                    try:
                        script.run_env()
                    finally:
                        run.note_offline(environment)
        except BaseException as error:
            self._raise(run, error)
        if run.error is not None:  # env.py has caught it, or it came up in a thread
            self._raise(run, run.error)
        self._check(run)

    @contextlib.contextmanager
    def _given(self) -> Iterator[sa.Connection]:
        """Open what ``env.py`` may use instead of an engine of its own."""
        with self.engine.connect() as connection:
            yield connection
            if connection.in_transaction():
                connection.commit()  # the caller's part, in Alembic's recipe

    def _check(self, run: Progress) -> None:
        env = self.directory.env_name
        if not run.ended:
            raise MigrationError(messages.never_ran(env, offline=run.offline))
        standing = self.heads()
        if standing != run.reached and run.ended_transaction:
            revision = self.history.label(run.ended_transaction[0])
            raise MigrationError(messages.committed_by_itself(revision, standing))
        if standing != run.reached:
            raise MigrationError(messages.migrated_elsewhere(env, standing, run.reached))

    # -- what went wrong --------------------------------------------------------------------------

    def _raise(self, run: Progress, error: BaseException) -> NoReturn:
        raised = self._explained(run, error)
        if raised is error:
            raise error
        raise raised from error

    def _explained(self, run: Progress, error: BaseException) -> BaseException:
        if isinstance(error, _AS_THEY_ARE):
            return error
        if run.step is not None and not run.ended:
            return self._step_failed(run, error)
        if isinstance(error, DatabaseTestError):
            return error
        env = self.directory.env_name
        several = run.several(run.leading.engines)
        if several is not None and "locked" in str(error):
            return several  # on SQLite they are in each other's way before it is noticed
        if "outside of application context" in str(error):
            return MigrationError(messages.needs_app(env))
        if run.offline or "as_sql" in str(error):  # options that are for offline mode only
            return MigrationError(messages.never_ran(env, offline=True))
        return MigrationError(messages.env_raised(env, told(error)))

    def _step_failed(self, run: Progress, error: BaseException) -> BaseException:
        step = run.step
        revision, up = self.history.label(step.revision), step.is_upgrade
        function = "upgrade" if up else "downgrade"
        if not up and isinstance(error, NotImplementedError):
            return MigrationError(messages.downgrade_missing(revision) + ".")
        if isinstance(error, SandboxConflict) and "cannot be run in a sandbox" in str(error):
            fact = str(error).partition(". ")[0].rstrip(".")
            return MigrationError(messages.needs_autocommit(revision, f"{fact}."))
        if isinstance(error, DatabaseTestError):
            return error
        reason = reason_of(error)
        if wants_autocommit(error):
            return MigrationError(messages.wants_autocommit(revision, function, reason))
        if up and is_duplicate(error):
            return MigrationError(
                messages.already_there(revision, reason, heads=run.standing, made=self.made)
            )
        if self.made:
            return MigrationError(
                messages.revision_failed(revision, function, reason, "The database is thrown away.")
            )
        try:
            heads, now = self.heads(), self.look()
        except sa.exc.SQLAlchemyError:  # the server is gone, or ends our connections
            state = "The database cannot be asked where it stands."
            return MigrationError(messages.revision_failed(revision, function, reason, state))
        changed = objects.difference(now, run.before, apart_from=self.own_tables)
        changed += objects.difference(run.before, now, apart_from=self.own_tables)
        stands = messages.stands_at(heads)
        if changed and heads == run.standing:
            left = objects.names(changed)
            return MigrationError(messages.half_applied(revision, function, reason, left, stands))
        return MigrationError(
            messages.revision_failed(
                revision, function, reason, f"The database stands at {stands}."
            )
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Leave out the warning of Flask-SQLAlchemy for which Flask-Migrate's own env.py is made.

    Each run reads env.py anew, and would give it anew, or fail where warnings are errors.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'get_engine' is deprecated", DeprecationWarning)
        yield

"""The tests that ``MigrationTestCase`` gives to its subclasses."""

from __future__ import annotations

import difflib
import inspect
import os
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import sqlalchemy as sa

from ..errors import SetUpError
from ..migrations import messages, objects
from ..migrations.directory import MigrationDirectory
from ..migrations.models import described
from ..migrations.revisions import History, slug
from ..migrations.running import Migrator
from .committing import CommittingFixture
from .engines import EngineMixin
from .state import ClassState, Undo

__all__ = ["MigrationTestsMixin"]

__unittest = True  # its frames are left out of tracebacks

_HOOKS = ("before_", "after_")
_HISTORY = "_dbt_history"


class MigrationTestsMixin(EngineMixin):
    """What the tests of migrations need; see :class:`dbtestcase.MigrationTestCase`."""

    #: The directory of ``env.py``, or the path of ``alembic.ini``. The tests are there where it is.
    migrations: ClassVar[str | os.PathLike[str] | None] = None
    #: The metadata of the models; by default the ``target_metadata`` of ``env.py``.
    metadata: ClassVar[sa.MetaData | None] = None

    _dbt_fixture_type = CommittingFixture

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Give the tests to a subclass that says where its migrations are.

        :raises SetUpError: ``migrations`` is misspelt, and no test would ever be run.
        """
        super().__init_subclass__(**kwargs)
        if cls.migrations is None:
            for name, value in vars(cls).items():
                near = difflib.SequenceMatcher(None, name, "migrations").ratio() > 0.8
                if near and name != "migrations" and isinstance(value, (str, os.PathLike)):
                    raise SetUpError(
                        f"{cls.__name__}.{name} would change nothing, and no test would run: there "
                        f"is no such attribute of the library. Write migrations."
                    )
            return
        for function in _TESTS:
            # one that the user has written, or has set to None, stays
            if not hasattr(cls, function.__name__):
                setattr(cls, function.__name__, function)

    # -- the class ------------------------------------------------------------------------------

    @classmethod
    def _dbt_set_up_class(cls) -> None:
        if not isinstance(cls.migrations, (str, os.PathLike)):
            raise SetUpError(
                f"{cls.__name__}.migrations is {cls.migrations!r}, and must be the directory of "
                f'env.py. Write migrations = "migrations".'
            )
        if cls.schema is not None:
            raise SetUpError(
                f"{cls.__name__} has a schema, and its tests begin with an empty database, which "
                f"they migrate. Remove it; the models go into metadata."
            )
        history = History(MigrationDirectory(cls.migrations))
        cls._dbt_check_revision_hooks(history)
        setattr(cls, _HISTORY, history)
        cls.addClassCleanup(delattr, cls, _HISTORY)
        super()._dbt_set_up_class()

    @classmethod
    def _dbt_check_revision_hooks(cls, history: History) -> None:
        """Refuse a hook that would never be called."""
        known = {f"{hook}{slug(revision)}" for revision in history.known for hook in _HOOKS}
        for name in dir(cls):
            if not name.startswith(_HOOKS):
                continue
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                hint = f" Did you mean {close[0]}?" if close else ""
                raise SetUpError(
                    f"{cls.__name__}.{name} would never be called: no file of "
                    f"{history.directory!r} has the revision "
                    f'"{name.partition("_")[2]}".{hint} Name it by its revision id, or give it '
                    f"another name if it is no hook."
                )
            if inspect.iscoroutinefunction(getattr(cls, name)):
                raise SetUpError(
                    f"{cls.__name__}.{name} is async, and would never be awaited: Alembic runs "
                    f"outside of an event loop. Write it without async."
                )

    @classmethod
    def _dbt_schema(cls, state: ClassState) -> Any:
        return None

    # -- a test ---------------------------------------------------------------------------------

    def _dbt_enter_test(self, state: ClassState, undo: Undo) -> None:
        super()._dbt_enter_test(state, undo)
        fixture = state.fixture
        assert isinstance(fixture, CommittingFixture)
        undo.append(fixture.raise_swallowed)
        undo.append(fixture.close_all)
        undo.append(fixture.door.close_sessions)

    def _dbt_migrator(self) -> Migrator:
        """Give what migrates a database of its own, which is empty at first."""
        fixture, history = self._dbt_state().fixture, self._dbt_history_read()
        assert isinstance(fixture, CommittingFixture)
        return Migrator(history.directory, fixture.engine_of_empty(None), history=history)

    def _dbt_history_read(self) -> History:
        history: History = getattr(type(self), _HISTORY)
        return history

    def _dbt_hook(self, prefix: str, revision: str) -> Callable[[sa.Connection], object] | None:
        hook: Callable[[sa.Connection], object] | None
        hook = getattr(self, f"{prefix}{slug(revision)}", None)
        return hook

    def _dbt_call_hook(self, prefix: str, revision: str, migrator: Migrator) -> None:
        if (hook := self._dbt_hook(prefix, revision)) is not None:
            with migrator.engine.begin() as connection:
                hook(connection)


# -- the tests ------------------------------------------------------------------------------------

# They are functions here, so that unittest finds none on the class that users import.


def test_single_head(self: MigrationTestsMixin) -> None:
    """The revisions have one head."""
    history = self._dbt_history_read()
    if (wrong := history.no_revisions() or history.two_heads()) is not None:
        self.fail(wrong)


def test_no_stray_files(self: MigrationTestsMixin) -> None:
    """Every revision file is on a path to a head."""
    history = self._dbt_history_read()
    if stray := history.stray_files():
        self.fail(
            f"Alembic does not see {', '.join(stray)}, so no upgrade runs what is in there. It "
            f"looks in {history.directory.name(history.directory.scripts / 'versions')}, and below "
            f"that only with recursive_version_locations = true. Move the file, or remove it."
        )


def test_base_to_head(self: MigrationTestsMixin) -> None:
    """An empty database is upgraded to all heads."""
    self._dbt_migrator().upgrade("heads")


def test_each_revision(self: MigrationTestsMixin) -> None:
    """Each revision goes up, down, and up again."""
    migrator, history = self._dbt_migrator(), self._dbt_history_read()
    passed: list[Any] = []
    for script in history.in_order():
        outcome = list(_up_down_up(self, migrator, script))
        if "up" not in outcome:
            return  # nothing after it can be reached
        passed.append(script)
        if "down" not in outcome or "up again" not in outcome:
            # what is left of it would be in the way of the next ones
            migrator = self._dbt_migrator()
            _up(self, migrator, passed)


def _up(self: MigrationTestsMixin, migrator: Migrator, scripts: list[Any]) -> None:
    """Take an empty database up to where it was."""
    together: list[Any] = []  # in one run of env.py, where no hook lies between
    for script in scripts:
        if self._dbt_hook("before_", script.revision) is not None:
            migrator.step(*together, up=True)
            together.clear()
            self._dbt_call_hook("before_", script.revision, migrator)
        together.append(script)
    migrator.step(*together, up=True)


def _up_down_up(self: MigrationTestsMixin, migrator: Migrator, script: Any) -> Iterator[str]:
    """Take the steps of one revision, and give those that went well."""
    label = migrator.history.label(script)
    before: frozenset[objects.Found] = frozenset()
    done = ""
    with self.subTest(label, step="upgrade"):
        self._dbt_call_hook("before_", script.revision, migrator)
        before = migrator.look()
        migrator.step(script, up=True, before=before)
        done = "up"
        self._dbt_call_hook("after_", script.revision, migrator)
    if not done:
        return
    yield done
    done = ""
    with self.subTest(label, step="downgrade"):
        migrator.step(script, up=False, before=migrator.look())
        left, lost = migrator.not_undone(before)
        if left or lost:
            self.fail(messages.not_undone(label, left, lost))
        done = "down"
    if not done:
        return
    yield done
    with self.subTest(label, step="upgrade again"):
        migrator.step(script, up=True, before=before)
        yield "up again"


def test_downgrade_leaves_nothing(self: MigrationTestsMixin) -> None:
    """The downgrade from the heads to base leaves an empty database."""
    migrator = self._dbt_migrator()
    before = migrator.look()
    migrator.upgrade("heads")
    migrator.downgrade("base")
    left, lost = migrator.not_undone(before)
    if left or lost:
        self.fail(messages.not_all_undone(repr(migrator.directory), "base", left, lost))


def test_models_match(self: MigrationTestsMixin) -> None:
    """The migrated database is the one that the models describe."""
    migrator = self._dbt_migrator()
    migrator.upgrade("heads")
    metadata = self.metadata
    differences, compared = migrator.compare(metadata)
    if not compared:
        self.fail(
            f"{migrator.directory.env_name} has target_metadata = None, so there are no models to "
            f"compare with. Name them there, or on the class: metadata = Base.metadata"
        )
    if differences:
        lines = "\n  ".join(described(differences))
        self.fail(
            f"the models and the migrated database differ:\n  {lines}\nMake a migration of it "
            f"(alembic revision --autogenerate, or flask db migrate), or correct the models."
        )


_TESTS: tuple[Callable[..., None], ...] = (
    test_single_head,
    test_no_stray_files,
    test_base_to_head,
    test_each_revision,
    test_downgrade_leaves_nothing,
    test_models_match,
)

"""What is taken from Alembic, the names included that it does not document.

They are the same since Alembic 1.9; ``tests/test_migrations.py`` fails when one moves.

==================================  ===========================================================
``ScriptDirectory._upgrade_revs``   the steps from the database's heads to a target, as
``ScriptDirectory._downgrade_revs`` ``alembic upgrade`` and ``alembic downgrade`` take them
``context._proxy``, ``op._proxy``,  what stands behind these two modules, and puts itself there
``ModuleClsProxy._install_proxy``
==================================  ===========================================================
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from .directory import MigrationDirectory, check_installed

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.runtime.migration import MigrationContext
    from alembic.script import Script, ScriptDirectory

__all__ = [
    "Step",
    "command_error",
    "compare",
    "configure",
    "downgrade_steps",
    "environment",
    "heads_in",
    "script_directory",
    "single_step",
    "upgrade_steps",
]

#: What Alembic does for one revision, up or down.
Step = Any


def script_directory(directory: MigrationDirectory) -> ScriptDirectory:
    """Give the revisions of a directory, as Alembic knows them; none is read yet."""
    config = configure(directory)
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(config)


def configure(directory: MigrationDirectory, url: sa.URL | None = None) -> Config:
    """Make what ``env.py`` gets as ``context.config``.

    :param url: of the database that is migrated; it stands for ``sqlalchemy.url`` of the ini.
    """
    check_installed()
    from alembic.config import Config

    config = _flask_migrate_config(directory)
    if config is None:
        # since Alembic 1.16
        toml = {} if directory.toml is None else {"toml_file": str(directory.toml)}
        config = Config(None if directory.ini is None else str(directory.ini), **toml)  # type: ignore[arg-type]
    config.set_main_option("script_location", _escaped(str(directory.scripts)))
    if url is not None:
        text = url.render_as_string(hide_password=False)
        config.set_main_option("sqlalchemy.url", _escaped(text))
    return config


def _escaped(value: str) -> str:
    return value.replace("%", "%%")


def _flask_migrate_config(directory: MigrationDirectory) -> Config | None:
    """Ask Flask-Migrate, where the current app has it, as its ``configure`` functions count."""
    from ..flaskapp import current_extension

    extension = current_extension("migrate")
    ini = directory.ini
    if extension is None or ini is None or ini.parent != directory.scripts:
        return None
    config: Config = extension.migrate.get_config(str(directory.scripts))
    return config


@contextlib.contextmanager
def environment(
    config: Config,
    script: ScriptDirectory,
    work: Callable[..., Iterable[Step]],
    target: str,
    guarded: Callable[[sa.Connection | None], AbstractContextManager[None]],
) -> Iterator[EnvironmentContext]:
    """Give what stands behind ``alembic.context`` while ``env.py`` runs.

    :param work: gives the steps.
    :param guarded: is around it, from before anything is written.
    """
    from alembic import context, op
    from alembic.runtime.environment import EnvironmentContext

    # A create_app() that migrates by itself is in the middle of it when its first connection lets
    # the database be built. What stood there for it is put back.
    outer = [vars(module).get("_proxy") for module in (context, op)]
    ours = EnvironmentContext(config, script, fn=work, as_sql=False, destination_rev=target)
    run_migrations = ours.run_migrations

    def guarded_run(**arguments: Any) -> None:
        with guarded(ours.get_context().connection):
            run_migrations(**arguments)

    ours.run_migrations = guarded_run  # type: ignore[method-assign]
    try:
        with ours:
            yield ours
    finally:
        for proxy in outer:
            if proxy is not None:
                proxy._install_proxy()


def upgrade_steps(script: ScriptDirectory, target: str, heads: Any) -> list[Step]:
    """Give the steps up from *heads* to *target*."""
    return list(script._upgrade_revs(target, heads))


def downgrade_steps(script: ScriptDirectory, target: str, heads: Any) -> list[Step]:
    """Give the steps down from *heads* to *target*."""
    return list(script._downgrade_revs(target, heads))


def single_step(script: ScriptDirectory, revision: Script, *, up: bool) -> Step:
    """Give the step of this very revision, whatever target would lead to it."""
    from alembic.runtime.migration import MigrationStep

    if up:
        return MigrationStep.upgrade_from_script(script.revision_map, revision)
    return MigrationStep.downgrade_from_script(script.revision_map, revision)


def heads_in(connection: sa.Connection, table: str, schema: str | None) -> tuple[str, ...]:
    """Read at which revisions a database stands."""
    from alembic.runtime.migration import MigrationContext

    options = {"version_table": table, "version_table_schema": schema}
    return MigrationContext.configure(connection, opts=options).get_current_heads()


def compare(context: MigrationContext, metadata: Any) -> list[Any]:
    """Compare what a migrated database holds with the models."""
    from alembic.autogenerate import compare_metadata

    return list(compare_metadata(context, metadata))


def command_error() -> type[Exception]:
    """Give the class of Alembic's own errors."""
    from alembic.util import CommandError

    return CommandError

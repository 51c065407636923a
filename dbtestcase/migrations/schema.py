"""Migrations as the schema of a test database."""

from __future__ import annotations

import os
from collections.abc import Iterable

import sqlalchemy as sa

from ..engines.redirecting import redirection_of
from ..schemas import digest
from .around import Block
from .directory import MigrationDirectory, check_installed
from .running import Migrator

__all__ = ["AlembicSchema", "ExecutedSchema"]


class AlembicSchema:
    """The tables that migrations make, from an empty database up to a revision.

    >>> class SignupTest(DatabaseTestCase):
    ...     schema = AlembicSchema("migrations")
    ...
    ...     def test_visits(self):
    ...         self.assertTrue(inspect(self.engine).has_table("visit"))

    The database is built once by ``upgrade`` and kept as a template. Every further class, and
    every further run, gets a copy of it, until one of the files has changed: those in the
    directory, ``alembic.ini`` and the *extra_files* count, with the target, and the versions of
    Alembic and of the server.

    ``env.py`` stays as it is. While it runs, the engines that connect in its thread are led to
    the database that is built; it may also use ``config.attributes["connection"]``. The one of
    Flask-Migrate reads ``current_app``: it runs once ``create_app`` has returned.

    :param directory_or_ini: the directory of ``env.py``, or the path of ``alembic.ini`` or
        ``pyproject.toml``; relative to the working directory.
    :param target: a revision, ``"heads"`` (the default), or ``"base"`` for an empty database.
    :param extra_files: files and directories that migrations read besides their own: a file of
        SQL, modules of the program. None by default.
    :raises TypeError: ``extra_files`` is a single path.
    """

    def __init__(
        self,
        directory_or_ini: str | os.PathLike[str],
        target: str = "heads",
        extra_files: Iterable[str | os.PathLike[str]] = (),
    ) -> None:
        self.directory = MigrationDirectory(directory_or_ini, extra_files)
        self.target = target

    def __repr__(self) -> str:
        to = "" if self.target == "heads" else f' to "{self.target}"'
        return f"AlembicSchema of {self.directory!r}{to}"

    @property
    def lineage(self) -> str:
        """What stays the same when a file is edited: older templates of it are of no use."""
        return f"alembic {self.directory.name(self.directory.given)} {self.target}"

    def fingerprint(self, server_version: str) -> str:
        """See :meth:`.Schema.fingerprint`.

        :raises MissingExtraError: Alembic is not installed.
        :raises MigrationError: there are no such files.
        """
        check_installed()
        return self.directory.fingerprint(server_version, self.target)

    def build(self, connection: sa.Connection) -> None:
        """See :meth:`.Schema.build`. It connects anew: migrations may commit.

        :raises MigrationError: a revision failed, or env.py has migrated something else.
        """
        if self.target != "base":
            self._migrator(connection).upgrade(self.target)

    def _migrator(self, connection: sa.Connection) -> Migrator:
        engine = connection.engine
        made = redirection_of(engine.pool) is None
        return Migrator(self.directory, engine, made=made)


class ExecutedSchema(AlembicSchema):
    """The same, built in the database itself for each class instead of copied from a template."""

    in_place = True

    def __init__(self, directory_or_ini: str | os.PathLike[str]) -> None:
        super().__init__(directory_or_ini)
        self._block = Block("heads", "base")

    @property
    def built(self) -> bool:
        """Whether it was built, so that there is something to undo."""
        return self._block.begun

    def fingerprint(self, server_version: str) -> str:
        """See :meth:`.Schema.fingerprint`. A copy of a template will not do."""
        return digest("executed", super().fingerprint(server_version))

    def build(self, connection: sa.Connection) -> None:
        """See :meth:`AlembicSchema.build`."""
        self._block.begin(self._migrator(connection))

    def undo(self, engine: sa.Engine) -> None:
        """Downgrade to base, and make sure that nothing is left.

        :raises MigrationError: a revision failed, or something is left.
        """
        self._block.end(Migrator(self.directory, engine))

"""Migrations for tests: directories as ``alembic init`` and ``flask db init`` make them."""

from __future__ import annotations

import contextlib
import doctest
import io
import shutil
import tempfile
import textwrap
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from dbtestcase import DatabaseTestCase, MigrationError

from .support import Project, Report, connect_past_sqlalchemy, run


class Migrations:
    """A directory of migrations, whose env.py is Alembic's own unless it is replaced.

    :param folder: the project's; the migrations lie in ``migrations`` there.
    """

    def __init__(self, folder: Path, *, template: str = "generic") -> None:
        self.folder, self.path = folder, folder / "migrations"
        self.ini = folder / "alembic.ini"
        if template.startswith("flask"):
            import flask_migrate

            source = Path(flask_migrate.__file__).parent / "templates" / template
            (self.path / "versions").mkdir(parents=True)
            shutil.copy(source / "env.py", self.path)
            shutil.copy(source / "alembic.ini.mako", self.path / "alembic.ini")
            self.ini = self.path / "alembic.ini"
        else:
            # it prints what it makes
            with contextlib.redirect_stdout(io.StringIO()):
                config = Config(str(self.ini), stdout=io.StringIO())
                command.init(config, str(self.path), template=template)

    def revision(
        self,
        revision: str,
        down: object = None,
        up: str = "pass",
        back: str = "pass",
        *,
        head: str = "",
        name: str | None = None,
        parameters: str = "",
    ) -> Path:
        """Write a revision file.

        :param head: more lines at its top.
        :param parameters: of upgrade() and downgrade().
        """
        path = self.path / "versions" / f"{name or revision}.py"
        parts = [
            f"{f'revision {revision}'!r}\nimport sqlalchemy as sa\nfrom alembic import op\n",
            f"revision = {revision!r}\ndown_revision = {down!r}\n",
            textwrap.dedent(head),
        ]
        for function, body in (("upgrade", up), ("downgrade", back)):
            text = textwrap.indent(textwrap.dedent(body).strip(), "    ")
            parts.append(f"\n\ndef {function}({parameters}):\n{text}\n")
        path.write_text("".join(parts), "utf-8")
        return path

    def chain(self, *revisions: str) -> None:
        """Write revisions that each make a table of their own name."""
        down = None
        for revision in revisions:
            self.table(revision, down)
            down = revision

    def table(self, revision: str, down: object = None, **more: str) -> Path:
        """Write a revision that makes a table ``t_<revision>``, and its downgrade drops it."""
        return self.revision(
            revision,
            down,
            f'op.create_table("t_{revision}", sa.Column("id", sa.Integer, primary_key=True))',
            f'op.drop_table("t_{revision}")',
            **more,
        )

    def env(self, text: str) -> None:
        """Replace env.py."""
        (self.path / "env.py").write_text(textwrap.dedent(text), "utf-8")

    def edit_env(self, old: str, new: str) -> None:
        """Change one place of env.py."""
        path = self.path / "env.py"
        text = path.read_text("utf-8")
        assert text.count(old) == 1, (old, text.count(old))
        path.write_text(text.replace(old, new), "utf-8")


def tables_in(url: str | sa.URL) -> set[str]:
    """Tell which tables a connection finds that knows nothing of the library."""
    url = sa.make_url(url)
    query = "SELECT name FROM sqlite_master WHERE type = 'table'"
    if url.get_backend_name() == "postgresql":
        query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    with connect_past_sqlalchemy(url) as connection, contextlib.closing(connection.cursor()) as it:
        it.execute(query)
        return {name for (name,) in it}


class MigrationsTest(unittest.TestCase):
    """A project of its own with migrations, in whose directory this process works."""

    maxDiff = None
    template = "generic"

    def setUp(self) -> None:
        self.project = Project(self, {})
        self.project.enter(self)
        self.folder = self.project.directory
        self.migrations = Migrations(self.folder, template=self.template)

    def run_case(
        self,
        test: Callable[[Any], None] | None = None,
        *,
        base: type[Any] = DatabaseTestCase,
        bases: tuple[type[Any], ...] = (),
        **attributes: Any,
    ) -> Report:
        """Run a class with one test and these attributes."""
        attributes.setdefault("database", "postgresql")
        attributes["test"] = test or (lambda self: None)
        case = type("Case", (*bases, base), {"__module__": __name__, **attributes})
        return run(case)

    def tables(self, **attributes: Any) -> set[str]:
        """Run a class, and tell which tables its test finds."""
        found: set[str] = set()

        def test(case: Any) -> None:
            found.update(sa.inspect(case.engine).get_table_names())

        self.assertEqual(self.run_case(test, **attributes).messages, [])
        return found

    def error_of(self, **attributes: Any) -> str:
        """Run a class that cannot be set up, and give the text of its one MigrationError."""
        problems = self.run_case(**attributes).problems
        self.assertEqual(
            [(type(error).__name__, str(error)) for _, error in problems][1:], [], problems
        )
        [(_, error)] = problems
        self.assertIsInstance(error, MigrationError, error)
        return str(error)


class Doctests:
    """Runs the examples of docstrings in a folder with migrations, and an engine."""

    def __init__(self) -> None:
        self._undo = contextlib.ExitStack()

    @classmethod
    def of(cls, module: Any) -> unittest.TestSuite:
        """Give the examples of a module."""
        doctests = cls()
        return doctest.DocTestSuite(module, setUp=doctests.enter, tearDown=doctests.leave)

    def enter(self, test: doctest.DocTest) -> None:
        folder = Path(self._undo.enter_context(tempfile.TemporaryDirectory()))
        self._undo.enter_context(contextlib.chdir(folder))
        migrations = Migrations(folder)
        for revision, down, table in (("3f2a", None, "person"), ("5b1c", "3f2a", "visit")):
            migrations.revision(
                revision,
                down,
                f'op.create_table("{table}", sa.Column("id", sa.Integer))',
                f'op.drop_table("{table}")',
            )
        engine = sa.create_engine("sqlite:///example.db")
        self._undo.callback(engine.dispose)
        names = {"engine": engine, "inspect": sa.inspect, "DatabaseTestCase": DatabaseTestCase}
        test.globs.update(names)

    def leave(self, test: doctest.DocTest) -> None:
        self._undo.close()

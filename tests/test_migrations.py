from __future__ import annotations

import doctest
import unittest
from typing import Any, ClassVar

import sqlalchemy as sa

import dbtestcase.migrations.schema
from dbtestcase import AlembicSchema, DatabaseTestCase, MigrationError
from dbtestcase.schemas import Schema

from .migrating import Migrations
from .support import Project, run


class MigrationsTest(unittest.TestCase):
    """A project of its own with migrations, in which this process works."""

    maxDiff = None
    template = "generic"

    def setUp(self) -> None:
        self.project = Project(self, {})
        self.project.enter(self)
        self.migrations = Migrations(self.project.directory, template=self.template)

    def tables(self, schema: Schema, database: str) -> set[str]:
        """Run a class with a schema, and tell which tables its test finds."""
        found: set[str] = set()
        chosen, given = database, schema

        class Case(DatabaseTestCase):
            database = chosen
            schema = given

            def test_tables(self) -> None:
                found.update(sa.inspect(self.engine).get_table_names())

        self.assertEqual(run(Case).messages, [])
        return found

    def error_of(self, schema: Schema, database: str) -> str:
        """Run a class with a schema that cannot be built, and give the error's text."""
        chosen, given = database, schema

        class Case(DatabaseTestCase):
            database = chosen
            schema = given

            def test_nothing(self) -> None: ...

        problems = run(Case).problems
        self.assertEqual([type(error) for _, error in problems], [MigrationError])
        return str(problems[0][1])


class TestAlembicSchema(MigrationsTest):
    databases: ClassVar[Any] = ("postgresql", "postgresql+psycopg", "sqlite")

    def test_is_a_schema(self) -> None:
        """It is what the rest of the library asks for."""
        self.assertIsInstance(AlembicSchema("migrations"), Schema)

    def test_build(self) -> None:
        """A class finds what the migrations make, with Alembic's env.py unchanged."""
        self.migrations.chain("a", "b", "c")
        for database in self.databases:
            with self.subTest(database):
                found = self.tables(AlembicSchema("migrations"), database)
                self.assertEqual(found, {"alembic_version", "t_a", "t_b", "t_c"})

    def test_target(self) -> None:
        """It stops at the revision that is asked for."""
        self.migrations.chain("a", "b", "c")
        for database in self.databases:
            for target, expected in {
                "b": {"alembic_version", "t_a", "t_b"},
                "base": set(),
                "head": {"alembic_version", "t_a", "t_b", "t_c"},
            }.items():
                with self.subTest(database, target=target):
                    self.assertEqual(
                        self.tables(AlembicSchema("alembic.ini", target), database), expected
                    )

    def test_upgrade_is_paid_once(self) -> None:
        """Further classes get copies, and so does the next run; the template is kept."""
        log = self.project.directory / "log"
        self.migrations.revision("a", None, f"open({str(log)!r}, 'a').write('up ')")
        for _ in range(3):
            self.tables(AlembicSchema("migrations"), "postgresql")
        self.assertEqual(log.read_text(), "up ")


def load_tests(
    loader: unittest.TestLoader, tests: unittest.TestSuite, pattern: str | None
) -> unittest.TestSuite:
    """Run the examples in the docstrings, too."""
    tests.addTests(doctest.DocTestSuite(dbtestcase.migrations.schema))
    return tests


if __name__ == "__main__":
    unittest.main()

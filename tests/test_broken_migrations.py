"""A copy of examples/migrations in which each kind of mistake was made, and what is said of it."""

from __future__ import annotations

import importlib
import shutil
import sys
import unittest
from pathlib import Path
from types import ModuleType
from typing import Any

from dbtestcase import AlembicSchema, DatabaseTestCase, MigrationTestCase

from .support import Project, Report, run

EXAMPLE = Path(__file__).parents[1] / "examples" / "migrations"


class BrokenTest(unittest.TestCase):
    """A copy of the example, which each test breaks in its own way."""

    maxDiff = None
    #: where the database makes no difference to the mistake, the one that is made quickly
    database = "sqlite"

    def setUp(self) -> None:
        project = Project(self, {})
        self.folder = project.directory / "practice"
        shutil.copytree(EXAMPLE, self.folder, ignore=shutil.ignore_patterns("__pycache__"))
        project.enter(self)
        sys.path.insert(0, str(project.directory))
        self.addCleanup(sys.path.remove, str(project.directory))
        self.addCleanup(self.forget)

    def forget(self) -> None:
        for name in [name for name in sys.modules if name.partition(".")[0] == "practice"]:
            del sys.modules[name]
        importlib.invalidate_caches()

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        text = path.read_text("utf-8")
        self.assertEqual(text.count(old), 1, name)
        path.write_text(text.replace(old, new), "utf-8")

    def migration(self, name: str, old: str, new: str) -> None:
        self.edit(f"migrations/versions/{name}.py", old, new)

    def app(self) -> ModuleType:
        return importlib.import_module("practice.app")

    def run_tests(self) -> Report:
        """Run the copy's own tests of its migrations."""
        module: Any = importlib.import_module("practice.test_migrations")
        case: type[MigrationTestCase] = module.PracticeMigrationsTest
        vars(module)["__unittest"] = True
        case.database = self.database
        return run(case)

    def found(self) -> list[tuple[str, str]]:
        report = self.run_tests()
        return [(name.partition(" ")[0], str(error)) for name, error in report.problems]

    def schema_error(self) -> str:
        """Run a class on the database that the copy's migrations would make."""
        app = self.app()
        chosen = self.database

        class Case(DatabaseTestCase):
            schema = AlembicSchema("practice/migrations")
            database = chosen

            @classmethod
            def create_app(cls) -> Any:
                return app.create_app({"SQLALCHEMY_DATABASE_URI": cls.database_url})

            def test_nothing(self) -> None: ...

        [message] = run(Case).messages
        return message


class TestBrokenCopy(BrokenTest):
    def test_unbroken(self) -> None:
        """The copy itself is sound."""
        self.assertEqual(self.found(), [])

    def test_no_downgrade(self) -> None:
        """A downgrade that raises, and one that does nothing."""
        self.migration("2b7c_visits", 'op.drop_table("visit")', "raise NotImplementedError")
        self.migration("1f0a_patients", 'op.drop_table("patient")', "pass")
        none = (
            'revision "2b7c" (practice/migrations/versions/2b7c_visits.py) has no downgrade: its '
            "downgrade() raised NotImplementedError, so nothing before it can be reached again. "
            "Write what undoes upgrade(), or do without going down past it."
        )
        self.assertEqual(
            self.found(),
            [
                ("test_downgrade_leaves_nothing", none),
                (
                    "test_each_revision",
                    'revision "1f0a" (practice/migrations/versions/1f0a_patients.py) has a '
                    'downgrade() that does not undo its upgrade(): it leaves table "patient". '
                    "Write in downgrade() the opposite of each step of upgrade(), in reverse "
                    "order.",
                ),
                ("test_each_revision", none),
            ],
        )

    def test_type_left_behind(self) -> None:
        """A downgrade that forgets the type of its column."""
        self.database = "postgresql"
        self.migration("4e92_visit_state", "    state.drop(op.get_bind(), checkfirst=True)\n", "")
        self.assertEqual(
            self.found(),
            [
                (
                    "test_downgrade_leaves_nothing",
                    'the downgrade to "base" with migrations in '
                    f'"{self.folder}/migrations" does not undo the upgrade: it leaves type '
                    '"visit_state". A downgrade() of one of the revisions is incomplete; '
                    "test_each_revision of MigrationTestCase tells which.",
                ),
                (
                    "test_each_revision",
                    'revision "4e92" (practice/migrations/versions/4e92_visit_state.py) has a '
                    'downgrade() that does not undo its upgrade(): it leaves type "visit_state". '
                    "Write in downgrade() the opposite of each step of upgrade(), in reverse "
                    "order. drop_table() and drop_column() leave the types of their columns; drop "
                    'an Enum by: sa.Enum(name="...").drop(op.get_bind())',
                ),
            ],
        )

    def test_data_migration_loses_names(self) -> None:
        """A data migration that is wrong for some rows: the hook's check fails."""
        self.migration("3d15_split_names", 'name.rpartition(" ")', 'name.partition(" ")')
        [(name, text)] = self.found()
        self.assertEqual(name, "test_each_revision")
        self.assertIn("('Ada', 'Lovelace')", text.replace("King Lovelace", "Lovelace"))

    def test_data_migration_fails_on_rows(self) -> None:
        """A column that is not null, and no default: it works on an empty table only."""
        self.database = "postgresql"
        last_name = 'sa.Column("last_name", sa.String(), nullable=False'
        default = ', server_default=""'
        self.migration("3d15_split_names", f"{last_name}{default})", f"{last_name})")
        put_back = '        table.alter_column("last_name", server_default=None)\n'
        self.migration("3d15_split_names", put_back, "")
        [(name, text)] = self.found()
        self.assertEqual(name, "test_each_revision")
        self.assertTrue(
            text.startswith(
                'revision "3d15" (practice/migrations/versions/3d15_split_names.py) failed in '
                'upgrade(): column "last_name" of relation "patient" contains null values (the '
                "statement was: ALTER TABLE patient ADD COLUMN last_name VARCHAR NOT NULL). The "
                'database stands at "2b7c". Correct it and run it again.'
            ),
            text,
        )

    def test_model_without_migration(self) -> None:
        """A column that was added to the model only."""
        self.edit(
            "app.py",
            "    last_name: Mapped[str]\n",
            "    last_name: Mapped[str]\n    born: Mapped[int | None]\n",
        )
        self.assertEqual(
            self.found(),
            [
                (
                    "test_models_match",
                    "the models and the migrated database differ:\n"
                    '  column "born" of table "patient" is in the models, and no migration makes '
                    "it\nMake a migration of it (alembic revision --autogenerate, or flask db "
                    "migrate), or correct the models.",
                )
            ],
        )

    def test_two_heads(self) -> None:
        """Two branches of development were merged, and their migrations were not."""
        self.migration("5c38_cancelled", 'down_revision = "4e92"', 'down_revision = "3d15"')
        condition = "if op.get_context()"
        self.migration("5c38_cancelled", condition, condition.replace("if", "if False and"))
        found = dict(self.found())
        self.assertEqual(
            found["test_single_head"],
            f'migrations in "{self.folder}/migrations" have 2 heads: revision "4e92" '
            '(practice/migrations/versions/4e92_visit_state.py) and revision "5c38" '
            "(practice/migrations/versions/5c38_cancelled.py). Two branches of development have "
            "each added a revision. Join them by: alembic merge heads, or flask db merge heads; or "
            "let one come after the other by its down_revision.",
        )

    def test_lost_file(self) -> None:
        """A file that another one comes after is gone."""
        (self.folder / "migrations" / "versions" / "3d15_split_names.py").unlink()
        text = (
            'practice/migrations/versions/4e92_visit_state.py comes after revision "3d15", and no '
            'file of migrations in "{}" has that id. The file was removed, or is still on another '
            "branch. Get it back, or correct down_revision."
        )
        self.assertEqual(self.found(), [("setUpClass", text.format(f"{self.folder}/migrations"))])
        self.forget()
        self.assertEqual(
            self.schema_error(), f"MigrationError: {text.format('practice/migrations')}"
        )

    def test_env_with_a_database_of_its_own(self) -> None:
        """env.py migrates what it has connected to when it was imported first."""
        (self.folder / "already.py").write_text(
            "import sqlalchemy as sa\nconnection = sa.create_engine('sqlite://').connect()\n",
        )
        self.edit(
            "migrations/env.py",
            "    with connectable.connect() as connection:\n",
            "    from practice.already import connection\n    if True:\n",
        )
        import_module = importlib.import_module("practice.already")
        self.addCleanup(import_module.connection.engine.dispose)
        self.addCleanup(import_module.connection.close)
        self.assertEqual(
            self.schema_error(),
            "MigrationError: refusing to migrate something else: practice/migrations/env.py has "
            "given Alembic a connection to a private SQLite database, which is not the database "
            "that is to be migrated. It was open before env.py ran, or a thread of the program has "
            "opened it. Nothing was run there. Let env.py connect while it runs, or use the "
            'connection that it is given: config.attributes.get("connection")',
        )

    def test_create_all_beside_migrations(self) -> None:
        """A create_app() that calls create_all() makes what the migrations make."""
        self.edit(
            "app.py",
            "    return app\n",
            "    with app.app_context():\n        db.create_all()\n    return app\n",
        )
        found = dict(self.found())
        self.assertEqual(found, {})

    def test_autocommit_is_forgotten(self) -> None:
        """A new value of an enum is used before it is committed: noticed revision by revision."""
        self.database = "postgresql"
        self.migration("5c38_cancelled", "with op.get_context().autocommit_block():", "if True:")
        self.migration("5c38_cancelled", "postgresql_concurrently=True", "")
        [(name, text)] = self.found()
        self.assertEqual(name, "test_each_revision")
        self.assertEqual(
            text,
            'revision "5c38" (practice/migrations/versions/5c38_cancelled.py) failed in '
            'upgrade(): unsafe use of new value "cancelled" of enum type visit_state (the '
            "statement was: UPDATE visit SET state = 'cancelled' WHERE reason = 'cancelled'). "
            "Alembic runs it in a transaction. Put what wants none, or must be committed before it "
            "is used, into: with op.get_context().autocommit_block()",
        )


if __name__ == "__main__":
    unittest.main()

"""MigrationMixin and MigrationTestCase, and migrations on databases that are taken as they are."""

from __future__ import annotations

import inspect
import itertools
import textwrap
import unittest
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from flask import Flask
from sqlalchemy.engine import Engine

from dbtestcase import (
    AlembicSchema,
    DatabaseTestCase,
    EngineMixin,
    EscapeError,
    MigrationMixin,
    MigrationTestCase,
    embedded,
)
from dbtestcase.databases import databases_on, lease, release_all
from dbtestcase.settings import choose, slug

from .migrating import MigrationsTest, tables_in
from .support import Report, connect_past_sqlalchemy, run

BOTH = ("postgresql", "sqlite")


class NamedDatabaseTest(MigrationsTest):
    """With a database that a URL names."""

    def named(self, database: str) -> str:
        """Make an empty database, and give its URL."""
        if database == "sqlite":
            return f"sqlite:///{self.folder}/shop_test.db"
        name = f"{self.project.name}_test"
        url = embedded.server().url()
        with connect_past_sqlalchemy(url.set(database="postgres")) as connection:
            connection.autocommit = True
            connection.cursor().execute(f"CREATE DATABASE {name}")
        self.addCleanup(self.drop, name)
        return url.set(database=name).render_as_string(hide_password=False)

    def drop(self, name: str) -> None:
        release_all()
        url = embedded.server().url().set(database="postgres")
        with connect_past_sqlalchemy(url) as connection:
            connection.autocommit = True
            connection.cursor().execute(f"DROP DATABASE {name} WITH (FORCE)")


class TestNamedDatabase(NamedDatabaseTest):
    def test_build(self) -> None:
        """The migrations are played in the transaction that is never committed."""
        self.migrations.chain("a", "b")
        for database in BOTH:
            with self.subTest(database):
                url = self.named(database)
                found = self.tables(schema=AlembicSchema("migrations"), database=url)
                self.assertEqual(found, {"alembic_version", "t_a", "t_b"})
                self.assertEqual(tables_in(url), set())

    def test_goes_on_from_where_it_stands(self) -> None:
        """What is there already is not built again."""
        self.migrations.chain("a", "b")
        url = self.named("sqlite")
        with sa.create_engine(url).begin() as connection:
            connection.exec_driver_sql("CREATE TABLE t_a (id INTEGER)")
            connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32))")
            connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('a')")
        found = self.tables(schema=AlembicSchema("migrations"), database=url)
        self.assertEqual(found, {"alembic_version", "t_a", "t_b"})
        self.assertEqual(tables_in(url), {"alembic_version", "t_a"})

    def test_unknown_revision(self) -> None:
        """A revision in the database that no file knows is told with the database's name."""
        self.migrations.chain("a")
        url = self.named("sqlite")
        with sa.create_engine(url).begin() as connection:
            connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32))")
            connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('gone')")
        self.assertEqual(
            self.error_of(
                schema=AlembicSchema("migrations"),
                database=url,
                test=lambda case: case.engine.connect().close(),
            ),
            f'SQLite file "{self.folder}/shop_test.db" stands at revision "gone", and no file of '
            'migrations in "migrations" knows it. It was migrated from another branch, or the file '
            "was removed. Get the file back, or let the tests have a database that they make "
            "themselves.",
        )

    def test_autocommit(self) -> None:
        """What needs autocommit cannot be played there; the way out is named."""
        start = (
            'revision "a" (migrations/versions/a.py) cannot be run here, because it needs '
            "autocommit, and everything here is in one transaction that is never committed: "
        )
        end = (
            " Let AlembicSchema, MigrationMixin or MigrationTestCase run it in a database that the "
            "library makes itself: the embedded server's, or one at a server URL without a "
            "database name, such as DBTESTCASE_DATABASE=postgresql://USER@HOST."
        )
        url = self.named("postgresql")
        for statement, fact in (
            (
                'op.create_index("ix", "t", ["mood"], postgresql_concurrently=True)',
                "CREATE cannot be run in a sandbox: CREATE INDEX CONCURRENTLY cannot run inside a "
                "transaction block.",
            ),
            (
                "op.execute(\"ALTER TYPE mood ADD VALUE 'soso'\"); "
                "op.execute(\"INSERT INTO t VALUES ('soso')\")",
                'INSERT cannot be run in a sandbox: unsafe use of new value "soso" of enum type '
                "mood.",
            ),
        ):
            self.migrations.revision(
                "a",
                None,
                f"""\
                op.execute("CREATE TYPE mood AS ENUM ('good')")
                op.execute("CREATE TABLE t (mood mood)")
                with op.get_context().autocommit_block():
                    {statement}
                """,
            )
            with self.subTest(statement):
                text = self.error_of(schema=AlembicSchema("migrations"), database=url)
                self.assertEqual(text, f"{start}{fact}{end}")

    def test_migration_tests_are_refused(self) -> None:
        """Tests of migrations commit, and want databases that the library makes."""
        self.migrations.chain("a")
        url = self.named("sqlite")

        class Case(MigrationTestCase):
            database = url
            migrations = "migrations"

        [message] = run(Case).messages
        self.assertEqual(
            message,
            "SetUpError: Case migrates empty databases, and really commits to them, so it needs "
            f"databases that the library makes itself; but sqlite+pysqlite:///{self.folder}/"
            "shop_test.db (database of Case) is exactly one database. Name the server without a "
            "database, such as postgresql://user@host, or write sqlite.",
        )


class TestMigrationMixin(NamedDatabaseTest):
    def setUp(self) -> None:
        super().setUp()
        self.log = self.folder / "log"
        self.note("a", None)
        self.note("b", "a")

    def note(self, revision: str, down: str | None, back: str | None = None) -> None:
        """Write a revision that makes a table, and notes each of its steps in a file."""

        drop = f'op.drop_table("t_{revision}")'

        def line(step: str) -> str:
            return f"with open({str(self.log)!r}, 'a') as log: log.write('{step}-{revision} ')"

        self.migrations.revision(
            revision,
            down,
            f'op.create_table("t_{revision}", sa.Column("id", sa.Integer))\n{line("up")}',
            f"{back or drop}\n{line('down')}",
        )

    def run_mixed(self, test: Any = None, **attributes: Any) -> Report:
        attributes.setdefault("migrations", "migrations")
        return self.run_case(test, bases=(MigrationMixin,), **attributes)

    def test_up_and_down(self) -> None:
        """Each class executes all upgrades before it, and all downgrades after it."""
        for database in BOTH:
            with self.subTest(database):
                self.log.unlink(missing_ok=True)
                found: list[Any] = []

                def test(case: Any, found: list[Any] = found) -> None:
                    found.append(sa.inspect(case.engine).get_table_names())

                for _ in range(2):
                    report = self.run_mixed(test, database=database)
                    self.assertEqual((report.messages, report.warned), ([], []))
                self.assertEqual(found, [["alembic_version", "t_a", "t_b"]] * 2)
                self.assertEqual(
                    self.log.read_text().split(), ["up-a", "up-b", "down-b", "down-a"] * 2
                )

    def test_really_committed(self) -> None:
        """Another connection sees the tables while the class runs, and none of them after it."""
        seen = []
        report = self.run_mixed(lambda case: seen.append(tables_in(case.database_url)))
        self.assertEqual(report.messages, [])
        self.assertEqual(seen, [{"alembic_version", "t_a", "t_b"}])
        self.assertEqual(tables_in(lease(choose("postgresql")).url), {"alembic_version"})

    def test_autocommit(self) -> None:
        """What needs autocommit gets it."""
        self.migrations.revision(
            "c",
            "b",
            """\
            with op.get_context().autocommit_block():
                op.create_index("ix", "t_b", ["id"], postgresql_concurrently=True)
            """,
            'op.drop_index("ix", "t_b")',
        )
        self.assertEqual(self.run_mixed().messages, [])

    def test_tests_are_isolated(self) -> None:
        """Between both, tests are undone as always."""

        class Case(MigrationMixin, DatabaseTestCase):
            database = "postgresql"
            migrations = "migrations"

            @classmethod
            def setUpTestData(cls) -> None:
                cls.session.execute(sa.text("INSERT INTO t_a VALUES (1)"))
                cls.session.commit()

            def add(self) -> None:
                self.session.execute(sa.text("INSERT INTO t_a VALUES (2)"))
                self.session.commit()
                count = self.session.scalar(sa.text("SELECT count(*) FROM t_a"))
                self.assertEqual(count, 2)

            test_1 = test_2 = add

        self.assertEqual(run(Case).messages, [])

    def test_the_next_class_is_not_disturbed(self) -> None:
        """A class with a schema of its own finds its own database."""
        self.assertEqual(self.run_mixed().messages, [])
        self.assertEqual(
            self.tables(schema=AlembicSchema("migrations", "a")), {"alembic_version", "t_a"}
        )

    def test_named_database(self) -> None:
        """There both are played in the class's transaction, the rows of the class included."""
        for database in BOTH:
            with self.subTest(database):
                self.log.unlink(missing_ok=True)
                url = self.named(database)
                report = self.run_mixed(
                    lambda case: case.assertTrue(sa.inspect(case.engine).has_table("t_b")),
                    database=url,
                )
                self.assertEqual((report.messages, report.warned), ([], []))
                self.assertEqual(self.log.read_text().split(), ["up-a", "up-b", "down-b", "down-a"])
                self.assertEqual(tables_in(url), set())

    def test_named_database_that_is_migrated(self) -> None:
        """One that stands at a revision already is downgraded too, in the same transaction."""
        for database in BOTH:
            with self.subTest(database):
                self.log.unlink(missing_ok=True)
                url = self.named(database)
                config = Config(self.migrations.ini)
                config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
                with mock.patch("logging.config.fileConfig"):
                    command.upgrade(config, "a")
                self.assertEqual(self.run_mixed(database=url).messages, [])
                self.assertEqual(self.log.read_text().split(), ["up-a", "up-b", "down-b", "down-a"])
                self.assertEqual(tables_in(url), {"alembic_version", "t_a"})

    def test_escape(self) -> None:
        """What a stranger commits is told as that, and not as a mistake of the migrations."""

        def commit(sql: str) -> Any:
            def test(case: Any) -> None:
                with connect_past_sqlalchemy(case.database_url) as connection:
                    connection.cursor().execute(sql)
                    connection.commit()

            return test

        for database in BOTH:
            with self.subTest(database):
                report = self.run_mixed(commit("CREATE TABLE mine (id INTEGER)"), database=database)
                [(_, error)] = report.problems
                self.assertIsInstance(error, EscapeError)
                self.assertEqual(self.run_mixed(database=database).messages, [])
        report = self.run_mixed(commit("DROP TABLE t_b"), database="sqlite")
        escape, gone = report.messages
        self.assertTrue(escape.startswith("EscapeError: "), escape)
        self.assertEqual(
            gone,
            "MigrationError: the downgrade failed, because something that the migrations had made "
            'is gone: table "t_b". A test has dropped it, and that was really committed. revision '
            '"b" (migrations/versions/b.py) failed in downgrade(): no such table: t_b (the '
            'statement was: DROP TABLE t_b). The database stands at "b". Correct it and run it '
            "again.",
        )
        self.assertEqual(self.run_mixed(database="sqlite").messages, [])

    def test_downgrade_that_leaves_something(self) -> None:
        """It is an error of the class, and the next class gets a clean database."""
        self.note("c", "b", back="pass")
        for database in (*BOTH, self.named("sqlite")):
            with self.subTest(database):
                self.assertEqual(
                    self.run_mixed(database=database).messages,
                    [
                        'MigrationError: the downgrade to "base" with migrations in "migrations" '
                        'does not undo the upgrade: it leaves table "t_c". A downgrade() of one of '
                        "the revisions is incomplete; test_each_revision of MigrationTestCase "
                        "tells which."
                    ],
                )
                found = self.tables(schema=AlembicSchema("migrations", "a"), database=database)
                self.assertEqual(found, {"alembic_version", "t_a"})

    def test_failing_upgrade(self) -> None:
        """It fails the class, and nothing is downgraded."""
        self.migrations.revision("c", "b", "1 / 0")
        [message] = self.run_mixed().messages
        self.assertIn('revision "c" (migrations/versions/c.py) failed in upgrade()', message)
        self.assertNotIn("down", self.log.read_text())
        self.migrations.revision("c", "b", "pass")
        self.assertEqual(self.run_mixed().messages, [])

    def test_failing_set_up(self) -> None:
        """Where the class's set-up fails later, that is the one error, and the next class runs."""

        def setUpTestData(cls: Any) -> None:
            raise ValueError("no data")

        report = self.run_mixed(setUpTestData=classmethod(setUpTestData))
        self.assertEqual(report.messages, ["ValueError: no data"])
        self.assertEqual(self.run_mixed().messages, [])

    def test_without_sandbox(self) -> None:
        """It needs no more than a database and its engines."""

        class Case(MigrationMixin, EngineMixin, unittest.TestCase):
            database = "postgresql"
            migrations = "migrations"

            def test_tables(self) -> None:
                self.assertTrue(sa.inspect(self.engine).has_table("t_b"))

        self.assertEqual(run(Case).messages, [])
        self.assertEqual(self.log.read_text().split(), ["up-a", "up-b", "down-b", "down-a"])

    def test_switched_off(self) -> None:
        """migrate = None of a subclass leaves everything to its schema."""
        schema = AlembicSchema("migrations", "a")
        self.assertEqual(self.run_mixed(migrate=None, schema=schema).messages, [])

    def test_what_does_not_fit(self) -> None:
        """Attributes that would do nothing, or too much, are refused."""
        for attributes, message in (
            ({"migrate": "test"}, "Case.migrate is 'test'. It may be \"class\" or None."),
            (
                {"migrations": None},
                "Case.migrations is None, so there is nothing to migrate. Write the directory of "
                'env.py: migrations = "migrations".',
            ),
            (
                {"schema": AlembicSchema("migrations")},
                "Case has both migrations and a schema, and only one can fill the database. Remove "
                "schema, or write migrate = None.",
            ),
            (
                {"app_scope": "test", "create_app": classmethod(lambda cls: None)},
                'Case has app_scope = "test", so there is no app around the class in which its '
                'migrations could run. Write app_scope = "class", or instead of migrate schema = '
                "AlembicSchema(...).",
            ),
        ):
            with self.subTest(message):
                report = self.run_mixed(**attributes)
                self.assertEqual(report.messages, [f"SetUpError: {message}"])


class TestMigrationTestCase(MigrationsTest):
    TESTS: ClassVar[Any] = [
        "test_base_to_head",
        "test_downgrade_leaves_nothing",
        "test_each_revision",
        "test_models_match",
        "test_no_stray_files",
        "test_single_head",
    ]

    def case(self, **attributes: Any) -> type[MigrationTestCase]:
        attributes.setdefault("database", "postgresql")
        attributes.setdefault("migrations", "migrations")
        attributes.setdefault("metadata", sa.MetaData())
        return type("Case", (MigrationTestCase,), {"__module__": __name__, **attributes})

    def failures(self, **attributes: Any) -> list[tuple[str, str]]:
        """Run a class, and give the name and the message of each test that fails."""
        report = run(self.case(**attributes))
        self.assertEqual(report.warned, [])
        return [(name.partition(" ")[0], str(error)) for name, error in report.problems]

    def names(self, case: type[unittest.TestCase]) -> list[str]:
        return sorted(unittest.defaultTestLoader.getTestCaseNames(case))

    def test_import_runs_nothing(self) -> None:
        """unittest and pytest collect what a module imports; the class itself has no tests."""
        self.assertEqual(self.names(MigrationTestCase), [])
        (self.folder / "test_it.py").write_text("from dbtestcase import MigrationTestCase\n")
        code, output = self.project.run("unittest")
        self.assertIn("Ran 0 tests", output)
        code, output = self.project.run("pytest", "-q", "-p", "no:cacheprovider")
        self.assertEqual(code, 5, output)  # nothing was collected

    def test_inherited_tests(self) -> None:
        """A subclass that says where its migrations are has them; None leaves one out."""
        self.assertEqual(self.names(self.case()), self.TESTS)
        self.assertEqual(self.names(self.case(migrations=None)), [])
        case = self.case(test_models_match=None, test_single_head=lambda self: None)
        self.assertEqual(self.names(case), [n for n in self.TESTS if n != "test_models_match"])
        self.assertEqual(self.names(type("Sub", (case,), {})), self.names(case))

    def test_all_is_well(self) -> None:
        """Sound migrations pass on each database."""
        self.migrations.chain("a", "b")
        metadata = sa.MetaData()
        for name in ("t_a", "t_b"):
            sa.Table(name, metadata, sa.Column("id", sa.Integer, primary_key=True))
        original = Engine.raw_connection
        for database in ("postgresql", "postgresql+psycopg", "sqlite"):
            with self.subTest(database):
                self.assertEqual(self.failures(database=database, metadata=metadata), [])
        self.assertIs(Engine.raw_connection, original)

    def test_branches(self) -> None:
        """Each revision of a history with branches, merges and dependencies goes up and down."""
        self.migrations.chain("a", "b")
        self.migrations.table("c", "a")
        self.migrations.table("m", ("b", "c"))
        self.migrations.table("z", None, head='depends_on = "b"\n')
        for database in BOTH:
            with self.subTest(database):
                failures = self.failures(database=database, test_models_match=None)
                self.assertEqual([name for name, _ in failures], ["test_single_head"])
                self.assertIn('have 2 heads: revision "m"', failures[0][1])

    def test_hooks(self) -> None:
        """Rows can be put in before a revision, and checked after it."""
        self.migrations.chain("a")
        self.migrations.revision(
            "2024b.1",
            "a",
            'op.execute("UPDATE t_a SET id = id + 1")',
            'op.execute("UPDATE t_a SET id = id - 1")',
        )
        calls = []

        def before(case: Any, connection: sa.Connection) -> None:
            connection.exec_driver_sql("INSERT INTO t_a VALUES (7)")
            calls.append("before")

        def after(case: Any, connection: sa.Connection) -> None:
            found = connection.exec_driver_sql("SELECT id FROM t_a").scalar()
            case.assertEqual(found, 8)
            calls.append("after")

        for database in BOTH:
            with self.subTest(database):
                failures = self.failures(
                    database=database,
                    test_models_match=None,
                    before_2024b_1=before,
                    after_2024b_1=after,
                )
                self.assertEqual(failures, [])
        self.assertEqual(calls, ["before", "after"] * 2)

    def test_failing_hook(self) -> None:
        """A check that fails is told with the step; the other steps are taken all the same."""
        self.migrations.chain("a", "b")

        def after(case: Any, connection: sa.Connection) -> None:
            case.fail("no rows")

        report = run(self.case(after_a=after, test_models_match=None))
        self.assertEqual(
            [(name.partition(") ")[2], str(error)) for name, error in report.problems],
            [("[revision \"a\" (migrations/versions/a.py)] (step='upgrade')", "no rows")],
        )

    def test_hooks_that_would_never_be_called(self) -> None:
        """A hook for no revision, or an async one, is an error of the class."""
        self.migrations.chain("abc")

        async def later(case: Any, connection: sa.Connection) -> None: ...

        for attributes, message in (
            (
                {"before_abd": lambda case, connection: None},
                "SetUpError: Case.before_abd would never be called: no file of migrations in "
                '"migrations" has the revision "abd". Did you mean before_abc? Name it by its '
                "revision id, or give it another name if it is no hook.",
            ),
            (
                {"after_abc": later},
                "SetUpError: Case.after_abc is async, and would never be awaited: Alembic runs "
                "outside of an event loop. Write it without async.",
            ),
        ):
            with self.subTest(message):
                self.assertEqual(run(self.case(**attributes)).messages, [message])

    def test_attributes_that_would_do_nothing(self) -> None:
        """A misspelt attribute, with which no test would run, is refused at once."""
        with self.assertRaisesRegex(
            Exception,
            "^Misspelt.migration would change nothing, and no test would run: there is no such "
            "attribute of the library. Write migrations.$",
        ):
            type("Misspelt", (MigrationTestCase,), {"migration": "migrations"})
        for attributes, message in (
            (
                {"schema": AlembicSchema("migrations")},
                "SetUpError: Case has a schema, and its tests begin with an empty database, which "
                "they migrate. Remove it; the models go into metadata.",
            ),
            (
                {"migrations": 7},
                "SetUpError: Case.migrations is 7, and must be the directory of env.py. Write "
                'migrations = "migrations".',
            ),
        ):
            with self.subTest(message):
                self.assertEqual(run(self.case(**attributes)).messages, [message])

    def test_own_empty_database(self) -> None:
        """Each test has one, whatever the ones before and the app have committed."""
        self.migrations.chain("a")
        seen = []

        class Case(MigrationTestCase):
            migrations = "migrations"
            database = "postgresql"
            metadata = sa.MetaData()

            @classmethod
            def create_engine(cls) -> Engine:
                return sa.create_engine("postgresql+psycopg2://shop@db.invalid/shop")

            @classmethod
            def setUpClass(cls) -> None:
                super().setUpClass()
                with cls.engine.begin() as connection:
                    connection.exec_driver_sql("CREATE TABLE of_the_class (id integer)")

            def before_a(self, connection: sa.Connection) -> None:
                seen.append(sa.inspect(connection).get_table_names())
                # the program's engines lead there, too
                with self.engine.begin() as own:
                    own.exec_driver_sql("CREATE TABLE of_the_program (id integer)")
                seen.append(tables_in(self.database_url))

            test_models_match = None

        report = run(Case)
        self.assertEqual(report.messages, [])
        self.assertEqual(seen, [[], {"of_the_program"}])

    # -- what is wrong --------------------------------------------------------------------------

    def test_missing_downgrades(self) -> None:
        """Each revision that cannot be undone is named, and those after it are tried."""
        self.migrations.chain("a")
        self.migrations.revision("b", "a", back="raise NotImplementedError()")
        self.migrations.revision(
            "c", "b", "op.execute(\"CREATE TYPE mood AS ENUM ('good')\")", name="moods"
        )
        self.migrations.revision(
            "d", "c", 'op.add_column("t_a", sa.Column("x", sa.Integer))', "pass"
        )
        self.migrations.revision("e", "d", back='op.drop_table("t_a")')
        failures = self.failures(test_models_match=None)
        self.assertEqual([name for name, _ in failures].count("test_each_revision"), 4)
        self.assertEqual(
            [text for name, text in failures if name == "test_each_revision"],
            [
                'revision "b" (migrations/versions/b.py) has no downgrade: its downgrade() raised '
                "NotImplementedError, so nothing before it can be reached again. Write what undoes "
                "upgrade(), or do without going down past it.",
                'revision "c" (migrations/versions/moods.py) has a downgrade() that does not undo '
                'its upgrade(): it leaves type "mood". Write in downgrade() the opposite of each '
                "step of upgrade(), in reverse order. drop_table() and drop_column() leave the "
                'types of their columns; drop an Enum by: sa.Enum(name="...").drop(op.get_bind())',
                'revision "d" (migrations/versions/d.py) has a downgrade() that does not undo its '
                'upgrade(): it leaves column "x" of table "t_a" (integer). Write in downgrade() '
                "the opposite of each step of upgrade(), in reverse order.",
                'revision "e" (migrations/versions/e.py) has a downgrade() that does not undo its '
                'upgrade(): it does not bring back table "t_a". Write in downgrade() the opposite '
                "of each step of upgrade(), in reverse order.",
            ],
        )

    def test_type_of_a_column(self) -> None:
        """On PostgreSQL a downgrade has to bring back the type of a column, too."""
        only_each = dict.fromkeys(
            ("test_base_to_head", "test_downgrade_leaves_nothing", "test_models_match")
        )
        for type in ("String(20)", 'Enum("good", "bad", name="mood")'):
            make = f'op.create_table("t", sa.Column("name", sa.{type}))'
            self.migrations.revision(
                "a", None, make, 'op.execute("DROP TABLE t; DROP TYPE IF EXISTS mood")'
            )
            change = 'op.execute("ALTER TABLE t ALTER name TYPE {}")'
            self.migrations.revision("b", "a", change.format("text"), "pass")
            was = "character varying(20)" if "String" in type else "mood"
            self.assertEqual(
                self.failures(**only_each),
                [
                    (
                        "test_each_revision",
                        'revision "b" (migrations/versions/b.py) has a downgrade() that does not '
                        'undo its upgrade(): it leaves column "name" of table "t" (text) and it '
                        f'does not bring back column "name" of table "t" ({was}). Write in '
                        "downgrade() the opposite of each step of upgrade(), in reverse order.",
                    )
                ],
            )
            back = change.format(f"{was} USING name::{was}")
            self.migrations.revision("b", "a", change.format("text"), back)
            self.assertEqual(self.failures(**only_each), [])

    def test_no_revisions(self) -> None:
        """Without any revision there is nothing to test, and that is no success."""
        self.assertEqual(
            self.failures(test_models_match=None),
            [
                (
                    "test_single_head",
                    'migrations in "migrations" have no revision: no file in migrations/versions '
                    "has one. Make one by: alembic revision --autogenerate, or flask db migrate; "
                    "or correct version_locations in the ini.",
                )
            ],
        )

    def test_models(self) -> None:
        """Each difference between models and database is a line."""
        self.migrations.revision(
            "a",
            None,
            """\
            op.create_table(
                "item",
                sa.Column("id", sa.Integer, primary_key=True),
                sa.Column("name", sa.String(20), nullable=False),
                sa.Column("old", sa.Integer),
            )
            op.create_table("gone", sa.Column("id", sa.Integer, primary_key=True))
            op.create_index("ix_old", "item", ["old"])
            """,
            'op.drop_table("item"); op.drop_table("gone")',
        )
        metadata = sa.MetaData()
        sa.Table(
            "item",
            metadata,
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("name", sa.Text, sa.ForeignKey("new.name", name="fk_name"), unique=True),
            sa.Column("price", sa.Integer, index=True),
        )
        sa.Table("new", metadata, sa.Column("name", sa.Text, primary_key=True))
        [(name, text)] = self.failures(metadata=metadata)
        self.assertEqual(name, "test_models_match")
        first, *lines, last = text.splitlines()
        self.assertEqual(first, "the models and the migrated database differ:")
        self.assertEqual(
            last,
            "Make a migration of it (alembic revision --autogenerate, or flask db migrate), or "
            "correct the models.",
        )
        self.assertEqual(
            sorted(line.strip() for line in lines),
            [
                'column "name" of table "item": nullable is False in the database, and True in the '
                "models",
                'column "name" of table "item": type is VARCHAR(20) in the database, and TEXT in '
                "the models",
                'column "old" of table "item" is made by the migrations, and not in the models',
                'column "price" of table "item" is in the models, and no migration makes it',
                'constraint (name) of table "item" is in the models, and no migration makes it',
                'foreign key "fk_name" (name) of table "item" is in the models, and no migration '
                "makes it",
                'index "ix_item_price" (price) of table "item" is in the models, and no migration '
                "makes it",
                'index "ix_old" (old) of table "item" is made by the migrations, and not in the '
                "models",
                'table "gone" is made by the migrations, and not in the models',
                'table "new" is in the models, and no migration makes it',
            ],
        )

    def test_no_models(self) -> None:
        """Without any models there is nothing to compare with, and that is no success."""
        self.migrations.chain("a")
        self.assertEqual(
            self.failures(metadata=None),
            [
                (
                    "test_models_match",
                    "migrations/env.py has target_metadata = None, so there are no models to "
                    "compare with. Name them there, or on the class: metadata = Base.metadata",
                )
            ],
        )

    def test_stray_file(self) -> None:
        """A revision in a folder where Alembic does not look is never run."""
        self.migrations.chain("a")
        versions = self.migrations.path / "versions"
        (versions / "2023").mkdir()
        self.migrations.table("b", "a").rename(versions / "2023" / "b.py")
        self.assertEqual(
            self.failures(test_models_match=None),
            [
                (
                    "test_no_stray_files",
                    'Alembic does not see migrations/versions/2023/b.py (revision "b"), so no '
                    "upgrade runs what is in there. It looks in migrations/versions, and below "
                    "that only with recursive_version_locations = true. Move the file, or remove "
                    "it.",
                )
            ],
        )

    def test_failing_upgrade(self) -> None:
        """The revision is named, and what comes after it is not tried."""
        self.migrations.chain("a")
        self.migrations.revision("b", "a", 'op.execute("INSERT INTO nowhere VALUES (1)")')
        self.migrations.table("c", "b")
        failures = self.failures(test_models_match=None)
        self.assertEqual(
            [name for name, _ in failures],
            ["test_base_to_head", "test_downgrade_leaves_nothing", "test_each_revision"],
        )
        for _, text in failures:
            self.assertTrue(
                text.startswith(
                    'revision "b" (migrations/versions/b.py) failed in upgrade(): relation '
                    '"nowhere" does not exist (the statement was: INSERT INTO nowhere VALUES (1)). '
                    "The database stands at "
                ),
                text,
            )

    def test_ctrl_c(self) -> None:
        """Ctrl-C in a migration ends the run, and the next one finds everything in order."""
        self.migrations.chain("a")
        here = self.folder / "interrupt"
        self.migrations.revision(
            "b",
            "a",
            f"""\
            import os, pathlib, signal
            if pathlib.Path({str(here)!r}).exists():
                os.kill(os.getpid(), signal.SIGINT)
            """,
        )
        (self.folder / "test_it.py").write_text(
            "from dbtestcase import *\n"
            "class ATest(MigrationTestCase):\n"
            "    migrations = 'migrations'\n"
            "    test_models_match = None\n"
            "class BTest(MigrationMixin, DatabaseTestCase):\n"
            "    migrations = 'migrations'\n"
            "    def test(self): pass\n"
            "class CTest(DatabaseTestCase):\n"
            "    schema = AlembicSchema('migrations')\n"
            "    def test(self): self.engine.connect().close()\n"
        )
        project = slug(self.project.name)
        for database in BOTH:
            for case in ("ATest", "BTest", "CTest"):
                with self.subTest(case, database=database):
                    here.touch()
                    run = ("unittest", f"test_it.{case}")
                    code, output = self.project.run(*run, DBTESTCASE_DATABASE=database)
                    self.assertNotEqual(code, 0)
                    self.assertIn("KeyboardInterrupt", output)
                    left = [
                        name
                        for name, mark, _ in databases_on(choose("postgresql"))
                        if mark.project == project and name.endswith("_new")
                    ]
                    self.assertEqual(left, [])
                    here.unlink()
                    code, output = self.project.run(*run, DBTESTCASE_DATABASE=database)
                    self.assertEqual(code, 0, output)

    def test_runners(self) -> None:
        """It runs under pytest, too, with and without workers."""
        self.migrations.chain("a")
        (self.folder / "test_it.py").write_text(
            "from dbtestcase import MigrationTestCase\n"
            "class ATest(MigrationTestCase):\n"
            "    migrations = 'migrations'\n"
            "    database = 'sqlite'\n"
            "    test_models_match = None\n"
        )
        pytest = ["pytest", "-q", "-p", "no:cacheprovider"]
        for runner in (["unittest"], pytest, [*pytest, "-n", "2"]):
            code, output = self.project.run(*runner)
            self.assertEqual(code, 0, output)
            self.assertRegex(output, "Ran 5 tests|5 passed")


class TestExamples(MigrationsTest):
    """What docstrings and README show runs as it stands there."""

    def examples(self, text: str) -> list[type[Any]]:
        """Give the classes that the first code in a text makes."""
        lines = text.partition(".. code-block:: python\n")[2].splitlines()
        code = itertools.takewhile(lambda line: not line or line.startswith("    "), lines)
        given: dict[str, Any] = {
            **{each.__name__: each for each in (DatabaseTestCase, MigrationMixin)},
            "MigrationTestCase": MigrationTestCase,
            "text": sa.text,
            "create_app": lambda config: Flask("example"),
            "__name__": __name__,
        }
        exec(textwrap.dedent("\n".join(code)), given)
        return [
            value
            for value in given.values()
            if isinstance(value, type) and value.__module__ == __name__
        ]

    def test_examples(self) -> None:
        """Each example passes on sound migrations."""
        self.migrations.revision(
            "1a",
            None,
            """\
            op.create_table(
                "person", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text)
            )
            """,
            'op.drop_table("person")',
        )
        self.migrations.revision(
            "3f2a",
            "1a",
            """\
            op.add_column("person", sa.Column("surname", sa.Text))
            op.execute("UPDATE person SET surname = 'Lovelace'")
            """,
            'with op.batch_alter_table("person") as batch: batch.drop_column("surname")',
        )
        readme = Path(__file__).parents[1].joinpath("README.rst").read_text("utf-8")
        places = {
            **{
                each.__name__: str(inspect.getdoc(each))
                for each in (MigrationTestCase, MigrationMixin)
            },
            "README": readme.partition("\nMigrations\n~~~")[2],
        }
        for place, text in places.items():
            for example in self.examples(text):
                with self.subTest(place, name=example.__name__):
                    example.database = "postgresql"
                    example.test_models_match = None
                    example.test = lambda self: None
                    self.assertEqual(run(example).messages, [])


if __name__ == "__main__":
    unittest.main()

from __future__ import annotations

import asyncio
import unittest
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import NullPool, StaticPool

import dbtestcase.migrations.around
from dbtestcase import AlembicSchema, MetadataSchema, MigrationError, migrated
from dbtestcase.databases import lease
from dbtestcase.settings import choose

from .migrating import Doctests, Migrations, MigrationsTest, tables_in


class MigratedTest(MigrationsTest):
    """On engines of the program, outside of any test class of ours."""

    def setUp(self) -> None:
        super().setUp()
        self.migrations.chain("a", "b")

    def engine(self, url: Any, **options: Any) -> sa.Engine:
        engine = sa.create_engine(url, **options)
        self.addCleanup(engine.dispose)
        return engine

    def postgresql(self) -> sa.Engine:
        """Give an engine for an empty database of the project's own."""
        held = lease(choose("postgresql"))
        held.prepare(None)
        held.spoil()
        return self.engine(held.url)

    def file(self) -> sa.Engine:
        return self.engine(f"sqlite:///{self.folder}/own.db")

    def text_of(self, do: Any) -> str:
        with self.assertRaises(MigrationError) as caught:
            do()
        return str(caught.exception)


class TestMigrated(MigratedTest):
    def test_up_and_down(self) -> None:
        """The tables are there in the block, and gone after it; another connection sees both."""
        for engine in (self.postgresql(), self.file()):
            with self.subTest(engine.dialect.name):
                with migrated(engine, "migrations"):
                    self.assertEqual(tables_in(engine.url), {"alembic_version", "t_a", "t_b"})
                self.assertEqual(tables_in(engine.url), {"alembic_version"})

    def test_to_and_then(self) -> None:
        """Both ends may be named."""
        engine = self.file()
        with migrated(engine, "migrations", to="a", then="a"):
            self.assertEqual(tables_in(engine.url), {"alembic_version", "t_a"})
        with migrated(engine, "migrations", to="b", then="a"):
            self.assertEqual(tables_in(engine.url), {"alembic_version", "t_a", "t_b"})
        self.assertEqual(tables_in(engine.url), {"alembic_version", "t_a"})

    def test_body_raises(self) -> None:
        """The error passes, and the migrations are undone."""
        engine = self.file()
        with self.assertRaisesRegex(ValueError, "of the body"), migrated(engine, "migrations"):
            raise ValueError("of the body")
        self.assertEqual(tables_in(engine.url), {"alembic_version"})

    def test_private_database_in_memory(self) -> None:
        """A database that lives in the engine's one connection is the one that is migrated."""
        for options in ({"poolclass": StaticPool}, {}):
            engine = self.engine("sqlite://", **options)
            with self.subTest(str(options)):
                with migrated(engine, "migrations"):
                    names = sa.inspect(engine).get_table_names()
                    self.assertEqual(names, ["alembic_version", "t_a", "t_b"])
                self.assertEqual(sa.inspect(engine).get_table_names(), ["alembic_version"])

    def test_engine_without_a_pool(self) -> None:
        """So is any other engine's, with a creator as well."""
        path = self.folder / "own.db"
        import sqlite3

        for engine in (
            self.engine(f"sqlite:///{path}", poolclass=NullPool),
            self.engine("sqlite://", creator=lambda: sqlite3.connect(path), poolclass=NullPool),
        ):
            with migrated(engine, "migrations"):
                self.assertEqual(tables_in(f"sqlite:///{path}"), {"alembic_version", "t_a", "t_b"})
            self.assertEqual(tables_in(f"sqlite:///{path}"), {"alembic_version"})

    def test_work_of_the_body(self) -> None:
        """What the body makes by itself is not the downgrade's to undo."""
        engine = self.file()
        with migrated(engine, "migrations"), engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE mine (id INTEGER)")
        self.assertEqual(tables_in(engine.url), {"alembic_version", "mine"})

    def test_one_in_another(self) -> None:
        """Blocks may be nested, each with its own part of the way."""
        engine = self.file()
        with migrated(engine, "migrations", to="a"):
            with migrated(engine, "migrations", to="b", then="a"):
                self.assertIn("t_b", tables_in(engine.url))
            self.assertEqual(tables_in(engine.url), {"alembic_version", "t_a"})
        self.assertEqual(tables_in(engine.url), {"alembic_version"})


class TestDecorator(MigratedTest):
    def test_function(self) -> None:
        """The block is around each call, with arguments and result."""
        engine = self.file()

        @migrated(lambda: engine, "migrations")
        def tables(more: int) -> tuple[int, set[str]]:
            "Its docstring."
            return more, tables_in(engine.url)

        for number in (1, 2):
            self.assertEqual(tables(more=number), (number, {"alembic_version", "t_a", "t_b"}))
        self.assertEqual(tables.__doc__, "Its docstring.")
        self.assertEqual(tables_in(engine.url), {"alembic_version"})

    def test_coroutine_function(self) -> None:
        """It ends when the coroutine has ended, and not when it was made."""
        engine = self.file()

        @migrated(engine, "migrations")
        async def tables() -> set[str]:
            await asyncio.sleep(0)
            return tables_in(engine.url)

        self.assertEqual(asyncio.run(tables()), {"alembic_version", "t_a", "t_b"})
        self.assertEqual(tables_in(engine.url), {"alembic_version"})

    def test_what_it_cannot_decorate(self) -> None:
        """What a call does not run to its end is refused."""

        def generator() -> Any:
            yield

        for decorated, what in ((type("Case", (), {}), "a class"), (generator, "a generator")):
            with self.subTest(what), self.assertRaises(TypeError) as caught:
                migrated(self.file(), "migrations")(decorated)
            self.assertEqual(
                str(caught.exception),
                f"migrated() cannot decorate {what}, whose body is not run by the call. Decorate "
                f"its functions, or write: with migrated(...)",
            )

    def test_no_engine(self) -> None:
        """A URL instead of an engine is refused."""
        with self.assertRaises(TypeError) as caught:
            migrated("sqlite://", "migrations")  # type: ignore[arg-type]
        self.assertEqual(
            str(caught.exception),
            "migrated() needs an engine, or a function that returns one, and was given a str. "
            "Write migrated(engine, directory).",
        )


class TestInATestCase(MigratedTest):
    """In a test of DatabaseTestCase all is played in its transaction."""

    def test_sandbox(self) -> None:
        """The migrations see the test's rows, and nothing of them is committed."""
        self.migrations.revision("c", "b", 'op.execute("INSERT INTO t_b SELECT id + 1 FROM t_a")')
        for database in ("postgresql", "postgresql+psycopg", "sqlite"):
            found: list[Any] = []

            def test(case: Any, found: list[Any] = found) -> None:
                with case.engine.begin() as connection:
                    connection.exec_driver_sql("INSERT INTO t_a VALUES (7)")
                with migrated(case.engine, "migrations", then="a"):
                    with case.engine.connect() as connection:
                        found += connection.exec_driver_sql("SELECT id FROM t_b").scalars()
                    if case.engine.dialect.name == "postgresql":  # SQLite is locked meanwhile
                        case.assertEqual(tables_in(case.database_url), {"alembic_version", "t_a"})
                found.append(sa.inspect(case.engine).has_table("t_b"))

            with self.subTest(database):
                report = self.run_case(
                    test, schema=AlembicSchema("migrations", "a"), database=database
                )
                self.assertEqual(report.messages, [])
                self.assertEqual(report.warned, [])
                self.assertEqual(found, [8, False])

    def test_first_contact(self) -> None:
        """It may be what contacts the database first."""
        schema = MetadataSchema(sa.MetaData())

        def test(case: Any) -> None:
            with migrated(case.engine, "migrations"):
                case.assertTrue(sa.inspect(case.engine).has_table("t_b"))
            case.assertFalse(sa.inspect(case.engine).has_table("t_b"))

        for database in ("postgresql", "sqlite"):
            report = self.run_case(test, schema=schema, database=database)
            self.assertEqual(report.messages, [])

    def test_autocommit(self) -> None:
        """What needs autocommit cannot be played there, and is told what can."""
        self.migrations.revision(
            "c",
            "b",
            """\
            with op.get_context().autocommit_block():
                op.create_index("ix", "t_b", ["id"], postgresql_concurrently=True)
            """,
        )

        def test(case: Any) -> None:
            with migrated(case.engine, "migrations"):
                pass

        report = self.run_case(test, schema=MetadataSchema(sa.MetaData()))
        self.assertEqual(
            report.messages,
            [
                'MigrationError: revision "c" (migrations/versions/c.py) cannot be run here, '
                "because it needs autocommit, and everything here is in one transaction that is "
                "never committed: CREATE cannot be run in a sandbox: CREATE INDEX CONCURRENTLY "
                "cannot run inside a transaction block. Let AlembicSchema, MigrationMixin or "
                "MigrationTestCase run it in a database that the library makes itself: the "
                "embedded server's, or one at a server URL without a database name, such as "
                "DBTESTCASE_DATABASE=postgresql://USER@HOST."
            ],
        )


class TestInconsistentStates(MigratedTest):
    """Each state that does not fit together has words of its own."""

    def stamp(self, engine: sa.Engine, revision: str) -> None:
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32))")
            connection.exec_driver_sql(f"INSERT INTO alembic_version VALUES ('{revision}')")

    def enter(self, engine: sa.Engine, **options: Any) -> str:
        return self.text_of(migrated(engine, "migrations", **options).__enter__)

    def leave(self, engine: sa.Engine) -> str:
        block = migrated(engine, "migrations")
        block.__enter__()
        return self.text_of(lambda: block.__exit__(None, None, None))

    def test_unknown_revision_in_the_database(self) -> None:
        """A revision in the database that no file knows."""
        engine = self.file()
        self.stamp(engine, "gone")
        self.assertEqual(
            self.enter(engine),
            f'SQLite file "{self.folder}/own.db" stands at revision "gone", and no file of '
            'migrations in "migrations" knows it. It was migrated from another branch, or the file '
            "was removed. Get the file back, or let the tests have a database that they make "
            "themselves.",
        )

    def test_unknown_target(self) -> None:
        """A target that is no revision."""
        self.assertEqual(
            self.enter(self.file(), to="zzz"),
            'cannot migrate to "zzz" with migrations in "migrations": Can\'t locate revision '
            'identified by \'zzz\'. Name a revision id, "heads" or "base".',
        )

    def test_two_heads(self) -> None:
        """Two heads, where one is asked for."""
        self.migrations.table("c", "a")
        self.assertEqual(
            self.enter(self.file(), to="head"),
            'migrations in "migrations" have 2 heads: revision "b" (migrations/versions/b.py) and '
            'revision "c" (migrations/versions/c.py). Two branches of development have each added '
            "a revision. Join them by: alembic merge heads, or flask db merge heads; or let one "
            "come after the other by its down_revision.",
        )

    def test_missing_file(self) -> None:
        """A file that comes after one that is not there."""
        self.migrations.table("c", "lost")
        self.assertEqual(
            self.enter(self.file()),
            'migrations/versions/c.py comes after revision "lost", and no file of migrations in '
            '"migrations" has that id. The file was removed, or is still on another branch. Get it '
            "back, or correct down_revision.",
        )

    def test_one_id_twice(self) -> None:
        """Two files with one id, of which Alembic would use either."""
        self.migrations.table("b", "a", name="copy")
        self.assertEqual(
            self.enter(self.file()),
            'two files have the revision id "b": migrations/versions/b.py and '
            "migrations/versions/copy.py. Alembic would use one of them and never run the other. "
            "Give one a new id, and let its down_revision name what comes before it.",
        )

    def test_broken_file(self) -> None:
        """A file with a syntax error, and one that fails when it is imported."""
        path = Path(self.migrations.path, "versions", "c.py")
        path.write_text("revision = \n")
        self.assertEqual(
            self.enter(self.file()),
            "cannot read migrations/versions/c.py, line 1: invalid syntax. Correct that line.",
        )
        path.write_text("import nothing_of_this_name\n")
        self.assertEqual(
            self.enter(self.file()),
            'migrations in "migrations" cannot be read: ModuleNotFoundError: No module named '
            "'nothing_of_this_name'. Correct the revision file that the traceback shows.",
        )
        path.rename(path.with_name("helper.py")).write_text("HELPER = 1\n")
        self.assertEqual(
            self.enter(self.file()),
            'migrations in "migrations" cannot be read: CommandError: Could not determine revision '
            "id from filename helper.py. Be sure the 'revision' variable is declared inside the "
            "script (please see 'Upgrading from Alembic 0.1 to 0.2' in the documentation). Correct "
            "the revision file that the traceback shows.",
        )

    def test_half_applied_now(self) -> None:
        """A revision that fails after a part of it was committed."""
        self.migrations.revision(
            "c",
            "b",
            """\
            with op.get_context().autocommit_block():
                op.create_table("part", sa.Column("id", sa.Integer))
            op.execute("INSERT INTO nowhere VALUES (1)")
            """,
        )
        for engine, reason in (
            (self.postgresql(), 'relation "nowhere" does not exist'),
            (self.file(), "no such table: nowhere"),
        ):
            with self.subTest(engine.dialect.name):
                self.assertEqual(
                    self.enter(engine),
                    'revision "c" (migrations/versions/c.py) is half applied now: upgrade() failed '
                    'after a part of it was committed (table "part"), and the database stands at '
                    f'"b". The error was: {reason} (the statement was: INSERT INTO nowhere VALUES '
                    "(1)). Commits come from autocommit_block(), a COMMIT in the migration, or "
                    "SQLite, where DDL is in no transaction. Put each such step in a revision of "
                    "its own.",
                )

    def test_half_applied_batch(self) -> None:
        """A batch operation of SQLite that fails leaves the table that it copies into."""
        self.migrations.revision("c", "b", 'op.execute("INSERT INTO t_b VALUES (1)")')
        self.migrations.revision(
            "d",
            "c",
            """\
            with op.batch_alter_table("t_b", recreate="always") as batch:
                batch.create_check_constraint("large", "id > 7")
            """,
        )
        text = self.enter(self.file())
        self.assertTrue(
            text.startswith(
                'revision "d" (migrations/versions/d.py) is half applied now: upgrade() failed '
                'after a part of it was committed (table "_alembic_tmp_t_b"), and the database '
                'stands at "c". The error was: CHECK constraint failed: large'
            ),
            text,
        )

    def test_half_applied_before(self) -> None:
        """A revision of which a part is there already."""
        for engine, reason in (
            (self.postgresql(), 'relation "t_a" already exists'),
            (self.file(), "table t_a already exists"),
        ):
            with self.subTest(engine.dialect.name):
                with engine.begin() as connection:
                    connection.exec_driver_sql("CREATE TABLE t_a (id INTEGER)")
                text = self.enter(engine)
                self.assertRegex(
                    text,
                    r'^revision "a" \(migrations/versions/a.py\) was half applied before: '
                    rf"{reason} \(the statement was: CREATE TABLE t_a \(.*\)\), although the "
                    r"database stands at base, before it\.",
                )
                self.assertTrue(
                    text.endswith(
                        ", before it. An earlier run of it failed after a part was committed, or "
                        "create_all() has made it. Drop what is there and run it again; where all "
                        "of the revision is there, use: alembic stamp"
                    ),
                    text,
                )

    def test_lost_connection(self) -> None:
        """A server that ends the connection in the middle of a migration."""
        self.migrations.revision(
            "c", "b", 'op.execute("SELECT pg_terminate_backend(pg_backend_pid())")'
        )
        engine = self.postgresql()
        text = self.enter(engine)
        self.assertIn('revision "c" (migrations/versions/c.py) failed in upgrade(): ', text)
        self.assertTrue(text.endswith("The database stands at base. Correct it and run it again."))

    def test_failed_and_rolled_back(self) -> None:
        """A revision that fails and leaves nothing, where the database undoes it."""
        self.migrations.revision(
            "c", "b", 'op.create_table("part", sa.Column("id", sa.Integer)); 1 / 0'
        )
        engine = self.postgresql()
        self.assertEqual(
            self.enter(engine),
            'revision "c" (migrations/versions/c.py) failed in upgrade(): ZeroDivisionError: '
            "division by zero. The database stands at base. Correct it and run it again.",
        )
        self.assertEqual(tables_in(engine.url), set())

    def test_what_was_applied_is_undone(self) -> None:
        """Revisions that were committed before another failed are taken back."""
        self.migrations.revision("c", "b", "1 / 0")
        engine = self.file()
        self.assertIn("failed in upgrade(): ZeroDivisionError", self.enter(engine))
        self.assertEqual(tables_in(engine.url), {"alembic_version"})

    def test_downgrade_raises(self) -> None:
        """A downgrade that says that there is none."""
        self.migrations.revision("c", "b", back="raise NotImplementedError")
        self.assertEqual(
            self.leave(self.file()),
            'revision "c" (migrations/versions/c.py) has no downgrade: its downgrade() raised '
            "NotImplementedError, so nothing before it can be reached again. Write what undoes "
            "upgrade(), or do without going down past it.",
        )

    def test_downgrade_does_nothing(self) -> None:
        """A downgrade that leaves what the upgrade has made: a table, a type, a function."""
        self.migrations.revision(
            "c",
            "b",
            """\
            op.execute("CREATE TYPE mood AS ENUM ('good')")
            op.execute("CREATE FUNCTION f(integer) RETURNS integer LANGUAGE sql AS 'SELECT 1'")
            op.execute("CREATE VIEW v AS SELECT 1")
            op.execute('CREATE SCHEMA "other one" CREATE TABLE "t b" (id serial)')
            """,
        )
        self.assertEqual(
            self.leave(self.postgresql()),
            'the downgrade to "base" with migrations in "migrations" does not undo the upgrade: it '
            'leaves function "f(integer)", schema "other one", table "other one.t b", type "mood", '
            'view "v". A downgrade() of one of the revisions is incomplete; test_each_revision of '
            "MigrationTestCase tells which.",
        )

    def test_downgrade_drops_too_much(self) -> None:
        """A downgrade that drops what was there before."""
        self.migrations.revision("c", "b", back='op.execute("DROP TABLE mine")')
        engine = self.file()
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE mine (id INTEGER)")
        self.assertIn(
            'does not undo the upgrade: it does not bring back table "mine". A', self.leave(engine)
        )

    def test_failing_downgrade_after_a_failing_body(self) -> None:
        """Both errors are told."""
        self.migrations.revision("c", "b", back="raise NotImplementedError")
        with self.assertRaises(MigrationError) as caught, migrated(self.file(), "migrations"):
            raise ValueError("of the body")
        self.assertIsInstance(caught.exception.__context__, NotImplementedError)
        chain, links = caught.exception, []
        while chain is not None:
            links.append(type(chain).__name__)
            chain = chain.__context__  # type: ignore[assignment]
        self.assertIn("ValueError", links)

    def test_another_directory(self) -> None:
        """Migrations of another program than the one that has made the database."""
        other = self.folder / "other"
        other.mkdir()
        Migrations(other).chain("x")
        engine = self.file()
        with migrated(engine, "migrations"):
            text = self.text_of(migrated(engine, other / "migrations").__enter__)
        self.assertIn('stands at revision "b", and no file of migrations in', text)


def load_tests(
    loader: unittest.TestLoader, tests: unittest.TestSuite, pattern: str | None
) -> unittest.TestSuite:
    """Run the examples in the docstrings, too."""
    tests.addTests(Doctests.of(dbtestcase.migrations.around))
    return tests


if __name__ == "__main__":
    unittest.main()

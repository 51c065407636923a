"""AlembicSchema, and the texts of migrations."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import alembic.config
import sqlalchemy as sa

import dbtestcase.migrations.schema
from dbtestcase import AlembicSchema, MigrationError
from dbtestcase.databases import databases_on
from dbtestcase.schemas import Schema
from dbtestcase.settings import choose, slug

from .migrating import Doctests, Migrations, MigrationsTest
from .texts import unexplained, untested, unused

VERSION = "postgresql 18.1"
ROOT = Path(__file__).parents[1]

SUITE = """
    import pathlib
    from dbtestcase import AlembicSchema, DatabaseTestCase

    class ATest(DatabaseTestCase):
        schema = AlembicSchema("migrations")

        def test(self):
            with self.engine.connect() as connection:
                print(connection.exec_driver_sql("SELECT * FROM alembic_version").scalar())
"""


class TestAlembicSchema(MigrationsTest):
    databases: ClassVar[Any] = ("postgresql", "postgresql+psycopg", "sqlite")

    def logged(self, revision: str = "a") -> Path:
        """Write a revision that notes each of its upgrades in a file."""
        log = self.folder / "log"
        self.migrations.revision(
            revision, None, f"with open({str(log)!r}, 'a') as log: log.write('up ')"
        )
        return log

    def ours(self) -> list[tuple[str, str]]:
        """Give the name and the state of each database of the project."""
        project = slug(self.project.name)
        return sorted(
            (name, mark.state)
            for name, mark, _ in databases_on(choose("postgresql"))
            if mark.project == project
        )

    # -- what it builds -------------------------------------------------------------------------

    def test_is_a_schema(self) -> None:
        """It is what the rest of the library asks for."""
        self.assertIsInstance(AlembicSchema("migrations"), Schema)

    def test_build(self) -> None:
        """A class finds what the migrations make, with Alembic's env.py unchanged."""
        self.migrations.chain("a", "b", "c")
        for database in self.databases:
            with self.subTest(database):
                found = self.tables(schema=AlembicSchema("migrations"), database=database)
                self.assertEqual(found, {"alembic_version", "t_a", "t_b", "t_c"})

    def test_target(self) -> None:
        """It stops at the revision that is asked for."""
        self.migrations.chain("a", "b", "c")
        for database in self.databases:
            for target, expected in {
                "b": {"alembic_version", "t_a", "t_b"},
                "+1": {"alembic_version", "t_a"},
                "base": set(),
                "head": {"alembic_version", "t_a", "t_b", "t_c"},
            }.items():
                with self.subTest(database, target=target):
                    schema = AlembicSchema("alembic.ini", target)
                    self.assertEqual(self.tables(schema=schema, database=database), expected)

    def test_branches(self) -> None:
        """Branches, merges, several bases and dependencies are brought to all their heads."""
        self.migrations.chain("a", "b")
        self.migrations.table("c", "a")
        self.migrations.table("m", ("b", "c"))
        self.migrations.table("other", None, head='branch_labels = ("side",)\ndepends_on = "b"\n')
        for database in self.databases:
            with self.subTest(database):
                self.assertEqual(
                    self.tables(schema=AlembicSchema("migrations"), database=database),
                    {"alembic_version", "t_a", "t_b", "t_c", "t_m", "t_other"},
                )
        self.assertEqual(
            self.tables(schema=AlembicSchema("migrations", "side@head"), database="sqlite"),
            {"alembic_version", "t_a", "t_b", "t_other"},
        )

    def test_autocommit(self) -> None:
        """On a database that we made, what wants no transaction gets none."""
        self.migrations.revision(
            "a",
            None,
            """\
            from sqlalchemy.dialects.postgresql import ENUM
            op.execute("CREATE TYPE mood AS ENUM ('good')")
            op.create_table("t", sa.Column("mood", ENUM("good", name="mood", create_type=False)))
            with op.get_context().autocommit_block():
                op.execute("ALTER TYPE mood ADD VALUE 'soso'")
                op.create_index("ix", "t", ["mood"], postgresql_concurrently=True)
            op.execute("INSERT INTO t VALUES ('soso')")
            """,
        )
        for database in ("postgresql", "postgresql+psycopg"):
            with self.subTest(database):
                found = self.tables(schema=AlembicSchema("migrations"), database=database)
                self.assertEqual(found, {"alembic_version", "t"})

    def test_autocommit_is_forgotten(self) -> None:
        """What cannot run in Alembic's transaction is told so, and what to write."""
        self.migrations.table("a")
        self.migrations.revision("b", "a", 'op.execute("CREATE INDEX CONCURRENTLY i ON t_a (id)")')
        self.assertEqual(
            self.error_of(schema=AlembicSchema("migrations")),
            'revision "b" (migrations/versions/b.py) failed in upgrade(): CREATE INDEX '
            "CONCURRENTLY cannot run inside a transaction block (the statement was: CREATE INDEX "
            "CONCURRENTLY i ON t_a (id)). Alembic runs it in a transaction. Put what wants none, "
            "or must be committed before it is used, into: with "
            "op.get_context().autocommit_block()",
        )

    def test_made_twice(self) -> None:
        """In a database that was empty, what is there already was made by the migrations."""
        self.migrations.revision(
            "a",
            None,
            """\
            mood = sa.Enum("good", name="mood")
            mood.create(op.get_bind())
            op.create_table("t", sa.Column("mood", mood))
            """,
        )
        self.assertEqual(
            self.error_of(schema=AlembicSchema("migrations")),
            'revision "a" (migrations/versions/a.py) failed in upgrade(): type "mood" already '
            "exists (the statement was: CREATE TYPE mood AS ENUM ('good')), although the database "
            "was empty at first. It makes it twice, as create_table() makes the types of its "
            "columns by itself; or an earlier revision has made it, or the program, when it was "
            "imported: create_all(). Make it in one place only.",
        )

    def test_commit_in_a_migration(self) -> None:
        """A migration that commits by itself, in SQL, does so in the database that is built."""
        self.migrations.table("a")
        self.migrations.revision("b", "a", 'op.execute("COMMIT"); op.execute("CREATE TABLE u ()")')
        found = self.tables(schema=AlembicSchema("migrations"))
        self.assertEqual(found, {"alembic_version", "t_a", "u"})

    def test_batch_mode(self) -> None:
        """SQLite's tables are rebuilt by batch operations, rows and all."""
        self.migrations.table("a")
        self.migrations.revision(
            "b",
            "a",
            """\
            op.execute("INSERT INTO t_a VALUES (7)")
            with op.batch_alter_table("t_a", recreate="always") as batch:
                batch.add_column(sa.Column("name", sa.Text, server_default="x"))
                batch.alter_column("id", new_column_name="number")
            """,
        )
        rows = []
        report = self.run_case(
            lambda case: rows.extend(
                case.session.connection().exec_driver_sql("SELECT number, name FROM t_a").all()
            ),
            schema=AlembicSchema("migrations"),
            database="sqlite",
        )
        self.assertEqual(report.messages, [])
        self.assertEqual(rows, [(7, "x")])

    def test_several_binds(self) -> None:
        """Each bind may have migrations of its own."""
        self.migrations.chain("a")
        (self.folder / "audit").mkdir()
        Migrations(self.folder / "audit").chain("x")

        def create_engine(cls: Any) -> Any:
            urls = {None: cls.database_url, "audit": cls.database_urls["audit"]}
            return {key: sa.create_engine(url) for key, url in urls.items()}

        def test(case: Any) -> None:
            for key, table in ((None, "t_a"), ("audit", "t_x")):
                names = sa.inspect(case.engines[key]).get_table_names()
                case.assertEqual(names, ["alembic_version", table])

        schema = {None: AlembicSchema("migrations"), "audit": AlembicSchema("audit/migrations")}
        for database in self.databases:
            with self.subTest(database):
                report = self.run_case(
                    test,
                    schema=schema,
                    database=database,
                    create_engine=classmethod(create_engine),
                )
                self.assertEqual(report.messages, [])

    def test_quotes_in_names(self) -> None:
        """Quotes, spaces and per cent signs in names do no harm."""
        folder = self.folder / 'it\'s "mine"'
        folder.mkdir()
        migrations = Migrations(folder)
        migrations.revision(
            'a "1"',
            None,
            """op.create_table('say "hi"; 100%', sa.Column('a"b %s', sa.Integer))""",
            name="quoted",
        )
        for database in self.databases:
            with self.subTest(database):
                schema = AlembicSchema(folder / "migrations")
                self.assertEqual(
                    self.tables(schema=schema, database=database),
                    {"alembic_version", 'say "hi"; 100%'},
                )

    def test_layouts(self) -> None:
        """The directory, the ini and pyproject.toml all lead to the same place."""
        self.migrations.chain("a")
        elsewhere = self.folder / "elsewhere"
        elsewhere.mkdir()
        (self.folder / "pyproject.toml").write_text(
            '[tool.alembic]\nscript_location = "%(here)s/migrations"\n'
        )
        (self.folder / "custom.ini").write_text(
            "[alembic]\nscript_location = %(here)s/migrations\n"
            f"version_locations = {elsewhere}\npath_separator = os\n"
        )
        (elsewhere / "z.py").write_text(
            (self.migrations.path / "versions" / "a.py").read_text().replace("t_a", "t_z")
        )
        apart = self.folder / "apart"
        apart.mkdir()
        with contextlib.chdir(apart), contextlib.redirect_stdout(io.StringIO()):
            alembic.config.main(["init", "--template", "pyproject", "migrations"])
        a = self.migrations.path / "versions" / "a.py"
        (apart / "migrations" / "versions" / "a.py").write_text(a.read_text().replace("t_a", "t_p"))
        for given, table in {
            "apart/migrations": "t_p",
            "apart/alembic.ini": "t_p",
            "apart/pyproject.toml": "t_p",
            "apart": "t_p",
            "migrations": "t_a",
            "alembic.ini": "t_a",
            "pyproject.toml": "t_a",
            str(self.folder): "t_a",
            "custom.ini": "t_z",
        }.items():
            with self.subTest(given):
                found = self.tables(schema=AlembicSchema(given), database="sqlite")
                self.assertEqual(found, {"alembic_version", table})

    # -- once -----------------------------------------------------------------------------------

    def test_upgrade_is_paid_once(self) -> None:
        """Further classes get copies, and so does the next run."""
        log = self.logged()
        for _ in range(3):
            self.tables(schema=AlembicSchema("migrations"))
        self.assertEqual(log.read_text(), "up ")
        (self.folder / "test_it.py").write_text(SUITE.replace("\n    ", "\n"))
        code, output = self.project.run("unittest", "-q", DBTESTCASE_DATABASE="postgresql")
        self.assertEqual((code, output.splitlines()[0]), (0, "a"), output)
        self.assertEqual(log.read_text(), "up ")

    def test_processes_in_parallel(self) -> None:
        """Several processes that want the same template build it once."""
        log = self.logged()
        self.migrations.revision("b", "a", "import time; time.sleep(0.5)")
        (self.folder / "test_it.py").write_text(SUITE.replace("\n    ", "\n"))
        runs = [
            self.project.start("unittest", "-q", DBTESTCASE_DATABASE="postgresql") for _ in range(3)
        ]
        for each in runs:
            output, _ = each.communicate(timeout=120)
            self.assertEqual(each.returncode, 0, output)
        self.assertEqual(log.read_text(), "up ")

    def test_next_run_on_sqlite(self) -> None:
        """What was made in memory is kept in a file: for the next run, and no older state of it."""
        cache = self.folder / "cache"
        self.enterContext(mock.patch.dict(os.environ, DBTESTCASE_CACHE_DIR=str(cache)))
        log = self.logged()
        (self.folder / "test_it.py").write_text(SUITE.replace("\n    ", "\n"))
        variables = {"DBTESTCASE_DATABASE": "sqlite"}
        for _ in range(2):
            code, output = self.project.run("unittest", "-q", **variables)
            self.assertEqual((code, output.splitlines()[0]), (0, "a"), output)
        self.assertEqual(log.read_text(), "up ")
        [kept] = cache.rglob("*.db")
        self.assertEqual(kept.stat().st_mode & 0o077, 0)
        self.migrations.revision("b", "a")
        code, output = self.project.run("unittest", "-q", **variables)
        self.assertEqual((code, output.splitlines()[0]), (0, "b"), output)
        [newer] = cache.rglob("*.db")
        self.assertNotEqual(newer, kept)
        # a damaged one is of no harm
        newer.write_bytes(newer.read_bytes()[:100] + b"x" * 5000)
        code, output = self.project.run("unittest", "-q", **variables)
        self.assertEqual((code, output.splitlines()[0]), (0, "b"), output)
        self.assertEqual(log.read_text(), "up up up ")
        code, output = self.project.run("dbtestcase", "clean", "--all", **variables)
        self.assertEqual((code, output), (0, f"dropped {newer.name}\n"))
        self.assertEqual(list(cache.rglob("*.db")), [])

    def test_edited_migration(self) -> None:
        """A change is noticed; the old template goes, and no second database is made."""
        self.migrations.chain("a", "b")
        self.tables(schema=AlembicSchema("migrations"))
        before = self.ours()
        self.migrations.table("c", "b")
        found = self.tables(schema=AlembicSchema("migrations"))
        self.assertEqual(found, {"alembic_version", "t_a", "t_b", "t_c"})
        after = self.ours()
        self.assertEqual([state for _, state in before], ["in use", "template"])
        self.assertEqual([state for _, state in after], ["in use", "template"])
        self.assertEqual(before[0], after[0])
        self.assertNotEqual(before[1], after[1])

    def test_edited_between_two_runs(self) -> None:
        """So it is from one process to the next: each builds once, and one template is left."""
        log = self.logged()
        path = self.migrations.path / "versions" / "a.py"
        (self.folder / "test_it.py").write_text(SUITE.replace("\n    ", "\n"))
        templates = []
        for text in (path.read_text(), path.read_text().replace("up ", "UP ")):
            path.write_text(text)
            for _ in range(2):
                code, output = self.project.run("unittest", "-q", DBTESTCASE_DATABASE="postgresql")
                self.assertEqual((code, output.splitlines()[0]), (0, "a"), output)
            database, template = self.ours()
            self.assertEqual((database[1], template[1]), ("ready", "template"))
            templates.append(template)
        self.assertEqual(log.read_text(), "up UP ")
        self.assertNotEqual(*templates)

    def test_another_target_keeps_its_template(self) -> None:
        """Templates of other targets are no older states, and stay."""
        self.migrations.chain("a", "b")
        for target in ("a", "b"):
            self.tables(schema=AlembicSchema("migrations", target))
        self.assertEqual([state for _, state in self.ours()].count("template"), 2)

    # -- the fingerprint ------------------------------------------------------------------------

    def test_fingerprint(self) -> None:
        """Every file that may change the outcome counts, as do target and versions."""
        self.migrations.chain("a")
        extra = self.folder / "countries.sql"
        extra.write_text("SELECT 1")

        def fingerprint(target: str = "heads", version: str = VERSION) -> str:
            return AlembicSchema("migrations", target, [extra]).fingerprint(version)

        first = fingerprint()
        self.assertRegex(first, "^[0-9a-f]{16}$")
        self.assertEqual(fingerprint(), first)
        self.assertNotEqual(fingerprint(target="a"), first)
        self.assertNotEqual(fingerprint(version="sqlite 3.45"), first)
        self.assertNotEqual(AlembicSchema("migrations").fingerprint(VERSION), first)
        versions = self.migrations.path / "versions"
        for path in (
            versions / "a.py",
            self.migrations.path / "env.py",
            self.migrations.ini,
            extra,
        ):
            with self.subTest(path.name):
                text = path.read_text()
                path.write_text(text + "# more\n")
                self.assertNotEqual(fingerprint(), first)
                path.write_text(text)
                self.assertEqual(fingerprint(), first)
        (versions / "__pycache__").mkdir(exist_ok=True)
        (versions / "__pycache__" / "a.pyc").write_text("x")
        (versions / ".a.py.swp").write_text("x")
        self.assertEqual(fingerprint(), first)
        (self.migrations.path / "views.sql").write_text("x")
        self.assertNotEqual(fingerprint(), first)

    def test_fingerprint_of_one_schema(self) -> None:
        """A schema that lives on notices changes of the same length, too."""
        path = self.migrations.table("a")
        schema = AlembicSchema("migrations")
        before = schema.fingerprint(VERSION)
        path.write_text(path.read_text().replace("t_a", "t_b"))
        self.assertNotEqual(schema.fingerprint(VERSION), before)

    def test_fingerprint_of_extra_directory(self) -> None:
        """A directory stands for all files in it; where it lies does not matter."""
        found = set()
        for name in ("one", "two"):
            package = self.folder / name
            package.mkdir()
            (package / "models.py").write_text("x = 1")
            found.add(AlembicSchema("migrations", extra_files=[package]).fingerprint(VERSION))
        self.assertEqual(len(found), 1)
        (package / "models.py").write_text("x = 2")
        found.add(AlembicSchema("migrations", extra_files=[package]).fingerprint(VERSION))
        self.assertEqual(len(found), 2)

    def test_fingerprint_imports_no_alembic(self) -> None:
        """A run that finds its database built does not wait for Alembic's import."""
        self.migrations.chain("a")
        code = (
            "import sys; from dbtestcase import AlembicSchema;"
            "AlembicSchema('migrations').fingerprint('x'); print('alembic' in sys.modules)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
        self.assertEqual(done.stdout, "False\n")

    # -- what is wrong with the files -----------------------------------------------------------

    def test_missing_files(self) -> None:
        """What is not there is named, and where it was looked for."""
        (self.folder / "empty").mkdir()
        (self.folder / "odd").mkdir()
        (self.folder / "odd" / "pyproject.toml").write_text(
            '[tool.alembic]\nscript_location = "100 % odd"\n'
        )
        (self.folder / "bare.ini").write_text("[alembic]\n")
        (self.folder / "broken.ini").write_text("script_location = x\n")
        start = f"relative paths start at the working directory, {self.folder}."
        for schema, message in (
            (
                AlembicSchema("nowhere"),
                'there is no "nowhere" with migrations. Give the directory of env.py or the path '
                f"of alembic.ini; {start}",
            ),
            (
                AlembicSchema("empty"),
                'there is no env.py in "empty". Give the directory of env.py or the path of '
                'alembic.ini; "alembic init" and "flask db init" make both.',
            ),
            (
                AlembicSchema("bare.ini"),
                '"bare.ini" has no script_location in its section [alembic]. Write there where '
                "env.py is: script_location = migrations",
            ),
            (
                AlembicSchema("broken.ini"),
                f"cannot read {self.folder}/broken.ini: File contains no section headers. file: "
                f"'{self.folder}/broken.ini', line: 1 'script_location = x\\n'. Correct it.",
            ),
            (
                AlembicSchema("odd"),
                f"cannot read {self.folder}/odd/pyproject.toml: %o format: an integer is required, "
                f"not dict. Correct it.",
            ),
            (
                AlembicSchema("migrations", extra_files=["data.sql"]),
                'there is no "data.sql", which extra_files of migrations in "migrations" names. '
                f"Relative paths start at the working directory, {self.folder}.",
            ),
        ):
            with self.subTest(schema.directory.given), self.assertRaises(MigrationError) as caught:
                schema.fingerprint(VERSION)
            self.assertEqual(str(caught.exception), message)

    def test_extra_files_as_text(self) -> None:
        """A single path instead of a list would be taken letter by letter."""
        with self.assertRaises(TypeError) as caught:
            AlembicSchema("migrations", extra_files="data.sql")
        self.assertEqual(
            str(caught.exception),
            "extra_files is 'data.sql', and must be a list of paths: extra_files=['data.sql']",
        )

    def test_alembic_is_not_installed(self) -> None:
        """Without Alembic the error says which extra has it."""
        site = Path(sa.__file__).parents[1]
        with tempfile.TemporaryDirectory() as name:
            for entry in site.iterdir():
                if not entry.name.startswith(("alembic", "__pycache__")):
                    Path(name, entry.name).symlink_to(entry)
            done = subprocess.run(
                [
                    sys.executable,
                    "-S",
                    "-c",
                    "import sqlalchemy as sa\n"
                    "from dbtestcase import AlembicSchema, MigrationTestCase, migrated\n"
                    "class ATest(MigrationTestCase):\n"
                    "    migrations = 'migrations'\n"
                    "for use in (\n"
                    "    lambda: AlembicSchema('migrations').fingerprint('x'),\n"
                    "    migrated(sa.create_engine('sqlite://'), 'migrations').__enter__,\n"
                    "    ATest.setUpClass,\n"
                    "):\n"
                    "    try: use()\n"
                    "    except Exception as error: print(type(error).__name__, error, sep=': ')",
                ],
                env={**os.environ, "PYTHONPATH": f"{ROOT}:{name}"},
                capture_output=True,
                text=True,
            )
        self.assertEqual(
            (done.stdout, done.stderr),
            (
                3
                * (
                    "MissingExtraError: migrations need the package alembic, which is not "
                    'installed. Install it with: pip install "dbtestcase[migrations]"\n'
                ),
                "",
            ),
        )


class TestMessages(unittest.TestCase):
    """The texts of migrations/messages.py, none of which is left out."""

    texts = ROOT / "dbtestcase" / "migrations" / "messages.py"

    def test_every_text_is_tested(self) -> None:
        """Each piece of each text stands in a test of migrations, word for word."""
        tests = [*Path(__file__).parent.glob("test_*migrat*.py")]
        self.assertEqual(untested(self.texts, *tests), [])

    def test_every_text_is_explained(self) -> None:
        """Whoever pastes a text into a search finds it in the FAQ."""
        self.assertEqual(unexplained(self.texts), [])

    def test_every_text_is_used(self) -> None:
        """No text is left that nobody prints."""
        self.assertEqual(unused(self.texts), [])


def load_tests(
    loader: unittest.TestLoader, tests: unittest.TestSuite, pattern: str | None
) -> unittest.TestSuite:
    """Run the examples in the docstrings, too."""
    tests.addTests(Doctests.of(dbtestcase.migrations.schema))
    return tests


if __name__ == "__main__":
    unittest.main()

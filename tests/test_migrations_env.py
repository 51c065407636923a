"""What an env.py may do: Alembic's and Flask-Migrate's own, and those that go their own ways."""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import threading
import unittest
from types import ModuleType
from typing import Any
from unittest import mock

import sqlalchemy as sa
from flask import Flask
from flask_migrate import Migrate, upgrade
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.engine import Engine

from dbtestcase import AlembicSchema, AppError, MigrationError, MigrationTestCase, migrated
from dbtestcase.databases import databases_on, lease
from dbtestcase.engines import leading_to
from dbtestcase.settings import choose, slug

from .migrating import Migrations, MigrationsTest, tables_in

CONNECTION = """
    from alembic import context

    def run(connection):
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()

    run(context.config.attributes["connection"])
"""

OWN_ENGINE = """
    import sqlalchemy as sa
    from alembic import context

    with sa.create_engine({url!r}).connect() as connection:
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()
"""


class EnvTest(MigrationsTest):
    def setUp(self) -> None:
        super().setUp()
        self.migrations.chain("a", "b")

    def assert_builds(self, *databases: str, **attributes: Any) -> None:
        for database in databases or ("postgresql", "sqlite"):
            with self.subTest(database):
                found = self.tables(
                    schema=AlembicSchema("migrations"), database=database, **attributes
                )
                self.assertEqual(found, {"alembic_version", "t_a", "t_b"})


class TestEngines(EnvTest):
    def test_given_connection(self) -> None:
        """An env.py that uses config.attributes["connection"] works, with both drivers."""
        self.migrations.env(CONNECTION)
        self.assert_builds("postgresql", "postgresql+psycopg", "sqlite")

    def test_given_connection_without_a_transaction(self) -> None:
        """Where the caller is to commit, as in Alembic's recipe, that is done."""
        self.migrations.env(
            """
            from alembic import context
            connection = context.config.attributes["connection"]
            connection.exec_driver_sql("SELECT 1")  # so that Alembic leaves the commit to others
            context.configure(connection=connection)
            with context.begin_transaction():
                context.run_migrations()
            """
        )
        self.assert_builds()

    def test_engine_with_an_url_of_its_own(self) -> None:
        """An engine to another database is led to the one that is built, and contacts nothing."""
        self.migrations.env(OWN_ENGINE.format(url="postgresql+psycopg2://shop@db.invalid/shop"))
        self.assert_builds("postgresql")
        self.migrations.env(OWN_ENGINE.format(url="sqlite:///elsewhere.db"))
        self.assert_builds("sqlite")
        self.assertFalse((self.folder / "elsewhere.db").exists())

    def test_engine_of_another_driver(self) -> None:
        """env.py may use another driver than the tests: what it builds is the same."""
        self.migrations.env(OWN_ENGINE.format(url="postgresql+psycopg://shop@db.invalid/shop"))
        self.assert_builds("postgresql")
        self.migrations.env(OWN_ENGINE.format(url="postgresql+psycopg2://shop@db.invalid/shop"))
        self.assert_builds("postgresql+psycopg")

    def test_engine_with_a_creator(self) -> None:
        """An engine with creator= is led as well; its creator is not called."""
        self.migrations.env(
            OWN_ENGINE.replace("{url!r}", '"postgresql+psycopg2://", creator=lambda: 1 / 0')
        )
        self.assert_builds("postgresql")

    def test_options_of_the_engine(self) -> None:
        """connect_args of env.py's engine hold, but for where it would have gone."""
        self.migrations.env(
            OWN_ENGINE.replace(
                "{url!r}",
                '"postgresql+psycopg2://shop@db.invalid/shop",'
                'connect_args={"options": "-c application_name=moved", "sslmode": "require"}',
            )
        )
        self.migrations.revision(
            "c",
            "b",
            """\
            found = op.get_bind().exec_driver_sql("SHOW application_name").scalar()
            assert found == "moved", found
            """,
        )
        self.assert_builds("postgresql")

    def test_version_table(self) -> None:
        """Alembic's table may have another name, and lie in another schema."""
        self.migrations.edit_env(
            "connection=connection, target_metadata=target_metadata",
            "connection=connection, target_metadata=target_metadata, "
            'version_table="version", transaction_per_migration=True, '
            'version_table_schema=None if connection.dialect.name == "sqlite" else "other one"',
        )
        self.migrations.edit_env(
            "        context.configure(\n            connection=",
            "        if connection.dialect.name == 'postgresql':\n"
            "            connection.exec_driver_sql('CREATE SCHEMA IF NOT EXISTS \"other one\"')\n"
            "            connection.commit()\n"
            "        context.configure(\n            connection=",
        )
        for database, own in (("postgresql", set()), ("sqlite", {"version"})):
            with self.subTest(database):
                found = self.tables(schema=AlembicSchema("migrations"), database=database)
                self.assertEqual(found, {"t_a", "t_b", *own})
        engine = sa.create_engine(f"sqlite:///{self.folder}/own.db")
        self.addCleanup(engine.dispose)
        with migrated(engine, "migrations"):
            self.assertEqual(tables_in(engine.url), {"t_a", "t_b", "version"})
        self.assertEqual(tables_in(engine.url), {"version"})
        report = self.run_case(
            base=MigrationTestCase, migrations="migrations", test_models_match=None
        )
        self.assertEqual(report.messages, [])

    def test_commit_of_the_connection(self) -> None:
        """A migration that ends Alembic's own transaction is told so, and by its name."""
        self.migrations.revision("c", "b", "op.get_bind().commit()")
        self.assertEqual(
            self.error_of(schema=AlembicSchema("migrations")),
            'revision "c" (migrations/versions/c.py) has ended the transaction that Alembic had '
            "begun, so what it did after that, and that it was run, was not committed: the "
            'database stands at "b" and is half applied. Let the migration not call commit() or '
            "rollback() of op.get_bind(); what must be committed at once goes into: with "
            "op.get_context().autocommit_block()",
        )

    def test_engine_of_another_kind(self) -> None:
        """An engine of another kind cannot be led, and is refused before it connects."""
        self.migrations.env(OWN_ENGINE.format(url="postgresql+psycopg2://shop@db.invalid/shop"))
        report = self.run_case(schema=AlembicSchema("migrations"), database="sqlite")
        self.assertEqual(
            report.messages,
            [
                "UnsafeDatabaseError: refusing to connect Engine(postgresql+psycopg2://"
                "shop@db.invalid/shop) while migrations run: it speaks postgresql, but the "
                "database that is migrated is sqlite, and an engine can only be redirected to a "
                "database of its own kind. Let env.py take its URL from config.get_main_option("
                '"sqlalchemy.url"), which is the right one then; a database that is only read goes '
                "into let_through."
            ],
        )

    def test_let_through(self) -> None:
        """A database that the class lets through is read as it is."""
        other = self.folder / "countries.db"
        with sa.create_engine(f"sqlite:///{other}").begin() as connection:
            connection.exec_driver_sql("CREATE TABLE country (name TEXT)")
        self.migrations.revision(
            "c",
            "b",
            f"""\
            with sa.create_engine("sqlite:///{other}").connect() as other:
                assert sa.inspect(other).has_table("country")
            """,
        )
        self.assert_builds(let_through=("countries",))

    def test_async_engine(self) -> None:
        """Alembic's template for async engines gets an error of SQLAlchemy's own, with env.py."""
        self.migrations = Migrations(self.folder / "other", template="async")
        self.migrations.chain("a")
        text = self.error_of(schema=AlembicSchema(self.folder / "other" / "migrations"))
        self.assertIn(
            "other/migrations/env.py raised InvalidRequestError: The asyncio extension requires an "
            "async driver to be used.",
            text,
        )
        self.assertTrue(
            text.endswith(
                "No migration has failed; correct env.py or what it imports. An env.py for async "
                'engines uses config.attributes.get("connection") where that is given.'
            ),
            text,
        )
        # as README says
        self.migrations.edit_env(
            "    asyncio.run(run_async_migrations())\n",
            '    connection = config.attributes.get("connection")\n'
            "    if connection is None:\n"
            "        asyncio.run(run_async_migrations())\n"
            "    else:\n"
            "        do_run_migrations(connection)\n",
        )
        for database in ("postgresql", "postgresql+psycopg", "sqlite"):
            found = self.tables(
                schema=AlembicSchema(self.folder / "other" / "migrations"), database=database
            )
            self.assertEqual(found, {"alembic_version", "t_a"})

    def test_other_threads(self) -> None:
        """An engine that a thread of the program connects meanwhile is left alone."""
        other = sa.create_engine(f"sqlite:///{self.folder}/own.db")
        target = sa.create_engine(f"sqlite:///{self.folder}/target.db")
        self.addCleanup(other.dispose)
        self.addCleanup(target.dispose)

        def work() -> None:
            with other.begin() as connection:
                connection.exec_driver_sql("CREATE TABLE mine (id INTEGER)")

        def work_in_a_thread() -> None:
            begun.wait()
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()

        begun = threading.Event()
        program = threading.Thread(target=work_in_a_thread)
        program.start()
        with leading_to(target):
            begun.set()
            program.join()
            with other.connect() as connection:
                self.assertFalse(sa.inspect(connection).has_table("mine"))
        self.assertTrue(sa.inspect(other).has_table("mine"))

    def test_thread_of_env(self) -> None:
        """One that env.py has started belongs to it, and so does one that this one starts."""
        original = threading.Thread.start
        self.migrations.env(
            """
            from concurrent.futures import ThreadPoolExecutor
            from threading import Thread

            import sqlalchemy as sa
            from alembic import context

            def migrate():
                engine = sa.create_engine(context.config.get_main_option("sqlalchemy.url"))
                with engine.connect() as connection:
                    context.configure(connection=connection)
                    with context.begin_transaction():
                        context.run_migrations()
                engine.dispose()

            def work():
                with ThreadPoolExecutor() as pool:
                    pool.submit(migrate).result()

            thread = Thread(target=work)
            thread.start()
            thread.join()
            """
        )
        self.assert_builds()
        self.assertIs(threading.Thread.start, original)

    def test_engines_are_given_back(self) -> None:
        """Afterwards engines lead where they led, and SQLAlchemy is as it was."""
        original = Engine.raw_connection
        engine = sa.create_engine(f"sqlite:///{self.folder}/own.db")
        self.addCleanup(engine.dispose)
        module = self.module("engines", engine=engine)
        self.migrations.env(
            """
            from alembic import context
            import engines

            with engines.engine.connect() as connection:
                context.configure(connection=connection)
                with context.begin_transaction():
                    context.run_migrations()
            """
        )
        self.assert_builds("sqlite")
        self.assertIs(Engine.raw_connection, original)
        self.assertEqual(sa.inspect(module.engine).get_table_names(), [])

    def module(self, name: str, **content: Any) -> ModuleType:
        """Make a module that env.py can import."""
        module = sys.modules[name] = ModuleType(name)
        vars(module).update(content)
        self.addCleanup(sys.modules.pop, name)
        return module

    def test_data_migration_with_a_session(self) -> None:
        """A session that a migration leaves open keeps nobody from using the database."""
        self.migrations.revision(
            "c",
            "b",
            """\
            from sqlalchemy.orm import Session
            sa.session = Session(sa.create_engine("postgresql+psycopg2://shop@db.invalid/shop"))
            sa.session.execute(sa.text("SELECT 1"))
            """,
        )
        self.addCleanup(lambda: vars(sa).pop("session", None))
        self.assert_builds("postgresql")


class TestResult(EnvTest):
    """The database is asked where it stands, whatever env.py has done."""

    def error(self) -> str:
        return self.error_of(schema=AlembicSchema("migrations"), database="sqlite")

    def connection_from_before(self) -> sa.Connection:
        """Write an env.py that uses a connection which was open before it ran."""
        engine = sa.create_engine(f"sqlite:///{self.folder}/precious.db")
        self.addCleanup(engine.dispose)
        connection = self.enterContext(engine.connect())
        module = sys.modules["already"] = ModuleType("already")
        vars(module)["connection"] = connection
        self.addCleanup(sys.modules.pop, "already")
        self.migrations.env(
            """
            from alembic import context
            from already import connection

            context.configure(connection=connection)
            with context.begin_transaction():
                context.run_migrations()
            """
        )
        return connection

    def test_connection_that_was_open_before(self) -> None:
        """A connection that the program has opened at its import leads elsewhere: no migration."""
        connection = self.connection_from_before()
        refusal = (
            "refusing to migrate something else: migrations/env.py has given Alembic a connection "
            f'to SQLite file "{self.folder}/precious.db", which is not the database that is to be '
            "migrated. It was open before env.py ran, or a thread of the program has opened it. "
            "Nothing was run there. Let env.py connect while it runs, or use the connection that "
            'it is given: config.attributes.get("connection")'
        )
        self.assertEqual(self.error(), refusal)
        self.assertEqual(sa.inspect(connection).get_table_names(), [])
        engine = sa.create_engine(f"sqlite:///{self.folder}/own.db")
        self.addCleanup(engine.dispose)
        with self.assertRaises(MigrationError) as caught, migrated(engine, "migrations"):
            pass
        self.assertEqual(str(caught.exception), refusal)
        self.assertEqual(sa.inspect(connection).get_table_names(), [])

    def test_refusal_is_swallowed(self) -> None:
        """An env.py that catches the refusal hides nothing."""
        self.connection_from_before()
        text = (self.migrations.path / "env.py").read_text()
        text += "except Exception:\n    pass\n"
        start = "with context.begin_transaction():"
        self.migrations.env(
            text.replace(start, f"try:\n    {start}").replace(
                "    context.run", "        context.run"
            )
        )
        self.assertTrue(self.error().startswith("refusing to migrate something else: "))

    def test_no_commit(self) -> None:
        """An env.py that forgets the transaction leaves nothing."""
        self.migrations.env(
            """
            import sqlalchemy as sa
            from alembic import context

            engine = sa.create_engine(context.config.get_main_option("sqlalchemy.url"))
            with engine.connect() as connection:
                context.configure(connection=connection)
                context.run_migrations()
            """
        )
        self.assertEqual(
            self.error_of(schema=AlembicSchema("migrations"), database="postgresql"),
            "env.py has migrated something else: the database of the tests stands at base, and not "
            'at "b". Either migrations/env.py does not commit, or it has migrated another database '
            "of the tests. Let it run the migrations in: with context.begin_transaction(), and use "
            'the connection that it is given: config.attributes.get("connection")',
        )

    def test_no_migrations(self) -> None:
        """An env.py that runs nothing is told so."""
        self.migrations.env("from alembic import context")
        self.assertEqual(
            self.error(),
            "migrations/env.py has not run the migrations, so the database is as it was. It has "
            "ended without calling context.run_migrations(). Let it end as the env.py of alembic "
            "init does: with context.begin_transaction(): context.run_migrations()",
        )

    def test_error_is_swallowed(self) -> None:
        """So is one that catches the error of a migration."""
        self.migrations.revision("c", "b", "1 / 0")
        self.migrations.env(
            """
            from alembic import context

            context.configure(connection=context.config.attributes["connection"])
            try:
                with context.begin_transaction():
                    context.run_migrations()
            except Exception:
                pass
            """
        )
        self.assertEqual(
            self.error(),
            'revision "c" (migrations/versions/c.py) failed in upgrade(): ZeroDivisionError: '
            "division by zero. The database is thrown away. Correct it and run it again.",
        )

    def test_offline(self) -> None:
        """So is one that writes SQL instead of connecting."""
        self.migrations.edit_env("if context.is_offline_mode():", "if True:")
        self.assertEqual(
            self.error(),
            "migrations/env.py has not run the migrations, so the database is as it was. It has "
            "called context.configure() with a URL, as for offline mode, instead of a connection. "
            "Let it end as the env.py of alembic init does: with context.begin_transaction(): "
            "context.run_migrations()",
        )

    def test_several_databases(self) -> None:
        """Alembic's template for several databases would migrate the same one twice."""
        folder = self.folder / "several"
        migrations = Migrations(folder, template="multidb")
        migrations.revision("a", parameters="engine_name")
        ini = migrations.ini.read_text()
        ini = ini.replace("driver://user:pass@localhost/dbname2", "sqlite:///two.db")
        migrations.ini.write_text(
            ini.replace("driver://user:pass@localhost/dbname", "sqlite:///one.db")
        )
        self.assertEqual(
            self.error_of(schema=AlembicSchema(migrations.path), database="sqlite"),
            f"several/migrations/env.py migrates several databases in one run, SQLite file "
            f'"{self.folder}/one.db" and SQLite file "{self.folder}/two.db", and the tests can '
            f"migrate one at a time. Give each database a directory of its own, and the class a "
            f"mapping: schema = {{None: AlembicSchema(...), BIND: AlembicSchema(...)}}",
        )


class TestProcess(EnvTest):
    """What would reach beyond the tests' database does not."""

    def test_loggers(self) -> None:
        """fileConfig() neither disables the program's loggers nor closes their handlers."""
        path = self.folder / "program.log"
        logger = logging.getLogger("dbtestcase_program")
        handler = logging.FileHandler(path, mode="w")
        logger.addHandler(handler)
        self.addCleanup(handler.close)
        self.addCleanup(logger.removeHandler, handler)
        root = logging.getLogger()
        before = root.level, list(root.handlers), logging.getLogger("alembic").level
        self.assertIn("fileConfig(config.config_file_name)", self.env_text())
        for database in ("postgresql", "sqlite"):
            self.tables(schema=AlembicSchema("migrations"), database=database)
            logger.warning("after %s", database)
        self.assertFalse(logger.disabled)
        self.assertEqual(path.read_text(), "after postgresql\nafter sqlite\n")
        self.assertEqual(
            before, (root.level, list(root.handlers), logging.getLogger("alembic").level)
        )

    def env_text(self) -> str:
        return (self.migrations.path / "env.py").read_text()

    def test_import_path(self) -> None:
        """env.py and revisions import from the project's folder; sys.path is as before, then."""
        (self.folder / "of_the_project.py").write_text("NAME = 't_c'\n")
        self.addCleanup(sys.modules.pop, "of_the_project", None)
        self.migrations.revision(
            "c",
            "b",
            "from of_the_project import NAME; op.create_table(NAME, sa.Column('id', sa.Integer))",
            head="import of_the_project\n",
        )
        self.migrations.edit_env(
            "from alembic import context", "from alembic import context\nimport of_the_project"
        )
        before = list(sys.path)
        found = self.tables(schema=AlembicSchema("migrations"), database="sqlite")
        self.assertIn("t_c", found)
        self.assertEqual(sys.path, before)

    def test_loggers_by_a_helper(self) -> None:
        """Nor where a module that was imported before calls it: loggers are put back."""
        helper = self.folder / "helper_logs.py"
        helper.write_text(
            "from logging.config import fileConfig\ndef configure(path): fileConfig(path)\n"
        )
        sys.path.insert(0, str(self.folder))
        self.addCleanup(sys.path.remove, str(self.folder))
        self.addCleanup(sys.modules.pop, "helper_logs")
        __import__("helper_logs")
        self.migrations.edit_env(
            "    fileConfig(", "    import helper_logs; helper_logs.configure("
        )
        logger = logging.getLogger("dbtestcase_program_2")
        with contextlib.redirect_stderr(io.StringIO()):
            self.tables(schema=AlembicSchema("migrations"), database="sqlite")
        self.assertFalse(logger.disabled)
        self.assertNotIn("StreamHandler", str(logging.getLogger().handlers))

    def test_exit_in_env(self) -> None:
        """sys.exit() in env.py ends the build, not the run."""
        self.migrations.env("import sys\nsys.exit('no configuration')")
        self.assertEqual(
            self.error_of(schema=AlembicSchema("migrations")),
            "migrations/env.py raised SystemExit: no configuration\n"
            "No migration has failed; correct env.py or what it imports.",
        )

    def test_exit_in_a_migration(self) -> None:
        """Nor does it in a migration."""
        self.migrations.revision("c", "b", "raise SystemExit(3)")
        self.assertEqual(
            self.error_of(schema=AlembicSchema("migrations")),
            'revision "c" (migrations/versions/c.py) failed in upgrade(): SystemExit: 3. The '
            "database is thrown away. Correct it and run it again.",
        )
        self.migrations.revision("c", "b", "1 / 0")
        self.migrations.edit_env(
            "            context.run_migrations()\n\n\nif",
            "            try:\n                context.run_migrations()\n"
            "            except Exception:\n                raise SystemExit(3)\n\n\nif",
        )
        self.assertIn(
            "failed in upgrade(): SystemExit: 3 (after ZeroDivisionError: division by zero). The",
            self.error_of(schema=AlembicSchema("migrations")),
        )

    def test_ctrl_c(self) -> None:
        """Ctrl-C in a migration ends the run, and leaves no half-built database."""
        path = self.migrations.revision("c", "b", "raise KeyboardInterrupt")
        original = Engine.raw_connection
        with self.assertRaises(KeyboardInterrupt):
            lease(choose("postgresql")).prepare(AlembicSchema("migrations"))
        self.assertIs(Engine.raw_connection, original)
        project = slug(self.project.name)
        left = [
            (name, mark.state)
            for name, mark, _ in databases_on(choose("postgresql"))
            if mark.project == project
        ]
        self.assertEqual([state for _, state in left if state != "in use"], [])
        path.unlink()
        self.assert_builds("postgresql")


class TestFlaskMigrate(EnvTest):
    """Flask-Migrate's own env.py, which reads ``current_app``."""

    template = "flask"

    def setUp(self) -> None:
        super().setUp()
        self.seen: list[Any] = []

    def app(self, cls: Any, *, seed: bool = False, upgrades: bool = False) -> Flask:
        db = SQLAlchemy()
        app = Flask(__name__, root_path=str(self.folder))
        app.config["SQLALCHEMY_DATABASE_URI"] = cls.database_url
        db.init_app(app)
        migrate = Migrate(app, db, directory="migrations")

        @migrate.configure  # type: ignore[untyped-decorator]
        def note(config: Any) -> Any:
            self.seen.append(config.get_main_option("script_location"))
            return config

        if upgrades:
            with app.app_context():
                upgrade()
        if seed:
            with app.app_context():
                db.session.execute(sa.text("INSERT INTO t_a VALUES (7)"))
                db.session.commit()
        return app

    def factory(self, **how: Any) -> Any:
        return classmethod(lambda cls: self.app(cls, **how))

    def test_env_unchanged(self) -> None:
        """It runs in the app's context, and is given the config of Flask-Migrate."""
        self.assert_builds(create_app=self.factory())
        self.assertEqual(set(self.seen), {str(self.migrations.path)})

    def test_other_lives_of_apps(self) -> None:
        """Without a pushed context, and with an app for each test, too."""
        self.assert_builds(create_app=self.factory(), push_app_context=False)
        self.migrations.table("c", "b")
        found = self.tables(
            schema=AlembicSchema("migrations"), create_app=self.factory(), app_scope="test"
        )
        self.assertIn("t_c", found)

    def test_app_that_seeds(self) -> None:
        """A create_app() that uses the database finds it built."""
        self.assert_builds(create_app=self.factory(seed=True))

    def test_app_that_migrates(self) -> None:
        """A create_app() that runs the migrations itself finds nothing to do, or does it."""
        # the env.py that it runs would disable the loggers of all tests
        self.enterContext(mock.patch("logging.config.fileConfig"))
        for database in ("postgresql", "sqlite"):
            for schema in (AlembicSchema("migrations"), AlembicSchema("migrations", "a"), None):
                with self.subTest(database, schema=schema):
                    found = self.tables(
                        schema=schema, create_app=self.factory(upgrades=True), database=database
                    )
                    self.assertEqual(found, {"alembic_version", "t_a", "t_b"})

    def test_no_app(self) -> None:
        """Without an app the error says that it takes one."""
        self.assertEqual(
            self.error_of(schema=AlembicSchema("migrations")),
            "migrations/env.py reads flask.current_app, and there is no app yet: it runs in the "
            "app's context, once create_app() has returned. Give the test class a create_app() "
            "that does not use the database by itself; outside of test classes write: with "
            "app.app_context()",
        )

    def test_contact_before_there_is_an_app(self) -> None:
        """So it does where create_app() connects without a context."""

        def create_app(cls: Any) -> Flask:
            sa.create_engine(cls.database_url).connect()
            return self.app(cls)

        report = self.run_case(
            schema=AlembicSchema("migrations"), create_app=classmethod(create_app)
        )
        [message] = report.messages
        self.assertTrue(message.startswith("MigrationError: migrations/env.py reads"), message)

    def test_failing_migration(self) -> None:
        """An error is no SystemExit, and names the revision."""
        self.migrations.revision("c", "b", "raise RuntimeError('no countries')")
        self.assertEqual(
            self.error_of(schema=AlembicSchema("migrations"), create_app=self.factory()),
            'revision "c" (migrations/versions/c.py) failed in upgrade(): RuntimeError: no '
            "countries. The database is thrown away. Correct it and run it again.",
        )

    def test_several_binds(self) -> None:
        """Flask-Migrate's template for several binds is told apart, too."""
        folder = self.folder / "several"
        folder.mkdir()
        migrations = Migrations(folder, template="flask-multidb")
        migrations.revision("a", parameters="engine_name")

        def create_app(cls: Any) -> Flask:
            db = SQLAlchemy()
            app = Flask(__name__)
            app.config["SQLALCHEMY_DATABASE_URI"] = cls.database_url
            app.config["SQLALCHEMY_BINDS"] = {"audit": cls.database_urls["audit"]}
            db.init_app(app)
            Migrate(app, db)
            return app

        report = self.run_case(
            schema={None: AlembicSchema(migrations.path)}, create_app=classmethod(create_app)
        )
        [message] = report.messages
        self.assertIn("several/migrations/env.py migrates several databases in one run", message)
        self.assertNotIsInstance(report.problems[0][1], AppError)


if __name__ == "__main__":
    unittest.main()

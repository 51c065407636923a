from __future__ import annotations

import contextlib
import doctest
import functools
import io
import multiprocessing
import os
import secrets
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import psycopg2
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL

from dbtestcase import databases, embedded
from dbtestcase.databases import Lease, admin, base, postgresql, sqlite, templates
from dbtestcase.databases.admin import Admin, Mark
from dbtestcase.errors import DatabaseTestError, MissingExtraError, SchemaError, ServerError
from dbtestcase.schemas import MetadataSchema, Schema, SQLSchema
from dbtestcase.settings import Kind, Setting, choose

from .support import debian_postgresql, look

ROOT = Path(__file__).parent.parent


def one_table(name: str) -> MetadataSchema:
    metadata = sa.MetaData()
    sa.Table(
        name, metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text)
    )
    return MetadataSchema(metadata)


A, B = one_table("a"), one_table("b")

# A run of tests: it holds a database, says which, and gives it back when its input ends.
RUN = """
import sys
from dbtestcase.databases import lease
from dbtestcase.settings import choose
from tests.test_databases import A
held = lease(choose(sys.argv[1], environ={}), schema=A, project=sys.argv[2])
held.prepare(A)
print(held.url.database, flush=True)
sys.stdin.read()
held.truncate_dead_rows()
"""

# A run that is still building its template.
SLOW = """
import sys
import sqlalchemy as sa
from dbtestcase.databases import lease
from dbtestcase.schemas import MetadataSchema
from dbtestcase.settings import choose
metadata = sa.MetaData()
sa.event.listen(metadata, "after_create", sa.DDL(f"SELECT '{sys.argv[2]}', pg_sleep(600)"))
lease(choose(sys.argv[1], environ={}), project=sys.argv[2]).prepare(MetadataSchema(metadata))
"""

_debian: URL | None = None


def debian() -> URL:
    """Give the URL of a second server, an older one, that is started for this module."""
    global _debian
    if _debian is None:
        _debian = unittest.enterModuleContext(debian_postgresql())
    return _debian


class DatabasesTest(unittest.TestCase):
    """Leases on one server, apart from those of other tests."""

    setting: ClassVar[Setting]
    server: ClassVar[URL]

    @classmethod
    def setUpClass(cls) -> None:
        cls.setting = choose("postgresql", declared_by="SignupTest", environ={})
        cls.server = embedded.server().url()

    def setUp(self) -> None:
        self.project = f"t{secrets.token_hex(4)}"
        # The leases that other test classes of this process keep are not ours to change.
        self.enterContext(mock.patch.dict(databases._leases, clear=True))
        if self.setting.kind in (Kind.EMBEDDED, Kind.SERVER):
            self.addCleanup(databases.clean, self.setting, templates_too=True, project=self.project)
        self.addCleanup(databases.release_all)

    # -- the judge: connections that know nothing of the library

    def query(self, text: str, *arguments: object, database: str = "postgres") -> list[Any]:
        url = self.server.set(database=database)
        connection = psycopg2.connect(
            **{**url.translate_connect_args(username="user", database="dbname"), **url.query}
        )
        connection.autocommit = True
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute(text, arguments or None)
            return cursor.fetchall() if cursor.description else []

    def oids(self, prefix: str = "") -> dict[str, int]:
        """Tell the databases of this test apart: one that was made anew has another number."""
        prefix = prefix or f"dbtestcase_{self.project}"
        return dict(
            self.query(
                "SELECT datname, oid FROM pg_database WHERE starts_with(datname, %s)", prefix
            )
        )

    def templates(self) -> list[str]:
        rows = self.query(
            "SELECT d.datname, shobj_description(d.oid, 'pg_database') FROM pg_database d "
            "WHERE starts_with(datname, 'dbtestcase_tpl_') ORDER BY 1"
        )
        marks = [(name, Mark.read(comment)) for name, comment in rows]
        return [name for name, mark in marks if mark is not None and mark.project == self.project]

    def state(self, name: str) -> str:
        [(comment,)] = self.query(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", name
        )
        mark = Mark.read(comment)
        assert mark is not None
        return mark.state

    def wait_until(self, condition: Callable[[], bool]) -> None:
        until = time.monotonic() + 30
        while not condition():
            self.assertLess(time.monotonic(), until, "waited in vain")
            time.sleep(0.01)

    # -- runs

    def lease(self, **options: Any) -> Lease:
        return databases.lease(self.setting, project=self.project, **options)

    def leased(self, schema: Schema | None, **options: Any) -> Lease:
        """Do what a test class does until its first test."""
        held = self.lease(schema=schema, **options)
        held.check()
        self.assertIs(held.prepare(schema), True)
        return held

    def a_run(self, schema: Schema | None, **options: Any) -> str:
        """Do what a whole run does, and return the name of its database."""
        held = self.leased(schema, **options)
        held.truncate_dead_rows()
        databases.release_all()
        return str(held.url.database)

    def start(self, program: str = RUN) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", program, self.value(), self.project],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(process.__exit__, None, None, None)
        self.addCleanup(process.kill)
        return process

    def value(self) -> str:
        """Return the setting as a user writes it."""
        if self.setting.kind is Kind.EMBEDDED:
            return self.setting.url.drivername
        return self.setting.url.render_as_string(hide_password=False)

    def name_of(self, process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        return process.stdout.readline().strip()

    def end(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        process.stdin.close()
        self.assertEqual(process.wait(), 0)

    def kill(self, process: subprocess.Popen[str]) -> None:
        process.kill()
        process.wait()
        # The server learns of it a moment later.
        self.wait_until(
            lambda: (
                not self.query(
                    "SELECT FROM pg_stat_activity WHERE application_name = %s",
                    f"dbtestcase {process.pid}",
                )
            )
        )

    def assert_error(
        self, error: type[DatabaseTestError], message: str, call: Callable[[], object]
    ) -> DatabaseTestError:
        with self.assertRaises(error) as caught:
            call()
        self.assertEqual(str(caught.exception), message)
        return caught.exception


class LeaseTests(DatabasesTest):
    """What holds on every server."""

    def test_first_lease(self) -> None:
        """A database is made, filled, and the process's own until it is released."""
        held = self.leased(A)
        name = f"dbtestcase_{self.project}_1"
        self.assertEqual(held.url.database, name)
        self.assertEqual(held.url.drivername, "postgresql+psycopg2")
        self.assertIs(held.ours, True)
        self.assertIs(held.embedded, self.setting.kind is Kind.EMBEDDED)
        self.assertEqual(look(held.url).tables, {"a"})
        self.assertEqual(self.state(name), "in use")
        held.truncate_dead_rows()
        databases.release_all()
        self.assertEqual(self.state(name), "ready")

    def test_second_lease(self) -> None:
        """The next run finds the database filled: nothing is made anew."""
        name = self.a_run(A)
        before = self.oids()
        self.assertEqual(self.a_run(A), name)
        self.assertEqual(self.oids(), before)

    def test_no_schema(self) -> None:
        """Without a schema the database is empty, whatever it held."""
        held = self.leased(A)
        held.prepare(None)
        self.assertEqual(look(held.url).tables, set())
        before = self.oids()
        held.prepare(None)
        self.assertEqual(self.oids(), before)

    def test_changing_schema(self) -> None:
        """A database whose schema changed holds the new one and nothing of the old."""
        held = self.leased(A)
        held.prepare(B)
        self.assertEqual(look(held.url).tables, {"b"})
        held.prepare(A)
        self.assertEqual(look(held.url).tables, {"a"})

    def test_alternating_schemas(self) -> None:
        """Classes that name their schemas in turn find a database ready for each."""
        names = []
        for schema in (A, B):
            held = self.leased(schema)
            names.append(held.url.database)
            held.truncate_dead_rows()
        self.assertEqual(names, [f"dbtestcase_{self.project}_{n}" for n in (1, 2)])
        before = self.oids()
        for schema, name, table in [(A, names[0], "a"), (B, names[1], "b"), (A, names[0], "a")]:
            held = self.leased(schema)
            self.assertEqual((held.url.database, look(held.url).tables), (name, {table}))
            held.truncate_dead_rows()
        self.assertEqual(self.oids(), before)
        [(connections,)] = self.query(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s",
            f"dbtestcase {os.getpid()}",
        )
        self.assertEqual(connections, len(databases._leases))

    def test_spoil(self) -> None:
        """After a real commit the database is made anew, in this process or the next."""
        held = self.leased(A)
        name = str(held.url.database)
        self.query("INSERT INTO a (name) VALUES ('x')", database=name)
        held.spoil()
        held.prepare(A)
        self.assertEqual((look(held.url).rows, look(held.url).sequences), ({}, {}))
        self.query("INSERT INTO a (name) VALUES ('x')", database=name)
        held.spoil()
        held.truncate_dead_rows()
        databases.release_all()
        self.assertEqual(self.state(name), "dirty")
        self.assertEqual(self.a_run(A), name)
        self.assertEqual(look(held.url).rows, {})

    # -- several processes

    def test_two_processes(self) -> None:
        """Two runs at once have different databases, and the next run reuses the first."""
        one = self.start()
        first = self.name_of(one)
        two = self.start()
        self.assertEqual(
            {first, self.name_of(two)}, {f"dbtestcase_{self.project}_{n}" for n in (1, 2)}
        )
        before = self.oids()
        self.end(one)
        self.assertEqual(self.leased(A).url.database, first)
        self.end(two)
        self.assertEqual(self.oids(), before)

    def test_killed_process(self) -> None:
        """The database of a process that was killed is made anew by the next one."""
        process = self.start()
        name = self.name_of(process)
        self.query("INSERT INTO a (name) VALUES ('x')", database=name)
        before = self.oids()
        self.kill(process)
        self.assertEqual(self.state(name), "in use")
        held = self.leased(A)
        self.assertEqual(held.url.database, name)
        self.assertNotEqual(self.oids(), before)
        self.assertEqual((look(held.url).rows, look(held.url).sequences), ({}, {}))

    def test_lost_session(self) -> None:
        """Where the session that holds the lock was ended, the check leases again."""
        held = self.leased(A)
        self.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s",
            f"dbtestcase {os.getpid()}",
        )
        other = self.start()
        self.wait_until(lambda: bool(self.name_of(other)))  # it took the one that we had
        held.check()
        self.assertEqual(held.url.database, f"dbtestcase_{self.project}_2")
        held.prepare(A)
        self.assertEqual(look(held.url).tables, {"a"})
        self.end(other)

    # -- templates

    def test_half_built_template(self) -> None:
        """What a killed process left half-built is not used, and swept away."""
        own = self.leased(A)
        [template] = self.templates()
        databases.release_all()
        databases.clean(self.setting, templates_too=True, project=self.project)
        self.query(f"CREATE DATABASE {template}_new")
        self.query("CREATE TABLE half (id integer)", database=f"{template}_new")
        other = f"dbtestcase_{self.project}_7_new"
        self.query(f"CREATE DATABASE {other}")
        own = self.leased(A)
        self.assertEqual(look(own.url).tables, {"a"})
        self.assertEqual(self.oids(f"{template}_new"), {})
        self.assertEqual(self.oids(other), {})

    def test_template_is_protected(self) -> None:
        """Nobody connects to a template or drops it by mistake."""
        self.leased(A)
        [template] = self.templates()
        rows = self.query(
            "SELECT datistemplate, datallowconn FROM pg_database WHERE datname = %s", template
        )
        self.assertEqual(rows, [(True, False)])

    def test_templates_that_are_kept(self) -> None:
        """Five are kept of a project: those that were used last."""
        schemas = [one_table(f"t{number}") for number in range(6)]
        held = self.leased(schemas[0])
        [first] = self.templates()
        for schema in schemas[1:5]:
            held.prepare(schema)
        self.assertEqual(len(self.templates()), 5)
        # A template notes its use once in a minute.
        with mock.patch.object(Mark, "now", return_value=Mark.now() + 120_000):
            held.prepare(schemas[0])
        held.prepare(schemas[5])
        self.assertEqual(len(self.templates()), 5)
        self.assertIn(first, self.templates())

    # -- errors

    def test_schema_that_fails_half_way(self) -> None:
        """The schema and the statement are named, nothing is left, and the next one works."""
        metadata = sa.MetaData()
        sa.Table("good", metadata, sa.Column("id", sa.Integer, primary_key=True))
        event.listen(metadata, "after_create", sa.DDL("INSERT INTO missing VALUES (1)"))
        held = self.leased(A)
        before = self.oids(), self.oids("dbtestcase_tpl_")
        self.assert_error(
            SchemaError,
            'MetadataSchema of 1 tables cannot be built: relation "missing" does not exist. The '
            "statement was: INSERT INTO missing VALUES (1) -- nothing of it is left behind. "
            "Correct the schema and run the tests again.",
            lambda: held.prepare(MetadataSchema(metadata)),
        )
        self.assertEqual((self.oids(), self.oids("dbtestcase_tpl_")), before)
        held.prepare(B)
        self.assertEqual(look(held.url).tables, {"b"})

    # -- dead rows

    def test_truncate_dead_rows(self) -> None:
        """What a rollback left is taken away; what the schema put there stays."""
        held = self.leased(self.library())
        url = held.url

        def sizes() -> dict[str, int]:
            return dict(
                self.query(
                    "SELECT relname, pg_relation_size(oid) FROM pg_class "
                    "WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'",
                    database=str(url.database),
                )
            )

        clean = sizes()
        engine = sa.create_engine(url, poolclass=sa.NullPool)
        for sender in (None, self.query):
            with engine.connect() as connection, connection.begin() as transaction:
                for table in ('"loan; x"', "reader", "seeded", "parent", "audited"):
                    connection.exec_driver_sql(f"INSERT INTO {table} DEFAULT VALUES")
                transaction.rollback()
            self.assertEqual(
                sorted(n for n, size in sizes().items() if size > clean[n]),
                ["audited", "loan; x", "parent", "reader"],
            )
            if sender is None:
                held.truncate_dead_rows()
            else:
                held.truncate_dead_rows(lambda text: self.query(text, database=str(url.database)))
            # A trigger that listens to TRUNCATE is not to be called, and a table that a full one
            # refers to cannot be truncated without that one.
            self.assertEqual(
                [n for n, size in sizes().items() if size != clean[n]], ["parent", "audited"]
            )
            self.query("VACUUM parent, audited", database=str(url.database))
        self.assertEqual(look(url).rows["seeded"], [None, None])

    def test_hidden_rows(self) -> None:
        """A table whose rows a policy hides is not taken for an empty one."""
        with self.role() as setting:
            directory = self.enterContext(tempfile.TemporaryDirectory())
            path = Path(directory, "secret.sql")
            path.write_text("""
                CREATE TABLE secret (id serial, name text);
                INSERT INTO secret (name) VALUES ('kept');
                ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
                ALTER TABLE secret FORCE ROW LEVEL SECURITY;
            """)
            held = databases.lease(setting, project=self.project)
            held.prepare(SQLSchema(path))
            held.truncate_dead_rows()
            name = str(held.url.database)
            self.assertEqual(self.query("SELECT name FROM secret", database=name), [("kept",)])

    def library(self) -> Schema:
        directory = self.enterContext(tempfile.TemporaryDirectory())
        path = Path(directory, "library.sql")
        path.write_text("""
            CREATE TABLE reader (id serial PRIMARY KEY, friend integer REFERENCES reader);
            CREATE TABLE "loan; x" (id serial, reader integer REFERENCES reader);
            CREATE TABLE parent (id serial PRIMARY KEY, name text);
            CREATE TABLE seeded (id serial, parent integer REFERENCES parent);
            INSERT INTO seeded DEFAULT VALUES;
            INSERT INTO seeded DEFAULT VALUES;
            CREATE TABLE audited (id serial, name text);
            CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN RAISE 'called'; END $$;
            CREATE TRIGGER refuse BEFORE TRUNCATE ON audited EXECUTE FUNCTION refuse();
        """)
        return SQLSchema(path)

    # -- clean

    def test_clean(self) -> None:
        """What nobody holds is dropped; what is held, and what is another project's, stays."""
        crashed = self.start()
        first = self.name_of(crashed)
        self.leased(B)
        self.kill(crashed)
        other = f"{self.project}_x"
        self.addCleanup(databases.clean, self.setting, templates_too=True, project=other)
        # The name of the other project's database begins like ours.
        apart = databases.lease(self.setting, bind="y", project=other)
        apart.prepare(None)
        apart.release()
        dropped = databases.clean(self.setting, project=self.project)
        self.assertEqual(dropped, [first])
        self.assertEqual(
            set(self.oids()), {f"dbtestcase_{self.project}_2", f"dbtestcase_{other}_y_1"}
        )
        self.assertEqual(len(self.templates()), 2)
        databases.release_all()
        dropped = databases.clean(self.setting, templates_too=True, project=self.project)
        self.assertEqual(len(dropped), 3)
        self.assertEqual((set(self.oids()), self.templates()), ({f"dbtestcase_{other}_y_1"}, []))

    # -- roles

    @contextlib.contextmanager
    def role(self, options: str = "CREATEDB") -> Iterator[Setting]:
        """Make a role that is no superuser, and whose name wants quoting."""
        name = f'o"brien {self.project}'
        quoted = admin.identifier(name)
        self.query(f"CREATE ROLE {quoted} LOGIN PASSWORD 'guess' {options}")
        url = self.server.set(username=name, password="guess")
        setting = choose(url.render_as_string(hide_password=False), environ={})
        try:
            yield setting
        finally:
            databases.release_all()
            if "CREATEDB" in options:
                databases.clean(setting, templates_too=True, project=self.project)
            self.query(f"DROP ROLE {quoted}")

    def test_role_without_superuser(self) -> None:
        """CREATEDB is all that a role needs, for templates and their end as well."""
        with self.role() as setting, mock.patch.object(templates, "KEPT", 2):
            held = databases.lease(setting, project=self.project)
            for number in range(4):
                held.prepare(one_table(f"t{number}"))
            self.assertEqual(look(held.url).tables, {"t3"})
            self.assertEqual(len(self.templates()), 2)
            held.spoil()
            held.prepare(A)
            held.truncate_dead_rows()
            databases.release_all()
            self.assertEqual(self.state(str(held.url.database)), "ready")

    def test_role_that_may_not_create_databases(self) -> None:
        """The error says which right is missing, and how to give it."""
        with self.role("") as setting:
            held = databases.lease(setting, project=self.project)
            role = f'o"brien {self.project}'
            quoted = f'"o""brien {self.project}"'
            self.assert_error(
                ServerError,
                f'role "{role}" may not create databases on {admin.place(self.server)} '
                f"(database). Let a superuser run ALTER ROLE {quoted} CREATEDB, or name an "
                "existing test database in the URL.",
                lambda: held.prepare(A),
            )
            databases.release_all()

    def test_timeouts_of_a_role(self) -> None:
        """A role's own timeouts do not end the lease."""
        with self.role() as setting:
            quoted = f'"o""brien {self.project}"'
            names = ["idle_in_transaction_session_timeout", "lock_timeout"]
            known = {name for (name,) in self.query("SELECT name FROM pg_settings")}
            names += sorted(known & {"idle_session_timeout", "transaction_timeout"})
            for name in names:
                self.query(f"ALTER ROLE {quoted} SET {name} = '200ms'")
            held = databases.lease(setting, project=self.project)
            held.prepare(A)
            assert isinstance(held, postgresql.OwnDatabase)
            assert held._lock is not None
            time.sleep(0.5)
            self.assertTrue(held._lock.holds(str(held.url.database)))


class TestLease(LeaseTests):
    """Databases of our own, on the embedded server, with what does not depend on the server."""

    def test_ready_database_costs_nothing(self) -> None:
        """Preparing a database that is ready sends nothing, and connects nowhere."""
        held = self.leased(A)
        with (
            mock.patch.object(Admin, "_cursor", side_effect=AssertionError),
            mock.patch.object(admin, "private_engine", side_effect=AssertionError),
        ):
            self.assertIs(held.prepare(A), True)

    def test_lease_is_kept_between_classes(self) -> None:
        """A process holds one database, however many classes ask."""
        first = self.leased(A)
        self.assertIs(self.leased(A), first)
        self.assertIs(self.leased(None), first)
        self.assertEqual(len(self.oids()), 1)

    def test_number_of_databases(self) -> None:
        """A schema that changes all the time does not leave a database behind each time."""
        with mock.patch.object(postgresql, "KEPT", 2):
            for number in range(5):
                self.a_run(one_table(f"t{number}"))
            self.assertEqual(len(self.oids()), 2)
            # The one that was not used for longest is taken.
            self.assertEqual(self.a_run(one_table("t3")), f"dbtestcase_{self.project}_2")

    def test_release_amid_a_class(self) -> None:
        """A run that ends before its class does leaves a database that is made anew."""
        held = self.leased(A)
        name = str(held.url.database)
        self.query("SELECT nextval('a_id_seq')", database=name)
        databases.release_all()
        self.assertEqual(self.state(name), "dirty")
        self.assertEqual(self.a_run(A), name)
        self.assertEqual(look(held.url).sequences, {})

    def test_connected_strangers(self) -> None:
        """A connection that somebody left open does not keep a database from being replaced."""
        held = self.leased(A)
        url = held.url
        stranger = psycopg2.connect(
            **{**url.translate_connect_args(username="user", database="dbname"), **url.query}
        )
        self.addCleanup(stranger.close)
        held.prepare(B)
        self.assertEqual(look(held.url).tables, {"b"})

    def test_first_runs_at_the_same_moment(self) -> None:
        """Processes that all need a new template build it once, and all get their database."""
        runs = [self.start() for _ in range(4)]
        names = {self.name_of(process) for process in runs}
        self.assertEqual(names, {f"dbtestcase_{self.project}_{n}" for n in (1, 2, 3, 4)})
        self.assertEqual(len(self.templates()), 1)
        for process in runs:
            self.end(process)
        self.assertEqual({self.state(name) for name in names}, {"ready"})

    def test_lost_session_at_release(self) -> None:
        """Where the session was ended, nothing is given back, and nothing raised."""
        held = self.leased(A)
        self.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s",
            f"dbtestcase {os.getpid()}",
        )
        held.truncate_dead_rows()
        databases.release_all()
        self.assertEqual(self.state(str(held.url.database)), "in use")

    def test_lost_transaction(self) -> None:
        """The check asks for the lock itself, not only whether the session lives."""
        held = self.leased(A)
        assert isinstance(held, postgresql.OwnDatabase)
        assert held._lock is not None
        held._lock.run("ROLLBACK")
        other = self.start()
        self.name_of(other)
        held.check()
        self.assertEqual(held.url.database, f"dbtestcase_{self.project}_2")
        self.end(other)

    def test_dropped_database(self) -> None:
        """A database that somebody dropped is made again at the next class."""
        held = self.leased(A)
        self.query(f'DROP DATABASE "{held.url.database}"')
        held.check()
        held.prepare(A)
        self.assertEqual(look(held.url).tables, {"a"})

    def test_forked_child(self) -> None:
        """A forked child neither uses nor ends what its parent holds, and may lease its own."""
        held = self.leased(A)
        assert isinstance(held, postgresql.OwnDatabase)
        context = multiprocessing.get_context("fork")
        answers: Any = context.Queue()

        def child() -> None:
            try:
                held.prepare(B)
            except ServerError as error:
                answers.put(str(error))
            databases.release_all()
            answers.put(str(self.leased(A).url.database))
            databases.release_all()

        process = context.Process(target=child)
        process.start()
        self.assertEqual(
            answers.get(timeout=60),
            f"process {process.pid} was forked from process {os.getpid()} and uses its lease of a "
            "database. Call dbtestcase.databases.lease() in the forked process.",
        )
        self.assertEqual(answers.get(timeout=60), f"dbtestcase_{self.project}_2")
        process.join()
        self.assertEqual(process.exitcode, 0)
        assert held._lock is not None
        self.assertTrue(held._lock.holds(str(held.url.database)))
        self.assertEqual(look(held.url).tables, {"a"})

    def test_child_of_multiprocessing(self) -> None:
        """A worker that ends by itself gives its database back."""

        def child() -> None:
            self.leased(A).truncate_dead_rows()

        process = multiprocessing.get_context("fork").Process(target=child)
        process.start()
        process.join()
        self.assertEqual(process.exitcode, 0)
        self.assertEqual(self.state(f"dbtestcase_{self.project}_1"), "ready")

    def test_process_killed_while_it_builds(self) -> None:
        """Its half-built template goes with the next one, though a statement still runs there."""
        process = self.start(SLOW)
        assert process.stdout is not None

        def building() -> list[Any]:
            return self.query(
                "SELECT datname FROM pg_stat_activity "
                "WHERE datname LIKE 'dbtestcase%%new' AND query LIKE %s",
                f"%{self.project}%",
            )

        self.wait_until(lambda: bool(building()))
        [(name,)] = building()
        self.kill(process)
        held = self.leased(A)
        self.assertEqual(look(held.url).tables, {"a"})
        # Another run on this server may be the one that sweeps it away.
        self.wait_until(lambda: not self.oids(name))
        self.assertEqual(len(self.templates()), 1)

    def test_template_in_use_is_kept(self) -> None:
        """A template that a clone is being made from is not dropped, however old."""
        held = self.leased(one_table("t0"))
        [first] = self.templates()
        cloning = Admin(self.server.set(database="postgres"), "test")
        self.addCleanup(cloning.close)
        cloning.begin()
        self.assertTrue(cloning.try_lock(first, shared=True))
        for number in range(1, 6):
            held.prepare(one_table(f"t{number}"))
        self.assertIn(first, self.templates())
        self.assertEqual(len(self.templates()), 6)
        cloning.run("COMMIT")
        held.prepare(one_table("t6"))
        self.assertNotIn(first, self.templates())
        self.assertEqual(len(self.templates()), 5)

    def test_projects_are_apart(self) -> None:
        """Two projects with the same schema do not drop each other's templates."""
        self.a_run(A)
        mine = self.templates()
        other = f"{self.project}x"
        self.addCleanup(databases.clean, self.setting, templates_too=True, project=other)
        databases.lease(self.setting, project=other).prepare(A)
        databases.release_all()
        databases.clean(self.setting, templates_too=True, project=other)
        self.assertEqual(self.templates(), mine)

    def test_binds(self) -> None:
        """Each bind has a database of its own, whose name says which."""
        default, audit = self.leased(A), self.leased(B, bind='Au"dit')
        self.assertEqual(audit.url.database, f"dbtestcase_{self.project}_au_dit_1")
        self.assertEqual(look(default.url).tables, {"a"})
        self.assertEqual(look(audit.url).tables, {"b"})

    def test_database_without_our_mark(self) -> None:
        """A database that somebody else made is passed over, whatever it is called."""
        name = f"dbtestcase_{self.project}_1"
        self.query(f"CREATE DATABASE {name}")
        self.addCleanup(self.query, f"DROP DATABASE {name}")
        before = self.oids()
        self.assertEqual(self.leased(A).url.database, f"dbtestcase_{self.project}_2")
        databases.release_all()
        databases.clean(self.setting, project=self.project)
        self.assertEqual(self.oids(), before)

    def test_schema_file_that_fails(self) -> None:
        """The error of a schema that explains itself stays as it is."""
        directory = self.enterContext(tempfile.TemporaryDirectory())
        path = Path(directory, "schema.sql")
        path.write_text("CREATE TABLE a ();\nNONSENSE")
        held = self.lease()
        self.assert_error(
            SchemaError,
            f'{path}, line 2 failed: syntax error at or near "NONSENSE". The database is left as '
            "it was; correct the statement.",
            lambda: held.prepare(SQLSchema(path)),
        )
        self.assertEqual(self.oids(), {})

    def test_databases_on(self) -> None:
        """What is on a server can be listed, with who holds it."""
        name = self.leased(A).url.database
        [(found, mark, holder)] = [
            each for each in databases.databases_on(self.setting) if each[0] == name
        ]
        self.assertEqual((found, mark.project, mark.state), (name, self.project, "in use"))
        self.assertRegex(holder, rf"\A \(process {os.getpid()}( at 127\.0\.0\.1/32)?\)\Z")

    def test_roles_are_apart(self) -> None:
        """What one role built is not given to another, which could not use the tables."""
        name = self.a_run(A)
        with self.role() as setting:
            held = databases.lease(setting, schema=A, project=self.project)
            held.prepare(A)
            self.assertNotEqual(held.url.database, name)
            self.assertEqual(look(held.url).tables, {"a"})
            engine = sa.create_engine(held.url, poolclass=sa.NullPool)
            with engine.begin() as connection:
                connection.exec_driver_sql("INSERT INTO a (name) VALUES ('x')")


class TestLeaseOnServer(LeaseTests):
    """The same on a server by its URL, of a version without some newer features."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = debian()
        cls.setting = choose(cls.server.render_as_string(hide_password=False), environ={})

    def test_wrong_password(self) -> None:
        """A password that is wrong is never printed."""
        url = self.server.set(password="wrong:guess")
        setting = choose(url.render_as_string(hide_password=False), environ={})
        port = url.port
        error = self.assert_error(
            ServerError,
            f'cannot connect to database "postgres" on 127.0.0.1:{port} as "postgres" (database): '
            f'connection to server at "127.0.0.1", port {port} failed: FATAL: password '
            'authentication failed for user "postgres". Is the server running, and are the role '
            "and the password right?",
            lambda: databases.lease(setting),
        )
        self.assertIsNone(error.__cause__)
        self.assertTrue(error.__suppress_context__)

    def test_unreachable_server(self) -> None:
        """A server that does not answer is named, and who chose it."""
        setting = choose("postgresql://scott:tiger@127.0.0.1:1", environ={})
        self.assert_error(
            ServerError,
            'cannot connect to database "postgres" on 127.0.0.1:1 as "scott" (database): '
            'connection to server at "127.0.0.1", port 1 failed: Connection refused. Is the server '
            "running, and are the role and the password right?",
            lambda: databases.lease(setting),
        )

    def test_url_without_host(self) -> None:
        """A URL without a host is no embedded server, as its writer may have thought."""
        directory = self.enterContext(tempfile.TemporaryDirectory())
        self.enterContext(mock.patch.dict(os.environ, {"PGHOST": directory, "PGPORT": "5432"}))
        self.assert_error(
            ServerError,
            'cannot connect to database "postgres" on the local socket (database): connection to '
            f'server on socket "{directory}/.s.PGSQL.5432" failed: No such file or directory. Is '
            "the server running, and are the role and the password right? The URL names no host; "
            'if the embedded server was meant, write "postgresql", without "://".',
            lambda: databases.lease(choose("postgresql://", environ={})),
        )
        self.assert_error(
            ServerError,
            'cannot connect to database "my_test" on the local socket (database): connection to '
            f'server on socket "{directory}/.s.PGSQL.5432" failed: No such file or directory. Is '
            "the server running, and are the role and the password right? The URL names no host; "
            'if the embedded server was meant, write "postgresql", without "://".',
            lambda: databases.lease(choose("postgresql:///my_test", environ={})),
        )
        with self.assertRaisesRegex(ServerError, r'write "postgresql\+psycopg", without "://"\.$'):
            databases.lease(choose("postgresql+psycopg://", environ={}))

    def test_other_driver(self) -> None:
        """psycopg 3 leases as psycopg2 does."""
        try:
            import psycopg  # noqa: F401
        except ImportError:
            self.skipTest("psycopg is not installed")
        self.a_run(A)
        url = self.server.set(drivername="postgresql+psycopg")
        setting = choose(url.render_as_string(hide_password=False), environ={})
        before = self.oids()
        held = databases.lease(setting, schema=A, project=self.project)
        held.prepare(A)
        self.assertEqual(self.oids(), before)
        self.assertEqual(held.url.drivername, "postgresql+psycopg")
        held.prepare(B)
        self.assertEqual(look(held.url).tables, {"b"})
        held.truncate_dead_rows()
        directory = self.enterContext(tempfile.TemporaryDirectory())
        path = Path(directory, "schema.sql")
        path.write_text(
            "CREATE TABLE one (n int, t text); INSERT INTO one VALUES (1, '100% :x'), (2, '%s')"
        )
        held.prepare(SQLSchema(path))
        self.assertEqual(look(held.url).rows, {"one": ["100% :x", "%s"]})
        url = url.set(password="guess")
        setting = choose(url.render_as_string(hide_password=False), environ={})
        with self.assertRaisesRegex(ServerError, "password authentication failed"):
            databases.lease(setting)

    def test_missing_driver(self) -> None:
        """A driver that is not installed is an error that names its package."""
        url = self.server.set(drivername="postgresql+psycopg")
        setting = choose(url.render_as_string(hide_password=False), environ={})
        with mock.patch.dict(sys.modules, psycopg=None):
            self.assert_error(
                MissingExtraError,
                '"postgresql+psycopg" (database) needs a driver that is not installed: import of '
                "psycopg halted; None in sys.modules. Install it with: pip install "
                '"dbtestcase[psycopg3]"',
                lambda: databases.lease(setting),
            )


class TestNamedDatabase(DatabasesTest):
    """A database that the user named."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = debian()

    def setUp(self) -> None:
        self.name = f'my "test" {secrets.token_hex(4)}'
        quoted = admin.identifier(self.name)
        self.query(f"CREATE DATABASE {quoted}")
        self.addCleanup(self.query, f"DROP DATABASE {quoted}")
        self.url = self.server.set(database=self.name)
        type(self).setting = choose(self.url.render_as_string(hide_password=False), environ={})
        super().setUp()

    def test_lease(self) -> None:
        """It is taken as it is: nothing is made, dropped or noted there."""
        self.query("CREATE TABLE mine (id integer)", database=self.name)
        before = self.query("SELECT datname, oid FROM pg_database ORDER BY 1")
        held = self.lease(schema=A)
        self.assertEqual((held.url, held.ours, held.embedded), (self.url, False, False))
        held.check()
        self.assertIs(held.prepare(A), False)
        held.spoil()
        held.truncate_dead_rows()
        databases.release_all()
        self.assertEqual(look(self.url).tables, {"mine"})
        self.assertEqual(self.query("SELECT datname, oid FROM pg_database ORDER BY 1"), before)
        self.assertEqual(
            self.query(
                "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s",
                self.name,
            ),
            [(None,)],
        )

    def test_no_connection_is_spent(self) -> None:
        """The lock is elsewhere, so the database has all its connections for the tests."""
        self.lease()
        rows = self.query("SELECT pid FROM pg_stat_activity WHERE datname = %s", self.name)
        self.assertEqual(rows, [])

    def test_second_run_waits(self) -> None:
        """A second run waits, and says for what."""
        other = self.start()
        self.name_of(other)
        threading.Timer(1.5, other.stdin.close).start()  # type: ignore[union-attr]
        with contextlib.redirect_stderr(io.StringIO()) as printed:
            self.lease()
        self.assertEqual(
            printed.getvalue(),
            f'dbtestcase: waiting for database "{self.name}" on 127.0.0.1:{self.server.port}, '
            f"which another run of tests holds (process {other.pid} at 127.0.0.1/32)\n",
        )
        self.end(other)

    def test_lost_session(self) -> None:
        """Where the session that holds the lock was ended, the check takes it again."""
        held = self.lease()
        self.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s",
            f"dbtestcase {os.getpid()}",
        )
        held.check()
        assert isinstance(held, postgresql.NamedDatabase)
        self.assertTrue(held._lock.holds(self.name))

    def test_role_shut_out_of_the_maintenance_database(self) -> None:
        """Such a role holds the lock in the database itself."""
        self.query("CREATE ROLE outsider LOGIN PASSWORD 'sec:ret'")
        self.addCleanup(self.query, "DROP ROLE outsider")
        self.query("REVOKE CONNECT ON DATABASE postgres FROM PUBLIC")
        self.addCleanup(self.query, "GRANT CONNECT ON DATABASE postgres TO PUBLIC")
        url = self.url.set(username="outsider")
        type(self).setting = choose(url.render_as_string(hide_password=False), environ={})
        other = self.start()
        self.name_of(other)
        threading.Timer(1.5, other.stdin.close).start()  # type: ignore[union-attr]
        with contextlib.redirect_stderr(io.StringIO()) as printed:
            self.lease()
        self.assertIn(f'waiting for database "{self.name}"', printed.getvalue())
        self.end(other)
        databases.release_all()

    def test_role_without_rights(self) -> None:
        """A role that may not make what the schema wants is named, with the GRANT that helps."""
        self.query("CREATE ROLE clerk LOGIN PASSWORD 'sec:ret'")
        self.addCleanup(self.query, "DROP ROLE clerk")
        url = self.url.set(username="clerk")
        type(self).setting = choose(url.render_as_string(hide_password=False), environ={})
        held = self.lease()
        self.addCleanup(databases.release_all)
        self.query("REVOKE CREATE ON SCHEMA public FROM PUBLIC", database=self.name)
        with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
            file.write("CREATE TABLE item (id integer)")
            file.flush()
            elsewhere = sa.MetaData(schema="audit")
            sa.Table("entry", elsewhere, sa.Column("id", sa.Integer))
            place = f'database "{self.name}" on 127.0.0.1:{self.server.port} (database)'
            quoted = admin.identifier(self.name)
            in_public = (
                f'role "clerk" may not create what the schema needs in {place}: permission denied '
                "for schema public. Since PostgreSQL 15 only the owner of a database may create "
                "there, unless granted. Let the owner or a superuser run, connected to that "
                'database: GRANT USAGE, CREATE ON SCHEMA "public" TO "clerk"'
            )
            in_database = (
                f'role "clerk" may not create what the schema needs in {place}: permission denied '
                f"for database {self.name}. Let the owner or a superuser run: GRANT CREATE ON "
                f'DATABASE {quoted} TO "clerk"'
            )
            for schema, message in (
                (A, in_public),
                (SQLSchema(file.name), in_public),
                (MetadataSchema(elsewhere), in_database),
            ):
                engine = base.private_engine(url, "database")
                with self.subTest(schema=schema), engine.connect() as connection:
                    self.assert_error(
                        SchemaError,
                        message,
                        functools.partial(base.build, schema, connection, held),
                    )

    def test_shared_by_binds(self) -> None:
        """Two binds that name one database share its lease, and do not wait for each other."""
        held = self.lease()
        self.assertIs(self.lease(bind="replica"), held)
        databases._release(None)
        self.assertTrue(held._lock.holds(self.name))  # type: ignore[attr-defined]

    def test_missing_database(self) -> None:
        """A database that is not there is not made: the name may be a slip."""
        url = self.server.set(database="no_test")
        setting = choose(url.render_as_string(hide_password=False), environ={})
        self.assert_error(
            ServerError,
            f'there is no database "no_test" on 127.0.0.1:{url.port} (database). Create it, or '
            "leave the name out of the URL, so that test databases are made there.",
            lambda: databases.lease(setting),
        )

    def test_nothing_to_clean(self) -> None:
        """Nothing there is ours."""
        self.assertEqual(databases.clean(self.setting), [])
        self.assertEqual(databases.databases_on(self.setting), [])


class TestMemoryDatabase(unittest.TestCase):
    """SQLite in memory."""

    def setUp(self) -> None:
        self.enterContext(mock.patch.dict(databases._leases, clear=True))
        self.addCleanup(databases.release_all)
        self.setting = choose("sqlite", environ={})

    def test_content_outlives_engines(self) -> None:
        """Content stays though all connections are closed, and is seen by every connection."""
        held = databases.lease(self.setting)
        self.assertIs(held.prepare(A), True)
        self.assertEqual((held.ours, held.embedded), (True, False))
        for expected in ([1], [1, 2]):
            engine = sa.create_engine(held.url)
            with engine.begin() as connection:
                connection.exec_driver_sql("INSERT INTO a DEFAULT VALUES")
            with engine.connect() as one, engine.connect() as two:
                for connection in (one, two):
                    found = connection.exec_driver_sql("SELECT id FROM a").scalars().all()
                    self.assertEqual(found, expected)
            engine.dispose()

    def test_prepare(self) -> None:
        """Each class finds exactly what its schema builds, which is built once."""
        held = databases.lease(self.setting)
        with mock.patch.object(
            MetadataSchema, "build", autospec=True, side_effect=MetadataSchema.build
        ) as build:
            for schema, tables in [(A, {"a"}), (B, {"b"}), (A, {"a"}), (None, set()), (B, {"b"})]:
                held.prepare(schema)
                self.assertEqual(look(held.url).tables, tables)
                self.assertEqual(look(held.url).rows, {})
                engine = sa.create_engine(held.url, poolclass=sa.NullPool)
                with engine.begin() as connection:
                    for table in tables:
                        connection.exec_driver_sql(f"INSERT INTO {table} DEFAULT VALUES")
                    connection.exec_driver_sql("CREATE TABLE more (id integer)")
            self.assertEqual(build.call_count, 2)

    def test_open_connection(self) -> None:
        """A connection that was left open but idle sees the next class's content."""
        held = databases.lease(self.setting)
        held.prepare(A)
        with sa.create_engine(held.url).connect() as connection:
            connection.exec_driver_sql("SELECT * FROM a").all()
            connection.rollback()
            held.prepare(B)
            self.assertEqual(connection.exec_driver_sql("SELECT * FROM b").all(), [])

    def test_busy_connection(self) -> None:
        """A connection that still writes is an error, not half a database."""
        held = databases.lease(self.setting)
        held.prepare(A)
        with sa.create_engine(held.url).connect() as connection:
            connection.exec_driver_sql("INSERT INTO a DEFAULT VALUES")
            with self.assertRaises(ServerError) as caught:
                held.prepare(B)
        self.assertEqual(
            str(caught.exception),
            "the SQLite database in memory cannot be filled for the next class: it is locked. A "
            "connection of the last one still reads or writes. Close it in that class's teardown.",
        )

    def test_binds(self) -> None:
        """Each bind has a database of its own."""
        default = databases.lease(self.setting)
        audit = databases.lease(self.setting, bind="audit")
        default.prepare(A)
        audit.prepare(B)
        self.assertEqual((look(default.url).tables, look(audit.url).tables), ({"a"}, {"b"}))

    def test_release(self) -> None:
        """Nothing is kept after the release."""
        held = databases.lease(self.setting)
        held.prepare(A)
        databases.release_all()
        databases.release_all()
        self.assertEqual(look(held.url).tables, set())

    def test_schema_that_fails(self) -> None:
        """The next schema does not find what was half-built."""
        metadata = sa.MetaData()
        sa.Table("good", metadata, sa.Column("id", sa.Integer))
        event.listen(metadata, "after_create", sa.DDL("INSERT INTO missing VALUES (1)"))
        held = databases.lease(self.setting)
        for _ in range(2):
            with self.assertRaises(SchemaError) as caught:
                held.prepare(MetadataSchema(metadata))
            self.assertEqual(
                str(caught.exception),
                "MetadataSchema of 1 tables cannot be built: no such table: missing. The "
                "statement was: INSERT INTO missing VALUES (1) -- nothing of it is left behind. "
                "Correct the schema and run the tests again.",
            )
            self.assertEqual(look(held.url).tables, set())

    def test_old_sqlite(self) -> None:
        """An SQLite that cannot do it says so."""
        sqlite.check_version((3, 36, 0))
        with self.assertRaises(ServerError) as caught:
            sqlite.check_version((3, 35, 5))
        self.assertEqual(
            str(caught.exception),
            "this Python has SQLite 3.35.5, which cannot share a database in memory: 3.36 or "
            "newer is needed. Use a newer Python, or run the tests on PostgreSQL.",
        )

    def test_other_setting(self) -> None:
        """Asking for another database gives the first one back."""
        directory = self.enterContext(tempfile.TemporaryDirectory())
        held = databases.lease(self.setting)
        held.prepare(A)
        other = databases.lease(choose(f"sqlite:///{directory}/test.db", environ={}))
        self.assertIsInstance(other, sqlite.SQLiteFile)
        self.assertEqual(look(held.url).tables, set())


class TestSQLiteFile(unittest.TestCase):
    """An SQLite file that the user named."""

    def setUp(self) -> None:
        self.enterContext(mock.patch.dict(databases._leases, clear=True))
        self.addCleanup(databases.release_all)
        self.directory = Path(self.enterContext(tempfile.TemporaryDirectory())).resolve()
        self.path = self.directory / "test.db"
        self.setting = choose(f"sqlite:///{self.path}", environ={})

    def start(self) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, str(self.setting), "x"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(process.__exit__, None, None, None)
        self.addCleanup(process.kill)
        assert process.stdout is not None
        process.stdout.readline()
        return process

    def test_lease(self) -> None:
        """The file is taken as it is, and nothing else is left beside it."""
        with contextlib.closing(sqlite3.connect(self.path)) as connection:
            connection.execute("CREATE TABLE mine (id integer)")
        content = self.path.read_bytes()
        held = databases.lease(self.setting)
        self.assertEqual((held.url, held.ours, held.embedded), (self.setting.url, False, False))
        held.check()
        self.assertIs(held.prepare(A), False)
        self.assertEqual(len(list(self.directory.iterdir())), 2)
        databases.release_all()
        self.assertEqual(list(self.directory.iterdir()), [self.path])
        self.assertEqual(self.path.read_bytes(), content)

    def test_second_run_waits(self) -> None:
        """A second run waits, and says for what."""
        other = self.start()
        threading.Timer(1.5, other.stdin.close).start()  # type: ignore[union-attr]
        with contextlib.redirect_stderr(io.StringIO()) as printed:
            databases.lease(self.setting)
        self.assertEqual(
            printed.getvalue(),
            f'dbtestcase: waiting for database file "{self.path}", which another run of tests '
            "holds\n",
        )

    def test_killed_process(self) -> None:
        """The lock of a process that was killed is free."""
        other = self.start()
        other.send_signal(signal.SIGKILL)
        other.wait()
        databases.lease(self.setting)
        databases.release_all()
        self.assertEqual(list(self.directory.iterdir()), [])

    def test_forked_child(self) -> None:
        """A forked child does not free its parent's lock."""
        held = databases.lease(self.setting)

        def child() -> None:
            held.release()
            databases.release_all()

        process = multiprocessing.get_context("fork").Process(target=child)
        process.start()
        process.join()
        held.check()
        self.assertEqual(list(self.directory.iterdir()), [self.directory / "test.db.lock"])

    def test_removed_lock(self) -> None:
        """A lock file that somebody removed is made again at the next class."""
        held = databases.lease(self.setting)
        (self.directory / "test.db.lock").unlink()
        held.check()
        self.assertTrue((self.directory / "test.db.lock").exists())

    def test_missing_directory(self) -> None:
        """A directory that is not there is named."""
        setting = choose(f"sqlite:///{self.directory}/no/test.db", environ={})
        with self.assertRaises(ServerError) as caught:
            databases.lease(setting)
        self.assertEqual(
            str(caught.exception),
            f'cannot lock database file "{self.directory}/no/test.db" (database): '
            f"{self.directory}/no/test.db.lock: No such file or directory. Name a file in a "
            "directory that exists and may be written.",
        )


class TestExplain(DatabasesTest):
    """Errors of the database whose cause is known."""

    MESSAGE = (
        'the embedded PostgreSQL does not have the extension "citext": it brings plpgsql and '
        "vector only. Run the tests on a full server, by its URL: "
        "DBTESTCASE_DATABASE=postgresql://USER@HOST"
    )

    def schema(self) -> Schema:
        directory = self.enterContext(tempfile.TemporaryDirectory())
        path = Path(directory, "schema.sql")
        path.write_text("CREATE EXTENSION citext;")
        return SQLSchema(path)

    def test_missing_extension_in_a_schema(self) -> None:
        """An extension that the embedded server lacks is named, in a file of SQL or a listener."""
        metadata = sa.MetaData()
        event.listen(metadata, "before_create", sa.DDL("CREATE EXTENSION citext"))
        held = self.lease()
        for schema in (self.schema(), MetadataSchema(metadata)):
            self.assert_error(SchemaError, self.MESSAGE, lambda s=schema: held.prepare(s))  # type: ignore[misc]

    def test_missing_extension_elsewhere(self) -> None:
        """So is one that the program asks for itself."""
        held = self.leased(None)
        engine = sa.create_engine(held.url, poolclass=sa.NullPool)
        with engine.connect() as connection:
            try:
                connection.exec_driver_sql('CREATE EXTENSION IF NOT EXISTS "citext"')
            except sa.exc.DBAPIError as error:
                found = databases.explain(error, held)
        self.assertEqual((type(found), str(found)), (SchemaError, self.MESSAGE))

    def test_message_of_older_servers(self) -> None:
        """Older servers name the file that is missing."""
        error = Exception(
            'could not open extension control file "/usr/share/extension/citext.control": No such '
            "file or directory"
        )
        self.assertEqual(str(databases.explain(error, self.lease())), self.MESSAGE)

    def test_other_errors(self) -> None:
        """Other errors, and other servers, are left to speak for themselves."""
        self.assertIsNone(databases.explain(ValueError("x"), self.lease()))
        file = mock.Mock(embedded=False)
        error = Exception('extension "citext" is not available')
        self.assertIsNone(databases.explain(error, file))


class TestMark(unittest.TestCase):
    def test_round_trip(self) -> None:
        """What is kept with a database is read as it was written."""
        mark = Mark("shop", "ready", "0a", "t", "process 1 on h'o\"st", 5)
        self.assertEqual(Mark.read(str(mark)), mark)

    def test_comments_of_others(self) -> None:
        """A comment that is not ours is none, whatever it looks like."""
        for comment in (
            None,
            "",
            "the shop",
            "{}",
            "[]",
            "1",
            '{"dbtestcase": 1}',
            '{"dbtestcase": 2, "project": "shop"}',
        ):
            self.assertIsNone(Mark.read(comment), comment)


class TestAdmin(unittest.TestCase):
    def test_lock_key(self) -> None:
        """The number of a lock is as documented, and the same for ever and everywhere."""
        self.assertEqual(admin.lock_key("dbtestcase_shop_1"), -6001050878230249273)
        self.assertEqual(
            admin.lock_key("dbtestcase_shop_1_new"), admin.lock_key("dbtestcase_shop_1")
        )

    def test_old_server(self) -> None:
        """A server older than 13 is refused."""
        admin.check_version((13, 0), "db.example")
        with self.assertRaises(ServerError) as caught:
            admin.check_version((12, 4), "db.example")
        self.assertEqual(
            str(caught.exception),
            "the server on db.example is PostgreSQL 12.4, which is too old: 13 or newer is needed. "
            "Name a newer one in DBTESTCASE_DATABASE, or let it be postgresql, which is the "
            "embedded server.",
        )

    def test_strategy(self) -> None:
        """Servers older than 15 copy files anyway, and do not know the word."""
        for version, clause in [((14, 2), ""), ((15, 0), " STRATEGY FILE_COPY")]:
            work = mock.Mock(version=version)
            templates._create(work, "x", 'a"b')
            work.run.assert_called_once_with(f'CREATE DATABASE "x" TEMPLATE "a""b"{clause}')

    def test_quoting(self) -> None:
        """Quotes and backslashes in a text do not end it."""
        server = embedded.server().url().set(database="postgres")
        connection = Admin(server, "test")
        self.addCleanup(connection.close)
        for text in ("it's", 'a "b"', "back\\slash ' both", "% %s :x"):
            self.assertEqual(connection.value(f"SELECT {admin.literal(text)}"), text)

    def test_listeners_of_the_program(self) -> None:
        """What the program listens to on every engine does not see our connections."""

        def listen(*arguments: object) -> None:
            raise AssertionError("called")

        for name in ("do_connect", "connect", "checkout", "before_cursor_execute"):
            event.listen(sa.Engine, name, listen)
            self.addCleanup(event.remove, sa.Engine, name, listen)
        connection = Admin(embedded.server().url().set(database="postgres"), "test")
        self.addCleanup(connection.close)
        self.assertEqual(connection.value("SELECT 2"), 2)

    def test_server_version(self) -> None:
        """The version is the one that the server tells."""
        connection = Admin(embedded.server().url().set(database="postgres"), "test")
        self.addCleanup(connection.close)
        self.assertEqual(connection.server_version, embedded.server().version)
        self.assertEqual(connection.version, tuple(map(int, connection.server_version.split("."))))


class TestPrivateEngine(unittest.TestCase):
    def test_option(self) -> None:
        """The library's own engines can be told by all who watch engines."""
        engine = base.private_engine(sa.make_url("sqlite://"), "test")
        self.assertEqual(dict(engine.get_execution_options()), {"dbtestcase_private": True})


def load_tests(
    loader: unittest.TestLoader, tests: unittest.TestSuite, pattern: str | None
) -> unittest.TestSuite:
    """Run the examples too, and leave out the class that only holds tests for others."""
    chosen = unittest.TestSuite([doctest.DocTestSuite(databases)])
    for each in tests:
        if not (isinstance(each, unittest.TestSuite) and _is_abstract(each)):
            chosen.addTest(each)
    return chosen


def _is_abstract(suite: unittest.TestSuite) -> bool:
    return any(type(test) is LeaseTests for test in suite)

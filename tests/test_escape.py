"""What gets past the sandbox is noticed, named, and gone before anybody else sees it."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg2
import psycopg2.extensions
from sqlalchemy import create_engine, insert, make_url, select, text

from dbtestcase import DatabaseTestCase, SQLSchema
from dbtestcase.errors import EscapeError, SandboxConflict
from dbtestcase.sandbox.psycopg2_driver import Psycopg2Sandbox

from .apps import plain
from .apps.flask_sqlalchemy_factory import User, db
from .support import SHOP, Project, connect_past_sqlalchemy, look, no_settings, run
from .test_cases import Plain, Shop, users

# without the sequence, from which a stranger's number would be gone for the tests as well
INSERT = "INSERT INTO users (id, name) VALUES (99, 'eve')"
FORKED = (
    "a forked process uses a connection of {}'s sandbox. It shares the socket of its parent, and "
    "would take its parent's answers. Let the child make an engine for a database of its own, "
    "which let_through names, or test this code on real connections: in a unittest.TestCase, on a "
    "database of its own."
)


def setUpModule() -> None:
    unittest.enterModuleContext(no_settings())


def stranger(url: str) -> Any:
    """Connect as a program does that knows nothing of engines."""
    parts = make_url(url)
    arguments = parts.translate_connect_args(username="user", database="dbname")
    return psycopg2.connect(**arguments, **parts.query, application_name="stranger")


def write(url: str) -> None:
    connection = stranger(url)
    with connection, connection.cursor() as cursor:
        cursor.execute(INSERT)
    connection.close()


class WithAlice(Plain):
    """A class with data; each test asserts that it sees nothing but those."""

    @classmethod
    def setUpTestData(cls) -> None:
        cls.alice = plain.User(name="alice")
        cls.session.add(cls.alice)
        cls.session.commit()

    def clean(self) -> None:
        with self.engine.begin() as connection:
            self.assertEqual(connection.scalars(select(users.c.name)).all(), ["alice"])
            added = connection.execute(insert(users).values(name="bob"))
            self.assertEqual(added.inserted_primary_key, (2,))
        self.assertEqual(self.alice.name, "alice")


class WithoutData(Plain):
    def clean(self) -> None:
        with self.engine.begin() as connection:
            self.assertEqual(connection.scalars(select(users.c.name)).all(), [])
            added = connection.execute(insert(users).values(name="bob"))
            self.assertEqual(added.inserted_primary_key, (1,))


class EscapeTest(unittest.TestCase):
    maxDiff = None

    def setUp(self) -> None:
        Project(self, {}).enter(self)  # databases that nobody else looks at
        self.left: list[Any] = []
        self.addCleanup(lambda: [connection.close() for connection in self.left])

    def classes(self, escape: Any) -> list[type[DatabaseTestCase]]:
        """Give classes of either kind whose second test lets something escape."""

        def test_2_escape(case: Any) -> None:
            escape(case)

        return [
            type(base.__name__, (base,), {"test_2_escape": test_2_escape, **CLEAN(base)})
            for base in (WithAlice, WithoutData)
        ]

    def assert_escapes(self, escape: Any, message: str) -> None:
        """The test that escapes fails, and all others see a clean database."""
        for case in self.classes(escape):
            with self.subTest(case.__name__):
                report = run(case, case)
                names = [name.split()[0] for name, _ in report.problems]
                self.assertEqual(names, ["test_2_escape"] * 2, report.messages)
                for told in report.messages:
                    self.assertRegex(told, f"^{message}$")
                self.assertEqual(run(Next).messages, [])
                self.assertEqual(look(Next.url).rows, {})


def CLEAN(base: Any) -> dict[str, Any]:
    return {"test_1_clean": base.clean, "test_3_clean": base.clean, "test_4_clean": base.clean}


class Next(WithoutData):
    """The next class, which sees a clean database."""

    url = ""

    def test_it(self) -> None:
        type(self).url = self.database_url
        self.clean()

    @classmethod
    def setUpTestData(cls) -> None:
        rows = look(cls.database_url).rows
        assert rows == {}, rows


COMMITTED = (
    r'EscapeError: something was really committed to database "\w+" on [^:]+(:\d+)? in this test: '
    r"rows of users{}\. It came past SQLAlchemy's engines, by a connection of its own or another "
    r"process\. Let the program take its connections from the engine: engine\.raw_connection\(\)\. "
    r"The database is built anew\."
)


class TestStrangers(EscapeTest):
    """Connections that the sandbox knows nothing of."""

    def test_raw_connection_of_the_driver(self) -> None:
        """psycopg2.connect() and a commit: the test fails, the next ones have a new database."""
        self.assert_escapes(lambda case: write(case.database_url), COMMITTED.format(""))

    def test_beside_work_of_the_test(self) -> None:
        """So it does where the test has used its own connections, too."""

        def escape(case: Any) -> None:
            case.clean()
            write(case.database_url)
            with case.engine.begin() as connection:
                connection.execute(insert(users).values(name="carol"))

        self.assert_escapes(escape, COMMITTED.format(""))

    def test_connection_left_open(self) -> None:
        """A stranger that is connected still is named, by process, application and last query."""

        def escape(case: Any) -> None:
            connection = stranger(case.database_url)
            self.left.append(connection)
            connection.cursor().execute(INSERT)
            connection.commit()

        named = r"; connected still: pid \d+ \(stranger\), last query: COMMIT"
        self.assert_escapes(escape, COMMITTED.format(named))

    def test_commit_in_a_later_test(self) -> None:
        """A stranger that stays is watched: the test in which it commits is the one that fails."""

        class Staying(WithAlice):
            def test_1_connect(case) -> None:
                self.left.append(stranger(case.database_url))
                self.left[-1].cursor().execute(INSERT)

            def test_2_nothing(case) -> None:
                case.clean()

            def test_3_commit(case) -> None:
                self.left[-1].commit()

            def test_4_clean(case) -> None:
                case.clean()

        report = run(Staying)
        names = [name.split()[0] for name, _ in report.problems]
        self.assertEqual(names, ["test_3_commit"], report.messages)
        self.assertRegex(report.messages[0], "last query: COMMIT")
        self.assertEqual(run(Next).messages, [])

    def test_reader(self) -> None:
        """A stranger that only reads, or rolls back, is no error."""

        def read(case: Any) -> None:
            for end in ("COMMIT", "ROLLBACK"):
                connection = stranger(case.database_url)
                with connection.cursor() as cursor:
                    cursor.execute("SELECT * FROM users")
                    case.assertEqual(cursor.fetchall(), [])
                    if end == "ROLLBACK":
                        cursor.execute(INSERT)
                    cursor.execute(end)
                connection.close()
            case.clean()

        for case in self.classes(read):
            with self.subTest(case.__name__):
                self.assertEqual(run(case, Next).messages, [])

    def test_subprocess(self) -> None:
        """A subprocess that writes is noticed, in classes too that do not connect themselves."""
        code = (
            "import sys, psycopg2; c = psycopg2.connect(sys.argv[1]); "
            f'c.cursor().execute("{INSERT}"); c.commit()'
        )

        def escape(case: Any) -> None:
            url = make_url(case.database_url).set(drivername="postgresql")
            shown = url.render_as_string(hide_password=False)
            subprocess.run([sys.executable, "-c", code, shown], check=True)

        self.assert_escapes(escape, COMMITTED.format(""))

        class Alone(Plain):
            def test_1_escape(case) -> None:
                escape(case)

            def test_2_nothing(case) -> None:
                pass

        self.assertEqual(run(Next).messages, [])
        report = run(Alone)
        self.assertEqual([name.split()[0] for name, _ in report.problems], ["test_1_escape"])
        self.assertRegex(report.messages[0], COMMITTED.format(""))
        self.assertEqual(run(Next).messages, [])

    def test_definitions(self) -> None:
        """A stranger's CREATE TABLE, ALTER TABLE or TRUNCATE is noticed as its rows are."""
        for statement, table in (
            ("CREATE TABLE evil (id int)", "evil"),
            ("ALTER TABLE posts ADD COLUMN evil int", "posts"),
            ("TRUNCATE posts", "posts"),
        ):

            def escape(case: Any, statement: str = statement) -> None:
                connection = stranger(case.database_url)
                with connection, connection.cursor() as cursor:
                    cursor.execute("SET lock_timeout = '5s'")
                    cursor.execute(statement)
                connection.close()

            expected = COMMITTED.replace("rows of users{}", f"the definition of {table}")
            with self.subTest(statement):
                self.assert_escapes(escape, expected)

    def test_stranger_that_waits(self) -> None:
        """A stranger waits 10 seconds for what the test holds; the program sees no such limit."""
        found: list[list[str]] = []

        class Waiting(Plain):
            def test_it(case) -> None:
                def show(connection: Any) -> str:
                    return str(connection.exec_driver_sql("SHOW lock_timeout").scalar())

                outside = stranger(case.database_url)
                with outside, outside.cursor() as cursor:
                    cursor.execute("SHOW lock_timeout")
                    found.append([cursor.fetchone()[0]])
                outside.close()
                with case.engine.connect() as connection:
                    found.append([show(connection)])
                    for change in (
                        "SET lock_timeout = '5s'",
                        "RESET lock_timeout",
                        "SET LOCAL lock_timeout = '6s'",
                        "RESET ALL",
                    ):
                        connection.exec_driver_sql(change)
                        found[-1].append(show(connection))

        self.assertEqual(run(Waiting).messages, [])
        self.assertEqual(found, [["10s"], ["0", "5s", "0", "6s", "0"]])

    def test_deleted_rows(self) -> None:
        """Of rows that a stranger deleted nothing tells; the next class has them again."""
        path = Path.cwd() / "schema.sql"
        path.write_text(
            "CREATE TABLE colour (name text); INSERT INTO colour VALUES ('red'), ('blue');"
        )

        class Seeded(DatabaseTestCase):
            database = "postgresql"
            schema = SQLSchema(path)

            def test_it(case) -> None:
                with case.engine.connect() as connection:
                    found = connection.scalar(text("SELECT count(*) FROM colour"))
                    case.assertEqual(found, 2)

        class Deleting(Seeded):
            where = "test"

            def delete(case) -> None:
                connection = stranger(case.database_url)
                with connection, connection.cursor() as cursor:
                    cursor.execute("DELETE FROM colour WHERE name = 'red'")
                connection.close()

            def test_it(case) -> None:
                super().test_it()
                if case.where == "test":
                    case.delete()

            @classmethod
            def tearDownClass(cls) -> None:
                if cls.where == "tearDownClass":
                    cls.delete(cls)
                super().tearDownClass()

        for where in ("test", "tearDownClass"):
            with self.subTest(where):
                Deleting.where = where
                self.assertEqual(run(Deleting, Seeded).messages, [])

    def test_connected_before(self) -> None:
        """A stranger that came before the tests connected is watched, too."""
        path = Path.cwd() / "schema.sql"
        path.write_text("CREATE TABLE colour (name text); INSERT INTO colour VALUES ('red');")

        class Seeded(DatabaseTestCase):
            database = "postgresql"
            schema = SQLSchema(path)

            def check(case) -> None:
                with case.engine.connect() as connection:
                    colours = connection.scalars(text("SELECT name FROM colour")).all()
                    case.assertEqual(colours, ["red"])

            test_1 = check

        class Early(Seeded):
            statement = ""

            @classmethod
            def setUpClass(cls) -> None:
                super().setUpClass()
                self.left.append(stranger(cls.database_url))

            def test_2(case) -> None:
                case.check()
                with self.left[-1] as connection, connection.cursor() as cursor:
                    cursor.execute(case.statement)

            @classmethod
            def tearDownClass(cls) -> None:
                self.left.pop().close()
                super().tearDownClass()

        self.assertEqual(run(Seeded).messages, [])
        Early.statement = "DELETE FROM colour"
        self.assertEqual(run(Early, Seeded).messages, [])
        Early.statement = "INSERT INTO colour VALUES ('evil')"
        report = run(Early, Seeded)
        self.assertEqual([name.split()[0] for name, _ in report.problems], ["test_2"])
        self.assertRegex(report.messages[0], "in this test: rows of colour; connected still: pid")

    def test_outside_of_tests(self) -> None:
        """What escapes in the class's set-up or teardown is an error of the class."""

        class InSetUp(WithAlice):
            @classmethod
            def setUpTestData(cls) -> None:
                super().setUpTestData()
                cls.session.rollback()
                connection = stranger(cls.database_url)
                with connection, connection.cursor() as cursor:
                    cursor.execute("INSERT INTO posts (title) VALUES ('evil')")
                connection.close()

            def test_it(self) -> None:
                pass

        class InTearDown(WithAlice):
            def test_it(self) -> None:
                self.clean()

            @classmethod
            def tearDownClass(cls) -> None:
                connection = stranger(cls.database_url)
                with connection, connection.cursor() as cursor:
                    cursor.execute("INSERT INTO posts (title) VALUES ('evil')")
                connection.close()
                super().tearDownClass()

        for case in (InSetUp, InTearDown):
            with self.subTest(case.__name__):
                report = run(case)
                self.assertEqual({type(error) for _, error in report.problems}, {EscapeError})
                self.assertIn("rows of posts", report.messages[0])
                self.assertEqual(run(Next).messages, [])


class TestStrangersBesidePsycopg(EscapeTest):
    """The same where the tests' own connection is psycopg 3's."""

    def setUp(self) -> None:
        self.enterContext(mock.patch.object(Plain, "database", "postgresql+psycopg"))
        super().setUp()

    def test_in_a_test(self) -> None:
        """A stranger's commit fails its test, whether or not the test uses its connection."""

        def escape(case: Any) -> None:
            case.clean()
            write(case.database_url)

        self.assert_escapes(escape, COMMITTED.format(""))
        self.assert_escapes(lambda case: write(case.database_url), COMMITTED.format(""))


class TestMessages(EscapeTest):
    def messages(self, base: type[Any], *, watched: bool) -> int:
        """Count the messages of ours for one test of several."""
        sent: list[int] = []

        def count(case: Any) -> None:
            case.clean()
            if not watched:
                vars(type(case))["_dbtestcase"].fixture.sandboxes[None]._visitors.question = ""
            sent.append(sends.call_count)
            time.sleep(0.002)  # long enough for somebody to have connected

        tests = {f"test_{number}": count for number in range(4)}
        send = Psycopg2Sandbox._send
        with mock.patch.object(Psycopg2Sandbox, "_send", autospec=True, side_effect=send) as sends:
            self.assertEqual(run(type("Counted", (base,), tests)).messages, [])
        return sent[-1] - sent[-2]

    def test_watching_costs_no_message(self) -> None:
        """Who else is connected is asked in the message that ends a test, not in one of its own."""
        for base in (WithAlice, WithoutData):
            with self.subTest(base.__name__):
                unwatched = self.messages(base, watched=False)
                self.assertGreater(unwatched, 0)
                self.assertEqual(self.messages(base, watched=True), unwatched)


class TestStrangersInMemory(unittest.TestCase):
    """A connection to the database in memory that the driver made for the program."""

    MESSAGE = (
        "EscapeError: something was really committed to the SQLite database in memory {}. It came "
        "past SQLAlchemy's engines, by a connection of its own. Let the program take its "
        "connections from the engine: engine.raw_connection(). The database is filled anew."
    )

    @staticmethod
    def write(url: str) -> None:
        with connect_past_sqlalchemy(url) as connection:
            connection.execute(INSERT)
            connection.commit()

    def test_in_a_test(self) -> None:
        """The test in which it commits fails, and no other sees its rows."""

        class Escaping(WithoutData):
            database = "sqlite"
            test_1_clean = test_3_clean = test_5_clean = WithoutData.clean

            def test_2_escape(case) -> None:
                self.write(case.database_url)

            def test_4_escape(case) -> None:
                with case.engine.connect() as connection:
                    connection.execute(select(users)).all()
                self.write(case.database_url)

        report = run(Escaping, Escaping)
        names = [name.split()[0] for name, _ in report.problems]
        self.assertEqual(names, ["test_2_escape", "test_4_escape"] * 2, report.messages)
        self.assertEqual(set(report.messages), {self.MESSAGE.format("in this test")})

    def test_beside_work_of_the_class(self) -> None:
        """Beside class data, or a test's own writes, nobody else can write."""

        class Locked(WithAlice):
            database = "sqlite"

            def test_it(case) -> None:
                case.clean()
                with case.assertRaisesRegex(sqlite3.OperationalError, "database is locked"):
                    self.write(case.database_url)

        self.assertEqual(run(Locked).messages, [])

    def test_at_the_end_of_the_class(self) -> None:
        """What escapes in tearDownClass is an error of the class, and the next one is clean."""

        class Escaping(WithoutData):
            database = "sqlite"
            test_it = WithoutData.clean

            @classmethod
            def tearDownClass(cls) -> None:
                self.write(cls.database_url)

        class Following(WithoutData):
            database = "sqlite"
            test_it = WithoutData.clean

        report = run(Escaping, Following)
        self.assertEqual(
            report.messages,
            [self.MESSAGE.format("while the class ran, and other tests may have seen it")],
        )


class TestCommit(EscapeTest):
    def test_behind_the_sandbox(self) -> None:
        """A COMMIT on the real connection fails its test, and all is built anew."""

        def escape(case: Any) -> None:
            case.clean()
            connection = case.engine.raw_connection()
            real = connection.dbapi_connection.real
            with psycopg2.extensions.connection.cursor(
                real, cursor_factory=psycopg2.extensions.cursor
            ) as cursor:
                psycopg2.extensions.cursor.execute(cursor, "COMMIT")
            judged.append(look(case.database_url).rows["users"][-1])

        judged: list[str] = []
        self.assert_escapes(
            escape,
            r"EscapeError: the transaction in which \w+ plays everything was ended past the "
            r"sandbox, so something was really committed to database '\w+'\. Look for a COMMIT "
            r"that went to the real connection, from a C extension for example\.",
        )
        self.assertEqual(judged, ["bob"] * 4)  # it really was


class TestFork(EscapeTest):
    """Child processes that a test forks."""

    def assert_refused(self, child: Any) -> None:
        """The child is refused, and its end leaves the parent's transaction alone."""

        class Forking(Shop):
            database = "postgresql"

            @classmethod
            def setUpTestData(cls) -> None:
                db.session.add(User(name="alice"))
                db.session.commit()

            def check(case) -> None:
                db.session.add(User(name="bob"))
                db.session.commit()
                db.session.add(User(name="carol"))
                db.session.flush()
                told.append(child())
                found = db.session.scalars(select(User.name).order_by(User.id))
                case.assertEqual(list(found), ["alice", "bob", "carol"])
                db.session.commit()
                case.assertEqual(case.client.get("/users").json, ["alice", "bob", "carol"])

            test_1 = test_2 = check

        told: list[str] = []
        report = run(Forking)
        self.assertEqual(report.messages, [])
        self.assertEqual(told, [FORKED.format("Forking")] * 2)
        self.assertEqual(run(Next).messages, [])

    def test_os_fork(self) -> None:
        """os.fork(), whose child throws away what it inherited."""

        def child() -> str:
            read, write_end = os.pipe()
            pid = os.fork()
            if pid == 0:
                try:
                    said = self.use_everything()
                    os.write(write_end, said.encode())
                finally:
                    os._exit(0)
            os.close(write_end)
            with os.fdopen(read) as pipe:
                said = pipe.read()
            self.assertEqual(os.waitpid(pid, 0)[1], 0)
            return said

        self.assert_refused(child)

    def test_multiprocessing(self) -> None:
        """multiprocessing's fork, whose child ends by itself."""
        context = multiprocessing.get_context("fork")

        def work(queue: Any) -> None:
            queue.put(self.use_everything())

        def child() -> str:
            queue = context.SimpleQueue()
            process = context.Process(target=work, args=[queue])
            process.start()
            said: str = queue.get()
            process.join()
            self.assertEqual(process.exitcode, 0)
            return said

        self.assert_refused(child)

    def test_database_of_its_own(self) -> None:
        """The way on that the text names: the child has an engine for a database of its own."""
        file = f"{self.enterContext(tempfile.TemporaryDirectory())}/child.db"

        def child() -> None:
            engine = create_engine(f"sqlite:///{file}")
            with engine.begin() as connection:
                connection.exec_driver_sql("CREATE TABLE found (name VARCHAR)")
            engine.dispose()
            db.session.remove()

        class Forking(Shop):
            database = "postgresql"
            let_through = (file,)

            def test_it(case) -> None:
                db.session.add(User(name="bob"))
                db.session.commit()
                pid = os.fork()
                if pid == 0:
                    status = 1
                    try:
                        child()
                        status = 0
                    finally:
                        os._exit(status)
                case.assertEqual(os.waitpid(pid, 0)[1], 0)
                case.assertEqual(list(db.session.scalars(select(User.name))), ["bob"])

        self.assertEqual(run(Forking, Next).messages, [])
        self.assertEqual(look(f"sqlite:///{file}").tables, {"found"})

    def test_child_that_exits_in_the_test(self) -> None:
        """A child that leaves by sys.exit(), and so through the test's own cleanups."""
        suite = """
    import os, sys, unittest
    from dbtestcase import DatabaseTestCase, SQLSchema
    from shop import User, create_app, db

    class TestFork(DatabaseTestCase):
        @classmethod
        def create_app(cls):
            return create_app(cls.database_url)

        @classmethod
        def setUpTestData(cls):
            db.session.add(User(name="alice"))
            db.session.commit()

        def check(self):
            db.session.add(User(name="bob"))
            db.session.commit()
            pid = os.fork()
            if pid == 0:
                sys.stdout = sys.stderr = open(os.devnull, "w")
                sys.exit(0)
            os.waitpid(pid, 0)
            names = db.session.scalars(db.select(User.name).order_by(User.id)).all()
            self.assertEqual(names, ["alice", "bob"])

        test_1 = test_2 = check
"""
        project = Project(self, {"shop.py": SHOP, "test_shop.py": suite})
        code, output = project.run("unittest", "test_shop")
        self.assertRegex(output, r"(?s)Ran 2 tests.*\nOK\n")
        self.assertEqual(code, 0)

    def use_everything(self) -> str:
        """In the child: close, roll back, collect, and then ask for something."""
        with contextlib.suppress(SandboxConflict):
            db.session.rollback()
        try:
            db.session.remove()
            db.engine.dispose()
            gc.collect()
            with db.engine.connect() as connection:
                connection.execute(text("SELECT 1"))
        except SandboxConflict as error:
            return str(error)
        except BaseException as error:
            return repr(error)
        return "nothing was raised"


if __name__ == "__main__":
    unittest.main()

"""Runs that are killed, interrupted or made at the same moment, and runners of other kinds."""

from __future__ import annotations

import contextlib
import re
import signal
import time
import unittest
from collections.abc import Iterator
from typing import Any

from dbtestcase import embedded

from .support import SHOP, Project, connect_past_sqlalchemy, look

SUITE = """
    import os, pathlib, time, unittest
    from dbtestcase import DatabaseTestCase
    from shop import User, create_app, db

    class Shop(DatabaseTestCase):
        @classmethod
        def create_app(cls):
            return create_app(cls.database_url)

    class TestBefore(Shop):
        def test_ids_start_at_one(self):
            self.assertEqual(self.client.post("/users", data={"name": "bob"}).json, 1)

    class TestClassData(Shop):
        @classmethod
        def setUpTestData(cls):
            cls.users = [User(name=name) for name in ("alice", "ann")]
            db.session.add_all(cls.users)
            db.session.commit()

        def test_1(self):
            self.assertEqual([user.id for user in self.users], [1, 2])
            self.assertEqual(self.client.post("/users", data={"name": "bob"}).json, 3)

        def test_2(self):
            self.assertEqual(self.client.post("/users", data={"name": "bob"}).json, 3)
            db.session.add(User(name="carol"))
            db.session.flush()
            pathlib.Path(f"reached-{os.getpid()}").write_text(self.database_url)
            while pathlib.Path("wait").exists():
                time.sleep(0.01)
            self.assertEqual(db.session.query(User).count(), 4)

    class TestLast(Shop):
        def test_ids_start_at_one(self):
            self.assertEqual(self.client.post("/users", data={"name": "bob"}).json, 1)
"""
"""4 tests, one of which stops with writes and sequences advanced while there is a file ``wait``."""


class RobustnessTest(unittest.TestCase):
    def setUp(self) -> None:
        self.project = Project(self, {"shop.py": SHOP, "test_shop.py": SUITE})

    def assert_passes(self) -> None:
        code, output = self.project.run("unittest")
        self.assertRegex(output, r"(?s)Ran 4 tests.*\n\nOK\n\Z")
        self.assertEqual(code, 0)

    @contextlib.contextmanager
    def stopped_in_a_test(self) -> Iterator[tuple[Any, str]]:
        """Give a run that holds writes, and the URL of its database."""
        wait = self.project.directory / "wait"
        wait.touch()
        process = self.project.start("unittest")
        try:
            reached = self.project.directory / f"reached-{process.pid}"
            until = time.monotonic() + 60
            while not (reached.exists() and reached.read_text()):
                self.assertIsNone(process.poll(), "it ended too early")
                self.assertLess(time.monotonic(), until)
                time.sleep(0.01)
            yield process, reached.read_text()
        finally:
            wait.unlink(missing_ok=True)
            if process.poll() is None:
                process.kill()
            process.communicate()

    def databases(self) -> list[str]:
        url = embedded.server().url().set(database="postgres")
        with connect_past_sqlalchemy(url) as connection:
            cursor = connection.cursor()
            cursor.execute(
                "SELECT datname FROM pg_database WHERE datname LIKE %s ORDER BY 1",
                (f"dbtestcase_{self.project.name}_%",),
            )
            return [name for (name,) in cursor]

    def assert_nobody_is_connected(self, url: str) -> None:
        """A server learns of a client's death a moment later."""
        name = url.rpartition("/")[2].partition("?")[0]
        server = embedded.server().url().set(database="postgres")
        with connect_past_sqlalchemy(server) as connection:
            connection.autocommit = True
            cursor = connection.cursor()
            until = time.monotonic() + 30
            while True:
                cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = %s", (name,))
                if cursor.fetchone() == (0,):
                    return
                self.assertLess(time.monotonic(), until)
                time.sleep(0.01)


class TestKill(RobustnessTest):
    def test_kill_while_a_test_holds_writes(self) -> None:
        """After kill -9 in a test the next run passes, with ids from 1 in the same database."""
        self.assert_passes()
        for _ in range(2):
            with self.stopped_in_a_test() as (process, url):
                self.assertEqual(look(url).rows, {})
                self.assertEqual(look(url).sequences, {"users_id_seq": 4})
                process.kill()
                process.wait()
            self.assert_nobody_is_connected(url)
            self.assertEqual(look(url).rows, {})
            self.assert_passes()
            self.assertEqual((look(url).rows, look(url).sequences), ({}, {}))
        self.assertEqual(len(self.databases()), 1)

    def test_kill_of_the_first_run(self) -> None:
        """The very first run may be killed."""
        with self.stopped_in_a_test() as (process, url):
            process.kill()
            process.wait()
        self.assert_nobody_is_connected(url)
        self.assert_passes()
        self.assertEqual(len(self.databases()), 1)

    def test_kill_at_any_moment(self) -> None:
        """Wherever a run is killed, the next one passes."""
        self.assert_passes()
        for step in range(6):
            process = self.project.start("unittest")
            with contextlib.suppress(Exception):
                process.wait(timeout=0.2 + step * 0.1)
            process.kill()
            process.communicate()
        self.assert_passes()

    def test_interrupt(self) -> None:
        """Ctrl-C in a test leaves no rows and no connection, and the next run starts at 1."""
        with self.stopped_in_a_test() as (process, url):
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=60)
        self.assertIn("KeyboardInterrupt", output)
        self.assertNotIn("dbtestcase", output.split("KeyboardInterrupt")[-1])
        self.assert_nobody_is_connected(url)
        self.assertEqual(look(url).rows, {})
        self.assert_passes()
        self.assertEqual((look(url).rows, look(url).sequences), ({}, {}))
        self.assertEqual(len(self.databases()), 1)


class TestAtOnce(RobustnessTest):
    def test_two_runs_at_once(self) -> None:
        """Two runs of one suite at the same moment do not disturb each other."""
        runs = [self.stopped_in_a_test(), self.stopped_in_a_test()]
        with runs[0] as (first, first_url), runs[1] as (second, second_url):
            self.assertNotEqual(first_url, second_url)
            for url in (first_url, second_url):
                self.assertEqual(look(url).rows, {})
            (self.project.directory / "wait").unlink()
            for process in (first, second):
                output, _ = process.communicate(timeout=60)
                self.assertRegex(output, r"(?s)Ran 4 tests.*\n\nOK\n\Z")
        for url in (first_url, second_url):
            content = look(url)
            self.assertEqual((content.rows, content.sequences), ({}, {}))
        self.assertEqual(len(self.databases()), 2)

    def test_first_runs_at_once(self) -> None:
        """So do several that are the first ones, and must build the template."""
        processes = [self.project.start("unittest") for _ in range(4)]
        for process in processes:
            output, _ = process.communicate(timeout=120)
            self.assertRegex(output, r"(?s)Ran 4 tests.*\n\nOK\n\Z")
        self.assertLessEqual(len(self.databases()), 4)

    def test_run_beside_a_killed_one(self) -> None:
        """A run that starts while another is killed passes."""
        with self.stopped_in_a_test() as (process, _):
            process.kill()
            (self.project.directory / "wait").unlink()
            self.assert_passes()

    def test_second_run_finds_its_database(self) -> None:
        """The second run uses the database of the first, as it is."""
        self.assert_passes()
        server = embedded.server().url().set(database="postgres")

        def identity() -> Any:
            with connect_past_sqlalchemy(server) as connection:
                cursor = connection.cursor()
                cursor.execute(
                    "SELECT oid FROM pg_database WHERE datname = ANY(%s)", (self.databases(),)
                )
                return cursor.fetchall()

        before = identity()
        self.assert_passes()
        self.assertEqual(identity(), before)
        self.assertEqual(len(before), 1)


class TestRunners(RobustnessTest):
    """The same suite under every runner."""

    def test_unittest(self) -> None:
        """python -m unittest."""
        self.assert_passes()

    def test_unittest_with_options(self) -> None:
        """Single tests, by name and by pattern with buffered output."""
        for options in (["test_shop.TestClassData.test_1"], ["-b", "-k", "test_1"]):
            code, output = self.project.run("unittest", *options)
            self.assertRegex(output, r"(?s)Ran 1 test .*\n\nOK\n\Z")
            self.assertEqual(code, 0)

    def test_pytest(self) -> None:
        """pytest, which collects no class of the library's."""
        code, output = self.project.run("pytest", "-q", "-p", "no:cacheprovider")
        self.assertRegex(output, r"\n4 passed in ")
        self.assertEqual(code, 0)

    def test_pytest_on_two_processes(self) -> None:
        """pytest -n 2, whose workers have a database each."""
        code, output = self.project.run("pytest", "-q", "-p", "no:cacheprovider", "-n", "2")
        self.assertRegex(output, r"\n4 passed in ")
        self.assertEqual(code, 0)
        self.assertLessEqual(len(self.databases()), 2)
        self.assert_passes()

    def test_unittest_parallel(self) -> None:
        """unittest-parallel, at the levels that run class fixtures."""
        for level in ("module", "class"):
            code, output = self.project.run("unittest_parallel", "-j", "2", "--level", level)
            self.assertRegex(output, r"(?s)Ran 4 tests.*\nOK\n")
            self.assertEqual(code, 0)
            # its workers are ended by SIGTERM, when they have nothing to do any more
            _, told = self.project.run("dbtestcase", "info")
            self.assertEqual(
                re.findall(rf"dbtestcase_{self.project.name}_\d+: (.*)", told),
                ["ready"] * len(self.databases()),
                told,
            )
        self.assert_passes()

    def test_pytest_fixture_order(self) -> None:
        """pytest's own fixtures and marks are at hand in a class."""
        (self.project.directory / "test_marks.py").write_text(
            re.sub(
                "(?m)^    ",
                "",
                """
    import pytest
    from dbtestcase import DatabaseTestCase
    from shop import create_app, db

    class TestMarks(DatabaseTestCase):
        @classmethod
        def create_app(cls):
            return create_app(cls.database_url)

        @pytest.fixture(autouse=True)
        def around(self):
            yield

        @pytest.mark.skip(reason="not today")
        def test_skip(self):
            raise AssertionError

        def test_it(self):
            assert self.client.post("/users", data={"name": "bob"}).json == 1
""",
            )
        )
        code, output = self.project.run("pytest", "-q", "-p", "no:cacheprovider")
        self.assertRegex(output, r"\n5 passed, 1 skipped in ")
        self.assertEqual(code, 0)

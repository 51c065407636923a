"""What pytest does differently from unittest, and what both runners must do alike."""

from __future__ import annotations

import unittest

from .support import SHOP, Project, look

HEAD = """
    import pathlib, unittest
    import pytest
    from dbtestcase import DatabaseTestCase, EngineMixin, FlaskMixin, SandboxMixin
    from shop import User, create_app, db

    def names():
        return db.session.scalars(db.select(User.name).order_by(User.id)).all()

    def add(name):
        user = User(name=name)
        db.session.add(user)
        db.session.commit()
        return user.id

    class Shop(DatabaseTestCase):
        @classmethod
        def create_app(cls):
            return create_app(cls.database_url)

        @classmethod
        def setUpTestData(cls):
            cls.alice = User(name="alice")
            db.session.add(cls.alice)
            db.session.commit()
            pathlib.Path("url").write_text(cls.database_url)
"""

# a warning of ours would be an error
PYTEST = ("pytest", "-q", "-p", "no:cacheprovider", "-W", "error::dbtestcase.DatabaseTestWarning")


class PytestTest(unittest.TestCase):
    def suite(self, text: str, **files: str) -> Project:
        files = {f"{name}.py": content for name, content in files.items()}
        return Project(self, {"shop.py": SHOP, "test_shop.py": HEAD + text, **files})

    def assert_both(self, project: Project, *, pytest: str, unittest: str) -> None:
        """Both runners end so, and leave nothing."""
        for command, end in ((PYTEST, pytest), (("unittest",), unittest), (PYTEST, pytest)):
            _, output = project.run(*command)
            self.assertRegex(output, f"(?s).*{end}", output)
            self.assert_clean(project)

    def assert_clean(self, project: Project) -> None:
        content = look((project.directory / "url").read_text())
        self.assertEqual((content.rows, content.sequences), ({}, {}))


class TestFixtures(PytestTest):
    def test_function_scope(self) -> None:
        """What a test's fixtures write is the test's, from the first one on, until they end."""
        project = self.suite("""
    class TestFixtures(Shop):
        @pytest.fixture(autouse=True)
        def bob(self):
            assert names() == ["alice"]
            assert add("bob") == 2
            yield
            assert names()[:2] == ["alice", "bob"]
            db.session.delete(db.session.get(User, 2))
            db.session.commit()
            assert "bob" not in names()

        @pytest.fixture
        def carol(self):
            add("carol")

        def check(self):
            self.assertEqual(names(), ["alice", "bob"])
            self.assertEqual(self.alice.name, "alice")
            self.client.post("/users", data={"name": "dave"})
            self.assertEqual(names(), ["alice", "bob", "dave"])
            db.session.add(User(name="left"))
            db.session.flush()

        test_1 = test_2 = test_3 = check

        @pytest.mark.usefixtures("carol")
        def test_4(self):
            self.assertEqual(names(), ["alice", "bob", "carol"])
""")
        code, output = project.run(*PYTEST)
        self.assertRegex(output, r"\n4 passed in ")
        self.assertEqual(code, 0, output)
        self.assert_clean(project)

    def test_class_scope(self) -> None:
        """What a fixture of the class writes is there in all tests, as that of setUpClass is."""
        project = self.suite("""
    class TestFixtures(Shop):
        @classmethod
        def setUpClass(cls):
            super().setUpClass()
            add("of setUpClass")

        @pytest.fixture(autouse=True, scope="class")
        def bob(self):
            add("of the fixture")

        @pytest.fixture(autouse=True)
        def carol(self):
            add("carol")

        def check(self):
            expected = ["alice", "of setUpClass", "of the fixture", "carol"]
            self.assertEqual(names(), expected)

        test_1 = test_2 = check
""")
        code, output = project.run(*PYTEST)
        self.assertRegex(output, r"\n2 passed")
        self.assertEqual(code, 0, output)

    def test_fixture_that_fails(self) -> None:
        """A fixture that fails, or skips, after it wrote leaves nothing to the next test."""
        project = self.suite("""
    class TestFixtures(Shop):
        @pytest.fixture(autouse=True)
        def bob(self, request):
            add("bob")
            if "fails" in request.node.name:
                raise ZeroDivisionError
            if "skips" in request.node.name:
                pytest.skip("not today")

        def check(self):
            self.assertEqual(names(), ["alice", "bob"])

        test_1 = test_2_fails = test_3 = test_4_skips = test_5 = check
""")
        _, output = project.run(*PYTEST)
        self.assertRegex(output, r"\n3 passed, 1 skipped, 1 error in ")
        self.assert_clean(project)


class TestOptions(PytestTest):
    PDB = """
    import pdb

    class Quiet(pdb.Pdb):
        def interaction(self, *arguments, **keywords):
            print("in the debugger")
"""

    def test_pdb(self) -> None:
        """What tearDown writes when --pdb has postponed it is undone, with a warning."""
        project = self.suite(
            """
    class TestDebugged(Shop):
        def check(self):
            self.assertEqual(names(), ["alice"])
            self.assertEqual(add("bob"), 2)
            self.assertFalse(self.id().endswith("2"), "on purpose")

        def tearDown(self):
            add("late")

        test_1 = test_2 = test_3 = check
""",
            quiet=self.PDB,
        )
        _, output = project.run(*PYTEST[:-2], "--pdb", "--pdbcls=quiet:Quiet")
        self.assertIn("in the debugger", output)
        self.assertRegex(output, r"\n1 failed, 2 passed, \d+ warnings? in ")
        self.assertIn("between two tests is undone", " ".join(output.split()))
        self.assert_clean(project)

    def test_first_failure(self) -> None:
        """With -x, or unittest's -f, the run ends in order, and the next one is clean."""
        project = self.suite("""
    class TestFailing(Shop):
        def check(self):
            self.assertEqual(names(), ["alice"])
            self.assertEqual(add("bob"), 2)
            self.fail("on purpose")

        test_1 = test_2 = check
""")
        for command, end in (((*PYTEST, "-x"), "1 failed"), (("unittest", "-f"), "failures=1")):
            _, output = project.run(*command)
            self.assertIn("on purpose", output)
            self.assertRegex(output, end)
            self.assert_clean(project)


class TestBothRunners(PytestTest):
    def test_subtests(self) -> None:
        """Subtests share their test's work; one that fails is told, and the others go on."""
        project = self.suite("""
    class TestSubtests(Shop):
        def test_1(self):
            for number, name in enumerate(["bob", "carol", "dave"], 2):
                with self.subTest(name):
                    self.assertEqual(add(name), number)
                    self.assertNotEqual(name, "carol")
            self.assertEqual(names(), ["alice", "bob", "carol", "dave"])

        def test_2(self):
            with self.subTest("one"):
                self.assertEqual(add("bob"), 2)
            with self.subTest("two"):
                self.assertEqual(self.alice.name, "alice")
                self.assertEqual(names(), ["alice", "bob"])
""")
        self.assert_both(
            project, pytest=r"\n1 failed, .*passed.* in ", unittest=r"Ran 2 tests.*failures=1\)\n"
        )

    def test_warnings_as_errors(self) -> None:
        """A warning fails its test in each of the ways that the README names."""
        text = """
    class TestShop(Shop):
        def test_it(self):
            with self.engine.connect() as one, self.engine.connect() as other:
                one.exec_driver_sql("INSERT INTO users (name) VALUES ('bob')")
                other.exec_driver_sql("SELECT * FROM users")
"""
        module = """
    import warnings
    from dbtestcase import UncommittedDataWarning

    def setUpModule():
        warnings.simplefilter("error", UncommittedDataWarning)
"""
        error = "dbtestcase.UncommittedDataWarning"
        for added, command, environment, passes in (
            ("", ("unittest",), {}, True),
            ("", ("unittest",), {"PYTHONWARNINGS": "error::UserWarning"}, False),
            (module, ("unittest",), {}, False),
            (module, ("pytest", "-q", "-p", "no:cacheprovider"), {}, False),
            ("", ("pytest", "-q", "-p", "no:cacheprovider", "-W", f"error::{error}"), {}, False),
        ):
            with self.subTest(command, added=added, **environment):
                project = self.suite(added + text)
                code, output = project.run(*command, **environment)
                self.assertEqual(code == 0, passes, output)
                self.assertRegex(output, "UncommittedDataWarning: .* meets what ")

    def test_isolated_asyncio(self) -> None:
        """Beside IsolatedAsyncioTestCase contexts and class data are where the tests run."""
        project = self.suite("""
    from flask import g

    class TestAsync(SandboxMixin, FlaskMixin, EngineMixin, unittest.IsolatedAsyncioTestCase):
        create_app = Shop.__dict__["create_app"]
        setUpTestData = Shop.__dict__["setUpTestData"]

        async def asyncSetUp(self):
            self.assertEqual(add("bob"), 2)

        async def check(self):
            self.assertNotIn("seen", g)
            g.seen = True
            self.assertEqual(self.alice.name, "alice")
            self.assertEqual(names(), ["alice", "bob"])
            self.client.post("/users", data={"name": "carol"})
            self.assertEqual(names(), ["alice", "bob", "carol"])

        async def asyncTearDown(self):
            self.assertEqual(names(), ["alice", "bob", "carol"])
            add("late")

        test_1 = test_2 = check

        async def test_3_fails(self):
            add("carol")
            self.fail("on purpose")
""")
        self.assert_both(
            project,
            pytest=r"\n1 failed, 2 passed in ",
            unittest=r"Ran 3 tests.*\nFAILED \(failures=1\)\n",
        )


if __name__ == "__main__":
    unittest.main()

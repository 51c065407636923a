"""What the examples promise across runs: the database is chosen outside of the tests."""

from __future__ import annotations

import os
import subprocess
import sys
import unittest
from pathlib import Path

from dbtestcase import embedded, settings

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "choose_database"

#: Runs the example's tests as ``python -m unittest discover -t ../..`` does, then tells where.
RUN = """
import unittest
run = unittest.main(
    module=None, argv=["unittest", "discover", "-t", "../.."], exit=False, warnings="error"
)
from examples.choose_database.case import engines
print(run.result.testsRun, run.result.wasSuccessful(), *[engine.dialect.name for engine in engines])
"""


class TestChooseDatabase(unittest.TestCase):
    def run_example(self, **variables: str) -> list[str]:
        """Run the example in its folder, and give the last line that it printed."""
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("DBTESTCASE_DATABASE", "DBTESTCASE_PROFILE"))
        }
        run = subprocess.run(
            [sys.executable, "-c", RUN],
            cwd=EXAMPLE,
            env={**environment, "PYTHONPATH": str(ROOT), **variables},
            capture_output=True,
            text=True,
        )
        self.assertEqual(run.returncode, 0, run.stderr)
        return run.stdout.splitlines()[-1].split()

    def test_default_of_the_file(self):
        """``[dbtestcase]`` in setup.cfg chooses SQLite; all classes share one engine."""
        self.assertEqual(self.run_example(), ["5", "True", "sqlite"])

    def test_environment(self):
        """The environment variable goes before the profile."""
        self.assertEqual(
            self.run_example(DBTESTCASE_DATABASE="sqlite", DBTESTCASE_PROFILE="ci"),
            ["5", "True", "sqlite"],
        )

    def test_profile(self):
        """The same tests, unchanged, on PostgreSQL; all classes share one engine there too."""
        self.assertEqual(self.run_example(DBTESTCASE_PROFILE="ci"), ["5", "True", "postgresql"])

    def test_server(self):
        """So do they on a server that its URL names, and that makes no difference to them."""
        setting = settings.choose()
        if setting.kind is settings.Kind.EMBEDDED:
            url = embedded.server().url()
        elif setting.kind is settings.Kind.SERVER:
            url = setting.url
        else:
            self.skipTest(f"runs on {setting} ({setting.origin}), not on a PostgreSQL server")
        self.assertEqual(
            self.run_example(DBTESTCASE_DATABASE=url.render_as_string(hide_password=False)),
            ["5", "True", "postgresql"],
        )


class TestMigrations(unittest.TestCase):
    def test_databases(self) -> None:
        """The example's tests pass on each kind of database, and give no warning."""
        for database in ("sqlite", "postgresql+psycopg"):
            run = subprocess.run(
                [
                    *(sys.executable, "-W", "error", "-m", "unittest", "discover"),
                    *("-s", "examples/migrations", "-t", "."),
                ],
                cwd=ROOT,
                env={**os.environ, "DBTESTCASE_DATABASE": database},
                capture_output=True,
                text=True,
            )
            with self.subTest(database):
                self.assertEqual(run.returncode, 0, run.stderr)
                self.assertIn("Ran 12 tests", run.stderr)

    def test_env_is_as_it_was_made(self) -> None:
        """The env.py is the one of Flask-Migrate, letter for letter."""
        import flask_migrate

        template = Path(flask_migrate.__file__).parent / "templates" / "flask" / "env.py"
        ours = ROOT / "examples" / "migrations" / "migrations" / "env.py"
        self.assertEqual(ours.read_text("utf-8"), template.read_text("utf-8"))


if __name__ == "__main__":
    unittest.main()

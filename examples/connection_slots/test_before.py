import subprocess
import sys
import unittest
from pathlib import Path

from .limited import SLOTS, server_url


class BeforeTest(unittest.TestCase):
    def test_ends_in_the_error_of_the_server(self):
        """One connection is left by each test, so the first test past the limit fails."""
        server_url()  # skips where there is none
        run = subprocess.run(
            [sys.executable, "-m", "examples.connection_slots.before"],
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
        )
        self.assertEqual(run.returncode, 1, run.stderr)
        self.assertIn(f"Ran {SLOTS + 1} tests", run.stderr)
        self.assertIn("db.create_all()", run.stderr)
        self.assertRegex(
            run.stderr,
            r"OperationalError\).*FATAL:  too many connections for database \"slots_test_\w+\"",
        )

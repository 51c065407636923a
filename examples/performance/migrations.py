"""What 200 migrations cost a suite: ``python -m examples.performance.migrations``.

A chain of 200 revisions, each of which makes a table or adds a column, and a suite of 51 classes
on it, on the embedded server and on SQLite. It runs twice, each run a process of its own. The
first class of the first run pays for the upgrade. What is measured is what each class's
``setUpClass`` takes, and, of the second run, what it waits for from its start to its first test.
Ends with an error if the median of the 50 further classes is over 10 ms above that of classes
without any schema, or if the second run takes over 1 s to its first test.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .cold_start import ROOT, wait_for_stop

REVISIONS, CLASSES = 200, 50
LIMITS = {"a further class": 0.010, "second run, to its first test": 1.0}

INI = """
[alembic]
script_location = %(here)s/migrations
sqlalchemy.url = driver://user:pass@localhost/dbname
"""

REVISION = '''
"""revision {number}"""
import sqlalchemy as sa
from alembic import op

revision = "r{number:04}"
down_revision = {down!r}


def upgrade():
    {up}


def downgrade():
    {down_step}
'''

SUITE = """
import json
import os
import time

import sqlalchemy as sa

from dbtestcase import AlembicSchema, DatabaseTestCase, MetadataSchema

started = float(os.environ["STARTED"])
times = {"migrated": [], "empty": [], "first test": 0.0}


class Timed(DatabaseTestCase):
    kind = None

    @classmethod
    def setUpClass(cls):
        before = time.perf_counter()
        super().setUpClass()
        times[cls.kind].append(time.perf_counter() - before)

    def test(self):
        times["first test"] = times["first test"] or time.time() - started
        if self.kind == "migrated":
            self.session.execute(sa.text("SELECT id FROM t0200"))


def make(number, kind, given):
    name = f"{kind}{number:03}Test"
    globals()[name] = type(name, (Timed,), {"kind": kind, "schema": given, "__module__": __name__})


# one after the other by their names: empty databases last
for number in range(CLASSES + 1):
    make(number, "migrated", AlembicSchema("migrations"))
    make(number, "empty", MetadataSchema(sa.MetaData()))
del Timed


def load_tests(loader, tests, pattern):
    import unittest

    order = sorted((n for n in globals() if n.endswith("Test")), key=lambda n: n[0] == "e")
    return unittest.TestSuite(loader.loadTestsFromTestCase(globals()[name]) for name in order)


def tearDownModule():
    with open("times.json", "w") as file:
        json.dump(times, file)
"""


def write_project(directory: Path) -> None:
    """Write the chain of revisions, with the env.py of ``alembic init``, and the suite."""
    import alembic

    templates = Path(alembic.__file__).parent / "templates" / "generic"
    versions = directory / "migrations" / "versions"
    versions.mkdir(parents=True)
    env = (templates / "env.py").read_text("utf-8")
    # the ini has no settings for logging
    (directory / "migrations" / "env.py").write_text(env.replace("fileConfig(config", "(config"))
    (directory / "alembic.ini").write_text(INI)
    for number in range(1, REVISIONS + 1):
        table = f"t{number - number % 4:04}"
        up = f'op.create_table("{table}", sa.Column("id", sa.Integer, primary_key=True))'
        back = f'op.drop_table("{table}")'
        if number % 4 or not number:
            up = f'op.create_table("t{number:04}", sa.Column("id", sa.Integer, primary_key=True))'
            back = f'op.drop_table("t{number:04}")'
        if number % 4 == 2:
            column = f'sa.Column("c{number}", sa.String(20), index=True)'
            up = f'op.add_column("t{number - 1:04}", {column})'
            back = f'op.drop_column("t{number - 1:04}", "c{number}")'
        text = REVISION.format(
            number=number,
            down=f"r{number - 1:04}" if number > 1 else None,
            up=up,
            down_step=back,
        )
        (versions / f"r{number:04}_step.py").write_text(text)
    (directory / "test_suite.py").write_text(SUITE.replace("CLASSES", str(CLASSES)))


def run_suite(directory: Path, cache: Path, database: str) -> dict[str, list[float] | float]:
    """Run the suite in a process of its own, and return what it has noted.

    :raises RuntimeError: it did not pass.
    """
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("DBTESTCASE_")
    }
    environment |= {
        "DBTESTCASE_CACHE_DIR": str(cache),
        "DBTESTCASE_DATABASE": database,
        "PYTHONPATH": str(ROOT),
        "STARTED": repr(time.time()),
    }
    done = subprocess.run(
        [sys.executable, "-m", "unittest", "test_suite"],
        cwd=directory,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode != 0 or f"Ran {2 * CLASSES + 2} tests" not in done.stdout:
        raise RuntimeError(f"the suite did not pass:\n{done.stdout}")
    wait_for_stop(cache)
    found: dict[str, list[float] | float] = json.loads((directory / "times.json").read_text())
    return found


def figures(first: dict, second: dict) -> dict[str, float]:  # type: ignore[type-arg]
    """Give the figures of two runs, in seconds."""

    def median(run: dict, kind: str) -> float:  # type: ignore[type-arg]
        return statistics.median(run[kind][1:])

    return {
        "first class of the first run": first["migrated"][0],
        "a further class": median(first, "migrated") - median(first, "empty"),
        "a further class of the second run": median(second, "migrated") - median(second, "empty"),
        "first class of the second run": second["migrated"][0],
        "second run, to its first test": second["first test"],
    }


def main() -> int:
    """Print a table; return 1 where a limit is passed."""
    held = True
    with tempfile.TemporaryDirectory(prefix="dbtestcase-migrations-") as name:
        directory = Path(name)
        directory.chmod(0o755)  # root's server runs as another user, who must pass here
        write_project(directory)
        for database in ("postgresql", "sqlite"):
            runs = [run_suite(directory, directory / "cache", database) for _ in range(2)]
            print(f"{REVISIONS} revisions, {database}")
            for figure, seconds in figures(*runs).items():
                limit = LIMITS.get(figure)
                # SQLite in memory lives as long as its process: each run builds it
                if limit is not None and (database != "sqlite" or "run" not in figure):
                    ok = seconds <= limit
                    held = held and ok
                    verdict = f"   at most {limit * 1e3:.0f} ms{'' if ok else ': NOT HELD'}"
                else:
                    verdict = ""
                print(f"  {figure:36}{seconds * 1e3:10.1f} ms{verdict}")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())

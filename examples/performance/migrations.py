"""What 200 migrations cost a suite: ``python -m examples.performance.migrations``.

A chain of 200 revisions, each of which makes a table or adds a column, and a suite of 51 classes
on it, on the embedded server and on SQLite. Each run is a process of its own, and starts the
server. The first class of the first run pays for the upgrade. What is measured is what each
class's ``setUpClass`` takes, beside classes with an empty schema, and what later runs wait for
from their start to their first test. Ends with an error if the median of the 50 further classes is
over 10 ms, or that of five later runs over 1 s.
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
from typing import Any

from .cold_start import ROOT, wait_for_stop

REVISIONS, CLASSES = 200, 50
LATER = 5
LIMITS = {"a further class": 0.010, "later run, to its first test": 1.0}

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
        table = " FROM t0200" if self.kind == "migrated" else ""
        self.session.execute(sa.text(f"SELECT 1{table}"))


def make(number, kind, given):
    name = f"{kind}{number:03}Test"
    globals()[name] = type(name, (Timed,), {"kind": kind, "schema": given, "__module__": __name__})


# one after the other by their names: empty databases last
for number in range(CLASSES + 1):
    if "WITHOUT" not in os.environ:
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


#: What a run notes: the seconds of each class by kind, and of the first test.
Figures = dict[str, Any]


def write_project(directory: Path, last: str = "t0200") -> None:
    """Write the chain of revisions, with the env.py of ``alembic init``, and the suite.

    :param last: a table that one of the last revisions makes.
    """
    import alembic

    templates = Path(alembic.__file__).parent / "templates" / "generic"
    versions = directory / "migrations" / "versions"
    versions.mkdir(parents=True)
    env = (templates / "env.py").read_text("utf-8")
    # the ini has no settings for logging
    (directory / "migrations" / "env.py").write_text(env.replace("fileConfig(config", "(config"))
    (directory / "alembic.ini").write_text(INI)
    for number in range(1, REVISIONS + 1):
        up = f'op.create_table("t{number:04}", sa.Column("id", sa.Integer, primary_key=True))'
        back = f'op.drop_table("t{number:04}")'
        if number % 4 == 2:
            column = f'sa.Column("c{number}", sa.String(20), index=True)'
            up = f'op.add_column("t{number - 1:04}", {column})'
            table = f"t{number - 1:04}"
            back = f'op.drop_index("ix_{table}_c{number}"); op.drop_column("{table}", "c{number}")'
        text = REVISION.format(
            number=number,
            down=f"r{number - 1:04}" if number > 1 else None,
            up=up,
            down_step=back,
        )
        (versions / f"r{number:04}_step.py").write_text(text)
    (directory / "test_suite.py").write_text(
        SUITE.replace("CLASSES", str(CLASSES)).replace("t0200", last)
    )


def run_suite(directory: Path, cache: Path, database: str, *, migrations: bool = True) -> Figures:
    """Run the suite in a process of its own, and return what it has noted.

    :param migrations: or else only the classes with an empty schema.
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
    if not migrations:
        environment["WITHOUT"] = "1"
    done = subprocess.run(
        [sys.executable, "-m", "unittest", "test_suite"],
        cwd=directory,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    tests = (CLASSES + 1) * (2 if migrations else 1)
    if done.returncode != 0 or f"Ran {tests} tests" not in done.stdout:
        raise RuntimeError(f"the suite did not pass:\n{done.stdout}")
    wait_for_stop(cache)
    found: Figures = json.loads((directory / "times.json").read_text())
    return found


def measure(directory: Path, database: str) -> dict[str, list[float]]:
    """Run the suite again and again, and give the seconds of each figure."""
    cache = directory / "cache"
    first = run_suite(directory, cache, database)
    later, without = [], []
    for _ in range(LATER):
        later.append(run_suite(directory, cache, database))
        without.append(run_suite(directory, cache, database, migrations=False))
    empty = statistics.median(each for run in later for each in run["empty"][1:])
    return {
        "first class of the first run": first["migrated"][:1],
        "a further class": [each - empty for run in later for each in run["migrated"][1:]],
        "first class of a later run": [run["migrated"][0] for run in later],
        "later run, to its first test": [run["first test"] for run in later],
        "the same without migrations": [run["first test"] for run in without],
    }


def main() -> int:
    """Print a table; return 1 where a limit is passed."""
    held = True
    with tempfile.TemporaryDirectory(prefix="dbtestcase-migrations-") as name:
        directory = Path(name)
        directory.chmod(0o755)  # root's server runs as another user, who must pass here
        write_project(directory)
        for database in ("postgresql", "sqlite"):
            print(f"{REVISIONS} revisions, {database}{'median':>27}{'least':>10}")
            for figure, seconds in measure(directory, database).items():
                median, limit = statistics.median(seconds), LIMITS.get(figure)
                verdict = ""
                if limit is not None:
                    verdict = f"   at most {limit * 1e3:.0f} ms"
                    verdict += "" if median <= limit else ": NOT HELD"
                    held = held and median <= limit
                times = f"{median * 1e3:10.1f}{min(seconds) * 1e3:10.1f} ms"
                print(f"  {figure:36}{times}{verdict}")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())

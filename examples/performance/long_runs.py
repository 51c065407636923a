"""What must not grow: many commits in one test, many tests in one process.

``python -m examples.performance.long_runs NAME`` runs one of them in a process of its own, as
what others left in the memory would hide growth, and prints its figures as JSON.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from dbtestcase import DatabaseTestCase, MetadataSchema

from .batches import run_suite
from .contenders import OursAppData
from .workload import INSERT, metadata

__all__ = ["RUNS", "measure"]

COMMITS = 5_000
TESTS = 10_000
ROOT = Path(__file__).parents[2]

deferrable = sa.MetaData()
sa.Table("above", deferrable, sa.Column("id", sa.Integer, primary_key=True))
child = sa.Table(
    "child",
    deferrable,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("above_id", sa.ForeignKey("above.id", deferrable=True, initially="DEFERRED")),
)


class Commits(DatabaseTestCase):
    """One test with many transactions, each of which writes and commits."""

    schema: Any = MetadataSchema(metadata)
    statement: Any = INSERT
    #: how many microseconds each transaction took
    times: list[float]

    def test_commits(self) -> None:
        type(self).times = []
        for _ in range(COMMITS):
            started = time.perf_counter_ns()
            with self.engine.begin() as connection:
                connection.execute(self.statement)
            self.times.append((time.perf_counter_ns() - started) / 1000)


class DeferrableCommits(Commits):
    """The same beside a deferrable constraint, which each commit checks."""

    schema = MetadataSchema(deferrable)
    statement = child.insert().values(above_id=None)


def commits(case: type[Commits]) -> dict[str, float]:
    """Compare the last 500 transactions of a test with its first 500."""
    run_suite(unittest.TestSuite([case("test_commits")]), lambda ended: None)
    tenth = COMMITS // 10
    first, last = case.times[:tenth], case.times[-tenth:]
    return {"first": statistics.median(first), "last": statistics.median(last)}


class _Lazy(unittest.TestSuite):
    """Makes each test when it is its turn: ten thousand waiting ones would be memory, too."""

    def __iter__(self) -> Iterator[unittest.TestCase]:
        return (OursAppData("test_request") for _ in range(TESTS))

    def _removeTestAtIndex(self, index: int) -> None:
        """Keep unittest from looking for what is in no list."""


def tests() -> dict[str, float]:
    """Run many tests, each with a request, and see what grows."""
    sizes: dict[int, int] = {}

    def between(ended: int) -> None:
        if ended in (TESTS // 10, TESTS):
            sizes[ended] = resident()

    times = run_suite(_Lazy(), between)
    tenth = TESTS // 10
    return {
        "first": statistics.median(times[:tenth]) / 1000,
        "last": statistics.median(times[-tenth:]) / 1000,
        "grown": (sizes[TESTS] - sizes[tenth]) / 2**20,
    }


def resident() -> int:
    """Return how many bytes of memory this process has."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGESIZE")


RUNS: dict[str, Any] = {
    "commits": lambda: commits(Commits),
    "deferrable": lambda: commits(DeferrableCommits),
    "tests": tests,
}


def measure(name: str) -> dict[str, float]:
    """Run one of :data:`RUNS` in a process of its own, and return its figures.

    :raises RuntimeError: it did not pass.
    """
    done = subprocess.run(
        [sys.executable, "-m", "examples.performance.long_runs", name],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise RuntimeError(f"the run {name!r} did not pass:\n{done.stderr[-4000:]}")
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


if __name__ == "__main__":
    print(json.dumps(RUNS[sys.argv[1]]()))

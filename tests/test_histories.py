"""Random histories on real connections and in sandboxes, and tests of what compares the two."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

from dbtestcase.sandbox.postgresql.settings import SessionSettings
from dbtestcase.sandbox.segments import SegmentStack

from .histories import sqlite
from .histories.check import Difference, Tally, check, play_really
from .histories.drivers import DRIVERS
from .histories.needed import explain
from .histories.postgresql import OPERATIONS
from .histories.run import Report, drawn, run
from .histories.sqlite_stages import SQLiteDatabases
from .histories.stages import PostgreSQLDatabases
from .histories.steps import History, Step

BY_NAME = {operation.name: operation for operation in OPERATIONS}


def history(*said: tuple[str, str, int] | tuple[str, str], kinds: str = "raw raw") -> History:
    """Make a history from the names of actors and operations."""
    steps = tuple(
        Step("ABC".index(actor), BY_NAME[name], *numbers) for actor, name, *numbers in said
    )
    return History(tuple(kinds.split()), "bare", steps)


class TestHistories(unittest.TestCase):
    """Few histories, with fixed seeds; ``python -m tests.histories`` tries thousands."""

    maxDiff = None  # a difference is a whole history

    def assertNothingDiffers(self, report: Report) -> None:
        self.assertEqual("\n".join(report.differences + report.flaky), "")

    def test_psycopg2(self) -> None:
        """The sandbox shows what real connections do, and a run tries what is difficult."""
        with PostgreSQLDatabases(DRIVERS["psycopg2"]) as databases:
            report = run(databases, 120, 5)
        self.assertNothingDiffers(report)
        for what in (
            "crossed",
            "failures beneath others' work",
            "savepoints rolled back",
            "readers let go",
        ):
            self.assertGreater(report.tally[what], 0, what)
        self.assertGreater(report.tally["steps"], 1000)
        self.assertLess(report.tally["aside"], 0.3 * report.tally["histories"])

    def test_psycopg(self) -> None:
        """So it does on psycopg 3."""
        with PostgreSQLDatabases(DRIVERS["psycopg"]) as databases:
            self.assertNothingDiffers(run(databases, 60, 2))

    def test_sqlite3(self) -> None:
        """On SQLite it warns, too, where real connections find the database locked."""
        with SQLiteDatabases(DRIVERS["sqlite3"]) as databases:
            report = run(databases, 60, 3)
        self.assertNothingDiffers(report)
        self.assertGreater(report.tally["blocked"], 0)

    def test_web(self) -> None:
        """Tests like those of web applications seldom meet a conflict, and never a needless one."""
        with PostgreSQLDatabases(DRIVERS["psycopg2"]) as databases:
            report = run(databases, 250, 4, kind="web")
        self.assertNothingDiffers(report)
        # so many that one more or less does not decide
        self.assertGreater(report.tally["steps"], 3000)
        self.assertLessEqual(report.tally["conflicts"], 0.02 * report.tally["histories"])
        self.assertEqual(report.tally.needless, {})

    def test_threads(self) -> None:
        """Two to four threads at once leave what they leave on real connections."""
        with PostgreSQLDatabases(DRIVERS["psycopg2"]) as databases:
            report = run(databases, 25, 6, kind="threads")
        self.assertNothingDiffers(report)
        self.assertLess(sum(report.tally.conflicts.values()), 10)


def digest(seed: int) -> str:
    """Say in a few letters which histories are drawn with a seed."""
    found = hashlib.sha256()
    for databases in (
        PostgreSQLDatabases(DRIVERS["psycopg2"]),
        SQLiteDatabases(DRIVERS["sqlite3"]),
    ):
        for kind in ("mixed", "web", "threads"):
            for number in range(50):
                found.update(str(drawn(databases, seed, number, kind)).encode())
    return found.hexdigest()


class TestDrawn(unittest.TestCase):
    def test_same(self) -> None:
        """A seed gives the same histories in another process, whatever is imported there."""
        here = digest(7)
        self.assertEqual(digest(7), here)
        self.assertNotEqual(digest(8), here)
        for imported in ("", "import tests.test_conflicts, tests.test_settings"):
            with self.subTest(imported):
                ran = subprocess.run(
                    [
                        sys.executable,
                        "-W",
                        "ignore",
                        "-c",
                        f"{imported}\nfrom tests.test_histories import digest\nprint(digest(7))",
                    ],
                    cwd=Path(__file__).parents[1],
                    capture_output=True,
                    text=True,
                    check=False,
                )
                self.assertEqual((ran.stdout.strip(), ran.stderr), (here, ""))

    def test_each_alone(self) -> None:
        """A history is that of its seed and number, so one can be played alone."""
        databases = PostgreSQLDatabases(DRIVERS["psycopg2"])
        self.assertEqual(drawn(databases, 7, 3), drawn(databases, 7, 3))
        self.assertNotEqual(str(drawn(databases, 7, 3)), str(drawn(databases, 7, 4)))


class TestCheck(unittest.TestCase):
    """The comparison itself: it finds what is wrong, and takes nothing for wrong that is not."""

    databases: PostgreSQLDatabases

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.databases = cls.enterClassContext(PostgreSQLDatabases(DRIVERS["psycopg2"], ("bare",)))

    def found(self, count: int, *, shrink: bool = False) -> str:
        report = run(self.databases, count, 5, shrink=shrink)
        self.assertEqual(len(report.differences), 1, report.flaky)
        return report.differences[0]

    def steps(self, difference: str) -> list[str]:
        """Give the steps of a printed history."""
        return [line for line in difference.splitlines() if line[:3] in ("A: ", "B: ", "C: ")]

    def test_rollback_that_keeps(self) -> None:
        """A sandbox whose rollbacks undo nothing is found, and shown by one write."""

        def keep(stack: SegmentStack, owner: Any, *_: Any) -> None:
            stack.commit(owner)

        with mock.patch.object(SegmentStack, "undo", keep):
            difference = self.found(100, shrink=True)
        # what stands around a write in its phrase, and nothing else
        self.assertLessEqual(len(self.steps(difference)), 5, difference)

    def test_shared_settings(self) -> None:
        """A sandbox whose connections share their settings is found, and both answers printed."""
        with mock.patch.object(SessionSettings, "bring"), self.assertRaises(Difference) as caught:
            self.play(history(("A", "SET", 5), ("B", "SHOW")))
        self.assertEqual(
            str(caught.exception),
            "step 2 differs: B: SHOW work_mem\n\n"
            "actors: A: raw, B: raw (bare)\n"
            "A: SET work_mem = '5MB'\n"
            "        both     ('done', -1, (2, 2))\n"
            "B: SHOW work_mem\n"
            "        real     ('done', [('4MB',)], (2, 2))\n"
            "        sandbox  ('done', [('5MB',)], (2, 2))",
        )

    def test_savepoint_that_keeps(self) -> None:
        """A sandbox in which ROLLBACK TO undoes nothing is found."""

        def release(stack: SegmentStack, owner: Any, level: int) -> None:
            stack.release(owner, level) if level else undo(stack, owner, level)

        undo = SegmentStack.undo
        with mock.patch.object(SegmentStack, "undo", release):
            self.assertRegex(self.found(300), "(?i)rollback")

    def play(self, played: History) -> Tally:
        self.databases.begin()
        tally = Tally()
        check(played, self.databases.real, self.databases.sandboxes["bare"], tally)
        return tally

    def test_needed(self) -> None:
        """A conflict by work that was undone beneath other work is needed."""
        tally = self.play(
            history(
                ("A", "insert parent", 5),
                ("B", "insert", 1),
                ("B", "commit"),
                ("A", "rollback"),
                ("B", "select items"),
            )
        )
        self.assertEqual(dict(tally.conflicts), {"rollback beneath": 1})
        self.assertEqual(dict(tally.needless), {})

    def test_aside(self) -> None:
        """What is read beside uncommitted work is aside, and what was not is compared."""
        tally = self.play(
            history(("A", "insert", 1), ("B", "select items"), ("B", "select parents"))
        )
        self.assertEqual((tally["warnings"], tally["false warnings"]), (1, 0))
        tally = self.play(history(("A", "insert", 1), ("B", "get item", 0)))
        self.assertEqual((tally["warnings"], tally["false warnings"]), (1, 1))

    def test_ran_what_is_not_committed(self) -> None:
        """Who was warned of the schema ran what real connections did not, whatever it gave."""
        tally = self.play(
            history(
                ("B", "select constant"),  # SQLAlchemy asks things at the first contact
                ("B", "commit"),
                ("A", "make it write"),
                ("B", "SAVEPOINT"),
                ("B", "quiet function"),
                ("B", "ROLLBACK TO"),
                ("B", "commit"),
                ("A", "quiet function"),
            )
        )
        self.assertEqual((tally["warnings"], tally["false warnings"]), (1, 1))
        self.assertEqual(tally["aside"], 1)

    def test_blocked(self) -> None:
        """Where a lock is in the way the history ends."""
        tally = self.play(
            history(("A", "update items"), ("B", "update items"), ("B", "select parents"))
        )
        self.assertEqual((tally["blocked"], tally["steps"]), (1, 1))

    def test_left_in_a_transaction(self) -> None:
        """What SQLAlchemy gives back to its pool in a transaction is not in the next history."""
        left = (
            ("A", "delete parent", 0),
            ("A", "commit"),  # fails, and SQLAlchemy takes the transaction for ended
            ("A", "COPY in", 1),
        )
        reads = ("A", "select constant")
        self.play(history(*left, ("A", "close"), reads, kinds="core"))
        real = self.databases.real
        outcomes = play_really(real, history(*left, kinds="core")).outcomes
        self.assertEqual([kind for kind, *_ in outcomes], ["done", "error", "error"])
        outcomes = play_really(real, history(reads, kinds="core")).outcomes
        self.assertEqual(outcomes[0][0], "done")

    def test_old_schema(self) -> None:
        """On SQLite a statement may fail, or hold a lock, by what its connection had read."""
        for said in (
            [
                ("A", "select extra", 0),
                ("C", "CREATE TABLE", 0),
                ("A", "SAVEPOINT", 0),
                ("A", "CREATE TABLE", 0),
                ("C", "update items", 0),
            ],
            [
                ("B", "CREATE TABLE", 0),
                ("A", "ALTER TABLE", 0),
                ("B", "select extra", 0),
                ("A", "DROP TABLE", 0),
                ("A", "CREATE TABLE", 0),
                ("B", "ALTER TABLE", 0),
            ],
        ):
            with self.subTest(said):
                tally = self.play_sqlite(*said)
                self.assertEqual(tally["aside"], 1)
                old = tally["left open by an old schema"] + tally["left locked by an old schema"]
                self.assertEqual(old, 1)

    def test_rows_that_are_left(self) -> None:
        """A result that holds no more rows, as some are deleted uncommitted, holds no lock."""
        for deleted in (0, 1):
            tally = self.play_sqlite(
                ("B", "delete item", deleted), ("A", "open a result", 0), ("B", "commit", 0)
            )
            self.assertEqual((tally["aside"], tally["warnings"]), (1, 1))

    def play_sqlite(self, *said: tuple[str, str, int]) -> Tally:
        by_name = {operation.name: operation for _, some in sqlite.FAMILIES for operation in some}
        steps = tuple(Step("ABC".index(actor), by_name[name], n) for actor, name, n in said)
        tally = Tally()
        with SQLiteDatabases(DRIVERS["sqlite3"], ("memory",)) as databases:
            databases.begin()
            played = History(("raw",) * 3, "memory", steps)
            check(played, databases.real, databases.sandboxes["memory"], tally)
        return tally

    def test_unknown_conflict(self) -> None:
        """A conflict that no rule speaks of explains nothing."""
        self.assertEqual(explain("I would rather not.", 0, mock.sentinel, mock.sentinel)[0], None)

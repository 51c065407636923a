"""What the contenders of examples/performance do; how fast they are is measured there."""

from __future__ import annotations

import io
import itertools
import os
import tempfile
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

import sqlalchemy as sa

from dbtestcase import DatabaseTestCase, MetadataSchema, embedded
from dbtestcase.databases import lease, release_all
from dbtestcase.sandbox.postgresql import visitors
from dbtestcase.settings import choose
from examples.performance import contenders, django_contender
from examples.performance.batches import TimedResult
from examples.performance.comparison import Figures, Line, lines, prepared
from examples.performance.limits import Limit, figures_table, limits, limits_table
from examples.performance.long_runs import Commits, DeferrableCommits
from examples.performance.workload import one_table

from .support import look, no_settings, run
from .twins import Relay


class PerformanceTest(unittest.TestCase):
    """What these tests do to the process is put back.

    By the class and not by the module: unittest would end a module's set-up when it has run
    classes of the module inside one of its tests.
    """

    @classmethod
    def setUpClass(cls) -> None:
        cls.enterClassContext(no_settings())
        # the databases that other modules hold come again
        release_all()
        cls.addClassCleanup(release_all)


def run_checked(case: Any, test: str, database: sa.URL) -> list[int | None]:
    """Run a contender's test twice; each must see what it wrote.

    :returns: how many items an independent connection finds after each, None without a table.
    """
    found: list[int | None] = []

    class Checked(case):  # type: ignore[misc]
        def test_checked(self) -> None:
            getattr(self, test)()
            if test != "test_empty":
                self.assertGreater(self.rows(), 0)

    class Result(TimedResult):
        def stopTest(self, test: unittest.TestCase) -> None:
            super().stopTest(test)
            # where the end of the test comes after this, it has come before the next
            self.look()

        def look(self) -> None:
            content = look(database)
            found.append(len(content.rows.get("item", [])) if "item" in content.tables else None)

    output = io.StringIO()
    runner = unittest.TextTestRunner(stream=output, resultclass=Result)
    result = runner.run(unittest.TestSuite([Checked("test_checked"), Checked("test_checked")]))
    if not result.wasSuccessful():
        raise AssertionError(output.getvalue())
    return found


class TestContenders(PerformanceTest):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.pins = cls.enterClassContext(prepared())
        cls.lines = lines()

    def database(self, line: Line) -> sa.URL:
        name = {"Django": "django", "CreateDrop": "bare"}.get(line.contender.__name__, "filled")
        if issubclass(line.contender, DatabaseTestCase):
            return lease(choose("postgresql")).url
        return lease(choose("postgresql"), bind=name).url

    def test_each_does_what_it_says(self) -> None:
        """All run, see their own rows, and leave them only where nothing isolates."""
        for line in self.lines:
            with self.subTest(line.name, test=line.test):
                found = run_checked(line.contender, line.called, self.database(line))
                if line.name.startswith("no isolation"):
                    self.assertEqual(found, [1, 2])
                elif line.contender is contenders.CreateDrop:
                    self.assertEqual(found, [None, None])
                elif line.test == "empty":
                    self.assertFalse(any(found))
                else:
                    self.assertEqual(found, [0, 0])

    def test_pins(self) -> None:
        """Both this process and the server's process of a connection are pinned."""
        before = os.sched_getaffinity(0)
        engine = sa.create_engine(contenders.Contender.url)
        self.addCleanup(engine.dispose)
        self.addCleanup(self.pins.use, one=False)
        with engine.connect() as connection:
            backend: Any = connection.scalar(sa.text("SELECT pg_backend_pid()"))
            for one, cpus in ((True, {max(before)}), (False, before)):
                self.pins.use(one=one)
                self.assertEqual(os.sched_getaffinity(0), cpus)
                self.assertEqual(os.sched_getaffinity(backend), cpus)

    def test_django_uses_psycopg2(self) -> None:
        """The driver is the one of the others, whatever else is installed."""
        from django.db import connection

        self.assertEqual(connection.Database.__name__, "psycopg2")
        self.assertIsNone(django_contender.configure(sa.make_url("postgresql://elsewhere/shop")))


class TestLongRuns(PerformanceTest):
    def test_commits(self) -> None:
        """Both tests commit what they say, and all of it is undone."""
        import examples.performance.long_runs as long_runs

        commits, long_runs.COMMITS = long_runs.COMMITS, 20
        self.addCleanup(setattr, long_runs, "COMMITS", commits)
        for case in (Commits, DeferrableCommits):
            with self.subTest(case.__name__):
                figures = long_runs.commits(case)
                self.assertEqual(len(case.times), 20)
                self.assertEqual(sorted(figures), ["first", "last"])
                self.assertEqual(look(lease(choose("postgresql")).url).rows, {})


class TestMigrations(PerformanceTest):
    def test_suite(self) -> None:
        """Runs of the suite note each class, and later ones are compared with ones without."""
        import examples.performance.migrations as migrations

        for name, number in {"REVISIONS": 8, "CLASSES": 2, "LATER": 1}.items():
            self.addCleanup(setattr, migrations, name, getattr(migrations, name))
            setattr(migrations, name, number)
        with tempfile.TemporaryDirectory() as name:
            directory = Path(name)
            migrations.write_project(directory, "t0008")
            figures = migrations.measure(directory, "sqlite")
        self.assertEqual(
            {figure: len(seconds) for figure, seconds in figures.items()},
            {
                "first class of the first run": 1,
                "a further class": 2,
                "first class of a later run": 1,
                "later run, to its first test": 1,
                "the same without migrations": 1,
            },
        )


class TestRoundTrips(PerformanceTest):
    def counted(self, *, data: bool, connecting: float) -> list[int]:
        """Count the messages of tests of one INSERT in an engine's own transaction.

        :param connecting: how long it takes to connect, in seconds.
        """
        times = {"CONNECTING": connecting, "PATIENCE": connecting}
        self.enterContext(mock.patch.multiple(visitors, **times))
        release_all()
        relay = Relay(embedded.server().url())
        self.addCleanup(relay.close)
        self.addCleanup(release_all)
        counts: list[int] = []

        class ShopTest(DatabaseTestCase):
            database = relay.url.render_as_string(hide_password=False)
            schema = MetadataSchema(one_table)

            def insert(self) -> None:
                with self.engine.begin() as connection:
                    connection.execute(contenders.INSERT)
                counts.append(relay.count)

            test_1 = test_2 = test_3 = test_4 = insert

        if data:
            ShopTest.setUpTestData = vars(contenders.OursData)["setUpTestData"]
        self.assertEqual(run(ShopTest).messages, [])
        # from the end of a transaction to the end of the next one: the first contact is over
        return [later - earlier for earlier, later in itertools.pairwise(counts[1:])]

    def test_with_class_data(self) -> None:
        """One INSERT is 1 round trip, as the end of a quick test is sent with the next one's.

        It is 2 where somebody else may have connected meanwhile.
        """
        self.assertEqual(self.counted(data=True, connecting=60), [1, 1])
        self.assertEqual(self.counted(data=True, connecting=0), [2, 2])

    def test_without_class_data(self) -> None:
        """So it is where the BEGIN is the test's own, so that now() is of this test."""
        self.assertEqual(self.counted(data=False, connecting=60), [1, 1])
        self.assertEqual(self.counted(data=False, connecting=0), [2, 2])


class TestLimits(PerformanceTest):
    def test_verdict(self) -> None:
        """What passes its limit is named, in both directions."""
        found = [
            Limit("too slow", 1.5, 1.15, "x"),
            Limit("quick", 1.0, 1.15, "x"),
            Limit("too quick", 50, 60, "x", least=True),
        ]
        self.assertEqual([each.holds for each in found], [False, True, False])
        table = list(limits_table(found))
        self.assertEqual(
            [line.split("   ")[-1] for line in table if "NOT HELD" in line], ["NOT HELD"] * 2
        )

    def test_ratios(self) -> None:
        """Contenders are compared round by round."""
        figures = Figures()
        for line in [Line("insert", "slow", None), Line("insert", "quick", None)]:
            for one in (False, True):
                for microseconds in (10.0, 100.0, 1000.0):
                    factor = 2 if line.name == "slow" else 1
                    figures.add(line, one, microseconds * factor)
        self.assertEqual(figures.ratio("insert", "slow", "quick"), 2)
        self.assertEqual(figures.extra("insert", "slow", "quick"), 100)
        self.assertEqual(figures.median("insert", "slow", one=True), 200)

    def test_every_limit_has_its_figures(self) -> None:
        """The table and the limits name what is measured."""
        with prepared():
            compared = lines()
        figures = Figures()
        for line in compared:
            for one in (False, True):
                figures.add(line, one, 10.0)
        long = {"first": 1.0, "last": 1.0, "grown": 0.0}
        runs = {"commits": long, "deferrable": long, "tests": long}
        self.assertEqual(len(list(limits(figures, runs))), 17)
        self.assertEqual(sum("µs" in line for line in figures_table(figures)), len(compared))


if __name__ == "__main__":
    unittest.main()

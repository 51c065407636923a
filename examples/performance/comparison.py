"""Which batches are run, and in what order: all contenders in turns, for several rounds."""

from __future__ import annotations

import contextlib
import os
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from dbtestcase.databases import lease, release_all
from dbtestcase.schemas import MetadataSchema
from dbtestcase.settings import choose

from . import contenders, django_contender
from .batches import Pins, run_batch
from .workload import metadata

__all__ = ["Figures", "Line", "compare", "prepared"]


@dataclass(frozen=True, slots=True)
class Line:
    """One contender's way to run one of the tests.

    :param tests: how many are run in each round.
    :param method: the test method, by default ``test_`` and *test*.
    """

    test: str
    name: str
    contender: Any
    tests: int = 100
    method: str = ""

    @property
    def called(self) -> str:
        """The test method."""
        return self.method or f"test_{self.test}"


@dataclass
class Figures:
    """What was measured: microseconds per round, by test, contender and whether on one CPU."""

    rounds: dict[tuple[str, str, bool], list[float]] = field(default_factory=dict)

    def add(self, line: Line, one: bool, microseconds: float) -> None:
        """Note the median of a batch."""
        self.rounds.setdefault((line.test, line.name, one), []).append(microseconds)

    def median(self, test: str, name: str, *, one: bool = False) -> float:
        """Give the median over the rounds."""
        return statistics.median(self.rounds[test, name, one])

    def ratio(self, test: str, name: str, other: str, *, one: bool = False) -> float:
        """Give how many times as long *name* takes as *other*: the median of all rounds.

        Compared round by round, so that what else the machine does strikes both alike.
        """
        pairs = zip(self.rounds[test, name, one], self.rounds[test, other, one], strict=True)
        return statistics.median(mine / its for mine, its in pairs)

    def extra(self, test: str, name: str, other: str) -> float:
        """Give how many microseconds *name* takes more than *other*, compared as in ratio()."""
        pairs = zip(self.rounds[test, name, False], self.rounds[test, other, False], strict=True)
        return statistics.median(mine - its for mine, its in pairs)


def lines() -> list[Line]:
    """Give what is compared. Django must be configured by now."""
    c, django = contenders, django_contender.make_contender()
    return [
        Line("empty", "unittest alone", c.Unittest, 500),
        Line("empty", "ours", c.Ours, 500),
        Line("empty", "ours, with an app", c.OursApp, 500),
        Line("empty", "ours, with an app and class data", c.OursAppData, 500),
        Line("empty", "SQLAlchemy's recipe", c.Recipe, 200),
        Line("empty", "Django's TestCase", django, 200),
        Line("insert", "no isolation", c.NoIsolation, 200),
        Line("insert", "ours", c.Ours, 200),
        Line("insert", "ours, with class data", c.OursData, 200),
        Line("insert", "ours, with class data, ids go on", c.OursDataIdsGoOn, 200),
        Line("insert", "psycopg2, BEGIN to ROLLBACK", c.Psycopg2, 200),
        Line("insert", "SQLAlchemy's recipe", c.Recipe, 200),
        Line("insert", "Django's TestCase, with atomic()", django, 200),
        Line("insert", "Django's TestCase, a cursor alone", django, 200, "test_raw_insert"),
        Line("insert", "ours, twenty tables", c.OursTwenty, 200),
        Line("insert", "ours, twenty tables and class data", c.OursTwentyData, 200),
        Line("insert", "create_all and drop_all, twenty tables", c.CreateDrop, 3),
        Line("request", "no isolation", c.NoIsolationApp),
        Line("request", "no isolation, one context and session", c.NoIsolationOneContext),
        Line("request", "ours", c.OursApp),
        Line("request", "ours, with class data", c.OursAppData),
        Line("request", "SQLAlchemy's recipe", c.RecipeApp),
        Line("request", "Django's TestCase", django),
    ]


@contextlib.contextmanager
def prepared() -> Iterator[Pins]:
    """Give the contenders their databases, on the server that our tests use."""
    filled, bare, django = (
        lease(choose("postgresql"), bind=name) for name in ("filled", "bare", "django")
    )
    for held, schema in (
        (filled, MetadataSchema(metadata)),
        (bare, None),
        (django, MetadataSchema(metadata)),
    ):
        held.prepare(schema)
        held.spoil()  # who comes later must not find what the contenders leave
    contenders.Contender.url = filled.url
    contenders.CreateDrop.url = bare.url
    django_contender.configure(django.url)
    name = os.environ.get("PGAPPNAME")
    try:
        yield Pins(filled.url)
    finally:
        release_all()
        os.environ.pop("PGAPPNAME", None)
        if name is not None:
            os.environ["PGAPPNAME"] = name


def compare(pins: Pins, *, rounds: int, share: float = 1.0) -> Figures:
    """Run all batches.

    :param share: of the tests of each batch, to be quicker.
    """
    figures = Figures()
    compared = lines()
    for _ in range(rounds):
        for one in (False, True):
            for line in compared:
                tests = max(3, int(line.tests * share))
                pins.use(one=one)
                figures.add(
                    line,
                    one,
                    run_batch(
                        line.contender, line.called, tests=tests, pins=pins, one=one
                    ),
                )
    pins.use(one=False)
    return figures

"""The table, what must hold of it, and the verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .comparison import Figures

__all__ = ["Limit", "figures_table", "limits", "limits_table"]

TITLES = {
    "empty": "an empty test",
    "insert": "one INSERT, committed",
    "request": "an HTTP request that inserts, and a query that counts",
}
#: Each test is compared with the first contender that is listed for it.
OURS = ("ours", "ours, with class data")


@dataclass(frozen=True, slots=True)
class Limit:
    """What must hold.

    :param least: whether the figure must be at least the limit, and not at most.
    """

    what: str
    figure: float
    limit: float
    unit: str
    least: bool = False

    @property
    def holds(self) -> bool:
        """Whether it does."""
        return self.figure >= self.limit if self.least else self.figure <= self.limit


def limits(figures: Figures, long_runs: Mapping[str, Mapping[str, float]]) -> Iterator[Limit]:
    """Give all that must hold.

    :param long_runs: the figures of :mod:`.long_runs` by name, of those that were run.
    """
    alone = "unittest alone"
    yield Limit("empty test, above unittest", figures.extra("empty", "ours", alone), 10, "µs")
    for name in ("ours, with an app", "ours, with an app and class data"):
        yield Limit(
            f"empty test, {name.removeprefix('ours, ')}",
            figures.extra("empty", name, alone),
            20,
            "µs",
        )
    for name in OURS:
        suffix = name.removeprefix("ours")
        for one, limit in ((False, 1.15), (True, 1.3)):
            where = "one CPU" if one else "all CPUs"
            yield Limit(
                f"INSERT{suffix}: no isolation, {where}",
                figures.ratio("insert", name, "no isolation", one=one),
                limit,
                "x",
            )
        yield Limit(
            f"INSERT{suffix}: Django's TestCase, with atomic()",
            figures.ratio("insert", name, "Django's TestCase, with atomic()"),
            0.5,
            "x",
        )
        yield Limit(
            f"request{suffix}: no isolation",
            figures.ratio("request", name, "no isolation"),
            1.1,
            "x",
        )
    for name in ("ours, twenty tables", "ours, twenty tables and class data"):
        yield Limit(
            f"INSERT{name.removeprefix('ours')}: create_all",
            figures.ratio("insert", "create_all and drop_all, twenty tables", name),
            60,
            "x",
            least=True,
        )
    for name, what in (
        ("commits", "5,000 commits"),
        ("deferrable", "5,000 commits, a deferrable constraint"),
    ):
        if name in long_runs:
            found = long_runs[name]
            yield Limit(f"{what}: last 500, first 500", found["last"] / found["first"], 1.3, "x")
    if "tests" in long_runs:
        found = long_runs["tests"]
        yield Limit(
            "10,000 tests: last 1,000, first 1,000", found["last"] / found["first"], 1.1, "x"
        )
        yield Limit("10,000 tests: memory since the 1,000th", found["grown"], 5, "MB")


def figures_table(figures: Figures) -> Iterator[str]:
    """Give the lines of the table: microseconds per test, and how many times the first."""
    for test, title in TITLES.items():
        names = list(dict.fromkeys(name for kind, name, _ in figures.rounds if kind == test))
        yield f"{title:55}{'all CPUs':>19}{'one CPU':>19}"
        for name in names:
            cells = ""
            for one in (False, True):
                ratio = figures.ratio(test, name, names[0], one=one)
                cells += f"{figures.median(test, name, one=one):11,.1f} µs{ratio:5.2f}"
            yield f"  {name:53}{cells}"
        yield ""


def limits_table(found: list[Limit]) -> Iterator[str]:
    """Give the lines that say what holds."""
    yield f"{'what must hold':55}{'measured':>13}{'limit':>13}"
    for each in found:
        bound = "at least" if each.least else "at most"
        verdict = "" if each.holds else "   NOT HELD"
        yield (
            f"  {each.what:53}{each.figure:10.2f} {each.unit:2}"
            f"{bound:>9} {each.limit:g} {each.unit}{verdict}"
        )

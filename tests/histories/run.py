"""Many histories: drawn by hypothesis, checked, counted, and shrunk where one differs."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis.errors import Flaky

from .check import Difference, Tally, check
from .sqlite_stages import SQLiteDatabases
from .stages import PostgreSQLDatabases
from .steps import History
from .threads import check_threads, thread_histories

__all__ = ["Report", "run"]

#: After so many histories the databases are made anew.
BATCH = 500


@dataclass
class Report:
    """What a run found."""

    tally: Tally = field(default_factory=Tally)
    differences: list[str] = field(default_factory=list)
    flaky: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        tally = self.tally
        lines = [f"{name}: {tally[name]}" for name in sorted(tally.counts)]
        lines += [f"conflict, {rule}: {number}" for rule, number in tally.conflicts.most_common()]
        lines += [
            f"needless conflict, {rule}: {number}"
            for rule, number in tally.needless.most_common()
        ]
        false = ", ".join(f"{name} {n}" for name, n in tally.false_warnings.most_common(12) if n)
        lines.append(f"most false warnings: {false}")
        lines += [f"for example, {rule}: {text}" for rule, text in tally.examples.items()]
        each = 1000 * self.seconds / max(1, tally["histories"])
        lines.append(f"{self.seconds:.0f} s, {each:.1f} ms for each history")
        lines.append(f"differences: {len(self.differences)}, not repeated: {len(self.flaky)}")
        return "\n".join(lines)


def run(
    databases: PostgreSQLDatabases | SQLiteDatabases,
    count: int,
    first_seed: int,
    *,
    kind: str = "mixed",
    stop: bool = True,
    shrink: bool = True,
    tell: Callable[[str], object] = lambda _: None,
    progress: Callable[[Report], object] = lambda _: None,
) -> Report:
    """Check *count* histories.

    :param first_seed: the batches are drawn with seeds that follow from it.
    :param kind: ``mixed``; ``web``, like those of tests of a web application; ``threads``.
    :param stop: whether to end at the first difference.
    :param shrink: whether a history that differs is made as short as it can be.
    :param tell: is told of differences as they are found.
    :param progress: is given what was found so far, after each batch.
    """
    report = Report()
    started = time.perf_counter()
    for batch, begin in enumerate(range(0, count, BATCH)):
        databases.begin()
        number = first_seed * 1000 + batch
        phases = [Phase.generate, Phase.shrink] if shrink else [Phase.generate]
        found = _batch(databases, min(BATCH, count - begin), number, kind, phases, report)
        report.seconds = time.perf_counter() - started
        progress(report)
        if found:
            tell(f"seed {number}: {found}\n")
            if stop:
                break
    return report


def _batch(
    databases: Any, count: int, number: int, kind: str, phases: Sequence[Phase], report: Report
) -> str:
    tally = Tally()
    last: list[str] = []
    if kind == "threads":
        drawn = thread_histories(databases.variants)
    else:
        drawn = databases.web_histories() if kind == "web" else databases.histories()

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
        phases=phases,
        print_blob=False,
        report_multiple_bugs=False,
    )
    @given(drawn)
    def play(history: History) -> None:
        try:
            box = databases.sandboxes[history.variant]
            if kind == "threads":
                check_threads(history, databases.real, box, tally)
            else:
                check(history, databases.real, box, tally, databases.other)
        except Difference as difference:
            last.append(str(difference))
            raise

    try:
        play()
    except Difference as difference:
        report.differences.append(str(difference))
        return str(difference)
    except Flaky as flaky:
        said = last[-1] if last else "".join(traceback.format_exception(flaky))
        text = f"a difference that was not seen again:\n{said}"
        report.flaky.append(text)
        return text
    finally:
        report.tally.update(tally)
    return ""


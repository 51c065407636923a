"""Many histories: drawn, checked, counted, and shrunk where one differs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from .actors import KINDS
from .check import Difference, Tally, check
from .drawing import mixed_history, web_history
from .shrinking import shrunk
from .sqlite_stages import SQLiteDatabases
from .stages import PostgreSQLDatabases
from .steps import History
from .threads import check_threads, thread_history

__all__ = ["Databases", "Report", "drawn", "run"]

Databases = PostgreSQLDatabases | SQLiteDatabases

#: After so many histories the databases are made anew, for rolled back rows slow them down.
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


def drawn(databases: Databases, seed: int, number: int, kind: str = "mixed") -> History:
    """Draw one history: the same for a seed and a number, whatever was drawn before.

    :param kind: ``mixed``; ``web``, like those of tests of a web application; ``threads``.
    """
    random = Random(f"{seed} {number}")  # a text, as numbers that are near give like beginnings
    if kind == "threads":
        return thread_history(random, databases.variants)
    if kind == "web":
        return web_history(random, databases.words, databases.variants)
    return mixed_history(random, databases.words, list(KINDS), databases.variants)


def run(
    databases: Databases,
    count: int,
    seed: int,
    *,
    first: int = 0,
    kind: str = "mixed",
    stop: bool = True,
    shrink: bool = True,
    tell: Callable[[str], object] = lambda _: None,
    progress: Callable[[Report], object] = lambda _: None,
) -> Report:
    """Check *count* histories.

    :param first: the number of the first of them.
    :param kind: see :func:`drawn`.
    :param stop: whether to end at the first difference.
    :param shrink: whether a history that differs is made as short as it can be.
    :param tell: is told of differences as they are found.
    :param progress: is given what was found so far, now and then.
    """
    report = Report()
    started = time.perf_counter()
    for number in range(first, first + count):
        if (number - first) % BATCH == 0:
            databases.begin()
        try:
            found = _check(databases, drawn(databases, seed, number, kind), kind, shrink, report)
        except Exception as error:
            error.add_note(f"This was raised by history {number} of seed {seed}.")
            raise
        report.seconds = time.perf_counter() - started
        if found:
            tell(f"history {number} of seed {seed}: {found}\n")
        last = number == first + count - 1 or (found and stop)
        if last or (number - first) % BATCH == BATCH - 1:
            progress(report)
        if last:
            break
    return report


def _check(
    databases: Databases, history: History, kind: str, shrink: bool, report: Report
) -> str:
    """Check one history, and give what is to be told of it."""

    def play(played: History, tally: Tally) -> None:
        box = databases.sandboxes[played.variant]
        if kind == "threads":
            check_threads(played, databases.real, box, tally)
        else:
            check(played, databases.real, box, tally, databases.other)

    try:
        play(history, report.tally)
    except Difference as difference:
        said, again = str(difference), True
        if shrink:
            shorter, again = shrunk(history, lambda part: play(part, Tally()))
            said = shorter or said
        if again:
            report.differences.append(said)
            return said
        report.flaky.append(f"a difference that was not seen again:\n{said}")
        return report.flaky[-1]
    return ""

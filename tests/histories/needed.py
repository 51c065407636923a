"""Whether a conflict says what the rules say it may, and whether it was needed.

Each kind of conflict is known by words of its message. It is *needed* where what real connections
did proves that one connection could not have shown it: for the most frequent kind that some work
was undone above which other work lies that survives. Who belongs to which transaction, and how
that ended, is asked of the server: the history is played once more, and watched.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .steps import History, Outcome, Step

if TYPE_CHECKING:
    from .check import Played

__all__ = ["Watched", "explain", "wrote"]


def wrote(step: Step, outcome: Outcome) -> bool:
    """Say whether a step wrote, as far as what came of it tells."""
    kind, answer, _ = outcome
    if kind == "error" or not step.operation.writes:
        return False
    return bool(answer) and answer != [(0,)]


@dataclass
class Watched:
    """What the server said while real connections played the steps before a conflict.

    :param closed: whether all connections were closed then.
    :param xids: after each step, the transaction id of each actor that has one.
    :param status: what became of each transaction up to the conflict.
    """

    history: History
    outcomes: Sequence[Outcome]
    closed: bool = False
    xids: list[dict[int, int]] = field(default_factory=list)
    status: dict[int, str] = field(default_factory=dict)

    def writes(self) -> list[tuple[int, int | None]]:
        """Give (number of the step, where it was undone) of each step that wrote.

        What was undone by the end of its transaction, or by a ROLLBACK TO, is; None survives.
        """
        found = []
        for number, outcome in enumerate(self.outcomes):
            step = self.history.steps[number]
            if wrote(step, outcome):
                found.append((number, self._undone(number, step.actor)))
        return found

    def _undone(self, number: int, actor: int) -> int | None:
        xid = self.xids[number].get(actor)
        if xid is None:
            return None  # it committed by itself
        depth = 0
        for later in range(number + 1, len(self.outcomes)):
            if self.xids[later].get(actor) != xid:
                return later if self.status[xid] == "aborted" else None
            step = self.history.steps[later]
            if step.actor == actor and self.outcomes[later][0] == "done":
                name = step.operation.name
                if name in ("SAVEPOINT", "begin_nested"):
                    depth += 1
                elif name in ("RELEASE", "nested.commit"):
                    depth = max(0, depth - 1)
                elif name in ("ROLLBACK TO", "nested.rollback"):
                    # names may shadow each other: what may have been undone counts as undone
                    if not depth:
                        return later
                    depth -= name == "nested.rollback"
        return len(self.outcomes) if self.closed else None


def _undone_beneath(watched: Watched, number: int) -> bool:
    writes = watched.writes()
    return any(
        undone is not None
        and any(first < other < undone and survives is None for other, survives in writes)
        for first, undone in writes
    )


def _fared_otherwise(watched: Watched, number: int) -> bool:
    """Whether real connections got no error where the sandbox had one, and did not show it."""
    if number >= len(watched.history.steps):
        return True
    outcome = watched.outcomes[number] if number < len(watched.outcomes) else None
    return outcome is None or outcome[0] != "error"


def _fails_really(watched: Watched, number: int) -> bool:
    """Whether real connections got an error where the sandbox would show none."""
    return number >= len(watched.outcomes) or watched.outcomes[number][0] == "error"


def _by_rule(watched: Watched, number: int) -> bool:
    return True


_RULES: list[tuple[str, str, Callable[[Watched, int], bool]]] = [
    ("rollback beneath", r"rolled back what it had written, but above it lies", _undone_beneath),
    ("deferred above rollback", r"commits above what .* rolled back", _undone_beneath),
    ("failure beside", r"failed beside what", _fared_otherwise),
    ("deferred failed beside", r"deferred (constraint|foreign key) failed when", _fared_otherwise),
    ("deferred held beside", r"a deferred constraint was checked when", _fails_really),
    ("SET CONSTRAINTS of another", r"used SET CONSTRAINTS and has not ended", _by_rule),
    ("SET CONSTRAINTS beside", r"uses SET CONSTRAINTS beside", _by_rule),
    ("NOWAIT", r"uses NOWAIT or SKIP LOCKED beside", _by_rule),
    ("snapshot", r"cannot show the old snapshot", _by_rule),
    ("temporary table", r"which is a temporary table of", _by_rule),
    ("cursor", r"names the cursor", _by_rule),
    ("advisory lock", r"asked for an advisory lock, or let one go", _by_rule),
    ("outside transactions", r"cannot be run in a sandbox", _by_rule),
    ("prepared statement", r"names the prepared statement", _by_rule),
    ("ended by SQLite", r"SQLite ended the whole transaction", _by_rule),
    ("ended rows", r"fetches rows of before a ROLLBACK", _by_rule),
    ("unfetched", r"has not fetched all rows", _by_rule),
]


def explain(
    message: str, number: int, real: Played, watch: Callable[[int], Watched]
) -> tuple[str | None, bool]:
    """Give the rule that a conflict speaks of, and whether it was needed.

    :param number: of the step that it was raised at.
    :param watch: plays the history on real connections up to a step, and watches.
    """
    for rule, pattern, oracle in _RULES:
        if re.search(pattern, message):
            if oracle is _by_rule:
                return rule, True
            watched = watch(number) if oracle is _undone_beneath else None
            return rule, oracle(watched or Watched(real.history, real.outcomes), number)
    return None, False

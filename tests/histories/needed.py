"""Whether a conflict says what the rules say it may, and whether it was needed.

Each kind of conflict is known by words of its message. It is *needed* where what came of the
history on real connections proves that one connection could not have shown it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .steps import Outcome, Step

if TYPE_CHECKING:
    from .check import Played

__all__ = ["explain", "wrote"]


def wrote(step: Step, outcome: Outcome) -> bool:
    """Say whether a step wrote, as far as what came of it tells."""
    kind, answer, _ = outcome
    if kind == "error" or not step.operation.writes:
        return False
    return bool(answer) and answer != [(0,)]


def explain(
    message: str, steps: Sequence[Step], real: Played, number: int
) -> tuple[str | None, bool]:
    """Give the rule that a conflict speaks of, and whether it was needed.

    :param number: of the step that it was raised at.
    """
    for rule, pattern, oracle in _RULES:
        if re.search(pattern, message):
            return rule, oracle(steps, real, number)
    return None, False


def _always(*_: object) -> bool:
    return True


_RULES: list[tuple[str, str, Callable[[Sequence[Step], "Played", int], bool]]] = [
    ("rollback beneath", r"rolled back what it had written, but above it lies", _always),
    ("deferred above rollback", r"commits above what .* rolled back", _always),
    ("SET CONSTRAINTS of another", r"used SET CONSTRAINTS and has not ended", _always),
    ("SET CONSTRAINTS beside", r"^SET CONSTRAINTS beside", _always),
    ("NOWAIT", r"^NOWAIT or SKIP LOCKED beside", _always),
    ("deferred beside", r"deferred (constraint|foreign key) (failed|was checked) when", _always),
    ("snapshot", r"One connection cannot show the old snapshot", _always),
    ("temporary table", r"which is a temporary table of", _always),
    ("cursor", r"names the cursor", _always),
    ("advisory lock", r"asked for an advisory lock, or let one go", _always),
    ("failure beside", r"failed beside what", _always),
    ("outside transactions", r"cannot be run in a sandbox", _always),
]

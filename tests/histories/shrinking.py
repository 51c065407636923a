"""What is left of a history that differs when all is taken out that it differs without."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky

from .check import Difference
from .steps import History, Step

__all__ = ["shrunk"]

#: Hypothesis makes numbers small, and tries 0 first: that takes out what one of these stands for.
#: Hardly ever drawn by chance, so that the first history it draws is nearly always the whole one.
_KEPT = st.integers(0, 0xFFF)

#: Steps are taken out alone and by so many, as a savepoint and its end only go together.
_RUNS = (8, 4, 2, 1)


@st.composite
def parts(draw: Any, history: History) -> History:
    """Draw a part of a history, with simpler actors and numbers."""
    steps = list(enumerate(history.steps))
    for length in _RUNS:
        kept = [draw(_KEPT) > 0 for _ in range(0, len(history.steps), length)]
        steps = [(place, step) for place, step in steps if kept[place // length]]
    simpler = [Step(s.actor, s.operation, s.n if draw(_KEPT) else 0) for _, s in steps]
    kinds = [kind if draw(_KEPT) else "raw" for kind in history.kinds]
    return History(tuple(kinds), history.variant, tuple(simpler))


def shrunk(history: History, check: Callable[[History], object]) -> tuple[str, bool]:
    """Make a history that differs as short as it can be, and give what is said of it.

    :param check: raises :exc:`Difference`, or nothing.
    :returns: what was said, and whether it differs once more.
    """
    said: list[str] = []
    same: set[str] = set()  # Hypothesis plays with numbers that mean nothing here

    def tried(part: History) -> None:
        if str(part) in same:
            return
        try:
            check(part)
        except Difference as difference:
            said.append(str(difference))
            raise
        same.add(str(part))

    @settings(
        max_examples=50,
        database=None,
        deadline=None,
        derandomize=True,
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
        print_blob=False,
        report_multiple_bugs=False,
    )
    @given(parts(history))
    def play(part: History) -> None:
        tried(part)

    try:
        tried(history)
        return "", False
    except Difference:
        pass
    try:
        play()
    except Difference:
        return said[-1], True
    except Flaky:
        pass  # some part of it differs only now and then
    return said[0], True

"""Which histories are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from . import postgresql
from .steps import History, Operation, Step

__all__ = ["histories"]

#: What n may be: few numbers, so that keys and names meet.
NUMBERS = st.integers(0, 5)


def _weighted(operations: Sequence[Operation], times: int = 1) -> list[Operation]:
    return [operation for operation in operations for _ in range(operation.weight * times)]


@st.composite
def histories(draw: Any, variants: Sequence[str], *, web: bool = False) -> History:
    """Draw a history: phrases of a few steps by one actor, so that transactions have an end."""
    count = draw(st.integers(2, 3))
    kinds = tuple(draw(st.sampled_from(["raw", "core", "orm"])) for _ in range(count))
    special = draw(st.sampled_from(_SPECIAL))
    steps = st.builds(
        Step, st.just(0), st.sampled_from(_COMMON + special), NUMBERS
    )
    phrase = st.tuples(
        st.integers(0, count - 1), st.lists(steps, min_size=1, max_size=4), st.sampled_from(_ENDS)
    )
    made: list[Step] = []
    for actor, said, end in draw(st.lists(phrase, min_size=1, max_size=12)):
        made += [Step(actor, step.operation, step.n) for step in said]
        if end is not None:
            made.append(Step(actor, end))
    return History(kinds, draw(st.sampled_from(variants)), tuple(made))


_COMMON = [
    operation
    for times, family in postgresql.FAMILIES
    for operation in _weighted(family, times)
    if times > 3
]
_SPECIAL = [
    _weighted(family) * max(1, len(_COMMON) // (2 * len(_weighted(family))))
    for times, family in postgresql.FAMILIES
    if times <= 3
]
_ENDS = [None, None, None, *(o for o in postgresql.ENDINGS if o.name in ("commit", "rollback"))]

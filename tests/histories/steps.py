"""What a history is: who takes part, and what they do, step by step.

A history is plain data, so that it can be drawn, printed and shrunk, and so that the same one is
played on real connections and in a sandbox.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .actors import Actor

__all__ = ["History", "Operation", "Outcome", "Step", "sql"]

#: What came of a step: what kind of answer, the answer, and what the driver says of the state.
Outcome = tuple[str, Any, Any]

NAMES = "ABCD"


@dataclass(frozen=True)
class Operation:
    """One thing that an actor can do.

    :param perform: does it; its argument is a small number that chooses keys and names.
    :param text: says what it does, for people.
    :param weight: how often it is drawn.
    :param writes: whether it writes, if it succeeds and touches a row.
    :param lingers: whether it may leave something in a session that a rollback does not undo.
    :param kinds: the kinds of actor that can do it; empty for all.
    """

    name: str
    perform: Callable[[Actor, int], Any]
    text: Callable[[int], str]
    weight: int = 1
    writes: bool = False
    lingers: bool = False
    kinds: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return self.name


def sql(name: str, template: str, weight: int = 1, **more: Any) -> Operation:
    """Make the operation that executes a text, in which ``{n}`` and ``{m}`` stand for numbers.

    ``{n}`` is the step's number, ``{m}`` is it modulo 2, for names that are to meet often.
    """

    def text(n: int) -> str:
        return template.replace("{n}", str(n)).replace("{m}", str(n % 2))

    return Operation(name, lambda actor, n: actor.execute(text(n)), text, weight, **more)


@dataclass(frozen=True)
class Step:
    """One actor does one thing."""

    actor: int
    operation: Operation
    n: int = 0

    def __str__(self) -> str:
        return f"{NAMES[self.actor]}: {self.operation.text(self.n)}"


@dataclass(frozen=True)
class History:
    """Several actors, and what they do one after the other.

    :param kinds: of each actor, see ``actors``.
    :param variant: which of the stage's sandboxes plays it.
    """

    kinds: tuple[str, ...]
    variant: str
    steps: tuple[Step, ...]

    @property
    def lingers(self) -> bool:
        """Whether sessions must be ended after it."""
        return any(step.operation.lingers for step in self.steps)

    def __str__(self) -> str:
        actors = ", ".join(f"{NAMES[i]}: {kind}" for i, kind in enumerate(self.kinds))
        return "\n".join([f"actors: {actors} ({self.variant})", *map(str, self.steps)])


def script(steps: Sequence[Step], real: Sequence[Outcome], played: Sequence[Any]) -> str:
    """Write a history with what came of each step, on real connections and in the sandbox."""

    def lines() -> Iterator[str]:
        for number, step in enumerate(steps):
            yield str(step)
            one = real[number] if number < len(real) else "(a lock was in the way)"
            other = played[number] if number < len(played) else "(not played)"
            if one == other:
                yield f"        both     {one}"
            else:
                yield f"        real     {one}"
                yield f"        sandbox  {other}"

    return "\n".join(lines())

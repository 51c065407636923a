"""Histories of threads: each has a connection of its own, and only the final content is compared.

Nobody knows in which order threads take their turns, so each works on rows of its own, and what is
left must be the same whatever the order: what each has committed.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from random import Random
from typing import Any

from dbtestcase.errors import SandboxConflict

from .actors import KINDS
from .check import Difference, Tally
from .stages import RealStage, SandboxStage, warnings_heard
from .steps import History, Operation, Step

__all__ = ["check_threads", "thread_history"]


def _own(name: str, text: str, weight: int = 1) -> tuple[Operation, int]:
    """Make an operation on rows of the thread alone: its n is the thread's, times a hundred."""
    return Operation(name, lambda actor, n: actor.execute(text.format(n)), text.format), weight


def _plain(name: str, weight: int) -> tuple[Operation, int]:
    return Operation(name, lambda actor, n: getattr(actor, name)(), lambda n: f"{name}()"), weight


#: What threads do; ``{0}`` is a key of the thread's own.
_OPERATIONS = [
    _own("insert", "INSERT INTO parent VALUES ({0}, 'a')", 6),
    _own("upsert", "INSERT INTO parent VALUES ({0}, 'u') ON CONFLICT (id) "
         "DO UPDATE SET name = parent.name || 'u'", 4),
    _own("update", "UPDATE parent SET name = name || 'x' WHERE id = {0}", 4),
    _own("delete", "DELETE FROM parent WHERE id = {0}", 2),
    _own("read", "SELECT name FROM parent WHERE id = {0}", 4),
    _own("fail", "SELECT 1 / 0", 1),
    _own("SAVEPOINT", "SAVEPOINT sp", 2),
    _own("ROLLBACK TO", "ROLLBACK TO sp", 2),
    _plain("commit", 6),
    _plain("rollback", 3),
    _plain("close", 1),
]  # fmt: skip

_SAID = [
    (operation, n) for operation, weight in _OPERATIONS for _ in range(weight) for n in range(4)
]


def thread_history(random: Random, variants: Sequence[str]) -> History:
    """Draw what two to four threads do. The last thing of each is a commit."""
    steps: list[Step] = []
    count = random.randint(2, 4)
    for actor in range(count):
        key = 1000 * (actor + 1)
        said = random.choices(_SAID, k=random.randint(1, 8))
        steps += [Step(actor, operation, key + n) for operation, n in said]
        steps.append(Step(actor, _PLAIN_COMMIT))
    kinds = random.choices(["raw", "core"], k=count)
    return History(tuple(kinds), random.choice(variants), tuple(steps))


_PLAIN_COMMIT = next(operation for operation, _ in _OPERATIONS if operation.name == "commit")


def _play(stage: Any, history: History) -> list[BaseException]:
    """Let each actor do its steps in a thread of its own; give what only a sandbox raises."""
    actors = [
        KINDS[kind](engine, stage.driver, stage.ending)
        for kind, engine in zip(history.kinds, stage.engines, strict=False)
    ]
    raised: list[BaseException] = []

    def run(number: int) -> None:
        try:
            for step in history.steps:
                if step.actor == number:
                    actors[number].play(step)
            actors[number].close()
        except SandboxConflict as conflict:
            raised.append(conflict)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(actors))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def check_threads(history: History, real: RealStage, box: SandboxStage, tally: Tally) -> None:
    """Play a history of threads on both stages, and compare what is left.

    :raises Difference: it is not the same, and the sandbox did not say so.
    """
    with warnings_heard():
        real.reset()
        _play(real, history)
        expected = real.content()
    tally.add("histories")
    tally.add("steps", len(history.steps))
    with warnings_heard() as heard, box.test():
        conflicts = _play(box, history)
        tally.add("warnings", len(heard))
        if conflicts or box.conflicts:
            # which of two threads began decides whether one could have shown it
            tally.conflicts["threads"] += 1
            return
        content = box.content()
    if content != expected:
        raise Difference(
            f"the final content differs:\n  real:    {expected}\n  sandbox: {content}\n\n{history}"
        )

"""Whether the sandbox showed what real connections did, and which differences the rules allow."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dbtestcase.errors import SandboxConflict

from .needed import Watched, explain
from .sqlite import SCHEMA_CHANGES
from .stages import RealStage, SandboxStage, warnings_heard
from .steps import History, Outcome, Step, script

__all__ = ["Difference", "Played", "Tally", "check", "play_really"]

#: A lock was in the way, a deadlock, a snapshot that was too old for a row: real connections stop
#: here, or were stopped, for reasons that one connection never has.
_BLOCKED = {"55P03", "40P01", "SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_BUSY_SNAPSHOT"}


class Difference(AssertionError):
    """The sandbox showed something else than real connections, and did not say so."""


@dataclass
class Tally:
    """What happened in all histories of a run: it must not have been empty."""

    counts: Counter[str] = field(default_factory=Counter)
    conflicts: Counter[str] = field(default_factory=Counter)
    needless: Counter[str] = field(default_factory=Counter)
    false_warnings: Counter[str] = field(default_factory=Counter)
    #: a needless conflict of each rule
    examples: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> int:
        return self.counts[name]

    def add(self, name: str, number: int = 1) -> None:
        """Count."""
        self.counts[name] += number

    def update(self, other: Tally) -> None:
        """Add what another counted."""
        self.counts.update(other.counts)
        self.conflicts.update(other.conflicts)
        self.needless.update(other.needless)
        self.false_warnings.update(other.false_warnings)
        self.examples = {**other.examples, **self.examples}


@dataclass
class Played:
    """A history as real connections played it."""

    history: History
    outcomes: list[Outcome]
    content: Any
    #: the step at which a lock was in the way, if one was
    blocked: int | None = None


def play_really(
    stage: RealStage, history: History, looking: Callable[[Outcome], None] = lambda _: None
) -> Played:
    """Play a history on real connections, up to where one has to wait for another.

    :param looking: called after each step.
    """
    stage.reset()
    actors = stage.actors(history)
    outcomes: list[Outcome] = []
    blocked = None
    try:
        for number, step in enumerate(history.steps):
            outcome = actors[step.actor].play(step)
            if outcome[0] == "error" and _is_blocked(step, outcome[1]):
                blocked = number
                break
            outcomes.append(outcome)
            looking(outcome)
    finally:
        for actor in actors:
            actor.leave()
        stage.leave(history)
    return Played(history, outcomes, stage.content(), blocked)


def watch(stage: RealStage, history: History, end: int) -> Watched:
    """Play the steps up to *end* once more, and ask the server about transactions meanwhile."""
    before = History(history.kinds, history.variant, history.steps[:end])
    watched = Watched(before, [], closed=end >= len(history.steps))
    seen: list[Outcome] = []

    def look(outcome: Outcome) -> None:
        seen.append(outcome)
        watched.xids.append(stage.transactions())
        if len(seen) == len(before.steps):
            ids = {xid for each in watched.xids for xid in each.values()}
            watched.status = {xid: stage.status_of(xid) for xid in ids}

    with warnings_heard():
        play_really(stage, before, look)
    watched.outcomes = seen
    return watched


def _is_blocked(step: Step, code: str) -> bool:
    # who says NOWAIT is told so by the same code, and has not waited
    return code in _BLOCKED and not (code == "55P03" and step.operation.name == "NOWAIT")


def check(
    history: History,
    real: RealStage,
    box: SandboxStage,
    tally: Tally,
    other: tuple[SandboxStage, Tally] | None = None,
) -> None:
    """Play a history on both stages and compare.

    :param other: another sandbox, whose figures are to be compared with this one's.
    :raises Difference: the sandbox was silently wrong, or raised a conflict that no rule explains.
    """
    with warnings_heard():
        expected = play_really(real, history)
    if other is not None:
        with contextlib.suppress(Difference):
            _Check(history, expected, real, *other).run()
    _Check(history, expected, real, box, tally).run()


class _Check:
    """One history in the sandbox, beside what came of it on real connections."""

    def __init__(
        self,
        history: History,
        expected: Played,
        real: RealStage,
        box: SandboxStage,
        tally: Tally,
    ) -> None:
        self.history = history
        self.expected = expected
        self.real = real
        self.box = box
        self.tally = tally
        self.steps = history.steps[: len(expected.outcomes)]
        if expected.blocked is not None and box.blocked_warns:
            # whoever finds a lock in the way there is warned here
            self.steps = history.steps[: expected.blocked + 1]
        self.played: list[Any] = []
        #: whether something was written beside another's uncommitted work: the sandbox warned,
        #: and what follows may differ
        self.tainted = False

    def run(self) -> None:
        self.tally.add("histories")
        self.tally.add("steps", len(self.steps))
        self.tally.add("blocked", self.expected.blocked is not None)
        with warnings_heard() as heard, self.box.test():
            savepoints = self.box.savepoints
            actors = self.box.actors(self.history)
            try:
                self._play(actors, heard)
            except _Aside:
                self.tally.add("aside")
            finally:
                crossed = self.box.savepoints - savepoints
                self.tally.add("segments", crossed)
                for actor in actors:
                    actor.leave()
                self.box.leave(self.history)

    def _play(self, actors: list[Any], heard: list[str]) -> None:
        for number, step in enumerate(self.steps):
            heard.clear()
            self.box.warn_again()
            before = self._owners()
            try:
                outcome: Any = actors[step.actor].play(step)
            except SandboxConflict as error:
                self._conflict(number, str(error))
                return
            if conflicts := self.box.conflicts:
                self._conflict(number, str(conflicts[0]))
                return
            self.played.append(outcome)
            if number == len(self.expected.outcomes):
                # another error is no silence: BEGIN IMMEDIATE may have two reasons to fail
                if heard or self.tainted or outcome[0] == "error":
                    raise _Aside
                if self.box.forgets_schemas and self._locked_by_an_old_schema(step.actor):
                    self.tally.add("left locked by an old schema")
                    raise _Aside
                raise self._difference("a lock is in the way, and nothing warns of it")
            self._count(step, outcome, before)
            self._compare(number, step, outcome, heard)
        for actor in actors:
            actor.leave()
        self.box.leave(self.history)
        if conflicts := self.box.conflicts:
            self._conflict(len(self.steps), str(conflicts[0]))
            return
        heard.clear()
        self.box.warn_again()
        try:
            content = self.box.content()
        except SandboxConflict as error:
            self._conflict(len(self.steps), str(error))
            return
        # SQLAlchemy cannot close what lost its savepoint by a text: its transaction is open still
        if content != self.expected.content and not self.tainted and not heard:
            real, mine = self.expected.content, content
            raise self._difference(
                "the final content differs:\n"
                f"  only real:    {[row for row in real if row not in mine]}\n"
                f"  only sandbox: {[row for row in mine if row not in real]}"
            )

    def _owners(self) -> list[object]:
        """Give whose the segments are, from the bottom; of neighbours of one owner the first."""
        owners = self.box.owners()
        return [o for i, o in enumerate(owners) if not i or o is not owners[i - 1]]

    def _count(self, step: Step, outcome: Outcome, before: list[object]) -> None:
        """Count what a run must not be without."""
        owners = self._owners()
        self.tally.add("crossed", len(owners) > len(set(owners)))
        if outcome[0] == "error" and len(set(before)) > 1:
            self.tally.add("failures beneath others' work")
        if step.operation.name in ("ROLLBACK TO", "nested.rollback") and outcome[0] == "done":
            self.tally.add("savepoints rolled back")
        ends = {"commit", "rollback", "close", "invalidate"}
        if step.operation.name not in ends and set(before) - set(owners):
            self.tally.add("readers let go")

    def _compare(self, number: int, step: Step, outcome: Outcome, heard: list[str]) -> None:
        expected = self.expected.outcomes[number]
        warned = bool(heard)
        self.tally.add("warnings", warned)
        self.tally.add("errors", expected[0] == "error")
        by_another_schema = any("has written to the schema" in text for text in heard)
        if outcome == expected:
            self.tally.add("false warnings", warned)
            self.tally.false_warnings[step.operation.name] += warned
            # a result may be open still that holds other rows behind those that were read; by a
            # schema that is not committed something else may have been run, which wrote
            self.tainted |= warned and (step.operation.writes or step.operation.lingers)
            self.tainted |= by_another_schema
            return
        if (
            self.box.forgets_schemas
            and self._by_an_old_schema(number)
            # a column is refused that only the old table had
            and (
                step.operation.name == "ALTER TABLE"
                or (outcome[:2] == expected[:2] and expected[2] is True)
            )
        ):
            self.tally.add("left open by an old schema")
            raise _Aside
        if warned or self.tainted:
            # what was read beside uncommitted work is aside; what was written, or kept in an
            # identity map or an open result, shows in what follows
            keeps = self.history.kinds[step.actor] == "orm" or step.operation.lingers
            if step.operation.writes or keeps or by_another_schema:
                self.tainted = True
            if outcome[0] != expected[0] or self.tainted:
                raise _Aside
            return
        raise self._difference(f"step {number + 1} differs: {step}")

    def _by_an_old_schema(self, number: int) -> bool:
        """Whether a step failed on real connections, and may by a schema that is no more.

        The driver compiles a statement before it sends BEGIN, and by the schema that its
        connection had read: where another connection has changed that since, one that must fail
        does when it runs, after BEGIN and with a lock, and ALTER TABLE may fail that need not.
        """
        return self.expected.outcomes[number][:2] == ("error", "SQLITE_ERROR") and any(
            s.operation in SCHEMA_CHANGES and s.actor != self.steps[number].actor
            for s in self.steps[:number]
        )

    def _locked_by_an_old_schema(self, actor: int) -> bool:
        """Whether another's failed statement may hold the lock, as it had begun to run."""
        return any(
            self.steps[number].actor != actor and self._by_an_old_schema(number)
            for number in range(len(self.expected.outcomes))
        )

    def _conflict(self, number: int, message: str) -> None:
        self.tally.add("conflicts")
        if not self.box.strict:
            self.tally.conflicts[message] += 1
            return
        rule, needed = explain(
            message, number, self.expected, lambda end: watch(self.real, self.history, end)
        )
        if rule is None:
            raise self._difference(f"a conflict that no rule explains: {message}")
        self.tally.conflicts[rule] += 1
        if not needed and not self.tainted:
            self.tally.needless[rule] += 1
            self.tally.examples.setdefault(rule, f"{message}\n{self._script()}")

    def _difference(self, what: str) -> Difference:
        self.tally.add("differences")
        return Difference(f"{what}\n\n{self._script()}")

    def _script(self) -> str:
        head = str(self.history).splitlines()[0]
        return f"{head}\n{script(self.steps, self.expected.outcomes, self.played)}"


class _Aside(Exception):
    """The rest of a history cannot be compared: the sandbox has warned of that."""

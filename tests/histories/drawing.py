"""Which histories are drawn.

*Mixed* histories try everything. *Web* histories are like the tests of a web application: a
session of the test's own that mostly reads, and requests that are transactions of one connection,
some of which write something by a second connection meanwhile, an audit log for example.

They are drawn from :class:`random.Random` alone, so that a seed gives the same ones whatever else
is imported: hypothesis would take constants for them from all local modules that are.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from random import Random

from .steps import History, Operation, Step

__all__ = ["Vocabulary", "mixed_history", "web_history"]

#: What n may be: few numbers, so that keys and names meet.
NUMBERS = range(6)


#: What a request does beside reading, and how often.
_OF_REQUESTS = {
    "insert": 6,
    "insert parent": 2,
    "update item": 4,
    "delete item": 2,
    "upsert": 1,
    "function": 1,
    "insert noted": 1,
    "insert child": 1,
    "duplicate": 1,
}

_BRACKETS = (
    ("SAVEPOINT", "ROLLBACK TO"),
    ("SAVEPOINT", "RELEASE"),
    ("begin_nested", "nested.rollback"),
    ("begin_nested", "nested.commit"),
)


class Vocabulary:
    """The operations of one kind of database, as often as they are drawn.

    :param families: how often a family is drawn, and its operations; those that read first.
    :param ends: what may end a phrase; None for nothing.
    """

    def __init__(
        self,
        families: Sequence[tuple[int, Sequence[Operation]]],
        ends: Sequence[Operation],
    ) -> None:
        common = [o for times, family in families if times > 3 for o in weighted(family, times)]
        by_name = {o.name: o for o in ends}
        self.commit, self.rollback, self.close = (
            by_name[name] for name in ("commit", "rollback", "close")
        )
        named = {o.name: o for _, family in families for o in family}
        brackets = [(named[first], named[last]) for first, last in _BRACKETS]
        endings = [None, None, None, self.commit, self.commit, self.rollback]
        #: what stands around the steps of a phrase, and what ends it
        self.frames = [(around, end) for around in [None] * 8 + brackets for end in endings]
        #: what a history is made of: beside the common operations it has those of one rarer
        #: family, so that these meet
        self.mixtures = [
            [
                (operation, n)
                for operation in common
                + weighted(family) * (len(common) // (2 * weight(family)) or 1)
                for n in NUMBERS
            ]
            for times, family in families
            if times <= 3
            for _ in range(times)
        ]
        self.reads = [(operation, n) for operation in weighted(families[0][1]) for n in NUMBERS]
        self.of_requests = [
            (named[name], n)
            for name, times in _OF_REQUESTS.items()
            if name in named
            for n in NUMBERS
            for _ in range(times)
        ]


def weighted(operations: Sequence[Operation], times: int = 1) -> list[Operation]:
    """Give each as often as its weight says."""
    return [operation for operation in operations for _ in range(operation.weight * times)]


def weight(operations: Sequence[Operation]) -> int:
    """Say how many :func:`weighted` gives."""
    return sum(operation.weight for operation in operations)


def mixed_history(
    random: Random, words: Vocabulary, kinds: Sequence[str], variants: Sequence[str]
) -> History:
    """Draw a mixed history: phrases of a few steps by one actor, so that transactions end."""
    count = random.choice([2, 2, 3])
    mixture = random.choice(words.mixtures)
    steps: list[Step] = []
    actor = 0
    for _ in range(random.randint(1, 20)):
        actor = (actor + random.choice([1, 1, 2])) % count
        around, ending = random.choice(words.frames)
        phrased = random.choices(mixture, k=random.randint(1, 2))
        if around is not None:
            phrased = [(around[0], 0), *phrased, (around[1], 0)]
        if ending is not None:
            phrased = [*phrased, (ending, 0)]
        steps += [Step(actor, operation, n) for operation, n in phrased]
    who = random.choice(list(itertools.product(kinds, repeat=count)))
    return History(who, random.choice(variants), tuple(steps))


def web_history(random: Random, words: Vocabulary, variants: Sequence[str]) -> History:
    """Draw a history like a test of a web application's.

    The test's own session is actor 0, requests are actor 1, and what a request does past its
    own transaction is actor 2.
    """
    reads, writes = words.reads, words.of_requests
    steps: list[Step] = []

    def say(actor: int, among: Sequence[tuple[Operation, int]], least: int, most: int) -> None:
        said = random.choices(among, k=random.randint(least, most))
        steps.extend(Step(actor, operation, n) for operation, n in said)

    for what in random.choices(_WEB, k=random.randint(2, 8)):
        if what == "look":
            say(0, reads, 0, 3)
        elif what == "arrange":
            say(0, writes, 1, 2)
            # nearly every test commits what a request is to find
            steps.append(Step(0, words.commit))
        elif what == "forget to commit":
            say(0, writes, 1, 1)
        elif what == "end":
            steps.append(Step(0, random.choice([words.commit, words.rollback])))
        else:
            say(1, reads, 0, 3)
            if what != "GET":
                say(1, writes, 1, 3)
                if what == "POST with audit":
                    say(2, writes, 1, 1)
                    steps += [Step(2, words.commit), Step(2, words.close)]
                say(1, reads, 0, 3)
                steps.append(Step(1, words.rollback if what == "POST that fails" else words.commit))
            steps.append(Step(1, words.close))
    return History(("orm", "orm", "core"), random.choice(variants), tuple(steps))

_WEB = (
    ["look"] * 8
    + ["GET"] * 6
    + ["POST"] * 8
    + ["POST that fails"] * 2
    + ["POST with audit"]
    + ["arrange"] * 4
    + ["forget to commit"]
    + ["end"] * 3
)

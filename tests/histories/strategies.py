"""Which histories are drawn.

*Mixed* histories try everything. *Web* histories are like the tests of a web application: a
session of the test's own that mostly reads, and requests that are transactions of one connection,
some of which write something by a second connection meanwhile, an audit log for example.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from .steps import History, Operation, Step

__all__ = ["Vocabulary", "histories", "web_histories"]

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
        self.reads = st.sampled_from([(o, n) for o in weighted(families[0][1]) for n in NUMBERS])
        of_requests = [
            (named[name], n)
            for name, times in _OF_REQUESTS.items()
            if name in named
            for n in NUMBERS
            for _ in range(times)
        ]
        self.of_requests = st.sampled_from(of_requests)


def weighted(operations: Sequence[Operation], times: int = 1) -> list[Operation]:
    """Give each as often as its weight says."""
    return [operation for operation in operations for _ in range(operation.weight * times)]


def weight(operations: Sequence[Operation]) -> int:
    """Say how many :func:`weighted` gives."""
    return sum(operation.weight for operation in operations)


#: hypothesis likes some numbers, the least above all, and repeats itself: what they stand for is
#: another thing in each history, or a run would try few things often and others never.
_NUMBER = st.integers(0, 0xFFFF)
_PHRASE = st.tuples(_NUMBER, _NUMBER, st.lists(_NUMBER, min_size=1, max_size=2))
_PHRASES = st.lists(st.lists(_PHRASE, min_size=1, max_size=5), min_size=1, max_size=6)


@st.composite
def histories(draw: Any, words: Vocabulary, kinds: Sequence[str], variants: Sequence[str]) -> Any:
    """Draw a mixed history: phrases of a few steps by one actor, so that transactions end."""
    salt = draw(_NUMBER)

    def pick(among: Sequence[Any], number: int) -> Any:
        return among[zlib.crc32(b"%d %d" % (salt, number)) % len(among)]

    count = pick([2, 2, 3], draw(_NUMBER))
    mixture = pick(words.mixtures, draw(_NUMBER))
    steps: list[Step] = []
    actor = -1
    for phrases in draw(_PHRASES):
        for turns, frame, numbers in phrases:
            actor = (actor + 1 + pick([0, 0, 1], turns)) % count
            around, ending = pick(words.frames, frame)
            phrased = [pick(mixture, number) for number in numbers]
            if around is not None:
                phrased = [(around[0], 0), *phrased, (around[1], 0)]
            if ending is not None:
                phrased = [*phrased, (ending, 0)]
            steps += [Step(actor, operation, n) for operation, n in phrased]
    who = pick(list(itertools.product(kinds, repeat=count)), draw(_NUMBER))
    return History(who, pick(variants, draw(_NUMBER)), tuple(steps))


@st.composite
def web_histories(draw: Any, words: Vocabulary, variants: Sequence[str]) -> Any:
    """Draw a history like a test of a web application's.

    The test's own session is actor 0, requests are actor 1, and what a request does past its
    own transaction is actor 2.
    """
    reads, writes = words.reads, words.of_requests
    steps: list[Step] = []

    def say(actor: int, said: list[tuple[Operation, int]]) -> None:
        steps.extend(Step(actor, operation, n) for operation, n in said)

    few = st.lists(reads, min_size=0, max_size=3)
    for what in draw(st.lists(st.sampled_from(_WEB), min_size=2, max_size=8)):
        if what == "look":
            say(0, draw(few))
        elif what == "arrange":
            say(0, draw(st.lists(writes, min_size=1, max_size=2)))
            # nearly every test commits what a request is to find
            steps.append(Step(0, words.commit))
        elif what == "forget to commit":
            say(0, [draw(writes)])
        elif what == "end":
            steps.append(Step(0, draw(st.sampled_from([words.commit, words.rollback]))))
        else:
            say(1, draw(few))
            if what != "GET":
                say(1, draw(st.lists(writes, min_size=1, max_size=3)))
                if what == "POST with audit":
                    say(2, [draw(writes)])
                    steps += [Step(2, words.commit), Step(2, words.close)]
                say(1, draw(few))
                steps.append(Step(1, words.rollback if what == "POST that fails" else words.commit))
            steps.append(Step(1, words.close))
    return History(("orm", "orm", "core"), draw(st.sampled_from(variants)), tuple(steps))


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

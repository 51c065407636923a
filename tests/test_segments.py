"""Tests for :mod:`dbtestcase.sandbox.segments`, without any driver."""

from __future__ import annotations

import unittest
from collections.abc import Mapping
from typing import Any

from dbtestcase.sandbox.segments import SegmentStack, Wrote


class Wire:
    """Notes what is sent, and knows in which savepoint somebody wrote."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        #: how many savepoints there are down to the highest one that wrote
        self.writing = 0
        self.asked = 0
        self.asks_free = False

    def queue(self, sql: str) -> None:
        self.sent.append(sql)

    def mark(self) -> None:
        """Nothing."""

    def wrote(self, savepoints: int, mark: Any) -> bool:
        self.asked += 1
        self.sent.append("?")
        return self.writing >= savepoints

    def take(self) -> list[str]:
        """Give what was sent since the last call."""
        sent, self.sent = self.sent, []
        return sent


class Owner:
    def __init__(self, name: str) -> None:
        self.author = name
        self.level = 0

    def __repr__(self) -> str:
        return self.author


class SegmentTestCase(unittest.TestCase):
    def setUp(self) -> None:
        self.wire = Wire()
        self.put_back: list[Mapping[str, str | None]] = []
        self.stack = SegmentStack(self.wire, self.put_back.append)
        self.stack.begin(savepoint=True)
        self.wire.take()
        self.a, self.b, self.c = Owner("A"), Owner("B"), Owner("C")

    def write(self, owner: Owner) -> None:
        """Let *owner* send a statement that writes."""
        self.assertIsNone(self.stack.stuck())
        self.stack.claim(owner)
        self.wire.writing = len(self.stack.segments)

    def read(self, owner: Owner, *, proven: bool = False) -> None:
        """Let *owner* send a statement that reads; *proven*, where the database can tell."""
        self.assertIsNone(self.stack.stuck())
        self.stack.claim(owner, only_reads=proven)
        self.wire.writing = min(self.wire.writing, len(self.stack.segments))

    def drawn(self) -> str:
        """Draw the stack as the module's docstring does."""
        words = []
        for segment in self.stack.segments:
            mark = {Wrote.YES: "*", Wrote.NO: "", Wrote.UNASKED: "?"}[segment.wrote]
            words.append(f"{segment.owner or '·'}{'†' if segment.dead else mark}")
        return " ".join(words)


class TestSegmentStack(SegmentTestCase):
    def test_drawn_example(self) -> None:
        """The example in the module's docstring happens as it is drawn."""
        self.write(self.a)
        self.assertEqual(self.drawn(), "A?")
        self.write(self.b)
        self.assertEqual(self.drawn(), "A* B?")
        self.write(self.a)
        self.assertEqual(self.drawn(), "A* B* A?")
        self.stack.commit(self.b)
        self.assertEqual(self.drawn(), "A* ·* A?")
        self.wire.take()
        self.stack.undo(self.a, 0)
        self.assertEqual(self.wire.take(), ["ROLLBACK TO s2"])
        self.assertEqual(self.drawn(), "A† ·* ·")
        dead = self.stack.stuck()
        assert dead is not None
        self.assertEqual(dead.author, "A")
        self.assertEqual([segment.author for segment in self.stack.above(dead)], ["B"])

    def test_first_statement(self) -> None:
        """The first statement takes the savepoint that is there, and sends nothing."""
        self.read(self.a)
        self.write(self.a)
        self.assertEqual(self.wire.take(), [])

    def test_base_is_the_transaction(self) -> None:
        """Without a savepoint beneath, a failing first statement begins the transaction anew."""
        self.stack.begin(savepoint=False)
        self.write(self.a)
        self.stack.fail_top()
        self.assertEqual(self.wire.take(), ["ROLLBACK; BEGIN"])
        self.assertEqual([s.owner for s in self.stack], [None])

    def test_after_a_commit(self) -> None:
        """The transaction after one that wrote costs one message, which nobody is asked for."""
        self.write(self.a)
        self.stack.commit(self.a)
        self.write(self.b)
        self.assertEqual(self.wire.take(), ["SAVEPOINT s1"])
        self.assertEqual(self.stack.commits, 1)

    def commit_by(self, owner: Owner) -> str:
        """Commit by a message, and give what it is to end with."""
        sent: list[str] = []
        self.stack.commit_by(owner, sent.append)
        self.assertEqual(self.wire.take(), [])
        return "".join(sent)

    def test_commit_by_a_message(self) -> None:
        """A commit that needs a message opens the next segment, which then costs none."""
        self.write(self.a)
        self.assertEqual(self.commit_by(self.a), "SAVEPOINT s1")
        self.write(self.b)
        self.assertEqual(self.drawn(), "·? B?")
        self.assertEqual(self.commit_by(self.b), "RELEASE s1; SAVEPOINT s2")
        self.read(self.a)
        self.assertEqual(self.wire.take(), [])
        self.assertEqual(self.stack.commits, 2)

    def test_commit_by_a_message_that_fails(self) -> None:
        """Where the message of a commit fails, nothing is committed."""

        def send(more: str) -> None:
            raise RuntimeError("violated")

        self.write(self.a)
        self.wire.take()
        with self.assertRaisesRegex(RuntimeError, "^violated$"):
            self.stack.commit_by(self.a, send)
        self.assertEqual((self.drawn(), self.stack.commits), ("A?", 0))
        self.stack.fail_top()
        self.assertEqual(self.wire.take(), ["ROLLBACK TO s0"])

    def test_commit_by_a_message_above_others(self) -> None:
        """The segments of others stay apart from what is committed above them."""
        self.write(self.a)
        self.write(self.b)
        self.wire.take()
        self.assertEqual(self.commit_by(self.b), "SAVEPOINT s2")
        self.assertEqual(self.drawn(), "A* ·? ·")
        self.stack.undo(self.a, 0)
        dead = self.stack.stuck()
        assert dead is not None
        self.assertEqual(dead.author, "A")

    def test_commit_by_a_message_lets_go(self) -> None:
        """What pinned the owner's segments ends with the commit, beneath others' as well."""
        self.write(self.a)
        self.stack.top.pinned = True
        self.read(self.b, proven=True)
        self.stack.top.pinned = True
        self.write(self.a)
        self.stack.top.pinned = True
        self.wire.take()
        self.commit_by(self.a)
        self.assertEqual([s.owner for s in self.stack if s.pinned], [self.b])

    def test_commit_by_a_message_of_several_levels(self) -> None:
        """What savepoints of the owner's own hold is committed with the rest, and folded."""
        self.write(self.a)
        self.a.level = 1
        self.write(self.a)
        self.wire.take()
        self.a.level = 0
        self.assertEqual(self.commit_by(self.a), "RELEASE s1; SAVEPOINT s2")
        self.assertEqual(self.drawn(), "·* ·")
        self.write(self.b)
        self.stack.undo(self.b, 0)
        self.assertEqual(self.wire.take(), ["ROLLBACK TO s2"])

    def test_committed_is_not_taken_over(self) -> None:
        """What is committed is out of reach for the next connection's rollback."""
        self.write(self.a)
        self.stack.commit(self.a)
        self.write(self.b)
        self.wire.take()
        self.stack.undo(self.b, 0)
        self.assertEqual(self.wire.take(), ["ROLLBACK TO s1"])
        self.assertEqual(self.drawn(), "·? ·")

    def test_reader_is_let_go(self) -> None:
        """A savepoint in which a reader was is taken over, where asking costs nothing."""
        self.wire.asks_free = True
        self.read(self.a)
        self.read(self.b)
        self.assertEqual(self.wire.take(), ["?"])
        self.assertEqual(self.drawn(), "B?")
        self.stack.undo(self.a, 0)
        self.assertEqual(self.wire.take(), [])

    def test_hidden_writer(self) -> None:
        """What wrote is not taken over."""
        self.wire.asks_free = True
        self.write(self.a)
        self.read(self.b)
        self.assertEqual(self.wire.take(), ["?", "SAVEPOINT s1"])
        self.assertEqual(self.drawn(), "A* B?")

    def test_above_an_unasked(self) -> None:
        """A savepoint is set in the same message that asks about the one below."""
        self.read(self.a)
        self.write(self.b)
        self.assertEqual(self.wire.take(), ["SAVEPOINT s1", "?"])
        self.assertEqual(self.drawn(), "· B?")

    def test_proven_readers(self) -> None:
        """Who surely only reads shares one savepoint with all who do, and sends nothing."""
        for owner in (self.a, self.b, self.a, self.c):
            self.read(owner, proven=True)
        self.stack.commit(self.b)
        self.stack.undo(self.a, 0)
        self.read(self.b, proven=True)
        self.assertEqual(self.drawn(), "B")
        self.assertEqual(self.stack.commits, 0)
        self.assertEqual(self.wire.take(), [])

    def test_writer_after_proven_readers(self) -> None:
        """The first who may write takes the readers' savepoint, open or not."""
        self.read(self.a, proven=True)
        self.write(self.b)
        self.assertEqual(self.wire.take(), [])
        self.read(self.a, proven=True)
        self.assertEqual(self.wire.take(), ["SAVEPOINT s1", "?"])
        self.assertEqual(self.drawn(), "B* A")

    def test_proven_reader_after_a_writer(self) -> None:
        """A reader needs a savepoint above what was written, for it may fail; the next has it."""
        self.write(self.a)
        self.stack.commit(self.a)
        self.read(self.b, proven=True)
        self.stack.undo(self.b, 0)
        self.read(self.c, proven=True)
        self.assertEqual(self.wire.take(), ["SAVEPOINT s1"])

    def test_asked_again(self) -> None:
        """A segment that was found clean is unasked as soon as its owner goes on."""
        self.read(self.a)
        self.assertIs(self.stack.ask_top(), Wrote.NO)
        self.write(self.a)
        self.assertIs(self.stack.ask_top(), Wrote.YES)

    def test_pinned_reader_keeps_its_savepoint(self) -> None:
        """A savepoint that holds a cursor is not taken over."""
        self.read(self.a)
        self.stack.top.pinned = True
        self.read(self.b)
        self.assertEqual(self.drawn(), "A B?")

    def test_rollback_in_order(self) -> None:
        """What lies on top is rolled back alone."""
        self.write(self.a)
        self.write(self.b)
        self.wire.take()
        self.stack.undo(self.b, 0)
        self.assertEqual(self.wire.take(), ["ROLLBACK TO s1"])
        self.assertEqual(self.drawn(), "A* ·")
        self.wire.writing = 1
        self.write(self.a)
        self.stack.undo(self.a, 0)
        self.assertEqual(self.wire.take()[-1], "ROLLBACK TO s0")

    def test_rollback_beneath_a_reader(self) -> None:
        """Readers above are no hindrance."""
        self.write(self.a)
        self.read(self.b)
        self.wire.take()
        self.wire.writing = 1
        self.stack.undo(self.a, 0)
        self.assertEqual(self.wire.take(), ["?", "ROLLBACK TO s0"])
        self.assertIsNone(self.stack.stuck())

    def test_rollback_of_a_reader(self) -> None:
        """What was found to have read only needs no rollback; a cursor ends by itself."""
        self.read(self.a)
        self.stack.top.pinned = True
        self.write(self.b)
        self.stack.commit(self.b)
        self.wire.take()
        self.stack.undo(self.a, 0)
        self.assertEqual(self.wire.take(), [])
        self.assertIsNone(self.stack.stuck())
        self.assertEqual(self.drawn(), "· ·?")

    def test_rollback_beneath_what_is_pinned_by_the_same(self) -> None:
        """What an owner's own lock has pinned above its writes is no hindrance to their end."""
        self.write(self.a)
        self.read(self.b)
        self.read(self.a)
        self.stack.top.pinned = True
        self.read(self.c)
        self.wire.writing = 1
        self.assertIs(self.stack.ask_top(), Wrote.NO)
        self.wire.take()
        self.stack.undo_if_above_all(self.a, 0)
        self.assertIn("ROLLBACK TO s0", self.wire.take())
        self.assertIsNone(self.stack.stuck())

    def test_rollback_beneath_what_is_pinned(self) -> None:
        """A cursor that another has open would not outlive a rollback of what lies beneath."""
        self.write(self.a)
        self.read(self.b)
        self.stack.top.pinned = True
        self.stack.undo(self.a, 0)
        self.assertIsNotNone(self.stack.stuck())
        self.assertEqual(self.drawn(), "A† B")

    def test_dead_takes_no_work(self) -> None:
        """A segment that is to be undone is not gone on with."""
        self.write(self.a)
        self.write(self.b)
        self.stack.undo(self.a, 0)
        self.stack.top.dead, self.stack.segments[0].dead = True, False
        self.stack.claim(self.b)
        self.assertEqual(self.drawn(), "A* B† B?")

    def test_rollback_beneath_the_undone(self) -> None:
        """A dead segment is trimmed as soon as what lay on it is undone, too."""
        self.write(self.a)
        self.write(self.b)
        self.stack.undo(self.a, 0)
        self.assertIsNotNone(self.stack.stuck())
        self.wire.take()
        self.stack.undo(self.b, 0)
        self.assertEqual(self.wire.take(), ["ROLLBACK TO s0"])
        self.assertIsNone(self.stack.stuck())

    def test_doomed_at_once(self) -> None:
        """What a failure has doomed is undone at once where nobody else's work lies on it."""
        self.write(self.a)
        self.write(self.b)
        self.stack.undo_if_above_all(self.a, 0)
        self.assertEqual(self.drawn(), "A* B?")
        self.wire.take()
        self.stack.undo_if_above_all(self.b, 1)
        self.assertEqual(self.wire.take(), [])
        self.stack.undo_if_above_all(self.b, 0)
        self.assertEqual(self.wire.take(), ["ROLLBACK TO s1"])
        self.assertEqual(self.drawn(), "A* ·")

    def test_failing_statement(self) -> None:
        """It takes the topmost segment with it, and no other."""
        self.write(self.a)
        self.write(self.b)
        self.wire.take()
        self.stack.fail_top()
        self.assertEqual(self.wire.take(), ["ROLLBACK TO s1"])
        self.assertEqual([s.owner for s in self.stack.of_others(None)], [self.a])

    def test_levels(self) -> None:
        """A user savepoint is a segment from its first statement on; RELEASE folds."""
        self.write(self.a)
        self.a.level = 1
        self.write(self.a)
        self.assertEqual(self.wire.take(), ["SAVEPOINT s1", "?"])
        self.a.level = 0
        self.stack.release(self.a, 0)
        self.assertEqual([s.level for s in self.stack.of(self.a)], [0, 0])
        self.a.level = 1
        self.wire.take()
        self.write(self.a)
        # what is known to have written is not asked again
        self.assertEqual(self.wire.take(), ["RELEASE s1", "SAVEPOINT s2"])
        self.stack.undo(self.a, 1)
        self.assertEqual(self.wire.take(), ["ROLLBACK TO s2"])

    def test_settings(self) -> None:
        """A ROLLBACK TO tells which settings the server put back."""
        self.stack.settings = lambda: {"work_mem": "1MB"}
        self.write(self.a)
        self.write(self.b)
        self.stack.undo(self.b, 0)
        self.assertEqual(self.put_back, [{"work_mem": "1MB"}])

    def test_rewind(self) -> None:
        """One message ends a test and begins the next."""
        self.write(self.a)
        self.write(self.b)
        self.wire.take()
        self.stack.rewind()
        self.assertEqual(self.wire.take(), ["ROLLBACK TO s0"])
        self.assertEqual(self.drawn(), "·")

    def test_many_commits(self) -> None:
        """However many commits, the stack does not grow."""
        for _ in range(100):
            self.write(self.a)
            self.stack.commit(self.a)
        self.assertLessEqual(len(self.stack.segments), 3)

    def test_commits_of_readers(self) -> None:
        """A commit counts only where something was, or may have been, written."""
        self.read(self.a)
        self.stack.ask_top()
        self.stack.commit(self.a)
        self.assertEqual(self.stack.commits, 0)

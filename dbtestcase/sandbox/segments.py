"""The stack of segments: how the work of several connections is kept apart on one.

On one connection savepoints lie on each other, and ``ROLLBACK TO`` one of them undoes everything
above it, whoever did it. A *segment* is one such savepoint, and holds work of one owner only: of
one virtual connection, at one depth of its own (user) savepoints. So what is to be undone alone
lies alone, as long as the owners end in an order that a stack allows. Two connections whose work
crosses look like this::

    time  statement                    stack (bottom … top)

     1    A: INSERT                    A*
     2    B: INSERT                    A* │ B*
     3    A: INSERT                    A* │ B* │ A*
     4    B: COMMIT                    A* │ ·* │ A*
     5    A: ROLLBACK                  A† │ ·* │ A†        the upper one can be trimmed …
                                       A† │ ·* │           … the lower one cannot

    * = wrote something    † = dead: to be undone    · = nobody's any more: it stays

The lowest savepoint is set before the test, on what the class left, and the end of the test goes
back to it.

What is committed belongs to nobody, and nothing more can happen to it. What is rolled back is
dead, and is *trimmed* as soon as everything above it is dead too or wrote nothing: one
``ROLLBACK TO`` then undoes it in the real transaction. In step 5 the lower segment of A lies
beneath what B committed, and a ``ROLLBACK TO`` would take B's work with it. One connection
cannot show that, so the next statement of anybody ends in :exc:`SandboxConflict`: not the
rollback itself, for nobody may ever look again, and then nobody was misled.

Whether a segment wrote is asked of the database, because a text does not tell (a ``SELECT``
may call a function that writes). It is asked of the topmost only, before something is put on
it; a segment that turns out to have only read is nobody's, and may be undone with what lies below.
Where the kind of database can prove that a statement only reads, nothing needs to be asked:
then transactions that only read follow each other in one savepoint, and send nothing of ours.

This module knows no driver and no kind of database: it talks to a :class:`Wire`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from .quick import plain_members

__all__ = ["Owner", "Segment", "SegmentStack", "Wire", "Wrote"]


class Wire(Protocol):
    """What the stack needs of the real connection."""

    @property
    def asks_free(self) -> bool:
        """Whether :meth:`wrote` sends no message."""

    def queue(self, sql: str) -> None:
        """Send *sql* before anything else that is sent: at the latest with the next message."""

    def mark(self) -> Any:
        """Say where a segment begins, for :meth:`wrote`."""

    def wrote(self, savepoints: int, mark: Any) -> bool:
        """Ask the database whether the work since *mark* wrote, *savepoints* being open there."""


class Owner(Protocol):
    """What the stack needs of a virtual connection."""

    @property
    def level(self) -> int:
        """How many savepoints of its own the connection has open."""

    @property
    def author(self) -> object:
        """What messages say of its present transaction; may be called after its end."""


@plain_members
class Wrote(enum.Enum):
    """Whether a segment changed the database, as far as it was asked."""

    NO = "no"
    YES = "yes"
    UNASKED = "unasked"

    def __or__(self, other: Wrote) -> Wrote:
        """Give what is known of two segments that become one."""
        if Wrote.YES in (self, other):
            return Wrote.YES
        return Wrote.UNASKED if Wrote.UNASKED in (self, other) else Wrote.NO


@dataclass(slots=True)
class Traces:
    """What a segment left in the database, as far as it matters to other connections."""

    inserted: set[int] = field(default_factory=set)
    changed: set[int] = field(default_factory=set)
    deleted: set[int] = field(default_factory=set)
    ddl: bool = False
    locked: bool = False
    #: whether something was sent that may have deleted rows
    may_delete: bool = False
    #: the words of what has locked rows
    locking: frozenset[str] = frozenset()

    @property
    def all_tables(self) -> set[int]:
        """Every table in which something was written."""
        return self.inserted | self.changed | self.deleted

    @property
    def hides_work(self) -> bool:
        """Whether there is work that no table tells of: the schema's, or nobody knows what."""
        return self.ddl or not (self.all_tables or self.locked)

    def add(self, other: Traces) -> None:
        """Take over what another segment left, because the two become one."""
        self.inserted |= other.inserted
        self.changed |= other.changed
        self.deleted |= other.deleted
        self.ddl |= other.ddl
        self.locked |= other.locked
        self.may_delete |= other.may_delete
        self.locking |= other.locking


@dataclass(slots=True, eq=False)
class Segment:
    """One savepoint, and whose work it holds.

    :param name: the savepoint's; empty for a base that is the transaction itself.
    :param settings: the session settings that were in force when it began.
    :param mark: what :meth:`Wire.mark` said when it began.
    :param apart: whether its savepoint must not be released while the transaction is open, as the
        server would forget with it what only a ROLLBACK TO that savepoint puts back.
    :param author: whose transaction it was, for messages: it outlives the owner.
    :param undone: how the program came to roll it back, where that could not be done at once.
    """

    name: str
    settings: Mapping[str, str | None]
    mark: Any
    owner: Owner | None = None
    level: int = 0
    wrote: Wrote = Wrote.NO
    dead: bool = False
    pinned: bool = False
    apart: bool = False
    author: object = None
    undone: Any = None
    _traces: Traces | None = None

    @property
    def traces(self) -> Traces:
        """What it left, as far as is known. Most segments are never asked, and have none."""
        if self._traces is None:
            self._traces = Traces()
        return self._traces

    @property
    def holds_nothing(self) -> bool:
        """Whether a ROLLBACK TO a segment below would lose nothing of this one."""
        return self.dead or (self.wrote is Wrote.NO and not self.pinned)

    def clear(self) -> None:
        """Forget whose it was: a ROLLBACK TO emptied it."""
        self.owner, self.level, self.wrote = None, 0, Wrote.NO
        self.dead = self.pinned = self.apart = False
        self.undone = self._traces = None


class SegmentStack:
    """The segments of one real transaction, and the rules for putting work on them.

    :param wire: the way to the database.
    :param rolled_back: called with a segment's ``settings`` after a ROLLBACK TO it was queued,
        because that puts session settings back to what they were.
    """

    def __init__(
        self, wire: Wire, rolled_back: Callable[[Mapping[str, str | None]], None] = lambda _: None
    ) -> None:
        self._wire = wire
        self._rolled_back = rolled_back
        self._count = 0
        self.segments: list[Segment] = []
        self.settings: Callable[[], Mapping[str, str | None]] = dict
        #: how many commits that wrote something there were: a snapshot taken before the last
        #: one is out of date.
        self.commits = 0
        #: whose the last of them was, for messages
        self.last_commit: object = None
        #: how many real savepoints were set, released and rolled back to: for tests and figures.
        self.savepoints_set = 0

    def __iter__(self) -> Iterator[Segment]:
        return iter(self.segments)

    @property
    def top(self) -> Segment:
        """The segment that the next statement would go to."""
        return self.segments[-1]

    # -- beginning -------------------------------------------------------------

    def begin(self, *, savepoint: bool) -> None:
        """Start anew on a transaction that holds no savepoint of ours.

        :param savepoint: whether earlier work of the transaction must outlive the test. If so
            the base is a savepoint; if not it is the transaction itself, which saves messages.
        """
        self._count = self.commits = self.savepoints_set = 0
        self.last_commit = None
        base = self._open("s0") if savepoint else Segment("", {}, self._wire.mark())
        self.segments = [base]

    def keep(self) -> None:
        """Let all work so far be the transaction's own; :meth:`begin` comes next."""
        if len(self.segments) > 1:
            lowest = next(segment.name for segment in self.segments if segment.name)
            self._wire.queue(f"RELEASE {lowest}")

    def rewind(self) -> None:
        """Go back to the base that :meth:`begin` made of a savepoint.

        The message that ends a test so begins the next one. Session settings are put back, too,
        which the caller knows.
        """
        base = self.segments[0]
        del self.segments[1:]
        self._wire.queue(f"ROLLBACK TO {base.name}")
        base.clear()
        base.mark = self._wire.mark()

    def _open(self, name: str) -> Segment:
        self._wire.queue(f"SAVEPOINT {name}")
        self.savepoints_set += 1
        return Segment(name, self.settings(), self._wire.mark())

    @property
    def _savepoints(self) -> int:
        return len(self.segments) - (not self.segments[0].name)

    # -- a statement -----------------------------------------------------------

    def claim(self, owner: Owner, *, only_reads: bool = False) -> Segment:
        """Make the topmost segment one of *owner* at its present level.

        The caller has made sure by :meth:`stuck` that no dead segment is left.

        :param only_reads: whether it is proven that the statement writes nothing.
        """
        top = self.segments[-1]
        if top.owner is None and self._is_free(top):
            self._adopt(top, owner)
        elif not self._is_of(top, owner):
            self._fold_own(owner)
            top = self.top
            if not self._is_of(top, owner):
                top = self._put_on_top(owner)
        if top.wrote is Wrote.NO and not only_reads:
            # whatever was found out before, this statement may write
            top.wrote = Wrote.UNASKED
        return top

    @staticmethod
    def _is_of(segment: Segment, owner: Owner) -> bool:
        return segment.owner is owner and segment.level == owner.level and not segment.dead

    def _put_on_top(self, owner: Owner) -> Segment:
        top = self.top
        if top.wrote is Wrote.NO and not top.pinned:
            top.owner = None
        if top.owner is None:
            if self._is_free(top):
                return self._adopt(top, owner)
            self._fold_nobodys()
            top = self.top
        # Below a segment of nobody nothing can be rolled back any more, unless somebody else
        # owns one there; only then it matters whether the top wrote.
        matters = top.wrote is Wrote.UNASKED and any(s.owner for s in self.segments)
        if matters and self._wire.asks_free:
            if self.ask_top() is Wrote.NO and not top.pinned:
                return self._put_on_top(owner)
            matters = False
        depth = self._savepoints
        self._count += 1
        segment = self._open(f"s{self._count}")
        if matters:
            # the new savepoint has no work yet, so the answer is still the old top's
            top.wrote = Wrote.YES if self._wire.wrote(depth, top.mark) else Wrote.NO
            if top.wrote is Wrote.NO and not top.pinned:
                top.owner = None
        segment.owner, segment.level, segment.author = owner, owner.level, owner.author
        self.segments.append(segment)
        return segment

    def _is_free(self, segment: Segment) -> bool:
        return segment.owner is None and segment.wrote is Wrote.NO and not segment.pinned

    def _adopt(self, segment: Segment, owner: Owner) -> Segment:
        segment.clear()
        segment.owner, segment.level, segment.author = owner, owner.level, owner.author
        segment.mark = self._wire.mark()
        return segment

    def ask_top(self) -> Wrote:
        """Find out whether the topmost segment wrote, if that is not known."""
        top = self.top
        if top.wrote is Wrote.UNASKED:
            wrote = self._wire.wrote(self._savepoints, top.mark)
            top.wrote = Wrote.YES if wrote else Wrote.NO
        return top.wrote

    # -- folding: two neighbours that nothing will tell apart become one -------

    def _fold_nobodys(self) -> None:
        """Fold the run of nobody's segments on top into its lowest: none is ever undone alone."""
        first = self._run_on_top(None)
        if first < len(self.segments) - 1:
            self._forget_whose(first)
            self._fold_into(first)

    def _run_on_top(self, owner: Owner | None) -> int:
        """Give where the segments on top begin that are nobody's, once *owner* has committed."""
        first = len(self.segments) - 1
        while first >= 1:
            below = self.segments[first - 1]
            if below.owner is not None and (below.owner is not owner or below.dead):
                break
            first -= 1
        return first

    def _forget_whose(self, first: int) -> None:
        authors = [s.author for s in self.segments[first:] if s.author is not None]
        self.segments[first].author = authors[-1] if authors else None
        for segment in self.segments[first:]:
            # what pinned it, or kept it apart, ended with its transaction
            segment.pinned = segment.apart = False

    def _fold_own(self, owner: Owner) -> None:
        """Fold neighbours of one owner and level: they end together."""
        first = len(self.segments) - 1
        top = self.segments[first]
        if top.owner is not owner or top.dead:
            return
        while first >= 1 and not self.segments[first].apart:
            below = self.segments[first - 1]
            if below.owner is not owner or below.level != top.level or below.dead:
                break
            first -= 1
        if first < len(self.segments) - 1:
            self._fold_into(first)

    def _fold_into(self, index: int) -> None:
        self._wire.queue(f"RELEASE {self.segments[index + 1].name}")
        self._folded_into(index)

    def _folded_into(self, index: int) -> None:
        kept = self.segments[index]
        for segment in self.segments[index + 1 :]:
            kept.wrote |= segment.wrote
            kept.pinned |= segment.pinned
            kept.traces.add(segment.traces)
        del self.segments[index + 1 :]

    # -- ending ----------------------------------------------------------------

    def fail_top(self) -> None:
        """Undo the topmost segment, in which a statement failed.

        It holds work of that statement's connection only, which on a server could not go on
        either before its transaction, or its savepoint, is rolled back.
        """
        self._roll_back_to(len(self.segments) - 1)

    def undo(self, owner: Owner, level: int) -> None:
        """Roll back the work of *owner* from that level on. Never raises."""
        for segment in self.segments:
            if segment.owner is owner and segment.level >= level and not segment.dead:
                if segment.wrote is Wrote.NO:
                    # what pinned it ends with it: a cursor, a lock
                    segment.owner, segment.pinned = None, False
                else:
                    segment.dead = True
        self.trim()

    def undo_if_above_all(self, owner: Owner, level: int) -> None:
        """Roll back the work of *owner* from that level on, unless others' lies above it.

        What a statement's failure has doomed is gone on a server before anybody rolls back.
        """

        def doomed(segment: Segment) -> bool:
            return segment.owner is owner and segment.level >= level

        first = next((i for i, s in enumerate(self.segments) if doomed(s)), len(self.segments))
        if all(doomed(s) or s.holds_nothing for s in self.segments[first:]):
            self.undo(owner, level)

    def release(self, owner: Owner, level: int) -> None:
        """Let the work of *owner* above *level* belong to that level: RELEASE SAVEPOINT."""
        for segment in self.segments:
            if segment.owner is owner and not segment.dead:
                segment.level = min(segment.level, level)

    def commit(self, owner: Owner) -> None:
        """Let the work of *owner* belong to nobody: nothing undoes it any more."""
        wrote = False
        for segment in self.segments:
            if segment.owner is owner and not segment.dead:
                wrote |= segment.wrote is not Wrote.NO
                segment.owner, segment.level = None, 0
        if wrote:
            self.commits += 1
            self.last_commit = owner.author

    def commit_by(self, owner: Owner, send: Callable[[str], object]) -> None:
        """Commit by a message that is needed in any case, and open the next segment with it.

        Otherwise the next transaction would need a message of its own. The top is *owner*'s.

        :param send: sends the message, with what it is given at its end. Where it raises, nothing
            is committed.
        """
        first = self._run_on_top(owner)
        self._count += 1
        name = f"s{self._count}"
        release = [f"RELEASE {segment.name}" for segment in self.segments[first + 1 : first + 2]]
        send("; ".join([*release, f"SAVEPOINT {name}"]))
        self.savepoints_set += 1
        for segment in self.of(owner):
            segment.pinned = False
        self.commit(owner)
        self._forget_whose(first)
        self._folded_into(first)
        self.segments.append(Segment(name, self.settings(), self._wire.mark()))

    def trim(self) -> None:
        """Roll back the dead segments above which nothing is worth keeping."""
        if not any(segment.dead for segment in self.segments):
            return
        if not self.top.dead:
            self.ask_top()
        lowest = None
        for index in range(len(self.segments) - 1, -1, -1):
            segment = self.segments[index]
            if not segment.holds_nothing:
                break
            if segment.dead:
                lowest = index
        if lowest is not None:
            self._roll_back_to(lowest)

    def _roll_back_to(self, index: int) -> None:
        segment = self.segments[index]
        del self.segments[index + 1 :]
        # a base that is the transaction itself has no savepoint to go back to
        self._wire.queue(f"ROLLBACK TO {segment.name}" if segment.name else "ROLLBACK; BEGIN")
        segment.clear()
        segment.mark = self._wire.mark()
        self._rolled_back(segment.settings)

    # -- what others may ask ---------------------------------------------------

    def stuck(self) -> Segment | None:
        """Give the dead segment that lies beneath surviving work, if there is one."""
        for segment in self.segments:
            if segment.dead:
                self.trim()
                return next((segment for segment in self.segments if segment.dead), None)
        return None

    def above(self, segment: Segment) -> list[Segment]:
        """Give what survives above *segment*."""
        index = self.segments.index(segment)
        return [other for other in self.segments[index + 1 :] if not other.holds_nothing]

    def of_others(self, owner: Owner | None) -> list[Segment]:
        """Give the segments that hold uncommitted work of anybody but *owner*."""
        return [
            segment
            for segment in self.segments
            if segment.owner is not None
            and segment.owner is not owner
            and segment.wrote is not Wrote.NO
            and not segment.dead
        ]

    def of(self, owner: Owner) -> list[Segment]:
        """Give the segments that hold live work of *owner*."""
        return [s for s in self.segments if s.owner is owner and not s.dead]

    def has_written(self, owner: Owner) -> bool:
        """Whether live work of *owner* may have written; of the topmost segment it is asked."""
        if self.top.owner is owner:
            self.ask_top()
        return any(segment.wrote is not Wrote.NO for segment in self.of(owner))

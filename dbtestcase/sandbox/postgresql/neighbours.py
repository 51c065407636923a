"""Work beside others' uncommitted writes, which one connection sees and several would not.

Two virtual connections share one real transaction, so each sees what the other has written and
not yet committed. Where a statement touches a table in which another has such work, its rows
may not be those that real connections give: that is told by an
:exc:`~dbtestcase.errors.UncommittedDataWarning`, or, where the statement even failed because of
it, by a :exc:`~dbtestcase.errors.SandboxConflict`.

What was touched is read from PostgreSQL's counters per table, before and after the statement.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..backends import Backend
from ..segments import Segment, SegmentStack
from ..statements import Statement
from ..texts import words_of
from .locks import ROW_CHANGE, ROW_LOCK, ROW_READ
from .wire import PostgreSQLWire

__all__ = ["Counters", "Met", "Neighbours"]

_COUNTERS = """
SELECT c.oid,
       pg_stat_get_xact_numscans(c.oid)
         + coalesce((SELECT sum(pg_stat_get_xact_numscans(i.indexrelid))
                       FROM pg_index i WHERE i.indrelid = c.oid), 0)::bigint,
       pg_stat_get_xact_tuples_inserted(c.oid),
       pg_stat_get_xact_tuples_updated(c.oid),
       pg_stat_get_xact_tuples_deleted(c.oid)
  FROM pg_class c
 WHERE c.relkind IN ('r', 'm', 't') AND c.oid >= 16384
"""

_XIDS = """
SELECT transactionid::text::bigint FROM pg_locks
 WHERE locktype = 'transactionid' AND pid = pg_backend_pid() ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Counters:
    """What happened to one table since the outer transaction began."""

    scans: int = 0
    inserted: int = 0
    updated: int = 0
    deleted: int = 0


class Met(NamedTuple):
    """What of another connection's uncommitted work a statement met."""

    what: str
    deed: str = "has written to"


# Our own look at a table may be refused (by a role, a policy), and must not fail the transaction.
_LOOK = "SAVEPOINT dbtestcase_look"
_LOOKED = "RELEASE dbtestcase_look"
_NOT_LOOKED = "ROLLBACK TO dbtestcase_look; RELEASE dbtestcase_look"


class Neighbours:
    """Watches statements that run beside uncommitted work of other connections.

    :param wire: our way to the server.
    :param quote: writes a value as an SQL literal.
    :param stack: the segments.
    :param driver_error: the base class of the driver's errors.
    """

    def __init__(
        self,
        wire: PostgreSQLWire,
        quote: Callable[[object], str],
        stack: SegmentStack,
        driver_error: type[Exception],
    ) -> None:
        self._wire = wire
        self._ask = wire.ask
        self._driver_error = driver_error
        self._quote = quote
        self._stack = stack
        self._now: dict[int, Counters] | None = None
        #: whether a statement ran with nobody beside it since the tables were looked at
        self.stale = True
        #: what the last statement that had neighbours needed of each table, as LOCK TABLE calls it
        self.touched: dict[int, str] = {}

    def unwatched(self) -> None:
        """Note that a statement ran with nobody beside it."""
        self.stale = True

    def forget(self) -> None:
        """Know nothing of a new outer transaction, whose counters begin at 0."""
        self._now, self.stale = None, True

    def take_baseline(self) -> None:
        """Charge nobody with what was done so far."""
        self._now, self.stale = self._read(), True

    def _read(self) -> dict[int, Counters]:
        return {oid: Counters(*map(int, rest)) for oid, *rest in self._ask(_COUNTERS)}

    def before(self) -> None:
        """Look at the tables before a statement that has neighbours.

        What changed since the last look was written by one of the open segments, or was
        committed meanwhile. The rows tell the two apart, but only now: the statement may be an
        UPDATE, and leave no row that the other has written. Deletions leave nothing to tell by,
        but what each has sent.
        """
        if not self.stale and self._now is not None:
            return
        new, old = self._read(), self._now or {}
        looked = False
        for table, counters in new.items():
            known = old.get(table, Counters())
            inserted, updated = counters.inserted > known.inserted, counters.updated > known.updated
            deleted = counters.deleted > known.deleted
            writers = self._writers(table) if inserted or updated else []
            looked |= inserted or updated
            for segment in self._stack:
                if segment.owner is None:
                    continue
                if segment in writers and inserted:
                    segment.traces.inserted.add(table)
                if segment in writers and updated:
                    segment.traces.changed.add(table)
                if deleted and segment.traces.may_delete:
                    segment.traces.deleted.add(table)
        # our own look at a table is no touch of the program's
        self._now, self.stale = self._read() if looked else new, False

    def after(
        self, statement: Statement, others: Iterable[Segment], error: BaseException | None
    ) -> dict[Backend, Met]:
        """Give whose uncommitted work the statement met, and in which tables."""
        old, new = self._now or {}, self._read()
        self._now = new
        mine = self._stack.top.traces
        met: dict[Backend, Met] = {}
        scanned: dict[int, tuple[bool, bool]] = {}
        self.touched = {}
        for table, counters in new.items():
            known = old.get(table, Counters())
            reads = counters.scans > known.scans
            inserts = counters.inserted > known.inserted
            updates = counters.updated > known.updated
            deletes = counters.deleted > known.deleted
            if inserts:
                mine.inserted.add(table)
            if updates:
                mine.changed.add(table)
            if deletes:
                mine.deleted.add(table)
            if reads or inserts or updates or deletes:
                scanned[table] = (reads or updates or deletes, inserts)
                if inserts or updates or deletes:
                    self.touched[table] = ROW_CHANGE
                else:
                    self.touched[table] = ROW_LOCK if statement.locks else ROW_READ
        collides = statement.on_conflict or error is not None
        for segment in others:
            owner = segment.owner
            if not isinstance(owner, Backend):
                continue
            traces = segment.traces
            for table, (sees, inserts) in scanned.items():
                inserted, updated = table in traces.inserted, table in traces.changed
                deleted = table in traces.deleted
                if not (
                    (sees and (inserted or updated or deleted))
                    or (inserts and (updated or deleted))
                    or (inserts and inserted and collides)
                ):
                    continue
                if inserted or updated:
                    met.setdefault(owner, Met(self.name(table)))
                elif deleted:
                    # of a deleted row nothing is left that would say whose deed it was
                    met.setdefault(owner, Met(self.name(table), "may have deleted from"))
            # what changed no row but the catalogue, or has an xid that nothing explains
            if traces.hides_work:
                met.setdefault(owner, Met("the schema"))
        return met

    def rows_locked(self, others: Iterable[Segment]) -> Iterator[tuple[Backend, str]]:
        """Give who may have locked rows of a table whose rows the last statement changed or locked.

        The rows themselves do not tell: the locks of one server process are all its own, and of
        two on one row no query says whose they are.
        """
        for segment in others:
            owner, words = segment.owner, segment.traces.locking
            if words and isinstance(owner, Backend):
                for table in (t for t, mode in self.touched.items() if mode != ROW_READ):
                    name = self._regclass(table)
                    if words_of(name.rpartition(".")[2]) <= words:
                        yield owner, f"table {name}"
                        break

    def name(self, table: int) -> str:
        """Say which table that is."""
        return f"table {self._regclass(table)}"

    def xids(self) -> dict[int, Segment]:
        """Give the transaction ids of the open segments.

        The server gives one to all below a writer, the lowest first, and the outer transaction's
        is the lowest of all; a base without a name is that transaction itself.
        """
        xids = [row[0] for row in self._ask(_XIDS)]
        if self._stack.segments[0].name:
            del xids[:1]
        return dict(zip(xids, self._stack, strict=False))

    def writer(self, xmin: int, xids: dict[int, Segment]) -> Segment | None:
        """Give the segment that wrote a row: folded ones had later ids than what they are in."""
        below = [xid for xid in xids if xid <= xmin]
        return xids[max(below)] if below else None

    def _writers(self, table: int) -> list[Segment]:
        """Give the open segments that have written rows of the table; all if we may not look."""
        xids = self.xids()
        if not xids:
            return []
        rows = self.look(
            f"SELECT DISTINCT xmin::text::bigint FROM {self._regclass(table)} "
            f"WHERE xmin::text::bigint >= {min(xids)}"
        )
        if rows is None:
            return list(self._stack)
        found = (self.writer(xmin, xids) for (xmin,) in rows)
        return [segment for segment in found if segment is not None]

    def look(self, sql: str) -> list[tuple[Any, ...]] | None:
        """Ask what the program's role may not be allowed to know; None for that."""
        self._wire.queue(_LOOK)
        try:
            rows = self._ask(sql)
        except self._driver_error:
            self._wire.queue(_NOT_LOOKED)
            return None
        self._wire.queue(_LOOKED)
        return rows

    def _regclass(self, table: int) -> str:
        return str(self._ask(f"SELECT {table}::regclass::text")[0][0])

    def genuine(
        self, sqlstate: str | None, diag: Any, others: list[Segment], statement: Statement
    ) -> bool:
        """Whether a constraint would be violated on real connections too.

        A unique violation is, if the row that it ran into is nobody's uncommitted one; a
        foreign key violation, if nobody has uncommitted work in the tables concerned.
        """
        if sqlstate == "23505":
            return not self._dirty_key(diag, others)
        if sqlstate == "23503":
            return not self._dirty_parent(diag, others, statement)
        return False

    def _dirty_key(self, diag: Any, others: list[Segment]) -> bool:
        found = re.search(r"\((.+)\)=\((.*)\)", diag.message_detail or "", re.DOTALL)
        if found is None:
            return True
        xids = self.xids()
        table = self._ask(
            f"SELECT format('%I.%I', {self._quote(diag.schema_name)}, "
            f"{self._quote(diag.table_name)})"
        )[0][0]
        rows = self.look(
            f"SELECT xmin::text::bigint FROM {table} "
            f"WHERE concat_ws(', ', {found[1]}) = {self._quote(found[2])}"
        )
        self._now = self._read()
        if rows is None or len(rows) > 1:
            return True
        if not rows:
            # It was the failed segment's own, which is undone by now; others' would still be
            # there. A key with a NULL is written in another way, and not found for that.
            return "null" in found[2].split(", ")
        writer = self.writer(rows[0][0], xids)
        return writer is not None and writer in others

    def _dirty_parent(self, diag: Any, others: list[Segment], statement: Statement) -> bool:
        rows = self._ask(
            "SELECT conrelid::bigint, confrelid::bigint FROM pg_constraint "
            f"WHERE conname = {self._quote(diag.constraint_name)} AND conrelid = "
            f"format('%I.%I', {self._quote(diag.schema_name)}, "
            f"{self._quote(diag.table_name)})::regclass"
        )
        if len(rows) != 1:
            return True
        child, parent = rows[0]
        for segment in others:
            traces = segment.traces
            if traces.ddl:
                return True
            if statement.verb != "DELETE" and parent in traces.all_tables:
                return True
            if statement.verb != "INSERT" and child in traces.all_tables:
                return True
        return False

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
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ..errors import UncommittedDataWarning
from .backends import Backend
from .segments import Segment, SegmentStack, Wrote
from .statements import Statement

__all__ = ["Counters", "Neighbours"]

_COUNTERS = """
SELECT c.oid,
       pg_stat_get_xact_numscans(c.oid)
         + coalesce((SELECT sum(pg_stat_get_xact_numscans(i.indexrelid))
                       FROM pg_index i WHERE i.indrelid = c.oid), 0)::bigint,
       pg_stat_get_xact_tuples_inserted(c.oid),
       pg_stat_get_xact_tuples_updated(c.oid) + pg_stat_get_xact_tuples_deleted(c.oid)
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
    changed: int = 0


class Neighbours:
    """Watches statements that run beside uncommitted work of other connections.

    :param ask: sends a text, after all that waits, and gives its rows.
    :param quote: writes a value as an SQL literal.
    """

    def __init__(
        self,
        ask: Callable[[str], list[tuple[Any, ...]]],
        quote: Callable[[object], str],
        stack: SegmentStack,
    ) -> None:
        self._ask = ask
        self._quote = quote
        self._stack = stack
        self._now: dict[int, Counters] | None = None
        self._stale = True

    def unwatched(self) -> None:
        """Note that a statement ran with nobody beside it."""
        self._stale = True

    def _read(self) -> dict[int, Counters]:
        return {oid: Counters(*map(int, rest)) for oid, *rest in self._ask(_COUNTERS)}

    def before(self) -> None:
        """Look at the tables before a statement that has neighbours.

        What changed since the last look was written by one of the open segments, or was
        committed meanwhile; :meth:`_confirmed` tells the two apart where it matters.
        """
        if not self._stale and self._now is not None:
            return
        new, old = self._read(), self._now or {}
        self._now, self._stale = new, False
        for table, counters in new.items():
            known = old.get(table, Counters())
            for segment in self._stack:
                if segment.owner is not None:
                    if counters.inserted > known.inserted:
                        segment.traces.inserted.add(table)
                    if counters.changed > known.changed:
                        segment.traces.changed.add(table)

    def after(
        self, statement: Statement, others: Iterable[Segment], error: BaseException | None
    ) -> dict[Backend, str]:
        """Give whose uncommitted work the statement met, and in which tables."""
        old, new = self._now or {}, self._read()
        self._now = new
        mine = self._stack.top.traces
        met: dict[Backend, str] = {}
        scanned: dict[int, tuple[bool, bool]] = {}
        for table, counters in new.items():
            known = old.get(table, Counters())
            reads = counters.scans > known.scans
            inserts = counters.inserted > known.inserted
            changes = counters.changed > known.changed
            if inserts:
                mine.inserted.add(table)
            if changes:
                mine.changed.add(table)
            if reads or inserts or changes:
                scanned[table] = (reads or changes, inserts)
        collides = statement.on_conflict or error is not None
        for segment in others:
            owner = segment.owner
            if not isinstance(owner, Backend):
                continue
            traces = segment.traces
            for table, (sees, inserts) in scanned.items():
                inserted, changed = table in traces.inserted, table in traces.changed
                if (
                    (sees and (inserted or changed))
                    or (inserts and changed)
                    or (inserts and inserted and collides)
                ):
                    if not changed and not self._confirmed(table, segment):
                        continue
                    met.setdefault(owner, self._name(table))
            # what changed no row but the catalogue, or has an xid that nothing explains
            if traces.ddl or not (traces.inserted or traces.changed or traces.locked):
                met.setdefault(owner, "the schema")
        return met

    def _name(self, table: int) -> str:
        rows = self._ask(f"SELECT {table}::regclass::text")
        return f"table {rows[0][0]}"

    def _xids(self) -> dict[int, Segment]:
        """Give the transaction ids of the open segments that wrote; the outer one's is lowest."""
        xids = [row[0] for row in self._ask(_XIDS)]
        wrote = [s for s in self._stack if s.name and s.wrote is not Wrote.NO]
        return dict(zip(xids[1:], wrote, strict=False))

    def _writer(self, xmin: int, xids: dict[int, Segment]) -> Segment | None:
        """Give the segment that wrote a row: folded ones had later ids than what they are in."""
        below = [xid for xid in xids if xid <= xmin]
        return xids[max(below)] if below else None

    def _confirmed(self, table: int, segment: Segment) -> bool:
        """Whether a row of the table really is that open segment's, and not a committed one."""
        xids = self._xids()
        if not xids:
            return True
        rows = self._ask(
            f"SELECT DISTINCT xmin::text::bigint FROM {self._regclass(table)} "
            f"WHERE xmin::text::bigint >= {min(xids)}"
        )
        # our own look at the table is no touch of the program's
        self._now = self._read()
        return any(self._writer(xmin, xids) is segment for (xmin,) in rows)

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
        xids = self._xids()
        table = self._ask(
            f"SELECT format('%I.%I', {self._quote(diag.schema_name)}, "
            f"{self._quote(diag.table_name)})"
        )[0][0]
        rows = self._ask(
            f"SELECT xmin::text::bigint FROM {table} "
            f"WHERE concat_ws(', ', {found[1]}) = {self._quote(found[2])}"
        )
        if len(rows) != 1:
            return True
        writer = self._writer(rows[0][0], xids)
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
            if statement.verb != "DELETE" and parent in traces.changed:
                return True
            if statement.verb != "INSERT" and child in traces.inserted | traces.changed:
                return True
        return False


def warn(backend: Backend, other: Backend, what: str, text: str) -> None:
    """Warn that *backend* met uncommitted work of *other*."""
    warnings.warn(
        f"{backend} meets what {other} has written to {what} and not committed: on real "
        f"connections it would not be seen. Commit it first, or test this code on real "
        f"connections. The statement: {' '.join(text.split())[:120]}",
        UncommittedDataWarning,
        stacklevel=2,
    )

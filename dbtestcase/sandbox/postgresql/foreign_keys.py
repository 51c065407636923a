"""Deferred foreign keys that are checked while others have work that is not committed.

``SET CONSTRAINTS ALL IMMEDIATE`` checks the rows of all virtual connections, and sees all of
them. The rows themselves tell whose they are: a row of the connection that commits violates its
key on a server too, one of another connection is checked when that one commits, and a key that
points to another's uncommitted row holds on one connection only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from ..backends import Backend
from ..segments import Segment, SegmentStack, Traces
from .neighbours import Met, Neighbours
from .wire import PostgreSQLWire

__all__ = ["ForeignKeys", "KeysBeside"]

# Each deferred constraint: whether it is a key whose columns are just to be equal (newer servers
# have others), and how its rows are joined.
_DEFERRED = """
SELECT c.conname::text, c.conrelid::bigint, c.confrelid::bigint,
       c.contype = 'f' AND c.confmatchtype = 's'
         AND NOT coalesce((to_jsonb(c) ->> 'conperiod')::bool, false)
         AND coalesce((to_jsonb(c) ->> 'conenforced')::bool, true),
       format('%s c LEFT JOIN %s p ON %s WHERE %s',
         CASE child.relkind WHEN 'p' THEN '' ELSE 'ONLY ' END || c.conrelid::regclass,
         CASE parent.relkind WHEN 'p' THEN '' ELSE 'ONLY ' END || c.confrelid::regclass,
         k.equal, k.given),
       k.columns
  FROM pg_constraint c
  LEFT JOIN pg_class child ON child.oid = c.conrelid
  LEFT JOIN pg_class parent ON parent.oid = c.confrelid
  LEFT JOIN LATERAL (
    SELECT string_agg(format('p.%I = c.%I', theirs.attname, own.attname), ' AND ') AS equal,
           string_agg(format('c.%I IS NOT NULL', own.attname), ' AND ') AS given,
           string_agg(format('c.%I', own.attname), ', ' ORDER BY number) AS columns
      FROM unnest(c.conkey, c.confkey) WITH ORDINALITY AS pair (mine, its, number)
      JOIN pg_attribute own ON own.attrelid = c.conrelid AND own.attnum = mine
      JOIN pg_attribute theirs ON theirs.attrelid = c.confrelid AND theirs.attnum = its) k ON true
 WHERE c.condeferred AND c.conparentid = 0
"""


@dataclass
class KeysBeside:
    """What the rows tell of the foreign keys that a commit checks beside others' work.

    :param violated: the constraint and the key of the rows that violate it by the doing of the
        connection that commits.
    :param of_others: whether rows violate a key by the doing of others alone.
    :param held_by: by whose uncommitted rows a key holds, and what that is.
    :param doubtful: whose work leaves nothing to tell by, where it may matter.
    """

    violated: set[tuple[str, str]] = field(default_factory=set)
    of_others: bool = False
    held_by: dict[Backend, Met] = field(default_factory=dict)
    doubtful: dict[Backend, Met] = field(default_factory=dict)

    def genuine(self, diag: Any) -> bool:
        """Whether real connections would get an error, and in these words."""
        if not self.violated or self.doubtful:
            return False
        found = re.search(r"\(.+\)=\((.*)\)", diag.message_detail or "", re.DOTALL)
        named = found is not None and (diag.constraint_name, found[1]) in self.violated
        return named or not self.of_others


class ForeignKeys:
    """Tells apart whose rows the deferred foreign keys of a database are about.

    :param wire: our way to the server.
    :param stack: the segments.
    :param neighbours: knows whose a row is, and may look at it.
    """

    def __init__(self, wire: PostgreSQLWire, stack: SegmentStack, neighbours: Neighbours) -> None:
        self._wire = wire
        self._stack = stack
        self._neighbours = neighbours

    def look(self, backend: Backend, others: list[Segment]) -> KeysBeside | None:
        """Look at the rows that a commit of *backend* checks beside work of *others*.

        :returns: None where rows do not tell: other constraints are deferred as well, or we may
            not look.
        """
        self._neighbours.before()
        self._neighbours.stale = True  # our own looks are no touch of the program's
        xids = self._neighbours.xids()
        mine = Traces()
        for segment in self._stack.of(backend):
            mine.add(segment.traces)
        beside = KeysBeside()
        for segment in others:
            if isinstance(segment.owner, Backend) and segment.traces.hides_work:
                beside.doubtful[segment.owner] = Met("the schema")
        for name, child, parent, plain, joined, columns in self._wire.ask(_DEFERRED):
            if not plain:
                return None
            written = mine.all_tables.union(*(s.traces.all_tables for s in others))
            if written.isdisjoint((child, parent)):
                continue
            rows = self._neighbours.look(
                "SELECT DISTINCT c.xmin::text::bigint, p.xmin::text::bigint, "
                f"concat_ws(', ', {columns}) FROM {joined} "
                f"AND (p.ctid IS NULL OR p.xmin::text::bigint >= {min(xids)})"
            )
            if rows is None:
                return None
            removes = parent in mine.changed | mine.deleted
            for xmin, of_parent, key in rows:
                owner = self._owner(xmin, xids)
                points_to = None if of_parent is None else self._owner(of_parent, xids)
                if of_parent is None and (owner is backend or (owner is None and removes)):
                    beside.violated.add((name, key))
                elif of_parent is None:
                    beside.of_others = True
                elif owner is backend and points_to not in (None, backend):
                    beside.held_by[points_to] = Met(self._neighbours.name(parent))
            for segment in others:
                gone = segment.traces.changed | segment.traces.deleted
                # what it points to, or what points to it, may be gone by the other's doing
                if isinstance(segment.owner, Backend) and (
                    (parent in gone and beside.violated) or (child in gone and removes)
                ):
                    table = parent if parent in gone else child
                    beside.doubtful[segment.owner] = Met(
                        self._neighbours.name(table), "may have deleted from"
                    )
        return beside

    def _owner(self, xmin: int, xids: dict[int, Segment]) -> Backend | None:
        segment = self._neighbours.writer(xmin, xids)
        owner = None if segment is None else segment.owner
        return owner if isinstance(owner, Backend) else None

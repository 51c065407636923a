"""Sequences of PostgreSQL, which a rollback does not put back."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from ...errors import SequenceWarning
from ..statements import Statement

__all__ = ["Sequences"]

# pg_sequence_last_value() raises on PostgreSQL 15 where the privilege is missing, and says NULL,
# as if the sequence were unused, on 18: so it is asked only where we may.
_FIND = """
SELECT c.oid, quote_ident(n.nspname) || '.' || quote_ident(c.relname), p.allowed,
       CASE WHEN p.allowed THEN pg_sequence_last_value(c.oid) END
  FROM pg_sequence s
  JOIN pg_class c ON c.oid = s.seqrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 CROSS JOIN LATERAL (SELECT has_sequence_privilege(c.oid, 'SELECT')
                        AND has_sequence_privilege(c.oid, 'UPDATE') AS allowed) p
 WHERE n.nspname !~ '^pg_temp'
 ORDER BY c.oid
"""

_VALUES = "FROM (VALUES {values}) AS v (oid, value, called, reads)"
_SETVAL = "pg_catalog.setval(v.oid::regclass, v.value, v.called)"

# written only where it moved, for each setval is a change on disk; and in the condition, since
# rows without columns are the least to send and to read
_WHERE_MOVED = f"""
 WHERE CASE WHEN pg_sequence_last_value(v.oid)
                 IS DISTINCT FROM CASE WHEN v.called THEN v.value END
            THEN {_SETVAL} IS NOT NULL END
"""

# To ask a sequence costs a lock and a page. One whose pages were read no more often than when we
# looked has not moved. The server counts that for itself, and sends the counts off (they begin at
# 0 again) only when it is idle outside a transaction block: so never within an outer transaction,
# and not between a ROLLBACK and what follows it in the same message.
_WHERE_READ_AND_MOVED = f"""
 WHERE CASE WHEN pg_stat_get_xact_blocks_fetched(v.oid) <> v.reads
             AND pg_sequence_last_value(v.oid)
                 IS DISTINCT FROM CASE WHEN v.called THEN v.value END
            THEN {_SETVAL} IS NOT NULL END
"""

_COUNTED = """
SELECT current_setting('track_counts') = 'on',
       current_setting('server_version_num')::int >= 150000
"""

_PREPARED = "dbtestcase_sequences"


class Sequences:
    """Where the sequences of a database stand, and how to put them back there.

    :param ask: sends a text and gives its rows.
    :param database: its name, for messages.
    """

    def __init__(self, ask: Callable[[str], list[tuple[Any, ...]]], database: str | None) -> None:
        self._ask = ask
        self._database = database
        self._prepared = self._others_prepared = self._was_set = False
        self._everything = self._short = ""
        #: whether :meth:`send_off` has something to give
        self.owes_send_off = False
        #: the statement that puts them back; empty where there is none.
        self.statement = ""

    def remember(self, *, for_good: bool) -> None:
        """Take where they stand now as the place to go back to.

        :param for_good: whether the present transaction is the outer one of all tests.
        """
        found = self._ask(_FIND)
        refused = [name for _, name, allowed, _ in found if not allowed]
        if refused:
            self._warn(refused)
        mine = [(oid, name, last) for oid, name, allowed, last in found if allowed]
        self.statement = self._short = self._everything = ""
        if not mine:
            return
        counted, can_send_off = self._ask(_COUNTED)[0]
        # a sequence that was never used may still have been set to begin elsewhere
        unused = [f"SELECT {oid}, last_value FROM {name}" for oid, name, last in mine if not last]
        starts: dict[int, int] = dict(self._ask(" UNION ALL ".join(unused))) if unused else {}
        reads: dict[int, int] = {}
        if for_good and counted:
            oids = ", ".join(str(oid) for oid, _, _ in mine)
            reads = dict(
                self._ask(
                    f"SELECT oid, pg_stat_get_xact_blocks_fetched(oid) "
                    f"FROM unnest(ARRAY[{oids}]::oid[]) AS s (oid)"
                )
            )
        values = ", ".join(
            f"({oid}::oid, {starts[oid] if last is None else last}::bigint, {last is not None}, "
            f"{reads.get(oid, 0)}::bigint)"
            for oid, _, last in mine
        )
        rows = _VALUES.format(values=values)
        self._everything = f"SELECT {_SETVAL} {rows}"
        self.statement = f"SELECT {rows} {_WHERE_MOVED}"
        self._short = f"SELECT {rows} {_WHERE_READ_AND_MOVED if counted else _WHERE_MOVED}"
        self.owes_send_off = counted and can_send_off and not for_good

    def send_off(self) -> list[str]:
        """Give what lets the server forget that we looked, once it is in no transaction."""
        asked, self.owes_send_off = self.owes_send_off, False
        return ["SELECT pg_stat_force_next_flush()"] if asked else []

    def define(self) -> str:
        """Give what keeps the short form of :attr:`statement` on the server, to be sent once."""
        if not self.statement:
            return ""
        again = f"DEALLOCATE {_PREPARED}; " if self._prepared else ""
        self._prepared = True
        return f"{again}PREPARE {_PREPARED} AS {self._short}"

    def note_prepared(self) -> None:
        """Note that the driver prepared something, which must not outlive the test either."""
        self._others_prepared = True

    def note(self, statement: Statement) -> None:
        """Note what makes the short form unusable, or not enough."""
        if statement.verb == "PREPARE":
            self._others_prepared = True
        elif statement.verb == "DEALLOCATE" and "all" in statement.words:
            self._prepared = False
        elif "setval" in statement.words:
            # one that was never used looks as before after setval(…, false)
            self._was_set = True

    def restore(self) -> list[str]:
        """Give the statements that put them back at the end of a test."""
        if self.statement and self._prepared and not (self._was_set or self._others_prepared):
            return [f"EXECUTE {_PREPARED}"]
        parts = [self._everything if self._was_set else ""]
        if self._others_prepared:
            # they would outlive the test, whose next run prepares them again
            parts.append("DEALLOCATE ALL")
            self._prepared = False
        if self.statement and not self._was_set:
            if not self._prepared:
                parts.append(self.define())
            parts.append(f"EXECUTE {_PREPARED}")
        self._was_set = self._others_prepared = False
        return [part for part in parts if part]

    def _warn(self, refused: list[str]) -> None:
        names = ", ".join(refused[:5]) + (" and others" if len(refused) > 5 else "")
        warnings.warn(
            f'sequences of database "{self._database}" are not put back between tests, because '
            f"the role may not SELECT and UPDATE them: {names}. Grant it both, or set "
            f"reset_sequences = False if no test counts on ids.",
            SequenceWarning,
            stacklevel=2,
        )

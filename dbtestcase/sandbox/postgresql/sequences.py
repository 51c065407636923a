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

_RESTORE = """
SELECT pg_catalog.setval(v.oid::regclass, v.value, v.called)
  FROM (VALUES {values}) AS v (oid, value, called)
"""
# written only where it moved, for each setval is a change on disk
_WHERE_MOVED = """\
 WHERE pg_sequence_last_value(v.oid) IS DISTINCT FROM CASE WHEN v.called THEN v.value END
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
        self._everything = ""
        #: the statement that puts them back; empty where there is none.
        self.statement = ""

    def remember(self) -> None:
        """Take where they stand now as the place to go back to."""
        found = self._ask(_FIND)
        refused = [name for _, name, allowed, _ in found if not allowed]
        if refused:
            self._warn(refused)
        unused = [(oid, name) for oid, name, allowed, last in found if allowed and last is None]
        starts: dict[int, int] = {}
        if unused:
            # a sequence that was never used may still have been set to begin elsewhere
            query = " UNION ALL ".join(
                f"SELECT {oid}, last_value FROM {name}" for oid, name in unused
            )
            starts = dict(self._ask(query))
        values = [
            f"({oid}::oid, {starts[oid] if last is None else last}::bigint, {last is not None})"
            for oid, _, allowed, last in found
            if allowed
        ]
        everything = _RESTORE.format(values=", ".join(values)) if values else ""
        self._everything = everything
        self.statement = everything + _WHERE_MOVED if everything else ""

    def define(self) -> str:
        """Give what keeps the short form of :attr:`statement` on the server, to be sent once."""
        if not self.statement:
            return ""
        again = f"DEALLOCATE {_PREPARED}; " if self._prepared else ""
        self._prepared = True
        return f"{again}PREPARE {_PREPARED} AS {self.statement}"

    def note(self, statement: Statement) -> None:
        """Note what makes the short form unusable, or not enough."""
        if statement.verb == "PREPARE":
            self._others_prepared = True
        elif statement.verb == "DEALLOCATE" and "all" in statement.words:
            self._prepared = False
        elif "setval" in statement.words:
            # one that was never used looks as before after setval(…, false)
            self._was_set = True

    def restore(self) -> str:
        """Give what puts them back at the end of a test; empty where there are none."""
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
        return "; ".join(part for part in parts if part)

    def _warn(self, refused: list[str]) -> None:
        names = ", ".join(refused[:5]) + (" and others" if len(refused) > 5 else "")
        warnings.warn(
            f'sequences of database "{self._database}" are not put back between tests, because '
            f"the role may not SELECT and UPDATE them: {names}. Grant it both, or set "
            f"reset_sequences = False if no test counts on ids.",
            SequenceWarning,
            stacklevel=2,
        )

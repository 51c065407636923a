"""What the sandbox must know of the schema, from the server's system catalogues.

It is asked once for all tests of a class, and again after what may have changed it:

* which constraints are deferrable: the server checks them at COMMIT, and here none is sent;
* what a statement must name to write although it looks like a SELECT.

A text alone never proves that a statement only reads, for a SELECT may call a function that
writes, or read a view that calls one. Together with the catalogues it does: whatever runs in a
SELECT is named in it, or hangs on an operator, the order of an index, a cast or a domain. So a
text is proven to only read where it begins as a query, holds no word of a writing command, names
no function that might write, no view and no table with row security, and where no operator,
order, cast or domain of the database brings such a function in unnamed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from ..statements import Statement
from ..texts import LONGEST_NAME, words_of
from .wire import PostgreSQLWire

__all__ = ["Catalogue"]

# What was there before anybody used the server has lower numbers (FirstNormalObjectId). Functions
# in C that are declared STABLE or IMMUTABLE are believed; in other languages such a function may
# still call one that writes. RESTART IDENTITY gives a sequence a new file, as ALTER does, which a
# rollback takes back.
_USERS = """
WITH suspect AS (
  SELECT p.oid, p.proname::text AS name,
         l.lanname IN ('c', 'internal') AS native,
         CASE WHEN l.lanname IN ('sql', 'plpgsql')
              THEN p.prosrc ~* '\\m(create|alter|drop|execute|restart)\\M'
              ELSE l.lanname NOT IN ('c', 'internal') END AS changes_schema,
         p.prosrc = '' OR p.prosrc ~* '\\m(delete|merge|truncate|call|do)\\M' AS deletes,
         p.prosrc = '' OR p.prosrc ~* 'current_query|pg_stat_(get_)?activity' AS tells
    FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang
   WHERE p.oid >= 16384
     AND NOT (l.lanname IN ('c', 'internal') AND p.provolatile <> 'v' AND p.prokind = 'f'))
SELECT 'deferrable', quote_ident(n.nspname) || '.' || quote_ident(c.conname),
       c.condeferred AND has_schema_privilege(session_user, n.oid, 'USAGE')
  FROM pg_catalog.pg_constraint c JOIN pg_catalog.pg_namespace n ON n.oid = c.connamespace
 WHERE c.condeferrable
UNION ALL
SELECT CASE WHEN native THEN 'native' ELSE 'name' END, name, changes_schema FROM suspect
UNION ALL
SELECT 'name', relname, false FROM pg_catalog.pg_class
 WHERE oid >= 16384 AND (relkind IN ('v', 'f') OR relrowsecurity)
UNION ALL
SELECT 'deletes', name, false FROM suspect WHERE changes_schema OR deletes OR native
UNION ALL
SELECT 'deletes', relname, false FROM pg_catalog.pg_class
 WHERE oid >= 16384 AND (relkind = 'p' OR (relkind = 'r' AND relhasrules))
UNION ALL
SELECT 'tells', '', false
 WHERE EXISTS (SELECT FROM suspect WHERE tells)
    OR EXISTS (SELECT FROM (SELECT adbin FROM pg_catalog.pg_attrdef
                            UNION ALL SELECT typdefaultbin FROM pg_catalog.pg_type
                            UNION ALL SELECT conbin FROM pg_catalog.pg_constraint
                            UNION ALL SELECT tgqual FROM pg_catalog.pg_trigger
                            UNION ALL SELECT polqual FROM pg_catalog.pg_policy
                            UNION ALL SELECT polwithcheck FROM pg_catalog.pg_policy
                            UNION ALL SELECT ev_action FROM pg_catalog.pg_rewrite
                                       WHERE oid >= 16384) e (tree)
                WHERE tree::text ~ format(':(funcid (%s|%s)|relid %s)\\M',
                                          'pg_catalog.current_query()'::regprocedure::oid,
                                          'pg_catalog.pg_stat_get_activity(int)'::regprocedure::oid,
                                          'pg_catalog.pg_stat_activity'::regclass::oid))
UNION ALL
SELECT 'check', pg_get_constraintdef(oid), false FROM pg_catalog.pg_constraint
 WHERE contypid >= 16384
UNION ALL
SELECT 'hidden', name, changes_schema FROM suspect
 WHERE oid IN (SELECT refobjid FROM pg_catalog.pg_depend
                WHERE refclassid = 'pg_catalog.pg_proc'::regclass
                  AND classid IN ('pg_catalog.pg_operator'::regclass,
                                  'pg_catalog.pg_cast'::regclass, 'pg_catalog.pg_type'::regclass,
                                  'pg_catalog.pg_amproc'::regclass))
UNION ALL
SELECT 'trigger', p.prosrc, s.changes_schema FROM suspect s JOIN pg_catalog.pg_proc p USING (oid)
 WHERE NOT native AND EXISTS (SELECT FROM suspect WHERE changes_schema)
   AND oid IN (SELECT tgfoid FROM pg_catalog.pg_trigger WHERE NOT tgisinternal)
UNION ALL
SELECT 'unasked', name, false FROM suspect
 WHERE NOT native AND EXISTS (SELECT FROM suspect WHERE changes_schema)
   AND oid IN (SELECT d.refobjid FROM pg_catalog.pg_depend d LEFT JOIN pg_catalog.pg_trigger t
                   ON d.classid = 'pg_catalog.pg_trigger'::regclass AND t.oid = d.objid
                WHERE d.refclassid = 'pg_catalog.pg_proc'::regclass
                  AND t.tgfoid IS DISTINCT FROM d.refobjid
                  AND d.classid NOT IN ('pg_catalog.pg_proc'::regclass,
                                        'pg_catalog.pg_event_trigger'::regclass))
"""

# The server's own functions that are VOLATILE, and those that run a query which is given as text.
_SERVERS = """
SELECT proname::text FROM pg_catalog.pg_proc
 WHERE oid < 16384
   AND (provolatile = 'v' OR proname ~ '_to_xml|^pg_input_|^ts_rewrite$')
"""
# What moves a sequence is seen by all at once, and no rollback undoes it; it may give an xid to the
# outer transaction, as txid_current() does, but never to a savepoint.
_HARMLESS = {
    "clock_timestamp",
    "currval",
    "gen_random_uuid",
    "lastval",
    "nextval",
    "pg_sleep",
    "random",
    "setval",
    "timeofday",
    "uuidv4",
    "uuidv7",
}
# Where the texts of messages are read; current_query() is among the suspects.
_ACTIVITY = {"pg_stat_activity", "pg_stat_get_activity"}
#: Words of the names that _SERVERS gives, by the server's version.
_servers: dict[int, frozenset[str]] = {}

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class _Facts:
    """What was asked.

    :param deferrable: the constraints, and whether each is initially deferred.
    :param suspects: words of the names by which something that may write is brought in.
    :param natives: words of the names of functions in C that may change the schema.
    :param unsteady: whether another function may change the schema.
    :param unasked: whether one of those may be called by what no text names: a trigger, a default.
    :param hidden: whether an operator or a cast, say, calls what no text names.
    :param deletes: whether something in the database deletes rows that no text speaks of: a
        function, a rule, a row that moves to another partition.
    :param tells: whether something in the database may read the text of the present message: a
        trigger that keeps an audit, a default.
    """

    deferrable: tuple[tuple[str, bool], ...] = ()
    suspects: frozenset[str] = frozenset()
    natives: frozenset[str] = frozenset()
    unsteady: bool = False
    unasked: bool = False
    hidden: bool = False
    deletes: bool = False
    tells: bool = False


class Catalogue:
    """What the system catalogues say: asked once, and again after a change of the schema.

    :param wire: our way to the server.
    :param version: gives the server's version as a number.
    """

    def __init__(self, wire: PostgreSQLWire, version: Callable[[], int]) -> None:
        self._wire = wire
        self._version = version
        self._known = False
        #: whether something in the test may have changed the schema
        self.changed = False
        #: what was known before the first change of a test
        self._at_start: _Facts | None = None
        #: what was asked last
        self.facts = _Facts()

    # -- asking ------------------------------------------------------------------

    def forget(self) -> None:
        """Ask again."""
        self._known = False
        self._at_start = None

    def note(self, statement: Statement, *, values_only: bool) -> None:
        """Ask again after a statement that may have changed the schema."""
        if statement.defines or self.may_change_by(statement, values_only=values_only):
            if not self.changed and self._known:
                self._at_start = self.facts
            self._known = False
            self.changed = True

    def partly_rolled_back(self) -> None:
        """Ask again where a change of the schema may have been undone."""
        self._known = False

    def rolled_back(self) -> None:
        """Believe again what was known before the schema was changed in the test: it has ended."""
        self._known = self._at_start is not None
        self.facts = self._at_start or self.facts
        self.changed, self._at_start = False, None

    def keep(self) -> None:
        """Take the schema as it is for that of every test."""
        self.changed, self._at_start = False, None
        self.learn()

    def learn(self) -> None:
        """Ask, if what is known may be out of date."""
        if self._known:
            return
        rows = self._wire.ask(_USERS)
        suspects, natives = set(self._servers_words()), set()
        deferrable, expressions = [], []
        triggers: list[str] = []
        unsteady = unasked = hidden = deletes = tells = False
        for kind, name, flag in rows:
            if kind == "deferrable":
                deferrable.append((name, flag))
            elif kind == "check":
                expressions.append(name)
            elif kind == "deletes":
                deletes = True
            elif kind == "tells":
                tells = True
            elif kind == "trigger":
                triggers.append(name)
                unasked |= flag
            elif kind == "unasked":
                unasked = True
            else:
                suspects.add(_longest_word(name))
                unsteady |= flag
                hidden |= kind == "hidden" or _WORD.search(name) is None
                if kind == "native":
                    natives.add(_longest_word(name))
        hidden |= any(not suspects.isdisjoint(words_of(text)) for text in expressions)
        # what writes in a trigger may only set off others, of which the same is asked
        unasked |= any(_may_name(text, suspects) for text in triggers)
        self.facts = _Facts(
            tuple(deferrable),
            frozenset(suspects),
            frozenset(natives),
            unsteady,
            unasked,
            hidden,
            deletes,
            tells,
        )
        self._known = True

    def _servers_words(self) -> frozenset[str]:
        version = self._version()
        if version not in _servers:
            names = {str(name) for (name,) in self._wire.ask(_SERVERS)} - _HARMLESS
            _servers[version] = frozenset(map(_longest_word, names))
        return _servers[version]

    # -- answering ---------------------------------------------------------------

    def only_reads(self, statement: Statement) -> bool:
        """Whether it is proven that *statement* writes nothing."""
        if not statement.may_only_read:
            return False
        self.learn()
        return not self.facts.hidden and self.facts.suspects.isdisjoint(statement.words)

    def may_change_by(self, statement: Statement, *, values_only: bool) -> bool:
        """Whether *statement* may change the schema, other than by its own text.

        :param values_only: whether the parameters are values, and bring no SQL of their own.
        """
        facts = self.facts
        return (
            facts.unsteady and self._may_call_definer(statement, values_only=values_only)
        ) or (bool(facts.natives) and self._names_native(statement))

    def _may_call_definer(self, statement: Statement, *, values_only: bool) -> bool:
        """Whether *statement* may call one of the functions that change the schema.

        It does not where it names no function that might, no view, and no table with row security,
        and where no trigger, default, rule or constraint of the database calls one unasked.
        """
        facts = self.facts
        return not (
            values_only
            and statement.plain
            and not facts.unasked
            and not facts.hidden
            and facts.suspects.isdisjoint(statement.words)
            and statement.unambiguous
        )

    def _names_native(self, statement: Statement) -> bool:
        """Whether *statement* names a function of the users in C, which may change the schema.

        Such a function in a trigger is trusted not to: ``uuid-ossp`` and the like would have the
        catalogues asked again and again.
        """
        return not self.facts.natives.isdisjoint(statement.words)

    def may_delete(self, statement: Statement) -> bool:
        """Whether *statement* may delete rows, as far as is known without asking."""
        return statement.may_delete or self.facts.deletes or not self._known

    def may_tell_message(self, statement: Statement) -> bool:
        """Whether the program may read in what text *statement* was sent to the server."""
        facts, words = self.facts, statement.words
        return (
            facts.tells
            or not self._known
            or not facts.suspects.isdisjoint(words)
            or not _ACTIVITY.isdisjoint(words)
        )

    @property
    def nothing_deferrable(self) -> bool:
        """Whether it is known that no constraint can be deferred."""
        return self._known and not self.facts.deferrable

    def check(self, role: str = "") -> str:
        """Give what checks all deferred constraints; empty where nothing can be deferred.

        :param role: the role that was set in the session, as an SQL literal.
        """
        self.learn()
        if not self.facts.deferrable:
            return ""
        parts = ["SET CONSTRAINTS ALL IMMEDIATE"]
        # setting ALL of them back to DEFERRED would cost more with every commit
        if deferred := ", ".join(name for name, initially in self.facts.deferrable if initially):
            parts.append(f"SET CONSTRAINTS {deferred} DEFERRED")
            if role:  # which may not be allowed to name the constraints of another schema
                parts[1:] = ["SET ROLE NONE", *parts[1:], f"SET ROLE {role}"]
        return "; ".join(parts)


def _may_name(source: str, suspects: set[str]) -> bool:
    """Whether a function's source names a suspect, or what the server reads in another way."""
    words = words_of(source)
    longest = max((len(word.encode()) for word in words), default=0)
    return not suspects.isdisjoint(words) or '&"' in source or longest > LONGEST_NAME


def _longest_word(name: str) -> str:
    """Give one word by which a text that holds the name is known, however it is quoted."""
    words: list[str] = _WORD.findall(name) or [name]
    return max(words, key=len).lower()

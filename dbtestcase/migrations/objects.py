"""What a database holds: tables and columns, types, functions and so on, by name.

Two looks tell what a migration has left behind, or not brought back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

__all__ = ["Found", "difference", "look", "names"]


@dataclass(frozen=True, order=True)
class Found:
    """One thing in a database.

    :ivar kind: in the words of PostgreSQL, such as ``table``, ``column``, ``type``.
    :ivar name: with its schema, where that is not ``public``.
    :ivar owner: the table that it goes with, if any.
    :ivar type: of a column, on PostgreSQL. On SQLite a table that is rebuilt for another reason
        may have its types written differently.
    """

    kind: str
    name: str
    owner: str = ""
    type: str = ""

    def __str__(self) -> str:
        of = f' of table "{self.owner}"' if self.owner else ""
        return f'{self.kind} "{self.name}"{of}' + (f" ({self.type})" if self.type else "")


# Names in the schemas of the system and what belongs to an extension are left out; so is what
# the server makes by itself: array types, row types of tables, TOAST tables.
_POSTGRESQL = """
WITH mine AS (
  SELECT oid, CASE WHEN nspname = 'public' THEN '' ELSE nspname || '.' END AS prefix, nspname
  FROM pg_namespace WHERE nspname <> 'information_schema' AND nspname NOT LIKE 'pg\\_%'
), others AS (SELECT classid, objid FROM pg_depend WHERE deptype = 'e')
SELECT 'column', a.attname, mine.prefix || c.relname, CASE WHEN t.typnamespace =
    'pg_catalog'::regnamespace THEN format_type(t.oid, a.atttypmod) ELSE t.typname END
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN mine ON mine.oid = c.relnamespace
  JOIN pg_type t ON t.oid = a.atttypid
  WHERE c.relkind IN ('r', 'p', 'f') AND a.attnum > 0 AND NOT a.attisdropped
  AND c.relpersistence <> 't'
UNION ALL SELECT 'schema', nspname, '', '' FROM mine WHERE nspname <> 'public'
  AND ('pg_namespace'::regclass, oid) NOT IN (SELECT classid, objid FROM others)
UNION ALL SELECT 'extension', extname, '', '' FROM pg_extension
UNION ALL SELECT 'event trigger', evtname, '', '' FROM pg_event_trigger
UNION ALL SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
    WHEN 'S' THEN 'sequence' WHEN 'f' THEN 'foreign table' WHEN 'i' THEN 'index'
    WHEN 'I' THEN 'index' ELSE 'table' END, mine.prefix || c.relname,
    coalesce(op.prefix || o.relname, ''), ''
  FROM pg_class c JOIN mine ON mine.oid = c.relnamespace
  LEFT JOIN pg_index x ON x.indexrelid = c.oid
  LEFT JOIN pg_depend d ON c.relkind = 'S' AND d.objid = c.oid AND d.deptype IN ('a', 'i')
    AND d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
  LEFT JOIN pg_class o ON o.oid = coalesce(x.indrelid, d.refobjid)
  LEFT JOIN mine op ON op.oid = o.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'i', 'I') AND c.relpersistence <> 't'
  AND ('pg_class'::regclass, c.oid) NOT IN (SELECT classid, objid FROM others)
UNION ALL SELECT 'constraint', n.conname, mine.prefix || c.relname, ''
  FROM pg_constraint n JOIN pg_class c ON c.oid = n.conrelid JOIN mine ON mine.oid = c.relnamespace
  WHERE n.contype <> 'n'
UNION ALL SELECT 'trigger', t.tgname, mine.prefix || c.relname, ''
  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN mine ON mine.oid = c.relnamespace
  WHERE NOT t.tgisinternal
UNION ALL SELECT 'policy', p.polname, mine.prefix || c.relname, ''
  FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN mine ON mine.oid = c.relnamespace
UNION ALL SELECT 'rule', r.rulename, mine.prefix || c.relname, ''
  FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN mine ON mine.oid = c.relnamespace
  WHERE r.rulename <> '_RETURN'
UNION ALL SELECT CASE t.typtype WHEN 'd' THEN 'domain' ELSE 'type' END,
    mine.prefix || t.typname, '', ''
  FROM pg_type t JOIN mine ON mine.oid = t.typnamespace
  LEFT JOIN pg_class c ON c.oid = t.typrelid
  WHERE (t.typtype IN ('e', 'd', 'r') OR t.typtype = 'c' AND c.relkind = 'c')
  AND ('pg_type'::regclass, t.oid) NOT IN (SELECT classid, objid FROM others)
UNION ALL SELECT CASE f.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate'
    ELSE 'function' END,
    mine.prefix || f.proname || '(' || pg_get_function_identity_arguments(f.oid) || ')', '', ''
  FROM pg_proc f JOIN mine ON mine.oid = f.pronamespace
  WHERE ('pg_proc'::regclass, f.oid) NOT IN (SELECT classid, objid FROM others)
  AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = f.oid
    AND deptype = 'i')
UNION ALL SELECT 'collation', mine.prefix || k.collname, '', ''
  FROM pg_collation k JOIN mine ON mine.oid = k.collnamespace
UNION ALL SELECT 'text search configuration', mine.prefix || g.cfgname, '', ''
  FROM pg_ts_config g JOIN mine ON mine.oid = g.cfgnamespace
  WHERE ('pg_ts_config'::regclass, g.oid) NOT IN (SELECT classid, objid FROM others)
"""

_SQLITE = """
SELECT type, name, CASE WHEN type IN ('table', 'view') THEN '' ELSE tbl_name END
  FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
UNION ALL SELECT 'column', c.name, t.name FROM sqlite_master t, pragma_table_info(t.name) c
  WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
"""


def look(connection: sa.Connection) -> frozenset[Found]:
    """Tell what a database holds, whoever made it."""
    query = _POSTGRESQL if connection.dialect.name == "postgresql" else _SQLITE
    rows = connection.exec_driver_sql(query, execution_options={"no_parameters": True})
    return frozenset(Found(*row) for row in rows)


def difference(
    more: Iterable[Found], less: Iterable[Found], *, apart_from: Iterable[str] = ()
) -> list[Found]:
    """Give what is in one look and not in another.

    What goes with a table that is itself among it is left out: naming the table is enough.

    :param apart_from: tables that do not count, such as Alembic's own.
    """
    left_out = set(apart_from)
    found = set(more) - set(less)
    whole = {each.name for each in found if not each.owner} | left_out
    return sorted(each for each in found if each.name not in left_out and each.owner not in whole)


def names(found: Iterable[Found]) -> str:
    """Write things one after the other."""
    return ", ".join(str(each) for each in found)

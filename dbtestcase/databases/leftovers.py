"""What tests leave in a PostgreSQL database: dead rows, and what was committed past the sandbox.

Each text takes ``since``, the first transaction id of the class; ``escape``, how its error begins;
``pid``, the server's process for the tests; ``patience``, how long it waits for a lock; and
``definitions``, whether to look for new ones: an earlier TRUNCATE of ours makes some.
"""

from __future__ import annotations

__all__ = ["ESCAPE", "LOOK", "TIDY"]

# All that the tests did is rolled back, or not committed. So a row that this connection finds, of
# a transaction that began after the class, was committed past the sandbox.
_FIND = """\
DO $$
DECLARE
  part record;
  dead oid[] := '{{}}';
  empty boolean;
  escaped boolean;
  tables text[] := '{{}}';
  defined text;
BEGIN
  SET LOCAL lock_timeout = '{patience}';
  SET LOCAL row_security = off;
  FOR part IN
    SELECT c.oid, c.oid::regclass::text AS name FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND pg_has_role(c.relowner, 'USAGE')
      AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'
      AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgtype & 32 > 0)
      AND (pg_relation_size(c.oid) > 0 OR EXISTS (
        SELECT FROM pg_constraint f WHERE f.contype = 'f' AND f.conrelid = c.oid
          AND f.confrelid <> c.oid))
  LOOP
    EXECUTE 'SELECT NOT EXISTS (SELECT FROM ONLY ' || part.name || ')' INTO empty;
    IF empty THEN
      dead := dead || part.oid;
    ELSE
      EXECUTE 'SELECT EXISTS (SELECT FROM ONLY ' || part.name
        || ' WHERE age(xmin) <= age(''{since}''::xid))' INTO escaped;
      IF escaped THEN tables := tables || part.name; END IF;
    END IF;
  END LOOP;
  SELECT string_agg(c.oid::regclass::text, ', ') INTO defined FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'v', 'm', 'S') AND c.relpersistence <> 't'
      AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'
      AND {definitions} AND age(c.xmin) <= age('{since}'::xid);
  IF tables <> '{{}}' OR defined IS NOT NULL THEN
    RAISE EXCEPTION '{escape}%', concat_ws(' and ',
      'rows of ' || nullif(array_to_string(tables, ', '), ''), 'the definition of ' || defined) || (
      SELECT coalesce('; connected still: ' || string_agg(format(
        'pid %s (%s), last query: %s', pid, coalesce(nullif(application_name, ''), 'no name'),
        left(regexp_replace(query, '\\s+', ' ', 'g'), 80)), '; '), '')
      FROM pg_stat_activity WHERE datname = current_database()
        AND pid NOT IN (pg_backend_pid(), {pid}) AND backend_type = 'client backend');
  END IF;
"""

_END = """\
EXCEPTION WHEN lock_not_available OR feature_not_supported OR insufficient_privilege THEN
  NULL;
END $$"""

# One statement, so that it is one message on a connection of the sandbox's. A table is emptied
# only where it has no row: nothing that the schema put there can be lost (without row_security
# a policy that hides rows is an error). A table that another one refers to can be truncated only
# together with that one.
TIDY = f"""\
{_FIND}
  LOOP
    SELECT c.oid INTO part FROM pg_class c WHERE c.oid = ANY (dead) AND EXISTS (
      SELECT FROM pg_constraint f WHERE f.contype = 'f' AND f.confrelid = c.oid
        AND f.conrelid <> ALL (dead)) LIMIT 1;
    EXIT WHEN NOT FOUND;
    dead := array_remove(dead, part.oid);
  END LOOP;
  IF EXISTS (SELECT FROM unnest(dead) each WHERE pg_relation_size(each) > 0) THEN
    EXECUTE 'TRUNCATE ONLY ' || (
      SELECT string_agg(each::regclass::text, ', ONLY ') FROM unnest(dead) each);
  END IF;
{_END}"""

#: The same beside a test's connection, which may hold locks, and without tidying up.
LOOK = f"{_FIND}{_END}"

#: How the error of :data:`TIDY` begins that tells of rows which nothing rolled back.
ESCAPE = "dbtestcase: really committed to "

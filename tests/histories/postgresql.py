"""The operations of histories on PostgreSQL, and the tables that they work on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .actors import Actor
from .steps import Operation, sql

__all__ = ["CONTENT", "OPERATIONS", "RESET", "SCHEMA", "SEED"]

SCHEMA = """
CREATE TABLE item (id serial PRIMARY KEY, name text UNIQUE NOT NULL, n int NOT NULL DEFAULT 0);
CREATE TABLE parent (id int PRIMARY KEY, name text);
CREATE TABLE child (id int PRIMARY KEY, parent_id int REFERENCES parent (id)
    DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE pair (id int PRIMARY KEY, other int UNIQUE DEFERRABLE INITIALLY IMMEDIATE);
CREATE TABLE strict (id int PRIMARY KEY, parent_id int REFERENCES parent (id));
CREATE TABLE noted (id int PRIMARY KEY, v int);
CREATE TABLE log (id serial PRIMARY KEY, what text);
CREATE FUNCTION add_item(text) RETURNS int LANGUAGE sql
    AS $$ INSERT INTO item (name, n) VALUES ($1, 7) RETURNING id $$;
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN INSERT INTO log (what) VALUES (TG_OP || coalesce(NEW.id, 0)); RETURN NEW; END $$;
CREATE FUNCTION add_item(text, int) RETURNS int LANGUAGE sql
    AS $$ INSERT INTO item (name, n) VALUES ($1, $2) RETURNING id $$;
CREATE FUNCTION cast_item(point) RETURNS inet LANGUAGE sql
    AS $$ SELECT '127.0.0.1'::inet FROM add_item('cast') $$;
CREATE OPERATOR <<<< (LEFTARG = text, RIGHTARG = int, FUNCTION = add_item);
CREATE CAST (point AS inet) WITH FUNCTION cast_item(point);
CREATE VIEW writing AS SELECT add_item('view') AS id;
CREATE TRIGGER note AFTER INSERT OR UPDATE ON noted FOR EACH ROW EXECUTE FUNCTION note();
"""

SEED = """
INSERT INTO item (name, n) VALUES ('first', 1), ('second', 2);
INSERT INTO parent VALUES (0, 'zero'), (1, 'one');
INSERT INTO child VALUES (0, 0);
INSERT INTO pair VALUES (0, 0), (1, 1);
INSERT INTO noted VALUES (0, 0);
"""

RESET = (
    "CREATE OR REPLACE FUNCTION quiet() RETURNS bigint LANGUAGE sql "
    "AS $$ SELECT count(*) FROM parent $$; "
    "DROP TABLE IF EXISTS extra0, extra1; DELETE FROM child; DELETE FROM strict; "
    "DELETE FROM parent; DELETE FROM item; DELETE FROM pair; DELETE FROM noted; DELETE FROM log; "
    "SELECT setval('item_id_seq', 1, false), setval('log_id_seq', 1, false);" + SEED
)

CONTENT = """
SELECT 'item', id, name, n FROM item UNION ALL
SELECT 'parent', id, name, 0 FROM parent UNION ALL
SELECT 'child', id, '', parent_id FROM child UNION ALL
SELECT 'strict', id, '', parent_id FROM strict UNION ALL
SELECT 'pair', id, '', other FROM pair UNION ALL
SELECT 'noted', id, '', v FROM noted UNION ALL
SELECT 'log', id, what, 0 FROM log UNION ALL
SELECT 'table', 0, relname::text, 0 FROM pg_class
 WHERE relname IN ('extra0', 'extra1') AND relpersistence = 'p' ORDER BY 1, 2, 3
"""


def _call(
    name: str, perform: Callable[[Actor, int], Any], text: str, weight: int = 1, **more: Any
) -> Operation:
    return Operation(name, perform, lambda n: text.replace("{n}", str(n)), weight, **more)


READS = [
    sql("select items", "SELECT id, name, n FROM item ORDER BY id", 8),
    _call("get item", lambda actor, n: actor.get_item(n + 1), "get item {n} + 1", 4),
    sql("select item", "SELECT id, n FROM item WHERE name = 'i{n}'", 3),
    sql("select parents", "SELECT id, name FROM parent ORDER BY id", 3),
    sql("select children", "SELECT id, parent_id FROM child ORDER BY id", 3),
    sql("select pairs", "SELECT id, other FROM pair ORDER BY id", 2),
    sql("select log", "SELECT what FROM log ORDER BY id", 2),
    sql("count", "SELECT count(*) FROM item JOIN parent ON parent.id = item.n", 2),
    sql("select constant", "SELECT {n}", 1),
]

WRITES = [
    _call("insert", lambda actor, n: actor.insert_item(f"i{n}", n), "insert item i{n}", 8),
    sql("insert parent", "INSERT INTO parent VALUES ({n}, 'p{n}')", 4),
    sql("insert several", "INSERT INTO parent VALUES (1{n}, 'a'), (2{n}, 'b')", 2),
    sql("insert select", "INSERT INTO parent SELECT 100 + id, name FROM item", 1),
    sql("insert noted", "INSERT INTO noted VALUES ({n}, 1)", 3),
    _call("update item", lambda actor, n: actor.change_item(n + 1), "change item {n} + 1", 5),
    sql("update items", "UPDATE item SET n = n + 1", 2),
    sql("update parent", "UPDATE parent SET name = name || 'x' WHERE id = {n}", 3),
    sql("update noted", "UPDATE noted SET v = v + 1 WHERE id < {n}", 2),
    sql("update nothing", "UPDATE item SET n = 0 WHERE id = 1000", 2),
    _call("delete item", lambda actor, n: actor.delete_item(n + 1), "delete item {n} + 1", 3),
    sql("delete parent", "DELETE FROM parent WHERE id = {n}", 2),
    sql("delete items", "DELETE FROM item WHERE n > {n}", 1),
    sql(
        "upsert",
        "INSERT INTO item (name, n) VALUES ('i{n}', 0) "
        "ON CONFLICT (name) DO UPDATE SET n = item.n + 10 RETURNING id, n",
        4,
    ),
    sql("upsert nothing", "INSERT INTO parent VALUES ({n}, 'u') ON CONFLICT DO NOTHING", 3),
    sql("merge", "MERGE INTO parent USING (SELECT {n} AS id) AS s ON parent.id = s.id "
        "WHEN MATCHED THEN UPDATE SET name = 'm' WHEN NOT MATCHED THEN INSERT VALUES (s.id, 'n')"),
    sql("function", "SELECT add_item('f{n}')", 4),
    sql("insert in WITH", "WITH x AS (INSERT INTO item (name) VALUES ('w{n}') RETURNING id) "
        "SELECT count(*) FROM x", 2),
    sql("delete in WITH", "WITH x AS (DELETE FROM item WHERE id = {n} RETURNING n) "
        "SELECT count(*) FROM x"),
    sql("DO", "DO $$ BEGIN INSERT INTO item (name) VALUES ('d{n}'); END $$", 2),
    sql("DO that catches", "DO $$ BEGIN INSERT INTO parent VALUES ({n}, 'c'); "
        "EXCEPTION WHEN unique_violation THEN INSERT INTO log (what) VALUES ('caught'); END $$", 2),
]  # fmt: skip
WRITES = [
    Operation(o.name, o.perform, o.text, o.weight, True, o.lingers, o.kinds) for o in WRITES
]

COPY = [
    _call(
        "COPY in",
        lambda actor, n: actor.driver.copy_in(
            actor.driver_connection(), "COPY parent FROM STDIN", f"{n}\tcopied\n3{n}\tcopied\n"
        ),
        "COPY parent FROM STDIN ({n}, 3{n})",
        2,
        writes=True,
    ),
    _call(
        "COPY out",
        lambda actor, n: actor.driver.copy_out(
            actor.driver_connection(), "COPY (SELECT * FROM parent ORDER BY id) TO STDOUT"
        ),
        "COPY parent TO STDOUT",
    ),
]

FAILURES = [
    sql("division", "SELECT 1 / 0", 2),
    sql("missing table", "SELECT * FROM missing", 2),
    sql("duplicate", "INSERT INTO parent VALUES (1, 'again')", 2),
    sql("null", "INSERT INTO item (name) VALUES (NULL)", 1),
    sql("strict child", "INSERT INTO strict VALUES ({n}, {n})", 2, writes=True),
    sql("half a failure", "INSERT INTO item (name) VALUES ('h{n}'), ('first')", 1),
]

SAVEPOINTS = [
    sql("SAVEPOINT", "SAVEPOINT sp{m}", 6),
    sql("RELEASE", "RELEASE SAVEPOINT sp{m}", 3),
    sql("ROLLBACK TO", "ROLLBACK TO SAVEPOINT sp{m}", 5),
    _call("begin_nested", lambda actor, n: actor.begin_nested(), "begin_nested()", 4),
    _call("nested.commit", lambda actor, n: actor.end_nested(commit=True), "nested.commit()", 2),
    _call("nested.rollback", lambda actor, n: actor.end_nested(commit=False),
          "nested.rollback()", 3),
]  # fmt: skip

ENDINGS = [
    _call("commit", lambda actor, n: actor.commit(), "commit()", 12),
    _call("rollback", lambda actor, n: actor.rollback(), "rollback()", 8),
    _call("close", lambda actor, n: actor.close(), "close()", 3),
    _call("invalidate", lambda actor, n: actor.invalidate(), "invalidate()", 1),
]

TEXTUAL = [
    sql("COMMIT", "COMMIT", 2),
    sql("ROLLBACK", "ROLLBACK", 2),
    sql("BEGIN", "BEGIN", 2),
    sql("commented COMMIT", "/* why */ COMMIT -- because", 1),
    sql("COMMIT AND CHAIN", "COMMIT AND CHAIN", 1),
    sql("ROLLBACK AND CHAIN", "ROLLBACK AND CHAIN", 1),
    sql("several", "INSERT INTO parent VALUES (4{n}, 's'); COMMIT; SELECT 1", 1, writes=True),
]

MODES = [
    _call("autocommit on", lambda actor, n: actor.isolate("AUTOCOMMIT"), "autocommit = True", 2,
          lingers=True),
    _call("autocommit off", lambda actor, n: actor.isolate("READ COMMITTED"), "autocommit = False",
          1, lingers=True),
    _call("REPEATABLE READ", lambda actor, n: actor.isolate("REPEATABLE READ"),
          "isolation level REPEATABLE READ", 1, lingers=True),
    _call("SERIALIZABLE", lambda actor, n: actor.isolate("SERIALIZABLE"),
          "isolation level SERIALIZABLE", 1, lingers=True),
    sql("SET TRANSACTION", "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", 1),
    sql("BEGIN SERIALIZABLE", "BEGIN ISOLATION LEVEL SERIALIZABLE", 1),
    sql("read only", "SET TRANSACTION READ ONLY", 1),
    sql("show isolation", "SHOW TRANSACTION ISOLATION LEVEL", 1),
]  # fmt: skip

SETTINGS = [
    sql("SET", "SET work_mem = '{n}MB'", 2, lingers=True),
    sql("SET LOCAL", "SET LOCAL work_mem = '1{n}MB'", 2, lingers=True),
    sql("SHOW", "SHOW work_mem", 4),
    sql("RESET", "RESET work_mem", 1, lingers=True),
    sql("set_config", "SELECT set_config('app.who', 'w{n}', true)", 2, lingers=True),
    sql("set_config of a session", "SELECT set_config('app.who', 's{n}', false)", 1, lingers=True),
    # '' on a connection on which it was set once, and NULL before: the sandbox cannot unset it
    sql("current_setting", "SELECT coalesce(current_setting('app.who', true), '')", 3),
    sql("search_path", "SET search_path = public, pg_catalog", 1, lingers=True),
    sql("RESET ALL", "RESET ALL", 1, lingers=True),
]

CONSTRAINTS = [
    sql("insert child", "INSERT INTO child VALUES ({n}, {n})", 4, writes=True),
    sql("insert pair", "INSERT INTO pair VALUES ({n}, {n})", 3, writes=True),
    sql("swap pairs", "UPDATE pair SET other = 1 - other WHERE other < 2", 2, writes=True),
    sql("delete child", "DELETE FROM child WHERE id = {n}", 2, writes=True),
    sql("SET CONSTRAINTS IMMEDIATE", "SET CONSTRAINTS ALL IMMEDIATE", 1),
    sql("SET CONSTRAINTS DEFERRED", "SET CONSTRAINTS ALL DEFERRED", 1),
    sql("half a swap", "UPDATE pair SET other = 1 WHERE id = 0", 1, writes=True),
]

CURSORS = [
    sql("DECLARE", "DECLARE c{m} CURSOR FOR SELECT id, name FROM item ORDER BY id", 3),
    sql("DECLARE WITH HOLD", "DECLARE c{m} CURSOR WITH HOLD FOR SELECT id FROM parent ORDER BY id",
        1, lingers=True),
    sql("FETCH", "FETCH 1 FROM c{m}", 4),
    sql("FETCH ALL", "FETCH ALL FROM c{m}", 2),
    sql("CLOSE", "CLOSE c{m}", 2),
]  # fmt: skip

TEMPORARY = [
    sql("CREATE TEMP", "CREATE TEMP TABLE t{m} (v int)", 2, lingers=True),
    sql("CREATE TEMP ON COMMIT DROP", "CREATE TEMP TABLE t{m} (v int) ON COMMIT DROP", 1,
        lingers=True),
    sql("CREATE TEMP ON COMMIT DELETE", "CREATE TEMP TABLE t{m} (v int) ON COMMIT DELETE ROWS", 1,
        lingers=True),
    sql("insert into temp", "INSERT INTO t{m} VALUES ({n})", 3, writes=True),
    sql("select temp", "SELECT v FROM t{m} ORDER BY v", 3),
    sql("DROP TEMP", "DROP TABLE t{m}", 1, lingers=True),
]  # fmt: skip

LOCKS = [
    sql("advisory lock", "SELECT pg_try_advisory_lock({m})", 2, lingers=True),
    sql("advisory unlock", "SELECT pg_advisory_unlock({m})", 2, lingers=True),
    sql("transaction's advisory lock", "SELECT pg_try_advisory_xact_lock({m})", 2),
    sql("blocking advisory lock", "SELECT pg_advisory_xact_lock({m})", 1),
    sql("FOR UPDATE", "SELECT id, n FROM item WHERE id = {n} FOR UPDATE", 2, writes=True),
    sql("NOWAIT", "SELECT id FROM item WHERE id = {n} FOR UPDATE NOWAIT", 1, writes=True),
    sql("SKIP LOCKED", "SELECT id FROM item ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED", 1,
        writes=True),
]  # fmt: skip

SCHEMA_CHANGES = [
    sql("CREATE TABLE", "CREATE TABLE extra{m} (v int)", 1, writes=True),
    sql("insert extra", "INSERT INTO extra{m} VALUES ({n})", 1, writes=True),
    sql("select extra", "SELECT v FROM extra{m} ORDER BY v", 1),
    sql("DROP TABLE", "DROP TABLE extra{m}", 1, writes=True),
    sql("TRUNCATE", "TRUNCATE log", 1, writes=True),
    sql("DELETE log", "DELETE FROM log", 1, writes=True),
]

# A statement is not known to read by its text.
FUNCTIONS = [
    sql("quiet function", "SELECT quiet()", 3),
    sql("make it write", "CREATE OR REPLACE FUNCTION quiet() RETURNS bigint LANGUAGE sql "
        "AS $$ INSERT INTO log (what) VALUES ('loud') RETURNING id::bigint $$", 1, writes=True),
    sql("view that writes", "SELECT id FROM writing", 2, writes=True),
    sql("operator that writes", "SELECT 'o{n}' <<<< 1", 2, writes=True),
    sql("cast that writes", "SELECT CAST(point(0, 0) AS inet)", 2, writes=True),
    sql("function in FROM", "SELECT x FROM (SELECT id FROM parent ORDER BY id OFFSET 0) AS p, "
        "LATERAL add_item('l' || p.id) AS x ORDER BY x", 1, writes=True),
    sql("function in WHERE", "SELECT count(*) FROM (SELECT id FROM parent ORDER BY id OFFSET 0) "
        "AS p WHERE add_item('c{n}' || id) > 0", 1, writes=True),
    sql("quoted function", 'SELECT public . "add_item"(\'q{n}\')', 1, writes=True),
    sql("nextval", "SELECT nextval('log_id_seq')", 1),
    sql("PREPARE", "PREPARE p{m} AS INSERT INTO log (what) VALUES ('prepared')", 1, lingers=True),
    sql("EXECUTE", "EXECUTE p{m}", 2, writes=True),
    sql("DO that calls", "DO $$ BEGIN PERFORM quiet(); END $$", 1),
    sql("function that fails", "SELECT add_item(NULL)", 1),
    sql("TABLE", "TABLE parent ORDER BY 1", 1),
]  # fmt: skip

#: (how often a family is drawn, its operations)
FAMILIES: list[tuple[int, list[Operation]]] = [
    (8, READS),
    (12, WRITES),
    (1, COPY),
    (4, FAILURES),
    (5, SAVEPOINTS),
    (8, ENDINGS),
    (2, TEXTUAL),
    (2, MODES),
    (2, SETTINGS),
    (3, CONSTRAINTS),
    (2, CURSORS),
    (1, TEMPORARY),
    (1, LOCKS),
    (1, SCHEMA_CHANGES),
    (2, FUNCTIONS),
]

OPERATIONS = [operation for _, family in FAMILIES for operation in family]

"""The operations of histories on SQLite, and the tables that they work on."""

from __future__ import annotations

import sys
from typing import Any

from .actors import Actor
from .postgresql import ENDINGS, SAVEPOINTS
from .steps import Operation, sql

__all__ = ["CONTENT", "ENDINGS", "FAMILIES", "RESET", "SCHEMA"]

SCHEMA = """
CREATE TABLE item (id integer PRIMARY KEY, name text UNIQUE NOT NULL, n int NOT NULL DEFAULT 0);
CREATE TABLE parent (id int PRIMARY KEY, name text);
CREATE TABLE child (id int PRIMARY KEY, parent_id int REFERENCES parent (id)
    DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE strict_child (id int PRIMARY KEY, parent_id int REFERENCES parent (id));
CREATE TABLE noted (id int PRIMARY KEY, v int CHECK (v < 4));
CREATE TABLE log (id integer PRIMARY KEY, what text);
CREATE TRIGGER note AFTER INSERT ON noted BEGIN INSERT INTO log (what) VALUES ('noted'); END;
"""

RESET = """
DROP TABLE IF EXISTS extra0; DROP TABLE IF EXISTS extra1;
DELETE FROM child; DELETE FROM strict_child; DELETE FROM parent; DELETE FROM item;
DELETE FROM noted; DELETE FROM log;
INSERT INTO item (id, name, n) VALUES (1, 'first', 1), (2, 'second', 2);
INSERT INTO parent VALUES (0, 'zero'), (1, 'one');
INSERT INTO child VALUES (0, 0);
INSERT INTO noted VALUES (0, 0);
"""

CONTENT = """
SELECT 'item', id, name, n FROM item UNION ALL
SELECT 'parent', id, name, 0 FROM parent UNION ALL
SELECT 'child', id, '', parent_id FROM child UNION ALL
SELECT 'strict', id, '', parent_id FROM strict_child UNION ALL
SELECT 'noted', id, '', v FROM noted UNION ALL
SELECT 'log', id, what, 0 FROM log UNION ALL
SELECT 'table', 0, name, 0 FROM sqlite_master WHERE name LIKE 'extra%' ORDER BY 1, 2, 3
"""


def _call(name: str, perform: Any, text: str, weight: int = 1, **more: Any) -> Operation:
    return Operation(name, perform, lambda n: text.replace("{n}", str(n)), weight, **more)


READS = [
    sql("select items", "SELECT id, name, n FROM item ORDER BY id", 8),
    _call("get item", lambda actor, n: actor.get_item(n + 1), "get item {n} + 1", 4),
    sql("select item", "SELECT id, n FROM item WHERE name = 'i{n}'", 3),
    sql("select parents", "SELECT id, name FROM parent ORDER BY id", 3),
    sql("select children", "SELECT id, parent_id FROM child ORDER BY id", 3),
    sql("select log", "SELECT what FROM log ORDER BY id", 2),
    sql("count", "SELECT count(*) FROM item JOIN parent ON parent.id = item.n", 2),
    sql("select constant", "SELECT {n}", 1),
]

WRITES = [
    _call("insert", lambda actor, n: actor.insert_item(f"i{n}", n), "insert item i{n}", 8),
    sql("insert parent", "INSERT INTO parent VALUES ({n}, 'p{n}')", 4),
    sql("insert several", "INSERT INTO parent VALUES (1{n}, 'a'), (2{n}, 'b')", 2),
    sql("insert select", "INSERT INTO parent SELECT 100 + id, name FROM item", 1),
    sql("insert noted", "INSERT INTO noted VALUES ({n}, {n})", 3),
    _call("update item", lambda actor, n: actor.change_item(n + 1), "change item {n} + 1", 5),
    sql("update items", "UPDATE item SET n = n + 1", 2),
    sql("update parent", "UPDATE parent SET name = name || 'x' WHERE id = {n}", 3),
    sql("update nothing", "UPDATE item SET n = 0 WHERE id = 1000", 2),
    _call("delete item", lambda actor, n: actor.delete_item(n + 1), "delete item {n} + 1", 3),
    sql("delete parent", "DELETE FROM parent WHERE id = {n}", 2),
    sql("insert child", "INSERT INTO child VALUES ({n}, {n})", 3),
    sql("delete child", "DELETE FROM child WHERE id = {n}", 2),
    sql("upsert", "INSERT INTO item (name, n) VALUES ('i{n}', 0) "
        "ON CONFLICT (name) DO UPDATE SET n = item.n + 10 RETURNING id, n", 3),
    sql("upsert nothing", "INSERT INTO parent VALUES ({n}, 'u') ON CONFLICT DO NOTHING", 2),
    sql("REPLACE", "REPLACE INTO parent VALUES ({n}, 'r')", 2),
    sql("INSERT OR IGNORE", "INSERT OR IGNORE INTO parent VALUES ({n}, 'g')", 1),
    sql("WITH", "WITH x AS (SELECT {n} AS v) INSERT INTO log (what) SELECT v FROM x", 2),
]  # fmt: skip
WRITES = [
    Operation(o.name, o.perform, o.text, o.weight, True, o.lingers, o.kinds) for o in WRITES
]

FAILURES = [
    sql("missing table", "SELECT * FROM missing", 2),
    sql("duplicate", "INSERT INTO parent VALUES (1, 'again')", 2),
    sql("null", "INSERT INTO item (name) VALUES (NULL)", 1),
    sql("check", "UPDATE noted SET v = 9", 1),
    sql("strict child", "INSERT INTO strict_child VALUES ({n}, {n})", 2, writes=True),
    sql("half a failure", "INSERT INTO item (name) VALUES ('h{n}'), ('first')", 1),
    sql("INSERT OR FAIL", "INSERT OR FAIL INTO item (name) VALUES ('h{n}'), ('first')", 1,
        writes=True),
    sql("INSERT OR ROLLBACK", "INSERT OR ROLLBACK INTO parent VALUES (1{n}, ''), (1, '')", 1),
]  # fmt: skip

TEXTUAL = [
    sql("COMMIT", "COMMIT", 3),
    sql("ROLLBACK", "ROLLBACK", 2),
    sql("BEGIN", "BEGIN", 4),
    sql("BEGIN IMMEDIATE", "BEGIN IMMEDIATE", 2),
    sql("commented COMMIT", "/* why */ COMMIT -- because", 1),
    sql("END", "END TRANSACTION", 1),
]


def _autocommit(actor: Actor, value: Any) -> None:
    actor.driver_connection().autocommit = value


def _level(actor: Actor, level: str | None) -> None:
    actor.driver_connection().isolation_level = level


MODES = [
    _call("autocommit on", lambda actor, n: actor.isolate("AUTOCOMMIT"), "AUTOCOMMIT", 2,
          lingers=True),
    _call("isolation_level None", lambda actor, n: _level(actor, None),
          "isolation_level = None", 1, lingers=True),
    _call("isolation_level ''", lambda actor, n: _level(actor, ""), "isolation_level = ''", 1,
          lingers=True),
    _call("isolation_level IMMEDIATE", lambda actor, n: _level(actor, "IMMEDIATE"),
          "isolation_level = 'IMMEDIATE'", 1, lingers=True),
    *TEXTUAL,
]  # fmt: skip
if sys.version_info >= (3, 12):
    MODES += [
        _call(f"autocommit {value}", lambda actor, n, value=value: _autocommit(actor, value),
              f"autocommit = {value}", 1, lingers=True)
        for value in (True, False)
    ]  # fmt: skip


def _script(actor: Actor, n: int) -> None:
    actor.driver_connection().executescript(
        f"INSERT INTO parent VALUES (4{n}, 's'); INSERT INTO log (what) VALUES ('script');"
    )


def _many(actor: Actor, n: int) -> None:
    actor.driver_connection().executemany(
        "INSERT INTO parent VALUES (?, 'many')", [(50 + n,), (60 + n,)]
    )


def _leave(actor: Actor) -> None:
    with actor.driver_connection():
        pass


DRIVERS_OWN = [
    _call("executescript", _script, "executescript(INSERT parent 4{n}; INSERT log)", 2,
          writes=True),
    _call("executemany", _many, "executemany(INSERT parent 5{n}, 6{n})", 2, writes=True),
    _call("total_changes", lambda actor, n: actor.driver_connection().total_changes,
          "total_changes", 2),
    # changes() and last_insert_rowid() are left out: like currval() they are the real connection's
    _call("with connection", lambda actor, n: _leave(actor), "leave 'with connection:'", 1),
    sql("DEFER", "PRAGMA defer_foreign_keys = ON", 1),
]  # fmt: skip


def _open(actor: Actor, n: int) -> Any:
    cursor = actor.driver_connection().cursor()
    actor.open_cursors.append(cursor)
    cursor.execute("SELECT id, name FROM item ORDER BY id")
    return cursor.fetchone()


def _fetch(actor: Actor, n: int) -> Any:
    return actor.open_cursors.pop().fetchall() if actor.open_cursors else None


OPEN_CURSORS = [
    _call("open a result", _open, "execute(SELECT items), fetch one row", 2, lingers=True),
    _call("fetch the rest", _fetch, "fetch the other rows", 2, lingers=True),
]

TEMPORARY = [
    sql("CREATE TEMP", "CREATE TEMP TABLE t{m} (v int)", 2, lingers=True),
    sql("insert into temp", "INSERT INTO t{m} VALUES ({n})", 3, writes=True),
    sql("select temp", "SELECT v FROM t{m} ORDER BY v", 3),
    sql("DROP TEMP", "DROP TABLE t{m}", 1, lingers=True),
]

SCHEMA_CHANGES = [
    sql("CREATE TABLE", "CREATE TABLE extra{m} (v int)", 2, writes=True),
    sql("insert extra", "INSERT INTO extra{m} VALUES ({n})", 2, writes=True),
    sql("select extra", "SELECT v FROM extra{m} ORDER BY v", 2),
    sql("DROP TABLE", "DROP TABLE extra{m}", 1, writes=True),
    sql("ALTER TABLE", "ALTER TABLE extra{m} ADD COLUMN w int", 1, writes=True),
    sql("CREATE INDEX", "CREATE INDEX IF NOT EXISTS extra_v{m} ON extra{m} (v)", 1, writes=True),
]

#: (how often a family is drawn, its operations)
FAMILIES: list[tuple[int, list[Operation]]] = [
    (8, READS),
    (12, WRITES),
    (4, FAILURES),
    (4, SAVEPOINTS),
    (10, ENDINGS),
    (3, TEXTUAL),
    (2, MODES),
    (2, DRIVERS_OWN),
    (1, OPEN_CURSORS),
    (1, TEMPORARY),
    (2, SCHEMA_CHANGES),
]

"""Tests for :mod:`dbtestcase.sandbox.psycopg_driver`, judged by real connections.

What psycopg 3 has in common with psycopg2 is tested by the same scenarios.
"""

from __future__ import annotations

import contextlib
import datetime
import threading
import unittest
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row, namedtuple_row, scalar_row
from psycopg.types import TypeInfo
from psycopg.types.composite import CompositeInfo, register_composite
from psycopg.types.json import set_json_loads

from dbtestcase.errors import SandboxConflict

from . import test_postgresql, test_psycopg2_driver
from .support import logged
from .twins import Actor, Stage, TwinTestCase

PSYCOPG = "postgresql+psycopg"
INSERT = "INSERT INTO item (name) VALUES (%s)"
NAMES = "SELECT name FROM item ORDER BY id"


class PsycopgTestCase(TwinTestCase):
    driver = PSYCOPG


class TestTransactions(test_psycopg2_driver.TestTransactions):
    driver = PSYCOPG


class TestTextualControl(test_psycopg2_driver.TestTextualControl):
    driver = PSYCOPG

    def test_forms_of_a_query(self) -> None:
        """A query may be composed, or bytes, or hold several statements."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a(
                sql.SQL("INSERT INTO {} (name) VALUES ({})").format(
                    sql.Identifier("item"), sql.Literal("it's %")
                )
            )
            a(sql.SQL("COMMIT"))
            a.status()
            a(b"INSERT INTO item (name) VALUES ('b\xc3\xa9')")
            a(b"ROLLBACK")
            a("INSERT INTO item (name) VALUES ('c'); COMMIT; INSERT INTO item (name) VALUES ('d')")
            a.status()
            a.rollback()
            b(NAMES)
            b.rollback()
            a("INSERT INTO item (name) VALUES (%s); COMMIT; SELECT 1", ("e",))
            a.status()
            a.rollback()
            a("SELECT '%', '%s'")
            a("SELECT '%%'", ())
            a("SELECT '%%'; COMMIT; SELECT '%%'", {})
            a("SELECT '%'; COMMIT; SELECT '%s'")
            a("SELECT %(x)s", {"x": "COMMIT; ROLLBACK"})
            a(17)
            a("")
            a(";")
            a.status()

        self.assertSame(play)

    def test_several_results(self) -> None:
        """A text of several statements gives the result of each, those that are played too."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            a.note(
                "execute",
                lambda: (
                    None
                    if a.cur.execute(
                        "SELECT 1; INSERT INTO item (name) VALUES ('a'), ('b'); COMMIT; SELECT 2, 3"
                    )
                    is a.cur
                    else "another"
                ),
            )
            while True:
                a.note("rowcount", lambda: a.cur.rowcount)
                a.note("rows", lambda: a.cur.fetchall() if a.cur.description else None)
                if not a.note("next", a.cur.nextset):
                    break
            a.status()

        self.assertSame(play)

    def test_command_tags(self) -> None:
        """What is played answers as the server does."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            a("SELECT 1")
            for text in (
                "COMMIT",
                "BEGIN",
                "START TRANSACTION",
                "SAVEPOINT s",
                "ROLLBACK TO s",
                "RELEASE s",
                "SET TRANSACTION READ WRITE",
                "END",
                "ROLLBACK",
                "SELECT 1/0",
                "COMMIT",
                "INSERT INTO item (name) VALUES ('a')",
                "ABORT",
            ):
                a(text)
                a.note(text, lambda: (a.cur.statusmessage, a.cur.rowcount, a.cur.description))
                a.note("fetch", a.cur.fetchall)

        self.assertSame(play)

    def test_client_cursor(self) -> None:
        """A client-side cursor binds parameters itself, and may so send several statements."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            a.con.cursor_factory = psycopg.ClientCursor
            a.cur = a.con.cursor()
            a("INSERT INTO item (name) VALUES (%s); COMMIT; SELECT '%%', %s", ("e;", "f%"))
            a.status()
            a("SET app.who = %s", ("z",))
            a("SHOW app.who")
            a.note("mogrify", lambda: a.cur.mogrify(sql.SQL("{} %s").format(sql.Literal("x")), [1]))
            a.note("binary", lambda: a.cur.execute("SELECT 1", binary=True))
            a.status()
            a.rollback()
            a.cur = psycopg.ClientCursor(a.con)
            a("INSERT INTO item (name) VALUES (%s); ROLLBACK; SELECT 1", ("gone",))
            a(NAMES)
            a.cur = psycopg.RawCursor(a.con)
            a("SELECT $1::int + 1", [41])
            a("INSERT INTO item (name) VALUES ($1)", ["raw"])
            a("COMMIT")
            a.status()

        self.assertSame(play)


class TestSettings(test_postgresql.TestSettings):
    driver = PSYCOPG


class TestTransactionModes(test_postgresql.TestTransactionModes):
    driver = PSYCOPG


class TestDeferrable(test_postgresql.TestDeferrable):
    driver = PSYCOPG


class TestCatalogue(test_postgresql.TestCatalogue):
    driver = PSYCOPG


class TestTemporaryTables(test_postgresql.TestTemporaryTables):
    driver = PSYCOPG


class TestAdvisoryLocks(test_postgresql.TestAdvisoryLocks):
    driver = PSYCOPG


class TestUncommitted(test_postgresql.TestUncommitted):
    driver = PSYCOPG


class TestTableLocks(test_postgresql.TestTableLocks):
    driver = PSYCOPG


class TestAlone(test_postgresql.TestAlone):
    driver = PSYCOPG


class TestOutsideTransactions(test_postgresql.TestOutsideTransactions):
    driver = PSYCOPG


class TestAttributes(PsycopgTestCase):
    def test_switches(self) -> None:
        """Autocommit and the transaction's characteristics change where the driver allows it."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            changes = (
                ("autocommit", True),
                ("isolation_level", psycopg.IsolationLevel.SERIALIZABLE),
                ("read_only", True),
                ("deferrable", True),
            )

            def change_all() -> None:
                for name, value in changes:
                    a.note(name, lambda name=name, value=value: setattr(a.con, name, value))
                    method = getattr(a.con, f"set_{name}")
                    a.note(name, lambda method=method, value=value: method(value))
                    a.note(name, lambda name=name: getattr(a.con, name))

            a("SELECT 1")
            change_all()
            a.rollback()
            with a.con.transaction():
                change_all()
            a("SELECT 1/0")
            change_all()
            a.rollback()
            change_all()
            a("SHOW transaction_read_only")
            a("INSERT INTO item (name) VALUES ('a')")
            a("BEGIN")
            a("SHOW transaction_isolation")
            a("COMMIT")
            a.con.autocommit = False
            a("SHOW transaction_isolation")
            a("INSERT INTO item (name) VALUES ('b')")
            a.rollback()
            for name, _ in changes[1:]:
                setattr(a.con, name, None)
            a("SHOW transaction_isolation")
            a("INSERT INTO item (name) VALUES ('c')")
            a.note("level", lambda: setattr(a.con, "isolation_level", 9))
            a.commit()
            a.note("level", lambda: setattr(a.con, "isolation_level", 9))
            b(NAMES)

        self.assertSame(play)

    def test_autocommit(self) -> None:
        """In autocommit each statement, or text of several, commits by itself."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a.con.set_autocommit(True)
            a("INSERT INTO item (name) VALUES ('a')")
            a("INSERT INTO item (name) VALUES ('a')")
            a.status()
            a("INSERT INTO child VALUES (1, 99)")
            a("SELECT 1/0")
            a.note("execute", lambda: a.con.execute(INSERT, ("b",)).rowcount)
            a("INSERT INTO item (name) VALUES ('c'); INSERT INTO item (name) VALUES ('c')")
            a.rollback()
            b(NAMES)
            a.con.autocommit = False
            a("INSERT INTO item (name) VALUES ('d')")
            a.con.close()
            b.commit()
            b(NAMES)

        self.assertSame(play)

    def test_with_connection(self) -> None:
        """`with connection` commits, or rolls back, and closes."""

        def play(stage: Stage) -> None:
            a, b, c = stage.actor(), stage.actor(), stage.actor()
            with a.con as entered:
                a.note("same", lambda: entered is a.con)
                a("INSERT INTO item (name) VALUES ('kept')")
            a.note("closed", lambda: (a.con.closed, a.con.broken))
            a("SELECT 1")

            def block() -> None:
                with b.con:
                    b("INSERT INTO item (name) VALUES ('gone')")
                    raise ValueError("out")

            b.note("block", block)
            b.note("closed", lambda: b.con.closed)
            c(NAMES)

        self.assertSame(play)

    def test_closed(self) -> None:
        """What is closed says so as the driver does."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            cursor = a.con.cursor()
            cursor.close()
            calls = (
                lambda: cursor.execute("SELECT 1"),
                lambda: cursor.executemany(INSERT, [("x",)]),
                lambda: list(cursor.stream("SELECT 1")),
                lambda: cursor.copy("COPY item TO STDOUT").__enter__(),
                cursor.fetchone,
            )
            for call in calls:
                a.note("cursor", call)
            a.status()
            a("INSERT INTO item (name) VALUES ('gone')")
            a.close()
            a("SELECT 1")
            for name in ("commit", "rollback", "cursor", "close", "cancel"):
                a.note(name, getattr(a.con, name))
            a.note("execute", lambda: a.con.execute("SELECT 1"))
            a.note("transaction", lambda: a.con.transaction().__enter__())
            a.note("autocommit", lambda: a.con.set_autocommit(True))
            a.note("state", lambda: (a.con.closed, a.con.broken, a.con.pgconn.status))
            a.note("info", lambda: a.con.info.status)
            b("SELECT count(*) FROM item")

        self.assertSame(play)

    def test_state(self) -> None:
        """`info`, and what a program sees of libpq, tell of the virtual connection."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()

            def state() -> None:
                a.note(
                    "state",
                    lambda: (
                        a.con.info.transaction_status,
                        a.con.pgconn.transaction_status,
                        a.con.info.status,
                        a.con.pgconn.status,
                        a.con.closed,
                        a.con.broken,
                        a.con.info.vendor,
                        a.con.info.encoding,
                        a.con.info.server_version > 0,
                        a.con.pgconn.db == a.con.info.dbname.encode(),
                        a.con.info.parameter_status("server_encoding"),
                    ),
                )

            state()
            b("INSERT INTO item (name) VALUES ('b')")
            state()
            a("SELECT 1")
            state()
            a("SELECT 1/0")
            state()
            a("COMMIT")
            state()

        self.assertSame(play)

    def test_errors(self) -> None:
        """Errors that are raised in the server's name are like the server's."""

        def play(stage: Stage) -> None:
            a = stage.actor()

            def told(query: str) -> Any:
                try:
                    a.con.execute(query)
                except psycopg.Error as e:
                    return (
                        type(e).__name__,
                        str(e),
                        e.sqlstate,
                        e.diag.sqlstate,
                        e.diag.severity,
                        e.diag.severity_nonlocalized,
                        e.diag.message_primary,
                        e.diag.table_name,
                    )

            for query in ("ROLLBACK TO x", "SELECT 1", "SAVEPOINT s", "COMMIT", "RELEASE y"):
                a.note(query, lambda query=query: told(query))
            a.rollback()
            a.con.autocommit = True
            for query in ("SAVEPOINT s", "RELEASE s", "ROLLBACK TO s", "COMMIT AND CHAIN"):
                a.note(query, lambda query=query: told(query))

        self.assertSame(play)


class Out(Exception):
    """Leaves a block."""


class TestTransaction(PsycopgTestCase):
    def test_nested(self) -> None:
        """transaction() blocks nest, undo what fails in them, and commit at last."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            for autocommit in (False, True):
                a.con.autocommit = autocommit
                with a.con.transaction() as outer:
                    a(INSERT, [f"outer {autocommit}"])
                    a.note("name", lambda outer=outer: (outer.savepoint_name, outer.status.value))
                    with contextlib.suppress(Out), a.con.transaction() as inner:
                        a(INSERT, ["gone"])
                        a.note("name", lambda inner=inner: inner.savepoint_name)
                        b("SELECT count(*) FROM parent")
                        raise Out
                    a.status()
                    with a.con.transaction("my name") as named:
                        a(INSERT, [f"inner {autocommit}"])
                        a.note("name", lambda named=named: named.savepoint_name)
                    with a.con.transaction(force_rollback=True):
                        a(INSERT, ["forced"])
                    for name in ("commit", "rollback"):
                        a.note(name, getattr(a.con, name))
                    a(NAMES)
                b.rollback()
                a.note(
                    "status",
                    lambda outer=outer, inner=inner: (outer.status.value, inner.status.value),
                )
                a.status()
                b(NAMES)
                b.rollback()

        self.assertSame(play)

    def test_errors(self) -> None:
        """A statement that fails, and Rollback, end the blocks that they should."""

        def play(stage: Stage) -> None:
            a = stage.actor()

            def failing() -> None:
                with a.con.transaction():
                    a.con.execute(INSERT, ["gone"])
                    a.con.execute("SELECT 1/0")

            with a.con.transaction() as outer:
                a(INSERT, ["kept"])
                a.note("failing", failing)
                a.status()
                with a.con.transaction():
                    a(INSERT, ["gone too"])
                    raise psycopg.Rollback
            a.status()
            with a.con.transaction() as outer:
                a(INSERT, ["undone"])
                with a.con.transaction():
                    raise psycopg.Rollback(outer)
            a.status()
            a(NAMES)
            a.note("failing inside", failing)
            a.status()
            a.rollback()
            a.note("failing", failing)
            a.status()
            with a.con.transaction("first"):
                a(INSERT, ["with a name"])
                a("ROLLBACK TO first")
                a("SELECT count(*) FROM item")
            a.note("swallowed", lambda: self.swallowed(a))
            a.status()
            a(NAMES)

        self.assertSame(play)

    @staticmethod
    def swallowed(a: Actor) -> None:
        with a.con.transaction():
            a.con.execute(INSERT, ["lost"])
            with contextlib.suppress(psycopg.Error):
                a.con.execute("SELECT 1/0")

    def test_deferred_constraint(self) -> None:
        """A constraint that fails at the end of the block is raised from there."""

        def play(stage: Stage) -> None:
            a = stage.actor()

            def block() -> None:
                with a.con.transaction():
                    a.con.execute("INSERT INTO child VALUES (1, 99)")

            a.note("block", block)
            a.status()
            a("SELECT count(*) FROM child")

        self.assertSame(play)

    def test_out_of_order(self) -> None:
        """Blocks that are left in the wrong order are the driver's error."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            one, two = a.con.transaction(), a.con.transaction()
            one.__enter__()
            two.__enter__()
            a(INSERT, ["a"])
            for block in (one, two):
                try:
                    block.__exit__(None, None, None)
                except psycopg.Error as error:
                    a.note("exit", lambda error=error: (type(error).__name__, str(error)[:44]))
                a.status()

        self.assertSame(play)


class TestCursors(PsycopgTestCase):
    def test_values_that_have_no_sql(self) -> None:
        """An error before anything is sent does not fail the transaction."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            a("INSERT INTO item (name) VALUES ('a')")
            a("SELECT %s", [object()])
            a.status()
            a("SELECT %s, %s", [1])
            a("SET work_mem = %s", [object()])
            a.status()
            a("SELECT count(*) FROM item")
            a.commit()

        self.assertSame(play)

    def test_executemany(self) -> None:
        """executemany() is one pipeline: all of it stays, or in autocommit nothing."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            for autocommit in (False, True):
                a.con.autocommit = autocommit
                a.note("many", lambda: a.cur.executemany(INSERT, [("a",), ("b",), ("a",), ("c",)]))
                a.status()
                a.rollback()
                a(NAMES)
                a.note(
                    "many",
                    lambda: a.cur.executemany(
                        f"{INSERT} RETURNING id, name",
                        [("x",), ("y",)],
                        returning=True,
                    ),
                )
                a.note("rows", lambda: [cursor.fetchall() for cursor in a.cur.results()])
                a.note(
                    "many",
                    lambda: a.cur.executemany(
                        "UPDATE item SET n = %s WHERE name = %s", [(1, "first"), (2, "none")]
                    ),
                )
                a.note("count", lambda: (a.cur.rowcount, a.cur.statusmessage))
                a.note("none", lambda: a.cur.executemany(INSERT, []))
                a.note("count", lambda: a.cur.rowcount)
                a.note("bad", lambda: a.cur.executemany(INSERT, [(object(),)]))
                a.status()
                a("DELETE FROM item WHERE id > 1")
                a.commit()
            a(NAMES)

        with logged("psycopg") as texts:
            self.assertSame(play)
        for text in texts:  # whether it comes is a matter of time
            self.assertRegex(text, "^error ignored terminating <psycopg.Pipeline ")

    def test_executemany_from_a_query(self) -> None:
        """What gives the parameters may read by another connection meanwhile."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            with b.con.cursor("n") as rows:
                rows.execute("SELECT generate_series(1, 5)::text")
                rows.itersize = 2
                a.note("many", lambda: a.cur.executemany(INSERT, rows))
            a(NAMES)

        self.assertSame(play)

    def test_stream(self) -> None:
        """stream() gives rows one by one; an error comes after the rows before it."""

        def play(stage: Stage) -> None:
            a = stage.actor()

            def stream(query: str, *args: Any, **kwargs: Any) -> list[Any]:
                found: list[Any] = []
                try:
                    for row in a.cur.stream(query, *args, **kwargs):
                        found.append(row)
                except psycopg.Error as error:
                    found.append((type(error).__name__, error.sqlstate))
                return found

            a.note("rows", lambda: stream("SELECT generate_series(1, %s)", [5]))
            a.note("description", lambda: [column.name for column in a.cur.description])
            a.note("size", lambda: stream("SELECT generate_series(1, 5)", size=2))
            a.note("binary", lambda: stream("SELECT 'x'::bytea, now() IS NULL", binary=True))
            a.note("none", lambda: stream("SELECT 1 WHERE false"))
            a.note("insert", lambda: stream("INSERT INTO item (name) VALUES ('a')"))
            a.note("returning", lambda: stream(f"{INSERT} RETURNING name", ["b"]))
            a.note("failing", lambda: stream("SELECT 1 / (3 - g) FROM generate_series(1, 5) g"))
            a.status()
            a.rollback()
            a.note("missing", lambda: stream("SELECT * FROM missing"))
            a.status()

        self.assertSame(play)

    def test_stream_beside(self) -> None:
        """While a result is streamed, other connections work."""
        with self.sandbox() as stage:
            a, b = stage.actor(), stage.actor()
            rows = a.cur.stream("SELECT generate_series(1, 5)")
            self.assertEqual(next(rows), (1,))
            b("INSERT INTO item (name) VALUES ('b')")
            b.commit()
            self.assertEqual([*rows], [(2,), (3,), (4,), (5,)])

    def test_factories(self) -> None:
        """Rows and cursors are of the kind that is asked for, wherever that is said."""

        class Mine(psycopg.Cursor[Any]):
            def shout(self, query: str) -> Any:
                return self.execute(query.upper())

        class Named(psycopg.ServerCursor[Any]):
            kept = "an attribute"

        def play(stage: Stage) -> None:
            a = stage.actor(row_factory=dict_row)
            a(NAMES)
            a.con.row_factory = scalar_row
            a.note("row", lambda: a.con.execute(NAMES).fetchall())
            a.con.cursor_factory = Mine
            cursor = a.con.cursor(row_factory=namedtuple_row)
            a.note("mine", lambda: cursor.shout("select 1 as one").fetchone().one)
            a.note("is", lambda: (isinstance(cursor, Mine), type(cursor).__name__))
            a.note("set", lambda: vars(cursor).update(x=1))
            a.con.server_cursor_factory = Named
            with a.con.cursor("n") as named:
                a.note("named", lambda: (isinstance(named, Named), named.kept))
                a.note("rows", lambda: named.execute(NAMES).fetchall())
            a.note("context", lambda: a.con.cursor().connection is a.con)
            a.note("isinstance", lambda: isinstance(a.con, psycopg.Connection))
            cursor.row_factory = dict_row
            a.note("changed", cursor.fetchall)
            a.note("binary", lambda: a.con.cursor(binary=True).execute("SELECT 1, 'a'").fetchall())
            a.note("binary", lambda: a.con.execute("SELECT 1.5, true", binary=True).fetchall())
            a.note("several", lambda: a.con.execute("SELECT 1; COMMIT", binary=True))

        self.assertSame(play)

    def test_rows(self) -> None:
        """What a cursor can do with its rows, it does."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            a.note("execute", lambda: a.cur.execute("SELECT generate_series(1, 9)").rowcount)
            a.note("one", a.cur.fetchone)
            a.note("many", lambda: a.cur.fetchmany(2))
            a.note("scroll", lambda: a.cur.scroll(1))
            a.note("next", lambda: next(a.cur))
            a.note("number", lambda: a.cur.rownumber)
            a.note("out", lambda: a.cur.scroll(99))
            a.note("rest", lambda: list(a.cur))
            a.note(
                "two", lambda: [c.fetchall() for c in a.cur.execute("SELECT 1; SELECT 2").results()]
            )
            a.note("set", lambda: a.cur.set_result(0).fetchall())

        self.assertSame(play)


class TestServerCursors(PsycopgTestCase):
    def test_named(self) -> None:
        """A server-side cursor keeps its snapshot, and ends with its transaction."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("INSERT INTO item (name) SELECT 'i' || g FROM generate_series(1, 9) g")
            a.commit()
            n = a.con.cursor("n m")
            n.itersize = 2
            a.note(
                "execute",
                lambda: n.execute("SELECT name FROM item WHERE n = %s ORDER BY id", [0]) is n,
            )
            a.note("many", lambda: n.executemany("SELECT 1", [()]))
            a.note("description", lambda: n.description[0].name)
            a.note("one", n.fetchone)
            b("INSERT INTO item (name) VALUES ('late')")
            b.commit()
            a.note("many", lambda: n.fetchmany(2))
            a("INSERT INTO item (name) VALUES ('mine')")
            a.note("scroll", lambda: n.scroll(1))
            a.note("next", lambda: next(n))
            a.note("rest", lambda: list(n))
            a.note("again", lambda: n.execute("SELECT 1").fetchall())
            a.note("close", n.close)
            a.note("closed", lambda: n.closed)
            a.note("fetch", n.fetchone)
            a.commit()
            n = a.con.cursor("n")
            a.note("execute", lambda: n.execute("SELECT name FROM item ORDER BY id").fetchone())
            a.commit()
            for call in (n.fetchone, n.fetchall, n.__next__, n.close, lambda: n.closed):
                a.note("after", call)
            a.status()
            a.rollback()
            a("SELECT count(*) FROM pg_cursors")
            a("SELECT 1/0")
            n = a.con.cursor("n")
            a.note("execute", lambda: n.execute("SELECT 1"))
            n.close()
            a.rollback()
            a.con.autocommit = True
            n = a.con.cursor("n")
            a.note("execute", lambda: n.execute("SELECT 1"))
            n.close()

        self.assertSame(play)

    def test_with_hold(self) -> None:
        """A cursor WITH HOLD outlives its transaction, in autocommit too."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            for autocommit in (False, True):
                a.con.autocommit = autocommit
                n = a.con.cursor("n", withhold=True, scrollable=True)
                a.note("execute", lambda n=n: n.execute("SELECT generate_series(1, 5)") is n)
                a.note("one", n.fetchone)
                a.commit()
                a.status()
                a.note("one", n.fetchone)
                a.status()
                a("INSERT INTO item (name) VALUES (%s)", [str(autocommit)])
                a.rollback()
                a.note("back", lambda n=n: n.scroll(0, mode="absolute"))
                a.note("all", n.fetchall)
                a.note("close", n.close)
                a("SELECT count(*) FROM pg_cursors")
                a.rollback()

        self.assertSame(play)

    def test_scrollable(self) -> None:
        """A cursor that is not scrollable says so, and fails its transaction."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            with a.con.cursor("n", scrollable=False) as n:
                n.execute("SELECT generate_series(1, 5)")
                a.note("all", n.fetchall)
                a.note("back", lambda: n.scroll(-1))
                a.status()
            a.rollback()

        self.assertSame(play)

    def test_of_another(self) -> None:
        """A cursor that SQL declared can be read by one of the driver's."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            a("DECLARE c CURSOR FOR SELECT name FROM item")
            stolen = a.con.cursor("c")
            a.note("fetch", stolen.fetchall)
            a.note("close", stolen.close)
            missing = a.con.cursor("d")
            a.note("missing", missing.fetchone)
            missing.close()
            a.status()
            a.rollback()
            stolen = a.con.cursor("e")
            a.note("close", stolen.close)
            a.status()

        self.assertSame(play)

    def test_cursor_of_another(self) -> None:
        """Two cursors of one name are refused."""
        opened: list[Any] = []

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            with a.con.cursor("c") as one, b.con.cursor("c") as two:
                opened.extend((one, two))
                one.execute("SELECT 1")
                two.execute("SELECT 2")

        self.assertConflict(
            play,
            r"connection 2 \(its transaction began at tests/test_psycopg_driver.py:\d+\) names the "
            r'cursor "c", and connection 1 \(its transaction began at '
            r"tests/test_psycopg_driver.py:\d+\) has one of that name\. On one connection the two "
            r"are the same\. Give the cursors different names\.",
        )
        for cursor in opened:  # the sandbox refused to close them, too
            cursor.connection.close()
            cursor.close()
            self.assertTrue(cursor.closed)


class TestCopy(PsycopgTestCase):
    def test_in(self) -> None:
        """COPY FROM takes blocks and rows, in text and binary, and commits with the rest."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            with a.cur.copy("COPY parent FROM STDIN") as copying:
                copying.write("10\tx\n11")
                copying.write(b"\ty\n")
            a.note("count", lambda: (a.cur.rowcount, a.cur.statusmessage))
            with a.cur.copy("COPY parent (id, name) FROM STDIN (FORMAT BINARY)") as copying:
                copying.set_types(["int4", "text"])
                copying.write_row((12, "z"))
                b("SELECT id FROM item ORDER BY id")
                copying.write_row((13, None))
            b.rollback()
            with a.cur.copy("COPY parent (name, id) FROM STDIN WHERE id > %s", [14]) as copying:
                copying.write_row(("a\tb\\", 14))
                copying.write_row(("é", 15))
            with a.cur.copy("COPY parent FROM STDIN (FORMAT BINARY)"):
                pass
            with a.cur.copy("COPY parent FROM STDIN"):
                pass
            a("SELECT * FROM parent ORDER BY id")
            a.commit()
            a.con.autocommit = True
            with a.cur.copy("COPY item (name) FROM STDIN") as copying:
                copying.write_row(["alone"])
            b("SELECT id, name FROM item ORDER BY id")

        self.assertSame(play)

    def test_in_fails(self) -> None:
        """An error of the data, of the statement or of the block fails the transaction."""

        def play(stage: Stage) -> None:
            a = stage.actor()

            def copy(statement: str, *rows: Any, error: Exception | None = None) -> None:
                with a.cur.copy(statement) as copying:
                    for row in rows:
                        copying.write_row(row)
                    if error is not None:
                        raise error

            insert = "COPY parent FROM STDIN"
            for number, call in enumerate(
                (
                    lambda: copy(insert, (10, "a"), (10, "b")),
                    lambda: copy(insert, ("x", "a")),
                    lambda: copy(insert, (10, "a"), error=ValueError("out")),
                    lambda: copy("COPY missing FROM STDIN", (10, "a")),
                    lambda: copy("COPY parent FROM STDIN (FORMAT nonsense)", (10, "a")),
                    lambda: copy(f"{insert}; SELECT 1", (10, "a")),
                    lambda: copy("SELECT 1"),
                    lambda: copy("INSERT INTO item (name) VALUES ('not by copy')"),
                )
            ):
                a(INSERT, [f"before {number}"])
                a.note(number, call)
                a.status()
                a("SELECT count(*) FROM item")
                a.rollback()

        self.assertSame(play)

    def test_by_execute(self) -> None:
        """COPY by execute() is the driver's error, and other connections go on."""
        for statement in ("COPY parent FROM STDIN", "COPY parent TO STDOUT"):
            with self.subTest(statement), self.sandbox() as stage:
                a, b = stage.actor(), stage.actor()
                a(INSERT, ["a"])
                with self.assertRaises(psycopg.ProgrammingError) as caught:
                    a.con.execute(statement)
                self.assertEqual(
                    str(caught.exception),
                    "COPY cannot be used with this method; use copy() instead",
                )
                self.assertEqual(b("SELECT count(*) FROM item"), [(1,)])
                a.rollback()
                self.assertEqual(a("SELECT count(*) FROM item"), [(1,)])

    def test_out(self) -> None:
        """COPY TO gives blocks and rows, in text and binary; other connections work meanwhile."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("INSERT INTO parent VALUES (2, E'tab\t'), (3, NULL)")
            with a.cur.copy("COPY parent TO STDOUT") as copying:
                a.note("blocks", lambda: [bytes(block) for block in copying])
            a.note("count", lambda: a.cur.rowcount)
            with a.cur.copy("COPY parent TO STDOUT") as copying:
                a.note("row", copying.read_row)
                a.note("rows", lambda: list(copying.rows()))
            with a.cur.copy("COPY parent TO STDOUT (FORMAT BINARY)") as copying:
                copying.set_types(["int4", "text"])
                a.note("rows", lambda: list(copying.rows()))
            with a.cur.copy("COPY (SELECT %s::text) TO STDOUT", ["it's"]) as copying:
                a.note("read", lambda: bytes(copying.read()))
                a.note("end", lambda: bytes(copying.read()))
            a.note("missing", lambda: a.cur.copy("COPY missing TO STDOUT").__enter__())
            a.status()
            a.rollback()
            with (
                a.cur.copy("COPY parent TO STDOUT") as source,
                b.cur.copy("COPY parent FROM STDIN") as target,
            ):
                for row in source:
                    target.write(bytes(row).replace(b"1", b"7"))
            b("SELECT * FROM parent ORDER BY id")

        self.assertSame(play)

    def test_writers(self) -> None:
        """The driver's writers are taken for what they are for; others are refused."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            for number, writer in enumerate(
                (psycopg.copy.LibpqWriter, psycopg.copy.QueuedLibpqWriter)
            ):
                cursor = a.con.cursor()
                with cursor.copy("COPY parent FROM STDIN", writer=writer(cursor)) as copying:
                    copying.write_row((number + 20, "x"))
            a("SELECT * FROM parent ORDER BY id")

        self.assertSame(play)

        class Mine(psycopg.copy.Writer):
            def write(self, data: Any) -> None:
                raise AssertionError("not reached")

        with self.sandbox() as stage:
            a = stage.actor()
            copying = a.cur.copy("COPY parent FROM STDIN", writer=Mine())
            with self.assertRaises(SandboxConflict) as caught, copying:
                self.fail("not reached")
        self.assertEqual(
            str(caught.exception),
            "copy() with a writer of class Mine cannot be played in a sandbox: what it does with "
            "the data would go past it. Leave the writer out, or test this code on real "
            "connections: in a unittest.TestCase, on a database of its own.",
        )


class TestPreparedStatements(PsycopgTestCase):
    def test_of_each_connection(self) -> None:
        """What psycopg prepares for one connection is in no other's way."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            for actor in (a, b):
                for number in range(8):
                    actor("SELECT %s::int + 1", [number])
                actor.note(
                    "prepare",
                    lambda actor=actor: actor.con.execute(
                        "SELECT %s::text", ["x"], prepare=True
                    ).fetchone(),
                )
                actor.commit()
            a.note("threshold", lambda: (a.con.prepare_threshold, a.con.prepared_max))
            a.con.prepare_threshold = 0
            a("SELECT name FROM item WHERE id = %s", [1])
            a("ALTER TABLE item ADD extra int")
            a("SELECT * FROM item WHERE id = %s", [1])
            a("SELECT * FROM item WHERE id = %s", [1])
            a.rollback()
            a("SELECT * FROM item WHERE id = %s", [1])
            a.con.prepare_threshold = None
            a("SELECT * FROM item WHERE id = %s", [1])
            a.commit()
            b("SELECT %s::int + 1", [9])

        self.assertSame(play)

    def test_rolled_back(self) -> None:
        """A statement that was prepared for a table that is gone is prepared anew."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            a.con.prepare_threshold = 0
            for kind in ("int", "text"):
                a(f"CREATE TABLE late (x {kind})")
                a("INSERT INTO late VALUES (%s) RETURNING x", ["1"])
                a("SELECT * FROM late WHERE x = %s", ["1"])
                a("ROLLBACK")
            for kind in ("int", "text"):
                a("SAVEPOINT s")
                a(f"CREATE TABLE late (x {kind})")
                a("SELECT * FROM late")
                a("ROLLBACK TO s")

        self.assertSame(play)

    def test_deallocated(self) -> None:
        """DEALLOCATE ALL takes from no other connection what psycopg prepared for it."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            for _ in range(2):
                for actor in (a, b):
                    actor.note(
                        "prepare",
                        lambda actor=actor: actor.con.execute(
                            "SELECT %s::text", ["x"], prepare=True
                        ).fetchone(),
                    )
                a("DEALLOCATE ALL")
            b("SELECT count(*) FROM item WHERE name = %s", ["first"])

        self.assertSame(play)

    def test_end_with_their_test(self) -> None:
        """The next test finds nothing that was prepared in this one, nor a table's old shape."""
        for data in (False, True):
            with self.subTest(data=data), self.sandbox(data=data) as stage:
                a, sandbox = stage.actor(), stage.sandbox
                assert sandbox is not None
                a.con.prepare_threshold = 0
                a("ALTER TABLE item ADD extra int")
                self.assertEqual(len(a("SELECT * FROM item WHERE id = %s", [1])[0]), 4)
                a.commit()
                for _ in range(2):
                    sandbox.closing()
                    sandbox.end_test()
                    sandbox.begin_test()
                    self.assertEqual(len(a("SELECT * FROM item WHERE id = %s", [1])[0]), 3)
                    a.commit()
                    names = a("SELECT name FROM pg_prepared_statements WHERE name LIKE '\\_pg3%'")
                    self.assertEqual(len(names), 2)


class TestOwnThings(PsycopgTestCase):
    def test_adapters(self) -> None:
        """Each connection has adapters of its own, and types are registered on it."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("CREATE TYPE pt AS (x int, y int)")
            a.commit()
            info = a.note("fetch", lambda: bool(TypeInfo.fetch(a.con, "pt")))
            a.status()
            a.note("fetch", lambda: TypeInfo.fetch(a.con, "missing"))
            a.status()
            info = CompositeInfo.fetch(a.con, "pt")
            assert info is not None
            register_composite(info, a.con)
            set_json_loads(lambda text: f"<{bytes(text).decode()}>", a.con)
            for actor in (a, b):
                actor.cur = actor.con.cursor()
                actor.note("pt", lambda actor=actor: str(actor("SELECT '(1,2)'::pt")))
                actor("SELECT '[1]'::jsonb, %s::date", [datetime.date(2020, 1, 2)])
            a.note("literal", lambda: sql.Literal("x").as_string(a.con))
            a.note("identifier", lambda: sql.Identifier('x"').as_string(a.con))

        self.assertSame(play)

    def test_notices(self) -> None:
        """A notice is given to the handlers of its own connection, of what is played too."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            heard: list[Any] = []
            for name, actor in (("a", a), ("b", b)):
                actor.con.add_notice_handler(
                    lambda diag, name=name: heard.append(
                        (name, diag.severity, diag.sqlstate, diag.message_primary)
                    )
                )
            do = "DO $$ BEGIN RAISE NOTICE 'from {}'; END $$"
            a(do.format("a"))
            b(do.format("b"))
            a("BEGIN")
            a.commit()
            b.rollback()
            b.con.autocommit = True
            b("COMMIT")
            b("ROLLBACK")
            a.con.execute(do.format("a again"))
            a.note("heard", lambda: heard)

        self.assertSame(play)

    def test_broken_handler(self) -> None:
        """An error in a notice handler is logged, as the driver does."""
        with self.sandbox() as stage, self.assertLogs("psycopg", "ERROR") as logged:
            a = stage.actor()
            a.con.add_notice_handler(lambda diag: 1 / 0)
            a("BEGIN")
            a("BEGIN")
            self.assertEqual(a("SELECT 1"), [(1,)])
        self.assertIn("ZeroDivisionError", logged.output[0])

    def test_cancel(self) -> None:
        """cancel() ends the connection's own statement only, and none where it runs none."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("SELECT 1")
            a.note("idle", a.con.cancel)
            a.note("idle", a.con.cancel_safe)
            timer = threading.Timer(0.3, a.con.cancel)
            timer.start()
            a("SELECT pg_sleep(30)")
            timer.join()
            a.status()
            a.rollback()
            timer = threading.Timer(0.2, b.con.cancel)
            timer.start()
            a("SELECT pg_sleep(0.6)")
            timer.join()

        self.assertSame(play)

    def test_refused(self) -> None:
        """What one connection cannot give to several is refused, with a way out."""
        two_phase = (
            "two-phase transactions cannot be played in a sandbox: a prepared transaction "
            "outlives its connection, and nothing may outlive the test. Test this code on real "
            "connections: in a unittest.TestCase, on a database of its own."
        )
        with self.sandbox() as stage:
            con = stage.actor().con
            for call, message in (
                (lambda: con.tpc_begin("x"), two_phase),
                (lambda: con.tpc_recover(), two_phase),
                (lambda: con.xid(1, "x", "y"), two_phase),
                (lambda: con.execute("PREPARE TRANSACTION 'x'"), two_phase),
                (
                    lambda: con.pipeline().__enter__(),
                    "pipeline() cannot be played in a sandbox: in pipeline mode the real "
                    "connection takes no messages of other connections, nor the sandbox's own. "
                    "Use executemany(), which has a pipeline of its own, or test this code on real "
                    "connections: in a unittest.TestCase, on a database of its own.",
                ),
                (
                    lambda: next(con.notifies(timeout=0)),
                    "notifies() would wait for ever in a sandbox: the server sends notifications "
                    "when a transaction is really committed, and none ever is. Test this code on "
                    "real connections: in a unittest.TestCase, on a database of its own.",
                ),
                (
                    lambda: con.pgconn.exec_(b"COMMIT"),
                    "pgconn.exec_() talks to the real connection, which all connections of a "
                    "sandbox share, and past the sandbox. Use a cursor of psycopg, or test this "
                    "code on real connections: in a unittest.TestCase, on a database of its own.",
                ),
            ):
                with self.assertRaises(SandboxConflict) as caught:
                    call()
                self.assertEqual(str(caught.exception), message)

    def test_names(self) -> None:
        """A connection says in its representation whose it is."""
        with self.sandbox() as stage:
            stage.actor()
            a = stage.actor()
            self.assertRegex(
                repr(a.con), r"^<unused connection of TwinTest's sandbox on postgresql\+psycopg://"
            )
            a("SELECT 1")
            self.assertRegex(repr(a.con), "^<connection 2 of TwinTest's sandbox on ")
            self.assertEqual(
                repr(a.con.pgconn),
                "<the pgconn of connection 2 of TwinTest's sandbox [INTRANS]>",
            )


if __name__ == "__main__":
    unittest.main()

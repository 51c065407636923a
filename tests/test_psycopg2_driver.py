"""Tests for :mod:`dbtestcase.sandbox.psycopg2_driver`, judged by real connections."""

from __future__ import annotations

import io
from typing import Any

from psycopg2 import extras, sql

from dbtestcase.errors import SandboxConflict

from .twins import Stage, TwinTestCase


class TestTransactions(TwinTestCase):
    def test_commit_and_rollback(self) -> None:
        """What is committed is seen by others, what is rolled back by nobody."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a.status()
            a("INSERT INTO item (name) VALUES ('a') RETURNING id")
            a.status()
            a.commit()
            a.status()
            b("SELECT name FROM item ORDER BY id")
            b("INSERT INTO item (name) VALUES ('b')")
            b.rollback()
            a("SELECT name FROM item ORDER BY id")
            a("UPDATE item SET n = n + 1 RETURNING name, n")
            a.rollback()
            b("SELECT name, n FROM item ORDER BY id")

        self.assertSame(play)

    def test_failed_transaction(self) -> None:
        """A failing statement fails its own transaction only, until that is rolled back."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            b("SELECT 1")
            a("INSERT INTO item (name) VALUES ('a')")
            a("SELECT * FROM missing")
            a.status()
            a("SELECT 1")
            a("SAVEPOINT s")
            b("SELECT name FROM item")
            a.commit()
            a("SELECT name FROM item")
            b.rollback()

        self.assertSame(play)

    def test_commit_of_a_failed_transaction(self) -> None:
        """COMMIT undoes a failed transaction, with what lies before the savepoint that failed."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            a("INSERT INTO item (name) VALUES ('a')")
            a("SAVEPOINT s")
            a("SELECT * FROM missing")
            a.commit()
            a("SELECT name FROM item")

        self.assertSame(play)

    def test_failed_transaction_is_rolled_back(self) -> None:
        """After the rollback the connection goes on, and earlier commits stay."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            a("INSERT INTO item (name) VALUES ('a')")
            a.commit()
            a("INSERT INTO item (name) VALUES ('b')")
            a("INSERT INTO item (name) VALUES ('a')")
            a.rollback()
            a("INSERT INTO item (name) VALUES ('c') RETURNING name")
            a.commit()

        self.assertSame(play)

    def test_crossed_commits(self) -> None:
        """Two transactions that cross and both commit are both kept."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("INSERT INTO item (name) VALUES ('a')")
            b("INSERT INTO parent VALUES (2, 'two')")
            a("INSERT INTO item (name) VALUES ('a2')")
            b.commit()
            a.commit()

        self.assertSame(play)

    def test_crossed_inner_rolled_back(self) -> None:
        """What lies on top can be rolled back, though the other began first."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("INSERT INTO item (name) VALUES ('a')")
            b("INSERT INTO parent VALUES (2, 'two')")
            b.rollback()
            a("INSERT INTO item (name) VALUES ('a2')")
            a.commit()

        self.assertSame(play)

    def test_crossed_both_rolled_back(self) -> None:
        """Crossed transactions that both roll back leave nothing, whatever the order."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("INSERT INTO item (name) VALUES ('a')")
            b("INSERT INTO parent VALUES (2, 'two')")
            a("INSERT INTO item (name) VALUES ('a2')")
            a.rollback()
            b.rollback()
            a("SELECT count(*) FROM item")

        self.assertSame(play)

    def test_reader_between(self) -> None:
        """A reader may roll back after another committed, and sees what is committed."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("SELECT count(*) FROM item")
            b("INSERT INTO item (name) VALUES ('b')")
            b.commit()
            a("SELECT count(*) FROM item")
            a.rollback()
            a("SELECT count(*) FROM item")

        self.assertSame(play)

    def test_unproven_reader_between(self) -> None:
        """What only turns out to have read is in nobody's way either."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("DO $$ BEGIN PERFORM 1; END $$")
            b("INSERT INTO item (name) VALUES ('b')")
            b.commit()
            a.rollback()
            b("INSERT INTO parent VALUES (2, 'two')")
            a("DO $$ BEGIN PERFORM 1; END $$")
            b("SELECT count(*) FROM parent")
            a.rollback()
            b.commit()
            a("SELECT count(*) FROM item")

        self.assertSame(play)

    def test_reader_above_a_writer(self) -> None:
        """A reader that comes after a writer is in nobody's way, whoever ends first."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("INSERT INTO item (name) VALUES ('a')")
            b("DO $$ BEGIN PERFORM 1; END $$")
            a("INSERT INTO item (name) VALUES ('a2')")
            b("DO $$ BEGIN PERFORM 1; END $$")
            b.commit()
            a.rollback()
            b("SELECT count(*) FROM item")

        self.assertSame(play)

    def test_rollback_beneath(self) -> None:
        """A writer that rolls back beneath another's committed work is refused, both named."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("INSERT INTO item (name) VALUES ('a')")
            b("INSERT INTO parent VALUES (2, 'two')")
            b.commit()
            a.rollback()
            b("SELECT 1")

        here = r"tests/twins.py:\d+"
        self.assertConflict(
            play,
            rf"connection 1 \(its transaction began at {here}\) rolled back what it had written, "
            rf"but above it lies work of connection 2 \(its transaction began at {here}\), which "
            rf"committed it\. The rollback was called at {here}\. On one connection the one cannot "
            r"be undone without the other\. Let the transactions end in the order in which they "
            r"wrote, or test this code on real connections: in a unittest.TestCase, "
            r"on a database of its own\.",
        )

    def test_rollback_beneath_a_reader(self) -> None:
        """A writer may roll back beneath a transaction that has only read."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("INSERT INTO item (name) VALUES ('a')")
            b("SELECT count(*) FROM parent")
            a.rollback()
            b("SELECT count(*) FROM item")
            b.commit()

        self.assertSame(play)

    def test_cursor_beside_others(self) -> None:
        """A cursor that a rollback beneath would close keeps that rollback from being shown."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("INSERT INTO item (name) VALUES ('a')")
            b("DECLARE c CURSOR FOR SELECT name FROM parent")
            b("FETCH c")
            a.rollback()
            b("FETCH c")

        self.assertConflict(play, r"connection 1 .* rolled back .* connection 2 .*")

    def test_select_that_writes(self) -> None:
        """A SELECT of a function that writes is known to write, beneath others too."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("SELECT add_item('a')")
            a.commit()
            b("SELECT 1")
            b("SELECT * FROM missing")
            b.rollback()
            a("WITH x AS (INSERT INTO item (name) VALUES ('x') RETURNING name) SELECT * FROM x")
            b("SELECT 1")
            a.commit()
            b("SELECT name FROM item ORDER BY id")
            a("DO $$ BEGIN INSERT INTO item (name) VALUES ('do'); END $$")
            a.rollback()
            a("SELECT name FROM item ORDER BY id")

        self.assertSame(play)

    def test_savepoints(self) -> None:
        """Savepoints shadow, are released, rolled back to, and heal a failed transaction."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("SAVEPOINT s")
            a("INSERT INTO item (name) VALUES ('1')")
            a("SAVEPOINT S")
            a("INSERT INTO item (name) VALUES ('2')")
            a('SAVEPOINT "S"')
            b("SELECT 1")
            a("INSERT INTO item (name) VALUES ('3')")
            a('ROLLBACK TO "S"')
            a("INSERT INTO item (name) VALUES ('1')")
            a.status()
            a("RELEASE s")
            a("ROLLBACK TO SAVEPOINT s")
            a.status()
            a("SELECT name FROM item ORDER BY id")
            a("RELEASE SAVEPOINT s")
            a('ROLLBACK TO "S"')
            a.status()
            a("ROLLBACK TO s")
            a("SELECT name FROM item ORDER BY id")
            a("RELEASE s")
            a("RELEASE s")
            a.rollback()
            a('SAVEPOINT"x"')
            a("INSERT INTO item (name) VALUES ('4')")
            a("RELEASE x")
            a.commit()
            a("ROLLBACK TO x")

        self.assertSame(play)

    def test_savepoint_outside(self) -> None:
        """Savepoint statements outside a transaction are the server's errors."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            a.con.autocommit = True
            for text in ("SAVEPOINT s", "RELEASE s", "ROLLBACK TO s", "COMMIT AND CHAIN"):
                a(text)
                a.status()

        self.assertSame(play)

    def test_savepoints_of_two(self) -> None:
        """Two connections may give their savepoints one name."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("SAVEPOINT s")
            a("INSERT INTO item (name) VALUES ('a')")
            b("SAVEPOINT s")
            b("INSERT INTO parent VALUES (2, 'two')")
            b("ROLLBACK TO s")
            a("ROLLBACK TO s")
            a("INSERT INTO item (name) VALUES ('a2')")
            b("INSERT INTO parent VALUES (3, 'three')")
            a("RELEASE s")
            b("RELEASE s")
            b.commit()
            a.commit()

        self.assertSame(play)

    def test_nested_savepoints_fold(self) -> None:
        """Work at several levels can be undone after it was released."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("INSERT INTO item (name) VALUES ('0')")
            for name in "abc":
                a(f"SAVEPOINT {name}")
                a(f"INSERT INTO item (name) VALUES ('{name}')")
            a("RELEASE c")
            b("INSERT INTO parent VALUES (2, 'two')")
            b.rollback()
            a("INSERT INTO item (name) VALUES ('d')")
            a("ROLLBACK TO b")
            a("SELECT name FROM item ORDER BY id")
            a("INSERT INTO item (name) VALUES ('e')")
            a("RELEASE a")
            a.commit()

        self.assertSame(play)

    def test_released_work_is_out_of_reach(self) -> None:
        """A savepoint that is set after a RELEASE does not reach what was released."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            a("SAVEPOINT one")
            a("INSERT INTO item (name) VALUES ('1')")
            a("RELEASE one")
            a("SAVEPOINT two")
            a("INSERT INTO item (name) VALUES ('2')")
            a("ROLLBACK TO two")
            a("SELECT name FROM item ORDER BY id")
            a.commit()

        self.assertSame(play)


class TestTextualControl(TwinTestCase):
    def test_textual_commit(self) -> None:
        """After a textual COMMIT the driver believes to be in a transaction, the server is not."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("INSERT INTO item (name) VALUES ('a')")
            a("/* now */ COMMIT -- really")
            a.status()
            a("INSERT INTO item (name) VALUES ('b')")
            a.status()
            a("INSERT INTO item (name) VALUES ('b')")
            a.status()
            b("SELECT name FROM item ORDER BY id")
            a.rollback()
            a("SELECT name FROM item ORDER BY id")

        self.assertSame(play)

    def test_every_spelling(self) -> None:
        """BEGIN, COMMIT and ROLLBACK are played however they are written."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a.con.autocommit = True
            for number, (begin, end) in enumerate(
                [
                    ("BEGIN", "COMMIT"),
                    ("begin work;", "end;"),
                    ("START TRANSACTION", "COMMIT TRANSACTION"),
                    ("; BEGIN", "; COMMIT ;"),
                    ("BEGIN", "ABORT"),
                    ("/*/* x */*/BEGIN/**/", "ROLLBACK WORK"),
                    ("BEGIN ISOLATION LEVEL READ COMMITTED", "COMMIT AND NO CHAIN"),
                    ("BEGIN", "COMMIT AND CHAIN"),
                    ("SELECT 1", "ROLLBACK AND CHAIN"),
                ]
            ):
                a(begin)
                a(f"INSERT INTO item (name) VALUES ('{number}')")
                a.status()
                a(end)
                a.status()
                b("SELECT name FROM item ORDER BY id")
                b.rollback()
            a("ROLLBACK")
            a("ROLLBACK")

        self.assertSame(play)

    def test_forms_of_a_query(self) -> None:
        """A query may be composed, or bytes, or hold several statements."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a(sql.SQL("INSERT INTO {} (name) VALUES ({})").format(
                sql.Identifier("item"), sql.Literal("it's %")))
            a(sql.SQL("COMMIT"))
            a.status()
            a(b"INSERT INTO item (name) VALUES ('b\xc3\xa9')")
            a(b"ROLLBACK")
            a("INSERT INTO item (name) VALUES ('c'); COMMIT; INSERT INTO item (name) VALUES ('d')")
            a.status()
            a.rollback()
            b("SELECT name FROM item ORDER BY id")
            a("INSERT INTO item (name) VALUES (%s); COMMIT; SELECT '%%', %s", ("e;", "f%"))
            a("SELECT '%', '%s'")
            a("SELECT '%%'", ())
            a("SELECT '%%'; COMMIT; SELECT '%%'", {})
            a("SELECT '%'; COMMIT; SELECT '%s'")
            a("SELECT %(x)s", {"x": "COMMIT; ROLLBACK"})
            a.note("mogrify", lambda: a.cur.mogrify(sql.SQL("{} %s").format(sql.Literal("x")), [1]))

        self.assertSame(play)

    def test_several_statements_that_fail(self) -> None:
        """Outside a transaction, several statements in one text are one up to a COMMIT."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            a.con.autocommit = True
            insert = "INSERT INTO item (name) VALUES ('{}')"
            a(f"{insert.format('a')}; {insert.format('a')}; COMMIT")
            a(f"{insert.format('b')}; COMMIT; {insert.format('c')}; {insert.format('c')}")
            a(f"{insert.format('d')}; BEGIN; {insert.format('e')}")
            a.status()
            a("ROLLBACK")
            a(f"{insert.format('f')}; COMMIT; {insert.format('g')}")
            a.status()
            a(f"{insert.format('h')}; SELECT count(*) FROM item")

        self.assertSame(play)

    def test_two_phase(self) -> None:
        """Two-phase transactions are refused, by the driver's methods too."""
        message = (
            r"two-phase transactions cannot be played in a sandbox: a prepared transaction "
            r"outlives its connection, and nothing may outlive the test\. Test this code on real "
            r"connections: in a unittest.TestCase, on a database of its own\."
        )
        with self.sandbox() as stage:
            a = stage.actor()
            for text in ("PREPARE TRANSACTION 'x'", "COMMIT PREPARED 'x'", "ROLLBACK PREPARED 'x'"):
                with self.assertRaisesRegex(SandboxConflict, f"^{message}$"):
                    a(text)
            with self.assertRaisesRegex(SandboxConflict, f"^{message}$"):
                a.con.tpc_begin("x")


class TestAutocommit(TwinTestCase):
    def test_switch(self) -> None:
        """Autocommit is switched where the driver allows it, and each statement commits."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("SELECT 1")
            for name, value in (
                ("autocommit", True),
                ("isolation_level", 2),
                ("readonly", True),
                ("deferrable", True),
            ):
                a.note(name, lambda name=name, value=value: setattr(a.con, name, value))
            a.rollback()
            a.con.autocommit = True
            a.status()
            a("INSERT INTO item (name) VALUES ('a')")
            a("INSERT INTO item (name) VALUES ('a')")
            a.status()
            a("INSERT INTO child VALUES (1, 99)")
            a("SELECT 1/0")
            a("INSERT INTO item (name) VALUES ('b')")
            a.rollback()
            b("SELECT name FROM item ORDER BY name")
            a.con.autocommit = False
            a("INSERT INTO item (name) VALUES ('c')")
            a.note("0", lambda: a.con.set_isolation_level(0))
            a.note("levels", lambda: (a.con.isolation_level, a.con.autocommit))
            a("SELECT name FROM item ORDER BY name")
            a.note("4", lambda: a.con.set_isolation_level(3))
            a.note("levels", lambda: (a.con.isolation_level, a.con.autocommit))
            a("SHOW transaction_isolation")
            a("SHOW TRANSACTION ISOLATION LEVEL")

        self.assertSame(play)

    def test_levels(self) -> None:
        """The driver's attributes take and give what the driver's do."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            for level in (9, "foo", None, "default", "serializable", 1, 2, "read committed"):
                a.note(level, lambda level=level: setattr(a.con, "isolation_level", level))
                a.note("level", lambda: a.con.isolation_level)
            a.con.set_session(isolation_level="REPEATABLE READ", readonly=True, autocommit=False)
            a.note("session", lambda: (a.con.isolation_level, a.con.readonly, a.con.autocommit))
            a("INSERT INTO item (name) VALUES ('a')")
            a.note("reset", a.con.reset)
            a.note("session", lambda: (a.con.isolation_level, a.con.readonly, a.con.autocommit))

        self.assertSame(play)

    def test_with_connection(self) -> None:
        """`with connection` is a transaction, in autocommit as well."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            for autocommit in (False, True):
                a.con.autocommit = autocommit
                with a.con as entered:
                    a.note("same", lambda entered=entered: entered is a.con)
                    a("INSERT INTO item (name) VALUES (%s)", [f"kept {autocommit}"])
                    a.status()
                    a.note("again", a.con.__enter__)
                a.status()

                def block() -> None:
                    with a.con:
                        a("INSERT INTO item (name) VALUES ('gone')")
                        raise ValueError("out")

                a.note("block", block)
                a.status()

        self.assertSame(play)

    def test_executemany(self) -> None:
        """In autocommit each execution of executemany() is a transaction of its own."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            insert = "INSERT INTO item (name) VALUES (%s)"
            a.note("many", lambda: a.cur.executemany(insert, [("a",), ("b",), ("a",), ("c",)]))
            a.rollback()
            a.con.autocommit = True
            a.note("many", lambda: a.cur.executemany(insert, [("a",), ("b",), ("a",), ("c",)]))
            a.note("count", lambda: a.cur.rowcount)
            a.note("many", lambda: a.cur.executemany("UPDATE item SET n=%s", [(1,), (2,)]))
            a.note("count", lambda: a.cur.rowcount)
            a.note("batch", lambda: extras.execute_batch(a.cur, insert, [("d",), ("e",), ("d",)]))
            a.note("batch", lambda: extras.execute_batch(a.cur, insert, [("f",), ("g",)]))
            a.note("commit", lambda: a.cur.executemany(f"{insert}; COMMIT", [("h",), ("i",)]))

        self.assertSame(play)

    def test_level_without_a_begin(self) -> None:
        """In autocommit the level is that of the session, which changes only meanwhile."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            if not hasattr(a.con, "set_session"):
                return  # a habit of psycopg2's
            a.con.isolation_level = "SERIALIZABLE"
            a.con.readonly = True
            for autocommit in (True, False):
                a.con.autocommit = autocommit
                a("SHOW transaction_isolation")
                a("SHOW transaction_read_only")
                a.con.rollback()
            a.con.autocommit = True
            a.con.isolation_level = "REPEATABLE READ"
            a("SHOW TRANSACTION ISOLATION LEVEL")
            a("BEGIN")
            a("SHOW TRANSACTION ISOLATION LEVEL")
            a("INSERT INTO item (name) VALUES ('a')")
            a("COMMIT")
            a.con.set_isolation_level(4)
            a("SHOW TRANSACTION ISOLATION LEVEL")
            a.con.set_isolation_level(0)
            a("SHOW TRANSACTION ISOLATION LEVEL")

        self.assertSame(play)


    def test_begin_of_the_driver(self) -> None:
        """Once it leaves autocommit psycopg2 sends its BEGIN into a transaction begun by a text."""
        for begin, before, level, readonly in (
            ("BEGIN ISOLATION LEVEL SERIALIZABLE", "SELECT 1", None, None),
            ("BEGIN ISOLATION LEVEL SERIALIZABLE", "SELECT 1", "READ COMMITTED", None),
            ("BEGIN ISOLATION LEVEL SERIALIZABLE", "SELECT 1", "SERIALIZABLE", None),
            ("BEGIN ISOLATION LEVEL SERIALIZABLE", "SAVEPOINT s", "REPEATABLE READ", None),
            ("BEGIN", "SET LOCAL work_mem = '1MB'", "REPEATABLE READ", True),
            ("BEGIN", "SELECT 1", None, True),
            ("BEGIN READ ONLY", "SELECT 1", None, False),
            ("BEGIN", "SELECT 1 / 0", None, None),
            ("BEGIN", "INSERT INTO item (name) VALUES ('a')", None, None),
        ):

            def play(
                stage: Stage,
                begin: str = begin,
                before: str = before,
                level: str | None = level,
                readonly: bool | None = readonly,
            ) -> None:
                for end in ("commit", "rollback", "ROLLBACK"):
                    a = stage.actor()
                    if not hasattr(a.con, "set_session"):
                        return  # a habit of psycopg2's
                    a.con.autocommit = True
                    a(begin)
                    a(before)
                    a.con.autocommit = False
                    if level is not None:
                        a.con.isolation_level = level
                    a.con.readonly = readonly
                    for _ in range(2):
                        for text in (
                            "SHOW transaction_isolation",
                            "SHOW transaction_read_only",
                            "SELECT name FROM item",
                        ):
                            a(text)
                            a.status()
                        a(end) if end.isupper() else getattr(a, end)()
                        a.status()
                    a.close()

            with self.subTest(begin=begin, before=before, level=level, readonly=readonly):
                self.assertSame(play)

    def test_session_of_the_driver(self) -> None:
        """What psycopg2 sets for the session is a statement, which a transaction may undo."""
        shows = [
            f"SHOW {kind}transaction_{name}"
            for name in ("isolation", "read_only")
            for kind in ("", "default_")
        ]

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            if not hasattr(a.con, "set_session"):
                return  # a habit of psycopg2's

            def show() -> None:
                for text in shows:
                    a(text)
                    b(text)
                a.status()

            def change(name: str, value: object) -> None:
                a.note(f"{name} = {value}", lambda: setattr(a.con, name, value))

            for before, end in (("", ""), ("BEGIN", "COMMIT"), ("BEGIN", "ROLLBACK")):
                change("autocommit", True)
                if before:
                    a(before)
                change("isolation_level", "SERIALIZABLE")
                change("readonly", True)
                show()
                if end:
                    a(end)
                    show()
                change("autocommit", False)
                show()
                a.rollback()
                change("isolation_level", None)
                change("readonly", None)
            # in a failed transaction no statement is heard
            for level in (None, "SERIALIZABLE"):
                change("isolation_level", level)
                change("autocommit", True)
                a("BEGIN")
                a("SELECT 1 / 0")
                change("isolation_level", "REPEATABLE READ")
                change("autocommit", False)
                a.note("set_isolation_level", lambda: a.con.set_isolation_level(2))
                a.status()
                a("ROLLBACK")
                show()
                a.rollback()
                change("autocommit", True)
                a("ROLLBACK")
                change("autocommit", False)
                show()
                a.rollback()
            a.con.set_session("SERIALIZABLE", autocommit=True)
            with a.con:
                show()
            show()

        self.assertSame(play)


class TestCursors(TwinTestCase):
    def test_values_that_have_no_sql(self) -> None:
        """An error before anything is sent does not fail the transaction."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            a("INSERT INTO item (name) VALUES ('a')")
            a("SELECT %s", [object()])
            a.status()
            a("SELECT %s, %s", [1])
            a(17)
            a("SELECT count(*) FROM item")
            a.commit()

        self.assertSame(play)

    def test_batches_and_copy(self) -> None:
        """execute_values, callproc and COPY work, and their errors are undone."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            a.note("values", lambda: extras.execute_values(
                a.cur, "INSERT INTO item (name) VALUES %s RETURNING name", [("a",), ("b",)],
                fetch=True))
            a.note("callproc", lambda: a.cur.callproc("add_item", ["c"]))
            a.note("copy", lambda: a.cur.copy_from(io.StringIO("10\tx\n11\ty\n"), "parent"))
            out = io.StringIO()
            a.note("copy", lambda: a.cur.copy_expert("COPY parent TO STDOUT", out))
            a.note("out", out.getvalue)
            a.commit()
            a.note("copy", lambda: a.cur.copy_from(io.StringIO("12\tx\n11\ty\n"), "parent"))
            a.status()
            a.rollback()
            a.note("copy", lambda: a.cur.copy_expert("COPY parent FROM STDIN", _Broken()))
            a.status()
            a.rollback()
            a.note("copy", lambda: a.cur.copy_to(out, "parent"))
            a.note("out", out.getvalue)

        self.assertSame(play)

    def test_callproc(self) -> None:
        """A procedure that is called works for its own transaction, which may have failed."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("INSERT INTO parent VALUES (2, 'two')")
            b.note("callproc", lambda: b.cur.callproc("add_item", ["x"]))
            b.rollback()
            a("SELECT name FROM item")
            b("SELECT * FROM missing")
            b.note("callproc", lambda: b.cur.callproc("add_item", ["x"]))
            b.rollback()
            a.commit()

        self.assertSame(play)

    def test_description(self) -> None:
        """A cursor does not answer a COMMIT with the rows, or the count, of what was before."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            a("SELECT 1")
            a("COMMIT")
            a.note("description", lambda: (a.cur.description, a.cur.rowcount))
            a.note("fetch", a.cur.fetchall)
            a("UPDATE item SET n = 1")
            a("COMMIT")
            a.note("count", lambda: (a.cur.description, a.cur.rowcount))

        self.assertSame(play)

    def test_closed(self) -> None:
        """What is closed says so as the driver does."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            cursor = a.con.cursor()
            cursor.close()
            a.note("execute", lambda: cursor.execute("SELECT 1"))
            a.close()
            a("SELECT 1")
            for name in ("commit", "rollback", "cursor", "close", "reset"):
                a.note(name, getattr(a.con, name))
            a.note("closed", lambda: bool(a.con.closed))

        self.assertSame(play)

    def test_named(self) -> None:
        """A server-side cursor keeps its snapshot, and ends with its transaction."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("INSERT INTO item (name) SELECT 'i' || g FROM generate_series(1, 9) g")
            a.commit()
            n = a.con.cursor("n m")
            n.itersize = 2
            a.note("execute", lambda: n.execute("SELECT name FROM item ORDER BY id"))
            a.note("again", lambda: n.execute("SELECT 1"))
            a.note("many", lambda: n.executemany("SELECT 1", [()]))
            a.note("one", n.fetchone)
            b("INSERT INTO item (name) VALUES ('late')")
            b.commit()
            a.note("many", lambda: n.fetchmany(2))
            a("INSERT INTO item (name) VALUES ('mine')")
            a.note("scroll", lambda: n.scroll(1))
            a.note("next", lambda: next(n))
            a.note("rest", lambda: list(n))
            a.note("close", n.close)
            a.note("closed", lambda: n.closed)
            a.commit()
            n = a.con.cursor("n")
            a.note("execute", lambda: n.execute("SELECT name FROM item ORDER BY id"))
            a.commit()
            for call in (n.fetchone, n.fetchall, n.__next__, n.close, lambda: n.closed):
                a.note("after", call)
            a("SELECT count(*) FROM pg_cursors")
            n = a.con.cursor("n")
            a.rollback()
            a.note("execute", lambda: n.execute("SELECT 1"))
            a.con.autocommit = True
            n = a.con.cursor("n")
            a.note("execute", lambda: n.execute("SELECT 1"))

        self.assertSame(play)

    def test_with_hold(self) -> None:
        """A cursor WITH HOLD outlives its transaction."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            n = a.con.cursor("n", withhold=True)
            a.note("execute", lambda: n.execute("SELECT generate_series(1, 5)"))
            a.note("one", n.fetchone)
            a.commit()
            a.note("one", n.fetchone)
            a("INSERT INTO item (name) VALUES ('a')")
            a.rollback()
            a.note("all", n.fetchall)
            a.note("close", n.close)
            a("SELECT count(*) FROM pg_cursors")

        self.assertSame(play)

    def test_declare(self) -> None:
        """A cursor in SQL is closed by a rollback to before it was declared."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            a("DECLARE c CURSOR FOR SELECT generate_series(1, 5)")
            a("SAVEPOINT s")
            a("DECLARE d CURSOR FOR SELECT generate_series(1, 5)")
            a("FETCH 2 FROM d")
            a("ROLLBACK TO s")
            a("FETCH NEXT FROM c")
            a("FETCH d")
            a("ROLLBACK TO s")
            a("FETCH c")
            a("CLOSE c")
            a("FETCH c")

        self.assertSame(play)

    def test_declare_alone(self) -> None:
        """Outside a transaction a cursor, or a lock, is the server's error."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            a("COMMIT")
            n = a.con.cursor("n")
            a.note("execute", lambda: n.execute("SELECT 1"))
            a.note("close", n.close)
            a("LOCK TABLE item")
            a.con.rollback()
            a.con.autocommit = True
            a("DECLARE c CURSOR FOR SELECT 1")
            a("DECLARE c CURSOR WITH HOLD FOR SELECT 1")
            a("FETCH c")
            a("CLOSE c")
            a("BEGIN")
            a("LOCK TABLE item")
            a("COMMIT")

        self.assertSame(play)

    def test_cursor_of_another(self) -> None:
        """Two cursors of one name are refused."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("DECLARE c CURSOR FOR SELECT 1")
            b("DECLARE c CURSOR FOR SELECT 2")

        self.assertConflict(
            play,
            r"connection 2 \(its transaction began at tests/twins.py:\d+\) names the cursor "
            r'"c", and connection 1 \(its transaction began at tests/twins.py:\d+\) has one of '
            r"that name\. On one connection the two are the same\. Give the cursors different "
            r"names\.",
        )

    def test_factories(self) -> None:
        """The cursor class that is asked for is what one gets."""

        def play(stage: Stage) -> None:
            a = stage.actor(cursor_factory=extras.RealDictCursor)
            a("SELECT name, n FROM item")
            b = stage.actor(cursor_factory=extras.NamedTupleCursor)
            b("SELECT name, n FROM item")
            b.con.cursor_factory = extras.DictCursor
            b.note("dict", lambda: _first(b.con.cursor(), "SELECT name FROM item")["name"])
            named = b.con.cursor("n")
            b.note("named", lambda: _first(named, "SELECT name FROM item")["name"])

        self.assertSame(play)

    def test_types(self) -> None:
        """Types are registered on a cursor, as on real connections."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            extras.register_uuid(None, a.cur)
            a("SELECT 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid")
            extras.register_default_jsonb(a.cur, loads=lambda text: f"<{text}>")
            a("SELECT '[1]'::jsonb")
            a.note("encoding", lambda: a.con.encoding)
            a.note("info", lambda: a.con.info.transaction_status)

        self.assertSame(play)


class _Broken:
    """A file that cannot be read."""

    def read(self, size: int = -1) -> str:
        raise ValueError("broken file")


def _first(cursor: Any, query: str) -> Any:
    cursor.execute(query)
    return cursor.fetchone()

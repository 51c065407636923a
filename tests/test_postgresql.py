"""Tests for :mod:`dbtestcase.sandbox.postgresql`, judged by real connections."""

from __future__ import annotations

import time
import warnings
from typing import Any

import sqlalchemy as sa
from psycopg2 import extensions
from psycopg2.extensions import AsIs
from sqlalchemy import URL

from dbtestcase.engines import redirect
from dbtestcase.errors import SandboxConflict, UncommittedDataWarning
from dbtestcase.sandbox import open_sandbox

from . import twins
from .support import debian_postgresql
from .twins import Stage, TwinTestCase

HERE = r"tests/twins.py:\d+"
BEGAN = rf"\(its (?:last )?transaction began at {HERE}\)"


class TestSettings(TwinTestCase):
    def test_session_and_local(self) -> None:
        """Settings are each connection's own; rollback and the transaction's end undo them."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            show = "SELECT current_setting('search_path'), current_setting('work_mem')"
            a("SET search_path = pg_catalog, public")
            b(show)
            a(show)
            a.rollback()
            a(show)
            a("SET SESSION search_path TO 'x'")
            a("SET LOCAL work_mem = '1MB'")
            a(show)
            b(show)
            a.commit()
            a(show)
            b(show)
            a("SAVEPOINT s")
            a("SET work_mem = '2MB'")
            a("SET LOCAL search_path = y")
            a(show)
            a("ROLLBACK TO s")
            a(show)
            a("RESET search_path")
            a(show)
            a.commit()
            b("SET work_mem = '3MB'")
            b("SELECT * FROM missing")
            b.rollback()
            b(show)
            b("SET work_mem = '3MB'")
            b("SET search_path TO DEFAULT")
            b.commit()
            b("RESET ALL")
            b(show)
            a(show)

        self.assertSame(play)

    def test_alone(self) -> None:
        """They end with their transaction for one that has no other connection beside it, too."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            show = "SELECT current_setting('search_path'), current_setting('work_mem')"
            a("SET LOCAL work_mem = '1MB'")
            a("SET search_path = pg_catalog, public")
            a(show)
            a.commit()
            a(show)
            a("SET search_path = y")
            a.rollback()
            a(show)

        self.assertSame(play)

    def test_put_back_by_a_rollback(self) -> None:
        """Settings that a rollback of ours put back on the server are set again where needed."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("SET work_mem = '1MB'")
            a.commit()
            b("INSERT INTO item (name) VALUES ('b')")
            b.commit()
            a("INSERT INTO item (name) VALUES ('a')")
            a.rollback()
            a("SHOW work_mem")
            b("SHOW work_mem")

        self.assertSame(play)

    def test_set_config(self) -> None:
        """set_config() is known by its name, with parameters and custom settings too."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            show = (
                # the server itself says NULL only as long as nobody has set it
                "SELECT nullif(current_setting('app.who', true), ''), current_setting('timezone')"
            )
            b(show)
            a("SELECT set_config('app.who', 'a', false)")
            b(show)
            a(show)
            b("SELECT set_config(%s, %s, false)", ("app.who", "b, (c"))
            b("SELECT set_config('TimeZone', concat('Europe/', 'Paris'), true)")
            a(show)
            b(show)
            a.commit()
            b.commit()
            b(show)
            a("SET TIME ZONE 'Asia/Tokyo'")
            b(show)
            a(show)
            a("SET app.who = %s", ("z",))
            b(show)

        self.assertSame(play)

    def test_hidden(self) -> None:
        """A set_config() whose name is not told is refused."""
        self.assertConflict(
            lambda stage: stage.actor()("SELECT set_config('app.' || 'who', 'x', false)"),
            r"set_config\(\) with a name, or an is_local, that is not a literal: what it sets "
            r"cannot be told, and would hold for all connections of the sandbox\. Write both as "
            r"literals, or test this code on real connections: in a unittest.TestCase, "
            r"on a database of its own\.",
        )

    def test_role(self) -> None:
        """SET ROLE is one connection's, and its privileges are."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("SET ROLE pg_read_all_data")
            a("SELECT current_user")
            b("SELECT current_user")
            a("INSERT INTO item (name) VALUES ('a')")
            b("INSERT INTO item (name) VALUES ('b')")
            a.rollback()
            a("SELECT current_user")
            a("SET SESSION AUTHORIZATION pg_read_all_data")
            b("SELECT current_user")
            a("SELECT current_user, session_user")
            a("RESET SESSION AUTHORIZATION")
            a("SELECT current_user, session_user")
            b.commit()

        self.assertSame(play)

    def test_close_ends_the_session(self) -> None:
        """A new connection starts with the first settings."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            a("SET search_path = x")
            a.commit()
            a.close()
            stage.actor()("SHOW search_path")

        self.assertSame(play)

    def test_characteristics(self) -> None:
        """SET SESSION CHARACTERISTICS holds for later transactions."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
            a("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            a.commit()
            a("SHOW transaction_isolation")
            a("INSERT INTO item (name) VALUES ('a')")
            a.rollback()
            b("SHOW transaction_isolation")
            b("INSERT INTO item (name) VALUES ('b')")
            b.commit()

        self.assertSame(play)

    def test_time_outs(self) -> None:
        """Time-outs that would end the one connection are accepted, and do not end it."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            for statement in (
                "SET idle_in_transaction_session_timeout = '50ms'",
                "SELECT set_config('transaction_timeout', '50ms', false)",
                "RESET ALL",
            ):
                a(statement)
                a.commit()
                time.sleep(0.1)
                a("SELECT name FROM item")
                a.commit()

        self.assertSame(play)


class TestTransactionModes(TwinTestCase):
    def test_read_only_alone(self) -> None:
        """They refuse also where nothing else is beside them, not even a temporary table."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            a.session(readonly=True)
            a("SELECT count(*) FROM item")
            a("INSERT INTO item (name) VALUES ('a')")
            a.rollback()
            a.session(readonly=False)
            a("INSERT INTO item (name) VALUES ('b')")

        self.assertSame(play)

    def test_read_only_sequence(self) -> None:
        """They refuse to move a sequence, which writes nothing that a rollback would undo."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            a.session(readonly=True)
            for text in ("nextval('item_id_seq')", "setval('item_id_seq', 70)"):
                a(f"SELECT {text}")
                a.rollback()

        self.assertSame(play)

    def test_read_only(self) -> None:
        """READ ONLY transactions refuse to write in the server's words, and may use temp tables."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            a("CREATE TEMP TABLE scratch (x int)")
            a.commit()
            a.session(readonly=True)
            a("SELECT count(*) FROM item")
            a("INSERT INTO scratch VALUES (1)")
            a("SHOW transaction_read_only")
            a("SELECT add_item('x')")
            a("SELECT 1")
            a.rollback()
            a("DELETE FROM item")
            a.rollback()
            a.session(readonly=False, autocommit=True)
            a("BEGIN READ ONLY")
            a("CREATE TABLE t (x int)")
            a("ROLLBACK")
            a("BEGIN")
            a("SET TRANSACTION READ ONLY")
            a("DECLARE c CURSOR FOR SELECT name FROM item")
            a("FETCH c")
            a("UPDATE item SET n = 1")
            a("COMMIT")
            a("UPDATE item SET n = 2")
            a("SELECT x FROM scratch")

        self.assertSame(play)

    def test_shown_level(self) -> None:
        """SHOW tells the level of the transaction, and outside of one that of the next."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            show = "SHOW transaction_isolation"
            a.session(autocommit=True)
            for statement in (
                "BEGIN ISOLATION LEVEL SERIALIZABLE",
                "COMMIT",
                "SET default_transaction_isolation = 'repeatable read'",
                "BEGIN ISOLATION LEVEL READ COMMITTED",
                "ROLLBACK",
            ):
                a(statement)
                a(show)

        self.assertSame(play)

    def test_too_late_for_a_level(self) -> None:
        """The level and READ WRITE are chosen before the first query, and outside savepoints."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            level = "SET TRANSACTION ISOLATION LEVEL"
            for begun, chosen in (
                ("SELECT 1", f"{level} REPEATABLE READ"),
                ("SELECT 1", f"{level} READ COMMITTED"),
                ("SELECT 1", "BEGIN ISOLATION LEVEL SERIALIZABLE"),
                ("SELECT 1", "SET TRANSACTION READ ONLY"),
                ("SET TRANSACTION READ ONLY; SELECT 1", "SET TRANSACTION READ WRITE"),
                ("SET TRANSACTION READ ONLY", "SET TRANSACTION READ WRITE"),
                ("SAVEPOINT s", "SET TRANSACTION READ ONLY; ROLLBACK TO s"),
                ("SAVEPOINT s", "SET TRANSACTION READ ONLY; RELEASE s"),
                ("SAVEPOINT s; SET TRANSACTION READ ONLY", "SAVEPOINT t; RELEASE t"),
                ("SAVEPOINT s", f"{level} SERIALIZABLE"),
                ("SAVEPOINT s", f"{level} READ COMMITTED"),
                ("SET LOCAL work_mem = '1MB'", f"{level} SERIALIZABLE"),
                ("SHOW work_mem", f"{level} SERIALIZABLE"),
            ):
                a(begun)
                a(chosen)
                a("SHOW transaction_isolation")
                a("SHOW transaction_read_only")
                a.status()
                a.rollback()
            # asking is no query
            for chosen in ("REPEATABLE READ", "SERIALIZABLE"):
                a(f"{level} {chosen}")
                a("SHOW TRANSACTION ISOLATION LEVEL")
            a("SELECT 1")
            a(f"{level} REPEATABLE READ")

        self.assertSame(play)

    def test_not_serializable(self) -> None:
        """A SERIALIZABLE transaction that wrote is not committed after another was."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            for actor in (a, b):
                actor.session(isolation_level="SERIALIZABLE")
            a("SELECT count(*) FROM parent")
            b("SELECT count(*) FROM item")
            a("INSERT INTO item (name) VALUES ('a')")
            b("INSERT INTO parent VALUES (2, 'two')")
            a.commit()
            b.commit()

        self.assertConflict(
            play,
            rf"connection 2 {BEGAN} is SERIALIZABLE, and connection 1 {BEGAN} has committed since "
            r"it began\. One connection cannot show the old snapshot\. End the first transaction "
            r"before the other commits, or test this code on real connections: "
            r"in a unittest.TestCase, on a database of "
            r"its own\.",
        )

    def test_serializable_reader(self) -> None:
        """One that has only read is, and so is a REPEATABLE READ one that wrote."""

        def play(stage: Stage) -> None:
            a, b, c = stage.actor(), stage.actor(), stage.actor()
            a.session(isolation_level="SERIALIZABLE")
            c.session(isolation_level="REPEATABLE READ")
            a("SELECT count(*) FROM item")
            c("INSERT INTO parent VALUES (2, 'two')")
            b("INSERT INTO item (name) VALUES ('b')")
            b.commit()
            a.commit()
            c.commit()

        self.assertSame(play)

    def test_serializable(self) -> None:
        """A SERIALIZABLE transaction alone is played."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a.session(isolation_level="SERIALIZABLE")
            b("INSERT INTO item (name) VALUES ('b')")
            b.commit()
            a("SHOW transaction isolation level")
            a("SELECT count(*) FROM item")
            b("SELECT count(*) FROM item")
            b.commit()
            a("UPDATE item SET n = 1")
            a.commit()
            b("INSERT INTO item (name) VALUES ('b2')")
            b.commit()
            a("SELECT count(*) FROM item")
            a.commit()
            b("BEGIN ISOLATION LEVEL REPEATABLE READ")

        self.assertSame(play)

    def test_snapshot_begins_with_the_first_statement(self) -> None:
        """A commit between BEGIN and the first statement is seen, as on the server."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a.con.autocommit = True
            a("BEGIN ISOLATION LEVEL REPEATABLE READ")
            b("INSERT INTO item (name) VALUES ('b')")
            b.commit()
            a("SELECT count(*) FROM item")
            a("COMMIT")

        self.assertSame(play)

    def test_old_snapshot(self) -> None:
        """A snapshot that another's commit made old is refused."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a.session(isolation_level="SERIALIZABLE")
            a("SELECT count(*) FROM item")
            b("INSERT INTO item (name) VALUES ('b')")
            b.commit()
            a("SELECT count(*) FROM item")

        self.assertConflict(
            play,
            rf"connection 1 {BEGAN} is SERIALIZABLE, and connection 2 {BEGAN} has committed since "
            r"it began\. One connection cannot show the old snapshot\. End the first transaction "
            r"before the other commits, or test this code on real connections: "
            r"in a unittest.TestCase, on a database of "
            r"its own\.",
        )

    def test_commit_of_a_reader(self) -> None:
        """A commit of what turns out to have only read puts no snapshot out of date."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a.session(isolation_level="SERIALIZABLE")
            a("SELECT count(*) FROM item")
            b("DO $$ BEGIN PERFORM 1; END $$")
            b.commit()
            a("SELECT count(*) FROM item")

        self.assertSame(play)


class TestDeferrable(TwinTestCase):
    def test_checked_at_commit(self) -> None:
        """Deferred constraints are checked at COMMIT, whose failure undoes the transaction."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            a("INSERT INTO child VALUES (1, 99)")
            a.commit()
            a.status()
            a("SELECT count(*) FROM child")
            a("INSERT INTO child VALUES (2, 5)")
            a("INSERT INTO parent VALUES (5, 'late')")
            a.commit()
            a("INSERT INTO child VALUES (3, 98)")
            a("COMMIT")
            a.status()
            a.con.rollback()
            a.con.autocommit = True
            a("INSERT INTO child VALUES (4, 97)")
            a("INSERT INTO child VALUES (5, 1)")

        self.assertSame(play)

    def test_failed_commit_undoes_all(self) -> None:
        """What was done before a savepoint goes with a commit that fails, too."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("INSERT INTO item (name) VALUES ('a')")
            a("SAVEPOINT s")
            a("INSERT INTO child VALUES (1, 99)")
            a.commit()
            b("SELECT name FROM item")
            a("SELECT name FROM item")

        self.assertSame(play)

    def test_initially_immediate(self) -> None:
        """After a commit each constraint is deferred, or immediate, as it initially is."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            a("INSERT INTO pair VALUES (1, 1), (2, 2)")
            a.commit()
            a("UPDATE pair SET other = 2 WHERE id = 1")
            a.rollback()

        self.assertSame(play)

    def test_reader_beside_violations(self) -> None:
        """The commit of one that has only read checks nothing, also beside others' violations."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("ALTER TABLE pair ADD UNIQUE (id) DEFERRABLE INITIALLY DEFERRED")
            a("ALTER TABLE pair DROP CONSTRAINT pair_pkey")
            a.commit()
            a("INSERT INTO child VALUES (1, 99)")
            a("INSERT INTO pair VALUES (1, 1), (1, 2)")
            for text in ("SELECT count(*) FROM item", "DO $$ BEGIN PERFORM 1; END $$") * 2:
                b(text)
                b.commit()
            a.rollback()

        self.assertSame(play)

    def test_role_that_may_not_name_them(self) -> None:
        """The constraints of schemas that a role may not use are checked all the same."""
        for url in (self.real_url, self.url):
            with sa.create_engine(url, poolclass=sa.NullPool).begin() as connection:
                connection.exec_driver_sql(
                    "CREATE SCHEMA hidden; CREATE TABLE hidden.leaf (parent_id int REFERENCES "
                    "public.parent DEFERRABLE INITIALLY DEFERRED); "
                    "CREATE FUNCTION add_leaf(int) RETURNS void LANGUAGE sql SECURITY DEFINER "
                    "AS $$ INSERT INTO hidden.leaf VALUES ($1) $$"
                )

        def play(stage: Stage) -> None:
            a = stage.actor()
            a("SET ROLE pg_monitor")
            a.commit()
            for parent in (1, 99):
                a(f"SELECT add_leaf({parent})")
                a.commit()
            a("SELECT current_user")
            a("SELECT add_leaf(5)")
            a("RESET ROLE")
            a("INSERT INTO parent VALUES (5)")
            a.commit()
            a("SELECT * FROM hidden.leaf")

        self.assertSame(play)
        for url in (self.real_url, self.url):
            with sa.create_engine(url, poolclass=sa.NullPool).begin() as connection:
                connection.exec_driver_sql("DROP SCHEMA hidden CASCADE")

    def test_set_constraints(self) -> None:
        """SET CONSTRAINTS holds for its own transaction."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("INSERT INTO pair VALUES (1, 2), (2, 1)")
            a.commit()
            a("SET CONSTRAINTS ALL DEFERRED")
            a("UPDATE pair SET other = 1 WHERE id = 1")
            a("UPDATE pair SET other = 2 WHERE id = 2")
            a.commit()
            b("UPDATE pair SET other = 1 WHERE id = 2")
            b.rollback()
            a("SET CONSTRAINTS ALL DEFERRED")
            a.rollback()
            a("UPDATE pair SET other = 1 WHERE id = 2")
            a.rollback()
            a("SET CONSTRAINTS child_parent_id_fkey IMMEDIATE")
            a("INSERT INTO child VALUES (1, 99)")
            a.rollback()
            a("SET CONSTRAINTS missing DEFERRED")

        self.assertSame(play)

    def test_set_constraints_after_a_release(self) -> None:
        """It ends with its transaction though its savepoint was released before."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            a("INSERT INTO item (name) VALUES ('a')")
            a("SAVEPOINT x")
            a("SET CONSTRAINTS ALL IMMEDIATE")
            a("RELEASE x")
            a("SAVEPOINT y")
            a("INSERT INTO item (name) VALUES ('b')")
            a.rollback()
            a("INSERT INTO child VALUES (1, 99)")  # is checked at the end
            a.rollback()

        self.assertSame(play)

    def test_checked_in_read_only(self) -> None:
        """A transaction that became READ ONLY after it wrote may not check a foreign key."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            a("INSERT INTO child VALUES (1, 99)")
            a("SET TRANSACTION READ ONLY")
            a.commit()
            a("INSERT INTO child VALUES (1, 1)")
            a.commit()
            a("SAVEPOINT s")
            a("INSERT INTO child VALUES (2, 99)")
            a("SET TRANSACTION READ ONLY")  # which ends with the savepoint
            a.commit()

        self.assertSame(play)

    def test_read_only_beside_readers(self) -> None:
        """What has only read commits READ ONLY, whoever has committed meanwhile."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            for query in ("SELECT id FROM item", "SELECT add_item('a') WHERE false"):
                a(query)
                b("UPDATE item SET n = n + 1")
                b.commit()
                a(query)
                a("SET TRANSACTION READ ONLY")
                a.commit()

        self.assertSame(play)

    def test_set_constraints_alone(self) -> None:
        """Outside a transaction it ends with itself."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            a("COMMIT")
            a("SET CONSTRAINTS ALL IMMEDIATE")
            a.rollback()
            a("INSERT INTO child VALUES (1, 99)")  # is checked at the end
            a.rollback()

        self.assertSame(play)

    def test_set_constraints_rolled_back(self) -> None:
        """What SET CONSTRAINTS said before a savepoint ends with its transaction, too."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            a("INSERT INTO pair VALUES (1, 1), (2, 2)")
            a.commit()
            a("SET CONSTRAINTS ALL DEFERRED")
            a("SAVEPOINT s")
            a("UPDATE pair SET other = 2 WHERE id = 1")
            a.rollback()
            a("UPDATE pair SET other = 2 WHERE id = 1")
            a.rollback()

        self.assertSame(play)

    def test_new_constraint(self) -> None:
        """A constraint that the test made is checked, too; DO may have made it."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            a("INSERT INTO child VALUES (1, 1)")
            a.commit()
            a("DO $$ BEGIN ALTER TABLE pair ADD FOREIGN KEY (other) REFERENCES parent (id) "
              "DEFERRABLE INITIALLY DEFERRED; END $$")
            a.commit()
            a("INSERT INTO pair VALUES (1, 77)")
            a.commit()

        self.assertSame(play)

    def test_set_constraints_beside(self) -> None:
        """Writing beside another's open transaction that used SET CONSTRAINTS is refused."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("SET CONSTRAINTS ALL DEFERRED")
            b("SELECT count(*) FROM pair")
            b.rollback()
            b("INSERT INTO pair VALUES (1, 1)")

        self.assertConflict(
            play,
            rf"connection 1 {BEGAN} used SET CONSTRAINTS and has not ended its transaction\. On "
            rf"one connection that would hold for connection 2 {BEGAN} too\. Let it end first, or "
            r"test this code on real connections: in a unittest.TestCase, "
            r"on a database of its own\.",
        )

    def test_violated_by_others(self) -> None:
        """What only others violate is told when they commit, and not before."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            b("INSERT INTO item (name) VALUES ('b')")
            b("INSERT INTO child VALUES (2, 1)")
            a("INSERT INTO child VALUES (1, 99)")
            b.commit()
            a.commit()
            b("SELECT id FROM child")
            b.commit()
            a("INSERT INTO child VALUES (1, 5)")
            b("INSERT INTO item (name) VALUES ('c')")
            b.commit()
            a("INSERT INTO parent VALUES (5, 'late')")
            a.commit()

        self.assertSame(play)

    def test_violated_by_oneself(self) -> None:
        """A violation that has nothing to do with others' rows is raised as it is."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            b("INSERT INTO child VALUES (1, 1)")
            b.commit()
            a("INSERT INTO item (name) VALUES ('a')")
            for text in (
                "INSERT INTO child VALUES (2, 98)",
                "UPDATE child SET parent_id = 97",
                "DELETE FROM parent",
            ):
                b(text)
                b.commit()
            a("INSERT INTO child VALUES (3, 1)")
            b("INSERT INTO child VALUES (4, 96)")
            b.commit()
            b("SELECT name FROM parent")
            a.commit()
            a("SELECT id FROM child")

        self.assertSame(play)

    def test_violated_beside_violations(self) -> None:
        """Where others violate it as well, the server may speak of their rows: refused."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("INSERT INTO child VALUES (1, 99)")
            b("INSERT INTO child VALUES (2, 98)")
            b.commit()

        self.assertConflict(
            play,
            rf"a deferred constraint failed when connection 2 {BEGAN} committed, beside "
            rf"uncommitted work of connection 1 {BEGAN}: insert or update on table \"child\" "
            r"violates foreign key constraint \"child_parent_id_fkey\"\. On one connection it "
            r"cannot be told whose rows violate it\. Let the other end first, or test this code "
            r"on real connections: in a unittest.TestCase, on a database of its own\.",
        )

    def test_parent_deleted_beside(self) -> None:
        """A key whose row another has deleted is refused, either way: the server would wait."""
        for first, then in (
            ("DELETE FROM parent", "INSERT INTO child VALUES (3, 1)"),
            ("DELETE FROM child", "DELETE FROM parent"),
        ):

            def play(stage: Stage, first: str = first, then: str = then) -> None:
                a, b = stage.actor(), stage.actor()
                a("INSERT INTO child VALUES (1, 1)")
                a("INSERT INTO parent VALUES (2, 'two')")
                a("INSERT INTO child VALUES (2, 2)")
                a.commit()
                a(first)
                b(then)
                if stage.sandbox is not None:
                    b.commit()

            with self.subTest(then):
                self.assertConflict(play, "a deferred constraint .*")

    def test_satisfied_beside(self) -> None:
        """A deferred constraint that holds by another's uncommitted row is refused."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("INSERT INTO parent VALUES (2, 'two')")
            b("INSERT INTO child VALUES (1, 2)")
            # a real server would wait here
            if stage.sandbox is not None:
                b.commit()

        self.assertConflict(
            play,
            rf"a deferred constraint was checked when connection 2 {BEGAN} committed, and may "
            rf"hold only by what connection 1 {BEGAN} has written to table parent and not "
            r"committed: one connection sees it\. Let the other end first, or test this code on "
            r"real connections: in a unittest.TestCase, on a database of its own\.",
        )

    def test_satisfied_without_others(self) -> None:
        """One that holds by what is committed is not, whatever others add to the same table."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("INSERT INTO parent VALUES (2, 'two')")
            a("INSERT INTO child VALUES (2, 2)")
            b("INSERT INTO child VALUES (1, 1)")
            b.commit()
            a.commit()
            b("SELECT id FROM child ORDER BY id")

        self.assertSame(play)

    def test_other_constraints_beside(self) -> None:
        """Beside constraints of other kinds that are deferred, whatever is touched may matter."""
        with self.sandbox() as stage:
            a, b = stage.actor(), stage.actor()
            a("ALTER TABLE pair ADD CONSTRAINT late UNIQUE (id) DEFERRABLE INITIALLY DEFERRED")
            a.commit()
            a("INSERT INTO parent VALUES (2, 'two')")
            b("INSERT INTO child VALUES (1, 1)")
            with self.assertRaisesRegex(SandboxConflict, "a deferred constraint was checked"):
                b.commit()

    def test_refused_commit_undoes_all(self) -> None:
        """A commit that is refused beside another's uncommitted work leaves nothing."""
        with self.sandbox() as stage:
            a, b = stage.actor(), stage.actor()
            a("INSERT INTO parent VALUES (2, 'two')")
            b("INSERT INTO child VALUES (1, 2)")
            with self.assertRaises(SandboxConflict):
                b.commit()
            self.assertEqual(b("SELECT count(*) FROM child"), [(0,)])


#: Queries that write, though nothing in their texts says so: what makes each possible, and itself.
HIDDEN_WRITERS = {
    "function": ("SELECT 1", "SELECT add_item('x')"),
    "function in quotes": (
        """CREATE FUNCTION "Add it"() RETURNS int LANGUAGE sql
               AS $$ INSERT INTO item (name) VALUES ('x') RETURNING 1 $$""",
        'SELECT "Add it"()',
    ),
    "name in numbers": ("SELECT 1", 'SELECT U&"\\0061dd_item"(\'x\')'),
    "function said to be immutable": (
        """CREATE FUNCTION pure_says_he() RETURNS void IMMUTABLE LANGUAGE plpgsql
               AS $$ BEGIN PERFORM add_item('x'); END $$""",
        "SELECT pure_says_he()",
    ),
    "aggregate": (
        """CREATE FUNCTION step(int, int) RETURNS int LANGUAGE sql
               AS $$ INSERT INTO item (name) VALUES ('x') RETURNING 1 $$;
           CREATE AGGREGATE counted (int) (SFUNC = step, STYPE = int)""",
        "SELECT counted(id) FROM parent",
    ),
    "view": ("CREATE VIEW quiet AS SELECT add_item('x')::text", "SELECT * FROM quiet"),
    "view, as a table": ("CREATE VIEW quiet AS SELECT add_item('x')::text", "TABLE quiet"),
    "operator": (
        """CREATE FUNCTION added(text, text) RETURNS int LANGUAGE sql
               AS $$ INSERT INTO item (name) VALUES ($1) RETURNING 1 $$;
           CREATE OPERATOR <#> (FUNCTION = added, LEFTARG = text, RIGHTARG = text)""",
        "SELECT 'x'::text <#> ''::text",
    ),
    "cast": (
        """CREATE TYPE pip AS (name text);
           CREATE FUNCTION to_int(pip) RETURNS int LANGUAGE sql
               AS $$ INSERT INTO item (name) VALUES (($1).name) RETURNING 1 $$;
           CREATE CAST (pip AS int) WITH FUNCTION to_int(pip)""",
        "SELECT ROW('x')::pip::int",
    ),
    "domain": (
        """CREATE FUNCTION noted(text) RETURNS bool LANGUAGE sql
               AS $$ INSERT INTO item (name) VALUES ($1) RETURNING true $$;
           CREATE DOMAIN noticed AS text CHECK (noted(VALUE))""",
        "SELECT 'x'::noticed",
    ),
    "row security": (
        """CREATE FUNCTION noted(text) RETURNS bool LANGUAGE sql SECURITY DEFINER
               AS $$ INSERT INTO item (name) VALUES ($1) RETURNING true $$;
           CREATE POLICY p ON parent USING (noted(name));
           ALTER TABLE parent ENABLE ROW LEVEL SECURITY;
           GRANT USAGE ON SCHEMA public TO pg_monitor;
           GRANT SELECT ON ALL TABLES IN SCHEMA public TO pg_monitor""",
        "SELECT name FROM parent",
    ),
    "query as text": (
        "SELECT 1",
        "SELECT query_to_xml('SELECT add_item(''x'')', true, true, '') IS NULL",
    ),
    "comment that a carriage return ends": ("SELECT 1", "SELECT 1 -- not\r, add_item('x')"),
    "backslash": (
        "SELECT 1",
        "SELECT E'' \n '\\'' || add_item('x')::text || E'\\''",
    ),
    "name that the server cuts": (
        f"""CREATE FUNCTION {"long" * 16}() RETURNS int LANGUAGE sql
               AS $$ INSERT INTO item (name) VALUES ('x') RETURNING 1 $$""",
        f"SELECT {'long' * 16}()",
    ),
    "name without a word": (
        """CREATE FUNCTION "+"() RETURNS int LANGUAGE sql
               AS $$ INSERT INTO item (name) VALUES ('x') RETURNING 1 $$""",
        'SELECT "+"()',
    ),
    "order of an index": (
        """CREATE FUNCTION compared(int, int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
               IF $2 = 500 THEN
                   IF EXISTS (SELECT FROM public.parent WHERE id = 2) THEN
                       PERFORM add_item(NULL);
                   END IF;
               END IF;
               RETURN btint4cmp($1, $2); END $$;
           CREATE OPERATOR CLASS told FOR TYPE int USING btree AS
               OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,
               FUNCTION 1 compared(int, int);
           CREATE TABLE measure (n int);
           INSERT INTO measure SELECT generate_series(1, 1000);
           CREATE INDEX ON measure (n told);
           INSERT INTO parent VALUES (2, 'two')""",
        "SELECT n FROM measure WHERE n = 500",
    ),
    "WITH": (
        "SELECT 1",
        "WITH a AS (INSERT INTO item (name) VALUES ('x') RETURNING id) SELECT id > 0 FROM a",
    ),
}


class TestCatalogue(TwinTestCase):
    """What a SELECT wrote, whatever its text, is that of its own transaction."""

    def play_hidden(self, make: str, query: str, role: str = "") -> None:
        for url in (self.real_url, self.url):
            engine = sa.create_engine(url, poolclass=sa.NullPool)
            with engine.begin() as connection:
                connection.exec_driver_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
                connection.exec_driver_sql(twins.SCHEMA)
                connection.exec_driver_sql(make)

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("SELECT name FROM item")
            a.rollback()
            if role:
                a(f"SET ROLE {role}")
                a.commit()
            # undone with its transaction, and seen by nobody
            a(query)
            a.rollback()
            b("SELECT count(*) FROM item")
            b.rollback()
            # kept, whatever befalls those who read afterwards
            a(query)
            a.commit()
            b("SELECT 1 / 0")
            b.rollback()
            b("SELECT name FROM item ORDER BY name")
            b.rollback()

        self.assertSame(play)

    def test_hidden_writers(self) -> None:
        """A function, view, operator, cast, domain or policy may write, and is not trusted."""
        for name, (make, query) in HIDDEN_WRITERS.items():
            with self.subTest(name):
                # the superuser of the tests passes by row security
                self.play_hidden(make, query, "pg_monitor" if name == "row security" else "")

    def test_made_in_the_test(self) -> None:
        """A function that the test itself makes is known, also where a function made it."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            b("SELECT name FROM item")
            b.rollback()
            a(
                "CREATE FUNCTION late() RETURNS int LANGUAGE sql "
                "AS $$ INSERT INTO item (name) VALUES ('late') RETURNING 1 $$"
            )
            a(
                "CREATE FUNCTION maker() RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE "
                "'CREATE VIEW later AS SELECT late()'; END $$"
            )
            a.commit()
            b("SELECT name FROM item")
            b.rollback()
            a("SELECT maker()")
            a.commit()
            for query in ("SELECT late()", "SELECT * FROM later"):
                a(query)
                a.rollback()
                b("SELECT count(*) FROM item")
                b.rollback()

        self.assertSame(play)

    def test_made_beside_others(self) -> None:
        """A function is known that is made by one of several statements in a text."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            b("SELECT name FROM item")
            b.rollback()
            a(
                "SELECT 1; DO $$ BEGIN CREATE FUNCTION late() RETURNS int LANGUAGE sql "
                "AS 'INSERT INTO item (name) VALUES (''late'') RETURNING 1'; END $$"
            )
            a.commit()
            a("SELECT late()")
            a.rollback()
            b("SELECT count(*) FROM item")
            b.rollback()

        self.assertSame(play)

    def test_dropped_and_rolled_back(self) -> None:
        """What a transaction dropped that is rolled back is there again."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            for rollback in (a.rollback, lambda: a("ROLLBACK TO s"), lambda: a("SELECT 1 / 0")):
                a("SAVEPOINT s")
                a("DROP FUNCTION add_item(text)")
                a("ALTER TABLE child DROP CONSTRAINT child_parent_id_fkey")
                a("SELECT count(*) FROM item")
                rollback()
                a.rollback()
                a("SELECT add_item('x')")
                a.rollback()
                b("SELECT count(*) FROM item")
                b.rollback()
                a("INSERT INTO child VALUES (1, 99)")
                a.commit()
                b("SELECT count(*) FROM child")
                b.rollback()

        self.assertSame(play)

    def test_parameter_that_is_no_value(self) -> None:
        """A parameter may be a piece of SQL."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            for value in (AsIs("add_item('x')"), [AsIs("1"), AsIs("add_item('x')::text::int")]):
                a("SELECT %s", [value])
                a.rollback()
                b("SELECT count(*) FROM item")
                b.rollback()

        self.assertSame(play)

    def test_adapter_that_writes_sql(self) -> None:
        """Nor is a string one for which the program has registered ``AsIs``."""
        before = extensions.adapters.get((str, extensions.ISQLQuote))
        assert before is not None
        self.addCleanup(extensions.register_adapter, str, before)
        extensions.register_adapter(str, AsIs)

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("SELECT %s", ["add_item('x')"])
            a.rollback()
            b("SELECT count(*) FROM item")
            b.rollback()

        self.assertSame(play)

    def test_placeholder_in_a_string(self) -> None:
        """Nor is one whose placeholder stands in quotes or a comment, which it ends."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            for query, value in (
                ("SELECT '%s'", "||add_item(chr(65))||"),
                ("SELECT '%(x)s'", {"x": "||add_item(chr(65))||"}),
                ("SELECT 1 -- %s", "\n, add_item(chr(65)) --"),
                ('SELECT 1 AS "%s"', '", add_item(chr(65)) --'),
            ):
                a(query, value if isinstance(value, dict) else [value])
                a.rollback()
                b("SELECT count(*) FROM item")
                b.rollback()

        self.assertSame(play)

    def test_readers_share_a_savepoint(self) -> None:
        """Crossing transactions that only read send nothing of ours, and may end as they like."""
        with self.sandbox(data=True) as stage:
            assert stage.sandbox is not None
            wire: Any = stage.sandbox.wire
            a, b = stage.actor(), stage.actor()
            a("SELECT count(*) FROM item")
            before = wire.messages
            for _ in range(3):
                b("SELECT name, random() FROM item WHERE id = %s AND name = ANY(%s)", (1, ["x"]))
                a("SELECT lower(name) FROM parent")
                b.rollback()
                b("WITH a AS (SELECT 1 AS x) SELECT * FROM a, item")
                b.commit()
                a.commit()
                b("VALUES (1)")
            self.assertEqual(wire.messages, before)


class TestTemporaryTables(TwinTestCase):
    def test_on_commit(self) -> None:
        """ON COMMIT DROP and DELETE ROWS happen at the virtual commit."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            a("CREATE TEMP TABLE gone (x int) ON COMMIT DROP")
            a('CREATE TEMP TABLE "Empty d" (x int) ON COMMIT DELETE ROWS')
            a("CREATE TEMPORARY TABLE IF NOT EXISTS kept AS SELECT 1 AS x")
            a("SELECT 2 AS x INTO TEMP also")
            a("INSERT INTO gone VALUES (1)")
            a('INSERT INTO "Empty d" VALUES (1)')
            a("SELECT * FROM gone")
            a.commit()
            a("SELECT * FROM gone")
            a.rollback()
            a('SELECT * FROM "Empty d"')
            a("SELECT * FROM kept, also")
            a.commit()
            a.close()
            b = stage.actor()
            b("SELECT * FROM kept")
            b.rollback()
            b("CREATE TEMP VIEW kept AS SELECT 7 AS x")
            b("SELECT * FROM kept")
            b.rollback()
            b("SELECT * FROM kept")

        self.assertSame(play)

    def test_of_another(self) -> None:
        """A temporary table is not seen by another connection: naming it is refused."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("CREATE TEMP TABLE scratch (x int)")
            a.commit()
            b("SELECT * FROM Scratch")

        self.assertConflict(
            play,
            rf'connection 2 {BEGAN} names "scratch", which is a temporary table of connection 1 '
            rf"{BEGAN}\. On real connections it would not see that table, and one connection "
            r"cannot hide it\. Use the same connection, give the table another name, or test this "
            r"code on real connections: in a unittest.TestCase, on a database of its own\.",
        )

    def test_dropped(self) -> None:
        """A name is free again when its table was dropped or rolled back."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("CREATE TEMP TABLE scratch (x int)")
            a("DROP TABLE scratch")
            a.commit()
            b("SELECT * FROM scratch")
            b.rollback()
            a("CREATE TEMP TABLE scratch (x int)")
            a.rollback()
            b("SELECT * FROM scratch")
            b.rollback()
            b("CREATE TEMP TABLE scratch (x int)")

        self.assertSame(play)


class TestTemporaryTablesOfSavepoints(TwinTestCase):
    def test_rolled_back(self) -> None:
        """A temporary table that went with a savepoint is not emptied at the commit."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            a("SAVEPOINT s")
            a("CREATE TEMP TABLE scratch (x int) ON COMMIT DELETE ROWS")
            a("ROLLBACK TO s")
            a.commit()
            a("SELECT x FROM scratch")

        self.assertSame(play)


class TestPreparedStatements(TwinTestCase):
    def test_session(self) -> None:
        """One outlives its transaction, rolled back or not, and ends with its session."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("PREPARE p AS SELECT 1")
            a.rollback()
            a('EXECUTE "p"')
            b("PREPARE other AS SELECT 2")
            a("DEALLOCATE PREPARE p")
            a("EXECUTE p")
            a.rollback()
            b("PREPARE p AS SELECT 3")
            b("EXECUTE p")
            b("PREPARE other AS SELECT 4")
            b.close()
            a("EXECUTE p")
            a.rollback()
            a("PREPARE p AS SELECT 5")
            a("DEALLOCATE ALL")
            a("PREPARE p AS SELECT 6; DEALLOCATE p")
            a.commit()
            a.close()

        self.assertSame(play)

    def test_beside_other_statements(self) -> None:
        """So it is where one of several statements in a text prepares it."""
        with self.sandbox() as stage:
            assert stage.sandbox is not None
            for _ in range(2):
                a, b = stage.actor(), stage.actor()
                a("SELECT 1; PREPARE p AS SELECT 1")
                self.assertEqual(a("EXECUTE p"), [(1,)])
                with self.assertRaises(SandboxConflict):
                    b("EXECUTE p")
                stage.sandbox.end_test()
                stage.sandbox.begin_test()

    def test_same_name(self) -> None:
        """One of another connection is refused: there it would not be found."""
        for statement in (
            "PREPARE p AS SELECT 2",
            "EXECUTE p",
            "DEALLOCATE p",
            "DEALLOCATE ALL",
        ):

            def play(stage: Stage, statement: str = statement) -> None:
                a, b = stage.actor(), stage.actor()
                a("PREPARE p AS SELECT 1")
                a.commit()
                b(statement)

            self.assertConflict(
                play,
                rf'connection 2 {BEGAN} names the prepared statement "p", and connection 1 '
                rf"{BEGAN} has one of that name\. On one connection the two are the same\. Give "
                r"the statements different names\.",
            )


class TestAdvisoryLocks(TwinTestCase):
    def test_let_go(self) -> None:
        """Session locks outlast a commit and go with the session, others with the transaction."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("SELECT pg_try_advisory_lock(1)")
            a("SELECT pg_advisory_lock(-5)")
            a("SELECT pg_advisory_lock(2, -3)")
            a("SELECT pg_advisory_unlock(1)")
            a("SELECT pg_advisory_unlock(1)")
            a.commit()
            a.close()
            b("SELECT pg_try_advisory_lock(-5)")
            b("SELECT pg_try_advisory_lock(2, -3)")
            b("SELECT pg_advisory_unlock_all()")
            b.commit()
            c = stage.actor()
            c("SELECT pg_try_advisory_xact_lock(8)")
            c.commit()
            b("SELECT pg_try_advisory_xact_lock(9)")
            c("SELECT pg_try_advisory_xact_lock(10)")
            b.rollback()
            c("SELECT pg_try_advisory_xact_lock(9)")

        self.assertSame(play)

    def test_held(self) -> None:
        """A lock that another holds is refused, also after that one's commit."""
        for lock, taken in (
            ("pg_advisory_lock(1)", "pg_try_advisory_lock(1)"),
            ("pg_advisory_lock(1)", "pg_advisory_unlock_all()"),
            # the server lets it go once only, and does not say so
            ("pg_advisory_lock(1), pg_advisory_lock(1)", "pg_advisory_unlock(1)"),
        ):

            def play(stage: Stage, lock: str = lock, taken: str = taken) -> None:
                a, b = stage.actor(), stage.actor()
                a(f"SELECT {lock}")
                a.commit()
                b(f"SELECT {taken}")

            self.assertConflict(
                play,
                rf"connection 2 {BEGAN} asked for an advisory lock, or let one go, while "
                rf"connection 1 {BEGAN} holds one: on one connection nobody waits for it\. Let "
                r"the other one go first, or test this code on real connections: "
                r"in a unittest.TestCase, on a database of "
                r"its own\.",
            )

    def test_taken_above_what_is_rolled_back(self) -> None:
        """A lock that a rollback beneath would let go keeps that rollback from being shown."""

        def play(stage: Stage) -> None:
            a, b, c = stage.actor(), stage.actor(), stage.actor()
            a("INSERT INTO item (name) VALUES ('a')")
            b("SELECT pg_try_advisory_xact_lock(1)")
            a.rollback()
            c("SELECT pg_try_advisory_xact_lock(1)")

        self.assertConflict(play, r"connection 1 .* rolled back .* connection 2 .*")

    def test_test_end(self) -> None:
        """No lock outlives its test."""
        for data in (False, True):
            with self.sandbox(data=data) as stage:
                a = stage.actor()
                a("SELECT pg_advisory_lock(1)")
                assert stage.sandbox is not None
                stage.sandbox.end_test()
                with self.judge.connect() as connection:
                    found = connection.exec_driver_sql("SELECT pg_try_advisory_lock(1)")
                    self.assertTrue(found.scalar())


class TestUncommitted(TwinTestCase):
    def test_read_beside(self) -> None:
        """A statement that reads what another has not committed warns, once, naming both."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("INSERT INTO item (name) VALUES ('a')")
            b("SELECT count(*) FROM item")
            b("SELECT count(*) FROM item")

        with self.sandbox() as stage, warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            play(stage)
        self.assertEqual(len(warned), 1)
        self.assertIs(warned[0].category, UncommittedDataWarning)
        self.assertRegex(
            str(warned[0].message),
            rf"^connection 2 {BEGAN} meets what connection 1 {BEGAN} has written to table item "
            r"and not committed: on real connections it would not be seen\. Commit it first, or "
            r"test this code on real connections: in a unittest.TestCase, "
            r"on a database of its own\. The statement: "
            r"SELECT count\(\*\) FROM item$",
        )

    def test_read_by_an_index(self) -> None:
        """What is read by an index alone is read of its table."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            b("SET enable_seqscan = off")
            b("SET enable_bitmapscan = off")
            b.commit()
            a("INSERT INTO item (name) VALUES ('a')")
            b("SELECT n FROM item WHERE name = 'z'")

        self.assertSame(play, warns=1)

    def test_beside_ddl(self) -> None:
        """Of uncommitted DDL no counter tells, and it may be met by whatever is sent."""
        with self.sandbox() as stage, warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            a, b = stage.actor(), stage.actor()
            a("CREATE TABLE made (x int)")
            b("SELECT * FROM made")
        self.assertEqual(len(warned), 1)
        self.assertIn("has written to the schema and not committed", str(warned[0].message))

    def test_function_beside(self) -> None:
        """A function that another has replaced and not committed is run, with a warning."""
        count = (
            "CREATE FUNCTION quiet() RETURNS bigint LANGUAGE sql AS "
            "$$ SELECT count(*) FROM parent $$"
        )
        replaced = (
            "CREATE OR REPLACE FUNCTION quiet() RETURNS bigint LANGUAGE sql AS "
            "$$ INSERT INTO item (name) VALUES ('loud') RETURNING id::bigint $$"
        )
        for data in (False, True):
            with (
                self.subTest(data=data),
                self.sandbox(data=data) as stage,
                warnings.catch_warnings(record=True) as warned,
            ):
                warnings.simplefilter("always")
                a, b = stage.actor(), stage.actor()
                a(count)
                a.commit()
                a(replaced)
                b("SAVEPOINT s")
                self.assertEqual(b("SELECT quiet()"), [(2,)])
                b("ROLLBACK TO s")
                b.commit()
                self.assertEqual(len(warned), 1)
                self.assertRegex(
                    str(warned[0].message),
                    "connection 2 .* meets what connection 1 .* has written to the schema and not "
                    r"committed: .* The statement: SELECT quiet\(\)",
                )

    def test_change_beside(self) -> None:
        """A statement that overwrites what another has written warns as well."""
        for text in (
            "UPDATE item SET n = n + 10",
            "WITH x AS (UPDATE item SET n = 1 RETURNING n) SELECT count(*) FROM x",
            "DELETE FROM item WHERE name = 'a'",
        ):
            for before in ("SELECT 1", "UPDATE item SET n = 7"):

                def play(stage: Stage, text: str = text, before: str = before) -> None:
                    a, b = stage.actor(), stage.actor()
                    a(before)
                    a.commit()
                    a("INSERT INTO item (name) VALUES ('a')")
                    b(text)

                with (
                    self.subTest(text, before=before),
                    self.sandbox() as stage,
                    warnings.catch_warnings(record=True) as warned,
                ):
                    warnings.simplefilter("always")
                    play(stage)
                    self.assertEqual(len(warned), 1)
                    self.assertIn("has written to table item", str(warned[0].message))

    def test_no_false_warnings(self) -> None:
        """What was committed earlier in the test is not charged to whoever is open now."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("INSERT INTO item (name) VALUES ('a')")
            a("UPDATE item SET n = 5")
            a.commit()
            b("INSERT INTO parent VALUES (2, 'two')")
            a("SELECT count(*), sum(n) FROM item")
            a("INSERT INTO item (name) VALUES ('a2')")
            a.commit()
            b("SELECT name FROM item ORDER BY id")
            a("UPDATE item SET n = 6")
            a.commit()
            b.commit()

        self.assertSame(play)

    def test_nothing_written(self) -> None:
        """Who has only moved a sequence, or asked for a number, has written nothing."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            for text in (
                "SELECT setval('item_id_seq', 50)",
                "SELECT count(nextval('item_id_seq')) FROM generate_series(1, 100)",
                "SELECT txid_current() > 0",
                "SELECT pg_current_xact_id() IS NULL",
            ):
                a(text)
                b("SELECT count(*) FROM item")
                b("SELECT nextval('item_id_seq')")
                a.rollback()
                b("INSERT INTO parent (id) SELECT nextval('item_id_seq')")
                a(text)
                b.commit()
                a("SELECT last_value FROM item_id_seq")
                a.commit()

        self.assertSame(play)

    def test_temporary_table_deletes_nothing(self) -> None:
        """Who makes a temporary table is not charged with what was deleted earlier."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("DELETE FROM item")
            a.commit()
            for text in (
                "CREATE TEMPORARY TABLE seen1 (id int)",
                "CREATE TEMPORARY TABLE seen2 ON COMMIT DELETE ROWS AS SELECT * FROM parent",
                "CREATE TEMPORARY VIEW seen3 AS SELECT 1 AS x",
                "SELECT * INTO TEMPORARY seen4 FROM parent",
            ):
                a(text)
                b("SELECT count(*) FROM item")
                a.commit()
                b.commit()

        self.assertSame(play)

    def test_temporary_table_of_deleted_rows(self) -> None:
        """But with one, rows can be deleted."""
        with self.sandbox() as stage, warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            a, b = stage.actor(), stage.actor()
            a("CREATE TEMP TABLE seen AS WITH x AS (DELETE FROM item RETURNING id) TABLE x")
            b("SELECT count(*) FROM item")
        self.assertIn("may have deleted from table item and not", str(warned[0].message))

    def test_deleted(self) -> None:
        """Of deleted rows nothing is left that tells whose deed it was: may."""
        with self.sandbox() as stage, warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            a, b = stage.actor(), stage.actor()
            a("DELETE FROM item")
            b("SELECT count(*) FROM item")
        self.assertIn("may have deleted from table item and not", str(warned[0].message))

    def test_deleted_by_others(self) -> None:
        """Who sent nothing that deletes rows is not charged with what was deleted earlier."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("DELETE FROM item")
            a.commit()
            b("INSERT INTO parent VALUES (2, 'two')")
            b("UPDATE parent SET name = 'zwei' WHERE id = 2")
            a("SELECT count(*) FROM item")
            a("INSERT INTO item (name) VALUES ('a')")
            a.commit()
            b.commit()

        self.assertSame(play)

    def test_deleted_and_rolled_back(self) -> None:
        """Nor is who has only undone a deletion charged with another's."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("DELETE FROM item")
            a.commit()
            b("DELETE FROM parent")
            b.rollback()
            b("INSERT INTO parent VALUES (2, 'two')")
            a("SELECT count(*) FROM item")
            a.commit()
            b.commit()

        self.assertSame(play)

    def test_deleted_by_a_function(self) -> None:
        """Where something in the database deletes rows, any statement may have done so."""
        for made in (
            "CREATE FUNCTION gone() RETURNS trigger LANGUAGE plpgsql "
            "AS $$ BEGIN DELETE FROM item; RETURN NEW; END $$; "
            "CREATE TRIGGER gone AFTER INSERT ON parent FOR EACH ROW EXECUTE FUNCTION gone()",
            "CREATE RULE gone AS ON INSERT TO parent DO ALSO DELETE FROM item",
        ):
            with (
                self.subTest(made),
                self.sandbox() as stage,
                warnings.catch_warnings(record=True) as warned,
            ):
                warnings.simplefilter("always")
                a, b = stage.actor(), stage.actor()
                a(made)
                a.commit()
                a("INSERT INTO parent VALUES (2, 'two')")
                b("SELECT count(*) FROM item")
                self.assertEqual(len(warned), 1)
                self.assertIn("may have deleted from table item", str(warned[0].message))

    def test_genuine_violations(self) -> None:
        """A violation that has nothing to do with the other's rows is raised as it is."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("INSERT INTO item (name) VALUES ('a')")
            b("INSERT INTO item (name) VALUES ('first')")
            b.rollback()
            b("INSERT INTO item (name) VALUES ('b')")
            b("INSERT INTO item (name) VALUES ('b')")
            b.rollback()
            b("INSERT INTO item (name) VALUES ('c'), ('c')")
            b.rollback()
            b("INSERT INTO item (name) VALUES ('b')")
            b.commit()
            a.commit()

        self.assertSame(play)

    def test_genuine_foreign_key(self) -> None:
        """A foreign key that points nowhere is violated, whatever another adds to that table."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            b("CREATE TABLE leaf (parent_id int REFERENCES parent (id))")
            b.commit()
            a("INSERT INTO leaf VALUES (1)")
            b("INSERT INTO leaf VALUES (99)")
            b.rollback()
            a.rollback()

        self.assertSame(play)

    def test_foreign_key_beside(self) -> None:
        """A foreign key that is violated by another's uncommitted work is refused."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            b("CREATE TABLE leaf (parent_id int REFERENCES parent (id))")
            b.commit()
            a("DELETE FROM parent")
            b("INSERT INTO leaf VALUES (1)")

        self.assertConflict(
            play, r"a statement of connection \d .* violates foreign key constraint .*"
        )

    def test_failed_transaction(self) -> None:
        """What a failed statement has doomed is gone before the transaction is rolled back."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("SAVEPOINT s")
            a("INSERT INTO parent VALUES (2, 'two')")
            a("SELECT 1 / 0")
            b("SELECT id FROM parent")
            b("INSERT INTO parent VALUES (2, 'other')")
            b.commit()
            a("ROLLBACK TO s")
            a("INSERT INTO missing VALUES (1)")
            a.rollback()
            for failure in ("INSERT INTO parent VALUES (1, 'again')", "RELEASE SAVEPOINT missing"):
                a("INSERT INTO item (name) VALUES ('a')")
                a(failure)
                b("INSERT INTO item (name) VALUES ('b')")
                b.commit()
                a.rollback()
                b("SELECT name FROM item")
                b.rollback()

        self.assertSame(play)

    def test_violation_beside(self) -> None:
        """A violation by another's uncommitted row is refused: the server would wait."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("INSERT INTO item (name) VALUES ('a')")
            b("INSERT INTO item (name) VALUES ('a')")

        self.assertConflict(
            play,
            rf"a statement of connection 2 {BEGAN} failed beside what connection 1 {BEGAN} has "
            r"written to table item and not committed: duplicate key value violates unique "
            r"constraint \"item_name_key\"\. Real connections might have waited, or gone on, "
            r"which one connection cannot show\. Commit that work first, or test this code on "
            r"real connections: in a unittest.TestCase, on a database of its own\.",
        )

    def test_impatient(self) -> None:
        """NOWAIT and SKIP LOCKED beside uncommitted work are refused."""
        for words in ("NOWAIT", "SKIP LOCKED"):

            def play(stage: Stage, words: str = words) -> None:
                a, b = stage.actor(), stage.actor()
                a("UPDATE item SET n = 1")
                b(f"SELECT * FROM item FOR UPDATE {words}")

            self.assertConflict(
                play,
                rf"connection 2 {BEGAN} uses NOWAIT or SKIP LOCKED beside uncommitted work of "
                rf"connection 1 {BEGAN}: on one connection no lock is ever in the way\. Commit "
                r"that work first, or test this code on real connections: in a unittest.TestCase, "
                r"on a database of its "
                r"own\.",
            )

    def test_impatient_beside_a_lock(self) -> None:
        """So they are beside a lock that leaves no trace, as the rows were locked before."""
        rows = "SELECT * FROM item FOR UPDATE"

        def lock(stage: Stage, *texts: str) -> None:
            first, second = stage.actor(), stage.actor()
            first(rows)
            first.commit()
            for text in texts:
                second(text)

        for texts, impatient in (
            ((rows,), f"{rows} SKIP LOCKED"),
            (("SAVEPOINT s", rows, "RELEASE s", "SAVEPOINT t", "ROLLBACK TO t"), f"{rows} NOWAIT"),
            ((rows, "SAVEPOINT s", "SELECT 1 / 0"), f"{rows} NOWAIT"),
            ((rows,), "LOCK TABLE item IN EXCLUSIVE MODE NOWAIT"),
            (("SELECT 1 FROM item",), "LOCK TABLE item NOWAIT"),
        ):

            def refused(
                stage: Stage, texts: tuple[str, ...] = texts, impatient: str = impatient
            ) -> None:
                lock(stage, *texts)
                stage.actor()(impatient)

            with self.subTest(texts):
                self.assertConflict(
                    refused, r"connection 3 .* NOWAIT or SKIP LOCKED beside .* connection 2 .*"
                )
        for texts in (
            ("SAVEPOINT s", rows, "ROLLBACK TO s"),
            (rows, "SELECT 1 / 0"),
            (rows, "COMMIT"),
            ("SAVEPOINT s", rows, "SELECT 1 / 0"),
        ):

            def shown(stage: Stage, texts: tuple[str, ...] = texts) -> None:
                lock(stage, *texts)
                third = stage.actor()
                third(f"{rows} NOWAIT")

            with self.subTest(texts):
                self.assertSame(shown)

    def test_no_privilege_to_look(self) -> None:
        """Our own look at a table that the role may not read fails nothing."""
        with self.sandbox() as stage, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            a, b = stage.actor(), stage.actor()
            a("INSERT INTO item (name) VALUES ('a')")
            b("SET ROLE pg_signal_backend")
            self.assertEqual(b("SELECT 1"), [(1,)])
            b("SELECT * FROM item")
            b.rollback()
            self.assertEqual(b("SELECT count(*) FROM parent"), [(1,)])


class TestOutsideTransactions(TwinTestCase):
    def test_in_a_transaction(self) -> None:
        """In a transaction of the program's these are the server's errors."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            for text in ("VACUUM", "CREATE INDEX CONCURRENTLY i ON item (n)", "DISCARD ALL"):
                a(text)
                a.rollback()
            a("DO $$ BEGIN COMMIT; END $$")
            a.rollback()

        self.assertSame(play)

    def test_alone(self) -> None:
        """In autocommit they work on real connections, and are refused."""
        for text, verb, message in (
            ("VACUUM item", "VACUUM", "VACUUM cannot run inside a transaction block"),
            ("CREATE INDEX CONCURRENTLY i ON item (n)", "CREATE",
             "CREATE INDEX CONCURRENTLY cannot run inside a transaction block"),
            ("DO $$ BEGIN COMMIT; END $$", "DO", "invalid transaction termination"),
        ):

            def play(stage: Stage, text: str = text) -> None:
                a = stage.actor()
                a.con.autocommit = True
                a(text)

            self.assertConflict(
                play,
                rf"{verb} cannot be run in a sandbox: {message}\. Everything that a test does is "
                r"one transaction there\. Test this code on real connections: "
                r"in a unittest.TestCase, on a database of "
                r"its own\.",
            )

    def test_new_enum_value(self) -> None:
        """A new value of an enum cannot be used before a real commit."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            a("CREATE TYPE mood AS ENUM ('sad')")
            a.commit()
            a("ALTER TYPE mood ADD VALUE 'ok'")
            a.commit()
            a("SELECT 'ok'::mood")

        self.assertConflict(
            play,
            r"SELECT cannot be run in a sandbox: unsafe use of new value \"ok\" of enum type "
            r"mood\. Everything that a test does is one transaction there\. Test this code on real "
            r"connections: in a unittest.TestCase, on a database of its own\.",
        )

    def test_in_use(self) -> None:
        """DDL on a table that another's cursor reads would wait on real connections."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("DECLARE c CURSOR FOR SELECT name FROM item")
            a("FETCH c")
            b("ALTER TABLE item ADD COLUMN x int")

        self.assertConflict(play, r"ALTER cannot be run in a sandbox: .* active queries .*")


def waits(deed: str) -> str:
    return (
        rf"connection 2 {BEGAN} would wait on real connections for connection 1 {BEGAN}, which "
        rf"{deed}: on one connection no lock is ever in the way\. End that transaction first, or "
        r"test this code on real connections: in a unittest.TestCase, on a database of its own\."
    )


class TestTableLocks(TwinTestCase):
    """LOCK TABLE keeps nobody out of one connection, so what it should keep out is refused."""

    def test_locked(self) -> None:
        """What needs a table that another has locked is refused, whatever it does there."""
        for text in (
            "SELECT count(*) FROM item",
            "SELECT name FROM everything",
            "INSERT INTO item (name) VALUES ('b')",
            "INSERT INTO item (name) VALUES ('first')",
            "LOCK item IN ACCESS SHARE MODE",
            "lock table public.\"item\" in  row exclusive  mode",
            "ALTER TABLE item ADD COLUMN x int",
        ):

            def play(stage: Stage, text: str = text) -> None:
                a, b = stage.actor(), stage.actor()
                a("CREATE VIEW everything AS SELECT * FROM item")
                a.commit()
                a("LOCK TABLE item")
                b("SELECT count(*) FROM parent")
                b(text)

            with self.subTest(text):
                self.assertConflict(play, waits("has locked table item in ACCESS EXCLUSIVE mode"))
                self.setUp()

    def test_modes(self) -> None:
        """Locks that agree with each other are taken side by side, and others refused."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("LOCK TABLE item, ONLY parent IN SHARE MODE")
            b("LOCK TABLE item IN SHARE MODE")
            b("LOCK TABLE item IN ROW SHARE MODE")
            b("SELECT name FROM item FOR UPDATE")
            b("INSERT INTO pair VALUES (1, 2)")
            a.commit()
            b("INSERT INTO item (name) VALUES ('b')")
            b.commit()

        self.assertSame(play)
        for text, table in (
            ("UPDATE parent SET name = 'b'", "parent"),
            ("DELETE FROM item", "item"),
            ("LOCK TABLE pair, item IN ROW EXCLUSIVE MODE", "item"),
        ):

            def refused(stage: Stage, text: str = text) -> None:
                a, b = stage.actor(), stage.actor()
                a("LOCK TABLE item, ONLY parent IN SHARE MODE")
                b(text)

            with self.subTest(text):
                self.assertConflict(refused, waits(f"has locked table {table} in SHARE mode"))

    def test_inherited(self) -> None:
        """What inherits from a table is locked with it."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("CREATE TABLE heir () INHERITS (item)")
            a.commit()
            a("LOCK TABLE item IN EXCLUSIVE MODE")
            b("INSERT INTO heir (name) VALUES ('b')")

        self.assertConflict(play, waits("has locked table item in EXCLUSIVE mode"))

    def test_written(self) -> None:
        """A lock that others' uncommitted rows keep out is refused, and no other."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("INSERT INTO item (name) VALUES ('a')")
            a.commit()
            a("INSERT INTO parent VALUES (2, 'two')")
            b("LOCK TABLE item")
            b("LOCK TABLE parent IN ROW EXCLUSIVE MODE")
            b.rollback()
            a.commit()

        self.assertSame(play)

        def refused(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("INSERT INTO item (name) VALUES ('a')")
            b("LOCK TABLE item IN SHARE MODE")

        self.assertConflict(refused, waits("has written to table item"))

    def test_rows(self) -> None:
        """Who changes or locks rows of a table in which another has locked some is warned."""
        for text in (
            "UPDATE item SET n = 1",
            "DELETE FROM item",
            "SELECT name FROM item FOR SHARE",
        ):
            with (
                self.subTest(text),
                self.sandbox() as stage,
                warnings.catch_warnings(record=True) as warned,
            ):
                warnings.simplefilter("always")
                a, b = stage.actor(), stage.actor()
                a("SELECT name FROM item WHERE id = 1 FOR UPDATE")
                b(text)
                b(text)
                self.assertEqual(len(warned), 1)
                self.assertIn("has locked some of them", str(warned[0].message))

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("SELECT name FROM item WHERE id = 1 FOR UPDATE")
            b("SELECT name FROM item")
            b("INSERT INTO parent VALUES (2, 'two')")
            b("UPDATE parent SET name = 'zwei' WHERE id = 2")
            b("LOCK TABLE parent")
            b("LOCK TABLE item IN ROW SHARE MODE")
            b.commit()
            a.commit()
            b("UPDATE item SET n = 1")

        self.assertSame(play)

        def refused(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("SELECT name FROM item WHERE id = 1 FOR UPDATE")
            b("LOCK TABLE item IN EXCLUSIVE MODE")

        self.assertConflict(refused, waits("has locked rows of table item"))

    def test_nowait(self) -> None:
        """Who does not want to wait gets the server's error."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("LOCK TABLE item IN EXCLUSIVE MODE")
            b("LOCK TABLE item IN ACCESS SHARE MODE NOWAIT")
            b("LOCK TABLE item NOWAIT")
            b("SELECT 1")
            b.rollback()
            b("SELECT count(*) FROM item")
            b.rollback()
            a.commit()
            b("LOCK TABLE item NOWAIT")
            b.commit()
            a("INSERT INTO item (name) VALUES ('a')")
            b("LOCK TABLE item IN SHARE MODE NOWAIT")
            b.rollback()
            a.commit()

        self.assertSame(play)

    def test_ends(self) -> None:
        """A lock ends with its transaction, its savepoint, and with an error."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            ends = {
                "COMMIT": a.commit,
                "ROLLBACK": a.rollback,
                "ROLLBACK TO": lambda: a("ROLLBACK TO s"),
                "error": lambda: a("SELECT 1 / 0"),
                "close": a.close,
            }
            for end in ends.values():
                a("SELECT 1")
                a("SAVEPOINT s")
                a("LOCK TABLE item")
                end()
                b("INSERT INTO item (name) VALUES (NULL)")
                b.commit()
                a.rollback()

        self.assertSame(play)

    def test_released(self) -> None:
        """One that was taken in a savepoint goes on with the transaction once that is released."""

        def play(stage: Stage) -> None:
            a, b = stage.actor(), stage.actor()
            a("SAVEPOINT s")
            a("SAVEPOINT t")
            a("LOCK TABLE item")
            a("RELEASE s")
            a("SAVEPOINT u")
            a("SELECT 1 / 0")
            b("SELECT count(*) FROM item")

        self.assertConflict(play, waits("has locked table item in ACCESS EXCLUSIVE mode"))

    def test_not_there(self) -> None:
        """What is no table, or none that may be looked for, is the server's error."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            for text in ("LOCK missing", "LOCK a.b.c", "LOCK item IN NO MODE", "LOCK 7", "LOCK"):
                a(text)
                a.rollback()
            a("SELECT 1 AS lock")

        self.assertSame(play)


class TestAlone(TwinTestCase):
    """One connection goes a shorter way, which leaves nothing out that is seen."""

    def prepare(self, *statements: str) -> None:
        for url in (self.real_url, self.url):
            engine = sa.create_engine(url, poolclass=sa.NullPool)
            with engine.begin() as connection:
                for statement in statements:
                    connection.exec_driver_sql(statement)

    def test_more_than_plain(self) -> None:
        """What it sets, takes or makes is noted."""

        def play(stage: Stage) -> None:
            a = stage.actor()
            a("SELECT set_config('work_mem', '1MB', true)")
            a.commit()
            a("SHOW work_mem")
            a("SELECT pg_advisory_lock(7)")
            a.rollback()
            a.close()
            b = stage.actor()
            b("SELECT pg_try_advisory_lock(7)")

        self.assertSame(play)

    def test_trigger_that_changes_the_schema(self) -> None:
        """A constraint that a trigger has made is checked at the next commit."""
        self.prepare(
            "CREATE FUNCTION tie() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "ALTER TABLE pair ADD FOREIGN KEY (other) REFERENCES parent (id) "
            "DEFERRABLE INITIALLY DEFERRED; RETURN NEW; END $$",
            "CREATE TRIGGER tie AFTER INSERT ON item FOR EACH ROW EXECUTE FUNCTION tie()",
        )

        def play(stage: Stage) -> None:
            a = stage.actor()
            a("INSERT INTO child VALUES (1, 1)")
            a.commit()
            a("INSERT INTO item (name) VALUES ('a')")
            a.commit()
            a("INSERT INTO pair VALUES (1, 77)")
            a.commit()

        self.assertSame(play)

    def test_function_that_is_called_somehow(self) -> None:
        """So is one that a function has made, however the statement came to call it."""
        for make, text, values in (
            (
                "CREATE FUNCTION helped() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                "PERFORM tie(); RETURN NEW; END $$; CREATE TRIGGER helped BEFORE INSERT ON item "
                "FOR EACH ROW EXECUTE FUNCTION helped()",
                "INSERT INTO item (name) VALUES ('a')",
                None,
            ),
            (
                "CREATE TABLE noted (n int DEFAULT tie())",
                "INSERT INTO noted DEFAULT VALUES",
                None,
            ),
            (
                "CREATE RULE tied AS ON UPDATE TO item DO ALSO SELECT tie()",
                "UPDATE item SET n = 1",
                None,
            ),
            (
                "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                "RETURN NEW; END $$; CREATE TRIGGER tied BEFORE INSERT ON item FOR EACH ROW "
                "WHEN (tie() = 1) EXECUTE FUNCTION nothing()",
                "INSERT INTO item (name) VALUES ('a')",
                None,
            ),
            ("CREATE VIEW tying AS SELECT tie()", "SELECT * FROM tying", None),
            (
                "CREATE FUNCTION \"+\"() RETURNS int LANGUAGE sql AS 'SELECT tie()'",
                "INSERT INTO item (n) SELECT \"+\"()",
                None,
            ),
            ("SELECT 1", "INSERT INTO item (n) SELECT public.Tie()", None),
            ("SELECT 1", "INSERT INTO item (name) VALUES (%s)", [AsIs("tie()")]),
            ("SELECT 1", "SELECT %s", [AsIs("tie()")]),
            ("SELECT 1", 'INSERT INTO item (n) VALUES (U&"\\0074ie"())', None),
            ("PREPARE tying AS SELECT tie()", "EXECUTE tying", None),
        ):
            with self.subTest(text):
                self.setUp()
                self.prepare(
                    "CREATE FUNCTION tie() RETURNS int LANGUAGE plpgsql AS $$ BEGIN "
                    "ALTER TABLE pair ADD FOREIGN KEY (other) REFERENCES parent (id) "
                    "DEFERRABLE INITIALLY DEFERRED; RETURN 1; END $$"
                )
                prepares = make.startswith("PREPARE")
                if not prepares:
                    self.prepare(make)

                def play(
                    stage: Stage,
                    text: str = text,
                    values: Any = values,
                    first: str = make if prepares else "SELECT 1",
                ) -> None:
                    a = stage.actor()
                    a("INSERT INTO child VALUES (1, 1)")
                    a.commit()
                    a(first)
                    a.commit()
                    a(text, values)
                    a.commit()
                    a("INSERT INTO pair VALUES (1, 77)")
                    a.commit()

                self.assertSame(play)

    def test_function_that_nobody_calls(self) -> None:
        """One that could change the schema costs nothing where nothing calls it."""
        sent = []
        for body in ("NULL", "EXECUTE 'DROP TABLE child'"):
            self.setUp()
            self.prepare(
                "CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                "NEW.n := NEW.n + 1; RETURN NEW; END $$",
                "CREATE TRIGGER touched BEFORE UPDATE ON item FOR EACH ROW "
                "EXECUTE FUNCTION touched()",
                f"CREATE FUNCTION old() RETURNS void LANGUAGE plpgsql AS $$ BEGIN {body}; END $$",
            )
            with self.sandbox() as stage:
                assert stage.sandbox is not None
                wire: Any = stage.sandbox.wire
                a = stage.actor()
                a("INSERT INTO child VALUES (1, 1)")
                a.commit()
                before = wire.messages
                for _ in range(3):
                    a("INSERT INTO item (n) VALUES (1)")
                    a("UPDATE item SET n = n + 1")
                    a.commit()
                    a("SELECT n FROM item")
                    a.commit()
                sent.append(wire.messages - before)
        self.assertEqual(sent[0], sent[1])

    def test_function_in_c(self) -> None:
        """So is one that a function in C has made, as some extensions do."""
        # a compiler is not at hand everywhere; only the name of the language is known of such
        self.prepare(
            "CREATE FUNCTION tie() RETURNS void LANGUAGE plpgsql AS $$ BEGIN "
            "ALTER TABLE pair ADD FOREIGN KEY (other) REFERENCES parent (id) "
            "DEFERRABLE INITIALLY DEFERRED; END $$",
            "ALTER LANGUAGE c RENAME TO really_c",
            "ALTER LANGUAGE plpgsql RENAME TO c",
        )

        def play(stage: Stage) -> None:
            a = stage.actor()
            a("INSERT INTO child VALUES (1, 1)")
            a.commit()
            a("SELECT tie()")
            a.commit()
            a("INSERT INTO pair VALUES (1, 77)")
            a.commit()

        try:
            self.assertSame(play)
        finally:
            self.prepare(
                "ALTER LANGUAGE c RENAME TO plpgsql", "ALTER LANGUAGE really_c RENAME TO c"
            )

    def test_temporary_table_of_the_set_up(self) -> None:
        """A temporary table of the class's set-up belongs to none of the tests' connections."""
        sandbox = open_sandbox(self.url, owner="TwinTest", reset_sequences=True)
        self.addCleanup(sandbox.close)
        engine = sa.create_engine(self.url, poolclass=sa.NullPool)
        self.addCleanup(redirect(engine, sandbox))
        first = engine.connect()
        self.addCleanup(first.close)
        first.exec_driver_sql("CREATE TEMPORARY TABLE seen (id int)")
        first.commit()
        sandbox.freeze()
        for number in (1, 2):
            with self.subTest(test=number):
                sandbox.begin_test()
                with engine.connect() as second:
                    self.assertEqual(second.exec_driver_sql("SELECT 1").scalar(), 1)
                    with self.assertRaises(SandboxConflict) as caught:
                        second.exec_driver_sql("SELECT * FROM seen")
                self.assertIn('names "seen", which is a temporary table', str(caught.exception))
                sandbox.end_test()


class TestOnServerOfDebian(TestDeferrable, TestTemporaryTables, TestAdvisoryLocks, TestUncommitted):
    """What is asked of the catalogues, on the older server that Debian brings."""

    @classmethod
    def server_url(cls) -> URL:
        return cls.enterClassContext(debian_postgresql())

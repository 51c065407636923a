"""Tests for :mod:`dbtestcase.sandbox.statements`."""

from __future__ import annotations

import doctest
import unittest
from typing import Any

from dbtestcase.sandbox import statements
from dbtestcase.sandbox.statements import Control, Setting, analyse


def load_tests(loader: Any, tests: unittest.TestSuite, pattern: Any) -> unittest.TestSuite:
    tests.addTests(doctest.DocTestSuite(statements))
    return tests


class TestAnalyse(unittest.TestCase):
    def test_control(self) -> None:
        """Statements that steer a transaction are known however they are written."""
        for text, control in (
            ("BEGIN", Control.BEGIN),
            ("begin;", Control.BEGIN),
            ("START TRANSACTION READ ONLY", Control.BEGIN),
            ("COMMIT", Control.COMMIT),
            ("; COMMIT ;", Control.COMMIT),
            ("commit work", Control.COMMIT),
            ("END", Control.COMMIT),
            ("/* a /* nested */ one */ COMMIT", Control.COMMIT),
            ("-- why\nCOMMIT -- because", Control.COMMIT),
            ("COMMIT/**/", Control.COMMIT),
            ("ROLLBACK", Control.ROLLBACK),
            ("ABORT TRANSACTION", Control.ROLLBACK),
            ("SAVEPOINT a", Control.SAVEPOINT),
            ('SAVEPOINT"a"', Control.SAVEPOINT),
            ("SAVEPOINT größe", Control.SAVEPOINT),
            ("RELEASE a", Control.RELEASE),
            ("RELEASE SAVEPOINT a", Control.RELEASE),
            ("ROLLBACK TO a", Control.ROLLBACK_TO),
            ("ROLLBACK WORK TO SAVEPOINT a", Control.ROLLBACK_TO),
            ("PREPARE TRANSACTION 'a'", Control.PREPARE),
            ("COMMIT PREPARED 'a'", Control.PREPARE),
            ("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", Control.SET_TRANSACTION),
            ("SET LOCAL TRANSACTION READ ONLY", Control.SET_TRANSACTION),
            ("SELECT 'COMMIT'", None),
            ("SELECT 1 -- ; COMMIT", None),
            ("SELECT $$; COMMIT$$", None),
            ("SELECT E'\\'; COMMIT; '", None),
            ('SELECT "; COMMIT"', None),
            ("PREPARE p AS SELECT 1", None),
            ("SET TRANSACTION SNAPSHOT 'x'", None),
            ("DO $do$ BEGIN COMMIT; END $do$", None),
            ("", None),
        ):
            with self.subTest(text):
                self.assertIs(analyse(text).control, control)
                self.assertEqual(analyse(text).parts, ())

    def test_names(self) -> None:
        """Names of savepoints are folded as the server folds them."""
        self.assertEqual(analyse("SAVEPOINT Sp_1").name, "sp_1")
        self.assertEqual(analyse('ROLLBACK TO "Sp 1"').name, "Sp 1")

    def test_modes(self) -> None:
        """BEGIN and SET TRANSACTION name a level and a mode."""
        found = analyse("BEGIN ISOLATION LEVEL REPEATABLE  READ, READ ONLY")
        self.assertEqual((found.isolation, found.read_only), ("REPEATABLE READ", True))
        found = analyse("SET TRANSACTION READ WRITE")
        self.assertEqual((found.isolation, found.read_only), (None, False))

    def test_chain(self) -> None:
        """AND CHAIN begins a new transaction, AND NO CHAIN does not."""
        self.assertTrue(analyse("COMMIT WORK AND CHAIN").chain)
        self.assertFalse(analyse("COMMIT AND NO   CHAIN").chain)
        self.assertFalse(analyse("COMMIT").chain)

    def test_parts(self) -> None:
        """Several statements are taken apart where one of them steers the transaction."""
        self.assertEqual(
            analyse("INSERT INTO t VALUES (';'); COMMIT; SELECT 1;").parts,
            ("INSERT INTO t VALUES (';')", " COMMIT", " SELECT 1"),
        )
        self.assertEqual(analyse("SELECT 1; SELECT 2").parts, ())
        atomic = "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC; SELECT CASE WHEN 1=1 THEN 1 END;END"
        self.assertEqual(analyse(f"{atomic}; COMMIT").parts, (atomic, " COMMIT"))

    def test_settings(self) -> None:
        """What is set is known by name, and whether for the transaction only."""
        for text, settings in (
            ("SET work_mem = '1MB'", [Setting("work_mem")]),
            ("SET SESSION Work_Mem TO 1", [Setting("work_mem")]),
            ("SET LOCAL app.who = 'x'", [Setting("app.who", True)]),
            ("SET TIME ZONE 'UTC'", [Setting("timezone")]),
            ("SET ROLE x", [Setting("role")]),
            ("SET SESSION AUTHORIZATION x", [Setting("session_authorization")]),
            ("RESET SESSION AUTHORIZATION", [Setting("session_authorization")]),
            ("SET SCHEMA 'x'", [Setting("search_path")]),
            ("RESET work_mem", [Setting("work_mem")]),
            ("RESET ALL", [Setting(None)]),
            ("SET CONSTRAINTS ALL DEFERRED", []),
            ("SELECT set_config('a.b', 'x', true)", [Setting("a.b", True)]),
            ("SELECT set_config('a', f('(,'), false), set_config('b', $1, 't'::boolean)",
             [Setting("a"), Setting("b", True)]),
            ("UPDATE t SET a = 1", []),
        ):
            with self.subTest(text):
                found = analyse(text)
                self.assertEqual(list(found.settings), settings)
                self.assertFalse(found.hides_setting)
        for text in ("SELECT set_config(a, 'x', true) FROM t", "SELECT set_config('a', 'x', b)"):
            with self.subTest(text):
                self.assertTrue(analyse(text).hides_setting)

    def test_renders(self) -> None:
        """Parameters may decide what a statement is, but not that a SELECT is one."""
        for text in ("%s", "SAVEPOINT %s", "SET x = %s", "SELECT set_config(%s, %s, %s)"):
            self.assertTrue(analyse(text).renders, text)
        for text in ("SELECT %s", "INSERT INTO t VALUES (%s)", "WITH x AS (SELECT %s) TABLE x"):
            self.assertFalse(analyse(text).renders, text)

    def test_plain(self) -> None:
        """What only reads or writes rows leaves nothing to be noted."""
        for text in (
            "SELECT 1",
            "(SELECT 1)",
            "WITH x AS (INSERT INTO t VALUES (1) RETURNING id) SELECT * FROM x",
            "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING",
            "UPDATE t SET a = 'CREATE TEMP TABLE'",
            "DELETE FROM t",
        ):
            self.assertTrue(analyse(text).plain, text)
        for text in (
            "SELECT set_config('a', 'b', false)",
            "SELECT SetVal('s', 1)",
            "SELECT pg_advisory_lock(1)",
            "SELECT 1 INTO TEMP t",
            "SELECT * FROM t FOR UPDATE",
            "SELECT 1; SELECT 2",
            "SELECT 1; COMMIT",
            "COMMIT",
            "COPY t FROM STDIN",
            "CREATE TABLE t ()",
            "SET a = 1",
            "SHOW a",
            "LOCK TABLE t",
            "DECLARE c CURSOR FOR SELECT 1",
            "PREPARE p AS SELECT 1",
            "EXECUTE p",
            "CALL p()",
            "",
        ):
            self.assertFalse(analyse(text).plain, text)

    def test_temporary(self) -> None:
        """Temporary tables are known by name, and what COMMIT does to them."""
        for text, name, on_commit in (
            ("CREATE TEMP TABLE a (x int)", "a", None),
            ("CREATE TEMPORARY TABLE IF NOT EXISTS A (x int) ON COMMIT DROP", "a", "drop"),
            ('CREATE LOCAL TEMP TABLE "A b" () ON COMMIT DELETE ROWS', "A b", "delete"),
            ("CREATE TABLE pg_temp.a (x int)", "a", None),
            ("CREATE OR REPLACE TEMP VIEW v AS SELECT 1", "v", None),
            ("SELECT 1 AS x INTO TEMP TABLE a", "a", None),
            ("CREATE TABLE temp (x int)", None, None),
        ):
            with self.subTest(text):
                found = analyse(text)
                self.assertEqual((found.temporary, found.on_commit), (name, on_commit))

    def test_cursors(self) -> None:
        """Cursors are known by name."""
        for text, use in (
            ("DECLARE c CURSOR FOR SELECT 1", ("DECLARE", "c", False)),
            ('DECLARE "C" SCROLL CURSOR WITH HOLD FOR SELECT 1', ("DECLARE", "C", True)),
            ("FETCH FORWARD 5 FROM c", ("FETCH", "c", False)),
            ("MOVE c", ("MOVE", "c", False)),
            ("CLOSE ALL", ("CLOSE", "all", False)),
        ):
            with self.subTest(text):
                found = analyse(text).cursor
                assert found is not None
                self.assertEqual((found.verb, found.name, found.hold), use)

    def test_hints(self) -> None:
        """Whether a statement looks as if it wrote is a hint."""
        for text in ("INSERT INTO t VALUES (1)", "CREATE TABLE t ()", "COPY t FROM STDIN"):
            self.assertTrue(analyse(text).writes, text)
        self.assertFalse(analyse("SELECT f()").writes)

    def test_long_texts_are_not_kept(self) -> None:
        """Batches of rows do not stay in memory."""
        text = "INSERT INTO t VALUES " + ", ".join("('a;b')" for _ in range(5000))
        before = statements._kept.cache_info().currsize
        self.assertEqual(analyse(text).verb, "INSERT")
        self.assertEqual(statements._kept.cache_info().currsize, before)

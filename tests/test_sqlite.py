"""The sandbox on SQLite, compared with real connections to the same kind of database."""

from __future__ import annotations

import contextlib
import doctest
import functools
import itertools
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import NullPool, StaticPool, create_engine, event, make_url, text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

import dbtestcase.sandbox
from dbtestcase.engines import redirect
from dbtestcase.errors import (
    EscapeError,
    SandboxConflict,
    SetUpError,
    UncommittedDataWarning,
)
from dbtestcase.sandbox import Sandbox, open_sandbox, sandboxed
from dbtestcase.sandbox.sqlite import statements

from .support import without_lines

SCHEMA = """
CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT UNIQUE);
CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT);
CREATE TABLE child (
    id INTEGER PRIMARY KEY,
    item_id INTEGER REFERENCES item (id),
    later_id INTEGER REFERENCES item (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE TABLE strict_item (name TEXT UNIQUE ON CONFLICT ROLLBACK);
INSERT INTO item VALUES (1, 'first');
"""
TABLES = ("item", "counted", "child", "strict_item")

NEW_AUTOCOMMIT = hasattr(sqlite3, "LEGACY_TRANSACTION_CONTROL")


def rows(connection: Any) -> dict[str, list[tuple[Any, ...]]]:
    """Give what a connection of its own sees."""
    cursor = connection.cursor()
    cursor.row_factory = None
    cursor.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    names = [name for (name,) in cursor.fetchall()]
    found = {}
    for name in names:
        cursor.execute(f'SELECT * FROM "{name}" ORDER BY 1')
        if content := cursor.fetchall():
            found[name] = content
        elif name not in TABLES and name != "sqlite_sequence":
            found[name] = []
    return found


@functools.cache
def content_of_file() -> bytes:
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(SCHEMA)
        return connection.serialize()


class SQLiteCase(unittest.TestCase):
    """A file that holds a small schema, and a judge that knows nothing of the library."""

    def setUp(self) -> None:
        directory = self.enterContext(tempfile.TemporaryDirectory())
        self.path = Path(directory, "shop_test.db")
        self.fill()
        self.enterContext(warnings.catch_warnings())
        warnings.simplefilter("error")

    def fill(self) -> None:
        self.path.write_bytes(content_of_file())
        self.before = self.judge()

    def judge(self) -> dict[str, list[tuple[Any, ...]]]:
        """Tell what was really committed."""
        with contextlib.closing(sqlite3.connect(self.path, timeout=0)) as connection:
            return rows(connection)

    @property
    def url(self) -> str:
        return f"sqlite:///{self.path}"

    def engine(self, **options: Any) -> Engine:
        engine = create_engine(self.url, **options)
        self.addCleanup(engine.dispose)
        return engine

    def sandbox(self, *engines: Engine) -> Sandbox:
        """Open a sandbox for all engines, in its set-up."""
        sandbox = open_sandbox(make_url(self.url), owner="ShopTest")
        self.addCleanup(sandbox.close)
        for engine in engines:
            self.addCleanup(redirect(engine, sandbox))
        return sandbox

    def play(self, engine: Engine | None = None) -> tuple[Any, Sandbox]:
        """Give a raw virtual connection of a sandbox in which a test has begun."""
        engine = engine or self.engine()
        sandbox = self.sandbox(engine)
        sandbox.begin_test()
        return self.raw(engine), sandbox

    def raw(self, engine: Engine) -> Any:
        fairy = engine.raw_connection()
        self.addCleanup(fairy.invalidate)
        return fairy.driver_connection

    def committed(self, engine: Engine) -> dict[str, list[tuple[Any, ...]]]:
        """Tell what another virtual connection sees."""
        with contextlib.closing(engine.raw_connection()) as raw:
            return rows(raw)

    def assert_same(
        self, program: Callable[[Any], Any], listen: Callable[[Engine], Any] | None = None
    ) -> Any:
        """Run a program on a real connection and in a sandbox, and compare all that it sees.

        :param program: is given the driver's connection.
        :param listen: adds listeners to the engine.
        """
        outcomes = []
        for played in (False, True):
            self.fill()
            engine = create_engine(self.url)
            if listen is not None:
                listen(engine)
            with sandboxed(engine) if played else contextlib.nullcontext():
                fairy = engine.raw_connection()
                said = program(fairy.driver_connection)
                fairy.invalidate()
                outcomes.append((said, self.committed(engine) if played else self.judge()))
            engine.dispose()
            if played:
                self.assertEqual(self.judge(), self.before)
        self.assertEqual(outcomes[1], outcomes[0])
        return outcomes[0]


def attempt(call: Callable[[], Any]) -> Any:
    """Give what a call returns, or the driver's error with all that tells it from others."""
    try:
        return call()
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)
        return type(error), str(error), code, getattr(error, "sqlite_errorname", None)


def foreign_keys(engine: Engine) -> None:
    """Switch foreign keys on, as SQLAlchemy's documentation says."""

    @event.listens_for(engine, "connect")
    def switch(connection: Any, record: Any) -> None:
        connection.execute("PRAGMA foreign_keys=ON")


# -- what sqlite3 believes ---------------------------------------------------------------------


class TestTransactionControl(SQLiteCase):
    """When sqlite3 begins a transaction, and when it ends one."""

    def test_statement_that_does_not_compile(self) -> None:
        """sqlite3 sends no BEGIN before a statement that SQLite cannot compile."""

        def program(connection: Any) -> Any:
            said = []
            for sql in (
                "INSERT INTO nowhere VALUES (1)",
                "UPDATE item SET",
                "DELETE FROM item x y",
            ):
                said += [
                    attempt(lambda sql=sql: connection.execute(sql)),
                    connection.in_transaction,
                ]
            said.append(attempt(lambda: connection.execute("INSERT INTO item VALUES (?, ?)")))
            return [*said, connection.in_transaction]

        self.assert_same(program)

    def test_dml_begins(self) -> None:
        """INSERT, UPDATE, DELETE and REPLACE begin a transaction, which a rollback undoes."""
        for sql in (
            "INSERT INTO item (name) VALUES ('x')",
            "update item set name = 'x'",
            "/* all */ DELETE FROM item",
            "-- one\n REPLACE INTO item VALUES (1, 'x')",
        ):
            with self.subTest(sql):

                def program(connection: Any, sql: str = sql) -> Any:
                    connection.execute(sql)
                    inside = connection.in_transaction
                    connection.rollback()
                    return inside, connection.in_transaction

                self.assertEqual(self.assert_same(program)[0], (True, False))

    def test_others_do_not_begin(self) -> None:
        """SELECT, DDL, PRAGMA and an INSERT behind WITH are transactions of their own."""
        for sql in (
            "SELECT 1",
            "CREATE TABLE made (id)",
            "PRAGMA user_version = 7",
            "WITH x AS (SELECT 'x') INSERT INTO item (name) SELECT * FROM x",
            "",
        ):
            with self.subTest(sql):

                def program(connection: Any, sql: str = sql) -> Any:
                    connection.execute(sql)
                    inside = connection.in_transaction
                    connection.rollback()
                    version = connection.execute("PRAGMA user_version").fetchone()
                    return inside, version

                self.assertFalse(self.assert_same(program)[0][0])

    def test_ddl_in_transaction(self) -> None:
        """DDL behind a write is undone with it."""

        def program(connection: Any) -> None:
            connection.execute("INSERT INTO item (name) VALUES ('x')")
            connection.execute("CREATE TABLE made (id)")
            connection.rollback()

        self.assert_same(program)

    def test_isolation_levels(self) -> None:
        """Every isolation level can be set, and wrong ones end in the driver's errors."""

        def program(connection: Any) -> Any:
            said = [connection.isolation_level]
            for level in ("DEFERRED", "immediate", "EXCLUSIVE", ""):
                connection.isolation_level = level
                connection.execute("INSERT INTO item (name) VALUES (?)", (level,))
                said += [connection.isolation_level, connection.in_transaction]
                connection.commit()
            for wrong in ("x", 3):
                try:
                    connection.isolation_level = wrong
                except (TypeError, ValueError) as error:
                    said.append((type(error), str(error)))
            return said

        self.assert_same(program)

    def test_isolation_level_none(self) -> None:
        """Setting None commits; from then on the program itself begins."""

        def program(connection: Any) -> Any:
            connection.execute("INSERT INTO item (name) VALUES ('a')")
            connection.isolation_level = None
            said = [connection.in_transaction]
            connection.execute("INSERT INTO item (name) VALUES ('b')")
            said.append(connection.in_transaction)
            connection.execute("BEGIN")
            connection.execute("INSERT INTO item (name) VALUES ('c')")
            said.append(connection.in_transaction)
            connection.rollback()
            connection.execute("begin immediate transaction")
            connection.execute("INSERT INTO item (name) VALUES ('d')")
            connection.execute("END")
            connection.execute("BEGIN")
            connection.execute("INSERT INTO item (name) VALUES ('e')")
            return said

        self.assert_same(program)

    def test_begin_recipe(self) -> None:
        """SQLAlchemy's recipe, which sends BEGIN itself, has transactional DDL and savepoints."""

        def recipe(engine: Engine) -> None:
            @event.listens_for(engine, "connect")
            def leave_alone(connection: Any, record: Any) -> None:
                connection.isolation_level = None

            @event.listens_for(engine, "begin")
            def begin(connection: Any) -> None:
                connection.exec_driver_sql("BEGIN")

        engine = self.engine()
        recipe(engine)
        with sandboxed(engine):
            with engine.connect() as connection:
                connection.execute(text("CREATE TABLE made (id)"))
                connection.rollback()
            with engine.begin() as connection:
                connection.execute(text("INSERT INTO item (name) VALUES ('a')"))
                with self.assertRaises(IntegrityError), connection.begin_nested():
                    connection.execute(text("INSERT INTO item (name) VALUES ('b')"))
                    connection.execute(text("INSERT INTO item (name) VALUES ('a')"))
            with engine.connect() as connection:
                connection.execute(text("INSERT INTO item (name) VALUES ('c')"))
            self.assertEqual(self.committed(engine), {"item": [(1, "first"), (2, "a")]})
        self.assertEqual(self.judge(), self.before)

    @unittest.skipIf(NEW_AUTOCOMMIT, "the attribute autocommit came with Python 3.12")
    def test_no_autocommit(self) -> None:
        """Before Python 3.12 there is nothing of that name to be read or set."""

        def program(connection: Any) -> Any:
            with self.assertRaisesRegex(AttributeError, "autocommit"):
                connection.autocommit = False
            return hasattr(connection, "autocommit"), connection.in_transaction

        self.assert_same(program)

    @unittest.skipUnless(NEW_AUTOCOMMIT, "the attribute autocommit came with Python 3.12")
    def test_autocommit_true(self) -> None:
        """With ``autocommit = True`` every statement stays, and commit and rollback do nothing."""

        def program(connection: Any) -> Any:
            connection.execute("INSERT INTO item (name) VALUES ('a')")
            connection.autocommit = True
            said = [connection.autocommit, connection.in_transaction]
            connection.execute("INSERT INTO item (name) VALUES ('b')")
            connection.rollback()
            connection.execute("BEGIN")
            connection.execute("INSERT INTO item (name) VALUES ('c')")
            connection.rollback()
            said.append(connection.in_transaction)
            connection.executescript("INSERT INTO item (name) VALUES ('d')")
            said.append(connection.in_transaction)
            connection.execute("ROLLBACK")
            return said

        self.assert_same(program)

    @unittest.skipUnless(NEW_AUTOCOMMIT, "the attribute autocommit came with Python 3.12")
    def test_autocommit_false(self) -> None:
        """With ``autocommit = False`` a transaction is open all the time."""

        def program(connection: Any) -> Any:
            connection.autocommit = False
            said = [connection.in_transaction]
            connection.execute("CREATE TABLE made (id)")
            connection.rollback()
            said.append(connection.in_transaction)
            connection.execute("INSERT INTO item (name) VALUES ('a')")
            connection.commit()
            said.append(connection.in_transaction)
            connection.executescript("INSERT INTO item (name) VALUES ('b')")
            said.append(connection.in_transaction)
            connection.execute("INSERT INTO item (name) VALUES ('c')")
            connection.close()
            return said

        self.assert_same(program)

    @unittest.skipUnless(NEW_AUTOCOMMIT, "the attribute autocommit came with Python 3.12")
    def test_autocommit_false_without_transaction(self) -> None:
        """Where a text has ended that transaction, commit() and rollback() fail, and begin none."""

        def scenario(connection: Any) -> Any:
            connection.autocommit = False
            said = []
            for end in (connection.rollback, connection.commit):
                connection.execute("COMMIT")
                for _ in range(2):
                    with self.assertRaises(sqlite3.OperationalError) as caught:
                        end()
                    said.append((str(caught.exception), caught.exception.sqlite_errorname))
                    said.append(connection.in_transaction)
                connection.execute("BEGIN")
            return said

        self.assert_same(scenario)

    @unittest.skipUnless(NEW_AUTOCOMMIT, "the attribute autocommit came with Python 3.12")
    def test_autocommit_false_of_a_listener(self) -> None:
        """SQLAlchemy's recommended listener works, in one test after another."""
        engine = self.engine()

        @event.listens_for(engine, "connect")
        def switch(connection: Any, record: Any) -> None:
            connection.autocommit = False

        sandbox = self.sandbox(engine)
        for _ in range(2):
            sandbox.begin_test()
            with engine.begin() as connection:
                connection.execute(text("INSERT INTO item (name) VALUES ('a')"))
            with engine.connect() as connection:
                connection.execute(text("DROP TABLE counted"))
            with engine.connect() as connection:
                names = connection.execute(text("SELECT item.name FROM item, counted")).all()
                self.assertEqual(names, [])
                self.assertEqual(connection.scalar(text("SELECT count(*) FROM item")), 2)
            sandbox.end_test()
        self.assertEqual(self.judge(), self.before)

    @unittest.skipUnless(NEW_AUTOCOMMIT, "the attribute autocommit came with Python 3.12")
    def test_autocommit_of_connect_args(self) -> None:
        """``connect_args`` say it, too, and wrong values end in the driver's error."""
        engine = self.engine(connect_args={"autocommit": False})
        connection, _ = self.play(engine)
        connection.execute("SELECT 1")
        self.assertTrue(connection.in_transaction)
        with self.assertRaisesRegex(ValueError, "^autocommit must be True, False, or sqlite3"):
            connection.autocommit = 7

    def test_executescript(self) -> None:
        """A script commits what was pending and then each of its statements."""

        def program(connection: Any) -> Any:
            connection.execute("INSERT INTO item (name) VALUES ('a')")
            cursor = connection.executescript(
                "INSERT INTO item (name) VALUES ('b; -- no');\n-- just this;\n"
                "CREATE TRIGGER t AFTER INSERT ON counted BEGIN\n"
                "  INSERT INTO item (name) VALUES (new.name); SELECT 1;\nEND;\n"
                "INSERT INTO counted (name) VALUES ('c'); SELECT 'x';"
                "BEGIN; INSERT INTO item (name) VALUES ('d'); ROLLBACK;"
                "BEGIN; INSERT INTO item (name) VALUES ('e')"
            )
            inside = connection.in_transaction
            connection.commit()
            return inside, type(cursor).__name__

        self.assert_same(program)

    def test_executescript_that_fails(self) -> None:
        """What a script did before its error stays."""

        def program(connection: Any) -> Any:
            return attempt(
                lambda: connection.executescript(
                    "INSERT INTO item (name) VALUES ('a'); INSERT INTO nowhere VALUES (1);"
                    "INSERT INTO item (name) VALUES ('b');"
                )
            )

        self.assert_same(program)

    def test_connection_as_a_block(self) -> None:
        """``with connection:`` commits, and rolls back when its block raises."""

        def program(connection: Any) -> Any:
            with connection as entered:
                connection.execute("INSERT INTO item (name) VALUES ('a')")
            with contextlib.suppress(ZeroDivisionError), connection:
                connection.execute("INSERT INTO item (name) VALUES ('b')")
                raise ZeroDivisionError
            return entered is connection, connection.in_transaction

        self.assert_same(program)

    def test_close_rolls_back(self) -> None:
        """What was not committed is gone with its connection, which takes nothing more."""

        def program(connection: Any) -> Any:
            cursor = connection.cursor()
            connection.execute("INSERT INTO item (name) VALUES ('a')")
            connection.close()
            connection.close()
            return [
                attempt(call)
                for call in (
                    connection.commit,
                    connection.rollback,
                    connection.cursor,
                    lambda: connection.execute("SELECT 1"),
                    lambda: cursor.execute("SELECT 1"),
                )
            ]

        self.assert_same(program)

    def test_total_changes(self) -> None:
        """Each connection counts its own changes, undone ones too."""

        def program(connection: Any) -> Any:
            said = [connection.total_changes]
            connection.executemany("INSERT INTO item (name) VALUES (?)", [("a",), ("b",)])
            said.append(connection.total_changes)
            connection.rollback()
            connection.execute("DELETE FROM item")
            said.append(connection.total_changes)
            return said

        self.assertEqual(self.assert_same(program)[0], [0, 2, 3])

    def test_total_changes_of_several(self) -> None:
        """What another connection changes is not counted."""
        engine = self.engine()
        connection, _ = self.play(engine)
        connection.execute("DELETE FROM item")
        connection.commit()
        self.assertEqual((connection.total_changes, self.raw(engine).total_changes), (1, 0))


# -- what SQLite says --------------------------------------------------------------------------


class TestErrors(SQLiteCase):
    """Errors are the driver's own, and undo what SQLite undoes."""

    def test_transaction_control(self) -> None:
        """Control at the wrong moment ends in SQLite's own errors."""

        def program(connection: Any) -> Any:
            said = []
            for sql in (
                "COMMIT",
                "ROLLBACK",
                "RELEASE lost",
                "ROLLBACK TO SAVEPOINT lost",
                "BEGIN",
                "BEGIN",
                "ROLLBACK TO lost",
                "COMMIT WORK",
                "SAVEPOINT",
                "COMMIT; SELECT 1",
                "SELEC",
                "ROLLBACK TRANSACTION",
            ):
                said.append(attempt(lambda sql=sql: connection.execute(sql).fetchall()))
                said.append(connection.in_transaction)
            return said

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.assert_same(program)

    def test_wrong_arguments(self) -> None:
        """What the driver refuses before it sends anything is refused by it."""

        def program(connection: Any) -> Any:
            said = []
            for call in (
                lambda: connection.execute(1),
                lambda: connection.execute("SELECT ?"),
                lambda: connection.executemany("SELECT ?", [(1,)]),
                lambda: connection.executemany("COMMIT", [()]),
                lambda: connection.executemany("INSERT INTO item VALUES (?, ?)", 1),
            ):
                try:
                    said.append(attempt(call))
                except TypeError as error:
                    said.append(type(error))
            return said

        self.assert_same(program)

    def test_failed_statement(self) -> None:
        """A failed statement undoes itself and nothing else."""

        def program(connection: Any) -> Any:
            connection.execute("INSERT INTO item (name) VALUES ('a')")
            said = attempt(
                lambda: connection.execute("INSERT INTO item (name) VALUES ('b'), ('a')")
            )
            connection.execute("INSERT INTO item (name) VALUES ('c')")
            connection.commit()
            return said

        self.assert_same(program)

    def test_on_conflict(self) -> None:
        """Each of SQLite's ways to resolve a conflict leaves what it leaves."""
        for way in ("ABORT", "FAIL", "IGNORE", "REPLACE", "ROLLBACK"):
            for begins in (True, False):
                with self.subTest(way, begins=begins):

                    def program(connection: Any, way: str = way, begins: bool = begins) -> Any:
                        connection.isolation_level = "" if begins else None
                        connection.execute("INSERT INTO item VALUES (5, 'a')")
                        said = [
                            attempt(
                                lambda: connection.execute(
                                    f"INSERT OR {way} INTO item VALUES (6, 'b'), (7, 'a')"
                                ).fetchall()
                            ),
                            connection.in_transaction,
                        ]
                        connection.execute("INSERT INTO item VALUES (8, 'c')")
                        connection.commit()
                        return said

                    self.assert_same(program)

    def test_executemany_that_fails(self) -> None:
        """The rows before the one that failed stay, if they are committed."""
        for begins in (True, False):
            with self.subTest(begins=begins):

                def program(connection: Any, begins: bool = begins) -> Any:
                    connection.isolation_level = "" if begins else None
                    names = [("a",), ("b",), ("a",), ("c",)]
                    said = attempt(
                        lambda: connection.executemany(
                            "INSERT INTO item (name) VALUES (?)", iter(names)
                        )
                    )
                    inside = connection.in_transaction
                    connection.commit()
                    return said, inside

                self.assert_same(program)

    def test_rollback_of_a_table(self) -> None:
        """ON CONFLICT ROLLBACK in a table ends the program's transaction, where that is all."""

        def program(connection: Any) -> Any:
            connection.execute("INSERT INTO item (name) VALUES ('a')")
            connection.execute("INSERT INTO strict_item VALUES ('x')")
            said = attempt(lambda: connection.execute("INSERT INTO strict_item VALUES ('x')"))
            inside = connection.in_transaction
            connection.execute("INSERT INTO item (name) VALUES ('b')")
            connection.commit()
            return said, inside

        self.assert_same(program)

    def test_rollback_of_a_table_beside_committed_work(self) -> None:
        """Where SQLite's own ROLLBACK takes committed work with it, that is said."""
        engine = self.engine()
        sandbox = self.sandbox(engine)
        sandbox.begin_test()
        connection = self.raw(engine)
        connection.execute("INSERT INTO strict_item VALUES ('x')")
        connection.commit()
        with self.assertRaises(SandboxConflict) as caught:
            connection.execute("INSERT INTO strict_item VALUES ('x')")
        self.assertEqual(
            without_lines(caught.exception),
            "SQLite ended the whole transaction for an error of connection 1 (its transaction "
            "began at tests/test_sqlite.py:LINE): UNIQUE constraint failed: strict_item.name. It "
            "does so for ON CONFLICT ROLLBACK in a table and for RAISE(ROLLBACK), and in a sandbox "
            "what was written by connection 1 (its transaction began at "
            "tests/test_sqlite.py:LINE) is lost with it. Test this code on real connections: "
            "in a unittest.TestCase, on a "
            "database of its own.",
        )
        self.assertTrue(sandbox.died)
        self.assertIsInstance(attempt(lambda: connection.execute("SELECT 1")), tuple)
        sandbox.end_test()
        self.assertEqual(self.judge(), self.before)


class TestSavepoints(SQLiteCase):
    """Savepoints of the program."""

    def test_savepoint_begins(self) -> None:
        """A SAVEPOINT outside a transaction begins one, and its RELEASE commits."""

        def program(connection: Any) -> Any:
            connection.isolation_level = None
            connection.execute("SAVEPOINT a")
            said = [connection.in_transaction]
            connection.execute("INSERT INTO item (name) VALUES ('a')")
            connection.execute("SAVEPOINT b")
            connection.execute("INSERT INTO item (name) VALUES ('b')")
            connection.execute("ROLLBACK TO a")
            said += [connection.in_transaction, attempt(lambda: connection.execute("RELEASE b"))]
            connection.execute("INSERT INTO item (name) VALUES ('c')")
            connection.execute("RELEASE a")
            said.append(connection.in_transaction)
            connection.rollback()
            return said

        self.assertEqual(self.assert_same(program)[0][3], False)

    def test_names(self) -> None:
        """Names may be quoted, shadow each other, and do not mind their case."""

        def program(connection: Any) -> Any:
            connection.execute("INSERT INTO item (name) VALUES ('a')")
            connection.execute("SAVEPOINT Ab")
            connection.execute("INSERT INTO item (name) VALUES ('b')")
            connection.execute('SAVEPOINT "aB"')
            connection.execute("INSERT INTO item (name) VALUES ('c')")
            connection.execute("ROLLBACK TRANSACTION TO SAVEPOINT [ab]")
            connection.execute("RELEASE SAVEPOINT `AB`")
            connection.execute("INSERT INTO item (name) VALUES ('d')")
            connection.execute("ROLLBACK TO 'ab'")
            connection.execute("INSERT INTO item (name) VALUES ('e')")
            connection.commit()
            return attempt(lambda: connection.execute("RELEASE ab"))

        self.assert_same(program)

    def test_release_of_inner(self) -> None:
        """In a transaction of BEGIN the RELEASE of its first savepoint does not commit."""

        def program(connection: Any) -> Any:
            connection.execute("INSERT INTO item (name) VALUES ('a')")
            connection.execute("SAVEPOINT a")
            connection.execute("RELEASE a")
            inside = connection.in_transaction
            connection.rollback()
            return inside

        self.assertEqual(self.assert_same(program)[0], True)

    def test_released_work_is_out_of_reach(self) -> None:
        """A savepoint that is set after a RELEASE does not reach what was released."""

        def program(connection: Any) -> Any:
            connection.execute("BEGIN")
            for sent in (
                "SAVEPOINT one",
                "INSERT INTO item (name) VALUES ('1')",
                "RELEASE one",
                "SAVEPOINT two",
                "INSERT INTO item (name) VALUES ('2')",
                "ROLLBACK TO two",
                "COMMIT",
            ):
                connection.execute(sent)

        self.assert_same(program)

    def test_ddl(self) -> None:
        """DDL is undone by a savepoint, too."""

        def program(connection: Any) -> None:
            connection.execute("INSERT INTO item (name) VALUES ('a')")
            connection.execute("SAVEPOINT a")
            connection.execute("CREATE TABLE made (id)")
            connection.execute("ALTER TABLE item ADD COLUMN age INTEGER")
            connection.execute("ROLLBACK TO a")
            connection.execute("CREATE TABLE made_too (id)")
            connection.commit()

        self.assert_same(program)

    def test_silent_writes(self) -> None:
        """What no counter tells of is undone with its transaction."""

        def program(connection: Any) -> Any:
            connection.isolation_level = None
            said = []
            for ending in ("ROLLBACK", "COMMIT", "ROLLBACK TO a"):
                connection.execute("BEGIN")
                connection.execute("SAVEPOINT a")
                connection.execute("PRAGMA user_version = 5")
                connection.execute("CREATE TEMP TABLE made (id)")
                connection.execute("CREATE INDEX i ON item (name)")
                connection.execute(ending)
                said.append(connection.execute("PRAGMA user_version").fetchall())
                said.append(attempt(lambda: connection.execute("SELECT * FROM made").fetchall()))
                said.append(attempt(lambda: connection.execute("REINDEX i").fetchall()))
                if connection.in_transaction:
                    connection.commit()
                connection.execute("PRAGMA user_version = 0")
                connection.execute("DROP TABLE IF EXISTS temp.made")
                connection.execute("DROP INDEX IF EXISTS i")
            return said

        self.assert_same(program)


class TestForeignKeys(SQLiteCase):
    """Deferred foreign keys are checked when a virtual transaction commits."""

    def test_commit_fails(self) -> None:
        """A violated deferred key fails the commit, and the transaction goes on."""

        def program(connection: Any) -> Any:
            connection.execute("INSERT INTO child (later_id) VALUES (9)")
            said = [attempt(connection.commit), connection.in_transaction]
            connection.execute("INSERT INTO item VALUES (9, 'late')")
            said += [attempt(connection.commit), connection.in_transaction]
            connection.execute("DELETE FROM item WHERE id = 9")
            said += [attempt(lambda: connection.execute("COMMIT")), connection.in_transaction]
            connection.rollback()
            return [*said, connection.in_transaction]

        said = self.assert_same(program, foreign_keys)[0]
        self.assertEqual(said[0][:2], (sqlite3.IntegrityError, "FOREIGN KEY constraint failed"))

    def test_statement_of_its_own(self) -> None:
        """Outside a transaction the statement itself fails."""

        def program(connection: Any) -> Any:
            connection.isolation_level = None
            said = attempt(lambda: connection.execute("INSERT INTO child (later_id) VALUES (9)"))
            return said[:2], connection.in_transaction

        self.assert_same(program, foreign_keys)

    def test_release(self) -> None:
        """The RELEASE that would commit fails like a commit."""

        def program(connection: Any) -> Any:
            connection.isolation_level = None
            connection.execute("SAVEPOINT a")
            connection.execute("INSERT INTO child (later_id) VALUES (9)")
            said = [attempt(lambda: connection.execute("RELEASE a"))[:2]]
            said.append(connection.in_transaction)
            connection.execute("ROLLBACK TO a")
            connection.execute("RELEASE a")
            return said

        self.assert_same(program, foreign_keys)

    def test_block_that_fails(self) -> None:
        """``with connection:`` rolls back where its commit fails."""

        def program(connection: Any) -> Any:
            def block() -> None:
                with connection:
                    connection.execute("INSERT INTO child (later_id) VALUES (9)")

            return attempt(block), connection.in_transaction

        self.assert_same(program, foreign_keys)

    def test_switched_off(self) -> None:
        """Without ``PRAGMA foreign_keys`` nothing is checked."""

        def program(connection: Any) -> Any:
            connection.execute("INSERT INTO child (later_id, item_id) VALUES (9, 9)")
            connection.commit()

        self.assert_same(program)

    def test_immediate(self) -> None:
        """A key that is not deferred is checked at once."""

        def program(connection: Any) -> Any:
            said = attempt(lambda: connection.execute("INSERT INTO child (item_id) VALUES (9)"))
            connection.commit()
            return said

        self.assert_same(program, foreign_keys)

    def test_defer_foreign_keys(self) -> None:
        """``PRAGMA defer_foreign_keys`` holds for one transaction."""

        def program(connection: Any) -> Any:
            connection.execute("INSERT INTO item VALUES (2, 'b')")
            cursor = connection.execute("PRAGMA defer_foreign_keys = ON")
            self.assertEqual((cursor.fetchall(), cursor.description), ([], None))
            connection.execute("INSERT INTO child (item_id) VALUES (9)")
            said = [attempt(connection.commit)]
            connection.execute("INSERT INTO item VALUES (9, 'late')")
            connection.commit()
            said.append(attempt(lambda: connection.execute("DELETE FROM item WHERE id = 9")))
            return said

        self.assert_same(program, foreign_keys)

    def test_old_violations(self) -> None:
        """A row that violated its key before is nobody's fault."""

        def program(connection: Any) -> Any:
            connection.execute("INSERT INTO child (later_id) VALUES (1)")
            return attempt(connection.commit)

        def listen(engine: Engine) -> None:
            with contextlib.closing(sqlite3.connect(self.path)) as judge:
                judge.execute("INSERT INTO child (later_id) VALUES (99)")
                judge.commit()
            self.before = self.judge()
            foreign_keys(engine)

        self.assert_same(program, listen)

    def test_session(self) -> None:
        """A session's commit raises, and its rollback clears up."""
        engine = self.engine()
        foreign_keys(engine)
        with sandboxed(engine):
            with Session(engine) as session:
                session.execute(text("INSERT INTO child (later_id) VALUES (9)"))
                with self.assertRaises(IntegrityError):
                    session.commit()
                session.rollback()
                session.execute(text("INSERT INTO child (later_id) VALUES (1)"))
                session.commit()
            self.assertEqual(self.committed(engine)["child"], [(1, None, 1)])

    def test_beside_others(self) -> None:
        """Beside others' uncommitted work it cannot be told whose rows they are."""
        engine = self.engine()
        foreign_keys(engine)
        one, _ = self.play(engine)
        other = self.raw(engine)
        one.execute("INSERT INTO child (later_id) VALUES (9)")
        with self.assertWarns(UncommittedDataWarning):
            other.execute("INSERT INTO counted (name) VALUES ('x')")
        with self.assertRaisesRegex(SandboxConflict, "^a deferred foreign key failed when conn"):
            other.commit()


# -- what belongs to a connection --------------------------------------------------------------


class TestListeners(SQLiteCase):
    """What ``connect`` listeners do."""

    def test_pragmas_take_effect(self) -> None:
        """PRAGMAs of a listener are sent before the transaction begins, and only once."""
        sent: list[str] = []
        engine = self.engine(poolclass=NullPool)

        @event.listens_for(engine, "connect")
        def listen(connection: Any, record: Any) -> None:
            cursor = connection.cursor()
            for sql in (
                "PRAGMA foreign_keys = ON",
                "PRAGMA synchronous = OFF",
                "PRAGMA journal_mode = WAL",
                "PRAGMA main.cache_size(-4000)",
            ):
                cursor.execute(sql)
            sent.append(cursor.execute("SELECT count(*) FROM item").fetchone()[0])
            cursor.close()

        sandbox = self.sandbox(engine)
        for _ in range(2):
            sandbox.begin_test()
            for _ in range(2):
                with engine.begin() as connection:
                    found = [
                        connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                        for name in ("foreign_keys", "synchronous", "journal_mode", "cache_size")
                    ]
                    self.assertEqual(found, [1, 0, "wal", -4000])
                    connection.exec_driver_sql("DELETE FROM item")
            sandbox.end_test()
        self.assertEqual(sent, [1, 0, 1, 0])
        self.assertEqual(self.judge(), self.before)

    def test_spellings(self) -> None:
        """The same PRAGMA in other words is the same."""
        engines = [self.engine(), self.engine(), self.engine()]
        for engine, spelling in zip(engines, ("= ON", "(yes)", "=1"), strict=True):

            @event.listens_for(engine, "connect")
            def listen(connection: Any, record: Any, spelling: str = spelling) -> None:
                connection.execute(f"PRAGMA Foreign_Keys{spelling}")

        self.sandbox(*engines).begin_test()
        for engine in engines:
            with engine.begin() as connection:
                connection.exec_driver_sql("DELETE FROM item WHERE id > 100")
                asked = connection.exec_driver_sql("PRAGMA foreign_keys")
                self.assertEqual(asked.scalar(), 1)

    def different(self, *statements: str | None) -> str:
        engines = [self.engine() for _ in statements]
        for engine, statement in zip(engines, statements, strict=True):
            if statement is not None:

                @event.listens_for(engine, "connect")
                def listen(connection: Any, record: Any, sql: str = statement) -> None:
                    connection.execute(sql)

        self.sandbox(*engines).begin_test()
        engines[0].connect().close()
        with self.assertRaises(SandboxConflict) as caught:
            engines[1].connect()
        return without_lines(caught.exception)

    def test_different_pragmas(self) -> None:
        """Engines whose PRAGMAs differ are refused, and both are named."""
        self.assertEqual(
            self.different("PRAGMA foreign_keys = ON", "PRAGMA foreign_keys = OFF"),
            "a connection asks for PRAGMA foreign_keys = 0 at tests/test_sqlite.py:LINE, and the "
            "connection of ShopTest's sandbox was made at tests/test_sqlite.py:LINE with PRAGMA "
            "foreign_keys = 1. All connections to one database share it there, and foreign_keys "
            "cannot differ between them. Give the engines the same `connect` listeners.",
        )

    def test_missing_pragma(self) -> None:
        """An engine without a PRAGMA that another has is refused, if it changes answers."""
        self.assertEqual(
            self.different("PRAGMA foreign_keys = ON", None),
            "a connection does not send PRAGMA foreign_keys at tests/test_sqlite.py:LINE, and the "
            "connection of ShopTest's sandbox was made at tests/test_sqlite.py:LINE with PRAGMA "
            "foreign_keys = 1. All connections to one database share it there, and foreign_keys "
            "cannot differ between them. Give the engines the same `connect` listeners.",
        )

    def test_additional_pragma(self) -> None:
        """So is one that has a PRAGMA more."""
        self.assertEqual(
            self.different(None, "PRAGMA foreign_keys = ON"),
            "a connection asks for PRAGMA foreign_keys = 1 at tests/test_sqlite.py:LINE, and the "
            "connection of ShopTest's sandbox was made at tests/test_sqlite.py:LINE without it (it "
            "is 0). All connections to one database share it there, and foreign_keys cannot differ "
            "between them. Give the engines the same `connect` listeners.",
        )

    def test_unseen_differences(self) -> None:
        """How long one waits or how much is cached makes no difference to a test."""
        engines = [self.engine(), self.engine(), self.engine(isolation_level="SERIALIZABLE")]

        @event.listens_for(engines[1], "connect")
        def listen(connection: Any, record: Any) -> None:
            connection.execute("PRAGMA busy_timeout = 1")
            connection.execute("PRAGMA cache_size = 77")

        sandbox = self.sandbox(*engines)
        sandbox.begin_test()
        for engine in engines:
            engine.connect().close()
        self.assertEqual(sandbox.conflicts, [])

    def test_pragma_of_the_program(self) -> None:
        """A PRAGMA that the program sends takes effect as long as nothing was written."""
        connection, _ = self.play()
        connection.execute("SELECT * FROM item").fetchall()
        connection.execute("PRAGMA foreign_keys = ON")
        self.assertEqual(connection.execute("PRAGMA foreign_keys").fetchall(), [(1,)])
        connection.execute("DELETE FROM item")
        connection.execute("PRAGMA foreign_keys = OFF")  # ignored by SQLite, too
        self.assertEqual(connection.execute("PRAGMA foreign_keys").fetchall(), [(1,)])
        connection.commit()
        with self.assertRaises(SandboxConflict) as caught:
            connection.execute("PRAGMA foreign_keys = OFF")
        self.assertEqual(
            str(caught.exception),
            "PRAGMA foreign_keys = 0 cannot take effect in a sandbox, where everything that is "
            "done is one transaction, and something was written already. Send it in a `connect` "
            "listener of the engine, or test this code on real connections: "
            "in a unittest.TestCase, on a database of its "
            "own.",
        )

    def test_listener_that_writes(self) -> None:
        """What a listener writes and commits is undone as well."""
        engine = self.engine()

        @event.listens_for(engine, "connect")
        def listen(connection: Any, record: Any) -> None:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("CREATE TABLE IF NOT EXISTS made (id)")
            connection.execute("INSERT INTO made VALUES (1)")
            connection.commit()
            connection.execute("INSERT INTO made VALUES (2)")
            connection.rollback()

        with sandboxed(engine), engine.connect() as connection:
            self.assertEqual(connection.execute(text("SELECT * FROM made")).all(), [(1,)])
            self.assertEqual(connection.scalar(text("PRAGMA foreign_keys")), 1)
        self.assertEqual(self.judge(), self.before)

    def test_connection_kept_by_a_listener(self) -> None:
        """The connection that a listener was given is of no use afterwards."""
        kept = []
        engine = self.engine()
        event.listen(engine, "connect", lambda connection, record: kept.append(connection))
        with self.assertRaises(SandboxConflict) as caught, sandboxed(engine):
            engine.connect().close()
            # it ends the block, too, where the program swallows it
            with contextlib.suppress(SandboxConflict):
                kept[0].execute("COMMIT")
        self.assertEqual(
            str(caught.exception),
            "the connection that a `connect` listener was given is used after the listener "
            "returned. All virtual connections share it. Keep the one that the engine gives.",
        )
        self.assertIsInstance(kept[0], sqlite3.Connection)

    def test_functions(self) -> None:
        """Functions, aggregates and collations are registered once, beside open cursors too."""
        engine = self.engine()

        class Longest:
            def __init__(self) -> None:
                self.found = ""

            def step(self, value: str) -> None:
                self.found = max(self.found, value, key=len)

            def finalize(self) -> str:
                return self.found

        @event.listens_for(engine, "connect")
        def listen(connection: Any, record: Any) -> None:
            connection.create_function("shout", 1, lambda value: f"{value}!")
            connection.create_function("shout", 2, lambda value, by: value + by)
            connection.create_aggregate("longest", 1, Longest)
            connection.create_collation("backwards", lambda a, b: (a < b) - (a > b))
            connection.row_factory = sqlite3.Row

        with sandboxed(engine), engine.connect() as one:
            one.exec_driver_sql("INSERT INTO item (name) VALUES ('a'), ('b')")
            one.commit()
            cursor = one.connection.cursor()
            cursor.execute("SELECT shout(name), shout(name, '?') FROM item ORDER BY name")
            self.assertEqual(tuple(cursor.fetchone()), ("a!", "a?"))
            with engine.connect() as other:
                row = other.exec_driver_sql(
                    "SELECT longest(name), max(name COLLATE backwards) FROM item"
                ).one()
                self.assertEqual(tuple(row), ("first", "a"))
                regexp = other.scalar(text("SELECT count(*) FROM item WHERE name REGEXP '^[ab]'"))
                self.assertEqual(regexp, 2)
            self.assertIsInstance(cursor.fetchone(), sqlite3.Row)

    def test_different_functions(self) -> None:
        """Two things of one name are refused while both connections are open."""
        engine = self.engine()
        one, _ = self.play(engine)
        other = self.raw(engine)
        one.create_function("which", 0, lambda: 1)
        with self.assertRaises(SandboxConflict) as caught:
            other.create_function("which", 0, lambda: 2)
        self.assertEqual(
            without_lines(caught.exception),
            'two connections register different things as function "which", connection 1 at '
            "tests/test_sqlite.py:LINE and connection 2 at tests/test_sqlite.py:LINE, and in "
            "ShopTest's sandbox they share one connection. Register the same object on each, or "
            "give them different names.",
        )
        one.create_function("which", 0, lambda: 3)
        self.assertEqual(one.execute("SELECT which()").fetchone(), (3,))

    def test_connect_args(self) -> None:
        """What an engine gives to the driver is kept, and must not differ where it is seen."""
        engine = self.engine(connect_args={"detect_types": sqlite3.PARSE_COLNAMES, "timeout": 1})
        twin = self.engine(connect_args={"detect_types": sqlite3.PARSE_COLNAMES})
        stranger = self.engine(connect_args={"isolation_level": None})
        self.sandbox(engine, twin, stranger).begin_test()
        sqlite3.register_converter("shouted", lambda value: f"{value.decode()}!")
        for each in (engine, twin):
            found = self.raw(each).execute("SELECT name AS 'n [shouted]' FROM item").fetchone()
            self.assertEqual(found, ("first!",))
        with self.assertRaises(SandboxConflict) as caught:
            stranger.connect()
        self.assertEqual(
            without_lines(caught.exception),
            "an engine connects at tests/test_sqlite.py:LINE with {}, and the connection of "
            "ShopTest's sandbox was made at tests/test_sqlite.py:LINE with "
            f"{{'detect_types': {sqlite3.PARSE_COLNAMES}}}. All engines of one database share one "
            "connection there. Give them the same connect_args.",
        )

    def test_isolation_level_of_connect_args(self) -> None:
        """Each engine keeps its own way to begin transactions."""
        engines = [self.engine(connect_args={"isolation_level": None}), self.engine()]
        self.sandbox(*engines).begin_test()
        one, other = map(self.raw, engines)
        self.assertEqual((one.isolation_level, other.isolation_level), (None, ""))
        one.execute("INSERT INTO item (name) VALUES ('a')")
        other.execute("INSERT INTO item (name) VALUES ('b')")
        self.assertEqual((one.in_transaction, other.in_transaction), (False, True))

    def test_factory(self) -> None:
        """The engine's own class of connections is used, and may send statements when made."""

        class Connection(sqlite3.Connection):
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, **kwargs)
                self.execute("PRAGMA foreign_keys = ON")
                self.create_function("two", 0, lambda: 2)

            def cursor(self, factory: Any = None) -> Any:
                return super().cursor(factory or Cursor)

            def names(self) -> list[str]:
                return [name for (name,) in self.execute("SELECT name FROM item")]

        class Cursor(sqlite3.Cursor):
            def first(self) -> Any:
                return self.fetchone()[0]

        engine = self.engine(connect_args={"factory": Connection})
        connection, sandbox = self.play(engine)
        self.assertIsInstance(sandbox.real, Connection)  # type: ignore[attr-defined]
        self.assertEqual(connection.execute("SELECT two()").first(), 2)
        self.assertEqual(connection.execute("PRAGMA foreign_keys").fetchall(), [(1,)])
        connection.execute("INSERT INTO item (name) VALUES ('a')")
        self.assertEqual(connection.names(), ["first", "a"])


class TestConnection(SQLiteCase):
    """What else a connection and its cursors can do."""

    def test_cursors(self) -> None:
        """Cursors are the driver's, know their connection, and forget what they had."""

        class Cursor(sqlite3.Cursor):
            pass

        def program(connection: Any) -> Any:
            cursor = connection.cursor()
            said = [isinstance(cursor, sqlite3.Cursor), cursor.connection is connection]
            said.append(isinstance(connection.cursor(Cursor), Cursor))
            connection.row_factory = lambda cursor, row: list(row)
            cursor = connection.execute("INSERT INTO item (name) VALUES ('a'), ('b')")
            said += [cursor.lastrowid, cursor.rowcount, cursor.description]
            said += [list(connection.execute("SELECT id FROM item"))]
            cursor.execute("SELECT * FROM item")
            said += [[column[0] for column in cursor.description], cursor.fetchmany(2)]
            cursor.execute("COMMIT")
            said += [cursor.description, cursor.fetchall(), cursor.rowcount]
            cursor.execute("SELECT :id", {"id": 3})
            said.append(cursor.fetchone())
            cursor.executemany("INSERT INTO item (name) VALUES (?)", (("c",), ("d",)))
            said.append(cursor.rowcount)
            cursor.close()
            said.append(attempt(lambda: cursor.execute("SELECT 1")))
            return said

        self.assert_same(program)

    def test_function_that_makes_cursors(self) -> None:
        """A factory that is no class is refused."""
        connection, _ = self.play()
        with self.assertRaisesRegex(SandboxConflict, "makes cursors and is no subclass of sqlite3"):
            connection.cursor(lambda real: sqlite3.Cursor(real))

    def test_open_cursor_outlives_endings(self) -> None:
        """Rows are fetched on while other work is committed and rolled back."""

        def program(connection: Any) -> Any:
            connection.executemany(
                "INSERT INTO counted (name) VALUES (?)", [(str(i),) for i in range(9)]
            )
            connection.commit()
            found = []
            for (name,) in connection.execute("SELECT name FROM counted ORDER BY id"):
                found.append(name)
                connection.execute("INSERT INTO item (name) VALUES (?)", (name,))
                if int(name) % 2:
                    connection.rollback()
                else:
                    connection.commit()
            return found

        self.assert_same(program)

    def test_returning(self) -> None:
        """RETURNING gives its rows."""

        def program(connection: Any) -> Any:
            cursor = connection.execute("INSERT INTO item (name) VALUES ('a') RETURNING id")
            said = [cursor.fetchall(), connection.total_changes]
            connection.commit()
            return said

        self.assert_same(program)

    def test_returning_half_fetched(self) -> None:
        """Beside rows of a RETURNING that nobody fetched others are told so; the test ends well."""
        engine = self.engine()
        one, sandbox = self.play(engine)
        other = self.raw(engine)
        sql = "INSERT INTO item (name) VALUES ('a'), ('b') RETURNING id"
        cursor = one.execute(sql)
        cursor.fetchone()
        with self.assertRaises(SandboxConflict) as caught:
            other.execute("SELECT * FROM item")
        self.assertEqual(
            without_lines(caught.exception),
            "connection 2 (its transaction began at tests/test_sqlite.py:LINE) sends a statement "
            "while connection 1 (its transaction began at tests/test_sqlite.py:LINE) has not "
            "fetched all rows of an INSERT, UPDATE or DELETE ... RETURNING. On real connections "
            "the database would be locked, and one connection cannot keep the two apart. Fetch all "
            "rows first.",
        )
        sandbox.end_test()
        sandbox.begin_test()
        self.assertEqual(one.execute(sql).fetchall(), [(2,), (3,)])

    def test_rows_beside_a_changed_schema(self) -> None:
        """After a ROLLBACK TO rows are fetched on, unless the schema was changed: as told."""

        def program(connection: Any) -> Any:
            connection.isolation_level = None
            connection.execute("INSERT INTO item (name) VALUES ('a'), ('b')")
            rows = connection.execute("SELECT name FROM item")
            said = [rows.fetchone()]
            connection.execute("SAVEPOINT s")
            connection.execute("INSERT INTO counted (name) VALUES ('c')")
            connection.execute("ROLLBACK TO s")
            return [*said, *rows.fetchmany(1), *rows]

        self.assert_same(program)
        engine = self.engine()
        one, _ = self.play(engine)
        one.executemany("INSERT INTO item (name) VALUES (?)", ["a", "b", "c"])
        one.commit()
        one.execute("CREATE TABLE made (x)")
        fetches: list[Callable[[Any], Any]] = [
            next, list, lambda r: r.fetchone(), lambda r: r.fetchmany(2), lambda r: r.fetchall()
        ]  # fmt: skip
        for fetch in fetches:
            other = self.raw(engine)
            other.isolation_level = None
            rows = other.execute("SELECT name FROM item")
            rows.fetchone()
            other.execute("SAVEPOINT s")
            other.execute("INSERT INTO counted (name) VALUES ('c')")
            other.execute("ROLLBACK TO s")
            with self.assertRaises(SandboxConflict) as caught:
                fetch(rows)
            self.assertRegex(
                str(caught.exception),
                r"^connection \d \(its transaction began at .*\) fetches rows of before a "
                r"ROLLBACK: abort due to ROLLBACK\. SQLite ends a statement so where the "
                r"transaction has changed the schema, and in a sandbox that of others is the same "
                r"transaction\. Fetch all rows before the rollback, or test this code on real "
                r"connections: in a unittest.TestCase, on a database of its own\.$",
            )
            other.execute("ROLLBACK")

    def test_text_factory(self) -> None:
        """Each connection has its own text_factory."""
        engine = self.engine()
        one, _ = self.play(engine)
        other = self.raw(engine)
        one.text_factory = bytes
        for _ in range(2):
            self.assertEqual(one.execute("SELECT name FROM item").fetchone(), (b"first",))
            self.assertEqual(other.execute("SELECT name FROM item").fetchone(), ("first",))
        self.assertEqual((one.text_factory, other.text_factory), (bytes, str))
        one.execute("PRAGMA foreign_keys = OFF")

    def test_trace_callback(self) -> None:
        """A trace callback is told what its connection sends, and nothing of ours."""
        engine = self.engine()
        one, _ = self.play(engine)
        other = self.raw(engine)
        traced: list[str] = []
        one.set_trace_callback(traced.append)
        one.execute("INSERT INTO item (name) VALUES ('a')")
        one.commit()
        other.execute("DELETE FROM item")
        other.commit()
        one.execute("SELECT 1")
        one.set_trace_callback(None)
        one.execute("SELECT 2")
        self.assertEqual(traced, ["INSERT INTO item (name) VALUES ('a')", "SELECT 1"])

    def test_authorizer(self) -> None:
        """The program's own authorizer is asked for its connection's statements."""
        engine = self.engine()
        one, _ = self.play(engine)
        other = self.raw(engine)

        def deny_writes(action: int, *about: Any) -> int:
            denied = action == sqlite3.SQLITE_DELETE
            return sqlite3.SQLITE_DENY if denied else sqlite3.SQLITE_OK

        sql = "DELETE FROM item WHERE id = 77"
        one.execute(sql)
        one.rollback()
        one.set_authorizer(deny_writes)
        with self.assertRaisesRegex(sqlite3.DatabaseError, "^not authorized$"):
            one.execute(sql)
        one.rollback()
        other.execute(sql)
        other.rollback()
        one.set_authorizer(None)
        one.execute(sql)

    def test_progress_handler(self) -> None:
        """A progress handler can end a long statement."""
        connection, _ = self.play()
        connection.set_progress_handler(lambda: 1, 100)
        endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT * FROM n"
        with self.assertRaisesRegex(sqlite3.OperationalError, "^interrupted$"):
            connection.execute(endless + " WHERE i < 0").fetchall()
        connection.set_progress_handler(None, 0)
        connection.execute("DELETE FROM item")

    def test_whole_database(self) -> None:
        """``iterdump``, ``backup`` and ``serialize`` give what the connection sees."""
        engine = self.engine()
        connection, _ = self.play(engine)
        connection.execute("INSERT INTO item (name) VALUES ('a')")
        self.assertIn("INSERT INTO \"item\" VALUES(2,'a');", list(connection.iterdump()))
        with contextlib.closing(sqlite3.connect(":memory:")) as copy:
            connection.backup(copy)
            self.assertEqual(rows(copy), {"item": [(1, "first"), (2, "a")]})
        with contextlib.closing(sqlite3.connect(":memory:")) as copy:
            copy.deserialize(connection.serialize())
            self.assertEqual(rows(copy)["item"], [(1, "first"), (2, "a")])
        other = self.raw(engine)
        with self.assertRaisesRegex(SandboxConflict, r"calls backup\(\) beside uncommitted work"):
            other.backup(None)

    def test_blob(self) -> None:
        """A BLOB can be read, and is not written past the sandbox."""
        connection, _ = self.play()
        connection.execute("INSERT INTO item VALUES (5, x'0102')")
        with connection.blobopen("item", "name", 5, readonly=True) as blob:
            self.assertEqual(blob.read(), b"\1\2")
        with self.assertRaises(SandboxConflict) as caught:
            connection.blobopen("item", "name", 5)
        self.assertEqual(
            str(caught.exception),
            "blobopen() for writing cannot be played in a sandbox, because the BLOB talks to the "
            "real connection itself. Give readonly=True, or write it by an UPDATE.",
        )

    def test_deserialize(self) -> None:
        """The database cannot be replaced."""
        connection, _ = self.play()
        with self.assertRaises(SandboxConflict) as caught:
            connection.deserialize(b"")
        self.assertEqual(
            str(caught.exception),
            "deserialize() cannot be played in a sandbox, because it replaces the database in "
            "which the transaction is open. Fill it by SQL, or test this code on real connections: "
            "in a unittest.TestCase, "
            "on a database of its own.",
        )


class TestRefusals(SQLiteCase):
    """What cannot run inside a transaction is refused with its reason."""

    def test_vacuum_and_attach(self) -> None:
        """VACUUM, ATTACH and DETACH are refused by name."""
        connection, _ = self.play()
        for sql in ("VACUUM", "ATTACH ':memory:' AS other", "/* x */ detach other"):
            verb = sql.split()[-2 if "detach" in sql else 0].upper()
            with self.subTest(sql), self.assertRaises(SandboxConflict) as caught:
                connection.execute(sql)
            self.assertEqual(
                str(caught.exception),
                f"{verb} cannot be run in a sandbox: everything that a test does is one "
                f"transaction there, and {verb} wants none. Test this code on real connections: "
                f"in a unittest.TestCase, "
                f"on a database of its own.",
            )
        connection.execute("DELETE FROM item")

    def test_journal_mode(self) -> None:
        """The journal cannot be changed once something is written."""
        connection, _ = self.play()
        connection.execute("DELETE FROM item")
        connection.commit()
        with self.assertRaisesRegex(SandboxConflict, "^PRAGMA journal_mode = wal cannot take eff"):
            connection.execute("PRAGMA journal_mode = WAL")

    def test_temporary_tables(self) -> None:
        """A temporary table belongs to one connection, and is gone with it."""
        engine = self.engine(poolclass=NullPool)
        one, sandbox = self.play(engine)
        other = self.raw(engine)
        one.execute("CREATE TEMP TABLE made (id)")
        one.execute("INSERT INTO made VALUES (1)")
        one.commit()
        self.assertEqual(one.execute("SELECT * FROM made").fetchall(), [(1,)])
        with self.assertRaises(SandboxConflict) as caught:
            other.execute("SELECT * FROM made")
        self.assertRegex(
            str(caught.exception),
            r'^connection 2 \(.*\) names "made", which is a temporary table of connection 1 \(its '
            r"last transaction began at .*\)\. On real connections it would not see that table, "
            r"and one connection cannot hide it\. Use the same connection, give the table another "
            r"name, or test this code on real connections: in a unittest.TestCase, "
            r"on a database of its own\.$",
        )
        one.close()
        other.execute("CREATE TEMP TABLE made (id, name)")
        sandbox.end_test()
        sandbox.begin_test()
        with self.assertRaisesRegex(sqlite3.OperationalError, "^no such table: made$"):
            other.execute("SELECT * FROM made")


# -- several connections -----------------------------------------------------------------------


class TestSeveralConnections(SQLiteCase):
    """Work beside others' uncommitted work."""

    def setUp(self) -> None:
        super().setUp()
        self.shared_engine = self.engine(pool_size=20)
        self.one, self.box = self.play(self.shared_engine)
        self.other = self.raw(self.shared_engine)

    def test_write_beside_a_write(self) -> None:
        """A second writer would find the database locked, and is told so, once."""
        self.one.execute("INSERT INTO item (name) VALUES ('a')")
        with self.assertWarns(UncommittedDataWarning) as caught:
            self.other.execute("INSERT INTO counted (name) VALUES ('x')")
        self.assertRegex(
            str(caught.warning),
            r"^connection 2 \(its transaction began at .*\) writes while connection 1 \(its "
            r"transaction began at .*\) has written and not committed: on real connections it "
            r'would wait, and then end in "database is locked"\. Commit the other first, or test '
            r"this code on real connections: in a unittest.TestCase, "
            r"on a database of its own\. The statement: INSERT "
            r"INTO counted \(name\) VALUES \('x'\)$",
        )
        self.other.execute("INSERT INTO counted (name) VALUES ('y')")

    def test_read_beside_a_write(self) -> None:
        """A reader of a table that another wrote to would not see it, and is told so."""
        self.one.execute("INSERT INTO item (name) VALUES ('a')")
        self.other.execute("SELECT * FROM counted").fetchall()
        with self.assertWarns(UncommittedDataWarning) as caught:
            self.other.execute("SELECT count(*) FROM item")
        self.assertRegex(
            str(caught.warning),
            r"^connection 2 \(.*\) meets what connection 1 \(.*\) has written to table item and "
            r"not committed: on real connections it would not be seen\.",
        )
        self.other.execute("SELECT count(*) FROM item")

    def test_fetch_beside_a_write(self) -> None:
        """So is one that fetches on after another has written to that table, and no other."""
        with self.shared_engine.begin() as connection:
            connection.exec_driver_sql("INSERT INTO item (name) VALUES ('b'), ('c')")
        for table, warns in (("counted", 0), ("item", 1)):
            with warnings.catch_warnings(record=True) as warned:
                warnings.simplefilter("always")
                rows = self.other.execute("SELECT name FROM item")
                rows.fetchone()
                self.one.execute(f"INSERT INTO {table} (name) VALUES ('a')")
                rows.fetchone()
                rows.fetchall()
            self.assertEqual(len(warned), warns)
            self.one.rollback()
        self.assertRegex(
            str(warned[0].message),
            r"^connection \d \(.*\) meets what connection \d \(.*\) has written to table item and "
            r"not committed: .* The statement: SELECT name FROM item$",
        )

    def test_read_of_a_prepared_statement(self) -> None:
        """A statement that the driver had prepared before is known by its text."""
        sql = "SELECT id FROM item"
        self.other.execute(sql).fetchall()
        self.one.execute("UPDATE item SET name = 'x'")
        with self.assertWarns(UncommittedDataWarning):
            self.other.execute(sql)

    def test_read_of_the_schema(self) -> None:
        """So would one of the schema."""
        self.one.execute("INSERT INTO item (name) VALUES ('a')")
        self.one.execute("CREATE TABLE made (id)")
        with self.assertWarnsRegex(UncommittedDataWarning, "has written to the schema and not"):
            self.other.execute("SELECT name FROM sqlite_master")

    def test_committed_or_undone_work_is_nobodys(self) -> None:
        """What was committed, rolled back, or wrote nothing warns nobody."""
        self.one.execute("INSERT INTO item (name) VALUES ('a')")
        self.one.commit()
        self.one.execute("INSERT INTO item (name) VALUES ('b')")
        self.one.rollback()
        self.one.execute("DELETE FROM item WHERE id = 99")
        self.one.rollback()
        self.other.execute("SELECT * FROM item").fetchall()
        self.other.execute("INSERT INTO item (name) VALUES ('c')")
        self.other.commit()
        names = [name for _, name in self.committed(self.shared_engine)["item"]]
        self.assertEqual(names, ["first", "a", "c"])

    def test_begin_immediate(self) -> None:
        """BEGIN IMMEDIATE takes the lock that a writer needs."""
        self.one.isolation_level = self.other.isolation_level = None
        self.one.execute("BEGIN IMMEDIATE")
        with self.assertWarnsRegex(UncommittedDataWarning, "The statement: BEGIN IMMEDIATE$"):
            self.other.execute("BEGIN IMMEDIATE")

    def test_temporary_table_not_dropped(self) -> None:
        """A temporary table whose DROP was rolled back is still of its connection, and no other."""
        self.one.isolation_level = self.other.isolation_level = None
        self.one.execute("CREATE TEMP TABLE own (x)")
        self.one.execute("SAVEPOINT s")
        self.one.execute("DROP TABLE own")
        self.one.execute("ROLLBACK TO s")
        with self.assertRaisesRegex(SandboxConflict, "own"):
            self.other.execute("SELECT * FROM own")
        self.one.execute("DROP TABLE own")
        self.one.execute("CREATE TEMP TABLE own (y)")
        self.one.execute("RELEASE s")
        with self.assertRaisesRegex(SandboxConflict, "own"):
            self.other.execute("SELECT * FROM own")
        self.one.execute("DROP TABLE own")
        with self.assertRaisesRegex(sqlite3.OperationalError, "^no such table: own$"):
            self.other.execute("SELECT * FROM own")

    def test_temporary_table_of_a_closed_connection(self) -> None:
        """One that another's rollback brings back after its connection was closed is refused."""
        self.one.execute("CREATE TEMP TABLE own (x)")
        self.other.execute("INSERT INTO item (name) VALUES ('a')")
        self.one.close()
        self.other.rollback()
        with self.assertRaisesRegex(SandboxConflict, "own"):
            self.other.execute("SELECT * FROM own")

    def test_temporary_table_after_a_failure(self) -> None:
        """Nor does what another fails to do, or rolls back, bring it back."""
        for fails in (
            "INSERT INTO missing VALUES (1)",
            "INSERT INTO item VALUES (1000, 'a'), (1000, 'b')",
        ):
            with self.subTest(fails):
                one = self.raw(self.shared_engine)
                one.execute("CREATE TEMP TABLE own (x)")
                for each in (one, self.other):
                    with self.assertRaises(sqlite3.Error):
                        each.execute(fails)
                    if each is one:
                        one.close()
                self.other.rollback()
                with self.assertRaisesRegex(sqlite3.OperationalError, "^no such table: own$"):
                    self.other.execute("SELECT * FROM own")

    def test_begin_immediate_twice(self) -> None:
        """Inside a transaction it fails, and has taken the lock all the same."""
        self.one.isolation_level = self.other.isolation_level = None
        for verb, locks in (("BEGIN", False), ("BEGIN IMMEDIATE", True)):
            self.one.execute("SAVEPOINT s")
            with self.assertRaisesRegex(
                sqlite3.OperationalError, "^cannot start a transaction within a transaction$"
            ):
                self.one.execute(verb)
            with warnings.catch_warnings(record=True) as warned:
                warnings.simplefilter("always")
                self.other.execute("INSERT INTO counted (name) VALUES (?)", (verb,))
            self.assertEqual(len(warned), locks, verb)
            self.one.execute("RELEASE s")
            self.other.execute("INSERT INTO counted (name) VALUES ('free')")

    def test_begin_immediate_twice_beside(self) -> None:
        """It would find another's lock before it fails."""
        self.one.isolation_level = self.other.isolation_level = None
        self.other.execute("BEGIN IMMEDIATE")
        self.one.execute("BEGIN")
        with (
            self.assertWarnsRegex(UncommittedDataWarning, "The statement: BEGIN IMMEDIATE$"),
            self.assertRaises(sqlite3.OperationalError),
        ):
            self.one.execute("BEGIN IMMEDIATE")

    def test_commit_beside_a_reader(self) -> None:
        """Where another's transaction has read, a commit would find the database locked."""
        self.one.isolation_level = None
        self.one.execute("BEGIN")
        self.one.execute("SELECT * FROM item").fetchall()
        self.other.execute("INSERT INTO item (name) VALUES ('a')")
        with self.assertWarns(UncommittedDataWarning) as caught:
            self.other.commit()
        self.assertRegex(
            str(caught.warning),
            r"^connection 2 \(.*\) commits what it wrote while connection 1 \(.*\) has read: on "
            r'real connections it would end in "database is locked", or in WAL mode the other '
            r"would go on seeing what was there before\. End the other's transaction first, or "
            r"test this code on real connections: in a unittest.TestCase, "
            r"on a database of its own\.$",
        )

    def test_commit_beside_open_rows(self) -> None:
        """So it would beside rows that another has not fetched yet, and only then."""
        for kept in (True, False):
            rows = self.one.execute("SELECT 1 UNION SELECT 2")
            self.assertEqual(next(rows), (1,))
            rest = None if kept else rows.fetchall()
            self.other.execute("INSERT INTO counted (name) VALUES (?)", (kept,))
            with warnings.catch_warnings(record=True) as warned:
                warnings.simplefilter("always")
                self.other.commit()
            self.assertEqual(len(warned), kept)
            self.assertTrue(all("while connection 1" in str(w.message) for w in warned))
            self.assertIn(rest, (None, [(2,)]))
            rows.close()

    def test_commit_beside_rows_of_before(self) -> None:
        """What is not fetched when a transaction begins locks as long as that lasts."""
        self.one.isolation_level = None
        rows = self.one.execute("SELECT 1 UNION SELECT 2")
        self.assertEqual(next(rows), (1,))
        self.one.execute("SAVEPOINT s")
        self.assertEqual(rows.fetchall(), [(2,)])
        self.one.execute("ROLLBACK TO s")
        self.other.execute("INSERT INTO counted (name) VALUES ('x')")
        with self.assertWarnsRegex(UncommittedDataWarning, "while connection 1"):
            self.other.commit()

    def test_commit_of_a_lock(self) -> None:
        """BEGIN IMMEDIATE holds the lock that a reader keeps from being let go."""
        self.one.isolation_level = self.other.isolation_level = None
        self.one.execute("BEGIN")
        self.one.execute("SELECT * FROM item").fetchall()
        self.other.execute("BEGIN IMMEDIATE")
        with self.assertWarnsRegex(UncommittedDataWarning, "while connection 1"):
            self.other.commit()

    def test_violation_beside_a_write(self) -> None:
        """A violated constraint may be the other's doing."""
        self.one.execute("INSERT INTO item (name) VALUES ('a')")
        with self.assertRaises(SandboxConflict) as caught:
            self.other.execute("INSERT INTO item (name) VALUES ('a')")
        self.assertRegex(
            str(caught.exception),
            r"^a statement of connection 2 \(.*\) failed beside what connection 1 \(.*\) has "
            r"written and not committed: UNIQUE constraint failed: item\.name\. Real connections "
            r'might have gone on, or ended in "database is locked", which one connection cannot '
            r"show\. Commit that work first, or test this code on real connections: "
            r"in a unittest.TestCase, on a database "
            r"of its own\.$",
        )

    def test_error_beside_a_changed_schema(self) -> None:
        """So may an error beside another's uncommitted DDL."""
        self.one.execute("INSERT INTO item (name) VALUES ('a')")
        self.one.execute("DROP TABLE counted")
        with self.assertRaisesRegex(SandboxConflict, "committed: no such table: counted. Real con"):
            self.other.execute("SELECT * FROM counted")

    def test_violation_beside_an_idle_lock(self) -> None:
        """A write that changed nothing keeps others out, too."""
        self.one.execute("DELETE FROM item WHERE id = 99")
        with (
            self.assertWarnsRegex(UncommittedDataWarning, "has written and not committed: on real"),
            self.assertRaises(sqlite3.IntegrityError),
        ):
            self.other.execute("INSERT INTO item (name) VALUES ('first')")

    def test_rollback_above(self) -> None:
        """A rollback of what lies on top leaves what is below."""
        self.one.execute("INSERT INTO item (name) VALUES ('a')")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.other.execute("INSERT INTO item (name) VALUES ('b')")
        self.other.rollback()
        self.one.commit()
        self.assertEqual(self.committed(self.shared_engine)["item"], [(1, "first"), (2, "a")])

    def test_rollback_beneath(self) -> None:
        """A rollback beneath another's committed work cannot be shown."""
        self.one.execute("INSERT INTO item (name) VALUES ('a')")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.other.execute("INSERT INTO item (name) VALUES ('b')")
        self.other.commit()
        self.one.rollback()
        with self.assertRaisesRegex(
            SandboxConflict, r"^connection 1 .* rolled back what it had written, but above it lies"
        ):
            self.other.execute("SELECT 1")
        self.box.raise_swallowed()  # nothing: the test has looked at it
        self.box.end_test()
        self.box.begin_test()
        self.assertEqual(self.committed(self.shared_engine), self.before)

    def test_rollback_beneath_a_reader(self) -> None:
        """A transaction that has only read is no hindrance to a rollback beneath it."""
        self.one.execute("INSERT INTO item (name) VALUES ('a')")
        self.other.execute("BEGIN")
        self.other.execute("SELECT * FROM counted").fetchall()
        self.one.rollback()
        found = self.other.execute("SELECT name FROM item").fetchall()
        self.assertEqual(found, [("first",)])
        self.other.rollback()
        self.assertEqual(self.box.conflicts, [])

    def test_threads_wait(self) -> None:
        """Threads that write wait for each other, as SQLite's lock would make them."""
        barrier = threading.Barrier(4)
        errors: list[BaseException] = []

        def work(number: int) -> None:
            try:
                barrier.wait(timeout=60)
                with self.shared_engine.begin() as connection:
                    for _ in range(5):
                        connection.execute(
                            text("INSERT INTO counted (name) VALUES (:n)"), {"n": number}
                        )
                        time.sleep(0.005)  # lets the others in, who would not wait
                    if number == 3:
                        raise ZeroDivisionError
            except ZeroDivisionError:
                pass
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(errors, [])
        found = [int(name) for _, name in self.committed(self.shared_engine)["counted"]]
        self.assertEqual(sorted(found), sorted([0, 1, 2] * 5))
        self.assertEqual(len([1 for a, b in itertools.pairwise(found) if a != b]), 2)

    def test_threads_at_first_contact(self) -> None:
        """Threads that connect at the same moment do not see each other's half-made settings."""
        engine = self.engine(pool_size=8)

        @event.listens_for(engine, "connect")
        def listen(connection: Any, record: Any) -> None:
            connection.execute("SELECT 1").fetchall()
            time.sleep(0.001)
            connection.execute("PRAGMA foreign_keys = ON")

        sandbox = open_sandbox(make_url(self.url))
        self.addCleanup(sandbox.close)
        self.addCleanup(redirect(engine, sandbox))
        sandbox.begin_test()
        barrier = threading.Barrier(8)
        found: list[Any] = []

        def work() -> None:
            try:
                barrier.wait(timeout=60)
                with engine.connect() as connection:
                    found.append(connection.scalar(text("PRAGMA foreign_keys")))
                    barrier.wait(timeout=60)
            except BaseException as error:
                found.append(error)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(found, [1] * 8)

    def test_threads_with_immediate(self) -> None:
        """BEGIN IMMEDIATE keeps a thread from reading what another is about to change."""
        self.one.execute("INSERT INTO counted (name) VALUES ('0')")
        self.one.commit()
        engine = self.shared_engine
        errors: list[BaseException] = []

        def count() -> None:
            try:
                with contextlib.closing(engine.raw_connection()) as raw:
                    connection = raw.driver_connection
                    connection.isolation_level = None
                    for _ in range(10):
                        connection.execute("BEGIN IMMEDIATE")
                        (value,) = connection.execute("SELECT name FROM counted").fetchone()
                        connection.execute("UPDATE counted SET name = ?", (str(int(value) + 1),))
                        connection.execute("COMMIT")
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=count) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(errors, [])
        self.assertEqual(self.committed(engine)["counted"], [(1, "30")])


class TestOutside(SQLiteCase):
    """Others that really hold the file."""

    def test_locked_by_another(self) -> None:
        """A lock that somebody else holds ends in the driver's own error, and is got over."""
        engine = self.engine(connect_args={"timeout": 0})
        connection, _ = self.play(engine)
        with contextlib.closing(sqlite3.connect(self.path, isolation_level=None)) as stranger:
            stranger.execute("BEGIN EXCLUSIVE")
            for sql in ("SELECT * FROM item", "INSERT INTO item (name) VALUES ('a')"):
                with self.assertRaisesRegex(sqlite3.OperationalError, "^database is locked$"):
                    connection.execute(sql)
            stranger.execute("ROLLBACK")
            stranger.execute("BEGIN IMMEDIATE")
            connection.execute("SELECT * FROM item").fetchall()
            with self.assertRaisesRegex(sqlite3.OperationalError, "^database is locked$"):
                connection.execute("INSERT INTO item (name) VALUES ('a')")
            stranger.execute("ROLLBACK")
        connection.execute("INSERT INTO item (name) VALUES ('a')")
        connection.commit()
        self.assertEqual(
            connection.execute("SELECT name FROM item").fetchall(), [("first",), ("a",)]
        )

    def test_nothing_held_between_tests(self) -> None:
        """Between tests the file is free for others, and what they commit is seen."""
        engine = self.engine()
        sandbox = self.sandbox(engine)
        for number in range(2, 4):
            sandbox.begin_test()
            with engine.begin() as connection:
                found = connection.scalar(text("SELECT max(id) FROM item"))
                connection.execute(text("DELETE FROM item"))
            sandbox.end_test()
            with contextlib.closing(sqlite3.connect(self.path, timeout=0)) as stranger:
                stranger.execute("INSERT INTO item VALUES (?, ?)", (number, str(number)))
                stranger.commit()
        self.assertEqual(found, 2)
        self.assertEqual(len(self.judge()["item"]), 3)

    @unittest.skipUnless(hasattr(os, "fork"), "this system has no fork")
    def test_fork(self) -> None:
        """A child can neither use the connection nor end its parent's transaction."""
        program = f"""
import os, sys, sqlite3
sys.path[:0] = {sys.path!r}
from sqlalchemy import create_engine, text
from dbtestcase.errors import SandboxConflict
from dbtestcase.sandbox import sandboxed
engine = create_engine({self.url!r})
with sandboxed(engine):
    connection = engine.connect()
    connection.execute(text("INSERT INTO item (name) VALUES ('a')"))
    connection.connection.driver_connection.execute("PRAGMA cache_spill = ON")
    child = os.fork()
    if child:
        assert os.waitpid(child, 0)[1] == 0
        # what a rollback, the child's too, would take away
        assert os.path.exists({str(self.path)!r} + "-journal")
        assert connection.scalar(text("SELECT count(*) FROM item")) == 2
        connection.commit()
        connection.execute(text("INSERT INTO item (name) VALUES ('b')"))
        connection.commit()
        print(connection.scalar(text("SELECT count(*) FROM item")))
        connection.close()
    else:
        try:
            connection.execute(text("SELECT 1"))
        except SandboxConflict as error:
            print(error, flush=True)
        connection.close()
        engine.dispose()
"""
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
        )
        self.assertEqual(done.stderr, "")
        self.assertEqual(
            done.stdout.splitlines(),
            [
                "a forked process uses a connection of sandboxed()'s sandbox. It shares the "
                "socket of its parent, and would take its parent's answers. Let the child make an "
                "engine for a database of its own, which let_through names, or test this code on "
                "real connections: in a unittest.TestCase, on a database of its own.",
                "3",
            ],
        )
        self.assertEqual(self.judge(), self.before)


# -- the life of a class -----------------------------------------------------------------------


class TestPhases(SQLiteCase):
    """Set-up, tests and endings."""

    def insert(self, engine: Engine, name: str) -> int:
        with engine.begin() as connection:
            sql = text("INSERT INTO counted (name) VALUES (:name)")
            return int(connection.execute(sql, {"name": name}).lastrowid)

    def test_class_data(self) -> None:
        """What the set-up committed is there in each test, and gone at the end."""
        engine = self.engine()
        sandbox = self.sandbox(engine)
        self.insert(engine, "class")
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE made (id)"))
        sandbox.freeze()
        self.assertTrue(sandbox.shared)
        for _ in range(3):
            sandbox.begin_test()
            self.assertEqual(self.insert(engine, "test"), 2)
            with engine.begin() as connection:
                connection.execute(text("DROP TABLE made"))
                connection.execute(text("INSERT INTO item (name) VALUES ('x')"))
            sandbox.closing()
            sandbox.end_test()
        sandbox.begin_test()
        self.assertEqual(
            self.committed(engine),
            {
                **self.before,
                "made": [],
                "counted": [(1, "class")],
                "sqlite_sequence": [("counted", 1)],
            },
        )
        sandbox.end_test()
        sandbox.close()
        self.assertEqual(self.judge(), self.before)

    def test_no_class_data(self) -> None:
        """Where the set-up only read, each test has a transaction of its own; ids start at 1."""
        engine = self.engine()
        sandbox = self.sandbox(engine)
        self.committed(engine)
        sandbox.freeze()
        self.assertFalse(sandbox.shared)
        for _ in range(3):
            sandbox.begin_test()
            self.assertEqual(self.insert(engine, "test"), 1)
            sandbox.end_test()
            self.assertEqual(self.judge(), self.before)

    def test_test_without_a_statement(self) -> None:
        """A test that does not touch the database sends nothing."""
        sandbox = self.sandbox(self.engine())
        sandbox.begin_test()
        self.assertFalse(sandbox.alive)
        sandbox.end_test()

    def test_fill(self) -> None:
        """What fills the database comes after the PRAGMAs of the first connection, as set-up."""
        engine, own = self.engine(), self.engine(poolclass=NullPool)
        foreign_keys(engine)
        for begun in (False, True):
            with self.subTest(begun=begun):
                sandbox = open_sandbox(make_url(self.url), owner="ShopTest")
                undo = [redirect(each, sandbox) for each in (engine, own)]

                def build() -> None:
                    with own.begin() as connection:
                        connection.execute(text("CREATE TABLE made (id)"))

                sandbox.fill(build)
                if begun:
                    sandbox.begin_test()
                for _ in range(2):
                    sandbox.begin_test()
                    with engine.begin() as connection:
                        self.assertEqual(connection.scalar(text("PRAGMA foreign_keys")), 1)
                        self.assertEqual(connection.execute(text("SELECT * FROM made")).all(), [])
                        connection.execute(text("INSERT INTO made VALUES (1)"))
                    sandbox.end_test()
                for each in undo:
                    each()
                sandbox.close()
                self.assertEqual(self.judge(), self.before)

    def test_leftovers_of_the_set_up(self) -> None:
        """What the set-up did not commit is undone with a warning."""
        engine = self.engine()
        sandbox = self.sandbox(engine)
        self.insert(engine, "class")
        connection = self.raw(engine)
        connection.execute("INSERT INTO item (name) VALUES ('a')")
        with self.assertWarnsRegex(UncommittedDataWarning, "^the class's set-up left uncommitted"):
            sandbox.freeze()
        sandbox.begin_test()
        self.assertEqual(self.committed(engine)["item"], [(1, "first")])

    def test_closing(self) -> None:
        """While a test is closed statements run, and nothing is ended."""
        engine = self.engine()
        connection, sandbox = self.play(engine)
        connection.execute("INSERT INTO item (name) VALUES ('a')")
        sandbox.closing()
        for sql in ("COMMIT", "ROLLBACK", "BEGIN", "SAVEPOINT a", "RELEASE b", "COMMIT WORK"):
            connection.execute(sql)
        connection.rollback()
        connection.execute("INSERT INTO item (name) VALUES ('b')")
        connection.commit()
        found = connection.execute("SELECT name FROM item").fetchall()
        self.assertEqual(found, [("first",), ("a",), ("b",)])
        sandbox.end_test()
        self.assertEqual(self.judge(), self.before)

    def test_between_tests(self) -> None:
        """What is written between tests is undone before the next."""
        engine = self.engine()
        sandbox = self.sandbox(engine)
        self.insert(engine, "class")
        sandbox.freeze()
        self.insert(engine, "between")
        with self.assertWarnsRegex(UncommittedDataWarning, "between two tests is undone"):
            sandbox.begin_test()
        self.assertEqual(self.insert(engine, "test"), 2)

    def test_connection_of_an_earlier_test(self) -> None:
        """A connection that was kept starts anew in the next test."""
        connection, sandbox = self.play()
        cursor = connection.execute("INSERT INTO item (name) VALUES ('a')")
        sandbox.end_test()
        sandbox.begin_test()
        self.assertFalse(connection.in_transaction)
        connection.commit()
        self.assertEqual(cursor.execute("SELECT name FROM item").fetchall(), [("first",)])

    def test_wrote(self) -> None:
        """Whether a test wrote is told by SQLite's own counters."""
        connection, sandbox = self.play()
        connection.execute("SELECT * FROM item").fetchall()
        connection.execute("DELETE FROM item WHERE id = 99")
        self.assertFalse(sandbox.wrote())
        connection.execute("DELETE FROM item")
        self.assertTrue(sandbox.wrote())

    def test_few_savepoints(self) -> None:
        """One test with one transaction sets no savepoint of ours."""
        engine = self.engine()
        sandbox = self.sandbox(engine)
        self.committed(engine)
        sandbox.freeze()
        sandbox.begin_test()
        self.insert(engine, "a")
        self.committed(engine)
        self.insert(engine, "b")
        self.assertEqual(sandbox.stack.savepoints_set, 1)

    def test_escape(self) -> None:
        """A COMMIT past the sandbox is noticed at the test's end."""
        connection, sandbox = self.play()
        connection.execute("INSERT INTO item (name) VALUES ('a')")
        sqlite3.Connection.commit(connection.real)
        with self.assertRaises(EscapeError) as caught:
            sandbox.end_test()
        self.assertEqual(
            str(caught.exception),
            "the transaction in which ShopTest plays everything was ended past the sandbox, so "
            f"something was really committed to database '{self.path}', or what the class had "
            "written was lost. Look for a COMMIT that went to the real connection, and for "
            "RAISE(ROLLBACK) in a trigger.",
        )
        self.assertTrue(sandbox.died)

    def test_close(self) -> None:
        """After the close the program's connections are closed, and the file is as it was."""
        connection, sandbox = self.play()
        connection.execute("INSERT INTO item (name) VALUES ('a')")
        sent: list[Any] = []
        sandbox.close(lambda send: sent.append(send("SELECT count(*) FROM item")))
        self.assertEqual(sent, [[(1,)]])
        with self.assertRaisesRegex(sqlite3.ProgrammingError, "^Cannot operate on a closed data"):
            connection.execute("SELECT 1")
        connection.rollback()
        connection.close()
        self.assertEqual(self.judge(), self.before)


class TestSandboxed(SQLiteCase):
    """``sandboxed()`` over each kind of database."""

    def fill_engine(self, engine: Engine) -> None:
        with contextlib.closing(engine.raw_connection()) as raw:
            raw.driver_connection.executescript(SCHEMA)

    def check(self, engine: Engine) -> None:
        for _ in range(2):
            with sandboxed(engine):
                with engine.begin() as connection:
                    connection.execute(text("INSERT INTO item (name) VALUES ('a')"))
                    connection.execute(text("CREATE TABLE made (id)"))
                engine.dispose()
                self.assertEqual(
                    self.committed(engine), {"item": [(1, "first"), (2, "a")], "made": []}
                )
            self.assertEqual(self.committed(engine), self.before)

    def test_file(self) -> None:
        """A file."""
        self.check(self.engine())
        self.assertEqual(self.judge(), self.before)

    def test_static_pool(self) -> None:
        """A private database in memory, held by a StaticPool."""
        engine = create_engine("sqlite://", poolclass=StaticPool)
        self.fill_engine(engine)
        self.check(engine)
        engine.dispose()

    def test_singleton_thread_pool(self) -> None:
        """A private database in memory, of SQLAlchemy's default pool."""
        engine = create_engine("sqlite:///:memory:")
        self.fill_engine(engine)
        self.check(engine)
        engine.dispose()

    def test_two_private_databases(self) -> None:
        """Two private databases stay two."""
        engines = [create_engine("sqlite://", poolclass=StaticPool) for _ in range(2)]
        for number, engine in enumerate(engines):
            self.fill_engine(engine)
            with engine.begin() as connection:
                connection.execute(text("UPDATE item SET name = :n"), {"n": str(number)})
        with sandboxed(*engines):
            self.assertEqual([self.committed(e)["item"] for e in engines], [[(1, "0")], [(1, "1")]])
        for engine in engines:
            engine.dispose()

    def test_private_database_in_use(self) -> None:
        """A private database whose connection is in use cannot be copied."""
        engine = create_engine("sqlite://", poolclass=StaticPool)
        self.addCleanup(engine.dispose)
        with engine.connect() as connection:
            connection.execute(text("CREATE TABLE made (id)"))
            with self.assertRaises(SetUpError) as caught, sandboxed(engine):
                self.fail("not reached")
            connection.execute(text("SELECT * FROM made"))
        self.assertEqual(
            str(caught.exception),
            "Engine(sqlite://) has a connection in use, and its database lies in that "
            "connection's memory. Close sessions and connections before sandboxed(), or use a "
            "file or a shared database: sqlite:///file:/NAME?vfs=memdb&uri=true",
        )

    def test_shared_memory(self) -> None:
        """A database in memory that several connections share outlives its sandbox."""
        for url in (
            "sqlite:///file:/sandboxed_test?vfs=memdb&uri=true",
            "sqlite:///file:sandboxed_test?mode=memory&cache=shared&uri=true",
        ):
            with self.subTest(url), warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                engine = create_engine(url)
                self.fill_engine(engine)
                self.check(engine)
                engine.dispose()

    def test_swallowed_conflict(self) -> None:
        """A conflict that the program swallowed is raised at the end."""
        engine = self.engine()

        def swallow() -> None:
            with contextlib.suppress(Exception), engine.connect() as connection:
                connection.execute(text("VACUUM"))

        with self.assertRaisesRegex(SandboxConflict, "^VACUUM cannot be run"), sandboxed(engine):
            swallow()

    def test_two_engines(self) -> None:
        """Two engines of one URL see each other's commits."""
        engines = [self.engine(), self.engine()]
        with sandboxed(*engines):
            with engines[0].begin() as connection:
                connection.execute(text("DELETE FROM item"))
            self.assertEqual(self.committed(engines[1]), {})
        self.assertEqual(self.judge(), self.before)

    def test_examples(self) -> None:
        """The examples in the documentation are true."""
        for module in (dbtestcase.sandbox, statements):
            self.assertEqual(doctest.testmod(module).failed, 0)

"""The exact text of every conflict and warning of the sandbox, each made by a real scenario.

Where a text names a line of the user's code, the scenario has a comment on that line, and
:meth:`TextCase.at` gives what the text must say.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import inspect
import os
import sqlite3
import sysconfig
import tempfile
import threading
import time
import unittest
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import CodeType
from typing import Any
from unittest import mock

import psycopg
import psycopg.copy
import sqlalchemy as sa
from psycopg2 import extensions, extras
from sqlalchemy.orm import declarative_base

from dbtestcase import DatabaseTestCase, MetadataSchema
from dbtestcase.engines import redirect
from dbtestcase.errors import SandboxConflict, UncommittedDataWarning
from dbtestcase.fixture import DatabaseFixture
from dbtestcase.sandbox import Sandbox, open_sandbox, places
from dbtestcase.sandbox.places import Place, place, trail
from dbtestcase.settings import choose

from .support import no_settings, run
from .texts import unexplained, untested, unused
from .twins import TwinTestCase

PACKAGE = Path(__file__).parents[1] / "dbtestcase"

#: The modules that hold texts, and nothing else of which somebody reads.
TEXTS = (
    PACKAGE / "sandbox" / "messages.py",
    PACKAGE / "sandbox" / "uncommitted.py",
    PACKAGE / "sandbox" / "postgresql" / "messages.py",
    PACKAGE / "sandbox" / "sqlite" / "messages.py",
)

INSERT = "INSERT INTO item (name) VALUES ('{}')"


def setUpModule() -> None:
    unittest.enterModuleContext(no_settings())


# -- what the scenarios share ----------------------------------------------------------------------


class TextCase(unittest.TestCase):
    """Scenarios in one sandbox, which belongs to ``ShopTest``."""

    url: sa.URL
    box: Sandbox
    engine: sa.Engine

    def setUp(self) -> None:
        super().setUp()
        # where a scenario is not about a warning, it may have some on its way
        self.enterContext(warnings.catch_warnings())
        warnings.simplefilter("ignore", UncommittedDataWarning)

    def open(self) -> None:
        self.box = open_sandbox(self.url, owner="ShopTest")
        self.addCleanup(self.box.close)
        self.engine = self.another_engine()

    def another_engine(self, **options: Any) -> sa.Engine:
        """Make an engine whose connections the sandbox gives."""
        engine = sa.create_engine(self.url, **options)
        self.addCleanup(engine.dispose)
        self.addCleanup(redirect(engine, self.box))
        return engine

    def connect(self, **options: Any) -> sa.Connection:
        """Connect; the connections of a test are called by their first use."""
        connection = self.engine.connect().execution_options(**options)
        self.addCleanup(connection.invalidate)
        return connection

    def two(self) -> tuple[sa.Connection, sa.Connection]:
        """Begin a test, with two connections in it."""
        self.box.begin_test()
        return self.connect(), self.connect()

    def raw(self, engine: sa.Engine | None = None) -> Any:
        fairy = (engine or self.engine).raw_connection()
        self.addCleanup(fairy.invalidate)
        return fairy.dbapi_connection

    def at(self, mark: str) -> str:
        """Give the place of the line in the running test that ends with the comment *mark*."""
        lines, first = inspect.getsourcelines(getattr(type(self), self._testMethodName))
        (found,) = (n for n, line in enumerate(lines, first) if line.rstrip().endswith(f"# {mark}"))
        return str(Place(__file__, found))

    def connection(self, number: int, mark: str, which: str = "its transaction") -> str:
        """Give what texts call a connection whose transaction began at a marked line."""
        return f"connection {number} ({which} began at {self.at(mark)})"

    @contextlib.contextmanager
    def refused(self) -> Iterator[list[str]]:
        """Expect a conflict, and give its text; it also fails a test that swallows it."""
        texts: list[str] = []
        before = len(self.box.conflicts)
        with self.assertRaises(SandboxConflict) as caught:
            yield texts
        self.assertEqual(self.box.conflicts[before:], [caught.exception])
        self.notes = getattr(caught.exception, "__notes__", [])
        texts.append(str(caught.exception))

    @contextlib.contextmanager
    def warned(self, mark: str) -> Iterator[list[str]]:
        """Expect one warning, which is of a marked line, and give its text."""
        texts: list[str] = []
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            yield texts
        self.assertEqual([each.category for each in found], [UncommittedDataWarning])
        self.assertEqual(str(Place(found[0].filename, found[0].lineno)), self.at(mark))
        texts.append(str(found[0].message))

    def in_child(self, call: Callable[[], object]) -> str:
        """Call in a forked process, and give the text of the conflict that is raised there."""
        read, write = os.pipe()
        child = os.fork()
        if child == 0:  # no exception may get out of here
            said = "nothing was raised"
            try:
                call()
            except SandboxConflict as error:
                said = str(error)
            except BaseException as error:
                said = repr(error)
            finally:
                os.write(write, said.encode())
                os._exit(0)
        os.close(write)
        os.waitpid(child, 0)
        with os.fdopen(read) as pipe:
            return pipe.read()


class EveryKind(TextCase):
    """What is said of every kind of database."""

    def test_rollback_beneath(self) -> None:
        """A rollback beneath others' work names both, and the line that called it."""
        a, b = self.two()
        a.exec_driver_sql(INSERT.format("a"))  # A
        b.exec_driver_sql(INSERT.format("b"))  # B
        b.commit()

        def undo() -> None:
            a.rollback()  # rollback

        undo()  # on the way to it
        with self.refused() as said:
            b.exec_driver_sql("SELECT 1")
        self.assertEqual(
            said,
            [
                f"{self.connection(1, 'A')} rolled back what it had written, but above it lies "
                f"work of {self.connection(2, 'B')}, which committed it. The rollback was called "
                f"at {self.at('rollback')}. On one connection the one cannot be undone without the "
                f"other. Let the transactions end in the order in which they wrote, or test this "
                f"code on real connections: in a unittest.TestCase, on a database of its own."
            ],
        )
        (note,) = self.notes
        heading, *lines = note.splitlines()
        self.assertEqual(heading, "The rollback was called by (most recent call last):")
        number = {
            mark: self.at(mark).partition(":")[2] for mark in ("on the way to it", "rollback")
        }
        self.assertEqual(
            lines[-2:],
            [
                f'  File "{__file__}", line {number["on the way to it"]}, in test_rollback_beneath',
                f'  File "{__file__}", line {number["rollback"]}, in undo',
            ],
        )

    def test_rollback_beneath_open_work(self) -> None:
        """So does one of a savepoint, beneath work that may still be rolled back."""
        a, b = self.two()
        a.exec_driver_sql(INSERT.format("a"))  # A
        savepoint = a.begin_nested()
        a.exec_driver_sql(INSERT.format("c"))
        b.exec_driver_sql(INSERT.format("b"))  # B
        savepoint.rollback()  # rollback
        with self.refused() as said:
            b.exec_driver_sql("SELECT 1")
        self.assertEqual(
            said,
            [
                f"{self.connection(1, 'A')} rolled back what it had written, but above it lies "
                f"work of {self.connection(2, 'B')}. The rollback was called at "
                f"{self.at('rollback')}. On one connection the one cannot be undone without the "
                f"other. Let the transactions end in the order in which they wrote, or test this "
                f"code on real connections: in a unittest.TestCase, on a database of its own."
            ],
        )

    #: what a commit checks
    CHECKED: str

    def test_commit_above_a_rollback(self) -> None:
        """A commit whose deferred constraints cannot be checked names the rollback below it."""
        a, b = self.two()
        a.exec_driver_sql(INSERT.format("a"))  # A
        b.exec_driver_sql("INSERT INTO child VALUES (1, 1)")  # B
        a.rollback()  # rollback
        with self.refused() as said:
            b.commit()
        self.assertEqual(
            said,
            [
                f"{self.connection(2, 'B')} commits above what {self.connection(1, 'A')} rolled "
                f"back at {self.at('rollback')}. On one connection its {self.CHECKED} cannot be "
                f"checked without the other's rows. Let the transactions end in the order in which "
                f"they wrote, or test this code on real connections: in a unittest.TestCase, "
                f"on a database of its own."
            ],
        )

    #: how a deferred constraint fails: which, and the driver's own error
    VIOLATED: tuple[str, str]

    def test_constraint_failed_beside(self) -> None:
        """A deferred constraint that both violate names both transactions."""
        a, b = self.two()
        a.exec_driver_sql("INSERT INTO child VALUES (1, 99)")  # A
        b.exec_driver_sql("INSERT INTO child VALUES (2, 98)")  # B
        with self.refused() as said:
            b.commit()
        which, error = self.VIOLATED
        self.assertEqual(
            said,
            [
                f"{which} failed when {self.connection(2, 'B')} committed, beside uncommitted work "
                f"of {self.connection(1, 'A')}: {error}. On one connection it cannot be told whose "
                f"rows violate it. Let the other end first, or test this code on real connections: "
                f"in a unittest.TestCase, "
                f"on a database of its own."
            ],
        )

    #: how a unique constraint fails: what the other did, the driver's own error, and what real
    #: connections might have done
    COLLIDED: tuple[str, str, str]

    def test_failed_beside(self) -> None:
        """An error that may come of another's uncommitted work names both."""
        a, b = self.two()
        a.exec_driver_sql(INSERT.format("a"))  # A
        with self.refused() as said:
            b.exec_driver_sql(INSERT.format("a"))  # B
        deed, error, really = self.COLLIDED
        self.assertEqual(
            said,
            [
                f"a statement of {self.connection(2, 'B')} failed beside what "
                f"{self.connection(1, 'A')} {deed} and not committed: {error}. Real connections "
                f"might have {really}, which one connection cannot show. Commit that work first, "
                f"or test this code on real connections: in a unittest.TestCase, "
                f"on a database of its own."
            ],
        )

    def test_temporary_table_of_another(self) -> None:
        """A temporary table's owner is named, and whoever asks for it."""
        a, b = self.two()
        a.exec_driver_sql("CREATE TEMPORARY TABLE basket (id int)")  # A
        a.commit()
        with self.refused() as said:
            b.exec_driver_sql("SELECT * FROM basket")  # B
        self.assertEqual(
            said,
            [
                f'{self.connection(2, "B")} names "basket", which is a temporary table of '
                f"{self.connection(1, 'A', 'its last transaction')}. On real connections it would "
                f"not see that table, and one connection cannot hide it. Use the same connection, "
                f"give the table another name, or test this code on real connections: "
                f"in a unittest.TestCase, on a "
                f"database of its own."
            ],
        )

    def test_thread_that_waits_too_long(self) -> None:
        """A thread that waits until its test is over does not write into the next."""
        self.box.begin_test()
        connection = self.connect()
        connection.exec_driver_sql(INSERT.format("a"))  # A
        said: list[str] = []

        def write() -> None:
            try:
                with self.engine.begin() as other:
                    other.exec_driver_sql(INSERT.format("late"))  # B
            except SandboxConflict as error:
                said.append(str(error))

        expected = (
            f"{self.connection(2, 'B')} waited for the transaction of {self.connection(1, 'A')}, "
            f"which another thread began, and meanwhile its test has ended. What it writes now "
            f"would be in no test. Join the threads that a test starts before it ends."
        )
        thread = threading.Thread(target=write)
        thread.start()
        while not self.box.changed.waiting:
            time.sleep(0.01)
        self.box.closing()
        self.box.end_test()
        self.box.begin_test()
        thread.join(30)
        self.assertEqual(said, [expected])
        with self.engine.connect() as other:
            names = other.exec_driver_sql("SELECT name FROM item").scalars().all()
        self.assertEqual(names, ["first"])

    #: connect_args that are not every engine's
    OPTIONS: dict[str, Any]

    def test_other_connect_args(self) -> None:
        """Engines whose connect_args differ are named by the lines that connect."""
        self.box.begin_test()
        self.engine.connect().close()  # first
        other = self.another_engine(connect_args=self.OPTIONS)
        with self.refused() as said:
            other.connect()  # other
        self.assertEqual(
            said,
            [
                f"an engine connects at {self.at('other')} with {self.OPTIONS}, and the connection "
                f"of ShopTest's sandbox was made at {self.at('first')} with {{}}. All engines of "
                f"one database share one connection there. Give them the same connect_args."
            ],
        )

    def test_connection_of_a_listener(self) -> None:
        """The connection that a listener was given is of no use when the listener is done."""
        kept = []
        engine = self.another_engine()
        sa.event.listen(engine, "connect", lambda connection, record: kept.append(connection))
        self.box.begin_test()
        engine.connect().close()
        with self.refused() as said:
            kept[0].cursor()
        self.assertEqual(
            said,
            [
                "the connection that a `connect` listener was given is used after the listener "
                "returned. All virtual connections share it. Keep the one that the engine gives."
            ],
        )

    def test_fork(self) -> None:
        """A forked process may not use its parent's connection."""
        connection, _ = self.two()
        connection.exec_driver_sql(INSERT.format("a"))
        self.assertEqual(
            self.in_child(lambda: connection.exec_driver_sql("SELECT 1")),
            "a forked process uses a connection of ShopTest's sandbox. It shares the socket of its "
            "parent, and would take its parent's answers. Let the child make an engine for a "
            "database of its own, which let_through names, or test this code on real connections: "
            "in a unittest.TestCase, on a database of its own.",
        )

    # -- warnings --------------------------------------------------------------

    def test_meets(self) -> None:
        """A read beside uncommitted work warns of the line that reads, once for the two."""
        a, b = self.two()
        a.exec_driver_sql(INSERT.format("a"))  # A
        with self.warned("B") as said:
            b.exec_driver_sql("SELECT count(*)\n  FROM item")  # B
            b.exec_driver_sql("SELECT count(*) FROM item")
        self.assertEqual(
            said,
            [
                f"{self.connection(2, 'B')} meets what {self.connection(1, 'A')} has written to "
                f"table item and not committed: on real connections it would not be seen. Commit "
                f"it first, or test this code on real connections: in a unittest.TestCase, "
                f"on a database of its own. The "
                f"statement: SELECT count(*) FROM item"
            ],
        )

    #: what is met by whoever reads a table that was made beside it
    MADE: str

    def test_meets_ddl(self) -> None:
        """So does one beside an uncommitted change of the schema."""
        a, b = self.two()
        a.exec_driver_sql("INSERT INTO parent (id) VALUES (2)")  # A
        a.exec_driver_sql("CREATE TABLE made (id int)")
        with self.warned("B") as said:
            b.exec_driver_sql("SELECT * FROM made")  # B
        self.assertEqual(
            said,
            [
                f"{self.connection(2, 'B')} meets what {self.connection(1, 'A')} has written to "
                f"{self.MADE} and not committed: on real connections it would not be seen. Commit "
                f"it first, or test this code on real connections: in a unittest.TestCase, "
                f"on a database of its own. The "
                f"statement: SELECT * FROM made"
            ],
        )

    def test_left_by_the_set_up(self) -> None:
        """What the set-up did not commit warns of the line where its transaction began."""
        connection = self.connect()
        connection.exec_driver_sql(INSERT.format("lost"))  # A
        with self.warned("A") as said:
            self.box.freeze()
        self.assertEqual(
            said,
            [
                f"the class's set-up left uncommitted data in {self.connection(1, 'A')}: on real "
                f"connections no test would see it, so it is undone. Commit it, or close the "
                f"session that wrote it."
            ],
        )

    def test_between_tests(self) -> None:
        """What is written between two tests warns of the line where it was begun."""
        for kept in (False, True):
            with self.subTest(class_data=kept):
                self.box.close()
                self.open()
                if kept:
                    with self.engine.begin() as connection:
                        connection.exec_driver_sql(INSERT.format("class"))
                self.box.begin_test()
                self.box.end_test()
                with self.engine.begin() as connection:
                    connection.exec_driver_sql(INSERT.format("between"))  # A
                with self.warned("A") as said:
                    self.box.begin_test()
                self.assertEqual(
                    said,
                    [
                        f"what was written by {self.connection(1, 'A')} to the database of "
                        f"ShopTest between two tests is undone: each test begins with what the "
                        f"class's set-up left. Write it in setUp(), or for all tests of the class "
                        f"in setUpTestData()."
                    ],
                )

    def test_warning_as_error(self) -> None:
        """Where warnings are errors, the statement that met the data raises it."""
        a, b = self.two()
        a.exec_driver_sql(INSERT.format("a"))
        warnings.simplefilter("error")
        with self.assertRaises(UncommittedDataWarning):
            b.exec_driver_sql("SELECT count(*) FROM item")

    def test_once_by_default(self) -> None:
        """Under Python's default filter a line that runs again does not warn again."""
        self.box.begin_test()
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("default")
            for _ in range(3):
                with self.engine.connect() as a, self.engine.connect() as b:
                    a.exec_driver_sql(INSERT.format("a"))
                    b.exec_driver_sql("SELECT count(*) FROM item")
                self.box.end_test()
                self.box.begin_test()
        self.assertEqual(len(found), 1)


# -- PostgreSQL ------------------------------------------------------------------------------------


class TestPostgreSQL(EveryKind, TwinTestCase):
    """What is said on PostgreSQL."""

    CHECKED = "deferred constraints"
    VIOLATED = (
        "a deferred constraint",
        'insert or update on table "child" violates foreign key constraint "child_parent_id_fkey"',
    )
    COLLIDED = (
        "has written to table item",
        'duplicate key value violates unique constraint "item_name_key"',
        "waited, or gone on",
    )
    OPTIONS = {"options": "-c search_path=pg_catalog"}
    MADE = "the schema"

    def setUp(self) -> None:
        super().setUp()
        self.open()

    def test_two_phase(self) -> None:
        """Two-phase transactions are refused, by the driver's methods and in SQL."""
        connection, other = self.two()
        text = (
            "two-phase transactions cannot be played in a sandbox: a prepared transaction outlives "
            "its connection, and nothing may outlive the test. Test this code on real connections: "
            "in a unittest.TestCase, "
            "on a database of its own."
        )
        with self.refused() as said:
            connection.begin_twophase().prepare()
        self.assertEqual(said, [text])
        with self.refused() as said:
            other.exec_driver_sql("PREPARE TRANSACTION 'x'")
        self.assertEqual(said, [text])

    def test_cannot_be_run(self) -> None:
        """What runs in no transaction is refused with the server's reason."""
        self.box.begin_test()
        connection = self.connect(isolation_level="AUTOCOMMIT")
        with self.refused() as said:
            connection.exec_driver_sql("VACUUM item")
        self.assertEqual(
            said,
            [
                "VACUUM cannot be run in a sandbox: VACUUM cannot run inside a transaction block. "
                "Everything that a test does is one transaction there. Test this code on real "
                "connections: in a unittest.TestCase, on a database of its own."
            ],
        )

    def test_hidden_setting(self) -> None:
        """A setting whose name is computed is refused."""
        connection, _ = self.two()
        with self.refused() as said:
            connection.exec_driver_sql("SELECT set_config('app.' || 'who', 'x', false)")
        self.assertEqual(
            said,
            [
                "set_config() with a name, or an is_local, that is not a literal: what it sets "
                "cannot be told, and would hold for all connections of the sandbox. Write both as "
                "literals, or test this code on real connections: in a unittest.TestCase, "
                "on a database of its own."
            ],
        )

    def test_old_snapshot(self) -> None:
        """A snapshot that is out of date names whose commit it should not see."""
        self.box.begin_test()
        reader, writer = self.connect(isolation_level="SERIALIZABLE"), self.connect()
        reader.exec_driver_sql("SELECT 1")  # A
        writer.exec_driver_sql(INSERT.format("b"))  # B
        writer.commit()
        with self.refused() as said:
            reader.exec_driver_sql("SELECT count(*) FROM item")
        self.assertEqual(
            said,
            [
                f"{self.connection(1, 'A')} is SERIALIZABLE, and {self.connection(2, 'B')} has "
                f"committed since it began. One connection cannot show the old snapshot. End the "
                f"first transaction before the other commits, or test this code on real "
                f"connections: in a unittest.TestCase, on a database of its own."
            ],
        )

    def test_set_constraints_of_another(self) -> None:
        """Another's SET CONSTRAINTS names both."""
        a, b = self.two()
        a.exec_driver_sql("SET CONSTRAINTS ALL DEFERRED")  # A
        with self.refused() as said:
            b.exec_driver_sql(INSERT.format("b"))  # B
        self.assertEqual(
            said,
            [
                f"{self.connection(1, 'A')} used SET CONSTRAINTS and has not ended its "
                f"transaction. On one connection that would hold for {self.connection(2, 'B')} "
                f"too. Let it end first, or test this code on real connections: "
                f"in a unittest.TestCase, on a database of "
                f"its own."
            ],
        )

    def test_set_constraints_beside(self) -> None:
        """SET CONSTRAINTS beside another's work names both."""
        a, b = self.two()
        a.exec_driver_sql(INSERT.format("a"))  # A
        with self.refused() as said:
            b.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")  # B
        self.assertEqual(
            said,
            [
                f"{self.connection(2, 'B')} uses SET CONSTRAINTS beside uncommitted work of "
                f"{self.connection(1, 'A')}: on one connection it would hold for that work too. "
                f"Commit that work first, or test this code on real connections: "
                f"in a unittest.TestCase, on a database of "
                f"its own."
            ],
        )

    def test_impatient_beside(self) -> None:
        """NOWAIT beside another's work names both."""
        a, b = self.two()
        a.exec_driver_sql("UPDATE item SET n = 1")  # A
        with self.refused() as said:
            b.exec_driver_sql("SELECT * FROM item FOR UPDATE NOWAIT")  # B
        self.assertEqual(
            said,
            [
                f"{self.connection(2, 'B')} uses NOWAIT or SKIP LOCKED beside uncommitted work of "
                f"{self.connection(1, 'A')}: on one connection no lock is ever in the way. Commit "
                f"that work first, or test this code on real connections: in a unittest.TestCase, "
                f"on a database of its own."
            ],
        )

    def test_would_wait(self) -> None:
        """A table that another has locked names both, and the lock."""
        a, b = self.two()
        a.exec_driver_sql("LOCK TABLE item IN SHARE MODE")  # A
        with self.refused() as said:
            b.exec_driver_sql("UPDATE item SET n = 1")  # B
        self.assertEqual(
            said,
            [
                f"{self.connection(2, 'B')} would wait on real connections for "
                f"{self.connection(1, 'A')}, which has locked table item in SHARE mode: on one "
                f"connection no lock is ever in the way. End that transaction first, or test this "
                f"code on real connections: in a unittest.TestCase, on a database of its own."
            ],
        )

    def test_cursor_of_another(self) -> None:
        """A cursor of a name that another connection has names both."""
        a, b = self.two()
        a.exec_driver_sql("DECLARE c CURSOR FOR SELECT 1")  # A
        with self.refused() as said:
            b.exec_driver_sql("DECLARE c CURSOR FOR SELECT 2")  # B
        self.assertEqual(
            said,
            [
                f'{self.connection(2, "B")} names the cursor "c", and {self.connection(1, "A")} '
                f"has one of that name. On one connection the two are the same. Give the cursors "
                f"different names."
            ],
        )

    def test_prepared_statement_of_another(self) -> None:
        """So does a prepared statement."""
        a, b = self.two()
        a.exec_driver_sql("PREPARE p AS SELECT 1")  # A
        with self.refused() as said:
            b.exec_driver_sql("EXECUTE p")  # B
        self.assertEqual(
            said,
            [
                f'{self.connection(2, "B")} names the prepared statement "p", and '
                f"{self.connection(1, 'A')} has one of that name. On one connection the two are "
                f"the same. Give the statements different names."
            ],
        )

    def test_advisory_lock_of_another(self) -> None:
        """An advisory lock that nobody would wait for names who holds it, and who asks."""
        a, b = self.two()
        a.exec_driver_sql("SELECT pg_advisory_lock(1)")  # A
        with self.refused() as said:
            b.exec_driver_sql("SELECT pg_advisory_lock(1)")  # B
        self.assertEqual(
            said,
            [
                f"{self.connection(2, 'B')} asked for an advisory lock, or let one go, while "
                f"{self.connection(1, 'A')} holds one: on one connection nobody waits for it. Let "
                f"the other one go first, or test this code on real connections: "
                f"in a unittest.TestCase, on a database of "
                f"its own."
            ],
        )

    def test_constraint_holds_by_another(self) -> None:
        """A deferred constraint that holds by another's rows names both."""
        a, b = self.two()
        a.exec_driver_sql("INSERT INTO parent VALUES (2, 'two')")  # A
        b.exec_driver_sql("INSERT INTO child VALUES (1, 2)")  # B
        with self.refused() as said:
            b.commit()
        self.assertEqual(
            said,
            [
                f"a deferred constraint was checked when {self.connection(2, 'B')} committed, and "
                f"may hold only by what {self.connection(1, 'A')} has written to table parent and "
                f"not committed: one connection sees it. Let the other end first, or test this "
                f"code on real connections: in a unittest.TestCase, on a database of its own."
            ],
        )

    def test_constraint_checked_before(self) -> None:
        """A READ ONLY commit names whose commit has checked what it may not check itself."""
        a, b = self.two()
        a.exec_driver_sql("INSERT INTO child VALUES (1, 1)")  # A
        b.exec_driver_sql(INSERT.format("b"))  # B
        b.commit()
        a.exec_driver_sql("SET TRANSACTION READ ONLY")
        with self.refused() as said:
            a.commit()
        self.assertEqual(
            said,
            [
                f"a deferred constraint was checked when {self.connection(2, 'B')} committed, and "
                f"is not checked again when {self.connection(1, 'A')} commits, which became READ "
                f"ONLY after it wrote: real connections might refuse to check it then. Let the one "
                f"end before the other commits, or test this code on real connections: in a "
                f"unittest.TestCase, on a database of its own."
            ],
        )

    def test_connection_lost(self) -> None:
        """A test whose real connection was lost cannot go on."""
        connection, _ = self.two()
        connection.exec_driver_sql(INSERT.format("a"))
        with self.judge.connect() as other:
            pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
            other.exec_driver_sql(f"SELECT pg_terminate_backend({pid}, 10000)")
        with self.assertRaises(sa.exc.OperationalError):
            connection.exec_driver_sql("SELECT 1")
        with self.refused() as said:
            self.engine.connect()
        self.assertEqual(
            said,
            [
                "the real connection of ShopTest's sandbox was lost, and with it what was done "
                "since the class's set-up began, committed or not. A new connection would show "
                "none of it. Let the test end here; the next one starts anew."
            ],
        )

    def test_may_wait(self) -> None:
        """Of locked rows nothing tells whose locks they are."""
        a, b = self.two()
        a.exec_driver_sql("SELECT * FROM item FOR UPDATE")  # A
        with self.warned("B") as said:
            b.exec_driver_sql("UPDATE item SET n = 1")  # B
        self.assertEqual(
            said,
            [
                f"{self.connection(2, 'B')} changes or locks rows of table item, and "
                f"{self.connection(1, 'A')} has locked some of them: on real connections it would "
                f"wait for those that both want. End that transaction first, or test this code on "
                f"real connections: in a unittest.TestCase, "
                f"on a database of its own. The statement: UPDATE item SET n = 1"
            ],
        )

    def test_meets_deletion(self) -> None:
        """Of deleted rows nothing tells whose deed it was."""
        a, b = self.two()
        a.exec_driver_sql("DELETE FROM item")  # A
        with self.warned("B") as said:
            b.exec_driver_sql("SELECT count(*) FROM item")  # B
        self.assertEqual(
            said,
            [
                f"{self.connection(2, 'B')} meets what {self.connection(1, 'A')} may have deleted "
                f"from table item and not committed: on real connections it would not be seen. "
                f"Commit it first, or test this code on real connections: in a unittest.TestCase, "
                f"on a database of its "
                f"own. The statement: SELECT count(*) FROM item"
            ],
        )


class TestPsycopg2(TextCase, TwinTestCase):
    """What is said of things that only psycopg2 has."""

    def setUp(self) -> None:
        super().setUp()
        self.open()

    def test_connection_factory(self) -> None:
        """Engines that want connections of different classes are named by their lines."""

        class Connection(extensions.connection):
            pass

        self.box.begin_test()
        first = self.another_engine(connect_args={"connection_factory": Connection})
        first.connect().close()  # first
        other = self.another_engine(connect_args={"connection_factory": extras.LoggingConnection})
        with self.refused() as said:
            other.connect()  # other
        self.assertEqual(
            said,
            [
                f"an engine connects at {self.at('other')} with "
                f"connection_factory=LoggingConnection, and the connection of ShopTest's sandbox "
                f"was made at {self.at('first')} as a Connection. All engines of one database "
                f"share one connection there. Give them the same connect_args."
            ],
        )

    def test_several_statements(self) -> None:
        """Several statements, one of which steers the transaction, come by execute() alone."""
        self.box.begin_test()
        cursor = self.raw().cursor()
        with self.refused() as said:
            cursor.copy_expert("SELECT 1;\n COMMIT", None)
        self.assertEqual(
            said,
            [
                "several statements, of which one steers the transaction, in one call: SELECT 1; "
                "COMMIT. A sandbox plays them one by one, which only execute() allows. Send them "
                "apart."
            ],
        )

    def test_client_encoding(self) -> None:
        """A client encoding of one connection's own is refused."""
        self.box.begin_test()
        with self.refused() as said:
            self.raw().set_client_encoding("LATIN1")
        self.assertEqual(
            said,
            [
                "client encoding 'LATIN1' differs from 'UTF8' of the real connection, which all "
                "connections of a sandbox share. Set it for the database, or test this code on "
                "real connections: in a unittest.TestCase, on a database of its own."
            ],
        )

    def test_large_object(self) -> None:
        """The driver's large objects are refused."""
        self.box.begin_test()
        with self.refused() as said:
            self.raw().lobject()
        self.assertEqual(
            said,
            [
                "large objects by connection.lobject() cannot be played in a sandbox, because they "
                "talk to the real connection themselves. Use the server's lo_* functions in SQL, "
                "or test this code on real connections: in a unittest.TestCase, "
                "on a database of its own."
            ],
        )


class TestPsycopg(TestPostgreSQL):
    """The same with psycopg 3, and what is said of things that only it has."""

    driver = "postgresql+psycopg"

    def test_connection_of_a_listener(self) -> None:
        """A listener may keep its connection: it is the one that the engine gives."""
        kept = []
        engine = self.another_engine()
        sa.event.listen(engine, "connect", lambda connection, record: kept.append(connection))
        self.box.begin_test()
        self.assertIs(self.raw(engine), kept[0])

    def test_notifications(self) -> None:
        """Nobody waits for what only a real commit sends."""
        self.box.begin_test()
        with self.refused() as said:
            next(self.raw().notifies(timeout=0))
        self.assertEqual(
            said,
            [
                "notifies() would wait for ever in a sandbox: the server sends notifications when "
                "a transaction is really committed, and none ever is. Test this code on real "
                "connections: in a unittest.TestCase, on a database of its own."
            ],
        )

    def test_pipeline(self) -> None:
        """Pipeline mode is refused."""
        self.box.begin_test()
        with self.refused() as said:
            self.raw().pipeline().__enter__()
        self.assertEqual(
            said,
            [
                "pipeline() cannot be played in a sandbox: in pipeline mode the real connection "
                "takes no messages of other connections, nor the sandbox's own. Use "
                "executemany(), which has a pipeline of its own, or test this code on real "
                "connections: in a unittest.TestCase, on a database of its own."
            ],
        )

    def test_libpq_call(self) -> None:
        """What libpq is told by the program itself is refused."""
        self.box.begin_test()
        with self.refused() as said:
            self.raw().pgconn.exec_(b"COMMIT")
        self.assertEqual(
            said,
            [
                "pgconn.exec_() talks to the real connection, which all connections of a sandbox "
                "share, and past the sandbox. Use a cursor of psycopg, or test this code on real "
                "connections: in a unittest.TestCase, on a database of its own."
            ],
        )

    def test_copy_writer(self) -> None:
        """A COPY with a writer of the program's own is refused."""

        class Mine(psycopg.copy.Writer):
            def write(self, data: Any) -> None:
                raise AssertionError("not reached")

        self.box.begin_test()
        copying = self.raw().cursor().copy("COPY parent FROM STDIN", writer=Mine())
        with self.refused() as said, copying:
            self.fail("not reached")
        self.assertEqual(
            said,
            [
                "copy() with a writer of class Mine cannot be played in a sandbox: what it does "
                "with the data would go past it. Leave the writer out, or test this code on real "
                "connections: in a unittest.TestCase, on a database of its own."
            ],
        )


# -- SQLite ----------------------------------------------------------------------------------------


SCHEMA = """
CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT UNIQUE);
CREATE TABLE parent (id INTEGER PRIMARY KEY);
CREATE TABLE child (
    id INTEGER PRIMARY KEY,
    parent_id INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE TABLE strict_item (name TEXT UNIQUE ON CONFLICT ROLLBACK);
INSERT INTO item VALUES (1, 'first');
INSERT INTO parent VALUES (1);
"""


class TestSQLite(EveryKind):
    """What is said on SQLite."""

    CHECKED = "deferred foreign keys"
    VIOLATED = ("a deferred foreign key", "FOREIGN KEY constraint failed")
    COLLIDED = (
        "has written",
        "UNIQUE constraint failed: item.name",
        'gone on, or ended in "database is locked"',
    )
    OPTIONS = {"detect_types": sqlite3.PARSE_COLNAMES}
    MADE = "table made"

    def setUp(self) -> None:
        super().setUp()
        path = Path(self.enterContext(tempfile.TemporaryDirectory()), "shop_test.db")
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.executescript(SCHEMA)
        self.url = sa.make_url(f"sqlite:///{path}")
        self.open()

    def another_engine(self, **options: Any) -> sa.Engine:
        engine = super().another_engine(**options)

        @sa.event.listens_for(engine, "connect")
        def listen(connection: Any, record: Any) -> None:
            connection.execute("PRAGMA foreign_keys = ON")

        return engine

    def bare_engine(self, *statements: str) -> sa.Engine:
        """Make an engine whose connections begin with *statements*."""
        engine = super().another_engine()

        @sa.event.listens_for(engine, "connect")
        def listen(connection: Any, record: Any) -> None:
            for statement in statements:
                connection.execute(statement)

        return engine

    def test_wants_no_transaction(self) -> None:
        """What runs in no transaction is refused by its name."""
        self.box.begin_test()
        with self.refused() as said:
            self.raw().execute("VACUUM")
        self.assertEqual(
            said,
            [
                "VACUUM cannot be run in a sandbox: everything that a test does is one transaction "
                "there, and VACUUM wants none. Test this code on real connections: "
                "in a unittest.TestCase, on a database "
                "of its own."
            ],
        )

    def test_cannot_be_run(self) -> None:
        """What SQLite itself refuses inside a transaction is refused with its reason."""
        self.box.begin_test()
        with self.refused() as said:
            self.raw().execute("PRAGMA wal_checkpoint")
        self.assertEqual(
            said,
            [
                "PRAGMA cannot be run in a sandbox: database table is locked. Everything that a "
                "test does is one transaction there. Test this code on real connections: "
                "in a unittest.TestCase, on a "
                "database of its own."
            ],
        )

    def test_unfetched(self) -> None:
        """Rows of a RETURNING that nobody fetched name whose they are, and who wants to go on."""
        self.box.begin_test()
        one, other = self.raw(), self.raw()
        sql = "INSERT INTO item (name) VALUES ('a'), ('b') RETURNING id"
        cursor = one.execute(sql)  # A
        cursor.fetchone()
        with self.refused() as said:
            other.execute("SELECT * FROM item")  # B
        self.assertEqual(
            said,
            [
                f"{self.connection(2, 'B')} sends a statement while {self.connection(1, 'A')} has "
                f"not fetched all rows of an INSERT, UPDATE or DELETE ... RETURNING. On real "
                f"connections the database would be locked, and one connection cannot keep the two "
                f"apart. Fetch all rows first."
            ],
        )

    def test_ended_by_sqlite(self) -> None:
        """A transaction that SQLite ends names whose work is lost with it."""
        self.box.begin_test()
        a, b = self.raw(), self.raw()
        a.execute(INSERT.format("a"))  # A
        a.commit()
        b.execute("INSERT INTO strict_item VALUES ('x')")  # B
        with self.refused() as said:
            b.execute("INSERT INTO strict_item VALUES ('x')")
        self.assertEqual(
            said,
            [
                f"SQLite ended the whole transaction for an error of {self.connection(2, 'B')}: "
                f"UNIQUE constraint failed: strict_item.name. It does so for ON CONFLICT ROLLBACK "
                f"in a table and for RAISE(ROLLBACK), and in a sandbox what was written by "
                f"{self.connection(1, 'A')} is lost with it. Test this code on real connections: "
                f"in a unittest.TestCase, "
                f"on a database of its own."
            ],
        )

    def test_ended_with_the_class_data(self) -> None:
        """So does one with which the class's data are lost."""
        with self.engine.begin() as connection:
            connection.exec_driver_sql("INSERT INTO strict_item VALUES ('x')")
        self.box.begin_test()
        connection = self.raw()
        with self.refused() as said:
            connection.execute("INSERT INTO strict_item VALUES ('x')")
        self.assertIn("what was written by the class's set-up is lost with it.", said[0])

    def test_ended_rows(self) -> None:
        """Rows of before a rollback are refused where another has changed the schema."""
        self.box.begin_test()
        one = self.raw()
        one.execute(INSERT.format("a"))
        one.execute(INSERT.format("b"))
        one.commit()
        one.execute("CREATE TABLE made (x)")
        other = self.raw()
        other.isolation_level = None
        rows = other.execute("SELECT name FROM item")
        rows.fetchone()
        other.execute("SAVEPOINT s")  # B
        other.execute("INSERT INTO strict_item VALUES ('c')")
        other.execute("ROLLBACK TO s")
        with self.refused() as said:
            rows.fetchall()
        self.assertEqual(
            said,
            [
                f"{self.connection(2, 'B')} fetches rows of before a ROLLBACK: abort due to "
                f"ROLLBACK. SQLite ends a statement so where the transaction has changed the "
                f"schema, and in a sandbox that of others is the same transaction. Fetch all rows "
                f"before the rollback, or test this code on real connections: "
                f"in a unittest.TestCase, on a database of its "
                f"own."
            ],
        )

    def test_pragma_too_late(self) -> None:
        """A PRAGMA that comes when something is written already is refused."""
        self.box.begin_test()
        connection = self.raw()
        connection.execute(INSERT.format("a"))
        connection.commit()
        with self.refused() as said:
            connection.execute("PRAGMA journal_mode = WAL")
        self.assertEqual(
            said,
            [
                "PRAGMA journal_mode = wal cannot take effect in a sandbox, where everything that "
                "is done is one transaction, and something was written already. Send it in a "
                "`connect` listener of the engine, or test this code on real connections: "
                "in a unittest.TestCase, on a "
                "database of its own."
            ],
        )

    def test_pragma_differs(self) -> None:
        """PRAGMAs that differ name the lines at which the two engines connect."""
        self.box.begin_test()
        off, on = self.bare_engine("PRAGMA recursive_triggers = 1"), self.bare_engine()
        off.connect().close()  # first
        with self.refused() as said:
            on.connect()  # other
        self.assertEqual(
            said,
            [
                f"a connection does not send PRAGMA recursive_triggers at {self.at('other')}, and "
                f"the connection of ShopTest's sandbox was made at {self.at('first')} with PRAGMA "
                f"recursive_triggers = 1. All connections to one database share it there, and "
                f"recursive_triggers cannot differ between them. Give the engines the same "
                f"`connect` listeners."
            ],
        )

    def test_registered_twice(self) -> None:
        """Two functions of one name are named by the lines that register them."""
        self.box.begin_test()
        one, other = self.raw(), self.raw()
        one.create_function("which", 0, lambda: 1)  # A
        with self.refused() as said:
            other.create_function("which", 0, lambda: 2)  # B
        self.assertEqual(
            said,
            [
                f'two connections register different things as function "which", connection 1 at '
                f"{self.at('A')} and connection 2 at {self.at('B')}, and in ShopTest's sandbox "
                f"they share one connection. Register the same object on each, or give them "
                f"different names."
            ],
        )

    def test_no_cursor_class(self) -> None:
        """A function that makes cursors is refused."""
        self.box.begin_test()

        def make(connection: Any) -> sqlite3.Cursor:
            return sqlite3.Cursor(connection)

        connection = self.raw()
        with self.refused() as said:
            connection.cursor(make)
        self.assertEqual(
            said,
            [
                f"{make!r} makes cursors and is no subclass of sqlite3.Cursor: its cursors could "
                f"not ask the sandbox before they send a statement. Give a class."
            ],
        )

    def test_copied_beside(self) -> None:
        """A copy that would hold others' uncommitted work names both."""
        self.box.begin_test()
        one, other = self.raw(), self.raw()
        one.execute(INSERT.format("a"))  # A
        with self.refused() as said:
            other.serialize()
        self.assertEqual(
            said,
            [
                f"connection 2 (it has begun no transaction) calls serialize() beside uncommitted "
                f"work of {self.connection(1, 'A')}: on one connection that work would be in it. "
                f"Commit it first, or test this code on real connections: in a unittest.TestCase, "
                f"on a database of its own."
            ],
        )

    def test_blob_for_writing(self) -> None:
        """A BLOB that is opened for writing is refused."""
        self.box.begin_test()
        with self.refused() as said:
            self.raw().blobopen("item", "name", 1)
        self.assertEqual(
            said,
            [
                "blobopen() for writing cannot be played in a sandbox, because the BLOB talks to "
                "the real connection itself. Give readonly=True, or write it by an UPDATE."
            ],
        )

    def test_deserialized(self) -> None:
        """A database that is replaced is refused."""
        self.box.begin_test()
        with self.refused() as said:
            self.raw().deserialize(b"")
        self.assertEqual(
            said,
            [
                "deserialize() cannot be played in a sandbox, because it replaces the database in "
                "which the transaction is open. Fill it by SQL, or test this code on real "
                "connections: in a unittest.TestCase, on a database of its own."
            ],
        )

    def test_writes_beside(self) -> None:
        """A second writer, whom SQLite would lock out, warns of its line."""
        a, b = self.two()
        a.exec_driver_sql(INSERT.format("a"))  # A
        with self.warned("B") as said:
            b.exec_driver_sql("INSERT INTO parent VALUES (2)")  # B
        self.assertEqual(
            said,
            [
                f"{self.connection(2, 'B')} writes while {self.connection(1, 'A')} has written and "
                f'not committed: on real connections it would wait, and then end in "database is '
                f'locked". Commit the other first, or test this code on real connections: in a '
                f"unittest.TestCase, on a database of its own. The statement: INSERT INTO parent "
                f"VALUES (2)"
            ],
        )

    def test_commits_beside(self) -> None:
        """A commit that a reader would keep out warns of its line."""
        self.box.begin_test()
        reader, writer = self.raw(), self.raw()
        reader.execute("BEGIN")  # A
        reader.execute("SELECT * FROM item").fetchall()
        writer.execute(INSERT.format("b"))  # B
        with self.warned("commit") as said:
            writer.commit()  # commit
        self.assertEqual(
            said,
            [
                f"{self.connection(2, 'B')} commits what it wrote while {self.connection(1, 'A')} "
                f'has read: on real connections it would end in "database is locked", or in WAL '
                f"mode the other would go on seeing what was there before. End the other's "
                f"transaction first, or test this code on real connections: "
                f"in a unittest.TestCase, on a database of its "
                f"own."
            ],
        )

    def test_commit_warning_as_error(self) -> None:
        """Where that warning is an error, the commit is made all the same, and not half of it."""
        self.box.begin_test()
        reader, writer = self.raw(), self.raw()
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM item").fetchall()
        writer.execute(INSERT.format("b"))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with self.assertRaises(UncommittedDataWarning):
                writer.commit()
        writer.execute(INSERT.format("c"))
        writer.rollback()
        self.assertEqual(
            reader.execute("SELECT name FROM item ORDER BY id").fetchall(), [("first",), ("b",)]
        )


# -- a class's databases ---------------------------------------------------------------------------


class TestFixture(TextCase):
    """What is said by what holds a class's databases."""

    def fixture(self, database: str) -> DatabaseFixture:
        return DatabaseFixture("ShopTest", setting=lambda key: choose(database, bind=key))

    def test_two_drivers(self) -> None:
        """Two drivers for one database are named, with the lines at which they connect."""
        fixture = self.enterContext(self.fixture("postgresql"))
        fixture.engine(None).connect().close()  # first
        self.box = fixture.sandboxes[None]
        other = sa.create_engine(fixture.urls[None])
        other.dialect.driver = "another"
        where = sa.make_url(fixture.urls[None]).render_as_string(hide_password=True)
        with self.refused() as said:
            other.connect()  # other
        self.assertEqual(
            said,
            [
                f"{other!r} connects at {self.at('other')} by postgresql+another, and the "
                f"connection of ShopTest was made at {self.at('first')} by postgresql+psycopg2. "
                f"Two drivers cannot share one connection. Use one driver for {where}."
            ],
        )
        fixture.forget_swallowed()

    def test_request_beside(self) -> None:
        """A request beside the test's own uncommitted work warns of the line that makes it."""
        for database in ("postgresql", "sqlite"):
            with self.subTest(database), self.fixture(database) as fixture:
                engine = fixture.engine(None)
                with engine.begin() as connection:
                    connection.exec_driver_sql("CREATE TABLE made (id int)")
                fixture.freeze()
                fixture.begin_test()
                with engine.connect() as connection:
                    connection.exec_driver_sql("INSERT INTO made VALUES (1)")  # A
                    with self.warned("request") as said:
                        fixture.warn_of_uncommitted()  # request
                    connection.rollback()
                fixture.closing()
                fixture.end_test()
            self.assertEqual(
                said,
                [
                    f"a request is made at {self.at('request')} while {self.connection(1, 'A')} "
                    f"holds data that is not committed: on real connections the request, which has "
                    f"a connection of its own, would not see it, or would wait for its locks. "
                    f"Commit it before the request."
                ],
            )


# -- lines of the user's code ----------------------------------------------------------------------


def called_in(filename: str, function: Callable[[], Any]) -> Any:
    """Call *function* from line 2 of a file of that name."""
    return through([filename], function)()


def through(filenames: Sequence[str], function: Callable[[], Any]) -> Callable[[], Any]:
    """Make a function that comes to *function* through files of these names, line 2 of each."""
    for filename in reversed(filenames):
        names: dict[str, Any] = {"function": function}
        exec(calling(filename), names)
        function = names["call"]
    return function


@functools.cache
def calling(filename: str) -> CodeType:
    """Compile a file once, so that what is in it is the same code wherever it is called."""
    return compile("def call():\n    return function()", filename, "exec")


class TestPlace(unittest.TestCase):
    """Which line is the user's."""

    def test_files(self) -> None:
        """The innermost line counts that is not of Python, of a package or of the library."""
        for filename, is_users in (
            ("/srv/shop/views.py", True),
            (f"{PACKAGE}_tools/views.py", True),
            (f"{PACKAGE}/sandbox/base.py", False),
            (f"{sysconfig.get_path('purelib')}/flask/app.py", False),
            (f"{sysconfig.get_path('stdlib')}/unittest/case.py", False),
            ("<string>", False),
        ):
            with self.subTest(filename):
                found = called_in(filename, place)
                self.assertEqual(found.filename == filename and found.line == 2, is_users)
                self.assertEqual(found.filename == __file__, not is_users)

    def test_same_way(self) -> None:
        """Who comes by a way that is known is told apart, and so is who comes in between."""
        views, models, events = "/srv/shop/views.py", "/srv/shop/models.py", "/srv/shop/events.py"
        ours = f"{PACKAGE}/sandbox/base.py"
        session = f"{Path(sa.__file__).parent}/orm/session.py"
        app, runner = "/srv/shop/app.py", f"{sysconfig.get_path('stdlib')}/unittest/case.py"
        for files, found in (
            ((views, session, ours), views),
            ((models, session, ours), models),
            ((views, models, session, ours), models),
            ((models, session, session, events, session, ours), events),
            ((models, session, session, session, session, ours), models),
            ((models, session, session, session, session, session, session, ours), models),
            ((models, session, session, events, session, ours), events),
            ((views, session, ours), views),
            ((app, runner, runner, runner, ours), app),
            ((app, runner, views, session, ours), views),
        ) * 2:
            with self.subTest(files):
                self.assertEqual(through(files, place)(), Place(found, 2))

    def test_text(self) -> None:
        """A file below the current directory is named from there, another in full."""
        with tempfile.TemporaryDirectory() as directory, contextlib.chdir(directory):
            here = Path.cwd()
            self.assertEqual(str(Place(f"{here}/shop/views.py", 3)), "shop/views.py:3")
            self.assertEqual(str(Place("/srv/shop/views.py", 3)), "/srv/shop/views.py:3")

    def test_trail(self) -> None:
        """A trail has every line of the user's, the outermost first."""
        found = called_in("/srv/shop/views.py", lambda: called_in("<string>", trail))
        files = [at.filename for at, _ in found.calls]
        self.assertEqual(files[-3:], ["/srv/shop/views.py", __file__, __file__])
        lines = str(found).splitlines()
        self.assertEqual(lines[-3], '  File "/srv/shop/views.py", line 2, in call')
        self.assertEqual(found.end.filename, __file__)

    def test_nobodys(self) -> None:
        """Where no line is the user's, that is said."""
        outcome: list[Any] = []

        def tell() -> None:
            outcome.append((str(place()), str(trail().end)))

        # a thread begins in Python's own code
        with mock.patch.dict(places._is_users, {__file__: False}):
            thread = threading.Thread(target=tell)
            thread.start()
            thread.join()
        self.assertEqual(outcome, [("an unknown place", "an unknown place")])


class TestSetUpTestData(unittest.TestCase):
    """What ``setUpTestData`` has not committed is told, though its session is closed."""

    def warned(self, flush: bool) -> list[str]:
        base = declarative_base()

        class Item(base):  # type: ignore[valid-type, misc]
            __tablename__ = "item"
            id = sa.Column(sa.Integer, primary_key=True)

        class ShopTest(DatabaseTestCase):
            database = "sqlite"
            schema = MetadataSchema(base.metadata)

            @classmethod
            def setUpTestData(cls) -> None:
                cls.session.add(Item())
                if flush:
                    cls.session.flush()

            def test_1(self) -> None:
                self.assertEqual(self.session.query(Item).count(), 0)

            test_2 = test_1

        report = run(ShopTest)
        self.assertEqual((report.ran, report.messages), (2, []))
        return [str(each.message) for each in report.warned]

    def test_pending(self) -> None:
        """Objects that were never sent are counted."""
        self.assertEqual(
            self.warned(flush=False),
            [
                "ShopTest.setUpTestData() left objects in its session that were not committed: 1 "
                "new, changed or deleted. No test will see that. Call commit() at its end."
            ],
        )

    def test_line(self) -> None:
        """The warning is of the last line of the hook, where the commit is missing."""
        base = declarative_base()

        class Item(base):  # type: ignore[valid-type, misc]
            __tablename__ = "item"
            id = sa.Column(sa.Integer, primary_key=True)

        def logged(hook: Callable[[Any], None]) -> Callable[[Any], None]:
            @functools.wraps(hook)
            def call(cls: Any) -> None:
                hook(cls)

            return call

        class Data(DatabaseTestCase):
            database = "sqlite"
            schema = MetadataSchema(base.metadata)

            @classmethod
            @logged
            def setUpTestData(cls) -> None:
                items = [Item() for _ in range(2)]
                cls.session.add_all(items)  # the last line

        class ShopTest(Data):
            def test_it(self) -> None:
                pass

        (warned,) = run(ShopTest).warned
        lines, first = inspect.getsourcelines(type(self).test_line)
        (last,) = (n for n, text in enumerate(lines, first) if text.endswith("# the last line\n"))
        self.assertEqual((warned.filename, warned.lineno), (__file__, last))

    def test_line_without_code(self) -> None:
        """A hook that is no function of Python's is passed over."""
        self.assertIsNone(places.last_line(functools.partial(print)))

    def test_flushed(self) -> None:
        """What was sent and not committed is of a connection."""
        (said,) = self.warned(flush=True)
        self.assertRegex(said, r"^the class's set-up left uncommitted data in connection 1 \(its ")


class TestRealConnections(unittest.TestCase):
    def test_plain_test_case(self) -> None:
        """What no sandbox can play works beside one, in the way that the texts name."""

        class ShopTest(DatabaseTestCase):
            database = "sqlite"

            def test_it(self) -> None:
                with self.engine.connect() as connection:
                    autocommit = connection.execution_options(isolation_level="AUTOCOMMIT")
                    autocommit.exec_driver_sql("VACUUM")

        class VacuumTest(unittest.TestCase):
            engine: sa.Engine

            @classmethod
            def setUpClass(cls) -> None:
                directory = cls.enterClassContext(tempfile.TemporaryDirectory())
                cls.engine = sa.create_engine(f"sqlite:///{directory}/shop.db")
                cls.addClassCleanup(cls.engine.dispose)

            test_it = ShopTest.test_it

        report = run(VacuumTest, ShopTest, VacuumTest)
        ((name, error),) = report.problems
        self.assertRegex(name, "ShopTest")
        self.assertRegex(
            str(error),
            "VACUUM wants none. Test this code on real connections: in a unittest.TestCase, on a "
            "database of its own.$",
        )


# -- that nothing is left out ----------------------------------------------------------------------


class TestTexts(unittest.TestCase):
    def test_every_text_is_tested(self) -> None:
        """Each piece of each text stands in a test of this module, word for word."""
        self.assertEqual([each for path in TEXTS for each in untested(path, Path(__file__))], [])

    def test_texts_are_in_their_modules(self) -> None:
        """Whoever raises a conflict, or warns, takes its text from there and says it as it is."""
        strays = []
        for path in sorted(PACKAGE.rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if not isinstance(node, ast.Call):
                    continue
                called = ast.unparse(node.func)
                if called.split(".")[-1] in ("conflict", "SandboxConflict"):
                    modules: tuple[str, ...] = ("messages.", "shared.")
                elif called == "uncommitted.warn":
                    modules = ("uncommitted.",)
                else:
                    warns = path not in TEXTS and called.startswith("warnings.")
                    if warns and "UncommittedDataWarning" in ast.unparse(node):
                        strays.append(f"{path.relative_to(PACKAGE)}:{node.lineno}")
                    continue
                if not ast.unparse(node.args[0]).startswith(modules):
                    strays.append(f"{path.relative_to(PACKAGE)}:{ast.unparse(node)}")
        # what makes a conflict of a text
        self.assertEqual(strays, ["sandbox/base.py:SandboxConflict(message)"])

    def test_every_text_is_explained(self) -> None:
        """Whoever pastes the text of a conflict or warning into a search finds it in the FAQ."""
        self.assertEqual([each for path in TEXTS for each in unexplained(path)], [])

    def test_every_text_is_used(self) -> None:
        """No text is left that nobody prints."""
        self.assertEqual([each for path in TEXTS for each in unused(path)], [])


del EveryKind  # it is run for each kind of database


if __name__ == "__main__":
    unittest.main()

"""The life of a sandbox, its engines, threads and endings, where the driver is psycopg 3."""

from __future__ import annotations

import sys
import time
import unittest
from typing import Any
from unittest import mock

import psycopg
import sqlalchemy as sa
from psycopg.rows import namedtuple_row
from psycopg.types import TypeInfo
from sqlalchemy import make_url

from dbtestcase.errors import MissingExtraError, SandboxConflict, SettingsError
from dbtestcase.sandbox import open_sandbox, psycopg_driver

from . import test_sandbox
from .test_psycopg_driver import PSYCOPG


class TestLife(test_sandbox.TestLife):
    driver = PSYCOPG


class TestEscape(test_sandbox.TestEscape):
    driver = PSYCOPG


class TestLostConnection(test_sandbox.TestLostConnection):
    driver = PSYCOPG


class TestEngines(test_sandbox.TestEngines):
    driver = PSYCOPG

    @staticmethod
    def register(connection: Any) -> None:
        info = TypeInfo.fetch(connection, "uuid")
        assert info is not None
        info.register(connection)

    def test_options_of_each_engine(self) -> None:
        """Engines whose connect_args never reach the server share the connection."""
        engine = self.redirected(
            connect_args={
                "row_factory": namedtuple_row,
                "cursor_factory": psycopg.ClientCursor,
                "prepare_threshold": None,
                "autocommit": True,
            }
        )
        with engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            self.assertIsInstance(driver, psycopg.Connection)
            self.assertIsInstance(driver.cursor(), psycopg.ClientCursor)
            self.assertIsNone(driver.prepare_threshold)
            self.assertTrue(driver.autocommit)
            self.assertEqual(driver.execute("SELECT %s AS n", [7]).fetchone().n, 7)
        with self.engine.connect() as connection:
            driver = connection.connection.driver_connection
            self.assertNotIsInstance(driver.cursor(), psycopg.ClientCursor)
            self.assertEqual(driver.prepare_threshold, 5)
            self.assertFalse(driver.autocommit)
            self.assertEqual(driver.execute("SELECT 7").fetchone(), (7,))

    def test_first_contact(self) -> None:
        """What SQLAlchemy looks up at its first contact begins and ends nothing really."""
        with self.judge.connect() as connection:
            connection.exec_driver_sql("CREATE EXTENSION IF NOT EXISTS vector")
        with self._opened() as self.box:
            engine = self.redirected()

            @sa.event.listens_for(engine, "connect", insert=True)
            def listen(connection: Any, record: Any) -> None:
                connection.execute("INSERT INTO item (name) VALUES ('listener')")
                self.assertIsNotNone(TypeInfo.fetch(connection, "vector"))
                connection.commit()

            self.assertEqual(self.names(engine), ["first", "listener"])
            self.assertEqual(self.real_names(), ["first"])

    def test_listener_keeps_its_connection(self) -> None:
        """The connection that a listener is given is the one that the pool keeps."""
        kept: list[Any] = []
        engine = self.redirected()
        sa.event.listen(engine, "connect", lambda connection, record: kept.append(connection))
        with engine.connect() as connection:
            self.assertIs(connection.connection.driver_connection, kept[0])

    def test_two_phase(self) -> None:
        """SQLAlchemy's two-phase transactions are refused."""
        refused = self.assertRaisesRegex(SandboxConflict, "^two-phase transactions cannot be")
        with self.engine.connect() as connection, refused:
            connection.begin_twophase()
            connection.exec_driver_sql("SELECT 1")


class TestThreads(test_sandbox.TestThreads):
    driver = PSYCOPG

    def test_one_connection(self) -> None:
        """Threads may share a connection of psycopg 3, as one waits for another's statement."""
        self.box.freeze()
        with self.a_test(), self.engine.connect() as connection:
            driver: Any = connection.connection.driver_connection

            def write(number: int) -> None:
                for each in range(5):
                    driver.execute("INSERT INTO item (name) VALUES (%s)", [f"{number}.{each}"])

            self.run_all(*(lambda number=number: write(number) for number in range(4)))
            driver.commit()
            self.assertEqual(len(self.names()), 21)


    def test_notices_after_waiting(self) -> None:
        """A notice is given to the connection of its statement, whoever else waited meanwhile."""
        with self.engine.begin() as connection:
            connection.exec_driver_sql(
                "CREATE FUNCTION shouted(text) RETURNS text LANGUAGE plpgsql "
                "AS $$ BEGIN RAISE NOTICE '%%', $1; RETURN $1; END $$"
            )
        self.box.freeze()
        heard: list[tuple[str, str | None]] = []

        def write(name: str) -> None:
            with self.engine.begin() as connection:
                driver: Any = connection.connection.driver_connection
                driver.add_notice_handler(
                    lambda diag: heard.append((name, diag.message_primary))
                )
                driver.execute("INSERT INTO item (name) VALUES (shouted(%s))", [name])

        def release() -> None:
            while self.box.changed.waiting < 2:
                time.sleep(0.01)
            first.commit()

        with self.a_test(), self.engine.connect() as first:
            first.exec_driver_sql("INSERT INTO item (name) VALUES ('held')")
            self.run_all(lambda: write("a"), lambda: write("b"), release)
        self.assertEqual(sorted(heard), [("a", "a"), ("b", "b")])


class TestFork(test_sandbox.TestFork):
    driver = PSYCOPG


class TestMessages(test_sandbox.TestMessages):
    driver = PSYCOPG


class TestSandboxed(test_sandbox.TestSandboxed):
    driver = PSYCOPG


class TestOpenSandbox(unittest.TestCase):
    def test_another_driver(self) -> None:
        """A driver that there is no sandbox for is an error that names those there are."""
        with self.assertRaises(SettingsError) as caught:
            open_sandbox(make_url("postgresql+pg8000:///shop_test"))
        self.assertEqual(
            str(caught.exception),
            "there is no sandbox for postgresql+pg8000 in this version. Write "
            "postgresql+psycopg2, postgresql+psycopg or sqlite+pysqlite, in the URLs of the "
            "program's engines as well: a bare postgresql:// is psycopg2 to SQLAlchemy 2.0, and "
            "psycopg 3 to 2.1.",
        )

    def test_not_installed(self) -> None:
        """Without the package, the extra that brings it is named."""
        ours = [name for name in sys.modules if name.startswith(psycopg_driver.__name__)]
        with mock.patch.dict(sys.modules, psycopg=None):
            for name in ours:
                del sys.modules[name]
            with self.assertRaises(MissingExtraError) as caught:
                open_sandbox(make_url("postgresql+psycopg:///shop_test"))
        self.assertEqual(
            str(caught.exception),
            'the driver of "postgresql+psycopg" cannot be imported: import of psycopg halted; '
            "None in sys.modules. Install it, or a newer one, with: pip install -U "
            '"dbtestcase[psycopg3]". Or write postgresql+psycopg2.',
        )

    def test_too_old(self) -> None:
        """A version whose inner works are others is refused by its number."""
        ours = [name for name in sys.modules if name.startswith(psycopg_driver.__name__)]
        with (
            mock.patch.dict(sys.modules),
            mock.patch.object(psycopg, "__version__", "3.2.13"),
            self.assertRaises(MissingExtraError) as caught,
        ):
            for name in ours:
                del sys.modules[name]
            open_sandbox(make_url("postgresql+psycopg:///shop_test"))
        self.assertEqual(
            str(caught.exception),
            'the driver of "postgresql+psycopg" cannot be imported: psycopg 3.2.13 is too old, 3.3 '
            'is needed. Install it, or a newer one, with: pip install -U "dbtestcase[psycopg3]". '
            "Or write postgresql+psycopg2.",
        )


class TestPrivateNames(unittest.TestCase):
    """The names of psycopg on which the driver leans, which its authors may change."""

    def test_overridden(self) -> None:
        """What is overridden is there to be overridden."""
        for method in (
            psycopg.Connection._exec_command,
            psycopg.Connection._start_query,
            psycopg.Connection._deallocate,
            psycopg.Connection._should_cancel,
            psycopg.ServerCursor._describe_gen,
            psycopg.Copy._read_gen,
        ):
            self.assertTrue(callable(method))

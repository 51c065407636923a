from __future__ import annotations

import contextlib
import io
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import sqlalchemy as sa

from dbtestcase import databases, embedded
from dbtestcase.__main__ import main
from dbtestcase.databases.admin import Mark
from dbtestcase.settings import Kind, choose

from .support import connect_past_sqlalchemy, no_settings

ROOT = Path(__file__).resolve().parent.parent


class MainTest(unittest.TestCase):
    """Commands in the directory of a project of their own."""

    def setUp(self) -> None:
        self.enterContext(no_settings())
        self.enterContext(mock.patch.dict(databases._leases, clear=True))
        self.directory = Path(self.enterContext(tempfile.TemporaryDirectory())).resolve()
        self.enterContext(contextlib.chdir(self.directory))
        self.project = f"m{secrets.token_hex(4)}"
        self.setting = choose("postgresql", environ={})
        for project in (self.project, f"{self.project}x"):
            self.addCleanup(databases.clean, self.setting, templates_too=True, project=project)
        self.addCleanup(databases.release_all)
        self.configure("")

    def configure(self, text: str) -> None:
        Path("setup.cfg").write_text(f"[metadata]\nname = {self.project}\n{text}")

    def call(self, *arguments: str) -> tuple[int, str, str]:
        with (
            contextlib.redirect_stdout(io.StringIO()) as output,
            contextlib.redirect_stderr(io.StringIO()) as errors,
        ):
            status = main(arguments)
        return status, output.getvalue(), errors.getvalue()

    def ready_database(self) -> str:
        held = databases.lease(self.setting, project=self.project)
        held.prepare(None)
        held.truncate_dead_rows()
        databases.release_all()
        return str(held.url.database)


class TestInfo(MainTest):
    def test_default(self) -> None:
        """It tells the database, who chose it, the project and the server."""
        self.assertEqual(
            self.call("info"),
            (
                0,
                "database:   postgresql (the private embedded PostgreSQL)\n"
                "chosen by:  default: the embedded extra is installed\n"
                f"project:    {self.project}\n"
                f"server:     PostgreSQL {embedded.server().version}\n",
                "",
            ),
        )

    def test_value_that_would_choose_it(self) -> None:
        """What it prints of an embedded server chooses that server, and no other one."""
        for value in ("postgresql", "postgresql+psycopg2", "postgresql+psycopg"):
            with self.subTest(value=value):
                os.environ["DBTESTCASE_DATABASE"] = value
                _, output, _ = self.call("info")
                printed = output.split()[1]
                self.assertEqual(choose(printed, environ={}).url, choose(value, environ={}).url)
                self.assertIs(choose(printed, environ={}).kind, Kind.EMBEDDED)

    def test_sqlite_of_a_profile(self) -> None:
        """A profile is named."""
        self.configure("[dbtestcase:fast]\ndatabase = sqlite\n")
        os.environ["DBTESTCASE_PROFILE"] = "fast"
        status, output, _ = self.call("info")
        self.assertEqual(status, 0)
        self.assertEqual(
            output.splitlines()[:2],
            [
                "database:   sqlite+pysqlite:// (SQLite in memory)",
                'chosen by:  profile "fast" in setup.cfg',
            ],
        )
        self.assertRegex(output.splitlines()[3], r"\Aserver:     SQLite 3\.[\d.]+\Z")

    def test_bind(self) -> None:
        """It can tell of one bind."""
        os.environ["DBTESTCASE_DATABASE"] = "postgresql"
        os.environ["DBTESTCASE_DATABASE_AUDIT"] = "sqlite"
        _, output, _ = self.call("info", "--bind", "audit")
        self.assertIn("chosen by:  environment variable DBTESTCASE_DATABASE_AUDIT\n", output)

    def test_leases(self) -> None:
        """It lists the databases of this project, with who holds them."""
        ready = self.ready_database()
        held = databases.lease(self.setting, bind="audit", project=self.project)
        held.prepare(None)
        lost = databases.lease(self.setting, bind="lost", project=self.project)
        lost.prepare(None)
        lost._drop_connection()  # type: ignore[attr-defined]
        other = databases.lease(self.setting, bind="other", project=f"{self.project}x")
        other.prepare(None)
        _, output, _ = self.call("info")
        me = re.escape(Mark.me())
        self.assertRegex(
            output.partition("server:")[2].partition("\n")[2],
            rf"\A            {ready}: ready\n"
            rf"            {lost.url.database}: left behind by {me}\n"
            rf"            {held.url.database}: in use \(process {os.getpid()}\)\n\Z",
        )

    def test_password(self) -> None:
        """A password is not printed, whatever goes wrong."""
        os.environ["DBTESTCASE_DATABASE"] = "postgresql://scott:tiger@127.0.0.1:1"
        status, output, errors = self.call("info")
        self.assertEqual(status, 2)
        self.assertIn("database:   postgresql+psycopg2://scott:***@127.0.0.1:1", output)
        self.assertNotIn("tiger", output + errors)

    def test_error(self) -> None:
        """An error of ours is one line and exit status 2, no traceback."""
        os.environ["DBTESTCASE_PROFILE"] = "ci"
        self.assertEqual(
            self.call("info"),
            (
                2,
                "",
                f'SettingsError: DBTESTCASE_PROFILE names the profile "ci", but '
                f"{self.directory}/setup.cfg has no profiles. Add the section [dbtestcase:ci] "
                "there.\n",
            ),
        )

    def test_misspelt_variable(self) -> None:
        """A variable that nobody reads is an error for every command that reads settings."""
        os.environ["DBTESTCASE_DATBASE"] = "sqlite"
        for command in ("info", "clean"):
            with self.subTest(command=command):
                self.assertEqual(
                    self.call(command),
                    (
                        2,
                        "",
                        "SettingsError: unknown environment variable DBTESTCASE_DATBASE: only "
                        "DBTESTCASE_DATABASE, DBTESTCASE_DATABASE_BIND, DBTESTCASE_PROFILE and "
                        "DBTESTCASE_CACHE_DIR are read. Rename or remove it. Did you mean "
                        '"DBTESTCASE_DATABASE"?\n',
                    ),
                )


class TestClean(MainTest):
    def test_databases(self) -> None:
        """It drops what nobody holds, and says so."""
        name = self.ready_database()
        self.assertEqual(self.call("clean"), (0, f"dropped {name}\n", ""))
        self.assertEqual(self.call("clean"), (0, "nothing to drop\n", ""))

    def test_templates(self) -> None:
        """Templates go with --all only."""
        from dbtestcase.schemas import MetadataSchema

        databases.lease(self.setting, project=self.project).prepare(MetadataSchema(sa.MetaData()))
        databases.release_all()
        _, output, _ = self.call("clean")
        self.assertRegex(output, rf"\Adropped dbtestcase_{self.project}_1\n\Z")
        _, output, _ = self.call("clean", "--all")
        self.assertRegex(output, r"\Adropped dbtestcase_tpl_[0-9a-f]{16}\n\Z")

    def test_other_kinds(self) -> None:
        """Where nothing is ours it says why there is nothing to drop."""
        os.environ["DBTESTCASE_DATABASE"] = "sqlite"
        self.assertEqual(
            self.call("clean"),
            (
                0,
                "nothing to drop: sqlite+pysqlite:// (environment variable DBTESTCASE_DATABASE) "
                "is no server with databases of ours\n",
                "",
            ),
        )


class TestServe(MainTest):
    def test_serve(self) -> None:
        """It prints a URL that a setting takes, and ends well on Ctrl-C and on SIGTERM."""
        for number in (signal.SIGINT, signal.SIGTERM):
            process = subprocess.Popen(
                [sys.executable, "-m", "dbtestcase", "serve"],
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            with process:
                self.addCleanup(process.kill)
                assert process.stdout is not None
                assert process.stderr is not None
                printed = process.stdout.readline().strip()
                self.assertTrue(printed.startswith("postgresql://postgres@"), printed)
                setting = choose(printed, environ={})
                self.assertIs(setting.kind, Kind.SERVER)
                with connect_past_sqlalchemy(setting.url.set(database="postgres")) as connection:
                    connection.cursor().execute("SELECT 1")
                process.send_signal(number)
                self.assertEqual(process.stdout.read(), "")
                self.assertEqual(process.stderr.read(), "")
            self.assertEqual(process.returncode, 0)


class TestUsage(MainTest):
    def test_no_command(self) -> None:
        """Without a command the usage is shown."""
        with (
            contextlib.redirect_stderr(io.StringIO()) as errors,
            self.assertRaises(SystemExit) as caught,
        ):
            main([])
        self.assertEqual(caught.exception.code, 2)
        self.assertIn("usage: python -m dbtestcase", errors.getvalue())

"""What several test modules share."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import secrets
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import unittest
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg2
import psycopg2.errors
from psycopg2 import sql
from sqlalchemy import URL, make_url


@contextlib.contextmanager
def no_settings(**environment: str) -> Iterator[None]:
    """Hide which database the developer's environment names.

    :param environment: variables to set instead.
    """
    hidden = ("DBTESTCASE_DATABASE", "DBTESTCASE_PROFILE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    with mock.patch.dict(os.environ, {**kept, **environment}, clear=True):
        yield


# -- an independent connection --------------------------------------------------------------------


@dataclass
class Content:
    """What a connection of its own finds in a database: the judge of all that tests leave."""

    tables: set[str] = field(default_factory=set)
    rows: dict[str, list[Any]] = field(default_factory=dict)
    """Of each table that has rows: the second column of each, in the order of the first."""
    sequences: dict[str, int] = field(default_factory=dict)
    """Of each sequence that was used: its last value."""
    locked: bool = False
    """Uncommitted work kept this connection out: any write on SQLite, DDL on PostgreSQL."""


def connect_past_sqlalchemy(url: str | URL) -> contextlib.closing[Any]:
    """Open a connection with the driver alone."""
    url = make_url(url)
    if url.get_backend_name() == "postgresql":
        arguments = {**url.translate_connect_args(username="user", database="dbname"), **url.query}
        return contextlib.closing(psycopg2.connect(**arguments))
    query = "&".join(f"{name}={value}" for name, value in url.query.items() if name != "uri")
    name = f"{url.database}?{query}" if query else str(url.database)
    return contextlib.closing(sqlite3.connect(name, uri=name.startswith("file:"), timeout=0))


def look(url: str | URL) -> Content:
    """Tell what a database holds, as a connection that knows nothing of the library sees it."""
    with connect_past_sqlalchemy(url) as connection:
        return look_through(connection)


def look_through(connection: Any) -> Content:
    """Tell what a database holds, by a connection of a driver's."""
    if isinstance(connection, sqlite3.Connection):
        return _look_through_sqlite(connection)
    found = Content()
    connection.rollback()
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '20ms'")
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        found.tables = {name for (name,) in cursor}
        for table in sorted(found.tables):
            with _lock_noted(found):
                cursor.execute(sql.SQL("SELECT * FROM {} ORDER BY 1").format(sql.Identifier(table)))
                if rows := [row[1] for row in cursor]:
                    found.rows[table] = rows
        with _lock_noted(found):
            cursor.execute(
                "SELECT sequencename, last_value FROM pg_sequences WHERE last_value IS NOT NULL"
            )
            found.sequences = dict(cursor.fetchall())
    return found


def _look_through_sqlite(connection: sqlite3.Connection) -> Content:
    found = Content()
    with _lock_noted(found):
        cursor = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        found.tables = {name for (name,) in cursor}
        for table in sorted(found.tables):
            cursor = connection.execute(f'SELECT * FROM "{table}" ORDER BY 1')
            if rows := [row[1] for row in cursor]:
                found.rows[table] = rows
    return found


@contextlib.contextmanager
def _lock_noted(found: Content) -> Iterator[None]:
    try:
        yield
    except psycopg2.errors.LockNotAvailable:
        found.locked = True
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise
        found.locked = True


@contextlib.contextmanager
def logged(name: str) -> Iterator[list[str]]:
    """Give what a logger is told, and keep it from the terminal; ``assertLogs`` insists on some."""
    texts: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: texts.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger(name)
    with mock.patch.multiple(logger, handlers=[handler], propagate=False):
        yield texts


def without_lines(text: object) -> str:
    """Give a text in which ``LINE`` stands for the number of each line of code."""
    return re.sub(r"(?<=\.py:)\d+", "LINE", str(text))


# -- test classes that are run inside a test -------------------------------------------------------


@dataclass
class Report:
    """How a run of test classes ended."""

    ran: int
    problems: list[tuple[str, BaseException]]
    """(name of the test, or of what was set up, its exception) of each failure and error."""
    skipped: list[tuple[str, str]]
    warned: list[warnings.WarningMessage]

    @property
    def messages(self) -> list[str]:
        """Each problem as its reader finds it: ``SettingsError: ...``."""
        return [f"{type(error).__name__}: {error}" for _, error in self.problems]


class _Result(unittest.TextTestResult):
    """Keeps the exceptions themselves, where unittest keeps only their text."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.problems: list[tuple[str, BaseException]] = []

    def addError(self, test: Any, err: Any) -> None:
        self.problems.append((str(test), err[1]))
        super().addError(test, err)

    def addFailure(self, test: Any, err: Any) -> None:
        self.problems.append((str(test), err[1]))
        super().addFailure(test, err)

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        if err is not None:
            self.problems.append((str(subtest), err[1]))
        super().addSubTest(test, subtest, err)


def run(*classes: type[unittest.TestCase], failfast: bool = False) -> Report:
    """Run test classes in this process, as ``python -m unittest`` runs them."""
    suite = unittest.TestSuite(
        unittest.defaultTestLoader.loadTestsFromTestCase(each) for each in classes
    )
    runner = unittest.TextTestRunner(
        stream=io.StringIO(), resultclass=_Result, failfast=failfast, warnings="always"
    )
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        result = runner.run(suite)
    assert isinstance(result, _Result)
    warned = [each for each in warned if not issubclass(each.category, ResourceWarning)]
    skipped = [(str(test), reason) for test, reason in result.skipped]
    return Report(result.testsRun, result.problems, skipped, warned)


# -- a second server -------------------------------------------------------------------------------


@contextlib.contextmanager
def debian_postgresql() -> Iterator[URL]:
    """Run the newest PostgreSQL that Debian's packages installed, in a temporary directory.

    :returns: its URL without a database: superuser ``postgres``, whose password is ``sec:ret``.
    :raises unittest.SkipTest: there is none.
    """
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3])
    )
    if not found:
        raise unittest.SkipTest("no PostgreSQL of Debian's in /usr/lib/postgresql")
    binaries = found[-1].parent
    directory = Path(tempfile.mkdtemp(prefix="dbtestcase-debian-"))
    as_root = os.geteuid() == 0
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]

    def call(program: str, *arguments: str) -> None:
        done = subprocess.run(
            [binaries / program, "-D", directory / "data", *arguments],
            **({"user": "nobody", "group": "nogroup", "extra_groups": []} if as_root else {}),
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{program}: {done.stdout}")

    try:
        password = directory / "password"
        password.write_text("sec:ret")
        if as_root:
            shutil.chown(directory, "nobody", "nogroup")
        initdb = ["-U", "postgres", "-A", "scram-sha-256", "--pwfile", str(password), "-N"]
        call("initdb", *initdb, "-E", "UTF8", "--locale", "C.UTF-8")
        options = f"-F -p {port} -h 127.0.0.1 -k {directory}"
        call("pg_ctl", "start", "-w", "-l", str(directory / "log"), "-o", options)
        try:
            yield URL.create("postgresql+psycopg2", "postgres", "sec:ret", "127.0.0.1", port)
        finally:
            call("pg_ctl", "stop", "-w", "-m", "immediate")
    finally:
        shutil.rmtree(directory)


# -- projects that are tested by processes of their own --------------------------------------------


SHOP = """
    from flask import Flask, jsonify, request
    from flask_sqlalchemy import SQLAlchemy

    db = SQLAlchemy()

    class User(db.Model):
        __tablename__ = "users"
        id = db.Column(db.Integer, primary_key=True)
        name = db.Column(db.String, unique=True, nullable=False)

    def create_app(url):
        app = Flask(__name__)
        app.config["SQLALCHEMY_DATABASE_URI"] = url
        db.init_app(app)

        @app.post("/users")
        def sign_up():
            user = User(name=request.form["name"])
            db.session.add(user)
            db.session.commit()
            return jsonify(user.id)

        return app
"""
"""The module ``shop`` of a project: an app in one file."""


class Project:
    """A small project in a directory of its own.

    :param test: whose cleanup removes the directory and the project's databases.
    :param files: the text of each file.
    """

    def __init__(self, test: unittest.TestCase, files: Mapping[str, str]) -> None:
        self.directory = Path(test.enterContext(tempfile.TemporaryDirectory())).resolve()
        self.name = f"suite_{secrets.token_hex(4)}"
        (self.directory / "setup.cfg").write_text(f"[metadata]\nname = {self.name}\n")
        for name, content in files.items():
            (self.directory / name).write_text(textwrap.dedent(content))
        test.addCleanup(self.drop_databases)

    def enter(self, test: unittest.TestCase) -> None:
        """Let this very process be the project's until the test ends, with databases of its own."""
        from dbtestcase.databases import release_all

        release_all()
        test.addCleanup(release_all)
        test.enterContext(contextlib.chdir(self.directory))
        test.enterContext(no_settings())

    def drop_databases(self) -> None:
        from dbtestcase.databases import clean
        from dbtestcase.settings import choose

        with no_settings():
            clean(choose("postgresql"), templates_too=True, project=self.name)

    def start(self, *command: str, **environment: str) -> subprocess.Popen[str]:
        """Start ``python -m *command`` in the project's directory."""
        root = str(Path(__file__).resolve().parent.parent)
        with no_settings(PYTHONPATH=root, PYTHONDONTWRITEBYTECODE="1", **environment):
            # what the shell ignores for a job in its background, a child would ignore as well
            before = signal.signal(signal.SIGINT, signal.default_int_handler)
            try:
                return subprocess.Popen(
                    [sys.executable, "-m", *command],
                    cwd=self.directory,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
            finally:
                signal.signal(signal.SIGINT, before)

    def run(self, *command: str, **environment: str) -> tuple[int, str]:
        """Run ``python -m *command``, and return its exit code and all that it printed."""
        process = self.start(*command, **environment)
        output, _ = process.communicate(timeout=120)
        return process.returncode, output

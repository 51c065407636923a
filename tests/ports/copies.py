"""Copies of the suite with another base class, or of the app with bugs, run in this process."""

from __future__ import annotations

import contextlib
import importlib
import itertools
import os
import shutil
import sys
import tempfile
import threading
import unittest
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any
from unittest import mock

import sqlalchemy as sa

from dbtestcase import embedded
from dbtestcase.errors import UncommittedDataWarning

from .bugs import Bug

__all__ = ["HERE", "MODULES", "Outcomes", "Workshop", "run"]

HERE = Path(__file__).parent
#: The modules of the suite that hold tests.
MODULES = ("accounts", "posts", "programs", "features")

#: What the port is told, whose engines are led elsewhere: a name that no resolver knows.
_NOWHERE = "postgresql+{}://blog@db.invalid/blog_test"

_OPTIONS = "-c lock_timeout=5s -c idle_in_transaction_session_timeout=60s"


@dataclass
class Outcomes:
    """How each test ended: ``LoginTest.test_login`` and ``"ok"``, or the exception's type."""

    of: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def failed(self) -> dict[str, str]:
        """Those that did not pass."""
        return {name: outcome for name, outcome in self.of.items() if outcome != "ok"}


class Workshop:
    """A directory for copies, and a database for those that need one of their own.

    Used as a context manager; at its end both are gone.
    """

    def __enter__(self) -> Workshop:
        self._stack = contextlib.ExitStack()
        with contextlib.ExitStack() as stack:
            self._directory = stack.enter_context(tempfile.TemporaryDirectory())
            sys.path.insert(0, self._directory)
            stack.callback(sys.path.remove, self._directory)
            # two runs of this at the same moment do not meet
            self._url = stack.enter_context(_database(f"dbtestcase_ports_{os.getpid()}"))
            self._stack = stack.pop_all()
        self._numbers = itertools.count(1)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for name in [name for name in sys.modules if name.startswith("copy_of_ports_")]:
            del sys.modules[name]
        self._stack.close()

    def copy(
        self, base: str, bugs: Sequence[Bug] = (), *, driver: str = "psycopg2"
    ) -> list[type[unittest.TestCase]]:
        """Copy app and suite, and give the suite's test classes.

        :param base: ``"original"``, or the name of a module of ``bases/``.
        :param bugs: what is planted in the app.
        :param driver: with what the app connects, as SQLAlchemy names it.
        """
        name = f"copy_of_ports_{next(self._numbers)}_{base}"
        target = Path(self._directory, name)
        target.mkdir()
        (target / "__init__.py").touch()
        for package in ("blog", "suite"):
            shutil.copytree(
                HERE / package, target / package, ignore=shutil.ignore_patterns("__pycache__")
            )
        if base != "original":
            shutil.copy(HERE / "bases" / f"{base}.py", target / "suite" / "base.py")
        for bug in bugs:
            path = target / "blog" / bug.module
            path.write_text(bug.plant(path.read_text()))
        url = _NOWHERE.format(driver)
        if base != "port":
            url = self._url.set(drivername=f"postgresql+{driver}").render_as_string(
                hide_password=False
            )
        importlib.invalidate_caches()
        with mock.patch.dict(os.environ, BLOG_TEST_DATABASE=url):
            modules = [importlib.import_module(f"{name}.suite.{each}") for each in MODULES]
        return [
            value
            for module in modules
            for value in vars(module).values()
            if isinstance(value, type) and value.__module__ == module.__name__
        ]


@contextlib.contextmanager
def _database(name: str) -> Iterator[sa.URL]:
    url = embedded.server().url()
    server = sa.create_engine(
        url.set(database="postgres"), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool
    )
    with server.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    try:
        yield url.set(database=name).update_query_dict({"options": _OPTIONS})
    finally:
        with server.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")


class _Result(unittest.TestResult):
    def __init__(self, outcomes: Outcomes) -> None:
        super().__init__()
        self._outcomes = outcomes

    def _note(self, test: Any, error: Any) -> None:
        name = _name(test)
        # what comes later in the same test only follows from the first
        if name not in self._outcomes.errors:
            self._outcomes.of[name] = error[0].__name__
            self._outcomes.errors[name] = self._exc_info_to_string(error, test)  # type: ignore[attr-defined]

    def addError(self, test: Any, err: Any) -> None:
        self._note(test, err)
        super().addError(test, err)

    def addFailure(self, test: Any, err: Any) -> None:
        self._note(test, err)
        super().addFailure(test, err)

    def addSuccess(self, test: Any) -> None:
        self._outcomes.of.setdefault(_name(test), "ok")


def _name(test: Any) -> str:
    return ".".join(test.id().split(".")[-2:])


def run(classes: Iterable[type[unittest.TestCase]], only: Iterable[str] | None = None) -> Outcomes:
    """Run test classes, with UncommittedDataWarning as an error, as ``-W`` makes it one.

    :param only: names of the tests to run, such as ``LoginTest.test_login``.
    """
    outcomes = Outcomes()
    wanted = None if only is None else set(only)
    suite = unittest.TestSuite()
    for cls in classes:
        tests = unittest.defaultTestLoader.loadTestsFromTestCase(cls)
        suite.addTest(
            unittest.TestSuite(test for test in tests if wanted is None or _name(test) in wanted)
        )
    with warnings.catch_warnings(), _threads_fail_quietly():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", UncommittedDataWarning)
        suite.run(_Result(outcomes))
    return outcomes


@contextlib.contextmanager
def _threads_fail_quietly() -> Iterator[None]:
    """Let a thread of the app fail without a traceback on the terminal: bugs were planted."""
    before, threading.excepthook = threading.excepthook, lambda arguments: None
    try:
        yield
    finally:
        threading.excepthook = before

"""One process for each rule that is taken out, and each driver whose tests must notice."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import unittest
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .edits import ROOT
from .rules import Rule

__all__ = ["Outcome", "run_here", "run_tests", "try_rule"]

#: Seconds after which tests that run without a rule are taken to hang.
PATIENCE = 120.0

#: The environment variable that names the rule which is missing. The library reads those that begin
#: with its own name.
WITHOUT = "WITHOUT_RULE_OF_DBTESTCASE"


@dataclass
class Outcome:
    """How tests ended.

    :ivar failed: the tests that did not pass, a skipped one among them, and how each ended.
    """

    failed: dict[str, str] = field(default_factory=dict)
    ran: int = 0
    trouble: str = ""
    """Why the tests could not be run at all."""


class _Result(unittest.TestResult):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.failed: dict[str, str] = {}

    def startTest(self, test: Any) -> None:
        super().startTest(test)
        print(json.dumps({"running": test.id()}), flush=True)

    def _note(self, test: Any, how: str) -> None:
        # that of a class's set-up is called "setUpClass (tests.test_x.TestX)"
        self.failed.setdefault(test.id().partition(" [")[0].partition(" (")[0], how)

    def addError(self, test: Any, err: Any) -> None:
        super().addError(test, err)
        self._note(test, f"{err[0].__name__}: {err[1]}")

    def addFailure(self, test: Any, err: Any) -> None:
        super().addFailure(test, err)
        self._note(test, f"{err[0].__name__}: {err[1]}")

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._note(test, f"{err[0].__name__}: {err[1]}")

    def addSkip(self, test: Any, reason: str) -> None:
        super().addSkip(test, reason)
        self._note(test, f"skipped: {reason}")


def run_here(tests: Sequence[str], rule: Rule | None) -> None:
    """Run tests in this process, and print how they end as JSON.

    :param rule: the one that is missing here; then the first test that fails is the last.
    """
    result = _Result(io.StringIO(), False, 0)
    result.failfast = rule is not None
    suite = unittest.defaultTestLoader.loadTestsFromNames(list(tests))
    for error in unittest.defaultTestLoader.errors:
        print(json.dumps({"trouble": error}), flush=True)
        return
    suite.run(result)
    touched = {edit.module for edit in rule.edits} if rule is not None else set()
    if touched and touched.isdisjoint(sys.modules):
        print(json.dumps({"trouble": f"never imported: {', '.join(sorted(touched))}"}), flush=True)
    print(json.dumps({"ran": result.testsRun, "failed": result.failed}), flush=True)


def run_tests(rule: Rule | None, tests: Sequence[str], *, patience: float = PATIENCE) -> Outcome:
    """Run tests in a process of their own, without *rule*, up to the first that fails.

    :param rule: None for a run with every rule in place, which goes on to the end.
    """
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.mutants", "--run", *tests],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=_environment(rule),
        )
        hung = False
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            hung = True
            _end(process)
        output.seek(0)
        return _read(output.read(), hung=hung)


def _environment(rule: Rule | None) -> dict[str, str]:
    """Give what lets the rule be missing in every process that inherits it."""
    path = [str(Path(__file__).with_name("site")), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PYTHONDONTWRITEBYTECODE": "1",
        **({WITHOUT: rule.name, "PYTHONPATH": os.pathsep.join(filter(None, path))} if rule else {}),
    }


def _end(process: subprocess.Popen[Any]) -> None:
    process.send_signal(signal.SIGINT)  # so that it puts its databases away
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _read(output: str, *, hung: bool) -> Outcome:
    outcome, running, done = Outcome(), "", False
    for line in output.splitlines():
        if not line.startswith('{"'):
            continue
        told = json.loads(line)
        running = told.get("running", running)
        outcome.trouble = told.get("trouble", outcome.trouble)
        if "ran" in told:
            outcome.ran, outcome.failed, done = told["ran"], told["failed"], True
    if hung and running:
        outcome.failed = {running: "hangs"}
    elif not done and not outcome.trouble:
        if running:
            outcome.failed = {running: "ends the process"}
        else:
            outcome.trouble = output.strip() or "no test was run"
    return outcome


def try_rule(rule: Rule, driver: str) -> Outcome:
    """Take a rule out, and run the tests that must notice on a driver."""
    return run_tests(rule, rule.tests[driver])

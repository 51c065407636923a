"""Run tests through unittest, and time each, on one CPU or on all.

"On one CPU" means this process and the server processes of its connections: as on a machine
that runs as many test processes as it has CPUs.
"""

from __future__ import annotations

import gc
import io
import os
import statistics
import time
import unittest
from collections.abc import Callable
from typing import Any

import psycopg2
import sqlalchemy as sa

__all__ = ["Pins", "TimedResult", "run_batch", "run_suite"]

#: How many tests of each batch are not counted: caches fill, and connections are made.
WARM_UP = 10


class TimedResult(unittest.TextTestResult):
    """Notes how long each test took: from the end of the test before it to its own.

    Not from ``startTest``, for Django does the most before and after that.
    """

    #: called in the pause after each test, with how many have ended
    between: Callable[[int], object] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.times: list[int] = []
        self._before = time.perf_counter_ns()

    def stopTest(self, test: unittest.TestCase) -> None:
        super().stopTest(test)
        self.times.append(time.perf_counter_ns() - self._before)
        if self.between is not None:
            self.between(len(self.times))
        self._before = time.perf_counter_ns()


class Pins:
    """Which CPUs this process and its connections' server processes may use.

    :param url: of the server that all contenders use.
    """

    def __init__(self, url: sa.URL) -> None:
        arguments = url.translate_connect_args(username="user", database="dbname")
        self._arguments: dict[str, Any] = {**arguments, **url.query}
        self._all = os.sched_getaffinity(0)
        # libpq reads it, so every driver's connections carry it
        self._name = os.environ["PGAPPNAME"] = f"performance-{os.getpid()}"

    def use(self, *, one: bool) -> None:
        """Pin this process, and the server processes that it has at the moment."""
        cpus = {max(self._all)} if one else self._all
        os.sched_setaffinity(0, cpus)
        for pid in self._backends():
            try:
                os.sched_setaffinity(pid, cpus)
            except ProcessLookupError:  # its connection was closed just now
                continue

    def _backends(self) -> list[int]:
        connection = psycopg2.connect(**self._arguments)
        try:
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT pid FROM pg_stat_activity WHERE application_name = %s", (self._name,)
                )
                return [pid for (pid,) in cursor]
        finally:
            connection.close()


def run_suite(suite: unittest.TestSuite, between: Callable[[int], object]) -> list[int]:
    """Run tests as ``python -m unittest`` does.

    :param between: see :attr:`TimedResult.between`.
    :returns: how many nanoseconds each test took.
    :raises RuntimeError: with the output, where a test did not pass.
    """
    output = io.StringIO()
    result_class = type("TimedResult", (TimedResult,), {"between": staticmethod(between)})
    runner = unittest.TextTestRunner(stream=output, verbosity=0, resultclass=result_class)
    result = runner.run(suite)
    if not result.wasSuccessful() or result.testsRun == 0:
        # each of hundreds of tests may have failed in the same way
        raise RuntimeError(f"the tests did not pass:\n{output.getvalue()[:4000]}")
    times: list[int] = result.times  # type: ignore[attr-defined]
    return times


def run_batch(cls: Any, name: str, *, tests: int, pins: Pins, one: bool) -> float:
    """Run one test many times, and return its median time in microseconds."""

    def pin(ended: int) -> None:
        if ended == warm_up:  # its connections are there by now
            pins.use(one=one)

    warm_up = min(WARM_UP, tests)
    gc.collect()
    times = run_suite(unittest.TestSuite(cls(name) for _ in range(warm_up + tests)), pin)
    return statistics.median(times[warm_up:]) / 1000

"""Giving databases back where a worker is ended by SIGTERM while it has nothing to do.

``multiprocessing.Pool`` ends its workers so, and ``unittest-parallel`` with it. Nothing that is
registered for a normal end is called then, and the database would look like that of a process
that was killed in a test.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Protocol

__all__ = ["at_rest", "at_work", "to_its_end"]


class Released(Protocol):
    """What can be given back."""

    def release(self) -> None:
        """Give it back. It may be called twice."""


_resting: list[Released] = []
_giving_back = _asked_to_end = False


def at_rest(lease: Released) -> None:
    """Give *lease* back if SIGTERM comes from here on. In worker processes only."""
    multiprocessing = sys.modules.get("multiprocessing")
    if (
        multiprocessing is None
        or multiprocessing.parent_process() is None
        or threading.current_thread() is not threading.main_thread()
    ):
        return
    # a handler of the program's is the program's
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _end)
    if signal.getsignal(signal.SIGTERM) is _end and lease not in _resting:
        _resting.append(lease)


def at_work(lease: Released) -> None:
    """Die at once of SIGTERM again: a handler would wait for the end of a running statement."""
    if lease in _resting:
        _resting.remove(lease)
    if (
        not _resting
        and threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) is _end
    ):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextlib.contextmanager
def to_its_end(lease: Released) -> Iterator[None]:
    """Let the block, which gives *lease* back, come to its end before SIGTERM ends the process.

    A worker that was told to end by itself is often sent SIGTERM in the midst of it.
    """
    global _giving_back
    before, _giving_back = _giving_back, True
    try:
        yield
    finally:
        _giving_back = before
        at_work(lease)
        if _asked_to_end and not _giving_back:
            os.kill(os.getpid(), signal.SIGTERM)


def _end(number: int, frame: object) -> None:
    global _asked_to_end
    if _giving_back:
        _asked_to_end = True
        return
    try:
        while _resting:
            _resting[-1].release()
    finally:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

"""What is asked so often, for each statement and each test, that its usual form is too slow."""

from __future__ import annotations

import enum
import threading
from collections.abc import Callable
from typing import TypeVar

__all__ = ["Changes", "plain_members"]

_Enum = TypeVar("_Enum", bound=type[enum.Enum])


def plain_members(kind: _Enum) -> _Enum:
    """Let the members of an enum be read as attributes are, as Python 3.12 does by itself.

    Python 3.11 calls a function each time that one is read.
    """
    for member in kind:
        type.__setattr__(kind, member.name, member)
    return kind


class Changes:
    """A condition that costs next to nothing while no thread waits for it.

    :param lock: is held by all who use it.
    """

    def __init__(self, lock: threading.RLock) -> None:
        self._condition = threading.Condition(lock)
        #: how many threads wait at the moment
        self.waiting = 0

    def wait_for(self, free: Callable[[], bool], patience: float) -> None:
        """Wait until *free* says so, but no longer than *patience*, in seconds."""
        self.waiting += 1
        try:
            self._condition.wait_for(free, patience)
        finally:
            self.waiting -= 1

    def notify_all(self) -> None:
        """Let those who wait look again; not worth a call where :attr:`waiting` is 0."""
        self._condition.notify_all()

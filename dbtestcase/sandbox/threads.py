"""Threads whose transactions would wait for each other on real connections, and so do here.

Real connections would often wait for each other's row locks. Here waiting keeps the one's work
from lying on top of the other's, and so from a conflict when they end in another order.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from . import messages
from .backends import Backend

if TYPE_CHECKING:
    from .base import Sandbox

__all__ = ["PATIENCE", "Threads"]

#: How long a write waits for another thread's uncommitted write to end, in seconds.
PATIENCE = 5.0


class Threads:
    """Who waits for whom among the threads of one sandbox. Used with its lock held."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def wait(self, backend: Backend) -> None:
        """Let other threads' transactions that wrote end before *backend* writes.

        :raises SandboxConflict: its test has ended meanwhile.
        """
        sandbox = self._sandbox

        def in_the_way() -> list[Backend]:
            owners = [segment.owner for segment in sandbox.stack.of_others(backend)]
            if not sandbox.has_one:
                owners += [o for o in sandbox.backends if o.holds_locks and o is not backend]
            return self._of_other_threads(owners)

        def free() -> bool:
            if not in_the_way():
                return True
            # one that has only read is in nobody's way
            with sandbox.leaving_unasked():
                return not in_the_way()

        if not free():
            self.until(free, backend, in_the_way())

    def wait_for(self, holders: Callable[[], Sequence[Backend]], backend: Backend) -> None:
        """Let other threads' transactions end that hold what *backend* needs.

        :param holders: gives who holds it, whichever thread they are of.
        :raises SandboxConflict: its test has ended meanwhile.
        """
        if others := self._of_other_threads(holders()):
            self.until(lambda: not self._of_other_threads(holders()), backend, others)

    @staticmethod
    def _of_other_threads(owners: Sequence[object]) -> list[Backend]:
        if not owners:  # as nearly always
            return []
        running = {thread.ident for thread in threading.enumerate()} - {threading.get_ident()}
        return [o for o in owners if isinstance(o, Backend) and o.thread in running]

    def until(self, free: Callable[[], bool], backend: Backend, others: Iterable[Backend]) -> None:
        """Let other threads work until *backend* is free to write, or patience is at its end.

        :param others: whom it waits for.
        :raises SandboxConflict: its test has ended meanwhile.
        """
        sandbox = self._sandbox
        # their transactions may be over when it is told
        whose = list(dict.fromkeys(other.author for other in others))
        sandbox.changed.wait_for(free, PATIENCE)
        if backend not in sandbox.backends:
            raise sandbox.conflict(messages.too_late(backend, whose))

"""Several statements in one text, of which one steers the transaction: played one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..backends import Backend, State
from ..base import Phase
from ..statements import Control, analyse

__all__ = ["play_parts"]

__unittest = True  # its frames are left out of tracebacks


def play_parts(backend: Backend, parts: Iterable[str], execute: Callable[[str], object]) -> None:
    """Run the statements of one text on *backend*.

    Outside a transaction the server makes one of all up to the next COMMIT or BEGIN.

    :param execute: sends, or plays, one of them.
    """
    closing = backend.sandbox.phase is Phase.CLOSING
    implicit = False
    try:
        for part in parts:
            control = analyse(part).control
            if implicit and control is Control.BEGIN:
                implicit = False  # what was done so far is in the new block
                continue
            if control is None and backend.state is State.IDLE and not closing:
                backend.begin()
                implicit = True
            execute(part)
            if backend.state is State.IDLE:
                implicit = False
    except BaseException:
        if implicit:
            backend.end(commit=False)
        raise
    if implicit:
        backend.end(commit=True)

"""COPY: its data are kept here while the program makes or reads them.

Between the start of a COPY and its end the server takes nothing else, and a program may well
use another connection meanwhile: to read what it copies, for example. So what is copied out is
fetched at once, and what is copied in is sent at once, at the end of the block. Whether the
server accepts such a COPY, and in which format, is found out at its beginning by one that is
given up, in a savepoint that is rolled back.
"""

from __future__ import annotations

import functools
import re
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import psycopg
from psycopg.copy import LibpqWriter, Writer

from ..postgresql import messages
from ..texts import skeleton

__all__ = ["copy"]

__unittest = True  # its frames are left out of tracebacks

Start = Callable[[], AbstractContextManager[psycopg.Copy]]

_FROM_STDIN = re.compile(r"\bFROM\s+STDIN\b", re.IGNORECASE)


class _CopyOut(psycopg.Copy):
    """A COPY TO whose data have been fetched."""

    def __init__(self, cursor: Any, blocks: deque[bytes]) -> None:
        super().__init__(cursor)
        self._blocks = blocks

    def _read_gen(self) -> Generator[Any, Any, memoryview]:
        return memoryview(self._blocks.popleft() if self._blocks else b"")
        yield

    def finish(self, exc: BaseException | None) -> None:
        """Do nothing: the server has finished."""


class _Kept(Writer):
    """Takes what a program copies in."""

    def __init__(self) -> None:
        self.blocks: list[bytes] = []

    def write(self, data: Any) -> None:
        self.blocks.append(bytes(data))


class _GivenUp(Exception):
    """Ends a COPY of which only the beginning mattered."""


@contextmanager
def copy(cursor: Any, text: str, start: Start, writer: Writer | None) -> Iterator[psycopg.Copy]:
    """Play a COPY of *cursor*.

    :param start: the driver's own ``cursor.copy()``, its statement and parameters given.
    :param writer: what the program wants its data to go through.
    """
    connection = cursor.connection
    if cursor.closed:
        with start():
            return  # it has raised
    if writer is not None and not isinstance(writer, LibpqWriter):
        raise connection.sandbox.conflict(messages.copy_writer(type(writer).__name__))
    if _FROM_STDIN.search(skeleton(text)):
        playing = _copy_in(cursor, text, start)
    else:
        playing = _copy_out(cursor, text, start)
    with playing as copying:
        yield copying


@contextmanager
def _copy_out(cursor: Any, text: str, start: Start) -> Iterator[psycopg.Copy]:
    blocks: deque[bytes] = deque()

    def fetch() -> None:
        with start() as copying:
            blocks.extend(bytes(block) for block in copying)

    _run(cursor, text, fetch)
    with _CopyOut(cursor, blocks) as copying:
        yield copying


@contextmanager
def _copy_in(cursor: Any, text: str, start: Start) -> Iterator[psycopg.Copy]:
    def begin() -> None:
        send = cursor.connection.sandbox.send_as_is
        send("SAVEPOINT dbtestcase_copy")
        try:
            with start():
                raise _GivenUp
        except _GivenUp:
            send("ROLLBACK TO dbtestcase_copy; RELEASE dbtestcase_copy")

    kept = _Kept()

    def finish() -> None:
        with start() as copying:
            for block in kept.blocks:
                copying.write(block)

    def fail(error: BaseException) -> None:
        with start():
            raise error

    _run(cursor, text, begin)
    try:
        with psycopg.Copy(cursor, writer=kept) as copying:
            yield copying
    except BaseException as error:
        # the server is told, and fails the transaction
        _run(cursor, text, functools.partial(fail, error))
        raise
    _run(cursor, text, finish)


def _run(cursor: Any, text: str, call: Callable[[], None]) -> None:
    connection = cursor.connection
    with connection.sandbox.entered():
        connection.begin()
        connection.run(text, call)

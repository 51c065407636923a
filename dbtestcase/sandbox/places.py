"""Where in the user's code something was done, for errors and warnings that name it."""

from __future__ import annotations

import contextlib
import inspect
import os
import sys
import sysconfig
from collections.abc import Callable
from operator import itemgetter
from pathlib import Path
from types import CodeType, FrameType
from typing import NamedTuple

import sqlalchemy

__all__ = ["Place", "Trail", "last_line", "place", "trail", "user_frame"]

# with a separator, for a program may lie in a folder whose name only begins so
_OURS = f"{Path(__file__).parent.parent}{os.sep}"
_INSTALLED = tuple(
    {f"{sysconfig.get_path(name)}{os.sep}" for name in ("stdlib", "purelib", "platlib")}
)


class _Files(dict[str, bool]):
    """Whether a file is the program's, or one of its tests."""

    def __missing__(self, filename: str) -> bool:
        self[filename] = found = not filename.startswith((_OURS, *_INSTALLED, "<"))
        return found


# A dictionary, as it is asked for each frame on the way to the user's, and answers without a call.
_is_users = _Files()


class Place(NamedTuple):
    """A line of the user's code. Its text is made only when somebody reads it."""

    filename: str
    line: int

    def __str__(self) -> str:
        if not self.line:
            return self.filename
        path = Path(self.filename)
        # the file may lie outside the current directory, which may be gone as well
        with contextlib.suppress(ValueError, OSError):
            path = path.relative_to(Path.cwd())
        return f"{path}:{self.line}"


class Trail(NamedTuple):
    """How the user's code came to do something: its lines, the outermost first."""

    calls: tuple[tuple[Place, str], ...]

    @property
    def end(self) -> Place:
        """The line that did it."""
        return self.calls[-1][0] if self.calls else _UNKNOWN

    def __str__(self) -> str:
        """Give it as a traceback shows it."""
        return "\n".join(
            f'  File "{at.filename}", line {at.line}, in {function}' for at, function in self.calls
        )


_UNKNOWN = Place("an unknown place", 0)


def user_frame(frame: FrameType | None = None) -> FrameType | None:
    """Give the innermost frame of the program or its tests, if there is one.

    The files of installed packages, of Python itself and of this library are passed over.

    :param frame: where to begin; by default at the caller's.
    """
    frame = frame or sys._getframe(1)
    while frame is not None and not _is_users[frame.f_code.co_filename]:
        frame = frame.f_back
    return frame


#: By which functions the user's code came to ask for its place, and how deep they lay, the least
#: deep first: for each transaction it is asked, and there are few ways into SQLAlchemy.
_ways_in: list[tuple[int, CodeType]] = []
_WAYS_KEPT = 6
#: Ways that are longer, or not of SQLAlchemy, may well lead through the user's code at times.
_LONGEST_WAY = 16
_SQLALCHEMY = f"{Path(sqlalchemy.__file__).parent}{os.sep}"


def place() -> Place:
    """Give the innermost line of the program or its tests, as :func:`user_frame` finds it."""
    # Python makes an object of each frame that is looked at, which takes longer than all else
    # here. So the known ways are tried first: where the same function lies as deep as before, and
    # was called by the user's code, what lies between is taken to be the same, too.
    for depth, way_in in _ways_in:
        try:
            entered = sys._getframe(depth)
        except ValueError:  # the stack is not as deep
            continue
        if entered.f_code is way_in and (caller := entered.f_back) is not None:
            filename = caller.f_code.co_filename
            if _is_users[filename]:
                return Place(filename, caller.f_lineno)
    frame, depth = sys._getframe(), 0
    while (caller := frame.f_back) is not None:
        if _is_users[caller.f_code.co_filename]:
            if depth <= _LONGEST_WAY and frame.f_code.co_filename.startswith(_SQLALCHEMY):
                _note_way(depth, frame.f_code)
            return Place(caller.f_code.co_filename, caller.f_lineno)
        frame, depth = caller, depth + 1
    return _UNKNOWN


def _note_way(depth: int, way_in: CodeType) -> None:
    global _ways_in
    known = _ways_in if len(_ways_in) < _WAYS_KEPT else []
    # another thread may be going through the old list
    _ways_in = sorted([*known, (depth, way_in)], key=itemgetter(0))


def last_line(function: Callable[..., object]) -> Place | None:
    """Give the last line of a function, past what decorates it; None where it is not Python's."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        return None
    return Place(code.co_filename, max(line for _, _, line in code.co_lines() if line))


def trail() -> Trail:
    """Give every line of the program and its tests that is being run."""
    calls = []
    frame = user_frame(sys._getframe(1))
    while frame is not None:
        calls.append((Place(frame.f_code.co_filename, frame.f_lineno), frame.f_code.co_name))
        frame = user_frame(frame.f_back) if frame.f_back is not None else None
    return Trail(tuple(reversed(calls)))

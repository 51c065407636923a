"""Where in the user's code something was done, for errors and warnings that name it."""

from __future__ import annotations

import contextlib
import sys
import sysconfig
import warnings
from pathlib import Path
from types import FrameType
from typing import NamedTuple

__all__ = ["Place", "place", "warn_user"]

_OURS = str(Path(__file__).parent.parent)
_INSTALLED = tuple({sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})
_foreign: dict[str, bool] = {}


def _is_users(filename: str) -> bool:
    known = _foreign.get(filename)
    if known is None:
        known = filename.startswith((_OURS, *_INSTALLED, "<"))
        _foreign[filename] = known
    return not known


class Place(NamedTuple):
    """A line of the user's code. Its text is made only when somebody reads it."""

    filename: str
    line: int

    def __str__(self) -> str:
        path = Path(self.filename)
        # the file may lie outside the current directory, which may be gone as well
        with contextlib.suppress(ValueError, OSError):
            path = path.relative_to(Path.cwd())
        return f"{path}:{self.line}"


def place() -> Place:
    """Give the innermost line of the program or its tests.

    The files of installed packages, of Python itself and of this library are passed over.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if _is_users(frame.f_code.co_filename):
            return Place(frame.f_code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return Place("an unknown place", 0)


def warn_user(message: str, category: type[Warning]) -> None:
    """Warn at the line that :func:`place` gives, so that the warning shows and is filtered there.

    A fixed ``stacklevel`` would point at whatever library called us: werkzeug, for a request.
    """
    frame: FrameType | None = sys._getframe(1)
    level = 2
    while frame is not None and not _is_users(frame.f_code.co_filename):
        frame = frame.f_back
        level += 1
    warnings.warn(message, category, stacklevel=2 if frame is None else level)

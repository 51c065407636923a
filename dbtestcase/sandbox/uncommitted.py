"""The warnings about data that is not committed, which one connection sees all the same.

Each text says which connections are concerned and where their transactions began, what real
connections would have shown, and what to do instead.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from ..errors import UncommittedDataWarning
from .messages import REAL_CONNECTIONS
from .places import Place, user_frame

__all__ = [
    "between_tests",
    "commits_beside",
    "left_by_setup",
    "may_wait",
    "meets",
    "request_beside",
    "warn",
    "writes_beside",
]


def warn(text: str, at: Place | None = None) -> None:
    """Give an :exc:`UncommittedDataWarning` for a line of the user's code.

    That line is what test runners print, and what a filter by module is about; a ``stacklevel``
    would name one of SQLAlchemy's or Werkzeug's.

    :param at: the line; by default the innermost one of the user's that runs now.
    """
    frame = user_frame() if at is None else None
    if frame is not None:
        names = frame.f_globals
        warnings.warn_explicit(
            text,
            UncommittedDataWarning,
            frame.f_code.co_filename,
            frame.f_lineno,
            module=names.get("__name__"),
            registry=names.setdefault("__warningregistry__", {}),
        )
    elif at is not None:
        warnings.warn_explicit(text, UncommittedDataWarning, at.filename, at.line)
    else:
        warnings.warn(text, UncommittedDataWarning, stacklevel=3)


def _short(statement: str) -> str:
    return " ".join(statement.split())[:120]


def meets(reader: object, writer: object, what: str, deed: str, statement: str) -> str:
    """Say that a statement met what another connection has not committed.

    :param what: a table, for example.
    :param deed: what the other did to it.
    """
    return (
        f"{reader} meets what {writer} {deed} {what} and not committed: on real connections it "
        f"would not be seen. Commit it first, or {REAL_CONNECTIONS}. The statement: "
        f"{_short(statement)}"
    )


def may_wait(backend: object, holder: object, what: str, statement: str) -> str:
    """Say that a row may be locked by another connection."""
    return (
        f"{backend} changes or locks rows of {what}, and {holder} has locked some of them: on real "
        f"connections it would wait for those that both want. End that transaction first, or "
        f"{REAL_CONNECTIONS}. The statement: {_short(statement)}"
    )


def writes_beside(backend: object, writer: object, statement: str) -> str:
    """Say that two connections write where only one can."""
    return (
        f"{backend} writes while {writer} has written and not committed: on real connections it "
        f'would wait, and then end in "database is locked". Commit the other first, or '
        f"{REAL_CONNECTIONS}. The statement: {_short(statement)}"
    )


def commits_beside(backend: object, reader: object) -> str:
    """Say that a connection commits where a reader would have kept it out."""
    return (
        f"{backend} commits what it wrote while {reader} has read: on real connections it would "
        f'end in "database is locked", or in WAL mode the other would go on seeing what was there '
        f"before. End the other's transaction first, or {REAL_CONNECTIONS}."
    )


def request_beside(at: Place, backend: object) -> str:
    """Say that a request begins while the test holds what the request should not see."""
    return (
        f"a request is made at {at} while {backend} holds data that is not committed: on real "
        f"connections the request, which has a connection of its own, would not see it, or would "
        f"wait for its locks. Commit it before the request."
    )


def left_by_setup(backend: object) -> str:
    """Say that the set-up of a class left what no test would see."""
    return (
        f"the class's set-up left uncommitted data in {backend}: on real connections no test would "
        f"see it, so it is undone. Commit it, or close the session that wrote it."
    )


def pending(owner: str, objects: int) -> str:
    """Say that a session was given objects in the set-up, and never sent them."""
    return (
        f"{owner}.setUpTestData() left objects in its session that were not committed: {objects} "
        f"new, changed or deleted. No test will see that. Call commit() at its end."
    )


def between_tests(authors: Sequence[object], owner: str) -> str:
    """Say that something was written after one test and before the next."""
    by = f" by {' and '.join(map(str, authors))}" if authors else ""
    return (
        f"what was written{by} to the database of {owner} between two tests is undone: each test "
        f"begins with what the class's set-up left. Write it in setUp(), or for all tests of the "
        f"class in setUpTestData()."
    )

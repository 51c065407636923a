"""What an error says, in the words of the database where it comes from there."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError

__all__ = ["is_duplicate", "reason_of", "told", "wants_autocommit"]

#: The server's codes for "is there already": table, column, object, schema, function.
_DUPLICATES = {"42P07", "42701", "42710", "42P06", "42723"}
#: "cannot run inside a transaction block", and "new enum values must be committed".
_AUTOCOMMIT = {"25001", "55P04"}


def told(error: BaseException) -> str:
    """Write an error as Python does, and of an exit also why."""
    text = f"{type(error).__name__}: {error}".removesuffix(": ")
    if isinstance(error, SystemExit) and error.__context__ is not None:
        return f"{text} (after {told(error.__context__)})"
    return text


def reason_of(error: BaseException) -> str:
    """Say what a database, or a migration, has complained of."""
    if not isinstance(error, DBAPIError):
        return told(error).rstrip(".")
    reason = (str(error.orig).strip().splitlines() or [told(error)])[0]
    statement = " ".join((error.statement or "").split())
    if len(statement) > 200:
        statement = f"{statement[:200]} ..."
    return f"{reason} (the statement was: {statement})" if statement else reason


def wants_autocommit(error: BaseException) -> bool:
    """Whether the server refuses what it allows outside of a transaction."""
    return _code_of(error) in _AUTOCOMMIT


def is_duplicate(error: BaseException) -> bool:
    """Whether the database refuses to make what is there already."""
    if not isinstance(error, DBAPIError):
        return False
    if _code_of(error) in _DUPLICATES:
        return True
    text = str(error.orig)
    return "already exists" in text or "duplicate column name" in text


def _code_of(error: BaseException) -> str | None:
    orig = getattr(error, "orig", None)
    code: str | None = getattr(orig, "pgcode", None) or getattr(orig, "sqlstate", None)
    return code

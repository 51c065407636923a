"""What an error says, in the words of the database where it comes from there."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError

__all__ = ["is_duplicate", "reason_of", "told"]

#: The server's codes for "is there already": table, column, object, schema, function.
_DUPLICATES = {"42P07", "42701", "42710", "42P06", "42723"}


def told(error: BaseException) -> str:
    """Write an error as Python does."""
    return f"{type(error).__name__}: {error}".removesuffix(": ")


def reason_of(error: BaseException) -> str:
    """Say what a database, or a migration, has complained of."""
    if not isinstance(error, DBAPIError):
        return told(error).rstrip(".")
    reason = (str(error.orig).strip().splitlines() or [told(error)])[0]
    statement = " ".join((error.statement or "").split())
    if len(statement) > 200:
        statement = f"{statement[:200]} ..."
    return f"{reason} (the statement was: {statement})" if statement else reason


def is_duplicate(error: BaseException) -> bool:
    """Whether the database refuses to make what is there already."""
    if not isinstance(error, DBAPIError):
        return False
    code = getattr(error.orig, "pgcode", None) or getattr(error.orig, "sqlstate", None)
    text = str(error.orig)
    return code in _DUPLICATES or "already exists" in text or "duplicate column name" in text

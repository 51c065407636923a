"""The texts of the conflicts that only SQLite has; see ``messages`` of the sandbox."""

from __future__ import annotations

from collections.abc import Iterable

from ..messages import REAL_CONNECTIONS, TEST_REALLY
from ..places import Place

__all__ = [
    "blob_for_writing",
    "copied_beside",
    "deserialized",
    "ended_by_sqlite",
    "no_cursor_class",
    "pragma_differs",
    "pragma_too_late",
    "registered_twice",
    "unfetched",
    "wants_no_transaction",
]


def wants_no_transaction(verb: str) -> str:
    """Say that a statement cannot run in a transaction."""
    return (
        f"{verb} cannot be run in a sandbox: everything that a test does is one transaction there, "
        f"and {verb} wants none. {TEST_REALLY}"
    )


def unfetched(backend: object, other: object) -> str:
    """Say that another connection's statement is still running."""
    return (
        f"{backend} sends a statement while {other} has not fetched all rows of an INSERT, UPDATE "
        f"or DELETE ... RETURNING. On real connections the database would be locked, and one "
        f"connection cannot keep the two apart. Fetch all rows first."
    )


def ended_rows(backend: object, error: object) -> str:
    """Say that rows are gone because somebody had changed the schema."""
    return (
        f"{backend} fetches rows of before a ROLLBACK: {error}. SQLite ends a statement so where "
        f"the transaction has changed the schema, and in a sandbox that of others is the same "
        f"transaction. Fetch all rows before the rollback, or {REAL_CONNECTIONS}."
    )


def ended_by_sqlite(backend: object, error: object, lost: Iterable[object]) -> str:
    """Say that an error of one connection undid what others had done."""
    return (
        f"SQLite ended the whole transaction for an error of {backend}: {error}. It does so for ON "
        f"CONFLICT ROLLBACK in a table and for RAISE(ROLLBACK), and in a sandbox what was written "
        f"by {' and by '.join(map(str, lost))} is lost with it. {TEST_REALLY}"
    )


def pragma_too_late(pragma: str) -> str:
    """Say that a PRAGMA has no effect within a transaction."""
    return (
        f"{pragma} cannot take effect in a sandbox, where everything that is done is one "
        f"transaction, and something was written already. Send it in a `connect` listener of the "
        f"engine, or {REAL_CONNECTIONS}."
    )


def pragma_differs(
    name: str, wanted: str, at: Place, owner: str, in_force: str, set_at: Place | None
) -> str:
    """Say that two connections want different values of a PRAGMA.

    :param wanted: what the later one does.
    :param in_force: how the connection was made.
    """
    return (
        f"a connection {wanted} at {at}, and the connection of {owner}'s sandbox was made at "
        f"{set_at} {in_force}. All connections to one database share it there, and {name} cannot "
        f"differ between them. Give the engines the same `connect` listeners."
    )


def registered_twice(what: str, first: str, second: str, owner: str) -> str:
    """Say that two connections call different things by one name."""
    return (
        f"two connections register different things as {what}, {first} and {second}, and in "
        f"{owner}'s sandbox they share one connection. Register the same object on each, or give "
        f"them different names."
    )


def no_cursor_class(factory: object) -> str:
    """Say that a function makes the cursors."""
    return (
        f"{factory!r} makes cursors and is no subclass of sqlite3.Cursor: its cursors could not "
        f"ask the sandbox before they send a statement. Give a class."
    )


def copied_beside(backend: object, call: str, other: object) -> str:
    """Say that a copy of the database would hold what is not committed."""
    return (
        f"{backend} calls {call} beside uncommitted work of {other}: on one connection that work "
        f"would be in it. Commit it first, or {REAL_CONNECTIONS}."
    )


def blob_for_writing() -> str:
    """Say that a BLOB is written past the sandbox."""
    return (
        "blobopen() for writing cannot be played in a sandbox, because the BLOB talks to the real "
        "connection itself. Give readonly=True, or write it by an UPDATE."
    )


def deserialized() -> str:
    """Say that the database cannot be replaced."""
    return (
        f"deserialize() cannot be played in a sandbox, because it replaces the database in which "
        f"the transaction is open. Fill it by SQL, or {REAL_CONNECTIONS}."
    )

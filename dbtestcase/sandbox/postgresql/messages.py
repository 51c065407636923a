"""The texts of the conflicts that only PostgreSQL has; see ``messages`` of the sandbox."""

from __future__ import annotations

from ..messages import REAL_CONNECTIONS, TEST_REALLY

__all__ = [
    "client_encoding",
    "connection_lost",
    "constraint_checked_before",
    "constraint_holds_by",
    "copy_writer",
    "cursor_name",
    "hidden_setting",
    "impatient_beside",
    "large_object",
    "libpq_call",
    "locks_beside",
    "notifications",
    "old_snapshot",
    "pipeline",
    "prepared_name",
    "sets_constraints",
    "sets_constraints_beside",
    "several_statements",
    "would_wait",
]


def hidden_setting() -> str:
    """Say that it cannot be told which setting is set."""
    return (
        f"set_config() with a name, or an is_local, that is not a literal: what it sets cannot be "
        f"told, and would hold for all connections of the sandbox. Write both as literals, or "
        f"{REAL_CONNECTIONS}."
    )


def old_snapshot(backend: object, isolation: str | None, committer: object) -> str:
    """Say that a snapshot is older than another connection's commit."""
    return (
        f"{backend} is {isolation}, and {committer} has committed since it began. One connection "
        f"cannot show the old snapshot. End the first transaction before the other commits, or "
        f"{REAL_CONNECTIONS}."
    )


def sets_constraints(other: object, backend: object) -> str:
    """Say that another connection's SET CONSTRAINTS is in force."""
    return (
        f"{other} used SET CONSTRAINTS and has not ended its transaction. On one connection that "
        f"would hold for {backend} too. Let it end first, or {REAL_CONNECTIONS}."
    )


def sets_constraints_beside(backend: object, other: object) -> str:
    """Say that SET CONSTRAINTS would check what another connection has not committed."""
    return (
        f"{backend} uses SET CONSTRAINTS beside uncommitted work of {other}: on one connection it "
        f"would hold for that work too. Commit that work first, or {REAL_CONNECTIONS}."
    )


def impatient_beside(backend: object, other: object) -> str:
    """Say that there is no lock that NOWAIT or SKIP LOCKED would find."""
    return (
        f"{backend} uses NOWAIT or SKIP LOCKED beside uncommitted work of {other}: on one "
        f"connection no lock is ever in the way. Commit that work first, or {REAL_CONNECTIONS}."
    )


def would_wait(backend: object, other: object, deed: str) -> str:
    """Say that a lock of another connection keeps nobody out."""
    return (
        f"{backend} would wait on real connections for {other}, which {deed}: on one connection no "
        f"lock is ever in the way. End that transaction first, or {REAL_CONNECTIONS}."
    )


def cursor_name(backend: object, other: object, name: str) -> str:
    """Say that two connections have a server-side cursor of one name."""
    return (
        f'{backend} names the cursor "{name}", and {other} has one of that name. On one '
        f"connection the two are the same. Give the cursors different names."
    )


def prepared_name(backend: object, other: object, name: str) -> str:
    """Say that a connection names a prepared statement of another one."""
    return (
        f'{backend} names the prepared statement "{name}", and {other} has one of that name. On '
        f"one connection the two are the same. Give the statements different names."
    )


def locks_beside(backend: object, other: object) -> str:
    """Say that an advisory lock that another connection holds keeps nobody out."""
    return (
        f"{backend} asked for an advisory lock, or let one go, while {other} holds one: on one "
        f"connection nobody waits for it. Let the other one go first, or {REAL_CONNECTIONS}."
    )


def constraint_holds_by(backend: object, other: object, deed: str, what: str) -> str:
    """Say that a deferred constraint may hold only by what is not committed."""
    return (
        f"a deferred constraint was checked when {backend} committed, and may hold only by what "
        f"{other} {deed} {what} and not committed: one connection sees it. Let the other end "
        f"first, or {REAL_CONNECTIONS}."
    )


def constraint_checked_before(backend: object, committer: object) -> str:
    """Say that deferred constraints were checked before their transaction became READ ONLY."""
    return (
        f"a deferred constraint was checked when {committer} committed, and is not checked again "
        f"when {backend} commits, which became READ ONLY after it wrote: real connections might "
        f"refuse to check it then. Let the one end before the other commits, or "
        f"{REAL_CONNECTIONS}."
    )


def connection_lost(owner: str) -> str:
    """Say that what the test has done so far is gone."""
    return (
        f"the real connection of {owner}'s sandbox was lost, and with it what was done since the "
        f"class's set-up began, committed or not. A new connection would show none of it. Let the "
        f"test end here; the next one starts anew."
    )


def several_statements(text: str) -> str:
    """Say that statements must be sent one by one."""
    return (
        f"several statements, of which one steers the transaction, in one call: "
        f"{' '.join(text.split())[:120]}. A sandbox plays them one by one, which only execute() "
        f"allows. Send them apart."
    )


def client_encoding(wanted: str, found: str) -> str:
    """Say that a connection wants a client encoding of its own."""
    return (
        f"client encoding {wanted!r} differs from {found!r} of the real connection, which all "
        f"connections of a sandbox share. Set it for the database, or {REAL_CONNECTIONS}."
    )


def notifications() -> str:
    """Say that a notification never comes."""
    return (
        f"notifies() would wait for ever in a sandbox: the server sends notifications when a "
        f"transaction is really committed, and none ever is. {TEST_REALLY}"
    )


def pipeline() -> str:
    """Say that nothing else could be sent between the statements of a pipeline."""
    return (
        f"pipeline() cannot be played in a sandbox: in pipeline mode the real connection takes no "
        f"messages of other connections, nor the sandbox's own. Use executemany(), which has a "
        f"pipeline of its own, or {REAL_CONNECTIONS}."
    )


def libpq_call(name: str) -> str:
    """Say that a function of libpq goes past the sandbox."""
    return (
        f"pgconn.{name}() talks to the real connection, which all connections of a sandbox share, "
        f"and past the sandbox. Use a cursor of psycopg, or {REAL_CONNECTIONS}."
    )


def copy_writer(name: str) -> str:
    """Say that what writes a COPY's data would go past the sandbox."""
    return (
        f"copy() with a writer of class {name} cannot be played in a sandbox: what it does with "
        f"the data would go past it. Leave the writer out, or {REAL_CONNECTIONS}."
    )


def large_object() -> str:
    """Say that a driver's large object sends statements past the sandbox."""
    return (
        f"large objects by connection.lobject() cannot be played in a sandbox, because they talk "
        f"to the real connection themselves. Use the server's lo_* functions in SQL, or "
        f"{REAL_CONNECTIONS}."
    )

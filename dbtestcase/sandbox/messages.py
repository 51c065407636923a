"""The texts of every :exc:`SandboxConflict` that any kind of database has.

Each says, in this order: which connections are concerned, and where in the user's code the
transaction of each began; what one connection cannot show; and what to do instead. Those of one
kind of database stand in the ``messages`` of its package, those of warnings in ``uncommitted``.

Their parameters are what a text is made of: a connection is a :class:`~.backends.Backend` or its
:class:`~.backends.Author`, whose text tells where its transaction began.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .places import Place

__all__ = [
    "REAL_CONNECTIONS",
    "TEST_REALLY",
    "cannot_be_run",
    "checked_above_rollback",
    "constraint_failed_beside",
    "failed_beside",
    "forked",
    "listener_returned",
    "other_factory",
    "other_options",
    "stuck",
    "temporary_table",
    "too_late",
    "two_drivers",
    "two_phase",
]

#: What to use where one connection will not do: the end of a sentence.
REAL_CONNECTIONS = (
    "test this code on real connections: in a unittest.TestCase, on a database of its own"
)
#: The same as a sentence of its own.
TEST_REALLY = f"{REAL_CONNECTIONS[0].upper()}{REAL_CONNECTIONS[1:]}."


def first_line(error: BaseException) -> str:
    """Give what a driver's error says, without the position in the statement."""
    return (str(error).splitlines() or [type(error).__name__])[0]


# -- transactions that cross -------------------------------------------------------------------


def stuck(dead: object, undone: object, survivors: Iterable[str]) -> str:
    """Say that what was rolled back lies beneath work that survives."""
    return (
        f"{dead} rolled back what it had written, but above it lies work of "
        f"{' and of '.join(survivors)}. The rollback was called at {undone}. On one connection "
        f"the one cannot be undone without the other. Let the transactions end in the order in "
        f"which they wrote, or {REAL_CONNECTIONS}."
    )


def checked_above_rollback(backend: object, dead: object, undone: object, what: str) -> str:
    """Say that a commit checks what lies above a rollback that cannot be shown."""
    return (
        f"{backend} commits above what {dead} rolled back at {undone}. On one connection its "
        f"{what} cannot be checked without the other's rows. Let the transactions end in the order "
        f"in which they wrote, or {REAL_CONNECTIONS}."
    )


def constraint_failed_beside(backend: object, other: object, what: str, error: object) -> str:
    """Say that a deferred constraint failed, which may be somebody else's doing."""
    return (
        f"{what} failed when {backend} committed, beside uncommitted work of {other}: {error}. On "
        f"one connection it cannot be told whose rows violate it. Let the other end first, or "
        f"{REAL_CONNECTIONS}."
    )


def failed_beside(backend: object, other: object, deed: str, error: object, really: str) -> str:
    """Say that a statement failed, which may come of what somebody else has not committed.

    :param deed: what the other did.
    :param really: what real connections might have done.
    """
    return (
        f"a statement of {backend} failed beside what {other} {deed} and not committed: {error}. "
        f"Real connections might have {really}, which one connection cannot show. Commit that "
        f"work first, or {REAL_CONNECTIONS}."
    )


def too_late(backend: object, whose: Iterable[object]) -> str:
    """Say that a thread waited for another one until its test was over."""
    return (
        f"{backend} waited for the transaction of {' and of '.join(map(str, whose))}, which "
        f"another thread began, and meanwhile its test has ended. What it writes now would be in "
        f"no test. Join the threads that a test starts before it ends."
    )


def temporary_table(backend: object, owner: object, name: str) -> str:
    """Say that a connection names a temporary table of another one."""
    return (
        f'{backend} names "{name}", which is a temporary table of {owner}. On real connections it '
        f"would not see that table, and one connection cannot hide it. Use the same connection, "
        f"give the table another name, or {REAL_CONNECTIONS}."
    )


# -- what no transaction may do ----------------------------------------------------------------


def cannot_be_run(verb: str, error: object) -> str:
    """Say that the server refused what it allows outside a transaction."""
    return (
        f"{verb} cannot be run in a sandbox: {error}. Everything that a test does is one "
        f"transaction there. {TEST_REALLY}"
    )


def two_phase() -> str:
    """Say that a prepared transaction would stay."""
    return (
        f"two-phase transactions cannot be played in a sandbox: a prepared transaction outlives "
        f"its connection, and nothing may outlive the test. {TEST_REALLY}"
    )


# -- connections that must be alike ------------------------------------------------------------


def other_options(
    owner: str,
    made_at: Place | None,
    found: Mapping[str, Any],
    wanted: Mapping[str, Any],
    at: Place,
) -> str:
    """Say that an engine connects with other arguments than the connection that exists.

    :param owner: whose sandbox it is.
    """
    return (
        f"an engine connects at {at} with {wanted!r}, and the connection of {owner}'s sandbox was "
        f"made at {made_at} with {found!r}. All engines of one database share one connection "
        f"there. Give them the same connect_args."
    )


def other_factory(
    owner: str, made_at: Place | None, found: type[Any], wanted: type[Any], at: Place
) -> str:
    """Say that an engine wants a connection of another class than the one that exists."""
    return (
        f"an engine connects at {at} with connection_factory={wanted.__name__}, and the "
        f"connection of {owner}'s sandbox was made at {made_at} as a {found.__name__}. All "
        f"engines of one database share one connection there. Give them the same connect_args."
    )


def two_drivers(
    engine: object, driver: str, at: Place, owner: str, found: str, made_at: Place | None, url: str
) -> str:
    """Say that two engines of one database have different drivers."""
    return (
        f"{engine!r} connects at {at} by {driver}, and the connection of {owner} was made at "
        f"{made_at} by {found}. Two drivers cannot share one connection. Use one driver for {url}."
    )


def listener_returned() -> str:
    """Say that the connection of a ``connect`` listener is used after its time."""
    return (
        "the connection that a `connect` listener was given is used after the listener returned. "
        "All virtual connections share it. Keep the one that the engine gives."
    )


def forked(owner: str) -> str:
    """Say that a child process uses its parent's connection."""
    return (
        f"a forked process uses a connection of {owner}'s sandbox. It shares the socket of its "
        f"parent, and would take its parent's answers. Let the child make an engine for a database "
        f"of its own, which let_through names, or {REAL_CONNECTIONS}."
    )

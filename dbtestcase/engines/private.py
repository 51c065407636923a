"""The private names of SQLAlchemy on which the library leans, each in one small function.

They are the same in SQLAlchemy 2.0 and 2.1; ``tests/test_engines.py`` fails when one moves.

=================================  ============================================================
``Pool._creator``                  what a pool calls for a new connection; ``recreate()`` hands it
                                   on, and setting it also sets ``_invoke_creator``
``Pool._creator_arg``              what ``_creator`` gives, without a call
``Pool._dialect``                  that of its engine; a stub where the pool has none
``create_engine.<locals>.connect`` the creator of an engine that was given no ``creator=``
``QueuePool._max_overflow``        -1 means no limit
``StaticPool.connection``,         how many connections are in use, for the pools that cannot say
``SingletonThreadPool._all_conns``,
``AssertionPool._checked_out``
``_ConnectionRecord.__pool``       the pool that a connection record belongs to
``….dispatch.connect.listeners``   a deque, in the order in which they are called
``_ClsLevelDispatch._clslevel``    the listeners of a class, and of each of its subclasses
``Pool.dispatch._update``          takes over another pool's listeners
=================================  ============================================================
"""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Callable
from typing import Any, cast

from sqlalchemy.engine import Dialect
from sqlalchemy.pool import (
    AssertionPool,
    ConnectionPoolEntry,
    Pool,
    QueuePool,
    SingletonThreadPool,
    StaticPool,
)

Creator = Callable[..., Any]
Listener = Callable[..., Any]

NO_LIMIT = -1


def creator_of(pool: Pool) -> Creator:
    """Return what the pool calls for a new connection."""
    return pool._creator


#: Returns what a pool was given to call for a new connection; asked in each checkout.
given_creator_of: Callable[[Pool], object] = operator.attrgetter("_creator_arg")


def dialect_of(pool: Pool) -> Dialect | None:
    """Return the dialect of the pool's engine, None for a pool that was made without one."""
    dialect = pool._dialect
    return dialect if isinstance(dialect, Dialect) else None


def set_creator(pool: Pool, creator: Creator) -> None:
    """Let the pool call ``creator`` for each new connection."""
    pool._creator = creator


def is_standard(creator: Creator) -> bool:
    """Tell SQLAlchemy's own creator, which asks ``do_connect``, from a user's ``creator=``."""
    return (
        getattr(creator, "__module__", None) == "sqlalchemy.engine.create"
        and getattr(creator, "__qualname__", None) == "create_engine.<locals>.connect"
    )


def overflow_of(pool: Pool) -> int | None:
    """Return the pool's limit of overflowing connections, None where it has no such thing."""
    return pool._max_overflow if isinstance(pool, QueuePool) else None


def set_overflow(pool: Pool, overflow: int | None) -> None:
    """Set the limit that :func:`overflow_of` returned."""
    if overflow is not None:
        cast(QueuePool, pool)._max_overflow = overflow


def in_use(pool: Pool) -> int:
    """Count the connections that are checked out, as far as the pool knows.

    A ``NullPool`` keeps no account of its connections and counts as 0.
    """
    if isinstance(pool, QueuePool):
        return pool.checkedout()
    if isinstance(pool, AssertionPool):
        return int(pool._checked_out)
    records: list[ConnectionPoolEntry] = []
    if isinstance(pool, StaticPool):
        # memoized: reading the attribute of a fresh pool would open a connection
        records = [vars(pool)["connection"]] if "connection" in vars(pool) else []
    elif isinstance(pool, SingletonThreadPool):
        records = list(pool._all_conns)
    return sum(record.in_use for record in records)


def dispose_idle(pool: Pool) -> None:
    """Close the idle connections of a pool that is given up.

    Only a ``QueuePool`` leaves those alone that are in use when it is disposed. The others would
    close them under their users, so they go with their last user.
    """
    if isinstance(pool, QueuePool) or not in_use(pool):
        pool.dispose()


def pool_of(record: ConnectionPoolEntry) -> Pool:
    """Return the pool that the record belongs to (not always ``engine.pool``: see dispose())."""
    return cast(Pool, record._ConnectionRecord__pool)  # type: ignore[attr-defined]


def keep_last(pool: Pool, listener: Listener) -> None:
    """Make ``listener`` the last of the pool's ``connect`` listeners."""
    listeners = cast("deque[Listener]", pool.dispatch.connect.listeners)
    # nothing is moved where it is last: other threads may be going through the deque
    if listeners[-1] is not listener:
        listeners.remove(listener)
        listeners.append(listener)


def keep_first(listener: Listener) -> None:
    """Make ``listener`` the first of the ``do_connect`` listeners of the ``Engine`` class.

    ``listen(…, insert=True)`` is ignored for this event.
    """
    for listeners in Dialect.dispatch.do_connect._clslevel.values():  # type: ignore[attr-defined]
        if listener in listeners:
            listeners.remove(listener)
            listeners.appendleft(listener)


def take_over_listeners(pool: Pool, other: Pool) -> None:
    """Add to ``pool`` the listeners that only ``other`` has."""
    pool.dispatch._update(other.dispatch, only_propagate=False)

"""The private names of psycopg on which this package leans, but for the methods it overrides.

They are those of psycopg 3.3; ``tests/test_psycopg_sandbox.py`` fails when one moves.

================================  ============================================================
``Connection._exec_command``      sends every command of the driver's own; overridden
``Connection._start_query``       begins a transaction where the driver would; called
``Connection._deallocate``        drops prepared statements on the server; overridden
``Connection._should_cancel``     whether ``cancel()`` does anything; overridden
``Connection._autocommit``        what :meth:`psycopg.Connection.connect` sets on what it made
``Connection._adapters``
``Connection._prepared``          the ``PrepareManager``, and what it knows:
``PrepareManager._prepared_idx``  the number in the name of the next prepared statement
``._names``, ``._counts``,        what is prepared, how often other texts were sent, and what is
``._to_flush``                    to be dropped on the server
``BaseConnection._notice_handler``  calls the notice handlers of a connection
``Cursor._set_results``           makes results the cursor's
``Cursor._results``
``Cursor._reset``                 forgets the results of the last statement
``Cursor._tx``                    what reads the values of its rows
``ServerCursor._describe_gen``    asks for the columns of a cursor on the server; overridden
``Copy._read_gen``                gives the next block of a COPY TO; overridden
================================  ============================================================
"""

from __future__ import annotations

from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

import psycopg
from psycopg import BaseConnection
from psycopg._cursor_base import BaseCursor
from psycopg._preparing import PrepareManager
from psycopg.adapt import Transformer

__all__ = [
    "PrepareManager",
    "asks_for_beliefs",
    "begin",
    "cursor_in_the_making",
    "forget_prepared",
    "notify_of_notices",
    "results_of",
    "set_results",
    "take_options",
]

# The functions of psycopg that ask libpq about the connection's transaction, or its state. All
# others want the libpq connection itself, because compiled code takes nothing else.
_ASKING: frozenset[CodeType] = frozenset(
    function.__code__
    for function in (
        BaseConnection._start_query,
        BaseConnection._commit_gen,
        BaseConnection._rollback_gen,
        BaseConnection._check_intrans_gen,
        BaseConnection._check_connection_ok,
        BaseConnection.closed.fget,  # type: ignore[attr-defined]
        BaseConnection.broken.fget,  # type: ignore[attr-defined]
        BaseConnection.info.fget,  # type: ignore[attr-defined]
        BaseConnection.__repr__,
        psycopg.Transaction.__init__,
        psycopg.ServerCursor._close_gen,
    )
)

_MAKING_A_CURSOR = BaseCursor.__init__.__code__


def asks_for_beliefs(frame: FrameType) -> bool:
    """Whether what runs in *frame* is to be told the virtual connection's state."""
    if frame.f_code in _ASKING:
        return True
    name: str = frame.f_globals.get("__name__", "")
    return name != "psycopg" and not name.startswith("psycopg.")


def cursor_in_the_making(frame: FrameType) -> Any:
    """Give the cursor that is being made by *frame*, or None."""
    return frame.f_locals["self"] if frame.f_code is _MAKING_A_CURSOR else None


def take_options(
    connection: psycopg.Connection[Any],
    *,
    autocommit: bool = False,
    prepare_threshold: int | None = 5,
    context: Any = None,
    row_factory: Any = None,
    cursor_factory: Any = None,
) -> None:
    """Do to a new connection what ``Connection.connect()`` does after it has connected."""
    connection._autocommit = bool(autocommit)
    if row_factory:
        connection.row_factory = row_factory
    if cursor_factory:
        connection.cursor_factory = cursor_factory
    if context:
        connection._adapters = psycopg.adapt.AdaptersMap(context.adapters)
    connection.prepare_threshold = prepare_threshold


def begin(connection: psycopg.Connection[Any]) -> None:
    """Let the driver begin a transaction, if it would before a statement."""
    for _ in connection._start_query():
        pass


def forget_prepared(manager: PrepareManager) -> None:
    """Let a manager be as new."""
    manager._names.clear()
    manager._counts.clear()
    manager._to_flush.clear()


def notify_of_notices(reference: Any) -> Callable[[Any], None]:
    """Give the handler that libpq calls with the notices of a connection."""
    return lambda result: BaseConnection._notice_handler(reference, result)


def results_of(cursor: Any) -> list[Any]:
    """Give the results of the last statement."""
    return list(cursor._results)


def set_results(cursor: Any, results: list[Any]) -> None:
    """Give *cursor* the results of several statements, the first of them selected."""
    cursor._reset()
    cursor._tx = Transformer(cursor)
    cursor._set_results(results)

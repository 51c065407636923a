"""Callbacks, factories and functions, which belong to a connection and are shared in a sandbox."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..places import place
from . import messages
from .wire import NativeConnection

if TYPE_CHECKING:
    from .connections import VirtualConnection
    from .sandbox import SQLiteSandbox

__all__ = ["Callbacks"]

_PROBE = "dbtestcase_probe", 0, bool


class Callbacks:
    """What is called from within SQLite."""

    def __init__(self, sandbox: SQLiteSandbox) -> None:
        self._sandbox = sandbox
        #: callbacks and factories of the connection that sent the last statement
        self._in_force: dict[str, Any] = {}
        self._registered: dict[tuple[Any, ...], Any] = {}

    def begin(self, real: Any) -> None:
        """Let SQLite tell which tables a statement touches."""
        NativeConnection.set_authorizer(real, self._authorize)
        NativeConnection.create_function(real, *_PROBE)

    def statements_are_open(self) -> bool:
        """Whether there are rows that were not fetched yet: a function is not replaced then."""
        try:
            NativeConnection.create_function(self._sandbox.real, *_PROBE)
        except sqlite3.OperationalError:
            return True
        return False

    def align(self, connection: VirtualConnection) -> None:
        """Bring the callbacks and factories of *connection* into force."""
        wanted, now = connection.hooks, self._in_force
        if wanted == now:
            return
        real = self._sandbox.real
        self._in_force = dict(wanted)
        if wanted.get("authorizer") != now.get("authorizer"):
            # set anew, so that SQLite asks it for the statements that it has prepared already
            NativeConnection.set_authorizer(real, self._authorize)
        if wanted.get("trace") != now.get("trace"):
            NativeConnection.set_trace_callback(real, self._trace if "trace" in wanted else None)
        if wanted.get("progress") != now.get("progress"):
            NativeConnection.set_progress_handler(real, *wanted.get("progress", (None, 0)))
        if wanted.get("text_factory") != now.get("text_factory"):
            NativeConnection.text_factory.__set__(real, wanted.get("text_factory", str))

    def _authorize(
        self, action: int, one: str | None, two: str | None, where: str | None, by: str | None
    ) -> int:
        if self._sandbox.wire.own:
            return sqlite3.SQLITE_OK
        self._sandbox.tables.seen(action, one, two, where)
        users = self._in_force.get("authorizer")
        return sqlite3.SQLITE_OK if users is None else int(users(action, one, two, where, by))

    def _trace(self, sql: str) -> None:
        if not self._sandbox.wire.own:
            self._in_force["trace"](sql)

    def register(
        self,
        connection: VirtualConnection,
        key: tuple[Any, ...],
        value: Any,
        send: Callable[[], Any],
    ) -> None:
        """Register a function or collation, unless it is the one that is registered already.

        SQLite refuses to replace one beside an open cursor.

        :param key: its kind, its name and what else tells it from others.
        :raises SandboxConflict: another connection has a different one of that name.
        """
        if key in self._registered:
            if _same(self._registered[key], value):
                connection.registered.setdefault(key, place())
                return
            for other in self._sandbox.others(connection):
                if (first_at := other.registered.get(key)) is not None:
                    raise self._sandbox.conflict(
                        messages.registered_twice(
                            f'{key[0]} "{key[1]}"',
                            f"{other.name} at {first_at}",
                            f"{connection.name} at {place()}",
                            self._sandbox.owner,
                        )
                    )
        send()
        self._registered[key] = value
        connection.registered[key] = place()


def _same(one: Any, other: Any) -> bool:
    """Whether two functions do the same: SQLAlchemy makes a new one for each engine."""
    if one is other or one == other:
        return True
    code = getattr(one, "__code__", None)
    return (
        code is not None
        and code is getattr(other, "__code__", None)
        and one.__closure__ == other.__closure__
        and one.__defaults__ == other.__defaults__
    )

"""Advisory locks: a server process gets its own ones again, so one connection never waits.

Who holds what is read from ``pg_locks`` before and after each statement that names one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from ..backends import Backend, Lock
from .wire import PostgreSQLWire

__all__ = ["AdvisoryLocks"]

_LOCKS = """
SELECT classid::bigint, objid::bigint, objsubid::int FROM pg_locks
 WHERE locktype = 'advisory' AND pid = pg_backend_pid()
"""

_OF_TRANSACTION = re.compile(r"\bpg_(?:try_)?advisory_xact_lock", re.I)
_OF_SESSION = re.compile(r"\bpg_(?:try_)?advisory_lock", re.I)
_UNLOCKING = re.compile(r"\bpg_advisory_unlock", re.I)


class AdvisoryLocks:
    """Whose advisory locks those of the real connection are.

    :param wire: our way to the server.
    :param backends: gives the virtual connections of the test.
    """

    def __init__(self, wire: PostgreSQLWire, backends: Callable[[], Iterable[Backend]]) -> None:
        self._wire = wire
        self._backends = backends
        #: whether some may be held until the session ends, or longer than their transaction
        self.used = False

    def look(self) -> set[Lock]:
        """Give the locks that the real connection holds."""
        return set(self._wire.ask(_LOCKS))

    def note(self, backend: Backend, text: str, before: set[Lock]) -> Backend | None:
        """Note what a statement did to the locks.

        :returns: the connection that it would have had to wait for, or whose lock it let go.
        """
        self.used = True
        after = self.look()
        others = [b for b in self._backends() if b is not backend and b.holds_advisory_locks]
        gone, new = before - after, after - before
        for other in others:
            if gone & (other.session_locks | other.transaction_locks):
                return other
        backend.session_locks -= gone
        takes = _OF_SESSION.search(text) or _OF_TRANSACTION.search(text)
        if not takes and _UNLOCKING.search(text):
            # one that was taken twice stays when it is let go once, whoever has taken it
            return next((b for b in others if b.session_locks), None) if not gone else None
        if not new:
            if others:
                return others[0]
            # held by itself already, or left by a transaction that is over, where the server
            # lets nothing go: whichever, it is this connection's now
            new = after
        if _OF_TRANSACTION.search(text) or not takes:
            backend.transaction_locks |= new - backend.session_locks
        if _OF_SESSION.search(text):
            backend.session_locks |= new
        return None

    def end_session(self, backend: Backend) -> None:
        """Let go what a session that is closed holds; no rollback would."""
        if not backend.session_locks:
            return
        backend.session_locks = frozenset()
        # one may have been taken several times, which the server does not tell
        self._wire.queue("SELECT pg_catalog.pg_advisory_unlock_all()")
        for other in self._backends():
            for lock in sorted(other.session_locks):
                self._wire.queue(f"SELECT pg_catalog.pg_advisory_lock({_key(lock)})")


def _key(lock: Lock) -> str:
    high, low, kind = lock
    if kind == 1:
        return str(_signed((high << 32) + low, 64))
    return f"{_signed(high, 32)}, {_signed(low, 32)}"


def _signed(number: int, bits: int) -> int:
    return number - (1 << bits) if number >> (bits - 1) else number

"""PRAGMAs, which belong to a connection and are shared by all in a sandbox.

Some take effect outside a transaction only: inside, SQLite ignores ``foreign_keys`` without a word
and refuses ``synchronous``. So the first connection's are sent before the outer transaction
begins, or where nothing is lost by beginning it anew; and what later connections ask for is
compared with what is in force.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...errors import SandboxConflict
from ..backends import State
from ..places import place
from . import messages
from .statements import Pragma, normal
from .wire import as_text

if TYPE_CHECKING:
    from .connections import VirtualConnection
    from .sandbox import SQLiteSandbox

__all__ = ["Pragmas"]

#: They change how fast or where something is kept, or how long one waits, but no answer.
_UNSEEN = {
    "analysis_limit", "automatic_index", "busy_timeout", "cache_size", "cache_spill",
    "hard_heap_limit", "journal_size_limit", "mmap_size", "read_uncommitted", "soft_heap_limit",
    "temp_store", "threads", "wal_autocheckpoint",
}  # fmt: skip
#: They change answers: a connection that does not send them must not be given them.
_SEEN = {
    "case_sensitive_like", "count_changes", "empty_result_callbacks", "foreign_keys",
    "full_column_names", "ignore_check_constraints", "legacy_alter_table", "query_only",
    "recursive_triggers", "reverse_unordered_selects", "short_column_names", "trusted_schema",
    "writable_schema",
}  # fmt: skip
#: They answer with their value when it is set; the others answer nothing.
ANSWERED = {
    "analysis_limit", "busy_timeout", "hard_heap_limit", "journal_mode", "journal_size_limit",
    "locking_mode", "max_page_count", "mmap_size", "secure_delete", "soft_heap_limit", "threads",
    "wal_autocheckpoint", "wal_checkpoint",
}  # fmt: skip
#: They take effect inside a transaction, too.
_ANYWHERE = (_SEEN | _UNSEEN) - {"foreign_keys", "temp_store"}


class Pragmas:
    """The PRAGMAs in force on the real connection."""

    def __init__(self, sandbox: SQLiteSandbox) -> None:
        self._sandbox = sandbox
        #: of each that a connection sent: its value, and the one before
        self._sent: dict[str, tuple[str, str | None]] = {}

    def _value(self, name: str) -> str | None:
        rows = self._sandbox.wire.ask(f"PRAGMA {name}")
        return normal(name, as_text(rows[0][0])) if rows else None

    def set(
        self,
        connection: VirtualConnection,
        pragma: Pragma,
        send: Callable[[], Any],
        ask: Callable[[], Any],
    ) -> Any:
        """Bring a PRAGMA of one connection into force, or show that it is.

        :param send: sends it as it is.
        :param ask: sends it without its value, or nothing where it would answer nothing.
        :raises SandboxConflict: it would hold for other connections, which did not ask for it.
        """
        name, value = pragma.name, pragma.value
        backend = connection.backend()
        if name == "defer_foreign_keys":
            backend.sets_constraints = value == "1"
            return ask()
        now = self._value(name)
        known, before = self._sent.get(name, (None, now))
        if value in (now, known):
            # a database in memory takes no journal_mode, so what was sent counts as well
            self._note(connection, pragma, before)
            return ask()
        if backend.state is State.ACTIVE and name not in _ANYWHERE:
            # inside a transaction of the program's own SQLite ignores or refuses it as well
            self._sandbox.flush()
            return self._quietly(send)
        if not self._sandbox.others(connection):
            if name in _ANYWHERE or self._sandbox.step_outside():
                result = self._quietly(send)
                self._note(connection, pragma, before)
                self._sandbox.foreign_keys.forget()
                return result
            raise self._sandbox.conflict(messages.pragma_too_late(f"PRAGMA {name} = {value}"))
        if name in _UNSEEN:
            return ask()
        in_force = f"without it (it is {now})" if known is None else f"PRAGMA {name} = {known}"
        raise self._different(name, f"asks for PRAGMA {name} = {value}", in_force)

    def _note(self, connection: VirtualConnection, pragma: Pragma, before: str | None) -> None:
        connection.pragmas.add(pragma.name)
        self._sent[pragma.name] = pragma.value, before

    def _quietly(self, send: Callable[[], Any]) -> Any:
        wire = self._sandbox.wire
        wire.own = True
        try:
            return send()
        finally:
            wire.own = False

    def compare(self, connection: VirtualConnection) -> None:
        """Compare the PRAGMAs that a new connection's listeners sent with those in force.

        :raises SandboxConflict: it lacks one that changes what SQLite answers.
        """
        if self._sandbox.filling:
            return
        for name, (value, before) in self._sent.items():
            if name in _SEEN and name not in connection.pragmas and value != before:
                raise self._different(
                    name, f"does not send PRAGMA {name}", f"PRAGMA {name} = {value}"
                )

    def _different(self, name: str, wanted: str, in_force: str) -> SandboxConflict:
        if not in_force.startswith("without"):
            in_force = f"with {in_force}"
        sandbox = self._sandbox
        return sandbox.conflict(
            messages.pragma_differs(
                name, wanted, place(), sandbox.owner, in_force, sandbox.made_at
            )
        )

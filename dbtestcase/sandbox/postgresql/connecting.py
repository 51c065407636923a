"""The one real connection: which engines may share it, and what comes after it was lost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .sandbox import PostgreSQLSandbox

__all__ = ["OURS", "ConnectingSandbox"]

__unittest = True  # its frames are left out of tracebacks

#: What tells which database and who, and is the sandbox's to say.
OURS = {"host", "hostaddr", "port", "dbname", "database", "user", "password", "service"}
OURS |= {"passfile", "dsn"}


class ConnectingSandbox(PostgreSQLSandbox):
    """A sandbox that opens its connection as the first engine would."""

    #: the driver's connection, once an engine has asked for one
    real: Any = None
    _options: dict[str, Any]

    @property
    def pid(self) -> int:
        """The process that opened the sandbox."""
        return self._pid

    def _leave_listener(self) -> None:
        if (left := self.listening) is not None:
            # a listener raised: the connection that it was given is nobody's
            self.listening = None
            left.close()

    def _refuse_after_loss(self) -> None:
        if self.died and (self.shared or self.answered):
            raise self.conflict(
                f"the real connection of {self.owner}'s sandbox was lost, and with it what was "
                f"done since the class's set-up began, committed or not. A new connection would "
                f"show none of it. Let the test end here; the next one starts anew."
            )

    def _refuse_others(self, options: Mapping[str, Any]) -> None:
        if options != self._options:
            raise self.conflict(
                f"an engine connects with {options!r}, and the connection of {self.owner}'s "
                f"sandbox was made with {self._options!r}. All engines of one database share "
                f"one connection there. Give them the same connect_args."
            )

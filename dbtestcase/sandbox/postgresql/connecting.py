"""The one real connection: which engines may share it, and what comes after it was lost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import messages as shared
from ..places import place
from . import messages
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
            raise self.conflict(messages.connection_lost(self.owner))

    def _refuse_others(self, options: Mapping[str, Any]) -> None:
        if options != self._options:
            raise self.conflict(
                shared.other_options(self.owner, self.made_at, self._options, options, place())
            )

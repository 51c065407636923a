"""Session settings: each virtual connection has its own, and the real one is brought to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ...databases.templates import STRANGERS_PATIENCE
from ..backends import Backend, State
from ..statements import Statement
from .wire import PostgreSQLWire

__all__ = ["NO_TIMEOUTS", "SessionSettings", "shown_isolation"]


# A test may stand at a breakpoint for an hour: no time-out of the server may end its transaction.
_TIMEOUTS = ("idle_in_transaction_session_timeout", "idle_session_timeout", "transaction_timeout")
#: Switches off what would end the one connection, and what a program would not see in production.
NO_TIMEOUTS = (
    f"SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN {_TIMEOUTS} OR name = "
    f"'lock_timeout' AND source = 'database' AND setting = '{STRANGERS_PATIENCE}'"
)
#: What has them switched off again; None is a statement that sets all, or hides which.
_SWITCHED_OFF = {None, "lock_timeout", *_TIMEOUTS}


def shown_isolation(backend: Backend, level: str | None = None) -> str | None:
    """Give what answers SHOW transaction_isolation, where the real transaction may differ.

    :param level: what the driver is about to begin with.
    """
    if level is None:
        level = backend.defaults()[0] if backend.state is State.IDLE else backend.isolation
    return f"SELECT '{level.lower()}'::text AS transaction_isolation" if level else None


class SessionSettings:
    """What is in force on the real connection, of all that any virtual connection changed.

    :param wire: our way to the server.
    :param quote: writes a value as an SQL literal.
    """

    def __init__(self, wire: PostgreSQLWire, quote: Callable[[object], str]) -> None:
        self._wire = wire
        self._quote = quote
        #: the values before anybody changed them, by name
        self._baseline: dict[str, str | None] = {}
        #: whether anybody changed any since the connection was made
        self.learned = False
        #: the values that are not the first ones; a rollback puts back those of before
        self.in_force: Mapping[str, str | None] = {}

    def forget(self) -> None:
        """Start anew, on a new real connection."""
        self._baseline, self.in_force = {}, {}
        self.learned = False

    def bring(self, backend: Backend) -> None:
        """Queue what brings the real connection to what *backend* believes."""
        if not self._baseline:
            return
        changes = {}
        for name, first in self._baseline.items():
            wanted = backend.local.get(name, backend.session.get(name, first))
            if self.in_force.get(name, first) != wanted:
                changes[name] = wanted
        if changes:
            calls = ", ".join(
                f"set_config({self._quote(name)}, {self._quote(value or '')}, false)"
                for name, value in changes.items()
            )
            self._wire.queue(f"SELECT {calls}")
            self.in_force = {**self.in_force, **changes}

    def learn(self, statement: Statement) -> None:
        """Ask for the first values of what *statement* is about to set."""
        for setting in statement.settings:
            if setting.name is not None and setting.name not in self._baseline:
                self._baseline[setting.name] = self._ask(setting.name)
                self.learned = True

    def note(self, backend: Backend, statement: Statement) -> None:
        """Ask for what *statement* has set, and keep it as that of *backend*."""
        if any(setting.name in _SWITCHED_OFF for setting in statement.settings):
            # at once, for it would run from now on
            self._wire.ask(NO_TIMEOUTS)
        for setting in statement.settings:
            names = [setting.name] if setting.name is not None else list(self._baseline)
            for name in names:
                value = self._ask(name)
                self.in_force = {**self.in_force, name: value}
                if setting.local:
                    backend.local = {**backend.local, name: value}
                else:
                    backend.local = {n: v for n, v in backend.local.items() if n != name}
                    backend.session = {**backend.session, name: value}

    def _ask(self, name: str) -> str | None:
        value = self._wire.ask(f"SELECT current_setting({self._quote(name)}, true)")[0][0]
        return None if value is None else str(value)

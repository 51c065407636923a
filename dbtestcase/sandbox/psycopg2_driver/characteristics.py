"""What psycopg2 wants of later transactions, and how it says so to the server.

Isolation level, READ ONLY and DEFERRABLE stand in the BEGIN that the driver sends. In autocommit
it sends none: what is given then is set for the session, by a statement like any other, and set
back when autocommit is switched off. Such a SET is undone with a transaction that a text has
begun, and fails in a failed one.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..backends import Backend, State
from ..statements import Statement

if TYPE_CHECKING:
    from .sandbox import Psycopg2Sandbox

__all__ = ["DEFERRABLE", "ISOLATION", "READ_ONLY", "Characteristics", "switch"]

ISOLATION = "default_transaction_isolation"
READ_ONLY = "default_transaction_read_only"
DEFERRABLE = "default_transaction_deferrable"

#: Values by the name of the session setting; None is the server's default.
Values = Mapping[str, "str | None"]

_SWITCHES = {"on": True, "off": False}


def switch(value: bool | str | None) -> str | None:
    """Give the value of a setting that is on or off; ``"DEFAULT"`` and None are the default."""
    return None if value is None or isinstance(value, str) else "on" if value else "off"


class Characteristics:
    """Those of one virtual connection."""

    def __init__(self) -> None:
        self.autocommit = False
        #: what was given, and is not the server's default
        self._given: dict[str, str] = {}
        #: what is set for the session, in autocommit
        self.of_session: dict[str, str] = {}
        #: the BEGIN that psycopg2 sends, where it says something
        self.begin: Statement | None = None

    @property
    def isolation(self) -> str | None:
        """The isolation level that was given, in capitals."""
        return self._given.get(ISOLATION)

    def is_on(self, name: str) -> bool | None:
        """Whether READ ONLY or DEFERRABLE was given; None for the server's default."""
        return _SWITCHES.get(self._given.get(name, ""))

    def change(
        self,
        given: Values,
        autocommit: bool | None,
        sandbox: Psycopg2Sandbox,
        backend: Backend | None,
    ) -> None:
        """Do what psycopg2 does with what is *given*, though it be as before.

        :param autocommit: None leaves it as it is.
        :param backend: None where there is no session that could be told.
        :raises Exception: the driver's error, where the server does not listen. Then nothing is
            changed.
        """
        if autocommit is None:
            autocommit = self.autocommit
        settings: Values = {}
        if autocommit:
            settings = given
        elif self.autocommit:
            settings = dict.fromkeys(self._given)
        if backend is not None:
            self._tell(settings, sandbox, backend)
        self.autocommit = autocommit
        self.of_session = _merged(self.of_session, settings)
        self._given = _merged(self._given, given)
        isolation, read_only = self.isolation, self.is_on(READ_ONLY)
        says = isolation is not None or read_only is not None
        self.begin = Statement("BEGIN", isolation=isolation, read_only=read_only) if says else None

    def begin_session(self, sandbox: Psycopg2Sandbox, backend: Backend) -> None:
        """Set for a new session what was set before."""
        self._tell(self.of_session, sandbox, backend)

    @staticmethod
    def _tell(settings: Values, sandbox: Psycopg2Sandbox, backend: Backend) -> None:
        for name, value in settings.items():
            if backend.state is State.FAILED:
                raise sandbox.aborted()
            if value is None and name not in backend.session:
                continue  # it is the default
            text = f"SET {name} TO {'DEFAULT' if value is None else repr(value)}"
            backend.execute(text, functools.partial(sandbox.send_as_is, text))


def _merged(old: Mapping[str, str], new: Values) -> dict[str, str]:
    return {name: value for name, value in {**old, **new}.items() if value is not None}

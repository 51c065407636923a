"""What a kind of database, and a driver, decide for the sandbox that is played on it."""

from __future__ import annotations

import abc
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from sqlalchemy.engine import Engine

from .backends import Backend
from .segments import Wire
from .statements import Control, Statement, analyse

__all__ = ["Kind"]


class Kind(abc.ABC):
    """What :class:`~.base.Sandbox` asks of the kind of database; the life of a test is its own."""

    #: the base class of the driver's errors, set when the driver is known
    driver_error: type[Exception]
    #: whether an error fails the transaction until it is rolled back
    errors_fail_transactions = True
    #: whether SAVEPOINT outside a transaction begins one
    savepoint_begins = False
    #: the names of the temporary tables that exist
    temporary_tables: Collection[str]
    #: says of a text what it is
    analyse: Callable[[str], Statement] = staticmethod(analyse)

    @property
    @abc.abstractmethod
    def wire(self) -> Wire:
        """The way to the database."""

    @property
    @abc.abstractmethod
    def alive(self) -> bool:
        """Whether there is a real connection, and it is not broken."""

    @abc.abstractmethod
    def run(
        self,
        backend: Backend,
        statement: Statement,
        text: str,
        call: Callable[[], Any],
        *,
        values_only: bool = False,
    ) -> Any:
        """Send one statement of *backend* by *call*, so that it sees what it would see alone.

        :param values_only: whether the parameters are values, and bring no SQL of their own.
        """

    @abc.abstractmethod
    def before_commit(self, backend: Backend) -> None:
        """Do what the server does at COMMIT: check deferred constraints, for example."""

    @abc.abstractmethod
    def flush(self) -> None:
        """Send what waits for the next message."""

    @abc.abstractmethod
    def aborted(self) -> Exception:
        """Make the driver's error for a statement in a failed transaction."""

    @abc.abstractmethod
    def no_transaction(self, control: Control | None) -> Exception:
        """Make the driver's error for a savepoint statement outside a transaction."""

    @abc.abstractmethod
    def no_savepoint(self, name: str) -> Exception:
        """Make the driver's error for a savepoint that does not exist."""

    def nothing_to_chain(self, control: Control | None) -> Exception:
        """Make the driver's error for COMMIT AND CHAIN outside a transaction."""
        return self.no_transaction(control)

    def too_late(self, backend: Backend, statement: Statement) -> Exception | None:
        """Make the driver's error for SET TRANSACTION where the transaction is too old for it."""
        return None

    def begun_twice(self) -> None:  # noqa: B027 - most say nothing that a program could read
        """Say what the server says of BEGIN inside a transaction."""

    def ended_twice(self, commit: bool) -> None:  # noqa: B027
        """Say what the server says of COMMIT or ROLLBACK outside a transaction."""

    def same_name(self, one: str, other: str) -> bool:
        """Whether the server takes two names of savepoints for the same."""
        return one == other

    def fill(self, build: Callable[[], None]) -> None:
        """Let *build* put into the database what its users expect to find there.

        It may be called later, when the first of them connects; it counts as set-up then, too.
        """
        build()

    def taking(self, engine: Engine) -> AbstractContextManager[None]:
        """Keep what would be lost with the engine's own connections, while it is redirected."""
        return nullcontext()

    def end_session(self, backend: Backend) -> None:  # noqa: B027 - not every kind has such
        """Let go what a session held past its transactions: it is closed."""

    def drop_temporary(self, backend: Backend) -> None:  # noqa: B027 - not every kind has some
        """Forget the temporary tables that a rolled back transaction made."""

    def close_cursors(  # noqa: B027 - not every kind has some
        self, backend: Backend, *, from_level: int, keep_held: bool = False
    ) -> None:
        """Close the server-side cursors that end with a (sub)transaction."""

    @abc.abstractmethod
    def _rewind_test(self) -> None:
        """Undo what was done since the base, in one message."""

    @abc.abstractmethod
    def _freeze_setup(self) -> None:
        """Make what the set-up left the base of the tests; sets :attr:`shared`."""

    @abc.abstractmethod
    def _disconnect(self, finish: Callable[[Callable[[str], object]], object] | None) -> None:
        """Roll the outer transaction back and close the real connection."""

"""Virtual connections: what SQLAlchemy's pool and the program get for a connection."""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import psycopg
from psycopg import pq
from psycopg.sql import Composable

from .. import messages as shared
from ..backends import Backend, State
from ..base import Phase
from ..postgresql import messages
from ..postgresql.settings import shown_isolation
from ..statements import Control, analyse
from . import private
from .cursors import guard
from .pgconn import PGconnView
from .prepared import Prepared

if TYPE_CHECKING:
    from .sandbox import PsycopgSandbox

__all__ = ["VirtualConnection"]

__unittest = True  # its frames are left out of tracebacks

_TRANSACTION_STATUS = {
    State.IDLE: pq.TransactionStatus.IDLE,
    State.ACTIVE: pq.TransactionStatus.INTRANS,
    State.FAILED: pq.TransactionStatus.INERROR,
}


class _Lock:
    """The lock of a connection: the sandbox's, for all talk by the same socket."""

    def __init__(self, sandbox: PsycopgSandbox) -> None:
        self._sandbox = sandbox

    def __enter__(self) -> None:
        if os.getpid() != self._sandbox.pid:
            with self._sandbox.entered():
                return  # it has raised: a thread of the parent may have held the lock
        self._sandbox.lock.acquire()

    def __exit__(self, *error: object) -> None:
        self._sandbox.lock.release()


class VirtualConnection(psycopg.Connection[Any]):
    """A connection of its own for its user, played on the sandbox's real one.

    :param libpq: the libpq connection of the real one, which all virtual ones share.
    :param options: those of ``psycopg.connect()`` that are the connection's own, not the server's.
    """

    libpq: Any
    _prepared: Prepared

    def __init__(self, sandbox: PsycopgSandbox, libpq: Any, **options: Any) -> None:
        self.sandbox = sandbox
        self._view = PGconnView(self)
        self._generation = -1
        self._backend: Backend | None = None
        self._settings: Mapping[str, str | None] = {}
        super().__init__(libpq)
        self.lock = _Lock(sandbox)  # type: ignore[assignment]
        self._prepared = Prepared(sandbox)
        private.take_options(self, **options)
        #: libpq calls it with each notice of the server, and we with what it would say
        self.on_notice = private.notify_of_notices(weakref.ref(self))

    @property
    def pgconn(self) -> Any:
        """The libpq connection to psycopg; to the program, and where it counts, what it would be.

        psycopg reads it whenever it makes a cursor, be it by ``ClientCursor(connection)``.
        """
        frame = sys._getframe(1)
        if (cursor := private.cursor_in_the_making(frame)) is not None:
            guard(cursor)
        return self._view if private.asks_for_beliefs(frame) else self.libpq

    @pgconn.setter
    def pgconn(self, libpq: Any) -> None:
        self.libpq = libpq

    @property
    def label(self) -> str:
        """What messages call it."""
        name = self._backend.name if self._backend else "unused connection"
        return f"{name} of {self.sandbox.owner}'s sandbox"

    def __repr__(self) -> str:
        return f"<{self.label} on {self.sandbox.url!r}>"

    # -- what the server would say -----------------------------------------------

    def listened(self) -> None:
        """Keep what the ``connect`` listeners set: it is this connection's in every test."""
        if self._backend is not None:
            self._settings = self._backend.session

    def backend(self) -> Backend:
        """Give the server's side of this connection, a new one in each test."""
        sandbox = self.sandbox
        if self._backend is None or self._generation != sandbox.generation:
            self._backend = sandbox.new_backend(self._settings)
            self._generation = sandbox.generation
            self.forget_prepared()
        return self._backend

    def connection_status(self) -> int:
        """BAD where it was closed, else what libpq says of the real one."""
        status: int = pq.ConnStatus.BAD if self._closed else self.libpq.status
        return status

    def transaction_status(self) -> int:
        """What libpq would say of the transaction."""
        if self.connection_status() != pq.ConnStatus.OK:
            return pq.TransactionStatus.UNKNOWN
        sandbox = self.sandbox
        if sandbox.speaking is self and self.libpq.transaction_status == (
            pq.TransactionStatus.ACTIVE
        ):
            return pq.TransactionStatus.ACTIVE
        if self._backend is None or self._generation != sandbox.generation:
            return pq.TransactionStatus.IDLE
        return _TRANSACTION_STATUS[self._backend.state]

    def show_isolation(self) -> str | None:
        """Give what answers SHOW transaction_isolation, where the real transaction may differ."""
        return shown_isolation(self.backend())

    def forget_prepared(self) -> None:
        """Forget what psycopg prepared: the server knows none of it any more."""
        self._prepared.forget()

    # -- statements ------------------------------------------------------------

    def text_of(self, query: Any) -> str:
        """Give the text of what psycopg takes for a query, its parameters still in there."""
        if isinstance(query, bytes):
            return query.decode(self.info.encoding)
        if isinstance(query, Composable):
            return query.as_string(self)
        if hasattr(query, "interpolations"):  # a template string, which holds its parameters
            return self.render(query, None)
        # the driver says itself what is wrong with anything else
        return query if isinstance(query, str) else ""

    def render(self, query: Any, params: Any) -> str:
        """Give the text of *query* with its parameters written into it."""
        return psycopg.ClientCursor(self).mogrify(query, params)

    def begin(self) -> None:
        """Begin a transaction, where psycopg does it before a statement."""
        with self.sandbox.entered():
            self._check_open()
            self.backend()
            private.begin(self)

    def run(self, text: str, call: Callable[[], Any], *, values_only: bool = False) -> Any:
        """Run one statement: by *call*, unless it steers the transaction and is played.

        :param values_only: whether the parameters are values, and bring no SQL of their own.
        """
        sandbox = self.sandbox

        def send() -> Any:
            sandbox.let_speak(self)  # others may have spoken while it waited for them
            try:
                return call()
            except BaseException:
                sandbox.end_copy()
                raise

        with sandbox.entered():
            self._check_open()
            backend = self.backend()
            statement = analyse(text)
            before = sandbox.speaking
            sandbox.let_speak(self)
            try:
                if sandbox.phase is Phase.CLOSING:
                    return sandbox.run_closing(backend, statement, send)
                result = backend.execute(
                    text, send, values_only=values_only, statement=statement
                )
            finally:
                sandbox.let_speak(before)
            if statement.control in (Control.ROLLBACK, Control.ROLLBACK_TO):
                # what a statement was prepared for may be gone
                self._prepared.clear()
            elif statement.verb == "DEALLOCATE" and "all" in statement.words:
                sandbox.forget_prepared(self)
            return result

    def _check_open(self) -> None:
        if self.closed:
            raise psycopg.OperationalError("the connection is closed")

    def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
        """Run a generator of the driver's, unless this connection was closed."""
        self._check_open()
        return super().wait(gen, *args, **kwargs)

    def _exec_command(
        self, command: Any, result_format: pq.Format = pq.Format.TEXT
    ) -> Generator[Any, Any, Any]:
        """Send, or play, what psycopg itself has to say: BEGIN, COMMIT, SAVEPOINT, FETCH."""

        def send() -> Any:
            return self.wait(psycopg.Connection._exec_command(self, command, result_format))

        return self.run(self.text_of(command), send)
        yield

    def _deallocate(self, name: bytes | None) -> Generator[Any, Any, None]:
        """Leave it to the end of the test, which drops all: names are not used twice."""
        return
        yield

    # -- endings ---------------------------------------------------------------

    def commit(self) -> None:
        """Keep the transaction's work, until the test ends."""
        if os.getpid() == self.sandbox.pid:
            super().commit()

    def rollback(self) -> None:
        """Undo the transaction's work."""
        # in a forked process nobody must wait for the lock, which a thread of the parent may hold
        if os.getpid() == self.sandbox.pid:
            super().rollback()

    def close(self) -> None:
        """End this connection, and only this."""
        sandbox = self.sandbox
        if self._closed:
            return
        if os.getpid() == sandbox.pid:
            with sandbox.lock:
                current = self._backend is not None and self._generation == sandbox.generation
                if current and sandbox.phase is not Phase.CLOSING and not self.closed:
                    self.backend().close()
        self._closed = True

    # -- what one connection cannot give to several ------------------------------

    def _should_cancel(self) -> bool:
        """Whether there is something to cancel, and it is this connection's."""
        return self.sandbox.speaking is self and super()._should_cancel()

    def notifies(self, **options: Any) -> NoReturn:
        """Refuse to wait for what never comes.

        :raises SandboxConflict: always.
        """
        raise self.sandbox.conflict(messages.notifications())

    def pipeline(self) -> NoReturn:
        """Refuse pipeline mode.

        :raises SandboxConflict: always.
        """
        raise self.sandbox.conflict(messages.pipeline())

    def _two_phase(self, *args: Any) -> NoReturn:
        raise self.sandbox.conflict(shared.two_phase())

    for _name in ("xid", "tpc_begin", "tpc_prepare", "tpc_commit", "tpc_rollback", "tpc_recover"):
        locals()[_name] = _two_phase
    del _name

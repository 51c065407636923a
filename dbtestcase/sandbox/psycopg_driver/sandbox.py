"""The sandbox whose engines use psycopg 3."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any

import psycopg
from psycopg import pq
from psycopg.adapt import Transformer
from psycopg.sql import Literal
from sqlalchemy.engine import Dialect

from ..backends import State
from ..postgresql.connecting import OURS, ConnectingSandbox
from ..postgresql.wire import Rows
from . import private
from .connections import VirtualConnection

__all__ = ["PsycopgSandbox"]

__unittest = True  # its frames are left out of tracebacks

#: What belongs to a connection in Python, and the server never hears of.
_OWN = {"autocommit", "prepare_threshold", "context", "row_factory", "cursor_factory"}

# Nothing but the server's answers is of interest here.
_EVERY_COMMAND = """
BEGIN; SAVEPOINT s; ROLLBACK TO s; RELEASE s; SET TRANSACTION READ WRITE; COMMIT;
START TRANSACTION; ROLLBACK
"""

_STATES = {
    pq.TransactionStatus.IDLE: State.IDLE,
    pq.TransactionStatus.INERROR: State.FAILED,
}


class PsycopgSandbox(ConnectingSandbox):
    """A sandbox whose engines use psycopg 3."""

    driver_error = psycopg.Error
    # a real connection in autocommit begins nothing that we do not begin
    driver_begins = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        #: how many statements psycopg prepared for its connections
        self.prepared = 0
        self._prepared_before = 0
        #: the virtual connection whose statement is being run
        self.speaking: VirtualConnection | None = None
        self._connections: weakref.WeakSet[VirtualConnection] = weakref.WeakSet()
        super().__init__(*args, **kwargs)

    def connect(self, dialect: Dialect, cparams: Mapping[str, Any] | None) -> Any:
        """Give a new virtual connection, prepared for its listeners in this thread.

        :raises SandboxConflict: when *cparams* differ from those of the connection that exists,
            or that was lost with what the test needs.
        """
        given = {k: v for k, v in (cparams or {}).items() if k not in OURS}
        options = {k: v for k, v in given.items() if k not in _OWN}
        with self.entered():
            self._leave_listener()
            if not self.alive:
                self._refuse_after_loss()
                self._open(dialect, options)
            elif cparams is not None:
                self._refuse_others(options)
            connection = VirtualConnection(
                self, self.real.pgconn, **{k: v for k, v in given.items() if k in _OWN}
            )
            self._connections.add(connection)
            self.listening = connection
            return connection

    def _open(self, dialect: Dialect, options: dict[str, Any]) -> None:
        _, where = dialect.create_connect_args(self.url)
        self._where = {k: v for k, v in where.items() if k not in _OWN}
        self._options = options
        self.real = psycopg.connect(
            **{**options, **self._where}, autocommit=True, prepare_threshold=None
        )
        with self.real.execute(_EVERY_COMMAND) as cursor:
            results = private.results_of(cursor)
        #: what the server answers to the commands that are played, by their tags
        self.answers = {result.command_status.decode(): result for result in results}
        if self.died:
            self._new_generation()
        self._opened()

    @property
    def alive(self) -> bool:
        """Whether there is a real connection, and it is not broken. Not in a forked child."""
        return self.real is not None and not self.real.closed and not self.in_child

    def let_speak(self, connection: VirtualConnection | None) -> None:
        """Note whose statement is run: notices are its, and it alone can cancel it."""
        self.speaking = connection
        if connection is not None:
            connection.libpq.notice_handler = connection.on_notice

    def end_copy(self) -> None:
        """Get the real connection out of a COPY that the driver began and does not carry on.

        There a connection of psycopg takes no statement any more. So it fails the transaction.
        """
        libpq = self.real.pgconn
        if libpq.transaction_status != pq.TransactionStatus.ACTIVE:
            return
        while libpq.transaction_status == pq.TransactionStatus.ACTIVE:
            if (result := libpq.get_result()) is None:
                break
            if result.status == pq.ExecStatus.COPY_IN:
                libpq.put_copy_end(b"COPY without cursor.copy()")
            elif result.status == pq.ExecStatus.COPY_OUT:
                while libpq.get_copy_data(0)[0] > 0:
                    pass
        libpq.exec_(b"ROLLBACK TO dbtestcase_there_is_none")

    def forget_prepared(self, told: VirtualConnection) -> None:
        """Let all connections start anew, but for the one that told the server to drop all.

        What psycopg makes of that is its own affair.
        """
        for connection in list(self._connections):
            if connection is not told:
                connection.forget_prepared()

    def _rewind_test(self) -> None:
        if self.prepared > self._prepared_before:
            # dropped with the end of the test, for it must not know the test's tables
            self._sequences.note_prepared()
            self._prepared_before = self.prepared
        super()._rewind_test()

    # -- the real connection -----------------------------------------------------

    def _send(self, text: str) -> Rows:
        real = self.real
        encoding = real.info.encoding
        result = real.pgconn.exec_(text.encode(encoding))
        if result.status == pq.ExecStatus.TUPLES_OK:
            read = Transformer(real)
            read.set_pgresult(result)
            return read.load_rows(0, result.ntuples, tuple)
        if result.status == pq.ExecStatus.FATAL_ERROR:
            error = psycopg.errors.error_from_result(result, encoding=encoding)
            # that there is no server any more, libpq says in words only
            raise error if error.sqlstate else psycopg.OperationalError(str(error))
        return []

    def send_as_is(self, text: str) -> None:
        """Send what is part of a statement of the program's."""
        self._send(text)

    def _server_version(self) -> int:
        return int(self.real.pgconn.server_version)

    def _send_apart(self, text: str) -> None:
        with psycopg.connect(**{**self._options, **self._where}) as connection:
            connection.execute(text)

    def _quote(self, value: object) -> str:
        return Literal(value).as_string(self.real)

    def _real_state(self) -> State:
        return _STATES.get(self.real.pgconn.transaction_status, State.ACTIVE)

    def _roll_back_and_close(self, last_words: Callable[[Callable[[str], object]], None]) -> None:
        real = self.real
        try:
            real.rollback()
            with real.transaction():
                last_words(real.execute)
        finally:
            real.close()

    # -- what the server says -----------------------------------------------------

    def error(self, sqlstate: str, message: str) -> Exception:
        """Make the driver's error of that SQLSTATE, as the server's answer would have made it."""
        found: type[psycopg.Error] = psycopg.errors.lookup(sqlstate)
        return found(message, info=_diagnostics("ERROR", sqlstate, message))

    def sqlstate(self, error: BaseException) -> str | None:
        """Give the SQLSTATE of a driver's error."""
        return getattr(error, "sqlstate", None)

    def begun_twice(self) -> None:
        """Warn as the server does of BEGIN inside a transaction."""
        self._notice("25001", "there is already a transaction in progress")

    def ended_twice(self, commit: bool) -> None:
        """Warn as the server does of COMMIT or ROLLBACK outside a transaction."""
        self._notice("25P01", "there is no transaction in progress")

    def _notice(self, sqlstate: str, message: str) -> None:
        if self.speaking is not None:
            self.speaking.on_notice(_diagnostics("WARNING", sqlstate, message))


def _diagnostics(severity: str, sqlstate: str, message: str) -> dict[int, bytes | None]:
    field = pq.DiagnosticField
    return {
        field.SEVERITY: severity.encode(),
        field.SEVERITY_NONLOCALIZED: severity.encode(),
        field.SQLSTATE: sqlstate.encode(),
        field.MESSAGE_PRIMARY: message.encode(),
    }

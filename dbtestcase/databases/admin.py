"""Connections to a PostgreSQL server for what concerns databases as a whole.

They are plain connections of the driver, so that no listener of a program sees them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy.engine import URL

from ..errors import ServerError
from ..settings import embedded_value
from .base import private_engine, wait_for

__all__ = [
    "Admin",
    "Mark",
    "Refused",
    "check_version",
    "identifier",
    "literal",
    "lock_key",
    "place",
]

OLDEST = 13

# The lock lives as long as the transaction that took it, which none of these may end.
# (name, first version that has it)
TIMEOUTS = [
    ("statement_timeout", 0),
    ("lock_timeout", 0),
    ("idle_in_transaction_session_timeout", 0),
    ("idle_session_timeout", 14),
    ("transaction_timeout", 17),
]


def identifier(name: str) -> str:
    """Quote the name of a database, a role or the like."""
    return '"{}"'.format(name.replace('"', '""'))


def literal(text: str) -> str:
    """Quote a text; commands such as COMMENT take no parameters."""
    quoted = "'{}'".format(text.replace("'", "''"))
    return "E" + quoted.replace("\\", "\\\\") if "\\" in quoted else quoted


def lock_key(name: str) -> int:
    """Return the advisory lock that guards the database *name* of a server.

    It is a 64-bit number, so a lock of ``pg_advisory_xact_lock(bigint)``, made of the first 8
    bytes of the SHA-256 of ``dbtestcase`` and the name. A database that is being built under the
    name ``..._new`` is guarded by the lock of the name that it will have.
    """
    total = hashlib.sha256(b"dbtestcase " + name.removesuffix("_new").encode()).digest()
    return int.from_bytes(total[:8], "big", signed=True)


def place(url: URL) -> str:
    """Name a server as a reader knows it."""
    host = url.host or url.query.get("host") or "the local socket"
    return f"{host}:{url.port}" if url.port else str(host)


def check_version(version: tuple[int, ...], where: str) -> None:
    """Refuse a server that is too old.

    :param version: such as ``(12, 4)``.
    :raises ServerError: it is older than PostgreSQL 13.
    """
    if version < (OLDEST,):
        number = ".".join(str(part) for part in version)
        raise ServerError(
            f"the server on {where} is PostgreSQL {number}, which is too old: {OLDEST} or newer "
            "is needed. Name a newer one in DBTESTCASE_DATABASE, or let it be postgresql, which "
            "is the embedded server."
        )


@dataclass(frozen=True)
class Mark:
    """What is kept with a database of ours, in its COMMENT.

    :ivar project: whose it is.
    :ivar state: ``in use``, ``ready`` (given back, and it holds what ``schema`` says), ``dirty``
        (given back, to be built anew) or ``template``. One that is ``in use`` and whose lock
        nobody holds was held by a process that was killed.
    :ivar schema: fingerprint of what it holds.
    :ivar token: of this lease; it differs as soon as anybody else had the database.
    :ivar holder: who uses it or used it last, in words.
    :ivar used: when it was last taken or given back, in milliseconds since 1970.
    :ivar lineage: what schemas have in common that are states of the same files, see
        :func:`.base.lineage_of`.
    """

    project: str
    state: str
    schema: str | None
    token: str
    holder: str
    used: int
    lineage: str = ""

    def __str__(self) -> str:
        return json.dumps({"dbtestcase": 1, **asdict(self)})

    @classmethod
    def read(cls, comment: str | None) -> Mark | None:
        """Return the mark in a comment, or ``None`` if somebody else wrote it."""
        try:
            content = json.loads(comment or "")
            if content.pop("dbtestcase") != 1:
                return None
            return cls(**content)
        except (ValueError, TypeError, KeyError, AttributeError):
            return None

    @staticmethod
    def now() -> int:
        return time.time_ns() // 1_000_000

    @staticmethod
    def me() -> str:
        """Name this process."""
        return f"process {os.getpid()} on {socket.gethostname()}"


class Refused(Exception):
    """The server refused a statement of ours. Callers turn it into an error with a remedy.

    :ivar sqlstate: PostgreSQL's code of the error; empty where the connection is lost.
    """

    def __init__(self, error: BaseException) -> None:
        super().__init__((str(error).strip().splitlines() or [type(error).__name__])[0])
        self.sqlstate = getattr(error, "pgcode", None) or getattr(error, "sqlstate", None) or ""


class Admin:
    """A connection to a server, in autocommit.

    :param url: where to; it names a database.
    :param origin: who chose this server, for messages.
    :raises ServerError: it cannot be reached, or is too old.
    """

    def __init__(self, url: URL, origin: str) -> None:
        self.url = url
        self.origin = origin
        self.place = place(url)
        self.pid = os.getpid()
        defaults = {
            "connect_timeout": "10",
            "fallback_application_name": f"dbtestcase {os.getpid()}",
        }
        target = url.update_query_dict({**defaults, **url.query})
        # SQLAlchemy only reads the URL. Its pool would close the connection in a forked child,
        # which ends our session; and would let the program's listeners at it.
        dialect = private_engine(target, origin).dialect
        arguments, keywords = dialect.create_connect_args(target)
        self._errors: type[Exception] = dialect.loaded_dbapi.Error
        try:
            connection: Any = dialect.connect(*arguments, **keywords)
        except self._errors as error:
            raise self._unreachable(error) from None  # the chain may show the password
        connection.autocommit = True
        if hasattr(connection, "prepare_threshold"):
            connection.prepare_threshold = None  # psycopg 3's statements are lost in pgbouncer
        self._connection = connection
        self.version = divmod(connection.info.server_version, 10_000)
        try:
            check_version(self.version, self.place)
        except ServerError:
            self.close()
            raise

    def _unreachable(self, error: Exception) -> ServerError:
        # What libpq asks at the end of each attempt, we ask once.
        reason = re.sub(r"\s+Is the server running [^?]*\?", "", str(error))
        reason = " ".join(reason.split()).rstrip(".")
        if self.url.password:
            reason = reason.replace(str(self.url.password), "***")
        role = f' as "{self.url.username}"' if self.url.username else ""
        hint = ""
        if not self.url.host and "host" not in self.url.query:
            hint = (
                " The URL names no host; if the embedded server was meant, write "
                f'"{embedded_value(self.url)}", without "://".'
            )
        return ServerError(
            f'cannot connect to database "{self.url.database}" on {self.place}{role} '
            f"({self.origin}): {reason}. Is the server running, and are the role and the password "
            f"right?{hint}"
        )

    @property
    def server_version(self) -> str:
        """Such as ``15.6``."""
        return ".".join(str(part) for part in self.version)

    @property
    def timeouts(self) -> list[str]:
        """The settings of this server that may end a statement, a transaction or a session."""
        return [name for name, since in TIMEOUTS if self.version >= (since,)]

    def run(self, sql: str) -> None:
        """Send SQL.

        :raises Refused: the server did not do it.
        """
        with self._cursor() as cursor:
            cursor.execute(sql)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Send SQL and fetch all."""
        with self._cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    def value(self, sql: str) -> Any:
        """Send SQL that gives exactly one value."""
        return self.rows(sql)[0][0]

    @contextlib.contextmanager
    def _cursor(self) -> Iterator[Any]:
        if os.getpid() != self.pid:
            # Two processes on one connection would read each other's answers.
            raise ServerError(
                f"process {os.getpid()} was forked from process {self.pid} and uses its lease of a "
                "database. Call dbtestcase.databases.lease() in the forked process."
            )
        try:
            with self._connection.cursor() as cursor:
                yield cursor
        except self._errors as error:
            raise Refused(error) from error

    def close(self) -> None:
        """End the session, and with it all its locks."""
        if os.getpid() == self.pid:
            with contextlib.suppress(self._errors):
                self._connection.close()

    # -- locks ---------------------------------------------------------------------------------

    def begin(self) -> None:
        """Begin a transaction that no timeout ends: locks are held by it."""
        sets = "".join(f"; SET LOCAL {name} = 0" for name in self.timeouts)
        self.run(f"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE{sets}")

    def try_lock(self, name: str, *, shared: bool = False) -> bool:
        """Take the lock of the database *name* until the transaction ends, if it is free.

        It is a lock of the transaction, as pgbouncer gives one of the session to several clients.
        """
        function = f"pg_try_advisory_xact_lock{'_shared' if shared else ''}"
        return bool(self.value(f"SELECT {function}({lock_key(name)})"))

    def holds(self, name: str) -> bool:
        """Tell whether this session holds the lock of the database *name*."""
        return bool(
            self.value(
                f"SELECT EXISTS (SELECT FROM pg_locks WHERE {_lock_row(name)} "
                "AND pid = pg_backend_pid() AND granted)"
            )
        )

    def holder(self, name: str) -> str:
        """Tell who holds the lock of the database *name*, as the end of a sentence."""
        found = self.rows(
            "SELECT a.application_name, a.client_addr::text FROM pg_locks l "
            f"JOIN pg_stat_activity a USING (pid) WHERE {_lock_row(name)} AND granted"
        )
        if not found or not found[0][0]:
            return ""
        application, address = found[0]
        process = re.sub(r"^dbtestcase (?=\d+$)", "process ", application)
        return f" ({process}{f' at {address}' if address else ''})"

    @contextlib.contextmanager
    def briefly(self, name: str, *, shared: bool = False, wait: bool = True) -> Iterator[bool]:
        """Hold one more lock inside the transaction, for the block only.

        :returns: whether the lock could be taken; always true where *wait* is.
        """
        # Undoing a savepoint is the only way to let go of a transaction's lock before its end.
        self.run("SAVEPOINT dbtestcase")
        try:
            if wait:
                wait_for(
                    f'the template "{name}"',
                    lambda: self.try_lock(name, shared=shared),
                    lambda: self.holder(name),
                )
                yield True
            else:
                yield self.try_lock(name, shared=shared)
        finally:
            self.run("ROLLBACK TO dbtestcase; RELEASE dbtestcase")


def _lock_row(name: str) -> str:
    """Find a lock in pg_locks, which keeps its number in two halves."""
    key = lock_key(name) % 2**64
    return (
        "locktype = 'advisory' AND objsubid = 1 "
        f"AND classid = {key >> 32} AND objid = {key & 0xFFFFFFFF} "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )

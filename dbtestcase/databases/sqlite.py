"""SQLite databases: one in memory that the process keeps, and a file that the user names."""

from __future__ import annotations

import contextlib
import itertools
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy.engine import URL

from ..errors import EscapeError, ServerError
from ..schemas import Schema, digest
from .base import Lease, build, is_in_place, lineage_of, private_engine, wait_for

__all__ = ["MemoryDatabase", "SQLiteFile"]

VERSION = f"sqlite {sqlite3.sqlite_version}"


class MemoryDatabase(Lease):
    """A database in memory, which lives until it is released, whoever disposes of an engine.

    It is filled for each class from a snapshot that is built once for each schema.

    :param origin: who chose it, for messages.
    :raises ServerError: this SQLite is too old to share a database in memory.
    """

    ours = True
    embedded = False

    _numbers = itertools.count(1)

    def __init__(self, origin: str) -> None:
        check_version(sqlite3.sqlite_version_info)
        self._origin = origin
        # Always a new name: a connection that somebody left open keeps the old database alive.
        self.url = self._url(f"dbtestcase_{next(self._numbers)}")
        self._keeper = self._connect(self.url)
        self._snapshots: dict[str, sqlite3.Connection] = {}
        self._version: int | None = None

    def __repr__(self) -> str:
        return "the SQLite database in memory"

    @staticmethod
    def _url(name: str) -> URL:
        # With the "/" it is one database for all connections of this process. Flask-SQLAlchemy
        # would move a name without it into the instance folder.
        return URL.create(
            "sqlite+pysqlite", database=f"file:/{name}", query={"vfs": "memdb", "uri": "true"}
        )

    @staticmethod
    def _connect(url: URL) -> sqlite3.Connection:
        # One process, but any of its threads may end the class.
        return sqlite3.connect(
            f"{url.database}?vfs=memdb", uri=True, timeout=0, check_same_thread=False
        )

    def prepare(self, schema: Schema | None) -> bool:
        copied = None if is_in_place(schema) else schema
        wanted = copied.fingerprint(VERSION) if copied is not None else digest("empty")
        snapshot = self._snapshots.get(wanted)
        if snapshot is None:
            snapshot = self._build(wanted, copied)
            self._snapshots[wanted] = snapshot
        self._copy(snapshot)
        if schema is not None and copied is None:
            with private_engine(self.url, self._origin).begin() as connection:
                build(schema, connection, self)
        self._version = self._data_version()
        return True

    def _data_version(self) -> int | None:
        """Ask how often others have committed; None where one of them is about to."""
        with contextlib.suppress(sqlite3.OperationalError):
            return int(self._keeper.execute("PRAGMA data_version").fetchone()[0])
        return None

    def visited(self, since: float, *, connected: bool) -> bool:
        return self._version is not None and self._data_version() not in (self._version, None)

    def find_escape(self, own_pid: int) -> bool:
        raise self._escape_error("in this test")

    def spoil(self) -> None:
        self._version = None  # it is told, and the next prepare() fills the database anew

    def truncate_dead_rows(self, execute: Callable[[str], object] | None = None) -> None:
        escaped = self.visited(0.0, connected=True)
        self._version = None
        if escaped:
            raise self._escape_error("while the class ran, and other tests may have seen it")

    def _escape_error(self, when: str) -> EscapeError:
        return EscapeError(
            f"something was really committed to {self!r} {when}. It came past SQLAlchemy's "
            f"engines, by a connection of its own. Let the program take its connections from the "
            f"engine: engine.raw_connection(). The database is filled anew."
        )

    def _copy(self, snapshot: sqlite3.Connection) -> None:
        tries = 0

        def stop(status: int, remaining: int, total: int) -> None:
            # Without this backup() would wait for a locked database for ever.
            nonlocal tries
            tries += 1
            if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) and tries > 20:
                raise ServerError(
                    f"{self!r} cannot be filled for the next class: it is locked. A connection of "
                    "the last one still reads or writes. Close it in that class's teardown."
                )

        snapshot.backup(self._keeper, progress=stop, sleep=0.05)

    def _build(self, wanted: str, schema: Schema | None) -> sqlite3.Connection:
        url = self._url(f"{str(self.url.database).removeprefix('file:/')}_{wanted}")
        snapshot = self._connect(url)
        if schema is None:
            return snapshot
        lineage = lineage_of(schema)
        if lineage:
            from . import snapshots

            if snapshots.fetch(snapshot, lineage, wanted):
                return snapshot
        try:
            with private_engine(url, self._origin).begin() as connection:
                build(schema, connection, self)
        except BaseException:
            snapshot.close()
            raise
        if lineage:
            snapshots.keep(snapshot, lineage, wanted)
        return snapshot

    def check(self) -> None:
        """Nothing but this process can take it away."""

    def release(self) -> None:
        for snapshot in self._snapshots.values():
            snapshot.close()
        self._snapshots.clear()
        self._keeper.close()


class SQLiteFile(Lease):
    """A file that the user named: taken as it is, and nothing is ever committed to it.

    It is held by a lock on a file beside it, ``<name>.lock``, which the system frees when the
    process ends. Where the system has no such locks (Windows) it is not held.

    :param url: of the file.
    :param origin: who named it, for messages.
    :raises ServerError: there is no such directory, or it may not be written.
    """

    ours = False
    embedded = False

    def __init__(self, url: URL, origin: str) -> None:
        self.url = url
        self._origin = origin
        self.path = Path(str(url.database).removeprefix("file:"))
        self._lock_path = self.path.with_name(f"{self.path.name}.lock")
        self._file: int | None = None
        self._pid = os.getpid()
        self._take()

    def __repr__(self) -> str:
        return f'database file "{self.path}"'

    def _take(self) -> None:
        try:
            import fcntl
        except ImportError:
            return
        wait_for(repr(self), lambda: self._try(fcntl), lambda: "")

    def _try(self, fcntl: Any) -> bool:
        try:
            file = os.open(self._lock_path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise ServerError(
                f"cannot lock {self!r} ({self._origin}): {self._lock_path}: {error.strerror}. "
                "Name a file in a directory that exists and may be written."
            ) from error
        try:
            # Of the process, so that a forked child does not go on holding it.
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            return False
        if not self._is_current(file):
            os.close(file)  # its last holder has removed it meanwhile
            return False
        self._file = file
        return True

    def _is_current(self, file: int) -> bool:
        try:
            return os.path.samestat(os.fstat(file), os.stat(self._lock_path))
        except FileNotFoundError:
            return False

    def check(self) -> None:
        if self._file is not None and not self._is_current(self._file):
            self.release()
            self._take()

    def prepare(self, schema: Schema | None) -> bool:
        return False

    def release(self) -> None:
        if self._file is not None and os.getpid() == self._pid:
            if self._is_current(self._file):
                with contextlib.suppress(OSError):
                    self._lock_path.unlink()
            os.close(self._file)
            self._file = None


def check_version(version: tuple[int, ...]) -> None:
    """Refuse an SQLite that is too old.

    :raises ServerError: it is older than 3.36.
    """
    if version < (3, 36):
        number = ".".join(str(part) for part in version)
        raise ServerError(
            f"this Python has SQLite {number}, which cannot share a database in memory: 3.36 or "
            "newer is needed. Use a newer Python, or run the tests on PostgreSQL."
        )

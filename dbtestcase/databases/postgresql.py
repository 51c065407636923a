"""Databases on a PostgreSQL server: those that we make, and one that the user names.

The lock of a lease is held by a transaction on the server's maintenance database ``postgres``,
since advisory locks belong to a database, and all must ask in the same one. The server frees it
when the process ends, however it ends.
"""

from __future__ import annotations

import contextlib
import itertools
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from sqlalchemy.engine import URL

from ..errors import EscapeError, SchemaError, ServerError
from ..schemas import Schema, digest
from . import templates
from .admin import Admin, Mark, Refused, identifier, literal, place
from .base import Lease, build, is_in_place, lineage_of, private_engine, wait_for
from .endings import at_rest, at_work, to_its_end
from .leftovers import ESCAPE, LOOK, TIDY
from .rights import missing_right

__all__ = ["MAINTENANCE", "NamedDatabase", "OwnDatabase", "prefix_of"]

#: The database in which the locks are.
MAINTENANCE = "postgres"

#: A test that took less than so many seconds has not connected past the engines.
PATIENCE = 0.001

#: So many databases are kept free with other schemas before the oldest is used for a new one.
KEPT = 5


def prefix_of(project: str, bind_slug: str | None) -> str:
    """Return how the names of a project's databases begin; a number follows."""
    return f"dbtestcase_{project}_" + (f"{bind_slug}_" if bind_slug else "")


class OwnDatabase(Lease):
    """A database ``dbtestcase_<project>_<n>`` that is made by us, and kept for the next run.

    :param server: URL of the server; what it says of a database does not matter.
    :param prefix: how its name begins, see :func:`prefix_of`.
    :param project: whose it is.
    :param origin: who chose the server, for messages.
    :param schema: what will be asked for, if it is known: a free database that holds it is
        preferred.
    :raises ServerError: the server cannot be reached or used.
    """

    ours = True

    def __init__(
        self,
        server: URL,
        *,
        prefix: str,
        project: str,
        origin: str,
        embedded: bool,
        schema: Schema | None = None,
    ) -> None:
        self.embedded = embedded
        self._prefix = prefix
        self._project = project
        self._origin = origin
        self._server = server.set(database=MAINTENANCE)
        self._in_class = False
        self._since = 0
        self._sessions: int | None = None
        self._visitors_came = self._tidied = False
        self._content: str | None = None
        self._lock: Admin | None = None
        self._take(schema)

    def __repr__(self) -> str:
        return f'database "{self.url.database}" on {place(self.url)}'

    # -- the lease -----------------------------------------------------------------------------

    def aim(self, schema: Schema) -> None:
        """Change to a database that holds *schema* already, or to one that may be filled with it.

        Classes with different schemas then do not take turns in rebuilding one database.
        """
        if self._content not in (None, self._fingerprint(schema)):
            self._give_back()
            self._take(schema)

    def check(self) -> None:
        at_work(self)
        held = False
        if self._lock is not None:
            with contextlib.suppress(Refused):
                held = self._lock.holds(self._name)
                if held and self._content and not templates.exists(self._lock, self._name):
                    self._content = None  # somebody dropped it
                self._begin_class(self._lock)
        if not held:
            # The server was restarted, or something between us and it ended the session. What
            # the database holds now is not known, so it is not asked for by name.
            self._drop_connection()
            self._take(None)

    def _take(self, schema: Schema | None) -> None:
        """Hold one of the databases, preferably one that holds *schema*."""
        if self._lock is None:
            self._lock = Admin(self._server, self._origin)
        lock = self._lock
        try:
            self._role = str(lock.value("SELECT current_user"))
            wanted = self._fingerprint(schema) if schema is not None else None
            lineage = lineage_of(schema)
            for name, known in self._candidates(lock, wanted, lineage):
                if self._try(lock, name, known):
                    return
        except Refused as error:
            self._drop_connection()
            raise ServerError(
                f"the server on {lock.place} ({self._origin}) refused to lease a test database: "
                f"{error}. Look into the server's log."
            ) from error

    def _candidates(
        self, lock: Admin, wanted: str | None, lineage: str
    ) -> Iterator[tuple[str, bool]]:
        """Name databases in the order of preference, each with whether it exists."""
        rows = templates.databases(lock, self._prefix)
        marks = {
            name: mark
            for name, mark in rows
            if mark is not None
            and mark.project == self._project
            and name.removeprefix(self._prefix).isdigit()
        }
        by_age = sorted(marks, key=lambda name: marks[name].used)
        ready = [name for name in by_age if marks[name].state == "ready"]
        fitting = [name for name in ready if wanted is None or marks[name].schema == wanted]
        others = [name for name in ready if name not in fitting]
        unknown = [name for name in by_age if name not in ready]
        # nobody will ask for what they hold any more
        outdated = [name for name in others if lineage and marks[name].lineage == lineage]
        for name in [*reversed(fitting), *unknown, *outdated]:
            yield name, True
        if len(others) >= KEPT:
            for name in others:
                yield name, True
        for number in itertools.count(1):
            name = f"{self._prefix}{number}"
            # One that another role owns, or that somebody made without us, is passed over.
            if name not in marks and not templates.exists(lock, name):
                yield name, False

    def _try(self, lock: Admin, name: str, known: bool) -> bool:
        """Hold the database *name*, if it is free."""
        lock.begin()
        if not lock.try_lock(name):
            lock.run("ROLLBACK")
            return False
        # What was read before the lock may be out of date.
        mark = dict(templates.databases(lock, name)).get(name)
        if (mark is None) if known else templates.exists(lock, name):
            lock.run("ROLLBACK")
            return False
        mine = Mark(self._project, "in use", None, secrets.token_hex(8), Mark.me(), Mark.now())
        if mark is not None:
            # It must outlive a kill, so it is committed. That frees the lock: it is taken again,
            # and the token tells whether somebody was quicker.
            mine = replace(mine, schema=mark.schema, lineage=mark.lineage)
            self._comment(lock, name, mine)
            lock.run("COMMIT")
            lock.begin()
            if not lock.try_lock(name) or dict(templates.databases(lock, name)).get(name) != mine:
                lock.run("ROLLBACK")
                return False
        self._mark, self._name = mine, name
        self._content = mark.schema if mark is not None and mark.state == "ready" else None
        self.url = self._server.set(database=name)
        self._begin_class(lock)
        return True

    def _comment(self, lock: Admin, name: str, mark: Mark) -> None:
        lock.run(f"COMMENT ON DATABASE {identifier(name)} IS {literal(str(mark))}")

    def _give_back(self) -> None:
        """End the transaction that holds the lock, and say what the database holds."""
        if self._lock is None:
            return
        try:
            if self._lock.holds(self._name) and templates.exists(self._lock, self._name):
                ready = self._content is not None and not self._in_class
                state = "ready" if ready else "dirty"
                # In the same transaction: killed before its end, the database stays "in use".
                self._comment(
                    self._lock,
                    self._name,
                    replace(self._mark, state=state, schema=self._content, used=Mark.now()),
                )
            self._lock.run("COMMIT")
        except Refused:
            # The lock is lost already, and the mark says "in use".
            self._drop_connection()

    def _drop_connection(self) -> None:
        if self._lock is not None:
            self._lock.close()
        self._lock = None
        self._content = None

    def release(self) -> None:
        with to_its_end(self):
            self._give_back()
            self._drop_connection()

    # -- what it holds -------------------------------------------------------------------------

    def _fingerprint(self, schema: Schema | None) -> str:
        assert self._lock is not None
        version = f"postgresql {self._lock.server_version}"
        of_schema = schema.fingerprint(version) if schema is not None else version
        # What one role built is not another's; and each project keeps templates of its own.
        return digest("database", self._project, self._role, of_schema)

    def prepare(self, schema: Schema | None) -> bool:
        if self._lock is None:
            self.check()
        wanted = self._fingerprint(schema)
        self._in_class = True
        if self._content != wanted:
            assert self._lock is not None
            self._content = None
            self._mark = replace(self._mark, schema=wanted, lineage=lineage_of(schema))
            in_place = schema if is_in_place(schema) else None
            copied = None if in_place else schema
            templates.clone(self._lock, self._name, self._mark, copied, wanted, self)
            if in_place is not None:
                with private_engine(self.url, self._origin).begin() as connection:
                    build(in_place, connection, self)
            self._content = wanted
            self._begin_class(self._lock)
        return True

    def _begin_class(self, lock: Admin) -> None:
        """Remember the first transaction id that nobody had yet: all that is there is older."""
        self._since = lock.value(
            "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint % 4294967296"
        )
        self._sessions = self._count_sessions(lock)
        self._visitors_came = self._tidied = False

    def visited(self, since: float, *, connected: bool) -> bool:
        if connected or self._lock is None or time.monotonic() - since < PATIENCE:
            return False
        with contextlib.suppress(Refused):
            return self._count_sessions(self._lock) != self._sessions
        return False

    def _count_sessions(self, lock: Admin) -> int | None:
        """Ask how many sessions the database has ever had; None where the server is too old."""
        if lock.version < (15,):
            return None
        # within a transaction the server would repeat its first answer
        count: int | None = lock.value(
            "SELECT pg_stat_get_db_sessions((SELECT oid FROM pg_database WHERE "
            f"datname = {literal(self._name)})) FROM pg_stat_clear_snapshot()"
        )
        return count

    def spoil(self) -> None:
        self._content = None  # the mark says "in use" until the release

    def find_escape(self, own_pid: int) -> bool:
        if self._content is None:
            return False
        self._visitors_came = True
        try:
            with contextlib.closing(Admin(self.url, self._origin)) as connection:
                look = LOOK.format(
                    since=self._since,
                    escape=ESCAPE,
                    pid=own_pid,
                    patience="100ms",
                    definitions=not self._tidied,
                )
                connection.run(look)
                return bool(
                    connection.value(
                        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname ="
                        " current_database() AND backend_type = 'client backend'"
                        f" AND pid NOT IN (pg_backend_pid(), {own_pid}))"
                    )
                )
        except Refused as error:
            _, escaped, what = str(error).partition(ESCAPE)
            if not escaped:
                raise
            raise self._escape_error(what.splitlines()[0], "in this test") from None

    def note_visitors(self) -> None:
        self._visitors_came = True

    def look_unused(self) -> None:
        if self._lock is None or self._content is None or self._in_class:
            return
        with contextlib.suppress(Refused):
            if self._count_sessions(self._lock) != self._sessions:
                self.note_visitors()
                self.truncate_dead_rows()

    def truncate_dead_rows(self, execute: Callable[[str], object] | None = None) -> None:
        if self._content is not None:
            tidy = TIDY.format(
                since=self._since, escape=ESCAPE, pid=0, patience="2s", definitions=not self._tidied
            )
            try:
                if execute is not None:
                    execute(tidy)
                else:
                    with contextlib.closing(Admin(self.url, self._origin)) as connection:
                        connection.run(tidy)
            except Exception as error:
                self._content = None
                _, escaped, what = str(error).partition(ESCAPE)
                if escaped:
                    raise self._escape_error(
                        what.splitlines()[0],
                        "while the class ran, and other tests may have seen it",
                    ) from None
                # At the end of a class an error would hide the one that made it so.
                if not isinstance(error, (ServerError, Refused)):
                    raise
        self._tidied = True
        if self._visitors_came:
            self._content = None  # of rows that they deleted nothing tells
        self._in_class = False
        at_rest(self)

    def _escape_error(self, what: str, when: str) -> EscapeError:
        return EscapeError(
            f"something was really committed to {self!r} {when}: {what}. It came past "
            f"SQLAlchemy's engines, by a connection of its own or another process. Let the program "
            f"take its connections from the engine: engine.raw_connection(). The database is built "
            f"anew."
        )


class NamedDatabase(Lease):
    """A database that the user named: taken as it is, and nothing is ever committed to it.

    :param url: of the database.
    :param origin: who named it, for messages.
    :raises ServerError: it cannot be reached.
    """

    ours = False
    embedded = False

    def __init__(self, url: URL, origin: str) -> None:
        self.url = url
        self._origin = origin
        self._take()

    def __repr__(self) -> str:
        return f'database "{self.url.database}" on {place(self.url)}'

    def _take(self) -> None:
        name = str(self.url.database)
        self._lock = lock = self._connect()
        if not templates.exists(lock, name):
            lock.close()
            raise ServerError(
                f'there is no database "{name}" on {lock.place} ({self._origin}). Create it, or '
                "leave the name out of the URL, so that test databases are made there."
            )
        lock.begin()
        try:
            wait_for(repr(self), lambda: lock.try_lock(name), lambda: lock.holder(name))
        except BaseException:
            lock.close()
            raise

    def _connect(self) -> Admin:
        try:
            return Admin(self.url.set(database=MAINTENANCE), self._origin)
        except ServerError:
            # A role may be shut out of it. All runs with this role then ask in the database
            # itself; if that cannot be reached either, its error is the one to show.
            return Admin(self.url, self._origin)

    def missing_right(self, error: BaseException) -> SchemaError | None:
        return missing_right(error, self, self._lock)

    def check(self) -> None:
        held = False
        with contextlib.suppress(Refused):
            held = self._lock.holds(str(self.url.database))
        if not held:
            self.release()
            self._take()

    def prepare(self, schema: Schema | None) -> bool:
        return False

    def release(self) -> None:
        self._lock.close()

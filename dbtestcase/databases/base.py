"""What a lease is, whatever the kind of database."""

from __future__ import annotations

import abc
import re
import sys
import time
from collections.abc import Callable, Iterator

import sqlalchemy as sa
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, NoSuchModuleError
from sqlalchemy.pool import NullPool, Pool

from ..errors import DatabaseTestError, MissingExtraError, SchemaError
from ..schemas import Schema

__all__ = [
    "Lease",
    "build",
    "causes",
    "explain",
    "is_in_place",
    "lineage_of",
    "private_engine",
    "wait_for",
]


class Lease(abc.ABC):
    """A database that is this process's until it is released.

    :ivar url: where the database is; it names its driver. It may be another one after
        :meth:`check`, and after a new call of :func:`lease`.
    :ivar ours: it was made by us, so that it may be replaced, and its sequences set.
    :ivar embedded: it is on the private embedded server.
    """

    url: URL
    ours: bool
    embedded: bool

    @abc.abstractmethod
    def prepare(self, schema: Schema | None) -> bool:
        """Make the database hold exactly what *schema* builds, or nothing where it is ``None``.

        To be called at the first contact of a test class, while nothing is connected to the
        database. It sends nothing where the database is ready.

        :returns: true; or false where the database is taken as it is, and the schema is to be
            built in a transaction that is never committed.
        :raises SchemaError: the schema cannot be built. Nothing of it is left behind.
        :raises ServerError: the server does not let us.
        """

    @abc.abstractmethod
    def check(self) -> None:
        """Make sure that the database is still held; lease again where it is not.

        :raises ServerError: no database can be had any more.
        """

    def spoil(self) -> None:  # noqa: B027 - nothing to do where the database is not ours
        """Note that something was really committed: the next :meth:`prepare` builds anew."""

    def visited(self, since: float, *, connected: bool) -> bool:
        """Whether somebody else may have written to the database in a test.

        :param since: when the test began, by :func:`time.monotonic`: to connect takes a while.
        :param connected: whether the tests are connected themselves, and ask there.
        """
        return False

    def find_escape(self, own_pid: int) -> bool:
        """Look whether somebody else has committed anything since :meth:`prepare`.

        :param own_pid: the server's process for the connection of the tests.
        :returns: whether somebody else is connected still.
        :raises EscapeError: there are rows that were really committed.
        """
        return False

    def note_visitors(self) -> None:  # noqa: B027 - nothing to do where the database is not ours
        """Note that somebody else was connected: the next class gets a new database."""

    def look_unused(self) -> None:  # noqa: B027 - nothing to do where the database is not ours
        """End the use by a test class that has not connected itself.

        :raises EscapeError: somebody else has, and has written.
        """

    def truncate_dead_rows(  # noqa: B027 - nothing to do but on PostgreSQL
        self, execute: Callable[[str], object] | None = None
    ) -> None:
        """End the use by a test class, and take away what its rollback left on disk.

        Dead rows change the order that a SELECT without ORDER BY gives. A database of ours that
        is released between :meth:`prepare` and this call is built anew at its next lease.

        :param execute: sends SQL on a connection to the database that is in no transaction, and
            commits; by default a connection is made for it.
        :raises EscapeError: there are rows that somebody really committed since :meth:`prepare`.
            The next one builds the database anew.
        """

    def missing_right(self, error: BaseException) -> DatabaseTestError | None:
        """Say what to grant, where a role may not create what a schema needs."""
        return None

    @abc.abstractmethod
    def release(self) -> None:
        """Give the database back. It may be called twice."""


def private_engine(url: URL, origin: str, pool: type[Pool] = NullPool) -> sa.Engine:
    """Make an engine of the library's own; the option says so to all who watch engines."""
    try:
        return sa.create_engine(
            url, poolclass=pool, execution_options={"dbtestcase_private": True}
        )
    except (ImportError, NoSuchModuleError) as error:
        third = url.drivername.endswith("+psycopg")
        package = "dbtestcase[psycopg3]" if third else "psycopg2-binary"
        raise MissingExtraError(
            f'"{url.drivername}" ({origin}) needs a driver that is not installed: {error}. '
            f'Install it with: pip install "{package}"'
        ) from error


def lineage_of(schema: Schema | None) -> str:
    """Tell which schemas are states of the same files, of which only the latest is of use.

    :returns: the schema's ``lineage``, which may be left out; then it is empty, and every template
        is kept until there are too many.
    """
    return str(getattr(schema, "lineage", ""))


def is_in_place(schema: Schema | None) -> bool:
    """Whether a schema is to be built in the database itself, and not copied from a template."""
    return bool(getattr(schema, "in_place", False))


def build(schema: Schema, connection: sa.Connection, lease: Lease) -> None:
    """Build a schema, and name it where that fails.

    :raises SchemaError: with the statement that failed, where it is known.
    """
    try:
        schema.build(connection)
    except SchemaError as error:
        told = explain(error, lease) or lease.missing_right(error)
        raise told or error from error.__cause__
    except DBAPIError as error:
        reason = str(error.orig).strip().splitlines()[0]
        statement = " ".join((error.statement or "").split())
        if len(statement) > 200:
            statement = f"{statement[:200]} ..."
        raise (
            explain(error, lease)
            or lease.missing_right(error)
            or SchemaError(
                f"{schema!r} cannot be built: {reason}. "
                + (f"The statement was: {statement} -- " if statement else "")
                + "nothing of it is left behind. Correct the schema and run the tests again."
            )
        ) from error


def explain(error: BaseException, lease: Lease) -> DatabaseTestError | None:
    """Turn an error of the database into one of ours, where its cause can be told.

    Where the embedded server is asked for an extension that it does not have, that is
    ``SchemaError: the embedded PostgreSQL does not have the extension "citext": ...``

    :param error: as the driver, SQLAlchemy or :mod:`dbtestcase.schemas` raised it.
    :param lease: the database that it happened in.
    """
    if not lease.embedded:
        return None
    for each in causes(error):
        missing = re.search(
            # PostgreSQL 15 and newer; older ones.
            r'extension "([^"]+)" is not available|extension/([\w-]+)\.control": No such file',
            str(each),
        )
        if missing:
            name = missing[1] or missing[2]
            return SchemaError(
                f'the embedded PostgreSQL does not have the extension "{name}": it'
                " brings plpgsql and vector only. Run the tests on a full server, by its URL: "
                "DBTESTCASE_DATABASE=postgresql://USER@HOST"
            )
    return None


def causes(error: BaseException) -> Iterator[BaseException]:
    """Give an error and all that it came of, those of the driver among them."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        if isinstance(seen, DBAPIError) and seen.orig is not None:
            yield seen.orig
        seen = seen.__cause__


def wait_for(what: str, attempt: Callable[[], bool], holder: Callable[[], str]) -> None:
    """Try until it succeeds. After a second, tell the user what is being waited for.

    :param what: the database, in words.
    :param attempt: returns whether it succeeded.
    :param holder: tells who holds it, or nothing.
    """
    started, told = time.monotonic(), False
    # Asking again and again, where the database could wait by itself, lets Ctrl-C through.
    while not attempt():
        if not told and time.monotonic() - started > 1:
            told = True
            print(
                f"dbtestcase: waiting for {what}, which another run of tests holds{holder()}",
                file=sys.stderr,
                flush=True,
            )
        time.sleep(0.05)

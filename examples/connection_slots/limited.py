"""A database with few connection slots, and who counts those that are taken."""

import contextlib
import secrets
import threading
import unittest

import psycopg2
import sqlalchemy
from psycopg2 import errors

from dbtestcase import embedded, settings

SLOTS = 15


def server_url() -> sqlalchemy.URL:
    """Give the URL of the server's maintenance database, for a role that may make others."""
    setting = settings.choose()
    if setting.kind is settings.Kind.EMBEDDED:
        return embedded.server().url().set(database="postgres")
    if setting.kind is settings.Kind.SERVER:
        return setting.url.set(database="postgres")
    raise unittest.SkipTest(
        f"needs a PostgreSQL server on which it may make a role and a database, "
        f"but the {setting.origin} means {setting.kind.name}"
    )


def connect(url: sqlalchemy.URL) -> psycopg2.extensions.connection:
    """Connect to ``url`` without SQLAlchemy, each statement in a transaction of its own."""
    dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)
    connection = psycopg2.connect(dsn)
    connection.autocommit = True
    return connection


@contextlib.contextmanager
def limited_database(server: sqlalchemy.URL):
    """Give the URL of a new database that takes ``SLOTS`` connections of a role of its own.

    The role is no superuser, as superusers pass by the limit.
    """
    name = f"slots_test_{secrets.token_hex(4)}"
    password = secrets.token_hex(8)
    with contextlib.ExitStack() as undo:
        admin = connect(server)
        undo.callback(admin.close)
        cursor = admin.cursor()
        try:
            cursor.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
            undo.callback(cursor.execute, f"DROP ROLE {name}")
            cursor.execute(f"CREATE DATABASE {name} OWNER {name} CONNECTION LIMIT {SLOTS}")
        except errors.InsufficientPrivilege as exc:
            raise unittest.SkipTest(f"may not make a role and a database: {exc}") from exc
        undo.callback(cursor.execute, f"DROP DATABASE {name} WITH (FORCE)")
        yield server.set(username=name, password=password, database=name)


class Peak:
    """The most connections to a database, looked up every 5 ms by a connection elsewhere."""

    def __init__(self, server: sqlalchemy.URL, database: str):
        self.server = server
        self.database = database
        self.peak = 0
        self.samples = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample)

    def __enter__(self):
        self._admin = connect(self.server)
        self._thread.start()
        return self

    def __exit__(self, *exc_info):
        self._stop.set()
        self._thread.join()
        self._admin.close()

    def _sample(self):
        cursor = self._admin.cursor()
        while not self._stop.wait(0.005):
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = %s AND backend_type = 'client backend'",
                (self.database,),
            )
            self.peak = max(self.peak, cursor.fetchone()[0])
            self.samples += 1

"""Where histories are played: on real connections to one database, and in sandboxes of others."""

from __future__ import annotations

import contextlib
import os
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy import URL

from dbtestcase import embedded
from dbtestcase.engines import redirect
from dbtestcase.errors import UncommittedDataWarning
from dbtestcase.sandbox import Sandbox, open_sandbox
from dbtestcase.sandbox.texts import split

from . import postgresql
from .actors import KINDS, Actor
from .drawing import Vocabulary
from .drivers import Driver
from .steps import History

__all__ = ["ACTORS", "PostgreSQLDatabases", "RealStage", "SandboxStage", "Stage"]

WORDS = Vocabulary(postgresql.FAMILIES, postgresql.ENDINGS)

#: How many actors a history has at most.
ACTORS = 4


class Stage:
    """Has an engine for each actor, so that the n-th actor always gets the same connection."""

    #: whether something lingers in every session: SQLite keeps a transaction whose commit failed,
    #: and SQLAlchemy gives it back to the pool as it is
    lingers = False

    def __init__(self, url: URL, driver: Driver) -> None:
        self.driver = driver
        self.engines = [
            sa.create_engine(url, pool_size=1, max_overflow=2, **self.options(number))
            for number in range(ACTORS)
        ]

    def options(self, actor: int) -> dict[str, Any]:
        """Give how the engine of an actor is made."""
        return {}

    def actors(self, history: History) -> list[Actor]:
        """Give those who take part in *history*."""
        return [
            KINDS[kind](engine, self.driver, self.ending)
            for kind, engine in zip(history.kinds, self.engines, strict=False)
        ]

    @contextlib.contextmanager
    def ending(self, connection: Any) -> Iterator[None]:
        """A connection is really closed in the block."""
        yield

    def leave(self, history: History) -> None:
        """End sessions that may be left in a state that the next history must not find."""
        if history.lingers or self.lingers or self.is_stuck:
            for engine in self.engines:
                engine.dispose()

    @property
    def is_stuck(self) -> bool:
        """Whether SQLAlchemy could not close a connection, and so has not got it back."""
        pools = (engine.pool for engine in self.engines)
        return any(isinstance(p, sa.QueuePool) and p.checkedout() > 0 for p in pools)

    def close(self) -> None:
        """Disconnect."""
        for engine in self.engines:
            engine.dispose()


class RealStage(Stage):
    """Real connections to a database of their own, and one that judges."""

    def __init__(self, url: URL, driver: Driver) -> None:
        super().__init__(url, driver)
        self._judging = sa.create_engine(url, poolclass=sa.NullPool)
        self._fairy = self._judging.raw_connection()
        self._judge: Any = self._fairy.driver_connection
        self._judge.autocommit = True
        self._left_open = False
        for engine in self.engines:
            sa.event.listen(engine, "checkin", self._given_back)

    def _given_back(self, connection: Any, record: object) -> None:
        """Look whether SQLAlchemy takes a transaction for ended that is not: its commit failed."""
        if connection is not None:
            self._left_open |= connection.info.transaction_status != 0

    @property
    def is_stuck(self) -> bool:
        return self._left_open or super().is_stuck

    def options(self, actor: int) -> dict[str, Any]:
        return {
            "connect_args": {**self.driver.connect_args, "application_name": f"actor {actor}"}
        }

    def transactions(self) -> dict[int, int]:
        """Give the transaction id of each actor that has one."""
        rows = self._ask(
            "SELECT substr(application_name, 7)::int, backend_xid::text::int FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name LIKE 'actor %' "
            "AND backend_xid IS NOT NULL"
        )
        return dict(rows)

    def status_of(self, xid: int) -> str:
        """Say whether a transaction was committed or aborted, or goes on."""
        return str(self._ask(f"SELECT pg_xact_status('{xid}'::xid8)")[0][0])

    def _ask(self, text: str) -> Any:
        with self._judge.cursor() as cursor:
            cursor.execute(text)
            return cursor.fetchall() if cursor.description is not None else None

    def reset(self) -> None:
        """Put the tables back to what every history finds."""
        self._ask(postgresql.RESET)

    def content(self) -> Any:
        """Give what an independent connection finds."""
        return [tuple(row) for row in self._ask(postgresql.CONTENT)]

    @contextlib.contextmanager
    def ending(self, connection: Any) -> Iterator[None]:
        pid = None if connection is None else connection.info.backend_pid
        yield
        # what it held is free when the server has noticed
        while pid is not None and self._ask(f"SELECT 1 FROM pg_stat_get_activity({pid})"):
            time.sleep(0.0005)

    def leave(self, history: History) -> None:
        is_stuck = self.is_stuck
        super().leave(history)
        self._left_open = False
        # where SQLAlchemy could not even close it, nobody knows of it any more
        ends = "pg_terminate_backend(pid)" if is_stuck else "pid"
        patience = time.monotonic() + 1
        while (history.lingers or is_stuck) and self._ask(
            f"SELECT {ends} FROM pg_stat_activity WHERE datname = current_database() "
            "AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        ):
            time.sleep(0.0005)
            if time.monotonic() > patience:
                ends = "pg_terminate_backend(pid)"

    def close(self) -> None:
        self._judge.autocommit = False
        self._fairy.close()
        self._judging.dispose()
        super().close()


class SandboxStage(Stage):
    """A sandbox on a database of its own.

    :param class_data: whether the rows that every history finds are the set-up's, so that the
        outer transaction spans all histories; else they are committed, and each history has one
        of its own.
    """

    reset_sql = postgresql.RESET
    content_sql = postgresql.CONTENT
    #: whether a step that found a lock in its way on real connections must warn here
    blocked_warns = False
    #: whether a difference, or a conflict that no rule explains, is an error
    strict = True
    #: whether real connections compile statements by the schema that they have read last
    forgets_schemas = False

    def __init__(self, url: URL, driver: Driver, *, class_data: bool) -> None:
        super().__init__(url, driver)
        self.sandbox: Sandbox = open_sandbox(url, owner="Histories", reset_sequences=True)
        visitors = getattr(self.sandbox, "_visitors", None)
        if visitors is not None:
            # however slow the machine is, nobody else connects
            visitors.can_have_come = visitors.due = lambda since: False
        self._undo = [redirect(engine, self.sandbox) for engine in self.engines]
        self._looking = sa.create_engine(url, poolclass=sa.NullPool)
        self._undo.append(redirect(self._looking, self.sandbox))
        for engine in (*self.engines, self._looking):
            self.prepare(engine)
        if class_data:
            with self._looking.begin() as connection:
                for text in split(self.reset_sql):
                    connection.exec_driver_sql(text)
        self.sandbox.freeze()

    def prepare(self, engine: sa.Engine) -> None:
        """Do what a program does with its engine."""

    def quick_test(self) -> None:
        """Play a test whose end may wait for the first statement of the history."""
        self.sandbox.begin_test()
        with self._looking.connect() as connection:
            connection.execute(sa.text("INSERT INTO item (name) VALUES ('of a quick test')"))
            self.sandbox.closing()
        self.sandbox.end_test()

    def content(self) -> Any:
        """Give what a new connection of the sandbox finds."""
        with self._looking.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(self.content_sql)]

    @contextlib.contextmanager
    def test(self) -> Iterator[None]:
        """A test of the sandbox, which a history is played in."""
        self.quick_test()
        self.sandbox.begin_test()
        try:
            yield
        finally:
            self.sandbox.closing()
            self.sandbox.end_test()

    @property
    def savepoints(self) -> int:
        """How many segments were made since the sandbox is there."""
        return self.sandbox.stack.savepoints_set

    def owners(self) -> list[object]:
        """Give whose the segments are, from the bottom."""
        return [s.owner for s in self.sandbox.stack if s.owner is not None and not s.dead]

    @property
    def conflicts(self) -> list[Any]:
        """The conflicts since the history began, swallowed ones too."""
        return list(self.sandbox.conflicts)

    def warn_again(self) -> None:
        """Let the next statement warn, even if its pair of connections has been warned of."""
        self.sandbox.warned.clear()

    def close(self) -> None:
        for undo in self._undo:
            undo()
        self.sandbox.close()
        self._looking.dispose()
        super().close()


class PostgreSQLDatabases:
    """The databases that the histories of a run are played in, on the embedded server."""

    #: what histories are drawn from
    words = WORDS

    def __init__(self, driver: Driver, variants: tuple[str, ...] = ("bare", "class data")) -> None:
        self.driver = driver
        self.variants = variants
        server = embedded.server().url(driver.scheme)
        self._server = sa.create_engine(
            embedded.server().url().set(database="postgres"),
            isolation_level="AUTOCOMMIT",
            poolclass=sa.NullPool,
        )
        self._urls: dict[str, URL] = {}
        for number, name in enumerate(("real", "other", *variants)):
            database = f"dbtestcase_histories_{os.getpid()}_{number}"
            self._urls[name] = server.set(database=database)
        #: another sandbox to compare with, and what is counted in it
        self.other: Any = None
        self.make_other: Callable[[URL], tuple[Any, Any]] | None = None
        self.real: RealStage
        self.sandboxes: dict[str, SandboxStage] = {}

    def begin(self) -> None:
        """Make the databases anew: thousands of rolled back histories would slow them down."""
        self.end()
        with self._server.connect() as connection:
            for url in self._urls.values():
                connection.exec_driver_sql(f"CREATE DATABASE {url.database}")
        for url in self._urls.values():
            engine = sa.create_engine(url, poolclass=sa.NullPool)
            with engine.begin() as connection:
                connection.exec_driver_sql(postgresql.SCHEMA)
                connection.exec_driver_sql(postgresql.RESET)
        self.real = RealStage(self._urls["real"], self.driver)
        for variant in self.variants:
            self.sandboxes[variant] = self._sandbox(variant)
        if self.make_other is not None:
            self.other = self.make_other(self._urls["other"])

    def _sandbox(self, variant: str) -> SandboxStage:
        return SandboxStage(
            self._urls[variant], self.driver, class_data=variant == "class data"
        )

    def end(self) -> None:
        """Close everything and drop the databases."""
        for sandbox in self.sandboxes.values():
            sandbox.close()
        self.sandboxes.clear()
        if self.other is not None:
            self.other[0].close()
            self.other = None
        if hasattr(self, "real"):
            self.real.close()
            del self.real
        with self._server.connect() as connection:
            for url in self._urls.values():
                connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {url.database} WITH (FORCE)")

    def __enter__(self) -> PostgreSQLDatabases:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        self._server.dispose()


@contextlib.contextmanager
def warnings_heard() -> Iterator[list[str]]:
    """Collect the texts of what the sandbox warns of."""
    heard: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", UncommittedDataWarning)

        def hear(message: Any, category: Any, *_: Any, **__: Any) -> None:
            heard.append(str(message))

        warnings.showwarning = hear
        yield heard

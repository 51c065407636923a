"""Many connections played on one: whatever the tested code does stays inside the test.

``segments`` explains how the work of several connections is kept apart, and knows no driver;
``statements`` says what a text is; ``backends`` what the server would know of each connection;
``base`` the life of a sandbox, and ``threads`` who waits for whom in it; ``kinds`` what a kind of
database decides, ``postgresql`` and ``sqlite`` how it does; and the drivers' modules what a
connection and a cursor look like to the program. What is said to the user of all that is in
``messages`` and ``uncommitted``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from sqlalchemy.engine import URL, Engine

from ..engines import redirect
from ..engines.redirecting import place_of_engine
from ..errors import MissingExtraError, SettingsError
from .base import Phase, Sandbox

__all__ = ["Phase", "Sandbox", "open_sandbox", "sandboxed"]


def open_sandbox(
    url: URL, *, owner: str = "sandboxed()", reset_sequences: bool = False
) -> Sandbox:
    """Make the sandbox for a database. It connects when an engine first asks it to.

    :param url: names the database and the driver.
    :param owner: what messages say the sandbox belongs to.
    :param reset_sequences: whether to put sequences back after each test; only for a database
        that nobody else uses.
    :raises SettingsError: for a driver that there is no sandbox for.
    :raises MissingExtraError: for a driver that is not installed.
    """
    match url.get_dialect().name, url.get_driver_name():
        case "postgresql", "psycopg2":
            from .psycopg2_driver import Psycopg2Sandbox

            return Psycopg2Sandbox(url, owner=owner, reset_sequences=reset_sequences)
        case "postgresql", "psycopg":
            try:
                from .psycopg_driver import PsycopgSandbox
            except ImportError as error:
                raise MissingExtraError(
                    f'the driver of "{url.drivername}" cannot be imported: {error}. Install it, or '
                    f'a newer one, with: pip install -U "dbtestcase[psycopg3]". Or write '
                    f"postgresql+psycopg2."
                ) from error
            return PsycopgSandbox(url, owner=owner, reset_sequences=reset_sequences)
        case "sqlite", "pysqlite":
            from .sqlite import SQLiteSandbox

            return SQLiteSandbox(url, owner=owner)
        case dialect, driver:
            raise SettingsError(
                f"there is no sandbox for {dialect}+{driver} in this version. Write "
                f"postgresql+psycopg2, postgresql+psycopg or sqlite+pysqlite, in the URLs of the "
                f"program's engines as well: a bare postgresql:// is psycopg2 to SQLAlchemy 2.0, "
                f"and psycopg 3 to 2.1."
            )


@contextlib.contextmanager
def sandboxed(*engines: Engine) -> Iterator[None]:
    """Undo at the end whatever is done through *engines*, commits included.

    Every connection that the engines give is played on one real connection to each database,
    in a transaction that is never committed. For pytest fixtures, scripts and notebooks;
    :class:`~dbtestcase.DatabaseTestCase` does the same for each of its tests.

    >>> from sqlalchemy import StaticPool, create_engine, text
    >>> from dbtestcase.sandbox import sandboxed
    >>> engine = create_engine("sqlite://", poolclass=StaticPool)
    >>> with engine.begin() as connection:
    ...     _ = connection.execute(text("CREATE TABLE item (name TEXT)"))
    >>> with sandboxed(engine), engine.begin() as connection:
    ...     _ = connection.execute(text("INSERT INTO item VALUES ('gone')"))
    >>> with engine.connect() as connection:
    ...     connection.scalar(text("SELECT count(*) FROM item"))
    0
    >>> engine.dispose()

    The engines' own databases are used, whatever their names: nothing is ever committed to them.
    But they are contacted, what is written is locked until the end, and sequences go on counting,
    as with any transaction that is rolled back. So give it engines of test databases.

    :param engines: the engines whose work is undone. Several of the same URL share a database,
        unless that is private to each, as ``sqlite://`` is: then a copy of it is worked on.
    :raises TypeError: for anything but engines.
    :raises SettingsError: for a driver that there is no sandbox for.
    :raises SandboxConflict: from a statement whose effect one connection cannot show, and at the
        end where the program swallowed such an error.
    """
    strangers = [engine for engine in engines if not isinstance(engine, Engine)]
    if strangers or not engines:
        found = type(strangers[0]).__name__ if strangers else "nothing"
        raise TypeError(
            f"sandboxed() needs the engines whose work is to be undone, and was given {found}. "
            f"Give it what sqlalchemy.create_engine() returned: sandboxed(engine)."
        )
    sandboxes: dict[object, Sandbox] = {}
    with contextlib.ExitStack() as stack:
        for engine in engines:
            # a private database in memory is known by the pool that holds its connection
            key = engine.pool if place_of_engine(engine).key is None else engine.url
            sandbox = sandboxes.get(key)
            if sandbox is None:
                sandbox = sandboxes[key] = open_sandbox(engine.url)
                stack.callback(sandbox.close)
                sandbox.begin_test()
            stack.enter_context(sandbox.taking(engine))
            stack.callback(redirect(engine, sandbox))
        yield
        for sandbox in sandboxes.values():
            sandbox.raise_swallowed()

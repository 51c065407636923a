"""Leading every engine of a thread to one database, for as long as migrations run there.

The ``env.py`` of a program makes its own engine, or takes the app's. Neither knows that the
database is being built under another name. So each engine that connects in this thread, or in one
that is started here, is redirected, by :func:`~.redirecting.redirect`, and gets its own connections
back at the end.

Here, unlike at the door, the connections are real ones, unless the database itself is played in
a sandbox: a migration may commit, and may need autocommit.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Connection, Dialect, Engine
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.orm import Session, SessionTransaction
from sqlalchemy.pool import PoolProxiedConnection

from ..errors import UnsafeDatabaseError
from . import private
from .door import PRIVATE, is_let_through
from .redirecting import (
    ConnectionSource,
    answering,
    arguments_of,
    is_redirected,
    place_of_engine,
    redirect,
    redirection_of,
    refuse_async,
)

__all__ = ["Leading", "NewConnections", "leading_to"]

__unittest = True  # unittest leaves this module's frames out of tracebacks


def _go_on(dialect: Dialect, cargs: list[Any], cparams: dict[str, Any]) -> None:
    """Answer that the engine, which a redirected one takes its connection from, connects."""


#: What tells which database and who, and how to get there: the target's engine says it.
WHERE = frozenset(
    {"host", "hostaddr", "port", "dbname", "database", "user", "password", "passfile", "service"}
    | {"dsn", "sslmode", "sslcert", "sslkey", "sslrootcert", "sslpassword", "channel_binding"}
    | {"gssencmode", "krbsrvname", "target_session_attrs", "uri"}
)


class NewConnections:
    """A source of real connections to the database of an engine, each of them new.

    :param engine: whose database it is.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._creator = private.creator_of(engine.pool)
        self._made: list[Any] = []

    def connect(self, dialect: Dialect, cparams: dict[str, Any] | None) -> DBAPIConnection:
        """See :meth:`.ConnectionSource.connect`."""
        target = self._engine
        if not private.is_standard(self._creator):
            with answering(_go_on):
                real = self._creator()
        else:
            arguments = None
            if dialect.driver == target.dialect.driver:
                arguments = arguments_of(target)
            if arguments is None:
                url = target.url.set(drivername=f"{dialect.name}+{dialect.driver}")
                arguments = dialect.create_connect_args(url)
            positional, named = arguments
            options = {k: v for k, v in (cparams or {}).items() if k not in WHERE}
            real = dialect.connect(*positional, **{**options, **named})
        self._made.append(real)
        return real  # type: ignore[no-any-return]

    def virtual(self, real: DBAPIConnection) -> DBAPIConnection:
        """See :meth:`.ConnectionSource.virtual`."""
        return real

    @property
    def used(self) -> bool:
        """Whether there was a connection since the last :meth:`close`."""
        return bool(self._made)

    def close(self) -> None:
        """Close what is still open: a database in use cannot be renamed, copied or dropped."""
        made, self._made = self._made, []
        for connection in made:
            # one that is closed already, or whose server is gone
            with contextlib.suppress(Exception):
                connection.close()


class LentConnections:
    """A source that lends the connections of an engine whose database lives in them.

    :param engine: of a private SQLite database in memory.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def connect(self, dialect: Dialect, cparams: dict[str, Any] | None) -> DBAPIConnection:
        """See :meth:`.ConnectionSource.connect`."""
        with answering(_go_on):
            self._lent = self._engine.raw_connection()
        real = self._lent.dbapi_connection
        assert real is not None
        return real

    def virtual(self, real: DBAPIConnection) -> DBAPIConnection:
        """See :meth:`.ConnectionSource.virtual`."""
        return Lent(self._lent)

    def close(self) -> None:
        """Nothing: the connections are the engine's."""


class Lent:
    """A connection of another engine's pool, which gets it back when it is closed."""

    def __init__(self, lent: PoolProxiedConnection) -> None:
        vars(self).update(lent=lent, real=lent.dbapi_connection)

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self)["real"], name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(vars(self)["real"], name, value)

    def close(self) -> None:
        """Give it back."""
        vars(self)["lent"].close()


class Leading:
    """What :func:`leading_to` gives.

    :ivar engines: the engines that were led, the first one first.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.engines: list[Engine] = []

    def reaches(self, connection: Connection) -> bool:
        """Whether a connection leads to a database of the tests, as one from before may not."""
        if is_redirected(connection):
            return True
        own = connection.engine.dialect is self._engine.dialect
        return own and redirection_of(self._engine.pool) is None


class _Threads:
    """The thread that makes it, and those that are started there.

    A program's own threads go on meanwhile, and may start others.
    """

    def __init__(self) -> None:
        self._mine: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
        self._mine.add(threading.current_thread())

    def is_mine(self) -> bool:
        """Whether the current thread is one of them."""
        return threading.current_thread() in self._mine

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Notice which threads are started."""
        original = threading.Thread.start

        @functools.wraps(original)
        def start(thread: threading.Thread) -> None:
            if self.is_mine():
                self._mine.add(thread)
            original(thread)

        threading.Thread.start = start  # type: ignore[method-assign,assignment]
        try:
            yield
        finally:
            if threading.Thread.start is start:
                threading.Thread.start = original  # type: ignore[method-assign]


@contextlib.contextmanager
def leading_to(engine: Engine) -> Iterator[Leading]:
    """Lead every engine that connects in this thread to the database of *engine*.

    ::

        with leading_to(engine):
            create_engine("postgresql+psycopg2://shop@db.example/shop").connect()

    So it is in threads that are started here meanwhile. Engines that are redirected already, the
    library's own, and those to a database that the open test class lets through are left alone. At
    the end the engines are given back, and what they still hold open is closed.

    :param engine: of the database; where it is redirected to a sandbox, so are the others.
    :raises UnsafeDatabaseError: from the ``connect()`` of an engine of another kind.
    """
    redirection = redirection_of(engine.pool)
    own: NewConnections | LentConnections | None = None
    if redirection is None:
        lives_in_pool = place_of_engine(engine).private
        own = LentConnections(engine) if lives_in_pool else NewConnections(engine)
    source: ConnectionSource = redirection.source if redirection is not None else own  # type: ignore[assignment]
    threads, original = _Threads(), Engine.raw_connection
    leading = Leading(engine)
    undos: list[Callable[[], None]] = []
    began: list[weakref.ref[Session]] = []
    active = True

    @functools.wraps(original)
    def raw_connection(stranger: Engine) -> PoolProxiedConnection:
        if active and threads.is_mine() and _is_to_be_led(stranger, engine):
            leading.engines.append(stranger)
            undos.append(redirect(stranger, source))
        return original(stranger)

    def restore() -> None:
        nonlocal active
        active = False  # somebody may have wrapped this wrapper, and keep it for ever
        if Engine.raw_connection is raw_connection:
            Engine.raw_connection = original  # type: ignore[method-assign]

    def note(session: Session, transaction: SessionTransaction, connection: Connection) -> None:
        if threads.is_mine():
            began.append(weakref.ref(session))

    with contextlib.ExitStack() as stack:
        if own is not None:
            stack.callback(own.close)
        stack.callback(lambda: [undo() for undo in reversed(undos)])
        if own is not None:
            # a session that a migration leaves open would go on in a connection that is closed
            stack.callback(_close, began)
            event.listen(Session, "after_begin", note)
            stack.callback(event.remove, Session, "after_begin", note)
        Engine.raw_connection = raw_connection  # type: ignore[method-assign,assignment]
        stack.callback(restore)
        stack.enter_context(threads.watched())
        yield leading


def _close(sessions: list[weakref.ref[Session]]) -> None:
    for known in sessions:
        if (session := known()) is not None:
            session.close()


def _is_to_be_led(stranger: Engine, target: Engine) -> bool:
    if (
        stranger.dialect is target.dialect
        or redirection_of(stranger.pool) is not None
        or stranger.get_execution_options().get(PRIVATE)
        or is_let_through(stranger)
    ):
        return False
    if stranger.dialect.name != target.dialect.name:
        place = place_of_engine(stranger)
        if place.private:
            return False
        raise UnsafeDatabaseError(
            f"refusing to connect {stranger!r} while migrations run: it speaks "
            f"{stranger.dialect.name}, but the database that is migrated is "
            f"{target.dialect.name}, and an engine can only be redirected to a database of its own "
            f'kind. Let env.py take its URL from config.get_main_option("sqlalchemy.url"), which '
            f"is the right one then; a database that is only read goes into let_through."
        )
    refuse_async(stranger)
    return True

"""Giving an engine another place to connect to, and its own back.

:func:`redirect` knows its engine, so it needs no door: it exchanges the engine's pool for a copy
that has the same class, options and listeners, and asks a :class:`ConnectionSource` for each new
connection. The engine's own database is not contacted from then on.
"""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from typing import Any, Protocol

from sqlalchemy import event
from sqlalchemy.engine import Connection, Dialect, Engine
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry, Pool

from ..errors import DatabaseTestWarning, SetUpError, UnsafeDatabaseError
from . import private
from .places import Place, place_of

__all__ = ["ConnectionSource", "redirect"]

__unittest = True  # unittest leaves this module's frames out of tracebacks

Answer = Callable[[Dialect, list[Any], dict[str, Any]], object]

#: What is in ``connection.info`` where a redirected engine has made the connection.
_REDIRECTED = "dbtestcase_redirected"


class ConnectionSource(Protocol):
    """What a redirected engine gets its connections from."""

    def connect(self, dialect: Dialect, cparams: dict[str, Any] | None) -> DBAPIConnection:
        """Return the real connection, ready for one new virtual connection of this thread.

        The pool's ``connect`` listeners are run on it next. One of them may raise: then
        :meth:`virtual` is not called, and the next call in this thread starts anew.

        :param dialect: the dialect of the engine that connects.
        :param cparams: the keyword arguments with which the engine would call its driver,
            ``connect_args`` among them; None where the engine has a ``creator=``.
        """

    def virtual(self, real: DBAPIConnection) -> DBAPIConnection:
        """Return the virtual connection that :meth:`connect` began in this thread.

        :param real: what :meth:`connect` returned, with all that the listeners did to it.
        """


def redirect(engine: Engine, source: ConnectionSource) -> Callable[[], None]:
    """Let the engine take every new connection from ``source``.

    Its option engines (``engine.execution_options(…)``) go with it, since they share its pool::

        undo = redirect(engine, sandbox)
        try:
            ...
        finally:
            undo()

    The pool's limit of connections is lifted, because a test and the request that it makes would
    wait for each other on a pool of one. ``do_connect`` listeners of the engine are not called.

    :param engine: an engine of the same dialect as the source.
    :param source: asked for each new connection.
    :return: a function that gives the engine a pool of its own again: the old creator and limit,
        the old listeners, and those added meanwhile. Calling it again does nothing.
    :raises SetUpError: the engine is redirected already.
    :raises UnsafeDatabaseError: it is an ``AsyncEngine``.
    :warns DatabaseTestWarning: connections of the engine are in use; they stay real.
    """
    refuse_async(engine)
    with _lock:
        if redirection_of(engine.pool) is not None:
            raise SetUpError(
                f"{engine!r} is redirected to a test database already, by a test class or by "
                "sandboxed() that is still active. Let one of the two leave this engine out."
            )
        redirection = Redirection(engine, source)
        redirection.begin()
    return redirection.undo


def refuse_async(engine: Any) -> None:
    """Refuse an ``AsyncEngine`` or the engine beneath one: its pool wants awaitable connections."""
    engine = getattr(engine, "sync_engine", engine)
    if engine.dialect.is_async:
        label = place_of_engine(engine).label or repr(engine)
        raise UnsafeDatabaseError(
            f"refusing to connect an AsyncEngine to {label}: async engines cannot be redirected to "
            f"a test database yet, and {engine.dialect.driver} would contact its own. Give the "
            "tests a synchronous engine, or name the database in let_through."
        )


class Redirection:
    """The creator of a redirected pool, and the way back."""

    def __init__(self, engine: Engine, source: ConnectionSource) -> None:
        self.source = source
        self._engine = engine
        self._old = engine.pool
        self._creator = private.creator_of(self._old)
        self._overflow = private.overflow_of(self._old)
        self._standard = private.is_standard(self._creator)
        self._active = False

    def begin(self) -> None:
        engine, old = self._engine, self._old
        if count := private.in_use(old):
            several = "connections" if count > 1 else "connection"
            warnings.warn(
                f"{engine!r} has {count} {several} in use from before it was redirected to the "
                "database of the tests: what is done there is real and will not be undone. Close "
                "sessions and connections before the test class starts.",
                DatabaseTestWarning,
                stacklevel=3,
            )
        # a private database in memory lives in its connections: they are put aside, not closed
        self._keep = place_of_engine(engine).private
        new = old.recreate()
        private.set_creator(new, self)
        if self._overflow is not None:
            private.set_overflow(new, private.NO_LIMIT)
        _listening.start()
        self._active = True
        engine.pool = new
        event.listen(engine, "connect", _put_virtual)
        if not self._keep:
            private.dispose_idle(old)

    def undo(self) -> None:
        with _lock:
            if not self._active:
                return
            self._active = False
            engine, current = self._engine, self._engine.pool
            if redirection_of(current) is self:
                if self._keep:
                    private.take_over_listeners(self._old, current)
                    engine.pool = self._old
                else:
                    own = current.recreate()
                    private.set_creator(own, self._creator)
                    private.set_overflow(own, self._overflow)
                    engine.pool = own
            # off every copy that dispose() made; gone already where somebody replaced the pool
            if event.contains(engine, "connect", _put_virtual):
                event.remove(engine, "connect", _put_virtual)
            _listening.stop()
            if current is not engine.pool:
                private.dispose_idle(current)

    def __call__(self, connection_record: ConnectionPoolEntry) -> DBAPIConnection:
        engine = self._engine
        if not self._active:
            raise UnsafeDatabaseError(
                f"refusing to connect through a pool that {engine!r} had during tests which are "
                "over. Ask the engine for the connection, not a pool that was kept."
            )
        # here, since nothing comes between the creator and the listeners: one that was added to
        # the engine after us would otherwise change a connection that has been taken over already
        private.keep_last(private.pool_of(connection_record), _put_virtual)
        if not self._standard:
            return self._connect(None)

        def answer(dialect: Dialect, cargs: list[Any], cparams: dict[str, Any]) -> object:
            return self._connect(cparams)

        with answering(answer):
            real: DBAPIConnection = self._creator(connection_record)
        return real

    def _connect(self, cparams: dict[str, Any] | None) -> DBAPIConnection:
        real = self.source.connect(self._engine.dialect, cparams)
        if real is None:  # to SQLAlchemy None would mean: connect to the engine's own database
            raise TypeError(f"{self.source!r}.connect() returned None")
        return real


def redirection_of(pool: Pool) -> Redirection | None:
    """Return the redirection that the pool belongs to, if any."""
    creator = private.creator_of(pool)
    return creator if isinstance(creator, Redirection) else None


def is_redirected(connection: Connection) -> bool:
    """Whether the connection was made by a redirected engine; others of that engine may be real."""
    return _REDIRECTED in connection.info


def place_of_engine(engine: Engine) -> Place:
    """Tell where the engine would lead, were it not redirected; contacts nothing."""
    return place_of(engine.dialect, engine.url, arguments_of(engine))


def arguments_of(engine: Engine) -> tuple[Sequence[Any], MutableMapping[str, Any]] | None:
    """Tell with what the engine would call its driver, were it not redirected; None if unknown."""
    creator: private.Creator = private.creator_of(engine.pool)
    if isinstance(creator, Redirection):
        creator = creator._creator
    if not private.is_standard(creator):
        return None
    # the engine's own creator puts URL and connect_args together; the answer keeps it from more
    with _listening, answering(lambda dialect, cargs, cparams: (cargs, cparams)):
        arguments: tuple[Sequence[Any], MutableMapping[str, Any]] = creator()
    return arguments


def _put_virtual(dbapi_connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
    """Last `connect` listener of a redirected pool: from here on only the virtual one is seen."""
    redirection = redirection_of(private.pool_of(record))
    if redirection is not None:
        virtual = redirection.source.virtual(dbapi_connection)
        record.dbapi_connection = virtual  # type: ignore[misc]
        record.info[_REDIRECTED] = True


# -- the listener on the Engine class ------------------------------------------------------------


class _Connecting(threading.local):
    answer: Answer | None = None


_lock = threading.RLock()
_connecting = _Connecting()
_guards: list[Answer] = []


@contextlib.contextmanager
def answering(answer: Answer) -> Iterator[None]:
    """Let ``do_connect`` of this thread be answered by ``answer``."""
    before, _connecting.answer = _connecting.answer, answer
    try:
        yield
    finally:
        _connecting.answer = before


def is_answered() -> bool:
    """Whether connections of this thread are answered for, be it by letting them through."""
    return _connecting.answer is not None


@contextlib.contextmanager
def guarding(guard: Answer) -> Iterator[None]:
    """Ask ``guard`` before any connection that nobody answers for."""
    with _listening:
        _guards.append(guard)
        try:
            yield
        finally:
            _guards.remove(guard)


def _do_connect(
    dialect: Dialect, record: ConnectionPoolEntry, cargs: list[Any], cparams: dict[str, Any]
) -> object:
    if _connecting.answer is not None:
        return _connecting.answer(dialect, cargs, cparams)
    for guard in _guards:
        guard(dialect, cargs, cparams)
    return None


class _Listening:
    """Whether ``_do_connect`` is there: while anybody is redirected or a door is open."""

    def __init__(self) -> None:
        self._count = 0

    def start(self) -> None:
        with _lock:
            self._count += 1
            if self._count == 1:
                event.listen(Engine, "do_connect", _do_connect)
                # a listener of the program on the Engine class may connect by itself
                private.keep_first(_do_connect)

    def stop(self) -> None:
        with _lock:
            self._count -= 1
            if self._count == 0:
                event.remove(Engine, "do_connect", _do_connect)

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *exception: object) -> None:
        self.stop()


_listening = _Listening()

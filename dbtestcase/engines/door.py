"""The door: while a test class runs, every engine's first contact goes through it.

It is the one place where another library is patched, and only while the door is open:
``Engine.raw_connection``, which ``connect()``, ``begin()``, sessions, option engines and
revalidation all call, and ``Pool.connect``, by which a pool with a ``creator=`` would be asked
past its engine.
"""

from __future__ import annotations

import contextlib
import enum
import functools
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Dialect, Engine
from sqlalchemy.orm import Session, SessionTransaction
from sqlalchemy.pool import Pool, PoolProxiedConnection, SingletonThreadPool

from ..errors import SetUpError, UnsafeDatabaseError
from . import private
from .places import Place, place_of
from .redirecting import (
    ConnectionSource,
    Redirection,
    answering,
    guarding,
    is_answered,
    place_of_engine,
    redirect,
    redirection_of,
    refuse_async,
)

__all__ = ["PRIVATE", "UNKNOWN", "Door", "Key", "Unknown"]

__unittest = True  # unittest leaves this module's frames out of tracebacks

#: Execution option of engines that the door does not see: the library's own.
PRIVATE: Final = "dbtestcase_private"

#: A bind key; None is the default bind.
Key = str | None


class Unknown(enum.Enum):
    """The type of :data:`UNKNOWN`, for annotations: ``Key | Unknown``."""

    UNKNOWN = enum.auto()


#: What ``known`` returns for an engine that it does not know (None is a key).
UNKNOWN: Final = Unknown.UNKNOWN

_open: Door | None = None
_opening = threading.Lock()


class Door:
    """While open, engines lead to the class's databases or nowhere.

    .. code-block:: python

        with Door(owner="SignupTest", known=known, urls=lambda: urls, source=source) as door:
            engine.connect()        # of a database in urls: takes its connections from source(…)
            stranger.connect()      # UnsafeDatabaseError, and nothing was contacted

    Which database an engine means is asked once, at its first contact, in this order:

    1. engines with the execution option :data:`PRIVATE`, those redirected by somebody else and
       those to a database in ``let_through`` pass as they are;
    2. ``known(engine)`` gives a key: the engine is redirected, whatever its URL says;
    3. its URL leads to a database of ``urls()``: it is redirected;
    4. a private SQLite database in memory passes as it is;
    5. else it is refused.

    The callbacks run in the thread that makes the contact, under the door's lock.

    :param owner: name of the test class, for messages.
    :param known: gives the key of an engine of ``create_engine()`` or of the app, else
        :data:`UNKNOWN`. Compare by ``engine.dialect``, which option engines share.
    :param urls: the databases that the class holds, by key.
    :param source: what an engine that means ``key`` is to be connected to.
    :param let_through: databases that stay outside: the name of a database, the path, file name or
        stem of a SQLite file, or a whole URL as ``str(engine.url)`` gives it.
    """

    def __init__(
        self,
        *,
        owner: str,
        known: Callable[[Engine], Key | Unknown],
        urls: Callable[[], Mapping[Key, URL]],
        source: Callable[[Key, Engine], ConnectionSource],
        let_through: Sequence[str] = (),
    ) -> None:
        self._owner = owner
        self._known = known
        self._urls = urls
        self._source = source
        self._let_through = {let_through} if isinstance(let_through, str) else set(let_through)
        #: the refusals since the last test, those too that the program caught
        self.refusals: list[UnsafeDatabaseError] = []
        self._lock = threading.RLock()
        #: what gives the redirected engines back, the first one first: always the same list
        self.undos: list[Callable[[], None]] = []
        self._passed: weakref.WeakSet[Dialect] = weakref.WeakSet()
        #: the sessions that began since they were closed; a WeakSet takes several times as long
        self.sessions: set[weakref.ref[Session]] = set()
        self._stack = contextlib.ExitStack()

    # -- open and closed -------------------------------------------------------------------------

    def __enter__(self) -> Door:
        """Open the door.

        :raises SetUpError: another door of this process is open.
        """
        global _open
        with _opening:
            if _open is not None:
                raise SetUpError(
                    f"{self._owner} cannot open its databases, because those of {_open._owner} are "
                    "still open: test classes cannot run inside one another, nor in two threads of "
                    f"one process. Let {_open._owner} end first (tearDownClass and class "
                    "cleanups), or run the two in processes of their own."
                )
            _open = self
            with contextlib.ExitStack() as stack:
                stack.callback(self._shut)
                self._patch(stack)
                event.listen(Session, "after_begin", self._after_begin)
                stack.callback(event.remove, Session, "after_begin", self._after_begin)
                stack.enter_context(guarding(self._refuse_pool))
                self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        """Close leftover sessions and the door, and let every engine go."""
        _run_all(
            f"closing the databases of {self._owner}",
            [self.close_sessions, self._stack.close, lambda: self.let_go(0)],
        )

    def _shut(self) -> None:
        global _open
        _open = None

    def _patch(self, stack: contextlib.ExitStack) -> None:
        original = Engine.raw_connection

        @functools.wraps(original)
        def raw_connection(engine: Engine) -> PoolProxiedConnection:
            # asked each time: somebody may have wrapped this wrapper, and keep it for ever
            if (
                _open is self
                and not isinstance(private.given_creator_of(engine.pool), Redirection)
                and not self._admitted(engine)
            ):
                with answering(lambda dialect, cargs, cparams: None):
                    return original(engine)
            return original(engine)

        def restore() -> None:
            if Engine.raw_connection is raw_connection:
                Engine.raw_connection = original  # type: ignore[method-assign]

        Engine.raw_connection = raw_connection  # type: ignore[method-assign,assignment]
        stack.callback(restore)
        for kind in (Pool, SingletonThreadPool):  # which has a connect() of its own
            self._patch_pools(kind, stack)

    def _patch_pools(self, kind: type[Pool], stack: contextlib.ExitStack) -> None:
        original = kind.connect

        @functools.wraps(original)
        def connect(pool: Pool) -> PoolProxiedConnection:
            if (
                _open is self
                and not isinstance(private.given_creator_of(pool), Redirection)
                and not is_answered()
            ):
                self._check_pool(pool)
            return original(pool)

        def restore() -> None:
            if kind.connect is connect:
                kind.connect = original  # type: ignore[method-assign]

        kind.connect = connect  # type: ignore[method-assign,assignment]
        stack.callback(restore)

    # -- engines ---------------------------------------------------------------------------------

    def raise_swallowed(self) -> None:
        """Raise the first refusal that the program caught and went on from.

        :raises UnsafeDatabaseError: as the program got it.
        """
        swallowed = [error for error in self.refusals if not error.asserted]
        self.refusals.clear()
        if swallowed:
            raise swallowed[0]

    def mark(self) -> int:
        """Return a point in time for :meth:`let_go`."""
        return len(self.undos)

    def enlist(self, engine: Engine) -> None:
        """Redirect an engine before its first contact, without contacting anything.

        An engine that is first seen in a test is let go at the test's end; those that the class
        knows are enlisted once for all its tests.

        :raises UnsafeDatabaseError: as ``engine.connect()`` would.
        """
        self._admitted(engine)

    def leads_to(self, engine: Engine) -> Key | Unknown:
        """Return which of the class's databases the URL of an engine means; contacts nothing."""
        return self._key_of(engine, place_of_engine(engine))

    def let_go(self, mark: int) -> None:
        """Give the engines that were redirected since ``mark`` their own pools back.

        :param mark: what :meth:`mark` returned; 0 means all.
        """
        with self._lock:
            undos = self.undos[mark:]
            del self.undos[mark:]
        _run_all(f"letting go of the engines of {self._owner}", reversed(undos))

    def _admitted(self, engine: Engine) -> bool:
        """Redirect the engine where needed; False: it may connect to its own database."""
        if engine.dialect in self._passed or engine.get_execution_options().get(PRIVATE):
            return False
        with self._lock:  # four threads at the first contact must redirect once
            return redirection_of(engine.pool) is not None or self._admit(engine)

    def _admit(self, engine: Engine) -> bool:
        place = place_of_engine(engine)
        if place.names & self._let_through:
            self._passed.add(engine.dialect)
            return False
        key = self._known(engine)
        if key is UNKNOWN:
            key = self._key_of(engine, place)
        if key is UNKNOWN and place.private:
            self._passed.add(engine.dialect)
            return False
        refuse_async(engine)
        if key is UNKNOWN:
            refusal = UnsafeDatabaseError(self._refusal(engine, place))
            self.refusals.append(refusal)
            raise refusal
        self._check_dialect(engine, key)
        source = self._source(key, engine)
        self._check_dialect(engine, key)  # again, for a bind that was leased only now
        self.undos.append(redirect(engine, source))
        return True

    def _key_of(self, engine: Engine, place: Place) -> Key | Unknown:
        if place.key is not None:
            for key, url in self._urls().items():
                if (
                    url.get_backend_name() == engine.dialect.name
                    and place_of(engine.dialect, url, engine.dialect.create_connect_args(url)).key
                    == place.key
                ):
                    return key
        return UNKNOWN

    def _check_dialect(self, engine: Engine, key: Key) -> None:
        url = self._urls().get(key)
        if url is not None and url.get_backend_name() != engine.dialect.name:
            wanted = "cls.database_url" if key is None else f"cls.database_urls[{key!r}]"
            raise UnsafeDatabaseError(
                f"refusing to connect {engine!r}: it speaks {engine.dialect.name}, but the "
                f"database of {self._owner} is {url.get_backend_name()}, and an engine can only be "
                f"redirected to a database of its own kind. Point the engine at {wanted}."
            )

    def _refusal(self, engine: Engine, place: Place) -> str:
        if place.label is None:
            url = engine.url.render_as_string(hide_password=True)
            return (
                f"refusing to connect {engine!r}: its URL names no database, so nothing tells "
                f"whether it is one of {self._owner}. Point the engine at cls.database_url, return "
                f"it from create_engine(), or let it through by its URL: "
                f'let_through = ("{url}",).'
            )
        return (
            f"refusing to connect to {place.label}: it is not a database of {self._owner}. Point "
            "the engine at cls.database_url, return it from create_engine(), or name the database "
            "in let_through."
        )

    def _refuse_pool(self, dialect: Dialect, cargs: list[Any], cparams: dict[str, Any]) -> None:
        """Refuse ``engine.pool.connect()`` of an engine that did not come through the door."""
        url = URL.create(dialect.name)
        place = place_of(dialect, url, (cargs, cparams))
        if dialect in self._passed or place.private or place.names & self._let_through:
            return
        raise self._pool_refusal(place.label or "a database")

    def _check_pool(self, pool: Pool) -> None:
        """Refuse it for a pool whose ``creator=`` would connect without asking ``do_connect``."""
        creator = private.creator_of(pool)
        if private.is_standard(creator):
            return
        dialect = private.dialect_of(pool)
        # a pool without an engine is not SQLAlchemy's way to a database: it may hold anything
        if dialect is not None and dialect not in self._passed:
            raise self._pool_refusal("what a creator= would connect to")

    def _pool_refusal(self, label: str) -> UnsafeDatabaseError:
        refusal = UnsafeDatabaseError(
            f"refusing to connect to {label} by engine.pool.connect(): "
            f"{self._owner} does not know the pool, because its engine has not connected yet. Use "
            "engine.connect() or engine.raw_connection(), or name the database in let_through."
        )
        self.refusals.append(refusal)
        return refusal

    # -- sessions --------------------------------------------------------------------------------

    def close_sessions(self) -> None:
        """Close each session that began a transaction since the last call, even if some fail."""
        sessions, self.sessions = self.sessions, set()
        alive = [session for known in list(sessions) if (session := known()) is not None]
        _run_all(f"closing sessions of {self._owner}", [session.close for session in alive])

    def _after_begin(
        self, session: Session, transaction: SessionTransaction, connection: Connection
    ) -> None:
        self.sessions.add(weakref.ref(session))


def is_let_through(engine: Engine) -> bool:
    """Whether the test class that runs lets the engine's database through."""
    return _open is not None and bool(place_of_engine(engine).names & _open._let_through)


def _run_all(doing: str, calls: Iterable[Callable[[], object]]) -> None:
    """Call all, whatever fails, and then raise what did."""
    errors: list[BaseException] = []
    for call in calls:
        try:
            call()
        except BaseException as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise BaseExceptionGroup(doing, errors)

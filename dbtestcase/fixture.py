"""The databases of one test class: leased, behind the door, and sandboxed.

:class:`DatabaseFixture` holds what a class needs from its set-up to its teardown, and asks a
few questions back. It knows nothing of unittest and nothing of Flask, so a pytest fixture may
use it as well as :mod:`dbtestcase.mixins`.

A database is leased when its URL is first asked for, and filled with the schema at its first
contact: by then the program's models are usually imported, and nothing is connected yet.
"""

from __future__ import annotations

import contextlib
import functools
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect, Engine
from sqlalchemy.orm import Session

from .databases import Lease, explain, lease
from .databases.base import build, lineage_of
from .engines import PRIVATE, UNKNOWN, ConnectionSource, Door, Key, engine_for, redirect
from .errors import DatabaseTestWarning, EscapeError
from .sandbox import Phase, Sandbox, messages, open_sandbox, uncommitted
from .sandbox.places import last_line, place
from .schemas import Schema
from .settings import Setting

__all__ = ["DatabaseFixture", "DatabaseURLs"]

__unittest = True  # its frames are left out of tracebacks


class DatabaseURLs(dict[Key, str]):
    """The databases of a class by bind key: ``database_urls["audit"]`` leases that bind's.

    ``None`` is the key of the default bind.
    """

    def __init__(self, take: Callable[[Key], str]) -> None:
        super().__init__()
        self._take = take

    def __missing__(self, key: Key) -> str:
        self[key] = url = self._take(key)
        return url


class DatabaseFixture:
    """The databases of one test class, from its set-up to its teardown.

    >>> from dbtestcase.settings import choose
    >>> fixture = DatabaseFixture("Example", setting=lambda key: choose("sqlite"))
    >>> with fixture, fixture.engine(None).begin() as connection:
    ...     connection.scalar(sa.text("SELECT 1"))
    1

    :param owner: the name of the class, for messages.
    :param setting: chooses the database of a bind.
    :param schema: gives what fills the database of a bind, if it can be told yet; and whether
        the user named it (else it was found, and may grow while the app is made).
    :param app_engines: gives the engines of the current application by bind key.
    :param let_through: databases that stay outside, see :class:`~dbtestcase.engines.Door`.
    :param reset_sequences: whether sequences are put back after each test.
    """

    def __init__(
        self,
        owner: str,
        *,
        setting: Callable[[Key], Setting],
        schema: Callable[[Key], tuple[Schema | None, bool]] = lambda key: (None, False),
        app_engines: Callable[[], Mapping[Key, Engine]] = dict,
        let_through: tuple[str, ...] = (),
        reset_sequences: bool = True,
    ) -> None:
        self.owner = owner
        self.urls = DatabaseURLs(self._take)
        self.sandboxes: dict[Key, Sandbox] = {}
        #: whether create_app wrote to the database, which cannot be done again
        self.app_wrote = False
        self._setting = setting
        self._schema = schema
        self._app_engines = app_engines
        self._reset_sequences = reset_sequences
        self._in_test = False
        # each sandbox once, though several binds may share it, and with it a lease
        self._lease_of: dict[Sandbox, Lease] = {}
        # the same sandboxes, asked for many times in each test
        self._each: tuple[Sandbox, ...] = ()
        self._built = False
        self._filled_before: dict[Key, str | None] = {}
        self._leases: dict[Key, Lease] = {}
        # fingerprints, and not the schemas: metadata grow while models are imported
        self._filled: dict[Key, str | None] = {}
        # what the databases were prepared with at the first contact
        self._first_schemas: dict[Key, Schema | None] = {}
        self._known: weakref.WeakKeyDictionary[Dialect, Key] = weakref.WeakKeyDictionary()
        self._redirected: weakref.WeakSet[Engine] = weakref.WeakSet()
        self._to_dispose: list[Engine] = []
        self.door = Door(
            owner=owner,
            known=self._key_of,
            urls=lambda: {key: held.url for key, held in self._leases.items()},
            source=self._source,
            let_through=let_through,
        )

    # -- open and closed ---------------------------------------------------------

    def __enter__(self) -> DatabaseFixture:
        """Open the door: from here on every first contact goes through it."""
        self.door.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        """Roll everything back, dispose of the engines and shut the door."""
        with contextlib.ExitStack() as stack:
            stack.callback(self.door.__exit__, *exception)
            for engine in self._to_dispose:
                stack.callback(engine.dispose)
            for held in self._leases.values():
                if self._sandbox_of(held) is None:
                    stack.callback(held.look_unused)
            for sandbox, held in self._lease_of.items():
                stack.callback(self._close, sandbox, held)
            stack.callback(self.door.close_sessions)
            stack.callback(self.closing)
            stack.callback(self.raise_swallowed)

    @staticmethod
    def _close(sandbox: Sandbox, held: Lease) -> None:
        if sandbox.alive:
            if sandbox.visited(0.0):
                held.note_visitors()
            try:
                sandbox.close(held.truncate_dead_rows)
            except sandbox.driver_error as error:
                # all is rolled back; what a rollback leaves goes with the database
                held.spoil()
                warnings.warn(
                    f"the database of {sandbox.owner} could not be put back after its tests: "
                    f"{' '.join(str(error).split())}. It is built anew before its next use.",
                    DatabaseTestWarning,
                    stacklevel=2,
                )
        else:  # it was lost, or never made; somebody else may have written all the same
            sandbox.close()
            held.truncate_dead_rows()

    # -- databases -----------------------------------------------------------------

    def _take(self, key: Key) -> str:
        schema, named = self._schema(key)
        held = lease(self._setting(key), bind=key, schema=schema if named else None)
        held.check()
        self._leases[key] = held
        return held.url.render_as_string(hide_password=False)

    def lease_of(self, key: Key) -> Lease | None:
        """Give the database of a bind, once its URL was asked for."""
        return self._leases.get(key)

    def _source(self, key: Key, engine: Engine) -> ConnectionSource:
        """Give what an engine that means *key* is to be connected to: the first contact."""
        self.urls[key]
        held = self._leases[key]
        sandbox = self._sandbox_of(held)
        driver = f"{engine.dialect.name}+{engine.dialect.driver}"
        if sandbox is None:
            self._first_schemas[key] = self._schema(key)[0]
            there = held.prepare(self._first_schemas[key])
            sandbox = open_sandbox(
                held.url.set(drivername=driver),
                owner=self.owner,
                reset_sequences=held.ours and self._reset_sequences,
            )
            sandbox.watched = held.ours
            try:
                self._fill_all(held, sandbox, there=there, key=key)
                if self._in_test:
                    sandbox.begin_test()
                    self._filled_before = dict(self._filled)
            except BaseException:
                sandbox.close()  # nobody else would: the open transaction holds locks
                for other in self._keys_of(held):
                    self._filled.pop(other, None)
                raise
        elif sandbox.url.drivername != driver:
            raise sandbox.conflict(
                messages.two_drivers(
                    engine,
                    driver,
                    place(),
                    self.owner,
                    sandbox.url.drivername,
                    sandbox.made_at,
                    held.url.render_as_string(hide_password=True),
                )
            )
        elif key not in self._filled:
            self._fill(key, sandbox)
        self.sandboxes[key] = sandbox
        self._lease_of[sandbox] = held
        self._each = tuple(self._lease_of)
        self._redirected.add(engine)
        if self._in_test and engine.dialect not in self._known and not sandbox.alive:
            self._contact_known(key)
        return sandbox

    def _contact_known(self, key: Key) -> None:
        """Let the class's own engine connect before one that a test has made.

        Its ``connect_args`` are those of the connection, or the tests that follow would be
        refused for what one of them did.
        """
        for known in self._to_dispose:
            if self._known.get(known.dialect, UNKNOWN) == key:
                known.connect().close()
                return

    def _keys_of(self, held: Lease) -> list[Key]:
        return [key for key, each in self._leases.items() if each is held]

    def _fill_all(self, held: Lease, sandbox: Sandbox, *, there: bool, key: Key) -> None:
        """Fill a database for every bind that leads to it, whichever asks first."""
        self._fill(key, sandbox, there=there)
        for other in self._keys_of(held):
            if other != key:
                self._fill(other, sandbox)

    def _sandbox_of(self, held: Lease) -> Sandbox | None:
        """Give the sandbox of a database, which several binds may share: a read replica's."""
        return next((box for box, each in self._lease_of.items() if each is held), None)

    def build_missing(self) -> None:
        """Add the tables of models that were imported only after the first contact."""
        for key, sandbox in list(self.sandboxes.items()):
            if not self._schema(key)[1]:
                self._fill(key, sandbox)

    def _fill(self, key: Key, sandbox: Sandbox, *, there: bool = False) -> None:
        """Build in the outer transaction what the schema of a bind lacks in its database.

        :param there: whether the database was filled with it before anything connected.
        """
        (schema, _), held = self._schema(key), self._leases[key]
        fingerprint = self._fingerprint(schema, held)
        # several binds may lead to one database, and a script cannot be run there twice
        known = {self._filled[k] for k in self._filled if self._leases[k] is held}
        if schema is not None and not there and fingerprint not in known:
            sandbox.fill(functools.partial(self._build, schema, held, sandbox))
        self._filled[key] = fingerprint

    def _build(self, schema: Schema, held: Lease, sandbox: Sandbox) -> None:
        before = sandbox.write_hints
        with self._own_connection(sandbox) as connection:
            build(schema, connection, held)
        sandbox.write_hints = before  # they were not the program's
        self._built = True

    def note_app_writes(self) -> None:
        """Remember whether the program wrote while the app was made.

        The database tells, unless it holds what we built there ourselves; then the texts do.
        """
        if self._built:
            self.app_wrote = any(sandbox.write_hints for sandbox in self._each)
        else:
            self.app_wrote = self.wrote()

    @staticmethod
    def _fingerprint(schema: Schema | None, held: Lease) -> str | None:
        if schema is None:
            return None
        # files are the same while a class runs, so there is no need to look at 200 of them again
        return lineage_of(schema) or schema.fingerprint(held.url.get_backend_name())

    @contextlib.contextmanager
    def _own_connection(self, sandbox: Sandbox) -> Iterator[sa.Connection]:
        engine = sa.create_engine(
            sandbox.url, poolclass=sa.NullPool, execution_options={PRIVATE: True}
        )
        undo = redirect(engine, sandbox)
        try:
            with engine.begin() as connection:
                yield connection
        finally:
            undo()

    @contextlib.contextmanager
    def private_connection(self, key: Key) -> Iterator[sa.Connection]:
        """Give a connection of the library's own to a database that was contacted already."""
        with self._own_connection(self.sandboxes[key]) as connection:
            yield connection

    def explain(self, error: BaseException) -> BaseException | None:
        """Give an error of ours for one of the database, where its cause can be told."""
        for held in self._leases.values():
            if (found := explain(error, held)) is not None:
                return found
        return None

    # -- engines ---------------------------------------------------------------------

    def _key_of(self, engine: Engine) -> Any:
        if engine.dialect in self._known:
            return self._known[engine.dialect]
        for key, known in self._app_engines().items():
            if known.dialect is engine.dialect:
                return key
        return UNKNOWN

    def engine(self, key: Key) -> Engine:
        """Give an engine for the database of a bind, one per URL however many ask."""
        engine = engine_for(self.urls[key])
        self.add_engines({key: engine})
        return engine

    def add_engines(self, engines: Mapping[Key, Engine]) -> None:
        """Let *engines* mean our databases, whatever their URLs say; nothing is contacted.

        :raises UnsafeDatabaseError: an engine cannot be redirected to its database.
        """
        for key, engine in engines.items():
            if key not in self.urls and (same := self.door.leads_to(engine)) is not UNKNOWN:
                # a read replica's bind, whose URL the program made of cls.database_url
                key = same
            self._known[engine.dialect] = key
            self._to_dispose.append(engine)
            self.door.enlist(engine)

    def mark(self) -> tuple[int, int]:
        """Return a point in time for :meth:`let_go`."""
        return len(self.door.undos), len(self._to_dispose)

    def let_go(self, mark: tuple[int, int]) -> None:
        """Dispose of the engines that were first seen since *mark*, and give them back."""
        redirections, engines = mark
        if mark == self.mark():
            return
        with contextlib.ExitStack() as stack:
            stack.callback(self.door.let_go, redirections)
            for engine in self._to_dispose[engines:]:
                stack.callback(engine.dispose)
        del self._to_dispose[engines:]

    # -- phases -------------------------------------------------------------------------

    def freeze(self) -> None:
        """End the class's set-up, if it has not ended: what it committed stays for all tests."""
        for sandbox in self._each:
            if sandbox.phase is Phase.SETUP:
                sandbox.freeze()

    def begin_test(self) -> None:
        """Begin a test, on every database that the class has touched."""
        self._in_test = True
        for sandbox in self._each:
            sandbox.begin_test()
        self._filled_before = self._filled.copy()

    def closing(self) -> None:
        """From here on statements still run, and commits and rollbacks do nothing."""
        for sandbox in self._each:
            sandbox.closing()

    def reopen(self) -> None:
        """Go on after :meth:`closing` until :meth:`end_test`, without what was left uncommitted."""
        for sandbox in self._each:
            sandbox.reopen()

    def end_test(self) -> None:
        """Undo what the test did, on every database.

        :raises EscapeError: where something was really committed. The database is built anew
            before the next test.
        """
        self._in_test = False
        self._filled = self._filled_before  # what was built in the test is undone with it
        if len(self._each) == 1:
            self._end_test(self._each[0])
            return
        with contextlib.ExitStack() as stack:
            for sandbox in self._each:
                stack.callback(self._end_test, sandbox)

    def has_left(self, mark: tuple[int, int]) -> bool:
        """Whether a test leaves more than the work on its databases: engines, sessions, refusals.

        Then there is more to do than :meth:`end_test` and :meth:`raise_swallowed`:
        ``door.close_sessions()`` and :meth:`let_go`, which come first.

        :param mark: what :meth:`mark` returned when it began.
        """
        door = self.door
        return bool(
            door.sessions
            or door.refusals
            or (len(door.undos), len(self._to_dispose)) != mark
        )

    def raise_swallowed(self) -> None:
        """Raise the first conflict or refusal that the program caught and went on from.

        :raises SandboxConflict: what was seen since is not what real connections would show.
        :raises UnsafeDatabaseError: the program wanted another database, and made do without.
        """
        for sandbox in self._each:
            if sandbox.conflicts:
                sandbox.raise_swallowed()
        if self.door.refusals:
            self.door.raise_swallowed()

    def forget_swallowed(self, told: BaseException | None = None) -> None:
        """Leave out what was not swallowed.

        :param told: an error that the test ends with; by default all that were raised so far.
        """
        lists: list[list[Any]] = [sandbox.conflicts for sandbox in self._each]
        for noted in [*lists, self.door.refusals]:
            noted[:] = [error for error in noted if told is not None and error is not told]

    def _end_test(self, sandbox: Sandbox) -> None:
        held = self._lease_of[sandbox]
        try:
            sandbox.end_test()
            since, connected = sandbox.began, sandbox.alive
            if sandbox.visited(since) or held.visited(since, connected=connected):
                stay = held.find_escape(sandbox.server_pid)
                if sandbox.alive:
                    sandbox.visitors_seen(stay=stay)
        except EscapeError:
            held.spoil()
            sandbox.give_up()
            raise

    def lost(self) -> bool:
        """Whether a connection was lost, so that :meth:`revive` has something to do."""
        for sandbox in self._each:  # noqa: SIM110 - asked before each test
            if sandbox.died:
                return True
        return False

    def revive(self) -> bool:
        """Let connections that were lost be made anew.

        :returns: whether what the class's set-up wrote was lost with one of them. Its database
            is then in the set-up again, until :meth:`freeze`.
        """
        dead = [sandbox for sandbox in self._each if sandbox.died]
        if dead:
            for engine in list(self._redirected):
                engine.dispose()  # the virtual connections in its pool are dead, too
        lost = [sandbox for sandbox in dead if sandbox.revive()]
        for key, sandbox in self.sandboxes.items():
            schema, held = self._first_schemas.get(key), self._leases[key]
            if sandbox in dead and key in self._first_schemas:
                held.prepare(schema)  # anew, where something had really been committed
            if sandbox in lost and schema is not None and not held.ours:
                sandbox.fill(functools.partial(self._build, schema, held, sandbox))
        return bool(lost)

    # -- what a test may ask ----------------------------------------------------------------

    def wrote(self) -> bool:
        """Whether anything was written in this test."""
        return any(sandbox.wrote() for sandbox in self._each)

    def warn_of_leftovers(self, session: Session, hook: Callable[[], object]) -> None:
        """Warn of what the set-up has not committed.

        :param session: in which it was made.
        :param hook: what made it.
        """
        if objects := len(session.new) + len(session.dirty) + len(session.deleted):
            uncommitted.warn(uncommitted.pending(self.owner, objects), last_line(hook))
        for sandbox in self._each:
            sandbox.warn_of_leftovers()

    def warn_of_uncommitted(self) -> None:
        """Warn that a request begins while the test itself holds uncommitted writes."""
        for sandbox in self._each:
            for backend in sandbox.uncommitted():
                uncommitted.warn(uncommitted.request_beside(place(), backend))

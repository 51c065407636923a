"""A stub: the script, the history and the connections of one function that connects."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ..errors import StubError, UnexpectedQueryError
from .answers import Answer
from .asserting import Assertions
from .connections import Source, StubConnection, line_of_user
from .expectations import (
    NO_PARAMETERS,
    Expectation,
    Matcher,
    Script,
    parameters,
)
from .history import Executed, History, Swallowed
from .patching import StubbedConnect, name_of, replace_everywhere, resolve
from .statements import shortened
from .styles import find_style, style_of

if TYPE_CHECKING:
    from os import PathLike

    from sqlalchemy.engine import Engine

__all__ = ["ConnectionStub"]


class ConnectionStub(Assertions):
    """Scripted connections in the place of a function or class that connects.

    Made by :func:`dbtestcase.stub_connection`, or by a test with ``ConnectionStubMixin``.

    >>> with ConnectionStub("sqlite3.connect") as stub:
    ...     expected = stub.on("select count(*) from item").returns([(3,)], columns=["count"])
    ...     import sqlite3
    ...     sqlite3.connect("shop.db").execute("SELECT count(*) FROM item").fetchone()
    (3,)

    The parameters are those of :func:`dbtestcase.stub_connection`.

    :raises StubError: there is no such target or style, or an option is of another type.
    """

    # no dictionary of a stub's holds what is replaced: who holds a dictionary takes long to tell
    __slots__ = ("connect",)

    def __init__(
        self,
        target: Any,
        *,
        style: str | None = None,
        strict: bool = True,
        keep_history: int | None = None,
    ) -> None:
        if not isinstance(strict, bool):
            raise StubError(
                f"strict={shortened(strict, 80)} is neither True nor False. Write strict=False "
                f"where a test need not use all expectations."
            )
        original = resolve(target)
        self.name = name_of(target, original)
        self.strict = strict
        self.style = find_style(style_of(self.name, original) if style is None else style, original)
        #: Takes the place of the target, and is asked about it as a ``Mock`` is.
        self.connect = StubbedConnect(self, original)
        self._script = Script()
        self._history = History(keep_history)
        self._open: dict[int, StubConnection] = {}
        self._made = 0
        self._counts = {"commit": 0, "rollback": 0, "close": 0}
        #: the first connection that was closed with a change that was not committed
        self._lost: StubConnection | None = None
        self._swallowed = Swallowed()
        self._source: Source | None = None
        self._endings: list[Callable[[], None]] = []
        #: what calls the target and cannot be changed, and what stands in its place
        self._wrappers: list[tuple[object, object]] = []
        self._state = "new"
        self.unlock()

    def unlock(self) -> None:
        """Have a new lock, at first and in a forked process, where nobody lets the old one go."""
        self._lock = threading.RLock()  # a function of the test may ask the stub

    # -- its life

    def start(self) -> Self:
        """Take the place of the target, wherever that was imported to.

        :raises StubError: the stub was started before.
        """
        if self._state != "new":
            raise StubError(
                f"the stub of {self.name} was started already, and a stub is used once. Make "
                f"another by stub_connection()."
            )
        self._state = "running"
        try:
            self._wrappers = replace_everywhere(self.connect.original, self.connect)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Put the target back, also in modules that were imported meanwhile; twice is no error."""
        if self._state != "running":
            self._state = "stopped"
            return
        self._state = "stopped"
        with contextlib.ExitStack() as stack:
            for each in self._endings:
                stack.callback(each)
            for connection in list(self._open.values()):
                stack.callback(self._let_go, connection)
            stack.callback(self._put_back)

    def _put_back(self) -> None:
        original = self.connect.original
        # another stub of the same target may have begun before this one, and be over
        while isinstance(original, StubbedConnect) and original._stub._state == "stopped":
            original = original.original
        try:
            self._replace_back(original)
        except BaseException:  # Ctrl-C, in the middle of it
            self._replace_back(original)
            raise

    def _replace_back(self, original: Any) -> None:
        for wrapper, other in self._wrappers:
            replace_everywhere(other, wrapper, in_mocks=True)
        replace_everywhere(self.connect, original, in_mocks=True)

    def _let_go(self, connection: StubConnection) -> None:
        real, connection._real = connection._real, None
        if real is not None:
            real.close()

    def told(self, error: BaseException | None) -> None:
        """Leave out of what was swallowed what a test ends with.

        What such a test did not use does not count.
        """
        self.strict = False
        self._swallowed.told(error)

    def told_by(self, runner: str) -> None:
        """Do the same for what the module that runs the tests is telling."""
        self.strict = False
        self._swallowed.told_by(runner)

    def verify(self) -> None:
        """Raise what went wrong and was not told: swallowed errors, and unused expectations.

        :raises UnexpectedQueryError: an unexpected statement whose error the program swallowed.
        :raises StubError: an answer that could not be given, and the program swallowed that.
        :raises AssertionError: an expectation was never used.
        """
        self._swallowed.raise_first()
        unused = [text for each in self._script.all() if (text := each.unused())]
        if unused and self.strict:
            shown = "\n".join(f"  {each}" for each in unused)
            raise AssertionError(
                f"{len(unused)} of {len(self._script)} expectations of the stub of {self.name} "
                f"were never used:\n{shown}\n{self._history.shown()}\n"
                f"Take them out, or write strict=False where a test need not use all of them."
            )

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
        if kind is None:
            # a fixture of pytest's goes on as if nothing was when its test has failed
            if self._swallowed.told_by("_pytest.runner"):
                self.strict = False
            self.verify()

    def check_running(self) -> None:
        """Refuse the program's use of a stub that is over.

        :raises StubError: it is.
        """
        if self._state == "stopped":
            raise StubError(
                f"the stub of {self.name} has ended, and the program still uses a connection or "
                f"a connect() of it. It keeps them in a global or on an object that outlives the "
                f"test: make a new one in each test, or let the test reset it."
            )

    # -- its script

    def on(self, statement: Matcher, params: Any = None) -> Expectation:
        """Expect a statement; ``.returns()`` or ``.raises()`` behind it says what it gives.

        One with the same statement and parameters takes the place of the earlier.

        >>> with ConnectionStub("sqlite3.connect", strict=False) as stub:
        ...     print(stub.on("delete from item where id = ?", params=(7,)).returns(rowcount=1))
        delete from item where id = ? -- with the parameters (7,)

        :param statement: its text, in which white space, the case of keywords and a semicolon at
            the end do not count; or a compiled pattern that is found in the text; or a function
            of the text and the parameters.
        :param params: the parameters that it has: a sequence or mapping, in which
            ``unittest.mock.ANY`` may stand for a value or for all. By default there are none, and
            for a function any. ``executemany()`` has a list of them.
        :returns: the expectation, which has no answer yet.
        :raises StubError: *statement* is none of these.
        """
        statement = self._matcher(statement, "stub.on()")
        expected = Expectation(statement, parameters(params))
        with self._lock:
            self._script.add(expected)
        return expected

    def backed_by(self, engine: Engine) -> Self:
        """Let a database answer what the script does not.

        >>> from sqlalchemy import create_engine
        >>> engine = create_engine("sqlite://")
        >>> with ConnectionStub("snowflake.connector.connect").backed_by(engine) as stub:
        ...     cursor = stub.connect(account="a", user="u").cursor()
        ...     cursor.execute("select %s + 1", (41,)).fetchone()
        (42,)
        >>> engine.dispose()

        :param engine: of SQLAlchemy, for SQLite or PostgreSQL. In a ``DatabaseTestCase`` its
            engine is sandboxed. Each connection of the stub gets one of the engine's; statements
            are sent as they are, but for their placeholders.
        :returns: the stub.
        """
        from .backing import Backing

        return self._answered_by(Backing(engine))

    def record(self, connect: Callable[..., Any], path: str | PathLike[str]) -> Self:
        """Let the real driver answer what the script does not, and write down what it answers.

        The file is written when the stub stops. What was given to ``connect()`` is not in it.

        >>> import sqlite3, tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = f"{folder.name}/answers.json"
        >>> for use in (lambda stub: stub.record(sqlite3.connect, path),
        ...             lambda stub: stub.replay(path)):
        ...     with use(ConnectionStub("sqlite3.connect")):
        ...         sqlite3.connect(":memory:").execute("select 1.5, null").fetchall()
        [(1.5, None)]
        [(1.5, None)]
        >>> folder.cleanup()

        :param connect: the driver's function, which is given what the program gives to it.
        :param path: of the file, JSON, which :meth:`replay` reads.
        :returns: the stub.
        :raises StubError: when it stops: a secret of ``connect()`` would be in the file.
        """
        from .recording import Recording

        recording = Recording(self, connect, path)
        self._answered_by(recording)
        self._endings.append(recording.write)
        return self

    def replay(self, path: str | PathLike[str]) -> Self:
        """Expect what :meth:`record` has written down, and answer as the driver did.

        >>> ConnectionStub("sqlite3.connect").replay("answers.json")
        Traceback (most recent call last):
            ...
        dbtestcase.errors.StubError: there is no recording answers.json. Make it by \
stub.record(connect, path), with the driver's real connect, where its database can be reached.

        :param path: of the file.
        :returns: the stub.
        :raises StubError: it is not there, or was not written by ``record()``.
        """
        from .recording import replay

        replay(self, Path(path))
        return self

    def engine(self, dialect: str, **options: Any) -> Engine:
        """Make an engine whose connections are this stub's.

        >>> from sqlalchemy import column, select, table
        >>> with ConnectionStub("psycopg2.connect") as stub:
        ...     expected = stub.on("select name from item").returns([("pen",)])
        ...     with stub.engine("postgresql").connect() as connection:
        ...         connection.scalars(select(column("name")).select_from(table("item"))).all()
        ['pen']

        :param dialect: as a URL of SQLAlchemy's names it: ``"postgresql"``, ``"sqlite"``.
        :param options: for ``create_engine()``.
        :returns: the engine, which is disposed of when the stub stops.
        :raises StubError: SQLAlchemy has no such dialect.
        """
        from .engines import make_engine

        engine: Engine = make_engine(self, dialect, options)
        self._endings.append(engine.dispose)
        return engine

    def _answered_by(self, source: Source) -> Self:
        if self._source is not None:
            raise StubError(
                f"the stub of {self.name} has something that answers what its script does not. "
                f"Use one backed_by() or record() for a stub."
            )
        self._source = source
        return self

    # -- what its connections ask

    @property
    def records(self) -> bool:
        """Whether real connections of the same driver answer."""
        return self._source is not None and self._source.same_driver

    def connected(self, args: Any, kwargs: Any, style: Any = None) -> StubConnection:
        """Make a connection for the program."""
        with self._lock:
            self._made += 1
            number = self._made
        connection: StubConnection = (style or self.style).connect(self, args, kwargs, number)
        connection._where = line_of_user()
        if self._source is not None and style is None:
            self._source.opened(connection, args, kwargs)
        self._open[number] = connection
        return connection

    def answer(self, connection: StubConnection, text: str, params: Any, many: bool) -> Answer:
        """Give what the script answers an execution with.

        :raises UnexpectedQueryError: it answers nothing.
        :raises StubError: its answer is none.
        """
        try:
            answer = self._find_answer(connection, text, params, many)
        except (UnexpectedQueryError, StubError) as error:
            self._swallowed.add(error)
            raise
        self._note_change(connection, text)
        return connection._style.prepare(answer, text, params, many)

    def _find_answer(
        self, connection: StubConnection, text: str, params: Any, many: bool
    ) -> Answer:
        # what the program does to a list of its own afterwards is not what it had executed
        kept = params.copy() if type(params) in (list, dict) else params
        executed = Executed("executemany" if many else "execute", text, kept, connection._number)
        with self._lock:
            if self._state == "stopped":
                self.check_running()
            self._history.add(executed)
            found = self._script.find(text, params)
            if found is not None:
                make, delay = found.take()
        if found is None:
            if self._source is not None:
                return self._source.answer(connection, text, params, many)
            raise UnexpectedQueryError(
                f"the stub of {self.name} does not know what to answer to\n"
                + self._script.shown_for(text, params)
            )
        if delay:
            time.sleep(delay)
        answer = make(None if params is NO_PARAMETERS else params)
        if many and answer.rowcount is None and answer.rows is None:
            return Answer(None, (), len(params), answer.lastrowid, answer.query_id)
        return answer

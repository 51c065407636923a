"""Scripted connections in a test class: started for a test, put back and checked after it."""

from __future__ import annotations

import contextlib
import functools
import unittest
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from unittest.mock import ANY

from ..errors import SetUpError
from ..stubs import ConnectionStub
from ..stubs.expectations import Matcher

__all__ = ["ConnectionStubMixin"]

__unittest = True  # its frames are left out of tracebacks

#: The attribute of a test, and of its class, that holds the stubs which it has begun.
_STUBS = "_dbt_stubs"

if TYPE_CHECKING:
    _Base = unittest.TestCase
else:
    _Base = object


class _ForTestOrClass:
    """A method that may be called on a test, and on its class in ``setUpClass``."""

    def __init__(self, function: Callable[..., ConnectionStub]) -> None:
        self._function = function
        functools.update_wrapper(self, function)  # type: ignore[arg-type]

    def __get__(self, test: Any, owner: type) -> Callable[..., ConnectionStub]:
        return functools.partial(self._function, owner if test is None else test)


def _verify(holder: Any, stub: ConnectionStub) -> None:
    # so unittest marks a class whose setUpClass() has raised, before it cleans up
    if isinstance(holder, type) and vars(holder).get("_classSetupFailed"):
        stub.told_by("unittest.suite")
    stub.verify()


class ConnectionStubMixin(_Base):
    """Scripted connections in the place of real ones, with assertions on what was executed.

    It starts neither a database nor a server, and needs no setting.

    >>> import sqlite3
    >>> class CountTest(ConnectionStubMixin, unittest.TestCase):
    ...     def test_count(self):
    ...         stub = self.stub_connection("sqlite3.connect")
    ...         stub.on("select count(*) from item").returns([(3,)])
    ...         connection = sqlite3.connect("shop.db")
    ...         self.assertEqual(
    ...             connection.execute("select count(*) from item").fetchone(), (3,)
    ...         )
    ...         self.assertExecuted(stub, "select count(*) from item", times=1)
    >>> CountTest("test_count").run().wasSuccessful()
    True
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse a place to the right of ``TestCase``, as the other mixins do.

        :raises SetUpError: naming the class and the order that works.
        """
        super().__init_subclass__(**kwargs)
        order = cls.__mro__
        if unittest.TestCase in order and order.index(unittest.TestCase) < order.index(
            ConnectionStubMixin
        ):
            raise SetUpError(
                f"{cls.__name__} has ConnectionStubMixin to the right of TestCase. Write the "
                f"mixins first: class {cls.__name__}(ConnectionStubMixin, unittest.TestCase)."
            )

    @_ForTestOrClass
    def stub_connection(
        holder: Any,
        target: Any,
        *,
        style: str | None = None,
        strict: bool = True,
        keep_history: int | None = None,
    ) -> ConnectionStub:
        """Put scripted connections in the place of real ones, until the test ends.

        Called on the class, in ``setUpClass``, until the class ends.

        :param target: the dotted path of what the program calls to connect, or the thing itself.
        :param style: how connections behave: ``"snowflake"``, ``"psycopg2"``, ``"sqlite3"`` or
            ``"pep249"``; by default as the driver does that *target* comes from.
        :param strict: whether the test fails for expectations that it never used.
        :param keep_history: how many executions are kept for the assertions; None for all.
        :returns: the stub, started: ``stub.on("select 1").returns([(1,)])``.
        :raises StubError: there is no such target or style, or an option is of another type.
        """
        stub = ConnectionStub(target, style=style, strict=strict, keep_history=keep_history)
        add: Any = getattr(holder, "addClassCleanup" if isinstance(holder, type) else "addCleanup")
        stubs: list[ConnectionStub] = vars(holder).get(_STUBS, [])
        setattr(holder, _STUBS, stubs)
        stubs.append(stub)
        # the last is done first
        add(stubs.remove, stub)
        add(_verify, holder, stub)
        add(stub.stop)
        return stub.start()

    # -- what unittest runs of a test; these names are its own

    def _callSetUp(self) -> None:
        with self._dbt_telling():
            super()._callSetUp()  # type: ignore[misc]

    def _callTestMethod(self, method: Callable[[], Any]) -> None:
        with self._dbt_telling():
            super()._callTestMethod(method)  # type: ignore[misc]

    def _callTearDown(self) -> None:
        with self._dbt_telling():
            super()._callTearDown()  # type: ignore[misc]

    def _callCleanup(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        with self._dbt_telling():
            super()._callCleanup(function, *args, **kwargs)  # type: ignore[misc]

    @contextlib.contextmanager
    def subTest(self, *args: Any, **params: Any) -> Iterator[None]:
        """Begin a subtest, as ``unittest`` does; what it ends with is told there."""
        with super().subTest(*args, **params), self._dbt_telling():
            yield

    @contextlib.contextmanager
    def _dbt_telling(self) -> Iterator[None]:
        """Note what unittest is about to tell, so that no stub tells it again."""
        try:
            yield
        except BaseException as error:
            for holder in (self, *type(self).__mro__):
                for stub in vars(holder).get(_STUBS, ()):
                    stub.told(error)
            raise

    def assertExecuted(
        self,
        stub: ConnectionStub,
        statement: Matcher,
        params: Any = ANY,
        *,
        times: int | None = None,
    ) -> None:
        """Fail unless a statement was executed.

        :param stub: on whose connections.
        :param statement: its text, a compiled pattern, or a function of text and parameters.
        :param params: its parameters; by default any. None for none.
        :param times: how often; by default at least once.
        """
        self._dbt_assert(stub.assert_executed, statement, params, times=times)

    def assertNotExecuted(
        self, stub: ConnectionStub, statement: Matcher, params: Any = ANY
    ) -> None:
        """Fail where a statement was executed.

        :param stub: on whose connections.
        :param statement: its text, a compiled pattern, or a function of text and parameters.
        :param params: its parameters; by default any. None for none.
        """
        self._dbt_assert(stub.assert_not_executed, statement, params)

    def assertExecutedInOrder(
        self, stub: ConnectionStub, *statements: Matcher | tuple[Matcher, Any]
    ) -> None:
        """Fail unless statements were executed one after the other; others may come between.

        :param stub: on whose connections.
        :param statements: each as for :meth:`assertExecuted`, or a tuple of it and its parameters.
        """
        self._dbt_assert(stub.assert_executed_in_order, *statements)

    def assertCommitted(self, stub: ConnectionStub, *, times: int | None = None) -> None:
        """Fail unless the program called ``commit()``, and after all that it changed.

        :param stub: on whose connections.
        :param times: how often; by default at least once.
        """
        self._dbt_assert(stub.assert_committed, times=times)

    def assertRolledBack(self, stub: ConnectionStub, *, times: int | None = None) -> None:
        """Fail unless the program called ``rollback()``.

        :param stub: on whose connections.
        :param times: how often; by default at least once.
        """
        self._dbt_assert(stub.assert_rolled_back, times=times)

    def assertClosed(self, stub: ConnectionStub) -> None:
        """Fail unless the program connected, and closed all its connections.

        :param stub: whose connections.
        """
        self._dbt_assert(stub.assert_closed)

    def _dbt_assert(self, assertion: Callable[..., None], *args: Any, **kwargs: Any) -> None:
        try:
            assertion(*args, **kwargs)
        except AssertionError as error:
            text = str(error)
        else:
            return
        self.fail(text)

"""Every test of a class is undone, and has class data of its own."""

from __future__ import annotations

import contextlib
import functools
import inspect
import unittest
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Literal, cast

from sqlalchemy.orm import Session

from ..errors import SetUpError
from ..testdata import ClassData
from .engines import EngineMixin
from .pytests import around_fixtures
from .sessions import app_session, close_own_session, session_of_test
from .state import STATE, ClassState, Given, Undo

__all__ = ["SandboxMixin"]

__unittest = True  # its frames are left out of tracebacks


class SandboxMixin(EngineMixin):
    """Every test is undone: whatever its code does, commits included."""

    #: ``"test"``: each test is undone. ``"class"``: tests build on each other, and are undone
    #: at the end of the class.
    isolation: ClassVar[Literal["test", "class"]] = "test"

    #: Given: Flask-SQLAlchemy's session, else one bound to ``engine``, closed at the end. On the
    #: class during ``setUpTestData``.
    session: Any = Given(session_of_test, keep=False)

    #: pytest's, where it runs
    _dbt_fixture: ClassVar[Any] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Let pytest begin each test before its fixtures."""
        super().__init_subclass__(**kwargs)
        if SandboxMixin._dbt_fixture is None:
            SandboxMixin._dbt_fixture = around_fixtures(SandboxMixin._dbt_around_fixtures)

    @classmethod
    def setUpTestData(cls) -> None:
        """Write, once for the class, what all its tests start from. Override it; commit in it."""

    @classmethod
    def _dbt_has_class_data(cls) -> bool:
        hook = inspect.getattr_static(cls, "setUpTestData")
        return hook is not vars(SandboxMixin)["setUpTestData"]

    @classmethod
    def _dbt_set_up_data(cls, state: ClassState) -> None:
        if cls.isolation not in ("test", "class"):
            raise SetUpError(
                f'{cls.__name__}.isolation is {cls.isolation!r}. It may be "test" or "class".'
            )
        if cls._dbt_has_class_data():
            # before what users register in there, which still has the data
            cls.addClassCleanup(cls._dbt_drop_class_data, state)
            cls._dbt_make_class_data(state)
        state.fixture.raise_swallowed()

    @classmethod
    def _dbt_make_class_data(cls, state: ClassState) -> None:
        before = dict(vars(cls))
        own = None
        state.session = app_session(state, state.app)
        if state.session is None:
            state.session = own = Session(state.engines.get(None))
        try:
            cls.setUpTestData()
            # asked again, as the program may have removed the one it began with
            session = own or app_session(state, state.app)
            if session is not None:
                # before the session is closed, which undoes it
                state.fixture.warn_of_leftovers(session, cls.setUpTestData)
            state.data = ClassData.capture(
                cls,
                before,
                session=session,
                session_of=cast("Callable[[unittest.TestCase], Session]", session_of_test),
                wrote=state.fixture.wrote,
            )
        except BaseException as error:
            _restore(cls, before)
            found = state.fixture.explain(error)
            if found is not None:
                raise found from error
            raise
        finally:
            state.session = None
            if own is not None:
                own.close()

    @classmethod
    def _dbt_drop_class_data(cls, state: ClassState) -> None:
        data, state.data = state.data, None
        if data is not None:
            data.remove()

    @classmethod
    def _dbt_revive(cls, state: ClassState) -> None:
        """Make the class data anew, where they were lost with a connection.

        :raises SetUpError: what ``create_app`` wrote was lost too, and cannot be made again.
        """
        state.data_lost |= state.fixture.revive()
        if not state.data_lost:
            return
        if state.fixture.app_wrote:
            raise SetUpError(
                f"the connection to the database was lost in an earlier test, and what "
                f"{cls.__name__}.create_app() had written with it. The app cannot be made twice, "
                f"so the remaining tests of the class cannot run. Write such rows in "
                f"setUpTestData(), which is run again."
            )
        if cls._dbt_has_class_data():
            cls._dbt_drop_class_data(state)
            cls._dbt_make_class_data(state)
        state.fixture.freeze()
        state.data_lost = False

    @contextlib.contextmanager
    def _dbt_around_fixtures(self) -> Iterator[None]:
        """Begin the test before pytest's fixtures, and end it after them."""
        state: ClassState | None = type(self).__dict__.get(STATE)
        if state is None or self.isolation != "test":
            yield
            return
        fixture = state.fixture
        if state.data_lost or fixture.lost():
            type(self)._dbt_revive(state)
        fixture.begin_test()
        state.begun = True
        with contextlib.ExitStack() as stack:
            stack.callback(fixture.raise_swallowed)
            stack.callback(fixture.end_test)
            stack.callback(fixture.door.close_sessions)
            stack.callback(fixture.closing)
            stack.callback(setattr, state, "begun", False)
            yield

    def _dbt_enter_test(self, state: ClassState, undo: Undo) -> None:
        fixture = state.fixture
        if not state.begun:
            if state.data_lost or fixture.lost():
                type(self)._dbt_revive(state)
            if self.isolation == "test":
                fixture.begin_test()
            else:
                fixture.freeze()
        elif state.data is not None:
            # what a fixture has read is of another session
            state.data.forget(self)
        undo.append(functools.partial(self._dbt_leave_test, state, undo, fixture.mark()))
        state.test = self
        super()._dbt_enter_test(state, undo)
        if self.isolation == "test":
            undo.append(fixture.closing)

    def _dbt_leave_test(self, state: ClassState, undo: Undo, mark: tuple[int, int]) -> None:
        """Do what ends the test; most need one step for it, and pay for no list of steps."""
        fixture, data = state.fixture, state.data
        state.test = None
        own_session = "_dbt_session" in self.__dict__
        isolated = self.isolation == "test"
        if isolated and not state.begun and not own_session and not fixture.has_left(mark):
            if data is not None:
                data.forget(self)
            try:
                fixture.end_test()
            except BaseException:
                undo.append(fixture.raise_swallowed)
                raise
            fixture.raise_swallowed()
            return
        if data is not None:
            undo.append(functools.partial(data.forget, self))
        undo.append(fixture.raise_swallowed)
        if state.begun:
            undo.append(fixture.reopen)
        elif isolated:
            undo.append(fixture.end_test)
        undo.append(fixture.door.close_sessions)
        undo.append(functools.partial(fixture.let_go, mark))
        if own_session:
            undo.append(functools.partial(close_own_session, self))


def _restore(cls: type, before: Mapping[str, object]) -> None:
    """Put back the attributes that a failed ``setUpTestData`` has set."""
    for name, value in dict(vars(cls)).items():
        if name not in before:
            delattr(cls, name)
        elif before[name] is not value:
            setattr(cls, name, before[name])

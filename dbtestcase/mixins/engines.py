"""A leased database and its engines, and what surrounds each test."""

from __future__ import annotations

import functools
import inspect
import unittest
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy.engine import Engine

from ..engines import Key
from ..errors import AppError, DatabaseTestError, SetUpError
from ..fixture import DatabaseFixture, DatabaseURLs
from ..schemas import Schema
from .attributes import (
    check_names,
    check_tests,
    check_values,
    is_ours,
    never_awaited,
)
from .state import STATE, ClassState, Undo, end_forgotten

__all__ = ["EngineMixin"]

__unittest = True  # its frames are left out of tracebacks

_MISSING = object()

if TYPE_CHECKING:
    _Base = unittest.TestCase
else:
    _Base = object


class EngineMixin(_Base):
    """A leased database and its engines, made once for the class and disposed of at its end."""

    #: Which database: ``"postgresql"`` (the embedded server), ``"sqlite"`` (in memory), a URL, or
    #: a mapping of bind keys to those. The environment and ``setup.cfg`` come first, see
    #: :mod:`dbtestcase.settings`.
    database: ClassVar[str | Mapping[str, str] | Mapping[str | None, str] | None] = None
    #: What fills the empty database, or a mapping of bind keys to that. By default the metadata
    #: of Flask-SQLAlchemy and Alchemical are found.
    schema: ClassVar[Schema | Mapping[str, Schema] | Mapping[str | None, Schema] | None] = None
    #: Databases that engines may connect to as they are: names, file names or URLs.
    let_through: ClassVar[tuple[str, ...]] = ()
    #: Whether sequences are put back after each test, on databases that are ours alone.
    reset_sequences: ClassVar[bool] = True

    #: Given by the class: URLs and engines, by bind key for several.
    database_url: ClassVar[str]
    database_urls: ClassVar[DatabaseURLs]
    engine: Engine
    engines: dict[str | None, Engine]

    #: what holds the databases of the class
    _dbt_fixture_type: ClassVar[type[DatabaseFixture]] = DatabaseFixture
    # whether nobody but unittest and this class has a say in how a test method is called
    _dbt_calls_tests: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse a mixin to the right of ``TestCase``, where unittest would never run it.

        :raises SetUpError: naming the class and the order that works.
        """
        super().__init_subclass__(**kwargs)
        order = cls.__mro__
        callers = [base for base in order if "_callTestMethod" in vars(base)]
        cls._dbt_calls_tests = callers[-2:] == [EngineMixin, unittest.TestCase]
        if unittest.TestCase not in order:
            return
        case = order.index(unittest.TestCase)
        for base in order[case + 1 :]:
            if is_ours(base) and base.__name__.endswith("Mixin"):
                raise SetUpError(
                    f"{cls.__name__} has {base.__name__} to the right of TestCase, where unittest "
                    f"would silently never run it. Write the mixins first: "
                    f"class {cls.__name__}({base.__name__}, unittest.TestCase)."
                )
        for hook in ("create_app", "create_engine", "setUpTestData"):
            owners = [base for base in order if hook in vars(base)]
            users = [base for base in owners if not is_ours(base)]
            if owners and users and is_ours(owners[0]):
                raise SetUpError(
                    f"{cls.__name__} would never call {users[0].__name__}.{hook}, because "
                    f"{users[0].__name__} stands to the right of {owners[0].__name__}, which has "
                    f"one of its own. Write it first: "
                    f"class {cls.__name__}({users[0].__name__}, ...)."
                )

    @classmethod
    def create_engine(
        cls,
    ) -> Engine | Mapping[str, Engine] | Mapping[str | None, Engine] | None:
        """Return the program's engine, where there is one that was made elsewhere.

        Override it for a program whose engine is made at import, or to make one with options of
        your own. Whatever its URL says, it is connected to the class's database.

        :returns: an engine, or a mapping of bind keys to engines. By default None: the app's
            engines, else one for ``cls.database_url``.
        """
        return None

    @classmethod
    def setUpClass(cls) -> None:
        """Lease the database, open the door and make the engines."""
        super().setUpClass()
        end_forgotten()
        try:
            cls._dbt_set_up_class()
        except Exception:
            if (state := vars(cls).get(STATE)) is not None:
                state.fixture.forget_swallowed()  # this error is told, and stands for them
            raise
        except BaseException:
            # unittest and pytest call the class cleanups only after an Exception
            cls.doClassCleanups()
            raise

    @classmethod
    def _dbt_set_up_class(cls) -> None:
        cls._dbt_check_hooks()
        check_tests(cls)
        check_values(cls)
        check_names(cls)
        cls._dbt_check_schema()
        state = ClassState(cls)
        cls.addClassCleanup(state.forget)
        setattr(cls, STATE, state)
        cls.enterClassContext(state.fixture)
        state.set("database_urls", state.fixture.urls)
        state.set("database_url", state.fixture.urls[None])
        if isinstance(cls.schema, Mapping):
            for key in cls.schema:
                state.fixture.urls[key]  # leased now, so that each is filled in time
        cls._dbt_add_made_engines(state)
        cls._dbt_set_up_app(state)
        if state.engines or not cls._dbt_makes_app_per_test():
            cls._dbt_give_engines(state, state.set)
        state.fixture.note_app_writes()
        state.fixture.build_missing()
        # before all that users register: what the app's teardown functions do last changes nothing
        cls.addClassCleanup(state.fixture.closing)
        cls._dbt_set_up_data(state)

    @classmethod
    def _dbt_give_engines(cls, state: ClassState, give: Callable[[str, object], None]) -> None:
        if not state.engines:
            state.engines[None] = state.fixture.engine(None)
        give("engines", state.engines)
        give("engine", state.engines.get(None))

    @classmethod
    def _dbt_makes_app_per_test(cls) -> bool:
        return False

    @classmethod
    def _dbt_check_hooks(cls) -> None:
        for name in ("create_engine", "setUpTestData"):
            hook = inspect.getattr_static(cls, name, None)
            if hook is not None and not isinstance(hook, classmethod):
                kind = "a static" if isinstance(hook, staticmethod) else "an instance"
                raise SetUpError(
                    f"{cls.__name__}.{name} is {kind} method, but it is called once for the "
                    f"class, before there is a test. Make it a class method: add @classmethod "
                    f"above it and write def {name}(cls)."
                )
            if inspect.iscoroutinefunction(getattr(hook, "__func__", None)):
                raise SetUpError(
                    f"{cls.__name__}.{name} is async, and would never be awaited: it is called "
                    f"once for the class, before there is an event loop. Write it without async."
                )

    @classmethod
    def _dbt_check_schema(cls) -> None:
        schemas = cls.schema.values() if isinstance(cls.schema, Mapping) else [cls.schema]
        for schema in schemas:
            usable = callable(getattr(schema, "fingerprint", None)) and hasattr(schema, "build")
            if schema is not None and (isinstance(schema, type) or not usable):
                what = "a class" if isinstance(schema, type) else f"a {type(schema).__name__}"
                raise SetUpError(
                    f"{cls.__name__}.schema is {what}, which is no schema. Write "
                    f"MetadataSchema(Base.metadata), or SQLSchema with the paths of SQL files."
                )

    @classmethod
    def _dbt_schema(cls, state: ClassState) -> Any:
        """Give what the user says that fills the databases."""
        return cls.schema

    @classmethod
    def _dbt_add_made_engines(cls, state: ClassState) -> None:
        if inspect.getattr_static(cls, "create_engine") is vars(EngineMixin)["create_engine"]:
            return
        try:
            made = cls.create_engine()
        except (DatabaseTestError, unittest.SkipTest):
            raise
        except Exception as error:
            raise AppError(
                f"{cls.__name__}.create_engine() raised {type(error).__name__}: {error}\n"
                f"No test of {cls.__name__} can run without its engine; the traceback above this "
                f"one shows where it failed."
            ) from error
        if made is None:
            raise AppError(
                f"{cls.__name__}.create_engine() returned None instead of an engine. Its last "
                f"line may be missing: return engine."
            )
        engines: dict[Key, Engine] = {}
        engines.update(made if isinstance(made, Mapping) else {None: made})  # type: ignore[arg-type]
        for engine in engines.values():
            if not isinstance(engine, Engine):
                raise AppError(
                    f"{cls.__name__}.create_engine() returned a {type(engine).__name__}, which is "
                    f"no SQLAlchemy Engine. Return what sqlalchemy.create_engine() made, or a "
                    f"mapping of bind keys to such engines."
                )
        state.engines.update(engines)
        state.fixture.add_engines(engines)

    # FlaskMixin and SandboxMixin have their say here, in this order.

    @classmethod
    def _dbt_set_up_app(cls, state: ClassState) -> None:
        """Make the app."""

    @classmethod
    def _dbt_set_up_data(cls, state: ClassState) -> None:
        """Make the class data."""

    def _dbt_enter_test(self, state: ClassState, undo: Undo) -> None:
        """Begin what surrounds the test, each part followed by what undoes it."""

    # -- the test --------------------------------------------------------------------

    # Every test pays for what stands here: no context managers, no decorators, and one cleanup,
    # as unittest takes longer to call a cleanup than most of ours take.

    def _dbt_surrounded(self, run: Callable[..., Any], *args: Any) -> Any:
        """Run the test with an instance's ``setUp`` that begins with ours."""
        given = self.__dict__
        kept = given.get("setUp", _MISSING)
        given["setUp"] = functools.partial(self._dbt_set_up, self.setUp)
        try:
            return run(*args)
        finally:
            if kept is _MISSING:
                given.pop("setUp", None)
            else:
                given["setUp"] = kept
            if (state := type(self).__dict__.get(STATE)) is not None:
                state.test = None  # Ctrl-C leaves the cleanups out

    def _dbt_set_up(self, users: Callable[[], Any]) -> Any:
        state = type(self).__dict__.get(STATE) or self._dbt_state()
        undo: Undo = []
        self.addCleanup(self._dbt_undo, undo)
        self._dbt_enter_test(state, undo)
        return users()

    def _dbt_undo(self, undo: Undo) -> None:
        """Undo what surrounds the test, the last first, whatever fails."""
        try:
            while undo:
                undo.pop()()
        finally:
            if undo:  # unittest tells of the error, and goes on with the next cleanup
                self.addCleanup(self._dbt_undo, undo)

    def _callTestMethod(self, method: Callable[[], Any]) -> None:
        """Note what the test method raises; the name is unittest's own."""
        try:
            if self._dbt_calls_tests:
                returned = method()
                if returned is None:
                    return
                self._dbt_refuse_coroutine(returned)
                method = functools.wraps(method)(lambda: returned)  # unittest warns of it
            super()._callTestMethod(method)  # type: ignore[misc]
        except BaseException as error:
            self._dbt_told(error)
            raise

    def _dbt_refuse_coroutine(self, returned: object) -> None:
        """Refuse what an async test returns that a decorator has hidden until now."""
        if inspect.iscoroutine(returned):
            returned.close()
            name = self.id().rpartition(".")[2]
            raise never_awaited(type(self), f"{type(self).__name__}.{name}")

    def _dbt_told(self, error: BaseException) -> None:
        """Leave out of what the program swallowed what the test itself ends with."""
        state = type(self).__dict__.get(STATE)
        if state is None:
            return
        seen: set[int] = set()
        link: BaseException | None = error
        while link is not None and id(link) not in seen:  # one may be its own cause
            state.fixture.forget_swallowed(link)
            seen.add(id(link))
            link = link.__cause__ or link.__context__

    def _dbt_state(self) -> ClassState:
        state: ClassState | None = type(self).__dict__.get(STATE)
        if state is None:
            owners = (base for base in type(self).__mro__ if "setUpClass" in vars(base))
            owner = next(owners)
            name = owner.__name__
            if is_ours(owner):
                raise SetUpError(
                    f"{type(self).__name__}.setUpClass() was not called by what runs its tests, "
                    f"so there is no database for them. Let it run whole classes: "
                    f"unittest-parallel --level=class, for example."
                )
            raise SetUpError(
                f"{name}.setUpClass() does not call super().setUpClass(), so there is no database "
                f"for its tests. Make it the first line of {name}.setUpClass()."
            )
        return state

    def run(self, result: unittest.TestResult | None = None) -> unittest.TestResult | None:
        """Run the test, surrounded by what the mixins do."""
        surrounded: unittest.TestResult | None = self._dbt_surrounded(super().run, result)
        return surrounded

    def debug(self) -> None:
        """Run the test without collecting the result, surrounded by what the mixins do."""
        self._dbt_surrounded(super().debug)

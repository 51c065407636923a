"""A leased database and its engines, and what surrounds each test."""

from __future__ import annotations

import contextlib
import functools
import inspect
import unittest
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy.engine import Engine

from ..engines import Key
from ..errors import AppError, DatabaseTestError, SetUpError
from ..fixture import DatabaseURLs
from ..schemas import Schema
from .state import STATE, ClassState

__all__ = ["EngineMixin"]

__unittest = True  # its frames are left out of tracebacks

if TYPE_CHECKING:
    _Base = unittest.TestCase
else:
    _Base = object


class EngineMixin(_Base):
    """A leased database and its engines, made once for the class and disposed of at its end."""

    #: Which database: ``"postgresql"`` (the embedded server), ``"sqlite"`` (in memory), a URL, or
    #: a mapping of bind keys to those. The environment and ``setup.cfg`` come first, see
    #: :mod:`dbtestcase.settings`.
    database: ClassVar[str | Mapping[str | None, str] | None] = None
    #: What fills the empty database, or a mapping of bind keys to that. By default the metadata
    #: of Flask-SQLAlchemy and Alchemical are found.
    schema: ClassVar[Schema | Mapping[str | None, Schema] | None] = None
    #: Databases that engines may connect to as they are: names, file names or URLs.
    let_through: ClassVar[tuple[str, ...]] = ()
    #: Whether sequences are put back after each test, on databases that are ours alone.
    reset_sequences: ClassVar[bool] = True

    #: Given by the class: URLs and engines, by bind key for several.
    database_url: ClassVar[str]
    database_urls: ClassVar[DatabaseURLs]
    engine: ClassVar[Engine]
    engines: ClassVar[dict[str | None, Engine]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse a mixin to the right of ``TestCase``, where unittest would never run it.

        :raises SetUpError: naming the class and the order that works.
        """
        super().__init_subclass__(**kwargs)
        order = cls.__mro__
        if unittest.TestCase not in order:
            return
        case = order.index(unittest.TestCase)
        for index, base in enumerate(order):
            if (
                index > case
                and base.__module__.startswith(__package__)
                and base.__name__.endswith("Mixin")
            ):
                raise SetUpError(
                    f"{cls.__name__} has {base.__name__} to the right of TestCase, where unittest "
                    f"would silently never run it. Write the mixins first: "
                    f"class {cls.__name__}({base.__name__}, unittest.TestCase)."
                )

    @classmethod
    def create_engine(cls) -> Engine | Mapping[str | None, Engine] | None:
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
        state = ClassState(cls)
        cls.addClassCleanup(cls._forget_state)
        setattr(cls, STATE, state)
        cls.enterClassContext(state.fixture)
        state.set("database_urls", state.fixture.urls)
        state.set("database_url", state.fixture.urls[None])
        cls._check_hooks()
        cls._add_made_engines(state)
        cls._set_up_app(state)
        if state.engines or not cls._makes_app_per_test():
            cls._give_engines(state, state.set)
        state.fixture.build_missing()
        state.fixture.app_wrote = state.fixture.wrote()
        cls._set_up_data(state)
        state.fixture.freeze()
        # first of all cleanups: what the app's teardown functions do then changes nothing
        cls.addClassCleanup(state.fixture.closing)

    @classmethod
    def _give_engines(cls, state: ClassState, give: Callable[[str, object], None]) -> None:
        if not state.engines:
            state.engines[None] = state.fixture.engine(None)
        give("engines", state.engines)
        give("engine", state.engines.get(None))

    @classmethod
    def _makes_app_per_test(cls) -> bool:
        return False

    @classmethod
    def _forget_state(cls) -> None:
        if STATE in vars(cls):
            delattr(cls, STATE)

    @classmethod
    def _check_hooks(cls) -> None:
        for name in ("create_engine", "setUpTestData"):
            hook = inspect.getattr_static(cls, name, None)
            if inspect.isfunction(hook):
                raise SetUpError(
                    f"{cls.__name__}.{name} is an instance method, but it is called once for the "
                    f"class, before there is a test. Make it a class method: add @classmethod "
                    f"above it and write def {name}(cls)."
                )

    @classmethod
    def _add_made_engines(cls, state: ClassState) -> None:
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
        engines: dict[Key, Engine] = dict(made) if isinstance(made, Mapping) else {None: made}
        for engine in engines.values():
            if not isinstance(engine, Engine):
                raise AppError(
                    f"{cls.__name__}.create_engine() returned {engine!r}, which is no SQLAlchemy "
                    f"Engine. Return what sqlalchemy.create_engine() made, or a mapping of bind "
                    f"keys to such engines."
                )
        state.engines.update(engines)
        state.fixture.add_engines(engines)

    # FlaskMixin and SandboxMixin have their say here, in this order.

    @classmethod
    def _set_up_app(cls, state: ClassState) -> None:
        """Make the app."""

    @classmethod
    def _set_up_data(cls, state: ClassState) -> None:
        """Make the class data."""

    def _enter_test(self, state: ClassState) -> None:
        """Begin what surrounds the test, each part with its cleanup."""

    # -- the test --------------------------------------------------------------------

    @contextlib.contextmanager
    def _surrounded(self) -> Iterator[None]:
        """Let the instance's ``setUp`` begin with ours, for one run of the test."""
        users = self.setUp

        @functools.wraps(users)
        def set_up() -> Any:
            self._enter_test(self._state())
            return users()

        self.setUp = set_up  # type: ignore[method-assign]
        try:
            yield
        finally:
            del self.setUp

    def _state(self) -> ClassState:
        state: ClassState | None = type(self).__dict__.get(STATE)
        if state is None:
            name = type(self).__name__
            raise SetUpError(
                f"{name}.setUpClass() does not call super().setUpClass(), so there is no database "
                f"for its tests. Make it the first line of {name}.setUpClass()."
            )
        return state

    def run(self, result: unittest.TestResult | None = None) -> unittest.TestResult | None:
        """Run the test, surrounded by what the mixins do."""
        with self._surrounded():
            return super().run(result)

    def debug(self) -> None:
        """Run the test without collecting the result, surrounded by what the mixins do."""
        with self._surrounded():
            super().debug()

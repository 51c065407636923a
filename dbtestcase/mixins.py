"""One mixin per capability; each only ties a module below to the hooks of ``unittest``.

.. code-block:: text

    EngineMixin    a leased database, its engines, and their disposal
    FlaskMixin     the app, its client and contexts, requests as in production
    SandboxMixin   every test is undone, class data are new for each

They are plain classes and stand left of ``TestCase``: right of it unittest would never run
them, which is refused. What surrounds a test does not depend on ``super().setUp()``: ``run()``
puts it around the instance's ``setUp``, so that it happens where the test runs, and undoing is
registered as a cleanup right after each doing.

Users overwrite such names as ``self.app`` and ``self.session``. So what the library itself
needs is kept in one object per class, :class:`ClassState`, and never read from there.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import unittest
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session

from .engines import Key
from .errors import AppError, DatabaseTestError, SetUpError
from .fixture import DatabaseFixture, DatabaseURLs
from .schemas import MetadataSchema, Schema
from .settings import Setting, choose
from .testdata import ClassData

if TYPE_CHECKING:
    from flask import Flask
    from flask.ctx import AppContext
    from flask.testing import FlaskClient

__all__ = ["EngineMixin", "FlaskMixin", "SandboxMixin"]

__unittest = True  # its frames are left out of tracebacks

_STATE = "_dbtestcase"


class ClassState:
    """What the library holds for one test class, whatever users do to its attributes."""

    def __init__(self, owner: type[EngineMixin]) -> None:
        self.owner = owner
        self.app: Flask | None = None
        self.context: AppContext | None = None
        self.engines: dict[Key, Engine] = {}
        self.session: Session | None = None
        self.data: ClassData | None = None
        self.test: EngineMixin | None = None
        self.fixture = DatabaseFixture(
            owner.__name__,
            setting=self._setting,
            schema=self._schema,
            app_engines=self._app_engines,
            let_through=tuple(owner.let_through),
            reset_sequences=owner.reset_sequences,
        )

    def _setting(self, key: Key) -> Setting:
        owner = self.owner
        return choose(owner.database, declared_by=_declaring(owner, "database"), bind=key)

    def _schema(self, key: Key) -> tuple[Schema | None, bool]:
        named = self.owner.schema
        if isinstance(named, Mapping):
            named = named.get(key)
        if named is not None:
            return named, True
        from .flaskapp import current_metadatas

        metadata = current_metadatas(self.app).get(key)
        return (None if metadata is None else MetadataSchema(metadata)), False

    def _app_engines(self) -> Mapping[Key, Engine]:
        from .flaskapp import current_engines

        return current_engines()

    def set(self, name: str, value: object) -> None:
        """Set a class attribute until the class's end."""
        owner = self.owner
        had, old = name in vars(owner), vars(owner).get(name)
        setattr(owner, name, value)

        def put_back() -> None:
            if had:
                setattr(owner, name, old)
            elif name in vars(owner):
                delattr(owner, name)

        cast("type[unittest.TestCase]", owner).addClassCleanup(put_back)


def _declaring(owner: type, name: str) -> str:
    for base in owner.__mro__:
        if name in vars(base):
            return base.__name__
    return owner.__name__


class _Given:
    """A non-data descriptor: users may overwrite what it gives, on the class and on a test."""

    def __init__(self, give: Callable[[Any], Any], *, keep: bool) -> None:
        self._give, self._keep = give, keep
        functools.update_wrapper(self, give)  # type: ignore[arg-type]

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, test: Any, owner: type[EngineMixin]) -> Any:
        if test is None:
            state = owner.__dict__.get(_STATE)
            return state.session if state is not None and self._name == "session" else None
        value = self._give(test)
        if self._keep:
            test.__dict__[self._name] = value
        return value


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
            if index > case and base.__module__ == __name__ and base.__name__.endswith("Mixin"):
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
        setattr(cls, _STATE, state)
        cls.enterClassContext(state.fixture)
        cls.addClassCleanup(state.fixture.closing)
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
        if _STATE in vars(cls):
            delattr(cls, _STATE)

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
        state: ClassState | None = type(self).__dict__.get(_STATE)
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


class FlaskMixin(EngineMixin):
    """The app in a test: made once per class, with contexts, and requests as in production."""

    #: ``"class"``: one app for all tests. ``"test"``: ``create_app`` is called for each test,
    #: inside its savepoint; for the class as well only where ``setUpTestData`` is overridden.
    app_scope: ClassVar[Literal["class", "test"]] = "class"
    #: Whether an app context is pushed for the class and for each test.
    push_app_context: ClassVar[bool] = True

    #: Override as a class method that returns the Flask app. A class attribute
    #: ``app = Flask(...)`` stands for it.
    create_app: ClassVar[Any] = None
    #: Given: the Flask app.
    app: Any = None

    @staticmethod
    def _make_client(test: FlaskMixin) -> FlaskClient | None:
        app = test.__dict__.get("_dbtestcase_app") or test._state().app
        return None if app is None else app.test_client()

    client: Any = _Given(_make_client.__func__, keep=True)  # type: ignore[attr-defined]

    @classmethod
    def _set_up_app(cls, state: ClassState) -> None:
        from .flaskapp import find_create_app

        factory = find_create_app(cls)
        if cls.app_scope not in ("class", "test"):
            raise SetUpError(
                f'{cls.__name__}.app_scope is {cls.app_scope!r}. It may be "class" or "test".'
            )
        if factory is None:
            return
        if cls.app_scope == "class" or cls._has_class_data():
            app = cls._make_app(state, factory, cls.addClassCleanup)
            state.app = app
            if cls.app_scope == "class":
                state.set("app", app)
            engines = cls._push_and_ask(state, app, cls.addClassCleanup)
            state.engines = {**engines, **state.engines}

    @classmethod
    def _has_class_data(cls) -> bool:
        return False

    @classmethod
    def _make_app(cls, state: ClassState, factory: object, cleanup: Callable[..., Any]) -> Flask:
        """Call ``create_app``, and see to it that what is changed on the app is put back."""
        from .flaskapp import config_restored, isolated_requests, make_app

        try:
            app = make_app(cls, factory)
        except DatabaseTestError as error:
            found = state.fixture.explain(error)
            if found is not None:
                raise found from error
            raise
        for context in (
            isolated_requests(
                app, before=state.fixture.warn_of_uncommitted, after=lambda: _expire(state)
            ),
            config_restored(app),
        ):
            context.__enter__()
            cleanup(context.__exit__, None, None, None)
        return app

    @classmethod
    def _push_and_ask(
        cls, state: ClassState, app: Flask, cleanup: Callable[..., Any]
    ) -> dict[Key, Engine]:
        """Push an app context, if wanted, and ask the app's extension for its engines."""
        from .flaskapp import engines_of

        if cls.push_app_context:
            cls._push_context(state, app, cleanup)
            engines = engines_of(app)
        else:
            with app.app_context():
                engines = engines_of(app)
        state.fixture.add_engines(engines)
        return engines

    @staticmethod
    def _push_context(state: ClassState, app: Flask, cleanup: Callable[..., Any]) -> None:
        from .flaskapp import pushed_context

        cleanup(setattr, state, "context", state.context)
        context = pushed_context(app)
        state.context = context.__enter__()
        cleanup(context.__exit__, None, None, None)

    @classmethod
    def _makes_app_per_test(cls) -> bool:
        from .flaskapp import find_create_app

        return cls.app_scope == "test" and find_create_app(cls) is not None

    def _enter_test(self, state: ClassState) -> None:
        super()._enter_test(state)
        if self._makes_app_per_test():
            self._set_up_app_of_test(state)
        elif state.app is not None and self.push_app_context:
            self._push_context(state, state.app, self.addCleanup)

    def _set_up_app_of_test(self, state: ClassState) -> None:
        from .flaskapp import find_create_app

        app = self._make_app(state, find_create_app(type(self)), self.addCleanup)
        self.__dict__["_dbtestcase_app"] = self.app = app
        self.addCleanup(self.__dict__.pop, "_dbtestcase_app", None)
        engines = self._push_and_ask(state, app, self.addCleanup)
        engines = {**state.engines, **engines} or {None: state.fixture.engine(None)}
        self.__dict__.update(engines=engines, engine=engines.get(None))
        self.__dict__["_dbtestcase_engine"] = engines.get(None)
        state.fixture.build_missing()


def _expire(state: ClassState) -> None:
    """After a request the test reads what the database holds."""
    from .flaskapp import expire_gently

    if state.test is not None:
        session = _session_of(state.test, make=False)
        if session is not None:
            expire_gently(session)


def _session_of(test: Any, *, make: bool = True) -> Session | None:
    """Give the session of a test: the app extension's, else one of our own."""
    state: ClassState = test._state()
    session = _app_session(state, test.__dict__.get("_dbtestcase_app") or state.app)
    if session is not None:
        return session
    own: Session | None = test.__dict__.get("_dbtestcase_session")
    if own is None and make:
        own = Session(test.__dict__.get("_dbtestcase_engine") or state.engines[None])
        test.__dict__["_dbtestcase_session"] = own
        test.addCleanup(test.__dict__.pop, "_dbtestcase_session", None)
        test.addCleanup(own.close)
    return own


def _app_session(state: ClassState, app: Flask | None) -> Session | None:
    if app is None or state.context is None:
        return None
    from .flaskapp import in_context, session_of

    with in_context(state.context):
        return session_of(app)


class SandboxMixin(EngineMixin):
    """Every test is undone: whatever its code does, commits included."""

    #: ``"test"``: each test is undone. ``"class"``: tests build on each other, and are undone
    #: at the end of the class.
    isolation: ClassVar[Literal["test", "class"]] = "test"

    #: Given: Flask-SQLAlchemy's session, else one bound to ``engine``, closed at the end. On the
    #: class during ``setUpTestData``.
    session: Any = _Given(_session_of, keep=False)

    @classmethod
    def setUpTestData(cls) -> None:
        """Write, once for the class, what all its tests start from. Override it; commit in it."""

    @classmethod
    def _has_class_data(cls) -> bool:
        return cls.setUpTestData.__func__ is not SandboxMixin.setUpTestData.__func__  # type: ignore[attr-defined]

    @classmethod
    def _set_up_data(cls, state: ClassState) -> None:
        if cls.isolation not in ("test", "class"):
            raise SetUpError(
                f'{cls.__name__}.isolation is {cls.isolation!r}. It may be "test" or "class".'
            )
        if not cls._has_class_data():
            return
        cls._make_class_data(state)
        cls.addClassCleanup(cls._drop_class_data, state)

    @classmethod
    def _make_class_data(cls, state: ClassState) -> None:
        session = _app_session(state, state.app)
        own = None
        if session is None and None in state.engines:
            session = own = Session(state.engines[None])
        state.session = session
        before = dict(vars(cls))
        try:
            cls.setUpTestData()
            state.data = ClassData.capture(
                cls,
                before,
                session=session,
                session_of=cast("Callable[[unittest.TestCase], Session]", _session_of),
                wrote=state.fixture.wrote,
            )
        except Exception as error:
            found = state.fixture.explain(error)
            if found is not None:
                raise found from error
            raise
        finally:
            state.session = None
            if own is not None:
                own.close()

    @classmethod
    def _drop_class_data(cls, state: ClassState) -> None:
        data, state.data = state.data, None
        if data is not None:
            data.remove()

    @classmethod
    def _revive(cls, state: ClassState) -> None:
        """Make the class data anew, where they were lost with a connection.

        :raises SetUpError: what ``create_app`` wrote was lost too, and cannot be made again.
        """
        if not state.fixture.revive():
            return
        if state.fixture.app_wrote:
            state.fixture.app_lost = True
        if state.fixture.app_lost:
            raise SetUpError(
                f"the connection to the database was lost in an earlier test, and what "
                f"{cls.__name__}.create_app() had written with it. The app cannot be made twice, "
                f"so the remaining tests of the class cannot run. Write such rows in "
                f"setUpTestData(), which is run again."
            )
        if cls._has_class_data():
            cls._drop_class_data(state)
            cls._make_class_data(state)
        state.fixture.freeze()

    def _enter_test(self, state: ClassState) -> None:
        fixture = state.fixture
        type(self)._revive(state)
        if state.data is not None:
            self.addCleanup(state.data.forget, self)
        if self.isolation == "test":
            fixture.begin_test()
            self.addCleanup(fixture.end_test)
        self.addCleanup(fixture.door.close_sessions)
        self.addCleanup(fixture.let_go, fixture.mark())
        state.test = self
        self.addCleanup(setattr, state, "test", None)
        super()._enter_test(state)
        if self.isolation == "test":
            self.addCleanup(fixture.closing)

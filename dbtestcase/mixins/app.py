"""The Flask app in a test class."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from ..engines import Key
from ..errors import DatabaseTestError, SetUpError
from ..flaskapp import (
    config_restored,
    contexts_restored,
    engines_of,
    find_create_app,
    isolated_requests,
    make_app,
    pushed_context,
)
from .engines import EngineMixin
from .sessions import expire_session_of
from .state import ClassState, Given, Undo

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient
    from sqlalchemy.engine import Engine

__all__ = ["FlaskMixin"]

__unittest = True  # its frames are left out of tracebacks


_Entered = TypeVar("_Entered")


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
    def _dbt_make_client(test: FlaskMixin) -> FlaskClient:
        app = test.__dict__.get("_dbt_app") or test._dbt_state().app
        if app is None:
            name = type(test).__name__
            raise SetUpError(
                f"{name}.client has no app to send requests to: {name} has no create_app, and no "
                f"Flask app as its class attribute app. Write one of the two; create_app is a "
                f"class method that returns the app."
            )
        client: FlaskClient = app.test_client()
        return client

    #: Given: a client of the app, new in each test.
    client: Any = Given(_dbt_make_client.__func__, keep=True)  # type: ignore[attr-defined]

    @classmethod
    def _dbt_set_up_app(cls, state: ClassState) -> None:
        factory = find_create_app(cls)
        if cls.app_scope not in ("class", "test"):
            raise SetUpError(
                f'{cls.__name__}.app_scope is {cls.app_scope!r}. It may be "class" or "test".'
            )
        if factory is None:
            return
        state.app_per_test = cls.app_scope == "test"
        if cls.app_scope == "class" or cls._dbt_has_class_data():
            app = cls._dbt_make_app(state, factory, cls.enterClassContext)
            state.app, state.config = app, config_restored(app)
            if cls.app_scope == "class":
                state.set("app", app)
            if cls.push_app_context:
                state.context_of_class = pushed_context(app)
                state.context_of_test = pushed_context(app)
            pushed = state.context_of_class
            engines = cls._dbt_push_and_ask(state, app, pushed, cls.enterClassContext)
            state.engines = {**engines, **state.engines}

    @classmethod
    def _dbt_has_class_data(cls) -> bool:
        return False

    @classmethod
    def _dbt_make_app(cls, state: ClassState, factory: object, enter: Callable[..., Any]) -> Flask:
        """Call ``create_app``, and see to it that what is changed on the app is put back.

        :param enter: ``enterClassContext`` of the class or ``enterContext`` of the test.
        """
        # a factory may push a context and leave it there, as Flask's own tutorials do
        enter(contexts_restored())
        try:
            app = make_app(cls, factory)
        except DatabaseTestError as error:
            found = state.fixture.explain(error)
            if found is not None:
                raise found from error
            raise
        enter(
            isolated_requests(
                app,
                before=state.fixture.warn_of_uncommitted,
                after=lambda: expire_session_of(state),
            )
        )
        enter(config_restored(app))
        return app

    @classmethod
    def _dbt_push_and_ask(
        cls,
        state: ClassState,
        app: Flask,
        pushed: pushed_context | None,
        enter: Callable[..., Any],
    ) -> dict[Key, Engine]:
        """Push an app context, if wanted, and ask the app's extension for its engines."""
        if pushed is not None:
            enter(pushed)
            engines = engines_of(app)
        else:
            # to its end: the schema may be migrations, whose env.py asks for the app
            with app.app_context():
                engines = engines_of(app)
                state.fixture.add_engines(engines)
            return engines
        state.fixture.add_engines(engines)
        return engines

    @classmethod
    def _dbt_makes_app_per_test(cls) -> bool:
        return cls.app_scope == "test" and find_create_app(cls) is not None

    def _dbt_enter_test(self, state: ClassState, undo: Undo) -> None:
        super()._dbt_enter_test(state, undo)
        if state.app_per_test:
            self._dbt_set_up_app_of_test(state, undo)
        elif state.app is not None and state.config is not None:
            state.config.__enter__()
            undo.append(state.config.__exit__)
            if (pushed := state.context_of_test) is not None:
                pushed.__enter__()
                undo.append(pushed.__exit__)
            else:
                contexts = contexts_restored()
                contexts.__enter__()
                undo.append(contexts.__exit__)

    def _dbt_set_up_app_of_test(self, state: ClassState, undo: Undo) -> None:
        def enter(context: AbstractContextManager[_Entered]) -> _Entered:
            entered = context.__enter__()
            undo.append(lambda: context.__exit__(None, None, None))
            return entered

        app = self._dbt_make_app(state, find_create_app(type(self)), enter)
        state.context_of_test = pushed_context(app) if self.push_app_context else None
        engines = self._dbt_push_and_ask(state, app, state.context_of_test, enter)
        engines = {**state.engines, **engines} or {None: state.fixture.engine(None)}
        engine = engines.get(None)
        # past properties that users may have of these names
        given = {"app": app, "engine": engine, "engines": engines}
        given |= {"_dbt_app": app, "_dbt_engine": engine}
        self.__dict__.update(given)
        undo += [functools.partial(self.__dict__.pop, name, None) for name in given]
        state.fixture.build_missing()

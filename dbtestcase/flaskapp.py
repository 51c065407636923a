"""A Flask application in a test: its engines, its requests and what is put back after it.

Only this module knows Flask and its database extensions. It imports nothing that the
application did not import: an extension is known by what it leaves in ``app.extensions``, so
Flask-SQLAlchemy, Flask-SQLAlchemy-Lite and Alchemical need not be installed.

Requests run as in production. A test usually has an app context pushed, and Flask takes a
pushed context for its own: view and test would share ``g`` and the session, and a view that
forgets to commit would pass its test. :func:`isolated_requests` runs each request in a
:class:`contextvars.Context` that holds everything of the test's but Flask's contexts; Flask
then makes and pops its own, as it does on a server.

.. code-block:: text

    the test's Context              the request's Context
      app context (pushed)    ──►     (none: Flask makes and pops its own)
      other variables         ──►     other variables
"""

from __future__ import annotations

import contextlib
import contextvars
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias
from unittest import SkipTest

from sqlalchemy import Engine, MetaData
from sqlalchemy import inspect as sa_inspect
from sqlalchemy.orm import Mapper, Session, scoped_session

from .errors import AppError, DatabaseTestError

if TYPE_CHECKING:
    from flask import Flask

__all__ = [
    "config_restored",
    "current_engines",
    "current_metadatas",
    "engines_of",
    "expire_gently",
    "find_create_app",
    "in_context",
    "isolated_requests",
    "make_app",
    "metadatas_of",
    "pushed_context",
    "session_of",
]

__unittest = True  # unittest leaves frames of this module out of tracebacks

_EXTENSIONS = ("sqlalchemy", "alchemical")  # keys of app.extensions
_CONTAINERS = frozenset({dict, list, set})
_Kinds: TypeAlias = tuple[type, ...]
_inside = contextvars.ContextVar("dbtestcase.inside_request", default=False)


# --------------------------------------------------------------------------- making the app


def find_create_app(cls: type) -> object | None:
    """Return what makes the app of a test class: ``create_app``, or a class attribute ``app``.

    The class nearest in the order of inheritance decides, ``create_app`` first where one class
    has both. ``create_app = None`` counts as having none.

    :param cls: the test class.
    :returns: something for :func:`make_app`, or None where the class has no app.
    """
    for base in cls.__mro__:
        if base.__dict__.get("create_app") is not None:
            factory: object = getattr(cls, "create_app", None)
            return factory
        app: object = base.__dict__.get("app")
        if _is_flask(app):
            return app
    return None


def make_app(cls: type, create_app: object) -> Flask:
    """Make the app of a test class by calling what its author wrote.

    .. code-block:: python

        app = make_app(SignupTest, find_create_app(SignupTest))

    :param cls: the test class, for the error texts.
    :param create_app: a class method, or anything that can be called without arguments and
        returns a Flask app; or a Flask app.
    :returns: the app. It may be one that exists already (``app = Flask(__name__)`` in a module).
    :raises AppError: ``create_app`` raised, returned no Flask app, or needs an argument.
        Errors of this library (a refused connection) and ``SkipTest`` pass as they are.
    """
    if _is_flask(create_app):
        return create_app  # type: ignore[return-value]
    name = f"{cls.__name__}.create_app"
    if not callable(create_app):
        raise AppError(
            f"{name} is {_a(create_app)}, which cannot be called. "
            f"Define it as a class method that returns the Flask app: "
            f"@classmethod, def create_app(cls)."
        )
    _check_parameters(name, create_app)
    try:
        app = create_app()
    except (DatabaseTestError, SkipTest):
        raise
    except (Exception, SystemExit) as error:  # sys.exit() in a factory would end the whole run
        text = f"{type(error).__name__}: {error}".removesuffix(": ")
        raise AppError(
            f"{name}() raised {text}\n"
            f"No test of {cls.__name__} can run without its app; "
            f"the traceback above this one shows where it failed."
        ) from error
    if app is None:
        raise AppError(
            f"{name}() returned None instead of a Flask app. "
            f"Its last line may be missing: return app."
        )
    if not _is_flask(app):
        raise AppError(
            f"{name}() returned {_a(app)} instead of a Flask app. "
            f"Return the object that flask.Flask() made; wrap app.wsgi_app instead of the app."
        )
    return app  # type: ignore[no-any-return]


def _check_parameters(name: str, create_app: Callable[..., Any]) -> None:
    try:
        signature = inspect.signature(create_app)
    except (TypeError, ValueError):
        return  # a callable written in C tells nothing: calling it will
    try:
        signature.bind()
    except TypeError:
        needed = [
            p.name
            for p in signature.parameters.values()
            if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        ]
        if needed == ["self"]:
            raise AppError(
                f"{name}(self) is an instance method, but the app is made once for the class, "
                f"before there is a test. Make it a class method: "
                f"add @classmethod above it and write def create_app(cls)."
            ) from None
        raise AppError(
            f"{name}({', '.join(needed)}) needs arguments, and is called without any. "
            f"Define a class method that gives them: @classmethod, def create_app(cls)."
        ) from None


def _is_flask(value: object) -> bool:
    flask = sys.modules.get("flask")  # where it was never imported, nothing is a Flask app
    return flask is not None and issubclass(type(value), flask.Flask)


def _a(value: object) -> str:
    kind = type(value).__name__
    return f"{'an' if kind[0] in 'AEIOUaeiou' else 'a'} {kind}"


# ------------------------------------------------------------------ what its extensions know


def engines_of(app: Flask) -> dict[str | None, Engine]:
    """Return the engines of the app's database extension by bind key, the default one as None.

    Needs an app context of this app, which the caller has pushed.

    :param app: the app.
    :returns: empty where the app uses SQLAlchemy without an extension that we know.
    """
    extension = _extension(app)
    if hasattr(extension, "get_engine") and getattr(extension, "engines", True) is None:
        extension.get_engine()  # Alchemical makes its engines when first asked
    engines = getattr(extension, "engines", None) or {}
    return {
        None if key == "default" else key: engine
        for key, engine in dict(engines).items()
        if isinstance(engine, Engine)
    }


def metadatas_of(app: Flask) -> dict[str | None, MetaData]:
    """Return the metadata of the app's models by bind key, the default one as None.

    Needs no app context.

    :param app: the app.
    :returns: empty where the extension knows no models (Flask-SQLAlchemy-Lite) or there is none.
    """
    metadatas = getattr(_extension(app), "metadatas", None)
    return dict(metadatas) if isinstance(metadatas, Mapping) else {}


def session_of(app: Flask) -> Session | None:
    """Return the session that ``db.session`` means in the current app context.

    Needs an app context of this app, which the caller has pushed. The session ends with it.

    :param app: the app.
    :returns: None where the app uses SQLAlchemy without an extension that we know.
    """
    session = getattr(_extension(app), "session", None)
    if isinstance(session, scoped_session):
        session = session()  # the session of this scope
    return session if isinstance(session, Session) else None


def _extension(app: Flask) -> Any:
    for key in _EXTENSIONS:
        if key in app.extensions:
            return app.extensions[key]
    return None


# ----------------------------------------------------------------------- requests, commands


@contextlib.contextmanager
def isolated_requests(
    app: Flask, *, before: Callable[[], object], after: Callable[[], object]
) -> Iterator[None]:
    """Let requests and CLI commands of the app run as in production, whoever makes them.

    Wraps ``app.wsgi_app`` and ``app.test_cli_runner_class``, and puts both back. Where other
    middleware was wrapped around ours meanwhile, ours stays in there and does nothing more.
    A request made by a view is part of the outer one, as it would be on a server.

    .. code-block:: python

        with isolated_requests(app, before=warn_of_uncommitted_work, after=expire_session):
            app.test_client().post("/signup")

    A body under ``with client:`` that still holds Flask's contexts (``stream_with_context``) is
    read to its end at once, because the client pushes the same contexts in the test's Context.

    :param app: the app.
    :param before: called before each outermost request or command.
    :param after: called when it was answered or raised; where the answer is streamed (it has no
        Content-Length), called again when its body was read to the end or closed. Never called
        by garbage collection, which comes at any moment.
    """
    kinds = _context_kinds()
    had_wsgi_app, inner = "wsgi_app" in vars(app), app.wsgi_app
    wrapper = _IsolatedWSGI(inner, kinds, before, after)
    app.wsgi_app = wrapper  # type: ignore[method-assign]
    had_runner, runner = "test_cli_runner_class" in vars(app), app.test_cli_runner_class
    app.test_cli_runner_class = isolated_runner = _isolated_runner(runner, kinds, before, after)
    try:
        yield
    finally:
        wrapper._active = False
        if app.__dict__.get("wsgi_app") is wrapper:
            if had_wsgi_app:
                app.wsgi_app = inner  # type: ignore[method-assign]
            else:
                del app.wsgi_app
        if app.__dict__.get("test_cli_runner_class") is isolated_runner:
            if had_runner:
                app.test_cli_runner_class = runner
            else:
                del app.test_cli_runner_class


def _context_kinds() -> _Kinds:
    """Return the classes of what Flask keeps in context variables.

    Flask 3.0 and 3.1 have two, 3.2 merges them and warns where ``RequestContext`` is imported.
    Asked by the classes of the values, because the names of the variables are private.
    """
    import flask.ctx

    kinds = (vars(flask.ctx).get(name) for name in ("AppContext", "RequestContext"))
    return tuple(kind for kind in kinds if isinstance(kind, type))


def _context_without_flask(kinds: _Kinds) -> contextvars.Context:
    context = contextvars.Context()
    context.run(_fill, contextvars.copy_context(), kinds)
    return context


def _fill(source: contextvars.Context, kinds: _Kinds) -> None:
    for variable, value in source.items():
        # the class, not isinstance(): a proxy that is kept in a variable would answer for its
        # object, or raise because it has none
        if not issubclass(type(value), kinds):
            variable.set(value)
    _inside.set(True)


class _IsolatedWSGI:
    """``app.wsgi_app``: each outermost request in a Context of its own."""

    # private names, so that __getattr__ shows all public ones of the middleware inside
    def __init__(
        self,
        inner: Callable[..., Iterable[bytes]],
        kinds: _Kinds,
        before: Callable[[], object],
        after: Callable[[], object],
    ) -> None:
        self._inner, self._kinds = inner, kinds
        self._before, self._after = before, after
        self._active = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        if not self._active or _inside.get():
            return self._inner(environ, start_response)
        self._before()
        context = _context_without_flask(self._kinds)
        streamed = True

        def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
            nonlocal streamed
            streamed = all(name.lower() != "content-length" for name, _ in headers)
            return start_response(status, headers, *exc_info)

        try:
            body = context.run(self._inner, environ, start)
        finally:
            self._after()
        held = self._kinds if "werkzeug.debug.preserve_context" in environ else ()
        return _Body(context, body, held, self._after if streamed else None)


class _Body:
    """A response's body, read and closed in its request's Context."""

    def __init__(
        self,
        context: contextvars.Context,
        body: Iterable[bytes],
        held: _Kinds,
        after: Callable[[], object] | None,
    ) -> None:
        self._context, self._body, self._after = context, body, after
        self._held = held  # the client is about to push contexts of these classes
        self._items: Iterator[bytes] | None = None
        self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            if self._items is None:
                self._items = self._context.run(iter, self._body)
            item = self._context.run(next, self._items)
        except BaseException:  # the end too
            self._let_go()
            self._ended()
            raise
        self._let_go()
        return item

    def _let_go(self) -> None:
        """Finish a body that holds Flask's contexts, before the client pushes them again.

        A context that is pushed in two Contexts at once cannot be popped: each pop would reset
        the variable of the other, which is a ValueError.
        """
        held, self._held = self._held, ()
        if not held or self._items is None:
            return
        if any(issubclass(type(value), held) for value in self._context.values()):
            self._items = iter(self._context.run(list, self._items))
            self._close_body()
            self._ended()

    def _close_body(self) -> None:
        if not self._closed:
            self._closed = True
            close = getattr(self._body, "close", None)
            if close is not None:
                self._context.run(close)

    def _ended(self) -> None:
        after, self._after = self._after, None
        if after is not None:
            after()

    def close(self) -> None:
        try:
            self._close_body()
        finally:
            self._ended()

    def __del__(self) -> None:
        # a generator under stream_with_context() that is collected in another Context would
        # pop the contexts there, which fails and leaves the request's session open
        self._close_body()


def _isolated_runner(
    runner: type | None,
    kinds: _Kinds,
    before: Callable[[], object],
    after: Callable[[], object],
) -> type[Any]:
    from flask.testing import FlaskCliRunner

    base: type[Any] = runner or FlaskCliRunner

    def invoke(self: Any, *args: Any, **kwargs: Any) -> Any:
        if _inside.get():
            return base.invoke(self, *args, **kwargs)
        before()
        try:
            return _context_without_flask(kinds).run(base.invoke, self, *args, **kwargs)
        finally:
            after()

    return type(base.__name__, (base,), {"invoke": invoke, "__module__": base.__module__})


# ------------------------------------------------------------------------------ putting back


@contextlib.contextmanager
def config_restored(app: Flask) -> Iterator[None]:
    """Put ``app.config`` back at the end: keys, values, and what is in its dicts, lists and sets.

    The config object and the containers in it stay the same objects, since extensions keep
    references to them.

    :param app: the app.
    """
    config = app.config
    saved = dict(config)
    contents = _contents(saved.values())
    try:
        yield
    finally:
        for container, content in contents:
            container.clear()
            if isinstance(container, list):
                container.extend(content)
            else:
                container.update(content)
        config.clear()
        config.update(saved)
        app.config = config


def _contents(values: Iterable[object]) -> list[tuple[Any, Any]]:
    """Return each dict, list and set among the values, and in them, with a copy of its content."""
    # the very classes: what a subclass does in clear() and update() is unknown
    todo = [value for value in values if type(value) in _CONTAINERS]
    contents: dict[int, tuple[Any, Any]] = {}
    while todo:
        value: Any = todo.pop()
        if id(value) not in contents:
            contents[id(value)] = value, value.copy()
            inner = value.values() if type(value) is dict else value
            todo.extend(member for member in inner if type(member) in _CONTAINERS)
    return list(contents.values())


def expire_gently(session: Session) -> None:
    """Let the session's objects be read anew from the database, but keep their primary keys.

    Does nothing where the session holds unflushed changes, which expiring would lose.
    ``Session.expire_all()`` also forgets primary keys: ``Project.get(self.project.id)`` after a
    view deleted the row would raise ObjectDeletedError instead of giving None.

    :param session: the test's own session.
    """
    if session.new or session.dirty or session.deleted:
        return
    names: dict[Mapper[Any], list[str]] = {}
    kept = []
    for instance in session.identity_map.values():
        state: Any = sa_inspect(instance)
        mapper = state.mapper
        if mapper not in names:
            names[mapper] = [mapper.get_property_by_column(c).key for c in mapper.primary_key]
        values = {name: state.dict[name] for name in names[mapper] if name in state.dict}
        kept.append((instance, state, values))
    session.expire_all()
    # `instance` keeps the object alive until here: state.dict of a collected one is a throw-away
    for _instance, state, values in kept:
        state.dict.update(values)
        state.expired_attributes.difference_update(values)


# ------------------------------------------------------------------------ the current context


def current_metadatas(app: Flask | None) -> dict[str | None, MetaData]:
    """Return the metadata of *app*, or of the app whose context is pushed; needs neither.

    :param app: the app, or None while it is being made.
    """
    app = app or _current_app()
    return {} if app is None else metadatas_of(app)


def current_engines() -> dict[str | None, Engine]:
    """Return the engines of the app whose context is pushed, or none."""
    app = _current_app()
    return {} if app is None else engines_of(app)


@contextlib.contextmanager
def pushed_context(app: Flask) -> Iterator[Any]:
    """Push an app context, and pop it at the end with those that were left on top of it.

    A test that pushes a context in ``setUp`` and forgets to pop it would leave it to the next
    test, and ours could not be popped below it.

    :param app: the app whose context it is.
    """
    request = _current("request_ctx")
    context = app.app_context()
    context.push()
    try:
        yield context
    finally:
        for name, last in (("request_ctx", request), ("app_ctx", context)):
            while (left := _current(name)) is not None and left is not last:
                left.pop()
        context.pop()


def _current(name: str) -> Any:
    """Return the current ``app_ctx`` or ``request_ctx``; Flask 3.2 has only the first."""
    import flask.globals

    proxy = vars(flask.globals).get(name)
    return proxy._get_current_object() if proxy else None


def _current_app() -> Flask | None:
    flask = sys.modules.get("flask")
    if flask is None or not flask.current_app:
        return None
    app: Flask = flask.current_app._get_current_object()
    return app


@contextlib.contextmanager
def in_context(context: Any) -> Iterator[None]:
    """Make *context*, which is pushed already, the current one for a moment.

    Leaving it runs no teardown functions, because its first push goes on. Where it is the
    current one, nothing is pushed.
    """
    import flask

    if flask.g and flask.g._get_current_object() is context.g:
        yield
    else:
        with context:
            yield

"""Requests and commands of the app, as in production."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["isolated_requests"]

__unittest = True  # unittest leaves frames of this module out of tracebacks

_Kinds: TypeAlias = tuple[type, ...]
_inside = contextvars.ContextVar("dbtestcase.inside_request", default=False)


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

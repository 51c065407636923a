"""App contexts around a test, and ``app.config`` put back after it."""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flask import Flask
    from flask.ctx import AppContext

__all__ = ["config_restored", "contexts_restored", "in_context", "pushed_context"]

__unittest = True  # unittest leaves frames of this module out of tracebacks

_CONTAINERS = frozenset({dict, list, set})


# Classes, and not generators: after Ctrl-C in a test nobody ends them, and a generator that is
# collected would pop its context at a moment, and in a thread, that nobody can foresee.


class contexts_restored:
    """Pop at the end the contexts that were pushed meanwhile and left there."""

    def __enter__(self) -> Any:
        import flask

        self._flask = flask
        self._request, self._app = _current_request(flask), _current_app(flask)

    def __exit__(self, *exception: object) -> None:
        _pop_down_to(self._flask, self._request, self._app)


class pushed_context:
    """Push an app context, and pop it at the end with those that were left on top of it.

    A test that pushes a context in ``setUp`` and forgets to pop it would leave it to the next
    test, and ours could not be popped below it. May be entered again and again: each time it
    pushes a new one.

    :param app: the app whose context it is.
    """

    #: the context, while it is pushed
    context: AppContext | None = None

    def __init__(self, app: Flask) -> None:
        import flask

        self._app, self._flask = app, flask

    def __enter__(self) -> AppContext:
        flask = self._flask
        self._request = _current_request(flask) if flask.has_request_context() else None
        context = self._app.app_context()
        context.push()
        self.context = context
        return context

    def __exit__(self, *exception: object) -> None:
        flask, context = self._flask, self.context
        if context is None:
            return
        try:
            if flask.has_request_context() or _current_app(flask) is not context:
                _pop_down_to(flask, self._request, context)
        finally:
            try:
                context.pop()
            finally:
                self.context = None


def _pop_down_to(flask: Any, request: Any, app: Any) -> None:
    while (left := _current_request(flask)) is not None and left is not request:
        left.pop()
    while (left := _current_app(flask)) is not None and left is not app:
        left.pop()


# Both are asked in every test, and so in the way that is quick where the answer is the usual one:
# no request, and an app. They are given Flask, as an import within a function takes longer.


def _current_request(flask: Any) -> Any:
    if not flask.has_request_context():
        return None
    # Flask 3.2 has app contexts only
    proxy = vars(flask.globals).get("request_ctx")
    return None if proxy is None else proxy._get_current_object()


def _current_app(flask: Any) -> Any:
    try:
        return flask.globals.app_ctx._get_current_object()
    except RuntimeError:
        return None


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


class config_restored:
    """Put ``app.config`` back at the end: keys, values, and what is in its dicts, lists and sets.

    The config object and the containers in it stay the same objects, since extensions keep
    references to them. May be entered again and again: what was saved is saved anew only where
    something has changed since.

    :param app: the app.
    """

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._config: Any = None
        self._keys: list[str] = []
        self._values: list[Any] = []
        self._contents: list[tuple[Any, Any]] = []

    def __enter__(self) -> None:
        if not self._is_as_saved():
            self._config = config = self._app.config
            self._keys, self._values = [*config], [*config.values()]
            self._contents = _contents(self._values)

    def __exit__(self, *exception: object) -> None:
        if self._is_as_saved():
            return
        for container, content in self._contents:
            container.clear()
            if isinstance(container, list):
                container.extend(content)
            else:
                container.update(content)
        self._config.clear()
        self._config.update(zip(self._keys, self._values, strict=True))
        self._app.config = self._config

    def _is_as_saved(self) -> bool:
        """Whether all is what it was, and not only equal: 1 is not True to every extension."""
        config = self._app.config
        if (
            config is not self._config
            or [*config] != self._keys
            or not all(map(operator.is_, config.values(), self._values))
        ):
            return False
        for container, content in self._contents:
            if (container or content) and not _same(container, content):
                return False
        return True


def _same(container: Any, content: Any) -> bool:
    if len(container) != len(content):
        return False
    if type(container) is set:  # a copy may have another order
        return set(map(id, container)) == set(map(id, content))
    if type(container) is dict and not _same(list(container.values()), list(content.values())):
        return False
    return all(map(operator.is_, container, content))


def _contents(values: Iterable[object]) -> list[tuple[Any, Any]]:
    """Return each dict, list and set among the values, and in them, with a copy of its content."""
    # the very classes: what a subclass does in clear() and update() is unknown
    queue = [value for value in values if type(value) in _CONTAINERS]
    contents: dict[int, tuple[Any, Any]] = {}
    while queue:
        value: Any = queue.pop()
        if id(value) not in contents:
            contents[id(value)] = value, value.copy()
            inner = value.values() if type(value) is dict else value
            queue.extend(member for member in inner if type(member) in _CONTAINERS)
    return list(contents.values())

"""App contexts around a test, and ``app.config`` put back after it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["config_restored", "contexts_restored", "in_context", "pushed_context"]

__unittest = True  # unittest leaves frames of this module out of tracebacks

_CONTAINERS = frozenset({dict, list, set})


# Classes, and not generators: after Ctrl-C in a test nobody ends them, and a generator that is
# collected would pop its context at a moment, and in a thread, that nobody can foresee.


class contexts_restored:
    """Pop at the end the contexts that were pushed meanwhile and left there."""

    def __enter__(self) -> None:
        self._before = {name: _current(name) for name in ("request_ctx", "app_ctx")}

    def __exit__(self, *exception: object) -> None:
        for name, last in self._before.items():
            while (left := _current(name)) is not None and left is not last:
                left.pop()


class pushed_context:
    """Push an app context, and pop it at the end with those that were left on top of it.

    A test that pushes a context in ``setUp`` and forgets to pop it would leave it to the next
    test, and ours could not be popped below it.

    :param app: the app whose context it is.
    """

    def __init__(self, app: Flask) -> None:
        self._context = app.app_context()
        self._left = contexts_restored()

    def __enter__(self) -> Any:
        self._context.push()
        self._left.__enter__()
        return self._context

    def __exit__(self, *exception: object) -> None:
        try:
            self._left.__exit__(*exception)
        finally:
            self._context.pop()


def _current(name: str) -> Any:
    """Return the current ``app_ctx`` or ``request_ctx``; Flask 3.2 has only the first."""
    import flask.globals

    proxy = vars(flask.globals).get(name)
    return proxy._get_current_object() if proxy else None


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
    queue = [value for value in values if type(value) in _CONTAINERS]
    contents: dict[int, tuple[Any, Any]] = {}
    while queue:
        value: Any = queue.pop()
        if id(value) not in contents:
            contents[id(value)] = value, value.copy()
            inner = value.values() if type(value) is dict else value
            queue.extend(member for member in inner if type(member) in _CONTAINERS)
    return list(contents.values())

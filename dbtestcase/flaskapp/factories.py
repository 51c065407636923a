"""What makes the app of a test class, and what may be wrong with it."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from unittest import SkipTest

from ..errors import AppError, DatabaseTestError

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["find_create_app", "make_app"]

__unittest = True  # unittest leaves frames of this module out of tracebacks


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

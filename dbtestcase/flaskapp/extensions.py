"""Engines, metadata and sessions, as the app's database extension knows them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, MetaData, inspect
from sqlalchemy.orm import Mapper, Session, scoped_session

if TYPE_CHECKING:
    from flask import Flask

__all__ = [
    "current_engines",
    "current_extension",
    "current_metadatas",
    "engines_of",
    "expire_gently",
    "metadatas_of",
    "session_of",
]

__unittest = True  # unittest leaves frames of this module out of tracebacks

_EXTENSIONS = ("sqlalchemy", "alchemical")  # keys of app.extensions


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


def session_of(app: Flask, *, make: bool = True) -> Session | None:
    """Return the session that ``db.session`` means in the current app context.

    Needs an app context of this app, which the caller has pushed. The session ends with it.

    :param app: the app.
    :param make: whether a ``scoped_session`` may make it now, where it was not used so far.
    :returns: None where the app uses SQLAlchemy without an extension that we know.
    """
    session = getattr(_extension(app), "session", None)
    if isinstance(session, scoped_session):
        if not make and not session.registry.has():
            return None
        session = session()  # the session of this scope
    return session if isinstance(session, Session) else None


def _extension(app: Flask) -> Any:
    for key in _EXTENSIONS:
        if key in app.extensions:
            return app.extensions[key]
    return None


def current_metadatas(app: Flask | None) -> dict[str | None, MetaData]:
    """Return the metadata of *app*, or of the app whose context is pushed; needs neither.

    :param app: the app, or None while it is being made.
    """
    app = app or _current_app()
    return {} if app is None else metadatas_of(app)


def current_extension(name: str) -> Any:
    """Return what an extension has left in the app whose context is pushed; None if there is none.

    :param name: its key in ``app.extensions``.
    """
    app = _current_app()
    return None if app is None else app.extensions.get(name)


def current_engines() -> dict[str | None, Engine]:
    """Return the engines of the app whose context is pushed, or none."""
    app = _current_app()
    return {} if app is None else engines_of(app)


def _current_app() -> Flask | None:
    flask = sys.modules.get("flask")
    if flask is None or not flask.current_app:
        return None
    app: Flask = flask.current_app._get_current_object()
    return app


def expire_gently(session: Session) -> None:
    """Let the session's objects be read anew from the database, but keep their primary keys.

    Does nothing where the session holds unflushed changes, which expiring would lose.
    ``Session.expire_all()`` also forgets primary keys: ``Project.get(self.project.id)`` after a
    view deleted the row would raise ObjectDeletedError instead of giving None.

    :param session: the test's own session.
    """
    if not session.identity_map or session.new or session.dirty or session.deleted:
        return
    names: dict[Mapper[Any], list[str]] = {}
    kept = []
    for instance in session.identity_map.values():
        state: Any = inspect(instance)
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

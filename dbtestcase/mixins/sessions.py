"""Which session is the test's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from ..errors import SetUpError
from ..flaskapp import expire_gently, in_context, session_of
from .state import ClassState

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["app_session", "close_own_session", "expire_session_of", "session_of_test"]


def expire_session_of(state: ClassState) -> None:
    """After a request the test reads what the database holds."""
    if state.test is not None:
        session = session_of_test(state.test, make=False)
        if session is not None:
            expire_gently(session)


def session_of_test(test: Any, *, make: bool = True) -> Session | None:
    """Give the session of a test: the app extension's, else one of our own."""
    state: ClassState = test._dbt_state()
    session = app_session(state, test.__dict__.get("_dbt_app") or state.app, make=make)
    if session is not None:
        return session
    own: Session | None = test.__dict__.get("_dbt_session")
    if own is None and make:
        engine = test.__dict__.get("_dbt_engine") or state.engines.get(None)
        if engine is None:
            keys = ", ".join(repr(key) for key in state.engines)
            raise SetUpError(
                f"{type(test).__name__}.session has no engine to be bound to: create_engine() "
                f"gives none for the default bind, only for {keys}. Add one under the key None, "
                f"or make sessions of your own."
            )
        own = test.__dict__["_dbt_session"] = Session(engine)
    return own


def close_own_session(test: Any) -> None:
    """Close the session of our own that the test was given, if it asked for one."""
    own: Session | None = test.__dict__.pop("_dbt_session", None)
    if own is not None:
        own.close()


def app_session(state: ClassState, app: Flask | None, *, make: bool = True) -> Session | None:
    """Give the session that the app's extension has in the context that we pushed."""
    if app is None or state.context is None:
        return None
    with in_context(state.context):
        return session_of(app, make=make)

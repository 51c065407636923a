"""Which session is the test's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from .state import ClassState

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["app_session", "expire_session_of", "session_of_test"]


def expire_session_of(state: ClassState) -> None:
    """After a request the test reads what the database holds."""
    from ..flaskapp import expire_gently

    if state.test is not None:
        session = session_of_test(state.test, make=False)
        if session is not None:
            expire_gently(session)


def session_of_test(test: Any, *, make: bool = True) -> Session | None:
    """Give the session of a test: the app extension's, else one of our own."""
    state: ClassState = test._state()
    session = app_session(state, test.__dict__.get("_dbtestcase_app") or state.app)
    if session is not None:
        return session
    own: Session | None = test.__dict__.get("_dbtestcase_session")
    if own is None and make:
        own = Session(test.__dict__.get("_dbtestcase_engine") or state.engines[None])
        test.__dict__["_dbtestcase_session"] = own
        test.addCleanup(test.__dict__.pop, "_dbtestcase_session", None)
        test.addCleanup(own.close)
    return own


def app_session(state: ClassState, app: Flask | None) -> Session | None:
    """Give the session that the app's extension has in the context that we pushed."""
    if app is None or state.context is None:
        return None
    from ..flaskapp import in_context, session_of

    with in_context(state.context):
        return session_of(app)

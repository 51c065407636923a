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

.. code-block:: text

    factories   what makes the app, and what may be wrong with it
    extensions  engines, metadata and sessions, as the app's database extension knows them
    requests    requests and commands as in production
    contexts    app contexts around a test, and app.config put back
"""

from .contexts import config_restored, contexts_restored, in_context, pushed_context
from .extensions import (
    current_engines,
    current_extension,
    current_metadatas,
    engines_of,
    expire_gently,
    metadatas_of,
    session_of,
)
from .factories import find_create_app, make_app
from .requests import isolated_requests

__all__ = [
    "config_restored",
    "contexts_restored",
    "current_engines",
    "current_extension",
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

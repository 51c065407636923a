"""Engines in tests: the door that they pass, redirecting them, and one engine per URL.

.. code-block:: text

    door         which database an engine means, asked at its first contact while a class runs
    leading      leading all engines of a thread to one database, while migrations run
    redirecting  giving an engine another place to connect to, and its own back
    places       where an engine or URL leads, told without contact
    private      the private names of SQLAlchemy, in one place
    shared       one engine per URL per process
"""

from .door import PRIVATE, UNKNOWN, Door, Key, Unknown
from .leading import Leading, NewConnections, leading_to
from .redirecting import ConnectionSource, redirect
from .shared import dispose_all, engine_for

__all__ = [
    "PRIVATE",
    "UNKNOWN",
    "ConnectionSource",
    "Door",
    "Key",
    "Leading",
    "NewConnections",
    "Unknown",
    "dispose_all",
    "engine_for",
    "leading_to",
    "redirect",
]

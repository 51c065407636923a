"""One engine per URL per process, so that as many modules as like may ask for it."""

from __future__ import annotations

import atexit
import os
import threading

from sqlalchemy import create_engine
from sqlalchemy.engine import URL, Engine, make_url

__all__ = ["dispose_all", "engine_for"]

_engines: dict[str, Engine] = {}
_lock = threading.Lock()


def engine_for(url: str | URL) -> Engine:
    """Return the engine for a URL: the same one for all who ask.

    It is made when it is first asked for, and connects when it is first used::

        Session = sessionmaker(engine_for("postgresql+psycopg2:///shop"))

    :param url: the URL; two that differ in anything, the password too, have two engines.
    """
    url = make_url(url)
    key = url.render_as_string(hide_password=False)
    with _lock:
        engine = _engines.get(key)
        if engine is None:
            engine = _engines[key] = create_engine(url)
        return engine


def dispose_all() -> None:
    """Close the idle connections of all engines of :func:`engine_for`; they stay usable.

    Called when the process ends.
    """
    with _lock:
        engines = list(_engines.values())
    for engine in engines:
        engine.dispose()


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()  # another thread of the parent may have held it
    for engine in _engines.values():
        engine.dispose(close=False)  # the connections are the parent's


atexit.register(dispose_all)
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)

"""Keeping the program's logging as it is while ``env.py`` runs."""

from __future__ import annotations

import contextlib
import functools
import logging
import threading
from collections.abc import Iterator
from typing import Any

__all__ = ["logging_kept"]

_FUNCTIONS = ("fileConfig", "dictConfig")


@contextlib.contextmanager
def logging_kept() -> Iterator[None]:
    """Let ``fileConfig()`` and ``dictConfig()`` of this thread do nothing, and undo what is done.

    The ``env.py`` of ``alembic init`` and of Flask-Migrate calls ``fileConfig``, which disables
    every logger that the program has made so far and closes every handler. A closed
    ``FileHandler`` writes nothing any more, so putting back the handlers would not be enough.
    """
    import logging.config  # which takes as long to import as the rest of this package

    mine, originals = threading.get_ident(), {}
    before = [(each, _state(each)) for each in _loggers()]
    for name in _FUNCTIONS:
        original = originals[name] = getattr(logging.config, name)
        setattr(logging.config, name, _silenced(original, mine))
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(logging.config, name, original)
        for logger, (level, disabled, propagate, handlers) in before:
            if logger.level != level:  # setLevel() goes through all loggers
                logger.setLevel(level)
            logger.disabled, logger.propagate = disabled, propagate
            logger.handlers[:] = handlers


def _silenced(original: Any, thread: int) -> Any:
    @functools.wraps(original)
    def configure(*args: Any, **kwargs: Any) -> Any:
        if threading.get_ident() != thread:
            return original(*args, **kwargs)
        return None

    return configure


def _loggers() -> list[logging.Logger]:
    known = list(logging.root.manager.loggerDict.values())
    return [logging.root, *(each for each in known if isinstance(each, logging.Logger))]


def _state(logger: logging.Logger) -> tuple[int, bool, bool, list[logging.Handler]]:
    return logger.level, logger.disabled, logger.propagate, list(logger.handlers)

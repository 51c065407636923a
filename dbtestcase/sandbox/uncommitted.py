"""The warning about work beside others' uncommitted writes, which one connection sees."""

from __future__ import annotations

import warnings

from ..errors import UncommittedDataWarning
from .backends import Backend

__all__ = ["warn"]


def warn(
    backend: Backend, other: Backend, what: str, text: str, deed: str = "has written to"
) -> None:
    """Warn that *backend* met uncommitted work of *other*.

    :param what: a table, for example.
    :param text: the statement.
    :param deed: what the other did to it.
    """
    warnings.warn(
        f"{backend} meets what {other} {deed} {what} and not committed: on real connections it "
        f"would not be seen. Commit it first, or test this code on real connections. The "
        f"statement: {' '.join(text.split())[:120]}",
        UncommittedDataWarning,
        stacklevel=2,
    )

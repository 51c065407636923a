"""Prepared statements: those of all virtual connections live in one session on the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .private import PrepareManager, forget_prepared

if TYPE_CHECKING:
    from .sandbox import PsycopgSandbox

__all__ = ["Prepared"]


class Prepared(PrepareManager):
    """What psycopg prepared by itself for one virtual connection.

    :param sandbox: counts, so that no two connections use the same name.
    """

    def __init__(self, sandbox: PsycopgSandbox) -> None:
        self._sandbox = sandbox
        super().__init__()

    @property
    def _prepared_idx(self) -> int:
        return self._sandbox.prepared

    @_prepared_idx.setter
    def _prepared_idx(self, number: int) -> None:
        # the driver sets 0 when it makes one
        self._sandbox.prepared = max(number, self._sandbox.prepared)

    def forget(self) -> None:
        """Start anew: the server knows none of them any more."""
        forget_prepared(self)

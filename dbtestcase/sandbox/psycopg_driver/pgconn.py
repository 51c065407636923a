"""What a program is shown for the libpq connection of a virtual connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg import pq

from ..postgresql import messages

if TYPE_CHECKING:
    from .connections import VirtualConnection

__all__ = ["PGconnView"]

_SENDING = frozenset(
    {
        "exec_",
        "exec_params",
        "exec_prepared",
        "prepare",
        "describe_prepared",
        "describe_portal",
        "close_prepared",
        "close_portal",
        "send_query",
        "send_query_params",
        "send_query_prepared",
        "send_prepare",
        "send_describe_prepared",
        "send_describe_portal",
        "send_close_prepared",
        "send_close_portal",
        "put_copy_data",
        "put_copy_end",
        "get_copy_data",
        "get_result",
        "consume_input",
        "enter_pipeline_mode",
        "exit_pipeline_mode",
        "pipeline_sync",
        "send_flush_request",
        "finish",
        "reset",
        "reset_start",
        "reset_poll",
        "change_password",
    }
)


class PGconnView:
    """The ``pgconn`` of a virtual connection: it tells of that one, and sends nothing.

    What has nothing to do with the transaction is the real one's.
    """

    __slots__ = ("_connection",)

    def __init__(self, connection: VirtualConnection) -> None:
        self._connection = connection

    @property
    def status(self) -> int:
        """BAD where the virtual connection was closed, else what libpq says."""
        return self._connection.connection_status()

    @property
    def transaction_status(self) -> int:
        """What the server would say, had the connection one of its own."""
        return self._connection.transaction_status()

    def __getattr__(self, name: str) -> Any:
        if name in _SENDING:
            raise self._connection.sandbox.conflict(messages.libpq_call(name))
        return getattr(self._connection.libpq, name)

    def __repr__(self) -> str:
        status = pq.TransactionStatus(self.transaction_status).name
        return f"<the pgconn of {self._connection.label} [{status}]>"

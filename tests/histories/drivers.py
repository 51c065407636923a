"""What differs between the drivers, as far as a history does it."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["DRIVERS", "Driver"]


@dataclass(frozen=True)
class Driver:
    """One driver.

    :param scheme: what its URLs begin with.
    :param sqlstate: gives the code of an error; None where it is not the server's.
    :param status: says in which state the driver believes a connection to be.
    :param copy_in: sends lines by COPY … FROM STDIN.
    :param copy_out: gives the lines of COPY … TO STDOUT.
    :param isolate: sets the isolation level of later transactions, or AUTOCOMMIT.
    :param connect_args: of the real connections, which shall not wait for a lock for long.
    """

    name: str
    scheme: str
    sqlstate: Callable[[BaseException], str | None]
    status: Callable[[Any], Any]
    copy_in: Callable[[Any, str, str], int]
    copy_out: Callable[[Any, str], Any]
    isolate: Callable[[Any, str], None]
    connect_args: Mapping[str, Any]


def _psycopg2_copy_in(connection: Any, text: str, lines: str) -> int:
    with connection.cursor() as cursor:
        cursor.copy_expert(text, io.StringIO(lines))
        return int(cursor.rowcount)


def _psycopg2_copy_out(connection: Any, text: str) -> list[str]:
    with connection.cursor() as cursor:
        file = io.StringIO()
        cursor.copy_expert(text, file)
        return file.getvalue().splitlines()


def _psycopg_copy_in(connection: Any, text: str, lines: str) -> int:
    with connection.cursor() as cursor:
        with cursor.copy(text) as copy:
            copy.write(lines)
        return int(cursor.rowcount)


def _psycopg_copy_out(connection: Any, text: str) -> list[str]:
    with connection.cursor() as cursor, cursor.copy(text) as copy:
        return b"".join(bytes(block) for block in copy).decode().splitlines()


def _psycopg2_isolate(connection: Any, level: str) -> None:
    connection.autocommit = level == "AUTOCOMMIT"
    if level != "AUTOCOMMIT":
        connection.isolation_level = level


def _psycopg_isolate(connection: Any, level: str) -> None:
    import psycopg

    connection.autocommit = level == "AUTOCOMMIT"
    if level != "AUTOCOMMIT":
        connection.isolation_level = psycopg.IsolationLevel[level.replace(" ", "_")]


def _sqlite_isolate(connection: Any, level: str) -> None:
    connection.isolation_level = None if level == "AUTOCOMMIT" else ""


def _no_copy(*_: Any) -> Any:
    raise NotImplementedError("SQLite has no COPY")


_IMPATIENT = {"options": "-c lock_timeout=25ms"}

DRIVERS = {
    driver.name: driver
    for driver in (
        Driver(
            "psycopg2",
            "postgresql+psycopg2",
            lambda error: getattr(error, "pgcode", None),
            lambda connection: (connection.status, connection.get_transaction_status()),
            _psycopg2_copy_in,
            _psycopg2_copy_out,
            _psycopg2_isolate,
            _IMPATIENT,
        ),
        Driver(
            "psycopg",
            "postgresql+psycopg",
            lambda error: getattr(error, "sqlstate", None),
            lambda connection: connection.info.transaction_status.name,
            _psycopg_copy_in,
            _psycopg_copy_out,
            _psycopg_isolate,
            _IMPATIENT,
        ),
        Driver(
            "sqlite3",
            "sqlite+pysqlite",
            lambda error: getattr(error, "sqlite_errorname", None),
            lambda connection: connection.in_transaction,
            _no_copy,
            _no_copy,
            _sqlite_isolate,
            {"timeout": 0},
        ),
    )
}

"""Drawn sequences of calls are answered by a stub as by the driver for which it stands.

The checks in `dbapi_checks` are what somebody thought of. Here the calls come in any order: fetches
before and after everything, closed cursors, transactions that failed.
"""

from __future__ import annotations

import contextlib
import random
import sqlite3
import unittest
import warnings
from collections.abc import Callable
from typing import Any

import psycopg2
import snowflake.connector

from dbtestcase import stub_connection

from .dbapi_checks import NONE, SELECT, UPDATE, WRONG, Bench
from .snowflake_offline import offline
from .test_stubs_drivers import connect_to_embedded, connect_to_memory, script, without_module

Call = Callable[[Any, Any], Any]

COUNT = 150

#: What all drivers have: a call that is given a connection and a cursor.
CALLS: dict[str, Call] = {
    "select": lambda connection, cursor: bool(cursor.execute(SELECT)),
    "none": lambda connection, cursor: bool(cursor.execute(NONE)),
    "update": lambda connection, cursor: bool(cursor.execute(UPDATE)),
    "wrong": lambda connection, cursor: bool(cursor.execute(WRONG)),
    "empty": lambda connection, cursor: bool(cursor.execute("")),
    "none of many": lambda connection, cursor: bool(cursor.executemany(UPDATE, [])),
    "fetchone": lambda connection, cursor: cursor.fetchone(),
    "fetchmany": lambda connection, cursor: cursor.fetchmany(),
    "fetchmany 2": lambda connection, cursor: cursor.fetchmany(2),
    "fetchall": lambda connection, cursor: cursor.fetchall(),
    "next": lambda connection, cursor: next(cursor),
    "iterate": lambda connection, cursor: list(cursor),
    "rowcount": lambda connection, cursor: cursor.rowcount,
    "description": lambda connection, cursor: [column[0] for column in cursor.description or ()],
    "arraysize": lambda connection, cursor: setattr(cursor, "arraysize", 2),
    "commit": lambda connection, cursor: connection.commit(),
    "rollback": lambda connection, cursor: connection.rollback(),
    "close cursor": lambda connection, cursor: cursor.close(),
    "close": lambda connection, cursor: connection.close(),
    "another": lambda connection, cursor: bool(connection.cursor()),
    "with": lambda connection, cursor: connection.__enter__().__exit__(None, None, None),
    "with an error": lambda connection, cursor: connection.__enter__().__exit__(
        ValueError, ValueError(), None
    ),
}


class Drawn(unittest.TestCase):
    """Plays drawn sequences on a driver and on its stub."""

    maxDiff = None

    def same(
        self,
        target: str,
        real: Callable[[], Any],
        calls: dict[str, Call],
        error: Exception,
        **options: Any,
    ) -> None:
        """Fail where one of them is answered differently."""
        mark = "?" if target == "sqlite3.connect" else "%s"
        unfit = (f"SELECT {mark}", (1, 2))
        calls = {**calls, "unfit": lambda connection, cursor: cursor.execute(*unfit)}
        drawn = random.Random(1)
        for _ in range(COUNT):
            names = drawn.choices(list(calls), k=drawn.randrange(2, 9))
            expected = self.play(real, names, calls)
            with (
                self.subTest(names),
                stub_connection(target, strict=False) as stub,
            ):
                script(stub, mark, error, upper=target.startswith("snowflake"))
                connect = stub.connect
                self.assertEqual(
                    self.play(lambda connect=connect: connect(**options), names, calls),  # type: ignore[misc]
                    expected,
                )

    def play(self, connect: Callable[[], Any], names: list[str], calls: dict[str, Call]) -> Any:
        """Call one after the other, and give what each answered."""
        bench = Bench(connect)
        connection = connect()
        cursor = connection.cursor()
        for name in names:
            bench.note(name, lambda name=name: calls[name](connection, cursor))  # type: ignore[misc]
        with contextlib.suppress(Exception):
            connection.close()
        return list(map(without_module, bench.notes))

    def test_sqlite3(self) -> None:
        """``sqlite3``, in memory."""
        self.same(
            "sqlite3.connect",
            connect_to_memory,
            {
                **CALLS,
                "transaction": lambda connection, cursor: connection.in_transaction,
                "execute": lambda connection, cursor: connection.execute(SELECT).fetchone(),
                "script": lambda connection, cursor: bool(cursor.executescript(UPDATE)),
            },
            sqlite3.OperationalError('near "nothing": syntax error'),
            database=":memory:",
        )

    def test_psycopg2(self) -> None:
        """psycopg2, on the embedded server."""
        self.same(
            "psycopg2.connect",
            connect_to_embedded,
            {
                **CALLS,
                "transaction": lambda connection, cursor: connection.get_transaction_status(),
                "status": lambda connection, cursor: connection.status,
                "closed": lambda connection, cursor: (connection.closed, cursor.closed),
                "message": lambda connection, cursor: cursor.statusmessage,
                "rownumber": lambda connection, cursor: cursor.rownumber,
                "query": lambda connection, cursor: cursor.query,
                "scroll": lambda connection, cursor: cursor.scroll(1),
                "scroll to": lambda connection, cursor: cursor.scroll(0, "absolute"),
                "autocommit": lambda connection, cursor: setattr(connection, "autocommit", True),
            },
            psycopg2.ProgrammingError('relation "nowhere" does not exist'),
            dbname="shop",
        )

    def test_snowflake(self) -> None:
        """Snowflake's own classes, without a network."""
        options = {"account": "a", "user": "u", "password": "p"}
        self.enterContext(warnings.catch_warnings(category=FutureWarning, action="ignore"))
        connection = self.enterContext(offline())
        self.same(
            "snowflake.connector.connect",
            lambda: connection(**options),
            {
                **CALLS,
                "closed": lambda connection, cursor: (connection.is_closed(), cursor.is_closed()),
                "rownumber": lambda connection, cursor: cursor.rownumber,
                "query": lambda connection, cursor: cursor.query,
                "id": lambda connection, cursor: cursor.sfqid is None,
                "reset": lambda connection, cursor: cursor.reset(),
                "fetchmany 0": lambda connection, cursor: cursor.fetchmany(0),
                "fetchmany -1": lambda connection, cursor: cursor.fetchmany(-1),
                "several": lambda connection, cursor: [
                    each.fetchone() for each in connection.execute_string(f"{SELECT}; {UPDATE}")
                ],
            },
            snowflake.connector.ProgrammingError("Object 'NOWHERE' does not exist", errno=2003),
            **options,
        )


if __name__ == "__main__":
    unittest.main()

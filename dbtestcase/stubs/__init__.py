"""Scripted DB-API connections: tests of code that talks to a database, with no database.

.. code-block:: text

    stub           what a test has: script, history, connections; begin reading here
      expectations, answers, statements    what is answered to which statement
      history, asserting                   what was executed, and assertions on it
      connections                          what the connections of all styles share
      backing, recording (with values), engines    real databases behind it; SQLAlchemy before it
    patching/      puts it where the program connects, however that was imported
    styles/        how the connections of each driver behave; pep249 stands in for a missing one

No database, no server and no setting is needed for any of it.
"""

from __future__ import annotations

from typing import Any

from .stub import ConnectionStub

__all__ = ["ConnectionStub", "stub_connection"]


def stub_connection(
    target: Any, *, style: str | None = None, strict: bool = True, keep_history: int | None = None
) -> ConnectionStub:
    """Give a context manager that puts scripted connections in the place of real ones.

    For pytest fixtures and scripts; in a ``unittest.TestCase`` use ``ConnectionStubMixin``.

    >>> import sqlite3
    >>> with stub_connection("sqlite3.connect") as stub:
    ...     expected = stub.on("select name from item").returns([("pen",)])
    ...     sqlite3.connect("shop.db").execute("select name from item").fetchall()
    [('pen',)]

    :param target: the dotted path of what the program calls to connect, or the thing itself.
    :param style: how connections behave: ``"snowflake"``, ``"psycopg2"``, ``"sqlite3"`` or
        ``"pep249"``; by default as the driver does that *target* comes from.
    :param strict: whether expectations that were never used are an error at the end.
    :param keep_history: how many executions are kept for the assertions; None for all.
    :returns: the stub, which starts when it is entered.
    :raises StubError: there is no such target or style, or an option is of another type.
    """
    return ConnectionStub(target, style=style, strict=strict, keep_history=keep_history)

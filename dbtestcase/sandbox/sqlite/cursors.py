"""Cursors: real ones, of a subclass of what was asked for, that ask the sandbox first."""

from __future__ import annotations

import inspect
import sqlite3
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from .statements import analyse

if TYPE_CHECKING:
    from .connections import VirtualConnection

__all__ = ["cursor_class"]

__unittest = True  # its frames are left out of tracebacks


class GuardedCursor:
    """What is mixed into a cursor class: every statement asks the sandbox first."""

    virtual: VirtualConnection
    #: the text that was executed last
    sent = ""

    @property
    def connection(self) -> VirtualConnection:
        return self.virtual

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        parent: Any = super()
        return self.virtual.run(self, sql, lambda text: parent.execute(text, parameters))

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> Any:
        parent: Any = super()
        # rows that are made while they are inserted may come of statements of other connections
        rows = parameters if isinstance(parameters, (list, tuple)) else list(parameters)
        if isinstance(sql, str) and not analyse(sql).dml:
            return parent.executemany(sql, rows)  # the driver's own error
        return self.virtual.run(self, sql, lambda text: parent.executemany(text, rows))

    def executescript(self, sql_script: str, /) -> Any:
        self.virtual.run_script(sql_script)
        return self

    def fetchone(self) -> Any:
        parent: Any = super()
        return self._fetch(parent.fetchone)

    def fetchmany(self, *size: Any, **named: Any) -> Any:
        parent: Any = super()
        return self._fetch(lambda: parent.fetchmany(*size, **named))

    def fetchall(self) -> Any:
        parent: Any = super()
        return self._fetch(parent.fetchall)

    def __next__(self) -> Any:
        parent: Any = super()
        return self._fetch(parent.__next__)

    def _fetch(self, fetch: Callable[[], Any]) -> Any:
        self.virtual.before_fetching(self)
        try:
            return fetch()
        except sqlite3.OperationalError as error:
            if (conflict := self.virtual.ended_rows(error)) is not None:
                raise conflict from error
            raise

    def close(self) -> None:
        # what is closed has no rows left to fetch
        self.virtual.forget(self)
        parent: Any = super()
        parent.close()


def cursor_class(factory: Any) -> Any:
    """Make the class of the cursors for a connection whose user asked for *factory*.

    :returns: None for a function, whose cursors could not be guarded.
    """
    made = _cursor_classes.get(factory)
    if made is None:
        if not (inspect.isclass(factory) and issubclass(factory, sqlite3.Cursor)):
            return None
        made = type(factory.__name__, (GuardedCursor, factory), {})
        _cursor_classes[factory] = made
    return made


_cursor_classes: dict[Any, Any] = {}

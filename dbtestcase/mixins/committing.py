"""A test class's databases without a sandbox: what is committed there really is."""

from __future__ import annotations

import contextlib
from typing import Any

from sqlalchemy.engine import Engine
from sqlalchemy.pool import QueuePool

from ..databases import Lease
from ..databases.base import private_engine
from ..engines import ConnectionSource, Key, NewConnections
from ..errors import SetUpError
from ..fixture import DatabaseFixture
from ..settings import Kind

__all__ = ["CommittingFixture"]

__unittest = True  # its frames are left out of tracebacks


class CommittingFixture(DatabaseFixture):
    """The engines of a class lead to its databases, and there to real connections.

    Only for databases that the library makes, as they are replaced by empty ones.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._sources: dict[Lease, NewConnections] = {}
        self._own: dict[Lease, Engine] = {}
        self._used: set[Lease] = set()

    def _take(self, key: Key) -> str:
        setting = self._setting(key)
        if setting.kind in (Kind.DATABASE, Kind.FILE):
            raise SetUpError(
                f"{self.owner} migrates empty databases, and really commits to them, so it needs "
                f"databases that the library makes itself; but {setting} ({setting.origin}) is "
                f"exactly one database. Name the server without a database, such as "
                f"postgresql://user@host, or write sqlite."
            )
        return super()._take(key)

    def _source(self, key: Key, engine: Engine) -> ConnectionSource:
        self.urls[key]
        self._redirected.add(engine)
        return self.source_of(key)

    def source_of(self, key: Key) -> NewConnections:
        """Give what makes connections to a bind's database; it is empty at first."""
        held = self._leases[key]
        if held not in self._sources:
            held.prepare(None)
            self._sources[held] = NewConnections(private_engine(held.url, self.owner))
        return self._sources[held]

    def engine_of_empty(self, key: Key) -> Engine:
        """Give an engine of the library's own for a bind's database, which is empty then."""
        self.source_of(key)
        held = self._leases[key]
        self.close_all()
        if held in self._used:
            held.spoil()
            held.prepare(None)
        self._used.add(held)
        # kept open, as each look at the database would connect anew
        self._own[held] = private_engine(held.url, self.owner, QueuePool)
        return self._own[held]

    def close_all(self) -> None:
        """Close all connections to the databases: they would be in the way of new ones."""
        engines, self._own = [*self._redirected, *self._own.values()], {}
        self._used |= {held for held, source in self._sources.items() if source.used}
        with contextlib.ExitStack() as stack:
            for source in self._sources.values():
                stack.callback(source.close)
            for engine in engines:
                stack.callback(engine.dispose)

    def __exit__(self, *exception: object) -> None:
        """Give the engines back, and leave the databases to be built anew."""
        with contextlib.ExitStack() as stack:
            for held in self._sources:
                stack.callback(held.spoil)
            stack.callback(self.close_all)
            stack.callback(super().__exit__, *exception)

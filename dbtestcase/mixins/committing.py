"""A test class's databases without a sandbox: what is committed there really is."""

from __future__ import annotations

import contextlib
from typing import Any

from sqlalchemy.engine import Engine

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

    Only for databases that the library makes: :meth:`renew` replaces them by empty ones.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._sources: dict[Lease, NewConnections] = {}

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

    def renew(self) -> None:
        """Replace every database that was in use by an empty one."""
        for engine in list(self._redirected):
            engine.dispose()
        for held, source in self._sources.items():
            source.close()
            held.spoil()
            held.prepare(None)

    def __exit__(self, *exception: object) -> None:
        """Give the engines back, and leave the databases to be built anew."""
        with contextlib.ExitStack() as stack:
            for held, source in self._sources.items():
                stack.callback(held.spoil)
                stack.callback(source.close)
            stack.callback(super().__exit__, *exception)

"""Where histories on SQLite are played: a file, and sandboxes of files and of memory."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import URL

from . import sqlite
from .drawing import Vocabulary
from .drivers import Driver
from .stages import SandboxStage, Stage
from .steps import History

__all__ = ["SQLiteDatabases"]

WORDS = Vocabulary(sqlite.FAMILIES, sqlite.ENDINGS)


def _listen(engine: sa.Engine) -> None:
    @sa.event.listens_for(engine, "connect")
    def connected(connection: Any, record: Any) -> None:
        connection.execute("PRAGMA foreign_keys = ON")
        # the files are thrown away
        connection.execute("PRAGMA synchronous = OFF")


class RealSQLiteStage(Stage):
    """Real connections to a file, and one that judges."""

    lingers = True

    def __init__(self, url: URL, driver: Driver) -> None:
        super().__init__(url, driver)
        self._made: list[sqlite3.Connection] = []
        for engine in self.engines:
            _listen(engine)
            sa.event.listen(engine, "connect", lambda made, record: self._made.append(made))
        self._judge = sqlite3.connect(str(url.database), isolation_level=None)
        self._judge.execute("PRAGMA synchronous = OFF")

    def options(self, actor: int) -> dict[str, Any]:
        return {"connect_args": dict(self.driver.connect_args)}

    def reset(self) -> None:
        """Put the tables back to what every history finds."""
        self._judge.executescript(f"BEGIN; {sqlite.RESET} COMMIT;")

    def content(self) -> Any:
        """Give what an independent connection finds."""
        return self._judge.execute(sqlite.CONTENT).fetchall()

    def leave(self, history: History) -> None:
        super().leave(history)
        # where SQLAlchemy could not even close one, it would hold its locks
        while self._made:
            self._made.pop().close()

    def transactions(self) -> dict[int, int]:
        """Nothing: transactions have no ids."""
        return {}

    def status_of(self, xid: int) -> str:
        """Never asked."""
        raise AssertionError(xid)

    def close(self) -> None:
        self._judge.close()
        super().close()


class SQLiteSandboxStage(SandboxStage):
    """A sandbox on a file or a database in memory."""

    lingers = True
    reset_sql = sqlite.RESET
    content_sql = sqlite.CONTENT
    blocked_warns = True
    forgets_schemas = True

    def prepare(self, engine: sa.Engine) -> None:
        """Do what a real connection's engine does."""
        _listen(engine)


class SQLiteDatabases:
    """The databases that the histories of a run are played in."""

    #: what histories are drawn from
    words = WORDS

    def __init__(
        self,
        driver: Driver,
        variants: tuple[str, ...] = ("file", "file, class data", "memory", "memory, class data"),
    ) -> None:
        self.driver = driver
        self.variants = variants
        self.real: RealSQLiteStage
        #: on PostgreSQL, another sandbox to compare with
        self.other: Any = None
        self.sandboxes: dict[str, SandboxStage] = {}
        self._keepers: list[sqlite3.Connection] = []
        self._directory: tempfile.TemporaryDirectory[str] | None = None

    def begin(self) -> None:
        """Make the databases anew."""
        self.end()
        self._directory = tempfile.TemporaryDirectory(prefix="dbtestcase-histories-")
        for number, name in enumerate(("real", *self.variants)):
            url = self._url(name, number)
            query = "?vfs=memdb" if "vfs" in url.query else ""
            keeper = sqlite3.connect(f"{url.database}{query}", uri=bool(query))
            keeper.executescript(sqlite.SCHEMA + sqlite.RESET)
            self._keepers.append(keeper)
            if name == "real":
                self.real = RealSQLiteStage(url, self.driver)
            else:
                data = "class data" in name
                self.sandboxes[name] = SQLiteSandboxStage(url, self.driver, class_data=data)

    def _url(self, name: str, number: int) -> URL:
        assert self._directory is not None
        if name.startswith("memory"):
            memory = URL.create(self.driver.scheme, database=f"file:/histories{number}")
            return memory.update_query_dict({"vfs": "memdb", "uri": "true"})
        path = Path(self._directory.name) / f"test{number}.db"
        return URL.create(self.driver.scheme, database=str(path))

    def end(self) -> None:
        """Close everything and remove the files."""
        for sandbox in self.sandboxes.values():
            sandbox.close()
        self.sandboxes.clear()
        if hasattr(self, "real"):
            self.real.close()
            del self.real
        for keeper in self._keepers:
            keeper.close()
        self._keepers.clear()
        if self._directory is not None:
            self._directory.cleanup()
            self._directory = None

    def __enter__(self) -> SQLiteDatabases:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

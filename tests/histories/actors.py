"""Those who take part in a history: a cursor of the driver, a Core connection, an ORM session."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from dbtestcase.errors import SandboxConflict

from .drivers import Driver
from .steps import Outcome, Step

__all__ = ["KINDS", "Actor", "Item"]


def _answer(result: Any) -> Any:
    if result.returns_rows:
        return [tuple(row) for row in result]
    return result.rowcount


class Base(DeclarativeBase):
    """Of the one table that has a class here."""


class Item(Base):
    """A row of ``item``, as ORM sessions write it."""

    __tablename__ = "item"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    n: Mapped[int]


class Actor:
    """One connection at a time of an engine of its own, on either stage.

    :param ending: in its block a connection is really closed; a server takes its time to notice.
    """

    kind = ""

    def __init__(
        self,
        engine: sa.Engine,
        driver: Driver,
        ending: Callable[[Any], AbstractContextManager[None]],
    ) -> None:
        self.engine = engine
        self.driver = driver
        self._ending = ending
        #: the driver's cursors of which not all rows were fetched
        self.open_cursors: list[Any] = []

    def play(self, step: Step) -> Outcome:
        """Do one step, and give what came of it.

        :raises SandboxConflict: as the sandbox raised it.
        """
        try:
            kind, answer = "done", step.operation.perform(self, step.n)
        except SandboxConflict:
            raise
        except Exception as error:
            kind, answer = "error", self._name(error)
        return kind, answer, self.status()

    def _name(self, error: Exception) -> str:
        original = getattr(error, "orig", None) or error
        return self.driver.sqlstate(original) or type(original).__name__

    def status(self) -> Any:
        """Say what the driver believes of the transaction."""
        found = self.driver_connection(connect=False)
        return None if found is None else self.driver.status(found)

    # -- what every kind does in its own way ------------------------------------

    def execute(self, text: str) -> Any:
        """Execute a text: rows, or how many were written."""
        raise NotImplementedError

    def driver_connection(self, *, connect: bool = True) -> Any:
        """Give the connection of the driver, or what the sandbox gives for one."""
        raise NotImplementedError

    def commit(self) -> None:
        """Commit, as this kind does."""
        raise NotImplementedError

    def rollback(self) -> None:
        """Roll back, as this kind does."""
        raise NotImplementedError

    def close(self) -> None:
        """Close; the next step connects anew."""
        raise NotImplementedError

    def invalidate(self) -> None:
        """Throw the connection away, as a pool does with a broken one."""
        raise NotImplementedError

    def isolate(self, level: str) -> None:
        """Set the isolation level of what follows, ``AUTOCOMMIT`` included."""
        raise NotImplementedError

    def leave(self) -> None:
        """Close at the end of a history, whatever state it has left the connection in."""
        # a nested transaction that was ended by a textual COMMIT cannot even be closed
        with contextlib.suppress(Exception):
            self.close()

    # -- what some do -----------------------------------------------------------

    def insert_item(self, name: str, n: int) -> Any:
        """Insert an item."""
        return self.execute(f"INSERT INTO item (name, n) VALUES ('{name}', {n}) RETURNING id")

    def get_item(self, key: int) -> Any:
        """Read one item."""
        return self.execute(f"SELECT name, n FROM item WHERE id = {key}")

    def change_item(self, key: int) -> Any:
        """Change one item."""
        return self.execute(f"UPDATE item SET n = n + 1 WHERE id = {key}")

    def delete_item(self, key: int) -> Any:
        """Delete one item."""
        return self.execute(f"DELETE FROM item WHERE id = {key}")

    def begin_nested(self) -> None:
        """Open a savepoint, as SQLAlchemy does."""
        self.execute("SAVEPOINT nested")

    def end_nested(self, *, commit: bool) -> None:
        """End the savepoint that was opened last."""
        self.execute("RELEASE SAVEPOINT nested" if commit else "ROLLBACK TO SAVEPOINT nested")


class Raw(Actor):
    """A connection and a cursor of the driver."""

    kind = "raw"
    _fairy: Any = None
    _cursor: Any = None

    def driver_connection(self, *, connect: bool = True) -> Any:
        if self._fairy is None:
            if not connect:
                return None
            self._fairy = self.engine.raw_connection()
        return self._fairy.dbapi_connection

    def execute(self, text: str) -> Any:
        connection = self.driver_connection()
        if self._cursor is None:
            self._cursor = connection.cursor()
        self._cursor.execute(text)
        if self._cursor.description is not None:
            return [tuple(row) for row in self._cursor.fetchall()]
        return self._cursor.rowcount

    def commit(self) -> None:
        self.driver_connection().commit()

    def rollback(self) -> None:
        self.driver_connection().rollback()

    def close(self) -> None:
        self.open_cursors.clear()
        if self._fairy is not None:
            fairy, self._fairy, self._cursor = self._fairy, None, None
            fairy.close()

    def invalidate(self) -> None:
        self.open_cursors.clear()
        if self._fairy is not None:
            fairy, self._fairy, self._cursor = self._fairy, None, None
            connection = fairy.dbapi_connection
            fairy.detach()
            with self._ending(connection):
                connection.close()

    def isolate(self, level: str) -> None:
        self.driver.isolate(self.driver_connection(), level)


class Core(Actor):
    """A connection of SQLAlchemy's Core."""

    kind = "core"
    _connection: sa.Connection | None = None

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._nested: list[Any] = []

    @property
    def connection(self) -> sa.Connection:
        """The connection, a new one after the last was closed."""
        if self._connection is None:
            self._connection = self.engine.connect()
        return self._connection

    def driver_connection(self, *, connect: bool = True) -> Any:
        if self._connection is None and not connect:
            return None
        if self.connection.invalidated:
            return None
        return self.connection.connection.dbapi_connection

    def execute(self, text: str) -> Any:
        return _answer(self.connection.exec_driver_sql(text))

    def commit(self) -> None:
        self.connection.commit()

    def rollback(self) -> None:
        self.connection.rollback()

    def close(self) -> None:
        self._nested.clear()
        self.open_cursors.clear()
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.close()

    def invalidate(self) -> None:
        self.open_cursors.clear()
        if self._connection is not None:
            with self._ending(self.driver_connection()):
                self.connection.invalidate()

    def isolate(self, level: str) -> None:
        self.connection.execution_options(isolation_level=level)

    def begin_nested(self) -> None:
        self._nested.append(self.connection.begin_nested())

    def end_nested(self, *, commit: bool) -> None:
        if self._nested:
            nested = self._nested.pop()
            nested.commit() if commit else nested.rollback()


class ORM(Actor):
    """A session."""

    kind = "orm"
    _session: Session | None = None

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._nested: list[Any] = []

    @property
    def session(self) -> Session:
        """The session, a new one after the last was closed."""
        if self._session is None:
            self._session = Session(self.engine)
        return self._session

    def driver_connection(self, *, connect: bool = True) -> Any:
        if not connect:
            # asking a session may begin a transaction
            return None
        return self.session.connection().connection.dbapi_connection

    def execute(self, text: str) -> Any:
        return _answer(self.session.execute(sa.text(text.replace(":", r"\:"))))

    def commit(self) -> None:
        self.session.commit()

    def rollback(self) -> None:
        self.session.rollback()

    def close(self) -> None:
        self._nested.clear()
        self.open_cursors.clear()
        if self._session is not None:
            session, self._session = self._session, None
            session.close()

    def invalidate(self) -> None:
        self._nested.clear()
        self.open_cursors.clear()
        if self._session is not None:
            session, self._session = self._session, None
            connection = None
            if session.in_transaction():
                with contextlib.suppress(sa.exc.SQLAlchemyError):
                    connection = session.connection().connection.dbapi_connection
            with self._ending(connection):
                session.invalidate()

    def isolate(self, level: str) -> None:
        self.session.connection(execution_options={"isolation_level": level})

    def insert_item(self, name: str, n: int) -> Any:
        item = Item(name=name, n=n)
        self.session.add(item)
        self.session.flush()
        return [(item.id,)]

    def get_item(self, key: int) -> Any:
        item = self.session.get(Item, key)
        return [] if item is None else [(item.name, item.n)]

    def change_item(self, key: int) -> Any:
        item = self.session.get(Item, key)
        if item is not None:
            item.n += 1
        self.session.flush()
        return int(item is not None)

    def delete_item(self, key: int) -> Any:
        item = self.session.get(Item, key)
        if item is not None:
            self.session.delete(item)
        self.session.flush()
        return int(item is not None)

    def begin_nested(self) -> None:
        self._nested.append(self.session.begin_nested())

    def end_nested(self, *, commit: bool) -> None:
        if self._nested:
            nested = self._nested.pop()
            nested.commit() if commit else nested.rollback()


KINDS: dict[str, type[Actor]] = {cls.kind: cls for cls in (Raw, Core, ORM)}

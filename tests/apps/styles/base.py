"""What the tests of all styles share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, create_engine, insert, select

from ..kinds import Kind


class WithAlice:
    """Class data: one user, with the id 1."""

    session: Any
    shop: Any

    @classmethod
    def setUpTestData(cls) -> None:
        cls.session.add(cls.shop.User(name="alice"))
        cls.session.commit()


class Styles(Kind):
    """What all styles share."""

    def setUp(self) -> None:
        super().setUp()  # type: ignore[misc]
        self.before = ["alice"] if isinstance(self, WithAlice) else []
        self.users = self.shop.User.__table__
        self.posts = self.shop.Post.__table__
        self.invitations = self.shop.Invitation.__table__
        self.engine_in_use = self.engine_of()
        self.postgresql = self.engine_in_use.dialect.name == "postgresql"

    def assert_visible_to_others(self, table: str, rows: list[Any]) -> None:
        """Judge by a connection of its own what others see of the rows that a table now has."""
        raise NotImplementedError

    def names(self) -> list[str]:
        with self.engine_in_use.connect() as connection:
            return list(connection.scalars(select(self.users.c.name).order_by(self.users.c.id)))

    def assert_users(self, *names: str) -> None:
        """Assert that these users are stored, after those that the class had."""
        self.assertEqual(self.names(), [*self.before, *names])
        self.assert_visible_to_others("users", [*self.before, *names])

    def add(self, name: str) -> Any:
        return insert(self.users).values(name=name)

    def store(self, name: str) -> None:
        with self.engine_in_use.begin() as connection:
            connection.execute(self.add(name))

    @contextmanager
    def engine_made_here(self, **options: Any) -> Iterator[Engine]:
        engine = create_engine(self.database_url, **options)
        try:
            yield engine
        finally:
            engine.dispose()

    def in_threads(self, *functions: Callable[[], Any]) -> None:
        errors = []

        def call(function: Callable[[], Any]) -> None:
            try:
                function()
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=call, args=(function,)) for function in functions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(errors, [])

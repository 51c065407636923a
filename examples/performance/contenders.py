"""The same tests, isolated in one way or another.

Each contender is a ``TestCase`` with some of these tests; in ``rows()`` it tells how many items
there are, as code in the test sees it.

=================  =============================================================================
``test_empty``     does nothing
``test_insert``    one INSERT in a transaction of its own: ``with engine.begin()``, ``atomic()``
``test_request``   an HTTP request that inserts, and a query that counts
=================  =============================================================================
"""

from __future__ import annotations

import unittest
from typing import Any, ClassVar

import psycopg2
import sqlalchemy as sa
from sqlalchemy.orm import Session

from dbtestcase import DatabaseTestCase, MetadataSchema

from .workload import COUNT, INSERT, Item, create_app, db, metadata, one_table

__all__ = [
    "Contender",
    "CreateDrop",
    "NoIsolation",
    "NoIsolationApp",
    "NoIsolationOneContext",
    "Ours",
    "OursApp",
    "OursAppData",
    "OursData",
    "OursDataIdsGoOn",
    "OursTwenty",
    "OursTwentyData",
    "Psycopg2",
    "Recipe",
    "RecipeApp",
    "Unittest",
]


class Contender(unittest.TestCase):
    """What all but ours have in common.

    :cvar url: a database with the tables of the workload, which outlives the tests.
    """

    url: ClassVar[sa.URL]

    def rows(self) -> int:
        """Count the items, as code in the test sees them."""
        raise NotImplementedError


class Unittest(Contender):
    """unittest alone, without any database."""

    def test_empty(self) -> None:
        pass


class NoIsolation(Contender):
    """Nothing is undone: each test really commits, and leaves its rows to the next."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.engine = sa.create_engine(cls.url)

    @classmethod
    def tearDownClass(cls) -> None:
        empty(cls.engine)
        cls.engine.dispose()

    def test_insert(self) -> None:
        with self.engine.begin() as connection:
            connection.execute(INSERT)

    def rows(self) -> int:
        with self.engine.connect() as connection:
            return connection.scalar(COUNT) or 0


class NoIsolationApp(NoIsolation):
    """The same with an app.

    As in production, the request has a context and a session of its own, and so has the query.
    """

    @classmethod
    def setUpClass(cls) -> None:
        cls.app = create_app(cls.url)
        with cls.app.app_context():
            cls.engine = db.engine

    def test_request(self) -> None:
        post_item(self.app.test_client())
        assert self.rows() > 0

    def rows(self) -> int:
        with self.app.app_context():
            return db.session.scalar(COUNT) or 0


class NoIsolationOneContext(NoIsolationApp):
    """The same with one context for the test and its requests, which share its session.

    So Flask's documentation pushes one; what is left in ``g`` and in the session by one request
    is there in the next.
    """

    def setUp(self) -> None:
        context = self.app.app_context()
        context.push()
        self.addCleanup(context.pop)

    def rows(self) -> int:
        return db.session.scalar(COUNT) or 0


class Recipe(Contender):
    """SQLAlchemy's recipe: a session that joins an outer transaction, which is rolled back.

    From its documentation, "Joining a Session into an External Transaction". Code under test
    has to use that session: ``engine.begin()`` would really commit.
    """

    @classmethod
    def setUpClass(cls) -> None:
        cls.engine = sa.create_engine(cls.url)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.engine.dispose()

    def setUp(self) -> None:
        self.connection = self.engine.connect()
        self.transaction = self.connection.begin()
        self.session = Session(self.connection, join_transaction_mode="create_savepoint")

    def tearDown(self) -> None:
        self.session.close()
        self.transaction.rollback()
        self.connection.close()

    def test_empty(self) -> None:
        pass

    def test_insert(self) -> None:
        self.session.execute(INSERT)
        self.session.commit()

    def rows(self) -> int:
        return self.session.scalar(COUNT) or 0


class RecipeApp(NoIsolationOneContext):
    """The recipe with an app: the connection takes the engine's place."""

    @classmethod
    def tearDownClass(cls) -> None:
        cls.engine.dispose()

    def setUp(self) -> None:
        super().setUp()
        self.connection = self.engine.connect()
        self.transaction = self.connection.begin()
        db.engines[None] = self.connection  # type: ignore[assignment]

    def tearDown(self) -> None:
        db.session.remove()
        self.transaction.rollback()
        self.connection.close()
        db.engines[None] = self.engine

    def test_empty(self) -> None:
        pass

    def test_insert(self) -> None:
        db.session.execute(INSERT)
        db.session.commit()


class Psycopg2(Contender):
    """The driver alone: BEGIN, one INSERT, ROLLBACK."""

    @classmethod
    def setUpClass(cls) -> None:
        arguments = cls.url.translate_connect_args(username="user", database="dbname")
        cls.connection = psycopg2.connect(**{**arguments, **cls.url.query})

    @classmethod
    def tearDownClass(cls) -> None:
        cls.connection.close()

    def setUp(self) -> None:
        self.cursor = self.connection.cursor()

    def tearDown(self) -> None:
        self.cursor.close()
        self.connection.rollback()

    def test_insert(self) -> None:
        self.cursor.execute("INSERT INTO item (name) VALUES (%s)", ("of the test",))

    def rows(self) -> int:
        self.cursor.execute("SELECT count(*) FROM item")
        found: Any = self.cursor.fetchone()
        return int(found[0])


class CreateDrop(Contender):
    """``create_all`` and ``drop_all`` around each test, of all twenty tables."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.engine = sa.create_engine(cls.url)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.engine.dispose()

    def setUp(self) -> None:
        metadata.create_all(self.engine)

    def tearDown(self) -> None:
        metadata.drop_all(self.engine)

    def test_insert(self) -> None:
        with self.engine.begin() as connection:
            connection.execute(INSERT)

    def rows(self) -> int:
        with self.engine.connect() as connection:
            return connection.scalar(COUNT) or 0


class Ours(DatabaseTestCase):
    """A DatabaseTestCase without class data."""

    schema: Any = MetadataSchema(one_table)

    def test_empty(self) -> None:
        pass

    def test_insert(self) -> None:
        with self.engine.begin() as connection:
            connection.execute(INSERT)

    def rows(self) -> int:
        with self.engine.connect() as connection:
            return connection.scalar(COUNT) or 0


class OursData(Ours):
    """The same with class data."""

    @classmethod
    def setUpTestData(cls) -> None:
        cls.item = Item(name="of the class")
        cls.session.add(cls.item)
        cls.session.commit()


class OursDataIdsGoOn(OursData):
    """The same where sequences are not put back: what that part of the end of a test costs."""

    reset_sequences = False


class OursApp(Ours):
    """A DatabaseTestCase with an app."""

    @classmethod
    def create_app(cls) -> Any:
        return create_app(cls.database_url)

    def test_request(self) -> None:
        post_item(self.client)
        assert db.session.scalar(COUNT) > 0


class OursAppData(OursData, OursApp):
    """The same with class data."""


class OursTwenty(Ours):
    """Beside twenty tables, whose sequences are put back after each test."""

    schema = MetadataSchema(metadata)


class OursTwentyData(OursData):
    """The same with class data."""

    schema = MetadataSchema(metadata)


def post_item(client: Any) -> None:
    """Let a view insert an item."""
    response = client.post("/items")
    assert response.status_code == 201, response.text


def empty(engine: sa.Engine) -> None:
    """Take away what was really committed."""
    with engine.begin() as connection:
        connection.execute(sa.text("TRUNCATE item RESTART IDENTITY CASCADE"))

"""The two mistakes, on SQLAlchemy alone."""

import unittest

from sqlalchemy import NullPool, create_engine, event, exc, text

from .prices import SEED, PriceList


class BeforeTest(unittest.TestCase):
    def setUp(self):
        # without a pool, as with any that opens a second connection
        self.engine = create_engine("sqlite://", poolclass=NullPool)

    def test_table_is_gone(self):
        """What one connection made is not there in the next."""
        with self.engine.begin() as connection:
            connection.execute(text("CREATE TABLE price (item VARCHAR(20), cents INTEGER)"))
        with self.assertRaisesRegex(exc.OperationalError, "no such table: price"):
            PriceList(self.engine).items()

    def test_seed_on_every_connection(self):
        """A seed script on every connection brings back the table, but not the row."""
        runs = []

        @event.listens_for(self.engine, "connect")
        def seed(connection, record):
            connection.executescript(SEED.read_text())
            runs.append(connection)

        prices = PriceList(self.engine)
        prices.add("cheese", 540)
        self.assertEqual(prices.items(), ["bread", "butter; salted"])
        self.assertEqual(len(runs), 2, "one for each of the two steps above")

import threading

from dbtestcase import DatabaseTestCase, SQLSchema

from .prices import SEED, PriceList


class CountedSchema(SQLSchema):
    """The seed script, with a count of how often it was run."""

    runs = 0

    def build(self, connection):
        self.runs += 1
        super().build(connection)


seed = CountedSchema(SEED)


class PriceListTest(DatabaseTestCase):
    database = "sqlite"
    schema = seed

    def setUp(self):
        self.prices = PriceList(self.engine)

    def test_create_in_one_connection_fetch_in_another(self):
        """Each call opens its own connection, and the second one finds the row."""
        self.prices.add("cheese", 540)
        self.assertEqual(self.prices.items(), ["bread", "butter; salted", "cheese"])

    def test_fetch_in_another_thread(self):
        """A worker thread finds the row too."""
        self.prices.add("cheese", 540)
        found = []
        thread = threading.Thread(target=lambda: found.extend(self.prices.items()))
        thread.start()
        thread.join()
        self.assertIn("cheese", found)

    def test_fetch_after_dispose(self):
        """The database outlives the pool."""
        self.prices.add("cheese", 540)
        self.engine.dispose()
        self.assertIn("cheese", self.prices.items())

    def test_each_test_starts_with_the_seed(self):
        """What the tests above added is gone, what the script added is there."""
        self.assertEqual(self.prices.items(), ["bread", "butter; salted"])


class SeedTest(DatabaseTestCase):
    database = "sqlite"
    schema = seed

    def test_seed_ran_once(self):
        """Once, although this is the second class and its tenth connection."""
        prices = PriceList(self.engine)
        for number in range(10):
            prices.add(f"apple {number}", 40)
        self.assertEqual(prices.seeded(), 1)
        # a PostgreSQL of an earlier run is found ready, so that not even one is needed there
        self.assertLessEqual(seed.runs, 1)

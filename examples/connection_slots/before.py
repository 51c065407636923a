"""The suite as it was: an app, an engine and a pool for every test, and none is disposed."""

import os
import unittest

from .app import Bookmark, create_app, db
from .limited import limited_database, server_url

TOPICS = (
    *("art", "birds", "chess", "cycling", "dance", "film", "food", "games", "garden", "history"),
    *("jazz", "maps", "music", "news", "opera", "physics", "poetry", "python", "trains", "weather"),
)


class BookmarkTests:
    """Ten tests, run for each topic; they know nothing of how the database gets there."""

    topic: str

    def add(self, page="1"):
        return self.client.post(f"/{self.topic}", data={"url": f"//example.org/{page}"})

    def at(self, response):
        """Give the path of the bookmark that was added."""
        return f"/{self.topic}/{response.json['id']}"

    def test_empty(self):
        self.assertEqual(self.client.get(f"/{self.topic}").json, [])

    def test_add(self):
        self.assertEqual(self.add().status_code, 201)
        self.assertEqual(db.session.query(Bookmark).one().topic, self.topic)

    def test_add_gives_the_id(self):
        self.assertEqual(self.add().json, {"id": db.session.query(Bookmark.id).scalar()})

    def test_add_twice(self):
        self.add()
        self.assertEqual(self.add().status_code, 409)
        self.assertEqual(db.session.query(Bookmark).count(), 1)

    def test_index(self):
        self.add("1")
        self.add("2")
        self.assertEqual(
            self.client.get(f"/{self.topic}").json, ["//example.org/1", "//example.org/2"]
        )

    def test_index_of_another_topic(self):
        self.add()
        self.assertEqual(self.client.get("/nothing").json, [])

    def test_visit(self):
        bookmark = self.at(self.add())
        self.client.post(f"{bookmark}/visit")
        self.assertEqual(self.client.post(f"{bookmark}/visit").json, {"visits": 2})

    def test_visit_nothing(self):
        self.assertEqual(self.client.post(f"/{self.topic}/1/visit").status_code, 404)

    def test_remove(self):
        self.assertEqual(self.client.delete(self.at(self.add())).status_code, 204)
        self.assertEqual(db.session.query(Bookmark).count(), 0)

    def test_remove_nothing(self):
        self.assertEqual(self.client.delete(f"/{self.topic}/1").status_code, 404)


class Before(unittest.TestCase):
    def setUp(self):
        self.app = create_app({"SQLALCHEMY_DATABASE_URI": os.environ["DATABASE_URL"]})
        self.client = self.app.test_client()
        # pushed and never popped, so that each app lives, with its pool, as long as the run
        self.app.app_context().push()
        db.create_all()

    def tearDown(self):
        db.session.remove()
        db.drop_all()


def classes(base):
    """Make the 20 test classes of the suite on ``base``."""
    names = {topic: f"{topic.title()}Test" for topic in TOPICS}
    return {
        name: type(name, (BookmarkTests, base), {"topic": topic, "__module__": base.__module__})
        for topic, name in names.items()
    }


if __name__ == "__main__":
    globals().update(classes(Before))
    with limited_database(server_url()) as url:
        os.environ["DATABASE_URL"] = url.render_as_string(hide_password=False)
        unittest.main(failfast=True)

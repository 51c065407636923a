"""Posts, comments and tags, on pages."""

from ..blog import services
from ..blog.models import Comment, Deletion, Post, Tag, Visit, db, utcnow
from .base import BlogTest


class PostTest(BlogTest):
    def setUp(self):
        super().setUp()
        self.ada = self.add_user()
        self.log_in()

    def test_create(self):
        response = self.client.post("/posts", data={"title": "Hello, world"})
        self.assertEqual(response.status_code, 201)
        self.assertEqual(response.json, {"id": 1, "slug": "hello-world"})

    def test_create_needs_login(self):
        response = self.app.test_client().post("/posts", data={"title": "Hello"})
        self.assertEqual(response.status_code, 401)
        self.assertEqual(self.count(Post), 0)

    def test_create_with_tags(self):
        db.session.add(Tag(name="python"))
        db.session.commit()
        self.client.post("/posts", data={"title": "Hello", "tags": "python flask"})
        post = db.session.scalar(db.select(Post))
        self.assertEqual({tag.name for tag in post.tags}, {"flask", "python"})
        self.assertEqual(self.count(Tag), 2)

    def test_title_is_taken(self):
        self.client.post("/posts", data={"title": "Hello", "tags": "one"})
        response = self.client.post("/posts", data={"title": "Hello", "tags": "two"})
        self.assertEqual(response.status_code, 409)
        self.assertEqual(db.session.scalars(db.select(Tag.name)).all(), ["one"])

    def test_show(self):
        self.add_post(self.ada, "Hello", tags=["a", "b"])
        response = self.client.get("/posts/hello")
        self.assertEqual(
            response.json, {"title": "Hello", "author": "ada", "tags": ["a", "b"], "comments": []}
        )

    def test_show_nothing(self):
        response = self.client.get("/posts/nothing")
        self.assertEqual(response.status_code, 404)
        self.assertEqual(response.json["path"], "/posts/nothing")

    def test_newest_first(self):
        for title in ("One", "Two", "Three"):
            self.add_post(self.ada, title, published=True)
        self.assertEqual(self.client.get("/").json, ["Three", "Two", "One"])

    def test_created_at(self):
        before = utcnow()
        post = self.add_post(self.ada)
        self.assertLessEqual(before, post.created_at)
        self.assertLessEqual(post.created_at, utcnow())

    def test_drafts_are_not_listed(self):
        self.add_post(self.ada, "Draft")
        self.assertEqual(self.client.get("/").json, [])

    def test_publish(self):
        post = self.add_post(self.ada, "Draft")
        self.client.post(f"/posts/{post.id}/publish")
        self.assertTrue(post.published)
        self.assertEqual(self.client.get("/").json, ["Draft"])

    def test_publish_what_is_not_mine(self):
        post = self.add_post(self.add_user("bob"), "Draft")
        self.assertEqual(self.client.post(f"/posts/{post.id}/publish").status_code, 403)
        self.assertFalse(db.session.get(Post, post.id).published)

    def test_edit(self):
        post = self.add_post(self.ada, "Old")
        self.client.post(f"/posts/{post.id}/edit", data={"title": "New", "body": "text"})
        self.assertEqual((post.title, post.body, post.slug), ("New", "text", "old"))

    def test_delete(self):
        post = self.add_post(self.ada, tags=["a"])
        response = self.client.post(f"/posts/{post.id}/delete")
        self.assertEqual(response.status_code, 204)
        self.assertEqual((self.count(Post), self.count(Tag)), (0, 1))

    def test_deletion_is_noted(self):
        post = self.add_post(self.ada, "Hello")
        self.client.post(f"/posts/{post.id}/delete")
        noted = db.session.scalar(db.select(Deletion))
        self.assertEqual((noted.slug, noted.actor), ("hello", "ada"))

    def test_deletion_by_nobody(self):
        post = self.add_post(self.ada, "Hello")
        db.session.delete(post)
        db.session.commit()
        self.assertEqual(db.session.scalar(db.select(Deletion.actor)), "nobody")

    def test_like(self):
        post = self.add_post(self.ada)
        self.client.post(f"/posts/{post.id}/like")
        self.client.post(f"/posts/{post.id}/like")
        self.assertEqual(post.likes, 2)

    def test_like_nothing(self):
        self.assertEqual(self.client.post("/posts/7/like").status_code, 404)

    def test_visits(self):
        self.client.get("/")
        self.client.get("/")
        self.client.get("/posts/nothing")
        found = db.session.execute(db.select(Visit.path, Visit.count).order_by(Visit.path)).all()
        self.assertEqual(found, [("/", 2), ("/posts/nothing", 1)])


class CommentTest(BlogTest):
    def setUp(self):
        super().setUp()
        self.ada, self.bob = self.add_user("ada"), self.add_user("bob")
        self.post = self.add_post(self.ada)
        self.url = f"/posts/{self.post.id}/comments"
        self.log_in("bob")

    def test_comment(self):
        response = self.client.post(self.url, data={"body": "Nice"})
        self.assertEqual((response.status_code, response.json), (201, {"count": 1}))
        comment = db.session.get(Comment, 1)
        self.assertEqual((comment.author.name, comment.body), ("bob", "Nice"))

    def test_count(self):
        for body in ("One", "Two"):
            self.client.post(self.url, data={"body": body})
        post = db.session.scalar(db.select(Post))
        self.assertEqual((post.comment_count, len(post.comments)), (2, 2))

    def test_oldest_first(self):
        for body in ("One", "Two", "Three"):
            self.client.post(self.url, data={"body": body})
        self.assertEqual(self.client.get("/posts/first").json["comments"], ["One", "Two", "Three"])

    def test_empty(self):
        self.assertEqual(self.client.post(self.url, data={"body": " "}).status_code, 400)
        self.assertEqual(self.count(Comment), 0)

    def test_deleted_with_the_post(self):
        self.client.post(self.url, data={"body": "Nice"})
        db.session.delete(self.post)
        db.session.commit()
        self.assertEqual(self.count(Comment), 0)


class TagTest(BlogTest):
    def setUp(self):
        super().setUp()
        self.ada = self.add_user()

    def test_named(self):
        one = Tag.named("python")
        db.session.flush()
        self.assertIs(Tag.named("python"), one)
        self.assertEqual(one.id, 1)

    def test_import(self):
        self.assertEqual(services.import_tags(["a", "b"]), 2)
        self.assertEqual(self.count(Tag), 2)

    def test_import_again(self):
        services.import_tags(["a"])
        self.assertEqual(services.import_tags(["b", "a", "c"]), 2)
        names = db.session.scalars(db.select(Tag.name).order_by(Tag.name)).all()
        self.assertEqual(names, ["a", "b", "c"])

    def test_savepoint(self):
        db.session.add(Tag(name="kept"))
        savepoint = db.session.begin_nested()
        db.session.add(Tag(name="dropped"))
        savepoint.rollback()
        db.session.commit()
        self.assertEqual(db.session.scalars(db.select(Tag.name)).all(), ["kept"])

    def test_sidebar(self):
        self.add_post(self.ada, "One", tags=["a", "b"])
        self.add_post(self.ada, "Two", tags=["a"])
        self.assertEqual(self.client.get("/sidebar").json, ["a", "b"])
        self.assertEqual(self.client.get("/sidebar?counts=1").json, {"a": 2, "b": 1})

    def test_sidebar_is_remembered(self):
        self.add_post(self.ada, "One", tags=["a"])
        self.client.get("/sidebar")
        self.add_post(self.ada, "Two", tags=["b"])
        self.assertEqual(self.client.get("/sidebar").json, ["a"])

    def test_rollback_of_the_test(self):
        db.session.add(Tag(name="dropped"))
        db.session.flush()
        db.session.rollback()
        self.assertEqual(self.count(Tag), 0)

"""The API, and commands for administrators."""

from ..blog import services
from ..blog.models import Post, Role, Tag, Token, User, db
from .base import BlogTest


class ApiTest(BlogTest):
    def setUp(self):
        super().setUp()
        self.ada = self.add_user()
        self.headers = self.token_of(self.ada)

    def test_token(self):
        response = self.client.post("/api/tokens", json={"name": "ada", "password": "secret"})
        self.assertEqual(response.status_code, 201)
        headers = {"Authorization": f"Bearer {response.json['token']}"}
        self.assertEqual(self.client.get("/api/posts", headers=headers).json, [])

    def test_token_for_nobody(self):
        response = self.client.post("/api/tokens", json={"name": "eve", "password": "secret"})
        self.assertEqual((response.status_code, response.json), (401, {"error": "unauthorized"}))

    def test_no_token(self):
        self.assertEqual(self.client.get("/api/posts").status_code, 401)

    def test_basic_is_not_bearer(self):
        headers = {"Authorization": self.headers["Authorization"].replace("Bearer", "Basic")}
        self.assertEqual(self.client.get("/api/posts", headers=headers).status_code, 401)

    def test_revoked_token(self):
        self.client.delete("/api/tokens", headers=self.headers)
        self.assertEqual(self.client.get("/api/posts", headers=self.headers).status_code, 401)
        self.assertEqual(self.count(Token), 0)

    def test_create(self):
        response = self.client.post("/api/posts", json={"title": "Hello"}, headers=self.headers)
        self.assertEqual(response.status_code, 201)
        self.assertEqual(
            response.json,
            {
                "id": 1,
                "title": "Hello",
                "author": "ada",
                "tags": [],
                "published": False,
                "announced": [],
            },
        )
        self.assertEqual(self.client.get("/api/posts/1", headers=self.headers).json["id"], 1)

    def test_announce(self):
        self.app.config["SUBSCRIBERS"] = ["bob", "eve"]
        response = self.client.post("/api/posts", json={"title": "Hello"}, headers=self.headers)
        self.assertEqual(response.json["announced"], ["bob: Hello", "eve: Hello"])

    def test_title_is_taken(self):
        for status in (201, 422):
            response = self.client.post(
                "/api/posts", json={"title": "Hello", "tags": ["a"]}, headers=self.headers
            )
            self.assertEqual(response.status_code, status)
        self.assertEqual(response.json, {"error": "there is a post of that title"})
        self.assertEqual(self.count(Post), 1)

    def test_list(self):
        self.add_post(self.ada, "One", tags=["a"])
        self.add_post(self.ada, "Two")
        found = self.client.get("/api/posts", headers=self.headers).json
        self.assertEqual([(each["id"], each["title"]) for each in found], [(1, "One"), (2, "Two")])

    def test_change(self):
        post = self.add_post(self.ada, "Old")
        url = f"/api/posts/{post.id}"
        self.client.put(url, json={"title": "New", "published": True}, headers=self.headers)
        self.assertEqual((post.title, post.published), ("New", True))

    def test_change_refused(self):
        post = self.add_post(self.ada, "Old")
        url = f"/api/posts/{post.id}"
        response = self.client.put(url, json={"title": ""}, headers=self.headers)
        self.assertEqual(
            (response.status_code, response.json), (422, {"error": "a post needs a title"})
        )
        self.assertEqual(post.title, "Old")

    def test_change_what_is_not_mine(self):
        post = self.add_post(self.add_user("bob"))
        url = f"/api/posts/{post.id}"
        response = self.client.put(url, json={"title": "Mine"}, headers=self.headers)
        self.assertEqual((response.status_code, response.json), (403, {"error": "forbidden"}))

    def test_delete(self):
        post_id = self.add_post(self.ada).id
        self.client.delete(f"/api/posts/{post_id}", headers=self.headers)
        self.assertIsNone(db.session.get(Post, post_id))
        response = self.client.delete(f"/api/posts/{post_id}", headers=self.headers)
        self.assertEqual(response.status_code, 404)

    def test_front_page(self):
        posts = [self.add_post(self.ada, title) for title in ("One", "Two", "Three")]
        for post in posts:
            url, chosen = "/api/front-page/1", {"post": post.id}
            response = self.client.put(url, json=chosen, headers=self.headers)
        self.assertEqual((response.status_code, len(response.json)), (200, 3))
        self.assertEqual(post.position, 1)

    def test_front_page_swaps(self):
        one, two = self.add_post(self.ada, "One", position=1), self.add_post(self.ada, "Two")
        two.position, one.position = 1, 2
        db.session.commit()
        found = db.session.scalars(db.select(Post.title).order_by(Post.position))
        self.assertEqual(found.all(), ["Two", "One"])

    def test_tags(self):
        services.import_tags(["b"])
        response = self.client.post("/api/tags", json=["a", "b", "c"], headers=self.headers)
        self.assertEqual(response.json, {"added": 2})
        self.assertEqual(self.count(Tag), 3)

    def test_stats(self):
        self.add_post(self.ada)
        self.assertEqual(
            self.client.get("/api/stats").json, {"users": 1, "posts": 1, "comments": 0}
        )


class CommandTest(BlogTest):
    def setUp(self):
        super().setUp()
        Role.insert_roles()

    def invoke(self, *args):
        return self.app.test_cli_runner().invoke(args=args)

    def test_promote(self):
        user = self.add_user(role="reader")
        self.assertEqual(
            self.invoke("users", "promote", "ada", "moderator").output, "ada is a moderator now\n"
        )
        self.assertTrue(user.moderates)

    def test_promote_nobody(self):
        result = self.invoke("users", "promote", "eve", "moderator")
        self.assertEqual(result.exit_code, 1)
        self.assertIn("no user eve", result.output)

    def test_add(self):
        self.add_user()
        self.assertEqual(self.invoke("users", "add", "bob", "bob@blog.example").output, "2 users\n")
        self.assertTrue(db.session.scalar(db.select(User).filter_by(name="bob")).confirmed)

    def test_add_who_is_there(self):
        self.add_user()
        result = self.invoke("users", "add", "ada", "other@blog.example")
        self.assertEqual((result.exit_code, result.output), (1, "Error: ada is taken\n"))
        self.assertEqual(self.count(User), 1)

    def test_purge(self):
        self.add_user("ada", confirmed=True)
        self.add_user("bob")
        self.assertEqual(services.purge_unconfirmed(self.app), 1)
        self.assertEqual(db.session.scalars(db.select(User.name)).all(), ["ada"])

    def test_sql(self):
        self.add_user()
        result = self.invoke("sql", "run", "UPDATE users SET confirmed = true")
        self.assertEqual(result.output, "1\n")
        self.assertEqual(self.count(db.select(User).filter_by(confirmed=True).subquery()), 1)

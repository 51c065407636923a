"""Uploads, mail, search, and what is streamed."""

import io
import os
import shutil
import tempfile

from sqlalchemy import text

from ..blog.models import Role, Search, SentMail, Upload, User, db
from .base import BlogTest


class UploadTest(BlogTest):
    def setUp(self):
        super().setUp()
        self.folder = self.app.config["UPLOAD_FOLDER"] = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        self.post = self.add_post(self.add_user())
        self.log_in()

    def upload(self, name="cat.png", content=b"meow"):
        return self.client.post(
            f"/posts/{self.post.id}/uploads", data={"file": (io.BytesIO(content), name)}
        )

    def test_upload(self):
        self.assertEqual(self.upload().json, {"filename": "cat.png"})
        self.assertEqual(os.listdir(self.folder), ["cat.png"])
        self.assertEqual(db.session.scalar(db.select(Upload.size)), 4)

    def test_name_is_taken(self):
        self.upload()
        self.assertEqual(self.upload(content=b"purr").status_code, 409)
        self.assertEqual(self.count(Upload), 1)

    def test_name_is_made_secure(self):
        self.assertEqual(self.upload("../../cat.png").json, {"filename": "cat.png"})

    def test_program(self):
        self.assertEqual(self.upload("cat.exe").status_code, 415)
        self.assertEqual(os.listdir(self.folder), [])

    def test_program_that_is_allowed(self):
        self.app.config["UPLOAD_EXTENSIONS"] = [".exe"]
        self.assertEqual(self.upload("cat.exe").status_code, 201)
        self.assertEqual(self.upload("cat.png").status_code, 415)

    def test_deleted_with_the_post(self):
        self.upload()
        self.client.post(f"/posts/{self.post.id}/delete")
        self.assertEqual(self.count(Upload), 0)


class MailTest(BlogTest):
    def setUp(self):
        super().setUp()
        Role.insert_roles()
        self.smtp = self.use_smtp()
        self.addCleanup(self.smtp.accept, self.app)

    def register(self):
        return self.client.post(
            "/register", data={"name": "ada", "email": "ada@blog.example", "password": "x"}
        )

    def test_welcome(self):
        self.register()
        self.smtp.accept(self.app)
        recipient, subject, content = self.smtp.sent[0]
        self.assertEqual((recipient, subject), ("ada@blog.example", "Welcome"))
        user = db.session.scalar(db.select(User))
        self.assertEqual(content, f"Dear ada, please confirm /confirm/{user.id}, and be a reader.")

    def test_sent_mail_is_noted(self):
        post = self.add_post(self.add_user(), "Hello")
        self.log_in()
        self.client.post(f"/posts/{post.id}/publish")
        self.assertEqual(self.count(SentMail), 0)
        self.smtp.accept(self.app)
        noted = db.session.get(SentMail, 1)
        self.assertEqual((noted.recipient, noted.subject), ("ada@blog.example", "Published"))
        self.assertEqual(self.smtp.sent[0][2], "Hello")

    def test_no_transport(self):
        self.app.config["MAIL_TRANSPORT"] = None
        self.assertEqual(self.register().status_code, 201)
        self.smtp.accept(self.app)
        self.assertEqual(self.smtp.sent, [])


class SearchTest(BlogTest):
    def setUp(self):
        super().setUp()
        ada = self.add_user()
        self.add_post(ada, "Cats", body="A cat and another cat.", published=True)
        self.add_post(ada, "Dogs", body="No cat.", published=True)
        self.add_post(ada, "Secret cats")

    def search(self, words):
        return self.client.get("/search", query_string={"q": words}).json

    def test_search(self):
        self.assertEqual(self.search("cat"), ["Cats", "Dogs"])

    def test_nothing_found(self):
        self.assertEqual(self.search("horse"), [])

    def test_search_twice(self):
        self.assertEqual(self.search("dog"), ["Dogs"])
        self.assertEqual(self.search("dogs"), ["Dogs"])

    def test_searches_are_noted(self):
        self.search("cat")
        self.search("horse")
        found = db.session.scalars(db.select(Search.query).order_by(Search.id)).all()
        self.assertEqual(found, ["cat", "horse"])

    def test_raw_sql(self):
        with db.engine.begin() as connection:
            connection.execute(text("DELETE FROM posts WHERE title = 'Dogs'"))
        self.assertEqual(self.search("cat"), ["Cats"])


class StreamTest(BlogTest):
    def setUp(self):
        super().setUp()
        self.ada, self.bob = self.add_user("ada"), self.add_user("bob")
        self.add_post(self.ada, "One")
        self.add_post(self.bob, "Two")

    def test_export(self):
        response = self.client.get("/export.csv")
        self.assertEqual(response.text, "title,author\nOne,ada\nTwo,bob\n")
        self.assertEqual(response.mimetype, "text/csv")

    def test_feed(self):
        self.assertEqual(self.client.get("/feed").text, "One by ada\nTwo by bob\n")

    def test_feed_with_comments(self):
        self.log_in("bob")
        self.client.post("/posts/1/comments", data={"body": "Nice"})
        response = self.client.get("/feed?comments=1")
        self.assertEqual(response.text, "One by ada\n  Nice\nTwo by bob\n")

    def test_feed_in_pieces(self):
        pieces = list(self.client.get("/feed").iter_encoded())
        self.assertEqual(pieces, [b"One by ada\n", b"Two by bob\n"])

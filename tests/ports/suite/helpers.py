"""What the tests of the blog do again and again."""

import threading

from ..blog import mail
from ..blog.models import Post, Role, Tag, Token, User, db


class FakeSMTP:
    """A mail server that lets its clients wait until the test says :meth:`accept`."""

    def __init__(self):
        self.sent = []
        self._accepts = threading.Event()

    def connect(self):
        self._accepts.wait(60)

    def send(self, recipient, subject, text):
        self.sent.append((recipient, subject, text))

    def accept(self, app):
        self._accepts.set()
        mail.drain(app)


class Helpers:
    def add_user(self, name="ada", role=None, **values):
        user = User(name=name, email=f"{name}@blog.example", **values)
        if role is not None:
            user.role = db.session.scalar(db.select(Role).filter_by(name=role))
        db.session.add(user)
        db.session.commit()
        return user

    def add_post(self, author, title="First", tags=(), **values):
        slug = title.lower().replace(" ", "-")
        post = Post(author=author, title=title, slug=slug, **values)
        db.session.add(post)
        post.tags = [Tag.named(tag) for tag in tags]
        db.session.commit()
        return post

    def log_in(self, name="ada", password="secret"):
        return self.client.post("/login", data={"name": name, "password": password})

    def token_of(self, user):
        token = Token(user=user)
        db.session.add(token)
        db.session.commit()
        return {"Authorization": f"Bearer {token.value}"}

    def count(self, model):
        return db.session.scalar(db.select(db.func.count()).select_from(model))

    def use_smtp(self):
        smtp = self.app.config["MAIL_TRANSPORT"] = FakeSMTP()
        return smtp

"""The tables of the blog."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

from flask import current_app
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import DDL, Column, ForeignKey, Table, UniqueConstraint, event
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from werkzeug.security import check_password_hash, generate_password_hash


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)


def utcnow():
    return datetime.now(UTC).replace(tzinfo=None)


class Role(db.Model):
    __tablename__ = "roles"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    moderates: Mapped[bool] = mapped_column(default=False)

    @staticmethod
    def insert_roles():
        """Add the roles that are not there yet."""
        there = set(db.session.scalars(db.select(Role.name)))
        for name, moderates in (("reader", False), ("author", False), ("moderator", True)):
            if name not in there:
                db.session.add(Role(name=name, moderates=moderates))
        db.session.commit()


class User(db.Model):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    email: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str]
    confirmed: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    role_id: Mapped[int | None] = mapped_column(ForeignKey("roles.id"))
    role: Mapped[Role | None] = relationship()
    posts: Mapped[list[Post]] = relationship(back_populates="author")

    def __init__(self, password="secret", **values):
        super().__init__(**values)
        self.set_password(password)

    def set_password(self, password):
        method = current_app.config["PASSWORD_METHOD"]
        self.password_hash = generate_password_hash(password, method)

    def check_password(self, password):
        return check_password_hash(self.password_hash, password)

    @property
    def moderates(self):
        return self.role is not None and self.role.moderates


class Token(db.Model):
    __tablename__ = "tokens"
    id: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[str] = mapped_column(unique=True, default=lambda: secrets.token_hex(8))
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    user: Mapped[User] = relationship()


post_tags = Table(
    "post_tags",
    Base.metadata,
    Column("post_id", ForeignKey("posts.id", ondelete="CASCADE"), primary_key=True),
    Column("tag_id", ForeignKey("tags.id", ondelete="CASCADE"), primary_key=True),
)


class Post(db.Model):
    __tablename__ = "posts"
    # the front page is reordered by several statements, and right again when they are done
    __table_args__ = (
        UniqueConstraint(
            "position", name="one_post_per_position", deferrable=True, initially="DEFERRED"
        ),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    slug: Mapped[str] = mapped_column(unique=True)
    body: Mapped[str] = mapped_column(default="")
    published: Mapped[bool] = mapped_column(default=False)
    likes: Mapped[int] = mapped_column(default=0)
    comment_count: Mapped[int] = mapped_column(default=0)
    position: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    author_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    author: Mapped[User] = relationship(back_populates="posts")
    tags: Mapped[list[Tag]] = relationship(secondary=post_tags, back_populates="posts")
    comments: Mapped[list[Comment]] = relationship(
        back_populates="post", order_by="Comment.created_at", passive_deletes=True
    )


class Comment(db.Model):
    __tablename__ = "comments"
    id: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    post_id: Mapped[int] = mapped_column(ForeignKey("posts.id", ondelete="CASCADE"))
    author_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    post: Mapped[Post] = relationship(back_populates="comments")
    author: Mapped[User] = relationship()


class Tag(db.Model):
    __tablename__ = "tags"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    posts: Mapped[list[Post]] = relationship(secondary=post_tags, back_populates="tags")

    @property
    def count(self):
        return len(self.posts)

    @staticmethod
    def named(name):
        """Give the tag of that name, a new one if there is none."""
        found = db.session.scalar(db.select(Tag).filter_by(name=name))
        if found is None:
            found = Tag(name=name)
            db.session.add(found)
        return found


class Upload(db.Model):
    __tablename__ = "uploads"
    id: Mapped[int] = mapped_column(primary_key=True)
    filename: Mapped[str] = mapped_column(unique=True)
    size: Mapped[int]
    post_id: Mapped[int] = mapped_column(ForeignKey("posts.id", ondelete="CASCADE"))


class SentMail(db.Model):
    __tablename__ = "sent_mails"
    id: Mapped[int] = mapped_column(primary_key=True)
    recipient: Mapped[str]
    subject: Mapped[str]


class Search(db.Model):
    __tablename__ = "searches"
    id: Mapped[int] = mapped_column(primary_key=True)
    query: Mapped[str]


class Visit(db.Model):
    __tablename__ = "visits"
    path: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int] = mapped_column(default=0)


class Deletion(db.Model):
    """Who deleted which post: written by a trigger."""

    __tablename__ = "deletions"
    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str]
    actor: Mapped[str]


event.listen(
    Post.__table__,
    "after_create",
    DDL(
        """
        CREATE OR REPLACE FUNCTION note_deletion() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO deletions (slug, actor) VALUES
                (OLD.slug, coalesce(nullif(current_setting('blog.actor', true), ''), 'nobody'));
            RETURN OLD;
        END $$;
        CREATE TRIGGER note_deletion BEFORE DELETE ON posts
            FOR EACH ROW EXECUTE FUNCTION note_deletion();
        """
    ),
)

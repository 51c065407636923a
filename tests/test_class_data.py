"""Objects that ``setUpTestData`` leaves on a class, in tests of programs of each kind."""

from __future__ import annotations

import unittest
from typing import Any, ClassVar

import alchemical.flask
import flask_sqlalchemy
import flask_sqlalchemy_lite
from alchemical.core import BaseModel
from flask import Flask, jsonify
from sqlalchemy import Engine, ForeignKey, create_engine, inspect, select
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    mapped_column,
    object_session,
    relationship,
    sessionmaker,
)
from sqlalchemy.orm.exc import DetachedInstanceError

from dbtestcase import DatabaseTestCase, MetadataSchema

from .support import look, no_settings
from .test_cases import PRODUCTION, CaseTest


def setUpModule() -> None:
    unittest.enterModuleContext(no_settings())


def models(base: Any) -> tuple[Any, Any]:
    """Make authors and their posts on a declarative base of whatever origin."""

    class Author(base):
        __tablename__ = "author"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column()
        posts: Mapped[list[Any]] = relationship(
            lambda: Post,  # by no name, of which the base may have another one
            back_populates="author",
            order_by=lambda: Post.id,
            cascade="all, delete-orphan",
        )

    class Post(base):
        __tablename__ = "post"
        id: Mapped[int] = mapped_column(primary_key=True)
        author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))
        title: Mapped[str] = mapped_column()
        author: Mapped[Any] = relationship(lambda: Author, back_populates="posts")

    return Author, Post


class LiteBase(DeclarativeBase):
    pass


class PlainBase(DeclarativeBase):
    pass


class AlchemicalBase(BaseModel, DeclarativeBase):
    # by default all models of a process share them, and so the tables of other tests' apps
    __metadatas__: ClassVar[dict[Any, Any]] = {}


of_flask_sqlalchemy = flask_sqlalchemy.SQLAlchemy()
of_lite = flask_sqlalchemy_lite.SQLAlchemy()
of_alchemical = alchemical.flask.Alchemical(model_class=AlchemicalBase)
MODELS = {
    of_flask_sqlalchemy: models(of_flask_sqlalchemy.Model),
    of_lite: models(LiteBase),
    of_alchemical: models(of_alchemical.Model),
}
PlainAuthor, PlainPost = models(PlainBase)


class Blog:
    """Class data in every kind of container, and tests that each find them untouched.

    Mixed in left of ``DatabaseTestCase``, so that it is not run by itself.
    """

    db: ClassVar[Any]
    urls: ClassVar[list[str]] = []

    @classmethod
    def create_app(cls) -> Flask:
        app = Flask(__name__)
        url = cls.database_url
        app.config["SQLALCHEMY_DATABASE_URI"] = app.config["ALCHEMICAL_DATABASE_URL"] = url
        app.config["SQLALCHEMY_ENGINES"] = {"default": url}
        cls.urls.append(url)
        db, author = cls.db, MODELS[cls.db][0]
        db.init_app(app)
        if db is of_alchemical:
            app.extensions["alchemical"] = db  # which it does not do by itself

        @app.delete("/authors/<int:id>")
        def delete(id: int) -> Any:
            db.session.delete(db.session.get(author, id))
            db.session.commit()
            return jsonify(list(db.session.scalars(select(author.name))))

        @app.post("/authors/<int:id>/<name>")
        def rename(id: int, name: str) -> str:
            found = db.session.get(author, id)
            found.name = name
            found.posts.pop()
            db.session.commit()
            return ""

        return app

    @classmethod
    def setUpTestData(cls) -> None:
        author, post = MODELS[cls.db]
        alice = author(name="alice", posts=[post(title="one"), post(title="two")])
        bob = author(name="bob")
        cls.db.session.add_all([alice, bob])
        cls.db.session.commit()
        cls.alice, cls.people, cls.by_name = alice, [alice, bob], {"alice": alice, "bob": bob}
        cls.posts, cls.nested = alice.posts, {"all": [(bob, {"first": alice.posts[0]})]}

    def setUp(self) -> None:
        self.author, self.post = MODELS[self.db]

    def untouched(self) -> None:
        self.assertEqual([person.name for person in self.people], ["alice", "bob"])
        self.assertEqual([post.title for post in self.posts], ["one", "two"])
        self.assertEqual([post.title for post in self.alice.posts], ["one", "two"])
        self.assertIs(self.people[0], self.alice)
        self.assertIs(self.by_name["alice"], self.alice)
        (bob, found) = self.nested["all"][0]
        self.assertIs(bob, self.by_name["bob"])
        self.assertIs(found["first"], self.alice.posts[0])
        self.assertIs(self.posts[1].author, self.alice)
        self.assertIs(object_session(self.alice), self.session)

    test_a_untouched = test_z_untouched = untouched

    def test_deleted(self) -> None:
        self.session.delete(self.alice)
        self.session.commit()
        self.assertEqual(self.session.scalars(select(self.author.name)).all(), ["bob"])
        self.assertEqual(self.session.scalars(select(self.post)).all(), [])
        self.people.clear()
        self.by_name["carol"] = None

    def test_deleted_by_a_request(self) -> None:
        id = self.alice.id
        self.assertEqual(self.client.delete(f"/authors/{id}").json, ["bob"])
        self.assertIsNone(self.session.get(self.author, self.alice.id))
        self.assertEqual(self.by_name["bob"].name, "bob")

    def test_mutated(self) -> None:
        self.alice.name = "anna"
        self.alice.posts.append(self.post(title="three"))
        self.posts.pop()
        self.people.append(self.author(name="carol"))
        self.session.commit()
        titles = self.session.scalars(select(self.post.title).order_by(self.post.id))
        self.assertEqual(list(titles), ["one", "two", "three"])

    def test_mutated_and_not_committed(self) -> None:
        self.alice.name = "anna"
        self.by_name["bob"].posts = [self.post(title="three")]
        self.session.flush()

    def test_mutated_by_a_request(self) -> None:
        self.assertEqual(len(self.alice.posts), 2)
        self.client.post(f"/authors/{self.alice.id}/anna")
        self.assertEqual(self.alice.name, "anna")
        self.assertEqual([post.title for post in self.alice.posts], ["one"])

    def test_lazily_loaded(self) -> None:
        alice = self.alice
        self.assertIn("posts", inspect(alice).unloaded)
        self.assertEqual([post.author.name for post in alice.posts], ["alice", "alice"])

    def test_lazily_loaded_after_a_write(self) -> None:
        self.session.add(self.post(title="three", author_id=1))
        self.session.commit()
        self.assertEqual([post.title for post in self.alice.posts], ["one", "two", "three"])
        self.assertIs(self.by_name["alice"], self.alice)


class ClassDataTest(CaseTest):
    def assert_untouched(self, case: type[Blog]) -> None:
        Blog.urls = []
        case.database = self.database
        report = self.assert_passed(case, case)
        self.assertEqual(report.ran, 18)
        self.assertEqual([look(url).rows for url in set(Blog.urls)], [{}])


class TestClassDataOfExtensions(ClassDataTest):
    """With an extension the objects come back in the test's own session."""

    def test_flask_sqlalchemy(self) -> None:
        """Flask-SQLAlchemy."""

        class OfFlaskSQLAlchemy(Blog, DatabaseTestCase):
            db = of_flask_sqlalchemy

        self.assert_untouched(OfFlaskSQLAlchemy)

    def test_lite(self) -> None:
        """Flask-SQLAlchemy-Lite."""

        class OfLite(Blog, DatabaseTestCase):
            db = of_lite
            schema = MetadataSchema(LiteBase.metadata)

        self.assert_untouched(OfLite)

    def test_alchemical(self) -> None:
        """Alchemical."""

        class OfAlchemical(Blog, DatabaseTestCase):
            db = of_alchemical
            schema = MetadataSchema(of_alchemical.Model.metadata)

        self.assert_untouched(OfAlchemical)


class TestClassDataOfExtensionsInMemory(TestClassDataOfExtensions):
    """The same on SQLite in memory."""

    database = "sqlite"


class TestClassDataOfSessionmaker(CaseTest):
    """With a sessionmaker they are detached copies, linked as setUpTestData had them."""

    url = PRODUCTION

    def test_detached(self) -> None:
        """Each test has its own, deletes and changes them, and loads the rest in a session."""
        engine = create_engine(self.url)
        self.addCleanup(engine.dispose)
        make = sessionmaker(engine)
        urls = []

        class Program(DatabaseTestCase):
            database = self.database
            schema = MetadataSchema(PlainBase.metadata)

            @classmethod
            def create_engine(cls) -> Engine:
                urls.append(cls.database_url)
                return engine

            @classmethod
            def setUpTestData(cls) -> None:
                with make() as session:
                    alice = PlainAuthor(name="alice", posts=[PlainPost(title="one")])
                    bob = PlainAuthor(name="bob")
                    session.add_all([alice, bob])
                    session.commit()
                    session.refresh(bob)
                    self.assertIs(alice.posts[0].author, alice)  # loaded, as production would
                cls.people, cls.by_name = [alice, bob], {"alice": alice}

            def untouched(self) -> None:
                alice, bob = self.people
                self.assertIs(self.by_name["alice"], alice)
                self.assertEqual((alice.name, bob.name), ("alice", "bob"))
                self.assertEqual([post.title for post in alice.posts], ["one"])
                self.assertIs(alice.posts[0].author, alice)
                self.assertIsNone(object_session(alice))

            test_a_untouched = test_z_untouched = untouched

            def test_deleted(self) -> None:
                with make.begin() as session:
                    session.delete(self.people.pop(0))
                with make() as session:
                    found = session.scalars(select(PlainAuthor.name)).all()
                self.assertEqual(found, ["bob"])

            def test_mutated(self) -> None:
                alice = self.by_name.pop("alice")
                alice.name = "anna"
                alice.posts.append(PlainPost(title="two"))
                with make.begin() as session:
                    session.add(alice)
                with make() as session:
                    found = session.get(PlainAuthor, 1)
                    self.assertEqual((found.name, len(found.posts)), ("anna", 2))

            def test_lazily_loaded(self) -> None:
                bob = self.people[1]
                with self.assertRaises(DetachedInstanceError):
                    bob.posts  # noqa: B018
                with Session(engine) as session:
                    session.add(bob)
                    self.assertEqual(bob.posts, [])

        report = self.assert_passed(Program, Program)
        self.assertEqual(report.ran, 10)
        self.assertEqual(look(urls[0]).rows, {})


class TestClassDataOfSessionmakerInMemory(TestClassDataOfSessionmaker):
    """The same on SQLite in memory."""

    database = "sqlite"
    url = "sqlite:////nowhere/shop.db"


if __name__ == "__main__":
    unittest.main()

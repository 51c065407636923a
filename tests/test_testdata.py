"""Tests of dbtestcase.testdata, on a small stand-in for a test case and its sandbox."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import datetime
import tempfile
import threading
import unittest
from collections import OrderedDict, defaultdict, namedtuple
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest import mock

import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import event, orm
from sqlalchemy.ext.associationproxy import association_proxy
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.ext.mutable import MutableDict
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    MappedAsDataclass,
    Session,
    mapped_column,
    relationship,
)

from dbtestcase.errors import TestDataError
from dbtestcase.testdata import ClassData


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "user"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(default="user")
    name: Mapped[str] = mapped_column()
    bio: Mapped[str | None] = mapped_column(deferred=True)
    created: Mapped[datetime.datetime] = mapped_column(server_default=sa.func.current_timestamp())
    tags: Mapped[list[str]] = mapped_column(sa.JSON, default=list)
    prefs: Mapped[dict[str, Any]] = mapped_column(MutableDict.as_mutable(sa.JSON), default=dict)
    posts: Mapped[list[Post]] = relationship(back_populates="author", order_by="Post.id")
    eager: Mapped[list[Post]] = relationship(lazy="joined", viewonly=True)
    titles = association_proxy("posts", "title")
    shouted: Mapped[str] = orm.column_property(sa.func.upper(name))
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "user"}

    token: str = "none"

    @hybrid_property
    def initial(self) -> str:
        return self.name[0]

    @cached_property
    def greeting(self) -> str:
        return f"hello {self.name}"


class Admin(User):
    __tablename__ = "admin"
    id: Mapped[int] = mapped_column(sa.ForeignKey("user.id"), primary_key=True)
    level: Mapped[int]
    __mapper_args__ = {"polymorphic_identity": "admin"}


class Post(Base):
    __tablename__ = "post"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    author_id: Mapped[int | None] = mapped_column(sa.ForeignKey("user.id"))
    author: Mapped[User | None] = relationship(back_populates="posts")


class Seat(Base):
    __tablename__ = "seat"
    row: Mapped[int] = mapped_column("row_number", primary_key=True)
    letter: Mapped[str] = mapped_column(primary_key=True)
    taken: Mapped[bool] = mapped_column(default=False)


tagging = sa.Table(
    "tagging",
    Base.metadata,
    sa.Column("node_id", sa.ForeignKey("node.id"), primary_key=True),
    sa.Column("label_id", sa.ForeignKey("label.id"), primary_key=True),
)


@dataclasses.dataclass
class Point:
    x: int
    y: int


class Node(Base):
    """What else a mapping may have."""

    __tablename__ = "node"
    id: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column()
    parent_id: Mapped[int | None] = mapped_column(sa.ForeignKey("node.id"))
    blob: Mapped[bytes] = mapped_column(sa.LargeBinary, default=b"", deferred=True)
    point: Mapped[Point] = orm.composite(mapped_column("x"), mapped_column("y"))
    parent: Mapped[Node | None] = relationship(back_populates="children", remote_side=[id])
    children: Mapped[list[Node]] = relationship(back_populates="parent")
    strict: Mapped[list[Node]] = relationship(lazy="raise", viewonly=True)
    dynamic: orm.DynamicMapped[Node] = relationship(lazy="dynamic", viewonly=True)
    written: orm.WriteOnlyMapped[Label] = relationship(secondary=tagging, overlaps="labels,nodes")
    labels: Mapped[dict[str, Label]] = relationship(
        secondary=tagging,
        collection_class=orm.attribute_keyed_dict("name"),
        back_populates="nodes",
        lazy="selectin",
    )
    alias: Mapped[int] = orm.synonym("version")
    extra: Mapped[int] = orm.query_expression()
    made_by_load = False
    __mapper_args__ = {"version_id_col": version}

    @orm.reconstructor
    def _loaded(self) -> None:
        self.made_by_load = True


class Label(Base):
    __tablename__ = "label"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    nodes: Mapped[set[Node]] = relationship(secondary=tagging, back_populates="labels")


class Colour(MappedAsDataclass, Base):
    __tablename__ = "colour"
    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    name: Mapped[str]


class SignupTest(unittest.TestCase):
    """What a user writes; tests below make subclasses of it."""

    session: Any


class Database:
    """A SQLite file, an engine for it, and a stand-in for the sandbox: the file is put back."""

    def __init__(self, directory: str) -> None:
        self.path = Path(directory) / "test.db"
        self.engine = sa.create_engine(f"sqlite:///{self.path}", poolclass=sa.NullPool)
        Base.metadata.create_all(self.engine)
        self.statements: list[str] = []
        self.watch(self.engine)

    def watch(self, engine: sa.Engine) -> None:
        @event.listens_for(engine, "before_cursor_execute")
        def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
            self.statements.append(statement)

    def wrote(self) -> bool:
        return any(not statement.startswith("SELECT") for statement in self.statements)


class Run:
    """One run of a test class: its class data, and tests one after another."""

    def __init__(self, database: Database, case: type[Any], make_session: Any = None) -> None:
        self.database, self.case = database, case
        self.make_session = make_session or (lambda: Session(database.engine))
        before = dict(vars(case))
        case.session = session = self.make_session()
        case.setUpTestData()
        if vars(case).get("session") is session:
            del case.session
        self.data = ClassData.capture(
            case,
            before,
            session=session,
            session_of=lambda test: test._session,  # type: ignore[attr-defined]
            wrote=database.wrote,
        )
        self.content = database.path.read_bytes()

    @contextlib.contextmanager
    def test(self) -> Iterator[Any]:
        self.database.statements.clear()
        test = self.case()
        test.session = test._session = self.make_session()
        try:
            yield test
        finally:
            test._session.close()
            self.data.forget(test)
            self.database.path.write_bytes(self.content)


class DataTestCase(unittest.TestCase):
    def setUp(self) -> None:
        directory = self.enterContext(tempfile.TemporaryDirectory())
        self.database = Database(directory)
        self.engine = self.database.engine
        self.addCleanup(self.engine.dispose)

    def run_with(self, set_up: Any, base: type[Any] = SignupTest) -> Run:
        case: Any = type("SignupTest", (base,), {"setUpTestData": classmethod(set_up)})
        run = Run(self.database, case)
        self.addCleanup(run.data.remove)
        return run

    def own(self, cls: Any, *objects: Any) -> None:
        """Commit objects in the library's session."""
        cls.session.add_all(objects)
        cls.session.commit()

    def refused(self, set_up: Any) -> str:
        with self.assertRaises(TestDataError) as caught:
            self.run_with(set_up)
        return str(caught.exception)


class TestClassData(DataTestCase):
    """Objects of the library's session."""

    def one_user(self, **attributes: Any) -> Run:
        def set_up(cls: Any) -> None:
            cls.alice = User(**{"name": "alice", **attributes})
            self.own(cls, cls.alice)

        return self.run_with(set_up)

    def test_attached_without_sql(self) -> None:
        """A test gets the row attached to its own session, and nothing is sent for it."""
        with self.one_user().test() as test:
            self.assertEqual(test.alice.name, "alice")
            self.assertIs(orm.object_session(test.alice), test.session)
            self.assertEqual(self.database.statements, [])
            self.assertIs(test.alice, test.alice)
            self.assertIs(test.session.get(User, 1), test.alice)

    def test_new_in_each_test(self) -> None:
        """What a test changes, committed or not, is not in the next test."""
        run = self.one_user(tags=["a"], prefs={"theme": "dark", "list": [1]})
        for _ in range(2):
            with run.test() as test:
                self.assertEqual(test.alice.name, "alice")
                self.assertEqual(test.alice.tags, ["a"])
                self.assertEqual(test.alice.prefs, {"theme": "dark", "list": [1]})
                test.alice.name = "changed"
                test.alice.tags.append("b")
                test.alice.prefs["theme"] = "light"
                test.alice.prefs["list"].append(2)
                test.session.commit()
                self.assertEqual(test.alice.prefs["theme"], "light")

    def test_mutable_columns_are_tracked(self) -> None:
        """A MutableDict of a test's object tells that object what changes in it."""
        with self.one_user(prefs={"theme": "dark"}).test() as test:
            self.assertIsInstance(test.alice.prefs, MutableDict)
            self.assertNotIn(test.alice, test.session.dirty)
            test.alice.prefs["theme"] = "light"
            self.assertIn(test.alice, test.session.dirty)
            test.session.commit()
            self.assertEqual(test.session.get(User, 1).prefs, {"theme": "light"})

    def test_identity_map_first(self) -> None:
        """An object that the test has loaded already is the one that it gets."""
        with self.one_user().test() as test:
            loaded = test.session.get_one(User, 1)
            loaded.name = "pending"
            self.assertIs(test.alice, loaded)
            self.assertEqual(test.alice.name, "pending")

    def test_read_after_a_write(self) -> None:
        """After a write, the row is read anew."""
        with self.one_user().test() as test:
            with Session(self.engine) as other:
                other.get_one(User, 1).name = "from elsewhere"
                other.commit()
            self.assertEqual(test.alice.name, "from elsewhere")

    def test_deleted_before_read(self) -> None:
        """A row that was deleted before the test first reads it is an error that says so."""
        run = self.one_user()
        with run.test() as test:
            test.session.execute(sa.delete(User))
            test.session.commit()
            with self.assertRaises(TestDataError) as caught:
                _ = test.alice
            self.assertEqual(
                str(caught.exception),
                "SignupTest.alice was deleted in this test before the test first read it. "
                "Read self.alice, or what you need of it, before what deletes its row.",
            )
        with run.test() as test:
            self.assertEqual(test.alice.name, "alice")

    def test_deleted_by_test(self) -> None:
        """An object that one test deletes is there in the next."""
        run = self.one_user()
        for _ in range(2):
            with run.test() as test:
                test.session.delete(test.alice)
                test.session.commit()
                self.assertIsNone(test.session.get(User, 1))

    def test_assigned_by_test(self) -> None:
        """What a test assigns to the attribute is its own."""
        run = self.one_user()
        with run.test() as test:
            test.alice = "mine"
            self.assertEqual(test.alice, "mine")
        with run.test() as test:
            self.assertEqual(test.alice.name, "alice")

    def test_links_are_loaded_by_the_test(self) -> None:
        """Links between objects of two classes lead to the test's own objects."""

        def set_up(cls: Any) -> None:
            cls.alice = User(name="alice")
            cls.post = Post(title="first", author=cls.alice)
            self.own(cls, cls.alice, cls.post)
            self.assertEqual(cls.alice.posts, [cls.post])  # loaded when captured

        run = self.run_with(set_up)
        with run.test() as test:
            self.assertIs(test.post.author, test.alice)
            self.assertEqual(test.alice.posts, [test.post])
            self.assertEqual(list(test.alice.titles), ["first"])
            self.assertEqual(test.alice.eager, [test.post])
            test.alice.posts.append(Post(title="second"))
            test.session.commit()
            self.assertEqual(len(test.alice.posts), 2)
        with run.test() as test:
            self.assertEqual(len(test.alice.posts), 1)

    def test_deferred_and_computed_columns(self) -> None:
        """Deferred columns, column_property, server defaults and hybrids work as usual."""
        with self.one_user(bio="long").test() as test:
            self.assertEqual(test.alice.shouted, "ALICE")
            self.assertEqual(test.alice.initial, "a")
            self.assertIsInstance(test.alice.created, datetime.datetime)
            self.assertEqual(self.database.statements, [])
            self.assertNotIn("bio", vars(test.alice))
            self.assertEqual(test.alice.bio, "long")

    def test_polymorphic(self) -> None:
        """A subclass's row comes back with the columns of both tables."""

        def set_up(cls: Any) -> None:
            cls.root = Admin(name="root", level=9)
            self.own(cls, cls.root)

        run = self.run_with(set_up)
        with run.test() as test:
            self.assertEqual((type(test.root), test.root.level), (Admin, 9))
            self.assertEqual(self.database.statements, [])
        with run.test() as test:
            test.session.execute(sa.update(User).values(name="new"))
            self.assertEqual((type(test.root), test.root.name), (Admin, "new"))

    def test_composite_key(self) -> None:
        """A key of several columns, and one whose attribute has another name."""

        def set_up(cls: Any) -> None:
            cls.seat = Seat(row=3, letter="b")
            self.own(cls, cls.seat)

        run = self.run_with(set_up)
        with run.test() as test:
            self.assertEqual((test.seat.row, test.seat.letter), (3, "b"))
        with run.test() as test:
            test.session.execute(sa.update(Seat).values(taken=True))
            self.assertTrue(test.seat.taken)

    def test_dataclass_models(self) -> None:
        """Models that are dataclasses, which compare by value and have no hash."""

        def set_up(cls: Any) -> None:
            cls.colours = [Colour(name="red"), Colour(name="blue")]
            self.own(cls, *cls.colours)

        with self.run_with(set_up).test() as test:
            self.assertEqual([c.name for c in test.colours], ["red", "blue"])
            self.assertEqual({orm.object_session(c) for c in test.colours}, {test.session})

    def test_attributes_that_are_not_mapped(self) -> None:
        """Other attributes set on an object come with it, as deep copies."""

        def set_up(cls: Any) -> None:
            cls.alice, cls.bob = User(name="alice"), User(name="bob")
            self.own(cls, cls.alice, cls.bob)
            cls.alice.password, cls.alice.token = "secret", "t1"
            cls.alice.notes = ["a"]
            cls.alice.friend, cls.bob.friend = cls.bob, cls.alice
            self.assertEqual(cls.alice.greeting, "hello alice")

        run = self.run_with(set_up)
        for _ in range(2):
            with run.test() as test:
                self.assertEqual((test.alice.password, test.alice.token), ("secret", "t1"))
                self.assertEqual(test.alice.notes, ["a"])
                self.assertIs(test.alice.friend, test.bob)
                self.assertIs(test.bob.friend, test.alice)
                test.alice.notes.append("b")
                test.alice.name = "renamed"
                self.assertEqual(test.alice.greeting, "hello renamed")  # not kept from the class

    def test_masters_stay_readable(self) -> None:
        """On the class, the objects are those that setUpTestData made, with columns loaded."""
        made = []

        def set_up(cls: Any) -> None:
            cls.alice = User(name="alice")
            made.append(cls.alice)
            self.own(cls, cls.alice)

        run = self.run_with(set_up)
        with run.test() as test:
            test.alice.name = "changed"
            test.session.commit()
        self.assertIs(run.case.alice, made[0])
        self.assertEqual(run.case.alice.name, "alice")
        self.assertTrue(sa.inspect(run.case.alice).detached)

    def test_masters_are_out_of_reach(self) -> None:
        """What is done to the object on the class does not reach the tests."""
        run = self.one_user(tags=["a"])
        run.case.alice.name = "changed"
        run.case.alice.tags.append("b")
        with Session(self.engine) as session:
            session.add(run.case.alice)
            with run.test() as test:
                self.assertEqual((test.alice.name, test.alice.tags), ("alice", ["a"]))

    def test_uncommitted_changes_are_gone(self) -> None:
        """What was changed after the last commit is as the database has it."""

        def set_up(cls: Any) -> None:
            cls.alice = User(name="alice")
            self.own(cls, cls.alice)
            cls.alice.name = "flushed"
            cls.session.flush()
            cls.alice.name = "unflushed"

        run = self.run_with(set_up)
        self.assertEqual(run.case.alice.name, "alice")
        with run.test() as test:
            self.assertEqual(test.alice.name, "alice")

    def test_hidden_rows(self) -> None:
        """Criteria that the program adds to all queries do not hide rows from the class data."""

        @event.listens_for(Session, "do_orm_execute")
        def hide(state: Any) -> None:
            if not state.is_column_load and not state.is_relationship_load:
                criteria = orm.with_loader_criteria(User, User.name != "alice", True)
                state.statement = state.statement.options(criteria)

        self.addCleanup(event.remove, Session, "do_orm_execute", hide)
        with self.one_user().test() as test:
            self.assertEqual(test.session.scalars(sa.select(User)).all(), [])
            self.assertEqual(test.alice.name, "alice")

    def test_not_added(self) -> None:
        """An object without a row is an error that names the attribute."""

        def set_up(cls: Any) -> None:
            cls.alice = User(name="alice")

        self.assertEqual(
            self.refused(set_up),
            "SignupTest.alice was not committed in setUpTestData: the database has no row for "
            "this User. Add it to a session and commit there; make objects without a row in "
            "setUp().",
        )

    def test_not_committed(self) -> None:
        """Added, flushed or deleted is not committed, in whatever session and nesting."""

        def added(cls: Any) -> None:
            cls.users = [User(name="alice")]
            cls.session.add_all(cls.users)

        def flushed(cls: Any) -> None:
            cls.by_name = {"bob": (1, User(name="bob"))}
            cls.session.add(cls.by_name["bob"][1])
            cls.session.flush()

        def elsewhere(cls: Any) -> None:
            with Session(self.engine) as session:
                cls.alice = User(name="alice")
                session.add(cls.alice)
                session.flush()

        def deleted(cls: Any) -> None:
            cls.alice = User(name="alice")
            self.own(cls, cls.alice)
            cls.session.delete(cls.alice)
            cls.session.commit()

        def deleted_elsewhere(cls: Any) -> None:
            cls.alice = User(name="alice")
            self.own(cls, cls.alice)
            with Session(self.engine) as session:
                session.execute(sa.delete(User))
                session.commit()

        for set_up, name in (
            (added, "users[0]"),
            (flushed, "by_name['bob'][1]"),
            (elsewhere, "alice"),
            (deleted, "alice"),
            (deleted_elsewhere, "alice"),
        ):
            with self.subTest(set_up.__name__):
                self.assertIn(
                    f"SignupTest.{name} was not committed in setUpTestData: ", self.refused(set_up)
                )

    def test_refused_class_is_put_back(self) -> None:
        """After the error, nothing that setUpTestData left is on the class."""
        cases = []

        def set_up(cls: Any) -> None:
            cases.append(cls)
            cls.alice, cls.number = User(name="alice"), 1

        self.refused(set_up)
        self.assertFalse({"alice", "number"} & vars(cases[0]).keys())

    def test_remove(self) -> None:
        """The class is put back at its end, and can run again."""

        def set_up(cls: Any) -> None:
            cls.alice, cls.number = User(name="alice"), 2
            self.own(cls, cls.alice)

        case: Any = type("SignupTest", (SignupTest,), {"setUpTestData": classmethod(set_up)})
        case.number = 1
        for _ in range(2):
            run = Run(self.database, case)
            with run.test() as test, run.data:
                self.assertEqual((test.alice.name, test.number), ("alice", 2))
            self.assertEqual(case.number, 1)
            self.assertNotIn("alice", vars(case))

    def test_forget(self) -> None:
        """A test that runs a second time reads anew."""
        run = self.one_user()
        with run.test() as test:
            first = test.alice
            test.session.close()
            run.data.forget(test)
            self.assertIsNot(test.alice, first)
            self.assertIs(orm.object_session(test.alice), test.session)

    def test_inheritance(self) -> None:
        """A subclass has its own data, and after its end the parent's are as they were."""

        def set_up(cls: Any) -> None:
            cls.alice = User(name=cls.__qualname__)
            self.own(cls, cls.alice)

        parent = self.run_with(set_up)
        child_case = type("ChildTest", (parent.case,), {})
        child = Run(self.database, child_case)
        with child.test() as test:
            self.assertEqual(test.alice.name, "ChildTest")
        child.data.remove()
        self.assertNotIn("alice", vars(child_case))
        with parent.test() as test:
            self.assertEqual(test.alice.name, "SignupTest")

    def test_objects_from_before(self) -> None:
        """Objects and lists of the class body are captured when their objects got a row."""

        def set_up(cls: Any) -> None:
            cls.users.append(User(name="alice"))
            self.own(cls, cls.bob, *cls.users)

        body = {"bob": User(name="bob"), "users": [], "drafts": [User(name="draft")]}
        case = type("SignupTest", (SignupTest,), {**body, "setUpTestData": classmethod(set_up)})
        run = Run(self.database, case)
        with run.test() as test:
            self.assertIs(orm.object_session(test.bob), test.session)
            self.assertIs(orm.object_session(test.users[0]), test.session)
            self.assertTrue(sa.inspect(test.drafts[0]).transient)
        run.data.remove()
        self.assertIs(vars(case)["users"], body["users"])


class TestClassDataContainers(DataTestCase):
    """What holds objects, and what is no object of a session."""

    def two_users(self, leave: Any) -> Run:
        def set_up(cls: Any) -> None:
            alice, bob = User(name="alice"), User(name="bob")
            alice.posts = [Post(title="first")]
            self.own(cls, alice, bob)
            leave(cls, alice, bob)

        return self.run_with(set_up)

    def test_containers(self) -> None:
        """Lists, tuples, sets, dicts, however deep, and their subclasses hold new objects."""
        pair_of = namedtuple("pair_of", "first second")

        def leave(cls: Any, alice: User, bob: User) -> None:
            cls.alice = alice
            cls.users = [alice, bob]
            cls.pair = (alice, bob)
            cls.named = pair_of(alice, bob)
            cls.unique = {alice, bob}
            cls.frozen = frozenset([alice])
            cls.by_name = {"a": alice, "deep": [{"b": (bob,)}]}
            cls.by_user = {alice: 1}
            cls.ordered = OrderedDict(a=alice)
            cls.groups = defaultdict(list, a=[alice])

        run = self.two_users(leave)
        for _ in range(2):
            with run.test() as test:
                self.assertEqual([u.name for u in test.users], ["alice", "bob"])
                self.assertIs(test.users[0], test.alice)
                self.assertEqual(test.pair, (test.alice, test.users[1]))
                self.assertIs(test.named.first, test.alice)
                self.assertEqual(test.unique, set(test.users))
                self.assertEqual(test.frozen, {test.alice})
                self.assertIs(test.by_name["deep"][0]["b"][0], test.users[1])
                self.assertEqual(test.by_user, {test.alice: 1})
                self.assertIs(test.ordered["a"], test.alice)
                self.assertEqual(test.groups["new"], [])
                self.assertEqual({orm.object_session(u) for u in test.users}, {test.session})
                test.users.clear()
                test.by_name["deep"].clear()
                test.groups["a"].clear()

    def test_collections_of_sqlalchemy(self) -> None:
        """A relationship's list becomes a plain one, a Row a named tuple."""

        def leave(cls: Any, alice: User, bob: User) -> None:
            cls.posts = alice.posts
            cls.prefs = alice.prefs
            cls.row = cls.session.execute(sa.select(User, User.name)).first()

        with self.two_users(leave).test() as test:
            self.assertEqual((type(test.posts), type(test.prefs)), (list, dict))
            self.assertEqual(test.posts[0].title, "first")
            self.assertIs(orm.object_session(test.posts[0]), test.session)
            self.assertEqual(test.row.name, "alice")
            self.assertIs(orm.object_session(test.row.User), test.session)

    def test_objects_with_attributes(self) -> None:
        """Objects that have rows as attributes, dataclasses with slots too, hold new rows."""

        @dataclasses.dataclass(slots=True)
        class Slots:
            owner: User

        class Plain:
            def __init__(self, owner: User) -> None:
                self.owner, self.self = owner, self

        def leave(cls: Any, alice: User, bob: User) -> None:
            cls.slots, cls.plain = Slots(alice), Plain(bob)

        run = self.two_users(leave)
        with run.test() as test:
            self.assertEqual((test.slots.owner.name, test.plain.owner.name), ("alice", "bob"))
            self.assertIs(orm.object_session(test.slots.owner), test.session)
            self.assertIs(orm.object_session(test.plain.owner), test.session)
            self.assertIs(test.plain.self, test.plain)
            self.assertIsNot(test.plain, run.case.plain)

    def test_other_values_are_copied(self) -> None:
        """Other values are deep copies, one per test; the same object stays the same object."""

        class Basket:
            def __init__(self) -> None:
                self.items = [1]

        def set_up(cls: Any) -> None:
            cls.payload = {"a": [1]}
            cls.again = [cls.payload]
            cls.basket = Basket()
            cls.number, cls.text, cls.pair, cls.function = 1, "a", (1, 2), len

        run = self.run_with(set_up)
        for _ in range(2):
            with run.test() as test:
                self.assertEqual((test.payload, test.basket.items), ({"a": [1]}, [1]))
                self.assertIs(test.again[0], test.payload)
                self.assertEqual((test.number, test.text, test.pair), (1, "a", (1, 2)))
                self.assertIs(test.function, len)
                test.payload["a"].append(2)
                test.basket.items.append(2)
        self.assertEqual(run.case.payload, {"a": [1]})
        self.assertEqual(vars(run.case)["number"], 1)  # needs no descriptor

    def test_uncopyable_values_are_shared(self) -> None:
        """What cannot be deep-copied is the same object in all tests; what is around it is not."""

        class Refuses:
            def __deepcopy__(self, memo: Any) -> Any:
                raise RuntimeError("no")

        def leave(cls: Any, alice: User, bob: User) -> None:
            cls.lock, cls.refuses = threading.Lock(), Refuses()
            bob.lock, cls.bob = cls.lock, bob
            cls.mixed = {"lock": cls.lock, "alice": alice, "list": [cls.refuses]}

        run = self.two_users(leave)
        for _ in range(2):
            with run.test() as test:
                self.assertIs(test.lock, run.case.lock)
                self.assertIs(test.bob.lock, run.case.lock)
                self.assertIs(test.mixed["lock"], run.case.lock)
                self.assertIs(test.mixed["list"][0], run.case.refuses)
                self.assertIs(orm.object_session(test.mixed["alice"]), test.session)
                test.mixed["list"].clear()

    def test_machinery_is_shared(self) -> None:
        """Apps, clients, configs, engines, sessions and mocks are never copied."""
        app = Flask(__name__)
        things = {
            "app": app,
            "client": app.test_client(),
            "config": app.config,
            "runner": app.test_cli_runner(),
            "engine": self.engine,
            "sessions": orm.sessionmaker(self.engine),
            "mock": mock.Mock(),
            "table": User.__table__,
        }

        def set_up(cls: Any) -> None:
            for name, thing in things.items():
                setattr(cls, f"my_{name}", thing)
            cls.holder = {"all": dict(things)}

        with self.run_with(set_up).test() as test:
            for name, thing in things.items():
                with self.subTest(name):
                    self.assertIs(getattr(test, f"my_{name}"), thing)
                    self.assertIs(test.holder["all"][name], thing)

    def test_no_session(self) -> None:
        """A class without an engine may leave values, too."""
        case: Any = type("PlainTest", (SignupTest,), {})
        before = dict(vars(case))
        case.payload = [1]
        data = ClassData.capture(
            case, before, session=None, session_of=mock.Mock(), wrote=lambda: False
        )
        with data:
            self.assertIsNot(case().payload, case.payload)
        self.assertNotIn("payload", vars(case))


class TestClassDataDetached(DataTestCase):
    """Objects of other sessions than the library's."""

    def in_other_session(self, set_up: Any, *, close: bool = True, **options: Any) -> Run:
        other = Session(self.engine, **options)
        self.addCleanup(other.close)

        def whole(cls: Any) -> None:
            set_up(cls, other)
            if close:
                other.close()

        return self.run_with(whole)

    def test_detached_copies_with_links(self) -> None:
        """Each test gets detached copies that are linked with each other as they were."""

        def set_up(cls: Any, session: Session) -> None:
            cls.alice = User(name="alice", tags=["a"], prefs={"x": 1})
            cls.post = Post(title="first", author=cls.alice)
            cls.other = Post(title="other", author=cls.alice)
            session.add(cls.alice)
            session.commit()
            _ = cls.alice.posts, cls.post.author, cls.other.author

        run = self.in_other_session(set_up)
        for _ in range(2):
            with run.test() as test:
                self.assertTrue(sa.inspect(test.alice).detached)
                self.assertEqual((test.alice.name, test.alice.tags), ("alice", ["a"]))
                self.assertIs(test.post.author, test.alice)
                self.assertEqual(test.alice.posts, [test.post, test.other])
                self.assertIsNot(test.alice, run.case.alice)
                test.alice.name = "changed"
                test.alice.tags.append("b")
                test.alice.posts.clear()
                self.assertEqual(self.database.statements, [])

    def test_columns_are_loaded(self) -> None:
        """Columns that a commit had expired are loaded, links stay unloaded."""
        for close in (True, False):

            def set_up(cls: Any, session: Session) -> None:
                cls.alice = User(name="alice", bio="long")
                session.add(cls.alice)
                session.commit()

            with (
                self.subTest(closed=close),
                self.in_other_session(set_up, close=close).test() as test,
            ):
                self.assertEqual((test.alice.name, test.alice.shouted), ("alice", "ALICE"))
                with self.assertRaises(orm.exc.DetachedInstanceError):
                    _ = test.alice.posts

    def test_as_the_database_has_them(self) -> None:
        """Changes that were not committed are gone, in open and in closed sessions."""

        def open_session(cls: Any, session: Session) -> None:
            cls.alice = User(name="alice")
            session.add(cls.alice)
            session.commit()
            cls.alice.posts.append(Post(title="pending"))
            cls.alice.name = "changed"

        def closed_session(cls: Any, session: Session) -> None:
            open_session(cls, session)
            session.rollback()
            session.refresh(cls.alice)
            session.close()
            cls.alice.name = "changed"

        def committed_elsewhere(cls: Any, session: Session) -> None:
            cls.alice = User(name="old")
            session.add(cls.alice)
            session.commit()
            with Session(self.engine) as third:
                third.get_one(User, cls.alice.id).name = "alice"
                third.commit()

        for set_up in (open_session, closed_session, committed_elsewhere):
            for expire in (True, False):
                with self.subTest(set_up.__name__, expire_on_commit=expire):
                    run = self.in_other_session(set_up, close=False, expire_on_commit=expire)
                    self.assertEqual(run.case.alice.name, "alice")
                    with run.test() as test:
                        self.assertEqual(test.alice.name, "alice")

    def test_can_be_added(self) -> None:
        """A detached copy can be added to the test's session, and what changes in it is tracked."""

        def set_up(cls: Any, session: Session) -> None:
            cls.alice = User(name="alice", prefs={"x": 1})
            session.add(cls.alice)
            session.commit()

        run = self.in_other_session(set_up)
        for _ in range(2):
            with run.test() as test:
                test.session.add(test.alice)
                test.alice.prefs["x"] = 2
                test.session.commit()
                self.assertEqual(test.session.get(User, 1).prefs, {"x": 2})

    def test_attributes_that_are_not_mapped(self) -> None:
        """Other attributes come along, for objects that are read later, too."""

        def set_up(cls: Any, session: Session) -> None:
            cls.alice, cls.bob = User(name="alice"), User(name="bob")
            session.add_all([cls.alice, cls.bob])
            session.commit()
            cls.alice.password, cls.bob.friend = "secret", cls.alice

        with self.in_other_session(set_up).test() as test:
            self.assertEqual(test.bob.friend.password, "secret")
            self.assertIs(test.bob.friend, test.alice)

    def test_same_row_twice(self) -> None:
        """A row left by two sessions is attached by the one name and detached by the other."""

        def set_up(cls: Any, session: Session) -> None:
            cls.alice = User(name="alice")
            self.own(cls, cls.alice)
            cls.copy = session.get(User, cls.alice.id)

        with self.in_other_session(set_up).test() as test:
            self.assertIs(orm.object_session(test.alice), test.session)
            self.assertIsNone(orm.object_session(test.copy))
            self.assertEqual(test.copy.name, "alice")

    def test_linked_to_uncommitted(self) -> None:
        """A link to an object that was never committed is an error that names the attribute."""

        def set_up(cls: Any) -> None:
            with Session(self.engine, expire_on_commit=False) as session:
                cls.alice = User(name="alice", posts=[])
                session.add(cls.alice)
                session.commit()
            post = Post(title="lost")
            orm.attributes.set_committed_value(cls.alice, "posts", [post])

        with self.assertRaisesRegex(
            TestDataError,
            r"^SignupTest\.alice is linked to an object with changes that were not committed in "
            r"setUpTestData: .+\. Commit them there, before its session is closed\.$",
        ):
            self.run_with(set_up)

    def test_scoped_session(self) -> None:
        """A scoped_session of the program is a session like any other."""
        registry = orm.scoped_session(orm.sessionmaker(self.engine))
        self.addCleanup(registry.remove)

        def set_up(cls: Any) -> None:
            cls.alice = User(name="alice")
            registry.add(cls.alice)
            registry.commit()

        with self.run_with(set_up).test() as test:
            self.assertEqual(test.alice.name, "alice")
            self.assertIsNone(orm.object_session(test.alice))
            registry.add(test.alice)
            self.assertEqual(test.alice.posts, [])


class TestClassDataMappings(DataTestCase):
    """Mappings with everything that SQLAlchemy offers, attached and detached."""

    def make(self, cls: Any, session: Session) -> None:
        cls.root = Node(point=Point(1, 2), blob=b"x")
        cls.leaf = Node(point=Point(3, 4), parent=cls.root)
        cls.label = Label(name="red")
        cls.root.labels["red"] = cls.label
        session.add(cls.root)
        session.commit()

    def test_attached(self) -> None:
        """Everything loads in the test as it does for an object that a query gave."""
        run = self.run_with(lambda cls: self.make(cls, cls.session))
        for _ in range(2):
            with run.test() as test:
                root = test.root
                self.assertEqual((root.point, root.version, root.alias), (Point(1, 2), 1, 1))
                self.assertIsNone(root.extra)
                self.assertTrue(root.made_by_load)
                self.assertEqual(root.labels, {"red": test.label})
                self.assertEqual(test.label.nodes, {root})
                self.assertEqual(root.children, [test.leaf])
                self.assertIs(test.leaf.parent, root)
                self.assertEqual(root.dynamic.all(), [test.leaf])
                self.assertEqual(test.session.scalars(root.written.select()).all(), [test.label])
                with self.assertRaises(sa.exc.InvalidRequestError):
                    _ = root.strict
                self.assertEqual(root.blob, b"x")
                root.point = Point(9, 9)
                root.labels.clear()
                root.children.clear()
                test.session.commit()
                self.assertEqual((root.point, root.version), (Point(9, 9), 2))

    def test_detached(self) -> None:
        """Links of all kinds lead to copies of the same test."""

        def set_up(cls: Any) -> None:
            with Session(self.engine, expire_on_commit=False) as session:
                self.make(cls, session)
                _ = cls.root.children, cls.leaf.parent, cls.label.nodes

        run = self.run_with(set_up)
        for _ in range(2):
            with run.test() as test:
                self.assertEqual((test.root.point, test.root.version), (Point(1, 2), 1))
                self.assertEqual(test.root.labels, {"red": test.label})
                self.assertEqual(test.label.nodes, {test.root})
                self.assertEqual(test.root.children, [test.leaf])
                self.assertIs(test.leaf.parent, test.root)
                test.root.labels.clear()
                test.root.children.clear()
                test.root.point.x = 9


class TestClassDataFlask(unittest.TestCase):
    """Flask-SQLAlchemy's session, one per app context."""

    def test_flask_sqlalchemy(self) -> None:
        """Objects of db.session come back in the session of the test's app context."""
        directory = self.enterContext(tempfile.TemporaryDirectory())
        database = Database(directory)
        self.addCleanup(database.engine.dispose)
        app = Flask(__name__)
        app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{database.path}"
        db = SQLAlchemy(app)

        class Author(db.Model):  # type: ignore[name-defined,misc]
            id = db.Column(db.Integer, primary_key=True)
            name = db.Column(db.String)

        def set_up(cls: Any) -> None:
            cls.ann = Author(name="ann")
            db.session.add(cls.ann)
            db.session.commit()
            cls.all = Author.query.all()

        case: Any = type("SignupTest", (SignupTest,), {"setUpTestData": classmethod(set_up)})
        with app.app_context():
            db.create_all()
            self.addCleanup(db.engine.dispose)
            database.watch(db.engine)
            run = Run(database, case, make_session=lambda: db.session())
            for _ in range(2):
                with app.app_context(), run.test() as test:
                    self.assertEqual(test.ann.name, "ann")
                    self.assertEqual(database.statements, [])
                    self.assertIs(orm.object_session(test.ann), db.session())
                    self.assertIs(test.all[0], test.ann)
                    test.ann.name = "changed"
                    db.session.commit()
            run.data.remove()


class TestSQLAlchemyAsUsed(unittest.TestCase):
    """What ClassData relies on in other libraries."""

    def test_mutable_parents(self) -> None:
        """A Mutable keeps its owners' states with the attributes' names, and a copy has none."""
        alice = User(name="alice", prefs={"x": 1})
        self.assertEqual(list(alice.prefs._parents.items()), [(sa.inspect(alice), "prefs")])
        self.assertEqual(list(copy.deepcopy(alice.prefs)._parents), [])

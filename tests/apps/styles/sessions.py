"""Sessions, and requests, which use them."""

from __future__ import annotations

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from .base import Styles


class ORMStyles(Styles):
    def test_orm_commit(self):
        """A session adds and commits."""
        with self.open_session() as session:
            session.add(self.shop.User(name="bob"))
            session.commit()
        self.assert_users("bob")

    def test_orm_commit_twice(self):
        """A session goes on after its commit."""
        with self.open_session() as session:
            bob = self.shop.User(name="bob")
            session.add(bob)
            session.commit()
            session.add(self.shop.Post(user_id=bob.id, title="hello"))
            bob.name = "robert"
            session.commit()
        self.assert_users("robert")
        self.assert_visible_to_others("posts", [len(self.before) + 1])

    def test_orm_rollback(self):
        """A rollback keeps the class's rows and what the test itself committed before."""
        with self.open_session() as session:
            session.add(self.shop.User(name="bob"))
            session.commit()
            session.add(self.shop.User(name="carol"))
            session.execute(delete(self.shop.User).where(self.shop.User.name == "alice"))
            session.rollback()
            found = session.scalars(select(self.shop.User.name).order_by(self.shop.User.id))
            self.assertEqual(list(found), [*self.before, "bob"])
        self.assert_users("bob")

    def test_orm_left_uncommitted(self):
        """A session of the program's own that is closed without a commit stores nothing."""
        with Session(self.engine_in_use) as session:
            session.add(self.shop.User(name="bob"))
            session.flush()
        self.assert_users()

    def test_begin_nested(self):
        """A nested block that ends well is committed with the rest."""
        with self.open_session() as session:
            session.add(self.shop.User(name="bob"))
            with session.begin_nested():
                session.add(self.shop.User(name="carol"))
            session.commit()
        self.assert_users("bob", "carol")

    def test_begin_nested_integrity_error(self):
        """An IntegrityError in a nested block undoes that block only."""
        with self.open_session() as session:
            session.add(self.shop.User(name="bob"))
            with self.assertRaises(IntegrityError), session.begin_nested():
                session.add(self.shop.User(name="bob"))
                session.flush()
            session.add(self.shop.User(name="carol"))
            session.commit()
        self.assert_users("bob", "carol")

    def test_begin_nested_then_rollback(self):
        """A rollback undoes nested blocks that ended well, too."""
        with self.open_session() as session:
            session.add(self.shop.User(name="bob"))
            session.flush()
            with session.begin_nested():
                session.add(self.shop.User(name="carol"))
            session.rollback()
        self.assert_users()

    def test_integrity_error_then_rollback(self):
        """After an IntegrityError and a rollback the session works on."""
        with self.open_session() as session:
            session.add(self.shop.User(name="bob"))
            session.commit()
            session.add(self.shop.User(name="bob"))
            with self.assertRaises(IntegrityError):
                session.commit()
            session.rollback()
            session.add(self.shop.User(name="carol"))
            session.commit()
        self.assert_users("bob", "carol")

    def test_sessionmaker(self):
        """A plain sessionmaker over the engine commits, in each of its sessions."""
        make = sessionmaker(self.engine_in_use)
        with make() as session:
            session.add(self.shop.User(name="bob"))
            session.commit()
        with make.begin() as session:
            session.add(self.shop.User(name="carol"))
        with self.assertRaises(ZeroDivisionError), make.begin() as session:
            session.add(self.shop.User(name="dave"))
            session.flush()
            raise ZeroDivisionError
        self.assert_users("bob", "carol")

    def test_ids(self):
        """Ids go on where the class's rows end, in every test."""
        with self.open_session() as session:
            bob = self.shop.User(name="bob")
            session.add(bob)
            session.flush()
            self.assertEqual(bob.id, len(self.before) + 1)
            post = self.shop.Post(title="hello")
            session.add(post)
            session.commit()
            self.assertEqual(post.id, 1)


class RequestStyles(Styles):
    def test_request_that_commits(self):
        """What a view commits is stored, for the next request and for the test."""
        self.assertEqual(self.client.post("/users", data={"name": "bob"}).status_code, 201)
        self.assertEqual(self.client.get("/users").json, [*self.before, "bob"])
        self.assert_users("bob")

    def test_request_that_forgets_to_commit(self):
        """What a view forgets to commit is gone with its request."""
        response = self.client.post("/users/forgotten", data={"name": "bob"})
        self.assertEqual(response.status_code, 200)
        self.assertEqual(self.client.get("/users").json, self.before)
        self.assert_users()

    def test_request_that_fails(self):
        """A request that ends in 500 stores nothing, and the next one works."""
        with self.assertLogs(self.app.logger):
            response = self.client.post("/users/broken", data={"name": "bob"})
        self.assertEqual(response.status_code, 500)
        self.assertEqual(self.client.post("/users", data={"name": "carol"}).status_code, 201)
        self.assert_users("carol")

    def test_request_that_rolls_back(self):
        """A view that catches an IntegrityError leaves what others committed."""
        self.assertEqual(self.client.post("/users", data={"name": "bob"}).status_code, 201)
        self.assertEqual(self.client.post("/users", data={"name": "bob"}).status_code, 409)
        self.assertEqual(self.client.post("/users", data={"name": "carol"}).status_code, 201)
        self.assert_users("bob", "carol")

    def test_request_sees_what_the_test_committed(self):
        """A view and the test see each other's commits."""
        with self.open_session() as session:
            session.add(self.shop.User(name="bob"))
            session.commit()
            self.assertEqual(self.client.get("/users").json, [*self.before, "bob"])
            self.client.post("/users", data={"name": "carol"})
            found = session.scalars(select(self.shop.User.name).order_by(self.shop.User.id))
            self.assertEqual(list(found), [*self.before, "bob", "carol"])
        self.assert_users("bob", "carol")

    def test_streamed_response(self):
        """A body that is streamed reads the database while it is read itself."""
        self.client.post("/users", data={"name": "bob"})
        self.assertEqual(self.client.get("/users/stream").text.split(), [*self.before, "bob"])
        self.assert_users("bob")

    def test_client_as_a_block(self):
        """Requests in a ``with client:`` block commit like others."""
        with self.app.test_client() as client:
            client.post("/users", data={"name": "bob"})
            client.post("/users/forgotten", data={"name": "carol"})
        self.assert_users("bob")


class BindStyles(Styles):
    def audit(self) -> list[str]:
        with self.engine_of("audit").connect() as connection:
            return list(connection.scalars(select(self.shop.AuditEntry.action)))

    def assert_audited(self, *actions: str) -> None:
        self.assertEqual(self.audit(), [*actions])
        self.assert_visible_to_others("audit_entries", [*actions])

    def test_commit_of_several_binds(self):
        """A session commits in each of its databases."""
        with self.open_session() as session:
            session.add_all([self.shop.User(name="bob"), self.shop.AuditEntry(action="sign-up")])
            session.commit()
        self.assert_users("bob")
        self.assert_audited("sign-up")

    def test_rollback_of_several_binds(self):
        """A session rolls back in each of its databases, down to its last commit."""
        with self.open_session() as session:
            session.add(self.shop.AuditEntry(action="visit"))
            session.commit()
            session.add_all([self.shop.User(name="bob"), self.shop.AuditEntry(action="sign-up")])
            session.flush()
            session.rollback()
        self.assert_users()
        self.assert_audited("visit")

    def test_binds_end_apart(self):
        """A connection of one database commits while one of the other rolls back."""
        audit = self.engine_of("audit")
        with audit.connect() as auditor, self.engine_in_use.connect() as connection:
            auditor.execute(insert(self.shop.AuditEntry.__table__).values(action="attempt"))
            connection.execute(self.add("bob"))
            auditor.commit()
            connection.rollback()
        self.assert_users()
        self.assert_audited("attempt")

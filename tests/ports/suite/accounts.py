"""Users, roles, and who is logged in."""

from flask import session
from sqlalchemy.exc import IntegrityError

from ..blog.models import Role, User, db
from .base import BlogTest


class RegistrationTest(BlogTest):
    def setUp(self):
        super().setUp()
        Role.insert_roles()

    def register(self, name="ada", email="ada@blog.example"):
        return self.client.post(
            "/register", data={"name": name, "email": email, "password": "secret"}
        )

    def test_register(self):
        response = self.register()
        self.assertEqual((response.status_code, response.json), (201, {"id": 1}))
        self.assertEqual(db.session.get(User, 1).email, "ada@blog.example")

    def test_everybody_begins_as_a_reader(self):
        self.register()
        user = db.session.scalar(db.select(User))
        self.assertEqual(user.role.name, "reader")
        self.assertFalse(user.confirmed)

    def test_name_is_taken(self):
        self.register()
        response = self.register(email="other@blog.example")
        self.assertEqual((response.status_code, response.json), (409, {"error": "taken"}))
        self.assertEqual(self.count(User), 1)

    def test_email_is_taken(self):
        self.register()
        self.assertEqual(self.register(name="bob").status_code, 409)
        self.assertEqual(self.register("bob", "bob@blog.example").status_code, 201)
        names = db.session.scalars(db.select(User.name).order_by(User.id)).all()
        self.assertEqual(names, ["ada", "bob"])

    def test_confirm(self):
        user_id = self.register().json["id"]
        response = self.client.get(f"/confirm/{user_id}")
        self.assertEqual(response.json, {"confirmed": "ada"})
        db.session.expire_all()
        self.assertTrue(db.session.get(User, user_id).confirmed)

    def test_confirmed_user_is_not_purged(self):
        user_id = self.register().json["id"]
        self.register("bob", "bob@blog.example")
        self.client.get(f"/confirm/{user_id}")
        result = self.app.test_cli_runner().invoke(args=["users", "purge"])
        self.assertEqual(result.output, "1 deleted\n")
        self.assertEqual(db.session.scalars(db.select(User.name)).all(), ["ada"])

    def test_confirm_nobody(self):
        response = self.client.get("/confirm/99")
        self.assertEqual(response.status_code, 404)
        self.assertEqual(response.json, {"error": "not found", "path": "/confirm/99"})


class LoginTest(BlogTest):
    def setUp(self):
        super().setUp()
        Role.insert_roles()
        self.ada = self.add_user(role="author")

    def test_login(self):
        self.assertEqual(self.log_in().json, {"name": "ada"})
        self.assertEqual(self.client.get("/me").json, {"name": "ada", "role": "author"})

    def test_wrong_password(self):
        self.assertEqual(self.log_in(password="wrong").status_code, 401)
        self.assertEqual(self.client.get("/me").status_code, 401)

    def test_logout(self):
        self.log_in()
        self.client.post("/logout")
        self.assertEqual(self.client.get("/me").status_code, 401)

    def test_cookie(self):
        with self.client:
            self.log_in()
            self.assertEqual(session["user_id"], 1)

    def test_session_transaction(self):
        with self.client.session_transaction() as cookie:
            cookie["user_id"] = self.ada.id
        self.assertEqual(self.client.get("/me").json["name"], "ada")

    def test_two_clients(self):
        self.add_user("bob")
        other = self.app.test_client()
        self.log_in()
        other.post("/login", data={"name": "bob", "password": "secret"})
        self.assertEqual(self.client.get("/me").json["name"], "ada")
        self.assertEqual(other.get("/me").json["name"], "bob")

    def test_deleted_user_is_logged_out(self):
        self.log_in()
        db.session.delete(self.ada)
        db.session.commit()
        self.assertEqual(self.client.get("/me").status_code, 401)

    def test_change_password(self):
        self.log_in()
        self.client.post("/password", data={"password": "better"})
        self.client.post("/logout")
        self.assertEqual(self.log_in().status_code, 401)
        self.assertEqual(self.log_in(password="better").status_code, 200)

    def test_role_that_changes(self):
        self.log_in()
        self.ada.role = db.session.scalar(db.select(Role).filter_by(name="moderator"))
        db.session.commit()
        self.assertEqual(self.client.get("/me").json["role"], "moderator")

    def test_locale(self):
        response = self.client.post("/locale", data={"locale": "de"})
        self.assertEqual(response.headers["Content-Language"], "de")
        response = self.client.get("/sidebar")
        self.assertEqual(response.headers["Content-Language"], "de")

    def test_first_locale(self):
        self.assertEqual(self.client.get("/sidebar").headers["Content-Language"], "en")

    def test_locale_that_was_added(self):
        self.assertEqual(self.client.post("/locale", data={"locale": "fr"}).status_code, 400)
        self.app.config["LOCALES"].append("fr")
        self.assertEqual(self.client.post("/locale", data={"locale": "fr"}).status_code, 204)

    def test_locales_of_the_next_test(self):
        self.assertEqual(self.app.config["LOCALES"], ["en", "de"])


class RoleTest(BlogTest):
    def test_insert_roles_twice(self):
        Role.insert_roles()
        Role.insert_roles()
        self.assertEqual(self.count(Role), 3)

    def test_first_role(self):
        Role.insert_roles()
        self.assertEqual(db.session.get(Role, 1).name, "reader")

    def test_name_is_unique(self):
        Role.insert_roles()
        db.session.add(Role(name="reader"))
        with self.assertRaises(IntegrityError):
            db.session.commit()
        db.session.rollback()
        self.assertEqual(self.count(Role), 3)

    def test_password(self):
        user = self.add_user(password="cat")
        self.assertTrue(user.check_password("cat"))
        self.assertFalse(user.check_password("dog"))

    def test_moderates(self):
        Role.insert_roles()
        self.assertTrue(self.add_user("mod", role="moderator").moderates)
        self.assertFalse(self.add_user("bob", role="reader").moderates)
        self.assertFalse(self.add_user("eve").moderates)

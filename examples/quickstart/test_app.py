from dbtestcase import DatabaseTestCase

from .app import User, create_app, db


class SignupTest(DatabaseTestCase):
    @classmethod
    def create_app(cls):
        return create_app({"SQLALCHEMY_DATABASE_URI": cls.database_url})

    @classmethod
    def setUpTestData(cls):
        cls.alice = User(name="alice")
        db.session.add(cls.alice)
        db.session.commit()

    def test_signup(self):
        self.assertEqual(self.client.post("/signup", data={"name": "bob"}).status_code, 201)
        self.assertEqual(db.session.query(User).count(), 2)

    def test_name_taken(self):
        self.assertEqual(self.client.post("/signup", data={"name": "alice"}).status_code, 409)
        self.assertEqual(db.session.query(User).all(), [self.alice])

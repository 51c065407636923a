"""The recipe in SQLAlchemy's documentation, "Joining a Session into an External Transaction".

The app and its tables are made once per class. In each test all sessions are bound to one
connection, on which commits and rollbacks end a savepoint, and which is rolled back at the end.
"""

import os
import unittest

from ..blog import create_app, db
from .helpers import Helpers


class TestConfig:
    TESTING = True
    SECRET_KEY = "not secret"
    SQLALCHEMY_DATABASE_URI = os.environ["BLOG_TEST_DATABASE"]
    PASSWORD_METHOD = "pbkdf2:sha256:1"


class BlogTest(Helpers, unittest.TestCase):
    @classmethod
    def create_app(cls):
        return create_app(TestConfig)

    @classmethod
    def setUpClass(cls):
        cls.app = cls.create_app()
        with cls.app.app_context():
            db.drop_all()
            db.create_all()
            cls.real_engine = db.engine
        db.session.session_factory.configure(join_transaction_mode="create_savepoint")

    @classmethod
    def tearDownClass(cls):
        with cls.app.app_context():
            db.drop_all()
        cls.real_engine.dispose()

    def setUp(self):
        self.app.config["SIDEBAR"] = {}
        self.addCleanup(self.app.config.update, dict(self.app.config, LOCALES=["en", "de"]))
        self.context = self.app.app_context()
        self.context.push()
        self.addCleanup(self.context.pop)
        self.connection = self.real_engine.connect()
        self.addCleanup(self.connection.close)
        self.addCleanup(self.connection.begin().rollback)
        self.addCleanup(db.engines.__setitem__, None, self.real_engine)
        db.engines[None] = self.connection
        self.addCleanup(db.session.remove)
        self.client = self.app.test_client()

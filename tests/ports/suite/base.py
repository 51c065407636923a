"""The base class of the blog's tests: an app, and its tables, for each test."""

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

    def setUp(self):
        self.app = self.create_app()
        self.context = self.app.app_context()
        self.context.push()
        db.create_all()
        self.client = self.app.test_client()

    def tearDown(self):
        db.session.remove()
        db.drop_all()
        db.engine.dispose()
        self.context.pop()

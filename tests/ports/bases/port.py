"""The base class of the blog's tests: an app, and its tables, for each test."""

import os

from dbtestcase import DatabaseTestCase

from ..blog import create_app
from .helpers import Helpers


class TestConfig:
    TESTING = True
    SECRET_KEY = "not secret"
    SQLALCHEMY_DATABASE_URI = os.environ["BLOG_TEST_DATABASE"]
    PASSWORD_METHOD = "pbkdf2:sha256:1"


class BlogTest(Helpers, DatabaseTestCase):
    @classmethod
    def create_app(cls):
        return create_app(TestConfig)

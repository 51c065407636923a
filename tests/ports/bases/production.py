"""The twin on real connections: as the original, but requests are served as in production.

A server has threads of its own, in which no context of the test is pushed. So each request, and
each command, is run in a new thread to its end, its body included.
"""

import os
import threading
import unittest

from flask.testing import FlaskCliRunner

from ..blog import create_app, db
from .helpers import Helpers


class TestConfig:
    TESTING = True
    SECRET_KEY = "not secret"
    SQLALCHEMY_DATABASE_URI = os.environ["BLOG_TEST_DATABASE"]
    PASSWORD_METHOD = "pbkdf2:sha256:1"


def in_a_thread(function):
    """Call, in a thread that has no context, and give what comes of it."""
    answers, errors = [], []

    def call():
        try:
            answers.append(function())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    # what the test has read so far is not what the database holds now
    db.session.expire_all()
    if errors:
        raise errors[0]
    return answers[0]


class Server:
    """A WSGI server without a socket."""

    def __init__(self, wsgi_app):
        self.wsgi_app = wsgi_app

    def __call__(self, environ, start_response):
        def serve():
            body = self.wsgi_app(environ, start_response)
            try:
                return list(body)
            finally:
                if hasattr(body, "close"):
                    body.close()

        return in_a_thread(serve)


class Shell(FlaskCliRunner):
    """Runs a command with no context around it."""

    def invoke(self, *args, **kwargs):
        return in_a_thread(lambda: super(Shell, self).invoke(*args, **kwargs))


class BlogTest(Helpers, unittest.TestCase):
    @classmethod
    def create_app(cls):
        return create_app(TestConfig)

    @classmethod
    def setUpClass(cls):
        cls.app = cls.create_app()
        cls.app.wsgi_app = Server(cls.app.wsgi_app)
        cls.app.test_cli_runner_class = Shell
        with cls.app.app_context():
            db.create_all()

    @classmethod
    def tearDownClass(cls):
        with cls.app.app_context():
            db.drop_all()
            db.engine.dispose()

    def setUp(self):
        self.app.config["SIDEBAR"] = {}
        self.addCleanup(self.app.config.update, dict(self.app.config, LOCALES=["en", "de"]))
        self.context = self.app.app_context()
        self.context.push()
        self.client = self.app.test_client()

    def tearDown(self):
        db.session.remove()
        # as good as new, and quicker than drop_all() and create_all()
        deletes = [f"DELETE FROM {table}" for table in db.metadata.tables]
        restart = "SELECT setval(oid::regclass, 1, false) FROM pg_class WHERE relkind = 'S'"
        with db.engine.begin() as connection:
            connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
            connection.exec_driver_sql("; ".join([*deletes, restart]))
        self.context.pop()

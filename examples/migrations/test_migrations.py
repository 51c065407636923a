"""The migrations themselves: inherited tests, and rows in the way of the data migration."""

from sqlalchemy import text

from dbtestcase import MigrationTestCase

from . import MIGRATIONS
from .app import create_app


class PracticeMigrationsTest(MigrationTestCase):
    migrations = MIGRATIONS

    @classmethod
    def create_app(cls):
        return create_app({"SQLALCHEMY_DATABASE_URI": cls.database_url})

    def before_3d15(self, connection):
        connection.execute(text("INSERT INTO patient (name) VALUES ('Ada King Lovelace'), ('Bo')"))

    def after_3d15(self, connection):
        found = connection.execute(text("SELECT first_name, last_name FROM patient ORDER BY id"))
        self.assertEqual(found.all(), [("Ada King", "Lovelace"), ("", "Bo")])

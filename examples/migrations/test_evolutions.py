"""Evolutions up before each class and down after it, and around a part of a test."""

from sqlalchemy import inspect, text

from dbtestcase import AlembicSchema, DatabaseTestCase, MigrationMixin, migrated

from . import MIGRATIONS
from .app import Patient, create_app, db


class Practice(DatabaseTestCase):
    @classmethod
    def create_app(cls):
        return create_app({"SQLALCHEMY_DATABASE_URI": cls.database_url})


class AroundTheClassTest(MigrationMixin, Practice):
    """All five upgrades run before the first test, and all five downgrades after the last one."""

    migrations = MIGRATIONS

    def test_admit(self):
        self.client.post("/patients", data={"last_name": "Bo"})
        self.assertEqual(db.session.query(Patient).one().last_name, "Bo")

    def test_nobody_there(self):
        self.assertEqual(db.session.query(Patient).count(), 0)


class AroundAPartTest(Practice):
    """Between two revisions, with a row that the first one knows and the second one changes."""

    schema = AlembicSchema(MIGRATIONS, target="2b7c")

    def test_split_names(self):
        db.session.execute(text("INSERT INTO patient (name) VALUES ('Ada King Lovelace')"))
        db.session.commit()
        with migrated(db.engine, MIGRATIONS, to="3d15", then="2b7c"):
            found = db.session.execute(text("SELECT first_name, last_name FROM patient")).one()
            self.assertEqual(found, ("Ada King", "Lovelace"))
            db.session.commit()
        name = db.session.execute(text("SELECT name FROM patient")).scalar()
        self.assertEqual(name, "Ada King Lovelace")

    def test_before(self):
        columns = [column["name"] for column in inspect(db.engine).get_columns("patient")]
        self.assertEqual(columns, ["id", "name"])

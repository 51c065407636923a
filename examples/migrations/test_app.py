"""The app's tests, on the database that the migrations make."""

from dbtestcase import AlembicSchema, DatabaseTestCase

from . import MIGRATIONS
from .app import Patient, Visit, create_app, db


class VisitTest(DatabaseTestCase):
    schema = AlembicSchema(MIGRATIONS)

    @classmethod
    def create_app(cls):
        return create_app({"SQLALCHEMY_DATABASE_URI": cls.database_url})

    @classmethod
    def setUpTestData(cls):
        cls.ada = Patient(first_name="Ada", last_name="Lovelace")
        db.session.add(cls.ada)
        db.session.commit()

    def test_admit(self):
        self.assertEqual(self.client.post("/patients", data={"last_name": "Bo"}).status_code, 201)
        self.assertEqual(db.session.query(Patient).count(), 2)

    def test_book_and_cancel(self):
        visit = self.client.post(f"/patients/{self.ada.id}/visits", data={"reason": "cough"}).json
        self.assertEqual(visit["state"], "booked")
        self.client.post(f"/visits/{visit['id']}/cancel")
        self.assertEqual(db.session.get(Visit, visit["id"]).state, "cancelled")

"""Patients and their visits: the program under test."""

from flask import Flask, jsonify, request
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Enum, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from . import MIGRATIONS

db = SQLAlchemy()
migrate = Migrate(directory=MIGRATIONS)

STATES = ("booked", "done", "cancelled")


class Patient(db.Model):
    id: Mapped[int] = mapped_column(primary_key=True)
    first_name: Mapped[str] = mapped_column(default="")
    last_name: Mapped[str]


class Visit(db.Model):
    id: Mapped[int] = mapped_column(primary_key=True)
    patient_id: Mapped[int] = mapped_column(ForeignKey(Patient.id, name="visit_patient_fk"))
    reason: Mapped[str]
    state: Mapped[str] = mapped_column(
        Enum(*STATES, name="visit_state", length=20), server_default="booked"
    )

    __table_args__ = (Index("visit_patient_ix", patient_id),)


def create_app(config):
    app = Flask(__name__)
    app.config.update(config)
    db.init_app(app)
    migrate.init_app(app, db)

    @app.post("/patients")
    def admit():
        patient = Patient(
            first_name=request.form.get("first_name", ""), last_name=request.form["last_name"]
        )
        db.session.add(patient)
        db.session.commit()
        return jsonify(id=patient.id), 201

    @app.post("/patients/<int:id>/visits")
    def book(id):
        visit = Visit(patient_id=db.get_or_404(Patient, id).id, reason=request.form["reason"])
        db.session.add(visit)
        db.session.commit()
        return jsonify(id=visit.id, state=visit.state), 201

    @app.post("/visits/<int:id>/cancel")
    def cancel(id):
        visit = db.get_or_404(Visit, id)
        visit.state = "cancelled"
        db.session.commit()
        return jsonify(state=visit.state)

    return app

from flask import Flask, request
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

db = SQLAlchemy()


class User(db.Model):
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


def create_app(config):
    app = Flask(__name__)
    app.config.update(config)
    db.init_app(app)

    @app.post("/signup")
    def signup():
        db.session.add(User(name=request.form["name"]))
        try:
            db.session.commit()
        except IntegrityError:
            db.session.rollback()
            return "that name is taken", 409
        return "welcome", 201

    return app

"""An app factory with Flask-SQLAlchemy-Lite."""

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

from flask import Flask
from flask_sqlalchemy_lite import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase

from . import domain


class Base(DeclarativeBase):
    pass


class AuditBase(DeclarativeBase):
    pass


class User(domain.UserColumns, Base):
    pass


class Post(domain.PostColumns, Base):
    pass


class Invitation(domain.InvitationColumns, Base):
    pass


class AuditEntry(domain.AuditColumns, AuditBase):
    pass


db = SQLAlchemy(session_options={"binds": {AuditBase: "audit"}})


def create_app(config: Mapping[str, Any]) -> Flask:
    app = Flask(__name__)
    app.config.from_mapping(config)
    db.init_app(app)
    domain.add_views(app, lambda: nullcontext(db.session), User)
    return app

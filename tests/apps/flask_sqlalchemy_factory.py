"""An app factory with Flask-SQLAlchemy."""

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from . import domain

db = SQLAlchemy()


class User(domain.UserColumns, db.Model):
    pass


class Post(domain.PostColumns, db.Model):
    pass


class Invitation(domain.InvitationColumns, db.Model):
    pass


class AuditEntry(domain.AuditColumns, db.Model):
    __bind_key__ = "audit"


def create_app(config: Mapping[str, Any]) -> Flask:
    app = Flask(__name__)
    app.config.from_mapping(config)
    db.init_app(app)
    domain.add_views(app, lambda: nullcontext(db.session), User)
    return app

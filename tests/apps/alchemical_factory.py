"""An app factory with Alchemical."""

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

from alchemical.flask import Alchemical
from flask import Flask

from . import domain

db = Alchemical()


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

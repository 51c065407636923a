"""An app factory with Flask-SQLAlchemy-Lite."""

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

from flask import Flask
from flask_sqlalchemy_lite import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase, Session

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


class ShopSession(Session):
    """Sends the audit log to its own database.

    The option ``binds`` of the extension would do so for the first app of a process only: it puts
    that app's engine into the option.
    """

    def get_bind(self, mapper: Any = None, **arguments: Any) -> Any:
        if mapper is not None and issubclass(mapper.class_, AuditBase):
            return db.get_engine("audit")
        return super().get_bind(mapper, **arguments)


db = SQLAlchemy(session_options={"class_": ShopSession})


def create_app(config: Mapping[str, Any]) -> Flask:
    app = Flask(__name__)
    app.config.from_mapping(config)
    db.init_app(app)
    domain.add_views(app, lambda: nullcontext(db.session), User)
    return app

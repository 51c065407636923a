"""A Flask app with a scoped_session, over an engine that is made at import."""

import os
from contextlib import nullcontext

from flask import Flask
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, scoped_session, sessionmaker

from . import domain

engine = create_engine(os.environ["SHOP_DATABASE_URL"])
db_session = scoped_session(sessionmaker(engine))


class Base(DeclarativeBase):
    pass


class User(domain.UserColumns, Base):
    pass


class Post(domain.PostColumns, Base):
    pass


class Invitation(domain.InvitationColumns, Base):
    pass


def create_app() -> Flask:
    app = Flask(__name__)
    domain.add_views(app, lambda: nullcontext(db_session), User)

    @app.teardown_appcontext
    def remove_session(error: BaseException | None) -> None:
        db_session.remove()

    return app

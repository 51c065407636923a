"""A Flask app with a sessionmaker of its own, over an engine that is made at import."""

import os

from flask import Flask
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, sessionmaker

from . import domain

engine = create_engine(os.environ["SHOP_DATABASE_URL"])
Session = sessionmaker(engine)


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
    domain.add_views(app, Session, User)
    return app

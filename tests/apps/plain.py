"""A program without Flask: its engine is made by whoever starts it."""

from sqlalchemy import Engine
from sqlalchemy.orm import DeclarativeBase, Session

from . import domain


class Base(DeclarativeBase):
    pass


class User(domain.UserColumns, Base):
    pass


class Post(domain.PostColumns, Base):
    pass


class Invitation(domain.InvitationColumns, Base):
    pass


class Shop:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def open_session(self) -> Session:
        return Session(self.engine)

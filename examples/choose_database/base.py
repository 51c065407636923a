"""What the models of the library share: a base class, and no engine."""

from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    pass

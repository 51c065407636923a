"""The books of the library."""

from sqlalchemy import select
from sqlalchemy.orm import Mapped, Session, mapped_column

from .base import Base


class Book(Base):
    __tablename__ = "book"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    year: Mapped[int]


def add(session: Session, title: str, year: int) -> Book:
    book = Book(title=title, year=year)
    session.add(book)
    session.commit()
    return book


def since(session: Session, year: int) -> list[str]:
    query = select(Book.title).where(Book.year >= year).order_by(Book.year)
    return list(session.scalars(query))

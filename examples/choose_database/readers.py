"""The readers of the library, and what they have at home."""

from sqlalchemy import ForeignKey
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from .base import Base
from .books import Book


class Reader(Base):
    __tablename__ = "reader"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    loans: Mapped[list["Loan"]] = relationship(back_populates="reader")


class Loan(Base):
    __tablename__ = "loan"

    id: Mapped[int] = mapped_column(primary_key=True)
    book_id: Mapped[int] = mapped_column(ForeignKey("book.id"), unique=True)
    reader_id: Mapped[int] = mapped_column(ForeignKey("reader.id"))
    book: Mapped[Book] = relationship()
    reader: Mapped[Reader] = relationship(back_populates="loans")


def lend(session: Session, book: Book, reader: Reader) -> bool:
    """Lend ``book``, unless somebody else has it."""
    session.add(Loan(book_id=book.id, reader_id=reader.id))
    try:
        session.commit()
    except IntegrityError:
        session.rollback()
        return False
    return True

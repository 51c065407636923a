"""What all the apps have in common: the columns of their models, and their views."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from flask import Flask, Response, jsonify, request
from sqlalchemy import ForeignKey, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column


class UserColumns:
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


class PostColumns:
    __tablename__ = "posts"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    title: Mapped[str] = mapped_column()


class InvitationColumns:
    __tablename__ = "invitations"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int | None] = mapped_column(
        ForeignKey("users.id", deferrable=True, initially="DEFERRED")
    )


class AuditColumns:
    __tablename__ = "audit_entries"
    id: Mapped[int] = mapped_column(primary_key=True)
    action: Mapped[str] = mapped_column()


def add_views(
    app: Flask, open_session: Callable[[], AbstractContextManager[Any]], user: type[Any]
) -> None:
    """Give an app the shop's views.

    :param open_session: gives the session of a request.
    :param user: the app's own model.
    """

    @app.get("/users")
    def names() -> Response:
        with open_session() as session:
            return jsonify(list(session.scalars(select(user.name).order_by(user.id))))

    @app.get("/users/stream")
    def stream() -> Response:
        def lines() -> Iterator[str]:
            with app.app_context(), open_session() as session:
                for name in session.scalars(select(user.name).order_by(user.id)):
                    yield f"{name}\n"

        return Response(lines())

    @app.post("/users")
    def sign_up() -> tuple[str, int]:
        with open_session() as session:
            session.add(user(name=request.form["name"]))
            try:
                session.commit()
            except IntegrityError:
                session.rollback()
                return "name is taken", 409
            return "", 201

    @app.post("/users/forgotten")
    def forget_to_commit() -> str:
        with open_session() as session:
            session.add(user(name=request.form["name"]))
            session.flush()
            return str(session.scalars(select(user.id).filter_by(name=request.form["name"])).one())

    @app.post("/users/broken")
    def fail() -> str:
        with open_session() as session:
            session.add(user(name=request.form["name"]))
            session.flush()
            raise RuntimeError("the view is broken")

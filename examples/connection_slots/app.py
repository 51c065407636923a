"""Bookmarks by topic: the program under test."""

from flask import Flask, abort, jsonify, request
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

db = SQLAlchemy()


class Bookmark(db.Model):
    id: Mapped[int] = mapped_column(primary_key=True)
    topic: Mapped[str] = mapped_column(index=True)
    url: Mapped[str] = mapped_column(unique=True)
    visits: Mapped[int] = mapped_column(default=0)


def create_app(config):
    app = Flask(__name__)
    app.config.update(config)
    db.init_app(app)

    @app.get("/<topic>")
    def index(topic):
        query = db.select(Bookmark.url).filter_by(topic=topic).order_by(Bookmark.id)
        return jsonify(db.session.scalars(query).all())

    @app.post("/<topic>")
    def add(topic):
        bookmark = Bookmark(topic=topic, url=request.form["url"])
        db.session.add(bookmark)
        try:
            db.session.commit()
        except IntegrityError:
            db.session.rollback()
            abort(409)
        return jsonify(id=bookmark.id), 201

    @app.post("/<topic>/<int:id>/visit")
    def visit(topic, id):
        bookmark = db.get_or_404(Bookmark, id)
        bookmark.visits += 1
        db.session.commit()
        return jsonify(visits=bookmark.visits)

    @app.delete("/<topic>/<int:id>")
    def remove(topic, id):
        db.session.delete(db.get_or_404(Bookmark, id))
        db.session.commit()
        return "", 204

    return app

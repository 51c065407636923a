"""The API, for programs that show a token."""

import functools

from flask import Blueprint, abort, g, jsonify, request
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from werkzeug.exceptions import HTTPException

from . import services
from .models import Comment, Post, Token, User, db

api = Blueprint("api", __name__)


class Refused(Exception):
    """What the program that calls asked for cannot be done."""


@api.errorhandler(Refused)
def refused(error):
    db.session.rollback()
    return jsonify(error=str(error)), 422


@api.errorhandler(HTTPException)
def http_error(error):
    return jsonify(error=error.name.lower()), error.code


def token_required(view):
    @functools.wraps(view)
    def wrapper(*args, **kwargs):
        scheme, _, value = request.headers.get("Authorization", "").partition(" ")
        token = db.session.scalar(select(Token).filter_by(value=value))
        if scheme != "Bearer" or token is None:
            abort(401)
        g.user = token.user
        return view(*args, **kwargs)

    return wrapper


def as_json(post):
    return {
        "id": post.id,
        "title": post.title,
        "author": post.author.name,
        "tags": [tag.name for tag in post.tags],
        "published": post.published,
    }


@api.post("/tokens")
def make_token():
    user = db.session.scalar(select(User).filter_by(name=request.json["name"]))
    if user is None or not user.check_password(request.json["password"]):
        abort(401)
    token = Token(user=user)
    db.session.add(token)
    db.session.commit()
    return {"token": token.value}, 201


@api.delete("/tokens")
@token_required
def revoke_tokens():
    for token in db.session.scalars(select(Token).filter_by(user=g.user)):
        db.session.delete(token)
    db.session.commit()
    return "", 204


@api.get("/posts")
@token_required
def posts():
    found = db.session.scalars(select(Post).order_by(Post.created_at, Post.id))
    return jsonify([as_json(post) for post in found])


@api.post("/posts")
@token_required
def create():
    post = services.new_post(g.user, request.json["title"], tags=request.json.get("tags", ()))
    try:
        db.session.commit()
    except IntegrityError as error:
        raise Refused("there is a post of that title") from error
    told = services.announce(post)
    return {**as_json(post), "announced": told}, 201


@api.get("/posts/<int:post_id>")
@token_required
def show(post_id):
    return as_json(db.get_or_404(Post, post_id))


@api.put("/posts/<int:post_id>")
@token_required
def change(post_id):
    post = db.get_or_404(Post, post_id)
    if post.author != g.user:
        abort(403)
    post.published = request.json.get("published", post.published)
    post.title = request.json.get("title", post.title)
    if not post.title:
        raise Refused("a post needs a title")
    db.session.commit()
    return as_json(post)


@api.delete("/posts/<int:post_id>")
@token_required
def delete(post_id):
    services.delete_post(db.get_or_404(Post, post_id), g.user)
    return "", 204


@api.put("/front-page/<int:position>")
@token_required
def front_page(position):
    services.put_on_front_page(db.get_or_404(Post, request.json["post"]), position)
    found = db.session.scalars(select(Post).filter(Post.position > 0).order_by(Post.position))
    return jsonify([post.title for post in found])


@api.post("/tags")
@token_required
def tags():
    return {"added": services.import_tags(request.json)}


@api.get("/stats")
def stats():
    with db.engine.connect() as connection:
        return {
            model.__tablename__: connection.scalar(select(func.count()).select_from(model))
            for model in (User, Post, Comment)
        }

"""The pages, for people who log in."""

import functools
import os

from flask import (
    Blueprint,
    Response,
    abort,
    current_app,
    g,
    jsonify,
    request,
    session,
    stream_with_context,
)
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import joinedload
from werkzeug.utils import secure_filename

from . import mail, services
from .models import Comment, Post, Role, Upload, User, db

pages = Blueprint("pages", __name__)


@pages.before_app_request
def before():
    user_id = session.get("user_id")
    g.user = None if user_id is None else db.session.get(User, user_id)


@pages.after_app_request
def after(response):
    response.headers["Content-Language"] = g.get("locale") or session.get("locale", "en")
    return response


@pages.app_errorhandler(404)
def not_found(error):
    return jsonify(error="not found", path=request.path), 404


def login_required(view):
    @functools.wraps(view)
    def wrapper(*args, **kwargs):
        if g.user is None:
            abort(401)
        return view(*args, **kwargs)

    return wrapper


def own_post(post_id):
    post = db.get_or_404(Post, post_id)
    if post.author != g.user and not g.user.moderates:
        abort(403)
    return post


# -- accounts ---------------------------------------------------------------------------------


@pages.post("/register")
def register():
    user = User(
        name=request.form["name"], email=request.form["email"], password=request.form["password"]
    )
    user.role = db.session.scalar(select(Role).filter_by(name="reader"))
    db.session.add(user)
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        return jsonify(error="taken"), 409
    mail.welcome(user)
    return jsonify(id=user.id), 201


@pages.get("/confirm/<int:user_id>")
def confirm(user_id):
    user = db.get_or_404(User, user_id)
    user.confirmed = True
    db.session.commit()
    return jsonify(confirmed=user.name)


@pages.post("/login")
def login():
    user = db.session.scalar(select(User).filter_by(name=request.form["name"]))
    if user is None or not user.check_password(request.form["password"]):
        abort(401)
    session["user_id"] = user.id
    return jsonify(name=user.name)


@pages.post("/logout")
def logout():
    session.clear()
    return "", 204


@pages.get("/me")
@login_required
def me():
    return jsonify(name=g.user.name, role=g.user.role.name if g.user.role else None)


@pages.post("/password")
@login_required
def password():
    g.user.set_password(request.form["password"])
    db.session.commit()
    return "", 204


@pages.post("/locale")
def locale():
    if request.form["locale"] not in current_app.config["LOCALES"]:
        abort(400)
    g.locale = session["locale"] = request.form["locale"]
    return "", 204


# -- posts ------------------------------------------------------------------------------------


@pages.get("/")
def index():
    services.count_visit("/")
    found = db.session.scalars(
        select(Post).filter_by(published=True).order_by(Post.created_at.desc())
    )
    return jsonify([post.title for post in found])


@pages.get("/posts/<slug>")
def show(slug):
    services.count_visit(f"/posts/{slug}")
    post = db.first_or_404(select(Post).filter_by(slug=slug))
    return jsonify(
        title=post.title,
        author=post.author.name,
        tags=sorted(tag.name for tag in post.tags),
        comments=[comment.body for comment in post.comments],
    )


@pages.post("/posts")
@login_required
def create():
    post = services.new_post(
        g.user,
        request.form["title"],
        request.form.get("body", ""),
        request.form.get("tags", "").split(),
    )
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        return jsonify(error="there is a post of that title"), 409
    return jsonify(id=post.id, slug=post.slug), 201


@pages.post("/posts/<int:post_id>/edit")
@login_required
def edit(post_id):
    post = own_post(post_id)
    post.title, post.body = request.form["title"], request.form["body"]
    db.session.commit()
    return "", 204


@pages.post("/posts/<int:post_id>/publish")
@login_required
def publish(post_id):
    post = own_post(post_id)
    post.published = True
    db.session.commit()
    mail.send_later(post.author.email, "Published", post.title)
    return "", 204


@pages.post("/posts/<int:post_id>/delete")
@login_required
def delete(post_id):
    services.delete_post(own_post(post_id), g.user)
    return "", 204


@pages.post("/posts/<int:post_id>/comments")
@login_required
def comment(post_id):
    post = db.get_or_404(Post, post_id)
    if not request.form["body"].strip():
        abort(400)
    db.session.add(Comment(post=post, author=g.user, body=request.form["body"]))
    post.comment_count += 1
    db.session.commit()
    return jsonify(count=post.comment_count), 201


@pages.post("/posts/<int:post_id>/like")
def like(post_id):
    db.get_or_404(Post, post_id).likes += 1
    g.commit = True
    return "", 204


@pages.post("/posts/<int:post_id>/uploads")
@login_required
def upload(post_id):
    post, file = own_post(post_id), request.files["file"]
    filename = secure_filename(file.filename)
    if os.path.splitext(filename)[1] not in current_app.config["UPLOAD_EXTENSIONS"]:
        abort(415)
    path = os.path.join(current_app.config["UPLOAD_FOLDER"], filename)
    file.save(path)
    db.session.add(Upload(filename=filename, size=os.path.getsize(path), post_id=post.id))
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        return jsonify(error="there is a file of that name"), 409
    return jsonify(filename=filename), 201


@pages.get("/sidebar")
def sidebar():
    tags = services.sidebar()
    if request.args.get("counts"):
        return jsonify({tag.name: tag.count for tag in tags})
    return jsonify([tag.name for tag in tags])


@pages.get("/search")
def search():
    return jsonify(services.search(request.args["q"]))


# -- streams ----------------------------------------------------------------------------------


@pages.get("/export.csv")
def export():
    found = db.session.scalars(
        select(Post).options(joinedload(Post.author)).order_by(Post.created_at)
    ).all()

    def lines():
        yield "title,author\n"
        for post in found:
            yield f"{post.title},{post.author.name}\n"

    return Response(lines(), mimetype="text/csv")


@pages.get("/feed")
def feed():
    @stream_with_context
    def lines():
        for post in db.session.scalars(select(Post).order_by(Post.created_at)):
            yield f"{post.title} by {post.author.name}\n"
            if request.args.get("comments"):
                yield from (f"  {comment.body}\n" for comment in post.comments)

    return Response(lines(), mimetype="text/plain")

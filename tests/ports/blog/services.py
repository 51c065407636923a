"""What pages, the API and commands have in common."""

import re
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from flask import current_app
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from .models import Post, Search, Tag, User, db


def slug_of(title):
    return re.sub(r"\W+", "-", title.lower()).strip("-")


def acting_as(user):
    """Tell the triggers who is at work, until the transaction ends."""
    db.session.execute(text("SELECT set_config('blog.actor', :name, true)"), {"name": user.name})


def delete_post(post, user):
    acting_as(user)
    db.session.delete(post)
    db.session.commit()


def new_post(author, title, body="", tags=(), published=False):
    post = Post(
        title=title,
        slug=slug_of(title),
        body=body,
        published=published,
        author=author,
        tags=[Tag.named(name) for name in tags],
    )
    db.session.add(post)
    return post


def import_tags(names):
    """Add tags, each for itself: those that are there already do no harm to the others."""
    added = 0
    for name in names:
        try:
            with db.session.begin_nested():
                db.session.add(Tag(name=name))
            added += 1
        except IntegrityError:
            pass
    db.session.commit()
    return added


def put_on_front_page(post, position):
    """Make room at a position and put the post there."""
    db.session.execute(
        text("UPDATE posts SET position = position + 1 WHERE position >= :position"),
        {"position": position},
    )
    post.position = position
    db.session.commit()


def announce(post):
    """Tell the subscribers of a post that is committed, in a thread of their own."""
    app = current_app._get_current_object()
    post_id = post.id

    def tell(subscriber):
        with app.app_context():
            found = db.session.get(Post, post_id)
            return found is not None and f"{subscriber}: {found.title}"

    with ThreadPoolExecutor(max_workers=1) as pool:
        return [told for told in pool.map(tell, app.config["SUBSCRIBERS"]) if told]


def search(words):
    """Give the titles of the published posts that have the words, best first."""
    db.session.execute(
        text(
            """
            CREATE TEMPORARY TABLE hits ON COMMIT DROP AS
            SELECT id, ts_rank(to_tsvector('english', title || ' ' || body), query) AS rank
              FROM posts, plainto_tsquery('english', :words) AS query
             WHERE published AND to_tsvector('english', title || ' ' || body) @@ query
            """
        ),
        {"words": words},
    )
    titles = best_hits()
    note_search(words)
    return titles


def best_hits():
    ranked = text("SELECT title FROM hits JOIN posts USING (id) ORDER BY rank DESC, title")
    return list(db.session.scalars(ranked))


def note_search(words):
    db.session.add(Search(query=words))
    db.session.commit()


def count_visit(path):
    """Count in a transaction of its own, which stays whatever becomes of the request."""
    with db.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO visits VALUES (:path, 1)"
                " ON CONFLICT (path) DO UPDATE SET count = visits.count + 1"
            ),
            {"path": path},
        )


def purge_unconfirmed(app):
    """Delete the users who never confirmed: called by a scheduler, outside of any request."""
    with app.app_context():
        found = db.session.scalars(db.select(User).filter_by(confirmed=False)).all()
        for user in found:
            db.session.delete(user)
        db.session.commit()
        return len(found)


class Counted(NamedTuple):
    name: str
    count: int


def sidebar():
    """Give the tags with how many posts they have; asked once and then remembered."""
    cache = current_app.config["SIDEBAR"]
    if "tags" not in cache:
        tags = db.session.scalars(db.select(Tag).order_by(Tag.name))
        cache["tags"] = [Counted(tag.name, tag.count) for tag in tags]
    return cache["tags"]

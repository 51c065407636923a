"""Twelve bugs, each of a kind that tests with a shared session or connection may hide.

Each is a small change of one module of ``blog/``, made in a copy of it.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

__all__ = ["BUGS", "Bug"]


@dataclass(frozen=True)
class Bug:
    """One change that makes the app wrong.

    :param name: what is wrong.
    :param module: where, in ``blog/``.
    :param right: the text there.
    :param wrong: what is written in its place.
    :param tests: which tests fail for it in production, with the type of the exception.
    """

    name: str
    module: str
    right: str
    wrong: str
    tests: dict[str, str]

    def plant(self, source: str) -> str:
        """Make the change in the text of the module."""
        right, wrong = (textwrap.dedent(part).strip("\n") for part in (self.right, self.wrong))
        lines = source.split("\n")
        wanted = right.split("\n")
        for start in range(len(lines)):
            found = lines[start : start + len(wanted)]
            if textwrap.dedent("\n".join(found)) == right:
                indent = found[0][: len(found[0]) - len(found[0].lstrip())]
                lines[start : start + len(wanted)] = textwrap.indent(wrong, indent).split("\n")
                return "\n".join(lines)
        raise ValueError(f"{self.name}: {self.module} has no lines\n{right}")


BUGS = [
    Bug(
        "a forgotten commit",
        "pages.py",
        right="""
            user.confirmed = True
            db.session.commit()
        """,
        wrong="""
            user.confirmed = True
            db.session.flush()
        """,
        tests={
            "RegistrationTest.test_confirm": "AssertionError",
            "RegistrationTest.test_confirmed_user_is_not_purged": "AssertionError",
        },
    ),
    Bug(
        "a commit in the wrong place",
        "pages.py",
        right="""
            post.comment_count += 1
            db.session.commit()
        """,
        wrong="""
            db.session.commit()
            post.comment_count += 1
        """,
        tests={"CommentTest.test_count": "AssertionError"},
    ),
    Bug(
        "an object of a closed session",
        "services.py",
        right="""
            cache["tags"] = [Counted(tag.name, tag.count) for tag in tags]
        """,
        wrong="""
            cache["tags"] = tags.all()
        """,
        tests={"TagTest.test_sidebar": "DetachedInstanceError"},
    ),
    Bug(
        "a lazy load in a stream",
        "pages.py",
        right="""
            select(Post).options(joinedload(Post.author)).order_by(Post.created_at)
        """,
        wrong="""
            select(Post).order_by(Post.created_at)
        """,
        tests={"StreamTest.test_export": "DetachedInstanceError"},
    ),
    Bug(
        "g left over from another request",
        "pages.py",
        right="""
            g.locale = session["locale"] = request.form["locale"]
        """,
        wrong="""
            g.locale = request.form["locale"]
        """,
        tests={"LoginTest.test_locale": "AssertionError"},
    ),
    Bug(
        "a rollback that undoes too much",
        "services.py",
        right="""
            try:
                with db.session.begin_nested():
                    db.session.add(Tag(name=name))
                added += 1
            except IntegrityError:
                pass
        """,
        wrong="""
            try:
                db.session.add(Tag(name=name))
                db.session.flush()
                added += 1
            except IntegrityError:
                db.session.rollback()
        """,
        tests={
            "TagTest.test_import_again": "AssertionError",
            "ApiTest.test_tags": "AssertionError",
        },
    ),
    Bug(
        "a deferred constraint that does not hold",
        "services.py",
        right="""
            text("UPDATE posts SET position = position + 1 WHERE position >= :position"),
        """,
        wrong="""
            text("UPDATE posts SET position = position + 1 WHERE position > :position"),
        """,
        tests={"ApiTest.test_front_page": "IntegrityError"},
    ),
    Bug(
        "another connection reads what was only flushed",
        "api.py",
        right="""
            try:
                db.session.commit()
            except IntegrityError as error:
                raise Refused("there is a post of that title") from error
            told = services.announce(post)
            return {**as_json(post), "announced": told}, 201
        """,
        wrong="""
            try:
                db.session.flush()
            except IntegrityError as error:
                raise Refused("there is a post of that title") from error
            told = services.announce(post)
            db.session.commit()
            return {**as_json(post), "announced": told}, 201
        """,
        tests={"ApiTest.test_announce": "AssertionError"},
    ),
    Bug(
        "a thread is given an object of the session",
        "mail.py",
        right="""
            text = "Dear {name}, please confirm /confirm/{id}, and be a {role}."
            send_later(user.email, "Welcome", text, name=user.name, id=user.id, role=user.role.name)
        """,
        wrong="""
            text = "Dear {user.name}, please confirm /confirm/{user.id}, and be a {user.role.name}."
            send_later(user.email, "Welcome", text, user=user)
        """,
        tests={"MailTest.test_welcome": "IndexError"},
    ),
    Bug(
        "a commit that ends a temporary table",
        "services.py",
        right="""
            titles = best_hits()
            note_search(words)
            return titles
        """,
        wrong="""
            note_search(words)
            return best_hits()
        """,
        tests={
            "SearchTest.test_nothing_found": "ProgrammingError",
            "SearchTest.test_raw_sql": "ProgrammingError",
            "SearchTest.test_search": "ProgrammingError",
            "SearchTest.test_search_twice": "ProgrammingError",
            "SearchTest.test_searches_are_noted": "ProgrammingError",
        },
    ),
    Bug(
        "a local setting that a commit took back",
        "services.py",
        right="""
            acting_as(user)
            db.session.delete(post)
            db.session.commit()
        """,
        wrong="""
            acting_as(user)
            post.published = False
            db.session.commit()
            db.session.delete(post)
            db.session.commit()
        """,
        tests={"PostTest.test_deletion_is_noted": "AssertionError"},
    ),
    Bug(
        "a teardown function that comes too late",
        "__init__.py",
        right="""
            db.init_app(app)
            # teardown functions run last registered first, so the session is still there in ours
            app.teardown_appcontext(commit_if_asked)
        """,
        wrong="""
            app.teardown_appcontext(commit_if_asked)
            db.init_app(app)
        """,
        tests={"PostTest.test_like": "AssertionError"},
    ),
]

"""A request that a ``DatabaseTestCase`` makes behaves as it would on a server."""

from __future__ import annotations

import contextlib
import logging
import unittest
from collections.abc import Iterator
from typing import Any, ClassVar

import click
import flask
from flask import Flask, g, jsonify, request, session, stream_with_context, url_for
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import object_session
from werkzeug.middleware.proxy_fix import ProxyFix

from dbtestcase.errors import UncommittedDataWarning

from .apps.flask_sqlalchemy_factory import User, db
from .support import look, no_settings, run
from .test_cases import CaseTest, Shop


def setUpModule() -> None:
    unittest.enterModuleContext(no_settings())


def names() -> list[str]:
    return list(db.session.scalars(select(User.name).order_by(User.id)))


class Served(Shop):
    """The shop with more views, and alice as its class data."""

    urls: ClassVar[set[str]] = set()

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.urls.add(cls.database_url)

    @classmethod
    def setUpTestData(cls) -> None:
        cls.alice = User(name="alice")
        db.session.add(cls.alice)
        db.session.commit()

    @classmethod
    def create_app(cls) -> Flask:
        app = super().create_app()
        app.secret_key = "secret"
        cls.add_to(app)
        return app

    @classmethod
    def add_to(cls, app: Flask) -> None:
        """Add what one test needs."""


class RequestTest(CaseTest):
    def setUp(self) -> None:
        super().setUp()
        Served.urls = set()
        logging.disable()  # Flask logs the errors of views that are to fail
        self.addCleanup(logging.disable, logging.NOTSET)

    def assert_served(self, case: type[Served]) -> None:
        """Each test passes, without a warning, and leaves nothing behind."""
        self.assert_passed(case)
        self.assertEqual([look(url).rows for url in Served.urls], [{}])


class TestRequests(RequestTest):
    """Views, whoever calls them."""

    def test_clients(self) -> None:
        """By self.client, another client or ``with client:`` a view has its own g and session."""

        class Clients(Served):
            @classmethod
            def add_to(cls, app: Flask) -> None:
                @app.post("/forget/<name>")
                def forget(name: str) -> Any:
                    seen = g.get("user")
                    g.user = name
                    db.session.add(User(name=name))
                    db.session.flush()
                    return jsonify(seen, db.session() is own[-1])

            def check(self, post: Any, name: str) -> None:
                g.user = "of the test"
                own.append(db.session())
                self.assertEqual(post(f"/forget/{name}").json, [None, False])

            def test_client(self) -> None:
                self.check(self.client.post, "bob")
                self.assertEqual((names(), g.user), (["alice"], "of the test"))

            def test_another_client(self) -> None:
                self.check(self.app.test_client().post, "bob")
                self.assertEqual((names(), g.user), (["alice"], "of the test"))

            def test_with_client(self) -> None:
                with self.app.test_client() as client:
                    self.check(client.post, "bob")
                self.assertEqual((names(), g.user), (["alice"], "of the test"))

            def test_both_in_turns(self) -> None:
                for name, client in (("bob", self.client), ("carol", self.app.test_client())):
                    self.check(client.post, name)
                    client.post("/users", data={"name": name})
                self.assertEqual(names(), ["alice", "bob", "carol"])

        own: list[Any] = []
        self.assert_served(Clients)

    def test_with_client(self) -> None:
        """Inside ``with client:`` request, session, g and db.session are those of the request."""

        class WithClient(Served):
            @classmethod
            def add_to(cls, app: Flask) -> None:
                @app.get("/me/<name>")
                def me(name: str) -> str:
                    g.user = db.session.scalars(select(User).filter_by(name=name)).one()
                    session["user_id"] = g.user.id
                    return "hello"

            def test_read_afterwards(self) -> None:
                alice_id, own = self.alice.id, db.session()
                with self.client:
                    self.assertEqual(self.client.get("/me/alice?page=2").text, "hello")
                    self.assertEqual((request.path, request.args["page"]), ("/me/alice", "2"))
                    self.assertEqual(session["user_id"], alice_id)
                    self.assertEqual((g.user.id, g.user.name), (alice_id, "alice"))
                    # Flask-SQLAlchemy removed the session that it was read in, as it always does
                    self.assertIsNone(object_session(g.user))
                    self.assertIsNot(db.session(), own)
                    # the next request ends the one before
                    self.client.get("/users")
                    self.assertEqual(request.path, "/users")
                    self.assertNotIn("user", g)
                self.assertFalse(flask.has_request_context())
                self.assertIs(db.session(), own)
                self.assertIs(db.session.get(User, alice_id), self.alice)

            def test_uncommitted_in_the_request(self) -> None:
                with self.client:
                    self.client.get("/me/alice")
                    db.session.add(User(name="carol"))
                    db.session.flush()
                self.assertEqual(names(), ["alice"])

        self.assert_served(WithClient)

    def test_session_transaction(self) -> None:
        """A cookie that session_transaction() sets reaches the views, and no other test."""

        class LoggedIn(Served):
            @classmethod
            def add_to(cls, app: Flask) -> None:
                @app.post("/rename/<name>")
                def rename(name: str) -> Any:
                    if "user_id" not in session:
                        flask.abort(401)
                    db.session.get(User, session["user_id"]).name = name
                    session["renamed"] = name
                    db.session.commit()
                    return ""

            def test_logged_in(self) -> None:
                with self.client.session_transaction() as cookie:
                    cookie["user_id"] = self.alice.id
                self.assertEqual(self.client.post("/rename/anna").status_code, 200)
                self.assertEqual(self.alice.name, "anna")
                with self.client.session_transaction() as cookie:
                    self.assertEqual(cookie["renamed"], "anna")

            def test_logged_out(self) -> None:
                self.assertEqual(self.client.post("/rename/anna").status_code, 401)
                self.assertEqual(self.alice.name, "alice")

        self.assert_served(LoggedIn)

    def test_cli_runner(self) -> None:
        """A command has contexts of its own: what it does not commit is gone."""

        class WithCommand(Served):
            @classmethod
            def add_to(cls, app: Flask) -> None:
                @app.cli.command("add")
                @click.argument("name")
                def add(name: str) -> None:
                    click.echo(f"{g.get('user')} {names()}")
                    db.session.add(User(name=name))
                    db.session.flush()
                    if name == "bob":
                        db.session.commit()

            def check(self) -> None:
                g.user = "of the test"
                runner = self.app.test_cli_runner()
                for name in ("bob", "carol"):
                    result = runner.invoke(args=["add", name])
                    self.assertEqual(result.exit_code, 0, result.output)
                self.assertEqual(result.output, "None ['alice', 'bob']\n")
                self.assertEqual(names(), ["alice", "bob"])

            test_1 = test_2 = check

        self.assert_served(WithCommand)

    def test_streamed_body(self) -> None:
        """A lazy body needs a context of its own, as on a server; with one it reads and commits."""

        class Streaming(Served):
            @classmethod
            def add_to(cls, app: Flask) -> None:
                def body() -> Iterator[str]:
                    yield from names()
                    db.session.add(User(name="streamed"))
                    db.session.commit()

                app.add_url_rule("/without", view_func=body, endpoint="without")
                app.add_url_rule(
                    "/with", view_func=lambda: stream_with_context(body()), endpoint="with"
                )

            def test_without_context(self) -> None:
                with self.assertRaisesRegex(RuntimeError, "outside of application context"):
                    self.client.get("/without").get_data()
                self.assertEqual(names(), ["alice"])

            def test_with_context(self) -> None:
                self.assertEqual(self.client.get("/with").text, "alice")
                self.assertEqual(names(), ["alice", "streamed"])

            def test_read_late(self) -> None:
                response = self.client.get("/with", buffered=False)
                chunks = iter(response.response)
                self.assertEqual(next(chunks), b"alice")
                self.assertEqual(names(), ["alice"])
                self.assertEqual(list(chunks), [])
                response.close()
                self.assertEqual(names(), ["alice", "streamed"])

            def test_closed_early(self) -> None:
                response = self.client.get("/with", buffered=False)
                next(iter(response.response))
                response.close()
                self.assertEqual(names(), ["alice"])

            def test_with_client(self) -> None:
                with self.client:
                    self.assertEqual(self.client.get("/with").text, "alice")
                self.assertEqual(names(), ["alice", "streamed"])

        self.assert_served(Streaming)

    def test_nested_requests(self) -> None:
        """A request that a view makes is played inside the outer one."""

        class Nesting(Served):
            @classmethod
            def add_to(cls, app: Flask) -> None:
                @app.post("/outer")
                def outer() -> Any:
                    g.user = "outer"
                    db.session.add(User(name="outer"))
                    db.session.commit()
                    inner = app.test_client().post("/users", data={"name": "inner"})
                    return jsonify(inner.status_code, request.path, names())

            def check(self) -> None:
                self.assertEqual(
                    self.client.post("/outer").json, [201, "/outer", ["alice", "outer", "inner"]]
                )
                self.assertEqual(names(), ["alice", "outer", "inner"])

            test_1 = test_2 = check

        self.assert_served(Nesting)

    def test_async_view(self) -> None:
        """An async view has its own session as well, and its own commit."""

        class Async(Served):
            @classmethod
            def add_to(cls, app: Flask) -> None:
                @app.post("/async/<name>")
                async def add(name: str) -> Any:
                    seen = names()
                    db.session.add(User(name=name))
                    db.session.flush()
                    if name == "bob":
                        db.session.commit()
                    return jsonify(seen)

            def check(self) -> None:
                self.assertEqual(self.client.post("/async/bob").json, ["alice"])
                self.assertEqual(self.client.post("/async/carol").json, ["alice", "bob"])
                self.assertEqual(names(), ["alice", "bob"])

            test_1 = test_2 = check

        self.assert_served(Async)

    def test_request_before_a_commit(self) -> None:
        """A request beside uncommitted writes warns at the test's own line, whoever makes it."""

        class Forgetting(Served):
            def test_it(self) -> None:
                self.alice.name = "anna"
                db.session.flush()
                with self.app.test_client() as client:
                    client.get("/users")

        report = run(Forgetting)
        self.assertEqual(report.messages, [])
        warned = [each for each in report.warned if "a request is made" in str(each.message)]
        self.assertEqual([each.category for each in warned], [UncommittedDataWarning])
        self.assertEqual(warned[0].filename, __file__)


class TestRequestsInMemory(TestRequests):
    """The same on SQLite in memory."""

    database = "sqlite"


class TestMiddleware(RequestTest):
    """What is put round the app."""

    def test_proxy_fix(self) -> None:
        """Middleware of create_app and of a test sees each request, and views stay isolated."""

        class Proxied(Served):
            @classmethod
            def add_to(cls, app: Flask) -> None:
                app.wsgi_app = ProxyFix(app.wsgi_app, x_host=1)  # type: ignore[method-assign]

                @app.post("/where")
                def where() -> Any:
                    db.session.add(User(name="forgotten"))
                    db.session.flush()
                    return jsonify(request.host, request.remote_addr)

            def test_before(self) -> None:
                there = self.client.post("/where", headers={"X-Forwarded-Host": "shop.example"})
                self.assertEqual(there.json, ["shop.example", "127.0.0.1"])
                self.assertEqual(names(), ["alice"])

            def test_meanwhile(self) -> None:
                self.app.wsgi_app = ProxyFix(self.app.wsgi_app, x_for=1)
                there = self.client.post(
                    "/where",
                    headers={"X-Forwarded-Host": "shop.example", "X-Forwarded-For": "192.0.2.7"},
                )
                self.assertEqual(there.json, ["shop.example", "192.0.2.7"])
                self.assertEqual(names(), ["alice"])

        self.assert_served(Proxied)

    def test_middleware_that_reads_the_body(self) -> None:
        """Middleware may read and close the body itself, or answer without the app."""

        class Outside:
            def __init__(self, app: Any) -> None:
                self.app = app

            def __call__(self, environ: Any, start_response: Any) -> Any:
                if environ["PATH_INFO"] == "/outside":
                    start_response("204 NO CONTENT", [])
                    return []
                body = self.app(environ, start_response)
                with contextlib.ExitStack() as stack:
                    if hasattr(body, "close"):
                        stack.callback(body.close)
                    return [b"".join(body)]

        class Wrapped(Served):
            def setUp(self) -> None:
                self.app.wsgi_app = Outside(self.app.wsgi_app)

            def check(self) -> None:
                self.assertEqual(self.client.get("/outside").status_code, 204)
                self.client.post("/users", data={"name": "bob"})
                self.assertEqual(self.client.get("/users").json, ["alice", "bob"])
                self.assertEqual(self.client.get("/users/stream").text, "alice\nbob\n")

            test_1 = test_2 = check

        self.assert_served(Wrapped)


class TestConfiguration(RequestTest):
    """What the app's configuration changes."""

    def test_server_name(self) -> None:
        """With SERVER_NAME views know their host, and the pushed context makes URLs."""

        class Named(Served):
            @classmethod
            def add_to(cls, app: Flask) -> None:
                app.config["SERVER_NAME"] = "shop.example:8443"
                app.config["PREFERRED_URL_SCHEME"] = "https"

                @app.post("/here/<name>", endpoint="here")
                def here(name: str) -> str:
                    db.session.add(User(name=name))
                    db.session.commit()
                    return url_for("here", name=name, _external=True)

            def test_it(self) -> None:
                self.assertEqual(
                    url_for("here", name="bob"), "https://shop.example:8443/here/bob"
                )
                response = self.client.post("/here/bob")
                self.assertRegex(response.text, "://shop.example:8443/here/bob$")
                self.assertEqual(names(), ["alice", "bob"])

        self.assert_served(Named)

    def test_error_handlers(self) -> None:
        """A handler answers for a view that raised, and what the view had not committed is gone."""

        class Handling(Served):
            @classmethod
            def add_to(cls, app: Flask) -> None:
                @app.errorhandler(IntegrityError)
                def taken(error: IntegrityError) -> Any:
                    db.session.rollback()
                    db.session.add(User(name=f"after {request.path}"))
                    db.session.commit()
                    return "taken", 409

                @app.errorhandler(500)
                def broken(error: Exception) -> Any:
                    return f"sorry, {names()}", 500

                @app.post("/twice")
                def twice() -> str:
                    db.session.add(User(name="bob"))
                    db.session.flush()
                    db.session.add(User(name="alice"))
                    db.session.commit()
                    return "added"

            def test_own_error(self) -> None:
                response = self.client.post("/twice")
                self.assertEqual((response.status_code, response.text), (409, "taken"))
                self.assertEqual(names(), ["alice", "after /twice"])

            def test_internal_error(self) -> None:
                response = self.client.post("/users/broken", data={"name": "bob"})
                self.assertEqual(response.status_code, 500)
                # the handler still is in the request, whose session holds what was flushed
                self.assertEqual(response.text, "sorry, ['alice', 'bob']")
                self.assertEqual(names(), ["alice"])

        self.assert_served(Handling)

    def test_propagated_exceptions(self) -> None:
        """With TESTING or PROPAGATE_EXCEPTIONS the error reaches the test, and nothing stays."""

        class Propagating(Served):
            @classmethod
            def add_to(cls, app: Flask) -> None:
                @app.teardown_request
                def note(error: BaseException | None) -> None:
                    told.append(type(error).__name__)

            def check(self) -> None:
                with self.assertRaisesRegex(RuntimeError, "the view is broken"):
                    self.client.post("/users/broken", data={"name": "bob"})
                self.assertEqual(names(), ["alice"])
                self.client.post("/users", data={"name": "bob"})
                self.assertEqual(names(), ["alice", "bob"])

            def test_propagate(self) -> None:
                self.app.config["PROPAGATE_EXCEPTIONS"] = True
                self.check()

            def test_testing(self) -> None:
                self.app.testing = True
                self.check()

            def test_turned_off(self) -> None:
                self.app.testing = True
                self.app.config["PROPAGATE_EXCEPTIONS"] = False
                response = self.client.post("/users/broken", data={"name": "bob"})
                self.assertEqual(response.status_code, 500)
                self.assertEqual(names(), ["alice"])

        told: list[str] = []
        self.assert_served(Propagating)
        self.assertEqual(told.count("RuntimeError"), 3)

    def test_commit_on_teardown(self) -> None:
        """A teardown function that commits on success stores what the view left, on error not."""

        class CommitOnTeardown(Served):
            @classmethod
            def add_to(cls, app: Flask) -> None:
                @app.teardown_appcontext
                def finish(error: BaseException | None) -> None:
                    if error is None:
                        db.session.commit()
                    else:
                        db.session.rollback()

            def test_success(self) -> None:
                self.client.post("/users/forgotten", data={"name": "bob"})
                self.assertEqual(names(), ["alice", "bob"])

            def test_error(self) -> None:
                response = self.client.post("/users/broken", data={"name": "bob"})
                self.assertEqual(response.status_code, 500)
                self.assertEqual(names(), ["alice"])

            def test_of_the_test_itself(self) -> None:
                # at its end the function is called for the test's own context, too
                db.session.add(User(name="left"))
                self.alice.name = "anna"

            def test_with_client(self) -> None:
                with self.client:
                    self.client.post("/users/forgotten", data={"name": "bob"})
                self.assertEqual(names(), ["alice", "bob"])

        self.assert_served(CommitOnTeardown)


class TestConfigurationInMemory(TestConfiguration):
    """The same on SQLite in memory."""

    database = "sqlite"


if __name__ == "__main__":
    unittest.main()

"""Tests of dbtestcase.flaskapp."""

from __future__ import annotations

import contextlib
import contextvars
import gc
import subprocess
import sys
import tempfile
import unittest
import warnings
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from unittest import mock

import alchemical.flask
import click
import flask
import flask_sqlalchemy
import flask_sqlalchemy_lite
import sqlalchemy as sa
from flask import Flask, Response, current_app, g, has_app_context, request, stream_with_context
from flask.cli import with_appcontext
from flask.testing import FlaskCliRunner
from sqlalchemy import orm
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from werkzeug.middleware.proxy_fix import ProxyFix

from dbtestcase.errors import AppError, UnsafeDatabaseError
from dbtestcase.flaskapp import (
    config_restored,
    current_engines,
    current_metadatas,
    engines_of,
    expire_gently,
    find_create_app,
    in_context,
    isolated_requests,
    make_app,
    metadatas_of,
    pushed_context,
    requests,
    session_of,
)


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "user"
    key: Mapped[int] = mapped_column("id", primary_key=True)
    name: Mapped[str]


class Seat(Base):
    __tablename__ = "seat"
    row: Mapped[int] = mapped_column(primary_key=True)
    letter: Mapped[str] = mapped_column(primary_key=True)
    taken: Mapped[bool] = mapped_column(default=False)


variable = contextvars.ContextVar("variable", default="unset")


class TestMakeApp(unittest.TestCase):
    def refused(self, **attributes: Any) -> str:
        case = type("SignupTest", (), attributes)
        with self.assertRaises(AppError) as caught:
            make_app(case, find_create_app(case))
        self.error = caught.exception
        return str(caught.exception)

    def made(self, **attributes: Any) -> Flask:
        case = type("SignupTest", (), attributes)
        return make_app(case, find_create_app(case))

    def test_ways_to_name_it(self) -> None:
        """A class method, a static method, a factory on the class and an app all work."""
        app = Flask(__name__)

        def factory(config: Any = None) -> Flask:
            return app

        for value in (classmethod(lambda cls: app), staticmethod(factory), factory):
            with self.subTest(value=value):
                self.assertIs(self.made(create_app=value), app)
        self.assertIs(self.made(app=app), app)
        self.assertIs(self.made(create_app=app), app)

    def test_raises(self) -> None:
        """What create_app raises is named, and chained."""

        def create_app(cls: Any) -> Any:
            return {}["X"]

        self.assertEqual(
            self.refused(create_app=classmethod(create_app)),
            "SignupTest.create_app() raised KeyError: 'X'\n"
            "No test of SignupTest can run without its app; "
            "the traceback above this one shows where it failed.",
        )
        self.assertIsInstance(self.error.__cause__, KeyError)

    def test_exits(self) -> None:
        """A factory that leaves the program does not end the run."""
        text = self.refused(create_app=classmethod(lambda cls: sys.exit()))
        self.assertTrue(text.startswith("SignupTest.create_app() raised SystemExit\n"), text)

    def test_other_errors_pass(self) -> None:
        """Errors of the library, skips and Ctrl-C pass as they are."""
        for error in (UnsafeDatabaseError("no"), unittest.SkipTest("no"), KeyboardInterrupt()):
            with self.subTest(error=error), self.assertRaises(type(error)) as caught:
                self.made(create_app=mock.Mock(side_effect=error))
            self.assertIs(caught.exception, error)

    def test_returns_none(self) -> None:
        """A forgotten return is named."""
        self.assertEqual(
            self.refused(create_app=classmethod(lambda cls: None)),
            "SignupTest.create_app() returned None instead of a Flask app. "
            "Its last line may be missing: return app.",
        )

    def test_returns_something_else(self) -> None:
        """What it returned instead of an app is named."""
        app = Flask(__name__)
        returned = (app.test_client(), "a FlaskClient"), (1, "an int"), ((app,), "a tuple")
        for value, name in returned:
            with self.subTest(name):
                self.assertEqual(
                    self.refused(create_app=staticmethod(lambda value=value: value)),
                    f"SignupTest.create_app() returned {name} instead of a Flask app. Return the "
                    f"object that flask.Flask() made; wrap app.wsgi_app instead of the app.",
                )

    def test_instance_method(self) -> None:
        """An instance method, as Flask-Testing has it, is told what to add."""

        def create_app(self: Any, config: Any = None) -> Any: ...

        self.assertEqual(
            self.refused(create_app=create_app),
            "SignupTest.create_app(self) is an instance method, but the app is made once for the "
            "class, before there is a test. Make it a class method: "
            "add @classmethod above it and write def create_app(cls).",
        )

    def test_needs_arguments(self) -> None:
        """A factory that needs arguments is told how to get them."""

        def create_app(config: Any, *, debug: bool) -> Any: ...

        self.assertEqual(
            self.refused(create_app=staticmethod(create_app)),
            "SignupTest.create_app(config, debug) needs arguments, and is called without any. "
            "Define a class method that gives them: @classmethod, def create_app(cls).",
        )

    def test_not_callable(self) -> None:
        """A create_app that is no function is named."""
        self.assertEqual(
            self.refused(create_app="myapp"),
            "SignupTest.create_app is a str, which cannot be called. Define it as a class method "
            "that returns the Flask app: @classmethod, def create_app(cls).",
        )


class TestFindCreateApp(unittest.TestCase):
    def test_nearest_class_decides(self) -> None:
        """An app on a subclass stands for the create_app of its base, and the other way round."""
        made = Flask(__name__)

        class NoApp:
            create_app: Any = None
            app: Any = None

        class WithFactory(NoApp):
            @classmethod
            def create_app(cls) -> Flask:
                return made

        class WithApp(WithFactory):
            app = made

        class WithBoth(WithApp):
            @classmethod
            def create_app(cls) -> Flask:
                return made

        self.assertIsNone(find_create_app(NoApp))
        self.assertEqual(find_create_app(WithFactory), WithFactory.create_app)
        self.assertIs(find_create_app(WithApp), made)
        self.assertEqual(find_create_app(WithBoth), WithBoth.create_app)
        sub: Any = find_create_app(type("Sub", (WithBoth,), {}))
        self.assertEqual(sub.__func__, WithBoth.__dict__["create_app"].__func__)

    def test_something_else_named_app(self) -> None:
        """An attribute app that is no Flask app makes none."""
        self.assertIsNone(find_create_app(type("SignupTest", (), {"app": object()})))


class TestExtensions(unittest.TestCase):
    """engines_of(), metadatas_of() and session_of()."""

    def setUp(self) -> None:
        self.app = Flask(__name__)
        self.app.config.update(
            SQLALCHEMY_DATABASE_URI="sqlite://",
            SQLALCHEMY_BINDS={"audit": "sqlite://"},
            SQLALCHEMY_ENGINES={"default": "sqlite://", "audit": "sqlite://"},
            ALCHEMICAL_DATABASE_URL="sqlite://",
            ALCHEMICAL_BINDS={"audit": "sqlite://"},
        )

    def check(self, engines: dict[Any, Any]) -> None:
        self.assertEqual(engines_of(self.app), engines)
        for engine in engines.values():
            self.assertIsInstance(engine, sa.Engine)
            self.addCleanup(engine.dispose)

    def test_flask_sqlalchemy(self) -> None:
        """Engines and metadata by bind key, and the session of the app context."""
        db = flask_sqlalchemy.SQLAlchemy(self.app)

        class Entry(db.Model):  # type: ignore[name-defined,misc]
            __bind_key__ = "audit"
            id = db.Column(db.Integer, primary_key=True)

        self.assertEqual(metadatas_of(self.app), {None: db.metadata, "audit": Entry.metadata})
        with self.app.app_context():
            self.check({None: db.engine, "audit": db.engines["audit"]})
            self.assertIs(session_of(self.app), db.session())
            with self.app.app_context():
                other = session_of(self.app)
            self.assertIsNot(session_of(self.app), other)

    def test_flask_sqlalchemy_lite(self) -> None:
        """Its engine named default is the default one; it knows no metadata."""
        db = flask_sqlalchemy_lite.SQLAlchemy(self.app)
        self.assertEqual(metadatas_of(self.app), {})
        with self.app.app_context():
            self.check({None: db.engine, "audit": db.get_engine("audit")})
            self.assertIs(session_of(self.app), db.session)

    def test_alchemical(self) -> None:
        """Alchemical leaves nothing on the app by itself; where the program does, it is known."""
        db = alchemical.flask.Alchemical(self.app)

        class Entry(db.Model):  # type: ignore[name-defined,misc]
            __bind_key__ = "audit"
            id = sa.Column(sa.Integer, primary_key=True)

        # all Alchemical apps of a process share their metadata
        self.addCleanup(Entry.metadata.remove, Entry.__table__)
        with self.app.app_context():
            self.check({})
            self.app.extensions["alchemical"] = db
            self.check({None: db.get_engine(), "audit": db.get_engine("audit")})
            self.assertEqual(metadatas_of(self.app), db.metadatas)
            self.assertIs(session_of(self.app), db.session)

    def test_none(self) -> None:
        """An app without such an extension, or with one that we do not know, has none."""
        for extensions in ({}, {"sqlalchemy": object()}, {"sqlalchemy": SimpleNamespace(db=1)}):
            self.app.extensions = extensions
            with self.subTest(extensions), self.app.app_context():
                self.check({})
                self.assertEqual(metadatas_of(self.app), {})
                self.assertIsNone(session_of(self.app))

    def test_current_app(self) -> None:
        """The app whose context is pushed is asked, or none."""
        db = flask_sqlalchemy.SQLAlchemy(self.app)
        self.assertEqual((current_metadatas(None), current_engines()), ({}, {}))
        self.assertEqual(current_metadatas(self.app), db.metadatas)
        with self.app.app_context():
            self.assertEqual(current_metadatas(None), db.metadatas)
            self.assertEqual(current_engines(), dict(db.engines))
            self.check(dict(db.engines))

    def test_flask_is_not_imported(self) -> None:
        """A class without an app needs no Flask."""
        code = (
            "import sys; from dbtestcase.flaskapp import find_create_app\n"
            "assert find_create_app(type('T', (), {'app': 1})) is None\n"
            "assert not {m for m in sys.modules if m.startswith(('flask.', 'flask_', 'werkzeug'))}"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))


class RequestsTestCase(unittest.TestCase):
    def setUp(self) -> None:
        self.calls: list[str] = []
        self.app = Flask(__name__)
        self.app.secret_key = "x"
        self.app.logger.disabled = True  # views raise on purpose
        self.app.teardown_appcontext(lambda exc: self.calls.append("teardown"))
        self.client = self.app.test_client()

    def isolate(self, app: Flask | None = None) -> contextlib.ExitStack:
        stack = contextlib.ExitStack()
        stack.enter_context(
            isolated_requests(
                app or self.app,
                before=lambda: self.calls.append("before"),
                after=lambda: self.calls.append("after"),
            )
        )
        self.addCleanup(stack.close)
        return stack

    @contextlib.contextmanager
    def in_test(self) -> Iterator[None]:
        """Isolated, with an app context pushed as in a test."""
        with self.isolate(), self.app.app_context():
            yield
            self.assertTrue(has_app_context())


class TestIsolatedRequests(RequestsTestCase):
    def test_own_context(self) -> None:
        """A view has a g of its own, and the teardown functions run at its end."""

        @self.app.get("/")
        def view() -> Any:
            left, g.value = g.get("value", "nothing"), "view"
            return left

        with self.in_test():
            g.value = "test"
            self.assertEqual(self.client.get("/").text, "nothing")
            self.assertEqual(self.app.test_client().get("/").text, "nothing")
            self.assertEqual(g.value, "test")
        self.assertEqual(self.calls, ["before", "teardown", "after"] * 2 + ["teardown"])

    def test_without_isolation(self) -> None:
        """Flask alone lets the view share the test's context: what this module is for."""

        @self.app.get("/")
        def view() -> Any:
            return g.get("value", "nothing")

        with self.app.app_context():
            g.value = "test"
            self.assertEqual(self.client.get("/").text, "test")

    def test_other_variables(self) -> None:
        """Other context variables reach the view; what it sets stays in the request."""

        @self.app.get("/")
        def view() -> Any:
            left = variable.get()
            variable.set("view")
            return left

        with self.in_test():
            token = variable.set("test")
            self.addCleanup(variable.reset, token)
            self.assertEqual(self.client.get("/").text, "test")
            self.assertEqual(variable.get(), "test")

    def test_raising_view(self) -> None:
        """A request that raises ends as others do, and its error passes."""

        @self.app.get("/")
        def view() -> Any:
            raise ZeroDivisionError

        self.app.config["PROPAGATE_EXCEPTIONS"] = True
        with self.in_test():
            with self.assertRaises(ZeroDivisionError):
                self.client.get("/")
            self.assertEqual(self.calls, ["before", "teardown", "after"])
            self.app.config["PROPAGATE_EXCEPTIONS"] = False
            self.assertEqual(self.client.get("/").status_code, 500)
            self.assertEqual(self.calls, ["before", "teardown", "after"] * 2)

    def test_teardown_gets_the_exception(self) -> None:
        """Teardown functions are told of an exception that became a 500, as on a server."""
        told = []
        self.app.teardown_appcontext(told.append)

        @self.app.get("/")
        def view() -> Any:
            raise ZeroDivisionError

        with self.in_test():
            self.client.get("/")
            self.assertIsInstance(told[0], ZeroDivisionError)

    def test_nested_requests(self) -> None:
        """A request that a view makes is part of the outer one."""

        @self.app.get("/inner")
        def inner() -> Any:
            return variable.get()

        @self.app.get("/outer")
        def outer() -> Any:
            variable.set("outer")
            result = self.app.test_cli_runner().invoke(click.Command("c", callback=lambda: None))
            self.assertEqual(result.exit_code, 0)
            return self.app.test_client().get("/inner").text

        with self.in_test():
            self.assertEqual(self.client.get("/outer").text, "outer")
            self.assertEqual(self.calls, ["before", "teardown", "after"])

    def test_with_client(self) -> None:
        """Inside `with client:` request, session and g are those of the last request."""

        @self.app.get("/<value>")
        def view(value: str) -> Any:
            g.value = flask.session["value"] = value
            return value

        with self.in_test():
            with self.client as client:
                for value in ("a", "b"):
                    client.get(f"/{value}")
                    self.assertEqual(request.path, f"/{value}")
                    self.assertEqual((g.value, flask.session["value"]), (value, value))
                with client.session_transaction() as session:
                    self.assertEqual(session["value"], "b")
                    session["value"] = "c"
                client.get("/d")
            self.assertNotIn("value", g)
            self.assertFalse(request)

    def test_streamed_without_context(self) -> None:
        """A streamed body has no context any more; after() comes when it ended."""

        @self.app.get("/")
        def view() -> Any:
            def body() -> Iterator[str]:
                yield "a"
                yield str(has_app_context())
                self.calls.append("body")

            return Response(body())

        with self.in_test():
            response = self.client.get("/")
            self.assertEqual(self.calls, ["before", "teardown", "after"])
            self.assertEqual(response.text, "aFalse")
            self.assertEqual(self.calls, ["before", "teardown", "after", "body", "after"])
            response.close()
            self.assertEqual(self.calls.count("after"), 2)

    def test_streamed_with_context(self) -> None:
        """Under stream_with_context the request's contexts live as long as its body."""

        @self.app.get("/")
        def view() -> Any:
            g.value = "view"

            @stream_with_context
            def body() -> Iterator[str]:
                yield "a"
                yield request.path + g.value

            return Response(body())  # type: ignore[arg-type]

        with self.in_test():
            response = self.client.get("/")
            self.assertFalse(request)
            self.assertEqual(response.text, "a/view")
            self.assertEqual(self.calls[-1], "after")

    def test_streamed_with_context_and_client(self) -> None:
        """`with client:` and stream_with_context: the body is read at once, contexts are given."""

        @self.app.route("/")
        def view() -> Any:
            g.value = "view"

            @stream_with_context
            def body() -> Iterator[str]:
                yield "a"
                yield g.value

            return Response(body())  # type: ignore[arg-type]

        with self.in_test():
            for method in ("GET", "HEAD"):
                with self.subTest(method), self.client as client:
                    response = client.open("/", method=method)
                    self.assertEqual((request.path, g.value), ("/", "view"))
                    self.assertEqual(self.calls[-1], "after")
                    self.assertEqual(response.text, "aview" if method == "GET" else "")
                    response.close()
            self.assertFalse(request)

    def test_body_that_raises(self) -> None:
        """A body that raises ends the request."""

        @self.app.get("/")
        def view() -> Any:
            def body() -> Iterator[str]:
                yield "a"
                raise ZeroDivisionError

            return Response(body())

        with self.in_test():
            response = self.client.get("/")
            with self.assertRaises(ZeroDivisionError):
                _ = response.text
            self.assertEqual(self.calls, ["before", "teardown", "after", "after"])

    def test_closed_body(self) -> None:
        """A body that is closed unread ends the request, in its own Context."""
        seen = []

        @self.app.get("/")
        def view() -> Any:
            variable.set("view")

            def body() -> Iterator[str]:
                try:
                    yield "a"
                    yield "b"
                finally:
                    seen.append(variable.get())

            return Response(body())

        with self.in_test():
            self.client.get("/").close()
            self.assertEqual(seen, ["view"])
            self.assertEqual(self.calls, ["before", "teardown", "after", "after"])

    def test_collected_body(self) -> None:
        """Garbage collection ends a body in its own Context, and does not call after()."""

        @self.app.get("/")
        def view() -> Any:
            @stream_with_context
            def body() -> Iterator[str]:
                yield "a"
                yield "b"

            return Response(body())  # type: ignore[arg-type]

        with self.in_test(), mock.patch("sys.unraisablehook") as unraisable:
            self.client.get("/")
            gc.collect()
            self.assertEqual(self.calls[-1], "teardown")
            self.assertEqual(self.calls.count("after"), 1)
            unraisable.assert_not_called()

    def test_async_view(self) -> None:
        """Async views run as others do."""

        @self.app.get("/")
        async def view() -> Any:
            left, g.value = g.get("value", "nothing"), "view"
            return left

        with self.in_test():
            g.value = "test"
            self.assertEqual(self.client.get("/").text, "nothing")
            self.assertEqual(self.calls, ["before", "teardown", "after"])

    def test_middleware_before(self) -> None:
        """Middleware that the app has stays around the app, shows its attributes, and is kept."""
        self.app.wsgi_app = fix = ProxyFix(self.app.wsgi_app, x_host=1)  # type: ignore[method-assign]

        @self.app.get("/")
        def view() -> Any:
            return request.host

        with self.in_test():
            response = self.client.get("/", headers={"X-Forwarded-Host": "example.org"})
            self.assertEqual(response.text, "example.org")
            self.assertEqual(self.app.wsgi_app.x_host, 1)  # type: ignore[attr-defined]
        self.assertIs(self.app.wsgi_app, fix)

    def test_middleware_meanwhile(self) -> None:
        """Middleware put around ours stays, and ours in it goes to sleep."""

        @self.app.get("/")
        def view() -> Any:
            return g.get("value", "nothing")

        with self.isolate():
            self.app.wsgi_app = fix = ProxyFix(self.app.wsgi_app)  # type: ignore[method-assign]
            self.client.get("/")
            self.assertEqual(self.calls, ["before", "teardown", "after"])
        self.assertIs(self.app.wsgi_app, fix)
        self.calls.clear()
        with self.app.app_context():
            g.value = "shared"
            self.assertEqual(self.client.get("/").text, "shared")
        self.assertNotIn("before", self.calls)

    def test_put_back(self) -> None:
        """Without other middleware nothing of ours is left on the app."""
        before = dict(vars(self.app))
        with self.isolate():
            self.assertNotEqual(vars(self.app), before)
        self.assertEqual(vars(self.app), before)

    def test_twice(self) -> None:
        """One app under two test classes at once: each request runs once, in the outer one."""
        self.app.get("/")(lambda: "")
        with self.isolate(), self.isolate():
            self.client.get("/")
            self.assertEqual(self.calls, ["before", "teardown", "after"])

    def test_warning_as_error(self) -> None:
        """What before() raises stops the request."""
        self.app.get("/")(lambda: "")
        after = mock.Mock()
        with (
            isolated_requests(self.app, before=mock.Mock(side_effect=UserWarning), after=after),
            self.assertRaises(UserWarning),
        ):
            self.client.get("/")
        after.assert_not_called()

    def test_cli_runner(self) -> None:
        """A command runs in an app context of its own, by the app's own runner class too."""

        class Runner(FlaskCliRunner):
            pass

        @self.app.cli.command("show")
        @with_appcontext
        def show() -> None:
            click.echo(f"{current_app.name} {g.get('value', 'nothing')}")

        for runner in (None, Runner):
            self.app.test_cli_runner_class = runner
            self.calls.clear()
            with self.subTest(runner=runner), self.in_test():
                g.value = "test"
                made = self.app.test_cli_runner()
                self.assertIsInstance(made, runner or FlaskCliRunner)
                self.assertEqual(made.invoke(args=["show"]).output, f"{__name__} nothing\n")
                self.assertEqual(self.calls, ["before", "teardown", "after"])
            self.assertIs(self.app.test_cli_runner_class, runner)

    def test_cli_runner_replaced(self) -> None:
        """A runner class that is set meanwhile stays."""

        class Runner(FlaskCliRunner):
            pass

        with self.isolate():
            self.app.test_cli_runner_class = Runner
        self.assertIs(self.app.test_cli_runner_class, Runner)

    def test_server_name(self) -> None:
        """SERVER_NAME and error handlers work as without isolation."""
        self.app.config["SERVER_NAME"] = "example.org"
        self.app.errorhandler(404)(lambda e: ("none", 404))
        with self.in_test():
            self.assertEqual(self.client.get("/").text, "none")

    def test_one_kind_of_context(self) -> None:
        """Flask 3.2 has one kind of context, and warns where the other is looked up."""

        class Module(SimpleNamespace):
            def __getattr__(self, name: str) -> Any:
                warnings.warn(name, DeprecationWarning, stacklevel=2)

        kind = flask.ctx.AppContext
        with mock.patch.object(flask, "ctx", Module(AppContext=kind)):
            self.assertEqual(requests._context_kinds(), (kind,))

    def test_flask_keeps_contexts_in_variables(self) -> None:
        """All that Flask keeps in context variables is of the classes that we leave out."""
        kinds = requests._context_kinds()
        outside = contextvars.copy_context()
        with self.app.test_request_context():
            inside = contextvars.copy_context()
        added = [value for var, value in inside.items() if outside.get(var) is not value]
        self.assertTrue(added)
        self.assertTrue(all(isinstance(value, kinds) for value in added), added)
        self.assertFalse(any(type(v) in kinds for _, v in outside.items()))


class TestSessions(RequestsTestCase):
    """Flask-SQLAlchemy's session in an isolated request."""

    def test_forgotten_commit(self) -> None:
        """What a view adds without a commit is gone, though the test has a context pushed."""
        directory = self.enterContext(tempfile.TemporaryDirectory())
        self.app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{directory}/test.db"
        db = flask_sqlalchemy.SQLAlchemy(self.app, model_class=Base)

        @self.app.post("/<name>")
        def view(name: str) -> Any:
            db.session.add(User(name=name))
            if name == "committed":
                db.session.commit()
            return str(id(db.session()))

        with self.in_test():
            self.addCleanup(db.engine.dispose)
            db.create_all()
            mine = db.session()
            self.assertNotEqual(self.client.post("/forgotten").text, str(id(mine)))
            self.client.post("/committed")
            self.assertEqual(db.session.scalars(sa.select(User.name)).all(), ["committed"])
            self.assertIs(db.session(), mine)


class TestPushedContext(RequestsTestCase):
    def test_forgotten_contexts(self) -> None:
        """Contexts that a test pushed and did not pop end with ours, innermost first."""
        other = Flask("other")
        with pushed_context(self.app) as context:
            self.assertIs(g._get_current_object(), context.g)
            other.app_context().push()
            self.app.test_request_context("/forgotten").push()
        self.assertFalse(has_app_context())
        self.assertFalse(request)
        self.assertEqual(self.calls, ["teardown"] * 2)

    def test_entered_again(self) -> None:
        """Each time a new context is pushed, and none is named once it is popped."""
        pushed, contexts = pushed_context(self.app), []
        for _ in range(2):
            with pushed as context:
                self.assertIs(pushed.context, context)
                contexts.append(context)
            self.assertIsNone(pushed.context)
        self.assertIsNot(contexts[0], contexts[1])
        self.assertEqual(self.calls, ["teardown"] * 2)

    def test_in_context(self) -> None:
        """A pushed context is made the current one for a moment, without teardown functions."""
        with pushed_context(self.app) as context:
            with in_context(context):
                self.assertIs(g._get_current_object(), context.g)
            with self.app.app_context() as inner:
                with in_context(context):
                    self.assertIs(g._get_current_object(), context.g)
                self.assertIs(g._get_current_object(), inner.g)
            self.assertEqual(self.calls, ["teardown"])


class TestConfigRestored(unittest.TestCase):
    def test_put_back(self) -> None:
        """Keys, values and what is in containers are put back; the containers stay the same."""
        app = Flask(__name__)
        config, names, limits = app.config, {"a"}, {"deep": [1]}
        app.config.update(NAMES=names, LIMITS=limits, GONE=1)
        limits["self"] = limits  # a container that holds itself
        with self.assertRaises(ZeroDivisionError), config_restored(app):
            app.config["NEW"] = 1
            app.testing = True
            del app.config["GONE"]
            names.add("b")
            limits["deep"].append(2)  # type: ignore[union-attr]
            limits["new"] = []
            app.config["LIMITS"] = None
            app.config = flask.Config("/")
            raise ZeroDivisionError
        self.assertIs(app.config, config)
        self.assertNotIn("NEW", config)
        self.assertFalse(app.testing)
        self.assertEqual((config["GONE"], names, limits["deep"]), (1, {"a"}, [1]))
        self.assertIs(config["LIMITS"], limits)
        self.assertEqual(set(limits), {"deep", "self"})


class TestExpireGently(unittest.TestCase):
    def setUp(self) -> None:
        self.engine = sa.create_engine("sqlite://")
        self.addCleanup(self.engine.dispose)
        Base.metadata.create_all(self.engine)
        self.session = self.enterContext(Session(self.engine))
        self.user, self.seat = User(name="alice"), Seat(row=1, letter="b")
        self.session.add_all([self.user, self.seat])
        self.session.commit()
        _ = self.user.name, self.seat.taken
        self.statements: list[str] = []
        sa.event.listen(
            self.engine, "before_cursor_execute", lambda *args: self.statements.append(args[2])
        )

    def elsewhere(self, statement: Any) -> None:
        self.session.connection().execute(statement)
        self.statements.clear()

    def test_reads_anew(self) -> None:
        """All but the primary key is read from the database again."""
        self.elsewhere(sa.update(User.__table__).values(name="bob"))
        expire_gently(self.session)
        self.assertEqual(self.statements, [])
        self.assertEqual(self.user.key, 1)
        self.assertEqual((self.seat.row, self.seat.letter), (1, "b"))
        self.assertEqual(self.statements, [])
        self.assertEqual(self.user.name, "bob")
        self.assertEqual(len(self.statements), 1)

    def test_deleted_row(self) -> None:
        """The key of a deleted row is readable, get() gives None, its columns raise."""
        self.elsewhere(sa.delete(User.__table__))
        expire_gently(self.session)
        self.assertIsNone(self.session.get(User, self.user.key))

        self.elsewhere(sa.delete(Seat.__table__))
        expire_gently(self.session)
        with self.assertRaises(orm.exc.ObjectDeletedError):
            _ = self.seat.taken

    def test_unflushed_changes(self) -> None:
        """A session that holds unflushed changes is left alone."""
        for change in (
            lambda: setattr(self.user, "name", "changed"),
            lambda: self.session.add(User(name="new")),
            lambda: self.session.delete(self.seat),
        ):
            change()
            expire_gently(self.session)
            self.assertIn("taken", vars(self.seat))
            self.session.rollback()
            _ = self.seat.taken

    def test_already_expired(self) -> None:
        """What was expired by a commit stays as it is."""
        self.session.commit()
        expire_gently(self.session)
        self.assertEqual((self.user.key, self.user.name), (1, "alice"))

    def test_state_of_sqlalchemy(self) -> None:
        """An object is expired for SQLAlchemy, but for its key: fails when its internals change."""
        expire_gently(self.session)
        state: Any = sa.inspect(self.user)
        self.assertTrue(state.expired)
        self.assertEqual(state.expired_attributes, {"name"})
        self.assertEqual(set(state.dict) - {"_sa_instance_state"}, {"key"})
        self.assertEqual(state.unloaded, {"name"})
        self.assertNotIn(self.user, self.session.dirty)
        self.assertIs(self.session.scalars(sa.select(User)).one(), self.user)
        self.assertEqual(vars(self.user)["name"], "alice")  # the query filled it

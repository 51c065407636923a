"""The classes that users subclass: mixins put together."""

from __future__ import annotations

import functools
import inspect
import unittest
from collections.abc import Callable
from typing import Any, TypeVar

from .mixins import EngineMixin, FlaskMixin, SandboxMixin
from .mixins.migrationtests import MigrationTestsMixin
from .mixins.state import declaring
from .settings import choose

__all__ = ["DatabaseTestCase", "MigrationTestCase", "requires"]

__unittest = True  # its frames are left out of tracebacks


class DatabaseTestCase(SandboxMixin, FlaskMixin, EngineMixin, unittest.TestCase):
    """Tests with a database, each of which is undone.

    The app and the engines are made once per class. Each test runs on one real connection, in a
    transaction that is never committed, whatever the tested code commits; ``dispose()`` is called
    for every engine at the class's end.

    .. code-block:: python

        class SignupTest(DatabaseTestCase):
            @classmethod
            def create_app(cls):
                return create_app({"SQLALCHEMY_DATABASE_URI": cls.database_url})

            @classmethod
            def setUpTestData(cls):
                cls.alice = User(name="alice")
                db.session.add(cls.alice)
                db.session.commit()

            def test_signup(self):
                self.client.post("/signup", data={"name": "bob"})
                self.assertEqual(db.session.query(User).count(), 2)

    Hooks to override, all class methods: ``create_app``, ``create_engine``, ``setUpTestData``.
    Attributes to set: ``database``, ``schema``, ``app_scope``, ``let_through``, ``isolation``,
    ``push_app_context``, ``reset_sequences``; each is explained at the mixin that has it.
    Given to the tests: ``database_url``, ``database_urls``, ``app``, ``client``, ``engine``,
    ``engines``, ``session``.
    """


class MigrationTestCase(MigrationTestsMixin, FlaskMixin, EngineMixin, unittest.TestCase):
    """Tests of the migrations themselves, which a subclass inherits by saying where they are.

    .. code-block:: python

        class MigrationsTest(MigrationTestCase):
            migrations = "migrations"

            @classmethod
            def create_app(cls):
                return create_app({"SQLALCHEMY_DATABASE_URI": cls.database_url})

            def before_3f2a(self, connection):
                connection.execute(text("INSERT INTO person (name) VALUES ('Ada Lovelace')"))

            def after_3f2a(self, connection):
                self.assertEqual(connection.scalar(text("SELECT surname FROM person")), "Lovelace")

    ``test_single_head``
        There is one head.
    ``test_no_stray_files``
        No revision file lies where Alembic does not look for it.
    ``test_base_to_head``
        An empty database can be upgraded.
    ``test_each_revision``
        Each revision goes up, down and up again, and what its downgrade leaves, or does not bring
        back, is named. Each step is a subtest. ``before_REVISION(connection)`` is called before
        the first of them, to put rows in, and ``after_REVISION(connection)`` after it, to check
        them; what is no letter or digit in a revision id is ``_`` there.
    ``test_downgrade_leaves_nothing``
        After the way from base to the heads and back the database is empty.
    ``test_models_match``
        The models describe what the migrations make, with the options that ``env.py`` gives.

    A test of these that is set to ``None``, such as ``test_models_match = None``, is left out.
    Each test has an empty database of its own, in which it really commits; that wants databases
    that the library makes, so no URL with the name of one. ``create_app`` is needed where
    ``env.py`` asks for the app, as the one of Flask-Migrate does.

    Attributes to set: ``migrations``, ``metadata``, ``database``, ``let_through``.
    """


_KINDS = ("postgresql", "sqlite")
_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])


def requires(*kinds: str) -> Callable[[_Decorated], _Decorated]:
    """Skip a test, or all tests of a class, on other kinds of database.

    .. code-block:: python

        class SearchTest(DatabaseTestCase):
            @requires("postgresql")
            def test_full_text(self): ...

    :param kinds: kinds of database as SQLAlchemy names its dialects: ``"postgresql"``,
        ``"sqlite"``.
    :returns: a decorator for a test method, a function or a test class. Outside our classes, as
        in a pytest function, the database is the one that the settings choose.
    :raises ValueError: without any kind, or for one that no test can run on.
    :raises TypeError: on a class that is no ``TestCase``.
    """
    unknown = [kind for kind in kinds if kind not in _KINDS]
    if unknown or not kinds:
        given = repr(unknown[0]) if unknown else "none"
        raise ValueError(
            f"requires() was given {given}, and needs one or more of "
            f"{', '.join(map(repr, _KINDS))}: a test that needs another kind would always be "
            f'skipped. Write @requires("postgresql"), for example.'
        )

    def check(asked: Any) -> None:
        cls = asked if isinstance(asked, type) else type(asked)
        declared: Any = cls.database if issubclass(cls, EngineMixin) else None
        setting = choose(declared, declared_by=declaring(cls, "database"))
        kind = setting.url.get_backend_name()
        if kind not in kinds:
            raise unittest.SkipTest(
                f"needs {' or '.join(kinds)}, and the database is {kind} ({setting.origin})"
            )

    def decorate(decorated: _Decorated) -> _Decorated:
        if isinstance(decorated, type):
            if not issubclass(decorated, unittest.TestCase):
                raise TypeError(
                    f"requires() on {decorated.__name__}, which is no TestCase: nothing would "
                    f"call its setUpClass. Decorate its test functions."
                )
            set_up_class = decorated.__dict__.get("setUpClass")

            def setUpClass(cls: Any) -> None:
                check(cls)
                if set_up_class is not None:
                    set_up_class.__get__(None, cls)()
                else:
                    super(decorated, cls).setUpClass()  # type: ignore[arg-type]

            type.__setattr__(decorated, "setUpClass", classmethod(setUpClass))
            return decorated

        if inspect.iscoroutinefunction(decorated):

            @functools.wraps(decorated)
            async def async_wrapper(*args: Any, **kwargs: Any) -> Any:
                check(args[0] if args else None)
                return await decorated(*args, **kwargs)

            return async_wrapper  # type: ignore[return-value]

        @functools.wraps(decorated)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            check(args[0] if args else None)
            return decorated(*args, **kwargs)

        return wrapper  # type: ignore[return-value]

    return decorate

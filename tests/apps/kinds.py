"""How a test class is made for each kind of app, and how a test reaches the app's own parts.

Each class here is mixed in left of a test case that gives ``database_url``, ``database_urls`` and
``app``, and that says in ``import_url`` what an app finds in its environment while it is imported.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import ModuleType
from typing import Any, ClassVar

import flask
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.orm import Session

from dbtestcase import MetadataSchema

from . import (
    alchemical_factory,
    flask_sqlalchemy_factory,
    flask_sqlalchemy_lite,
    load,
    plain,
)


class Kind:
    """What the tests need to know of an app, whatever it is made with."""

    shop: ClassVar[Any]
    """The module of the app."""
    import_url: ClassVar[str]
    database_url: ClassVar[str]
    database_urls: ClassVar[Any]
    app: Any
    has_requests = True
    has_binds = False

    def engine_of(self, bind_key: str | None = None) -> Engine:
        """Return the engine that the app itself uses for one of its databases."""
        raise NotImplementedError

    @contextmanager
    def open_session(self) -> Iterator[Any]:
        """Give a session as the app's own code comes by one."""
        raise NotImplementedError
        yield

    @contextmanager
    def app_context(self) -> Iterator[None]:
        """Make sure that a Flask app context is there, without a second one."""
        with nullcontext() if flask.has_app_context() else self.app.app_context():
            yield


class FlaskSQLAlchemyFactory(Kind):
    shop = flask_sqlalchemy_factory
    has_binds = True

    @classmethod
    def create_app(cls) -> flask.Flask:
        return flask_sqlalchemy_factory.create_app(
            {
                "SQLALCHEMY_DATABASE_URI": cls.database_url,
                "SQLALCHEMY_BINDS": {"audit": cls.database_urls["audit"]},
            }
        )

    def engine_of(self, bind_key: str | None = None) -> Engine:
        with self.app_context():
            return self.shop.db.engines[bind_key]

    @contextmanager
    def open_session(self) -> Iterator[Any]:
        with self.app_context():
            yield self.shop.db.session


class FlaskSQLAlchemyLite(Kind):
    shop = flask_sqlalchemy_lite
    has_binds = True
    schema = {
        None: MetadataSchema(flask_sqlalchemy_lite.Base.metadata),
        "audit": MetadataSchema(flask_sqlalchemy_lite.AuditBase.metadata),
    }

    @classmethod
    def create_app(cls) -> flask.Flask:
        return flask_sqlalchemy_lite.create_app(
            {
                "SQLALCHEMY_ENGINES": {
                    "default": cls.database_url,
                    "audit": cls.database_urls["audit"],
                }
            }
        )

    def engine_of(self, bind_key: str | None = None) -> Engine:
        with self.app_context():
            return self.shop.db.get_engine(bind_key or "default")

    @contextmanager
    def open_session(self) -> Iterator[Any]:
        with self.app_context():
            yield self.shop.db.session


class AlchemicalFactory(Kind):
    shop = alchemical_factory
    has_binds = True
    schema = {
        key: MetadataSchema(metadata) for key, metadata in alchemical_factory.db.metadatas.items()
    }

    @classmethod
    def create_app(cls) -> flask.Flask:
        return alchemical_factory.create_app(
            {
                "ALCHEMICAL_DATABASE_URL": cls.database_url,
                "ALCHEMICAL_BINDS": {"audit": cls.database_urls["audit"]},
            }
        )

    def engine_of(self, bind_key: str | None = None) -> Engine:
        return self.shop.db.get_engine(bind_key)

    @contextmanager
    def open_session(self) -> Iterator[Any]:
        with self.app_context():
            yield self.shop.db.session


class ReadsItsURLAtImport(Kind):
    """A kind whose module is imported anew for each URL that it is to find."""

    module_name: ClassVar[str]

    @classmethod
    def setUpClass(cls) -> None:
        cls.shop = load(cls.module_name, cls.import_url)
        super().setUpClass()  # type: ignore[misc]


class SessionmakerAtImport(ReadsItsURLAtImport):
    module_name = "sessionmaker_at_import"

    @classmethod
    def setUpClass(cls) -> None:
        cls.schema = MetadataSchema(load(cls.module_name, cls.import_url).Base.metadata)
        super().setUpClass()

    @classmethod
    def create_engine(cls) -> Engine:
        return cls.shop.engine

    @classmethod
    def create_app(cls) -> flask.Flask:
        return cls.shop.create_app()

    def engine_of(self, bind_key: str | None = None) -> Engine:
        return self.shop.engine

    @contextmanager
    def open_session(self) -> Iterator[Any]:
        with self.shop.Session() as session:
            yield session


class ScopedSessionAtImport(SessionmakerAtImport):
    module_name = "scoped_session_at_import"

    @contextmanager
    def open_session(self) -> Iterator[Any]:
        yield self.shop.db_session


class ModuleLevelApp(ReadsItsURLAtImport):
    module_name = "module_level_app"

    @classmethod
    def create_app(cls) -> flask.Flask:
        return cls.shop.app

    def engine_of(self, bind_key: str | None = None) -> Engine:
        with self.app_context():
            return self.shop.db.engine

    @contextmanager
    def open_session(self) -> Iterator[Any]:
        with self.app_context():
            yield self.shop.db.session


class Plain(Kind):
    shop: ClassVar[ModuleType] = plain
    schema = MetadataSchema(plain.Base.metadata)
    has_requests = False
    program: ClassVar[plain.Shop]

    @classmethod
    def create_engine(cls) -> Engine:
        cls.program = plain.Shop(create_engine(cls.database_url))
        return cls.program.engine

    def engine_of(self, bind_key: str | None = None) -> Engine:
        return self.program.engine

    @contextmanager
    def open_session(self) -> Iterator[Session]:
        with self.program.open_session() as session:
            yield session


class PlainWithForeignKeys(Plain):
    """A program that makes SQLite check foreign keys, on each of its connections."""

    @classmethod
    def create_engine(cls) -> Engine:
        engine = super().create_engine()

        @event.listens_for(engine, "connect")
        def check_foreign_keys(connection: Any, record: Any) -> None:
            connection.execute("PRAGMA foreign_keys = ON")

        return engine

"""Every style of application code on psycopg 3; see :mod:`tests.test_styles`."""

from __future__ import annotations

import contextlib
import unittest
from collections.abc import Iterator

from sqlalchemy import make_url

from dbtestcase import DatabaseTestCase

from . import test_styles
from .apps import kinds, styles
from .test_styles import Everywhere, WithBinds, WithRequests

DRIVER = "postgresql+psycopg"


class RealPsycopg(test_styles.RealPostgreSQL):
    @classmethod
    @contextlib.contextmanager
    def scratch_databases(cls) -> Iterator[dict[str | None, str]]:
        with super().scratch_databases() as urls:
            yield {
                key: make_url(url).set(drivername=DRIVER).render_as_string(hide_password=False)
                for key, url in urls.items()
            }


class OnPsycopg(styles.PsycopgStyles, test_styles.OnPostgreSQL):
    """The embedded server by psycopg 3; what the app finds at its import leads into nowhere."""

    database = DRIVER
    import_url = f"{DRIVER}://shop:secret@db.shop.example/shop"


class TestFactoryOnRealPsycopg(
    RealPsycopg,
    kinds.FlaskSQLAlchemyFactory,
    styles.WithAlice,
    styles.PsycopgStyles,
    WithBinds,
    unittest.TestCase,
):
    """What is right for a Flask-SQLAlchemy app on psycopg 3."""


class TestFactory(
    OnPsycopg, kinds.FlaskSQLAlchemyFactory, styles.WithAlice, WithBinds, DatabaseTestCase
):
    """A Flask-SQLAlchemy app from a factory."""


class TestLiteWithoutData(OnPsycopg, kinds.FlaskSQLAlchemyLite, WithBinds, DatabaseTestCase):
    """A Flask-SQLAlchemy-Lite app, in a class without data."""


class TestAlchemical(
    OnPsycopg, kinds.AlchemicalFactory, styles.WithAlice, WithBinds, DatabaseTestCase
):
    """An Alchemical app."""


class TestSessionmaker(
    OnPsycopg, kinds.SessionmakerAtImport, styles.WithAlice, WithRequests, DatabaseTestCase
):
    """A Flask app with a sessionmaker over an engine made at import."""


class TestScopedSession(
    OnPsycopg, kinds.ScopedSessionAtImport, styles.WithAlice, WithRequests, DatabaseTestCase
):
    """A Flask app with a scoped_session over an engine made at import."""


class TestModuleLevelApp(OnPsycopg, kinds.ModuleLevelApp, WithRequests, DatabaseTestCase):
    """A module-level Flask-SQLAlchemy app, in a class without data."""


class TestPlain(OnPsycopg, kinds.Plain, styles.WithAlice, Everywhere, DatabaseTestCase):
    """A program without Flask."""

"""The tests of before.py on ``DatabaseTestCase``: one connection, however many tests."""

import contextlib
import os
from unittest import mock

from dbtestcase import DatabaseTestCase

from .app import create_app
from .before import classes
from .limited import Peak, limited_database, server_url

undo = contextlib.ExitStack()


def setUpModule():
    with contextlib.ExitStack() as stack:
        server = server_url()
        url = stack.enter_context(limited_database(server))
        # as a CI job would name its database: the variable goes before all other settings
        named = {"DBTESTCASE_DATABASE": url.render_as_string(hide_password=False)}
        stack.enter_context(mock.patch.dict(os.environ, named))
        peak = stack.enter_context(Peak(server, url.database))
        stack.callback(check, peak)
        undo.push(stack.pop_all())


def tearDownModule():
    undo.close()


def check(peak):
    assert peak.samples, "nobody looked"
    assert peak.peak == 1, f"the tests took {peak.peak} connections to {peak.database} at once"


class After(DatabaseTestCase):
    @classmethod
    def create_app(cls):
        return create_app({"SQLALCHEMY_DATABASE_URI": cls.database_url})


globals().update(classes(After))

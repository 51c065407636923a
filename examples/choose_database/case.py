"""The base class of the library's tests: what is in the database, and not which one it is."""

from sqlalchemy import Engine

from dbtestcase import DatabaseTestCase, MetadataSchema

from . import books, readers  # noqa: F401 - so that the metadata knows their tables
from .base import Base

#: each engine that a test was given, to show how many there are
engines: set[Engine] = set()


class LibraryTestCase(DatabaseTestCase):
    schema = MetadataSchema(Base.metadata)

    def setUp(self):
        engines.add(self.engine)

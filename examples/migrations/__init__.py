"""Schema evolutions: applied before the tests, undone after them, and tested themselves.

A practice keeps its patients and their visits. Its database has evolved over five revisions of
Flask-Migrate, one of which moves data; ``migrations/`` is as ``flask db init`` made it, with its
``env.py`` unchanged.

.. code-block:: text

    test_app          the app's tests on the database that the migrations make: AlembicSchema
    test_evolutions   up before a class and down after it: MigrationMixin; around a part of a
                      test: migrated()
    test_migrations   each revision up, down and up again, with rows: MigrationTestCase

Run them on PostgreSQL, and on SQLite in memory::

    python -m unittest discover -s examples/migrations -t .
    DBTESTCASE_DATABASE=sqlite python -m unittest discover -s examples/migrations -t .
"""

from pathlib import Path

#: Where the revisions are, wherever the tests are started.
MIGRATIONS = Path(__file__).parent / "migrations"

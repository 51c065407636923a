"""``FATAL: remaining connection slots are reserved``, and the same tests without it.

A suite with Flask, SQLAlchemy and PostgreSQL goes well for about a hundred tests. Then each test
fails in its ``setUp``::

    sqlalchemy.exc.OperationalError: (psycopg2.OperationalError)
    FATAL:  remaining connection slots are reserved for non-replication superuser connections

Every ``setUp`` makes an app. The app makes an engine, the engine a pool, and the pool keeps its
connection after the test. Nobody calls ``engine.dispose()``, so the suite holds one connection
for each test that it ran.

Here the server's limit is met sooner: `limited.py` makes a database that takes 15 connections.
The 200 tests in 20 classes are written once, in `before.py`.

The old way, which ends in PostgreSQL's error at the 16th test::

    python -m examples.connection_slots.before

The same tests on ``DatabaseTestCase``, which pass, and fail where they have more than one
connection at any time::

    python -m unittest examples.connection_slots.test_after

Both use the server that ``DBTESTCASE_DATABASE`` names, by default the embedded one, and drop
what they made there.
"""

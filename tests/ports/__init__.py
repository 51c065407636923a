"""A suite as people write it, its port to this library, and both on an app with planted bugs.

``blog/``
    The app: users, roles, posts, comments, tags, an API with tokens, uploads, mail sent in
    threads, commands, a search in raw SQL.
``suite/``
    Its tests, with ``create_all`` and ``drop_all`` around each, in ``suite/base.py``.
``bases/``
    What else ``suite/base.py`` may be; nothing else of the suite is ever changed. ``port`` is
    the port to :class:`dbtestcase.DatabaseTestCase`. ``production`` is the original, with each
    request in a thread of its own, as on a server: the judge. ``recipe`` binds all sessions to
    one connection, as SQLAlchemy's documentation shows.
``bugs.py``
    Twelve bugs that can be planted in the app.
``copies.py``
    Copies of the whole with another base or with bugs, run in this process.
``figures.py``
    Which messages the port sends, and how long it takes.

``python -m tests.ports`` prints what becomes of each bug under each base, and the figures;
``tests/test_ports.py`` holds them.
"""

"""Alembic's migrations: as a schema, around a part of a test, and tested themselves.

.. code-block:: text

    schema      AlembicSchema: a database built by upgrade, once
    around      migrated(): up before a part of a test, and down after it
    directory   where the files are, and the sum of them
    revisions   the revision files as a whole
    running     env.py, run on one database, and what may go wrong in it
    progress    one such run, and how far it has come
    reasons     what an error says
    logs        the program's logging, kept from env.py
    objects     what a database holds, to tell what a migration leaves behind
    models      the differences between models and database, in words
    messages    what the user is told
    private     what is taken from Alembic
"""

from .around import migrated
from .schema import AlembicSchema

__all__ = ["AlembicSchema", "migrated"]

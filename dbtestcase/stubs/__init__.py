"""Scripted DB-API connections: tests of code that talks to a database, with no database.

.. code-block:: text

    targets      what a dotted path means
    places       everything that holds the function that connects; put in and put back
    connecting   what takes its place, and is asked about it as a Mock is
    stub         the stub itself: script, history, connections
      expectations, answers, statements    what is answered to which statement
      history, asserting                   what was executed, and assertions on it
    connections, cursors                   what all styles share
      styles/                              how each driver's behave
    backing, recording, engines            real databases behind it; SQLAlchemy before it

No database, no server and no setting is needed for any of it.
"""

from .stub import ConnectionStub, stub_connection

__all__ = ["ConnectionStub", "stub_connection"]

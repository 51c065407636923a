"""A row was created, and is not there when it is fetched: in-memory databases that last.

An in-memory database dies with its last connection, and each connection may get one of its own.
So what one function stores, the next one does not find::

    sqlite3.OperationalError: no such table: price

The usual way out is a listener that runs the seed script on every new connection. Then the table
is there, but the row that was just stored is not, and the script runs again and again.
`test_before.py` shows both.

On ``DatabaseTestCase`` an in-memory database lives as long as the class, whoever connects to it
and whoever disposes of the engine, and the seed script runs once. `test_prices.py` shows it::

    python -m unittest discover -s examples/in_memory -t .
"""

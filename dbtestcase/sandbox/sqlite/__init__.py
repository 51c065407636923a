"""The sandbox on SQLite, with Python's own driver.

``sandbox`` runs the statements and lives through a class's tests. What a statement is says its
text (``statements``), and SQLite itself says which tables it touches (``tables``). One connection
must do for all: ``locks`` knows when SQLite would have locked another out, ``foreign_keys`` checks
what it checks at COMMIT, ``pragmas`` and ``callbacks`` compare what belongs to each connection.
``connections`` and ``cursors`` are what the program sees.
"""

from .sandbox import SQLiteSandbox

__all__ = ["SQLiteSandbox"]

"""The sandbox on PostgreSQL, whatever the driver.

``sandbox`` runs the statements and lives through a class's tests; what belongs to a session and
is shared by all virtual connections has a module each: ``settings``, ``advisory``, ``temporary``,
``cursors`` and ``constraints``.
"""

from .sandbox import PostgreSQLSandbox
from .wire import PostgreSQLWire

__all__ = ["PostgreSQLSandbox", "PostgreSQLWire"]

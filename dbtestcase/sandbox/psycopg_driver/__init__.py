"""Virtual connections for psycopg 3.

A virtual connection is a ``psycopg.Connection`` of its own, made on the libpq connection of the
real one. So it has adapters, factories and notice handlers of its own, and whatever wants a
connection of the driver's takes it: ``TypeInfo.fetch()``, ``sql.Composable.as_string()``,
``psycopg.ClientCursor(connection)``.

psycopg decides what to send by what libpq says of the transaction, and sends all of its own by
one method. Both are answered here: the driver's code is told what the server would say, had each
connection one (``pgconn``), and its BEGIN, SAVEPOINT and COMMIT are played (``connections``).
What a program sends goes through cursors that ask the sandbox first (``cursors``, ``copying``).
"""

import psycopg

if tuple(map(int, psycopg.__version__.split(".")[:2])) < (3, 3):
    raise ImportError(f"psycopg {psycopg.__version__} is too old, 3.3 is needed")

from .connections import VirtualConnection
from .sandbox import PsycopgSandbox

__all__ = ["PsycopgSandbox", "VirtualConnection"]

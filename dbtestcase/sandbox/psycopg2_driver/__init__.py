"""Virtual connections for psycopg2.

Three classes play together:

* the *real* connection is an instance of a subclass of the driver's own class, so that the
  driver's C functions and ``connect`` listeners take it; it ends nothing (``real``);
* a *virtual* connection is what SQLAlchemy's pool keeps, one for each checkout
  (``connections``);
* its *cursors* are real ones, of a subclass of what was asked for, that ask the sandbox first
  (``cursors``).

psycopg2 believes to be in a transaction from the first statement until ``commit()`` or
``rollback()`` of its own, whatever a textual COMMIT does meanwhile; so does a virtual connection.
"""

from .connections import VirtualConnection
from .sandbox import Psycopg2Sandbox

__all__ = ["Psycopg2Sandbox", "VirtualConnection"]

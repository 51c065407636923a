"""The styles in which application code uses a database, each as a test of its author's.

A test does what application code does and asserts what its author would assert right after it,
which is what real connections give: the same tests are run with real commits and in a sandbox.
"""

from .base import Styles, WithAlice
from .connections import AutocommitStyles, CoreStyles, SeveralConnectionsStyles
from .postgresql import PostgreSQLStyles
from .psycopg import PsycopgStyles
from .sessions import BindStyles, ORMStyles, RequestStyles
from .statements import DeferredStyles, SchemaStyles, SQLiteStyles, TextualStyles

__all__ = [
    "AutocommitStyles",
    "BindStyles",
    "CoreStyles",
    "DeferredStyles",
    "ORMStyles",
    "PostgreSQLStyles",
    "PsycopgStyles",
    "RequestStyles",
    "SQLiteStyles",
    "SchemaStyles",
    "SeveralConnectionsStyles",
    "Styles",
    "TextualStyles",
    "WithAlice",
]

"""Engines of SQLAlchemy whose connections are a stub's.

An engine asks a new connection for its server's version and settings before anything else. One
of these does not ask: its dialect is the real one, with what it would have been told.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import sqlalchemy.dialects
from sqlalchemy import URL, NullPool, create_engine
from sqlalchemy.engine import Dialect, Engine
from sqlalchemy.exc import NoSuchModuleError

from ..errors import StubError
from . import pep249
from .styles import find_style

if TYPE_CHECKING:
    from .stub import ConnectionStub

__all__ = ["make_engine"]

#: The style of each dialect whose driver has one; the driver is named as none is asked for.
_STYLES = {
    "postgresql": ("psycopg2", "postgresql+psycopg2"),
    "sqlite": ("sqlite3", "sqlite+pysqlite"),
    "snowflake": ("snowflake", "snowflake"),
}

#: What a server would have told, by the names that dialects keep it under.
_TOLD: dict[str, dict[str, Any]] = {
    "postgresql": {"server_version_info": (16, 0), "default_schema_name": "public"},
    "sqlite": {"default_schema_name": "main"},
}


def make_engine(stub: ConnectionStub, dialect: str, options: Mapping[str, Any]) -> Engine:
    """Make an engine on a stub.

    :param dialect: ``"postgresql"``, for example.
    :param options: for ``create_engine()``.
    :raises StubError: SQLAlchemy has no such dialect.
    """
    if not isinstance(dialect, str):
        raise StubError(
            f"engine() was given {dialect!r:.80}, which is no name of a dialect. Write "
            f'stub.engine("postgresql"), for example.'
        )
    given = dialect.partition(":")[0]
    name, _, driver = given.partition("+")
    style_name, drivername = _STYLES.get(name, ("pep249", given))
    if driver and given != drivername:
        raise StubError(
            f'there is no engine on a stub for "{given}", as connections of {driver} are not '
            f'played. Write stub.engine("{name}"), which has the same SQL.'
        )
    try:
        real = URL.create(drivername).get_dialect()
    except NoSuchModuleError:
        raise StubError(_no_dialect(dialect)) from None
    style = find_style(style_name)
    module = _module_of(real, style_name)
    made = type(
        real.__name__,
        (_Untold, real),
        # SQLAlchemy asks each class itself, and not its bases, for these two
        {
            "import_dbapi": classmethod(lambda dialect: module),
            "supports_statement_cache": True,
        },
    )
    registered = f"{name}.dbtestcase_{id(stub)}"
    sqlalchemy.dialects.registry.impls[registered] = lambda: made
    try:
        return create_engine(
            URL.create(registered.replace(".", "+")),
            **{
                "creator": lambda: stub.connected((), {"database": ":memory:"}, style),
                "poolclass": NullPool,
                **options,
            },
        )
    finally:
        del sqlalchemy.dialects.registry.impls[registered]


class _Untold:
    """A dialect that asks its server nothing."""

    name: str

    def on_connect(self) -> None:
        """Register nothing with new connections: no value comes from a wire."""

    def on_connect_url(self, url: URL) -> None:
        """Register nothing with new connections."""

    def initialize(self, connection: Any) -> None:
        """Know what the server would have told."""
        for name, value in _TOLD.get(self.name, {}).items():
            setattr(self, name, value)


def _module_of(real: type[Dialect], style: str) -> Any:
    if style == "pep249":
        return pep249
    try:
        return real.import_dbapi()
    except ImportError:
        return pep249


def _no_dialect(dialect: str) -> str:
    known = sorted({name.partition(".")[0] for name in sqlalchemy.dialects.__all__})
    near = difflib.get_close_matches(dialect, known, n=1)
    hint = f'Did you mean "{near[0]}"?' if near else f"SQLAlchemy brings {', '.join(known)}."
    if dialect.startswith("snowflake"):
        hint = "Install the package snowflake-sqlalchemy, which brings it."
    return f'SQLAlchemy has no dialect "{dialect}" here, so there can be no engine for it. {hint}'

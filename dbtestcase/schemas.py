"""What fills an empty database: the tables of a metadata, or files of SQL.

A schema knows a *fingerprint*, so that a database which already holds it is recognised and not
built anew, and how to *build* itself. Any object with these two methods is a schema.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import inspect
import os
import re
import sqlite3
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateIndex, CreateTable, ExecutableDDLElement

from .errors import SchemaError

__all__ = ["MetadataSchema", "SQLSchema", "Schema", "digest"]

#: Options of a statement that goes to the driver as it stands: no ``%`` and no ``:name`` in it
#: is taken for a parameter.
AS_IT_STANDS = {"no_parameters": True}


@runtime_checkable
class Schema(Protocol):
    """What a database can be filled with.

    Two attributes may be there besides. ``lineage``, a text: of templates that have it in common
    only the latest is kept. ``in_place``, true where the schema is to be built in the database
    itself each time, instead of being copied from a template.
    """

    def fingerprint(self, server_version: str) -> str:
        """Sum up all that :meth:`build` will do.

        :param server_version: the kind of database and its version, such as ``postgresql 18.1``.
        :returns: 16 hexadecimal digits, the same in every process.
        :raises SchemaError: it cannot be told.
        """

    def build(self, connection: sa.Connection) -> None:
        """Fill the empty database of *connection*, which is in a transaction.

        :raises SchemaError: the schema itself is at fault. Errors of the database pass as they
            are; the caller names the schema with them.
        """


class MetadataSchema:
    """The tables of a :class:`~sqlalchemy.MetaData`, with all that its DDL listeners add.

    >>> import sqlalchemy as sa
    >>> schema = MetadataSchema(sa.MetaData())

    A listener that is a Python function is not called for the fingerprint, as it may do
    anything; its source code counts instead. One that reads a file of data is therefore not
    seen to have changed when only the file did: use :class:`SQLSchema` for such a file.

    :param metadata: where the tables are. Models that are imported later belong to it, too.
    :raises SchemaError: it is something else, such as the ``db`` of Flask-SQLAlchemy.
    """

    def __init__(self, metadata: sa.MetaData) -> None:
        if not isinstance(metadata, sa.MetaData):
            raise SchemaError(_no_metadata(metadata))
        self.metadata = metadata

    def __repr__(self) -> str:
        return f"MetadataSchema of {len(self.metadata.tables)} tables"

    def fingerprint(self, server_version: str) -> str:
        """See :meth:`Schema.fingerprint`."""
        # Compiling 100 tables takes 30 ms, and every test class asks.
        known = _fingerprints.setdefault(self.metadata, {})
        extent = _extent(self.metadata)
        if known.get(server_version, ("",))[0] != extent:
            backend = server_version.partition(" ")[0]
            found = digest("metadata", server_version, *_all_ddl(self.metadata, backend))
            known[server_version] = extent, found
        return known[server_version][1]

    def build(self, connection: sa.Connection) -> None:
        """See :meth:`Schema.build`. Schemas that the tables name are created as well."""
        if connection.dialect.name == "postgresql":
            names = {table.schema for table in self.metadata.tables.values() if table.schema}
            for name in sorted(names):
                # Not IF NOT EXISTS, for which a role needs the right to create it all the same.
                if not sa.inspect(connection).has_schema(name):
                    connection.execute(sa.schema.CreateSchema(name))
        self.metadata.create_all(connection)


class SQLSchema:
    """Files of SQL statements, run in their order.

    >>> schema = SQLSchema("schema.sql", "countries.sql")

    The statements go to the server as they stand. Commands of ``psql`` (``\\connect``,
    ``COPY ... FROM stdin`` with its data) are not SQL: dump with ``pg_dump --inserts``.

    :param files: paths, relative to the working directory.
    """

    def __init__(self, *files: str | os.PathLike[str]) -> None:
        self.files = tuple(Path(file) for file in files)

    def __repr__(self) -> str:
        return f"SQLSchema of {', '.join(str(file) for file in self.files) or 'no files'}"

    def fingerprint(self, server_version: str) -> str:
        """See :meth:`Schema.fingerprint`."""
        return digest("sql", server_version, *(self._read(file) for file in self.files))

    def build(self, connection: sa.Connection) -> None:
        """See :meth:`Schema.build`."""
        for file in self.files:
            text = self._read(file)
            if connection.dialect.name == "sqlite":
                self._run_each(connection, file, text)
            else:
                self._run_whole(connection, file, text)

    def _read(self, file: Path) -> str:
        try:
            # A byte order mark, as some editors leave it, is a syntax error to the server.
            return file.read_text(encoding="utf-8-sig")
        except OSError as error:
            raise SchemaError(
                f"cannot read {file} of {self!r}: {error.strerror}. Relative paths start at the "
                f"working directory, {Path.cwd()}."
            ) from error
        except UnicodeDecodeError as error:
            raise SchemaError(
                f"cannot read {file} of {self!r}: it is not in UTF-8 ({error.reason} at byte "
                f"{error.start}). Save it in UTF-8."
            ) from error

    def _run_whole(self, connection: sa.Connection, file: Path, text: str) -> None:
        # pg_dump writes these two since 2025; they concern psql alone.
        text = re.sub(r"^\\(un)?restrict \w+\s*$", "", text, flags=re.MULTILINE)
        if not _without_comments(text).strip():
            return  # psycopg2 refuses an empty query
        try:
            connection.exec_driver_sql(text, execution_options=AS_IT_STANDS)
        except DBAPIError as error:
            # Only now, when the server has refused the text: a line like these may as well stand
            # inside a string, where there is nothing wrong with it.
            command = re.search(r"^(\\\S+|COPY\s[^;]*\sFROM\s+stdin\b)", text, re.M | re.I)
            if command is not None:
                line = text.count("\n", 0, command.start()) + 1
                raise SchemaError(
                    f'"{" ".join(command[0].split())}" in line {line} of {file} is for psql, '
                    "and no SQL that the server knows. Remove it, or dump with "
                    "pg_dump --inserts."
                ) from error
            raise SchemaError(_failed(error, f"{file}{_line(error, text)}")) from error

    def _run_each(self, connection: sa.Connection, file: Path, text: str) -> None:
        for line, statement in split_sqlite(text):
            words = re.sub(r"[\s;]+", " ", _without_comments(statement)).upper().strip()
            # The dumps of the sqlite3 shell have these; here the transaction is begun already.
            if words in ("", "BEGIN", "BEGIN TRANSACTION", "COMMIT", "END", "END TRANSACTION"):
                continue
            try:
                connection.exec_driver_sql(statement, execution_options=AS_IT_STANDS)
            except DBAPIError as error:
                raise SchemaError(_failed(error, f"{file}, line {line}")) from error


def digest(*parts: str) -> str:
    """Sum up texts as 16 hexadecimal digits; the version of this library is one of them."""
    total = hashlib.sha256(_own_version().encode())
    for part in parts:
        # The length keeps ("ab", "c") apart from ("a", "bc").
        total.update(f"\0{len(part)}\0{part}".encode("utf-8", "surrogatepass"))
    return total.hexdigest()[:16]


def split_sqlite(text: str) -> Iterator[tuple[int, str]]:
    """Split SQL into its statements, each with the number of the line where it begins.

    The driver takes one statement at a time, but for ``executescript()``, which commits.
    """
    line, pending = 1, ""
    for piece in re.split(r"(?<=;)", text):
        pending += piece
        if sqlite3.complete_statement(pending):
            blank = len(pending) - len(pending.lstrip())
            yield line + pending.count("\n", 0, blank), pending.strip()
            line += pending.count("\n")
            pending = ""
    if pending.strip():
        blank = len(pending) - len(pending.lstrip())
        yield line + pending.count("\n", 0, blank), pending.strip()


def _no_metadata(given: object) -> str:
    name, what = "db", f"a {type(given).__name__}"
    if isinstance(given, type):
        name, what = given.__name__, f"the class {given.__name__}"
    if isinstance(getattr(given, "metadata", None), sa.MetaData):
        remedy = f"Give it {name}.metadata: schema = MetadataSchema({name}.metadata)."
    else:
        remedy = "Give it that of your models: schema = MetadataSchema(Base.metadata)."
    return f"MetadataSchema was given {what}, which is no MetaData. {remedy}"


# Weak, so that the metadata of a test that is over can go.
_fingerprints: weakref.WeakKeyDictionary[sa.MetaData, dict[str, tuple[object, str]]] = (
    weakref.WeakKeyDictionary()
)


@functools.cache
def _own_version() -> str:
    try:
        return importlib.metadata.version("dbtestcase")
    except importlib.metadata.PackageNotFoundError:
        return "not installed"  # run from a checkout


def _targets(metadata: sa.MetaData) -> Iterator[sa.MetaData | sa.Table | sa.Index]:
    yield metadata
    for _, table in sorted(metadata.tables.items()):
        yield table
        yield from sorted(table.indexes, key=lambda index: str(index.name))


def _listeners(metadata: sa.MetaData) -> Iterator[tuple[Any, Callable[..., Any]]]:
    """Find what is called before and after a table is created, but for SQLAlchemy's own."""
    for target in _targets(metadata):
        for name in ("before_create", "after_create"):
            for listener in getattr(target.dispatch, name):
                mine = isinstance(listener, ExecutableDDLElement)
                if mine or not _origin(listener).startswith("sqlalchemy."):
                    yield target, listener


def _origin(listener: Any) -> str:
    while isinstance(listener, functools.partial):
        listener = listener.func
    listener = getattr(listener, "target", listener)  # SQLAlchemy's picklable bound method
    return getattr(listener, "__module__", None) or type(listener).__module__


def _extent(metadata: sa.MetaData) -> object:
    """Tell cheaply whether something was added to a metadata."""
    return (
        tuple(
            (name, len(table.columns), len(table.indexes), len(table.constraints))
            for name, table in metadata.tables.items()
        ),
        tuple(id(listener) for _, listener in _listeners(metadata)),
    )


def _all_ddl(metadata: sa.MetaData, backend: str) -> list[str]:
    """Collect all that ``create_all()`` would send, without a database."""
    created: list[str] = []
    added: list[str] = []

    def compiled(element: Any) -> str:
        try:
            return str(element.compile(dialect=mock.dialect))
        except Exception:  # of whatever kind: the fingerprint then knows less, the build says why
            return f"{type(element).__qualname__} {getattr(element, 'statement', '')}"

    def note(element: Any, *_: object, **__: object) -> None:
        created.append(compiled(element))

    scheme = "sqlite+pysqlite://" if backend == "sqlite" else "postgresql+psycopg2://"
    mock = sa.create_mock_engine(scheme, note)
    called = False
    for target, listener in _listeners(metadata):
        if isinstance(listener, ExecutableDDLElement):
            added.append(f"{target} {compiled(listener.against(target))}")
        else:
            called = True
            added.append(f"{target} {_code(listener)}")
    if called:
        created += _without_listeners(metadata, compiled)
    else:
        metadata.create_all(mock, checkfirst=False)
    # Indexes are kept in a set, whose order differs from process to process.
    return sorted(created) + added


def _without_listeners(metadata: sa.MetaData, compiled: Callable[[Any], str]) -> list[str]:
    """Collect the DDL where ``create_all()`` would call functions of the program."""
    found = []
    for _, table in sorted(metadata.tables.items()):
        found.append(f"{compiled(CreateTable(table))} {table.comment!r}")
        found += [compiled(CreateIndex(index)) for index in table.indexes]
        for column in table.columns:
            values = column.type.enums if isinstance(column.type, sa.Enum) else ()
            found.append(f"{table.key}.{column.name} {column.comment!r} {values!r}")
    return found


def _code(function: Any) -> str:
    """Return what stands for a Python function: its source, or else its byte code."""
    while isinstance(function, functools.partial):
        function = function.func
    name = f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', '')}"
    try:
        return f"{name} {inspect.getsource(function)}"
    except (OSError, TypeError):
        code = getattr(function, "__code__", None)
        return f"{name} {code.co_code.hex() if code else ''}"


def _without_comments(text: str) -> str:
    return re.sub(r"--[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL)


def _line(error: DBAPIError, text: str) -> str:
    """Say in which line the server found the error, where it said so."""
    position = getattr(getattr(error.orig, "diag", None), "statement_position", None)
    return f", line {text.count(chr(10), 0, int(position) - 1) + 1}" if position else ""


def _failed(error: DBAPIError, place: str) -> str:
    reason = str(error.orig).strip().splitlines()[0]
    return f"{place} failed: {reason}. The database is left as it was; correct the statement."

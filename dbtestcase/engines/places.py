"""Where an engine or a URL would lead, told without contacting anything.

Two places are the same database when their keys are equal:

* PostgreSQL: hosts, ports and database as the dialect hands them to the driver, so that
  ``?host=``, ``?port=``, several hosts and ``connect_args`` are seen. What is missing is taken from
  ``PGHOST``, ``PGPORT`` and ``PGDATABASE``, as libpq does. ``localhost``, ``127.0.0.1`` and ``::1``
  are one host, and directories of Unix sockets are compared with their links resolved; the
  default directory (no host at all) is equal to itself only. User and password do not matter.
* SQLite: the file's absolute path with links resolved; a shared database in memory by its name.

Names are not looked up (that would be a contact), so two names of one host count as different.
To be wrong here is harmless: equal places are redirected to the tests' database, all others are
refused.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any
from urllib.parse import parse_qsl, unquote

from sqlalchemy.engine import URL, Dialect

__all__ = ["Place", "place_of"]

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True)
class Place:
    """A database that would be connected to."""

    #: what is compared; None where it cannot be told which database it is
    key: tuple[Any, ...] | None
    #: what a message calls it, such as ``database "shop" on db.example``; None where it has no name
    label: str | None
    #: what ``let_through`` may call it
    names: frozenset[str]
    #: every connection (or engine) has a database of its own in memory
    private: bool = False


def place_of(
    dialect: Dialect,
    url: URL,
    arguments: tuple[Sequence[Any], Mapping[str, Any]] | None = None,
) -> Place:
    """Tell where a URL leads to.

    :param dialect: the dialect of the engine that would connect, or of the URL itself.
    :param url: the URL.
    :param arguments: the arguments with which the driver would really be called, ``connect_args``
        among them. None where they are not known (the engine has a ``creator=``): then a database
        that the URL does not name cannot be told.
    """
    told = arguments is not None
    spelled = url.render_as_string(hide_password=True)
    if dialect.name not in ("postgresql", "sqlite"):
        names = {spelled, url.database or spelled}
        return Place(None, _label(url.database, url.host, url.port), frozenset(names))
    if arguments is None:
        arguments = dialect.create_connect_args(url)
    positional, named = arguments
    if dialect.name == "sqlite":
        filename = str(positional[0] if positional else named.get("database") or "")
        return _sqlite(filename, bool(named.get("uri")), url.database, spelled, told)
    return _postgresql(positional, named, spelled, told)


def _label(database: str | None, host: str | None, port: object) -> str | None:
    if not database:
        return None
    if not host:
        return f'database "{database}" on this machine'
    return f'database "{database}" on {host}{f":{port}" if port else ""}'


def _postgresql(
    positional: Sequence[Any], named: Mapping[str, Any], spelled: str, told: bool
) -> Place:
    database = named.get("dbname") or named.get("database")
    if told and not database:
        database = os.environ.get("PGDATABASE")
    host = str(named.get("hostaddr") or named.get("host") or os.environ.get("PGHOST") or "")
    port = str(named.get("port") or os.environ.get("PGPORT") or "")
    label = _label(database, host, named.get("port"))
    # a service file or a DSN may say anything: equal only to the same words
    words = (named.get("service"), named.get("dsn"), *(p for p in positional if p))
    hosts = [_host(h) for h in host.split(",")]
    ports = [p or "5432" for p in port.split(",")]
    if len(ports) == 1:
        ports *= len(hosts)
    key = ("postgresql", tuple(hosts), tuple(ports), database, words) if database else None
    return Place(key, label, frozenset({spelled, database or spelled}))


def _host(host: str) -> str:
    if host.startswith("/"):
        return os.path.realpath(host)
    host = host.lower().rstrip(".")
    return "localhost" if host in _LOOPBACK else host


def _sqlite(filename: str, uri: bool, written: str | None, spelled: str, told: bool) -> Place:
    path, query = filename, dict[str, str]()
    if uri and filename.startswith("file:"):
        path, _, tail = filename.removeprefix("file:").partition("#")[0].partition("?")
        if path.startswith("//"):  # SQLite allows no authority but localhost
            path = "/" + path[2:].partition("/")[2]
        path, query = unquote(path), dict(parse_qsl(tail))
    names = {spelled, written or spelled}
    if query.get("vfs") == "memdb":
        kind, private = "memdb", not path.startswith("/")
    elif path in ("", ":memory:") or query.get("mode") == "memory":
        kind, private = "memory", not path or query.get("cache") != "shared"
    else:
        path = os.path.realpath(path)
        names |= {path, PurePath(path).name, PurePath(path).stem}
        return Place(("sqlite", path), f'SQLite file "{path}"', frozenset(names))
    if private and not told:
        return Place(None, None, frozenset({spelled}))
    if private:
        return Place(None, "a private SQLite database", frozenset(names), private=True)
    names |= {path, path.removeprefix("/")}
    return Place(("sqlite", kind, path), f'SQLite memory database "{path}"', frozenset(names))

"""The database that a process tests in: leased from a server, filled, and given back.

>>> from sqlalchemy import MetaData
>>> from dbtestcase.schemas import MetadataSchema
>>> from dbtestcase.settings import choose
>>> held = lease(choose("sqlite", environ={}))
>>> held.prepare(MetadataSchema(MetaData()))
True
>>> release_all()

Databases of our own are called ``dbtestcase_<project>_<n>``. A process holds one for each bind,
by an advisory lock that the server frees when the process ends. So no two runs disturb each
other, on however many machines, and a run finds its database filled by the last one.

What is known of a database stands in its COMMENT, see :class:`~.admin.Mark`. While it is held
that says ``in use``; so the database of a process that was killed is recognised, and replaced by
a copy of its template.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading

from sqlalchemy.engine import URL

from ..schemas import Schema
from ..settings import Kind, Setting, project_name, slug
from . import templates
from .admin import Admin, Mark, check_version
from .base import Lease, build, explain
from .postgresql import MAINTENANCE, NamedDatabase, OwnDatabase, prefix_of
from .sqlite import MemoryDatabase, SQLiteFile

__all__ = [
    "Lease",
    "build",
    "check_version",
    "clean",
    "databases_on",
    "explain",
    "lease",
    "release_all",
    "server_version",
]

_guard = threading.RLock()
_leases: dict[str | None, tuple[Setting, Lease]] = {}
# A forked child must not end what it inherited, not even by garbage collection.
_inherited: list[object] = []


def lease(
    setting: Setting,
    *,
    bind: str | None = None,
    schema: Schema | None = None,
    project: str | None = None,
) -> Lease:
    """Hold a database, until the process ends or another setting is asked for.

    :param setting: which one, see :func:`dbtestcase.settings.choose`.
    :param bind: the bind that it is for. Each has a database of its own; but one that is named
        exactly is shared by all binds that name it.
    :param schema: what will be asked for, if it is known: a free database that holds it is
        preferred.
    :param project: stands in the names; by default :func:`~dbtestcase.settings.project_name`.
    :raises ServerError: the server cannot be started, reached or used.
    :raises MissingExtraError: a package that it needs is not installed.
    """
    with _guard:
        if bind in _leases:
            old, held = _leases[bind]
            if (old.kind, old.url) == (setting.kind, setting.url):
                if isinstance(held, OwnDatabase) and schema is not None:
                    held.aim(schema)
                return held
            _release(bind)
        for other, shared in _leases.values():
            if not shared.ours and (other.kind, other.url) == (setting.kind, setting.url):
                _leases[bind] = setting, shared
                return shared
        _leases[bind] = setting, _make(setting, bind, schema, project or project_name())
        _release_at_exit()
        return _leases[bind][1]


def release_all() -> None:
    """Give all databases back. Called at the end of the process; a forked child gives nothing."""
    with _guard:
        for bind in list(_leases):
            _release(bind)


def clean(
    setting: Setting, *, templates_too: bool = False, project: str | None = None
) -> list[str]:
    """Drop the databases of this project that nobody holds, and what was left half-built.

    :param templates_too: drop the project's templates as well.
    :returns: the names of what was dropped.
    """
    dropped: list[str] = []
    project = project or project_name()
    if setting.kind is Kind.MEMORY and templates_too:
        from . import snapshots

        return snapshots.drop_all(project)
    if setting.kind not in (Kind.EMBEDDED, Kind.SERVER):
        return dropped
    lock = _admin(setting)
    try:
        lock.begin()
        with templates.workbench(lock) as work:
            for name, mark in templates.databases(lock, "dbtestcase_"):
                if mark is None or mark.project != project:
                    continue
                asked = templates_too or mark.state != "template"
                if asked and templates.drop_unused(lock, work, name):
                    dropped.append(name)
            dropped += templates.sweep(lock, work)
    finally:
        lock.close()
    return dropped


def databases_on(setting: Setting) -> list[tuple[str, Mark, str]]:
    """List our databases on a server: name, what is known of it, and who holds it, if anybody."""
    if setting.kind not in (Kind.EMBEDDED, Kind.SERVER):
        return []
    admin = _admin(setting)
    try:
        return [
            (name, mark, admin.holder(name))
            for name, mark in templates.databases(admin, "dbtestcase_")
            if mark is not None
        ]
    finally:
        admin.close()


def server_version(setting: Setting) -> str:
    """Return the kind of database and its version, such as ``PostgreSQL 18.1``."""
    if setting.kind in (Kind.MEMORY, Kind.FILE):
        import sqlite3

        return f"SQLite {sqlite3.sqlite_version}"
    admin = Admin(setting.url, setting.origin) if setting.url.database else _admin(setting)
    try:
        return f"PostgreSQL {admin.server_version}"
    finally:
        admin.close()


def _after_fork() -> None:
    """Forget in a child process what its parent holds."""
    global _guard
    _guard = threading.RLock()  # another thread of the parent's may have held it
    _inherited.append(dict(_leases))
    _leases.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _release_at_exit() -> None:
    # Anew each time, as what is registered last is called first: the embedded server, which
    # was registered just now, must still run when its databases are given back.
    atexit.unregister(release_all)
    atexit.register(release_all)
    # Children of multiprocessing end without calling what is registered with atexit.
    multiprocessing = sys.modules.get("multiprocessing")
    if multiprocessing is not None and multiprocessing.parent_process() is not None:
        multiprocessing.util.Finalize(None, release_all, exitpriority=0)


def _release(bind: str | None) -> None:
    _, held = _leases.pop(bind)
    if all(held is not other for _, other in _leases.values()):
        held.release()


def _make(setting: Setting, bind: str | None, schema: Schema | None, project: str) -> Lease:
    bind_slug = slug(bind) or "bind" if bind is not None else None
    if setting.kind is Kind.MEMORY:
        return MemoryDatabase(setting.origin)
    if setting.kind is Kind.FILE:
        return SQLiteFile(setting.url, setting.origin)
    if setting.kind is Kind.DATABASE:
        return NamedDatabase(setting.url, setting.origin)
    return OwnDatabase(
        _server(setting),
        prefix=prefix_of(project, bind_slug),
        project=project,
        origin=setting.origin,
        embedded=setting.kind is Kind.EMBEDDED,
        schema=schema,
    )


def _server(setting: Setting) -> URL:
    if setting.kind is Kind.EMBEDDED:
        from ..embedded import server

        return server().url(setting.url.drivername)
    return setting.url


def _admin(setting: Setting) -> Admin:
    return Admin(_server(setting).set(database=MAINTENANCE), setting.origin)

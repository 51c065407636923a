"""Templates: a schema is built once, and each database that needs it is a copy of its files.

A template is called ``dbtestcase_tpl_<fingerprint>``. It is built under that name with ``_new``
at its end, so one that was left half-built is never taken for a template.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ..errors import ServerError
from ..schemas import Schema
from .admin import Admin, Mark, Refused, identifier, literal
from .base import Lease, build, lineage_of, private_engine

__all__ = ["KEPT", "STRANGERS_PATIENCE", "clone", "databases", "drop", "sweep"]

#: Milliseconds after which a stranger's wait for a lock fails, in a database of ours. The test
#: that holds the lock commits nothing for as long as it lasts: so the wait has no end where the
#: test waits for the stranger.
STRANGERS_PATIENCE = 10_000

#: So many templates are kept for each project.
KEPT = 5

PREFIX = "dbtestcase_tpl_"

INSUFFICIENT_PRIVILEGE = "42501"


def databases(admin: Admin, prefix: str) -> list[tuple[str, Mark | None]]:
    """List the databases whose name begins so and that belong to this very role.

    What a superuser finds of another role's is that role's: its tables would be, too.
    """
    rows = admin.rows(
        "SELECT d.datname::text, shobj_description(d.oid, 'pg_database') FROM pg_database d "
        "JOIN pg_roles r ON r.oid = d.datdba AND r.rolname = current_user "
        f"WHERE starts_with(d.datname::text, {literal(prefix)}) ORDER BY length(datname), datname"
    )
    return [(name, Mark.read(comment)) for name, comment in rows]


def exists(admin: Admin, name: str) -> bool:
    return bool(
        admin.value(f"SELECT EXISTS (SELECT FROM pg_database WHERE datname = {literal(name)})")
    )


def drop(work: Admin, name: str) -> None:
    """Drop a database of ours, be it a template, and whoever is connected to it."""
    if work.rows(f"SELECT FROM pg_database WHERE datname = {literal(name)} AND datistemplate"):
        work.run(f"ALTER DATABASE {identifier(name)} IS_TEMPLATE false")
    work.run(f"DROP DATABASE IF EXISTS {identifier(name)} WITH (FORCE)")


@contextlib.contextmanager
def workbench(lock: Admin) -> Iterator[Admin]:
    """Give a second connection: databases are not made in the transaction that holds a lock."""
    work = Admin(lock.url, lock.origin)
    try:
        # A role may have timeouts; making a database is slow on a busy server.
        for name in work.timeouts:
            work.run(f"SET {name} = 0")
        yield work
        # pgbouncer hands the session on as it is.
        for name in work.timeouts:
            work.run(f"RESET {name}")
    except Refused as error:
        raise ServerError(
            f"the server on {work.place} ({work.origin}) refused to make a test database: "
            f"{error}. Look into the server's log."
        ) from error
    finally:
        work.close()


def clone(
    lock: Admin, name: str, mark: Mark, schema: Schema | None, fingerprint: str, lease: Lease
) -> None:
    """Put a copy of a template in the place of the database *name*.

    :param lock: its transaction holds the lock of *name*.
    :param mark: what is kept with the new database.
    :param schema: builds the template where there is none; ``None`` for an empty database.
    :param fingerprint: of the template.
    """
    lineage = lineage_of(schema)
    with workbench(lock) as work:
        if schema is None:
            _put(work, name, mark, None)
            return
        template = PREFIX + fingerprint
        # More than once only where somebody drops the template as soon as it is built.
        for _ in range(5):
            # Shared with other clones; whoever tidies up keeps away from it.
            with lock.briefly(template, shared=True):
                found = databases(work, template)
                if any(each == template for each, _ in found):
                    _put(work, name, mark, template)
                    # Not each time: the comment waits for the clones that others make of it.
                    if all(at is None or at.used < Mark.now() - 60_000 for _, at in found):
                        _touch(work, template, mark, fingerprint, lineage)
                    return
            with lock.briefly(template):
                if not exists(work, template):
                    _build(work, template, mark, schema, fingerprint, lease)
            _tidy(lock, work, mark.project, template, lineage)
        raise ServerError(
            f'the template "{template}" on {work.place} ({work.origin}) cannot be used: it is '
            "dropped as soon as it is built, or another role owns it. Look for another run of "
            "tests, and drop it."
        )


def _put(work: Admin, name: str, mark: Mark, template: str | None) -> None:
    new = f"{name}_new"
    drop(work, new)
    _create(work, new, template)
    work.run(f"COMMENT ON DATABASE {identifier(new)} IS {literal(str(mark))}")
    work.run(f"ALTER DATABASE {identifier(new)} SET lock_timeout = {STRANGERS_PATIENCE}")
    drop(work, name)
    work.run(f"ALTER DATABASE {identifier(new)} RENAME TO {identifier(name)}")


def _create(work: Admin, name: str, template: str | None) -> None:
    sql = f"CREATE DATABASE {identifier(name)}"
    if template is not None:
        sql += f" TEMPLATE {identifier(template)}"
    if work.version >= (15,):
        # The only way before 15. The other one writes every page to the log.
        sql += " STRATEGY FILE_COPY"
    try:
        work.run(sql)
    except Refused as error:
        if error.sqlstate != INSUFFICIENT_PRIVILEGE:
            raise
        role = work.value("SELECT current_user")
        raise ServerError(
            f'role "{role}" may not create databases on {work.place} ({work.origin}). Let a '
            f"superuser run ALTER ROLE {identifier(role)} CREATEDB, or name an existing test "
            "database in the URL."
        ) from error


def _build(
    work: Admin, template: str, mark: Mark, schema: Schema, fingerprint: str, lease: Lease
) -> None:
    new = f"{template}_new"
    drop(work, new)
    _create(work, new, None)
    try:
        engine = private_engine(work.url.set(database=new), work.origin)
        with engine.begin() as connection:
            build(schema, connection, lease)
        _touch(work, new, mark, fingerprint, lineage_of(schema))
        work.run(f"ALTER DATABASE {identifier(new)} IS_TEMPLATE true ALLOW_CONNECTIONS false")
        # Last, as from here on it is used.
        work.run(f"ALTER DATABASE {identifier(new)} RENAME TO {identifier(template)}")
    except BaseException:
        drop(work, new)
        raise


def _touch(work: Admin, template: str, mark: Mark, fingerprint: str, lineage: str) -> None:
    used = Mark(mark.project, "template", fingerprint, "", mark.holder, Mark.now(), lineage)
    work.run(f"COMMENT ON DATABASE {identifier(template)} IS {literal(str(used))}")


def _tidy(lock: Admin, work: Admin, project: str, current: str, lineage: str) -> None:
    """Drop what is out of date, what was not used for longest, and what was left half-built."""
    mine = [
        (mark.used, name, mark.lineage)
        for name, mark in databases(work, PREFIX)
        if mark is not None and mark.project == project and name != current
    ]
    outdated = [name for _, name, other in mine if lineage and other == lineage]
    others = sorted(((used, name) for used, name, _ in mine if name not in outdated), reverse=True)
    for name in [*outdated, *(name for _, name in others[KEPT - 1 :])]:
        drop_unused(lock, work, name)
    sweep(lock, work)


def sweep(lock: Admin, work: Admin) -> list[str]:
    """Drop what killed processes left half-built, and return the names."""
    found = [name for name, _ in databases(work, "dbtestcase_") if name.endswith("_new")]
    return [name for name in found if drop_unused(lock, work, name)]


def drop_unused(lock: Admin, work: Admin, name: str) -> bool:
    """Drop a database of ours unless somebody holds it; return whether it was dropped."""
    with lock.briefly(name, wait=False) as free:
        if free and exists(work, name):
            drop(work, name)
            return True
    return False

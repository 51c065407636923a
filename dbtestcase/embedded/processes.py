"""The processes of the private PostgreSQL, and the locks that tell which of them live.

The package's docstring says what each lock means.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import ServerError
from .places import Place

if sys.platform != "win32":
    import fcntl

__all__ = ["ensure_keeper", "held", "is_ready", "lock", "locked", "start"]

_PATIENCE = 60.0  # seconds for a start, crash recovery included
_KEEPER = Path(__file__).with_name("keeper.py")

# Given on the command line, so that a newer version of this library needs no new cluster.
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    # What makes a server durable: these data may be lost.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    # What would move rows or plans in the middle of a test, or start processes that idle.
    "autovacuum": "off",
    "jit": "off",
    "io_method": "sync",
    "max_logical_replication_workers": "0",
    # Runs in parallel, and suites that drop hundreds of tables in one transaction.
    "max_connections": "200",
    "max_locks_per_transaction": "128",
    "max_prepared_transactions": "20",
    # A third of the time of a start is shared memory.
    "shared_buffers": "32MB",
    "huge_pages": "off",
    # Two machines answer alike.
    "timezone": "UTC",
    "log_timezone": "UTC",
    "datestyle": "ISO, MDY",
    "lc_messages": "C",
    # Tests fail statements on purpose; the log is for what befalls the server.
    "log_min_messages": "log",
    "log_checkpoints": "off",
}
_INITDB = (
    "--username=postgres",
    "--auth=trust",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-data-checksums",
    "--no-sync",
    "--no-instructions",
    "--set=shared_buffers=8MB",  # for its own runs of the server
    "--set=huge_pages=off",
)


def lock(path: Path, *, exclusive: bool) -> int:
    """Wait for the lock of a file; return the descriptor whose last copy ends it when closed."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)  # programs that we start do not inherit it
    try:
        fcntl.flock(file, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
    except BaseException:
        os.close(file)
        raise
    return file


@contextlib.contextmanager
def locked(path: Path) -> Iterator[int]:
    """Hold the lock of a file exclusively for a while."""
    file = lock(path, exclusive=True)
    try:
        yield file
    finally:
        os.close(file)


def held(path: Path) -> bool:
    """Tell whether some process holds the lock of a file exclusively."""
    try:
        file = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def ensure_keeper(place: Place) -> None:
    """Start the keeper before the server, so that whoever is killed leaves no server unattended.

    It is not waited for: its lock is held from here on.
    """
    if held(place.base / "keeper"):
        return
    with locked(place.base / "keeper") as keeper:
        # Without site packages, whose .pth files may run anything and take long.
        command = [sys.executable or "python3", "-I", "-S", str(_KEEPER)]
        arguments = [str(keeper), str(place.base), str(place.socket)]
        _spawn([*command, *arguments], inherit=keeper, output=subprocess.DEVNULL)


def is_ready(place: Place) -> bool:
    """Wait for a server that is starting or stopping; tell whether it can be used then.

    :raises ServerError: where it lives, but does not answer.
    """
    deadline = time.monotonic() + _PATIENCE
    while held(place.base / "running"):
        # Not by connecting alone: a server that is recovering takes connections, to refuse them.
        with contextlib.suppress(OSError, IndexError):
            if (place.data / "postmaster.pid").read_text().splitlines()[7].strip() == "ready":
                with socket.socket(socket.AF_UNIX) as client:
                    client.connect(os.fspath(place.socket))
                return True
        if time.monotonic() > deadline:
            raise ServerError(
                f"the embedded PostgreSQL in {place.base} runs, but did not answer for "
                f"{_PATIENCE:.0f} seconds. End its processes, then try again. {_quote_log(place)}"
            )
        time.sleep(0.001)
    return False


def start(place: Place, setup: int) -> str | None:
    """Start the server; return why its data had to be made anew, where they had to.

    :param setup: the lock that the caller holds, for programs that may outlive it.
    :raises ServerError: where it cannot be started.
    """
    lost = None
    if _went_down(place):
        _remove(place.data)
        lost = "The machine went down while they were in use, and they are not flushed to the disk."
    while True:
        new = not place.data.exists()
        if new:
            _make_cluster(place, setup)
        if _launch(place):
            break
        if new:
            raise ServerError(
                f"the embedded PostgreSQL in {place.base} did not start. {_quote_log(place)}"
            )
        lost = f"It did not start with them. {_quote_log(place)}"
        _remove(place.data)
    if lost is None:
        return None
    return f"the embedded PostgreSQL in {place.base} lost its data, which were made anew. {lost}"


def _make_cluster(place: Place, setup: int) -> None:
    """Make the data under another name, so that what a killed process leaves is never used."""
    for left in (*place.base.glob("new-*"), *place.base.glob("old-*")):
        shutil.rmtree(left, ignore_errors=True)
    new = Path(tempfile.mkdtemp(prefix="new-", dir=place.base))
    place.give(new)
    made = subprocess.run(
        [str(place.install() / "bin" / "initdb"), f"--pgdata={new}", *_INITDB],
        cwd="/",  # its user may not be able to search ours
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        pass_fds=[setup],  # if it outlives us, nobody must look here before it ends
        **_as_user(place),
    )
    if made.returncode:
        shutil.rmtree(new, ignore_errors=True)
        raise ServerError(
            f"the embedded PostgreSQL in {place.base} could not make its data: initdb ended with "
            f"{made.returncode}. Its output ends:\n{_tail(made.stdout)}"
        )
    new.rename(place.data)


def _launch(place: Place) -> bool:
    """Start the server and wait until it can be used; False where it ended instead."""
    place.make_sockets()
    # None of its processes is left, yet PostgreSQL would believe a pid that somebody else has now.
    for stale in (place.data / "postmaster.pid", place.socket, Path(f"{place.socket}.lock")):
        stale.unlink(missing_ok=True)
    (place.base / "boot").write_text(_boot())
    command = [str(place.install() / "bin" / "postgres"), "-D", str(place.data)]
    settings = {"unix_socket_directories": str(place.sockets), **_SETTINGS}
    if _can_clone(place):
        settings["file_copy_method"] = "clone"
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    log = os.open(place.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    try:
        with locked(place.base / "running") as running:
            _spawn(command, inherit=running, output=log, **_as_user(place))
    finally:
        os.close(log)
    return is_ready(place)


def _can_clone(place: Place) -> bool:
    """Tell whether the kernel copies files here by itself: a database in two thirds of the time.

    Tried, because some file systems refuse it, and PostgreSQL then fails instead of copying.
    """
    if not hasattr(os, "copy_file_range"):
        return False
    try:
        source = os.open(place.data / "PG_VERSION", os.O_RDONLY)
        try:
            with tempfile.TemporaryFile(dir=place.data) as target:
                return os.copy_file_range(source, target.fileno(), 1) == 1
        finally:
            os.close(source)
    except OSError:
        return False


def _as_user(place: Place) -> dict[str, Any]:
    """Return what makes :mod:`subprocess` run a program as the server's user."""
    wanted = ("PATH", "LD_LIBRARY_PATH")  # others may be secrets, or PGOPTIONS
    environment = {name: os.environ[name] for name in wanted if name in os.environ}
    # With TZ initdb need not compare all time zones there are.
    options: dict[str, Any] = {"env": environment | {"TZ": "UTC", "LC_ALL": "C"}}
    if place.foreign:
        options |= {"user": place.uid, "group": place.gid, "extra_groups": []}
    return options


def _spawn(command: Sequence[str], *, inherit: int, output: int, **options: Any) -> None:
    """Start a program that outlives us and is no child of ours: nobody here would wait for it."""
    subprocess.run(
        ["/bin/sh", "-c", '"$@" &', "sh", *command],
        check=True,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        pass_fds=[inherit],
        start_new_session=True,  # Ctrl-C is for the tests
        **options,
    )


def _remove(path: Path) -> None:
    old = Path(tempfile.mkdtemp(prefix="old-", dir=path.parent))
    path.rename(old / path.name)  # first, so that a kill in the middle leaves no half of it
    shutil.rmtree(old, ignore_errors=True)


def _went_down(place: Place) -> bool:
    """Tell whether the machine was switched off under the server, which may not notice itself."""
    if not (place.data / "postmaster.pid").exists():  # removed by a server that stops
        return False
    try:
        before = (place.base / "boot").read_text()
    except FileNotFoundError:
        return False
    return _boot() not in ("", before)


def _boot() -> str:
    """Return a text that is another after each boot of the machine; empty where nothing tells."""
    with contextlib.suppress(OSError):
        if sys.platform == "darwin":
            command = ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"]
            return subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout
        return Path("/proc/sys/kernel/random/boot_id").read_text()
    return ""


def _quote_log(place: Place) -> str:
    try:
        log = place.log.read_text(errors="replace")
    except OSError:
        log = ""
    return f"Its log, {place.log}, ends:\n{_tail(log)}"


def _tail(text: str) -> str:
    return "\n".join(text.rstrip().splitlines()[-10:])

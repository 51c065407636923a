"""Stop the private PostgreSQL when its last user has ended; a program of its own.

Runs as ``python -I -S keeper.py LOCK DIRECTORY SOCKET``, so it imports the standard library only,
and little of it. ``LOCK`` is the descriptor of the ``keeper`` lock, handed over by whoever started
us. The package's docstring says what the locks mean.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import sys
import time


def main(keeper: int, directory: str, address: str) -> None:
    """Wait for the last user to end, stop the server and wait for that, at most 30 seconds."""
    users = os.open(f"{directory}/users", os.O_RDWR)
    running = os.open(f"{directory}/running", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(users, fcntl.LOCK_EX)
    told = False
    for turn in range(6000):
        if not _same(users, f"{directory}/users") or _ended(running):
            break
        if not told or turn % 200 == 0:
            told = _tell(directory, address, signal.SIGINT if turn < 4000 else signal.SIGQUIT)
        time.sleep(0.005)
    # `users` last: who gets it then must not take us for a living keeper.
    for lock in (running, keeper, users):
        os.close(lock)


def _same(file: int, path: str) -> bool:
    """Tell whether the directory is still ours: one that was made anew has another keeper."""
    try:
        return os.path.samestat(os.fstat(file), os.stat(path))
    except OSError:
        return False


def _ended(running: int) -> bool:
    try:
        fcntl.flock(running, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _tell(directory: str, address: str, how: signal.Signals) -> bool:
    """Send a signal to the server; False where it cannot be told (yet) which process that is."""
    try:
        with open(f"{directory}/data/postmaster.pid") as file:
            pid = int(file.readline())
        if not _is_server(pid, f"{directory}/data", address):
            return False
        os.kill(pid, how)
    except (OSError, ValueError):
        return False
    return True


def _is_server(pid: int, data: str, address: str) -> bool:
    """Tell whether a process is the server: what a killed one left may name somebody else.

    By its arguments, since a server may have lost its socket; what else ``/proc`` tells of another
    user's process root cannot read in a container. Where there is none, the socket must answer.
    """
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return os.fsencode(data) in file.read().split(b"\0")
    except OSError:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(address)
        return True


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])

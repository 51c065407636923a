"""Where the migrations are: ``alembic.ini``, ``env.py``, the revision files and what they read.

Alembic is not imported to find them and to sum them up, as this is done for each test class, and
on most runs there is nothing else to do: the database is built already.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import importlib.util
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..errors import MigrationError, MissingExtraError
from ..schemas import digest

__all__ = ["MigrationDirectory", "check_installed"]

#: Left out of the fingerprint: what Python and editors leave beside the files.
_LEFT_OUT = ("__pycache__", ".")


def check_installed() -> None:
    """Make sure that there is Alembic.

    :raises MissingExtraError: it is not installed.
    """
    if _version("alembic") is None and importlib.util.find_spec("alembic") is None:
        raise MissingExtraError(
            "migrations need the package alembic, which is not installed. Install it with: "
            'pip install "dbtestcase[migrations]"'
        )


class MigrationDirectory:
    """The migrations of a program.

    .. code-block:: text

        migrations/alembic.ini          as "flask db init" makes it: give "migrations"
        migrations/env.py
        migrations/versions/*.py

        alembic.ini                     as "alembic init migrations" makes it:
        migrations/env.py               give "alembic.ini" or "migrations"
        migrations/versions/*.py

    :param path: the directory of ``env.py``, or an ``alembic.ini`` or ``pyproject.toml``; relative
        to the working directory.
    :param extra_files: files and directories that migrations read besides.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        extra_files: Iterable[str | os.PathLike[str]] = (),
    ) -> None:
        self.given = os.fspath(path)
        if isinstance(extra_files, (str, os.PathLike)):
            raise TypeError(
                f"extra_files is {extra_files!r}, and must be a list of paths: "
                f"extra_files=[{os.fspath(extra_files)!r}]"
            )
        self.extra_files = [Path(file) for file in extra_files]
        self._located: tuple[list[Path], Path] | None = None

    def __repr__(self) -> str:
        return f'migrations in "{self.given}"'

    # -- where it is ----------------------------------------------------------------------------

    @property
    def ini(self) -> Path | None:
        """The ``alembic.ini``, or whatever it is called, if there is one."""
        return next((each for each in self._locate()[0] if each.suffix != ".toml"), None)

    @property
    def toml(self) -> Path | None:
        """The ``pyproject.toml``, where Alembic's settings are there."""
        return next((each for each in self._locate()[0] if each.suffix == ".toml"), None)

    @property
    def scripts(self) -> Path:
        """The directory of ``env.py``."""
        return self._locate()[1]

    @property
    def env_name(self) -> str:
        """The name of ``env.py``, for messages."""
        return self.name(self.scripts / "env.py")

    def name(self, path: str | os.PathLike[str]) -> str:
        """Name a file as the user knows it: relative to the working directory, if it is there."""
        resolved = Path(path).resolve()
        return (
            str(resolved.relative_to(Path.cwd()))
            if resolved.is_relative_to(Path.cwd())
            else str(resolved)
        )

    def _locate(self) -> tuple[list[Path], Path]:
        if self._located is None:
            # once, as tests may change the working directory
            self._located = self._find()
        return self._located

    def _find(self) -> tuple[list[Path], Path]:
        path = Path(self.given).absolute()
        if not path.exists():
            raise MigrationError(
                f'there is no "{self.given}" with migrations. Give the directory of env.py or the '
                f"path of alembic.ini; relative paths start at the working directory, {Path.cwd()}."
            )
        if path.is_file():
            beside = _settings_in(path.parent)
            files = [path, *(each for each in beside if each.suffix != path.suffix)]
            scripts = _script_location(files)
        elif (path / "env.py").exists():
            # flask db init puts it beside env.py, alembic init above the directory
            files, scripts = _settings_in(path), path
            if not files:
                above = _settings_in(path.parent)
                location = _script_location(above)
                if location is not None and location.resolve() == path.resolve():
                    files = above
        else:
            files = _settings_in(path)
            scripts = _script_location(files) if files else path
        if scripts is None:
            raise MigrationError(
                f'"{self.given}" has no script_location in its section [alembic]. Write there '
                f"where env.py is: script_location = migrations"
            )
        if not (scripts / "env.py").exists():
            raise MigrationError(
                f'there is no env.py in "{self.name(scripts)}". Give the directory of env.py or '
                f'the path of alembic.ini; "alembic init" and "flask db init" make both.'
            )
        return files, scripts

    # -- the sum of it --------------------------------------------------------------------------

    def fingerprint(self, *others: str) -> str:
        """Sum up all files, and what else is given."""
        # Every class asks several times, and 200 files take a while to read: one that is as it
        # was by its size and time is not read again.
        files = self._files()
        key = (str(self.scripts), *others)
        known = _fingerprints.get(key)
        if known is None or known[0] != files:
            parts = [f"alembic {_version('alembic')}", *others]
            for file in files:
                # the name, and not where the project lies
                parts += (file[0], _sum(file))
            known = _fingerprints[key] = files, digest("migrations", *parts)
        return known[1]

    def _files(self) -> list[File]:
        """Give each file that counts."""
        found: list[File] = []
        for settings in self._locate()[0]:
            found.append(_file(f"settings{settings.suffix}", str(settings), os.stat(settings)))
        roots = [self.scripts, *self._version_locations()]
        roots = [one for one in roots if not any(one != o and one.is_relative_to(o) for o in roots)]
        for number, root in enumerate(dict.fromkeys(roots)):
            _walk(f"root {number}", str(root), found)
        for number, extra in enumerate(self.extra_files):
            if not extra.exists():
                raise MigrationError(
                    f'there is no "{extra}", which extra_files of {self!r} names. Relative paths '
                    f"start at the working directory, {Path.cwd()}."
                )
            if extra.is_dir():
                _walk(f"extra {number}", str(extra), found)
            else:
                found.append(_file(f"extra {number}", str(extra), os.stat(extra)))
        return sorted(found)

    def _version_locations(self) -> list[Path]:
        """Give the directories of revision files, where they are not below that of ``env.py``."""
        if not any("version_locations" in _settings(each) for each in self._locate()[0]):
            return []
        from .private import script_directory

        return [Path(each) for each in script_directory(self).version_locations]


#: A file that counts: its name, its path, and what tells that it has changed.
File = tuple[str, str, int, int, int]

#: What was known of files and directories when they were last asked for; a suite has a schema
#: object for each class.
_fingerprints: dict[tuple[str, ...], tuple[list[File], str]] = {}
_sums: dict[str, tuple[File, str]] = {}
_read: dict[Path, tuple[File, dict[str, Any]]] = {}


def _file(name: str, path: str, found: os.stat_result) -> File:
    return name, path, found.st_mtime_ns, found.st_size, found.st_ino


def _sum(file: File) -> str:
    path = file[1]
    known = _sums.get(path)
    if known is None or known[0] != file:
        known = _sums[path] = file, hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return known[1]


def _walk(name: str, root: str, found: list[File]) -> None:
    with os.scandir(root) as entries:
        for entry in entries:
            if entry.name.startswith(_LEFT_OUT):
                continue
            if entry.is_dir():
                _walk(f"{name}/{entry.name}", entry.path, found)
            else:
                found.append(_file(f"{name}/{entry.name}", entry.path, entry.stat()))


def _settings_in(folder: Path) -> list[Path]:
    """Give the files of a folder that have Alembic's settings."""
    ini, toml = folder / "alembic.ini", folder / "pyproject.toml"
    found = [ini] if ini.exists() else []
    return [*found, toml] if toml.exists() and _settings(toml) else found


def _script_location(files: Iterable[Path]) -> Path | None:
    """Read where ``env.py`` is; None where the files do not say."""
    for file in files:
        value: str | None = _settings(file).get("script_location")
        if not value:
            continue
        if ":" in value and not Path(value).is_absolute():  # "package:directory"
            package, _, inside = value.partition(":")
            spec = importlib.util.find_spec(package)
            if spec is not None and spec.submodule_search_locations:
                return Path(spec.submodule_search_locations[0], *inside.split(":"))
        # Alembic takes it from the working directory, where it is started beside its ini
        near = Path.cwd() / value
        return near if (near / "env.py").exists() else file.parent / value
    return None


def _settings(ini: Path) -> dict[str, Any]:
    """Read what is of interest in Alembic's settings; only again where the file has changed."""
    state = _file("", str(ini), os.stat(ini))
    known = _read.get(ini)
    if known is None or known[0] != state:
        try:
            known = _read[ini] = state, _parsed(ini)
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = " ".join(str(error).split())
            raise MigrationError(f"cannot read {ini}: {reason}. Correct it.") from error
    return known[1]


def _parsed(ini: Path) -> dict[str, Any]:
    # these are imported only here, as many a run has its database and needs neither
    here = {"here": ini.parent.absolute().as_posix()}
    if ini.suffix == ".toml":
        import tomllib

        found = tomllib.loads(ini.read_text("utf-8")).get("tool", {}).get("alembic", {})
        return {k: v % here if isinstance(v, str) else v for k, v in found.items()}
    import configparser

    parser = configparser.ConfigParser(here)
    try:
        parser.read_string(ini.read_text("utf-8"), str(ini))
        return {
            name: parser.get("alembic", name)
            for name in ("script_location", "version_locations")
            if parser.has_option("alembic", name)
        }
    except configparser.Error as error:
        raise ValueError(str(error)) from error


@functools.cache
def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None

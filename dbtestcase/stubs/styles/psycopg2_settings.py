"""What psycopg2's connections tell of themselves, and how their transactions begin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg2
import psycopg2.extensions

from ..connections import not_scripted

__all__ = ["Info", "Setting", "flag_of", "level_of", "without_password"]

_LEVELS = {"read committed": 1, "repeatable read": 2, "serializable": 3, "read uncommitted": 4}


def level_of(value: Any) -> int | None:
    """Give the number of an isolation level, None for the server's own.

    >>> level_of("SERIALIZABLE"), level_of("default")
    (3, None)

    :raises ValueError: there is no such level.
    :raises TypeError: it is neither a number nor a text.
    """
    if value is None:
        return None
    if isinstance(value, int):
        if not 1 <= value <= 4:
            raise ValueError("isolation_level must be between 1 and 4")
        return int(value)
    if not isinstance(value, str):
        raise TypeError(f"Expected bytes or unicode string, got {type(value).__name__} instead")
    if value.lower() == "default":
        return None
    try:
        return _LEVELS[value.lower()]
    except KeyError:
        raise ValueError(f"bad value for isolation_level: {value!r}") from None


def flag_of(value: Any) -> bool | None:
    """Give True or False, None for the server's own.

    >>> flag_of(1), flag_of("default")
    (True, None)

    :raises ValueError: it is a text.
    """
    if value is None or value == "default":
        return None
    if isinstance(value, str):
        raise ValueError(f"the only string accepted is 'default'; got {value}")
    return bool(value)


class Setting:
    """An attribute that says how transactions begin, and is set between them.

    :param read: gives the value from what it is set to.
    """

    def __init__(self, read: Callable[[Any], Any]) -> None:
        self._read = read

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, connection: Any, owner: type) -> Any:
        return self if connection is None else connection._session.get(self._name)

    def __set__(self, connection: Any, value: Any) -> None:
        connection._check_between()
        read = connection._session[self._name] = self._read(value)
        connection._tell_real(lambda real: setattr(real, self._name, read))


class Info:
    """What ``connection.info`` is, as far as a stub knows it.

    :param connection: of which it tells.
    """

    __slots__ = ("_connection",)

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    @property
    def transaction_status(self) -> int:
        """0 where there is no transaction, 2 in one, 3 in one that failed, 4 when closed."""
        status: int = self._connection.get_transaction_status()
        return status

    @property
    def status(self) -> int:
        """0 while the connection is open."""
        return int(self._connection._closed)

    @property
    def server_version(self) -> int:
        """Of the server that is played."""
        version: int = self._connection.server_version
        return version

    def __getattr__(self, name: str) -> Any:
        connection = self._connection
        given: Any = psycopg2.extensions.parse_dsn(connection._dsn)
        if name in ("dbname", "host", "options", "password", "port", "user") and name in given:
            if connection._closed:
                return None
            return int(given[name]) if name == "port" else given[name]
        with connection._stub.noting():
            raise not_scripted(self, psycopg2.extensions.ConnectionInfo, name)


def without_password(dsn: str) -> str:
    """Hide the password of a connection, as its ``dsn`` does.

    >>> without_password("dbname=shop password=geheim")
    'password=xxx dbname=shop'
    """
    given: Any = psycopg2.extensions.parse_dsn(dsn)
    if "password" not in given:
        return dsn
    return psycopg2.extensions.make_dsn(**{**given, "password": "xxx"})  # type: ignore[no-any-return]

"""What PEP 249 asks of a driver's module: exceptions and type objects.

They stand in where no driver is installed, and for styles that have none of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["ERRORS", "Errors", "TypeObject", "apilevel", "paramstyle", "threadsafety", "type_of"]

apilevel = "2.0"
threadsafety = 1
paramstyle = "pyformat"

#: The exceptions that PEP 249 names.
ERRORS = (
    "Warning",
    "Error",
    "InterfaceError",
    "DatabaseError",
    "DataError",
    "OperationalError",
    "IntegrityError",
    "InternalError",
    "ProgrammingError",
    "NotSupportedError",
)


class Warning(Exception):  # the name that PEP 249 gives it
    """Data were truncated, and the like."""


class Error(Exception):
    """Base class of all errors of a driver."""


class InterfaceError(Error):
    """An error of the driver rather than of the database."""


class DatabaseError(Error):
    """An error of the database."""


class DataError(DatabaseError):
    """Data that cannot be processed: a division by zero, a value out of range."""


class OperationalError(DatabaseError):
    """What the programmer has no hand in: a lost connection, no memory."""


class IntegrityError(DatabaseError):
    """A constraint is violated."""


class InternalError(DatabaseError):
    """The database has an error within itself."""


class ProgrammingError(DatabaseError):
    """A table that is not there, wrong syntax, a wrong number of parameters."""


class NotSupportedError(DatabaseError):
    """The database does not have this."""


class Errors:
    """The exceptions of a driver, by the names of PEP 249.

    :param names: the globals of its module; what is missing there is taken from this one.
    """

    def __init__(self, names: Mapping[str, Any]) -> None:
        self._names = names

    def __getitem__(self, name: str) -> type[Exception]:
        found = self._names.get(name)
        if isinstance(found, type) and issubclass(found, Exception):
            return found
        return globals()[name]  # type: ignore[no-any-return]

    def like(self, error: BaseException) -> type[Exception] | None:
        """Give the class that means the same as another driver's error does.

        :param error: of any driver's.
        :returns: None for what is no error of a driver's.
        """
        for base in type(error).__mro__:
            if base.__name__ in ERRORS and base.__module__ != "builtins":
                return self[base.__name__]
        return None


class TypeObject:
    """Equal to the ``type_code`` of each column of its kind.

    :param name: ``"STRING"``, for example.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


STRING = TypeObject("STRING")
BINARY = TypeObject("BINARY")
NUMBER = TypeObject("NUMBER")
DATETIME = TypeObject("DATETIME")
ROWID = TypeObject("ROWID")


def type_of(value: object) -> TypeObject:
    """Give the type object of the column that a value comes from.

    >>> type_of(1.5), type_of("one")
    (NUMBER, STRING)

    :param value: any that is not None.
    """
    import datetime
    import decimal

    if isinstance(value, int | float | decimal.Decimal):
        return NUMBER
    if isinstance(value, bytes | bytearray | memoryview):
        return BINARY
    if isinstance(value, datetime.date | datetime.time | datetime.timedelta):
        return DATETIME
    return STRING

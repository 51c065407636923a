"""Every exception and warning of the library, so that one ``except`` or filter can name them.

.. code-block:: text

    Exception
    └── DatabaseTestError            base class of all errors below
        ├── SettingsError            which database is meant cannot be told
        │   └── MissingExtraError    the choice needs a package that is not installed
        ├── UnsafeDatabaseError      refused: it might be a database that holds real data
        ├── ServerError              the server cannot be reached, started or used
        ├── SchemaError              the schema could not be built
        │   └── MigrationError       a migration failed, or the migrations do not fit together
        ├── AppError                 ``create_app`` or ``create_engine`` gave nothing usable
        ├── SetUpError               the test class itself is put together wrongly
        ├── TestDataError            what ``setUpTestData`` left cannot be given to a test
        ├── SandboxConflict          one connection cannot show what several would
        ├── EscapeError              something was really committed past the sandbox
        └── StubError                a scripted connection cannot do what is asked of it
            └── UnexpectedQueryError  a statement came that its script does not answer
    UserWarning
    └── DatabaseTestWarning          base class of all warnings below
        ├── UncommittedDataWarning   a test sees, or leaves, what real connections would not
        └── SequenceWarning          sequences that cannot be put back after each test

Each message states the fact, its likely cause and the remedy, and names the object concerned.
This module imports nothing from the package.
"""

from __future__ import annotations

import sys
import types
import typing

__all__ = [
    "AppError",
    "DatabaseTestError",
    "DatabaseTestWarning",
    "EscapeError",
    "MigrationError",
    "MissingExtraError",
    "SandboxConflict",
    "SchemaError",
    "SequenceWarning",
    "ServerError",
    "SetUpError",
    "SettingsError",
    "StubError",
    "TestDataError",
    "UncommittedDataWarning",
    "UnexpectedQueryError",
    "UnsafeDatabaseError",
]


class DatabaseTestError(Exception):
    """Base class of every error that the library raises by itself."""

    #: Whether a test caught it by ``assertRaises(SandboxConflict)``, or another of these classes,
    #: and so has looked at it itself. ``assertRaises(Exception)`` would catch it unawares.
    asserted = False

    def with_traceback(self, traceback: types.TracebackType | None) -> typing.Self:
        """Put a traceback to the error, or none, as ``assertRaises()`` does with what it caught."""
        if traceback is None:
            # of all that catch errors, only unittest's context has expected some
            expected = getattr(sys._getframe(1).f_locals.get("self"), "expected", ())
            classes = expected if isinstance(expected, tuple) else (expected,)
            self.asserted = any(
                isinstance(each, type) and issubclass(each, DatabaseTestError) for each in classes
            )
        return super().with_traceback(traceback)


class SettingsError(DatabaseTestError):
    """No database is chosen, or the choice cannot be understood."""


class MissingExtraError(SettingsError):
    """The chosen database needs a package that is not installed."""


class UnsafeDatabaseError(DatabaseTestError):
    """A connection was refused, because it might lead to real data."""


class ServerError(DatabaseTestError):
    """The database server cannot be reached, started or used as the tests need it."""


class SchemaError(DatabaseTestError):
    """The schema could not be built."""


class MigrationError(SchemaError):
    """A migration failed, or migrations and database do not fit together.

    Its text names the revision and its file, and says in what state the database is left.
    """


class AppError(DatabaseTestError):
    """``create_app`` or ``create_engine`` raised, or returned nothing usable."""


class SetUpError(DatabaseTestError):
    """A test class is put together in a way that would silently not be run."""


class TestDataError(DatabaseTestError):
    """An object that ``setUpTestData`` left on the class cannot be given to a test."""

    __test__ = False  # pytest collects classes called Test…


class SandboxConflict(DatabaseTestError):
    """One connection cannot show what several real connections would show here.

    Raised instead of an answer that would be wrong. Its text names the connections and the lines
    of code at which their transactions began. Where a program swallows it, its test fails with it
    at the end all the same.
    """


class EscapeError(DatabaseTestError):
    """Something was really committed past the sandbox."""


class StubError(DatabaseTestError):
    """A scripted connection cannot be made, or cannot do what is asked of it."""


class UnexpectedQueryError(StubError):
    """A statement was executed that the script of a connection does not answer.

    It is no error of the driver's, so that a program does not take it for one. Where a program
    swallows it all the same, its test fails with it at the end.
    """


class DatabaseTestWarning(UserWarning):
    """Base class of every warning that the library gives."""


class UncommittedDataWarning(DatabaseTestWarning):
    """Data that was not committed is seen or left where real connections would differ."""


class SequenceWarning(DatabaseTestWarning):
    """Sequences that the role may not read or set keep their values between tests."""

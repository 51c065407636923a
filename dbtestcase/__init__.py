"""Base classes of ``unittest`` for programs on SQLAlchemy, above all Flask apps on PostgreSQL."""

from .cases import DatabaseTestCase, MigrationTestCase, requires
from .errors import (
    AppError,
    DatabaseTestError,
    DatabaseTestWarning,
    EscapeError,
    MigrationError,
    MissingExtraError,
    SandboxConflict,
    SchemaError,
    SequenceWarning,
    ServerError,
    SettingsError,
    SetUpError,
    StubError,
    TestDataError,
    UncommittedDataWarning,
    UnexpectedQueryError,
    UnsafeDatabaseError,
)
from .migrations import AlembicSchema, migrated
from .mixins import (
    ConnectionStubMixin,
    EngineMixin,
    FlaskMixin,
    MigrationMixin,
    SandboxMixin,
)
from .sandbox import sandboxed
from .schemas import MetadataSchema, SQLSchema
from .stubs import ConnectionStub, stub_connection

__all__ = [
    "AlembicSchema",
    "AppError",
    "ConnectionStub",
    "ConnectionStubMixin",
    "DatabaseTestCase",
    "DatabaseTestError",
    "DatabaseTestWarning",
    "EngineMixin",
    "EscapeError",
    "FlaskMixin",
    "MetadataSchema",
    "MigrationError",
    "MigrationMixin",
    "MigrationTestCase",
    "MissingExtraError",
    "SQLSchema",
    "SandboxConflict",
    "SandboxMixin",
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
    "migrated",
    "requires",
    "sandboxed",
    "stub_connection",
]

"""Base classes of ``unittest`` for programs on SQLAlchemy, above all Flask apps on PostgreSQL."""

from .cases import DatabaseTestCase, requires
from .errors import (
    AppError,
    DatabaseTestError,
    DatabaseTestWarning,
    EscapeError,
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
from .mixins import ConnectionStubMixin, EngineMixin, FlaskMixin, SandboxMixin
from .sandbox import sandboxed
from .schemas import MetadataSchema, SQLSchema
from .stubs import ConnectionStub, stub_connection

__all__ = [
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
    "requires",
    "sandboxed",
    "stub_connection",
]

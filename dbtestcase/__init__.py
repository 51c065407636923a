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
    TestDataError,
    UncommittedDataWarning,
    UnsafeDatabaseError,
)
from .migrations import AlembicSchema, migrated
from .mixins import EngineMixin, FlaskMixin, MigrationMixin, SandboxMixin
from .sandbox import sandboxed
from .schemas import MetadataSchema, SQLSchema

__all__ = [
    "AlembicSchema",
    "AppError",
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
    "TestDataError",
    "UncommittedDataWarning",
    "UnsafeDatabaseError",
    "migrated",
    "requires",
    "sandboxed",
]

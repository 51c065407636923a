"""What a role may not do in a database that the user named, and the GRANT that lets it."""

from __future__ import annotations

import re

from ..errors import SchemaError
from .admin import Admin, identifier
from .base import Lease, causes

__all__ = ["missing_right"]


def missing_right(error: BaseException, lease: Lease, lock: Admin) -> SchemaError | None:
    """Turn the error of a role that may not create anything into one that says what to grant.

    :param error: as it came out of the building of a schema.
    :param lease: the database that was to be filled.
    :param lock: a connection of the same role to the same server.
    """
    for each in causes(error):
        denied = re.match(r"permission denied for (schema|database) (.+)", str(each))
        if denied is not None:
            role = str(lock.value("SELECT current_user"))
            why = where = ""
            if denied[1] == "database":
                right = f"CREATE ON DATABASE {identifier(str(lease.url.database))}"
            else:
                right = f"USAGE, CREATE ON SCHEMA {identifier(denied[2])}"
                where = ", connected to that database"
            if denied[0].endswith(" schema public"):
                why = (
                    " Since PostgreSQL 15 only the owner of a database may create there, unless "
                    "granted."
                )
            return SchemaError(
                f'role "{role}" may not create what the schema needs in {lease!r} '
                f"({lock.origin}): {denied[0]}.{why} Let the owner or a superuser run{where}: "
                f"GRANT {right} TO {identifier(role)}"
            )
    return None

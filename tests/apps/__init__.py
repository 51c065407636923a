"""One small app of each kind that the library promises to serve, all with the same tiny domain.

Users have a unique name, posts belong to a user, the foreign key of an invitation is checked when
the transaction ends, and an audit log lies in a database of its own where the kind knows several.

:mod:`tests.apps.kinds` says of each kind how a test class is made for it.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from unittest import mock


@functools.cache
def load(name: str, url: str) -> ModuleType:
    """Import an app that reads its database's URL while it is imported.

    Each URL gives a module of its own, as each would be a process of its own in production.

    :param name: of a module of this package.
    :param url: what the environment variable ``SHOP_DATABASE_URL`` says at that moment.
    """
    unique = f"{__name__}.{name}_{len(sys.modules)}"
    spec = importlib.util.spec_from_file_location(unique, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # SQLAlchemy looks up there what the annotations of a model mean
    sys.modules[unique] = module
    with mock.patch.dict(os.environ, SHOP_DATABASE_URL=url):
        spec.loader.exec_module(module)
    return module

"""Under pytest a test begins before its fixtures, and ends after them.

pytest sets up the fixtures of a test before it calls ``run()``, and so before ``setUp()``. What
they write is the test's: without this it would be the class's for the first test, and undone
before each later one. It also lets a ``tearDown()`` that ``--pdb`` postpones have its database.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

__all__ = ["around_fixtures"]


def around_fixtures(around: Callable[[Any], AbstractContextManager[None]]) -> Any:
    """Make a fixture that each test of a class uses, or give None where pytest does not run.

    pytest takes it before all that the class and its test name, and after those that a module or
    a ``conftest.py`` wants for every test.

    :param around: gives what surrounds a test and its fixtures.
    """
    pytest = sys.modules.get("pytest")
    if pytest is None:
        return None

    def dbtestcase(self: Any) -> Iterator[None]:
        with around(self):
            yield

    return pytest.fixture(autouse=True, name="_dbtestcase")(dbtestcase)

"""What a rule is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .edits import Edit

__all__ = ["DRIVERS", "Rule", "rule"]

#: Who must notice that a rule is missing. The stack of segments is tested without any driver;
#: what stands above the drivers, such as the door, is one for all.
DRIVERS = ("no driver", "any driver", "psycopg2", "psycopg", "sqlite3")


@dataclass(frozen=True)
class Rule:
    """A rule of the sandbox.

    :param name: its group, its number there and, where several make up one, a letter.
    :param words: what holds.
    :param edits: what takes it out.
    :param tests: by driver the dotted names of those that must notice; one of them is enough.
    """

    name: str
    words: str
    edits: tuple[Edit, ...]
    tests: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def rule(name: str, words: str, *edits: Edit, **tests: str) -> Rule:
    """Write a rule down.

    :param tests: by driver (``stack`` for none, ``each`` for any) the names of tests below
        ``tests``, apart by white space; ``test_`` is left out of the module's.
    """
    keys = {"stack": "no driver", "each": "any driver"}
    named = {
        keys.get(driver, driver): tuple(f"tests.test_{name}" for name in names.split())
        for driver, names in tests.items()
    }
    return Rule(name, words, edits, named)

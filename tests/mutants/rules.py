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

    :param tests: by driver the names of tests below ``tests``, apart by white space; ``test_``
        is left out of the module's. ``stack`` means no driver, ``each`` any, and ``postgresql``
        psycopg2 and the same scenario on psycopg 3.
    """
    keys = {"stack": "no driver", "each": "any driver", "postgresql": "psycopg2"}
    named = {
        keys.get(driver, driver): tuple(f"tests.test_{name}" for name in names.split())
        for driver, names in tests.items()
    }
    if "postgresql" in tests:
        named["psycopg"] = tuple(map(_on_psycopg, named["psycopg2"]))
    return Rule(name, words, edits, named)


#: Where the scenarios of psycopg2 are played on psycopg 3, by classes of the same names.
_ON_PSYCOPG = {
    "test_postgresql": "test_psycopg_driver",
    "test_psycopg2_driver": "test_psycopg_driver",
    "test_sandbox": "test_psycopg_sandbox",
}


def _on_psycopg(name: str) -> str:
    tests, module, rest = name.split(".", 2)
    return f"{tests}.{_ON_PSYCOPG[module]}.{rest}"

"""All rules, in the order in which they are tried."""

from __future__ import annotations

from . import engines, sessions, sqlite, stack, statements, tests

__all__ = ["RULES"]

RULES = [
    *engines.RULES,
    *stack.RULES,
    *statements.RULES,
    *sessions.RULES,
    *tests.RULES,
    *sqlite.RULES,
]

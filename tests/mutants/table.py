"""All rules, in the order in which they are tried."""

from __future__ import annotations

from . import engines, stack, statements

__all__ = ["RULES"]

RULES = [*engines.RULES, *stack.RULES, *statements.RULES]

"""What was executed, as assertions look for it and messages show it, and what was swallowed."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ..errors import DatabaseTestError, StubError
from .expectations import NO_PARAMETERS, Matcher, same_parameters, with_parameters
from .statements import canonical, shortened

__all__ = ["Executed", "History", "Swallowed"]


@dataclass(frozen=True, slots=True)
class Executed:
    """A statement that was executed, or what else happened to a connection.

    :param what: ``"execute"``, ``"executemany"``, ``"commit"``, ``"rollback"`` or ``"close"``.
    :param statement: its text as the program wrote it; empty for what is no statement.
    :param params: what was given with it; of ``executemany()`` the list of all.
    :param connection: the number of the connection, from 1.
    """

    what: str
    statement: str
    params: Any
    connection: int

    def __str__(self) -> str:
        if not self.statement:
            return f"{self.what}()"
        shown = shortened(self.statement)
        return (
            shown if self.params is NO_PARAMETERS else f"{shown} -- {with_parameters(self.params)}"
        )


class History:
    """The last things that happened.

    :param keep: how many are kept; None for all.
    """

    def __init__(self, keep: int | None) -> None:
        self._kept: deque[Executed] = deque(maxlen=_checked(keep))
        #: how many there were
        self.count = 0

    def __iter__(self) -> Iterator[Executed]:
        return iter(list(self._kept))

    @property
    def keep(self) -> int | None:
        """How many are kept."""
        return self._kept.maxlen

    @keep.setter
    def keep(self, keep: int | None) -> None:
        self._kept = deque(self._kept, maxlen=_checked(keep))

    def add(self, executed: Executed) -> None:
        """Add what has happened."""
        self._kept.append(executed)
        self.count += 1

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()
        self.count = 0

    @property
    def is_whole(self) -> bool:
        """Whether nothing had to be forgotten."""
        return self.count == len(self._kept)

    def statements(self) -> list[Executed]:
        """Give the statements, without commits and the like."""
        return [each for each in self if each.statement]

    def shown(self) -> str:
        """Give what happened, for a message: a line for each, the last fifty."""
        kept = list(self._kept)
        if not kept:
            return "Nothing was executed."
        several = len({each.connection for each in kept}) > 1
        lines = [
            f"  {f'[connection {each.connection}] ' if several else ''}{each}"
            for each in kept[-50:]
        ]
        left_out = self.count - len(lines)
        if left_out:
            lines.insert(0, f"  … {left_out} more before these")
        return "\n".join(["Executed was:", *lines])


#: One is raised in the end, and a program may try again for ever.
MOST = 100


class Swallowed:
    """The errors that a stub has raised within the program, but for those that were told.

    Each counts as swallowed until it is seen where a test ends.
    """

    def __init__(self) -> None:
        self._errors: list[DatabaseTestError] = []

    def add(self, error: DatabaseTestError) -> None:
        """Note an error that the program is about to get."""
        if len(self._errors) < MOST:
            self._errors.append(error)

    def told(self, error: BaseException | None) -> None:
        """Leave out what a test ends with, and what led to that."""
        seen: set[int] = set()
        while error is not None and id(error) not in seen:  # one may be its own cause
            self._errors[:] = [each for each in self._errors if each is not error]
            seen.add(id(error))
            error = error.__cause__ or error.__context__

    def told_by(self, runner: str) -> bool:
        """Leave out what reached the module that runs the tests.

        :returns: whether something did.
        """
        count = len(self._errors)
        for error in list(self._errors):
            outermost = error.__traceback__
            if outermost and outermost.tb_frame.f_globals.get("__name__") == runner:
                self.told(error)
        return len(self._errors) < count

    def raise_first(self) -> None:
        """Raise the first that nobody has heard of, once.

        :raises DatabaseTestError: there was one, and no test has asserted it.
        """
        untold = [each for each in self._errors if not each.asserted]
        self._errors.clear()
        if untold:
            raise untold[0]


def _checked(keep: int | None) -> int | None:
    is_number = isinstance(keep, int) and not isinstance(keep, bool) and keep >= 0
    if keep is not None and not is_number:
        raise StubError(
            f"keep_history={shortened(keep, 80)} is no number of executions. Write how many are "
            f"kept for the assertions, keep_history=1000, or None for all."
        )
    return keep


def finder(matcher: Matcher, params: Any) -> Callable[[Executed], bool]:
    """Give what tells whether an execution is the one that an assertion is about.

    :param matcher: a text, a compiled pattern, or a function of the text and the parameters.
    :param params: what the parameters must be.
    """
    if isinstance(matcher, str):
        wanted = canonical(matcher)

        def is_it(executed: Executed) -> bool:
            return canonical(executed.statement) == wanted

    elif isinstance(matcher, re.Pattern):

        def is_it(executed: Executed) -> bool:
            text = executed.statement
            return bool(matcher.search(text) or matcher.search(" ".join(text.split())))

    else:

        def is_it(executed: Executed) -> bool:
            return bool(matcher(executed.statement, executed.params))

    def found(executed: Executed) -> bool:
        return is_it(executed) and same_parameters(params, executed.params)

    return found


def in_order(found: Iterable[Callable[[Executed], bool]], executed: list[Executed]) -> int:
    """Tell how many of these were executed one after the other; others may come between."""
    position = count = 0
    for is_it in found:
        while position < len(executed) and not is_it(executed[position]):
            position += 1
        if position == len(executed):
            return count
        position += 1
        count += 1
    return count

"""Errors that a test has to hear of, also where the program that got them went on."""

from __future__ import annotations

from ..errors import DatabaseTestError

__all__ = ["Swallowed"]

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

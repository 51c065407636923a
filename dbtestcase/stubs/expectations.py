"""The script of a stub: which statements come, and what each is answered."""

from __future__ import annotations

import heapq
import math
import re
from collections.abc import Callable, Iterable, Mapping
from difflib import SequenceMatcher
from typing import Any, Self
from unittest.mock import ANY

from ..errors import StubError
from .answers import Answer, Column, answer
from .statements import canonical, shortened

__all__ = [
    "NO_PARAMETERS",
    "Expectation",
    "Script",
    "parameters",
    "same_parameters",
    "with_parameters",
]


class _NoParameters:
    """Stands for the parameters of a statement that is executed without any."""

    def __repr__(self) -> str:
        return "no parameters"


NO_PARAMETERS = _NoParameters()

Matcher = str | re.Pattern[str] | Callable[..., Any]


class Expectation:
    """A statement that is expected, and its answers; made by ``stub.on()``.

    One answer is given as often as the statement comes. Several are given in turn, each once; with
    :meth:`repeats` the last of them goes on for ever. Each method returns the expectation, so that
    they can be chained:

    >>> from dbtestcase import stub_connection
    >>> with stub_connection("sqlite3.connect") as stub:
    ...     polled = stub.on("select state from job").returns([("waits",)]).returns([("done",)])
    ...     cursor = stub.connect(":memory:").cursor()
    ...     [cursor.execute("select state from job").fetchone() for _ in range(2)]
    [('waits',), ('done',)]
    >>> with stub_connection("sqlite3.connect") as stub:
    ...     doubled = stub.on("select 2 * ?", params=ANY).returns(lambda params: [(2 * params[0],)])
    ...     missing = stub.on("select * from missing").raises(LookupError("no such table"))
    ...     cursor = stub.connect(":memory:").cursor()
    ...     cursor.execute("select 2 * ?", (21,)).fetchone()
    ...     cursor.execute("select * from missing")
    Traceback (most recent call last):
        ...
    LookupError: no such table

    :param matcher: the statement's text, a compiled pattern, or a function that is given the text
        and the parameters and says whether it is the one.
    :param params: the parameters that it has; by default none, for a function any.
    """

    __slots__ = ("_answers", "_goes_on", "matcher", "params", "used")

    def __init__(self, matcher: Matcher, params: Any) -> None:
        self.matcher, self.params = matcher, params
        self.used = 0
        self._answers: list[tuple[Callable[[Any], Answer], float]] = []
        self._goes_on = False

    def returns(
        self,
        rows: Iterable[Any] | Callable[[Any], Any] | None = None,
        columns: Iterable[Column] | None = None,
        *,
        rowcount: int | None = None,
        lastrowid: int | None = None,
        sfqid: str | None = None,
        delay: float = 0,
    ) -> Self:
        """Answer with rows, or with a number of rows that were changed.

        :param rows: a list of tuples or dictionaries; or a function that is given the parameters
            and returns such a list, or a number for ``rowcount``. None for a statement that has
            no result.
        :param columns: the names of the columns, or of each the seven items of ``description``.
        :param rowcount: how many rows were changed; by default as the driver counts the rows.
        :param lastrowid: what the cursor's attribute of this name is.
        :param sfqid: the id of the query, of Snowflake.
        :param delay: seconds that pass before the answer comes.
        :raises StubError: rows that are no rows, or that do not fit the columns; an option of
            another type.
        """
        options: Any = {"rowcount": rowcount, "lastrowid": lastrowid, "query_id": sfqid}
        text = self.text()
        if callable(rows):
            function, names = rows, None if columns is None else list(columns)

            def make(params: Any) -> Answer:
                made = function(params)
                if isinstance(made, Answer):
                    return made
                if isinstance(made, int):
                    return answer(None, to=text, **{**options, "rowcount": made})
                return answer(made, names if made is not None else None, to=text, **options)

            return self._add(make, delay)
        fixed = answer(rows, columns, to=text, **options)
        return self._add(lambda params: fixed, delay)

    def raises(self, error: BaseException | type[BaseException], *, delay: float = 0) -> Self:
        """Answer with an error, as the driver would raise it.

        :param error: an exception, or its class.
        :param delay: seconds that pass before it is raised.
        :raises StubError: it is no exception, or *delay* no number of seconds.
        """
        is_class = isinstance(error, type) and issubclass(error, BaseException)
        if not is_class and not isinstance(error, BaseException):
            raise StubError(
                f'raises() for "{shortened(self.text(), 80)}" was given {shortened(error, 80)}, '
                f"which is no exception. Give one, or its class."
            )

        def make(params: Any) -> Answer:
            # the traceback of an earlier time would otherwise grow with each
            raise error if isinstance(error, type) else error.with_traceback(None)

        return self._add(make, delay)

    def repeats(self) -> Self:
        """Let the last of several answers go on for ever."""
        self._goes_on = True
        return self

    def gives(self, make: Callable[[Any], Answer]) -> Self:
        """Answer by a function that makes the whole :class:`Answer`; what replaying is made of."""
        return self._add(make, 0)

    def _add(self, make: Callable[[Any], Answer], delay: float) -> Self:
        if not isinstance(delay, int | float) or not 0 <= delay < math.inf:
            raise StubError(
                f'the answer to "{shortened(self.text(), 80)}" has delay={shortened(delay, 80)}. '
                f"Write how many seconds pass before it comes: delay=0.5."
            )
        self._answers.append((make, delay))
        return self

    # -- what the script asks

    @property
    def exhausted(self) -> bool:
        """Whether all of several answers were given."""
        count = len(self._answers)
        return count > 1 and not self._goes_on and self.used >= count

    def take(self) -> tuple[Callable[[Any], Answer], float]:
        """Give what makes the next answer, and how long that takes.

        :raises StubError: it has no answer.
        """
        if not self._answers:
            raise StubError(
                f'the expectation "{shortened(self.text(), 80)}" has no answer. Write '
                f".returns(...) or .raises(...) behind stub.on(...)."
            )
        taken = self._answers[min(self.used, len(self._answers) - 1)]
        self.used += 1
        return taken

    def matches(self, text: str, params: Any) -> bool:
        """Tell whether this is the statement; its text is known to be equal where it is a text."""
        matcher = self.matcher
        if isinstance(matcher, re.Pattern):
            if not (matcher.search(text) or matcher.search(" ".join(text.split()))):
                return False
        elif not isinstance(matcher, str):
            return bool(matcher(text, params))
        return same_parameters(self.params, params)

    def unused(self) -> str | None:
        """Say what of it never came, or None."""
        count = len(self._answers)
        if not self.used:
            return str(self)
        if count > 1 and self.used < count:
            return f"{self} (answered {self.used} of {count} times)"
        return None

    def text(self) -> str:
        """Give the statement, as messages show it."""
        matcher = self.matcher
        if isinstance(matcher, str):
            return matcher
        if isinstance(matcher, re.Pattern):
            return f"re.compile({matcher.pattern!r})"
        return f"{getattr(matcher, '__qualname__', matcher)}()"

    def __str__(self) -> str:
        if not isinstance(self.matcher, str | re.Pattern):
            return shortened(self.text())
        return f"{shortened(self.text())} -- {with_parameters(self.params)}"


class Script:
    """All expectations of a stub; the one that was added last is asked first."""

    def __init__(self) -> None:
        self._by_text: dict[str, list[Expectation]] = {}
        self._others: list[Expectation] = []

    def __len__(self) -> int:
        return len(self.all())

    def all(self) -> list[Expectation]:
        """Give all expectations, those by text first."""
        return [each for group in self._by_text.values() for each in group] + self._others

    def add(self, expected: Expectation) -> None:
        """Add one; it takes the place of one with the same statement and parameters."""
        if isinstance(expected.matcher, str):
            group = self._by_text.setdefault(canonical(expected.matcher), [])
        else:
            group = self._others
        for position, each in enumerate(group):
            if _is_same(each, expected):
                del group[position]
                break
        group.append(expected)

    def find(self, text: str, params: Any) -> Expectation | None:
        """Find the expectation that answers an execution, or None.

        An exact text goes before patterns and functions.
        """
        for each in reversed(self._by_text.get(canonical(text), ())):
            if not each.exhausted and same_parameters(each.params, params):
                return each
        for each in reversed(self._others):
            if not each.exhausted and each.matches(text, params):
                return each
        return None

    def nearest(self, text: str, count: int = 3) -> list[Expectation]:
        """Give the expectations whose statements are most like a text."""
        wanted = canonical(text)[:2000]
        matcher = SequenceMatcher(b=wanted, autojunk=False)
        scored = []
        for number, each in enumerate(self.all()):
            matcher.set_seq1(canonical(each.text())[:2000])
            scored.append((matcher.quick_ratio(), -number, each))
        best = []
        for quick, number, each in heapq.nlargest(3 * count, scored):
            if quick > 0.4:
                matcher.set_seq1(canonical(each.text())[:2000])
                best.append((matcher.ratio(), number, each))
        return [each for _, _, each in heapq.nlargest(count, best)]

    def shown_for(self, text: str, params: Any) -> str:
        """Show a statement that nothing answers, for a message, with what is near it."""
        shown = [f"  {shortened(text)}", f"  {with_parameters(params)}"]
        count = len(self)
        near = self.nearest(text)
        if not count:
            shown.append("It has no expectations at all.")
        elif near:
            shown.append(f"The nearest of its {count} expectations:")
            for each in near:
                given = " (all its answers were given)" if each.exhausted else ""
                shown.append(f"  {each}{given}")
        else:
            shown.append(f"None of its {count} expectations is like it.")
        shown.append(
            "Script it by stub.on(statement, params=...).returns(...), or correct the program."
        )
        return "\n".join(shown)


def same_parameters(expected: Any, given: Any) -> bool:
    """Tell whether the parameters of an execution are those that were expected.

    >>> same_parameters((1, ANY), [1, object()]), same_parameters((1,), (2,))
    (True, False)

    :param expected: a sequence or mapping, ``ANY``, or ``NO_PARAMETERS``. ``ANY`` may also stand
        for one of the values.
    :param given: what was given to ``execute()``, or the list of what was given to
        ``executemany()``.
    """
    if expected is ANY or expected is given:
        return True
    if expected is NO_PARAMETERS or given is NO_PARAMETERS:
        return False
    if isinstance(expected, list | tuple) and isinstance(given, list | tuple):
        return len(expected) == len(given) and all(map(same_parameters, expected, given))
    if isinstance(expected, Mapping) and isinstance(given, Mapping):
        return expected.keys() == given.keys() and all(
            same_parameters(expected[key], given[key]) for key in expected
        )
    try:
        return bool(expected == given)
    except Exception:  # of arrays, for example, that compare item by item
        return False


def parameters(given: Any) -> Any:
    """Give ``NO_PARAMETERS`` for what a driver takes for none, else what was given."""
    if given is None or (isinstance(given, list | tuple | dict) and not given):
        return NO_PARAMETERS
    return given


def with_parameters(params: Any) -> str:
    """Say in a message which parameters there are."""
    if params is ANY:
        return "with any parameters"
    if params is NO_PARAMETERS:
        return "without parameters"
    return f"with the parameters {shortened(params)}"


def _is_same(one: Expectation, other: Expectation) -> bool:
    if type(one.matcher) is not type(other.matcher):
        return False
    if not isinstance(one.matcher, str) and one.matcher != other.matcher:
        return False
    if one.params is other.params:
        return True
    if one.params is ANY or other.params is ANY:
        return False
    # (ANY,) equals (1,), and is not the same
    return same_parameters(one.params, other.params) and repr(one.params) == repr(other.params)

"""The same checks of a connection on a real driver and on its stub, whose answers must be equal.

Each check is a function that is given a :class:`Bench`. All that it asks is noted: what a call
returned, or the class and text of the error that it raised. Which answers are right is not
written here; the real driver knows.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

#: What the statements of the checks answer: (rows, columns, rowcount).
ROWS = [(1, "one"), (2, "two"), (3, None)]
SELECT = "SELECT id, name FROM item ORDER BY id"
NONE = "SELECT id, name FROM item WHERE id > 100"
COUNT = "SELECT count(*) AS n FROM item"
INSERT = "INSERT INTO item (id, name) VALUES ({0}, {0})"
BY_ID = "SELECT name FROM item WHERE id = {0}"
ONE = "INSERT INTO item (id) VALUES ({0})"
UPDATE = "UPDATE item SET name = name"
CREATE = "CREATE TABLE other (id int)"
WRONG = "SELECT nothing FROM nowhere"
#: Statements and parameters that may not fit each other, for each way to write placeholders.
BOUND: dict[str, list[tuple[str, Any]]] = {
    "?": [
        ("SELECT ?", ()),
        ("SELECT ?", (1, 2)),
        ("SELECT ?, ?", (1,)),
        ("SELECT ?", 5),
        ("SELECT ?", None),
        ("SELECT ?", {1}),
        ("SELECT ?", "a"),
        ("SELECT ?", "pen"),
        ("SELECT ?", {"a": 1}),
        ("SELECT ?", (object(),)),
        ("SELECT ?", (bytearray(b"a"),)),
        ("SELECT ?2, ?1", (1, 2)),
        ("SELECT ?2", (1,)),
        ("SELECT '?', ?, \"?\" FROM item -- ?", (1, 2)),
        ("SELECT :a, :b, @a, $b", {"a": 1, "b": 2, "c": 3, "d": 4}),
        ("SELECT :a, :a", {"a": 1}),
        ("SELECT :a", {}),
        ("SELECT :a", {"b": 1}),
        ("SELECT :a", {"a": object()}),
        ("SELECT 1", (1,)),
        ("SELECT 1; SELECT 2", ()),
        ("", ()),
        (" -- nothing", ()),
    ],
    "%s": [
        ("SELECT %s", (1, 2)),
        ("SELECT %s, %s", (1,)),
        ("SELECT %s", 5),
        ("SELECT %s", "a"),
        ("SELECT %s", "pen"),
        ("SELECT %(a)s", (1,)),
        ("SELECT %(a)s", {"b": 1}),
        ("SELECT %(a)s", {"a": 1, "b": 2}),
        ("SELECT 1", {"a": 1}),
        ("SELECT '%'", (1,)),
        ("SELECT 5 % 2", (1,)),
        ("SELECT '%%', %s", (1,)),
        ("SELECT %", (1,)),
        ("SELECT %b", (1,)),
    ],
}
SETUP = [
    "CREATE TABLE item (id int, name varchar(10))",
    "INSERT INTO item (id, name) VALUES (1, 'one'), (2, 'two'), (3, NULL)",
]


@dataclass
class Bench:
    """A driver or its stub: makes connections, and keeps what was noted.

    :param connect: gives a new connection to a database that holds ``ROWS``.
    :param mark: the placeholder of the driver.
    """

    connect: Callable[..., Any]
    mark: str = "%s"
    notes: list[Any] = field(default_factory=list)

    def note(self, label: str, call: Callable[[], Any]) -> Any:
        """Call, and keep the answer or the error."""
        try:
            value = call()
        except Exception as error:
            # the classes that PEP 249 names, by which programs catch them
            bases = [c.__name__ for c in type(error).__mro__ if c.__name__.endswith("Error")]
            text = str(error).splitlines()[0] if str(error) else ""
            self.notes.append((label, "raises", bases, text))
            return None
        self.notes.append((label, value if _plain(value) else type(value).__name__))
        return value

    def sql(self, statement: str) -> str:
        return statement.format(self.mark)


def _plain(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_plain, value))
    if isinstance(value, dict):
        return all(map(_plain, value.values()))
    return value is None or isinstance(value, str | int | float | bytes | bool)


Check = Callable[[Bench], None]
CHECKS: dict[str, Check] = {}


def check(function: Check) -> Check:
    CHECKS[function.__name__] = function
    return function


@contextlib.contextmanager
def opened(bench: Bench) -> Iterator[tuple[Any, Any]]:
    """Give a connection and a cursor, and see to it that both are closed."""
    connection = bench.connect()
    try:
        yield connection, connection.cursor()
    finally:
        with contextlib.suppress(Exception):
            connection.close()


@check
def before_execute(bench: Bench) -> None:
    """A new cursor knows nothing."""
    with opened(bench) as (_, cursor):
        for name in ("description", "rowcount", "arraysize"):
            bench.note(name, lambda name=name: getattr(cursor, name))  # type: ignore[misc]
        bench.note("fetchone", cursor.fetchone)
        bench.note("fetchmany", cursor.fetchmany)
        bench.note("fetchmany 2", lambda: cursor.fetchmany(2))
        bench.note("fetchall", cursor.fetchall)
        bench.note("iterate", lambda: list(cursor))


@check
def fetchone(bench: Bench) -> None:
    """Rows come one by one, and then None for ever."""
    with opened(bench) as (_, cursor):
        cursor.execute(SELECT)
        for _ in range(5):
            bench.note("fetchone", cursor.fetchone)
        bench.note("fetchall", cursor.fetchall)
        bench.note("fetchmany", cursor.fetchmany)


@check
def fetchmany(bench: Bench) -> None:
    """``arraysize`` is how many come at once, where no number is given."""
    with opened(bench) as (_, cursor):
        cursor.execute(SELECT)
        bench.note("fetchmany", cursor.fetchmany)
        cursor.arraysize = 2
        bench.note("arraysize", lambda: cursor.arraysize)
        bench.note("fetchmany", cursor.fetchmany)
        bench.note("fetchmany", cursor.fetchmany)
        cursor.execute(SELECT)
        bench.note("fetchmany 0", lambda: cursor.fetchmany(0))
        bench.note("fetchmany 10", lambda: cursor.fetchmany(10))
        bench.note("fetchmany by name", lambda: cursor.fetchmany(size=1))
        cursor.execute(SELECT)
        bench.note("fetchmany -1", lambda: cursor.fetchmany(-1))
        bench.note("fetchall", cursor.fetchall)


@check
def fetchall(bench: Bench) -> None:
    """All that is left comes at once."""
    with opened(bench) as (_, cursor):
        cursor.execute(SELECT)
        bench.note("fetchone", cursor.fetchone)
        bench.note("fetchall", cursor.fetchall)
        bench.note("fetchall", cursor.fetchall)
        cursor.execute(NONE)
        bench.note("none", cursor.fetchall)
        bench.note("rowcount", lambda: cursor.rowcount)


@check
def iterate(bench: Bench) -> None:
    """A cursor is its own iterator."""
    with opened(bench) as (_, cursor):
        cursor.execute(SELECT)
        bench.note("is its own", lambda: iter(cursor) is cursor)
        bench.note("next", lambda: next(cursor))
        bench.note("rest", lambda: list(cursor))
        bench.note("again", lambda: list(cursor))


@check
def description(bench: Bench) -> None:
    """Columns are described by seven items each, the name first."""
    with opened(bench) as (_, cursor):
        cursor.execute(SELECT)
        bench.note("names", lambda: [column[0] for column in cursor.description])
        bench.note("items", lambda: [len(column) for column in cursor.description])
        bench.note("types", lambda: [column[1] for column in cursor.description])
        bench.note("class", lambda: type(cursor.description).__name__)
        bench.note("column", lambda: type(cursor.description[0]).__name__)
        cursor.fetchall()
        bench.note("after", lambda: [column[0] for column in cursor.description])
        bench.note("set", lambda: setattr(cursor, "description", None))
        bench.note("set rowcount", lambda: setattr(cursor, "rowcount", 1))
        cursor.execute(COUNT)
        bench.note("count", lambda: [column[0] for column in cursor.description])


@check
def rowcount(bench: Bench) -> None:
    """How many rows were found or changed, where the driver tells."""
    with opened(bench) as (_, cursor):
        cursor.execute(SELECT)
        bench.note("select", lambda: cursor.rowcount)
        cursor.fetchall()
        bench.note("fetched", lambda: cursor.rowcount)
        cursor.execute(UPDATE)
        bench.note("update", lambda: cursor.rowcount)
        cursor.execute(CREATE)
        bench.note("create", lambda: cursor.rowcount)


@check
def no_result(bench: Bench) -> None:
    """After a statement without rows there is nothing to fetch."""
    with opened(bench) as (_, cursor):
        cursor.execute(UPDATE)
        bench.note("description", lambda: cursor.description)
        bench.note("fetchone", cursor.fetchone)
        bench.note("fetchmany", cursor.fetchmany)
        bench.note("fetchall", cursor.fetchall)
        bench.note("iterate", lambda: list(cursor))


@check
def what_execute_returns(bench: Bench) -> None:
    """Some drivers give the cursor, some give None."""
    with opened(bench) as (_, cursor):
        bench.note("execute", lambda: cursor.execute(SELECT) is cursor)
        bench.note("executemany", lambda: cursor.executemany(*many(bench)) is cursor)


def many(bench: Bench) -> tuple[str, Any]:
    return bench.sql(INSERT), [(4, "four"), (5, "five")]


@check
def parameters(bench: Bench) -> None:
    """Parameters are given as a tuple or a list."""
    with opened(bench) as (_, cursor):
        cursor.execute(bench.sql(BY_ID), (1,))
        bench.note("tuple", cursor.fetchall)
        cursor.execute(bench.sql(BY_ID), [2])
        bench.note("list", cursor.fetchall)


@check
def executemany(bench: Bench) -> None:
    """A statement is run for each set of parameters."""
    with opened(bench) as (_, cursor):
        bench.note("list", lambda: bool(cursor.executemany(*many(bench))))
        bench.note("rowcount", lambda: cursor.rowcount)
        bench.note("description", lambda: cursor.description)
        statement, sets = many(bench)
        bench.note("generator", lambda: bool(cursor.executemany(statement, (s for s in sets))))
        bench.note("rowcount", lambda: cursor.rowcount)
        bench.note("fetchall", cursor.fetchall)


@check
def error(bench: Bench) -> None:
    """After an error the cursor has no rows."""
    with opened(bench) as (connection, cursor):
        cursor.execute(SELECT)
        bench.note("execute", lambda: cursor.execute(WRONG))
        connection.rollback()
        bench.note("fetchone", cursor.fetchone)
        bench.note("description", lambda: cursor.description is None)
        bench.note("rowcount", lambda: cursor.rowcount)


@check
def closed_cursor(bench: Bench) -> None:
    """A closed cursor does nothing any more."""
    with opened(bench) as (connection, cursor):
        cursor.execute(SELECT)
        bench.note("close", cursor.close)
        bench.note("close again", cursor.close)
        bench.note("execute", lambda: cursor.execute(SELECT))
        bench.note("executemany", lambda: cursor.executemany(*many(bench)))
        bench.note("fetchone", cursor.fetchone)
        bench.note("fetchmany", cursor.fetchmany)
        bench.note("fetchall", cursor.fetchall)
        bench.note("iterate", lambda: list(cursor))
        bench.note("description", lambda: cursor.description is None)
        bench.note("rowcount", lambda: cursor.rowcount)
        bench.note("another", lambda: connection.cursor().execute(SELECT) is None)


@check
def closed_connection(bench: Bench) -> None:
    """A closed connection does nothing any more, nor do its cursors."""
    with opened(bench) as (connection, cursor):
        cursor.execute(SELECT)
        cursor.fetchone()
        bench.note("close", connection.close)
        bench.note("close again", connection.close)
        bench.note("cursor", connection.cursor)
        bench.note("commit", connection.commit)
        bench.note("rollback", connection.rollback)
        bench.note("execute", lambda: cursor.execute(SELECT))
        bench.note("executemany", lambda: cursor.executemany(*many(bench)))
        bench.note("fetchone", cursor.fetchone)
        bench.note("fetchall", cursor.fetchall)
        bench.note("close cursor", cursor.close)


@check
def transactions(bench: Bench) -> None:
    """commit() and rollback() return nothing, and leave the connection open."""
    with opened(bench) as (connection, cursor):
        cursor.execute(UPDATE)
        bench.note("commit", connection.commit)
        bench.note("commit again", connection.commit)
        bench.note("rollback", connection.rollback)
        cursor.execute(SELECT)
        bench.note("usable", cursor.fetchone)


@check
def with_connection(bench: Bench) -> None:
    """What ``with connection`` gives, and whether it closes."""
    connection = bench.connect()

    def enter() -> bool:
        with connection as entered:
            return entered is connection

    bench.note("with", enter)
    bench.note("usable", lambda: connection.cursor().execute(SELECT) is None)
    with contextlib.suppress(Exception):
        connection.close()


@check
def with_connection_and_error(bench: Bench) -> None:
    """An error goes on through ``with connection``."""
    connection = bench.connect()

    def enter() -> None:
        with connection:
            raise LookupError("of the program")

    bench.note("with", enter)
    bench.note("usable", lambda: connection.cursor().execute(SELECT) is None)
    with contextlib.suppress(Exception):
        connection.close()


@check
def with_closed_connection(bench: Bench) -> None:
    """A closed connection cannot be entered, in most drivers."""
    connection = bench.connect()
    connection.close()

    def enter() -> None:
        with connection:
            pass

    bench.note("with", enter)


@check
def with_cursor(bench: Bench) -> None:
    """Whether a cursor is a context manager, and closes."""
    with opened(bench) as (connection, _):

        def enter() -> bool:
            with connection.cursor() as cursor:
                cursor.execute(SELECT)
            return bool(cursor.fetchall())

        bench.note("with", enter)


@check
def rest_of_pep_249(bench: Bench) -> None:
    """Methods that few programs call."""
    with opened(bench) as (connection, cursor):
        bench.note("setinputsizes", lambda: cursor.setinputsizes([10]))
        bench.note("setoutputsize", lambda: cursor.setoutputsize(10))
        bench.note("setoutputsize column", lambda: cursor.setoutputsize(10, 1))
        bench.note("connection", lambda: cursor.connection is connection)
        bench.note("lastrowid", lambda: cursor.lastrowid)
        cursor.execute(SELECT)
        for name in ("rownumber", "messages", "arraysize"):
            bench.note(name, lambda name=name: getattr(cursor, name))  # type: ignore[misc]
        cursor.fetchone()
        bench.note("rownumber", lambda: cursor.rownumber)
        cursor.fetchall()
        bench.note("rownumber", lambda: cursor.rownumber)
        bench.note("nextset", lambda: cursor.nextset())


@check
def wrong_arguments(bench: Bench) -> None:
    """What no driver accepts."""
    with opened(bench) as (_, cursor):
        for label, call in {
            "execute": lambda: cursor.execute(),
            "executemany": lambda: cursor.executemany(SELECT),
            "fetchmany": lambda: cursor.fetchmany(1, 2),
        }.items():
            try:
                call()
                bench.notes.append((label, "passes"))
            except TypeError:
                bench.notes.append((label, "TypeError"))
            except Exception as error:
                bench.notes.append((label, type(error).__name__))


def play(bench: Bench, name: str) -> list[Any]:
    """Run a check and give what was noted."""
    bench.notes = []
    CHECKS[name](bench)
    return bench.notes


@check
def unfit_parameters(bench: Bench) -> None:
    """What does not fit the placeholders is refused by the driver itself."""
    with opened(bench) as (_, cursor):
        for statement, given in BOUND[bench.mark]:
            bench.note(
                f"{statement} with {given}",
                lambda statement=statement, given=given: bool(cursor.execute(statement, given)),  # type: ignore[misc]
            )
    with opened(bench) as (_, cursor):
        cursor.execute(COUNT)
        bench.note("refused", lambda: cursor.execute(*BOUND[bench.mark][1]))
        for name in ("description", "rowcount"):
            bench.note(name, lambda name=name: getattr(cursor, name))  # type: ignore[misc]
        bench.note("fetchall", cursor.fetchall)


@check
def unfit_parameters_of_many(bench: Bench) -> None:
    """So is each set of ``executemany()``."""
    with opened(bench) as (_, cursor):
        for given in ([(1,), (1, 2)], [(1, 2)], [5], 5):
            bench.note(
                f"executemany with {given}",
                lambda given=given: bool(cursor.executemany(bench.sql(ONE), given)),  # type: ignore[misc]
            )

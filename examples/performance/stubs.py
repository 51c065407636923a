"""What scripted connections cost: ``python -m examples.performance.stubs``.

A statement is executed and its rows fetched, in a script of 100 expectations, for each style. A
function is put in the place of another one, and back, with 1,500 modules loaded: for the first time
in a process, after something was imported, and when nothing has changed since the last stub. Ends
with an error if an execution takes over 20 microseconds, or either half of a stub's life over 30
milliseconds.
"""

from __future__ import annotations

import gc
import statistics
import sys
import time
import types
from collections.abc import Callable

from dbtestcase import stub_connection

EXPECTATIONS, TIMES, ROUNDS, MODULES = 100, 2000, 7, 1500
EXECUTE_LIMIT, PATCH_LIMIT = 20e-6, 30e-3

SOURCE = """
import driver_of_example
{imported}

def function_{number}(a, b=1, *, c=2):
    return a

class Class_{number}:
    attribute = {number}

    def method(self, x=None):
        return x

    def other(self, **kwargs):
        return kwargs

def outer(function):
    def inner(*args):
        return function(*args)
    return inner

table = dict(a=1, b=[2, 3])
functions = [outer(outer) for _ in range(12)]
pairs = [(number, [number]) for number in range(12)]
"""


def median(call: Callable[[], object], times: int) -> float:
    """Call, and give the median of the times that it took."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        call()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def executing(style: str) -> float:
    """Give what execute() and fetchall() of a scripted statement take."""
    with stub_connection("driver_of_example.connect", style=style, keep_history=100) as stub:
        for number in range(EXPECTATIONS):
            stub.on(f"SELECT id, name FROM item WHERE id = {number}").returns(
                [(number, "one"), (number, "two")], columns=["id", "name"]
            )
        stub.strict = False
        cursor = stub.connect(database="shop").cursor()

        def execute() -> None:
            cursor.execute("SELECT id, name FROM item WHERE id = 50")
            cursor.fetchall()

        return min(median(execute, TIMES) for _ in range(ROUNDS))


def patching(*, changes: bool) -> tuple[float, float]:
    """Give what it takes to put a stub in, and to put back what it stands for.

    :param changes: whether a module is imported before either.
    """
    starts, stops = [], []
    for _ in range(ROUNDS):
        stub = stub_connection("driver_of_example.connect")
        if changes:
            import_another()
        started = time.perf_counter()
        stub.start()
        starts.append(time.perf_counter() - started)
        if changes:
            import_another()
        started = time.perf_counter()
        stub.stop()
        stops.append(time.perf_counter() - started)
    return statistics.median(starts), statistics.median(stops)


def import_another() -> None:
    """Import a module that has the driver's function."""
    module = types.ModuleType(f"module_of_example_{len(sys.modules)}")
    exec("from driver_of_example import connect", module.__dict__)
    sys.modules[module.__name__] = module


def make_modules() -> None:
    """Have as many modules as a large program, of which some import the driver's function."""
    driver = types.ModuleType("driver_of_example")
    exec("def connect(**options):\n    raise AssertionError('the real one')", driver.__dict__)
    sys.modules[driver.__name__] = driver
    imports = (
        "from driver_of_example import connect",
        "from driver_of_example import connect as name",
        "class Api:\n    connect = driver_of_example.connect",
    )
    number = 0
    while len(sys.modules) < MODULES:
        module = types.ModuleType(f"module_of_example_{number}")
        imported = imports[number // 100 % 3] if number % 100 == 0 else ""
        exec(SOURCE.format(number=number, imported=imported), module.__dict__)
        sys.modules[module.__name__] = module
        number += 1


def main() -> int:
    """Measure, and return 1 if a limit does not hold."""
    make_modules()
    results = []
    for style in ("pep249", "psycopg2", "snowflake", "sqlite3"):
        taken = executing(style)
        results.append(taken <= EXECUTE_LIMIT)
        print(
            f"{style}: execute and fetchall {taken * 1e6:.1f} µs "
            f"(at most {EXECUTE_LIMIT * 1e6:.0f})"
        )
    gc.collect()
    print(f"{len(sys.modules)} modules, {len(gc.get_objects())} objects")
    for where in ("modules and a class", "default arguments as well"):
        for when, changes in (("something was imported", True), ("nothing was", False)):
            start, stop = patching(changes=changes)
            results.append(max(start, stop) <= PATCH_LIMIT)
            print(
                f"held by {where}, {when}: {start * 1e3:.2f} ms to put in, {stop * 1e3:.2f} ms to "
                f"put back (at most {PATCH_LIMIT * 1e3:.0f})"
            )
        default = "def default(connect=driver_of_example.connect):\n    return connect"
        exec(default, vars(sys.modules["module_of_example_0"]))
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())

"""What putting sequences back costs: ``python -m examples.performance.sequences``.

A database of 100 tables, each with an ``id`` from a sequence. Every test writes to three of
them. The same tests run with and without ``reset_sequences``, in turns, and what is compared is
the time that the end of a test takes. Ends with an error if putting back takes over 0.1 ms, or
if a test that did not touch the database sends anything.
"""

from __future__ import annotations

import statistics
import sys
import time

import sqlalchemy as sa

from dbtestcase.databases import lease, release_all
from dbtestcase.engines import redirect
from dbtestcase.sandbox import Sandbox, open_sandbox
from dbtestcase.schemas import MetadataSchema
from dbtestcase.settings import choose

TABLES, WRITTEN, ROUNDS, TESTS = 100, 3, 15, 40
LIMIT = 0.1e-3

metadata = sa.MetaData()
tables = [
    sa.Table(
        f"item_{number}",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text),
    )
    for number in range(TABLES)
]


class Contender:
    """One way to run the tests, on an engine and a sandbox of its own."""

    def __init__(self, url: sa.URL, *, class_data: bool, reset_sequences: bool) -> None:
        self.engine = sa.create_engine(url)
        self.sandbox: Sandbox = open_sandbox(url, reset_sequences=reset_sequences)
        self.ends: list[float] = []
        self.ids: set[int] = set()
        self._undo = redirect(self.engine, self.sandbox)
        if class_data:
            with self.engine.begin() as connection:
                connection.execute(tables[-1].insert(), {"name": "of the class"})
        else:
            self.engine.connect().close()
        self.sandbox.freeze()

    def run(self, tests: int) -> None:
        for _ in range(tests):
            self.sandbox.begin_test()
            with self.engine.begin() as connection:
                for table in tables[:WRITTEN]:
                    inserted = connection.execute(table.insert(), {"name": "of the test"})
            assert inserted.inserted_primary_key is not None
            self.ids.add(inserted.inserted_primary_key[0])
            started = time.perf_counter()
            self.sandbox.end_test()
            self.ends.append(time.perf_counter() - started)

    def messages_of_an_idle_test(self) -> int:
        before = self.sandbox.wire.messages  # type: ignore[attr-defined]
        self.sandbox.begin_test()
        self.sandbox.end_test()
        return int(self.sandbox.wire.messages - before)  # type: ignore[attr-defined]

    def close(self) -> None:
        self._undo()
        self.sandbox.close()
        self.engine.dispose()


def measure(url: sa.URL, *, class_data: bool) -> bool:
    """Print the figures of one way to begin a test, and return whether they hold."""
    medians: dict[bool, list[float]] = {True: [], False: []}
    idle = 0
    for _ in range(ROUNDS):
        # one after the other, as two outer transactions would wait for each other's locks
        for reset in (True, False):
            contender = Contender(url, class_data=class_data, reset_sequences=reset)
            contender.run(5)
            contender.ends.clear()
            contender.run(TESTS)
            medians[reset].append(statistics.median(contender.ends))
            # the others go on from where the last one without has left them
            assert not reset or len(contender.ids) == 1, "each test must get the same ids"
            idle += contender.messages_of_an_idle_test()
            contender.close()
    put_back, plain = (statistics.median(medians[reset]) for reset in (True, False))
    extra = statistics.median(
        one - other for one, other in zip(medians[True], medians[False], strict=True)
    )
    print(
        f"{'with' if class_data else 'without'} class data: end of a test "
        f"{plain * 1e3:.3f} ms without, {put_back * 1e3:.3f} ms with sequences put back; "
        f"{extra * 1e3:+.3f} ms (at most {LIMIT * 1e3:.1f}); "
        f"{idle} messages for {2 * ROUNDS} tests that did not touch the database"
    )
    return extra <= LIMIT and idle == 0


def main() -> int:
    """Measure on the database that the settings choose, which must be PostgreSQL."""
    held = lease(choose("postgresql"))
    held.prepare(MetadataSchema(metadata))
    held.spoil()  # the contender without reset_sequences leaves them where they are
    try:
        results = [measure(held.url, class_data=class_data) for class_data in (True, False)]
    finally:
        release_all()
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())

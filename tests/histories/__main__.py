"""``python -m tests.histories --count 20000 --seed 1``: check many histories."""

from __future__ import annotations

import argparse
import logging
import sys

from .check import Tally
from .drivers import DRIVERS
from .prototype import PrototypeStage, find
from .run import Report, run
from .sqlite_stages import SQLiteDatabases
from .stages import PostgreSQLDatabases


def main() -> int:
    """Check, print what was found, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.histories",
        description="Draw random histories of two or three connections, play each on real "
        "connections and in a sandbox, and compare what came of it. The exit code is 1 if the "
        "sandbox was silently wrong in one of them, which is then printed as short as it can be.",
    )
    parser.add_argument(
        "--count",
        type=int,
        default=300,
        help="So many histories are drawn; by default 300. On one CPU 1,000 take half a minute.",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=1,
        help="The same seed draws the same histories, by default those of seed 1.",
    )
    parser.add_argument(
        "--first",
        type=int,
        default=0,
        metavar="NUMBER",
        help="The histories before this number are left out: to play one once more, give the "
        "seed and the number that were printed with it, and --count 1.",
    )
    parser.add_argument(
        "--driver",
        choices=sorted(DRIVERS),
        default="psycopg2",
        help="They are played on this driver, by default on psycopg2; sqlite3 is SQLite, the "
        "others PostgreSQL.",
    )
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument(
        "--web",
        action="store_true",
        help="The histories are like the tests of a web application, in which conflicts should "
        "be rare: a session of the test's own that mostly reads, and requests.",
    )
    kinds.add_argument(
        "--threads",
        action="store_true",
        help="Two to four actors play at once, in threads of their own, and only what they leave "
        "is compared.",
    )
    parser.add_argument(
        "--keep-going",
        action="store_true",
        help="The run goes on after a difference; else it ends there.",
    )
    parser.add_argument(
        "--prototype",
        nargs="?",
        const="",
        metavar="FOLDER",
        help="The histories are also played in the prototype that lies in this folder, and its "
        "figures are printed to compare with.",
    )
    options = parser.parse_args()
    # pools tell of sessions that are ended here because nobody else could
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL + 1)
    kind = SQLiteDatabases if options.driver == "sqlite3" else PostgreSQLDatabases
    others = Tally()
    with kind(DRIVERS[options.driver]) as databases:
        if options.prototype is not None:
            if options.driver != "psycopg2":
                parser.error("the prototype knows psycopg2 only")
            folder = find(options.prototype)
            databases.make_other = lambda url: (
                PrototypeStage(url, DRIVERS["psycopg2"], folder),
                others,
            )
        report = run(
            databases,
            options.count,
            options.seed,
            first=options.first,
            kind="threads" if options.threads else "web" if options.web else "mixed",
            stop=not options.keep_going,
            tell=lambda text: print(text, flush=True),
            progress=_tell_of_progress,
        )
    print(report)
    if options.prototype is not None:
        print("\nThe prototype:", Report(others), sep="\n")
    return 1 if report.differences else 0


def _tell_of_progress(report: Report) -> None:
    done, differ = report.tally["histories"], len(report.differences)
    said = f"{done} histories in {report.seconds:.0f} s, {differ} differ"
    print(said, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

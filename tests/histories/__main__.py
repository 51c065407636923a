"""``python -m tests.histories --count 20000 --seed 1``: check many histories."""

from __future__ import annotations

import argparse
import sys

from .check import Tally
from .drivers import DRIVERS
from .prototype import PrototypeStage, find
from .run import Report, run
from .sqlite_stages import SQLiteDatabases
from .stages import PostgreSQLDatabases


def main() -> int:
    """Check, print what was found, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.histories", description=__doc__)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--driver", choices=sorted(DRIVERS), default="psycopg2")
    parser.add_argument("--web", action="store_true", help="histories like those of a web test")
    parser.add_argument("--threads", action="store_true", help="two to four threads at once")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at a difference")
    parser.add_argument(
        "--prototype",
        nargs="?",
        const="",
        metavar="FOLDER",
        help="play them in the prototype, too, and print its figures",
    )
    options = parser.parse_args()
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

"""``python -m tests.histories --count 20000 --seed 1``: check many histories."""

from __future__ import annotations

import argparse
import sys

from .drivers import DRIVERS
from .run import run
from .sqlite_stages import SQLiteDatabases
from .stages import PostgreSQLDatabases


def main() -> int:
    """Check, print what was found, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.histories", description=__doc__)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--driver", choices=sorted(DRIVERS), default="psycopg2")
    parser.add_argument("--web", action="store_true", help="histories like those of a web test")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at a difference")
    options = parser.parse_args()
    kind = SQLiteDatabases if options.driver == "sqlite3" else PostgreSQLDatabases
    with kind(DRIVERS[options.driver]) as databases:
        report = run(
            databases,
            options.count,
            options.seed,
            web=options.web,
            stop=not options.keep_going,
            tell=lambda text: print(text, flush=True),
        )
    print(report)
    return 1 if report.differences else 0


if __name__ == "__main__":
    sys.exit(main())

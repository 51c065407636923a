"""``python -m examples.performance``: what a test costs, beside what else there is.

Ends with an error where a limit is passed. The figures of the README come from here. Run it on
a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import sys
import time

from . import long_runs
from .comparison import compare, prepared
from .limits import figures_table, limits, limits_table


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; return 1 where a limit is passed."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.performance", description=__doc__.partition("\n\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=9, help="how often all take turns")
    parser.add_argument(
        "--quick", action="store_true", help="fewer tests, and no long runs: for a first look"
    )
    options = parser.parse_args(arguments)
    started = time.monotonic()
    with prepared() as pins:
        rounds, share = (3, 0.5) if options.quick else (options.rounds, 1.0)
        figures = compare(pins, rounds=rounds, share=share)
    print(*figures_table(figures), sep="\n")
    runs = {} if options.quick else {name: long_runs.measure(name) for name in long_runs.RUNS}
    found = list(limits(figures, runs))
    print(*limits_table(found), sep="\n")
    passed = [each for each in found if not each.holds]
    verdict = f"{len(passed)} of {len(found)} limits NOT HELD" if passed else "all limits held"
    print(f"\n{verdict}, after {time.monotonic() - started:.0f} s")
    return 1 if passed else 0


if __name__ == "__main__":
    sys.exit(main())

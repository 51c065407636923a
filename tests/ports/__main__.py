"""Print what becomes of each bug of the blog under each base, and what the port costs.

The rounds of the port and of the recipe are run in turns, over the tests that pass in both. Ends
with an error where a bug is not found that production shows, or a transaction costs too much.
"""

from __future__ import annotations

import argparse
import difflib
import statistics
import sys
import time
from collections.abc import Sequence

from .bugs import BUGS
from .copies import HERE, Workshop, run
from .figures import tallied

#: How often the port and the recipe are timed, unless one says otherwise.
ROUNDS = 7
BASES = ("production", "port", "original", "recipe")


def print_difference() -> None:
    """Print what the port changes in the text of the suite."""
    original, port = HERE / "suite" / "base.py", HERE / "bases" / "port.py"
    lines = difflib.unified_diff(
        original.read_text().splitlines(), port.read_text().splitlines(), lineterm="", n=0
    )
    print("The port, in suite/base.py:", *lines, sep="\n")


def print_bugs(workshop: Workshop) -> bool:
    """Print which bugs are found, and return whether the port finds those of production."""
    tests = {test for bug in BUGS for test in bug.tests}
    right = {base: run(workshop.copy(base), tests).of for base in BASES}
    wrong = {base: run(workshop.copy(base, BUGS), tests).of for base in BASES}
    print(f"\n{'bug':52}" + "".join(f"{base:>12}" for base in BASES))
    same = True
    for bug in BUGS:
        found = {
            base: any(wrong[base][test] != right[base][test] for test in bug.tests)
            for base in BASES
        }
        same &= found["production"] and found["port"]
        print(
            f"{bug.name:52}"
            + "".join(f"{'found' if found[base] else 'hidden':>12}" for base in BASES)
        )
    return same


def print_messages(workshop: Workshop) -> bool:
    """Print what the port sends, and return whether that is as little as promised."""
    with tallied() as tally:
        run(workshop.copy("port"))
    print("", *tally.table(), sep="\n")
    return not tally.too_many()


def print_times(workshop: Workshop, rounds: int) -> None:
    """Print how long the same tests take as a port and under the recipe."""
    contenders = {base: workshop.copy(base) for base in ("port", "recipe")}
    passed = [
        {test for test, outcome in run(classes).of.items() if outcome == "ok"}
        for classes in contenders.values()
    ]
    tests = set.intersection(*passed)
    seconds: dict[str, list[float]] = {base: [] for base in contenders}
    for _ in range(rounds):
        for base, classes in contenders.items():
            started = time.perf_counter()
            run(classes, tests)
            seconds[base].append(time.perf_counter() - started)
    ratios = [ours / theirs for ours, theirs in zip(*seconds.values(), strict=True)]
    print(f"\n{len(tests)} tests that pass in both, {rounds} rounds in turns:")
    for base, times in seconds.items():
        print(f"{base:12}{statistics.median(times):8.3f} s, best {min(times):.3f} s")
    print(f"{'ratio':12}{statistics.median(ratios):8.2f} (median of the rounds')")


def positive(text: str) -> int:
    """Read a number that is not 0."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def main(arguments: Sequence[str] | None = None) -> int:
    """Print all, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.ports",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--rounds",
        type=positive,
        default=ROUNDS,
        help="how often the port and the recipe are timed (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    print_difference()
    with Workshop() as workshop:
        results = [print_bugs(workshop), print_messages(workshop)]
        print_times(workshop, options.rounds)
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())

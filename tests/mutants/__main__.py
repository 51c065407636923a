"""Take the sandbox's rules out one by one, and name the test that fails for each."""

from __future__ import annotations

import argparse
import concurrent.futures
import itertools
import os
import sys
import time
from collections.abc import Sequence

from .rules import DRIVERS, Rule
from .running import WITHOUT, Outcome, run_here, run_tests, try_rule
from .table import RULES


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; give its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("rules", nargs="*", help='such as "stack 2a" or stack; all by default')
    parser.add_argument("--driver", choices=DRIVERS, help="only what this driver's tests notice")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at a time")
    parser.add_argument("--list", action="store_true", help="only print the rules")
    parser.add_argument("--run", metavar="TEST", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.run:
        missing = os.environ.get(WITHOUT)
        run_here(options.run, next((each for each in RULES if each.name == missing), None))
        return 0
    rules = chosen(RULES, options.rules)
    if not rules:
        parser.error(f"no such rule: {', '.join(options.rules)}")
    if options.list:
        for each in rules:
            print(f"{each.name:<14} {each.words}")
        return 0
    return try_all(rules, options.driver, options.jobs)


def chosen(rules: Sequence[Rule], names: Sequence[str]) -> list[Rule]:
    """Give the rules that are named, all by default.

    :param names: of a rule, of its number, where several make up one, or of its group.
    """

    def is_named(rule: Rule, name: str) -> bool:
        rest = rule.name.removeprefix(name)
        return rest != rule.name and (not rest or rest.startswith(" ") or rest.isalpha())

    return [each for each in rules if not names or any(is_named(each, name) for name in names)]


def try_all(rules: Sequence[Rule], only: str | None, jobs: int) -> int:
    """Take each rule out for each driver, and print what noticed; give the exit status.

    :param only: the driver to try them on.
    """
    # not before: where a rule is taken out the package must not be imported yet
    from dbtestcase import embedded

    began = time.monotonic()
    trials = [(each, driver) for each in rules for driver in each.tests if only in (None, driver)]
    names = list(dict.fromkeys(name for each, driver in trials for name in each.tests[driver]))
    embedded.server()  # kept running: it would start anew for each process
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        parts = [names[number::jobs] for number in range(min(jobs, len(names)))]
        complete = list(pool.map(lambda part: run_tests(None, part, patience=1800), parts))
        if wrong := [line for outcome in complete for line in _wrong(outcome)]:
            print("with every rule in place:", *wrong, sep="\n    ")
            return 1
        print(f"with every rule: {len(names)} tests", flush=True)
        found = pool.map(lambda trial: try_rule(*trial), trials)
        unnoticed = 0
        pairs = zip(trials, found, strict=True)
        for each, group in itertools.groupby(pairs, key=lambda pair: pair[0][0]):
            print(f"{each.name:<14} {each.words}", flush=True)
            for (_, driver), outcome in group:
                noticed = bool(outcome.failed) and not outcome.trouble
                unnoticed += not noticed
                print(f"{'':<16} {driver:<11} {_noticed(each, driver, outcome)}", flush=True)
    print(
        f"{len(rules)} rules, {len(trials)} times taken out, {unnoticed} times unnoticed, "
        f"in {time.monotonic() - began:.0f} s"
    )
    return 1 if unnoticed else 0


def _wrong(complete: Outcome) -> list[str]:
    trouble = [complete.trouble] if complete.trouble else []
    return trouble + [f"{name}: {how}" for name, how in complete.failed.items()]


def _noticed(rule: Rule, driver: str, outcome: Outcome) -> str:
    if outcome.trouble:
        return f"NOT TRIED: {outcome.trouble}"
    for name, how in outcome.failed.items():
        short = name.removeprefix("tests.")
        return f"{short} ({how})" if how in ("hangs", "ends the process") else short
    return f"UNNOTICED by {', '.join(rule.tests[driver])}"


if __name__ == "__main__":
    sys.exit(main())

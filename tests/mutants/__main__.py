"""Take the sandbox's rules out one by one, and name the test that fails for each."""

from __future__ import annotations

import argparse
import concurrent.futures
import os
import sys
import time
from collections.abc import Sequence

from .rules import DRIVERS, Rule
from .running import Outcome, run_here, run_tests, try_rule
from .table import RULES


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("rules", nargs="*", help='such as "stack 2" or "stack"; all by default')
    parser.add_argument("--driver", choices=DRIVERS, help="only what this driver's tests notice")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes at a time")
    parser.add_argument("--list", action="store_true", help="only print the rules")
    parser.add_argument("--without", metavar="RULE", help="with --run: take this rule out")
    parser.add_argument("--run", metavar="TEST", nargs="+", help="run these tests, and nothing else")
    options = parser.parse_args(arguments)
    if options.run:
        without = [each for each in RULES if each.name == options.without]
        run_here(without, options.run, failfast=bool(without))
        return 0
    chosen = [each for each in RULES if not options.rules or _is_one_of(each, options.rules)]
    if not chosen:
        parser.error(f"no such rule: {', '.join(options.rules)}")
    if options.list:
        for each in chosen:
            print(f"{each.name:<13} {each.words}")
        return 0
    return _try_all(chosen, options.driver, options.jobs)


def _is_one_of(rule: Rule, names: Sequence[str]) -> bool:
    """Whether a rule, its number or its group is named: ``stack 2`` means 2a and 2b, not 20."""
    return any(
        rule.name == name
        or rule.name.startswith(f"{name} ")
        or (rule.name.startswith(name) and rule.name[len(name) :].isalpha())
        for name in names
    )


def _try_all(rules: Sequence[Rule], only: str | None, jobs: int) -> int:
    # not before: where a rule is taken out the package must not be imported yet
    from dbtestcase import embedded

    began = time.monotonic()
    trials = [(each, driver) for each in rules for driver in each.tests if only in (None, driver)]
    embedded.server()  # kept running: it would start anew for each process
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        names = list(dict.fromkeys(name for each, driver in trials for name in each.tests[driver]))
        print(f"with every rule: {len(names)} tests", flush=True)
        parts = [names[number::jobs] for number in range(min(jobs, len(names)))]
        complete = list(pool.map(lambda part: run_tests(None, part, patience=1800), parts))
        wrong = [each.trouble for each in complete if each.trouble]
        wrong += [f"{name}: {how}" for each in complete for name, how in each.failed.items()]
        if wrong:
            print("with every rule in place:", *wrong, sep="\n    ")
            return 1
        survivors = 0
        outcomes = pool.map(lambda trial: try_rule(*trial), trials)
        for (each, driver), outcome in zip(trials, outcomes, strict=True):
            survivors += not outcome.failed or bool(outcome.trouble)
            print(_line(each, driver, outcome), flush=True)
    seconds = time.monotonic() - began
    print(f"{len(rules)} rules, {len(trials)} times taken out, {survivors} times unnoticed, "
          f"in {seconds:.0f} s")
    return 1 if survivors else 0


def _line(rule: Rule, driver: str, outcome: Outcome) -> str:
    if outcome.trouble:
        found = f"NOT TRIED: {outcome.trouble}"
    elif outcome.failed:
        (name, how), *_ = outcome.failed.items()
        found = name.removeprefix("tests.")
        if how in ("hangs", "ends the process"):
            found += f" ({how})"
    else:
        found = f"UNNOTICED by {', '.join(rule.tests[driver])}"
    return f"{rule.name:<13} {driver:<10} {found}\n{'':<13}   {rule.words}"


if __name__ == "__main__":
    sys.exit(main())

"""What must never be lost or believed, each with its figure: `python tests/faults.py [ID ...]` measures it in full.

A goal is a function in one of the files `goals_*.py` beside this one: it takes how many cases to try, raises
AssertionError where one is missed, and gives its figure in words. The tests try a few cases of each; this command
tries all of them and prints one line a goal. CNNSEARCH_FAULT_SEED=N draws other cases; each line names its seed.
"""

import os
import platform
import sys
import time
from collections.abc import Callable
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from hearing import hear_every_signal

SEED = int(os.environ.get("CNNSEARCH_FAULT_SEED", "0"))
Measure = Callable[[int], str]


class Goal(NamedTuple):
    """Something that must hold in so many cases."""

    id: str
    what: str
    count: int
    measure: Measure


GOALS: list[Goal] = []


def goal(name: str, what: str, count: int) -> Callable[[Measure], Measure]:
    """Register a function as the measure of a goal."""

    def register(measure: Measure) -> Measure:
        GOALS.append(Goal(name, what, count, measure))
        return measure

    return register


def line(wanted: Goal) -> tuple[bool, str]:
    """Measure a goal; give whether it is met, and a line that says so."""
    began = time.monotonic()
    try:
        met, figure = True, wanted.measure(wanted.count)
    except AssertionError as error:
        met, figure = False, str(error).partition("\n")[0]
    word = "met   " if met else "MISSED"
    return met, f"{word} {wanted.id:4} {wanted.what}: {figure} ({time.monotonic() - began:.0f} s, seed {SEED})"


def main(names: list[str]) -> int:
    """Print one line a goal; give 1 where one is missed."""
    hear_every_signal()
    for file in sorted(Path(__file__).parent.glob("goals_*.py")):
        import_module(file.stem)
    unknown = set(names) - {each.id for each in GOALS}
    if unknown:
        print(f"no goal {', '.join(sorted(unknown))}; there are {', '.join(each.id for each in GOALS)}")
        return 2
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
    print(f"{date.today().isoformat()}, {machine}")  # noqa: DTZ011 (the day where it runs)
    missed = 0
    for each in GOALS:
        if not names or each.id in names:
            met, text = line(each)
            missed += not met
            print(text, flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.modules["faults"] = sys.modules["__main__"]  # the goals register here, not in a second copy of this file
    sys.exit(main(sys.argv[1:]))

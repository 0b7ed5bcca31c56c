"""What does a script need to know of a run? `summary.json`: fields are added, never renamed.

name, state (running, complete, interrupted, exhausted, no_new_candidate, failed), dataset, notice ("" or why another
data set was taken), seed, seconds (over all invocations), trials {complete, stopped, failed}, turned_away, repeated,
best {trial, validation_accuracy (from 0 to 1), parameters, macs, network, weights (paths within the run)} or null,
versions.
"""

import json
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version

from cnnsearch.files import write_whole
from cnnsearch.plan import Plan
from cnnsearch.study.best import NETWORK, WEIGHTS
from cnnsearch.study.ledger import Ledger
from cnnsearch.text import Plain

SUMMARY = "summary.json"


@cache  # a study writes its summary after every trial, and to look up six versions takes milliseconds
def versions() -> dict[str, str]:
    """Give the versions of all that has a part in the results, without importing any of it."""
    found = {"python": python_version()}
    for package in ("cnnsearch", "torch", "torchvision", "optuna", "pydantic", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # run from a checkout that was not installed
            found[package] = "unknown"
    return found


def summarize(plan: Plan, ledger: Ledger, state: str, seconds: float, notice: str) -> Plain:
    """Put the summary together."""
    best = ledger.best
    return {
        "name": plan.run_name,
        "state": state,
        "dataset": plan.dataset,
        "notice": notice,
        "seed": plan.seed,
        "seconds": round(seconds, 3),
        "trials": {name: ledger.states[name] for name in ("complete", "stopped", "failed")},
        "turned_away": ledger.states["turned_away"],
        "repeated": ledger.states["repeated"],
        "best": best
        and {
            "trial": best.trial,
            "validation_accuracy": best.score,
            "parameters": best.parameters,
            "macs": best.macs,
            "network": NETWORK,
            "weights": WEIGHTS,
        },
        "versions": versions(),
    }


def write_summary(folder: Path, summary: Plain) -> None:
    """Replace the file in one step."""
    write_whole(folder / SUMMARY, json.dumps(summary, indent=2) + "\n")

"""What does a script need to know of a run? `summary.json`: fields are added, never renamed.

name, state (running, complete, out_of_time, interrupted, exhausted, no_new_candidate, failed), dataset, notice ("" or
why another data set was taken), seed, seconds (over all invocations), trials {complete, stopped, failed}, turned_away,
repeated, best {trial, validation_accuracy (from 0 to 1), parameters, macs, latency ({seconds, low, high} of one image,
or null where none was asked for), network, weights (paths within the run)} or null, objectives (as in the plan:
validation_accuracy, with at_least or null, and the costs that shall be small), front (a list of {trial,
validation_accuracy, costs} of the complete trials that no other beats in all objectives, the cheapest first; where
accuracy is the only objective, the cost is parameters), versions, finals (null, "not over" or "over") and winner: null
until they are over, then what cnnsearch/evaluate/publish.py lists.
"""

import json
from pathlib import Path

from cnnsearch.events import COUNTED
from cnnsearch.files import write_whole
from cnnsearch.history import SUMMARY
from cnnsearch.places import BEST_NETWORK, BEST_WEIGHTS
from cnnsearch.plan import Plan
from cnnsearch.study.ledger import Ledger
from cnnsearch.text import Plain
from cnnsearch.versions import versions


def summarize(plan: Plan, ledger: Ledger, state: str, seconds: float, notice: str, finals: dict[str, Plain]) -> Plain:
    """Put the summary together; `finals` is what it tells of earlier ones."""
    best = ledger.best
    return {
        "name": plan.run_name,
        "state": state,
        "dataset": plan.dataset,
        "notice": notice,
        "seed": plan.seed,
        "seconds": round(seconds, 3),
        "trials": {name: ledger.states[name] for name in COUNTED},
        "turned_away": ledger.states["turned_away"],
        "repeated": ledger.states["repeated"],
        "best": best
        and {
            "trial": best.trial,
            "validation_accuracy": best.score,
            "parameters": best.parameters,
            "macs": best.macs,
            "latency": (latency := ledger.latencies.get(best.trial)) and latency._asdict(),
            "network": BEST_NETWORK,
            "weights": BEST_WEIGHTS,
        },
        **finals,
        "objectives": plan.model_dump(mode="json")["objectives"],
        "front": [
            {"trial": trial, "validation_accuracy": accuracy, "costs": costs} for trial, accuracy, costs in ledger.front
        ],
        "versions": versions(),
    }


def write_summary(folder: Path, summary: Plain) -> None:
    """Replace the file in one step."""
    write_whole(folder / SUMMARY, json.dumps(summary, indent=2) + "\n")

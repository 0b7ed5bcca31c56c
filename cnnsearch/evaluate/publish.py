"""How does the winner get to its files, and into the summary?

`winner/` holds its network and the weights of its best seed on validation. In `summary.json` it is `winner`: entrant,
trial, validation_accuracy (mean over seeds), validation_interval, validation_accuracy_per_seed, network, weights (paths
within the run), parameters, macs, test_accuracy (of the shipped weights), test_interval, test_images,
test_accuracy_per_seed, optimism_gap, test_opened, meets_floor (true where there is none), seconds (of the finals), and
compared: for the runner-up and each baseline entrant, parameters, validation_accuracy, test_accuracy,
only_winner_right, only_other_right and p_value.
Accuracies are fractions; intervals are [low, high] at 95 %; fields are added, never renamed.
"""

import json
from pathlib import Path
from typing import cast

from cnnsearch.files import make_folder, write_whole
from cnnsearch.history import SUMMARY, Run
from cnnsearch.network import Network
from cnnsearch.text import Plain
from cnnsearch.verdict import NETWORK, WEIGHTS, WINNER, Row, Verdict, verdict


def figures(run: Run) -> Plain:
    """Give the winner's part of the summary; None until the finals are over: the test images are read last."""
    found = verdict(run)
    if found is None or found.winner.tested[found.winner.best] is None:
        return None
    return {**_figures(found), "seconds": round(run.finals_seconds, 3)}


def summarize(run: Run) -> None:
    """Write the winner's figures into the summary."""
    path = run.folder / SUMMARY
    write_whole(path, json.dumps({**_known(path), "winner": figures(run)}, indent=2) + "\n")


def _known(path: Path) -> dict[str, Plain]:
    """Read what stands in the summary; nothing where it is damaged: the study's command makes that again."""
    try:
        known: Plain = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return cast("dict[str, Plain]", known) if isinstance(known, dict) else {}


def publish(run: Run, winner: Row) -> None:
    """Write the winner's network and weights, and its figures into the summary."""
    folder = run.folder
    make_folder(folder / WINNER)
    write_whole(folder / WEIGHTS, (folder / winner.trainings[winner.best].weights).read_bytes())
    network = Network.model_validate(winner.network)
    write_whole(folder / NETWORK, network.model_dump_json(exclude_defaults=True, indent=2) + "\n")
    summarize(run)


def _figures(verdict: Verdict) -> dict[str, Plain]:
    winner = verdict.winner
    tested = winner.tested[winner.best]
    return {
        "entrant": winner.entrant,
        "trial": winner.trial and winner.trial.number,
        "validation_accuracy": winner.mean,
        "validation_interval": winner.interval,
        "validation_accuracy_per_seed": winner.scores,
        "network": NETWORK,
        "weights": WEIGHTS,
        "parameters": winner.parameters,
        "macs": winner.trainings[0].macs,
        "test_accuracy": winner.test_accuracy,
        "test_interval": winner.test_interval,
        "test_images": tested and tested.images,
        "test_accuracy_per_seed": winner.test_accuracies,
        "optimism_gap": verdict.optimism_gap,
        "test_opened": verdict.test_opened,
        "meets_floor": verdict.meets_floor,
        "compared": [_compared(row) for row in verdict.rows if row.against],
    }


def _compared(row: Row) -> dict[str, Plain]:
    assert row.against
    return {
        "entrant": row.entrant,
        "parameters": row.parameters,
        "validation_accuracy": row.mean,
        "test_accuracy": row.test_accuracy,
        **row.against._asdict(),
    }

"""How does the winner get to its files, and into the summary?

`winner/` holds its network and the weights of its best seed on validation. In `summary.json` stand `finals` (null,
"not over" or "over") and, once they are over, `winner`: entrant, trial, validation_accuracy (mean over seeds),
validation_interval, validation_accuracy_per_seed, network, weights (paths within the run), parameters, macs, latency
(as of the search's best), test_accuracy (of the shipped weights), test_interval, test_images, test_accuracy_per_seed,
optimism_gap, test_opened, meets_floor (null where there is none), seconds (of the finals), and compared: for each other
finalist and each baseline entrant, parameters, latency, validation_accuracy, test_accuracy, only_winner_right,
only_other_right and p_value.
Accuracies are fractions; intervals are [low, high] at 95 %; fields are added, never renamed.
"""

import json
from pathlib import Path
from typing import cast

from cnnsearch.files import holds, make_folder, remove_drafts, write_whole
from cnnsearch.history import SUMMARY, Run
from cnnsearch.places import WINNER, WINNER_NETWORK, WINNER_WEIGHTS
from cnnsearch.text import Plain
from cnnsearch.verdict import Row, Verdict, decided


def figures(run: Run) -> dict[str, Plain]:
    """Give what the summary tells of the finals."""
    found = decided(run)
    return {
        "finals": "over" if found else "not over" if run.retrained or run.finals_are_begun else None,
        "winner": found and {**_figures(found), "seconds": round(run.finals_seconds, 3)},
    }


def renew(run: Run) -> None:
    """Let `winner/` and the summary tell of whom the record calls the winner now, or of nobody.

    While finals go on the summary names nobody, and `winner/` keeps what former ones came to.
    """
    remove_drafts(run.folder / WINNER)
    if not run.finals_are_open:
        _renew_files(run.folder, decided(run))
    path = run.folder / SUMMARY
    write_whole(path, json.dumps({**_known(path), **figures(run)}, indent=2) + "\n")


def _renew_files(folder: Path, found: Verdict | None) -> None:
    digest = found.winner.shipped.sha256 if found else ""
    if found and holds(folder / found.winner.shipped.weights, digest):
        _publish(folder, found.winner)
    elif not holds(folder / WINNER_WEIGHTS, digest):  # `finals/` may be gone, to save room
        for name in (WINNER_NETWORK, WINNER_WEIGHTS):  # a network without weights would be missed by `load`
            (folder / name).unlink(missing_ok=True)


def _known(path: Path) -> dict[str, Plain]:
    """Read what stands in the summary; nothing where it is damaged: the study's command makes that again."""
    try:
        known: Plain = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return cast("dict[str, Plain]", known) if isinstance(known, dict) else {}


def _publish(folder: Path, winner: Row) -> None:
    make_folder(folder / WINNER)
    write_whole(folder / WINNER_WEIGHTS, (folder / winner.shipped.weights).read_bytes())
    assert winner.network
    write_whole(folder / WINNER_NETWORK, winner.network.model_dump_json(exclude_defaults=True, indent=2) + "\n")


def _figures(verdict: Verdict) -> dict[str, Plain]:
    winner = verdict.winner
    tested = winner.tested[winner.best]
    return {
        "entrant": winner.entrant,
        "trial": winner.trial and winner.trial.number,
        "validation_accuracy": winner.mean,
        "validation_interval": winner.interval,
        "validation_accuracy_per_seed": winner.scores,
        "network": WINNER_NETWORK,
        "weights": WINNER_WEIGHTS,
        "parameters": winner.parameters,
        "macs": winner.trainings[0].macs,
        "latency": _latency(winner),
        "test_accuracy": winner.test_accuracy,
        "test_interval": winner.test_interval,
        "test_images": tested and tested.images,
        "test_accuracy_per_seed": winner.test_accuracies,
        "optimism_gap": verdict.optimism_gap,
        "test_opened": verdict.test_opened,
        "meets_floor": verdict.meets_floor,
        "compared": [_compared(row) for row in verdict.rows if row.against],
    }


def _latency(row: Row) -> Plain:
    return row.trial and row.trial.latency and row.trial.latency._asdict()


def _compared(row: Row) -> dict[str, Plain]:
    assert row.against
    return {
        "entrant": row.entrant,
        "parameters": row.parameters,
        "latency": _latency(row),
        "validation_accuracy": row.mean,
        "test_accuracy": row.test_accuracy,
        **row.against._asdict(),
    }

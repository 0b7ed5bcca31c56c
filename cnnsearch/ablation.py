"""What is each block of the winner worth? From a run's record: how its variants read, and which could not be trained.

A variant is named after the winner and the block that differs, such as `trial 3 without blocks[0]`.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from cnnsearch.certainty import Interval, difference_interval, pooled_deviation
from cnnsearch.events import Retrained
from cnnsearch.history import Run
from cnnsearch.verdict import Row, decided

VARIANT = r"(?:without blocks\[\d+\]|blocks\[\d+\] (?:halved|doubled))"


class Difference(NamedTuple):
    """What a variant of the winner reads, less what the winner reads; fractions of the validation images."""

    variant: str
    parameters: int
    macs: int
    scores: tuple[float, ...]
    difference: float
    interval: Interval
    """At 95 %, by the spread over seeds that finalists and variants share; not corrected for how many there are."""


class Failure(NamedTuple):
    """A training of a variant that did not come to its end."""

    variant: str
    seed: int
    reason: str


class Ablation(NamedTuple):
    """The winner beside all of its variants that were trained as it was, in the order of the blocks."""

    winner: Row
    differences: tuple[Difference, ...]
    failures: tuple[Failure, ...]
    deviation: float
    """The spread over seeds that the intervals are made from."""


def ablation(run: Run) -> Ablation | None:
    """Compare the winner with its variants; None where there is no winner, or none of them was trained like it."""
    found = decided(run)
    own = list(_own(run.varied, found.winner)) if found else []
    if not found or not own:
        return None
    winner, groups = found.winner, _scores(own)
    finalists = (row.scores for row in found.rows if row.trial)
    deviation, freedom = pooled_deviation([*finalists, *groups.values()])
    costs = {training.entrant: (training.parameters, training.macs) for training in own}
    differences = tuple(
        Difference(
            _short(name, winner),
            *costs[name],
            tuple(scores),
            sum(scores) / len(scores) - winner.mean,
            difference_interval(scores, winner.scores, deviation, freedom),
        )
        for name, scores in groups.items()
    )
    failed = (training for training in own if training.state == "failed")
    failures = tuple(Failure(_short(each.entrant, winner), each.seed, each.reason) for each in failed)
    return Ablation(winner, differences, failures, deviation)


def _own(varied: Iterable[Retrained], winner: Row) -> list[Retrained]:
    """Give the trainings of the winner's variants, by block; what has another name is none of them."""
    recipe, name = winner.trainings[0].recipe, re.compile(f"{re.escape(winner.entrant)} {VARIANT}")
    own = (each for each in varied if name.fullmatch(each.entrant) and each.recipe == recipe)
    return sorted(own, key=lambda each: (_place(_short(each.entrant, winner)), each.seed))


def _short(entrant: str, winner: Row) -> str:
    return entrant.removeprefix(f"{winner.entrant} ")


def _place(variant: str) -> tuple[int, bool, bool]:
    """Give the key by which variants are sorted: by block, then taken away, halved, doubled."""
    number = variant.partition("[")[2].partition("]")[0]
    return int(number), not variant.startswith("without"), variant.endswith("doubled")


def _scores(trainings: Iterable[Retrained]) -> dict[str, list[float]]:
    groups: dict[str, list[float]] = {}
    for training in trainings:
        if training.state == "complete":
            groups.setdefault(training.entrant, []).append(training.accuracies[-1])
    return groups

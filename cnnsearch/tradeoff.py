"""Which smaller networks are nearly as good as the best one? From the search's scores, which all have one protocol."""

from collections.abc import Iterator, Sequence
from itertools import count
from math import log
from typing import NamedTuple

from cnnsearch.certainty import least_difference
from cnnsearch.history import Run, Trial
from cnnsearch.noise import noise_of
from cnnsearch.ranking import Standing, front

LEAST_FOR_A_KNEE = 3  # networks on the front: two have none between them


class Tie(NamedTuple):
    """The smallest network that cannot be told from the best, and by what."""

    trial: Trial
    margin: float
    """Accuracies of two single trainings that differ by less are not told apart, at 95 %."""
    freedom: int
    """Degrees of freedom that the spread over seeds was measured with."""


def front_of(run: Run) -> list[Trial]:
    """Give the trials that no other beats in accuracy with as few parameters, smallest first; of equals the first."""
    complete = {trial.number: trial for trial in run.ranked}
    standings = {number: Standing(trial.accuracy, (trial.parameters,)) for number, trial in complete.items()}
    distinct: dict[Standing, Trial] = {}
    for number in front(standings):
        distinct.setdefault(standings[number], complete[number])
    return list(distinct.values())


def as_good(run: Run) -> Tie | None:
    """Give the smallest network whose score is within the noise of seeds of the best; None where that is unknown.

    The noise is the spread over seeds of one network (see noise.py).
    """
    noise = noise_of(run)
    if not noise.is_known:
        return None
    margin = least_difference(noise.deviation, noise.freedom)
    best = max(trial.accuracy for trial in run.ranked)
    tied = [trial for trial in front_of(run) if best - trial.accuracy <= margin]
    return Tie(tied[0], margin, noise.freedom)


def best_under(run: Run) -> Iterator[tuple[int, Trial]]:
    """Give, for budgets of 1, 2, 5, 10, 20, ... parameters, the best network within each.

    Budgets begin with the first that a network is within, and end with the first that the most accurate is within.
    """
    members = front_of(run)
    for budget in _budgets():
        within = [trial for trial in members if trial.parameters <= budget]
        if within:
            yield budget, within[-1]
        if len(within) == len(members):
            return


def knee(run: Run) -> Trial | None:
    """Give the network of the front after which accuracy costs most more parameters (Satopaa et al. 2011, "Kneedle").

    That is the point furthest above the line from the front's smallest to its best network, parameters in orders of
    magnitude; None where no point lies above it.
    """
    members = front_of(run)
    if len(members) < LEAST_FOR_A_KNEE:
        return None
    sizes = _scaled([log(trial.parameters) for trial in members])
    scores = _scaled([trial.accuracy for trial in members])
    heights = [score - size for size, score in zip(sizes, scores, strict=True)]
    highest = max(range(len(members)), key=heights.__getitem__)
    return members[highest] if heights[highest] > 0 else None


def _scaled(values: Sequence[float]) -> list[float]:
    """Bring rising values to 0 to 1."""
    return [(value - values[0]) / (values[-1] - values[0]) for value in values]


def _budgets() -> Iterator[int]:
    for power in count():
        yield from (digit * 10**power for digit in (1, 2, 5))

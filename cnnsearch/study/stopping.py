"""Does a trial go on after a rung?

Compared are validation accuracies of all candidates seen at the same rung. Halving and median compare as they arrive,
and nothing waits for others (Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning", algorithm 2);
successive halving is asked when all are there.
"""

from collections.abc import Collection, Mapping
from statistics import median

from cnnsearch.plan import Pruner


def goes_on(pruner: Pruner, score: float, others: Collection[float]) -> bool:
    """Say whether a score is good enough among those that others had at the same rung.

    >>> halving = Pruner(kind="halving", keep=0.25, startup=4)
    >>> goes_on(halving, 0.96, [0.90, 0.95, 0.97]), goes_on(halving, 0.96, [0.90, 0.95, 0.97, 0.98])
    (True, False)
    """
    if pruner.kind == "none" or len(others) < max(1, pruner.startup):
        return True
    if pruner.kind == "median":
        return score >= median(others)
    allowed = max(1, int((len(others) + 1) * pruner.keep))
    return sum(other > score for other in others) < allowed


def best_share(pruner: Pruner, scores: Mapping[int, float]) -> set[int]:
    """Name the trials that go on when all are there: the share to keep, of equal scores the earlier.

    >>> sorted(best_share(Pruner(kind="successive", keep=0.5, startup=0), {0: 0.96, 1: 0.97, 2: 0.96, 3: 0.9}))
    [0, 1]
    """
    if len(scores) <= pruner.startup:
        return set(scores)
    ranked = sorted(scores, key=lambda trial: (-scores[trial], trial))
    return set(ranked[: max(1, int(len(scores) * pruner.keep))])

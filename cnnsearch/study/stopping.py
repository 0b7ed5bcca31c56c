"""Does a trial go on after a rung?

Compared are validation accuracies seen at the same rung: those of all candidates, or with several objectives of those
that cost as much or less in everything. Costs are exact before training, so one that others of no higher cost are ahead
of is beaten where it stands, and the cheapest so far has nobody to fear. Halving and median compare as they arrive, and
nothing waits for others (Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning", algorithm 2);
successive halving is asked when all are there.

Axes: N trials, C costs.
"""

from collections.abc import Collection, Mapping
from statistics import median

import numpy as np

from cnnsearch.parts import Pruner
from cnnsearch.ranking import Standing, costs_no_more


def goes_on(pruner: Pruner, mine: Standing, others: Collection[Standing]) -> bool:
    """Say whether a candidate is good enough among the others that were at the same rung.

    >>> halving = Pruner(kind="halving", keep=0.25, startup=4)
    >>> few = [Standing(0.90), Standing(0.95), Standing(0.97)]
    >>> goes_on(halving, Standing(0.96), few), goes_on(halving, Standing(0.96), [*few, Standing(0.98)])
    (True, False)
    >>> larger = [Standing(0.98, (900,)), Standing(0.99, (800,))] * 2
    >>> goes_on(halving, Standing(0.96, (700,)), larger), goes_on(halving, Standing(0.96, (850,)), larger)
    (True, False)
    """
    if pruner.kind == "none" or len(others) < max(1, pruner.startup):
        return True
    rivals = [other.accuracy for other in others if costs_no_more(other, mine)]
    if pruner.kind == "median":
        return not rivals or mine.accuracy >= median(rivals)
    return sum(rival > mine.accuracy for rival in rivals) < allowed(pruner, len(rivals) + 1)


def best_share(pruner: Pruner, standings: Mapping[int, Standing]) -> set[int]:
    """Name the trials that go on when all are there: the share to keep, of equal accuracies the earlier.

    >>> accuracies = {0: 0.96, 1: 0.97, 2: 0.96, 3: 0.9}
    >>> halving = Pruner(kind="successive", keep=0.5, startup=0)
    >>> sorted(best_share(halving, {trial: Standing(accuracy) for trial, accuracy in accuracies.items()}))
    [0, 1]
    """
    if len(standings) <= pruner.startup:
        return set(standings)
    ranked = sorted(standings, key=lambda trial: (-standings[trial].accuracy, trial))
    costs_NC = np.array([standings[trial].costs for trial in ranked])
    goes: set[int] = set()
    for costs in {standing.costs for standing in standings.values()}:
        rivals = np.flatnonzero((costs_NC <= costs).all(axis=1)).tolist()
        best = [ranked[place] for place in rivals[: allowed(pruner, len(rivals))]]
        goes |= {trial for trial in best if standings[trial].costs == costs}
    return goes


def allowed(pruner: Pruner, scores: int) -> int:
    """Say how many of so many scores go on by the share to keep; one at least."""
    return max(1, int(scores * pruner.keep + 1e-9))  # 0.29 of 100 are 29, and not 28.999999999999996

"""Which of several candidates is the better? The one place for their order: a study's, its summary's, its finals'.

Without a floor the more accurate comes first, and of equally accurate ones the cheaper. With a floor all that meet it
are good enough: of them the cheapest comes first, and behind them the others, the most accurate first.
"""

from collections.abc import Iterable, Mapping
from statistics import mean
from typing import NamedTuple


def mean_of(accuracies: Iterable[float]) -> float:
    """Give the mean of accuracies, rounded: as many images read right are equal, however the trainings share them.

    >>> 0.9866666666666667 == mean_of([0.98, 0.9933333333333333]) == mean_of([296 / 300])
    False
    >>> mean_of([0.98, 0.9933333333333333]) == mean_of([296 / 300])
    True
    """
    return round(mean(accuracies), 12)


class Standing(NamedTuple):
    """How good a candidate is: what it reads right, and what that costs."""

    accuracy: float
    """From 0 to 1; of several trainings their mean."""
    costs: tuple[float, ...] = ()
    """Less is better; those of all candidates in one order, the one to be cheap in first."""


def rank(standing: Standing, floor: float | None = None, surely: float | None = None) -> tuple[float, ...]:
    """Give what to sort by, smaller is better; a floor is met by `surely`, such as the mean's lower bound, if given.

    >>> small, large, poor = Standing(0.991, (700,)), Standing(0.995, (1_500,)), Standing(0.98, (300,))
    >>> sorted([small, large, poor], key=rank) == [large, small, poor]
    True
    >>> sorted([small, large, poor], key=lambda standing: rank(standing, floor=0.99)) == [small, large, poor]
    True
    >>> rank(small, floor=0.99, surely=0.989) > rank(large, floor=0.99, surely=0.993)
    True
    """
    accuracy, costs = standing
    if floor is not None and (accuracy if surely is None else surely) >= floor:
        return 0, *costs, -accuracy
    return 1, -accuracy, *costs


def beats(one: Standing, other: Standing) -> bool:
    """Say whether one is nowhere worse than the other and somewhere better."""
    return one != other and one.accuracy >= other.accuracy and costs_no_more(one, other)


def costs_no_more(one: Standing, other: Standing) -> bool:
    """Say whether one costs as much as the other or less, in everything."""
    return all(mine <= theirs for mine, theirs in zip(one.costs, other.costs, strict=True))


def front(standings: Mapping[int, Standing]) -> list[int]:
    """Name the trials that no other beats (the Pareto front), the cheapest first.

    >>> front({0: Standing(0.98, (300,)), 1: Standing(0.97, (400,)), 2: Standing(0.99, (700,))})
    [0, 2]
    """
    members: list[int] = []
    for trial in sorted(standings, key=lambda trial: rank(standings[trial])):  # whoever beats it came before
        if not any(beats(standings[member], standings[trial]) for member in members):
            members.append(trial)
    return sorted(members, key=lambda trial: (standings[trial].costs, trial))

"""How sure is a figure? Intervals and tests of the textbooks.

Their functions are scipy.special's: scipy.stats has the same under other names, and takes over a second to import,
which a dry run would wait for.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# (scipy has no stubs)

from collections.abc import Collection, Sequence
from math import sqrt
from statistics import NormalDist, mean, stdev

Interval = tuple[float, float]
LEVEL = 0.95
UPPER = (1 + LEVEL) / 2  # the quantile that bounds so much in the middle


def _student(freedom: int) -> float:
    """Give how many standard deviations Student's 95 % reach to each side."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, UPPER))


def mean_interval(values: Sequence[float]) -> Interval | None:
    """Give Student's 95 % interval of the mean of normal values; None for fewer than two.

    >>> low, high = mean_interval([0.99, 0.992, 0.994])
    >>> f"{low:.4f} {high:.4f}"
    '0.9870 0.9970'
    """
    if len(values) < 2:  # noqa: PLR2004 (one value has no spread)
        return None
    half = _student(len(values) - 1) * stdev(values) / sqrt(len(values))
    return mean(values) - half, mean(values) + half


def accuracy_interval(accuracies: Sequence[float], images: int | None) -> Interval | None:
    """Give a 95 % interval of the mean accuracy of trainings that all read the same `images`; None for fewer than two.

    It is Student's over the trainings, yet no narrower than Wilson's for as many independent readings: few trainings
    that agree by chance show no spread, and would seem to know their mean exactly. Records of former versions do not
    tell how many images there were: None leaves Student's.

    >>> low, high = accuracy_interval([0.99, 0.99, 0.99], images=1_000)
    >>> f"{low:.4f} {high:.4f}"
    '0.9858 0.9930'
    """
    interval = mean_interval(accuracies)
    if interval is None:
        return None
    low, high = interval
    if images is not None:
        least, most = share_interval(round(sum(accuracies) * images), len(accuracies) * images)
        low, high = min(low, least), max(high, most)
    return max(0.0, low), min(1.0, high)


def surely(accuracies: Sequence[float], images: int | None) -> float:
    """Give the lower end of the mean's 95 % interval, of a single accuracy Wilson's.

    All seeds are measured on the same images: what is sure of a mean over seeds is sure of these, not of others.

    >>> f"{surely([0.98, 0.99, 1.0], images=1_000):.4f} {surely([0.99], images=1_000):.4f}"
    '0.9652 0.9817'
    """
    if interval := accuracy_interval(accuracies, images):
        return interval[0]
    (accuracy,) = accuracies
    return share_interval(round(accuracy * images), images)[0] if images else accuracy


def share_interval(count: int, of: int) -> Interval:
    """Give Wilson's 95 % interval of a share (Wilson 1927), which is right near 100 % too.

    >>> low, high = share_interval(9960, 10000)
    >>> f"{low:.4f} {high:.4f}"
    '0.9946 0.9971'
    """
    share, square = count / of, NormalDist().inv_cdf(UPPER) ** 2
    middle = (share + square / (2 * of)) / (1 + square / of)
    half = sqrt(share * (1 - share) * square / of + (square / (2 * of)) ** 2) / (1 + square / of)
    return max(0.0, middle - half), min(1.0, middle + half)


def paired_p(wrong: Collection[int], other: Collection[int]) -> float:
    """Give the exact two-sided p-value that two classifiers err equally often (McNemar 1947), on the same images.

    Only images that one reads right and the other wrong tell them apart.

    >>> paired_p({1, 2, 3}, {1, 2, 3}), paired_p({1}, {2, 3, 4, 5, 6, 7})
    (1.0, 0.125)
    """
    from scipy.special import bdtr

    only, only_other = len(set(wrong) - set(other)), len(set(other) - set(wrong))
    # Twice the chance of as few heads or fewer, of as many tosses: both tails are alike.
    return min(1.0, 2 * float(bdtr(min(only, only_other), only + only_other, 0.5)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values of several tests for their number (Holm 1979).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    corrected = [0.0] * len(p_values)
    so_far = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        so_far = max(so_far, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = so_far
    return corrected


def pooled_deviation(groups: Sequence[Sequence[float]]) -> tuple[float, int]:
    """Give the standard deviation within groups and its degrees of freedom; (0, 0) where no group has two values.

    >>> deviation, freedom = pooled_deviation([[0.1, 0.3], [0.5, 0.7], [0.9]])
    >>> f"{deviation:.3f} {freedom}"
    '0.141 2'
    """
    freedom = sum(len(group) - 1 for group in groups)
    squares = sum((value - mean(group)) ** 2 for group in groups for value in group)
    return (sqrt(squares / freedom), freedom) if freedom else (0.0, 0)


def difference_interval(first: Sequence[float], second: Sequence[float], deviation: float, freedom: int) -> Interval:
    """Give the 95 % interval of the first mean accuracy less the second, by a deviation pooled over more groups.

    >>> low, high = difference_interval([0.3, 0.5], [0.2], 0.1, 4)
    >>> f"{low:.2f} {high:.2f}"
    '-0.14 0.54'
    """
    half = _student(freedom) * deviation * sqrt(1 / len(first) + 1 / len(second))
    difference = mean(first) - mean(second)
    return max(-1.0, difference - half), min(1.0, difference + half)


def least_difference(deviation: float, freedom: int) -> float:
    """Give how far two single values must differ to be told apart at 95 %, by a deviation and its degrees of freedom.

    >>> f"{least_difference(0.001, 4):.4f}"
    '0.0039'
    """
    return _student(freedom) * deviation * sqrt(2) if freedom else 0.0

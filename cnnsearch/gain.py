"""Is the budget enough? What more trials may be expected to add to the best score, beside the noise of one training.

What the last doubling added is known on average: the best score less the expected best of a random half. Where the tail
falls off exponentially the next doubling adds as much, and m more after n draws a share of ln((n + m) / n) / ln 2;
where scores have an upper end, which accuracies do, it adds less, so this is rather too much than too little. Spacings
of an exponential tail are independent (Renyi 1953), which gives the upper end (a sum of them taken for chi-squared,
Satterthwaite 1946). Only trials that came to their end tell; those that were stopped count as draws all the same.
examples/benchmarks/README.md has what was expected beside what came, and what was tried instead.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# (scipy has no stubs)

from collections.abc import Sequence
from itertools import accumulate
from math import log, sqrt
from operator import mul
from typing import NamedTuple

from cnnsearch.history import Run
from cnnsearch.noise import noise_of

LEAST_COMPLETE = 4  # scores: with fewer a half says nothing


class Gain(NamedTuple):
    """What more trials may add to the best accuracy, in fractions from 0 to 1."""

    trials: int
    expected: float
    at_most: float
    """The upper end of the one-sided 95 % interval."""
    noise: float | None
    """The standard deviation of one training: over seeds, or over the validation images where no network had two."""
    of_seeds: bool
    left: float = 1.0
    """What the best accuracy lacks."""

    @property
    def is_over(self) -> bool:
        """Say whether the best score is as high as scores get."""
        return self.left == 0

    @property
    def is_flat(self) -> bool:
        """Say whether no more than noise is expected."""
        return self.is_over or (self.noise is not None and self.expected <= self.noise)

    @property
    def is_beyond_telling(self) -> bool:
        """Say whether what is expected was cut off at all there is to gain, and that is not little."""
        return self.expected >= self.left and not self.is_flat


def expected_gain(run: Run, trials: int = 50) -> Gain | None:
    """Give what so many more trials may add.

    None with fewer than four complete ones, where costs count too, or where every candidate was tried.
    """
    scores = [trial.accuracy for trial in run.ranked]
    if len(scores) < LEAST_COMPLETE or run.aim.costs or run.state == "exhausted":
        return None
    expected, at_most = rise(scores, run.counted, trials)
    left = 1 - max(scores)
    return Gain(trials, min(expected, left), min(at_most, left), *_noise(run, max(scores)), left)


def rise(scores: Sequence[float], draws: int, more: int) -> tuple[float, float]:
    """Give how far the best of so many draws may rise with more of them: the expected rise, and its upper end at 95 %.

    `scores` are those of the draws that came to an end, at least two.

    >>> expected, at_most = rise([0.99, 0.98, 0.97, 0.95, 0.9], draws=50, more=50)
    >>> f"{expected:.4f} {at_most:.4f}"
    '0.0097 0.0749'
    """
    from scipy.special import chdtri  # see certainty.py

    best, half = sorted(scores, reverse=True), len(scores) // 2
    # By place how probably none of the so many best is in a random half.
    outside = list(accumulate(((n - half) / n for n in range(len(best), half, -1)), mul))
    doubling = sum(share * (best[place - 1] - best[place]) for place, share in enumerate(outside, start=1))
    units = [share / place for place, share in enumerate(outside, start=1)]
    freedom = 2 * sum(units) ** 2 / sum(unit**2 for unit in units)
    expected = doubling / sum(units) * log(1 + more / draws)
    return expected, expected * freedom / float(chdtri(freedom, 0.95))


def _noise(run: Run, best: float) -> tuple[float | None, bool]:
    over_seeds = noise_of(run)
    if over_seeds.is_known:
        return over_seeds.deviation, True
    return sqrt(best * (1 - best) / run.validation_images) if run.validation_images else None, False

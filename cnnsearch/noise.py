"""How far apart are two trainings of one network, by chance alone?"""

from collections import defaultdict
from typing import NamedTuple

from cnnsearch.certainty import pooled_deviation
from cnnsearch.history import Run
from cnnsearch.verdict import Row, verdict

LEAST_FREEDOM = 3  # two trainings that happen to read the same tell nothing


class Noise(NamedTuple):
    """The standard deviation of an accuracy over seeds."""

    deviation: float
    freedom: int
    """Degrees of freedom that it was measured with; 0 where no network was trained twice."""

    @property
    def is_known(self) -> bool:
        """Say whether it was measured well enough to be believed."""
        return self.freedom >= LEAST_FREEDOM and self.deviation > 0


def noise_of(run: Run) -> Noise:
    """Measure it, pooled over all networks with several seeds: finalists, and those that the search drew again.

    Finals shorter than the search's trainings tell nothing of these, which lie closer together.
    """
    found = verdict(run)
    finals = [row.scores for row in found.rows if row.trial and _lasts_as_the_search(row)] if found else []
    drawn: dict[str, list[float]] = defaultdict(list)
    for trial in run.ranked:
        drawn[trial.fingerprint].append(trial.accuracy)
    return Noise(*pooled_deviation([*finals, *drawn.values()]))


def _lasts_as_the_search(row: Row) -> bool:
    assert row.trial
    return row.recipe is None or sum(row.recipe.passes) >= sum(row.trial.recipe.passes)

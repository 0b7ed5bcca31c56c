"""Of which finished trials does the sampler learn?

Of the BEST and the NEWEST, chosen by rank and number, so by the record alone. TPE models the best tenth, at most 25
trials, against all others, of which the older count less. The best are exactly those that it would have chosen among
all; of the others it misses the oldest. A proposal costs a time that grows with what is learnt from:
examples/benchmarks/README.md has the figures.
"""

import heapq
from collections.abc import Container

from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

BEST = 25  # the most that TPE takes for the better ones
NEWEST = 1_000


class Memory(InMemoryStorage):
    """Keeps all trials, and shows the best and the newest."""

    def __init__(self) -> None:
        super().__init__()
        self._ranks: dict[int, tuple[float, ...]] = {}

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,  # noqa: FBT001, FBT002 (Optuna's own signature)
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """Show those in any of the states, in the order in which they were asked."""
        trials = super().get_all_trials(study_id, deepcopy, states)
        best = heapq.nsmallest(BEST, trials[:-NEWEST], key=self._remembered)
        return sorted(best, key=lambda trial: trial.number) + trials[-NEWEST:]

    def _remembered(self, trial: FrozenTrial) -> tuple[float, ...]:
        if trial.number not in self._ranks:
            rank = _rank(trial)
            if not trial.state.is_finished():
                return rank
            self._ranks[trial.number] = rank
        return self._ranks[trial.number]


def _rank(trial: FrozenTrial) -> tuple[float, ...]:
    """Rank as TPE does, smaller is better: complete ones by value, stopped ones by epoch and value, then the others.

    Of several values the first, the accuracy, decides what is kept of the oldest.
    """
    excess = sum(value for value in trial.constraints.values() if value > 0)
    if not trial.state.is_finished():
        return (3,)
    if excess:
        return 2, excess
    if trial.state == TrialState.COMPLETE:
        return 0, -trial.values[0]
    epoch, accuracy = max(trial.intermediate_values.items(), default=(-1, 0.0))
    return 1, -epoch, -accuracy

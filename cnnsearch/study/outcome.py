"""How did a candidate end, as far as a sampler can learn from it?"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from cnnsearch.events import FinalState
from cnnsearch.history import Run
from cnnsearch.plan import Plan

OUT_OF_MEMORY = "out of memory"
"""How the reason of a trial begins that needs more than its device has."""


class Outcome(NamedTuple):
    """How a candidate ended, as far as Optuna can learn from it."""

    trial: int
    asked: Mapping[str, float]
    """Empty for a start network, of which Optuna is told nothing: nobody asked it for holes."""
    state: FinalState
    reason: str
    score: float | None
    accuracies: Mapping[int, float]
    """Validation accuracy after each epoch that it trained."""
    violations: Mapping[str, float]
    """By limit the fraction by which it is exceeded; 0 or less is within."""
    costs: tuple[float, ...] = ()
    """Of the costs that shall be small."""

    @property
    def failed_to_train(self) -> bool:
        """Whether the candidate itself is to blame, and not the program or the machine; known without trying too."""
        return self.state in {"failed", "turned_away"} and self.reason.startswith(
            ("diverged", "timeout", OUT_OF_MEMORY)
        )


def outcomes(run: Run, plan: Plan) -> Iterator[Outcome]:
    """Read the finished trials of a record; a repeated one ended as the one that it repeats."""
    for trial in run.trials:
        end = run.trials[trial.of] if trial.of is not None else trial
        if end.state != "running":
            accuracies = {epoch.epoch: epoch.validation_accuracy for epoch in end.epochs}
            excess, costs = plan.limits.excess(end), plan.aim.prices(end, end.latency)
            yield Outcome(trial.number, trial.asked, end.state, end.reason, end.score, accuracies, excess, costs)

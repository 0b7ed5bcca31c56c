"""How did a candidate end, as far as a sampler can learn from it?"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from cnnsearch.causes import is_to_blame
from cnnsearch.events import FinalState
from cnnsearch.history import Run
from cnnsearch.plan import Plan


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
        return is_to_blame(self.state, self.reason)


def outcomes(run: Run, plan: Plan) -> Iterator[Outcome]:
    """Read the finished trials of a record; a repeated one ended as the one that it repeats."""
    for trial in run.trials:
        end = run.trials[trial.of] if trial.of is not None else trial
        if end.state != "running":
            accuracies = {epoch.epoch: epoch.validation_accuracy for epoch in end.epochs}
            excess, costs = plan.limits.excess(end), plan.aim.prices(end, end.latency)
            yield Outcome(trial.number, trial.asked, end.state, end.reason, end.score, accuracies, excess, costs)

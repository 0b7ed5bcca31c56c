"""What is known of a study so far? Made from the record, and kept up to date while the study runs."""

from collections import Counter, defaultdict
from itertools import takewhile
from typing import NamedTuple, Self

from cnnsearch.history import Run, Trial
from cnnsearch.network import Network
from cnnsearch.plan import Plan, Priced
from cnnsearch.recipe import Recipe
from cnnsearch.study.outcome import OUT_OF_MEMORY, Outcome, outcomes


class Need(NamedTuple):
    """What a training takes memory for; bytes do not follow from it, but more of all of it takes more bytes."""

    batch_size: int
    parameters: int
    macs: int
    activation_bytes: int

    @classmethod
    def of(cls, cost: Priced, recipe: Recipe) -> Self:
        """Read it off a network's cost and its recipe."""
        return cls(recipe.batch_size, cost.parameters, cost.macs, cost.activation_bytes)

    def __str__(self) -> str:
        return (
            f"batch {self.batch_size:,}, {self.parameters:,} parameters, {self.macs:,} multiply-adds, "
            f"{self.activation_bytes:,} bytes of maps"
        )


class Best(NamedTuple):
    """The best complete trial; of equal scores the smaller network, then the earlier."""

    trial: int
    score: float
    parameters: int
    macs: int
    network: Network

    @property
    def rank(self) -> tuple[float, int, int]:
        """Smaller is better."""
        return -self.score, self.parameters, self.trial


class Ledger:
    """Counts, scores and outcomes by trial."""

    def __init__(self, run: Run, plan: Plan) -> None:
        self.outcomes: dict[int, Outcome] = {outcome.trial: outcome for outcome in outcomes(run, plan.limits)}
        self.states = Counter(trial.state for trial in run.trials)
        self.seen: dict[str, int] = {}
        """By fingerprint the trial that had this candidate first."""
        self.drawn: set[str] = set()
        """Fingerprints of what came from the space: a start network may lie outside of it."""
        self._start_networks = len(plan.start)
        for trial in run.trials:
            self.know(trial.number, trial.fingerprint)
        self.rungs: dict[int, dict[int, float]] = defaultdict(dict)
        """By epoch and trial the validation accuracy."""
        for trial in run.trials:
            for epoch in trial.epochs:
                self.rungs[epoch.epoch][trial.number] = epoch.validation_accuracy
        self.too_much: dict[int, Need] = {
            trial.number: Need.of(trial, trial.recipe)
            for trial in run.trials
            if trial.state == "failed" and trial.reason.startswith(OUT_OF_MEMORY)
        }
        """By trial what its device had no memory for, though it was alone there."""
        self.unfinished: list[Trial] = [trial for trial in run.trials if trial.state == "running"]
        self.next_trial = len(run.trials)
        self.asked_in_vain = sum(1 for _ in takewhile(_brought_nothing, reversed(run.trials)))
        """Proposals since the last new candidate."""
        self.best: Best | None = None
        for trial in run.ranked[:1]:
            assert trial.score is not None
            self.best = Best(trial.number, trial.score, trial.parameters, trial.macs, trial.network)
        self.seconds_before = run.seconds

    def know(self, trial: int, fingerprint: str) -> None:
        """Remember who had a candidate first."""
        self.seen.setdefault(fingerprint, trial)
        if trial >= self._start_networks:
            self.drawn.add(fingerprint)

    def forget_epochs(self, trial: int, first: int) -> None:
        """Forget what an earlier attempt told from an epoch on: the one that runs now tells it again."""
        for epoch in [epoch for epoch in self.rungs if epoch >= first]:
            self.rungs[epoch].pop(trial, None)

    def needs_too_much(self, need: Need) -> int | None:
        """Name a trial that ran out of memory and needed no more of anything."""
        for trial, least in self.too_much.items():
            if all(wanted >= had for wanted, had in zip(need, least, strict=True)):
                return trial
        return None

    @property
    def counted(self) -> int:
        """Trials that count against the budget."""
        return self.states["complete"] + self.states["stopped"] + self.states["failed"]


def _brought_nothing(trial: Trial) -> bool:
    return trial.state in {"turned_away", "repeated"}

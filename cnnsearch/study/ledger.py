"""What is known of a study so far? Made from the record, and kept up to date while the study runs."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import takewhile
from math import isfinite
from typing import NamedTuple, Self

from cnnsearch.causes import cause_of
from cnnsearch.events import COUNTED
from cnnsearch.history import Run, Trial
from cnnsearch.network import Network
from cnnsearch.objectives import Latency, Priced
from cnnsearch.plan import Plan
from cnnsearch.ranking import Standing, front
from cnnsearch.recipe import Recipe
from cnnsearch.study.outcome import Outcome, outcomes


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
    """The best complete trial, and its place among others (smaller is better)."""

    trial: int
    score: float
    parameters: int
    macs: int
    network: Network
    place: tuple[float, ...]


class Ledger:
    """Counts, scores and outcomes by trial."""

    def __init__(self, run: Run, plan: Plan) -> None:
        self.outcomes: dict[int, Outcome] = {outcome.trial: outcome for outcome in outcomes(run, plan)}
        self.states = Counter(trial.state for trial in run.trials)
        self.seen: dict[str, int] = {}
        """By fingerprint the first trial with this candidate that keeps the limits."""
        self.drawn: set[str] = set()
        """Fingerprints of what came from the space and keeps the limits: a start network may lie outside of it."""
        self._start_networks = len(plan.start)
        self.rungs: dict[int, dict[int, float]] = defaultdict(dict)
        """By epoch and trial the validation accuracy."""
        self._seconds: dict[int, dict[int, float]] = defaultdict(dict)
        """By trial and epoch how long it took, without what a worker does besides."""
        for trial in run.trials:
            self.know(trial.number, trial.fingerprint, keeps_limits=not plan.limits.exceeded(trial))
            for epoch in trial.epochs:
                self.hear(trial.number, epoch.epoch, epoch.validation_accuracy, epoch.seconds)
        self.too_much: dict[int, Need] = _ran_out(run.trials)
        """By trial what its device had no memory for, though it was alone there."""
        self.unfinished: list[Trial] = [trial for trial in run.trials if trial.state == "running"]
        self.next_trial = len(run.trials)
        self.asked_in_vain = sum(1 for _ in takewhile(_brought_nothing, reversed(run.trials)))
        """Proposals since the last new candidate."""
        self._aim = plan.aim
        self.latencies = {trial.number: trial.latency for trial in run.trials}
        self.measured = {trial.network.fingerprint: trial.latency for trial in run.trials if trial.latency}
        """By the network's fingerprint: measured again it would differ by chance, and by what else the machine does."""
        self.costs = {trial.number: self._aim.prices(trial, trial.latency) for trial in run.trials}
        """By trial what its network costs, of the costs that shall be small."""
        self.complete: dict[int, Standing] = run.standings
        """By trial how good the complete ones are."""
        self.best: Best | None = None
        for trial in run.ranked[:1]:
            self.best = self._best(trial.number, trial.network, trial)
        self.seconds_before = run.seconds

    def price(self, trial: int, network: Network, latency: Latency | None) -> None:
        """Write down what a trial's network costs."""
        self.latencies[trial] = latency
        self.costs[trial] = self._aim.prices(network.cost, latency)
        if latency:
            self.measured[network.fingerprint] = latency

    def seen_at(self, epoch: int) -> dict[int, Standing]:
        """Give how every trial stood after an epoch, to be compared there; who failed since holds nobody up."""
        scores = self.rungs[epoch].items()
        return {trial: Standing(score, self.costs[trial]) for trial, score in scores if not self._has_failed(trial)}

    def _has_failed(self, trial: int) -> bool:
        return trial in self.outcomes and self.outcomes[trial].state == "failed"

    def take(self, trial: int, score: float, network: Network) -> bool:
        """Take a complete trial in; say whether it comes before all others."""
        self.complete[trial] = self._aim.standing(score, network.cost, self.latencies[trial])
        this = self._best(trial, network, network.cost)
        if self.best is not None and self.best.place < this.place:
            return False
        self.best = this
        return True

    def _best(self, trial: int, network: Network, cost: Priced) -> Best:
        standing = self.complete[trial]
        place = self._aim.place(standing, cost, trial)
        return Best(trial, standing.accuracy, cost.parameters, cost.macs, network, place)

    @property
    def front(self) -> Iterator[tuple[int, float, dict[str, float | None]]]:
        """Give trial, accuracy and costs (None: not measurable) of those that no other beats, the cheapest first."""
        for trial in front(self.complete):
            accuracy, costs = self.complete[trial]
            known = (cost if isfinite(cost) else None for cost in costs)
            yield trial, accuracy, dict(zip(self._aim.shown, known, strict=True))

    def know(self, trial: int, fingerprint: str, *, keeps_limits: bool) -> None:
        """Remember who had a candidate first; one over a limit stands for nobody: computed in place it may keep it."""
        if not keeps_limits:
            return
        self.seen.setdefault(fingerprint, trial)
        if trial >= self._start_networks:
            self.drawn.add(fingerprint)

    def hear(self, trial: int, epoch: int, score: float, seconds: float) -> None:
        """Take an epoch in."""
        self.rungs[epoch][trial] = score
        self._seconds[trial][epoch] = seconds

    def forget_epochs(self, trial: int, first: int) -> None:
        """Forget what an earlier attempt told from an epoch on: the one that runs now tells it again."""
        for epoch in [epoch for epoch in self.rungs if epoch >= first]:
            self.rungs[epoch].pop(trial, None)
            self._seconds[trial].pop(epoch, None)

    def seconds_of(self, trial: int) -> float:
        """Give how long a trial's epochs took."""
        return sum(self._seconds[trial].values())

    def needs_too_much(self, number: int, need: Need) -> int | None:
        """Name a trial that ran out of memory and needed no more of anything; None for one that has had an epoch."""
        if self._seconds[number]:
            return None
        for trial, least in self.too_much.items():
            if all(wanted >= had for wanted, had in zip(need, least, strict=True)):
                return trial
        return None

    @property
    def unended(self) -> Iterator[int]:
        """Trials without a last word."""
        return (trial for trial in range(self.next_trial) if trial not in self.outcomes)

    @property
    def counted(self) -> int:
        """Trials that count against the budget."""
        return sum(self.states[state] for state in COUNTED)


def _ran_out(trials: Iterable[Trial]) -> dict[int, Need]:
    ended = (trial for trial in trials if trial.state == "failed" and cause_of(trial.reason) == "out of memory")
    return {trial.number: Need.of(trial, trial.recipe) for trial in ended}


def _brought_nothing(trial: Trial) -> bool:
    return trial.state in {"turned_away", "repeated"}

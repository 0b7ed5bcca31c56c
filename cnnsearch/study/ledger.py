"""What is known of a study so far? Made from the record, and kept up to date while the study runs."""

from collections import Counter, defaultdict
from itertools import takewhile
from typing import NamedTuple

from cnnsearch.history import Run, Trial
from cnnsearch.network import Network
from cnnsearch.plan import Plan
from cnnsearch.study.outcome import Outcome, outcomes


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

    @property
    def counted(self) -> int:
        """Trials that count against the budget."""
        return self.states["complete"] + self.states["stopped"] + self.states["failed"]


def _brought_nothing(trial: Trial) -> bool:
    return trial.state in {"turned_away", "repeated"}

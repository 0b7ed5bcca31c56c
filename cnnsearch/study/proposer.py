"""What is asked of Optuna, and when is it told what became of it?

The record is the truth. The sampler asks and learns in memory, from a study rebuilt from the record. Asked through a
SQLite storage, every parameter was a transaction of its own, and a candidate of 20 parameters took as long as 20 of
them.

- Every hole is asked in every trial under its name, so that all trials share all parameters.
- A trial whose worker died is no matter for Optuna: the same trial goes on in another worker.
- The sampler's generators are seeded anew for each candidate from the study's seed and the candidate's number, so that
  a resumed study draws what an uninterrupted one would have drawn after the same results.
- A candidate that was asked and is not finished is known to TPE as running, in a resumed study too, so that its
  neighbours are avoided meanwhile.
"""

from collections.abc import Container, Iterable, Mapping
from pathlib import Path

import optuna
from optuna.trial import TrialState

from cnnsearch.candidate import Candidate
from cnnsearch.errors import InvalidSpecError
from cnnsearch.plan import Plan
from cnnsearch.seeds import seed_of
from cnnsearch.study.memory import Memory
from cnnsearch.study.outcome import Outcome
from cnnsearch.study.parameters import answer_of, distribution, param_of, suggest
from cnnsearch.study.sampler import DRAWS, sampler_of, seed
from cnnsearch.study.storage import Storage
from cnnsearch.study.told import frozen, lesson
from cnnsearch.trials import directions


class Proposer:
    """Proposes candidates and learns how they did."""

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        known: Iterable[Outcome],
        running: Mapping[int, Mapping[str, float]],
        seen: Container[str] = (),
    ) -> None:
        """Learn what is `known` from the record, and what was asked for trials that are `running` still.

        `seen` are fingerprints of candidates that had better not be proposed again, looked at for each proposal.
        Raises RunError when the storage cannot be reached, or tells of trials that the record does not know; what it
        lacks is added to it by `store`.
        """
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._plan = plan
        self._seen = seen
        self._sampler = sampler_of(plan.sampler, self._is_wanted)
        self._vain: set[tuple[float, ...]] = set()
        """Answers that are known to make nothing new: once known, always known."""
        self._to_decide = {hole.name for hole in plan.holes if not distribution(hole).single()}
        self._study = optuna.create_study(storage=Memory(), sampler=self._sampler, directions=directions(plan.aim))
        self._live: dict[int, optuna.Trial] = {}
        self._resting: set[int] = set()
        outcomes = {outcome.trial: outcome for outcome in known}
        self._storage = Storage(plan, folder, outcomes.values())
        for trial in sorted(outcomes.keys() | running.keys()):  # in the order in which they were asked
            if trial in running:
                self._ask_again(trial, running[trial])
            else:
                self._learn(outcomes[trial])

    def propose(self, trial: int, attempt: int = 0) -> Candidate:
        """Draw the candidate of this number; raise InvalidSpecError where it exceeds the library's own limits.

        `attempt` changes what is drawn: after such an error the same number is asked for again.
        """
        for draw in range(DRAWS - 1):
            asked, candidate = self._draw(trial, f"sampler {attempt}" + (f".{draw}" if draw else ""))
            if asked.relative_params or self._is_new(candidate):  # TPE has chosen among its draws already
                return candidate
            self.forget(trial)
        return self._draw(trial, f"sampler {attempt}.{DRAWS - 1}")[1]

    def _draw(self, trial: int, purpose: str) -> tuple[optuna.Trial, Candidate]:
        seed(self._sampler, seed_of(self._plan.seed, trial, purpose))
        asked = self._live[trial] = self._study.ask()
        return asked, self._plan.draw(lambda hole: suggest(asked, hole))

    def _is_wanted(self, params: Mapping[str, float]) -> bool:
        """Say whether Optuna's parameters make a candidate to train."""
        if not params.keys() >= self._to_decide:  # TPE was asked for one hole by itself
            return False
        answers = tuple(answer_of(hole, params.get(hole.name)) for hole in self._plan.holes)
        return answers not in self._vain and self._draws_new(answers)

    def _draws_new(self, answers: tuple[float, ...]) -> bool:
        named = {hole.name: answer for hole, answer in zip(self._plan.holes, answers, strict=True)}
        try:
            is_new = self._is_new(self._plan.draw(lambda hole: named[hole.name]))
        except InvalidSpecError:
            is_new = False
        if not is_new:
            self._vain.add(answers)
        return is_new

    def _is_new(self, candidate: Candidate) -> bool:
        return candidate.fingerprint not in self._seen and not self._plan.limits.exceeded(candidate.network.cost)

    def tell(self, outcome: Outcome) -> None:
        """Tell how a candidate ended."""
        if outcome.trial not in self._resting:
            self._learn(outcome)
        self._storage.owe(outcome)

    def rest(self, outcome: Outcome) -> None:
        """Tell how far a candidate came that waits at a rung; its end, told later, then teaches nothing more."""
        if outcome.trial not in self._resting:
            self._learn(outcome)
        self._resting.add(outcome.trial)

    def store(self, patience: float = 0.0) -> bool:
        """Add one trial to the storage that it lacks; False when it lacks none, or another program looks at it."""
        return self._storage.add_one(patience)

    @property
    def lacking(self) -> int:
        """How many trials the storage lacks."""
        return self._storage.lacking

    def forget(self, trial: int) -> None:
        """Tell that a proposal came to nothing."""
        self._study.tell(self._live.pop(trial), state=TrialState.FAIL)

    def _ask_again(self, trial: int, asked: Mapping[str, float]) -> None:
        if asked:
            self._study.enqueue_trial({hole.name: param_of(hole, asked[hole.name]) for hole in self._plan.holes})
            again = self._live[trial] = self._study.ask()
            for hole in self._plan.holes:
                suggest(again, hole)

    def _learn(self, outcome: Outcome) -> None:
        asked = self._live.pop(outcome.trial, None)
        if asked is None:
            if outcome.asked:
                self._study.add_trial(frozen(self._plan.holes, outcome, lesson(outcome)))
            return
        taught = lesson(outcome)
        for epoch, accuracy in outcome.accuracies.items() if len(self._study.directions) == 1 else ():
            asked.report(accuracy, epoch)  # Optuna refuses it where there are several values
        for name, value in taught.constraints.items():
            asked.set_constraint(name, value)
        self._study.tell(asked, taught.values, state=taught.state)

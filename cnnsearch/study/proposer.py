"""What is asked of Optuna, and what is it told? The only file that opens Optuna's storage.

The record is the truth. The sampler asks and learns in memory, from a study rebuilt from the record; each finished
trial is added whole to the storage, for other tools to look at. Asked through a SQLite storage, every parameter was a
transaction of its own, and a candidate of 20 parameters took as long as 20 of them. To add one whole takes about as
long as to propose one (examples/benchmarks/README.md): it is done while nothing waits, and what a killed study did not
come to, the next one does.

- Every hole is asked in every trial under its name, as an option's index, so that all trials share all parameters.
- Diverged, out of memory, over a limit: PRUNED with a constraint above 0, which TPE ranks behind everything feasible.
  Told FAIL instead, TPE learns nothing and went on proposing such candidates (92 % of them, against 14 %).
- A trial whose worker died is no matter for Optuna: the same trial goes on in another worker.
- The sampler's generators are seeded anew for each candidate from the study's seed and the candidate's number, so that
  a resumed study draws what an uninterrupted one would have drawn after the same results.
- A candidate that was asked and is not finished is known to TPE as running, in a resumed study too, so that its
  neighbours are avoided meanwhile.
- The sampler learns from the BEST and the NEWEST finished trials, chosen by rank and number, so by the record alone.
  TPE models the best tenth, at most 25 trials, against all others, of which the older count less. The best are exactly
  those that it would have chosen among all; of the others it misses the oldest. A proposal costs a time that grows with
  what is learnt from: examples/benchmarks/README.md has the figures.
"""

import hashlib
import heapq
from collections import deque
from collections.abc import Container, Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import StorageInternalError
from optuna.samplers import RandomSampler, TPESampler
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from cnnsearch.errors import RunError
from cnnsearch.holes import Hole, Real
from cnnsearch.plan import Candidate, Plan
from cnnsearch.study.outcome import Outcome

TRIAL = "trial"  # user attribute: the candidate's number in the record; Optuna's own number is an attempt's
BEST = 25  # the most that TPE takes for the better ones
NEWEST = 1_000


def seed_of(seed: int, trial: int, purpose: str) -> int:
    """Mix a study's seed and a candidate's number into a 32-bit seed of its own for each purpose.

    >>> seed_of(0, 1, "sampler") != seed_of(1, 0, "sampler")
    True
    """
    return int.from_bytes(hashlib.sha256(f"{seed}/{trial}/{purpose}".encode()).digest()[:4])


class Proposer:
    """Proposes candidates and learns how they did."""

    def __init__(
        self, plan: Plan, folder: Path, known: Iterable[Outcome], running: Mapping[int, Mapping[str, float]]
    ) -> None:
        """Learn what is `known` from the record, and what was asked for trials that are `running` still.

        Raises RunError when the storage cannot be reached, or tells of trials that the record does not know; what it
        lacks is added to it by `store`.
        """
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._plan = plan
        self._sampler = _sampler(plan)
        self._study = optuna.create_study(storage=_Memory(), sampler=self._sampler, direction="maximize")
        own = URL.create("sqlite", database=str(folder / "storage.sqlite3"))
        self._url = make_url(plan.storage) if plan.storage else own
        self._live: dict[int, optuna.Trial] = {}
        self._unstored: deque[Outcome] = deque()
        self._resting: set[int] = set()
        with _reaching(self._url):
            self._stored = optuna.create_study(
                storage=self._url.render_as_string(hide_password=False),
                study_name=plan.run_name,
                direction="maximize",
                load_if_exists=True,
            )
            stored = {trial.user_attrs.get(TRIAL) for trial in self._stored.get_trials(deepcopy=False)}
        outcomes = {outcome.trial: outcome for outcome in known}
        if strange := stored - outcomes.keys():
            law = f"has {len(strange)} trials of a study {plan.run_name!r} that {folder} knows nothing of"
            raise RunError(f"storage {_shown(self._url)} {law}; take another --storage or --name")
        for trial in sorted(outcomes.keys() | running.keys()):  # in the order in which they were asked
            if trial in running:
                self._ask_again(trial, running[trial])
            else:
                self._learn(outcomes[trial])
        self._unstored.extend(outcome for outcome in outcomes.values() if outcome.trial not in stored)

    def propose(self, trial: int, attempt: int = 0) -> Candidate:
        """Draw the candidate of this number; raise InvalidSpecError where it exceeds the library's own limits.

        `attempt` changes what is drawn: after such an error the same number is asked for again.
        """
        _seed(self._sampler, seed_of(self._plan.seed, trial, f"sampler {attempt}"))
        asked = self._live[trial] = self._study.ask()
        return self._plan.draw(lambda hole: _suggest(asked, hole))

    def tell(self, outcome: Outcome) -> None:
        """Tell how a candidate ended."""
        if outcome.trial not in self._resting:
            self._learn(outcome)
        self._unstored.append(outcome)

    def rest(self, outcome: Outcome) -> None:
        """Tell how far a candidate came that waits at a rung; its end, told later, then teaches nothing more."""
        if outcome.trial not in self._resting:
            self._learn(outcome)
        self._resting.add(outcome.trial)

    def store(self) -> bool:
        """Add one trial to the storage that it lacks; False when it lacks none."""
        if not self._unstored:
            return False
        self._store(self._unstored[0])
        self._unstored.popleft()
        return True

    def forget(self, trial: int) -> None:
        """Tell that a proposal came to nothing."""
        self._study.tell(self._live.pop(trial), state=TrialState.FAIL)

    def _ask_again(self, trial: int, asked: Mapping[str, float]) -> None:
        if asked:
            self._study.enqueue_trial({hole.name: _param(hole, asked[hole.name]) for hole in self._plan.holes})
            again = self._live[trial] = self._study.ask()
            for hole in self._plan.holes:
                _suggest(again, hole)

    def _learn(self, outcome: Outcome) -> None:
        asked = self._live.pop(outcome.trial, None)
        if asked is None:
            if outcome.asked:
                self._study.add_trial(self._frozen(outcome))
            return
        for epoch, accuracy in outcome.accuracies.items():
            asked.report(accuracy, epoch)
        for name, value in _constraints(outcome).items():
            asked.set_constraint(name, value)
        state = _state(outcome)
        self._study.tell(asked, outcome.score if state == TrialState.COMPLETE else None, state=state)

    def _store(self, outcome: Outcome) -> None:
        if outcome.asked:
            with _reaching(self._url):
                self._stored.add_trial(self._frozen(outcome))

    def _frozen(self, outcome: Outcome) -> FrozenTrial:
        state = _state(outcome)
        return optuna.trial.create_trial(
            state=state,
            value=outcome.score if state == TrialState.COMPLETE else None,
            params={hole.name: _param(hole, outcome.asked[hole.name]) for hole in self._plan.holes},
            distributions={hole.name: distribution(hole) for hole in self._plan.holes},
            user_attrs=_attributes(outcome),
            intermediate_values=dict(outcome.accuracies),
            constraints=_constraints(outcome),
        )


class _Memory(InMemoryStorage):
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
        best = heapq.nsmallest(BEST, trials[:-NEWEST], key=self._rank)
        return sorted(best, key=lambda trial: trial.number) + trials[-NEWEST:]

    def _rank(self, trial: FrozenTrial) -> tuple[float, ...]:
        if trial.number not in self._ranks:
            rank = _rank(trial)
            if not trial.state.is_finished():
                return rank
            self._ranks[trial.number] = rank
        return self._ranks[trial.number]


def _rank(trial: FrozenTrial) -> tuple[float, ...]:
    """Rank as TPE does, smaller is better: complete ones by value, stopped ones by epoch and value, then the others."""
    excess = sum(value for value in trial.constraints.values() if value > 0)
    if not trial.state.is_finished():
        return (3,)
    if excess:
        return 2, excess
    if trial.state == TrialState.COMPLETE:
        return 0, -(trial.value or 0)
    epoch, accuracy = max(trial.intermediate_values.items(), default=(-1, 0.0))
    return 1, -epoch, -accuracy


@contextmanager
def _reaching(url: URL) -> Generator[None]:
    """Turn whatever a database says into an error that names it, without its password."""
    try:
        yield
    except (SQLAlchemyError, StorageInternalError, ImportError) as error:
        reason = str(error.__cause__ or error).partition("\n")[0]
        law = f"storage {_shown(url)} cannot be used ({reason})"
        way_out = "nothing is lost: the same command makes it again from the record, there or at another --storage"
        raise RunError(f"{law}; {way_out}") from None


def _shown(url: URL) -> str:
    return url.set(query={}).render_as_string(hide_password=True)


def _state(outcome: Outcome) -> TrialState:
    if outcome.state == "complete":
        return TrialState.COMPLETE
    return TrialState.FAIL if outcome.state == "failed" and not outcome.failed_to_train else TrialState.PRUNED


def _constraints(outcome: Outcome) -> dict[str, float]:
    return {**outcome.violations, "trains": 1.0 if outcome.failed_to_train else 0.0}


def _attributes(outcome: Outcome) -> dict[str, object]:
    # Optuna's dashboard does not look at constraints, so feasibility is said once more.
    return {TRIAL: outcome.trial, "feasible": max(_constraints(outcome).values()) <= 0}


def distribution(hole: Hole | Real) -> BaseDistribution:
    """Give the distribution that Optuna is asked by: numbers keep their order, a logarithmic range its scale."""
    if isinstance(hole, Real):
        return FloatDistribution(hole.low, hole.high, log=hole.log)
    last = len(hole.options) - 1
    if hole.log:
        return IntDistribution(hole.lowest, hole.lowest + last, log=True)
    return IntDistribution(0, last) if hole.ordered else CategoricalDistribution(tuple(range(last + 1)))


def _suggest(trial: optuna.Trial, hole: Hole | Real) -> float:
    if isinstance(hole, Real):
        return trial.suggest_float(hole.name, hole.low, hole.high, log=hole.log)
    asked = distribution(hole)
    if isinstance(asked, IntDistribution):
        return trial.suggest_int(hole.name, asked.low, asked.high, log=asked.log) - _param(hole, 0)
    return trial.suggest_categorical(hole.name, range(len(hole.options)))


def _param(hole: Hole | Real, answer: float) -> float:
    """Turn the answer for a hole into Optuna's parameter: of a logarithmic range the number itself, not its index."""
    return answer + hole.lowest if isinstance(hole, Hole) and hole.log else answer


def _sampler(plan: Plan) -> RandomSampler | TPESampler:
    if plan.sampler.kind == "random":
        return RandomSampler()
    return TPESampler(n_startup_trials=plan.sampler.startup)


def _seed(sampler: RandomSampler | TPESampler, seed: int) -> None:
    """Seed the generators of one sampler again: a fresh sampler for every candidate costs four times as much.

    These attributes are Optuna's own affair; a test notices when a new version moves them.
    """
    random = sampler._random_sampler if isinstance(sampler, TPESampler) else sampler  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    for state in (sampler._rng, random._rng):  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        state.rng.seed(seed)

"""What is asked of Optuna, and when is it told what became of it? The only file that opens Optuna's storage.

The record is the truth. The sampler asks and learns in memory, from a study rebuilt from the record; each finished
trial is added whole to the storage, for other tools to look at. Asked through a SQLite storage, every parameter was a
transaction of its own, and a candidate of 20 parameters took as long as 20 of them. To add one whole takes about as
long as to propose one (examples/benchmarks/README.md): it is done while nothing waits, and what a killed study did not
come to, the next one does.

- Every hole is asked in every trial under its name, as an option's index, so that all trials share all parameters.
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

import heapq
from collections import deque
from collections.abc import Container, Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, quote_plus

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import StorageInternalError
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import URL, make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from cnnsearch.errors import DiskFullError, InvalidSpecError, RunError
from cnnsearch.holes import Hole, Real
from cnnsearch.plan import Candidate, Plan
from cnnsearch.seeds import seed_of
from cnnsearch.signals import held
from cnnsearch.study.outcome import Outcome
from cnnsearch.study.sampler import DRAWS, sampler_of, seed
from cnnsearch.study.storage import is_free, set_aside_damaged
from cnnsearch.study.told import TRIAL, Told, attributes, fact, lesson
from cnnsearch.trials import directions

BEST = 25  # the most that TPE takes for the better ones
NEWEST = 1_000


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
        self._study = optuna.create_study(storage=_Memory(), sampler=self._sampler, directions=directions(plan.aim))
        own = URL.create("sqlite", database=str(folder / "storage.sqlite3"))
        self._url = make_url(plan.storage) if plan.storage else own
        self._live: dict[int, optuna.Trial] = {}
        self._unstored: deque[Outcome] = deque()
        self._resting: set[int] = set()
        if not plan.storage:
            set_aside_damaged(folder / "storage.sqlite3")
        with _reaching(self._url):
            self._stored = optuna.create_study(
                storage=self._url.render_as_string(hide_password=False),
                study_name=plan.run_name,
                directions=directions(plan.aim),
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
        for draw in range(DRAWS - 1):
            asked, candidate = self._draw(trial, f"sampler {attempt}" + (f".{draw}" if draw else ""))
            if asked.relative_params or self._is_new(candidate):  # TPE has chosen among its draws already
                return candidate
            self.forget(trial)
        return self._draw(trial, f"sampler {attempt}.{DRAWS - 1}")[1]

    def _draw(self, trial: int, purpose: str) -> tuple[optuna.Trial, Candidate]:
        seed(self._sampler, seed_of(self._plan.seed, trial, purpose))
        asked = self._live[trial] = self._study.ask()
        return asked, self._plan.draw(lambda hole: _suggest(asked, hole))

    def _is_wanted(self, params: Mapping[str, float]) -> bool:
        """Say whether Optuna's parameters make a candidate to train."""
        if not params.keys() >= self._to_decide:  # TPE was asked for one hole by itself
            return False
        answers = tuple(_answer(hole, params.get(hole.name)) for hole in self._plan.holes)
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
        self._unstored.append(outcome)

    def rest(self, outcome: Outcome) -> None:
        """Tell how far a candidate came that waits at a rung; its end, told later, then teaches nothing more."""
        if outcome.trial not in self._resting:
            self._learn(outcome)
        self._resting.add(outcome.trial)

    def store(self, patience: float = 0.0) -> bool:
        """Add one trial to the storage that it lacks; False when it lacks none, or another program looks at it."""
        if not self._unstored or not self._is_free(patience):
            return False
        self._store(self._unstored[0])
        self._unstored.popleft()
        return True

    @property
    def lacking(self) -> int:
        """How many trials the storage lacks."""
        return len(self._unstored)

    def _is_free(self, patience: float) -> bool:
        database = self._url.database or ":memory:"
        is_file = self._url.get_backend_name() == "sqlite" and not database.startswith((":memory:", "file:"))
        return not is_file or is_free(Path(database), patience)

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
                self._study.add_trial(self._frozen(outcome, lesson(outcome)))
            return
        taught = lesson(outcome)
        for epoch, accuracy in outcome.accuracies.items() if len(self._study.directions) == 1 else ():
            asked.report(accuracy, epoch)  # Optuna refuses it where there are several values
        for name, value in taught.constraints.items():
            asked.set_constraint(name, value)
        self._study.tell(asked, taught.values, state=taught.state)

    def _store(self, outcome: Outcome) -> None:
        if outcome.asked:
            with _reaching(self._url):
                self._stored.add_trial(self._frozen(outcome, fact(outcome)))

    def _frozen(self, outcome: Outcome, told: Told) -> FrozenTrial:
        return optuna.trial.create_trial(
            state=told.state,
            values=told.values,
            params={hole.name: _param(hole, outcome.asked[hole.name]) for hole in self._plan.holes},
            distributions={hole.name: distribution(hole) for hole in self._plan.holes},
            user_attrs=attributes(outcome),
            intermediate_values=dict(outcome.accuracies),
            constraints=told.constraints,
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


@contextmanager
def _reaching(url: URL) -> Generator[None]:
    """Turn whatever a database says into an error that names it, without its password.

    Cut in two by a signal, SQLAlchemy says what is no truth about the database, or nothing at all.
    """
    try:
        with held():
            yield
    except (SQLAlchemyError, StorageInternalError, ImportError) as error:
        said = error.__cause__ or error
        own = said.orig if isinstance(said, DBAPIError) else None  # the driver's word; the other tells where it came up
        reason = _scrubbed(str(own or said).partition("\n")[0], url)
        law = f"storage {_shown(url)} cannot be used ({reason})"
        way_out = "nothing is lost: the same command makes it again from the record, there or at another --storage"
        kind = DiskFullError if "disk is full" in reason else RunError  # in SQLite's words
        raise kind(f"{law}; {way_out}") from None


def _scrubbed(text: str, url: URL) -> str:
    """Take out of what a driver says whatever may be secret in the URL: its password, and all values of its query."""
    values = [url.password, *(value for values in url.normalized_query.values() for value in values)]
    for secret in sorted({str(value) for value in values if value}, key=len, reverse=True):
        for form in {secret, quote(secret), quote_plus(secret)}:
            text = text.replace(form, "***")
    return text


def _shown(url: URL) -> str:
    return url.set(query={}).render_as_string(hide_password=True)


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


def _answer(hole: Hole | Real, param: float | None) -> float:
    """Turn Optuna's parameter into the answer for a hole; None for a hole that has only one."""
    if isinstance(hole, Real):
        return hole.low if param is None else param
    return 0 if param is None else int(param) - int(_param(hole, 0))


def _param(hole: Hole | Real, answer: float) -> float:
    """Turn the answer for a hole into Optuna's parameter: of a logarithmic range the number itself, not its index."""
    return answer + hole.lowest if isinstance(hole, Hole) and hole.log else answer

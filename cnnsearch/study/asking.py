"""What is tried next, and is it worth a training?"""

from collections.abc import Callable
from typing import Literal, NamedTuple

from cnnsearch.candidate import Candidate
from cnnsearch.causes import reason_of
from cnnsearch.errors import InvalidSpecError
from cnnsearch.events import Asked
from cnnsearch.network import Network
from cnnsearch.objectives import Latency
from cnnsearch.plan import Plan
from cnnsearch.record import Record
from cnnsearch.size import count_candidates
from cnnsearch.study.ledger import Ledger, Need
from cnnsearch.study.live import Live
from cnnsearch.study.proposer import Proposer
from cnnsearch.study.screen import Screen

MOST_ASKS_IN_VAIN = 1_000
ASKS_TO_MENTION = 100


class Known(NamedTuple):
    """A candidate that is not trained, since one trial's result stands for it."""

    first: int


class TooMuch(NamedTuple):
    """A candidate that is not trained, since it is over a limit or larger than the memory."""

    reason: str


class Asking:
    """Start networks, then the sampler's candidates, each noted in the record; counts those that brought nothing."""

    def __init__(
        self, plan: Plan, proposer: Proposer, record: Record, ledger: Ledger, screen: Screen,
        measure: Callable[[Network], Latency | None],
    ) -> None:  # fmt: skip
        self._plan, self._proposer, self._record, self._ledger, self._screen = plan, proposer, record, ledger, screen
        self._measure = measure
        self._in_vain = ledger.asked_in_vain
        self._all_candidates = count_candidates(plan.searched, plan.recipe_tree) or float("inf")

    @property
    def end(self) -> Literal["exhausted", "no_new_candidate"] | None:
        """Say why nothing new is to be had; None while something may be."""
        if not self._plan.trains_again and len(self._ledger.drawn) >= self._all_candidates:
            return "exhausted"
        return "no_new_candidate" if self._in_vain >= MOST_ASKS_IN_VAIN else None

    def next(self) -> Live | None:
        """Ask for a start network or a new candidate; None where too many were over the library's own limits."""
        number = self._ledger.next_trial
        candidate = self._start_network(number) or self._propose(number)
        if candidate is None:
            return None
        self._ledger.next_trial += 1
        keeps_limits = not self._plan.limits.exceeded(candidate.network.cost)
        self._ledger.know(number, candidate.fingerprint, keeps_limits=keeps_limits)
        self._note(number, candidate)
        return Live(number, candidate, attempts=0, deaths=0)

    def judge(self, live: Live) -> Known | TooMuch | None:
        """Say why a candidate is not trained, and count it; None where it is."""
        found = self._refusal(live)
        if found:
            self._count_in_vain()
        elif live.trial == self._ledger.next_trial - 1:  # and not one that was asked before those in vain
            self._in_vain = 0
        return found

    def _refusal(self, live: Live) -> Known | TooMuch | None:
        number, candidate = live.trial, live.candidate
        if (first := self._first(number, candidate)) != number:
            return Known(first)
        if excess := self._plan.limits.exceeded(candidate.network.cost):
            most = max(excess, key=lambda name: excess[name])
            return TooMuch(f"{most} {getattr(candidate.network.cost, most):,} exceeds the limit by {excess[most]:.1%}")
        need = need_of(candidate)
        if (larger := self._ledger.needs_too_much(number, need)) is not None:
            law = f"needs at least what trial {larger} ran out of memory with ({self._ledger.too_much[larger]}): {need}"
            return TooMuch(reason_of("out of memory", f"{law}; a smaller batch or network may fit"))
        return None

    def _first(self, number: int, candidate: Candidate) -> int:
        """Name the trial whose result stands for this candidate: its own, unless it is known and not trained again."""
        return number if self._plan.trains_again else self._ledger.seen.get(candidate.fingerprint, number)

    def _start_network(self, number: int) -> Candidate | None:
        return self._plan.start_with(self._plan.start[number]) if number < len(self._plan.start) else None

    def _propose(self, number: int) -> Candidate | None:
        for attempt in range(MOST_ASKS_IN_VAIN - self._in_vain):
            try:
                return self._proposer.propose(number, attempt)
            except InvalidSpecError as error:
                self._proposer.forget(number)
                self._count_in_vain()
                self._screen.say(f"turned away: {error}")
        return None

    def _count_in_vain(self) -> None:
        self._in_vain += 1
        if self._in_vain % ASKS_TO_MENTION == 0:
            law = f"{self._in_vain} proposals in a row were over a limit or known already"
            self._screen.say(f"{law}; after {MOST_ASKS_IN_VAIN:,} the study ends")

    def _note(self, number: int, candidate: Candidate) -> None:
        cost, latency = candidate.network.cost, self._latency(number, candidate)
        self._ledger.price(number, candidate.network, latency)
        self._record.append(
            Asked(
                trial=number,
                asked=candidate.asked,
                built=candidate.built,
                network=candidate.network.model_dump(exclude_defaults=True),
                recipe=candidate.recipe,
                parameters=cost.parameters,
                macs=cost.macs,
                weight_bytes=cost.weight_bytes,
                activation_bytes=cost.activation_bytes,
                fingerprint=candidate.fingerprint,
                latency=latency,
            )
        )

    def _latency(self, number: int, candidate: Candidate) -> Latency | None:
        """Measure a network that will be trained, where the plan asks for it; one network once."""
        is_new = self._first(number, candidate) == number
        if "latency" not in self._plan.aim.costs or not is_new or self._plan.limits.exceeded(candidate.network.cost):
            return None
        return self._ledger.measured.get(candidate.network.fingerprint) or self._measure(candidate.network)


def need_of(candidate: Candidate) -> Need:
    """Say what training a candidate takes memory for."""
    return Need.of(candidate.network.cost, candidate.recipe)

"""Ask, submit, listen, tell: the story of a search.

One thread, one loop. Whatever happens is written to the record first, then told to Optuna, then shown; only a worker
that waits is given its job or its answer before all that.

While all slots are busy the next candidate is asked ahead, so that a slot that becomes free has its job at once. It is
one candidate, asked with the last result but those in training: asked earlier it would know less, and 16 workers waited
no shorter for 4 or 16 of them (examples/benchmarks/README.md). It is in the record like any other; a study that ends
before it was started begins with it when it goes on. When it is asked follows from what is in the record and not from
the clock, so that one worker's study goes on as if it had never been cut.

The class is long because it is the one place where everything that can happen meets; what can be asked without it lives
beside it: the next candidate (`asking.py`), who waits at a rung (`rungs.py`), what is known (`ledger.py`), the minutes
(`clock.py`).
"""

from collections.abc import Callable
from pathlib import Path

from cnnsearch import events
from cnnsearch.candidate import Candidate
from cnnsearch.causes import reason_of
from cnnsearch.errors import DiskFullError
from cnnsearch.events import CloseState, FinalState, Finished, Interrupted, Started
from cnnsearch.executors.executor import Executor
from cnnsearch.messages import MOST_DEATHS, Died, Done, Epoch, Event, Failed, Job, died
from cnnsearch.network import Network
from cnnsearch.plan import Plan
from cnnsearch.record import Record
from cnnsearch.seeds import seed_of
from cnnsearch.study.asking import Asking, Known, need_of
from cnnsearch.study.best import drop, publish, weights_of
from cnnsearch.study.clock import Clock
from cnnsearch.study.ledger import Ledger
from cnnsearch.study.live import Live
from cnnsearch.study.outcome import Outcome
from cnnsearch.study.proposer import Proposer
from cnnsearch.study.rungs import Rungs
from cnnsearch.study.screen import Screen

MOST_BUGS_IN_A_ROW = 5
PATIENCE = 0.5  # seconds between looks at the clock while nothing happens
CALM = 0.05  # seconds of silence before a trial is stored, which takes half as long: a worker may wait for an answer


class Search:
    """The live jobs of a study, and what is done when one of them says something."""

    def __init__(
        self, plan: Plan, folder: Path, executor: Executor, proposer: Proposer, record: Record, ledger: Ledger,
        screen: Screen, save: Callable[[], None],
    ) -> None:  # fmt: skip
        self.plan, self.folder, self.executor, self.proposer = plan, folder, executor, proposer
        self.record, self.ledger, self.screen, self.save = record, ledger, screen, save
        self.live: dict[int, Live] = {}
        self.waiting: list[Live] = []
        self.echoes: dict[int, list[tuple[int, Candidate]]] = {}
        """By trial the later ones that drew the same while it was still in training."""
        self.clock = Clock(plan.budget.minutes, {trial.number: len(trial.epochs) for trial in ledger.unfinished})
        self.rungs = Rungs(plan, ledger, self.clock.deadline, len(executor.slots))
        self.asking = Asking(plan, proposer, record, ledger, screen, executor.latency)
        self.bugs_in_a_row = 0
        self._is_summed_up = True

    def run(self) -> CloseState:
        """Search until the budget is spent, or nothing is left to try; say which."""
        self._take_up()
        while (end := self._end()) is None or (end != "failed" and self._wake()) or self.live:
            if end == "failed" or self.clock.is_over(self.live):
                break
            is_idle = (end is not None and not self.waiting) or not self._feed()
            event = self._next_event(is_idle=is_idle)
            if event:
                self._hear(event)
        while self.proposer.store(PATIENCE):
            pass
        if lacking := self.proposer.lacking:
            law = f"another program keeps the storage locked: {lacking} trials are not in it"
            self.screen.say(f"{law}; nothing is lost, and a call for more trials adds them")
        return "out_of_time" if self._is_cut(end) else end or "complete"

    def _next_event(self, *, is_idle: bool) -> Event | None:
        """Take what a worker said; in a calm moment bring the storage up to date."""
        if not is_idle:
            return self.executor.events(timeout=0)
        event = self.executor.events(timeout=CALM)
        if event or self._tidy():
            return event
        return self.executor.events(timeout=PATIENCE)

    def _tidy(self) -> bool:
        """Bring summary or storage a bit nearer to the record; False where they are up to date."""
        if self._is_summed_up:
            return self.proposer.store()
        self.save()
        self._is_summed_up = True
        return True

    def interrupt(self, reason: str) -> None:
        """Note that the live candidates have no last word and will go on; the workers end with the executor."""
        for live in self.live.values():
            self.record.append(Interrupted(trial=live.trial, reason=reason, worker_died=False))

    # Asking

    def _take_up(self) -> None:
        """Go on with the candidates that an earlier invocation left without a last word."""
        for trial in self.ledger.unfinished:
            candidate = Candidate(trial.network, trial.recipe, trial.asked, trial.built)
            spent = self.ledger.seconds_of(trial.number)
            if trial.deaths >= MOST_DEATHS:  # the study was killed before it could say so
                self._finish(trial.number, candidate, "failed", died(trial.deaths), seconds=spent)
                continue
            live = Live(trial.number, candidate, trial.attempts, trial.deaths, spent=spent)
            live = self.rungs.passed(live, len(trial.epochs))
            if self.rungs.all_wait and self.rungs.reached(live) > live.passed:
                self._rest(live)  # its line was printed when it came there
            else:
                self._place(live)

    def _end(self) -> CloseState | None:
        """Say why nothing more is asked; None while something is."""
        if self.bugs_in_a_row >= MOST_BUGS_IN_A_ROW:
            return "failed"
        if self.waiting:
            return None
        begun = self.ledger.counted + len(self.live) + len(self.rungs)
        if begun >= self.plan.budget.trials or self.rungs.asks_no_more(any_live=bool(self.live)):
            return "complete"
        return self.asking.end

    def _is_cut(self, end: CloseState | None) -> bool:
        """Say whether the clock left something undone: candidates in training or at a rung, or others of the budget."""
        if end == "failed":
            return False
        lacks = end in {None, "complete"} and self.ledger.counted < self.plan.budget.trials
        return lacks or len(self.live) + len(self.rungs) > 0

    def _feed(self) -> bool:
        """Give a free slot what waits, and ask for the next candidate; say whether there was anything to do."""
        if self.clock.is_late and self.live:
            return False
        submits = self._submit_waiting()
        asks = not self.waiting and self._end() is None and (self.executor.free > 0 or self._newest_is_live())
        if asks and (live := self.asking.next()):
            self._place(live)
        return submits or asks

    def _newest_is_live(self) -> bool:
        # After one that was known or over a limit nothing is asked ahead, until more results are there to ask by.
        return self.ledger.next_trial - 1 in self.live

    def _submit_waiting(self) -> bool:
        if self.rungs.asks_no_more(any_live=bool(self.live)):  # one asked ahead begins the next call
            self.waiting = [live for live in self.waiting if live.attempts]
        if not self.waiting or not self.executor.free:
            return False
        live = self.waiting.pop(0)
        if self.ledger.needs_too_much(live.trial, need_of(live.candidate)) is None:
            self._submit(live)
        else:  # a trial ran out of memory since this one was asked
            self._place(live)
        return True

    def _place(self, live: Live) -> None:
        """Let it wait for a worker, unless it is known already, over a limit or too large for the memory."""
        refusal = self.asking.judge(live)
        if isinstance(refusal, Known):
            self._answer_from_record(live.trial, live.candidate, refusal.first)
        elif refusal:
            self._finish(live.trial, live.candidate, "turned_away", refusal.reason)
        else:
            self.waiting.append(live)

    def _answer_from_record(self, number: int, candidate: Candidate, first: int) -> None:
        if first in self.ledger.outcomes:
            self._repeat(number, candidate, self.ledger.outcomes[first])
        else:
            self.echoes.setdefault(first, []).append((number, candidate))

    def _repeat(self, number: int, candidate: Candidate, known: Outcome) -> None:
        self.record.append(Finished(trial=number, state="repeated", score=known.score, of=known.trial))
        self.ledger.states["repeated"] += 1
        self.ledger.outcomes[number] = known._replace(trial=number, asked=candidate.asked)
        self.proposer.tell(self.ledger.outcomes[number])
        self.screen.counted(self.ledger, len(self.rungs))

    def _submit(self, live: Live) -> None:
        live = live._replace(attempts=live.attempts + 1)
        job = Job(
            trial=live.trial,
            network=live.candidate.network,
            recipe=live.candidate.recipe,
            seed=seed_of(self.plan.seed, live.trial, "training"),
            rungs=self.rungs.ahead(live),
            weights=str(weights_of(self.folder, live.trial)),
            seconds=self.plan.budget.trial_seconds,
            spent=live.spent,
        )
        self.live[live.trial] = live
        slot = self.executor.submit(job)
        self.record.append(Started(trial=live.trial, attempt=live.attempts, slot=slot))
        self.screen.started(live.trial, live.candidate)

    # Listening

    def _hear(self, event: Event) -> None:
        if isinstance(event, Epoch):
            self._hear_epoch(event)
        elif isinstance(event, Done):
            self._hear_done(event)
        elif isinstance(event, Failed):
            self._hear_failed(event)
        elif isinstance(event, Died):
            self._hear_died(event)

    def _hear_epoch(self, epoch: Epoch) -> None:
        self.ledger.forget_epochs(epoch.trial, epoch.epoch)
        score = epoch.validation_accuracy
        candidate = self.live[epoch.trial].candidate
        if epoch.epoch in self.rungs.ahead(self.live[epoch.trial]):  # answered before anything else: the worker waits
            passes = self.rungs.passes(epoch.trial, epoch.epoch, score)
            (self.executor.go if passes else self.executor.stop)(epoch.trial)
            if passes:
                self.live[epoch.trial] = self.live[epoch.trial]._replace(passed=epoch.epoch)
        self.ledger.hear(epoch.trial, epoch.epoch, score, epoch.seconds)
        if epoch.epoch < candidate.recipe.epochs:  # the last one is kept when the trial is done
            self.clock.hear(epoch.trial, epoch.epoch)
        self.record.append(events.Epoch(**epoch.model_dump(exclude={"kind"})))
        self.screen.epoch(epoch, candidate)

    def _take_back(self, trial: int, seconds: float) -> Live:
        """Take a candidate from its worker, which was at it for so many seconds."""
        live = self.live.pop(trial)
        return live._replace(spent=live.spent + seconds)

    def _hear_done(self, done: Done) -> None:
        live = self._take_back(done.trial, done.seconds)
        self.bugs_in_a_row = 0
        accuracies = self._accuracies(done.trial)
        last = max(accuracies)
        if done.stopped and self.rungs.all_wait:
            self.record.sync()
            outcome = self._rest(live)
            self.screen.rests(outcome, live.candidate, self.ledger, len(self.rungs))
        elif done.stopped:
            self._stop(live)
        else:
            self._finish(done.trial, live.candidate, "complete", score=accuracies[last], seconds=live.spent)

    def _stop(self, live: Live) -> None:
        reason = f"stopped after epoch {max(self._accuracies(live.trial))} of {live.candidate.recipe.epochs}"
        self._finish(live.trial, live.candidate, "stopped", reason, seconds=live.spent)

    def _rest(self, live: Live) -> Outcome:
        """Let a trial wait at its rung until all are there; the sampler learns how far it came."""
        self.rungs.rest(live)
        outcome = self._outcome(live.trial, live.candidate, "stopped")
        self.proposer.rest(outcome)
        return outcome

    def _wake(self) -> bool:
        """Let the best of those that wait at a rung go on, and stop the others; False where it is too early."""
        if not self.rungs or self.clock.is_over(self.live) or not self.rungs.are_all_there(self.live.values()):
            return False
        if self.clock.is_late and self.live:  # nothing is begun any more, and the next call may ask for more trials
            return False
        goes, stops = self.rungs.wake()
        if goes or stops:
            self.screen.wakes(goes, stops)
        self.waiting += goes
        for live in stops:
            self._stop(live)
        return bool(goes or stops)

    def _hear_failed(self, failed: Failed) -> None:
        live = self._take_back(failed.trial, failed.seconds)
        reason = reason_of(failed.reason, failed.message)
        if failed.shared or failed.reason == "disk full":
            self.record.append(Interrupted(trial=failed.trial, reason=reason, worker_died=False))
            if failed.reason == "disk full":
                raise DiskFullError(failed.message)
            self.waiting.insert(0, live)
            return
        if failed.reason == "out of memory":
            self.ledger.too_much[failed.trial] = need_of(live.candidate)
        self.bugs_in_a_row = self.bugs_in_a_row + 1 if failed.reason == "bug" else 0
        self._finish(failed.trial, live.candidate, "failed", reason, seconds=live.spent)

    def _hear_died(self, event: Died) -> None:
        self.screen.say(event.message)
        if event.trial is None:
            return
        live = self._take_back(event.trial, event.seconds)
        live = live._replace(deaths=live.deaths + 1)
        self.record.append(Interrupted(trial=event.trial, reason=event.message))
        if live.deaths >= MOST_DEATHS:
            self._finish(event.trial, live.candidate, "failed", died(live.deaths, event.message), seconds=live.spent)
        else:
            self.waiting.insert(0, live)

    def _accuracies(self, trial: int) -> dict[int, float]:
        return {epoch: scores[trial] for epoch, scores in sorted(self.ledger.rungs.items()) if trial in scores}

    # Telling

    def _finish(
        self, number: int, candidate: Candidate, state: FinalState, reason: str = "", score: float | None = None,
        seconds: float | None = None,
    ) -> None:  # fmt: skip
        """Write the last word of a candidate, trained for so many seconds if at all; then act on it."""
        if seconds is not None:
            self.clock.hear_end()
        self.record.append(Finished(trial=number, state=state, reason=reason, score=score, seconds=seconds or 0.0))
        if self._end() is None and not self.clock.is_late:
            self._submit_waiting()  # before all else: a worker waits
        outcome = self._outcome(number, candidate, state, reason, score)
        self.ledger.states[state] += 1
        self.ledger.outcomes[number] = outcome
        self._keep_best(outcome, candidate.network)
        self._is_summed_up = False
        self.proposer.tell(outcome)
        self.screen.finished(outcome, candidate, self.ledger, len(self.rungs))
        for echo, drawn in self.echoes.pop(number, ()):
            self._repeat(echo, drawn, outcome)

    def _outcome(
        self, number: int, candidate: Candidate, state: FinalState, reason: str = "", score: float | None = None
    ) -> Outcome:
        excess = self.plan.limits.excess(candidate.network.cost)
        costs = self.ledger.costs[number]
        return Outcome(number, candidate.asked, state, reason, score, self._accuracies(number), excess, costs)

    def _keep_best(self, outcome: Outcome, network: Network) -> None:
        if outcome.score is not None and self.ledger.take(outcome.trial, outcome.score, network):
            publish(self.folder, outcome.trial, network)
        else:
            drop(self.folder, outcome.trial)

"""What does a person see while a study runs?"""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.progress import TextColumn
from rich.table import Table

from cnnsearch.candidate import Candidate
from cnnsearch.history import Run
from cnnsearch.messages import Epoch
from cnnsearch.objectives import HEADS, Name, price_tag
from cnnsearch.plan import Plan
from cnnsearch.recipe import drawn
from cnnsearch.study.ledger import Ledger
from cnnsearch.study.live import Live
from cnnsearch.study.outcome import Outcome
from cnnsearch.terminal import Bar
from cnnsearch.units import counted, percent, roughly

MOST_ROWS = 5  # of a table


def bar_of(plan: Plan, *, quiet: bool = False) -> Bar:
    """Make the bar of a study."""
    state = TextColumn("{task.fields[state]}")
    return Bar("starting the workers", state, plan.budget.trials, "no result yet", quiet=quiet)


class Screen:
    """Shows a study, by its bar and lines above."""

    def __init__(self, plan: Plan, bar: Bar) -> None:
        self._bar = bar
        self._budget = plan.budget.trials
        self._minutes = plan.budget.minutes
        self._costs = plan.aim.costs
        self._all_wait = plan.pruner.kind == "successive"
        self._began = time.monotonic()
        self._first: tuple[int, float] | None = None
        """How many were counted when the first one ended, and when that was."""
        self.say = bar.say

    def begins(self, folder: Path, devices: Sequence[str], ledger: Ledger) -> None:
        """Say what is about to be done, and what an earlier call did."""
        self._bar.counted(ledger.counted, state=_result(ledger, self._costs), total=self._budget)
        trials = counted(self._budget, "trial", "trials")
        done = f", {ledger.counted} of them done" if ledger.counted else ""
        cut = sum(trial.attempts > 0 for trial in ledger.unfinished)
        going_on = f"; {counted(cut, 'goes on, as it was', 'go on, as they were')} not over" if cut else ""
        workers = f"{counted(len(devices), 'worker', 'workers')} ({', '.join(sorted({*devices}))})"
        self.say(f"{folder}: {trials}{done}; {workers}{going_on}")

    def started(self, trial: int, candidate: Candidate) -> None:
        """Show what is begun, also before its first epoch is over; only on a terminal."""
        self._bar.doing(f"trial {trial}: up to {counted(candidate.recipe.epochs, 'epoch', 'epochs')}")

    def epoch(self, epoch: Epoch, candidate: Candidate) -> None:
        """Show that something moves; only on a terminal."""
        epochs = candidate.recipe.epochs
        self._bar.doing(f"trial {epoch.trial}: epoch {epoch.epoch}/{epochs} {percent(epoch.validation_accuracy)}")

    def counted(self, ledger: Ledger, waiting: int = 0) -> None:
        """Move the bar: by those that are over, and those that wait at a rung."""
        self._bar.counted(ledger.counted + waiting, state=self._state(ledger), total=self._budget)

    def rests(self, outcome: Outcome, candidate: Candidate, ledger: Ledger, waiting: int) -> None:
        """Print a line for a trial that waits at a rung, and move the bar."""
        self.counted(ledger, waiting)
        at, reached = max(outcome.accuracies.items())
        waits = f"{percent(reached)} after {counted(at, 'epoch', 'epochs')}, waits for the others; {_named(candidate)}"
        self.say(f"[{ledger.counted + waiting}/{self._budget}] trial {outcome.trial}: {waits}")

    def wakes(self, goes: Sequence[Live], stops: Sequence[Live]) -> None:
        """Say who goes on of those that waited at a rung."""
        waited = counted(len(goes) + len(stops), "trial", "trials")
        if not stops:  # also those that were chosen before the study was cut
            self.say(f"{waited} that waited {'goes' if len(goes) == 1 else 'go'} on ({_numbers(goes)})")
            return
        best = f" ({_numbers(goes)})" if goes else ""
        self.say(f"of {waited} that waited the best {len(goes)} go on{best}; {len(stops)} are stopped")

    def finished(self, outcome: Outcome, candidate: Candidate, ledger: Ledger, waiting: int = 0) -> None:
        """Print a line for a trial that was trained, and move the bar."""
        self.counted(ledger, waiting)
        if outcome.state == "turned_away" or (outcome.state == "stopped" and self._all_wait):  # it had its line
            return
        reached = percent(max(outcome.accuracies.values())) if outcome.accuracies else ""
        what = percent(outcome.score) if outcome.score is not None else f"{outcome.state} {reached}".strip()
        line = f"[{ledger.counted + waiting}/{self._budget}] trial {outcome.trial}: {what}, {_named(candidate)}"
        if outcome.state == "failed":
            self.say(f"{line}\n    {outcome.reason}", style="red")
        else:
            self.say(line if self._bar.is_seen else f"{line}; {self._state(ledger)}")

    def _state(self, ledger: Ledger) -> str:
        best = _result(ledger, self._costs)
        counts = f"{ledger.states['stopped']} stopped, {ledger.states['turned_away']} turned away"
        return f"{best}, {counts}{self._time_left(ledger)}"

    def _time_left(self, ledger: Ledger) -> str:
        if self._all_wait:  # most trials end at one moment, and the longest trainings come after it
            return ""
        now = time.monotonic()
        if self._first is None:  # it waited for the workers to start, and tells nothing of those to come
            self._first = ledger.counted, now
        count, since = self._first
        if ledger.counted == count:
            return ""
        left = (now - since) / (ledger.counted - count) * (self._budget - ledger.counted)
        if self._minutes is not None:
            left = min(left, 60 * self._minutes - (now - self._began))
        return f", about {roughly(left)} left" if left > 0 else ""


def _numbers(lives: Iterable[Live]) -> str:
    return ", ".join(str(live.trial) for live in lives)


def _result(ledger: Ledger, costs: Iterable[Name]) -> str:
    """Say how good the best one is, in all that is sought."""
    if not (best := ledger.best):
        return "no result yet"
    latency = ledger.latencies[best.trial]
    told = " and ".join(f"{price_tag(name, best.network.cost, latency)} {HEADS[name]}" for name in costs)
    return f"best {percent(best.score)}{f' with {told}' if told else ''}"


def _named(candidate: Candidate) -> str:
    recipe = drawn(candidate.built)
    network = f"{candidate.network.cost.parameters:,} parameters: {candidate.network}"
    return f"{network}, {recipe}" if recipe else network


def table_of(run: Run) -> Table:
    """Make the table of the best networks, where several things are sought of those that none beats in all of them.

    What was drawn for the recipe has a column where anything was. Those that do not reach a floor stand below a line.
    """
    title, best = f"The best networks of {run.folder.name}", run.ranked[:MOST_ROWS]
    if run.aim.costs and run.aim.floor is None:
        title, best = f"The Pareto front of {run.folder.name}", run.front[::-1]
    table = Table(title=f"{title}: {run.aim}")
    recipes = [drawn(trial.built) for trial in best]
    words = ("network", "recipe") if any(recipes) else ("network",)
    costs: tuple[Name, ...] = ("parameters", "macs", *run.aim.besides)
    for name in ("trial", "validation accuracy", *(HEADS[cost] for cost in costs), *words):
        table.add_column(name, justify="left" if name in words else "right")
    floor = run.aim.floor or 0.0
    reaching = sum(trial.accuracy >= floor for trial in best)
    for place, (trial, recipe) in enumerate(zip(best, recipes, strict=True), start=1):
        prices = (price_tag(cost, trial, trial.latency) for cost in costs)
        cells = f"{trial.number}", percent(trial.accuracy), *prices, *(trial.short, recipe)[: len(words)]
        table.add_row(*cells, end_section=place == reaching)
    if reaching < len(best):
        table.caption = (
            f"{'Those below the line do not reach' if reaching else 'None of them reaches'} {percent(floor)}."
        )
    return table

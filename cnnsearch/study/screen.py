"""What does a person see while a study runs? Bars on a terminal, plain lines elsewhere."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table

from cnnsearch.history import Run
from cnnsearch.messages import Epoch
from cnnsearch.plan import Candidate, Plan
from cnnsearch.study.ledger import Ledger
from cnnsearch.study.outcome import Outcome


class Screen:
    """Shows a study; `quiet` shows nothing."""

    def __init__(self, plan: Plan, *, quiet: bool = False) -> None:
        self._console = Console(quiet=quiet, highlight=False, soft_wrap=True)
        self._budget = plan.budget.trials
        self._minutes = plan.budget.minutes
        self._began = time.monotonic()
        self._counted_before: int | None = None
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[state]}"),
        )
        self._progress = Progress(*columns, console=self._console, disable=not self._console.is_terminal)
        self._bar: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        self._bar = self._progress.add_task("trials", total=self._budget, state="starting the workers")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def say(self, text: str, *, style: str = "") -> None:
        """Print a line above the bar."""
        self._console.print(text, style=style, markup=False)

    def epoch(self, epoch: Epoch, candidate: Candidate) -> None:
        """Show that something moves; only on a terminal."""
        if self._bar is not None:
            text = f"trial {epoch.trial}: epoch {epoch.epoch}/{candidate.recipe.epochs} {epoch.validation_accuracy:.2%}"
            self._progress.update(self._bar, description=text)

    def counted(self, ledger: Ledger) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._progress.update(self._bar, completed=ledger.counted, state=self._state(ledger))

    def rests(self, outcome: Outcome, candidate: Candidate, so_far: int) -> None:
        """Print a line for a trial that waits at a rung, and move the bar."""
        if self._bar is not None:
            self._progress.update(self._bar, completed=so_far)
        reached = max(outcome.accuracies.values())
        network = f"{candidate.network.cost.parameters:,} parameters: {candidate.network}"
        self.say(f"[{so_far}/{self._budget}] trial {outcome.trial}: {reached:.2%}, waits for the others; {network}")

    def finished(self, outcome: Outcome, candidate: Candidate, ledger: Ledger) -> None:
        """Print a line for a trial that was trained, and move the bar."""
        self.counted(ledger)
        if outcome.state == "turned_away":
            return
        reached = f"{max(outcome.accuracies.values()):.2%}" if outcome.accuracies else ""
        what = f"{outcome.score:.2%}" if outcome.score is not None else f"{outcome.state} {reached}".strip()
        network = f"{candidate.network.cost.parameters:,} parameters: {candidate.network}"
        line = f"[{ledger.counted}/{self._budget}] trial {outcome.trial}: {what}, {network}"
        if outcome.state == "failed":
            self.say(f"{line}\n    {outcome.reason}", style="red")
        else:
            self.say(line if self._console.is_terminal else f"{line}; {self._state(ledger)}")

    def _state(self, ledger: Ledger) -> str:
        best = f"best {ledger.best.score:.2%}" if ledger.best else "no result yet"
        counts = f"{ledger.states['stopped']} stopped, {ledger.states['turned_away']} turned away"
        return f"{best}, {counts}{self._time_left(ledger)}"

    def _time_left(self, ledger: Ledger) -> str:
        if self._counted_before is None:
            self._counted_before = ledger.counted - 1
        done = ledger.counted - self._counted_before
        passed = time.monotonic() - self._began
        left = passed / done * (self._budget - ledger.counted)
        if self._minutes is not None:
            left = min(left, 60 * self._minutes - passed)
        return f", about {_minutes(left)} left" if left > 0 else ""


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"  # noqa: PLR2004 (a minute and a half)


def table_of(run: Run, rows: int = 5) -> Table:
    """Make the table of the best networks."""
    table = Table(title=f"The best networks of {run.folder.name}")
    for name in ("trial", "validation accuracy", "parameters", "multiply-adds", "network"):
        table.add_column(name, justify="left" if name == "network" else "right")
    for trial in run.ranked[:rows]:
        row = (f"{trial.number}", f"{trial.score:.2%}", f"{trial.parameters:,}", f"{trial.macs:,}", trial.short)
        table.add_row(*row)
    return table

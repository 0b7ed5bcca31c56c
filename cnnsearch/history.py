"""What happened in a run? Reads its folder into one frozen value; needs neither torch nor optuna."""

import json
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from cnnsearch import lock
from cnnsearch.errors import RunError
from cnnsearch.events import (
    Asked,
    Closed,
    CloseState,
    Epoch,
    Event,
    FinalState,
    Finished,
    Interrupted,
    Opened,
    Scalar,
    Started,
    from_line,
)
from cnnsearch.recipe import Recipe
from cnnsearch.record import EPOCHS, RECORD, sound_bytes

if TYPE_CHECKING:
    from cnnsearch.network import Network

PLAN = "plan.json"


class Trial(BaseModel):
    """One candidate and what became of it; the fields of `Asked` and `Finished`, joined."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    number: int
    asked: dict[str, int | float]
    built: dict[str, Scalar]
    network_data: dict[str, Any]
    recipe: Recipe
    parameters: int
    macs: int
    weight_bytes: int
    activation_bytes: int
    fingerprint: str
    state: FinalState | Literal["running"]
    reason: str
    score: float | None
    of: int | None
    seconds: float
    epochs: tuple[Epoch, ...]
    started: float
    """Unix seconds: when its last attempt began, or when it was asked where none did."""
    ended: float | None
    slot: int | None
    attempts: int
    deaths: int
    """How many attempts a dying worker took with it."""

    @cached_property
    def network(self) -> "Network":
        """The network, checked; raises InvalidSpecError where a user's block of it is not imported."""
        from cnnsearch.network import Network

        return Network.model_validate(self.network_data)

    @property
    def short(self) -> str:
        """The network in one line; one with a user's block that is not imported here is only counted."""
        try:
            return str(self.network)
        except ValueError:
            return f"{len(self.network_data.get('blocks', ()))} blocks of kinds not imported here"


class Run(NamedTuple):
    """A run as its folder tells it."""

    folder: Path
    plan: dict[str, Any]
    trials: tuple[Trial, ...]
    state: CloseState | Literal["running"]
    seconds: float
    """The coordinator's time, summed over its invocations."""
    versions: dict[str, str]
    notice: str

    def count(self, *states: str) -> int:
        """Count the trials in any of these states."""
        return sum(trial.state in states for trial in self.trials)

    @property
    def ranked(self) -> tuple[Trial, ...]:
        """The complete trials, best first; of equal scores the one with fewer parameters, then the earlier."""
        complete = [trial for trial in self.trials if trial.state == "complete" and trial.score is not None]
        return tuple(sorted(complete, key=lambda trial: (-(trial.score or 0), trial.parameters, trial.number)))


def read(folder: Path) -> Run:
    """Read a run's folder; raise RunError naming file and line where it cannot be read.

    A run whose coordinator died without a word is `interrupted`; its unfinished trials are still `running` in the
    record, as is everything while the coordinator lives.
    """
    plan = plan_of(folder)
    alive = lock.is_owned(folder)  # asked before reading: one that ends in between has written its `closed`
    epochs = tuple(_events(folder / EPOCHS))  # read before the record, which then knows every trial they speak of
    events = tuple(_events(folder / RECORD))
    opened = [event for event in events if isinstance(event, Opened)]
    return Run(
        folder=folder,
        plan=plan,
        trials=_trials(folder, events, epochs),
        state=_state(events, alive=alive),
        seconds=_seconds(events),
        versions=opened[-1].versions if opened else {},
        notice=opened[-1].notice if opened else "",
    )


def plan_of(folder: Path) -> dict[str, Any]:
    """Read the plan that a run was made by; raise RunError where there is none to read."""
    path = folder / PLAN
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise RunError(f"{path.parent}: no {path.name} in it; give the folder of a run, such as runs/NAME") from None
    except ValueError as error:
        raise RunError(f"{path}: not readable as JSON ({error})") from None


def _events(path: Path) -> Iterator[Event]:
    if not path.exists():
        return
    content = path.read_bytes()
    for number, line in enumerate(content[: sound_bytes(content)].splitlines(), start=1):
        try:
            yield from_line(line)
        except ValueError:
            raise RunError(
                f"{path}, line {number}: not an event of a run: {line[:60].decode(errors='replace')!r}; "
                "the file was damaged or edited: restore it from a copy"
            ) from None


def _state(events: Iterable[Event], *, alive: bool) -> CloseState | Literal["running"]:
    """Tell the run's state by the last invocation's own word, or by whether its process lives."""
    said = [event for event in events if isinstance(event, Opened | Closed)]
    if said and isinstance(said[-1], Closed):
        return said[-1].state
    return "running" if alive else "interrupted"


def _seconds(events: Iterable[Event]) -> float:
    """Sum up each invocation from its `opened` to its last event; a clock set back counts as nothing."""
    total, since, until = 0.0, 0.0, 0.0
    for event in events:
        if isinstance(event, Opened):
            total, since = total + max(0.0, until - since), event.time
        until = event.time
    return total + max(0.0, until - since)


class _Story:
    """What is known of one trial so far."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.starts: list[Started] = []
        self.epochs: list[Epoch] = []
        self.deaths = 0
        self.end: Finished | None = None

    def hear(self, event: Started | Epoch | Finished | Interrupted) -> None:
        if isinstance(event, Started):
            self.starts.append(event)
        elif isinstance(event, Epoch):
            # A later attempt tells its epochs again: what an earlier one told from there on no longer holds.
            self.epochs = [*(epoch for epoch in self.epochs if epoch.epoch < event.epoch), event]
        elif isinstance(event, Interrupted):
            self.deaths += event.worker_died
        else:
            self.end = event

    def trial(self) -> Trial:
        asked, end = self.asked, self.end
        return Trial(
            number=asked.trial,
            asked=asked.asked,
            built=asked.built,
            network_data=asked.network,
            recipe=asked.recipe,
            parameters=asked.parameters,
            macs=asked.macs,
            weight_bytes=asked.weight_bytes,
            activation_bytes=asked.activation_bytes,
            fingerprint=asked.fingerprint,
            state=end.state if end else "running",
            reason=end.reason if end else "",
            score=end.score if end else None,
            of=end.of if end else None,
            seconds=end.seconds if end else 0.0,
            epochs=tuple(self.epochs),
            started=self.starts[-1].time if self.starts else asked.time,
            ended=end.time if end else None,
            slot=self.starts[-1].slot if self.starts else None,
            attempts=len(self.starts),
            deaths=self.deaths,
        )


def _trials(folder: Path, events: Iterable[Event], epochs: Iterable[Event]) -> tuple[Trial, ...]:
    stories: dict[int, _Story] = {}
    for event in (*events, *epochs):
        if isinstance(event, Asked):
            stories[event.trial] = _Story(event)
        elif not isinstance(event, Opened | Closed):
            if event.trial not in stories:
                raise RunError(f"{folder / RECORD}: tells of trial {event.trial}, which it never asked; restore it")
            stories[event.trial].hear(event)
    if stories and max(stories) + 1 != len(stories):
        raise RunError(
            f"{folder / RECORD}: tells of trial {max(stories)} but only of {len(stories)} trials; restore it"
        )
    return tuple(stories[number].trial() for number in sorted(stories))

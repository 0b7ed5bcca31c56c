"""How are the entrants of the finals trained? As in the search, by an executor, but nothing is stopped."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from rich.progress import TimeElapsedColumn

from cnnsearch.causes import cause_of, reason_of
from cnnsearch.download import prepare
from cnnsearch.errors import DiskFullError
from cnnsearch.evaluate.entrants import Entrant, Field, Key, Training, score_of, to_train
from cnnsearch.events import Retrained, Role
from cnnsearch.executors.executor import Executor, Setup
from cnnsearch.executors.local import LocalExecutor
from cnnsearch.files import holds, make_folder, remove_drafts, sha256_of
from cnnsearch.history import Run
from cnnsearch.messages import CHECKPOINT, MOST_DEATHS, Died, Done, Epoch, Event, Failed, Job, checkpoint_of, died
from cnnsearch.network import Network
from cnnsearch.plan import Plan
from cnnsearch.record import Record
from cnnsearch.seeds import seed_of
from cnnsearch.terminal import Bar
from cnnsearch.units import percent

FOLDERS: dict[Role, str] = {"entrant": "finals", "variant": "variants"}
"""Where the weights of a training lie within the run, and until it is over where it stands; of variants none stay."""
PATIENCE = 0.5  # seconds between looks at what is to be done


def make_ready(plan: Plan) -> None:
    """See to what trainings need; raise InvalidSpecError for a device that is not here, DataError for such data."""
    _ = plan.devices
    prepare(plan.facts.key, plan.data_folder)


def bar_of_trainings(task: str, *, quiet: bool = False) -> Bar:
    """Make a bar for trainings, with the time that passed."""
    return Bar(task, TimeElapsedColumn(), quiet=quiet)


@dataclass
class _Live:
    """A training under way."""

    training: Training
    number: int
    """By which the executor knows it, in all attempts."""
    deaths: int = 0
    spent: float = 0.0
    """Seconds in the attempts that are over."""
    accuracies: list[float] = field(default_factory=list[float])


class Trainings:
    """Trains all of a field that is not trained yet; of variants of the winner no weights are kept."""

    def __init__(self, field: Field, run: Run, seed: int, record: Record, bar: Bar, role: Role = "entrant") -> None:
        self._field, self._folder, self._seed = field, run.folder, seed
        self._role: Role = role
        self._place = run.folder / FOLDERS[role]
        self._record, self._bar = record, bar
        self._live: dict[int, _Live] = {}
        self._waiting: list[_Live] = []
        self._numbers = count()
        self.done = done_of(field, run.folder, run.retrained if role == "entrant" else run.varied)

    @property
    def are_over(self) -> bool:
        """Whether nothing is left to train."""
        return not to_train(self._field, self.done)

    def run_in_workers(self, plan: Plan) -> None:
        """Train until nothing is left, by workers of a plan made ready; none is started where nothing is."""
        if self.are_over:
            return
        setup = Setup(plan.facts.key, plan.data_folder, plan.imports)
        with LocalExecutor(plan.devices, setup, self._folder / "log") as executor:
            self.run(executor)

    def run(self, executor: Executor) -> None:
        """Train until nothing is left; every result is in the record when it is counted."""
        make_folder(self._place)
        self._tidy()
        self._count()
        while self._feed(executor) or self._live:
            event = executor.events(timeout=PATIENCE)
            if event:
                self._hear(event)

    def _tidy(self) -> None:
        """Remove what earlier calls that were killed left behind, but for where those go on that still take part."""
        remove_drafts(self._place)
        left = (training for training in self._field.trainings if training.key not in self.done)
        kept = {checkpoint_of(self._folder / weights_name(training, self._role)) for training in left}
        for checkpoint in self._place.glob(f"*{CHECKPOINT}"):
            if checkpoint not in kept:
                checkpoint.unlink()

    def _feed(self, executor: Executor) -> bool:
        """Fill the free slots; say whether there was anything to give."""
        fed = False
        while executor.free and (live := self._next()):
            self._live[live.number] = live
            executor.submit(self._job(live))
            fed = True
        return fed

    def _next(self) -> _Live | None:
        if self._waiting:
            return self._waiting.pop(0)
        begun = {live.training.key for live in self._live.values()}
        left = (training for training in to_train(self._field, self.done) if training.key not in begun)
        training = next(left, None)
        return _Live(training, next(self._numbers)) if training else None

    def _job(self, live: _Live) -> Job:
        training = live.training
        name, seed = training.key
        return Job(
            trial=live.number,
            network=training.entrant.network,
            recipe=training.entrant.recipe,
            seed=seed_of(self._seed, name, f"final {seed}"),
            weights=str(self._folder / weights_name(training, self._role)),
            seconds=training.entrant.seconds,
            spent=live.spent,
        )

    def _hear(self, event: Event) -> None:
        if isinstance(event, Epoch):
            live = self._live[event.trial]
            live.accuracies = [*live.accuracies[: event.epoch - 1], event.validation_accuracy]
            epoch = f"epoch {event.epoch}/{live.training.entrant.recipe.epochs}"
            self._bar.doing(f"{_title(live.training)}: {epoch} {percent(event.validation_accuracy)}")
        elif isinstance(event, Done):
            self._finish(self._take_back(event.trial, event.seconds))
        elif isinstance(event, Failed):
            live = self._take_back(event.trial, event.seconds)
            if event.reason == "disk full":
                raise DiskFullError(event.message)
            if event.shared:
                self._waiting.append(live)
            else:
                self._finish(live, reason_of(event.reason, event.message))
        elif isinstance(event, Died):
            self._bury(event)

    def _bury(self, event: Died) -> None:
        self._bar.say(event.message)
        if event.trial is None:
            return
        live = self._take_back(event.trial, event.seconds)
        live.deaths += 1
        if live.deaths < MOST_DEATHS:
            self._waiting.append(live)
        else:
            self._finish(live, died(live.deaths, event.message))

    def _take_back(self, number: int, seconds: float) -> _Live:
        """Take a training from its worker, which was at it for so many seconds."""
        live = self._live.pop(number)
        live.spent += seconds
        return live

    def _finish(self, live: _Live, reason: str = "") -> None:
        entrant, seed = live.training
        kept = "" if reason else self._keep_or_drop(weights_name(live.training, self._role))
        cost = entrant.network.cost
        over = Retrained(
            role=self._role,
            entrant=entrant.name,
            seed=seed,
            state="failed" if reason else "complete",
            reason=reason,
            network=_plain(entrant.network),
            recipe=entrant.recipe,
            parameters=cost.parameters,
            macs=cost.macs,
            accuracies=tuple(live.accuracies),
            seconds=live.spent,
            weights=kept,
            sha256=sha256_of(self._folder / kept) if kept else "",
        )
        self._record.append(over)
        checkpoint_of(self._folder / weights_name(live.training, self._role)).unlink(missing_ok=True)
        self.done[live.training.key] = over
        self._count()
        told = reason or f"{percent(score_of(over))} of the validation images"
        self._bar.say(f"[{len(self.done)}/{self._total}] {_title(live.training)}: {told}")

    def _keep_or_drop(self, weights: str) -> str:
        if self._role == "entrant":
            return weights
        (self._folder / weights).unlink()
        return ""

    @property
    def _total(self) -> int:
        return max(self._field.most_trainings, len(self.done) + len(self._live))  # with a floor more may follow

    def _count(self) -> None:
        self._bar.counted(len(self.done), total=self._total)


def done_of(field: Field, folder: Path, over: Iterable[Retrained]) -> dict[Key, Retrained]:
    """Give the trainings of a field that are over and still hold: same network and recipe, weights unharmed if kept.

    What a program's bug, a dying worker, the clock or want of memory ended is tried again by the next call: the program
    may be mended by then, or the machine another one.
    """
    entrants = {entrant.name: entrant for entrant in (*field.candidates, *field.baselines)}
    return {
        (training.entrant, training.seed): training
        for training in over
        if training.entrant in entrants
        and _is_of(training, entrants[training.entrant])
        and cause_of(training.reason) not in {"bug", "worker died", "timeout", "out of memory"}
        and (not training.weights or holds(folder / training.weights, training.sha256))
    }


def _is_of(training: Retrained, entrant: Entrant) -> bool:
    return training.recipe == entrant.recipe and training.network == _plain(entrant.network)


def _plain(network: Network) -> dict[str, Any]:
    return network.model_dump(mode="json", exclude_defaults=True)


def weights_name(training: Training, role: Role) -> str:
    """Name the file of a training's weights, within the run's folder; those of other epochs keep theirs.

    Such as finals/trial-12-14-epochs-seed-0.safetensors.
    """
    entrant = re.sub("[^a-z0-9]+", "-", training.entrant.name.lower())
    return f"{FOLDERS[role]}/{entrant}-{training.entrant.recipe.epochs}-epochs-seed-{training.seed}.safetensors"


def _title(training: Training) -> str:
    return f"{training.entrant.name}, seed {training.seed} ({training.entrant.network})"

"""Plays searches on the table of curves.py, in which every candidate of a small space is trained: seconds, not hours.

The library's own loop, proposer and stopping rules play, with two workers that read a training's course from the table
in virtual time. Beside them plays what one writes with Optuna alone: conditional parameters, impossible networks and
repeated ones as they come, Optuna's own stopping rule. Prints tables in Markdown; the same seeds give the same figures.

    python examples/benchmarks/searching.py --seeds 25
"""

import argparse
import heapq
import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from itertools import count, islice, product
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from unittest.mock import patch

import optuna
from curves import SCHEDULES, Curve, plan_of, read_table
from optuna.pruners import BasePruner, MedianPruner, NopPruner
from optuna.samplers import TPESampler
from optuna.trial import TrialState
from scipy.stats import spearmanr

from cnnsearch.errors import InvalidSpecError
from cnnsearch.events import Event as Line
from cnnsearch.executors.executor import Executor
from cnnsearch.history import Run
from cnnsearch.messages import Done, Epoch, Event, Job
from cnnsearch.network import Network
from cnnsearch.parts import Limits
from cnnsearch.plan import Plan
from cnnsearch.recipe import Recipe
from cnnsearch.record import Record
from cnnsearch.study import proposer as room
from cnnsearch.study.ledger import Ledger
from cnnsearch.study.loop import Search
from cnnsearch.study.outcome import Outcome
from cnnsearch.study.proposer import Proposer
from cnnsearch.study.screen import Screen, bar_of
from cnnsearch.study.told import lesson

WORKERS = 2
TRIALS = 50
TOP = (0.10, 0.03, 0.01)
STEMS, RATES = [4, 16], [0.004, 0.016]
_create_study = optuna.create_study


class Found(NamedTuple):
    """A network that was trained to its end."""

    seconds: float
    """Virtual, since the search began."""
    trials: int
    """The how-manieth one it was, of those that count against the budget."""
    accuracy: float
    parameters: int = 0


class Game(NamedTuple):
    """A whole search."""

    found: list[Found]
    seconds: float
    """Until its last trial ended or was stopped."""


@cache
def table(schedule: str) -> dict[tuple[str, float], Curve]:
    """Give the curves of a schedule by network and learning rate: a fingerprint changes with the recipe's fields."""
    return {(curve.network, curve.learning_rate): curve for curve in read_table() if curve.schedule == schedule}


class Workers(Executor):
    """Workers in virtual time that read what they would train from the table."""

    def __init__(self, schedule: str) -> None:
        self._table = table(schedule)
        self._order = count()
        self._due: list[tuple[float, int, int, int]] = []
        """When, a number that settles ties, trial, epoch; the one after the last is the end."""
        self._live: dict[int, tuple[Job, Curve]] = {}
        self._reached: dict[int, int] = {}
        self._stopped: set[int] = set()
        self.clock = 0.0
        self.submitted: list[int] = []
        self.ended: list[Found] = []
        """With the jobs' own numbers."""

    @property
    def slots(self) -> tuple[str, ...]:
        """Two processors."""
        return ("cpu",) * WORKERS

    @property
    def free(self) -> int:
        """Who has nothing to do."""
        return WORKERS - len(self._live)

    def submit(self, job: Job) -> int:
        """Look the candidate up."""
        curve = self._table[str(job.network), job.recipe.learning_rate]
        self._live[job.trial] = job, curve
        self.submitted.append(job.trial)
        self._train(job.trial, 1)
        return len(self._live) - 1

    def _train(self, trial: int, epoch: int) -> None:
        seconds = (*self._live[trial][1].seconds, 0.0)[epoch - 1]
        heapq.heappush(self._due, (self.clock + seconds, next(self._order), trial, epoch))

    def events(self, timeout: float) -> Event | None:
        """Go on to what happens next; a coordinator that does not want to wait takes no time."""
        if not timeout and self.free:
            return None
        self.clock, _, trial, epoch = heapq.heappop(self._due)
        job, curve = self._live[trial]
        if epoch > len(curve.right) or trial in self._stopped:
            del self._live[trial]
            if trial not in self._stopped:
                self.ended.append(Found(self.clock, trial, curve.accuracies[-1], curve.parameters))
            return Done(trial=trial, stopped=trial in self._stopped)
        if epoch not in job.rungs:
            self._train(trial, epoch + 1)
        self._reached[trial] = epoch
        accuracy = curve.accuracies[epoch - 1]
        return Epoch(trial=trial, epoch=epoch, loss=0, validation_accuracy=accuracy, validation_loss=0, seconds=0)

    def go(self, trial: int) -> None:
        """Train the next epoch."""
        self._train(trial, self._reached[trial] + 1)

    def stop(self, trial: int) -> None:
        """End at once."""
        self._stopped.add(trial)
        heapq.heappush(self._due, (self.clock, next(self._order), trial, 0))

    def latency(self, network: Network) -> None:
        """Nobody asks for it."""

    def close(self) -> None:
        """Nothing is open."""


class Way(NamedTuple):
    """A way to search with the library."""

    name: str
    plan: Mapping[str, Any]
    """What is otherwise than in curves.yaml, where TPE stops nothing."""
    schedule: str = "restart"
    sampler: Callable[[], TPESampler] | None = None
    """In place of the library's own."""
    lesson: Callable[[Outcome], Any] | None = None
    """How the sampler is told of an outcome, in place of the library's own way."""


class Nowhere(Record):
    """A record that keeps nothing."""

    def __init__(self) -> None:
        """Open no file."""

    def append(self, event: Line) -> None:
        """Forget it."""

    def sync(self) -> None:
        """Nothing is there to be synced."""


def play(way: Way, limits: Limits, trials: int, seed: int) -> Game:
    """Search with the library's own loop."""
    fields = {**way.plan, "limits": limits, "budget": {"trials": trials}, "seed": seed, "storage": "sqlite://"}
    plan = Plan.model_validate({**plan_of(way.schedule).stored(), "pruner": {"kind": "none"}, **fields})
    workers = Workers(way.schedule)
    make = way.sampler
    sampler = (lambda *_: make()) if make else room.sampler_of
    with (
        TemporaryDirectory() as folder,
        patch.object(optuna, "create_study", _in_memory),
        patch.object(room, "sampler_of", sampler),
        patch.object(room, "lesson", way.lesson or lesson),
    ):
        run = Run(Path(folder), {}, (), "running", 0.0, {}, "")
        ledger, screen = Ledger(run, plan), Screen(plan, bar_of(plan, quiet=True))
        proposer = Proposer(plan, run.folder, (), {}, ledger.seen)
        Search(plan, run.folder, workers, proposer, Nowhere(), ledger, screen, lambda: None).run()
    place = {trial: number for number, trial in enumerate(workers.submitted, start=1)}
    found = [ended._replace(trials=place[ended.trials]) for ended in workers.ended]
    return Game(found, workers.clock)


def _in_memory(storage: object = None, **rest: Any) -> optuna.Study:  # noqa: ANN401 (passed on)
    # To make the tables of a database takes longer than all the rest.
    return _create_study(storage=None if isinstance(storage, str) else storage, **rest)


class Naive(NamedTuple):
    """What one writes with Optuna alone: each trial counts, also one that cannot be built or repeats another."""

    name: str
    pruner: Callable[[], BasePruner] = NopPruner
    schedule: str = "restart"


def play_naively(way: Naive, limits: Limits, trials: int, seed: int) -> Game:
    """Search as `study.optimize(..., n_trials, n_jobs=2, catch=Exception)` would."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=TPESampler(seed=seed), pruner=way.pruner())
    workers = Workers(way.schedule)
    live: dict[int, optuna.Trial] = {}
    number = 0
    while number < trials or live:
        if number < trials and workers.free:
            trial, number = study.ask(), number + 1
            job = _job(trial, way.schedule, limits)
            if job:
                live[job.trial] = trial
                workers.submit(job)
            else:
                study.tell(trial, state=TrialState.FAIL)
            continue
        event = workers.events(1)
        if isinstance(event, Epoch):
            live[event.trial].report(event.validation_accuracy, event.epoch)
            (workers.stop if live[event.trial].should_prune() else workers.go)(event.trial)
        elif isinstance(event, Done):
            trial = live.pop(event.trial)
            state = TrialState.PRUNED if event.stopped else TrialState.COMPLETE
            study.tell(trial, None if event.stopped else workers.ended[-1].accuracy, state=state)
    return Game([found._replace(trials=found.trials + 1) for found in workers.ended], workers.clock)


def _job(trial: optuna.Trial, schedule: str, limits: Limits) -> Job | None:
    """Ask for a network of the small space as one does without the library; None if it cannot be, or costs too much."""
    recipe = Recipe.model_validate(
        {**plan_of(schedule).recipe, "learning_rate": trial.suggest_categorical("rate", RATES)}
    )
    try:
        network = _ask(trial)
    except InvalidSpecError:
        return None
    if any(over > 0 for over in limits.excess(network.cost).values()):
        return None
    every = tuple(range(1, recipe.epochs + 1))
    return Job(trial=trial.number, network=network, recipe=recipe, seed=0, rungs=every, weights="")


def _ask(trial: optuna.Trial) -> Network:
    plain = {"bias": False, "kernel_size": 3}
    stem = {
        **plain,
        "out_channels": trial.suggest_categorical("stem", STEMS),
        "kernel_size": 5,
        "stride": 4,
        "padding": 2,
    }
    blocks: list[Any] = [{"conv": stem}]
    for number in range(trial.suggest_int("depth", 1, 2)):
        channels = trial.suggest_categorical(f"channels{number}", [8, 24])
        pool = {"kernel_size": 2} if trial.suggest_categorical(f"pool{number}", [False, True]) else None
        blocks.append({"conv": {**plain, "out_channels": channels, "padding": "same"}, "maxpool": pool})
    kind, last = trial.suggest_categorical("kind", ["plain", "separable"]), trial.suggest_categorical("last", [16, 64])
    blocks.append({"kind": kind, "conv": {**plain, "out_channels": last}})
    image = {"channels": 1, "height": 28, "width": 28}
    return Network.model_validate({"input": image, "blocks": blocks, "head": {"pool": "average"}, "classes": 10})


HALVING = {"pruner": {"kind": "halving", "rungs": [1], "keep": 0.25}}
RANDOM = {"sampler": {"kind": "random"}}
MAIN = (
    Way("TPE, halving", HALVING),
    Way("TPE", {}),
    Way("random, halving", {**RANDOM, **HALVING}),
    Way("random", RANDOM),
    Naive("Optuna alone, median rule", MedianPruner),
    Naive("Optuna alone"),
)
STOPPING = tuple(
    Way(f"TPE, {kind} {rungs}" + (f", keep {keep}" if kind == "halving" else ""), {"pruner": pruner})
    for kind, rungs, keep in (
        ("halving", [1], 0.1),
        ("halving", [1], 0.15),
        ("halving", [1], 0.25),
        ("halving", [1], 0.33),
        ("halving", [1], 0.5),
        ("halving", [3], 0.25),
        ("halving", [1, 3], 0.33),
        ("median", [1], 1.0),
    )
    if (pruner := {"kind": kind, "rungs": rungs, "keep": keep})
)
VARIANTS = (
    Way("TPE, startup 10 (the library's)", HALVING),
    Way("TPE, startup 5", {**HALVING, "sampler": {"startup": 5}}),
    Way("TPE, startup 20", {**HALVING, "sampler": {"startup": 20}}),
    Way("TPE, Optuna's own choice", HALVING, sampler=partial(TPESampler, multivariate=True)),
    Way("the same, 8 draws compared", HALVING, sampler=partial(TPESampler, multivariate=True, n_ei_candidates=8)),
    Way("the same, 96 draws compared", HALVING, sampler=partial(TPESampler, multivariate=True, n_ei_candidates=96)),
)
SECTIONS = {"samplers": MAIN, "stopping": STOPPING, "variants": VARIANTS}

FLOORS = (0.92, 0.94)


def _up_to_the_floor(floor: float, outcome: Outcome) -> Any:  # noqa: ANN401 (the library's own type is private)
    """Tell no accuracy beyond the floor: all are as good."""
    told = lesson(outcome)
    return told._replace(values=told.values and [min(told.values[0], floor), *told.values[1:]])


def _in_one_value(floor: float, outcome: Outcome) -> Any:  # noqa: ANN401
    """Tell the order of a floor's winners instead of both values; it stands in both."""
    told = lesson(outcome)
    if told.values is None:
        return told
    accuracy, cost = told.values
    place = -accuracy if accuracy < floor else cost - 1_000
    return told._replace(values=[-place, place])


def seeking(floor: float | None, pruner: Mapping[str, Any]) -> Iterator[Way]:
    """Give the ways to look for few parameters."""
    accuracy = {"validation_accuracy": {"at_least": floor}} if floor else {}
    plan = {**pruner, "objectives": {**accuracy, "parameters": {}}}
    yield Way("TPE", plan)
    if floor:
        yield Way("TPE, accuracies up to the floor only", plan, lesson=partial(_up_to_the_floor, floor))
        yield Way("TPE, one value in the winners' order", plan, lesson=partial(_in_one_value, floor))
    yield Way("random", {**plan, **RANDOM})


def _game(way: Way | Naive, limits: Limits, trials: int, seed: int) -> Game:
    return (play if isinstance(way, Way) else play_naively)(way, limits, trials, seed)


def games(ways: Sequence[Way | Naive], limits: Limits, trials: int, seeds: int) -> Iterator[list[Game]]:
    """Play every way with every seed, on all processors; give the games of one way after the other."""
    jobs = [(way, limits, trials, seed) for way in ways for seed in range(seeds)]
    with ProcessPoolExecutor(mp_context=get_context("fork")) as pool:
        played = pool.map(_game, *zip(*jobs, strict=True))
        yield from (list(islice(played, seeds)) for _ in ways)


def best_of(game: Game) -> float:
    """Give the best accuracy found."""
    return max((found.accuracy for found in game.found), default=0.0)


def first(game: Game, accuracy: float) -> Found:
    """Give the first network that is as good; after infinite time where none is."""
    return next((found for found in game.found if found.accuracy >= accuracy), Found(math.inf, 10**9, 0.0))


def spread(values: Sequence[float], form: str) -> str:
    """Write the median and the quartiles."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{middle:{form}} ({low:{form}} to {high:{form}})"


def seconds_and_trials(reached: Sequence[Found]) -> str:
    """Write medians; a search that never came there counts as longer than all others."""
    seconds, trials = (statistics.median(values) for values in zip(*(found[:2] for found in reached), strict=True))
    if math.isinf(seconds):
        return f"not in {TRIALS} ({sum(math.isfinite(found.seconds) for found in reached)} of {len(reached)} did)"
    return f"{seconds:.0f} s, {trials:.0f}"


def print_row(*cells: object) -> None:
    """Print a row of a Markdown table."""
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def print_head(*cells: str) -> None:
    """Print the head of a Markdown table."""
    print()
    print_row(*cells)
    print("|" + "---|" * len(cells))


def thresholds() -> list[float]:
    """Give the accuracies that the best tenth, ... of all candidates reach."""
    finals = sorted((curve.accuracies[-1] for curve in table("restart").values()), reverse=True)
    return [finals[max(0, round(share * len(finals)) - 1)] for share in TOP]


def print_section(ways: Sequence[Way | Naive], seeds: int) -> None:
    """Print what the ways find without limits, and when."""
    tops = [f"top {share:.0%} ({accuracy:.2%})" for share, accuracy in zip(TOP, thresholds(), strict=True)]
    print_head("way", f"best of {TRIALS} trials", "seconds", *tops)
    for way, played in zip(ways, games(ways, Limits(), TRIALS, seeds), strict=True):
        best = spread([best_of(game) for game in played], ".2%")
        seconds = statistics.median(game.seconds for game in played)
        reached = [seconds_and_trials([first(game, accuracy) for game in played]) for accuracy in thresholds()]
        print_row(way.name, best, f"{seconds:.0f}", *reached)


def print_limits(seeds: int) -> None:
    """Print the best network under a limit of parameters."""
    print_head("limit", "candidates", "trials", "best there is", *(way.name for way in MAIN))
    for most, trials in ((2_000, 12), (8_000, 50), (100_000, 50)):
        inside = [curve.accuracies[-1] for curve in table("restart").values() if curve.parameters <= most]
        played = games(MAIN, Limits(max_parameters=most), trials, seeds)
        found = (spread([best_of(game) for game in each], ".2%") for each in played)
        print_row(f"{most:,}", len(inside), trials, f"{max(inside):.2%}", *found)


def covered(pairs: Iterable[tuple[int, float]]) -> float:
    """Give the area under the front, from 70 % up and from 24,000 parameters down, these by their logarithm."""
    best, area = 0.7, 0.0
    for parameters, accuracy in sorted(pairs):
        area += max(0.0, accuracy - best) * math.log(24_000 / parameters)
        best = max(best, accuracy)
    return area


def place_of(game: Game, floor: float) -> int:
    """Count the candidates of the space that meet the floor with fewer parameters than the best that was found."""
    best = min((found.parameters for found in game.found if found.accuracy >= floor), default=10**9)
    return sum(c.parameters < best for c in table("restart").values() if c.accuracies[-1] >= floor)


def print_objectives(seeds: int) -> None:
    """Print what is found where parameters count too: the front, and the smallest network that meets a floor."""
    there_is = covered((curve.parameters, curve.accuracies[-1]) for curve in table("restart").values())
    print_head("sought", "stopping", "way", "of the front's area", "smaller ones that were not found", "seconds")
    for floor, (name, pruner) in product((None, *FLOORS), {"none": {}, "halving": HALVING}.items()):
        ways = list(seeking(floor, pruner))
        for way, played in zip(ways, games(ways, Limits(), TRIALS, seeds), strict=True):
            areas = [covered((f.parameters, f.accuracy) for f in game.found) / there_is for game in played]
            missed = f"mean {statistics.mean(place_of(game, floor) for game in played):.1f}" if floor else ""
            seconds = statistics.median(game.seconds for game in played)
            sought = f"smallest of {floor:.0%}" if floor else "front"
            print_row(sought, name, way.name, spread(areas, ".1%"), missed, f"{seconds:.0f}")


def print_curves() -> None:
    """Print how well early scores tell the final ones."""
    for schedule in SCHEDULES:
        curves = [curve.accuracies for curve in table(schedule).values()]
        if not curves:
            continue
        print(f"\n{len(curves)} candidates, schedule {schedule!r}; rank correlation of each epoch with the last:")
        *early, last = zip(*curves, strict=True)
        print(", ".join(f"{spearmanr(epoch, last).statistic:.2f}" for epoch in early))
        print(f"final accuracies: quartiles {spread(last, '.2%')}, best {max(last):.2%}")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "what", nargs="*", choices=["curves", "limits", "objectives", *SECTIONS], metavar="curves|limits|..."
    )
    parser.add_argument("--seeds", type=int, default=11)
    options = parser.parse_args()
    for what in options.what or ("curves", "samplers", "limits", "stopping", "variants", "objectives"):
        if what == "curves":
            print_curves()
        elif what == "limits":
            print_limits(options.seeds)
        elif what == "objectives":
            print_objectives(options.seeds)
        else:
            print_section(SECTIONS[what], options.seeds)


if __name__ == "__main__":
    main()

"""How long does the coordinator take? All on MNIST's default plan, the record on the disk, the storage SQLite.

    python examples/benchmarks/coordinator.py proposing --finished 100 2000 10000
    python examples/benchmarks/coordinator.py drawing
    python examples/benchmarks/coordinator.py studying --workers 16 --trials 200 --plan given

`proposing`: a study of so many finished trials (made up, four in five stopped after the first epoch) goes on with 100
more, through its own loop, on a slot that says five epochs and the end without any time between; so whatever passes
from one start to the next is the coordinator's. `drawing`: draws uniformly and prices, and builds what was drawn.
`studying`: the loop with workers that train nothing but say and write what one that trains would, five epochs in a
second, each a process of its own; the share of their time in which they had a trial.
"""

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from cnnsearch import history
from cnnsearch.candidate import Candidate
from cnnsearch.events import Asked, Finished, Opened, Started, to_line
from cnnsearch.events import Epoch as EpochEvent
from cnnsearch.events import Event as RecordEvent
from cnnsearch.executors.executor import Executor, Setup
from cnnsearch.executors.local import LocalExecutor
from cnnsearch.files import write_whole
from cnnsearch.messages import Done, Epoch, Event, Job
from cnnsearch.network import Network
from cnnsearch.plan import Plan
from cnnsearch.record import EPOCHS, RECORD, own
from cnnsearch.space import uniformly
from cnnsearch.study.ledger import Ledger
from cnnsearch.study.loop import Search
from cnnsearch.study.proposer import Proposer
from cnnsearch.study.screen import Screen, bar_of
from cnnsearch.study.summary import summarize, write_summary

NEW_EACH_TIME: dict[str, Any] = {
    "recipe": {"learning_rate": {"float": [0.005, 0.03], "log": True}},
    "limits": {"max_macs": None},
    "pruner": {"kind": "none"},
}
"""The default plan such that nothing is turned away, repeated or stopped: every proposal is one to train."""
AS_GIVEN: dict[str, Any] = {"pruner": {"kind": "none"}}
"""The default plan without stopping: TPE comes to draw mostly what it knows."""
PLANS = {"new": NEW_EACH_TIME, "given": AS_GIVEN}
SECONDS = 1.0  # of a stub's trial
P = ParamSpec("P")
R = TypeVar("R")


def show(what: str, seconds: Sequence[float]) -> None:
    """Print median, 99th percentile and maximum in milliseconds."""
    ordered = sorted(1000 * each for each in seconds)
    high = ordered[int(len(ordered) * 0.99) - 1]
    told = f"median {statistics.median(ordered):7.2f} ms, 99th percentile {high:7.2f}, longest {ordered[-1]:7.2f}"
    print(f"{what:<45} {told} (n={len(ordered)})", flush=True)


def timed(act: Callable[P, R], seconds: list[float]) -> Callable[P, R]:
    """Note how long each call takes."""

    def call(*arguments: P.args, **options: P.kwargs) -> R:
        began = time.perf_counter()
        try:
            return act(*arguments, **options)
        finally:
            seconds.append(time.perf_counter() - began)

    return call


def epochs_of(trial: int, accuracies: Sequence[float]) -> Iterator[Epoch]:
    """Say the epochs of a trial."""
    for epoch, accuracy in enumerate(accuracies, start=1):
        yield Epoch(trial=trial, epoch=epoch, loss=1.0, validation_accuracy=accuracy, validation_loss=1.0, seconds=1.0)


def search_of(plan: Plan, executor: Executor, ledger: Ledger, proposer: Proposer, folder: Path) -> Callable[[], object]:
    """Give the study's loop as a function without arguments."""

    def run() -> None:
        with own(folder) as record, bar_of(plan, quiet=True) as bar:
            save = lambda: write_summary(folder, summarize(plan, ledger, "running", 0.0, "", None))  # noqa: E731
            screen = Screen(plan, bar)
            Search(plan, folder, executor, proposer, record, ledger, screen, save).run()

    return run


# Proposing


class Instant(Executor):
    """One slot in which no time passes."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.news: deque[Event] = deque()
        self.starts: list[float] = []

    @property
    def slots(self) -> tuple[str, ...]:
        """There is one."""
        return ("cpu",)

    @property
    def free(self) -> int:
        """Free when all is said."""
        return 0 if self.news else 1

    def submit(self, job: Job) -> int:
        """Say all at once."""
        self.starts.append(time.perf_counter())
        accuracies = [self.dice.uniform(0.9, 0.99) for _ in range(job.recipe.epochs)]
        self.news.extend((*epochs_of(job.trial, accuracies), Done(trial=job.trial, stopped=False)))
        Path(job.weights).write_bytes(bytes(200_000))
        return 0

    def events(self, timeout: float) -> Event | None:
        """Give what was said."""
        _ = timeout
        return self.news.popleft() if self.news else None

    def go(self, trial: int) -> None:
        """It goes on anyway."""

    def stop(self, trial: int) -> None:
        """Nothing is stopped in this plan."""

    def latency(self, network: Network) -> None:
        """Nobody asks for it."""

    def close(self) -> None:
        """Nothing runs."""


def past(plan: Plan, trials: int, dice: random.Random) -> Iterator[RecordEvent]:
    """Make up finished trials."""
    yield Opened(host="here", pid=1, versions={})
    for number in range(trials):
        drawn = within_limits(plan, dice)
        cost = drawn.network.cost._asdict()
        del cost["weight_bytes_int8"]
        network = drawn.network.model_dump(exclude_defaults=True)
        yield Asked(
            trial=number, asked=drawn.asked, built=drawn.built, network=network, recipe=drawn.recipe,
            fingerprint=drawn.fingerprint, **cost,
        )  # fmt: skip
        yield Started(trial=number, attempt=1, slot=0)
        stops = dice.randrange(5) > 0
        accuracies = [dice.uniform(0.9, 0.99) for _ in range(1 if stops else drawn.recipe.epochs)]
        for epoch in epochs_of(number, accuracies):
            yield EpochEvent(**epoch.model_dump(exclude={"kind"}))
        state, score = ("stopped", None) if stops else ("complete", accuracies[-1])
        yield Finished(trial=number, state=state, score=score, seconds=1.0)


def within_limits(plan: Plan, dice: random.Random) -> Candidate:
    """Draw a candidate that a study would train."""
    while True:
        drawn = plan.draw(uniformly(dice))
        if not plan.limits.exceeded(drawn.network.cost):
            return drawn


def propose(folder: Path, finished: int, more: int, fields: dict[str, Any]) -> None:
    """Go on with a study of so many finished trials."""
    dice = random.Random(0)  # noqa: S311 (no secret)
    plan = Plan.model_validate({**fields, "budget": {"trials": finished + more}})
    events = list(past(plan, finished, dice))
    for name, is_epoch in ((RECORD, False), (EPOCHS, True)):
        (folder / name).write_bytes(
            b"".join(to_line(event) for event in events if isinstance(event, EpochEvent) == is_epoch)
        )
    write_whole(folder / "plan.json", "{}")
    (folder / "weights").mkdir()
    began = time.perf_counter()
    ledger = Ledger(history.read(folder), plan)
    proposer = Proposer(plan, folder, ledger.outcomes.values(), {}, ledger.seen)
    print(f"{finished:,} finished trials: read, and learnt from, in {time.perf_counter() - began:.2f} s")
    asking: list[float] = []
    proposer.propose = timed(proposer.propose, asking)
    store, proposer.store = proposer.store, lambda *_: False  # the past is in none: not written now
    executor = Instant(dice)
    search_of(plan, executor, ledger, proposer, folder)()
    show("  ask, five reports, tell: start to start", [b - a for a, b in pairwise(executor.starts)])
    show("  of this: to propose one", asking)
    storing: list[float] = []
    for _ in range(more):
        timed(store, storing)()
    show("  while nothing waits: to store one", storing)


# Drawing


def draw(count: int) -> None:
    """Draw, price and build."""
    import torch

    from cnnsearch.module import build

    torch.set_num_threads(1)
    plan = Plan.model_validate({})
    suggest = uniformly(random.Random(0))  # noqa: S311 (no secret)
    drawing: list[float] = []
    building: list[float] = []

    def draw_and_price() -> Candidate:
        drawn = plan.draw(suggest)
        plan.limits.excess(drawn.network.cost)
        return drawn

    for _ in range(count):
        drawn = timed(draw_and_price, drawing)()
        timed(build, building)(drawn.network)
    show("draw and price", drawing)
    show("build", building)
    print(f"the first of these: {1000 * drawing[0]:.1f} ms to draw and price, {1000 * building[0]:.1f} ms to build")


# Studying


def study(folder: Path, workers: int, trials: int, fields: dict[str, Any]) -> None:
    """Search with workers that pretend."""
    plan = Plan.model_validate({**fields, "budget": {"trials": trials}})
    write_whole(folder / "plan.json", "{}")
    (folder / "weights").mkdir()
    (folder / RECORD).write_bytes(to_line(Opened(host="here", pid=1, versions={})))
    (folder / EPOCHS).touch()
    ledger = Ledger(history.read(folder), plan)
    command = (sys.executable, "-P", __file__, "pretending")
    with LocalExecutor(("cpu",) * workers, Setup("mnist", folder), folder / "log", command) as executor:
        proposer = Proposer(plan, folder, ledger.outcomes.values(), {}, ledger.seen)
        while not all(slot.ready for slot in executor._slots):  # noqa: SLF001
            executor.events(timeout=1)
        search_of(plan, executor, ledger, proposer, folder)()
    spans = [tuple(map(float, line.split())) for path in folder.glob("*.spans") for line in path.open()]
    began, last, ended = min(spans)[0], max(spans)[0], max(end for _, end in spans)
    print(f"{workers} workers, {len(spans)} trials of {SECONDS:.0f} s in {ended - began:.2f} s")
    for what, until in (("until the last trial began", last), ("until the last trial ended", ended)):
        busy = sum(max(0.0, min(end, until) - begin) for begin, end in spans)
        print(f"  {what}: busy {busy / workers / (until - began):.1%}")


def pretend() -> None:
    """Be a worker that trains nothing."""
    from cnnsearch.messages import Ready
    from cnnsearch.worker.pipe import Coordinator

    spans = Path(sys.argv[sys.argv.index("--data-root") + 1]) / f"{os.getpid()}.spans"
    coordinator = Coordinator()
    coordinator.say(Ready())
    while True:
        job = coordinator.next_job()
        begin = time.time()
        dice = random.Random(job.seed)  # noqa: S311 (no secret)
        for news in epochs_of(job.trial, [dice.uniform(0.9, 0.99) for _ in range(job.recipe.epochs)]):
            end = begin + SECONDS * news.epoch / job.recipe.epochs
            time.sleep(max(0.0, end - time.time()))
            coordinator.say(news)
        write_whole(Path(job.weights), bytes(200_000))
        coordinator.say(Done(trial=job.trial, stopped=False))
        with spans.open("a") as file:
            file.write(f"{begin} {begin + SECONDS}\n")


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("proposing", "drawing", "studying", "pretending"))
    parser.add_argument("--finished", type=int, nargs="+", default=[100, 2000])
    parser.add_argument("--more", type=int, default=100)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--plan", choices=tuple(PLANS), default="new")
    options, _ = parser.parse_known_args()
    if options.what == "pretending":
        pretend()
    elif options.what == "drawing":
        draw(options.count)
    elif options.what == "studying":
        with tempfile.TemporaryDirectory() as folder:
            study(Path(folder), options.workers, options.trials, PLANS[options.plan])
    else:
        for finished in options.finished:
            with tempfile.TemporaryDirectory() as folder:
                propose(Path(folder), finished, options.more, PLANS[options.plan])


if __name__ == "__main__":
    main()

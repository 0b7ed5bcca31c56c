"""What do coordinator and worker say to each other? One JSON object a line.

    coordinator                worker
                    <- Ready   the data set is on the device
    Job  ->
                    <- Epoch   after every epoch; after one in `rungs` the worker waits for
    Go or Stop  ->
                    <- Done    (its weights are on disk by then, unless it was stopped) or Failed

`Died` is no line: the executor makes it when a worker ends.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from cnnsearch.causes import Cause, reason_of
from cnnsearch.network import Network
from cnnsearch.recipe import Recipe
from cnnsearch.word import Word

CHECKPOINT = ".checkpoint"


class Job(Word):
    """Train this network with this recipe."""

    kind: Literal["job"] = "job"
    trial: int
    network: Network
    recipe: Recipe
    seed: int
    rungs: tuple[int, ...] = ()
    """Epochs, from 1, after which the worker waits for Go or Stop; not the last one, where nothing is left to stop."""
    weights: str
    """File to write when the last epoch is over."""
    seconds: float | None = None
    """After so many the executor ends the worker, and the trial has failed; None for never."""
    spent: float = 0.0
    """Of these, by an earlier job of the same training."""


def checkpoint_of(weights: Path) -> Path:
    """Name the file in which a worker keeps where a training stands, until its weights are written."""
    return weights.with_suffix(CHECKPOINT)


class Go(Word):
    """Train on: the trial passed its rung."""

    kind: Literal["go"] = "go"
    trial: int


class Stop(Word):
    """End the trial at the rung where it waits."""

    kind: Literal["stop"] = "stop"
    trial: int


class Ready(Word):
    """The worker has its data and waits for a job."""

    kind: Literal["ready"] = "ready"


class Epoch(Word):
    """One epoch is over."""

    kind: Literal["epoch"] = "epoch"
    trial: int
    epoch: int
    """From 1."""
    loss: float
    """Mean over the training images."""
    validation_accuracy: float
    """Fraction from 0 to 1."""
    validation_loss: float
    seconds: float
    """For its training and its look at the validation images."""


class Done(Word):
    """The trial is over, by its last epoch or because it was told to stop."""

    kind: Literal["done"] = "done"
    trial: int
    stopped: bool
    seconds: float = 0.0
    """Since the worker got the job, what stood still left out. Known to the executor only, here and below."""


class Failed(Word):
    """The trial ended in an error; the worker goes on, or is replaced where it may have been spoilt."""

    kind: Literal["failed"] = "failed"
    trial: int
    reason: Cause
    message: str
    """One line; the traceback is in the worker's log."""
    seconds: float = 0.0
    """As of Done."""
    shared: bool = False
    """Out of memory while others were trained on the device: it may have been theirs. Known to the executor only."""


MOST_DEATHS = 3
"""So many workers may die of a training; then it has failed."""


def died(deaths: int, last: str = "") -> str:
    """Say why a training failed of which so many workers died; how the last one did, where that is known."""
    return reason_of("worker died", f"{deaths} workers did{last and f', the last one so: {last}'}")


class Died(Word):
    """A worker ended; its trial, if it had begun one, did not."""

    kind: Literal["died"] = "died"
    trial: int | None
    exit: int | None
    """Exit status; a signal's number, negated, where one ended it."""
    message: str
    seconds: float = 0.0
    """As of Done; 0 where it had begun none."""


Order = Job | Go | Stop
News = Ready | Epoch | Done | Failed
Event = News | Died

_ORDER: TypeAdapter[Order] = TypeAdapter(Annotated[Order, Field(discriminator="kind")])
_NEWS: TypeAdapter[News] = TypeAdapter(Annotated[News, Field(discriminator="kind")])


def to_line(message: Order | News) -> bytes:
    """Write a message as one line, its end included."""
    return message.model_dump_json().encode() + b"\n"


def read_order(line: bytes) -> Order:
    """Read what a worker is told; raise ValueError for anything else."""
    return _ORDER.validate_json(line)


def read_news(line: bytes) -> News:
    """Read what a worker says; raise ValueError for anything else."""
    return _NEWS.validate_json(line)

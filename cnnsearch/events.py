"""What can happen in a run? Each event is one line of JSON; fields are added, never renamed.

Times are Unix seconds; `trial` is the candidate's logical index, given once and kept over retries; a score is a
fraction from 0 to 1. Each line ends with a checksum of itself, so that a flipped bit is noticed and not believed;
those of the first runs have none.
"""

import time
import zlib
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from cnnsearch.objectives import Latency
from cnnsearch.recipe import Recipe

FinalState = Literal["complete", "stopped", "failed", "turned_away", "repeated"]
COUNTED: tuple[FinalState, ...] = ("complete", "stopped", "failed")
"""Those that were trained, and count against the budget."""
CloseState = Literal["complete", "out_of_time", "interrupted", "exhausted", "no_new_candidate", "failed"]
Role = Literal["entrant", "variant"]
Scalar = bool | int | float | str | None
Index = Annotated[int, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class _Event(BaseModel):
    # JSON knows no infinity, and a loss may be one; so it is written as text.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")
    time: float = Field(default_factory=time.time)


class Opened(_Event):
    """A coordinator took the run into its hands; one for each invocation."""

    event: Literal["opened"] = "opened"
    host: str
    pid: int
    versions: dict[str, str]
    plan: str = ""
    """The fingerprint of the plan that lay in the folder; the first runs have none."""
    notice: str = ""
    """Said prominently beside every result, such as that the run fell back to another data set."""
    validation_images: Annotated[int, Field(ge=1)] | None = None
    """What every score is measured on; the first runs do not say."""


class Asked(_Event):
    """A candidate was drawn: what the sampler answered for every hole, and what was built from the active ones."""

    event: Literal["asked"] = "asked"
    trial: Index
    asked: dict[str, int | float]
    built: dict[str, Scalar]
    """Active holes only; a value that is no scalar stands as short JSON text."""
    network: dict[str, Any]
    """The network's plain data: reading it as a `Network` may need the user's own blocks."""
    recipe: Recipe
    parameters: int
    macs: int
    weight_bytes: int
    activation_bytes: int
    fingerprint: str
    latency: Latency | None = None
    """Where the plan asks for it, and the candidate was neither known nor over a limit."""


class Started(_Event):
    """A worker began with a candidate; `attempt` counts from 1."""

    event: Literal["started"] = "started"
    trial: Index
    attempt: Annotated[int, Field(ge=1)]
    slot: Index


class Epoch(_Event):
    """One pass over the training images; `epoch` counts from 1."""

    event: Literal["epoch"] = "epoch"
    trial: Index
    epoch: Annotated[int, Field(ge=1)]
    loss: float
    validation_accuracy: Fraction
    validation_loss: float
    seconds: float
    """For its training and its look at the validation images."""


class Finished(_Event):
    """A candidate has its last word; a repeated one names the trial it repeats in `of`."""

    event: Literal["finished"] = "finished"
    trial: Index
    state: FinalState
    reason: str = ""
    score: Fraction | None = None
    seconds: float = 0.0
    """In training, over all attempts; of one that a killed study left, its whole epochs."""
    of: Index | None = None


class Interrupted(_Event):
    """An attempt died; the candidate is run again. `worker_died` is false where only the study was ended."""

    event: Literal["interrupted"] = "interrupted"
    trial: Index
    reason: str
    worker_died: bool = True


class Closed(_Event):
    """The coordinator let go of the run, and says why."""

    event: Literal["closed"] = "closed"
    state: CloseState
    seconds: Annotated[float, Field(ge=0)] | None = None
    """Since it was opened, by a clock that nobody sets; the first runs do not say."""


class FinalsOpened(_Event):
    """A coordinator began with the finals, or went on with them."""

    event: Literal["finals_opened"] = "finals_opened"
    host: str
    pid: int
    versions: dict[str, str]
    classes: tuple[str, ...] = ()
    """The classes' names."""


class FinalsClosed(_Event):
    """The finals came to their end; the first runs do not say so."""

    event: Literal["finals_closed"] = "finals_closed"


class FinalsInterrupted(_Event):
    """The coordinator let go of finals that did not come to their end; until then they took time."""

    event: Literal["finals_interrupted"] = "finals_interrupted"


class Retrained(_Event):
    """A training of the finals is over: an entrant's, with one of its seeds."""

    event: Literal["retrained"] = "retrained"
    entrant: str
    """`trial 12` of the search, or a baseline's name."""
    seed: Index
    """Which of the entrant's seeds, from 0."""
    state: Literal["complete", "failed"]
    reason: str = ""
    network: dict[str, Any] | None = None
    """None for what is no network, such as logistic regression."""
    recipe: Recipe | None = None
    parameters: int
    macs: int
    accuracies: tuple[Fraction, ...] = ()
    """On the validation images, after each epoch."""
    seconds: float = 0.0
    weights: Annotated[str, Field(pattern=r"^(?:|(?:finals|variants)/[^/\\]+)$")] = ""
    """The file in the run's folder, if there is one."""
    sha256: str = ""
    """Of that file; of what is fitted without one, of all that decides it."""
    role: Role = "entrant"
    """A variant of the winner explains it and takes no part in the finals."""

    @model_validator(mode="after")
    def _has_a_score(self) -> Self:
        if self.state == "complete" and not self.accuracies:
            raise ValueError("a training that is complete has accuracies")
        return self


class TestOpened(_Event):
    """The test images are about to be read, for these weights and no others."""

    event: Literal["test_opened"] = "test_opened"
    weights: dict[str, str]
    """By entrant and seed the sha256 of what will be judged."""


class Tested(_Event):
    """The test images were read for these weights."""

    event: Literal["tested"] = "tested"
    entrant: str
    seed: Index
    sha256: str
    images: Annotated[int, Field(ge=1)]
    wrong: tuple[Index, ...]
    """The places, in the test split, of the images that were taken for another class."""
    taken_for: tuple[Index, ...] = ()
    """As which class each of these was read; records of former versions do not say it."""
    truth: tuple[Index, ...] = ()
    """Of which class each of these is."""
    of_class: tuple[Index, ...] = ()
    """How many images each class has there."""


_OfSearch = Opened | Asked | Started | Epoch | Finished | Interrupted | Closed
_OfFinals = FinalsOpened | FinalsInterrupted | FinalsClosed | Retrained | TestOpened | Tested
Event = _OfSearch | _OfFinals

_CHECKSUM = b',"crc":"'
_EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])


def to_line(event: Event) -> bytes:
    """Write an event as one line of JSON, the last entry its checksum."""
    body = event.model_dump_json().encode()
    return body[:-1] + _CHECKSUM + _checksum(body) + b"\n"


def from_line(line: bytes) -> Event:
    """Read one line; raise ValueError when it is none, or not as it was written."""
    body, mark, checksum = line.rstrip().rpartition(_CHECKSUM)
    if not mark:
        return _EVENT.validate_json(line)
    if checksum != _checksum(body + b"}"):
        raise ValueError("the checksum of this line does not fit")
    return _EVENT.validate_json(body + b"}")


def _checksum(body: bytes) -> bytes:
    return b'%08x"}' % zlib.crc32(body)

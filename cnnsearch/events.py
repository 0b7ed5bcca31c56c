"""What can happen in a run? Each event is one line of JSON; fields are added, never renamed.

Times are Unix seconds; `trial` is the candidate's logical index, given once and kept over retries; a score is a
fraction from 0 to 1.
"""

import time
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from cnnsearch.recipe import Recipe

FinalState = Literal["complete", "stopped", "failed", "turned_away", "repeated"]
CloseState = Literal["complete", "interrupted", "exhausted", "no_new_candidate", "failed"]
Scalar = bool | int | float | str | None
Index = Annotated[int, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class _Event(BaseModel):
    # Numbers that are no number are written as text: a validation loss may be infinite, and JSON knows no infinity.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")
    time: float = Field(default_factory=time.time)


class Opened(_Event):
    """A coordinator took the run into its hands; one for each invocation."""

    event: Literal["opened"] = "opened"
    host: str
    pid: int
    versions: dict[str, str]
    notice: str = ""
    """Said prominently beside every result, such as that the run fell back to another data set."""


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


class Finished(_Event):
    """A candidate has its last word; a repeated one names the trial it repeats in `of`."""

    event: Literal["finished"] = "finished"
    trial: Index
    state: FinalState
    reason: str = ""
    score: Fraction | None = None
    seconds: float = 0.0
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


Event = Opened | Asked | Started | Epoch | Finished | Interrupted | Closed

_EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])


def to_line(event: Event) -> bytes:
    """Write an event as one line of JSON."""
    return event.model_dump_json().encode() + b"\n"


def from_line(line: bytes) -> Event:
    """Read one line; raise pydantic's ValidationError, a ValueError, when it is none."""
    return _EVENT.validate_json(line)

"""What became of each candidate? The events that tell of one, joined."""

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from cnnsearch.errors import RunError
from cnnsearch.events import Asked, Epoch, Event, FinalState, Finished, Interrupted, Scalar, Started
from cnnsearch.objectives import Latency
from cnnsearch.recipe import Recipe
from cnnsearch.units import counted

if TYPE_CHECKING:
    from cnnsearch.network import Network


class Trial(BaseModel):
    """One candidate and what became of it; the fields of `Asked` and `Finished`, joined."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    number: int
    """From 0, in the order of drawing."""
    asked: dict[str, int | float]
    """What the sampler answered for every hole."""
    built: dict[str, Scalar]
    """The values of the holes that have a part in the network or its recipe."""
    network_data: dict[str, Any]
    recipe: Recipe
    parameters: int
    macs: int
    """Multiply-adds for one image."""
    weight_bytes: int
    activation_bytes: int
    """At most, while one image is classified in fp32."""
    fingerprint: str
    """Equal for candidates that compute and are trained alike."""
    latency: Latency | None
    state: FinalState | Literal["running"]
    reason: str
    """Why it did not come to its end; empty where it did."""
    score: float | None
    """Accuracy on the validation images at the end of its training, from 0 to 1."""
    of: int | None
    """The trial that a repeated one repeats."""
    seconds: float
    """In training, over all attempts."""
    epochs: tuple[Epoch, ...]
    started: float
    """Unix seconds: when its first attempt began, or when it was asked where none did."""
    ended: float | None
    slot: int | None
    attempts: int
    deaths: int
    """How many attempts a dying worker took with it."""

    @property
    def name(self) -> str:
        """What it is called among the entrants of the finals."""
        return f"trial {self.number}"

    @cached_property
    def network(self) -> "Network":
        """The network, checked; raises InvalidSpecError where a user's block of it is not imported."""
        from cnnsearch.network import Network

        return Network.model_validate(self.network_data)

    @property
    def accuracy(self) -> float:
        """The score of a trial that has one, as all have that are ranked."""
        assert self.score is not None
        return self.score

    @property
    def short(self) -> str:
        """The network in one line; one with a user's block that is not imported here is only counted."""
        try:
            return str(self.network)
        except ValueError:
            blocks = counted(len(self.network_data.get("blocks", ())), "block", "blocks")
            return f"{blocks} of kinds not imported here"


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

    @property
    def _ended(self) -> float | None:
        """Give when it ended; that one which waited at a rung will not go on is said long after its last epoch."""
        if self.end is None:
            return None
        return self.epochs[-1].time if self.end.state == "stopped" and self.epochs else self.end.time

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
            latency=asked.latency,
            state=end.state if end else "running",
            reason=end.reason if end else "",
            score=end.score if end else None,
            of=end.of if end else None,
            seconds=end.seconds if end else 0.0,
            epochs=tuple(self.epochs),
            started=self.starts[0].time if self.starts else asked.time,
            ended=self._ended,
            slot=self.starts[-1].slot if self.starts else None,
            attempts=len(self.starts),
            deaths=self.deaths,
        )


def trials(record: Path, events: Iterable[Event], epochs: Iterable[Event]) -> tuple[Trial, ...]:
    """Join what a record tells, with the epochs that lie beside it, by trial; raise RunError where it lacks one.

    Epochs of a trial that it never asked are passed over: it was asked after the record was read, or a power cut took
    the line that asked for it.
    """
    stories: dict[int, _Story] = {}
    for event in events:
        if isinstance(event, Asked):
            stories[event.trial] = _Story(event)
        elif isinstance(event, Started | Finished | Interrupted):
            if event.trial not in stories:
                raise RunError(f"{record}: tells of trial {event.trial}, which it never asked; restore it")
            stories[event.trial].hear(event)
    for epoch in epochs:
        if isinstance(epoch, Epoch) and epoch.trial in stories:
            stories[epoch.trial].hear(epoch)
    if stories and max(stories) + 1 != len(stories):
        raise RunError(f"{record}: tells of trial {max(stories)} but only of {len(stories)} trials; restore it")
    return tuple(stories[number].trial() for number in sorted(stories))

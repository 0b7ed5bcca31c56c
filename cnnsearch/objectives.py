"""What is sought? Accuracy, and whatever shall be small beside it."""

from collections.abc import Mapping
from typing import Annotated, Literal, NamedTuple, Protocol, Self, cast, get_args

from pydantic import BeforeValidator, Field

from cnnsearch.errors import Fault, InvalidSpecError
from cnnsearch.ranking import Standing, rank
from cnnsearch.units import percent
from cnnsearch.word import Word, misfit

ACCURACY = "validation_accuracy"
Name = Literal["validation_accuracy", "parameters", "macs", "weight_bytes", "activation_bytes", "latency"]


def _as_share(value: object) -> object:
    """Tell a percentage how it is written."""
    if isinstance(value, int | float) and 1 < value <= 100:  # noqa: PLR2004 (percent)
        raise misfit("", f"is a fraction, at most 1, not {value}; {value} % is written {value / 100:g}")
    return value


class Objective(Word):
    """What is asked of one objective."""

    at_least: Annotated[float, Field(gt=0, le=1), BeforeValidator(_as_share)] | None = None
    """Only for validation_accuracy, as a fraction: that is enough, and the cheapest network that reaches it wins."""


_COSTS = tuple(name for name in get_args(Name) if name != ACCURACY)
_LIMITED = ("parameters", "macs", "weight_bytes", "activation_bytes")


def _floor_of(objective: object) -> object:
    if isinstance(objective, dict):
        return cast("dict[str, object]", objective).get("at_least")
    return objective.at_least if isinstance(objective, Objective) else None


def _filled_in(data: object) -> object:
    """Seek accuracy in any case; an objective of which nothing is asked may be null."""
    if not isinstance(data, dict):
        return data
    given: dict[str, object] = {ACCURACY: None, **cast("dict[str, object]", data)}
    for name, objective in given.items():
        way_out = f"a {name} cannot be limited, only sought to be small: {{{name}: {{}}}}"
        if name in _LIMITED:
            way_out = f"what no network may exceed stands in `limits`, as max_{name}"
        if name in _COSTS and _floor_of(objective) is not None:
            raise misfit(f"{name}.at_least", f"a cost has no floor; {way_out}")
        if name in _COSTS and isinstance(objective, dict) and "at_most" in objective:
            raise misfit(f"{name}.at_most", f"an objective is to be as small as possible; {way_out}")
    return {name: Objective() if objective is None else objective for name, objective in given.items()}


Objectives = Annotated[dict[Name, Objective], BeforeValidator(_filled_in)]


WORDS: dict[Name, str] = {
    "validation_accuracy": "validation accuracy",
    "parameters": "parameters",
    "macs": "multiply-adds",
    "weight_bytes": "bytes of weights",
    "activation_bytes": "bytes of maps",
    "latency": "seconds of latency",
}
"""What people call them."""
HEADS: dict[Name, str] = {**WORDS, "latency": "latency"}
"""What stands above their column, whose numbers have their units."""


class Latency(NamedTuple):
    """Seconds for one image on one thread of a processor of this machine: the median, and its 95 % interval."""

    seconds: float
    low: float
    high: float


class Priced(Protocol):
    """Whatever has a network's costs: its own `cost`, or a trial of a record."""

    @property
    def parameters(self) -> int:
        """Learned numbers."""
        ...

    @property
    def macs(self) -> int:
        """Multiply-adds of one image."""
        ...

    @property
    def weight_bytes(self) -> int:
        """Of the learned numbers in fp32."""
        ...

    @property
    def activation_bytes(self) -> int:
        """Of all maps alive at once."""
        ...


class Aim(NamedTuple):
    """The objectives, ready for use."""

    costs: tuple[Name, ...] = ()
    """What shall be small, in the order of their names above."""
    floor: float | None = None
    """The accuracy that is enough."""

    @classmethod
    def of(cls, objectives: Mapping[Name, Objective]) -> Self:
        """Read them; raise InvalidSpecError where they contradict each other.

        >>> Aim.of({"parameters": Objective(), "validation_accuracy": Objective(at_least=0.99)})
        Aim(costs=('parameters',), floor=0.99)
        """
        costs = tuple(name for name in _COSTS if name in objectives)
        floor = objectives[ACCURACY].at_least
        if floor is not None and len(costs) != 1:
            law = "with a floor the cheapest network wins, so exactly 1 cost must be named beside it"
            message = f"{law}, such as `parameters: {{}}`, not {len(costs)} ({', '.join(costs) or 'none'})"
            raise InvalidSpecError((Fault(f"objectives.{ACCURACY}.at_least", message),))
        return cls(costs, floor)

    def __str__(self) -> str:
        if self.floor is not None:
            return f"the fewest {WORDS[self.costs[0]]} with a validation accuracy of at least {percent(self.floor)}"
        few = f", with few {' and '.join(WORDS[name] for name in self.costs)}" if self.costs else ""
        return f"the best validation accuracy{few}"

    @property
    def shown(self) -> tuple[Name, ...]:
        """Name the costs that order networks: those sought, else parameters, which decide between equal accuracies."""
        return self.costs or ("parameters",)

    @property
    def besides(self) -> tuple[Name, ...]:
        """Name the costs sought that not every table of networks has in any case."""
        return tuple(name for name in self.costs if name not in {"parameters", "macs"})

    def prices(self, cost: Priced, latency: Latency | None) -> tuple[float, ...]:
        """Give a network's costs, of those sought; a latency that was not measured is endless."""
        return tuple(price(name, cost, latency) for name in self.costs)

    def standing(self, accuracy: float, cost: Priced, latency: Latency | None) -> Standing:
        """Say how good a network is, to be ranked and for the front."""
        return Standing(accuracy, tuple(price(name, cost, latency) for name in self.shown))

    def place(self, standing: Standing, cost: Priced, trial: int) -> tuple[float, ...]:
        """Give what to sort trials by, the best first; of equal ones the smaller network, then the earlier."""
        return *rank(standing, self.floor), cost.parameters, trial


def price(name: Name, cost: Priced, latency: Latency | None) -> float:
    """Give one of a network's costs."""
    if name == "latency":
        return latency.seconds if latency else float("inf")
    return getattr(cost, name)


def price_tag(name: Name, cost: Priced, latency: Latency | None) -> str:
    """Write one of a network's costs."""
    if name != "latency":
        return f"{price(name, cost, latency):,}"
    if not latency:
        return "not measured"
    milliseconds = 1000 * latency.seconds
    return f"{milliseconds:.3g} ms" if milliseconds < 100 else f"{milliseconds:,.0f} ms"  # noqa: PLR2004 (three digits)

"""What are the parts of a plan, besides space and recipe?"""

from math import ceil
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from cnnsearch.errors import brief
from cnnsearch.objectives import Priced
from cnnsearch.recipe import Recipe
from cnnsearch.word import Word, as_tuple, misfit, tuple_of


class Limits(Word):
    """What no trained network may exceed; one that does is turned away before training and not counted."""

    max_parameters: Annotated[int, Field(ge=1)] | None = None
    """Learned numbers."""
    max_macs: Annotated[int, Field(ge=1)] | None = None
    """Multiply-adds of one image."""
    max_weight_bytes: Annotated[int, Field(ge=1)] | None = None
    """Bytes of the learned numbers in fp32."""
    max_activation_bytes: Annotated[int, Field(ge=1)] | None = None
    """fp32 bytes of all maps alive at once, one image."""

    @property
    def most(self) -> dict[str, int]:
        """Give the limits that are set, by the names of the costs."""
        return {name.removeprefix("max_"): most for name, most in self.model_dump(exclude_none=True).items()}

    def excess(self, cost: Priced) -> dict[str, float]:
        """Give for each limit by what fraction the cost exceeds it; 0 or less is within."""
        return {name: getattr(cost, name) / most - 1 for name, most in self.most.items()}

    def exceeded(self, cost: Priced) -> dict[str, float]:
        """Give the limits that the cost exceeds, and by what fraction."""
        return {name: over for name, over in self.excess(cost).items() if over > 0}


class Budget(Word):
    """When a study has done enough."""

    trials: Annotated[int, Field(ge=1, le=1_000_000)] = 50
    """Trained candidates (complete, stopped and failed), over all invocations."""
    minutes: Annotated[float, Field(gt=0)] | None = None
    """Minutes that the search may take in this call, the finals not counted; with `successive` the second half is for
    the best of the trials that wait, or more where these need more. null: no limit."""
    trial_minutes: Annotated[float, Field(gt=0)] | None = None
    """Minutes that one training may take before it is ended and has failed; in the finals longer, as its schedule is,
    counted by each call anew. null: no limit."""
    until_flat: bool = False
    """When the budget is spent, spend it again, until 50 more trials are expected to add less than the noise of one
    training."""

    def times(self, done: int) -> int:
        """Say how many times the trials are to be spent that so many of them began: once, but for `until_flat`."""
        return max(1, ceil(done / self.trials)) if self.until_flat else 1

    @property
    def trial_seconds(self) -> float | None:
        """Seconds that one training of the search may take."""
        return self.trial_minutes and 60 * self.trial_minutes


class Sampler(Word):
    """Who proposes candidates."""

    kind: Literal["tpe", "random"] = "tpe"
    """Tree-structured Parzen estimator (Bergstra et al. 2011), or uniform draws."""
    startup: Annotated[int, Field(ge=0, le=100_000)] = 10
    """Candidates drawn uniformly before TPE begins."""


def _different(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise misfit("", f"each can take part once, not {brief(list(names))}; leave out those that stand twice")
    return names


def _rising(rungs: tuple[int, ...]) -> tuple[int, ...]:
    if list(rungs) != sorted(set(rungs)):
        raise misfit("", f"each must be later than the one before, not {brief(list(rungs))}; sort them, each once")
    return rungs


class Pruner(Word):
    """When a trial is stopped early. The scores of trials that failed since count no more at any rung."""

    kind: Literal["halving", "successive", "median", "none"] = "halving"
    """Halving decides at once (asynchronous successive halving, Li et al. 2020); successive (Jamieson and Talwalkar
    2016) when all trials of the budget were at the rung, and lets the best go on from there; median stops
    what is below it; none stops nothing."""
    rungs: Annotated[
        tuple[Annotated[int, Field(ge=1)], ...],
        Field(json_schema_extra={"maxItems": 64}),
        tuple_of(0, 64),
        AfterValidator(_rising),
    ] = (1,)
    """Epochs after which a trial may be stopped."""
    keep: Annotated[float, Field(gt=0, le=1)] = 0.25
    """Share of the scores seen at a rung that halving, of either kind, lets go on."""
    startup: Annotated[int, Field(ge=0)] = 4
    """Scores at a rung before anything is stopped there."""


Baseline = Literal["majority", "logistic", "lenet5", "handmade", "random-search"]
BASELINES: dict[Baseline, str] = {
    "majority": "majority class",
    "logistic": "logistic regression",
    "lenet5": "LeNet-5",
    "handmade": "hand-made network",
    "random-search": "random search",
}
"""What each is called among the entrants."""
SIMPLE: tuple[Baseline, ...] = ("majority", "logistic")
"""Those that are no networks."""


class Finals(Word):
    """How the winner is chosen after the search: the best are trained again, and only then are test images read."""

    candidates: Annotated[int, Field(ge=1, le=100)] = 5
    """The best of the search, trained again with a fresh seed."""
    finalists: Annotated[int, Field(ge=1, le=100)] = 2
    """The best of these, trained with more seeds; the winner is the best mean on the validation images,
    or the cheapest that surely meets the plan's floor."""
    seeds: Annotated[int, Field(ge=1, le=100)] = 3
    """Trainings of each finalist."""
    epochs: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Passes over the training images in one schedule; null for as many as in the search."""
    baselines: Annotated[tuple[Baseline, ...], BeforeValidator(as_tuple), AfterValidator(_different)] = (
        "majority",
        "logistic",
        "lenet5",
        "handmade",
    )
    """All that the winner is compared with, of majority, logistic, lenet5, handmade (these four where nothing is said)
    and random-search, a study of equal budget without a sampler that learns."""

    def recipe(self, searched: Recipe) -> Recipe:
        """Turn a recipe of the search into that of the finals: one whole schedule."""
        whole = {"epochs": self.epochs or searched.epochs, "restarts": (), "first_epoch_share": 1.0}
        return searched.model_copy(update=whole)


class Executor(Word):
    """On what candidates are trained."""

    kind: Literal["local"] = "local"
    """Processes on this machine."""
    workers: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Processes; null for one or two a GPU (up to four where NVIDIA's MPS runs), or one a CPU core without a GPU."""
    device: str | None = None
    """"cpu", "cuda" or "cuda:1"; null for all GPUs, or the CPU where there is none."""

"""What decides a study? One word, read from a file, from flags, or made in code."""

import hashlib
import json
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Protocol, Self, cast

from pydantic import BeforeValidator, Field, model_validator

from cnnsearch.datasets import FACTS, Facts
from cnnsearch.defaults import DEFAULTS
from cnnsearch.errors import Fault, InvalidSpecError, place
from cnnsearch.holes import Hole, Node, Real, Suggest, fill, holes_of, read
from cnnsearch.network import Network
from cnnsearch.options import check
from cnnsearch.recipe import Recipe
from cnnsearch.space import Space
from cnnsearch.text import Plain, read_file
from cnnsearch.word import Word, as_tuple, passed_on

_INDECISIVE = frozenset({"budget", "executor", "name", "runs", "storage", "data_root"})
_UNFITTED: dict[str, Plain] = {"restarts": [], "first_epoch_share": 1.0}
"""What a recipe has where it does not say, and the default plans fit to their number of epochs."""


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

    def excess(self, cost: "Priced") -> dict[str, float]:
        """Give for each limit by what fraction the cost exceeds it; 0 or less is within."""
        pairs = (
            ("parameters", cost.parameters, self.max_parameters),
            ("macs", cost.macs, self.max_macs),
            ("weight_bytes", cost.weight_bytes, self.max_weight_bytes),
            ("activation_bytes", cost.activation_bytes, self.max_activation_bytes),
        )
        return {name: value / most - 1 for name, value, most in pairs if most is not None}


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


class Budget(Word):
    """When a study has done enough."""

    trials: Annotated[int, Field(ge=1, le=1_000_000)] = 50
    """Trained candidates (complete, stopped and failed), over all invocations."""
    minutes: Annotated[float, Field(gt=0)] | None = None
    """Minutes of this invocation, of which the second half is for the best of those that wait at a rung; null for no
    end but the trials."""


class Sampler(Word):
    """Who proposes candidates."""

    kind: Literal["tpe", "random"] = "tpe"
    """Tree-structured Parzen estimator (Bergstra et al. 2011), or uniform draws."""
    startup: Annotated[int, Field(ge=0, le=100_000)] = 10
    """Candidates drawn uniformly before TPE begins."""


class Pruner(Word):
    """When a trial is stopped early."""

    kind: Literal["halving", "successive", "median", "none"] = "halving"
    """Halving decides at once (asynchronous successive halving, Li et al. 2020); successive (Jamieson and Talwalkar
    2016) when all trials of the budget were at the rung, and trains the best from the beginning again; median stops
    what is below it; none stops nothing."""
    rungs: Annotated[tuple[Annotated[int, Field(ge=1)], ...], BeforeValidator(as_tuple)] = (1,)
    """Epochs after which a trial may be stopped."""
    keep: Annotated[float, Field(gt=0, le=1)] = 0.25
    """Share of the scores seen at a rung that halving, of either kind, lets go on."""
    startup: Annotated[int, Field(ge=0)] = 4
    """Scores at a rung before anything is stopped there."""


class Executor(Word):
    """On what candidates are trained."""

    kind: Literal["local"] = "local"
    """Processes on this machine."""
    workers: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Processes; null for one or two a GPU (up to four where NVIDIA's MPS runs), or one a CPU core without a GPU."""
    device: str | None = None
    """"cpu", "cuda" or "cuda:1"; null for all GPUs, or the CPU where there is none."""


class Candidate(NamedTuple):
    """A network with its recipe, and how they came about."""

    network: Network
    recipe: Recipe
    asked: dict[str, float]
    """What was suggested for every hole; nothing for a start network."""
    built: dict[str, Plain]
    """What stands in network and recipe, for the holes that they used."""

    @property
    def fingerprint(self) -> str:
        """Name what the pair computes: 16 hexadecimal digits, equal however it was written."""
        return hashlib.sha256(f"{self.network.fingerprint} {self.recipe.computes}".encode()).hexdigest()[:16]


def _with_defaults(data: Plain) -> Plain:
    """Fill in what the data set's default plan says.

    A given space is taken whole, and without the limits that were fitted to the default one; so is a number of epochs
    without the restarts and the short first epoch that were.
    """
    if not isinstance(data, dict):
        return data
    given = {key: value for key, value in cast("dict[str, Plain]", data).items() if key != "$schema"}
    dataset = given.get("dataset", "mnist")
    default = _fitting(DEFAULTS[dataset if isinstance(dataset, str) and dataset in DEFAULTS else "mnist"], given)
    merged = {**default, **given}
    for key in ("recipe", "limits", "pruner"):
        if isinstance(given.get(key), dict):
            merged[key] = {**default.get(key, {}), **given[key]}
    return merged


def _fitting(default: dict[str, Plain], given: dict[str, Plain]) -> dict[str, Plain]:
    """Leave out of the defaults what was fitted to something that is now given."""
    recipe = given.get("recipe")
    if isinstance(recipe, dict) and "epochs" in recipe:
        unfitted = {key: value for key, value in _UNFITTED.items() if key in default["recipe"]}
        default = {**default, "recipe": {**default["recipe"], **unfitted}}
    return {key: value for key, value in default.items() if key != "limits" or "space" not in given}


class Plan(Word):
    """Everything that decides a study."""

    dataset: Literal["mnist", "digits"] = "mnist"
    """What is classified: mnist (downloaded once) or digits (comes with scikit-learn)."""
    data: str | None = None
    """The data set's SHA-256, written down by a run; a plan that has one is refused where the data are others."""
    space: dict[str, Any]
    """A network with holes, without input and classes, which follow from the data set."""
    recipe: dict[str, Any]
    """How candidates are trained; may have holes."""
    limits: Limits = Limits()
    budget: Budget = Budget()
    sampler: Sampler = Sampler()
    pruner: Pruner = Pruner()
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Decides what is drawn, and with the candidate's number initial weights, data order and augmentation."""
    start: Annotated[tuple[Network, ...], BeforeValidator(as_tuple)] = ()
    """Networks that are tried first."""
    imports: Annotated[tuple[str, ...], BeforeValidator(as_tuple)] = ()
    """Modules of one's own that register kinds of blocks."""
    executor: Executor = Executor()
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")] | None = None
    """The run's folder within `runs`; null for the data set and some characters of the plan's fingerprint."""
    runs: str = "runs"
    """The folder of all runs."""
    storage: str | None = None
    """Optuna storage URL; null for a SQLite file in the run's folder."""
    data_root: str | None = None
    """Where data sets are kept; null for $CNNSEARCH_DATA, else the platform's cache folder."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, data: Any) -> Any:  # noqa: ANN401 (the border)
        return _with_defaults(data)

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        try:
            self._check_data()
            _without_password(self.storage)
            _ = self.searched, self.recipe_tree
            for number, network in enumerate(self.start):
                self._check_start(network, number)
        except InvalidSpecError as error:
            raise passed_on(error) from None
        return self

    def _check_data(self) -> None:
        if self.data not in {None, self.facts.sha256}:
            law = f"the plan was made for data with SHA-256 {self.data}, but {self.dataset} has {self.facts.sha256}"
            raise InvalidSpecError((Fault("data", f"{law}; leave `data` out to plan anew"),))

    def _check_start(self, network: Network, number: int) -> None:
        facts = self.facts
        if (tuple(network.input.shape), network.classes) != (facts.shape, len(facts.classes)):
            law = f"takes {network.input.shape} images of {network.classes} classes, but {self.dataset} has"
            wanted = "x".join(str(axis) for axis in facts.shape)
            message = f"{law} {wanted} images of {len(facts.classes)}; change input and classes"
            raise InvalidSpecError((Fault(f"start[{number}]", message),))

    @property
    def facts(self) -> Facts:
        """What is known of the data set without loading it."""
        return FACTS[self.dataset]

    @cached_property
    def searched(self) -> Space:
        """The space, with input and classes of the data set."""
        facts = self.facts
        if decided := {"input", "classes"} & self.space.keys():
            message = f"follows from the data set {self.dataset!r}; leave it out"
            raise InvalidSpecError(tuple(Fault(f"space.{key}", message) for key in sorted(decided)))
        image = {"channels": facts.channels, "height": facts.height, "width": facts.width}
        try:
            return Space({"input": image, **self.space, "classes": len(facts.classes)})
        except InvalidSpecError as error:
            raise error.under("space") from None

    @cached_property
    def recipe_tree(self) -> Node:
        """The recipe with its holes, each checked."""
        tree = read(self.recipe, "recipe")
        check(tree, Recipe.model_validate, "recipe")
        return tree

    @cached_property
    def holes(self) -> tuple[Hole | Real, ...]:
        """Every hole of space and recipe: what is asked for each candidate."""
        return holes_of(self.searched.tree) + holes_of(self.recipe_tree)

    def draw(self, suggest: Suggest) -> Candidate:
        """Ask for every hole of space and recipe and make a candidate that fits."""
        drawn = self.searched.draw(suggest)
        recipe = fill(self.recipe_tree, suggest, lambda _: True)
        asked, built = {**drawn.asked, **recipe.asked}, {**drawn.built, **recipe.built}
        return Candidate(drawn.network, Recipe.model_validate(recipe.data), asked, built)

    def start_with(self, network: Network) -> Candidate:
        """Give a start network the middle of every hole of the recipe."""
        recipe = fill(self.recipe_tree, _middle, lambda _: True)
        return Candidate(network, Recipe.model_validate(recipe.data), {}, recipe.built)

    def stored(self) -> dict[str, Plain]:
        """Give it as plain data for the run's folder: with the data set's hash, without a storage's password."""
        return {**self.model_dump(mode="json"), "data": self.facts.sha256, "storage": _without_password(self.storage)}

    @cached_property
    def fingerprint(self) -> str:
        """Eight hexadecimal digits of what decides the results."""
        return hashlib.sha256(json.dumps(decisive(self.stored()), sort_keys=True).encode()).hexdigest()[:8]

    @property
    def run_name(self) -> str:
        """The name given, else the data set's with the fingerprint: the same plan continues the same run."""
        return self.name or f"{self.dataset}-{self.fingerprint}"

    @property
    def folder(self) -> Path:
        """Where the run lives."""
        return Path(self.runs) / self.run_name


def _middle(hole: Hole | Real) -> float:
    if isinstance(hole, Hole):
        return len(hole.options) // 2
    return (hole.low * hole.high) ** 0.5 if hole.log else (hole.low + hole.high) / 2


def decisive(stored: dict[str, Plain]) -> dict[str, Plain]:
    """Leave out of a stored plan what does not decide what is found: where, on what and how long it runs."""
    return {key: value for key, value in stored.items() if key not in _INDECISIVE}


def _without_password(storage: str | None) -> str | None:
    if storage is None:
        return None
    from sqlalchemy import make_url  # only who names a storage pays for it
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(storage)
    except (ArgumentError, ValueError):  # what was given is not repeated: it may hold a password
        raise InvalidSpecError((Fault("storage", "not a URL such as sqlite:////folder/studies.db"),)) from None
    return url.set(query={}).render_as_string(hide_password=True)  # a query may hold a password too


def differences(old: Plain, new: Plain, where: str = "") -> Iterator[str]:
    """Say each difference between two plans' decisive data, by its place."""
    if isinstance(old, dict) and isinstance(new, dict):
        before, now = cast("dict[str, Plain]", old), cast("dict[str, Plain]", new)
        for key in {**before, **now}:
            yield from differences(before.get(key), now.get(key), place(where, key))
    elif old != new:
        yield f"{where}: {json.dumps(old)} before, {json.dumps(new)} now"


def read_plan(path: str | Path) -> Plan:
    """Read a plan file (.yaml or .json); raise InvalidSpecError with every place found."""
    return Plan.model_validate(read_plain_plan(Path(path)))


def read_plain_plan(path: Path) -> Plain:
    """Read a plan file without checking it; networks that `start` names by file are put in their place."""
    data = read_file(path)
    return with_start_networks(data, path.parent)


def with_start_networks(data: Plain, folder: Path) -> Plain:
    """Replace the file names in `start`, relative to `folder`, by the networks in these files."""
    plan = cast("dict[str, Plain]", data) if isinstance(data, dict) else {}
    if not isinstance(plan.get("start"), list):
        return cast("Plain", data)
    start = cast("list[Plain]", plan["start"])
    return {**plan, "start": [_start_network(folder, item, number) for number, item in enumerate(start)]}


def _start_network(folder: Path, item: Plain, number: int) -> Plain:
    if not isinstance(item, str):
        return item
    path = folder / item
    try:
        return read_file(path)
    except InvalidSpecError as error:
        found = (str(fault).removeprefix(f"{path}: ") for fault in error.faults)
        raise InvalidSpecError(tuple(Fault(f"start[{number}]", f"{path}: {text}") for text in found)) from None


def imports_of(data: Plain) -> list[str]:
    """Give the modules that a plan's plain data names; what is no list of names is left to the plan's own check."""
    given: Plain = cast("dict[str, Plain]", data).get("imports") if isinstance(data, dict) else None
    names = cast("list[Plain]", given) if isinstance(given, list) else []
    return [name for name in names if isinstance(name, str)]

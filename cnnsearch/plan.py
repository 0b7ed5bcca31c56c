"""What decides a study? One word, read from a file, from flags, or made in code."""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, cast

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, model_validator

from cnnsearch.candidate import Candidate
from cnnsearch.completed import completed
from cnnsearch.datasets import FACTS, Facts, data_root
from cnnsearch.devices import slots
from cnnsearch.errors import MOST_SHOWN, Fault, InvalidSpecError, brief, faults_of
from cnnsearch.files import expanded
from cnnsearch.fill import Suggest, fill
from cnnsearch.holes import Hole, Node, Real, holes_of
from cnnsearch.network import Network
from cnnsearch.objectives import Aim, Objectives
from cnnsearch.options import checked
from cnnsearch.own.image import Image
from cnnsearch.own.keep import changes, facts_of, is_there
from cnnsearch.parts import Budget, Executor, Finals, Limits, Pruner, Sampler
from cnnsearch.recipe import Recipe
from cnnsearch.sameness import fingerprint_of
from cnnsearch.space import Space
from cnnsearch.text import Plain
from cnnsearch.word import Word, as_tuple, misfit, passed_on

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"


def _as_name(name: object) -> object:
    """Say the law of a name in words, where pydantic would show the pattern, which stays for editors."""
    if isinstance(name, str) and not re.fullmatch(NAME, name):
        law = "must be a folder's name of at most 100 letters, digits, dots, dashes and underscores, the first of them"
        raise misfit("", f"{law} a letter or digit, not {brief(name)}; --runs says where the folder stands")
    return name


def _known_or_there(dataset: str) -> str:
    if dataset not in FACTS and not is_there(dataset):
        names = " nor ".join(map(repr, FACTS))
        near = get_close_matches(dataset[:MOST_SHOWN].lower(), FACTS, n=1)
        meant = f"; perhaps you meant {near[0]!r}" if near else ""
        if dataset.endswith((".npy", ".npz")):
            meant = "; numpy.savez writes one, with the arrays `images` and `labels`"
        law = f"{brief(dataset)} is neither {names}, and no folder or .npz file of that name is there"
        raise misfit("", f"{law}{meant}")
    return dataset


class Plan(Word):
    """Everything that decides a study."""

    takes_holes = False  # but in space and recipe, which other words read
    read_as: ClassVar[Mapping[str, type[BaseModel]]] = {
        "space": Network,
        "recipe": Recipe,
        "start": Word,  # in these two no key stands by itself
        "objectives": Word,
    }
    dataset: Annotated[str, AfterValidator(_known_or_there), Field(examples=[*FACTS, "my_images"])] = "mnist"
    """What is classified: mnist (downloaded once), digits (comes with scikit-learn), or images of one's own: a folder
    with a folder of pictures for each class, or an .npz file with the arrays `images` and `labels`."""
    image: Image = Image()
    data: str | None = None
    """The data set's SHA-256, written down by a run; a plan that has one is refused where the data are others."""
    space: dict[str, Any]
    """A network with holes, without input and classes, which follow from the data set."""
    recipe: dict[str, Any]
    """How candidates are trained; may have holes."""
    objectives: Objectives = {}  # noqa: RUF012 (of a frozen word; filled in by its check)
    """What is sought: validation_accuracy in any case, and beside it whatever shall be small: parameters, macs,
    weight_bytes, activation_bytes, latency, each with {}. With `validation_accuracy: {at_least: 0.99}` the cheapest
    network that reads so much right wins."""
    limits: Limits = Limits()
    budget: Budget = Budget()
    sampler: Sampler = Sampler()
    pruner: Pruner = Pruner()
    repeats: Literal["record", "seed"] = "record"
    """A candidate that is drawn again is answered from the record, or trained with another seed and counted: the spread
    that this shows tells which differences are noise."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Decides what is drawn, and with the candidate's number initial weights, data order and augmentation."""
    start: Annotated[tuple[Network, ...], BeforeValidator(as_tuple)] = ()
    """Networks that are tried first; in a file also the names of their files, from the plan's folder."""
    imports: Annotated[tuple[str, ...], BeforeValidator(as_tuple)] = ()
    """Modules of one's own that register kinds of blocks."""
    finals: Finals | None = Finals()
    """What comes after the search; null (--no-finals) for nothing."""
    executor: Executor = Executor()
    name: Annotated[str, Field(pattern=NAME), BeforeValidator(_as_name)] | None = None
    """The run's folder within `runs`; null for the data set and some characters of the plan's fingerprint."""
    runs: str = "runs"
    """The folder of all runs."""
    storage: Annotated[str | None, Field(repr=False)] = None  # it may hold a password
    """Optuna storage URL; null for a SQLite file in the run's folder."""
    data_root: str | None = None
    """Where data sets are kept; null for $CNNSEARCH_DATA, else the platform's cache folder."""

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:  # noqa: ANN401 (the border)
        """Check plain data.

        Raises InvalidSpecError with every place found, DataError for images of one's own that cannot be used.
        """
        try:
            return super().model_validate(obj, **options)
        except InvalidSpecError as error:
            unknown = [fault for fault in error.faults if isinstance(obj, dict) and fault.place in obj.keys() - _KNOWN]
            if not unknown:
                raise
            # What is wrong within the space is only looked for where all the rest is right.
            known = {key: value for key, value in cast("dict[str, Plain]", obj).items() if key in _KNOWN}
            deeper = faults_of(lambda: cls.model_validate(known, **options))
            raise InvalidSpecError((*deeper, *unknown)) from None

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, data: Any) -> Any:  # noqa: ANN401 (the border)
        return completed(data)

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        checks = (
            self._check_data,
            self._check_storage,
            lambda: self.aim,
            self._check_limits,
            self._check_budget,
            lambda: self.recipe_tree,
        )
        found = [fault for each in (*checks, self._check_start) for fault in faults_of(each)]
        if found:
            raise passed_on(InvalidSpecError(tuple(dict.fromkeys(found))))
        return self

    def _check_data(self) -> None:
        if self.dataset in FACTS and self.image != Image():
            message = f"the images of {self.dataset} stay as they are; leave it out"
            raise InvalidSpecError((Fault("image", message),))
        if self.data is not None and self.data != self.facts.sha256:
            law = f"the plan was made for data with SHA-256 {self.data}, but {self.dataset} has {self.facts.sha256}"
            seen = list(changes(self.data, self.facts.sha256, self.data_folder))
            told = f" ({'; '.join(seen)})" if seen else ""
            raise InvalidSpecError((Fault("data", f"{law}{told}; leave `data` out to plan anew"),))

    def _check_limits(self) -> None:
        """Refuse limits that no network of the space keeps, where that can be told."""
        if not self.searched.costs.is_hopeless:
            return
        way_out = "raise the limit or allow smaller networks"
        least = {name: self.searched.least(name) for name in self.limits.most}
        found = tuple(
            Fault(
                f"limits.max_{name}",
                f"no network of the space has fewer than {least[name]:,}, and the limit is {most:,}; {way_out}",
            )
            for name, most in self.limits.most.items()
            if least[name] > most
        )
        law = "each can be kept, but no network of the space keeps all of them; raise one or allow smaller networks"
        raise InvalidSpecError(found or (Fault("limits", law),))

    def _check_budget(self) -> None:
        if self.budget.until_flat and self.aim.costs:
            law = "what more trials may add is told of accuracy alone, and the plan has other objectives"
            raise InvalidSpecError((Fault("budget.until_flat", f"{law}; leave it out"),))

    def _check_storage(self) -> None:
        _without_password(self.storage)

    def _check_start(self) -> None:
        facts = self.facts
        wanted = f"{'x'.join(str(axis) for axis in facts.shape)} images of {len(facts.classes)}"
        found: list[Fault] = []
        for number, network in enumerate(self.start):
            if (tuple(network.input.shape), network.classes) != (facts.shape, len(facts.classes)):
                law = f"takes {network.input.shape} images of {network.classes} classes, but {self.dataset} has"
                found.append(Fault(f"start[{number}]", f"{law} {wanted}; change input and classes"))
        if found:
            raise InvalidSpecError(tuple(found))

    @property
    def data_folder(self) -> Path:
        """Where data sets are kept on this machine."""
        return data_root(self.data_root)

    @property
    def devices(self) -> tuple[str, ...]:
        """The device of each worker; raises InvalidSpecError for one that is not here."""
        return slots(self.executor.workers, self.executor.device)

    @cached_property
    def facts(self) -> Facts:
        """What is known of the data set without loading it."""
        if self.dataset in FACTS:
            return FACTS[self.dataset]
        return facts_of(self.dataset, self.image, self.data_folder)

    def with_budget(self, **given: object) -> Self:
        """Give the same study with another budget; see `altered`."""
        return self.altered(budget=self.budget.model_copy(update=given))

    def altered(self, **given: object) -> Self:
        """Give it with another budget, sampler, seed, name or finals, on the very images that it was checked with.

        The images are looked at once: what lies there may be changed while a study runs.
        """
        other = self.model_copy(update=given)
        vars(other)["facts"] = self.facts
        vars(other).pop("fingerprint", None)
        return other

    @property
    def trains_again(self) -> bool:
        """Whether a candidate that is drawn again is trained again."""
        return self.repeats == "seed"

    @cached_property
    def aim(self) -> Aim:
        """The objectives, ready for use."""
        return Aim.of(self.objectives)

    @cached_property
    def searched(self) -> Space:
        """The space, with input and classes of the data set."""
        facts = self.facts
        if decided := {"input", "classes"} & self.space.keys():
            message = f"follows from the data set {self.dataset!r}; leave it out"
            raise InvalidSpecError(tuple(Fault(f"space.{key}", message) for key in sorted(decided)))
        image = {"channels": facts.channels, "height": facts.height, "width": facts.width}
        try:
            return Space({"input": image, **self.space, "classes": len(facts.classes)}, self.limits.most)
        except InvalidSpecError as error:
            raise error.under("space") from None

    @cached_property
    def recipe_tree(self) -> Node:
        """The recipe with its holes, each checked."""
        return checked(self.recipe, Recipe.model_validate, "recipe")

    @cached_property
    def holes(self) -> tuple[Hole | Real, ...]:
        """Every hole of space and recipe: what is asked for each candidate."""
        return holes_of(self.searched.tree) + holes_of(self.recipe_tree)

    def draw(self, suggest: Suggest) -> Candidate:
        """Ask for every hole of space and recipe and make a candidate that fits."""
        drawn = self.searched.draw(suggest)
        recipe = fill(self.recipe_tree, suggest)
        asked, built = {**drawn.asked, **recipe.asked}, {**drawn.built, **recipe.built}
        return Candidate(drawn.network, Recipe.model_validate(recipe.data), asked, built)

    def start_with(self, network: Network) -> Candidate:
        """Give a start network the middle of every hole of the recipe."""
        recipe = fill(self.recipe_tree, _middle)
        return Candidate(network, Recipe.model_validate(recipe.data), {}, recipe.built)

    def stored(self) -> dict[str, Plain]:
        """Give it as plain data for the run's folder: with the data set's hash, without a storage's password."""
        return {**self.model_dump(mode="json"), "data": self.facts.sha256, "storage": _without_password(self.storage)}

    @cached_property
    def fingerprint(self) -> str:
        """Eight hexadecimal digits of what decides the results."""
        return fingerprint_of(self.stored())

    @property
    def run_name(self) -> str:
        """The name given, else the data set's with the fingerprint: the same plan continues the same run."""
        return self.name or f"{self.facts.name}-{self.fingerprint}"

    @property
    def folder(self) -> Path:
        """Where the run lives."""
        return expanded(self.runs) / self.run_name


_KNOWN = Plan.model_fields.keys() | {"$schema"}


def _middle(hole: Hole | Real) -> float:
    if isinstance(hole, Hole):
        return len(hole.options) // 2
    return (hole.low * hole.high) ** 0.5 if hole.log else (hole.low + hole.high) / 2


def _without_password(storage: str | None) -> str | None:
    if storage is None:
        return None
    from sqlalchemy import make_url  # only who names a storage pays for it
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(storage)
    except (ArgumentError, ValueError):  # what was given is not repeated: it may hold a password
        law = "not a URL such as sqlite:////folder/studies.db or postgresql://user@host:5432/studies"
        raise InvalidSpecError((Fault("storage", law),)) from None
    return url.set(query={}).render_as_string(hide_password=True)  # a query may hold a password too

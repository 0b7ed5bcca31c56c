"""How is a network trained?"""

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field

from cnnsearch.word import Word, tuple_of


class Augmentation(Word):
    """Moves every training image by its own random shift, rotation and scale, drawn anew each epoch; may mirror it."""

    shift: Annotated[float, Field(ge=0, le=64)] = 2.0
    """Pixels: each image moves by up to this much up or down, and left or right."""
    rotation: Annotated[float, Field(ge=0, le=180)] = 10.0
    """Degrees: each image turns by up to this much either way."""
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Fraction: each image grows or shrinks by up to this much."""
    horizontal_flip: bool = False
    """Half of the images are mirrored, left to right: for what looks the same from both sides, unlike digits."""
    until: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of a schedule's steps after which images keep their place, as those will that are classified: the last
    steps fit the network to these (as YOLOX does, Ge et al. 2021, arXiv 2107.08430)."""

    @property
    def idle(self) -> set[str]:
        """Name the fields that have no effect, of those that the first runs did not have, or all."""
        moves = bool(self.shift or self.rotation or self.scale)
        later = {"horizontal_flip": self.horizontal_flip, "until": moves and self.until < 1}
        if not moves and not self.horizontal_flip:
            return set(Augmentation.model_fields)
        return {name for name, has_effect in later.items() if not has_effect}


class Recipe(Word):
    """What decides a training, besides the network, the data and the seed."""

    epochs: Annotated[int, Field(ge=1, le=1000)] = 6
    """Passes over the training images."""
    first_epoch_share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the training images that the first epoch takes: a short one gives a score to judge by sooner."""
    batch_size: Annotated[int, Field(ge=2, le=65_536)] = 128
    """Images a step."""
    optimizer: Literal["adamw", "sgd", "muon"] = "adamw"
    """AdamW (Loshchilov and Hutter 2019), SGD with Nesterov momentum, or Muon (Jordan et al. 2024) for the kernels of
    convolutions with AdamW for all else."""
    learning_rate: Annotated[float, Field(gt=0, le=10)] = 0.01
    """The schedule's highest step size; Muon takes four times as much."""
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.01
    """As torch's optimizers take it; not applied to biases and batch norms."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Of SGD and Muon; AdamW does not use it."""
    schedule: Literal["one-cycle", "cosine"] = "one-cycle"
    """One-cycle (Smith and Topin 2018) warms up first; cosine (Loshchilov and Hutter 2017) only falls."""
    restarts: Annotated[
        tuple[Annotated[int, Field(ge=1)], ...], Field(json_schema_extra={"maxItems": 64}), tuple_of(0, 64)
    ] = ()
    """Epochs after which the schedule begins anew (SGDR, Loshchilov and Hutter 2017), so that the score there is that
    of a whole short training, by which candidates can be compared; the last epoch and later ones have no effect."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Share of each label spread over all classes (Szegedy et al. 2016)."""
    augmentation: Augmentation | None = Augmentation()
    """Random moves of the training images; null for none."""

    @property
    def passes(self) -> tuple[float, ...]:
        """Give the share of the training images that each epoch takes.

        >>> Recipe(epochs=3, first_epoch_share=0.25).passes
        (0.25, 1.0, 1.0)
        """
        return (self.first_epoch_share, *[1.0] * (self.epochs - 1))

    @property
    def cycles(self) -> tuple[int, ...]:
        """Give the epochs of each schedule, one after the other.

        >>> Recipe(epochs=6, restarts=(1, 3)).cycles
        (1, 2, 3)
        """
        ends = sorted({epoch for epoch in self.restarts if epoch < self.epochs} | {self.epochs})
        return tuple(end - start for start, end in pairwise([0, *ends]))

    @property
    def computes(self) -> str:
        """Describe the training by what has an effect: AdamW has no use for `momentum`, and moves of 0 are none."""
        idle = self.augmentation.idle if self.augmentation else set(Augmentation.model_fields)
        is_still = idle == set(Augmentation.model_fields)
        unused = {"restarts": True, "momentum": self.optimizer == "adamw", "augmentation": is_still or idle}
        return f"{self.model_dump_json(exclude=unused)} {self.cycles}"


def drawn(built: Mapping[str, object]) -> str:
    """Write what a search drew for the recipe, from the values of all of a candidate's holes.

    >>> drawn({"head.hidden": "[64]", "recipe.learning_rate": 0.0123456, "recipe.batch_size": 64})
    'learning_rate 0.0123, batch_size 64'
    >>> drawn({"recipe.augmentation": '{"shift": "*"}', "recipe.augmentation.choice[1].shift": 1})
    'augmentation.shift 1'
    """
    own = {
        re.sub(r"\.choice\[\d+\]", "", name.removeprefix("recipe.")): value
        for name, value in built.items()
        if name.startswith("recipe.") and not (isinstance(value, str) and '"*"' in value)  # its own holes say the rest
    }
    return ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in own.items()
    )

"""Where does a training stand after an epoch, and how does it go on from there?"""

# pyright: reportUnknownMemberType=false
# (torch's own annotations have holes)

from collections.abc import Mapping, Sequence
from itertools import count, takewhile
from typing import NamedTuple

import torch
from torch import Tensor, nn

from cnnsearch.optimizers import Optimizer


class Epoch(NamedTuple):
    """What one pass over the training images came to; validation with the weights at its end."""

    epoch: int
    """From 1."""
    loss: float
    """Mean over the training images, label smoothing and augmentation included."""
    validation_accuracy: float
    """A fraction from 0 to 1, computed in fp32."""
    validation_loss: float
    """Mean cross-entropy, without label smoothing."""
    seconds: float


class Snapshot(NamedTuple):
    """Where a training stands."""

    epochs: tuple[Epoch, ...]
    """All so far."""
    tensors: dict[str, Tensor]
    """All that the next step reads: parameters and buffers, and by weight what the optimizers keep of earlier steps."""


def tensors_of(module: nn.Module, optimizers: Sequence[Optimizer]) -> dict[str, Tensor]:
    """Name all that the next step reads; the tensors are those of the training, not copies."""
    names: dict[Tensor, str] = {weight: name for name, weight in module.named_parameters()}
    memory = [(names[weight], parts) for optimizer in optimizers for weight, parts in optimizer.memory.items()]
    kept = {f"{name}/{place}": part for name, parts in memory for place, part in enumerate(parts)}
    return {**module.state_dict(), **kept}


def go_on(module: nn.Module, optimizers: Sequence[Optimizer], tensors: Mapping[str, Tensor]) -> None:
    """Put everything back in its place."""
    module.load_state_dict({name: tensors[name] for name in module.state_dict()})
    names: dict[Tensor, str] = {weight: name for name, weight in module.named_parameters()}
    for optimizer in optimizers:
        for weight in (weight for group in optimizer.groups for weight in group.weights):
            places = takewhile(tensors.__contains__, (f"{names[weight]}/{place}" for place in count()))
            if parts := tuple(_like(weight, tensors[place]) for place in places):
                optimizer.memory[weight] = parts


def _like(weight: Tensor, part: Tensor) -> Tensor:
    """Copy a part to where its weight is, in the order in which the weight lies in memory."""
    if part.shape != weight.shape:
        return part.to(weight.device)
    return torch.empty_like(weight, requires_grad=False).copy_(part)

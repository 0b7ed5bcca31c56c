"""How do AdamW and SGD step? By torch's own fused operators, called without the classes of torch.optim.

Those classes import torch's compiler at their first use, which takes some 40 % of the processor time of a worker's
start. Tests hold the steps to be those of torch.optim, to the last bit.
"""

# pyright: reportPrivateUsage=false, reportPrivateImportUsage=false, reportUnknownMemberType=false
# (the operators are what torch.optim calls; they have no other name)

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Optimizer(ABC):
    """Changes weights by their gradients."""

    groups: Sequence["Group"]
    memory: dict[Tensor, tuple[Tensor, ...]]
    """By weight what is kept of earlier steps; whoever puts it back goes on as if there had been no break."""

    @abstractmethod
    def step(self) -> None:
        """Change every weight that has a gradient, by the rate as it is now."""


class Group(NamedTuple):
    """Weights with the same weight decay."""

    weights: Sequence[Tensor]
    weight_decay: float


class AdamW(Optimizer):
    """AdamW (Loshchilov and Hutter 2019), with torch.optim.AdamW's betas and eps."""

    def __init__(self, groups: Iterable[Group], rate: Tensor) -> None:
        """Read `rate`, a number on the device of the weights, at each step."""
        self.groups, self._rate = tuple(groups), rate
        self.memory = {}

    @torch.no_grad()
    def step(self) -> None:
        """Change every weight that has a gradient."""
        for group in self.groups:
            weights, gradients = with_gradients(group)
            if not weights:
                continue
            states = [self._of(weight) for weight in weights]
            averages, squares, steps = ([state[part] for state in states] for part in range(3))
            torch._foreach_add_(steps, 1)
            torch._fused_adamw_(
                weights, gradients, averages, squares, [], steps, lr=self._rate, beta1=0.9, beta2=0.999,
                weight_decay=group.weight_decay, eps=1e-8, amsgrad=False, maximize=False,
            )  # fmt: skip

    def _of(self, weight: Tensor) -> tuple[Tensor, ...]:
        if weight not in self.memory:
            steps = torch.zeros((), device=weight.device)
            self.memory[weight] = torch.zeros_like(weight), torch.zeros_like(weight), steps
        return self.memory[weight]


class Sgd(Optimizer):
    """SGD with Nesterov momentum, as torch.optim.SGD does it."""

    def __init__(self, groups: Iterable[Group], rate: Tensor, momentum: float) -> None:
        """Read `rate`, a number on the device of the weights, at each step."""
        self.groups, self._rate, self._momentum = tuple(groups), rate, momentum
        self.memory = {}

    @torch.no_grad()
    def step(self) -> None:
        """Change every weight that has a gradient."""
        for group in self.groups:
            weights, gradients = with_gradients(group)
            for weight, gradient in zip(weights, gradients, strict=True):
                first = weight not in self.memory
                if first:
                    self.memory[weight] = (torch.zeros_like(weight),)
                average = list(self.memory[weight]) if self._momentum else []
                torch._fused_sgd_(
                    [weight], [gradient], average, weight_decay=group.weight_decay,
                    momentum=self._momentum, lr=self._rate, dampening=0.0, nesterov=self._momentum > 0,
                    maximize=False, is_first_step=first,
                )  # fmt: skip


def with_gradients(group: Group) -> tuple[list[Tensor], list[Tensor]]:
    """Give the weights of a group that have a gradient, and their gradients."""
    weights = [weight for weight in group.weights if weight.grad is not None]
    return weights, [weight.grad for weight in weights if weight.grad is not None]

"""How does Muon step? After Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks".

Each kernel is seen as a matrix, one row a channel that it makes, and its averaged gradient is replaced by the nearest
matrix whose rows (or columns) stand at right angles and have length 1: no direction is learned slowly for having a
small gradient. In short trainings that is worth much; the figures are in examples/benchmarks/README.md.

torch.optim.Muon takes matrices only and computes in bf16, which is slow on CPUs that have no instructions for it.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# (torch's own annotations have holes)

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

PACE = 4.0  # times the learning rate: so one rate, and one range of it, serves kernels and all else alike
ROUNDS = 4
A, B, C = 3.4445, -4.7750, 2.0315  # the paper's: singular values above 0.05 come close to 1 within these rounds
TINY = 1e-7


class Muon(torch.optim.Optimizer):
    """Steps kernels (channels out, channels in, height, width) by orthogonalised Nesterov momentum."""

    def __init__(self, kernels: Iterable[Tensor], lr: float | Tensor, momentum: float, weight_decay: float) -> None:
        super().__init__(kernels, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] (nothing to return)
        """Change every kernel that has a gradient."""
        assert closure is None, "the loss is not computed again"
        for group in self.param_groups:
            for kernel in group["params"]:
                if kernel.grad is not None:
                    self._step(kernel, kernel.grad, group)

    def _step(self, kernel: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[kernel]
        if not state:
            state["average"] = torch.zeros_like(kernel)
        average = state["average"].lerp_(gradient, 1 - group["momentum"])
        ahead = gradient.lerp(average, group["momentum"])
        matrix_OI = orthogonal(ahead.flatten(start_dim=1))
        rows, columns = matrix_OI.shape
        pace = PACE * group["lr"]
        kernel.mul_(1 - pace * group["weight_decay"])
        kernel.sub_(matrix_OI.reshape(kernel.shape) * (pace * max(1, rows / columns) ** 0.5))


def orthogonal(matrix_OI: Tensor) -> Tensor:
    """Return nearly the closest matrix whose singular values are all 1 (Newton-Schulz, five odd powers a round)."""
    wide = len(matrix_OI) <= matrix_OI.shape[1]
    x = matrix_OI if wide else matrix_OI.T
    x = x / (x.norm() + TINY)
    for _ in range(ROUNDS):
        square = x @ x.T
        x = A * x + (B * square + C * square @ square) @ x
    return x if wide else x.T

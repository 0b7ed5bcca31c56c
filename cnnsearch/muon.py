"""How does Muon step? After Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks".

Each kernel is seen as a matrix, one row a channel that it makes, and its averaged gradient is replaced by the nearest
matrix whose rows (or columns) stand at right angles and have length 1: no direction is learned slowly for having a
small gradient. What that is worth in short trainings: `examples/benchmarks/optimizers.py`.

torch.optim.Muon takes matrices only and computes in bf16, which is slow on CPUs that have no instructions for it.
"""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false
# (torch's own annotations have holes)

import torch
from torch import Tensor

from cnnsearch.optimizers import Group, Optimizer

PACE = 4.0  # times the learning rate: so one rate, and one range of it, serves kernels and all else alike
ROUNDS = 4
A, B, C = 3.4445, -4.7750, 2.0315  # the paper's: singular values above 0.05 come close to 1 within these rounds
TINY = 1e-7


class Muon(Optimizer):
    """Steps kernels (channels out, channels in, height, width) by orthogonalised Nesterov momentum."""

    def __init__(self, kernels: Group, rate: Tensor, momentum: float) -> None:
        """Read `rate`, a number on the device of the kernels, at each step."""
        self.groups, self._rate, self._momentum = (kernels,), rate, momentum
        self.memory = {}

    @torch.no_grad()
    def step(self) -> None:
        """Change every kernel that has a gradient."""
        for group in self.groups:
            for kernel in group.weights:
                if kernel.grad is not None:
                    self._step(kernel, kernel.grad, group.weight_decay)

    def _step(self, kernel: Tensor, gradient: Tensor, weight_decay: float) -> None:
        if kernel not in self.memory:
            self.memory[kernel] = (torch.zeros_like(kernel),)
        average = self.memory[kernel][0].lerp_(gradient, 1 - self._momentum)
        ahead = gradient.lerp(average, self._momentum)
        matrix_OI = orthogonal(ahead.flatten(start_dim=1))
        rows, columns = matrix_OI.shape
        pace = PACE * self._rate
        kernel.mul_(1 - pace * weight_decay)
        kernel.sub_(matrix_OI.reshape(kernel.shape) * (pace * max(1, rows / columns) ** 0.5))


def orthogonal(matrix_OI: Tensor) -> Tensor:
    """Return nearly the closest matrix whose singular values are all 1.

    By Newton and Schulz's iteration, with an odd polynomial of degree five.
    """
    wide = len(matrix_OI) <= matrix_OI.shape[1]
    x = matrix_OI if wide else matrix_OI.T
    x = x / (x.norm() + TINY)
    for _ in range(ROUNDS):
        square = x @ x.T
        polynomial = torch.addmm(square, square, square, beta=B, alpha=C)
        x = torch.addmm(x, polynomial, x, beta=A)
    return x if wide else x.T

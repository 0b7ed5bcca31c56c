"""How does Muon step? After Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks".

Each kernel is seen as a matrix, one row a channel that it makes, and its averaged gradient is replaced by the nearest
matrix whose rows (or columns) stand at right angles and have length 1: no direction is learned slowly for having a
small gradient. What that is worth in short trainings: `examples/benchmarks/optimizers.py`.

torch.optim.Muon takes matrices only and computes in bf16, which is slow on CPUs that have no instructions for it.
"""

# pyright: reportPrivateUsage=false, reportPrivateImportUsage=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false
# (torch's own annotations have holes)

from collections.abc import Sequence

import torch
from torch import Tensor

from cnnsearch.optimizers import Group, Optimizer, with_gradients

PACE = 4.0  # times the learning rate: so one rate, and one range of it, serves kernels and all else alike
ROUNDS = 4
A, B, C = 3.4445, -4.7750, 2.0315  # the paper's: singular values above 0.05 come close to 1 within these rounds
TINY = 1e-7
SPARE = 200_000  # multiply-adds of a product that a CPU computes in the time of starting some more operations


class Muon(Optimizer):
    """Steps kernels (channels out, channels in, height, width) by orthogonalised Nesterov momentum."""

    def __init__(self, kernels: Group, rate: Tensor, momentum: float) -> None:
        """Read `rate`, a number on the device of the kernels, at each step."""
        self.groups, self._rate, self._momentum = (kernels,), rate, momentum
        self.memory = {}
        self._stacks: dict[tuple[int, ...], list[_Stack]] = {}

    @torch.no_grad()
    def step(self) -> None:
        """Change every kernel that has a gradient."""
        for group in self.groups:
            kernels, gradients = with_gradients(group)
            if not kernels:
                continue
            averages = [self._average_of(kernel) for kernel in kernels]
            torch._foreach_lerp_(averages, gradients, 1 - self._momentum)
            ahead = torch._foreach_lerp(gradients, averages, self._momentum)  # noqa: SLF001 (as torch.optim does)
            pace = PACE * self._rate
            torch._foreach_mul_(kernels, 1 - pace * group.weight_decay)
            for stack in self._stacks_of(kernels):
                torch._foreach_copy_(stack.places, [ahead[number] for number in stack.numbers])
                stack.matrices_KOI.copy_(orthogonal(stack.matrices_KOI) * (stack.lengths_K11 * -pace))
                torch._foreach_add_([kernels[number] for number in stack.numbers], stack.places)

    def _average_of(self, kernel: Tensor) -> Tensor:
        if kernel not in self.memory:
            self.memory[kernel] = (torch.zeros_like(kernel),)
        return self.memory[kernel][0]

    def _stacks_of(self, kernels: Sequence[Tensor]) -> "list[_Stack]":
        """Make the stacks once: a step that is replayed has to find them in their place."""
        key = tuple(id(kernel) for kernel in kernels)
        if key not in self._stacks:
            self._stacks[key] = [_Stack(kernels, numbers) for numbers in _stacked(kernels)]
        return self._stacks[key]


class _Stack:
    """Kernels as matrices of one tensor, so that one product serves all: a small one takes longer to start than to do.

    Each lies in the corner of its matrix, on its side if it has more rows than columns. The rest is 0 and stays so.
    """

    def __init__(self, kernels: Sequence[Tensor], numbers: Sequence[int]) -> None:
        self.numbers = numbers
        chosen = [kernels[number] for number in numbers]
        rows, columns = (max(sides) for sides in zip(*(_sides(kernel) for kernel in chosen), strict=True))
        self.matrices_KOI = torch.zeros(len(chosen), rows, columns, device=chosen[0].device)
        self.places = [_place(matrix, kernel) for matrix, kernel in zip(self.matrices_KOI, chosen, strict=True)]
        """The corners, in the kernels' own shapes."""
        lengths = [max(1.0, len(kernel) / kernel[0].numel()) ** 0.5 for kernel in chosen]
        self.lengths_K11 = torch.tensor(lengths, device=self.matrices_KOI.device).view(-1, 1, 1)


def _sides(kernel: Tensor) -> tuple[int, int]:
    """Give the shorter and the longer side of a kernel as a matrix."""
    first, second = sorted((len(kernel), kernel[0].numel()))
    return first, second


def _place(matrix_OI: Tensor, kernel: Tensor) -> Tensor:
    rows, columns = _sides(kernel)
    corner = matrix_OI[:rows, :columns]
    return (corner if rows == len(kernel) else corner.T).unflatten(1, kernel.shape[1:])


def _stacked(kernels: Sequence[Tensor]) -> list[list[int]]:
    """Divide kernels, by their numbers, into stacks; on a CPU so that little is computed for the zeros."""
    stacks: list[list[int]] = []
    for number in sorted(range(len(kernels)), key=lambda number: _sides(kernels[number])):
        if stacks and _spares([kernels[each] for each in (*stacks[-1], number)]):
            stacks[-1].append(number)
        else:
            stacks.append([number])
    return stacks


def _spares(kernels: Sequence[Tensor]) -> bool:
    """Say whether these kernels are better stacked: a GPU has more than enough time for zeros."""
    sides = [_sides(kernel) for kernel in kernels]
    rows, columns = (max(each) for each in zip(*sides, strict=True))
    zeros = len(sides) * rows**2 * columns - sum(rows**2 * columns for rows, columns in sides)
    return kernels[0].device.type != "cpu" or zeros <= SPARE


def orthogonal(matrices_KOI: Tensor) -> Tensor:
    """Return nearly the closest matrices (no longer than wide) whose singular values, but those of 0, are all 1.

    By Newton and Schulz's iteration, with an odd polynomial of degree five.
    """
    x = matrices_KOI / (matrices_KOI.norm(dim=(1, 2), keepdim=True) + TINY)
    for _ in range(ROUNDS):
        square = x @ x.mT
        polynomial = torch.baddbmm(square, square, square, beta=B, alpha=C)
        x = torch.baddbmm(x, polynomial, x, beta=A)
    return x

"""Muon: steps at right angles, as large as they should be."""

import pytest
import torch
from amount import examples
from hypothesis import given
from hypothesis import strategies as st

from cnnsearch.muon import PACE, Muon, orthogonal
from cnnsearch.optimizers import Group


@examples(60)
@given(st.integers(1, 24), st.integers(1, 40), st.integers(0, 1_000))
def test_singular_values_come_close_to_1(rows: int, columns: int, seed: int) -> None:
    drawn_OI = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))
    left, singular, right = torch.linalg.svd(drawn_OI, full_matrices=False)
    given_OI = left @ torch.diag(singular.clamp(min=0.1 * singular.norm())) @ right
    made_OI = orthogonal(given_OI[None])[0]
    found = torch.linalg.svdvals(made_OI)
    assert made_OI.shape == (rows, columns)
    assert 0.6 < found.min() <= found.max() < 1.3
    assert torch.allclose(left.T @ made_OI @ right.T, torch.diag(torch.diagonal(left.T @ made_OI @ right.T)), atol=1e-3)


def test_a_gradient_of_0_moves_nothing() -> None:
    assert orthogonal(torch.zeros(2, 3, 4)).abs().max() == 0


@pytest.mark.parametrize("shape", [(8, 2, 3, 3), (8, 1, 1, 1), (4, 16, 3, 3)])
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_a_step_does_not_depend_on_how_large_the_gradient_is(
    shape: tuple[int, ...], order: torch.memory_format
) -> None:
    kernels = [torch.zeros(shape).to(memory_format=order).requires_grad_() for _ in range(2)]
    gradient = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    for kernel, scale in zip(kernels, (1.0, 1000.0), strict=True):
        kernel.grad = (gradient * scale).to(memory_format=order)
        Muon(Group([kernel], 0.0), torch.tensor(0.01), momentum=0.9).step()
    assert torch.allclose(kernels[0], kernels[1], atol=1e-5)
    rows, columns = shape[0], shape[1] * shape[2] * shape[3]
    expected = 0.01 * PACE * max(rows, columns) ** 0.5 * (min(rows, columns) / columns) ** 0.5
    assert kernels[0].norm().item() == pytest.approx(expected, rel=0.4)


@examples(40)
@given(st.lists(st.tuples(st.integers(1, 80), st.integers(1, 12), st.integers(1, 3)), min_size=2, max_size=5))
def test_kernels_step_together_as_they_would_alone(shapes: list[tuple[int, int, int]]) -> None:
    generator = torch.Generator().manual_seed(0)
    together = [torch.ones(out, into, side, side, requires_grad=True) for out, into, side in shapes]
    alone = [kernel.detach().clone().requires_grad_() for kernel in together]
    optimizers = [Muon(Group(group, 0.1), torch.tensor(0.01), 0.9) for group in (together, *([each] for each in alone))]
    for _ in range(2):
        for kernel, other in zip(together, alone, strict=True):
            kernel.grad = torch.randn(kernel.shape, generator=generator)
            other.grad = kernel.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for kernel, other in zip(together, alone, strict=True):
        torch.testing.assert_close(kernel, other, rtol=1e-3, atol=1e-4)


def test_weight_decay_shrinks_a_kernel() -> None:
    kernel = torch.ones(2, 2, 1, 1, requires_grad=True)
    kernel.grad = torch.zeros_like(kernel)
    Muon(Group([kernel], 0.5), torch.tensor(0.01), momentum=0.9).step()
    assert torch.allclose(kernel, torch.full((2, 2, 1, 1), 1 - 0.01 * PACE * 0.5))


def test_a_kernel_without_a_gradient_is_left_alone() -> None:
    kernel = torch.ones(2, 2, 1, 1, requires_grad=True)
    Muon(Group([kernel], 0.5), torch.tensor(0.01), momentum=0.9).step()
    assert torch.equal(kernel, torch.ones(2, 2, 1, 1))

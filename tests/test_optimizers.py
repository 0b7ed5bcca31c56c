"""AdamW and SGD: torch.optim's steps to the last bit, without what torch.optim imports."""

import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import partial

import pytest
import torch
from torch import Tensor

from cnnsearch.optimizers import AdamW, Group, Optimizer, Sgd

SHAPES = [(4, 3, 3, 3), (10, 5), (7,)]


def weights() -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(shape, generator=generator).requires_grad_() for shape in SHAPES]


def give_gradients(all_weights: Iterable[Tensor], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for weight in all_weights:
        weight.grad = torch.randn(weight.shape, generator=generator)


def groups_of(all_weights: list[Tensor]) -> list[Group]:
    return [Group(all_weights[:2], 0.1), Group(all_weights[2:], 0.0)]


def torchs(all_weights: list[Tensor]) -> list[dict[str, object]]:
    return [{"params": all_weights[:2], "weight_decay": 0.1}, {"params": all_weights[2:], "weight_decay": 0.0}]


@pytest.mark.parametrize(
    ("make", "torchs_make"),
    [
        (AdamW, torch.optim.AdamW),
        (partial(Sgd, momentum=0.9), partial(torch.optim.SGD, momentum=0.9, nesterov=True)),
        (partial(Sgd, momentum=0.0), torch.optim.SGD),
    ],
    ids=["adamw", "sgd", "sgd without momentum"],
)
def test_steps_are_those_of_torch_to_the_last_bit(
    make: Callable[..., Optimizer], torchs_make: Callable[..., torch.optim.Optimizer]
) -> None:
    ours, theirs, rate = weights(), weights(), torch.tensor(0.0, dtype=torch.float64)
    mine, other = make(groups_of(ours), rate), torchs_make(torchs(theirs), lr=rate, fused=True)
    for step in range(1, 6):
        rate.fill_(0.01 / step)
        give_gradients(ours, step)
        give_gradients(theirs, step)
        mine.step()
        other.step()
        assert [torch.equal(*pair) for pair in zip(ours, theirs, strict=True)] == [True] * len(SHAPES)


@pytest.mark.parametrize("make", [AdamW, partial(Sgd, momentum=0.9)])
def test_a_weight_without_a_gradient_is_left_alone(make: Callable[..., Optimizer]) -> None:
    ours = weights()
    ours[0].grad = torch.ones_like(ours[0])
    make(groups_of(ours), torch.tensor(0.1)).step()
    assert not torch.equal(ours[0], weights()[0])
    assert torch.equal(ours[1], weights()[1])
    assert torch.equal(ours[2], weights()[2])


def test_a_training_imports_no_compiler() -> None:
    script = (
        "import sys; from pathlib import Path; import torch; from torch import nn\n"
        "from cnnsearch.data import load; from cnnsearch.recipe import Recipe; from cnnsearch.train import train\n"
        "module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(72, 10))\n"
        "data = load('digits', Path(), torch.device('cpu'))\n"
        "list(train(module, data, Recipe(epochs=1, optimizer='muon'), seed=0))\n"
        "print('torch._dynamo' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=300)
    assert said.stdout == "False\n", said.stderr

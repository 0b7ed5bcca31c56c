"""Norm, ReLU and pool taken together: the same as one after the other, on maps of every kind."""

import copy
from types import ModuleType

import pytest
import torch
from amount import examples
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import layers
from torch import Tensor, nn

from cnnsearch import fused as room
from cnnsearch.blocks import KINDS
from cnnsearch.fused import fused
from cnnsearch.layers import MaxPool
from cnnsearch.module import build, make_layer
from cnnsearch.native import library
from cnnsearch.network import Network
from cnnsearch.shapes import MisfitError, Shape
from cnnsearch.strategies import networks

pytestmark = [
    pytest.mark.skipif(library() is None, reason="no C++ compiler here: layers are torch's own"),
    pytest.mark.usefixtures("one_thread"),
]
CLOSE = {"rtol": 1e-3, "atol": 1e-3}  # of a few pixels only, gradients of a norm are small differences of large numbers


def maps(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    drawn_NCHW = torch.randn(shape, generator=generator) * 3 + 1
    return drawn_NCHW.to(dtype).to(memory_format=torch.channels_last).requires_grad_()


def norm(channels: int, seed: int = 0) -> nn.BatchNorm2d:
    generator = torch.Generator().manual_seed(seed)
    made = nn.BatchNorm2d(channels)
    with torch.no_grad():
        made.weight.copy_(torch.randn(channels, generator=generator))  # negative ones too: then the least is kept
        made.bias.copy_(torch.randn(channels, generator=generator))
    return made


def after(module: nn.Module, maps_NCHW: Tensor) -> dict[str, Tensor]:
    """Give what a module computes, its gradients, and what it remembers."""
    inputs_NCHW = maps_NCHW.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    outputs = module(inputs_NCHW)
    weights = torch.linspace(-1, 2, outputs.numel()).view(outputs.shape).to(outputs.dtype)
    (outputs * weights).sum().backward()
    gradients = {name: parameter.grad for name, parameter in module.named_parameters() if parameter.grad is not None}
    remembered = {f"buffer {number}": buffer.clone() for number, buffer in enumerate(module.buffers())}
    return {"y": outputs.detach(), "x": inputs_NCHW.grad, **gradients, **remembered}


def both(module: nn.Module, maps_NCHW: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Give the same of a module and of its fused form, the names of the latter being the former's."""
    plain = after(copy.deepcopy(module), maps_NCHW)
    return plain, dict(zip(plain, after(fused(copy.deepcopy(module)), maps_NCHW).values(), strict=True))


def uses_compiled(module: nn.Module, maps_NCHW: Tensor) -> bool:
    return "_FunctionBackward" in str(fused(module)(maps_NCHW).grad_fn)


def test_a_class_made_from_torchs_own_computes_as_it_does_itself() -> None:
    class Halved(nn.BatchNorm2d):
        def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's own name)
            return super().forward(input) / 2

    class Lifted(nn.ReLU):
        def forward(self, input: Tensor) -> Tensor:  # noqa: A002
            return super().forward(input) + 1

    for module in (nn.Sequential(Halved(2), nn.ReLU()), nn.Sequential(norm(2), Lifted())):
        plain, other = both(module, maps(3, 2, 4, 4))
        torch.testing.assert_close(other["y"], plain["y"])


@examples(150)
@given(
    shape=st.tuples(st.integers(2, 5), st.integers(1, 24), st.integers(2, 9), st.integers(2, 9)),
    pool=st.one_of(st.none(), layers(MaxPool, 4)),
    seed=st.integers(0, 1_000),
    relu=st.booleans(),
    training=st.booleans(),
)
def test_norm_relu_and_pool_compute_the_same_with_the_same_gradients(
    *, shape: tuple[int, int, int, int], pool: MaxPool | None, seed: int, relu: bool, training: bool
) -> None:
    maps_NCHW, steps = maps(*shape, seed=seed), [norm(shape[1], seed), *([nn.ReLU()] if relu else [])]
    z_NCHW = steps[0](maps_NCHW)
    assume(relu is False or z_NCHW.abs().min() > 1e-3)  # at 0 the last digit decides whether a gradient passes
    module = nn.Sequential(*steps, *with_pool(pool, Shape(*shape[1:]))).train(training)
    plain, ours = both(module, maps_NCHW)
    for name, expected in plain.items():
        torch.testing.assert_close(ours[name], expected, **CLOSE, msg=lambda text, name=name: f"{name}: {text}")


def with_pool(pool: MaxPool | None, shape: Shape) -> list[nn.Module]:
    if pool is None:
        return []
    try:
        pool.out(shape)
    except MisfitError:
        assume(condition=False)
    return [make_layer(pool, shape)]


@pytest.mark.parametrize("pool", [nn.Identity(), nn.MaxPool2d(2)], ids=["alone", "before a pool"])
@pytest.mark.parametrize("channels", [1, 3, 8, 12, 64, 70])
def test_norms_of_any_width_are_compiled(channels: int, pool: nn.Module) -> None:
    module = nn.Sequential(norm(channels), nn.ReLU(), pool)
    assert uses_compiled(copy.deepcopy(module), maps(4, channels, 6, 6))
    plain, ours = both(module, maps(4, channels, 6, 6, seed=1))
    torch.testing.assert_close(ours, plain, **CLOSE)


POOLS = (
    nn.MaxPool2d(3, stride=2, padding=1),
    nn.MaxPool2d(2, ceil_mode=True),
    nn.MaxPool2d(3, padding=1),
    nn.MaxPool2d(2, stride=3),
    nn.MaxPool2d(2, stride=2, dilation=2),
)


@pytest.mark.parametrize("channels", [2, 5, 12, 16, 40])
@pytest.mark.parametrize("pool", POOLS, ids=["lap over", "cover", "cover, padded", "gaps", "interlaced"])
def test_bf16_maps_differ_by_their_last_digit(pool: nn.Module, channels: int) -> None:
    module = nn.Sequential(norm(channels), nn.ReLU(), pool)
    maps_NCHW = maps(8, channels, 9, 9, dtype=torch.bfloat16)
    assert uses_compiled(copy.deepcopy(module), maps_NCHW)
    plain, ours = both(module, maps_NCHW)
    assert ours["y"].dtype == ours["x"].dtype == torch.bfloat16
    torch.testing.assert_close(ours["y"], plain["y"], rtol=0.01, atol=0.02)
    torch.testing.assert_close(ours["buffer 0"], plain["buffer 0"], **CLOSE)
    exact = both(module, maps_NCHW.detach().float().requires_grad_())[1]["x"]  # bf16's ties go elsewhere in torch
    torch.testing.assert_close(ours["x"].float(), exact, rtol=0.02, atol=0.02)


def test_one_number_a_channel_is_torchs_error() -> None:
    with pytest.raises(ValueError, match="Expected more than 1 value per channel when training"):
        fused(nn.Sequential(norm(2), nn.ReLU()))(maps(1, 2, 1, 1))


@pytest.mark.parametrize("pool", [None, nn.MaxPool2d(2)])
def test_what_is_no_number_stays_none(pool: nn.Module | None) -> None:
    maps_NCHW = maps(2, 4, 4, 4).detach()
    maps_NCHW[0, 1, 2, 2] = float("nan")
    module = fused(nn.Sequential(norm(4), nn.ReLU(), *([pool] if pool else [])))
    y_NCHW = module(maps_NCHW.requires_grad_())
    assert y_NCHW[:, 1].isnan().all()
    assert not y_NCHW[:, [0, 2, 3]].isnan().any()


@pytest.mark.parametrize("tap", range(4))
def test_what_is_no_number_stays_none_where_the_norm_is_fixed(tap: int) -> None:
    maps_NCHW = maps(1, 4, 2, 2).detach()
    maps_NCHW[0, 1, tap // 2, tap % 2] = float("nan")
    with torch.inference_mode():
        y_NCHW = fused(nn.Sequential(norm(4), nn.MaxPool2d(2))).eval()(maps_NCHW)
    assert y_NCHW.flatten().isnan().tolist() == [False, True, False, False]


def test_what_is_no_number_stays_none_in_bf16() -> None:
    bits = torch.tensor([0x7FFFFFFF, -1, 0x7FC00000, 0x7F800001], dtype=torch.int64).to(torch.int32)
    maps_NCHW = bits.view(torch.float32).to(torch.bfloat16).view(1, 4, 1, 1).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        y_NCHW = fused(nn.Sequential(norm(4))).eval()(maps_NCHW)
    assert y_NCHW.isnan().all()


def test_a_second_derivative_is_refused() -> None:
    maps_NCHW = maps(2, 4, 3, 3)
    (first,) = torch.autograd.grad(
        fused(nn.Sequential(norm(4)))(maps_NCHW).square().sum(), maps_NCHW, create_graph=True
    )
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


@pytest.mark.filterwarnings("ignore:Using padding=.same. with even kernel")
@examples(60)
@given(network=networks(*KINDS.values()), training=st.booleans())
def test_a_network_of_any_kind_of_block_computes_the_same(*, network: Network, training: bool) -> None:
    torch.manual_seed(0)
    module = build(network).to(memory_format=torch.channels_last).train(training)
    maps_NCHW = maps(3, *network.input.shape)
    torch.manual_seed(1)  # dropout draws
    expected = copy.deepcopy(module)(maps_NCHW)
    torch.manual_seed(1)
    torch.testing.assert_close(fused(module)(maps_NCHW), expected, rtol=1e-3, atol=1e-3)


def test_parameters_and_memory_are_the_modules_own() -> None:
    module = nn.Sequential(nn.Conv2d(1, 2, 3), norm(2), nn.ReLU())
    ours = fused(module)
    assert [id(parameter) for parameter in ours.parameters()] == [id(parameter) for parameter in module.parameters()]
    ours.train()(maps(2, 1, 5, 5))
    assert module[1].num_batches_tracked == 1
    assert module[1].running_mean.abs().sum() > 0


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.Sequential(nn.BatchNorm2d(2, affine=False), nn.ReLU()), (2, 2, 4, 4)),
        (nn.Sequential(nn.BatchNorm2d(2, momentum=None), nn.ReLU()), (2, 2, 4, 4)),
        (nn.Sequential(nn.BatchNorm2d(2, track_running_stats=False)), (2, 2, 4, 4)),
        (nn.Sequential(nn.BatchNorm2d(2), nn.MaxPool2d(17)), (2, 2, 17, 17)),
    ],
    ids=["no weights", "cumulative", "no memory", "a window of 289 taps"],
)
def test_what_is_not_compiled_is_torchs_own(module: nn.Module, shape: tuple[int, ...]) -> None:
    assert not uses_compiled(copy.deepcopy(module), maps(*shape))
    plain, ours = both(module, maps(*shape))
    assert [torch.equal(plain[name], ours[name]) for name in plain] == [True] * len(plain)


@pytest.mark.parametrize(
    ("owner", "name", "answer"),
    [(torch, "get_num_threads", 2), (room, "library", None)],
    ids=["several threads", "no compiler"],
)
def test_without_what_it_needs_all_is_torchs_own(
    owner: ModuleType, name: str, answer: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner, name, lambda: answer)
    plain, ours = both(nn.Sequential(norm(2), nn.ReLU()), maps(2, 2, 4, 4))
    assert [torch.equal(plain[name], ours[name]) for name in plain] == [True] * len(plain)


@pytest.mark.parametrize(
    "maps_NCHW",
    [maps(2, 2, 4, 4).contiguous(), maps(2, 2, 4, 4, dtype=torch.float64)],
    ids=["another order", "another type"],
)
def test_maps_of_another_order_or_type_are_for_torch(maps_NCHW: Tensor) -> None:
    plain, ours = both(nn.Sequential(norm(2), nn.ReLU()).to(maps_NCHW.dtype), maps_NCHW)
    assert [torch.equal(plain[name], ours[name]) for name in plain] == [True] * len(plain)

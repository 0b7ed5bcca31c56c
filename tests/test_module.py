"""The module that is built: its names, its order, and that it computes what it is called."""

import re
from typing import ClassVar, Literal

import pytest
import torch
from amount import examples
from hypothesis import given
from torch import Tensor, nn

from cnnsearch.blocks import KINDS, Block
from cnnsearch.errors import InvalidSpecError
from cnnsearch.flow import Flow, Step
from cnnsearch.layers import Conv, Layer
from cnnsearch.module import Branches, build
from cnnsearch.network import Network
from cnnsearch.shapes import Shape
from cnnsearch.strategies import networks

IMAGE = {"channels": 1, "height": 8, "width": 8}
CONV = {"out_channels": 2, "kernel_size": 3, "padding": 1}


def network_of(*blocks: object, head: object = None) -> Network:
    return Network.model_validate({"input": IMAGE, "blocks": list(blocks), "head": head or {}, "classes": 3})


def learned(network: Network) -> list[str]:
    return [name for name, _ in build(network).named_parameters()]


def test_names_read_like_the_network_in_the_order_of_the_datas_way() -> None:
    network = network_of({"conv": CONV, "maxpool": {"kernel_size": 2}}, {"conv": CONV}, head={"hidden": [4, 5]})
    assert learned(network) == [
        "blocks.0.conv.weight",
        "blocks.0.conv.bias",
        "blocks.0.batchnorm.weight",
        "blocks.0.batchnorm.bias",
        "blocks.1.conv.weight",
        "blocks.1.conv.bias",
        "blocks.1.batchnorm.weight",
        "blocks.1.batchnorm.bias",
        "head.hidden1.weight",
        "head.hidden1.bias",
        "head.hidden2.weight",
        "head.hidden2.bias",
        "head.output.weight",
        "head.output.bias",
    ]


def test_a_residual_block_names_its_branches() -> None:
    conv = {**CONV, "bias": False}
    assert learned(network_of({"kind": "residual", "conv": conv, "batchnorm": None})) == [
        "blocks.0.add.body.conv1.weight",
        "blocks.0.add.body.conv2.weight",
        "blocks.0.add.shortcut.conv.weight",
        "head.output.weight",
        "head.output.bias",
    ]


def test_a_separable_block_names_its_halves() -> None:
    conv = {**CONV, "bias": False}
    assert learned(network_of({"kind": "separable", "conv": conv, "batchnorm": None}))[:2] == [
        "blocks.0.depthwise.weight",
        "blocks.0.pointwise.weight",
    ]


def test_layers_that_are_null_are_left_out() -> None:
    module = build(network_of({"conv": CONV, "batchnorm": None, "relu": None}, head={"pool": None}))
    assert [name for name, _ in module.named_modules() if name.count(".") >= 1] == [
        "blocks.0", "blocks.0.conv", "head.flatten", "head.output",
    ]  # fmt: skip


def test_branches_add_what_they_make() -> None:
    twice = Branches({"a": nn.Identity(), "b": nn.Identity(), "c": nn.Identity()})
    assert torch.equal(twice(torch.ones(1, 1, 2, 2)), torch.full((1, 1, 2, 2), 3.0))


def test_the_same_seed_gives_the_same_weights() -> None:
    network = network_of({"conv": CONV})
    first, second = (torch.manual_seed(7) and build(network).state_dict() for _ in range(2))
    assert [torch.equal(first[key], second[key]) for key in first] == [True] * len(first)


def test_pools_and_dropout_of_the_head_are_torchs_own() -> None:
    module = build(network_of({"conv": CONV}, head={"pool": "max", "hidden": [4], "dropout": 0.25}))
    kinds = [type(part).__name__ for part in module.get_submodule("head").children()]
    assert kinds == ["AdaptiveMaxPool2d", "Flatten", "Linear", "ReLU", "Dropout", "Linear"]
    assert module.get_submodule("head.dropout").p == 0.25


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@examples(20)
@given(networks(*KINDS.values()))
def test_relu_in_place_changes_no_result(network: Network) -> None:
    text = network.model_dump_json()
    plain = build(Network.model_validate_json(re.sub('"inplace":true', '"inplace":false', text)))
    module = build(network)
    module.load_state_dict(plain.state_dict())
    images_NCHW = torch.rand(2, *network.input.shape)
    assert torch.equal(module.eval()(images_NCHW), plain.eval()(images_NCHW))


# Layers of one's own


class Own(Layer):
    """An instance norm; its promises are kept, or those of its subclasses are not."""

    torch_class: ClassVar[str] = "torch.nn:InstanceNorm2d"

    def out(self, shape: Shape) -> Shape:
        return shape

    def tensors(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        return {"weight": (shape.channels,), "bias": (shape.channels,)}

    def arguments(self, shape: Shape) -> dict[str, object]:
        return {"num_features": shape.channels, "affine": True}


class Forgetful(Own):
    def tensors(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        return {"weight": (shape.channels,)}


class Flattering(Own):
    def out(self, shape: Shape) -> Shape:
        return shape._replace(height=1)


class Nameless(Own):
    torch_class: ClassVar[str] = "torch.nn:Nope"


class Misled(Own):
    def arguments(self, shape: Shape) -> dict[str, object]:
        return {"channels": shape.channels}


class Flat(Own):
    torch_class: ClassVar[str] = "torch.nn:Flatten"

    def arguments(self, shape: Shape) -> dict[str, object]:
        _ = shape
        return {"start_dim": 2}


class OfOwn(Block):
    """A convolution, then a layer of one's own."""

    kind: Literal["of own"] = "of own"
    layer: ClassVar[Layer] = Own()

    def flow(self, shape: Shape) -> Flow:
        _ = shape
        return (Step("conv", Conv(out_channels=2, kernel_size=(1, 1))), Step("own", self.layer))


class Dice(Own):
    """A layer whose module draws random numbers, and counts how often it was used."""

    torch_class: ClassVar[str] = f"{__name__}:DiceModule"

    def tensors(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        _ = shape
        return {}

    def arguments(self, shape: Shape) -> dict[str, object]:
        _ = shape
        return {}


class DiceModule(nn.Module):
    used = 0

    def forward(self, maps_NCHW: Tensor) -> Tensor:
        self.used += 1
        return maps_NCHW + torch.rand_like(maps_NCHW)


def test_the_trial_run_of_a_layer_of_ones_own_draws_no_numbers_and_leaves_no_trace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(KINDS, "of own", OfOwn)
    monkeypatch.setattr(OfOwn, "layer", Dice())
    torch.manual_seed(7)
    module = build(network_of({"kind": "of own"}, head={"pool": "average"}))
    (own,) = [part for part in module.modules() if isinstance(part, DiceModule)]
    assert (own.used, own.training) == (0, True)
    torch.manual_seed(7)
    nn.Conv2d(1, 2, 1)
    assert torch.equal(module.state_dict()["head.output.weight"], nn.Linear(2, 3).weight), "drawn behind the layer"


@pytest.mark.parametrize(
    ("layer", "law"),
    [
        (
            Forgetful(),
            ("its module torch.nn:InstanceNorm2d learns {'weight': (2,), 'bias': (2,)}, and its `tensors` promises"
             " {'weight': (2,)}; make them agree"),
        ),
        (
            Flattering(),
            "its module torch.nn:InstanceNorm2d makes 2x8x8 of 2x8x8, and its `out` promises 2x1x8; make them agree",
        ),
        (
            Nameless(),
            ("its module torch.nn:Nope cannot be made or run for a 2x8x8 map (AttributeError: module 'torch.nn' has no"
             " attribute 'Nope')"),
        ),
        (
            Flat(),
            ("its module torch.nn:Flatten cannot be made or run for a 2x8x8 map (ValueError: a map has the axes N, C, H"
             " and W, logits N and K, and what it gives has 3 axes)"),
        ),
        (
            Misled(),
            ("its module torch.nn:InstanceNorm2d cannot be made or run for a 2x8x8 map (TypeError:"
             " InstanceNorm2d.__init__() got an unexpected keyword argument 'channels')"),
        ),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_a_layer_of_ones_own_that_breaks_its_promises_is_refused_at_its_place(
    layer: Layer, law: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KINDS, "of own", OfOwn)
    monkeypatch.setattr(OfOwn, "layer", layer)
    with pytest.raises(InvalidSpecError) as caught:
        build(network_of({"conv": CONV}, {"kind": "of own"}))
    assert str(caught.value).replace("_InstanceNorm._", "InstanceNorm2d._") == f"blocks[1].own: {law}"

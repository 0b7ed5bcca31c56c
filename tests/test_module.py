"""The module that is built: its names, its order, and that it computes what it is called."""

import re

import pytest
import torch
from amount import examples
from hypothesis import given
from torch import nn

from cnnsearch.blocks import KINDS
from cnnsearch.module import Branches, build
from cnnsearch.network import Network
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

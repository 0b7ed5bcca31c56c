"""What each layer refuses, what it computes, and what it is to torch."""

from importlib import import_module
from inspect import signature

import pytest
from amount import examples
from hypothesis import given
from hypothesis import strategies as st

from cnnsearch.errors import InvalidSpecError
from cnnsearch.layers import BatchNorm, Conv, Dropout, Flatten, Layer, Linear, MaxPool, ReLU
from cnnsearch.network import Network
from cnnsearch.shapes import MisfitError, Shape

TORCHS_OWN = [Conv, BatchNorm, ReLU, MaxPool]
NOT_OURS = {"in_channels", "num_features", "device", "dtype", "return_indices", "bias"}


@pytest.mark.parametrize("layer", TORCHS_OWN)
def test_fields_and_defaults_are_torchs_own(layer: type[Layer]) -> None:
    module, _, name = layer.torch_class.partition(":")
    theirs = {key: p.default for key, p in signature(getattr(import_module(module), name)).parameters.items()}
    ours = {key: field.get_default() for key, field in layer.model_fields.items() if not field.is_required()}
    as_pairs = {1: (1, 1), 0: (0, 0)}
    pairs = {"stride", "padding", "dilation"}
    assert ours == {key: as_pairs.get(theirs[key], theirs[key]) if key in pairs else theirs[key] for key in ours}
    assert set(layer.model_fields) | NOT_OURS >= set(theirs)


def faults_of(block: object) -> list[str]:
    image = {"channels": 4, "height": 8, "width": 8}
    with pytest.raises(InvalidSpecError) as caught:
        Network.model_validate({"input": image, "blocks": [block], "classes": 10})
    return [str(fault) for fault in caught.value.faults]


def conv(**fields: object) -> dict[str, object]:
    return {"conv": {"out_channels": 4, "kernel_size": 3, **fields}}


PAIR = "must be a whole number or a [height, width] pair of them, not"
WHOLE = "input should be a valid integer, not"


@pytest.mark.parametrize(
    ("block", "fault"),
    [
        (conv(out_channels="3"), f"blocks[0].conv.out_channels: {WHOLE} '3'; write it without quotation marks"),
        (conv(out_channels=True), f"blocks[0].conv.out_channels: {WHOLE} True"),
        (conv(out_channels=2.5), f"blocks[0].conv.out_channels: {WHOLE} 2.5"),
        (conv(out_channels=0), "blocks[0].conv.out_channels: input should be greater than or equal to 1, not 0"),
        (
            conv(out_channels=10**9),
            "blocks[0].conv.out_channels: input should be less than or equal to 4096, not 1000000000",
        ),
        (conv(kernel_size="3"), f"blocks[0].conv.kernel_size: {PAIR} '3'; write it without quotation marks"),
        (conv(kernel_size=True), f"blocks[0].conv.kernel_size: {PAIR} True"),
        (conv(kernel_size=2.5), f"blocks[0].conv.kernel_size: {PAIR} 2.5"),
        (conv(kernel_size=[3]), f"blocks[0].conv.kernel_size: {PAIR} [3]"),
        (conv(kernel_size=[3, 3, 3]), f"blocks[0].conv.kernel_size: {PAIR} [3, 3, 3]"),
        (conv(kernel_size=None), f"blocks[0].conv.kernel_size: {PAIR} None"),
        (conv(kernel_size=[3, 0]), "blocks[0].conv.kernel_size: must be from 1 to 1024, not [3, 0]"),
        (conv(kernel_size=1025), "blocks[0].conv.kernel_size: must be from 1 to 1024, not 1025"),
        (conv(stride=0), "blocks[0].conv.stride: must be from 1 to 1024, not 0"),
        (conv(dilation=-1), "blocks[0].conv.dilation: must be from 1 to 1024, not -1"),
        (conv(padding=-1), "blocks[0].conv.padding: must be from 0 to 1024, not -1"),
        (
            conv(padding="full"),
            "blocks[0].conv.padding: must be 'same', 'valid', a whole number or a [height, width] pair, not 'full'",
        ),
        (conv(bias=1), "blocks[0].conv.bias: input should be a valid boolean, not 1; perhaps you meant true"),
        (
            conv(padding_mode="mirror"),
            "blocks[0].conv.padding_mode: input should be 'zeros', 'reflect', 'replicate' or 'circular', not 'mirror'",
        ),
        (
            {**conv(), "batchnorm": False},
            "blocks[0].batchnorm: must be a mapping such as {eps: ...}, not False; null leaves it out",
        ),
        (conv(groups=0), "blocks[0].conv.groups: input should be greater than or equal to 1, not 0"),
        (
            conv(in_channels=3),
            "blocks[0].conv.in_channels: unknown key; it follows from what comes before; leave it out",
        ),
        (conv(kernal=3), "blocks[0].conv.kernal: unknown key; is it misspelt, or does it belong elsewhere?"),
        (conv(**{"": 3}), "blocks[0].conv.'': unknown key; is it misspelt, or does it belong elsewhere?"),
        ({"conv": {"out_channels": 4}}, "blocks[0].conv.kernel_size: missing; this key must be given"),
        (
            conv(padding="same", stride=[1, 2]),
            (
                "blocks[0].conv.padding: 'same' keeps the map's size, so stride must be 1, not 1x2;"
                " pad odd kernels by dilation * (kernel_size - 1)/2, or leave stride at 1"
            ),
        ),
        (
            conv(groups=3),
            "blocks[0].conv.groups: 3 groups do not divide the input's 4 channels; choose a divisor of both, or 1",
        ),
        (
            conv(groups=4, out_channels=6),
            "blocks[0].conv.groups: 4 groups do not divide the output's 6 channels; choose a divisor of both, or 1",
        ),
        (
            conv(padding=8, padding_mode="reflect"),
            "blocks[0].conv.padding_mode: 'reflect' can pad a 8x8 map by 7, not 8; pad less, or use 'zeros'",
        ),
        (
            conv(padding=9, padding_mode="circular"),
            "blocks[0].conv.padding_mode: 'circular' can pad a 8x8 map by 8, not 9; pad less, or use 'zeros'",
        ),
        (
            conv(kernel_size=9),
            (
                "blocks[0].conv.kernel_size: window 9 is wider than its 8x8 input"
                " (floor((8 + 2*0 - 1*(9-1) - 1)/1) + 1 = 0); make its kernel smaller or pool less before it"
            ),
        ),
        (
            {**conv(), "maxpool": {"kernel_size": 3, "padding": [1, 2]}},
            (
                "blocks[0].maxpool.padding: padding 2 is more than half of kernel_size 3;"
                " at most 1 fits, or a larger kernel"
            ),
        ),
        (
            {**conv(kernel_size=8), "maxpool": {"kernel_size": 6, "padding": 3, "dilation": 2, "ceil_mode": True}},
            (
                "blocks[0].maxpool.dilation: taps 2 apart from a padding of 3 on step over all 1 pixels of the map;"
                " leave dilation at 1, or pad less"
            ),
        ),
        ({**conv(), "maxpool": {}}, "blocks[0].maxpool.kernel_size: missing; this key must be given"),
        (
            {**conv(), "maxpool": {"kernel_size": 2, "ceil_mode": "yes"}},
            "blocks[0].maxpool.ceil_mode: input should be a valid boolean, not 'yes'; perhaps you meant true",
        ),
        ({**conv(), "batchnorm": {"eps": 0}}, "blocks[0].batchnorm.eps: input should be greater than 0, not 0"),
        (
            {**conv(), "batchnorm": {"momentum": 2}},
            "blocks[0].batchnorm.momentum: input should be less than or equal to 1, not 2",
        ),
        (
            {**conv(), "batchnorm": {"eps": float("nan")}},
            "blocks[0].batchnorm.eps: input should be a finite number, not nan",
        ),
        (
            {**conv(), "relu": {"inplace": 0}},
            "blocks[0].relu.inplace: input should be a valid boolean, not 0; perhaps you meant false",
        ),
        (
            {**conv(), "relu": True},
            "blocks[0].relu: must be a mapping such as {inplace: ...}, not True",
        ),
    ],
    ids=str,
)
def test_a_fault_has_its_place_its_law_and_its_numbers(block: object, fault: str) -> None:
    assert faults_of(block) == [fault]


def test_all_faults_are_told_at_once() -> None:
    assert faults_of(conv(stride=0, bias="no")) == [
        "blocks[0].conv.stride: must be from 1 to 1024, not 0",
        "blocks[0].conv.bias: input should be a valid boolean, not 'no'; perhaps you meant false",
    ]


def test_a_long_value_is_cut_in_an_error() -> None:
    assert faults_of(conv(kernel_size=[1] * 100_000)) == [f"blocks[0].conv.kernel_size: {PAIR} [1, 1, 1, 1, 1, 1, ...]"]
    assert faults_of(conv(kernel_size=10**5000)) == [
        "blocks[0].conv.kernel_size: must be from 1 to 1024, not a number of thousands of digits"
    ]


@examples(100)
@given(st.integers(1, 9), st.integers(1, 9))
def test_a_pair_of_equals_is_written_as_one_number(height: int, width: int) -> None:
    written = Conv(out_channels=1, kernel_size=(height, width)).model_dump(mode="json")["kernel_size"]
    assert written in ([height, width], height)
    assert (written == height) == (height == width)


SHAPE = Shape(4, 8, 8)


def same(first: dict[str, object], second: dict[str, object], layer: type[Layer], shape: Shape = SHAPE) -> bool:
    return layer.model_validate(first).computes(shape) == layer.model_validate(second).computes(shape)


C3 = {"out_channels": 4, "kernel_size": 3}
C1 = {"out_channels": 4, "kernel_size": 1}


@pytest.mark.parametrize(
    ("layer", "first", "second"),
    [
        (MaxPool, {"kernel_size": 2}, {"kernel_size": [2, 2], "stride": 2, "ceil_mode": True}),
        (MaxPool, {"kernel_size": 8}, {"kernel_size": 8, "stride": 3}),
        (MaxPool, {"kernel_size": [2, 1]}, {"kernel_size": [2, 1], "dilation": [1, 5]}),
        (ReLU, {}, {"inplace": True}),
        (Conv, C3, {**C3, "padding": "valid"}),
        (Conv, {**C3, "padding": "same"}, {**C3, "padding": 1}),
        (Conv, {**C3, "padding": "same", "dilation": 2}, {**C3, "padding": 2, "dilation": 2}),
        (Conv, C1, {**C1, "dilation": 7}),
        (Conv, C3, {**C3, "padding_mode": "circular"}),
        (Conv, {"out_channels": 4, "kernel_size": 8}, {"out_channels": 4, "kernel_size": 8, "stride": 5}),
    ],
    ids=str,
)
def test_what_computes_the_same_is_described_the_same(
    layer: type[Layer], first: dict[str, object], second: dict[str, object]
) -> None:
    assert same(first, second, layer)


@pytest.mark.parametrize(
    ("layer", "first", "second"),
    [
        (MaxPool, {"kernel_size": 2}, {"kernel_size": 2, "stride": 1}),
        (MaxPool, {"kernel_size": 3}, {"kernel_size": 3, "ceil_mode": True}),
        (MaxPool, {"kernel_size": 3}, {"kernel_size": 3, "padding": 1}),
        (Conv, C3, {**C3, "bias": False}),
        (Conv, C3, {**C3, "groups": 2}),
        (Conv, C3, {**C3, "stride": 2}),
        (Conv, C3, {**C3, "dilation": 2}),
        (Conv, {**C3, "padding": 1}, {**C3, "padding": 1, "padding_mode": "reflect"}),
        (Conv, {**C3, "kernel_size": 2, "padding": "same"}, {**C3, "kernel_size": 2, "padding": 1}),
        (BatchNorm, {}, {"eps": 1e-3}),
        (BatchNorm, {}, {"affine": False}),
        (Dropout, {"p": 0.1}, {"p": 0.2}),
    ],
    ids=str,
)
def test_what_computes_something_else_is_described_otherwise(
    layer: type[Layer], first: dict[str, object], second: dict[str, object]
) -> None:
    assert not same(first, second, layer)


def test_layers_without_effect_compute_nothing() -> None:
    assert Dropout(p=0.0).computes(SHAPE) is None
    assert MaxPool(kernel_size=(1, 1)).computes(SHAPE) is None


def test_momentum_without_running_statistics_has_no_effect() -> None:
    assert same({"track_running_stats": False}, {"track_running_stats": False, "momentum": 0.5}, BatchNorm)


def test_flat_layers_lay_out_and_multiply() -> None:
    assert Flatten().out(Shape(2, 3, 4)) == Shape(24, 1, 1)
    assert Linear(out_features=5).tensors(Shape(2, 3, 4)) == {"weight": (5, 24), "bias": (5,)}
    assert Linear(out_features=5).macs(Shape(2, 3, 4)) == 120


def test_a_layer_by_itself_says_which_field_misfits() -> None:
    with pytest.raises(MisfitError, match=r"^groups: 2 groups do not divide the input's 3 channels"):
        Conv(out_channels=4, kernel_size=(1, 1), groups=2).out(Shape(3, 8, 8))

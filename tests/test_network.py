"""Whole networks: totals, fingerprints, reading and writing, refusals and bombs."""

import json

import pytest
from amount import examples
from hypothesis import given
from ruamel.yaml import YAML

from cnnsearch.blocks import KINDS, Block
from cnnsearch.errors import Fault, InvalidSpecError
from cnnsearch.flow import Flow, Step, Sum
from cnnsearch.layers import Conv, Layer
from cnnsearch.network import MOST_BLOCKS, Network
from cnnsearch.shapes import Shape
from cnnsearch.strategies import networks
from cnnsearch.text import Plain, read_yaml

CONV = {"out_channels": 4, "kernel_size": 3, "padding": 1}
PLAIN: Plain = {"conv": CONV}


def written(*blocks: Plain, size: int = 8, channels: int = 4, **others: Plain) -> dict[str, Plain]:
    image = {"channels": channels, "height": size, "width": size}
    return {"input": image, "blocks": list(blocks), "classes": 10, **others}


def network_of(*blocks: Plain, size: int = 8, channels: int = 4, **others: Plain) -> Network:
    return Network.model_validate(written(*blocks, size=size, channels=channels, **others))


def faults_of(data: Plain) -> list[str]:
    with pytest.raises(InvalidSpecError) as caught:
        Network.model_validate(data)
    return [str(fault) for fault in caught.value.faults]


def test_the_example_of_the_design_is_read() -> None:
    text = """{"$schema": "network.schema.json",
      "input": {"channels": 1, "height": 28, "width": 28},
      "blocks": [
        {"conv": {"out_channels": 16, "kernel_size": 3, "padding": "same"},
         "batchnorm": {}, "relu": {"inplace": true}, "maxpool": {"kernel_size": 2}},
        {"conv": {"out_channels": 32, "kernel_size": [3, 5], "stride": 1, "padding": [1, 2]},
         "maxpool": {"kernel_size": 3, "stride": 2, "padding": 1, "dilation": 1, "ceil_mode": true}}
      ],
      "head": {"pool": "average", "hidden": [64], "dropout": 0.1}, "classes": 10}"""
    network = Network.model_validate_json(text)
    assert network.shapes == (Shape(16, 14, 14), Shape(32, 8, 8))
    assert network.cost.parameters == (9 * 16 + 16 + 32) + (15 * 16 * 32 + 32 + 64) + (32 * 64 + 64) + (64 * 10 + 10)
    assert str(network) == "16p 32(3x5)p, average 64, dropout 0.1"


def test_the_rows_name_every_layer_on_the_datas_way() -> None:
    network = network_of({**PLAIN, "maxpool": {"kernel_size": 2}}, {"kind": "residual", "conv": CONV})
    rows = [(row.place, row.kind, str(row.shape_in), str(row.shape)) for row in network.layers]
    assert rows[:5] == [
        ("blocks[0].conv", "Conv", "4x8x8", "4x8x8"),
        ("blocks[0].batchnorm", "BatchNorm", "4x8x8", "4x8x8"),
        ("blocks[0].relu", "ReLU", "4x8x8", "4x8x8"),
        ("blocks[0].maxpool", "MaxPool", "4x8x8", "4x4x4"),
        ("blocks[1].add.body.conv1", "Conv", "4x4x4", "4x4x4"),
    ]
    assert rows[9:] == [
        ("blocks[1].add", "Sum", "4x4x4", "4x4x4"),
        ("blocks[1].relu", "ReLU", "4x4x4", "4x4x4"),
        ("head.pool", "GlobalAveragePool", "4x4x4", "4x1x1"),
        ("head.flatten", "Flatten", "4x1x1", "4x1x1"),
        ("head.output", "Linear", "4x1x1", "10x1x1"),
    ]


def test_a_network_is_told_in_short() -> None:
    network = network_of(PLAIN, {"kind": "separable", "conv": {**CONV, "kernel_size": 5}}, head={"pool": None})
    assert str(network) == "4 s4(5x5), flat"


# Reading and writing


@examples(50)
@given(networks(*KINDS.values()))
def test_yaml_is_read_back_as_it_was_written(network: Network) -> None:
    from io import StringIO

    text = StringIO()
    YAML(typ="safe", pure=True).dump(json.loads(network.to_json()), text)
    assert Network.model_validate(read_yaml(text.getvalue())) == network


def test_what_equals_its_default_is_not_written_but_a_kind_is() -> None:
    network = network_of({**PLAIN, "batchnorm": {"eps": 1e-5}}, {"kind": "separable", "conv": CONV, "relu": None})
    assert json.loads(network.to_json()) == written(PLAIN, {"kind": "separable", "conv": CONV, "relu": None})


def test_a_network_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        network_of(PLAIN).classes = 3  # type: ignore[misc]


def test_bytes_are_read_as_text_is() -> None:
    assert Network.model_validate_json(json.dumps(written(PLAIN)).encode()) == network_of(PLAIN)


@pytest.mark.parametrize(
    ("data", "faults"),
    [
        ([], ["must be a mapping such as {input: ...}, not []"]),
        (
            {},
            [f"{key}: missing; this key must be given" for key in ("input", "blocks", "classes")],
        ),
        (written(), ["blocks: must have from 1 to 64 items, not 0"]),
        (written(PLAIN, clases=3), ["clases: unknown key; perhaps you meant 'classes'"]),
        (written(PLAIN, classes=1), ["classes: input should be greater than or equal to 2, not 1"]),
        (written(3), ['blocks[0]: a block is an object such as {"conv": {...}}, not 3']),
        (
            written({"kind": "magic"}),
            [
                ("blocks[0].kind: 'magic' is no registered kind of block (known: plain, residual, separable);"
                " import the module that registers it first (--import, or `imports` in a plan file)")
            ],
        ),
        (
            written({"kind": 7}),
            [
                ("blocks[0].kind: 7 is no registered kind of block (known: plain, residual, separable);"
                " import the module that registers it first (--import, or `imports` in a plan file)")
            ],
        ),
        (written({}), ["blocks[0].conv: missing; this key must be given"]),
        (
            written(PLAIN, head={"pool": "mean", "hidden": [0], "dropout": 1, "classes": 3}),
            [
                "head.pool: input should be 'average' or 'max', not 'mean'",
                "head.hidden[0]: input should be greater than or equal to 1, not 0",
                "head.dropout: input should be less than 1, not 1",
                "head.classes: unknown key; known here: pool, hidden, dropout",
            ],
        ),
        (
            written(PLAIN, head={"hidden": [1] * 9}),
            ["head.hidden: must have from 0 to 8 items, not 9"],
        ),
        (
            written(PLAIN, PLAIN, {"conv": {**CONV, "kernel_size": 11}}),
            [
                ("blocks[2].conv.kernel_size: window 11 is wider than its 8x8 input padded by 1x1"
                " (floor((8 + 2*1 - 1*(11-1) - 1)/1) + 1 = 0); make its kernel smaller or pool less before it")
            ],
        ),
        (
            written(*[{**PLAIN, "maxpool": {"kernel_size": 2}}] * 3, {**PLAIN, "maxpool": {"kernel_size": 4}}, size=16),
            [
                ("blocks[3].maxpool.kernel_size: window 4 is wider than its 2x2 input"
                " (floor((2 + 2*0 - 1*(4-1) - 1)/4) + 1 = 0); drop this pool or pool less before it")
            ],
        ),
        (
            written({"kind": "residual", "conv": {**CONV, "kernel_size": 5}}),
            [
                ("blocks[0].conv.padding: maps of different shape cannot be added (body 4x4, shortcut 8x8);"
                " pad odd kernels by dilation * (kernel_size - 1)/2, or let the padding be 'same' at stride 1")
            ],
        ),
        (
            written({"kind": "residual", "conv": {**CONV, "kernel_size": 9, "padding": 0}, "preactivation": True}),
            [
                ("blocks[0].conv.kernel_size: window 9 is wider than its 8x8 input"
                " (floor((8 + 2*0 - 1*(9-1) - 1)/1) + 1 = 0); make its kernel smaller or pool less before it")
            ],
        ),
        (
            written(
                {
                    "kind": "residual", "conv": CONV, "preactivation": True,
                    "batchnorm": None, "relu": {"inplace": True},
                }
            ),
            [
                ("blocks[0].relu.inplace: the first layer of the branch 'body' works in place on a map that the branch"
                " 'shortcut' still needs; set it to false")
            ],
        ),
        (
            written({"kind": "separable", "conv": {**CONV, "groups": 2}}),
            ["blocks[0].conv.groups: a separable block sets groups itself: leave it out, or 1, not 2"],
        ),
    ],
    ids=str,
)  # fmt: skip
def test_a_network_that_cannot_be_is_refused_with_its_places(data: Plain, faults: list[str]) -> None:
    assert faults_of(data) == faults


def test_text_is_refused_as_data_is() -> None:
    with pytest.raises(InvalidSpecError, match=r"^classes: this key stands twice in one object; keep one of them$"):
        Network.model_validate_json('{"classes": 2, "classes": 3}')


def test_an_error_keeps_its_faults_for_programs() -> None:
    with pytest.raises(InvalidSpecError) as caught:
        Network.model_validate(written({"conv": {**CONV, "stride": 0}}, size=0))
    assert caught.value.faults == (
        Fault("input.height", "input should be greater than or equal to 1, not 0"),
        Fault("input.width", "input should be greater than or equal to 1, not 0"),
        Fault("blocks[0].conv.stride", "must be from 1 to 1024, not 0"),
    )
    assert caught.value.under("start[1]").faults[0].place == "start[1].input.height"


def test_only_the_first_faults_are_told() -> None:
    with pytest.raises(InvalidSpecError) as caught:
        Network.model_validate(written(PLAIN, **{f"key{number}": 1 for number in range(50)}))
    assert len(caught.value.faults) == 50
    assert str(caught.value).splitlines()[19:] == [
        "key19: unknown key; known here: input, blocks, head, classes",
        "... and 30 more",
    ]


# Bombs: refused by integers alone, before anything is made


WIDE = {"conv": {"out_channels": 4096, "kernel_size": 1}}


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (
            written({"conv": {"out_channels": 10**9, "kernel_size": 3}}),
            "blocks[0].conv.out_channels: input should be less than or equal to 4096, not 1000000000",
        ),
        (
            written({"conv": {"out_channels": 10**4000, "kernel_size": 3}}),
            (
                "blocks[0].conv.out_channels: input should be less than or equal to 4096, not"
                " 100000000000000000...0000000000000000000"
            ),
        ),
        (written(*[PLAIN] * (MOST_BLOCKS + 1)), "blocks: must have from 1 to 64 items, not 65"),
        (written(*[3] * 10**6), "blocks: must have from 1 to 64 items, not 1000000"),
        (
            written(*[WIDE] * 64),
            (
                "blocks: parameters 1,057,808,394 exceeds the library's limit of 1,000,000,000;"
                " use fewer channels or pool earlier"
            ),
        ),
        (
            written(WIDE, WIDE, WIDE, size=256),
            (
                "blocks: macs 2,200,097,038,336 exceeds the library's limit of 1,000,000,000,000;"
                " use fewer channels or pool earlier"
            ),
        ),
        (
            written({"conv": {**CONV, "out_channels": 512}}, size=4096, channels=1),
            (
                "blocks: activation_bytes 68,719,476,736 exceeds the library's limit of 17,179,869,184;"
                " use fewer channels or pool earlier"
            ),
        ),
        (
            written(PLAIN, head={"hidden": [65536] * 3}),
            "blocks: parameters 8,591,048,",
        ),
    ],
    ids=["channels", "digits", "blocks", "million blocks", "parameters", "macs", "activations", "matrices"],
)
def test_bombs_are_refused_before_anything_is_made(data: Plain, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    walked: list[Layer] = []
    out = Conv.out
    monkeypatch.setattr(Conv, "out", lambda conv, shape: (walked.append(conv), out(conv, shape))[1])
    assert [text[: len(fault)] for text in faults_of(data)] == [fault]
    assert len(walked) <= 4 * MOST_BLOCKS


def test_pricing_a_network_needs_no_more_than_one_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    walked: list[Layer] = []
    out = Conv.out
    monkeypatch.setattr(Conv, "out", lambda conv, shape: (walked.append(conv), out(conv, shape))[1])
    network = network_of(*[PLAIN] * 64)
    before = len(walked)
    assert (network.cost.parameters, len(network.shapes), network.fingerprint != "") == (64 * 156 + 50, 64, True)
    assert len(walked) == before


# What it computes


def fingerprint(*blocks: Plain, **others: Plain) -> str:
    return network_of(*blocks, **others).fingerprint


C1 = {"out_channels": 4, "kernel_size": 1}
SAME = [
    ({"conv": {**CONV, "padding": "same"}}, PLAIN),
    ({"conv": {**CONV, "padding": 0}}, {"conv": {**CONV, "padding": "valid"}}),
    ({"conv": {**C1, "dilation": 9}}, {"conv": C1}),
    ({"conv": {**C1, "padding_mode": "reflect"}}, {"conv": C1}),
    ({**PLAIN, "relu": {"inplace": True}}, PLAIN),
    ({**PLAIN, "batchnorm": {"eps": 1e-5, "momentum": 0.1}}, PLAIN),
    ({**PLAIN, "maxpool": {"kernel_size": 2}}, {**PLAIN, "maxpool": {"kernel_size": [2, 2], "stride": [2, 2]}}),
    ({**PLAIN, "maxpool": {"kernel_size": 2}}, {**PLAIN, "maxpool": {"kernel_size": 2, "ceil_mode": True}}),
    ({**PLAIN, "maxpool": {"kernel_size": 8}}, {**PLAIN, "maxpool": {"kernel_size": 8, "stride": 3}}),
    ({**PLAIN, "maxpool": {"kernel_size": 1}}, PLAIN),
    ({**PLAIN, "kind": "plain"}, PLAIN),
    ({"kind": "residual", "conv": {**CONV, "padding": "same"}}, {"kind": "residual", "conv": CONV}),
]


@pytest.mark.parametrize(("first", "second"), SAME, ids=str)
def test_the_fingerprint_is_equal_for_equal_computations(first: Plain, second: Plain) -> None:
    assert fingerprint(first) == fingerprint(second)
    assert fingerprint(first, PLAIN) == fingerprint(second, PLAIN)


OTHERS = [
    PLAIN,
    {"conv": {**CONV, "bias": False}},
    {"conv": {**CONV, "stride": 2}},
    {"conv": {**CONV, "out_channels": 8}},
    {"conv": {**CONV, "padding": 0}},
    {"conv": {**CONV, "groups": 2}},
    {"conv": {**CONV, "padding_mode": "circular"}},
    {"conv": {**CONV, "dilation": 2, "padding": 2}},
    {**PLAIN, "relu": None},
    {**PLAIN, "batchnorm": None},
    {**PLAIN, "batchnorm": {"momentum": None}},
    {**PLAIN, "maxpool": {"kernel_size": 2}},
    {**PLAIN, "maxpool": {"kernel_size": 2, "stride": 1}},
    {**PLAIN, "maxpool": {"kernel_size": [2, 1]}},
    {"kind": "residual", "conv": CONV},
    {"kind": "residual", "conv": CONV, "preactivation": True},
    {"kind": "residual", "conv": {**CONV, "out_channels": 8}},
    {"kind": "separable", "conv": CONV},
]


def test_the_fingerprint_differs_for_different_computations() -> None:
    found = [fingerprint(block) for block in OTHERS]
    found += [fingerprint(PLAIN, PLAIN), fingerprint(PLAIN, classes=3), fingerprint(PLAIN, channels=3)]
    heads = [{"pool": "max"}, {"pool": None}, {"hidden": [4]}, {"hidden": [4, 4]}, {"dropout": 0.5}]
    found += [fingerprint(PLAIN, head=head) for head in heads]
    assert len(set(found)) == len(found)


def test_on_a_single_pixel_pools_compute_nothing() -> None:
    one_pixel = {"conv": {"out_channels": 4, "kernel_size": 8}}
    assert len({fingerprint(one_pixel, head={"pool": pool}) for pool in ("average", "max", None)}) == 1


def test_how_layers_are_put_into_blocks_makes_no_difference() -> None:
    bare = {"batchnorm": None, "relu": None}
    depthwise = {"conv": {**CONV, "groups": 4}, **bare}
    assert fingerprint({"kind": "separable", "conv": CONV, **bare}) == fingerprint(depthwise, {"conv": C1, **bare})


@examples(50)
@given(networks(*KINDS.values()))
def test_the_fingerprint_is_sixteen_hexadecimal_digits(network: Network) -> None:
    assert len(network.fingerprint) == len(f"{int(network.fingerprint, 16):016x}") == 16


# Kinds of one's own


class Wider(Block):
    """Makes so many channels more that a layer becomes impossible."""

    kind: str = "wider"
    times: int = 2000

    def flow(self, shape: Shape) -> Flow:
        return (Step("conv", Conv(out_channels=shape.channels * self.times, kernel_size=(1, 1))),)


def test_a_layer_that_cannot_be_is_refused_at_its_block() -> None:
    assert faults_of(written(PLAIN, Wider())) == [
        (
            "blocks[1]: its flow for a 4x8x8 map has an impossible Conv"
            " (out_channels: input should be less than or equal to 4096, not 8000)"
        )
    ]


def test_sums_with_other_branches_compute_something_else() -> None:
    class Adds(Block):
        kind: str = "adds"
        branches: int = 2

        def flow(self, shape: Shape) -> Flow:
            branches = tuple((str(number), ()) for number in range(self.branches))
            return (Step("add", Sum(branches)), Step("conv", Conv(out_channels=shape.channels, kernel_size=(1, 1))))

    assert fingerprint(Adds()) != fingerprint(Adds(branches=3))

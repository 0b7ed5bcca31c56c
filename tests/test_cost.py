"""Costs against independent oracles: the maps alive by brute force, the field of view by following a NaN."""

from typing import NamedTuple

import pytest
import torch
from amount import examples
from hypothesis import assume, given
from hypothesis import strategies as st

from cnnsearch.blocks import KINDS
from cnnsearch.cost import Cost, total
from cnnsearch.flow import Flow, Step, Sum, first_sight, walk
from cnnsearch.layers import Conv, Dropout, ReLU
from cnnsearch.module import build
from cnnsearch.network import Network
from cnnsearch.shapes import MisfitError, Shape
from cnnsearch.strategies import networks

KEEPS = Conv(out_channels=2, kernel_size=(3, 3), padding=(1, 1))


def network_of(*blocks: object, size: int = 4, head: object = None) -> Network:
    image = {"channels": 1, "height": size, "width": size}
    return Network.model_validate({"input": image, "blocks": list(blocks), "head": head or {}, "classes": 2})


# The maps alive at once


class Op(NamedTuple):
    reads: frozenset[int]
    makes: int


def spell_out(flow: Flow, shape: Shape, held: int, sizes: list[int], ops: list[Op]) -> tuple[int, Shape]:
    """Write a flow as operations on numbered buffers; give the buffer and shape at its end."""
    for step in flow:
        if isinstance(step.what, Sum):
            ends = [spell_out(branch, shape, held, sizes, ops) for _, branch in step.what.branches]
            shape, reads, is_new = ends[0][1], frozenset(end for end, _ in ends), True
        else:
            shape, reads = step.what.out(shape), frozenset({held})
            is_new = not step.what.in_place() and type(step.what).__name__ not in {"Flatten", "Dropout"}
        held = len(sizes) if is_new else held
        sizes += [4 * shape.numbers] * is_new
        ops.append(Op(reads, held))
    return held, shape


def most_alive(flow: Flow, shape: Shape) -> int:
    """Add up, for each operation, the buffers made before it that it or a later one reads, and its own."""
    sizes, ops = [4 * shape.numbers], list[Op]()
    spell_out(flow, shape, 0, sizes, ops)
    alive = []
    for at, op in enumerate(ops):
        made = {0, *(earlier.makes for earlier in ops[:at])}
        read = {number for later in ops[at:] for number in later.reads}
        alive.append(sum(sizes[number] for number in (made & read) | {op.makes}))
    return max(alive)


steps = st.deferred(lambda: st.one_of(plain_steps, plain_steps, sums))
plain_steps = st.builds(
    Step, st.just("step"), st.sampled_from([KEEPS, ReLU(), ReLU(inplace=True), Dropout(p=0.5)])
)  # fmt: skip
flows = st.lists(steps, max_size=3).map(tuple)
sums = st.lists(flows, min_size=2, max_size=3).map(
    lambda branches: Step("add", Sum(tuple((str(number), branch) for number, branch in enumerate(branches))))
)


@examples(120)
@given(st.lists(steps, min_size=1, max_size=4).map(tuple))
def test_the_most_bytes_alive_equal_brute_force(flow: Flow) -> None:
    shape = Shape(2, 3, 3)
    try:
        rows, _ = walk(flow, first_sight(shape), "blocks[0]")
    except MisfitError as error:
        assume("inplace" not in error.field)
        raise
    assert total(rows).activation_bytes == most_alive(flow, shape)


@examples(50)
@given(networks(*KINDS.values()))
def test_the_most_bytes_alive_of_whole_networks_equal_brute_force(network: Network) -> None:
    whole: list[Step] = []
    shape = network.input.shape
    for block, after in zip(network.blocks, network.shapes, strict=True):
        whole += block.flow(shape)
        shape = after
    assert network.cost.activation_bytes == most_alive((*whole, *network.head.flow(2)), network.input.shape)


CONV = {"out_channels": 2, "kernel_size": 3, "padding": 1}


@pytest.mark.parametrize(
    ("block", "head", "numbers"),
    [
        ({"conv": CONV}, {}, 32 + 32),  # batch norm: 2x4x4 in, 2x4x4 out
        ({"conv": CONV, "batchnorm": None, "relu": {"inplace": True}}, {}, 16 + 32),
        ({"conv": CONV, "batchnorm": None, "relu": {"inplace": True}}, {"pool": None, "dropout": 0.5}, 16 + 32),
        ({"conv": CONV, "batchnorm": None, "relu": None}, {"pool": None, "hidden": [30]}, 32 + 30),
        ({"kind": "residual", "conv": CONV}, {}, 16 + 32 + 32 + 32 - 16),  # the sum: both branches and itself
        ({"kind": "separable", "conv": CONV}, {}, 32 + 32),
    ],
)
def test_the_most_bytes_alive_are_as_reckoned_by_hand(block: object, head: object, numbers: int) -> None:
    assert network_of(block, head=head).cost.activation_bytes == 4 * numbers


def test_a_first_layer_in_place_behind_a_view_is_refused() -> None:
    body: Flow = (Step("drop", Dropout()), Step("relu", ReLU(inplace=True)))
    flow: Flow = (Step("add", Sum((("body", body), ("shortcut", ())))),)
    with pytest.raises(MisfitError) as caught:
        walk(flow, first_sight(Shape(1, 2, 2)), "blocks[3]")
    assert str(caught.value) == (
        "blocks[3].relu.inplace: the first layer of the branch 'body' works in place on a map that the branch"
        " 'shortcut' still needs; set it to false"
    )


# The other columns


def test_no_rows_cost_nothing() -> None:
    assert total([]) == Cost(0, 0, 0, 0, 0)


def test_a_small_network_costs_what_one_reckons_by_hand() -> None:
    cost = network_of({"conv": CONV}, head={"hidden": [5]}).cost
    conv, norm, hidden, output = 2 * 9 + 2, 2 + 2, 2 * 5 + 5, 5 * 2 + 2
    assert cost.parameters == conv + norm + hidden + output
    assert cost.weight_bytes == 4 * cost.parameters
    assert cost.weight_bytes_int8 == (18 + 10 + 10) + 4 * (2 + 4 + 5 + 2)
    assert cost.macs == 2 * 9 * 16 + 2 * 5 + 5 * 2


@examples(50)
@given(networks(*KINDS.values()))
def test_int8_bytes_equal_one_for_each_number_of_a_matrix_or_kernel(network: Network) -> None:
    parameters = list(build(network).parameters())
    assert network.cost.weight_bytes_int8 == sum(p.numel() * [4, 1][p.dim() > 1] for p in parameters)


# The field of view

SIZE = 25


def seen_by_each_layer(network: Network) -> dict[str, list[int]]:
    """Put a NaN in one pixel after the other; give the widest patch, by rows and by columns, that spoils one number."""
    module = build(network).double().eval()
    channels, height, width = network.input.shape
    pixels_NCHW = torch.zeros(height * width, channels, height * width, dtype=torch.float64)
    pixels_NCHW[torch.arange(height * width), :, torch.arange(height * width)] = torch.nan
    found: dict[str, list[int]] = {}
    for name, part in module.named_modules():
        part.register_forward_hook(
            lambda _, __, out_NCHW, name=name: found.update({name: widest(out_NCHW, height, width)})
        )
    module(pixels_NCHW.view(-1, channels, height, width))
    return found


def widest(out_NCHW: torch.Tensor, height: int, width: int) -> list[int]:
    numbers = out_NCHW if out_NCHW.dim() == 2 else out_NCHW.sum(1)  # all maps of a layer look alike; a NaN stays one
    spoilt = numbers.flatten(1).isnan().T.view(-1, height, width)
    return [extent(spoilt.any(2)), extent(spoilt.any(1))]


def extent(touched: torch.Tensor) -> int:
    """Give the most cells from the first to the last that is touched."""
    first = touched.int().argmax(1)
    last = touched.shape[1] - touched.flip(1).int().argmax(1)
    return int(((last - first) * touched.any(1)).max())


def seen_as_promised(network: Network) -> list[tuple[str, list[int], list[int]]]:
    text = network.model_dump_json()
    assume("circular" not in text)  # which looks at the other edge
    assume('"track_running_stats":false' not in text)  # which looks at other images
    seen = seen_by_each_layer(network)
    name = str.maketrans({"[": ".", "]": None})
    return [(row.place, seen[row.place.translate(name)], list(row.receptive_field)) for row in network.layers]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@examples(40)
@given(networks(*KINDS.values()))
def test_no_number_depends_on_more_than_its_receptive_field(network: Network) -> None:
    assert [row for row in seen_as_promised(network) if row[1][0] > row[2][0] or row[1][1] > row[2][1]] == []


small_blocks = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["plain", "residual", "separable"]),
        "conv": st.fixed_dictionaries(
            {"out_channels": st.just(1), "kernel_size": st.sampled_from([1, 3, [3, 1], [1, 3]])},
            optional={"dilation": st.sampled_from([[1, 2], 2]), "padding": st.just("same")},
        ),
        "maxpool": st.sampled_from([None, {"kernel_size": 2}, {"kernel_size": [3, 1], "stride": [2, 1]}]),
    }
)


@examples(25)
@given(st.lists(small_blocks, min_size=1, max_size=2))
def test_far_from_the_edges_a_number_depends_on_its_whole_receptive_field(blocks: list[object]) -> None:
    try:
        network = network_of(*blocks, size=SIZE)
    except ValueError:
        assume(condition=False)
        raise
    rows = [row for row in seen_as_promised(network) if row[0].startswith("blocks")]
    assume(max(max(promised) for _, _, promised in rows) <= SIZE // 2)
    assert [row for row in rows if row[1] != row[2]] == []

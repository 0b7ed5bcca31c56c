"""The look ahead against brute force: an option is masked exactly when nothing behind it can fit."""

import random
from typing import Any, Literal, cast

import pytest
from amount import examples
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import small_spaces

from cnnsearch import fit
from cnnsearch.blocks import KINDS, Block, Plain, Residual, register
from cnnsearch.errors import InvalidSpecError
from cnnsearch.fit import LookAhead, lists_of
from cnnsearch.flow import Flow, Step
from cnnsearch.holes import Map, count_fillings, fillings, to_plain
from cnnsearch.layers import Conv, MaxPool
from cnnsearch.network import Network
from cnnsearch.parse import read
from cnnsearch.shapes import MisfitError, Shape
from cnnsearch.space import Space, uniformly
from cnnsearch.text import Plain as Data

MOST = 250  # fillings that are tried one by one


def fits(filled: object) -> bool:
    try:
        Network.model_validate(to_plain(filled))  # type: ignore[arg-type]
    except InvalidSpecError:
        return False
    return True


@examples(80)
@given(small_spaces)
def test_the_look_ahead_says_what_trying_every_filling_says(data: Data) -> None:
    tree = read(data)
    assume(count_fillings(tree) <= MOST)
    assert isinstance(tree, Map)
    assert LookAhead(tree).can_fit(tree) == any(fits(filled) for filled, _ in fillings(tree))


@examples(40)
@given(small_spaces)
def test_one_look_ahead_answers_for_every_partly_filled_space(data: Data) -> None:
    tree = read(data)
    assume(count_fillings(tree) <= MOST)
    assert isinstance(tree, Map)
    ahead = LookAhead(tree)
    filled = [filled for filled, _ in fillings(tree)]
    assert [ahead.can_fit(whole) for whole in filled] == [fits(whole) for whole in filled]


IMAGE = {"channels": 4, "height": 8, "width": 8}


def written(*blocks: Data, **others: Data) -> dict[str, Data]:
    return {"input": IMAGE, "blocks": list(blocks), "classes": 10, **others}


POOL = {"conv": {"out_channels": 4, "kernel_size": 1}, "maxpool": {"kernel_size": 2}}


def refusal(data: Data) -> str:
    with pytest.raises(InvalidSpecError) as caught:
        Space(data)
    return str(caught.value)


def test_a_space_in_which_nothing_fits_is_refused_where_it_gets_furthest() -> None:
    last = {**POOL, "maxpool": {"kernel_size": {"choice": [2, 3]}}}
    assert refusal(written({"repeat": 3, "block": POOL}, last)) == (
        "blocks: no filling of the holes fits; the one that gets furthest fails at blocks[3].maxpool.kernel_size of"
        " what it builds: window 2 is wider than its 1x1 input (floor((1 + 2*0 - 1*(2-1) - 1)/2) + 1 = 0);"
        " drop this pool or pool less before it"
    )


def test_a_space_without_holes_that_does_not_fit_speaks_of_none() -> None:
    assert refusal(written(*[POOL] * 4)) == (
        "blocks: do not fit at blocks[3].maxpool.kernel_size of what it builds: window 2 is wider than its 1x1 input"
        " (floor((1 + 2*0 - 1*(2-1) - 1)/2) + 1 = 0); drop this pool or pool less before it"
    )


def test_laws_between_fields_that_no_filling_keeps_are_told_at_their_place() -> None:
    conv = {"out_channels": 4, "kernel_size": 3, "padding": "same", "stride": {"choice": [2, 3]}}
    assert refusal(written({"conv": conv})).startswith(
        "blocks: no filling of the holes fits; the one that gets furthest fails at blocks[0].conv.padding of what it"
        " builds: 'same' keeps"
    )


def test_more_fillings_of_a_block_than_can_be_searched_are_refused() -> None:
    many = {"int": [1, 200]}
    block = {"conv": {"out_channels": 4, "kernel_size": [many, many]}, "maxpool": {"kernel_size": 1, "stride": many}}
    assert refusal(written(POOL, {"repeat": 2, "block": block})) == (
        "blocks[1]: 8,000,000 fillings decide over the size of one map, more than the 20,000 that can be searched;"
        " leave fewer fields open"
    )
    image = {"channels": 1, "height": {"int": [1, 2000]}, "width": {"int": [1, 2000]}}
    assert refusal({**written(POOL), "input": image}).startswith("input: 4,000,000 fillings decide over the size")


def test_fields_that_decide_over_no_size_may_be_open_without_end() -> None:
    wide = {"int": [1, 4096]}
    block = {
        "conv": {"out_channels": wide, "kernel_size": 3, "bias": {"choice": [True, False]}},
        "batchnorm": {"momentum": {"choice": [None, 0.1, 0.2]}, "eps": {"float": [1e-6, 1e-3], "log": True}},
    }
    assert len(Space(written(block, block)).holes) == 8


def test_a_list_that_may_become_too_long_is_cut_and_one_that_must_is_refused() -> None:
    block = {"conv": {"out_channels": 4, "kernel_size": 1}}
    repeat = {"repeat": {"choice": [40, 20]}, "block": block}
    space = Space(written({"repeat": {"choice": [20, 40]}, "block": block}, repeat))
    drawn = space.draw(lambda hole: len(hole.options) - 1)  # type: ignore[union-attr]
    assert len(drawn.network.blocks) <= 64
    too_long = refusal(written({"repeat": {"choice": [1, 40]}, "block": block}, *[block] * 64))
    assert too_long == "blocks: 65 blocks and repeats are more than 64; leave some out"
    assert refusal({**written(), "blocks": {"choice": [[block], [block] * 65]}}) == (
        "blocks.choice[1]: must have from 1 to 64 items, not 65"
    )
    assert refusal(written(block, *[{"repeat": 0, "block": block}] * 64)) == (
        "blocks: 65 blocks and repeats are more than 64; leave some out"
    )


@pytest.mark.parametrize("counts", [[{"choice": [40, 1]}] * 2, [{"int": [40, 41]}, {"choice": [41, 2]}]], ids=str)
def test_the_order_of_options_decides_over_no_list(counts: list[Data]) -> None:
    block = {"conv": {"out_channels": 4, "kernel_size": 1}}
    space = Space(written(*({"repeat": count, "block": block} for count in counts)))
    lengths = {len(space.draw(uniformly(random.Random(seed))).network.blocks) for seed in range(20)}
    assert max(lengths) <= 64
    assert refusal(written(*[{"repeat": {"choice": [40, 41]}, "block": block}] * 2)) == (
        "blocks: no filling of the holes fits; the one that gets furthest fails: more than 64 blocks; repeat less"
    )


@pytest.mark.parametrize("count", [{"int": [0, 2]}, {"choice": [2, 0]}], ids=str)
def test_each_of_two_repeats_may_be_empty_and_not_both(count: Data) -> None:
    space = Space(written(*[{"repeat": count, "block": POOL}] * 2))
    lengths = {len(space.draw(uniformly(random.Random(seed))).network.blocks) for seed in range(40)}
    assert 0 < min(lengths) <= 2
    assert refusal(written(*[{"repeat": {"choice": [0]}, "block": POOL}] * 2)) == (
        "blocks: no filling of the holes fits; the one that gets furthest fails: there are no blocks"
    )


def test_what_is_remembered_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    block = {"conv": {"out_channels": 4, "kernel_size": {"int": [1, 7]}, "stride": {"int": [1, 3]}}}
    free, bounded = Space(written(*[block] * 4)), Space(written(*[block] * 4))
    before = [free.draw(uniformly(random.Random(seed))).built for seed in range(30)]
    assert _remembered(free) > 300
    monkeypatch.setattr(fit, "MOST_REMEMBERED", 50)
    assert [bounded.draw(uniformly(random.Random(seed))).built for seed in range(30)] == before
    assert _remembered(bounded) < 300


def _remembered(space: Space) -> int:
    return sum(len(vars(space.ahead)[name]) for name in ("_fits_from", "_out", "_bare"))


def test_repeats_may_stand_in_repeats_but_not_without_end() -> None:
    block = {"conv": {"out_channels": 4, "kernel_size": 3, "padding": "same"}}
    twice = {"repeat": {"int": [1, 1]}, "block": {"repeat": {"int": [1, 2]}, "block": block}}
    space = Space(written(*[twice] * 64), {"parameters": 10**6, "macs": 10**9})
    assert len(space.draw(lambda _: 0).network.blocks) == 64
    assert refusal(written({"repeat": 1, "block": twice})) == (
        "blocks[0].block.block: repeats may stand 2 deep, and this one is 3 deep;"
        " multiply how often by hand, or write the blocks out"
    )


def test_a_list_that_may_become_empty_never_does() -> None:
    space = Space(written({"repeat": {"choice": [1, 0]}, "block": POOL}))
    assert [len(space.draw(lambda _, i=index: i).network.blocks) for index in (0, 1)] == [1, 1]


def test_lists_in_holes_in_holes_have_their_chances() -> None:
    tree = read({"choice": [[1], {"choice": [[2], [3]]}]})
    assert [(to_plain(row), chance) for row, chance in lists_of(tree)] == [([1], 0.5), ([2], 0.25), ([3], 0.25)]


class Narrow(Plain):
    """A kind of one's own, which fits only maps of up to four channels and reads `bias` in its own way."""

    kind: str = "narrow"

    needs_channels = True

    def flow(self, shape: Shape) -> Flow:
        if shape.channels > 4:
            raise MisfitError("conv", "too many channels")
        pool = MaxPool(kernel_size=(2, 2) if self.conv.bias else (1, 1))
        return (Step("conv", Conv(out_channels=self.conv.out_channels, kernel_size=(1, 1))), Step("maxpool", pool))


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "narrow", Narrow)


counts = st.sampled_from([2, 4, 8])


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("channels", [[8, 16], [4, 8], [8, 2]])
def test_a_kind_of_ones_own_may_depend_on_channels_and_on_any_field(channels: list[int]) -> None:
    first = {"conv": {"out_channels": {"choice": channels}, "kernel_size": 1}}
    own = {"kind": "narrow", "conv": {"out_channels": 4, "kernel_size": 1, "bias": {"choice": [True, False]}}}
    tree = read({**written(first, own), "input": {"channels": 1, "height": 1, "width": 1}})
    assert isinstance(tree, Map)
    ahead = LookAhead(tree)
    filled = [filled for filled, _ in fillings(tree)]
    assert [ahead.can_fit(whole) for whole in filled] == [fits(whole) for whole in filled]
    assert ahead.can_fit(tree) == any(fits(whole) for whole in filled)


def test_a_layer_of_ones_own_kind_that_cannot_be_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    class Doubles(Block):
        kind: str = "doubles"
        times: int = 1

        def flow(self, shape: Shape) -> Flow:
            return (Step("conv", Conv(out_channels=shape.channels * self.times, kernel_size=(1, 1))),)

    monkeypatch.setitem(KINDS, "doubles", Doubles)
    space = Space(written({"kind": "doubles", "times": {"choice": [2, 5000]}}))
    assert [space.draw(lambda _, i=index: i).network.shapes[-1].channels for index in (0, 1)] == [8, 8]


def test_a_kind_needs_a_name_of_its_own() -> None:
    class Nameless(Block):
        def flow(self, shape: Shape) -> Flow:
            _ = shape
            return ()

    with pytest.raises(TypeError, match=r"^Nameless needs a field `kind: Literal\['name'\] = 'name'` to be told apart"):
        register(Nameless)

    class Empty(Block):
        kind: Literal["empty"] = "empty"

    with pytest.raises(TypeError, match=r"^Empty has no method flow\(self, shape\), which gives its layers; write it$"):
        register(Empty)
    with pytest.raises(TypeError, match=r"^3 is no kind of block: derive a class from cnnsearch.Block$"):
        register(cast("Any", 3))

    class Taken(Nameless):
        kind: str = "plain"

    with pytest.raises(ValueError, match=r"^kind 'plain' is Plain already; choose another name$"):
        register(Taken)

    class Impostor(Residual):
        pass

    Impostor.__qualname__ = "Residual"
    with pytest.raises(ValueError, match=r"^kind 'residual' is Residual already; choose another name$"):
        register(Impostor)
    assert register(Residual) is KINDS["residual"] is Residual

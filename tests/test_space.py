"""Drawing from spaces: never in vain, every fitting network in reach, under names that do not change."""

import random
from collections import Counter

import pytest
from amount import MORE, examples
from hypothesis import assume, given
from strategies import small_spaces

from cnnsearch.blocks import KINDS
from cnnsearch.errors import InvalidSpecError
from cnnsearch.holes import Hole, Real, count_fillings, fillings, to_plain
from cnnsearch.network import Network
from cnnsearch.parse import read
from cnnsearch.space import Space, uniformly
from cnnsearch.strategies import networks
from cnnsearch.text import Plain

MOST = 200  # fillings that are tried one by one


def space_or_nothing(data: Plain) -> Space:
    try:
        return Space(data)
    except InvalidSpecError as error:
        assume(all(fault.scope == "field" for fault in error.faults))
        assume(condition=False)
        raise


def every_network(space: Space) -> set[str]:
    found: set[str] = set()
    for filled, _ in fillings(space.tree):
        try:
            found.add(Network.model_validate(to_plain(filled)).model_dump_json())
        except InvalidSpecError:
            continue
    return found


@examples(60)
@given(small_spaces)
def test_every_draw_fits_and_every_network_that_fits_is_reached(data: Plain) -> None:
    assume(count_fillings(read(data)) <= MOST)
    space = space_or_nothing(data)
    reached: set[str] = set()
    names = [hole.name for hole in space.holes]

    def walk(indices: dict[str, int]) -> None:
        drawn = space.draw(lambda hole: indices.get(hole.name, 0))
        assert list(drawn.asked) == names
        reached.add(drawn.network.model_dump_json())
        deeper = [hole for hole in space.holes if hole.name in drawn.built and hole.name not in indices]
        for index in range(len(deeper[0].options) if deeper else 0):
            walk({**indices, deeper[0].name: index})

    walk({})
    assert reached == every_network(space)


HARSH: dict[str, Plain] = {
    "input": {"channels": 1, "height": 28, "width": 20},
    "blocks": [
        {
            "repeat": {"int": [3, 8]},
            "block": {
                "kind": {"choice": ["plain", "residual", "separable"]},
                "conv": {
                    "out_channels": {"choice": [8, 16, 32]},
                    "kernel_size": {"choice": [1, 3, 5, [7, 3]]},
                    "padding": {"choice": [0, 1, "same"]},
                    "stride": {"choice": [1, 2]},
                },
                "maxpool": {
                    "choice": [
                        None,
                        {"kernel_size": {"int": [2, 4]}, "stride": {"choice": [None, 2]}, "padding": {"int": [0, 1]}},
                    ]
                },
            },
        }
    ],
    "head": {"pool": {"choice": ["average", "max", None]}, "hidden": [{"repeat": {"int": [0, 2]}, "block": 16}]},
    "classes": 10,
}


def test_no_draw_of_a_harsh_space_is_in_vain_and_all_ask_the_same() -> None:
    space = Space(HARSH)
    suggest = uniformly(random.Random(0))
    drawn = [space.draw(suggest) for _ in range(150 * MORE)]
    assert {tuple(each.asked) for each in drawn} == {tuple(hole.name for hole in space.holes)}
    assert {len(each.network.blocks) for each in drawn} >= {3, 4, 5}
    blind = sum(space.draw_blindly(suggest) is None for _ in range(300))
    assert blind > 200, "the space is not as harsh as it should be"


def test_what_was_built_stands_under_the_holes_that_were_used() -> None:
    space = Space(HARSH)
    drawn = space.draw(lambda hole: 0 if isinstance(hole, Real) else len(hole.options) - 1)
    depth = drawn.built["blocks[0].repeat"]
    assert depth == len(drawn.network.blocks)
    used = Counter(name.partition("]")[0] for name in drawn.built if name.startswith("blocks[0].block["))
    assert sum(name.endswith(".conv.out_channels") for name in drawn.built) == depth
    assert list(used) == ["blocks[0"]
    assert drawn.asked["blocks[0].repeat"] == 5


def test_order_is_kept_when_options_are_masked() -> None:
    space = Space(
        {
            "input": {"channels": 1, "height": 6, "width": 6},
            "blocks": [{"conv": {"out_channels": 1, "kernel_size": {"choice": [9, 1, 3, 8, 5, 7, 2]}}}],
            "classes": 2,
        }
    )
    sizes = [space.draw(lambda _, i=index: i).built["blocks[0].conv.kernel_size"] for index in range(7)]
    assert sizes == [1, 1, 3, 3, 5, 5, 2]


@examples(30)
@given(networks(*KINDS.values()))
def test_a_network_without_holes_is_a_space_of_one(network: Network) -> None:
    space = Space(network.model_dump(mode="json"))
    drawn = space.draw(lambda _: 0)
    assert (space.holes, drawn.network, drawn.asked, drawn.built) == ([], network, {}, {})


def one_hole(data: Plain) -> Hole | Real:
    hole = read(data)
    assert isinstance(hole, Hole | Real)
    return hole


@pytest.mark.parametrize(
    ("data", "values"),
    [
        ({"int": [1, 4]}, {0, 1, 2, 3}),
        ({"int": [1, 4], "log": True}, {0, 1, 2, 3}),
        ({"int": [5, 7], "log": True}, {0, 1, 2}),
        ({"choice": ["a", "b"]}, {0, 1}),
    ],
)
def test_uniform_draws_reach_every_option(data: Plain, values: set[int]) -> None:
    suggest = uniformly(random.Random(0))
    assert {suggest(one_hole(data)) for _ in range(300)} == values


def test_log_ranges_give_each_factor_the_same_chance() -> None:
    suggest = uniformly(random.Random(0))
    real = one_hole({"float": [1e-4, 1.0], "log": True})
    drawn = [suggest(real) for _ in range(2000)]
    assert all(1e-4 <= value <= 1 for value in drawn)
    assert 800 < sum(value < 1e-2 for value in drawn) < 1200
    whole = one_hole({"int": [1, 1023], "log": True})
    assert 800 < sum(suggest(whole) + 1 < 32 for _ in range(2000)) < 1200


def test_no_draw_leaves_its_range_by_a_last_digit() -> None:
    suggest = uniformly(random.Random(0))
    for end in (0.1, 3.0, 10.0, 1e5):
        assert suggest(one_hole({"float": [end, end], "log": True})) == end


def test_a_plain_range_of_reals_is_drawn_between_its_ends() -> None:
    suggest = uniformly(random.Random(0))
    drawn = [suggest(one_hole({"float": [0.25, 0.5]})) for _ in range(200)]
    assert all(0.25 <= value <= 0.5 for value in drawn)
    assert max(drawn) - min(drawn) > 0.2


def test_a_draw_beyond_the_limits_of_the_library_says_so() -> None:
    wide = {"conv": {"out_channels": {"choice": [1, 4096]}, "kernel_size": 3, "padding": 1}}
    space = Space({"input": {"channels": 1, "height": 512, "width": 512}, "blocks": [wide] * 2, "classes": 2})
    with pytest.raises(
        InvalidSpecError, match=r"^blocks: macs [\d,]+ exceeds the library's limit of 1,000,000,000,000"
    ):
        space.draw(lambda hole: len(hole.options) - 1)  # type: ignore[union-attr]


SCRAPS: list[Plain] = [
    *(None, True, -1, 0, 1.5, 10**30, "x", "same", [], {}, [1], [[]], {"a": 1}, {1: 2}, float("nan")),
    *({"choice": []}, {"choice": [1, "x"]}, {"int": [1, 2]}, {"int": [2, 1]}, {"float": [0, 1]}, {"int": "x"}),
    *({"repeat": 2, "block": {}}, [{"repeat": {"int": [0, 2]}, "block": None}], [{"repeat": None}], {"kind": []}),
    *({"choice": [{"choice": [[], {}]}, None]}, {"choice": [{"repeat": 1, "block": 1}]}, {"kind": {"choice": [None]}}),
]


def spoilt(data: Plain, chance: random.Random) -> Plain:
    """Put scrap in some places."""
    if chance.random() < 0.008:
        return chance.choice(SCRAPS)
    return _INSIDE.get(type(data), lambda value, _: value)(data, chance)


_INSIDE = {
    dict: lambda data, chance: {
        chance.choice([key] * 40 + ["x", "int"]): spoilt(value, chance) for key, value in data.items()
    },
    list: lambda data, chance: [spoilt(value, chance) for value in data],
}


def test_a_spoilt_space_is_read_or_refused_and_nothing_else() -> None:
    refused = 0
    for seed in range(200 * MORE):
        data = spoilt(HARSH, random.Random(seed))
        try:
            space = Space(data)
            space.draw(uniformly(random.Random(seed)))
        except InvalidSpecError as error:
            refused += 1
            str(error).encode()
    assert 70 * MORE < refused < 190 * MORE

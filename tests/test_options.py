"""Options are checked one by one, whether they are drawn or not, and named by their place in the space file."""

import pytest

from cnnsearch.errors import InvalidSpecError
from cnnsearch.network import Network
from cnnsearch.options import check, checked, pick
from cnnsearch.parse import read
from cnnsearch.recipe import Recipe
from cnnsearch.space import Space
from cnnsearch.text import Plain

IMAGE = {"channels": 1, "height": 8, "width": 8}


def written(*blocks: Plain, **others: Plain) -> dict[str, Plain]:
    return {"input": IMAGE, "blocks": list(blocks), "classes": 10, **others}


def conv(**fields: Plain) -> dict[str, Plain]:
    return {"conv": {"out_channels": 4, "kernel_size": 3, **fields}}


def hole(*options: Plain) -> dict[str, Plain]:
    return {"choice": list(options)}


PAIR = "must be a whole number or a [height, width] pair of them, not"
UNKNOWN = "unknown key; is it misspelt, or does it belong elsewhere?"


@pytest.mark.parametrize(
    ("data", "faults"),
    [
        (
            written(conv(kernel_size="3")),
            [f"blocks[0].conv.kernel_size: {PAIR} '3'; write it without quotation marks"],
        ),
        (
            written(conv(kernel_size=hole(3, "3"))),
            [f"blocks[0].conv.kernel_size.choice[1]: {PAIR} '3'; write it without quotation marks"],
        ),
        (
            written(conv(out_channels={"int": [0, 9]})),
            ["blocks[0].conv.out_channels: input should be greater than or equal to 1, not 0"],
        ),
        (
            written(conv(), head={"dropout": {"float": [0.5, 1.5]}}),
            ["head.dropout: input should be less than 1, not 1.5"],
        ),
        (
            written({**conv(), "maxpool": hole(None, {"kernel": 2})}),
            [
                "blocks[0].maxpool.choice[1].kernel: unknown key; perhaps you meant 'kernel_size'",
            ],
        ),
        (
            written({**conv(), "maxpool": hole(None, {"kernel_size": hole(2, hole(3, -1))})}),
            [
                "blocks[0].maxpool.choice[1].kernel_size.choice[1].choice[1]: must be from 1 to 1024, not -1",
            ],
        ),
        (
            written({**conv(), "maxpool": hole(None, {"kernel_size": 2, "padding": 2})}),
            [
                ("blocks[0].maxpool.choice[1].padding: padding 2 is more than half of kernel_size 2;"
                " at most 1 fits, or a larger kernel"),
            ],
        ),
        (
            written({"repeat": {"int": [1, 3]}, "block": conv(kernel_size=hole(3, 0))}),
            ["blocks[0].block.conv.kernel_size.choice[1]: must be from 1 to 1024, not 0"],
        ),
        (
            written({"repeat": 2, "block": {"repeat": 2, "block": conv(kernal=3)}}, conv(kernal=hole(3, 5))),
            [f"blocks[0].block.block.conv.kernal: {UNKNOWN}", f"blocks[1].conv.kernal: {UNKNOWN}"],
        ),
        (
            written(conv(), {"repeat": {"int": [0, 2]}, "block": {"kind": "nope", **conv()}}),
            [("blocks[1].block.kind: 'nope' is no registered kind of block (known: plain, residual, separable);"
              " import the module that registers it first (--import, or `imports` in a plan file)")],
        ),
        (
            written(conv(), head={"hidden": [{"repeat": {"int": [0, 2]}, "block": 0}]}),
            ["head.hidden[0].block: input should be greater than or equal to 1, not 0"],
        ),
        (
            {"input": IMAGE, "classes": 2, "block": [{"repeat": {"int": [0, 2]}, "block": conv()}]},
            ["block: unknown key; perhaps you meant 'blocks'"],
        ),
        (
            written(conv(out_channels={"int": [8, 16], "step": 20})),
            [("blocks[0].conv.out_channels.step: is wider than the range, so that of 8 to 16 only 8 is left; take a"
              " smaller one, or write 8 alone")],
        ),
        (
            {"input": IMAGE, "classes": 2, "blocs": [], "head": {"dropout": {"float": [0, 0.5]}}},
            ["blocs: unknown key; perhaps you meant 'blocks'"],
        ),
        (
            written(hole({"repeat": 2, "block": conv()}, conv())),
            [("blocks[0].choice[0]: a repeat stands by itself in a list, not as a value or an option; where none is"
              " wanted, let it repeat 0 times")],
        ),
        (
            {**written(), "blocks": hole([conv()], [{"repeat": 2, "block": conv()}, conv(kernel_size=-1)])},
            ["blocks.choice[1][1].conv.kernel_size: must be from 1 to 1024, not -1"],
        ),
        (
            {**written(), "blocks": hole([conv()], [3])},
            ['blocks.choice[1][0]: a block is an object such as {"conv": {...}}, not 3'],
        ),
        ({**written(), "blocks": 3}, ["blocks: must be a list in brackets, not 3"]),
        (
            written(conv(), head=hole({}, {"hidden": hole([], [64] * 9)})),
            ["head.choice[1].hidden.choice[1]: must have from 0 to 8 items, not 9"],
        ),
        (written(conv(), clases=3), ["clases: unknown key; perhaps you meant 'classes'"]),
        ({"blocks": [conv()]}, [f"{key}: missing; this key must be given" for key in ("input", "classes")]),
        (
            {"input": IMAGE, "classes": 2},
            ["blocks: missing; this key must be given"],
        ),
        ([1], ["must be a mapping such as {input: ...}, not [1]"]),
    ],
    ids=str,
)  # fmt: skip
def test_a_fault_of_an_option_is_told_at_the_option(data: Plain, faults: list[str]) -> None:
    with pytest.raises(InvalidSpecError) as caught:
        Space(data)
    assert [str(fault) for fault in caught.value.faults] == faults


def test_an_option_may_break_a_law_that_another_hole_can_keep() -> None:
    pool = {"kernel_size": hole(2, 4), "padding": hole(0, 2)}
    space = Space(written({**conv(padding=hole("same", 1), stride=hole(1, 2)), "maxpool": pool}))
    assert len(space.holes) == 4


@pytest.mark.parametrize("is_open", [False, True])
def test_the_place_of_a_list_that_may_become_too_long_is_whole(is_open: bool) -> None:  # noqa: FBT001
    long = [{"repeat": hole(1, 64), "block": {"repeat": 2, "block": 1}}]
    with pytest.raises(InvalidSpecError) as caught:
        checked({"restarts": hole([], long) if is_open else long}, Recipe.model_validate, "recipe")
    place = "recipe.restarts.choice[1]" if is_open else "recipe.restarts"
    assert str(caught.value) == f"{place}: must have from 0 to 64 items, not 128"


def test_any_word_may_be_checked_and_its_place_stands_before() -> None:
    tree = read({"epochs": {"int": [0, 5]}, "momentum": hole(0.9, 1)}, "recipe")
    with pytest.raises(InvalidSpecError) as caught:
        check(tree, Recipe.model_validate, "recipe")
    assert str(caught.value).splitlines() == [
        "recipe.epochs: input should be greater than or equal to 1, not 0",
        "recipe.momentum.choice[1]: input should be less than 1, not 1",
    ]


def test_what_is_wrong_beside_a_hole_that_is_written_wrongly_is_told_with_it() -> None:
    with pytest.raises(InvalidSpecError) as caught:
        Space(
            written(
                conv(out_channels={"int": [16, 8]}, kernel_size=hole(3, "3")),
                {"repeat": {"int": [1, 200]}, "block": conv(kernel_size=-3)},
                {"repeat": 2, "block": conv(out_channels=hole(), strid=2)},
                head={"dropout": 2},
            )
        )
    assert str(caught.value).splitlines() == [
        "blocks[0].conv.out_channels.int: must be [lowest, highest], and 16 is more than 8; swap them",
        (
            "blocks[1].repeat: must be a whole number from 0 to 64, or a hole whose options are such numbers,"
            " not {'int': [1, 200]}"
        ),
        "blocks[2].block.conv.out_channels: choice takes a list of at least one option, and neither log nor step",
        "blocks[1].block.conv.kernel_size: must be from 1 to 1024, not -3",
        "blocks[2].block.conv.strid: unknown key; perhaps you meant 'stride'",
        "head.dropout: input should be less than 1, not 2",
        f"blocks[0].conv.kernel_size.choice[1]: {PAIR} '3'; write it without quotation marks",
    ]


@pytest.mark.parametrize(
    ("hidden", "fault"),
    [
        ([{"repeat": {"int": [0, 10]}, "block": hole(32, 64)}], "head.hidden: must have from 0 to 8 items, not 10"),
        (
            [{"repeat": {"int": [0, 5]}, "block": 32}, {"repeat": hole(4, 3), "block": 32}],
            "head.hidden: must have from 0 to 8 items, not 9",
        ),
        (
            hole([], [{"repeat": {"int": [1, 9]}, "block": 32}]),
            "head.hidden.choice[1]: must have from 0 to 8 items, not 9",
        ),
    ],
    ids=["one repeat", "two together", "in a choice"],
)
def test_a_list_that_may_become_too_long_is_refused(hidden: Plain, fault: str) -> None:
    tree = read(written(conv(), head={"hidden": hidden}))
    with pytest.raises(InvalidSpecError) as caught:
        check(tree, Network.model_validate)
    assert str(caught.value) == fault


def test_the_chosen_options_are_filled_in_and_located() -> None:
    tree = read({"a": [{"repeat": hole(0, 2), "block": hole(1, {"b": {"float": [3, 4]}})}, hole(5)]})
    data, places, open_lists, written = pick(
        tree, {"a[0].repeat": 1, "a[0].block[1]": 1, "a[0].block[1].choice[1].b": 1}
    )
    assert data == {"a": [1, {"b": 4.0}, 5]}
    assert open_lists == {"a"}
    assert places == {
        "a[0].block[0]": "a[0]", "a[0].block[1]": "a[1]", "a[0].block[1].choice[1].b": "a[1].b", "a[1]": "a[2]",
    }  # fmt: skip
    assert written == {
        "a[0]": "a[0].block.choice[0]", "a[1]": "a[0].block.choice[1]", "a[1].b": "a[0].block.choice[1].b",
        "a[2]": "a[1].choice[0]",
    }  # fmt: skip

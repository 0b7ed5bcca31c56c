"""Holes in plain data: how they are read and refused, how they are filled; nothing here knows of layers."""

from itertools import islice

import pytest
from amount import examples
from hypothesis import assume, given
from hypothesis import strategies as st

from cnnsearch.errors import InvalidSpecError
from cnnsearch.fill import fill
from cnnsearch.holes import Hole, Real, count_fillings, fillings, in_short, sites, to_plain
from cnnsearch.parse import read
from cnnsearch.text import Plain

scalars = st.sampled_from([None, True, False, 0, 1, 1.0, "a"])
holes = st.deferred(
    lambda: st.one_of(
        st.lists(trees, min_size=1, max_size=2).map(lambda options: {"choice": options}),
        st.just({"int": [1, 3], "step": 2}),
        st.just({"float": [0.0, 0.2], "step": 0.1}),
        st.just({"float": [0.5, 0.5]}),
    )
)
repeats = st.deferred(
    lambda: st.builds(
        lambda count, block: {"repeat": count, "block": block},
        st.sampled_from([0, 1, {"int": [0, 2]}, {"choice": [2, 1]}, {"choice": [1]}]),
        trees,
    )
)
trees = st.deferred(
    lambda: st.one_of(
        scalars,
        scalars,
        holes,
        st.lists(st.one_of(trees, repeats), max_size=2),
        st.dictionaries(st.sampled_from("xyz"), trees, max_size=2),
    )
)


def first(_: object) -> int:
    return 0


@examples(200)
@given(trees)
def test_every_filling_has_its_share_and_they_add_up_to_one(data: Plain) -> None:
    tree = read(data)
    assume(count_fillings(tree) <= 1000)
    found = list(fillings(tree))
    assert len(found) == count_fillings(tree)
    assert sum(share for _, share in found) == pytest.approx(1)
    assert [list(sites(filled)) for filled, _ in found] == [[]] * len(found)


@examples(200)
@given(trees, st.randoms(use_true_random=False))
def test_every_hole_is_asked_whatever_is_built_and_only_active_ones_are_built(data: Plain, chance: object) -> None:
    tree = read(data)
    assume(count_fillings(tree) <= 1000)
    names = [site.hole.name for site in sites(tree)]
    suggest = lambda hole: hole.low if isinstance(hole, Real) else chance.randrange(len(hole.options))  # noqa: E731
    filled = fill(tree, suggest)  # type: ignore[arg-type]
    assert list(filled.asked) == names == list(dict.fromkeys(names))
    assert set(filled.built) <= set(names)
    assert repr(filled.data) in {repr(to_plain(found)) for found, _ in fillings(tree)}


@examples(100)
@given(trees)
def test_data_without_holes_is_its_own_only_filling(data: Plain) -> None:
    for filled, _ in islice(fillings(read(data)), 100):
        again = read(to_plain(filled))
        assert (list(fillings(again)), fill(again, first).asked) == ([(again, 1.0)], {})


def test_names_are_paths_with_the_options_number() -> None:
    data = {"blocks": [{"repeat": {"int": [1, 2]}, "block": {"conv": {"choice": [{"size": {"choice": [1, 2]}}, 3]}}}]}
    assert [site.hole.name for site in sites(read(data))] == [
        "blocks[0].repeat",
        "blocks[0].block[0].conv",
        "blocks[0].block[0].conv.choice[0].size",
        "blocks[0].block[1].conv",
        "blocks[0].block[1].conv.choice[0].size",
    ]


def test_a_negative_repeat_does_not_make_room_for_a_huge_one() -> None:
    many = {"repeat": 64, "block": {"repeat": 64, "block": {"choice": [1] * 100}}}
    with pytest.raises(InvalidSpecError, match="repeats and ranges come to 413,760"):
        read([{"repeat": -64, "block": many["block"]}, many])


def test_each_repetition_draws_its_own_values_and_repeats_may_be_nested() -> None:
    inner = {"repeat": {"choice": [2, 1]}, "block": {"choice": ["a", "b"]}}
    tree = read([{"repeat": 2, "block": inner}, "end"])
    draws = iter([0, 0, 1, 1, 1, 0])
    filled = fill(tree, lambda _: next(draws))
    assert filled.data == ["a", "b", "b", "end"]
    assert filled.built == {
        "[0].block[0].repeat": 2,
        "[0].block[0].block[0]": "a",
        "[0].block[0].block[1]": "b",
        "[0].block[1].repeat": 1,
        "[0].block[1].block[0]": "b",
    }


def test_a_site_knows_what_makes_it_active() -> None:
    data = [{"choice": [0, {"a": {"choice": [1]}}]}, {"repeat": {"int": [1, 3]}, "block": {"choice": [5]}}]
    needs = {site.hole.name: site.needs for site in sites(read(data))}
    assert needs == {
        "[0]": {},
        "[0].choice[1].a": {"[0]": 1},
        "[1].repeat": {},
        "[1].block[0]": {"[1].repeat": 0},
        "[1].block[1]": {"[1].repeat": 1},
        "[1].block[2]": {"[1].repeat": 2},
    }


@examples(100)
@given(st.integers(1, 9), st.sets(st.integers(0, 8)), st.data())
def test_index_i_of_n_becomes_the_option_at_i_times_m_over_n_of_those_that_fit(
    count: int, allowed: set[int], data: st.DataObject
) -> None:
    fitting = [option for option in range(count) if option in allowed] or [0]
    index = data.draw(st.integers(0, count - 1))
    tree = read({"choice": list(range(count))})
    can_fit = lambda node: isinstance(node, Hole) or to_plain(node) in fitting  # noqa: E731
    filled = fill(tree, lambda _: index, lambda _: can_fit)
    assert filled.data == fitting[index * len(fitting) // count]
    assert filled.asked == {"": index}


def test_where_no_option_fits_it_is_said_at_the_hole() -> None:
    with pytest.raises(InvalidSpecError) as caught:
        fill(read({"a": {"choice": [1, 2]}}), first, lambda _: lambda _: False)
    assert str(caught.value) == "a: none of its 2 options can fit; allow a smaller window or less pooling"


def test_a_range_holds_both_ends() -> None:
    assert values({"int": [2, 5]}) == [2, 3, 4, 5]
    assert values({"int": [2, 7], "step": 2}) == [2, 4, 6]
    assert values({"float": [0, 0.3], "step": 0.1}) == [0.0, 0.1, 0.2, 0.3]
    assert values({"int": [3, 3], "log": True}) == [3]
    assert read({"float": [1, 2], "log": True}, "x") == Real("x", 1.0, 2.0, log=True)
    assert read({"int": [5, 9]}).lowest == 5  # type: ignore[union-attr]


def values(data: Plain) -> list[object]:
    hole = read(data)
    assert isinstance(hole, Hole)
    return [to_plain(option) for option in hole.options]


@pytest.mark.parametrize(
    ("options", "ordered"),
    [([1, 2, 4], True), ([1, 1.5], True), ([2, 1], False), ([1, 1], False), ([1, None], False), ([False, True], False)],
)
def test_options_are_ordered_when_they_are_numbers_that_rise(options: list[Plain], ordered: bool) -> None:  # noqa: FBT001
    assert read({"choice": options}).ordered == ordered  # type: ignore[union-attr]


def test_an_option_is_told_in_short() -> None:
    assert in_short(read(None)) == "null"
    assert in_short(read(0.5)) == 0.5
    assert in_short(read({"a": [1, {"choice": [2]}], "b": {"float": [0, 1]}})) == '{"a": [1, "*"], "b": "*"}'


LAW = "a hole has one of choice, int, float, and with the last two log or step, not"
ENDS = "must be [lowest, highest], two {} numbers, not"
HUGE = "must be [lowest, highest], two {} numbers of at most 1,000,000,000,000,000, not"
COUNT = "must be a whole number from 0 to 64, or a hole whose options are such numbers, not"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"choice": [1], "int": [1, 2]}, f"x: {LAW} ['choice', 'int']"),
        ({"int": [1, 2], "max": 3}, f"x: {LAW} ['int', 'max']"),
        ({"int": [1, 2], 3: 4}, f"x: {LAW} ['3', 'int']"),
        ({"choice": []}, "x: choice takes a list of at least one option, and neither log nor step"),
        ({"choice": 3}, "x: choice takes a list of at least one option, and neither log nor step"),
        ({"choice": [1], "log": True}, "x: choice takes a list of at least one option, and neither log nor step"),
        ({"choice": [1] * 4097}, "x: 4,097 options are more than 4,096; use a larger step, or fewer"),
        ({"int": [1, 10**9]}, "x: 1,000,000,000 options are more than 4,096; use a larger step, or fewer"),
        ({"float": [0, 1], "step": 1e-6}, "x: 1,000,001 options are more than 4,096; use a larger step, or fewer"),
        (
            {"float": [0, 1], "step": 1e-300},
            "x: 2,000,000,000,000,001 options are more than 4,096; use a larger step, or fewer",
        ),
        ({"int": [2, 1]}, "x.int: must be [lowest, highest], and 2 is more than 1; swap them"),
        (
            {"list": [{"repeat": {"min": 1, "max": 2}, "block": 1}]},
            (
                "x.list[0].repeat: must be a whole number from 0 to 64, or a hole whose options are such numbers, not"
                " {'max': 2, 'min': 1}; a range in a space is written {\"int\": [1, 2]}"
            ),
        ),
        ({"int": [1.0, 2]}, f"x.int: {ENDS.format('int')} [1.0, 2]"),
        ({"int": [True, 2]}, f"x.int: {ENDS.format('int')} [True, 2]"),
        ({"int": [1]}, f"x.int: {ENDS.format('int')} [1]"),
        ({"int": 3}, f"x.int: {ENDS.format('int')} 3"),
        ({"int": [1, 10**16]}, f"x.int: {HUGE.format('int')} [1, 10000000000000000]"),
        ({"int": [8, 10**400]}, f"x.int: {HUGE.format('int')} [8, 1000000000"),
        ({"float": [0, 10**400]}, f"x.float: {HUGE.format('float')} [0, 1000000000"),
        ({"float": [0, float("nan")]}, f"x.float: {ENDS.format('float')} [0, nan]"),
        ({"float": [0, float("inf")]}, f"x.float: {HUGE.format('float')} [0, inf]"),
        ({"float": ["0", 1]}, f"x.float: {ENDS.format('float')} ['0', 1]"),
        ({"float": [0, 1], "log": True}, "x.log: needs a lowest value above 0, not 0"),
        ({"int": [1, 2], "log": 1}, "x.log: must be true or false, not 1"),
        ({"int": [1, 2], "log": True, "step": 1}, "x.log: takes no step; leave one of the two out"),
        ({"int": [1, 2], "step": 0.5}, "x.step: must be an int above 0, not 0.5"),
        ({"float": [1, 2], "step": 0}, "x.step: must be a float above 0, not 0"),
        (
            [{"repeat": 2, "blocks": 3}],
            "x[0]: a repeat has the keys `repeat` (how often) and `block` (what), and no other",
        ),
        ([{"repeat": 65, "block": 1}], f"x[0].repeat: {COUNT} 65"),
        ([{"repeat": -1, "block": 1}], f"x[0].repeat: {COUNT} -1"),
        ([{"repeat": True, "block": 1}], f"x[0].repeat: {COUNT} True"),
        ([{"repeat": {"float": [1, 2]}, "block": 1}], f"x[0].repeat: {COUNT} {{'float': [1, 2]}}"),
        ([{"repeat": {"choice": [1, {"int": [1, 2]}]}, "block": 1}], f"x[0].repeat: {COUNT} {{'choice': [1, "),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_a_hole_written_wrongly_is_refused_at_its_place(data: Plain, message: str) -> None:
    with pytest.raises(InvalidSpecError) as caught:
        read(data, "x")
    assert str(caught.value)[: len(message)] == message


def nested(depth: int) -> Plain:
    return 1 if depth == 0 else {"repeat": 64, "block": nested(depth - 1)}


@pytest.mark.parametrize(
    "data",
    [[nested(4)], [nested(30)], [{"int": [1, 4096]}] * 1000, [{"repeat": 64, "block": [{"int": [1, 4096]}] * 9}]],
    ids=["four repeats", "thirty repeats", "ranges", "ranges repeated"],
)
def test_what_would_grow_beyond_measure_is_refused_before_it_grows(data: Plain) -> None:
    law = r"repeats and ranges come to [\d,]+ values and options, more than 100,000; repeat less, or choose among fewer"
    with pytest.raises(InvalidSpecError, match=rf"^(space[\[\]\w.]*: ){law}$"):
        read(data, "space")


def test_what_would_grow_beyond_measure_is_named() -> None:
    data = {"a": 1, "b": [{"c": [1, {"repeat": 64, "block": [{"int": [1, 4096]}] * 9}]}]}
    with pytest.raises(InvalidSpecError) as error:
        read(data, "space")
    assert error.value.faults[0].place == "space.b[0].c[1]"


def test_all_holes_that_are_written_wrongly_are_told_at_once() -> None:
    data = {"a": {"choice": []}, "b": [{"repeat": "x", "block": 1}, {"int": [2, 1]}], "c": {"float": [0, 1]}}
    with pytest.raises(InvalidSpecError) as error:
        read(data)
    assert [fault.place for fault in error.value.faults] == ["a", "b[0].repeat", "b[1].int"]

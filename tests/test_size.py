"""How large a space is, against counting by hand and by brute force."""

from contextlib import suppress
from math import log

import pytest
from amount import examples
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import small_spaces

from cnnsearch import size as rooms_size
from cnnsearch.errors import InvalidSpecError
from cnnsearch.holes import count_fillings, fillings, to_plain
from cnnsearch.network import Network
from cnnsearch.parse import read
from cnnsearch.size import Size, count_candidates, size
from cnnsearch.space import Space
from cnnsearch.text import Plain

IMAGE = {"channels": 1, "height": 8, "width": 8}
CONV = {"out_channels": 4, "kernel_size": 3, "padding": 1}


def written(*blocks: Plain, **others: Plain) -> dict[str, Plain]:
    return {"input": IMAGE, "blocks": list(blocks), "classes": 2, **others}


def by_brute_force(space: Space) -> tuple[int, float]:
    found: dict[str, float] = {}
    for filled, share in fillings(space.tree):
        try:
            name = Network.model_validate(to_plain(filled)).fingerprint
        except InvalidSpecError:
            continue
        found[name] = found.get(name, 0.0) + share
    return len(found), sum(found.values())


@examples(80)
@given(small_spaces)
def test_the_size_is_what_brute_force_counts(data: Plain) -> None:
    assume(count_fillings(read(data)) <= 300)
    try:
        space = Space(data)
    except InvalidSpecError:
        assume(condition=False)
        raise
    found = size(space)
    assert found.is_exact
    assert (found.networks, pytest.approx(found.share)) == by_brute_force(space)


@examples(40)
@given(small_spaces, st.integers(0, 400))
def test_with_limits_as_many_candidates_are_counted_as_keep_them(data: Plain, most: int) -> None:
    assume(count_fillings(read(data)) <= 300)
    try:
        space = Space(data, {"parameters": most})
    except InvalidSpecError:
        assume(condition=False)
        raise
    kept: set[str] = set()
    for filled, _ in fillings(space.tree):
        with suppress(InvalidSpecError):
            network = Network.model_validate(to_plain(filled))
            kept |= {network.fingerprint} if network.cost.parameters <= most else set()
    assert count_candidates(space, read({})) == len(kept)


BLOCK = {"conv": CONV}
SHORTCUT_OR_CONV = {"kind": "residual", "conv": {"out_channels": 2, "kernel_size": 1, "stride": {"choice": [1, 2]}}}
SEPARABLE = {"kind": "separable", "conv": CONV}
AS_IF_OF_ONE = [{"conv": {**CONV, "out_channels": 1}}, {"conv": {"out_channels": 4, "kernel_size": 1}}]
"""What a separable block computes of one channel."""
POOLED = {"conv": CONV, "maxpool": {"choice": [None, {"kernel_size": 2}]}}


@pytest.mark.parametrize(
    ("data", "networks", "share"),
    [
        (written(BLOCK), 1, 1.0),
        (written({"repeat": {"int": [1, 3]}, "block": BLOCK}), 3, 1.0),
        (written({"repeat": {"choice": [2, 2]}, "block": BLOCK}), 1, 1.0),
        (
            written({"repeat": {"int": [0, 1]}, "block": BLOCK}, {"repeat": {"int": [0, 1]}, "block": BLOCK}, BLOCK),
            3,
            1,
        ),
        ({**written(), "blocks": {"choice": [[BLOCK], [BLOCK], [BLOCK, BLOCK]]}}, 2, 1.0),
        (written({"repeat": 4, "block": POOLED}), 15, 15 / 16),
        (written({"repeat": {"int": [4, 64]}, "block": {**POOLED, "maxpool": {"kernel_size": 2}}}, BLOCK), 0, None),
        (written({**BLOCK, "relu": {"inplace": {"choice": [True, False]}}}), 1, 1.0),
        (written(BLOCK, head={"pool": {"choice": ["average", "max", None]}}), 3, 1.0),
        (written({"conv": {**CONV, "kernel_size": 10}}, head={"pool": {"choice": ["average", "max", None]}}), 1, 1.0),
        (written(BLOCK, head={"hidden": [{"repeat": {"int": [0, 2]}, "block": {"choice": [3, 5]}}]}), 7, 1.0),
        ({**written(BLOCK), "input": {**IMAGE, "height": {"int": [7, 8]}}, "classes": {"choice": [2, 3, 2]}}, 4, 1.0),
        ({**written(BLOCK), "input": {"choice": [IMAGE, IMAGE]}}, 1, 1.0),
        (written({"conv": {**CONV, "kernel_size": {"int": [1, 16], "log": True}}}), 10, log(11) / log(17)),
        (written({"conv": {"out_channels": 2, "kernel_size": 8}}, SHORTCUT_OR_CONV), 2, 1.0),
        ({**written(), "input": {**IMAGE, "channels": 3}, "blocks": {"choice": [[SEPARABLE], AS_IF_OF_ONE]}}, 2, 1.0),
    ],
    ids=str,
)
def test_small_spaces_are_as_large_as_one_counts_by_hand(data: Plain, networks: int, share: float | None) -> None:
    try:
        found = size(Space(data))
    except InvalidSpecError:
        assert (networks, share) == (0, None)
    else:
        assert found == Size(networks, pytest.approx(share), 0.0, ())


def test_a_deep_space_is_counted_as_far_as_it_goes() -> None:
    conv = {"out_channels": {"choice": [2, 4, 8]}, "kernel_size": 3, "padding": 1}
    space = Space(written({"repeat": {"int": [1, 64]}, "block": {"kind": "residual", "conv": conv}}))
    assert size(space).networks == sum(3**depth for depth in range(1, 65))


def test_real_holes_are_named() -> None:
    data = written(BLOCK, head={"dropout": {"float": [0.1, 0.5]}})
    assert size(Space(data)) == Size(1, 1.0, 0.0, ("head.dropout",))
    assert str(size(Space(data))) == (
        "1 distinct network, times any value of head.dropout; 100.0% of plain random draws fit (exact)"
    )


MANY = {"conv": {"out_channels": {"int": [1, 4000]}, "kernel_size": 1}, "maxpool": {"kernel_size": {"int": [2, 5]}}}


def test_what_would_take_too_long_is_estimated_and_said_to_be() -> None:
    found = size(Space(written(MANY, MANY)))
    assert not found.is_exact
    assert (found.share, found.spread) == (pytest.approx(5 / 16, abs=0.05), pytest.approx(0.029, abs=0.002))
    assert str(found) == (
        f"about {found.networks:.2g} networks; {found.share:.1%} ± {found.spread:.1%} of plain random draws fit"
        " (estimated from 1,000 draws)"
    )


def test_a_size_beyond_floats_is_told_by_its_power_of_ten() -> None:
    assert str(Size(10**5000, 0.5, 0.03, ())).startswith("about 10^5000 networks; 50.0% ± 3.0% of plain random draws")


def test_candidates_are_networks_times_recipes_that_differ_in_effect() -> None:
    space = Space(written(POOLED))
    recipe = {"epochs": {"int": [1, 3]}, "optimizer": "adamw", "momentum": {"choice": [0.8, 0.9]}}
    assert count_candidates(space, read(recipe)) == 2 * 3
    assert count_candidates(space, read({**recipe, "optimizer": "sgd"})) == 2 * 6


@pytest.mark.parametrize(
    "recipe",
    [{"learning_rate": {"float": [0.1, 0.2]}}, {"epochs": {"int": [1, 999]}, "batch_size": {"int": [2, 4000]}}],
    ids=["reals", "many"],
)
def test_candidates_without_end_are_not_counted(recipe: Plain) -> None:
    assert count_candidates(Space(written(BLOCK)), read(recipe)) is None
    assert count_candidates(Space(written(MANY, MANY)), read({})) is None


def test_counting_stops_after_so_many_walks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms_size, "MOST_WALKS", 3)
    assert not size(Space(written({"repeat": 4, "block": POOLED}))).is_exact


@examples(5)
@given(small_spaces)
def test_the_estimate_of_the_share_is_near_the_exact_one(data: Plain) -> None:
    try:
        space = Space(data)
    except InvalidSpecError:
        assume(condition=False)
        raise
    exact = size(space)
    assume(exact.is_exact)
    estimate = rooms_size._estimate(space, ())  # noqa: SLF001 (the other way of the same verb)
    assert abs(estimate.share - exact.share) <= 3 * max(estimate.spread, 0.02)

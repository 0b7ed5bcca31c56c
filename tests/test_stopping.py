from random import Random
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnsearch.plan import Pruner
from cnnsearch.study.stopping import goes_on

SCORES = st.lists(st.floats(0, 1), max_size=30)
PRUNERS = st.builds(
    Pruner,
    kind=st.sampled_from(["halving", "successive", "median", "none"]),
    keep=st.floats(0.01, 1),
    startup=st.integers(0, 10),
)


@given(PRUNERS, SCORES, st.floats(0, 1), st.floats(0, 1))
def test_a_better_score_never_fares_worse(pruner: Pruner, others: list[float], one: float, other: float) -> None:
    worse, better = sorted((one, other))
    assert goes_on(pruner, better, others) >= goes_on(pruner, worse, others)


@given(PRUNERS, SCORES)
def test_the_best_so_far_always_goes_on(pruner: Pruner, others: list[float]) -> None:
    assert goes_on(pruner, max(others, default=0.0), others)


@given(PRUNERS, SCORES, st.floats(0, 1), st.randoms(use_true_random=False))
def test_the_order_of_the_others_has_no_part_in_it(
    pruner: Pruner, others: list[float], score: float, dice: Random
) -> None:
    shuffled = others.copy()
    dice.shuffle(shuffled)
    assert goes_on(pruner, score, others) == goes_on(pruner, score, shuffled)


@given(PRUNERS, st.floats(0, 1), st.data())
def test_nothing_is_stopped_before_enough_scores_are_known(pruner: Pruner, score: float, data: st.DataObject) -> None:
    others = data.draw(st.lists(st.floats(0, 1), max_size=max(0, pruner.startup - 1)))
    assert goes_on(pruner, score, others)


@given(SCORES, st.floats(0, 1))
def test_a_study_without_a_rule_stops_nothing(others: list[float], score: float) -> None:
    assert goes_on(Pruner(kind="none", startup=0), score, others)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0, 1))
def test_the_median_rule_stops_what_lies_below(others: list[float], score: float) -> None:
    assert goes_on(Pruner(kind="median", startup=1), score, others) == (score >= median(others))


@pytest.mark.parametrize(("rank", "goes"), [(0, True), (4, True), (5, False), (19, False)])
def test_halving_lets_its_share_go_on(rank: int, goes: bool) -> None:  # noqa: FBT001
    others = [1 - place / 20 for place in range(19)]
    score = 1.001 - rank / 20
    assert goes_on(Pruner(kind="halving", keep=0.25, startup=4), score, others) == goes

from random import Random
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnsearch.parts import Pruner
from cnnsearch.ranking import Standing, beats, costs_no_more
from cnnsearch.study.stopping import best_share, goes_on

SCORES = st.lists(st.floats(0, 1), max_size=30)
STANDINGS = st.builds(Standing, st.floats(0, 1), st.tuples(st.integers(1, 5), st.integers(1, 5)))
OTHERS = st.lists(STANDINGS, max_size=20)
PRUNERS = st.builds(
    Pruner,
    kind=st.sampled_from(["halving", "successive", "median", "none"]),
    keep=st.floats(0.01, 1),
    startup=st.integers(0, 10),
)


def alone(scores: list[float]) -> list[Standing]:
    """Give how they stand where accuracy is the only objective."""
    return [Standing(score) for score in scores]


@given(PRUNERS, OTHERS, STANDINGS, st.floats(0, 1))
def test_a_better_score_never_fares_worse(
    pruner: Pruner, others: list[Standing], one: Standing, accuracy: float
) -> None:
    worse, better = sorted((one, one._replace(accuracy=accuracy)))
    assert goes_on(pruner, better, others) >= goes_on(pruner, worse, others)


@given(PRUNERS, OTHERS, STANDINGS)
def test_who_is_beaten_by_nobody_goes_on(pruner: Pruner, others: list[Standing], mine: Standing) -> None:
    assert goes_on(pruner, mine, [other for other in others if not beats(other, mine)])


@given(PRUNERS, OTHERS, STANDINGS, st.randoms(use_true_random=False))
def test_the_order_of_the_others_has_no_part_in_it(
    pruner: Pruner, others: list[Standing], mine: Standing, dice: Random
) -> None:
    shuffled = others.copy()
    dice.shuffle(shuffled)
    assert goes_on(pruner, mine, others) == goes_on(pruner, mine, shuffled)


@given(PRUNERS, STANDINGS, st.data())
def test_nothing_is_stopped_before_enough_scores_are_known(pruner: Pruner, mine: Standing, data: st.DataObject) -> None:
    others = data.draw(st.lists(STANDINGS, max_size=max(0, pruner.startup - 1)))
    assert goes_on(pruner, mine, others)


@given(PRUNERS, OTHERS, STANDINGS, st.data())
def test_the_scores_of_costlier_ones_have_no_part_in_it(
    pruner: Pruner, others: list[Standing], mine: Standing, data: st.DataObject
) -> None:
    changed = [
        other if costs_no_more(other, mine) else other._replace(accuracy=data.draw(st.floats(0, 1))) for other in others
    ]
    assert goes_on(pruner, mine, others) == goes_on(pruner, mine, changed)


@given(SCORES, st.floats(0, 1))
def test_a_study_without_a_rule_stops_nothing(others: list[float], score: float) -> None:
    assert goes_on(Pruner(kind="none", startup=0), Standing(score), alone(others))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0, 1))
def test_the_median_rule_stops_what_lies_below(others: list[float], score: float) -> None:
    assert goes_on(Pruner(kind="median", startup=1), Standing(score), alone(others)) == (score >= median(others))


@pytest.mark.parametrize(("rank", "goes"), [(0, True), (4, True), (5, False), (19, False)])
def test_halving_lets_its_share_go_on(rank: int, goes: bool) -> None:  # noqa: FBT001
    others = [1 - place / 20 for place in range(19)]
    score = 1.001 - rank / 20
    assert goes_on(Pruner(kind="halving", keep=0.25, startup=4), Standing(score), alone(others)) == goes


@given(st.dictionaries(st.integers(0, 50), STANDINGS, min_size=1, max_size=15), st.floats(0.01, 1))
def test_when_all_are_there_each_is_among_its_share_of_those_that_cost_no_more(
    standings: dict[int, Standing], keep: float
) -> None:
    goes = best_share(Pruner(kind="successive", keep=keep, startup=0), standings)
    for trial, mine in standings.items():
        rivals = [other for other in standings if costs_no_more(standings[other], mine)]
        ahead = sum((-standings[other].accuracy, other) < (-mine.accuracy, trial) for other in rivals)
        assert (trial in goes) == (ahead < max(1, int(len(rivals) * keep)))


@given(st.dictionaries(st.integers(0, 50), STANDINGS, max_size=8))
def test_all_go_on_where_there_are_too_few_to_compare(standings: dict[int, Standing]) -> None:
    assert best_share(Pruner(kind="successive", keep=0.1, startup=8), standings) == set(standings)

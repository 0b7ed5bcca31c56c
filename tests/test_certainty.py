"""Intervals and tests, against tables and laws."""

from itertools import pairwise
from math import isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cnnsearch.certainty import (
    accuracy_interval,
    holm,
    least_difference,
    mean_interval,
    paired_p,
    pooled_deviation,
    share_interval,
    surely,
)

SHARES = st.floats(0, 1)


def test_a_single_value_has_no_interval() -> None:
    assert mean_interval([0.99]) is None


@given(st.lists(SHARES, min_size=2, max_size=8))
def test_the_mean_lies_in_the_middle_of_its_interval(values: list[float]) -> None:
    interval = mean_interval(values)
    assert interval
    assert isclose(sum(interval) / 2, sum(values) / len(values), abs_tol=1e-9)


def test_the_interval_of_three_values_is_that_of_the_table_of_t() -> None:
    low, high = mean_interval([1.0, 2.0, 3.0]) or (0, 0)
    assert (high - low) / 2 == pytest.approx(4.303 / 3**0.5, abs=1e-3)


@given(st.integers(1, 10_000), st.data())
def test_a_share_lies_in_its_interval_which_never_leaves_0_to_1(of: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, of))
    low, high = share_interval(count, of)
    assert -1e-9 <= low <= count / of + 1e-9
    assert count / of - 1e-9 <= high <= 1 + 1e-9


@given(st.integers(1, 10_000), st.data())
def test_a_share_has_the_interval_that_scipy_gives(of: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, of))
    theirs = stats.binomtest(count, of).proportion_ci(0.95, method="wilson")
    assert share_interval(count, of) == (pytest.approx(theirs.low, abs=1e-12), pytest.approx(theirs.high, abs=1e-12))


@given(st.integers(0, 500), st.integers(0, 500))
def test_two_that_differ_so_often_have_the_p_value_that_scipy_gives(only: int, only_other: int) -> None:
    wrong, other = {*range(only)}, {*range(only, only + only_other)}
    theirs = stats.binomtest(only, only + only_other).pvalue if only + only_other else 1.0
    assert paired_p(wrong, other) == pytest.approx(theirs, rel=1e-9)


@given(st.integers(1, 200), st.floats(0.0001, 1))
def test_two_values_are_told_apart_as_student_says(freedom: int, deviation: float) -> None:
    theirs = float(stats.t.ppf(0.975, freedom)) * deviation * 2**0.5
    assert least_difference(deviation, freedom) == pytest.approx(theirs, rel=1e-9)


@given(st.sets(st.integers(0, 60)), st.sets(st.integers(0, 60)))
def test_the_paired_test_has_no_sides_and_looks_only_at_where_two_differ(wrong: set[int], other: set[int]) -> None:
    p_value = paired_p(wrong, other)
    assert 0 < p_value <= 1
    assert p_value == paired_p(other, wrong) == paired_p(wrong | {99}, other | {99})


@given(st.lists(SHARES, min_size=1, max_size=8))
def test_corrected_p_values_are_no_smaller_keep_their_order_and_stay_below_1(p_values: list[float]) -> None:
    corrected = holm(p_values)
    assert all(raw <= new <= 1 for raw, new in zip(p_values, corrected, strict=True))
    ranked = [new for _, new in sorted(zip(p_values, corrected, strict=True))]
    assert all(first <= second for first, second in pairwise(ranked))
    assert min(corrected) == min(1, len(p_values) * min(p_values))


def test_without_two_values_in_a_group_there_is_no_deviation() -> None:
    assert pooled_deviation([[0.5], [0.7]]) == (0.0, 0)
    assert least_difference(0.0, 0) == 0.0


def test_groups_of_one_mean_pool_to_the_deviation_of_all_but_for_their_freedom() -> None:
    assert pooled_deviation([[0.0, 2.0], [0.0, 2.0]]) == (pytest.approx(2**0.5), 2)


@given(st.lists(st.integers(0, 50), min_size=2, max_size=5), st.integers(50, 10_000))
def test_an_accuracy_is_never_surer_than_as_many_independent_readings(right: list[int], images: int) -> None:
    accuracies = [count / images for count in right]
    low, high = accuracy_interval(accuracies, images) or (1, 0)
    least, most = share_interval(sum(right), len(right) * images)
    assert 0 <= low <= least <= most <= high <= 1
    assert low < high
    assert surely(accuracies, images) == low


def test_seeds_that_agree_by_chance_meet_no_floor_at_their_mean() -> None:
    assert surely([0.98, 0.98], None) == 0.98  # a record that does not tell how many images there were
    assert surely([0.98, 0.98], 100) < 0.96

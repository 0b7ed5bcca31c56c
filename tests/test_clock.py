"""The minutes of a call, by a clock that the test moves."""

from collections.abc import Callable

import pytest

from cnnsearch.study import clock
from cnnsearch.study.clock import Clock


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    now = [0.0]
    monkeypatch.setattr(clock.time, "monotonic", lambda: now[0])
    return lambda seconds: now.__setitem__(0, seconds)


def test_a_call_that_goes_on_with_nothing_ends_with_its_minutes(at: Callable[[float], None]) -> None:
    minutes, endless = Clock(1, {}), Clock(None, {})
    at(60)
    assert (minutes.is_late, minutes.is_over({0, 1})) == (False, False)
    at(61)
    assert (minutes.is_late, minutes.is_over({0, 1})) == (True, True)
    at(1e9)
    assert (endless.is_late, endless.is_over({0, 1})) == (False, False)


def test_each_training_that_an_earlier_call_was_cut_in_comes_to_the_end_of_an_epoch(
    at: Callable[[float], None],
) -> None:
    minutes = Clock(1, {3: 0, 4: 2})
    at(61)
    minutes.hear(3, 1)
    assert not minutes.is_over({3, 4})
    minutes.hear(4, 2)
    assert not minutes.is_over({3, 4}), "that epoch was known"
    minutes.hear(4, 3)
    assert minutes.is_over({3, 4})


def test_a_training_that_began_in_this_call_is_not_waited_for_where_another_came_on(
    at: Callable[[float], None],
) -> None:
    minutes = Clock(1, {3: 0})
    at(61)
    assert not minutes.is_over({7}), "nothing came on"
    minutes.hear(3, 1)
    assert minutes.is_over({3, 7})
    assert Clock(1, {3: 0}).is_over(set()) is False


def test_twice_the_minutes_are_the_most(at: Callable[[float], None]) -> None:
    minutes = Clock(1, {3: 0})
    at(120)
    assert not minutes.is_over({3})
    at(121)
    assert minutes.is_over({3})


def test_a_training_that_ended_is_work_that_is_kept(at: Callable[[float], None]) -> None:
    minutes = Clock(1, {3: 0})
    at(61)
    minutes.hear_end()
    assert minutes.is_over(set())

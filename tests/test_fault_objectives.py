"""A few cases of each goal of what trainings do; one is also seen to fail once what it guards is taken away."""

import sys

import goals_objectives as objectives
import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is limited on Linux alone")


def test_trainings_that_misbehave_cost_no_other_and_are_classed_right() -> None:
    objectives.trials(10)


def test_a_failure_that_is_classed_wrong_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNSEARCH_BROKEN", "reasons")
    with pytest.raises(AssertionError, match=r"trial 4 did 'take_ten_gigabytes' and ended as .failed, bug: "):
        objectives.trials(10)


def test_finals_in_which_a_training_hangs_end_with_the_others() -> None:
    objectives.finals(1)

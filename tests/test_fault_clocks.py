"""Half of the cases of the goal of clocks, which fails where durations are measured by a clock that is set."""

import sys
from pathlib import Path

import goals_clocks as clocks
import pytest

FEW = clocks.CASES[2:5]
needs_shim = pytest.mark.skipif(
    sys.platform != "linux" or not Path("/usr/bin/cc").exists(), reason="a clock is set by LD_PRELOAD and a C compiler"
)


@needs_shim
@pytest.mark.parametrize("case", FEW, ids=lambda case: case.what)
def test_a_clock_that_is_set_changes_nothing(case: clocks.Case) -> None:
    clocks.keeps_time(case)


@needs_shim
def test_a_study_goes_on_after_its_clock_was_set_back() -> None:
    clocks.set_back_between()


@needs_shim
def test_minutes_are_real_ones() -> None:
    clocks.ends_in_time()


@needs_shim
def test_the_minutes_of_a_trial_are_real_ones() -> None:
    clocks.gives_up_in_time()


@pytest.mark.parametrize("who", ["worker", "coordinator"])
@needs_shim
def test_who_stands_still_is_not_dead(who: str) -> None:
    clocks.stands_still(who, 1)


@needs_shim
def test_a_study_that_measures_by_a_clock_that_is_set_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNSEARCH_BROKEN", "clock")
    with pytest.raises(AssertionError, match="an hour on: exit status 1"):
        clocks.keeps_time(clocks.CASES[0])

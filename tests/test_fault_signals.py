"""A few cases of the goal of signals; it is also seen to fail once nobody listens to them."""

import signal

import goals_signals
import pytest


@pytest.mark.parametrize("phase", goals_signals.PHASES)
def test_a_study_ends_politely_in_each_phase(phase: str) -> None:
    number, again = goals_signals.ENDS[goals_signals.PHASES.index(phase) % len(goals_signals.ENDS)]
    goals_signals.end_in(phase, number, again=again)


def test_a_study_ends_politely_at_random_moments() -> None:
    goals_signals.end_at_moments(3)


def test_a_study_that_does_not_listen_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNSEARCH_BROKEN", "signals")
    with pytest.raises(AssertionError, match="ended in training by SIGTERM with exit status -15"):
        goals_signals.end_in("training", signal.SIGTERM, again=False)

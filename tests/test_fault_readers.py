"""A few who look at a small study; those who find what cannot be say so."""

import sys

import goals_readers as readers
import pytest
from looking import WAYS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux tells what a thread waits for")


def test_who_looks_at_a_study_sees_whole_states_and_is_in_nobodys_way() -> None:
    assert readers.looked_at(20, tuple(WAYS)).looks >= len(WAYS)


def test_a_record_whose_epochs_come_late_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNSEARCH_BROKEN", "epochs")
    with pytest.raises(AssertionError, match=r"looks found what cannot be: .*is complete with"):
        readers.looked_at(21, ("read",))

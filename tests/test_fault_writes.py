"""A few cases of each goal of writes; each is also seen to fail once what it guards is taken away."""

import goals_writes as writes
import pytest
from disk import MISSING

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)


def test_a_crash_or_an_error_at_any_call_loses_nothing() -> None:
    writes.crashes(3)


@pytest.mark.parametrize(
    ("guard", "file", "seen"),
    [("rename", "plan.json", "not readable as JSON"), ("tail", "record.jsonl", "not an event of a run")],
)
def test_a_file_that_a_crash_tore_is_noticed(guard: str, file: str, seen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNSEARCH_BROKEN", guard)
    with pytest.raises(AssertionError, match=seen):
        writes.crashes_at(6, file)


def test_a_power_cut_at_any_moment_loses_nothing() -> None:
    writes.power_cuts(3)


@pytest.mark.parametrize("guard", ["fsync", "folder"])
def test_what_never_was_brought_to_the_disk_is_noticed(guard: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNSEARCH_BROKEN", guard)
    with pytest.raises(AssertionError, match="lost: "):
        writes.power_cuts_after(8, "[1/3]")

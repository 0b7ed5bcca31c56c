"""A few cases of each goal of kills; two are also seen to fail once their guard is taken away."""

import os

import goals_kills as kills
import pytest


def test_killed_workers_lose_nothing() -> None:
    kills.workers(4)


def test_killed_coordinators_lose_nothing() -> None:
    kills.coordinators(3)


def test_a_record_that_is_written_late_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNSEARCH_BROKEN", "record")
    with pytest.raises(AssertionError, match="lost: "):
        kills.coordinators(8)


def test_a_study_that_was_killed_equals_one_that_was_not() -> None:
    kills.equal(1)


def test_of_eight_coordinators_one_owns_the_study() -> None:
    kills.owners(1)


def test_a_study_without_a_lock_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNSEARCH_BROKEN", "lock")
    with pytest.raises(AssertionError, match=r"owner|another error"):
        kills.owners(1)


@pytest.mark.skipif(os.geteuid() != 0, reason="a small file system is mounted by root alone")
def test_a_full_disk_loses_nothing_and_the_study_goes_on() -> None:
    kills.full_disks(3)


def test_many_trials_hold_no_more_than_few() -> None:
    kills.leaks(100)

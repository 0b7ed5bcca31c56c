"""A few cases of each goal of changed plans and images; that of plans is seen to fail where its guard is taken away."""

import goals_changes as changes
import pytest


def test_another_plan_under_the_name_of_a_run_is_refused() -> None:
    changes.plans(1)


def none(*_: object) -> tuple[str, ...]:
    return ()


def test_a_study_that_takes_any_plan_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnnsearch.study.kept.differences", none)
    with pytest.raises(AssertionError, match="dataset was refused, and something of the run is another"):
        changes.plans(1)


def test_other_images_under_the_name_of_a_data_set_are_refused() -> None:
    changes.images(5)

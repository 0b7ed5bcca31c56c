"""What more trials may add: laws over drawn scores, then the sentence, then studies that go on until it is little."""

import json
import random
from collections.abc import Iterator
from math import log
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from study_rig import ONE_CANDIDATE, SIX_NETWORKS, cut_off, in_turn, interrupt, learn, plan, search, tell

from cnnsearch import history, record
from cnnsearch.errors import InvalidSpecError
from cnnsearch.events import Retrained
from cnnsearch.gain import Gain, expected_gain, rise
from cnnsearch.messages import Done, Event, Job
from cnnsearch.noise import noise_of
from cnnsearch.report.enough import in_words, sentence
from cnnsearch.study import asking

pytestmark = pytest.mark.usefixtures("no_wait_for_the_disk")

SCORES = st.lists(st.floats(0, 1), min_size=4, max_size=60)


@given(SCORES, st.integers(0, 100), st.integers(1, 100))
def test_more_trials_promise_more_and_never_a_loss(scores: list[float], stopped: int, more: int) -> None:
    draws = len(scores) + stopped
    expected, at_most = rise(scores, draws, more)
    assert 0 <= expected <= at_most
    assert expected <= rise(scores, draws, more + 1)[0]


@given(SCORES, st.randoms(use_true_random=False))
def test_the_order_of_scores_and_equal_shifts_of_all_change_nothing(scores: list[float], dice: random.Random) -> None:
    mixed = dice.sample(scores, len(scores))
    assert rise(mixed, len(mixed), 50) == rise(scores, len(scores), 50)
    moved = [score + 1 for score in scores]
    assert rise(moved, len(moved), 50) == pytest.approx(rise(scores, len(scores), 50), abs=1e-12)


def test_of_an_exponential_tail_it_is_right_on_average() -> None:
    dice = random.Random(7)
    expected, within = [], []
    for _ in range(2_000):
        mid, most = rise([dice.expovariate(1) for _ in range(20)], 20, 20)
        expected.append(mid)
        within.append(log(2) <= most)
    assert mean(expected) == pytest.approx(log(2), rel=0.05)  # the mean of the greatest of n grows as 1 + 1/2 + ... 1/n
    assert 0.95 < mean(within) < 0.99  # taken for chi-squared, the sum's lower tail is a little too long


@pytest.mark.parametrize(
    ("gain", "said"),
    [
        (
            Gain(50, 0.002, 0.009, 0.001, of_seeds=True),
            "more than seeds do (0.10 points).",
        ),
        (
            Gain(50, 0.0002, 0.0009, 0.001, of_seeds=False),
            "less than the choice of validation images does (0.10 points).",
        ),
    ],
)
def test_the_gain_is_said_beside_the_noise(gain: Gain, said: str) -> None:
    expected, at_most = 100 * gain.expected, 100 * gain.at_most
    told = f"50 more trials may add about {expected:.2f} points to the best score (95 %: at most {at_most:.2f})"
    assert in_words(gain) == f"{told}, {said}"
    assert in_words(gain._replace(noise=None)) == f"{told}."


def test_a_gain_of_all_there_is_to_gain_is_no_forecast() -> None:
    gain = Gain(50, 0.3, 0.3, 0.001, of_seeds=True, left=0.3)
    law = "50 more trials may add as much as there is to add (30.00 points)"
    assert in_words(gain) == f"{law}: the scores so far lie too far apart to tell."
    assert in_words(gain._replace(noise=0.4)).endswith("less than seeds do (40.00 points).")


def test_finals_shorter_than_the_search_tell_nothing_of_its_noise(tmp_path: Path) -> None:
    run, _ = search(plan(tmp_path, SIX_NETWORKS, budget={"trials": 4}))
    best = run.ranked[0]
    for epochs, freedom in ((1, 0), (2, 2), (9, 2)):
        finals = {"candidates": 1, "finalists": 1, "baselines": [], "epochs": epochs}
        held = run._replace(plan={**run.plan, "finals": finals})
        recipe = held.finals.recipe(best.recipe)
        given = {"entrant": best.name, "state": "complete", "parameters": 1, "macs": 1, "recipe": recipe}
        trainings = [Retrained(**given, seed=seed, accuracies=(0.5 + seed / 10,)) for seed in range(3)]
        assert noise_of(held._replace(retrained=tuple(trainings))).freedom == freedom


def test_with_three_scores_nothing_is_said(tmp_path: Path) -> None:
    run, _ = search(plan(tmp_path, SIX_NETWORKS, budget={"trials": 3}))
    assert expected_gain(run) is None
    assert sentence(run) == ""


def test_without_repetitions_the_noise_is_that_of_the_validation_images(tmp_path: Path) -> None:
    run, _ = search(plan(tmp_path, SIX_NETWORKS, budget={"trials": 4}))
    best = max(trial.score or 0 for trial in run.trials)
    gain = expected_gain(run)
    assert gain
    assert not gain.of_seeds
    assert gain.noise == pytest.approx((best * (1 - best) / 300) ** 0.5)


# Repetitions


def test_a_candidate_drawn_again_may_be_trained_with_another_seed(tmp_path: Path) -> None:
    wanted = plan(tmp_path, SIX_NETWORKS, budget={"trials": 20}, pruner={"kind": "none"}, repeats="seed")
    run, executor = search(wanted)
    assert run.state == "complete"
    assert len(executor.jobs) == len({job.seed for job in executor.jobs}) == run.count("complete") == 20
    assert run.count("repeated") == 0
    distinct = len({trial.fingerprint for trial in run.trials})
    assert distinct <= 6
    assert noise_of(run).freedom == 20 - distinct


def test_repetitions_are_a_part_of_what_decides_and_older_plans_keep_their_names(tmp_path: Path) -> None:
    usual = plan(tmp_path, SIX_NETWORKS)
    assert plan(tmp_path, SIX_NETWORKS, repeats="record").fingerprint == usual.fingerprint
    assert plan(tmp_path, SIX_NETWORKS, repeats="seed").fingerprint != usual.fingerprint


# Until nothing more is expected


def equal(job: Job) -> Iterator[Event]:
    """Read the same share right whatever is trained."""
    yield tell(job, 1, 0.9)
    yield tell(job, 2, 0.9)
    yield Done(trial=job.trial, stopped=False)


def test_a_study_goes_on_budget_after_budget_until_only_noise_is_expected(tmp_path: Path) -> None:
    run, executor = search(plan(tmp_path, SIX_NETWORKS, budget={"trials": 4, "until_flat": True}, repeats="seed"))
    gain = expected_gain(run)
    assert run.state == "complete"
    assert len(executor.jobs) % 4 == 0
    assert len(executor.jobs) > 4
    assert gain
    assert gain.is_flat
    again, more = search(plan(tmp_path, SIX_NETWORKS, budget={"trials": 4, "until_flat": True}, repeats="seed"))
    assert not more.jobs
    assert again.trials == run.trials


def test_a_study_that_was_cut_in_a_later_part_ends_like_one_that_was_not(tmp_path: Path) -> None:
    fields: dict[str, Any] = {
        "budget": {"trials": 6, "until_flat": True},
        "repeats": "seed",
        "pruner": {"kind": "successive", "rungs": [1], "keep": 0.7, "startup": 0},
    }
    whole, _ = search(plan(tmp_path / "whole", SIX_NETWORKS, **fields))
    assert len(whole.trials) > 6, "this seed tells nothing: the first part is flat"
    for jobs in (12, 13, 14):
        wanted = plan(tmp_path / f"cut {jobs}", SIX_NETWORKS, **fields)
        with pytest.raises(KeyboardInterrupt):
            search(wanted, in_turn(*[learn] * jobs, cut_off))
        cut, _ = search(wanted)
        assert [(trial.asked, trial.state, trial.score) for trial in cut.trials] == [
            (trial.asked, trial.state, trial.score) for trial in whole.trials
        ]
        assert json.loads((wanted.folder / "plan.json").read_text())["budget"]["trials"] == 6


def test_a_repetition_that_was_cut_has_no_place_in_the_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(asking, "MOST_ASKS_IN_VAIN", 2)
    wanted = plan(tmp_path, ONE_CANDIDATE, budget={"trials": 2, "until_flat": True})
    with pytest.raises(KeyboardInterrupt):
        search(wanted, interrupt, slots=2)
    assert history.read(wanted.folder).count("running") == 3, "two of them repeat the first"
    search(wanted, slots=2, quiet=False)
    assert capsys.readouterr().out.startswith(f"{wanted.folder}: 2 trials; ")


def test_with_all_images_read_right_nothing_is_left_to_gain(tmp_path: Path) -> None:
    run, _ = search(plan(tmp_path, SIX_NETWORKS, budget={"trials": 4}))
    right = [trial.model_copy(update={"score": 1 - trial.number / 10}) for trial in run.trials]
    gain = expected_gain(run._replace(trials=tuple(right)))
    assert gain
    assert (gain.expected, gain.at_most, gain.is_flat) == (0, 0, True)
    assert in_words(gain) == "More trials can add nothing to the best score: it has every validation image right."


def test_a_study_that_cannot_tell_whether_it_is_flat_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    search(plan(tmp_path, SIX_NETWORKS, budget={"trials": 2, "until_flat": True}), quiet=False)
    law = "what more trials may add cannot be told from 2 complete ones; --trials N goes on"
    assert capsys.readouterr().out.splitlines()[-1] == law


def test_what_the_finals_tell_of_the_noise_begins_no_new_search(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fields: dict[str, Any] = {"budget": {"trials": 2, "until_flat": True}, "repeats": "seed"}
    wanted = plan(tmp_path, SIX_NETWORKS, **fields)
    first, _ = search(wanted)
    assert len(first.trials) == 2, "too few are complete to tell"
    with record.own(wanted.folder) as to:
        to.append(Retrained(entrant="trial 0", seed=0, state="complete", parameters=1, macs=1, accuracies=(0.5,)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cnnsearch.study.conduct.expected_gain", lambda _: Gain(50, 1.0, 1.0, 0.1, of_seeds=True))
        assert search(wanted, quiet=False)[1].jobs == []
    law = "--until-flat searches no further, as the finals have begun; --trials N does"
    assert capsys.readouterr().out.splitlines()[-1] == law


def test_a_flat_study_is_over_with_its_first_budget(tmp_path: Path) -> None:
    wanted = plan(tmp_path, SIX_NETWORKS, budget={"trials": 4, "until_flat": True}, repeats="seed")
    assert len(search(wanted, equal)[1].jobs) == 4


def test_a_study_of_which_nothing_is_left_is_over_however_steep(tmp_path: Path) -> None:
    run, executor = search(plan(tmp_path, SIX_NETWORKS, budget={"trials": 4, "until_flat": True}), learn)
    assert (run.state, len(executor.jobs)) == ("exhausted", 6)
    assert expected_gain(run) is None
    assert expected_gain(run._replace(state="complete"))


def test_the_gain_of_several_objectives_is_not_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpecError) as caught:
        plan(tmp_path, SIX_NETWORKS, budget={"until_flat": True}, objectives={"parameters": {}})
    assert str(caught.value) == (
        "budget.until_flat: what more trials may add is told of accuracy alone, and the plan has other objectives; "
        "leave it out"
    )

"""What a search tries next, and what it does not train; told by scripts in place of training."""

from pathlib import Path

import pytest
from study_rig import (
    ONE_CANDIDATE,
    SCRIPTS,
    SIX_NETWORKS,
    die,
    events,
    in_turn,
    interrupt,
    learn,
    network,
    plan,
    scores,
    search,
    states,
)

from cnnsearch import afford, history
from cnnsearch.network import Network
from cnnsearch.plan import Plan
from cnnsearch.study import asking
from cnnsearch.study.ledger import Ledger, Need

pytestmark = pytest.mark.usefixtures("no_wait_for_the_disk")


# Asked ahead


def story_of(wanted: Plan) -> list[tuple[str, int]]:
    """Give the record without the words of the study itself."""
    return [(line["event"], line["trial"]) for line in events(wanted.folder) if "trial" in line]


def test_the_next_candidate_is_asked_while_the_last_one_trains_and_starts_at_once(tmp_path: Path) -> None:
    search(wanted := plan(tmp_path, budget={"trials": 3}))
    assert story_of(wanted) == [
        ("asked", 0), ("started", 0), ("asked", 1), ("finished", 0),
        ("started", 1), ("asked", 2), ("finished", 1),
        ("started", 2), ("finished", 2),
    ]  # fmt: skip


@pytest.mark.parametrize("slots", [1, 2, 5])
def test_no_more_than_one_candidate_is_asked_ahead(slots: int, tmp_path: Path) -> None:
    search(wanted := plan(tmp_path, budget={"trials": 9}), slots=slots)
    asked = done = 0
    for event, _ in story_of(wanted):
        asked += event == "asked"
        done += event == "finished"
        assert asked <= min(9, done + slots + 1)


def test_after_a_candidate_that_came_to_nothing_the_next_one_waits_for_a_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "MOST_ASKS_IN_VAIN", 3)
    search(wanted := plan(tmp_path, ONE_CANDIDATE, budget={"trials": 6}))
    assert story_of(wanted)[:6] == [
        ("asked", 0), ("started", 0), ("asked", 1), ("finished", 0), ("finished", 1), ("asked", 2),
    ]  # fmt: skip


def test_a_candidate_asked_ahead_is_the_first_of_a_study_that_goes_on(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        search(wanted := plan(tmp_path, budget={"trials": 3}), in_turn(learn, interrupt))
    assert states(history.read(wanted.folder)) == ["complete", "running", "running"]
    run, executor = search(wanted)
    assert [job.trial for job in executor.jobs] == [1, 2]
    assert [(trial.attempts, trial.state) for trial in run.trials] == [
        (1, "complete"),
        (2, "complete"),
        (1, "complete"),
    ]


def test_a_candidate_whose_worker_died_is_tried_again_before_the_one_asked_ahead(tmp_path: Path) -> None:
    _, executor = search(plan(tmp_path, budget={"trials": 3}), in_turn(learn, die))
    assert [job.trial for job in executor.jobs] == [0, 1, 1, 2]


# Candidates that are not trained


def test_a_candidate_over_a_limit_is_turned_away_and_not_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(afford, "MOST_FILLINGS", 0)  # as if the space were too large to look ahead
    monkeypatch.setattr(asking, "MOST_ASKS_IN_VAIN", 3)
    run, executor = search(plan(tmp_path, budget={"trials": 4}, limits={"max_parameters": 37}))
    assert (run.state, states(run), executor.jobs) == ("no_new_candidate", ["turned_away"] * 3, [])
    for trial in run.trials:
        assert trial.reason == f"parameters {trial.parameters} exceeds the limit by {trial.parameters / 37 - 1:.1%}"


def test_of_a_space_with_limits_only_what_keeps_them_is_drawn_until_all_of_it_was_tried(tmp_path: Path) -> None:
    run, executor = search(plan(tmp_path, SIX_NETWORKS, budget={"trials": 50}, limits={"max_parameters": 70}))
    assert (run.state, set(states(run)), len(executor.jobs)) == ("exhausted", {"complete"}, 4)
    assert max(trial.parameters for trial in run.trials) <= 70


def test_a_candidate_seen_before_is_answered_from_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "MOST_ASKS_IN_VAIN", 3)
    run, executor = search(plan(tmp_path, ONE_CANDIDATE, budget={"trials": 2}))
    repeated = [trial for trial in run.trials if trial.state == "repeated"]
    assert repeated
    for trial in repeated:
        assert trial.of is not None
        assert (trial.score, trial.fingerprint) == (run.trials[trial.of].score, run.trials[trial.of].fingerprint)
    assert len(executor.jobs) == run.count("complete") == 1


def test_a_candidate_in_training_is_waited_for_by_its_repetition(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "MOST_ASKS_IN_VAIN", 2)
    run, executor = search(plan(tmp_path, ONE_CANDIDATE, budget={"trials": 2}), slots=2)
    assert states(run) == ["complete", "repeated", "repeated"]
    assert scores(run) == [run.trials[0].score] * 3
    assert len(executor.jobs) == 1


def test_a_repetition_waits_over_an_interruption_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "MOST_ASKS_IN_VAIN", 1)
    wanted = plan(tmp_path, ONE_CANDIDATE, budget={"trials": 2})
    with pytest.raises(KeyboardInterrupt):
        search(wanted, interrupt, slots=2)
    assert states(history.read(wanted.folder)) == ["running", "running"]
    run, executor = search(wanted, slots=2)
    assert states(run)[:2] == ["complete", "repeated"]
    assert [job.trial for job in executor.jobs] == [0]


def test_start_networks_are_tried_first_in_their_order(tmp_path: Path) -> None:
    run, executor = search(plan(tmp_path, start=[network(7), network(5)], budget={"trials": 3}))
    assert [job.network.model_dump(exclude_defaults=True)["blocks"][0] for job in executor.jobs[:2]] == [
        network(7)["blocks"][0], network(5)["blocks"][0],
    ]  # fmt: skip
    assert [bool(trial.asked) for trial in run.trials] == [False, False, True]


def test_a_start_network_over_a_limit_is_turned_away(tmp_path: Path) -> None:
    run, _ = search(plan(tmp_path, start=[network(7)], budget={"trials": 1}, limits={"max_parameters": 100}))
    assert states(run)[0] == "turned_away"
    assert run.count("complete") == 1


def test_what_is_over_a_limit_stands_for_nobody_that_computes_the_same_in_place(tmp_path: Path) -> None:
    conv = {"out_channels": 20, "kernel_size": 1}
    blocks = [[{"conv": conv, "batchnorm": None, "relu": {"inplace": inplace}}] for inplace in (False, True)]
    one, other = ({**network(1), "blocks": each} for each in blocks)
    costs = [Network.model_validate(each).cost.activation_bytes for each in (one, other)]
    assert costs[1] < costs[0]
    limits = {"max_activation_bytes": costs[1]}
    run, _ = search(plan(tmp_path, start=[one, other], budget={"trials": 1}, limits=limits))
    assert states(run)[:2] == ["turned_away", "complete"]


# What is known to need too much memory


def test_what_needs_as_much_as_a_trial_out_of_memory_is_turned_away(tmp_path: Path) -> None:
    tried = [network(7), network(8), network(6)]
    run, executor = search(plan(tmp_path, start=tried, budget={"trials": 2}), in_turn(SCRIPTS["fill the memory"]))
    assert states(run) == ["failed", "turned_away", "complete"]
    assert [job.trial for job in executor.jobs] == [0, 2]
    assert run.trials[0].reason == "out of memory: MemoryError"
    assert run.trials[1].reason == (
        "out of memory: needs at least what trial 0 ran out of memory with (batch 32, 164 parameters, 2,338 "
        "multiply-adds, 2,016 bytes of maps): batch 32, 186 parameters, 2,672 multiply-adds, 2,304 bytes of maps; "
        "a smaller batch or network may fit"
    )


def test_what_was_too_large_is_known_after_a_resume(tmp_path: Path) -> None:
    search(plan(tmp_path, start=[network(7), network(8)], budget={"trials": 1}), in_turn(SCRIPTS["fill the memory"]))
    run, executor = search(plan(tmp_path, start=[network(7), network(8)], budget={"trials": 2}))
    assert states(run)[:2] == ["failed", "turned_away"]
    assert 1 not in {job.trial for job in executor.jobs}


@pytest.mark.parametrize(
    ("need", "first"),
    [
        (Need(128, 10, 100, 1000), 3),
        (Need(256, 11, 101, 1001), 3),
        (Need(64, 10, 100, 1000), None),
        (Need(128, 9, 1000, 9000), None),
        (Need(128, 11, 99, 9000), None),
        (Need(128, 11, 1000, 999), None),
    ],
)
def test_only_more_of_everything_is_known_to_need_more(tmp_path: Path, need: Need, first: int | None) -> None:
    run, _ = search(wanted := plan(tmp_path, budget={"trials": 1}))
    ledger = Ledger(run, wanted)
    ledger.too_much = {3: Need(128, 10, 100, 1000)}
    assert ledger.needs_too_much(9, need) == first
    assert ledger.needs_too_much(0, need) is None, "it has had an epoch"

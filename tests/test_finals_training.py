"""How the entrants of the finals are trained, in whatever way a training or a call ends."""

from pathlib import Path

import pytest
from finals_rig import FINALS, WITH_FINALS, run_of, train
from study_rig import (
    Script,
    cut_off,
    die,
    end_of,
    events,
    fail,
    in_turn,
    interrupt,
    learn,
    processes_in,
    run,
    start,
    text_of,
    until,
    write_plan,
)

from cnnsearch import history
from cnnsearch.causes import Cause
from cnnsearch.evaluate.entrants import Training, field
from cnnsearch.evaluate.training import weights_name
from cnnsearch.messages import CHECKPOINT, checkpoint_of
from cnnsearch.plan import Plan

pytestmark = pytest.mark.usefixtures("no_wait_for_the_disk")


def told(folder: Path) -> set[tuple[str, int, tuple[float, ...]]]:
    return {(event.entrant, event.seed, event.accuracies) for event in history.read(folder).retrained}


def test_finals_cut_anywhere_end_like_those_that_were_not(tmp_path: Path) -> None:
    whole = run_of(tmp_path / "whole")
    jobs = train(whole, learn).jobs
    for cut in range(len(jobs)):
        folder = run_of(tmp_path / str(cut))
        scripts: list[Script] = [learn] * cut
        with pytest.raises(KeyboardInterrupt):
            train(folder, in_turn(*scripts, cut_off))
        again = train(folder, learn).jobs
        assert told(folder) == told(whole)
        assert [job.seed for job in again] == [job.seed for job in jobs[cut:]]


def test_what_a_training_may_go_on_from_is_kept_until_it_is_over(tmp_path: Path) -> None:
    folder = run_of(tmp_path)
    (folder / "finals").mkdir()
    asked = Plan.model_validate({**history.plan_of(folder), "finals": FINALS})
    first = field(asked, history.read(folder)).candidates[0]
    longer = first._replace(recipe=first.recipe.model_copy(update={"epochs": 9}))
    second_seed, other_epochs = (
        checkpoint_of(folder / weights_name(Training(entrant, 1), "entrant")) for entrant in (first, longer)
    )
    for checkpoint in (second_seed, other_epochs):
        checkpoint.touch()
    with pytest.raises(KeyboardInterrupt):  # before it is known who has a second seed
        train(folder, interrupt)
    assert second_seed.exists()
    assert not other_epochs.exists()
    train(folder, learn)
    assert not list((folder / "finals").glob(f"*{CHECKPOINT}"))


def test_a_training_may_take_any_time_where_the_plan_sets_no_limit(tmp_path: Path) -> None:
    assert {job.seconds for job in train(run_of(tmp_path), learn).jobs} == {None}


def test_seeds_are_fresh_and_all_differ(tmp_path: Path) -> None:
    folder = run_of(tmp_path)
    seeds = [job.seed for job in train(folder, learn).jobs]
    assert len({*seeds}) == len(seeds) == 5


def test_a_worker_that_dies_costs_an_attempt_and_the_third_death_the_training(tmp_path: Path) -> None:
    folder = run_of(tmp_path)
    jobs = train(folder, in_turn(die, die, die)).jobs
    first, *others = history.read(folder).retrained
    assert (first.state, {other.state for other in others}) == ("failed", {"complete"})
    spent = [job.spent for job in jobs if job.seed == jobs[0].seed]
    assert 0 == spent[0] < spent[1] < spent[2], "against its limit of time"
    assert first.reason == ("worker died: 3 workers did, the last one so: worker 0 was ended by SIGKILL")


def test_a_training_short_of_memory_beside_others_is_tried_again_and_a_diverged_one_is_not(tmp_path: Path) -> None:
    folder = run_of(tmp_path)
    jobs = train(folder, in_turn(fail("out of memory", "full", shared=True), learn, fail("diverged", "nan"))).jobs
    assert jobs[0] == jobs[1], "by its number the executor knows for whom it gave up a slot"
    assert len({job.trial for job in jobs}) == len(jobs) - 1
    assert [(each.state, each.reason) for each in history.read(folder).retrained][:2] == [
        ("complete", ""),
        ("failed", "diverged: nan"),
    ]


def test_weights_that_were_harmed_are_trained_again(tmp_path: Path) -> None:
    folder = run_of(tmp_path)
    train(folder, learn)
    harmed = history.read(folder).retrained[0]
    (folder / harmed.weights).write_bytes(b"harmed")
    assert len(train(folder, learn).jobs) == 1
    assert len(history.read(folder).retrained) == 5


def test_other_epochs_are_another_training(tmp_path: Path) -> None:
    folder = run_of(tmp_path)
    train(folder, learn)
    assert len(train(folder, learn, epochs=2).jobs) == 5


@pytest.mark.parametrize("reason", ["bug", "timeout", "out of memory"])
def test_what_ended_for_other_reasons_than_divergence_is_tried_again_by_the_next_call(
    tmp_path: Path, reason: Cause
) -> None:
    folder = run_of(tmp_path)
    train(folder, in_turn(fail(reason, "ours"), fail("diverged", "nan")))
    again = train(folder, learn).jobs
    states = {(each.entrant, each.seed): each.state for each in history.read(folder).retrained}
    assert again[0].seed == train(run_of(tmp_path / "twin"), learn).jobs[0].seed
    assert sorted(states.values()) == ["complete"] * (len(states) - 1) + ["failed"]


def test_finals_killed_at_any_moment_lose_nothing_and_open_once(tmp_path: Path) -> None:
    name = write_plan(tmp_path, WITH_FINALS)
    path = tmp_path / "runs" / "x" / "record.jsonl"
    for count in (1, 3, 6):  # trainings of networks, then of those and the baselines that are none
        process = start(tmp_path, name)
        until(lambda: text_of(path).count('"event":"retrained"') >= count or process.poll() is not None)  # noqa: B023
        process.kill()
        end_of(process)
        until(lambda: not processes_in(tmp_path), patience=5)
    acknowledged = text_of(path).rpartition("\n")[0]
    status, _, err = run(tmp_path, name)
    assert (status, err) == (0, "")
    assert text_of(path).startswith(acknowledged)
    trained = [(event["entrant"], event["seed"]) for event in events(path.parent) if event["event"] == "retrained"]
    assert len(trained) == len({*trained}) == 7
    assert [event["event"] for event in events(path.parent)].count("test_opened") == 1

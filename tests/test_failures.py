"""Trainings that fail and workers that die; told by scripts in place of training."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from study_rig import BUG, SCRIPTS, die, events, fail, in_turn, interrupt, learn, network, plan, search, states, tell

from cnnsearch import history
from cnnsearch.errors import DiskFullError, RunError, status_of
from cnnsearch.messages import Died, Event, Job

pytestmark = pytest.mark.usefixtures("no_wait_for_the_disk")


def test_a_worker_that_dies_costs_nothing_but_an_attempt(tmp_path: Path) -> None:
    run, executor = search(plan(tmp_path, budget={"trials": 2}), in_turn(die, die))
    assert states(run) == ["complete", "complete"]
    assert [job.trial for job in executor.jobs] == [0, 0, 0, 1]
    assert (run.trials[0].attempts, run.trials[0].deaths) == (3, 2)


def test_the_third_death_of_its_worker_ends_a_trial_and_not_the_study(tmp_path: Path) -> None:
    run, _ = search(plan(tmp_path, budget={"trials": 2}), in_turn(die, die, die))
    assert states(run) == ["failed", "complete"]
    reason = "worker died: 3 workers did, the last one so: worker 0 was ended by SIGKILL"
    assert run.trials[0].reason == reason


def test_deaths_are_counted_over_invocations_and_interruptions_are_none(tmp_path: Path) -> None:
    wanted = plan(tmp_path, budget={"trials": 1})
    with pytest.raises(KeyboardInterrupt):
        search(wanted, in_turn(die, die, interrupt))
    run, executor = search(wanted, in_turn(die))
    assert (states(run), len(executor.jobs)) == (["failed"], 1)


def test_the_time_of_one_whose_study_was_killed_at_its_third_death_is_that_of_its_epochs(tmp_path: Path) -> None:
    def dies_later(job: Job) -> Iterator[Event]:
        yield tell(job, 1, 0.5).model_copy(update={"seconds": 7.0})
        yield from die(job)

    wanted = plan(tmp_path, budget={"trials": 1})
    search(wanted, in_turn(die, die, dies_later))
    path = wanted.folder / "record.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    third = [place for place, line in enumerate(lines) if b'"worker_died":true' in line][2]
    path.write_bytes(b"".join(lines[: third + 1]))
    run, executor = search(wanted)
    assert (states(run), run.trials[0].seconds, executor.jobs) == (["failed"], 7.0, [])


def test_a_worker_that_dies_without_a_trial_changes_nothing(tmp_path: Path) -> None:
    def beside_a_restless_worker(job: Job) -> Iterator[Event]:
        yield Died(trial=None, exit=1, message="worker 1 ended with exit status 1")
        yield from learn(job)

    run, executor = search(plan(tmp_path, budget={"trials": 1}), beside_a_restless_worker)
    assert (states(run), run.trials[0].deaths, len(executor.jobs)) == (["complete"], 0, 1)


def test_five_bugs_in_a_row_end_the_study_as_failed(tmp_path: Path) -> None:
    run, executor = search(plan(tmp_path, budget={"trials": 9}), in_turn(*[BUG] * 9))
    assert (run.state, states(run), len(executor.jobs)) == ("failed", [*["failed"] * 5, "running"], 5)
    assert {trial.reason for trial in run.trials[:5]} == {"bug: KeyError: 'channels'"}


@pytest.mark.parametrize("between", ["learn", "diverge", "fill the memory"])
def test_bugs_that_are_not_in_a_row_end_nothing(between: str, tmp_path: Path) -> None:
    bugs = [BUG] * 4
    smaller = [network(channels) for channels in range(12, 3, -1)]
    run, _ = search(plan(tmp_path, start=smaller, budget={"trials": 9}), in_turn(*bugs, SCRIPTS[between], *bugs))
    assert (run.state, run.count("failed", "complete")) == ("complete", 9)


def test_workers_that_cannot_be_started_end_the_study_with_the_reason(tmp_path: Path) -> None:
    def refuse(job: Job) -> Iterator[Event]:
        yield tell(job, 1, 0.5)
        raise RunError("worker 0 on 'cuda' ended before it was ready")

    wanted = plan(tmp_path)
    with pytest.raises(RunError, match="worker 0 on 'cuda' ended before it was ready"):
        search(wanted, refuse)
    assert history.read(wanted.folder).state == "interrupted"


# Disk and memory


def test_a_full_disk_ends_the_study_and_the_same_call_trains_that_trial_again(tmp_path: Path) -> None:
    wanted = plan(tmp_path, budget={"trials": 3})
    with pytest.raises(DiskFullError) as error:
        search(wanted, in_turn(learn, fail("disk full", "w: cannot write 9 bytes")))
    assert str(error.value) == "w: cannot write 9 bytes"
    assert status_of(error.value) == 75
    cut = history.read(wanted.folder)
    assert (cut.state, states(cut)[:2]) == ("interrupted", ["complete", "running"])
    run, _ = search(wanted)
    assert states(run) == ["complete"] * 3
    assert [trial.attempts for trial in run.trials] == [1, 2, 1]
    assert run.trials[1].deaths == 0


def test_a_trial_out_of_memory_beside_others_is_tried_again(tmp_path: Path) -> None:
    wanted = plan(tmp_path, budget={"trials": 2})
    run, executor = search(wanted, in_turn(SCRIPTS["fill the memory beside others"]))
    assert states(run) == ["complete", "complete"]
    assert [(job.trial, job.seed) for job in executor.jobs[:2]] == [(0, executor.jobs[0].seed)] * 2
    assert (run.trials[0].attempts, run.trials[0].deaths) == (2, 0)
    told = [line for line in events(wanted.folder) if line["event"] == "interrupted"]
    assert [(line["reason"], line["worker_died"]) for line in told] == [("out of memory: MemoryError", False)]

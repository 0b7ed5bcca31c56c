"""Who goes on at a rung, and who is stopped; told by scripts in place of training."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from amount import examples
from hypothesis import given
from hypothesis import strategies as st
from rich.progress import TextColumn
from study_rig import (
    BUG,
    SIX_NETWORKS,
    TINY,
    Script,
    cut_off,
    die,
    events,
    fail,
    in_turn,
    learn,
    plan,
    scores,
    search,
    states,
    stopped_clock,
    tell,
)

from cnnsearch import history
from cnnsearch.history import Run
from cnnsearch.messages import Done, Epoch, Event, Job
from cnnsearch.study.ledger import Ledger
from cnnsearch.study.screen import Screen
from cnnsearch.terminal import Bar
from cnnsearch.units import percent

pytestmark = pytest.mark.usefixtures("no_wait_for_the_disk")


def at(*accuracies: float) -> Script:
    def script(job: Job) -> Iterator[Event]:
        for epoch, accuracy in enumerate(accuracies, start=1):
            yield tell(job, epoch, accuracy)
        yield Done(trial=job.trial, stopped=False)

    return script


FOUR_EPOCHS: Any = {"recipe": {"epochs": 4, "learning_rate": {"float": [0.003, 0.03]}}}


def test_a_trial_is_stopped_at_its_rung_and_counts(tmp_path: Path) -> None:
    wanted = plan(tmp_path, **FOUR_EPOCHS, budget={"trials": 3}, pruner={"kind": "median", "rungs": [2], "startup": 1})
    run, _ = search(wanted, in_turn(at(0.1, 0.8, 0.8, 0.9), at(0.5, 0.7, 0.9, 0.9), at(0.2, 0.75, 0.9, 0.95)))
    assert states(run) == ["complete", "stopped", "complete"]
    assert run.trials[1].reason == "stopped after epoch 2 of 4"
    assert scores(run) == [0.9, None, 0.95]


def test_what_an_attempt_that_died_told_is_forgotten_when_the_next_tells_less(tmp_path: Path) -> None:
    def dies_late(job: Job) -> Iterator[Event]:
        for epoch in (1, 2, 3):
            yield tell(job, epoch, 0.9)
        yield from die(job)

    def fails_early(job: Job) -> Iterator[Event]:
        yield tell(job, 1, 0.4)
        yield from BUG(job)

    wanted = plan(tmp_path, **FOUR_EPOCHS, budget={"trials": 2}, pruner={"kind": "median", "rungs": [1], "startup": 1})
    run, _ = search(wanted, in_turn(at(0.5, 0.6, 0.7, 0.8), dies_late, fails_early))
    assert states(run)[1] == "failed"
    assert [epoch.epoch for epoch in run.trials[1].epochs] == [1]


def test_who_failed_stops_nobody_at_a_rung(tmp_path: Path) -> None:
    def promises_and_fails(job: Job) -> Iterator[Event]:
        yield tell(job, 1, 0.9)
        yield from fail("timeout", "its training took more than 2 s")(job)

    pruner = {"kind": "median", "rungs": [1], "startup": 1}
    wanted = plan(tmp_path, **FOUR_EPOCHS, budget={"trials": 3}, pruner=pruner)
    run, _ = search(wanted, in_turn(promises_and_fails, promises_and_fails, at(0.5, 0.6, 0.7, 0.8)))
    assert states(run) == ["failed", "failed", "complete"]


@pytest.mark.parametrize("end", [die, cut_off], ids=["a worker that died", "a study that was cut"])
def test_nobody_is_judged_again_at_a_rung_that_was_passed(
    end: Callable[[Job], Iterator[Event]], tmp_path: Path
) -> None:
    def past_the_rung(job: Job) -> Iterator[Event]:
        yield tell(job, 1, 0.5)
        yield tell(job, 2, 0.5)
        yield from end(job)

    wanted = plan(
        tmp_path, **FOUR_EPOCHS, budget={"trials": 1}, pruner={"kind": "median", "rungs": [1, 3], "startup": 1}
    )
    with suppress(KeyboardInterrupt):
        _, executor = search(wanted, in_turn(past_the_rung, at(0.5, 0.5, 0.5, 0.5)))
        assert [job.rungs for job in executor.jobs] == [(1, 3), (3,)]
    run, executor = search(wanted, at(0.5, 0.5, 0.5, 0.5))
    assert {job.rungs for job in executor.jobs} <= {(3,)}
    assert states(run) == ["complete"]


def test_a_rung_at_the_last_epoch_is_none(tmp_path: Path) -> None:
    _, executor = search(plan(tmp_path, **FOUR_EPOCHS, budget={"trials": 1}, pruner={"rungs": [1, 3, 4, 9]}))
    assert [job.rungs for job in executor.jobs] == [(1, 3)]


# Successive halving


WAVES: dict[str, Any] = {"pruner": {"kind": "successive", "rungs": [1], "keep": 0.4, "startup": 0}}


def rung_scores(run: Run) -> dict[int, float]:
    return {trial.number: trial.epochs[0].validation_accuracy for trial in run.trials}


@given(st.integers(1, 8), st.integers(1, 3), st.integers(0, 100))
@examples(15)
def test_successive_halving_lets_the_best_go_on_when_all_are_there(trials: int, slots: int, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        wanted = plan(Path(folder), budget={"trials": trials}, seed=seed, **WAVES)
        run, executor = search(wanted, learn, slots)
        told = events(wanted.folder)
    scores = rung_scores(run)
    goes_on = set(sorted(scores, key=lambda trial: (-scores[trial], trial))[: max(1, int(trials * 0.4))])
    assert {trial.number for trial in run.trials if trial.state == "complete"} == goes_on
    assert run.count("stopped") == trials - len(goes_on)
    assert [job.rungs for job in executor.jobs] == [(1,)] * trials + [()] * len(goes_on)
    assert [line["event"] for line in told if line["event"] in {"asked", "finished"}][:trials] == ["asked"] * trials


def test_a_study_that_was_cut_while_trials_wait_ends_like_one_that_was_not(tmp_path: Path) -> None:
    whole, _ = search(plan(tmp_path / "whole", budget={"trials": 6}, **WAVES))
    cut = plan(tmp_path / "cut", budget={"trials": 6}, **WAVES)
    with pytest.raises(KeyboardInterrupt):
        search(cut, in_turn(learn, learn, learn, learn, cut_off))
    assert set(states(history.read(cut.folder))) == {"running"}
    with pytest.raises(KeyboardInterrupt):  # the second time while the best train on
        search(cut, in_turn(learn, learn, cut_off))
    again, executor = search(cut)
    assert [(t.asked, t.state, t.score) for t in again.trials] == [(t.asked, t.state, t.score) for t in whole.trials]
    assert len(executor.jobs) == 2


@pytest.mark.parametrize("rungs", [[2], [], [1, 2]])
def test_trials_that_died_before_a_rung_or_between_two_are_trained_again(tmp_path: Path, rungs: list[int]) -> None:
    fields = {"recipe": {**SIX_NETWORKS["recipe"], "epochs": 3}, "pruner": {**WAVES["pruner"], "rungs": rungs}}
    wanted = plan(tmp_path, budget={"trials": 4}, **fields)
    with pytest.raises(KeyboardInterrupt):
        search(wanted, in_turn(learn, cut_off))
    run, _ = search(wanted)
    assert run.count("complete", "stopped") == 4
    assert run.count("complete") == (1 if rungs else 4)


def test_a_higher_rung_waits_for_those_that_were_cut_on_their_way_to_it(tmp_path: Path) -> None:
    pruner = {**WAVES["pruner"], "rungs": [1, 3], "keep": 0.5}
    fields = {"recipe": {**SIX_NETWORKS["recipe"], "epochs": 4}, "pruner": pruner, "budget": {"trials": 6}}
    whole, _ = search(plan(tmp_path / "whole", **fields))
    assert whole.count("complete") == 1
    cut = plan(tmp_path / "cut", **fields)
    with pytest.raises(KeyboardInterrupt):  # when one of three is at the second rung
        search(cut, in_turn(*[learn] * 7, cut_off))
    again, _ = search(cut)
    assert [(t.state, t.score) for t in again.trials] == [(t.state, t.score) for t in whole.trials]


def test_in_a_study_that_goes_on_nobody_waits_for_those_that_are_beyond_the_rung(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def cut_after_the_rung(job: Job) -> Iterator[Event]:
        yield next(learn(job))
        raise KeyboardInterrupt

    fields = {"recipe": {**SIX_NETWORKS["recipe"], "epochs": 4}, "pruner": {**WAVES["pruner"], "keep": 0.5}}
    wanted = plan(tmp_path, budget={"trials": 6}, **fields)
    with pytest.raises(KeyboardInterrupt):  # when the first of three has told its second epoch
        search(wanted, in_turn(*[learn] * 7, cut_after_the_rung), slots=3)
    running = [trial for trial in history.read(wanted.folder).trials if trial.state == "running"]
    assert sorted(len(trial.epochs) for trial in running) == [1, 1, 2]
    before = len(events(wanted.folder))
    run, _ = search(wanted, slots=3, quiet=False)
    rested = sorted(
        (trial for trial in running if len(trial.epochs) == 1), key=lambda trial: -trial.epochs[0].validation_accuracy
    )
    resting = ", ".join(str(trial.number) for trial in rested)
    said = capsys.readouterr().out
    assert (said.count("waits for the others"), f"2 trials that waited go on ({resting})" in said) == (0, True)
    told = [line["event"] for line in events(wanted.folder)[before:] if line["event"] in {"started", "finished"}]
    assert told[:3] == ["started"] * 3
    assert run.count("complete") == 3


@pytest.mark.parametrize(("kind", "foretold"), [("successive", False), ("none", True)])
def test_no_time_is_foretold_where_all_wait_for_each_other(tmp_path: Path, *, kind: str, foretold: bool) -> None:
    run, _ = search(wanted := plan(tmp_path, budget={"trials": 3}, pruner={"kind": kind, "rungs": [1]}))
    longer = wanted.with_budget(trials=9)
    ledger, told = Ledger(run, longer), list[str]()
    screen = Screen(longer, Bar("search", TextColumn(""), quiet=True))
    screen.say = lambda text, **_: told.append(text)
    last = run.ranked[0]
    for _ in range(2):  # the first one waited for the workers, and tells nothing of those to come
        screen.finished(ledger.outcomes[last.number], longer.start_with(last.network), ledger)
        ledger.states["complete"] += 1
    assert told[0].startswith(f"[3/9] trial {last.number}: {percent(last.score or 0)}, ")
    assert [line.endswith(" left") for line in told] == [False, foretold]


def test_a_wave_counts_upwards_and_says_who_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    search(wanted := plan(tmp_path, budget={"trials": 5}, **WAVES), quiet=False)
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("[", "of "))]
    run = history.read(wanted.folder)
    best = [trial.number for trial in sorted(run.trials, key=lambda trial: -trial.epochs[0].validation_accuracy)[:2]]
    assert [int(line[1]) for line in told if line.startswith("[")] == [1, 2, 3, 4, 5, 4, 5]
    assert all(" after 1 epoch, waits for the others; " in line for line in told[:5])
    assert told[5] == f"of 5 trials that waited the best 2 go on ({best[0]}, {best[1]}); 3 are stopped"


def test_a_trial_that_waited_in_vain_ended_with_its_last_epoch(tmp_path: Path) -> None:
    run, _ = search(wanted := plan(tmp_path, budget={"trials": 5}, **WAVES))
    assert run.count("stopped") == 3
    told = [(line["event"], line["trial"], line["time"]) for line in events(wanted.folder) if "trial" in line]
    for trial in run.trials:
        starts = [time for event, number, time in told if (event, number) == ("started", trial.number)]
        ends = [time for event, number, time in told if (event, number) == ("finished", trial.number)]
        assert trial.started == starts[0]
        assert trial.ended == (ends[0] if trial.state == "complete" else trial.epochs[-1].time)


def test_five_bugs_judge_nobody_who_waits(tmp_path: Path) -> None:
    wanted = plan(tmp_path, budget={"trials": 9}, **WAVES)
    run, _ = search(wanted, in_turn(learn, *[BUG] * 5))
    assert run.state == "failed"
    assert states(run) == ["running", *["failed"] * 5, "running"]  # the last one asked ahead


def test_more_trials_are_compared_with_all_that_came_before(tmp_path: Path) -> None:
    first, _ = search(plan(tmp_path, budget={"trials": 4}, name="grows", **WAVES))
    more, executor = search(plan(tmp_path, budget={"trials": 10}, name="grows", **WAVES))
    assert more.trials[:4] == first.trials
    scores = rung_scores(more)
    best = sorted(scores, key=lambda trial: (-scores[trial], trial))[:4]
    assert {job.trial for job in executor.jobs if not job.rungs} == {trial for trial in best if trial >= 4}


def test_a_trial_that_waits_is_trained_by_nobody_and_known_to_the_sampler(tmp_path: Path) -> None:
    run, executor = search(plan(tmp_path, budget={"trials": 12}, sampler={"startup": 2}, **WAVES))
    same, _ = search(plan(tmp_path / "halving", budget={"trials": 12}, sampler={"startup": 2}))
    assert [trial.asked for trial in run.trials[:3]] == [trial.asked for trial in same.trials[:3]]
    assert max(trial.attempts for trial in run.trials) == 2
    assert executor.free == 1


def at_a_pace(pace: float, rungs: list[int], slots: int, monkeypatch: pytest.MonkeyPatch) -> Script:
    """Learn so many seconds an epoch, by a clock that nothing else moves."""
    clock = stopped_clock(monkeypatch)

    def script(job: Job) -> Iterator[Event]:
        clock[0] += 40 * (job.trial == 0)  # the first one waits for its worker
        begins = max([0, *(rung for rung in rungs if rung not in job.rungs)])  # who goes on has a checkpoint
        for event in learn(job):
            if isinstance(event, Epoch):  # told again where it is known, as a worker does
                clock[0] += pace / slots * (event.epoch > begins)
                yield event.model_copy(update={"seconds": pace})
            else:
                yield event

    return script


@pytest.mark.parametrize(
    ("epochs", "keep", "rungs", "startup", "slots", "pace"),
    [
        (5, 0.2, [1], 0, 1, 10), (5, 0.1, [1], 0, 3, 10), (40, 0.1, [1], 4, 2, 10), (10, 0.5, [1], 4, 1, 10),
        (50, 0.02, [1], 0, 1, 10), (2, 0.08, [1], 4, 1, 100), (2, 0.02, [1], 4, 1, 10), (2, 0.02, [1], 4, 3, 10),
        (8, 0.05, [1, 3], 4, 1, 10), (20, 0.1, [1, 4], 4, 1, 5), (40, 0.1, [1, 4], 4, 1, 10), (2, 0.08, [1], 40, 1, 20),
    ],
)  # fmt: skip
def test_the_best_that_wait_go_on_in_time_to_come_to_their_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epochs: int, keep: float, rungs: list[int], startup: int,
    slots: int, pace: float,
) -> None:  # fmt: skip
    script = at_a_pace(pace, rungs, slots, monkeypatch)
    pruner = {"kind": "successive", "rungs": rungs, "keep": keep, "startup": startup}
    fields = {"pruner": pruner, "recipe": {**TINY["recipe"], "epochs": epochs}}
    wanted = plan(tmp_path, budget={"trials": 1000, "minutes": 10}, **fields)
    run, executor = search(wanted, script, slots)
    looks = [job for job in executor.jobs if rungs[0] in job.rungs]
    assert executor.jobs[: len(looks)] == looks, "nobody is asked after those that go on"
    assert run.count("complete") >= 1
    assert 2 * len(looks) * pace / slots <= 600 + 3 * pace + 80, "half of the minutes is for those that go on"


def test_where_costs_count_time_is_kept_for_the_best_of_every_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = {"blocks": [{"conv": {"out_channels": {"int": [1, 60]}, "kernel_size": 1}}]}
    pruner = {"kind": "successive", "rungs": [1], "keep": 0.1, "startup": 0}
    fields = {"space": space, "pruner": pruner, "recipe": {**TINY["recipe"], "epochs": 30}}
    wanted = plan(tmp_path, objectives={"parameters": {}}, budget={"trials": 1000, "minutes": 10}, **fields)
    run, executor = search(wanted, at_a_pace(10, [1], 2, monkeypatch), 2)
    gone_on = {job.trial for job in executor.jobs if not job.rungs}
    assert len(gone_on) > 1
    assert gone_on == {trial.number for trial in run.trials if trial.state == "complete"}


def test_nobody_is_looked_at_first_in_the_second_half_of_the_minutes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pruner = {"kind": "successive", "rungs": [1], "keep": 0.1, "startup": 0}
    wanted = plan(tmp_path, budget={"trials": 9, "minutes": 5}, pruner=pruner)
    run, executor = search(wanted, at_a_pace(120, [1], 1, monkeypatch))  # the first look ends after 160 s of 300
    assert [job.trial for job in executor.jobs] == [0, 0]
    assert (states(run), run.state) == (["running", "running"], "out_of_time"), "the second was asked ahead"

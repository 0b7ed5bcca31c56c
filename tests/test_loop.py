"""The story of a search, told by scripts in place of training: no process, no torch."""

import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.progress import TextColumn
from study_rig import (
    ONE_CANDIDATE,
    SIX_NETWORKS,
    TINY,
    Script,
    die,
    fail,
    in_turn,
    interrupt,
    learn,
    lines,
    plan,
    search,
    tell,
    text_of,
)

from cnnsearch import afford, history, record
from cnnsearch.errors import DiskFullError, RunError, status_of
from cnnsearch.events import Closed
from cnnsearch.history import Run
from cnnsearch.messages import MOST_DEATHS, Died, Done, Epoch, Event, Job
from cnnsearch.plan import Plan
from cnnsearch.report.write import write_report
from cnnsearch.study import asking, conduct, ending
from cnnsearch.study.ledger import Ledger, Need
from cnnsearch.study.screen import Screen
from cnnsearch.terminal import Bar
from cnnsearch.units import percent

P = ParamSpec("P")
R = TypeVar("R")

SCRIPTS: dict[str, Script] = {
    "learn": learn,
    "die": die,
    "diverge": fail("diverged", "the loss is nan"),
    "bug": fail("bug", "KeyError: 'channels'"),
    "fill the memory": fail("out of memory", "MemoryError"),
    "fill the memory beside others": fail("out of memory", "MemoryError", shared=True),
}
NETWORK: dict[str, Any] = {
    "input": {"channels": 1, "height": 8, "width": 8},
    "blocks": [{"conv": {"out_channels": 7, "kernel_size": 3}}],
    "classes": 10,
}


def network(channels: int) -> dict[str, Any]:
    return {**NETWORK, "blocks": [{"conv": {"out_channels": channels, "kernel_size": 3}}]}


@pytest.fixture(autouse=True, scope="module")
def no_wait_for_the_disk() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


def scores(run: Run) -> list[float | None]:
    return [trial.score for trial in run.trials]


def states(run: Run) -> list[str]:
    return [trial.state for trial in run.trials]


# Laws


@settings(max_examples=25)
@given(st.lists(st.sampled_from(sorted(SCRIPTS)), max_size=12), st.integers(1, 3), st.integers(1, 6))
def test_every_trial_has_one_last_word_whatever_happens_to_its_workers(
    acts: list[str], slots: int, trials: int
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        # Where even the smallest fills the memory, nothing else is tried.
        patch.setattr(asking, "MOST_ASKS_IN_VAIN", 10)
        wanted = plan(Path(folder), budget={"trials": trials})
        run, executor = search(wanted, in_turn(*(SCRIPTS[act] for act in acts)), slots)
        told = lines(wanted)
    assert run.count("complete", "stopped", "failed") == trials or run.state in {"failed", "no_new_candidate"}
    assert "running" not in states(run) or run.state == "failed"
    assert len(executor.jobs) == sum(line["event"] == "started" for line in told)
    for trial in run.trials:
        story = [line["event"] for line in told if line.get("trial") == trial.number]
        attempts = [line["attempt"] for line in told if line.get("trial") == trial.number and "attempt" in line]
        assert story[0] == "asked"
        assert story.count("finished") == (trial.state != "running")
        assert "finished" not in story[:-1]
        assert attempts == list(range(1, len(attempts) + 1))
        assert trial.deaths <= MOST_DEATHS


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=5)
def test_the_same_seed_asks_the_same_and_another_does_not(seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        both = [
            search(plan(Path(folder) / name, seed=s, budget={"trials": 6}, sampler={"startup": 2}))[0]
            for name, s in (("a", seed), ("b", seed), ("c", seed ^ 1))
        ]
    first, second, other = ([(trial.asked, trial.score) for trial in run.trials] for run in both)
    assert first == second != other


def test_a_study_interrupted_at_any_trial_asks_what_an_uninterrupted_one_asks(tmp_path: Path) -> None:
    fields: Any = {"budget": {"trials": 8}, "sampler": {"startup": 2}, "pruner": {"rungs": [1], "startup": 2}}
    whole, _ = search(plan(tmp_path / "whole", **fields))
    wanted = plan(tmp_path / "cut", **fields)
    for learnt in range(3):
        with pytest.raises(KeyboardInterrupt):
            search(wanted, in_turn(*[learn] * learnt, interrupt))
    cut, _ = search(wanted)
    assert [(trial.asked, trial.score, trial.state) for trial in cut.trials] == [
        (trial.asked, trial.score, trial.state) for trial in whole.trials
    ]


def story_of(wanted: Plan) -> list[tuple[str, int]]:
    """Give the record without the words of the study itself."""
    return [(line["event"], line["trial"]) for line in lines(wanted) if "trial" in line]


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


def test_all_seeds_are_kept_over_retries_and_differ_between_trials(tmp_path: Path) -> None:
    wanted = plan(tmp_path, budget={"trials": 3})
    with pytest.raises(KeyboardInterrupt):
        search(wanted, in_turn(die, interrupt))
    _, executor = search(wanted, in_turn(die))
    seeds = [(job.trial, job.seed) for job in executor.jobs]
    assert [trial for trial, _ in seeds] == [0, 0, 1, 2]
    assert len(set(seeds)) == 3


# Crashes at every write


class _Crash(BaseException):
    """The process is gone: nothing that comes later has an effect."""


class _Disk:
    """Counts what is done to files, and from the n-th time on does nothing but crash."""

    def __init__(self, crash_at: int) -> None:
        self.left = crash_at

    def wrap(self, act: Callable[P, R]) -> Callable[P, R]:
        def counted(*arguments: P.args, **options: P.kwargs) -> R:
            self.left -= 1
            if self.left <= 0:
                raise _Crash
            return act(*arguments, **options)

        return counted


def crash(wanted: Plan, at: int) -> bool:
    """Search until the n-th change of a file; False when there were fewer."""
    disk = _Disk(at)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("write", "fsync", "ftruncate"):
            patch.setattr(os, name, disk.wrap(getattr(os, name)))
        for name in ("replace", "unlink"):
            patch.setattr(Path, name, disk.wrap(getattr(Path, name)))
        try:
            search(wanted)
        except _Crash:
            return True
    return False


def test_a_crash_at_any_write_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    fields: Any = {
        "budget": {"trials": 3},
        "limits": {"max_parameters": 70},
        "start": [NETWORK, network(2), network(2)],
    }
    whole, _ = search(plan(tmp_path / "whole", SIX_NETWORKS, **fields))
    assert {"complete", "turned_away", "repeated"} == set(states(whole))
    crashes = 0
    while crash(cut := plan(tmp_path / f"{crashes}", SIX_NETWORKS, **fields), crashes + 1):
        acknowledged = text_of(cut.folder / "record.jsonl").splitlines(keepends=True)[:-1]
        run, _ = search(cut)
        assert text_of(cut.folder / "record.jsonl").startswith("".join(acknowledged))
        assert [(t.asked, t.score, t.state, t.of) for t in run.trials] == [
            (t.asked, t.score, t.state, t.of) for t in whole.trials
        ], crashes
        assert run.state == "complete"
        assert_tidy(cut, run)
        crashes += 1
    assert crashes > 60


def assert_tidy(wanted: Plan, run: Run) -> None:
    """Check that `best/` holds the best, and that nothing half done lies about."""
    best = run.ranked[0]
    files = {str(path.relative_to(wanted.folder)) for path in wanted.folder.rglob("*") if path.is_file()}
    assert files == {
        "best/network.json", "best/weights.safetensors", "plan.json", "record.jsonl", "epochs.jsonl", "lock",
        "summary.json",
    }  # fmt: skip
    assert (wanted.folder / "best/weights.safetensors").read_text().startswith(f"weights of trial {best.number},")
    assert json.loads((wanted.folder / "best/network.json").read_text()) == best.network_data
    summary = json.loads((wanted.folder / "summary.json").read_text())
    assert (summary["state"], summary["best"]["trial"]) == ("complete", best.number)
    assert summary["trials"]["complete"] == run.count("complete")


# Ends


def test_a_study_at_its_budget_trains_nothing_and_more_trials_extend_it(tmp_path: Path) -> None:
    search(plan(tmp_path, budget={"trials": 2}))
    again, executor = search(plan(tmp_path, budget={"trials": 2}))
    assert (executor.jobs, again.state, again.count("complete")) == ([], "complete", 2)
    more, executor = search(plan(tmp_path, budget={"trials": 4}))
    assert [job.trial for job in executor.jobs] == [2, 3]
    assert more.count("complete") == 4


def test_a_study_interrupted_beyond_its_new_budget_is_complete_and_its_pause_costs_no_time(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        search(plan(tmp_path, budget={"trials": 3}), in_turn(learn, learn, interrupt))
    run, _ = search(plan(tmp_path, budget={"trials": 3}), in_turn(learn))
    record = run.folder / "record.jsonl"
    kept = [line for line in lines(plan(tmp_path)) if line["event"] != "closed"]
    for line in kept:
        del line["crc"]  # it is right for what the line said before
    record.write_text("".join(f"{json.dumps({**line, 'time': line['time'] - 1e6})}\n" for line in kept))
    again, executor = search(plan(tmp_path, budget={"trials": 3}))
    assert (again.state, executor.jobs) == ("complete", [])
    assert again.seconds < 1e5


def never_end(job: Job) -> Iterator[Event]:
    """Learn nothing, and have no last epoch."""
    for epoch in range(1, 10**9):
        yield tell(job, epoch, 0.5)


@pytest.mark.parametrize("until_flat", [False, True])
def test_a_spent_time_ends_the_study_and_keeps_what_is_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], *, until_flat: bool
) -> None:
    wanted = plan(tmp_path, budget={"trials": 9, "minutes": 0.005, "until_flat": until_flat})
    run, executor = search(wanted, in_turn(learn, learn, never_end))
    assert (run.state, states(run)) == ("out_of_time", ["complete", "complete", "running", "running"])
    told = [line for line in lines(wanted) if line["event"] == "interrupted"]
    assert [(line["trial"], line["reason"], line["worker_died"]) for line in told] == [(2, "the study ended", False)]
    assert len(executor.jobs) == 3
    ending.show(run, "")
    assert "Its minutes are over: the same command goes on for as long again. 2 complete," in capsys.readouterr().out


def test_a_time_too_short_for_any_training_is_told_and_not_called_complete(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, _ = search(plan(tmp_path, budget={"trials": 9, "minutes": 0.005}), never_end)
    assert (run.state, states(run)) == ("out_of_time", ["running", "running"])
    assert ending.show(run, "") == 1
    assert "0.005 minutes may have been too few; the same command goes on" in capsys.readouterr().out
    assert "its minutes are over: the same command goes on" in write_report(run.folder).read_text()


def test_a_search_cut_by_its_minutes_of_which_no_more_is_asked_is_complete(tmp_path: Path) -> None:
    wanted = plan(tmp_path, budget={"trials": 2})
    search(wanted)
    with record.own(wanted.folder) as to:
        to.append(Closed(state="out_of_time"))
    again, executor = search(wanted)
    assert (again.state, executor.jobs) == ("complete", [])


@pytest.mark.parametrize(("pace", "calls"), [(50, 3), (80, 4), (119, 4), (121, None)])
def test_a_call_goes_on_to_the_end_of_an_epoch_for_as_long_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pace: float, calls: int | None
) -> None:
    clock, kept = [0.0], [0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])

    def slowly(job: Job) -> Iterator[Event]:
        yield from (tell(job, epoch, 0.5) for epoch in range(1, kept[0] + 1))  # from its checkpoint
        for epoch in range(kept[0] + 1, job.recipe.epochs + 1):
            for _ in range(10):
                clock[0] += pace / 10
                yield Died(trial=None, exit=1, message="nothing yet")
            kept[0] = min(epoch, job.recipe.epochs - 1)
            yield tell(job, epoch, 0.5)
        yield Done(trial=job.trial, stopped=False)

    wanted = plan(tmp_path, budget={"trials": 1, "minutes": 1}, recipe={**TINY["recipe"], "epochs": 3})
    ends: list[tuple[str, float]] = []
    while len(ends) < 5 and "complete" not in dict(ends):
        began = clock[0]
        run, _ = search(wanted, slowly)
        ends.append((run.state, clock[0] - began))
    assert all(seconds <= 120 + pace / 10 for _, seconds in ends)
    assert [state for state, _ in ends] == ["out_of_time"] * (calls - 1 if calls else 5) + ["complete"] * bool(calls)


def test_only_what_a_call_trained_itself_tells_of_the_machines_speed(tmp_path: Path) -> None:
    first, here = search(plan(tmp_path, budget={"trials": 2}, name="x"))
    again, there = search(plan(tmp_path, budget={"trials": 4}, name="x"))
    assert tuple(here.remembered) == first.trials
    assert tuple(there.remembered) == again.trials[len(first.trials) :]


@pytest.mark.parametrize("slack", [-1e9, 1e9])
def test_random_search_whose_minutes_were_over_goes_on_until_it_had_as_long_as_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slack: float
) -> None:
    monkeypatch.setattr(conduct, "hold", lambda *_, **__: None)
    monkeypatch.setattr(conduct, "SAME_TIME", slack)
    finals = {"baselines": ["random-search"]}
    wanted = plan(tmp_path, SIX_NETWORKS, budget={"trials": 3}, name="x", finals=finals)
    search(wanted)
    twin = tmp_path / "x-random"
    with record.own(twin) as to:
        to.append(Closed(state="out_of_time"))
    search(wanted)
    assert history.read(twin).state == ("out_of_time" if slack > 0 else "complete")


def test_after_five_bugs_at_the_end_of_the_budget_the_way_to_the_finals_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr("cnnsearch.terminal.Bar.say", lambda _, text, **__: said.append(text))
    wanted = plan(tmp_path, budget={"trials": 6})
    run, _ = search(wanted, in_turn(learn, *[fail("bug", "KeyError: 'channels'")] * 5))
    assert run.state == "failed"
    search(wanted)
    way_out = f"`python -m cnnsearch.evaluate {wanted.folder}` holds the finals of those that did not fail"
    assert said[-1] == f"the search of {wanted.folder} is over with 6 trials; --trials N asks for more, and {way_out}"


def test_a_space_of_which_everything_was_tried_is_exhausted(tmp_path: Path) -> None:
    run, executor = search(plan(tmp_path, SIX_NETWORKS, budget={"trials": 50}))
    assert (run.state, run.count("complete", "stopped"), len(executor.jobs)) == ("exhausted", 6, 6)


def test_a_start_network_outside_of_the_space_exhausts_nothing(tmp_path: Path) -> None:
    run, _ = search(plan(tmp_path, SIX_NETWORKS, budget={"trials": 50}, start=[NETWORK]))
    assert (run.state, run.count("complete", "stopped")) == ("exhausted", 7)


def test_an_endless_space_that_brings_nothing_new_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr("cnnsearch.terminal.Bar.say", lambda _, text, **__: said.append(text))
    monkeypatch.setattr(asking, "MOST_ASKS_IN_VAIN", 5)
    monkeypatch.setattr(asking, "ASKS_TO_MENTION", 4)
    run, _ = search(plan(tmp_path, ONE_CANDIDATE, budget={"trials": 50}))
    assert (run.state, Counter(states(run))) == ("no_new_candidate", {"complete": 1, "repeated": 5})
    assert said.count("4 proposals in a row were over a limit or known already; after 5 the study ends") == 1
    again, executor = search(plan(tmp_path, ONE_CANDIDATE, budget={"trials": 50}))
    assert (again.state, len(again.trials), executor.jobs) == ("no_new_candidate", 6, [])


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
    other = {**NETWORK, "blocks": [{"conv": {"out_channels": 5, "kernel_size": 3}}]}
    run, executor = search(plan(tmp_path, start=[NETWORK, other], budget={"trials": 3}))
    assert [job.network.model_dump(exclude_defaults=True)["blocks"][0] for job in executor.jobs[:2]] == [
        NETWORK["blocks"][0], other["blocks"][0],
    ]  # fmt: skip
    assert [bool(trial.asked) for trial in run.trials] == [False, False, True]


def test_a_start_network_over_a_limit_is_turned_away(tmp_path: Path) -> None:
    run, _ = search(plan(tmp_path, start=[NETWORK], budget={"trials": 1}, limits={"max_parameters": 100}))
    assert states(run)[0] == "turned_away"
    assert run.count("complete") == 1


# Failures


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


def test_a_worker_that_dies_without_a_trial_changes_nothing(tmp_path: Path) -> None:
    def beside_a_restless_worker(job: Job) -> Iterator[Event]:
        yield Died(trial=None, exit=1, message="worker 1 ended with exit status 1")
        yield from learn(job)

    run, executor = search(plan(tmp_path, budget={"trials": 1}), beside_a_restless_worker)
    assert (states(run), run.trials[0].deaths, len(executor.jobs)) == (["complete"], 0, 1)


def test_five_bugs_in_a_row_end_the_study_as_failed(tmp_path: Path) -> None:
    run, executor = search(plan(tmp_path, budget={"trials": 9}), in_turn(*[SCRIPTS["bug"]] * 9))
    assert (run.state, states(run), len(executor.jobs)) == ("failed", [*["failed"] * 5, "running"], 5)
    assert {trial.reason for trial in run.trials[:5]} == {"bug: KeyError: 'channels'"}


@pytest.mark.parametrize("between", ["learn", "diverge", "fill the memory"])
def test_bugs_that_are_not_in_a_row_end_nothing(between: str, tmp_path: Path) -> None:
    bugs = [SCRIPTS["bug"]] * 4
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


# Memory


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
    told = [line for line in lines(wanted) if line["event"] == "interrupted"]
    assert [(line["reason"], line["worker_died"]) for line in told] == [("out of memory: MemoryError", False)]


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
    assert ledger.needs_too_much(need) == first


# Stopping


def at(*accuracies: float) -> Script:
    def script(job: Job) -> Iterator[Event]:
        for epoch, accuracy in enumerate(accuracies, start=1):
            yield tell(job, epoch, accuracy)
        yield Done(trial=job.trial, stopped=False)

    return script


def cut_off(job: Job) -> Iterator[Event]:
    raise KeyboardInterrupt
    yield tell(job, 1, 0.5)


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
        yield from fail("bug", "KeyError: 'channels'")(job)

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


def test_the_time_of_a_trial_has_the_epochs_before_its_study_was_cut(tmp_path: Path) -> None:
    def is_cut(job: Job) -> Iterator[Event]:
        yield tell(job, 1, 0.5).model_copy(update={"seconds": 7.0})
        raise KeyboardInterrupt

    wanted = plan(tmp_path, **FOUR_EPOCHS, budget={"trials": 1})
    with pytest.raises(KeyboardInterrupt):
        search(wanted, in_turn(is_cut))
    run, executor = search(wanted)
    assert [job.spent for job in executor.jobs] == [7.0]
    assert run.trials[0].seconds >= 7.0


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
@settings(max_examples=15)
def test_successive_halving_lets_the_best_go_on_when_all_are_there(trials: int, slots: int, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        wanted = plan(Path(folder), budget={"trials": trials}, seed=seed, **WAVES)
        run, executor = search(wanted, learn, slots)
        told = lines(wanted)
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


def test_a_study_begins_with_what_it_is_about_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = plan(tmp_path, SIX_NETWORKS, budget={"trials": 4})
    told: list[str] = []
    for script in (in_turn(learn, cut_off), learn):
        with suppress(KeyboardInterrupt):
            search(wanted, script, quiet=False)
        told.append(capsys.readouterr().out.splitlines()[0])
    begins = f"{wanted.folder}: 4 trials"
    assert told == [
        f"{begins}; 1 worker (cpu)",
        f"{begins}, 1 of them done; 1 worker (cpu); 2 go on, as they were not over",
    ]


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
    told = [(line["event"], line["trial"], line["time"]) for line in lines(wanted) if "trial" in line]
    for trial in run.trials:
        starts = [time for event, number, time in told if (event, number) == ("started", trial.number)]
        ends = [time for event, number, time in told if (event, number) == ("finished", trial.number)]
        assert trial.started == starts[0]
        assert trial.ended == (ends[0] if trial.state == "complete" else trial.epochs[-1].time)


def test_what_is_told_again_is_counted_once(tmp_path: Path) -> None:
    run, _ = search(wanted := plan(tmp_path, budget={"trials": 1}))
    ledger, trial = Ledger(run, wanted), run.trials[0]
    seconds = ledger.seconds_of(0)
    assert seconds == pytest.approx(sum(epoch.seconds for epoch in trial.epochs))
    ledger.forget_epochs(0, 1)
    assert ledger.seconds_of(0) == 0
    for epoch in trial.epochs:
        ledger.hear(0, epoch.epoch, epoch.validation_accuracy, epoch.seconds)
    assert ledger.seconds_of(0) == seconds


def test_five_bugs_judge_nobody_who_waits(tmp_path: Path) -> None:
    wanted = plan(tmp_path, budget={"trials": 9}, **WAVES)
    run, _ = search(wanted, in_turn(learn, *[fail("bug", "KeyError: 'channels'")] * 5))
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
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])

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
    assert gone_on == {trial.number for trial in run.trials if trial.state == "complete"}


def test_nobody_is_looked_at_first_in_the_second_half_of_the_minutes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pruner = {"kind": "successive", "rungs": [1], "keep": 0.1, "startup": 0}
    wanted = plan(tmp_path, budget={"trials": 9, "minutes": 5}, pruner=pruner)
    run, executor = search(wanted, at_a_pace(120, [1], 1, monkeypatch))  # the first look ends after 160 s of 300
    assert [job.trial for job in executor.jobs] == [0, 0]
    assert (states(run), run.state) == (["running", "running"], "out_of_time"), "the second was asked ahead"

"""The story of a search, told by scripts in place of training: no process, no torch."""

import json
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import pytest
from amount import examples
from hypothesis import given
from hypothesis import strategies as st
from study_rig import (
    BUG,
    ONE_CANDIDATE,
    SCRIPTS,
    SIX_NETWORKS,
    TINY,
    Script,
    cut_off,
    die,
    events,
    in_turn,
    interrupt,
    learn,
    network,
    plan,
    search,
    states,
    stopped_clock,
    tell,
    text_of,
)

from cnnsearch import history, record
from cnnsearch.events import Closed
from cnnsearch.history import Run
from cnnsearch.messages import MOST_DEATHS, Died, Done, Event, Job
from cnnsearch.plan import Plan
from cnnsearch.report.write import write_report
from cnnsearch.study import asking, conduct, ending
from cnnsearch.study.ledger import Ledger

P = ParamSpec("P")
R = TypeVar("R")

pytestmark = pytest.mark.usefixtures("no_wait_for_the_disk")


# Laws


@examples(25)
@given(st.lists(st.sampled_from(sorted(SCRIPTS)), max_size=12), st.integers(1, 3), st.integers(1, 6))
def test_every_trial_has_one_last_word_whatever_happens_to_its_workers(
    acts: list[str], slots: int, trials: int
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        # Where even the smallest fills the memory, nothing else is tried.
        patch.setattr(asking, "MOST_ASKS_IN_VAIN", 10)
        wanted = plan(Path(folder), budget={"trials": trials})
        run, executor = search(wanted, in_turn(*(SCRIPTS[act] for act in acts)), slots)
        told = events(wanted.folder)
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
@examples(5)
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
        "start": [network(7), network(2), network(2)],
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
    kept = [line for line in events(plan(tmp_path).folder) if line["event"] != "closed"]
    for line in kept:
        del line["crc"]  # it is right for what the line said before
    record.write_text("".join(f"{json.dumps({**line, 'time': line['time'] - 1e6})}\n" for line in kept))
    again, executor = search(plan(tmp_path, budget={"trials": 3}))
    assert (again.state, executor.jobs) == ("complete", [])
    assert again.seconds < 1e5


def never_ends(monkeypatch: pytest.MonkeyPatch) -> Script:
    """Learn nothing and have no last epoch; each takes ten seconds, by a clock that nothing else moves."""
    clock = stopped_clock(monkeypatch)

    def script(job: Job) -> Iterator[Event]:
        for epoch in range(1, 10**9):
            clock[0] += 10
            yield tell(job, epoch, 0.5)

    return script


@pytest.mark.parametrize("until_flat", [False, True])
def test_a_spent_time_ends_the_study_and_keeps_what_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, until_flat: bool
) -> None:
    wanted = plan(tmp_path, budget={"trials": 9, "minutes": 5, "until_flat": until_flat})
    run, executor = search(wanted, in_turn(learn, learn, never_ends(monkeypatch)))
    assert (run.state, states(run)) == ("out_of_time", ["complete", "complete", "running", "running"])
    told = [line for line in events(wanted.folder) if line["event"] == "interrupted"]
    assert [(line["trial"], line["reason"], line["worker_died"]) for line in told] == [(2, "the study ended", False)]
    assert len(executor.jobs) == 3
    ending.show(run, "")
    assert "Its minutes are over: the same command goes on for as long again. 2 complete," in capsys.readouterr().out


def test_a_time_too_short_for_any_training_is_told_and_not_called_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run, _ = search(plan(tmp_path, budget={"trials": 9, "minutes": 0.5}), never_ends(monkeypatch))
    assert (run.state, states(run)) == ("out_of_time", ["running", "running"])
    assert ending.show(run, "") == 1
    assert "0.5 minutes may have been too few; the same command goes on" in capsys.readouterr().out
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
    clock, kept = stopped_clock(monkeypatch), [0]

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
        f"{begins}, 1 of them done; 1 worker (cpu); 1 goes on, as it was not over",
    ]


def test_the_time_of_a_trial_has_the_epochs_before_its_study_was_cut(tmp_path: Path) -> None:
    def is_cut(job: Job) -> Iterator[Event]:
        yield tell(job, 1, 0.5).model_copy(update={"seconds": 7.0})
        raise KeyboardInterrupt

    wanted = plan(tmp_path, budget={"trials": 1})
    with pytest.raises(KeyboardInterrupt):
        search(wanted, in_turn(is_cut))
    run, executor = search(wanted)
    assert [job.spent for job in executor.jobs] == [7.0]
    assert run.trials[0].seconds >= 7.0


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
    run, _ = search(wanted, in_turn(learn, *[BUG] * 5))
    assert run.state == "failed"
    search(wanted)
    way_out = f"`python -m cnnsearch.evaluate {wanted.folder}` holds the finals of those that did not fail"
    assert said[-1] == f"the search of {wanted.folder} is over with 6 trials; --trials N asks for more, and {way_out}"


def test_a_space_of_which_everything_was_tried_is_exhausted(tmp_path: Path) -> None:
    run, executor = search(plan(tmp_path, SIX_NETWORKS, budget={"trials": 50}))
    assert (run.state, run.count("complete", "stopped"), len(executor.jobs)) == ("exhausted", 6, 6)


def test_a_start_network_outside_of_the_space_exhausts_nothing(tmp_path: Path) -> None:
    run, _ = search(plan(tmp_path, SIX_NETWORKS, budget={"trials": 50}, start=[network(7)]))
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


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        ("parameters 99 exceeds the limit by 9.9%", "Raise the limit or allow smaller networks"),
        ("out of memory: needs as much as trial 0", "Allow smaller networks"),
    ],
)
def test_where_nothing_new_was_to_be_had_the_way_out_is_of_the_last_refusal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], reason: str, advice: str
) -> None:
    run, _ = search(plan(tmp_path, budget={"trials": 1}))
    refused = run.trials[0].model_copy(update={"number": 1, "state": "turned_away", "reason": reason})
    ending.show(run._replace(state="no_new_candidate", trials=(*run.trials, refused)), "")
    assert f"\n{advice}; the last one turned away: {reason}\n" in capsys.readouterr().out

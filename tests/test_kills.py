"""Real processes, killed for real: nothing acknowledged is lost, and nothing is left behind."""

import json
import os
import random
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch
from study_rig import (
    TINY,
    WITHOUT_TRAINING,
    end_of,
    processes_in,
    read,
    record,
    run,
    start,
    text_of,
    until,
    workers_in,
    write_plan,
)

import cnnsearch
from cnnsearch.data import load
from cnnsearch.history import Run

HERE = Path(__file__).parent
SEED = int(os.environ.get("CNNSEARCH_KILL_SEED", random.randrange(10**6)))
KILLS = 6


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Lend a folder, and end whatever still works in it when a test fails."""
    yield tmp_path
    for process in processes_in(tmp_path):
        process.kill()


def whole_lines(path: Path) -> list[str]:
    return text_of(path).rpartition("\n")[0].splitlines()


def has(folder: Path, event: str, times: int = 1) -> bool:
    return text_of(record(folder)).count(f'"event":"{event}"') >= times


def nobody_is_left(folder: Path) -> bool:
    return not processes_in(folder)


# The coordinator


def test_a_coordinator_killed_at_any_moment_loses_nothing(folder: Path) -> None:
    print(f"CNNSEARCH_KILL_SEED={SEED}")  # noqa: T201 (shown when the test fails)
    dice = random.Random(SEED)
    space = {"blocks": [{"conv": {"out_channels": {"int": [2, 60]}, "kernel_size": {"choice": [1, 3]}}}]}
    name = write_plan(
        folder, TINY, space=space, name="x", budget={"trials": 25}, executor={"workers": 2, "device": "cpu"}
    )
    acknowledged: list[str] = []
    for _ in range(KILLS):
        process = start(folder, name, command=WITHOUT_TRAINING)
        enough = len(acknowledged) + dice.randrange(1, 25)
        until(lambda: len(whole_lines(record(folder))) >= enough or process.poll() is not None)  # noqa: B023
        process.kill()
        end_of(process)
        until(lambda: nobody_is_left(folder), patience=5)
        assert whole_lines(record(folder))[: len(acknowledged)] == acknowledged
        acknowledged = whole_lines(record(folder))
    status, _, err = run(folder, name, command=WITHOUT_TRAINING)
    assert (status, err) == (0, "")
    assert whole_lines(record(folder))[: len(acknowledged)] == acknowledged
    assert_whole(folder, 25)


def assert_whole(folder: Path, trials: int) -> None:
    """Check that a study is complete, and that its files say the same."""
    found = read(folder)
    events = [json.loads(line) for line in whole_lines(record(folder))]
    finished = [event["trial"] for event in events if event["event"] == "finished"]
    assert sorted(finished) == list(range(len(found.trials)))
    assert (found.state, found.count("complete", "stopped", "failed")) == ("complete", trials)
    summary = json.loads((found.folder / "summary.json").read_text())
    assert (summary["state"], sum(summary["trials"].values())) == ("complete", trials)
    best = found.ranked[0]
    assert (summary["best"]["trial"], summary["best"]["validation_accuracy"]) == (best.number, best.score)
    assert cnnsearch.Network.model_validate_json((found.folder / "best/network.json").read_text()) == best.network
    assert not (found.folder / "weights").exists()
    assert list(found.folder.rglob(".*.tmp")) == []
    stored = optuna.load_study(storage=f"sqlite:///{found.folder}/storage.sqlite3", study_name="x").get_trials()
    assert sorted(trial.user_attrs["trial"] for trial in stored) == sorted(finished)
    assert all(trial.state.is_finished() for trial in stored)


def test_a_coordinator_killed_in_training_leaves_no_process_and_goes_on(folder: Path) -> None:
    name = write_plan(folder, name="x", budget={"trials": 3}, executor={"workers": 2, "device": "cpu"})
    process = start(folder, name)
    until(lambda: has(folder, "finished"))
    process.kill()
    end_of(process)
    until(lambda: nobody_is_left(folder), patience=5)
    # One was asked ahead, and has not begun.
    interrupted = {trial.number: trial.attempts for trial in read(folder).trials if trial.state == "running"}
    assert read(folder).state == "interrupted"
    status, _, err = run(folder, name)
    assert (status, err) == (0, "")
    assert_whole(folder, 3)
    assert all(trial.attempts == 1 + interrupted.get(trial.number, 0) for trial in read(folder).trials)
    assert_best_is_as_good_as_told(read(folder))


def assert_best_is_as_good_as_told(found: Run) -> None:
    split = load("digits", Path(), torch.device("cpu")).validation
    with torch.no_grad():
        logits_NK = cnnsearch.load(found.folder / "best")(split.images_NCHW / 255)
    accuracy = (logits_NK.argmax(1) == split.labels_N).float().mean().item()
    assert accuracy == pytest.approx(found.ranked[0].score, abs=1.1 / 300)


# Signals


def start_long(folder: Path) -> tuple[subprocess.Popen[str], str]:
    """Start a study that ends only when it is told to, and wait until it trains."""
    recipe = {**TINY["recipe"], "epochs": 900}
    name = write_plan(folder, name="x", recipe=recipe, budget={"trials": 4}, pruner={"kind": "none"})
    process = start(folder, name, command=WITHOUT_TRAINING)
    until(lambda: text_of(record(folder).with_name("epochs.jsonl")).count("\n") > 1)
    return process, name


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_polite_signal_ends_a_study_in_order(number: signal.Signals, status: int, folder: Path) -> None:
    process, _ = start_long(folder)
    process.send_signal(number)
    exited, _, err = end_of(process)
    go_on = "Go on with the same command; `python -m cnnsearch.report runs/x` shows what there is."
    assert (exited, err) == (status, f"\nstopped; runs/x keeps what is done. {go_on}\n")
    assert nobody_is_left(folder)
    assert read(folder).state == "interrupted"
    assert json.loads((folder / "runs/x/summary.json").read_text())["state"] == "interrupted"
    last = [json.loads(line) for line in whole_lines(record(folder))[-2:]]
    assert [event["event"] for event in last] == ["interrupted", "closed"]
    assert (last[0]["reason"], last[0]["worker_died"]) == ("the study ended", False)


def test_a_study_that_was_stopped_goes_on_with_the_same_command(folder: Path) -> None:
    name = write_plan(folder, name="x", budget={"trials": 12})
    process = start(folder, name, command=WITHOUT_TRAINING)
    until(lambda: has(folder, "finished", times=2))
    process.send_signal(signal.SIGINT)
    status, _, err = end_of(process)
    assert status == 130, err
    assert run(folder, name, command=WITHOUT_TRAINING)[0] == 0
    assert_whole(folder, 12)


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_at_once_and_leaves_no_process(second: signal.Signals, folder: Path) -> None:
    process, _ = start_long(folder)
    for worker in workers_in(folder):
        worker.suspend()  # a worker that does not answer would be waited for
    process.send_signal(signal.SIGINT)
    until(lambda: has(folder, "interrupted"))
    process.send_signal(second)
    assert end_of(process)[0] in {-second, 130}  # 130: it was quicker than the second signal
    until(lambda: nobody_is_left(folder), patience=5)
    assert read(folder).state == "interrupted"


# Workers


def test_a_killed_worker_costs_nothing_but_its_own_attempt(folder: Path) -> None:
    recipe = {**TINY["recipe"], "epochs": 30}
    name = write_plan(folder, name="x", recipe=recipe, budget={"trials": 2}, pruner={"kind": "none"})
    process = start(folder, name)
    until(lambda: text_of(record(folder).with_name("epochs.jsonl")).count("\n") > 1)
    (worker,) = workers_in(folder)
    worker.send_signal(signal.SIGKILL)
    status, out, err = end_of(process)
    assert (status, err) == (0, "")
    said = "worker 0 was ended by SIGKILL (by hand, or by the system for want of memory); its log is runs/x/log/"
    assert f"{said}worker-0.log\n" in out
    assert_whole(folder, 2)
    assert sorted(trial.attempts for trial in read(folder).trials) == [1, 2]
    assert [len(trial.epochs) for trial in read(folder).trials] == [30, 30]


def acting(act: str, factor: float = 1.0) -> dict[str, Any]:
    return {
        "input": {"channels": 1, "height": 8, "width": 8},
        "blocks": [{"conv": {"out_channels": 2, "kernel_size": 3}}, {"kind": "acting", "act": act, "factor": factor}],
        "classes": 10,
    }


def start_acting(folder: Path, *networks: dict[str, Any], trials: int) -> tuple[int, str, str]:
    """Run a study that first tries networks of a kind that does harm; its code lies in the current folder."""
    for module in ("blocks_that_fail", "register_blocks_that_fail"):
        (folder / f"{module}.py").write_text((HERE / f"{module}.py").read_text())
    imports = ["register_blocks_that_fail"]
    return run(folder, write_plan(folder, name="x", imports=imports, start=list(networks), budget={"trials": trials}))


def test_networks_that_do_harm_are_classed_and_the_study_goes_on(folder: Path) -> None:
    harm = (("be_killed", 1.0), ("bug", 1.0), ("nothing", 1e38), ("nothing", 1.0), ("ask_torch_for_too_much", 1.0))
    networks = [acting(act, factor) for act, factor in harm]  # after the last one such a network is not tried again
    status, out, err = start_acting(folder, *networks, trials=5)
    assert (status, err) == (0, "")
    found = read(folder)
    killed = "SIGKILL (by hand, or by the system for want of memory); its log is runs/x/log/worker-0.log"
    reasons = [trial.reason for trial in found.trials]
    assert [trial.state for trial in found.trials] == ["failed", "failed", "failed", "complete", "failed"]
    assert reasons[0] == f"worker died: 3 workers did, the last one so: worker 0 was ended by {killed}"
    assert reasons[1] == "bug: KeyError: 'channels'"
    assert reasons[2].startswith("diverged: Diverged: ")
    assert reasons[4].startswith("out of memory: RuntimeError: ")
    for reason in (*reasons[1:3], reasons[4]):
        assert f"    {reason}" in out
    assert "KeyError: 'channels'" in (folder / "runs/x/log/worker-0.log").read_text()


def test_five_bugs_end_the_study_with_their_last_line_on_the_screen(folder: Path) -> None:
    networks = [acting("bug", factor) for factor in (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)]
    status, out, err = start_acting(folder, *networks, trials=9)
    assert (status, err) == (1, "")
    assert read(folder).state == "failed"
    assert [trial.state for trial in read(folder).trials] == [*["failed"] * 5, "running"]  # asked ahead
    assert out.count("    bug: KeyError: 'channels'\n") == 5
    assert "No candidate was trained to its end." in out
    assert "Failed: candidate after candidate ended in a bug of the program, see log/. 0 complete," in out
    assert (folder / "runs/x/log/worker-0.log").read_text().count("Traceback (most recent call last)") == 5


def test_a_spent_time_ends_a_real_study(folder: Path) -> None:
    name = write_plan(folder, name="x", recipe={**TINY["recipe"], "epochs": 900}, budget={"trials": 4})
    status, out, _ = run(folder, name, "--minutes", "0.05", command=WITHOUT_TRAINING)
    assert (status, read(folder).state) == (1, "out_of_time")
    assert "No candidate was trained to its end." in out
    assert read(folder).seconds < 30
    assert nobody_is_left(folder)

"""Goals of what is killed: workers, coordinators, many at once; real processes and real SIGKILLs."""

import json
import random
import re
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from faults import SEED, goal
from study_rig import (
    HERE,
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
    write_plan,
)

SPACE = {"blocks": [{"conv": {"out_channels": {"int": [2, 60]}, "kernel_size": {"choice": [1, 3]}}}]}
NOTICED = 2.0  # seconds
AT_WORK = 1.5  # seconds after its start
ORPHANS = 5.0
RESUME = 3.0
LOOKS = 10
GROWTH = 20 * 2**20  # bytes


@contextmanager
def folder(parent: Path | None = None) -> Generator[Path]:
    """Lend a folder, and end whatever still works in it."""
    with tempfile.TemporaryDirectory(dir=parent) as name:
        try:
            yield Path(name)
        finally:
            for process in processes_in(Path(name)):
                process.kill()


def told(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text_of(path).rpartition("\n")[0].splitlines()]


def finished(where: Path) -> list[int]:
    return [event["trial"] for event in told(record(where)) if event["event"] == "finished"]


def plan_of(where: Path, trials: int, workers: int, **fields: object) -> str:
    executor = {"workers": workers, "device": "cpu"}
    return write_plan(where, TINY, name="x", space=SPACE, budget={"trials": trials}, executor=executor, **fields)


def assert_whole(where: Path, trials: int) -> None:
    """Check that every trial has one last word and none is left running."""
    found, ended = read(where), finished(where)
    assert (found.state, found.count("complete", "stopped", "failed")) == ("complete", trials), "not complete"
    assert sorted(ended) == list(range(len(found.trials))), "a trial without a last word, or with two"


def trainers(where: Path) -> list[psutil.Process]:
    return [each for each in processes_in(where) if "fake_trainer" in " ".join(each.cmdline())]


@goal("R1", "a worker killed at a random moment", 100)
def workers(count: int) -> str:
    """Kill one of four workers again and again, while they pretend to train."""
    dice = random.Random(SEED)
    with folder() as where:
        recipe = {**TINY["recipe"], "epochs": 30}
        name = plan_of(where, 4 * count, 4, recipe=recipe)
        process = start(where, name, command=WITHOUT_TRAINING, stdout=subprocess.DEVNULL)
        kills: list[float] = []
        until(lambda: len(finished(where)) > 0)
        while len(kills) < count:
            time.sleep(dice.uniform(0.1, 0.5))
            # One that is killed again and again while it starts cannot be started, and the study rightly says so.
            alive = [each for each in trainers(where) if time.time() - each.create_time() > AT_WORK]
            assert process.poll() is None, "the study ended early"
            if alive:
                kills.append(time.time())
                dice.choice(alive).kill()
        until(lambda: process.poll() is not None)
        status, _, err = end_of(process)
        assert (status, err) == (0, ""), f"exit status {status}: {err[-200:]}"
        assert_whole(where, 4 * count)
        events = told(record(where))
        deaths = [event for event in events if event["event"] == "interrupted"]
        later = {event["trial"] for event in events if event["event"] == "finished"}
        assert {event["trial"] for event in deaths} <= later, "an interrupted trial was not run again"
        notice = max(min(event["time"] - kill for kill in kills if kill <= event["time"]) for event in deaths)
        assert notice <= NOTICED, f"a death was noticed after {notice:.1f} s"
        times = [event["time"] for event in told(record(where).with_name("epochs.jsonl"))]
        gaps = [after - before for before, after in pairwise(times) if kills[0] < after < kills[-1]]
        return (
            f"{count} kills, {len(deaths)} in a training, all run again; noticed within {notice:.2f} s, "
            f"nobody said anything for {max(gaps):.2f} s at most"
        )


@goal("R2", "the coordinator killed at a random moment", 100)
def coordinators(count: int) -> str:
    """Kill coordinators; the same command goes on each time, and nothing that was acknowledged is lost."""
    dice = random.Random(SEED)
    left, orphans, resumes, plain = count, 0.0, [], []
    while left:
        with folder() as where:
            name, kills = plan_of(where, 40, 2), min(left, 8)
            said: set[int] = set()
            for _ in range(kills):
                began, before = time.monotonic(), opened(where)
                process = start(where, name, command=WITHOUT_TRAINING)
                until(lambda: opened(where) > before or process.poll() is not None)  # noqa: B023
                if opened(where) > before:  # one that is complete is not opened again
                    (resumes if before else plain).append(time.monotonic() - began)
                enough = len(told(record(where))) + dice.randrange(1, 30)
                until(lambda: len(told(record(where))) >= enough or process.poll() is not None)  # noqa: B023
                process.kill()
                _, out, _ = end_of(process)
                said |= acknowledged(out)
                killed = time.monotonic()
                until(lambda: not processes_in(where), ORPHANS)
                orphans = max(orphans, time.monotonic() - killed)
                assert said <= set(finished(where)), f"lost: {sorted(said - set(finished(where)))}"
            status, _, err = run(where, name, command=WITHOUT_TRAINING)
            assert (status, err) == (0, ""), f"exit status {status}: {err[-200:]}"
            assert_whole(where, 40)
            left -= kills
    slower = median(resumes) - median(plain) if resumes else 0.0
    assert slower <= RESUME, f"a resume takes {slower:.1f} s more than a start"
    return f"{count} kills, 0 lost; all processes gone after {orphans:.2f} s, a resume takes {slower:.2f} s more"


def opened(where: Path) -> int:
    return sum(event["event"] == "opened" for event in told(record(where)))


def acknowledged(out: str) -> set[int]:
    """Read off the screen which trials it said were over."""
    lines = [line.partition("] trial ")[2] for line in out.splitlines() if line.startswith("[")]
    return {int(line.partition(":")[0]) for line in lines if line and "waits for" not in line}


@goal("R4", "a disk that is full at so many points", 40)
def full_disks(count: int) -> str:
    """Let a study run out of room, more and more of it; make room and go on. Needs root, for a small tmpfs."""
    statuses: Counter[int] = Counter()
    with folder() as where:
        for point in range(count):
            with small_disk(where / "runs", ROOM) as disk:
                name = plan_of(where, TRIALS_ON_DISK, 2)
                filler = disk / "filler"
                filler.write_bytes(bytes(ROOM - NEEDED * (point + 1) // (count + 1)))
                status, out, err = run(where, name, command=WITHOUT_TRAINING)
                statuses[status] += 1
                assert status in {0, 75}, f"exit status {status} at point {point}: {err[-300:]}"
                assert status == 0 or re.search(r"cannot write [\d,]+ bytes|disk is full", err), err[-300:]
                said = acknowledged(out)
                assert said <= set(finished(where)), f"lost: {sorted(said - set(finished(where)))}"
                filler.unlink()
                status, _, err = run(where, name, command=WITHOUT_TRAINING)
                assert (status, err) == (0, ""), f"with room again exit status {status}: {err[-300:]}"
                assert_whole(where, TRIALS_ON_DISK)
    return f"{statuses[75]} ended with exit status 75 and {statuses[0]} had room enough; 0 lost, all {count} went on"


TRIALS_ON_DISK = 12
ROOM = 4 * 2**20  # bytes
NEEDED = 220_000  # bytes that such a study writes, nearly


@contextmanager
def small_disk(at: Path, size: int) -> Generator[Path]:
    """Mount a file system of so many bytes."""
    at.mkdir(exist_ok=True)
    subprocess.run(["/bin/mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(at)], check=True)
    try:
        yield at
    finally:
        subprocess.run(["/bin/umount", "-l", str(at)], check=True)


@goal("R6", "killed and resumed, one worker, fixed seed", 20)
def equal(count: int) -> str:
    """Train really, kill the coordinator or the worker, go on, and compare with a run that was left alone."""
    dice = random.Random(SEED)
    whole = _trained(None)
    killed = {"coordinator": 0, "worker": 0}
    for _ in range(count):
        victim = dice.choice(sorted(killed))
        found = _trained((victim, dice.randrange(1, 3 * EPOCHS)))
        assert found == whole, f"after the {victim}'s death another result"
        killed[victim] += 1
    told = " and ".join(f"{times} kills of the {victim}" for victim, times in killed.items())
    return f"{told}: the same trials, values and weights in {count} of {count}"


EPOCHS = 4


def _trained(kill: tuple[str, int] | None) -> tuple[list[tuple[object, ...]], bytes]:
    """Run a small study, killed once after so many epochs; give its trials and the best weights."""
    with folder() as where:
        (where / "often.py").write_text((HERE / "often.py").read_text())
        recipe = {**TINY["recipe"], "epochs": EPOCHS, "optimizer": "muon"}
        name = plan_of(where, 3, 1, recipe=recipe, imports=["often"], pruner={"kind": "none"})
        if kill:
            process = start(where, name)
            victim, epochs = kill
            until(lambda: len(told(record(where).with_name("epochs.jsonl"))) >= epochs)
            workers = [each for each in processes_in(where) if each.pid != process.pid]
            for each in workers if victim == "worker" else [process]:
                each.send_signal(signal.SIGKILL)
            end_of(process)
            until(lambda: not processes_in(where))
        status, _, err = run(where, name)
        assert (status, err) == (0, ""), f"exit status {status}: {err[-200:]}"
        found = read(where)
        trials = [
            (trial.number, trial.fingerprint, trial.asked, trial.state, trial.score, _curve(trial.epochs))
            for trial in found.trials
        ]
        return trials, (found.folder / "best" / "weights.safetensors").read_bytes()


def _curve(epochs: Any) -> list[tuple[int, float, float]]:  # noqa: ANN401 (of a record)
    return [(epoch.epoch, epoch.loss, epoch.validation_loss) for epoch in epochs]


@goal("R7", "eight coordinators start at once", 25)
def owners(count: int) -> str:
    """Start eight at once on the same study; one owns it, the others name it."""
    for _ in range(count):
        with folder() as where:
            name = plan_of(where, 12, 1)
            several = [start(where, name, command=WITHOUT_TRAINING) for _ in range(8)]
            ends = [end_of(process) for process in several]
            won = [place for place, (status, _, _) in enumerate(ends) if status == 0 and opened(where)]
            refused = [err for status, _, err in ends if status != 0]
            owner = next(event["pid"] for event in told(record(where)) if event["event"] == "opened")
            assert owner in {several[place].pid for place in won}, "the owner did not end well"
            assert all("owns this run" in err for err in refused), f"another error: {refused}"
            assert any(f"process {owner} on" in err for err in refused), "nobody named the owner"
            assert opened(where) == 1, f"{opened(where)} owners"
            assert_whole(where, 12)
    return f"{count} rounds: one owner each, the others refused with its process"


@goal("R21", "many trials in one coordinator", 500)
def leaks(count: int) -> str:
    """Look at memory, files, threads and processes after a fifth of the trials and after four fifths."""
    with folder() as where:
        process = start(where, plan_of(where, count, 4), command=WITHOUT_TRAINING, stdout=subprocess.DEVNULL)
        until(lambda: len(finished(where)) >= count // 5)
        first = _held(process.pid)
        until(lambda: len(finished(where)) >= count * 4 // 5)
        last = _held(process.pid)
        status, _, err = end_of(process)
        assert (status, err) == (0, ""), f"exit status {status}: {err[-200:]}"
    grown = last[0] - first[0]
    assert grown <= GROWTH, f"{grown / 2**20:.0f} MiB more"
    assert last[1:] == first[1:], f"files, threads, processes: {first[1:]}, later {last[1:]}"
    files, threads, processes = last[1:]
    held = f"{files} files, {threads} threads, {processes} processes throughout"
    return f"{grown / 2**20:.1f} MiB more from trial {count // 5} to {count * 4 // 5}; {held}"


def _held(pid: int) -> tuple[int, int, int, int]:
    """Take the least of some looks: a file that is being written is open for a moment."""
    looks = [_look(psutil.Process(pid)) for _ in range(LOOKS)]
    memory, files, threads, processes = (min(each) for each in zip(*looks, strict=True))
    return memory, files, threads, processes


def _look(process: psutil.Process) -> tuple[int, int, int, int]:
    time.sleep(0.02)
    return process.memory_info().rss, process.num_fds(), process.num_threads(), len(process.children(recursive=True))

"""Goals of what is written: a crash, an error or a power cut at any call that changes a study's folder.

Real studies with workers that only pretend to train, on a disk that `disk.c` watches: on Linux, with a C compiler.
"""

import json
import random
import re
import shutil
import sqlite3
from collections import Counter
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from disk import MEMORY, Op, Studies, studies
from faults import SEED, goal
from goals_kills import acknowledged, assert_whole, finished, folder, plan_of, told
from power import Disk
from study_rig import processes_in, read, record, until

from cnnsearch.check.reading import read as read_spec
from cnnsearch.errors import CnnsearchError
from cnnsearch.report.write import as_page

TRIALS = 3
ERRORS = "Input/output error|storage sqlite:///runs/x/storage.sqlite3 cannot be used"  # SQLite has words of its own
PAGES = 100  # a page takes longer than all the rest: one in so many cases


def fresh(rig: Studies, workers: int) -> str:
    """Empty the folder of the studies but for a plan; give its name."""
    shutil.rmtree(rig.case, ignore_errors=True)
    rig.case.mkdir()
    return plan_of(rig.case, TRIALS, workers)


def spread(count: int, places: Sequence[int], *, again: bool = False) -> list[int]:
    """Give so many of some numbers, evenly; where there are fewer all of them, or some `again`."""
    count = count if again else min(count, len(places))
    return [places[turn * len(places) // count] for turn in range(count)]


def result(where: Path) -> list[tuple[object, ...]]:
    """Give what a study found, without what its clock says."""
    return [
        (trial.number, trial.fingerprint, trial.asked, trial.state, trial.score, len(trial.epochs))
        for trial in read(where).trials
    ]


def assert_readable(where: Path) -> None:
    """Check that what lies there is read, by a page too, or that nothing was acknowledged yet."""
    if (record(where).parent / "plan.json").exists():
        as_page(read(where))
    else:
        assert not finished(where), "trials without a plan"


def assert_sound(where: Path) -> None:
    """Check a complete study: each file whole and about the same trials, and nothing left over."""
    assert_whole(where, TRIALS)
    run = record(where).parent
    best = read(where).ranked[0]
    assert read_spec(run / "best" / "network.json") == best.network, "best/ holds another network"
    said = (run / "best" / "weights.safetensors").read_text()
    assert said.startswith(f"weights of trial {best.number}, "), f"best/ holds {said}"
    summary = json.loads((run / "summary.json").read_text())
    assert (summary["state"], summary["trials"]["complete"]) == ("complete", TRIALS), "the summary is not the study's"
    with closing(sqlite3.connect(run / "storage.sqlite3")) as storage:
        assert storage.execute("PRAGMA quick_check").fetchall() == [("ok",)], "the storage is damaged"
        stored = storage.execute("SELECT count(*) FROM trials WHERE state = 'COMPLETE'").fetchone()
    assert stored == (TRIALS,), f"the storage has {stored[0]} trials of {TRIALS}"
    left = [path.name for path in run.rglob("*") if path.suffix == ".tmp" or path.parent.name == "weights"]
    assert not left, f"left over: {left}"


@goal("R3", "a crash, and an error, at each call that changes a file", 2_000)
def crashes(count: int) -> str:
    """Let the coordinator die at a call, or the call fail; then give the same command again."""
    return crashes_at(count, "")


def crashes_at(count: int, file: str) -> str:
    """Do so at calls that change a file with this in its path."""
    with folder(MEMORY) as work, studies(work) as rig:
        operations, _ = rig.watched(fresh(rig, 1))
        calls, whole, ends = calls_of(operations, file), result(rig.case), Counter[str]()
        places = spread(count, calls)
        for turn, place in enumerate(places):
            for fails in ({}, {"DISK_FAILS": "1"}):
                with case(f"{'an error' if fails else 'a crash'} at call {place}"):
                    ends[_cut(rig, {"DISK_AT": str(place), **fails}, page=turn % PAGES == 0)] += 1
                    assert result(rig.case) == whole, "another result"
    how = ", ".join(f"{times} {end}" for end, times in sorted(ends.items()))
    return f"{len(places)} of {len(calls)} calls, each once as a crash and once as an error: {how}; 0 lost, all went on"


def calls_of(operations: list[Op], file: str) -> list[int]:
    """Give the numbers of the coordinator's calls that changed a file."""
    done = [after for call, after in pairwise(operations) if call.name == "call"]
    return [number for number, op in enumerate(done, start=1) if file in op.path]


@contextmanager
def case(what: str) -> Generator[None]:
    """Name the case in what is missed in it."""
    try:
        yield
    except (AssertionError, CnnsearchError, OSError) as error:
        raise AssertionError(f"after {what}: {error}") from error


def _cut(rig: Studies, watched: dict[str, str], *, page: bool) -> str:
    """Run a study that is cut, and go on with it; say how it ended."""
    plan = fresh(rig, 1)
    status, out, err = rig.run(plan, **watched)
    assert status in {0, 1, -9}, f"exit status {status}: {err[-300:]}"
    assert "Traceback" not in err, err[-600:]
    assert status != 1 or re.search(ERRORS, err), f"another error: {err[-300:]}"
    until(lambda: not processes_in(rig.case))
    said = acknowledged(out)
    assert said <= set(finished(rig.case)), f"lost: {sorted(said - set(finished(rig.case)))}"
    if page:
        assert_readable(rig.case)
    go_on(rig, plan)
    return {0: "untouched", 1: "ended with an error", -9: "died"}[status]


def go_on(rig: Studies, plan: str) -> None:
    """Give the same command again, on a disk that is sound."""
    status, _, err = rig.run(plan)
    assert (status, err) == (0, ""), f"exit status {status}: {err[-300:]}"
    assert_sound(rig.case)


@goal("R5", "a power cut after each operation on the run's folder", 600)
def power_cuts(count: int) -> str:
    """Let a study run, and leave of it what a power cut at some moment may; then give the same command."""
    return power_cuts_after(count, "")


def power_cuts_after(count: int, said: str) -> str:
    """Do so at moments after something was said."""
    dice, acknowledgements = random.Random(SEED), 0
    with folder(MEMORY) as work, studies(work) as rig:
        operations, _ = rig.watched(fresh(rig, 2))
        ends, done = last_words(rig.case), [op for op in operations if op.name != "call"]
        assert_all_seen(rig, done)
        first = next(place for place, op in enumerate(done) if said.encode() in op.data)
        for turn, place in enumerate(spread(count, range(first, len(done)), again=True)):
            with case(f"a power cut after operation {place} of {len(done)}, the {turn + 1}. of this seed"):
                plan, known = _cut_power(rig, done[: place + 1], dice)
                assert known <= set(finished(rig.case)), f"lost: {sorted(known - set(finished(rig.case)))}"
                go_on(rig, plan)
                after = last_words(rig.case)
                assert {trial: after[trial] for trial in known} == {trial: ends[trial] for trial in known}, "changed"
                acknowledgements += len(known)
    return f"{count} power cuts, all went on; of {acknowledgements} results that had been said 0 lost"


def _cut_power(rig: Studies, done: Iterable[Op], dice: random.Random) -> tuple[str, set[int]]:
    """Leave what may be there after these operations; give the plan's name, and which trials were said to be over."""
    plan, disk, said = fresh(rig, 2), Disk(rig.case), b""
    for op in done:
        disk.do(op)
        said += op.data if op.name == "say" else b""
    disk.cut_power(dice)
    return plan, acknowledged(said.decode())


def assert_all_seen(rig: Studies, done: Iterable[Op]) -> None:
    """Check that the operations make the very files that are there: `disk.c` misses nothing."""
    disk = Disk(rig.case)
    for op in done:
        disk.do(op)
    there = {path: path.read_bytes() for path in (rig.case / "runs").rglob("*") if path.is_file()}
    assert disk.content() == there, "not all that was done was seen"


def last_words(where: Path) -> dict[int, dict[str, Any]]:
    return {event["trial"]: event for event in told(record(where)) if event["event"] == "finished"}

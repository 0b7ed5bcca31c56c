"""Goals of time: clocks that are set, and who stands still for a while. Need Linux and a C compiler."""

import json
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from subprocess import Popen
from typing import NamedTuple, Protocol

from faults import goal
from goals_kills import assert_whole, folder, plan_of, trainers
from phases import MARK
from study_rig import HERE, TINY, WITHOUT_TRAINING, end_of, read, record, start, text_of, until

from cnnsearch.report.write import as_page

HOUR = 3600
TRIALS = 8
SLOW = {**TINY["recipe"], "epochs": 20}  # half a second
BERLIN = "CET-1CEST,M3.5.0,M10.5.0/3"
SUMMER_ENDS = datetime(2026, 10, 25, 1, tzinfo=UTC).timestamp()
THE_END = 2.0**31  # of what 32 bits count, in 2038
GIVES_UP = 1.5  # seconds


@cache
def shim() -> Path:
    """Compile what sets the clock of a process."""
    made = Path(tempfile.mkdtemp()) / "set_clock.so"
    source = HERE / "set_clock.c"
    subprocess.run(["/usr/bin/cc", "-shared", "-fPIC", "-O1", "-o", made, source, "-ldl"], check=True)
    return made


class Clock:
    """The clock of a study in a folder."""

    def __init__(self, where: Path) -> None:
        self.file = where / "clock"
        self.shift(0)

    def shift(self, seconds: float) -> None:
        """Let it go so far before ours."""
        draft = self.file.with_suffix(".new")
        draft.write_text(f"{seconds:.0f}")
        draft.replace(self.file)

    def set(self, moment: float) -> None:
        """Let it say this moment now."""
        self.shift(moment - time.time())


class Case(NamedTuple):
    """How a clock goes: where it begins (None: right), and how far it then goes wrong, jump by jump."""

    what: str
    begins: float | None = None
    jumps: tuple[float, ...] = ()
    zone: str = "UTC"


CASES = (
    Case("an hour on", jumps=(HOUR,)),
    Case("an hour back", jumps=(-HOUR,)),
    Case("to and fro", jumps=(-HOUR, HOUR, -HOUR, 0, 24 * HOUR)),
    Case("the end of summer time", begins=SUMMER_ENDS - 2, zone=BERLIN),
    Case("the year 2038", begins=THE_END - 2),
    Case("after it", begins=THE_END + 365 * 24 * HOUR, jumps=(0,)),
)


class Begin(Protocol):
    """Starts the study of a plan in its folder, under its clock."""

    def __call__(self, name: str, *flags: str, zone: str = ...) -> Popen[str]: ...


@contextmanager
def studied(zone: str = "UTC", dwell: str = "") -> Generator[tuple[Path, Clock, Begin]]:
    """Lend a folder, a clock, and what starts a study there."""
    with folder() as where:
        clock = Clock(where)

        def begin(name: str, *flags: str, zone: str = zone) -> Popen[str]:
            given = (f"LD_PRELOAD={shim()}", f"CNNSEARCH_CLOCK={clock.file}", f"CNNSEARCH_DWELL={dwell}", f"TZ={zone}")
            return start(where, name, *flags, command=("/usr/bin/env", *given, *WITHOUT_TRAINING))

        yield where, clock, begin


@goal("R9", "clocks that are set, and who stands still for so many seconds", 60)
def clocks(count: int) -> str:
    """Set a study's clock in every way, and let worker and coordinator stand still for `count` seconds."""
    for case in CASES:
        keeps_time(case)
    set_back_between()
    ends_in_time()
    gives_up_in_time()
    for who in ("worker", "coordinator"):
        stands_still(who, count)
    return (
        f"{len(CASES)} ways to set a clock and another one before a study goes on, 2 limits of time that held, worker "
        f"and coordinator stood still for {count} s: 0 false deaths, 0 lost, no time negative or an hour wrong"
    )


def keeps_time(case: Case) -> None:
    """Set the clock while trials are trained; nothing is lost, and every time stays what it was."""
    with studied(zone=case.zone) as (where, clock, begin):
        if case.begins is not None:
            clock.set(case.begins)
        began = time.monotonic()
        process = begin(plan_of(where, TRIALS, 2, recipe=SLOW), "--minutes", "5", "--budget.trial-minutes", "1")
        for number, jump in enumerate(case.jumps):
            until(lambda: epochs(where) > 10 * number or process.poll() is not None)  # noqa: B023
            clock.shift(jump)
        assert_sound(where, process, case.what, time.monotonic() - began)


def set_back_between() -> None:
    """End a study, set the clock back by an hour, go on in another time zone."""
    with studied() as (where, clock, begin):
        began, name = time.monotonic(), plan_of(where, TRIALS, 2, recipe=SLOW)
        process = begin(name)
        until(lambda: epochs(where) > 0 or process.poll() is not None)
        process.send_signal(signal.SIGINT)
        assert end_of(process)[0] == 128 + signal.SIGINT
        clock.shift(-HOUR)
        assert_sound(where, begin(name, zone=BERLIN), "set back between", time.monotonic() - began, attempts=2)


def ends_in_time() -> None:
    """Set the clock back while a study has three seconds: it ends after three seconds all the same."""
    with studied() as (where, clock, begin):
        process = begin(plan_of(where, TRIALS, 1, recipe={**SLOW, "epochs": 900}), "--minutes", "0.05")
        until(lambda: epochs(where) > 0 or process.poll() is not None)
        began = time.monotonic()
        clock.shift(-HOUR)
        end_of(process)
        assert read(where).state == "out_of_time", f"the minutes ended it as {read(where).state}"
        took = time.monotonic() - began
        assert took < HOUR / 60, f"with the clock set back 3 s took {took:.0f}"


def gives_up_in_time() -> None:
    """Set the clock back while a training hangs: it is given up when its time is over all the same."""
    with studied(dwell="training") as (where, clock, begin):
        limit = ("--budget.trial-minutes", f"{GIVES_UP / 60}")
        process = begin(plan_of(where, 3, 1, pruner={"kind": "none"}), *limit)
        until(lambda: (where / MARK).exists() or process.poll() is not None)
        clock.shift(-HOUR)
        status, _, err = end_of(process)
        assert (status, err) == (0, ""), f"exit status {status}: {err[-300:]}"
        states = [(trial.state, trial.reason) for trial in read(where).trials]
        late = ("failed", f"timeout: its training took more than {GIVES_UP:g} s")
        assert states == [("complete", ""), ("complete", ""), late], f"given up: {states}"
        (*_, hung) = read(where).trials
        assert GIVES_UP <= hung.seconds < HOUR / 60, f"it hung for {hung.seconds:.1f} s"


def stands_still(who: str, seconds: float) -> None:
    """Stop a worker or the coordinator for a while: it is not dead, and goes on."""
    with studied() as (where, _, begin):
        began = time.monotonic()
        process = begin(plan_of(where, TRIALS, 2, recipe=SLOW))
        until(lambda: epochs(where) > 0 or process.poll() is not None)
        stopped = trainers(where)[0].pid if who == "worker" else process.pid
        subprocess.run(["/bin/kill", "-STOP", str(stopped)], check=True)
        time.sleep(seconds)
        subprocess.run(["/bin/kill", "-CONT", str(stopped)], check=True)
        assert_sound(where, process, f"a {who} that stood still", time.monotonic() - began)


def assert_sound(where: Path, process: Popen[str], what: str, seconds: float, attempts: int = 1) -> None:
    """Check that a study came to its end, that nobody was taken for dead, and what it says of times."""
    began = time.monotonic()
    status, _, err = end_of(process)
    assert (status, err) == (0, ""), f"{what}: exit status {status}: {err[-300:]}"
    assert_whole(where, TRIALS)
    run = read(where)
    assert not any(trial.deaths for trial in run.trials), f"{what}: a false death"
    assert max(trial.attempts for trial in run.trials) <= attempts, f"{what}: a trial was begun again"
    assert not run.count("failed"), f"{what}: {[trial.reason for trial in run.trials if trial.reason]}"
    most = seconds + time.monotonic() - began
    summary = json.loads(record(where).with_name("summary.json").read_text())
    times = {"the study": run.seconds, "the summary": summary["seconds"]}
    times |= {f"trial {trial.number}": trial.seconds for trial in run.trials}
    wrong = {name: time for name, time in times.items() if not 0 <= time <= most}
    assert not wrong, f"{what}: of {most:.1f} s {wrong}"
    assert_no_negative_time(as_page(run), what)


def assert_no_negative_time(page: str, what: str) -> None:
    words = re.sub(r"<(script|style).*?</\1>|<[^>]*>", " ", page, flags=re.DOTALL)
    negative = re.findall(r"[-−]\d[\d.,]* (?:s|min|h)\b", words)  # noqa: RUF001 (a minus as books print it)
    assert not negative, f"{what}: the page says {negative}"


def epochs(where: Path) -> int:
    return text_of(record(where).with_name("epochs.jsonl")).count("\n")

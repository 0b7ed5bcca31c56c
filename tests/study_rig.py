"""Studies for the tests: tiny plans, an executor that trains nothing, and the command as a process of its own."""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import optuna
import psutil
import pytest
from sqlalchemy import URL

from cnnsearch import history
from cnnsearch.blocks import Block
from cnnsearch.causes import Cause
from cnnsearch.executors.executor import Executor
from cnnsearch.flow import Flow, Step
from cnnsearch.history import Run, Trial
from cnnsearch.layers import Conv
from cnnsearch.messages import Died, Done, Epoch, Event, Failed, Job
from cnnsearch.network import Network
from cnnsearch.objectives import Latency
from cnnsearch.plan import Plan
from cnnsearch.shapes import Shape
from cnnsearch.study import conduct
from cnnsearch.study.outcome import Outcome
from cnnsearch.study.proposer import Proposer

HERE = Path(__file__).parent
STUDY = (sys.executable, "-m", "cnnsearch.study")
WITHOUT_TRAINING = (sys.executable, str(HERE / "study_without_training.py"))
PATIENCE = 300.0  # seconds; only a machine that stalls needs so many
_create_study = optuna.create_study

CONV = {"out_channels": {"choice": [2, 3, 4]}, "kernel_size": {"choice": [1, 3]}, "padding": "same"}
TINY: dict[str, Any] = {
    "dataset": "digits",
    "space": {"blocks": [{"conv": CONV}]},
    "recipe": {"epochs": 2, "learning_rate": {"float": [0.003, 0.03], "log": True}, "augmentation": None},
    "executor": {"workers": 1, "device": "cpu"},
    "finals": None,
}
SIX_NETWORKS: dict[str, Any] = {**TINY, "recipe": {"epochs": 2, "learning_rate": 0.01, "augmentation": None}}
# AdamW has no use for momentum: endlessly many recipes that all compute the same.
ONE_CANDIDATE: dict[str, Any] = {
    **TINY,
    "space": {"blocks": [{"conv": {"out_channels": 2, "kernel_size": 1}}]},
    "recipe": {**SIX_NETWORKS["recipe"], "momentum": {"float": [0.1, 0.9]}},
}


class Listed(Block):
    """A kind of one's own whose list cannot be looked up, and whose `conv` is a number."""

    kind: Literal["listed"] = "listed"
    conv: int = 2
    dilations: list[int] = [1]  # noqa: RUF012 (of a frozen word)

    def flow(self, shape: Shape) -> Flow:
        _ = shape
        return tuple(
            Step(str(number), Conv(out_channels=self.conv, kernel_size=(1, 1), dilation=(dilation, dilation)))
            for number, dilation in enumerate(self.dilations)
        )


LISTED: dict[str, Any] = {
    "input": {"channels": 1, "height": 8, "width": 8},
    "blocks": [{"kind": "listed", "dilations": [1, 2]}],
    "classes": 10,
}


def plan(runs: Path, data: dict[str, Any] = TINY, **fields: object) -> Plan:
    """Make a plan whose storage is forgotten at once, unless `fields` names another."""
    return Plan.model_validate({**data, "runs": str(runs), "storage": "sqlite://", **fields})


# Without processes

Script = Callable[[Job], Iterator[Event]]


def learn(job: Job) -> Iterator[Event]:
    """Get better every epoch; how good is decided by the candidate and its seed."""
    digest = hashlib.sha256(f"{job.network.fingerprint} {job.recipe.computes} {job.seed}".encode()).digest()
    quality = 0.2 + 0.7 * digest[0] / 255
    for epoch in range(1, job.recipe.epochs + 1):
        yield tell(job, epoch, quality * epoch / job.recipe.epochs)
    yield Done(trial=job.trial, stopped=False)


def tell(job: Job, epoch: int, accuracy: float) -> Epoch:
    return Epoch(trial=job.trial, epoch=epoch, loss=1.0, validation_accuracy=accuracy, validation_loss=1.0, seconds=0.1)


def die(job: Job) -> Iterator[Event]:
    yield Died(trial=job.trial, exit=-9, message="worker 0 was ended by SIGKILL", seconds=1.0)


def fail(reason: Cause, message: str, *, shared: bool = False) -> Script:
    def script(job: Job) -> Iterator[Event]:
        yield Failed(trial=job.trial, reason=reason, message=message, shared=shared)

    return script


BUG = fail("bug", "KeyError: 'channels'")


def interrupt(job: Job) -> Iterator[Event]:
    yield tell(job, 1, 0.5)
    raise KeyboardInterrupt


def cut_off(_: Job) -> Iterator[Event]:
    """Be interrupted before the first word."""
    raise KeyboardInterrupt
    yield


def in_turn(*scripts: Script) -> Script:
    """Let the n-th job follow the n-th script, and all that come later learn."""
    left = list(scripts)

    def script(job: Job) -> Iterator[Event]:
        return (left.pop(0) if left else learn)(job)

    return script


SCRIPTS: dict[str, Script] = {
    "learn": learn,
    "die": die,
    "diverge": fail("diverged", "the loss is nan"),
    "bug": BUG,
    "fill the memory": fail("out of memory", "MemoryError"),
    "fill the memory beside others": fail("out of memory", "MemoryError", shared=True),
}


def network(channels: int) -> dict[str, Any]:
    """Write a network for digits, of one block."""
    return {
        "input": {"channels": 1, "height": 8, "width": 8},
        "blocks": [{"conv": {"out_channels": channels, "kernel_size": 3}}],
        "classes": 10,
    }


def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Stop the clock by which durations are measured; it stands at the number in the list."""
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    return clock


class ScriptedExecutor(Executor):
    """Keeps the contract of an executor and lets every job follow a script, one message at a time."""

    def __init__(self, script: Script = learn, slots: int = 1, *, trains: bool = False) -> None:
        self._script = script
        self._slots = slots
        self._trains = trains
        """Whether the script writes weights itself, as a real training does."""
        self._running: dict[int, tuple[Job, Iterator[Event]]] = {}
        self._waiting: set[int] = set()
        self._told_to_stop: set[int] = set()
        self.jobs: list[Job] = []
        self.measured: list[Network] = []
        self.remembered: list[Trial] = []

    @property
    def slots(self) -> tuple[str, ...]:
        return ("cpu",) * self._slots

    @property
    def free(self) -> int:
        return self._slots - len(self._running)

    def submit(self, job: Job) -> int:
        assert self.free, "a job for no slot"
        assert job.trial not in {other.trial for other, _ in self._running.values()}, "one trial twice at once"
        slot = min(set(range(self._slots)) - self._running.keys())
        self._running[slot] = job, self._script(job)
        self.jobs.append(job)
        return slot

    def events(self, timeout: float) -> Event | None:
        _ = timeout
        for slot, (job, story) in list(self._running.items()):
            if job.trial not in self._waiting:
                del self._running[slot]  # and to the end of the row again, so that all slots have their turn
                return self._next(slot, job, story)
        return None

    def _next(self, slot: int, job: Job, story: Iterator[Event]) -> Event:
        event = Done(trial=job.trial, stopped=True) if job.trial in self._told_to_stop else next(story)
        self._told_to_stop.discard(job.trial)
        if isinstance(event, Epoch) or event.trial is None:
            self._running[slot] = job, story
        if isinstance(event, Epoch):
            self._waiting |= {job.trial} if event.epoch in job.rungs else set()
        if isinstance(event, Done) and not event.stopped and not self._trains:
            Path(job.weights).write_text(f"weights of trial {job.trial}, seed {job.seed}")
        return event

    def go(self, trial: int) -> None:
        self._waiting.remove(trial)

    def stop(self, trial: int) -> None:
        self._waiting.remove(trial)
        self._told_to_stop.add(trial)

    def latency(self, network: Network) -> Latency | None:
        self.measured.append(network)
        return Latency(network.cost.macs / 1e9, 0.0, 1.0)

    def close(self) -> None:
        self._running.clear()


def proposer_of(
    plan: Plan, known: Iterable[Outcome] = (), running: Mapping[int, Mapping[str, float]] | None = None,
    seen: Container[str] = (),
) -> Proposer:  # fmt: skip
    """Make a proposer whose storage is no file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cnnsearch.study.proposer.optuna.create_study", _in_memory)
        return Proposer(plan, plan.folder, known, running or {}, seen)


def search(plan: Plan, script: Script = learn, slots: int = 1, *, quiet: bool = True) -> tuple[Run, ScriptedExecutor]:
    """Search with a script in place of training; no report is drawn."""
    executor = ScriptedExecutor(script, slots)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conduct, "LocalExecutor", lambda *_: executor)
        patch.setattr("cnnsearch.report.write.write_report", lambda _: None)
        patch.setattr(conduct, "remember", lambda trials, *_: executor.remembered.extend(trials))
        patch.setattr("cnnsearch.study.proposer.optuna.create_study", _in_memory)
        return conduct.search(plan, quiet=quiet), executor


def _in_memory(storage: str | None = None, **rest: Any) -> optuna.Study:  # noqa: ANN401 (passed on)
    # To make the tables of a database takes longer than all the rest.
    return _create_study(storage=None if storage == "sqlite://" else storage, **rest)


def events(folder: Path) -> list[dict[str, Any]]:
    """Give the events of a run's record as they stand in the file."""
    return [json.loads(line) for line in (folder / "record.jsonl").read_bytes().splitlines()]


def stored(plan: Plan) -> list[optuna.trial.FrozenTrial]:
    """Read what Optuna's storage holds of a study."""
    url = plan.storage or URL.create("sqlite", database=f"{plan.folder}/storage.sqlite3").render_as_string()
    return optuna.load_study(storage=url, study_name=plan.run_name).get_trials()


def contents(folder: Path) -> dict[Path, bytes]:
    """Read all files in a folder, but for those that say who owns a run."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "lock"}


def scores(run: Run) -> list[float | None]:
    return [trial.score for trial in run.trials]


def states(run: Run) -> list[str]:
    return [trial.state for trial in run.trials]


# With processes


def environment(folder: Path) -> dict[str, str]:
    """Keep what a study remembers of this machine, and the data sets of whoever runs the tests, out of it.

    Its cache being empty, each worker would compile its layers anew: they do without.
    """
    kept = {name: value for name, value in os.environ.items() if name != "CNNSEARCH_DATA"}
    return {
        **kept,
        "CNNSEARCH_NATIVE": "0",
        "XDG_STATE_HOME": str(folder / "state"),
        "XDG_CACHE_HOME": str(folder / "cache"),
    }


def start(
    folder: Path, *flags: str, command: tuple[str, ...] = STUDY, stdout: int = subprocess.PIPE
) -> subprocess.Popen[str]:
    """Start a study in a folder, from the plan `tiny.json` in it; what many trials say would fill a pipe."""
    return subprocess.Popen(
        [*command, *flags],
        cwd=folder,
        env=environment(folder),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )


def end_of(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for a process; give exit status, output and errors."""
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def run(folder: Path, *flags: str, command: tuple[str, ...] = STUDY) -> tuple[int, str, str]:
    return end_of(start(folder, *flags, command=command))


def write_plan(folder: Path, data: dict[str, Any] = TINY, **fields: object) -> str:
    """Write a plan into a folder and give its name there."""
    (folder / "tiny.json").write_text(json.dumps({**data, **fields}))
    return "tiny.json"


def until(true: Callable[[], object], patience: float = PATIENCE) -> None:
    """Look again and again until something is true."""
    deadline = time.monotonic() + patience
    while not true():
        assert time.monotonic() < deadline, f"waited for {patience:.0f} s in vain"
        time.sleep(0.005)


def text_of(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def record(folder: Path) -> Path:
    """Name the record of the run called x."""
    return folder / "runs" / "x" / "record.jsonl"


def read(folder: Path) -> Run:
    """Read the run called x."""
    return history.read(folder / "runs" / "x")


def processes_in(folder: Path) -> list[psutil.Process]:
    """Find every process that works in a folder: coordinator and workers do nothing else there."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(folder) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def workers_in(folder: Path) -> list[psutil.Process]:
    return [process for process in processes_in(folder) if "--data-root" in process.cmdline()]

"""Runs jobs in processes of this machine: one worker per slot, replaced when it dies.

The constructor starts the workers and imports no torch: they load theirs while the caller loads its own.
A death is heard from the process itself, within milliseconds; there is no heartbeat, and a clock for `Job.seconds`
alone.

On a GPU only a diverged training leaves its process whole. After any other error the worker is replaced: some CUDA
errors end a process's use of the device, and a recording that failed leaks its memory. A trial that is out of memory
while others were trained on its device takes its slot with it, so that it is tried again beside fewer; when it is alone
and out of memory all the same, the slots that were given up for it come back. On the CPU neither holds: there the
system ends whoever takes too much, and what a program can notice was one tensor too large for any machine.
"""

import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import inf
from pathlib import Path
from queue import Empty, SimpleQueue
from time import monotonic

from cnnsearch.errors import RunError
from cnnsearch.executors.executor import Executor, Setup
from cnnsearch.executors.meter import Meter
from cnnsearch.executors.process import Ended, Heard, WorkerProcess, trim
from cnnsearch.messages import Died, Done, Epoch, Event, Failed, Go, Job, News, Ready, Stop
from cnnsearch.network import Network
from cnnsearch.objectives import Latency
from cnnsearch.signals import check

WORKER = (sys.executable, "-P", "-m", "cnnsearch.worker")
MOST_FALSE_STARTS = 3
GRACE_SECONDS = 1.0


@dataclass
class _Slot:
    """The worker of a slot and what it does; changed by the calling thread only."""

    number: int
    device: str
    log: Path
    worker: WorkerProcess
    ready: bool = False
    job: Job | None = None
    """Told to the worker as soon as that is ready: one that dies before has not hurt it."""
    since: float = 0.0
    """When the worker got its job, and as much later as it stood still since."""
    stood: float = 0.0
    """Seconds that it stood still in the epoch under way."""
    busy_until: float = -inf
    """When its last job ended, moved as `since` is."""
    false_starts: int = 0
    leaving: str = ""
    """Why its worker was ended on purpose, until its end is heard."""
    given_up_for: int | None = None
    """The trial that needed its memory; until it comes back the slot takes no job."""

    @property
    def deadline(self) -> float:
        """When its training has taken too long."""
        job = self.job if self.ready else None
        return inf if job is None or job.seconds is None else self.since + job.seconds - job.spent

    def end_job(self) -> None:
        """Take note that its job is over."""
        self.job, self.busy_until = None, monotonic()

    @property
    def seconds(self) -> float:
        """How long its worker has been at its job."""
        return monotonic() - self.since if self.ready and self.job else 0.0


class LocalExecutor(Executor):
    """One process per slot; several slots may share a device."""

    def __init__(self, slots: Sequence[str], setup: Setup, log: Path, command: Sequence[str] = WORKER) -> None:
        """Start a worker for each device in `slots`; `log` is the folder of their logs, `command` starts one."""
        self._command = (*command, *_options(setup))
        self._heard: SimpleQueue[tuple[int, Heard]] = SimpleQueue()
        self._slots: list[_Slot] = []
        self._closed = False
        self._meter: Meter | None = None
        self._modules, self._log = setup.imports, log
        log.mkdir(parents=True, exist_ok=True)
        try:
            for number, device in enumerate(slots):
                path = log / f"worker-{number}.log"
                self._slots.append(_Slot(number, device, path, self._start(number, device, path)))
        except BaseException:  # one could not be started, and nobody can close what was not made
            self.close()
            raise

    @property
    def slots(self) -> tuple[str, ...]:
        """Device of each slot."""
        return tuple(slot.device for slot in self._in_use)

    @property
    def free(self) -> int:
        """Number of slots without a job, those still starting included."""
        return sum(slot.job is None for slot in self._in_use)

    def submit(self, job: Job) -> int:
        """Give a job to a free slot, one that is ready if there is one, and return the slot's number."""
        slot = max((slot for slot in self._in_use if slot.job is None), key=lambda slot: slot.ready)
        slot.job = job
        if slot.ready:
            _begin(slot, job)
        return slot.number

    def events(self, timeout: float) -> Event | None:
        """Return what happened next, or None; replace a worker that died."""
        check()
        if self._closed:
            return None
        self._trim_logs()
        first = min(self._slots, key=lambda slot: slot.deadline)
        try:
            number, heard = self._heard.get(timeout=min(timeout, max(0.0, first.deadline - monotonic())))
        except Empty:
            return self._give_up(first) if monotonic() >= first.deadline else None
        slot = self._slots[number]
        if slot.leaving and not isinstance(heard, Ended):  # said before it was ended, of a trial that is over
            return None
        if isinstance(heard, Ended):
            return self._let_go(slot, heard) if slot.leaving else self._replace(slot, heard)
        return self._note(slot, heard)

    def go(self, trial: int) -> None:
        """Let a trial that waits at a rung train on."""
        for worker in self._workers_on(trial):
            worker.say(Go(trial=trial))

    def stop(self, trial: int) -> None:
        """Let a trial that waits at a rung end."""
        for worker in self._workers_on(trial):
            worker.say(Stop(trial=trial))

    def latency(self, network: Network) -> Latency | None:
        """Measure how long one image takes on one thread of the processor; the workers stand still meanwhile."""
        if self._meter is None:  # its start takes seconds, in which the workers go on
            self._meter = Meter(self._modules, self._log / "latency.log")
        began = monotonic()
        try:
            for slot in self._slots:
                slot.worker.pause()
            return self._meter.measure(network)
        except RunError:  # a block of the user's own ended the process: its network cannot be run, others can
            self._meter = None
            return None
        finally:
            for slot in self._slots:
                slot.worker.resume()
                stood = monotonic() - began  # what stood still did not take longer
                slot.since += stood
                slot.busy_until += stood
                slot.stood += stood

    def close(self) -> None:
        """End all workers at once; those that resist are killed after a second."""
        if self._closed:
            return
        self._closed = True
        if self._meter:
            self._meter.close()
        for slot in self._slots:
            slot.worker.end(signal.SIGTERM)
        deadline = monotonic() + GRACE_SECONDS
        for slot in self._slots:
            if not slot.worker.join(max(0.0, deadline - monotonic())):
                slot.worker.end(signal.SIGKILL)
                slot.worker.join(GRACE_SECONDS)
        self._trim_logs()

    def _trim_logs(self) -> None:
        for slot in self._slots:
            trim(slot.log)

    @property
    def _in_use(self) -> list[_Slot]:
        return [slot for slot in self._slots if slot.given_up_for is None]

    def _start(self, number: int, device: str, log: Path) -> WorkerProcess:
        return WorkerProcess((*self._command, "--device", device), log, partial(self._hear, number))

    def _hear(self, number: int, heard: Heard) -> None:
        self._heard.put((number, heard))

    def _workers_on(self, trial: int) -> list[WorkerProcess]:
        # Empty for a trial that ended while its answer was on the way.
        return [slot.worker for slot in self._slots if slot.ready and slot.job and slot.job.trial == trial]

    def _note(self, slot: _Slot, news: News) -> News:
        if isinstance(news, Ready):
            slot.ready = True
            if slot.job:
                _begin(slot, slot.job)
        if isinstance(news, Epoch):
            news = news.model_copy(update={"seconds": max(0.0, news.seconds - slot.stood)})
            slot.stood = 0.0
        if isinstance(news, Done | Failed):
            news = news.model_copy(update={"seconds": slot.seconds})
            slot.end_job()
        if isinstance(news, Failed) and news.reason != "diverged" and slot.device != "cpu":
            return self._part(slot, news)
        return news

    def _give_up(self, slot: _Slot) -> Failed:
        """End a worker whose training takes too long: what hangs hears nothing."""
        assert slot.job
        message = f"its training took more than {slot.job.seconds:g} s"
        failed = Failed(trial=slot.job.trial, reason="timeout", message=message, seconds=slot.seconds)
        slot.leaving, slot.ready = f"is replaced: {message}", False
        slot.end_job()
        slot.worker.end(signal.SIGKILL)
        return failed

    def _part(self, slot: _Slot, failed: Failed) -> Failed:
        """End a worker that may be spoilt, and with it the slot where it was short of memory beside others."""
        slot.leaving = f"is replaced: {failed.reason} on {slot.device!r} may have spoilt its process"
        slot.ready = False
        slot.worker.end(signal.SIGKILL)
        if failed.reason != "out of memory":
            return failed
        beside = [other for other in self._slots if other is not slot and other.device == slot.device]
        if any(other.job or other.busy_until > slot.since for other in beside):
            if any(other.given_up_for is None for other in beside):
                law = f"trial {failed.trial} needs its memory on {slot.device!r}, and is tried again"
                slot.leaving, slot.given_up_for = f"is given up: {law}", failed.trial
            return failed.model_copy(update={"shared": True})
        for other in self._slots:
            if other.given_up_for == failed.trial:
                other.given_up_for = None
                if not other.leaving:
                    other.worker = self._start(other.number, other.device, other.log)
        return failed

    def _let_go(self, slot: _Slot, status: Ended) -> Died:
        slot.worker.join(GRACE_SECONDS)
        message, slot.leaving = f"worker {slot.number} {slot.leaving}", ""
        if slot.given_up_for is None:
            slot.worker = self._start(slot.number, slot.device, slot.log)
        return Died(trial=None, exit=status, message=message)

    def _replace(self, slot: _Slot, status: Ended) -> Died:
        slot.worker.join(GRACE_SECONDS)
        slot.false_starts = 0 if slot.ready else slot.false_starts + 1
        if slot.false_starts == MOST_FALSE_STARTS:
            raise RunError(_no_start(slot, status))
        message = f"worker {slot.number} {_ending(status)}; its log is {slot.log}"
        trial = slot.job.trial if slot.ready and slot.job else None
        died = Died(trial=trial, exit=status, message=message, seconds=slot.seconds)
        if trial is not None:
            slot.end_job()
        slot.ready = False
        slot.worker = self._start(slot.number, slot.device, slot.log)
        return died


def _begin(slot: _Slot, job: Job) -> None:
    slot.since, slot.stood = monotonic(), 0.0
    slot.worker.say(job)


def _options(setup: Setup) -> list[str]:
    options = ["--dataset", setup.dataset, "--data-root", str(setup.data_root)]
    return options + [text for module in setup.imports for text in ("--import", module)]


def _ending(status: int) -> str:
    if status >= 0:
        return f"ended with exit status {status}"
    name = signal.Signals(-status).name if -status in signal.valid_signals() else f"signal {-status}"
    hint = " (by hand, or by the system for want of memory)" if name == "SIGKILL" else ""
    return f"was ended by {name}{hint}"


def _no_start(slot: _Slot, status: int) -> str:
    return (
        f"worker {slot.number} on {slot.device!r} {_ending(status)} before it was ready, {MOST_FALSE_STARTS} times in a"
        f" row; the end of its log {slot.log} says why:\n{slot.worker.last_words()}"
    )

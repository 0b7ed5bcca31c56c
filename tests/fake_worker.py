"""A worker that trains nothing: `weights` of a job names what it does or how it fails; argument 1 is done at start."""

import os
import random
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from cnnsearch.messages import Done, Epoch, Failed, Job, Ready
from cnnsearch.worker.pipe import Coordinator


def hang() -> None:
    threading.Event().wait()


def hold_the_interpreter() -> None:
    sum(range(10**18))  # one C loop: no other thread runs until it ends


def die() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def may_die() -> None:
    """Let one trial in four be ended at an instant that nobody chose: SIGALRM is not handled."""
    if random.random() < 0.25:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-6, 0.01))
    sum(range(100_000))


def leave_a_child() -> None:
    """End, while a child holds the pipe."""
    if os.fork() == 0:
        hang()
    os._exit(3)


def say_nonsense() -> None:
    os.write(coordinator._news.fileno(), b'{"kind": "epoch"}\n')  # noqa: SLF001
    hang()


def write_much() -> None:
    sys.stderr.write("a line of log\n" * 1_000_000)


def write_much_and_hang() -> None:
    write_much()
    hang()


def write_much_and_die() -> None:
    write_much()
    die()


def print_a_lot() -> None:
    print('{"kind": "done", "trial": 0, "stopped": false}', flush=True)  # noqa: T201
    os.write(1, b"nonsense\n")
    print(f"read: {sys.stdin.read()!r}", flush=True)  # noqa: T201


def resist() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def no_start() -> None:
    raise ImportError("no module named 'my_blocks'")


def die_at_first_start() -> None:
    flag = Path(sys.argv[2])
    if not flag.exists():
        flag.touch()
        die()


ACTS: dict[str, Callable[[], None]] = {
    act.__name__: act
    for act in (
        die, die_at_first_start, hang, hold_the_interpreter, leave_a_child, may_die, no_start, print_a_lot, resist,
        say_nonsense, write_much, write_much_and_die, write_much_and_hang,
    )
}  # fmt: skip


def nothing() -> None:
    pass


def run(job: Job) -> None:
    seconds = 1e6 * (job.weights == "long epochs")
    for epoch in range(1, job.recipe.epochs + 1):
        coordinator.say(
            Epoch(trial=job.trial, epoch=epoch, loss=1.0, validation_accuracy=0.5, validation_loss=1.0, seconds=seconds)
        )
        ACTS.get(job.weights, nothing)()
        reason = job.weights.removeprefix("later ")
        if reason in {"diverged", "out of memory", "bug"} and (epoch > 1 or reason == job.weights):
            coordinator.say(Failed.model_validate({"trial": job.trial, "reason": reason, "message": "told to"}))
            return
        if epoch in job.rungs and coordinator.stops(job.trial):
            coordinator.say(Done(trial=job.trial, stopped=True))
            return
    coordinator.say(Done(trial=job.trial, stopped=False))


coordinator = Coordinator()
ACTS.get("".join(sys.argv[1:2]), nothing)()
coordinator.say(Ready())
while True:
    run(coordinator.next_job())

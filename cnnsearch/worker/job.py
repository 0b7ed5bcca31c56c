"""What does a worker do with a job? It builds, trains, and classes what goes wrong."""

import gc
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import torch

from cnnsearch import weights
from cnnsearch.causes import Cause
from cnnsearch.checkpoint import Checkpoint
from cnnsearch.data import DataSet
from cnnsearch.errors import DiskFullError, InvalidSpecError
from cnnsearch.messages import Done, Epoch, Failed, Job, News
from cnnsearch.module import build
from cnnsearch.replay import NotRecordedError
from cnnsearch.train import Diverged, train

MOST_CHARACTERS = 500
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "_ALLOC_FAILED")
"""What RuntimeErrors of the CPU's allocator, cuBLAS and cuDNN say; for the CUDA allocator torch has a class."""
Stops = Callable[[int], bool]
"""Whether a trial is told to stop at its rung; waits for the answer."""


def run(job: Job, data: DataSet, stops: Stops) -> Iterator[News]:
    """Do a job on the device of the data; the last message is Done or Failed, whatever user code does."""
    failed = None
    try:
        yield from _train(job, data, stops)
    except (Exception, SystemExit) as error:  # noqa: BLE001 (a network must not end the worker of the next)
        with suppress(OSError):  # a full disk takes no log either
            print(f"trial {job.trial}:", file=sys.stderr)  # noqa: T201 (standard error is the log)
            traceback.print_exc()
        failed = Failed(trial=job.trial, reason=cause(error), message=one_line(error))
    if failed:  # said only here, where the error no longer holds the module's memory
        gc.collect()
        yield failed


def _train(job: Job, data: DataSet, stops: Stops) -> Iterator[News]:
    torch.manual_seed(job.seed)  # pyright: ignore[reportUnknownMemberType]
    module = build(job.network).to(data.train.images_NCHW.device)
    checkpoint = Checkpoint(job, module, data)
    for epoch in train(module, data, job.recipe, job.seed, checkpoint.read(), checkpoint.keep):
        yield Epoch(trial=job.trial, **epoch._asdict())
        at_rung = epoch.epoch in job.rungs and epoch.epoch < job.recipe.epochs
        if at_rung and stops(job.trial):
            yield Done(trial=job.trial, stopped=True)
            return
    weights.save(Path(job.weights), module, job.network, data)
    yield Done(trial=job.trial, stopped=False)


def cause(error: BaseException) -> Cause:
    """Class an error that ended a training."""
    if isinstance(error, NotRecordedError | InvalidSpecError) and error.__cause__:  # they say where, these say what
        return cause(error.__cause__)
    if isinstance(error, Diverged):
        return "diverged"
    if isinstance(error, DiskFullError):
        return "disk full"
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return "out of memory"
    said = isinstance(error, RuntimeError) and any(words in str(error) for words in OUT_OF_MEMORY)
    return "out of memory" if said else "bug"


def one_line(error: BaseException) -> str:
    """Write what a traceback ends with, as one line that any pipe takes; what we say ourselves without the class."""
    text = " ".join((f"{error}" if isinstance(error, DiskFullError) else f"{type(error).__name__}: {error}").split())
    return text[:MOST_CHARACTERS].encode(errors="replace").decode()


def release(device: torch.device) -> None:
    """Give back what torch keeps for later: other workers may share the device."""
    if device.type == "cuda":
        torch.cuda.empty_cache()

"""Phases of a study that last until it is ended, for those who end it there: CNNSEARCH_DWELL names one.

A phase that is reached leaves a file `dwells` in the current folder. The data of such a study may be one small file in
MNIST's place.
"""

import os
import threading
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

from cnnsearch.files import whole
from cnnsearch.messages import Job, checkpoint_of

PHASE = os.environ.get("CNNSEARCH_DWELL", "")
LATER = 2  # trials, after which there is something to lose
MARK = "dwells"
CONTENT = b"images " * 10_000


def dwell(phase: str) -> None:
    """Stay here for ever, if this is the phase to stay in."""
    if phase == PHASE:
        Path(MARK).touch()
        threading.Event().wait()


def dwell_in(job: Job) -> None:
    """Stay in a job, before its weights are written."""
    weights = Path(job.weights)
    if weights.parent.name == "finals":
        dwell("finals")
    elif job.trial >= LATER:
        dwell("training")
        with whole(checkpoint_of(weights), sync=False) as draft:
            draft.write_bytes(b"half of a check")
            dwell("checkpoint")


def work_for_ever(room: Any, name: str, *, after: int = 0) -> None:  # noqa: ANN401 (a module or a class)
    """Let a function of a room, once it was called so many times, do its work again and again."""
    once = getattr(room, name)
    calls = count(1)

    def again(*given: object) -> object:
        if next(calls) > after:
            Path(MARK).touch()
            while True:
                once(*given)
        return once(*given)

    setattr(room, name, again)


def download_from(mirror: str) -> None:
    """Let the data be one small file, which comes from this mirror."""
    from cnnsearch import datasets, download

    datasets.MNIST_FILES = (datasets.File("images", sha256(CONTENT).hexdigest(), len(CONTENT)),)
    download.MNIST_FILES, download.torchvision_mirrors = datasets.MNIST_FILES, lambda: [mirror]

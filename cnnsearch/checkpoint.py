"""How does an interrupted training go on from one of its last epochs as if it had not been interrupted?

On a CPU its weights are then the same to the bit. A training's file lies beside the one for its weights: all tensors
that the next step reads, and what its epochs came to, under a checksum, with the name of what is trained. Everything
random follows from seed and epoch, so nothing of that is in it. It is replaced as a whole but not brought to the disk:
what a power cut makes of it is noticed, as is any damage, and then the training begins anew, as it does for another
job, another torch or a file that a full disk refused. The coordinator removes it once the training's last word is in
the record. Code of one's own that was changed in between is not noticed, unless it makes other tensors.
"""

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cnnsearch.data import DataSet
from cnnsearch.errors import RunError
from cnnsearch.files import whole
from cnnsearch.messages import Job, checkpoint_of
from cnnsearch.snapshot import Epoch, Snapshot
from cnnsearch.weights import opened, sealed

SECONDS = 2.0  # between two: what an interruption may cost, besides the epoch under way


class Checkpoint:
    """Where one job goes on from."""

    def __init__(self, job: Job, module: nn.Module, data: DataSet) -> None:
        self._path, self._rungs = checkpoint_of(Path(job.weights)), frozenset(job.rungs)
        self._job = _name(job, module, data)
        self._written = time.monotonic()

    def read(self) -> Snapshot | None:
        """Give what the file holds; None where there is none for this job, or it is damaged."""
        try:
            content, tensors = opened(self._path)
            said = json.loads(content)
            return Snapshot(_epochs(said), tensors) if said["job"] == self._job else None
        except (RunError, ValueError, TypeError, KeyError):
            return None

    def keep(self, snapshot: Snapshot) -> None:
        """Write it at a rung, where a training may rest for long, and after some seconds of work."""
        is_due = time.monotonic() - self._written >= SECONDS
        if not is_due and snapshot.epochs[-1].epoch not in self._rungs:
            return
        content = json.dumps({"job": self._job, "epochs": [epoch._asdict() for epoch in snapshot.epochs]})
        with suppress(OSError), whole(self._path, sync=False) as draft:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            draft.write_bytes(sealed(content, snapshot.tensors))
        self._written = time.monotonic()


def _name(job: Job, module: nn.Module, data: DataSet) -> dict[str, Any]:
    """Say what is trained, and by what."""
    return {
        "tensors": {name: list(tensor.shape) for name, tensor in module.state_dict().items()},
        "network": job.network.model_dump(mode="json"),
        "recipe": job.recipe.model_dump(mode="json"),
        "seed": job.seed,
        "data": data.sha256,
        "device": data.train.images_NCHW.device.type,
        "torch": str(torch.__version__),
        "processor": [name for name, there in sorted(torch.cpu.get_capabilities().items()) if there is True],
    }


def _epochs(said: Mapping[str, Any]) -> tuple[Epoch, ...]:
    return tuple(Epoch(**epoch) for epoch in said["epochs"])

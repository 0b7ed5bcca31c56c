"""How fast did the last run on this machine train? Remembered for the next forecast."""

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from platformdirs import user_state_path

from cnnsearch.files import write_whole
from cnnsearch.history import Run


class Speed(NamedTuple):
    """What a run measured about this machine."""

    macs_per_second: float
    """Multiply-adds of forward passes over training images, a second and worker; the rest of a step included."""
    share_trained: float
    """Epochs trained over epochs planned: early stopping spares the rest."""
    device: str
    """The kind of the first worker's: "cpu" or "cuda"."""
    time: float
    """Unix seconds."""


def remember(run: Run, train_images: int, device: str) -> None:
    """Measure a run and keep the figure; a machine that keeps nothing is no fault."""
    trained = [trial for trial in run.trials if trial.state in {"complete", "stopped"} and trial.epochs]
    seconds = sum(trial.seconds for trial in trained)
    if seconds <= 0:
        return
    macs = sum(trial.macs * len(trial.epochs) * train_images for trial in trained)
    share = sum(len(trial.epochs) for trial in trained) / sum(trial.recipe.epochs for trial in trained)
    speed = Speed(macs / seconds, share, device.partition(":")[0], time.time())
    with suppress(OSError):
        _file().parent.mkdir(parents=True, exist_ok=True)
        write_whole(_file(), json.dumps(speed._asdict()))


def recall(device: str) -> Speed | None:
    """Give the last measured speed on this kind of device, if there is one."""
    with suppress(OSError, ValueError, TypeError):
        speed = Speed(**json.loads(_file().read_bytes()))
        return speed if speed.device == device.partition(":")[0] else None
    return None


def _file() -> Path:
    return user_state_path("cnnsearch") / "speed.json"

"""How fast did the last run on this machine train? Remembered for the next forecast."""

import json
import time
from contextlib import suppress
from pathlib import Path
from statistics import linear_regression, mean
from typing import NamedTuple

from platformdirs import user_state_path

from cnnsearch.files import write_whole
from cnnsearch.history import Run


class Speed(NamedTuple):
    """What a run measured about this machine: seconds a training image = `base` + multiply-adds * `per_mac`."""

    base: float
    per_mac: float
    share_trained: float
    """Epochs trained over epochs planned: early stopping spares the rest."""
    device: str
    """The kind of the first worker's: "cpu" or "cuda"."""
    time: float
    """Unix seconds."""

    def seconds(self, macs: int) -> float:
        """Give the seconds a training image, all else included, for a network of so many multiply-adds."""
        return self.base + macs * self.per_mac


def remember(run: Run, train_images: int, device: str) -> None:
    """Measure a run and keep the figures; a machine that keeps nothing is no fault."""
    trained = [trial for trial in run.trials if trial.state in {"complete", "stopped"} and trial.epochs]
    if not trained:
        return
    base, per_mac = _fit([(trial.macs, epoch.seconds / train_images) for trial in trained for epoch in trial.epochs])
    share = sum(len(trial.epochs) for trial in trained) / sum(trial.recipe.epochs for trial in trained)
    speed = Speed(base, per_mac, share, device.partition(":")[0], time.time())
    with suppress(OSError):
        _file().parent.mkdir(parents=True, exist_ok=True)
        write_whole(_file(), json.dumps(speed._asdict()))


def _fit(points: list[tuple[int, float]]) -> tuple[float, float]:
    """Fit a line by least squares; one that falls or begins below 0 is replaced by one through 0."""
    macs, seconds = zip(*points, strict=True)
    if len(set(macs)) > 1:
        slope, intercept = linear_regression(macs, seconds)
        if slope >= 0 and intercept >= 0:
            return intercept, slope
    return 0.0, mean(seconds) / mean(macs)


def recall(device: str) -> Speed | None:
    """Give the last measured speed on this kind of device, if there is one."""
    with suppress(OSError, ValueError, TypeError):
        speed = Speed(**json.loads(_file().read_bytes()))
        return speed if speed.device == device.partition(":")[0] else None
    return None


def _file() -> Path:
    return user_state_path("cnnsearch") / "speed.json"

"""How fast did the last run on this machine train? Remembered for the next forecast on the same data set.

Kept apart by data set: what a tiny network on tiny images costs is mostly overhead, and says nothing about larger ones.
"""

import json
import time
from contextlib import suppress
from pathlib import Path
from statistics import linear_regression, mean
from typing import NamedTuple

from platformdirs import user_state_path

from cnnsearch.datasets import Facts, platform_folder
from cnnsearch.files import write_whole
from cnnsearch.history import Run


class Speed(NamedTuple):
    """What a run measured about this machine: seconds a training image = `base` + multiply-adds * `per_mac`."""

    base: float
    per_mac: float
    time: float
    """Unix seconds."""

    def seconds(self, macs: int) -> float:
        """Give the seconds a training image, all else included, for a network of so many multiply-adds."""
        return self.base + macs * self.per_mac


LEAST_TRIALS = 3  # fewer tell too little of what time goes with


def remember(run: Run, facts: Facts, device: str) -> None:
    """Measure a run and keep the figures; a machine that keeps nothing is no fault."""
    trained = [trial for trial in run.trials if trial.state in {"complete", "stopped"} and trial.epochs]
    if len(trained) < LEAST_TRIALS:
        return
    base, per_mac = _fit(
        [
            (trial.macs, epoch.seconds / (share * facts.train_images))
            for trial in trained
            for epoch, share in zip(trial.epochs, trial.recipe.passes, strict=False)  # a stopped trial has fewer epochs
        ]
    )
    speed = Speed(base, per_mac, time.time())
    with suppress(OSError):
        path = _file(facts.key, device)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(speed._asdict()))


def _fit(points: list[tuple[int, float]]) -> tuple[float, float]:
    """Fit a line by least squares; instead of one that falls a level one, of one that begins below 0 one through 0."""
    macs, seconds = zip(*points, strict=True)
    if len(set(macs)) > 1:
        slope, intercept = linear_regression(macs, seconds)
        if slope >= 0 and intercept >= 0:
            return intercept, slope
        if slope >= 0:
            return 0.0, mean(seconds) / mean(macs)
    return mean(seconds), 0.0


def recall(dataset: str, device: str) -> Speed | None:
    """Give the last measured speed with this data set on this kind of device, if there is one."""
    with suppress(OSError, ValueError, TypeError):
        return Speed(**json.loads(_file(dataset, device).read_bytes()))
    return None


def _file(dataset: str, device: str) -> Path:
    return platform_folder(user_state_path) / f"speed-{dataset}-{device.partition(':')[0]}.json"

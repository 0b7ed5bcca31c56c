"""How fast did the last run on this machine train? Remembered for the next forecast on the same data set.

A run gives one number: seconds for each unit of work. What a network's work is made of is fixed, so that a run of large
plain networks also tells how long small separable ones will take, of which each layer takes longer to start than to
compute. Kept apart by data set all the same.
"""

import json
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from platformdirs import user_state_path

from cnnsearch.datasets import Facts, platform_folder
from cnnsearch.files import write_whole
from cnnsearch.history import Trial
from cnnsearch.network import Network

# In multiply-adds of a training step on a CPU, by `examples/benchmarks/steps.py`. On a GPU the shares are others, not
# measured yet.
LAYER = 7e6  # to start what a layer with weights does in a step: forward, backward and in the optimizer
NUMBER = 14.0  # to pass over a number that a layer gives out
VALIDATED = 0.4  # of the work on a training image: forward only, but not in bf16

LEAST_TRIALS = 3  # fewer tell too little
MOST_TRIALS = 100  # more take longer to read than they are worth


class Speed(NamedTuple):
    """What a run measured about this machine."""

    seconds: float
    """For work as long as a multiply-add."""
    time: float
    """Unix seconds."""


def work(network: Network, batch_size: int) -> float:
    """Give the work of training on one image."""
    layers = sum(bool(row.tensors) for row in network.layers)
    numbers = sum(row.shape.numbers for row in network.layers)
    return network.cost.macs + NUMBER * numbers + LAYER * layers / batch_size


def images(share: float, facts: Facts) -> float:
    """Give how many images an epoch trains on, so large a share of them; those of validation count by their work."""
    return share * facts.train_images + VALIDATED * facts.validation_images


def remember(trials: Iterable[Trial], facts: Facts, device: str) -> None:
    """Measure trials that were trained here, and keep the figure; a machine that keeps nothing is no fault."""
    trained = [trial for trial in trials if trial.state in {"complete", "stopped"} and trial.epochs][-MOST_TRIALS:]
    if len(trained) < LEAST_TRIALS:
        return
    seconds = sum(epoch.seconds for trial in trained for epoch in trial.epochs)
    done = sum(
        work(trial.network, trial.recipe.batch_size) * images(share, facts)
        for trial in trained
        for _, share in zip(trial.epochs, trial.recipe.passes, strict=False)  # a stopped trial has fewer epochs
    )
    with suppress(OSError):
        path = _file(facts.key, device)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(Speed(seconds / done, time.time())._asdict()))


def recall(dataset: str, device: str) -> Speed | None:
    """Give the last measured speed with this data set on this kind of device, if there is one."""
    with suppress(OSError, ValueError, TypeError):
        return Speed(**json.loads(_file(dataset, device).read_bytes()))
    return None


def _file(dataset: str, device: str) -> Path:
    return platform_folder(user_state_path) / f"speed-{dataset}-{device.partition(':')[0]}.json"

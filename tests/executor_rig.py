"""An executor for the tests whose workers do what a job's `weights` say (fake_worker.py)."""

import sys
from collections.abc import Callable
from pathlib import Path

import psutil
from study_rig import network

from cnnsearch.executors.executor import Setup
from cnnsearch.executors.local import LocalExecutor
from cnnsearch.messages import Died, Done, Event, Failed, Job
from cnnsearch.network import Network
from cnnsearch.recipe import Recipe

FAKE = Path(__file__).with_name("fake_worker.py")
SETUP = Setup("digits", Path("nowhere"))
NETWORK = Network.model_validate(network(4))
PATIENCE = 60.0


def job(trial: int, act: str = "nothing", rungs: tuple[int, ...] = (), seconds: float | None = None) -> Job:
    recipe = Recipe(epochs=3)
    return Job(trial=trial, network=NETWORK, recipe=recipe, seed=0, rungs=rungs, weights=act, seconds=seconds)


def start(log: Path, slots: int = 1, act: str = "nothing", *more: str, device: str = "cpu") -> LocalExecutor:
    command = (sys.executable, "-P", str(FAKE), act, *more)
    return LocalExecutor([device] * slots, SETUP, log, command)


def until(executor: LocalExecutor, wanted: Callable[[Event], bool]) -> list[Event]:
    """Return the events up to the first one that is wanted, without how long what is over took."""
    heard: list[Event] = []
    while not heard or not wanted(heard[-1]):
        event = executor.events(PATIENCE)
        assert event is not None, heard
        heard.append(event.model_copy(update={"seconds": 0.0}) if isinstance(event, Done | Failed | Died) else event)
    return heard


def is_a(kind: type[Event]) -> Callable[[Event], bool]:
    return lambda event: isinstance(event, kind)


def workers() -> list[psutil.Process]:
    """Return the workers of this process, in the order of their slots."""
    return sorted(psutil.Process().children(), key=lambda process: (process.create_time(), process.pid))

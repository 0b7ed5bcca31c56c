"""What does each side of `comparison.py` run, and what did the whole command come to?"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from networks import Description, describe, network_of
from plain_loop import CHANNELS, DEPTH, HEADS, KERNEL_SIZES, PADDINGS

from cnnsearch import history
from cnnsearch.datasets import data_root
from cnnsearch.devices import cores
from cnnsearch.network import Network

BATCH, TRAIN_IMAGES = 128, 55_000
IMAGES = TRAIN_IMAGES - TRAIN_IMAGES % BATCH  # an epoch; the rest fills no batch


class Side(NamedTuple):
    """One way to search: what the plain loop is told, and how many processes of it share the trials."""

    name: str
    job: dict[str, Any]
    processes: int = 1


SIDES = {
    "a": Side("(a) cnnsearch", {}, cores()),
    "b0": Side("(b) Optuna, DataLoader without workers", {}),
    "b2": Side("(b) Optuna, DataLoader with 2 workers", {"loader_workers": 2}),
    "bb": Side("(b) Optuna, DataLoader, a process a core", {"threads": 1}, cores()),
    "c": Side("(c) Optuna, tensors on the device", {"tensors": True}),
    "cc": Side("(c) Optuna, tensors, a process a core", {"tensors": True, "threads": 1}, cores()),
}


class Trained(NamedTuple):
    """A trial of a side; `seconds` is None where its network was impossible."""

    network: Description
    seconds: float | None

    @property
    def key(self) -> str:
        """Name the network, to find repeated ones."""
        return json.dumps(self.network)


class Outcome(NamedTuple):
    """What a whole command came to."""

    side: Side
    seconds: float
    trials: list[Trained]

    @property
    def useful(self) -> dict[str, float]:
        """Give the seconds of the networks that were trained, each counted once."""
        return {trial.key: trial.seconds for trial in reversed(self.trials) if trial.seconds is not None}

    @property
    def trials_an_hour(self) -> float:
        """Count by the whole command, from the start of its process to its end."""
        return 3600 * len(self.useful) / self.seconds

    def images_a_second(self, epochs: int) -> dict[str, float]:
        """Give by network how fast the machine trained, starts and ends aside: a process a core counts as many."""
        return {key: self.side.processes * epochs * IMAGES / seconds for key, seconds in self.useful.items()}


def naive_space() -> dict[str, Any]:
    """Say in holes what `plain_loop.suggest` suggests."""
    conv = {
        "out_channels": {"choice": list(CHANNELS)},
        "kernel_size": {"choice": list(KERNEL_SIZES)},
        "padding": {"choice": list(PADDINGS)},
        "bias": False,
    }
    pool = {"kernel_size": 2}
    later = {"repeat": {"int": list(DEPTH)}, "block": {"conv": conv, "maxpool": {"choice": [None, pool]}}}
    return {"blocks": [{"conv": conv, "maxpool": pool}, later], "head": {"pool": {"choice": list(HEADS)}}}


def run(side: Side, options: argparse.Namespace, networks: list[Network] | None) -> Outcome:
    """Run a side's command on given networks, or let it search."""
    trials = len(networks) if networks else options.trials
    with TemporaryDirectory() as folder:
        command = run_cnnsearch if side is SIDES["a"] else run_plain_loop
        outcome = command(side, options, networks, trials, Path(folder))
    print(f"{side.name}: {trials} trials in {outcome.seconds:.0f} s", file=sys.stderr)
    return outcome


def run_cnnsearch(
    side: Side, options: argparse.Namespace, networks: list[Network] | None, trials: int, folder: Path
) -> Outcome:
    """Write a plan, search by it, and read the run."""
    recipe: dict[str, Any] = {
        "epochs": options.epochs, "batch_size": BATCH, "optimizer": "adamw", "learning_rate": 0.01, "restarts": [],
    }  # fmt: skip
    if options.no_augmentation:
        recipe["augmentation"] = None
    plan: dict[str, Any] = {"recipe": recipe, "pruner": {"kind": "none"}, "budget": {"trials": trials}}
    if networks:
        plan["start"] = [network.model_dump(mode="json", exclude_defaults=True) for network in networks]
    else:
        plan["space"] = naive_space()
    plan |= {"name": "run", "runs": str(folder), "executor": {"device": "cpu"}, "finals": None}  # the others have none
    (folder / "plan.json").write_text(json.dumps(plan))
    # What the study remembers of this machine's speed would spoil the forecasts of ordinary ones.
    environment = {**os.environ, "XDG_STATE_HOME": str(folder)}
    began = time.perf_counter()
    subprocess.run(  # noqa: S603
        [sys.executable, "-m", "cnnsearch.study", str(folder / "plan.json")],
        env=environment, stdout=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    seconds = time.perf_counter() - began
    done = [trial for trial in history.read(folder / "run").trials if trial.state == "complete"]
    rows = [Trained(describe(trial.network), sum(epoch.seconds for epoch in trial.epochs)) for trial in done]
    return Outcome(side, seconds, rows)


def run_plain_loop(
    side: Side, options: argparse.Namespace, networks: list[Network] | None, trials: int, folder: Path
) -> Outcome:
    """Start the loop, or several that share a journal and the trials."""
    job = {
        "data_root": str(data_root()),
        "networks": [describe(network) for network in networks] if networks else None,
        "trials": trials // side.processes,
        "epochs": options.epochs,
        "batch_size": BATCH,
        "augmentation": not options.no_augmentation,
        "journal": f"{folder}/journal.log" if side.processes > 1 else None,
        **side.job,
    }
    began = time.perf_counter()
    told = run_loops([{**job, "seed": number} for number in range(side.processes)])  # of one seed they draw the same
    seconds = time.perf_counter() - began
    rows = [row for process in told for row in process]
    for row in rows:
        assert row["seconds"] is None or row["parameters"] == network_of(row["network"]).cost.parameters, row
    return Outcome(side, seconds, [Trained(row["network"], row["seconds"]) for row in rows])


def run_loops(jobs: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Run one process a job at the same time, and give the trials of each."""
    loop = str(Path(__file__).with_name("plain_loop.py"))
    commands = [[sys.executable, loop, json.dumps(job)] for job in jobs]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE) for command in commands]  # noqa: S603
    told = [process.communicate()[0] for process in processes]
    assert not any(process.returncode for process in processes), "a plain loop failed; it says why above"
    return [json.loads(text) for text in told]

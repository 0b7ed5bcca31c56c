"""How much faster is a search by cnnsearch than one by a plain loop of Optuna and torch? Real MNIST, on CPU cores.

Every side is a command of its own: (a) `python -m cnnsearch.study`, one worker a core, nothing stopped early; (b) and
(c) `plain_loop.py`, with files behind a DataLoader and with tensors on the device. All train whole epochs over 55,000
images and validate on 5,000, and take turns, network lists alike. Three parts, all of them unless `--parts` names some:

- `same`: every side trains the same networks, drawn from the default space. Nothing is wasted.
- `search`: (a) and the fastest (b) each search one space by its own means; only different networks that were trained
  to the end count.
- `waste`: what the plain search wastes in 50 trials. To be counted in a minute, it trains on 1,024 images only.

    python examples/benchmarks/comparison.py            # about 11 minutes on two cores
    python examples/benchmarks/comparison.py --quick    # about 3 minutes: no search, a process a core on all sides
"""

import argparse
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from machine import machine
from plain_loop import CHANNELS, DEPTH, HEADS, KERNEL_SIZES, PADDINGS, Description

from cnnsearch import history
from cnnsearch.datasets import data_root
from cnnsearch.devices import cores
from cnnsearch.network import Network
from cnnsearch.plan import Plan
from cnnsearch.space import uniformly

BATCH, TRAIN_IMAGES = 128, 55_000
IMAGES = TRAIN_IMAGES - TRAIN_IMAGES % BATCH  # an epoch; the rest fills no batch
PARTS = ("same", "search", "waste")
WASTE_TRIALS, WASTE_IMAGES = 50, 1_024


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


# Networks, as each side reads them


def describe(network: Network) -> Description:
    """Write a network of plain blocks as the plain loop reads it."""
    data = network.model_dump(mode="json")
    blocks = [
        {
            "out_channels": block["conv"]["out_channels"],
            "kernel_size": block["conv"]["kernel_size"],
            "padding": block["conv"]["padding"],
            "pool": block["maxpool"] is not None,
        }
        for block in data["blocks"]
    ]
    return {"blocks": blocks, "pool": data["head"]["pool"], "hidden": list(data["head"]["hidden"])}


def network_of(description: Description) -> Network:
    """Read it back."""
    blocks = [
        {
            "conv": {**{name: block[name] for name in ("out_channels", "kernel_size", "padding")}, "bias": False},
            "maxpool": {"kernel_size": 2} if block["pool"] else None,
        }
        for block in description["blocks"]
    ]
    image = {"channels": 1, "height": 28, "width": 28}
    head = {"pool": description["pool"], "hidden": description["hidden"]}
    return Network.model_validate({"input": image, "blocks": blocks, "head": head, "classes": 10})


def draw(count: int) -> list[Network]:
    """Draw different networks from the default space, within its limits."""
    plan, suggest = Plan.model_validate({}), uniformly(random.Random(0))  # noqa: S311 (no secret)
    found: dict[str, Network] = {}
    while len(found) < count:
        network = plan.draw(suggest).network
        if max(plan.limits.excess(network.cost).values()) <= 0:
            found.setdefault(network.fingerprint, network)
    return list(found.values())


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


# Commands, each timed from its start to its end


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
    recipe: dict[str, Any] = {"epochs": options.epochs, "batch_size": BATCH, "learning_rate": 0.01, "restarts": []}
    if options.no_augmentation:
        recipe["augmentation"] = None
    plan: dict[str, Any] = {"recipe": recipe, "pruner": {"kind": "none"}, "budget": {"trials": trials}}
    if networks:
        plan["start"] = [network.model_dump(mode="json", exclude_defaults=True) for network in networks]
    else:
        plan["space"] = naive_space()
    plan |= {"name": "run", "runs": str(folder), "executor": {"device": "cpu"}}
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


# Parts


def spread(values: list[float], digits: int = 0) -> str:
    """Write the median and the range of some figures."""
    if len(values) == 1:
        return f"{values[0]:,.{digits}f}"
    return f"{median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def compare_same(options: argparse.Namespace, sides: list[Side]) -> list[Outcome]:
    """Print how fast each side trains the same networks; give the outcomes of the last round."""
    networks = draw(options.networks)
    rounds = [[run(side, options, networks) for side in sides] for _ in range(options.rounds)]
    n = f"{len(networks)} networks, {options.rounds} rounds, {options.epochs} epochs each"
    print(f"\nThe same networks: {n}. Median (range).")
    print("Networks: " + "; ".join(f"{network} ({network.cost.macs:,} multiply-adds)" for network in networks) + "\n")
    print(
        "| side | images/s, training | (a) is faster | trials/h, whole command | (a) is faster |\n|---|---|---|---|---|"
    )
    for number in range(len(sides)):
        pairs = [(outcomes[0], outcomes[number]) for outcomes in rounds]
        speeds = [(a.images_a_second(options.epochs), b.images_a_second(options.epochs)) for a, b in pairs]
        fast = spread([speed for _, b in speeds for speed in b.values()])
        faster = spread([a[key] / b[key] for a, b in speeds for key in b], 2)
        hourly = spread([b.trials_an_hour for _, b in pairs])
        hourly_faster = spread([a.trials_an_hour / b.trials_an_hour for a, b in pairs], 2)
        print(f"| {sides[number].name} | {fast} | {faster} times | {hourly} | {hourly_faster} times |")
    return rounds[-1]


def compare_search(options: argparse.Namespace, sides: list[Side]) -> None:
    """Print what each side makes of one space by its own means, one command a side."""
    print(f"\nEach by its own search of the same space, {options.trials} trials asked for\n")
    print("| side | impossible | repeated | useful | images/s, training | multiply-adds, mean | useful trials/h |")
    print("|---|---|---|---|---|---|---|")
    outcomes = [run(side, options, None) for side in sides]
    for outcome in outcomes:
        impossible, repeated = wasted(outcome.trials)
        macs = mean(network_of(json.loads(key)).cost.macs for key in outcome.useful)
        speed = spread(list(outcome.images_a_second(options.epochs).values()))
        counts = f"{impossible} | {repeated} | {len(outcome.useful)}"
        print(f"| {outcome.side.name} | {counts} | {speed} | {macs:,.0f} | {outcome.trials_an_hour:.0f} |")
    a, b = outcomes
    print(f"\n(a) trains {a.trials_an_hour / b.trials_an_hour:.2f} times as many useful trials an hour.")


def wasted(trials: list[Trained]) -> tuple[int, int]:
    """Count the impossible trials and the repeated ones."""
    possible = [trial.key for trial in trials if trial.seconds is not None]
    return len(trials) - len(possible), len(possible) - len(set(possible))


def count_waste(options: argparse.Namespace) -> None:
    """Print how many of the plain search's trials come to nothing, over some seeds."""
    job = {"data_root": str(data_root()), "trials": WASTE_TRIALS, "images": WASTE_IMAGES, "tensors": True, "threads": 1}
    told = run_loops([{**job, "seed": seed} for seed in range(options.seeds)])
    counts = [wasted([Trained(row["network"], row["seconds"]) for row in rows]) for rows in told]
    impossible, repeated = ([100 * count[which] / WASTE_TRIALS for count in counts] for which in (0, 1))
    print(f"\nOf {WASTE_TRIALS} trials of the plain search, {options.seeds} seeds, median (range): ", end="")
    print(f"{spread(impossible)} % are impossible, {spread(repeated)} % train a known network again.")


def main() -> None:
    """Run the parts and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--sides", nargs="+", choices=list(SIDES)[1:], default=list(SIDES)[1:], help="besides (a)")
    parser.add_argument("--networks", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--trials", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--no-augmentation", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.parts, options.sides = ["same"], ["bb", "cc"]
    print(machine())
    sides = [SIDES[key] for key in ("a", *options.sides)]
    best = next((side for side in sides if side.name.startswith("(b)")), SIDES["b2"])
    if "same" in options.parts:
        outcomes = [outcome for outcome in compare_same(options, sides) if outcome.side.name.startswith("(b)")]
        best = max(outcomes, key=lambda outcome: outcome.trials_an_hour).side if outcomes else best
    if "search" in options.parts:
        compare_search(options, [SIDES["a"], best])
    if "waste" in options.parts:
        count_waste(options)


if __name__ == "__main__":
    main()

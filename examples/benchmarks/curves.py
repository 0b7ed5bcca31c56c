"""Makes curves.jsonl: trains every candidate of the small space in curves.yaml on a twentieth of MNIST.

Each is trained under two schedules: one over all epochs, and a short one of one epoch followed by a longer one. A line
tells of one training: the validation images that were classified rightly after each epoch, and the seconds that it took
of one processor, in which other programs on the machine have little part. The same command goes on where it was.

    python examples/benchmarks/curves.py --workers 2                # about a quarter of an hour on two cores
    python examples/benchmarks/curves.py --workers 2 --minutes 1.7  # only a piece of it
"""

import argparse
import itertools
import json
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from cnnsearch.candidate import Candidate
from cnnsearch.data import DataSet
from cnnsearch.plan import Plan
from cnnsearch.plan_file import read_plan

TABLE = Path(__file__).with_name("curves.jsonl")
PLAN = TABLE.with_suffix(".yaml")
IMAGES = 2_752  # a twentieth of the training images, in whole batches
VALIDATION_IMAGES = 2_500
SCHEDULES = {"restart": (1,), "one": ()}
"""By name the recipe's restarts; the first is the plan's own."""


class Curve(NamedTuple):
    """One training of one candidate."""

    fingerprint: str
    """The candidate's: network and recipe, the schedule included."""
    schedule: str
    network: str
    learning_rate: float
    parameters: int
    macs: int
    right: tuple[int, ...]
    """Of the validation images, after each epoch."""
    seconds: tuple[float, ...]
    """Of one processor, for each epoch."""

    @property
    def accuracies(self) -> list[float]:
        """After each epoch."""
        return [right / VALIDATION_IMAGES for right in self.right]


@cache
def plan_of(schedule: str) -> Plan:
    """Give the plan of the small space with one of the schedules."""
    plan = read_plan(PLAN)
    return Plan.model_validate({**plan.stored(), "recipe": {**plan.recipe, "restarts": list(SCHEDULES[schedule])}})


def candidates(plan: Plan) -> dict[str, Candidate]:
    """Draw every candidate of a plan, by fingerprint."""
    found: dict[str, Candidate] = {}
    for answers in itertools.product(*(range(len(hole.options)) for hole in plan.holes)):
        asked = dict(zip((hole.name for hole in plan.holes), answers, strict=True))
        candidate = plan.draw(lambda hole: asked[hole.name])  # noqa: B023 (drawn at once)
        found.setdefault(candidate.fingerprint, candidate)
    return found


def read_table(path: Path = TABLE) -> Iterator[Curve]:
    """Read what was trained so far."""
    for line in path.read_text().splitlines() if path.exists() else ():
        row = json.loads(line)
        yield Curve(**{**row, "right": tuple(row["right"]), "seconds": tuple(row["seconds"])})


@cache
def _data() -> DataSet:
    import torch

    from cnnsearch.data import load
    from cnnsearch.datasets import data_root

    torch.set_num_threads(1)
    data = load("mnist", data_root(), torch.device("cpu"))
    return data._replace(
        train=data.train.take(range(IMAGES)), validation=data.validation.take(range(VALIDATION_IMAGES))
    )


def train_one(schedule: str, candidate: Candidate) -> Curve:
    """Train a candidate; its seed follows from what it computes, so the order has no part in it."""
    import torch

    from cnnsearch.module import build
    from cnnsearch.train import train

    data, seed = _data(), int(candidate.fingerprint[:8], 16)
    torch.manual_seed(seed)
    clocks, right = [time.process_time()], []
    for epoch in train(build(candidate.network), data, candidate.recipe, seed):
        clocks.append(time.process_time())
        right.append(round(epoch.validation_accuracy * VALIDATION_IMAGES))
    cost = candidate.network.cost
    return Curve(
        fingerprint=candidate.fingerprint,
        schedule=schedule,
        network=str(candidate.network),
        learning_rate=candidate.recipe.learning_rate,
        parameters=cost.parameters,
        macs=cost.macs,
        right=tuple(right),
        seconds=tuple(round(end - start, 2) for start, end in itertools.pairwise(clocks)),
    )


def _name(schedule: str, candidate: Candidate) -> tuple[str, str, float]:
    return schedule, str(candidate.network), candidate.recipe.learning_rate


def missing(known: frozenset[tuple[str, str, float]]) -> Iterator[tuple[str, Candidate]]:
    """Give what is not in the table yet, schedule by schedule; by fingerprint, so that any beginning is a sample."""
    for schedule in SCHEDULES:
        found = candidates(plan_of(schedule))
        yield from ((schedule, found[key]) for key in sorted(found) if _name(schedule, found[key]) not in known)


def train_all(left: Iterable[tuple[str, Candidate]], workers: int, minutes: float) -> Iterator[Curve]:
    """Train what is left; after so many minutes begin nothing more."""
    began, jobs = time.monotonic(), iter(left)
    with ProcessPoolExecutor(workers, get_context("spawn"), _data) as pool:
        running = {pool.submit(train_one, *job) for job in itertools.islice(jobs, 2 * workers)}
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            if time.monotonic() - began < 60 * minutes:
                running |= {pool.submit(train_one, *job) for job in itertools.islice(jobs, len(done))}
            yield from (future.result() for future in done)


def main() -> None:
    """Train what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    options = parser.parse_args()
    left = missing(frozenset(curve[1:4] for curve in read_table()))
    with TABLE.open("a") as file:
        for number, curve in enumerate(train_all(left, options.workers, options.minutes), start=1):
            print(json.dumps(curve._asdict(), separators=(",", ":")), file=file, flush=True)
            print(f"{number}: {curve.right[-1] / VALIDATION_IMAGES:.2%}, {curve.network}", flush=True)


if __name__ == "__main__":
    main()

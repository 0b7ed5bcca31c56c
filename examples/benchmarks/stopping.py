"""When may a trial be stopped? Trains candidates to the end under two schedules, then plays stopping rules on them.

One schedule over all epochs is compared with a short one of one epoch followed by a long one (`restarts: [1]`).
Training appends to the table and goes on where it was; playing the rules takes a second.

    python examples/benchmarks/stopping.py train --candidates 28     # about 20 s a candidate on one core
    python examples/benchmarks/stopping.py play
"""

import argparse
import json
import random
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

TABLE = Path(__file__).with_name("stopping.jsonl")
SCHEDULES = {"one schedule": (), "restart after 1": (1,)}
EPOCHS = 6
RECIPE = {"epochs": EPOCHS, "batch_size": 64, "optimizer": "adamw", "first_epoch_share": 1.0}
IMAGES = 5_504  # a tenth of the training images, in batches of 64: as many steps as 11,000 in batches of 128
ORDERS = 1_000


class Curve(NamedTuple):
    """A candidate's validation accuracies and seconds, epoch by epoch."""

    accuracies: list[float]
    seconds: list[float]


Table = dict[str, dict[int, Curve]]


def train_candidates(count: int) -> None:
    """Train each candidate under both schedules."""
    import torch

    from cnnsearch.data import load
    from cnnsearch.datasets import data_root
    from cnnsearch.module import build
    from cnnsearch.plan import Plan
    from cnnsearch.space import uniformly
    from cnnsearch.train import train

    torch.set_num_threads(1)
    plan = Plan.model_validate({})
    data = load("mnist", data_root(), torch.device("cpu"))
    data = data._replace(train=data.train.take(range(IMAGES)))
    suggest = uniformly(random.Random(77))  # noqa: S311 (no secret)
    known = read_table()
    for number in range(count):
        candidate = plan.draw(suggest)
        for name, restarts in SCHEDULES.items():
            if number in known[name]:
                continue
            seed = 1000 * number + len(restarts)
            recipe = candidate.recipe.model_copy(update={**RECIPE, "restarts": restarts})
            torch.manual_seed(seed)
            epochs = list(train(build(candidate.network), data, recipe, seed))
            curve = Curve([epoch.validation_accuracy for epoch in epochs], [epoch.seconds for epoch in epochs])
            with TABLE.open("a") as file:
                file.write(json.dumps({"candidate": number, "schedule": name, **curve._asdict()}) + "\n")


def read_table() -> Table:
    """Read what was trained so far."""
    table: Table = {name: {} for name in SCHEDULES}
    for line in TABLE.read_text().splitlines() if TABLE.exists() else ():
        row = json.loads(line)
        table[row["schedule"]][row["candidate"]] = Curve(row["accuracies"], row["seconds"])
    return table


def rank_correlation(some: Sequence[float], others: Sequence[float]) -> float:
    """Spearman's, ties sharing their mean rank."""
    return statistics.correlation(_ranks(some), _ranks(others))


def _ranks(values: Sequence[float]) -> list[float]:
    ordered = sorted(values)
    return [ordered.index(value) + (ordered.count(value) - 1) / 2 for value in values]


def play(curves: Sequence[Curve], rung: int, keep: float) -> tuple[float, float]:
    """Give the best final accuracy and the seconds when each curve may be stopped once, at the rung."""
    from cnnsearch.parts import Pruner
    from cnnsearch.ranking import Standing
    from cnnsearch.study.stopping import goes_on

    pruner = Pruner(kind="none" if keep == 1 else "halving", keep=keep)
    seen: list[Standing] = []
    best, seconds = 0.0, 0.0
    for curve in curves:
        score = Standing(curve.accuracies[rung - 1])
        if goes_on(pruner, score, seen):
            best, seconds = max(best, curve.accuracies[-1]), seconds + sum(curve.seconds)
        else:
            seconds += sum(curve.seconds[:rung])
        seen.append(score)
    return best, seconds


def print_tables() -> None:
    """Print how well early scores tell the final ones, and what the rules find at what cost."""
    table = read_table()
    numbers = sorted(set.intersection(*(set(curves) for curves in table.values())))
    final = [statistics.mean(curves[n].accuracies[-1] for curves in table.values()) for n in numbers]
    one, two = ([curves[n].accuracies[-1] for n in numbers] for curves in table.values())
    differences = [100 * (b - a) for a, b in zip(one, two, strict=True)]
    error = statistics.stdev(differences) / len(differences) ** 0.5
    print(f"{len(numbers)} candidates; restarted minus one schedule: {statistics.mean(differences):+.3f} points")
    print(f"of final accuracy (standard error {error:.3f})\n")
    print("| schedule | epoch | rank correlation with the final accuracy (mean of both trainings) |\n|---|---|---|")
    for name, curves in table.items():
        for epoch in range(1, EPOCHS):
            early = [curves[n].accuracies[epoch - 1] for n in numbers]
            print(f"| {name} | {epoch} | {rank_correlation(early, final):.2f} |")
    print("\n| schedule | rung | keep | best found (mean of orders) | share of time |\n|---|---|---|---|---|")
    for name, curves in table.items():
        whole = sum(sum(curves[n].seconds) for n in numbers)
        for rung, keep in ((1, 1.0), (1, 0.5), (1, 0.33), (1, 0.25), (1, 0.15), (2, 0.25), (3, 0.25)):
            rows = [curves[n] for n in numbers]
            played = [play(random.Random(seed).sample(rows, len(rows)), rung, keep) for seed in range(ORDERS)]  # noqa: S311
            best = statistics.mean(best for best, _ in played)
            share = statistics.mean(seconds for _, seconds in played) / whole
            print(f"| {name} | {rung} | {keep} | {best:.2%} | {share:.0%} |")


def main() -> None:
    """Train or play."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("train", "play"))
    parser.add_argument("--candidates", type=int, default=28)
    options = parser.parse_args()
    if options.what == "train":
        train_candidates(options.candidates)
    else:
        print_tables()


if __name__ == "__main__":
    main()

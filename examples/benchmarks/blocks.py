"""Which blocks suit fewer than 8,000 parameters, and how far may images move? Whole trainings of 15 epochs on MNIST.

Trained on 40,000 of the 60,000 training images and read on the other 20,000: the 5,000 of a study tell too little
apart. Each way is compared with the first one by the exact paired test. The test images take no part.

    CNNSEARCH_DATA=FOLDER python examples/benchmarks/blocks.py --seeds 1    # about half an hour on two cores
"""

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from typing import Any, NamedTuple

import torch
from machine import machine
from networks import network_from

from cnnsearch.certainty import paired_p
from cnnsearch.data import DataSet, Split, load
from cnnsearch.datasets import data_root
from cnnsearch.devices import cores
from cnnsearch.module import build
from cnnsearch.recipe import Recipe
from cnnsearch.train import normalised, train

READ = 20_000
RECIPE = {"epochs": 15, "batch_size": 32, "optimizer": "muon", "learning_rate": 0.015}
SMALL = {"shift": 1.0, "rotation": 5.0, "scale": 0.05}
HALF = {"shift": 0.5, "rotation": 3.0, "scale": 0.03}
PLAIN, EARLY, WIDE = "10 10p 10 14p 14 16", "8 8 10p 12 14p 14 14", "16 s24p s32 s32p s40 s48"
WAYS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    (PLAIN, "average", {"augmentation": SMALL}),
    (PLAIN, "max", {"augmentation": SMALL}),
    (PLAIN, "average", {"augmentation": SMALL, "label_smoothing": 0.0}),
    (PLAIN, "average", {"augmentation": None}),
    (EARLY, "average", {"augmentation": SMALL}),
    (WIDE, "average", {"augmentation": SMALL}),
    (WIDE, "average", {"augmentation": HALF}),
    (WIDE, "average", {"augmentation": None}),
)


class Read(NamedTuple):
    """How a trained network read the images."""

    wrong: set[int]
    loss: float


def divided(whole: DataSet, read: int = READ) -> DataSet:
    """Divide training and validation images anew, by a fixed draw; so many are read."""
    images, labels = (torch.cat(parts) for parts in zip(whole.train, whole.validation, strict=True))
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(7)).tolist()
    both = Split(images, labels)
    return whole._replace(train=both.take(order[read:]), validation=both.take(order[:read]))


def read(way: int, seed: int) -> Read:
    """Train by a way and read."""
    torch.set_num_threads(1)
    text, pool, changes = WAYS[way]
    data = divided(load("mnist", data_root(), torch.device("cpu")))
    torch.manual_seed(seed)
    module = build(network_from(text, pool))
    *_, last = train(module, data, Recipe.model_validate({**RECIPE, **changes}), seed)
    with torch.inference_mode():
        read_N = torch.cat([module.eval()(normalised(part, data)).argmax(1) for part in data.validation[0].split(250)])
    return Read(set((read_N != data.validation.labels_N).nonzero().flatten().tolist()), last.validation_loss)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train all and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1)
    seeds = range(parser.parse_args(arguments).seeds)
    jobs = list(product(seeds, range(len(WAYS))))
    with ProcessPoolExecutor(cores(), get_context("spawn")) as workers:
        futures = {(seed, way): workers.submit(read, way, seed) for seed, way in jobs}
        done = {job: future.result() for job, future in futures.items()}
    print(f"{machine()}\n\n| network | parameters | other than small moves | seed | read right | loss | p |")
    print("|---|---|---|---|---|---|---|")
    for seed, way in jobs:
        text, pool, changes = WAYS[way]
        network, found, first = network_from(text, pool), done[seed, way], done[seed, 0]
        other = {name: value for name, value in changes.items() if value != SMALL} or ""
        p_value = f"{paired_p(found.wrong, first.wrong):.3f}" if way else ""
        right = f"{1 - len(found.wrong) / READ:.2%}"
        print(
            f"| {network} | {network.cost.parameters:,} | {other} | {seed} | {right} | {found.loss:.4f} | {p_value} |"
        )


if __name__ == "__main__":
    main()

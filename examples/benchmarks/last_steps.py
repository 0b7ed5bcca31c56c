"""Shall images keep their place in the last steps of a training? Small networks, 15 epochs on MNIST.

Trained on 35,000 of the 60,000 training images and read on the other 25,000. What is compared goes on from one
training, at the end of that share of it. The test images take no part.

    CNNSEARCH_DATA=FOLDER python examples/benchmarks/last_steps.py --seeds 2    # about half an hour on two cores
"""

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from statistics import mean, stdev

import torch
from blocks import RECIPE, SMALL, divided
from machine import machine
from networks import network_from

from cnnsearch.data import load
from cnnsearch.datasets import data_root
from cnnsearch.devices import cores
from cnnsearch.module import build
from cnnsearch.recipe import Recipe
from cnnsearch.snapshot import Epoch, Snapshot
from cnnsearch.train import train

READ = 25_000
NETWORKS = (
    ("4 s6p s8 s12p s16 s16", "average"),
    ("5 s10p s12 s14 s20p s16", "average"),
    ("20 s20p s40 s40p s40", "max"),
)
UNTIL = (1.0, 0.8)


def compared(network: int, seed: int) -> list[Epoch]:
    """Train a network, and again from where its images shall keep their place; give the last epoch of each."""
    torch.set_num_threads(1)
    data = divided(load("mnist", data_root(), torch.device("cpu")), READ)
    stands: dict[int, Snapshot] = {}

    def keep(stand: Snapshot) -> None:
        copies = {name: tensor.clone() for name, tensor in stand.tensors.items()}  # the training goes on with its own
        stands.setdefault(len(stand.epochs), stand._replace(tensors=copies))

    ends: list[Epoch] = []
    for until in UNTIL:
        recipe = Recipe.model_validate({**RECIPE, "augmentation": {**SMALL, "until": until}})
        torch.manual_seed(seed)
        *_, last = train(
            build(network_from(*NETWORKS[network])), data, recipe, seed, stands.get(round(until * recipe.epochs)), keep
        )
        ends.append(last)
    return ends


def main(arguments: Sequence[str] | None = None) -> None:
    """Train all and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1)
    jobs = list(product(range(parser.parse_args(arguments).seeds), range(len(NETWORKS))))
    print(f"{machine()}\n\n| network | parameters | seed | {' | '.join(f'until {until:g}' for until in UNTIL)} |")
    print("|---|---|---|" + "---|" * len(UNTIL))
    ends: list[list[Epoch]] = []
    with ProcessPoolExecutor(cores(), get_context("spawn")) as workers:
        futures = [workers.submit(compared, place, seed) for seed, place in jobs]
        for (seed, place), future in zip(jobs, futures, strict=True):
            ends.append(future.result())
            network = network_from(*NETWORKS[place])
            read = " | ".join(f"{end.validation_accuracy:.3%}, {end.validation_loss:.4f}" for end in ends[-1])
            print(f"| {network} | {network.cost.parameters:,} | {seed} | {read} |", flush=True)
    for place, until in enumerate(UNTIL[1:], start=1):
        gains = [100 * (found[place].validation_accuracy - found[0].validation_accuracy) for found in ends]
        spread = f", standard error {stdev(gains) / len(gains) ** 0.5:.3f}" if len(gains) > 1 else ""
        print(f"\nuntil {until:g}: {mean(gains):+.3f} points on average over {len(gains)} trainings{spread}")


if __name__ == "__main__":
    main()

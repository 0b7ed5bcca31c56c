"""What is Muon worth in a short training? The same networks by Muon and by AdamW, on real MNIST, one process a core.

python examples/benchmarks/optimizers.py --seeds 2 --epochs 3    # some minutes on two cores
"""

import argparse
import statistics
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from typing import NamedTuple

from machine import machine
from networks import network_of

from cnnsearch.devices import cores
from cnnsearch.recipe import Recipe

NETWORKS = {
    "8(5x5)p 24 32p 64, max": ([(8, 5, True), (24, 3, False), (32, 3, True), (64, 3, False)], "max"),
    "16p 24p 32 64, max": ([(16, 3, True), (24, 3, True), (32, 3, False), (64, 3, False)], "max"),
}
WAYS = {"adamw": (0.006, 0.012), "muon": (0.012, 0.025)}
"""By optimizer the learning rates, two for each so that neither suffers from one that does not suit it."""


class Training(NamedTuple):
    """One training."""

    network: str
    optimizer: str
    learning_rate: float
    seed: int
    epochs: int


def train_one(training: Training) -> tuple[Training, float, float]:
    """Train a network; give its last validation accuracy and loss."""
    import torch

    from cnnsearch.data import load
    from cnnsearch.datasets import data_root
    from cnnsearch.module import build
    from cnnsearch.train import train

    torch.set_num_threads(1)
    blocks, pool = NETWORKS[training.network]
    described = [
        {"out_channels": channels, "kernel_size": kernel, "padding": "same", "pool": pools}
        for channels, kernel, pools in blocks
    ]
    network = network_of({"blocks": described, "pool": pool, "hidden": []})
    fields = {"optimizer": training.optimizer, "learning_rate": training.learning_rate, "epochs": training.epochs}
    recipe = Recipe.model_validate({**fields, "batch_size": 64})
    torch.manual_seed(training.seed)
    *_, last = train(build(network), load("mnist", data_root(), torch.device("cpu")), recipe, training.seed)
    return training, last.validation_accuracy, last.validation_loss


def main() -> None:
    """Train all and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args()
    trainings = [
        Training(network, optimizer, rate, seed, options.epochs)
        for seed, network, (optimizer, rates) in product(range(options.seeds), NETWORKS, WAYS.items())
        for rate in rates
    ]
    with ProcessPoolExecutor(cores(), get_context("spawn")) as pool:
        done = list(pool.map(train_one, trainings))
    print(f"{machine()}\n\n{options.epochs} epochs, {options.seeds} seeds: means after the last one (least, most)\n")
    print("| network | optimizer | learning rate | accuracy | loss |\n|---|---|---|---|---|")
    for network, (optimizer, rates) in product(NETWORKS, WAYS.items()):
        for rate in rates:
            rows = [row[1:] for row in done if row[0][:3] == (network, optimizer, rate)]
            accuracies, losses = zip(*rows, strict=True)
            spread = f"{statistics.mean(accuracies):.2%} ({min(accuracies):.2%}, {max(accuracies):.2%})"
            print(f"| {network} | {optimizer} | {rate} | {spread} | {statistics.mean(losses):.4f} |")


if __name__ == "__main__":
    main()

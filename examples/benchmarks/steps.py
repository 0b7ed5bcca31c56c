"""What does a training step's time go with, so that a run can forecast another? Behind cnnsearch.speed's constants.

Steps of several networks and batch sizes are timed by the processor time of one thread; a line through all of them says
what a multiply-add takes, what a number that a layer gives out, and what a layer's start. Then each step is told by it.

    python examples/benchmarks/steps.py    # about a minute
"""

import time

import torch
from machine import machine
from networks import network_from
from scipy.optimize import nnls

from cnnsearch.data import DataSet, load
from cnnsearch.datasets import data_root
from cnnsearch.module import build
from cnnsearch.network import Network
from cnnsearch.recipe import Recipe
from cnnsearch.speed import work
from cnnsearch.train import train

NETWORKS = (
    "8 16p 32",
    "8p 16 32p 48",
    "10 10p 12 14p 14 16",
    "16p 24 24p 32 48",
    "16p 32 64p 96",
    "6 s8p s10 s16p s12 s12",
    "16 s24p s32 s32p s40 s48",
)
BATCHES = (32, 128)
IMAGES = 2_048
TIMES = 3


def seconds(network: Network, batch_size: int, data: DataSet) -> float:
    """Give the least seconds of processor time that a step takes on average, of some epochs."""
    recipe = Recipe(epochs=TIMES, batch_size=batch_size, optimizer="muon", learning_rate=0.01)
    found: list[float] = []
    began = time.thread_time()
    for _ in train(build(network), data, recipe, seed=0):
        found.append((time.thread_time() - began) / (IMAGES // batch_size))
        began = time.thread_time()
    return min(found)


def main() -> None:
    """Time all, fit the line and print how well it tells them."""
    torch.set_num_threads(1)
    whole = load("mnist", data_root(None), torch.device("cpu"))
    few = range(10)  # validation is not what is timed
    data = whole._replace(train=whole.train.take(range(IMAGES)), validation=whole.validation.take(few))
    print(f"{machine()}; one thread\n")
    cases = [(network_from(text), batch_size) for text in NETWORKS for batch_size in BATCHES]
    took = [seconds(network, batch_size, data) for network, batch_size in cases]
    parts = [
        (
            network.cost.macs * batch_size,
            sum(row.shape.numbers for row in network.layers) * batch_size,
            sum(bool(row.tensors) for row in network.layers),
        )
        for network, batch_size in cases
    ]
    shares = torch.tensor(parts) / torch.tensor(took)[:, None]  # so that each step's error counts by its share
    (mac, number, layer), _ = nnls(shares.double().numpy(), torch.ones(len(took)).numpy())
    told = f"a number given out as long as {number / mac:.1f}, a layer's start as {layer / mac:,.0f}"
    print(f"a multiply-add takes {mac * 1e12:.0f} ps, {told}\n")
    scale = sum(took) / sum(work(network, size) * size for network, size in cases)
    print("| network | batch | ms a step | by cnnsearch.speed |\n|---|---|---|---|")
    for (network, size), spent in zip(cases, took, strict=True):
        print(f"| {network} | {size} | {spent * 1e3:.2f} | {work(network, size) * size * scale / spent:.2f} times |")


if __name__ == "__main__":
    main()

"""How should a GPU be fed? Compares steps that are replayed with steps that are launched one by one, and ways to share.

Prints seconds an epoch and the peak of torch's memory for two networks, then the epochs a second that 1, 2, 4 and 8
trainings reach together: as processes, and as streams of one process. Run it with NVIDIA's MPS and without.

    python examples/benchmarks/gpu.py
    python examples/benchmarks/gpu.py --device cpu --dataset digits --epochs 3 --together 1 2    # a rehearsal
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from threading import Thread

import torch

from cnnsearch import replay
from cnnsearch.data import DataSet, load
from cnnsearch.datasets import FACTS, data_root
from cnnsearch.devices import mps_runs
from cnnsearch.module import build
from cnnsearch.network import Network
from cnnsearch.recipe import Recipe
from cnnsearch.train import Epoch, train

POOL = {"kernel_size": 2}
CHANNELS = {"small": (8, 12, 16, 12), "large": (16, 32, 64, 96)}


def network(size: str, dataset: str) -> Network:
    """Make one of the networks that are compared: four blocks, pools after the first and the third."""
    convs = [{"out_channels": channels, "kernel_size": 3, "padding": "same"} for channels in CHANNELS[size]]
    blocks = [{"conv": conv, **({"maxpool": POOL} if place in {0, 2} else {})} for place, conv in enumerate(convs)]
    facts = FACTS[dataset]
    image = {"channels": facts.channels, "height": facts.height, "width": facts.width}
    plain = {"input": image, "blocks": blocks, "head": {"pool": "average"}, "classes": len(facts.classes)}
    return Network.model_validate(plain)


def training(size: str, data: DataSet, epochs: int, seed: int = 0) -> Iterator[Epoch]:
    """Begin a training."""
    torch.manual_seed(seed)
    module = build(network(size, data.name)).to(data.train.images_NCHW.device)
    return train(module, data, Recipe(epochs=epochs, restarts=()), seed)


def alone(size: str, data: DataSet, epochs: int, way: str) -> str:
    """Train once, and say what it took."""
    device = data.train.images_NCHW.device
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    first, *rest = [epoch.seconds for epoch in training(size, data, epochs)]
    peak = f", peak {torch.cuda.max_memory_reserved(device) / 2**20:,.0f} MiB" if device.type == "cuda" else ""
    spread = f"median {statistics.median(rest):.3f} s ({min(rest):.3f} to {max(rest):.3f}, n={len(rest)})"
    return f"{size:<6} {way:<9} first epoch {first:.3f} s, later ones {spread}{peak}"


def ends(size: str, data: DataSet, epochs: int, seed: int) -> list[float]:
    """Train, and give the time at the end of each epoch."""
    return [time.time() for _ in training(size, data, epochs, seed)]


def rate(stories: list[list[float]]) -> float:
    """Give the epochs a second of all trainings together, while all of them run and none is in its first epoch."""
    begin, end = max(story[0] for story in stories), min(story[-1] for story in stories)
    return sum(begin < moment <= end for story in stories for moment in story) / (end - begin)


def processes(size: str, options: argparse.Namespace, count: int) -> list[list[float]]:
    """Train in so many processes at once."""
    fixed = ["--device", options.device, "--dataset", options.dataset, "--epochs", str(options.epochs)]
    command = [sys.executable, __file__, *fixed, "--worker", size]
    pipe = subprocess.PIPE
    running = [subprocess.Popen([*command, str(n)], stdin=pipe, stdout=pipe, text=True) for n in range(count)]  # noqa: S603
    for process in running:
        assert process.stdout
        process.stdout.readline()
    for process in running:  # all have loaded their data
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    return [json.loads(process.communicate()[0]) for process in running]


def streams(size: str, data: DataSet, epochs: int, count: int) -> list[list[float]]:
    """Train so many at once in this process; each records alone, since no other thread may use CUDA meanwhile."""
    stories: list[list[float]] = [[] for _ in range(count)]
    trainings = [training(size, data, epochs, seed) for seed in range(count)]
    for each in trainings:
        next(each)

    def follow(number: int) -> None:
        stories[number] += [time.time() for _ in trainings[number]]

    threads = [Thread(target=follow, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return stories


def compare(options: argparse.Namespace, data: DataSet) -> None:
    """Print everything."""
    recorders = dict(replay.RECORDERS)
    for size in CHANNELS:
        print(alone(size, data, options.epochs, "replayed"))
        replay.RECORDERS.clear()
        print(alone(size, data, options.epochs, "launched"))
        replay.RECORDERS.update(recorders)
    print(f"\nepochs a second of all together; MPS {'runs' if mps_runs() else 'does not run'}")
    for size in CHANNELS:
        for count in options.together:
            apart = rate(processes(size, options, count))
            inside = rate(streams(size, data, options.epochs, count))
            print(f"{size:<6} {count} trainings: {apart:.2f} as processes, {inside:.2f} as streams of one")


def main() -> None:
    """Compare, or say that there is nothing to compare on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--dataset", default="mnist", choices=sorted(FACTS))
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--together", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--worker", nargs=2, metavar=("SIZE", "SEED"), help="used by the script itself")
    options = parser.parse_args()
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        print("no CUDA device here: nothing was measured")
        return
    torch.set_num_threads(1)
    data = load(options.dataset, data_root(None), torch.device(options.device))
    if options.worker:
        size, seed = options.worker
        print("ready", flush=True)
        sys.stdin.readline()
        print(json.dumps(ends(size, data, options.epochs, int(seed))))
    else:
        compare(options, data)


if __name__ == "__main__":
    main()

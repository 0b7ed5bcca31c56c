"""Should every hole be asked in every trial, or only the active ones? Compares both with TPE on real digits.

Both see the same space, the same masking, the same training (seeded by the trial's number) and the same budget; they
differ only in what Optuna is asked. Prints the least validation loss after each budget, median over the seeds: of 300
images accuracy tells too little.

    python examples/benchmarks/asking.py --seeds 12 --trials 60
"""

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path

import optuna
import torch

from cnnsearch.data import load
from cnnsearch.holes import Hole, Real
from cnnsearch.module import build
from cnnsearch.network import Network
from cnnsearch.recipe import Recipe
from cnnsearch.space import Space
from cnnsearch.study.parameters import distribution
from cnnsearch.train import train

SPACE = {
    "input": {"channels": 1, "height": 8, "width": 8},
    "classes": 10,
    "blocks": [
        {
            "repeat": {"int": [1, 4]},
            "block": {
                "conv": {
                    "out_channels": {"choice": [2, 4, 8, 16]},
                    "kernel_size": {"choice": [1, 3, 5]},
                    "padding": "same",
                },
                "maxpool": {"choice": [None, {"kernel_size": 2, "stride": {"choice": [1, 2]}}]},
            },
        }
    ],
    "head": {"pool": {"choice": ["average", "max", None]}, "hidden": {"choice": [[], [32]]}},
}
RECIPE = Recipe(epochs=4, learning_rate=0.02, augmentation=None, batch_size=64)
Suggest = Callable[[Hole | Real], float]


def ask(trial: optuna.Trial, hole: Hole | Real) -> float:
    """Ask Optuna for a hole's index."""
    return float(trial._suggest(hole.name, distribution(hole)))  # noqa: SLF001


class Lazy(dict[str, float]):
    """Asks for a hole only when it is looked at: the active ones."""

    def __init__(self, trial: optuna.Trial, holes: dict[str, Hole | Real]) -> None:
        super().__init__()
        self.trial, self.holes = trial, holes

    def __missing__(self, name: str) -> float:
        self[name] = ask(self.trial, self.holes[name])
        return self[name]


def score(network: Network, data: object, trial: int) -> float:
    """Train a network and give its validation loss."""
    torch.manual_seed(trial)
    *_, last = train(build(network), data, RECIPE, trial)
    return last.validation_loss


def search(space: Space, mode: str, seed: int, trials: int, data: object) -> list[float]:
    """Give the least loss so far after each trial."""
    from cnnsearch import fill, holes

    study = optuna.create_study(direction="minimize", sampler=optuna.samplers.TPESampler(seed=seed))
    named = {hole.name: hole for hole in space.holes}
    known: dict[str, float] = {}
    best: list[float] = []
    for number in range(trials):
        trial = study.ask()
        if mode == "every hole":
            network = space.draw(lambda hole: ask(trial, hole)).network  # noqa: B023
        else:
            way = fill._Way(Lazy(trial, named), {}, space.ahead.can_fit, space.ahead.decides)  # noqa: SLF001
            network = Network.model_validate(holes.to_plain(fill._fill(space.tree, lambda node: node, way)))  # noqa: SLF001
        if network.fingerprint not in known:
            known[network.fingerprint] = score(network, data, number)
        study.tell(trial, known[network.fingerprint])
        best.append(min(known.values()))
    return best


def main() -> None:
    """Run all seeds of both ways and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=60)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    torch.set_num_threads(1)
    data = load("digits", Path(), torch.device("cpu"))
    space = Space(SPACE)
    budgets = [n for n in (20, 40, 60, 100, 200) if n <= options.trials]
    for mode in ("every hole", "active holes"):
        runs = [search(space, mode, seed, options.trials, data) for seed in range(options.seeds)]
        for budget in budgets:
            reached = sorted(run[budget - 1] for run in runs)
            told = f"median {statistics.median(reached):.4f} ({reached[0]:.4f} to {reached[-1]:.4f}, n={len(runs)})"
            print(f"{mode:<13} after {budget:>3} trials: {told}")


if __name__ == "__main__":
    main()

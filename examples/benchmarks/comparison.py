"""How much faster is a search by cnnsearch than one by a plain loop of Optuna and torch? Real MNIST, on CPU cores.

Every side is a command of its own, timed from its start to its end: (a) `python -m cnnsearch.study`, one worker a core,
nothing stopped early; (b) and (c) `plain_loop.py`, with files behind a DataLoader and with tensors on the device. All
train whole epochs on 55,000 images and validate on 5,000. Three parts, all of them unless `--parts` names some:

- `same`: every side trains the same networks, drawn from the default space. Nothing is wasted.
- `search`: (a) and the fastest (b) each search one space by its own means; only different networks that were trained
  to the end count.
- `waste`: what the plain search wastes in 50 trials. To be counted in a minute, it trains on 1,024 images only.

    python examples/benchmarks/comparison.py            # about 11 minutes on two cores
    python examples/benchmarks/comparison.py --quick    # about 3 minutes: no search, a process a core on all sides
"""

import argparse
import json
from statistics import mean, median

from machine import machine
from networks import draw, network_of
from sides import SIDES, Outcome, Side, Trained, run, run_loops

from cnnsearch.datasets import data_root

PARTS = ("same", "search", "waste")
WASTE_TRIALS, WASTE_IMAGES = 50, 1_024


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

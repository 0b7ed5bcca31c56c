"""How long would a study take? By the plan's own schedules and what this machine's last run on such data told."""

from collections.abc import Sequence
from datetime import datetime
from math import ceil, inf
from statistics import mean

from cnnsearch.candidate import Candidate
from cnnsearch.datasets import Facts
from cnnsearch.devices import cores
from cnnsearch.network import Network
from cnnsearch.parts import SIMPLE, Finals, Pruner
from cnnsearch.plan import Plan
from cnnsearch.recipe import Recipe
from cnnsearch.speed import LEAST_TRIALS, Speed, images, recall, work
from cnnsearch.units import roughly

STARTS = 6.0  # seconds until workers train, in the search and again in the finals: examples/benchmarks/first_batch.py


def forecast(plan: Plan, drawn: Sequence[Candidate], devices: Sequence[str], left: int, *, decided: bool) -> str:
    """Say it in words, for candidates like those `drawn`, where so many trials are left or the finals are decided."""
    goes_on = plan.finals or plan.budget.until_flat
    if not left and (decided or not goes_on):
        return "nothing is left to do"
    if not drawn:
        return "unknown: none of the networks drawn here keeps the limits"
    speed = recall(plan.facts.key, devices[0])
    if speed is None:
        return f"unknown until a call here has trained {LEAST_TRIALS} trials and ended by itself"
    workers = min(len(devices), cores()) if devices[0] == "cpu" else len(devices)
    each = _trial_seconds(plan, drawn, speed) / workers
    most = 60 * plan.budget.minutes if plan.budget.minutes else inf
    search = min(most, left * each + STARTS)
    # Where costs count the best of every size pass a rung, which is known when all are there.
    least = "at least" if plan.budget.until_flat or (plan.aim.costs and plan.pruner.kind != "none") else "about"
    nothing = "perhaps nothing" if plan.budget.until_flat else "nothing"
    told = f"{least} {roughly(search)} for the search" if left else f"{nothing} for the search"
    if plan.finals:
        finals = _finals_seconds(plan, plan.finals, drawn, speed, workers) + STARTS
        if "random-search" in plan.finals.baselines:
            finals += min(most, plan.budget.trials * each + STARTS)
        told += f" and {roughly(finals)} for the finals"
    return f"{told}, by this machine's speed in the run of {datetime.fromtimestamp(speed.time).astimezone().date()}"


def _trial_seconds(plan: Plan, drawn: Sequence[Candidate], speed: Speed) -> float:
    return mean(_seconds(c.network, c.recipe, plan.pruner, plan.facts, speed) for c in drawn)


def _finals_seconds(plan: Plan, finals: Finals, drawn: Sequence[Candidate], speed: Speed, workers: int) -> float:
    """Give the seconds of all trainings, so many at a time: of candidates, their other seeds and the baselines."""
    candidates = min(finals.candidates, plan.budget.trials)
    baselines = sum(name not in SIMPLE for name in finals.baselines)
    trainings = candidates + baselines + min(finals.finalists, candidates) * (finals.seeds - 1)
    nobody = Pruner(kind="none")
    each = mean(_seconds(c.network, finals.recipe(c.recipe), nobody, plan.facts, speed) for c in drawn)
    return ceil(trainings / workers) * each


def _seconds(network: Network, recipe: Recipe, pruner: Pruner, facts: Facts, speed: Speed) -> float:
    """Give the seconds of a training, on average: few pass the pruner's rungs."""
    keep = {"none": 1.0, "median": 0.5}.get(pruner.kind, pruner.keep)
    epochs = enumerate(recipe.passes, start=1)
    read = sum(images(share, facts) * keep ** sum(rung < epoch for rung in pruner.rungs) for epoch, share in epochs)
    return read * work(network, recipe.batch_size) * speed.seconds

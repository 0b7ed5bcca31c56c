"""What would a study do? Shown without training, torch or optuna."""

import random
from collections.abc import Iterator
from datetime import datetime
from statistics import mean

from cnnsearch.devices import slots
from cnnsearch.errors import InvalidSpecError
from cnnsearch.holes import count_fillings
from cnnsearch.plan import Candidate, Plan
from cnnsearch.size import size
from cnnsearch.space import uniformly
from cnnsearch.study.speed import recall

DRAWS = 10


def describe(plan: Plan) -> Iterator[str]:
    """Give the lines of a dry run."""
    devices = slots(plan.executor.workers, plan.executor.device)
    limits = ", ".join(f"{name} {most:,}" for name, most in plan.limits.model_dump(exclude_none=True).items())
    yield f"run       {plan.folder}"
    yield f"data      {plan.dataset}: {plan.facts.train_images:,} training images, {plan.facts.validation_images:,} for validation"
    yield f"budget    {plan.budget.trials} trials{f', {plan.budget.minutes} minutes' if plan.budget.minutes else ''}"
    yield f"limits    {limits or 'none'}"
    yield f"sampler   {plan.sampler.kind}; stopping: {plan.pruner.kind} after epochs {list(plan.pruner.rungs)}"
    yield f"workers   {len(devices)}: {', '.join(devices)}"
    yield f"space     {size(plan.searched)}"
    yield f"recipe    {_recipe(plan)}"
    drawn = list(_draws(plan))
    yield f"\n{len(drawn)} networks drawn uniformly:"
    for candidate in drawn:
        cost = candidate.network.cost
        over = ", over a limit" if any(excess > 0 for excess in plan.limits.excess(cost).values()) else ""
        yield (
            f"  {cost.parameters:>9,} parameters {cost.macs:>12,} multiply-adds {cost.activation_bytes:>10,} bytes of maps"
            f"  {candidate.network}{over}"
        )
    yield f"\nforecast  {_forecast(plan, drawn, devices)}"


def _recipe(plan: Plan) -> str:
    open_fields = [hole.name.removeprefix("recipe.") for hole in plan.holes if hole.name.startswith("recipe.")]
    return f"{count_fillings(plan.recipe_tree):,} recipes; open: {', '.join(open_fields)}" if open_fields else "fixed"


def _draws(plan: Plan) -> Iterator[Candidate]:
    suggest = uniformly(random.Random(plan.seed))  # noqa: S311 (no secret)
    for _ in range(DRAWS):
        try:
            yield plan.draw(suggest)
        except InvalidSpecError:  # fits, but exceeds the library's own limits
            continue


def _forecast(plan: Plan, drawn: list[Candidate], devices: tuple[str, ...]) -> str:
    speed = recall(devices[0])
    allowed = [c for c in drawn if all(excess <= 0 for excess in plan.limits.excess(c.network.cost).values())]
    if speed is None or not allowed:
        return "unknown until the first run"
    epochs = mean(candidate.recipe.epochs for candidate in allowed) * speed.share_trained
    macs = mean(candidate.network.cost.macs for candidate in allowed) * plan.facts.train_images
    seconds = plan.budget.trials * epochs * macs / speed.macs_per_second / len(devices)
    day = datetime.fromtimestamp(speed.time).astimezone().date()
    return f"about {max(1, round(seconds / 60))} min (from this machine's speed in the run of {day})"

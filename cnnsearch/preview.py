"""What would a study do? Shown without training, torch or optuna."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence

from cnnsearch.candidate import Candidate
from cnnsearch.datasets import Facts, mnist_folder, mnist_on_disk
from cnnsearch.devices import cores
from cnnsearch.errors import InvalidSpecError
from cnnsearch.forecast import forecast
from cnnsearch.history import Run, read
from cnnsearch.holes import Real, count_fillings
from cnnsearch.network import Network
from cnnsearch.plan import Plan
from cnnsearch.record import RECORD
from cnnsearch.sameness import differences
from cnnsearch.size import size
from cnnsearch.space import Space, uniformly
from cnnsearch.units import counted
from cnnsearch.verdict import decided

DRAWS = 10
MOST_CLASSES = 10


def describe(plan: Plan) -> Iterator[str]:
    """Give the lines of a dry run."""
    devices, drawn = plan.devices, list(_draws(plan))
    run = read(plan.folder) if (plan.folder / RECORD).is_file() else None
    if run and any(differences(run.plan, plan.stored())):
        yield f"warning   {plan.folder} is the run of another plan; take another --name, or none"
        run = None
    found = decided(run) if run else None
    # Where the plan asks for no finals, those that were held are what there is.
    over = run is not None and found is not None and plan.finals in (None, run.finals)
    yield from _data(plan)
    again = ", again until more trials promise too little" if plan.budget.until_flat else ""
    minutes = f", {plan.budget.minutes:g} minutes" if plan.budget.minutes else ""
    yield f"budget    {plan.budget.trials} trials{minutes}{again}"
    if run:
        began = "; the winner is that of other finals" if found else "; the finals have begun" if run.retrained else ""
        yield f"done      {run.counted} of {plan.budget.trials} trials{'; the finals have a winner' if over else began}"
    yield from _search(plan, drawn, devices)
    if plan.start:
        yield "\ntried first:"
    for network in plan.start:
        yield f"  {priced(network)}{_over(plan, network)}"
    shown = {candidate.network.fingerprint: candidate.network for candidate in drawn}
    yield f"\n{counted(len(shown), 'network', 'networks')} drawn uniformly:"
    for network in shown.values():
        yield f"  {priced(network)}{_over(plan, network)}"
    allowed = [candidate for candidate in drawn if not _over(plan, candidate.network)]
    yield f"\nforecast  {forecast(plan, allowed, devices, _left(plan, run), decided=over)}"


def _left(plan: Plan, run: Run | None) -> int:
    """Say how many trials the search may yet come to."""
    if run and run.state in {"exhausted", "no_new_candidate"}:
        return 0
    done = run.counted if run else 0
    return max(0, plan.budget.times(done) * plan.budget.trials - done)


def _data(plan: Plan) -> Iterator[str]:
    facts = plan.facts
    yield f"run       {plan.folder}"
    yield (
        f"data      {facts.name}: {facts.train_images:,} training images, {facts.validation_images:,} for validation, "
        f"{facts.test_images:,} for the test; {_classes(facts)}"
    )
    if facts.key == "mnist" and not mnist_on_disk(plan.data_folder):
        yield f"download  its files are not in {mnist_folder(plan.data_folder)} yet"
    if facts.notice:
        yield f"notice    {facts.notice}"


def _search(plan: Plan, drawn: Sequence[Candidate], devices: Sequence[str]) -> Iterator[str]:
    limits = ", ".join(f"{name} {most:,}" for name, most in plan.limits.model_dump(exclude_none=True).items())
    yield f"sought    {plan.aim}"
    yield f"limits    {limits or 'none'}"
    yield f"sampler   {plan.sampler.kind}, seed {plan.seed}; stopping: {_stopping(plan, drawn)}"
    yield f"workers   {', '.join(f'{count} on {device}' for device, count in Counter(devices).items())}"
    if devices[0] == "cpu" and len(devices) > cores():
        law = f"{len(devices)} workers share {counted(cores(), 'core', 'cores')} of this machine"
        yield f"warning   {law}; leave their number out for as many as suit it"
    yield f"space     {size(plan.searched)}{'; before limits' if limits else ''}"
    yield from never_drawn(plan.searched, "space.")
    yield f"recipe    {_recipe(plan)}"


def out_of_reach(plan: Plan) -> str:
    """Say that nobody will be stopped, where all rungs lie behind the last epoch; else nothing."""
    drawn = list(_draws(plan))
    if plan.pruner.kind == "none" or _rungs(plan, drawn):
        return ""
    return f"no trial is stopped early: stopping is {_stopping(plan, drawn)}"


def _classes(facts: Facts) -> str:
    shown = ", ".join(facts.classes[:MOST_CLASSES])
    return f"{len(facts.classes):,} classes: {shown}{', ...' if facts.classes[MOST_CLASSES:] else ''}"


def never_drawn(space: Space, where: str = "") -> Iterator[str]:
    """Warn of options that fit nowhere: they are passed over in every draw."""
    for place in space.never_drawn:
        yield f"warning   {where}{place} fits in no network and is never drawn: a typo?"


def priced(network: Network) -> str:
    """Write a network with its costs in a line of a list."""
    cost = network.cost
    return (
        f"{cost.parameters:>9,} parameters {cost.macs:>12,} multiply-adds {cost.activation_bytes:>10,} bytes of maps"
        f"  {network}"
    )


def _stopping(plan: Plan, drawn: Sequence[Candidate]) -> str:
    if plan.pruner.kind == "none":
        return "none"
    if rungs := _rungs(plan, drawn):
        return f"{plan.pruner.kind} after epoch {', '.join(map(str, rungs))}"
    rungs = ", ".join(map(str, plan.pruner.rungs))
    return f"none, as rung {rungs} does not come before the last epoch, {_last_epoch(drawn)}"


def _rungs(plan: Plan, drawn: Sequence[Candidate]) -> list[int]:
    """Give the rungs that some training comes to before its end."""
    return [rung for rung in plan.pruner.rungs if rung < _last_epoch(drawn)]


def _last_epoch(drawn: Sequence[Candidate]) -> int:
    return max((candidate.recipe.epochs for candidate in drawn), default=0)


def _over(plan: Plan, network: Network) -> str:
    over = plan.limits.exceeded(network.cost)
    return f", over the limit of {', '.join(over)}" if over else ""


def _recipe(plan: Plan) -> str:
    holes = [hole for hole in plan.holes if hole.name.startswith("recipe.")]
    reals = [hole.name.removeprefix("recipe.") for hole in holes if isinstance(hole, Real)]
    if not holes:
        return "fixed"
    count = count_fillings(plan.recipe_tree)
    endless = f"any value of {', '.join(reals)}"
    if not reals:
        return f"{count:,} recipes"
    return endless if count == 1 else f"{count:,} recipes, times {endless}"


def _draws(plan: Plan) -> Iterator[Candidate]:
    suggest = uniformly(random.Random(plan.seed))  # noqa: S311 (no secret)
    for _ in range(DRAWS):
        try:
            yield plan.draw(suggest)
        except InvalidSpecError:  # fits, but exceeds the library's own limits
            continue

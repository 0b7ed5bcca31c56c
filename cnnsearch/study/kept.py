"""Is the run in a plan's folder the same study? Its plan is kept there, and results of two plans cannot be compared."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from cnnsearch import history
from cnnsearch.errors import InvalidSpecError, RunError
from cnnsearch.evaluate.entrants import random_twin
from cnnsearch.files import write_whole
from cnnsearch.history import PLAN, Run
from cnnsearch.own.keep import changes as changed_images
from cnnsearch.plan import Plan
from cnnsearch.sameness import differences


def refuse_other_twin(plan: Plan) -> None:
    """Raise RunError where random search, which follows the search, would find its folder to be another plan's."""
    if plan.finals and "random-search" in plan.finals.baselines:
        same_run(random_twin(plan))


def same_run(plan: Plan) -> Run | None:
    """Give the run in the plan's folder, None where there is none yet.

    Raises RunError with every difference where it is of another plan, or of blocks that were changed since.
    """
    folder = plan.folder
    if not (folder / PLAN).exists():
        return None
    before, now = history.plan_of(folder), plan.stored()
    images = changed_images(str(before.get("data")), str(now["data"]), plan.data_folder)
    _refuse(folder, [*differences(before, now), *images])
    run = history.read(folder)
    _refuse(folder, list(_changed_blocks(run)))
    return run


def keep(plan: Plan) -> Run:
    """Write the plan down, and give the run as it is so far; raise as `same_run` does before anything is written."""
    run, now = same_run(plan), plan.stored()
    if run and run.retrained:
        now["finals"] = run.plan.get("finals")  # by which those that were held are read until others begin
    write_whole(plan.folder / PLAN, json.dumps(now, indent=2) + "\n")
    return run._replace(plan=now) if run else history.read(plan.folder)


def _refuse(folder: Path, changes: Sequence[str]) -> None:
    if changes:
        listed = "\n".join(f"  {change}" for change in changes)
        law = f"{folder} was made by another plan, and results of two plans cannot be compared"
        raise RunError(f"{law}:\n{listed}\ntake another --name, or none for one that follows from the plan")


def _changed_blocks(run: Run) -> Iterator[str]:
    """Say whose networks cost now what they did not when they were recorded: of each kind of block one is looked at."""
    seen: set[str] = set()
    for trial in run.trials:
        kinds = {str(block.get("kind", "plain")) for block in trial.network_data["blocks"]}
        if kinds <= seen:
            continue
        seen |= kinds
        before = f"trial {trial.number} had {trial.parameters:,} parameters and {trial.macs:,} multiply-adds"
        try:
            cost = trial.network.cost
        except InvalidSpecError as error:
            law = f"{before}, and is no valid network now ({'; '.join(map(str, error.faults))})"
        else:
            if (cost.parameters, cost.macs) == (trial.parameters, trial.macs):
                continue
            law = f"{before}, now {cost.parameters:,} and {cost.macs:,}"
        yield f"blocks of the kinds {', '.join(sorted(kinds))}: {law}"

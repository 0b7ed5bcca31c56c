"""Is the run in a plan's folder the same study? Its plan is kept there, and results of two plans cannot be compared."""

import json
from collections.abc import Iterator

from cnnsearch import history
from cnnsearch.errors import RunError
from cnnsearch.files import write_whole
from cnnsearch.history import PLAN, Run
from cnnsearch.own.keep import changes as changed_images
from cnnsearch.plan import Plan
from cnnsearch.sameness import differences


def refuse_another(plan: Plan) -> None:
    """Raise RunError with every difference where the folder holds a run of another plan, or of other blocks."""
    folder = plan.folder
    if not (folder / PLAN).exists():
        return
    before, now = history.plan_of(folder), plan.stored()
    changes = list(differences(before, now))
    changes += changed_images(str(before.get("data")), str(now["data"]), plan.data_folder)
    if not changes:
        changes += _changed_blocks(history.read(folder))
    if changes:
        listed = "\n".join(f"  {change}" for change in changes)
        law = f"{folder} was made by another plan, and results of two plans cannot be compared"
        raise RunError(f"{law}:\n{listed}\ntake another --name, or none for one that follows from the plan")


def keep(plan: Plan) -> None:
    """Write the plan down; refuse one that would make the results incomparable."""
    refuse_another(plan)
    path, now = plan.folder / PLAN, plan.stored()
    if path.exists() and now["finals"] is None and history.read(plan.folder).retrained:
        now["finals"] = history.plan_of(plan.folder).get("finals")  # by which those that were held are read
    write_whole(path, json.dumps(now, indent=2) + "\n")


def _changed_blocks(run: Run) -> Iterator[str]:
    """Say whose networks cost now what they did not when they were recorded: of each kind of block one is looked at."""
    seen: set[str] = set()
    for trial in run.trials:
        kinds = {str(block.get("kind", "plain")) for block in trial.network_data["blocks"]}
        if kinds <= seen:
            continue
        seen |= kinds
        cost = trial.network.cost
        if (cost.parameters, cost.macs) != (trial.parameters, trial.macs):
            before = f"{trial.parameters:,} parameters and {trial.macs:,} multiply-adds"
            now = f"{cost.parameters:,} and {cost.macs:,}"
            yield f"blocks of the kinds {', '.join(sorted(kinds))}: trial {trial.number} had {before}, now {now}"

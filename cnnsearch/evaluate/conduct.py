"""How do the finals run, from the search's result to the winner's files?"""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

from cnnsearch import history
from cnnsearch.completed import finals_of
from cnnsearch.datasets import data_root
from cnnsearch.errors import RunError
from cnnsearch.evaluate.entrants import Field, field, simple_names
from cnnsearch.evaluate.machine import UNCHANGED, Machine
from cnnsearch.evaluate.publish import renew
from cnnsearch.evaluate.training import Trainings, bar_of_trainings, make_ready
from cnnsearch.events import FinalsClosed, FinalsInterrupted, FinalsOpened
from cnnsearch.files import write_whole
from cnnsearch.history import PLAN, Run
from cnnsearch.imports import import_kinds
from cnnsearch.own.again import found_again
from cnnsearch.plan import Plan
from cnnsearch.plan_file import imports_of
from cnnsearch.record import Record, own
from cnnsearch.terminal import Bar
from cnnsearch.units import counted, percent
from cnnsearch.verdict import decided, is_judged, lacking, to_judge, verdict
from cnnsearch.versions import versions


def evaluate(
    folder: Path, *, finals: dict[str, Any] | None = None, machine: Machine = UNCHANGED, quiet: bool = False
) -> Run:
    """Hold the finals of a run, or go on with them where an earlier call was cut; return the run.

    `finals` are fields of the plan's `finals` that take the place of the run's own; `machine` says on what it is done.
    Raises RunError where no trial is complete, none of the finals' trainings is, or the study is running; DataError
    where the data cannot be had; InvalidSpecError for a field of the finals, or a device, that cannot be.
    """
    history.read(folder)  # refuses a damaged run before anything is made of its plan
    stored = machine.applied(history.plan_of(folder))
    usual = stored.get("finals") or finals_of({**stored, "dataset": _dataset_of(stored, folder)})
    plan = plan_of_run(folder, machine, finals={**usual, **(finals or {})})
    with own(folder) as record:
        if not history.read(folder).ranked:
            raise RunError(f"{folder}: no trial is complete, so nobody can enter the finals; search longer")
        hold(plan, folder, record, quiet=quiet)
    run = history.read(folder)
    if told := lacking(run):
        raise RunError(f"{folder}: {told}")
    return run


def plan_of_run(folder: Path, machine: Machine, **given: Any) -> Plan:  # noqa: ANN401 (fields of a plan)
    """Read the plan of a run that lies where it lies now, and import its kinds of blocks; `given` are other fields."""
    stored = machine.applied(history.plan_of(folder))
    import_kinds(imports_of(stored))
    here = {"dataset": _dataset_of(stored, folder), "runs": str(folder.resolve().parent)}
    return Plan.model_validate({**stored, **given, **here})


def _dataset_of(stored: dict[str, Any], folder: Path) -> str:
    return found_again(stored, folder, data_root(stored.get("data_root")))


def hold(plan: Plan, folder: Path, record: Record, *, quiet: bool = False) -> None:
    """Hold the finals of a run that the caller owns; nothing is done where they are over, or nobody can enter.

    The winner is published in any case: the search has written the summary anew. What cannot be held is refused before
    anything is changed.
    """
    finals = plan.stored()["finals"]
    read = history.read(folder)
    run = read._replace(plan={**read.plan, "finals": finals})
    entering = field(plan, run)
    if not entering.candidates:
        return
    with bar_of_trainings("finals", quiet=quiet) as bar:
        trainings = Trainings(entering, run, plan.seed, record, bar)
        are_over = not run.finals_are_open and trainings.are_over and _are_complete(plan, run)
        if not are_over:
            make_ready(plan)
            for told in begins(entering, run):
                bar.say(told)
            if decided(read) and not read.finals_are_closed:  # cut when all but this was done, or of a former version
                record.append(FinalsClosed())
            record.append(_opened(plan))
        if read.plan.get("finals") != finals:  # opened before: else a death here leaves a winner by finals it had not
            write_whole(folder / PLAN, json.dumps(run.plan, indent=2) + "\n")
        if not are_over:
            renew(history.read(folder))
            try:
                trainings.run_in_workers(plan)
                _judge(plan, folder, record, bar)
            except BaseException:
                with suppress(RunError):  # a full disk takes this neither
                    record.append(FinalsInterrupted())
                raise
            record.append(FinalsClosed())
    renew(history.read(folder))


def _opened(plan: Plan) -> FinalsOpened:
    return FinalsOpened(host=socket.gethostname(), pid=os.getpid(), versions=versions(), classes=plan.facts.classes)


def begins(entering: Field, run: Run) -> Iterator[str]:
    """Say how the finals are held, and which they take the place of, if any."""
    finals, recipes = entering.finals, {entrant.name: entrant.recipe for entrant in entering.candidates}
    lengths = sorted({recipe.epochs for recipe in recipes.values()})
    schedules = f"{' or '.join(map(str, lengths))} {'epoch' if lengths == [1] else 'epochs'} each"
    best = min(finals.finalists, len(recipes))
    candidates = counted(len(recipes), "candidate", "candidates")
    seeds = f", the best {best} with {counted(finals.seeds, 'seed', 'seeds')}" if finals.seeds > 1 else ""
    yield f"{run.folder}: finals of {candidates}, {schedules}{seeds}"
    trials = run.plan["budget"]["trials"]
    if run.state == "interrupted" and run.counted < trials:
        yield f"the search was cut after {run.counted} of {trials} trials; those to come take no part unless it goes on"
    held = [each for each in run.retrained if each.entrant in recipes and each.state == "complete" and each.recipe]
    if held and not any(each.recipe == recipes[each.entrant] for each in held):
        yield "finals of other epochs were held before; these take their place, and their weights stay in finals/"


def _are_complete(plan: Plan, run: Run) -> bool:
    """Say whether the simple baselines are fitted, and the test images read for all that they are to be read for."""
    found, known = verdict(run), {training.entrant for training in run.retrained}
    return found is None or (known >= set(simple_names(plan)) and is_judged(found, run))


def _judge(plan: Plan, folder: Path, record: Record, bar: Bar) -> None:
    """Fit the baselines that are no networks, then read the test images."""
    # Only now is torch needed in this process.
    import torch

    from cnnsearch.data import load
    from cnnsearch.evaluate import simple
    from cnnsearch.evaluate.opening import judge, record_simple

    torch.backends.cudnn.allow_tf32 = False  # what is shipped shall read on a CPU as it did here
    bar.doing("the baselines that are no networks")
    root = plan.data_folder
    data = load(plan.facts.key, root, torch.device(plan.devices[0]))
    fit = cache(partial(simple.fit, data=data))  # once, for the validation images and for the test images
    for fitted in record_simple(plan, history.read(folder), data, fit, record):
        bar.say(f"{fitted.entrant}: {percent(fitted.accuracies[-1])} of the validation images")
    run = history.read(folder)
    if found := verdict(run):
        bar.doing("reading the test images")
        count = judge(run, to_judge(found), data, fit, root, record)
        if count:
            bar.say(f"the test images were read for {counted(count, 'trained model', 'trained models')}")

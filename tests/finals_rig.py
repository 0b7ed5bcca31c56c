"""Finals for the tests: held by a study on real digits, or with scripted trainings."""

from pathlib import Path
from typing import Any

from study_rig import TINY, Script, ScriptedExecutor, plan, search

from cnnsearch import history, record
from cnnsearch.evaluate.entrants import field
from cnnsearch.evaluate.training import Trainings, bar_of_trainings
from cnnsearch.plan import Plan

FINALS: dict[str, Any] = {"candidates": 2, "finalists": 2, "seeds": 2, "epochs": 1}
WITH_FINALS: dict[str, Any] = {**TINY, "budget": {"trials": 3}, "name": "x", "finals": FINALS}


def run_of(folder: Path) -> Path:
    """Write a run of three trials on digits with scripted results."""
    made = plan(folder, WITH_FINALS, finals=None)
    search(made)
    return made.folder


def train(folder: Path, script: Script, slots: int = 1, **finals: Any) -> ScriptedExecutor:  # noqa: ANN401
    asked = Plan.model_validate({**history.plan_of(folder), "finals": {**FINALS, **finals}})
    executor = ScriptedExecutor(script, slots)
    found = history.read(folder)
    with record.own(folder) as to, bar_of_trainings("finals", quiet=True) as bar:
        Trainings(field(asked, found), found, asked.seed, to, bar).run(executor)
    return executor

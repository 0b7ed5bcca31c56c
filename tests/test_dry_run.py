"""What a dry run shows: the whole plan, ten networks and a forecast, without training, torch or optuna."""

import json
from pathlib import Path
from typing import Any

import pytest
from commands import heavy_imports, python
from golden_files import golden
from made_runs import write_run

from cnnsearch import afford, speed
from cnnsearch.datasets import FACTS
from cnnsearch.history import read
from cnnsearch.plan import Plan
from cnnsearch.preview import describe, out_of_reach
from cnnsearch.speed import Speed, images, work
from cnnsearch.study.__main__ import main

PLAN = """
dataset: mnist
name: example
space:
  blocks:
    - repeat: {int: [2, 4]}
      block:
        conv: {out_channels: {choice: [8, 16, 32]}, kernel_size: {choice: [3, 5]}, padding: same}
        maxpool: {choice: [null, {kernel_size: 2}]}
recipe: {epochs: 4, batch_size: {choice: [64, 128]}, learning_rate: {float: [0.001, 0.1], log: true}}
budget: {trials: 30, minutes: 5}
limits: {max_parameters: 20000, max_macs: 10000000}
sampler: {kind: tpe}
pruner: {kind: halving, rungs: [1, 2]}
executor: {workers: 2, device: cpu}
"""
ONE: dict[str, Any] = {
    "dataset": "digits",
    "space": {"blocks": [{"conv": {"out_channels": 8, "kernel_size": 3}}]},
    "recipe": {"epochs": 10, "learning_rate": 0.01},
    "budget": {"trials": 20},
    "executor": {"workers": 2, "device": "cpu"},
    "pruner": {"rungs": [5]},
}


@pytest.fixture(autouse=True)
def _without_this_machines_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("HOME", str(tmp_path))


def remembered(monkeypatch: pytest.MonkeyPatch, found: Speed | None) -> None:
    monkeypatch.setattr("cnnsearch.forecast.recall", lambda *_: found)


def line(start: str, **fields: object) -> str:
    (found,) = [text for text in describe(Plan.model_validate({**ONE, **fields})) if text.strip().startswith(start)]
    return found.strip()


def test_a_dry_run_shows_plan_networks_and_forecast(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(PLAN)
    command = ["-X", "importtime", "-m", "cnnsearch.study", "plan.yaml", "--dry-run"]
    said = python(command, tmp_path, CNNSEARCH_DATA="none")
    assert said.returncode == 0
    assert said.stdout == golden("dry_run.txt", said.stdout)
    assert said.stdout.endswith("\nforecast  unknown until a call here has trained 3 trials and ended by itself\n")
    assert heavy_imports(said.stderr) == []


def test_a_run_that_is_there_is_told(tmp_path: Path) -> None:
    plan = {**ONE, "runs": str(tmp_path), "name": "x"}
    write_run(tmp_path / "x", states=("complete", "stopped", "turned_away"), plan=Plan.model_validate(plan).stored())
    assert line("done", **plan) == "done      2 of 20 trials"


def test_a_run_of_another_plan_tells_nothing_of_this_one(tmp_path: Path) -> None:
    there = {"runs": str(tmp_path), "name": "x"}
    write_run(tmp_path / "x", plan=Plan.model_validate({**ONE, **there, "seed": 1}).stored())
    law = f"warning   {tmp_path / 'x'} is the run of another plan; take another --name, or none"
    told = list(describe(Plan.model_validate({**ONE, **there})))
    assert law in told
    assert [text for text in told if text.startswith("done")] == []


def test_of_a_space_of_which_everything_was_tried_no_search_is_forecast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remembered(monkeypatch, Speed(1e-9, 1_699_963_200.0))
    there = {"runs": str(tmp_path), "name": "x"}
    stored = Plan.model_validate({**ONE, **there}).stored()
    write_run(tmp_path / "x", states=("complete",), closed="exhausted", plan=stored)
    assert line("forecast", **there).startswith("forecast  nothing for the search and ")


def test_rungs_that_no_training_comes_to_stop_nothing() -> None:
    said = "sampler   tpe, seed 0; stopping: none, as rung 12, 15 does not come before the last epoch, 10"
    pruner = {"kind": "halving", "rungs": [12, 15]}
    assert line("sampler", pruner=pruner) == said
    told = "no trial is stopped early: stopping is none, as rung 12, 15 does not come before the last epoch, 10"
    assert out_of_reach(Plan.model_validate({**ONE, "pruner": pruner})) == told
    assert out_of_reach(Plan.model_validate({**ONE, "pruner": {"kind": "none"}})) == ""


def test_more_workers_than_cores_are_no_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    remembered(monkeypatch, Speed(1e-9, 1_699_963_200.0))
    monkeypatch.setattr("cnnsearch.forecast.cores", lambda: 2)
    two, many = (line("forecast", executor={"workers": count, "device": "cpu"}) for count in (2, 99))
    assert many == two


def test_a_dry_run_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["--dry-run", "--dataset", "digits", "--device", "cpu"]) == 0
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_of_the_defaults_needs_no_data(tmp_path: Path) -> None:
    said = python(
        ["-m", "cnnsearch.study", "--dry-run", "--device", "cpu"], tmp_path, CNNSEARCH_DATA=str(tmp_path / "no")
    )
    assert said.returncode == 0
    assert "data      mnist: 55,000 training images, 5,000 for validation" in said.stdout


def test_the_forecast_follows_from_the_last_runs_speed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Plan.model_validate(ONE)
    candidate = plan.draw(lambda _: 0)
    epoch = work(candidate.network, candidate.recipe.batch_size) * images(1.0, plan.facts)
    remembered(monkeypatch, Speed(3 / epoch, 1_699_963_200.0))
    when = "by this machine's speed in the run of 2023-11-14"
    # 20 trials, each of 5 epochs and a quarter of 5 more, 3 s an epoch, on 2 workers: 188 s.
    # Finals of 5 candidates, 2 baselines and twice 2 more seeds, 30 s each, on 2 workers: 6 turns, 180 s.
    assert line("forecast") == f"forecast  about 3 min for the search and 3 min for the finals, {when}"
    assert line("forecast", finals=None) == f"forecast  about 3 min for the search, {when}"
    costs = {"finals": None, "objectives": {"parameters": {}}}
    assert line("forecast", **costs) == f"forecast  at least 3 min for the search, {when}", "the best of every size"
    there = {"runs": str(tmp_path), "name": "x"}
    stored = Plan.model_validate({**ONE, **there}).stored()
    write_run(tmp_path / "x", states=("complete", "stopped") * 5, plan=stored)
    assert line("forecast", finals=None, **there) == f"forecast  about 2 min for the search, {when}"
    done = {**there, "budget": {"trials": 10}}
    assert line("forecast", **done) == f"forecast  nothing for the search and 3 min for the finals, {when}"
    assert line("forecast", finals=None, **done) == "forecast  nothing is left to do"
    goes_on = {**there, "budget": {"trials": 10, "until_flat": True}, "finals": None}
    assert line("forecast", **goes_on) == f"forecast  perhaps nothing for the search, {when}"
    twin = {"finals": {"baselines": ["random-search"], "candidates": 1, "finalists": 1, "seeds": 1}}
    # 20 trials more in 188 s, and finals of two trainings at once, 30 s; whatever the study itself has done.
    assert line("forecast", **twin) == f"forecast  about 3 min for the search and 4 min for the finals, {when}"
    assert line("forecast", **{**done, **twin}) == f"forecast  nothing for the search and 2 min for the finals, {when}"
    in_time = {**twin, "budget": {"trials": 200, "minutes": 3}}
    assert line("forecast", **in_time) == f"forecast  about 3 min for the search and 4 min for the finals, {when}"
    halves = {"pruner": {"kind": "none"}, "budget": {"trials": 200, "minutes": 7}, "finals": None}
    assert line("forecast", **halves) == f"forecast  about 7 min for the search, {when}"


def test_of_finals_that_are_over_only_others_are_forecast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {**ONE, "runs": str(tmp_path), "name": "x", "budget": {"trials": 10}, "finals": {"epochs": 3}}
    write_run(tmp_path / "x", states=("complete",) * 10, plan=Plan.model_validate(asked).stored())
    monkeypatch.setattr("cnnsearch.preview.decided", lambda _: "a winner")  # by the finals that the run has
    remembered(monkeypatch, Speed(1e-9, 1_699_963_200.0))
    assert line("done", **asked) == "done      10 of 10 trials; the finals have a winner"
    assert line("forecast", **asked) == "forecast  nothing is left to do"
    until_flat = {**asked, "budget": {"trials": 10, "until_flat": True}}
    assert line("forecast", **until_flat) == "forecast  nothing is left to do", "once finals were held"
    cut = {**asked, "budget": {"trials": 8, "until_flat": True}}
    assert "nothing for the search" not in line("forecast", **cut), "6 are left of twice 8"
    others = {**asked, "finals": {"epochs": 4}}
    assert line("done", **others) == "done      10 of 10 trials; the winner is that of other finals"
    assert "for the finals" in line("forecast", **others)
    assert line("forecast", **{**asked, "finals": None}) == "forecast  nothing is left to do"


@pytest.mark.parametrize("limits", [{"max_parameters": 1}, {"max_macs": 1}])
def test_nothing_is_forecast_where_every_drawn_network_is_over_a_limit(
    limits: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(afford, "MOST_FILLINGS", 0)  # as if the space were too large to look ahead
    remembered(monkeypatch, Speed(1e-9, 1_699_963_200.0))
    law = "forecast  unknown: none of the networks drawn here keeps the limits"
    assert line("forecast", limits=limits) == law


def test_a_speed_is_remembered_for_its_data_set_and_kind_of_device(tmp_path: Path) -> None:
    there = speed._file("mnist", "cuda:0")  # noqa: SLF001 (where it is kept is nobody else's business)
    assert there.is_relative_to(tmp_path)
    there.parent.mkdir(parents=True)
    there.write_text(json.dumps(Speed(1e-9, 0.0)._asdict()))
    assert speed.recall("mnist", "cpu") is None
    assert speed.recall("digits", "cuda:0") is None
    assert speed.recall("mnist", "cuda:1") == Speed(1e-9, 0.0)


def test_a_run_leaves_its_speed_behind(tmp_path: Path) -> None:
    facts = FACTS["mnist"]
    run = read(write_run(tmp_path / "run", states=("complete", "stopped") * 5))
    speed.remember(run.trials, facts, "cpu:0")
    found = speed.recall("mnist", "cpu")
    assert found is not None
    done = [
        work(trial.network, trial.recipe.batch_size) * images(share, facts)
        for trial in run.trials
        for _, share in zip(trial.epochs, trial.recipe.passes, strict=False)
    ]
    assert found.seconds * sum(done) == pytest.approx(sum(e.seconds for trial in run.trials for e in trial.epochs))


def test_work_is_what_is_computed_passed_over_and_started() -> None:
    network = Plan.model_validate(ONE).draw(lambda _: 0).network
    numbers = 3 * 8 * 6 * 6 + 8 + 8 + 10  # of conv, norm and ReLU; of the pool, made flat, and the linear layer
    assert work(network, 32) == network.cost.macs + 14 * numbers + 7_000_000 * 3 / 32
    assert images(0.5, FACTS["mnist"]) == 0.5 * 55_000 + 0.4 * 5_000


def test_a_few_trials_leave_no_speed_behind(tmp_path: Path) -> None:
    speed.remember(read(write_run(tmp_path / "run", states=("complete", "stopped"))).trials, FACTS["mnist"], "cpu")
    assert speed.recall("mnist", "cpu") is None


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"speed": 3}', "\x00"])
def test_a_memory_that_cannot_be_read_is_none(content: str) -> None:
    there = speed._file("mnist", "cpu")  # noqa: SLF001 (as above)
    there.parent.mkdir(parents=True)
    there.write_text(content)
    assert speed.recall("mnist", "cpu") is None


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ({}, "recipe    fixed"),
        ({"epochs": {"int": [1, 3]}}, "recipe    3 recipes"),
        ({"momentum": {"float": [0.0, 0.9]}}, "recipe    any value of momentum"),
        (
            {"momentum": {"float": [0.0, 0.9]}, "epochs": {"choice": [1, 2]}},
            "recipe    2 recipes, times any value of momentum",
        ),
    ],
)
def test_the_recipes_holes_are_shown(recipe: dict[str, object], said: str) -> None:
    assert line("recipe", recipe={**ONE["recipe"], **recipe}) == said


def test_a_network_over_a_limit_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(afford, "MOST_FILLINGS", 0)
    network = "186 parameters        2,672 multiply-adds      2,304 bytes of maps  8, average"
    lines = list(describe(Plan.model_validate({**ONE, "limits": {"max_parameters": 100, "max_macs": 100}})))
    assert lines[-2].strip() == f"{network}, over the limit of parameters, macs"


def test_start_networks_are_shown_first() -> None:
    image = {"channels": 1, "height": 8, "width": 8}
    start = [{"input": image, "blocks": ONE["space"]["blocks"], "classes": 10}]
    lines = list(describe(Plan.model_validate({**ONE, "start": start})))
    assert lines.index("\ntried first:") < lines.index("\n1 network drawn uniformly:")


def test_a_study_that_never_stops_early_says_so() -> None:
    assert line("sampler", pruner={"kind": "none"}) == "sampler   tpe, seed 0; stopping: none"


def test_more_workers_than_cores_are_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnnsearch.preview.cores", lambda: 2)
    crowd = {"executor": {"workers": 500, "device": "cpu"}}
    assert line("workers", **crowd) == "workers   500 on cpu"
    law = "500 workers share 2 cores of this machine; leave their number out for as many as suit it"
    assert line("warning", **crowd) == f"warning   {law}"

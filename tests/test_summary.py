import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from study_rig import SIX_NETWORKS, fail, in_turn, interrupt, learn, network, plan, search

from cnnsearch.messages import Event, Job
from cnnsearch.study import summary
from cnnsearch.versions import versions

pytestmark = pytest.mark.usefixtures("no_wait_for_the_disk")


def read(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "summary.json").read_text())


def test_the_summary_says_what_its_page_promises(tmp_path: Path) -> None:
    wanted = plan(tmp_path, SIX_NETWORKS, budget={"trials": 4}, start=[network(7), network(7)], seed=1, name="mine")
    run, _ = search(wanted, in_turn(fail("diverged", "the loss is nan")))
    best = run.ranked[0]
    told = read(wanted.folder)
    assert 0 < told.pop("seconds") < 60
    assert told == {
        "name": "mine",
        "state": "complete",
        "dataset": "digits",
        "notice": "",
        "seed": 1,
        "trials": {"complete": run.count("complete"), "stopped": run.count("stopped"), "failed": 1},
        "turned_away": 0,
        "repeated": run.count("repeated"),
        "best": {
            "trial": best.number,
            "validation_accuracy": best.score,
            "parameters": best.parameters,
            "macs": best.macs,
            "latency": None,
            "network": "best/network.json",
            "weights": "best/weights.safetensors",
        },
        "finals": None,
        "winner": None,
        "objectives": {"validation_accuracy": {"at_least": None}},
        "front": [
            {"trial": trial.number, "validation_accuracy": trial.score, "costs": {"parameters": trial.parameters}}
            for trial in run.front
        ],
        "versions": versions(),
    }
    assert run.count("repeated") == 1
    assert told["front"]
    for field in (*told, *told["trials"], *told["best"], *told["front"][0]):
        assert field in (summary.__doc__ or ""), field


def test_there_is_no_best_where_nothing_was_trained_to_its_end(tmp_path: Path) -> None:
    wanted = plan(tmp_path, budget={"trials": 1})
    search(wanted, fail("diverged", "the loss is nan"))
    assert read(wanted.folder)["best"] is None


def test_the_summary_is_there_while_the_study_runs_and_after_it_was_interrupted(tmp_path: Path) -> None:
    wanted = plan(tmp_path, budget={"trials": 2})
    seen: list[dict[str, Any]] = []

    def look(job: Job) -> Iterator[Event]:
        seen.append(read(wanted.folder))  # summed up in calm moments, of which there was none
        yield from interrupt(job)

    with pytest.raises(KeyboardInterrupt):
        search(wanted, in_turn(learn, look))
    assert (seen[0]["state"], seen[0]["trials"]["complete"]) == ("running", 0)
    assert (read(wanted.folder)["state"], read(wanted.folder)["trials"]["complete"]) == ("interrupted", 1)


def test_the_seconds_of_all_invocations_are_added_up(tmp_path: Path) -> None:
    search(wanted := plan(tmp_path, budget={"trials": 1}))
    first = read(wanted.folder)["seconds"]
    search(plan(tmp_path, budget={"trials": 2}))
    assert read(wanted.folder)["seconds"] > first


def test_the_versions_are_those_that_are_installed() -> None:
    import optuna
    import pydantic

    assert versions()["optuna"] == optuna.__version__
    assert versions()["pydantic"] == pydantic.VERSION
    assert set(versions()) == {"python", "cnnsearch", "torch", "torchvision", "optuna", "pydantic", "numpy"}
    assert versions(("numpy", "no-such-package"))["no-such-package"] == "not installed"

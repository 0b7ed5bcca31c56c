"""What an editor knows of network and plan files agrees with what their readers take."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from amount import examples
from commands import ROOT, heavy_imports, python
from hypothesis import given
from jsonschema import Draft202012Validator
from strategies import small_spaces

from cnnsearch.blocks import KINDS
from cnnsearch.defaults import DEFAULTS
from cnnsearch.errors import InvalidSpecError
from cnnsearch.layers import Conv
from cnnsearch.network import Network
from cnnsearch.plan import Plan
from cnnsearch.recipe import Recipe
from cnnsearch.schema import network_schema, plan_schema
from cnnsearch.strategies import networks
from cnnsearch.text import read_file

STUDIES = ROOT / "studies"
CONV: dict[str, Any] = {"out_channels": 8, "kernel_size": 3}
NETWORK: dict[str, Any] = {
    "input": {"channels": 1, "height": 8, "width": 8},
    "blocks": [
        {
            "kind": "plain",
            "conv": {**CONV, "padding": [1, 2], "stride": 1, "bias": True, "padding_mode": "zeros"},
            "batchnorm": {"eps": 0.1, "momentum": None},
            "relu": None,
            "maxpool": {"kernel_size": [2, 3], "stride": None, "ceil_mode": False},
        }
    ],
    "head": {"pool": "max", "hidden": [16], "dropout": 0.5},
    "classes": 10,
}
RECIPE = {**json.loads(Recipe().model_dump_json()), "restarts": [1, 2]}


def committed(noun: str) -> Draft202012Validator:
    schema = json.loads((STUDIES / f"{noun}.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


NETWORKS, PLANS = committed("network"), committed("plan")


def plan_with(blocks: object, **others: object) -> dict[str, Any]:
    return {"dataset": "digits", "space": {"blocks": blocks}, **others}


def test_the_committed_schemas_are_what_the_command_writes(tmp_path: Path) -> None:
    said = python(["-X", "importtime", "-m", "cnnsearch.check", "--write-schemas", "made"], tmp_path)
    assert said.stdout == "made/network.schema.json\nmade/plan.schema.json\n", said.stderr
    assert heavy_imports(said.stderr) == []
    for path in sorted((tmp_path / "made").iterdir()):
        assert path.read_text() == (STUDIES / path.name).read_text(), (
            "python -m cnnsearch.check --write-schemas studies"
        )


@pytest.mark.parametrize("path", sorted(STUDIES.glob("*.yaml")), ids=lambda path: path.name)
def test_every_study_is_valid_for_editors_and_reader(path: Path) -> None:
    assert path.read_text().startswith("# yaml-language-server: $schema=plan.schema.json\n")
    PLANS.validate(read_file(path))
    Plan.model_validate(read_file(path))


@pytest.mark.parametrize("dataset", list(DEFAULTS))
def test_every_default_is_valid(dataset: str) -> None:
    PLANS.validate({"dataset": dataset, **DEFAULTS[dataset]})


def test_the_example_names_the_schema_it_is_valid_by() -> None:
    path = ROOT / "examples/network.json"
    data = read_file(path)
    assert (path.parent / data["$schema"]).resolve() == STUDIES / "network.schema.json"
    NETWORKS.validate(data)


def test_a_plan_may_name_its_schema_too() -> None:
    data = {"$schema": "plan.schema.json", "dataset": "digits", "start": ["net.json", {"$schema": "x", **NETWORK}]}
    PLANS.validate(data)


def test_what_a_run_stores_is_a_valid_plan() -> None:
    PLANS.validate(Plan.model_validate({"dataset": "digits", "start": [NETWORK]}).stored())


@examples(50)
@given(networks(*(KINDS[name] for name in ("plain", "residual", "separable"))))
def test_every_network_is_valid_for_editors(network: Network) -> None:
    NETWORKS.validate(json.loads(network.model_dump_json()))
    NETWORKS.validate(json.loads(network.to_json()))


@examples(50)
@given(small_spaces)
def test_every_space_is_valid_for_editors(space: dict[str, Any]) -> None:
    PLANS.validate({"space": {key: value for key, value in space.items() if key not in {"input", "classes"}}})


def spots(data: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:  # noqa: ANN401 (plain data)
    """Give the path of every value in plain data, but of the data themselves."""
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in inner:
        yield (*path, key)
        yield from spots(value, (*path, key))


def opened(data: Any, path: tuple[str | int, ...], depth: int) -> Any:  # noqa: ANN401 (plain data)
    """Put a hole around the value at `path`, and holes around that."""
    if not path:
        return data if depth == 0 else {"choice": [opened(data, path, depth - 1)]}
    copy = dict(data) if isinstance(data, dict) else list(data)
    copy[path[0]] = opened(data[path[0]], path[1:], depth)
    return copy


def space_of(network: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in network.items() if key not in {"input", "classes"}}


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("path", list(spots(space_of(NETWORK))), ids=str)
def test_wherever_a_value_of_a_space_stands_a_hole_may_stand(path: tuple[str | int, ...], depth: int) -> None:
    plan = {"dataset": "digits", "space": opened(space_of(NETWORK), path, depth)}
    PLANS.validate(plan)
    Plan.model_validate(plan)


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("path", list(spots(RECIPE)), ids=str)
def test_wherever_a_value_of_a_recipe_stands_a_hole_may_stand(path: tuple[str | int, ...], depth: int) -> None:
    plan = {"dataset": "digits", "recipe": opened(RECIPE, path, depth)}
    PLANS.validate(plan)
    Plan.model_validate(plan)


@pytest.mark.parametrize(
    "plan",
    [
        {},
        {"recipe": {"epochs": {"int": [1, 6]}, "learning_rate": {"float": [0.001, 0.1], "log": True}}},
        {"recipe": {"learning_rate": {"float": [0.01, 0.1], "step": 0.01}, "weight_decay": {"int": [0, 1]}}},
        {"recipe": {"batch_size": {"int": [32, 256], "step": 32}, "augmentation": {"choice": [None, {"shift": 1}]}}},
        plan_with([{"repeat": 2, "block": {"conv": CONV}}]),
        plan_with([{"repeat": {"choice": [1, 2]}, "block": {"repeat": {"int": [1, 2]}, "block": {"conv": CONV}}}]),
        plan_with([{"kind": {"choice": ["plain", "separable"]}, "conv": CONV}]),
        plan_with({"choice": [[{"conv": CONV}], [{"kind": "residual", "conv": {**CONV, "padding": 1}}]]}),
        plan_with([{"conv": {**CONV, "kernel_size": {"choice": [{"int": [1, 2]}, [1, {"int": [1, 3]}]]}}}]),
        plan_with([{"conv": CONV, "maxpool": {"choice": [None, {"kernel_size": {"int": [2, 3]}}]}}]),
    ],
)
def test_holes_as_plans_have_them_are_valid(plan: dict[str, Any]) -> None:
    PLANS.validate({"dataset": "digits", **plan})
    Plan.model_validate({"dataset": "digits", **plan})


@pytest.mark.parametrize(
    "plan",
    [
        {"dataset": 3},
        {"image": {"channels": 2}},
        {"recipy": {}},
        {"seed": -1},
        {"seed": "0"},
        {"budget": {"trials": 0}},
        {"budget": {"trials": {"int": [1, 5]}}},  # a plan's own fields hold no holes
        {"pruner": {"rungs": [0]}},
        {"name": "a/b"},
        {"recipe": {"epochs": 1.5}},
        {"recipe": {"epochs": {"float": [1.0, 5.0]}}},
        {"recipe": {"epochs": {"int": [0, 5]}}},
        {"recipe": {"epochs": {"int": [1, 5, 9]}}},
        {"recipe": {"epochs": {"int": [1, 5], "step": 0}}},
        {"recipe": {"epochs": {"int": [1, 5], "step": 2, "log": True}}},
        {"recipe": {"epochs": {"choice": []}}},
        {"recipe": {"epochs": {"choice": [1, "2"]}}},
        {"recipe": {"epochs": {"choice": [1, {"choice": [2, 0]}]}}},
        {"recipe": {"epochs": {"choice": [1, 2], "log": True}}},
        {"recipe": {"epochs": {"choice": [1], "int": [1, 2]}}},
        {"recipe": {"optimizer": {"choice": ["adam"]}}},
        {"recipe": {"augmentation": {"shift": {"float": [-1.0, 2.0]}}}},
        {"space": {}},
        plan_with([]),
        plan_with([{"conv": {"kernel_size": 3}}]),
        plan_with([{"conv": CONV, "pool": None}]),
        plan_with([{"conv": CONV, "preactivation": True}]),  # of another kind
        plan_with([{"kind": "plane", "conv": CONV}]),
        plan_with([{"kind": {"choice": ["plain", "plane"]}, "conv": CONV}]),
        plan_with([{"conv": {**CONV, "padding": "some"}}]),
        plan_with([{"conv": {**CONV, "kernel_size": [3, 3, 3]}}]),
        plan_with([{"conv": {**CONV, "kernel_size": {"choice": [3, 0]}}}]),
        plan_with([{"conv": {**CONV, "out_channels": {"int": [8, 5000]}}}]),
        plan_with([{"conv": {**CONV, "bias": {"choice": [True, 1]}}}]),
        plan_with([{"conv": CONV, "maxpool": {"choice": [None, {"kernel_sizes": 2}]}}]),
        plan_with([{"repeat": 2, "blocks": {"conv": CONV}}]),
        plan_with([{"repeat": {"float": [1.0, 2.0]}, "block": {"conv": CONV}}]),
        plan_with([{"repeat": 65, "block": {"conv": CONV}}]),
        {"space": {**plan_with([{"conv": CONV}])["space"], "classes": 10}},
        {"start": [{"blocks": [{"conv": CONV}]}]},
    ],
    ids=json.dumps,
)
def test_what_the_reader_of_plans_refuses_editors_mark(plan: dict[str, Any]) -> None:
    with pytest.raises(InvalidSpecError):
        Plan.model_validate({"dataset": "digits", **plan})
    assert not PLANS.is_valid({"dataset": "digits", **plan})


@pytest.mark.parametrize(
    "change",
    [
        {"classes": 1},
        {"classes": True},
        {"blocks": []},
        {"blocks": [{"conv": CONV}] * 65},
        {"blocks": [{"conv": {**CONV, "stride": 0}}]},
        {"blocks": [{"conv": {**CONV, "out_channels": {"choice": [8]}}}]},  # no holes in a network
        {"blocks": [{"repeat": 2, "block": {"conv": CONV}}]},
        {"head": {"hidden": [8] * 9}},
        {"head": {"dropout": 1.0}},
        {"inputs": {}},
    ],
    ids=json.dumps,
)
def test_what_the_reader_of_networks_refuses_editors_mark(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidSpecError):
        Network.model_validate({**NETWORK, **change})
    assert not NETWORKS.is_valid({**NETWORK, **change})


def test_what_fields_mean_is_in_the_schema() -> None:
    conv, holed = (
        {name: field["description"] for name, field in schema["$defs"][word]["properties"].items()}
        for schema, word in ((NETWORKS.schema, "Conv"), (PLANS.schema, "Conv-with-holes"))
    )
    assert conv == holed
    assert conv["out_channels"] == "Maps it makes."
    epochs = PLANS.schema["properties"]["recipe"]["properties"]["epochs"]
    assert epochs["description"] == "Passes over the training images."


def test_an_own_kind_without_a_source_has_its_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Conv, "__module__", "builtins")  # no source is to be had, as of what is typed at a prompt
    assert "description" not in network_schema()["$defs"]["Conv"]["properties"]["stride"]


def test_every_reference_has_an_end() -> None:
    for schema in (network_schema(), plan_schema()):
        named = {part["$ref"].removeprefix("#/$defs/") for part in objects(schema) if "$ref" in part}
        assert named <= schema["$defs"].keys()


def objects(part: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 (plain data)
    inner = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    yield from [part] * isinstance(part, dict)
    for value in inner:
        yield from objects(value)


def test_kinds_of_ones_own_appear_when_imported(tmp_path: Path) -> None:
    command = ["-m", "cnnsearch.check", "--import", "own_block", "--write-schemas", "."]
    said = python(command, tmp_path, PYTHONPATH=str(ROOT / "examples"))
    assert said.returncode == 0, said.stderr
    plan = read_file(ROOT / "examples/own_block.yaml")
    own = Draft202012Validator(json.loads((tmp_path / "plan.schema.json").read_text()))
    assert own.is_valid(plan)
    assert not PLANS.is_valid(plan)
    assert own.schema["$defs"]["excited-block-with-holes"]["properties"]["squeeze"]

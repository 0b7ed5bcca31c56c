"""What every word keeps: faults that help, and copies that forget what no longer holds."""

import pytest

from cnnsearch.errors import InvalidSpecError, brief
from cnnsearch.network import Network
from cnnsearch.plan import Plan
from cnnsearch.word import Word

IMAGE = {"channels": 1, "height": 8, "width": 8}
NUMBER = "input should be a valid integer, not"
NETWORK = {"input": IMAGE, "blocks": [{"conv": {"out_channels": 3, "kernel_size": 3}}], "classes": 10}


@pytest.mark.parametrize(
    ("word", "data", "fault"),
    [
        (Network, {**NETWORK, "haed": {}}, "haed: unknown key; perhaps you meant 'head'"),
        (Network, {**NETWORK, "head": {"hiden": []}}, "head.hiden: unknown key; perhaps you meant 'hidden'"),
        (
            Network,
            {**NETWORK, "blocks": [{**NETWORK["blocks"][0], "maxpol": None}]},
            "blocks[0].maxpol: unknown key; perhaps you meant 'maxpool'",
        ),
        (Plan, {"executor": {"worker": 1}}, "executor.worker: unknown key; perhaps you meant 'workers'"),
        (Plan, {"executor": {"x": 1}}, "executor.x: unknown key; known here: kind, workers, device"),
        (
            Plan,
            {"start": [{**NETWORK, "clases": 1}]},
            "start[0].clases: unknown key; perhaps you meant 'classes'",
        ),
    ],
)
def test_an_unknown_key_is_told_with_the_nearest_known_one(
    word: type[Word], data: dict[str, object], fault: str
) -> None:
    with pytest.raises(InvalidSpecError) as error:
        word.model_validate(data)
    assert str(error.value) == fault


@pytest.mark.parametrize(
    ("channels", "way_out"),
    [
        ({"uniform": [8, 16]}, 'a range in a space is written {"int": [8, 16]}'),
        ({"randint": [8, 16]}, 'a range in a space is written {"int": [8, 16]}'),
        ({"loguniform": [8, 16]}, 'a range in a space is written {"int": [8, 16], "log": true}'),
        ({"log": [8, 16]}, 'a range in a space is written {"int": [8, 16], "log": true}'),
        ({"high": 16, "low": 8}, 'a range in a space is written {"int": [8, 16]}'),
        ({"high": 16, "log": True, "low": 8}, 'a range in a space is written {"int": [8, 16], "log": true}'),
        ({"high": 16, "low": 8, "type": "int"}, 'a range in a space is written {"int": [8, 16]}'),
        (
            {"max_value": 16, "min_value": 8, "step": 4},
            'a range in a space is written {"int": [8, 16], "step": 4}',
        ),
        (
            {"distribution": "log_uniform", "max": 32, "min": 8},
            'a range in a space is written {"int": [8, 32], "log": true}',
        ),
        ({"_type": "uniform", "_value": [8, 16]}, 'a range in a space is written {"int": [8, 16]}'),
        ({"_type": "choice", "_value": [8, 16]}, 'a choice in a space is written {"choice": [8, 16]}'),
        ({"high": 16, "log": False, "low": 8}, 'a range in a space is written {"int": [8, 16]}'),
        ({"high": 16, "low": 8, "scale": "log"}, 'a range in a space is written {"int": [8, 16], "log": true}'),
        ({"bounds": [8, 16], "log_scale": False, "type": "range"}, 'a range in a space is written {"int": [8, 16]}'),
        (["8", "16", "24"], 'a choice in a space is written {"choice": [8, 16, 24]}'),
        (
            {"bounds": [8, 64], "step_size": 8, "type": "range"},
            'a range in a space is written {"int": [8, 64], "step": 8}',
        ),
        ({"suggest_int": [8, 16]}, 'a range in a space is written {"int": [8, 16]}'),
        ({"values": [8, 16, 24]}, 'a choice in a space is written {"choice": [8, 16, 24]}'),
        ({"chioce": [8, 16]}, "perhaps you meant 'choice'"),
        ("8", "write it without quotation marks"),
        (8.0, "perhaps you meant 8, or of a range int, not float"),
    ],
    ids=str,
)
def test_other_tools_ways_to_write_a_value_are_told_ours(channels: object, way_out: str) -> None:
    space = {"blocks": [{"conv": {"out_channels": channels, "kernel_size": 3}}]}
    with pytest.raises(InvalidSpecError) as error:
        Plan.model_validate({"space": space})
    assert str(error.value) == f"space.blocks[0].conv.out_channels: {NUMBER} {channels!r}; {way_out}"


@pytest.mark.parametrize(
    "given",
    [{"_type": "normal", "_value": [8, 2]}, {"distribution": "log_uniform", "min": -7, "max": -2}, {"min": "x"}],
    ids=str,
)
def test_what_is_no_range_of_ours_is_told_none(given: object) -> None:
    with pytest.raises(InvalidSpecError) as error:
        Plan.model_validate({"recipe": {"learning_rate": given}})
    assert str(error.value) == f"recipe.learning_rate: input should be a valid number, not {brief(given)}"


def test_a_range_of_floats_is_told_as_one_where_a_float_stands() -> None:
    with pytest.raises(InvalidSpecError) as error:
        Plan.model_validate({"recipe": {"weight_decay": {"min": 0, "max": 1}}})
    assert str(error.value).endswith('; a range in a space is written {"float": [0, 1]}')


@pytest.mark.parametrize(
    ("ends", "way_out"),
    [
        (["8", "16"], "; write them without quotation marks"),
        ({"high": 16, "log": True, "low": 8}, '; a range in a space is written {"int": [8, 16], "log": true}'),
        ([8], ""),
    ],
    ids=str,
)
def test_ends_of_a_range_that_are_written_otherwise_are_told_ours(ends: object, way_out: str) -> None:
    space = {"blocks": [{"conv": {"out_channels": {"int": ends}, "kernel_size": 3}}]}
    with pytest.raises(InvalidSpecError) as error:
        Plan.model_validate({"space": space})
    law = f"must be [lowest, highest], two int numbers, not {ends}"
    assert str(error.value) == f"space.blocks[0].conv.out_channels.int: {law}{way_out}"


def test_a_range_of_whole_numbers_as_floats_is_told_int() -> None:
    space = {"blocks": [{"conv": {"out_channels": {"float": [8, 16]}, "kernel_size": 3}}]}
    with pytest.raises(InvalidSpecError) as error:
        Plan.model_validate({"space": space})
    assert str(error.value.faults[0]).endswith(f"{NUMBER} 8.0; perhaps you meant 8, or of a range int, not float")


def test_a_copy_forgets_the_costs_of_its_model() -> None:
    network = Network.model_validate(NETWORK)
    other = network.model_copy(update={"classes": 2})
    assert (network.cost.parameters, other.cost.parameters) == (76, 44)
    assert network.fingerprint != other.fingerprint
    assert other == Network.model_validate({**NETWORK, "classes": 2})
    assert network.model_copy().cost == network.cost

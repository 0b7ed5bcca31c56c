"""What every word keeps: faults that help, and copies that forget what no longer holds."""

import pytest

from cnnsearch.errors import InvalidSpecError
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
        (8.0, "perhaps you meant 8, or of a range int, not float"),
    ],
    ids=str,
)
def test_other_tools_ways_to_write_a_value_are_told_ours(channels: object, way_out: str) -> None:
    space = {"blocks": [{"conv": {"out_channels": channels, "kernel_size": 3}}]}
    with pytest.raises(InvalidSpecError) as error:
        Plan.model_validate({"space": space})
    assert str(error.value) == f"space.blocks[0].conv.out_channels: {NUMBER} {channels}; {way_out}"


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

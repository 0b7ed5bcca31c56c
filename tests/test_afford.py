"""The look ahead over costs against brute force: an option is masked just when nothing behind it keeps them."""

from random import Random

import pytest
from amount import examples
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import small_spaces

from cnnsearch import afford
from cnnsearch.afford import CostAhead
from cnnsearch.blocks import KINDS, Block
from cnnsearch.errors import InvalidSpecError
from cnnsearch.fit import LookAhead
from cnnsearch.flow import Flow, Step
from cnnsearch.holes import Hole, Map, Node, count_fillings, fillings, to_plain
from cnnsearch.layers import Conv
from cnnsearch.network import Network
from cnnsearch.parse import read
from cnnsearch.plan import Plan
from cnnsearch.shapes import Shape
from cnnsearch.space import Space, uniformly
from cnnsearch.text import Plain as Data

MOST = 250  # fillings that are tried one by one
COSTS = ("parameters", "macs", "weight_bytes", "activation_bytes")


def network_of(filled: Node) -> Network | None:
    try:
        return Network.model_validate(to_plain(filled))
    except InvalidSpecError:
        return None


def keeps(filled: Node, most: dict[str, int]) -> bool:
    network = network_of(filled)
    return network is not None and all(getattr(network.cost, name) <= limit for name, limit in most.items())


def all_of(data: Data) -> tuple[Map, list[Node]]:
    tree = read(data)
    assert isinstance(tree, Map)
    assume(count_fillings(tree) <= MOST)
    return tree, [filled for filled, _ in fillings(tree)]


def limits_between(costs: list[Network], at: float, names: list[str]) -> dict[str, int]:
    """Set limits somewhere between the least and the greatest cost."""
    found = {name: sorted(getattr(network.cost, name) for network in costs) for name in names}
    return {name: values[int(at * (len(values) - 1))] - (at == 0) for name, values in found.items()}


names = st.lists(st.sampled_from(COSTS), min_size=1, max_size=3, unique=True)


@examples(80)
@given(small_spaces, st.floats(0, 1), names)
def test_the_look_ahead_says_what_pricing_every_filling_says(data: Data, at: float, names: list[str]) -> None:
    tree, every = all_of(data)
    networks = [network for filled in every if (network := network_of(filled))]
    assume(networks)
    most = limits_between(networks, at, names)
    ahead = CostAhead(tree, LookAhead(tree), most)
    assert ahead.is_known
    assert ahead.is_hopeless == (not any(keeps(filled, most) for filled in every))
    assert [ahead.can_fit(filled) for filled in every] == [keeps(filled, most) for filled in every]


@examples(30)
@given(small_spaces, st.floats(0, 1), names, st.randoms())
def test_what_is_drawn_keeps_the_limits(data: Data, at: float, names: list[str], dice: Random) -> None:
    _, every = all_of(data)
    networks = [network for filled in every if (network := network_of(filled))]
    assume(networks)
    most = limits_between(networks, at, names)
    assume(any(keeps(filled, most) for filled in every))
    try:
        space = Space(data, most)
    except InvalidSpecError:  # an option that is none
        assume(condition=False)
        raise
    for _ in range(5):
        cost = space.draw(lambda hole: dice.randrange(len(hole.options)) if isinstance(hole, Hole) else 0).network.cost
        assert all(getattr(cost, name) <= limit for name, limit in most.items())


IMAGE = {"channels": 1, "height": 8, "width": 8}


def written(*blocks: Data, **others: Data) -> dict[str, Data]:
    return {"input": IMAGE, "blocks": list(blocks), "classes": 10, **others}


def block(out_channels: Data, kernel_size: Data = 3, **others: Data) -> Data:
    return {"conv": {"out_channels": out_channels, "kernel_size": kernel_size, "padding": "same"}, **others}


def test_a_residual_block_may_cost_less_with_more_channels() -> None:
    conv = {"out_channels": {"choice": [7, 8]}, "kernel_size": 1}
    data = written({"conv": {"out_channels": 8, "kernel_size": 1}}, {"kind": "residual", "conv": conv})
    every = (Network.model_validate(to_plain(filled)) for filled, _ in fillings(read(data)))
    few, many = sorted(every, key=lambda network: network.shapes[-1].channels)
    assert many.cost.parameters < few.cost.parameters
    space = Space(data, {"parameters": many.cost.parameters})
    assert not space.costs.is_hopeless
    assert {space.draw(lambda _, i=i: i).network.cost.parameters for i in (0, 1)} == {many.cost.parameters}


def test_a_hole_too_wide_to_look_ahead_at_leaves_what_is_over_to_be_turned_away() -> None:
    space = Space(written(block({"int": [1, 100]}), block({"int": [1, 100]})), {"parameters": 600})
    assert space.costs.is_known
    assert space.draw(lambda _: 0).network.cost.parameters < 600
    assert space.draw(lambda _: 99).network.cost.parameters > 600


def test_too_many_fillings_to_price_are_not_looked_at() -> None:
    many = {"int": [1, 30]}
    space = Space(written(block(4, [many, many])), {"parameters": 400})
    assert not space.costs.is_known
    assert not space.costs.is_hopeless
    assert space.draw(lambda _: 29).network.cost.parameters > 400


def test_what_was_found_out_is_forgotten_when_it_becomes_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(afford, "MOST_REMEMBERED", 5)
    space = Space(written(block({"int": [1, 8]}), block({"int": [1, 8]})), {"parameters": 300})
    drawn = [space.draw(lambda _, i=i: i).network.cost.parameters for i in range(8)]
    assert max(drawn) <= 300
    assert len(set(drawn)) > 3


def test_a_kind_of_ones_own_is_priced_for_every_number_of_channels(monkeypatch: pytest.MonkeyPatch) -> None:
    class Squeezed(Block):
        kind: str = "squeezed"
        out_channels: int

        def flow(self, shape: Shape) -> Flow:
            """The more it makes, the less it costs."""
            _ = shape
            narrow = Conv(out_channels=max(1, 9 - self.out_channels), kernel_size=(3, 3))
            return Step("conv", narrow), Step("wide", Conv(out_channels=self.out_channels, kernel_size=(1, 1)))

    monkeypatch.setitem(KINDS, "squeezed", Squeezed)
    data = written({"kind": "squeezed", "out_channels": {"int": [1, 8]}}, head={"pool": "max"})
    costs = [
        Network.model_validate({**data, "blocks": [{"kind": "squeezed", "out_channels": n}]}).cost.macs
        for n in range(1, 9)
    ]
    space = Space(data, {"macs": min(costs)})
    assert space.draw(lambda _: 0).network.cost.macs == min(costs) < costs[0]


def refusal(**limits: int) -> str:
    with pytest.raises(InvalidSpecError) as caught:
        Plan.model_validate({"dataset": "digits", "space": {"blocks": [block({"choice": [8, 4]})]}, "limits": limits})
    return str(caught.value)


def test_limits_that_no_network_keeps_are_refused_with_the_least_there_is() -> None:
    assert refusal(max_parameters=97, max_macs=10**6) == (
        "limits.max_parameters: no network of the space has fewer than 98, and the limit is 97; "
        "raise the limit or allow smaller networks"
    )


def test_limits_that_only_different_networks_keep_are_refused() -> None:
    few_parameters = block(2)
    few_macs = {"conv": {"out_channels": 8, "kernel_size": 1, "stride": 4}}
    blocks = {"choice": [[few_parameters], [few_macs]]}
    with pytest.raises(InvalidSpecError) as caught:
        Plan.model_validate(
            {"dataset": "digits", "space": {"blocks": blocks}, "limits": {"max_parameters": 60, "max_macs": 1_000}}
        )
    assert str(caught.value) == (
        "limits: each can be kept, but no network of the space keeps all of them; raise one or allow smaller networks"
    )


def test_a_residual_block_that_comes_later_may_make_more_channels_cheaper() -> None:
    image = {"channels": 1, "height": 8, "width": 8}
    first = {"conv": {"out_channels": {"choice": [30, 32]}, "kernel_size": 1}}
    later = {"kind": "residual", "conv": {"out_channels": 32, "kernel_size": 3, "padding": 1}}
    data = {"input": image, "blocks": [first, later], "classes": 10}
    wide = Network.model_validate({**data, "blocks": [{"conv": {"out_channels": 32, "kernel_size": 1}}, later]})
    space = Space(data, {"parameters": wide.cost.parameters})
    assert space.least("parameters") == wide.cost.parameters


def test_a_hole_too_wide_to_price_is_masked_by_sizes() -> None:
    wide = {"conv": {"out_channels": 4, "kernel_size": {"int": [1, 100]}}}
    data = {"input": {"channels": 1, "height": 8, "width": 8}, "classes": 2, "blocks": [wide]}
    drawn = [Space(data, {"parameters": 10**6}).draw(uniformly(Random(seed))).network for seed in range(50)]
    assert max(network.blocks[0].conv.kernel_size[0] for network in drawn) <= 8

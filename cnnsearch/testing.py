"""Which laws must a kind of block keep? For the tests of those who write one.

    from cnnsearch.testing import check_kind

    def test_my_block_keeps_the_laws():
        check_kind(MyBlock)

They are tried on networks that `strategies.py` makes. Needs the extra `cnnsearch[test]`.
"""

import warnings
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import torch
from hypothesis import HealthCheck, assume, given, settings
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from cnnsearch.blocks import KINDS, Block
from cnnsearch.flow import Flow, Row, Sum, first_sight
from cnnsearch.module import build, make_layer
from cnnsearch.network import Network, through
from cnnsearch.shapes import MisfitError, Shape
from cnnsearch.space import Space
from cnnsearch.strategies import blocks, networks, shapes
from cnnsearch.text import Plain


def promised_shapes_are_those_of_torch(network: Network) -> None:
    """Every map of the module has the size that was promised for it; nothing is computed for that."""
    seen: dict[str, tuple[int, ...]] = {}
    module = _on_meta(network)

    def note(name: str, _part: nn.Module, _maps: object, out: Tensor) -> None:
        seen[name] = tuple(out.shape)

    for name, part in _parts(module).items():
        part.register_forward_hook(partial(note, name))
    with _without_torchs_advice():
        logits_NK = module(_images_NCHW(network.input.shape, "meta"))
    assert {row.place: seen[_name(row)] for row in network.layers} == {
        row.place: (2, *row.shape[: len(seen[_name(row)]) - 1]) for row in network.layers
    }
    assert [seen[f"blocks.{number}"] for number in range(len(network.blocks))] == [(2, *s) for s in network.shapes]
    assert tuple(logits_NK.shape) == (2, network.classes)


def learned_numbers_are_those_of_torch(network: Network) -> None:
    """Every layer has the tensors that were promised, in the order of the data's way, and they add up to the cost."""
    module = _on_meta(network)
    promised = {_name(row): list(row.tensors) for row in network.layers if row.tensors}
    learned: dict[str, list[tuple[int, ...]]] = {}
    for key, parameter in module.named_parameters():
        owner = max((name for name in promised if key.startswith(f"{name}.")), key=len, default=key)
        learned.setdefault(owner, []).append(tuple(parameter.shape))
    assert list(learned.items()) == list(promised.items()), (
        f"{network}: torch learns {learned}, and `tensors` promises {promised}, in the order of the data's way"
    )
    count = sum(parameter.numel() for parameter in module.parameters())
    assert count == network.cost.parameters == sum(row.parameters for row in network.layers), network
    assert network.cost.weight_bytes == 4 * count


def multiply_adds_are_those_of_torch(network: Network) -> None:
    """The multiply-adds are half of what torch's own counter says, and add up to the cost."""
    module = _on_meta(network)
    image_NCHW = _images_NCHW(network.input.shape, "meta")[:1]
    with FlopCounterMode(display=False) as counter, torch.no_grad(), _without_torchs_advice():
        try:
            module(image_NCHW)
        except ValueError:  # without running statistics a batch norm takes no single 1x1 map
            assume(condition=False)
    assert counter.get_total_flops() == 2 * network.cost.macs, (
        f"{network}: torch counts {counter.get_total_flops() // 2:,} multiply-adds, and `macs` promises "
        f"{network.cost.macs:,}; only convolutions and matrix products count"
    )
    assert network.cost.macs == sum(row.macs for row in network.layers)


def what_is_written_is_read_back(network: Network) -> None:
    """Writing and reading is the identity, with and without defaults, and what it computes stays the same."""
    for text in (network.to_json(), network.model_dump_json(), network.model_dump_json(indent=2)):
        again = Network.model_validate_json(text)
        assert again == network
        assert str(again) == str(network)
        assert again.fingerprint == network.fingerprint
    assert Network.model_validate(network.model_dump()) == network


def every_field_may_hold_a_hole(network: Network) -> None:
    """A space that leaves every value open finds the network again."""
    data = network.model_dump(mode="json")
    space = Space({**data, "blocks": _opened(data["blocks"]), "head": _opened(data["head"])})
    assert space.draw(lambda hole: getattr(hole, "low", 0)).network == network


def it_trains(network: Network) -> None:
    """A step forward and backward works in training, reaches every learned number and leaves the images alone."""
    module = build(network).train()
    images_NCHW = _images_NCHW(network.input.shape, "cpu")
    before_NCHW = images_NCHW.clone()
    with _without_torchs_advice():
        logits_NK = module(images_NCHW)
    cast("Any", nn.functional.cross_entropy(logits_NK, torch.zeros(2, dtype=torch.int64))).backward()
    assert [name for name, parameter in module.named_parameters() if parameter.grad is None] == []
    assert torch.equal(images_NCHW, before_NCHW)


def promise_or_refusal_is_torchs(block: Block, shape: Shape) -> None:
    """For any map, the promised shape is the real one, or words and torch both refuse."""
    real = _real_shape(block.flow(shape), shape)
    promised, refusal = _promise(block, shape)
    assert promised == real or refusal.endswith("inplace"), f"torch makes {real}, {promised} was promised {refusal}"


LAWS: tuple[Callable[[Network], None], ...] = (
    promised_shapes_are_those_of_torch,
    learned_numbers_are_those_of_torch,
    multiply_adds_are_those_of_torch,
    what_is_written_is_read_back,
    every_field_may_hold_a_hole,
    it_trains,
)


def check_kind(kind: type[Block], examples: int = 50) -> None:
    """Hold a registered kind of block to every law, on `examples` networks each; raise AssertionError at the first."""
    assert kind in KINDS.values(), f"{kind!r} is no registered kind of block; decorate its class by cnnsearch.register"
    unhurried = (HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large)
    chosen = settings(max_examples=examples, deadline=None, suppress_health_check=unhurried)
    chosen(given(blocks(kind), shapes)(promise_or_refusal_is_torchs))()
    for law in LAWS:
        chosen(given(networks(kind))(law))()


def _on_meta(network: Network) -> nn.Module:
    with torch.device("meta"):
        return build(network).eval()


def _parts(module: nn.Module) -> dict[str, nn.Module]:
    return dict(cast("Iterable[tuple[str, nn.Module]]", module.named_modules()))


def _images_NCHW(shape: Shape, device: str) -> Tensor:  # noqa: N802 (the axes of what it gives)
    return torch.linspace(-1, 1, 2 * shape.numbers, device=device).view(2, *shape)


def _name(row: Row) -> str:
    return row.place.replace("[", ".").replace("]", "")


def _opened(data: Plain) -> Plain:
    if isinstance(data, dict):
        return {key: _opened(value) for key, value in cast("dict[str, Plain]", data).items()}
    if isinstance(data, list) and data:
        return [_opened(value) for value in cast("list[Plain]", data)]
    return {"choice": [cast("Plain", data)]}


def _promise(block: Block, shape: Shape) -> tuple[Shape | None, str]:
    try:
        _, sight = through(block, first_sight(shape), "")
    except MisfitError as error:
        return None, error.field
    return sight.shape, ""


def _real_shape(flow: Flow, shape: Shape) -> Shape | None:
    try:
        with torch.device("meta"), _without_torchs_advice():
            _, *axes = _run(flow, _images_NCHW(shape, "meta")).shape
    except (RuntimeError, ValueError):
        return None
    return Shape(*axes, *[1] * (3 - len(axes)))


def _run(flow: Flow, maps_NCHW: Tensor) -> Tensor:
    for step in flow:
        if isinstance(step.what, Sum):
            ends = [_run(branch, maps_NCHW) for _, branch in step.what.branches]
            if len({end.shape for end in ends}) > 1:
                raise RuntimeError("torch would stretch maps of size 1; we do not")
            maps_NCHW = ends[0]
        else:
            _, *axes = maps_NCHW.shape
            maps_NCHW = make_layer(step.what, Shape(*axes, *[1] * (3 - len(axes)))).eval()(maps_NCHW)
    return maps_NCHW


@contextmanager
def _without_torchs_advice() -> Generator[None]:
    """Silence torch's advice on padding='same' with even kernels; it decides over no law."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Using padding='same' with even kernel")
        yield

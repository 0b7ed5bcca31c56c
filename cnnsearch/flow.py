"""How do layers hang together, and what happens to a map on its way through them?

A flow is a row of named steps. A step is a layer, or a sum of branches that all read the same map. Walking a flow
gives one row for each layer; shapes, costs, tables and modules are all made from these rows or the flow itself.
"""

from math import prod
from typing import NamedTuple

from cnnsearch.layers import Layer
from cnnsearch.shapes import MisfitError, Pair, Shape

BYTES = 4  # of a number in fp32


class Sum(NamedTuple):
    """Branches that read the same map and whose outputs are added; an empty branch is the map itself."""

    branches: "tuple[tuple[str, Flow], ...]"


class Step(NamedTuple):
    """A layer or sum under the name it has in the module; `field` is the block's field that describes it."""

    name: str
    what: Layer | Sum
    field: str = ""


Flow = tuple[Step, ...]


class Row(NamedTuple):
    """One layer (or sum) on the data's way, for one image."""

    place: str
    """As in the state_dict, with the block's number in brackets: blocks[0].conv."""
    kind: str
    shape_in: Shape
    shape: Shape
    tensors: tuple[tuple[int, ...], ...]
    macs: int
    receptive_field: Pair
    """Height and width of the patch of the input on which one of its outputs far from the edges depends; at most the
    input's own size."""
    live_bytes: int
    """fp32 bytes of all maps that exist while it runs."""
    computes: object
    layer: Layer | None
    """None for a sum."""

    @property
    def parameters(self) -> int:
        """Learned numbers."""
        return sum(prod(shape) for shape in self.tensors)


class Sight(NamedTuple):
    """A map as seen from the input: its shape, the patch one number depends on, the pixels from one to the next."""

    shape: Shape
    field: Pair
    jump: Pair
    whole: Pair
    """The input's size, which no patch exceeds."""

    @property
    def bytes(self) -> int:
        """The map's size in fp32."""
        return self.shape.numbers * BYTES


def first_sight(shape: Shape) -> Sight:
    """See the input itself."""
    return Sight(shape, (1, 1), (1, 1), shape.size)


def walk(flow: Flow, sight: Sight, where: str, held: int = 0, shared: int = 0) -> tuple[list[Row], Sight]:
    """Follow a map through `flow`; raise MisfitError whose field is the place where it does not fit.

    Args:
        flow: The steps.
        sight: The map that comes in.
        where: The place of the block, which each row's place begins with.
        held: Bytes of other maps that stay alive meanwhile.
        shared: Bytes of the incoming map if others still need it after the first step has read it.
    """
    rows: list[Row] = []
    for step in flow:
        if isinstance(step.what, Sum):
            new, sight = _walk_sum(step, sight, where, held, shared)
        else:
            new, sight = _walk_layer(step, step.what, sight, where, held)
        rows += new
        if not _is_view((step,)):  # from here on the incoming map is another one than the map at hand
            held, shared = held + shared, 0
    return rows, sight


def _walk_layer(step: Step, layer: Layer, sight: Sight, where: str, held: int) -> tuple[list[Row], Sight]:
    try:
        shape = layer.out(sight.shape)
    except MisfitError as error:
        raise MisfitError(f"{_block(where)}.{step.field or step.name}.{error.field}", error.message) from None
    after = _look_on(layer, sight, shape)
    live = held + sight.bytes + (0 if layer.in_place() or layer.is_view else after.bytes)
    tensors = tuple(layer.tensors(sight.shape).values())
    row = Row(
        f"{where}.{step.name}", type(layer).__name__, sight.shape, shape, tensors, layer.macs(sight.shape),
        after.field, live, layer.computes(sight.shape), layer,
    )  # fmt: skip
    return [row], after


def _block(where: str) -> str:
    """Give the place in the file, which knows of a block but not of the branches it is made of."""
    return where.partition(".")[0]


def _look_on(layer: Layer, sight: Sight, shape: Shape) -> Sight:
    """Widen the receptive field (Araujo, Norris and Sim 2019, doi 10.23915/distill.00021)."""
    if layer.sees_all:
        return sight._replace(shape=shape, field=sight.whole)
    window = layer.window()
    (high, wide), (down, right), whole = window.reach, sight.jump, sight.whole
    field = min(sight.field[0] + (high - 1) * down, whole[0]), min(sight.field[1] + (wide - 1) * right, whole[1])
    return Sight(shape, field, (down * window.stride[0], right * window.stride[1]), whole)


def _walk_sum(step: Step, sight: Sight, where: str, held: int, shared: int) -> tuple[list[Row], Sight]:
    where, total = f"{where}.{step.name}", step.what
    assert isinstance(total, Sum), total
    _refuse_overwriting(total, where)
    is_kept = bool(shared) or any(_is_view(flow) for _, flow in total.branches)
    rows: list[Row] = []
    ends: list[Sight] = []
    computes: list[object] = []
    made = 0
    for number, (name, flow) in enumerate(total.branches):
        needed_later = is_kept or number + 1 < len(total.branches)
        new, end = walk(flow, sight, f"{where}.{name}", held + made, sight.bytes if needed_later else 0)
        made += 0 if _is_view(flow) else end.bytes
        rows += new
        ends.append(end)
        computes.append(tuple(row.computes for row in new if row.computes is not None))
    after = _meet(total, ends, step, where)
    live = held + made + (sight.bytes if is_kept else 0) + after.bytes
    own = Row(where, "Sum", sight.shape, after.shape, (), 0, after.field, live, ("sum", tuple(computes)), None)
    return [*rows, own], after


def _is_view(flow: Flow) -> bool:
    """Say whether a flow gives out its very input."""
    return all(isinstance(step.what, Layer) and step.what.is_view for step in flow)


def _refuse_overwriting(total: Sum, where: str) -> None:
    for name, flow in total.branches:
        first = next((step for step in flow if not _is_view((step,))), None)
        if first and isinstance(first.what, Layer) and first.what.in_place() and len(total.branches) > 1:
            others = ", ".join(other for other, _ in total.branches if other != name)
            law = f"works in place on a map that the branch {others!r} still needs"
            field = f"{_block(where)}.{first.field or first.name}.inplace"
            raise MisfitError(field, f"the first layer of the branch {name!r} {law}; set it to false")


def _meet(total: Sum, ends: list[Sight], step: Step, where: str) -> Sight:
    shapes = {end.shape for end in ends}
    if len(shapes) > 1:
        is_of_size = len({shape.channels for shape in shapes}) == 1  # a space's look ahead knows sizes alone
        told = [f"{end.shape.height}x{end.shape.width}" if is_of_size else f"{end.shape}" for end in ends]
        maps = ", ".join(f"{name} {each}" for (name, _), each in zip(total.branches, told, strict=True))
        place = f"{_block(where)}.{step.field or step.name}"
        way = "pad odd kernels by dilation * (kernel_size - 1)/2, or let the padding be 'same' at stride 1"
        raise MisfitError(place, f"maps of different shape cannot be added ({maps}); {way}")
    field = (max(end.field[0] for end in ends), max(end.field[1] for end in ends))
    return ends[0]._replace(field=field)

"""What may stand open in plain data, and how is it filled? Knows nothing of layers.

A mapping is a hole when it has one of the keys `choice`, `int`, `float` (with `log` and `step`). A list item
`{repeat: N, block: ...}` stands for N items, each of which draws its own values. `read` turns plain data into a tree
of the nodes below; they are hashable, so that what was found out about a part is remembered by the part itself.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple, NoReturn, cast

from cnnsearch.errors import Fault, InvalidSpecError, brief, place
from cnnsearch.text import Plain

MOST_OPTIONS = 4_096
MOST_REPEATS = 64
MOST_NODES = 100_000  # of a tree: about 0.2 s
MOST_NUMBER = 10**15  # in a range; up to here floats hold every integer
HOLE_KEYS = frozenset({"choice", "int", "float", "log", "step"})


class Hole(NamedTuple):
    """Open between options; Optuna is asked for an option's index."""

    name: str
    """Its path in the file: blocks[0].block[1].conv.out_channels."""
    options: "tuple[Node, ...]"
    is_range: bool = False
    """Whether it was written as `int` or `float`, not as `choice`."""
    log: bool = False

    @property
    def lowest(self) -> int:
        """The first number of a range of integers."""
        return to_plain(self.options[0])

    @property
    def ordered(self) -> bool:
        """Whether the options are numbers that only rise."""
        values = [option.value for option in self.options if isinstance(option, Leaf)]
        numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
        return len(numbers) == len(self.options) and numbers == sorted(set(numbers))


class Real(NamedTuple):
    """Open between two numbers, both included."""

    name: str
    low: float
    high: float
    log: bool


class Leaf(NamedTuple):
    """Null, a truth value, a number or a text."""

    value: Plain
    kind: str  # the value's type: 1, 1.0 and true are equal to Python


class Map(NamedTuple):
    """An object."""

    items: "tuple[tuple[str, Node], ...]"


class Row(NamedTuple):
    """A list."""

    items: "tuple[Node, ...]"


class Repeat(NamedTuple):
    """Stands in a list for the first `count` of its items."""

    count: "Node"  # pyright: ignore[reportIncompatibleMethodOverride] (no tuple's own count is used)
    items: "tuple[Node, ...]"


Node = Hole | Real | Leaf | Map | Row | Repeat
Suggest = Callable[[Hole | Real], float]  # a hole's index (an int), or a value
CanFit = Callable[[Node], bool]
Decides = Callable[[Hole], bool]  # whether options of this hole can differ in what `can_fit` says of them


class Filled(NamedTuple):
    """What became of a tree."""

    data: Plain
    asked: dict[str, float]
    """What was suggested for every hole, active or not."""
    built: dict[str, Plain]
    """What stands in the data, for the active holes only: a scalar, or the option in short."""


# Reading


def read(data: Plain, name: str = "") -> Node:
    """Turn plain data with holes into a tree; raise InvalidSpecError where a hole is written wrongly."""
    return _Reader().read(data, name)


class _Reader:
    """Reads one tree, and refuses it while it grows beyond MOST_NODES: repeats and ranges are short to write."""

    def __init__(self) -> None:
        self.nodes = 0

    def read(self, data: Plain, name: str) -> Node:
        """Read any value."""
        self._count(1, name)
        if isinstance(data, dict):
            mapping = cast("dict[str, Plain]", data)
            if mapping.keys() & {"choice", "int", "float"}:
                return self._hole(mapping, name)
            return Map(tuple((key, self.read(value, place(name, key))) for key, value in mapping.items()))
        if isinstance(data, list | tuple):
            items = cast("list[Plain]", data)
            return Row(tuple(self._item(item, f"{name}[{number}]") for number, item in enumerate(items)))
        return Leaf(data, type(data).__name__)

    def _count(self, more: int, name: str) -> None:
        self.nodes += more
        if self.nodes > MOST_NODES:
            law = f"up to here there are more than {MOST_NODES:,} values and options"
            _refuse(name, f"{law}; repeat less, or choose among fewer")

    def _item(self, data: Plain, name: str) -> Node:
        if not isinstance(data, dict) or "repeat" not in data:
            return self.read(data, name)
        mapping = cast("dict[str, Plain]", data)
        if set(mapping) != {"repeat", "block"}:
            _refuse(name, "a repeat has the keys `repeat` (how often) and `block` (what), and no other")
        count = self.read(mapping["repeat"], f"{name}.repeat")
        counts = [option.value for option in _leaves(count)]
        if not counts or any(type(number) is not int or not 0 <= number <= MOST_REPEATS for number in counts):
            must = f"must be a whole number from 0 to {MOST_REPEATS}, or a hole of such"
            _refuse(f"{name}.repeat", f"{must}, not {brief(mapping['repeat'])}")
        blocks = (self._item(mapping["block"], f"{name}.block[{number}]") for number in range(max(counts)))
        return Repeat(count, tuple(blocks))

    def _hole(self, data: Mapping[str, Plain], name: str) -> Hole | Real:
        kinds = data.keys() & {"choice", "int", "float"}
        if len(kinds) > 1 or not data.keys() <= HOLE_KEYS:
            law = "a hole has one of choice, int, float, and with the last two log or step"
            _refuse(name, f"{law}, not {brief(sorted(map(str, data)))}")
        (kind,) = kinds
        return self._choice(data, name) if kind == "choice" else self._range(data, kind, name)

    def _choice(self, data: Mapping[str, Plain], name: str) -> Hole:
        if len(data) > 1 or not isinstance(data["choice"], list) or not data["choice"]:
            _refuse(name, "choice takes a list of at least one option, and neither log nor step")
        options = cast("list[Plain]", data["choice"])
        _refuse_crowd(len(options), name)
        return Hole(name, tuple(self.read(option, f"{name}.choice[{number}]") for number, option in enumerate(options)))

    def _range(self, data: Mapping[str, Plain], kind: str, name: str) -> Hole | Real:
        low, high = _ends(data[kind], kind, name)
        step, log = data.get("step"), data.get("log", False)
        if type(log) is not bool or (log and (low <= 0 or step is not None)):
            law = "needs true or false, a lowest value above 0 and no step"
            _refuse(f"{name}.log", f"{law}, not {brief(log)} from {low}")
        if step is not None and (not _is_number(step, kind) or step <= 0):
            _refuse(f"{name}.step", f"must be a {kind} number above 0, not {brief(step)}")
        if kind == "float" and step is None:
            return Real(name, float(low), float(high), log)
        step = step or 1
        count = int(min((high - low) / step + 1e-9, 2 * MOST_NUMBER)) + 1  # 0.1 steps are inexact
        _refuse_crowd(count, name)
        self._count(count, name)
        values = (low + step * index if kind == "int" else float(low + step * index) for index in range(count))
        return Hole(name, tuple(Leaf(value, kind) for value in values), is_range=True, log=log)


def _ends(data: Plain, kind: str, name: str) -> tuple[float, float]:
    ends = cast("list[Plain]", data) if isinstance(data, list | tuple) else []
    if [_is_number(end, kind) for end in ends] != [True, True] or ends[0] > ends[1]:
        law = f"must be [lowest, highest], two {kind} numbers of at most {MOST_NUMBER:,}"
        _refuse(f"{name}.{kind}", f"{law}, not {brief(cast('object', data))}")
    return ends[0], ends[1]


def _is_number(value: Plain, kind: str) -> bool:
    return type(value) in {int, int if kind == "int" else float} and abs(value) <= MOST_NUMBER


def _leaves(node: Node) -> tuple[Leaf, ...]:
    """Give a scalar, or the options of a hole if all are scalars."""
    nodes = node.options if isinstance(node, Hole) else (node,)
    leaves = tuple(option for option in nodes if isinstance(option, Leaf))
    return leaves if len(leaves) == len(nodes) else ()


def _refuse_crowd(count: int, name: str) -> None:
    if count > MOST_OPTIONS:
        _refuse(name, f"{count:,} options are more than {MOST_OPTIONS:,}; use a larger step, or fewer")


def _refuse(where: str, message: str) -> NoReturn:
    raise InvalidSpecError((Fault(where, message),))


# Looking


class Site(NamedTuple):
    """A hole, and which options of the holes around it make it active."""

    hole: Hole | Real
    needs: dict[str, int]


def sites(node: Node, needs: dict[str, int] | None = None) -> Iterator[Site]:
    """Give every hole of the tree, those inside options and of all repetitions too, in the file's order."""
    needs = needs or {}
    if isinstance(node, Hole | Real):
        yield Site(node, needs)
    if isinstance(node, Hole):
        for index, option in enumerate(node.options):
            if not isinstance(option, Leaf):
                yield from sites(option, {**needs, node.name: index})
    elif isinstance(node, Repeat):
        yield from sites(node.count, needs)
        for number, item in enumerate(node.items):
            yield from sites(item, {**needs, **_enough(node.count, number + 1)})
    elif isinstance(node, Map | Row):
        for child in _children(node):
            yield from sites(child, needs)


@lru_cache(maxsize=16)
def holes_of(node: Node) -> "tuple[Hole | Real, ...]":
    """Give every hole of the tree; remembered, since each draw asks for all of them."""
    return tuple(site.hole for site in sites(node))


def _enough(count: Node, least: int) -> dict[str, int]:
    if not isinstance(count, Hole):
        return {}
    found = (i for i, option in enumerate(count.options) if isinstance(option, Leaf) and option.value >= least)
    return {count.name: next(found)}


def _children(node: Map | Row) -> list[Node]:
    return [child for _, child in node.items] if isinstance(node, Map) else list(node.items)


def fillings(node: Node) -> Iterator[tuple[Node, float]]:
    """Give every filling of a tree with its share among plain uniform draws; a Real is filled by its low end."""
    if isinstance(node, Hole):
        for option in node.options:
            for filled, share in fillings(option):
                yield filled, share / len(node.options)
    elif isinstance(node, Map):
        names = tuple(key for key, _ in node.items)
        for values, share in _products(tuple(child for _, child in node.items)):
            yield Map(tuple(zip(names, values, strict=True))), share
    elif isinstance(node, Row):
        for values, share in _products(node.items):
            yield Row(values), share
    else:
        yield (Leaf(node.low, "float") if isinstance(node, Real) else node), 1.0


def _products(nodes: tuple[Node, ...]) -> Iterator[tuple[tuple[Node, ...], float]]:
    if not nodes:
        yield (), 1.0
        return
    if isinstance(nodes[0], Repeat):
        for count, share in fillings(nodes[0].count):
            for values, rest_share in _products((*nodes[0].items[: to_plain(count)], *nodes[1:])):
                yield values, share * rest_share
        return
    for first, share in fillings(nodes[0]):
        for rest, rest_share in _products(nodes[1:]):
            yield (first, *rest), share * rest_share


def count_fillings(node: Node) -> int:
    """Count what `fillings` would give, without giving it; repeats count every length."""
    if isinstance(node, Hole):
        return sum(count_fillings(option) for option in node.options)
    if isinstance(node, Repeat):
        return sum(_product(node.items[: length.value]) for length in _leaves(node.count))
    return _product(tuple(_children(node))) if isinstance(node, Map | Row) else 1


def _product(nodes: tuple[Node, ...]) -> int:
    product = 1
    for node in nodes:
        product *= count_fillings(node)
    return product


def to_plain(node: Node) -> Plain:
    """Turn a tree without holes back into plain data."""
    if isinstance(node, Map):
        return {key: to_plain(child) for key, child in node.items}
    if isinstance(node, Row):
        return [to_plain(child) for child in node.items]
    assert isinstance(node, Leaf), node
    return node.value


def in_short(node: Node) -> Plain:
    """Name an option: a scalar by itself, anything else as JSON in which holes are a star."""
    if isinstance(node, Leaf):
        return "null" if node.value is None else node.value
    return json.dumps(_starred(node))


def _starred(node: Node) -> Plain:
    if isinstance(node, Map):
        return {key: _starred(child) for key, child in node.items}
    if isinstance(node, Row):
        return [_starred(child) for child in node.items]
    return node.value if isinstance(node, Leaf) else "*"


# Filling


def fill(tree: Node, suggest: Suggest, can_fit: CanFit, decides: Decides = lambda _: True) -> Filled:
    """Ask for every hole, then fill the active ones so that the rest can still fit.

    Index i of n options becomes the one at i * m // n of the m that fit, so that order is kept and the distribution
    under a name never changes. Raises InvalidSpecError where no option fits, which `can_fit(tree)` had excluded.
    """
    asked = {hole.name: suggest(hole) for hole in holes_of(tree)}
    built: dict[str, Plain] = {}
    filled = _fill(tree, lambda node: node, _Way(asked, built, can_fit, decides))
    return Filled(to_plain(filled), asked, built)


class _Way(NamedTuple):
    asked: Mapping[str, float]
    built: dict[str, Plain]
    can_fit: CanFit
    decides: Decides


Put = Callable[[Node], Node]  # gives the whole tree with this node in the place that is being filled


def _fill(node: Node, put: Put, way: _Way) -> Node:
    if isinstance(node, Hole):
        return _fill(_choose(node, put, way), put, way)
    if isinstance(node, Real):
        way.built[node.name] = way.asked[node.name]
        return Leaf(way.asked[node.name], "float")
    if isinstance(node, Map):
        return _fill_map(node, put, way)
    return _fill_row(node, put, way) if isinstance(node, Row) else node


def _choose(hole: Hole, put: Put, way: _Way) -> Node:
    fitting = hole.options
    if way.decides(hole):
        fitting = tuple(option for option in hole.options if way.can_fit(put(option)))
    if not fitting:
        _refuse(hole.name, f"none of its {len(hole.options)} options can fit; allow a smaller window or less pooling")
    index = int(way.asked[hole.name]) * len(fitting) // len(hole.options)
    way.built[hole.name] = in_short(fitting[index])
    return fitting[index]


def _fill_map(node: Map, put: Put, way: _Way) -> Map:
    items = list(node.items)
    for number, (key, child) in enumerate(node.items):
        if isinstance(child, Leaf):
            continue
        before, after = tuple(items[:number]), tuple(items[number + 1 :])
        items[number] = (key, _fill(child, lambda new: put(Map((*before, (key, new), *after))), way))  # noqa: B023 (called at once)
    return Map(tuple(items))


def _fill_row(node: Row, put: Put, way: _Way) -> Row:
    done: tuple[Node, ...] = ()
    rest = node.items
    while rest:
        item, after = rest[0], rest[1:]
        if isinstance(item, Repeat):
            count = _fill(item.count, lambda new: put(Row((*done, item._replace(count=new), *after))), way)  # noqa: B023
            rest = (*item.items[: to_plain(count)], *after)
        else:
            done = (*done, _fill(item, lambda new: put(Row((*done, new, *after))), way))  # noqa: B023
            rest = after
    return Row(done)

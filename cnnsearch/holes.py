"""What may stand open in plain data? Knows nothing of layers.

Plain data with holes is a tree of the nodes below; they are hashable, so that what was found out about a part is
remembered by the part itself. `parse.py` reads such trees, `fill.py` fills them.
"""

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from math import log
from typing import NamedTuple

from cnnsearch.text import Plain


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
    def chances(self) -> list[float]:
        """Give each option's chance when one is drawn blindly: the same, or for log ranges the same per factor.

        >>> three = tuple(Leaf(number, "int") for number in (1, 2, 3))
        >>> [round(chance, 2) for chance in Hole("", three, is_range=True, log=True).chances]
        [0.5, 0.29, 0.21]
        """
        if not self.log:
            return [1 / len(self.options)] * len(self.options)
        end = self.lowest + len(self.options)
        return [log((number + 1) / number, end / self.lowest) for number in range(self.lowest, end)]

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


_REPETITION = re.compile(r"(\.block)\[\d+\]")


def as_written(name: str) -> str:
    """Give the place in the file of a hole or part by its name: repetitions are written once.

    >>> as_written("blocks[0].block[1].conv.out_channels")
    'blocks[0].block.conv.out_channels'
    """
    return _REPETITION.sub(r"\1", name)


def leaves(node: Node) -> tuple[Leaf, ...]:
    """Give a scalar, or the options of a hole if all are scalars."""
    nodes = node.options if isinstance(node, Hole) else (node,)
    leaves = tuple(option for option in nodes if isinstance(option, Leaf))
    return leaves if len(leaves) == len(nodes) else ()


class Site(NamedTuple):
    """A hole, and which options of the holes around it make it active."""

    hole: Hole | Real
    needs: dict[str, int]
    is_later: bool = False
    """Whether it lies in a later repetition than the first, which stands for all that are written alike."""
    is_count: bool = False
    """Whether it says how often something is repeated; its options are numbers then."""


def sites(node: Node, needs: dict[str, int] | None = None, *, is_later: bool = False) -> Iterator[Site]:
    """Give every hole of the tree, those inside options and of all repetitions too, in the file's order."""
    needs = needs or {}
    if isinstance(node, Hole | Real):
        yield Site(node, needs, is_later)
    if isinstance(node, Hole):
        for index, option in enumerate(node.options):
            if not isinstance(option, Leaf):
                yield from sites(option, {**needs, node.name: index}, is_later=is_later)
    elif isinstance(node, Repeat):
        if isinstance(node.count, Hole):
            yield Site(node.count, needs, is_later, is_count=True)
        for number, item in enumerate(node.items):
            yield from sites(item, {**needs, **_enough(node.count, number + 1)}, is_later=is_later or number > 0)
    elif isinstance(node, Map | Row):
        for child in _children(node):
            yield from sites(child, needs, is_later=is_later)


def narrowed(node: Node, chosen: dict[str, int]) -> Node:
    """Put into each hole that is named its chosen option; all other holes stay open."""
    if isinstance(node, Hole) and node.name in chosen:
        return narrowed(node.options[chosen[node.name]], chosen)
    if isinstance(node, Hole):
        return node._replace(options=tuple(narrowed(option, chosen) for option in node.options))
    if isinstance(node, Map):
        return Map(tuple((key, narrowed(child, chosen)) for key, child in node.items))
    if isinstance(node, Row):
        return Row(tuple(narrowed(item, chosen) for item in node.items))
    if isinstance(node, Repeat):
        return Repeat(narrowed(node.count, chosen), tuple(narrowed(item, chosen) for item in node.items))
    return node


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
    """Give every filling of a tree with its share among plain random draws; a Real is filled by its low end."""
    if isinstance(node, Hole):
        for option, chance in zip(node.options, node.chances, strict=True):
            for filled, share in fillings(option):
                yield filled, share * chance
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
        return sum(_product(node.items[: length.value]) for length in leaves(node.count))
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

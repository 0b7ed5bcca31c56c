"""How is a tree with holes filled, so that the rest can still fit?"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from cnnsearch.errors import Fault, InvalidSpecError
from cnnsearch.holes import Hole, Leaf, Map, Node, Real, Repeat, Row, holes_of, in_short, to_plain
from cnnsearch.text import Plain

Suggest = Callable[[Hole | Real], float]  # a hole's index (an int), or a value
CanFit = Callable[[Node], bool]
Ahead = Callable[[Hole], CanFit | None]  # who says what may become of a hole's options; None: it does not matter


class Filled(NamedTuple):
    """What became of a tree."""

    data: Plain
    asked: dict[str, float]
    """What was suggested for every hole, active or not."""
    built: dict[str, Plain]
    """What stands in the data, for the active holes only: a scalar, or the option in short."""


def fill(tree: Node, suggest: Suggest, ahead: Ahead = lambda _: None) -> Filled:
    """Ask for every hole, then fill the active ones so that the rest can still fit.

    Index i of n options becomes the one at i * m // n of the m that fit, so that order is kept and the distribution
    under a name never changes. Raises InvalidSpecError where no option fits.
    """
    asked = {hole.name: suggest(hole) for hole in holes_of(tree)}
    built: dict[str, Plain] = {}
    filled = _fill(tree, lambda node: node, _Way(asked, built, ahead))
    return Filled(to_plain(filled), asked, built)


class _Way(NamedTuple):
    asked: Mapping[str, float]
    built: dict[str, Plain]
    ahead: Ahead


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
    if can_fit := way.ahead(hole):
        fitting = tuple(option for option in hole.options if can_fit(put(option)))
    if not fitting:
        law = f"none of its {len(hole.options)} options can fit"
        raise InvalidSpecError((Fault(hole.name, f"{law}; allow a smaller window or less pooling"),))
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

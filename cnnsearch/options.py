"""Is every option of every hole valid by itself?

Each option is put into otherwise complete data and checked by the word that will read it; only faults at or below the
option count. Laws between fields are the look ahead's business: an option may break one here and keep it elsewhere. So
is the length of a list in which something is repeated an open number of times.
"""

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from cnnsearch.errors import Fault, InvalidSpecError, faults_of, join, place
from cnnsearch.holes import Hole, Leaf, Map, Node, Real, Repeat, Row, Site, sites
from cnnsearch.text import Plain

Validate = Callable[[Plain], object]
_LATER_REPETITION = re.compile(r"\.block\[[1-9]")  # the first stands for all


def check(tree: Node, validate: Validate, where: str = "") -> None:
    """Raise InvalidSpecError with every fault of a fixed part and of an option, under its place in the file.

    `where` is the place of the tree itself, with which its holes' names begin.
    """
    faults = [fault._replace(place=join(where, fault.place)) for fault in _fixed_faults(tree, validate)]
    for site in sites(tree):
        if not _LATER_REPETITION.search(site.hole.name):
            faults += _option_faults(tree, site, validate)
    if faults:
        raise InvalidSpecError(tuple(dict.fromkeys(faults)))


def _fixed_faults(tree: Node, validate: Validate) -> Iterator[Fault]:
    data, places, open_lists = pick(tree, {})
    for fault in faults_of(partial(validate, data)):
        within_hole = any(_within(fault.place, where) for where in places.values())
        if fault.scope == "field" and not within_hole and fault.place not in open_lists:
            yield fault


def _option_faults(tree: Node, site: Site, validate: Validate) -> Iterator[Fault]:
    hole = site.hole
    for index in _worth_checking(hole):
        data, places, open_lists = pick(tree, {**site.needs, hole.name: index})
        where = places.get(hole.name)
        if where is None:  # how often a block is repeated: checked when it was read
            return
        concrete = isinstance(hole, Hole) and not list(sites(hole.options[index]))
        for fault in faults_of(partial(validate, data)):
            counts = fault.scope == "field" or (fault.scope == "word" and concrete and fault.place != where)
            elsewhere = _in_inner_hole(fault.place, where, places) or fault.place in open_lists
            if counts and _within(fault.place, where) and not elsewhere:
                yield fault._replace(place=_option_place(hole, index) + fault.place[len(where) :])


def _worth_checking(hole: Hole | Real) -> list[int]:
    if isinstance(hole, Real):
        return [0, 1]
    last = len(hole.options) - 1
    return sorted({0, last}) if hole.is_range else list(range(last + 1))


def _option_place(hole: Hole | Real, index: int) -> str:
    if isinstance(hole, Hole) and not hole.is_range:
        return f"{hole.name}.choice[{index}]"
    return hole.name


def _within(where: str, outer: str) -> bool:
    return where == outer or where.startswith((f"{outer}.", f"{outer}["))


def _in_inner_hole(where: str, outer: str, places: dict[str, str]) -> bool:
    """Leave to an inner hole's own check what lies within it."""
    return any(inner != outer and _within(inner, outer) and _within(where, inner) for inner in places.values())


class Picked(NamedTuple):
    """Data in which every hole is filled."""

    data: Plain
    places: dict[str, str]
    """Where each hole lies in it."""
    open_lists: set[str]
    """Where the lists lie in which something is repeated an open number of times."""


def pick(tree: Node, chosen: dict[str, int]) -> Picked:
    """Fill every hole with its chosen option, else its first."""
    picked = Picked(None, {}, set())
    return picked._replace(data=_pick(tree, chosen, "", picked))


def _pick(node: Node, chosen: dict[str, int], where: str, picked: Picked) -> Plain:
    if isinstance(node, Hole | Real):
        picked.places[node.name] = where
        index = chosen.get(node.name, 0)
        return (
            (node.low, node.high)[index]
            if isinstance(node, Real)
            else _pick(node.options[index], chosen, where, picked)
        )
    if isinstance(node, Map):
        return {key: _pick(child, chosen, place(where, key), picked) for key, child in node.items}
    if isinstance(node, Row):
        items = _spliced(node.items, chosen)
        if any(isinstance(item, Repeat) and not isinstance(item.count, Leaf) for item in node.items):
            picked.open_lists.add(where)
        return [_pick(item, chosen, f"{where}[{number}]", picked) for number, item in enumerate(items)]
    assert isinstance(node, Leaf), node
    return node.value


def _spliced(items: tuple[Node, ...], chosen: dict[str, int]) -> list[Node]:
    flat: list[Node] = []
    for item in items:
        if isinstance(item, Repeat):
            flat += _spliced(item.items[: pick(item.count, chosen).data], chosen)
        else:
            flat.append(item)
    return flat

"""Is every option of every hole valid by itself?

Each option is put into otherwise complete data and checked by the word that will read it; only faults at or below the
option count. Laws between fields are the look ahead's business: an option may break one here and keep it elsewhere.
"""

import re
from collections.abc import Callable, Iterator
from functools import partial

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
    data, places = pick(tree, {})
    for fault in faults_of(partial(validate, data)):
        if fault.scope == "field" and not any(_within(fault.place, where) for where in places.values()):
            yield fault


def _option_faults(tree: Node, site: Site, validate: Validate) -> Iterator[Fault]:
    hole = site.hole
    for index in _worth_checking(hole):
        data, places = pick(tree, {**site.needs, hole.name: index})
        where = places.get(hole.name)
        if where is None:  # how often a block is repeated: checked when it was read
            return
        concrete = isinstance(hole, Hole) and not list(sites(hole.options[index]))
        for fault in faults_of(partial(validate, data)):
            counts = fault.scope == "field" or (fault.scope == "word" and concrete and fault.place != where)
            if counts and _within(fault.place, where) and not _in_inner_hole(fault.place, where, places):
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


def pick(tree: Node, chosen: dict[str, int]) -> tuple[Plain, dict[str, str]]:
    """Fill every hole with its chosen option, else its first; give the data and where each hole lies in it."""
    places: dict[str, str] = {}
    return _pick(tree, chosen, "", places), places


def _pick(node: Node, chosen: dict[str, int], where: str, places: dict[str, str]) -> Plain:
    if isinstance(node, Hole | Real):
        places[node.name] = where
        index = chosen.get(node.name, 0)
        return (
            (node.low, node.high)[index]
            if isinstance(node, Real)
            else _pick(node.options[index], chosen, where, places)
        )
    if isinstance(node, Map):
        return {key: _pick(child, chosen, place(where, key), places) for key, child in node.items}
    if isinstance(node, Row):
        items = _spliced(node.items, chosen)
        return [_pick(item, chosen, f"{where}[{number}]", places) for number, item in enumerate(items)]
    assert isinstance(node, Leaf), node
    return node.value


def _spliced(items: tuple[Node, ...], chosen: dict[str, int]) -> list[Node]:
    flat: list[Node] = []
    for item in items:
        if isinstance(item, Repeat):
            count, _ = pick(item.count, chosen)
            flat += _spliced(item.items[:count], chosen)
        else:
            flat.append(item)
    return flat

"""Is every option of every hole valid by itself?

Each option is put into otherwise complete data and checked by the word that will read it; only faults at or below the
option count. Laws between fields are the look ahead's business: an option may break one here and keep it elsewhere. So
are how many blocks there are, and the lists within them; any other list must keep its length where most is repeated.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import count, repeat
from typing import NamedTuple

from cnnsearch.errors import Fault, InvalidSpecError, faults_of, join, place
from cnnsearch.holes import Hole, Leaf, Map, Node, Real, Repeat, Row, Site, as_written, leaves, sites
from cnnsearch.parse import MisreadError, read
from cnnsearch.text import Plain

Validate = Callable[[Plain], object]
_BY_ITSELF = {"field", "length"}  # scopes that a law between fields has not
_BOUNDARY = re.compile(r"(?=[.\[]|$)")  # where a place's outer ones end


def checked(data: Plain, validate: Validate, where: str = "") -> Node:
    """Read plain data with holes and check it; raise InvalidSpecError with every fault of either kind."""
    try:
        tree = read(data, where)
    except MisreadError as error:
        wrong = [fault.place for fault in error.faults]
        others = faults_of(partial(check, error.tree, validate, where))
        apart = (each for each in others if not any(_within(each.place, at) or _within(at, each.place) for at in wrong))
        raise InvalidSpecError((*error.faults, *apart)) from None
    check(tree, validate, where)
    return tree


def check(tree: Node, validate: Validate, where: str = "") -> None:
    """Raise InvalidSpecError with every fault of a fixed part and of an option, under its place in the file.

    `where` is the place of the tree itself, with which its holes' names begin.
    """
    faults = [fault._replace(place=join(where, fault.place)) for fault in _fixed_faults(tree, validate)]
    for site in sites(tree):
        if not site.is_later:
            faults += _option_faults(tree, site, validate)
    faults += _length_faults(tree, validate, where)
    if faults:
        raise InvalidSpecError(tuple(dict.fromkeys(faults)))


def _fixed_faults(tree: Node, validate: Validate) -> Iterator[Fault]:
    picked = pick(tree, {})
    for fault in faults_of(partial(validate, picked.data)):
        if fault.scope in _BY_ITSELF and not picked.is_within_hole(fault.place) and not picked.leaves_open(fault):
            yield fault._replace(place=picked.as_written(fault.place))


def _length_faults(tree: Node, validate: Validate, where: str) -> Iterator[Fault]:
    counts = [site for site in sites(tree) if site.is_count and not _within(site.hole.name, "blocks")]
    most = {site.hole.name: _longest(site.hole) for site in counts if isinstance(site.hole, Hole)}
    for site in counts:
        picked = pick(tree, {**site.needs, **most})
        for fault in faults_of(partial(validate, picked.data)):
            if picked.leaves_open(fault):
                at = picked.as_written(fault.place)
                yield fault._replace(place=at if picked.is_within_hole(fault.place) else join(where, at))


def _longest(count: Hole) -> int:
    lengths = [leaf.value for leaf in leaves(count)]
    return lengths.index(max(lengths))


def _option_faults(tree: Node, site: Site, validate: Validate) -> list[Fault]:
    """Give the faults of a hole's options; one that all of several options have for themselves is the hole's."""
    hole = site.hole
    of_each = [(_option_place(hole, index), _faults_of_option(tree, site, index, validate)) for index in _tried(hole)]
    shared = set[str].intersection(*({each.message for each in of if each.place == where} for where, of in of_each))
    return [
        fault._replace(place=as_written(hole.name))
        if len(of_each) > 1 and fault.place == where and fault.message in shared
        else fault
        for where, of in of_each
        for fault in of
    ]


def _faults_of_option(tree: Node, site: Site, index: int, validate: Validate) -> list[Fault]:
    hole = site.hole
    picked = pick(tree, {**site.needs, hole.name: index})
    where = picked.places.get(hole.name)
    if where is None:  # how often something is repeated: checked when it was read
        return []
    concrete = isinstance(hole, Hole) and not list(sites(hole.options[index]))
    found: list[Fault] = []
    for fault in faults_of(partial(validate, picked.data)):
        counts = fault.scope in _BY_ITSELF or (fault.scope == "word" and concrete and fault.place != where)
        elsewhere = _in_inner_hole(fault.place, where, picked.places) or picked.leaves_open(fault)
        if counts and _within(fault.place, where) and not elsewhere:
            found.append(fault._replace(place=picked.as_written(fault.place)))
    return found


def _tried(hole: Hole | Real) -> list[int]:
    if isinstance(hole, Real):
        return [0, 1]
    last = len(hole.options) - 1
    return sorted({0, last}) if hole.is_range else list(range(last + 1))


def _option_place(hole: Hole | Real, index: int) -> str:
    if isinstance(hole, Hole) and not hole.is_range:
        return as_written(f"{hole.name}.choice[{index}]")
    return as_written(hole.name)


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
    written: dict[str, str]
    """Of what lies elsewhere in it than in the file the place there: options, and what stands at or behind a repeat."""

    def leaves_open(self, fault: Fault) -> bool:
        """Say whether it is the length of a list that is not known yet."""
        return fault.scope == "length" and fault.place in self.open_lists

    def is_within_hole(self, where: str) -> bool:
        """Say whether it lies in an option: a hole's name has the place of the tree itself before it."""
        return any(_within(where, hole) for hole in self.places.values())

    def as_written(self, where: str) -> str:
        """Give the place in the file of what lies here."""
        ends = [boundary.start() for boundary in _BOUNDARY.finditer(where)]
        known = next((end for end in reversed(ends) if where[:end] in self.written), None)
        return where if known is None else self.written[where[:known]] + where[known:]


def pick(tree: Node, chosen: dict[str, int]) -> Picked:
    """Fill every hole with its chosen option, else its first."""
    picked = Picked(None, {}, set(), {})
    return picked._replace(data=_pick(tree, chosen, "", "", picked))


def _pick(node: Node, chosen: dict[str, int], where: str, written: str, picked: Picked) -> Plain:
    if where != written:
        picked.written[where] = written
    if isinstance(node, Hole | Real):
        picked.places[node.name] = where
        index = chosen.get(node.name, 0)
        picked.written[where] = _option_place(node, index)
        if isinstance(node, Real):
            return (node.low, node.high)[index]
        return _pick(node.options[index], chosen, where, picked.written[where], picked)
    if isinstance(node, Map):
        return {key: _pick(child, chosen, place(where, key), place(written, key), picked) for key, child in node.items}
    if isinstance(node, Row):
        if any(isinstance(item, Repeat) and not isinstance(item.count, Leaf) for item in node.items):
            picked.open_lists.add(where)
        items = _spliced(node.items, chosen, (f"{written}[{number}]" for number in count()))
        return [
            _pick(item, chosen, f"{where}[{number}]", source, picked) for number, (item, source) in enumerate(items)
        ]
    assert isinstance(node, Leaf), node
    return node.value


def _spliced(items: Iterable[Node], chosen: dict[str, int], sources: Iterable[str]) -> Iterator[tuple[Node, str]]:
    """Give the items with their places in the file; a repeat gives so many of its own, all from one place.

    Where nobody chose how many it gives one, also where it may be none: what is wrong in it shall be seen.
    """
    for item, source in zip(items, sources, strict=False):
        if isinstance(item, Repeat):
            is_open = isinstance(item.count, Hole) and item.count.name not in chosen
            times = 1 if is_open else pick(item.count, chosen).data
            yield from _spliced(item.items[:times], chosen, repeat(f"{source}.block"))
        else:
            yield item, source

"""May a partly filled network still become one that keeps the limits? An exact search over maps, memoised.

Parameters and multiply-adds add up over the blocks, and of the maps alive at once the greatest count; so what the rest
of a network costs at least depends on the map that comes in and on what is still open. With several limits the rests
are remembered that no other one beats in all of them.

Of an open number of channels the fewest cost the least; so no others are tried, unless channels decide over what fits
(groups, kinds of one's own), or a residual block stands in the space: one that has as many channels as come in is
spared its shortcut. Where that would take too long, nothing is said, and a network over a limit is turned away when it
is drawn.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from pydantic_core import PydanticCustomError

from cnnsearch.blocks import KINDS, Plain, Residual, Separable
from cnnsearch.cost import total
from cnnsearch.fit import MOST_REMEMBERED, LookAhead, as_block, bare, blocks_of, kinds_of, lists_of
from cnnsearch.flow import Row, first_sight, walk
from cnnsearch.holes import Hole, Leaf, Map, Node, Repeat, count_fillings, fillings, to_plain
from cnnsearch.network import MOST_BLOCKS, Head, through
from cnnsearch.shapes import MisfitError, Shape

MOST_FILLINGS = 500  # of one block or head: each is priced for every map that may come in, in about 0.1 ms
MOST_PRICED = 5_000
MOST_OPTIONS = 64  # of a hole; each is looked at in every draw, in about 0.02 ms
_FREE = frozenset({"eps", "momentum", "track_running_stats", "dropout"})
_OURS = {Plain, Residual, Separable}

Bill = tuple[int, ...]  # what is limited, in the order of the limits


class _TooLargeError(Exception):
    """The search would take too long."""


class _Rest(NamedTuple):
    """What is still to come, by the numbers under which its nodes are known, and the map that comes in."""

    items: tuple[int, ...]
    head: int
    classes: int
    shape: Shape
    number: int
    """Blocks so far."""


class CostAhead:
    """Answers for one space and its limits, and remembers what it found out."""

    def __init__(self, tree: Map, sizes: LookAhead, most: Mapping[str, int]) -> None:
        """Take the limits by the names of `Cost`."""
        self.limits = tuple(most)
        self.nothing: Bill = (0,) * len(most)
        self._most = tuple(most.values())
        self._greatest = tuple(name == "activation_bytes" for name in most)
        self._sizes = sizes
        self._may_spare = any(KINDS.get(str(kind)) is Residual for kind in kinds_of(tree))
        """Whether more channels can cost less."""
        self._is_ours = all(KINDS.get(str(kind)) in _OURS for kind in kinds_of(tree))
        self._forget()
        self._priced = 0
        self._all: tuple[Bill, ...] = ()
        self.is_known = bool(most) and self._is_small(tree)
        """Whether the search is short enough to be made."""
        self.is_hopeless = self.is_known and not self._all
        """Whether nothing in the space keeps all limits."""

    @property
    def least(self) -> int:
        """Give the least of the first limited cost; 0 where it is not known."""
        return min((bill[0] for bill in self._all), default=0)

    def can_fit(self, tree: Node) -> bool:
        """Say whether some filling of the open holes keeps all limits."""
        if len(self._nodes) > MOST_REMEMBERED:
            self._forget()
        return any(self._rest(begin) for begin in self._begin(tree))

    def decides(self, hole: Hole) -> bool:
        """Say whether a hole's options can differ in what they cost."""
        key = hole.name.replace("[", ".").split(".")[-1]
        return (not self._is_ours or key not in _FREE) and len(hole.options) <= MOST_OPTIONS

    def _is_small(self, tree: Map) -> bool:
        parts = dict(tree.items)
        blocks = (block for row, _ in lists_of(parts["blocks"]) for block in blocks_of(row))
        if any(count_fillings(self._thin(node)) > MOST_FILLINGS for node in (*blocks, _head_of(parts))):
            return False
        try:
            self._all = self._front(bill for begin in self._begin(tree) for bill in self._rest(begin))
        except _TooLargeError:
            return False
        self._priced = -1  # what follows are parts of the same, or a few maps more
        return True

    def _begin(self, tree: Node) -> Iterator[_Rest]:
        assert isinstance(tree, Map), tree
        parts = dict(tree.items)
        head = self._known_as(_head_of(parts))
        classes = parts["classes"]
        fewest = (
            classes.value if isinstance(classes, Leaf) else min(to_plain(filled) for filled, _ in fillings(classes))
        )
        for row, _ in lists_of(parts["blocks"]):
            items = tuple([self._known_as(item) for item in row.items])
            for start in self._sizes.starts(parts["input"]):
                yield _Rest(items, head, fewest, start, 0)

    def _rest(self, rest: _Rest) -> tuple[Bill, ...]:
        """Give the cheapest ways to go on, within the limits."""
        if rest not in self._rests:
            self._rests[rest] = self._front(self._ways(rest))
        return self._rests[rest]

    def _ways(self, rest: _Rest) -> Iterator[Bill]:
        if not rest.items:
            yield from self._heads(rest) if 0 < rest.number <= MOST_BLOCKS else ()
            return
        first, later = self._nodes[rest.items[0]], rest.items[1:]
        if isinstance(first, Repeat):
            repeated = tuple(map(self._known_as, first.items))
            for count, _ in fillings(first.count):
                yield from self._rest(rest._replace(items=(*repeated[: to_plain(count)], *later)))
            return
        for shape, bills in self._block(rest.items[0], rest.shape):
            after = rest._replace(items=later, shape=shape, number=rest.number + 1)
            yield from (self.sum(bill, more) for more in self._rest(after) for bill in bills)

    def _heads(self, rest: _Rest) -> tuple[Bill, ...]:
        key = (rest.head, rest.classes, rest.shape)
        if key not in self._ends:
            found = (
                Head.model_validate(to_plain(filled)) for filled, _ in fillings(self._thin(self._nodes[rest.head]))
            )
            self._ends[key] = self._front(self._bill_of_head(head, rest) for head in found)
        return self._ends[key]

    def _bill_of_head(self, head: Head, rest: _Rest) -> Bill:
        rows, _ = walk(head.flow(rest.classes), first_sight(rest.shape), "head")
        return self.bill(rows)

    def _block(self, known_as: int, shape: Shape) -> tuple[tuple[Shape, tuple[Bill, ...]], ...]:
        """Give the maps that a block can make of one, and the cheapest ways to each."""
        key = (known_as, shape)
        if key not in self._blocks:
            found: dict[Shape, list[Bill]] = {}
            for filled, _ in fillings(self._thin(self._nodes[known_as])):
                if step := self._step(filled, shape):
                    found.setdefault(step[0], []).append(step[1])
            self._blocks[key] = tuple((out, self._front(bills)) for out, bills in found.items())
        return self._blocks[key]

    def _step(self, filled: Node, shape: Shape) -> tuple[Shape, Bill] | None:
        key = (filled, shape)
        if key not in self._steps:
            self._count()
            try:
                rows, sight = through(as_block(filled), first_sight(shape), "")
                self._steps[key] = sight.shape, self.bill(rows)
            except (MisfitError, PydanticCustomError):  # a law of sizes, or one between fields
                self._steps[key] = None
        return self._steps[key]

    def _count(self) -> None:
        if self._priced >= 0:
            self._priced += 1
        if self._priced > MOST_PRICED:
            raise _TooLargeError

    def _thin(self, node: Node) -> Node:
        """Close what costs nothing, and leave of the numbers of channels those that can be cheapest."""
        if not self._is_ours:
            return node
        closed = bare(node, _FREE)
        return closed if self._sizes.needs_channels or self._may_spare else _with_fewest(closed)

    # Bills

    def bill(self, rows: Iterable[Row]) -> Bill:
        """Give what layers cost of what is limited."""
        cost = total(rows)
        return tuple(getattr(cost, name) for name in self.limits)

    def sum(self, one: Bill, other: Bill) -> Bill:
        """Give what comes together of two parts of a network."""
        return tuple(
            max(a, b) if is_greatest else a + b for a, b, is_greatest in zip(one, other, self._greatest, strict=True)
        )

    def keeps(self, bill: Bill) -> bool:
        """Say whether nothing is over its limit."""
        return _is_within(bill, self._most)

    def _front(self, bills: Iterable[Bill]) -> tuple[Bill, ...]:
        """Leave out what exceeds a limit, and what another beats or equals in all."""
        front: list[Bill] = []
        for bill in sorted(set(bills)):
            if self.keeps(bill) and not any(_is_within(better, bill) for better in front):
                front.append(bill)
        return tuple(front)

    # Remembering

    def _known_as(self, node: Node) -> int:
        """Number a node: numbers are quicker to look up than trees, and most nodes are the same objects again."""
        held = self._held.get(id(node))
        if held is None:
            held = self._held[id(node)] = node, self._numbers.setdefault(node, len(self._numbers))
            if held[1] == len(self._nodes):
                self._nodes.append(node)
        return held[1]

    def _forget(self) -> None:
        self._held: dict[int, tuple[Node, int]] = {}
        self._numbers: dict[Node, int] = {}
        self._nodes: list[Node] = []
        self._rests: dict[_Rest, tuple[Bill, ...]] = {}
        self._ends: dict[tuple[int, int, Shape], tuple[Bill, ...]] = {}
        self._blocks: dict[tuple[int, Shape], tuple[tuple[Shape, tuple[Bill, ...]], ...]] = {}
        self._steps: dict[tuple[Node, Shape], tuple[Shape, Bill] | None] = {}


def _is_within(bill: Bill, most: Bill) -> bool:
    return all(part <= limit for part, limit in zip(bill, most, strict=True))


def _head_of(parts: Mapping[str, Node]) -> Node:
    return parts.get("head", Map(()))


def _with_fewest(node: Node) -> Node:
    """Leave of open numbers of channels the fewest."""
    if isinstance(node, Map):
        return Map(tuple(
            (key, _fewest(child) if key == "out_channels" else _with_fewest(child))
            for key, child in node.items
        ))  # fmt: skip
    if isinstance(node, Hole):
        return node._replace(options=tuple(_with_fewest(option) for option in node.options))
    return node


def _fewest(node: Node) -> Node:
    if not isinstance(node, Hole):
        return node
    least = min(to_plain(filled) for filled, _ in fillings(node))
    return node._replace(options=(Leaf(least, "int"),))

"""How large is a space: how many distinct networks, and what share of plain random draws fits?

Exact by dynamic programming over map sizes: what lies behind a block depends only on the size it leaves. Where that
would take too long, both are estimated from plain uniform draws, and said to be.
"""

import random
from collections.abc import Callable, Iterable, Iterator
from itertools import takewhile
from math import log10, sqrt
from typing import NamedTuple

from pydantic_core import PydanticCustomError

from cnnsearch.afford import Bill, CostAhead
from cnnsearch.fit import as_block, kinds_of, lists_of
from cnnsearch.flow import Row as FlowRow
from cnnsearch.flow import first_sight, walk
from cnnsearch.holes import Map, Node, Real, Repeat, count_fillings, fillings, sites, to_plain
from cnnsearch.network import MOST_BLOCKS, Head, Input, through
from cnnsearch.recipe import Recipe
from cnnsearch.shapes import MisfitError, Shape
from cnnsearch.space import Space, uniformly
from cnnsearch.units import counted

MOST_WALKS = 6_000  # about 0.3 s
SAMPLE = 1_000
MOST_ROUNDED = 10**300


class Size(NamedTuple):
    """What a space holds."""

    networks: int
    """Distinct by what they compute; holes between real numbers count as one value each."""
    share: float
    """Of plain uniform draws, those that fit: what is spared by looking ahead."""
    spread: float
    """Half a 95 % interval of `share`; 0 where counted exactly."""
    reals: tuple[str, ...]
    """The holes that hold endlessly many values."""

    @property
    def is_exact(self) -> bool:
        """Whether it was counted, not estimated."""
        return self.spread == 0

    def __str__(self) -> str:
        endless = f", times any value of {', '.join(self.reals)}" if self.reals else ""
        if self.is_exact:
            networks = counted(self.networks, "distinct network", "distinct networks")
            return f"{networks}{endless}; {self.share:.1%} of plain random draws fit (exact)"
        share = f"{self.share:.1%} ± {self.spread:.1%} of plain random draws fit"
        return f"about {_rounded(self.networks)} networks{endless}; {share} (estimated from {SAMPLE:,} draws)"


def _rounded(count: int) -> str:
    """Write two digits, or the power of ten alone of what is too large for a float."""
    return f"{count:.2g}" if count < MOST_ROUNDED else f"10^{int(log10(count))}"


class _Way(NamedTuple):
    """What fillings of a block that compute the same have in common."""

    out: Shape | None
    """None where they do not fit."""
    chance: float
    bill: Bill
    """The least in each, where they differ in the memory that they need."""


class _TooLargeError(Exception):
    """The exact count would take too long."""


def size(space: Space) -> Size:
    """Count, or estimate where counting would take too long."""
    reals = tuple(hole.name for hole in space.holes if isinstance(hole, Real))
    try:
        count = _Count(space)
        return Size(count.networks(), count.share(), 0.0, reals)
    except _TooLargeError:
        return _estimate(space, reals)


def _estimate(space: Space, reals: tuple[str, ...]) -> Size:
    suggest = uniformly(random.Random(0))  # noqa: S311 (no secret)
    fitting = sum(space.draw_blindly(suggest) is not None for _ in range(SAMPLE))
    share = fitting / SAMPLE
    spread = 1.96 * sqrt(max(share * (1 - share), 1 / SAMPLE) / SAMPLE)
    networks = count_fillings(space.tree) * max(fitting, 1) // SAMPLE
    return Size(networks, share, spread, reals)


Tokens = tuple[object, ...]  # what layers compute, one after the other; None is the end of a network


class _State(NamedTuple):
    """Where one is in writing a network down, layer by layer."""

    written: Tokens
    """What is still to be written of the block that was begun."""
    items: tuple[Node, ...] | None
    """The blocks behind it; None where the head was begun."""
    shape: Shape
    number: int
    """Blocks so far."""
    bill: Bill
    """What they cost of what is limited."""


class _Count:
    """Counts one space; what several fillings write alike counts once.

    Lists of blocks and repeats may have the same network in common, so networks are counted as the words of an
    automaton are: by all the states together that the layers so far may have led to. With `costs`, only what keeps the
    limits counts.
    """

    def __init__(self, space: Space, costs: CostAhead | None = None) -> None:
        # A shortcut, or a depthwise convolution, is another layer for other channels, though it has the same size.
        is_plain = kinds_of(space.tree) <= {"plain"}
        self.reduced: Callable[[Shape], Shape] = space.ahead.reduced if is_plain and not costs else Shape._make
        self.most = MOST_WALKS if is_plain or costs else MOST_WALKS // 4  # such blocks have more layers to walk over
        self.costs = costs or CostAhead(Map(()), space.ahead, {})
        self.walks = 0
        self.steps: dict[tuple[Node, Shape], dict[Tokens, _Way]] = {}
        self.shares: dict[tuple[tuple[Node, ...], Shape, int], float] = {}
        self.words: dict[frozenset[_State], int] = {}
        assert isinstance(space.tree, Map), space.tree
        self.parts = dict(space.tree.items)
        self.classes = min(to_plain(filled) for filled, _ in fillings(self.parts["classes"]))
        self.lists = list(lists_of(self.parts["blocks"]))

    def share(self) -> float:
        """Add up the chances of what fits, over every input and every list of blocks."""
        return sum(
            chance * row_chance * self._share(row.items, self.reduced(_shape(filled)), 0)
            for filled, chance in fillings(self.parts["input"])
            for row, row_chance in self.lists
        )

    def networks(self) -> int:
        """Add up the distinct networks over every input and number of classes."""
        classes = {filled for filled, _ in fillings(self.parts["classes"])}
        inputs = {_shape(filled) for filled, _ in fillings(self.parts["input"])}
        starts = (
            [_State((), row.items, self.reduced(shape), 0, self.costs.nothing) for row, _ in self.lists]
            for shape in inputs
        )
        return len(classes) * sum(self._words(states) for states in starts)

    def _share(self, items: tuple[Node, ...], shape: Shape, number: int) -> float:
        if not items:
            return float(0 < number <= MOST_BLOCKS)
        key = (items, shape, number)
        if key not in self.shares:
            first, rest = items[0], items[1:]
            if isinstance(first, Repeat):
                ways = _lengths(first).items()
                parts = (chance * self._share((*first.items[:length], *rest), shape, number) for length, chance in ways)
            else:
                outs = self._outs(first, shape).values()
                parts = (way.chance * self._share(rest, way.out, number + 1) for way in outs if way.out)
            self.shares[key] = sum(parts)
        return self.shares[key]

    def _words(self, states: Iterable[_State]) -> int:
        """Count the distinct ways to go on from any of these states."""
        begun = _without_common_beginning(states)
        if any(state.items is None and not state.written for state in begun):
            return 1
        if begun not in self.words:
            if len(self.words) > self.most:
                raise _TooLargeError
            followers: dict[object, set[_State]] = {}
            for state in begun:
                for after in self._begin(state):
                    followers.setdefault(after.written[0], set()).add(after._replace(written=after.written[1:]))
            self.words[begun] = sum(self._words(after) for after in followers.values())
        return self.words[begun]

    def _begin(self, state: _State) -> Iterator[_State]:
        """Go on until there is something to write."""
        if state.written:
            yield state
        elif not state.items:
            for head, bill in self._heads(state.shape).items() if 0 < state.number <= MOST_BLOCKS else ():
                if self.costs.keeps(self.costs.sum(state.bill, bill)):
                    yield state._replace(written=(*head, None), items=None)
        elif isinstance(state.items[0], Repeat):
            repeat, *rest = state.items
            assert isinstance(repeat, Repeat), repeat
            for length in _lengths(repeat):
                yield from self._begin(state._replace(items=(*repeat.items[:length], *rest)))
        else:
            for written, way in self._outs(state.items[0], state.shape).items():
                if way.out and self.costs.keeps(bill := self.costs.sum(state.bill, way.bill)):
                    yield from self._begin(_State(written, state.items[1:], way.out, state.number + 1, bill))

    def _outs(self, block: Node, shape: Shape) -> dict[Tokens, _Way]:
        """Group a block's fillings by what they compute; those that do not fit are one group."""
        key = (block, shape)
        if key not in self.steps:
            groups: dict[Tokens, _Way] = {}
            for filled, chance in fillings(block):
                computes, way = self._walk(filled, shape)
                known = groups.get(computes, way._replace(chance=0.0))
                groups[computes] = _Way(way.out, known.chance + chance, _least(known.bill, way.bill))
            self.steps[key] = groups
        return self.steps[key]

    def _walk(self, filled: Node, shape: Shape) -> tuple[Tokens, _Way]:
        self.walks += 1
        if self.walks > self.most:
            raise _TooLargeError
        try:
            rows, sight = through(as_block(filled), first_sight(shape), "")
        except (MisfitError, PydanticCustomError):  # a law of sizes, or one between fields
            return (None,), _Way(None, 0.0, ())
        return _tokens(rows), _Way(self.reduced(sight.shape), 0.0, self.costs.bill(rows))

    def _heads(self, shape: Shape) -> dict[Tokens, Bill]:
        found = (Head.model_validate(to_plain(filled)) for filled, _ in fillings(self.parts.get("head", Map(()))))
        walked = (walk(head.flow(self.classes), first_sight(shape), "head")[0] for head in found)
        return {_tokens(rows): self.costs.bill(rows) for rows in walked}


def _least(one: Bill, other: Bill) -> Bill:
    return tuple(min(pair) for pair in zip(one, other, strict=True))


def _shape(filled: Node) -> Shape:
    return Input.model_validate(to_plain(filled)).shape


def _tokens(rows: Iterable[FlowRow]) -> Tokens:
    return tuple(row.computes for row in rows if row.computes is not None)


def _lengths(repeat: Repeat) -> dict[int, float]:
    """Give the chance of each length."""
    chances: dict[int, float] = {}
    for filled, chance in fillings(repeat.count):
        chances[to_plain(filled)] = chances.get(to_plain(filled), 0.0) + chance
    return chances


def _without_common_beginning(states: Iterable[_State]) -> frozenset[_State]:
    states = tuple(states)
    common = takewhile(lambda tokens: len(set(tokens)) == 1, zip(*(state.written for state in states), strict=False))
    length = sum(1 for _ in common)
    return frozenset(state._replace(written=state.written[length:]) for state in states)


def count_candidates(space: Space, recipe: Node) -> int | None:
    """Count networks times recipes, of those that keep the limits.

    None where a hole holds endlessly many values or counting would take too long.
    """
    if any(isinstance(site.hole, Real) for tree in (space.tree, recipe) for site in sites(tree)):
        return None
    if count_fillings(recipe) > MOST_WALKS:
        return None
    recipes = {Recipe.model_validate(to_plain(filled)).computes for filled, _ in fillings(recipe)}
    try:
        return _Count(space, space.costs if space.costs.limits else None).networks() * len(recipes)
    except _TooLargeError:
        return None

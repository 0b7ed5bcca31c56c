"""How large is a space: how many distinct networks, and what share of plain random draws fits?

Exact by dynamic programming over map sizes: what lies behind a block depends only on the size it leaves. Where that
would take too long, both are estimated from plain uniform draws, and said to be.
"""

import random
from math import sqrt
from typing import NamedTuple

from cnnsearch.fit import as_block
from cnnsearch.flow import first_sight, walk
from cnnsearch.holes import Hole, Map, Node, Real, Repeat, Row, count_fillings, fillings, sites, to_plain
from cnnsearch.network import Head, Input
from cnnsearch.shapes import MisfitError, Shape
from cnnsearch.space import Space, uniformly

MOST_WALKS = 6_000  # about 0.3 s
SAMPLE = 1_000


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
            return f"{self.networks:,} distinct networks{endless}; {self.share:.1%} of plain random draws fit (exact)"
        return (
            f"about {self.networks:.2g} networks{endless}; {self.share:.1%} ± {self.spread:.1%} of plain random draws"
            f" fit (estimated from {SAMPLE:,} draws)"
        )


class _TooLargeError(Exception):
    """The exact count would take too long."""


def size(space: Space) -> Size:
    """Count, or estimate where counting would take too long."""
    reals = tuple(hole.name for hole in space.holes if isinstance(hole, Real))
    try:
        networks, share = _Count(space).total()
    except _TooLargeError:
        return _estimate(space, reals)
    return Size(networks, share, 0.0, reals)


def _estimate(space: Space, reals: tuple[str, ...]) -> Size:
    suggest = uniformly(random.Random(0))  # noqa: S311 (no secret)
    fitting = sum(space.draw_blindly(suggest) is not None for _ in range(SAMPLE))
    share = fitting / SAMPLE
    spread = 1.96 * sqrt(max(share * (1 - share), 1 / SAMPLE) / SAMPLE)
    return Size(round(count_fillings(space.tree) * share), share, spread, reals)


class _Count:
    def __init__(self, space: Space) -> None:
        self.space = space
        self.walks = 0
        self.behind: dict[tuple[tuple[Node, ...], Shape], tuple[int, float]] = {}
        self.steps: dict[tuple[Node, Shape], dict[object, tuple[Shape | None, float]]] = {}
        assert isinstance(space.tree, Map)
        self.parts = dict(space.tree.items)

    def total(self) -> tuple[int, float]:
        """Add up over every input and every list of blocks."""
        blocks = self.parts["blocks"]
        rows = blocks.options if isinstance(blocks, Hole) else (blocks,)
        networks, share = 0, 0.0
        for filled, chance in fillings(self.parts["input"]):
            start = Input.model_validate(to_plain(filled)).shape
            for row in rows:
                assert isinstance(row, Row)
                some, fit = self.count(row.items, self.space.ahead.reduced(start))
                networks += some
                share += chance * fit / len(rows)
        classes = len(set(fillings(self.parts["classes"])))
        return networks * classes, share

    def count(self, items: tuple[Node, ...], shape: Shape) -> tuple[int, float]:
        """Give the distinct networks and the share of draws that fit, from these blocks on at this size."""
        key = (items, shape)
        if key not in self.behind:
            self.behind[key] = self._count(items, shape)
        return self.behind[key]

    def _count(self, items: tuple[Node, ...], shape: Shape) -> tuple[int, float]:
        if not items:
            return self._heads(shape), 1.0
        first, rest = items[0], items[1:]
        if isinstance(first, Repeat):
            return self._repeats(first, rest, shape)
        networks, share = 0, 0.0
        for out, chance in self._outs(first, shape).values():
            some, fit = self.count(rest, out) if out else (0, 0.0)
            networks += some
            share += chance * fit
        return networks, share

    def _repeats(self, repeat: Repeat, rest: tuple[Node, ...], shape: Shape) -> tuple[int, float]:
        chances: dict[int, float] = {}
        for filled, chance in fillings(repeat.count):
            length = to_plain(filled)
            chances[length] = chances.get(length, 0.0) + chance
        found = [(self.count((*repeat.items[:length], *rest), shape), chance) for length, chance in chances.items()]
        return sum(some for (some, _), _ in found), sum(fit * chance for (_, fit), chance in found)

    def _outs(self, block: Node, shape: Shape) -> dict[object, tuple[Shape | None, float]]:
        """Group a block's fillings by what they compute; those that do not fit are one group."""
        key = (block, shape)
        if key not in self.steps:
            groups: dict[object, tuple[Shape | None, float]] = {}
            for filled, chance in fillings(block):
                computes, out = self._walk(filled, shape)
                groups[computes] = (out, groups.get(computes, (out, 0.0))[1] + chance)
            self.steps[key] = groups
        return self.steps[key]

    def _walk(self, filled: Node, shape: Shape) -> tuple[object, Shape | None]:
        self.walks += 1
        if self.walks > MOST_WALKS:
            raise _TooLargeError
        try:
            rows, sight = walk(as_block(filled).flow(shape), first_sight(shape), "")
        except (MisfitError, ValueError):  # a law of sizes, or one between fields
            return None, None
        return tuple(row.computes for row in rows if row.computes is not None), self.space.ahead.reduced(sight.shape)

    def _heads(self, shape: Shape) -> int:
        found: set[object] = set()
        for filled, _ in fillings(self.parts.get("head", Map(()))):
            rows, _ = walk(Head.model_validate(to_plain(filled)).flow(2), first_sight(shape), "head")
            found.add(tuple(row.computes for row in rows if row.computes is not None))
        return len(found)


def count_candidates(space: Space, recipe: Node) -> int | None:
    """Count networks times recipes; None where a hole holds endlessly many values or counting would take too long."""
    if any(isinstance(site.hole, Real) for tree in (space.tree, recipe) for site in sites(tree)):
        return None
    try:
        networks, _ = _Count(space).total()
    except _TooLargeError:
        return None
    return networks * len({filled for filled, _ in fillings(recipe)})

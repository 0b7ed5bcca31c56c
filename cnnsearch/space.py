"""What may vary, and how is a network drawn? A network with holes; knows neither torch nor optuna."""

import math
import random
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from typing import NamedTuple

from cnnsearch.afford import CostAhead
from cnnsearch.errors import InvalidSpecError
from cnnsearch.fill import CanFit, Filled, Suggest, fill
from cnnsearch.fit import LookAhead
from cnnsearch.holes import Hole, Map, Node, Real, as_written, holes_of, narrowed, sites
from cnnsearch.network import MOST, Network
from cnnsearch.options import checked
from cnnsearch.text import Plain


class Drawn(NamedTuple):
    """A network and how it came about."""

    network: Network
    asked: dict[str, float]
    """What was suggested for every hole."""
    built: dict[str, Plain]
    """What stands in the network, for the holes that it used."""


class Space:
    """A network with holes. Reading it checks every option, and that something fits.

    `most` names limits by the costs' names; what is drawn keeps them wherever the look ahead is short enough.

    >>> import random
    >>> space = Space({
    ...     "input": {"channels": 1, "height": 8, "width": 8}, "classes": 10,
    ...     "blocks": [{"conv": {"out_channels": 8, "kernel_size": {"choice": [3, 9]}}}],
    ... })
    >>> space.draw(uniformly(random.Random(0))).built
    {'blocks[0].conv.kernel_size': 3}
    """

    def __init__(self, data: Plain, most: Mapping[str, int] | None = None) -> None:
        if not isinstance(data, dict):
            Network.model_validate(data)  # says what it must be
        self.tree: Node = checked(data, Network.model_validate)
        assert isinstance(self.tree, Map)
        self.ahead = LookAhead(self.tree)
        self.ahead.refuse_hopeless(self.tree)
        self.costs = CostAhead(self.tree, self.ahead, most or {})

    @property
    def holes(self) -> list[Hole | Real]:
        """Every hole, those of repetitions and options not always used too."""
        return list(holes_of(self.tree))

    @cached_property
    def never_drawn(self) -> tuple[str, ...]:
        """The places of options that fit in no network, whatever is drawn for the other holes; mostly slips of the pen.

        Of a block that is repeated an option counts if it fits in none of the repetitions.
        """
        fits: dict[str, bool] = {}
        for place, answers in self._options():
            fits[place] = fits.get(place) or self.ahead.can_fit(narrowed(self.tree, answers))
        return tuple(place for place, fit in fits.items() if not fit)

    def _options(self) -> Iterator[tuple[str, dict[str, int]]]:
        """Give the place of every option that may not fit, and the answers by which it is drawn."""
        for hole, needs, *_ in sites(self.tree):
            if isinstance(hole, Hole) and not hole.is_range and self.ahead.decides(hole):
                for index in range(len(hole.options)):
                    place = as_written(f"{hole.name}.choice[{index}]")
                    yield place, {**needs, hole.name: index}

    def draw(self, suggest: Suggest) -> Drawn:
        """Ask for every hole and make a network that fits.

        Raises InvalidSpecError where it exceeds a limit of the library, which sizes alone do not show.
        """
        filled = self._fill({hole.name: suggest(hole) for hole in holes_of(self.tree)})
        return Drawn(Network.model_validate(filled.data), filled.asked, filled.built)

    def _fill(self, answers: Mapping[str, float]) -> Filled:
        if self.costs.is_known:
            with suppress(InvalidSpecError):  # a hole too wide to price each option left too little for the others
                return fill(self.tree, lambda hole: answers[hole.name], self._by_costs)
        return fill(self.tree, lambda hole: answers[hole.name], self._by_sizes)

    def _by_costs(self, hole: Hole) -> CanFit | None:
        return self.costs.can_fit if self.costs.decides(hole) else self._by_sizes(hole)

    def _by_sizes(self, hole: Hole) -> CanFit | None:
        return self.ahead.can_fit if self.ahead.decides(hole) else None

    def least(self, cost: str) -> int:
        """Give the least that any network has of a cost; 0 where that takes too long to find out."""
        assert isinstance(self.tree, Map)
        return CostAhead(self.tree, self.ahead, {cost: MOST._asdict()[cost]}).least

    def draw_blindly(self, suggest: Suggest) -> Network | None:
        """Draw as one would without looking ahead; None where it does not fit."""
        try:
            return Network.model_validate(fill(self.tree, suggest).data)
        except InvalidSpecError:
            return None


def uniformly(generator: random.Random) -> Suggest:
    """Make a `suggest` that gives every option the same chance, and log ranges the same chance per factor."""

    def suggest(hole: Hole | Real) -> float:
        if isinstance(hole, Real):
            if hole.log:
                drawn = math.exp(generator.uniform(math.log(hole.low), math.log(hole.high)))
                return min(max(drawn, hole.low), hole.high)  # exp(log(10)) is more than 10
            return generator.uniform(hole.low, hole.high)
        if hole.log:
            low, end = hole.lowest, hole.lowest + len(hole.options)
            return min(int(math.exp(generator.uniform(math.log(low), math.log(end)))), end - 1) - low
        return generator.randrange(len(hole.options))

    return suggest

"""What may vary, and how is a network drawn? A network with holes; knows neither torch nor optuna."""

import math
import random
from typing import NamedTuple

from cnnsearch.errors import InvalidSpecError
from cnnsearch.fit import LookAhead
from cnnsearch.holes import Hole, Map, Node, Real, Suggest, fill, holes_of, read
from cnnsearch.network import Network
from cnnsearch.options import check
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

    >>> import random
    >>> space = Space({
    ...     "input": {"channels": 1, "height": 8, "width": 8}, "classes": 10,
    ...     "blocks": [{"conv": {"out_channels": 8, "kernel_size": {"choice": [3, 9]}}}],
    ... })
    >>> space.draw(uniformly(random.Random(0))).built
    {'blocks[0].conv.kernel_size': 3}
    """

    def __init__(self, data: Plain) -> None:
        if not isinstance(data, dict) or "blocks" not in data:
            Network.model_validate(data)  # says what is missing
        self.tree: Node = read(data)
        check(self.tree, Network.model_validate)
        assert isinstance(self.tree, Map)
        self.ahead = LookAhead(self.tree)
        self.ahead.refuse_hopeless(self.tree)

    @property
    def holes(self) -> list[Hole | Real]:
        """Every hole, those of repetitions and options not always used too."""
        return list(holes_of(self.tree))

    def draw(self, suggest: Suggest) -> Drawn:
        """Ask for every hole and make a network that fits.

        Raises InvalidSpecError where it exceeds a limit of the library, which sizes alone do not show.
        """
        filled = fill(self.tree, suggest, self.ahead.can_fit, self.ahead.decides)
        return Drawn(Network.model_validate(filled.data), filled.asked, filled.built)

    def draw_blindly(self, suggest: Suggest) -> Network | None:
        """Draw as one would without looking ahead; None where it does not fit."""
        try:
            return Network.model_validate(fill(self.tree, suggest, lambda _: True, lambda _: False).data)
        except InvalidSpecError:
            return None


def uniformly(generator: random.Random) -> Suggest:
    """Make a `suggest` that gives every option the same chance, and log ranges the same chance per factor."""

    def suggest(hole: Hole | Real) -> float:
        if isinstance(hole, Real):
            if hole.log:
                return math.exp(generator.uniform(math.log(hole.low), math.log(hole.high)))
            return generator.uniform(hole.low, hole.high)
        if hole.log:
            low, end = hole.lowest, hole.lowest + len(hole.options)
            return min(int(math.exp(generator.uniform(math.log(low), math.log(end)))), end - 1) - low
        return generator.randrange(len(hole.options))

    return suggest

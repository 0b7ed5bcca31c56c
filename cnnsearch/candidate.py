"""What is tried in a search?"""

import hashlib
from typing import NamedTuple

from cnnsearch.network import Network
from cnnsearch.recipe import Recipe
from cnnsearch.text import Plain


class Candidate(NamedTuple):
    """A network with its recipe, and how they came about."""

    network: Network
    recipe: Recipe
    asked: dict[str, float]
    """What was suggested for every hole; nothing for a start network."""
    built: dict[str, Plain]
    """What stands in network and recipe, for the holes that they used."""

    @property
    def fingerprint(self) -> str:
        """Name what the pair computes: 16 hexadecimal digits, equal however it was written."""
        return hashlib.sha256(f"{self.network.fingerprint} {self.recipe.computes}".encode()).hexdigest()[:16]

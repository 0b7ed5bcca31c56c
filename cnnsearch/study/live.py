"""What is being trained?"""

from typing import NamedTuple

from cnnsearch.candidate import Candidate


class Live(NamedTuple):
    """A candidate that is being trained, or waits for a worker again."""

    trial: int
    candidate: Candidate
    attempts: int
    deaths: int
    passed: int = 0
    """The last rung that it passed: it stops at none up to that one, where it begins anew for want of a checkpoint."""
    spent: float = 0.0
    """Seconds of its training so far, but for what its worker is at now."""

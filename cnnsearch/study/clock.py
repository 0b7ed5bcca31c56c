"""When are a call's minutes over?

What a training did since its last epoch is lost when a call ends. A call that goes on with trainings which an earlier
one was cut in therefore has as long again to come to the end of an epoch: the next call would do no better.
"""

import math
import time
from collections.abc import Mapping


class Clock:
    """The minutes of one call."""

    def __init__(self, minutes: float | None, known: Mapping[int, int]) -> None:
        """Begin now; `known` are, by trial that goes on, the epochs that it came to before."""
        seconds = 60 * minutes if minutes else math.inf
        self.deadline = time.monotonic() + seconds
        self._latest = self.deadline + seconds
        self._known = known
        self._came_on = not known

    @property
    def is_over(self) -> bool:
        """Whether nothing more may be done."""
        return time.monotonic() > (self.deadline if self._came_on else self._latest)

    def hear(self, trial: int, epochs: int) -> None:
        """Take note that a trial has come to so many epochs, which the next call will go on from."""
        self._came_on |= epochs > self._known.get(trial, 0)

    def hear_end(self) -> None:
        """Take note that a training is over."""
        self._came_on = True

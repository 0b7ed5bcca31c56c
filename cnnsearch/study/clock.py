"""When are a call's minutes over?

What a training did since its last epoch is lost when a call ends. So that no work is lost in two calls one after the
other, a call that goes on with trainings which an earlier one was cut in has as long again to come to the end of an
epoch in each that it trains when its minutes are over; it begins nothing new meanwhile.
"""

import math
import time
from collections.abc import Collection, Mapping


class Clock:
    """The minutes of one call."""

    def __init__(self, minutes: float | None, known: Mapping[int, int]) -> None:
        """Begin now; `known` are, by trial that goes on, the epochs that it came to before."""
        seconds = 60 * minutes if minutes else math.inf
        self.deadline = time.monotonic() + seconds
        self._latest = self.deadline + seconds
        self._known = known
        self._behind = set(known)
        self._came_on = not known

    @property
    def is_late(self) -> bool:
        """Whether the minutes are over, so that nothing is begun beside what is in training."""
        return time.monotonic() > self.deadline

    def is_over(self, live: Collection[int]) -> bool:
        """Say whether nothing more may be done, where these trials are in training."""
        now = time.monotonic()
        waits = not self._came_on or not self._behind.isdisjoint(live)
        return now > (self._latest if waits else self.deadline)

    def hear(self, trial: int, epochs: int) -> None:
        """Take note that a trial has come to so many epochs, which the next call will go on from."""
        if epochs > self._known.get(trial, 0):
            self._behind.discard(trial)
            self._came_on = True

    def hear_end(self) -> None:
        """Take note that a training is over."""
        self._came_on = True

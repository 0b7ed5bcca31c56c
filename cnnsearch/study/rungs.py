"""Which rungs lie ahead of a trial, who waits at one, and who goes on?"""

import time
from collections.abc import Iterable
from math import ceil

from cnnsearch.plan import Plan
from cnnsearch.ranking import Standing
from cnnsearch.speed import images
from cnnsearch.study.ledger import Ledger
from cnnsearch.study.live import Live
from cnnsearch.study.stopping import best_share, goes_on

SLACK = 1.1  # a pace is not kept to the second


class Rungs:
    """The rungs of a study and the trials that wait there."""

    def __init__(self, plan: Plan, ledger: Ledger, deadline: float, slots: int) -> None:
        self._pruner, self._facts, self._ledger = plan.pruner, plan.facts, ledger
        self._deadline, self._slots = deadline, slots
        self._half_time = (time.monotonic() + deadline) / 2
        self._latest = float("inf")
        """When the best of those that wait must go on; nobody waits yet."""
        self._resting: dict[int, Live] = {}
        self.all_wait = plan.pruner.kind == "successive"
        """Whether nobody passes a rung before all are there."""

    def __len__(self) -> int:
        """Count the trials that wait."""
        return len(self._resting)

    def asks_no_more(self, *, any_live: bool) -> bool:
        """Say whether the time is over for new ones: what is left of the minutes is for those that go on.

        While anybody trains, others may begin in half of the minutes, or in less once it is known, by those that wait
        at a rung, how long the best will take.
        """
        latest = min(self._latest, self._half_time) if any_live and self.all_wait else self._latest
        return time.monotonic() > latest

    def ahead(self, live: Live) -> tuple[int, ...]:
        """Give the epochs after which a trial may be stopped yet; after its last one nothing is left to stop."""
        epochs = live.candidate.recipe.epochs
        return tuple(rung for rung in self._pruner.rungs if live.passed < rung < epochs)

    def reached(self, live: Live) -> int:
        """Name the last rung that a trial came to; 0 for none."""
        rungs = self.ahead(live._replace(passed=0))
        return max((rung for rung in rungs if live.trial in self._ledger.rungs[rung]), default=0)

    def passed(self, live: Live, epochs: int) -> Live:
        """Let a trial that came so far stop at none of the rungs before: it was judged there."""
        return live._replace(passed=max((rung for rung in self.ahead(live) if rung < epochs), default=live.passed))

    def passes(self, trial: int, rung: int, score: float) -> bool:
        """Say whether a trial goes on from a rung at once, by how others stood there."""
        mine, others = Standing(score, self._ledger.costs[trial]), self._ledger.seen_at(rung).values()
        return not self.all_wait and goes_on(self._pruner, mine, others)

    def rest(self, live: Live) -> None:
        """Let a trial wait at its rung until all are there, or until the best need the time that is left."""
        self._resting[live.trial] = live
        if self._deadline < float("inf") and time.monotonic() <= self._latest:
            self._latest = min(self._half_time, self._deadline - self._need())

    def _need(self) -> float:
        """Give the seconds that the best who wait need to their end, by the pace of their own epochs so far.

        Counted are whole trainings, all slots at it, and the looks that are under way yet.
        """
        rung, resting = self._next_to_wake()
        best = best_share(self._pruner, self._ledger.seen_at(rung)) & {live.trial for live in resting}
        if not best:
            return 0.0
        look = max(self._ledger.seconds_of(trial) for trial in best)
        rounds = ceil(len(best) / self._slots)
        return SLACK * (2 * look + rounds * max(self._seconds_ahead(trial, rung) for trial in best))

    def _seconds_ahead(self, trial: int, rung: int) -> float:
        passes = self._resting[trial].candidate.recipe.passes
        read, ahead = (sum(images(share, self._facts) for share in part) for part in (passes[:rung], passes[rung:]))
        return self._ledger.seconds_of(trial) * ahead / read

    def _next_to_wake(self) -> tuple[int, list[Live]]:
        """Give the lowest rung at which anybody waits, and who waits there."""
        at = {trial: self.reached(live) for trial, live in self._resting.items()}
        lowest = min(at.values(), default=0)
        return lowest, [self._resting[trial] for trial, rung in at.items() if rung == lowest]

    def are_all_there(self, live: Iterable[Live]) -> bool:
        """Say whether nobody in training has yet to come to the lowest rung at which others wait.

        In a study that goes on some may be beyond it, since they went on before it was cut.
        """
        lowest, _ = self._next_to_wake()
        scores = self._ledger.rungs[lowest]  # one that tells its epochs again has none until it came there
        return all(each.passed >= lowest and each.trial in scores for each in live)

    def wake(self) -> tuple[list[Live], list[Live]]:
        """Let nobody wait longer at the lowest rung; give those that go on, the best first, and those that do not.

        Compared are all scores ever seen at the rung, but for trials that failed, and a higher rung waits for those
        that go on to it; so it does not matter when a study was cut and resumed.
        """
        lowest, resting = self._next_to_wake()
        for live in resting:
            del self._resting[live.trial]
        best = best_share(self._pruner, self._ledger.seen_at(lowest))
        goes = [live._replace(passed=lowest) for live in resting if live.trial in best]
        goes.sort(key=lambda live: self._ledger.rungs[lowest][live.trial], reverse=True)
        return goes, [live for live in resting if live.trial not in best]

"""How is the outcome of a candidate told to Optuna?

- Diverged, out of memory, timed out, over a limit: PRUNED with a constraint above 0, which TPE ranks behind everything
  feasible. Told FAIL instead, TPE learns nothing and went on proposing such candidates (92 % of them, against 14 %).
- With several objectives the sampler learns all values, of costs the logarithm, so that half of a small one is worth as
  much as half of a large one. A stopped trial is learned as complete with the accuracy that it came to: it is beaten by
  those that it was stopped for, so it counts among the worse. Told PRUNED, which TPE cannot rank by several values, it
  would count as worse than any complete one.
- A floor changes nothing in that. To learn accuracies up to the floor only, or one value in the order of `ranking.py`,
  found no cheaper networks that meet it (examples/benchmarks/README.md).
- The storage keeps what was: PRUNED, without values, where a trial was stopped.
"""

from collections.abc import Iterable
from math import isfinite, log
from typing import NamedTuple

from optuna.trial import FrozenTrial, TrialState, create_trial

from cnnsearch.holes import Hole, Real
from cnnsearch.study.outcome import Outcome
from cnnsearch.study.parameters import distribution, param_of

TRIAL = "trial"  # user attribute: the candidate's number in the record; Optuna's own number is an attempt's


def _state(outcome: Outcome) -> TrialState:
    if outcome.state == "complete":
        return TrialState.COMPLETE
    return TrialState.FAIL if outcome.state == "failed" and not outcome.failed_to_train else TrialState.PRUNED


def _constraints(outcome: Outcome) -> dict[str, float]:
    return {**outcome.violations, "trains": 1.0 if outcome.failed_to_train else 0.0}


class Told(NamedTuple):
    """How an outcome is told to Optuna."""

    state: TrialState
    values: list[float] | None
    constraints: dict[str, float]


def fact(outcome: Outcome) -> Told:
    """Tell it as it is: to the storage, and to a sampler that seeks nothing but accuracy."""
    state = _state(outcome)
    values = None if outcome.score is None or state != TrialState.COMPLETE else [outcome.score, *outcome.costs]
    return Told(state, values, _constraints(outcome))


def lesson(outcome: Outcome) -> Told:
    """Tell what the sampler learns most from; a latency that could not be measured teaches nothing."""
    told = fact(outcome)
    if not outcome.costs or outcome.state not in {"complete", "stopped"} or not outcome.accuracies:
        return told
    if not all(map(isfinite, outcome.costs)):
        return told._replace(state=TrialState.FAIL, values=None)
    reached = outcome.accuracies[max(outcome.accuracies)]
    return told._replace(state=TrialState.COMPLETE, values=[reached, *map(log, outcome.costs)])


def frozen(holes: Iterable[Hole | Real], outcome: Outcome, told: Told) -> FrozenTrial:
    """Make a whole trial of it, with every hole that was asked."""
    holes = tuple(holes)
    return create_trial(
        state=told.state,
        values=told.values,
        params={hole.name: param_of(hole, outcome.asked[hole.name]) for hole in holes},
        distributions={hole.name: distribution(hole) for hole in holes},
        user_attrs=_attributes(outcome),
        intermediate_values=dict(outcome.accuracies),
        constraints=told.constraints,
    )


def _attributes(outcome: Outcome) -> dict[str, object]:
    """Name the candidate; Optuna's dashboard does not look at constraints, so feasibility is said once more."""
    return {TRIAL: outcome.trial, "feasible": max(_constraints(outcome).values()) <= 0}

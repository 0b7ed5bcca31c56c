"""Who enters the finals? The best of a run's search, and who was in finals before."""

import json
from collections.abc import Sequence

from cnnsearch.history import Run, Trial
from cnnsearch.parts import Finals
from cnnsearch.ranking import mean_of


def entering(run: Run, finals: Finals) -> tuple[Trial, ...]:
    """Give the candidates of the finals, best first: of those that would be trained alike there, the best one.

    One that was trained on several seeds comes as early as its mean does: it has had more chances to be lucky.
    Whoever was trained so in finals before stays among them: what was measured on fresh seeds is not forgotten
    because more trials, or other finals, put others before it.
    """
    done = {(each.entrant, each.recipe) for each in run.retrained if each.state == "complete"}
    ranked = run.ranked
    trained = {trial.number for trial in ranked if (trial.name, finals.recipe(trial.recipe)) in done}
    alike: dict[tuple[str, str], list[Trial]] = {}
    for trial in ranked:
        trained_as = json.dumps(trial.network_data, sort_keys=True), finals.recipe(trial.recipe).computes
        alike.setdefault(trained_as, []).append(trial)
    in_order = sorted(alike.values(), key=lambda each: _place(run, each))
    best = [next((trial for trial in each if trial.number in trained), each[0]) for each in in_order]
    return tuple(trial for place, trial in enumerate(best) if place < finals.candidates or trial.number in trained)


def _place(run: Run, alike: Sequence[Trial]) -> tuple[float, ...]:
    """Give the place of those that are trained alike, by the mean accuracy of the first one's repeats."""
    first, aim = alike[0], run.aim
    accuracy = mean_of(trial.accuracy for trial in alike if trial.fingerprint == first.fingerprint)
    return aim.place(aim.standing(accuracy, first, first.latency), first, first.number)

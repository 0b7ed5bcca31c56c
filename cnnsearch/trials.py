"""How does Optuna see a run?

The trials of a record as Optuna's own frozen trials, for its figures and its dashboard, in memory: no storage is
opened. Parameters are what was *built*, active holes only, and not what was asked. Trial numbers equal the record's,
so candidates that were turned away or repeat another are kept as pruned trials without a value.
"""

import warnings
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.exceptions import ExperimentalWarning
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from cnnsearch.causes import is_to_blame
from cnnsearch.events import Scalar
from cnnsearch.history import Run, Trial
from cnnsearch.objectives import ACCURACY, WORDS, Aim

WIDE = 20.0  # a range whose ends are this far apart is looked at on a logarithmic axis
MOST_STEPS = 8  # a hole with so few numbers has a tick for each
ACCURATE = Aim()

_STATES = {
    "complete": TrialState.COMPLETE,
    "stopped": TrialState.PRUNED,
    "turned_away": TrialState.PRUNED,
    "repeated": TrialState.PRUNED,
    "failed": TrialState.FAIL,
    "running": TrialState.RUNNING,
}


def directions(aim: Aim) -> list[StudyDirection]:
    """Say what Optuna does with accuracy, and with each of the costs."""
    return [StudyDirection.MAXIMIZE, *[StudyDirection.MINIMIZE] * len(aim.costs)]


def name_values(study: optuna.Study, aim: Aim) -> None:
    """Tell Optuna what its values are, which a dashboard otherwise calls Objective 0 and 1."""
    names = [WORDS[name] for name in (ACCURACY, *aim.costs)]
    if study.metric_names != names:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            study.set_metric_names(names)


def distributions(trials: Iterable[Trial]) -> dict[str, BaseDistribution]:
    """Give each hole the narrowest distribution that holds all values built in it."""
    values: dict[str, list[Scalar]] = {}
    for trial in trials:
        for name, value in trial.built.items():
            values.setdefault(name, []).append(value)
    return {name: _distribution(seen) for name, seen in sorted(values.items())}


def frozen(
    trial: Trial,
    holes: Mapping[str, BaseDistribution],
    *,
    alive: bool,
    aim: Aim = ACCURATE,
    scale: float = 1.0,
    attached: Mapping[str, str] | None = None,
) -> FrozenTrial:
    """Retell one trial; `scale` 100 gives its scores in percent. Where no coordinator lives, nothing is running.

    Its values are its accuracy and the costs of `aim`, which figures of accuracy alone leave out.
    `attached` are Optuna's system attributes, such as an artifact.
    """
    state = _STATES[trial.state]
    if state == TrialState.RUNNING and not alive:
        state = TrialState.WAITING
    score = None if trial.score is None or state != TrialState.COMPLETE else trial.score * scale
    return FrozenTrial(
        number=trial.number,
        trial_id=trial.number,
        state=TrialState.FAIL if state == TrialState.COMPLETE and score is None else state,
        value=None,
        values=None if score is None else [score, *aim.prices(trial, trial.latency)],
        datetime_start=datetime.fromtimestamp(trial.started),  # noqa: DTZ006 (Optuna's times are local and naive)
        datetime_complete=_end(trial),
        params={name: _param(value, holes[name]) for name, value in trial.built.items()},
        distributions={name: holes[name] for name in trial.built},
        user_attrs=attributes(trial),
        system_attrs=dict(attached or {}),
        intermediate_values={epoch.epoch: epoch.validation_accuracy * scale for epoch in trial.epochs},
    )


def attributes(trial: Trial) -> dict[str, Scalar]:
    """Give what is worth a column beside the parameters."""
    return {
        "state": trial.state,
        "reason": trial.reason,
        "feasible": trial.state != "turned_away" and not is_to_blame(trial.state, trial.reason),
        "parameters": trial.parameters,
        "macs": trial.macs,
        "weight_bytes": trial.weight_bytes,
        "activation_bytes": trial.activation_bytes,
        "latency": trial.latency and trial.latency.seconds,
        "fingerprint": trial.fingerprint,
    }


def study(run: Run, *, scale: float = 1.0) -> optuna.Study:
    """Retell a run as a study of accuracy in memory, for figures: few of Optuna's show several objectives."""
    holes = distributions(run.trials)
    return in_memory(
        (frozen(trial, holes, alive=run.state == "running", scale=scale) for trial in run.trials), run.folder.name
    )


def in_memory(
    trials: Iterable[FrozenTrial], name: str, directions: Sequence[StudyDirection] = (StudyDirection.MAXIMIZE,)
) -> optuna.Study:
    """Make a study of trials; they are numbered anew from 0."""
    with quiet():
        told = optuna.create_study(
            storage=optuna.storages.InMemoryStorage(),
            sampler=optuna.samplers.RandomSampler(),  # it only remembers; a cheap one to make
            study_name=name,
            directions=directions,
        )
    told.add_trials(trials)
    return told


@contextmanager
def quiet() -> Generator[None]:
    """Keep Optuna from telling the terminal of new studies and empty figures."""
    loudness = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(loudness)


def _end(trial: Trial) -> datetime | None:
    # Neither a clock that was set back nor the end of summer time must make a trial end before it began.
    if trial.ended is None:
        return None
    return max(datetime.fromtimestamp(trial.started), datetime.fromtimestamp(trial.ended))  # noqa: DTZ006


def _distribution(values: list[Scalar]) -> BaseDistribution:
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) < len(values):
        return CategoricalDistribution(sorted({_text(value) for value in values}))
    if _are_few(numbers):
        return CategoricalDistribution(sorted({_rounded(number) for number in numbers}))
    low, high = min(numbers), max(numbers)
    log = low > 0 and high / low >= WIDE
    if all(isinstance(number, int) for number in numbers):
        return IntDistribution(int(low), int(high), log=log)
    return FloatDistribution(low, high, log=log)


def _are_few(numbers: list[int | float]) -> bool:
    """Tell whether numbers are looked at one by one; a handful of draws from a float's range are not."""
    distinct = len(set(numbers))
    return distinct <= MOST_STEPS and (
        all(isinstance(number, int) for number in numbers) or distinct < len(numbers) / 3
    )


def _param(value: Scalar, hole: BaseDistribution) -> Scalar:
    if not isinstance(hole, CategoricalDistribution):
        return value
    if isinstance(hole.choices[0], str) or value is None or isinstance(value, str):
        return _text(value)
    return _rounded(value)


def _rounded(number: float) -> int | float:
    return number if isinstance(number, int) else float(f"{number:.4g}")


def _text(value: Scalar) -> str:
    """Write a value as in a file: null, true, 3, same."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else str(value)

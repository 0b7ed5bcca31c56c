"""How is each figure of a run drawn?"""

from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from html import escape
from itertools import count
from math import ceil, floor, isfinite, log, log10
from statistics import median
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from cnnsearch.history import Run, Trial
from cnnsearch.objectives import WORDS, Name, price
from cnnsearch.report.plots import Chart, between, new_chart
from cnnsearch.trials import directions, in_memory

MOST_HOLES = 8  # in the figures that give every hole an axis: the most important ones
MOST_TICKS = 6
MOST_CURVES = 200  # a browser draws about so many at once
STATE_COLORS = {"complete": "#2f7ed8", "stopped": "#e8a33d", "failed": "#d64545", "running": "#3aa76d"}
OTHERS = "#8fa0ae"
SCALE = ["#e8a33d", "#8fa0ae", "#2f7ed8"]  # can be told from a white page and from a dark one
ACCURACY = "validation accuracy (%)"


class NotYetError(Exception):
    """A figure does not apply to this run; the text says what is missing."""


@dataclass(frozen=True)
class Material:
    """What figures are drawn from: the run, and the same as Optuna's study with short names and percents."""

    run: Run
    study: optuna.Study

    @cached_property
    def scores(self) -> list[float]:
        """Give the accuracies of the complete trials, in percent."""
        return [trial.values[0] for trial in _complete(self.study)]

    @cached_property
    def importances(self) -> dict[str, float]:
        """Give how much each hole mattered, the most important first; raise NotYetError where nobody can tell."""
        _need(self.scores, 2, "importances need at least")
        if len(set(self.scores)) == 1:
            raise NotYetError("importances need complete trials of different accuracy; all have the same")
        found = optuna.importance.get_param_importances(self.study)
        if not any(found.values()):
            raise NotYetError("importances need holes that more than one value was built in")
        return found


def _complete(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def _need(scores: Sequence[object], count: int, what: str) -> None:
    if len(scores) < count:
        noun = "trial" if count == 1 else "trials"
        raise NotYetError(f"{what} {count} complete {noun}; there {'is' if len(scores) == 1 else 'are'} {len(scores)}")


def _zoom(scores: Sequence[float], spread: float = 4) -> list[float]:
    """Give the range in which the good ones can be told apart; a double click on the figure shows the rest."""
    best = max(scores)
    lowest = best - max(spread * (best - median(scores)), 0.2)
    low = min((score for score in scores if score >= lowest), default=best)
    margin = max((best - low) * 0.08, 0.02)
    return [low - margin, min(best + margin, 100 + margin)]


def history(material: Material) -> Sequence[Chart]:
    """Draw each score and the best so far."""
    _need(material.scores, 1, "the history needs at least")
    figure: Chart = optuna.visualization.plot_optimization_history(material.study, target_name=ACCURACY)
    names = {ACCURACY: "one network", "Best Value": "best so far"}
    for trace in figure.data:
        trace.update(name=names.get(trace.name, trace.name), line={"shape": "hv"})
    figure.update_xaxes(title="trial")
    return [figure.update_yaxes(range=_zoom(material.scores))]


def cost(material: Material) -> Sequence[Chart]:
    """Draw accuracy over each cost, with the Pareto front."""
    _need(material.run.ranked, 1, "accuracies need at least")
    names: list[Name] = [name for name in material.run.aim.shown if _priced(material.run.ranked, name)]
    if not names:
        raise NotYetError(f"{' and '.join(material.run.aim.shown)} could be measured for no network")
    return [_against(material, name) for name in names]


def _priced(trials: Iterable[Trial], *names: Name) -> list[Trial]:
    """Leave out the networks whose latency could not be measured: they have no place on its axis."""
    return [trial for trial in trials if all(isfinite(price(name, trial, trial.latency)) for name in names)]


def _against(material: Material, name: Name) -> Chart:
    aim = material.run.aim
    complete, front = _priced(material.run.ranked, name), _priced(material.run.front, name)
    figure = new_chart()
    rest = [trial for trial in complete if trial not in front]
    figure.add_scatter(**_points(rest, name), mode="markers", name="other networks", marker={"size": 7, "opacity": 0.6})
    line: dict[str, Any] = {"mode": "lines+markers", "line": {"shape": "hv", "width": 2}, "marker": {"size": 10}}
    if len(aim.shown) > 1:  # who is beaten in one of the figures may be ahead in another
        line["mode"] = "markers"
    figure.add_scatter(**_points(front, name), **line, name="nobody is better in everything")
    star = {"size": 17, "symbol": "star"}
    best = _priced(material.run.ranked[:1], name)
    figure.add_scatter(**_points(best, name), mode="markers", name="best", marker=star)
    if aim.floor is not None:
        figure.add_hline(y=100 * aim.floor, line={"dash": "dot", "width": 1.5, "color": STATE_COLORS["complete"]})
    round_numbers = ticks([max(price(name, trial, trial.latency), 1e-9) for trial in complete])
    figure.update_xaxes(title=WORDS[name], type="log", tickvals=round_numbers, tickformat="~s")
    return figure.update_yaxes(title=ACCURACY, range=_zoom(material.scores))


def ticks(costs: Sequence[float]) -> list[float]:
    """Give round numbers for a logarithmic axis, some of them between the costs however near these are to each other.

    plotly's own write 5 for 5,000 beside 10k, and where no power of ten is near there is none.

    >>> ticks([2_500, 240_000]), ticks([1_806, 1_978])
    ([1000.0, 10000.0, 100000.0, 1000000.0], [1800.0, 1850.0, 1900.0, 1950.0, 2000.0])
    """
    low, high = min(costs), max(costs)
    if low < high < 10 * low:
        step = next(step for step in _round_numbers((high - low) / 10) if high - low <= MOST_TICKS * step)
        return [step * number for number in range(floor(low / step), ceil(high / step) + 1)]
    powers = range(floor(log10(low)), ceil(log10(high)) + 1)
    digits = (1, 2, 5) if high < 30 * low else (1,)
    return [digit * 10.0**power for power in powers for digit in digits]


def _round_numbers(since: float) -> Iterator[float]:
    """Give 1, 2, 5, 10 and so on, from below a number on."""
    for power in count(floor(log10(since))):
        yield from (digit * 10.0**power for digit in (1, 2, 5))


def _points(trials: Sequence[Trial], name: Name) -> dict[str, Any]:
    number = "%{x:.3~s}" if name == "latency" else "%{x:,}"
    return {
        "x": [price(name, trial, trial.latency) for trial in trials],
        "y": [trial.accuracy * 100 for trial in trials],
        "text": [f"trial {trial.number}: {escape(trial.short)}" for trial in trials],
        "hovertemplate": f"%{{text}}<br>%{{y:.2f}} %, {number} {WORDS[name]}<extra></extra>",
    }


def hypervolume(material: Material) -> Sequence[Chart]:
    """Draw how much the front covers after each trial, as a share of what it covers at the end.

    Costs count by their logarithm, so that half of a small one is worth as much as half of a large one; what is covered
    is measured from the worst accuracy and the highest costs of all complete trials.
    """
    aim = material.run.aim
    complete = sorted(_priced(material.run.ranked, *aim.costs), key=lambda trial: trial.number)
    _need(complete, 2, "the hypervolume needs measured costs, of at least")
    values = [[trial.accuracy, *map(log, aim.prices(trial, trial.latency))] for trial in complete]
    accuracies, *costs = zip(*values, strict=True)
    worst = [min(accuracies), *map(max, costs)]
    told = [optuna.trial.create_trial(values=each) for each in values]
    study = in_memory(told, "front", directions(aim))
    optunas: Chart = optuna.visualization.plot_hypervolume_history(study, worst)
    found: Sequence[float] = optunas.data[0].y
    if not found[-1]:
        raise NotYetError("the hypervolume needs two networks of which one is better and the other cheaper")
    figure = new_chart()
    shares = [100 * each / found[-1] for each in found]
    figure.add_scatter(x=[trial.number for trial in complete], y=shares, line={"shape": "hv"}, mode="lines+markers")
    figure.update_xaxes(title="trial")
    return [figure.update_yaxes(title="covered (% of the end)", rangemode="tozero")]


def importances(material: Material) -> Sequence[Chart]:
    """Draw how much each hole mattered, as Optuna's own figure does, which copies all trials for every hole."""
    most = dict(list(material.importances.items())[: 2 * MOST_HOLES])
    names, shares = list(most)[::-1], list(most.values())[::-1]
    figure = new_chart()
    texts = [f"{share:.2f}" if share >= 0.01 else "<0.01" for share in shares]  # noqa: PLR2004 (two digits)
    figure.add_bar(y=names, x=shares, text=texts, textposition="outside", orientation="h", cliponaxis=False)
    figure.update_layout(height=120 + 26 * len(most))
    figure.update_xaxes(title="importance", range=[0, shares[-1] * 1.15])  # room for the number behind the longest bar
    return [figure.update_yaxes(type="category", ticksuffix=" ")]


def parallel(material: Material) -> Sequence[Chart]:
    """Draw the networks near the best across the holes that mattered most."""
    holes = list(material.importances)[:MOST_HOLES]
    lowest, _ = _zoom(material.scores)
    good = in_memory((trial for trial in _complete(material.study) if trial.values[0] >= lowest), "good")
    figure: Chart = optuna.visualization.plot_parallel_coordinate(good, params=holes, target_name="accuracy (%)")
    figure.update_annotations(font={"color": None, "size": 11})  # Optuna's greys and blues are lost in the dark
    for line in figure.select_traces(selector={"mode": "lines"}):
        line.update(line={"color": between(SCALE, line.y[0])}, opacity=0.7)
    return [figure.update_traces(marker={"colorscale": SCALE}, selector={"mode": "markers"})]


def slices(material: Material) -> Sequence[Chart]:
    """Draw accuracy over each of the holes that mattered most."""
    holes = list(material.importances)[:MOST_HOLES]
    zoom = _zoom(material.scores)
    return [_slice(material.study, hole, zoom) for hole in holes]


def _slice(study: optuna.Study, hole: str, zoom: list[float]) -> Chart:
    figure: Chart = optuna.visualization.plot_slice(study, params=[hole], target_name="accuracy (%)")
    figure.update_traces(marker={"showscale": False, "colorscale": SCALE})
    for trace in figure.data:  # Optuna quotes categories
        trace.x = [x.strip("'") if isinstance(x, str) else x for x in trace.x]
    if figure.layout.xaxis.categoryarray is not None:
        figure.update_xaxes(categoryarray=[x.strip("'") for x in figure.layout.xaxis.categoryarray])
    return figure.update_yaxes(range=zoom).update_layout(height=260, showlegend=False)


def curves(material: Material) -> Sequence[Chart]:
    """Draw accuracy after each epoch."""
    figure: Chart = optuna.visualization.plot_intermediate_values(_awake(material.study))
    if not figure.data:
        raise NotYetError("learning curves need at least 1 trained epoch; there is none")
    curves = sorted(figure.data, key=lambda curve: curve.y[-1], reverse=True)[:MOST_CURVES]
    states = {f"Trial{trial.number}": trial.state for trial in material.run.trials}
    best = f"Trial{material.run.ranked[0].number}" if material.run.ranked else ""
    for curve in curves:
        line = {"color": STATE_COLORS.get(states[curve.name], OTHERS), "width": 3.5 if curve.name == best else 1.2}
        curve.update(line=line, marker={"size": 4}, opacity=1 if curve.name == best else 0.6)
    figure.data = tuple(curves)
    figure.update_xaxes(title="epoch", dtick=1 if max(max(curve.x) for curve in curves) <= 20 else None)  # noqa: PLR2004
    return [figure.update_yaxes(title=ACCURACY, range=_zoom([curve.y[-1] for curve in curves], spread=8))]


def _awake(study: optuna.Study) -> optuna.Study:
    """Let trials that wait to go on run, where there are any: Optuna draws no curve of them."""
    if not study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
        return study
    told = [copy(trial) for trial in study.get_trials(deepcopy=False)]
    for trial in told:
        if trial.state == TrialState.WAITING:
            trial.state = TrialState.RUNNING
    return in_memory(told, study.study_name)


def timeline(material: Material) -> Sequence[Chart]:
    """Draw when each trial was trained."""
    begun = {trial.number for trial in material.run.trials if trial.slot is not None}
    if not begun:
        raise NotYetError("the timeline needs at least 1 trial that a worker began with; there is none")
    figure: Chart = optuna.visualization.plot_timeline(material.study)
    names = {"COMPLETE": "complete", "PRUNED": "stopped", "FAIL": "failed", "RUNNING": "running"}
    figure.data = tuple(bar for bar in figure.data if bar.name in names)
    for bar in figure.data:
        bar.update(name=names[bar.name], marker={"color": STATE_COLORS[names[bar.name]]})
        trained = [place for place, number in enumerate(bar.y) if number in begun]  # others were answered at once
        bar.update({part: [bar[part][place] for place in trained] for part in ("x", "y", "base", "text")})
    figure.data = tuple(bar for bar in figure.data if bar.y)
    figure.update_xaxes(title="time").update_yaxes(title="trial", autorange="reversed")
    return [figure.update_layout(height=min(900, 220 + 5 * len(material.run.trials)))]

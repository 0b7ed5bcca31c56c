"""Which figures tell a run? Each is drawn by itself, so that one that cannot be drawn says why in its place."""

import logging
import warnings
from collections.abc import Callable, Iterable, Sequence
from html import escape
from statistics import median
from typing import Any, NamedTuple

import optuna
import plotly.graph_objects as go
from optuna.trial import TrialState

from cnnsearch.history import Run, Trial

MOST_HOLES = 8  # in the figures that give every hole an axis: the most important ones
MOST_CURVES = 200  # a browser draws about so many at once
ACCURACY = "validation accuracy (%)"


class NotYetError(Exception):
    """A figure does not apply to this run; the text says what is missing."""


class Material(NamedTuple):
    """What figures are drawn from: the run, and the same as Optuna's study with short names and percents."""

    run: Run
    study: optuna.Study

    @property
    def scores(self) -> list[float]:
        """Give the accuracies of the complete trials, in percent."""
        return [
            trial.value
            for trial in self.study.get_trials(deepcopy=False)
            if trial.state == TrialState.COMPLETE and trial.value is not None
        ]


class Figure(NamedTuple):
    """A figure to be drawn, with the sentence that says how to read it; several drawings stand side by side."""

    title: str
    caption: str
    draw: Callable[[Material], Sequence[go.Figure]]


class Drawn(NamedTuple):
    """A figure that was drawn, or the reason why it was not."""

    title: str
    caption: str
    drawings: Sequence[go.Figure]
    reason: str = ""


def draw(figure: Figure, material: Material) -> Drawn:
    """Draw a figure; whatever goes wrong becomes the reason that is shown in its place."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Optuna marks some plots as experimental
            return Drawn(figure.title, figure.caption, figure.draw(material))
    except NotYetError as missing:
        return Drawn(figure.title, figure.caption, (), str(missing))
    except Exception as error:  # a report never dies of one figure
        logging.getLogger(__name__).debug("figure %r", figure.title, exc_info=True)
        return Drawn(figure.title, figure.caption, (), f"could not be drawn: {type(error).__name__}: {error}")


def _need(scores: Sequence[object], count: int, what: str) -> None:
    if len(scores) < count:
        noun = "trial" if count == 1 else "trials"
        raise NotYetError(f"{what} {count} complete {noun}; there {'is' if len(scores) == 1 else 'are'} {len(scores)}")


def _zoom(scores: Sequence[float]) -> list[float]:
    """Give the range in which the good ones can be told apart; a double click on the figure shows the rest."""
    best = max(scores)
    lowest = best - max(4 * (best - median(scores)), 0.2)
    low = min((score for score in scores if score >= lowest), default=best)
    margin = max((best - low) * 0.08, 0.02)
    return [low - margin, min(best + margin, 100 + margin)]


def _history(material: Material) -> Sequence[go.Figure]:
    _need(material.scores, 1, "the history needs at least")
    figure = optuna.visualization.plot_optimization_history(material.study, target_name=ACCURACY)
    names = {ACCURACY: "one network", "Best Value": "best so far"}
    figure.for_each_trace(lambda trace: trace.update(name=names.get(trace.name, trace.name)))
    return [figure.update_yaxes(range=_zoom(material.scores))]


def _cost(material: Material) -> Sequence[go.Figure]:
    complete = material.run.ranked
    _need(complete, 1, "accuracy against parameters needs at least")
    front = pareto_front(complete)
    figure = go.Figure()
    rest = [trial for trial in complete if trial not in front]
    figure.add_scatter(**_points(rest), mode="markers", name="other networks", marker={"size": 7, "opacity": 0.6})
    line: dict[str, Any] = {"mode": "lines+markers", "line": {"shape": "hv", "width": 2}, "marker": {"size": 10}}
    figure.add_scatter(**_points(front), **line, name="none is both smaller and better")
    star = {"size": 17, "symbol": "star"}
    figure.add_scatter(**_points(complete[:1]), mode="markers", name="best", marker=star)
    figure.update_xaxes(title="parameters", type="log", dtick="D2" if _decades(complete) < 1.5 else "D1")  # noqa: PLR2004
    return [figure.update_yaxes(title=ACCURACY, range=_zoom(material.scores))]


def pareto_front(trials: Iterable[Trial]) -> list[Trial]:
    """Give the trials that no other beats in accuracy with as few parameters, smallest first."""
    front: list[Trial] = []
    for trial in sorted(trials, key=lambda trial: (trial.parameters, -(trial.score or 0), trial.number)):
        if not front or (trial.score or 0) > (front[-1].score or 0):
            front.append(trial)
    return front


def _decades(trials: Sequence[Trial]) -> float:
    from math import log10

    sizes = [max(trial.parameters, 1) for trial in trials]
    return log10(max(sizes) / min(sizes))


def _points(trials: Sequence[Trial]) -> dict[str, Any]:
    return {
        "x": [trial.parameters for trial in trials],
        "y": [(trial.score or 0) * 100 for trial in trials],
        "text": [f"trial {trial.number}: {escape(in_short(trial))}" for trial in trials],
        "hovertemplate": "%{text}<br>%{y:.2f} %, %{x:,} parameters<extra></extra>",
    }


def in_short(trial: Trial) -> str:
    """Write a trial's network in one line; one whose blocks are not known here is only counted."""
    try:
        return str(trial.network)
    except ValueError:  # a user's own block that is not imported here
        blocks = trial.network_data.get("blocks")
        return f"{len(blocks) if isinstance(blocks, list) else '?'} blocks of an unknown kind"  # pyright: ignore[reportUnknownArgumentType]


def _importances(material: Material) -> Sequence[go.Figure]:
    order = _by_importance(material)
    figure = optuna.visualization.plot_param_importances(material.study, params=order[: 2 * MOST_HOLES])
    figure.update_layout(height=120 + 26 * min(len(order), 2 * MOST_HOLES), title=None, showlegend=False)
    return [figure.update_xaxes(title="importance").update_yaxes(title=None)]


def _by_importance(material: Material) -> list[str]:
    _need(material.scores, 2, "importances need at least")
    if len(set(material.scores)) == 1:
        raise NotYetError("importances need complete trials of different accuracy; all have the same")
    importances = optuna.importance.get_param_importances(material.study)
    if not importances:
        raise NotYetError("importances need holes that more than one value was built in")
    return list(importances)


def _parallel(material: Material) -> Sequence[go.Figure]:
    holes = _by_importance(material)[:MOST_HOLES]
    return [optuna.visualization.plot_parallel_coordinate(material.study, params=holes, target_name="accuracy (%)")]


def _slices(material: Material) -> Sequence[go.Figure]:
    holes = _by_importance(material)[:MOST_HOLES]
    zoom = _zoom(material.scores)
    return [_slice(material.study, hole, zoom) for hole in holes]


def _slice(study: optuna.Study, hole: str, zoom: list[float]) -> go.Figure:
    figure = optuna.visualization.plot_slice(study, params=[hole], target_name="accuracy (%)")
    figure.update_traces(marker={"showscale": False})
    return figure.update_yaxes(range=zoom).update_layout(height=260, showlegend=False)


def _curves(material: Material) -> Sequence[go.Figure]:
    figure = optuna.visualization.plot_intermediate_values(material.study)
    if not figure.data:
        raise NotYetError("learning curves need at least 1 trained epoch; there is none")
    curves = sorted(figure.data, key=lambda curve: curve.y[-1], reverse=True)[:MOST_CURVES]
    for curve in curves:
        curve.update(line={"width": 1.3}, opacity=0.75, marker={"size": 4})
    figure.data = tuple(curves)
    figure.update_xaxes(title="epoch", dtick=1 if max(max(curve.x) for curve in curves) <= 20 else None)  # noqa: PLR2004
    return [figure.update_yaxes(title=ACCURACY, range=_zoom([curve.y[-1] for curve in curves]))]


def _timeline(material: Material) -> Sequence[go.Figure]:
    begun = [trial for trial in material.run.trials if trial.slot is not None]
    if not begun:
        raise NotYetError("the timeline needs at least 1 trial that a worker began with; there is none")
    figure = optuna.visualization.plot_timeline(material.study)
    states = {
        "COMPLETE": ("complete", "#2f7ed8"),
        "PRUNED": ("stopped", "#e8a33d"),
        "FAIL": ("failed", "#d64545"),
        "RUNNING": ("running", "#3aa76d"),
    }
    figure.data = tuple(bar for bar in figure.data if bar.name in states)
    for bar in figure.data:
        name, color = states[bar.name]
        bar.update(name=name, marker={"color": color})
    figure.update_xaxes(title="time").update_yaxes(title="trial", autorange="reversed")
    return [figure.update_layout(height=min(900, 220 + 5 * len(material.run.trials)))]


FIGURES = (
    Figure(
        "Accuracy against parameters",
        "Each point is a network. The line joins those that no smaller network equals.",
        _cost,
    ),
    Figure("History", "Each point is a complete trial; the line is the best so far.", _history),
    Figure(
        "What mattered",
        "The share of each choice in being among the best tenth (PED-ANOVA), from what was built.",
        _importances,
    ),
    Figure("Parallel coordinates", "Each line is a network; the axes are the choices that mattered most.", _parallel),
    Figure(
        "Choice by choice", "Accuracy over each of the choices that mattered most; darker points came later.", _slices
    ),
    Figure("Learning curves", "Validation accuracy after each epoch, stopped trials included.", _curves),
    Figure("Timeline", "When each trial was trained, and what became of it.", _timeline),
)

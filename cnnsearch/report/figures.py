"""Which figures tell a run? Each is drawn by itself, so that one that cannot be drawn says why in its place."""

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from cnnsearch.objectives import WORDS, Aim
from cnnsearch.report import charts
from cnnsearch.report.charts import Material, NotYetError
from cnnsearch.report.plots import Chart
from cnnsearch.trials import quiet


class Figure(NamedTuple):
    """A figure to be drawn, with the sentence that says how to read it; several drawings stand side by side."""

    title: str
    caption: str
    draw: Callable[[Material], Sequence[Chart]]


class Drawn(NamedTuple):
    """A figure that was drawn, or the reason why it was not."""

    title: str
    caption: str
    drawings: Sequence[Chart]
    reason: str = ""


def draw(figure: Figure, material: Material) -> Drawn:
    """Draw a figure; whatever goes wrong becomes the reason that is shown in its place."""
    try:
        with warnings.catch_warnings(), quiet():
            warnings.simplefilter("ignore")  # Optuna marks some plots as experimental
            return Drawn(figure.title, figure.caption, figure.draw(material))
    except NotYetError as missing:
        return Drawn(figure.title, figure.caption, (), str(missing))
    except Exception as error:  # a report never dies of one figure
        logging.getLogger(__name__).debug("figure %r", figure.title, exc_info=True)
        return Drawn(figure.title, figure.caption, (), f"could not be drawn: {type(error).__name__}: {error}")


_OF_ACCURACY = (
    Figure("History", "Each point is a complete trial; the line is the best so far.", charts.history),
    Figure(
        "What mattered",
        "The share of each choice in being among the best tenth (PED-ANOVA), by what was built; of few trials a hint.",
        charts.importances,
    ),
    Figure(
        "Parallel coordinates",
        "Each line is a network near the best, the axes what mattered most; None: there is no such choice in it.",
        charts.parallel,
    ),
    Figure(
        "Choice by choice",
        "Accuracy over each of the choices that mattered most; blue points came later than amber ones.",
        charts.slices,
    ),
    Figure(
        "Learning curves",
        "Validation accuracy after each epoch. Blue: complete, the best one thick; amber: stopped early; red: failed; "
        "green: not over.",
        charts.curves,
    ),
    Figure(
        "Timeline",
        "When each trial was begun and ended, pauses included, and what became of it.",
        charts.timeline,
    ),
)


def asked(aim: Aim) -> Iterator[Figure]:
    """Give the figures of a run that sought this, in their order."""
    costs = [WORDS[name] for name in aim.shown]
    caption = "Each point is a network. The line joins those that no smaller network equals."
    if aim.costs:
        caption = "Each point is a network. Those of the Pareto front are beaten by no other in all objectives at once."
    floor = " Above the dotted line is what meets the floor." if aim.floor is not None else ""
    yield Figure(f"Accuracy against {' and '.join(costs)}", caption + floor, charts.cost)
    if aim.costs:
        yield Figure("Hypervolume", "How much of what the Pareto front covers was covered so far.", charts.hypervolume)
    yield from _OF_ACCURACY

"""How does a record become figures, and a page on the disk?"""

from collections.abc import Sequence
from pathlib import Path

from cnnsearch import trials
from cnnsearch.errors import refuse_unlike
from cnnsearch.files import write_whole
from cnnsearch.history import A_RUN, Run, read
from cnnsearch.report.charts import Material
from cnnsearch.report.figures import Drawn, asked, draw
from cnnsearch.report.names import readable, short_names
from cnnsearch.report.page import page
from cnnsearch.report.plots import Chart

PAGE = "report.html"


def write_report(folder: Path, to: Path | None = None) -> Path:
    """Write a run's page into its folder, or to the file or into the folder that `to` names, and give its path.

    Raises RunError when the record cannot be read, OSError when the page cannot be written.
    """
    to = to or folder
    path = to / PAGE if to.is_dir() else to
    text = as_page(read(folder))
    try:
        write_whole(path, text)
    except FileNotFoundError:  # a study that begins or ends at this moment clears its folder of drafts
        write_whole(path, text)
    return path


def as_page(run: Run) -> str:
    """Turn a run into the text of its page."""
    names = _names(run)
    return page(run, _drawn(run, names), names)


def figures(run: Run) -> dict[str, Sequence[Chart]]:
    """Draw what the page shows, as figures of plotly's: by title, several where they stand side by side.

    One that does not apply to the run, not yet, or could not be drawn is left out; the page says why. Raises TypeError
    for what is no run.
    """
    refuse_unlike(run, Run, A_RUN)
    return {drawn.title: drawn.drawings for drawn in _drawn(run, _names(run)) if not drawn.reason}


def _names(run: Run) -> dict[str, str]:
    return short_names(sorted({name for trial in run.trials for name in trial.built}))


def _drawn(run: Run, names: dict[str, str]) -> list[Drawn]:
    shown = readable(run, names)
    material = Material(shown, trials.study(shown, scale=100))
    return [draw(figure, material) for figure in asked(run.aim)]

"""How does a record become a page on the disk?"""

from pathlib import Path

from cnnsearch import trials
from cnnsearch.files import write_whole
from cnnsearch.history import Run, read
from cnnsearch.report.charts import Material
from cnnsearch.report.figures import draw, figures
from cnnsearch.report.names import readable, short_names
from cnnsearch.report.page import page

PAGE = "report.html"


def write_report(folder: Path, to: Path | None = None) -> Path:
    """Write a run's page into its folder, or to the file or into the folder that `to` names, and give its path.

    Raises RunError when the record cannot be read, OSError when the page cannot be written.
    """
    to = to or folder
    path = to / PAGE if to.is_dir() else to
    write_whole(path, as_page(read(folder)))
    return path


def as_page(run: Run) -> str:
    """Turn a run into the text of its page."""
    names = short_names(sorted({name for trial in run.trials for name in trial.built}))
    shown = readable(run, names)
    material = Material(shown, trials.study(shown, scale=100))
    return page(run, [draw(figure, material) for figure in figures(run.aim)], names)

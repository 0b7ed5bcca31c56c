"""How does a record become a page on the disk?"""

from pathlib import Path

from cnnsearch import trials
from cnnsearch.files import write_whole
from cnnsearch.history import Run, read
from cnnsearch.report.charts import Material
from cnnsearch.report.figures import FIGURES, draw
from cnnsearch.report.names import readable, short_names
from cnnsearch.report.page import page

PAGE = "report.html"


def write_report(folder: Path) -> Path:
    """Write `report.html` into a run's folder and give its path; raise RunError when the record cannot be read."""
    path = folder / PAGE
    write_whole(path, as_page(read(folder)))
    return path


def as_page(run: Run) -> str:
    """Turn a run into the text of its page."""
    names = short_names(sorted({name for trial in run.trials for name in trial.built}))
    shown = readable(run, names)
    material = Material(shown, trials.study(shown, scale=100))
    return page(run, [draw(figure, material) for figure in FIGURES], names)

"""How are the finals shown on a terminal?"""

from rich.table import Table

from cnnsearch.history import Run
from cnnsearch.report import mistakes, smaller
from cnnsearch.report.finals import cells, columns, sentences
from cnnsearch.terminal import console
from cnnsearch.verdict import verdict


def show(run: Run) -> None:
    """Print the finals of a run, if there were any."""
    found = verdict(run)
    if found is None:
        return
    table = Table(title="The finals")
    for name in columns(run.aim):
        table.add_column(name, justify="left" if name == "entrant" else "right")
    for row in found.rows:
        table.add_row(*cells(row, run.aim))
    screen = console(140)
    screen.print(table)
    for sentence in (*sentences(run, found), *mistakes.sentences(run), *smaller.sentences(run)):
        screen.print(sentence, markup=False)

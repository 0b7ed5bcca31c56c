"""`python -m cnnsearch.explain RUN`."""

import argparse
import signal
import sys

if __name__ == "__main__":  # until there is something to end in order, Ctrl-C ends at once and without a traceback
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from cnnsearch.evaluate.machine import add_flags, take
from cnnsearch.terminal import console, exit_status

if TYPE_CHECKING:
    from cnnsearch.ablation import Ablation

MOST_SEEDS = 100


def main() -> int:
    """Train the winner's variants and print their differences; give the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m cnnsearch.explain",
        description="Take away, halve and double each block of a run's winner, train again, and show the differences.",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="a run whose finals are over, such as runs/mnist-1a2b3c")
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="trainings of each variant (default: 1)")
    add_flags(parser)
    options = parser.parse_args()
    if not 1 <= options.seeds <= MOST_SEEDS:
        parser.error(f"--seeds: from 1 to {MOST_SEEDS}, not {options.seeds}")
    from cnnsearch.explain.conduct import explain
    from cnnsearch.report.write import write_report

    def story() -> int:
        found = explain(options.run, options.seeds, machine=take(vars(options)))
        page = write_report(options.run)
        _show(found, page)
        return 0

    return exit_status(story, "what is trained is kept. The same command goes on.")


def _show(found: "Ablation | None", page: Path) -> None:
    from cnnsearch.report.ablated import COLUMNS, cells, sentences, title

    screen = console(120)
    if found is None:
        screen.print("No block of the winner can be taken away, halved or doubled: none of that fits.")
        return
    table = Table(title=title(found))
    for name in COLUMNS:
        table.add_column(name, justify="left" if name == "variant" else "right")
    for each in found.differences:
        table.add_row(*cells(each))
    screen.print(table)
    for sentence in sentences(found):
        screen.print(sentence, markup=False)
    screen.print(f"{page} shows it too, and what each choice did over all trials.", markup=False)


if __name__ == "__main__":
    sys.exit(main())

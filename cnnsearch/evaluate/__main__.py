"""`python -m cnnsearch.evaluate RUN`."""

import argparse
import signal
import sys

if __name__ == "__main__":  # until there is something to end in order, Ctrl-C ends at once and without a traceback
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from pathlib import Path
from typing import Any

from cnnsearch.evaluate.machine import add_flags, take
from cnnsearch.terminal import exit_status


def main() -> int:
    """Hold a run's finals and print the table; give the exit status."""
    options = _options()
    folder: Path = options.pop("run")
    machine = take(options)
    from cnnsearch.evaluate.conduct import evaluate
    from cnnsearch.evaluate.table import show
    from cnnsearch.report.write import write_report

    def story() -> int:
        given = {name: value for name, value in options.items() if value is not None}
        show(evaluate(folder, finals=given, machine=machine))
        write_report(folder)
        return 0

    return exit_status(story, "what is trained is kept. The same command goes on.")


def _options() -> dict[str, Any]:
    parser = argparse.ArgumentParser(
        prog="python -m cnnsearch.evaluate",
        description="Train the best few of a run again, name the winner, and read the test images once. "
        "What is not given is as it was for the run; who was trained before stays in the comparison.",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="the folder of a run, such as runs/mnist-1a2b3c")
    helps = {
        "candidates": "how many of the best are trained again",
        "finalists": "how many of these are trained with more seeds",
        "seeds": "trainings of each finalist",
        "epochs": "passes over the training images",
    }
    for name, help_ in helps.items():  # each also by the name that it has in `study`, which pages speak of
        parser.add_argument(f"--{name}", f"--finals.{name}", dest=name, type=int, metavar="N", help=help_)
    add_flags(parser)
    return vars(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())

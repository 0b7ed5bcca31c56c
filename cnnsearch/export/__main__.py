"""`python -m cnnsearch.export RUN`: files that work without this library. Nothing imports this file."""

import argparse
import signal
import sys

if __name__ == "__main__":  # until there is something to end in order, Ctrl-C ends at once and without a traceback
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cnnsearch.export.table import Table


def main(arguments: Sequence[str]) -> int:
    """Run one command line; give the exit status: 0 all formats made, 1 some or all are missing, else as everywhere."""
    given = _given(arguments)
    from cnnsearch.terminal import exit_status

    return exit_status(lambda: _export(given), "an export is put into its place when all of it is made.")


class _Given(argparse.Namespace):
    run: Path
    to: Path | None
    data_root: str | None
    imports: list[str]


def _given(arguments: Sequence[str]) -> _Given:
    parser = argparse.ArgumentParser(
        prog="python -m cnnsearch.export",
        description="Write a run's winner as files that work without cnnsearch, each checked in a process without it: "
        "safetensors, a program in plain torch, torch.export, ONNX, int8 ONNX; and a model card.",
        epilog="The winner is taken, or where the run has none yet, the best network of its search.",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="the folder of a run, such as runs/mnist-1a2b3c")
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="where the files go; RUN/export if not given")
    parser.add_argument("--data-root", metavar="FOLDER", help="where data sets are kept; as in the study if not given")
    parser.add_argument(
        "--import", dest="imports", action="append", default=[], metavar="MODULE",
        help="a module of one's own that registers kinds of blocks, besides those the run's plan names",
    )  # fmt: skip
    return parser.parse_args(arguments, namespace=_Given())


def _export(given: _Given) -> int:
    from cnnsearch.datasets import data_root
    from cnnsearch.history import PLAN, plan_of
    from cnnsearch.imports import import_kinds
    from cnnsearch.lock import refuse_owned
    from cnnsearch.places import EXPORT
    from cnnsearch.plan_file import imports_of

    refuse_owned(given.run)
    is_plain = given.run.is_dir() and not (given.run / PLAN).is_file()  # a network with its weights, without a run
    plan = {} if is_plain else plan_of(given.run)
    import_kinds([*imports_of(plan), *given.imports])

    from cnnsearch.export.source import find
    from cnnsearch.export.write import export
    from cnnsearch.own.again import found_again

    to, root = given.to or given.run / EXPORT, data_root(given.data_root or plan.get("data_root"))
    source = find(given.run)
    if plan:
        found_again(plan, given.run, root)
    table = export(source, to, root)
    _show(table, to)
    for name, why in table.missing.items():
        print(f"no {name}: it {why}", file=sys.stderr)
    return 1 if table.missing else 0


def _show(table: "Table", to: Path) -> None:
    from cnnsearch.export.table import of_whom, on_screen, sentences
    from cnnsearch.terminal import console

    screen = console(160)
    screen.print(f"{of_whom(table)}: {table.network}", markup=False)
    screen.print(on_screen(table))
    for sentence in sentences(table):
        screen.print(sentence, markup=False)
    screen.print(f"In {to}; README.md tells all of it.", markup=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

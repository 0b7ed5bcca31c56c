"""`python -m cnnsearch.study`: search for the best network. Nothing imports this file."""

import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from cnnsearch.errors import CnnsearchError, InvalidSpecError
from cnnsearch.imports import import_kinds
from cnnsearch.plan import Plan, imports_of
from cnnsearch.study.flags import Command, read_command

FALLBACK = (
    "MNIST is neither on disk nor to be had, so this study is on DIGITS (8x8 images, 1,197 for training): "
    "its results say nothing about MNIST. `--dataset mnist` says what is missing."
)


def main(arguments: Sequence[str]) -> int:
    """Run one command line; give the exit status: 0 done, 1 nothing found or not possible, 2 bad input, 130 or 143."""
    try:
        command = read_command(arguments)
        import_kinds(imports_of(command.plan))
        if command.dry_run:
            return _dry_run(Plan.model_validate(command.plan))
        return _study(command)
    except InvalidSpecError as error:
        print(error, file=sys.stderr)
        return 2
    except (CnnsearchError, OSError) as error:  # OSError: a folder that cannot be written, a full disk
        print(error, file=sys.stderr)
        return 1


def _dry_run(plan: Plan) -> int:
    from cnnsearch.preview import describe

    for line in describe(plan):
        print(line)
    return 0


def _study(command: Command) -> int:
    signals = _Signals()
    plan = Plan.model_validate(command.plan)  # a bad plan is refused before anything is downloaded
    notice = ""
    try:
        if not command.names_dataset and not _has_mnist(plan):
            plan, notice = Plan.model_validate({**command.plan, "dataset": "digits"}), FALLBACK
            print(f"\n*** {notice} ***\n", file=sys.stderr)
        from cnnsearch.study.conduct import search
        from cnnsearch.study.ending import show

        return show(search(plan, notice=notice), notice)
    except KeyboardInterrupt:
        look = f"; `python -m cnnsearch.report {plan.folder}` shows what there is" if plan.folder.exists() else ""
        print(f"\nstopped; {plan.folder} keeps what is done. Go on with the same command{look}.", file=sys.stderr)
        return 128 + signals.received


def _has_mnist(plan: Plan) -> bool:
    from cnnsearch.datasets import data_root
    from cnnsearch.download import prepare
    from cnnsearch.errors import DataError

    try:
        prepare("mnist", data_root(plan.data_root))
    except DataError:
        return False
    return True


class _Signals:
    """Turns polite signals into KeyboardInterrupt, so that whatever runs ends in order; a second one ends at once."""

    def __init__(self) -> None:
        self.received = signal.SIGINT
        self._heard = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
        for number in self._heard:
            signal.signal(number, self._hear)

    def _hear(self, number: int, frame: FrameType | None) -> NoReturn:
        _ = frame
        for each in self._heard:
            signal.signal(each, signal.SIG_DFL)
        self.received = signal.Signals(number)
        raise KeyboardInterrupt


if __name__ == "__main__":
    sys.path.insert(0, "")  # modules of one's own are found where the command is given
    sys.exit(main(sys.argv[1:]))

"""`python -m cnnsearch.study`: search for the best network. Nothing imports this file."""

import signal
import sys

if __name__ == "__main__":  # until there is something to end in order, Ctrl-C ends at once and without a traceback
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from collections.abc import Sequence

from cnnsearch.check.reading import RefusedError
from cnnsearch.errors import CnnsearchError, InvalidSpecError, NotDownloadedError, status_of
from cnnsearch.imports import import_kinds
from cnnsearch.plan import Plan
from cnnsearch.plan_file import imports_of
from cnnsearch.signals import end_with_reader, obeying
from cnnsearch.study.flags import Command, read_command

FALLBACK = (
    "MNIST is not on disk and could not be downloaded, so this study is on DIGITS (8x8 images, 1,197 for training): "
    "its results say nothing about MNIST. `--dataset mnist` says what is missing."
)


def main(arguments: Sequence[str]) -> int:
    """Run one command line; give the exit status.

    0 done, 1 nothing found or not possible, 2 bad input, 75 the disk is full, 129, 130 or 143 stopped by a signal.
    """
    source = ""
    try:
        command = read_command(arguments)
        source = command.source
        import_kinds(imports_of(command.plan))
        if command.dry_run:
            return _dry_run(Plan.model_validate(command.plan))
        return _study(command)
    except RefusedError as error:
        print(error, file=sys.stderr)
        return 2
    except InvalidSpecError as error:
        print(RefusedError(source, "no valid plan", error) if source else error, file=sys.stderr)
        return 2
    except (CnnsearchError, OSError) as error:  # OSError: a folder that cannot be written, a full disk
        print(error, file=sys.stderr)
        return status_of(error)


def _dry_run(plan: Plan) -> int:
    from cnnsearch.preview import describe
    from cnnsearch.study.kept import refuse_other_twin, same_run

    end_with_reader()
    same_run(plan)
    refuse_other_twin(plan)
    for line in describe(plan):
        print(line)
    return 0


def _study(command: Command) -> int:
    plan = None

    def story() -> int:
        nonlocal plan
        plan = Plan.model_validate(command.plan)  # a bad plan is refused before anything is downloaded
        plan, notice = _with_data(plan, command)
        return _search(plan, notice)

    return obeying(story, lambda: print(f"\n{_stopped(plan)}", file=sys.stderr))


def _with_data(plan: Plan, command: Command) -> tuple[Plan, str]:
    """Take digits, and say so, where nobody named a data set and MNIST can be neither found nor downloaded."""
    if command.names_dataset or _has_mnist(plan):
        return plan, ""
    print(f"\n*** {FALLBACK} ***\n", file=sys.stderr)
    return Plan.model_validate({**command.plan, "dataset": "digits"}), FALLBACK


def _search(plan: Plan, notice: str) -> int:
    from cnnsearch.study.conduct import search
    from cnnsearch.study.ending import show

    return show(search(plan, notice=notice), notice)


def _stopped(plan: Plan | None) -> str:
    if plan is None or not plan.folder.exists():
        return "stopped before anything was done."
    look = f"`python -m cnnsearch.report {plan.folder}` shows what there is"
    return f"stopped; {plan.folder} keeps what is done. Go on with the same command; {look}."


def _has_mnist(plan: Plan) -> bool:
    from cnnsearch.download import prepare

    try:
        prepare("mnist", plan.data_folder)
    except NotDownloadedError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

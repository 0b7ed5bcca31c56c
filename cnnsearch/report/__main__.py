"""`python -m cnnsearch.report RUN`."""

import argparse
import signal
import sys

if __name__ == "__main__":  # until there is something to end in order, Ctrl-C ends at once and without a traceback
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from pathlib import Path

from cnnsearch.errors import DiskFullError, RunError


def main() -> int:
    """Write the page again and print its path."""
    parser = argparse.ArgumentParser(prog="python -m cnnsearch.report", description="Write a run's report.html again.")
    parser.add_argument("run", type=Path, metavar="RUN", help="the folder of a run, such as runs/mnist-1a2b3c")
    parser.add_argument("--to", type=Path, metavar="FILE", help="where to write the page instead of RUN/report.html")
    parser.add_argument(
        "--import", dest="imports", action="append", default=[], metavar="MODULE",
        help="a module of one's own that registers kinds of blocks, so that they can be drawn",
    )  # fmt: skip
    given = parser.parse_args()
    from cnnsearch.imports import import_kinds
    from cnnsearch.report.write import write_report
    from cnnsearch.terminal import exit_status

    def story() -> int:
        import_kinds(given.imports)  # what the run's own plan names is not imported: it may come from anybody
        try:
            print(write_report(given.run, given.to))
        except DiskFullError:
            raise
        except OSError as error:
            way = "" if given.to else "; --to FILE writes the page elsewhere"
            raise RunError(f"{given.to or given.run}: {error.strerror or error}{way}") from error
        return 0

    return exit_status(story, "the page is as it was.")


if __name__ == "__main__":
    sys.exit(main())

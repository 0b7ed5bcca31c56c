"""`python -m cnnsearch.report RUN`."""

import argparse
import sys
from pathlib import Path

from cnnsearch.errors import RunError


def main() -> int:
    """Write the page again and print its path."""
    parser = argparse.ArgumentParser(prog="python -m cnnsearch.report", description="Write a run's report.html again.")
    parser.add_argument("run", type=Path, metavar="RUN", help="the folder of a run, such as runs/mnist-1a2b3c")
    folder: Path = parser.parse_args().run
    from cnnsearch.report import write_report

    try:
        sys.stdout.write(f"{write_report(folder)}\n")
    except (RunError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

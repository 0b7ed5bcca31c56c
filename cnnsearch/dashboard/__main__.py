"""`python -m cnnsearch.dashboard RUN`."""

import argparse
import sys
import webbrowser
from contextlib import suppress
from pathlib import Path

from cnnsearch.errors import RunError, status_of

MOST_PORT = 65_535


def main() -> int:
    """Serve a run until Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="python -m cnnsearch.dashboard",
        description="Look at a run in a browser, also while it runs; nothing a browser does can touch the run.",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="the folder of a run, such as runs/mnist-1a2b3c")
    parser.add_argument("--port", type=int, default=8080, help="where to listen on 127.0.0.1; 0: any free port")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    arguments = parser.parse_args()
    if not 0 <= arguments.port <= MOST_PORT:
        parser.error(f"--port: from 0 to {MOST_PORT:,}, not {arguments.port:,}")
    try:
        _serve(arguments.run, arguments.port, browse=not arguments.no_browser)
    except (RunError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return status_of(error)
    return 0


def _serve(folder: Path, port: int, *, browse: bool) -> None:
    with suppress(KeyboardInterrupt):
        from cnnsearch.dashboard.serve import Dashboard

        with Dashboard(folder, port) as dashboard:
            sys.stdout.write(f"{dashboard.url} shows {folder}; Ctrl-C ends it\n")
            sys.stdout.flush()
            if browse:
                webbrowser.open(dashboard.url)
            dashboard.wait()


if __name__ == "__main__":
    sys.exit(main())

"""One who looks at a run again and again while it is made: `python looking.py WAY FOLDER` until its input ends.

Says at the end, as JSON, how often it looked and what it found wrong. A look finds something whole, and never less
than the look before. It works at the lowest priority and twice a second, as one does who only looks.
"""

import json
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from cnnsearch.history import Run, read

PAUSE = 0.5  # seconds
LAST_WORDS = {"complete", "stopped", "failed", "turned_away", "repeated"}


def wrong(before: Run | None, run: Run) -> str:
    """Say what cannot be in a run, by itself or after what was seen before."""
    for place, trial in enumerate(run.trials):
        epochs = [epoch.epoch for epoch in trial.epochs]
        if trial.number != place or epochs != list(range(1, len(epochs) + 1)):
            return f"trial {trial.number} at place {place} with epochs {epochs}"
        if trial.state == "complete" and (trial.score is None or len(epochs) != trial.recipe.epochs):
            return f"trial {place} is complete with {len(epochs)} epochs and score {trial.score}"
    for old, new in zip(before.trials if before else (), run.trials, strict=False):
        if old.state in LAST_WORDS and old != new:
            return f"trial {old.number} was {old.state} and is another now"
    if before and len(run.trials) < len(before.trials):
        return f"{len(run.trials)} trials after {len(before.trials)}"
    return ""


def look(_: Run) -> None:
    """Read the run, which was done already."""


def draw(run: Run) -> None:
    """Make its page."""
    from cnnsearch.report.write import as_page

    assert as_page(run).rstrip().endswith("</html>"), "half a page"


def copy(run: Run) -> None:
    """Copy it as the dashboard does."""
    from cnnsearch.dashboard.copy import copied

    assert len(copied(run).get_all_trials(0)) == len(run.trials), "not all trials"


def query(run: Run) -> None:
    """Look into its storage, as any other program may."""
    with closing(sqlite3.connect(f"file:{run.folder}/storage.sqlite3?mode=ro", uri=True)) as connection:
        (running,) = connection.execute("SELECT count(*) FROM trials WHERE state = 'RUNNING'").fetchone()
        assert running == 0, f"{running} trials RUNNING"


WAYS: dict[str, Callable[[Run], None]] = {"read": look, "page": draw, "dashboard": copy, "storage": query}


def main(way: str, folder: Path) -> None:
    """Look until nobody wants it any more, and once more then."""
    os.nice(19)
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    looks, faults, before, longest = 0, list[str](), None, 0.0
    last = False
    while not last:
        last = over.wait(PAUSE)  # and once more when all is over
        began = time.monotonic()
        try:
            run = read(folder)
            faults += filter(None, [wrong(before, run)])
            WAYS[way](run)
            before = run
        except Exception as error:  # noqa: BLE001 (whatever it is, it is what the goal asks for)
            faults.append(f"{way}: {type(error).__name__}: {error}")
        looks, longest = looks + 1, max(longest, time.monotonic() - began)
    sys.stdout.write(json.dumps({"looks": looks, "faults": faults[:5]}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))

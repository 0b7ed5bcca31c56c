"""Goal of those who look: whoever reads a run while it is made is in nobody's way, and sees whole states."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from faults import goal
from goals_kills import assert_whole, finished, folder, plan_of
from goals_signals import command
from looking import WAYS
from study_rig import HERE, end_of, environment, start, until

READERS = (*["read"] * 6, *["page"] * 4, *["dashboard"] * 3, *["storage"] * 3)
SLOWER = 0.05  # of the time that the study takes alone
SECONDS = "waits"


class Looked(NamedTuple):
    """How a study went that was looked at."""

    seconds: float
    waited: float
    """For disk or locks, while the coordinator wrote."""
    looks: int


@goal("R8", "sixteen who look at a study of so many trials", 200)
def readers(count: int) -> str:
    """Run a study alone, then looked at by sixteen processes: pages, copies and queries again and again."""
    alone, seen = looked_at(count, ()), looked_at(count, READERS)
    slower = (seen.waited - alone.waited) / alone.seconds
    assert slower <= SLOWER, f"the coordinator waits {slower:.1%} of its time for those who look"
    waits = f"the coordinator waited {seen.waited:.2f} s for disk and locks, alone {alone.waited:.2f} s: {slower:+.1%}"
    return (
        f"{seen.looks} looks by {len(READERS)} processes (twice a second each, at the lowest priority), 0 errors, "
        f"0 locked, all of whole states; while it wrote, {waits} of the study's time (which took "
        f"{seen.seconds:.0f} s, alone {alone.seconds:.0f} s: they want the processors too)"
    )


def looked_at(trials: int, ways: Sequence[str]) -> Looked:
    """Run a study while so many look at it."""
    with folder() as where:
        name, began = plan_of(where, trials, 2, pruner={"kind": "none"}), time.monotonic()
        process = start(where, name, command=command(WAITS=SECONDS), stdout=subprocess.DEVNULL)
        until(lambda: finished(where) or process.poll() is not None)
        looking = [_look(where, way) for way in ways]
        status, _, err = end_of(process)
        took = time.monotonic() - began
        said = [json.loads(each.communicate()[0] or "{}") for each in looking]
        assert (status, err) == (0, ""), f"exit status {status}: {err[-300:]}"
        assert_whole(where, trials)
        assert all(said), f"of {len(said)} who looked {said.count({})} did not come to an end"
        faults = [fault for each in said for fault in each["faults"]]
        assert not faults, f"{len(faults)} looks found what cannot be: {faults[:3]}"
        assert all(each["looks"] for each in said), "one did not look"
        return Looked(took, float((where / SECONDS).read_text()), sum(each["looks"] for each in said))


def _look(where: Path, way: str) -> subprocess.Popen[str]:
    assert way in WAYS
    return subprocess.Popen(
        [sys.executable, str(HERE / "looking.py"), way, "runs/x"],
        cwd=where,
        env=environment(where),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

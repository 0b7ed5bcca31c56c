"""How long does a coordinator wait for disk or locks while it writes?

That is neither its own work nor its wait for a processor, which Linux tells of each thread: so it can be asked whether
somebody is in its way where the processors are all taken.
"""

import atexit
import time
from pathlib import Path
from typing import Any

NANO = 1e-9
waited = 0.0


def busy() -> float:
    """Give the seconds that this thread has worked or waited for a processor."""
    worked, queued, _ = Path("/proc/thread-self/schedstat").read_text().split()
    return (int(worked) + int(queued)) * NANO


def time_waits(room: Any, name: str) -> None:  # noqa: ANN401 (a module or a class)
    """Add up what a function of a room waits."""
    once = getattr(room, name)

    def timed(*given: object) -> object:
        global waited  # noqa: PLW0603 (a process has one sum)
        began, before = time.monotonic(), busy()
        try:
            return once(*given)
        finally:
            waited += max(0.0, time.monotonic() - began - (busy() - before))

    setattr(room, name, timed)


def tell_at_end(path: Path) -> None:
    """Write the sum down when the process ends."""
    atexit.register(lambda: path.write_text(f"{waited}"))

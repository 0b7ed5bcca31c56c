"""Commands of the library, run as a user runs them: in a process of their own."""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import PIPE
from typing import TypeVar

ROOT = Path(__file__).parent.parent
HEAVY = ("torch", "torchvision", "optuna", "plotly", "sklearn", "rich")


def python(arguments: Sequence[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder; nothing of this machine's state is read or written, and a command that hangs fails."""
    state = {"HOME": str(folder), "XDG_STATE_HOME": str(folder / "state"), "CNNSEARCH_NATIVE": "0", **environment}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, **state},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def heavy_imports(importtime: str) -> list[str]:
    """Give what `-X importtime` has seen of the libraries that take long to import."""
    seen = {line.rpartition("|")[2].strip() for line in importtime.splitlines() if line.startswith("import time:")}
    return [name for name in HEAVY if name in seen]


CALL = "import pickle, sys; call, given = pickle.load(sys.stdin.buffer); pickle.dump(call(*given), sys.stdout.buffer)"
Result = TypeVar("Result")


def at_once(count: int, call: Callable[..., Result], *given: object) -> list[Result]:
    """Call a function of the tests in so many processes at once, and give what each returned.

    A pool of multiprocessing leaves a server behind, which later tests would take for a worker of ours.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", CALL]
    began = [subprocess.Popen(command, env=environment, stdin=PIPE, stdout=PIPE) for _ in range(count)]
    with ThreadPoolExecutor(count) as threads:
        said = list(threads.map(lambda process: process.communicate(pickle.dumps((call, given)), 300)[0], began))
    return [pickle.loads(answer) for answer in said]  # noqa: S301 (our own processes')

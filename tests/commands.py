"""Commands of the library, run as a user runs them: in a process of their own."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

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

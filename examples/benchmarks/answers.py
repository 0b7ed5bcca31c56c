"""How long does a command take that trains nothing? `--help`, a dry run, a good file and a bad one.

    python examples/benchmarks/answers.py --times 7

Whole commands, one after the other in each round. `python -c "import pydantic"` is beside them, since nothing of ours
can be faster.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STUDIES = Path(__file__).parents[2] / "studies"
BAD = "blocks:\n- {conv: {out_channels: 8, kernel_size: 3, strides: 2}}\n"
BARE = "import pydantic, by itself"


def commands(folder: Path) -> dict[str, list[str]]:
    """Give what is timed: the words behind `python`."""
    bad = folder / "bad.yaml"
    bad.write_text(BAD)
    plan = str(STUDIES / "mnist.yaml")
    return {
        BARE: ["-c", "import pydantic; pydantic.BaseModel"],
        "study --help": ["-m", "cnnsearch.study", "--help"],
        "study --dry-run": ["-m", "cnnsearch.study", plan, "--dry-run", "--runs", str(folder)],
        "check, a plan": ["-m", "cnnsearch.check", plan],
        "check, a bad file": ["-m", "cnnsearch.check", str(bad)],
    }


def seconds(words: list[str]) -> float:
    """Time one command, from its start to its end."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}  # as a user's
    began = time.perf_counter()
    done = subprocess.run([sys.executable, *words], env=kept, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode not in {0, 2} or "Traceback" in done.stderr:
        raise SystemExit(done.stderr)
    return time.perf_counter() - began


def main() -> None:
    """Measure in rounds, after one that is not counted: it writes the bytecode."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=7)
    times = parser.parse_args().times
    with tempfile.TemporaryDirectory() as folder:
        timed = commands(Path(folder))
        rounds = [{what: seconds(words) for what, words in timed.items()} for _ in range(times + 1)][1:]
    for what in timed:
        each = sorted(one[what] for one in rounds)
        print(f"{what:<28} median {statistics.median(each):.2f} s ({each[0]:.2f} to {each[-1]:.2f}, n={times})")


if __name__ == "__main__":
    main()

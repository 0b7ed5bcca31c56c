"""How long from the command to the first finished batch? On MNIST's default plan, its files on the disk.

    CNNSEARCH_DATA=FOLDER python examples/benchmarks/first_batch.py --times 5

Starts `python -m cnnsearch.study` with this file as a module to import (`--import`), which every worker does after
torch; there it has the optimizer write down when its first step ends. The study is then ended. The other times
are the record's. Each study is a new run; from the second one on the system has all files in its memory.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PATIENCE = 120.0  # seconds


def mark_first_step(folder: Path) -> None:
    """Write down when this worker came here, and when its first step ended."""
    from cnnsearch.muon import Muon  # the last to step in a step of the default plan

    (folder / f"worker {os.getpid()}").write_text(str(time.time()))
    step = Muon.step

    def first_step(optimizer: Muon) -> None:
        step(optimizer)
        path = folder / f"batch {os.getpid()}.new"
        path.write_text(str(time.time()))
        path.rename(path.with_suffix(""))
        Muon.step = step

    Muon.step = first_step


def measure(folder: Path) -> dict[str, float]:
    """Start a study, wait for its first batch, end it; give the seconds from the command on."""
    here = Path(__file__).parent
    roots = (str(here), str(Path.cwd()), os.environ.get("PYTHONPATH", ""))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, roots)), "FIRST_BATCH": str(folder)}
    command = (sys.executable, "-m", "cnnsearch.study", "--runs", str(folder), "--import", Path(__file__).stem)
    began = time.time()
    study = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)  # noqa: S603 (our own command)
    while not (batches := list(folder.glob("batch *[0-9]"))):
        if time.time() - began > PATIENCE or study.poll() is not None:
            raise SystemExit(f"no batch after {time.time() - began:.0f} s")
        time.sleep(0.002)
    first = min(float(path.read_text()) for path in batches)
    study.send_signal(signal.SIGTERM)
    study.wait()
    (record,) = folder.glob("*/record.jsonl")
    told = [json.loads(line) for line in record.read_text().splitlines()]
    times = {event: min(line["time"] for line in told if line["event"] == event) for event in ("opened", "started")}
    torch = min(float(path.read_text()) for path in folder.glob("worker *"))
    return {
        "the run is open, workers start": times["opened"] - began,
        "the first job is handed over": times["started"] - began,
        "the first worker has imported torch": torch - began,
        "the first batch is finished": first - began,
    }


def main() -> None:
    """Measure several times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=5)
    options = parser.parse_args()
    measured: list[dict[str, float]] = []
    for _ in range(options.times):
        with tempfile.TemporaryDirectory() as folder:
            measured.append(measure(Path(folder)))
    for what in measured[0]:
        seconds = sorted(each[what] for each in measured)
        told = f"median {statistics.median(seconds):5.2f} s ({seconds[0]:.2f} to {seconds[-1]:.2f}, n={len(seconds)})"
        print(f"{what:<40} {told}")


if __name__ == "__main__":
    main()
elif "torch" in sys.modules:  # in a worker; the coordinator imports this too, and no torch
    mark_first_step(Path(os.environ["FIRST_BATCH"]))

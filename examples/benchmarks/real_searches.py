"""When has a real search on MNIST a network of 99.0, 99.2, 99.3 %, and which in the end? Several ways, side by side.

Every way is a whole command, cut after `--minutes`, with its own seeds: the default study; the same one with random
draws in place of TPE; the same one that stops nobody; and `plain_loop.py` (Optuna's plain TPE on the naive space, the
tensors in memory, a process a core). What counts is the last score of a network that was trained to its end, when it
was. The ways take turns, seed by seed, so that what else the machine does meets all of
them. Each search is added to the file of rows as soon as it ended, and those that it holds are not made again.

    python examples/benchmarks/real_searches.py rows.jsonl --seeds 3 --minutes 5    # an hour on two cores
"""

import argparse
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import accumulate
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import optuna
from comparison import spread
from machine import machine
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from cnnsearch import history
from cnnsearch.datasets import data_root
from cnnsearch.devices import cores

TARGETS = (0.990, 0.992, 0.993)
TRIALS = 50
PLAIN_EPOCHS = 4
HALF_AN_IMAGE = 0.0001  # of the validation images: the plain loop reckons in 32 bits
STARTING = 10  # seconds that the loops get more: the minutes of a study begin when it has read its plan and data
LIBRARY: dict[str, dict[str, Any]] = {
    "TPE, successive halving (the default)": {},
    "random draws, successive halving": {"sampler": {"kind": "random"}},
    "TPE, nobody stopped": {"pruner": {"kind": "none"}},
}
PLAIN = f"Optuna's TPE on the naive space, {PLAIN_EPOCHS} epochs each"


class Score(NamedTuple):
    """The validation accuracy of a network, at the end of its training."""

    seconds: float
    """Since the command was started."""
    trials: int
    """The how-manieth of the search it was."""
    accuracy: float
    parameters: int


NEVER = Score(math.inf, TRIALS + 1, 0.0, 0)


class Found(NamedTuple):
    """What a search came to."""

    way: str
    seed: int
    minutes: float
    seconds: float
    """Of the whole command."""
    trials: int
    scores: list[Score]
    """Those that were better than all before."""

    @property
    def best(self) -> Score:
        """The best one."""
        return self.scores[-1] if self.scores else NEVER

    def first(self, accuracy: float) -> Score:
        """Give the first score that is as good."""
        return next((score for score in self.scores if score.accuracy > accuracy - HALF_AN_IMAGE), NEVER)


def better(scores: Iterable[Score]) -> list[Score]:
    """Keep those that were better than all before, in the order of time."""
    in_time = sorted(scores)
    bests = [0.0, *accumulate((score.accuracy for score in in_time), max)]
    return [score for score, before in zip(in_time, bests, strict=False) if score.accuracy > before]


def by_cnnsearch(way: str, seed: int, minutes: float, folder: Path) -> Found:
    """Run the study's command with the default plan but for the way's own fields."""
    budget = {"trials": TRIALS, "minutes": minutes}
    plan = {"name": "run", "runs": str(folder), "seed": seed, "budget": budget, "finals": None, **LIBRARY[way]}
    (folder / "plan.json").write_text(json.dumps(plan))
    # What the study remembers of this machine's speed would spoil the forecasts of ordinary ones.
    environment = {**os.environ, "XDG_STATE_HOME": str(folder)}
    command = [sys.executable, "-m", "cnnsearch.study", str(folder / "plan.json")]
    began = time.time()
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False)  # noqa: S603 (1: nothing found)
    seconds = time.time() - began
    trials = history.read(folder / "run").trials
    scores = (
        Score(trial.ended - began, trial.number + 1, trial.score, trial.parameters)
        for trial in trials
        if trial.state == "complete" and trial.ended and trial.score
    )
    return Found(way, seed, minutes, seconds, len(trials), better(scores))


def by_plain_loop(way: str, seed: int, minutes: float, folder: Path) -> Found:
    """Start a loop a core, and read what they have told when the time is over."""
    journal = f"{folder}/journal.log"
    job = {
        "data_root": str(data_root()), "trials": TRIALS // cores(), "epochs": PLAIN_EPOCHS, "tensors": True,
        "threads": 1, "journal": journal,
    }  # fmt: skip
    loop = str(Path(__file__).with_name("plain_loop.py"))
    jobs = ({**job, "seed": seed * cores() + number} for number in range(cores()))
    began = time.time()
    loops = [
        subprocess.Popen([sys.executable, loop, json.dumps(job)], stdout=subprocess.DEVNULL)  # noqa: S603
        for job in jobs
    ]
    for process in loops:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, began + STARTING + 60 * minutes - time.time()))
        process.kill()
        process.wait()
    seconds = time.time() - began
    study = optuna.load_study(study_name="plain", storage=JournalStorage(JournalFileBackend(journal)))
    scores = (
        Score(
            trial.datetime_complete.timestamp() - began, trial.number + 1, trial.value, trial.user_attrs["parameters"]
        )
        for trial in study.trials
        if trial.datetime_complete and trial.value
    )
    return Found(way, seed, minutes, seconds, len(study.trials), better(scores))


def search(way: str, seed: int, minutes: float) -> Found:
    """Search in a folder that is gone afterwards."""
    with TemporaryDirectory() as folder:
        found = (by_cnnsearch if way in LIBRARY else by_plain_loop)(way, seed, minutes, Path(folder))
    print(f"{way}, seed {seed}: {found.best.accuracy:.2%} in {found.seconds:.0f} s", file=sys.stderr)
    return found


def known(rows: Path) -> Iterator[Found]:
    """Read what was found before."""
    for line in rows.read_text().splitlines() if rows.exists() else ():
        found = json.loads(line)
        yield Found(**{**found, "scores": [Score(*score) for score in found["scores"]]})


def reached(played: list[Found], accuracy: float) -> str:
    """Write the medians of the time and the trials; a search that never came there counts as longer than all others."""
    firsts = [found.first(accuracy) for found in played]
    seconds = median(score.seconds for score in firsts)
    if math.isinf(seconds):
        return f"{sum(math.isfinite(score.seconds) for score in firsts)} of {len(firsts)} did"
    return f"{seconds:.0f} s, {median(score.trials for score in firsts):.0f}"


def print_table(games: Mapping[str, list[Found]], minutes: float) -> None:
    """Print a row for each way."""
    heads = ["way", "seeds", "trials", "seconds", "best", "its parameters"]
    heads += [f"{accuracy:.1%}" for accuracy in TARGETS]
    print(f"\nAt most {minutes:g} minutes or {TRIALS} trials each. Median (range).\n")
    print("| " + " | ".join(heads) + " |\n|" + "---|" * len(heads))
    for way, played in games.items():
        figures = [
            len(played),
            f"{median(found.trials for found in played):.0f}",
            spread([found.seconds for found in played]),
            spread([100 * found.best.accuracy for found in played], 2) + " %",
            f"{median(found.best.parameters for found in played):,.0f}",
            *(reached(played, accuracy) for accuracy in TARGETS),
        ]
        print("| " + " | ".join([way, *map(str, figures)]) + " |")


def main() -> None:
    """Make the searches that are not known, and print the table of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path, help="file to keep the searches in")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=5)
    options = parser.parse_args()
    print(machine())
    games: dict[str, list[Found]] = {way: [] for way in (*LIBRARY, PLAIN)}
    for found in known(options.rows):
        if found.minutes == options.minutes:
            games[found.way].append(found)
    for seed in range(options.seeds):
        for way, played in games.items():
            if seed not in {found.seed for found in played}:
                played.append(search(way, seed, options.minutes))
                with options.rows.open("a") as rows:
                    rows.write(json.dumps(played[-1]._asdict()) + "\n")
    print_table(games, options.minutes)


if __name__ == "__main__":
    main()

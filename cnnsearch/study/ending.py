"""What is said when a study is over?"""

from rich.console import Console

from cnnsearch.history import Run
from cnnsearch.study.best import NETWORK, WEIGHTS
from cnnsearch.study.screen import table_of

WORDS = {
    "complete": "The budget is spent.",
    "exhausted": "Every candidate of the space was tried.",
    "no_new_candidate": "1,000 proposals in a row brought no new candidate.",
    "failed": "Five candidates in a row ended in a bug of the program: see log/.",
    "interrupted": "Interrupted.",
    "running": "Still running.",
}
CONTENT = {
    "report.html": "a page to look at",
    NETWORK: "the best network",
    WEIGHTS: "its weights: cnnsearch.load(...)",
    "summary.json": "the result for scripts",
    "plan.json": "what was searched",
    "record.jsonl": "what happened",
    "epochs.jsonl": "each trial's epochs",
    "storage.sqlite3": "Optuna's storage",
    "log": "what the workers said",
}


def show(run: Run, notice: str) -> int:
    """Print the best networks and what lies where; give the exit status."""
    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = 120  # a file or pipe has no width of its own
    if notice := notice or run.notice:
        console.print(f"*** {notice} ***", style="bold red", markup=False)
    if run.ranked:
        console.print(table_of(run))
    else:
        console.print("No candidate was trained to its end.", style="bold red")
        if (minutes := run.plan["budget"]["minutes"]) is not None:
            console.print(
                f"{minutes:g} minutes may have been too few; the same command goes on, --minutes N gives more."
            )
    away = [trial.reason for trial in run.trials if trial.state == "turned_away"]
    if away and run.state == "no_new_candidate":
        console.print(f"Raise the limit or allow smaller networks; the last one turned away: {away[-1]}", markup=False)
    counts = f"{run.count('complete')} complete, {run.count('stopped')} stopped, {run.count('failed')} failed"
    others = f"{run.count('turned_away')} turned away, {run.count('repeated')} repeated"
    console.print(f"{WORDS[run.state]} {counts}; {others}; {run.seconds:.0f} s. In {run.folder}:", markup=False)
    for name, words in CONTENT.items():
        if (run.folder / name).exists():
            console.print(f"  {name:<26} {words}", markup=False)
    return 0 if run.ranked and run.state != "failed" else 1

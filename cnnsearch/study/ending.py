"""What is said when a study is over?"""

from cnnsearch.causes import cause_of
from cnnsearch.evaluate.table import show as show_finals
from cnnsearch.history import Run
from cnnsearch.places import BEST_NETWORK, BEST_WEIGHTS, WINNER_NETWORK, WINNER_WEIGHTS
from cnnsearch.report import enough
from cnnsearch.report.wording import STATES, notices
from cnnsearch.study.screen import table_of
from cnnsearch.terminal import console
from cnnsearch.units import counted, duration
from cnnsearch.verdict import lacking

CONTENT = {
    "report.html": "a page to look at",
    WINNER_NETWORK: "the winner of the finals",
    WINNER_WEIGHTS: "its weights: cnnsearch.load(...)",
    BEST_NETWORK: "the best network of the search",
    BEST_WEIGHTS: "its weights",
    "finals": "the weights of every training of the finals",
    "summary.json": "the result for scripts",
    "plan.json": "what was searched",
    "record.jsonl": "what happened",
    "epochs.jsonl": "each trial's epochs",
    "storage.sqlite3": "Optuna's storage",
    "log": "what the workers said",
}


def show(run: Run, notice: str) -> int:
    """Print the best networks and what lies where; give the exit status."""
    screen = console(120)
    for told in notices(run._replace(notice=notice or run.notice)):
        screen.print(f"*** {told} ***", style="bold red", markup=False)
    if run.ranked:
        screen.print(table_of(run))
    else:
        screen.print("No candidate was trained to its end.", style="bold red")
        if run.state == "out_of_time":
            minutes = run.plan["budget"]["minutes"]
            told = f"{minutes:g} {'minute' if minutes == 1 else 'minutes'}"
            screen.print(f"{told} may have been too few; the same command goes on, --minutes N gives more.")
        if late := sum(cause_of(trial.reason) == "timeout" for trial in run.trials):
            told = counted(late, "training", "trainings")
            screen.print(f"{told} took longer than --budget.trial-minutes; a longer one and more --trials try others.")
    away = [trial.reason for trial in run.trials if trial.state == "turned_away"]
    if away and run.state == "no_new_candidate":
        way_out = "Allow" if cause_of(away[-1]) == "out of memory" else "Raise the limit or allow"
        screen.print(f"{way_out} smaller networks; the last one turned away: {away[-1]}", markup=False)
    counts = f"{run.count('complete')} complete, {run.count('stopped')} stopped, {run.count('failed')} failed"
    others = f"{run.count('turned_away')} turned away, {run.count('repeated')} repeated"
    show_finals(run)
    no_winner = lacking(run) if run.plan.get("finals") else ""
    if no_winner:
        screen.print(_sentence(no_winner), style="bold red", markup=False)
    if told := enough.sentence(run):
        screen.print(told, markup=False)
    state = _sentence(STATES[run.state])
    screen.print(f"{state} {counts}; {others}; {duration(run.seconds)}. In {run.folder}:", markup=False)
    for name, words in CONTENT.items():
        if (run.folder / name).exists():
            screen.print(f"  {name:<26} {words}", markup=False)
    return 0 if run.ranked and run.state != "failed" and not no_winner else 1


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."

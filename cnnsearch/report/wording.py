"""How is a result said in words and round numbers?"""

# ruff: noqa: RUF001 (a missing value is a dash)

from typing import Literal

from cnnsearch.events import CloseState
from cnnsearch.history import Run, Trial
from cnnsearch.objectives import WORDS, Aim
from cnnsearch.units import counted, duration, percent
from cnnsearch.verdict import decided

STATES: dict[CloseState | Literal["running"], str] = {
    "running": "still running",
    "complete": "complete: the budget is spent",
    "out_of_time": "its minutes are over: the same command goes on for as long again",
    "interrupted": "interrupted: the same command goes on",
    "exhausted": "complete: every candidate of the space was tried",
    "no_new_candidate": "complete: no new candidate was drawn any more",
    "failed": "failed: candidate after candidate ended in a bug of the program, see log/",
}


def in_words(run: Run) -> str:
    """Say the result in two sentences."""
    counts = f"{counted(run.count('complete'), 'network was', 'networks were')} trained to the end, "
    counts += f"{run.count('stopped')} stopped early, {run.count('failed')} failed"
    turned = [f"{run.count('turned_away')} turned away untrained"] if run.count("turned_away") else []
    repeated = [f"{run.count('repeated')} drawn again and answered from the record"] if run.count("repeated") else []
    told = f"In {duration(run.seconds)} {', '.join([counts, *turned, *repeated])}."
    if not run.ranked:
        return f"No network has a result yet. {told}"
    if found := decided(run):
        winner, count = found.winner, len(found.winner.scores)
        fresh = "one fresh seed" if count == 1 else f"{count} fresh seeds"
        return (
            f"The winner of the finals, trained with {fresh}, reads {percent(winner.mean)} of the validation images "
            f"of {dataset(run)} right with {winner.parameters:,} parameters ({winner.entrant}). {told}"
        )
    best = run.ranked[0]
    return (
        f"{_winner(run.aim, best)} reads {scored(best)} of the validation images of {dataset(run)} right "
        f"with {best.parameters:,} parameters (trial {best.number}). {told}"
    )


def notices(run: Run) -> list[str]:
    """Say what must be known before a result is believed."""
    told = [run.notice] if run.notice else []
    if "latency" in run.aim.costs and len(run.hosts) > 1:
        law = f"Latencies were measured under {len(run.hosts)} machine names ({', '.join(run.hosts)})"
        way_out = "if these are several machines, a new study (--name) measures all on one"
        told.append(f"{law} and are compared as if on one machine; {way_out}.")
    return told


def _winner(aim: Aim, best: Trial) -> str:
    if aim.floor is None:
        return "The best network found"
    if best.accuracy < aim.floor:
        return f"No network found reaches {percent(aim.floor)}. The best one"
    return f"The network with the fewest {WORDS[aim.costs[0]]} that reaches {percent(aim.floor)}"


def dataset(run: Run) -> str:
    """Name the data set as the plan does."""
    return str(run.plan.get("dataset", "an unnamed data set"))


def scored(trial: Trial) -> str:
    """Write a trial's score; a dash where it has none."""
    return "–" if trial.score is None else percent(trial.score)

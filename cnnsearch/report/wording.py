"""How is a result said in words and round numbers?"""

# ruff: noqa: RUF001 (a missing value is a dash)

from cnnsearch.history import Run, Trial
from cnnsearch.objectives import WORDS, Aim
from cnnsearch.verdict import verdict

STATES = {
    "running": "still running",
    "complete": "complete: the budget is used",
    "interrupted": "interrupted: the same command goes on",
    "exhausted": "complete: every candidate of the space was tried",
    "no_new_candidate": "complete: no new candidate was found any more",
    "failed": "failed",
}


def in_words(run: Run) -> str:
    """Say the result in two sentences."""
    counts = f"{_counted(run.count('complete'), 'network was', 'networks were')} trained to the end, "
    counts += f"{run.count('stopped')} stopped early, {run.count('failed')} failed"
    turned = [f"{run.count('turned_away')} turned away untrained"] if run.count("turned_away") else []
    repeated = [f"{run.count('repeated')} drawn again and answered from the record"] if run.count("repeated") else []
    told = f"In {duration(run.seconds)} {', '.join([counts, *turned, *repeated])}."
    if not run.ranked:
        return f"No network has a result yet. {told}"
    if found := verdict(run):
        winner, count = found.winner, len(found.winner.scores)
        fresh = "one fresh seed" if count == 1 else f"{count} fresh seeds"
        return (
            f"The winner of the finals, trained with {fresh}, reads {winner.mean * 100:.2f} % of the validation images "
            f"of {dataset(run)} right with {winner.parameters:,} parameters ({winner.entrant}). {told}"
        )
    best = run.ranked[0]
    return (
        f"{_winner(run.aim, best)} reads {percent(best)} of the validation images of {dataset(run)} right "
        f"with {best.parameters:,} parameters (trial {best.number}). {told}"
    )


def _winner(aim: Aim, best: Trial) -> str:
    if aim.floor is None:
        return "The best network found"
    if (best.score or 0) < aim.floor:
        return f"No network found reaches {aim.floor * 100:.2f} %. The best one"
    return f"The network with the fewest {WORDS[aim.costs[0]]} that reaches {aim.floor * 100:.2f} %"


def dataset(run: Run) -> str:
    """Name the data set as the plan does."""
    return str(run.plan.get("dataset", "an unnamed data set"))


def percent(trial: Trial) -> str:
    """Write a score as people read it."""
    return "–" if trial.score is None else f"{trial.score * 100:.2f} %"


def duration(seconds: float) -> str:
    """Write a time in its two largest units.

    >>> duration(3725), duration(59.6), duration(4.25)
    ('1 h 2 min', '1 min 0 s', '4.2 s')
    """
    if seconds < 10:  # noqa: PLR2004 (below, tenths of a second mean something)
        return f"{seconds:.1f} s"
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def short_number(number: float) -> str:
    """Write a number with three digits and its unit prefix.

    >>> short_number(950), short_number(79_866), short_number(3_000_000)
    ('950 ', '79.9 k', '3 M')
    """
    for unit in ("", "k", "M", "G"):
        if number < 1000:  # noqa: PLR2004 (the step of the prefixes)
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:,.0f} T"

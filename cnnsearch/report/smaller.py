"""How are the networks told that are smaller than the best one?"""

from collections.abc import Iterator
from html import escape

from cnnsearch.history import Run, Trial
from cnnsearch.report.table import Column, table
from cnnsearch.report.wording import scored
from cnnsearch.tradeoff import as_good, best_under, front_of, knee
from cnnsearch.units import chance
from cnnsearch.verdict import decided

SURE = 0.05  # a p below tells two networks apart
COLUMNS = (
    *(Column(name, "number") for name in ("parameters up to", "trial", "accuracy", "parameters")),
    Column("network", "code"),
)


def sentences(run: Run) -> Iterator[str]:
    """Say which smaller networks are nearly as good."""
    if tie := as_good(run):
        law = f"differ by less than {100 * tie.margin:.2f} points are not told apart"
        sure = f"(95 %, {tie.freedom} degrees of freedom, by trainings at least as long)"
        what = "The smallest in the search that is not shown to be worse than its best"
        yield f"{what} is {_named(tie.trial)}: two single trainings that {law} {sure}{_lost(run, tie.trial)}."
    if bend := knee(run):  # which is no end of the front
        better = next(trial for trial in front_of(run) if trial.parameters > bend.parameters)
        yield f"The front bends at {_named(bend)}; the next better one is {_named(better)}."


def _lost(run: Run, trial: Trial) -> str:
    """Say so where the test images have shown that a trial's network is worse than the winner."""
    found = decided(run)
    for row in found.rows if found else ():
        against = row.against if row.trial == trial else None
        if against and against.p_value < SURE and against.only_winner_right > against.only_other_right:
            return f"; the test images tell it from the winner (p: {chance(against.p_value)})"
    return ""


def section(run: Run) -> str:
    """Write the page's part about them; nothing where there is only one network."""
    if len(run.ranked) < 2:  # noqa: PLR2004 (nothing to compare)
        return ""
    told = " ".join(sentences(run))
    rows = [
        (f"{budget:,}", trial.number, scored(trial), f"{trial.parameters:,}", trial.short)
        for budget, trial in best_under(run)
    ]
    return f"""<section class="card"><h2>Smaller networks</h2>
<p class="caption">{escape(told)} The best of the search within each budget:</p>
{table(COLUMNS, rows)}</section>"""


def _named(trial: Trial) -> str:
    return f"trial {trial.number} with {trial.parameters:,} parameters ({scored(trial)})"

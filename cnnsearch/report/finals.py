"""How are the finals told? In sentences and in a table's cells, for the terminal and for the page."""

from collections.abc import Iterator
from html import escape

from cnnsearch.history import Run
from cnnsearch.objectives import WORDS, Aim, Name, price
from cnnsearch.report.wording import duration
from cnnsearch.verdict import NETWORK, WEIGHTS, Row, Verdict, verdict

COLUMNS = ("entrant", "parameters", "validation, mean", "95 % interval", "seeds", "test", "test, each seed", "p")


def sentences(run: Run, found: Verdict) -> Iterator[str]:
    """Say the result of the finals in words."""
    winner = found.winner
    seeds = "once" if len(winner.scores) == 1 else f"with {len(winner.scores)} fresh seeds"
    yield f"The winner is {winner.entrant} with {_costs(winner, run.aim)}: {NETWORK}, {WEIGHTS}."
    yield f"Trained again {seeds} it reads {winner.mean:.2%} of the validation images right{_within(winner)}."
    if winner.test_accuracy is not None and winner.test_interval:
        low, high = winner.test_interval
        yield (
            f"The weights of its best seed read {winner.test_accuracy:.2%} of the test images right (95 % interval over"
            f" images {low:.2%} to {high:.2%}). The test images were opened {times(found.test_opened)}."
        )
    for row in found.rows:
        if row.trial is None and row.mean > winner.mean:
            named = f"{row.entrant} ({row.parameters:,} parameters, {row.mean:.2%})"
            yield f"The baseline {named} reads more of them right: a wider space or longer trainings may find better."
    if not found.meets_floor:
        yield f"No finalist surely reads {run.aim.floor:.2%} or more right, so the most accurate of them won."
    way = "more" if found.optimism_gap >= 0 else "fewer"
    gap = f"{100 * abs(found.optimism_gap):.2f} points {way} than that mean"
    yield f"Optimism gap: in the search it read {gap}, after another training."
    yield f"The search took {duration(run.seconds)}, the finals {duration(run.finals_seconds)}."


def _costs(row: Row, aim: Aim) -> str:
    """Tell the parameters, and what else was sought to be small."""
    assert row.trial
    trial = row.trial
    others: list[Name] = [name for name in aim.costs if name != "parameters"]
    prices = [(WORDS[name], price(name, trial, trial.latency)) for name in others]
    told = [f"{f'{cost:,.0f}' if cost >= 1 else f'{cost:.3g}'} {word}" for word, cost in prices]
    return " and ".join([f"{row.parameters:,} parameters", *told])


def cells(row: Row) -> tuple[str, ...]:
    """Write a row of the table: a dash for what is not known; p is of the paired test against the winner's weights."""
    interval = f"{row.interval[0]:.2%} to {row.interval[1]:.2%}" if row.interval else "-"
    tests = ["-" if accuracy is None else f"{accuracy:.2%}" for accuracy in row.test_accuracies]
    p_value = _p(row.against.p_value) if row.against else "-"
    known = (row.entrant, f"{row.parameters:,}", f"{row.mean:.2%}", interval, f"{len(row.scores)}")
    return (*known, tests[row.best], ", ".join(tests) if len(tests) > 1 else "", p_value)


def _p(value: float) -> str:
    return f"{value:.2g}" if value >= 0.001 else "<0.001"  # noqa: PLR2004 (smaller ones all mean the same)


def times(count: int) -> str:
    """Say how often.

    >>> times(1), times(3)
    ('once', '3 times')
    """
    return "once" if count == 1 else f"{count} times"


def section(run: Run) -> str:
    """Write the page's part about the finals; nothing where there were none."""
    found = verdict(run)
    if found is None:
        return ""
    head = "".join(f"<th>{escape(column)}</th>" for column in COLUMNS)
    rows = "".join(_row(row, is_winner=row is found.winner) for row in found.rows)
    told = " ".join(sentences(run, found))
    return f"""<section class="card"><h2>The finals</h2>
<p class="lead">{escape(told)}</p>
<p class="caption">The best of the search and the baselines, trained again on fresh seeds; the winner is the finalist
{_law(run)}. Only then were the test images read, for finalists and baselines. The test
column is of the weights of the best seed on validation; p is of the exact paired test (McNemar) of the winner's against
these, corrected for their number (Holm).</p>
<div class="wide"><table><tr>{head}</tr>{rows}</table></div></section>"""


def _law(run: Run) -> str:
    if run.aim.floor is None:
        return "with the best mean on the validation images"
    return f"that is the cheapest of those whose 95 % interval begins at {run.aim.floor:.2%} or above, if any"


def _row(row: Row, *, is_winner: bool) -> str:
    name, *others = cells(row)
    numbers = "".join(f'<td class="n">{escape(cell)}</td>' for cell in others)
    return f"<tr{' class=best' if is_winner else ''}><td>{escape(name)}</td>{numbers}</tr>"


def _within(row: Row) -> str:
    return f" (95 % interval of that mean {row.interval[0]:.2%} to {row.interval[1]:.2%})" if row.interval else ""

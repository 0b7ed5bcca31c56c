"""How is it told what each block of the winner is worth? In sentences and in a table's cells, as the finals are."""

from collections.abc import Iterator
from html import escape

from cnnsearch.ablation import Ablation, Difference, ablation
from cnnsearch.history import Run
from cnnsearch.report.table import named, table
from cnnsearch.units import percent

COLUMNS = ("variant", "parameters", "multiply-adds", "difference, points", "95 % interval", "seeds")


def title(found: Ablation) -> str:
    """Name the table, with what its differences are taken from."""
    winner = found.winner
    network = f" ({winner.trial.short})" if winner.trial else ""
    return f"What each block of {winner.entrant}{network} is worth: {percent(winner.mean)} with it as it is"


def cells(each: Difference) -> tuple[str, ...]:
    """Write a row of the table."""
    low, high = each.interval
    points = (f"{100 * each.difference:+.2f}", f"{100 * low:+.2f} to {100 * high:+.2f}")
    return (each.variant, f"{each.parameters:,}", f"{each.macs:,}", *points, f"{len(each.scores)}")


def sentences(found: Ablation) -> Iterator[str]:
    """Say how the table is read, and what is not in it."""
    if found.differences:
        yield (
            "Halved and doubled are a block's channels. Points are of the validation images read right; where the "
            "interval (by the spread over seeds of all finalists and variants, each by itself) holds 0 the difference "
            "may be the luck of seeds, and more --seeds make it narrower. The winner was chosen by the scores it is "
            "compared with, so a variant that is as good looks a little worse."
        )
    if found.differences and not found.deviation:
        yield "All seeds of a network read equally many right, so the intervals are too narrow."
    for failed in found.failures:
        yield f"Failed: {failed.variant}, seed {failed.seed}: {failed.reason}."


def section(run: Run) -> str:
    """Write the page's part about the variants; nothing where none was trained."""
    found = ablation(run)
    if found is None:
        return ""
    shown = table(named(*COLUMNS), map(cells, found.differences))
    told = "".join(f'<p class="caption">{escape(sentence)}</p>' for sentence in sentences(found))
    return f"""<section class="card"><h2>{escape(title(found))}</h2>
<p class="caption">Each block of the winner was taken away, halved and doubled where what is left fits, and the whole
was trained as in the finals, by <code>python -m cnnsearch.explain</code>. What each choice did over all trials is shown
further below, under "What mattered" and "Choice by choice".</p>
{told}{shown}</section>"""

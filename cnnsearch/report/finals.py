"""How are the finals told? In sentences and in a table's cells, for the terminal and for the page."""

from collections.abc import Container, Iterable, Iterator
from contextlib import suppress
from html import escape

from cnnsearch.certainty import Interval
from cnnsearch.errors import InvalidSpecError
from cnnsearch.events import Retrained
from cnnsearch.files import holds
from cnnsearch.history import Run
from cnnsearch.objectives import HEADS, Aim, Name, price, price_tag
from cnnsearch.parts import BASELINES
from cnnsearch.places import EXPORT, WEIGHTS, WINNER_NETWORK, WINNER_WEIGHTS
from cnnsearch.report.table import named, table
from cnnsearch.units import chance, counted, duration, interval_in_ms, percent, times
from cnnsearch.verdict import Row, Verdict, failed, other_schedule, verdict

READINGS = ("validation, mean", "95 % interval", "seeds", "test", "test, each seed", "p")


def sentences(run: Run, found: Verdict) -> Iterator[str]:
    """Say the result of the finals in words."""
    winner, broken = found.winner, failed(run)
    if not found.is_final:
        way_out = f"python -m cnnsearch.evaluate {run.folder} goes on with them"
        yield f"The finals are not over; so far {winner.entrant} leads. {way_out}."
        if run.finals_are_open and (run.folder / WINNER_WEIGHTS).is_file():
            yield f"Until then {WINNER_WEIGHTS} are those of the winner of the finals before."
        yield from _failures(broken)
        return
    seeds = "once" if len(winner.scores) == 1 else f"with {len(winner.scores)} fresh seeds"
    yield f"The winner is {winner.entrant} with {_costs(winner, run.aim)}: {WINNER_NETWORK}, {WINNER_WEIGHTS}."
    yield f"Trained again {seeds} it reads {percent(winner.mean)} of the validation images right{_within(winner)}."
    if winner.test_accuracy is not None and winner.test_interval:
        tested = percent(winner.test_accuracy)
        yield (
            f"The weights of its best seed read {tested} of the test images right (95 % interval over images "
            f"{_range(winner.test_interval)}). The test images were opened {times(found.test_opened)}."
        )
    exported = run.folder / EXPORT / WEIGHTS
    if exported.is_file() and not holds(exported, winner.shipped.sha256):
        yield f"{EXPORT}/ holds other weights, of before; python -m cnnsearch.export {run.folder} writes the winner's."
    yield from _failures(broken)
    yield from _rivals(found, run.aim)
    if run.aim.floor is None and not run.aim.costs:
        yield from _ahead(found, run.finals.finalists, {each.entrant for each in broken})
    if found.meets_floor is False and run.aim.floor is not None:
        yield f"No finalist surely reads {percent(run.aim.floor)} or more right, so the most accurate of them won."
    way = "above" if found.optimism_gap >= 0 else "below"
    gap = f"{100 * abs(found.optimism_gap):.2f} points {way} the mean of its trainings in the finals"
    yield f"Optimism gap: its score in the search was {gap}{other_schedule(winner)}."
    yield f"The search took {duration(run.seconds)}, the finals {duration(run.finals_seconds)}, all calls together."


def _rivals(found: Verdict, aim: Aim) -> Iterator[str]:
    """Name baselines that are ahead of the winner in what was sought, and finalists that may be as fast."""
    winner = found.winner
    for row in found.rows:
        if row.trial is None and row.mean > winner.mean and not found.meets_floor:
            which = f"{row.entrant} ({counted(row.parameters, 'parameter', 'parameters')}, {percent(row.mean)})"
            others = "" if row.entrant == BASELINES["random-search"] else "a wider space, "
            way_out = f"{others}more trials or longer finals (--finals.epochs) may find better ones"
            yield f"The baseline {which} reads more validation images right; {way_out}."
        if row.trial is None and _is_cheaper(row, winner, aim):
            cost = aim.costs[0]
            law = f"reads {percent(row.mean)}, more than is asked for, with {_tag(row, cost)} {HEADS[cost]}"
            yield f"The baseline {row.entrant} {law}: fewer than the winner."
        if row.trial and _is_as_fast(row, winner, aim):
            yield f"{row.entrant} may be as fast: the intervals of the two latencies overlap."


def _failures(broken: Iterable[Retrained]) -> Iterator[str]:
    for each in broken:
        yield f"Failed: {each.entrant}, seed {each.seed}: {each.reason}."


def _ahead(found: Verdict, finalists: int, broken: Container[str]) -> Iterator[str]:
    """Name a candidate that has fewer seeds than the winner, and better ones; none of those of which one failed."""
    candidates = (row for row in found.rows if row.trial and row.entrant not in broken)
    fewer = [row for row in candidates if len(row.scores) < found.seeds and row.mean > found.winner.mean]
    if fewer:
        row = max(fewer, key=lambda row: row.mean)
        had = counted(len(row.scores), "seed", "seeds")
        way_out = f"--finals.finalists {finalists + 1} trains one more as often"
        yield f"With {had} {row.entrant} reads {percent(row.mean)}, more than the winner's mean; {way_out}."


def _is_cheaper(row: Row, winner: Row, aim: Aim) -> bool:
    if aim.floor is None or row.mean < aim.floor:
        return False
    its, winners = (_price(each, aim.costs[0]) for each in (row, winner))
    return its is not None and winners is not None and its < winners


def _is_as_fast(row: Row, winner: Row, aim: Aim) -> bool:
    """Say whether a finalist that may reach the floor cannot be told from the winner by the latency sought."""
    assert winner.trial
    its, winners = row.trial and row.trial.latency, winner.trial.latency
    if row is winner or aim.floor is None or "latency" not in aim.costs or not (its and winners):
        return False
    return row.mean >= aim.floor and its.low <= winners.high and winners.low <= its.high


def _price(row: Row, name: Name) -> float | None:
    """Give one of an entrant's costs; None where it is not known, as the latency of a baseline."""
    if row.trial:
        return price(name, row.trial, row.trial.latency)
    told = getattr(row.shipped, name, None)
    with suppress(InvalidSpecError):  # a block of one's own that is not imported here
        told = told or (row.network and getattr(row.network.cost, name, None))
    return told


def _tag(row: Row, name: Name) -> str:
    """Write it, a latency with its interval."""
    if row.trial and name == "latency":
        return interval_in_ms(row.trial.latency) if row.trial.latency else "not measured"
    cost = _price(row, name)
    return "-" if cost is None else f"{cost:,}"


def _costs(row: Row, aim: Aim) -> str:
    """Tell the parameters, and what else was sought to be small."""
    assert row.trial
    trial = row.trial
    told = [f"{price_tag(name, trial, trial.latency)} {HEADS[name]}" for name in _other_costs(aim)]
    return " and ".join([f"{row.parameters:,} parameters", *told])


def columns(aim: Aim) -> tuple[str, ...]:
    """Name the columns of the table, one for each cost that is sought among them."""
    costs = (HEADS[name] for name in _other_costs(aim))
    return ("entrant", "parameters", *costs, *READINGS)


def _other_costs(aim: Aim) -> list[Name]:
    return [name for name in aim.costs if name != "parameters"]


def cells(row: Row, aim: Aim) -> tuple[str, ...]:
    """Write a row of the table: a dash for what is not known; p is of the paired test against the winner's weights."""
    interval = _range(row.interval) if row.interval else "-"
    tests = ["-" if accuracy is None else percent(accuracy) for accuracy in row.test_accuracies]
    p_value = chance(row.against.p_value) if row.against else "-"
    costs = (_tag(row, name) for name in ("parameters", *_other_costs(aim)))
    known = (row.entrant, *costs, percent(row.mean), interval, f"{len(row.scores)}")
    return (*known, tests[row.best], ", ".join(tests) if len(tests) > 1 else "", p_value)


def section(run: Run) -> str:
    """Write the page's part about the finals; nothing where there were none."""
    found = verdict(run)
    if found is None:
        return ""
    rows = [cells(row, run.aim) for row in found.rows]
    shown = table(named(*columns(run.aim)), rows, best=found.rows.index(found.winner))
    told = " ".join(sentences(run, found))
    return f"""<section class="card"><h2>The finals</h2>
<p class="lead">{escape(told)}</p>
<p class="caption">The best of the search and the baselines, trained again on fresh seeds; the winner is the finalist
{_law(run)}. Only then are the test images read, for finalists and baselines. The test
column is of the weights of the best seed on validation; p is of the exact paired test (McNemar) of the winner's against
these, corrected for their number (Holm).</p>
{shown}</section>"""


def _law(run: Run) -> str:
    if run.aim.floor is None:
        return "with the best mean on the validation images"
    return f"that is the cheapest of those whose 95 % interval begins at {percent(run.aim.floor)} or above, if any"


def _within(row: Row) -> str:
    return f" (95 % interval of that mean {_range(row.interval)})" if row.interval else ""


def _range(interval: Interval) -> str:
    low, high = interval
    return f"{percent(low)} to {percent(high)}"

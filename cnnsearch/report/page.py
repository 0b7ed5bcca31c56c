"""What does the page say, and in which order? The result, the network, the figures, then the facts."""

# ruff: noqa: RUF001 (sizes written with the sign for it, as people write them)

import base64
import hashlib
import json
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files

from cnnsearch.events import COUNTED
from cnnsearch.history import Run, Trial
from cnnsearch.objectives import HEADS, WORDS, Aim, Name, price_tag
from cnnsearch.recipe import drawn as drawn_recipe
from cnnsearch.report import ablated, enough, finals, mistakes, smaller
from cnnsearch.report.drawing import drawn
from cnnsearch.report.figures import Drawn
from cnnsearch.report.plots import plotly_js, scripts, to_html
from cnnsearch.report.table import Column, table
from cnnsearch.report.wording import STATES, dataset, in_words, notices, scored
from cnnsearch.units import duration, percent, short_number, times
from cnnsearch.verdict import decided

MOST_ROWS = 10


def page(run: Run, figures: Sequence[Drawn], names: dict[str, str]) -> str:
    """Write the whole page: one file that asks no network for anything.

    Its content security policy names each of its own scripts by hash, so that no text of a record can become one.
    """
    parts = [_figure(figure, f"figure-{number}") for number, figure in enumerate(figures, start=1)]
    js = [plotly_js(), *(script for part in parts for script in scripts(part)), _text("page.js")]
    body = "\n".join(
        [
            _top(run),
            finals.section(run),
            mistakes.section(run),
            _ranking(run),
            smaller.section(run),
            _shown(run),
            ablated.section(run),
            *parts,
            _names(names),
            _facts(run),
        ]
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_policy(js)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(run.folder.name)} · cnnsearch</title>
<style>{_text("page.css")}</style>
<script>{plotly_js()}</script>
</head>
<body><main>
{body}
</main>
<script>{_text("page.js")}</script>
</body>
</html>
"""


def _policy(js: Iterable[str]) -> str:
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in js)
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return f"default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src {allowed}"


def _text(name: str) -> str:
    return (files("cnnsearch.report") / name).read_text(encoding="utf-8")


def _top(run: Run) -> str:
    notice = "\n".join(f'<p class="notice">{escape(told)}</p>' for told in notices(run))
    return f"""<header>
<div class="brand">cnnsearch</div>
<h1>{escape(run.folder.name)} <span class="state">{escape(STATES[run.state])}</span></h1>
{notice}
<p class="lead">{escape(in_words(run))}</p>
{_tiles(run)}
</header>"""


def _tiles(run: Run) -> str:
    if not run.ranked:
        return ""
    best, found = _best(run), decided(run)
    tiles = {
        "validation accuracy": percent(found.winner.mean) if found else scored(best),
        "parameters": f"{best.parameters:,}",
        "multiply-adds an image": short_number(best.macs),
        "weights in fp32": f"{short_number(best.weight_bytes)}B",
        "peak activations": f"{short_number(best.activation_bytes)}B",
    }
    if "latency" in run.aim.costs:
        tiles["latency of one image"] = price_tag("latency", best, best.latency)
    inside = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in tiles.items())
    return f'<dl class="tiles">{inside}</dl>'


def _best(run: Run) -> Trial:
    """Give the trial that the page draws: the winner, or where nobody won the best of the search."""
    found = decided(run)
    return found.winner.trial if found and found.winner.trial else run.ranked[0]


def _ranking(run: Run) -> str:
    if not run.ranked:
        return ""
    numbers = (
        "#",
        "trial",
        "accuracy",
        "parameters",
        "multiply-adds",
        *(HEADS[name] for name in run.aim.besides),
        "time",
    )
    columns = [*(Column(name, "number") for name in numbers), Column("network", "code"), Column("recipe", "code")]
    best = run.ranked[:MOST_ROWS]
    if not any(drawn_recipe(trial.built) for trial in best):
        columns.pop()
    rows = [_row(place, trial, run.aim)[: len(columns)] for place, trial in enumerate(best, start=1)]
    count = len(best)
    title = "The best network of the search" if count == 1 else f"The best {count} networks of the search"
    return f"""<section class="card"><h2>{title}</h2>
<p class="caption">{_order(run)} {escape(enough.sentence(run))} In short: channels of each block (with
a letter for other kinds, the kernel where it is not 3×3), p for a pool, then the head.</p>
{table(columns, rows, best=0)}</section>"""


def _order(run: Run) -> str:
    floor, by_accuracy = run.aim.floor, "By the last epoch's accuracy on the validation images"
    if floor is None:
        return f"{by_accuracy}."
    if run.ranked[0].accuracy < floor:
        return f"{by_accuracy}; none reached {percent(floor)}."
    first = f"First those that reach {percent(floor)} of the validation images in their last epoch"
    return f"{first}, by {WORDS[run.aim.costs[0]]}; then the others, by accuracy."


def _row(place: int, trial: Trial, aim: Aim) -> tuple[object, ...]:
    names: tuple[Name, ...] = ("parameters", "macs", *aim.besides)
    costs = (price_tag(name, trial, trial.latency) for name in names)
    return (place, trial.number, scored(trial), *costs, duration(trial.seconds), trial.short, drawn_recipe(trial.built))


def _shown(run: Run) -> str:
    if not run.ranked:
        return ""
    best, found = _best(run), decided(run)
    name, recipe = "winner" if found else "best network", (found and found.winner.recipe) or best.recipe
    return f"""<section class="card"><h2>The {name}, layer by layer</h2>
<p class="caption">Each box is a map: channels × height×width; its sides are in proportion. What follows a layer without
changing the size stands below it.</p>
{_drawing(best)}
<details><summary>As JSON, and its recipe</summary>
<pre>{escape(json.dumps(best.network_data, indent=2))}</pre>
<pre>{escape(recipe.model_dump_json(indent=2))}</pre></details></section>"""


def _drawing(trial: Trial) -> str:
    try:
        return drawn(trial.network)
    except Exception as error:  # noqa: BLE001 (a drawing never breaks the page; the usual case is a block not imported)
        return _reason(f"the network cannot be drawn: {error}")


def _figure(figure: Drawn, name: str) -> str:
    try:
        plots = [to_html(drawing, f"{name}-{number}") for number, drawing in enumerate(figure.drawings, start=1)]
        inside = "".join(f"<div>{plot}</div>" for plot in plots)
    except Exception as error:  # noqa: BLE001 (a figure never breaks the page)
        inside = ""
        figure = figure._replace(reason=f"could not be written: {type(error).__name__}: {error}")
    layout = "" if len(figure.drawings) > 1 else " roomy one" if figure.title == "Parallel coordinates" else " one"
    shown = _reason(figure.reason) if figure.reason else f'<div class="figures{layout}">{inside}</div>'
    return f"""<section class="card"><h2>{escape(figure.title)}</h2>
<p class="caption">{escape(figure.caption)}</p>{shown}</section>"""


def _reason(reason: str) -> str:
    return f'<p class="reason">{escape(reason)}</p>'


def _names(names: dict[str, str]) -> str:
    if not names:
        return ""
    columns = (Column("in the figures"), Column("in the plan", "code"))
    return f"""<section class="card"><details>
<summary>Where the choices named in the figures stand in the plan</summary>
{table(columns, ((short, name) for name, short in names.items()))}</details></section>"""


def _facts(run: Run) -> str:
    facts = {
        "data set": dataset(run),
        "seed": run.plan.get("seed", "–"),
        "state": run.state,
        "time": duration(run.seconds),
        **{name: run.count(name) for name in COUNTED},
        "turned away": run.count("turned_away"),
        "repeated": run.count("repeated"),
        "test images opened": times(len(run.openings)) if run.openings else "never",
        **run.versions,
    }
    return f"""<footer><section class="card"><details><summary>Facts, versions and the whole plan</summary>
{table((Column(), Column()), facts.items())}<pre>{escape(json.dumps(run.plan, indent=2))}</pre></details></section>
<p>Made from {escape(str(run.folder / "record.jsonl"))} by <code>python -m cnnsearch.report</code>.</p></footer>"""

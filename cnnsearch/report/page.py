"""What does the page say, and in which order? The result, the network, the figures, then the facts."""

import base64
import hashlib
import json
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files

from cnnsearch.history import Run, Trial
from cnnsearch.report.drawing import drawn
from cnnsearch.report.figures import Drawn, in_short
from cnnsearch.report.plots import plotly_js, scripts, to_html

MOST_ROWS = 10
STATES = {
    "running": "still running",
    "complete": "complete: the budget is used",
    "interrupted": "interrupted: the same command goes on",
    "exhausted": "complete: every candidate of the space was tried",
    "no_new_candidate": "complete: no new candidate was found any more",
    "failed": "failed",
}


def page(run: Run, figures: Sequence[Drawn], names: dict[str, str]) -> str:
    """Write the whole page: one file that asks no network for anything.

    Its content security policy names each of its own scripts by hash, so that no text of a record can become one.
    """
    parts = [_figure(figure, f"figure-{number}") for number, figure in enumerate(figures, start=1)]
    js = [plotly_js(), *(script for part in parts for script in scripts(part)), _text("page.js")]
    body = "\n".join([_top(run), _ranking(run), _best(run), *parts, _names(names), _facts(run)])
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
    notice = f'<p class="notice">{escape(run.notice)}</p>' if run.notice else ""
    return f"""<header>
<div class="brand">cnnsearch</div>
<h1>{escape(run.folder.name)} <span class="state">{escape(STATES[run.state])}</span></h1>
{notice}
<p class="lead">{escape(in_words(run))}</p>
{_tiles(run)}
</header>"""


def in_words(run: Run) -> str:
    """Say the result in two sentences."""
    counts = f"{_count(run.count('complete'), 'network was', 'networks were')} trained to the end, "
    counts += f"{run.count('stopped')} stopped early, {run.count('failed')} failed"
    turned = [f"{run.count('turned_away')} turned away untrained"] if run.count("turned_away") else []
    repeated = [f"{run.count('repeated')} drawn again and answered from the record"] if run.count("repeated") else []
    told = f"In {duration(run.seconds)} {', '.join([counts, *turned, *repeated])}."
    if not run.ranked:
        return f"No network has a result yet. {told}"
    best = run.ranked[0]
    return (
        f"The best network found reads {percent(best)} of the validation images of {dataset(run)} right "
        f"with {best.parameters:,} parameters (trial {best.number}). {told}"
    )


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


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _tiles(run: Run) -> str:
    if not run.ranked:
        return ""
    best = run.ranked[0]
    tiles = {
        "validation accuracy": percent(best),
        "parameters": f"{best.parameters:,}",
        "multiply-adds an image": short_number(best.macs),
        "weights in fp32": f"{short_number(best.weight_bytes)}B",
        "peak activations": f"{short_number(best.activation_bytes)}B",
    }
    return f'<dl class="tiles">{"".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in tiles.items())}</dl>'


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


def _ranking(run: Run) -> str:
    if not run.ranked:
        return ""
    head = '<tr><th class="n">#</th><th class="n">trial</th><th class="n">accuracy</th><th class="n">parameters</th><th class="n">multiply-adds</th><th class="n">time</th><th>network</th></tr>'
    rows = "".join(_row(place, trial) for place, trial in enumerate(run.ranked[:MOST_ROWS], start=1))
    count = min(MOST_ROWS, len(run.ranked))
    title = "The best network" if count == 1 else f"The best {count} networks"
    return f"""<section class="card"><h2>{title}</h2>
<p class="caption">By the last epoch's accuracy on the validation images. In short: channels of each block (with a letter
for other kinds, the kernel where it is not 3×3), p for a pool, then the head.</p>
<div class="wide"><table>{head}{rows}</table></div></section>"""


def _row(place: int, trial: Trial) -> str:
    cells = (place, trial.number, percent(trial), f"{trial.parameters:,}", f"{trial.macs:,}", duration(trial.seconds))
    numbers = "".join(f'<td class="n">{cell}</td>' for cell in cells)
    return f"<tr{' class=best' if place == 1 else ''}>{numbers}<td><code>{escape(in_short(trial))}</code></td></tr>"


def _best(run: Run) -> str:
    if not run.ranked:
        return ""
    best = run.ranked[0]
    return f"""<section class="card"><h2>The best network, layer by layer</h2>
<p class="caption">Each box is a map: channels × height×width; its sides are in proportion. What follows a layer without
changing its map's size stands below it.</p>
{_drawing(best)}
<details><summary>As JSON, and its recipe</summary>
<pre>{escape(json.dumps(best.network_data, indent=2))}</pre>
<pre>{escape(best.recipe.model_dump_json(indent=2))}</pre></details></section>"""


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
    rows = "".join(
        f"<tr><td>{escape(short)}</td><td><code>{escape(name)}</code></td></tr>" for name, short in names.items()
    )
    if not rows:
        return ""
    return f"""<section class="card"><details><summary>Where the choices named in the figures stand in the plan</summary>
<div class="wide"><table><tr><th>in the figures</th><th>in the plan</th></tr>{rows}</table></div></details></section>"""


def _facts(run: Run) -> str:
    facts = {
        "data set": dataset(run),
        "seed": run.plan.get("seed", "–"),
        "state": run.state,
        "time": duration(run.seconds),
        **{name: run.count(name) for name in ("complete", "stopped", "failed")},
        "turned away": run.count("turned_away"),
        "repeated": run.count("repeated"),
        **run.versions,
    }
    rows = "".join(f"<tr><td>{escape(name)}</td><td>{escape(str(value))}</td></tr>" for name, value in facts.items())
    return f"""<footer><section class="card"><details><summary>Facts, versions and the whole plan</summary>
<div class="wide"><table>{rows}</table></div><pre>{escape(json.dumps(run.plan, indent=2))}</pre></details></section>
<p>Made from {escape(str(run.folder / "record.jsonl"))} by <code>python -m cnnsearch.report</code>.</p></footer>"""

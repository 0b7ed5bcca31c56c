"""How does a plotly figure get into a page? The one place that knows plotly's options."""

import re
from functools import cache
from importlib import import_module
from typing import Any

Chart = Any  # plotly's Figure: the package carries no types
_GRAPHS: Any = import_module("plotly.graph_objects")
_COLORS: Any = import_module("plotly.colors")
_OFFLINE: Any = import_module("plotly.offline")

OPTIONS: dict[str, Any] = {"showSendToCloud": False, "displaylogo": False, "responsive": True}
"""No button that uploads a figure to a cloud, no advertisement."""

SMALL = 300  # pixels of height, below which the buttons would cover the figure

COLORS = ("#2f7ed8", "#e07b39", "#3aa76d", "#a45bb5", "#d64545", "#5c6b7a", "#c9a227", "#2fa4a4")


def between(scale: list[str], share: float) -> str:
    """Give the color at a share from 0 to 1 of a scale."""
    return _COLORS.sample_colorscale(scale, [share])[0]


@cache
def plotly_js() -> str:
    """Give plotly's own script, as the installed package carries it; a page holds it once."""
    return _OFFLINE.get_plotlyjs()


def new_chart(like: Chart = None) -> Chart:
    """Give an empty figure, or a copy of one."""
    return _GRAPHS.Figure(like)


def to_html(figure: Chart, name: str) -> str:
    """Write a figure as a part of a page that holds plotly's script; `name` is its id in the page."""
    dressed = new_chart(figure)
    dressed.update_layout(
        title=None,
        template="none",
        colorway=COLORS,
        font={"family": "system-ui, sans-serif", "size": 13, "color": "#3c4650"},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 64, "r": 16, "t": 40, "b": 56},
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": "#9aa7b2", "activecolor": COLORS[0]},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        hoverlabel={"font": {"family": "system-ui, sans-serif"}},
    )
    axis = {"gridcolor": "rgba(128,128,128,0.22)", "zeroline": False, "automargin": True}
    dressed.update_xaxes(**axis).update_yaxes(**axis)
    height = figure.layout.height or 420
    options = OPTIONS | {"displayModeBar": "hover" if height > SMALL else False}
    return dressed.to_html(full_html=False, include_plotlyjs=False, config=options, div_id=name, default_height=height)


def scripts(html: str) -> list[str]:
    """Give the texts of the scripts in a part that `to_html` wrote."""
    return re.findall(r"<script[^>]*>(.*?)</script>", html, flags=re.DOTALL)

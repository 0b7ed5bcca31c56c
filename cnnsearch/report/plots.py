"""How does a plotly figure get into a page? The one place that knows plotly's options."""

import re
from functools import cache
from typing import Any

import plotly.graph_objects as go
import plotly.offline

OPTIONS: dict[str, Any] = {"showSendToCloud": False, "displaylogo": False, "responsive": True}
"""No button that uploads a figure to a cloud, no advertisement."""

COLORS = ("#2f7ed8", "#e07b39", "#3aa76d", "#a45bb5", "#d64545", "#5c6b7a", "#c9a227", "#2fa4a4")


@cache
def plotly_js() -> str:
    """Give plotly's own script, as the installed package carries it; a page holds it once."""
    return plotly.offline.get_plotlyjs()


def to_html(figure: go.Figure, name: str) -> str:
    """Write a figure as a part of a page that holds plotly's script; `name` is its id in the page."""
    dressed = go.Figure(figure)
    dressed.update_layout(
        title=None,
        template="none",
        colorway=COLORS,
        font={"family": "system-ui, sans-serif", "size": 13, "color": "#3c4650"},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 64, "r": 16, "t": 16, "b": 56},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        hoverlabel={"font": {"family": "system-ui, sans-serif"}},
    )
    axis = {"gridcolor": "rgba(128,128,128,0.22)", "zeroline": False, "automargin": True}
    dressed.update_xaxes(**axis).update_yaxes(**axis)
    return dressed.to_html(
        full_html=False, include_plotlyjs=False, config=OPTIONS, div_id=name, default_height=figure.layout.height or 420
    )


def scripts(html: str) -> list[str]:
    """Give the texts of the scripts in a part that `to_html` wrote."""
    return re.findall(r"<script[^>]*>(.*?)</script>", html, flags=re.DOTALL)

"""Interactive figures: plotly figures as plain data, for a page that holds plotly.js once."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from typing import Any

import numpy as np
import pandas as pd

from evoked.analysis.positions import Surface
from evoked.analysis.projection import Projection
from evoked.explain.figures import GREY, INK
from evoked.posts.emotion_and_rates import DIMENSIONS, METRICS, QUADRANTS, emotion_quadrant
from evoked.report.figure_parts import cells_of
from evoked.report.run_figures import QUADRANT_COLOURS

Spec = dict[str, Any]

_MOST_POINTS = 1500
# As in the static figures; plotly's own scale of this name is another.
_MORE_IS_BLUE = [
    [0, "#67001f"],
    [0.25, "#f4a582"],
    [0.5, "#f7f7f7"],
    [0.75, "#92c5de"],
    [1, "#053061"],
]
_SYMBOLS = ("triangle-up", "triangle-down", "square", "circle", "x")
# Draws every figure of the page from the data beside it; plotly.js stands before it.
_STARTER = """
const figures = JSON.parse(document.getElementById("figures").textContent);
for (const [name, figure] of Object.entries(figures)) {
  Plotly.newPlot(name, figure.data, figure.layout, {displaylogo: false, responsive: true});
}
"""


def plotly_script() -> str:
    """plotly.js itself."""
    from plotly.offline import get_plotlyjs

    # Whatever looks like the end of the element would end it.
    return str(get_plotlyjs()).replace("</script", "<\\/script")


def starter_script() -> str:
    """The script that draws the figures."""
    return _STARTER


def script_hash(script: str) -> str:
    """A script's entry in a Content-Security-Policy, so that no other script runs."""
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def figures_json(figures: dict[str, Spec]) -> str:
    """Figures as JSON that is safe within a script element, rounded to four digits."""
    text = json.dumps(_plain(figures), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def engagement_surface(surfaces: dict[str, Surface], posts: pd.DataFrame) -> Spec:
    """Engagement over the plane, one metric at a time; hovering over a post names it."""
    known = posts.dropna(subset=["valence", "arousal"])
    if len(known) > _MOST_POINTS:
        known = known.sample(_MOST_POINTS, random_state=0)
    shown = [name for name in METRICS[::-1] if np.isfinite(surfaces[name].values).any()]
    maps = [
        {
            "type": "contour",
            "x": surfaces[name].valence,
            "y": surfaces[name].arousal,
            "z": 100 * np.expm1(np.clip(surfaces[name].values, -2, 2)).T,
            "zmin": -100,
            "zmid": 0,
            "zmax": 100,
            "colorscale": _MORE_IS_BLUE,
            "connectgaps": False,
            "visible": position == 0,
            "colorbar": {"title": {"text": "% of<br>typical"}},
            "hovertemplate": "valence %{x:.1f}, arousal %{y:.1f}: %{z:+.0f} %<extra></extra>",
        }
        for position, name in enumerate(shown)
    ]
    dots = {
        "type": "scatter",
        "mode": "markers",
        "x": known["valence"],
        "y": known["arousal"],
        "text": _labels(known),
        "hovertemplate": "%{text}<br>valence %{x:.1f}, arousal %{y:.1f}<extra></extra>",
        "marker": {"size": 4, "color": INK, "opacity": 0.3},
    }
    layout = {**_plane_layout(), "updatemenus": [_menu(shown, always_shown=1)]}
    return {"data": [*maps, dots], "layout": layout}


def correlations(table: pd.DataFrame) -> Spec:
    """Table 8; hovering over a cell shows n, interval and p-values."""
    cells = cells_of(table, "dimension", DIMENSIONS, "metric", METRICS)
    texts = [
        [
            f"95 % interval {cell['low']:.2f} to {cell['high']:.2f}, n = {int(cell['n'])}<br>"
            f"p = {cell['p']:.3g}, Holm {cell['p_holm']:.3g}, BH {cell['p_bh']:.3g}, "
            f"as if posts were independent {cell['p_posts']:.3g}<br>"
            f"published {cell['published']:.3f}"
            for cell in row
        ]
        for row in cells
    ]
    heat = {
        "type": "heatmap",
        "x": list(METRICS),
        "y": list(DIMENSIONS),
        "text": texts,
        "z": [[cell["r"] for cell in row] for row in cells],
        "zmin": -1,
        "zmax": 1,
        "colorscale": _MORE_IS_BLUE,
        "colorbar": {"title": {"text": "r"}},
        "hovertemplate": "%{y} and %{x}: r = %{z:.3f}<br>%{text}<extra></extra>",
    }
    return {
        "data": [heat],
        "layout": {**_layout(), "yaxis": {"autorange": "reversed", "automargin": True}},
    }


def gain(surfaces: dict[str, Surface]) -> Spec:
    """The gain over a baseline as a landscape (Figure 5 B), one kind of target at a time."""
    landscapes = [
        {
            "type": "surface",
            "x": each.valence,
            "y": each.arousal,
            "z": each.values.T,
            "colorscale": _MORE_IS_BLUE,
            "cmid": 0,
            "visible": position == 0,
            "hovertemplate": "valence %{x:.1f}, arousal %{y:.1f}: %{z:+.2f}<extra></extra>",
        }
        for position, each in enumerate(surfaces.values())
    ]
    scene = {
        "xaxis": {"title": {"text": "valence (points)"}},
        "yaxis": {"title": {"text": "arousal (points)"}},
        "zaxis": {"title": {"text": "gain"}},
        "camera": {"eye": {"x": 1.5, "y": -1.7, "z": 1.2}},
    }
    layout = {**_layout(), "height": 560, "scene": scene, "updatemenus": [_menu(list(surfaces))]}
    return {"data": landscapes, "layout": layout}


def projection(each: Projection, posts: pd.DataFrame) -> Spec:
    """Posts by t-SNE, coloured by quadrant; hovering over a post names it."""
    shown = posts.iloc[each.rows]
    quadrant = emotion_quadrant(shown["valence"], shown["arousal"])
    labels = np.array(_labels(shown), dtype=object)
    dots = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": name,
            "x": each.points[rows, 0],
            "y": each.points[rows, 1],
            "text": labels[rows],
            "hovertemplate": "%{text}<extra>" + name + "</extra>",
            "marker": {"size": 6, "color": colour, "symbol": symbol, "opacity": 0.75},
        }
        for number, (name, colour, symbol) in enumerate(
            zip(QUADRANTS, QUADRANT_COLOURS, _SYMBOLS, strict=True)
        )
        for rows in [np.flatnonzero(quadrant == number)]
    ]
    bare = {"showticklabels": False, "zeroline": False}
    return {
        "data": dots,
        "layout": {
            **_layout(),
            "xaxis": {**bare, "title": {"text": "t-SNE 1 (no unit)"}},
            "yaxis": {**bare, "title": {"text": "t-SNE 2 (no unit)"}},
            "legend": {"orientation": "h", "y": -0.15},
        },
    }


def _labels(posts: pd.DataFrame) -> list[str]:
    """What hovering over a post shows; plotly would read angle brackets as markup.

    Pages are handed on, so they say which row of the posts it is in place of its id.
    """
    categories = posts["category"].fillna("no category").astype(str).str[:40]
    return [
        f"post {row + 1} · {category}".replace("<", "‹").replace(">", "›")
        for row, category in zip(posts.index, categories, strict=True)
    ]


def _menu(names: list[str], always_shown: int = 0) -> Spec:
    """A choice above the figure: which of the first traces is visible, the others always are."""
    buttons = [
        {
            "label": name,
            "method": "restyle",
            "args": [{"visible": [other == name for other in names] + [True] * always_shown}],
        }
        for name in names
    ]
    return {"buttons": buttons, "x": 0, "y": 1.02, "xanchor": "left", "yanchor": "bottom"}


def _layout() -> Spec:
    return {
        "font": {"family": "system-ui, DejaVu Sans, sans-serif", "size": 12, "color": INK},
        "margin": {"l": 60, "r": 20, "t": 50, "b": 60},
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "height": 440,
    }


def _plane_layout() -> Spec:
    axis = {"gridcolor": "#eeeeee", "zerolinecolor": GREY}
    return {
        **_layout(),
        "showlegend": False,
        "xaxis": {**axis, "title": {"text": "valence (points)"}, "range": [-4.2, 4.2]},
        "yaxis": {**axis, "title": {"text": "arousal (points)"}, "range": [-0.2, 8.2]},
    }


def _plain(value: Any) -> Any:
    """Nested values as JSON takes them, numbers to four digits."""
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, pd.Series | np.ndarray):
        value = np.asarray(value).tolist()
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.4g}") if math.isfinite(value) else None
    return value

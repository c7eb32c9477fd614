"""How pictures look, and how a drawn figure becomes bytes or inline SVG.

Belongs here: colours, type sizes and rendering. What is drawn is :mod:`aegis.reporting.charts` for the report and
:mod:`aegis.reporting.asset_plots` for assets. matplotlib is imported inside the functions because it takes half a
second, and never through pyplot, so that no figure outlives its function and no display is asked for.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#1c2733"
MUTED = "#697684"
RULE = "#d9dee4"
PAPER = "#ffffff"
ACCOUNT = "#1d4f7c"
BENCHMARK = "#98a2ad"
GAIN = "#2f7d5c"
LOSS = "#b2402f"
CAUTION = "#b7791f"
WASH = "#d5e1ec"

# In inline SVG each colour becomes a CSS variable of the page, so that a picture follows the light or dark scheme.
_CSS_VARIABLE = {
    INK: "--ink",
    MUTED: "--muted",
    RULE: "--rule",
    PAPER: "--paper",
    ACCOUNT: "--account",
    BENCHMARK: "--benchmark",
    GAIN: "--gain",
    LOSS: "--loss",
    CAUTION: "--caution",
    WASH: "--wash",
}

_GROUP_IDENTIFIER = re.compile(r'<g id="[^"]*"')

_STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8.0,
    "text.color": INK,
    "text.parse_math": False,
    "axes.edgecolor": RULE,
    "axes.facecolor": "none",
    "axes.labelcolor": MUTED,
    "axes.labelsize": 8.0,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.unicode_minus": False,
    "axes.xmargin": 0.01,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.major.size": 3.0,
    "ytick.major.size": 0.0,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "lines.linewidth": 1.2,
    "lines.solid_joinstyle": "round",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "svg.fonttype": "none",
    "path.simplify": True,
    "path.simplify_threshold": 0.3,
}

# Helvetica is one of the fonts that every PDF reader has: small files, and no font to ship. A character outside
# Windows-1252 prints as a question mark.
_PDF_STYLE: dict[str, Any] = {
    "pdf.use14corefonts": True,
    "axes.formatter.use_mathtext": True,
    "font.sans-serif": ["Helvetica"],
    "font.weight": "medium",
    "axes.titleweight": "medium",
    "axes.labelweight": "medium",
    "figure.titleweight": "medium",
    "figure.labelweight": "medium",
}


@contextmanager
def screen_style() -> Iterator[None]:
    """Draw with the style of the HTML report and of asset pictures."""
    import matplotlib as mpl  # noqa: PLC0415 - half a second

    with mpl.rc_context(_STYLE):
        yield


@contextmanager
def print_style() -> Iterator[None]:
    """Draw with the style of the PDF report."""
    import matplotlib as mpl  # noqa: PLC0415 - half a second

    with mpl.rc_context({**_STYLE, **_PDF_STYLE}):
        yield


def new_figure(width_inches: float, height_inches: float) -> Figure:
    """Return an empty figure that belongs to no window and no global list."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - half a second

    return Figure(figsize=(width_inches, height_inches), layout="constrained")


def new_axes(width_inches: float, height_inches: float) -> tuple[Figure, Axes]:
    """Return a new figure and its only axes."""
    figure = new_figure(width_inches, height_inches)
    return figure, figure.add_subplot()


def render_png(figure: Figure, dots_per_inch: int = 100) -> bytes:
    """Return `figure` on white paper as PNG bytes, the same bytes for the same figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dots_per_inch, facecolor=PAPER, metadata={"Software": None})
    return buffer.getvalue()


def render_inline_svg(figure: Figure, name: str) -> str:
    """Return `figure` as an SVG element for an HTML page, its colours replaced by the page's CSS variables.

    Parameters
    ----------
    figure : Figure
    name : str
        Unique in the page: it salts the identifiers inside the SVG.
    """
    import matplotlib as mpl  # noqa: PLC0415 - half a second

    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    svg = text[text.index("<svg") :]
    for colour, variable in _CSS_VARIABLE.items():
        svg = svg.replace(colour, f"var({variable})")
    svg = _GROUP_IDENTIFIER.sub("<g", svg)  # "figure_1" in each picture: identifiers of a page are unique
    return svg.replace("<svg ", f'<svg role="img" aria-label="{name.replace("_", " ")}" ', 1)

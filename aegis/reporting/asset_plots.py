"""The picture in an asset's metadata: small PNGs drawn from a table's rows.

Belongs here: pictures of tables. Each function takes a frame with the columns of its table in :mod:`aegis.lake.tables`
and returns PNG bytes; :func:`metadata_picture` turns them into Markdown for the Dagster UI.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

import numpy as np
import pandas as pd

from aegis.errors import ReportingError
from aegis.reporting import theme

MAX_PICTURE_BYTES = 60_000
_DOTS_PER_INCH = 80
_WIDTH_INCHES = 7.0
_MOST_POINTS = 400
_LINES = (theme.ACCOUNT, theme.CAUTION, theme.GAIN, theme.LOSS, theme.MUTED)


def metadata_picture(png: bytes, alternative_text: str) -> str:
    """Return Markdown that shows `png` inline.

    Parameters
    ----------
    png : bytes
        A PNG image.
    alternative_text : str
        What a reader who cannot see it is told.

    Raises
    ------
    ReportingError
        The Markdown would exceed 60,000 bytes, too much for an event log that keeps it for every run.
    """
    words = alternative_text.replace("[", "(").replace("]", ")")
    markdown = f"![{words}](data:image/png;base64,{base64.b64encode(png).decode('ascii')})"
    if len(markdown) > MAX_PICTURE_BYTES:
        raise ReportingError(
            f"picture {words!r} takes {len(markdown)} bytes of metadata, {MAX_PICTURE_BYTES} are allowed; "
            "draw fewer points or a smaller figure"
        )
    return markdown


def equity_and_drawdown_chart(account_values: pd.DataFrame, title: str = "Equity and drawdown") -> bytes:
    """Return equity above drawdown for one account."""
    rows = _require_rows(account_values, "portfolio/account_values").sort_values("session")
    with theme.screen_style():
        figure = theme.new_figure(_WIDTH_INCHES, 3.6)
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        upper.plot(rows["session"], rows["equity_usd"], color=theme.ACCOUNT)
        upper.set_title(title, loc="left", fontsize=9)
        upper.yaxis.set_major_formatter(lambda value, _position: f"${value:,.0f}")
        lower.fill_between(rows["session"], rows["drawdown"], 0.0, color=theme.WASH, linewidth=0)
        lower.plot(rows["session"], rows["drawdown"], color=theme.ACCOUNT, linewidth=0.9)
        lower.yaxis.set_major_formatter(lambda value, _position: f"{value:.0%}")
        return theme.render_png(figure, _DOTS_PER_INCH)


def strategies_chart(equity: pd.DataFrame, column: str, title: str) -> bytes:
    """Return one line for each strategy, thinned to what a small picture can show.

    Parameters
    ----------
    equity : DataFrame
        Rows of ``research/backtest_equity``.
    column : {"equity_usd", "drawdown"}
        What is drawn over the sessions.
    """
    rows = _require_rows(equity, "research/backtest_equity").sort_values("session")
    is_amount = column.endswith("_usd")
    with theme.screen_style():
        figure, axes = theme.new_axes(_WIDTH_INCHES, 2.6)
        for position, (name, own) in enumerate(rows.groupby("strategy", sort=True)):
            shown = own.iloc[np.unique(np.linspace(0, len(own) - 1, min(len(own), _MOST_POINTS)).astype(int))]
            # Colours come round again after five; then lines are dashed. Edges that are not smoothed make a picture of
            # many crossing lines a third as large, and ten strategies must fit as well.
            axes.plot(
                shown["session"],
                shown[column],
                label=str(name),
                color=_LINES[position % len(_LINES)],
                linestyle="-" if position < len(_LINES) else "--",
                linewidth=1.0,
                antialiased=False,
            )
        axes.set_title(title, loc="left", fontsize=9)
        axes.legend(loc="upper left" if is_amount else "lower left")
        axes.yaxis.set_major_formatter(lambda value, _position: f"${value:,.0f}" if is_amount else f"{value:.0%}")
        return theme.render_png(figure, _DOTS_PER_INCH)


def bars_by_session_chart(bars: pd.DataFrame, title: str = "Bars by session") -> bytes:
    """Return the number of bars in each session; a gap or a step is a hole in the data."""
    counts = _require_rows(bars, "market_data/daily_bars").groupby("session").size()
    with theme.screen_style():
        figure, axes = theme.new_axes(_WIDTH_INCHES, 2.4)
        axes.step(counts.index, counts.to_numpy(), where="mid", color=theme.ACCOUNT)
        axes.set_ylim(0, float(counts.max()) * 1.1)
        axes.set_title(title, loc="left", fontsize=9)
        return theme.render_png(figure, _DOTS_PER_INCH)


def weights_chart(weights: pd.DataFrame, column: str = "target_weight", *, largest: int = 25) -> bytes:
    """Return the weights of the last session in `weights`, largest first.

    Parameters
    ----------
    weights : DataFrame
        Rows of ``portfolio/target_weights`` or ``portfolio/positions``.
    column : str
        ``target_weight`` or ``weight``.
    largest : int
        How many are shown, by absolute weight.
    """
    rows = _require_rows(weights, f"a table of {column}")
    last = rows[rows["session"] == rows["session"].max()]
    order = last[column].abs().sort_values(ascending=False, kind="stable").index[:largest]
    shown = last.loc[order]
    with theme.screen_style():
        figure, axes = theme.new_axes(_WIDTH_INCHES, 2.8)
        colours = [theme.ACCOUNT if weight >= 0 else theme.LOSS for weight in shown[column]]
        axes.bar(range(len(shown)), shown[column], 0.7, color=colours)
        axes.set_xticks(range(len(shown)), shown["symbol"].tolist(), rotation=60, ha="right", rotation_mode="anchor")
        axes.yaxis.set_major_formatter(lambda value, _position: f"{value:.1%}")
        axes.set_title(f"{column.replace('_', ' ')}, {rows['session'].max():%Y-%m-%d}", loc="left", fontsize=9)
        return theme.render_png(figure, _DOTS_PER_INCH)


def histograms_chart(frame: pd.DataFrame, columns: Sequence[str], title: str) -> bytes:
    """Return one histogram for each of `columns`, nulls left out and counted in its heading.

    Raises
    ------
    ReportingError
        `frame` has no rows.
    """
    rows = _require_rows(frame, title)
    across = min(len(columns), 3)
    down = -(-len(columns) // across)
    with theme.screen_style():
        figure = theme.new_figure(_WIDTH_INCHES, 0.3 + 1.5 * down)
        figure.suptitle(title, x=0.01, ha="left", fontsize=9)
        panels = np.atleast_1d(figure.subplots(down, across)).ravel()
        for axes, column in zip(panels, columns, strict=False):
            values = rows[column].dropna().to_numpy(dtype=float)
            if len(values):
                low, high = np.quantile(values, [0.005, 0.995])
                axes.hist(np.clip(values, low, high), bins=40, color=theme.ACCOUNT)
            axes.set_yticks([])
            missing = 1.0 - len(values) / len(rows)
            axes.set_title(f"{column}, {missing:.0%} null", loc="left", fontsize=7.5, color=theme.MUTED)
        for axes in panels[len(columns) :]:
            axes.set_axis_off()
        return theme.render_png(figure, _DOTS_PER_INCH)


def _require_rows(frame: pd.DataFrame, what: str) -> pd.DataFrame:
    if frame.empty:
        raise ReportingError(f"{what} has no rows to draw; skip the picture or materialise a session first")
    return frame

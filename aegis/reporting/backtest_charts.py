"""The pictures that only a backtest report has; those of returns are shared with :mod:`aegis.reporting.charts`.

Belongs here: drawing. Every value comes from a :class:`~aegis.reporting.backtest_review.BacktestReport`.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from aegis.reporting import theme
from aegis.reporting.charts import Chart, compact_usd, draw_drawdown, percent_tick

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_MOST_POINTS = 1_500
_BINS = 40
_WIDEST_RETURNS = (0.005, 0.995)


def draw_equity(axes: Axes, report: Any) -> None:
    """Draw equity at the close of bars, thinned to what a picture can show."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num  # noqa: PLC0415 - half a second

    equity = report.results.equity
    last_of_each = np.unique(np.linspace(0, len(equity) - 1, min(len(equity), _MOST_POINTS)).astype(int))
    shown = equity.iloc[last_of_each]
    times = _naive(shown.index)
    axes.plot(times, shown.to_numpy(), color=theme.ACCOUNT)
    axes.axhline(report.results.initial_cash_usd, color=theme.MUTED, linewidth=0.8, linestyle=(0, (3, 3)))
    locator = AutoDateLocator(minticks=3, maxticks=12)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))
    axes.yaxis.set_major_formatter(lambda value, _position: compact_usd(float(value)))
    if len(times) > 1:
        axes.set_xlim(float(date2num(times[0])), float(date2num(times[-1])))


def draw_equity_and_drawdown(axes: Axes, report: Any) -> None:
    """Draw equity above the drawdown of the sessions' closes, both over the same times."""
    axes.set_axis_off()
    above, below = axes.inset_axes((0.0, 0.4, 1.0, 0.6)), axes.inset_axes((0.0, 0.0, 1.0, 0.27))
    draw_equity(above, report)
    results = report.results
    closes = _naive(results.step_times_utc[results.session_first_steps[1:] - 1])
    draw_drawdown(below, dataclasses.replace(report, sessions=report.sessions.assign(session=closes)))
    below.set_xlim(above.get_xlim())


def _naive(times: pd.Index[Any]) -> pd.DatetimeIndex:
    """Return instants without their zone, UTC, as matplotlib draws them."""
    return pd.DatetimeIndex(times).tz_localize(None)


def draw_trade_returns(axes: Axes, report: Any) -> None:
    """Draw how many trades returned how much, net of costs; the outermost half percent on each side at the edge."""
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415 - half a second

    returns = report.results.trades["net_return"].to_numpy()
    if returns.size == 0:
        axes.text(0.5, 0.5, "no trade was closed", transform=axes.transAxes, ha="center")
        axes.set_axis_off()
        return
    low, high = np.quantile(returns, _WIDEST_RETURNS)
    reach = max(abs(low), abs(high), 1e-6)
    # Zero is an edge, so that no bar counts winners and losers together.
    edges = np.linspace(-reach, reach, _BINS + 1)
    counts, _ = np.histogram(np.clip(returns, -reach, reach), edges)
    width = edges[1] - edges[0]
    colours = [theme.LOSS if edge < -width / 2 else theme.GAIN for edge in edges[:-1]]
    axes.bar(edges[:-1], counts, 0.88 * width, align="edge", color=colours)
    axes.axvline(0.0, color=theme.MUTED, linewidth=0.8)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(lambda value, _position: percent_tick(value))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    axes.yaxis.set_major_formatter(lambda value, _position: f"{value:,.0f}")


def draw_costs(axes: Axes, report: Any) -> None:
    """Draw each kind of cost as a bar."""
    metrics = report.metrics
    parts = [
        ("Slippage and impact", metrics.slippage_usd),
        ("Commission", metrics.commission_usd),
        ("Regulatory fees", metrics.fees_usd),
        ("Borrow fees", metrics.borrow_fees_usd),
        ("Interest paid", max(-metrics.interest_usd, 0.0)),
    ][::-1]
    values = [value for _, value in parts]
    axes.barh(range(len(parts)), values, 0.3, color=theme.ACCOUNT)
    for position, (name, value) in enumerate(parts):
        # Above its bar: a name beside it would need a margin that the PDF's pages do not have.
        axes.annotate(
            f"{name}: {compact_usd(value)}", (0.0, position + 0.15), (1, 2), textcoords="offset points", fontsize=7.5,
            color=theme.INK,
        )  # fmt: skip
    axes.set_yticks([])
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    axes.locator_params(axis="x", nbins=5)
    axes.set_xlim(0.0, max(*values, 1.0) * 1.05)
    axes.set_ylim(-0.4, len(parts) - 0.3)
    axes.xaxis.set_major_formatter(lambda value, _position: compact_usd(float(value)))


EQUITY = Chart("equity", "Equity at the close of each bar; dashed: initial cash", draw_equity, 0.42)
EQUITY_AND_DRAWDOWN = Chart(
    "equity_and_drawdown",
    "Equity at the close of each bar (dashed: initial cash), and below it the drawdown from the peak",
    draw_equity_and_drawdown,
    0.62,
)
TRADE_RETURNS = Chart("trade_returns", "Trades by net return", draw_trade_returns, 0.3)
COSTS = Chart("costs", "What trading and holding cost", draw_costs, 0.5)

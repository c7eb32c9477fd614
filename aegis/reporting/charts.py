"""The pictures of the performance report, each drawn onto axes that are given.

Belongs here: drawing. Every value comes from a :class:`~aegis.reporting.report.PerformanceReport`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from aegis.reporting import theme
from aegis.reporting.report import PerformanceReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis


@dataclass(frozen=True)
class Chart:
    """A picture of the report: how it is drawn, what it shows, and how tall it is for its width."""

    name: str
    caption: str
    draw: Callable[[Axes, PerformanceReport], None]
    aspect: float = 0.36


_LOGARITHMIC_ABOVE = 1.6
_VISIBLE_SHARE = 1e-4
_LOGARITHMIC_TICKS = (1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 8.0)


def percent_tick(value: float) -> str:
    """Return a share as percent with the decimals that it has: ``5%``, ``2.5%``, ``-0.25%``."""
    return f"{round(value * 100, 6) + 0.0:.6g}%"


def _percent_axis(axis: Axis) -> None:
    """Label an axis of shares; a tick is labelled with what it is, whatever the step."""
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415 - half a second

    axis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 5, 10]))
    axis.set_major_formatter(lambda value, _position: percent_tick(value))


def _time_axis(axes: Axes, sessions: pd.Series) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter  # noqa: PLC0415 - half a second

    locator = AutoDateLocator(minticks=3, maxticks=12)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))
    if len(sessions) > 1:
        axes.set_xlim(sessions.iloc[0], sessions.iloc[-1])


def _legend(axes: Axes, columns: int = 3) -> None:
    axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=columns, borderaxespad=0.1, handlelength=1.4)


def draw_growth(axes: Axes, report: PerformanceReport) -> None:
    """Draw the growth of one dollar in the account and in the benchmark; a wide range on a logarithmic scale."""
    from matplotlib.ticker import LogLocator, NullLocator  # noqa: PLC0415 - half a second

    rows = report.sessions
    if report.benchmark is not None:
        label = report.identity.benchmark_symbol
        axes.plot(rows["session"], rows["benchmark_growth"], color=theme.BENCHMARK, label=label)
    axes.plot(rows["session"], rows["growth"], color=theme.ACCOUNT, linewidth=1.5, label="Account")
    low, high = axes.get_ylim()
    if low > 0 and high / low > _LOGARITHMIC_ABOVE:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=_LOGARITHMIC_TICKS))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_minor_formatter(lambda _value, _position: "")
    axes.yaxis.set_major_formatter(lambda value, _position: f"${value:,.2f}")
    _time_axis(axes, rows["session"])
    _legend(axes)


def draw_drawdown(axes: Axes, report: PerformanceReport) -> None:
    """Draw how far the account, and the benchmark, stood below their peaks."""
    rows = report.sessions
    axes.fill_between(rows["session"], rows["drawdown"], 0.0, color=theme.WASH, linewidth=0)
    axes.plot(rows["session"], rows["drawdown"], color=theme.ACCOUNT, linewidth=1.0, label="Account")
    if report.benchmark is not None:
        label = report.identity.benchmark_symbol
        axes.plot(rows["session"], rows["benchmark_drawdown"], color=theme.BENCHMARK, linewidth=0.9, label=label)
    axes.set_ylim(top=0.0)
    _percent_axis(axes.yaxis)
    _time_axis(axes, rows["session"])
    _legend(axes)


def draw_rolling_volatility(axes: Axes, report: PerformanceReport) -> None:
    """Draw the trailing volatility."""
    _draw_rolling(axes, report, "volatility_annualised")
    axes.set_ylim(bottom=0.0)
    _percent_axis(axes.yaxis)


def draw_rolling_sharpe(axes: Axes, report: PerformanceReport) -> None:
    """Draw the trailing Sharpe ratio."""
    _draw_rolling(axes, report, "sharpe_ratio")
    axes.axhline(0.0, color=theme.MUTED, linewidth=0.8)
    axes.yaxis.set_major_formatter(lambda value, _position: f"{round(value, 6) + 0.0:g}")


def _draw_rolling(axes: Axes, report: PerformanceReport, column: str) -> None:
    axes.plot(report.rolling["session"], report.rolling[column], color=theme.ACCOUNT)
    if report.rolling.empty:
        axes.text(0.5, 0.5, f"needs {report.rolling_window_sessions} sessions", transform=axes.transAxes, ha="center")
    _time_axis(axes, report.rolling["session"])


def draw_years(axes: Axes, report: PerformanceReport) -> None:
    """Draw the return of each calendar year beside the benchmark's."""
    rows = report.months
    position = np.arange(len(rows))
    with_benchmark = report.benchmark is not None
    width = 0.36 if with_benchmark else 0.6
    shift = width / 2 if with_benchmark else 0.0
    axes.bar(position - shift, rows["year_return"], width, color=theme.ACCOUNT, label="Account")
    if with_benchmark:
        label = report.identity.benchmark_symbol
        axes.bar(position + shift, rows["benchmark_return"], width, color=theme.BENCHMARK, label=label)
    axes.axhline(0.0, color=theme.MUTED, linewidth=0.8)
    axes.set_xticks(position, [str(year) for year in rows["year"]])
    _percent_axis(axes.yaxis)
    _legend(axes)


def draw_pnl_bridge(axes: Axes, report: PerformanceReport) -> None:
    """Draw the parts of the P&L as steps from nothing to the change of equity."""
    pnl = report.pnl
    parts = [
        ("Prices", pnl.price_usd),
        ("Trading", pnl.trading_usd),
        ("Dividends", pnl.dividends_usd),
        ("Interest", pnl.interest_usd),
        ("Slippage", pnl.slippage_usd),
        ("Commission", pnl.commission_usd),
        ("Residual", pnl.residual_usd),
    ]
    values = np.array([value for _, value in parts])
    ends = np.cumsum(values)
    starts = ends - values
    colours = [theme.GAIN if value >= 0 else theme.LOSS for value in values]
    axes.bar(range(len(parts)), values, 0.62, bottom=starts, color=colours)
    axes.bar(len(parts), pnl.equity_change_usd, 0.62, color=theme.ACCOUNT)
    axes.axhline(0.0, color=theme.MUTED, linewidth=0.8)
    tops = [*np.maximum(starts, ends), max(pnl.equity_change_usd, 0.0)]
    for position, (top, value) in enumerate(zip(tops, [*values, pnl.equity_change_usd], strict=True)):
        axes.annotate(
            compact_usd(float(value)), (position, float(top)), (0, 3), textcoords="offset points", ha="center",
            fontsize=7.5, color=theme.INK,
        )  # fmt: skip
    axes.set_xticks(range(len(parts) + 1), [*(name for name, _ in parts), "Change"])
    axes.margins(y=0.12)
    _usd_axis(axes)


def draw_exposure(axes: Axes, report: PerformanceReport) -> None:
    """Draw gross and net exposure at each close."""
    rows = report.sessions
    has_shorts = bool((rows["gross_exposure"] - rows["net_exposure"]).max() > _VISIBLE_SHARE)
    label = "Gross" if has_shorts else "Gross, no short positions"
    axes.plot(rows["session"], rows["gross_exposure"], color=theme.ACCOUNT, label=label)
    if has_shorts:
        axes.plot(rows["session"], rows["net_exposure"], color=theme.BENCHMARK, linewidth=0.9, label="Net")
    axes.set_ylim(bottom=min(0.0, float(rows["net_exposure"].min())))
    _percent_axis(axes.yaxis)
    _time_axis(axes, rows["session"])
    _legend(axes)


def draw_sectors(axes: Axes, report: PerformanceReport) -> None:
    """Draw the weight of each sector at the last close."""
    rows = report.sectors.iloc[::-1]
    colours = [theme.ACCOUNT if weight >= 0 else theme.LOSS for weight in rows["net_weight"]]
    axes.barh(rows["sector"], rows["net_weight"], 0.62, color=colours)
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    axes.axvline(0.0, color=theme.MUTED, linewidth=0.8)
    _percent_axis(axes.xaxis)


def draw_value_at_risk(axes: Axes, report: PerformanceReport) -> None:
    """Draw each session's return against the loss forecast at the close before."""
    rows = report.value_at_risk
    inside, outside = rows[~rows["exceeded"]], rows[rows["exceeded"]]
    axes.scatter(inside["session"], inside["return_daily"], s=2.0, color=theme.BENCHMARK, linewidths=0, label="Return")
    axes.scatter(outside["session"], outside["return_daily"], s=8.0, color=theme.LOSS, linewidths=0, label="Exceedance")
    axes.plot(rows["session"], -rows["forecast"], color=theme.ACCOUNT, linewidth=1.0, label="95 % value at risk")
    _percent_axis(axes.yaxis)
    _time_axis(axes, rows["session"])
    _legend(axes)


def compact_usd(value: float) -> str:
    """Return dollars to three figures: ``$1.24m``, ``-$830``."""
    for size, suffix in ((1e9, "bn"), (1e6, "m"), (1e3, "k")):
        if abs(value) >= size:
            return f"{'-' if value < 0 else ''}${abs(value) / size:.3g}{suffix}"
    return f"{'-' if round(value) < 0 else ''}${abs(value):.0f}"


def _usd_axis(axes: Axes) -> None:
    axes.yaxis.set_major_formatter(lambda value, _position: compact_usd(float(value)))


GROWTH = Chart("growth", "Growth of one dollar", draw_growth, 0.42)
DRAWDOWN = Chart("drawdown", "Drawdown from the peak", draw_drawdown, 0.26)
ROLLING_VOLATILITY = Chart("rolling_volatility", "Trailing volatility, annualised", draw_rolling_volatility, 0.5)
ROLLING_SHARPE = Chart("rolling_sharpe_ratio", "Trailing Sharpe ratio", draw_rolling_sharpe, 0.5)
YEARS = Chart("calendar_years", "Return by calendar year", draw_years, 0.3)
PNL_BRIDGE = Chart("profit_and_loss", "From the parts of the P&L to the change of equity", draw_pnl_bridge, 0.36)
EXPOSURE = Chart("exposure", "Exposure at the close, share of equity", draw_exposure, 0.5)
SECTORS = Chart("sectors", "Weight by sector at the last close", draw_sectors, 0.5)
VALUE_AT_RISK = Chart("value_at_risk", "Daily return against the value at risk forecast one close earlier",
                      draw_value_at_risk, 0.34)  # fmt: skip

_WIDTH_INCHES: Mapping[str, float] = {"full": 8.6, "half": 4.6}


def chart_svg(chart: Chart, report: PerformanceReport, width: str = "full") -> str:
    """Return `chart` as inline SVG; `width` is ``full`` or ``half`` of the page's column."""
    inches = _WIDTH_INCHES[width]
    with theme.screen_style():
        figure, axes = theme.new_axes(inches, inches * chart.aspect)
        chart.draw(axes, report)
        return theme.render_inline_svg(figure, chart.name)

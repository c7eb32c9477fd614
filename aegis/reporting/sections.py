"""The chapters of the performance report, in reading order, the same for every format.

Belongs here: which printed figure, table and picture stands where, and the sentences between them.
"""

from __future__ import annotations

import pandas as pd

from aegis.reporting import charts, control_sections
from aegis.reporting.printing import (
    Figure,
    PrintedTable,
    Section,
    count,
    day,
    number,
    percent,
    signed_percent,
    signed_usd,
    usd,
)
from aegis.reporting.report import PerformanceFigures, PerformanceReport

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DEEPEST_SHADE_AT = 0.08


def sections(report: PerformanceReport) -> tuple[Section, ...]:
    """Return the chapters of `report`."""
    return (
        _summary(report),
        _returns(report),
        _profit_and_loss(report),
        control_sections.trading(report),
        control_sections.book(report),
        control_sections.risk(report),
        control_sections.controls(report),
        _about(report),
    )


def headline(report: PerformanceReport) -> tuple[Figure, ...]:
    """Return the figures a reader looks for first."""
    account, benchmark, relative = report.account, report.benchmark, report.relative
    symbol = report.identity.benchmark_symbol

    def against(name: str, decimals: int = 2) -> str:
        if benchmark is None:
            return "no benchmark"
        return f"{symbol} {signed_percent(getattr(benchmark, name), decimals)}"

    return (
        Figure("Total return", signed_percent(account.total_return, 1), against("total_return", 1)),
        Figure("Annualised return", signed_percent(account.annualised_return), against("annualised_return")),
        Figure(
            "Volatility",
            percent(account.volatility_annualised, 1),
            against("volatility_annualised", 1).replace("+", ""),
        ),
        Figure(
            "Sharpe ratio",
            number(account.sharpe_ratio),
            "no benchmark" if benchmark is None else f"{symbol} {number(benchmark.sharpe_ratio)}",
        ),
        Figure("Maximum drawdown", percent(account.max_drawdown, 1), against("max_drawdown", 1)),
        Figure(
            "Active return, annualised",
            signed_percent(relative.active_return_annualised if relative else None),
            f"information ratio {number(relative.information_ratio)}" if relative else "no benchmark",
        ),
        Figure("Equity", f"${usd(report.last_equity_usd)}", f"from ${usd(report.first_equity_usd)}"),
        Figure(
            "Trading cost",
            f"{number(report.trading.cost_bps, 1)} bps",
            f"${usd(report.trading.cost_usd)} over the period",
        ),
    )


def _summary(report: PerformanceReport) -> Section:
    text = (
        f"From the close of {day(report.first_session)} to {day(report.last_session)}, "
        f"{count(report.session_count)} sessions, the account returned "
        f"{signed_percent(report.account.total_return, 1)} after all costs"
    )
    if report.benchmark is not None:
        symbol = report.identity.benchmark_symbol
        text += f", against {signed_percent(report.benchmark.total_return, 1)} for {symbol}"
    return Section(
        "summary",
        "Summary",
        f"{text}. Its deepest drawdown was {percent(report.account.max_drawdown, 1)}.",
        headline(report),
        ((charts.GROWTH,), (charts.DRAWDOWN,)),
        (_comparison(report),),
    )


def _comparison(report: PerformanceReport) -> PrintedTable:
    account, benchmark, relative = report.account, report.benchmark, report.relative

    def cells(figures: PerformanceFigures | None) -> list[str]:
        if figures is None:
            return ["n/a"] * 10
        return [
            signed_percent(figures.total_return),
            signed_percent(figures.annualised_return),
            percent(figures.volatility_annualised),
            number(figures.sharpe_ratio),
            number(figures.sortino_ratio),
            number(figures.calmar_ratio),
            percent(figures.max_drawdown),
            signed_percent(figures.best_session),
            signed_percent(figures.worst_session),
            percent(figures.hit_rate, 1),
        ]

    labels = (
        "Total return", "Annualised return", "Volatility, annualised", "Sharpe ratio", "Sortino ratio", "Calmar ratio",
        "Maximum drawdown", "Best session", "Worst session", "Hit rate",
    )  # fmt: skip
    rows = list(zip(labels, cells(account), cells(benchmark), strict=True))
    if relative is not None:
        rows += [
            ("Active return, annualised", signed_percent(relative.active_return_annualised), ""),
            ("Tracking error, annualised", percent(relative.tracking_error_annualised), ""),
            ("Information ratio", number(relative.information_ratio), ""),
            ("Beta to the benchmark", number(relative.beta), ""),
            ("Jensen's alpha, annualised", signed_percent(relative.alpha_annualised), ""),
        ]
    name = report.identity.benchmark_symbol if benchmark else "No benchmark"
    return PrintedTable("Account and benchmark", ("", "Account", name), tuple(rows), widths=(2, 1, 1))


def _returns(report: PerformanceReport) -> Section:
    rows: list[tuple[str, ...]] = []
    shades: list[tuple[float | None, ...]] = []
    for record in report.months.to_dict("records"):
        months = [record[month] for month in range(1, 13)]
        values = [*months, record["year_return"], record["benchmark_return"]]
        rows.append((str(record["year"]), *("" if pd.isna(v) else number(v * 100, 1) for v in values)))
        shades.append((None, *(None if pd.isna(v) else _shade(v) for v in months), None, None))
    months_table = PrintedTable(
        "Monthly returns, %",
        ("Year", *_MONTHS, "Year", report.identity.benchmark_symbol if report.benchmark else "Bench."),
        tuple(rows),
        widths=(1.1, *([1.0] * 12), 1.15, 1.25),
        strong_columns=(0, 13),
        shades=tuple(shades),
    )
    drawdowns = PrintedTable(
        "Deepest drawdowns",
        ("Peak", "Trough", "Recovered", "Depth", "Sessions"),
        tuple(
            (
                day(r["peak_session"]),
                day(r["trough_session"]),
                "not yet" if pd.isna(r["recovery_session"]) else day(r["recovery_session"]),
                percent(r["depth"]),
                count(r["sessions"]),
            )
            for r in report.drawdowns.to_dict("records")
        ),
        text_columns=(0, 1, 2),
        when_empty="The account never stood below its peak.",
    )
    window = f"Rolling figures use the trailing {report.rolling_window_sessions} sessions."
    pairs = ((charts.YEARS,), (charts.ROLLING_VOLATILITY, charts.ROLLING_SHARPE))
    return Section("returns", "Returns", window, (), pairs, (months_table, drawdowns))


def _shade(value: float) -> float:
    return max(-1.0, min(1.0, value / _DEEPEST_SHADE_AT))


def _profit_and_loss(report: PerformanceReport) -> Section:
    pnl = report.pnl
    parts = (
        ("Prices: positions held overnight, close to close", pnl.price_usd),
        ("Trading: fills, from reference price to close", pnl.trading_usd),
        ("Dividends", pnl.dividends_usd),
        ("Interest", pnl.interest_usd),
        ("Slippage", pnl.slippage_usd),
        ("Commission", pnl.commission_usd),
        ("Residual: not explained", pnl.residual_usd),
        ("Change of equity", pnl.equity_change_usd),
    )
    explained = PrintedTable(
        "Where the change of equity came from",
        ("", "USD", "Of first equity"),
        tuple((name, signed_usd(value, 2), signed_percent(value / report.first_equity_usd)) for name, value in parts),
        widths=(2.6, 1, 1),
    )
    by_year = PrintedTable(
        "By calendar year, USD",
        ("Year", "Change", "Prices", "Trading", "Dividends", "Interest", "Slippage", "Commission", "Traded"),
        tuple(
            (
                str(r["year"]),
                *(
                    usd(r[name])
                    for name in (
                        "equity_change_usd", "price_usd", "trading_usd", "dividends_usd", "interest_usd",
                        "slippage_usd", "commission_usd", "traded_usd",
                    )
                ),
            )
            for r in report.pnl_by_year.to_dict("records")
        ),
    )  # fmt: skip
    text = (
        "The parts add up to the change of equity in every session; the largest difference in one session was "
        f"{pnl.largest_session_residual_usd:.1e} USD."
    )
    return Section("pnl", "Profit and loss", text, (), ((charts.PNL_BRIDGE,),), (explained, by_year))


def _about(report: PerformanceReport) -> Section:
    identity = report.identity
    rows = (
        ("Prices", identity.data_label),
        ("Source", identity.source),
        ("Account", identity.account),
        ("Workspace", identity.workspace),
        ("Lake snapshot", count(identity.snapshot_id)),
        ("Code version", identity.code_version),
        ("Configuration", identity.config_hash),
        ("Benchmark", identity.benchmark_symbol),
        ("Risk-free rate", f"{percent(identity.risk_free_rate_annual)} a year"),
        ("Created", f"{identity.created_at_utc:%Y-%m-%d %H:%M} UTC"),
    )
    text = (
        "Returns are after commission and slippage and before taxes. Equity is cash, receivables and positions marked "
        "at the last trusted close. A decision taken at the close of one session is executed in the next. Formulas and "
        "their sources are in aegis/metrics. Past results, real or simulated, say little about future ones."
    )
    warnings = tuple((warning,) for warning in report.data_warnings)
    doubts = (PrintedTable("Doubts about the data", ("",), warnings, text_columns=(0,)),) if warnings else ()
    return Section("about", "About this report", text, tables=(PrintedTable("Identity", ("", ""), rows,
                   text_columns=(0, 1), widths=(1, 3)), *doubts))  # fmt: skip

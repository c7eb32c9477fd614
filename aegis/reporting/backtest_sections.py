"""The chapters of a backtest report, in reading order, the same for every format.

Belongs here: which printed figure, table and picture stands where, and the sentences between them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pandas as pd

from aegis.reporting import backtest_charts, charts
from aegis.reporting.printing import (
    MISSING,
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

if TYPE_CHECKING:
    from aegis.backtesting.return_metrics import ReturnMetrics
    from aegis.reporting.backtest_review import BacktestReport

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DEEPEST_SHADE_AT = 0.08

CONVENTIONS = (
    (
        "Decision and fill",
        "Decided when a bar closes, filled from the symbol's next bar on; market orders at its open.",
    ),
    (
        "Stops and limits",
        "A stop that the price gaps through fills at the open; a limit never fills worse than the limit.",
    ),
    ("Inside one bar", "The path is unknown: a stop-loss comes before a take-profit."),
    ("Returns", "Of each session, after all costs and before taxes; the first from the initial cash."),
    ("Trades", "First in, first out; one for each entry and exit matched. Net of commission and fees."),
    ("Slippage", "With market impact, against the price without them; it is part of the trades' profits."),
    ("Risk", "Historical, of one session, at 95 %; positive is a loss."),
)
"""What a reader must know to read the numbers; the whole is ``docs/fills.md``."""


def sections(report: BacktestReport) -> tuple[Section, ...]:
    """Return the chapters of `report`."""
    return (_summary(report), _returns(report), _trades(report), _costs(report), _about(report))


def headline(report: BacktestReport) -> tuple[Figure, ...]:
    """Return the figures a reader looks for first."""
    metrics, benchmark = report.metrics, report.benchmark
    symbol = report.identity.benchmark_symbol

    def against(name: str, show: str = "percent", decimals: int = 2) -> str:
        if benchmark is None:
            return ""
        value = getattr(benchmark, name)
        return f"{symbol} {signed_percent(value, decimals) if show == 'percent' else number(value)}"

    fell = f"{day(metrics.drawdown_trough)}" if metrics.drawdown_trough else ""
    return (
        Figure("Total return", signed_percent(metrics.total_return, 1), against("total_return", decimals=1)),
        Figure("Annualised return", signed_percent(metrics.annualised_return), against("annualised_return")),
        Figure("Sharpe ratio", number(metrics.sharpe_ratio), against("sharpe_ratio", "number")),
        Figure("Maximum drawdown", percent(metrics.max_drawdown, 1), against("max_drawdown", decimals=1) or fell),
        Figure(
            "Net profit", f"${signed_usd(metrics.net_profit_usd)}".replace("$-", "-$").replace("$+", "+$"),
            f"from ${usd(metrics.initial_equity_usd)} to ${usd(metrics.final_equity_usd)}",
        ),
        Figure("Trades", count(metrics.trade_count), f"{percent(metrics.winning_trades_share, 1)} won"),
        Figure("Profit factor", number(metrics.profit_factor), f"{count(metrics.open_lot_count)} lots still open"),
        Figure(
            "Trading cost", f"{number(metrics.trading_cost_bps, 1)} bps", f"${usd(metrics.trading_cost_usd)} in all"
        ),
    )  # fmt: skip


def _summary(report: BacktestReport) -> Section:
    metrics = report.metrics
    if metrics.ruined_on is not None:
        text = (
            f"The account was ruined: its equity was zero or less at the close of {day(metrics.ruined_on)}. From there "
            "on no return can be measured, so the numbers that need returns are missing."
        )
    else:
        text = (
            f"From {day(metrics.first_session)} to {day(metrics.last_session)} the strategy returned "
            f"{signed_percent(metrics.total_return, 1)} after all costs"
        )
        if report.benchmark is not None:
            symbol = report.identity.benchmark_symbol
            text += f", against {signed_percent(report.benchmark.total_return, 1)} for {symbol}"
        text += f". It held positions at the close of {percent(metrics.sessions_invested_share, 0)} of the sessions."
    drawn = metrics.ruined_on is None
    rows = ((backtest_charts.EQUITY_AND_DRAWDOWN if drawn else backtest_charts.EQUITY,),)
    return Section("summary", "Summary", text, headline(report), rows, (_comparison(report),))


def _comparison(report: BacktestReport) -> PrintedTable:
    def cells(figures: ReturnMetrics | None) -> list[str]:
        if figures is None:
            return [MISSING] * 12
        return [
            signed_percent(figures.total_return),
            signed_percent(figures.annualised_return),
            percent(figures.volatility_annualised),
            number(figures.sharpe_ratio),
            number(figures.sortino_ratio),
            number(figures.calmar_ratio),
            percent(figures.max_drawdown),
            _fall(figures),
            percent(figures.value_at_risk_95),
            percent(figures.expected_shortfall_95),
            f"{signed_percent(figures.best_session_return)} / {signed_percent(figures.worst_session_return)}",
            percent(figures.winning_sessions_share, 1),
        ]

    labels = (
        "Total return", "Annualised return", "Volatility, annualised", "Sharpe ratio", "Sortino ratio", "Calmar ratio",
        "Maximum drawdown", "Its peak, trough and recovery", "Value at risk, 95 %", "Expected shortfall, 95 %",
        "Best / worst session", "Sessions that gained",
    )  # fmt: skip
    if report.benchmark is None:
        rows = tuple(zip(labels, cells(report.metrics), strict=True))
        return PrintedTable("Returns and risk", ("", "Strategy"), rows, widths=(1.4, 2))
    columns = ("", "Strategy", report.identity.benchmark_symbol)
    rows3 = tuple(zip(labels, cells(report.metrics), cells(report.benchmark), strict=True))
    return PrintedTable("Returns and risk", columns, rows3, widths=(1.4, 1.7, 1.7))


def _fall(figures: ReturnMetrics) -> str:
    if figures.drawdown_trough is None:
        return MISSING
    peak = day(figures.drawdown_peak) if figures.drawdown_peak else "start"
    recovery = day(figures.drawdown_recovery) if figures.drawdown_recovery else "not yet"
    return f"{peak} · {day(figures.drawdown_trough)} · {recovery}"


def _returns(report: BacktestReport) -> Section:
    rows: list[tuple[str, ...]] = []
    shades: list[tuple[float | None, ...]] = []
    with_benchmark = report.benchmark is not None
    for record in report.months.to_dict("records"):
        months = [record[month] for month in range(1, 13)]
        values = [*months, record["year_return"], *([record["benchmark_return"]] if with_benchmark else [])]
        rows.append((str(record["year"]), *("" if pd.isna(v) else f"{v * 100:.1f}" for v in values)))
        shade = [None if pd.isna(v) else max(-1.0, min(1.0, v / _DEEPEST_SHADE_AT)) for v in months]
        shades.append((None, *shade, *([None] * (len(values) - 12))))
    table = PrintedTable(
        "Monthly returns, %",
        ("Year", *_MONTHS, "Year", *([report.identity.benchmark_symbol] if with_benchmark else [])),
        tuple(rows),
        widths=(1.1, *([1.0] * 12), 1.15, *([1.25] if with_benchmark else [])),
        strong_columns=(0, 13),
        shades=tuple(shades),
        when_empty="A ruined account has no returns.",
    )
    drawn = report.metrics.ruined_on is None
    growth = ((charts.GROWTH,),) if drawn and with_benchmark else ()
    years = ((charts.YEARS,),) if drawn and len(report.months) > 1 else ()
    return Section("returns", "Returns", "", (), growth + years, (table,))


def _trades(report: BacktestReport) -> Section:
    metrics = report.metrics
    numbers = _in_two_columns(
        "All trades",
        (
            ("Closed", count(metrics.trade_count)),
            ("Won, of those decided", percent(metrics.winning_trades_share, 1)),
            ("Profit factor", number(metrics.profit_factor)),
            ("Average win, USD", usd(metrics.average_win_usd, 2)),
            ("Average loss, USD", usd(metrics.average_loss_usd, 2)),
            ("Average bars held", number(metrics.average_bars_held, 1)),
            ("Lots still open", count(metrics.open_lot_count)),
            ("Orders / fills", f"{count(metrics.order_count)} / {count(metrics.fill_count)}"),
            ("Traded, USD", usd(metrics.traded_usd)),
            ("Turnover, one-way, a year", number(metrics.turnover_annualised)),
        ),
    )
    shown, total = len(report.last_trades), metrics.trade_count
    last = PrintedTable(
        "All trades, newest first" if shown == total else f"Last {shown} of {count(total)} trades, newest first",
        ("Symbol", "Side", "Shares", "Entry", "Entry, USD", "Exit", "Exit, USD", "Bars", "Net, USD", "Return", "By"),
        tuple(
            (
                str(r["symbol"]),
                str(r["side"]),
                number(r["quantity_shares"], 0 if float(r["quantity_shares"]).is_integer() else 4),
                f"{r['entry_at_utc']:%Y-%m-%d %H:%M}",
                number(r["entry_price_usd"]),
                f"{r['exit_at_utc']:%Y-%m-%d %H:%M}",
                number(r["exit_price_usd"]),
                count(r["bars_held"]),
                signed_usd(r["net_profit_usd"], 2),
                signed_percent(r["net_return"]),
                str(r["exit_by"]),
            )
            for r in report.last_trades.to_dict("records")
        ),
        text_columns=(0, 1, 3, 5, 10),
        widths=(0.9, 0.7, 0.9, 1.8, 1.3, 1.8, 1.3, 0.7, 1.4, 1.2, 1.1),
        when_empty="No trade was closed.",
    )
    text = "Times are those at which the bars of entry and exit closed, in UTC." if total else ""
    return Section("trades", "Trades", text, (), ((backtest_charts.TRADE_RETURNS,),),
                   (numbers, last))  # fmt: skip


def _in_two_columns(title: str, numbers: tuple[tuple[str, str], ...]) -> PrintedTable:
    """Return labelled numbers as a table that is read down its left half, then down its right half."""
    half = len(numbers) // 2
    rows = tuple((*left, *right) for left, right in zip(numbers[:half], numbers[half:], strict=True))
    return PrintedTable(title, ("", "", "", ""), rows, text_columns=(0, 2), widths=(1.5, 1, 1.5, 1))


def _costs(report: BacktestReport) -> Section:
    metrics = report.metrics
    parts = (
        ("Closed trades: prices, with slippage and impact", metrics.realised_usd),
        ("Open lots: prices, with slippage and impact", metrics.unrealised_usd),
        ("Dividends", metrics.dividends_usd),
        ("Interest", metrics.interest_usd),
        ("Commission", -metrics.commission_usd),
        ("Regulatory fees", -metrics.fees_usd),
        ("Borrow fees", -metrics.borrow_fees_usd),
        ("Not explained", metrics.unexplained_usd),
        ("Net profit", metrics.net_profit_usd),
    )
    explained = PrintedTable(
        "Where the profit came from",
        ("", "USD", "Of initial equity"),
        tuple(
            (name, signed_usd(value, 2), signed_percent(value / metrics.initial_equity_usd)) for name, value in parts
        ),
        widths=(2.6, 1, 1),
    )
    exposure = _in_two_columns(
        "Exposure at the close, share of equity",
        (
            ("Gross, mean", percent(metrics.gross_exposure_mean, 1)),
            ("Gross, largest", percent(metrics.gross_exposure_max, 1)),
            ("Net, mean", percent(metrics.net_exposure_mean, 1)),
            ("Sessions with a position", percent(metrics.sessions_invested_share, 1)),
        ),
    )
    text = (
        f"Slippage and impact cost ${usd(metrics.slippage_usd, 2)}; with commission and regulatory fees trading cost "
        f"${usd(metrics.trading_cost_usd, 2)}, {number(metrics.trading_cost_bps, 1)} basis points of what was traded."
    )
    known = metrics.gross_exposure_mean is not None
    row = (backtest_charts.COSTS, charts.EXPOSURE) if known else (backtest_charts.COSTS,)
    return Section("costs", "Profit, costs and exposure", text, (), (row,), (explained, exposure))


def _about(report: BacktestReport) -> Section:
    results, identity = report.results, report.identity
    rows = [
        ("Prices", identity.data_label),
        ("Source", identity.source),
        ("Price mode", results.price_mode),
        ("Initial cash", f"${usd(results.initial_cash_usd, 2)}"),
        ("Risk-free rate", f"{percent(results.risk_free_rate_annual)} a year"),
        ("Sessions in a year", count(results.sessions_per_year)),
        ("Code version", identity.code_version or "not recorded"),
        ("Configuration", identity.config_hash or "not recorded"),
    ]
    tables = [PrintedTable("Identity", ("", ""), tuple(rows), text_columns=(0, 1), widths=(1, 3))]
    for group, values in results.settings.items():
        lines = tuple((name.replace("_", " "), _setting(value)) for name, value in values.items())
        title = group.replace("_", " ").capitalize()
        tables.append(PrintedTable(title, ("", ""), lines, text_columns=(0, 1), widths=(1, 3)))
    tables.append(PrintedTable("Conventions", ("", ""), CONVENTIONS, text_columns=(0, 1), widths=(1, 3)))
    text = "Past results, real or simulated, say little about future ones."
    return Section("about", "Settings and conventions", text, tables=tuple(tables))


def _setting(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float | int):
        return "without bound" if math.isinf(value) else f"{value:,.12g}"
    return "none" if value is None else str(value).replace("_", " ")

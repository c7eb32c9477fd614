"""Assemble the performance report of one account.

Belongs here: returns, P&L and trading figures over the report's sessions. The book at the last close is
:mod:`aegis.reporting.book_review`; risk forecasts, breakers, gate and checks are :mod:`aegis.reporting.control_review`.
Formulas live in :mod:`aegis.metrics`; here they are called.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from aegis.errors import ReportingError, RiskError
from aegis.market_data.survivorship import survivorship_notes
from aegis.metrics import ratios, returns, risk, transactions
from aegis.metrics.returns import FloatArray
from aegis.reporting import book_review, control_review
from aegis.reporting.implementation_shortfall import shortfall_figures
from aegis.reporting.report import (
    REPORT_TABLES,
    PerformanceFigures,
    PerformanceReport,
    ProfitAndLoss,
    RelativeFigures,
    ReportInputs,
    TradingFigures,
)

ROLLING_WINDOW_SESSIONS = 126
_ROLLING_STEP_SESSIONS = 5
_DEEPEST_DRAWDOWNS = 5
_PNL_COLUMNS = {
    "equity_change_usd": "equity_change_usd",
    "price_usd": "price_pnl_usd",
    "trading_usd": "trading_pnl_usd",
    "dividends_usd": "dividends_usd",
    "interest_usd": "interest_usd",
    "slippage_usd": "slippage_usd",
    "commission_usd": "commission_usd",
    "residual_usd": "residual_usd",
}


def performance_report(inputs: ReportInputs) -> PerformanceReport:
    """Assemble every number of the performance report.

    Parameters
    ----------
    inputs : ReportInputs
        Rows of one account; the report covers the sessions of ``account_values``.

    Raises
    ------
    ReportingError
        There is no session, a frame holds another account, or P&L and account values differ in their sessions.
    SchemaMismatch
        A frame does not fit its table.
    RiskError
        A return or an equity is not a finite number that a return can be measured from.

    Notes
    -----
    Account and benchmark are measured from the close of the first session, when the account decides for the first
    time: what either did in that session lies before, and the benchmark must not be given a session that the account
    could not trade. Returns are ``daily_pnl.return_daily`` from the second session on, costs included. The benchmark's
    are ``benchmark_return_daily``, from the first session that has one; a later session without one returned nothing,
    as the return accrues at the next. Relative figures use the same sessions of the account. A number that does not
    exist is None.
    """
    inputs = _conformed(inputs)
    values, pnl = inputs.account_values, inputs.daily_pnl.iloc[1:]
    account_returns = returns.return_series(pnl["return_daily"].to_numpy(), minimum=0)
    rate = inputs.identity.risk_free_rate_annual
    levels = _levels(account_returns)
    benchmark_returns = _benchmark_returns(pnl)
    has_benchmark = len(benchmark_returns) > 0
    sessions = _sessions(inputs, levels, benchmark_returns)
    book = book_review.book_review(inputs)
    controls = control_review.control_review(inputs, sessions)
    return PerformanceReport(
        identity=inputs.identity,
        first_session=values["session"].iloc[0].date(),
        last_session=values["session"].iloc[-1].date(),
        session_count=len(values),
        first_equity_usd=float(values["equity_usd"].iloc[0]),
        last_equity_usd=float(values["equity_usd"].iloc[-1]),
        cash_usd=float(values["cash_usd"].iloc[-1]),
        account=_figures(account_returns, rate),
        benchmark=_figures(benchmark_returns, rate) if has_benchmark else None,
        relative=_relative(account_returns[-len(benchmark_returns) :], benchmark_returns, rate)
        if has_benchmark
        else None,
        pnl=_profit_and_loss(pnl),
        trading=_trading(inputs),
        risk=controls.risk,
        data_checks=controls.data_checks,
        rolling_window_sessions=ROLLING_WINDOW_SESSIONS,
        sessions=sessions,
        rolling=_rolling(pnl["session"], account_returns, rate),
        value_at_risk=controls.value_at_risk,
        months=_months(pnl["session"], account_returns, benchmark_returns),
        pnl_by_year=_pnl_by_year(pnl, inputs.fills),
        drawdowns=_deepest_drawdowns(values["session"], levels),
        positions=book.positions,
        position_count=book.position_count,
        sectors=book.sectors,
        breaker_trips=controls.breaker_trips,
        blocked_sessions=controls.blocked_sessions,
        stopped_stretches=controls.stopped_stretches,
        checks=controls.checks,
        gate_rules=controls.gate_rules,
        last_orders=book.last_orders,
        refused_orders=book.refused_orders,
        data_warnings=tuple(
            survivorship_notes(inputs.listings, values["session"].iloc[0].date(), values["session"].iloc[-1].date())
        ),
        shortfall=shortfall_figures(inputs.implementation_shortfall),
    )


def _conformed(inputs: ReportInputs) -> ReportInputs:
    frames: dict[str, Any] = {table.name: table.conform(getattr(inputs, table.name)) for table in REPORT_TABLES}
    account = inputs.identity.account
    if frames["account_values"].empty:
        raise ReportingError(
            f"account {account} has no session to report on; materialise portfolio/account_values first"
        )
    for name, frame in frames.items():
        others = sorted(set(frame["account"]) - {account}) if "account" in frame else []
        if others:
            raise ReportingError(f"report of account {account}: {name} also holds {others}; read one account's rows")
    if not frames["account_values"]["session"].equals(frames["daily_pnl"]["session"]):
        raise ReportingError(
            f"report of account {account}: account_values has {len(frames['account_values'])} sessions and daily_pnl "
            f"{len(frames['daily_pnl'])}, or other ones; read both for the same range"
        )
    return dataclasses.replace(inputs, **frames)


def _benchmark_returns(pnl: pd.DataFrame) -> FloatArray:
    """Return the benchmark's returns of the last sessions, from the first that has one; empty if none has."""
    known = pnl["benchmark_return_daily"]
    return known[known.notna().cummax()].fillna(0.0).to_numpy()


def _levels(series: FloatArray) -> FloatArray:
    """Return the growth of 1, which is 1 alone where there is no return yet."""
    return returns.compounded_levels(series) if len(series) else np.ones(1)


def _unless_undefined(metric: Callable[..., float], *arguments: Any, **options: Any) -> float | None:
    """Return the metric, or None where it does not exist for a series that has already been found sound."""
    try:
        return metric(*arguments, **options)
    except RiskError:
        return None


def _figures(series: FloatArray, rate: float) -> PerformanceFigures:
    has_returns = len(series) > 0
    return PerformanceFigures(
        total_return=returns.total_return(series) if has_returns else 0.0,
        annualised_return=_unless_undefined(returns.annualised_return, series),
        volatility_annualised=_unless_undefined(risk.annualised_volatility, series),
        sharpe_ratio=_unless_undefined(ratios.sharpe_ratio, series, risk_free_rate=rate),
        sortino_ratio=_unless_undefined(ratios.sortino_ratio, series, risk_free_rate=rate),
        calmar_ratio=_unless_undefined(ratios.calmar_ratio, series),
        max_drawdown=risk.max_drawdown(_levels(series)).depth,
        best_session=float(series.max()) if has_returns else None,
        worst_session=float(series.min()) if has_returns else None,
        hit_rate=_unless_undefined(returns.hit_rate, series),
    )


def _relative(series: FloatArray, benchmark: FloatArray, rate: float) -> RelativeFigures:
    return RelativeFigures(
        active_return_annualised=returns.annualised_return(series) - returns.annualised_return(benchmark),
        tracking_error_annualised=_unless_undefined(ratios.tracking_error, series, benchmark),
        information_ratio=_unless_undefined(ratios.information_ratio, series, benchmark),
        beta=_unless_undefined(ratios.beta, series, benchmark),
        alpha_annualised=_unless_undefined(ratios.alpha, series, benchmark, risk_free_rate=rate),
    )


def _sessions(inputs: ReportInputs, levels: FloatArray, benchmark_returns: FloatArray) -> pd.DataFrame:
    values = inputs.account_values
    frame = pd.DataFrame(
        {
            "session": values["session"],
            "equity_usd": values["equity_usd"],
            "growth": levels,
            "benchmark_growth": np.nan,
            "drawdown": risk.drawdowns(levels),
            "benchmark_drawdown": np.nan,
            "return_daily": inputs.daily_pnl["return_daily"],
        }
    )
    if len(benchmark_returns):
        benchmark = _levels(benchmark_returns)
        drawn = frame.index[-len(benchmark) :]  # with the session before the first return
        frame.loc[drawn, "benchmark_growth"] = benchmark
        frame.loc[drawn, "benchmark_drawdown"] = risk.drawdowns(benchmark)
    return frame.join(book_review.exposures(inputs.positions), on="session").fillna(
        {"gross_exposure": 0.0, "net_exposure": 0.0, "position_count": 0}
    )


def _rolling(sessions: pd.Series, series: FloatArray, rate: float) -> pd.DataFrame:
    ends = range(len(series), ROLLING_WINDOW_SESSIONS - 1, -_ROLLING_STEP_SESSIONS)
    rows = []
    for end in reversed(ends):
        window = series[end - ROLLING_WINDOW_SESSIONS : end]
        sharpe = _unless_undefined(ratios.sharpe_ratio, window, risk_free_rate=rate)
        rows.append((sessions.iloc[end - 1], risk.annualised_volatility(window), np.nan if sharpe is None else sharpe))
    frame = pd.DataFrame(rows, columns=["session", "volatility_annualised", "sharpe_ratio"])
    return frame.astype({"session": "datetime64[ns]", "volatility_annualised": float, "sharpe_ratio": float})


def _months(sessions: pd.Series, series: FloatArray, benchmark: FloatArray) -> pd.DataFrame:
    months = returns.monthly_returns([s.date() for s in sessions], series) if len(series) else []
    cells = {(month.year, month.month): month.total_return for month in months}
    year_of = sessions.dt.year.to_numpy()
    benchmark_year_of = year_of[len(year_of) - len(benchmark) :]
    rows = []
    for year in sorted(set(year_of.tolist())):
        of_benchmark = benchmark[benchmark_year_of == year]
        row: dict[str | int, float] = {"year": year}
        row.update((month, cells.get((year, month), np.nan)) for month in range(1, 13))
        row["year_return"] = returns.total_return(series[year_of == year])
        row["benchmark_return"] = returns.total_return(of_benchmark) if len(of_benchmark) else np.nan
        rows.append(row)
    columns = ["year", *range(1, 13), "year_return", "benchmark_return"]
    return pd.DataFrame(rows, columns=columns)


def _profit_and_loss(pnl: pd.DataFrame) -> ProfitAndLoss:
    parts = {field: float(pnl[column].sum()) for field, column in _PNL_COLUMNS.items()}
    largest = float(pnl["residual_usd"].abs().max()) if len(pnl) else 0.0
    return ProfitAndLoss(**parts, largest_session_residual_usd=largest)


def _pnl_by_year(pnl: pd.DataFrame, fills: pd.DataFrame) -> pd.DataFrame:
    years = pnl["session"].dt.year.rename("year")
    frame = pnl.groupby(years)[list(_PNL_COLUMNS.values())].sum()
    frame = frame.rename(columns={column: field for field, column in _PNL_COLUMNS.items()})
    traded = (fills["quantity_shares"].abs() * fills["price_usd"]).groupby(fills["session"].dt.year)
    frame["traded_usd"] = traded.sum().reindex(frame.index, fill_value=0.0)
    return frame.reset_index()


def _trading(inputs: ReportInputs) -> TradingFigures:
    fills, values = inputs.fills, inputs.account_values
    notional = fills["quantity_shares"] * fills["price_usd"]
    by_session = [
        side.groupby(fills["session"]).sum().reindex(values["session"], fill_value=0.0).to_numpy()
        for side in (notional.clip(lower=0.0), (-notional).clip(lower=0.0))
    ]
    totals = transactions.cost_totals(
        fills["quantity_shares"].to_numpy(),
        fills["price_usd"].to_numpy(),
        commissions_usd=fills["commission_usd"].to_numpy(),
        slippages_usd=fills["slippage_usd"].to_numpy(),
    )
    return TradingFigures(
        fill_count=totals.fills,
        traded_usd=totals.traded_usd,
        turnover_annualised=transactions.turnover(*by_session, equity_usd=values["equity_usd"].to_numpy()),
        commission_usd=totals.commission_usd,
        slippage_usd=totals.slippage_usd,
        cost_usd=totals.total_usd,
        cost_bps=totals.in_bps() if totals.traded_usd > 0.0 else None,
        orders_approved=int((inputs.orders["gate_outcome"] == "approved").sum()),
        orders_refused=int((inputs.orders["gate_outcome"] == "refused").sum()),
    )


def _deepest_drawdowns(sessions: pd.Series, levels: FloatArray) -> pd.DataFrame:
    rows = []
    for first, last in _falls(levels):
        fall = risk.max_drawdown(levels[first : last + 1])
        recovery = None if fall.recovery is None else sessions.iloc[first + fall.recovery]
        rows.append(
            (sessions.iloc[first + fall.peak], sessions.iloc[first + fall.trough], recovery, fall.depth, last - first)
        )
    columns = ["peak_session", "trough_session", "recovery_session", "depth", "sessions"]
    frame = pd.DataFrame(rows, columns=columns).astype({"recovery_session": "datetime64[ns]", "depth": float})
    return frame.nsmallest(_DEEPEST_DRAWDOWNS, "depth").reset_index(drop=True)


def _falls(levels: FloatArray) -> Iterator[tuple[int, int]]:
    """Yield the positions of each peak and of the recovery that ends the fall from it, or of the last level."""
    at_peak = np.flatnonzero(risk.drawdowns(levels) == 0.0)
    for peak, regained in pairwise(at_peak.tolist()):
        if regained > peak + 1:
            yield peak, regained
    if at_peak[-1] < len(levels) - 1:
        yield int(at_peak[-1]), len(levels) - 1

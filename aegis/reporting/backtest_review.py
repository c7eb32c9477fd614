"""What goes into the report of one backtest.

Belongs here: assembling. Every number is one of ``results.metrics``, of a frame of the results, or of the benchmark
measured in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from aegis.backtesting.backtest_metrics import BacktestMetrics, exposures
from aegis.backtesting.results import BacktestResults
from aegis.backtesting.return_metrics import ReturnMetrics, return_metrics
from aegis.errors import ReportingError
from aegis.metrics import returns, risk
from aegis.reporting.report import SIMULATED_LABEL


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestIdentity:
    """What a report says of where it comes from.

    Parameters
    ----------
    strategy : str
    source : str
        Where the prices come from.
    is_simulated : bool
        Whether they are invented.
    benchmark_symbol : str
        Empty without a benchmark.
    first_session, last_session : date
    session_count : int
    symbol_count : int
    code_version, config_hash : str, optional
    """

    strategy: str
    source: str
    is_simulated: bool
    benchmark_symbol: str
    first_session: date
    last_session: date
    session_count: int
    symbol_count: int
    code_version: str | None
    config_hash: str | None

    @property
    def data_label(self) -> str:
        """Say where prices come from; the warning when they are not real."""
        return SIMULATED_LABEL if self.is_simulated else f"Prices: {self.source}"

    @property
    def period(self) -> str:
        """Say over what it was run."""
        parts = [
            f"{self.first_session} to {self.last_session}",
            f"{self.session_count:,} session{'s' * (self.session_count != 1)}",
            f"{self.symbol_count:,} symbol{'s' * (self.symbol_count != 1)}",
        ]
        return " · ".join([*parts, f"benchmark {self.benchmark_symbol}"] if self.benchmark_symbol else parts)

    @property
    def footer(self) -> str:
        """Say what would compute it again."""
        known = ((self.code_version, "code"), (self.config_hash, "configuration"))
        return " · ".join([self.data_label, *(f"{name} {value}" for value, name in known if value)])


@dataclass(frozen=True, kw_only=True)
class BacktestReport:
    """Everything that any format prints.

    Parameters
    ----------
    identity : BacktestIdentity
    results : BacktestResults
    metrics : BacktestMetrics
    benchmark : ReturnMetrics, optional
        Of the benchmark over the same sessions.
    sessions : DataFrame
        One row a session: ``session, equity_usd, growth, benchmark_growth, drawdown, benchmark_drawdown, return_daily,
        gross_exposure, net_exposure``. Growth is of one dollar from before the first session. NaN for what does not
        exist: drawdown and return of a ruined account, exposures without closes, and the benchmark's without one.
    months : DataFrame
        ``year, 1 ... 12, year_return, benchmark_return``; empty for a ruined account.
    last_trades : DataFrame
        The trades that were closed last, newest first.
    """

    identity: BacktestIdentity
    results: BacktestResults
    metrics: BacktestMetrics
    benchmark: ReturnMetrics | None
    sessions: pd.DataFrame
    months: pd.DataFrame
    last_trades: pd.DataFrame


def backtest_report(
    results: BacktestResults, *, benchmark_returns: pd.Series[float] | None = None, trades_shown: int = 25
) -> BacktestReport:
    """Assemble the report of `results`.

    Parameters
    ----------
    results : BacktestResults
    benchmark_returns : Series of float, by session, optional
        1/session, with a value for every session of the backtest; its name is the benchmark's symbol.
    trades_shown : int
        How many of the last trades are printed; the CSV files have all.

    Raises
    ------
    ReportingError
        The benchmark has no return in a session of the backtest.
    """
    metrics = results.metrics
    benchmark = None if benchmark_returns is None else _aligned(benchmark_returns, results.session_dates)
    symbol = "" if benchmark is None else str(benchmark.name or "benchmark")
    return BacktestReport(
        identity=BacktestIdentity(
            strategy=results.strategy,
            source=results.source,
            is_simulated=results.is_simulated,
            benchmark_symbol=symbol,
            first_session=metrics.first_session,
            last_session=metrics.last_session,
            session_count=metrics.session_count,
            symbol_count=len(results.symbols),
            code_version=results.code_version,
            config_hash=results.config_hash,
        ),
        results=results,
        metrics=metrics,
        benchmark=None
        if benchmark is None
        else return_metrics(
            benchmark,
            risk_free_rate_annual=results.risk_free_rate_annual,
            sessions_per_year=results.sessions_per_year,
        ),
        sessions=_sessions(results, benchmark),
        months=_months(results, benchmark),
        last_trades=results.trades.iloc[: -trades_shown - 1 : -1],
    )


def _aligned(benchmark_returns: pd.Series[float], sessions: pd.DatetimeIndex) -> pd.Series[float]:
    aligned = benchmark_returns.reindex(sessions)
    missing = sessions[aligned.isna().to_numpy()]
    if len(missing):
        raise ReportingError(
            f"benchmark {benchmark_returns.name}: no return for {len(missing)} of {len(sessions)} sessions, the first "
            f"is {missing[0]:%Y-%m-%d}; give it one for every session of the backtest"
        )
    return aligned


def _sessions(results: BacktestResults, benchmark: pd.Series[float] | None) -> pd.DataFrame:
    equity = np.asarray(results.daily_equity, dtype=np.float64)
    frame = pd.DataFrame({"session": results.session_dates, "equity_usd": equity})
    frame["growth"] = equity / results.initial_cash_usd
    for name in (
        "benchmark_growth",
        "drawdown",
        "benchmark_drawdown",
        "return_daily",
        "gross_exposure",
        "net_exposure",
    ):
        frame[name] = np.nan
    if results.metrics.ruined_on is None:
        frame["drawdown"] = risk.drawdowns(np.concatenate(([results.initial_cash_usd], equity)))[1:]
        frame["return_daily"] = results.returns.to_numpy()
        marks = results.session_marks_usd
        if marks is not None:
            frame["gross_exposure"], frame["net_exposure"] = exposures(
                results.round_trips.positions_shares, marks, equity
            )
    if benchmark is not None:
        levels = returns.compounded_levels(benchmark.to_numpy())
        frame["benchmark_growth"] = levels[1:]
        frame["benchmark_drawdown"] = risk.drawdowns(levels)[1:]
    return frame


def _months(results: BacktestResults, benchmark: pd.Series[float] | None) -> pd.DataFrame:
    columns = ["year", *range(1, 13), "year_return", "benchmark_return"]
    if results.metrics.ruined_on is not None:
        return pd.DataFrame(columns=columns)
    series = results.returns
    days = [day.date() for day in results.session_dates]
    cells = {(m.year, m.month): m.total_return for m in returns.monthly_returns(days, series.to_numpy())}
    years = results.session_dates.year.to_numpy()
    rows = [
        {
            "year": year,
            **{month: cells.get((year, month), np.nan) for month in range(1, 13)},
            "year_return": returns.total_return(series.to_numpy()[years == year]),
            "benchmark_return": np.nan
            if benchmark is None
            else returns.total_return(benchmark.to_numpy()[years == year]),
        }
        for year in sorted(set(years.tolist()))
    ]
    return pd.DataFrame(rows, columns=columns)

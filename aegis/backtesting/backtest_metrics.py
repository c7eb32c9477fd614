"""Every number of a backtest, from its equity, its fills and its trades.

Belongs here: which number is measured on what. The formulas are in :mod:`aegis.metrics`; a number that does not exist,
such as the Sharpe ratio of one session, is None.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aegis.backtesting.record_frames import slippage_usd
from aegis.backtesting.return_metrics import ReturnMetrics, return_metrics, unless_undefined
from aegis.backtesting.trades import RoundTrips
from aegis.metrics import returns, trades, transactions
from aegis.metrics.returns import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestMetrics(ReturnMetrics):
    """Every number of a backtest; None where it does not exist.

    Parameters
    ----------
    first_session, last_session : date
    session_count : int
    initial_equity_usd, final_equity_usd, net_profit_usd : float
        The profit is their difference.
    ruined_on : date
        First session that ended with an equity of zero or less; from then on there are no returns, and none of the
        numbers that need them.
    realised_usd, unrealised_usd : float
        Profit of trades and of open lots before commission and fees, slippage and impact included.
    dividends_usd, interest_usd : float
        Received less paid.
    borrow_fees_usd, commission_usd, fees_usd : float
        Positive is a cost; fees are the regulatory ones.
    unexplained_usd : float
        Net profit less all of the above: rounding noise, or a defect.
    slippage_usd : float
        Slippage and impact against the reference prices; part of the trades' profits.
    trading_cost_usd : float
        Commission, fees, slippage and impact.
    trading_cost_bps : float
        Of what was traded.
    order_count, fill_count : int
    traded_usd : float
        Bought plus sold.
    turnover_annualised : float
        One-way: half of bought plus sold, over mean equity, a year.
    gross_exposure_mean, gross_exposure_max, net_exposure_mean : float
        Value of positions over equity at the close of sessions. None without closes.
    sessions_invested_share : float
        Sessions that ended with a position.
    trade_count, open_lot_count : int
    winning_trades_share : float
        Trades with a net profit among those with a profit or loss.
    profit_factor : float
        What winners made over what losers lost, net.
    average_win_usd, average_loss_usd : float
        Net; the loss is negative.
    average_bars_held : float
        Steps from entry to exit.
    """

    first_session: date
    last_session: date
    session_count: int
    initial_equity_usd: float
    final_equity_usd: float
    net_profit_usd: float
    ruined_on: date | None
    realised_usd: float
    unrealised_usd: float
    dividends_usd: float
    interest_usd: float
    borrow_fees_usd: float
    commission_usd: float
    fees_usd: float
    unexplained_usd: float
    slippage_usd: float
    trading_cost_usd: float
    trading_cost_bps: float | None
    order_count: int
    fill_count: int
    traded_usd: float
    turnover_annualised: float | None
    gross_exposure_mean: float | None
    gross_exposure_max: float | None
    net_exposure_mean: float | None
    sessions_invested_share: float
    trade_count: int
    open_lot_count: int
    winning_trades_share: float | None
    profit_factor: float | None
    average_win_usd: float | None
    average_loss_usd: float | None
    average_bars_held: float | None

    def as_series(self) -> pd.Series[Any]:
        """Return the numbers by name, for a table or an experiment's log."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return pd.Series(values, name="value", dtype=object)


def backtest_metrics(
    *,
    session_equity_usd: pd.Series[float],
    initial_cash_usd: float,
    order_count: int,
    fills: NDArray[Any],
    session_of_fill: NDArray[np.int64],
    account: NDArray[Any],
    trips: RoundTrips,
    last_marks_usd: FloatArray,
    session_marks_usd: FloatArray | None,
    risk_free_rate_annual: float,
    sessions_per_year: int,
) -> BacktestMetrics:
    """Measure a backtest.

    Parameters
    ----------
    session_equity_usd : Series of float, by session
        Equity at the close of each session.
    initial_cash_usd : float
        Equity before the first.
    order_count : int
        Orders sent.
    fills : ndarray of FILL
    session_of_fill : ndarray of int64, shape (fills,)
        Position of each fill's session.
    account : ndarray of ACCOUNT, shape (1,)
        Sums since the beginning.
    trips : RoundTrips
    last_marks_usd : ndarray of float64, shape (symbols,)
    session_marks_usd : ndarray of float64, shape (sessions, symbols), optional
        Without it there are no exposures.
    risk_free_rate_annual, sessions_per_year
        See :func:`return_metrics`.
    """
    sessions = pd.DatetimeIndex(session_equity_usd.index)
    equity: FloatArray = np.asarray(session_equity_usd, dtype=np.float64)
    ruin = np.flatnonzero(equity <= 0.0)
    final = float(equity[-1])
    performance = _performance(session_equity_usd, initial_cash_usd, risk_free_rate_annual, sessions_per_year)
    profits: dict[str, Any] = {
        "realised_usd": float(np.sum(trips.gross_profit_usd)),
        "unrealised_usd": float(np.sum(trips.unrealised_usd(last_marks_usd))),
        "dividends_usd": float(account["dividends"][0]),
        "interest_usd": float(account["interest"][0]),
    }
    costs: dict[str, Any] = {
        "borrow_fees_usd": float(account["borrow_fees"][0]),
        "commission_usd": float(np.sum(fills["commission"])),
        "fees_usd": float(np.sum(fills["fees"])),
    }
    net_profit = final - initial_cash_usd
    return BacktestMetrics(
        **performance,
        first_session=sessions[0].date(),
        last_session=sessions[-1].date(),
        session_count=len(sessions),
        initial_equity_usd=initial_cash_usd,
        final_equity_usd=final,
        net_profit_usd=net_profit,
        ruined_on=sessions[ruin[0]].date() if ruin.size else None,
        **profits,
        **costs,
        unexplained_usd=net_profit - sum(profits.values()) + sum(costs.values()),
        **_trading(fills, session_of_fill, equity, sessions_per_year),
        order_count=order_count,
        **_exposures(trips.positions_shares, session_marks_usd, equity),
        **_trade_numbers(trips),
    )


def _performance(
    session_equity_usd: pd.Series[float], initial_cash_usd: float, rate: float, sessions_per_year: int
) -> dict[str, Any]:
    levels = np.concatenate(([initial_cash_usd], session_equity_usd.to_numpy()))
    if levels.min() <= 0.0:
        return dict.fromkeys(field.name for field in dataclasses.fields(ReturnMetrics))
    series = pd.Series(returns.simple_returns(levels), index=session_equity_usd.index)
    measured = return_metrics(series, risk_free_rate_annual=rate, sessions_per_year=sessions_per_year)
    return dataclasses.asdict(measured)


def _trading(
    fills: NDArray[Any], session_of_fill: NDArray[np.int64], equity: FloatArray, sessions_per_year: int
) -> dict[str, Any]:
    totals = transactions.cost_totals(
        fills["quantity"],
        fills["price"],
        commissions_usd=fills["commission"] + fills["fees"],
        slippages_usd=slippage_usd(fills),
    )
    value = fills["quantity"] * fills["price"]
    bought, sold = (
        np.bincount(session_of_fill, weights=side, minlength=equity.size)
        for side in (np.maximum(value, 0.0), np.maximum(-value, 0.0))
    )
    return {
        "fill_count": totals.fills,
        "traded_usd": totals.traded_usd,
        "slippage_usd": totals.slippage_usd,
        "trading_cost_usd": totals.total_usd,
        "trading_cost_bps": unless_undefined(totals.in_bps),
        "turnover_annualised": unless_undefined(
            transactions.turnover, bought, sold, equity_usd=equity, sessions_per_year=sessions_per_year
        ),
    }


def exposures(
    positions_shares: FloatArray, session_marks_usd: FloatArray, equity_usd: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return gross and net value of positions over equity at the close of each session.

    Parameters
    ----------
    positions_shares, session_marks_usd : ndarray of float64, shape (sessions, symbols)
        A mark may be NaN where nothing is held.
    equity_usd : ndarray of float64, shape (sessions,)
        Above 0.

    Returns
    -------
    tuple of ndarray of float64, shape (sessions,)
    """
    values = np.where(positions_shares != 0.0, positions_shares * session_marks_usd, 0.0)
    return np.abs(values).sum(axis=1) / equity_usd, values.sum(axis=1) / equity_usd


def _exposures(positions: FloatArray, marks: FloatArray | None, equity: FloatArray) -> dict[str, Any]:
    numbers: dict[str, Any] = {
        "sessions_invested_share": float(np.mean((positions != 0.0).any(axis=1))),
        "gross_exposure_mean": None,
        "gross_exposure_max": None,
        "net_exposure_mean": None,
    }
    if marks is not None and equity.min() > 0.0:
        gross, net = exposures(positions, marks, equity)
        numbers["gross_exposure_mean"] = float(gross.mean())
        numbers["gross_exposure_max"] = float(gross.max())
        numbers["net_exposure_mean"] = float(net.mean())
    return numbers


def _trade_numbers(trips: RoundTrips) -> dict[str, Any]:
    profits, closed = trips.net_profit_usd, trips.closed
    held = closed["exit_step"] - closed["entry_step"]
    return {
        "trade_count": closed.size,
        "open_lot_count": trips.still_open.size,
        "winning_trades_share": unless_undefined(trades.winning_share, profits),
        "profit_factor": unless_undefined(trades.profit_factor, profits),
        "average_win_usd": unless_undefined(trades.average_win, profits),
        "average_loss_usd": unless_undefined(trades.average_loss, profits),
        "average_bars_held": float(held.mean()) if held.size else None,
    }

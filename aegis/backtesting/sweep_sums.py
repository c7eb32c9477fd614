"""What a sweep keeps of each backtest: a row of sums, enough for every number that it measures.

Belongs here: which sums there are, how a session and a fill add to them, and the row of a finished backtest. The fused
columns (:mod:`aegis.backtesting.sweep_columns`) add to theirs while they simulate; what the sums mean is
:mod:`aegis.backtesting.sweep_results`.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aegis.backtesting.compilation import compiled
from aegis.backtesting.kernel.memory import load_f8, store_f8
from aegis.backtesting.results import BacktestResults


class Sums(IntEnum):
    """Columns of a row of sums."""

    FINAL_EQUITY = 0
    RETURNS = 1
    SQUARED_RETURNS = 2
    DEEPEST = 3
    LOWEST_EQUITY = 4
    FILLS = 5
    TRADED_SHARES = 6
    TRADED_USD = 7
    COMMISSION = 8
    FEES = 9
    SLIPPAGE = 10
    INTEREST = 11
    BORROW_FEES = 12
    SESSIONS_INVESTED = 13


N_SUMS: Final = len(Sums)
_FINAL, _RETURNS, _SQUARES = int(Sums.FINAL_EQUITY), int(Sums.RETURNS), int(Sums.SQUARED_RETURNS)
_DEEPEST, _LOWEST, _INVESTED = int(Sums.DEEPEST), int(Sums.LOWEST_EQUITY), int(Sums.SESSIONS_INVESTED)
_FILLS, _SHARES, _USD = int(Sums.FILLS), int(Sums.TRADED_SHARES), int(Sums.TRADED_USD)
_COMMISSION, _FEES, _SLIPPAGE = int(Sums.COMMISSION), int(Sums.FEES), int(Sums.SLIPPAGE)
_INTEREST, _BORROW_FEES = int(Sums.INTEREST), int(Sums.BORROW_FEES)


@compiled
def begin_equity(initial_cash: float) -> Any:
    """Return the running numbers of an equity before its first session; see :func:`add_session`."""
    return initial_cash, initial_cash, initial_cash, initial_cash, 0.0, 0.0, 0.0


@compiled
def add_session(equity: float, running: Any) -> Any:
    """Return the running numbers of an equity after one more session.

    They are: the equity before, the highest and the lowest until then, the equity below which the drawdown becomes the
    deepest, its depth (zero or negative), and the sums of returns and of squared returns.
    """
    before, peak, lowest, floor, deepest, returns, squares = running
    if equity == before or before == 0.0:  # noqa: PLR1714 - numbers in registers, no tuple
        return equity, peak, lowest, floor, deepest, returns, squares
    change = equity / before - 1.0
    returns += change
    squares += change * change
    lowest = min(lowest, equity)
    if equity > peak:
        peak = equity
        floor = peak * (1.0 + deepest)
    elif equity < floor:
        deepest = equity / peak - 1.0
        floor = equity
    return equity, peak, lowest, floor, deepest, returns, squares


@compiled
def store_equity(sums: int, running: Any, sessions_invested: int) -> None:
    """Write what has become of an equity into the row at the address `sums`."""
    equity, _, lowest, _, deepest, returns, squares = running
    store_f8(sums, _FINAL, equity)
    store_f8(sums, _RETURNS, returns)
    store_f8(sums, _SQUARES, squares)
    store_f8(sums, _DEEPEST, deepest)
    store_f8(sums, _LOWEST, lowest)
    store_f8(sums, _INVESTED, float(sessions_invested))


@compiled
def add_fill(sums: int, quantity: float, price: float) -> None:
    """Count a fill in the row at the address `sums`."""
    store_f8(sums, _FILLS, load_f8(sums, _FILLS) + 1.0)
    store_f8(sums, _SHARES, load_f8(sums, _SHARES) + abs(quantity))
    store_f8(sums, _USD, load_f8(sums, _USD) + abs(quantity * price))


@compiled
def store_account(sums: int, account: Any) -> None:
    """Write what an `ACCOUNT` has paid and received into the row at the address `sums`."""
    store_f8(sums, _COMMISSION, account.commissions)
    store_f8(sums, _FEES, account.fees)
    store_f8(sums, _SLIPPAGE, account.slippage)
    store_f8(sums, _INTEREST, account.interest)
    store_f8(sums, _BORROW_FEES, account.borrow_fees)


def fill_sums(sums: NDArray[np.float64], results: BacktestResults) -> None:
    """Fill a row of zeros with the sums of a finished backtest.

    Parameters
    ----------
    sums : ndarray of float64, shape (N_SUMS,)
        C-contiguous.
    results : BacktestResults
        Of the event-driven engine.
    """
    _fill_sums(
        sums.ctypes.data,
        results.initial_cash_usd,
        results.equity_usd,
        results.session_first_steps,
        results.round_trips.positions_shares,
        results.fill_records,
        results.account_record,
    )


@compiled
def _fill_sums(
    sums: int,
    initial_cash: float,
    equity: NDArray[np.float64],
    first_steps: NDArray[np.int64],
    positions: NDArray[np.float64],
    fills: NDArray[Any],
    account: NDArray[Any],
) -> None:
    running = begin_equity(initial_cash)
    invested = 0
    for k in range(len(first_steps) - 1):
        running = add_session(equity[first_steps[k + 1] - 1], running)
        for s in range(positions.shape[1]):
            if positions[k, s] != 0.0:
                invested += 1
                break
    store_equity(sums, running, invested)
    for k in range(len(fills)):
        add_fill(sums, fills[k].quantity, fills[k].price)
    store_account(sums, account[0])

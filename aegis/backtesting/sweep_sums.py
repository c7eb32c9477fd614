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
from aegis.backtesting.event_driven import EventDrivenBacktest
from aegis.backtesting.kernel.lot_sizes import QUANTITY_TOLERANCE
from aegis.backtesting.kernel.memory import load_f8, store_f8


class Sums(IntEnum):
    """Columns of a row of sums."""

    FINAL_EQUITY = 0
    RETURNS = 1
    SQUARED_DISTANCES = 2
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
    FIRST_RETURN = 14
    SESSIONS_MOVED = 15


N_SUMS: Final = len(Sums)
_FINAL, _RETURNS, _SQUARES = int(Sums.FINAL_EQUITY), int(Sums.RETURNS), int(Sums.SQUARED_DISTANCES)
_FIRST, _MOVED = int(Sums.FIRST_RETURN), int(Sums.SESSIONS_MOVED)
_DEEPEST, _LOWEST, _INVESTED = int(Sums.DEEPEST), int(Sums.LOWEST_EQUITY), int(Sums.SESSIONS_INVESTED)
_FILLS, _SHARES, _USD = int(Sums.FILLS), int(Sums.TRADED_SHARES), int(Sums.TRADED_USD)
_COMMISSION, _FEES, _SLIPPAGE = int(Sums.COMMISSION), int(Sums.FEES), int(Sums.SLIPPAGE)
_INTEREST, _BORROW_FEES = int(Sums.INTEREST), int(Sums.BORROW_FEES)


@compiled
def begin_equity(initial_cash: float) -> Any:
    """Return the running numbers of an equity before its first session; see :func:`add_session`."""
    return initial_cash, initial_cash, initial_cash, initial_cash, 0.0, 0.0, 0.0, 0.0, 0.0


@compiled
def add_session(equity: float, running: Any) -> Any:
    """Return the running numbers of an equity after one more session.

    They are: the equity before, the highest and the lowest until then, the equity below which the drawdown becomes the
    deepest, its depth (zero or negative), the sum of returns, the first return that is not zero, the sum of squared
    distances from it, and how many sessions had one: squares of the returns themselves would cancel where these are
    nearly equal.
    """
    before, peak, lowest, floor, deepest, returns, first, squares, moved = running
    if equity == before or before == 0.0:  # noqa: PLR1714 - numbers in registers, no tuple
        return equity, peak, lowest, floor, deepest, returns, first, squares, moved
    change = equity / before - 1.0
    if moved == 0.0:
        first = change
    moved += 1.0
    returns += change
    squares += (change - first) * (change - first)
    lowest = min(lowest, equity)
    if equity > peak:
        peak = equity
        floor = peak * (1.0 + deepest)
    elif equity < floor:
        deepest = equity / peak - 1.0
        floor = equity
    return equity, peak, lowest, floor, deepest, returns, first, squares, moved


@compiled
def store_equity(sums: int, running: Any, sessions_invested: int) -> None:
    """Write what has become of an equity into the row at the address `sums`."""
    equity, _, lowest, _, deepest, returns, first, squares, moved = running
    store_f8(sums, _FINAL, equity)
    store_f8(sums, _RETURNS, returns)
    store_f8(sums, _SQUARES, squares)
    store_f8(sums, _FIRST, first)
    store_f8(sums, _MOVED, moved)
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


def fill_sums(sums: NDArray[np.float64], backtest: EventDrivenBacktest) -> int:
    """Fill a row of zeros with the sums of a backtest that has come to its end; return how many sessions it had.

    Parameters
    ----------
    sums : ndarray of float64, shape (N_SUMS,)
        C-contiguous.
    backtest : EventDrivenBacktest

    Notes
    -----
    Without corporate actions, positions are the sums of fills, and results that nobody else asks for are not made.
    """
    simulation = backtest.simulation
    if backtest.can_rerun and len(simulation.actions) == 0:
        equity, fills, account = simulation.equity, simulation.fills, simulation.account_array
        first_steps, positions = backtest.session_first_steps, np.zeros((0, len(simulation.symbols)))
    else:
        results = backtest.results()
        equity, fills, account = results.equity_usd, results.fill_records, results.account_record
        first_steps, positions = results.session_first_steps, results.round_trips.positions_shares
    _fill_sums(sums.ctypes.data, simulation.cash_usd, equity, first_steps, positions, fills, account)
    return len(first_steps) - 1


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
    """Add up the sessions; where there are no `positions` (shape (0, symbols)), what the fills leave."""
    running = begin_equity(initial_cash)
    held = np.zeros(positions.shape[1])
    follows_fills = len(positions) == 0
    invested = fill = 0
    for k in range(len(first_steps) - 1):
        running = add_session(equity[first_steps[k + 1] - 1], running)
        while fill < len(fills) and fills[fill].step < first_steps[k + 1]:
            add_fill(sums, fills[fill].quantity, fills[fill].price)
            held[fills[fill].symbol] += fills[fill].quantity
            fill += 1
        for s in range(len(held)):
            if abs(held[s] if follows_fills else positions[k, s]) > QUANTITY_TOLERANCE:
                invested += 1
                break
    store_equity(sums, running, invested)
    store_account(sums, account[0])

"""A backtest's fills as a vectorbt portfolio, for its statistics and its plots.

Belongs here: what vectorbt can represent, and the refusal of what it cannot. The portfolio repeats the fills that the
kernel decided, at their prices and costs; vectorbt decides nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from aegis.backtesting.kernel.codes import ActionKind
from aegis.backtesting.lots import ExitBy, FloatArray, IntArray
from aegis.errors import BacktestError

if TYPE_CHECKING:
    import vectorbt

    from aegis.backtesting.results import BacktestResults

_TOLERANCE = 1e-9


def vectorbt_portfolio(results: BacktestResults) -> vectorbt.Portfolio:
    """Return a portfolio of one group that shares its cash, with one column for each symbol.

    Parameters
    ----------
    results : BacktestResults

    Raises
    ------
    BacktestError
        Results without a close for each step; dividends, interest or borrow fees; a position held over a split, a
        merger or a delisting; purchases and sales of one symbol in one step; or cash that vectorbt does not lend.

    Notes
    -----
    Several fills of one symbol in one step become one order at their mean price. Missing closes repeat the last one.
    The value of the portfolio must equal the equity to 1e-9 at every step; otherwise it is refused, not returned.
    """
    _refuse_what_has_no_word(results)
    closes = _closes(results)
    size, price, costs, sequence = _orders(results, closes.shape)
    import vectorbt as vbt  # noqa: PLC0415 - three seconds

    frame = pd.DataFrame(closes, index=results.step_times_utc, columns=list(results.symbols))
    portfolio: Any = vbt.Portfolio.from_orders(
        frame,
        size=size,
        price=price,
        fixed_fees=costs,
        direction="both",
        init_cash=results.initial_cash_usd,
        cash_sharing=True,
        group_by=True,
        call_seq=sequence,
        allow_partial=False,
        freq=_frequency(results.step_times_utc),
    )
    _refuse_another_outcome(results, portfolio, wanted=int(np.count_nonzero(size)))
    return portfolio


def _refuse_what_has_no_word(results: BacktestResults) -> None:
    account = results.account_record[0]
    for name in ("dividends", "interest", "borrow_fees"):
        if account[name] != 0.0:
            raise BacktestError(
                f"vectorbt: the account booked {account[name]:.2f} USD of {name.replace('_', ' ')}, which a vectorbt "
                "portfolio cannot represent; run the backtest without them, or use the results' own frames"
            )
    splits = results.action_records[results.action_records["kind"] == ActionKind.SPLIT]
    positions = results.round_trips.positions_shares
    opened = np.searchsorted(results.session_days, splits["day"])
    for action, session in zip(splits, opened.tolist(), strict=True):
        if 0 < session < len(positions) and positions[session - 1, action["symbol"]] != 0.0:
            raise BacktestError(
                f"vectorbt: {results.symbols[action['symbol']]} was held over a split on "
                f"{np.datetime64(int(action['day']), 'D')}, which a vectorbt portfolio cannot represent; use prices "
                "adjusted for splits"
            )
    paid = results.round_trips.closed[results.round_trips.closed["exit_by"] != ExitBy.FILL]
    if paid.size:
        trade = paid[0]
        raise BacktestError(
            f"vectorbt: {results.symbols[trade['symbol']]} was paid out by a "
            f"{ExitBy(int(trade['exit_by'])).name.lower().replace('_', ' ')} at "
            f"{results.step_times_utc[int(trade['exit_step'])]}, not sold, which a vectorbt portfolio cannot represent"
            "; use the results' own frames"
        )


def _closes(results: BacktestResults) -> FloatArray:
    closes = results.closes
    if closes is None or len(closes) != len(results.equity_usd):
        found = "none" if closes is None else f"{len(closes)} rows"
        raise BacktestError(
            f"vectorbt: a close of every step is needed ({len(results.equity_usd)} steps, found {found}); give the "
            "results `closes_usd` with one row for each step"
        )
    # Before a symbol's first bar nothing is held, so any price will do; NaN would make the value NaN.
    filled: FloatArray = pd.DataFrame(closes).ffill().bfill().to_numpy(np.float64)
    return filled


def _orders(results: BacktestResults, shape: tuple[int, ...]) -> tuple[FloatArray, FloatArray, FloatArray, IntArray]:
    """Return size, price and costs of one order for each step and symbol, and the order of execution in each step."""
    fills = results.fill_records
    at = (fills["step"], fills["symbol"])
    size, gross, value, costs = (np.zeros(shape) for _ in range(4))
    np.add.at(size, at, fills["quantity"])
    np.add.at(gross, at, np.abs(fills["quantity"]))
    np.add.at(value, at, np.abs(fills["quantity"]) * fills["price"])
    np.add.at(costs, at, fills["commission"] + fills["fees"])
    both = np.argwhere(gross > np.abs(size) * (1.0 + _TOLERANCE))
    if both.size:
        step, symbol = both[0]
        raise BacktestError(
            f"vectorbt: {results.symbols[symbol]} was bought and sold in the step of {results.step_times_utc[step]}, "
            "and a vectorbt portfolio has one order for each; use the results' own frames"
        )
    price = np.divide(value, gross, out=np.full(shape, np.nan), where=gross > 0.0)
    first_fill = np.full(shape, len(fills))
    np.minimum.at(first_fill, at, np.arange(len(fills)))
    return size, price, costs, np.argsort(first_fill, axis=1, kind="stable")


def _frequency(times: pd.DatetimeIndex) -> pd.Timedelta:
    """Return the usual distance of two steps."""
    gaps = np.diff(times.asi8)
    return pd.Timedelta(int(np.median(gaps)) if gaps.size else 86_400_000_000_000, unit="ns")


def _refuse_another_outcome(results: BacktestResults, portfolio: Any, *, wanted: int) -> None:
    carried = int(portfolio.orders.count())
    value = np.asarray(portfolio.value(), dtype=np.float64)
    distance = np.abs(value - results.equity_usd)
    worst = int(np.argmax(distance))
    if carried != wanted or not distance[worst] <= _TOLERANCE * abs(results.equity_usd[worst]):
        raise BacktestError(
            f"vectorbt: it carried {carried} of {wanted} orders and is worth {value[worst]:.6f} USD at "
            f"{results.step_times_utc[worst]}, where equity is {results.equity_usd[worst]:.6f}; it does not lend cash,"
            " so use a backtest without leverage, or the results' own frames"
        )

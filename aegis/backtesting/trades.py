"""Round trips: what was bought and sold against each other, and what is still held.

Belongs here: trades and open lots as values and as frames. How fills become lots is :mod:`aegis.backtesting.lots`.

A trade is a closed lot, or the closed part of one: one entry and one exit, so a fill that closes three lots makes three
trades. Its gross profit is what the prices made, slippage and impact included; dividends, interest and borrow fees
belong to the account, not to a trade.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aegis.backtesting.kernel.codes import ActionKind
from aegis.backtesting.kernel.records import NO_SYMBOL
from aegis.backtesting.lots import LOT, NO_LOT, TRADE, ExitBy, FloatArray, IntArray, match_lots, open_lots
from aegis.backtesting.record_frames import instants, worded
from aegis.errors import RiskError

_SIDES = ("long", "short")
_LEAVING = (ActionKind.CASH_MERGER, ActionKind.SHARE_MERGER, ActionKind.DELISTING)
EXIT_WORDS = tuple(kind.name.lower().replace("_", " ") for kind in ExitBy)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundTrips:
    """Every lot of a backtest.

    Parameters
    ----------
    closed : ndarray of TRADE
        In the order of their exits.
    still_open : ndarray of LOT
        By symbol, oldest first.
    positions_shares : ndarray of float64, shape (sessions, symbols)
        Shares held when each session ended.
    """

    closed: NDArray[Any]
    still_open: NDArray[Any]
    positions_shares: FloatArray

    @property
    def gross_profit_usd(self) -> FloatArray:
        """What the prices of each trade made, before costs; shape (trades,)."""
        profit: FloatArray = self.closed["quantity"] * (self.closed["exit_price"] - self.closed["entry_price"])
        return profit

    @property
    def net_profit_usd(self) -> FloatArray:
        """What each trade made after its commission and fees; shape (trades,)."""
        profit: FloatArray = self.gross_profit_usd - self.closed["commission"] - self.closed["fees"]
        return profit

    def unrealised_usd(self, marks_usd: FloatArray) -> FloatArray:
        """Return what the prices of each open lot have made, at `marks_usd` of shape (symbols,); before costs."""
        lots = self.still_open
        profit: FloatArray = lots["quantity"] * (marks_usd[lots["symbol"]] - lots["price"])
        return profit


def round_trips(
    fills: NDArray[Any],
    actions: NDArray[Any],
    *,
    session_first_steps: IntArray,
    session_days: IntArray,
    symbols: tuple[str, ...],
    share_steps: FloatArray,
    marks_usd: FloatArray | None,
    closes_usd: FloatArray | None = None,
) -> RoundTrips:
    """Match exits with entries, first in, first out.

    Parameters
    ----------
    fills : ndarray of FILL
        In the order of execution.
    actions : ndarray of ACTION
        In the order of their ex-dates.
    session_first_steps : ndarray of int64, shape (sessions + 1,)
        First step of each session, and the number of steps.
    session_days : ndarray of int64, shape (sessions,)
        Days since 1970.
    symbols : tuple of str
        Names by symbol number.
    share_steps : ndarray of float64, shape (symbols,)
        Smallest step of a position; 1 for whole shares.
    marks_usd : ndarray of float64, shape (sessions, symbols), optional
        :func:`~aegis.backtesting.session_marks.session_marks`: what fractions after a split and delisted shares are
        paid at. Needed only where there are such.
    closes_usd : ndarray of float64, shape (sessions, symbols), optional
        :func:`~aegis.backtesting.session_marks.session_closes`: what shares of an acquirer begin at. Needed only where
        a merger pays such.

    Raises
    ------
    RiskError
        A fraction or a delisted position must be paid out and has no mark.

    Notes
    -----
    Corporate actions are applied as the kernel applies them: before the first bar of the session of their ex-date, or
    of the next session; delistings and mergers for shares after its last bar.
    """
    lots = np.empty(fills.size + actions.size, LOT)
    trades = np.empty(2 * fills.size + 3 * actions.size, TRADE)  # every trade ends a lot or an exit
    positions = np.empty((session_days.size, share_steps.size))
    heads = np.full(share_steps.size, NO_LOT, np.int64)
    marks = np.empty((0, share_steps.size)) if marks_usd is None else marks_usd
    closed, unpaid = match_lots(
        fills,
        actions,
        session_first_steps,
        session_days,
        share_steps,
        marks,
        acquirer_closes(actions, session_days, closes_usd),
        lots,
        heads,
        trades,
        positions,
    )
    if unpaid >= 0:
        action = actions[unpaid]
        raise RiskError(
            f"{symbols[action['symbol']]} {np.datetime64(int(action['day']), 'D')}: its "
            f"{ActionKind(int(action['kind'])).name.lower()} pays shares out at their last close and there is none; "
            "give the results `closes_usd`"
        )
    still_open = lots[open_lots(lots, heads)]
    return RoundTrips(closed=trades[:closed], still_open=still_open, positions_shares=positions)


def acquirer_closes(actions: NDArray[Any], session_days: IntArray, closes_usd: FloatArray | None) -> FloatArray:
    """Return the close at which each merger pays the acquirer's shares, as the kernel does.

    Parameters
    ----------
    actions : ndarray of ACTION
    session_days : ndarray of int64, shape (sessions,)
    closes_usd : ndarray of float64, shape (sessions, symbols), optional

    Returns
    -------
    ndarray of float64, shape (actions,)
        USD; NaN for other actions, and where no shares are paid: the acquirer is not known, has no bar in the session
        in which the merger takes effect, or leaves the market by then itself.
    """
    found = np.full(actions.size, np.nan)
    if closes_usd is None:
        return found
    ends = np.isin(actions["kind"], _LEAVING)
    effective = np.searchsorted(session_days, actions["day"])
    for k in np.flatnonzero((actions["kind"] == ActionKind.SHARE_MERGER) & (actions["acquirer"] != NO_SYMBOL)):
        session, acquirer = effective[k], actions["acquirer"][k]
        left = (ends & (actions["symbol"] == acquirer) & (effective <= session)).any()
        if session < min(len(closes_usd), len(session_days)) and not left:
            found[k] = closes_usd[session, acquirer]
    return found


def trades_frame(
    trips: RoundTrips, fills: NDArray[Any], *, symbols: tuple[str, ...], step_times_utc: pd.DatetimeIndex
) -> pd.DataFrame:
    """Return one row for each trade, in the order of the exits.

    Parameters
    ----------
    trips : RoundTrips
    fills : ndarray of FILL
        What `trips` was made from.
    symbols : tuple of str
        Names by symbol number.
    step_times_utc : DatetimeIndex, length (steps,)
        When each step closes, aware UTC.

    Returns
    -------
    DataFrame
        ``symbol, side`` ('long' or 'short'), ``quantity_shares`` (positive, in the shares of the exit), ``entry_step,
        exit_step, entry_at_utc, exit_at_utc, entry_price_usd`` (in the shares of the exit), ``exit_price_usd,
        gross_profit_usd, commission_usd, fees_usd, net_profit_usd, net_return`` (of the entry's value), ``bars_held``
        (steps from entry to exit), ``entry_order, exit_order`` (-1 where none), ``exit_by``. Times are those at which
        the bars of entry and exit closed.
    """
    rows = trips.closed
    entry_steps = rows["entry_step"]
    size = np.abs(rows["quantity"])
    net = trips.net_profit_usd
    return pd.DataFrame(
        {
            "symbol": worded(rows["symbol"], symbols),
            "side": worded(rows["quantity"] < 0, _SIDES),
            "quantity_shares": size,
            "entry_step": entry_steps,
            "exit_step": rows["exit_step"],
            "entry_at_utc": instants(entry_steps, step_times_utc),
            "exit_at_utc": instants(rows["exit_step"], step_times_utc),
            "entry_price_usd": rows["entry_price"],
            "exit_price_usd": rows["exit_price"],
            "gross_profit_usd": trips.gross_profit_usd,
            "commission_usd": rows["commission"],
            "fees_usd": rows["fees"],
            "net_profit_usd": net,
            "net_return": net / (size * rows["entry_price"]),
            "bars_held": rows["exit_step"] - entry_steps,
            "entry_order": _orders_of(rows["entry_fill"], fills),
            "exit_order": _orders_of(rows["exit_fill"], fills),
            "exit_by": worded(rows["exit_by"], EXIT_WORDS),
        }
    )


def open_lots_frame(
    trips: RoundTrips,
    fills: NDArray[Any],
    *,
    symbols: tuple[str, ...],
    step_times_utc: pd.DatetimeIndex,
    marks_usd: FloatArray,
) -> pd.DataFrame:
    """Return one row for each lot that is still open, by symbol and age.

    Parameters
    ----------
    marks_usd : ndarray of float64, shape (symbols,)
        Last mark of each symbol.

    Returns
    -------
    DataFrame
        ``symbol, side, quantity_shares, entry_step, entry_at_utc, entry_price_usd`` (in today's shares), ``mark_usd,
        market_value_usd`` (negative for a short lot), ``unrealised_usd`` (before costs), ``commission_usd, fees_usd``
        (of the entry), ``entry_order``.
    """
    lots = trips.still_open
    steps = lots["entry_step"]
    mark = marks_usd[lots["symbol"]]
    return pd.DataFrame(
        {
            "symbol": worded(lots["symbol"], symbols),
            "side": worded(lots["quantity"] < 0, _SIDES),
            "quantity_shares": np.abs(lots["quantity"]),
            "entry_step": steps,
            "entry_at_utc": instants(steps, step_times_utc),
            "entry_price_usd": lots["price"],
            "mark_usd": mark,
            "market_value_usd": lots["quantity"] * mark,
            "unrealised_usd": trips.unrealised_usd(marks_usd),
            "commission_usd": lots["commission"],
            "fees_usd": lots["fees"],
            "entry_order": _orders_of(lots["entry_fill"], fills),
        }
    )


def _orders_of(numbers: NDArray[np.int32], fills: NDArray[Any]) -> NDArray[np.int32]:
    """Return the order of each fill by its number, -1 where a corporate action stands in its place."""
    by_fill = numbers >= 0
    if not by_fill.any():
        return np.full(len(numbers), -1, np.int32)
    orders: NDArray[np.int32] = np.where(by_fill, fills["order"][np.where(by_fill, numbers, 0)], -1).astype(np.int32)
    return orders
